package delivery

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return noon.Add(time.Duration(ms) * time.Millisecond) }
	fresh := func() *pace {
		p := newPaces()
		p.begin(at(-5000))
		return p.of("spaces/A", "ops", 1)
	}
	t.Run("it is free when nobody wrote lately", func(t *testing.T) {
		if wait := fresh().untilFree(noon); wait != 0 {
			t.Errorf("wait %s, want none", wait)
		}
	})
	t.Run("looking takes nothing", func(t *testing.T) {
		p := fresh()
		p.untilFree(noon)
		if wait := p.take(noon); wait != 0 {
			t.Errorf("wait %s, want none", wait)
		}
	})
	t.Run("who is second waits", func(t *testing.T) {
		p := fresh()
		p.take(noon)
		if wait := p.take(at(300)); wait != 700*time.Millisecond {
			t.Errorf("wait %s, want 700ms", wait)
		}
	})
	t.Run("it counts from when the request was on its way", func(t *testing.T) {
		p := fresh()
		p.take(noon)
		p.wrote(at(250)) // the connection took its time
		if wait := p.untilFree(at(1000)); wait != 250*time.Millisecond {
			t.Errorf("wait %s, want 250ms", wait)
		}
	})
	t.Run("the process before may just have written", func(t *testing.T) {
		p := newPaces()
		p.begin(noon)
		if wait := p.of("spaces/A", "ops", 1).untilFree(at(100)); wait != 900*time.Millisecond {
			t.Errorf("wait %s, want 900ms", wait)
		}
		known := fresh()
		known.take(at(-4000))
		if wait := known.untilFree(noon); wait != 0 {
			t.Errorf("wait %s at a place that was written to long ago, want none", wait)
		}
	})
	t.Run("the lowest rate of a place holds, until its space is gone", func(t *testing.T) {
		p := newPaces()
		p.of("spaces/A", "slow", 0.5)
		shared := p.of("spaces/A", "quick", 10)
		other := p.of("spaces/B", "other", 10)
		shared.take(noon)
		other.take(noon)
		if wait := shared.untilFree(noon); wait != 2*time.Second {
			t.Errorf("wait %s, want that of the lowest rate, 2s", wait)
		}
		if wait := other.untilFree(noon); wait != 100*time.Millisecond {
			t.Errorf("wait %s at another place, want 100ms", wait)
		}
		p.forget("slow")
		shared = p.of("spaces/A", "quick", 10)
		shared.take(at(5000))
		if wait := shared.untilFree(at(5000)); wait != 100*time.Millisecond {
			t.Errorf("wait %s, want 100ms", wait)
		}
	})
}

func TestBackoff(t *testing.T) {
	var b backoff
	for i, ceiling := range []int{1, 2, 4, 8, 16, 32, 64, 64, 64} {
		if wait := b.next(0); wait < 0 || wait > time.Duration(ceiling)*time.Second {
			t.Errorf("wait %d is %s, want up to %d s", i, wait, ceiling)
		}
	}
	if wait := b.next(3 * time.Minute); wait != 3*time.Minute {
		t.Errorf("wait %s where Chat asks for 3m", wait)
	}
	if wait := b.next(time.Hour); wait != maxRetryAfter {
		t.Errorf("wait %s where Chat asks for an hour, want %s", wait, maxRetryAfter)
	}
	b.reset()
	if wait := b.next(0); wait > time.Second {
		t.Errorf("wait %s after a success, want up to 1s", wait)
	}
}
