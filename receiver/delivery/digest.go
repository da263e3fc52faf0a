package delivery

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"alertchat/receiver/alert"
	"alertchat/receiver/incident"
)

const (
	// overdue is how long a group may wait behind worse ones.
	overdue = time.Minute
	// enoughRefusals is how many digests Chat must refuse in a row, more than it
	// takes to find one group among a hundred, for none to be made for a while.
	enoughRefusals = 8
	noDigestsFor   = 10 * time.Minute
)

// digest merges stories, the oldest first, into one message: as many as fit,
// the worst first. Once the oldest is overdue it is the oldest ones that are told,
// so that nothing waits for ever behind what is worse. more is how many groups
// wait besides.
func (l *loop) digest(s *Space, place string, told []story, more int, now time.Time) (*Delivery, error) {
	if now.Sub(told[0].out.Telling.ReceivedAt) < overdue {
		slices.SortStableFunc(told, worse)
	}
	l.overflow = false
	all := len(told)
	told = l.together(told)
	more += all - len(told)
	if len(told) == 1 {
		return told[0].plan(s, place, now)
	}
	// Which ones fit is known only once they are rendered. Those stand worst
	// first as well.
	rendered := s.Renderer.Render(tellings(told), more, now)
	if fit := told[:rendered.Told]; !slices.IsSortedFunc(fit, worse) {
		slices.SortStableFunc(fit, worse)
		rendered = s.Renderer.Render(tellings(told), more, now)
	}
	l.overflow = rendered.Told < len(told)+more
	if told = told[:rendered.Told]; len(told) == 1 {
		return told[0].plan(s, place, now)
	}
	d := &Delivery{
		Space: s.Name, Place: place, Status: Planned, Title: rendered.Title, CreatedAt: now,
		folded: make(map[incident.Folded]int),
	}
	for i := range told {
		t := told[i].out.Telling
		if d.ReceivedAt.IsZero() || t.ReceivedAt.Before(d.ReceivedAt) {
			d.ReceivedAt = t.ReceivedAt
		}
		if t.LatestAt.After(d.LatestAt) {
			d.LatestAt = t.LatestAt
		}
		d.Covers = append(d.Covers, told[i].taken...)
		// The thread stays that of the group: a digest is nobody's. The message
		// that shows the group is edited after it.
		k := Known{Group: told[i].group, State: told[i].out.State, ThreadBefore: told[i].out.State.Thread}
		if s.Edits && isShown(k.State.Thread, place) {
			shown := s.Renderer.Render([]incident.Telling{*t}, 0, now)
			if err := d.update(&k.State.Thread, shown.Messages, shown.Title); err != nil {
				return nil, err
			}
		}
		d.Known = append(d.Known, k)
		for reason, n := range told[i].out.Folded {
			d.folded[reason] += n
		}
	}
	var err error
	d.Steps, err = steps(rendered.Messages, Create, incident.Thread{}, "")
	return d, err
}

func tellings(told []story) []incident.Telling {
	out := make([]incident.Telling, len(told))
	for i := range told {
		out[i] = *told[i].out.Telling
	}
	return out
}

// worse orders stories for display.
func worse(a, b story) int { return incident.WorseTelling(a.out.Telling, b.out.Telling) }

// together returns those of the stories that may be told in one message, as
// far as it is known which digests Chat refuses.
func (l *loop) together(told []story) []story {
	if len(l.apart) == 0 {
		return told
	}
	var out []story
	most := len(told)
	for i := range told {
		limit, ok := l.apart[told[i].group]
		if limit = cmp.Or(limit, most); ok && len(out) >= limit || len(out) >= most {
			continue
		}
		most = min(most, limit)
		out = append(out, told[i])
	}
	return out
}

// takeApart takes back a digest that Chat does not take. Its groups are told in
// smaller ones, in the end alone, until the one at fault is found.
func (l *loop) takeApart(ctx context.Context, d *Delivery) error {
	if len(l.apart) == 0 {
		l.m.log.Warn("Google Chat does not take a digest; its groups are told in smaller ones",
			"space", d.Space, "title", d.Title, "groups", len(d.Known), "err", d.Error)
	}
	if err := l.m.store.Thaw(ctx, l.lease, d); err != nil {
		return err
	}
	for _, k := range d.Known {
		l.apart[k.Group] = len(d.Known) / 2
	}
	l.remove(d)
	if l.inRow++; l.inRow >= enoughRefusals {
		l.inRow, l.single = 0, time.Now().Add(noDigestsFor)
	}
	return nil
}

// joined forgets that a delivery's groups were in a digest that was refused.
func (l *loop) joined(d *Delivery) {
	maps.DeleteFunc(l.apart, func(g alert.Group, _ int) bool {
		return slices.ContainsFunc(d.Known, func(k Known) bool { return k.Group == g })
	})
}
