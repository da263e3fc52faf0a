package webui

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

//go:embed preview.html
var previewHTML []byte

//go:embed preview.css
var previewCSS []byte

//go:embed preview.js
var previewJS []byte

const (
	// maxTrial is the size of a request to render: a thousand alerts are 0.6 MB,
	// and indented almost twice that.
	maxTrial = 8 << 20
	// maxTrials is how many are rendered at once.
	maxTrials = 2
	// maxWatchers is how many pages are open at once.
	maxWatchers = 32
	// heartbeat is how often a page is told that all is well.
	heartbeat = 15 * time.Second
	// writeTimeout bounds each write to a page.
	writeTimeout = 30 * time.Second
)

// preview answers the requests of the preview page.
type preview struct {
	PreviewOptions

	trials   chan struct{} // holds a token for each one that is being rendered
	watchers chan struct{}
}

// NewPreview returns the handler of the preview page, which is to stand at
// /preview/. Its page posts payloads to /alertmanager of the same origin.
func NewPreview(o PreviewOptions) http.Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	p := &preview{
		PreviewOptions: o,
		trials:         make(chan struct{}, maxTrials),
		watchers:       make(chan struct{}, maxWatchers),
	}
	mux := http.NewServeMux()
	mux.Handle("GET /preview/{$}", asset("text/html; charset=utf-8", previewHTML))
	mux.Handle("GET /preview/base.css", asset("text/css; charset=utf-8", []byte(baseCSS)))
	mux.Handle("GET /preview/card.css", asset("text/css; charset=utf-8", cardCSS))
	mux.Handle("GET /preview/preview.css", asset("text/css; charset=utf-8", previewCSS))
	mux.Handle("GET /preview/card.js", asset("text/javascript; charset=utf-8", cardJS))
	mux.Handle("GET /preview/preview.js", asset("text/javascript; charset=utf-8", previewJS))
	mux.HandleFunc("GET /preview/events", p.events)
	mux.HandleFunc("GET /preview/samples", p.samples)
	mux.HandleFunc("GET /preview/sources", p.sources)
	mux.HandleFunc("POST /preview/render", p.render)
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusForbidden, "requests from pages of other sites are not taken")
	}))
	return secured(protection.Handler(mux))
}

// secured sets the headers that keep the page to itself: it loads and connects
// to nothing but its own origin, and runs no script but its own files.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "+
			"base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		guard(h)
		next.ServeHTTP(w, r)
	})
}

func asset(contentType string, content []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(content)
	})
}

// events sends what there is to show as server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html): "setup",
// "message", and "whole" once all that there is was sent.
func (p *preview) events(w http.ResponseWriter, r *http.Request) {
	select {
	case p.watchers <- struct{}{}:
		defer func() { <-p.watchers }()
	default:
		problem(w, http.StatusServiceUnavailable, "too many preview pages are open; close some")
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	s := stream{w: w, to: http.NewResponseController(w)}
	updates := p.Watch(r.Context())
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	// Also for a proxy between: nothing comes before the first update.
	err := s.write(": alertchat preview\n\n")
	for err == nil {
		select {
		case <-beat.C:
			err = s.write(": all is well\n\n")
		case u, ok := <-updates:
			if !ok {
				return
			}
			err = p.send(&s, u)
		}
	}
	p.Logger.DebugContext(r.Context(), "a preview page has gone", "err", err)
}

// send sends one update.
func (p *preview) send(s *stream, u Update) error {
	switch {
	case u.Setup != nil:
		return s.event("setup", u.Setup)
	case u.Message != nil:
		m, err := draw(u.Message)
		if err != nil {
			// The stand-in took it, so it is one that can be drawn.
			p.Logger.Error("A message cannot be drawn", "place", u.Message.Place, "err", err)
			return nil
		}
		return s.event("message", m)
	default:
		return s.event("whole", struct{}{})
	}
}

// stream writes server-sent events.
type stream struct {
	w  http.ResponseWriter
	to *http.ResponseController
}

func (s *stream) event(name string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return s.write("event: " + name + "\ndata: " + string(data) + "\n\n")
}

// write sends a piece at once. The server's own deadline is for whole answers.
func (s *stream) write(piece string) error {
	if err := s.to.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := s.w.Write([]byte(piece)); err != nil {
		return err
	}
	return s.to.Flush()
}

func (p *preview) samples(w http.ResponseWriter, r *http.Request) {
	samples, err := p.Samples()
	if err != nil {
		p.Logger.ErrorContext(r.Context(), "The samples cannot be made", "err", err)
		problem(w, http.StatusInternalServerError, "the samples cannot be made")
		return
	}
	answer(w, samples)
}

func (p *preview) sources(w http.ResponseWriter, r *http.Request) {
	sources, err := p.Sources(r.URL.Query().Get("space"))
	if err != nil {
		problem(w, http.StatusNotFound, err.Error())
		return
	}
	answer(w, sources)
}

// render answers with what comes of a [Trial].
func (p *preview) render(w http.ResponseWriter, r *http.Request) {
	var t Trial
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxTrial)).Decode(&t); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			problem(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("template and payload are larger than %d MiB together", maxTrial>>20))
			return
		}
		problem(w, http.StatusBadRequest, "the request is not JSON of the page's form")
		return
	}
	select {
	case p.trials <- struct{}{}:
		defer func() { <-p.trials }()
	case <-r.Context().Done():
		return
	}
	out, err := resultOf(p.Try(t))
	if err != nil {
		p.Logger.ErrorContext(r.Context(), "A message cannot be drawn", "err", err)
		problem(w, http.StatusInternalServerError, "the message cannot be drawn")
		return
	}
	answer(w, out)
}

// answer writes JSON. It leaves HTML in it as it is: whoever reads it is a script
// that knows what is HTML.
func answer(w http.ResponseWriter, value any) {
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(value); err != nil {
		problem(w, http.StatusInternalServerError, "the answer cannot be written as JSON")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body.Bytes())
}

// problem answers with a sentence for people.
func problem(w http.ResponseWriter, status int, sentence string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": sentence})
}
