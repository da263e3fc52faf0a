package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"alertchat/receiver/alert"
)

func TestWhatMayPassIsAnsweredWith503AndLoggedWithItsCause(t *testing.T) {
	for _, tt := range []struct {
		name, sentence, cause string
		level                 slog.Level
		accept                func(ctx context.Context, body []byte) error
	}{
		{
			"a full disk", "the notification could not be stored", "no space left on device", slog.LevelWarn,
			func(context.Context, []byte) error { return errors.New("commit: no space left on device") },
		},
		{
			"a panic", "the request could not be answered", "index out of range", slog.LevelError,
			func(_ context.Context, body []byte) error {
				_ = body[len(body)]
				return nil
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newAPI(&receiver{accept: tt.accept})
			w := h.do(t, "POST", "/alertmanager", strings.NewReader(payload))
			if want := `{"error":"` + tt.sentence + `"}` + "\n"; w.Code != 503 || w.Body.String() != want || w.Header().Get("Retry-After") == "" {
				t.Errorf("answer = %d %s with Retry-After %q, want 503 %s", w.Code, w.Body, w.Header().Get("Retry-After"), want)
			}
			lines := h.log.lines(tt.level)
			if len(lines) != 1 || !strings.Contains(lines[0], tt.cause) {
				t.Errorf("lines of level %v = %q, want one with %q", tt.level, lines, tt.cause)
			}
			if got := h.received(t); got["503"] != 1 {
				t.Errorf("received = %v, want one 503", got)
			}
			if hasStack := strings.Contains(strings.Join(lines, ""), "answer_test.go"); hasStack != (tt.level == slog.LevelError) {
				t.Errorf("the log has a stack: %t\n%s", hasStack, lines)
			}
		})
	}
}

func TestStorageThatHangsIsGivenUpAfterTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		h := newAPI(&receiver{accept: func(ctx context.Context, _ []byte) error {
			<-ctx.Done()
			return fmt.Errorf("commit: %w", context.Cause(ctx))
		}})
		w := h.do(t, "POST", "/alertmanager", strings.NewReader(payload))
		if w.Code != 503 || time.Since(start) != 10*time.Second {
			t.Errorf("answer = %d after %v, want 503 after 10s", w.Code, time.Since(start))
		}
		if lines := h.log.lines(slog.LevelWarn); len(lines) != 1 || !strings.Contains(lines[0], "commit: the notification was not stored in time") {
			t.Errorf("warnings = %q, want one with the cause", lines)
		}
	})
}

func TestSameFailureIsAWarningOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newAPI(&receiver{accept: func(_ context.Context, body []byte) error {
			if len(body) == 0 {
				return alert.ErrNotJSON
			}
			return errors.New("no space left on device")
		}})
		for range 1000 {
			h.do(t, "POST", "/alertmanager", strings.NewReader(payload))
			h.do(t, "POST", "/alertmanager", nil)
			h.do(t, "GET", "/favicon.ico", nil)
		}
		if got := len(h.log.lines(slog.LevelWarn)); got != 2 {
			t.Errorf("warnings of two failures in one minute = %d, want 2", got)
		}
		if got := len(h.log.lines(slog.LevelDebug)); got != 2998 {
			t.Errorf("debug lines = %d, want the other 2998", got)
		}
		<-time.After(time.Minute)
		h.do(t, "POST", "/alertmanager", strings.NewReader(payload))
		if got := len(h.log.lines(slog.LevelWarn)); got != 3 {
			t.Errorf("warnings after a minute = %d, want 3", got)
		}
	})
}

func TestFailedReloadIsAnErrorInTheLog(t *testing.T) {
	h := newAPI(&receiver{reloadErr: errors.New("line 12: unknown key")})
	for range 2 {
		h.do(t, "POST", "/-/reload", nil)
	}
	if lines := h.log.lines(slog.LevelError); len(lines) != 2 || !strings.Contains(lines[0], "line 12: unknown key") {
		t.Errorf("errors = %q, want both reloads with their cause", lines)
	}
}

func TestBrokenPageIsNoHalfAnswer(t *testing.T) {
	t.Run("before it has begun it is 503", func(t *testing.T) {
		h := newAPI(&receiver{page: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("no template") })})
		w := h.do(t, "GET", "/", nil)
		if w.Code != 503 || strings.Contains(w.Body.String(), "no template") {
			t.Errorf("answer = %d %s, want 503 without the cause", w.Code, w.Body)
		}
	})
	t.Run("after that the connection is cut", func(t *testing.T) {
		h := newAPI(&receiver{page: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<table>")
			panic("no template")
		})})
		defer func() {
			p := recover()
			if err, _ := p.(error); !errors.Is(err, http.ErrAbortHandler) {
				t.Errorf("panic = %v, want http.ErrAbortHandler", p)
			}
			if lines := h.log.lines(slog.LevelError); len(lines) != 1 || !strings.Contains(lines[0], "no template") {
				t.Errorf("errors = %q, want one with the cause", lines)
			}
		}()
		h.do(t, "GET", "/", nil)
	})
}
