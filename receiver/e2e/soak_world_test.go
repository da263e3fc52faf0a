package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"alertchat/receiver/alert"
)

const (
	soakGroups      = 30
	soakPeerTimeout = time.Second
	// soakTick is how often Prometheus looks at what fires, and soakResend how
	// often it sends all of it again.
	soakTick   = 250 * time.Millisecond
	soakResend = 2 * time.Second
	// soakMemory is how long Prometheus goes on to send that an alert has ended:
	// a minute or, so that an end must not be missed, hardly longer than an
	// Alertmanager is dead.
	soakMemory      = time.Minute
	soakShortMemory = 4 * time.Second
)

// world is what is really the case: which alerts fire. Two Prometheus know it
// and post it to both Alertmanagers.
type world struct {
	t    *testing.T
	pair [2]*alertmanager

	mu      sync.Mutex // guards what follows
	rand    *rand.Rand
	groups  []*soakGroup
	changes int
	resting bool // whether nothing changes by itself any more
}

// soakGroup is a group of alerts. The first of its alerts fire again and again,
// the others once.
type soakGroup struct {
	name, team string
	alerts     []*soakAlert
}

// again is how many alerts of a group fire again and again.
const again = 2

// soakAlert is an alert. An episode is one time that it fires.
type soakAlert struct {
	n            int
	episode      int
	starts, ends time.Time // of the latest episode; ends is zero while it fires
}

func (a *soakAlert) fires() bool { return a.episode > 0 && a.ends.IsZero() }

// severity says to which spaces an alert is told.
func severity(n int) string { return []string{"page", "warning"}[n%2] }

// spaces are those to which an alert of the group with a number is told.
func (g *soakGroup) spaces(n int) []string {
	if severity(n) == "page" {
		return []string{"page", g.team}
	}
	return []string{g.team}
}

// startWorld lets alerts fire and end until the test ends.
func startWorld(t *testing.T, seed uint64, pair [2]*alertmanager) *world {
	t.Helper()
	w := &world{t: t, pair: pair, rand: rand.New(rand.NewPCG(seed, 3))}
	for i := range soakGroups {
		g := &soakGroup{name: fmt.Sprintf("g%d", i), team: []string{"a", "b"}[i%2]}
		for n := range again {
			g.alerts = append(g.alerts, &soakAlert{n: n})
		}
		w.groups = append(w.groups, g)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return w
}

func (w *world) run(ctx context.Context) {
	tick := time.NewTicker(soakTick)
	defer tick.Stop()
	for sent := time.Now(); ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		w.mu.Lock()
		if !w.resting {
			for range w.rand.IntN(4) {
				w.groups[w.rand.IntN(len(w.groups))].change(w.rand)
				w.changes++
			}
		}
		w.mu.Unlock()
		all := time.Since(sent) >= soakResend
		if all {
			sent = time.Now()
		}
		w.post(all)
	}
}

// change fires or ends one alert.
func (g *soakGroup) change(r *rand.Rand) {
	now := time.Now().Truncate(time.Millisecond)
	var firing, quiet []*soakAlert
	for _, a := range g.alerts {
		switch {
		case a.fires():
			firing = append(firing, a)
		case a.n < again && a.ends.Before(now):
			quiet = append(quiet, a)
		}
	}
	if len(firing) == 4 || len(firing) > 0 && r.IntN(2) == 0 {
		firing[r.IntN(len(firing))].ends = now
		return
	}
	if len(quiet) > 0 && r.IntN(2) == 0 {
		a := quiet[r.IntN(len(quiet))]
		a.episode, a.starts, a.ends = a.episode+1, now, time.Time{}
		return
	}
	g.fire(now)
}

// fire fires an alert that never fired before.
func (g *soakGroup) fire(now time.Time) {
	g.alerts = append(g.alerts, &soakAlert{n: len(g.alerts), episode: 1, starts: now})
}

// post posts as each of two Prometheus to each Alertmanager: what changed lately,
// or all. One that is dead gets it later.
func (w *world) post(all bool) {
	w.mu.Lock()
	now := time.Now()
	var alerts []any
	for _, g := range w.groups {
		for _, a := range g.alerts {
			ends, changed := a.ends, a.ends
			if a.fires() {
				ends, changed = now.Add(5*time.Minute), a.starts
			}
			since, memory := now.Sub(changed), soakMemory
			if a.n >= again {
				memory = soakShortMemory
			}
			if a.episode == 0 || !a.fires() && since > memory || !all && since > 2*soakTick {
				continue
			}
			alerts = append(alerts, map[string]any{
				"labels": map[string]string{
					"alertname": "Soak", "group": g.name, "team": g.team, "severity": severity(a.n), "n": strconv.Itoa(a.n),
				},
				"annotations": map[string]string{"episode": strconv.Itoa(a.episode)},
				"startsAt":    a.starts, "endsAt": ends,
			})
		}
	}
	w.mu.Unlock()
	if len(alerts) == 0 {
		return
	}
	for range 2 {
		for _, am := range w.pair {
			_ = am.postAlerts(w.t, alerts)
		}
	}
}

// rest lets nothing change by itself any more.
func (w *world) rest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.resting = true
}

// fireAll fires new alerts in each group, for each space one.
func (w *world) fireAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, g := range w.groups {
		for range 2 {
			g.fire(time.Now().Truncate(time.Millisecond))
			w.changes++
		}
	}
}

// endMost ends all alerts of every other group, and one for each space of the
// others.
func (w *world) endMost() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, g := range w.groups {
		ended := map[string]bool{}
		for _, a := range g.alerts {
			if a.fires() && (i%2 == 0 || !ended[severity(a.n)]) {
				a.ends = time.Now().Truncate(time.Millisecond)
				ended[severity(a.n)] = true
				w.changes++
			}
		}
	}
}

// startSoakPair starts two Alertmanagers that know each other. Each posts to its
// own tap.
func startSoakPair(t *testing.T, p programs, taps [2]*tap) [2]*alertmanager {
	t.Helper()
	var pair [2]*alertmanager
	cluster := []string{ownAddress(t), ownAddress(t)}
	for i := range pair {
		folder := t.TempDir()
		configFile := filepath.Join(folder, "alertmanager.yml")
		writeFile(t, configFile, fmt.Sprintf(`
route:
  receiver: alertchat
  group_by: [group]
  group_wait: 200ms
  group_interval: 1s
  repeat_interval: 24h
receivers:
  - name: alertchat
    webhook_configs:
      - url: %s/alertmanager
        send_resolved: true
`, taps[i].url))
		am := &alertmanager{amtool: p.amtool, address: ownAddress(t), home: folder}
		am.command = append([]string{p.alertmanager[newest]},
			"--config.file="+configFile,
			"--storage.path="+filepath.Join(folder, "data"),
			"--web.listen-address="+am.address,
			"--cluster.listen-address="+cluster[i],
			"--cluster.advertise-address="+cluster[i],
			"--cluster.peer="+cluster[1-i],
			"--cluster.peer-timeout="+soakPeerTimeout.String(),
			"--cluster.gossip-interval=50ms",
			"--cluster.pushpull-interval=2s",
			"--cluster.reconnect-interval=1s",
		)
		am.process = startProcess(t, am.command[0], am.command[1:]...)
		pair[i] = am
	}
	for _, am := range pair {
		eventually(t, "the Alertmanagers have found each other", am.paired(t))
	}
	return pair
}

// restart starts an Alertmanager that has ended, and waits until it notifies.
func (am *alertmanager) restart(t *testing.T) {
	t.Helper()
	am.process = startProcess(t, am.command[0], am.command[1:]...)
	eventually(t, "the Alertmanager has found its peer", am.paired(t))
}

// network is the way to a server. While it is cut, connections are refused.
type network struct {
	address string
	handler http.Handler
	server  *http.Server
	ended   chan struct{} // closed when the server has ended
}

func startNetwork(t *testing.T, to http.Handler) *network {
	t.Helper()
	n := &network{address: ownAddress(t), handler: to}
	n.mend(t)
	t.Cleanup(n.cut)
	return n
}

func (n *network) mend(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", n.address)
	if err != nil {
		t.Fatal(err)
	}
	n.server, n.ended = &http.Server{Handler: n.handler}, make(chan struct{})
	go func() {
		defer close(n.ended)
		_ = n.server.Serve(listener) // it ends when it is closed
	}()
}

func (n *network) cut() {
	_ = n.server.Close()
	<-n.ended
}

// tap stands between an Alertmanager and its receiver and notes what is accepted.
type tap struct {
	url    string
	target *alertchat
	client *http.Client

	mu       sync.Mutex // guards what follows
	accepted []accepted
	refused  int
}

// accepted is a notification that was answered with 200.
type accepted struct {
	at      time.Time
	payload *alert.Payload
}

func startTap(t *testing.T, target *alertchat) *tap {
	t.Helper()
	p := &tap{target: target, client: &http.Client{Transport: &http.Transport{}}}
	server := httptest.NewServer(p)
	t.Cleanup(func() {
		server.Close()
		p.client.CloseIdleConnections()
	})
	p.url = server.URL
	return p
}

// ServeHTTP passes a notification on. A connection that breaks behind the tap
// breaks before it too.
func (p *tap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	status, answer, err := p.pass(r, body)
	p.mu.Lock()
	if status != http.StatusOK {
		p.refused++
	} else if payload, decodeErr := alert.Decode(body); decodeErr == nil {
		p.accepted = append(p.accepted, accepted{time.Now(), payload})
	}
	p.mu.Unlock()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(answer) //nolint:gosec // no browser reads it
}

// pass posts a body to the receiver.
func (p *tap) pass(r *http.Request, body []byte) (status int, answer []byte, err error) {
	request, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+p.target.address+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	response, err := p.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	if err != nil && response.StatusCode != http.StatusOK {
		return 0, nil, errors.Join(err, errors.New("the answer broke off"))
	}
	return response.StatusCode, answer, nil
}
