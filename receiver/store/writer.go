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
	abandoned <-chan struct{} // closed when nobody waits any more
	change    func(ctx context.Context, w *statements) error
	result    chan error // one slot
}

// commit has the keeper run change in a transaction, with those of others, and
// returns once it is on disk or known not to be. When ctx ends before, it
// returns ctx's error, and the change may still be made.
func (s *Store) commit(ctx context.Context, bytes int, change func(context.Context, *statements) error) error {
	o := &op{bytes: bytes, abandoned: ctx.Done(), change: change, result: make(chan error, 1)}
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
		return context.Cause(ctx)
	}
}

// commitLeased does the same for a loop, under the lease that it holds.
func (s *Store) commitLeased(
	ctx context.Context, l delivery.Lease, bytes int, change func(context.Context, *statements) error,
) error {
	return s.commit(ctx, bytes, s.leased(l, change))
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

// commitBatch commits s.batch and tells everybody in it. It returns whether
// anything was committed, and else what is wrong with the storage: nothing,
// where only the changes themselves failed.
func (s *Store) commitBatch(ctx context.Context, d *database) (bool, *unavailableError) {
	s.batch = slices.DeleteFunc(s.batch, (*op).isAbandoned)
	if len(s.batch) == 0 {
		return false, nil
	}
	err := s.transact(ctx, d, s.batch)
	fault := s.classify(err)
	if err == nil || len(s.batch) == 1 || fault != nil && fault.kind != failing {
		s.tell(s.batch, err)
		return err == nil, fault
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
			return false, alone
		}
	}
	if passed {
		return true, nil
	}
	return false, fault
}

// triesInConflict bounds how often a transaction is made that other processes'
// writes are in the way of.
const triesInConflict = 5

// transact commits the changes of ops as one. A commit into a file that is no
// longer in its place is reported as failed: the next process would not find it.
func (s *Store) transact(ctx context.Context, d *database, ops []*op) error {
	change := func(ctx context.Context) error {
		for _, o := range ops {
			if err := o.change(ctx, d.write); err != nil {
				return err
			}
		}
		return nil
	}
	err := d.transact(ctx, change)
	for try := 1; try < triesInConflict && isConflict(err); try++ {
		err = d.transact(ctx, change)
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
