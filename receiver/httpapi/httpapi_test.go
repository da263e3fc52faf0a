package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
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

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"alertchat/receiver/alert"
	"alertchat/receiver/httpapi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const payload = `{"receiver":"ops","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"DiskFull"},` +
	`"annotations":{},"startsAt":"2026-11-23T14:00:00Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"","fingerprint":"00a1"}],` +
	`"groupLabels":{},"commonLabels":{},"commonAnnotations":{},"externalURL":"http://localhost:9093","version":"4","groupKey":"{}:{}","truncatedAlerts":0}`

// receiver is what stands behind the handlers in these tests: it decodes as the
// real one does, and keeps what it accepted.
type receiver struct {
	mu       sync.Mutex // guards accepted
	accepted []accepted

	accept    func(ctx context.Context, body []byte) error // instead of decoding; may be nil
	readyErr  error
	reloadErr error
	reloads   int
	page      http.Handler // may be nil

	asked      []httpapi.Query // for deliveries
	deliveries []httpapi.Delivery
	listErr    error
	retried    []int64
	retryErr   error
	hang       func(ctx context.Context) error // instead of both; may be nil
}

type accepted struct{ space, body string }

func (rec *receiver) Accept(ctx context.Context, space string, body []byte) error {
	if rec.accept != nil {
		return rec.accept(ctx, body)
	}
	if _, err := alert.Decode(body); err != nil {
		return err
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.accepted = append(rec.accepted, accepted{space, string(body)})
	return nil
}

func (rec *receiver) Deliveries(ctx context.Context, q httpapi.Query) ([]httpapi.Delivery, error) {
	if rec.hang != nil {
		return nil, rec.hang(ctx)
	}
	rec.asked = append(rec.asked, q)
	return rec.deliveries, rec.listErr
}

func (rec *receiver) Retry(ctx context.Context, id int64) error {
	if rec.hang != nil {
		return rec.hang(ctx)
	}
	rec.retried = append(rec.retried, id)
	return rec.retryErr
}

// harness is the API over a receiver, with its metrics and its log.
type harness struct {
	http.Handler

	registry *prometheus.Registry
	log      *logBuffer
}

func newAPI(rec *receiver) harness {
	h := harness{registry: prometheus.NewRegistry(), log: &logBuffer{}}
	page := rec.page
	if page == nil {
		page = text("text/html; charset=utf-8", "<title>alertchat</title>")
	}
	h.Handler = httpapi.New(httpapi.Options{
		Accept: rec.Accept,
		Ready:  func() error { return rec.readyErr },
		Reload: func(context.Context) error {
			rec.reloads++
			return rec.reloadErr
		},
		Page:       page,
		Status:     text("application/json", `{"version":"1.0.0"}`),
		Deliveries: rec.Deliveries,
		Retry:      rec.Retry,
		Gatherer:   h.registry,
		Registerer: h.registry,
		Logger:     slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	return h
}

func text(contentType, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = io.WriteString(w, body)
	})
}

// do answers one request without a network.
func (h harness) do(t *testing.T, method, target string, body io.Reader) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, target, body))
	return w
}

// received returns the counter's values that are not zero, by code.
func (h harness) received(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := h.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "alertchat_notifications_received_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if v := m.GetCounter().GetValue(); v > 0 {
				got[m.GetLabel()[0].GetValue()] = v
			}
		}
	}
	return got
}

// logBuffer keeps log lines.
type logBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// lines returns the lines of a level.
func (l *logBuffer) lines(level slog.Level) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var lines []string
	for line := range strings.Lines(l.b.String()) {
		if strings.Contains(line, "level="+level.String()+" ") {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestEveryRouteAnswersAsDocumented(t *testing.T) {
	const ok = `{"status":"ok"}` + "\n"
	for _, tt := range []struct {
		name, method, target, body string
		fault                      error
		status                     int
		contentType, answer        string
		accepted                   []accepted
	}{
		{"a payload is routed by the tree", "POST", "/alertmanager", payload, nil, 200, "application/json", ok, []accepted{{"", payload}}},
		{"a payload for a space goes past the tree", "POST", "/alertmanager/ops", payload, nil, 200, "application/json", ok, []accepted{{"ops", payload}}},
		{"a slash at the end changes nothing", "POST", "/alertmanager/ops/", payload, nil, 200, "application/json", ok, []accepted{{"ops", payload}}},
		{"an empty name of a space means the tree", "POST", "/alertmanager/", payload, nil, 200, "application/json", ok, []accepted{{"", payload}}},
		{"two slashes are one", "POST", "//alertmanager//ops", payload, nil, 200, "application/json", ok, []accepted{{"ops", payload}}},
		{"a query is ignored", "POST", "/alertmanager?space=x", payload, nil, 200, "application/json", ok, []accepted{{"", payload}}},
		{"a percent-encoded name is decoded", "POST", "/alertmanager/d%C3%A9pannage%20%2F%20db", payload, nil, 200, "application/json", ok, []accepted{{"dépannage / db", payload}}},
		{"an encoded name that looks like a path stays a name", "POST", "/alertmanager/%2e%2e", payload, nil, 200, "application/json", ok, []accepted{{"..", payload}}},
		{"control characters and broken UTF-8 in a name are replaced", "POST", "/alertmanager/a%00b%0Ac%FF", payload, nil, 200, "application/json", ok, []accepted{{"a\uFFFDb\uFFFDc\uFFFD", payload}}},
		{"the status page is the one given", "GET", "/", "", nil, 200, "text/html; charset=utf-8", "<title>alertchat</title>", nil},
		{"the status is the one given", "GET", "/api/v1/status", "", nil, 200, "application/json", `{"version":"1.0.0"}`, nil},
		{"healthy as long as it runs", "GET", "/-/healthy", "", errors.New("starting"), 200, "application/json", ok, nil},
		{"ready when it is", "GET", "/-/ready", "", nil, 200, "application/json", ok, nil},
		{"not ready says why", "GET", "/-/ready", "", errors.New("starting"), 503, "application/json", `{"error":"starting"}` + "\n", nil},
		{"reload", "POST", "/-/reload", "", nil, 200, "application/json", ok, nil},
		{"a reload that fails does not say why", "POST", "/-/reload", "", errors.New("line 12"), 500, "application/json", `{"error":"the config could not be loaded; what was loaded before stays, and the log says why"}` + "\n", nil},
		{"an unknown path", "GET", "/favicon.ico", "", nil, 404, "application/json", `{"error":"there is nothing at this path"}` + "\n", nil},
		{"a name of two segments is no space", "POST", "/alertmanager/a/b", payload, nil, 404, "application/json", `{"error":"there is nothing at this path"}` + "\n", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := &receiver{readyErr: tt.fault, reloadErr: tt.fault}
			h := newAPI(rec)
			got := h.do(t, tt.method, tt.target, strings.NewReader(tt.body))
			if got.Code != tt.status || got.Body.String() != tt.answer || got.Header().Get("Content-Type") != tt.contentType {
				t.Errorf("%s %s = %d %q %q, want %d %q %q", tt.method, tt.target,
					got.Code, got.Header().Get("Content-Type"), got.Body, tt.status, tt.contentType, tt.answer)
			}
			if diff := cmp.Diff(tt.accepted, rec.accepted, cmp.AllowUnexported(accepted{})); diff != "" {
				t.Errorf("accepted (-want +got):\n%s", diff)
			}
			if retry := got.Header().Get("Retry-After"); (retry != "") != (tt.status == 503) {
				t.Errorf("Retry-After with status %d = %q", tt.status, retry)
			}
		})
	}
}

func TestMetricsPageShowsWhatWasReceived(t *testing.T) {
	h := newAPI(&receiver{})
	h.do(t, "POST", "/alertmanager", strings.NewReader(payload))
	h.do(t, "POST", "/alertmanager/ops", strings.NewReader(payload))
	h.do(t, "POST", "/alertmanager", strings.NewReader("{"))
	h.do(t, "GET", "/alertmanager", nil)
	h.do(t, "POST", "/alertmanager/a/b", strings.NewReader(payload))

	want := `# HELP alertchat_notifications_received_total POST requests to /alertmanager and below that were answered, by the status code of the answer.
# TYPE alertchat_notifications_received_total counter
alertchat_notifications_received_total{code="200"} 2
alertchat_notifications_received_total{code="400"} 1
alertchat_notifications_received_total{code="413"} 0
alertchat_notifications_received_total{code="503"} 0
`
	got := h.do(t, "GET", "/metrics", nil)
	if got.Code != 200 || got.Body.String() != want {
		t.Errorf("GET /metrics = %d\n%s\nwant 200\n%s", got.Code, got.Body, want)
	}
	problems, err := testutil.GatherAndLint(h.registry)
	if err != nil {
		t.Fatal(err)
	}
	if len(problems) > 0 {
		t.Errorf("metrics lint: %v", problems)
	}
}

func TestOtherMethodsAreRefusedWithTheOneThatIsAllowed(t *testing.T) {
	paths := map[string]string{
		"/alertmanager":              "POST",
		"/alertmanager/ops":          "POST",
		"/-/reload":                  "POST",
		"/":                          "GET, HEAD",
		"/api/v1/status":             "GET, HEAD",
		"/api/v1/deliveries":         "GET, HEAD",
		"/api/v1/deliveries/7/retry": "POST",
		"/-/healthy":                 "GET, HEAD",
		"/-/ready":                   "GET, HEAD",
		"/metrics":                   "GET, HEAD",
	}
	h := newAPI(&receiver{})
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"} {
			allowed := slices.Contains(strings.Split(paths[path], ", "), method)
			got := h.do(t, method, path, nil)
			switch {
			case allowed && got.Code == http.StatusMethodNotAllowed:
				t.Errorf("%s %s = 405, though it is allowed", method, path)
			case !allowed && (got.Code != http.StatusMethodNotAllowed || got.Header().Get("Allow") != paths[path]):
				t.Errorf("%s %s = %d, Allow %q; want 405, Allow %q", method, path, got.Code, got.Header().Get("Allow"), paths[path])
			}
		}
	}
}

// TestPagesOfOtherSitesCannotPost has the headers that browsers send. Over plain
// HTTP, but for localhost, that is the origin alone.
func TestPagesOfOtherSitesCannotPost(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header http.Header
		taken  bool
	}{
		{"Alertmanager and scripts say nothing of a site", http.Header{"User-Agent": {"Alertmanager/0.34.2"}}, true},
		{"a page of our own", http.Header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {"https://alerts.example"}}, true},
		{"a page of our own over plain HTTP", http.Header{"Origin": {"http://alertchat:9098"}}, true},
		{"a page of another site", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}}, false},
		{"a page of another host of the same site", http.Header{"Sec-Fetch-Site": {"same-site"}}, false},
		{"a page of another site over plain HTTP", http.Header{"Origin": {"http://evil.example"}}, false},
		{"a page of another port", http.Header{"Origin": {"http://alertchat:9093"}}, false},
		{"a page that hides where it is from", http.Header{"Origin": {"null"}}, false},
		{"a page that hides where it is from in a new browser", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"null"}}, false},
	} {
		for path, body := range map[string]string{"/alertmanager": payload, "/api/v1/deliveries/7/retry": "", "/-/reload": ""} {
			t.Run(tt.name+" to "+path, func(t *testing.T) {
				rec := &receiver{}
				h := newAPI(rec)
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://alertchat:9098"+path, strings.NewReader(body))
				maps.Copy(r.Header, tt.header)
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				want := http.StatusForbidden
				if tt.taken {
					want = http.StatusOK
				}
				if w.Code != want {
					t.Errorf("status = %d, want %d", w.Code, want)
				}
				if !tt.taken && len(rec.accepted)+len(rec.retried)+rec.reloads > 0 {
					t.Errorf("it did what was asked: %+v", rec)
				}
				assertJSONSentence(t, w)
			})
		}
	}
}

// assertJSONSentence checks that the answer is one JSON object with one short
// sentence.
func assertJSONSentence(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	var got map[string]string
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Errorf("answer %d is %q: %v", w.Code, w.Body, err)
		return
	}
	key := "error"
	if w.Code == http.StatusOK {
		key = "status"
	}
	if len(got) != 1 || got[key] == "" || len(got[key]) > 100 {
		t.Errorf("answer %d = %v, want one short sentence under %q", w.Code, got, key)
	}
	if ct := w.Header().Get("Content-Type"); ct != "application/json" {
		t.Errorf("content type of %d = %q, want application/json", w.Code, ct)
	}
}

// FuzzNothingIsARedirect holds for any method and path what Alertmanager needs:
// no redirect, no 429, and a sentence in JSON where an alert was not taken.
func FuzzNothingIsARedirect(f *testing.F) {
	for _, target := range []string{
		"/", "//", "/.", "/..", "*", "/alertmanager", "/alertmanager/", "//alertmanager", "/alertmanager//", "/alertmanager/../alertmanager",
		"/alertmanager/./ops", "/alertmanager/%2F", "/alertmanager/%2e%2e", "/alertmanager/..", "/%61lertmanager", "/alertmanager/a/b/../..",
		"/alertmanager/%FF", "/metrics/", "/-/ready/", "/-", "/api/v1/status/", "/api//v1/status", "/api/v1/deliveries/7/retry", "/api/v1/deliveries/../deliveries?state=dead", "/alertmanager;x", `/alertmanager\`, "/alertmanager/?",
	} {
		f.Add("POST", target)
		f.Add("GET", target)
	}
	f.Add("CONNECT", "/alertmanager/")
	f.Add("CONNECT", "alertchat:9098")
	f.Add("OPTIONS", "*")
	h := newAPI(&receiver{})
	f.Fuzz(func(t *testing.T, method, target string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(method + " " + target + " HTTP/1.1\r\nHost: alertchat\r\n\r\n")))
		if err != nil {
			return // the server refuses it before the handler
		}
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(payload)), int64(len(payload))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 300 && w.Code < 400 || w.Code == http.StatusTooManyRequests || w.Header().Get("Location") != "" {
			t.Errorf("%s %q = %d to %q", method, target, w.Code, w.Header().Get("Location"))
		}
		if w.Code != http.StatusOK {
			assertJSONSentence(t, w)
		}
	})
}
