package render_test

import (
	"slices"
	"testing"

	"alertchat/receiver/incident"
	"alertchat/receiver/render"
)

func TestAFailureTellsWhereItIs(t *testing.T) {
	t.Parallel()
	const missing = "; docs/reference.md lists those there are"
	file := render.File{Name: "sub/mine.tmpl", Text: "{{ define \"mine\" }}\n  {{ .Nothing }}{{ end }}\n{{ define \"outer\" }}{{ include \"mine\" . }}{{ end }}" +
		"{{ define \"deep\" }}\n{{ include \"deep\" . }}{{ end }}{{ define \"long\" }}\n\n{{ range 1000000000 }}{{ end }}{{ end }}"}
	for _, c := range []struct {
		name, text   string
		source       string
		line, column int
		cause        string
	}{
		{"in the string itself", "a\nb {{ .Nothing }}", "spaces[ops].text", 2, 6, "<.Nothing>: there is no field Nothing here" + missing},
		{"in a template that it calls", `{{ template "mine" . }}`, "sub/mine.tmpl", 2, 6, "<.Nothing>: there is no field Nothing here" + missing},
		{"in one that it includes", `{{ include "mine" . }}`, "sub/mine.tmpl", 2, 6, "<.Nothing>: there is no field Nothing here" + missing},
		{"two includes away", `{{ include "outer" . }}`, "sub/mine.tmpl", 2, 6, "<.Nothing>: there is no field Nothing here" + missing},
		{"in a function", `{{ index .Alerts 9 }}`, "spaces[ops].text", 1, 4, "<index .Alerts 9>: error calling index: index out of range: 9"},
		{"in a field of an alert", `{{ (index .Alerts 0).Nothing }}`, "spaces[ops].text", 1, 19, "<0>: there is no field Nothing here" + missing},
		{"in a built-in template", `{{ template "chat.labels" "x" }}`, "chat.tmpl", 86, 24, "<.SortedPairs>: there is no field SortedPairs here" + missing},
		{"in a loop that is included", `{{ include "long" . }}`, "sub/mine.tmpl", 6, 10, "it does more than 100000 steps: does a loop or recursion not end?"},
	} {
		got := textOf(t, c.text, oneAlert(t, nil, nil), file)
		if len(got.Failures) != 1 {
			t.Errorf("%s: failures %v, want one", c.name, got.Failures)
			continue
		}
		f := got.Failures[0]
		if f.Source != c.source || f.Line != c.line || f.Column != c.column || f.Cause != c.cause {
			t.Errorf("%s: %s:%d:%d: %s\nwant %s:%d:%d: %s", c.name, f.Source, f.Line, f.Column, f.Cause, c.source, c.line, c.column, c.cause)
		}
	}
	got := textOf(t, `{{ include "deep" . }}`, oneAlert(t, nil, nil), file)
	if f := got.Failures[0]; f.Source != "sub/mine.tmpl" || f.Line != 4 {
		t.Errorf("an endless include fails in %s:%d, want sub/mine.tmpl:4", f.Source, f.Line)
	}
}

func TestWhatABrokenFileDefinesIsNotMissingToo(t *testing.T) {
	t.Parallel()
	set, err := render.Load(render.Options{Files: []render.File{{Name: "a.tmpl", Text: `{{ define "mine" }}{{ if }}`}}})
	if err == nil || set == nil {
		t.Fatalf("Load() = %v, %v, want both", set, err)
	}
	if _, err := set.Renderer(render.Space{Name: "ops", Text: `{{ template "mine" . }}`}); err != nil {
		t.Errorf("a consequence of the fault is told as one: %v", err)
	}
	if _, err := set.Renderer(render.Space{Name: "ops", Text: `{{ template "other" . }}`}); err == nil {
		t.Error("a template that nobody defines is not told")
	}
}

func TestLinksSaysWhichButtonsAreShown(t *testing.T) {
	t.Parallel()
	r := renderer(t, func(s *render.Space) {
		s.Card.Buttons = []render.Button{
			{Text: "a", URL: "https://example.org/{{ .Status }}"}, {Text: "b", URL: "{{ .CommonAnnotations.none }}"}, {Text: "c", URL: "/c"},
		}
	})
	got := r.Render([]incident.Telling{oneAlert(t, nil, nil)}, noon())
	if want := []string{"https://example.org/firing", "", ""}; !slices.Equal(got.Links, want) {
		t.Errorf("Links = %q, want %q", got.Links, want)
	}
	if got := textOf(t, "x", oneAlert(t, nil, nil)); got.Links != nil {
		t.Errorf("Links = %q of a text, want none", got.Links)
	}
}

func TestWordsAreTheLabelsAndAnnotationsThatTemplatesName(t *testing.T) {
	t.Parallel()
	file := render.File{Name: "f.tmpl", Text: `{{ define "f" }}{{ if eq .Alert.Labels.inner "value" }}{{ $.CommonAnnotations.outer | toUpper }}{{ end }}{{ end }}`}
	r := renderer(t, func(s *render.Space) {
		s.Text = `{{ range $a := .Alerts }}{{ $a.Annotations.mine }}{{ end }}{{ index .CommonLabels "indexed" }}{{ (index .Alerts 0).Labels.chained }}{{ "no name" }}`
	}, file)
	got := r.Words()
	for _, want := range []string{"chained", "indexed", "inner", "mine", "outer", "runbook_url"} {
		if !slices.Contains(got, want) {
			t.Errorf("Words() = %q, want %q among them", got, want)
		}
	}
	if slices.Contains(got, "no name") || slices.Contains(got, "namespace") || !slices.IsSorted(got) {
		t.Errorf("Words() = %q, want no other strings, nothing of the built-in templates, and order", got)
	}
}
