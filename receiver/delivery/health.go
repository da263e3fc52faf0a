package delivery

import (
	"sync"
	"time"
)

// Report is how a space is doing since the process started.
type Report struct {
	LastSuccess  time.Time // when the last message was taken by Chat; zero if none was
	FailingSince time.Time // zero while it does not fail
	LastError    string    // without any secret; kept after success
	LastErrorAt  time.Time
}

// report is a Report that a loop writes and others read.
type report struct {
	mu sync.Mutex // guards r
	r  Report
}

func (r *report) get() Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.r
}

// succeed notes a success and returns since when the space had been failing.
func (r *report) succeed(now time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	since := r.r.FailingSince
	r.r.LastSuccess, r.r.FailingSince = now, time.Time{}
	return since
}

// fail notes an error, and, if the space counts as failing, whether it only
// now began to.
func (r *report) fail(now time.Time, reason string, failing bool) (began bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.r.LastError, r.r.LastErrorAt = reason, now
	if failing && r.r.FailingSince.IsZero() {
		r.r.FailingSince = now
		return true
	}
	return false
}
