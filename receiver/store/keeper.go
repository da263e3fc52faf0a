package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// How often the keeper tries again: to get the folder and open the database,
// and to write while writes fail.
const (
	openInterval  = 500 * time.Millisecond
	probeInterval = time.Second
)

// keep is the keeper: it opens the database, serves it until that ends, and
// opens it again, until the store is closed.
func (s *Store) keep(ctx context.Context) {
	defer close(s.done)
	var lock *folderLock
	defer func() {
		if lock != nil {
			lock.release()
		}
	}()
	for {
		d, err := s.open(ctx, &lock)
		if err == nil {
			s.opened(d)
			s.serve(ctx, d, &lock)
			d.close()
		} else {
			s.judge(s.faultOf(err))
		}
		if lock != nil {
			lock.release() // a newer program, or one with more luck, may have it
			lock = nil
		}
		if s.pause(openInterval) {
			s.judge(closedFault())
			return
		}
	}
}

// faultOf makes a fault of whatever keeps the database from being opened.
func (s *Store) faultOf(err error) *unavailableError {
	if fault := classify(s.folder, err); fault != nil {
		return fault
	}
	return &unavailableError{
		kind:  stale,
		cause: "the database under " + s.folder + " cannot be opened: see the log",
		err:   err,
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

// open takes the folder and opens its database. A damaged one is rescued first.
func (s *Store) open(ctx context.Context, lock **folderLock) (*database, error) {
	if err := os.MkdirAll(s.folder, 0o750); err != nil {
		return nil, err
	}
	l, err := lockFolder(s.folder)
	if err != nil {
		return nil, err
	}
	*lock = l
	if err := s.finishRescue(); err != nil {
		return nil, err
	}
	d, err := openDatabase(ctx, s.folder, fileName)
	if fault := classify(s.folder, err); fault != nil && fault.kind == damaged {
		if s.isStarting() { // else this is not the first try, and its trouble is known
			s.judge(fault)
		}
		if err := s.rescueClosed(ctx); err != nil {
			return nil, err
		}
		d, err = openDatabase(ctx, s.folder, fileName)
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	epoch := s.epoch
	s.mu.Unlock()
	if err := d.begin(ctx, epoch); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (s *Store) isStarting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause != nil && s.cause.kind == starting
}

// serve commits what comes, until the store is closed or the database must be
// opened anew. d is not reachable any more when it returns.
func (s *Store) serve(ctx context.Context, d *database, lock **folderLock) {
	sweep := time.NewTimer(0)
	defer sweep.Stop()
	probe := time.NewTimer(probeInterval)
	defer probe.Stop()
	for {
		var passed bool
		var fault *unavailableError
		select {
		case <-s.bell:
			s.take()
			passed, fault = s.commitBatch(ctx, d)
			if report := s.takeReport(); fault == nil && report != nil {
				passed, fault = s.confirm(ctx, d, report)
			}
		case <-sweep.C:
			var next time.Duration
			next, fault = s.sweep(ctx, d)
			passed = fault == nil
			sweep.Reset(next)
		case <-probe.C:
			passed, fault = s.watch(ctx, d)
			probe.Reset(probeInterval)
		case <-s.closing:
			for s.take(); len(s.batch) > 0; s.take() {
				_, _ = s.commitBatch(ctx, d) // those who wait are told
			}
			if fault = closedFault(); d.intact() {
				s.shut(fault)
				return
			}
		}
		if fault != nil && fault.kind != damaged && !d.intact() {
			fault = s.goneFault() // whatever else: closing it would end what is left of it
		}
		switch {
		case passed:
			s.judge(nil)
		case fault == nil:
		case fault.kind == failing:
			s.judge(fault)
		case fault.kind == damaged, fault.kind == gone:
			s.shut(fault)
			s.rescueOpen(ctx, d, lock)
			return
		default:
			s.shut(fault)
			return
		}
	}
}

func closedFault() *unavailableError {
	return &unavailableError{kind: closed, cause: "it is closed"}
}

// watch looks after the storage without traffic: whether its files are still
// there, and, while writes fail, whether they still do.
func (s *Store) watch(ctx context.Context, d *database) (bool, *unavailableError) {
	s.mu.Lock()
	works := s.cause == nil
	s.mu.Unlock()
	if !works {
		return s.probe(ctx, d)
	}
	if !d.intact() {
		return false, s.goneFault()
	}
	return false, nil
}

// confirm looks into what a reader has met: damage is there to stay, anything
// else is believed only when a write fails too.
func (s *Store) confirm(ctx context.Context, d *database, report *unavailableError) (bool, *unavailableError) {
	if report.kind == damaged || errors.Is(report.err, errPlan) {
		return false, report
	}
	return s.probe(ctx, d)
}

// probeBytes is what a probe writes: more than fits the room that a full disk
// still has inside the files.
const probeBytes = 64 << 10

// probe finds out whether a write would succeed.
func (s *Store) probe(ctx context.Context, d *database) (bool, *unavailableError) {
	put := func(ctx context.Context, w *statements) error {
		_, err := w.exec(ctx, putMeta, metaProbe, string(make([]byte, probeBytes)))
		return err
	}
	remove := func(ctx context.Context, w *statements) error {
		_, err := w.exec(ctx, `DELETE FROM meta WHERE key = $1`, metaProbe)
		return err
	}
	for _, change := range []func(context.Context, *statements) error{put, remove} {
		if err := s.transact(ctx, d, []*op{{change: change}}); err != nil {
			return false, s.faultOf(err)
		}
	}
	return true, nil
}

// path returns the name of a file in the folder.
func (s *Store) path(name string) string { return filepath.Join(s.folder, name) }

// isMissing tells whether nothing stands at path.
func isMissing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, os.ErrNotExist)
}
