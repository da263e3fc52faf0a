package delivery

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"alertchat/receiver/chat"
	"alertchat/receiver/incident"
)

// Plan turns an outcome with a telling into the delivery that tells it, ready
// to be frozen. covers are the notifications that it is the outcome of.
func Plan(s *Space, place string, out incident.Outcome, covers []int64, now time.Time) (*Delivery, error) {
	rendered := s.Renderer.Render([]incident.Telling{*out.Telling}, 0, now)
	d := &Delivery{
		Space: s.Name, Place: place, Status: Planned, Title: rendered.Title, Covers: covers,
		ReceivedAt: out.Telling.ReceivedAt, LatestAt: out.Telling.LatestAt, CreatedAt: now,
		folded: out.Folded,
	}
	state := out.State
	to, action := thread(s.Threads, place, out, rendered.ThreadKey)
	state.Thread = to
	d.Known = []Known{{Group: out.Telling.Group, State: state, ThreadBefore: out.State.Thread}}
	if s.Edits {
		return d, d.planEdits(s, out, rendered, action, to)
	}
	var err error
	d.Steps, err = steps(rendered.Messages, action, to, "")
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
// first message follows it in its thread. id is that of the first; empty for
// messages that are not edited later.
func steps(messages []*chat.Message, action Action, to incident.Thread, id string) ([]Step, error) {
	out := make([]Step, 0, len(messages))
	for i, m := range messages {
		if id != "" {
			m = editable(m)
		}
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
		step := Step{Action: action, Body: body, RequestID: rand.Text(), Threaded: threaded.Thread != nil}
		if id != "" {
			step.MessageID = part(id, i)
		}
		out = append(out, step)
		if action == Create && threaded.Thread != nil {
			action = Reply
		}
	}
	return out, nil
}

// Unthreaded returns the step as a new message without the thread, which Chat
// does not take. As another message it has another request id.
func (s Step) Unthreaded() (Step, error) {
	body, err := threadless(s.Body)
	if err != nil {
		return Step{}, err
	}
	return Step{Action: Create, Body: body, RequestID: rand.Text(), MessageID: s.MessageID}, nil
}

// threadless returns a message without its thread.
func threadless(message json.RawMessage) (json.RawMessage, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(message, &m); err != nil {
		return nil, fmt.Errorf("read a planned message: %w", err)
	}
	delete(m, "thread")
	body, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode a planned message: %w", err)
	}
	return body, nil
}
