package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"

	"alertchat/receiver/alert"
	"alertchat/receiver/incident"
	rendering "alertchat/receiver/render"
	"alertchat/receiver/sample"
	"alertchat/templates"
)

const referenceFile = "../../docs/reference.md"

// reference returns the page. What is generated in it is held to the code by
// [TestReferenceIsThatOfTheCode].
func reference(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// section returns what stands below a heading, up to the next one of its level.
func section(t *testing.T, heading string) string {
	t.Helper()
	_, after, ok := strings.Cut(reference(t), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("the reference has no section %q", heading)
	}
	text, _, _ := strings.Cut(after, "\n## ")
	return text
}

func TestReferenceIsThatOfTheCode(t *testing.T) {
	before := reference(t)
	text := before
	for _, block := range []struct {
		name string
		text string
	}{
		{"flags", flagsBlock(t)},
		{"config", configBlock(t)},
		{"data", dataBlock(t)},
		{"templates", templatesBlock(t)},
		{"metrics", metricsBlock(t)},
	} {
		begin, end := "<!-- begin: "+block.name+" -->\n", "<!-- end: "+block.name+" -->"
		head, rest, ok := strings.Cut(text, begin)
		_, tail, closed := strings.Cut(rest, end)
		if !ok || !closed {
			t.Fatalf("the reference has no block %s", block.name)
		}
		text = head + begin + strings.TrimSpace(block.text) + "\n" + end + tail
	}
	if text == before {
		return
	}
	if !*updateScripts {
		t.Fatalf("docs/reference.md is not up to date; run go test ./cmd/alertchat -run Reference -update (-is +want):\n%s", cmp.Diff(before, text))
	}
	if err := os.WriteFile(referenceFile, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// cell makes a text fit a table.
func cell(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", `\|`)
}

func flagsBlock(t *testing.T) string {
	t.Helper()
	app, _ := commandLine(environment{stdout: io.Discard, stderr: io.Discard}, new(promslog.Config), func(int) {})
	m := app.Model()
	var b strings.Builder
	b.WriteString("### Every command\n\n")
	writeFlags(&b, m.FlagGroupModel, nil)
	for _, c := range m.FlattenedCommands() {
		if c.Hidden {
			continue
		}
		usage := "alertchat " + c.FullCommand + " " + c.FlagSummary()
		if len(c.Args) > 0 {
			usage += " " + c.ArgSummary()
		}
		help := c.Help
		if c.HelpLong != "" {
			help = c.HelpLong
		}
		fmt.Fprintf(&b, "\n### alertchat %s\n\n    %s\n\n%s\n\n", c.FullCommand, usage, help)
		writeFlags(&b, c.FlagGroupModel, c.ArgGroupModel)
	}
	return b.String()
}

func writeFlags(b *strings.Builder, flags *kingpin.FlagGroupModel, args *kingpin.ArgGroupModel) {
	b.WriteString("| flag | default | meaning |\n| --- | --- | --- |\n")
	row := func(name, byDefault, help string) {
		if byDefault != "" {
			byDefault = "`" + byDefault + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, cell(byDefault), cell(help))
	}
	if args != nil {
		for _, a := range args.Args {
			row("<"+a.Name+">", strings.Join(a.Default, ", "), a.Help)
		}
	}
	for _, f := range flags.Flags {
		if f.Hidden {
			continue
		}
		name := "--" + f.Name
		if f.Short != 0 {
			name = "-" + string(f.Short) + "`, `" + name
		}
		row(name, strings.Join(f.Default, ", "), f.Help)
	}
}

// TestHelpIsSentences holds what alertchat itself says of its commands and
// flags to one form.
func TestHelpIsSentences(t *testing.T) {
	app, _ := commandLine(environment{stdout: io.Discard, stderr: io.Discard}, new(promslog.Config), func(int) {})
	m := app.Model()
	helps := map[string]string{"alertchat": m.Help}
	for _, c := range m.FlattenedCommands() {
		helps[c.Name] = c.Help
		for _, f := range c.Flags {
			if !strings.HasPrefix(f.Name, "web.") { // those are exporter-toolkit's
				helps[c.Name+" --"+f.Name] = f.Help
			}
		}
		for _, a := range c.Args {
			helps[c.Name+" <"+a.Name+">"] = a.Help
		}
	}
	sentences := regexp.MustCompile(`(?s)^[A-Z].*[A-Za-z)]\.$`)
	for name, help := range helps {
		if !sentences.MatchString(help) {
			t.Errorf("%s: the help is no sentence: %q", name, help)
		}
	}
}

// dataBlock lists the fields of the data that templates see, with the comments
// that they have in the code.
func dataBlock(t *testing.T) string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../receiver/render/data.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| field | type | meaning |\n| --- | --- | --- |\n")
	writeFields(t, &b, file, "Data", ".")
	return b.String()
}

func writeFields(t *testing.T, b *strings.Builder, file *ast.File, name, prefix string) {
	t.Helper()
	var found *ast.StructType
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.Name == name {
			found, _ = spec.Type.(*ast.StructType)
		}
		return found == nil
	})
	if found == nil {
		t.Fatalf("data.go has no struct %s", name)
	}
	for _, f := range found.Fields.List {
		meaning := f.Comment.Text()
		if meaning == "" {
			meaning = f.Doc.Text()
		}
		field := prefix + f.Names[0].Name
		kind := types.ExprString(f.Type)
		if kind == "Incident" {
			writeFields(t, b, file, kind, field+".")
			continue
		}
		if meaning == "" {
			t.Errorf("%s has no comment in data.go", field)
		}
		words := map[string]string{
			"amtemplate.KV": "KV", "amtemplate.Alerts": "Alerts", "amtemplate.Alert": "Alert",
			"string": "string", "int": "number", "uint64": "number", "time.Time": "time",
		}
		if words[kind] == "" {
			t.Errorf("%s: the reference has no word for the type %s", field, kind)
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", field, words[kind], cell(strings.TrimSuffix(meaning, ".\n")))
	}
}

// templatesBlock lists the built-in templates, with the comments that they have.
func templatesBlock(t *testing.T) string {
	t.Helper()
	text, err := fs.ReadFile(templates.FS, "chat.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| template | what it puts out |\n| --- | --- |\n")
	commented := regexp.MustCompile(`(?s)\{\{- /\*([^{]*?)\*/ -\}\}\s*\{\{- define "([^"]+)" -\}\}`).FindAllStringSubmatch(string(text), -1)
	if all := strings.Count(string(text), "{{- define "); len(commented) != all {
		t.Errorf("%d of %d built-in templates have a comment", len(commented), all)
	}
	for _, m := range commented {
		fmt.Fprintf(&b, "| `%s` | %s |\n", m[2], cell(m[1]))
	}
	return b.String()
}

// metricsBlock lists the metrics of a receiver that has delivered a message.
func metricsBlock(t *testing.T) string {
	t.Helper()
	config, _, letGo := hanging(t)
	close(letGo)
	s := startServe(t, config)
	s.post(t)
	var text string
	s.until(t, "the message is delivered", func() bool {
		resp, err := http.Get("http://" + s.address + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		text = string(body)
		return strings.Contains(text, "alertchat_last_success_timestamp_seconds{")
	})
	s.signals <- syscall.SIGTERM
	s.wait(t, 10*time.Second)

	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for name, f := range families {
		if !strings.HasPrefix(name, "alertchat_") {
			continue
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+l.GetName()+"`")
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %s |\n", name, strings.ToLower(f.GetType().String()), strings.Join(labels, ", "), cell(f.GetHelp())))
	}
	slices.Sort(rows)
	return "| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n" + strings.Join(rows, "")
}

// rows returns the cells of the tables in a text, without their heads.
func rows(text string) [][]string {
	var out [][]string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		cells := strings.Split(strings.Trim(strings.ReplaceAll(line, `\|`, "\x00"), "|"), "|")
		for i, c := range cells {
			cells[i] = strings.TrimSpace(strings.ReplaceAll(c, "\x00", "|"))
		}
		out = append(out, cells)
	}
	return out
}

// code returns what a cell shows as code.
func code(cell string) string {
	text := strings.TrimPrefix(strings.TrimSuffix(cell, "`"), "`")
	return strings.Trim(strings.TrimSuffix(strings.TrimPrefix(text, "` "), " `"), "`")
}

// TestReferenceShowsEveryFunction runs each example.
func TestReferenceShowsEveryFunction(t *testing.T) {
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	p := sample.All(noon)[0].Payload
	telling := incident.Telling{Group: p.Group(), Kind: incident.First, Payload: p, StartedAt: alert.Earliest(p.Alerts), ReceivedAt: noon, LatestAt: noon}
	set, err := rendering.Load(rendering.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for _, row := range rows(section(t, "Template functions")) {
		name, _, _ := strings.Cut(code(row[0]), " ")
		shown = append(shown, name)
		if len(row) != 4 {
			t.Errorf("%s: %d cells, want 4", name, len(row))
			continue
		}
		example, want := code(row[2]), code(row[3])
		if example == "" && name == "call" {
			continue // no data holds a function
		}
		if !strings.Contains(example, name) {
			t.Errorf("%s: the example does not call it: %s", name, example)
		}
		r, err := set.Renderer(rendering.Space{Name: "ops", Text: example})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := r.Render([]incident.Telling{telling}, noon)
		// Zero-width spaces part what Chat would take as syntax; nobody sees them.
		text := strings.ReplaceAll(got.Messages[0].Text, "\u200b", "")
		if len(got.Failures) > 0 || text != want {
			t.Errorf("%s: %s puts out %q, the reference shows %q (%v)", name, example, text, want, got.Failures)
		}
	}
	slices.Sort(shown)
	if diff := cmp.Diff(rendering.Functions(), shown); diff != "" {
		t.Errorf("the functions that are shown (-are +shown):\n%s", diff)
	}
}

// TestReferenceShowsAlertmanagersTypes looks for all that a template can ask of
// the data's values.
func TestReferenceShowsAlertmanagersTypes(t *testing.T) {
	text := section(t, "Template data")
	for _, typ := range []reflect.Type{
		reflect.TypeFor[template.Alert](), reflect.TypeFor[template.Alerts](), reflect.TypeFor[template.KV](),
		reflect.TypeFor[template.Pairs](), reflect.TypeFor[template.Pair](),
	} {
		var names []string
		for m := range typ.Methods() {
			if m.Name != "String" {
				names = append(names, m.Name)
			}
		}
		if typ.Kind() == reflect.Struct {
			for f := range typ.Fields() {
				names = append(names, f.Name)
			}
		}
		for _, name := range names {
			if !strings.Contains(text, "`."+name+"`") && !strings.Contains(text, "`."+name+" ") {
				t.Errorf("%s.%s is not in the reference", typ.Name(), name)
			}
		}
	}
}

// TestReferenceShowsTheAnswers makes each request of the table to a receiver.
func TestReferenceShowsTheAnswers(t *testing.T) {
	config, _, letGo := hanging(t)
	close(letGo)
	s := startServe(t, config)
	text := section(t, "HTTP")
	ask := func(method, path, body string) (status int, answer string) {
		req, err := http.NewRequest(method, "http://"+s.address+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := new(http.Client).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	requests := 0
	for _, row := range rows(text) {
		method, path, ok := strings.Cut(code(row[0]), " ")
		if !ok {
			continue
		}
		requests++
		path = strings.NewReplacer("{space}", "ops", "{id}", "1000000").Replace(path)
		want := http.StatusOK
		if strings.HasSuffix(path, "/retry") {
			want = http.StatusNotFound
		}
		if status, answer := ask(method, path, firing); status != want {
			t.Errorf("%s %s answers %d: %s", method, path, status, answer)
		}
	}
	if requests < 8 {
		t.Errorf("the reference shows %d requests", requests)
	}
	for _, c := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"no JSON", "POST", "/alertmanager", "x", http.StatusBadRequest},
		{"another version", "POST", "/alertmanager", strings.Replace(firing, `"4"`, `"5"`, 1), http.StatusBadRequest},
		{"no alerts", "POST", "/alertmanager", `{"version":"4","groupKey":"g","alerts":[]}`, http.StatusBadRequest},
		{"too large", "POST", "/alertmanager", strings.Repeat(" ", 32<<20+1), http.StatusRequestEntityTooLarge},
		{"another path", "GET", "/alerts", "", http.StatusNotFound},
		{"another method", "GET", "/alertmanager", "", http.StatusMethodNotAllowed},
	} {
		status, answer := ask(c.method, c.path, c.body)
		sentence := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(answer), `{"error":"`), `"}`)
		if status != c.status || !strings.Contains(text, strconv.Itoa(status)) || !strings.Contains(text, sentence) {
			t.Errorf("%s: %d %q, want %d and both in the reference", c.name, status, sentence, c.status)
		}
	}
	s.signals <- syscall.SIGTERM
	s.wait(t, 10*time.Second)
}

// TestReferenceShowsWhatTheLogSays holds the messages above info to the code,
// and those that are shown.
func TestReferenceShowsWhatTheLogSays(t *testing.T) {
	said := map[string]string{} // levels by message
	for _, folder := range []string{".", "../../receiver"} {
		err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if level, message := logged(n); message != "" {
					said[message] = level
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	shown := map[string]bool{}
	for _, row := range rows(section(t, "Logs")) {
		message := code(row[0])
		shown[message] = true
		if level, ok := said[message]; !ok || level != "" && !strings.Contains(row[1], level) {
			t.Errorf("the reference shows %q at %s; the code says %q", message, row[1], level)
		}
	}
	for message, level := range said {
		if (level == "warn" || level == "error") && !shown[message] {
			t.Errorf("the %s %q is not in the reference", level, message)
		}
	}
}

// logged returns the level and the message of a call that logs; the level is
// empty where it is a variable.
func logged(n ast.Node) (level, message string) {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return "", ""
	}
	at := 0
	switch f := call.Fun.(type) {
	case *ast.Ident:
		if f.Name != "log" && f.Name != "level" {
			return "", ""
		}
	case *ast.SelectorExpr:
		level = strings.ToLower(strings.TrimSuffix(f.Sel.Name, "Context"))
		if strings.HasSuffix(f.Sel.Name, "Context") {
			at = 1
		}
		if !slices.Contains([]string{"debug", "info", "warn", "error", "log"}, level) {
			return "", ""
		}
		if level == "log" {
			level, at = "", 2
		}
	default:
		return "", ""
	}
	if len(call.Args) <= at {
		return "", ""
	}
	literal, ok := call.Args[at].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", ""
	}
	message, err := strconv.Unquote(literal.Value)
	if err != nil {
		return "", ""
	}
	return level, message
}

// TestLinksOfTheDocumentsLeadSomewhere follows those within the project.
func TestLinksOfTheDocumentsLeadSomewhere(t *testing.T) {
	const root = "../.."
	documents, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Errorf("%v", err)
		}
		return string(text)
	}
	links := 0
	for _, document := range append(documents, filepath.Join(root, "README.md")) {
		for _, m := range regexp.MustCompile(`\]\(([^)\s:]+)\)`).FindAllStringSubmatch(read(document), -1) {
			links++
			file, heading, _ := strings.Cut(m[1], "#")
			target := document
			if file != "" {
				target = filepath.Join(filepath.Dir(document), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: the link %s: %v", document, m[1], err)
				continue
			}
			if heading != "" && !slices.Contains(headings(read(target)), heading) {
				t.Errorf("%s: the link %s: there is no such heading", document, m[1])
			}
		}
	}
	if links < 10 {
		t.Errorf("%d links were found", links)
	}
}

// headings returns the names by which links lead to the headings of a document.
func headings(text string) []string {
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(text, -1) {
		name := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		names = append(names, strings.ReplaceAll(name, " ", "-"))
	}
	return names
}
