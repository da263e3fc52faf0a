// Package webui shows alertchat to people: the status page, and the same as
// JSON for programs.
//
// What the page shows comes from outside, such as alert names and what Google
// Chat answered. It is shown as text, whatever it holds. The page loads nothing
// but itself, and it is complete without a script. The one script that it may
// run, which is its own, loads the page again every few seconds and changes
// what has changed.
package webui

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"time"
)

//go:embed status.html
var statusHTML string

//go:embed status.css
var statusCSS string

//go:embed status.js
var statusJS string

// Status is what there is to know of a running alertchat. None of its texts
// holds a secret: anyone who reaches the page may read them.
type Status struct {
	Version        string    `json:"version"`
	Now            time.Time `json:"now"`
	StartedAt      time.Time `json:"started_at"`
	ConfigLoadedAt time.Time `json:"config_loaded_at"`
	ReloadError    string    `json:"reload_error,omitempty"`  // why the config on disk is not the one in use
	Storage        string    `json:"storage"`                 // "SQLite" or "PostgreSQL"
	StorageError   string    `json:"storage_error,omitempty"` // why nothing can be stored
	ReadError      string    `json:"read_error,omitempty"`    // why this is not all there is to know
	// Delivering is whether this process delivers. Of several that share a
	// database one does, and the others stand by.
	Delivering bool    `json:"delivering"`
	Spaces     []Space `json:"spaces"` // in the order of the config
}

// Space is one configured space, or one that is gone from the config while
// there is something of it left.
type Space struct {
	Name         string    `json:"name"`
	Kind         string    `json:"kind"`                   // of its destination: "webhook" or "app"
	Place        string    `json:"place,omitempty"`        // "spaces/AAAA"; empty while it is not known
	Removed      bool      `json:"removed,omitempty"`      // whether it is gone; then it has no kind
	Waiting      int       `json:"waiting"`                // notifications that no message covers yet
	Planned      int       `json:"planned"`                // deliveries that are still to be attempted
	Oldest       time.Time `json:"oldest,omitzero"`        // when the oldest of both was received
	LastSuccess  time.Time `json:"last_success,omitzero"`  // when Google Chat last took a message
	FailingSince time.Time `json:"failing_since,omitzero"` // zero when the last attempt succeeded
	LastError    string    `json:"last_error,omitempty"`   // what the last failed attempt said
	LastErrorAt  time.Time `json:"last_error_at,omitzero"`
	// ThrottledUntil is until when nothing is sent because Google Chat asked for
	// a pause (429). It may have passed.
	ThrottledUntil time.Time `json:"throttled_until,omitzero"`
	// Fallback is the name of the space that is told when this one fails, and
	// FallbackToldAt is when it was last told that it does. That is zero while
	// there is nothing to take back.
	Fallback       string     `json:"fallback,omitempty"`
	FallbackToldAt time.Time  `json:"fallback_told_at,omitzero"`
	Dead           int        `json:"dead"`       // deliveries that were given up
	Deliveries     []Delivery `json:"deliveries"` // the latest first
}

// Delivery is one message, planned, delivered or given up.
type Delivery struct {
	ID         int64     `json:"id"`
	Title      string    `json:"title"`
	Status     string    `json:"status"`           // "planned", "done" or "dead"
	Reason     string    `json:"reason,omitempty"` // why it is dead
	Attempts   int       `json:"attempts"`
	Error      string    `json:"error,omitempty"` // what the last failed attempt said
	ReceivedAt time.Time `json:"received_at"`
	EndedAt    time.Time `json:"ended_at,omitzero"`
}

// UI answers requests for the status. Its methods are HTTP handlers.
type UI struct {
	status func(context.Context) (Status, error)
	logger *slog.Logger
	page   page
}

// New returns a UI over a function that tells the status at the moment.
func New(status func(context.Context) (Status, error), logger *slog.Logger) *UI {
	return &UI{
		status: status,
		logger: logger,
		page: newPage("status", statusHTML, statusJS, template.FuncMap{
			"ago":       ago,
			"pair":      func(now, at time.Time) moment { return moment{now, at} },
			"inOrder":   inOrder,
			"summarize": summarize,
			"untold":    untold,
		}, baseCSS, statusCSS),
	}
}

// Page answers with the status page.
func (u *UI) Page(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", u.page.policy)
	u.answer(w, r, "text/html; charset=utf-8", func(b *bytes.Buffer, s Status) error { return u.page.template.Execute(b, s) })
}

// JSON answers with the status as a JSON object, a [Status].
func (u *UI) JSON(w http.ResponseWriter, r *http.Request) {
	u.answer(w, r, "application/json", func(b *bytes.Buffer, s Status) error { return json.NewEncoder(b).Encode(s) })
}

// answer writes the whole answer or, where something fails, 503.
func (u *UI) answer(w http.ResponseWriter, r *http.Request, contentType string, render func(*bytes.Buffer, Status) error) {
	header := w.Header()
	guard(header)
	var body bytes.Buffer
	status, err := u.status(r.Context())
	if err == nil {
		err = render(&body, whole(status))
	}
	if err != nil {
		u.logger.WarnContext(r.Context(), "The status cannot be shown", "err", err)
		header.Set("Retry-After", "5")
		problem(w, http.StatusServiceUnavailable, "the status cannot be shown at the moment")
		return
	}
	header.Set("Content-Type", contentType)
	_, _ = w.Write(body.Bytes())
}

// whole returns the status with its times in UTC, and with empty lists where
// there are none: in JSON, null would be one more case.
func whole(s Status) Status {
	s.Now, s.StartedAt, s.ConfigLoadedAt = s.Now.UTC(), s.StartedAt.UTC(), s.ConfigLoadedAt.UTC()
	spaces := make([]Space, len(s.Spaces))
	for i, space := range s.Spaces {
		for _, at := range []*time.Time{
			&space.Oldest, &space.LastSuccess, &space.FailingSince, &space.LastErrorAt, &space.ThrottledUntil, &space.FallbackToldAt,
		} {
			*at = at.UTC()
		}
		deliveries := make([]Delivery, len(space.Deliveries))
		for j, d := range space.Deliveries {
			d.ReceivedAt, d.EndedAt = d.ReceivedAt.UTC(), d.EndedAt.UTC()
			deliveries[j] = d
		}
		space.Deliveries = deliveries
		spaces[i] = space
	}
	s.Spaces = spaces
	return s
}

// moment is a time that is shown together with how far away it is.
type moment struct{ Now, At time.Time }

// ago says how far from now something is, in its largest unit.
func ago(now, t time.Time) string {
	switch d := now.Sub(t); {
	case d <= -time.Second:
		return "in " + length(-d)
	case d < time.Second:
		return "just now"
	default:
		return length(d) + " ago"
	}
}

func length(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	default:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
}
