package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// folder writes files, names and texts in turn, and makes their folder the
// current one.
func folder(t *testing.T, files ...string) {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, files[i]), []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
}

const googleURL = "https://chat.googleapis.com/v1/spaces/AAAA/messages?key=CANARY-key&token=CANARY-token"

func TestCheckCommand(t *testing.T) {
	const right = "spaces:\n  - {name: ops, webhook_url: '" + googleURL + "'}\n"
	const odd = "spaces:\n  - {name: ops, webhook_url: '" + googleURL + "', card: none, max_parts: 2}\n"
	const wrong = "spaces:\n  - {name: ops, webhook_url: '" + googleURL + "', card: none, max_parts: 2, text: '{{ .Nothing }}'}\n"
	for _, c := range []struct {
		name, config     string
		code             int
		stdout, stderr   string
		faults, warnings int
	}{
		{"a right config", right, exitOK, "config.yml: 1 space, 11 samples rendered: no faults\n", "", 0, 0},
		{
			"a config with a warning", odd, exitOK,
			"warning: config.yml:2: spaces[0].max_parts: has no effect beside card: none, which is one message\n" +
				"config.yml: 1 space, 11 samples rendered: no faults, 1 warning\n", "", 0, 1,
		},
		{
			"a config with a fault", wrong, exitFailed,
			"config.yml:2: spaces[0].text: <.Nothing>: there is no field Nothing here; docs/reference.md lists those there are (sample firing)\n" +
				"warning: config.yml:2: spaces[0].max_parts: has no effect beside card: none, which is one message\n",
			"alertchat: config.yml: 1 space, 11 samples rendered: 1 fault, 1 warning\n", 1, 1,
		},
		{
			"a config that cannot be loaded", "spaces: []\n", exitFailed,
			"config.yml:1: spaces: want at least one space\n", "alertchat: config.yml: 1 fault\n", 1, 0,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			folder(t, "config.yml", c.config)
			out, errs, code := alertchat(t, "check")
			if out != c.stdout || errs != c.stderr || code != c.code {
				t.Errorf("check prints\n%s%swith code %d, want\n%s%swith code %d", out, errs, code, c.stdout, c.stderr, c.code)
			}
			asJSON, errs, code := alertchat(t, "check", "--format=json")
			var report struct {
				Faults, Warnings []struct {
					File, Path, Message string
					Line, Column        int
				}
				Spaces []struct {
					Name, Place                     string
					Samples, Messages, LargestBytes int
				}
			}
			if err := json.Unmarshal([]byte(asJSON), &report); err != nil {
				t.Fatalf("%v: %s", err, asJSON)
			}
			if code != c.code || errs != c.stderr || len(report.Faults) != c.faults || len(report.Warnings) != c.warnings {
				t.Errorf("as JSON it prints\n%s%swith code %d", asJSON, errs, code)
			}
			if strings.Contains(asJSON, "null") {
				t.Errorf("a list is null: %s", asJSON)
			}
			for _, f := range append(report.Faults, report.Warnings...) {
				if f.File != "config.yml" || f.Line == 0 || f.Path == "" || f.Message == "" {
					t.Errorf("%+v has no place", f)
				}
			}
			if strings.Contains(out+errs+asJSON, "CANARY") {
				t.Errorf("a secret is shown: %s%s%s", out, errs, asJSON)
			}
		})
	}
}

func TestRoutesCommand(t *testing.T) {
	folder(t, "config.yml", `spaces:
  - {name: ops, webhook_url: '`+googleURL+`'}
  - {name: db, webhook_url: '`+googleURL+`'}
route:
  space: ops
  routes:
    - matchers: ['severity="warning"']
      space: db
      continue: true
    - receivers: ['sam.*', other]
      routes:
        - matchers: ['service=~"cart|search"', 'severity!=info']
          space: db
`, "two.json", `{"version":"4","receiver":"x","alerts":[{"labels":{"b":"say \"hi\"\n","a":"1"}},{"labels":{"severity":"warning"}}]}`)
	for _, c := range []struct{ name, source, want string }{
		{"a sample", "--sample=group", `{alertname="HighErrorRate", cluster="prod-eu-1", namespace="shop", service="cart", severity="warning"}  db  (route > routes[0] {matchers: severity="warning"})
{alertname="HighErrorRate", cluster="prod-eu-1", namespace="shop", service="cart", severity="warning"}  db  (route > routes[1] {receivers: sam.*, other} > routes[0] {matchers: service=~"cart|search", severity!="info"})
{alertname="HighErrorRate", cluster="prod-eu-1", namespace="shop", service="checkout", severity="warning"}  db  (route > routes[0] {matchers: severity="warning"})
{alertname="HighErrorRate", cluster="prod-eu-1", namespace="shop", service="checkout", severity="warning"}  ops  (route > routes[1] {receivers: sam.*, other})
{alertname="HighErrorRate", cluster="prod-eu-1", namespace="shop", service="search", severity="warning"}  db  (route > routes[0] {matchers: severity="warning"})
{alertname="HighErrorRate", cluster="prod-eu-1", namespace="shop", service="search", severity="warning"}  db  (route > routes[1] {receivers: sam.*, other} > routes[0] {matchers: service=~"cart|search", severity!="info"})
`},
		{"a file", "two.json", `{a="1", b="say \"hi\"\n"}  ops  (route)
{severity="warning"}  db  (route > routes[0] {matchers: severity="warning"})
`},
		{"standard input", "-", `{team="web"}  ops  (route)
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, errs strings.Builder
			stdin := strings.NewReader(`{"version":"4","receiver":"x","alerts":[{"labels":{"team":"web"}}]}`)
			code := run(t.Context(), []string{"routes", c.source}, environment{stdin: stdin, stdout: &out, stderr: &errs})
			if out.String() != c.want || code != exitOK {
				t.Errorf("routes prints\n%s%swith code %d, want\n%s", out.String(), errs.String(), code, c.want)
			}
		})
	}
}
