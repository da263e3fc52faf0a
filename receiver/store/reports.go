package store

import (
	"context"
	"database/sql"
	"slices"

	"alertchat/receiver/delivery"
)

// Undelivered implements [delivery.Reports].
func (s *Store) Undelivered(ctx context.Context, space string, limit int) ([]delivery.Undelivered, error) {
	var all []delivery.Undelivered
	var u delivery.Undelivered // of one row after the other, as in Waiting
	var size, receivedAt, reported int64
	into := []any{&u.ID, &u.Group.Receiver, &u.Group.Key, &size, &receivedAt, &reported}
	err := s.reading(ctx, func(r *statements) error {
		return r.each(ctx, func(rows *sql.Rows) error {
			err := rows.Scan(into...)
			u.Bytes, u.ReceivedAt, u.Reported = int(size), moment(receivedAt), reported > 0
			all = append(all, u)
			return err
		}, selectUndelivered, space, limit)
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// Each half has its index. It is one statement, so that what is planned or
// thawed meanwhile comes neither twice nor not at all.
const selectUndelivered = `SELECT id, receiver, group_key, LENGTH(body), received_at, reported
	FROM notifications WHERE space = $1 AND delivery = 0
	UNION ALL SELECT id, receiver, group_key, LENGTH(body), received_at, reported
	FROM notifications WHERE delivery > 0
		AND delivery IN (SELECT id FROM deliveries WHERE status = 'planned' AND space = $1)
	ORDER BY reported, id LIMIT $2`

// Unreported implements [delivery.Reports].
func (s *Store) Unreported(ctx context.Context, limit int) ([]*delivery.Delivery, error) {
	return s.outlines(ctx, `SELECT `+deliveryColumns+` FROM deliveries
		WHERE status = 'dead' AND reported = 0 ORDER BY id LIMIT $1`, limit)
}

// Report implements [delivery.Reports]. When ctx ends before the outcome is
// known, the delivery has no ID yet, but may stand among the planned ones.
func (s *Store) Report(ctx context.Context, l delivery.Lease, d *delivery.Delivery, notifications, dead []int64) error {
	row := &deliveryRow{bytes: opBytes}
	if d != nil {
		var err error
		if row, err = s.encodeDelivery(d); err != nil {
			return err
		}
	}
	notifications, dead = slices.Clone(notifications), slices.Clone(dead)
	bytes := row.bytes + opBytes*(len(notifications)+len(dead))
	err := s.commitLeased(ctx, l, bytes, func(ctx context.Context, w *statements) error {
		deliveries := dead
		if d != nil {
			if err := row.insert(ctx, w); err != nil {
				return err
			}
			deliveries = append(slices.Clip(dead), row.id)
		}
		if err := execLists(ctx, w, `UPDATE notifications SET reported = 1 WHERE id IN ({list})`, notifications); err != nil {
			return err
		}
		return execLists(ctx, w, `UPDATE deliveries SET reported = 1 WHERE id IN ({list})`, deliveries)
	})
	if err != nil || d == nil {
		return err
	}
	d.ID = row.id
	return nil
}
