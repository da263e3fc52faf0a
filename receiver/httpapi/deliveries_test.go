package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"alertchat/receiver/httpapi"
)

func TestQueryForDeliveriesIsHandedOnOrRefused(t *testing.T) {
	const (
		parameters = "want the parameters state, space and limit, each at most once"
		states     = "want state=dead, state=planned or state=done"
		limits     = "want a limit from 1 to 1000"
	)
	for _, tt := range []struct {
		name, query string
		want        httpapi.Query
		sentence    string
	}{
		{"all that are dead", "?state=dead", httpapi.Query{State: "dead", Limit: 100}, ""},
		{"those of a space", "?space=ops&state=planned", httpapi.Query{State: "planned", Space: "ops", Limit: 100}, ""},
		{"a space that nobody knows", "?state=done&space=%2Fno%20where", httpapi.Query{State: "done", Space: "/no where", Limit: 100}, ""},
		{"what no database takes for a name", "?state=done&space=a%00b%FF", httpapi.Query{State: "done", Space: "a\uFFFDb\uFFFD", Limit: 100}, ""},
		{"the least", "?state=dead&limit=1", httpapi.Query{State: "dead", Limit: 1}, ""},
		{"the most", "?state=dead&limit=1000", httpapi.Query{State: "dead", Limit: 1000}, ""},
		{"no state", "", httpapi.Query{}, states},
		{"an empty state", "?state=", httpapi.Query{}, states},
		{"a state that is none", "?state=Dead", httpapi.Query{}, states},
		{"an empty name", "?state=dead&space=", httpapi.Query{}, "want the name of a space after space="},
		{"too many", "?state=dead&limit=1001", httpapi.Query{}, limits},
		{"none", "?state=dead&limit=0", httpapi.Query{}, limits},
		{"fewer than none", "?state=dead&limit=-1", httpapi.Query{}, limits},
		{"more than a number can be", "?state=dead&limit=99999999999999999999", httpapi.Query{}, limits},
		{"a limit that is no number", "?state=dead&limit=", httpapi.Query{}, limits},
		{"an unknown parameter", "?state=dead&offset=5", httpapi.Query{}, parameters},
		{"a parameter given twice", "?state=dead&state=done", httpapi.Query{}, parameters},
		{"a query that is none", "?state=dead&space=%zz", httpapi.Query{}, "the query cannot be read"},
		{"another separator", "?state=dead;limit=5", httpapi.Query{}, "the query cannot be read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := &receiver{}
			w := newAPI(rec).do(t, "GET", "/api/v1/deliveries"+tt.query, nil)
			status, body, asked := http.StatusOK, `{"deliveries":[]}`+"\n", []httpapi.Query{tt.want}
			if tt.sentence != "" {
				status, body, asked = http.StatusBadRequest, `{"error":"`+tt.sentence+`"}`+"\n", nil
			}
			if w.Code != status || w.Body.String() != body {
				t.Errorf("answer = %d %s, want %d %s", w.Code, w.Body, status, body)
			}
			if diff := cmp.Diff(asked, rec.asked); diff != "" {
				t.Errorf("asked for (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDeliveriesAreListedInTheirOrderAndInUTC(t *testing.T) {
	at := time.Date(2026, 11, 23, 16, 0, 0, 5e6, time.FixedZone("CET", 3600))
	hostile := "</script><b>\u202e\x00" + strings.Repeat("x", 10_000)
	rec := &receiver{deliveries: []httpapi.Delivery{
		{ID: 9, Space: "ops", Title: hostile, Status: "dead", Reason: "expired", Attempts: 88, Error: "404: the space was not found", ReceivedAt: at, CreatedAt: at.Add(time.Second), EndedAt: at.Add(time.Hour)},
		{ID: 7, Space: "gone", Title: "1 alert firing: DiskFull", Status: "planned", ReceivedAt: at, CreatedAt: at},
	}}
	before := slices.Clone(rec.deliveries)
	w := newAPI(rec).do(t, "GET", "/api/v1/deliveries?state=dead", nil)
	want := `{"deliveries":[` +
		`{"id":9,"space":"ops","title":"\u003c/script\u003e\u003cb\u003e` + "\u202e" + `\u0000` + strings.Repeat("x", 10_000) + `","status":"dead","reason":"expired","attempts":88,"error":"404: the space was not found",` +
		`"received_at":"2026-11-23T15:00:00.005Z","created_at":"2026-11-23T15:00:01.005Z","ended_at":"2026-11-23T16:00:00.005Z"},` +
		`{"id":7,"space":"gone","title":"1 alert firing: DiskFull","status":"planned","attempts":0,` +
		`"received_at":"2026-11-23T15:00:00.005Z","created_at":"2026-11-23T15:00:00.005Z"}]}` + "\n"
	if diff := cmp.Diff(want, w.Body.String()); w.Code != 200 || diff != "" {
		t.Errorf("answer = %d (-want +got):\n%s", w.Code, diff)
	}
	for key, want := range map[string]string{"Content-Type": "application/json", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"} {
		if got := w.Header().Get(key); got != want {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
	if diff := cmp.Diff(before, rec.deliveries); diff != "" {
		t.Errorf("what was returned was changed (-want +got):\n%s", diff)
	}
	var back struct{ Deliveries []httpapi.Delivery }
	if err := json.Unmarshal(w.Body.Bytes(), &back); err != nil || back.Deliveries[0].Title != hostile {
		t.Errorf("the title comes back as %.40q, %v", back.Deliveries[0].Title, err)
	}
}

func TestDeliveriesThatCannotBeShownAre503(t *testing.T) {
	for name, rec := range map[string]*receiver{
		"because the storage fails":        {listErr: errors.New("disk I/O error")},
		"because a time is beyond our own": {deliveries: []httpapi.Delivery{{CreatedAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}}},
	} {
		w := newAPI(rec).do(t, "GET", "/api/v1/deliveries?state=dead", nil)
		if want := `{"error":"the deliveries cannot be read"}` + "\n"; w.Code != 503 || w.Body.String() != want || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: answer = %d %s, want 503 %s", name, w.Code, w.Body, want)
		}
	}
}

const firefox = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

func TestRetryIsAnsweredByWhatBecameOfIt(t *testing.T) {
	for _, tt := range []struct {
		name, id, accept string
		err              error
		status           int
		answer           string
	}{
		{"a script", "7", "", nil, 200, `{"status":"ok"}`},
		{"curl with a form", "7", "*/*", nil, 200, `{"status":"ok"}`},
		{"the page", "7", firefox, nil, 303, ""},
		{"a second click on the page", "7", firefox, httpapi.ErrNotDead, 303, ""},
		{"none there", "7", "", httpapi.ErrNoDelivery, 404, `{"error":"there is no delivery with this id"}`},
		{"none there, from the page", "7", firefox, fmt.Errorf("retry: %w", httpapi.ErrNoDelivery), 404, `{"error":"there is no delivery with this id"}`},
		{"one that is not dead", "7", "", fmt.Errorf("retry: %w", httpapi.ErrNotDead), 409, `{"error":"the delivery is not dead, so there is nothing to retry"}`},
		{"one of a space that is gone", "7", "", httpapi.ErrSpaceGone, 409, `{"error":"the delivery's space is not in the config any more"}`},
		{"one of a space that is gone, from the page", "7", firefox, httpapi.ErrSpaceGone, 409, `{"error":"the delivery's space is not in the config any more"}`},
		{"a full disk", "7", "", errors.New("no space left on device"), 503, `{"error":"the delivery could not be put back"}`},
		{"a full disk, from the page", "7", firefox, errors.New("no space left on device"), 503, `{"error":"the delivery could not be put back"}`},
		{"a word", "all", "", nil, 400, `{"error":"the id of a delivery is a number"}`},
		{"a word, from the page", "all", firefox, nil, 400, `{"error":"the id of a delivery is a number"}`},
		{"half a number", "7.5", "", nil, 400, `{"error":"the id of a delivery is a number"}`},
		{"more than a number can be", "9223372036854775808", "", nil, 400, `{"error":"the id of a delivery is a number"}`},
		{"a path for a number", "7%2F8", "", nil, 400, `{"error":"the id of a delivery is a number"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := &receiver{retryErr: tt.err}
			h := newAPI(rec)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/deliveries/"+tt.id+"/retry", nil)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Accept", tt.accept)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tt.status || strings.TrimSuffix(w.Body.String(), "\n") != tt.answer {
				t.Errorf("answer = %d %s, want %d %s", w.Code, w.Body, tt.status, tt.answer)
			}
			var retried []int64
			if tt.status != 400 {
				retried = []int64{7}
			}
			if !slices.Equal(rec.retried, retried) {
				t.Errorf("retried %d, want %d", rec.retried, retried)
			}
			if logged := strings.Join(h.log.lines(slog.LevelWarn), ""); tt.status == 503 && !strings.Contains(logged, "no space left") {
				t.Errorf("the log does not say why: %q", logged)
			}
		})
	}
}

// TestPageIsFoundAgainBelowAPrefix has the URLs as a browser sees them behind a
// proxy.
func TestPageIsFoundAgainBelowAPrefix(t *testing.T) {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/deliveries/7/retry", nil)
	r.Header.Set("Accept", firefox)
	w := httptest.NewRecorder()
	newAPI(&receiver{}).ServeHTTP(w, r)
	for page, posted := range map[string]string{
		"http://alertchat:9098/":            "http://alertchat:9098/api/v1/deliveries/7/retry",
		"https://ops.example.org/alerts/x/": "https://ops.example.org/alerts/x/api/v1/deliveries/7/retry",
	} {
		base, err := url.Parse(posted)
		if err != nil {
			t.Fatal(err)
		}
		got, err := base.Parse(w.Header().Get("Location"))
		if err != nil || got.String() != page {
			t.Errorf("from %s to %v, %v; want %s", posted, got, err, page)
		}
	}
}

func TestStorageThatHangsKeepsNobodyWaiting(t *testing.T) {
	for _, request := range [][2]string{{"GET", "/api/v1/deliveries?state=dead"}, {"POST", "/api/v1/deliveries/7/retry"}} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			hang := func(ctx context.Context) error {
				<-ctx.Done()
				return context.Cause(ctx)
			}
			h := newAPI(&receiver{hang: hang})
			w := h.do(t, request[0], request[1], nil)
			if w.Code != 503 || time.Since(start) != 10*time.Second {
				t.Errorf("%s %s = %d after %v, want 503 after 10s", request[0], request[1], w.Code, time.Since(start))
			}
		})
	}
}
