package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

const (
	kib = 1 << 10
	mib = 1 << 20
)

func TestBadRequestsAreRefusedForGood(t *testing.T) {
	const marker = "hunter2"
	for _, tt := range []struct {
		name, body, encoding string
		status               int
		sentence             string
	}{
		{"an empty body", "", "", 400, "the body is not a JSON payload of Alertmanager"},
		{"a form", "password=" + marker, "", 400, "the body is not a JSON payload of Alertmanager"},
		{"null", "null", "", 400, "the payload is not of version 4"},
		{"a list", `["` + marker + `"]`, "", 400, "the body is not a JSON payload of Alertmanager"},
		{"half a payload", payload[:len(payload)/2], "", 400, "the body is not a JSON payload of Alertmanager"},
		{"two payloads", payload + payload, "", 400, "the body is not a JSON payload of Alertmanager"},
		{"a time that is none", strings.Replace(payload, "2026-11-23T14:00:00Z", marker, 1), "", 400, "the body is not a JSON payload of Alertmanager"},
		{"a number for a text", strings.Replace(payload, `"DiskFull"`, `4111111`, 1), "", 400, "the body is not a JSON payload of Alertmanager"},
		{"nesting without an end", strings.Repeat("[", 1_000_000), "", 400, "the body is not a JSON payload of Alertmanager"},
		{"nesting in a field that nobody knows", `{"version":"4","x":` + strings.Repeat(`{"a":`, 100_000), "", 400, "the body is not a JSON payload of Alertmanager"},
		{"version 3", strings.Replace(payload, `"version":"4"`, `"version":"3"`, 1), "", 400, "the payload is not of version 4"},
		{"no alerts", `{"version":"4","alerts":[],"receiver":"` + marker + `"}`, "", 400, "the payload has no alerts"},
		{"a compressed body", payload, "gzip", 400, "the body is compressed; only plain JSON is taken"},
		{"40 MB", strings.Repeat(" ", 40_000_000), "", 413, "the body is larger than 32 MiB"},
	} {
		for _, announced := range []bool{true, false} {
			t.Run(tt.name+map[bool]string{true: " of a known length", false: " in chunks"}[announced], func(t *testing.T) {
				rec := &receiver{}
				h := newAPI(rec)
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/alertmanager", strings.NewReader(tt.body))
				r.Header.Set("Content-Encoding", tt.encoding)
				if !announced {
					r.ContentLength = -1
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if want := `{"error":"` + tt.sentence + `"}` + "\n"; w.Code != tt.status || w.Body.String() != want {
					t.Errorf("answer = %d %s, want %d %s", w.Code, w.Body, tt.status, want)
				}
				if len(rec.accepted) > 0 {
					t.Errorf("accepted %d notifications, want none", len(rec.accepted))
				}
				warnings := h.log.lines(slog.LevelWarn)
				if len(warnings) != 1 || !strings.Contains(warnings[0], tt.sentence) {
					t.Errorf("warnings = %q, want one with %q", warnings, tt.sentence)
				}
				if log := strings.Join(warnings, ""); strings.Contains(log, marker) || strings.Contains(log, "4111111") {
					t.Errorf("the log repeats the body: %s", log)
				}
			})
		}
	}
}

func TestBodiesArriveWholeWhateverTheirSize(t *testing.T) {
	for _, size := range []int{0, 1, 511, 4095, 4096, 4097, 8191, 8192, 8193, 100_000, mib, 32*mib - 1, 32 * mib, 32*mib + 1} {
		want := bytes.Repeat([]byte("0123456789abcdefg"), size/17+1)[:size]
		for name, length := range map[string]int64{"announced": int64(size), "in chunks": -1} {
			var got []byte
			h := newAPI(&receiver{accept: func(_ context.Context, body []byte) error {
				got = body
				return nil
			}})
			body := io.Reader(bytes.NewReader(want))
			if size <= 100_000 {
				body = iotest.OneByteReader(body)
			}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/alertmanager", body)
			r.ContentLength = length
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if size > 32*mib {
				if w.Code != http.StatusRequestEntityTooLarge || got != nil {
					t.Errorf("%d bytes %s = %d, want 413", size, name, w.Code)
				}
				continue
			}
			if w.Code != http.StatusOK || !bytes.Equal(got, want) {
				t.Errorf("%d bytes %s = %d with %d bytes accepted, want all of them", size, name, w.Code, len(got))
			}
		}
	}
}

// meter counts the bytes of bodies that were read and whose handlers run.
type meter struct {
	mu        sync.Mutex // guards both
	now, peak int64
}

func (m *meter) add(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now += n
	m.peak = max(m.peak, m.now)
}

type metered struct {
	io.Reader

	meter *meter
	read  int64
}

func (b *metered) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.read += int64(n)
	b.meter.add(int64(n))
	return n, err
}

// crowd posts through a handler from many goroutines.
type crowd struct {
	h     http.Handler
	meter meter
	group sync.WaitGroup

	mu    sync.Mutex // guards codes
	codes map[int]int
}

// post sends a body of an announced length in the background.
func (c *crowd) post(ctx context.Context, body io.Reader, length int64) {
	c.group.Go(func() {
		source := &metered{Reader: body, meter: &c.meter}
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/alertmanager", source)
		r.ContentLength = length
		w := httptest.NewRecorder()
		c.h.ServeHTTP(w, r)
		c.meter.add(-source.read)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.codes == nil {
			c.codes = make(map[int]int)
		}
		c.codes[w.Code]++
	})
}

func (c *crowd) answers() map[int]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.codes)
}

// stalling is a body that stops in the middle until the gate opens.
type stalling struct {
	size, stop, sent int
	gate             <-chan struct{}
	breaks           bool // it breaks off where it stopped
}

func (s *stalling) Read(p []byte) (int, error) {
	if s.sent == s.size {
		return 0, io.EOF
	}
	if s.sent >= s.stop {
		<-s.gate
		if s.breaks {
			return 0, io.ErrUnexpectedEOF
		}
		s.stop = s.size
	}
	n := min(len(p), s.stop-s.sent)
	clear(p[:n])
	s.sent += n
	return n, nil
}

func acceptAll(context.Context, []byte) error { return nil }

func TestManyBodiesThatGrowAtOnceAllFinish(t *testing.T) {
	for _, tt := range []struct {
		name        string
		count, size int
	}{
		{"3,000 of 50 alerts", 3000, 30 * kib},
		{"400 of 1,000 alerts", 400, 605_000},
		{"8 of 20,000 alerts", 8, 12_000_000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := crowd{h: newAPI(&receiver{accept: acceptAll})}
				gate := make(chan struct{})
				start := time.Now()
				for range tt.count {
					c.post(t.Context(), &stalling{size: tt.size, stop: tt.size * 2 / 3, gate: gate}, int64(tt.size))
				}
				synctest.Wait()
				if n := len(c.answers()); n > 0 {
					t.Fatalf("answers before the bodies were sent: %v", c.answers())
				}
				close(gate)
				c.group.Wait()
				if got := c.answers(); got[200] != tt.count {
					t.Errorf("answers = %v, want %d times 200", got, tt.count)
				}
				if d := time.Since(start); d > 0 {
					t.Errorf("they took %v, want none to wait for a timeout", d)
				}
				if peak := c.meter.peak; peak > 64*mib || peak < 8*mib {
					t.Errorf("peak of bodies = %d bytes, want at most 64 MiB and more than a few", peak)
				}
			})
		})
	}
}

func TestSlowSendersHoldOnlyWhatTheySent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newAPI(&receiver{accept: acceptAll})
		slow, fast := crowd{h: h}, crowd{h: h}
		gate := make(chan struct{})
		for range 2000 {
			slow.post(t.Context(), &stalling{size: 32 * mib, stop: 2 * kib, gate: gate, breaks: true}, 32*mib)
		}
		synctest.Wait()
		fast.post(t.Context(), strings.NewReader(strings.Repeat(" ", 12_000_000)), 12_000_000)
		fast.group.Wait()
		if got := fast.answers(); got[200] != 1 {
			t.Errorf("answers beside 2,000 slow senders = %v, want 200", got)
		}
		close(gate)
		slow.group.Wait()
		if got := slow.answers(); got[503] != 2000 {
			t.Errorf("answers to bodies that break off = %v, want 2,000 times 503", got)
		}
		if lines := h.log.lines(slog.LevelWarn); len(lines) > 0 {
			t.Errorf("bodies that break off are logged above debug: %q", lines)
		}
	})
}

func TestFullBudgetIsAnsweredAfterFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newAPI(&receiver{accept: acceptAll})
		holders := crowd{h: h}
		gate := make(chan struct{})
		// The first takes nearly all that is shared, the second the reserve.
		for range 2 {
			holders.post(t.Context(), &stalling{size: 31 * mib, stop: 31*mib - 1, gate: gate}, 31*mib)
			synctest.Wait()
		}

		large, small := crowd{h: h}, crowd{h: h}
		start := time.Now()
		small.post(t.Context(), strings.NewReader(payload), int64(len(payload)))
		small.group.Wait()
		if got := small.answers(); got[200] != 1 || time.Since(start) > 0 {
			t.Errorf("a small one beside two large = %v after %v, want 200 at once", got, time.Since(start))
		}
		large.post(t.Context(), strings.NewReader(strings.Repeat(" ", 2*mib)), 2*mib)
		large.group.Wait()
		if got := large.answers(); got[503] != 1 || time.Since(start) != 5*time.Second {
			t.Errorf("a third large one = %v after %v, want 503 after 5s", got, time.Since(start))
		}
		if lines := h.log.lines(slog.LevelWarn); len(lines) != 1 || !strings.Contains(lines[0], "the budget for bodies was taken for too long") {
			t.Errorf("warnings = %q, want one that names the budget", lines)
		}

		// Nothing is left for a first step either.
		for range 128 {
			small.post(t.Context(), &stalling{size: 4 * kib, stop: 1, gate: gate}, 4*kib-1)
		}
		synctest.Wait()
		start = time.Now()
		first := crowd{h: h}
		first.post(t.Context(), strings.NewReader(payload), 4*kib-1)
		first.group.Wait()
		if got := first.answers(); got[503] != 1 || time.Since(start) != 5*time.Second {
			t.Errorf("a small one beside a full budget = %v after %v, want 503 after 5s", got, time.Since(start))
		}

		// Who waits goes on as soon as there is room.
		start = time.Now()
		later := crowd{h: h}
		later.post(t.Context(), strings.NewReader(strings.Repeat(" ", 2*mib)), 2*mib)
		time.AfterFunc(3*time.Second, func() { close(gate) })
		later.group.Wait()
		if got := later.answers(); got[200] != 1 || time.Since(start) != 3*time.Second {
			t.Errorf("one that waited = %v after %v, want 200 after 3s", got, time.Since(start))
		}
		holders.group.Wait()
		small.group.Wait()
		if got := holders.answers(); got[200] != 2 {
			t.Errorf("the large ones = %v, want 200 twice", got)
		}
	})
}

func TestWaitForTheBudgetEndsWithTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newAPI(&receiver{accept: acceptAll})
		c := crowd{h: h}
		gate := make(chan struct{})
		for range 2 {
			c.post(t.Context(), &stalling{size: 31 * mib, stop: 31*mib - 1, gate: gate}, 31*mib)
			synctest.Wait()
		}
		start := time.Now()
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("the client has gone"))
		defer cancel()
		gone := crowd{h: h}
		gone.post(ctx, strings.NewReader(strings.Repeat(" ", 2*mib)), 2*mib)
		gone.group.Wait()
		if d := time.Since(start); d != time.Second {
			t.Errorf("a client that went after 1s held its handler for %v", d)
		}
		if lines := slices.Concat(h.log.lines(slog.LevelWarn), h.log.lines(slog.LevelError)); len(lines) > 0 {
			t.Errorf("a client that went is logged above debug: %q", lines)
		}
		if got := h.received(t); len(got) > 0 {
			t.Errorf("a client that went is counted as answered: %v", got)
		}
		close(gate)
		c.group.Wait()
	})
}
