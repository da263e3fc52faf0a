package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/template"

	"alertchat/receiver/alert"
)

const (
	groupsPerSender = 3
	senderSpaces    = 4
	// maxFiring keeps a telling of 64 notifications, the most that are folded
	// into one, below the alerts that one message takes.
	maxFiring = 6
)

func spaceName(i int) string { return fmt.Sprintf("space%d", i) }

// addSenderSpaces adds the spaces that senders post to.
func (c *googleChat) addSenderSpaces() {
	for i := range senderSpaces {
		c.hooks[spaceName(i)] = c.AddWebhook(place(spaceName(i)))
	}
}

// senderConfig returns a config for what senders post. Its messages tell what
// the test needs to know of them. They go to the stand-in at an address. The
// config has more spaces if asked to, which no route leads to.
func (c *googleChat) senderConfig(address string, rate int, timeout time.Duration, more ...string) string {
	var config strings.Builder
	fmt.Fprintf(&config, `
defaults:
  rate_limit: %d
  timeout: %s
  text: '{{ .GroupLabels.group }}'
  card:
    title: '{{ .GroupLabels.group }}'
    subtitle: '{{ .Incident.StartedAt.UnixNano }}'
    summary: ''
    alert: 'id={{ .Alert.Fingerprint }} {{ .Alert.Status }} seq={{ .Alert.Annotations.seq }};'
    buttons: []
spaces:
`, rate, timeout)
	routes := "route:\n  space: space0\n  routes:\n"
	for i := range senderSpaces {
		name := spaceName(i)
		fmt.Fprintf(&config, "  - {name: %s, webhook_url: '%s%s'}\n", name, address, c.hooks[name])
		routes += fmt.Sprintf("    - {matchers: ['space=%s'], space: %s}\n", name, name)
	}
	for _, name := range more {
		fmt.Fprintf(&config, "  - {name: %s, webhook_url: '%s%s'}\n", name, address, c.hooks[name])
	}
	return config.String() + routes
}

// sender is an Alertmanager with a few groups. Where there are several
// receivers it posts to any of them, and to another when one does not accept.
type sender struct {
	urls     []string
	copies   bool          // whether the other receivers get a copy of each notification
	pace     time.Duration // between two notifications
	rand     *rand.Rand
	groups   []*group
	client   http.Client
	done     atomic.Bool
	accepted int
	again    int // posts of a body that was posted before
	refused  string
}

func newSender(seed uint64, n int, receivers ...*alertchat) *sender {
	s := &sender{pace: 20 * time.Millisecond, rand: rand.New(rand.NewPCG(seed, uint64(10+n)))}
	for _, r := range receivers {
		s.urls = append(s.urls, "http://"+r.address+"/alertmanager")
	}
	s.client = http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{}}
	for i := range groupsPerSender {
		number := n*groupsPerSender + i
		s.groups = append(s.groups, &group{
			name: fmt.Sprintf("group%d", number), space: spaceName(number % senderSpaces), accepted: map[string]bool{},
		})
	}
	return s
}

// run posts the groups' notifications by turns, each until it is accepted.
func (s *sender) run(ctx context.Context, end <-chan struct{}) {
	defer s.done.Store(true)
	defer s.client.CloseIdleConnections()
	pace := time.NewTicker(s.pace)
	defer pace.Stop()
	for i := 0; ; i++ {
		g := s.groups[i%len(s.groups)]
		p := g.next(s.rand)
		if !s.deliver(ctx, pace.C, p) || s.refused != "" {
			return
		}
		s.accepted++
		g.keep(p)
		select {
		case <-pace.C:
		case <-end:
			return
		case <-ctx.Done():
			return
		}
	}
}

// deliver posts a notification until there is nothing more to do for it. It
// reports false when ctx ends before.
func (s *sender) deliver(ctx context.Context, pace <-chan time.Time, p *alert.Payload) bool {
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and times
	}
	at := 0
	if len(s.urls) > 1 {
		at = s.rand.IntN(len(s.urls))
	}
	for !s.post(ctx, s.urls[at%len(s.urls)], body) {
		s.again++
		at++
		select {
		case <-pace:
		case <-ctx.Done():
			return false
		}
	}
	if !s.copies {
		return true
	}
	for other := at + 1; other < at+len(s.urls); other++ {
		s.post(ctx, s.urls[other%len(s.urls)], body) // it may fail: one is enough
	}
	return true
}

// post reports whether there is nothing more to do for a body, as Alertmanager
// sees it.
func (s *sender) post(ctx context.Context, url string, body []byte) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		s.refused = err.Error()
		return true
	}
	answer, err := s.client.Do(r)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	switch {
	case answer.StatusCode == http.StatusServiceUnavailable:
		return false
	case answer.StatusCode != http.StatusOK:
		s.refused = fmt.Sprintf("%s: %s %v", answer.Status, said, err)
	}
	return true // with 200 the body matters no more
}

// startSenders lets senders post until the returned function is called. That
// waits until all that was posted is accepted.
func startSenders(t testing.TB, all []*sender) (finish func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	end := make(chan struct{})
	var posting sync.WaitGroup
	for _, s := range all {
		posting.Go(func() { s.run(ctx, end) })
	}
	stop := sync.OnceFunc(func() { close(end) })
	t.Cleanup(func() {
		stop()
		cancel()
		posting.Wait()
	})
	return func() {
		t.Helper()
		stop()
		eventually(t, "all that was posted is accepted", func() error {
			for i, s := range all {
				if !s.done.Load() {
					return fmt.Errorf("sender %d still posts", i)
				}
			}
			return nil
		})
		posting.Wait()
	}
}

// group is one alert group as its Alertmanager knows it. Each of its
// notifications has a number, which all of its alerts carry.
type group struct {
	name, space string
	number      int
	alerts      int
	firing      []template.Alert
	accepted    map[string]bool // "ID STATUS" of what was answered with 200
}

// next fires one more alert or ends one, and returns the notification of it.
func (g *group) next(r *rand.Rand) *alert.Payload {
	g.number++
	now := time.Now()
	p := &alert.Payload{Version: "4", GroupKey: "{}:{group=" + g.name + "}"}
	p.Receiver = "chaos"
	p.GroupLabels = template.KV{"group": g.name}
	if n := len(g.firing); n > 0 && (n == maxFiring || r.IntN(2) == 0) {
		last := r.IntN(n)
		ended := g.firing[last]
		g.firing[last] = g.firing[n-1]
		g.firing = g.firing[:n-1]
		ended.Status, ended.EndsAt = alert.Resolved, now
		p.Alerts = append(p.Alerts, ended)
	} else {
		g.alerts++
		id := fmt.Sprintf("%s-%d", g.name, g.alerts)
		g.firing = append(g.firing, template.Alert{
			Status: alert.Firing, StartsAt: now, Fingerprint: id,
			Labels: template.KV{"alertname": "Chaos", "group": g.name, "space": g.space, "id": id},
		})
	}
	p.Alerts = append(p.Alerts, g.firing...)
	for i := range p.Alerts {
		p.Alerts[i].Annotations = template.KV{"seq": strconv.Itoa(g.number)}
	}
	p.Summarize()
	return p
}

// keep notes what was accepted.
func (g *group) keep(p *alert.Payload) {
	for _, a := range p.Alerts {
		g.accepted[a.Fingerprint+" "+a.Status] = true
	}
}
