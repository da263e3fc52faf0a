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
	if want := "a: \"b\" # c\n- {{ d }}  <users/all>"; m.Text != want {
		t.Errorf("text = %q, want %q", m.Text, want)
	}
	card := m.CardsV2[0].Card
	if card.Header.Subtitle != "yes" || !card.Sections[0].Collapsible || card.Sections[0].Widgets[0].DecoratedText.Text != "InstanceDown" {
		t.Errorf("card = %+v, want what the document says", card)
	}
}
