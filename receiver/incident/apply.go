package incident

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/template"

	"alertchat/receiver/alert"
)

// Notification is one notification as the state machine sees it.
type Notification struct {
	Payload    *alert.Payload
	Unknown    string    // see [alert.Notification]
	ReceivedAt time.Time // the machine's only clock
}

// Effect is what a notification does to what is known.
type Effect string

// The effects of a notification.
const (
	News      Effect = "news"      // an alert fired or ended
	Reminder  Effect = "reminder"  // nothing changed, and it is no copy
	Duplicate Effect = "duplicate" // a copy of what was heard lately
	Late      Effect = "late"      // a copy of what has been overtaken since
)

// Meaning is what a notification says to somebody who knows the state.
type Meaning struct {
	Effect Effect
	Began  bool // whether an incident began with it
	// Fired and Ended are the indices of the payload's alerts that did so.
	Fired, Ended []int
}

// Apply says what a notification means, given what is known, and what is known
// afterwards. A copy changes nothing: applied twice, a notification is a
// [Duplicate] or [Late] the second time. s is not modified.
func Apply(s State, n Notification) (State, Meaning) {
	known := s.fresh(n.ReceivedAt)
	m := compare(known, n)
	if len(m.Fired)+len(m.Ended) == 0 {
		m.Effect = known.unchanged(n)
		if m.Effect != Reminder {
			return s, m
		}
	}
	next := known
	next.Alerts = maps.Clone(known.Alerts)
	if next.Alerts == nil {
		next.Alerts = make(map[string]Alert, len(n.Payload.Alerts))
	}
	next.HeardAt = n.ReceivedAt
	if m.Effect == Reminder {
		next.RepeatedAt = n.ReceivedAt
		next.miss(n)
		return next, m
	}
	m.Effect = News
	fires := len(m.Fired) > 0 || n.Payload.TruncatedAlerts > 0
	// With alerts left out, none at hand may be of the incident all the same.
	m.Began = fires && (!known.Open || n.Payload.TruncatedAlerts == 0 && !known.shares(n))
	if m.Began || !known.Open && !known.shares(n) {
		next.begin(n)
	}
	for _, indices := range [][]int{m.Fired, m.Ended} {
		for _, i := range indices {
			a := &n.Payload.Alerts[i]
			next.Alerts[a.Fingerprint] = Alert{
				StartsAt: a.StartsAt, Resolved: a.Status == alert.Resolved, LearnedAt: n.ReceivedAt,
			}
		}
	}
	next.miss(n)
	next.Open = (known.Open || m.Began) && (n.Payload.TruncatedAlerts > 0 || next.firing() > 0)
	return next, m
}

// fresh returns the state without what is too old to matter at the given time.
// The alerts are copied only where some are dropped.
func (s State) fresh(now time.Time) State {
	if s.Open && now.Sub(s.HeardAt) > MaxSilence {
		return State{ID: s.ID}
	}
	old := func(_ string, a Alert) bool { return a.Resolved && now.Sub(a.LearnedAt) > resolvedMemory }
	for fp, a := range s.Alerts {
		if old(fp, a) {
			s.Alerts = maps.Clone(s.Alerts)
			maps.DeleteFunc(s.Alerts, old)
			break
		}
	}
	return s
}

// compare finds the alerts that fired or ended. Each alert is looked at alone,
// but for those that fire at the start at which they had been resolved: what
// else the notification says tells whether it is a late copy.
func compare(s State, n Notification) Meaning {
	var m Meaning
	var late, back []int // resolved at that start lately; gone, and listed again
	for i := range n.Payload.Alerts {
		a := &n.Payload.Alerts[i]
		resolved := a.Status == alert.Resolved
		k, ok := s.Alerts[a.Fingerprint]
		switch {
		case ok && a.StartsAt.Before(k.StartsAt):
			continue
		case ok && a.StartsAt.Equal(k.StartsAt):
			switch {
			case resolved && k.Resolved && !k.Gone, !resolved && !k.Resolved:
				continue
			case !resolved && k.Gone && near(n.ReceivedAt, k.LearnedAt, CopyWindow):
				back = append(back, i)
				continue
			// Prometheus that was cut off for a while resolves and fires again
			// with the same start; so does a copy that comes late.
			case !resolved && near(n.ReceivedAt, k.LearnedAt, CopyWindow):
				late = append(late, i)
				continue
			}
		}
		if resolved {
			m.Ended = append(m.Ended, i)
		} else {
			m.Fired = append(m.Fired, i)
		}
	}
	news := len(m.Fired)+len(m.Ended) > 0
	if news || len(late) == 0 && s.listsFiring(n.Payload) {
		m.Fired = append(m.Fired, back...)
	}
	if news {
		// A copy brings no other news. So this is how things are now.
		m.Fired = append(m.Fired, late...)
	}
	slices.Sort(m.Fired)
	return m
}

// near reports whether two moments are less than a window apart. The later one
// may seem the earlier: clocks are set back.
func near(a, b time.Time, window time.Duration) bool { return a.Sub(b).Abs() < window }

// listsFiring reports whether the payload has all alerts that are known to
// fire. A copy from before one of them has not.
func (s State) listsFiring(p *alert.Payload) bool {
	n := 0
	for i := range p.Alerts {
		if k, ok := s.Alerts[p.Alerts[i].Fingerprint]; ok && !k.Resolved {
			n++
		}
	}
	return p.TruncatedAlerts > 0 || n == s.firing()
}

// unchanged tells copies from reminders where no alert changed.
func (s State) unchanged(n Notification) Effect {
	recent := near(n.ReceivedAt, s.HeardAt, CopyWindow)
	same := s.sameFiring(n.Payload)
	switch {
	case !s.Open || n.Payload.Status == alert.Resolved:
		if recent && same {
			return Duplicate
		}
		return Late
	case n.Payload.NotificationReason == alert.ReasonRepeat:
		if near(n.ReceivedAt, s.RepeatedAt, RepeatCopyWindow) {
			return Duplicate
		}
		if recent && !same {
			return Late
		}
		return Reminder
	case recent && same:
		return Duplicate
	case recent:
		return Late
	default:
		return Reminder
	}
}

// sameFiring reports whether the payload has just the alerts firing that are
// known to fire. Where Alertmanager left some out, those at hand are enough.
func (s State) sameFiring(p *alert.Payload) bool {
	n := 0
	for i := range p.Alerts {
		if p.Alerts[i].Status == alert.Resolved {
			continue
		}
		if k, ok := s.Alerts[p.Alerts[i].Fingerprint]; !ok || k.Resolved {
			return false
		}
		n++
	}
	return p.TruncatedAlerts > 0 || n == s.firing()
}

func (s State) firing() int {
	n := 0
	for _, a := range s.Alerts {
		if !a.Resolved {
			n++
		}
	}
	return n
}

// shares reports whether the notification has an alert of the incident. An
// alert that fires anew, from a later start, is another one: it must not be
// told in a thread that nobody looks at any more.
func (s State) shares(n Notification) bool {
	for i := range n.Payload.Alerts {
		a := &n.Payload.Alerts[i]
		if k, ok := s.Alerts[a.Fingerprint]; ok && k.StartsAt.Equal(a.StartsAt) {
			return true
		}
	}
	return false
}

// begin starts another incident. What still fired in the one before it is over.
func (s *State) begin(n Notification) {
	for fp, a := range s.Alerts {
		if !a.Resolved {
			s.Alerts[fp] = Alert{StartsAt: a.StartsAt, Resolved: true, Gone: true, LearnedAt: n.ReceivedAt}
		}
	}
	first := alert.Earliest(n.Payload.Alerts)
	*s = State{
		ID: identify(n.Payload.Group(), first, s.ID), StartedAt: first,
		HeardAt: s.HeardAt, Alerts: s.Alerts,
		// An id can come again, after that of another incident; those of messages must not.
		Thread: Thread{Messages: s.Thread.Messages},
	}
	if s.StartedAt.IsZero() {
		s.StartedAt = n.ReceivedAt
	}
}

// miss takes the firing alerts that a whole notification does not have as
// over: Alertmanager lists all of a group, so they were silenced, inhibited or
// forgotten, and their end is never sent. A notification that is older than
// such an alert's start says nothing of it.
func (s *State) miss(n Notification) {
	if n.Payload.TruncatedAlerts > 0 {
		return
	}
	var latest time.Time
	here := make(map[string]bool, len(n.Payload.Alerts))
	for i := range n.Payload.Alerts {
		a := &n.Payload.Alerts[i]
		here[a.Fingerprint] = true
		for _, t := range []time.Time{a.StartsAt, a.EndsAt} {
			// The end of a firing alert is the zero time, or one in the future.
			if t.After(latest) && (a.Status == alert.Resolved || t.Equal(a.StartsAt)) {
				latest = t
			}
		}
	}
	for fp, a := range s.Alerts {
		if !a.Resolved && !here[fp] && !a.StartsAt.After(latest) {
			s.Alerts[fp] = Alert{StartsAt: a.StartsAt, Resolved: true, Gone: true, LearnedAt: n.ReceivedAt}
		}
	}
}

// identify computes an incident's id from the group and its earliest alert, so
// that the end of an incident of which nothing is stored mostly finds its
// thread. The incident before it, if it had the same, puts a number behind it.
func identify(g alert.Group, first time.Time, before string) string {
	h := sha256.New()
	for _, part := range []string{g.Receiver, g.Key, first.UTC().Format(time.RFC3339Nano)} {
		h.Write([]byte(strconv.Itoa(len(part)) + ":" + part))
	}
	id := hex.EncodeToString(h.Sum(nil)[:10])
	base, number, _ := strings.Cut(before, "-")
	if base != id {
		return id
	}
	n, err := strconv.Atoi(number)
	if err != nil {
		n = 1
	}
	return id + "-" + strconv.Itoa(n+1)
}

// episode names one firing of one alert.
type episode struct {
	fingerprint string
	startsAt    int64
}

func episodeOf(a *template.Alert) episode {
	return episode{a.Fingerprint, a.StartsAt.UnixNano()}
}
