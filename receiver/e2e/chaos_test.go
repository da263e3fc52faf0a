package e2e

import (
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"alertchat/receiver/chat/chattest"
)

const (
	chaosSenders = 16
	// faultRate is the share of requests to Google Chat with a fault. After
	// one, a loop waits for up to a second, or until the next kill.
	faultRate = 0.3
	// chaosTimeout is how long an attempt may take.
	chaosTimeout = 200 * time.Millisecond
)

// What can go wrong with a request to Google Chat.
var (
	chatHangs        = chattest.Fault{Hang: true}
	chatIsBusy       = chattest.Fault{Status: http.StatusTooManyRequests}
	chatFails        = chattest.Fault{Status: http.StatusInternalServerError}
	chatSendsPage    = chattest.Fault{Status: http.StatusBadGateway, Body: "<html><title>Error 502</title></html>"}
	chatHangsUp      = chattest.Fault{Drop: true}
	chatBreaksOff    = chattest.Fault{Truncate: true}
	chatLosesAnswer  = chattest.Fault{Act: true, Drop: true}
	chatAnswersLate  = chattest.Fault{Act: true, Hang: true}
	chatSpoilsAnswer = chattest.Fault{Act: true, Status: http.StatusServiceUnavailable}
)

func everyFault() []chattest.Fault {
	return []chattest.Fault{chatHangs, chatIsBusy, chatFails, chatSendsPage, chatHangsUp, chatBreaksOff, chatLosesAnswer, chatAnswersLate, chatSpoilsAnswer}
}

// TestAcceptedIsTold kills alertchat again and again while Alertmanagers post
// to it and Google Chat is at fault. What was answered with 200 must stand in
// Chat in the end: all of it, in order, and once.
func TestAcceptedIsTold(t *testing.T) {
	tests := []struct {
		name            string
		faults          []chattest.Fault
		kills           int
		ignoreRequestID bool
	}{
		{"all kinds of faults at once", everyFault(), 25, false},
		{"all kinds of faults, and Chat does not know a request again", everyFault(), 25, true},
		{"Chat hangs", []chattest.Fault{chatHangs}, 6, false},
		{"Chat says that there is too much", []chattest.Fault{chatIsBusy}, 6, false},
		{"Chat answers with errors", []chattest.Fault{chatFails}, 6, false},
		{"a load balancer answers with a page", []chattest.Fault{chatSendsPage}, 6, false},
		{"connections are closed", []chattest.Fault{chatHangsUp}, 6, false},
		{"answers break off", []chattest.Fault{chatBreaksOff}, 6, false},
		{"Chat does the work and its answers are lost", []chattest.Fault{chatLosesAnswer, chatAnswersLate, chatSpoilsAnswer}, 6, false},
	}
	path := buildAlertchat(t)
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := &chaos{seed: chaosSeed(t, i), faults: test.faults}
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

	mu   sync.Mutex // guards what follows
	rand *rand.Rand // of the faults
}

// fault is what goes wrong with a request to Chat.
func (c *chaos) fault(chattest.Request) chattest.Fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rand == nil {
		c.rand = rand.New(rand.NewPCG(c.seed, 1))
	}
	if c.healed.Load() || c.rand.Float64() >= faultRate {
		return chattest.Fault{}
	}
	c.spoilt.Add(1)
	return c.faults[c.rand.IntN(len(c.faults))]
}

// newReceiver returns an alertchat that does not run yet.
func (c *chaos) newReceiver(t *testing.T, path string) *alertchat {
	t.Helper()
	folder := t.TempDir()
	a := &alertchat{
		path:       path,
		address:    ownAddress(t),
		configFile: filepath.Join(folder, "config.yml"),
		storage:    filepath.Join(folder, "data"),
	}
	c.chat.addSenderSpaces()
	writeFile(t, a.configFile, c.chat.senderConfig(c.chat.address, 100, chaosTimeout))
	return a
}

// run posts and kills, then lets everything come to its end.
func (c *chaos) run(t *testing.T, kills int) {
	t.Helper()
	for i := range chaosSenders {
		c.senders = append(c.senders, newSender(c.seed, i, c.receiver))
	}
	finish := startSenders(t, c.senders)
	c.killOften(t, kills)
	elapse(t, time.Second)
	finish()

	// A last kill spares the test the wait for what was refused last.
	c.healed.Store(true)
	c.kill()
	c.receiver.start(t)
	eventually(t, "all that was accepted is told", func() error { return c.receiver.drained(t) })
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
