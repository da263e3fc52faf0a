package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat/chattest"
)

// lonely returns a payload of one alert that is the only one of its group.
func lonely(i int64) string {
	return fmt.Sprintf(`{"receiver":"team","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"InstanceDown","cluster":"prod-eu-1","instance":"node-%[1]d.example.org:9100","job":"node","severity":"critical","team":"platform"},"annotations":{"description":"node-%[1]d.example.org:9100 of job node has been down for more than 5 minutes.","runbook_url":"https://runbooks.example.org/node/InstanceDown","summary":"Instance node-%[1]d is down"},"startsAt":"2026-11-23T12:20:58.877Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://prometheus.example.org:9090/graph?g0.expr=up+%%3D%%3D+0&g0.tab=1","fingerprint":"%016[1]x"}],"notification_reason":"first notification","groupLabels":{"instance":"node-%[1]d"},"commonLabels":{"alertname":"InstanceDown","cluster":"prod-eu-1","instance":"node-%[1]d.example.org:9100","job":"node","severity":"critical","team":"platform"},"commonAnnotations":{"summary":"Instance node-%[1]d is down"},"routeLabels":{},"externalURL":"http://alertmanager.example.org","version":"4","groupKey":"{}:{instance=\"node-%[1]d\"}","truncatedAlerts":0}`, i)
}

// benched is the real program with a stand-in for Google Chat and a client.
type benched struct {
	*alertchat

	b      *testing.B
	chat   *googleChat
	client *http.Client
	next   atomic.Int64
}

// bench starts the program with so many spaces, s0 and on.
func bench(b *testing.B, spaces int, settings string) *benched {
	b.Helper()
	chat := startChatWith(b, chattest.Options{})
	var config strings.Builder
	fmt.Fprintf(&config, "defaults: {%s}\nspaces:\n", settings)
	for i := range spaces {
		fmt.Fprintf(&config, "  - {name: s%d, webhook_url: '%s%s'}\n", i, chat.address, chat.AddWebhook(fmt.Sprintf("spaces/S%d", i)))
	}
	config.WriteString("route: {space: s0}\n")
	folder := b.TempDir()
	a := &alertchat{path: buildAlertchat(b), address: freeAddress(b), configFile: folder + "/config.yml", storage: folder + "/data"}
	writeFile(b, a.configFile, config.String())
	a.launch(b)
	a.waitReady(b, a.address)
	return &benched{alertchat: a, b: b, chat: chat, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 200}}}
}

// post sends n notifications of one alert from so many senders, and returns how
// long each took.
func (r *benched) post(n, senders, spaces int) []time.Duration {
	times := make([][]time.Duration, senders)
	last := r.next.Load() + int64(n)
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for {
				i := r.next.Add(1)
				if i > last {
					return
				}
				began := time.Now()
				url := fmt.Sprintf("http://%s/alertmanager/s%d", r.address, i%int64(spaces))
				resp, err := r.client.Post(url, "application/json", strings.NewReader(lonely(i)))
				if err != nil {
					r.b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					r.b.Errorf("answer %s", resp.Status)
					return
				}
				times[s] = append(times[s], time.Since(began))
			}
		})
	}
	wg.Wait()
	r.next.Store(last)
	return slices.Sorted(slices.Values(slices.Concat(times...)))
}

// idle waits until nothing waits for delivery.
func (r *benched) idle() {
	for {
		page, err := get(r.b.Context(), "http://"+r.address+"/api/v1/status")
		if err != nil {
			r.b.Fatal(err)
		}
		if strings.Count(page, `"waiting":`) == strings.Count(page, `"waiting":0`) &&
			strings.Count(page, `"planned":`) == strings.Count(page, `"planned":0`) {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
}

// cpu returns the seconds of CPU that the program has used.
func (a *alertchat) cpu(t testing.TB) float64 {
	t.Helper()
	return a.total(t, "process_cpu_seconds_total ")
}

// memory returns a figure of the program's memory in MB: VmRSS or VmHWM.
func (p *process) memory(t testing.TB, figure string) float64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Skip(err) // not on Linux
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, figure+":"); ok {
			kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			if err != nil {
				t.Fatal(err)
			}
			return kb / 1000
		}
	}
	t.Fatalf("no %s", figure)
	return 0
}

// BenchmarkProcessAccepts: 200 senders beside the program, until each
// notification is safe on disk. Delivery goes on at Google's pace.
func BenchmarkProcessAccepts(b *testing.B) {
	r := bench(b, 1, "rate_limit: 1")
	r.post(1000, 200, 1)
	b.ResetTimer()
	times := r.post(b.N, 200, 1)
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "notifications/s")
	b.ReportMetric(times[len(times)/2].Seconds()*1000, "p50-ms")
	b.ReportMetric(times[len(times)*99/100].Seconds()*1000, "p99-ms")
	b.ReportMetric(r.memory(b, "VmHWM"), "MB-peak")
}

// BenchmarkProcessDelivers: the program's own CPU for a notification of one
// alert, from the POST to the answer of a Chat that is as quick as it can be.
func BenchmarkProcessDelivers(b *testing.B) {
	const spaces = 64
	r := bench(b, spaces, "rate_limit: 100")
	r.post(1000, 32, spaces)
	r.idle()
	before := r.cpu(b)
	b.ResetTimer()
	r.post(b.N, 32, spaces)
	r.idle()
	b.StopTimer()
	b.ReportMetric((r.cpu(b)-before)/float64(b.N)*1000, "CPU-ms/notification")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "notifications/s")
}

// BenchmarkProcessMemory: the resident memory of the program when idle, with
// 10,000 notifications of as many groups waiting while Google Chat is away, and
// at its peak when Chat is back and digests of them are made. It is the same
// whatever b.N is.
func BenchmarkProcessMemory(b *testing.B) {
	r := bench(b, 1, "rate_limit: 10")
	idle := r.memory(b, "VmRSS")
	r.chat.Inject("spaces/S0", -1, chattest.Fault{Status: http.StatusServiceUnavailable})
	r.post(10_000, 32, 1)
	waiting := r.memory(b, "VmRSS")
	r.chat.Heal("spaces/S0")
	r.signal(b, syscall.SIGHUP) // tried at once
	eventually(b, "ten digests", func() error {
		if n := len(r.chat.Messages("spaces/S0")); n < 10 {
			return fmt.Errorf("%d messages", n)
		}
		return nil
	})
	b.ReportMetric(idle, "MB-idle")
	b.ReportMetric(waiting, "MB-10000-waiting")
	b.ReportMetric(r.memory(b, "VmHWM"), "MB-peak-of-digests")
}

// BenchmarkProcessFlood: 200 senders post 1,000 groups of three alerts to a
// space that takes a message a second, and then their ends; until all are told.
// It is the same whatever b.N is.
func BenchmarkProcessFlood(b *testing.B) {
	f := newFlood(b, buildAlertchat(b), chattest.Options{Rate: 1})
	before := f.receiver.cpu(b)
	firing := f.phase(alert.Firing, false)
	resolved := f.phase(alert.Resolved, false)
	b.ReportMetric(firing.Seconds(), "s-firing")
	b.ReportMetric(resolved.Seconds(), "s-resolved")
	b.ReportMetric(float64(len(f.messages())), "messages")
	b.ReportMetric(float64(f.chat.Throttled(place("ops"))), "429s")
	b.ReportMetric(f.receiver.cpu(b)-before, "CPU-s")
	b.ReportMetric(f.receiver.memory(b, "VmHWM"), "MB-peak")
}
