package delivery

import (
	"context"
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
// long, that it is well again, and what was given up.
func (m *Manager) report(ctx context.Context, lease Lease) error {
	m.mu.Lock()
	spaces := slices.Collect(maps.Values(m.spaces))
	m.mu.Unlock()
	for _, s := range spaces {
		if err := m.reportSpace(ctx, lease, s); err != nil {
			return err
		}
	}
	return m.reportDead(ctx, lease)
}

// reportSpace tells a space's fallback how the space is doing, where it must
// know.
func (m *Manager) reportSpace(ctx context.Context, lease Lease, s *Space) error {
	health, to := m.healthOf(s.Name), m.space(s.Fallback)
	if health == nil || to == nil {
		return nil
	}
	h, now := health.get(), time.Now()
	switch {
	case h.FailingSince.IsZero() && !h.ReportedAt.IsZero():
		heading := fmt.Sprintf("✅ Messages reach the space %s again. What waited is told there.", s.Name)
		if err := m.notify(ctx, lease, to, to.Renderer.Notice(heading, nil, nil, now), nil, nil); err != nil {
			return err
		}
		now = time.Time{}
	case h.FailingSince.IsZero(), elapsed(h.FailingSince, now) < s.FallbackAfter, elapsed(h.ReportedAt, now) < reportEvery:
		return nil
	default:
		told, err := m.reportFailure(ctx, lease, s, to, h, now)
		if err != nil || !told {
			return err
		}
	}
	_, after := health.change(func(h *Health) { h.ReportedAt = now })
	m.remember(ctx, lease, s.Name, after)
	return nil
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
// heard of it, and what has ended since. It returns whether there was any such.
func (m *Manager) reportFailure(ctx context.Context, lease Lease, s, to *Space, h Health, now time.Time) (bool, error) {
	undelivered, err := m.store.Undelivered(ctx, s.Name, waitingLimit)
	if err != nil {
		return false, err
	}
	told, taken, err := m.unreported(ctx, s.Name, undelivered, h.LastErrorAt)
	if err != nil || len(taken) == 0 {
		return false, err
	}
	if len(told) == 0 {
		return false, m.store.Report(ctx, lease, nil, taken, nil)
	}
	heading := fmt.Sprintf("⚠️ Messages have not reached the space %s since %s: %s. %s.",
		s.Name, h.FailingSince.UTC().Format("2 Jan 15:04 MST"), strings.TrimSuffix(h.LastError, "."), waits(told))
	slices.SortStableFunc(told, func(a, b incident.Telling) int { return incident.WorseTelling(&a, &b) })
	return true, m.notify(ctx, lease, to, to.Renderer.Notice(m.where(heading), told, nil, now), taken, nil)
}

// waits says how many groups wait.
func waits(told []incident.Telling) string {
	firing := 0
	for i := range told {
		if told[i].Payload.Status == alert.Firing {
			firing++
		}
	}
	if firing == len(told) {
		return fmt.Sprintf("Firing there: %d", firing)
	}
	return fmt.Sprintf("Firing there: %d, resolved: %d", firing, len(told)-firing)
}

// unreported folds what a fallback space has not heard of, group by group, on
// top of what it has. Only what was received before the given time counts: of
// what came later nobody knows yet that it fails. taken are the notifications
// that were looked at.
func (m *Manager) unreported(ctx context.Context, space string, undelivered []Undelivered, before time.Time) (told []incident.Telling, taken []int64, err error) {
	reported := make(map[int64]bool)
	fresh := make(map[alert.Group]bool)
	var waiting []Waiting
	for _, u := range undelivered {
		if u.ReceivedAt.After(before) {
			continue
		}
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
	s, to, known, last := m.spaces[name], m.spaces[m.root], m.root != "", m.mourned[name]
	if s != nil {
		to = m.spaces[s.Fallback]
	}
	m.mu.Unlock()
	if !known || now.Sub(last) < reportEvery {
		return nil
	}
	ids := make([]int64, len(dead))
	lines := make([]string, len(dead))
	why := make(map[Reason]int)
	for i, d := range dead {
		ids[i] = d.ID
		lines[i] = d.Title
		why[d.Reason]++
	}
	if to == nil {
		return m.store.Report(ctx, lease, nil, nil, ids)
	}
	var reasons []string
	for _, reason := range slices.Sorted(maps.Keys(why)) {
		reasons = append(reasons, fmt.Sprintf("%d %s", why[reason], reason.inWords()))
	}
	heading := fmt.Sprintf("⚠️ Messages for the space %s were given up: %s. They are kept, and the status page has a button to send them again.",
		name, strings.Join(reasons, ", "))
	if err := m.notify(ctx, lease, to, to.Renderer.Notice(m.where(heading), nil, lines, now), nil, ids); err != nil {
		return err
	}
	m.mu.Lock()
	m.mourned[name] = now
	m.mu.Unlock()
	return nil
}

// inWords says why a delivery is dead to people.
func (r Reason) inWords() string {
	switch r {
	case Rejected:
		return "refused by Google Chat"
	case Expired:
		return "not delivered within max_age"
	case SpaceRemoved:
		return "since the space is gone from the config"
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

// notify plans a message of alertchat's own to a space.
func (m *Manager) notify(ctx context.Context, lease Lease, to *Space, r Rendered, notifications, dead []int64) error {
	now := time.Now()
	d := &Delivery{
		Space: to.Name, Status: Planned, Plain: true, Title: r.Title, ReceivedAt: now, LatestAt: now, CreatedAt: now,
	}
	var err error
	if d.Steps, err = steps(r.Messages, Create, incident.Thread{}); err != nil {
		return err
	}
	if err := m.store.Report(ctx, lease, d, notifications, dead); err != nil {
		return err
	}
	m.Look(to.Name)
	return nil
}
