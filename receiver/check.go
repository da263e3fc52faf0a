package receiver

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat"
	"alertchat/receiver/config"
	"alertchat/receiver/delivery"
	"alertchat/receiver/incident"
	"alertchat/receiver/render"
	"alertchat/receiver/sample"
)

// Report is what [Check] finds. Its JSON is for editors and CI.
type Report struct {
	// Faults keep the config from being used, or cost a message its form.
	Faults []config.Fault `json:"faults"`
	// Warnings are of what works and is perhaps not what was meant.
	Warnings []config.Fault `json:"warnings"`
	// Spaces are those that samples were rendered for, in the order of the
	// config: none where it cannot be loaded.
	Spaces []CheckedSpace `json:"spaces"`

	file string
}

// CheckedSpace says what became of the samples in one space.
type CheckedSpace struct {
	Name         string `json:"name"`
	Place        string `json:"place"`    // "spaces/AAAA", or "users/123" for a direct message
	Samples      int    `json:"samples"`  // that the space is told of
	Messages     int    `json:"messages"` // that they take
	LargestBytes int    `json:"largestBytes"`
}

// Check does what a start would do with the files, and stops before it would
// open the storage or listen. Then it renders samples for each space, and looks
// at what Chat would be sent. It sends nothing, and finds everything at once.
func Check(o LoadOptions, now time.Time) Report {
	r := Report{Faults: []config.Fault{}, Warnings: []config.Fault{}, Spaces: []CheckedSpace{}, file: o.ConfigFile}
	s, err := Load(o)
	if err != nil {
		r.Faults = loadFaults(o.ConfigFile, err)
		return r
	}
	r.Warnings = s.Warnings()
	for i := range s.config.Spaces {
		t := newTrial(s, i, now)
		t.run()
		r.Faults, r.Warnings = append(r.Faults, t.faults...), append(r.Warnings, t.warnings...)
		r.Spaces = append(r.Spaces, t.space)
	}
	r.Faults, r.Warnings = config.Sorted(r.Faults), config.Sorted(r.Warnings)
	return r
}

// loadFaults takes the error of [Load] apart.
func loadFaults(file string, err error) []config.Fault {
	if known, ok := errors.AsType[*config.Error](err); ok {
		return known.Faults
	}
	message := err.Error()
	if path, ok := errors.AsType[*fs.PathError](err); ok && path.Path == file {
		message = "cannot be read: " + path.Err.Error() + "; name another file with --config.file"
	}
	return []config.Fault{{File: file, Message: message}}
}

// Summary returns the report in one line.
func (r Report) Summary() string {
	result := counted(len(r.Faults), "fault")
	if len(r.Faults) == 0 {
		result = "no faults"
	}
	if n := len(r.Warnings); n > 0 {
		result += ", " + counted(n, "warning")
	}
	if len(r.Spaces) == 0 {
		return r.file + ": " + result
	}
	samples := 0
	for _, s := range r.Spaces {
		samples += s.Samples
	}
	return fmt.Sprintf("%s: %s, %s rendered: %s", r.file, counted(len(r.Spaces), "space"), counted(samples, "sample"), result)
}

func counted(n int, word string) string {
	if n != 1 {
		word += "s"
	}
	return fmt.Sprintf("%d %s", n, word)
}

// trial renders the samples for one space, each by the way that a notification
// goes, and gathers what is wrong.
type trial struct {
	setup *Setup
	i     int // of the space
	as    delivery.Space
	of    *render.Renderer
	now   time.Time

	sample   string // the one at hand
	last     render.Rendered
	told     []incident.Telling
	known    map[alert.Group]incident.State
	seen     map[string]bool // the faults that are known already
	buttons  []buttonTrial
	faults   []config.Fault
	warnings []config.Fault
	space    CheckedSpace
}

// buttonTrial is what is known of a button.
type buttonTrial struct {
	shown, named, invalid bool // with a built-in sample; with the one that has all names; with a URL that is none
}

func newTrial(s *Setup, i int, now time.Time) *trial {
	name := s.config.Spaces[i].Name
	t := &trial{
		setup: s, i: i, as: *s.spaces[name], of: s.renderers[name].of, now: now,
		known: map[alert.Group]incident.State{}, seen: map[string]bool{},
		space: CheckedSpace{Name: name},
	}
	t.as.Renderer = watched{t.of, func(m render.Rendered) { t.last = m }}
	t.space.Place = s.place(&s.config.Spaces[i])
	return t
}

func (t *trial) run() {
	named := sample.Named(t.of.Words(), t.now)
	for i, s := range append(sample.All(t.now), named) {
		// So far apart that none is taken for a copy of the one before it.
		t.tell(s, t.now.Add(time.Duration(i)*incident.CopyWindow), s.Name == named.Name)
	}
	t.sample = "several groups in one message"
	t.as.Renderer.Render(t.told, 0, t.now)
	t.failures()
	t.judgeButtons()
}

// tell lets a sample through, as if it arrived at that time.
func (t *trial) tell(s sample.Sample, at time.Time, named bool) {
	t.sample = s.Name
	fault := func(err error) {
		t.faults = append(t.faults, t.fault("", fmt.Sprintf("the sample %s cannot be told: %v", s.Name, err)))
	}
	body, err := s.Body()
	if err != nil {
		fault(err)
		return
	}
	p, err := alert.Decode(body)
	if err != nil {
		fault(err)
		return
	}
	known := t.known[p.Group()]
	out := incident.Fold(known, []incident.Notification{{Payload: p, ReceivedAt: at}}, t.as.Told)
	t.known[p.Group()] = out.State
	if out.Telling == nil {
		return
	}
	t.told = append(t.told, *out.Telling)
	planned, err := delivery.Plan(&t.as, t.as.Place, out, nil, at)
	if err != nil {
		fault(err)
		return
	}
	t.known[p.Group()] = planned.Known[0].State
	t.space.Samples++
	t.failures()
	t.links(named)
	steps := planned.Steps
	for _, u := range planned.Later {
		steps = append(steps, u.Steps...)
	}
	for _, step := range steps {
		if step.Action != delivery.Edit {
			t.space.Messages++
		}
		t.space.LargestBytes = max(t.space.LargestBytes, len(step.Body))
		t.body(step.Body)
	}
}

// fault returns a fault with a key of the space, or with the space itself.
func (t *trial) fault(key, message string) config.Fault {
	path := fmt.Sprintf("spaces[%d]", t.i)
	if key != "" {
		path += "." + key
	}
	return t.setup.config.Fault(path, message)
}

// failures makes faults of the templates that failed just now, each once: it
// fails with the other samples, too.
func (t *trial) failures() {
	for i := range t.last.Failures {
		f := &t.last.Failures[i]
		place := fmt.Sprint(f.Where, f.Source, f.Line, f.Column)
		if !t.seen[place] {
			t.seen[place] = true
			t.faults = append(t.faults, t.setup.failureFault(t.i, f, fmt.Sprintf("%s (sample %s)", f.Cause, t.sample)))
		}
	}
}

// failureFault gives the cause of a template's failure, in the space with the
// given index, its place: in a file of templates, or in the config.
func (s *Setup) failureFault(i int, f *render.Failure, cause string) config.Fault {
	path, line := configPath(s.config, i, f.Where), 0
	switch {
	case f.Source == f.Where:
		line = f.Line
	case slices.Contains(s.config.Templates, f.Source):
		return config.Fault{File: f.Source, Line: f.Line, Column: f.Column, Message: cause}
	case f.Source != "":
		cause = fmt.Sprintf("in line %d of the built-in %s: %s", f.Line, f.Source, cause)
	}
	if !strings.HasPrefix(path, "spaces[") {
		path, cause = "templates", path+": "+cause
	}
	return s.config.TextFault(path, line, cause)
}

// body holds what Chat would be sent to what Chat takes.
func (t *trial) body(body []byte) {
	for _, v := range chat.Check(body, door(&t.setup.config.Spaces[t.i])) {
		if t.seen[v.Path+v.Message] {
			continue
		}
		t.seen[v.Path+v.Message] = true
		if v.Kind == chat.Rejected {
			t.faults = append(t.faults, t.fault("", fmt.Sprintf("Chat would refuse the message: %s (sample %s)", v, t.sample)))
		} else {
			t.warnings = append(t.warnings, t.fault("", fmt.Sprintf("Chat would not show the message as it is: %s (sample %s)", v, t.sample)))
		}
	}
}

// links notes what became of the card's buttons just now.
func (t *trial) links(named bool) {
	if t.buttons == nil {
		t.buttons = make([]buttonTrial, len(t.last.Links))
	}
	for i, link := range t.last.Links {
		b, where := &t.buttons[i], t.buttonPath(i)
		b.shown = b.shown || link != "" && !named
		b.named = b.named || link != "" && named
		b.invalid = b.invalid || slices.ContainsFunc(t.last.Notes, func(n render.Note) bool {
			return configPath(t.setup.config, t.i, n.Where) == where
		})
	}
}

func (t *trial) buttonPath(i int) string {
	return fmt.Sprintf("spaces[%d].card.buttons[%d].url", t.i, i)
}

// judgeButtons tells of the buttons that were never seen. It is a fault only
// where a URL came out and is none: an empty one may depend on what only the
// user's own alerts have.
func (t *trial) judgeButtons() {
	for i, b := range t.buttons {
		fault := func(message string) config.Fault { return t.setup.config.Fault(t.buttonPath(i), message) }
		failed := slices.ContainsFunc(t.faults, func(f config.Fault) bool { return f.Path == fault("").Path })
		switch {
		case b.shown || failed:
		case b.invalid:
			t.faults = append(t.faults, fault("never is an absolute http(s) URL, so that the button is never shown; let it begin with https:// and keep it below 4,000 characters"))
		case b.named:
			t.warnings = append(t.warnings, fault("is empty with every sample, so that the button is left out; it needs alerts that have the label or annotation which it names: is the name right?"))
		default:
			t.warnings = append(t.warnings, fault("is empty with every sample, so that the button is left out; is its condition right?"))
		}
	}
}
