package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"time"

	"alertchat/receiver/delivery"
)

// The lease's times. Its holder counts it as its own until heldFor after the
// start of the last renewal that succeeded; another process takes it when it has
// seen no renewal for takenAfter. Each goes by its own monotonic clock, so that
// it does not matter what the clocks show, but only that they run as fast, to
// within a second in twelve. In a virtual machine that is suspended, the clock
// stands still: for up to heldFor after it goes on, its process counts as its
// own what another one has. It may begin an attempt then, and a message may come
// twice; but what it writes fails, and with its next renewal, a second later at
// most, it knows.
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
	// unusedTurns is for how many turns in a row the storage may be of no use to
	// a process that keeps the lease.
	unusedTurns = 5
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
	s       *Store
	connect func(context.Context) (*database, error)
	cancel  context.CancelFunc
	done    chan struct{}
	anew    chan struct{} // one slot

	id       string
	d        *database // nil while it is not connected
	epoch    int64     // of the lease that it has; 0 for none
	seen     standing  // what it has last seen of another's
	seenAt   time.Time // when it first saw that
	answers  int       // how many looks in a row were answered
	failures int       // how many were not
	unused   int       // in how many turns in a row it could have worked, but the store could not
}

// newLessee starts a lessee. The caller must call end.
func newLessee(ctx context.Context, s *Store, connect func(context.Context) (*database, error)) *lessee {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l := &lessee{
		s: s, connect: connect, cancel: cancel,
		done: make(chan struct{}), anew: make(chan struct{}, 1),
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

// startAnew takes the lease with a new epoch, if this process has it. Nobody
// else gets it in between: attempts may be under way.
func (l *lessee) startAnew() {
	select {
	case l.anew <- struct{}{}:
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
		case <-l.anew:
			l.s.lose(l.epoch)
			l.epoch = 0 // the row still has the id
		case <-timer.C:
		}
		timer.Reset(l.turn(ctx))
	}
}

// turn renews the lease, or looks whether it can be had. It returns when to do
// that again.
func (l *lessee) turn(ctx context.Context) time.Duration {
	begun := time.Now()
	if l.isUnused() {
		l.giveUp(ctx)
		l.answers = 0
		return beatInterval
	}
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

// isUnused tells whether the lease would be of no use to this process: it
// reaches the database, but the store cannot work with it. While not even the
// lease can be looked at, another process is no better off.
func (l *lessee) isUnused() bool {
	fault := l.s.fault()
	switch {
	case fault != nil && fault.kind == newer:
		l.unused = unusedTurns
	case fault == nil || l.failures > 0:
		l.unused = 0
	case l.unused < unusedTurns:
		l.unused++
	}
	return l.unused >= unusedTurns
}

// failed drops the connection. What keeps all of the storage from working is
// the keeper's news; that only this goes wrong would be nobody's.
func (l *lessee) failed(ctx context.Context, err error) {
	l.disconnect()
	l.answers = 0
	l.failures++
	if l.failures == quietFailures && l.epoch == 0 {
		l.forget() // what it takes, but cannot put right, another process may have
	}
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

// forget notes that the lease is not ours. With another id it does not become
// ours again where a database comes back as it was a while ago.
func (l *lessee) forget() {
	l.s.lose(l.epoch)
	l.id, l.epoch, l.seen = rand.Text(), 0, standing{}
}

// look takes the lease where it can be had.
func (l *lessee) look(ctx context.Context, begun time.Time) error {
	now, err := l.read(ctx, "")
	if err != nil {
		return err
	}
	switch {
	case now.holder == "", now.holder == l.id:
		// With its own id it has taken the lease, and did not get as far as to
		// use it; or it takes it anew.
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

// take takes the lease if it still stands as it was seen. Then it puts right what
// a holder that died may have left, in a transaction of its own: deliveries can
// be many, and whoever waits for the lease waits for the lock of this one.
func (l *lessee) take(ctx context.Context, seen standing, begun time.Time) error {
	taken := false
	err := l.d.transact(ctx, 0, func(ctx context.Context) error {
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
		return nil
	})
	if err != nil || !taken {
		return err
	}
	epoch := seen.epoch + 1
	err = l.d.transact(ctx, 0, func(ctx context.Context) error {
		if err := l.d.mend(ctx); err != nil {
			return err
		}
		now, err := l.read(ctx, l.s.dialect.unchanging)
		if err == nil && now.epoch != epoch {
			err = delivery.ErrLeaseLost
		}
		return err
	})
	if err != nil {
		return err
	}
	l.epoch = epoch
	l.s.log.Info("This process has the right to deliver", "epoch", epoch)
	l.s.hold(tenure{epoch: epoch, until: begun.Add(heldFor)})
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
