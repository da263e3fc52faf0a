package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/template"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat/chattest"
	"alertchat/receiver/webui"
)

const (
	senders         = 16
	groupsPerSender = 3
	chaosSpaces     = 4
	// maxFiring keeps a telling of 64 notifications, the most that are folded
	// into one, below the alerts that one message takes.
	maxFiring = 6
	// faultRate is the share of requests to Google Chat with a fault. After
	// one, a loop waits for up to a second, or until the next kill.
	faultRate = 0.3
	// chaosTimeout is how long an attempt may take.
	chaosTimeout = 200 * time.Millisecond
	// killSlack is how long a request may be on its way to the stand-in when
	// its sender is dead already. No process is up again so soon.
	killSlack = 20 * time.Millisecond
)

// TestAcceptedIsTold kills alertchat again and again while Alertmanagers post
// to it and Google Chat is at fault. What was answered with 200 must stand in
// Chat in the end: all of it, in order, and once.
func TestAcceptedIsTold(t *testing.T) {
	var (
		hang    = chattest.Fault{Hang: true}
		busy    = chattest.Fault{Status: http.StatusTooManyRequests}
		broken  = chattest.Fault{Status: http.StatusInternalServerError}
		page    = chattest.Fault{Status: http.StatusBadGateway, Body: "<html><title>Error 502</title></html>"}
		closed  = chattest.Fault{Drop: true}
		halved  = chattest.Fault{Truncate: true}
		lost    = chattest.Fault{Act: true, Drop: true}
		late    = chattest.Fault{Act: true, Hang: true}
		spoilt  = chattest.Fault{Act: true, Status: http.StatusServiceUnavailable}
		allKind = []chattest.Fault{hang, busy, broken, page, closed, halved, lost, late, spoilt}
	)
	tests := []struct {
		name            string
		faults          []chattest.Fault
		kills           int
		ignoreRequestID bool
	}{
		{"all kinds of faults at once", allKind, 25, false},
		{"all kinds of faults, and Chat does not know a request again", allKind, 25, true},
		{"Chat hangs", []chattest.Fault{hang}, 6, false},
		{"Chat says that there is too much", []chattest.Fault{busy}, 6, false},
		{"Chat answers with errors", []chattest.Fault{broken}, 6, false},
		{"a load balancer answers with a page", []chattest.Fault{page}, 6, false},
		{"connections are closed", []chattest.Fault{closed}, 6, false},
		{"answers break off", []chattest.Fault{halved}, 6, false},
		{"Chat does the work and its answers are lost", []chattest.Fault{lost, late, spoilt}, 6, false},
	}
	path := buildAlertchat(t)
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := &chaos{seed: chaosSeed(t, i), faults: test.faults, truncated: map[arrival]bool{}}
			c.chat = startChatWith(t, chattest.Options{
				IgnoreRequestID: test.ignoreRequestID, Fault: c.fault, Keep: 1 << 20,
			})
			c.receiver = c.newReceiver(t, path)
			c.run(t, test.kills)
			c.wantAllTold(t)
			c.wantReplaysOnlyOfLostAnswers(t)
			c.wantQuietLogs(t)
			c.chat.wantNoRemarks(t)
		})
	}
}

// chaosSeed returns the seed of the nth case. CHAOS_SEED makes others of all.
func chaosSeed(t *testing.T, n int) uint64 {
	t.Helper()
	base := uint64(0)
	if text := os.Getenv("CHAOS_SEED"); text != "" {
		var err error
		if base, err = strconv.ParseUint(text, 10, 32); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("CHAOS_SEED=%d", base)
	return base<<8 + uint64(n)
}

// chaos is one run.
type chaos struct {
	seed     uint64
	faults   []chattest.Fault
	chat     *googleChat
	receiver *alertchat
	senders  []*sender

	healed  atomic.Bool // whether Chat is well again
	spoilt  atomic.Int64
	kills   []time.Time
	outputs []string // of the processes that were killed

	mu        sync.Mutex // guards what follows
	rand      *rand.Rand // of the faults
	truncated map[arrival]bool
}

// arrival names one request to Chat.
type arrival struct {
	id string // of the request
	at time.Time
}

// fault is what goes wrong with a request to Chat.
func (c *chaos) fault(r chattest.Request) chattest.Fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rand == nil {
		c.rand = rand.New(rand.NewPCG(c.seed, 1))
	}
	if c.healed.Load() || c.rand.Float64() >= faultRate {
		return chattest.Fault{}
	}
	c.spoilt.Add(1)
	f := c.faults[c.rand.IntN(len(c.faults))]
	if f.Truncate {
		c.truncated[arrival{r.RequestID, r.At}] = true
	}
	return f
}

// newReceiver returns an alertchat that does not run yet. Its messages tell
// what the test needs to know of them.
func (c *chaos) newReceiver(t *testing.T, path string) *alertchat {
	t.Helper()
	var config strings.Builder
	fmt.Fprintf(&config, `
defaults:
  rate_limit: 100
  timeout: %s
  text: '{{ .GroupLabels.group }}'
  card:
    title: '{{ .GroupLabels.group }}'
    subtitle: '{{ .Incident.StartedAt.UnixNano }}'
    summary: ''
    alert: 'id={{ .Alert.Fingerprint }} {{ .Alert.Status }} seq={{ .Alert.Annotations.seq }};'
    buttons: []
spaces:
`, chaosTimeout)
	routes := "route:\n  space: space0\n  routes:\n"
	for i := range chaosSpaces {
		name := spaceName(i)
		c.chat.hooks[name] = c.chat.AddWebhook(place(name))
		fmt.Fprintf(&config, "  - {name: %s, webhook_url: '%s%s'}\n", name, c.chat.address, c.chat.hooks[name])
		routes += fmt.Sprintf("    - {matchers: ['space=%s'], space: %s}\n", name, name)
	}
	folder := t.TempDir()
	a := &alertchat{
		path:       path,
		address:    ownAddress(t),
		configFile: filepath.Join(folder, "config.yml"),
		storage:    filepath.Join(folder, "data"),
	}
	writeFile(t, a.configFile, config.String()+routes)
	return a
}

func spaceName(i int) string { return fmt.Sprintf("space%d", i) }

// ownAddress returns a free address that no connection from 127.0.0.1 takes
// while its program is dead, where the system has more than one loopback
// address.
func ownAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		return freeAddress(t)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// run posts and kills, then lets everything come to its end.
func (c *chaos) run(t *testing.T, kills int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	end := make(chan struct{})
	var posting sync.WaitGroup
	for i := range senders {
		s := newSender(c.seed, i, "http://"+c.receiver.address+"/alertmanager")
		c.senders = append(c.senders, s)
		posting.Go(func() { s.run(ctx, end) })
	}
	defer func() {
		cancel()
		posting.Wait()
	}()
	c.killOften(t, kills)
	elapse(t, time.Second)
	close(end)
	eventually(t, "all that was posted is accepted", func() error {
		for i, s := range c.senders {
			if !s.done.Load() {
				return fmt.Errorf("sender %d still posts: %s", i, c.receiver.output())
			}
		}
		return nil
	})
	posting.Wait()

	// A last kill spares the test the wait for what was refused last.
	c.healed.Store(true)
	c.kill()
	c.receiver.start(t)
	eventually(t, "all that was accepted is told", func() error { return c.drained(t) })
	c.outputs = append(c.outputs, c.receiver.output())
}

// killOften kills the receiver at random moments, while it starts and while it
// works, and leaves it running.
func (c *chaos) killOften(t *testing.T, kills int) {
	t.Helper()
	moments := rand.New(rand.NewPCG(c.seed, 2))
	for i := range kills {
		c.receiver.launch(t)
		if i%3 > 0 {
			c.receiver.waitReady(t, c.receiver.address)
		}
		elapse(t, time.Duration(20+moments.IntN(280))*time.Millisecond)
		if err := c.receiver.ended(); err != nil {
			t.Fatal(err)
		}
		c.kill()
	}
	c.receiver.start(t)
}

func (c *chaos) kill() {
	c.receiver.kill()
	c.kills = append(c.kills, time.Now())
	c.outputs = append(c.outputs, c.receiver.output())
}

// elapse lets others work for a while.
func elapse(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

// drained returns nil when nothing waits any more.
func (c *chaos) drained(t *testing.T) error {
	t.Helper()
	if err := c.receiver.ended(); err != nil {
		t.Fatal(err)
	}
	page, err := get(t.Context(), "http://"+c.receiver.address+"/api/v1/status")
	if err != nil {
		return err
	}
	var status webui.Status
	if err := json.Unmarshal([]byte(page), &status); err != nil {
		return err
	}
	for _, s := range status.Spaces {
		if s.Dead > 0 {
			t.Fatalf("a delivery to %s is dead:\n%s", s.Name, page)
		}
		if s.Waiting+s.Planned > 0 {
			return fmt.Errorf("in %s %d notifications wait and %d deliveries are planned; its last error: %s",
				s.Name, s.Waiting, s.Planned, s.LastError)
		}
	}
	return nil
}

// sender is an Alertmanager with a few groups.
type sender struct {
	url      string
	rand     *rand.Rand
	groups   []*group
	client   http.Client
	done     atomic.Bool
	accepted int
	again    int // posts of a body that was posted before
	refused  string
}

func newSender(seed uint64, n int, url string) *sender {
	s := &sender{url: url, rand: rand.New(rand.NewPCG(seed, uint64(10+n)))}
	s.client = http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{}}
	for i := range groupsPerSender {
		number := n*groupsPerSender + i
		s.groups = append(s.groups, &group{
			name: fmt.Sprintf("group%d", number), space: spaceName(number % chaosSpaces), accepted: map[string]bool{},
		})
	}
	return s
}

// run posts the groups' notifications by turns, each until it is accepted.
func (s *sender) run(ctx context.Context, end <-chan struct{}) {
	defer s.done.Store(true)
	defer s.client.CloseIdleConnections()
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	for i := 0; ; i++ {
		g := s.groups[i%len(s.groups)]
		p := g.next(s.rand)
		body, err := json.Marshal(p)
		if err != nil {
			panic(err) // strings and times
		}
		for attempt := 0; !s.post(ctx, body); attempt++ {
			s.again++
			select {
			case <-pace.C:
			case <-ctx.Done():
				return
			}
		}
		if s.refused != "" {
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

// post reports whether there is nothing more to do for a body, as Alertmanager
// sees it.
func (s *sender) post(ctx context.Context, body []byte) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
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
