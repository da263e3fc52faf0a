package delivery

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"alertchat/receiver/chat"
	"alertchat/receiver/incident"
)

// spare is what a further part of a message says that is not needed any more.
const spare = "What stood here is told above."

// planEdits plans for a space whose messages are edited. The first message of
// an incident, each repeat, and the next one after a digest get ids, so that
// later changes can edit them: silently, but for the end, which has a line in
// the thread, so that people are told.
func (d *Delivery) planEdits(s *Space, out incident.Outcome, r Rendered, action Action, to incident.Thread) (err error) {
	before, t := out.State.Thread, &d.Known[0].State.Thread
	shown := isShown(before, d.Place)
	switch kind := out.Telling.Kind; {
	case shown && kind == incident.Change, shown && kind == incident.End && r.Reply == nil:
		*t = before
		d.Steps, err = edits(t, r.Messages)
		return err
	case shown && kind == incident.End:
		*t = before
		if d.Steps, err = steps([]*chat.Message{r.Reply}, action, to, idOf(t.Message)+"-end"); err != nil {
			return err
		}
		return d.update(t, r.Messages, d.Title)
	case shown && kind == incident.Repeat && r.Moved != nil:
		// It must not come back only to say that it is over.
		if err := d.update(&before, []*chat.Message{r.Moved}, d.Title); err != nil {
			return err
		}
		for i := range d.Later[0].Steps {
			d.Later[0].Steps[i].Remake = false
		}
	}
	id := number(t, s.Name, out.State.ID, before.Messages+1)
	t.Parts = len(r.Messages)
	d.Steps, err = steps(r.Messages, action, to, id)
	return err
}

// editable returns a message as it is where it can be edited. Chat cannot edit
// the fallback text, which would go on saying how things were at first.
func editable(m *chat.Message) *chat.Message {
	out := *m
	out.FallbackText = ""
	return &out
}

// isShown reports whether a message in the place shows the incident, so that it
// can be edited.
func isShown(t incident.Thread, place string) bool { return t.Place == place && t.Message != "" }

// number gives the thread a message of its own, the nth of the incident, and
// returns its id. Two configured spaces may lead to one Google space, and an id
// is good for one message there.
func number(t *incident.Thread, space, incidentID string, n int) string {
	h := fnv.New32a()
	h.Write([]byte(space))
	id := fmt.Sprintf("client-%s-%08x-%d", incidentID, h.Sum32(), n)
	t.Message, t.Messages, t.Parts = t.Place+"/messages/"+id, n, 1
	return id
}

// part returns the name or the id of a message's part, which are counted from 0:
// the first has the message's own.
func part(name string, i int) string {
	if i == 0 {
		return name
	}
	return name + "-" + strconv.Itoa(i+1)
}

// idOf returns the last part of a message's name.
func idOf(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// update has the messages of a thread edited to these once the delivery is over.
func (d *Delivery) update(t *incident.Thread, messages []*chat.Message, title string) error {
	steps, err := edits(t, messages)
	d.Later = append(d.Later, Update{Title: title, Steps: steps})
	return err
}

// edits makes the writes that change a thread's message, and its further parts,
// to these. More parts than there are follow in the thread.
func edits(t *incident.Thread, messages []*chat.Message) ([]Step, error) {
	there := max(t.Parts, 1)
	t.Parts = max(there, len(messages))
	out := make([]Step, 0, t.Parts)
	for i := range t.Parts {
		m := &chat.Message{Text: spare}
		if i < len(messages) {
			m = editable(messages[i])
		}
		if i >= there {
			more, err := steps([]*chat.Message{m}, Reply, *t, part(idOf(t.Message), i))
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
			continue
		}
		body, err := json.Marshal(m)
		if err != nil {
			return nil, fmt.Errorf("encode a message: %w", err)
		}
		out = append(out, Step{Action: Edit, Body: body, Target: part(t.Message, i), Remake: true})
	}
	return out, nil
}

// inPlace returns the step as an edit of the message that has its id already.
func (s Step) inPlace(place string) (Step, error) {
	body, err := threadless(s.Body)
	if err != nil {
		return Step{}, err
	}
	s.Action, s.Body, s.Target, s.Remake, s.Threaded = Edit, body, place+"/messages/"+s.MessageID, true, false
	return s, nil
}

// updates makes deliveries of what is edited once d is over.
func (d *Delivery) updates(now time.Time) []*Delivery {
	out := make([]*Delivery, len(d.Later))
	for i, u := range d.Later {
		out[i] = &Delivery{
			Space: d.Space, Place: d.Place, Status: Planned, Title: u.Title + " (edited)", Steps: u.Steps,
			ReceivedAt: now, LatestAt: now, CreatedAt: now,
		}
	}
	return out
}

// simplify has an update say what it tells in one line. That was told before, so
// that it stays an edit.
func (l *loop) simplify(ctx context.Context, s *Space, d *Delivery, done, left []Step, why string) error {
	r := s.Renderer.Notice(why, nil, []string{d.Title}, time.Now())
	body, err := json.Marshal(r.Messages[0])
	if err != nil {
		return fmt.Errorf("encode a message: %w", err)
	}
	left[0].Body, left[0].Threaded = body, false
	d.Steps, d.Plain, d.blamed, d.refusals = append(done, left...), true, 0, 0
	return l.keep(ctx, d)
}

// remake makes a message anew that was to be edited and is gone. An update does
// without: what it shows was told. So does a further part: somebody did not want
// it.
func (l *loop) remake(ctx context.Context, s *Space, d *Delivery, step *Step) error {
	if d.isUpdate() || step != &d.Steps[0] {
		step.Done = true
		if slices.ContainsFunc(d.Steps, func(s Step) bool { return !s.Done }) {
			return l.keep(ctx, d)
		}
		return l.succeed(ctx, s, d)
	}
	k := &d.Known[0]
	k.State.Thread.Place = d.Place
	id := number(&k.State.Thread, s.Name, k.State.ID, k.State.Thread.Messages+1)
	*step = Step{Action: Create, Body: step.Body, RequestID: rand.Text(), MessageID: id}
	return l.keep(ctx, d)
}
