package e2e

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"alertchat/receiver/chat/chattest"
	"alertchat/receiver/store/pgtest"
)

const (
	// shortSoak is how long everything is killed in turn unless SOAK says how
	// long; from longSoak on there is time for what takes longer, and for
	// Google's rate.
	shortSoak = 45 * time.Second
	longSoak  = 3 * time.Minute
	// soakFaultRate is the share of requests to Google Chat with a fault.
	soakFaultRate = 0.25
	soakTimeout   = time.Second // of an attempt
	// soakQuiet is how long no Alertmanager posts that has nothing to say. One
	// that was refused waits for a few seconds.
	soakQuiet = 4 * time.Second
	// settleTime bounds how long it takes until all is told once all is well: a
	// lease that lapses, Alertmanager's retries, and the rate.
	settleTime    = 2 * time.Minute
	replicaMemory = 128 // MB, of a replica at its peak
)

// TestSoak lets a real pair of Alertmanagers with gossip, each with an alertchat
// beside it, tell what two Prometheus know. Google Chat is slow and at fault, and
// everything is killed in turn at random moments. At the end all is well again,
// and what stands in Chat must be all that happened, once, in order.
//
// SOAK=1h is a longer run, SOAK_SEED makes another one; see `make soak`.
func TestSoak(t *testing.T) {
	t.Parallel()
	length, err := time.ParseDuration(cmp.Or(os.Getenv("SOAK"), shortSoak.String()))
	if err != nil {
		t.Fatal(err)
	}
	seed, err := strconv.ParseUint(cmp.Or(os.Getenv("SOAK_SEED"), strconv.FormatInt(time.Now().Unix(), 10)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("SOAK=%s SOAK_SEED=%d", length, seed)
	s := startSoak(t, findPrograms(t), seed, length)
	s.chaos(length)
	s.settle()
	s.judge()
}

// soak is one run.
type soak struct {
	t        *testing.T
	long     bool
	rate     float64    // messages that a space takes in a second
	rand     *rand.Rand // of the kills
	world    *world
	chat     *googleChat
	network  *network // between the replicas and Chat
	postgres *pgtest.Server
	pair     [2]*alertmanager
	taps     [2]*tap // between the Alertmanagers and the replicas
	replicas [2]*alertchat
	secrets  markers

	healed atomic.Bool // whether Chat is well again
	spoilt atomic.Int64
	faults struct {
		sync.Mutex // guards rand

		rand *rand.Rand
	}
	killed   map[string]int  // how often, by what
	memory   float64         // of a replica at its peak, in MB
	outputs  map[string]int  // lines that are worth a look, by what they say
	suspects map[string]bool // groups of which something is wrong
}

// startSoak starts all that takes part.
func startSoak(t *testing.T, p programs, seed uint64, length time.Duration) *soak {
	t.Helper()
	s := &soak{
		t: t, long: length >= longSoak, rate: 5, rand: rand.New(rand.NewPCG(seed, 1)), secrets: markers{},
		killed: map[string]int{}, outputs: map[string]int{}, postgres: pgtest.New(t),
	}
	s.faults.rand = rand.New(rand.NewPCG(seed, 2))
	if s.long {
		s.rate = 1
	}
	s.chat = startChatWith(t, chattest.Options{Rate: s.rate, Fault: s.fault, Keep: 1 << 20})
	s.network = startNetwork(t, s.chat)
	database := s.postgres.URL(t)
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	s.secrets["password of PostgreSQL"], _ = u.User.Password()
	config := s.config()
	for i := range s.replicas {
		s.replicas[i] = newReplica(t, p.alertchat, database, config)
		s.replicas[i].start(t)
		s.taps[i] = startTap(t, s.replicas[i])
	}
	s.pair = startSoakPair(t, p, s.taps)
	s.world = startWorld(t, seed, s.pair)
	t.Cleanup(func() {
		if t.Failed() {
			s.explain(s.suspects)
		}
	})
	return s
}

// config returns the config of both replicas. Each message says how all of its
// groups stand: one of a single group in its text, a digest in the line of each
// group.
func (s *soak) config() string {
	templates := filepath.Join(s.t.TempDir(), "soak.tmpl")
	writeFile(s.t, templates, `
{{- define "soak.story" -}}
group={{ .GroupLabels.group }} repeat={{ .Incident.Repeat }} is
{{- range .Alerts }} {{ .Labels.n }}-{{ .Annotations.episode }}{{ printf "%.1s" .Status }}{{ end }};
{{- end -}}
{{- define "chat.digest" }}{{ template "soak.story" . }}{{ end -}}
`)
	var b strings.Builder
	fmt.Fprintf(&b, `
templates: ['%s']
defaults:
  rate_limit: %v
  timeout: %s
  digest_threshold: 4
  text: '{{ template "soak.story" . }}'
  card: none
spaces:
`, templates, s.rate, soakTimeout)
	for _, space := range []string{"a", "b", "page"} {
		s.chat.hooks[space] = s.chat.AddWebhook(place(space))
		s.secrets.addWebhook(s.t, "webhook of "+space, s.chat.hooks[space])
		card := ""
		if space == "b" {
			card = ", card: {title: Soak, subtitle: '', summary: '', alert: '', buttons: []}"
		}
		fmt.Fprintf(&b, "  - {name: %s, webhook_url: 'http://%s%s'%s}\n", space, s.network.address, s.chat.hooks[space], card)
	}
	b.WriteString(`
route:
  space: a
  routes:
    - {matchers: ['severity=page'], space: page, continue: true}
    - {matchers: ['team=b'], space: b}
    - {space: a}
`)
	return b.String()
}

// fault is what goes wrong with a request to Chat.
func (s *soak) fault(chattest.Request) chattest.Fault {
	s.faults.Lock()
	defer s.faults.Unlock()
	if s.healed.Load() || s.faults.rand.Float64() >= soakFaultRate {
		return chattest.Fault{}
	}
	s.spoilt.Add(1)
	all := everyFault()
	return all[s.faults.rand.IntN(len(all))]
}

// blow is something that is broken and mended again.
type blow struct {
	name string
	do   func()
}

// chaos breaks everything in turn, in a random order, at random moments.
func (s *soak) chaos(length time.Duration) {
	s.t.Helper()
	end := time.Now().Add(length)
	for time.Now().Before(end) {
		blows := s.blows()
		s.rand.Shuffle(len(blows), func(i, j int) { blows[i], blows[j] = blows[j], blows[i] })
		for _, b := range blows {
			elapse(s.t, s.moment(500*time.Millisecond, 4*time.Second))
			if time.Now().After(end) {
				break
			}
			s.killed[b.name]++
			b.do()
			s.wantAlive()
		}
	}
	for name, n := range s.killed {
		s.t.Logf("%s: %d times", name, n)
	}
}

// moment returns a random time.
func (s *soak) moment(least, most time.Duration) time.Duration {
	return least + time.Duration(s.rand.Int64N(int64(most-least)))
}

func (s *soak) blows() []blow {
	pause := func() { elapse(s.t, s.moment(100*time.Millisecond, 2*time.Second)) }
	var all []blow
	add := func(name string, do func()) { all = append(all, blow{name, do}) }
	for i, name := range []string{"A", "B"} {
		add("kill -9 of replica "+name, func() {
			s.keep(s.replicas[i])
			s.replicas[i].kill()
			s.read(s.replicas[i])
			pause()
			s.replicas[i].start(s.t)
		})
		add("SIGTERM of replica "+name, func() {
			s.end(s.replicas[i])
			pause()
			s.replicas[i].start(s.t)
		})
		add("kill -9 of Alertmanager "+name, func() {
			s.pair[i].kill()
			pause()
			s.pair[i].restart(s.t)
		})
		if s.long {
			add("SIGTERM of Alertmanager "+name, func() {
				s.pair[i].signal(s.t, syscall.SIGTERM)
				s.pair[i].waitEnd(s.t)
				pause()
				s.pair[i].restart(s.t)
			})
			add("stall of replica "+name, func() {
				s.replicas[i].signal(s.t, syscall.SIGSTOP)
				elapse(s.t, s.moment(time.Second, 20*time.Second))
				s.replicas[i].signal(s.t, syscall.SIGCONT)
			})
		}
	}
	add("stop of PostgreSQL", func() {
		s.postgres.Stop(s.t)
		pause()
		s.postgres.Start(s.t)
	})
	add("kill -9 of PostgreSQL", func() {
		s.postgres.Kill(s.t)
		pause()
		s.postgres.Start(s.t)
	})
	add("cut of the network to Chat", func() {
		s.network.cut()
		pause()
		s.network.mend(s.t)
	})
	return all
}

// wantAlive fails the test if something ended that nobody killed.
func (s *soak) wantAlive() {
	s.t.Helper()
	for _, p := range []*process{s.replicas[0].process, s.replicas[1].process, s.pair[0].process, s.pair[1].process} {
		if err := p.ended(); err != nil {
			s.t.Fatal(err)
		}
	}
}

// end terminates a replica.
func (s *soak) end(a *alertchat) {
	s.t.Helper()
	s.keep(a)
	a.signal(s.t, syscall.SIGTERM)
	a.waitEnd(s.t)
	if code := a.cmd.ProcessState.ExitCode(); code != 0 {
		s.t.Errorf("a replica ended with code %d, want 0:\n%s", code, a.output())
	}
	s.read(a)
}

// keep notes how much memory a replica took.
func (s *soak) keep(a *alertchat) { s.memory = max(s.memory, a.memory(s.t, "VmHWM")) }

var logMessage = regexp.MustCompile(`level=(\S+) .*?msg=("[^"]*"|\S+)`)

// read looks for what is worth a look in what a replica printed.
func (s *soak) read(a *alertchat) {
	s.t.Helper()
	output := a.output()
	s.secrets.wantAbsent(s.t, "an output", output)
	for line := range strings.Lines(output) {
		m := logMessage.FindStringSubmatch(line)
		switch {
		case m == nil || m[1] == "ERROR":
			s.t.Errorf("although everything here passes by itself, a replica says: %s", line)
		case m[1] == "WARN":
			s.outputs[m[2]]++
		}
	}
}

// settle makes all well again, gives each group news, and waits until it is
// told how all groups stand.
func (s *soak) settle() {
	s.t.Helper()
	s.world.rest()
	s.healed.Store(true)
	for i := range s.pair {
		s.replicas[i].waitReady(s.t, s.replicas[i].address)
		s.replicas[i].signal(s.t, syscall.SIGHUP) // tried at once
		within(s.t, settleTime, "the Alertmanagers have found each other", s.pair[i].paired(s.t))
	}
	s.waitQuiet()
	s.world.fireAll()
	within(s.t, settleTime, "it is told what fires", func() error { return s.world.standsIn(s.chat) })
	s.waitQuiet()
	s.world.endMost()
	within(s.t, settleTime, "it is told what has ended", func() error { return s.world.standsIn(s.chat) })
	s.waitQuiet()
}

// waitQuiet waits until the Alertmanagers have said all and nothing waits. One
// of them whose notification of how things were comes late makes the other
// forget what it has to say of how they are.
func (s *soak) waitQuiet() {
	s.t.Helper()
	within(s.t, settleTime, "the Alertmanagers have nothing more to say", func() error {
		before := s.posts()
		elapse(s.t, soakQuiet)
		if more := s.posts() - before; more > 0 {
			return fmt.Errorf("%d posts in %s", more, soakQuiet)
		}
		return nil
	})
	within(s.t, settleTime, "nothing waits any more", func() error { return s.replicas[0].drained(s.t) })
}

// posts is how many posts there were.
func (s *soak) posts() (n int) {
	for _, p := range s.taps {
		p.mu.Lock()
		n += len(p.accepted) + p.refused
		p.mu.Unlock()
	}
	return n
}

// judge fails the test if Chat does not have what happened, or if anybody
// misbehaved.
func (s *soak) judge() {
	s.t.Helper()
	accepted := newPromised(s.taps)
	stories := readStories(s.t, s.chat)
	stories.check(s.t, s.world, accepted)
	s.suspects = stories.suspects
	if err := s.world.standsIn(s.chat); err != nil {
		s.t.Error(err)
	}
	s.chat.wantPaced(s.t, s.rate)
	s.chat.wantNoRemarks(s.t)
	for _, a := range s.replicas {
		for _, path := range []string{"/", "/api/v1/status", "/metrics"} {
			page, err := get(s.t.Context(), "http://"+a.address+path)
			if err != nil {
				s.t.Error(err)
			}
			s.secrets.wantAbsent(s.t, path, page)
		}
		s.end(a)
	}
	for _, am := range s.pair {
		am.signal(s.t, syscall.SIGTERM)
		am.waitEnd(s.t)
	}
	if s.memory > replicaMemory {
		s.t.Errorf("a replica took %.0f MB, want at most %d", s.memory, replicaMemory)
	}
	s.t.Logf("%d changes of alerts, %d notifications accepted, %d posts refused, %d requests to Chat, %d of them spoilt, %d messages tell of %d groups, %d in digests; %.0f MB at most",
		s.world.changes, accepted.notifications, accepted.refused, len(s.chat.Requests()), s.spoilt.Load(), stories.messages, stories.told, stories.digested, s.memory)
	for _, what := range slices.Sorted(maps.Keys(s.outputs)) {
		s.t.Logf("warned %d times: %s", s.outputs[what], what)
	}
	if s.spoilt.Load() == 0 || stories.digested == 0 || accepted.refused == 0 {
		s.t.Error("this run proves nothing: nothing went wrong, or there was hardly anything to tell")
	}
}
