package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"alertchat/receiver/config"
	"alertchat/receiver/route"
)

const oneSpace = "spaces:\n- name: ops\n  webhook_url: " + goodURL + "\n"

// plain leaves out of Settings what does not print.
type plain struct {
	Text, Title, Message, Thread string
	NoCard                       bool
	Buttons                      []config.Button
	Repeats                      config.Repeats
	Updates                      config.Updates
	SendResolved                 bool
	MaxParts, DigestThreshold    int
	RateLimit                    float64
	Timeout, MaxAge              time.Duration
	FallbackSpace                string
	FallbackAfter                time.Duration
}

func plainOf(s config.Settings) plain {
	show := func(text *string) string {
		if text == nil {
			return "built-in"
		}
		return *text
	}
	return plain{
		show(s.Text), show(s.Card.Title), s.Message, s.Thread, s.Card.None, s.Card.Buttons, s.Repeats, s.Updates,
		s.SendResolved, s.MaxParts, s.DigestThreshold, s.RateLimit, s.Timeout, s.MaxAge, s.FallbackSpace, s.FallbackAfter,
	}
}

func TestSettingsComeFromTheSpaceThenTheDefaultsThenTheBuiltIn(t *testing.T) {
	tests := []struct {
		name     string
		defaults string // in flow style
		space    string // more keys of the space
		want     func(*plain)
	}{
		{"nothing given", "{}", "", func(*plain) {}},
		{"a section whose keys are all commented out", "\n  # thread: none", "card:", func(*plain) {}},
		{"all keys in the defaults", `{text: T, card: {title: C, buttons: [{text: a, url: b}]}, thread: none, repeats: drop,
			updates: reply, send_resolved: false, max_parts: 20, digest_threshold: 0, rate_limit: 0.5, timeout: 2s500ms, max_age: 1d12h,
			fallback_space: other, fallback_after: 1m30s}`, "", func(p *plain) {
			*p = plain{
				Text: "T", Title: "C", Buttons: []config.Button{{Text: "a", URL: "b"}}, Thread: "none", Repeats: config.Drop,
				Updates: config.Reply, MaxParts: 20, RateLimit: 0.5, Timeout: 2500 * time.Millisecond, MaxAge: 36 * time.Hour,
				FallbackSpace: "other", FallbackAfter: 90 * time.Second,
			}
		}},
		{"the space before the defaults", "{timeout: 2s, max_parts: 7, send_resolved: false}", "timeout: 3s\n  send_resolved: true", func(p *plain) {
			p.Timeout, p.MaxParts = 3*time.Second, 7
		}},
		{"a card that replaces that of the defaults as a whole", "{card: {title: C, buttons: []}}", "card: {summary: S}", func(*plain) {}},
		{"no card", "{}", "card: none", func(p *plain) { p.NoCard = true }},
		{"a card again", "{card: none}", "card: {title: C}", func(p *plain) { p.Title = "C" }},
		{"no buttons", "{}", "card: {buttons: []}", func(p *plain) { p.Buttons = []config.Button{} }},
		{"buttons whose keys are all commented out", "{}", "card: {buttons: }", func(*plain) {}},
		{"an empty string", "{}", "card: {title: ''}", func(p *plain) { p.Title = "" }},
		{"a message in the place of the defaults' text and card", "{text: T, card: none}", "message: M", func(p *plain) { p.Message = "M" }},
		{"a text in the place of the defaults' message", "{message: M}", "text: T", func(p *plain) { p.Text = "T" }},
		{"a message of the defaults", "{message: M}", "", func(p *plain) { p.Message = "M" }},
		{"a template for the thread", "{thread: '{{ .CommonLabels.cluster }}'}", "", func(p *plain) { p.Thread = "{{ .CommonLabels.cluster }}" }},
		{"numbers where strings are wanted", "{}", "text: 0815", func(p *plain) { p.Text = "0815" }},
		{"the largest rate and the smallest of what has a least", "{rate_limit: 100, max_age: 1m, timeout: 10s, digest_threshold: 2, fallback_after: 10s}", "", func(p *plain) {
			p.RateLimit, p.MaxAge, p.DigestThreshold, p.FallbackAfter = 100, time.Minute, 2, 10*time.Second
		}},
		{"digests again", "{digest_threshold: 0}", "digest_threshold: 100", func(p *plain) { p.DigestThreshold = 100 }},
		{"no fallback where the others have one", "{fallback_space: other}", "fallback_space: ''", func(*plain) {}},
		{"the default fallback itself has none", "{fallback_space: ops}", "", func(*plain) {}},
		{"the default fallback with one of its own", "{fallback_space: ops}", "fallback_space: other", func(p *plain) { p.FallbackSpace = "other" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := "defaults: " + strings.ReplaceAll(tt.defaults, "\t", " ") + "\n" + oneSpace
			if tt.space != "" {
				text += "  " + tt.space + "\n"
			}
			text += "- {name: other, webhook_url: u}\nroute: {space: ops}\n"
			want := plain{
				Text: "built-in", Title: "built-in", Thread: "incident", Repeats: config.Timeline, Updates: config.Reply,
				SendResolved: true, MaxParts: 3, DigestThreshold: 20, RateLimit: 1, Timeout: 10 * time.Second, MaxAge: 24 * time.Hour,
				FallbackAfter: 5 * time.Minute,
			}
			tt.want(&want)
			got := plainOf(parse(t, text, t.TempDir()).Spaces[0].Settings)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("settings differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSpacesDoNotShareWhatOneOfThemSets(t *testing.T) {
	c := parse(t, `
defaults: {text: T, card: {title: D, buttons: [{text: a, url: b}]}, http_config: {follow_redirects: false}}
spaces:
- {name: a, webhook_url: u, text: A, card: {buttons: [{text: c, url: d}]}, http_config: {enable_http2: false}}
- {name: b, webhook_url: u}
route: {space: a}
`, t.TempDir())
	a, b := plainOf(c.Spaces[0].Settings), plainOf(c.Spaces[1].Settings)
	if a.Text != "A" || a.Buttons[0].Text != "c" || a.Title != "built-in" {
		t.Errorf("space a is %+v", a)
	}
	if b.Text != "T" || b.Buttons[0].Text != "a" || b.Title != "D" {
		t.Errorf("space b is %+v", b)
	}
	ha, hb := c.Spaces[0].HTTP.Reveal(), c.Spaces[1].HTTP.Reveal()
	if !ha.FollowRedirects || ha.EnableHTTP2 || hb.FollowRedirects || !hb.EnableHTTP2 {
		t.Errorf("follow_redirects and enable_http2 are %v, %v in a and %v, %v in b", ha.FollowRedirects, ha.EnableHTTP2, hb.FollowRedirects, hb.EnableHTTP2)
	}
}

func TestHTTPConfigIsThatOfPrometheus(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "token"), canary)
	c := parse(t, oneSpace+`
  http_config:
    proxy_url: http://user:`+canary+`@proxy:3128
    no_proxy: localhost
    authorization: {credentials_file: token}
    tls_config: {min_version: TLS13, server_name: chat}
    http_headers: {X-Team: {values: [ops], secrets: [`+canary+`]}}
`, dir)
	h := c.Spaces[0].HTTP.Reveal()
	if h.ProxyURL.Host != "proxy:3128" || h.NoProxy != "localhost" || !h.EnableHTTP2 || !h.FollowRedirects {
		t.Errorf("proxy %v, no_proxy %q, HTTP/2 %v, redirects %v", h.ProxyURL.Host, h.NoProxy, h.EnableHTTP2, h.FollowRedirects)
	}
	if got, want := h.Authorization.CredentialsFile, filepath.Join(dir, "token"); got != want || h.Authorization.Type != "Bearer" {
		t.Errorf("credentials_file is %s of type %s, want %s of type Bearer", got, h.Authorization.Type, want)
	}
	if h.TLSConfig.MinVersion.String() != "TLS13" || string(h.HTTPHeaders.Headers["X-Team"].Secrets[0]) != canary {
		t.Errorf("TLS from %s, headers %v", h.TLSConfig.MinVersion.String(), h.HTTPHeaders.Headers)
	}
	if zero := (config.HTTPConfig{}).Reveal(); !zero.FollowRedirects || !zero.EnableHTTP2 {
		t.Errorf("the zero HTTPConfig is %v, want Prometheus's default", zero)
	}
}

func TestRouteIsReadAndAnchored(t *testing.T) {
	c := parse(t, `
spaces:
- {name: ops, webhook_url: u}
- {name: database, webhook_url: u}
route:
  space: ops
  routes:
  - receivers: ['team-db', '.*/team-db', 7]
    matchers: ['severity=~"critical|page"', '{"température"="a",b!=c}']
    space: database
    continue: true
    routes:
    - matchers: []
`, t.TempDir())
	var lines []string
	var show func(n route.Node, indent string)
	show = func(n route.Node, indent string) {
		lines = append(lines, fmt.Sprint(indent, n.Space, " ", n.Receivers, " ", n.Matchers, " ", n.Continue))
		for _, r := range n.Routes {
			show(r, indent+"  ")
		}
	}
	show(c.Route, "")
	want := []string{
		`ops [] [] false`,
		`  database [^(?:team-db)$ ^(?:.*/team-db)$ ^(?:7)$] [severity=~"critical|page" température="a" b!="c"] true`,
		`     [] [] false`,
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("route differs (-want +got):\n%s", diff)
	}
}

func TestASingleSpaceNeedsNoRoute(t *testing.T) {
	if got := parse(t, oneSpace, t.TempDir()).Route.Space; got != "ops" {
		t.Errorf("the root's space is %q, want ops", got)
	}
}

func TestAliasesAndMergeKeysAreFollowed(t *testing.T) {
	c := parse(t, "\ufeff"+`
spaces:
- &ops
  name: ops
  webhook_url: u
  timeout: &short 2s
  text: T
- <<: *ops
  name: b
  text: B
- <<: [{name: c, thread: none}, *ops]
  max_age: 1h
route:
  <<: {space: ops}
`, t.TempDir())
	for i, want := range []struct {
		name, text, thread string
		maxAge             time.Duration
	}{
		{"ops", "T", "incident", 24 * time.Hour},
		{"b", "B", "incident", 24 * time.Hour},
		{"c", "T", "none", time.Hour},
	} {
		s := c.Spaces[i]
		if s.Name != want.name || *s.Text != want.text || s.Thread != want.thread || s.Timeout != 2*time.Second || s.MaxAge != want.maxAge {
			t.Errorf("space %d is %s, text %q, thread %s, timeout %s, max_age %s; want %+v and 2s", i, s.Name, *s.Text, s.Thread, s.Timeout, s.MaxAge, want)
		}
	}
	if c.Route.Space != "ops" {
		t.Errorf("the root's space is %q, want ops", c.Route.Space)
	}
}

func TestURLFileIsReadAnew(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "ops.url")
	writeFile(t, file, "\ufeff"+goodURL+"\r\n")
	c := parse(t, "spaces:\n- {name: ops, webhook_url_file: ops.url}\n", dir)
	s := &c.Spaces[0]
	if s.WebhookURLFile != file {
		t.Errorf("WebhookURLFile is %s, want %s", s.WebhookURLFile, file)
	}
	if got, err := s.URL(); got != goodURL || err != nil {
		t.Errorf("URL() = %q, %v, want %q", got, err, goodURL)
	}
	writeFile(t, file, "https://another.example.com")
	if got, err := s.URL(); got != "https://another.example.com" || err != nil {
		t.Errorf("URL() after a change = %q, %v", got, err)
	}
	writeFile(t, file, "\n")
	if _, err := s.URL(); err == nil || err.Error() != file+" is empty; put the webhook's URL into it" {
		t.Errorf("URL() of an empty file fails with %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := s.URL(); err == nil || err.Error() != "open "+file+": no such file or directory; put the webhook's URL into this file, or mend its name" {
		t.Errorf("URL() of a missing file fails with %v", err)
	}
	inline := parse(t, oneSpace, dir)
	if got, err := inline.Spaces[0].URL(); got != goodURL || err != nil {
		t.Errorf("URL() = %q, %v, want the webhook_url", got, err)
	}
}

func TestTemplatesAreTheFilesOfTheGlobs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a[b]*") // what the folder is called is no glob
	for _, sub := range []string{"", "t", "t/folder.tmpl", "u"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"t/b.tmpl", "t/a.tmpl", "t/c.txt", "u/{d}.tmpl"} {
		writeFile(t, filepath.Join(dir, f), "x")
	}
	absolute := filepath.Join(t.TempDir(), "e.tmpl")
	writeFile(t, absolute, "x")

	c := parse(t, "templates: [t/c.txt, 't/*.tmpl', t/a.tmpl, 'none/*.tmpl', 'u/{d}.tmpl', "+absolute+"]\n"+oneSpace, dir)

	want := []string{
		filepath.Join(dir, "t/c.txt"), filepath.Join(dir, "t/a.tmpl"), filepath.Join(dir, "t/b.tmpl"),
		filepath.Join(dir, "u/{d}.tmpl"), absolute,
	}
	if diff := cmp.Diff(want, c.Templates); diff != "" {
		t.Errorf("templates differ (-want +got):\n%s", diff)
	}
}

func TestFilesAreAllThatTheConfigDependsOn(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"app.json", "ops.url", "password", "header", "a.tmpl", "config.yml"} {
		writeFile(t, filepath.Join(dir, f), "x")
	}
	path := filepath.Join(dir, "config.yml")
	writeFile(t, path, `
templates: ['*.tmpl']
spaces:
- name: ops
  webhook_url_file: ops.url
  http_config: {basic_auth: {username: u, password_file: password}, http_headers: {X-A: {files: [header]}}}
- {name: b, webhook_url_file: ops.url}
- {name: c, app: {space: spaces/A, credentials_file: app.json}}
- {name: d, app: {space: spaces/B, credentials_file: app.json}}
- {name: e, app: {space: spaces/C}}
route: {space: ops}
`)
	c, err := config.Load(path, config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a.tmpl", "app.json", "config.yml", "header", "ops.url", "password"}
	check := func() {
		t.Helper()
		var got []string
		for _, f := range c.Files() {
			if filepath.Dir(f) != dir {
				t.Errorf("Files() has %s, which is not in %s", f, dir)
			}
			got = append(got, filepath.Base(f))
		}
		if !slices.Equal(got, want) {
			t.Errorf("Files() = %v, want %v", got, want)
		}
	}
	check()
	writeFile(t, filepath.Join(dir, "b.tmpl"), "new")
	want = slices.Insert(want, 2, "b.tmpl")
	check()
}

func TestFaultFindsTheLineOfAValue(t *testing.T) {
	c := parse(t, `defaults:
  text: T
spaces:
- name: a
  webhook_url: u
  card:
    title: C
    buttons:
    - text: x
      url: y
- {name: b, webhook_url: u, thread: none}
route: {space: a}
`, t.TempDir())
	tests := []struct{ path, want string }{
		{"spaces[0].card.title", "config.yml:7: spaces[0].card.title: m"},
		{"spaces[0].card.buttons[0].url", "config.yml:10: spaces[0].card.buttons[0].url: m"},
		{"spaces[0].card.summary", "config.yml:6: spaces[0].card.summary: m"},
		{"spaces[0].text", "config.yml:2: defaults.text: m"},
		{"spaces[1].thread", "config.yml:11: spaces[1].thread: m"},
		{"spaces[1].message", "config.yml:11: spaces[1].message: m"},
		{"nowhere", "config.yml:1: nowhere: m"},
		{"", "config.yml:1: m"},
	}
	for _, tt := range tests {
		if got := c.Fault(tt.path, "m").String(); got != tt.want {
			t.Errorf("Fault(%q) is %q, want %q", tt.path, got, tt.want)
		}
	}
}

func TestTextFaultFindsTheLineInsideOfAText(t *testing.T) {
	c := parse(t, `defaults:
  text: |-
    first
    second
spaces:
- name: a
  webhook_url: u
  card:
    title: "first\nsecond"
    summary: |

      second
- {name: b, webhook_url: u}
route: {space: a}
`, t.TempDir())
	for _, tt := range []struct {
		path string
		line int
		want string
	}{
		{"spaces[0].text", 1, "config.yml:3: defaults.text: m"},
		{"spaces[1].text", 2, "config.yml:4: defaults.text: m"},
		{"spaces[0].card.title", 1, "config.yml:9: spaces[0].card.title: m"},
		{"spaces[0].card.title", 2, "config.yml:9: spaces[0].card.title: line 2 of it: m"},
		{"spaces[0].card.summary", 2, "config.yml:12: spaces[0].card.summary: m"},
		{"spaces[0].text", 0, "config.yml:2: defaults.text: m"},
	} {
		if got := c.TextFault(tt.path, tt.line, "m").String(); got != tt.want {
			t.Errorf("TextFault(%q, %d) is %q, want %q", tt.path, tt.line, got, tt.want)
		}
	}
}

func TestGivenAndDefaultsAreWhatTheFileSays(t *testing.T) {
	c := parse(t, "defaults: {timeout: 5s, card: {title: t}, http_config: ~}\nspaces: [{name: a, webhook_url: u, max_age: 1h}]\n", t.TempDir())
	for path, want := range map[string]bool{"defaults.timeout": true, "spaces[0].timeout": false, "spaces[0].max_age": true, "defaults.card.title": true, "route": false} {
		if got := c.Given(path); got != want {
			t.Errorf("Given(%q) = %t, want %t", path, got, want)
		}
	}
	if got := c.Defaults(); !slices.Equal(got, []string{"card", "timeout"}) {
		t.Errorf("Defaults() = %q", got)
	}
}

// TestAConfigWithFaultsHasItsTemplates: so that their faults are told with the
// others.
func TestAConfigWithFaultsHasItsTemplates(t *testing.T) {
	c, err := config.Parse("c.yml", []byte("spaces:\n- {name: a, text: T, timeout: 1h}\n- 7\n"), t.TempDir(), config.Options{})
	if err == nil || c == nil || len(c.Spaces) != 2 || *c.Spaces[0].Text != "T" {
		t.Errorf("Parse() = %+v, %v; want the spaces beside the faults", c, err)
	}
	for _, text := range []string{"", "[]", "a: [", "~"} {
		if c, err := config.Parse("c.yml", []byte(text), t.TempDir(), config.Options{}); err == nil || c != nil {
			t.Errorf("Parse(%q) = %v, %v; want no config", text, c, err)
		}
	}
}
