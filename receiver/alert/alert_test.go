package alert_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/alertmanager/template"

	"alertchat/receiver/alert"
)

// read returns a payload captured from a real Alertmanager.
func read(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestDecodeTakesEveryCapturedPayload(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d payloads in testdata, %v", len(files), err)
	}
	for _, file := range files {
		p, err := alert.Decode(read(t, filepath.Base(file)))
		if err != nil {
			t.Errorf("Decode(%s): %v", file, err)
			continue
		}
		if p.GroupKey == "" || p.Receiver == "" || p.ExternalURL == "" {
			t.Errorf("%s: group key %q, receiver %q, external URL %q: one is missing", file, p.GroupKey, p.Receiver, p.ExternalURL)
		}
		for _, a := range p.Alerts {
			if a.Fingerprint == "" || a.StartsAt.IsZero() || len(a.Labels) == 0 {
				t.Errorf("%s: alert %+v lacks its fingerprint, start or labels", file, a)
			}
		}
	}
}

func TestDecodeRefusesWhatCanNeverWork(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       error
	}{
		{"an empty body", ``, alert.ErrNotJSON},
		{"text", `hello`, alert.ErrNotJSON},
		{"half a payload", `{"version":"4","alerts":[{"status":"firing"`, alert.ErrNotJSON},
		{"a list", `[]`, alert.ErrNotJSON},
		{"a number for labels", `{"version":"4","alerts":[{"labels":7}]}`, alert.ErrNotJSON},
		{"a time that is none", `{"version":"4","alerts":[{"startsAt":"noon"}]}`, alert.ErrNotJSON},
		{"very deep nesting", strings.Repeat(`{"a":`, 20_000), alert.ErrNotJSON},
		{"null", `null`, alert.ErrVersion},
		{"an empty object", `{}`, alert.ErrVersion},
		{"version 3", `{"version":"3","alerts":[{"status":"firing"}]}`, alert.ErrVersion},
		{"no alerts", `{"version":"4","alerts":[]}`, alert.ErrNoAlerts},
		{"alerts that are null", `{"version":"4","alerts":null}`, alert.ErrNoAlerts},
	} {
		t.Run(c.name, func(t *testing.T) {
			if p, err := alert.Decode([]byte(c.body)); !errors.Is(err, c.want) {
				t.Errorf("Decode = %v, %v, want error %v", p, err, c.want)
			}
		})
	}
}

func TestDecodeFillsWhatOtherSendersLeaveOut(t *testing.T) {
	p, err := alert.Decode([]byte(`{"version":"4","future":{"x":1},"alerts":[{"labels":{"alertname":"A"}},{"labels":{"alertname":"B"}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if p.Status != alert.Firing || p.Alerts[0].Status != alert.Firing {
		t.Errorf("status %q of the group and %q of an alert, want firing", p.Status, p.Alerts[0].Status)
	}
	if a, b := p.Alerts[0].Fingerprint, p.Alerts[1].Fingerprint; len(a) != 16 || a == b {
		t.Errorf("fingerprints %q and %q, want two different ones of 16 digits", a, b)
	}
}

// TestFingerprintIsAlertmanagers: a captured payload without its fingerprints
// gets the same ones again.
func TestFingerprintIsAlertmanagers(t *testing.T) {
	body := read(t, "basic-02.json")
	want, err := alert.Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	without := regexp.MustCompile(`,"fingerprint":"[0-9a-f]+"`).ReplaceAll(body, nil)
	if len(without) == len(body) {
		t.Fatal("no fingerprint was taken out")
	}
	got, err := alert.Decode(without)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want.Alerts {
		if got.Alerts[i].Fingerprint != want.Alerts[i].Fingerprint {
			t.Errorf("alert %d has fingerprint %s, want %s", i, got.Alerts[i].Fingerprint, want.Alerts[i].Fingerprint)
		}
	}
}

func TestStatusIsThatOfTheAlertsAtHand(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		{"basic-09.json", alert.Firing}, // 30 firing, 20 resolved
		{"basic-11.json", alert.Resolved},
		{"maxalerts-02.json", alert.Firing}, // 10 resolved at hand, called resolved, while 12 fire
	} {
		p, err := alert.Decode(read(t, c.file))
		if err != nil {
			t.Fatal(err)
		}
		if p.Status != c.want {
			t.Errorf("%s: status %q, want %q", c.file, p.Status, c.want)
		}
	}
}

func TestGroupHasTheReceiversOwnName(t *testing.T) {
	p, err := alert.Decode(read(t, "routelabels-01.json"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.Group().Receiver, "route labels (x.y)"; got != want {
		t.Errorf("receiver %q, want %q", got, want)
	}
	if want := `route labels \(x\.y\)`; p.Receiver != want {
		t.Errorf("templates see receiver %q, want it as Alertmanager's see it: %q", p.Receiver, want)
	}
}

func TestUnquoteUndoesQuoteMeta(t *testing.T) {
	for _, name := range []string{"", "team", "team-db/ops", "a.b(c)[d]{e}|f^g$h*i+j?k", `back\slash`, `\`, `\\`, `a\.b`, "ünï"} {
		if got := alert.Unquote(regexp.QuoteMeta(name)); got != name {
			t.Errorf("Unquote(QuoteMeta(%q)) = %q", name, got)
		}
	}
	if got := alert.Unquote(`trailing\`); got != `trailing\` {
		t.Errorf(`Unquote("trailing\") = %q`, got)
	}
}

func TestPartComputesWhatIsCommonAnew(t *testing.T) {
	p, err := alert.Decode([]byte(`{"version":"4","groupKey":"g","receiver":"r","truncatedAlerts":0,
		"commonLabels":{"team":"x"},"groupLabels":{"alertname":"A"},"alerts":[
		{"status":"firing","labels":{"alertname":"A","team":"x","db":"1"},"annotations":{"s":"one"},"startsAt":"2026-11-23T12:00:00Z"},
		{"status":"resolved","labels":{"alertname":"A","team":"x","db":"2"},"annotations":{"s":"two"},"startsAt":"2026-11-23T11:00:00Z"},
		{"status":"resolved","labels":{"alertname":"A","team":"x","db":"2","n":"3"},"annotations":{"s":"two"}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	part := p.Part([]int{1, 2})
	if part.Status != alert.Resolved || p.Status != alert.Firing {
		t.Errorf("statuses %q and %q, want the part resolved and the whole firing", part.Status, p.Status)
	}
	if diff := cmp.Diff(template.KV{"alertname": "A", "team": "x", "db": "2"}, part.CommonLabels); diff != "" {
		t.Errorf("common labels (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(template.KV{"s": "two"}, part.CommonAnnotations); diff != "" {
		t.Errorf("common annotations (-want +got):\n%s", diff)
	}
	if part.Group() != p.Group() || part.GroupLabels["alertname"] != "A" {
		t.Errorf("the part's group is %v with labels %v, want it to stay", part.Group(), part.GroupLabels)
	}
	if len(p.Alerts) != 3 || p.CommonLabels["db"] != "" {
		t.Error("the whole payload changed")
	}
	if got, want := alert.Earliest(part.Alerts), time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("earliest start %v, want %v: an alert without one does not count", got, want)
	}
}

// TestPartSurvivesEncoding: a share is stored as JSON and decoded again.
func TestPartSurvivesEncoding(t *testing.T) {
	p, err := alert.Decode(read(t, "basic-09.json"))
	if err != nil {
		t.Fatal(err)
	}
	part := p.Part([]int{0, 7, 42})
	body, err := json.Marshal(part)
	if err != nil {
		t.Fatal(err)
	}
	back, err := alert.Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(part, back, cmp.AllowUnexported(template.Data{})); diff != "" {
		t.Errorf("after JSON (-before +after):\n%s", diff)
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"basic-01.json", "utf8-01.json", "maxalerts-02.json"} {
		body, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := alert.Decode(body)
		if err != nil {
			return
		}
		again, err := json.Marshal(p)
		if err != nil {
			return // a time outside of JSON's years
		}
		back, err := alert.Decode(again)
		if err != nil {
			t.Fatalf("its own encoding is refused: %v", err)
		}
		if back.Status != p.Status || back.Group() != p.Group() || len(back.Alerts) != len(p.Alerts) {
			t.Errorf("changed from %v to %v", p, back)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range []struct{ name, file string }{{"1", "basic-01.json"}, {"50", "basic-02.json"}} {
		b.Run(c.name, func(b *testing.B) {
			body := read(b, c.file)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := alert.Decode(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
