package delivery

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat"
	"alertchat/receiver/incident"
)

const (
	// waitingLimit is how many ids and groups are looked at in a turn.
	waitingLimit = 1000
	// foldLimit and foldBytes bound how many payloads of one group are folded
	// together; the rest comes in a later turn. One may be 32 MiB large.
	foldLimit = 64
	foldBytes = 4 << 20
)

// plan makes the next delivery of what waits: the oldest telling of a group
// that is not in skip. Groups without anything to tell are settled on the way.
// It returns nil when nothing is to be told.
func (l *loop) plan(ctx context.Context, s *Space, place string, waiting []Waiting, skip map[alert.Group]bool) (*Delivery, error) {
	for len(waiting) > 0 {
		g := waiting[0].Group
		ids, rest := split(waiting, g)
		waiting = rest
		if skip[g] {
			continue
		}
		for len(ids) > 0 {
			known, err := l.m.store.Known(ctx, s.Name, g)
			if err != nil {
				return nil, err
			}
			out, taken, err := l.fold(ctx, g, known, ids[:min(len(ids), foldLimit)], s.Told)
			if err != nil {
				return nil, err
			}
			ids = ids[len(taken):]
			if out.Telling != nil {
				return Plan(s, place, known, out, taken, time.Now())
			}
			var changed []Known
			if out.Changed {
				changed = []Known{{Group: g, State: out.State}}
			}
			if err := l.m.store.Discard(ctx, l.lease, s.Name, taken, changed); err != nil {
				return nil, err
			}
			l.m.metrics.folds(s.Name, out.Folded)
		}
	}
	return nil, nil //nolint:nilnil // nothing to tell is no error
}

// split takes the ids of group g out of waiting.
func split(waiting []Waiting, g alert.Group) (ids []int64, rest []Waiting) {
	for _, w := range waiting {
		if w.Group == g {
			ids = append(ids, w.ID)
		} else {
			rest = append(rest, w)
		}
	}
	return ids, rest
}

// fold reads a group's notifications among ids and folds them, as many as their
// size allows. taken are the ids that the outcome stands for, which begin with
// the oldest.
func (l *loop) fold(ctx context.Context, g alert.Group, known incident.State, ids []int64, o incident.Options) (out incident.Outcome, taken []int64, err error) {
	var notes []incident.Notification
	var read []int64
	bytes, looked := 0, 0
	for ; looked < len(ids) && bytes < foldBytes; looked++ {
		stored, err := l.m.store.Read(ctx, ids[looked:looked+1])
		if err != nil {
			return incident.Outcome{}, nil, err
		}
		if len(stored) == 0 || stored[0].Group != g {
			continue
		}
		n := &stored[0]
		p, err := alert.Decode(n.Body)
		if err != nil {
			// It was decoded before it was stored: only a damaged disk does this.
			l.m.log.Error("A stored notification cannot be read and is left out", "space", l.name, "id", n.ID, "group", n.Group, "err", err)
			continue
		}
		bytes += len(n.Body)
		notes = append(notes, incident.Notification{Payload: p, Unknown: n.Unknown, ReceivedAt: n.ReceivedAt})
		read = append(read, n.ID)
	}
	ids = ids[:looked]
	out = incident.Fold(known, notes, o)
	if out.Taken < len(read) {
		ids = ids[:slices.Index(ids, read[out.Taken])]
	}
	return out, ids, nil
}

// Plan turns an outcome with a telling into the delivery that tells it, ready
// to be frozen. known is the state before it, covers are the notifications that
// it is the outcome of.
func Plan(s *Space, place string, known incident.State, out incident.Outcome, covers []int64, now time.Time) (*Delivery, error) {
	rendered := s.Renderer.Render([]incident.Telling{*out.Telling}, now)
	d := &Delivery{
		Space: s.Name, Place: place, Status: Planned, Title: rendered.Title, Covers: covers,
		ReceivedAt: out.Telling.ReceivedAt, LatestAt: out.Telling.LatestAt, CreatedAt: now,
		folded: out.Folded,
	}
	state := out.State
	to, action := thread(s.Threads, place, out, rendered.ThreadKey)
	state.Thread = to
	k := Known{Group: out.Telling.Group, State: state}
	if known.ID == state.ID {
		k.ThreadBefore = known.Thread
	}
	d.Known = []Known{k}
	var err error
	d.Steps, err = steps(rendered.Messages, action, to)
	return d, err
}

// thread says where a telling goes: into a thread of its own, which it starts,
// or into that of its incident.
func thread(how Threads, place string, out incident.Outcome, key string) (incident.Thread, Action) {
	t := out.Telling
	switch how {
	case Unthreaded:
		return incident.Thread{Place: place}, Create
	case ByKey:
		if t.Kind == incident.First || t.Kind == incident.Repeat || key == "" {
			return incident.Thread{Place: place, Key: key}, Create
		}
		return incident.Thread{Place: place, Key: key}, Reply
	case ByIncident:
	}
	before := out.State.Thread
	switch {
	case t.Kind == incident.Repeat:
		// A new thread, so that the repeat is seen in the timeline.
		return incident.Thread{Place: place, Key: t.ID + "-r" + strconv.Itoa(t.Repeat)}, Create
	case t.Kind != incident.First && before.Place == place && before.Key != "":
		return before, Reply
	case t.Kind == incident.First:
		return incident.Thread{Place: place, Key: t.ID}, Create
	default:
		// Nothing is known of the thread, or it is in another place: the
		// computed key mostly finds it, and starts it anew where it does not.
		return incident.Thread{Place: place, Key: t.ID}, Reply
	}
}

// steps makes the writes for the messages of a telling. What does not fit the
// first message follows it in its thread.
func steps(messages []*chat.Message, action Action, to incident.Thread) ([]Step, error) {
	out := make([]Step, 0, len(messages))
	for _, m := range messages {
		threaded := *m
		switch {
		case to.Name != "":
			threaded.Thread = &chat.Thread{Name: to.Name}
		case to.Key != "":
			threaded.Thread = &chat.Thread{ThreadKey: to.Key}
		}
		body, err := json.Marshal(&threaded)
		if err != nil {
			return nil, fmt.Errorf("encode a message: %w", err)
		}
		out = append(out, Step{Action: action, Body: body, RequestID: rand.Text(), Threaded: threaded.Thread != nil})
		if action == Create && threaded.Thread != nil {
			action = Reply
		}
	}
	return out, nil
}

// Unthreaded returns the step as a new message without the thread, which Chat
// does not take. As another message it has another request id.
func (s Step) Unthreaded() (Step, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(s.Body, &m); err != nil {
		return Step{}, fmt.Errorf("read a planned message: %w", err)
	}
	delete(m, "thread")
	body, err := json.Marshal(m)
	if err != nil {
		return Step{}, fmt.Errorf("encode a planned message: %w", err)
	}
	return Step{Action: Create, Body: body, RequestID: rand.Text()}, nil
}

// tell renders the covered notifications of a delivery again, as the built-in
// text message.
func (l *loop) tell(ctx context.Context, s *Space, d *Delivery, why string) (Rendered, error) {
	var tellings []incident.Telling
	for _, k := range d.Known {
		known, err := l.m.store.Known(ctx, s.Name, k.Group)
		if err != nil {
			return Rendered{}, err
		}
		out, _, err := l.fold(ctx, k.Group, known, d.Covers, incident.Options{SendResolved: true})
		if err != nil {
			return Rendered{}, err
		}
		if out.Telling != nil {
			tellings = append(tellings, *out.Telling)
		}
	}
	return s.Renderer.Plain(tellings, time.Now(), why), nil
}
