package receiver

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"alertchat/receiver/chat"
)

// setup loads a config. files are names and texts in turn, to stand beside it.
// WEBHOOK stands for a URL.
func setup(t *testing.T, text string, files ...string) *Setup {
	t.Helper()
	folder := t.TempDir()
	write := func(name, text string) {
		text = strings.ReplaceAll(text, "WEBHOOK", "https://chat.googleapis.com/v1/spaces/A/messages?key=k0k0k0&token=t0t0t0")
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("config.yml", text)
	for i := 0; i < len(files); i += 2 {
		write(files[i], files[i+1])
	}
	t.Chdir(folder)
	s, err := Load(LoadOptions{ConfigFile: "config.yml", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const (
	twoAlerts = `{"version":"4","groupKey":"{}:{}","receiver":"r","externalURL":"http://am.example.org","alerts":[
{"status":"firing","labels":{"alertname":"A","cluster":"c"},"annotations":{"summary":"s: 1"},"startsAt":"2026-11-23T12:00:00Z"},
{"status":"firing","labels":{"alertname":"A","cluster":"c","n":"2"},"annotations":{"runbook_url":"/relative"},"startsAt":"2026-11-23T12:01:00Z"}]}`
	oneResolved = `{"version":"4","groupKey":"{}:{}","receiver":"r","alerts":[
{"status":"resolved","labels":{"alertname":"A"},"startsAt":"2026-11-23T12:00:00Z","endsAt":"2026-11-23T12:05:00Z"}]}`
)

func now() time.Time { return time.Date(2026, 11, 23, 12, 7, 0, 0, time.UTC) }

// messagesOf decodes the bodies of a draft.
func messagesOf(t *testing.T, d *Draft) []chat.Message {
	t.Helper()
	messages := make([]chat.Message, len(d.Bodies()))
	for i, body := range d.Bodies() {
		if err := json.Unmarshal(body, &messages[i]); err != nil {
			t.Fatal(err)
		}
		for _, v := range chat.Check(body, chat.ByWebhook) {
			t.Errorf("body %d: %s", i, v)
		}
	}
	return messages
}

func TestRenderGivesTheBodiesThatServeSends(t *testing.T) {
	s := setup(t, `
spaces:
  - {name: ops, webhook_url: 'WEBHOOK', max_parts: 3}
  - {name: clusters, webhook_url: 'WEBHOOK', thread: '{{ .CommonLabels.cluster }}', card: none}
  - {name: flat, webhook_url: 'WEBHOOK', thread: none, card: none, text: '{{ len .Alerts }} {{ .Space }}'}
route: {space: ops, routes: [{matchers: ['alertname="B"'], space: flat}]}
`)
	for _, c := range []struct {
		space, payload string
		thread         string // the key of the first message; "id" for that of an incident
		text           string
	}{
		{"ops", twoAlerts, "id", "🔴 A · 2 FIRING\ns: 1 (and 1 more)\n📍 c"},
		{"ops", oneResolved, "id", "✅ A · RESOLVED"},
		{"clusters", twoAlerts, "c", "🔴 A · 2 FIRING\ns: 1 (and 1 more)\n📍 c"},
		{"flat", twoAlerts, "", "2 flat"}, // past the tree
	} {
		d, err := s.Render(c.space, []byte(c.payload), now())
		if err != nil {
			t.Fatal(err)
		}
		m := messagesOf(t, d)
		if len(m) != 1 || m[0].Text != c.text || len(d.Failures) > 0 {
			t.Errorf("%s: %d messages, %+v, %v; want %q", c.space, len(m), m, d.Failures, c.text)
			continue
		}
		key := ""
		if m[0].Thread != nil {
			key = m[0].Thread.ThreadKey
		}
		if c.thread == "id" && len(key) < 10 || c.thread != "id" && key != c.thread {
			t.Errorf("%s: thread key %q, want %q", c.space, key, c.thread)
		}
		again, err := s.Render(c.space, []byte(c.payload), now())
		if err != nil || string(again.Bodies()[0]) != string(d.Bodies()[0]) {
			t.Errorf("%s: another rendering of the same differs: %v", c.space, err)
		}
	}
}

func TestRenderSaysWhatWasMendedCutOrFailed(t *testing.T) {
	s := setup(t, `templates: [mine.tmpl]
defaults:
  card:
    buttons: [{text: Runbook, url: '{{ (index .Alerts 1).Annotations.runbook_url }}'}]
spaces:
  - name: mended
    webhook_url: WEBHOOK
  - name: broken
    webhook_url: WEBHOOK
    card:
      title: |-
        a
        {{ index .Alerts 9 }}
      summary: '{{ template "mine" . }}'
  - name: whole
    webhook_url: WEBHOOK
    message: |
      text: {{ (index .Alerts 0).Annotations.summary }}
  - name: quiet
    webhook_url: WEBHOOK
    send_resolved: false
route: {space: mended}
`, "mine.tmpl", "{{ define \"mine\" }}\n\n{{ .Nope }}{{ end }}")
	for _, c := range []struct {
		space, payload    string
		bodies            int
		remarks, failures []string
	}{
		{"mended", twoAlerts, 1, []string{"config.yml:4: defaults.card.buttons[0].url: left out: it is no absolute http(s) URL, or too long"}, nil},
		{
			"broken", twoAlerts, 1, nil,
			[]string{
				"config.yml:13: spaces[1].card.title: <index .Alerts 9>: error calling index: ",
				"mine.tmpl:3:4: <.Nope>: ",
			},
		},
		{
			"whole", twoAlerts, 1, nil,
			[]string{"config.yml:17: spaces[2].message: what it puts out is no message: line 1: mapping values are not allowed in this context; what may hold a colon, a # or a quote belongs into {{ quote … }}\n    text: s: 1"},
		},
		{"quiet", oneResolved, 0, []string{"config.yml:21: spaces[3].send_resolved: all alerts are resolved, and this space is not told of ends: nothing is sent"}, nil},
		{"quiet", twoAlerts, 1, []string{"config.yml:4: defaults.card"}, nil},
	} {
		d, err := s.Render(c.space, []byte(c.payload), now())
		if err != nil {
			t.Fatal(err)
		}
		if n := len(messagesOf(t, d)); n != c.bodies {
			t.Errorf("%s: %d bodies, want %d", c.space, n, c.bodies)
		}
		check := func(what string, got, want []string) {
			if len(got) != len(want) {
				t.Errorf("%s: %s %q, want %q", c.space, what, got, want)
				return
			}
			for i := range got {
				if !strings.HasPrefix(got[i], want[i]) {
					t.Errorf("%s: %s %q, want %q", c.space, what, got[i], want[i])
				}
			}
		}
		check("remarks", d.Remarks, c.remarks)
		check("failures", d.Failures, c.failures)
	}
}

func TestRenderRefusesWhatItCannotRead(t *testing.T) {
	s := setup(t, "spaces: [{name: ops, webhook_url: 'WEBHOOK'}, {name: db, webhook_url: 'WEBHOOK'}]\nroute: {space: ops, routes: [{matchers: ['a=b'], space: db}]}")
	for _, c := range []struct{ name, space, payload, want string }{
		{"an unknown space", "opz", twoAlerts, `no space of the config is called "opz"; there are: db, ops`},
		{"no JSON", "ops", "{\n\n  \"version\": 4x}", "line 3: not a JSON payload of Alertmanager"},
		{"a wrong type", "ops", "{\n\"version\": \"4\",\n\"alerts\": 1}", "line 3: not a JSON payload of Alertmanager"},
		{"an end too early", "ops", "{\n\"version\":", "line 2: not a JSON payload of Alertmanager: unexpected end of JSON input"},
		{"nothing", "ops", "", "not a JSON payload of Alertmanager: unexpected end of JSON input"},
		{"another version", "ops", `{"version":"3"}`, "not version 4 of the payload"},
		{"no alerts", "ops", `{"version":"4","alerts":[]}`, "no alerts in the payload"},
	} {
		d, err := s.Render(c.space, []byte(c.payload), now())
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: Render = %v, %v, want the error %q", c.name, d, err, c.want)
		}
	}
}

func TestATextIsAMessageWithoutAThread(t *testing.T) {
	s := setup(t, "spaces: [{name: ops, webhook_url: 'WEBHOOK'}]")
	d, err := s.Text("ops", "The *long* job has finished,\n<users/123>.\x00")
	if err != nil {
		t.Fatal(err)
	}
	if m := messagesOf(t, d); len(m) != 1 || m[0].Text != "The *long* job has finished,\n<users/123>." || m[0].Thread != nil || len(d.Remarks) > 0 {
		t.Errorf("draft %+v, remarks %v, want the text as it is", m, d.Remarks)
	}
	if d, err = s.Text("ops", strings.Repeat("x", 5_000)); err != nil || len(d.Remarks) != 1 || !strings.HasPrefix(d.Remarks[0], "text: cut to 4000 characters") {
		t.Errorf("of a long text: remarks %v, %v", d.Remarks, err)
	}
	messagesOf(t, d)
	if _, err := s.Text("ops", " \n"); err == nil || err.Error() != "the text is empty" {
		t.Errorf("of an empty text: %v", err)
	}
	if _, err := s.Text("opz", "a"); err == nil || !strings.Contains(err.Error(), "there are: ops") {
		t.Errorf("to an unknown space: %v", err)
	}
}
