package sample_test

import (
	"testing"
	"time"

	"alertchat/receiver/alert"
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

func TestTheEndIsThatOfTheFirstAlert(t *testing.T) {
	all := sample.All(time.Now())
	first, last := all[0].Payload, all[len(all)-1].Payload
	if first.Group() != last.Group() || !first.Alerts[0].StartsAt.Equal(last.Alerts[0].StartsAt) {
		t.Errorf("firing %v and its end %v are of different alerts", first.Alerts[0], last.Alerts[0])
	}
}
