package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/alertmanager/pkg/labels"

	"alertchat/receiver/config"
	"alertchat/receiver/route"
)

func exampleText(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../config.example.yml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func exampleFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "ops.url"), goodURL)
	writeFile(t, filepath.Join(dir, "chat-app.json"), goodKey)
	return dir
}

func TestExampleShowsEveryKey(t *testing.T) {
	text := exampleText(t)
	var model struct {
		Templates []string        `yaml:"templates"`
		Defaults  config.Settings `yaml:"defaults"`
		Spaces    []config.Space  `yaml:"spaces"`
		Route     route.Node      `yaml:"route"`
	}
	keys := keysOf(reflect.TypeOf(model))
	for _, want := range []string{"spaces", "webhook_url_file", "subtitle", "url", "matchers", "continue", "http_config", "app", "user", "api_url"} {
		if !slices.Contains(keys, want) {
			t.Errorf("the model's keys %v lack %s", keys, want)
		}
	}
	for _, key := range keys {
		if !regexp.MustCompile(`(?m)(^[ #-]*|[{,] )` + key + `: `).MatchString(strings.ReplaceAll(text, "\n", " \n")) {
			t.Errorf("the example does not show the key %s", key)
		}
	}
}

// keysOf returns the keys of the model below t, but not those of an http_config,
// which are Prometheus's.
func keysOf(t reflect.Type) []string {
	switch t {
	case reflect.TypeFor[config.HTTPConfig](), reflect.TypeFor[config.Secret](),
		reflect.TypeFor[*regexp.Regexp](), reflect.TypeFor[*labels.Matcher]():
		return nil
	}
	var keys []string
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		return keysOf(t.Elem())
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for f := range t.Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != "" {
			keys = append(keys, name)
		}
		if f.Type != reflect.SliceOf(t) { // routes have routes
			keys = append(keys, keysOf(f.Type)...)
		}
	}
	return keys
}

// The example without its defaults must come to the same: what it shows as the
// defaults is what holds without it. Texts and cards are compared where the
// built-in ones are known, in package receiver.
func TestExampleShowsTheDefaults(t *testing.T) {
	text, dir := exampleText(t), exampleFolder(t)
	shown := parse(t, text, dir)

	start, end := strings.Index(text, "\ndefaults:\n"), strings.Index(text, "\nspaces:\n")
	if start < 0 || end < start {
		t.Fatal("the example has no section defaults before its spaces")
	}
	bare := parse(t, text[:start]+text[end:], dir)

	if len(shown.Spaces) != 1 {
		t.Fatalf("the example has %d spaces, want 1", len(shown.Spaces))
	}
	got, want := shown.Spaces[0].Settings, bare.Spaces[0].Settings
	c := got.Card
	if got.Text == nil || c.Title == nil || c.Subtitle == nil || c.Summary == nil || c.Alert == nil || len(c.Buttons) == 0 {
		t.Errorf("the example leaves out a part of text and card: %+v", got)
	}
	diff := cmp.Diff(want, got, cmpopts.IgnoreFields(config.Settings{}, "Text", "Card", "HTTP"))
	if diff != "" {
		t.Errorf("the example shows other defaults (-real +shown):\n%s", diff)
	}
	if diff := cmp.Diff(want.HTTP.Reveal(), got.HTTP.Reveal(), cmpopts.IgnoreUnexported(got.HTTP.Reveal().ProxyConfig)); diff != "" {
		t.Errorf("the example shows another http_config (-real +shown):\n%s", diff)
	}
	for _, key := range []string{
		"text", "card.title", "thread", "repeats", "send_resolved", "max_parts", "digest_threshold", "rate_limit",
		"timeout", "max_age", "fallback_space", "fallback_after", "http_config",
	} {
		if f := shown.Fault("spaces[0]."+key, ""); f.Path != "defaults."+key {
			t.Errorf("the example does not give defaults.%s", key)
		}
	}
	if want.Timeout != 10*time.Second || want.MaxAge != 24*time.Hour {
		t.Errorf("timeout and max_age are %s and %s, want those of the documentation", want.Timeout, want.MaxAge)
	}
}

// What stands behind a # is to be right too.
func TestExampleHoldsWithItsAlternatives(t *testing.T) {
	text, dir := exampleText(t), exampleFolder(t)

	inline := strings.Replace(text, "    webhook_url_file: ops.url\n", "", 1)
	inline = strings.Replace(inline, "    # webhook_url: ", "    webhook_url: ", 1)
	if got, err := parse(t, inline, dir).Spaces[0].URL(); err != nil || !strings.HasPrefix(got, "https://chat.googleapis.com/") {
		t.Errorf("webhook_url in the example is %q, %v", got, err)
	}

	for _, kind := range []struct{ destination, line string }{
		{"Google space", "      space: spaces/AAAA\n"},
		{"person", "      # user: users/123456789\n"},
	} {
		s := parse(t, withApp(text, kind.line), dir).Spaces[0]
		if s.App == nil || s.App.CredentialsFile != filepath.Join(dir, "chat-app.json") || s.App.APIURL != "https://chat.googleapis.com" {
			t.Errorf("the app of a %s in the example is %+v", kind.destination, s.App)
		}
		if s.Updates != config.Edit {
			t.Errorf("updates of an app in the example are %s, want the default", s.Updates)
		}
	}

	if got := parse(t, strings.Replace(text, "  # updates: ", "  updates: ", 1), dir); got.Spaces[0].Updates != config.Reply || !got.Given("defaults.updates") {
		t.Errorf("updates in the example are %s", got.Spaces[0].Updates)
	}

	start, end := strings.Index(text, "  text: '"), strings.Index(text, "  # Instead of text and card")
	message := text[:start] + text[end:]
	message = strings.Replace(message, "  # message: |\n  #   text:", "  message: |\n    text:", 1)
	if got := parse(t, message, dir).Spaces[0].Message; got != "text: {{ include \"chat.text\" . | quote }}\n" {
		t.Errorf("message in the example is %q", got)
	}
}

// withApp puts the app of the example in the place of the webhook, with one of
// its two destinations.
func withApp(text, destination string) string {
	text = strings.Replace(text, "    webhook_url_file: ops.url\n", "", 1)
	head, block, _ := strings.Cut(text, "    # app:\n")
	block, rest, _ := strings.Cut(block, "\n\n")
	block = strings.TrimPrefix(strings.ReplaceAll("\n"+block+"\n", "\n    # ", "\n    "), "\n")
	other := "      space: spaces/AAAA\n"
	if other == destination {
		other = "      # user: users/123456789\n"
	}
	block = strings.Replace(block, other, "", 1)
	block = strings.Replace(block, destination, strings.Replace(destination, "# ", "", 1), 1)
	return head + "    app:\n" + block + "\n" + rest
}
