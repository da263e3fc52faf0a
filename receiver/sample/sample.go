// Package sample makes webhook payloads like those of a real Alertmanager, to
// show and to try out a config with.
package sample

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/alertmanager/template"

	"alertchat/receiver/alert"
)

// Sample is a payload to try out, with a name for people.
type Sample struct {
	Name    string // one lower-case word
	About   string // what it shows, as a short phrase
	Payload *alert.Payload
}

// Body returns the payload as Alertmanager would post it.
func (s Sample) Body() ([]byte, error) {
	body, err := json.Marshal(s.Payload)
	if err != nil {
		return nil, fmt.Errorf("encode the sample %s: %w", s.Name, err)
	}
	return body, nil
}

// Names returns the names of all samples, in the order of [All], which takes
// longer.
func Names() []string {
	return []string{"firing", repeat, "group", "mixed", "many", "bare", "foreign", "hostile", thousand, "resolved"}
}

// ByName returns the sample with that name; ok is false where there is none.
func ByName(name string, now time.Time) (s Sample, ok bool) {
	for _, s := range All(now) {
		if s.Name == name {
			return s, true
		}
	}
	return Sample{}, false
}

// Tour returns the samples that are worth watching one after the other: without
// the repeat, which only later is more than a copy, and the thousand.
func Tour(now time.Time) []Sample {
	return slices.DeleteFunc(All(now), func(s Sample) bool { return s.Name == repeat || s.Name == thousand })
}

const (
	repeat   = "repeat"
	thousand = "thousand"
)

// All returns the samples in an order in which they can be posted one after
// the other: among them are the first notification of a group, a change, a
// repeat and an end. Their alerts started shortly before now.
func All(now time.Time) []Sample {
	now = now.UTC().Truncate(time.Second)
	started := now.Add(-7 * time.Minute)
	disk := func(ends time.Time) template.Alert {
		return one(template.KV{
			"alertname": "DiskWillFill", "severity": "critical", "cluster": "prod-eu-1", "namespace": "storage",
			"instance": "db-0.example.org:9100", "mountpoint": "/var/lib/postgresql",
		}, template.KV{
			"summary":       "The disk of db-0 is full in 2 hours",
			"description":   "/var/lib/postgresql on db-0.example.org has 4.1 % left and loses 2.2 GB an hour.",
			"runbook_url":   "https://runbooks.example.org/DiskWillFill",
			"dashboard_url": "https://grafana.example.org/d/disks?var-instance=db-0",
		}, started, ends)
	}
	errorRate := func(service string, ends time.Time) template.Alert {
		return one(template.KV{
			"alertname": "HighErrorRate", "severity": "warning", "cluster": "prod-eu-1", "namespace": "shop", "service": service,
		}, template.KV{
			"summary":     "Requests to " + service + " fail",
			"description": "7.4 % of the requests to " + service + " failed in the last 10 minutes; 1 % is the limit.",
			"runbook_url": "https://runbooks.example.org/HighErrorRate",
		}, started, ends)
	}
	return []Sample{
		{"firing", "one critical alert", payload("first notification", disk(time.Time{}))},
		{repeat, "the same alert, after the repeat interval", payload(alert.ReasonRepeat, disk(time.Time{}))},
		{"group", "three alerts of one group", payload("first notification",
			errorRate("cart", time.Time{}), errorRate("checkout", time.Time{}), errorRate("search", time.Time{}))},
		{"mixed", "the same group, one of them resolved", payload("some alerts resolved",
			errorRate("cart", now), errorRate("checkout", time.Time{}), errorRate("search", time.Time{}))},
		{"many", "fifty alerts of one group", many(50, started)},
		{"bare", "an alert without annotations", payload("first notification",
			one(template.KV{"alertname": "Watchdog"}, template.KV{}, started, time.Time{}))},
		{"foreign", "text from right to left, and words that fit no line", foreign(started)},
		{"hostile", "labels that try to break the card", hostile(started)},
		{thousand, "a thousand alerts of one group", many(1000, started)},
		{"resolved", "the end of the first alert", payload("all alerts resolved", disk(now))},
	}
}

// Flood returns a group of n alerts, for trying out limits.
func Flood(n int, now time.Time) Sample {
	return Sample{"flood", strconv.Itoa(n) + " alerts of one group", many(n, now.UTC().Add(-7*time.Minute))}
}

// Storm returns n groups of few alerts each, as when a whole cluster goes down.
func Storm(n int, now time.Time) []Sample {
	now = now.UTC().Truncate(time.Second)
	names := []string{"TargetDown", "HighLatency", "PodNotReady", "QueueGrows", "CertificateExpires"}
	severities := []string{"critical", "warning", "warning", "info", "warning"}
	storm := make([]Sample, n)
	for i := range storm {
		service := fmt.Sprintf("service-%02d", i)
		a := one(template.KV{
			"alertname": names[i%len(names)], "severity": severities[i%len(names)], "cluster": "prod-eu-1", "service": service,
		}, template.KV{"summary": names[i%len(names)] + " of " + service}, now.Add(-time.Duration(i)*time.Second), time.Time{})
		p := payload("first notification", a)
		p.GroupKey = fmt.Sprintf("{}:{alertname=%q, service=%q}", names[i%len(names)], service)
		p.GroupLabels["service"] = service
		storm[i] = Sample{"storm", "many groups at once", p}
	}
	return storm
}

// Named returns an alert that has each of the names among its labels and its
// annotations, with a URL for a value.
func Named(names []string, now time.Time) Sample {
	started := now.UTC().Truncate(time.Second).Add(-7 * time.Minute)
	a := one(template.KV{"alertname": "EverythingNamed", "severity": "critical"}, template.KV{}, started, time.Time{})
	for _, name := range names {
		value := "https://example.org/" + name
		a.Annotations[name] = value
		if _, ok := a.Labels[name]; !ok {
			a.Labels[name] = value
		}
	}
	return Sample{"named", "an alert with all labels and annotations that the templates name", payload("first notification", a)}
}

func many(n int, started time.Time) *alert.Payload {
	alerts := make([]template.Alert, n)
	for i := range alerts {
		pod := fmt.Sprintf("worker-%04d", i)
		alerts[i] = one(template.KV{
			"alertname": "PodNotReady", "severity": []string{"warning", "critical", "info"}[i%3],
			"cluster": "prod-eu-1", "namespace": "jobs", "pod": pod,
		}, template.KV{
			"summary":     "Pod " + pod + " is not ready",
			"description": "Pod jobs/" + pod + " has not been ready for more than 15 minutes.",
			"runbook_url": "https://runbooks.example.org/PodNotReady",
		}, started.Add(time.Duration(i)*time.Second/10), time.Time{})
	}
	return payload("first notification", alerts...)
}

func foreign(started time.Time) *alert.Payload {
	return payload("first notification", one(template.KV{
		"alertname": "امتلاء القرص", "severity": "warning", "cluster": "prod-me-1",
		"instance": "ingress-nginx-controller-admission-7d4f8b9c6d5e4f3a2b1c0d9e8f7a6b5c.ingress-nginx.svc.cluster.example.org:10254",
	}, template.KV{
		"summary":     "القرص ممتلئ بنسبة 95٪ على الخادم db-0",
		"description": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 ← 磁盘已满, הדיסק מלא",
	}, started, time.Time{}))
}

func hostile(started time.Time) *alert.Payload {
	return payload("first notification", one(template.KV{
		"alertname": `"Quoted" & <b>bold</b>`, "severity": "warning",
		"path": `C:\temp\"x"`, "mention": "<users/all>", "link": "<https://evil.example|click>",
		"template": `{{ .ExternalURL }}`, "rtl": "\u202eabc", "zero": "a\u200bb",
	}, template.KV{
		"summary":     "A line\nbreak, a tab\t, a NUL \x00 and *stars* _here_",
		"description": "<script>alert(1)</script> [x](https://evil.example) ```code```",
		"runbook_url": "javascript:alert(1)",
	}, started, time.Time{}))
}

func one(labels, annotations template.KV, starts, ends time.Time) template.Alert {
	a := template.Alert{
		Status: alert.Firing, Labels: labels, Annotations: annotations, StartsAt: starts, EndsAt: ends,
		GeneratorURL: "https://prometheus.example.org/graph?g0.expr=ALERTS&g0.tab=1",
	}
	if !ends.IsZero() {
		a.Status = alert.Resolved
	}
	return a
}

// payload groups alerts by their name, as Alertmanager would.
func payload(reason string, alerts ...template.Alert) *alert.Payload {
	name := alerts[0].Labels["alertname"]
	p := &alert.Payload{Version: "4", GroupKey: "{}:{alertname=" + strconv.Quote(name) + "}"}
	p.Receiver, p.ExternalURL, p.NotificationReason = "sample", "https://alertmanager.example.org", reason
	p.GroupLabels, p.RouteLabels = template.KV{"alertname": name}, template.KV{}
	p.Alerts = alerts
	p.Summarize()
	return p
}
