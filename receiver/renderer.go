package receiver

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"alertchat/receiver/chat"
	"alertchat/receiver/config"
	"alertchat/receiver/delivery"
	"alertchat/receiver/incident"
	"alertchat/receiver/render"
)

// watched is a space's renderer as a [delivery.Renderer]. The delivery does not
// care about notes and failures: see is handed what was rendered, with them.
type watched struct {
	of  *render.Renderer
	see func(render.Rendered)
}

// Render implements [delivery.Renderer].
func (w watched) Render(tellings []incident.Telling, more int, now time.Time) delivery.Rendered {
	return w.rendered(w.of.Digest(tellings, more, now))
}

// Plain implements [delivery.Renderer].
func (w watched) Plain(told incident.Telling, now time.Time, why string) delivery.Rendered {
	return w.rendered(w.of.Plain(told, now, why))
}

// Notice implements [delivery.Renderer].
func (w watched) Notice(heading string, tellings []incident.Telling, lines []string, now time.Time) delivery.Rendered {
	return w.rendered(w.of.Notice(heading, tellings, lines, now))
}

func (w watched) rendered(m render.Rendered) delivery.Rendered {
	w.see(m)
	return delivery.Rendered{Messages: m.Messages, Told: m.Told, Reply: m.Reply, Moved: m.Moved, ThreadKey: m.ThreadKey, Title: m.Title}
}

// renderer is what renders for a space. It counts and logs the templates that
// failed.
type renderer struct {
	of       *render.Renderer
	space    string
	log      *slog.Logger
	failures prometheus.Counter // nil: they are not counted

	mu   sync.Mutex // guards said
	said map[string]bool
}

// see counts and logs what failed.
func (r *renderer) see(m render.Rendered) {
	for _, f := range m.Failures {
		if r.failures != nil {
			r.failures.Inc()
		}
		if r.first(f.Where) {
			r.log.Error("A template failed and the built-in one took its place; further failures of it are only counted until the next reload",
				"space", r.space, "template", f.Where, "err", f.Err)
		}
	}
}

// first reports whether a template fails for the first time since the config
// was loaded.
func (r *renderer) first(where string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.said[where] {
		return false
	}
	r.said[where] = true
	return true
}

// newRenderer parses the templates of a space.
func newRenderer(s *config.Space, set *render.Set, o LoadOptions) (*renderer, error) {
	of, err := set.Renderer(messages(s))
	if err != nil {
		return nil, err
	}
	r := &renderer{of: of, space: s.Name, log: o.Logger, said: make(map[string]bool)}
	if o.Failures != nil {
		r.failures = o.Failures.WithLabelValues(s.Name)
	}
	return r, nil
}

// messages returns what a space's config says of its messages: the built-in
// string wherever it says nothing.
func messages(s *config.Space) render.Space {
	out := render.Builtin()
	out.Name, out.Message, out.Thread, out.MaxParts, out.Door = s.Name, s.Message, s.Thread, s.MaxParts, door(s)
	set := func(to *string, from *string) {
		if from != nil {
			*to = *from
		}
	}
	set(&out.Text, s.Text)
	set(&out.Card.Title, s.Card.Title)
	set(&out.Card.Subtitle, s.Card.Subtitle)
	set(&out.Card.Summary, s.Card.Summary)
	set(&out.Card.Alert, s.Card.Alert)
	if s.Card.Buttons != nil {
		out.Card.Buttons = make([]render.Button, len(s.Card.Buttons))
		for i, b := range s.Card.Buttons {
			out.Card.Buttons[i] = render.Button{Text: b.Text, URL: b.URL}
		}
	}
	if s.Card.None {
		out.Card = nil
	}
	return out
}

// door returns the way by which a space's messages get into Chat.
func door(s *config.Space) chat.Door {
	if s.App != nil {
		return chat.ByApp
	}
	return chat.ByWebhook
}

// templateFaults gives faults of templates their places: in a file, or, for
// those of the space with the index i, in the config. Without a space i is -1.
func templateFaults(c *config.Config, i int, err error) []config.Fault {
	if err == nil {
		return nil
	}
	var faults []config.Fault
	for _, e := range unjoin(err) {
		f, ok := errors.AsType[*render.Fault](e)
		switch {
		case !ok:
			faults = append(faults, c.Fault("templates", e.Error()))
		case i < 0:
			faults = append(faults, config.Fault{File: f.Where, Line: f.Line, Column: f.Column, Message: f.Err.Error()})
		default:
			faults = append(faults, c.TextFault(configPath(c, i, f.Where), f.Line, f.Err.Error()))
		}
	}
	return faults
}

// configPath turns a place as package render has it, "spaces[ops].text", into
// one of the config.
func configPath(c *config.Config, i int, where string) string {
	return strings.Replace(where, "["+c.Spaces[i].Name+"]", fmt.Sprintf("[%d]", i), 1)
}

// unjoin takes joined errors apart.
func unjoin(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var out []error
	for _, e := range joined.Unwrap() {
		out = append(out, unjoin(e)...)
	}
	return out
}
