package e2e

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"alertchat/receiver/chat/chattest"
)

// googleChat is the stand-in for Google Chat, behind a socket. A configured
// space has the place "spaces/" and its name.
type googleChat struct {
	*chattest.Server

	address string
	hooks   map[string]string // the webhooks by space
}

func startChat(t testing.TB) *googleChat {
	t.Helper()
	return startChatWith(t, chattest.Options{})
}

// startChatWith starts a stand-in that may be at fault.
func startChatWith(t testing.TB, o chattest.Options) *googleChat {
	t.Helper()
	c := &googleChat{Server: chattest.New(o), hooks: map[string]string{}}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.address = server.URL
	return c
}

// config returns alertchat's config for spaces with webhooks, and a route.
func (c *googleChat) config(route string, spaces ...string) string {
	var b strings.Builder
	// The stand-in takes any number of messages a second.
	b.WriteString("defaults: {rate_limit: 10}\nspaces:\n")
	for _, space := range spaces {
		if c.hooks[space] == "" {
			c.hooks[space] = c.AddWebhook(place(space))
		}
		fmt.Fprintf(&b, "  - {name: %s, webhook_url: '%s%s'}\n", space, c.address, c.hooks[space])
	}
	return b.String() + route + "\n"
}

func place(space string) string { return "spaces/" + space }

// wait waits until a space has n messages and returns them, the oldest first.
// More than that are an error.
func (c *googleChat) wait(t testing.TB, space string, n int) []chattest.Message {
	t.Helper()
	var messages []chattest.Message
	eventually(t, fmt.Sprintf("%d messages in %s", n, space), func() error {
		if messages = c.Messages(place(space)); len(messages) < n {
			return fmt.Errorf("there are %d", len(messages))
		}
		return nil
	})
	if len(messages) > n {
		t.Errorf("%d messages in %s, want %d:\n%s", len(messages), space, n, bodies(messages))
	}
	return messages
}

// waitFor waits until a message of a space contains a text, and returns the
// space's messages, the oldest first.
func (c *googleChat) waitFor(t testing.TB, space, text string) []chattest.Message {
	t.Helper()
	var messages []chattest.Message
	eventually(t, fmt.Sprintf("a message with %q in %s", text, space), func() error {
		if messages = c.Messages(place(space)); count(messages, text) == 0 {
			return fmt.Errorf("there is none in:\n%s", bodies(messages))
		}
		return nil
	})
	return messages
}

// wantNoRemarks fails the test if Chat would have refused or mangled anything.
func (c *googleChat) wantNoRemarks(t testing.TB) {
	t.Helper()
	for _, remark := range c.Remarks() {
		t.Errorf("the stand-in remarks: %s", remark)
	}
}

// wantPaced fails the test if two requests to a space came clearly too soon one
// after the other for a rate. How many Chat refused because of the rate is
// logged: on a busy machine a request may take some milliseconds more on its way
// than the next one.
func (c *googleChat) wantPaced(t testing.TB, rate float64) {
	t.Helper()
	least := time.Duration(float64(time.Second) / rate / 2)
	before := map[string]time.Time{} // the latest request to each space
	for _, r := range c.Requests() {
		if last, ok := before[r.Space]; ok && r.At.Sub(last) < least {
			t.Errorf("a request to %s came %s after the one before it, want %s", r.Space, r.At.Sub(last), 2*least)
		}
		before[r.Space] = r.At
	}
	for _, space := range c.Spaces() {
		if n := c.Throttled(space); n > 0 {
			t.Logf("Chat refused %d requests to %s because of the rate", n, space)
		}
	}
}

// wantNoSecret fails the test if a webhook's token stands in what the receiver
// has printed or shows.
func (c *googleChat) wantNoSecret(t testing.TB, a *alertchat) {
	t.Helper()
	shown := map[string]string{"output": a.output()}
	for _, path := range []string{"/", "/api/v1/status", "/metrics"} {
		page, err := get(t.Context(), "http://"+a.address+path)
		if err != nil {
			t.Error(err)
		}
		shown[path] = page
	}
	for space, hook := range c.hooks {
		u, err := url.Parse(hook)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"key", "token"} {
			secret := u.Query().Get(name)
			for where, text := range shown {
				if secret == "" || strings.Contains(text, secret) || strings.Contains(text, url.QueryEscape(secret)) {
					t.Errorf("%s shows the webhook's %s of the space %s", where, name, space)
				}
			}
		}
	}
}

// wantCard fails the test if a message has no card or lacks one of the texts.
func wantCard(t testing.TB, m chattest.Message, texts ...string) {
	t.Helper()
	for _, text := range append(texts, `"cardsV2"`) {
		if !strings.Contains(string(m.Body), text) {
			t.Errorf("the message has no %s:\n%s", text, m.Body)
		}
	}
}

// wantReply fails the test if a message does not stand in the thread of
// another.
func wantReply(t testing.TB, m, first chattest.Message) {
	t.Helper()
	if m.Thread != first.Thread {
		t.Errorf("the message stands in %s, want it in %s with the first:\n%s", m.Thread, first.Thread, m.Body)
	}
}

// count returns how many messages contain a text.
func count(messages []chattest.Message, text string) int {
	n := 0
	for _, m := range messages {
		if strings.Contains(string(m.Body), text) {
			n++
		}
	}
	return n
}

func bodies(messages []chattest.Message) string {
	var b strings.Builder
	for _, m := range messages {
		fmt.Fprintf(&b, "%s in %s: %s\n", m.Name, m.Thread, m.Body)
	}
	return b.String()
}
