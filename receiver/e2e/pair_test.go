package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat/chattest"
)

// TestAlertmanagerPair lets two real Alertmanagers with gossip post the same
// groups. They share what they have sent too slowly for many groups, and send
// much of it twice. FLOOD_GROUPS=3000 is a longer run, with the time that
// Alertmanager gives its peer unless told otherwise.
func TestAlertmanagerPair(t *testing.T) {
	t.Parallel()
	p := findPrograms(t)
	groups, peerTimeout := 300, time.Second
	if text := os.Getenv("FLOOD_GROUPS"); text != "" {
		var err error
		if groups, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
		peerTimeout = 15 * time.Second
	}
	chat := startChatWith(t, chattest.Options{Rate: 1})
	receiver := startAlertchat(t, p, "spaces:\n"+chat.entry("ops", "rate_limit: 1")+"route: {space: ops}\n")
	r := &pairRun{t: t, chat: chat, receiver: receiver, groups: groups, quiet: pairInterval + peerTimeout + 2*time.Second}
	r.pair = startPair(t, p, receiver.address, peerTimeout)
	r.began = time.Now()

	firing := r.phase(alert.Firing)
	resolved := r.phase(alert.Resolved)
	for n := range groups {
		states := slices.Clone(r.states[service(n)])
		// Alertmanager may flush a group before all of its alerts have come.
		if len(states) == 0 || !strings.HasSuffix(states[0], " FIRING") || states[len(states)-1] != "3 RESOLVED" {
			t.Errorf("it is said of %s: %q, want that it fires first and 3 RESOLVED last", service(n), states)
		}
		slices.Sort(states)
		if len(slices.Compact(states)) != len(r.states[service(n)]) {
			t.Errorf("%s is told twice in the same state: %q", service(n), r.states[service(n)])
		}
	}
	if firing+resolved <= 2*groups {
		t.Error("this run proves nothing: no notification came twice")
	}
	if n := chat.Throttled(place("ops")); n > 0 {
		t.Errorf("Chat refused %d requests because of the rate", n)
	}
	chat.wantNoRemarks(t)
}

// What the pair is configured with. Within group_wait all alerts must have come
// to both: a group of which one knew a part only would be told in two states.
const (
	pairWait     = 5 * time.Second // group_wait
	pairInterval = 5 * time.Second // group_interval
)

// pairRun is one run with a pair.
type pairRun struct {
	t        *testing.T
	chat     *googleChat
	receiver *alertchat
	pair     [2]*alertmanager
	groups   int
	quiet    time.Duration       // how long no notification comes once all have come
	states   map[string][]string // what is said of each group
	began    time.Time           // when the alerts did: Alertmanager does not wait for more of old ones
}

// phase lets all groups fire or end, waits until that is told and all
// Alertmanagers have nothing more to say, and returns how many notifications
// came.
func (r *pairRun) phase(status string) int {
	r.t.Helper()
	received, folded := r.received(), r.folded()
	messages := len(r.chat.Messages(place("ops")))
	began := time.Now()
	for _, am := range r.pair {
		am.put(r.t, r.groups, status, r.began)
	}
	r.chat.waitSaid(r.t, r.groups, always(status))
	took := time.Since(began)
	for before := -1.0; before < r.received(); {
		before = r.received()
		elapse(r.t, r.quiet)
	}
	r.states = bySaid(r.chat.waitSaid(r.t, r.groups, always(status)))
	received, folded = r.received()-received, r.folded()-folded
	r.t.Logf("%d groups %s: all told after %.1fs, in %d messages; %.0f notifications came, %.0f of them were folded away",
		r.groups, status, took.Seconds(), len(r.chat.Messages(place("ops")))-messages, received, folded)
	return int(received)
}

func (r *pairRun) received() float64 {
	return r.receiver.total(r.t, `alertchat_notifications_received_total{code="200"}`)
}

func (r *pairRun) folded() float64 {
	return r.receiver.total(r.t, `alertchat_notifications_folded_total{`)
}

// total returns the sum of the metrics that begin so.
func (a *alertchat) total(t testing.TB, prefix string) float64 {
	t.Helper()
	page, err := get(t.Context(), "http://"+a.address+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	sum, found := 0.0, false
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, prefix) {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndex(line, " "):]), 64)
		if err != nil {
			t.Fatal(err)
		}
		sum, found = sum+value, true
	}
	if !found {
		t.Fatalf("no metric begins with %s", prefix)
	}
	return sum
}

// startPair starts two Alertmanagers that know each other, and waits until they
// have found each other.
func startPair(t testing.TB, p programs, receiver string, peerTimeout time.Duration) [2]*alertmanager {
	t.Helper()
	var pair [2]*alertmanager
	cluster := []string{freeAddress(t), freeAddress(t)}
	for i := range pair {
		folder := t.TempDir()
		configFile := filepath.Join(folder, "alertmanager.yml")
		writeFile(t, configFile, fmt.Sprintf(`
route:
  receiver: alertchat
  group_by: [alertname, cluster, service]
  group_wait: %s
  group_interval: %s
  repeat_interval: 1h
receivers:
  - name: alertchat
    webhook_configs:
      - url: http://%s/alertmanager
        send_resolved: true
`, pairWait, pairInterval, receiver))
		am := &alertmanager{amtool: p.amtool, address: freeAddress(t), home: folder}
		am.process = startProcess(t, p.alertmanager[newest],
			"--config.file="+configFile,
			"--storage.path="+filepath.Join(folder, "data"),
			"--web.listen-address="+am.address,
			"--cluster.listen-address="+cluster[i],
			"--cluster.peer="+cluster[1-i],
			"--cluster.peer-timeout="+peerTimeout.String(),
		)
		pair[i] = am
	}
	for _, am := range pair {
		eventually(t, "the Alertmanagers have found each other", am.paired(t))
	}
	return pair
}

// paired returns a check whether the Alertmanager has found its peer and
// notifies.
func (am *alertmanager) paired(t testing.TB) func() error {
	return func() error {
		if err := am.ended(); err != nil {
			t.Fatal(err)
		}
		page, err := get(t.Context(), "http://"+am.address+"/api/v2/status")
		if err != nil {
			return err
		}
		var status struct {
			Cluster struct {
				Status string
				Peers  []struct{ Address string }
			}
		}
		if err := json.Unmarshal([]byte(page), &status); err != nil {
			return err
		}
		if status.Cluster.Status != "ready" || len(status.Cluster.Peers) != 2 {
			return fmt.Errorf("its status is %+v", status.Cluster)
		}
		return nil
	}
}

// put posts the alerts of all groups as Prometheus does, 63 at a time.
func (am *alertmanager) put(t testing.TB, groups int, status string, began time.Time) {
	t.Helper()
	now := time.Now()
	var alerts []any
	for n := range groups {
		for _, a := range wave(n, status, began.Sub(flooded)).Alerts {
			ends := now // of what is resolved
			if status == alert.Firing {
				ends = now.Add(time.Hour)
			}
			alerts = append(alerts, map[string]any{
				"labels": a.Labels, "annotations": a.Annotations, "generatorURL": a.GeneratorURL,
				"startsAt": a.StartsAt, "endsAt": ends,
			})
		}
	}
	for batch := range slices.Chunk(alerts, 63) {
		if err := am.postAlerts(t, batch); err != nil {
			t.Fatal(err)
		}
	}
}

func (am *alertmanager) postAlerts(t testing.TB, alerts []any) error {
	t.Helper()
	body, err := json.Marshal(alerts)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+am.address+"/api/v2/alerts", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := (&http.Client{Timeout: patience}).Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return errors.New("the alerts are answered " + answer.Status)
	}
	return nil
}
