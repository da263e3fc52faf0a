package store

import (
	"context"

	"alertchat/receiver/delivery"
)

// SelectSpaces is what Spaces asks for.
const SelectSpaces = selectSpaces

// Do runs a change with others in the keeper's next transaction.
func (s *Store) Do(ctx context.Context, change func(exec func(query string) error) error) error {
	return s.commit(ctx, 1, doing(change))
}

// DoLeased does the same under a lease.
func (s *Store) DoLeased(ctx context.Context, l delivery.Lease, change func(exec func(query string) error) error) error {
	return s.commitLeased(ctx, l, 1, doing(change))
}

func doing(change func(exec func(query string) error) error) func(context.Context, *statements) error {
	return func(ctx context.Context, w *statements) error {
		return change(func(query string) error {
			_, err := w.exec(ctx, query)
			return err
		})
	}
}

// BeginWith adds a statement to what begins a transaction.
func (s *Store) BeginWith(ctx context.Context, statement string) {
	_ = s.Do(ctx, func(func(string) error) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.db.dialect.begin += statement
		return nil
	})
}

// Holding returns the lease, if this process has it.
func (s *Store) Holding() (delivery.Lease, bool) { return s.holding() }
