package delivery

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat"
)

// A delivery that Chat itself has failed stepAside times in a row lets the next
// group go first, to find out whose fault it is. When that has passed enoughBlame
// times, it is the message's; once may be a space that has just come back.
const (
	stepAside   = 5
	enoughBlame = 2
)

// loop delivers to one space. Only its own goroutine uses what has no comment.
type loop struct {
	m     *Manager
	name  string
	bell  chan struct{}   // one slot: something waits
	retry chan struct{}   // one slot: the config changed, do not wait for a backoff
	stop  chan struct{}   // closed by quit, which the manager calls once
	after <-chan struct{} // closed when the loop before it of the same space has ended; may be nil
	ended chan struct{}   // closed by run when it returns

	lease   Lease
	planned []*Delivery // frozen and not settled, oldest first
	stale   bool        // whether planned is to be read from the store
	// apart has the groups of digests that Chat refused: of how many, at most, a
	// digest may be that tells of one.
	apart    map[alert.Group]int
	overflow bool                  // whether the last digest had no room for all
	inRow    int                   // how many digests Chat refused in a row
	single   time.Time             // until when none is made because of that
	told     map[alert.Group]bool  // the groups that have had their turn
	alone    bool                  // whether the last message stood alone
	quiet    map[alert.Group]int64 // the groups whose news is but an edit: the newest notification then
	blame    map[alert.Group]blame // of edits that were taken back because there was more news
	edit     time.Time             // before when no edit is made, because one failed
	said     string                // the trouble that was logged last
	backoff  backoff

	foreign atomic.Bool // whether others may have planned or settled something
}

func (l *loop) ring() {
	select {
	case l.bell <- struct{}{}:
	default:
	}
}

// look has the loop see what others have planned.
func (l *loop) look() {
	l.foreign.Store(true)
	l.ring()
}

// wake ends a wait for a backoff.
func (l *loop) wake() {
	select {
	case l.retry <- struct{}{}:
	default:
	}
	l.ring()
}

func (l *loop) quit() { close(l.stop) }

// run takes turns until the loop is stopped, the lease is lost, or ctx ends.
func (l *loop) run(ctx context.Context, lease Lease) error {
	defer close(l.ended)
	if l.after != nil {
		<-l.after
	}
	l.lease, l.stale = lease, true
	l.apart, l.told = make(map[alert.Group]int), make(map[alert.Group]bool)
	l.quiet, l.blame = make(map[alert.Group]int64), make(map[alert.Group]blame)
	for {
		select {
		case <-l.stop:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
		s := l.m.space(l.name)
		if s == nil {
			return nil
		}
		if err := l.turn(ctx, s); err != nil {
			// What was being stored may or may not have been.
			l.stale = true
			if err := l.trouble(ctx, err); err != nil {
				return err
			}
			continue
		}
		l.said = ""
	}
}

// trouble waits after an error that passes, most likely the store's. It returns
// an error when the loop must end.
func (l *loop) trouble(ctx context.Context, err error) error {
	if errors.Is(err, ErrLeaseLost) {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err.Error() != l.said {
		l.said = err.Error()
		l.m.log.Warn("Delivery stands still; it is tried again each second", "space", l.name, "err", err)
	}
	sleep(ctx, l.stop, storeRetry)
	return nil
}

// turn delivers one message, or waits for something to do.
func (l *loop) turn(ctx context.Context, s *Space) error {
	if l.foreign.Swap(false) || l.stale {
		if err := l.load(ctx); err != nil {
			return err
		}
	}
	if len(l.planned) == 0 {
		waiting, err := l.m.store.Waiting(ctx, l.name, 1)
		if err != nil {
			return err
		}
		if len(waiting) == 0 {
			clear(l.told)
			clear(l.quiet)
			clear(l.blame)
			select {
			case <-l.bell:
			case <-l.stop:
			case <-ctx.Done():
			}
			return nil
		}
	}
	place, failure := l.find(ctx, s)
	pace := l.m.paces.of(cmp.Or(place, "of "+s.Name), s.Name, s.Rate)
	if !l.waitForPace(ctx, pace) {
		return nil
	}
	d, err := l.choose(ctx, s, place)
	if err != nil {
		return err
	}
	if d == nil {
		l.waitForEdit(ctx)
		return nil
	}
	d.Place = place
	return l.deliver(ctx, s, pace, d, failure)
}

// find returns the Google space that the space leads to, or why that cannot be
// found out: then an attempt has failed before it began.
func (l *loop) find(ctx context.Context, s *Space) (string, *chat.Error) {
	ctx, cancel := s.WithTimeout(ctx)
	defer cancel()
	place, err := s.Chat.Find(ctx)
	if err != nil {
		return "", chat.AsError(err)
	}
	return place, nil
}

// load reads what is planned. Whoever planned what is new to this loop may have
// sent it already.
func (l *loop) load(ctx context.Context) error {
	planned, err := l.m.store.Planned(ctx, l.name)
	if err != nil {
		return err
	}
	for i, d := range planned {
		at := slices.IndexFunc(l.planned, func(p *Delivery) bool { return p.ID == d.ID })
		if at >= 0 && !l.stale {
			planned[i] = l.planned[at]
		} else {
			d.tried = true
		}
	}
	l.planned, l.stale = planned, false
	return l.supersede(ctx)
}

// waitForPace waits until the place may be written to. It reports false when
// the loop is stopped meanwhile.
func (l *loop) waitForPace(ctx context.Context, p *pace) bool {
	for {
		wait := p.untilFree(time.Now())
		if wait == 0 {
			return true
		}
		l.m.metrics.throttle(l.name, wait)
		if !sleep(ctx, l.stop, wait) {
			return false
		}
	}
}

// take takes the place's right to one write, waiting for it where a loop of
// the same place was quicker. It reports false when the loop is stopped.
func (l *loop) take(ctx context.Context, p *pace) bool {
	for {
		wait := p.take(time.Now())
		if wait == 0 {
			return true
		}
		l.m.metrics.throttle(l.name, wait)
		if !sleep(ctx, l.stop, wait) {
			return false
		}
	}
}

// choose returns the delivery to attempt: the oldest planned one, or a new one,
// and edits behind all that people have not been told. A delivery that keeps
// being refused steps aside for another group's. What stands alone takes turns
// with what is news.
func (l *loop) choose(ctx context.Context, s *Space, place string) (*Delivery, error) {
	skip := make(map[alert.Group]bool)
	for _, d := range l.planned {
		if d.isEdit() {
			continue
		}
		if d.refusals < stepAside && (!l.alone || !d.standsAlone()) {
			return d, nil
		}
		for _, k := range d.Known {
			skip[k.Group] = true
		}
	}
	d, waiting, err := l.next(ctx, s, place, skip)
	if err != nil || d != nil {
		return d, err
	}
	for _, d := range l.planned {
		if d.refusals < stepAside && !d.isEdit() {
			return d, nil
		}
	}
	if d, err := l.chooseEdit(ctx, s, place, waiting, skip); err != nil || d != nil {
		return d, err
	}
	for _, d := range l.planned {
		if !d.isEdit() {
			return d, nil
		}
	}
	return nil, nil //nolint:nilnil // nothing to tell is no error
}

// next plans and freezes the next delivery of what waits. Where that is nothing,
// it returns what waits all the same, for an edit.
func (l *loop) next(
	ctx context.Context, s *Space, place string, skip map[alert.Group]bool,
) (d *Delivery, waiting []Waiting, err error) {
	// A group that stepped aside may fill the limit alone: others come behind it.
	for limit := waitingLimit; ; {
		if waiting, err = l.m.store.Waiting(ctx, l.name, limit); err != nil {
			return nil, nil, err
		}
		if thawed, err := l.unfreeze(ctx, waiting); err != nil {
			return nil, nil, err
		} else if thawed {
			continue
		}
		if d, err = l.plan(ctx, s, place, waiting, skip); err != nil {
			return nil, nil, err
		}
		switch {
		case d != nil:
			return d, nil, l.freeze(ctx, d)
		case len(waiting) < limit:
			return nil, waiting, nil
		}
		limit *= 4
	}
}

// freeze stores a new delivery before its first attempt.
func (l *loop) freeze(ctx context.Context, d *Delivery) error {
	if err := l.m.store.Save(ctx, l.lease, d); err != nil {
		return err
	}
	l.planned = append(l.planned, d)
	return l.supersede(ctx)
}

// remove takes a delivery that is settled or thawed out of the planned ones.
func (l *loop) remove(d *Delivery) {
	for i, p := range l.planned {
		if p == d {
			l.planned = append(l.planned[:i], l.planned[i+1:]...)
			return
		}
	}
}

// pause waits after a failed attempt, unless the config changes meanwhile.
func (l *loop) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.retry:
	case <-l.stop:
	case <-ctx.Done():
	}
}
