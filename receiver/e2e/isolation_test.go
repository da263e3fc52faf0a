package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat/chattest"
)

// TestSickSpacesHoldUpNoOther has three spaces that do not work, each in its
// way, and one that does. What fires in the three is told to a fifth, in a
// message for each.
func TestSickSpacesHoldUpNoOther(t *testing.T) {
	t.Parallel()
	const groups = 5
	sick := []string{"gone", "hanging", "throttled"}
	chat := startChatWith(t, chattest.Options{})
	config := "defaults: {rate_limit: 10, timeout: 5s, fallback_after: 10s}\nspaces:\n" +
		chat.entry("well", "fallback_space: fallback") + chat.entry("fallback", "thread: none")
	for _, name := range sick {
		config += chat.entry(name, "fallback_space: fallback")
	}
	chat.RemoveWebhook(chat.hooks["gone"])
	chat.Inject(place("hanging"), -1, chattest.Fault{Hang: true})
	chat.Inject(place("throttled"), -1, chattest.Fault{Status: http.StatusTooManyRequests})
	f := startFlood(t, buildAlertchat(t), chat, config+"route: {space: well}\n")

	began := time.Now()
	for n := range groups {
		for _, name := range append(sick, "well") {
			body, err := json.Marshal(wave(n, alert.Firing, 0))
			if err != nil {
				t.Fatal(err)
			}
			if err := f.deliver("/"+name, string(body)); err != nil {
				t.Fatal(err)
			}
		}
	}
	chat.wait(t, "well", groups)
	if n := f.requests("hanging"); n != 1 {
		t.Errorf("by the time that the others were told, %d requests had come to the space that hangs, want the first of them", n)
	}
	// A few answers 429 do not make a space a sick one. A reload has it tried at
	// once, which spares the test the waits between.
	for n := range 6 {
		eventually(t, fmt.Sprintf("request %d to the throttled space", n+1), func() error {
			if got := f.requests("throttled"); got <= n {
				return fmt.Errorf("%d requests came", got)
			}
			return nil
		})
		f.receiver.signal(t, syscall.SIGHUP)
	}
	for _, name := range sick {
		chat.waitFor(t, "fallback", "space "+name+" since")
	}
	for i, m := range chat.wait(t, "fallback", len(sick)) {
		for n := range groups {
			if !strings.Contains(m.Text, service(n)) {
				t.Errorf("message %d to the fallback lacks %s:\n%s", i, service(n), m.Text)
			}
		}
		t.Logf("told to the fallback %.1fs after the first notification: %s", m.CreatedAt.Sub(began).Seconds(), m.Text)
	}
	chat.wait(t, "well", groups)
	chat.wantNoRemarks(t)
	chat.wantNoSecret(t, f.receiver)
}

// requests returns how many requests came to a space.
func (f *flood) requests(space string) int {
	n := 0
	for _, r := range f.chat.Requests() {
		if r.Space == place(space) {
			n++
		}
	}
	return n
}
