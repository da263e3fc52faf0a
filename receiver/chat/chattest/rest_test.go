package chattest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"alertchat/receiver/chat"
	"alertchat/receiver/chat/chattest"
)

// Options of a query that begins with them.
var (
	theOrNew  = strings.TrimPrefix(orNew, "&")
	theOrFail = strings.TrimPrefix(orFail, "&")
)

// decode returns an answer's fields.
func decode(t testing.TB, a answer) map[string]any {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal([]byte(a.body), &fields); err != nil {
		t.Fatal(err)
	}
	return fields
}

func TestAnAppIsAnsweredTheWholeMessage(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 5e6, time.FixedZone("", 3600))
	r := &rig{t: t, Server: chattest.New(chattest.Options{Now: func() time.Time { return now }})}
	r.app = r.AddApp(email, &ourKey().PublicKey)
	r.app.Join(place)
	header, claims := good(now)
	r.token = ask(t, r.Server, assert(header, claims, rs256(ourKey()))).AccessToken
	a := r.create(place, theOrNew+"&messageId=client-a", `{"text":"hello","fallback_text":"h","thread":{"threadKey":"k"},"createTime":"2001-01-01T00:00:00Z","clientAssignedMessageId":"x","lastUpdateTime":"2001-01-01T00:00:00Z","cardsV2":null}`)
	got := decode(t, a)
	sender, ok := got["sender"].(map[string]any)
	if id, _ := sender["name"].(string); !ok || len(id) != len("users/")+21 {
		t.Errorf("the sender is %v, want a user of 21 digits", sender)
	}
	want := map[string]any{
		"name": a.Name, "text": "hello", "fallbackText": "h", "createTime": "2026-11-23T11:00:00.005Z", "clientAssignedMessageId": "client-a",
		"sender": map[string]any{"name": sender["name"], "displayName": "alerts", "type": "BOT"},
		"thread": map[string]any{"name": a.Thread.Name, "threadKey": "k"},
		"space":  map[string]any{"name": place, "type": "ROOM", "spaceType": "SPACE", "displayName": "AAAA", "spaceThreadingState": "THREADED_MESSAGES"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the answer (-want +got):\n%s", diff)
	}
	id := strings.TrimPrefix(a.Thread.Name, place+"/threads/")
	if a.Name != place+"/messages/"+id+"."+id {
		t.Errorf("the first message of the thread %s is %s", a.Thread.Name, a.Name)
	}
	now = now.Add(time.Hour - 2*time.Second)
	r.taken("an edit", r.edit(a.Name, "updateMask=text", `{"text":"new"}`))
	for _, name := range []string{a.Name, client("a")} {
		want["text"], want["lastUpdateTime"] = "new", "2026-11-23T11:59:58.005Z"
		if diff := cmp.Diff(want, decode(t, r.get(name))); diff != "" {
			t.Errorf("%s, edited (-want +got):\n%s", name, diff)
		}
	}
	reply := r.create(place, theOrNew, key("k"))
	if got := decode(t, reply); got["threadReply"] != true || got["clientAssignedMessageId"] != nil || !strings.HasPrefix(reply.Name, place+"/messages/"+id+".") {
		t.Errorf("the reply is %s", reply.body)
	}
	m := r.Messages(place)[0]
	if m.Door != chat.ByApp || m.ClientID != "client-a" || m.Name != a.Name || m.ThreadKey != "k" {
		t.Errorf("the message is %+v", m)
	}
}

func TestMessagesOfAnAppThatAreRefused(t *testing.T) {
	const notify = "createMessageNotificationOptions.notificationType="
	tests := []struct{ name, query, body, message string }{
		{"an empty message", "", `{}`, "Message cannot be empty."},
		{"an unknown field", "", `{"text":"x","foo":1}`, `Unknown name "foo" at 'message': Cannot find field.`},
		{"too many bytes", "", `{"text":"x","fallbackText":"` + strings.Repeat("x", 32_000) + `"}`, "the message has 32030 bytes; Chat takes at most 32000"},
		{"what nobody reads to its end", "", strings.Repeat(" ", 2<<20) + hello, "Request contains an invalid argument."},
		{"an unknown parameter", "updateMask=text", hello, `Unknown name "updateMask": Cannot bind query parameter.`},
		{"a parameter twice", "messageId=client-a&messageId=client-a", hello, `Unknown name "messageId"`},
		{"an id of another form", "messageId=a", hello, "Invalid message ID."},
		{"an id with nothing of its own", "messageId=client-", hello, "Invalid message ID."},
		{"an id in upper case", "messageId=client-A", hello, "Invalid message ID."},
		{"an id that is too long", "messageId=client-" + strings.Repeat("a", 57), hello, "Invalid message ID."},
		{"a thread of another space", theOrNew, name("spaces/BBBB/threads/T"), "The request contains an invalid thread resource name"},
		{"a reply option without a thread", theOrNew, hello, "messageReplyOption can only be set with a thread."},
		{"a way to notify that is none", notify + "LOUD", hello, "notification_type"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, chattest.Options{})
			r.refused("it", r.create(place, tt.query, tt.body), 400, "INVALID_ARGUMENT", tt.message)
			if got := r.Messages(place); len(got) > 0 {
				t.Errorf("the space has the message %+v", got)
			}
		})
	}
}

func TestWhatOnlyAnAppCan(t *testing.T) {
	r := newRig(t, chattest.Options{})
	const widgets = `{"text":"x","accessoryWidgets":[{"buttonList":{"buttons":[{"text":"Silence","onClick":{"action":{"function":"silence"}}}]}}]}`
	r.taken("accessory widgets", r.create(place, "", widgets))
	for _, kind := range []string{"NONE", "FORCE_NOTIFY", "SILENT"} {
		r.taken(kind, r.create(place, "createMessageNotificationOptions.notificationType=NOTIFICATION_TYPE_"+kind, hello))
	}
	r.taken("the longest id", r.create(place, "messageId=client-"+strings.Repeat("a", 56), hello))
	if got := r.Remarks(); len(got) > 0 {
		t.Errorf("the remarks are %q, want none", got)
	}
}

func TestARequestOfAnAppNeedsItsType(t *testing.T) {
	r := newRig(t, chattest.Options{})
	made := r.create(place, "", hello)
	for method, path := range map[string]string{"POST": "/v1/" + place + "/messages", "PATCH": "/v1/" + made.Name + "?updateMask=text"} {
		q, err := http.NewRequestWithContext(t.Context(), method, google+path, strings.NewReader(hello))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Authorization", "Bearer "+r.token)
		r.refused(method, do(t, r.Server, q), 400, "INVALID_ARGUMENT", "not of type application/json")
	}
}

func TestThreadsOfAnApp(t *testing.T) {
	r := newRig(t, chattest.Options{})
	other := r.AddApp("other@my-project.iam.gserviceaccount.com", &ourKey().PublicKey)
	other.Join(place)
	ours, theirs, webhook := r.token, r.newToken(other), r.AddWebhook(place)
	first := r.create(place, theOrNew, key("k"))
	tests := []struct {
		name, token, query, body string
		want                     bool // whether it replies in the first thread
	}{
		{"the same key", ours, theOrNew, key("k"), true},
		{"the same key, or fail", ours, theOrFail, key("k"), true},
		{"the same key in the query", ours, theOrNew + "&threadKey=k", hello, true},
		{"the thread's name", ours, theOrNew, name(first.Thread.Name), true},
		{"the thread's name from another app", theirs, theOrFail, name(first.Thread.Name), true},
		{"the same key from another app", theirs, theOrNew, key("k"), false},
		{"the same key without the option", ours, "", key("k"), false},
		{"a new key, or fail", ours, theOrFail, key("k2"), false},
		{"a name that is unknown", ours, theOrNew, name(place + "/threads/unknown"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := r.as(tt.token, "POST", "/v1/"+place+"/messages?"+tt.query, tt.body)
			if a.code != 200 || (a.Thread.Name == first.Thread.Name) != tt.want {
				t.Errorf("the answer is %d %s, want a message that is in %s: %t", a.code, a.body, first.Thread.Name, tt.want)
			}
		})
	}
	r.refused("an unknown name, or fail", r.create(place, theOrFail, name(place+"/threads/unknown")), 404, "NOT_FOUND", "")
	if a := post(t, r.Server, webhook+orNew, key("k")); a.Thread.Name == first.Thread.Name {
		t.Errorf("a webhook with the same key replies in %s", first.Thread.Name)
	}
	if a := post(t, r.Server, webhook+orNew, name(first.Thread.Name)); a.Thread.Name != first.Thread.Name {
		t.Errorf("a webhook with the thread's name writes to %s, want %s", a.Thread.Name, first.Thread.Name)
	}
}

func TestIDsOfAnApp(t *testing.T) {
	for _, tt := range []struct {
		name        string
		ignore      bool // request ids
		code, again int  // with both ids again, and with another request id
	}{
		{"request ids are honoured", false, 200, 409},
		{"request ids are ignored", true, 409, 409},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, chattest.Options{IgnoreRequestID: tt.ignore})
			first := r.create(place, "requestId=r&messageId=client-a", hello)
			a := r.create(place, "requestId=r&messageId=client-a", `{"text":"something else"}`)
			if a.code != tt.code || tt.code == 200 && (a.Name != first.Name || a.Text != "hello") {
				t.Errorf("both again: %d %s, want %d %s", a.code, a.body, tt.code, first.Name)
			}
			if tt.code == 409 {
				r.refused("both again", a, 409, "ALREADY_EXISTS", "Requested entity already exists")
			}
			r.refused("the message id again", r.create(place, "requestId=r2&messageId=client-a", hello), tt.again, "ALREADY_EXISTS", "")
			r.refused("the message id by a webhook", post(t, r.Server, r.AddWebhook(place)+"&messageId=client-a", hello), 409, "ALREADY_EXISTS", "")
			r.app.Join("spaces/BBBB")
			r.taken("the message id elsewhere", r.create("spaces/BBBB", "messageId=client-a", hello))
			if got := len(r.Messages(place)); got != 1 {
				t.Errorf("the space has %d messages, want 1", got)
			}
		})
	}
}

// foreign returns what others wrote in the space: a webhook and another app.
func (r *rig) foreign() map[string]string {
	r.t.Helper()
	other := r.AddApp("other@my-project.iam.gserviceaccount.com", &ourKey().PublicKey)
	other.Join(place)
	return map[string]string{
		"a webhook":   post(r.t, r.Server, r.AddWebhook(place)+"&messageId=client-theirs", hello).Name,
		"another app": r.as(r.newToken(other), "POST", "/v1/"+place+"/messages", hello).Name,
		"the webhook": client("theirs"),
	}
}

func TestDeletedMessages(t *testing.T) {
	r := newRig(t, chattest.Options{})
	first := r.create(place, "messageId=client-a&requestId=r&"+theOrNew, key("k"))
	reply := r.create(place, theOrNew, key("k"))
	for who, name := range r.foreign() {
		r.refused("of "+who, r.drop(name), 403, "PERMISSION_DENIED", "The caller does not have permission")
	}
	r.refused("an unknown one", r.drop(client("none")), 404, "NOT_FOUND", "")
	r.refused("with an unknown parameter", r.drop(reply.Name+"?updateMask=*"), 400, "INVALID_ARGUMENT", "updateMask")
	r.refused("with a value that is none", r.drop(reply.Name+"?force=perhaps"), 400, "INVALID_ARGUMENT", "force")
	a := r.drop(client("a") + "?force=true")
	if a.code != 200 || len(decode(t, a)) != 0 {
		t.Errorf("the answer is %d %s, want 200 and nothing in it", a.code, a.body)
	}
	for _, name := range []string{first.Name, client("a")} {
		r.refused("deleted again", r.drop(name), 404, "NOT_FOUND", "")
		r.refused("got after it was deleted", r.get(name), 404, "NOT_FOUND", "")
	}
	if m := r.Messages(place); len(m) != 3 || m[0].Name != reply.Name {
		t.Errorf("the messages are %+v, want three, and %s first", m, reply.Name)
	}
	if a := r.create(place, theOrNew, key("k")); a.Thread.Name != first.Thread.Name {
		t.Errorf("a message goes to the thread %s, want %s, which still has a reply", a.Thread.Name, first.Thread.Name)
	}
	if a := r.create(place, "messageId=client-a&requestId=r", hello); a.code != 200 || a.Name == first.Name {
		t.Errorf("the ids again: %d %s, want a new message", a.code, a.body)
	}
}

func TestAThreadEndsWithItsLastMessage(t *testing.T) {
	r := newRig(t, chattest.Options{})
	first := r.create(place, theOrNew, key("k"))
	r.drop(first.Name)
	if got := r.Threads(place); len(got) > 0 {
		t.Errorf("the threads are %+v, want none", got)
	}
	if a := r.create(place, theOrNew, key("k")); a.code != 200 || a.Thread.Name == first.Thread.Name {
		t.Errorf("a message with its key: %d in %s, want a new thread", a.code, a.Thread.Name)
	}
}

func TestPeopleDeleteMessages(t *testing.T) {
	for keep, again := range map[bool]int{false: 200, true: 409} {
		t.Run(fmt.Sprint("their ids stay taken: ", keep), func(t *testing.T) {
			r := newRig(t, chattest.Options{KeepDeleted: keep})
			a := r.create(place, "messageId=client-a", hello)
			r.create(place, "messageId=client-b", hello)
			byWebhook := post(t, r.Server, r.AddWebhook(place), hello).Name
			for _, name := range []string{"", "x", "spaces/NONE/messages/client-a", client("c"), place + "/messages/"} {
				if r.DeleteMessage(name) {
					t.Errorf("there was a message %q", name)
				}
			}
			for _, name := range []string{a.Name, client("b"), byWebhook} {
				if !r.DeleteMessage(name) || r.DeleteMessage(name) {
					t.Errorf("the message %s cannot be deleted, or twice", name)
				}
			}
			if m := r.Messages(place); len(m) > 0 {
				t.Errorf("the messages are %+v, want none", m)
			}
			for _, id := range []string{"a", "b"} {
				if got := r.create(place, "messageId=client-"+id, hello); got.code != again {
					t.Errorf("a new message with the id: %d, want %d", got.code, again)
				}
			}
			r.app.Join("spaces/BBBB")
			r.taken("the id elsewhere", r.create("spaces/BBBB", "messageId=client-a", hello))
		})
	}
}

func TestGet(t *testing.T) {
	r := newRig(t, chattest.Options{Rate: 1})
	made := r.create(place, "messageId=client-a", hello)
	for range 3 { // as often as one likes
		if a := r.get(client("a")); a.code != 200 || a.Name != made.Name || a.Text != "hello" {
			t.Errorf("the message is %d %s, want %s", a.code, a.body, made.Name)
		}
	}
	r.taken("in a syntax", r.get(made.Name+"?markupSyntax=MARKUP_SYNTAX_MARKDOWN"))
	r.refused("in a syntax that is none", r.get(made.Name+"?markupSyntax=HTML"), 400, "INVALID_ARGUMENT", "markup_syntax")
	r.refused("with an unknown parameter", r.get(made.Name+"?force=true"), 400, "INVALID_ARGUMENT", "force")
	r.refused("an unknown one", r.get(client("none")), 404, "NOT_FOUND", "")
	r = newRig(t, chattest.Options{})
	for who, name := range r.foreign() {
		r.refused("of "+who, r.get(name), 403, "PERMISSION_DENIED", "")
	}
}

func TestTheRateIsOneOfBothDoors(t *testing.T) {
	now := time.Now()
	r := newRig(t, chattest.Options{Rate: 1, Now: func() time.Time { return now }})
	r.app.Join("spaces/BBBB")
	r.app.Install(user, direct)
	webhook := r.AddWebhook(place)
	made := r.create(place, "", hello)
	writes := map[string]func() answer{
		"create":       func() answer { return r.create(place, "", hello) },
		"edit":         func() answer { return r.edit(made.Name, "updateMask=text", hello) },
		"edit of none": func() answer { return r.edit(client("none"), "updateMask=text&allowMissing=true", hello) },
		"delete":       func() answer { return r.drop(r.Messages(place)[len(r.Messages(place))-1].Name) },
		"webhook":      func() answer { return post(t, r.Server, webhook, hello) },
	}
	for _, what := range []string{"create", "edit", "edit of none", "delete", "webhook"} {
		for other, write := range writes {
			r.refused(other+" before "+what, write(), 429, "RESOURCE_EXHAUSTED", "")
		}
		now = now.Add(time.Second)
		r.taken(what, writes[what]())
	}
	r.taken("elsewhere", r.create("spaces/BBBB", "", hello))
	r.taken("a look", r.get(made.Name))
	r.taken("a look for a direct message", r.find(user))
	if got := r.Throttled(place); got != 25 {
		t.Errorf("Throttled = %d, want 25", got)
	}
}

func TestFaultsOfAnApp(t *testing.T) {
	r := newRig(t, chattest.Options{})
	made := r.create(place, "messageId=client-a", hello)
	lost := func(what string, send func() *http.Request) {
		t.Helper()
		q := send()
		q.Header.Set("Content-Type", typeJSON)
		q.Header.Set("Authorization", "Bearer "+r.token)
		response, err := r.Transport().RoundTrip(q)
		if err == nil {
			response.Body.Close()
			t.Errorf("%s is answered with %s, want nothing", what, response.Status)
		}
	}
	request := func(method, path, body string) func() *http.Request {
		return func() *http.Request {
			q, err := http.NewRequestWithContext(t.Context(), method, google+"/v1/"+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			return q
		}
	}
	r.Inject(place, 1, chattest.Fault{Drop: true})
	lost("an edit", request("PATCH", made.Name+"?updateMask=text", `{"text":"lost"}`))
	r.Inject(place, 3, chattest.Fault{Act: true, Drop: true})
	lost("an edit that happened", request("PATCH", made.Name+"?updateMask=text", `{"text":"new"}`))
	lost("a message that happened", request("POST", place+"/messages", hello))
	lost("a deletion that happened", request("DELETE", r.Messages(place)[len(r.Messages(place))-1].Name, ""))
	r.Inject(place, -1, chattest.Fault{Status: 503})
	r.refused("an edit", r.edit(made.Name, "updateMask=text", hello), 503, "UNAVAILABLE", "")
	r.refused("a look", r.get(made.Name), 503, "UNAVAILABLE", "")
	r.Heal(place)
	if m := r.Messages(place); len(m) != 1 || len(m[0].Versions) != 2 || m[0].Text != "new" {
		t.Errorf("the messages are %+v, want one that was edited once", m)
	}
}

func TestAFunctionOfFaultsSeesWhatAnAppAsks(t *testing.T) {
	r := newRig(t, chattest.Options{Fault: func(q chattest.Request) chattest.Fault {
		if q.Method == http.MethodGet && q.Space == "" && q.Target == user {
			return chattest.Fault{Status: 500}
		}
		if q.Method == http.MethodPatch && strings.HasSuffix(q.Target, "client-bad") {
			return chattest.Fault{Status: 400}
		}
		return chattest.Fault{}
	}})
	r.app.Install(user, direct)
	r.app.Install("users/124", "spaces/DM2")
	r.refused("a direct message", r.find(user), 500, "INTERNAL", "")
	r.taken("another", r.find("users/124"))
	r.refused("an edit", r.edit(client("bad"), "updateMask=*&allowMissing=true", hello), 400, "INVALID_ARGUMENT", "")
	r.taken("another", r.edit(client("fine"), "updateMask=*&allowMissing=true", hello))
}

func TestTheOldestOfAnAppIsForgotten(t *testing.T) {
	r := newRig(t, chattest.Options{Keep: 2})
	for i := range 4 {
		r.taken("a message", r.create(place, fmt.Sprint("messageId=client-", i), hello))
	}
	r.refused("an edit of the first", r.edit(client("0"), "updateMask=text", hello), 404, "NOT_FOUND", "")
	r.taken("an edit of the last", r.edit(client("3"), "updateMask=text", hello))
	r.taken("its id again", r.create(place, "messageId=client-0", hello))
}

func TestAQueryThatIsNoneIsRefused(t *testing.T) {
	r := newRig(t, chattest.Options{})
	q := &http.Request{
		Method: http.MethodGet,
		URL:    &url.URL{Scheme: "https", Host: "chat.googleapis.com", Path: "/v1/spaces:findDirectMessage", RawQuery: "name=%zz"},
		Header: http.Header{"Authorization": {"Bearer " + r.token}},
	}
	r.refused("it", do(t, r.Server, q.WithContext(t.Context())), 400, "INVALID_ARGUMENT", "Request contains an invalid argument.")
}
