package delivery

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Google's advice for retries: doubling from a second to 64, with jitter
// (https://developers.google.com/workspace/chat/limits).
const (
	firstBackoff  = time.Second
	maxBackoff    = 64 * time.Second
	maxRetryAfter = 5 * time.Minute
)

// paces keeps one limiter for each Google space. It outlives reloads, and
// where configured spaces share a place, the lowest of their rates holds.
type paces struct {
	mu       sync.Mutex // guards what follows
	limiters map[string]*rate.Limiter
	spaces   map[string]paced // by the configured space's name
	since    time.Time        // when the lease came: until then, another process may have written
}

type paced struct {
	place string
	limit rate.Limit
}

func newPaces() *paces {
	return &paces{limiters: make(map[string]*rate.Limiter), spaces: make(map[string]paced)}
}

// of returns the limiter of the place, at the lowest rate of its spaces.
func (p *paces) of(place, space string, perSecond float64) *rate.Limiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spaces[space] = paced{place, rate.Limit(perSecond)}
	lowest := rate.Limit(perSecond)
	for _, s := range p.spaces {
		if s.place == place {
			lowest = min(lowest, s.limit)
		}
	}
	l, ok := p.limiters[place]
	if !ok {
		l = rate.NewLimiter(lowest, 1)
		l.AllowN(p.since, 1)
		p.limiters[place] = l
	}
	if l.Limit() != lowest {
		l.SetLimit(lowest)
	}
	return l
}

// forget drops a space that is gone from the config, so that its rate no
// longer holds for others.
func (p *paces) forget(space string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.spaces, space)
}

// begin lets every place wait a whole pace from now on: another process, or
// the one before this, may have written until now.
func (p *paces) begin(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.since = now
	for _, l := range p.limiters {
		l.AllowN(now, 1)
	}
}

// untilFree returns how long it takes until the limiter would let one pass. It
// takes nothing: what is planned after the wait may turn out to be nothing.
func untilFree(l *rate.Limiter) time.Duration {
	missing := 1 - l.Tokens()
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing/float64(l.Limit())*float64(time.Second)) + time.Microsecond
}

// backoff is a space's wait after failures, with full jitter.
type backoff struct{ failures int }

// next returns the wait after one more failure, at least what Chat asked for.
func (b *backoff) next(retryAfter time.Duration) time.Duration {
	ceiling := maxBackoff
	if b.failures < 6 {
		ceiling = firstBackoff << b.failures
	}
	b.failures++
	wait := rand.N(ceiling) //nolint:gosec // jitter is no secret
	return max(wait, min(retryAfter, maxRetryAfter))
}

func (b *backoff) reset() { b.failures = 0 }

// sleep waits for d, or until stop is closed or ctx ends; then it reports
// false.
func sleep(ctx context.Context, stop <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-stop:
	case <-ctx.Done():
	}
	return false
}
