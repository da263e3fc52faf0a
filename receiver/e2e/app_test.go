package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat"
	"alertchat/receiver/chat/chattest"
)

// bot is a Chat app in the stand-in.
type bot struct {
	*chattest.App

	config string // of the app in a space
}

// startBot makes a Chat app that is a member of a space's place.
func startBot(t testing.TB, c *googleChat, space string) *bot {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	b := &bot{App: c.AddApp("bot@example.iam.gserviceaccount.com", &key.PublicKey)}
	b.Join(place(space))
	file := filepath.Join(t.TempDir(), "app.json")
	writeFile(t, file, string(b.KeyFile(key, c.address)))
	b.config = fmt.Sprintf("app: {space: %s, api_url: '%s', credentials_file: '%s'}", place(space), c.address, file)
	return b
}

// appConfig returns alertchat's config for a space that is a Chat app.
func (b *bot) appConfig(space string) string {
	return fmt.Sprintf("defaults: {rate_limit: 10, timeout: 2s}\nspaces:\n  - {name: %s, %s}\n", space, b.config)
}

// waitShown waits until the message of a space with that index holds a text.
func (c *googleChat) waitShown(t testing.TB, space string, index int, texts ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("message %d shows %q", index, texts), func() error {
		messages := c.Messages(place(space))
		if len(messages) <= index {
			return fmt.Errorf("there are %d messages", len(messages))
		}
		for _, text := range texts {
			if !strings.Contains(string(messages[index].Body), text) {
				return fmt.Errorf("no %q in %s", text, messages[index].Body)
			}
		}
		return nil
	})
}

func TestAnAppEditsAnIncidentUntilItsEnd(t *testing.T) {
	p := findPrograms(t)
	tests := []struct {
		name string
		run  func(*testing.T, programs)
	}{
		{"over a kill at each request", appKilled},
		{"with tokens that are revoked, and a token endpoint that fails", appWithoutTokens},
		{"when it takes over from a webhook, in the webhook's thread", appAfterWebhook},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, p)
		})
	}
}

// wantWholeStory fails the test unless the space looks as it must: one message
// that has ended, and one line about that in its thread.
func (c *googleChat) wantWholeStory(t testing.TB, space string) {
	t.Helper()
	c.waitShown(t, space, 0, "✅ DiskFull", "RESOLVED")
	messages := c.wait(t, space, 2)
	wantReply(t, messages[1], messages[0])
	// Of alerts that end one after the other, Alertmanager lists the last ones.
	if text := messages[1].Text; !strings.HasPrefix(text, "✅ DiskFull · ") || !strings.Contains(text, "RESOLVED") {
		t.Errorf("the line in the thread is %q", text)
	}
	if strings.Contains(string(messages[0].Body), "🔴") {
		t.Errorf("the message is not green: %s", messages[0].Body)
	}
	c.wantNoRemarks(t)
}

// killAt kills the receiver when the next request has done its work, and before
// its answer comes.
func (c *googleChat) killAt(t testing.TB, space string, receiver *alertchat, what string) {
	t.Helper()
	before := len(c.Requests())
	c.Inject(place(space), 1, chatAnswersLate)
	eventually(t, what, func() error {
		if requests := c.Requests(); len(requests) == before || requests[before].Message == "" {
			return errors.New("no request has come")
		}
		return nil
	})
	receiver.kill()
	c.Heal(place(space))
	receiver.start(t)
}

func appKilled(t *testing.T, p programs) {
	chat := startChat(t)
	receiver := startAlertchat(t, p, startBot(t, chat, "ops").appConfig("ops"))
	am := startAlertmanager(t, p, newest, receiver.address)

	chat.Inject(place("ops"), 1, chatAnswersLate)
	am.fire(t, "DiskFull", "severity=critical", "instance=db-1")
	chat.wait(t, "ops", 1)
	receiver.kill()
	receiver.start(t)
	chat.waitShown(t, "ops", 0, "DiskFull", "db-1")

	am.fire(t, "DiskFull", "severity=critical", "instance=db-2")
	chat.killAt(t, "ops", receiver, "an edit")
	chat.waitShown(t, "ops", 0, "2 FIRING", "db-1", "db-2")

	am.end(t, "DiskFull", "severity=critical", "instance=db-1")
	chat.waitShown(t, "ops", 0, "1 FIRING, 1 resolved")
	am.end(t, "DiskFull", "severity=critical", "instance=db-2")
	chat.killAt(t, "ops", receiver, "the line about the end")
	chat.wantWholeStory(t, "ops")
	chat.wantNoSecret(t, receiver)
}

func appWithoutTokens(t *testing.T, p programs) {
	chat := startChat(t)
	bot := startBot(t, chat, "ops")
	receiver := startAlertchat(t, p, bot.appConfig("ops"))
	am := startAlertmanager(t, p, newest, receiver.address)

	chat.InjectToken(2, chattest.Fault{Status: http.StatusServiceUnavailable})
	am.fire(t, "DiskFull", "severity=critical", "instance=db-1")
	chat.wait(t, "ops", 1)
	bot.RevokeTokens()
	am.fire(t, "DiskFull", "severity=critical", "instance=db-2")
	chat.waitShown(t, "ops", 0, "2 FIRING")
	bot.RevokeTokens()
	chat.InjectToken(1, chattest.Fault{Drop: true})
	am.end(t, "DiskFull", "severity=critical", "instance=db-1")
	am.end(t, "DiskFull", "severity=critical", "instance=db-2")
	chat.wantWholeStory(t, "ops")
	for _, token := range bot.Tokens() {
		if strings.Contains(receiver.output(), token) {
			t.Error("the log shows an access token")
		}
	}
}

func appAfterWebhook(t *testing.T, p programs) {
	chat := startChat(t)
	bot := startBot(t, chat, "ops")
	receiver := startAlertchat(t, p, chat.config("", "ops"))
	am := startAlertmanager(t, p, newest, receiver.address)

	am.fire(t, "DiskFull", "severity=critical", "instance=db-1")
	first := chat.wait(t, "ops", 1)[0]
	receiver.reload(t, bot.appConfig("ops"))
	receiver.waitPage(t, "/api/v1/status", `"kind":"app"`)
	am.fire(t, "DiskFull", "severity=critical", "instance=db-2")
	wantReply(t, chat.wait(t, "ops", 2)[1], first)
	am.end(t, "DiskFull", "severity=critical", "instance=db-1")
	am.end(t, "DiskFull", "severity=critical", "instance=db-2")
	chat.waitShown(t, "ops", 1, "✅ DiskFull", "RESOLVED")
	messages := chat.wait(t, "ops", 3)
	wantReply(t, messages[2], first)
	if string(messages[0].Body) != string(first.Body) || messages[0].Door == messages[1].Door {
		t.Errorf("the webhook's message was %s and is %s; only its own may be edited", first.Body, messages[0].Body)
	}
	chat.wantNoRemarks(t)
}

// TestADirectMessageReachesItsUser: with the app installed, a user is told like
// a space is.
func TestADirectMessageReachesItsUser(t *testing.T) {
	p := findPrograms(t)
	c := startChat(t)
	bot := startBot(t, c, "unused")
	bot.Install("users/123456789", place("sasha"))
	config := strings.Replace(bot.appConfig("sasha"), "space: "+place("unused"), "user: users/123456789", 1)
	receiver := startAlertchat(t, p, config)
	am := startAlertmanager(t, p, newest, receiver.address)
	am.fire(t, "DiskFull", "severity=critical", "instance=db-1")
	first := c.wait(t, "sasha", 1)[0]
	if wantCard(t, first, "DiskFull", "db-1"); first.Door != chat.ByApp {
		t.Errorf("the message came by %s", first.Door)
	}
	am.end(t, "DiskFull", "severity=critical", "instance=db-1")
	c.waitShown(t, "sasha", 0, "✅ DiskFull", "RESOLVED")
	c.wait(t, "sasha", 2)
	receiver.waitPage(t, "/api/v1/status", `"place":"`+place("sasha")+`"`)
	c.wantNoRemarks(t)
}

// TestAppFlood lets many groups fire and end, each of which has a message of its
// own, since no digests are made. APP_FLOOD_GROUPS=200 is a longer run at the
// pace of Google Chat.
func TestAppFlood(t *testing.T) {
	t.Parallel()
	groups, rate := 40, 10
	if text := os.Getenv("APP_FLOOD_GROUPS"); text != "" {
		var err error
		if groups, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
		rate = 1
	}
	chat := startChatWith(t, chattest.Options{Rate: float64(rate)})
	bot := startBot(t, chat, "ops")
	config := fmt.Sprintf("defaults: {rate_limit: %d, digest_threshold: 0}\nspaces:\n  - {name: ops, %s}\n", rate, bot.config)
	f := &flood{t: t, receiver: startAlertchat(t, programs{alertchat: buildAlertchat(t)}, config), client: new(http.Client)}
	for i, status := range []string{alert.Firing, alert.Resolved} {
		begin := time.Now()
		for n := range groups {
			body, err := json.Marshal(wave(n, status, 0))
			if err != nil {
				t.Fatal(err)
			}
			if err := f.deliver("", string(body)); err != nil {
				t.Fatal(err)
			}
		}
		within(t, patience+time.Duration(3*groups/rate)*time.Second, "all is told", func() error { return f.receiver.drained(t) })
		writes := []int{groups, 3 * groups}[i] // the line about the end, and the edit
		t.Logf("%d groups %s: %s, %d writes in all", groups, status, time.Since(begin).Round(100*time.Millisecond), len(chat.Requests()))
		if got := len(chat.Requests()) - chat.Throttled(place("ops")); got != writes {
			t.Errorf("%d writes, want %d", got, writes)
		}
	}
	// What people are told comes before what is only edited, but for what was not
	// posted yet when there was a moment for an edit.
	late, edited := 0, false
	for _, r := range chat.Requests() {
		edited = edited || r.Method == http.MethodPatch
		if edited && r.Method == http.MethodPost {
			late++
		}
	}
	if late > groups/4 {
		t.Errorf("%d of %d groups were told after the first edit, want the edits at the end", late, groups)
	}
	ended := 0
	for _, m := range chat.Messages(place("ops")) {
		if !strings.Contains(string(m.Body), "✅") || strings.Contains(string(m.Body), "🔴") {
			t.Errorf("a message is not green in the end: %s", m.Body)
		}
		if len(m.Versions) > 1 {
			ended++
		}
	}
	if ended != groups {
		t.Errorf("%d messages were edited, want %d", ended, groups)
	}
	chat.wantPaced(t, float64(rate))
	chat.wantNoRemarks(t)
}
