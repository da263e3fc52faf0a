package receiver_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"alertchat/receiver/alert"
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

// three returns a payload of a group of three alerts.
func three(b *testing.B, i int64) []byte {
	b.Helper()
	p, err := alert.Decode(one(i))
	if err != nil {
		b.Fatal(err)
	}
	for n := range 2 {
		a := p.Alerts[0]
		a.Labels = maps.Clone(a.Labels)
		a.Labels["device"] = fmt.Sprintf("disk%d", n)
		a.Fingerprint = fmt.Sprintf("%015x%x", i, n+1)
		p.Alerts = append(p.Alerts, a)
	}
	p.Summarize()
	body, err := json.Marshal(p)
	if err != nil {
		b.Fatal(err)
	}
	return body
}

// BenchmarkDigests measures how 1,000 groups of three alerts are told, all of
// which wait at first: in each turn of the loop what waits is read and folded,
// and a message made, frozen, sent and settled, until nothing waits.
func BenchmarkDigests(b *testing.B) {
	const groups = 1000
	var held atomic.Pointer[chan struct{}]
	hold := func() chan struct{} {
		c := make(chan struct{})
		held.Store(&c)
		return c
	}
	release := hold()
	r := newRig(b, "spaces:\n  - {name: ops, webhook_url: 'WEBHOOK(OPS)', rate_limit: 100}\n", chattest.Options{
		Fault: func(chattest.Request) chattest.Fault { <-*held.Load(); return chattest.Fault{} },
	})
	var posted int64
	post := func() {
		posted++
		r.post("/alertmanager", three(b, posted))
	}
	requests := func() int { return len(r.chat.Requests()) }
	messages := 0
	for b.Loop() {
		b.StopTimer()
		before := requests()
		post() // its message holds the loop until all wait
		r.until("the first message is on its way", func() bool { return requests() > before })
		for range groups {
			post()
		}
		b.StartTimer()
		close(release)
		for !r.isIdle() {
			<-time.After(20 * time.Millisecond) // looking takes the time of working
		}
		b.StopTimer()
		release = hold()
		messages += requests() - before - 1
		b.StartTimer()
	}
	b.ReportMetric(float64(messages)/float64(b.N), "messages")
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(messages), "ms/message")
	close(release)
	r.halt()
}
