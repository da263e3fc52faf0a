package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// defaultLimit and maxLimit are how many deliveries are listed.
	defaultLimit = 100
	maxLimit     = 1000
	// storageTimeout bounds one call of Deliveries or Retry.
	storageTimeout = 10 * time.Second
)

// The errors with which Options.Retry says why it does not retry.
var (
	ErrNoDelivery = errors.New("there is no such delivery")
	ErrNotDead    = errors.New("the delivery is not dead")
	ErrSpaceGone  = errors.New("the delivery's space is gone from the config")
)

var errStorageTimeout = errors.New("the storage did not answer in time")

// Query is which deliveries are asked for.
type Query struct {
	State string // "planned", "done" or "dead"
	Space string // empty for all; the name may be that of no space
	Limit int    // how many at most, 1 to 1,000
}

// Delivery is a delivery as it is listed: without what it says but for its
// title, and without any secret.
type Delivery struct {
	ID         int64     `json:"id"`
	Space      string    `json:"space"`
	Title      string    `json:"title"`
	Status     string    `json:"status"`           // "planned", "done" or "dead"
	Reason     string    `json:"reason,omitempty"` // why it is dead
	Attempts   int       `json:"attempts"`
	Error      string    `json:"error,omitempty"`   // what the last failed attempt said
	ReceivedAt time.Time `json:"received_at"`       // when the oldest notification in it arrived
	CreatedAt  time.Time `json:"created_at"`        // when it was planned
	EndedAt    time.Time `json:"ended_at,omitzero"` // when it was done or died
}

// list answers with deliveries.
func (a *api) list(w http.ResponseWriter, r *http.Request) error {
	q, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(r.Context(), storageTimeout, errStorageTimeout)
	defer cancel()
	found, err := a.Deliveries(ctx, q)
	if err != nil {
		return unavailable("the deliveries cannot be read", err)
	}
	found = append([]Delivery{}, found...) // in JSON, null would be one more case
	for i := range found {
		d := &found[i]
		d.ReceivedAt, d.CreatedAt, d.EndedAt = d.ReceivedAt.UTC(), d.CreatedAt.UTC(), d.EndedAt.UTC()
	}
	body, err := json.Marshal(map[string][]Delivery{"deliveries": found})
	if err != nil {
		return unavailable("the deliveries cannot be read", err)
	}
	writeBody(w, http.StatusOK, append(body, '\n'))
	return nil
}

// parseQuery reads what is asked for, or says what is wanted.
func parseQuery(raw string) (Query, error) {
	bad := func(sentence string) (Query, error) {
		return Query{}, &failure{status: http.StatusBadRequest, sentence: sentence}
	}
	given, err := url.ParseQuery(raw)
	if err != nil {
		return bad("the query cannot be read")
	}
	for name, values := range given {
		if !slices.Contains([]string{"state", "space", "limit"}, name) || len(values) > 1 {
			return bad("want the parameters state, space and limit, each at most once")
		}
	}
	q := Query{State: given.Get("state"), Space: printable(given.Get("space")), Limit: defaultLimit}
	if !slices.Contains([]string{"planned", "done", "dead"}, q.State) {
		return bad("want state=dead, state=planned or state=done")
	}
	if given.Has("space") && q.Space == "" {
		return bad("want the name of a space after space=")
	}
	if given.Has("limit") {
		q.Limit, err = strconv.Atoi(given.Get("limit"))
		if err != nil || q.Limit < 1 || q.Limit > maxLimit {
			return bad("want a limit from 1 to 1000")
		}
	}
	return q, nil
}

// retry puts a dead delivery back.
func (a *api) retry(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return &failure{status: http.StatusBadRequest, sentence: "the id of a delivery is a number"}
	}
	ctx, cancel := context.WithTimeoutCause(r.Context(), storageTimeout, errStorageTimeout)
	defer cancel()
	err = a.Retry(ctx, id)
	// A second click on the button is no mistake: the page shows what became of
	// the first.
	if fromPage(r) && (err == nil || errors.Is(err, ErrNotDead)) {
		// Relative, as the page's own links: a proxy may put it under a prefix.
		w.Header().Set("Location", "../../../../")
		w.WriteHeader(http.StatusSeeOther)
		return nil
	}
	switch {
	case err == nil:
		return writeOK(w)
	case errors.Is(err, ErrNoDelivery):
		return &failure{status: http.StatusNotFound, sentence: "there is no delivery with this id"}
	case errors.Is(err, ErrNotDead):
		return &failure{status: http.StatusConflict, sentence: "the delivery is not dead, so there is nothing to retry"}
	case errors.Is(err, ErrSpaceGone):
		return &failure{status: http.StatusConflict, sentence: "the delivery's space is not in the config any more"}
	default:
		return unavailable("the delivery could not be put back", err)
	}
}

// fromPage tells whether a browser posted a form, which then goes on to a page.
// Only browsers name HTML; the content type of a form is curl's default too.
func fromPage(r *http.Request) bool {
	return strings.Contains(strings.Join(r.Header.Values("Accept"), ","), "text/html")
}
