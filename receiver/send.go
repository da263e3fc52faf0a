package receiver

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"alertchat/receiver/chat"
	"alertchat/receiver/config"
	"alertchat/receiver/delivery"
)

// The wait after a first failed attempt of [Setup.Send], which doubles, and the
// longest.
const (
	firstRetry = time.Second
	lastRetry  = 8 * time.Second
)

// SendError says why a message was not delivered.
type SendError struct {
	Space       string
	Destination string // the place in the config that says where the messages go
	Door        chat.Door
	Delivered   int // how many messages were
	Messages    int // how many there are
	// InDoubt reports whether an attempt's outcome is unknown: the message may
	// be in Chat all the same.
	InDoubt bool
	Err     *chat.Error // of the last attempt
}

// Error returns the last attempt's reason, and which message it was of.
func (e *SendError) Error() string {
	which := ""
	if e.Messages > 1 {
		which = fmt.Sprintf("message %d of %d: ", e.Delivered+1, e.Messages)
	}
	return "send to " + e.Space + ": " + which + e.Err.Error()
}

// Unwrap returns the error of the last attempt.
func (e *SendError) Unwrap() error { return e.Err }

// Send delivers a draft right now, without the store: one message after the
// other at the space's pace. What may pass is tried again until ctx ends. sent
// is called with the receipt of each message; one that Chat had taken before
// has no names. The error is a [SendError].
func (s *Setup) Send(ctx context.Context, d *Draft, sent func(chat.Receipt)) error {
	i, space, err := s.space(d.Space)
	if err != nil {
		return err
	}
	w := sender{space: space, pace: time.Duration(float64(time.Second) / space.Rate)}
	for done := range d.steps {
		receipt, err := w.deliver(ctx, d.steps[done])
		if err != nil {
			return &SendError{
				Space: d.Space, Destination: s.destination(i), Door: door(&s.config.Spaces[i]),
				Delivered: done, Messages: len(d.steps), InDoubt: w.doubt, Err: err,
			}
		}
		sent(receipt)
	}
	return nil
}

// destination returns the place in the config that says where the messages of
// the space with the given index go.
func (s *Setup) destination(i int) string {
	if s.config.Spaces[i].App != nil {
		f := s.config.Fault(fmt.Sprintf("spaces[%d].app", i), "")
		return config.Fault{File: f.File, Line: f.Line, Message: f.Path}.String()
	}
	if file := s.config.Spaces[i].WebhookURLFile; file != "" {
		return s.config.Fault(fmt.Sprintf("spaces[%d].webhook_url_file", i), file).String()
	}
	f := s.config.Fault(fmt.Sprintf("spaces[%d].webhook_url", i), "")
	return config.Fault{File: f.File, Line: f.Line, Message: f.Path}.String()
}

// sender makes the attempts of one Send.
type sender struct {
	space *delivery.Space
	pace  time.Duration
	next  time.Time // when the pace allows another attempt
	doubt bool      // whether an attempt at the step at hand has an unknown outcome
}

// deliver attempts a step until Chat took it, until it never will, or until
// ctx ends.
func (w *sender) deliver(ctx context.Context, step delivery.Step) (chat.Receipt, *chat.Error) {
	w.doubt = false
	var failure *chat.Error
	wait := time.Duration(0)
	for retry := firstRetry; ; retry = min(2*retry, lastRetry) {
		if !rest(ctx, max(wait, time.Until(w.next))) {
			if failure == nil {
				failure = &chat.Error{Outcome: chat.NotDone, Code: "timeout", Reason: "its turn did not come in time"}
			}
			return chat.Receipt{}, failure
		}
		var receipt chat.Receipt
		if receipt, failure = w.attempt(ctx, step); failure == nil {
			return receipt, nil
		}
		wait = max(retry/2+rand.N(retry/2), failure.RetryAfter) //nolint:gosec // jitter is no secret
		switch failure.Outcome {
		case chat.Unknown:
			w.doubt = true
		case chat.NotDone:
			if failure.Code == "config" {
				return chat.Receipt{}, failure
			}
		case chat.BadThread:
			unthreaded, err := step.Unthreaded()
			if err != nil || !step.Threaded {
				return chat.Receipt{}, failure
			}
			step, wait = unthreaded, 0
		case chat.Denied, chat.Refused, chat.Exists, chat.Gone:
			return chat.Receipt{}, failure
		}
	}
}

// attempt makes one request, and reserves the pace after it.
func (w *sender) attempt(ctx context.Context, step delivery.Step) (chat.Receipt, *chat.Error) {
	ctx, cancel := w.space.WithTimeout(ctx)
	defer cancel()
	receipt, err := w.space.Chat.Create(ctx, chat.Create{Body: step.Body, RequestID: step.RequestID, Threaded: step.Threaded})
	w.next = time.Now().Add(w.pace)
	if err == nil {
		return receipt, nil
	}
	return chat.Receipt{}, chat.AsError(err)
}

// rest waits, and reports whether ctx lasts until then. It does not wait where
// ctx will surely end before.
func rest(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= d {
		return false
	}
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
