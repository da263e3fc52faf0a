package chattest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"alertchat/receiver/chat"
	"alertchat/receiver/chat/chattest"
)

const (
	place    = "spaces/AAAA"
	hello    = `{"text":"hello"}`
	orNew    = "&messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"
	orFail   = "&messageReplyOption=REPLY_MESSAGE_OR_FAIL"
	google   = "https://chat.googleapis.com"
	typeJSON = "application/json; charset=UTF-8"
)

// answer is what came back for a request.
type answer struct {
	code   int
	header http.Header
	body   string
	// of a message:
	Name   string
	Text   string
	Thread struct{ Name, ThreadKey string }
	// of an error:
	Error struct {
		Code    int
		Message string
		Status  string
		Details []struct {
			Type            string `json:"@type"`
			FieldViolations []struct{ Field, Description string }
			Reason          string
		}
	}
}

// send sends a request to the server without sockets.
func send(t testing.TB, s *chattest.Server, method, pathAndQuery, body string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, google+pathAndQuery, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", typeJSON)
	return do(t, s, r)
}

func do(t testing.TB, s *chattest.Server, r *http.Request) answer {
	t.Helper()
	response, err := s.Transport().RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{code: response.StatusCode, header: response.Header, body: string(raw)}
	if err := json.Unmarshal(raw, &a); err != nil {
		t.Fatalf("the answer %d %s is no JSON: %v", a.code, raw, err)
	}
	return a
}

func post(t testing.TB, s *chattest.Server, pathAndQuery, body string) answer {
	t.Helper()
	return send(t, s, http.MethodPost, pathAndQuery, body)
}

// key returns a message with a thread key.
func key(k string) string { return fmt.Sprintf(`{"text":"x","thread":{"threadKey":%q}}`, k) }

// name returns a message with a thread's name.
func name(n string) string { return fmt.Sprintf(`{"text":"x","thread":{"name":%q}}`, n) }

func TestAWebhookLooksLikeGoogles(t *testing.T) {
	s := chattest.New(chattest.Options{})
	first, second := s.AddWebhook(place), s.AddWebhook("spaces/BBBB")
	var keys, tokens []string
	for _, path := range []string{first, second} {
		u, err := chat.ParseWebhookURL(google + path)
		if err != nil || !u.Google() {
			t.Fatalf("the webhook %s: %v", path, err)
		}
		parsed, err := url.Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		keys, tokens = append(keys, parsed.Query().Get("key")), append(tokens, parsed.Query().Get("token"))
	}
	if keys[0] != keys[1] || len(keys[0]) != 39 || tokens[0] == tokens[1] || len(tokens[0]) != 44 {
		t.Errorf("the keys are %q and the tokens %q; want one key of 39 characters and two tokens of 44", keys, tokens)
	}
	if diff := cmp.Diff([]string{place, "spaces/BBBB"}, s.Spaces()); diff != "" {
		t.Errorf("Spaces (-want +got):\n%s", diff)
	}
}

func TestTheAnswerIsTheRequestWithNames(t *testing.T) {
	s := chattest.New(chattest.Options{})
	path := s.AddWebhook(place)
	a := post(t, s, path+orNew, `{"text":"hello","fallbackText":"h","thread":{"threadKey":"k"}}`)
	thread := a.Thread.Name
	id := strings.TrimPrefix(thread, place+"/threads/")
	var got map[string]any
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"name": place + "/messages/" + id + "." + id, "text": "hello", "fallbackText": "h",
		"thread": map[string]any{"name": thread, "threadKey": "k"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the answer (-want +got):\n%s", diff)
	}
	if a.code != 200 || a.header.Get("Content-Type") != typeJSON {
		t.Errorf("the answer has status %d and type %s", a.code, a.header.Get("Content-Type"))
	}
	reply := post(t, s, path+orNew, key("k"))
	if reply.Thread.Name != thread || !strings.HasPrefix(reply.Name, place+"/messages/"+id+".") || reply.Name == a.Name {
		t.Errorf("the reply is %s in %s, want another message of %s", reply.Name, reply.Thread.Name, thread)
	}
}

func TestCredentials(t *testing.T) {
	s := chattest.New(chattest.Options{})
	path, gone, foreign := s.AddWebhook(place), s.AddWebhook(place), s.AddWebhook("spaces/BBBB")
	emptied := s.AddWebhook("spaces/GONE")
	s.RemoveWebhook(gone)
	s.RemoveSpace("spaces/GONE")
	s.RemoveWebhook("no webhook at all\x00")
	u, err := url.Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	theKey := "key=" + u.Query().Get("key")
	_, query, _ := strings.Cut(foreign, "?")
	base := u.Path
	const (
		noKey   = "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API."
		noToken = "The API is called without a valid token. Instructions on how to use incoming webhooks can be found at https://developers.google.com/chat/how-tos/webhooks"
	)
	tests := []struct {
		name, method, path string
		code               int
		status, message    string
	}{
		{"nothing", "POST", base, 403, "PERMISSION_DENIED", noKey},
		{"a token without a key", "POST", base + "?token=x", 403, "PERMISSION_DENIED", noKey},
		{"a wrong key", "POST", base + "?key=x&token=x", 400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."},
		{"a key without a token", "POST", base + "?" + theKey, 403, "PERMISSION_DENIED", noToken},
		{"a wrong token", "POST", base + "?" + theKey + "&token=x", 403, "PERMISSION_DENIED", noToken},
		{"the token of another space", "POST", base + "?" + query, 403, "PERMISSION_DENIED", noToken},
		{"a webhook that is gone", "POST", gone, 404, "NOT_FOUND", "Requested entity was not found."},
		{"a space that is gone", "POST", emptied, 404, "NOT_FOUND", "Requested entity was not found."},
		{"to list messages", "GET", path, 403, "PERMISSION_DENIED", "The caller does not have permission"},
		{"another path", "POST", "/v1/spaces", 404, "NOT_FOUND", "Requested entity was not found."},
		{"as it should be", "POST", path, 200, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := send(t, s, tt.method, tt.path, hello)
			if a.code != tt.code || a.Error.Status != tt.status || a.Error.Message != tt.message || a.Error.Code != 0 && a.Error.Code != tt.code {
				t.Errorf("the answer is %d %s, want %d %s %s", a.code, a.body, tt.code, tt.status, tt.message)
			}
			if tt.name == "a wrong key" && (len(a.Error.Details) != 1 || a.Error.Details[0].Reason != "API_KEY_INVALID") {
				t.Errorf("the details are %+v, want the reason API_KEY_INVALID", a.Error.Details)
			}
		})
	}
	if got := len(s.Messages(place)); got != 1 {
		t.Errorf("the space has %d messages, want 1", got)
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	tests := []struct{ name, query, body, message string }{
		{"an empty message", "", `{}`, "Message cannot be empty."},
		{"an unknown field", "", `{"text":"x","cardsV2":[{"card":{"header":{"title":"x"},"footer":1}}]}`, `Invalid JSON payload received. Unknown name "footer" at 'message.cards_v2[0].card': Cannot find field.`},
		{"a value out of an enum", "", `{"text":"x","markupSyntax":"X"}`, `Invalid value at 'message.markup_syntax' (TYPE_ENUM), "X"`},
		{"no JSON", "", `text=x`, "Invalid JSON payload received. at byte 0: invalid character 'e' in literal true (expecting 'r')"},
		{"too many bytes", "", `{"text":"x","fallbackText":"` + strings.Repeat("x", 32_000) + `"}`, "the message has 32030 bytes; Chat takes at most 32000"},
		{"what nobody reads to its end", "", strings.Repeat(" ", 2<<20) + hello, "Request contains an invalid argument."},
		{"an unknown parameter", "&fooBar=1", hello, `Invalid JSON payload received. Unknown name "fooBar": Cannot bind query parameter. Field 'fooBar' could not be found in request message.`},
		{"a parameter twice", "&requestId=1&requestId=2", hello, `Invalid JSON payload received. Unknown name "requestId": Cannot bind query parameter. Field 'requestId' could not be found in request message.`},
		{"a query that is none", "&x=%zz", hello, "Request contains an invalid argument."},
		{"an unknown reply option", "&messageReplyOption=REPLY", key("k"), `Invalid value at 'message_reply_option' (type.googleapis.com/google.chat.v1.CreateMessageRequest.MessageReplyOption), "REPLY"`},
		{"a reply option without a thread", orNew, hello, "messageReplyOption can only be set with a thread."},
		{"a thread of another space", orNew, name("spaces/aaaa/threads/T"), "The request contains an invalid thread resource name"},
		{"a thread that is none", "", name("T"), "The request contains an invalid thread resource name"},
		{"a thread key in the query that is too long", orNew + "&threadKey=" + strings.Repeat("k", 4001), hello, "Invalid thread key."},
		{"a message id of another form", "&messageId=Client-1", hello, "Invalid message ID."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := chattest.New(chattest.Options{})
			a := post(t, s, s.AddWebhook(place)+tt.query, tt.body)
			if a.code != 400 || a.Error.Status != "INVALID_ARGUMENT" || a.Error.Message != tt.message {
				t.Errorf("the answer is %d %s, want 400 %s", a.code, a.body, tt.message)
			}
			if got := s.Messages(place); len(got) > 0 {
				t.Errorf("the space has the message %+v", got)
			}
		})
	}
}

func TestRefusalsNameTheFields(t *testing.T) {
	s := chattest.New(chattest.Options{})
	a := post(t, s, s.AddWebhook(place), `{"text":"x","foo":1,"cardsV2":[{"card":{"header":{"titel":"x"}}}]}`)
	want := []string{
		`message: Invalid JSON payload received. Unknown name "foo" at 'message': Cannot find field.`,
		`message.cards_v2[0].card.header: Invalid JSON payload received. Unknown name "titel" at 'message.cards_v2[0].card.header': Cannot find field.`,
	}
	if len(a.Error.Details) != 1 {
		t.Fatalf("the answer is %s, want one detail", a.body)
	}
	var got []string
	for _, v := range a.Error.Details[0].FieldViolations {
		got = append(got, v.Field+": "+v.Description)
	}
	if diff := cmp.Diff(want, got); diff != "" || a.Error.Details[0].Type != "type.googleapis.com/google.rpc.BadRequest" {
		t.Errorf("the details %s (-want +got):\n%s", a.body, diff)
	}
}

func TestARequestNeedsItsType(t *testing.T) {
	s := chattest.New(chattest.Options{})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, google+s.AddWebhook(place), strings.NewReader(hello))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded") // as curl has it
	if a := do(t, s, r); a.code != 400 {
		t.Errorf("the answer is %d, want 400", a.code)
	}
}

func TestNotificationTypesNeedAChatApp(t *testing.T) {
	s := chattest.New(chattest.Options{})
	path := s.AddWebhook(place) + "&createMessageNotificationOptions.notificationType=NOTIFICATION_TYPE_"
	for kind, want := range map[string]int{"NONE": 200, "FORCE_NOTIFY": 403, "SILENT": 403} {
		if a := post(t, s, path+kind, hello); a.code != want {
			t.Errorf("%s is answered with %d, want %d", kind, a.code, want)
		}
	}
}

func TestThreads(t *testing.T) {
	s := chattest.New(chattest.Options{})
	one, two := s.AddWebhook(place), s.AddWebhook(place)
	first := post(t, s, one+orNew, key("k"))
	inFirst := func(a answer) bool { return a.Thread.Name == first.Thread.Name }
	tests := []struct {
		name, path, body string
		want             bool // whether it replies in the first thread
	}{
		{"the same key", one + orNew, key("k"), true},
		{"the same key in snake case", one + orNew, `{"text":"x","thread":{"thread_key":"k"}}`, true},
		{"the same key in the query", one + orNew + "&threadKey=k", hello, true},
		{"the same key, or fail", one + orFail, key("k"), true},
		{"the thread's name", one + orNew, name(first.Thread.Name), true},
		{"the thread's name from another webhook", two + orFail, name(first.Thread.Name), true},
		{"another key", one + orNew, key("k2"), false},
		{"a new key, or fail", one + orFail, key("k3"), false},
		{"the same key from another webhook", two + orNew, key("k"), false},
		{"the same key without the option", one, key("k"), false},
		{"the same key with the default option", one + "&messageReplyOption=MESSAGE_REPLY_OPTION_UNSPECIFIED", key("k"), false},
		{"the thread's name without the option", one, name(first.Thread.Name), false},
		{"a name that is unknown", one + orNew, name(place + "/threads/unknown"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if a := post(t, s, tt.path, tt.body); a.code != 200 || inFirst(a) != tt.want {
				t.Errorf("the answer is %d %s, want a message that is in %s: %t", a.code, a.body, first.Thread.Name, tt.want)
			}
		})
	}
	if a := post(t, s, one+orFail, name(place+"/threads/unknown")); a.code != 404 {
		t.Errorf("an unknown name, or fail: %d, want 404", a.code)
	}
	counts := map[string]int{}
	for _, th := range s.Threads(place) {
		counts[th.Key] += th.Messages
	}
	want := map[string]int{"k": 8, "k2": 1, "k3": 1, "": 4}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("the messages by thread key (-want +got):\n%s", diff)
	}
}

// A thread that was started without the option is not found by its key.
func TestTheDefaultOptionForgetsTheKey(t *testing.T) {
	s := chattest.New(chattest.Options{})
	path := s.AddWebhook(place)
	first := post(t, s, path, key("k"))
	if second := post(t, s, path+orNew, key("k")); second.Thread.Name == first.Thread.Name {
		t.Errorf("the second message replies in %s", first.Thread.Name)
	}
}

func TestRequestIDs(t *testing.T) {
	s := chattest.New(chattest.Options{})
	path, other := s.AddWebhook(place), s.AddWebhook(place)
	first := post(t, s, path+"&requestId=r", hello)
	again := post(t, s, path+"&requestId=r", `{"text":"something else"}`)
	if again.Name != first.Name || again.Text != "hello" {
		t.Errorf("the same id again gives %s, want %s", again.body, first.body)
	}
	if a := post(t, s, other+"&requestId=r", hello); a.Name == first.Name {
		t.Errorf("another webhook with the same id gets %s", a.Name)
	}
	if a, b := post(t, s, path, hello), post(t, s, path, hello); a.Name == b.Name {
		t.Errorf("two requests without an id both give %s", a.Name)
	}
	s = chattest.New(chattest.Options{IgnoreRequestID: true})
	path = s.AddWebhook(place)
	if a, b := post(t, s, path+"&requestId=r", hello), post(t, s, path+"&requestId=r", hello); a.Name == b.Name {
		t.Errorf("with ids ignored both requests give %s", a.Name)
	}
}

func TestMessageIDs(t *testing.T) {
	s := chattest.New(chattest.Options{})
	path := s.AddWebhook(place) + "&messageId=client-a1"
	a := post(t, s, path, hello)
	if id := strings.TrimPrefix(a.Name, place+"/messages/"); a.code != 200 || strings.HasPrefix(id, "client-") || strings.Count(id, ".") != 1 {
		t.Errorf("the message is %s, want a name of Chat's own", a.body)
	}
	if m := s.Messages(place); len(m) != 1 || m[0].ClientID != "client-a1" || m[0].Name != a.Name {
		t.Errorf("the messages are %+v, want %s with the id client-a1", m, a.Name)
	}
	if a := post(t, s, path, hello); a.code != 409 || a.Error.Status != "ALREADY_EXISTS" {
		t.Errorf("the same id again: %d %s, want 409 ALREADY_EXISTS", a.code, a.body)
	}
	if r := s.Requests(); r[1].MessageID != "client-a1" || r[1].Method != http.MethodPost || r[1].Target != "" {
		t.Errorf("the second request is %+v, want a POST with the id client-a1", r[1])
	}
}

func TestRate(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	s := chattest.New(chattest.Options{Rate: 1, RetryAfter: 1500 * time.Millisecond, Now: func() time.Time { return now }})
	one, two, elsewhere := s.AddWebhook(place), s.AddWebhook(place), s.AddWebhook("spaces/BBBB")
	steps := []struct {
		name  string
		after time.Duration
		paths []string
		want  []int
	}{
		{"at once", 0, []string{one, one, two, elsewhere}, []int{200, 429, 429, 200}},
		{"just too early", time.Second - 1, []string{one, two}, []int{429, 429}},
		{"after a second", 1, []string{two, one}, []int{200, 429}},
		{"after a pause there is no burst", time.Hour, []string{one, two}, []int{200, 429}},
	}
	for _, step := range steps {
		now = now.Add(step.after)
		var got []int
		for _, path := range step.paths {
			got = append(got, post(t, s, path, hello).code)
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
	a := post(t, s, one, hello)
	if a.Error.Status != "RESOURCE_EXHAUSTED" || a.header.Get("Retry-After") != "2" {
		t.Errorf("the answer is %s with Retry-After %q, want RESOURCE_EXHAUSTED and 2", a.body, a.header.Get("Retry-After"))
	}
	if got := s.Throttled(place) + s.Throttled("spaces/none"); got != 7 {
		t.Errorf("Throttled = %d, want 7", got)
	}
}

func TestFaults(t *testing.T) {
	s := chattest.New(chattest.Options{})
	path := s.AddWebhook(place)
	s.Inject("spaces/none", 1, chattest.Fault{Drop: true})
	s.Inject(place, 0, chattest.Fault{Drop: true})
	s.Inject(place, 2, chattest.Fault{Status: 503, RetryAfter: 7 * time.Second})
	s.Inject(place, 1, chattest.Fault{Status: 429})
	s.Inject(place, -1, chattest.Fault{Act: true, Status: 500})
	var got []string
	for range 5 {
		a := post(t, s, path, hello)
		got = append(got, fmt.Sprintln(a.code, a.Error.Code, a.Error.Status, a.header.Get("Retry-After"), len(s.Messages(place))))
	}
	want := []string{"503 503 UNAVAILABLE 7 0\n", "503 503 UNAVAILABLE 7 0\n", "429 429 RESOURCE_EXHAUSTED  0\n", "500 500 INTERNAL  1\n", "500 500 INTERNAL  2\n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the answers (-want +got):\n%s", diff)
	}
	s.Heal(place)
	if a := post(t, s, path, hello); a.code != 200 {
		t.Errorf("healed, the answer is %d", a.code)
	}
}

func TestEveryStatusHasGooglesBody(t *testing.T) {
	s := chattest.New(chattest.Options{})
	path := s.AddWebhook(place)
	want := map[int]string{
		400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ABORTED", 418: "UNKNOWN",
		429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
	}
	for code, status := range want {
		s.Inject(place, 1, chattest.Fault{Status: code})
		if a := post(t, s, path, hello); a.code != code || a.Error.Code != code || a.Error.Status != status || a.Error.Message == "" {
			t.Errorf("the fault %d is answered with %d %s, want the status %s", code, a.code, a.body, status)
		}
	}
}

func TestAFunctionOfFaults(t *testing.T) {
	s := chattest.New(chattest.Options{Fault: func(r chattest.Request) chattest.Fault {
		if strings.Contains(string(r.Body), "poison") {
			return chattest.Fault{Status: 400, Body: `{"error":{"message":"` + r.Space + " " + r.RequestID + `"}}`}
		}
		return chattest.Fault{}
	}})
	path := s.AddWebhook(place)
	if a := post(t, s, path+"&requestId=r", `{"text":"poison"}`); a.code != 400 || a.Error.Message != place+" r" {
		t.Errorf("the answer is %d %s", a.code, a.body)
	}
	if a := post(t, s, path, hello); a.code != 200 {
		t.Errorf("the answer is %d %s", a.code, a.body)
	}
}

// way is a way to a server.
type way struct {
	base string
	over http.RoundTripper
}

// try sends a message and returns what came back of the answer.
func (w way) try(ctx context.Context, t *testing.T, path string) (code int, kind, body string, err error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.base+path, strings.NewReader(hello))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", typeJSON)
	response, err := w.over.RoundTrip(r)
	if err != nil {
		return 0, "", "", err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	return response.StatusCode, response.Header.Get("Content-Type"), string(raw), err
}

func TestFaultsOfTheConnection(t *testing.T) {
	for _, name := range []string{"without sockets", "with sockets"} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			s := chattest.New(chattest.Options{Fault: func(r chattest.Request) chattest.Fault {
				if r.RequestID != "hang" {
					return chattest.Fault{}
				}
				cancel(errors.New("gave up")) // as soon as the server has the request
				return chattest.Fault{Hang: true}
			}})
			path := s.AddWebhook(place)
			way := way{google, s.Transport()}
			if name == "with sockets" {
				listening := httptest.NewServer(s)
				defer listening.Close()
				way.base, way.over = listening.URL, listening.Client().Transport
			}
			s.Inject(place, 1, chattest.Fault{Drop: true})
			if code, _, body, err := way.try(t.Context(), t, path); err == nil {
				t.Errorf("a dropped connection gives %d %s", code, body)
			}
			s.Inject(place, 1, chattest.Fault{Refuse: true})
			if code, _, body, err := way.try(t.Context(), t, path); err == nil {
				t.Errorf("a refused connection gives %d %s", code, body)
			} else if way.base == google && !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("a refused connection gives %v", err)
			}
			if code, _, body, err := way.try(ctx, t, path+"&requestId=hang"); err == nil {
				t.Errorf("a hanging request gives %d %s", code, body)
			}
			if got := len(s.Messages(place)); got != 0 {
				t.Errorf("the space has %d messages, want none", got)
			}
			s.Inject(place, 1, chattest.Fault{Truncate: true})
			if code, _, body, err := way.try(t.Context(), t, path); code != http.StatusOK || body == "" || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("half an answer gives %d %q, %v; want an unexpected end", code, body, err)
			}
			if got := len(s.Messages(place)); got != 1 {
				t.Errorf("the space has %d messages, want 1", got)
			}
			s.Inject(place, 1, chattest.Fault{Status: 502, Body: "<html>Error 502</html>"})
			code, kind, body, err := way.try(t.Context(), t, path)
			if code != http.StatusBadGateway || kind != "text/html; charset=UTF-8" || body != "<html>Error 502</html>" || err != nil {
				t.Errorf("a page gives %d, %s of type %s, %v", code, body, kind, err)
			}
		})
	}
}

func TestASlowRequestIsServedInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chattest.New(chattest.Options{})
		path := s.AddWebhook(place)
		s.Inject(place, 1, chattest.Fault{Delay: 3 * time.Second})
		start := time.Now()
		if a := post(t, s, path, hello); a.code != 200 || time.Since(start) != 3*time.Second {
			t.Errorf("the answer is %d after %v, want 200 after 3s", a.code, time.Since(start))
		}
	})
}

func TestATransportHonoursAContextThatHasEnded(t *testing.T) {
	s := chattest.New(chattest.Options{})
	path := s.AddWebhook(place)
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("over")
	cancel(cause)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, google+path, strings.NewReader(hello))
	if err != nil {
		t.Fatal(err)
	}
	response, err := s.Transport().RoundTrip(r)
	if err == nil {
		response.Body.Close()
	}
	if !errors.Is(err, cause) || len(s.Requests()) > 0 {
		t.Errorf("RoundTrip: %v with %d requests, want %v and none", err, len(s.Requests()), cause)
	}
}

func TestHistory(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	s := chattest.New(chattest.Options{Now: func() time.Time { return now }})
	path := s.AddWebhook(place)
	first := post(t, s, path+orNew+"&requestId=r1", key("k"))
	second := post(t, s, path+orNew+"&requestId=r2", key("k"))
	post(t, s, path, `{}`)
	s.Inject(place, 1, chattest.Fault{Status: 503})
	post(t, s, path, hello)
	remarked := `{"cardsV2":[{"card":{"header":{"subtitle":"x"}}}]}`
	third := post(t, s, path, remarked)

	var got []string
	for _, r := range s.Requests() {
		got = append(got, fmt.Sprint(r.At.Equal(now), r.Space, " ", r.Door, " ", r.RequestID, " ", r.Status, " ", r.Message, " ", len(r.Body), " ", len(r.Violations)))
	}
	line := func(id string, status int, message string, size, violations int) string {
		return fmt.Sprint(true, place, " an incoming webhook ", id, " ", status, " ", message, " ", size, " ", violations)
	}
	want := []string{
		line("r1", 200, first.Name, len(key("k")), 0),
		line("r2", 200, second.Name, len(key("k")), 0),
		line("", 400, "", 2, 1),
		line("", 503, "", len(hello), 0),
		line("", 200, third.Name, len(remarked), 1),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Requests (-want +got):\n%s", diff)
	}
	wantRemarks := []string{
		place + ": the message is empty: it needs a text or a card",
		place + ": cardsV2[0].card.header.title: is missing: without it the header stays blank",
	}
	if diff := cmp.Diff(wantRemarks, s.Remarks()); diff != "" {
		t.Errorf("Remarks (-want +got):\n%s", diff)
	}
	messages := s.Messages(place)
	if len(messages) != 3 || s.Messages("spaces/none") != nil || s.Threads("spaces/none") != nil {
		t.Fatalf("Messages = %+v, want 3, and none elsewhere", messages)
	}
	m := messages[1]
	if m.Space != place || m.Name != second.Name || m.Thread != first.Thread.Name || m.ThreadKey != "k" || !m.Reply || messages[0].Reply ||
		m.Text != "x" || string(m.Body) != key("k") || !m.CreatedAt.Equal(now) || len(m.Versions) != 1 || len(m.Remarks) != 0 {
		t.Errorf("the second message is %+v", m)
	}
	if len(messages[2].Remarks) != 1 {
		t.Errorf("the third message has the remarks %+v, want one", messages[2].Remarks)
	}
}

func TestTheOldestIsForgotten(t *testing.T) {
	s := chattest.New(chattest.Options{Keep: 2})
	path := s.AddWebhook(place)
	for i := range 4 {
		post(t, s, fmt.Sprint(path, orNew, "&requestId=r", i), key(fmt.Sprint("k", i)))
	}
	if m, th, r := s.Messages(place), s.Threads(place), s.Requests(); len(m) != 2 || len(th) != 2 || len(r) != 2 || r[1].RequestID != "r3" {
		t.Errorf("kept are %d messages, %d threads and the requests %+v; want 2 each", len(m), len(th), r)
	}
	last := s.Messages(place)[1]
	if a := post(t, s, path+orNew+"&requestId=r3", key("k3")); a.Name != last.Name {
		t.Errorf("the last request again gives %s, want %s", a.Name, last.Name)
	}
	if a := post(t, s, path+orNew+"&requestId=r0", key("k0")); a.code != 200 || a.Name == last.Name {
		t.Errorf("the first request again gives %d %s, want a new message", a.code, a.Name)
	}
}

func TestTwoServersGiveTheSameNames(t *testing.T) {
	var names []string
	for range 2 {
		s := chattest.New(chattest.Options{})
		path := s.AddWebhook(place)
		post(t, s, path+orNew, key("k"))
		names = append(names, post(t, s, path+orNew, key("k")).Name)
	}
	if names[0] != names[1] {
		t.Errorf("the names are %q", names)
	}
}

func TestWatchLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chattest.New(chattest.Options{})
		path := s.AddWebhook(place)
		post(t, s, path, hello) // before
		ctx, cancel := context.WithCancel(t.Context())
		slow, other := s.Watch(ctx), s.Watch(ctx)
		var want []string
		for i := range 100 {
			want = append(want, fmt.Sprint(i))
			post(t, s, path, fmt.Sprintf(`{"text":"%d"}`, i))
		}
		var got []string
		for range 100 {
			got = append(got, (<-slow).Text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the messages (-want +got):\n%s", diff)
		}
		<-other // and 99 are never read
		cancel()
		synctest.Wait()
		for name, c := range map[string]<-chan chattest.Message{"slow": slow, "other": other} {
			if m, ok := <-c; ok {
				t.Errorf("after the end %s gives %+v", name, m)
			}
		}
		post(t, s, path, hello) // to nobody
	})
}

func TestManyAtOnce(t *testing.T) {
	s := chattest.New(chattest.Options{})
	paths := []string{s.AddWebhook(place), s.AddWebhook("spaces/BBBB")}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	feed := s.Watch(ctx)
	for g := range 8 {
		go func() {
			for i := range 25 {
				r := httptest.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprint(paths[i%2], orNew, "&requestId=", g, "-", i), strings.NewReader(key("k")))
				r.Header.Set("Content-Type", typeJSON)
				s.ServeHTTP(httptest.NewRecorder(), r)
			}
		}()
	}
	names := map[string]bool{}
	for range 200 {
		names[(<-feed).Name] = true
	}
	if len(names) != 200 || len(s.Threads(place)) != 1 || len(s.Threads("spaces/BBBB")) != 1 {
		t.Errorf("there are %d messages in %d threads, want 200 in 1 for each space", len(names), len(s.Threads(place)))
	}
}

func BenchmarkServer(b *testing.B) {
	s := chattest.New(chattest.Options{})
	path := s.AddWebhook(place)
	b.ReportAllocs()
	for b.Loop() {
		if a := post(b, s, path+orNew, key("k")); a.code != 200 {
			b.Fatal(a.body)
		}
	}
}
