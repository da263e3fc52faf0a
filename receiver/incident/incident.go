// Package incident says what a notification means for its group: whether it
// brings news, repeats, or is a copy, and what a space is to be told.
//
// It is a pure state machine. Given what is known of a group in a space and a
// notification, it returns the meaning and what is known afterwards. It has no
// clock and does no I/O: the time is that at which a notification was received.
package incident

import (
	"cmp"
	"time"

	"github.com/prometheus/alertmanager/template"

	"alertchat/receiver/alert"
)

// How long copies, memories and incidents last.
const (
	// CopyWindow is how long an equal notification counts as a copy (an HA
	// pair, a lost answer, a restarted Alertmanager), and how long a firing
	// alert that was resolved at the same start counts as a late one.
	CopyWindow = 10 * time.Minute
	// RepeatCopyWindow is the same for a notification whose reason says that
	// the repeat interval elapsed: long enough for the copies of an HA pair
	// (15 s for each peer), short enough for a short repeat interval.
	RepeatCopyWindow = time.Minute
	// MaxSilence ends an incident of which nothing was heard.
	MaxSilence = 30 * 24 * time.Hour
	// resolvedMemory is how long a resolved alert is remembered: Prometheus
	// sends it again for 15 minutes.
	resolvedMemory = time.Hour
)

// State is what is known of a group in a space. The zero value knows nothing.
// Its JSON is the stored form.
type State struct {
	// ID names the incident; it is kept after the incident's end. It is
	// computed from the group and its earliest alert.
	ID        string    `json:"id,omitempty"`
	Open      bool      `json:"open,omitempty"`
	Told      bool      `json:"told,omitempty"` // whether the space was told anything of this incident
	StartedAt time.Time `json:"startedAt,omitzero"`
	Repeat    int       `json:"repeat,omitempty"` // how many repeats there were
	// HeardAt is when the last notification arrived that was no copy, and
	// RepeatedAt when the last repeat did.
	HeardAt    time.Time `json:"heardAt,omitzero"`
	RepeatedAt time.Time `json:"repeatedAt,omitzero"`
	// Alerts are the alerts known, by fingerprint: those that fire, and those
	// that were resolved lately, so that a late copy is known as one.
	Alerts map[string]Alert `json:"alerts,omitempty"`
	Thread Thread           `json:"thread,omitzero"`
}

// Alert is what is known of one alert.
type Alert struct {
	StartsAt time.Time `json:"startsAt"`
	Resolved bool      `json:"resolved,omitempty"`
	// Gone says that nobody told its end: it was only no longer listed. It is
	// over until it is listed again.
	Gone bool `json:"gone,omitempty"`
	// LearnedAt is when the notification arrived that said so.
	LearnedAt time.Time `json:"learnedAt"`
}

// Thread is where an incident is told in Google Chat.
type Thread struct {
	Place string `json:"place,omitempty"` // the Google space, "spaces/AAAA"
	Key   string `json:"key,omitempty"`   // the thread key that started it; empty without threads
	Name  string `json:"name,omitempty"`  // the thread's name in Chat, once known
	// Message is the name of the message that changes edit, and Parts of how many
	// it is the first. They are empty where nothing is edited.
	Message string `json:"message,omitempty"`
	Parts   int    `json:"parts,omitempty"`
	// Messages is how many messages of their own the group's incidents have had:
	// a first one, one for each repeat, and each that took the place of a deleted
	// one.
	Messages int `json:"messages,omitempty"`
}

// Kind is what a telling is to its incident.
type Kind string

// The kinds of tellings.
const (
	First  Kind = "first"  // an incident not told before: a new message, which starts the thread
	Change Kind = "change" // something fired or ended, and the incident goes on
	End    Kind = "end"    // all that is known is resolved
	Repeat Kind = "repeat" // nothing changed, but people are to be reminded
)

// Telling is one group's news since its space was last told.
type Telling struct {
	Group alert.Group
	Kind  Kind
	// Payload is the latest one, with what fired or ended while waiting added
	// to its alerts, its common labels and annotations computed over all.
	Payload *alert.Payload
	// Changed tells the alerts that fired or ended since the last telling,
	// parallel to Payload.Alerts.
	Changed []bool
	// Unknown is the name of a space that was asked for and is not in the
	// config; usually empty.
	Unknown   string
	ID        string    // of the incident
	StartedAt time.Time // the incident's first start
	Repeat    int       // 0 for all but repeats, then 1, 2, …
	// ReceivedAt and LatestAt are when the oldest and the newest notification
	// of the telling arrived.
	ReceivedAt, LatestAt time.Time
}

// Severity returns the worst value of the label severity among the firing
// alerts, or among all where none fires. It is empty where no alert has one.
func (t *Telling) Severity() string {
	worst, found := "", false
	for _, firing := range []bool{true, false} {
		for i := range t.Payload.Alerts {
			a := &t.Payload.Alerts[i]
			if firing && a.Status != alert.Firing {
				continue
			}
			if s := a.Labels["severity"]; !found || Rank(s) < Rank(worst) {
				worst, found = s, true
			}
		}
		if found {
			break
		}
	}
	return worst
}

// Rank orders the usual values of the label severity, the worst first. Unknown
// ones stand between warnings and information.
func Rank(severity string) int {
	switch severity {
	case "page", "critical", "emergency", "fatal", "disaster":
		return 0
	case "error", "major", "high":
		return 1
	case "warning", "warn", "average", "minor":
		return 2
	case "info", "information", "informational", "notice", "low", "none", "debug":
		return 4
	default:
		return 3
	}
}

// Worse orders alerts for display: firing before resolved, the most severe
// first, then the oldest.
func Worse(a, b template.Alert) int {
	if a.Status != b.Status {
		if a.Status == alert.Firing {
			return -1
		}
		return 1
	}
	if d := Rank(a.Labels["severity"]) - Rank(b.Labels["severity"]); d != 0 {
		return d
	}
	return a.StartsAt.Compare(b.StartsAt)
}

// WorseTelling orders tellings for display as [Worse] does alerts: what fires
// before what is resolved, the most severe first, then the oldest.
func WorseTelling(a, b *Telling) int {
	if a.Payload.Status != b.Payload.Status {
		if a.Payload.Status == alert.Firing {
			return -1
		}
		return 1
	}
	return cmp.Or(Rank(a.Severity())-Rank(b.Severity()), a.StartedAt.Compare(b.StartedAt))
}
