package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"alertchat/receiver/delivery"
)

// Why a delivery is not retried.
var (
	ErrNoDelivery = errors.New("there is no such delivery")
	ErrNotDead    = errors.New("the delivery is not dead")
	ErrSpaceGone  = errors.New("the delivery's space is gone from the config")
)

// Retry makes a dead delivery planned again, as it was frozen: what was done of
// it is not done again. Its age counts from now. Its groups have moved on since
// it died, so it stands alone: it stores nothing of them when it is over. Any
// replica may do that, without the lease.
//
// exists tells whether the config has a space; it is called while others wait
// for their commit. Retry returns the delivery's space, whose loop must hear of
// it. It fails with [ErrNoDelivery], [ErrNotDead] or [ErrSpaceGone].
func (s *Store) Retry(ctx context.Context, id int64, exists func(space string) bool) (string, error) {
	var space string
	var refused error // no error of the change: that would undo its batch
	err := s.commit(ctx, opBytes, func(ctx context.Context, w *statements) (err error) {
		space, refused, err = s.retry(ctx, w, id, exists)
		return err
	})
	if err != nil {
		return "", err
	}
	if refused != nil {
		return "", fmt.Errorf("retry delivery %d: %w", id, refused)
	}
	return space, nil
}

// retry returns the space, or why the delivery is not retried.
func (s *Store) retry(
	ctx context.Context, w *statements, id int64, exists func(space string) bool,
) (space string, refused, err error) {
	var d *delivery.Delivery
	var damage error
	err = w.each(ctx, func(rows *sql.Rows) (err error) {
		if d, err = scanDelivery(rows, true); errors.Is(err, errPlan) {
			damage, err = err, nil
		}
		return err
	}, `SELECT `+deliveryColumns+`, plan FROM deliveries WHERE id = $1`, id)
	switch {
	case err != nil:
		return "", nil, err
	case d == nil:
		return "", ErrNoDelivery, nil
	case d.Status != delivery.Dead:
		return "", ErrNotDead, nil
	case damage != nil:
		return "", damage, nil
	case !exists(d.Space):
		return "", ErrSpaceGone, nil
	}
	d.Alone()
	steps, err := encodeSteps(d)
	if err != nil {
		return "", nil, err
	}
	frozen, err := encodePlan(d)
	if err != nil {
		return "", nil, err
	}
	// The last term decides between two who retry it at once.
	n, err := w.exec(ctx, `UPDATE deliveries SET status = 'planned', reason = '', ended_at = 0, received_at = $1, latest_at = $1,
		reported = CASE WHEN notice = '' THEN 0 ELSE 1 END, steps = $2, plan = $3
		WHERE id = $4 AND status = 'dead'`, millis(s.now()), string(steps), string(frozen), id)
	if err == nil && n == 0 {
		return "", ErrNotDead, nil
	}
	return d.Space, nil, err
}
