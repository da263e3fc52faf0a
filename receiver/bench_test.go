package receiver_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"alertchat/receiver/chat/chattest"
)

// one returns a payload of one alert that is the only one of its group.
func one(i int64) []byte {
	return fmt.Appendf(nil, `{"receiver":"team","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"InstanceDown","cluster":"prod-eu-1","instance":"node-%[1]d.example.org:9100","job":"node","severity":"critical","team":"platform"},"annotations":{"description":"node-%[1]d.example.org:9100 of job node has been down for more than 5 minutes.","runbook_url":"https://runbooks.example.org/node/InstanceDown","summary":"Instance node-%[1]d is down"},"startsAt":"2026-11-23T12:20:58.877Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://prometheus.example.org:9090/graph?g0.expr=up+%%3D%%3D+0&g0.tab=1","fingerprint":"%016[1]x"}],"notification_reason":"first notification","groupLabels":{"instance":"node-%[1]d"},"commonLabels":{"alertname":"InstanceDown","cluster":"prod-eu-1","instance":"node-%[1]d.example.org:9100","job":"node","severity":"critical","team":"platform"},"commonAnnotations":{"summary":"Instance node-%[1]d is down"},"routeLabels":{},"externalURL":"http://alertmanager.example.org","version":"4","groupKey":"{}:{instance=\"node-%[1]d\"}","truncatedAlerts":0}`, i)
}

// BenchmarkAccept measures notifications of one alert until they are safe, sent
// over loopback by senders in the same process. Delivery goes on meanwhile, at
// Google's pace.
func BenchmarkAccept(b *testing.B) {
	for _, senders := range []int{1, 32, 200} {
		b.Run(fmt.Sprint(senders), func(b *testing.B) {
			r := newRig(b, "spaces:\n  - {name: ops, webhook_url: 'WEBHOOK(OPS)'}\n", chattest.Options{})
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: senders}}
			var next atomic.Int64
			times := make([][]time.Duration, senders)
			var wg sync.WaitGroup
			b.ResetTimer()
			for s := range senders {
				wg.Go(func() {
					for {
						i := next.Add(1)
						if i > int64(b.N) {
							return
						}
						began := time.Now()
						resp, err := client.Post(r.server.URL+"/alertmanager", "application/json", strings.NewReader(string(one(i))))
						if err != nil {
							b.Error(err)
							return
						}
						_, _ = io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
						if resp.StatusCode != http.StatusOK {
							b.Errorf("answer %s", resp.Status)
							return
						}
						times[s] = append(times[s], time.Since(began))
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			all := slices.Sorted(slices.Values(slices.Concat(times...)))
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "notifications/s")
			b.ReportMetric(all[len(all)/2].Seconds()*1000, "p50-ms")
			b.ReportMetric(all[len(all)*99/100].Seconds()*1000, "p99-ms")
			client.CloseIdleConnections()
			r.halt()
		})
	}
}

// BenchmarkWholePath measures notifications of one alert from the POST until
// Google Chat, which here is as quick as it can be, has answered.
func BenchmarkWholePath(b *testing.B) {
	const spaces = 64
	var config strings.Builder
	config.WriteString("defaults: {rate_limit: 100}\nspaces:\n")
	for i := range spaces {
		fmt.Fprintf(&config, "  - {name: s%d, webhook_url: 'WEBHOOK(S%d)'}\n", i, i)
	}
	config.WriteString("route: {space: s0}\n")
	r := newRig(b, config.String(), chattest.Options{})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range 32 {
		wg.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					return
				}
				resp, err := client.Post(fmt.Sprintf("%s/alertmanager/s%d", r.server.URL, i%spaces), "application/json", strings.NewReader(string(one(i))))
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
	wg.Wait()
	r.idle()
	b.StopTimer()
	if got := len(r.chat.Requests()); got < min(b.N, 10_000) {
		b.Errorf("%d requests to Chat for %d notifications", got, b.N)
	}
	client.CloseIdleConnections()
	r.halt()
}

// BenchmarkIdle measures one notification at a time, from the POST until Google
// Chat has the request.
func BenchmarkIdle(b *testing.B) {
	arrived := make(chan time.Time, 1)
	r := newRig(b, "defaults: {rate_limit: 100}\nspaces:\n  - {name: ops, webhook_url: 'WEBHOOK(OPS)'}\n", chattest.Options{
		Fault: func(chattest.Request) chattest.Fault { arrived <- time.Now(); return chattest.Fault{} },
	})
	var times []time.Duration
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		r.idle()
		<-time.After(15 * time.Millisecond) // the pace of 100 a second
		body := one(int64(i))
		b.StartTimer()
		began := time.Now()
		r.post("/alertmanager", body)
		times = append(times, (<-arrived).Sub(began))
	}
	slices.Sort(times)
	b.ReportMetric(times[len(times)/2].Seconds()*1000, "p50-ms")
	b.ReportMetric(times[len(times)*99/100].Seconds()*1000, "p99-ms")
	r.halt()
}
