package delivery

import (
	"context"
	"sync"
	"time"

	"alertchat/receiver/chat"
)

// Health is how a space is doing. Its JSON is the stored form. It is stored when
// an attempt fails and when the space is well again, not at each success.
type Health struct {
	LastSuccess  time.Time `json:"lastSuccess,omitzero"`  // when a message was last taken by Chat
	FailingSince time.Time `json:"failingSince,omitzero"` // zero while it does not fail
	LastError    string    `json:"lastError,omitempty"`   // without any secret; kept after success
	LastErrorAt  time.Time `json:"lastErrorAt,omitzero"`
	// ThrottledUntil is until when nothing is sent because Chat answered 429.
	ThrottledUntil time.Time `json:"throttledUntil,omitzero"`
	// ReportedAt is when the fallback space was last told that this one fails.
	// It is zero while there is nothing to take back.
	ReportedAt time.Time `json:"reportedAt,omitzero"`
}

// health is a Health that a loop writes and others read.
type health struct {
	mu sync.Mutex // guards h
	h  Health
}

func (h *health) get() Health {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.h
}

func (h *health) set(to Health) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.h = to
}

// change changes the health and returns it as it was and as it is.
func (h *health) change(do func(*Health)) (before, after Health) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before = h.h
	do(&h.h)
	return before, h.h
}

// throttled is the code of Chat's answer that a space is written to too often.
// Google throttles at times that it does not announce, so that fewThrottles of
// them in a row do not yet count as a failing space.
const (
	throttled    = "429"
	fewThrottles = 5
)

// well notes a success, and logs once where the space had been failing.
func (l *loop) well(ctx context.Context, name string, now time.Time) {
	l.m.metrics.failing.WithLabelValues(name).Set(0)
	l.m.metrics.lastSuccess.WithLabelValues(name).Set(float64(now.UnixMilli()) / 1000)
	h := l.m.healthOf(name)
	if h == nil {
		return
	}
	before, after := h.change(func(h *Health) {
		h.LastSuccess, h.FailingSince, h.ThrottledUntil = now, time.Time{}, time.Time{}
	})
	if since := before.FailingSince; !since.IsZero() {
		l.m.log.Info("Messages reach the space again", "space", name, "failed_for", now.Sub(since).Round(time.Second))
	}
	if !before.FailingSince.IsZero() || !before.ThrottledUntil.IsZero() {
		l.m.remember(ctx, l.lease, name, after)
	}
}

// unwell notes a failure after which the space is left alone for a while, and
// logs once where it begins to fail.
func (l *loop) unwell(ctx context.Context, s *Space, title string, failure *chat.Error, wait time.Duration) {
	failing := failure.Code != throttled || l.backoff.failures > fewThrottles
	h := l.m.healthOf(s.Name)
	if h == nil {
		return
	}
	now := time.Now()
	before, after := h.change(func(h *Health) {
		h.LastError, h.LastErrorAt, h.ThrottledUntil = failure.Error(), now, time.Time{}
		if failure.Code == throttled {
			h.ThrottledUntil = now.Add(wait)
		}
		if failing && h.FailingSince.IsZero() {
			h.FailingSince = now
		}
	})
	if failing {
		l.m.metrics.failing.WithLabelValues(s.Name).Set(1)
	}
	if failing && before.FailingSince.IsZero() {
		level := l.m.log.Warn
		if failure.Outcome == chat.Denied {
			level = l.m.log.Error // somebody must mend the destination
		}
		level("Messages do not reach the space; they are stored and tried again", "space", s.Name, "title", title, "err", failure)
	}
	l.m.remember(ctx, l.lease, s.Name, after)
}

// note keeps an error for the status page where the space itself is well.
func (l *loop) note(ctx context.Context, name string, failure *chat.Error) {
	if h := l.m.healthOf(name); h != nil {
		_, after := h.change(func(h *Health) { h.LastError, h.LastErrorAt = failure.Error(), time.Now() })
		l.m.remember(ctx, l.lease, name, after)
	}
}

// recall reads how spaces were doing when they were last delivered to, by
// whichever process.
func (m *Manager) recall(ctx context.Context) error {
	stored, err := m.store.Health(ctx)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, h := range m.health {
		if was, ok := stored[name]; ok {
			h.set(was)
			if !was.FailingSince.IsZero() {
				m.metrics.failing.WithLabelValues(name).Set(1)
			}
		}
	}
	return nil
}

// remember stores how a space is doing. It is not worth standing still for.
func (m *Manager) remember(ctx context.Context, lease Lease, name string, h Health) {
	if err := m.store.SaveHealth(ctx, lease, name, h); err != nil {
		m.log.Debug("How a space is doing could not be stored", "space", name, "err", err)
	}
}
