package webui

import (
	"context"
	"encoding/json"
	"html/template"
	"log/slog"
	"time"

	"alertchat/receiver/chat"
)

// PreviewOptions are the functions behind the preview page. All of them must be
// set, but for the logger.
type PreviewOptions struct {
	// Watch returns a channel of all there is to show, and then of all that
	// changes: first the setup, then the messages that there are, the oldest
	// first, then an update with nothing in it, and from then on what comes. It
	// is closed when ctx ends. A message may come twice.
	Watch func(ctx context.Context) <-chan Update
	// Samples returns the payloads that can be posted at a click, as of now.
	Samples func() ([]Sample, error)
	// Sources returns the texts of which a space's messages are made.
	Sources func(space string) ([]Source, error)
	// Try renders a payload with some of the sources replaced.
	Try func(t Trial) Tried
	// Logger is silent when nil.
	Logger *slog.Logger
}

// Update is one thing to show: at most one of its members is set.
type Update struct {
	Setup   *PreviewSetup
	Message *Message
}

// PreviewSetup is what the preview runs with.
type PreviewSetup struct {
	Spaces []SetupSpace `json:"spaces"` // in the order of the config
	Loaded time.Time    `json:"loaded"` // when the config was
	// Fault says why the config on disk is not in use; empty where it is.
	Fault string `json:"fault,omitempty"`
	// Warnings are of what works and is perhaps not what was meant.
	Warnings []string `json:"warnings,omitempty"`
}

// SetupSpace is a Google space to which spaces of the config lead.
type SetupSpace struct {
	Place string   `json:"place"` // "spaces/AAAA"
	Names []string `json:"names"` // in the config; mostly one
	Kind  string   `json:"kind"`  // "webhook", "app" or "direct message"
}

// Message is a message in a Google space, as it is now.
type Message struct {
	Place   string // "spaces/AAAA"
	Name    string // the same after an edit
	Thread  string // the same for all messages of one thread
	Version int    // 1 for a new message, one more after each edit
	At      time.Time
	Edited  time.Time // zero where it never was
	Body    []byte    // as it was sent
	Door    chat.Door
}

// Sample is payloads to post, one after the other.
type Sample struct {
	Name     string            `json:"name"`
	About    string            `json:"about"`
	Payloads []json.RawMessage `json:"payloads"`
}

// Source is a text of which messages are made: a template file, or a template in
// the config.
type Source struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Trial is a payload and what somebody is writing.
type Trial struct {
	Space   string   `json:"space"`
	Edits   []Source `json:"edits"` // each in the place of the source of its name
	Payload string   `json:"payload"`
}

// Tried is what comes of a [Trial].
type Tried struct {
	Bodies []json.RawMessage // of the messages that would be sent
	Door   chat.Door         // by which they would
	Notes  []string          // what was mended or cut
	Faults []SourceFault     // templates that cannot be parsed, or that failed
	// Payload is what is wrong with the payload; nil where nothing is. Its
	// source is empty.
	Payload *SourceFault
}

// SourceFault is a fault at a place.
type SourceFault struct {
	Source  string `json:"source"`
	Line    int    `json:"line,omitempty"`   // from 1 on; 0 where it is not known
	Column  int    `json:"column,omitempty"` // in bytes, from 1 on; 0 where it is not known
	Message string `json:"message"`
	Near    string `json:"near,omitempty"` // the line at fault of what a template put out
}

// drawn is a message as the page gets it.
type drawn struct {
	Place   string        `json:"place"`
	Name    string        `json:"name"`
	Thread  string        `json:"thread"`
	Version int           `json:"version"`
	At      time.Time     `json:"at"`
	Edited  time.Time     `json:"edited,omitzero"`
	Text    string        `json:"text"` // what a phone's notification says
	HTML    template.HTML `json:"html"`
}

// result is a [Tried] as the page gets it.
type result struct {
	Messages []resultMessage `json:"messages"`
	Notes    []string        `json:"notes"`
	Faults   []SourceFault   `json:"faults"`
	Payload  *SourceFault    `json:"payload,omitempty"`
	Limits   limits          `json:"limits"`
}

type resultMessage struct {
	HTML    template.HTML   `json:"html"`
	JSON    json.RawMessage `json:"json"`
	Bytes   int             `json:"bytes"`
	Widgets int             `json:"widgets"` // of the card that has the most
}

// limits are those of Google Chat.
type limits struct {
	Bytes   int `json:"bytes"`
	Widgets int `json:"widgets"`
}

// draw makes of a message what the page gets.
func draw(m *Message) (drawn, error) {
	html, body, err := read(m.Body, m.Door)
	if err != nil {
		return drawn{}, err
	}
	return drawn{
		Place: m.Place, Name: m.Name, Thread: m.Thread, Version: m.Version, At: m.At.UTC(), Edited: m.Edited.UTC(),
		Text: body.Text, HTML: html,
	}, nil
}

// resultOf makes of an outcome what the page gets.
func resultOf(o Tried) (result, error) {
	r := result{
		Messages: []resultMessage{}, Notes: append([]string{}, o.Notes...), Faults: append([]SourceFault{}, o.Faults...),
		Payload: o.Payload, Limits: limits{chat.MaxMessageBytes, chat.MaxWidgets},
	}
	for _, body := range o.Bodies {
		html, m, err := read(body, o.Door)
		if err != nil {
			return result{}, err
		}
		widgets := 0
		for i := range m.CardsV2 {
			widgets = max(widgets, m.CardsV2[i].Card.Widgets())
		}
		r.Messages = append(r.Messages, resultMessage{HTML: html, JSON: body, Bytes: len(body), Widgets: widgets})
	}
	return r, nil
}
