package receiver

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const tryConfig = `
templates: [a.tmpl, b.tmpl]
spaces:
  - name: ops
    webhook_url: 'WEBHOOK'
    card: {title: '{{ template "ours" . }}', buttons: [{text: Go, url: 'https://example.org/{{ .Space }}'}]}
  - {name: raw, webhook_url: 'WEBHOOK', thread: '{{ .Space }}', message: '{"text": {{ quote .Status }}}'}
  - {name: plain, webhook_url: 'WEBHOOK', card: none, send_resolved: false}
route: {space: ops}
`

func trySetup(t *testing.T) *Setup {
	t.Helper()
	return setup(t, tryConfig, "a.tmpl", `{{ define "ours" }}from a{{ end }}`, "b.tmpl", `{{ define "chat.text" }}text of b{{ end }}`)
}

func TestSourcesAreAllThatAMessageIsMadeOf(t *testing.T) {
	s := trySetup(t)
	for space, want := range map[string][]string{
		"ops": {
			"a.tmpl", "b.tmpl", "chat.tmpl (built in)", "spaces[ops].text", "spaces[ops].card.title", "spaces[ops].card.subtitle",
			"spaces[ops].card.summary", "spaces[ops].card.alert", "spaces[ops].card.buttons[0].text", "spaces[ops].card.buttons[0].url",
		},
		"raw":   {"a.tmpl", "b.tmpl", "chat.tmpl (built in)", "spaces[raw].message", "spaces[raw].thread"},
		"plain": {"a.tmpl", "b.tmpl", "chat.tmpl (built in)", "spaces[plain].text"},
	} {
		sources, err := s.Sources(space)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, source := range sources {
			names = append(names, source.Name)
			if source.Text == "" {
				t.Errorf("the source %s of %s is empty", source.Name, space)
			}
			// As it is, each one is taken, and nothing fails.
			tried, err := s.Try(space, []byte(twoAlerts), []Source{source}, now())
			if err != nil || len(tried.Faults) > 0 || len(tried.Draft.Bodies()) != 1 {
				t.Errorf("Try(%q, …, %s) = %+v, %v", space, source.Name, tried, err)
			}
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("the sources of %s (-want +got):\n%s", space, diff)
		}
	}
	if _, err := s.Sources("none"); err == nil || !strings.Contains(err.Error(), "there are: ops, plain, raw") {
		t.Errorf("Sources of an unknown space: %v", err)
	}
}

func TestATextIsTriedInPlaceOfItsSource(t *testing.T) {
	s := trySetup(t)
	for _, c := range []struct {
		name          string
		space, source string
		text          string
		want          string // in the body
	}{
		{"a template file", "ops", "a.tmpl", `{{ define "ours" }}NEW {{ .Status }}{{ end }}`, `"title":"NEW firing"`},
		{"the built-in file", "ops", "chat.tmpl (built in)", `{{ define "chat.subtitle" }}NEW{{ end }}`, `"subtitle":"NEW"`},
		{"the built-in file, below the user's own", "ops", "chat.tmpl (built in)", `{{ define "chat.text" }}NEW{{ end }}`, `"text":"text of b"`},
		{"a string of the config", "ops", "spaces[ops].card.title", `NEW {{ len .Alerts }}`, `"title":"NEW 2"`},
		{"a string that the config leaves to us", "ops", "spaces[ops].card.subtitle", `NEW`, `"subtitle":"NEW"`},
		{"a button", "ops", "spaces[ops].card.buttons[0].url", `https://example.org/new`, `"url":"https://example.org/new"`},
		{"a whole message", "raw", "spaces[raw].message", `text: NEW`, `"text":"NEW"`},
	} {
		tried, err := s.Try(c.space, []byte(twoAlerts), []Source{{c.source, c.text}}, now())
		if err != nil || len(tried.Faults) > 0 {
			t.Errorf("%s: %+v, %v", c.name, tried.Faults, err)
			continue
		}
		if body := string(tried.Draft.Bodies()[0]); !strings.Contains(body, c.want) {
			t.Errorf("%s: %s holds no %s", c.name, body, c.want)
		}
	}
	// Several at once.
	tried, err := s.Try("ops", []byte(twoAlerts), []Source{
		{"a.tmpl", `{{ define "ours" }}one{{ end }}`}, {"spaces[ops].card.title", `{{ template "ours" . }} two`},
	}, now())
	if err != nil || !strings.Contains(string(tried.Draft.Bodies()[0]), `"title":"one two"`) {
		t.Errorf("two at once: %+v, %v", tried, err)
	}
	// Nothing of it stays.
	draft, err := s.Render("ops", []byte(twoAlerts), now())
	if err != nil || !strings.Contains(string(draft.Bodies()[0]), `"title":"from a"`) {
		t.Errorf("after the trieds: %v, %v", draft, err)
	}
	if text, err := os.ReadFile("a.tmpl"); err != nil || !strings.Contains(string(text), "from a") {
		t.Errorf("a.tmpl is now %q, %v", text, err)
	}
}

func TestAFaultOfATrialHasItsPlace(t *testing.T) {
	s := trySetup(t)
	for _, c := range []struct {
		name          string
		space, source string
		text          string
		want          SourceFault // Message: a part of it
		sent          bool        // whether the built-in one takes its place
	}{
		{"an action without an end", "ops", "a.tmpl", "{{ define \"ours\" }}\n\n  {{ .Status \n", SourceFault{Source: "a.tmpl", Line: 3, Column: 3, Message: "}} is missing"}, false},
		{"an unknown function", "ops", "spaces[ops].card.title", "a\n{{ nothing }}", SourceFault{Source: "spaces[ops].card.title", Line: 2, Column: 4, Message: `function "nothing" not defined`}, false},
		{"a template that is not there", "ops", "a.tmpl", `{{ define "other" }}{{ end }}`, SourceFault{Source: "spaces[ops].card.title", Line: 1, Column: 13, Message: `"ours"`}, false},
		{"a value of another type", "ops", "chat.tmpl (built in)", "{{ define \"chat.subtitle\" }}\n  {{ .Alerts.Nothing }}{{ end }}", SourceFault{Source: "chat.tmpl (built in)", Line: 2, Column: 13, Message: "Nothing"}, true},
		{"a loop without an end", "ops", "a.tmpl", "{{ define \"ours\" }}{{ template \"ours\" . }}{{ end }}", SourceFault{Source: "a.tmpl", Line: 1, Column: 32, Message: "does a recursion not end?"}, true},
		{"a document with a typing error", "raw", "spaces[raw].message", "text: x\ncardsv2: []", SourceFault{Source: "spaces[raw].message", Message: "cardsv2"}, true},
	} {
		tried, err := s.Try(c.space, []byte(twoAlerts), []Source{{c.source, c.text}}, now())
		if err != nil || len(tried.Faults) != 1 {
			t.Errorf("%s: %+v, %v; want one fault", c.name, tried.Faults, err)
			continue
		}
		got := tried.Faults[0]
		if !strings.Contains(got.Message, c.want.Message) {
			t.Errorf("%s: %q, want it to tell of %s", c.name, got.Message, c.want.Message)
		}
		got.Message, got.Near = c.want.Message, ""
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		if sent := tried.Draft != nil && len(tried.Draft.Bodies()) > 0; sent != c.sent {
			t.Errorf("%s: sent %t, want %t", c.name, sent, c.sent)
		}
	}
}

func TestAPayloadOfATrialIsHeldToItsForm(t *testing.T) {
	s := trySetup(t)
	title := []Source{{"spaces[ops].card.title", "x"}}
	tried, err := s.Try("ops", []byte("{\n \"version\": \"4\",\n  oops }"), title, now())
	if at := tried.Payload; err != nil || at == nil || at.Line != 3 || at.Column != 3 || tried.Draft != nil {
		t.Errorf("a payload that is no JSON: %+v, %v", tried, err)
	}
	// Both are told at once.
	tried, err = s.Try("ops", []byte(`{}`), []Source{{title[0].Name, "{{"}}, now())
	if err != nil || tried.Payload == nil || tried.Payload.Line != 0 || len(tried.Faults) != 1 {
		t.Errorf("a payload and a template at fault: %+v, %v", tried, err)
	}
	if _, err = s.Try("none", []byte(twoAlerts), title, now()); err == nil {
		t.Error("an unknown space is taken")
	}
	if _, err = s.Try("ops", []byte(twoAlerts), []Source{{"spaces[raw].message", "x"}}, now()); err == nil || !strings.Contains(err.Error(), "no source") {
		t.Errorf("the source of another space: %v", err)
	}
	tried, err = s.Try("plain", []byte(oneResolved), []Source{{"spaces[plain].text", "x"}}, now())
	if err != nil || len(tried.Draft.Bodies()) != 0 || len(tried.Draft.Remarks) != 1 {
		t.Errorf("an end that is not told: %+v, %v", tried, err)
	}
	// A file that has gone is told by its name.
	if err := os.Remove("b.tmpl"); err != nil {
		t.Fatal(err)
	}
	tried, err = s.Try("ops", []byte(twoAlerts), title, now())
	if err != nil || len(tried.Faults) != 1 || tried.Faults[0].Source != "b.tmpl" || tried.Payload != nil {
		t.Errorf("a file that has gone: %+v, %v", tried, err)
	}
}
