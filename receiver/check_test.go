package receiver_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"alertchat/receiver"
	"alertchat/receiver/chat/chattest"
	"alertchat/receiver/config"
)

// checked checks a config and returns the report, with the folder left out of
// all that it says. files are names and texts in turn.
func checked(t *testing.T, text string, files ...string) receiver.Report {
	t.Helper()
	folder := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(folder, files[i]), []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(folder, "config.yml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	r := receiver.Check(receiver.LoadOptions{ConfigFile: file, Logger: slog.New(slog.DiscardHandler)}, now)
	for _, list := range [][]config.Fault{r.Faults, r.Warnings} {
		for i := range list {
			list[i].File = strings.TrimPrefix(list[i].File, folder+"/")
			list[i].Message = strings.ReplaceAll(list[i].Message, folder+"/", "")
		}
	}
	return r
}

func lines(faults []config.Fault) string {
	var all []string
	for _, f := range faults {
		all = append(all, f.String())
	}
	return strings.Join(all, "\n")
}

// webhookURL is right, and secret.
const webhookURL = "https://chat.googleapis.com/v1/spaces/AAAA/messages?key=CANARY-key&token=CANARY-token"

// oneSpace is a config with one space, which further keys end.
func oneSpace(keys string) string {
	return "templates: [mine.tmpl]\nspaces:\n  - name: ops\n    webhook_url: " + webhookURL + "\n    " + keys + "\n"
}

func TestCheckFindsNothingInARightConfig(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"that says nothing of messages": oneSpace("timeout: 5s"),
		"of text only":                  oneSpace("card: none"),
		"with a button for an annotation of the samples": oneSpace(
			"card: {buttons: [{text: Look, url: '{{ .CommonAnnotations.dashboard_url }}'}]}"),
		"with a whole message": oneSpace(`message: '{"text": {{ include "chat.text" . "text" | quote }}}'`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := checked(t, text, "mine.tmpl", "")
			if len(r.Faults)+len(r.Warnings) > 0 {
				t.Errorf("faults:\n%s\nwarnings:\n%s", lines(r.Faults), lines(r.Warnings))
			}
			s := r.Spaces[0]
			if s.Name != "ops" || s.Place != "spaces/AAAA" || s.Samples < 9 || s.Messages < s.Samples || s.LargestBytes < 100 || s.LargestBytes > 32_000 {
				t.Errorf("space %+v", s)
			}
			if !strings.Contains(r.Summary(), "1 space, ") || !strings.HasSuffix(r.Summary(), " samples rendered: no faults") {
				t.Errorf("Summary() = %q", r.Summary())
			}
		})
	}
}

// TestCheckTellsARunawayTemplateWithItsLine: what ends each is a limit that is
// counted in steps, levels or bytes, never in time.
func TestCheckTellsARunawayTemplateWithItsLine(t *testing.T) {
	t.Parallel()
	card := `card: {summary: '{{ template "mine" . }}'}`
	for _, c := range []struct{ name, template, want string }{
		{"with a typo in the syntax", "{{ if .Status }}\nx", "mine.tmpl:1:1: {{end}} is missing, of this block or of one in it"},
		{"with a typo in a field", "\n{{ .Comon.x }}", "mine.tmpl:3:10: <.Comon.x>: there is no field Comon here; docs/reference.md lists those there are (sample firing)"},
		{"with a wrong function", "\n{{ shout .Status }}", `mine.tmpl:3:4: function "shout" not defined; docs/reference.md lists the functions`},
		{"with the name of no template", "\n\n{{ template \"none\" . }}", `mine.tmpl:4:13: no template is called "none"; mend the name, or define it in a file under templates`},
		{"with a key that only some alerts have", "\n{{ slice .CommonLabels.cluster 3 }}", "mine.tmpl:3:4: <slice .CommonLabels.cluster 3>: error calling slice: index out of range: 3 (sample bare)"},
		{"with a field in a branch that no sample takes", "\n{{ if .CommonLabels.team }}{{ .Nothing }}{{ end }}", "mine.tmpl:3:31: <.Nothing>: there is no field Nothing here; docs/reference.md lists those there are (sample named)"},
		{"with an endless recursion", "\n{{ template \"mine\" . }}", "mine.tmpl:3:13: templates call each other more than 100 deep: does a recursion not end? (sample firing)"},
		{"with an endless recursion by include", "\n{{ include \"mine\" . }}", "mine.tmpl:3:4: <include \"mine\" .>: error calling include: templates call each other more than 100 deep: does a recursion not end? (sample firing)"},
		{"with a loop that does not end", "\n{{ range 1000000000 }}{{ end }}", "mine.tmpl:3:10: it does more than 100000 steps: does a loop or recursion not end? (sample firing)"},
		{"with a gigabyte of output", "\n{{ range 1000000000 }}xxxxxxxxxx{{ end }}", "mine.tmpl:3:10: it does more than 100000 steps: does a loop or recursion not end? (sample firing)"},
		{"with a gigabyte in long pieces", "{{ $x := printf \"%9000d\" 1 }}\n{{ range 90000 }}{{ $x }}{{ end }}", "mine.tmpl:3:10: it puts out more than 16 MiB: does a loop or recursion not end? (sample firing)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := checked(t, oneSpace(card), "mine.tmpl", "{{ define \"mine\" }}\n"+c.template+"{{ end }}")
			if lines(r.Faults) != c.want {
				t.Errorf("faults:\n%s\nwant:\n%s", lines(r.Faults), c.want)
			}
		})
	}
}

func TestCheckTellsFaultsInTheConfigWithTheirLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, keys, want string }{
		{"a line of a literal text", "text: |\n      one\n      {{ .Nothing }}", "config.yml:7: spaces[0].text: <.Nothing>: there is no field Nothing here; docs/reference.md lists those there are (sample firing)"},
		{"a line that does not parse", "text: |\n      one\n      {{ shout }}", `config.yml:7: spaces[0].text: function "shout" not defined; docs/reference.md lists the functions`},
		{"a line of a text in quotes", "text: \"one\\n{{ .Nothing }}\"", "config.yml:5: spaces[0].text: line 2 of it: <.Nothing>: there is no field Nothing here; docs/reference.md lists those there are (sample firing)"},
		{"a built-in template that is given something else", `text: '{{ template "chat.labels" "x" }}'`, "config.yml:5: spaces[0].text: in line 86 of the built-in chat.tmpl: <.SortedPairs>: there is no field SortedPairs here; docs/reference.md lists those there are (sample firing)"},
		{"a reply, which no string calls", "thread: incident", "mine.tmpl:2:4: <.Nothing>: there is no field Nothing here; docs/reference.md lists those there are (sample resolved)"},
		{"a message with an unknown field", "message: |\n      text: a\n      footer: b", "spaces[0].message: what it puts out is no message: line 2: unknown field \"footer\""},
		{"a button that is no link", "card: {buttons: [{text: a, url: '/d/{{ .Status }}'}]}", "config.yml:5: spaces[0].card.buttons[0].url: never is an absolute http(s) URL, so that the button is never shown; let it begin with https:// and keep it below 4,000 characters"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			mine := ""
			if c.keys == "thread: incident" {
				mine = "{{ define \"chat.reply\" }}\n{{ .Nothing }}{{ end }}"
			}
			r := checked(t, oneSpace(c.keys), "mine.tmpl", mine)
			if len(r.Faults) != 1 || !strings.Contains(lines(r.Faults), c.want) {
				t.Errorf("faults:\n%s\nwant:\n%s", lines(r.Faults), c.want)
			}
		})
	}
}

func TestCheckTellsAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	r := checked(t, `templates: ['*.tmpl']
defaults:
  text: '{{ .Status'
spaces:
  - name: a
    webhook_url_file: missing.url
    timeout: 1h
  - name: b
    webhook_url_file: bad.url
    card: {title: '{{ nofunc }}'}
route:
  space: a
  routes:
    - matchers: ['x=~"("']
    - space: nobody
`, "bad.url", "https://chat.googleapis.com/v1/spaces/AAAA/messages?key=CANARY", "a.tmpl", "\n{{ end }}", "b.tmpl", "{{ template \"x\" }}")
	want := `a.tmpl:2:1: unexpected {{end}}
b.tmpl:1:13: no template is called "x"; mend the name, or define it in a file under templates
config.yml:3: defaults.text: unclosed action: }} is missing
config.yml:6: spaces[0].webhook_url_file: open missing.url: no such file or directory; put the webhook's URL into this file, or mend its name
config.yml:7: spaces[0].timeout: want more than 0 and at most 10s
config.yml:9: spaces[1].webhook_url_file: bad.url: the webhook URL has no token: it must end in ?key=…&token=…
config.yml:10: spaces[1].card.title: function "nofunc" not defined; docs/reference.md lists the functions
config.yml:14: route.routes[0].matchers[0]: its regular expression is wrong: missing closing )
config.yml:15: route.routes[1].space: there is no space nobody; want one of those under spaces`
	if got := lines(r.Faults); got != want {
		t.Errorf("faults:\n%s\nwant:\n%s", got, want)
	}
	if len(r.Spaces) > 0 || !strings.HasSuffix(r.Summary(), "config.yml: 9 faults") {
		t.Errorf("spaces %v, summary %q", r.Spaces, r.Summary())
	}
}

func TestCheckWarnsOfWhatIsPerhapsNotMeant(t *testing.T) {
	t.Parallel()
	r := checked(t, `defaults:
  max_age: 1h
  timeout: 5s
spaces:
  - name: ops
    webhook_url: `+webhookURL+`
    max_age: 2h
    rate_limit: 2
    card:
      alert: ''
      buttons:
        - {text: Logs, url: '{{ .CommonAnnotations.logs_url }}'}
        - {text: Never, url: '{{ if eq .Status "burning" }}https://example.org{{ end }}'}
    max_parts: 2
  - name: gateway
    webhook_url_file: gateway.url
    max_age: 2h
    card: none
    max_parts: 2
    http_config:
      proxy_url: http://user:CANARY-password@proxy:3128
      tls_config: {insecure_skip_verify: true}
  - name: hidden
    webhook_url: `+webhookURL+`
    max_age: 2h
    message: '{"text": {{ quote .Status }}}'
    max_parts: 2
    http_config:
      oauth2: {client_id: CANARY-id, client_secret: CANARY-secret, token_url: 'http://auth/token'}
route:
  space: ops
  routes:
    - {matchers: [team=db], space: gateway}
    - {matchers: [team=db, x=y], space: hidden}
    - {receivers: [a], continue: true}
`, "gateway.url", "http://gateway.example.org/v1/spaces/B/messages?key=CANARY-k&token=CANARY-t\n")
	want := []string{
		"config.yml:2: defaults.max_age: has no effect: every space has its own",
		"config.yml:8: spaces[0].rate_limit: has no effect: spaces[2] leads to the same Google space, and the lowest rate holds, which is its 1",
		"config.yml:12: spaces[0].card.buttons[0].url: is empty with every sample, so that the button is left out; it needs alerts that have the label or annotation which it names: is the name right?",
		"config.yml:13: spaces[0].card.buttons[1].url: is empty with every sample, so that the button is left out; is its condition right?",
		"config.yml:14: spaces[0].max_parts: has no effect beside an empty card.alert: the card lists no alerts",
		"config.yml:16: spaces[1].webhook_url_file: the URL is not https: who reads along on the way can post to the space with it",
		"config.yml:16: spaces[1].webhook_url_file: the URL is not one of https://chat.googleapis.com: alerts go elsewhere, which is right for a gateway or a test only",
		"config.yml:19: spaces[1].max_parts: has no effect beside card: none, which is one message",
		"config.yml:21: spaces[1].http_config.proxy_url: the password of the proxy goes over http: who reads along on the way has it",
		"config.yml:22: spaces[1].http_config.tls_config.insecure_skip_verify: whoever stands on the way can pass for Google Chat and read the webhook's URL",
		"config.yml:23: spaces[2]: no route leads to this space: it only gets what is posted to /alertmanager/hidden",
		"config.yml:27: spaces[2].max_parts: has no effect beside message, which is one message",
		"config.yml:29: spaces[2].http_config.oauth2.token_url: the URL is not https: who reads along on the way has the client's secret",
		"config.yml:34: route.routes[1]: never matches: route.routes[0] stands before it and takes all that it would; put it first, or continue: true there",
		"config.yml:35: route.routes[2].continue: has no effect: no route follows in this list",
	}
	if got := lines(r.Warnings); got != strings.Join(want, "\n") {
		t.Errorf("warnings:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
	if len(r.Faults) > 0 {
		t.Errorf("faults:\n%s", lines(r.Faults))
	}
	body, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if all := string(body) + lines(r.Warnings) + r.Summary(); strings.Contains(all, "CANARY") {
		t.Errorf("the report shows a secret: %s", all)
	}
}

// TestCheckFollowsWhatASpaceIsToldOf: a template for ends does not matter to a
// space that is told of none.
func TestCheckFollowsWhatASpaceIsToldOf(t *testing.T) {
	t.Parallel()
	text := `text: '{{ if eq .Status "resolved" }}{{ .Nothing }}{{ end }}{{ if .Incident.Repeat }}{{ .Nothing }}{{ end }}'`
	if r := checked(t, oneSpace(text), "mine.tmpl", ""); len(r.Faults) != 2 {
		t.Errorf("faults:\n%s\nwant that of an end and that of a repeat", lines(r.Faults))
	}
	if r := checked(t, oneSpace(text+"\n    send_resolved: false\n    repeats: drop"), "mine.tmpl", ""); len(r.Faults) != 0 {
		t.Errorf("faults:\n%s\nwant none", lines(r.Faults))
	}
}

func TestCheckOfAFileThatIsNotThere(t *testing.T) {
	t.Parallel()
	r := receiver.Check(receiver.LoadOptions{ConfigFile: "none.yml"}, time.Now())
	if want := "none.yml: cannot be read: no such file or directory; name another file with --config.file"; lines(r.Faults) != want {
		t.Errorf("faults %q, want %q", lines(r.Faults), want)
	}
}

// TestStartAndReloadWarn: what the config has in it that is perhaps not meant is
// in the log of a receiver, once for each time that it is loaded.
func TestStartAndReloadWarn(t *testing.T) {
	r := newRig(t, "spaces: [{name: ops, card: none, max_parts: 2, webhook_url: 'WEBHOOK(OPS)'}]", chattest.Options{})
	count := func() int {
		return strings.Count(r.log.String(), "spaces[0].max_parts: has no effect beside card: none")
	}
	if n := count(); n != 1 {
		t.Errorf("%d warnings after the start, want 1\n%s", n, r.log)
	}
	if err := r.app.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != 2 {
		t.Errorf("%d warnings after a reload, want one more\n%s", n, r.log)
	}
}
