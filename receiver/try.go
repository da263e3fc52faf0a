package receiver

import (
	"cmp"
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
	// template file, or that of the file that is built in, "chat.tmpl (built in)".
	Name string
	Text string
}

// Tried is what comes of a payload with sources that somebody is writing.
type Tried struct {
	// Draft is what would be sent. It is nil where the payload, or one of Faults,
	// is such that nothing can be rendered.
	Draft   *Draft
	Faults  []SourceFault
	Payload *SourceFault // of the payload; nil where nothing is wrong with it
}

// SourceFault is a template that cannot be parsed, or that failed, or what is wrong
// with a payload.
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
	builtin, err := builtinFiles()
	if err != nil {
		return nil, err
	}
	var sources []Source
	for _, f := range append(files, builtin...) {
		sources = append(sources, Source(f))
	}
	of := messages(&s.config.Spaces[i])
	for _, named := range namedStrings(&of) {
		sources = append(sources, Source{named.name, *named.text})
	}
	return sources, nil
}

// Try renders a payload as [Setup.Render] does, with each one of edited in the
// place of the source of its name. It fails for a space or a source that does not
// exist.
func (s *Setup) Try(space string, payload []byte, edited []Source, now time.Time) (Tried, error) {
	i, _, err := s.space(space)
	if err != nil {
		return Tried{}, err
	}
	files, err := templateFiles(s.config)
	if faults := faultsOf(err); len(faults) > 0 {
		return Tried{Faults: faults}, nil
	}
	of := messages(&s.config.Spaces[i])
	for _, source := range edited {
		if files, err = replace(files, &of, source); err != nil {
			return Tried{}, err
		}
	}
	// What is wrong with either is worth knowing at the same time.
	p, err := decodePayload(payload)
	renderer, faults := parse(files, of)
	tried := Tried{Payload: payloadFault(err), Faults: faults}
	if tried.Payload != nil || len(tried.Faults) > 0 {
		return tried, nil
	}
	draft, failures, err := s.render(i, renderer, p, now)
	if err != nil {
		return Tried{}, err
	}
	tried.Draft = draft
	for _, n := range draft.notes {
		draft.Remarks = append(draft.Remarks, n.String()) // as the sources are called
	}
	for _, f := range failures {
		fault := SourceFault{Source: cmp.Or(f.Source, f.Where), Line: f.Line, Column: f.Column, Message: f.Cause, Near: f.Near}
		if f.Where != fault.Source {
			fault.Message = f.Where + ": " + f.Cause
		}
		tried.Faults = append(tried.Faults, fault)
	}
	return tried, nil
}

// parse parses template files and the strings of a space.
func parse(files []render.File, of render.Space) (*render.Renderer, []SourceFault) {
	set, err := loadFiles(files)
	if set == nil {
		return nil, faultsOf(err)
	}
	renderer, stringErr := set.Renderer(of)
	return renderer, faultsOf(errors.Join(err, stringErr))
}

// payloadFault returns an error of decodePayload with its place, if it has one.
func payloadFault(err error) *SourceFault {
	if err == nil {
		return nil
	}
	if at, ok := errors.AsType[*PayloadError](err); ok {
		return &SourceFault{Line: at.Line, Column: at.Column, Message: at.Err.Error()}
	}
	return &SourceFault{Message: err.Error()}
}

// replace puts a source in its place, among the files or the space's strings.
func replace(files []render.File, of *render.Space, edited Source) ([]render.File, error) {
	isEdited := func(f render.File) bool { return f.Name == edited.Name }
	if i := slices.IndexFunc(files, isEdited); i >= 0 {
		files[i].Text = edited.Text
		return files, nil
	}
	builtin, err := builtinFiles()
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(builtin, isEdited) {
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

// faultsOf gives errors of package render, and of files, their places.
func faultsOf(err error) []SourceFault {
	if err == nil {
		return nil
	}
	var faults []SourceFault
	for _, e := range unjoin(err) {
		fault := SourceFault{Message: e.Error()}
		if f, ok := errors.AsType[*render.Fault](e); ok {
			fault = SourceFault{Source: f.Where, Line: f.Line, Column: f.Column, Message: f.Err.Error()}
		} else if f, ok := errors.AsType[*fs.PathError](e); ok {
			fault = SourceFault{Source: f.Path, Message: f.Err.Error()}
		}
		faults = append(faults, fault)
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

// builtinFiles returns the template files that are built in. Their names are no
// file's of the user.
func builtinFiles() ([]render.File, error) {
	names, err := fs.Glob(templates.FS, "*.tmpl")
	if err != nil {
		return nil, err
	}
	files := make([]render.File, 0, len(names))
	for _, name := range names {
		text, err := templates.FS.ReadFile(name)
		if err != nil {
			return nil, err
		}
		files = append(files, render.File{Name: name + " (built in)", Text: string(text)})
	}
	return files, nil
}

// loadFiles parses template files.
func loadFiles(files []render.File) (*render.Set, error) {
	return render.Load(render.Options{Files: files, DecodeYAML: config.DecodeYAML, LineOf: config.LineOf})
}
