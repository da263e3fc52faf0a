package webui_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/html"

	"alertchat/receiver/chat"
	"alertchat/receiver/webui"
)

// functions are those of a preview in which all goes well.
func functions() webui.PreviewOptions {
	return webui.PreviewOptions{
		Watch: func(context.Context) <-chan webui.Update {
			updates := make(chan webui.Update, 4)
			updates <- webui.Update{Setup: &webui.PreviewSetup{Spaces: []webui.SetupSpace{{Place: "spaces/A", Names: []string{"ops"}, Kind: "webhook"}}, Loaded: now}}
			updates <- webui.Update{Message: &webui.Message{
				Place: "spaces/A", Name: "spaces/A/messages/M", Thread: "spaces/A/threads/T", Version: 1, At: now,
				Body: []byte(`{"text":"<b>hello</b>\nsecond"}`), Door: chat.ByWebhook,
			}}
			updates <- webui.Update{Message: &webui.Message{Body: []byte(`no JSON`)}}
			updates <- webui.Update{}
			close(updates)
			return updates
		},
		Samples: func() ([]webui.Sample, error) {
			return []webui.Sample{{Name: "firing", About: "one", Payloads: []json.RawMessage{[]byte(`{}`)}}}, nil
		},
		Sources: func(space string) ([]webui.Source, error) {
			if space != "ops" {
				return nil, errors.New("no space of the config is called that")
			}
			return []webui.Source{{Name: "chat.tmpl", Text: "text"}}, nil
		},
		Try: func(t webui.Trial) webui.Tried {
			return webui.Tried{Bodies: []json.RawMessage{[]byte(`{"text":` + t.Edits[0].Text + `}`)}, Notes: []string{"mended"}}
		},
	}
}

func ask(h http.Handler, method, target, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
	return w
}

func TestThePreviewPageLoadsOnlyItsOwnFiles(t *testing.T) {
	h := webui.NewPreview(functions())
	page := ask(h, http.MethodGet, "/preview/", "")
	policy := page.Header().Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy is %q, without %q", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is %q", policy)
	}
	loaded := 0
	z := html.NewTokenizer(page.Body)
	for z.Next() != html.ErrorToken {
		token := z.Token()
		for _, a := range token.Attr {
			switch {
			case strings.HasPrefix(a.Key, "on") || a.Key == "style":
				t.Errorf("%s has %s, which the policy forbids", token.Data, a.Key)
			case a.Key == "src" || a.Key == "href" && token.Data == "link" && a.Val != "data:,":
				loaded++
				if w := ask(h, http.MethodGet, path.Join("/preview", a.Val), ""); w.Code != http.StatusOK || w.Body.Len() == 0 || w.Header().Get("X-Content-Type-Options") != "nosniff" {
					t.Errorf("%s: %d, %d bytes", a.Val, w.Code, w.Body.Len())
				}
			}
		}
	}
	if loaded < 4 {
		t.Errorf("the page loads %d files; did the test miss some?", loaded)
	}
	for _, name := range []string{"preview.js", "card.js", "preview.css", "card.css", "base.css"} {
		w := ask(h, http.MethodGet, "/preview/"+name, "")
		if found := regexp.MustCompile(`(https?:)?//[a-z]+\.[a-z.]+|@import|url\(`).Find(w.Body.Bytes()); found != nil && !bytes.Contains(found, []byte("w3.org")) {
			t.Errorf("%s names %s", name, found)
		}
	}
}

func TestTheMessagesComeAsEvents(t *testing.T) {
	w := ask(webui.NewPreview(functions()), http.MethodGet, "/preview/events", "")
	if w.Header().Get("Content-Type") != "text/event-stream" {
		t.Errorf("the type is %q", w.Header().Get("Content-Type"))
	}
	pieces := strings.Split(strings.TrimSuffix(w.Body.String(), "\n\n"), "\n\n")
	if len(pieces) != 4 {
		t.Fatalf("%d pieces come, want 4: %q", len(pieces), pieces)
	}
	if want := `data: {"spaces":[{"place":"spaces/A","names":["ops"],"kind":"webhook"}],"loaded":"2026-11-23T15:04:05Z"}`; pieces[1] != "event: setup\n"+want {
		t.Errorf("the setup comes as %q", pieces[1])
	}
	var message struct{ Place, Name, Thread, Text, HTML string }
	data, ok := strings.CutPrefix(pieces[2], "event: message\ndata: ")
	if err := json.Unmarshal([]byte(data), &message); err != nil || !ok {
		t.Fatal(pieces[2], err)
	}
	if message.Text != "<b>hello</b>\nsecond" || !strings.Contains(message.HTML, "&lt;b&gt;hello&lt;/b&gt;") || message.Thread != "spaces/A/threads/T" {
		t.Errorf("the message comes as %+v", message)
	}
	if pieces[3] != "event: whole\ndata: {}" {
		t.Errorf("the end of what there is comes as %q", pieces[3])
	}
}

// flushed counts what a page got.
type flushed struct {
	*httptest.ResponseRecorder
	ended func()
}

func (f flushed) Write(p []byte) (int, error) {
	n, err := f.ResponseRecorder.Write(p)
	if strings.Count(f.Body.String(), ": all is well") == 3 {
		f.ended()
	}
	return n, err
}

func TestAQuietPageHearsThatAllIsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := functions()
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		updates := make(chan webui.Update)
		o.Watch = func(context.Context) <-chan webui.Update { return updates }
		w := flushed{httptest.NewRecorder(), func() { cancel(); close(updates) }}
		webui.NewPreview(o).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/preview/events", nil).WithContext(ctx))
		if took := time.Since(began); took != 45*time.Second {
			t.Errorf("three beats took %s", took)
		}
	})
}

func TestTooManyPagesAreTurnedAway(t *testing.T) {
	o := functions()
	updates := make(chan webui.Update)
	o.Watch = func(context.Context) <-chan webui.Update { return updates }
	h := webui.NewPreview(o)
	codes := make(chan int)
	const pages = 40
	for range pages {
		go func() { codes <- ask(h, http.MethodGet, "/preview/events", "").Code }()
	}
	for range pages - 32 {
		if code := <-codes; code != http.StatusServiceUnavailable {
			t.Errorf("one page too many is answered %d", code)
		}
	}
	close(updates)
	for range 32 {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("a page is answered %d", code)
		}
	}
}

func TestATrialIsAnsweredWithItsResult(t *testing.T) {
	h := webui.NewPreview(functions())
	w := ask(h, http.MethodPost, "/preview/render", `{"space":"ops","edits":[{"name":"chat.tmpl","text":"\"*hi*\""}],"payload":"{}"}`)
	var got struct {
		Messages []struct {
			HTML           string
			JSON           json.RawMessage
			Bytes, Widgets int
		}
		Notes, Faults []any
		Limits        struct{ Bytes, Widgets int }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
		t.Fatal(w.Code, w.Body, err)
	}
	if len(got.Messages) != 1 || string(got.Messages[0].JSON) != `{"text":"*hi*"}` || got.Messages[0].Bytes != 15 || !strings.Contains(got.Messages[0].HTML, "hi") {
		t.Errorf("the messages are %+v", got.Messages)
	}
	if len(got.Notes) != 1 || got.Faults == nil || got.Limits.Bytes != 32_000 || got.Limits.Widgets != 100 {
		t.Errorf("the rest is %+v", got)
	}
}

func TestTheWidgetsOfAResultAreCounted(t *testing.T) {
	o := functions()
	body, err := os.ReadFile("testdata/alert-card.json")
	if err != nil {
		t.Fatal(err)
	}
	o.Try = func(webui.Trial) webui.Tried { return webui.Tried{Bodies: []json.RawMessage{body}} }
	w := ask(webui.NewPreview(o), http.MethodPost, "/preview/render", `{}`)
	if !strings.Contains(w.Body.String(), `"widgets":9}`) {
		t.Errorf("the result is %s", w.Body)
	}
}

func TestBadRequestsOfThePageAreRefused(t *testing.T) {
	o := functions()
	o.Samples = func() ([]webui.Sample, error) { return nil, io.ErrUnexpectedEOF }
	h := webui.NewPreview(o)
	for _, c := range []struct {
		method, target, body string
		code                 int
		says                 string
	}{
		{http.MethodPost, "/preview/render", `no JSON`, http.StatusBadRequest, "not JSON"},
		{http.MethodPost, "/preview/render", `{"payload":"` + strings.Repeat("x", 9<<20) + `"}`, http.StatusRequestEntityTooLarge, "8 MiB"},
		{http.MethodPost, "/preview/render", `{"edits":[{"text":"no string of JSON"}]}`, http.StatusInternalServerError, "cannot be drawn"},
		{http.MethodGet, "/preview/sources?space=none", ``, http.StatusNotFound, "no space of the config"},
		{http.MethodGet, "/preview/samples", ``, http.StatusInternalServerError, "cannot be made"},
		{http.MethodGet, "/preview/other", ``, http.StatusNotFound, ""},
		{http.MethodGet, "/preview/render", ``, http.StatusMethodNotAllowed, ""},
	} {
		if w := ask(h, c.method, c.target, c.body); w.Code != c.code || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s %s: %d %s; want %d %s", c.method, c.target, w.Code, w.Body, c.code, c.says)
		}
	}
	foreign := httptest.NewRequest(http.MethodPost, "/preview/render", strings.NewReader(`{}`))
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, foreign)
	if w.Code != http.StatusForbidden {
		t.Errorf("a request of another site's page: %d %s", w.Code, w.Body)
	}
}
