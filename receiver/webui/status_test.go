package webui_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"alertchat/receiver/webui"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var now = time.Date(2026, 11, 23, 15, 4, 5, 0, time.UTC)

// sample has a space in each state.
func sample() webui.Status {
	before := func(d time.Duration) time.Time { return now.Add(-d) }
	return webui.Status{
		Version:        "1.0.0",
		Now:            now.In(time.FixedZone("CET", 3600)),
		StartedAt:      before(72 * time.Hour),
		ConfigLoadedAt: before(26 * time.Hour),
		ReloadError:    "line 12: spaces[2].webhook_url_file: open ops.url: no such file or directory",
		StorageError:   "no space left on device",
		Spaces: []webui.Space{
			{
				Name: "ops", Kind: "webhook", Place: "spaces/AAAA", LastSuccess: before(500 * time.Millisecond),
				LastError: "503: the service is unavailable",
				Deliveries: []webui.Delivery{
					{ID: 3, Title: "2 alerts firing: DiskFull (prod-eu-1)", Status: "done", Attempts: 2, ReceivedAt: before(3 * time.Second), EndedAt: before(500 * time.Millisecond)},
				},
			},
			{
				Name: "database", Kind: "webhook", Place: "spaces/BBBB", Waiting: 1200, Planned: 1, Oldest: before(11 * time.Minute),
				LastSuccess: before(12 * time.Minute), FailingSince: before(11 * time.Minute), LastError: "404: the space was not found", Dead: 1,
				Deliveries: []webui.Delivery{
					{ID: 9, Title: "1 alert firing: ReplicationLag", Status: "planned", Attempts: 14, Error: "404: the space was not found", ReceivedAt: before(11 * time.Minute)},
					{ID: 2, Title: "3 alerts firing: InstanceDown", Status: "dead", Reason: "expired", Attempts: 88, Error: "timeout: no answer in 10s", ReceivedAt: before(50 * time.Hour), EndedAt: before(26 * time.Hour)},
				},
			},
			{Name: "busy", Kind: "webhook", Place: "spaces/CCCC", Waiting: 2, Oldest: before(time.Second), LastSuccess: before(2 * time.Second)},
			{Name: "batch", Kind: "webhook", LastSuccess: before(49 * time.Hour), Dead: 2},
			{Name: "new", Kind: "app"},
		},
	}
}

func newUI(s webui.Status) *webui.UI {
	return webui.New(func(context.Context) (webui.Status, error) { return s, nil }, slog.New(slog.DiscardHandler))
}

func get(t *testing.T, h http.HandlerFunc) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	return w
}

func TestStatusLooksAsReviewed(t *testing.T) {
	empty := webui.Status{
		Version: "1.0.0", Now: now, StartedAt: now, ConfigLoadedAt: now,
		Spaces: []webui.Space{{Name: "ops", Kind: "webhook", Place: "spaces/AAAA"}},
	}
	for _, tt := range []struct {
		name   string
		status webui.Status
	}{{"sample", sample()}, {"empty", empty}} {
		ui := newUI(tt.status)
		for extension, handler := range map[string]http.HandlerFunc{"html": ui.Page, "json": ui.JSON} {
			t.Run(tt.name+" as "+extension, func(t *testing.T) {
				got := get(t, handler).Body.Bytes()
				if extension == "json" {
					var indented bytes.Buffer
					if err := json.Indent(&indented, got, "", "  "); err != nil {
						t.Fatal(err)
					}
					got = indented.Bytes()
				}
				golden := filepath.Join("testdata", tt.name+"."+extension)
				if *update {
					if err := os.WriteFile(golden, got, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), string(got)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", golden, diff)
				}
			})
		}
	}
}

func TestAnswersHaveHeadersThatKeepThemApart(t *testing.T) {
	ui := newUI(sample())
	for name, tt := range map[string]struct {
		handler     http.HandlerFunc
		contentType string
	}{
		"page": {ui.Page, "text/html; charset=utf-8"},
		"JSON": {ui.JSON, "application/json"},
	} {
		header := get(t, tt.handler).Header()
		for key, want := range map[string]string{
			"Content-Type":           tt.contentType,
			"X-Content-Type-Options": "nosniff",
			"Referrer-Policy":        "no-referrer",
			"Cache-Control":          "no-store",
		} {
			if got := header.Get(key); got != want {
				t.Errorf("%s: %s = %q, want %q", name, key, got, want)
			}
		}
	}
}

// walk calls visit for each node below n.
func walk(n *html.Node, visit func(*html.Node)) {
	visit(n)
	for child := n.FirstChild; child != nil; child = child.NextSibling {
		walk(child, visit)
	}
}

func parse(t *testing.T, page []byte) *html.Node {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func TestPolicyAllowsTheStylesheetAndNothingElse(t *testing.T) {
	w := get(t, newUI(sample()).Page)
	var style string
	walk(parse(t, w.Body.Bytes()), func(n *html.Node) {
		if n.Data == "style" && n.FirstChild != nil {
			style += n.FirstChild.Data
		}
	})
	sum := sha256.Sum256([]byte(style))
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	if got := w.Header().Get("Content-Security-Policy"); got != want {
		t.Errorf("policy = %q, want %q", got, want)
	}
}

func TestHostileTextStaysText(t *testing.T) {
	for _, hostile := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `</style></table></bdi><h1>x</h1>`,
		`javascript:alert(1)`, `{{ .Version }}`, "\u202egnirif", strings.Repeat("x", 5000), "&lt;b&gt;",
	} {
		s := sample()
		plain := parse(t, get(t, newUI(s).Page).Body.Bytes())
		s.Version, s.ReloadError, s.StorageError = hostile, hostile, hostile
		for i := range s.Spaces {
			space := &s.Spaces[i]
			space.Name, space.Kind = hostile, hostile
			if space.Place != "" {
				space.Place = hostile
			}
			if space.LastError != "" {
				space.LastError = hostile
			}
			for j := range space.Deliveries {
				d := &space.Deliveries[j]
				d.Title = hostile
				if d.Error != "" {
					d.Error = hostile
				}
				if d.Reason != "" {
					d.Reason = hostile
				}
			}
		}
		got := parse(t, get(t, newUI(s).Page).Body.Bytes())
		if diff := cmp.Diff(shape(plain), shape(got)); diff != "" {
			t.Errorf("%.40q changes the elements of the page (-want +got):\n%s", hostile, diff)
		}
		shown := 0
		walk(got, func(n *html.Node) {
			if n.Type == html.TextNode && n.Parent.Data == "bdi" && n.Data == hostile {
				shown++
			}
		})
		if want := 2*len(s.Spaces) + 2; shown < want {
			t.Errorf("%.40q is shown as it is %d times, want at least %d", hostile, shown, want)
		}

		var back webui.Status
		if err := json.Unmarshal(get(t, newUI(s).JSON).Body.Bytes(), &back); err != nil || back.Spaces[0].Deliveries[0].Title != hostile {
			t.Errorf("%.40q in JSON comes back as %.40q, %v", hostile, back.Spaces[0].Deliveries[0].Title, err)
		}
	}
}

// shape lists the elements of a page with the names and values of their
// attributes, but for its text.
func shape(root *html.Node) []string {
	var elements []string
	walk(root, func(n *html.Node) {
		if n.Type != html.ElementNode {
			return
		}
		line := n.Data
		for _, a := range n.Attr {
			line += " " + a.Key + "=" + a.Val
		}
		elements = append(elements, line)
	})
	return elements
}

func TestTablesCanBeReadAloud(t *testing.T) {
	walk(parse(t, get(t, newUI(sample()).Page).Body.Bytes()), func(n *html.Node) {
		switch n.Data {
		case "table":
			if n.FirstChild == nil || n.FirstChild.NextSibling == nil || n.FirstChild.NextSibling.Data != "caption" {
				t.Errorf("a table has no caption")
			}
		case "th":
			if !hasAttribute(n, "scope") {
				t.Errorf("a table heading has no scope")
			}
		case "td":
			if !hasAttribute(n, "data-label") {
				t.Errorf("a cell has no label for narrow screens")
			}
		case "script", "form", "iframe", "img", "link":
			t.Errorf("the page has an element %q", n.Data)
		}
	})
}

func hasAttribute(n *html.Node, key string) bool {
	for _, a := range n.Attr {
		if a.Key == key && a.Val != "" {
			return true
		}
	}
	return false
}

func TestStatusThatCannotBeReadIs503(t *testing.T) {
	var log bytes.Buffer
	ui := webui.New(func(context.Context) (webui.Status, error) {
		return webui.Status{}, errors.New("open data/alertchat.db: permission denied")
	}, slog.New(slog.NewTextHandler(&log, nil)))
	for name, handler := range map[string]http.HandlerFunc{"page": ui.Page, "JSON": ui.JSON} {
		log.Reset()
		w := get(t, handler)
		const want = `{"error":"the status cannot be shown at the moment"}` + "\n"
		if w.Code != http.StatusServiceUnavailable || w.Body.String() != want || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s = %d %s, want 503 %s", name, w.Code, w.Body, want)
		}
		if !strings.Contains(log.String(), "permission denied") {
			t.Errorf("%s: the log does not say why: %q", name, log.String())
		}
	}
}

func TestListsAreNeverNull(t *testing.T) {
	const want = `{"version":"","now":"0001-01-01T00:00:00Z","started_at":"0001-01-01T00:00:00Z","config_loaded_at":"0001-01-01T00:00:00Z","spaces":[]}` + "\n"
	if got := get(t, newUI(webui.Status{}).JSON).Body.String(); got != want {
		t.Errorf("JSON of the zero status = %s, want %s", got, want)
	}
}

func TestStatusGivenIsNotChanged(t *testing.T) {
	s := sample()
	get(t, newUI(s).Page)
	get(t, newUI(s).JSON)
	if diff := cmp.Diff(sample(), s); diff != "" {
		t.Errorf("the status was changed (-want +got):\n%s", diff)
	}
}
