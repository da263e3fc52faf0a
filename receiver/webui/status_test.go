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
	"reflect"
	"slices"
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
		Storage:        "PostgreSQL",
		Delivering:     true,
		ReloadError:    "line 12: spaces[2].webhook_url_file: open ops.url: no such file or directory",
		StorageError:   "no space left on device",
		Spaces: []webui.Space{
			{
				Name: "ops", Kind: "webhook", Place: "spaces/AAAA", LastSuccess: before(500 * time.Millisecond),
				LastError: "503: the service is unavailable", LastErrorAt: before(9 * time.Minute),
				Deliveries: []webui.Delivery{
					{ID: 3, Title: "2 alerts firing: DiskFull (prod-eu-1)", Status: "done", Attempts: 2, ReceivedAt: before(3 * time.Second), EndedAt: before(500 * time.Millisecond)},
				},
			},
			{
				Name: "database", Kind: "webhook", Place: "spaces/BBBB", Waiting: 1200, Planned: 1, Oldest: before(11 * time.Minute),
				LastSuccess: before(12 * time.Minute), FailingSince: before(11 * time.Minute), LastError: "404: the space was not found", LastErrorAt: before(12 * time.Second), Dead: 120,
				Fallback: "ops", FallbackToldAt: before(6 * time.Minute),
				Deliveries: []webui.Delivery{
					{ID: 9, Title: "1 alert firing: ReplicationLag", Status: "planned", Attempts: 14, Error: "404: the space was not found", ReceivedAt: before(11 * time.Minute)},
					{ID: 2, Title: "3 alerts firing: InstanceDown", Status: "dead", Reason: "expired", Attempts: 88, Error: "timeout: no answer in 10s", ReceivedAt: before(50 * time.Hour), EndedAt: before(26 * time.Hour)},
				},
			},
			{Name: "busy", Kind: "webhook", Place: "spaces/CCCC", Waiting: 2, Oldest: before(time.Second), LastSuccess: before(2 * time.Second), Fallback: "ops"},
			{Name: "flooded", Kind: "webhook", Place: "spaces/DDDD", Waiting: 300, Oldest: before(time.Minute), LastSuccess: before(time.Minute), ThrottledUntil: before(-30 * time.Second), Fallback: "ops"},
			{Name: "batch", Kind: "webhook", LastSuccess: before(49 * time.Hour), Dead: 2},
			{Name: "new", Kind: "app", ThrottledUntil: before(time.Second)},
			{Name: "old", Removed: true, Waiting: 2, Oldest: before(9 * time.Minute), Dead: 1, Deliveries: []webui.Delivery{
				{ID: 1, Title: "1 alert firing: InstanceDown", Status: "dead", Reason: "space_removed", Attempts: 1, ReceivedAt: before(50 * time.Hour), EndedAt: before(49 * time.Hour)},
			}},
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
		Version: "1.0.0", Now: now, StartedAt: now, ConfigLoadedAt: now, Storage: "SQLite", Delivering: true,
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
			"Referrer-Policy":        "same-origin",
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

func TestPolicyAllowsThePageItselfAndNothingElse(t *testing.T) {
	w := get(t, newUI(sample()).Page)
	source := map[string]string{}
	walk(parse(t, w.Body.Bytes()), func(n *html.Node) {
		if n.Data != "style" && n.Data != "script" || n.Type != html.ElementNode {
			return
		}
		if source[n.Data] != "" || attribute(n, "src") != "" {
			t.Errorf("there is more than one <%s>, or it is loaded", n.Data)
		}
		sum := sha256.Sum256([]byte(text(n)))
		source[n.Data] = "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	})
	want := "default-src 'none'; style-src " + source["style"] + "; script-src " + source["script"] +
		"; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
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
		s.Version, s.Storage, s.ReloadError, s.StorageError = hostile, hostile, hostile, hostile
		for i := range s.Spaces {
			space := &s.Spaces[i]
			space.Name, space.Kind = hostile, hostile
			if space.Place != "" {
				space.Place = hostile
			}
			if space.LastError != "" {
				space.LastError = hostile
			}
			if space.Fallback != "" {
				space.Fallback = hostile
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
			captioned := n.FirstChild != nil && n.FirstChild.NextSibling != nil && n.FirstChild.NextSibling.Data == "caption"
			if !captioned && !hasAttribute(n, "aria-labelledby") {
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
		case "link":
			if attribute(n, "href") != "data:," {
				t.Errorf("the page has a link to %q", attribute(n, "href"))
			}
		case "iframe", "img", "input":
			t.Errorf("the page has an element %q", n.Data)
		}
	})
}

func hasAttribute(n *html.Node, key string) bool { return attribute(n, key) != "" }

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// text returns the text of a node and all below it, but for scripts.
func text(n *html.Node) string {
	var b strings.Builder
	walk(n, func(at *html.Node) {
		if at.Type == html.TextNode && (at.Parent == n || at.Parent.Data != "script") {
			b.WriteString(at.Data)
		}
	})
	return b.String()
}

func TestWhatIsDeadCanBeRetriedWithoutAScript(t *testing.T) {
	root := parse(t, get(t, newUI(sample()).Page).Body.Bytes())
	byID := map[string]*html.Node{}
	var actions, labels []string
	walk(root, func(n *html.Node) {
		id := attribute(n, "id")
		if byID[id] != nil && id != "" {
			t.Errorf("two elements have the id %s", id)
		}
		byID[id] = n
	})
	walk(root, func(n *html.Node) {
		switch n.Data {
		case "form":
			if method := attribute(n, "method"); method != "post" {
				t.Errorf("a form has the method %q, want post", method)
			}
			actions = append(actions, attribute(n, "action"))
		case "button":
			var label []string
			for id := range strings.FieldsSeq(attribute(n, "aria-labelledby")) {
				if byID[id] == nil {
					t.Fatalf("a button is labelled by %s, which is not there", id)
				}
				label = append(label, text(byID[id]))
			}
			labels = append(labels, strings.Join(label, ": "))
		}
	})
	// Neither the one that is planned, nor that of a space that is gone.
	if want := []string{"api/v1/deliveries/2/retry"}; !slices.Equal(actions, want) {
		t.Errorf("forms post to %q, want %q", actions, want)
	}
	if want := []string{"Retry: 3 alerts firing: InstanceDown"}; !slices.Equal(labels, want) {
		t.Errorf("buttons are read as %q, want %q", labels, want)
	}
}

func TestPageSaysWhatIsTheMatter(t *testing.T) {
	const standsBy = "This replica stands by"
	at := func(d time.Duration) time.Time { return now.Add(d) }
	for _, tt := range []struct {
		name      string
		change    func(s *webui.Status, ops *webui.Space)
		want, not string
	}{
		{"nothing of a replica where this one delivers", func(*webui.Status, *webui.Space) {}, "", standsBy},
		{"that another replica delivers", func(s *webui.Status, _ *webui.Space) { s.Delivering, s.Storage = false, "PostgreSQL" }, standsBy, ""},
		{"nothing of another replica where the storage cannot tell", func(s *webui.Status, _ *webui.Space) {
			s.Delivering, s.Storage, s.StorageError = false, "PostgreSQL", "the database does not answer"
		}, "the database does not answer", standsBy},
		{"nothing of another replica where there can be none", func(s *webui.Status, _ *webui.Space) { s.Delivering = false }, "", standsBy},
		{"that the page is not all", func(s *webui.Status, _ *webui.Space) {
			s.ReadError = "the storage did not answer in time"
		}, "This page is incomplete: the storage did not answer in time.", "Nothing can be stored"},
		{"where it stores", func(*webui.Status, *webui.Space) {}, "Version 1.0.0, storage in SQLite.", ""},
		{
			"until when Chat wants a pause", func(_ *webui.Status, ops *webui.Space) { ops.ThrottledUntil = at(90 * time.Second) },
			"Throttled until 2026-11-23 15:05:35 in 1 min", "",
		},
		{"nothing of a pause that has passed", func(_ *webui.Status, ops *webui.Space) { ops.ThrottledUntil = now }, "", "hrottled"},
		{"when the last attempt failed", func(_ *webui.Status, ops *webui.Space) {
			ops.FailingSince, ops.LastError, ops.LastErrorAt = at(-time.Hour), "503", at(-5*time.Second)
		}, "Failing since 2026-11-23 14:04:05 1 h ago. The last error, of 2026-11-23 15:04:00 5 s ago: 503", "passed"},
		{"an error of which the time is not known", func(_ *webui.Status, ops *webui.Space) {
			ops.FailingSince, ops.LastError = at(-time.Hour), "503"
		}, "1 h ago. The last error: 503", ""},
		{
			"a failure before there was an error", func(_ *webui.Status, ops *webui.Space) { ops.FailingSince = at(-time.Hour) },
			"Failing since 2026-11-23 14:04:05 1 h ago\n", "error",
		},
		{"when a failure was that has passed", func(_ *webui.Status, ops *webui.Space) {
			ops.LastError, ops.LastErrorAt = "503", at(-49*time.Hour)
		}, "The last failure, of 2026-11-21 14:04:05 2 days ago: 503", "Failing"},
		{
			"a failure that has passed, of which the time is not known", func(_ *webui.Status, ops *webui.Space) { ops.LastError = "503" },
			"The last failure: 503", "",
		},
		{"nothing of a fallback where there is none", func(*webui.Status, *webui.Space) {}, "", "Fallback"},
		{"the fallback", func(_ *webui.Status, ops *webui.Space) { ops.Fallback = "duty" }, "Fallback: duty\n", "told"},
		{"since when the fallback knows", func(_ *webui.Status, ops *webui.Space) {
			ops.Fallback, ops.FallbackToldAt = "duty", at(-time.Minute)
		}, "Fallback: duty, last told of what waits here 2026-11-23 15:03:05 1 min ago", ""},
		{"that a space is gone", func(_ *webui.Status, ops *webui.Space) { ops.Removed, ops.Kind = true, "" }, "Gone from the config.", ""},
		{"how many more were given up", func(_ *webui.Status, ops *webui.Space) {
			ops.Dead, ops.Deliveries = 3, []webui.Delivery{{ID: 1, Status: "dead"}, {ID: 2, Status: "done"}}
		}, "Given up in ops, the latest first: 1 of 3\n", "of 0"},
		{"all that were given up", func(_ *webui.Status, ops *webui.Space) {
			ops.Dead, ops.Deliveries = 1, []webui.Delivery{{ID: 1, Status: "dead"}}
		}, "Given up in ops, the latest first: 1\n", "Deliveries to"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := webui.Status{
				Version: "1.0.0", Now: now, StartedAt: now, ConfigLoadedAt: now, Storage: "SQLite", Delivering: true,
				Spaces: []webui.Space{{Name: "ops", Kind: "webhook"}},
			}
			tt.change(&s, &s.Spaces[0])
			var got string
			walk(parse(t, get(t, newUI(s).Page).Body.Bytes()), func(n *html.Node) {
				if n.Data == "body" {
					got = text(n)
				}
			})
			if !strings.Contains(got, tt.want) {
				t.Errorf("the page lacks %q:\n%s", tt.want, got)
			}
			if tt.not != "" && strings.Contains(got, tt.not) {
				t.Errorf("the page has %q:\n%s", tt.not, got)
			}
		})
	}
}

func TestWhatWasGivenUpStandsBeforeTheOthers(t *testing.T) {
	s := webui.Status{Spaces: []webui.Space{{Name: "ops", Deliveries: []webui.Delivery{
		{ID: 4, Title: "d", Status: "planned"}, {ID: 3, Title: "c", Status: "dead"}, {ID: 2, Title: "b", Status: "done"}, {ID: 1, Title: "a", Status: "dead"},
	}}}}
	var titles []string
	walk(parse(t, get(t, newUI(s).Page).Body.Bytes()), func(n *html.Node) {
		if strings.HasPrefix(attribute(n, "id"), "title-") {
			titles = append(titles, text(n))
		}
	})
	if want := []string{"c", "a", "d", "b"}; !slices.Equal(titles, want) {
		t.Errorf("titles in their order are %q, want %q", titles, want)
	}
}

func TestPageSaysFirstWhatIsWorst(t *testing.T) {
	ago := now.Add(-time.Minute)
	for _, tt := range []struct {
		name           string
		change         func(s *webui.Status)
		title, summary string
		order          []string
	}{
		{"nothing has arrived", func(s *webui.Status) {
			s.Spaces[0].LastSuccess = time.Time{}
		}, "alertchat", "No notification has arrived yet.", []string{"a", "b", "c", "d"}},
		{"all is well", func(*webui.Status) {}, "alertchat", "No space is failing.", []string{"a", "b", "c", "d"}},
		{"one fails", func(s *webui.Status) {
			s.Spaces[2].FailingSince = ago
		}, "1 failing · alertchat", "1 of 4 spaces is failing: c.", []string{"c", "a", "b", "d"}},
		{"the only one fails", func(s *webui.Status) {
			s.Spaces = s.Spaces[:1]
			s.Spaces[0].FailingSince = ago
		}, "1 failing · alertchat", "The space is failing: a.", []string{"a"}},
		{"of spaces that are gone none counts", func(s *webui.Status) {
			s.Spaces[1].FailingSince, s.Spaces[3].Removed, s.Spaces[3].FailingSince = ago, true, ago
		}, "1 failing · alertchat", "1 of 3 spaces is failing: b.", []string{"b", "a", "c", "d"}},
		{"much is the matter", func(s *webui.Status) {
			s.Spaces[1].FailingSince, s.Spaces[3].FailingSince = ago, ago
			s.Spaces[0].Dead, s.Spaces[3].Dead = 7, 5
			s.Spaces[2].ThrottledUntil = now.Add(time.Second)
			s.ReloadError = "line 1: no"
		}, "2 failing · alertchat", "2 of 4 spaces are failing: b, d. 1 space is throttled. 12 messages were given up. The config on disk is not in use.", []string{"b", "d", "c", "a"}},
		{"a space is throttled", func(s *webui.Status) {
			s.Spaces[1].ThrottledUntil = now.Add(time.Second)
		}, "alertchat", "1 space is throttled.", []string{"b", "a", "c", "d"}},
		{"a message was given up", func(s *webui.Status) {
			s.Spaces[1].Dead = 1
		}, "1 given up · alertchat", "1 message was given up.", []string{"b", "a", "c", "d"}},
		{"nothing can be stored", func(s *webui.Status) {
			s.StorageError = "disk full"
		}, "storage failing · alertchat", "Nothing can be stored.", []string{"a", "b", "c", "d"}},
		{"not all is known", func(s *webui.Status) {
			s.ReadError = "no answer"
		}, "incomplete · alertchat", "This page is incomplete.", []string{"a", "b", "c", "d"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := webui.Status{Now: now, Delivering: true}
			for _, name := range []string{"a", "b", "c", "d"} {
				s.Spaces = append(s.Spaces, webui.Space{Name: name})
			}
			s.Spaces[0].LastSuccess = ago
			tt.change(&s)
			var title, summary string
			var order, links []string
			walk(parse(t, get(t, newUI(s).Page).Body.Bytes()), func(n *html.Node) {
				switch id := attribute(n, "id"); {
				case n.Data == "title":
					title = text(n)
				case id == "summary":
					summary = text(n)
				case n.Data == "section" && strings.HasPrefix(id, "space-"):
					order = append(order, s.Spaces[id[len("space-")]-'0'].Name)
				case n.Data == "a" && strings.HasPrefix(attribute(n, "href"), "#space-"):
					links = append(links, text(n))
				}
			})
			if title != tt.title || summary != tt.summary {
				t.Errorf("the title is %q and the summary %q, want %q and %q", title, summary, tt.title, tt.summary)
			}
			if !slices.Equal(order, tt.order) || !slices.Equal(links[len(links)-len(order):], tt.order) {
				t.Errorf("spaces stand in the order %q, and in the table after %q, want %q", order, links, tt.order)
			}
		})
	}
}

func TestLongListsAreFolded(t *testing.T) {
	for count, want := range map[int]bool{1: true, 5: true, 6: false, 50: false} {
		var deliveries []webui.Delivery
		for i := range count {
			deliveries = append(deliveries, webui.Delivery{ID: int64(i), Status: "done"})
		}
		open := false
		page := get(t, newUI(webui.Status{Spaces: []webui.Space{{Name: "ops", Deliveries: deliveries}}}).Page).Body.Bytes()
		walk(parse(t, page), func(n *html.Node) {
			if n.Data == "details" {
				open = slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "open" })
			}
		})
		if open != want {
			t.Errorf("a list of %d is open: %t, want %t", count, open, want)
		}
	}
}

func TestAllTimesAreInUTC(t *testing.T) {
	s := webui.Status{Spaces: []webui.Space{{Deliveries: []webui.Delivery{{}}}}}
	local := now.In(time.FixedZone("CET", 3600))
	set := func(v reflect.Value) (count int) {
		for _, f := range v.Fields() {
			if at, ok := reflect.TypeAssert[*time.Time](f.Addr()); ok {
				*at = local
				count++
			}
		}
		return count
	}
	count := set(reflect.ValueOf(&s).Elem()) + set(reflect.ValueOf(&s.Spaces[0]).Elem()) + set(reflect.ValueOf(&s.Spaces[0].Deliveries[0]).Elem())
	got := get(t, newUI(s).JSON).Body.String()
	if shown := strings.Count(got, now.Format(time.RFC3339)); shown != count || count < 11 {
		t.Errorf("%d of %d times are in UTC: %s", shown, count, got)
	}
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
	const want = `{"version":"","now":"0001-01-01T00:00:00Z","started_at":"0001-01-01T00:00:00Z","config_loaded_at":"0001-01-01T00:00:00Z","storage":"","delivering":false,"spaces":[]}` + "\n"
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
