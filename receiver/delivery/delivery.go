// Package delivery brings tellings to Google Chat: one loop for each space
// plans the next message, freezes it in the store, attempts it, and keeps the
// order, the pace and the retries.
package delivery

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat"
	"alertchat/receiver/incident"
)

// Status is where a delivery stands.
type Status string

// The statuses of a delivery. Only Planned ones are still to be attempted.
const (
	// Planned deliveries are frozen: stored before their first attempt.
	Planned Status = "planned"
	// Done deliveries are in Google Chat.
	Done Status = "done"
	// Dead deliveries are given up and kept for people to look at.
	Dead Status = "dead"
)

// ErrLeaseLost says that a write came with a lease that is no longer held: the
// loops must stop, and begin anew with the next lease.
var ErrLeaseLost = errors.New("the lease is lost")

// ErrGone says that a delivery is not stored any more: the database is another
// one, or an older one. What it covered waits again, if it is there.
var ErrGone = errors.New("the delivery is not stored any more")

// Reason says why a delivery is dead.
type Reason string

// The reasons for which a delivery dies.
const (
	Rejected     Reason = "rejected"      // Chat refused it for good, the built-in text message too
	Expired      Reason = "expired"       // it could not be delivered within max_age
	SpaceRemoved Reason = "space_removed" // its space is gone from the config
)

// Action is what a step does in Google Chat.
type Action string

// The actions of a step.
const (
	Create Action = "create" // a new message in the timeline, which may start a thread
	Reply  Action = "reply"  // a message in the incident's thread
	Edit   Action = "edit"   // a change of a message in place
)

// Delivery is a planned message, or several in one thread where the alerts do
// not fit one, until it is done or dead. After that it is history.
//
// Most tell of one group. A digest tells of several. One that tells of none
// stands alone: it is a notice of alertchat's own, was dead and is retried, or
// edits a message to what was told since. What it says cannot be planned anew.
type Delivery struct {
	ID     int64  // given by the store, never reused; 0 before that
	Space  string // the configured space's name
	Place  string // the Google space that it was planned for, "spaces/AAAA"
	Status Status
	Reason Reason // why it is dead; else empty
	Title  string // one plain line for people: what it tells
	Plain  bool   // whether it is the built-in text message after Chat refused the other
	Notice string // the space of which it tells this one, as its fallback; empty for all but notices
	Steps  []Step
	Later  []Update // what is edited once it is over, behind everything new
	Known  []Known  // what is known of the groups once it is done
	Covers []int64  // the notifications that it tells

	ReceivedAt time.Time // when the oldest notification that it covers arrived
	LatestAt   time.Time // when the newest did: its age counts from here
	CreatedAt  time.Time
	EndedAt    time.Time // when it was done or died; else zero
	Attempts   int       // HTTP requests made for it, as of the last time it was stored
	Error      string    // the last failure, without any secret; empty after success

	refusals int  // how often Chat itself answered that it cannot take it, in a row
	blamed   int  // how often another group's message passed while it stood aside
	tried    bool // whether an attempt's outcome is unknown: then its bytes must stay
	folded   map[incident.Folded]int
}

// Step is one write to Google Chat. Its body and request id never change once
// it is frozen: an attempt whose outcome is unknown is made again with both.
type Step struct {
	Action    Action          `json:"action"`
	Body      json.RawMessage `json:"body"`
	RequestID string          `json:"requestId,omitempty"`
	// MessageID is the id of the sender's own that a new message gets, so that it
	// can be edited, "client-…"; empty for none.
	MessageID string `json:"messageId,omitempty"`
	Threaded  bool   `json:"threaded,omitempty"` // whether the body names a thread
	Target    string `json:"target,omitempty"`   // the message that an edit changes
	Remake    bool   `json:"remake,omitempty"`   // whether an edit makes a message anew that is gone
	// Message and Thread are the names that Chat gave, once the step is done.
	Message string `json:"message,omitempty"`
	Thread  string `json:"thread,omitempty"`
	Done    bool   `json:"done,omitempty"`
}

// Update is what the messages of an incident are edited to. Its first step is
// an edit.
type Update struct {
	Title string // as in [Delivery]
	Steps []Step
}

// Known is what is known of a group in the delivery's space.
type Known struct {
	Group alert.Group    `json:"group"`
	State incident.State `json:"state"`
	// ThreadBefore is what holds in place of the state's if the delivery dies.
	ThreadBefore incident.Thread `json:"threadBefore,omitzero"`
}

// Died returns what is known of the group when the delivery has died. Its news
// was not told, so that whatever is heard next of the incident is: a repeat too.
func (k Known) Died() Known {
	k.State.Told, k.State.Thread = false, k.ThreadBefore
	return k
}

// isDigest reports whether the delivery tells of several groups.
func (d *Delivery) isDigest() bool { return len(d.Known) > 1 }

// standsAlone reports whether the delivery tells of no group.
func (d *Delivery) standsAlone() bool { return len(d.Known) == 0 }

// isEdit reports whether what is left of the delivery begins with an edit, which
// makes no noise. What is new goes first.
func (d *Delivery) isEdit() bool {
	next := max(slices.IndexFunc(d.Steps, func(s Step) bool { return !s.Done }), 0)
	// With an id, it is a new message that was there already.
	return d.Steps[next].Action == Edit && d.Steps[next].MessageID == ""
}

// isUpdate reports whether the delivery edits a message to what was told since.
func (d *Delivery) isUpdate() bool { return d.standsAlone() && d.isEdit() }

// isFinal reports whether nothing else can be sent in the delivery's place.
func (d *Delivery) isFinal() bool { return d.Plain || d.standsAlone() && !d.isUpdate() }

// Alone makes the delivery one that tells of no group, for who sends it once
// more when its groups have moved on: it changes no message, and nothing will
// change those that it makes.
func (d *Delivery) Alone() {
	d.Known, d.Covers, d.Later = nil, nil, nil
	for i := range d.Steps {
		s := &d.Steps[i]
		if s.Action == Edit {
			s.Action, s.RequestID = Create, rand.Text()
		}
		s.MessageID, s.Target, s.Remake = "", "", false
	}
}

// Waiting is a notification that no delivery covers, without its body.
type Waiting struct {
	ID    int64
	Group alert.Group
	Bytes int // how large its body is
}

// Undelivered is a notification that is not in Google Chat yet: it waits, or a
// planned delivery covers it.
type Undelivered struct {
	Waiting

	ReceivedAt time.Time
	Reported   bool // whether the fallback space was told of it
}

// Lease is the right to write for the loops. Each write of a loop carries it.
type Lease struct {
	// Epoch rises whenever the lease changes hands. The store refuses a write
	// with an old one with [ErrLeaseLost].
	Epoch int64
}

// Inbox is what waits for a space. All times have millisecond precision.
type Inbox interface {
	// Waiting returns up to limit notifications of the space that no delivery
	// covers, oldest (smallest ID) first.
	Waiting(ctx context.Context, space string, limit int) ([]Waiting, error)
	// Read returns the notifications with the given IDs in ascending order of
	// ID. One that is gone is left out.
	Read(ctx context.Context, ids []int64) ([]alert.Notification, error)
	// Discard removes notifications that are not to be told and stores what is
	// known afterwards, in one transaction.
	Discard(ctx context.Context, l Lease, space string, ids []int64, known []Known) error
}

// Outbox keeps deliveries. A delivery that stands in it as Planned covers its
// notifications: they no longer wait.
type Outbox interface {
	// Planned returns the space's planned deliveries, oldest first.
	Planned(ctx context.Context, space string) ([]*Delivery, error)
	// Save stores deliveries, all of them or none. A new one (ID 0) gets its ID
	// and from then on covers its notifications. One that is Done or Dead is
	// settled in the same transaction: what is known of its groups is stored and
	// the notifications that it covers are removed. It fails with [ErrGone] where
	// one was stored and is not there any more.
	Save(ctx context.Context, l Lease, ds ...*Delivery) error
	// Thaw forgets a planned delivery of which nothing can have happened. The
	// notifications that it covers wait again.
	Thaw(ctx context.Context, l Lease, d *Delivery) error
}

// Ledger is what is known of groups, and who may write it.
type Ledger interface {
	// Known returns what is known of groups in a space, parallel to them: the
	// zero state where that is nothing.
	Known(ctx context.Context, space string, groups []alert.Group) ([]incident.State, error)
	// Acquire returns the lease, waiting for it as long as another process or
	// a store that cannot be opened stands in the way.
	Acquire(ctx context.Context) (Lease, error)
	// Holds reports whether nobody else can have the lease for so long from now
	// on. Where it says no, that may pass: writes tell whether the lease is lost.
	Holds(l Lease, d time.Duration) bool
}

// Reports is what a fallback space is told of others.
type Reports interface {
	// Undelivered returns up to limit notifications of the space that are not
	// in Google Chat yet: first those of which the fallback space was not told,
	// then the others, each the oldest first.
	Undelivered(ctx context.Context, space string, limit int) ([]Undelivered, error)
	// Unreported returns up to limit dead deliveries of all spaces that no
	// fallback was told of, oldest first, without bodies, Known and Covers.
	// Those that report something themselves are not among them.
	Unreported(ctx context.Context, limit int) ([]*Delivery, error)
	// Report stores a new planned delivery that reports the notifications and
	// the dead deliveries with these IDs, and marks those as reported, in one
	// transaction. With nil for the delivery it only marks them.
	Report(ctx context.Context, l Lease, d *Delivery, notifications, dead []int64) error
}

// Healths keeps how spaces are doing, for the next process and for others.
type Healths interface {
	// Health returns how spaces are doing, by name: the last that was stored.
	Health(ctx context.Context) (map[string]Health, error)
	// SaveHealth stores how a space is doing.
	SaveHealth(ctx context.Context, l Lease, space string, h Health) error
}

// Estate is what spaces leave behind that are gone from the config.
type Estate interface {
	// Spaces returns the names of the spaces for which notifications wait or
	// deliveries are planned, sorted.
	Spaces(ctx context.Context) ([]string, error)
	// Adopt gives what waits for the space from to the space to, marked with
	// the name it was meant for, and lets from's planned deliveries die with
	// [SpaceRemoved]. What those covered is settled with them. It returns how
	// many notifications moved and how many deliveries died.
	Adopt(ctx context.Context, l Lease, from, to string) (moved, died int, err error)
}

// Threads says how a space's messages are threaded.
type Threads string

// The ways of threading.
const (
	ByIncident Threads = "incident" // an incident is a thread
	ByKey      Threads = "key"      // the renderer's thread key names the thread
	Unthreaded Threads = "none"     // each message stands alone
)

// Space is a destination as the config has it. It is never changed: a reload
// makes new ones.
type Space struct {
	Name     string
	Chat     Chat
	Renderer Renderer
	// Place is the Google space, "spaces/AAAA", as far as the config tells it:
	// that of a direct message is not known before [Chat.Find] has found it.
	Place   string
	Told    incident.Options
	Threads Threads
	Edits   bool          // whether changes of an incident edit its message
	Rate    float64       // messages a second
	Timeout time.Duration // of one attempt
	MaxAge  time.Duration // how long a delivery is tried
	// Digest is from how many waiting groups on they are told in one message;
	// 0 for never.
	Digest int
	// Fallback is the name of the space that is told what fires once this one
	// has failed for FallbackAfter, and what is dead; empty for none.
	Fallback      string
	FallbackAfter time.Duration
}

// WithTimeout bounds one attempt.
func (s *Space) WithTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, s.Timeout, fmt.Errorf("no answer within %s", s.Timeout))
}

// Chat is where a space's messages go. The errors are those of package chat.
type Chat interface {
	// Find returns the Google space that it writes to, "spaces/AAAA". It may have
	// to ask for it.
	Find(ctx context.Context) (string, error)
	// Create posts a new message.
	Create(ctx context.Context, c chat.Create) (chat.Receipt, error)
	// Edit changes a message in place.
	Edit(ctx context.Context, e chat.Edit) (chat.Receipt, error)
}

// Rendered is what a renderer makes of tellings.
type Rendered struct {
	Messages  []*chat.Message // at least one; several where the alerts do not fit one
	Told      int             // how many of the tellings, from the first on, they tell of
	Reply     *chat.Message   // of the end of an incident, for the thread of a message that is edited; else nil
	Moved     *chat.Message   // of a repeat, what the message before it is edited to; else nil
	ThreadKey string          // the key that a thread template gave; empty otherwise
	Title     string          // one plain line for people
}

// Renderer turns tellings into messages. It never fails: what cannot be
// rendered comes out as the built-in text message.
type Renderer interface {
	// Render renders the telling of one incident; or, of several, a digest: one
	// message of as many as fit it, at least one, in the order given. more is how
	// many groups wait besides them.
	Render(tellings []incident.Telling, more int, now time.Time) Rendered
	// Plain renders the built-in text message of one telling, which needs no
	// template. why is a short public sentence that it states.
	Plain(t incident.Telling, now time.Time, why string) Rendered
	// Notice renders a text message of alertchat's own, which needs no
	// template: a heading, then a line for each telling and each of lines, as
	// many as fit, and how many are left out.
	Notice(heading string, tellings []incident.Telling, lines []string, now time.Time) Rendered
}
