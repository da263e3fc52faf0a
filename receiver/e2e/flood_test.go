package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/template"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat/chattest"
)

const (
	floodGroups    = 1000
	floodSenders   = 200
	alertsPerGroup = 3
	// floodMessages is how many messages a thousand groups may take. At one a
	// second it is what bounds the time.
	floodMessages = 24
)

// flooded is where the alerts of a flood are said to have begun.
var flooded = time.Date(2026, time.November, 23, 12, 20, 58, 877e6, time.UTC)

// service is the name of the nth group of a flood, in the digest's line too.
func service(n int) string { return fmt.Sprintf("service-%04d", n) }

// wave returns the notification of a group whose alerts all began so long after
// the others', and all fire or have all ended.
func wave(n int, status string, later time.Duration) *alert.Payload {
	p := &alert.Payload{Version: "4"}
	p.Receiver, p.ExternalURL = "team-platform", "http://alertmanager.example.org"
	p.GroupLabels = template.KV{"alertname": "HighErrorRate", "cluster": "prod-eu-1", "service": service(n)}
	p.GroupKey = fmt.Sprintf(`{}/{team="platform"}:{alertname="HighErrorRate", cluster="prod-eu-1", service=%q}`, service(n))
	for i := range alertsPerGroup {
		instance := fmt.Sprintf("node-%d.example.org:9100", alertsPerGroup*n+i)
		a := template.Alert{
			Status: status,
			Labels: template.KV{
				"alertname": "HighErrorRate", "cluster": "prod-eu-1", "instance": instance, "job": "api",
				"service": service(n), "severity": []string{"critical", "warning"}[n%2], "team": "platform",
			},
			Annotations: template.KV{
				"description": fmt.Sprintf("%s on %s answers more than 5 %% of all requests with an error for 10 minutes.", service(n), instance),
				"runbook_url": "https://runbooks.example.org/api/HighErrorRate",
				"summary":     "Errors of " + service(n) + " on " + instance,
			},
			StartsAt:     flooded.Add(later),
			GeneratorURL: "http://prometheus.example.org:9090/graph?g0.expr=rate%28errors_total%5B5m%5D%29+%3E+0.05&g0.tab=1",
			Fingerprint:  fmt.Sprintf("%016x", alertsPerGroup*n+i),
		}
		if status == alert.Resolved {
			a.EndsAt = a.StartsAt.Add(time.Minute)
		}
		p.Alerts = append(p.Alerts, a)
	}
	p.Summarize()
	return p
}

// said is what one message says of the groups of a flood: "3 FIRING" or such,
// by service.
type said struct {
	at     time.Time
	groups map[string]string
}

var (
	markup = regexp.MustCompile(`<[^>]*>`)
	// groupLine is how a group stands, in the line of a digest or in a text, in which
	// it has up to three lines.
	groupLine = regexp.MustCompile(`((?:[0-9]+ )?(?:FIRING|RESOLVED)(?:, [0-9]+ resolved)?)\b[^\n]*?(?:\n[^\n]*?){0,2}?(service-[0-9]{4})`)
)

// readSaid reads messages made by the built-in templates.
func readSaid(t testing.TB, messages []chattest.Message) []said {
	t.Helper()
	all := make([]said, 0, len(messages))
	for _, m := range messages {
		var body any
		if err := json.Unmarshal(m.Body, &body); err != nil {
			t.Fatal(err)
		}
		s := said{at: m.CreatedAt, groups: map[string]string{}}
		for _, text := range texts(body) {
			text = markup.ReplaceAllString(strings.ReplaceAll(text, "<br>", "\n"), "")
			for _, found := range groupLine.FindAllStringSubmatch(text, -1) {
				if before, ok := s.groups[found[2]]; ok && before != found[1] {
					t.Errorf("one message says of %s %q and %q:\n%s", found[2], before, found[1], m.Body)
				}
				s.groups[found[2]] = found[1]
			}
		}
		all = append(all, s)
	}
	return all
}

// texts returns all strings in a JSON value.
func texts(v any) []string {
	var all []string
	switch v := v.(type) {
	case string:
		all = append(all, v)
	case []any:
		for _, part := range v {
			all = append(all, texts(part)...)
		}
	case map[string]any:
		for _, part := range v {
			all = append(all, texts(part)...)
		}
	}
	return all
}

// bySaid returns what is said of each group, the oldest first.
func bySaid(all []said) map[string][]string {
	states := map[string][]string{}
	for _, s := range all {
		for name, state := range s.groups {
			states[name] = append(states[name], state)
		}
	}
	return states
}

// isState reports whether what is said of a group is of a status.
func isState(state, status string) bool { return strings.Contains(state, strings.ToUpper(status)) }

// waitSaid waits, as long as messages come to the space ops, until the last that
// is said there of each of so many groups is of the group's status. It does not
// wait for ever for what takes far too many messages.
func (c *googleChat) waitSaid(t testing.TB, groups int, status func(n int) string) []said {
	t.Helper()
	most := len(c.Messages(place("ops"))) + floodMessages + groups*floodMessages/floodGroups
	for {
		all := readSaid(t, c.Messages(place("ops")))
		if len(all) > most {
			t.Fatalf("%d groups take more than %d messages", groups, most)
		}
		states, missing := bySaid(all), 0
		for n := range groups {
			if s := states[service(n)]; len(s) == 0 || !isState(s[len(s)-1], status(n)) {
				missing++
			}
		}
		if missing == 0 {
			return all
		}
		c.waitMore(t, len(all))
	}
}

// always is the status of all groups.
func always(status string) func(int) string { return func(int) string { return status } }

// waitMore waits until the space ops has more than n messages.
func (c *googleChat) waitMore(t testing.TB, n int) {
	t.Helper()
	eventually(t, "one more message", func() error {
		if len(c.Messages(place("ops"))) <= n {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
}

// entry returns a space for a config, with settings of its own.
func (c *googleChat) entry(name, settings string) string {
	c.hooks[name] = c.AddWebhook(place(name))
	return fmt.Sprintf("  - {name: %s, webhook_url: '%s%s', %s}\n", name, c.address, c.hooks[name], settings)
}

// TestFlood posts a thousand groups at once to a space that takes one message a
// second, as Google's do, and then their ends. How long it takes is logged, not
// judged: what is judged is how many messages it takes.
func TestFlood(t *testing.T) {
	path := buildAlertchat(t)
	tests := []struct {
		name  string
		kills bool
	}{
		{"each group is told once, in few messages", false},
		{"kills in the midst of it lose and repeat nothing", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFlood(t, path, chattest.Options{Rate: 1, Fault: uneven()})
			f.phase(alert.Firing, test.kills)
			f.phase(alert.Resolved, test.kills)
			f.wantEachOnce()
			if n := f.chat.Throttled(place("ops")); n > 0 {
				t.Errorf("Chat refused %d requests because of the rate", n)
			}
			if n := f.refused.Load(); n > 0 && !test.kills {
				t.Errorf("%d posts were not answered with 200", n)
			}
			f.chat.wantNoRemarks(t)
			f.chat.wantNoSecret(t, f.receiver)
			f.wantQuiet()
		})
	}
}

// uneven lets requests take longer and shorter by turns to get to where Chat
// counts them, as they do on a network.
func uneven() func(chattest.Request) chattest.Fault {
	var requests atomic.Int64
	return func(chattest.Request) chattest.Fault {
		if requests.Add(1)%2 > 0 {
			return chattest.Fault{Delay: 20 * time.Millisecond}
		}
		return chattest.Fault{Delay: 200 * time.Millisecond}
	}
}

// flood is a run with the space "ops".
type flood struct {
	t        testing.TB
	chat     *googleChat
	receiver *alertchat
	client   *http.Client
	answered atomic.Int64 // notifications that were answered with 200
	refused  atomic.Int64 // posts that were not
	output   string       // of the processes that were killed
}

func newFlood(t testing.TB, path string, o chattest.Options) *flood {
	t.Helper()
	chat := startChatWith(t, o)
	config := "spaces:\n" + chat.entry("ops", "rate_limit: 1") + "route: {space: ops}\n"
	return startFlood(t, path, chat, config)
}

func startFlood(t testing.TB, path string, chat *googleChat, config string) *flood {
	t.Helper()
	f := &flood{t: t, chat: chat, client: &http.Client{
		Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: floodSenders},
	}}
	t.Cleanup(f.client.CloseIdleConnections)
	f.receiver = startAlertchat(t, programs{alertchat: path}, config)
	return f
}

// phase posts a notification of each group and waits until all are told. It
// returns how long that took.
func (f *flood) phase(status string, kills bool) time.Duration {
	f.t.Helper()
	before, began := len(f.messages()), time.Now()
	most := floodMessages
	posting := f.post(func(n int) *alert.Payload { return wave(n, status, 0) })
	if kills {
		half := f.answered.Load() + floodGroups/2
		eventually(f.t, "half of the notifications are accepted", func() error {
			if f.answered.Load() < half {
				return fmt.Errorf("%d are", f.answered.Load())
			}
			return nil
		})
		f.killAndStart()
		f.chat.waitMore(f.t, before+3)
		f.killAndStart()
		most += 2 // one more for what came after each
	}
	posting.Wait()
	accepted := time.Since(began)
	all := f.chat.waitSaid(f.t, floodGroups, always(status))
	if n := len(all) - before; n > most {
		f.t.Errorf("%d groups that are %s took %d messages, want at most %d", floodGroups, status, n, most)
	}
	took := all[len(all)-1].at.Sub(began)
	f.t.Logf("%d groups %s: all accepted after %.2fs, all told after %.1fs, in %d messages; %d posts repeated so far",
		floodGroups, status, accepted.Seconds(), took.Seconds(), len(all)-before, f.refused.Load())
	return took
}

// post posts a notification of each group from many senders at once, each as
// Alertmanager does until it is answered with 200.
func (f *flood) post(notification func(n int) *alert.Payload) *sync.WaitGroup {
	var next atomic.Int64
	posting := &sync.WaitGroup{}
	for range floodSenders {
		posting.Go(func() {
			for n := next.Add(1) - 1; n < floodGroups; n = next.Add(1) - 1 {
				body, err := json.Marshal(notification(int(n)))
				if err != nil {
					panic(err) // strings and times
				}
				if err := f.deliver("", string(body)); err != nil {
					f.t.Error(err)
					return
				}
			}
		})
	}
	return posting
}

// deliver posts one body, to the path of a space or to none, until it is
// accepted.
func (f *flood) deliver(path, body string) error {
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	ctx, cancel := context.WithTimeoutCause(f.t.Context(), patience, errors.New("nobody accepts the notification"))
	defer cancel()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+f.receiver.address+"/alertmanager"+path, strings.NewReader(body))
		if err != nil {
			return err
		}
		answer, err := f.client.Do(r)
		if err == nil {
			_, _ = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				f.answered.Add(1)
				return nil
			}
			if answer.StatusCode != http.StatusServiceUnavailable {
				return errors.New("answered " + answer.Status)
			}
		}
		f.refused.Add(1)
		select {
		case <-pace.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (f *flood) killAndStart() {
	f.t.Helper()
	f.receiver.kill()
	f.output += f.receiver.output()
	f.receiver.start(f.t)
}

func (f *flood) messages() []chattest.Message { return f.chat.Messages(place("ops")) }

// wantEachOnce fails the test unless it is said of each group once that it
// fires and once that it has ended.
func (f *flood) wantEachOnce() {
	f.t.Helper()
	states := bySaid(readSaid(f.t, f.messages()))
	for n := range floodGroups {
		if got, want := states[service(n)], []string{"3 FIRING", "3 RESOLVED"}; !slices.Equal(got, want) {
			f.t.Errorf("it is said of %s: %q, want %q", service(n), got, want)
		}
	}
}

// wantQuiet fails the test if the receiver called for an operator.
func (f *flood) wantQuiet() {
	f.t.Helper()
	f.output += f.receiver.output()
	for line := range strings.Lines(f.output) {
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, "panic") {
			f.t.Errorf("although all is well it says: %s", line)
		}
	}
}
