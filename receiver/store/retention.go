package store

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"alertchat/receiver/delivery"
)

// How the store is swept: in portions, so that no Add waits long behind one.
const (
	sweepInterval = time.Minute
	sweepPause    = 20 * time.Millisecond
	sweepRows     = 500
)

// sweep removes a portion of what has been kept long enough, under the lease:
// two processes that sweep would be in each other's way. It returns when to sweep
// again, and what is wrong with the storage.
func (s *Store) sweep(ctx context.Context, d *database) (time.Duration, *unavailableError) {
	l, held := s.holding()
	if !held {
		return sweepInterval, nil
	}
	var removed int64
	err := s.transact(ctx, d, []*op{{lease: &l, change: func(ctx context.Context, w *statements) (err error) {
		removed, err = s.removeOld(ctx, w)
		return err
	}}})
	if errors.Is(err, delivery.ErrLeaseLost) {
		return sweepInterval, nil
	}
	more := removed > 0
	if err == nil && !more {
		more, err = s.engine.shrink(ctx, d)
	}
	if err != nil {
		return sweepInterval, s.faultOf(err)
	}
	if more {
		return sweepPause, nil
	}
	return sweepInterval, nil
}

// removeOld removes up to sweepRows rows and returns how many it has removed.
func (s *Store) removeOld(ctx context.Context, w *statements) (int64, error) {
	now := s.now()
	forgotten := millis(now.Add(-s.retention.StateAge))
	removed, err := w.exec(ctx, `DELETE FROM incidents WHERE key IN (
		SELECT key FROM incidents WHERE updated_at < $1 ORDER BY updated_at LIMIT $2)`, forgotten, sweepRows)
	if err != nil {
		return 0, err
	}
	if _, err := w.exec(ctx, `DELETE FROM spaces WHERE updated_at < $1`, forgotten); err != nil {
		return 0, err
	}
	for _, rule := range []struct {
		status delivery.Status
		age    time.Duration
		count  int64
	}{
		{delivery.Done, s.retention.DoneAge, int64(s.retention.DoneCount)},
		{delivery.Dead, s.retention.DeadAge, int64(s.retention.DeadCount)},
	} {
		spaces := make(map[string]int64)
		err := w.each(ctx, func(rows *sql.Rows) error {
			var space string
			var n int64
			err := rows.Scan(&space, &n)
			spaces[space] = n
			return err
		}, `SELECT space, COUNT(*) FROM deliveries WHERE status = $1 GROUP BY space`, string(rule.status))
		if err != nil {
			return 0, err
		}
		for space, n := range spaces {
			// Oldest first: those too old, then those too many.
			old, err := removeDeliveries(ctx, w, rule.status, space, millis(now.Add(-rule.age)), sweepRows-removed)
			if err != nil {
				return 0, err
			}
			removed += old
			excess := min(n-old-rule.count, sweepRows-removed)
			many, err := removeDeliveries(ctx, w, rule.status, space, math.MaxInt64, excess)
			if err != nil {
				return 0, err
			}
			removed += many
		}
	}
	return removed, nil
}

// removeDeliveries removes up to limit deliveries that ended before a time.
func removeDeliveries(
	ctx context.Context, w *statements, status delivery.Status, space string, before, limit int64,
) (int64, error) {
	if limit <= 0 {
		return 0, nil
	}
	return w.exec(ctx, `DELETE FROM deliveries WHERE id IN (
		SELECT id FROM deliveries WHERE status = $1 AND space = $2 AND ended_at < $3 ORDER BY ended_at, id LIMIT $4)`,
		string(status), space, before, limit)
}
