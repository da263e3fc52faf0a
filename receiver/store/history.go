package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"alertchat/receiver/delivery"
)

// Count says what a space has in the store.
type Count struct {
	Waiting int // notifications that no delivery covers
	Planned int // deliveries that are still to be attempted
	Dead    int // deliveries that were given up and are kept
	// Oldest is when the oldest notification arrived that waits or that a
	// planned delivery covers; zero where there is none.
	Oldest time.Time
}

// Counts returns the counts of all spaces that have anything in the store but
// deliveries that are done.
func (s *Store) Counts(ctx context.Context) (map[string]Count, error) {
	counts := make(map[string]Count)
	err := s.reading(ctx, func(r *statements) error {
		return r.each(ctx, func(rows *sql.Rows) error {
			var kind, space string
			var n int
			var received int64
			if err := rows.Scan(&kind, &space, &n, &received); err != nil {
				return err
			}
			c, oldest := counts[space], moment(received)
			switch kind {
			case "waiting":
				c.Waiting = n
			case "planned":
				c.Planned = n
			case "dead":
				c.Dead = n
			}
			if kind != "dead" && (c.Oldest.IsZero() || oldest.Before(c.Oldest)) {
				c.Oldest = oldest
			}
			counts[space] = c
			return nil
		}, selectCounts)
	})
	if err != nil {
		return nil, err
	}
	return counts, nil
}

// It is one statement, so that what is planned or thawed meanwhile is counted
// once. Of what waits the smallest id is the oldest: its row alone is read, the
// rest is in the index.
const selectCounts = `SELECT 'waiting', n.space, c.n, n.received_at FROM
		(SELECT COUNT(*) AS n, MIN(id) AS first FROM notifications WHERE delivery = 0 GROUP BY space) c
		JOIN notifications n ON n.id = c.first
	UNION ALL SELECT 'planned', space, COUNT(*), MIN(received_at) FROM deliveries WHERE status = 'planned' GROUP BY space
	UNION ALL SELECT 'dead', space, COUNT(*), 0 FROM deliveries WHERE status = 'dead' GROUP BY space`

// History returns the last limit deliveries of the space that are done and the
// last limit that are dead, the newest first. So many successes do not push a
// failure out. The steps have no bodies, and Known and Covers are left out.
func (s *Store) History(ctx context.Context, space string, limit int) ([]*delivery.Delivery, error) {
	var all []*delivery.Delivery
	for _, status := range []delivery.Status{delivery.Done, delivery.Dead} {
		some, err := s.outlines(ctx, `SELECT `+deliveryColumns+` FROM deliveries WHERE status = $1 AND space = $2
			ORDER BY ended_at DESC, id DESC LIMIT $3`, string(status), space, limit)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	slices.SortFunc(all, func(a, b *delivery.Delivery) int {
		return cmp.Or(b.EndedAt.Compare(a.EndedAt), cmp.Compare(b.ID, a.ID))
	})
	return all, nil
}

// Filter says which deliveries are asked for.
type Filter struct {
	Status delivery.Status // empty for any
	Space  string          // empty for all
	Before int64           // only those with a smaller ID, for the next page; 0 for all
	Limit  int             // how many at most
}

// Deliveries returns the deliveries that a filter lets through, the newest, the
// one with the highest ID, first. They are as [Store.History] has them.
func (s *Store) Deliveries(ctx context.Context, f Filter) ([]*delivery.Delivery, error) {
	before := f.Before
	if before == 0 {
		before = math.MaxInt64
	}
	where, args := []string{"id < $1"}, []any{before}
	if f.Status != "" {
		args = append(args, string(f.Status))
		where = append(where, fmt.Sprintf("status = $%d", len(args)))
	}
	if f.Space != "" {
		args = append(args, f.Space)
		where = append(where, fmt.Sprintf("space = $%d", len(args)))
	}
	args = append(args, f.Limit)
	// Rows are read only of those that are returned: an index gives the IDs.
	return s.outlines(ctx, fmt.Sprintf(`SELECT %s FROM deliveries WHERE id IN (
		SELECT id FROM deliveries WHERE %s ORDER BY id DESC LIMIT $%d) ORDER BY id DESC`,
		deliveryColumns, strings.Join(where, " AND "), len(args)), args...)
}

// outlines returns the deliveries that a query of deliveryColumns gives, without
// bodies, Known and Covers.
func (s *Store) outlines(ctx context.Context, query string, args ...any) ([]*delivery.Delivery, error) {
	var all []*delivery.Delivery
	err := s.reading(ctx, func(r *statements) error {
		return r.each(ctx, func(rows *sql.Rows) error {
			d, err := scanDelivery(rows, false)
			all = append(all, d)
			return err
		}, query, args...)
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}
