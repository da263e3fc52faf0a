package delivery

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// Google's advice for retries: doubling from a second to 64, with jitter
// (https://developers.google.com/workspace/chat/limits).
const (
	firstBackoff  = time.Second
	maxBackoff    = 64 * time.Second
	maxRetryAfter = 5 * time.Minute
)

// paces keeps one pace for each Google space. It outlives reloads, and where
// configured spaces share a place, the lowest of their rates holds.
type paces struct {
	mu     sync.Mutex // guards what follows
	places map[string]*pace
	spaces map[string]paced // by the configured space's name
	since  time.Time        // when the lease came: until then, another process may have written
}

type paced struct {
	place string
	rate  float64
}

// pace says when a place may be written to. What Google counts is when requests
// arrive, and one takes longer to get there than another, the first one over a
// new connection above all. So it counts from when a request was on its way, for
// other loops of the place, and then from its answer: it arrived before that. A
// limiter that counts from when an attempt begins would let the next one come too
// early.
type pace struct {
	mu       sync.Mutex // guards what follows
	interval time.Duration
	next     time.Time
}

func newPaces() *paces {
	return &paces{places: make(map[string]*pace), spaces: make(map[string]paced)}
}

// of returns the pace of the place, at the lowest rate of its spaces.
func (p *paces) of(place, space string, perSecond float64) *pace {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spaces[space] = paced{place, perSecond}
	for _, s := range p.spaces {
		if s.place == place {
			perSecond = min(perSecond, s.rate)
		}
	}
	interval := time.Duration(float64(time.Second) / perSecond)
	at, ok := p.places[place]
	if !ok {
		at = &pace{next: p.since.Add(interval)}
		p.places[place] = at
	}
	at.mu.Lock()
	defer at.mu.Unlock()
	at.interval = interval
	return at
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
	for _, at := range p.places {
		at.wrote(now)
	}
}

// untilFree returns how long it takes until the place may be written to. It
// takes nothing: what is planned after the wait may turn out to be nothing.
func (p *pace) untilFree(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, p.next.Sub(now))
}

// take takes the right to write now. Where somebody else was quicker, it
// returns how long to wait before asking again.
func (p *pace) take(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if wait := p.next.Sub(now); wait > 0 {
		return wait
	}
	p.next = now.Add(p.interval)
	return 0
}

// wrote says that a request was on its way at the given time.
func (p *pace) wrote(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if next := at.Add(p.interval); next.After(p.next) {
		p.next = next
	}
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
