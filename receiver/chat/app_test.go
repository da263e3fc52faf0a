package chat_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"alertchat/receiver/chat"
	"alertchat/receiver/chat/chattest"
)

// botKey is the key of all Chat apps here.
var botKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// googleChat is a stand-in for Google Chat with a Chat app in it.
type googleChat struct {
	*chattest.Server

	bot *chattest.App
}

func newGoogle(o chattest.Options) *googleChat {
	s := chattest.New(o)
	return &googleChat{s, s.AddApp("bot@example.iam.gserviceaccount.com", &botKey().PublicKey)}
}

// credentials returns those of the app, over a transport.
func (g *googleChat) credentials(t testing.TB, over http.RoundTripper) *chat.Credentials {
	t.Helper()
	c, err := chat.NewCredentials(chat.CredentialsOptions{
		JSON: g.bot.KeyFile(botKey(), chat.GoogleAPI), HTTP: &http.Client{Transport: over},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// app returns a client for a Google space or a user's direct message.
func (g *googleChat) app(t testing.TB, place string) *chat.App {
	t.Helper()
	o := chat.AppOptions{Space: place, Credentials: g.credentials(t, g.Transport()), HTTP: &http.Client{Transport: g.Transport()}}
	if strings.HasPrefix(place, "users/") {
		o.Space, o.User = "", place
	} else {
		g.bot.Join(place)
	}
	return chat.NewApp(o)
}

// wantNoToken fails the test if an error shows a token.
func (g *googleChat) wantNoToken(t *testing.T, err error) {
	t.Helper()
	for _, token := range g.bot.Tokens() {
		if shown := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(shown, token) {
			t.Errorf("the error shows a token: %s", shown)
		}
	}
}

const onCall = "spaces/ONCALL"

func TestAnAppPostsEditsAndReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGoogle(chattest.Options{})
		a := g.app(t, onCall)
		ctx := context.Background()
		first, err := a.Create(ctx, chat.Create{
			Body: json.RawMessage(`{"text":"firing","markupSyntax":"MARKUP_SYNTAX_CHAT","thread":{"threadKey":"k"}}`), RequestID: "r-1", MessageID: "client-a-1", Threaded: true,
		})
		if err != nil || !strings.HasPrefix(first.Message, onCall+"/messages/") || !strings.HasPrefix(first.Thread, onCall+"/threads/") {
			t.Fatalf("Create = %+v, %v, want names of a message and a thread", first, err)
		}
		edited, err := a.Edit(ctx, chat.Edit{
			Name: onCall + "/messages/client-a-1",
			Body: json.RawMessage(`{"text":"resolved","markupSyntax":"MARKUP_SYNTAX_CHAT","cardsV2":[{"cardId":"a","card":{"header":{"title":"green"}}}]}`),
		})
		if err != nil || edited != first {
			t.Errorf("Edit = %+v, %v, want the same message and thread", edited, err)
		}
		reply, err := a.Create(ctx, chat.Create{
			Body:      json.RawMessage(`{"text":"it is over","thread":{"name":"` + first.Thread + `"}}`),
			RequestID: "r-2", Threaded: true,
		})
		if err != nil || reply.Thread != first.Thread {
			t.Errorf("Create = %+v, %v, want a reply in %s", reply, err, first.Thread)
		}
		again, err := a.Create(ctx, chat.Create{Body: json.RawMessage(`{"text":"other"}`), RequestID: "r-2"})
		if err != nil || again.Message != reply.Message {
			t.Errorf("a repeated request id gives %+v, %v, want the message that there is", again, err)
		}
		messages := g.Messages(onCall)
		if len(messages) != 2 || messages[0].Text != "resolved" || len(messages[0].Versions) != 2 || !strings.Contains(string(messages[0].Body), "green") {
			t.Errorf("messages %+v, want the first edited, text and card together, and a reply", messages)
		}
		if n := g.TokenRequests(); n != 1 {
			t.Errorf("%d tokens were fetched, want 1", n)
		}
		if remarks := g.Remarks(); len(remarks) > 0 {
			t.Errorf("remarks %q", remarks)
		}
		for _, q := range g.Requests() {
			if q.Door != chat.ByApp {
				t.Errorf("%s came through another door", q.Method)
			}
		}
	})
}

func TestAnAppsErrorsSayWhatHappenedAndWhatToDo(t *testing.T) {
	create := func(a *chat.App) error {
		_, err := a.Create(context.Background(), chat.Create{
			Body: json.RawMessage(`{"text":"x"}`), RequestID: "r", MessageID: "client-1",
		})
		return err
	}
	edit := func(a *chat.App) error {
		_, err := a.Edit(context.Background(), chat.Edit{Name: onCall + "/messages/client-1", Body: json.RawMessage(`{"text":"x"}`)})
		return err
	}
	find := func(a *chat.App) error { _, err := a.Find(context.Background()); return err }
	for _, c := range []struct {
		name    string
		place   string
		prepare func(*googleChat)
		do      func(*chat.App) error
		outcome chat.Outcome
		code    string
		want    string
	}{
		{"no member", onCall, func(g *googleChat) { g.bot.Leave(onCall) }, create, chat.Denied, "403", "You are not permitted to use this app; add the app to spaces/ONCALL"},
		{"no such space", onCall, func(g *googleChat) { g.RemoveSpace(onCall) }, create, chat.Denied, "404", "see whether there is a space spaces/ONCALL"},
		{"the service account is gone", onCall, func(g *googleChat) { g.bot.Remove() }, create, chat.Denied, "token", "no access token: 400 invalid_grant"},
		{"the token endpoint is ill", onCall, func(g *googleChat) { g.InjectToken(-1, chattest.Fault{Status: 503}) }, create, chat.NotDone, "token", "no access token: 503"},
		{"the token endpoint throttles", onCall, func(g *googleChat) { g.InjectToken(-1, chattest.Fault{Status: 429}) }, create, chat.NotDone, "token", "no access token: 429"},
		{"the token endpoint closes the connection", onCall, func(g *googleChat) { g.InjectToken(-1, chattest.Fault{Drop: true}) }, create, chat.NotDone, "token", "no access token: the connection was closed"},
		{"the token endpoint refuses the connection", onCall, func(g *googleChat) { g.InjectToken(-1, chattest.Fault{Refuse: true}) }, create, chat.NotDone, "token", "connection refused"},
		{"the token endpoint is another program", onCall, func(g *googleChat) { g.InjectToken(-1, chattest.Fault{Status: 200, Body: "<html>hello</html>"}) }, create, chat.NotDone, "token", "no access token"},
		{"the token endpoint does not answer", onCall, func(g *googleChat) { g.InjectToken(-1, chattest.Fault{Hang: true}) }, create, chat.NotDone, "token", "no access token"},
		{"the message is there", onCall, func(g *googleChat) { must(create(g.app(nil2{}, onCall))) }, func(a *chat.App) error {
			_, err := a.Create(context.Background(), chat.Create{Body: json.RawMessage(`{"text":"y"}`), RequestID: "r-2", MessageID: "client-1"})
			return err
		}, chat.Exists, "409", "already exists"},
		{"the message is gone", onCall, nil, edit, chat.Gone, "404", "not found"},
		{"the message is somebody else's", onCall, func(g *googleChat) {
			other := &googleChat{g.Server, g.AddApp("other@example.iam.gserviceaccount.com", &botKey().PublicKey)}
			must(create(other.app(nil2{}, onCall)))
		}, edit, chat.Gone, "403", "the app can edit its own messages only"},
		{"an edit where the app is no member", onCall, func(g *googleChat) {
			must(create(g.app(nil2{}, onCall)))
			g.bot.Leave(onCall)
		}, edit, chat.Denied, "403", "You are not permitted to use this app"},
		{"the question for a direct message is not understood", "users/123", func(g *googleChat) {
			g.bot.Remove()
		}, find, chat.Denied, "token", "no access token"},
		{"the message is wrong", onCall, nil, func(a *chat.App) error {
			_, err := a.Create(context.Background(), chat.Create{Body: json.RawMessage(`{"txt":"x"}`)})
			return err
		}, chat.Refused, "400", `Unknown name "txt"`},
		{"the user has not installed the app", "users/123", nil, find, chat.Denied, "404", "users/123 has no direct message with the app: they must install it"},
		{"throttled", onCall, func(g *googleChat) { g.Inject(onCall, -1, chattest.Fault{Status: 429, RetryAfter: 7 * time.Second}) }, create, chat.NotDone, "429", "exhausted"},
		{"ill", onCall, func(g *googleChat) { g.Inject(onCall, -1, chattest.Fault{Status: 503}) }, edit, chat.Unknown, "503", "unavailable"},
		{"no token is taken", onCall, func(g *googleChat) { g.Inject(onCall, -1, chattest.Fault{Status: 401}) }, create, chat.Denied, "401", "see whether the service account is still there"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGoogle(chattest.Options{})
				a := g.app(t, c.place)
				if c.prepare != nil {
					c.prepare(g)
				}
				err := c.do(a)
				var e *chat.Error
				if !errors.As(err, &e) || e.Outcome != c.outcome || e.Code != c.code || !strings.Contains(strings.ToLower(e.Reason), strings.ToLower(c.want)) {
					t.Errorf("the error is %+v, want outcome %d, code %s and %q", err, c.outcome, c.code, c.want)
				}
				g.wantNoToken(t, err)
			})
		})
	}
}

// nil2 stands for a test where nothing can fail.
type nil2 struct{ testing.TB }

func (nil2) Helper()           {}
func (nil2) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// Also where Google did not honour request ids.
func TestARepeatedRequestOfAnAppMakesOneMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGoogle(chattest.Options{IgnoreRequestID: true})
		a := g.app(t, onCall)
		g.Inject(onCall, 1, chattest.Fault{Act: true, Drop: true})
		for _, want := range []chat.Outcome{chat.Unknown, -1} {
			r, err := a.Create(context.Background(), chat.Create{Body: json.RawMessage(`{"text":"x"}`), RequestID: "ABC234"})
			if (want == -1) != (err == nil) || err != nil && chat.AsError(err).Outcome != want {
				t.Errorf("Create = %+v, %v", r, err)
			}
		}
		if messages := g.Messages(onCall); len(messages) != 1 || messages[0].ClientID != "client-abc234" {
			t.Errorf("messages %+v, want one", messages)
		}
		if _, err := a.Create(context.Background(), chat.Create{Body: json.RawMessage(`{"text":"x"}`), RequestID: "no id: ü"}); err != nil {
			t.Errorf("Create = %v with a request id that cannot be a message's", err)
		}
	})
}

// A page of a proxy, for example.
func TestAnAnswerWithoutATokenIsNone(t *testing.T) {
	g := newGoogle(chattest.Options{})
	g.bot.Join(onCall)
	c := g.credentials(t, answering(http.StatusOK, nil, `{"status":"login required"}`))
	a := chat.NewApp(chat.AppOptions{Space: onCall, Credentials: c, HTTP: &http.Client{Transport: g.Transport()}})
	_, err := a.Create(t.Context(), chat.Create{Body: json.RawMessage(`{"text":"x"}`)})
	if e := chat.AsError(err); e.Outcome != chat.NotDone || e.Code != "token" || !strings.Contains(e.Reason, "no access token") {
		t.Errorf("the error is %+v, want that there is no token", e)
	}
	if n := len(g.Requests()); n != 0 {
		t.Errorf("%d requests were made without a token", n)
	}
}

func TestAnAppGetsAnotherTokenWhereOneIsRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGoogle(chattest.Options{})
		a := g.app(t, onCall)
		for i := range 3 {
			_, err := a.Create(context.Background(), chat.Create{Body: json.RawMessage(`{"text":"x"}`), RequestID: fmt.Sprint(i)})
			if err != nil {
				t.Fatalf("Create = %v", err)
			}
			g.bot.RevokeTokens()
		}
		if n := g.TokenRequests(); n != 3 {
			t.Errorf("%d tokens were fetched, want 3", n)
		}
	})
}

func TestAppsShareATokenAndItsFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGoogle(chattest.Options{TokenLife: time.Hour})
		g.InjectToken(1, chattest.Fault{Delay: 3 * time.Second})
		shared := g.credentials(t, g.Transport())
		var all sync.WaitGroup
		for i := range 20 {
			place := fmt.Sprintf("spaces/S%d", i)
			g.bot.Join(place)
			a := chat.NewApp(chat.AppOptions{Space: place, Credentials: shared, HTTP: &http.Client{Transport: g.Transport()}})
			all.Go(func() {
				if _, err := a.Create(context.Background(), chat.Create{Body: json.RawMessage(`{"text":"x"}`)}); err != nil {
					t.Errorf("Create = %v", err)
				}
			})
		}
		all.Wait()
		if n := g.TokenRequests(); n != 1 {
			t.Errorf("%d tokens were fetched for 20 apps at once, want 1", n)
		}
	})
}

// One who gives up must not take the token from the others.
func TestAnAttemptThatEndsDoesNotEndTheFetchOfAToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGoogle(chattest.Options{})
		g.InjectToken(1, chattest.Fault{Delay: 5 * time.Second})
		a := g.app(t, onCall)
		ctx, cancel := context.WithTimeoutCause(context.Background(), time.Second, errors.New("no answer within 1s"))
		defer cancel()
		_, err := a.Create(ctx, chat.Create{Body: json.RawMessage(`{"text":"x"}`)})
		if e := chat.AsError(err); e.Outcome != chat.NotDone || e.Code != "token" || !strings.Contains(e.Reason, "no answer within 1s") {
			t.Errorf("the error is %+v, want that no token came within a second", e)
		}
		if _, err := a.Create(context.Background(), chat.Create{Body: json.RawMessage(`{"text":"x"}`)}); err != nil || g.TokenRequests() != 1 {
			t.Errorf("Create = %v after %d fetches, want the token of the first", err, g.TokenRequests())
		}
	})
}

func TestADirectMessageIsFoundOnceAndAnewWhereItIsDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGoogle(chattest.Options{})
		a := g.app(t, "users/123")
		if place := a.Place(); place != "" {
			t.Errorf("Place = %q before anybody asked", place)
		}
		if _, err := a.Create(context.Background(), chat.Create{Body: json.RawMessage(`{"text":"x"}`)}); chat.AsError(err).Outcome != chat.Denied {
			t.Errorf("Create = %v before the app is installed, want it denied", err)
		}
		g.bot.Install("users/123", "spaces/OLD")
		for range 2 {
			if place, err := a.Find(context.Background()); place != "spaces/OLD" || err != nil || a.Place() != place {
				t.Errorf("Find = %q, %v, want spaces/OLD", place, err)
			}
		}
		asked := len(g.Requests())
		if asked != 2 {
			t.Errorf("%d requests, want one before the app was installed and one after", asked)
		}
		g.bot.Uninstall("users/123")
		if _, err := a.Create(context.Background(), chat.Create{Body: json.RawMessage(`{"text":"x"}`)}); chat.AsError(err).Outcome != chat.Denied {
			t.Errorf("Create = %v, want it denied", err)
		}
		g.bot.Install("users/123", "spaces/NEW")
		if _, err := a.Create(context.Background(), chat.Create{Body: json.RawMessage(`{"text":"x"}`)}); err != nil || a.Place() != "spaces/NEW" {
			t.Errorf("Create = %v in %q, want it in the new space", err, a.Place())
		}
	})
}

func TestAnAppNeverFollowsRedirects(t *testing.T) {
	g := newGoogle(chattest.Options{})
	g.bot.Join(onCall)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("followed to %s", r.URL.Path) }))
	defer elsewhere.Close()
	here := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer here.Close()
	client := here.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return nil }
	a := chat.NewApp(chat.AppOptions{Space: onCall, Credentials: g.credentials(t, g.Transport()), URL: here.URL, HTTP: client})
	_, err := a.Create(t.Context(), chat.Create{Body: json.RawMessage(`{"text":"x"}`)})
	if e := chat.AsError(err); e.Outcome != chat.Denied || e.Code != "307" {
		t.Errorf("the error is %+v, want it Denied with 307", e)
	}
	key := g.bot.KeyFile(botKey(), here.URL)
	c, err := chat.NewCredentials(chat.CredentialsOptions{JSON: key, HTTP: client})
	if err != nil {
		t.Fatal(err)
	}
	a = chat.NewApp(chat.AppOptions{Space: onCall, Credentials: c, HTTP: client})
	if _, err = a.Create(t.Context(), chat.Create{Body: json.RawMessage(`{"text":"x"}`)}); chat.AsError(err).Code != "token" {
		t.Errorf("the error is %+v, want that there is no token", err)
	}
}

// An endpoint that tells all it was sent is the worst case.
func TestNoErrorRepeatsAKeyAnAssertionOrAToken(t *testing.T) {
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		sent := r.Header.Get("Authorization") + " " + string(body)
		if r.URL.Path == "/ok/token" {
			_, _ = io.WriteString(w, `{"access_token":"ya29.canary","expires_in":3600,"token_type":"Bearer"}`)
			return
		}
		code := http.StatusBadRequest
		if strings.Contains(r.URL.Path, "500") {
			code = http.StatusInternalServerError
		}
		w.WriteHeader(code)
		form := strings.TrimPrefix(string(body), "assertion=")
		answer, _ := json.Marshal(map[string]any{"error": map[string]string{"message": "You sent " + sent}, "error_description": form})
		if strings.Contains(r.URL.Path, "oauth") {
			answer, _ = json.Marshal(map[string]any{"error": "invalid_grant", "error_description": "You sent " + sent})
		}
		_, _ = w.Write(answer)
	}))
	defer echo.Close()
	g := newGoogle(chattest.Options{})
	for _, base := range []string{"/400", "/500", "/oauth", "/oauth/500", "/ok"} {
		key := g.bot.KeyFile(botKey(), echo.URL+base)
		c, err := chat.NewCredentials(chat.CredentialsOptions{JSON: key})
		if err != nil {
			t.Fatal(err)
		}
		a := chat.NewApp(chat.AppOptions{Space: onCall, Credentials: c, URL: echo.URL + "/api"})
		_, err = a.Create(t.Context(), chat.Create{Body: json.RawMessage(`{"text":"x"}`)})
		e := chat.AsError(err)
		if err == nil || base != "/ok" && e.Code != "token" {
			t.Errorf("%s: Create = %v, want an error", base, err)
		}
		for _, shown := range []string{e.Error(), fmt.Sprintf("%+v %#v", e, e), fmt.Sprintf("%+v %#v %v", c, c, c), fmt.Sprintf("%+v %#v", a, a)} {
			for _, secret := range []string{"ya29.canary", "eyJ", "PRIVATE", "MII"} {
				if strings.Contains(shown, secret) {
					t.Errorf("%s: %q is shown: %s", base, secret, shown)
				}
			}
		}
	}
}
