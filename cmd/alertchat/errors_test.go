package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// situation is something that goes wrong for a user.
type situation struct {
	name   string
	config string // of config.yml; GOOD where it does not matter
	args   []string
	stdin  string
}

const good = "spaces: [{name: ops, webhook_url: '" + googleURL + "'}]\n"

// spaceWith is a config whose only space has these keys, too.
func spaceWith(keys string) string {
	return "spaces:\n  - name: ops\n    webhook_url: " + googleURL + "\n    " + keys + "\n"
}

func commandSituations() []situation {
	check := []string{"check"}
	return []situation{
		{"a flag that there is not", good, []string{"--no-such-flag"}, ""},
		{"a command that there is not", good, []string{"deliver"}, ""},
		{"a duration that is none", good, []string{"--config.auto-reload-interval=soon"}, ""},
		{"a log level that is none", good, []string{"--log.level=loud"}, ""},
		{"serve without its config", "", []string{"--config.file=none.yml"}, ""},
		{"serve with a config that has faults", "spaces:\n  - name: ops\n    webhook_url: hooks\n    timeout: 1h\n", []string{"serve"}, ""},
		{"serve with a web config that is not there", good, []string{"--web.config.file=web.yml"}, ""},
		{"check without a config", "", []string{"check", "--config.file=none.yml"}, ""},
		{"check of an empty config", "\n", check, ""},
		{"check of a config with a tab", "spaces:\n\t- name: ops\n", check, ""},
		{"check of a key with a typo", spaceWith("max_part: 2"), check, ""},
		{"check of a space without a destination", "spaces: [{name: ops}]\n", check, ""},
		{"check of a URL that was not copied whole", "spaces: [{name: ops, webhook_url: 'https://chat.googleapis.com/v1/spaces/AAAA/messages?key=CANARY'}]\n", check, ""},
		{"check of a URL file that is not there", "spaces: [{name: ops, webhook_url_file: ops.url}]\n", check, ""},
		{"check of a URL file that is empty", "spaces: [{name: ops, webhook_url_file: empty.url}]\n", check, ""},
		{"check of a template file that is not there", "templates: [none.tmpl]\n" + good, check, ""},
		{"check of a glob that matches no file", "templates: ['nowhere/*.tmpl']\n" + good, check, ""},
		{"check of a template file with a typo in a name", "templates: [typo.tmpl]\n" + good, check, ""},
		{"check of a template without its quotes", spaceWith("text: {{ .Status }}"), check, ""},
		{"check of a template that does not close", spaceWith("text: '{{ .Status'"), check, ""},
		{"check of a template with a wrong function", spaceWith("text: '{{ shout .Status }}'"), check, ""},
		{"check of a template with a wrong field", spaceWith("text: '{{ .Stauts }}'"), check, ""},
		{"check of a call of no template", spaceWith(`text: '{{ template "mine" . }}'`), check, ""},
		{"check of a template without an end", spaceWith("text: '{{ range 1000000000 }}x{{ end }}'"), check, ""},
		{"check of a message with an unknown field", spaceWith("message: |\n      text: a\n      footer: b"), check, ""},
		{"check of a message that is no document", spaceWith("message: '{{ .Alerts }}'"), check, ""},
		{"check of a button that is no link", spaceWith("card: {buttons: [{text: Look, url: /look}]}"), check, ""},
		{"check of a button without an annotation", spaceWith("card: {buttons: [{text: Look, url: '{{ .CommonAnnotations.look }}'}]}"), check, ""},
		{"check of keys that this release does not have", spaceWith("fallback_space: ops\n    updates: edit"), check, ""},
		{"check of a route to no space", good + "route: {space: oops}\n", check, ""},
		{"check of a matcher that is none", good + "route: {space: ops, routes: [{matchers: [severity]}]}\n", check, ""},
		{"check of a route that never matches", good + "route: {space: ops, routes: [{matchers: [a=b]}, {matchers: [a=b, c=d]}]}\n", check, ""},
		{"render without a space", good, []string{"render", "--sample=firing"}, ""},
		{"render without a payload", good, []string{"render", "--space=ops"}, ""},
		{"render for no space", good, []string{"render", "--space=oops", "--sample=firing"}, ""},
		{"render of a sample that there is not", good, []string{"render", "--space=ops", "--sample=fire"}, ""},
		{"render of a file that is not there", good, []string{"render", "--space=ops", "none.json"}, ""},
		{"render of what is no JSON", good, []string{"render", "--space=ops", "-"}, "{\n alerts}"},
		{"render of another version", good, []string{"render", "--space=ops", "-"}, `{"version":"3"}`},
		{"render of no alerts", good, []string{"render", "--space=ops", "-"}, `{"version":"4"}`},
		{"render with a template that fails", spaceWith("card: none\n    text: '{{ .Stauts }}'"), []string{"render", "--space=ops", "--sample=bare"}, ""},
		{"routes without a payload", good, []string{"routes"}, ""},
		{"routes of what is no payload", good, []string{"routes", "-"}, "[]"},
		{"send of nothing", good, []string{"send", "--space=ops"}, ""},
		{"send of an empty text", good, []string{"send", "--space=ops", "--text= "}, ""},
		{"send of a text to no space", good, []string{"send", "--space=oops", "--text=done"}, ""},
		{"send to a webhook that is gone", "spaces: [{name: ops, webhook_url: 'CHAT/404/spaces/A/messages?key=CANARY-k&token=CANARY-t'}]\n", []string{"send", "--space=ops", "--text=done"}, ""},
		{"send of what Chat refuses", "spaces: [{name: ops, webhook_url: 'CHAT/400/spaces/A/messages?key=CANARY-k&token=CANARY-t'}]\n", []string{"send", "--space=ops", "--text=done"}, ""},
		{"send to a Chat that is ill", "spaces: [{name: ops, webhook_url: 'CHAT/500/spaces/A/messages?key=CANARY-k&token=CANARY-t'}]\n", []string{"send", "--space=ops", "--text=done", "--timeout=300ms"}, ""},
		{"send to a host that does not answer", "spaces: [{name: ops, webhook_url: 'http://CLOSED/v1/spaces/A/messages?key=CANARY-k&token=CANARY-t'}]\n", []string{"send", "--space=ops", "--text=done", "--timeout=300ms"}, ""},
		{"preview for other machines", good, []string{"preview", "--web.listen-address=:9098"}, ""},
		{"preview on an address that is none", good, []string{"preview", "--web.listen-address=here"}, ""},
		{"preview on a port that is taken", good, []string{"preview", "--web.listen-address=TAKEN"}, ""},
		{"preview with a config that is not there", good, []string{"preview", "--web.listen-address=127.0.0.1:0", "--config.file=none.yml"}, ""},
		{"serve on a port that is taken", good, []string{"serve", "--web.listen-address=TAKEN"}, ""},
		{"healthcheck of nobody", good, []string{"healthcheck", "--url=http://CLOSED/-/ready"}, ""},
		{"healthcheck of one that is not ready", good, []string{"healthcheck", "--url=CHAT/503/-/ready"}, ""},
		{"healthcheck of another host without a look at its certificate", good, []string{"healthcheck", "--url=https://alertchat:9098/-/ready", "--tls.insecure-skip-verify"}, ""},
		{"healthcheck of what is no URL", good, []string{"healthcheck", "--url=localhost:9098"}, ""},
	}
}

// TestErrorsTeach collects what users see when something goes wrong, to be read
// aloud: each says what is wrong, where, and what to do next. None shows a
// secret. The config's own faults, all of them, are in
// receiver/config/testdata/errors.golden.
func TestErrorsTeach(t *testing.T) {
	golden, err := filepath.Abs("testdata/errors.golden")
	if err != nil {
		t.Fatal(err)
	}
	places := newPlaces(t)
	var b strings.Builder
	for _, s := range commandSituations() {
		folder(t, "config.yml", places.fill(s.config), "empty.url", "\n", "typo.tmpl", `{{ define "chat.titel" }}{{ .Bogus }}{{ end }}`)
		var out, errs strings.Builder
		args := make([]string, len(s.args))
		for i := range args {
			args[i] = places.fill(s.args[i])
		}
		code := run(t.Context(), args, environment{
			stdin: strings.NewReader(s.stdin), stdout: &out, stderr: &errs, notify: func(chan<- os.Signal) {},
		})
		if code == exitOK && s.args[0] != "check" {
			t.Errorf("%s is no failure", s.name)
		}
		said := errs.String()
		if s.args[0] == "check" {
			said = out.String() + said
		}
		b.WriteString("## " + s.name + "\n\n" + places.told(said) + "\n")
	}
	b.WriteString(httpErrors(t, places))
	if strings.Contains(b.String(), "CANARY") {
		t.Errorf("a secret is shown:\n%s", b.String())
	}
	if *updateScripts {
		if err := os.WriteFile(golden, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("users are told otherwise; -update writes testdata/errors.golden anew, read it (-golden +now):\n%s", diff)
	}
}

// httpErrors asks a running receiver for what it refuses.
func httpErrors(t *testing.T, places *places) string {
	t.Helper()
	s := startServe(t, good)
	var b strings.Builder
	for _, c := range []struct{ name, method, path, body string }{
		{"a body that is no JSON", http.MethodPost, "/alertmanager", "hello"},
		{"a payload of another version", http.MethodPost, "/alertmanager", `{"version":"3"}`},
		{"a payload without alerts", http.MethodPost, "/alertmanager", `{"version":"4"}`},
		{"a body that is too large", http.MethodPost, "/alertmanager", strings.Repeat(" ", 33<<20)},
		{"a GET for the webhook", http.MethodGet, "/alertmanager", ""},
		{"a path that there is not", http.MethodGet, "/alerts", ""},
		{"a delivery that there is not", http.MethodPost, "/api/v1/deliveries/1/retry", ""},
	} {
		req, err := http.NewRequest(c.method, "http://"+s.address+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString("## " + c.method + " " + c.path + ": " + c.name + "\n\n" + answer(t, req) + "\n")
	}
	if err := os.WriteFile(s.configFile, []byte("spaces: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, "http://"+s.address+"/-/reload", nil)
	if err != nil {
		t.Fatal(err)
	}
	before := len(s.log.String())
	b.WriteString("## POST /-/reload: a config that has faults\n\n" + answer(t, req) + "\n")
	s.signals <- syscall.SIGHUP
	s.until(t, "SIGHUP is answered", func() bool { return strings.Contains(s.log.String()[before:], "Cannot reload") })
	b.WriteString("## SIGHUP: a config that has faults, in the log\n\n")
	for line := range strings.Lines(s.log.String()[before:]) {
		if strings.Contains(line, "Cannot reload") {
			b.WriteString(places.told(strings.ReplaceAll(line, filepath.Dir(s.configFile)+"/", "")))
		}
	}
	s.signals <- syscall.SIGTERM
	s.wait(t, 10*time.Second)
	return b.String()
}

func answer(t *testing.T, req *http.Request) string {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Status + "\n" + strings.TrimSpace(string(body)) + "\n"
}

// places are the addresses that situations need, and what stands for them.
type places struct {
	chat, taken, closed string
}

func newPlaces(t *testing.T) *places {
	t.Helper()
	chat := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code := map[string]int{"400": 400, "404": 404, "500": 500, "503": 503}[strings.Split(r.URL.Path, "/")[1]]
		status := map[int]string{400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 500: "INTERNAL", 503: "UNAVAILABLE"}[code]
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, `{"error":{"message":"Chat says no.","status":"`+status+`"}}`)
	}))
	t.Cleanup(chat.Close)
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	taken, closed := listen(), listen()
	t.Cleanup(func() { _ = taken.Close() })
	_ = closed.Close()
	return &places{chat: chat.URL, taken: taken.Addr().String(), closed: closed.Addr().String()}
}

func (p *places) fill(s string) string {
	return strings.NewReplacer("CHAT", p.chat, "TAKEN", p.taken, "CLOSED", p.closed).Replace(s)
}

var logHead = regexp.MustCompile(`time=\S+ (level=\S+) source=\S+ `)

// told returns what was said without what differs from run to run: addresses,
// times, and what a start logs.
func (p *places) told(s string) string {
	s = strings.NewReplacer(p.chat, "http://CHAT", p.taken, "TAKEN", p.closed, "CLOSED").Replace(s)
	var b strings.Builder
	for line := range strings.Lines(s) {
		if !strings.Contains(line, "level=INFO") && !strings.Contains(line, "level=WARN") {
			b.WriteString(logHead.ReplaceAllString(line, "$1 "))
		}
	}
	return b.String()
}
