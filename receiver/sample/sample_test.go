package sample_test

import (
	"slices"
	"testing"
	"time"

	"alertchat/receiver/alert"
	"alertchat/receiver/incident"
	"alertchat/receiver/sample"
)

func TestSamplesAreWhatAlertmanagerPosts(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	statuses := map[string]int{}
	for _, s := range append(sample.All(now), sample.Flood(1000, now)) {
		body, err := s.Body()
		if err != nil {
			t.Fatal(err)
		}
		p, err := alert.Decode(body)
		if err != nil {
			t.Errorf("sample %s: %v", s.Name, err)
			continue
		}
		statuses[p.Status]++
		seen := map[string]bool{}
		for _, a := range p.Alerts {
			if seen[a.Fingerprint] {
				t.Errorf("sample %s has an alert twice", s.Name)
			}
			seen[a.Fingerprint] = true
			if a.StartsAt.After(now) {
				t.Errorf("sample %s has an alert that starts later", s.Name)
			}
		}
		if s.Name == "" || s.About == "" {
			t.Errorf("a sample without a name or a phrase: %+v", s)
		}
	}
	if statuses[alert.Firing] == 0 || statuses[alert.Resolved] == 0 {
		t.Errorf("statuses %v, want some of both", statuses)
	}
}

func TestNamesAreThoseOfAll(t *testing.T) {
	now := time.Now()
	var names []string
	for _, s := range sample.All(now) {
		names = append(names, s.Name)
		if got, ok := sample.ByName(s.Name, now); !ok || got.About != s.About {
			t.Errorf("ByName(%q) = %v, %t", s.Name, got, ok)
		}
	}
	if got := sample.Names(); !slices.Equal(got, names) {
		t.Errorf("Names() = %q, want %q", got, names)
	}
	if s, ok := sample.ByName("", now); ok {
		t.Errorf("a sample without a name: %v", s)
	}
}

// TestTheSamplesBringEveryKindOfTelling: what check renders is only as good as
// they are.
func TestTheSamplesBringEveryKindOfTelling(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	known := map[alert.Group]incident.State{}
	kinds, counts := map[incident.Kind]bool{}, map[int]bool{}
	for i, s := range sample.All(now) {
		at := now.Add(time.Duration(i) * incident.CopyWindow)
		out := incident.Fold(known[s.Payload.Group()], []incident.Notification{{Payload: s.Payload, ReceivedAt: at}}, incident.Options{SendResolved: true})
		known[s.Payload.Group()] = out.State
		if out.Telling == nil {
			t.Errorf("the sample %s brings no news", s.Name)
			continue
		}
		kinds[out.Telling.Kind], counts[len(out.Telling.Payload.Alerts)] = true, true
	}
	for _, kind := range []incident.Kind{incident.First, incident.Change, incident.Repeat, incident.End} {
		if !kinds[kind] {
			t.Errorf("no sample is told as %s", kind)
		}
	}
	for _, n := range []int{1, 50, 1000} {
		if !counts[n] {
			t.Errorf("no sample has %d alerts", n)
		}
	}
	if tour := sample.Tour(now); len(tour) != len(sample.All(now))-2 {
		t.Errorf("the tour has %d samples", len(tour))
	}
}

func TestNamedHasEachNameAsLabelAndAnnotation(t *testing.T) {
	a := sample.Named([]string{"logs_url", "severity"}, time.Now()).Payload.Alerts[0]
	for name, want := range map[string]string{
		a.Labels["logs_url"]: "https://example.org/logs_url", a.Annotations["logs_url"]: "https://example.org/logs_url",
		a.Labels["severity"]: "critical", a.Annotations["severity"]: "https://example.org/severity",
	} {
		if name != want {
			t.Errorf("%q, want %q", name, want)
		}
	}
}

func TestTheEndIsThatOfTheFirstAlert(t *testing.T) {
	all := sample.All(time.Now())
	first, last := all[0].Payload, all[len(all)-1].Payload
	if first.Group() != last.Group() || !first.Alerts[0].StartsAt.Equal(last.Alerts[0].StartsAt) {
		t.Errorf("firing %v and its end %v are of different alerts", first.Alerts[0], last.Alerts[0])
	}
}
