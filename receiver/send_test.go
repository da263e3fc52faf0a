package receiver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"alertchat/receiver/chat"
	"alertchat/receiver/chat/chattest"
)

// sending is a setup whose only space leads to a stand-in without sockets.
type sending struct {
	setup  *Setup
	google *chattest.Server
}

func newSending(t *testing.T, settings string, o chattest.Options) *sending {
	t.Helper()
	g := &sending{setup: setup(t, "spaces: [{name: ops, webhook_url: 'WEBHOOK', "+settings+"}]"), google: chattest.New(o)}
	path := g.google.AddWebhook("spaces/A")
	u, err := chat.ParseWebhookURL("https://chat.googleapis.com" + path)
	if err != nil {
		t.Fatal(err)
	}
	g.setup.spaces["ops"].Chat = chat.NewWebhook(chat.WebhookOptions{URL: u, HTTP: &http.Client{Transport: g.google.Transport()}})
	return g
}

// send sends the draft within a time and returns the names of the messages.
func (g *sending) send(t *testing.T, d *Draft, within time.Duration) (names []string, took time.Duration, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), within, errors.New("no answer in all that time"))
	defer cancel()
	start := time.Now()
	err = g.setup.Send(ctx, d, func(r chat.Receipt) { names = append(names, r.Message) })
	return names, time.Since(start), err
}

// TestSendTriesAgainWhatMayPass: each fault ends, and the message is there once.
func TestSendTriesAgainWhatMayPass(t *testing.T) {
	for _, c := range []struct {
		name        string
		n           int
		fault       chattest.Fault
		requests    int
		least, most time.Duration
	}{
		{"nothing goes wrong", 0, chattest.Fault{}, 1, 0, 0},
		{"429 twice", 2, chattest.Fault{Status: 429}, 3, 1500 * time.Millisecond, 3 * time.Second},
		{"429 that asks for more", 1, chattest.Fault{Status: 429, RetryAfter: 7 * time.Second}, 2, 7 * time.Second, 7 * time.Second},
		{"503", 1, chattest.Fault{Status: 503}, 2, 500 * time.Millisecond, time.Second},
		{"the connection is refused", 1, chattest.Fault{Refuse: true}, 2, 500 * time.Millisecond, time.Second},
		{"the answer is lost", 1, chattest.Fault{Act: true, Drop: true}, 2, 500 * time.Millisecond, time.Second},
		{"the answer breaks off", 1, chattest.Fault{Truncate: true}, 2, 500 * time.Millisecond, time.Second},
		{"no answer comes", 1, chattest.Fault{Act: true, Hang: true}, 2, 10500 * time.Millisecond, 11 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newSending(t, "rate_limit: 100", chattest.Options{})
			d, err := g.setup.Text("ops", "done")
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				g.google.Inject("spaces/A", c.n, c.fault)
				names, took, err := g.send(t, d, 30*time.Second)
				if err != nil {
					t.Fatal(err)
				}
				messages, requests := g.google.Messages("spaces/A"), g.google.Requests()
				if len(messages) != 1 || messages[0].Text != "done" || len(names) != 1 || names[0] != messages[0].Name {
					t.Errorf("names %q, messages %+v, want one", names, messages)
				}
				if len(requests) != c.requests || took < c.least || took > c.most+100*time.Millisecond {
					t.Errorf("%d requests in %s, want %d in %s to %s", len(requests), took, c.requests, c.least, c.most)
				}
				for _, r := range requests {
					if r.RequestID == "" || r.RequestID != requests[0].RequestID {
						t.Errorf("request ids %q and %q, want one and the same", requests[0].RequestID, r.RequestID)
					}
				}
			})
		})
	}
}

func TestSendGivesUp(t *testing.T) {
	for _, c := range []struct {
		name     string
		fault    chattest.Fault
		text     string
		want     string
		outcome  chat.Outcome
		inDoubt  bool
		requests int // at most
	}{
		{"a refusal at once", chattest.Fault{Status: 400}, "a", "send to ops: 400: ", chat.Refused, false, 1},
		{"a webhook that is gone at once", chattest.Fault{Status: 404}, "a", "send to ops: 404: ", chat.Denied, false, 1},
		{"too many requests after the time", chattest.Fault{Status: 429}, "a", "send to ops: 429: ", chat.NotDone, false, 10},
		{"an illness after the time", chattest.Fault{Status: 500}, "a", "send to ops: 500: ", chat.Unknown, true, 10},
		{"a lost answer after the time", chattest.Fault{Act: true, Drop: true}, "a", "send to ops: connection: the connection was closed", chat.Unknown, true, 10},
		{"silence after the time", chattest.Fault{Hang: true}, "a", "send to ops: timeout: no answer ", chat.Unknown, true, 4},
		{"a wait that is longer than the time at once", chattest.Fault{Status: 429, RetryAfter: time.Minute}, "a", "send to ops: 429: ", chat.NotDone, false, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newSending(t, "rate_limit: 100", chattest.Options{})
			d, err := g.setup.Text("ops", c.text)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				g.google.Inject("spaces/A", -1, c.fault)
				names, took, err := g.send(t, d, 30*time.Second)
				failure, ok := errors.AsType[*SendError](err)
				if !ok || !strings.HasPrefix(err.Error(), c.want) || failure.Err.Outcome != c.outcome || failure.InDoubt != c.inDoubt || len(names) > 0 {
					t.Errorf("Send gives %q, %v (%+v), want the error %q, in doubt: %v", names, err, failure, c.want, c.inDoubt)
				}
				if n := len(g.google.Requests()); n < 1 || n > c.requests || took > 30*time.Second {
					t.Errorf("%d requests in %s, want at most %d in 30 s", n, took, c.requests)
				}
				if want := "config.yml:1: spaces[0].webhook_url"; ok && failure.Destination != want {
					t.Errorf("Destination = %q, want %q", failure.Destination, want)
				}
			})
		})
	}
}

// manyAlerts is a payload that takes several messages.
func manyAlerts() []byte {
	var alerts []string
	for i := range 200 {
		alerts = append(alerts, fmt.Sprintf(`{"status":"firing","labels":{"alertname":"A","n":"%d"},"annotations":{"summary":%q},"startsAt":"2026-11-23T12:00:00Z"}`, i, strings.Repeat("long ", 50)))
	}
	return fmt.Appendf(nil, `{"version":"4","groupKey":"{}:{}","receiver":"r","alerts":[%s]}`, strings.Join(alerts, ","))
}

func TestSendKeepsThePaceBetweenParts(t *testing.T) {
	g := newSending(t, "rate_limit: 0.5, max_parts: 3", chattest.Options{Rate: 0.5})
	synctest.Test(t, func(t *testing.T) {
		d, err := g.setup.Render("ops", manyAlerts(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		names, took, err := g.send(t, d, 30*time.Second)
		if err != nil || len(names) != 3 || took != 4*time.Second {
			t.Errorf("Send gives %q, %v after %s, want 3 names after 4 s", names, err, took)
		}
		messages := g.google.Messages("spaces/A")
		if len(g.google.Requests()) != 3 || len(messages) != 3 || !messages[2].Reply || messages[2].Thread != messages[0].Thread {
			t.Errorf("%d requests, %d messages, want 3 in one thread", len(g.google.Requests()), len(messages))
		}
	})
}

func TestSendSaysWhichPartFailed(t *testing.T) {
	g := newSending(t, "rate_limit: 1, max_parts: 3", chattest.Options{})
	synctest.Test(t, func(t *testing.T) {
		d, err := g.setup.Render("ops", manyAlerts(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		g.google.Inject("spaces/A", 1, chattest.Fault{})
		g.google.Inject("spaces/A", -1, chattest.Fault{Status: 403})
		names, _, err := g.send(t, d, 30*time.Second)
		if failure, ok := errors.AsType[*SendError](err); !ok || len(names) != 1 || failure.Delivered != 1 || !strings.HasPrefix(err.Error(), "send to ops: message 2 of 3: 403: ") {
			t.Errorf("Send gives %q, %v, want one name, and an error of the second message", names, err)
		}
		g.google.Heal("spaces/A")
		if names, took, err := g.send(t, d, 1500*time.Millisecond); err == nil || len(names) != 2 || took > 1100*time.Millisecond || !strings.Contains(err.Error(), "message 3 of 3: timeout: its turn did not come in time") {
			t.Errorf("without the time for all: %q, %v after %s, want 2 names and a word on the third", names, err, took)
		}
	})
}

func TestSendGoesWithoutAThreadThatChatDoesNotTake(t *testing.T) {
	const refusal = `{"error":{"code":400,"message":"The request contains an invalid thread resource name","status":"INVALID_ARGUMENT"}}`
	g := newSending(t, "rate_limit: 100", chattest.Options{})
	d, err := g.setup.Render("ops", []byte(twoAlerts), now())
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		g.google.Inject("spaces/A", 1, chattest.Fault{Status: 400, Body: refusal})
		names, _, err := g.send(t, d, 30*time.Second)
		requests, messages := g.google.Requests(), g.google.Messages("spaces/A")
		if err != nil || len(names) != 1 || len(messages) != 1 || messages[0].ThreadKey != "" {
			t.Errorf("Send gives %q, %v, want one message without a thread key: %+v", names, err, messages)
		}
		if len(requests) != 2 || requests[0].RequestID == requests[1].RequestID {
			t.Errorf("%d requests, want 2 with ids of their own", len(requests))
		}
		g.google.Inject("spaces/A", -1, chattest.Fault{Status: 400, Body: refusal})
		if _, _, err := g.send(t, d, 30*time.Second); err == nil || len(g.google.Requests()) != 4 {
			t.Errorf("Send gives %v after %d requests, want an error after two more", err, len(g.google.Requests()))
		}
	})
}

func TestSendEndsWithItsContext(t *testing.T) {
	g := newSending(t, "rate_limit: 100", chattest.Options{})
	d, err := g.setup.Text("ops", "a")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		g.google.Inject("spaces/A", -1, chattest.Fault{Status: 503})
		time.AfterFunc(5*time.Second, cancel)
		start := time.Now()
		err := g.setup.Send(ctx, d, func(chat.Receipt) { t.Error("it was sent") })
		if took := time.Since(start); err == nil || took != 5*time.Second {
			t.Errorf("Send gives %v after %s, want an error after 5 s", err, took)
		}
	})
}
