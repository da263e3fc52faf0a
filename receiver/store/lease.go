package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"alertchat/receiver/delivery"
)

// tenure is what a process has of the lease.
type tenure struct {
	epoch int64 // 0 where it does not have it
	// until is when another process may have the lease at the earliest, by the
	// monotonic clock; zero where none can, as long as the database is open.
	until time.Time
}

// Acquire implements [delivery.Ledger]. With SQLite the folder's lock is the
// lease: it is held as long as the database is open, and each opening raises
// the epoch.
func (s *Store) Acquire(ctx context.Context) (delivery.Lease, error) {
	for {
		s.mu.Lock()
		epoch, held := s.lease.epoch, s.held
		s.mu.Unlock()
		if epoch != 0 {
			return delivery.Lease{Epoch: epoch}, nil
		}
		select {
		case <-held:
		case <-ctx.Done():
			return delivery.Lease{}, fmt.Errorf("acquire the lease: %w", context.Cause(ctx))
		case <-s.done:
			return delivery.Lease{}, s.Ready()
		}
	}
}

// Holds implements [delivery.Ledger].
func (s *Store) Holds(l delivery.Lease, d time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return l.Epoch != 0 && l.Epoch == s.lease.epoch && (s.lease.until.IsZero() || time.Until(s.lease.until) >= d)
}

// holding returns the lease, if this process has it.
func (s *Store) holding() (delivery.Lease, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return delivery.Lease{Epoch: s.lease.epoch}, s.lease.epoch != 0
}

// hold notes that this process has the lease.
func (s *Store) hold(t tenure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lease.epoch == 0 {
		close(s.held)
	}
	s.lease = t
}

// lose notes that this process does not have the lease of an epoch any more.
func (s *Store) lose(epoch int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lease.epoch == epoch && epoch != 0 {
		s.lease = tenure{}
		s.held = make(chan struct{})
	}
}

const selectEpoch = `SELECT epoch FROM lease WHERE id = 1`

// checkLeases fails where one of ops needs a lease that is not in force. With a
// lock nobody takes the lease before the end of the transaction.
func (s *Store) checkLeases(ctx context.Context, w *statements, ops []*op, lock string) error {
	if !slices.ContainsFunc(ops, func(o *op) bool { return o.lease != nil }) {
		return nil
	}
	epoch, err := w.number(ctx, selectEpoch+lock)
	if err != nil {
		return err
	}
	for _, o := range ops {
		if o.lease == nil || o.lease.Epoch == epoch {
			continue
		}
		if ours, held := s.holding(); held && epoch != ours.Epoch && s.dialect.unchanging == "" {
			// The lock of the folder was to keep others away.
			return &unavailableError{kind: stale, cause: "another process has opened " + s.name}
		}
		s.lose(o.lease.Epoch)
		return delivery.ErrLeaseLost
	}
	return nil
}
