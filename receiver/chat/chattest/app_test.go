package chattest_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
	googleoauth "golang.org/x/oauth2/google"

	"alertchat/receiver/chat"
	"alertchat/receiver/chat/chattest"
)

const (
	email   = "alerts@my-project.iam.gserviceaccount.com"
	botOnly = "https://www.googleapis.com/auth/chat.bot"
	direct  = "spaces/DM"
	user    = "users/123"
)

// Keys take long to make, and no test changes one.
var ourKey, theirKey = sync.OnceValue(newKey), sync.OnceValue(newKey)

func newKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

// rig is a server with an app that is a member of one space.
type rig struct {
	*chattest.Server

	t     testing.TB
	app   *chattest.App
	token string
}

func newRig(t testing.TB, o chattest.Options) *rig {
	t.Helper()
	s := chattest.New(o)
	r := &rig{Server: s, t: t, app: s.AddApp(email, &ourKey().PublicKey)}
	r.app.Join(place)
	r.token = r.newToken(r.app)
	return r
}

// source returns where the tokens of a key file come from, as a program has it.
func source(t testing.TB, s *chattest.Server, file []byte, scopes ...string) oauth2.TokenSource {
	t.Helper()
	config, err := googleoauth.JWTConfigFromJSON(file, scopes...)
	if err != nil {
		t.Fatal(err)
	}
	return config.TokenSource(context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{Transport: s.Transport()}))
}

func (r *rig) newToken(a *chattest.App) string {
	r.t.Helper()
	token, err := source(r.t, r.Server, a.KeyFile(ourKey(), google), botOnly).Token()
	if err != nil {
		r.t.Fatal(err)
	}
	return token.AccessToken
}

// as sends a request with a token.
func (r *rig) as(token, method, path, body string) answer {
	r.t.Helper()
	q, err := http.NewRequestWithContext(r.t.Context(), method, google+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	q.Header.Set("Content-Type", typeJSON)
	q.Header.Set("Authorization", "Bearer "+token)
	return do(r.t, r.Server, q)
}

// create, edit, drop and get send an app's requests. What is edited, dropped or
// got is named in full.
func (r *rig) create(in, query, body string) answer {
	r.t.Helper()
	return r.as(r.token, http.MethodPost, "/v1/"+in+"/messages?"+query, body)
}

func (r *rig) edit(name, query, body string) answer {
	r.t.Helper()
	return r.as(r.token, http.MethodPatch, "/v1/"+name+"?"+query, body)
}

func (r *rig) drop(name string) answer {
	r.t.Helper()
	return r.as(r.token, http.MethodDelete, "/v1/"+name, "")
}

func (r *rig) get(name string) answer {
	r.t.Helper()
	return r.as(r.token, http.MethodGet, "/v1/"+name, "")
}

func (r *rig) find(name string) answer {
	r.t.Helper()
	return r.as(r.token, http.MethodGet, "/v1/spaces:findDirectMessage?name="+name, "")
}

// client is the full name of a message by its sender's id.
func client(id string) string { return place + "/messages/client-" + id }

// refused checks that an answer is a refusal.
func (r *rig) refused(what string, a answer, code int, status, message string) {
	r.t.Helper()
	if a.code != code || a.Error.Code != code || a.Error.Status != status || !strings.Contains(a.Error.Message, message) {
		r.t.Errorf("%s: the answer is %d %s, want %d %s %s", what, a.code, a.body, code, status, message)
	}
}

func (r *rig) taken(what string, a answer) {
	r.t.Helper()
	if a.code != 200 {
		r.t.Errorf("%s: the answer is %d %s, want 200", what, a.code, a.body)
	}
}

func TestTheKeyFileLooksLikeGoogles(t *testing.T) {
	a := chattest.New(chattest.Options{}).AddApp(email, &ourKey().PublicKey)
	raw := a.KeyFile(ourKey(), "http://127.0.0.1:8080/")
	var file map[string]string
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(file["private_key"], "-----BEGIN PRIVATE KEY-----\n") || len(file["private_key_id"]) != 40 || len(file["client_id"]) != 21 {
		t.Errorf("the file is %s, want a key as PKCS#8, its id of 40 characters and a client id of 21", raw)
	}
	for _, name := range []string{"private_key", "private_key_id", "client_id"} {
		delete(file, name)
	}
	want := map[string]string{
		"type": "service_account", "project_id": "my-project", "client_email": email, "token_uri": "http://127.0.0.1:8080/token",
	}
	if diff := cmp.Diff(want, file); diff != "" {
		t.Errorf("the file (-want +got):\n%s", diff)
	}
}

func TestAnAppIsAskedForItsToken(t *testing.T) {
	r := newRig(t, chattest.Options{})
	const (
		base    = "/v1/" + place + "/messages"
		unknown = "Request had invalid authentication credentials. Expected OAuth 2 access token"
		noKey   = "Method doesn't allow unregistered callers"
	)
	webhook := r.AddWebhook(place)
	message := "/v1/" + r.create(place, "", hello).Name
	tests := []struct {
		name, token, method, path string
		code                      int
		status, message           string
	}{
		{"no such token", "ya29.c.x", "POST", base, 401, "UNAUTHENTICATED", unknown},
		{"an empty token", "", "POST", base, 401, "UNAUTHENTICATED", unknown},
		{"no such token, for a message", "x", "GET", message, 401, "UNAUTHENTICATED", unknown},
		{"no such token, for a space that is none", "x", "POST", "/v1/spaces/NONE/messages", 401, "UNAUTHENTICATED", unknown},
		{"no such token, for a direct message", "x", "GET", "/v1/spaces:findDirectMessage?name=" + user, 401, "UNAUTHENTICATED", unknown},
		{"a space that is none", r.token, "POST", "/v1/spaces/NONE/messages", 404, "NOT_FOUND", ""},
		{"a token and a webhook", r.token, "POST", webhook, 400, "INVALID_ARGUMENT", "exclude each other"},
		{"a token and a key", r.token, "GET", message + "?key=x", 400, "INVALID_ARGUMENT", "exclude each other"},
		{"to list messages", r.token, "GET", base, 403, "PERMISSION_DENIED", "insufficient authentication scopes"},
		{"a method that is none", r.token, "DELETE", base, 404, "NOT_FOUND", ""},
		{"a method that is none, of a message", r.token, "POST", message, 404, "NOT_FOUND", ""},
		{"as it should be", r.token, "GET", message, 200, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := r.as(tt.token, tt.method, tt.path, hello)
			if a.code != tt.code || a.Error.Status != tt.status || !strings.Contains(a.Error.Message, tt.message) {
				t.Errorf("the answer is %d %s, want %d %s %s", a.code, a.body, tt.code, tt.status, tt.message)
			}
		})
	}
	for _, path := range []string{message, "/v1/spaces:findDirectMessage?name=" + user} {
		r.refused("without anything", send(t, r.Server, "GET", path, ""), 403, "PERMISSION_DENIED", noKey)
	}
	_, query, _ := strings.Cut(webhook, "?")
	for path, name := range map[string]string{message + "?": "", "/v1/spaces:findDirectMessage?": "name=" + user + "&"} {
		r.refused("with a webhook's key and token", send(t, r.Server, "GET", path+name+query, ""), 403, "PERMISSION_DENIED", "The caller does not have permission")
	}
	r.refused("with a webhook's key alone", send(t, r.Server, "PATCH", message+"?key=x", hello), 400, "INVALID_ARGUMENT", "API key not valid")
	if got := len(r.Messages(place)); got != 1 {
		t.Errorf("the space has %d messages, want 1", got)
	}
}

func TestTheSchemeOfATokenIsInAnyCase(t *testing.T) {
	r := newRig(t, chattest.Options{})
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, google+"/v1/"+place+"/messages", strings.NewReader(hello))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Content-Type", typeJSON)
	q.Header.Set("Authorization", "bearer "+r.token)
	r.taken("bearer", do(t, r.Server, q))
}

func TestMembership(t *testing.T) {
	r := newRig(t, chattest.Options{})
	const not = "You are not permitted to use this app"
	r.AddWebhook("spaces/BBBB")
	r.refused("before it joins", r.create("spaces/BBBB", "", hello), 403, "PERMISSION_DENIED", not)
	r.app.Join("spaces/BBBB")
	made := r.create("spaces/BBBB", "", hello)
	r.taken("as a member", made)
	r.app.Leave("spaces/BBBB")
	r.app.Leave("spaces/NONE")
	r.refused("a message after it left", r.create("spaces/BBBB", "", hello), 403, "PERMISSION_DENIED", not)
	r.refused("an edit after it left", r.edit(made.Name, "updateMask=text", hello), 403, "PERMISSION_DENIED", not)
	r.refused("a deletion after it left", r.drop(made.Name), 403, "PERMISSION_DENIED", not)
	r.refused("a look after it left", r.get(made.Name), 403, "PERMISSION_DENIED", not)
	if got := len(r.Messages("spaces/BBBB")); got != 1 {
		t.Errorf("the space has %d messages, want 1", got)
	}
	r.RemoveSpace(place)
	r.refused("a space that is gone", r.create(place, "", hello), 404, "NOT_FOUND", "")
	r.AddWebhook(place)
	r.refused("a new space of that name", r.create(place, "", hello), 403, "PERMISSION_DENIED", not)
}

func TestDirectMessages(t *testing.T) {
	r := newRig(t, chattest.Options{})
	other := r.AddApp("other@my-project.iam.gserviceaccount.com", &ourKey().PublicKey)
	r.refused("before it is installed", r.find(user), 404, "NOT_FOUND", "")
	r.app.Install(user, direct)
	a := r.find(user)
	r.taken("installed", a)
	var got map[string]any
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"name": direct, "type": "DM", "spaceType": "DIRECT_MESSAGE", "singleUserBotDm": true, "spaceThreadingState": "UNTHREADED_MESSAGES",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the space (-want +got):\n%s", diff)
	}
	r.taken("a message", r.create(direct, "", hello))
	r.refused("another user", r.find("users/124"), 404, "NOT_FOUND", "")
	r.refused("another app", r.as(r.newToken(other), "GET", "/v1/spaces:findDirectMessage?name="+user, ""), 404, "NOT_FOUND", "")
	r.refused("an alias", r.find("users/a@example.com"), 403, "PERMISSION_DENIED", "email aliases")
	for _, name := range []string{"", "users/", "users/abc", "123", "spaces/123", "users/1/2", "a@example.com"} {
		r.refused("the name "+name, r.find(name), 400, "INVALID_ARGUMENT", "Invalid user resource name.")
	}
	r.refused("an unknown parameter", r.find(user+"&foo=1"), 400, "INVALID_ARGUMENT", `Unknown name "foo"`)

	r.app.Uninstall(user)
	r.app.Uninstall("users/124")
	r.refused("uninstalled", r.find(user), 404, "NOT_FOUND", "")
	r.refused("a message when uninstalled", r.create(direct, "", hello), 403, "PERMISSION_DENIED", "You are not permitted to use this app")
	r.app.Install(user, direct)
	r.taken("installed again", r.find(user))
	r.app.Leave(direct)
	r.refused("no member any more", r.find(user), 404, "NOT_FOUND", "")
	r.app.Install(user, direct)
	r.RemoveSpace(direct)
	r.refused("its space is gone", r.find(user), 404, "NOT_FOUND", "")
}

func TestDirectMessagesHaveNoThreads(t *testing.T) {
	r := newRig(t, chattest.Options{})
	r.app.Install(user, direct)
	first := r.create(direct, strings.TrimPrefix(orNew, "&"), key("k"))
	for what, body := range map[string]string{"a key": key("k"), "a name": name(first.Thread.Name), "a name of elsewhere": name(place + "/threads/T"), "nothing": hello} {
		a := r.create(direct, strings.TrimPrefix(orNew, "&"), body)
		if a.code != 200 || a.Thread.Name == first.Thread.Name || a.Thread.ThreadKey != "" {
			t.Errorf("a message with %s: %d %s, want it in a thread of its own", what, a.code, a.body)
		}
	}
	if a := post(t, r.Server, r.AddWebhook(direct)+orFail, name(first.Thread.Name)); a.code != 200 || a.Thread.Name == first.Thread.Name {
		t.Errorf("a webhook's message: %d %s, want it in a thread of its own", a.code, a.body)
	}
	for _, m := range r.Messages(direct) {
		if m.Reply || m.ThreadKey != "" {
			t.Errorf("the message %+v is in a thread", m)
		}
	}
	r.refused("an option that is none", r.create(direct, "messageReplyOption=X", hello), 400, "INVALID_ARGUMENT", "message_reply_option")
}

func TestTheHistoryOfAnApp(t *testing.T) {
	r := newRig(t, chattest.Options{})
	r.app.Install(user, direct)
	made := r.create(place, "requestId=r&messageId=client-a", hello)
	r.edit(client("a"), "updateMask=text", `{"text":"new"}`)
	r.edit(client("b"), "updateMask=text", `{"text":"new"}`)
	r.get(made.Name)
	r.find(user)
	r.drop(made.Name)
	var got []string
	for _, q := range r.Requests() {
		if q.Door != chat.ByApp {
			t.Errorf("the request %+v came by %v", q, q.Door)
		}
		got = append(got, fmt.Sprintln(q.Method, q.Space, q.RequestID, q.MessageID, q.Target, len(q.Body), q.Status, q.Message))
	}
	want := []string{
		fmt.Sprintln("POST", place, "r", "client-a", "", len(hello), 200, made.Name),
		fmt.Sprintln("PATCH", place, "", "", client("a"), 14, 200, made.Name),
		fmt.Sprintln("PATCH", place, "", "", client("b"), 14, 404, ""),
		fmt.Sprintln("GET", place, "", "", made.Name, 0, 200, ""),
		fmt.Sprintln("GET", "", "", "", user, 0, 200, ""),
		fmt.Sprintln("DELETE", place, "", "", made.Name, 0, 200, ""),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Requests (-want +got):\n%s", diff)
	}
	for _, q := range r.Requests() {
		if strings.Contains(fmt.Sprintf("%+v %s", q, q.Body), r.token) {
			t.Errorf("the request %+v holds the token", q)
		}
	}
}
