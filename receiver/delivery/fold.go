package delivery

import (
	"context"
	"slices"

	"alertchat/receiver/alert"
	"alertchat/receiver/incident"
)

const (
	// foldLimit bounds how many notifications of one group are folded together,
	// and foldBytes how much of bodies is in memory for a loop at once, though
	// one may be 32 MiB large. The rest comes in a later turn.
	foldLimit = 64
	foldBytes = 4 << 20
	// foldGroups is of how many groups tellings are in memory for a loop at
	// once, more than fit one digest; and readBytes how much of their bodies.
	foldGroups = 1000
	readBytes  = 256 << 10
)

// queued is a group with what waits of it, the oldest first.
type queued struct {
	group alert.Group
	notes []Waiting
}

func (q *queued) ids() []int64 {
	ids := make([]int64, len(q.notes))
	for i, n := range q.notes {
		ids[i] = n.ID
	}
	return ids
}

// newest returns the id of what came last.
func (q *queued) newest() int64 { return q.notes[len(q.notes)-1].ID }

// queue puts what waits together by group, but for the groups in skip. The
// group of the oldest notification comes first.
func queue(waiting []Waiting, skip map[alert.Group]bool) []queued {
	var q []queued
	at := make(map[alert.Group]int)
	for _, w := range waiting {
		if skip[w.Group] {
			continue
		}
		i, ok := at[w.Group]
		if !ok {
			i = len(q)
			at[w.Group] = i
			q = append(q, queued{group: w.Group})
		}
		q[i].notes = append(q[i].notes, w)
	}
	return q
}

// portion returns what may be in memory at once of the first groups of a queue:
// the oldest notifications of each, and at least one in all. A group that would
// be cut off is left to a later turn: it would be told as it was, not as it is.
func portion(q []queued, groups int) []queued {
	var batch []queued
	room := foldBytes
	for i := range q[:min(groups, foldGroups)] {
		most := min(len(q[i].notes), foldLimit)
		n := 0
		for n < most && room > 0 {
			room -= q[i].notes[n].Bytes
			n++
		}
		if n < most && i > 0 {
			break
		}
		batch = append(batch, queued{group: q[i].group, notes: q[i].notes[:n]})
	}
	return batch
}

// story is what there is to tell of one group.
type story struct {
	group alert.Group
	out   incident.Outcome
	taken []int64 // the notifications that it is the outcome of
}

// stories reads the notifications of a batch and folds those of each group. Few
// of them are in memory before they are folded.
func (l *loop) stories(ctx context.Context, space string, batch []queued, o incident.Options) ([]story, error) {
	out := make([]story, 0, len(batch))
	for len(out) < len(batch) {
		part, room := batch[len(out):], readBytes
		for i := range part {
			if room <= 0 {
				part = part[:i]
				break
			}
			for _, n := range part[i].notes {
				room -= n.Bytes
			}
		}
		read, err := l.m.read(ctx, space, part)
		if err != nil {
			return nil, err
		}
		for i := range part {
			out = append(out, fold(&part[i], read.known[i], read.notes, o))
		}
	}
	return out, nil
}

// reading is what the store has of a batch.
type reading struct {
	known []incident.State // parallel to the batch
	notes map[int64]incident.Notification
}

// read reads a batch. A notification that is gone, or that cannot be decoded,
// is left out.
func (m *Manager) read(ctx context.Context, space string, batch []queued) (*reading, error) {
	var groups []alert.Group
	var ids []int64
	for i := range batch {
		groups = append(groups, batch[i].group)
		ids = append(ids, batch[i].ids()...)
	}
	known, err := m.store.Known(ctx, space, groups)
	if err != nil {
		return nil, err
	}
	stored, err := m.store.Read(ctx, ids)
	if err != nil {
		return nil, err
	}
	r := &reading{known: known, notes: make(map[int64]incident.Notification, len(stored))}
	for i := range stored {
		n := &stored[i]
		p, err := alert.Decode(n.Body)
		if err != nil {
			// It was decoded before it was stored: only a damaged disk does this.
			m.log.Error("A stored notification cannot be read and is left out", "space", space, "id", n.ID, "group", n.Group, "err", err)
			continue
		}
		r.notes[n.ID] = incident.Notification{Payload: p, Unknown: n.Unknown, ReceivedAt: n.ReceivedAt}
		n.Body = nil
	}
	return r, nil
}

// fold folds a group's notifications. Those that could not be read are taken
// with the others.
func fold(q *queued, known incident.State, read map[int64]incident.Notification, o incident.Options) story {
	var notes []incident.Notification
	var ids []int64
	for _, id := range q.ids() {
		if n, ok := read[id]; ok {
			notes, ids = append(notes, n), append(ids, id)
		}
	}
	s := story{group: q.group, out: incident.Fold(known, notes, o), taken: q.ids()}
	if s.out.Taken < len(ids) {
		s.taken = s.taken[:slices.Index(s.taken, ids[s.out.Taken])]
	}
	return s
}
