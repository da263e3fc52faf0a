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
	// ThrottledSince is when Chat began to answer nothing but 429, and
	// ThrottledUntil until when nothing is sent because of that.
	ThrottledSince time.Time `json:"throttledSince,omitzero"`
	ThrottledUntil time.Time `json:"throttledUntil,omitzero"`
	// ReportedAt is when the fallback space, which was ReportedTo, was last told
	// that this one fails. It is zero while there is nothing to take back.
	ReportedAt time.Time `json:"reportedAt,omitzero"`
	ReportedTo string    `json:"reportedTo,omitempty"`
}

// health is a Health that a loop writes and others read.
type health struct {
	mu      sync.Mutex // guards what follows
	h       Health
	changed int // how often it was
	stored  int // changed, as of the save that ended last
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
	h.stored = h.changed
}

// change changes the health and returns it as it was and as it is.
func (h *health) change(do func(*Health)) (before, after Health) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before = h.h
	do(&h.h)
	h.changed++
	return before, h.h
}

// succeed notes a success of a space that was well. The delivery tells others.
func (h *health) succeed(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.h.LastSuccess = now
}

// unsaved returns the health, which version it is, and whether that is not what
// was stored last.
func (h *health) unsaved() (now Health, version int, is bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.h, h.changed, h.changed != h.stored
}

// saved notes that a version was stored. Of two that were under way at once the
// older one may be what is stored now.
func (h *health) saved(version int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stored = version
}

// throttled is the code of Chat's answer that a space is written to too often.
// Google throttles at times that it does not announce, so that fewThrottles of
// them in a row within shortThrottle do not yet count as a failing space.
const (
	throttled     = "429"
	fewThrottles  = 5
	shortThrottle = time.Minute
)

// well notes a success, and logs once where the space had been failing.
func (l *loop) well(ctx context.Context, name string, now time.Time) {
	l.m.metrics.failing.WithLabelValues(name).Set(0)
	l.m.metrics.lastSuccess.WithLabelValues(name).Set(float64(now.UnixMilli()) / 1000)
	h := l.m.healthOf(name)
	if h == nil {
		return
	}
	if was := h.get(); was.FailingSince.IsZero() && was.ThrottledUntil.IsZero() {
		h.succeed(now)
		return
	}
	before, _ := h.change(func(h *Health) {
		h.LastSuccess = now
		h.FailingSince, h.ThrottledSince, h.ThrottledUntil = time.Time{}, time.Time{}, time.Time{}
	})
	if since := before.FailingSince; !since.IsZero() {
		l.m.log.Info("Messages reach the space again", "space", name, "failed_for", now.Sub(since).Round(time.Second))
		clear(l.apart) // it was the space, and not a digest
	}
	l.m.remember(ctx, l.lease, name)
}

// idle notes that nothing is left that could fail: what did is given up.
func (l *loop) idle(ctx context.Context, name string) {
	h := l.m.healthOf(name)
	if h == nil || h.get().FailingSince.IsZero() {
		return
	}
	h.change(func(h *Health) { h.FailingSince = time.Time{} })
	l.m.log.Info("What did not reach the space is given up, and nothing waits for it any more", "space", name)
	l.m.metrics.failing.WithLabelValues(name).Set(0)
	l.m.remember(ctx, l.lease, name)
}

// unwell notes a failure after which the space is left alone for a while, and
// logs once where it begins to fail.
func (l *loop) unwell(ctx context.Context, s *Space, title string, failure *chat.Error, wait time.Duration) {
	h := l.m.healthOf(s.Name)
	if h == nil {
		return
	}
	now := time.Now()
	before, after := h.change(func(h *Health) {
		h.LastError, h.LastErrorAt = failure.Error(), now
		since := now
		if failure.Code != throttled {
			h.ThrottledSince, h.ThrottledUntil = time.Time{}, time.Time{}
		} else {
			if h.ThrottledSince.IsZero() {
				h.ThrottledSince = now
			}
			since, h.ThrottledUntil = h.ThrottledSince, now.Add(wait)
			if l.backoff.failures <= fewThrottles && elapsed(since, now) < shortThrottle {
				return
			}
		}
		if h.FailingSince.IsZero() {
			h.FailingSince = since
		}
	})
	if !after.FailingSince.IsZero() {
		l.m.metrics.failing.WithLabelValues(s.Name).Set(1)
	}
	if !after.FailingSince.IsZero() && before.FailingSince.IsZero() {
		level := l.m.log.Warn
		if failure.Outcome == chat.Denied {
			level = l.m.log.Error // somebody must mend the destination
		}
		level("Messages do not reach the space; they are stored and tried again", "space", s.Name, "title", title, "err", failure)
	}
	l.m.remember(ctx, l.lease, s.Name)
}

// note keeps an error for the status page where the space itself is well.
func (l *loop) note(ctx context.Context, name string, failure *chat.Error) {
	if h := l.m.healthOf(name); h != nil {
		h.change(func(h *Health) { h.LastError, h.LastErrorAt = failure.Error(), time.Now() })
		l.m.remember(ctx, l.lease, name)
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
		was := stored[name]
		h.set(was)
		failing := 0.0
		if !was.FailingSince.IsZero() {
			failing = 1
		}
		m.metrics.failing.WithLabelValues(name).Set(failing)
	}
	return nil
}

// remember stores how a space is doing, if that is not stored yet. It is not
// worth standing still for: what fails is tried again by [Manager.report].
func (m *Manager) remember(ctx context.Context, lease Lease, name string) {
	health := m.healthOf(name)
	if health == nil {
		return
	}
	now, version, is := health.unsaved()
	if !is {
		return
	}
	if err := m.store.SaveHealth(ctx, lease, name, now); err != nil {
		m.log.Debug("How a space is doing could not be stored", "space", name, "err", err)
		return
	}
	health.saved(version)
}
