package render_test

import (
	"errors"
	"strings"
	"testing"

	"alertchat/receiver/render"
)

func TestAFaultOfAFileHasItsLineAndColumn(t *testing.T) {
	long := strings.Repeat("x", 12)
	tests := []struct{ name, text, want string }{
		{"a function", "a\n  {{ shout .Status }}", `f:2:6: function "shout" not defined; docs/reference.md lists the functions`},
		{"a function within a longer name", "{{ printf (pri) }}", `f:1:12: function "pri" not defined; docs/reference.md lists the functions`},
		{"a function that an action before begins with", "{{ printf .Status }}{{ pri }}", `f:1:24: function "pri" not defined; docs/reference.md lists the functions`},
		{"a function after its name as text", "pri {{ pri }}", `f:1:8: function "pri" not defined; docs/reference.md lists the functions`},
		{"a function after its name again and again", "{{ printf \"" + strings.Repeat("e ", 50) + "\" | e }}", `f:1:116: function "e" not defined; docs/reference.md lists the functions`},
		{"a function with a long name", "{{ " + long + " }}", `f:1:4: function "` + long + `" not defined; docs/reference.md lists the functions`},
		{"a long word", "{{ if eq .A ." + long + " := }}", `f:1:27: unexpected ":=" in operand`},
		{"a word of which the error has the beginning", "{{ template " + long + " }}", `f:1:13: unexpected "xxxxxxxxxx"... in template clause`},
		{"the second of two lines of an action", "{{ .Status\n | shout }}", `f:2:4: function "shout" not defined; docs/reference.md lists the functions`},
		{"a variable", "{{ $a := 1 }}\n{{ $ab }}", `f:2:4: undefined variable "$ab"`},
		{"a brace", "{{ .Status }\n{{ .Status }}", `f:1:12: unexpected "}" in operand`},
		{"an action without an end", "a {{ .Status", "f:1:3: unclosed action: }} is missing"},
		{"an action without an end above others", "a\n {{ .Status\n\n", "f:2:2: unclosed action: }} is missing"},
		{"a string without an end", "{{ \"ok\" }} {{ \"bad }}\n{{ .Status }}", "f:1:12: unterminated quoted string"},
		{"a raw string without an end", "{{ .Status }}\n{{ `bad }}\n{{ .Status }}\n", "f:2:1: unterminated raw quoted string"},
		{"a comment without an end", "{{/* ok */}}\n {{/* bad }}\n{{ .Status }}", "f:2:2: unclosed comment"},
		{"a sign, in bytes", "ä {{ .Status # }}", `f:1:15: unexpected "#" in operand`},
		{"after an action that begins one as text", "{{ \"{{\" }}{{ \"{{\" }}\n{{ \"{{\" }}{{ shout }}{{ \"{{\" }}", `f:2:14: function "shout" not defined; docs/reference.md lists the functions`},
		{"an end that is text", "{{ \"{{\" }}\n{{ .Status \"{{ }}", "f:2:1: unterminated quoted string"},
		{"no condition", "a {{ if }}{{ end }}", "f:1:3: missing value for if"},
		{"an end of nothing", "{{ end }}\n{{ if .Status }}", "f:1:1: unexpected {{end}}"},
		{"a block without an end", "{{ if .A }}{{ end }}\n {{- range .Alerts }}\n{{ with .B }}{{ else }}{{ end }}\n", "f:2:2: {{end}} is missing, of this block or of one in it"},
		{"a block without an end before one in a comment", "{{ if .A }}{{/* {{ end */}}", "f:1: {{end}} is missing"},
		{"a block in a comment before one without an end", "{{/* {{ if }} {{ end }} {{ if }} */}}{{ if .A }}", "f:1: {{end}} is missing"},
		{"two definitions", "{{ define \"a\" }}x{{ end }}\n{{ define \"a\" }}y{{ end }}", `f:2:18: template: multiple definition of template "a"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := render.Load(render.Options{Files: []render.File{{Name: "f", Text: test.text}}})
			var fault *render.Fault
			if !errors.As(err, &fault) {
				t.Fatalf("loading %q gives %v, want a fault", test.text, err)
			}
			if got := fault.Error(); got != test.want {
				t.Errorf("loading %q gives\n%s, want\n%s", test.text, got, test.want)
			}
		})
	}
}

func FuzzFault(f *testing.F) {
	for _, seed := range []string{
		"a\n  {{ shout .Status }}", "{{ .Status }\n{{ .Status }}", "a\n {{ .Status\n\n", "{{ `bad }}\n{{ .Status }}\n",
		"{{/* {{ if }} {{ end }} {{ if */}}\n{{ \"{{\" }}{{ end }}", "{{ define \"a\" }}x{{ end }}{{ define \"a\" }}y{{ end }}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, err := render.Load(render.Options{Files: []render.File{{Name: "f", Text: text}}})
		var fault *render.Fault
		if !errors.As(err, &fault) {
			return
		}
		lines := strings.Split(text, "\n")
		if fault.Line < 0 || fault.Line > len(lines) {
			t.Fatalf("%q has %d lines, and a fault in line %d", text, len(lines), fault.Line)
		}
		if fault.Column < 0 || fault.Line == 0 && fault.Column > 0 || fault.Column > 0 && fault.Column > len(lines[fault.Line-1]) {
			t.Fatalf("%q has a fault in line %d, column %d", text, fault.Line, fault.Column)
		}
	})
}
