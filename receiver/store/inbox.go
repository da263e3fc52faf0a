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

const insertNotification = `INSERT INTO notifications (received_at, space, receiver, group_key, unknown, body)
	VALUES ($1, $2, $3, $4, $5, $6)`

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
	err := s.commit(ctx, bytes, func(ctx context.Context, w *statements) error {
		for i := range rows {
			n := &rows[i]
			err := w.insertLater(ctx, &n.ID, insertNotification,
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
	var w delivery.Waiting // of one row after the other: there may be thousands
	var size int64
	into := []any{&w.ID, &w.Group.Receiver, &w.Group.Key, &size}
	err := s.reading(ctx, func(r *statements) error {
		return r.each(ctx, func(rows *sql.Rows) error {
			err := rows.Scan(into...)
			w.Bytes = int(size)
			all = append(all, w)
			return err
		}, `SELECT id, receiver, group_key, LENGTH(body) FROM notifications
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
		for query, args := range lists(`SELECT id, received_at, space, receiver, group_key, unknown, body
			FROM notifications WHERE id IN ({list}) ORDER BY id`, ids) {
			err := r.each(ctx, func(rows *sql.Rows) error {
				var n alert.Notification
				var receivedAt int64
				err := rows.Scan(&n.ID, &receivedAt, &n.Space, &n.Group.Receiver, &n.Group.Key, &n.Unknown, &n.Body)
				n.ReceivedAt = moment(receivedAt)
				all = append(all, n)
				return err
			}, query, args...)
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
		if err := execLists(ctx, w,
			`DELETE FROM notifications WHERE space = $1 AND delivery = 0 AND id IN ({list})`, ids, space); err != nil {
			return err
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
