package httpapi

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// budgetBytes is how much of all bodies is worked on at once. Alertmanager
	// has no limit of its own: 3,000 posts at once are normal.
	budgetBytes = 64 << 20
	// maxWait is how long one body waits for its share, all in all.
	maxWait = 5 * time.Second
)

var errBudget = errors.New("the budget for bodies was taken for too long")

// budget bounds the bytes of all bodies that are worked on.
//
// Bodies take their shares step by step, so many that grow at once could each
// hold a part and wait for the rest for ever. Therefore one largest body is
// kept in reserve: who cannot grow takes its turn at the reserve, and there it
// surely ends.
type budget struct {
	shared  *semaphore.Weighted // in bytes
	reserve *semaphore.Weighted // one body at a time
}

func newBudget() *budget {
	return &budget{
		// A buffer is one byte larger than the largest body.
		shared:  semaphore.NewWeighted(budgetBytes - (maxBody + 1)),
		reserve: semaphore.NewWeighted(1),
	}
}

// claim returns an empty claim, which is for one goroutine.
func (b *budget) claim() *claim { return &claim{budget: b, patience: maxWait} }

// claim is what one body holds of the budget.
type claim struct {
	budget   *budget
	held     int64         // of the shared bytes
	reserved bool          // whether it has the reserve, from which it takes all more
	patience time.Duration // how long it still waits
}

// grow takes n bytes more. It fails when they are not to be had in time or the
// context ends.
func (c *claim) grow(ctx context.Context, n int64) error {
	switch {
	case c.reserved:
		return nil
	case c.budget.shared.TryAcquire(n):
		c.held += n
		return nil
	case c.held == 0:
		// It holds nothing that others wait for, so it can wait as well.
		if err := c.wait(ctx, c.budget.shared, n); err != nil {
			return err
		}
		c.held = n
		return nil
	default:
		if err := c.wait(ctx, c.budget.reserve, 1); err != nil {
			return err
		}
		c.reserved = true
		return nil
	}
}

func (c *claim) wait(ctx context.Context, s *semaphore.Weighted, n int64) error {
	start := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, c.patience, errBudget)
	defer cancel()
	if err := s.Acquire(ctx, n); err != nil {
		return context.Cause(ctx)
	}
	c.patience -= time.Since(start)
	return nil
}

// release gives everything back.
func (c *claim) release() {
	c.budget.shared.Release(c.held)
	if c.reserved {
		c.budget.reserve.Release(1)
	}
	c.held, c.reserved = 0, false
}
