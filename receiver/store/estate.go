package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"alertchat/receiver/delivery"
)

// selectSpaces goes from each space that has something waiting to the next one,
// by the index: many thousands may wait, in few spaces.
const selectSpaces = `WITH RECURSIVE waiting (space) AS (
		SELECT MIN(space) FROM notifications WHERE delivery = 0
		UNION ALL
		SELECT (SELECT MIN(space) FROM notifications WHERE delivery = 0 AND space > waiting.space)
		FROM waiting WHERE space IS NOT NULL)
	SELECT space FROM waiting WHERE space IS NOT NULL
	UNION SELECT space FROM deliveries WHERE status = 'planned'`

// Spaces implements [delivery.Estate].
func (s *Store) Spaces(ctx context.Context) ([]string, error) {
	var all []string
	err := s.reading(ctx, func(r *statements) error {
		return r.each(ctx, func(rows *sql.Rows) error {
			var space string
			err := rows.Scan(&space)
			all = append(all, space)
			return err
		}, selectSpaces)
	})
	slices.Sort(all) // here: a database sorts as its locale has it
	return all, err
}

// Adopt implements [delivery.Estate]. A notification that was already marked
// keeps its mark: that is the name it was meant for. Whatever a fallback was
// told of it, the fallback of the space that has it now was not.
func (s *Store) Adopt(ctx context.Context, l delivery.Lease, from, to string) (moved, died int, err error) {
	if from == to {
		return 0, 0, fmt.Errorf("space %q cannot adopt from itself", from)
	}
	var deaths []*delivery.Delivery
	var moves int64
	err = s.commitLeased(ctx, l, opBytes, func(ctx context.Context, w *statements) (err error) {
		if deaths, err = s.removeSpace(ctx, w, from); err != nil {
			return err
		}
		moves, err = w.exec(ctx, `UPDATE notifications SET space = $1, reported = 0, unknown = CASE WHEN unknown = '' THEN $2 ELSE unknown END
			WHERE space = $2 AND delivery = 0`, to, from)
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	return int(moves), len(deaths), nil
}

// removeSpace lets the planned deliveries of a space die.
func (s *Store) removeSpace(ctx context.Context, w *statements, space string) ([]*delivery.Delivery, error) {
	var planned []*delivery.Delivery
	err := w.each(ctx, func(rows *sql.Rows) error {
		d, err := scanPlanned(rows)
		planned = append(planned, d)
		return err
	}, selectPlanned, space)
	if err != nil {
		return nil, err
	}
	for _, d := range planned {
		d.Status, d.Reason, d.EndedAt = delivery.Dead, delivery.SpaceRemoved, s.now()
		for i := range d.Known {
			d.Known[i] = d.Known[i].Died()
		}
		row, err := s.encodeDelivery(d)
		if err != nil {
			return nil, err
		}
		if err := row.update(ctx, w); err != nil {
			return nil, err
		}
	}
	return planned, nil
}
