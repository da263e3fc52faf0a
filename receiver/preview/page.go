package preview

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"alertchat/receiver"
	"alertchat/receiver/chat/chattest"
	"alertchat/receiver/sample"
	"alertchat/receiver/webui"
)

// updates implements [webui.PreviewOptions].Watch.
func (p *Preview) updates(ctx context.Context) <-chan webui.Update {
	out := make(chan webui.Update)
	go func() { // ends with ctx
		defer close(out)
		send := func(u webui.Update) bool {
			select {
			case out <- u:
				return true
			case <-ctx.Done():
				return false
			}
		}
		p.follow(ctx, send)
	}()
	return out
}

// follow sends updates until send says that nobody takes any more.
func (p *Preview) follow(ctx context.Context, send func(webui.Update) bool) {
	// Before those that there are: one that comes between is sent twice.
	arriving := p.google.chat.Watch(ctx)
	setup := p.setup()
	if !send(webui.Update{Setup: &setup}) {
		return
	}
	for _, place := range p.google.chat.Spaces() {
		for _, m := range p.google.chat.Messages(place) {
			if !send(webui.Update{Message: shown(m)}) {
				return
			}
		}
	}
	if !send(webui.Update{}) {
		return
	}
	tick := time.NewTicker(reloadEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case m, ok := <-arriving:
			if !ok || !send(webui.Update{Message: shown(m)}) {
				return
			}
		case <-tick.C:
			if p.app.Setup().LoadedAt().Equal(setup.Loaded) && p.fault() == setup.Fault {
				continue
			}
			if setup = p.setup(); !send(webui.Update{Setup: &setup}) {
				return
			}
		}
	}
}

func shown(m chattest.Message) *webui.Message {
	out := &webui.Message{
		Place: m.Space, Name: m.Name, Thread: m.Thread, Version: len(m.Versions), At: m.CreatedAt, Body: m.Body, Door: m.Door,
	}
	if last := m.Versions[len(m.Versions)-1]; len(m.Versions) > 1 {
		out.Edited = last.At
	}
	return out
}

// setup returns what the receiver runs with.
func (p *Preview) setup() webui.PreviewSetup {
	setup := p.app.Setup()
	out := webui.PreviewSetup{Loaded: setup.LoadedAt(), Spaces: p.spaces(setup), Fault: p.fault()}
	for _, w := range setup.Warnings() {
		out.Warnings = append(out.Warnings, p.shorten(w.String()))
	}
	return out
}

// fault says why the config on disk is not in use; it is empty where it is.
func (p *Preview) fault() string {
	if err := p.app.ReloadError(); err != nil {
		return p.shorten(strings.TrimPrefix(err.Error(), "load the config: "))
	}
	return ""
}

// spaces returns the Google spaces to which those of a config lead.
func (p *Preview) spaces(setup *receiver.Setup) []webui.SetupSpace {
	out := []webui.SetupSpace{}
	for _, s := range setup.Spaces() {
		place, direct := p.google.place(s.Place)
		i := slices.IndexFunc(out, func(other webui.SetupSpace) bool { return other.Place == place })
		if i >= 0 {
			out[i].Names = append(out[i].Names, s.Name)
			continue
		}
		kind := s.Kind
		if direct {
			kind = "direct message"
		}
		out = append(out, webui.SetupSpace{Place: place, Names: []string{s.Name}, Kind: kind})
	}
	return out
}

// samples returns the payloads that can be posted at a click.
func samples() ([]webui.Sample, error) {
	var out []webui.Sample
	add := func(name, about string, of ...sample.Sample) error {
		s := webui.Sample{Name: name, About: about}
		for _, one := range of {
			body, err := one.Body()
			if err != nil {
				return err
			}
			s.Payloads = append(s.Payloads, body)
		}
		out = append(out, s)
		return nil
	}
	now := time.Now()
	for _, s := range sample.All(now) {
		if err := add(s.Name, s.About, s); err != nil {
			return nil, err
		}
	}
	return out, add("storm", "forty groups at once, which become digests", sample.Storm(40, now)...)
}

// shorten takes the temporary folder out of a sentence: nobody knows it.
func (p *Preview) shorten(sentence string) string {
	return strings.ReplaceAll(sentence, p.folder+string(filepath.Separator), "")
}

func (p *Preview) sources(space string) ([]webui.Source, error) {
	found, err := p.app.Setup().Sources(space)
	if err != nil {
		return nil, err
	}
	sources := make([]webui.Source, len(found))
	for i, s := range found {
		sources[i] = webui.Source(s)
	}
	return sources, nil
}

// try implements [webui.PreviewOptions].Try.
func (p *Preview) try(t webui.Trial) webui.Tried {
	edits := make([]receiver.Source, len(t.Edits))
	for i, e := range t.Edits {
		edits[i] = receiver.Source(e)
	}
	tried, err := p.app.Setup().Try(t.Space, []byte(t.Payload), edits, time.Now())
	if err != nil {
		return webui.Tried{Faults: []webui.SourceFault{{Message: err.Error()}}}
	}
	out := webui.Tried{Payload: (*webui.SourceFault)(tried.Payload)}
	if tried.Draft != nil {
		out.Bodies, out.Door = tried.Draft.Bodies(), tried.Draft.Door
		out.Notes = tried.Draft.Remarks
	}
	for _, f := range tried.Faults {
		out.Faults = append(out.Faults, webui.SourceFault(f))
	}
	return out
}
