package receiver

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat"
	"alertchat/receiver/delivery"
	"alertchat/receiver/incident"
	"alertchat/receiver/render"
)

// Draft is what is to be sent to a space, and what there is to say of it. It
// has no bodies where the space is not told of such a payload at all.
type Draft struct {
	Space string
	Door  chat.Door // by which its bodies go to Google Chat
	// Remarks say what was mended or cut, and why; one line each.
	Remarks []string
	// Failures say which templates failed; the built-in ones took their place.
	// The lines below the first of each hold what the template put out.
	Failures []string

	notes []render.Note // of which Remarks are made
	steps []delivery.Step
}

// Bodies returns the bodies of the requests to Google Chat, in their order.
func (d *Draft) Bodies() []json.RawMessage {
	bodies := make([]json.RawMessage, len(d.steps))
	for i := range d.steps {
		bodies[i] = d.steps[i].Body
	}
	return bodies
}

// Render makes of a payload what the space would be sent if nothing were known
// of the payload's group, by the way that a notification goes. The routing tree
// is not asked: it is as if the payload were posted to /alertmanager/{space}.
func (s *Setup) Render(space string, payload []byte, now time.Time) (*Draft, error) {
	i, _, err := s.space(space)
	if err != nil {
		return nil, err
	}
	p, err := decodePayload(payload)
	if err != nil {
		return nil, err
	}
	d, failures, err := s.render(i, s.renderers[space].of, p, now)
	if err != nil {
		return nil, err
	}
	for _, n := range d.notes {
		d.Remarks = append(d.Remarks, s.at(i, n))
	}
	for j := range failures {
		d.Failures = append(d.Failures, s.failure(i, &failures[j]))
	}
	return d, nil
}

// render makes a draft, without its Remarks and Failures, for the space with the
// given index by one of its renderers.
func (s *Setup) render(i int, of *render.Renderer, p *alert.Payload, now time.Time) (*Draft, []render.Failure, error) {
	space := s.config.Spaces[i].Name
	as := *s.spaces[space]
	d := &Draft{Space: space, Door: door(&s.config.Spaces[i])}
	out := incident.Fold(incident.State{}, []incident.Notification{{Payload: p, ReceivedAt: now}}, as.Told)
	if out.Telling == nil {
		d.notes = []render.Note{{Where: "spaces[" + space + "].send_resolved", What: "all alerts are resolved, and this space is not told of ends: nothing is sent"}}
		return d, nil, nil
	}
	var failures []render.Failure
	as.Renderer = watched{of, func(m render.Rendered) {
		d.notes, failures = append(d.notes, m.Notes...), append(failures, m.Failures...)
	}}
	// The place only matters to what is stored.
	planned, err := delivery.Plan(&as, "", out, nil, now)
	if err != nil {
		return nil, nil, err
	}
	d.steps = planned.Steps
	return d, failures, nil
}

// Text makes a message of a text of the user's own. It stands in no thread.
func (s *Setup) Text(space, text string) (*Draft, error) {
	i, _, err := s.space(space)
	if err != nil {
		return nil, err
	}
	m, notes, ok := render.Text(text, door(&s.config.Spaces[i]))
	if !ok {
		return nil, errors.New("the text is empty")
	}
	body, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode a message: %w", err)
	}
	d := &Draft{Space: space, Door: door(&s.config.Spaces[i]), steps: []delivery.Step{{Action: delivery.Create, Body: body, RequestID: rand.Text()}}}
	for _, n := range notes {
		d.Remarks = append(d.Remarks, n.String())
	}
	return d, nil
}

// space returns the space with that name and its index in the config, or an
// error that lists those there are.
func (s *Setup) space(name string) (int, *delivery.Space, error) {
	for i := range s.config.Spaces {
		if s.config.Spaces[i].Name == name {
			return i, s.spaces[name], nil
		}
	}
	return 0, nil, fmt.Errorf("no space of the config is called %q; there are: %s", name, strings.Join(slices.Sorted(maps.Keys(s.spaces)), ", "))
}

// PayloadError is a payload that cannot be read, with the place.
type PayloadError struct {
	Line, Column int // from 1 on, the column in bytes
	Err          error
}

// Error returns the line and the cause.
func (e *PayloadError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns the cause.
func (e *PayloadError) Unwrap() error { return e.Err }

// decodePayload reads a payload. Where it fails at a place, its error is a
// [PayloadError].
func decodePayload(body []byte) (*alert.Payload, error) {
	p, err := alert.Decode(body)
	offset := int64(0)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		offset = syntax.Offset
	} else if value, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		offset = value.Offset
	}
	if offset = min(offset, int64(len(body))); offset > 0 {
		before := body[:offset]
		column := len(before) - 1 - bytes.LastIndexByte(before, '\n')
		return nil, &PayloadError{Line: 1 + bytes.Count(before, []byte("\n")), Column: max(column, 1), Err: err}
	}
	return p, err
}

// at returns a sentence behind the place that it is about: with its line where
// it is a string of the space with the given index, "spaces[ops].card.title".
func (s *Setup) at(i int, n render.Note) string {
	if path := configPath(s.config, i, n.Where); path != n.Where {
		return s.config.Fault(path, n.What).String()
	}
	return n.String()
}

// failure returns what is to be said of a template that failed.
func (s *Setup) failure(i int, f *render.Failure) string {
	sentence := s.failureFault(i, f, f.Cause).String()
	if f.Near != "" {
		sentence += "\n    " + f.Near
	}
	return sentence
}
