package store

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"alertchat/receiver/alert"
	"alertchat/receiver/delivery"
)

// opBytes is what a write weighs in a batch apart from its contents.
const opBytes = 256

// Add stores the notifications, all of them or none, and gives them their IDs.
// It returns nil only once they are on disk. When ctx ends before that is
// known it returns ctx's error: they may still be stored, and their bodies must
// not be changed afterwards.
func (s *Store) Add(ctx context.Context, notifications []alert.Notification) error {
	rows := slices.Clone(notifications) // the caller's own may change once ctx has ended
	bytes := 0
	for i := range rows {
		if rows[i].Body == nil {
			rows[i].Body = []byte{} // nil would be NULL
		}
		bytes += opBytes + len(rows[i].Body)
	}
	err := s.commit(ctx, bytes, func(ctx context.Context, w *statements) (err error) {
		for i := range rows {
			n := &rows[i]
			n.ID, err = w.insert(ctx, `INSERT INTO notifications (received_at, space, receiver, group_key, unknown, body)
				VALUES ($1, $2, $3, $4, $5, $6)`,
				millis(n.ReceivedAt), n.Space, n.Group.Receiver, n.Group.Key, n.Unknown, n.Body)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range rows {
		notifications[i].ID = rows[i].ID
	}
	return nil
}

// Waiting implements [delivery.Inbox].
func (s *Store) Waiting(ctx context.Context, space string, limit int) ([]delivery.Waiting, error) {
	var all []delivery.Waiting
	err := s.reading(ctx, func(r *statements) error {
		return r.each(ctx, func(rows *sql.Rows) error {
			var w delivery.Waiting
			var receivedAt int64
			if err := rows.Scan(&w.ID, &w.Group.Receiver, &w.Group.Key, &receivedAt); err != nil {
				return err
			}
			w.ReceivedAt = moment(receivedAt)
			all = append(all, w)
			return nil
		}, `SELECT id, receiver, group_key, received_at FROM notifications
			WHERE space = $1 AND delivery = 0 ORDER BY id LIMIT $2`, space, limit)
	})
	return all, err
}

// Read implements [delivery.Inbox].
func (s *Store) Read(ctx context.Context, ids []int64) ([]alert.Notification, error) {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	all := make([]alert.Notification, 0, len(ids))
	err := s.reading(ctx, func(r *statements) error {
		for _, id := range ids {
			err := r.each(ctx, func(rows *sql.Rows) error {
				n := alert.Notification{ID: id}
				var receivedAt int64
				if err := rows.Scan(&receivedAt, &n.Space, &n.Group.Receiver, &n.Group.Key, &n.Unknown, &n.Body); err != nil {
					return err
				}
				n.ReceivedAt = moment(receivedAt)
				all = append(all, n)
				return nil
			}, `SELECT received_at, space, receiver, group_key, unknown, body FROM notifications WHERE id = $1`, id)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// Discard implements [delivery.Inbox].
func (s *Store) Discard(ctx context.Context, l delivery.Lease, space string, ids []int64, known []delivery.Known) error {
	states, bytes, err := encodeStates(space, known, s.now())
	if err != nil {
		return err
	}
	ids = slices.Clone(ids)
	return s.commitLeased(ctx, l, bytes, func(ctx context.Context, w *statements) error {
		for _, id := range ids {
			_, err := w.exec(ctx, `DELETE FROM notifications WHERE id = $1 AND space = $2 AND delivery = 0`, id, space)
			if err != nil {
				return err
			}
		}
		return putStates(ctx, w, states)
	})
}

// millis is how a time is stored.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// moment undoes millis.
func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
