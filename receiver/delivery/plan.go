package delivery

import (
	"context"
	"slices"
	"time"

	"alertchat/receiver/alert"
	"alertchat/receiver/incident"
)

// waitingLimit is how many ids and groups are looked at in a turn. What is
// beyond it is not merged with what is within.
const waitingLimit = 10_000

// plan makes the next delivery of what waits, but for the groups in skip: the
// oldest telling of a group, or a digest where many wait. What has nothing to
// tell is settled on the way, and what is but an edit is left to planEdit. It
// returns nil when nothing is to be told.
func (l *loop) plan(ctx context.Context, s *Space, place string, waiting []Waiting, skip map[alert.Group]bool) (*Delivery, error) {
	q := slices.DeleteFunc(queue(waiting, skip), l.isQuiet)
	for len(q) > 0 {
		merge := s.Digest > 0 && len(q) >= l.enough(s) && time.Now().After(l.single)
		groups := 1
		if merge {
			groups = len(q)
		} else {
			l.takeTurns(q)
		}
		batch := portion(q, groups)
		stories, err := l.stories(ctx, s.Name, batch, s.Told)
		if err != nil {
			return nil, err
		}
		told, err := l.settleSilent(ctx, s.Name, stories)
		if err != nil {
			return nil, err
		}
		if told, err = l.setQuietAside(ctx, s, place, q, stories, told); err != nil {
			return nil, err
		}
		if len(told) > 0 {
			if more := len(q) - len(batch); merge && len(told)+more >= l.enough(s) {
				return l.digest(s, place, told, more, time.Now())
			}
			l.overflow, l.told[told[0].group] = false, true
			return told[0].plan(s, place, time.Now())
		}
		for i := range batch {
			q[i].notes = q[i].notes[len(stories[i].taken):]
		}
		q = slices.DeleteFunc(q, func(g queued) bool { return len(g.notes) == 0 })
	}
	return nil, nil //nolint:nilnil // nothing to tell is no error
}

// takeTurns puts a group first that was not told while others were: one that
// changes all the time holds up no other.
func (l *loop) takeTurns(q []queued) {
	next := slices.IndexFunc(q, func(g queued) bool { return !l.told[g.group] })
	if next < 0 || len(l.told) > waitingLimit {
		clear(l.told)
		return
	}
	g := q[next]
	copy(q[1:], q[:next])
	q[0] = g
}

// settleSilent settles the stories that have nothing to tell, and returns the
// others.
func (l *loop) settleSilent(ctx context.Context, space string, stories []story) ([]story, error) {
	var told []story
	var ids []int64
	var known []Known
	for i := range stories {
		s := &stories[i]
		if s.out.Telling != nil {
			told = append(told, *s)
			continue
		}
		ids = append(ids, s.taken...)
		if s.out.Changed {
			known = append(known, Known{Group: s.group, State: s.out.State})
		}
	}
	if len(ids) == 0 {
		return told, nil
	}
	if err := l.m.store.Discard(ctx, l.lease, space, ids, known); err != nil {
		return nil, err
	}
	for i := range stories {
		if stories[i].out.Telling == nil {
			l.m.metrics.folds(space, stories[i].out.Folded)
		}
	}
	return told, nil
}

func (s *story) plan(space *Space, place string, now time.Time) (*Delivery, error) {
	return Plan(space, place, s.out, s.taken, now)
}

// retell folds again what a delivery of one group covers. It returns nil where
// that is not stored any more.
func (l *loop) retell(ctx context.Context, d *Delivery) (*incident.Telling, error) {
	q := queued{group: d.Known[0].Group}
	for _, id := range d.Covers {
		q.notes = append(q.notes, Waiting{ID: id})
	}
	again, err := l.stories(ctx, d.Space, []queued{q}, incident.Options{SendResolved: true})
	if err != nil {
		return nil, err
	}
	return again[0].out.Telling, nil
}

// enough is from how many groups on they are merged. What a digest had no room
// for goes into another, however few they are.
func (l *loop) enough(s *Space) int {
	if l.overflow {
		return 2
	}
	return max(s.Digest, 2)
}
