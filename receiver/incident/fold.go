package incident

import (
	"slices"

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
	t := f.telling(s, out.State)
	if t.Kind == Repeat {
		out.State.Repeat++
		t.Repeat = out.State.Repeat
	}
	if t.Kind == Repeat && o.DropRepeats || !o.SendResolved && !t.dropEnds() {
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
// and what fired or ended before it.
func (f *fold) telling(before, after State) *Telling {
	p := *f.last.Payload
	p.Alerts = slices.Clone(p.Alerts)
	t := &Telling{
		Group: p.Group(), Payload: &p, Unknown: f.last.Unknown,
		ID: after.ID, StartedAt: after.StartedAt,
		ReceivedAt: f.first.ReceivedAt, LatestAt: f.last.ReceivedAt,
		Changed: make([]bool, len(p.Alerts)),
	}
	fired := false
	for i := range p.Alerts {
		e := episodeOf(&p.Alerts[i])
		if c, ok := f.episodes[e]; ok {
			t.Changed[i] = true
			fired = fired || c.fired
			delete(f.episodes, e)
		}
	}
	for _, e := range f.order {
		c, ok := f.episodes[e]
		if !ok {
			continue
		}
		// It fired and is not listed any more: nobody will send its end.
		c.alert.Status = alert.Resolved
		p.Alerts = append(p.Alerts, c.alert)
		t.Changed = append(t.Changed, true)
		fired = fired || c.fired
	}
	p.Summarize()
	t.Kind = kind(before, after, len(f.order) > 0, fired)
	return t
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
// is left that is worth a message.
func (t *Telling) dropEnds() bool {
	if t.Kind == End {
		return false
	}
	alerts, changed := t.Payload.Alerts[:0], t.Changed[:0]
	news := t.Kind != Change
	for i, a := range t.Payload.Alerts {
		if a.Status == alert.Resolved && t.Kind != First {
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
