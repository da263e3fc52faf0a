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

// setQuietAside takes those of the stories out of told that are but an edit:
// they wait behind all that people must be told. stories are those of the first
// groups in q. Where more of the group comes after the edit, such as another
// incident, that must not wait for it: then the edit becomes an update.
func (l *loop) setQuietAside(ctx context.Context, s *Space, place string, q []queued, stories, told []story) ([]story, error) {
	quiet := make(map[alert.Group]bool)
	for i := range stories {
		if !stories[i].isQuiet(s, place) {
			continue
		}
		quiet[q[i].group] = true
		if len(stories[i].taken) == len(q[i].notes) {
			l.quiet[q[i].group] = q[i].newest()
		} else if err := l.postpone(ctx, s, place, &stories[i]); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(told, func(t story) bool { return quiet[t.group] }), nil
}

// postpone makes an update of a story that is but an edit, and settles it.
func (l *loop) postpone(ctx context.Context, s *Space, place string, t *story) error {
	d, err := t.plan(s, place, time.Now())
	if err != nil {
		return err
	}
	d.Later = []Update{{Title: d.Title, Steps: d.Steps}}
	// If the process ends in between, the story is planned again, and its update
	// replaces this one.
	if err := l.freeze(ctx, d.updates(d.CreatedAt)[0]); err != nil {
		return err
	}
	if err := l.m.store.Discard(ctx, l.lease, s.Name, d.Covers, d.Known); err != nil {
		return err
	}
	l.m.metrics.folds(s.Name, d.folded)
	return nil
}

// isQuiet reports whether a group is known to need but an edit.
func (l *loop) isQuiet(q queued) bool { return l.quiet[q.group] == q.newest() }

// chooseEdit returns an edit to attempt: one that was not attempted yet, planned
// or of what waits, which plan has looked at just now; else the one that failed
// least often.
func (l *loop) chooseEdit(
	ctx context.Context, s *Space, place string, waiting []Waiting, skip map[alert.Group]bool,
) (*Delivery, error) {
	if !l.mayEdit() {
		return nil, nil //nolint:nilnil // nothing to tell is no error
	}
	var least *Delivery
	for _, d := range l.planned {
		for _, k := range d.Known {
			skip[k.Group] = true
		}
		if d.isEdit() && (least == nil || d.Attempts < least.Attempts) {
			least = d
		}
	}
	if least != nil && least.Attempts == 0 {
		return least, nil
	}
	d, err := l.planEdit(ctx, s, place, waiting, skip)
	if err != nil || d == nil {
		return least, err
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
	d, err := told[0].plan(s, place, time.Now())
	if err != nil {
		return nil, err
	}
	if b, ok := l.blame[q[0].group]; ok {
		d.Attempts, d.refusals, d.blamed = b.attempts, b.refusals, b.blamed
		delete(l.blame, q[0].group)
	}
	return d, nil
}

// blame is what there was against an edit that was taken back.
type blame struct{ attempts, refusals, blamed int }

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
		l.blame[d.Known[0].Group] = blame{d.Attempts, d.refusals, d.blamed}
		thawed = true
	}
	return thawed, nil
}

// supersede forgets the planned updates of messages that a newer delivery edits
// as well: the last one holds.
func (l *loop) supersede(ctx context.Context) error {
	last := make(map[string]*Delivery) // by the message that it edits
	for _, d := range l.planned {      // the oldest first
		for _, step := range d.Steps {
			last[step.Target] = d
		}
		for _, u := range d.Later {
			for _, step := range u.Steps {
				last[step.Target] = d
			}
		}
	}
	for _, d := range slices.Clone(l.planned) {
		if !d.isUpdate() || last[d.Steps[0].Target] == d {
			continue
		}
		if err := l.m.store.Thaw(ctx, l.lease, d); err != nil {
			return err
		}
		l.remove(d)
	}
	return nil
}
