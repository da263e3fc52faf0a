package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/template"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat/chattest"
)

const (
	// takeoverTime is when another replica delivers at the latest once the one
	// that did is dead, and handoverTime the same where that one gives its right
	// up. The rest is for a machine that is busy with other tests.
	takeoverTime = 15*time.Second + slack
	handoverTime = 2*time.Second + slack
	slack        = 5 * time.Second
	// replicaTimeout is how long an attempt may take.
	replicaTimeout = 2 * time.Second
	replicaSenders = 4
	bigSpace       = "big" // for a message of several parts
	leaseTaken     = "Another process has taken the right to deliver"
	acceptedMetric = `alertchat_notifications_received_total{code="200"}`
)

// TestReplicas runs two receivers on one PostgreSQL, of which one delivers, to
// spaces that take one message a second, as Google's do.
func TestReplicas(t *testing.T) {
	path := buildAlertchat(t)
	tests := []struct {
		name string
		run  func(*testing.T, string)
	}{
		{"what either accepts is told once and in order", eitherAccepts},
		{"the other goes on when the one that delivers is killed", holderKilled},
		{"the other goes on at once when the one that delivers is terminated", holderTerminated},
		{"one that was stalled sends nothing when it wakes", holderStalled},
		{"one that was stalled while there was nothing to tell stands by", idleHolderStalled},
		{"nothing accepted is lost while PostgreSQL is away", postgresAway},
		{"a flood over both is told in a few messages although one is killed", replicasFlooded},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, path)
		})
	}
}

func eitherAccepts(t *testing.T, path string) {
	r, finish := startSending(t, path, true)
	r.waitMessages(6 * senderSpaces)
	finish()
	_, standby := r.roles()
	for _, re := range r.all {
		if re.total(t, acceptedMetric) == 0 {
			t.Errorf("this run proves nothing: the replica %s accepted nothing", re.name)
		}
	}
	if paths := standby.sentSince(time.Time{}); len(paths) > 0 {
		t.Errorf("the replica that stands by has sent something to %v", paths)
	}
	r.check()
}

func holderKilled(t *testing.T, path string) {
	r, finish := startSending(t, path, false)
	holder, standby := r.roles()
	frozen := r.waitUnderWay(spaceName(0), true)
	died := time.Now()
	r.end(holder)
	r.waitTakeover(standby, died, takeoverTime)
	holder.start(t)
	r.waitMessages(2 * senderSpaces)
	finish()
	r.wantRepeated(frozen)
	r.check()
}

func holderTerminated(t *testing.T, path string) {
	r, finish := startSending(t, path, false)
	for range 2 { // there and back
		holder, standby := r.roles()
		holder.signal(t, syscall.SIGTERM)
		holder.waitEnd(t)
		r.waitTakeover(standby, time.Now(), handoverTime)
		if code := holder.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("exit code %d after SIGTERM, want 0", code)
		}
		r.outputs = append(r.outputs, holder.output())
		holder.start(t)
		r.waitMessages(senderSpaces)
	}
	finish()
	r.check()
}

// holderStalled stops the replica that delivers for longer than its lease lasts,
// as a machine does that is moved. One request is under way then, and the first
// part of a message is in Chat.
func holderStalled(t *testing.T, path string) {
	r, finish := startSending(t, path, false)
	holder, standby := r.roles()
	r.postBig(standby)
	r.chat.wait(t, bigSpace, 1)
	underWay := r.waitUnderWay(spaceName(0), false)
	stalled := time.Now()
	holder.signal(t, syscall.SIGSTOP)
	r.waitTakeover(standby, stalled, takeoverTime)
	elapse(t, 20*time.Second-time.Since(stalled))

	woke := time.Now()
	holder.signal(t, syscall.SIGCONT)
	r.waitStandby(holder)
	r.waitMessages(2 * senderSpaces)
	if paths := holder.sentSince(woke); len(paths) > 0 {
		t.Errorf("after it was stalled the replica sent something to %v, want nothing", paths)
	}
	if n := strings.Count(holder.output(), leaseTaken); n != 1 {
		t.Errorf("it says %d times that another process took over, want once", n)
	}
	r.wantRepeated(underWay)
	if err := standby.delivers(t); err != nil {
		t.Errorf("the replica that took over: %v", err)
	}
	finish()
	r.check()
	r.chat.wait(t, bigSpace, 3)
}

// idleHolderStalled does the same where nothing comes that the replica would
// have to write.
func idleHolderStalled(t *testing.T, path string) {
	chat := startChatWith(t, chattest.Options{Rate: 1})
	chat.addSenderSpaces()
	r := startReplicas(t, path, chat, func(address string) string { return chat.senderConfig(address, 1, replicaTimeout) })
	holder, standby := r.roles()
	holder.signal(t, syscall.SIGSTOP)
	within(t, takeoverTime, "the other replica delivers", func() error { return standby.delivers(t) })
	holder.signal(t, syscall.SIGCONT)
	r.waitStandby(holder)
	r.checkManners()
}

// waitStandby waits until a replica knows that it does not deliver any more.
func (r *replicas) waitStandby(re *replica) {
	r.t.Helper()
	eventually(r.t, "the replica "+re.name+" stands by", func() error {
		if err := re.delivers(r.t); err == nil {
			return errors.New("it says that it delivers")
		}
		return nil
	})
}

// postBig posts a notification that takes three messages.
func (r *replicas) postBig(to *replica) {
	r.t.Helper()
	p := &alert.Payload{Version: "4", GroupKey: "{}:{}"}
	p.Receiver, p.GroupLabels = "big", template.KV{"group": "big"}
	for i := range 250 {
		p.Alerts = append(p.Alerts, template.Alert{
			Status: alert.Firing, StartsAt: time.Now(), Fingerprint: fmt.Sprintf("big-%d", i),
			Labels: template.KV{"alertname": "Big", "id": fmt.Sprint(i)},
		})
	}
	p.Summarize()
	body, err := json.Marshal(p)
	if err != nil {
		r.t.Fatal(err)
	}
	if s := newSender(0, 0, to.alertchat); !s.post(r.t.Context(), "http://"+to.address+"/alertmanager/"+bigSpace, body) || s.refused != "" {
		r.t.Fatalf("the notification was not accepted: %s", s.refused)
	}
}

func postgresAway(t *testing.T, path string) {
	r, finish := startSending(t, path, false)
	for name, stop := range map[string]func(testing.TB){"stopped": r.postgres.Stop, "killed": r.postgres.Kill} {
		stop(t)
		for _, re := range r.all {
			eventually(t, "the replica "+re.name+" says that it cannot store", func() error {
				if _, err := get(t.Context(), "http://"+re.address+"/-/ready"); err == nil || !strings.Contains(err.Error(), "503") {
					return fmt.Errorf("it is ready (%w)", err)
				}
				return nil
			})
			answer, err := http.Post("http://"+re.address+"/alertmanager", "application/json", strings.NewReader(`{"version":"4","groupKey":"{}:{}","alerts":[{"status":"firing","labels":{"a":"b"},"startsAt":"2026-01-01T00:00:00Z"}]}`))
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
				t.Errorf("without PostgreSQL a post is answered %s, Retry-After %q; want 503", answer.Status, answer.Header.Get("Retry-After"))
			}
		}
		elapse(t, 2*time.Second)
		r.postgres.Start(t)
		back := time.Now()
		for _, re := range r.all {
			re.waitReady(t, re.address)
		}
		ready := time.Since(back)
		r.waitMessages(senderSpaces)
		t.Logf("PostgreSQL was %s: both are ready %.2fs after it is back, and messages come after %.2fs", name, ready.Seconds(), time.Since(back).Seconds())
	}
	finish()
	r.check()
}

// replicasFlooded posts a thousand groups to both replicas at once and kills the
// one that delivers while they do.
func replicasFlooded(t *testing.T, path string) {
	chat := startChatWith(t, chattest.Options{Rate: 1})
	chat.hooks["ops"] = chat.AddWebhook(place("ops"))
	r := startReplicas(t, path, chat, func(address string) string {
		return fmt.Sprintf("spaces: [{name: ops, webhook_url: '%s%s', rate_limit: 1}]\nroute: {space: ops}\n", address, chat.hooks["ops"])
	})
	var accepted atomic.Int64
	for phase, status := range []string{alert.Firing, alert.Resolved} {
		holder, standby := r.roles()
		began, before, already := time.Now(), len(chat.Messages(place("ops"))), accepted.Load()
		posting := r.flood(status, &accepted)
		if phase == 0 {
			eventually(t, "half of the notifications are accepted", func() error {
				if n := accepted.Load() - already; n < floodGroups/2 {
					return fmt.Errorf("%d are", n)
				}
				return nil
			})
			died := time.Now()
			r.end(holder)
			r.waitTakeover(standby, died, takeoverTime)
			holder.start(t) // before that it could have been quicker
		}
		posting.Wait()
		all := chat.waitSaid(t, floodGroups, always(status))
		if n := len(all) - before; n > floodMessages+1 {
			t.Errorf("%d groups that are %s took %d messages, want at most %d", floodGroups, status, n, floodMessages+1)
		}
		t.Logf("%d groups %s: all told after %.1fs, in %d messages", floodGroups, status, all[len(all)-1].at.Sub(began).Seconds(), len(all)-before)
	}
	states := bySaid(readSaid(t, chat.Messages(place("ops"))))
	for n := range floodGroups {
		if got := fmt.Sprint(states[service(n)]); got != "[3 FIRING 3 RESOLVED]" {
			t.Errorf("it is said of %s: %s, want [3 FIRING 3 RESOLVED]", service(n), got)
		}
	}
	r.checkManners()
}

// flood posts a notification of each group from many senders at once to either
// replica, and to the other where one does not accept.
func (r *replicas) flood(status string, accepted *atomic.Int64) *sync.WaitGroup {
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*patience)
	r.t.Cleanup(cancel)
	var next atomic.Int64
	posting := &sync.WaitGroup{}
	for i := range floodSenders {
		posting.Go(func() {
			s := newSender(2, i, r.all[0].alertchat, r.all[1].alertchat)
			defer s.client.CloseIdleConnections()
			pace := time.NewTicker(50 * time.Millisecond)
			defer pace.Stop()
			for n := next.Add(1) - 1; n < floodGroups; n = next.Add(1) - 1 {
				if !s.deliver(ctx, pace.C, wave(int(n), status, 0)) || s.refused != "" {
					r.t.Errorf("the notification of %s was not accepted: %s", service(int(n)), s.refused)
					return
				}
				accepted.Add(1)
			}
		})
	}
	return posting
}
