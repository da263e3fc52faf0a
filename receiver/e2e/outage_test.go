package e2e

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"syscall"
	"testing"
	"time"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat/chattest"
)

// outageRounds is how often each of the flood's groups is heard of while Google
// Chat is away.
const outageRounds = 10

// TestOutage lets a thousand groups fire and end again and again while Google
// Chat is away. Afterwards what is the case now must be told, and not all that
// was.
func TestOutage(t *testing.T) {
	path := buildAlertchat(t)
	tests := []struct {
		name  string
		begin func(t *testing.T) (chat *googleChat, end func())
		tried int // how many messages are told as they were at first
	}{
		{"connections are refused", refusing, 0},
		// Of a request that is answered so nobody knows whether it made a message:
		// its bytes stay. When the message has been refused five times, another
		// one is tried.
		{"Chat answers with errors", failing, 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			chat, end := test.begin(t)
			f := startFlood(t, path, chat, "spaces:\n"+chat.entry("ops", "rate_limit: 1")+"route: {space: ops}\n")
			for round := range outageRounds {
				f.post(func(n int) *alert.Payload { return flapping(n, round) }).Wait()
			}
			f.receiver.waitPage(t, "/metrics", `alertchat_space_failing{space="ops"} 1`)
			waiting := f.receiver.total(t, `alertchat_queue_notifications{space="ops"}`)
			t.Logf("%.0f notifications wait in %.1f MB", waiting, f.receiver.memory(t, "VmRSS"))

			began := time.Now()
			end()
			f.receiver.signal(t, syscall.SIGHUP) // whoever mended it need not wait
			f.wantTheLast(test.tried, began)
			t.Logf("at its peak it took %.1f MB", f.receiver.memory(t, "VmHWM"))
			if n := chat.Throttled(place("ops")); n > 0 {
				t.Errorf("Chat refused %d requests because of the rate", n)
			}
			chat.wantNoRemarks(t)
		})
	}
}

// refusing returns a Chat that refuses connections, and what ends that.
func refusing(t *testing.T) (chat *googleChat, end func()) {
	address := ownAddress(t)
	chat = &googleChat{Server: chattest.New(chattest.Options{Rate: 1}), hooks: map[string]string{}, address: "http://" + address}
	return chat, func() {
		listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: chat}}
		server.Start()
		t.Cleanup(server.Close)
	}
}

// failing returns a Chat that answers with errors, and what ends that.
func failing(t *testing.T) (chat *googleChat, end func()) {
	chat = startChatWith(t, chattest.Options{Rate: 1})
	chat.AddWebhook(place("ops"))
	chat.Inject(place("ops"), -1, chattest.Fault{Status: http.StatusServiceUnavailable})
	return chat, func() { chat.Heal(place("ops")) }
}

// flapping returns what is heard of a group in a round: it fires, ends, and
// fires again. Those with an odd number begin one round later, so that they
// fire at the end.
func flapping(n, round int) *alert.Payload {
	round = max(0, round-n%2)
	return wave(n, []string{alert.Firing, alert.Resolved}[round%2], time.Duration(round/2)*time.Hour)
}

// wantTheLast waits until each group's last state is told, and fails the test
// if more is told of any group than that, but for those in the first messages
// that were tried.
func (f *flood) wantTheLast(tried int, began time.Time) {
	f.t.Helper()
	all := f.chat.waitSaid(f.t, floodGroups, func(n int) string {
		return []string{alert.Resolved, alert.Firing}[n%2]
	})
	for name, states := range bySaid(all[tried:]) {
		early := slices.ContainsFunc(all[:tried], func(s said) bool { return s.groups[name] != "" })
		// The end of an incident that was told is told in its thread, and not with
		// the next one.
		if len(states) > 1 && !early || len(states) > 2 {
			f.t.Errorf("it is said of %s: %q, want the last of it only", name, states)
		}
	}
	if most := floodMessages + tried; len(all) > most {
		f.t.Errorf("%d groups took %d messages, want at most %d", floodGroups, len(all), most)
	}
	f.t.Logf("all told after %.1fs, in %d messages", all[len(all)-1].at.Sub(began).Seconds(), len(all))
	f.wantQuiet()
}
