package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"alertchat/receiver/config"
)

const templatesPage = "../../docs/templates.md"

// block is a fenced block of a page.
type block struct {
	language string
	lines    []string
	line     int // of the page, where the text begins
}

// blocksOf returns the fenced blocks of a page.
func blocksOf(page string) (all []block) {
	open := false
	for i, line := range strings.Split(page, "\n") {
		switch language, fence := strings.CutPrefix(line, "```"); {
		case fence && !open:
			all = append(all, block{language: language, line: i + 2})
			open = true
		case fence:
			open = false
		case open:
			last := &all[len(all)-1]
			last.lines = append(last.lines, line)
		}
	}
	return all
}

// namedFile finds the name that the first line of a block gives its text.
var namedFile = regexp.MustCompile(`^(?:# |\{\{- /\* )([\w./]+)`)

// TestTheExamplesOfTheTemplatesPage writes the page's files, runs its commands
// one after the other, and compares what they print. With -update it puts what
// they print into the page.
func TestTheExamplesOfTheTemplatesPage(t *testing.T) {
	text, err := os.ReadFile(templatesPage)
	if err != nil {
		t.Fatal(err)
	}
	page, err := filepath.Abs(templatesPage)
	if err != nil {
		t.Fatal(err)
	}
	inFolder(t)
	updated := string(text)
	untried := 0 // the line of a file that no command has used yet
	for _, b := range blocksOf(string(text)) {
		content := strings.Join(b.lines, "\n") + "\n"
		switch b.language {
		case "json":
			write(t, "payload.json", content)
		case "yaml", "gotemplate":
			name := namedFile.FindStringSubmatch(content)
			if name == nil {
				t.Errorf("line %d: the first line does not name the file", b.line)
				continue
			}
			write(t, name[1], content)
			if b.language == "yaml" && untried > 0 {
				t.Errorf("line %d: no command tries the config", untried)
			}
			if b.language == "yaml" {
				untried = b.line
			}
		case "console":
			got := transcript(t, b)
			if got != content {
				t.Errorf("line %d: the page says\n%s\nbut it is\n%s", b.line, content, got)
			}
			updated = strings.Replace(updated, "```console\n"+content+"```", "```console\n"+got+"```", 1)
			untried = 0
		default:
			t.Errorf("line %d: nothing runs a block of %q", b.line, b.language)
		}
	}
	if untried > 0 {
		t.Errorf("line %d: no command tries the config", untried)
	}
	if *updateScripts {
		if err := os.WriteFile(page, []byte(updated), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// inFolder makes a new folder, with the file of a webhook's URL, the one to work in.
func inFolder(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	write(t, "ops.url", "https://chat.googleapis.com/v1/spaces/A/messages?key=k0k0k0&token=t0t0t0\n")
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// transcript runs the commands of a block and returns it with what they print.
func transcript(t *testing.T, b block) string {
	t.Helper()
	var out strings.Builder
	for i, line := range b.lines {
		command, ok := strings.CutPrefix(line, "$ alertchat ")
		if !ok {
			if i == 0 {
				t.Errorf("line %d: want a command of alertchat", b.line)
			}
			continue
		}
		command, path, _ := strings.Cut(command, " | jq -r ")
		var stdout, stderr bytes.Buffer
		run(t.Context(), strings.Fields(command), environment{stdout: &stdout, stderr: &stderr, notify: func(chan<- os.Signal) {}})
		fmt.Fprintf(&out, "%s\n", line)
		for document := range strings.Lines(stdout.String()) {
			if path == "" {
				out.WriteString(document)
				continue
			}
			var v any
			if err := json.Unmarshal([]byte(document), &v); err != nil {
				t.Fatalf("line %d: %v", b.line, err)
			}
			for _, found := range jq(t, v, strings.Trim(path, "'")) {
				fmt.Fprintf(&out, "%v\n", found)
			}
		}
		out.WriteString(stderr.String())
	}
	return out.String()
}

var jqStep = regexp.MustCompile(`^(?:\.(\w+)|\[(\d*)\])`)

// jq does of jq what the page needs: fields, indices, and all of a list.
func jq(t *testing.T, v any, path string) []any {
	t.Helper()
	if path == "" {
		return []any{v}
	}
	step := jqStep.FindStringSubmatch(path)
	if step == nil {
		t.Fatalf("jq: %q is more than this test knows", path)
	}
	rest := path[len(step[0]):]
	if step[1] != "" {
		object, _ := v.(map[string]any)
		return jq(t, object[step[1]], rest)
	}
	list, _ := v.([]any)
	if step[2] != "" {
		i, err := strconv.Atoi(step[2])
		if err != nil || i >= len(list) {
			return []any{nil}
		}
		return jq(t, list[i], rest)
	}
	var all []any
	for _, item := range list {
		all = append(all, jq(t, item, rest)...)
	}
	return all
}

// exampleRow is a row of a table whose last cells are an example and what it
// puts out.
var exampleRow = regexp.MustCompile("(?m)^\\| .* \\| `(\\{\\{.*\\}\\})` \\| `(.*)` \\|$")

// TestTheTablesOfTheTemplatesPage renders each example of a table as a text.
func TestTheTablesOfTheTemplatesPage(t *testing.T) {
	text, err := os.ReadFile(templatesPage)
	if err != nil {
		t.Fatal(err)
	}
	inFolder(t)
	for _, b := range blocksOf(string(text)) {
		if b.language == "json" {
			write(t, "payload.json", strings.Join(b.lines, "\n"))
		}
	}
	rows := exampleRow.FindAllStringSubmatch(string(text), -1)
	if len(rows) < 20 {
		t.Fatalf("%d rows with an example, want those of two tables", len(rows))
	}
	for _, row := range rows {
		example := strings.ReplaceAll(row[1], `\|`, "|")
		config, err := json.Marshal(map[string]any{"spaces": []any{map[string]any{
			"name": "ops", "webhook_url_file": "ops.url", "card": "none", "thread": "none", "text": example,
		}}})
		if err != nil {
			t.Fatal(err)
		}
		write(t, "config.yml", string(config))
		out, errs, code := alertchat(t, "render", "--space=ops", "payload.json")
		var m struct {
			Text string `json:"text"`
		}
		if err := json.Unmarshal([]byte(out), &m); code != exitOK || err != nil || m.Text != row[2] {
			t.Errorf("%s puts out %q, the page says %q; %s", example, m.Text, row[2], errs)
		}
	}
}

// TestTheLinksOfTheTemplatesPage finds each heading and file that it links to.
func TestTheLinksOfTheTemplatesPage(t *testing.T) {
	text, err := os.ReadFile(templatesPage)
	if err != nil {
		t.Fatal(err)
	}
	headings := map[string]bool{}
	for _, h := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(text), -1) {
		headings["#"+strings.ReplaceAll(strings.ToLower(h[1]), " ", "-")] = true
	}
	for _, link := range regexp.MustCompile(`\]\(([^)]*)\)`).FindAllStringSubmatch(string(text), -1) {
		switch to := link[1]; {
		case strings.HasPrefix(to, "https://"):
		case strings.HasPrefix(to, "#"):
			if !headings[to] {
				t.Errorf("no heading is %s", to)
			}
		default:
			file, _, _ := strings.Cut(to, "#") // headings are for TestLinksOfTheDocumentsLeadSomewhere
			if _, err := os.Stat(filepath.Join(filepath.Dir(templatesPage), file)); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestTheConfigsWithAnAppAreRight loads each config with an app that the pages
// show, with the files that it names.
func TestTheConfigsWithAnAppAreRight(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"other.url", "chat-app.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for page, want := range map[string]int{"../../README.md": 1, "../../docs/chat-app.md": 2} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, b := range blocksOf(string(text)) {
			content := strings.Join(b.lines, "\n") + "\n"
			if b.language != "yaml" || !strings.Contains(content, "app: ") && !strings.Contains(content, "app:\n") {
				continue
			}
			found++
			c, err := config.Parse(page, []byte(content), dir, config.Options{})
			if err != nil {
				t.Errorf("line %d of the page: %v", b.line, err)
				continue
			}
			if app := c.Spaces[0].App; app == nil || c.Spaces[0].Updates != config.Edit {
				t.Errorf("%s: line %d: the first space is no app that edits: %+v", page, b.line, c.Spaces[0])
			}
		}
		if found != want {
			t.Errorf("%s: %d configs with an app, want %d", page, found, want)
		}
	}
}
