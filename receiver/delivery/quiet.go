package delivery

import (
	"context"
	"slices"
	"time"

	"alertchat/receiver/alert"
	"alertchat/receiver/incident"
)

// isQuiet reports whether the story is told by an edit of the message that
// shows its incident, without any noise.
func (s *story) isQuiet(space *Space, place string) bool {
	return space.Edits && s.out.Telling != nil && s.out.Telling.Kind == incident.Change && isShown(s.out.State.Thread, place)
}

// isQuiet reports whether a group is known to need but an edit.
func (l *loop) isQuiet(q queued) bool { return l.quiet[q.group] == q.newest() }

// chooseEdit returns an edit to attempt: the oldest planned one, or a new one.
func (l *loop) chooseEdit(ctx context.Context, s *Space, place string, skip map[alert.Group]bool) (*Delivery, error) {
	if !l.mayEdit() {
		return nil, nil //nolint:nilnil // nothing to tell is no error
	}
	for _, d := range l.planned {
		if d.refusals < stepAside && d.isEdit() {
			return d, nil
		}
	}
	if len(l.quiet) == 0 {
		return nil, nil //nolint:nilnil // nothing to tell is no error
	}
	for _, d := range l.planned {
		for _, k := range d.Known {
			skip[k.Group] = true
		}
	}
	waiting, err := l.m.store.Waiting(ctx, l.name, waitingLimit)
	if err != nil {
		return nil, err
	}
	d, err := l.planEdit(ctx, s, place, waiting, skip)
	if err != nil || d == nil {
		return nil, err
	}
	return d, l.freeze(ctx, d)
}

// mayEdit reports whether no edit has failed so lately that the next must wait.
func (l *loop) mayEdit() bool { return !time.Now().Before(l.edit) }

// waitForEdit waits until an edit may be tried again, or something happens.
func (l *loop) waitForEdit(ctx context.Context) {
	wait := time.Until(l.edit)
	if wait <= 0 {
		return
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.bell:
	case <-l.retry:
		l.edit = time.Time{}
	case <-l.stop:
	case <-ctx.Done():
	}
}

// planEdit makes the next delivery of those that are but an edit: the oldest.
func (l *loop) planEdit(ctx context.Context, s *Space, place string, waiting []Waiting, skip map[alert.Group]bool) (*Delivery, error) {
	q := slices.DeleteFunc(queue(waiting, skip), func(q queued) bool { return !l.isQuiet(q) })
	if len(q) == 0 {
		clear(l.quiet)
		return nil, nil //nolint:nilnil // nothing to tell is no error
	}
	delete(l.quiet, q[0].group)
	stories, err := l.stories(ctx, s.Name, portion(q, 1), s.Told)
	if err != nil {
		return nil, err
	}
	told, err := l.settleSilent(ctx, s.Name, stories)
	if err != nil || len(told) == 0 {
		return nil, err
	}
	return told[0].plan(s, place, time.Now())
}

// unfreeze takes back the planned edits of groups of which there is more news,
// so that the last edit tells all of it, and reports whether there were any. The
// one that is made later replaces what one in doubt may have done.
func (l *loop) unfreeze(ctx context.Context, waiting []Waiting) (bool, error) {
	thawed := false
	for _, d := range slices.Clone(l.planned) {
		if !d.isEdit() || d.standsAlone() || !slices.ContainsFunc(waiting, func(w Waiting) bool { return w.Group == d.Known[0].Group }) {
			continue
		}
		if err := l.m.store.Thaw(ctx, l.lease, d); err != nil {
			return false, err
		}
		l.remove(d)
		thawed = true
	}
	return thawed, nil
}

// supersede forgets the planned updates of messages that a newer delivery edits
// as well: the last one holds.
func (l *loop) supersede(ctx context.Context, newer *Delivery) error {
	for _, d := range slices.Clone(l.planned) {
		if d.ID >= newer.ID || !d.isUpdate() || !newer.edits(d.Steps[0].Target) {
			continue
		}
		if err := l.m.store.Thaw(ctx, l.lease, d); err != nil {
			return err
		}
		l.remove(d)
	}
	return nil
}
