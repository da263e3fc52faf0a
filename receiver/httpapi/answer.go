package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"
)

// handler answers a request, or returns an error (mostly a [failure]) before it
// has written anything.
type handler func(w http.ResponseWriter, r *http.Request) error

// failure is an answer other than success.
type failure struct {
	status   int
	sentence string // public and constant
	cause    error  // for the log; may be nil
}

func (f *failure) Error() string {
	if f.cause == nil {
		return f.sentence
	}
	return fmt.Sprintf("%s: %s", f.sentence, f.cause)
}

func (f *failure) Unwrap() error { return f.cause }

// unavailable is the answer for everything that may pass.
func unavailable(sentence string, cause error) *failure {
	return &failure{status: http.StatusServiceUnavailable, sentence: sentence, cause: cause}
}

// answer makes the status, the public sentence and the log line of what a
// handler returns.
func (a *api) answer(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tracked := &tracker{ResponseWriter: w}
		err := recovered(h, tracked, r)
		if err == nil {
			return
		}
		f := asFailure(err)
		a.journal.write(r, f)
		if tracked.wrote {
			// The client must not take half an answer for a whole one.
			panic(http.ErrAbortHandler)
		}
		if f.status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "5")
		}
		writeJSON(w, f.status, map[string]string{"error": f.sentence})
	})
}

// counted counts what h answers. A client that has gone gets no answer.
func (a *api) counted(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := recovered(h, w, r)
		switch {
		case err == nil:
			a.received.WithLabelValues("200").Inc()
		case !gone(r, err):
			a.received.WithLabelValues(strconv.Itoa(asFailure(err).status)).Inc()
		}
		return err
	}
}

// gone tells whether the request failed because its client went away.
func gone(r *http.Request, err error) bool {
	return r.Context().Err() != nil || errors.Is(err, errGone)
}

func asFailure(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	return unavailable("the request could not be answered", err)
}

// panicked is the error of a handler that panicked.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// recovered calls h and returns its panic as an error.
func recovered(h handler, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			err = &panicked{value: p, stack: debug.Stack()}
		}
	}()
	return h(w, r)
}

// tracker knows whether an answer has begun.
type tracker struct {
	http.ResponseWriter

	wrote bool
}

func (t *tracker) WriteHeader(status int) {
	t.wrote = true
	t.ResponseWriter.WriteHeader(status)
}

func (t *tracker) Write(p []byte) (int, error) {
	t.wrote = true
	return t.ResponseWriter.Write(p)
}

// Unwrap is for [http.ResponseController].
func (t *tracker) Unwrap() http.ResponseWriter { return t.ResponseWriter }

func writeOK(w http.ResponseWriter) error {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	return nil
}

func writeJSON(w http.ResponseWriter, status int, v map[string]string) {
	body, _ := json.Marshal(v) // a map of strings always encodes
	writeBody(w, status, append(body, '\n'))
}

func writeBody(w http.ResponseWriter, status int, body []byte) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has gone needs none
}

// quietFor is how long a sentence is not logged again above debug: Alertmanager
// posts a thousand times a second when it must.
const quietFor = time.Minute

// journal logs failures.
type journal struct {
	logger *slog.Logger

	mu   sync.Mutex // guards last
	last map[string]time.Time
}

func newJournal(logger *slog.Logger) *journal {
	return &journal{logger: logger, last: make(map[string]time.Time)}
}

// write logs one failure. A POST that fails may be an alert that is lost, so it
// is a warning; a page that is not there concerns nobody.
func (j *journal) write(r *http.Request, f *failure) {
	attrs := []any{"method", r.Method, "path", r.URL.Path, "client", r.RemoteAddr, "status", f.status, "answer", f.sentence}
	if f.cause != nil {
		attrs = append(attrs, "err", f.cause)
	}
	level := slog.LevelDebug
	p, isPanic := errors.AsType[*panicked](f.cause)
	switch {
	case isPanic:
		level = slog.LevelError
		attrs = append(attrs, "stack", string(p.stack))
	case gone(r, f):
		// It will come again, and nothing is wrong here.
	case f.status == http.StatusInternalServerError:
		level = slog.LevelError
	case r.Method == http.MethodPost && j.due(f.sentence):
		level = slog.LevelWarn
	}
	j.logger.Log(context.WithoutCancel(r.Context()), level, "request failed", attrs...)
}

// due tells whether the sentence was not logged lately. The sentences of POST
// requests are constants, so the map stays small.
func (j *journal) due(sentence string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := time.Now()
	if last, ok := j.last[sentence]; ok && now.Sub(last) < quietFor {
		return false
	}
	j.last[sentence] = now
	return true
}
