// Package render turns tellings into Google Chat messages.
//
// A space's strings are Go templates, parsed once at load. The layout of the
// card is built in Go from what they put out, so that it knows where an alert
// ends and one broken string costs one string. Nothing that comes in can make
// rendering fail, panic, run for ever or exceed Chat's limits.
package render

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"alertchat/receiver/chat"
	"alertchat/receiver/incident"
)

// Options are what [Load] needs.
type Options struct {
	// Files are the user's template files in order. A name defined in one
	// replaces the built-in template and that of an earlier file.
	Files []File
	// DecodeYAML turns a YAML or JSON document into JSON, for messages that a
	// template renders as a whole. Its error may have a method Line() int for
	// the line at fault. Without it only JSON is taken.
	DecodeYAML func([]byte) ([]byte, error)
	// LineOf returns the line of the value at a path, "cardsV2[0].card", in
	// such a document; 0 where it is not known. It may be nil.
	LineOf func(doc []byte, path string) int
}

// File is a template file.
type File struct {
	Name string // as it is shown in faults; its last element names what stands outside of all definitions
	Text string
}

// Space is what a space's configuration says of its messages. Each string but
// Name is a template.
type Space struct {
	Name    string
	Text    string // the message's text: what the phone shows
	Card    *Card  // nil for text only
	Message string // instead of Text and Card: a whole message, as YAML or JSON; empty for none
	// Thread is [ThreadIncident], [ThreadNone], or a template for the key.
	Thread   string
	MaxParts int // messages for alerts that do not fit one; less than 1 means 1
	// Door is how messages get into Chat: an incoming webhook may send less.
	Door chat.Door
}

// What Space.Thread may be other than a template.
const (
	ThreadIncident = "incident"
	ThreadNone     = "none"
)

// Card holds the strings of a card. An empty one leaves its part out, but for
// the title.
type Card struct {
	Title    string
	Subtitle string
	Summary  string
	Alert    string // rendered once for each alert
	Buttons  []Button
}

// Button is a button that opens a link. It is left out where URL comes out
// empty, or not as an absolute http(s) URL.
type Button struct {
	Text string
	URL  string
}

// Builtin returns the strings of a space that says nothing of its messages.
func Builtin() Space {
	return Space{
		Text: `{{ template "chat.text" . }}`,
		Card: &Card{
			Title:    `{{ template "chat.title" . }}`,
			Subtitle: `{{ template "chat.subtitle" . }}`,
			Summary:  `{{ template "chat.summary" . }}`,
			Alert:    `{{ template "chat.alert" . }}`,
			Buttons: []Button{
				{Text: "Runbook", URL: `{{ .CommonAnnotations.runbook_url }}`},
				{Text: "Dashboard", URL: `{{ .CommonAnnotations.dashboard_url }}`},
				{Text: "Prometheus", URL: `{{ with .Alerts }}{{ (index . 0).GeneratorURL }}{{ end }}`},
				{Text: "Silence", URL: `{{ if eq .Status "firing" }}{{ silenceURL . }}{{ end }}`},
			},
		},
		Thread:   ThreadIncident,
		MaxParts: 3,
	}
}

// Rendered is what becomes of tellings.
type Rendered struct {
	Messages  []*chat.Message // at least one; several where the alerts do not fit one
	Told      int             // how many of the tellings, from the first on, they tell of
	Reply     *chat.Message   // one line for the thread of a message that is edited; nil but at the end of an incident
	Moved     *chat.Message   // what the message before a repeat is edited to; nil but for repeats
	ThreadKey string          // what a thread template gave; empty otherwise
	Title     string          // one plain line for people
	// Links are the URLs of the card's buttons in their order, empty for one
	// that is left out. They are nil where the space has no card.
	Links    []string
	Notes    []Note    // what was mended or cut
	Failures []Failure // templates that failed
}

// Note says what was changed in a message before it was sent, and why.
type Note struct {
	Where string // the string, "spaces[ops].card.summary", or the place in a message, "cardsV2[0].card.sections[1]"
	What  string
}

// String returns both in a line.
func (n Note) String() string { return n.Where + ": " + n.What }

// Failure is a template that failed and was replaced.
type Failure struct {
	Where string // the string, "spaces[ops].card.title", or the name of a template that no string calls
	Err   error
	// Source is what was being run when it failed: a string's place, a file's
	// name, or that of a built-in file. It is empty where the template ran and
	// what it put out cannot be used. Line and Column are counted from 1.
	Source       string
	Line, Column int
	Cause        string // the error without the place
	// Near is the line at fault of the document that a template of a whole
	// message put out, shortened; empty where there is none. It may hold the
	// values of labels, so it is for a terminal and not for a log.
	Near string
}

// Set is a set of parsed templates: Alertmanager's, the built-in ones, and the
// user's files. It never changes.
type Set struct {
	decode  func([]byte) ([]byte, error)
	lineOf  func([]byte, string) int
	trees   trees
	broken  []source // the files that could not be parsed
	builtin *pool    // without the user's files
}

// Load parses Alertmanager's templates, the built-in ones and the user's files.
// It fails with all [Fault]s of the files joined. The set can be used even so,
// without the files at fault, to find the faults of the spaces, too.
func Load(o Options) (*Set, error) {
	base, err := builtins()
	if err != nil {
		return nil, err
	}
	s := &Set{decode: o.DecodeYAML, lineOf: o.LineOf, trees: maps.Clone(base)}
	if s.decode == nil {
		s.decode = func(b []byte) ([]byte, error) { return b, nil }
	}
	if s.lineOf == nil {
		s.lineOf = func([]byte, string) int { return 0 }
	}
	var (
		faults  []error
		sources []source
	)
	for _, f := range o.Files {
		src := source{where: f.Name, name: lastElement(f.Name), text: f.Text}
		if err := s.trees.parseSource(src); err != nil {
			faults = append(faults, err)
			s.broken = append(s.broken, src)
			continue
		}
		sources = append(sources, src)
	}
	faults = append(faults, s.trees.unknown(sources, s.broken)...)

	for _, tree := range base {
		guard(tree)
	}
	for name, tree := range s.trees {
		if base[name] != tree {
			guard(tree)
		}
	}
	if s.builtin, err = newPool(base); err != nil {
		return nil, err
	}
	return s, errors.Join(faults...)
}

// Renderer renders the messages of one space. It may be used concurrently.
type Renderer struct {
	space   Space
	decode  func([]byte) ([]byte, error)
	lineOf  func([]byte, string) int
	pool    *pool
	builtin *pool
	literal map[string]string // the strings that hold no action, by key
}

// Renderer parses the strings of a space. It fails with all their [Fault]s
// joined.
func (s *Set) Renderer(space Space) (*Renderer, error) {
	r := &Renderer{space: space, decode: s.decode, lineOf: s.lineOf, builtin: s.builtin, literal: map[string]string{}}
	set := maps.Clone(s.trees)
	var (
		faults  []error
		sources []source
		own     = trees{}
	)
	for _, src := range r.strings() {
		if err := own.parseSource(src); err != nil {
			faults = append(faults, err)
			continue
		}
		sources = append(sources, src)
	}
	maps.Copy(set, own)
	faults = append(faults, set.unknown(sources, s.broken)...)
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	for _, tree := range own {
		guard(tree)
	}
	var err error
	if r.pool, err = newPool(set); err != nil {
		return nil, err
	}
	return r, nil
}

// Words returns the names of labels and annotations that the user's templates
// ask for, as far as the templates show them, and perhaps other words, sorted.
// With all of them set, the templates go where they seldom do.
func (r *Renderer) Words() []string {
	var found []string
	for _, t := range r.pool.base.Templates() {
		if own := r.builtin.base.Lookup(t.Name()); own == nil || own.Tree != t.Tree {
			found = append(found, words(t.Tree)...)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// strings returns the space's templates, each known by its place. It sets those
// that are none aside.
func (r *Renderer) strings() []source {
	var all []source
	add := func(key, text string) {
		if !strings.Contains(text, "{{") {
			r.literal[key] = text
			return
		}
		where := r.where(key)
		all = append(all, source{where: where, name: where, text: text})
	}
	if r.space.Thread != ThreadIncident && r.space.Thread != ThreadNone {
		add(keyThread, r.space.Thread)
	}
	if r.space.Message != "" {
		add(keyMessage, r.space.Message)
		return all
	}
	add(keyText, r.space.Text)
	if c := r.space.Card; c != nil {
		add(keyTitle, c.Title)
		add(keySubtitle, c.Subtitle)
		add(keySummary, c.Summary)
		add(keyAlert, c.Alert)
		for i, b := range c.Buttons {
			add(keyButton(i, "text"), b.Text)
			add(keyButton(i, "url"), b.URL)
		}
	}
	return all
}

// The keys of a space's strings in the config.
const (
	keyText     = "text"
	keyMessage  = "message"
	keyThread   = "thread"
	keyTitle    = "card.title"
	keySubtitle = "card.subtitle"
	keySummary  = "card.summary"
	keyAlert    = "card.alert"
)

func keyButton(i int, key string) string {
	return "card.buttons[" + strconv.Itoa(i) + "]." + key
}

// where returns the place of a string in the config.
func (r *Renderer) where(key string) string {
	return "spaces[" + r.space.Name + "]." + key
}

// Render renders the telling of one incident; or, of several, a digest. It never
// fails and never panics: what cannot be rendered comes out as the built-in text
// message, and the result says why.
func (r *Renderer) Render(tellings []incident.Telling, now time.Time) Rendered {
	return r.Digest(tellings, 0, now)
}

// Digest renders one message of as many tellings as fit it, at least one, in the
// order given. more is how many groups follow besides them. It fails as little
// as [Renderer.Render].
func (r *Renderer) Digest(tellings []incident.Telling, more int, now time.Time) (out Rendered) {
	if len(tellings) == 0 {
		return Rendered{Messages: []*chat.Message{{Text: "Nothing to tell."}}, Title: "nothing to tell"}
	}
	defer func() {
		if p := recover(); p != nil {
			out = r.Plain(tellings[0], now, "This message could not be laid out.")
			out.Failures = append(out.Failures, Failure{Where: r.where("card"), Err: fmt.Errorf("panic: %v", p)})
		}
	}()
	s, err := r.begin(tellings, now)
	if err != nil {
		out = r.Plain(tellings[0], now, "The templates could not be used.")
		out.Failures = append(out.Failures, Failure{Where: r.where(keyText), Err: err})
		return out
	}
	if len(tellings) > 1 {
		s.behind = more
		out = s.digest()
	} else {
		out = s.single()
	}
	out.Notes, out.Failures = append(s.notes, out.Notes...), append(s.failures, out.Failures...)
	out.Links = s.links
	if out.Title == "" {
		out.Title = cut(s.title()+" · "+standing(&tellings[0], s.data, now), outlineRunes, 3*outlineRunes)
	}
	s.end() // not deferred: after a panic the executor is not used again
	return out.markedUp(r.space.Door)
}

// markedUp has all messages say in which syntax their text is, where Chat wants
// to know it: what holds without that is a setting of the Chat app.
func (r Rendered) markedUp(door chat.Door) Rendered {
	for _, m := range append(slices.Clone(r.Messages), r.Reply, r.Moved) {
		if m != nil && m.Text != "" {
			m.MarkupSyntax = cmp.Or(m.MarkupSyntax, door.Markup())
		}
	}
	return r
}
