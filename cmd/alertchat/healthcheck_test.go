package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestHealthcheckOfAProtectedReceiver: --web.config.file may ask for a password
// or turn on TLS; neither makes a container unhealthy.
func TestHealthcheckOfAProtectedReceiver(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		status int
		tls    bool
		args   []string
		code   int
		want   string // in what it prints
	}{
		{"asks for a password", http.StatusUnauthorized, false, nil, exitOK, "alive: 401 Unauthorized"},
		{"forbids", http.StatusForbidden, false, nil, exitOK, "alive: 403 Forbidden"},
		{"leads elsewhere", http.StatusFound, false, nil, exitFailed, "not ready: 302 Found"},
		{"has a certificate of its own", http.StatusOK, true, nil, exitFailed, "certificate"},
		{"has one that is not looked at", http.StatusOK, true, []string{"--tls.insecure-skip-verify"}, exitOK, "said"},
		{"has one and a password", http.StatusUnauthorized, true, []string{"--tls.insecure-skip-verify"}, exitOK, "alive: 401"},
		{"has one and is not ready", http.StatusServiceUnavailable, true, []string{"--tls.insecure-skip-verify"}, exitFailed, "not ready: 503"},
		{"has none to be looked at", http.StatusOK, false, []string{"--tls.insecure-skip-verify"}, exitFailed, "is for an https URL on loopback"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/-/ready" {
					t.Errorf("asked for %s", r.URL.Path)
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, `{"status":"said"}`)
			}))
			s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of handshakes that fail
			if c.tls {
				s.StartTLS()
			} else {
				s.Start()
			}
			defer s.Close()
			out, errs, code := alertchat(t, append([]string{"healthcheck", "--url=" + s.URL + "/-/ready"}, c.args...)...)
			if code != c.code || !strings.Contains(out+errs, c.want) {
				t.Errorf("%d, %s, %s; want %d, %s", code, out, errs, c.code, c.want)
			}
		})
	}
}

// TestHealthcheckVerifiesOtherHosts: what is not on this machine must show its
// certificate.
func TestHealthcheckVerifiesOtherHosts(t *testing.T) {
	t.Parallel()
	for host, right := range map[string]bool{
		"127.0.0.1": true, "127.8.8.8": true, "::1": true, "localhost": true,
		"": false, "10.0.0.1": false, "0.0.0.0": false, "localhost.example.org": false, "127.0.0.1.example.org": false,
	} {
		if got := onLoopback(host); got != right {
			t.Errorf("onLoopback(%q) = %t, want %t", host, got, right)
		}
	}
}
