package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"alertchat/receiver/delivery"
)

// What one transaction commits at most. The bounds keep the time that a caller
// waits for others, and the memory of the WAL's index, within reason.
const (
	batchOps   = 1000
	batchBytes = 8 << 20
)

// op is one write. Its change may run more than once: alone, after the batch
// that it stood in was rolled back. So it only reads what it was made with, and
// what it finds out it sets anew each time.
type op struct {
	bytes     int
	lease     *delivery.Lease // what the change is made under; nil where it needs none
	abandoned <-chan struct{} // closed when nobody waits any more
	change    func(ctx context.Context, w *statements) error
	result    chan error // one slot
}

// commit has the keeper run change in a transaction, with those of others, and
// returns once it is on disk or known not to be. When ctx ends before, it
// returns ctx's error, and the change may still be made.
func (s *Store) commit(ctx context.Context, bytes int, change func(context.Context, *statements) error) error {
	return s.submit(ctx, &op{bytes: bytes, change: change})
}

// commitLeased does the same for a loop, under the lease that it holds.
func (s *Store) commitLeased(
	ctx context.Context, l delivery.Lease, bytes int, change func(context.Context, *statements) error,
) error {
	return s.submit(ctx, &op{bytes: bytes, lease: &l, change: change})
}

func (s *Store) submit(ctx context.Context, o *op) error {
	o.abandoned, o.result = ctx.Done(), make(chan error, 1)
	s.mu.Lock()
	if s.db == nil {
		defer s.mu.Unlock()
		return s.cause
	}
	s.queue = append(s.queue, o)
	s.mu.Unlock()
	s.ring()
	select {
	case err := <-o.result:
		return err
	case <-ctx.Done():
		s.withdraw(o)
		return context.Cause(ctx)
	}
}

// withdraw takes o out of the queue, where it would keep its contents as long
// as the database does not answer, if the keeper does not have it yet.
func (s *Store) withdraw(o *op) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.queue, o); i >= 0 {
		s.queue = slices.Delete(s.queue, i, i+1)
	}
}

func (s *Store) ring() {
	select {
	case s.bell <- struct{}{}:
	default:
	}
}

// take moves the next batch from the queue to s.batch. A batch has at least
// one op, however large that is. What is left rings the bell again.
func (s *Store) take() {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, bytes := 0, 0
	for ; n < len(s.queue) && n < batchOps; n++ {
		bytes += s.queue[n].bytes
		if n > 0 && bytes > batchBytes {
			break
		}
	}
	s.batch = append(s.batch[:0], s.queue[:n]...)
	s.queue = slices.Delete(s.queue, 0, n)
	if len(s.queue) > 0 {
		s.ring()
	}
}

// commitBatch commits s.batch and tells everybody in it. Where nothing was
// committed it returns what is wrong with the storage: nothing, where only the
// changes themselves failed.
func (s *Store) commitBatch(ctx context.Context, d *database) *unavailableError {
	defer func() { clear(s.batch) }() // the next one may be long in coming
	s.batch = slices.DeleteFunc(s.batch, (*op).isAbandoned)
	if len(s.batch) == 0 {
		return nil
	}
	err := s.transact(ctx, d, s.batch)
	fault := s.classify(err)
	if err == nil || len(s.batch) == 1 || fault != nil && fault.kind != failing {
		s.tell(s.batch, err)
		return fault
	}
	// One of them failed. Alone, each gets only what it has earned. On a full
	// disk, too, small ones may pass where a large one has no room.
	passed := false
	for i := range s.batch {
		one := s.batch[i : i+1]
		err := s.transact(ctx, d, one)
		s.tell(one, err)
		passed = passed || err == nil
		if alone := s.classify(err); alone != nil && alone.kind != failing {
			s.tell(s.batch[i+1:], alone)
			return alone
		}
	}
	if passed {
		return nil
	}
	return fault
}

// triesInConflict bounds how often a transaction is made that other processes'
// writes are in the way of.
const triesInConflict = 5

// transact commits the changes of ops as one, if the leases of all are in force
// before and after them: the lock on the lease comes last, when all else was
// sent and answered. A process that stands still with the lock, in the midst of
// what it sends, would keep all others from the lease.
//
// A commit into a file that is no longer in its place is reported as failed: the
// next process would not find it.
func (s *Store) transact(ctx context.Context, d *database, ops []*op) error {
	bytes := 0
	for _, o := range ops {
		bytes += o.bytes
	}
	change := func(ctx context.Context) error {
		if err := s.checkLeases(ctx, d.write, ops, ""); err != nil {
			return err
		}
		for _, o := range ops {
			if err := o.change(ctx, d.write); err != nil {
				return err
			}
		}
		if s.dialect.unchanging == "" {
			return nil
		}
		if bytes > slowest { // what was allowed for them is too long with the lock
			if _, err := d.write.exec(ctx, s.dialect.idleFor(0)); err != nil {
				return err
			}
		}
		return s.checkLeases(ctx, d.write, ops, s.dialect.unchanging)
	}
	err := d.transact(ctx, bytes, change)
	for try := 1; try < triesInConflict && isConflict(err); try++ {
		err = d.transact(ctx, bytes, change)
	}
	if err == nil && !d.intact() {
		return d.goneFault()
	}
	return err
}

// tell gives ops their result.
func (s *Store) tell(ops []*op, err error) {
	if fault := s.classify(err); fault != nil {
		err = fault
	} else if err != nil && !errors.Is(err, delivery.ErrLeaseLost) {
		err = fmt.Errorf("write to the storage: %w", err)
	}
	for _, o := range ops {
		o.result <- err
	}
}

func (o *op) isAbandoned() bool {
	select {
	case <-o.abandoned:
		return true
	default:
		return false
	}
}

// reading runs query on the database for ctx's caller. A fault that it meets is
// reported to the keeper.
func (s *Store) reading(ctx context.Context, query func(*statements) error) error {
	s.mu.Lock()
	d, cause := s.db, s.cause
	if d != nil {
		d.readers.Add(1)
	}
	s.mu.Unlock()
	if d == nil {
		return cause
	}
	defer d.readers.Done()
	err := query(d.read)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if fault := s.classify(err); fault != nil {
		s.mu.Lock()
		s.reported = fault
		s.mu.Unlock()
		s.ring()
		return fault
	}
	return fmt.Errorf("read the storage: %w", err)
}

// takeReport returns what readers have found wrong since the last call.
func (s *Store) takeReport() *unavailableError {
	s.mu.Lock()
	defer s.mu.Unlock()
	fault := s.reported
	s.reported = nil
	return fault
}
