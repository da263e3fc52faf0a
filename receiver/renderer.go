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

// renderer is a space's [delivery.Renderer]. It counts and logs the templates
// that failed, which the delivery does not care about.
type renderer struct {
	of       *render.Renderer
	space    string
	log      *slog.Logger
	failures prometheus.Counter // nil: they are not counted

	mu   sync.Mutex // guards said
	said map[string]bool
}

// Render implements [delivery.Renderer].
func (r *renderer) Render(tellings []incident.Telling, now time.Time) delivery.Rendered {
	return r.rendered(r.of.Render(tellings, now))
}

// Plain implements [delivery.Renderer].
func (r *renderer) Plain(tellings []incident.Telling, now time.Time, why string) delivery.Rendered {
	return r.rendered(r.of.Plain(tellings, now, why))
}

func (r *renderer) rendered(m render.Rendered) delivery.Rendered {
	for _, f := range m.Failures {
		if r.failures != nil {
			r.failures.Inc()
		}
		if r.first(f.Where) {
			r.log.Error("A template failed and the built-in one took its place; further failures of it are only counted until the next reload",
				"space", r.space, "template", f.Where, "err", f.Err)
		}
	}
	return delivery.Rendered{Messages: m.Messages, ThreadKey: m.ThreadKey, Title: m.Title}
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

// newRenderer parses the templates of the space with the given index. Its errors
// name the line in the config file.
func newRenderer(c *config.Config, i int, set *render.Set, o LoadOptions) (*renderer, error) {
	s := &c.Spaces[i]
	of, err := set.Renderer(messages(s))
	if err != nil {
		return nil, inConfig(c, i, err)
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
	out.Name, out.Message, out.Thread, out.MaxParts, out.Door = s.Name, s.Message, s.Thread, s.MaxParts, chat.ByWebhook
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

// inConfig gives the faults of a space's templates the lines that they have in
// the config file.
func inConfig(c *config.Config, i int, err error) error {
	var faults []config.Fault
	var others []error
	for _, e := range unjoin(err) {
		f, ok := errors.AsType[*render.Fault](e)
		if !ok {
			others = append(others, e)
			continue
		}
		path := strings.Replace(f.Where, "["+c.Spaces[i].Name+"]", fmt.Sprintf("[%d]", i), 1)
		message := f.Err.Error()
		if f.Line > 0 {
			message = fmt.Sprintf("line %d of the template: %s", f.Line, message)
		}
		faults = append(faults, c.Fault(path, message))
	}
	return errors.Join(append([]error{config.NewError(faults)}, others...)...)
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
