package httpapi_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"
	"time"

	"alertchat/receiver/httpapi"
)

// serve runs the real server on loopback until the test ends.
func serve(t *testing.T, h harness) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.Config = httpapi.Server(h, slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// post sends a body as Alertmanager does and returns the answer's status and
// text.
func post(ctx context.Context, t *testing.T, s *httptest.Server, path string, body io.Reader) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := s.Client().Do(r)
	if err != nil {
		t.Fatalf("POST %s: %v", path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read the answer to POST %s: %v", path, err)
	}
	return resp.StatusCode, string(answer)
}

func TestThreeThousandConnectionsAtOnceAreAllAnswered(t *testing.T) {
	const count = 3000
	rec := &receiver{}
	h := newAPI(rec)
	s := serve(t, h)
	head := fmt.Sprintf("POST /alertmanager HTTP/1.1\r\nHost: alertchat\r\nContent-Length: %d\r\n\r\n", len(payload))

	// All of them are under way before the first one is whole.
	connections := make([]net.Conn, count)
	var dialer net.Dialer
	for i := range connections {
		c, err := dialer.DialContext(t.Context(), "tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, head+payload[:len(payload)-1]); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		connections[i] = c
	}
	var clients sync.WaitGroup
	for i, c := range connections {
		clients.Go(func() {
			if _, err := io.WriteString(c, payload[len(payload)-1:]); err != nil {
				t.Errorf("connection %d: %v", i, err)
				return
			}
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Errorf("connection %d: %v", i, err)
				return
			}
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Errorf("connection %d: status %d, want 200", i, resp.StatusCode)
			}
		})
	}
	clients.Wait()
	if got := h.received(t); got["200"] != count || len(rec.accepted) != count {
		t.Errorf("received %v and accepted %d, want %d", got, len(rec.accepted), count)
	}
}

func TestConnectionIsKeptWhateverTheAnswer(t *testing.T) {
	s := serve(t, newAPI(&receiver{}))
	reused := 0
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if info.Reused {
			reused++
		}
	}})
	for _, tt := range []struct {
		path, body string
		status     int
	}{
		{"/alertmanager", payload, 200},
		{"/alertmanager/", payload, 200},
		{"//alertmanager/ops", payload, 200},
		{"/alertmanager", "{", 400},
		{"/nowhere", payload, 404},
		{"/metrics", payload, 405},
		{"/alertmanager", payload, 200},
	} {
		if status, answer := post(ctx, t, s, tt.path, strings.NewReader(tt.body)); status != tt.status {
			t.Errorf("POST %s = %d %s, want %d", tt.path, status, answer, tt.status)
		}
	}
	if reused != 6 {
		t.Errorf("the connection was used again %d times, want 6", reused)
	}
}

func TestLargeBodyIsRefusedOverARealConnection(t *testing.T) {
	s := serve(t, newAPI(&receiver{}))
	status, answer := post(t.Context(), t, s, "/alertmanager", strings.NewReader(strings.Repeat(" ", 40_000_000)))
	if status != http.StatusRequestEntityTooLarge || answer != `{"error":"the body is larger than 32 MiB"}`+"\n" {
		t.Errorf("40 MB = %d %s, want 413", status, answer)
	}
	if status, answer := post(t.Context(), t, s, "/alertmanager", strings.NewReader(payload)); status != http.StatusOK {
		t.Errorf("after that = %d %s, want 200", status, answer)
	}
}

func TestClientThatGoesAwayIsNoNews(t *testing.T) {
	for _, tt := range []struct{ name, request string }{
		{"while its notification is stored", "POST /alertmanager HTTP/1.1\r\nHost: alertchat\r\nContent-Length: 2\r\n\r\n{}"},
		{"in the middle of its body", "POST /alertmanager HTTP/1.1\r\nHost: alertchat\r\nContent-Length: 100\r\n\r\n{}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			accepting := make(chan struct{}, 1)
			ended := make(chan struct{})
			h := newAPI(&receiver{accept: func(ctx context.Context, _ []byte) error {
				accepting <- struct{}{}
				<-ctx.Done()
				return context.Cause(ctx)
			}})
			inner := h.Handler
			h.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(ended)
				inner.ServeHTTP(w, r)
			})
			s := serve(t, h)
			var dialer net.Dialer
			c, err := dialer.DialContext(t.Context(), "tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(c, tt.request); err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(tt.request, "2\r\n\r\n{}") {
				<-accepting
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			<-ended
			for _, level := range []slog.Level{slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
				if lines := h.log.lines(level); len(lines) > 0 {
					t.Errorf("logged: %q", lines)
				}
			}
			if lines := h.log.lines(slog.LevelDebug); len(lines) != 1 {
				t.Errorf("debug lines = %q, want one", lines)
			}
			if got := h.received(t); len(got) > 0 {
				t.Errorf("counted as answered: %v", got)
			}
		})
	}
}

func TestServerHasAllLimits(t *testing.T) {
	var log logBuffer
	s := httpapi.Server(http.NotFoundHandler(), slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	const alertmanagerIdle = 5 * time.Minute
	if s.IdleTimeout <= alertmanagerIdle {
		t.Errorf("idle timeout = %v, want more than Alertmanager's %v", s.IdleTimeout, alertmanagerIdle)
	}
	if s.ReadHeaderTimeout <= 0 || s.ReadTimeout < s.ReadHeaderTimeout || s.WriteTimeout < s.ReadTimeout+15*time.Second {
		t.Errorf("timeouts: header %v, read %v, write %v; want each set, and to write after a slow body and a slow disk",
			s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout)
	}
	if s.MaxHeaderBytes <= 0 || s.MaxHeaderBytes > 1<<20 {
		t.Errorf("header limit = %d bytes, want one", s.MaxHeaderBytes)
	}
	s.ErrorLog.Print("http: TLS handshake error")
	if lines := log.lines(slog.LevelDebug); len(lines) != 1 {
		t.Errorf("debug lines = %q, want the client's mistake", lines)
	}
}

func TestSecondRegistrationIsAMistake(t *testing.T) {
	h := newAPI(&receiver{})
	defer func() {
		if recover() == nil {
			t.Error("New twice with one registry did not panic")
		}
	}()
	httpapi.New(httpapi.Options{Gatherer: h.registry, Registerer: h.registry})
}
