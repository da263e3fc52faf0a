package receiver

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"alertchat/receiver/config"
	"alertchat/receiver/render"
	"alertchat/templates"
)

// Source is a text of which a space's messages are made.
type Source struct {
	// Name is its place in the config, "spaces[ops].card.title", the name of a
	// template file, or that of the file that is built in, "chat.tmpl".
	Name string
	Text string
}

// Trial is what comes of a payload with a source that somebody is writing.
type Trial struct {
	// Draft is what would be sent. It is nil where there are Faults because of
	// which nothing can be rendered.
	Draft  *Draft
	Faults []SourceFault
}

// SourceFault is a template that cannot be parsed, or that failed.
type SourceFault struct {
	Source       string // the name of the one at fault; empty where it is not known
	Line, Column int    // in it, from 1 on, the column in bytes; 0 where it is not known
	Message      string
	// Near is the line at fault of the document that a template of a whole
	// message put out; empty where there is none.
	Near string
}

// Sources returns the texts of which a space's messages are made: the template
// files, the file that is built in, and the strings of the space.
func (s *Setup) Sources(space string) ([]Source, error) {
	i, _, err := s.space(space)
	if err != nil {
		return nil, err
	}
	files, err := templateFiles(s.config)
	if err != nil {
		return nil, err
	}
	var sources []Source
	for _, f := range append(files, builtinFiles()...) {
		sources = append(sources, Source(f))
	}
	of := messages(&s.config.Spaces[i])
	for _, named := range namedStrings(&of) {
		sources = append(sources, Source{named.name, *named.text})
	}
	return sources, nil
}

// Try renders a payload as [Setup.Render] does, with each one of edited in the
// place of the source of its name. Its error is about the space, the payload,
// where it may be a [PayloadError], or a name that is none; faults of the templates
// are told beside one of the payload.
func (s *Setup) Try(space string, payload []byte, edited []Source, now time.Time) (Trial, error) {
	i, _, err := s.space(space)
	if err != nil {
		return Trial{}, err
	}
	files, err := templateFiles(s.config)
	if err != nil {
		return Trial{}, err
	}
	of := messages(&s.config.Spaces[i])
	for _, source := range edited {
		if files, err = replace(files, &of, source); err != nil {
			return Trial{}, err
		}
	}
	set, faults := loadFiles(files)
	if set == nil {
		return Trial{}, faults
	}
	renderer, err := set.Renderer(of)
	if err = errors.Join(faults, err); err != nil {
		// What is wrong with the payload is worth knowing at the same time.
		_, payloadErr := decodePayload(payload)
		return Trial{Faults: parseFaults(err)}, payloadErr
	}
	draft, failures, err := s.render(i, renderer, payload, now)
	if err != nil {
		return Trial{}, err
	}
	trial := Trial{Draft: draft}
	for _, f := range failures {
		fault := SourceFault{Source: f.Source, Line: f.Line, Column: f.Column, Message: f.Cause, Near: f.Near}
		if f.Where != f.Source {
			fault.Message = f.Where + ": " + f.Cause
		}
		trial.Faults = append(trial.Faults, fault)
	}
	return trial, nil
}

// replace puts a source in its place, among the files or the space's strings.
func replace(files []render.File, of *render.Space, edited Source) ([]render.File, error) {
	isEdited := func(f render.File) bool { return f.Name == edited.Name }
	if i := slices.IndexFunc(files, isEdited); i >= 0 {
		files[i].Text = edited.Text
		return files, nil
	}
	if slices.ContainsFunc(builtinFiles(), isEdited) {
		// Before the user's files, which replace what it defines.
		return slices.Insert(files, 0, render.File(edited)), nil
	}
	for _, named := range namedStrings(of) {
		if named.name == edited.Name {
			*named.text = edited.Text
			return files, nil
		}
	}
	return nil, fmt.Errorf("the space has no source of the name %q", edited.Name)
}

// namedString is a template in a space's config.
type namedString struct {
	name string
	text *string
}

// namedStrings returns the templates of a space, with their places in the config.
func namedStrings(of *render.Space) []namedString {
	var all []namedString
	add := func(key string, text *string) { all = append(all, namedString{"spaces[" + of.Name + "]." + key, text}) }
	if of.Message != "" {
		add("message", &of.Message)
	} else {
		add("text", &of.Text)
		if c := of.Card; c != nil {
			add("card.title", &c.Title)
			add("card.subtitle", &c.Subtitle)
			add("card.summary", &c.Summary)
			add("card.alert", &c.Alert)
			for i := range c.Buttons {
				add(fmt.Sprintf("card.buttons[%d].text", i), &c.Buttons[i].Text)
				add(fmt.Sprintf("card.buttons[%d].url", i), &c.Buttons[i].URL)
			}
		}
	}
	if of.Thread != config.ThreadIncident && of.Thread != config.ThreadNone {
		add("thread", &of.Thread)
	}
	return all
}

// parseFaults gives errors of package render their places.
func parseFaults(err error) []SourceFault {
	var faults []SourceFault
	for _, e := range unjoin(err) {
		if f, ok := errors.AsType[*render.Fault](e); ok {
			faults = append(faults, SourceFault{Source: f.Where, Line: f.Line, Column: f.Column, Message: f.Err.Error()})
		} else {
			faults = append(faults, SourceFault{Message: e.Error()})
		}
	}
	return faults
}

// templateFiles reads the template files that a config names.
func templateFiles(c *config.Config) ([]render.File, error) {
	files := make([]render.File, 0, len(c.Templates)+1)
	for _, name := range c.Templates {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		files = append(files, render.File{Name: name, Text: string(text)})
	}
	return files, nil
}

// builtinFiles returns the template files that are built in.
func builtinFiles() []render.File {
	names, _ := fs.Glob(templates.FS, "*.tmpl") // fails only for a bad pattern
	files := make([]render.File, 0, len(names))
	for _, name := range names {
		text, err := templates.FS.ReadFile(name)
		if err != nil {
			continue // cannot be: it is embedded
		}
		files = append(files, render.File{Name: name, Text: string(bytes.TrimSuffix(text, []byte("\n")))})
	}
	return files
}

// loadFiles parses template files.
func loadFiles(files []render.File) (*render.Set, error) {
	return render.Load(render.Options{Files: files, DecodeYAML: config.DecodeYAML, LineOf: config.LineOf})
}
