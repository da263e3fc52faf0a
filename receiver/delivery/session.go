package delivery

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	// goneFor is how long a space must be missing from the config before what
	// waits for it goes to the root's space, and goneCheck how often it is
	// looked at.
	goneFor   = 10 * time.Minute
	goneCheck = time.Minute
)

// Run delivers until stop is closed; then it ends what is being attempted and
// returns. When ctx ends, it abandons that too: what was attempted is attempted
// again by the next process.
func (m *Manager) Run(ctx context.Context, stop <-chan struct{}) {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-stop:
			cancel()
		case <-waiting.Done():
		}
	}()
	for {
		lease, err := m.store.Acquire(waiting)
		if err == nil {
			err = m.session(ctx, stop, lease)
		}
		if waiting.Err() != nil {
			return
		}
		if err != nil {
			m.log.Error("Cannot begin to deliver; trying again", "err", err)
			if !sleep(ctx, stop, storeRetry) {
				return
			}
		}
	}
}

// chore is what is looked after beside the loops, every so often.
type chore struct {
	every time.Duration // 0 for never
	do    func(context.Context, Lease) error
}

// session runs the loops under one lease, until it is lost or stop is closed.
func (m *Manager) session(ctx context.Context, stop <-chan struct{}, lease Lease) error {
	if err := m.recall(ctx); err != nil {
		return err
	}
	m.paces.begin(time.Now())
	lost := make(chan struct{})
	var once sync.Once
	lose := func() { once.Do(func() { close(lost) }) }
	end := make(chan struct{})
	var running sync.WaitGroup

	m.mu.Lock()
	m.start = func(l *loop) {
		running.Go(func() {
			if errors.Is(l.run(ctx, lease), ErrLeaseLost) {
				lose()
			}
		})
	}
	m.reconcile()
	m.mu.Unlock()
	m.metrics.delivering.Set(1)
	for _, c := range []chore{{goneCheck, m.adopt}, {reportCheck, m.report}, {m.poll, m.lookAround}} {
		running.Go(func() {
			if errors.Is(m.repeat(ctx, end, lease, c), ErrLeaseLost) {
				lose()
			}
		})
	}
	select {
	case <-lost:
	case <-stop:
	case <-ctx.Done():
	}
	close(end)
	m.mu.Lock()
	m.start = nil
	for _, l := range m.loops {
		l.quit()
	}
	clear(m.loops)
	m.mu.Unlock()
	running.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.ending)
	m.metrics.standBy(slices.Collect(maps.Keys(m.health)))
	return nil
}

// repeat does a chore until end is closed or the lease is lost. What else goes
// wrong is logged once.
func (m *Manager) repeat(ctx context.Context, end <-chan struct{}, lease Lease, c chore) error {
	if c.every == 0 {
		return nil
	}
	said := ""
	tick := time.NewTicker(c.every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			err := c.do(ctx, lease)
			if errors.Is(err, ErrLeaseLost) || ctx.Err() != nil {
				return err
			}
			if err != nil && err.Error() != said {
				said = err.Error()
				m.log.Warn("What is done beside delivery fails; it is tried again", "err", err)
			}
		case <-end:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lookAround wakes the loops of the spaces for which other processes may have
// stored something. Where nothing is written for long, only a write tells that
// the lease was lost.
func (m *Manager) lookAround(ctx context.Context, lease Lease) error {
	if !m.store.Holds(lease, 0) {
		return m.store.Discard(ctx, lease, "", nil, nil)
	}
	names, err := m.store.Spaces(ctx)
	if err != nil {
		return err
	}
	m.Look(names...)
	return nil
}

// adopt looks for spaces that are gone from the config while something waits
// for them. After ten minutes, the root's space is told in their place.
func (m *Manager) adopt(ctx context.Context, lease Lease) error {
	names, err := m.store.Spaces(ctx)
	if err != nil {
		return err
	}
	var due []string
	m.mu.Lock()
	root := m.root
	missing := make(map[string]time.Time)
	for _, name := range names {
		if m.spaces[name] != nil || root == "" {
			continue
		}
		since, ok := m.gone[name]
		if !ok {
			since = time.Now()
		}
		missing[name] = since
		if time.Since(since) >= goneFor {
			due = append(due, name)
		}
	}
	m.gone = missing
	m.mu.Unlock()
	for _, name := range due {
		moved, died, err := m.store.Adopt(ctx, lease, name, root)
		if err != nil {
			return err
		}
		m.log.Warn("A space is gone from the config; what waited for it goes to the root's space",
			"space", name, "root", root, "notifications", moved, "dead_deliveries", died)
		m.metrics.dead.WithLabelValues(root, string(SpaceRemoved)).Add(float64(died))
		m.Ring(root)
	}
	return nil
}
