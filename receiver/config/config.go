// Package config holds the config file's model: its strict decoding, defaults
// and validation.
//
// All faults of a file are found at once, each with its line and path, and none
// shows the value of a secret. A [Config] prints itself without secrets too.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"alertchat/receiver/route"
)

// maxFile is the size of a config file, maxURLFile that of a webhook_url_file.
const (
	maxFile    = 10 << 20
	maxURLFile = 8 << 10
)

// Config is a config file that was found to be right. It is immutable.
type Config struct {
	Templates []string // the files that the globs of templates gave, each once
	Spaces    []Space  // at least one, with the defaults filled in
	Route     route.Node

	file  string
	globs []string
	other []string // files that an http_config names
	lines map[string]int
	texts map[string]int // see decoder
}

// Space is a configured destination. Exactly one of WebhookURL, WebhookURLFile
// and App is set.
type Space struct {
	Name           string `yaml:"name"`
	WebhookURL     Secret `yaml:"webhook_url"`
	WebhookURLFile string `yaml:"webhook_url_file"` // joined with the config's folder
	App            *App   `yaml:"app"`
	Settings       `yaml:",inline"`
}

// Settings are the keys of a space that defaults may have too. A key that a
// space gives takes the place of the defaults' as a whole.
type Settings struct {
	Text *string `yaml:"text"` // nil for the built-in one
	Card Card    `yaml:"card"`
	// Message renders a whole Chat message; empty where text and card do.
	Message string  `yaml:"message"`
	Thread  string  `yaml:"thread"` // ThreadIncident, ThreadNone, or a template for the key
	Repeats Repeats `yaml:"repeats"`
	// Updates of a space is Reply for a webhook, and Edit for an app unless the
	// file says otherwise.
	Updates      Updates `yaml:"updates"`
	SendResolved bool    `yaml:"send_resolved"`
	MaxParts     int     `yaml:"max_parts"`
	// DigestThreshold is from how many waiting groups on they are merged into
	// one message; 0 for never.
	DigestThreshold int           `yaml:"digest_threshold"`
	RateLimit       float64       `yaml:"rate_limit"` // messages a second
	Timeout         time.Duration `yaml:"timeout"`    // of one attempt
	MaxAge          time.Duration `yaml:"max_age"`
	// FallbackSpace is the name of another space, which is told once this one
	// has failed for FallbackAfter, and of what is dead; empty for none.
	FallbackSpace string        `yaml:"fallback_space"`
	FallbackAfter time.Duration `yaml:"fallback_after"`
	HTTP          HTTPConfig    `yaml:"http_config"`
}

// Card is a card's structure, each string a template. A nil string is the
// built-in one; an empty one leaves its part of the card out.
type Card struct {
	None     bool    // no card at all; then nothing else is set
	Title    *string `yaml:"title"`
	Subtitle *string `yaml:"subtitle"`
	Summary  *string `yaml:"summary"`
	Alert    *string `yaml:"alert"`
	// Buttons are nil for the built-in ones, and empty for none.
	Buttons []Button `yaml:"buttons"`
}

// Button is a link below the card. It is left out where its URL comes out empty.
type Button struct {
	Text string `yaml:"text"`
	URL  string `yaml:"url"`
}

// Values of Settings.Thread that are not templates.
const (
	ThreadIncident = "incident" // one thread for each incident
	ThreadNone     = "none"     // no threads
)

// cardNone is what stands for a Card with None set.
const cardNone = "none"

// Repeats says where a repeat_interval repeat goes.
type Repeats string

// The values of Repeats.
const (
	Timeline Repeats = "timeline" // a new message
	Drop     Repeats = "drop"     // nowhere
)

// Updates says how changes of an incident are told.
type Updates string

// The values of Updates.
const (
	Reply Updates = "reply" // in the incident's thread
	Edit  Updates = "edit"  // in the first message, in place
)

// Options are what loading needs from elsewhere.
type Options struct {
	// CheckURL says what is wrong with a webhook's URL. Its error must not
	// repeat the URL or a part of it. With nil any URL will do.
	CheckURL func(raw string) error
	// CheckCredentials says what is wrong with the content of a credentials file.
	// Its error must not repeat the content or a part of it. With nil any content
	// will do.
	CheckCredentials func(content []byte) error
	// WithoutSecrets lets the files with webhooks' URLs and with credentials be
	// missing.
	WithoutSecrets bool
}

// builtin returns the settings that hold where the file says nothing. Updates is
// not among them: it depends on the destination.
func builtin() Settings {
	return Settings{
		Thread:          ThreadIncident,
		Repeats:         Timeline,
		SendResolved:    true,
		MaxParts:        3,
		DigestThreshold: 20,
		RateLimit:       1,
		Timeout:         10 * time.Second,
		MaxAge:          24 * time.Hour,
		FallbackAfter:   5 * time.Minute,
	}
}

// Load reads the config file at path. Paths in it are relative to its folder.
// What is wrong with its content comes as an [Error], as from [Parse].
func Load(path string, o Options) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	return Parse(path, text, filepath.Dir(path), o)
}

// Parse reads a config from text. name is what faults call the file, and dir is
// what paths in it are relative to. What is wrong comes as an [Error]. Beside
// one there may be a config even so, without what is wrong: its templates can be
// looked at, so that all faults are told at once, but it must not be used.
func Parse(name string, text []byte, dir string, o Options) (*Config, error) {
	if len(text) > maxFile {
		return nil, NewError([]Fault{{File: name, Message: fmt.Sprintf("is larger than %d MiB", maxFile>>20)}})
	}
	root, err := parseDocument(text)
	if errors.Is(err, errEmpty) || err == nil && isNull(root) {
		return nil, NewError([]Fault{{File: name, Line: 1, Message: "is empty; begin with spaces, as config.example.yml does"}})
	}
	if bad, ok := errors.AsType[*problem](err); ok {
		return nil, NewError([]Fault{{File: name, Line: bad.line, Message: bad.message}})
	}
	doc := document{Defaults: builtin()}
	d := &decoder{name: name, dir: dir, defaults: &doc.Defaults, faulty: map[string]bool{}, lines: map[string]int{}, texts: map[string]int{}}
	d.decode(root, reflect.ValueOf(&doc).Elem(), place{line: root.Line})
	if root.Kind != yaml.MappingNode { // that is the one thing to say
		return nil, NewError(d.faults)
	}
	return &Config{
		Templates: d.check(&doc, o),
		Spaces:    doc.Spaces,
		Route:     doc.Route,
		file:      name,
		globs:     doc.Templates,
		other:     d.files,
		lines:     d.lines,
		texts:     d.texts,
	}, NewError(d.faults)
}

// document is the file's outermost level. Defaults stand before Spaces: they
// are read in this order, wherever they are in the file.
type document struct {
	Templates []string   `yaml:"templates"`
	Defaults  Settings   `yaml:"defaults"`
	Spaces    []Space    `yaml:"spaces"`
	Route     route.Node `yaml:"route"`
}

// Unmatched returns the indices of the globs of templates that match no file.
func (c *Config) Unmatched() []int {
	var indices []int
	for i, glob := range c.globs {
		if found, _ := expand(glob); len(found) == 0 {
			indices = append(indices, i)
		}
	}
	return indices
}

// Files returns every file that the config depends on, each once, sorted: the
// config file itself, templates, URL and credentials files and what http_config
// names. The globs of templates are expanded anew, so that a new file is among them.
func (c *Config) Files() []string {
	files := append([]string{c.file}, c.other...)
	for _, glob := range c.globs {
		found, _ := expand(glob)
		files = append(files, found...)
	}
	for i := range c.Spaces {
		if f := c.Spaces[i].WebhookURLFile; f != "" {
			files = append(files, f)
		}
		if app := c.Spaces[i].App; app != nil && app.CredentialsFile != "" {
			files = append(files, app.CredentialsFile)
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// Fault returns a fault with the value at path, such as
// "spaces[0].card.title", in its line. Where the space has the value from the
// defaults, the fault is there.
func (c *Config) Fault(path, message string) Fault {
	path = c.origin(path)
	return Fault{File: c.file, Line: nearest(c.lines, path), Path: path, Message: message}
}

// TextFault is [Config.Fault] for a line, counted from 1, of the text at path.
// Where the text does not stand in the file as it is, the message names the line.
func (c *Config) TextFault(path string, line int, message string) Fault {
	f := c.Fault(path, message)
	switch first, ok := c.texts[f.Path]; {
	case ok && line > 0:
		f.Line = first + line - 1
	case line > 1:
		f.Message = fmt.Sprintf("line %d of it: %s", line, message)
	}
	return f
}

// Given reports whether the file itself has a value for the path.
func (c *Config) Given(path string) bool {
	_, ok := c.lines[path]
	return ok
}

// Defaults returns the keys that the file gives under defaults, in order.
func (c *Config) Defaults() []string {
	var keys []string
	for path := range c.lines {
		if key, ok := strings.CutPrefix(path, "defaults."); ok && !strings.ContainsAny(key, ".[") {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// origin returns where a value of a space is given: in the space or in the
// defaults.
func (c *Config) origin(path string) string {
	_, key, ok := strings.Cut(path, "].")
	if ok && strings.HasPrefix(path, "spaces[") && !c.Given(path) && c.Given("defaults."+key) {
		return "defaults." + key
	}
	return path
}

// URL returns the webhook's URL: empty where the space has none. A
// webhook_url_file is read anew each time: it may have been replaced. The error
// does not show the file's content.
func (s *Space) URL() (string, error) {
	if s.WebhookURLFile == "" {
		return s.WebhookURL.Reveal(), nil
	}
	return readURL(s.WebhookURLFile, s.WebhookURLFile)
}

// readURL returns what a URL file holds. Its errors call the file by the name
// that is shown.
func readURL(path, shown string) (string, error) {
	text, err := readFile(path, shown, maxURLFile, "put the webhook's URL into this file", "put the webhook's URL into it")
	return string(text), err
}

// readFile returns the content of a file that holds a secret, without the space
// around it, and never nothing. Its errors call the file by the name that is
// shown, and say what to do where it is missing or empty.
func readFile(path, shown string, limit int64, missing, empty string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w; %s, or mend its name", shown, cause(err), missing)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", shown, cause(err))
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("%s is larger than %d KiB", shown, limit>>10)
	}
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\ufeff")))
	if len(text) == 0 {
		return nil, fmt.Errorf("%s is empty; %s", shown, empty)
	}
	return text, nil
}
