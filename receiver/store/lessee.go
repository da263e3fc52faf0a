package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"time"
)

// The lease's times. Its holder counts it as its own until heldFor after the
// start of the last renewal that succeeded; another process takes it when it has
// seen no renewal for takenAfter. Each goes by its own monotonic clock, so that
// it does not matter what the clocks show, but only that they run as fast, to
// within a second in twelve.
const (
	beatInterval = time.Second
	heldFor      = 12 * time.Second
	takenAfter   = 13 * time.Second
	// beatTimeout is how long a look or a renewal may take.
	beatTimeout = 3 * time.Second
	// answersBefore is how many looks in a row must have been answered before
	// the lease is taken from somebody: after an outage of the server, its
	// holder comes first.
	answersBefore = 3
	// quietFailures is how many failures in a row are no news yet.
	quietFailures = 5
)

// standing is the lease's row.
type standing struct {
	epoch  int64
	holder string // the id of a lessee; empty where the lease was given up
	beat   int64  // rises with each renewal
}

// lessee gets the lease, keeps it, and gives it up at the end. It has a
// connection of its own, so that no large commit delays a renewal. All fields
// but the channels are its goroutine's own.
type lessee struct {
	s        *Store
	connect  func(context.Context) (*database, error)
	cancel   context.CancelFunc
	done     chan struct{}
	renounce chan struct{} // one slot

	id       string
	d        *database // nil while it is not connected
	epoch    int64     // of the lease that it has; 0 for none
	seen     standing  // what it has last seen of another's
	seenAt   time.Time // when it first saw that
	answers  int       // how many looks in a row were answered
	failures int       // how many were not
}

// newLessee starts a lessee. The caller must call end.
func newLessee(ctx context.Context, s *Store, connect func(context.Context) (*database, error)) *lessee {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l := &lessee{
		s: s, connect: connect, cancel: cancel,
		done: make(chan struct{}), renounce: make(chan struct{}, 1),
		id: rand.Text(),
	}
	go l.run(ctx)
	return l
}

// end gives the lease up and returns when the goroutine has ended.
func (l *lessee) end() {
	l.cancel()
	<-l.done
}

// startAnew gives the lease up, and gets it again with a new epoch.
func (l *lessee) startAnew() {
	select {
	case l.renounce <- struct{}{}:
	default:
	}
}

func (l *lessee) run(ctx context.Context) {
	defer close(l.done)
	defer l.disconnect()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			l.giveUp(ctx)
			return
		case <-l.renounce:
			l.giveUp(ctx)
		case <-timer.C:
		}
		timer.Reset(l.turn(ctx))
	}
}

// turn renews the lease, or looks whether it can be had. It returns when to do
// that again.
func (l *lessee) turn(ctx context.Context) time.Duration {
	begun := time.Now()
	err := l.connected(ctx)
	switch {
	case err != nil:
	case l.epoch != 0:
		err = l.renew(ctx, begun)
	default:
		err = l.look(ctx, begun)
	}
	if err != nil {
		l.failed(ctx, err)
		return beatInterval
	}
	l.answers++
	l.failures = 0
	next := beatInterval - time.Since(begun)
	if l.epoch == 0 && l.answers >= answersBefore {
		next = min(next, takenAfter-time.Since(l.seenAt))
	}
	return max(next, 0)
}

// failed drops the connection. What keeps all of the storage from working is
// the keeper's news; that only this goes wrong would be nobody's.
func (l *lessee) failed(ctx context.Context, err error) {
	l.disconnect()
	l.answers = 0
	l.failures++
	if l.failures == quietFailures && ctx.Err() == nil && l.s.Ready() == nil {
		fault := l.s.faultOf(err)
		l.s.log.Error("The right to deliver cannot be had or kept", "cause", fault.cause, "err", fault.err)
	}
}

func (l *lessee) connected(ctx context.Context) error {
	if l.d != nil {
		return nil
	}
	var err error
	l.d, err = l.connect(ctx)
	return err
}

func (l *lessee) disconnect() {
	if l.d != nil {
		l.d.close()
		l.d = nil
	}
}

// renew says that the holder is alive.
func (l *lessee) renew(ctx context.Context, begun time.Time) error {
	ctx, cancel := context.WithTimeoutCause(ctx, beatTimeout, errPatience)
	defer cancel()
	n, err := l.d.write.exec(ctx, `UPDATE lease SET beat = beat + 1 WHERE id = 1 AND epoch = $1 AND holder = $2`, l.epoch, l.id)
	if err != nil {
		return err
	}
	if n == 0 {
		l.s.log.Warn("Another process has taken the right to deliver", "epoch", l.epoch)
		l.forget()
		return nil
	}
	l.s.hold(tenure{epoch: l.epoch, until: begun.Add(heldFor)})
	return nil
}

// forget notes that the lease is not ours.
func (l *lessee) forget() {
	l.s.lose(l.epoch)
	l.epoch, l.seen = 0, standing{}
}

// look takes the lease where it can be had.
func (l *lessee) look(ctx context.Context, begun time.Time) error {
	now, err := l.read(ctx, "")
	if err != nil {
		return err
	}
	switch {
	case now.holder == l.id:
		// It was taken, and the answer was lost.
		l.epoch = now.epoch
		return l.renew(ctx, begun)
	case now.holder == "":
		return l.take(ctx, now, begun)
	case now != l.seen:
		if l.seen.holder != now.holder {
			l.s.log.Info("Another process has the right to deliver; this one stands by", "epoch", now.epoch)
		}
		l.seen, l.seenAt = now, time.Now()
	case begun.Sub(l.seenAt) >= takenAfter && l.answers >= answersBefore:
		return l.take(ctx, now, begun)
	}
	return nil
}

func (l *lessee) read(ctx context.Context, lock string) (now standing, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, beatTimeout, errPatience)
	defer cancel()
	err = sql.ErrNoRows
	each := l.d.write.each(ctx, func(rows *sql.Rows) error {
		err = rows.Scan(&now.epoch, &now.holder, &now.beat)
		return err
	}, `SELECT epoch, holder, beat FROM lease WHERE id = 1`+lock)
	return now, errors.Join(each, err)
}

// take takes the lease if it still stands as it was seen, and puts right what a
// holder that died may have left.
func (l *lessee) take(ctx context.Context, seen standing, begun time.Time) error {
	taken := false
	err := l.d.transact(ctx, func(ctx context.Context) error {
		// Waits for the last writes of the holder before, whose transactions
		// hold the key of the row, and keeps it from any more.
		now, err := l.read(ctx, ` FOR UPDATE`)
		if err != nil || now != seen {
			return err
		}
		_, err = l.d.write.exec(ctx, `UPDATE lease SET epoch = epoch + 1, holder = $1, beat = beat + 1 WHERE id = 1`, l.id)
		if err != nil {
			return err
		}
		taken = true
		return l.d.mend(ctx)
	})
	if err != nil || !taken {
		return err
	}
	l.epoch = seen.epoch + 1
	l.s.log.Info("This process has the right to deliver", "epoch", l.epoch)
	l.s.hold(tenure{epoch: l.epoch, until: begun.Add(heldFor)})
	return nil
}

// giveUp lets another process take the lease at once. Where the server does not
// answer, that process will find out by itself.
func (l *lessee) giveUp(ctx context.Context) {
	if l.epoch == 0 {
		return
	}
	epoch, id := l.epoch, l.id
	l.forget()
	l.id = rand.Text() // what may still stand in the row is nobody's any more
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), beatTimeout, errPatience)
	defer cancel()
	err := l.connected(ctx)
	if err == nil {
		_, err = l.d.write.exec(ctx, `UPDATE lease SET holder = '' WHERE id = 1 AND epoch = $1 AND holder = $2`, epoch, id)
	}
	if err != nil {
		l.disconnect()
		l.s.log.Warn("The right to deliver could not be given up: another process waits until it lapses", "epoch", epoch)
	}
}
