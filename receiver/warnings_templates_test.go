package receiver_test

import (
	"strings"
	"testing"
)

func TestCheckWarnsOfTemplatesWithoutEffect(t *testing.T) {
	t.Parallel()
	const unused = ": no string of a space leads to it"
	for _, c := range []struct{ name, keys, template, want string }{
		{
			"a typo in the name of a built-in one", "timeout: 5s", "\n{{ define \"chat.titel\" }}{{ .Bogus }}{{ end }}",
			`mine.tmpl:2: no message uses the template "chat.titel"; did you mean chat.title?`,
		},
		{
			"a letter too few", "timeout: 5s", `{{ define "chat.sumary" }}{{ end }}`,
			`mine.tmpl:1: no message uses the template "chat.sumary"; did you mean chat.summary?`,
		},
		{
			"a built-in one that the space does not use", "card: none", `{{ define "chat.alert" }}x{{ end }}`,
			`mine.tmpl:1: no message uses the template "chat.alert"` + unused,
		},
		{"nothing of names that are like none", "timeout: 5s", `{{ define "mine" }}x{{ end }}{{ define "slack.default.title" }}x{{ end }}`, ""},
		{"nothing where it replaces a built-in one", "timeout: 5s", `{{ define "chat.title" }}x{{ end }}`, ""},
		{"nothing where a built-in one calls it", "timeout: 5s", `{{ define "chat.where" }}x{{ end }}`, ""},
		{"nothing where a string calls it", `text: '{{ template "mine" . }}'`, `{{ define "mine" }}x{{ end }}`, ""},
		{"nothing where another one calls it", "timeout: 5s", `{{ define "chat.title" }}{{ include "mine" . | toUpper }}{{ end }}{{ define "mine" }}x{{ end }}`, ""},
		{"nothing where it is called in brackets", `text: '{{ (dict "a" (include "mine" .)).a }}'`, `{{ define "mine" }}x{{ end }}`, ""},
		{"nothing where it is a block", "timeout: 5s", `{{ define "chat.title" }}{{ block "mine" . }}x{{ end }}{{ end }}`, ""},
		{"nothing where names are computed", `text: '{{ include (print "mi" "ne") . }}'`, `{{ define "mine" }}x{{ end }}{{ define "other" }}{{ end }}`, ""},
		{"nothing where alertchat calls it itself", "card: none\n    text: x", `{{ define "chat.digest" }}x{{ end }}{{ define "chat.reply" }}x{{ end }}{{ define "chat.title" }}x{{ end }}`, ""},
		{"nothing of what stands outside of definitions", "timeout: 5s", "a note {{ .Status }}", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := checked(t, oneSpace(c.keys), "mine.tmpl", c.template)
			if got := lines(r.Warnings); got != c.want || len(r.Faults) > 0 {
				t.Errorf("warnings:\n%s\nwant:\n%s\nfaults:\n%s", got, c.want, lines(r.Faults))
			}
		})
	}
}

// TestATemplateOfOneSpaceIsUsed: what one space does not use, another may.
func TestATemplateOfOneSpaceIsUsed(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"{name: a, text: '{{ template \"chat.titel\" . }}', ", "{name: a, "} {
		r := checked(t, "templates: [mine.tmpl]\nroute: {space: a, routes: [{matchers: [x=y], space: b}]}\nspaces:\n"+
			"  - "+text+"webhook_url: '"+webhookURL+"'}\n  - {name: b, webhook_url: '"+webhookURL+"'}\n",
			"mine.tmpl", `{{ define "chat.titel" }}x{{ end }}`)
		if used := strings.Contains(text, "chat.titel"); used != (len(r.Warnings) == 0) {
			t.Errorf("used: %t, warnings:\n%s", used, lines(r.Warnings))
		}
	}
}

func TestCheckWarnsOfGlobsThatMatchNoFile(t *testing.T) {
	t.Parallel()
	const none = ": matches no file; is it right, seen from the folder of the config file?"
	for _, c := range []struct{ name, globs, want string }{
		{"all match", "['*.tmpl', 'm[a-z]ne.tmpl', ./mine.tmpl, './*.tm?l']", ""},
		{"the only one does not", "['nowhere/*.tmpl']", "config.yml:1: templates[0]" + none},
		{"one of several does not", "[mine.tmpl, '*.tpl', '*.tmpl']", "config.yml:1: templates[1]" + none},
		{"an absolute one does not", "['/nowhere/*.tmpl']", "config.yml:1: templates[0]" + none},
		{"there are none", "[]", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(oneSpace("timeout: 5s"), "[mine.tmpl]", c.globs, 1)
			r := checked(t, text, "mine.tmpl", "")
			if got := lines(r.Warnings); got != c.want || len(r.Faults) > 0 {
				t.Errorf("warnings:\n%s\nwant:\n%s\nfaults:\n%s", got, c.want, lines(r.Faults))
			}
		})
	}
}
