package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"alertchat/receiver/alert"
	"alertchat/receiver/incident"
)

const (
	// reportCheck is how often it is looked at what fallback spaces must be
	// told, and reportEvery how often at most one is told that another fails, or
	// of its dead deliveries: in one message with a count, not in a flood.
	reportCheck = 5 * time.Second
	reportEvery = time.Minute
	// reportLimit bounds of how many dead deliveries messages tell at once.
	reportLimit = 10_000
)

// report tells fallback spaces of others: what fires in one that has failed for
// long, that it is well again, and what was given up. It also stores how spaces
// are doing where that failed before.
func (m *Manager) report(ctx context.Context, lease Lease) error {
	m.mu.Lock()
	spaces := slices.SortedFunc(maps.Values(m.spaces), func(a, b *Space) int { return strings.Compare(a.Name, b.Name) })
	m.mu.Unlock()
	var errs []error
	for _, s := range spaces {
		m.remember(ctx, lease, s.Name)
		errs = append(errs, m.reportSpace(ctx, lease, s))
	}
	return errors.Join(append(errs, m.reportDead(ctx, lease))...)
}

// reportSpace tells a space's fallback how the space is doing, where it must
// know.
func (m *Manager) reportSpace(ctx context.Context, lease Lease, s *Space) error {
	health, to := m.healthOf(s.Name), m.space(s.Fallback)
	if health == nil || to == nil {
		return nil
	}
	h, now := health.get(), time.Now()
	if h.ReportedTo != to.Name {
		h.ReportedAt = time.Time{} // this one was told nothing yet
	}
	switch {
	case h.FailingSince.IsZero() && h.ReportedAt.IsZero():
		return nil
	case h.FailingSince.IsZero():
		return m.reportRecovery(ctx, lease, s, to, h)
	case elapsed(h.FailingSince, now) < s.FallbackAfter, elapsed(h.ReportedAt, now) < reportEvery:
		return nil
	}
	return m.reportFailure(ctx, lease, s, to, h, now)
}

// reportRecovery tells to that a space is well again, once nothing waits any
// more of what was told there.
func (m *Manager) reportRecovery(ctx context.Context, lease Lease, s, to *Space, h Health) error {
	undelivered, err := m.store.Undelivered(ctx, s.Name, waitingLimit)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(undelivered, func(u Undelivered) bool { return u.Reported }) {
		return nil
	}
	if unsent, err := m.unsent(ctx, s.Name, to); err != nil || unsent {
		return err
	}
	m.reported(ctx, lease, s.Name, time.Time{}, "")
	if h.LastSuccess.Before(h.ReportedAt) {
		return nil // it was all given up, and that is told by itself
	}
	heading := fmt.Sprintf("✅ Messages reach the space %s again. Nothing of what was told here waits for it any more.", s.Name)
	return m.notify(ctx, lease, s.Name, to, to.Renderer.Notice(m.where(heading), nil, nil, time.Now()), nil, nil)
}

// reported notes when the fallback of a space was told, before it is: if the
// process ends in between, it is told once more rather than never corrected.
func (m *Manager) reported(ctx context.Context, lease Lease, space string, at time.Time, to string) {
	if health := m.healthOf(space); health != nil {
		health.change(func(h *Health) { h.ReportedAt, h.ReportedTo = at, to })
		m.remember(ctx, lease, space)
	}
}

// unsent reports whether a notice to a space of another one is not sent yet. A
// second one would say no more than the first, and later.
func (m *Manager) unsent(ctx context.Context, of string, to *Space) (bool, error) {
	planned, err := m.store.Planned(ctx, to.Name)
	return slices.ContainsFunc(planned, func(d *Delivery) bool { return d.Notice == of }), err
}

// elapsed returns for how long something is over. What seems to be in the
// future is from before the clock was set back.
func elapsed(since, now time.Time) time.Duration {
	if since.After(now) {
		return math.MaxInt64
	}
	return now.Sub(since)
}

// reportFailure tells to what fires in a space that fails, as far as it has not
// heard of it, and what has ended since.
func (m *Manager) reportFailure(ctx context.Context, lease Lease, s, to *Space, h Health, now time.Time) error {
	if unsent, err := m.unsent(ctx, s.Name, to); err != nil || unsent {
		return err
	}
	undelivered, err := m.store.Undelivered(ctx, s.Name, waitingLimit)
	if err != nil {
		return err
	}
	first := h.ReportedAt.IsZero()
	undelivered = known(undelivered, h, now, first)
	told, taken, err := m.unreported(ctx, s.Name, undelivered)
	if err != nil || len(taken) == 0 {
		return err
	}
	if len(told) == 0 {
		return m.store.Report(ctx, lease, nil, taken, nil)
	}
	slices.SortStableFunc(told, func(a, b incident.Telling) int { return incident.WorseTelling(&a, &b) })
	heading := fmt.Sprintf("⚠️ Messages have not reached the space %s since %s: %s. %s",
		s.Name, h.FailingSince.UTC().Format("2 Jan 15:04 MST"), strings.TrimSuffix(h.LastError, "."), news(told, first))
	m.reported(ctx, lease, s.Name, now, to.Name)
	err = m.notify(ctx, lease, s.Name, to, to.Renderer.Notice(m.where(heading), told, nil, now), taken, nil)
	if err != nil {
		m.reported(ctx, lease, s.Name, h.ReportedAt, h.ReportedTo)
	}
	return err
}

// known returns the notifications of which it is known that they do not arrive:
// since each was received, an attempt has failed. What seems to come from the
// future is from before the clock was set back. Where the fallback is told the
// first time, it has heard of none.
func known(undelivered []Undelivered, h Health, now time.Time, first bool) []Undelivered {
	var out []Undelivered
	for _, u := range undelivered {
		if u.ReceivedAt.After(h.LastErrorAt) && !u.ReceivedAt.After(now) {
			continue
		}
		u.Reported = u.Reported && !first
		out = append(out, u)
	}
	slices.SortFunc(out, func(a, b Undelivered) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// news says how many groups a notice tells of.
func news(told []incident.Telling, first bool) string {
	firing := 0
	for i := range told {
		if told[i].Payload.Status == alert.Firing {
			firing++
		}
	}
	switch {
	case first && firing == len(told):
		return fmt.Sprintf("Groups that fire there: %d.", firing)
	case first:
		return fmt.Sprintf("Groups that fire there: %d; resolved: %d.", firing, len(told)-firing)
	default:
		return fmt.Sprintf("New since the last message here: %d firing, %d resolved.", firing, len(told)-firing)
	}
}

// unreported folds what a fallback space has not heard of, group by group, on
// top of what it has. taken are the notifications that were looked at.
func (m *Manager) unreported(ctx context.Context, space string, undelivered []Undelivered) (told []incident.Telling, taken []int64, err error) {
	reported := make(map[int64]bool)
	fresh := make(map[alert.Group]bool)
	var waiting []Waiting
	for _, u := range undelivered {
		waiting = append(waiting, u.Waiting)
		reported[u.ID] = u.Reported
		fresh[u.Group] = fresh[u.Group] || !u.Reported
	}
	var batch []queued
	room := foldBytes
	for _, g := range queue(waiting, nil) {
		if !fresh[g.group] || room <= 0 {
			continue
		}
		for _, n := range g.notes {
			if !reported[n.ID] {
				taken = append(taken, n.ID)
			}
		}
		g.notes = newest(g.notes)
		for _, n := range g.notes {
			room -= n.Bytes
		}
		batch = append(batch, g)
	}
	read, err := m.read(ctx, space, batch)
	if err != nil {
		return nil, nil, err
	}
	for i := range batch {
		heard := queued{group: batch[i].group}
		news := queued{group: batch[i].group}
		for _, n := range batch[i].notes {
			if reported[n.ID] {
				heard.notes = append(heard.notes, n)
			} else {
				news.notes = append(news.notes, n)
			}
		}
		o := incident.Options{SendResolved: true, DropRepeats: len(heard.notes) > 0}
		state, _ := foldAll(&heard, read.known[i], read.notes, o)
		_, t := foldAll(&news, state, read.notes, o)
		// Of what ended before anybody heard of it there is nothing to tell yet.
		if t != nil && (t.Payload.Status == alert.Firing || len(heard.notes) > 0) {
			told = append(told, *t)
		}
	}
	return told, taken, nil
}

// newest returns the newest of a group's notifications, as many as are needed
// to say how it stands now: each lists all that fires.
func newest(notes []Waiting) []Waiting {
	room := foldBytes / 4
	for i, n := range slices.Backward(notes) {
		if room -= n.Bytes; room < 0 && i < len(notes)-1 || len(notes)-i > foldLimit {
			return notes[i+1:]
		}
	}
	return notes
}

// foldAll folds all of a group's notifications. It returns what is known
// afterwards, and what there is to tell of the last incident among them.
func foldAll(q *queued, known incident.State, read map[int64]incident.Notification, o incident.Options) (incident.State, *incident.Telling) {
	var t *incident.Telling
	for rest := *q; len(rest.notes) > 0; {
		s := fold(&rest, known, read, o)
		known = s.out.State
		if s.out.Telling != nil {
			t = s.out.Telling
		}
		rest.notes = rest.notes[len(s.taken):]
	}
	return known, t
}

// reportDead tells of the deliveries that were given up since the last time:
// the fallback of their space, or the root's space where that is gone from the
// config.
func (m *Manager) reportDead(ctx context.Context, lease Lease) error {
	dead, err := m.store.Unreported(ctx, reportLimit)
	if err != nil {
		return err
	}
	bySpace := make(map[string][]*Delivery)
	for _, d := range dead {
		bySpace[d.Space] = append(bySpace[d.Space], d)
	}
	for _, name := range slices.Sorted(maps.Keys(bySpace)) {
		if err := m.reportDeaths(ctx, lease, name, bySpace[name], time.Now()); err != nil {
			return err
		}
	}
	return nil
}

func (m *Manager) reportDeaths(ctx context.Context, lease Lease, name string, dead []*Delivery, now time.Time) error {
	m.mu.Lock()
	s, to, ready, last := m.spaces[name], m.spaces[m.root], m.root != "", m.mourned[name]
	if s != nil {
		to = m.spaces[s.Fallback]
	}
	m.mu.Unlock()
	if !ready || now.Sub(last) < reportEvery {
		return nil
	}
	ids := make([]int64, len(dead))
	lines := make([]string, len(dead))
	for i, d := range dead {
		ids[i] = d.ID
		lines[i] = d.Title
	}
	if to == nil {
		return m.store.Report(ctx, lease, nil, nil, ids)
	}
	if unsent, err := m.unsent(ctx, name, to); err != nil || unsent {
		return err
	}
	again := "They are kept, and the status page has a button to send them again."
	if s == nil {
		again = "They are kept; put the space back into the config to send them again."
	}
	heading := fmt.Sprintf("⚠️ Messages for the space %s were given up: %s. %s", name, causes(dead), again)
	if err := m.notify(ctx, lease, name, to, to.Renderer.Notice(m.where(heading), nil, lines, now), nil, ids); err != nil {
		return err
	}
	m.mu.Lock()
	m.mourned[name] = now
	m.mu.Unlock()
	return nil
}

// causes says why deliveries died, and what was the last that Chat said.
func causes(dead []*Delivery) string {
	why := make(map[Reason]int)
	last := make(map[Reason]string)
	for _, d := range dead {
		why[d.Reason]++
		last[d.Reason] = cmp.Or(d.Error, last[d.Reason])
	}
	var causes []string
	for _, reason := range slices.Sorted(maps.Keys(why)) {
		cause := fmt.Sprintf("%d %s", why[reason], reason.inWords())
		if last[reason] != "" {
			cause += " (" + strings.TrimSuffix(last[reason], ".") + ")"
		}
		causes = append(causes, cause)
	}
	return strings.Join(causes, ", ")
}

// inWords says why a delivery is dead to people.
func (r Reason) inWords() string {
	switch r {
	case Rejected:
		return "refused by Google Chat"
	case Expired:
		return "not delivered within max_age"
	case SpaceRemoved:
		return "because the space is gone from the config"
	}
	return string(r)
}

// where adds to a heading where people find more. A URL that is its last line
// becomes a link.
func (m *Manager) where(heading string) string {
	if m.statusURL == "" {
		return heading
	}
	return heading + "\n" + m.statusURL
}

// notify plans a message of alertchat's own to a space, of another one.
func (m *Manager) notify(ctx context.Context, lease Lease, of string, to *Space, r Rendered, notifications, dead []int64) error {
	now := time.Now()
	d := &Delivery{
		Space: to.Name, Status: Planned, Notice: of, Title: r.Title, ReceivedAt: now, LatestAt: now, CreatedAt: now,
	}
	var err error
	if d.Steps, err = steps(r.Messages, Create, incident.Thread{}, ""); err != nil {
		return err
	}
	if err := m.store.Report(ctx, lease, d, notifications, dead); err != nil {
		return err
	}
	m.Look(to.Name)
	return nil
}
