package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	promconfig "github.com/prometheus/common/config"

	"alertchat/receiver/config"
	"alertchat/receiver/route"
)

// configKey is a key of the config as config.example.yml shows it: there alone
// stands what the keys mean.
type configKey struct {
	path    string // "spaces[].name"
	value   string
	items   []string // of a list with a line for each
	meaning string
	depth   int // 0 at the top
}

// alternatives are the keys that the example shows behind a #, because they
// stand in the place of others, or because their default depends on others.
var alternatives = []string{"message", "updates", "webhook_url", "app", "user"}

// exampleKeys reads the example line by line: package config alone knows YAML,
// and it does not keep comments.
func exampleKeys(t *testing.T) []configKey {
	t.Helper()
	text, err := os.ReadFile("../../config.example.yml")
	if err != nil {
		t.Fatal(err)
	}
	type level struct {
		indent int
		path   string
	}
	var (
		keys    []configKey
		stack   []level
		comment []string
	)
	add := func(indent int, name, value string) {
		for len(stack) > 0 && stack[len(stack)-1].indent >= indent {
			stack = stack[:len(stack)-1]
		}
		path := name
		if len(stack) > 0 {
			path = stack[len(stack)-1].path + "." + name
		}
		keys = append(keys, configKey{path: path, value: value, meaning: strings.Join(comment, " "), depth: strings.Count(path, ".")})
		stack = append(stack, level{indent, path})
		comment = nil
	}
	pair := regexp.MustCompile(`^([a-z_]+):(?: (.*))?$`)
	for line := range strings.Lines(uncommented(t, string(text), "app")) {
		line = strings.TrimRight(line, "\n")
		body := strings.TrimLeft(line, " ")
		indent := len(line) - len(body)
		switch {
		case body == "":
			comment = nil
		case strings.HasPrefix(body, "#"):
			body = strings.TrimPrefix(strings.TrimPrefix(body, "#"), " ")
			if m := pair.FindStringSubmatch(body); m != nil && slices.Contains(alternatives, m[1]) {
				add(indent, m[1], strings.TrimSuffix(m[2], "|"))
				continue
			}
			comment = append(comment, strings.TrimSpace(body))
		case strings.HasPrefix(body, "- {"):
			last := &keys[len(keys)-1]
			last.items = append(last.items, strings.TrimPrefix(body, "- "))
		default:
			if rest, ok := strings.CutPrefix(body, "- "); ok {
				for stack[len(stack)-1].indent >= indent {
					stack = stack[:len(stack)-1]
				}
				list := stack[len(stack)-1].path
				stack = append(stack, level{indent, list + "[]"})
				body, indent = rest, indent+2
			}
			m := pair.FindStringSubmatch(body)
			if m == nil {
				t.Fatalf("config.example.yml: a line that is no key: %s", line)
			}
			add(indent, m[1], m[2])
		}
	}
	return keys
}

// uncommented returns the example with what stands below an alternative as if it
// were in use.
func uncommented(t *testing.T, text, key string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^( *)# ` + key + `:\n((?: *#   .*\n)+)`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("config.example.yml: no # %s: with keys below it", key)
	}
	return strings.Replace(text, m[2], strings.ReplaceAll(m[2], m[1]+"# ", m[1]), 1)
}

// modelPaths returns the types of the config's keys by path.
func modelPaths() map[string]reflect.Type {
	var document struct {
		Templates []string        `yaml:"templates"`
		Defaults  config.Settings `yaml:"defaults"`
		Spaces    []config.Space  `yaml:"spaces"`
		Route     route.Node      `yaml:"route"`
	}
	paths := map[string]reflect.Type{}
	addPaths(paths, reflect.TypeOf(document), "")
	return paths
}

func addPaths(paths map[string]reflect.Type, t reflect.Type, prefix string) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" {
			if options == "inline" {
				addPaths(paths, f.Type, prefix)
			}
			continue
		}
		path := prefix + name
		paths[path] = f.Type
		below, suffix := f.Type, "."
		if below.Kind() == reflect.Slice {
			below, suffix = below.Elem(), "[]."
		}
		if below.Kind() == reflect.Pointer {
			below = below.Elem()
		}
		switch below {
		case reflect.TypeFor[config.HTTPConfig](), reflect.TypeFor[config.Secret](), reflect.TypeFor[labels.Matcher](), reflect.TypeFor[regexp.Regexp]():
			continue
		case t: // routes have routes
			if strings.Contains(prefix, "[]") {
				continue
			}
		}
		if below.Kind() == reflect.Struct {
			addPaths(paths, below, path+suffix)
		}
	}
}

// typeWords says what a key takes.
func typeWords(t *testing.T, path string, typ reflect.Type) string {
	t.Helper()
	words := map[reflect.Type]string{
		reflect.TypeFor[string]():            "a string",
		reflect.TypeFor[*string]():           "a template",
		reflect.TypeFor[config.Secret]():     "a string, which is a secret",
		reflect.TypeFor[[]string]():          "a list of strings",
		reflect.TypeFor[bool]():              "`true` or `false`",
		reflect.TypeFor[int]():               "a whole number",
		reflect.TypeFor[float64]():           "a number",
		reflect.TypeFor[time.Duration]():     "a duration such as `10s`, `5m` or `1d`",
		reflect.TypeFor[config.Repeats]():    "a word",
		reflect.TypeFor[config.Updates]():    "a word",
		reflect.TypeFor[config.Card]():       "a mapping, or `none`",
		reflect.TypeFor[[]config.Button]():   "a list of mappings with `text` and `url`, both templates",
		reflect.TypeFor[config.Settings]():   "a mapping",
		reflect.TypeFor[config.HTTPConfig](): "a mapping",
		reflect.TypeFor[*config.App]():       "a mapping",
		reflect.TypeFor[[]config.Space]():    "a list of mappings",
		reflect.TypeFor[route.Node]():        "a mapping",
		reflect.TypeFor[[]route.Node]():      "a list of mappings",
		reflect.TypeFor[[]*regexp.Regexp]():  "a list of regular expressions",
		reflect.TypeFor[[]*labels.Matcher](): "a list of matchers",
	}
	if path == "defaults.message" || path == "defaults.thread" {
		typ = reflect.TypeFor[*string]()
	}
	if words[typ] == "" {
		t.Errorf("%s: the reference has no word for the type %v", path, typ)
	}
	return words[typ]
}

// configBlock lists the keys of the config, and what stands of them in the
// example.
func configBlock(t *testing.T) string {
	t.Helper()
	paths, keys := modelPaths(), exampleKeys(t)
	var b strings.Builder
	shown := map[string]bool{}
	for _, k := range keys {
		shown[k.path] = true
		typ := paths[k.path]
		if typ == nil {
			t.Errorf("the example has a key %s, and the model has none", k.path)
			continue
		}
		if k.depth == 0 {
			fmt.Fprintf(&b, "\n### `%s`\n\n%s\n", k.path, k.meaning)
			if k.value != "" {
				fmt.Fprintf(&b, "Example: `%s`.\n", k.value)
			}
			b.WriteString("\n")
			continue
		}
		name := k.path[strings.IndexAny(k.path, ".")+1:]
		fmt.Fprintf(&b, "- `%s`: %s.", name, typeWords(t, k.path, typ))
		if k.meaning != "" {
			b.WriteString(" " + strings.TrimSuffix(strings.TrimSuffix(k.meaning, ":"), ".") + ".")
		}
		word := "Example"
		if strings.HasPrefix(k.path, "defaults.") && k.path != "defaults.message" && k.path != "defaults.updates" {
			word = "Default"
		}
		switch {
		case k.value != "":
			fmt.Fprintf(&b, " %s: `%s`.", word, strings.TrimSpace(k.value))
		case len(k.items) > 0:
			fmt.Fprintf(&b, " %s:\n", word)
			for _, item := range k.items {
				fmt.Fprintf(&b, "  - `%s`\n", item)
			}
			continue
		}
		b.WriteString("\n")
	}
	wantAllShown(t, paths, shown)
	return b.String()
}

// wantAllShown looks for keys of the model that the example does not show.
func wantAllShown(t *testing.T, paths map[string]reflect.Type, shown map[string]bool) {
	t.Helper()
	for path := range paths {
		name := path[strings.LastIndexByte(path, '.')+1:]
		key, ofSpace := strings.CutPrefix(path, "spaces[].")
		_, ofRoot := strings.CutPrefix(path, "route.")
		switch {
		case shown[path],
			ofSpace && shown["defaults."+key],
			ofRoot && shown["route.routes[]."+name], path == "route.routes[].routes",
			strings.Contains(path, ".card.buttons[]."):
		default:
			t.Errorf("config.example.yml does not show %s", path)
		}
	}
}

// The ranges in the example are those that a fault names.
func TestReferenceShowsTheRanges(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ops.url"), []byte("https://chat.example.org"), 0o600); err != nil {
		t.Fatal(err)
	}
	meaning := map[string]string{}
	for _, k := range exampleKeys(t) {
		meaning[k.path] = k.meaning
	}
	for key, value := range map[string]string{
		"max_parts": "0", "rate_limit": "1000", "timeout": "11s", "max_age": "1s", "repeats": "x", "updates": "x", "thread": "x",
	} {
		text := fmt.Sprintf("defaults: {%s: %s}\nspaces: [{name: ops, webhook_url_file: ops.url}]\n", key, value)
		_, err := config.Parse("config.yml", []byte(text), dir, config.Options{})
		faults, ok := errors.AsType[*config.Error](err)
		if !ok || len(faults.Faults) != 1 {
			t.Errorf("%s: %s is no single fault: %v", key, value, err)
			continue
		}
		message := faults.Faults[0].Message
		for _, bound := range regexp.MustCompile(`[0-9.]+[a-z]*|incident|none|timeline|drop|reply|edit`).FindAllString(message, -1) {
			if bound != "0" && !strings.Contains(meaning["defaults."+key], strings.TrimSuffix(bound, ".")) {
				t.Errorf("%s: the fault says %q, and the example %q", key, message, meaning["defaults."+key])
			}
		}
	}
}

func TestReferenceShowsTheKeysOfHTTPConfig(t *testing.T) {
	text := section(t, "Configuration")
	for f := range reflect.TypeFor[promconfig.HTTPClientConfig]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name != "" && !strings.Contains(text, "`"+name+"`") {
			t.Errorf("http_config.%s is not in the reference", name)
		}
	}
	for f := range reflect.TypeFor[promconfig.ProxyConfig]().Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != "" && !strings.Contains(text, "`"+name+"`") {
			t.Errorf("http_config.%s is not in the reference", name)
		}
	}
}
