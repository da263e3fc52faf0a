package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Create is a new message for a space.
type Create struct {
	Body      json.RawMessage // a [Message] as JSON, its thread included
	RequestID string          // makes the write idempotent where Chat honours it
	// MessageID is a name of the sender's own, "client-…" of at most 63 lower-case
	// letters, digits and hyphens, by which an app can edit the message later. It
	// is empty for none; a webhook does without.
	MessageID string
	Threaded  bool // whether the body names a thread
	// Sent is called when the request has been written, for who keeps a pace:
	// before that, a connection may have taken its time. It is not called for a
	// request that never gets so far. It may be nil.
	Sent func()
}

// Edit is a change of a message in place.
type Edit struct {
	Name string          // "spaces/S/messages/M"
	Body json.RawMessage // a [Message] as JSON: its text and cards replace the old
	// Remake lets a message that is gone be made anew, with the same name. It
	// must be one that its sender gave: "spaces/S/messages/client-…".
	Remake bool
	Sent   func() // as in [Create]
}

// Receipt is what Chat says of a message that it took.
type Receipt struct {
	Message string // "spaces/S/messages/M"
	Thread  string // "spaces/S/threads/T"
}

// Outcome says what is known of a failed attempt.
type Outcome int

// The outcomes of a failed attempt.
const (
	// Unknown: it may have happened (a timeout, a reset, a 5xx). The same
	// bytes and request id may be sent again.
	Unknown Outcome = iota
	// NotDone: it surely did not happen, and may pass later (429, connection
	// refused, an unreadable URL file).
	NotDone
	// Denied: Chat refuses the caller, whatever the message (401, 403, 404, a
	// bad API key). It passes when somebody mends the destination.
	Denied
	// BadThread: Chat refuses the thread of the message.
	BadThread
	// Refused: Chat refuses the message for good.
	Refused
	// Exists: there is a message with this MessageID already. What it says is
	// another matter.
	Exists
	// Gone: the message that was to be edited is not there.
	Gone
)

// Error is a failed attempt. Its text holds no secret: neither the URL's query
// nor what could repeat it.
type Error struct {
	Outcome    Outcome
	Code       string        // for metrics: the HTTP status, or "timeout", "connection", "response", "config", "token"
	Reason     string        // one line for people: what Chat or the network said
	RetryAfter time.Duration // what Chat asked for; 0 when it did not
}

// AsError returns err as an [Error]. One of another type says nothing of the
// outcome.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Outcome: Unknown, Code: codeConnection, Reason: err.Error()}
}

// Error returns the reason, behind the HTTP status where there is one.
func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Code, e.Reason) }
