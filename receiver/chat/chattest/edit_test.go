package chattest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"alertchat/receiver/chat"
	"alertchat/receiver/chat/chattest"
)

const (
	oldCard  = `[{"cardId":"a","card":{"header":{"title":"old"}}}]`
	newCard  = `[{"cardId":"a","card":{"header":{"title":"new"}}}]`
	original = `{"text":"old","fallbackText":"f","markupSyntax":"MARKUP_SYNTAX_CHAT","cardsV2":` + oldCard + `,"thread":{"threadKey":"k"}}`
)

func TestEdits(t *testing.T) {
	// What stays whatever is edited.
	const stays = `"fallbackText":"f","thread":{"threadKey":"k"}`
	tests := []struct{ name, mask, body, want string }{
		{"the text", "text", `{"text":"new"}`, `{"text":"new","cardsV2":` + oldCard + "," + stays + `}`},
		{"the text with its syntax", "text", `{"text":"new","markupSyntax":"MARKUP_SYNTAX_MARKDOWN"}`, `{"text":"new","markupSyntax":"MARKUP_SYNTAX_MARKDOWN","cardsV2":` + oldCard + "," + stays + `}`},
		{"the cards", "cardsV2", `{"cardsV2":` + newCard + `}`, `{"text":"old","markupSyntax":"MARKUP_SYNTAX_CHAT","cardsV2":` + newCard + "," + stays + `}`},
		{"the cards in snake case", "cards_v2", `{"cards_v2":` + newCard + `}`, `{"text":"old","markupSyntax":"MARKUP_SYNTAX_CHAT","cardsV2":` + newCard + "," + stays + `}`},
		{"both", "text,cardsV2", `{"text":"new","cardsV2":` + newCard + `}`, `{"text":"new","cardsV2":` + newCard + "," + stays + `}`},
		{"both the other way, and once more", "cards_v2,text,text", `{"text":"new","cardsV2":` + newCard + `}`, `{"text":"new","cardsV2":` + newCard + "," + stays + `}`},
		{"everything", "*", `{"text":"new","cardsV2":` + newCard + `}`, `{"text":"new","cardsV2":` + newCard + "," + stays + `}`},
		{"everything, without cards", "*", `{"text":"new"}`, `{"text":"new",` + stays + `}`},
		{"the cards away", "cardsV2", `{}`, `{"text":"old","markupSyntax":"MARKUP_SYNTAX_CHAT",` + stays + `}`},
		{"the cards away, by a list of none", "cardsV2", `{"cardsV2":[]}`, `{"text":"old","markupSyntax":"MARKUP_SYNTAX_CHAT","cardsV2":[],` + stays + `}`},
		{"the text away", "text", `{"text":null}`, `{"cardsV2":` + oldCard + "," + stays + `}`},
		{"buttons beside the text", "accessory_widgets", `{"accessoryWidgets":[{"buttonList":{"buttons":[{"text":"x","onClick":{"openLink":{"url":"https://example.com"}}}]}}]}`, `{"text":"old","markupSyntax":"MARKUP_SYNTAX_CHAT","cardsV2":` + oldCard + `,"accessoryWidgets":[{"buttonList":{"buttons":[{"text":"x","onClick":{"openLink":{"url":"https://example.com"}}}]}}],` + stays + `}`},
		{"what is not in the mask", "text", `{"text":"new","fallbackText":"n","thread":{"threadKey":"n"},"cardsV2":` + newCard + `}`, `{"text":"new","cardsV2":` + oldCard + "," + stays + `}`},
		{"what is not there", "attachment,cards,accessoryWidgets,quotedMessageMetadata", `{"text":"new"}`, `{"text":"old","markupSyntax":"MARKUP_SYNTAX_CHAT","cardsV2":` + oldCard + "," + stays + `}`},
		{"signs that JSON may escape", "text", `{"text":"<a&b>"}`, `{"text":"<a&b>","cardsV2":` + oldCard + "," + stays + `}`},
	}
	for _, tt := range tests {
		for _, method := range []string{"PATCH", "PUT"} {
			t.Run(tt.name+", by "+method, func(t *testing.T) {
				now := time.Now()
				r := newRig(t, chattest.Options{Now: func() time.Time { return now }})
				made := r.create(place, theOrNew+"&messageId=client-a", original)
				start := now
				now = now.Add(time.Second)
				a := r.as(r.token, method, "/v1/"+client("a")+"?updateMask="+tt.mask, tt.body)
				r.taken("it", a)
				m := r.Messages(place)[0]
				if diff := cmp.Diff(fields(t, tt.want), fields(t, string(m.Body))); diff != "" {
					t.Errorf("the message (-want +got):\n%s", diff)
				}
				if strings.Contains(string(m.Body), `\u`) {
					t.Errorf("the message is %s, with escapes that nobody sent", m.Body)
				}
				want := []chattest.Version{{At: start, Body: json.RawMessage(original)}, {At: now, Body: m.Body}}
				if diff := cmp.Diff(want, m.Versions); diff != "" {
					t.Errorf("the versions (-want +got):\n%s", diff)
				}
				text, _ := fields(t, tt.want)["text"].(string)
				if a.Name != made.Name || m.Name != made.Name || m.Text != text || a.Text != text || !m.CreatedAt.Equal(start) || m.ThreadKey != "k" || m.Thread != made.Thread.Name {
					t.Errorf("the message is %+v and the answer %s, want %s with the text %q", m, a.body, made.Name, text)
				}
				if got := r.Remarks(); len(got) > 0 {
					t.Errorf("the remarks are %q, want none", got)
				}
			})
		}
	}
}

func fields(t testing.TB, body string) map[string]any {
	t.Helper()
	return decode(t, answer{body: body})
}

func TestEditsThatAreRefused(t *testing.T) {
	long := strings.Repeat("x", 20_000)
	tests := []struct{ name, query, body, message string }{
		{"no mask", "", hello, "update_mask is required."},
		{"an empty mask", "updateMask=", hello, "update_mask is required."},
		{"the syntax", "updateMask=text,markup_syntax", hello, "Invalid update mask: markup_syntax"},
		{"the syntax in camel case", "updateMask=markupSyntax", hello, "Invalid update mask: markupSyntax"},
		{"the fallback text", "updateMask=fallbackText", hello, "Invalid update mask: fallbackText"},
		{"the thread", "updateMask=thread", hello, "Invalid update mask: thread"},
		{"a part of a field", "updateMask=cardsV2.card", hello, "Invalid update mask: cardsV2.card"},
		{"nothing between two commas", "updateMask=text,,cards", hello, "Invalid update mask: "},
		{"a blank", "updateMask=text,%20cards", hello, "Invalid update mask:  cards"},
		{"all and more", "updateMask=*,text", hello, "Invalid update mask: *"},
		{"a mask twice", "updateMask=text&updateMask=text", hello, `Unknown name "updateMask"`},
		{"a parameter in snake case", "updateMask=text&allow_missing=true", hello, `Unknown name "allow_missing"`},
		{"a parameter of new messages", "updateMask=text&requestId=r", hello, `Unknown name "requestId"`},
		{"neither true nor false", "updateMask=text&allowMissing=1", hello, "Invalid value at 'allowMissing' (TYPE_BOOL)"},
		{"no JSON", "updateMask=text", "text=x", "Invalid JSON payload received."},
		{"no message", "updateMask=text", "[]", "Root element must be a message."},
		{"an unknown field", "updateMask=text", `{"text":"x","foo":1}`, `Unknown name "foo" at 'message': Cannot find field.`},
		{"a fault that is not in the mask", "updateMask=text", `{"text":"x","cardsV2":{}}`, "Invalid value at 'message.cards_v2'"},
		{"a field under both of its names", "updateMask=cardsV2", `{"cardsV2":[],"cards_v2":[]}`, "set twice"},
		{"nothing left", "updateMask=text,cardsV2", `{}`, "Message cannot be empty."},
		{"nothing left of everything", "updateMask=*", `{"fallbackText":"x"}`, "Message cannot be empty."},
		{"a quote", "updateMask=*", `{"text":"x","quotedMessageMetadata":{"name":"spaces/AAAA/messages/x"}}`, "quoted_message_metadata can only be removed."},
		{"too long as a whole", "updateMask=cardsV2", `{"cardsV2":[{"card":{"header":{"title":"` + long + `"}}}]}`, "Chat takes at most 32000"},
		{"too long for itself", "updateMask=text", `{"text":"x","fallbackText":"` + long + long + `"}`, "Chat takes at most 32000"},
		{"too long for a look", "updateMask=text", `{"text":"x","foo":"` + strings.Repeat(long, 14) + `"}`, "Chat takes at most 32000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, chattest.Options{})
			made := r.create(place, "", `{"text":"old","fallbackText":"`+long+`","cardsV2":`+oldCard+`}`)
			r.taken("the original", made)
			r.refused("it", r.edit(made.Name, tt.query, tt.body), 400, "INVALID_ARGUMENT", tt.message)
			if m := r.Messages(place)[0]; m.Text != "old" || len(m.Versions) != 1 {
				t.Errorf("the message is %+v, want it as it was", m)
			}
		})
	}
}

func TestOnlyOwnMessagesAreEdited(t *testing.T) {
	r := newRig(t, chattest.Options{})
	for who, name := range r.foreign() {
		r.refused("of "+who, r.edit(name, "updateMask=text&allowMissing=true", hello), 403, "PERMISSION_DENIED", "The caller does not have permission")
	}
	for _, m := range r.Messages(place) {
		if len(m.Versions) != 1 {
			t.Errorf("the message %+v was edited", m)
		}
	}
}

func TestMissingMessages(t *testing.T) {
	const allow, mask = "&allowMissing=true", "updateMask=text"
	tests := []struct {
		name, message, query string
		code                 int
		failure              string
	}{
		{"not allowed", client("new"), mask, 404, ""},
		{"said to be not allowed", client("new"), mask + "&allowMissing=false", 404, ""},
		{"allowed", client("new"), mask + allow, 200, ""},
		{"allowed, of all fields", client("new"), "updateMask=*" + allow, 200, ""},
		{"a name of Chat's own", place + "/messages/T.T", mask + allow, 404, ""},
		{"an id of another form", client("New"), mask + allow, 400, "Invalid message ID."},
		{"an id with nothing of its own", client(""), mask + allow, 400, "Invalid message ID."},
		{"without a mask", client("new"), "allowMissing=true", 400, "update_mask is required."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, chattest.Options{})
			a := r.edit(tt.message, tt.query, original)
			if a.code != tt.code || tt.failure != "" && a.Error.Message != tt.failure {
				t.Fatalf("the answer is %d %s, want %d %s", a.code, a.body, tt.code, tt.failure)
			}
			if a.code != 200 {
				if m := r.Messages(place); len(m) > 0 {
					t.Errorf("the messages are %+v, want none", m)
				}
				return
			}
			m := r.Messages(place)[0]
			if m.ClientID != "client-new" || m.Name != a.Name || len(m.Versions) != 1 || string(m.Body) != original || m.ThreadKey != "" || m.Reply {
				t.Errorf("the message is %+v, want %s as it was sent, in a new thread", m, a.Name)
			}
			r.taken("it again", r.edit(tt.message, tt.query, `{"text":"new"}`))
			if m := r.Messages(place); len(m) != 1 || m[0].Text != "new" || len(m[0].Versions) != 2 {
				t.Errorf("the messages are %+v, want the one, edited", m)
			}
			r.refused("a new message with its id", r.create(place, "messageId=client-new", hello), 409, "ALREADY_EXISTS", "")
		})
	}
}

func TestAMissingMessageMustBeWhole(t *testing.T) {
	r := newRig(t, chattest.Options{})
	const query = "updateMask=text&allowMissing=true"
	r.refused("an empty one", r.edit(client("a"), query, `{}`), 400, "INVALID_ARGUMENT", "Message cannot be empty.")
	r.refused("a thread of another space", r.edit(client("a"), query, name("spaces/BBBB/threads/T")), 400, "INVALID_ARGUMENT", "invalid thread resource name")
	if got := r.Remarks(); len(got) != 1 || !strings.Contains(got[0], "the message is empty") {
		t.Errorf("the remarks are %q, want one on the empty message", got)
	}
}

func TestWhereAMissingMessageGoes(t *testing.T) {
	r := newRig(t, chattest.Options{})
	first := r.create(place, theOrNew, key("k"))
	for i, tt := range []struct {
		body string
		want bool // whether it replies in the first thread
	}{
		{hello, false},
		{key("k"), false},
		{name(first.Thread.Name), true},
		{name(place + "/threads/unknown"), false},
	} {
		a := r.edit(client(fmt.Sprint(i)), "updateMask=text&allowMissing=true", tt.body)
		if a.code != 200 || (a.Thread.Name == first.Thread.Name) != tt.want {
			t.Errorf("%s: the answer is %d %s, want it in %s: %t", tt.body, a.code, a.body, first.Thread.Name, tt.want)
		}
	}
}

func TestAnEditOfADeletedMessage(t *testing.T) {
	for keep, want := range map[bool]int{false: 200, true: 404} {
		t.Run(fmt.Sprint("its id stays taken: ", keep), func(t *testing.T) {
			r := newRig(t, chattest.Options{KeepDeleted: keep})
			old := r.create(place, "messageId=client-a&requestId=r", hello)
			r.DeleteMessage(client("a"))
			for _, name := range []string{old.Name, client("a")} {
				r.refused("an edit", r.edit(name, "updateMask=text", hello), 404, "NOT_FOUND", "")
			}
			r.refused("by Chat's own name", r.edit(old.Name, "updateMask=text&allowMissing=true", hello), 404, "NOT_FOUND", "")
			a := r.edit(client("a"), "updateMask=text&allowMissing=true", hello)
			if a.code != want || a.code == 200 && a.Name == old.Name {
				t.Errorf("by its id: %d %s, want %d and another message than %s", a.code, a.body, want, old.Name)
			}
			r.drop(client("a"))
			if a := r.create(place, "messageId=client-a&requestId=r", hello); a.code != map[bool]int{false: 200, true: 409}[keep] {
				t.Errorf("a new message with its ids: %d %s", a.code, a.body)
			}
		})
	}
}

// Remarks are on the message as it is then, those on what an edit did away with
// are gone.
func TestRemarksOnEdits(t *testing.T) {
	r := newRig(t, chattest.Options{})
	const untitled = `{"text":"x","cardsV2":[{"card":{"header":{"subtitle":"x"}}}]}`
	made := r.create(place, "", hello)
	r.edit(made.Name, "updateMask=cardsV2", untitled)
	if m := r.Messages(place)[0]; len(m.Remarks) != 1 || m.Remarks[0].Kind != chat.Remark {
		t.Errorf("the remarks on the message are %+v, want one", m.Remarks)
	}
	r.edit(made.Name, "updateMask=cardsV2", `{}`)
	if m := r.Messages(place)[0]; len(m.Remarks) != 0 {
		t.Errorf("the remarks on the message are %+v, want none", m.Remarks)
	}
	r.edit(made.Name, "updateMask=text", `{}`)
	r.edit(made.Name, "updateMask=text", `{"foo":1,"text":"x"}`)
	r.edit(client("none"), "updateMask=text", untitled) // nothing looks at it
	want := []string{
		place + ": cardsV2[0].card.header.title: is missing: without it the header stays blank",
		place + ": the message is empty: it needs a text or a card",
	}
	got := r.Remarks()
	if len(got) != 3 || !strings.Contains(got[2], `unknown field "foo"`) {
		t.Fatalf("Remarks = %q, want three, the last on foo", got)
	}
	if diff := cmp.Diff(want, got[:2]); diff != "" {
		t.Errorf("Remarks (-want +got):\n%s", diff)
	}
}

func TestWatchTellsEdits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, chattest.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		feed := r.Watch(ctx)
		made := r.create(place, "", `{"text":"0"}`)
		earlier := r.Messages(place)[0]
		for i := range 5 {
			r.edit(made.Name, "updateMask=text", fmt.Sprintf(`{"text":"%d"}`, i+1))
		}
		r.edit(made.Name, "updateMask=text", `{}`) // refused
		r.drop(made.Name)
		r.create(place, "", `{"text":"last"}`)
		var got []string
		for range 7 {
			m := <-feed
			got = append(got, fmt.Sprint(m.Text, " ", len(m.Versions)))
		}
		want := []string{"0 1", "1 2", "2 3", "3 4", "4 5", "5 6", "last 1"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the messages (-want +got):\n%s", diff)
		}
		if earlier.Text != "0" || len(earlier.Versions) != 1 || string(earlier.Body) != `{"text":"0"}` {
			t.Errorf("a message that was looked at before is now %+v", earlier)
		}
	})
}

func TestManyEditsAtOnce(t *testing.T) {
	r := newRig(t, chattest.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	feed := r.Watch(ctx)
	var writers sync.WaitGroup
	for g := range 8 {
		writers.Go(func() {
			for i := range 10 {
				r.edit(client("a"), "updateMask=text&allowMissing=true", fmt.Sprintf(`{"text":"%d-%d"}`, g, i))
				r.get(client("a"))
			}
		})
	}
	writers.Wait()
	var versions []int
	for range 80 {
		versions = append(versions, len((<-feed).Versions))
	}
	if !slices.IsSorted(versions) || versions[79] != 80 || len(r.Messages(place)) != 1 {
		t.Errorf("the versions are %d of %d messages, want 1 to 80 of one", versions, len(r.Messages(place)))
	}
}

func FuzzEdits(f *testing.F) {
	f.Add("text,cardsV2", `{"text":"new","cardsV2":`+newCard+`}`)
	f.Add("*", `{"cards_v2":[],"text":null}`)
	f.Add("text,markup__syntax_", `{"__":1,"_text":"x"}`)
	shared := newRig(f, chattest.Options{Keep: 1}) // a token takes longer than an edit
	f.Fuzz(func(t *testing.T, mask, body string) {
		r := *shared
		r.t = t
		made := r.create(place, "", original)
		a := r.edit(made.Name, url.Values{"updateMask": {mask}}.Encode(), body)
		m := r.Messages(place)[0]
		if a.code != 200 && (a.code != 400 || len(m.Versions) != 1) {
			t.Errorf("the answer is %d %s, and the message %s", a.code, a.body, m.Body)
		}
		for _, v := range chat.Check(m.Body, chat.ByApp) {
			if v.Kind != chat.Remark {
				t.Errorf("after %s the message is %s: %s", body, m.Body, v)
			}
		}
	})
}
