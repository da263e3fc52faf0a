package incident

import (
	"slices"
	"time"

	"github.com/prometheus/alertmanager/template"

	"alertchat/receiver/alert"
)

// Options say what a space wants to be told.
type Options struct {
	SendResolved bool // whether ends are told
	DropRepeats  bool // whether repeats are not told
}

// Folded says why a notification was not told by a message of its own.
type Folded string

// The reasons for which notifications are folded away.
const (
	FoldedDuplicate  Folded = "duplicate"  // a copy
	FoldedLate       Folded = "late"       // overtaken by what is known
	FoldedSuperseded Folded = "superseded" // its news is in the telling of a later one
	FoldedUnwanted   Folded = "unwanted"   // a repeat or an end that the config does not want told
)

// Outcome is what becomes of a group's waiting notifications.
type Outcome struct {
	// State is what is known once the telling is told. Changed reports whether
	// it differs from what was known.
	State   State
	Changed bool
	// Telling is nil where there is nothing to tell.
	Telling *Telling
	// Taken is how many of the notifications, from the first on, this is the
	// outcome of. The rest comes after it.
	Taken  int
	Folded map[Folded]int
}

// Fold makes one telling of a group's waiting notifications, the oldest first.
// Copies fall out; whatever fired or ended is in the telling, also what did
// both in between. Where an incident that was told ends and another begins,
// Fold stops between the two, so that each is told in its own thread.
func Fold(s State, waiting []Notification, o Options) Outcome {
	out := Outcome{State: s, Folded: make(map[Folded]int)}
	var f fold
	for _, n := range waiting {
		next, m := Apply(out.State, n)
		if m.Began && f.last != nil && s.Told && out.State.ID == s.ID {
			break
		}
		out.Taken++
		switch m.Effect {
		case Duplicate:
			out.Folded[FoldedDuplicate]++
			continue
		case Late:
			out.Folded[FoldedLate]++
			continue
		case News, Reminder:
		}
		if f.last != nil {
			out.Folded[FoldedSuperseded]++
		}
		f.add(n, m)
		out.State, out.Changed = next, true
	}
	if f.last == nil {
		return out
	}
	t, fired := f.telling(s, out.State)
	if t.Kind == Repeat {
		out.State.Repeat++
		t.Repeat = out.State.Repeat
	}
	if t.Kind == Repeat && o.DropRepeats || !o.SendResolved && !t.dropEnds(fired) {
		out.Folded[FoldedUnwanted]++
		return out
	}
	out.State.Told = true
	out.Telling = t
	return out
}

// fold collects what the notifications of one telling say.
type fold struct {
	first, last *Notification
	episodes    map[episode]*change
	order       []episode
}

// change is an alert that fired or ended while it waited, as last heard of.
type change struct {
	alert        template.Alert
	fired, ended bool
}

func (f *fold) add(n Notification, m Meaning) {
	if f.first == nil {
		f.first = &n
		f.episodes = make(map[episode]*change)
	}
	f.last = &n
	mark := func(i int, fired bool) {
		a := &n.Payload.Alerts[i]
		e := episodeOf(a)
		c, ok := f.episodes[e]
		if !ok {
			c = &change{}
			f.episodes[e] = c
			f.order = append(f.order, e)
		}
		c.alert = *a
		c.fired, c.ended = c.fired || fired, c.ended || !fired
	}
	for _, i := range m.Fired {
		mark(i, true)
	}
	for _, i := range m.Ended {
		mark(i, false)
	}
}

// telling puts together what is to be told: the alerts of the last notification
// and what fired or ended before it. fired tells the alerts that fired, parallel
// to those of the payload.
func (f *fold) telling(before, after State) (t *Telling, fired []bool) {
	p := *f.last.Payload
	p.Alerts = f.current(p.Alerts, after)
	t = &Telling{
		Group: p.Group(), Payload: &p, Unknown: f.last.Unknown,
		ID: after.ID, StartedAt: after.StartedAt,
		ReceivedAt: f.first.ReceivedAt, LatestAt: f.last.ReceivedAt,
	}
	add := func(e episode) {
		c, ok := f.episodes[e]
		t.Changed, fired = append(t.Changed, ok), append(fired, ok && c.fired)
		delete(f.episodes, e)
	}
	for i := range p.Alerts {
		add(episodeOf(&p.Alerts[i]))
	}
	for _, e := range f.order {
		if c, ok := f.episodes[e]; ok {
			p.Alerts = append(p.Alerts, c.alert)
			add(e)
		}
	}
	for i := range p.Alerts {
		p.Alerts[i].Status = after.status(&p.Alerts[i])
	}
	p.Summarize()
	if after.Open {
		p.Status = alert.Firing // also where a late notification lists nothing that fires
	}
	t.Kind = kind(before, after, len(f.order) > 0, slices.Contains(fired, true))
	return t, fired
}

// current returns the alerts of the last notification as they are known. One that
// has fired anew since it was listed is of the later start, unless that is listed
// too, or it is news itself that it had fired or ended before.
func (f *fold) current(listed []template.Alert, after State) []template.Alert {
	here := make(map[episode]bool, len(listed))
	for i := range listed {
		here[episodeOf(&listed[i])] = true
	}
	alerts := make([]template.Alert, 0, len(listed))
	for _, a := range listed {
		k, ok := after.Alerts[a.Fingerprint]
		newer := episode{a.Fingerprint, k.StartsAt.UnixNano()}
		if ok && k.StartsAt.After(a.StartsAt) && !here[newer] && f.episodes[episodeOf(&a)] == nil {
			a.StartsAt, a.EndsAt = k.StartsAt, time.Time{}
			if k.Resolved {
				a.EndsAt = k.LearnedAt
			}
			if f.episodes[newer] != nil {
				continue // it comes with the news
			}
		}
		alerts = append(alerts, a)
	}
	return alerts
}

// status is that of an alert as far as it is known. What a telling shows must
// be what later notifications are held against.
func (s State) status(a *template.Alert) string {
	k, ok := s.Alerts[a.Fingerprint]
	switch {
	case !ok:
		return a.Status
	case k.StartsAt.Equal(a.StartsAt) && !k.Resolved:
		return alert.Firing
	case k.StartsAt.Before(a.StartsAt):
		return a.Status
	default:
		return alert.Resolved
	}
}

func kind(before, after State, changed, fired bool) Kind {
	told := before.Told && before.ID == after.ID
	switch {
	case !told && (fired || !changed || after.Open):
		return First
	case !changed:
		return Repeat
	case after.Open:
		return Change
	default:
		return End
	}
}

// dropEnds takes out the alerts that only ended and reports whether any alert
// is left that is worth a message. What fired is told even where it has ended
// since.
func (t *Telling) dropEnds(fired []bool) bool {
	alerts, changed := t.Payload.Alerts[:0], t.Changed[:0]
	news := t.Kind == First || t.Kind == Repeat
	for i, a := range t.Payload.Alerts {
		if a.Status == alert.Resolved && !fired[i] {
			continue
		}
		alerts, changed = append(alerts, a), append(changed, t.Changed[i])
		news = news || t.Changed[i]
	}
	if !news || len(alerts) == 0 {
		return false
	}
	t.Payload.Alerts, t.Changed = alerts, changed
	t.Payload.Summarize()
	return true
}
