package render_test

import (
	"strings"
	"testing"

	"alertchat/receiver/config"
	"alertchat/receiver/incident"
	"alertchat/receiver/render"
)

// documents renders a template of a whole message, as YAML.
func documents(t *testing.T, template string, one incident.Telling) render.Rendered {
	t.Helper()
	set, err := render.Load(render.Options{DecodeYAML: config.DecodeYAML, LineOf: config.LineOf})
	if err != nil {
		t.Fatal(err)
	}
	r, err := set.Renderer(render.Space{Name: "ops", Message: template})
	if err != nil {
		t.Fatal(err)
	}
	return r.Render([]incident.Telling{one}, noon())
}

func TestWhatIsNoMessageIsToldWithItsLine(t *testing.T) {
	t.Parallel()
	one := oneAlert(t, map[string]string{"colon": "a: b", "number": "0123", "truth": "true", "long": strings.Repeat("x", 500)}, nil)
	for _, c := range []struct{ name, template, want, near string }{
		{
			"a misspelt field", "text: a\ncardsV2:\n- card:\n    header:\n      titel: b\n",
			`line 5: cardsV2[0].card.header: unknown field "titel"; did you mean "title"?`, "titel: b",
		},
		{
			"a misspelt field in the other form", "text: a\ncards_v2:\n- card:\n    header: {image_ulr: x}\n",
			`line 4: cardsV2[0].card.header: unknown field "image_ulr"; did you mean "imageUrl"?`, "header: {image_ulr: x}",
		},
		{
			"a misspelt field of JSON", "{\n\"text\": \"a\",\n\"txet\": \"b\"}",
			`line 3: unknown field "txet"; did you mean "text"?`, `"txet": "b"}`,
		},
		{
			"a field that only a dialog has", "text: a\ncardsV2:\n- card:\n    sections:\n    - widgets:\n      - selectionInput: {name: a}\n",
			"line 6: cardsV2[0].card.sections[0].widgets[0].selectionInput: is not for messages of alerts", "- selectionInput: {name: a}",
		},
		{
			"a value with a colon", "text: a\nfallbackText: {{ .CommonLabels.colon }}\n",
			"line 2: mapping values are not allowed in this context; what may hold a colon, a # or a quote belongs into {{ quote … }}", "fallbackText: a: b",
		},
		{
			"a value that looks like an octal number", "fallbackText: a\ntext: {{ .CommonLabels.number }}\n",
			"line 2: text: must be a string, not a number; a value that is to be a string belongs into {{ quote … }}", "text: 0123",
		},
		{
			"a value that looks like a truth", "text: {{ .CommonLabels.truth }}\n",
			"line 1: text: must be a string, not true or false; a value that is to be a string belongs", "text: true",
		},
		{
			"yes for a truth", "text: a\ncardsV2:\n- card:\n    sections:\n    - collapsible: yes\n",
			"line 5: cardsV2[0].card.sections[0].collapsible: must be true or false, not a string; a value that is to be a string belongs into {{ quote … }}, true, false and numbers stand without quotes", "- collapsible: yes",
		},
		{
			"a number in quotes", "text: a\ncardsV2:\n- card:\n    sections:\n    - uncollapsibleWidgetsCount: '2'\n      widgets: [{divider: {}}]\n",
			"line 5: cardsV2[0].card.sections[0].uncollapsibleWidgetsCount: must be a number without quotes", "- uncollapsibleWidgetsCount: '2'",
		},
		{
			"an unknown value", "text: a\ncardsV2:\n- card:\n    sections:\n    - widgets:\n      - divider: {}\n        horizontalAlignment: MIDDLE\n",
			`line 7: cardsV2[0].card.sections[0].widgets[0].horizontalAlignment: unknown value "MIDDLE"; one of`, "horizontalAlignment: MIDDLE",
		},
		{"a key that stands twice", "text: a\ntext: b\n", `line 2: the key "text" is there already, in line 1`, "text: b"},
		{"a key that stands twice in JSON", "{\"text\": \"a\",\n\"text\": \"b\"}", `line 2: the key "text" is there twice`, `"text": "b"}`},
		{"a field under both of its names", "text: a\nfallbackText: b\nfallback_text: c\n", "line 3: fallbackText: set twice", "fallback_text: c"},
		{"a tab", "text: a\ncardsV2:\n\t- card: {}\n", "line 3: found character that cannot start any token; do not indent with tabs", "- card: {}"},
		{"a list where an object is wanted", "text: a\ncardsV2:\n  card: {}\n", "line 2: cardsV2: must be a list, not an object", "cardsV2:"},
		{"two documents", "text: a\n---\ntext: b\n", "line 2: a second document begins here", "---"},
		{"nothing", "{{ if false }}a{{ end }}", "line 1: is empty", ""},
		{"a sentence", "Hello, world!", "line 1: it is no object with fields such as text and cardsV2", "Hello, world!"},
		{"a line that is long", "text: [{{ .CommonLabels.long }}]\n", "line 1: text: must be a string, not a list", "text: [" + strings.Repeat("x", 112) + "…"},
	} {
		got := documents(t, c.template, one)
		sound(t, got)
		if len(got.Failures) != 1 {
			t.Errorf("%s: Failures = %v, want one", c.name, got.Failures)
			continue
		}
		f := got.Failures[0]
		if !strings.HasPrefix(f.Err.Error(), "what it puts out is no message: "+c.want) {
			t.Errorf("%s: it says %q, want %q", c.name, f.Err, c.want)
		}
		if f.Where != "spaces[ops].message" || f.Near != c.near {
			t.Errorf("%s: Where = %q, Near = %q, want near %q", c.name, f.Where, f.Near, c.near)
		}
		text := got.Messages[0].Text
		if line, _, ok := strings.Cut(c.want, ":"); ok && strings.HasPrefix(line, "line ") && !strings.Contains(text, "The template message failed ("+line+" of what it puts out)") {
			t.Errorf("%s: the message does not name %s: %q", c.name, line, text)
		}
		if c.near != "" && strings.Contains(text, c.near) {
			t.Errorf("%s: the message quotes the document: %q", c.name, text)
		}
	}
}

func TestOnlyTheFunctionMentionMentionsInAWholeMessage(t *testing.T) {
	t.Parallel()
	one := oneAlert(t, map[string]string{
		"all": "<users/all>", "end": "users/all>", "control": "<\x01u\u202esers/all>", "private": "<users/\ue000all\ue001>",
		"escaped": `\u003cusers/all>`, "encoded": "PHVzZXJzL2FsbD4=", "oncall": "users/123",
	}, nil)
	repeat := one
	repeat.Kind, repeat.Repeat = incident.Repeat, 1
	for _, c := range []struct {
		name, value, want string
		one               incident.Telling
	}{
		{"the function does", `{{ mention "all" | quote }}`, "<users/all>", one},
		{"the function does without quote", `'{{ mention .CommonLabels.oncall }} hello'`, "<users/123> hello", one},
		{"the function does through other functions", `{{ printf "%s, look" (mention "all") | quote }}`, "<users/all>, look", one},
		{"the function does in an include for a text", `{{ include "x" . "text" | quote }}`, "<\u200busers/all> <users/123>", one},
		{"the function does in an include as it is", `{{ include "x" . | quote }}`, "<\u200busers/all> <users/123>", one},
		{"the function does not in a repeat", `{{ printf "%s, look" (mention "all") | quote }}`, ", look", repeat},
		{"the function does not where truncate parts it", `{{ mention "all" | truncate 14 | quote }}`, "<\u200busers/…", one},
		{"a label does not", `{{ .CommonLabels.all | quote }}`, "<\u200busers/all>", one},
		{"a label does not beside the function", `{{ print .CommonLabels.all (mention "1") .CommonLabels.all | quote }}`, "<\u200busers/all><users/1><\u200busers/all>", one},
		{"a label does not without quote", `{{ .CommonLabels.all }}`, "<\u200busers/all>", one},
		{"a label does not with raw", `{{ raw .CommonLabels.all | quote }}`, "<\u200busers/all>", one},
		{"a label does not in capitals", `{{ .CommonLabels.all | toUpper | quote }}`, "<\u200bUSERS/ALL>", one},
		{"a label does not behind the template's bracket", `'<{{ .CommonLabels.end }}'`, "<\u200busers/all>", one},
		{"a label does not with characters that are taken out", `{{ .CommonLabels.control | quote }}`, "<\u200busers/all>", one},
		{"a label does not with characters for private use", `{{ .CommonLabels.private | quote }}`, "<\u200busers/all\ue001>", one},
		{"a label does not in escapes of JSON", `"{{ .CommonLabels.escaped }}"`, "<\u200busers/all>", one},
		{"a label does not in base64", `{{ .CommonLabels.encoded | base64decode | quote }}`, "<\u200busers/all>", one},
		{"the template's own text does not", `'<users/all> {{ .Status }}'`, "<\u200busers/all> firing", one},
		{"a template without actions does not", `'<users/all>'`, "<\u200busers/all>", one},
		{"a link stays one", `'<https://x.example|x> < {{ .Status }}'`, "<https://x.example|x> < firing", one},
	} {
		got := documents(t, `{{ define "x" }}{{ .CommonLabels.all }} {{ mention .CommonLabels.oncall }}{{ end -}}
text: `+c.value+`
fallbackText: `+c.value, c.one)
		sound(t, got)
		if m := got.Messages[0]; m.Text != c.want || m.FallbackText != c.want || len(got.Failures) > 0 {
			t.Errorf("%s: text = %q, fallbackText = %q, %v, want %q", c.name, m.Text, m.FallbackText, got.Failures, c.want)
		}
	}
}

// TestAMentionElsewhereInAWholeMessageIsText has mentions where Chat notifies
// nobody, and where a failure shows them.
func TestAMentionElsewhereInAWholeMessageIsText(t *testing.T) {
	t.Parallel()
	one := oneAlert(t, nil, nil)
	got := documents(t, `{"text": {{ mention "1" | quote }}, "cardsV2": [{"card": {
		"header": {"title": {{ printf "to %s" (mention "1") | quote }}},
		"sections": [{"widgets": [{"textParagraph": {"text": {{ mention "1" | html | quote }}}}]}]}}]}`, one)
	sound(t, got)
	if len(got.Failures) > 0 {
		t.Fatal(got.Failures)
	}
	m := got.Messages[0]
	paragraph := m.CardsV2[0].Card.Sections[0].Widgets[0].TextParagraph.Text
	if title := m.CardsV2[0].Card.Header.Title; title != "to <users/1>" || paragraph != "&lt;users/1&gt;" || m.Text != "<users/1>" {
		t.Errorf("title = %q, paragraph = %q, text = %q, want the mention as it is written", title, paragraph, m.Text)
	}
	if m.FallbackText != "to <\u200busers/1>" {
		t.Errorf("fallbackText = %q, want a text that mentions nobody", m.FallbackText)
	}
	for _, template := range []string{`tetx: {{ mention "1" | quote }}`, `markupSyntax: {{ mention "1" | quote }}`, `a: b: {{ mention "1" | quote }}`} {
		got := documents(t, template, one)
		if len(got.Failures) != 1 || strings.Contains(got.Failures[0].Err.Error()+got.Failures[0].Near, "\ue000") || !strings.Contains(got.Failures[0].Near, "users/1") {
			t.Errorf("%s: Failures = %+v, want one that shows the mention as it is written", template, got.Failures)
		}
	}
}

func TestAWholeMessageInYAML(t *testing.T) {
	t.Parallel()
	one := oneAlert(t, map[string]string{"x": "a: \"b\" # c\n- {{ d }} \t<users/all>"}, nil)
	got := documents(t, `
text: {{ quote .CommonLabels.x }}
fallbackText: short
cardsV2:
- card:
    header: {title: "{{ severityIcon . }}", subtitle: yes}
    sections:
    - collapsible: true
      uncollapsibleWidgetsCount: 1
      widgets:
      {{- range .Alerts }}
      - decoratedText:
          topLabel: {{ quote .Labels.severity }}
          text: {{ quote .Labels.alertname }}
          bottomLabel: ~
      {{- end }}
`, one)
	sound(t, got)
	if len(got.Failures) > 0 {
		t.Fatal(got.Failures)
	}
	m := got.Messages[0]
	if want := "a: \"b\" # c\n- {{ d }}  <\u200busers/all>"; m.Text != want {
		t.Errorf("text = %q, want %q", m.Text, want)
	}
	card := m.CardsV2[0].Card
	if card.Header.Subtitle != "yes" || !card.Sections[0].Collapsible || card.Sections[0].Widgets[0].DecoratedText.Text != "InstanceDown" {
		t.Errorf("card = %+v, want what the document says", card)
	}
}
