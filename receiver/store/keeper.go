package store

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"time"
)

// How often the keeper tries again: to open the database, and to write while
// writes fail.
const (
	openInterval  = 500 * time.Millisecond
	probeInterval = time.Second
)

// engine is what the keeper needs of a kind of database, apart from its
// statements, whose differences stand in a [dialect]. Only the keeper calls it,
// but for classify.
type engine interface { //nolint:interfacebloat // one interface for two implementations, both here
	// open opens the database and brings its schema up to date.
	open(ctx context.Context) (*database, error)
	// leave closes d, which nobody reads any more, because of fault.
	leave(ctx context.Context, d *database, fault *unavailableError)
	// quit gives up what this process has of the storage. No database is open.
	quit()
	// shrink gives back a portion of the free space where much of it is free.
	// It tells whether there may be more.
	shrink(ctx context.Context, d *database) (bool, error)
	// classify returns the fault of the storage that an error is, or nil.
	classify(err error) *unavailableError
}

// keep is the keeper: it opens the database, serves it until that ends, and
// opens it again, until the store is closed.
func (s *Store) keep(ctx context.Context) {
	defer close(s.done)
	defer s.judge(closedFault())
	defer s.engine.quit()
	for {
		d, err := s.engine.open(ctx)
		if err == nil {
			s.opened(d)
			s.engine.leave(ctx, d, s.serve(ctx, d))
		} else if !s.isClosing() {
			s.judge(s.faultOf(err))
		}
		if s.pause(openInterval) {
			return
		}
	}
}

// pause waits, and tells whether the store was closed meanwhile.
func (s *Store) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false
	case <-s.closing:
		return true
	}
}

func (s *Store) isClosing() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

func (s *Store) isStarting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause != nil && s.cause.kind == starting
}

// serve commits what comes, until the store is closed or the database must be
// left, and returns why. d is not reachable any more then.
func (s *Store) serve(ctx context.Context, d *database) *unavailableError {
	sweep := time.NewTimer(0)
	defer sweep.Stop()
	probe := time.NewTimer(0)
	defer probe.Stop()
	for {
		var fault *unavailableError
		select {
		case <-s.bell:
			s.take()
			fault = s.commitBatch(ctx, d)
			if report := s.takeReport(); fault == nil && report != nil {
				fault = s.confirm(ctx, d, report)
			}
		case <-sweep.C:
			var next time.Duration
			next, fault = s.sweep(ctx, d)
			sweep.Reset(next)
		case <-probe.C:
			fault = s.watch(ctx, d)
			probe.Reset(probeInterval)
		case <-s.closing:
			for s.take(); len(s.batch) > 0; s.take() {
				_ = s.commitBatch(ctx, d) // those who wait are told
			}
			fault = closedFault()
		}
		if fault != nil && fault.kind != damaged && !d.intact() {
			fault = d.goneFault() // whatever else: closing it would end what is left of it
		}
		switch {
		case fault == nil:
		case fault.kind == failing:
			s.judge(fault)
		default:
			s.shut(fault)
			return fault
		}
	}
}

func closedFault() *unavailableError {
	return &unavailableError{kind: closed, cause: "it is closed"}
}

// watch looks after the storage without traffic: whether it is still there,
// and, while writes fail, whether they still do.
func (s *Store) watch(ctx context.Context, d *database) *unavailableError {
	s.mu.Lock()
	works := s.cause == nil
	s.mu.Unlock()
	if !works {
		return s.probe(ctx, d)
	}
	if !d.intact() {
		return d.goneFault()
	}
	ctx, cancel := d.dialect.bounded(ctx)
	defer cancel()
	if err := d.writer.PingContext(ctx); err != nil {
		return s.faultOf(err)
	}
	return nil
}

// confirm looks into what a reader has met: damage is there to stay, anything
// else is believed only when a write fails too.
func (s *Store) confirm(ctx context.Context, d *database, report *unavailableError) *unavailableError {
	if report.kind == damaged || errors.Is(report.err, errPlan) {
		return report
	}
	return s.probe(ctx, d)
}

// probeBytes is what a probe writes: more than fits the room that a full disk
// still has inside the files.
const probeBytes = 64 << 10

// probe finds out whether writes succeed, and notes it if so. That one of the
// others' has passed says less: a small change of a row passes on a full disk.
// So it adds what Add adds, which nobody sees, as it is gone before the commit.
// The bytes are random, since a server would compress any others.
func (s *Store) probe(ctx context.Context, d *database) *unavailableError {
	filling := make([]byte, probeBytes)
	_, _ = rand.Read(filling) // never fails
	put := func(ctx context.Context, w *statements) error {
		id, err := w.insert(ctx, insertNotification, 0, "", "", "", "", filling)
		if err != nil {
			return err
		}
		if _, err := w.exec(ctx, `DELETE FROM notifications WHERE id = $1`, id); err != nil {
			return err
		}
		_, err = w.exec(ctx, putMeta, metaProbe, base64.StdEncoding.EncodeToString(filling))
		return err
	}
	remove := func(ctx context.Context, w *statements) error {
		_, err := w.exec(ctx, `DELETE FROM meta WHERE key = $1`, metaProbe)
		return err
	}
	for _, change := range []func(context.Context, *statements) error{put, remove} {
		if err := s.transact(ctx, d, []*op{{change: change}}); err != nil {
			return s.faultOf(err)
		}
	}
	s.judge(nil)
	return nil
}
