package store

import "context"

// Do runs a change with others in the keeper's next transaction.
func (s *Store) Do(ctx context.Context, change func(exec func(query string) error) error) error {
	return s.commit(ctx, 1, func(ctx context.Context, w *statements) error {
		return change(func(query string) error {
			_, err := w.exec(ctx, query)
			return err
		})
	})
}
