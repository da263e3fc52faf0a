package render_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	amtemplate "github.com/prometheus/alertmanager/template"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat"
	"alertchat/receiver/incident"
	"alertchat/receiver/render"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// noon is when the payloads under testdata were captured, more or less.
func noon() time.Time { return time.Date(2026, 11, 23, 12, 45, 0, 0, time.UTC) }

// telling makes a first telling, or an end, of a payload.
func telling(t testing.TB, body []byte) incident.Telling {
	t.Helper()
	p, err := alert.Decode(body)
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	kind := incident.First
	if p.Status == alert.Resolved {
		kind = incident.End
	}
	return incident.Telling{
		Group: p.Group(), Kind: kind, Payload: p, ID: "5f0c1d2e3a4b5c6d",
		StartedAt: alert.Earliest(p.Alerts), ReceivedAt: noon(), LatestAt: noon(),
	}
}

func payload(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("..", "alert", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// thousand is a payload of n alerts, like those that were captured.
func thousand(t testing.TB, n int) []byte {
	t.Helper()
	return several(t, n, func(i int, a *amtemplate.Alert) {
		node := fmt.Sprintf("node-%04d", i)
		for _, texts := range []amtemplate.KV{a.Labels, a.Annotations} {
			for k, v := range texts {
				texts[k] = strings.ReplaceAll(v, "node-0000", node)
			}
		}
		if i%3 == 1 {
			a.Labels["severity"] = "warning"
		}
		a.Fingerprint = fmt.Sprintf("%016x", i)
	})
}

// several is a payload of n copies of an alert that was captured, each changed.
func several(t testing.TB, n int, change func(i int, a *amtemplate.Alert)) []byte {
	t.Helper()
	var p alert.Payload
	if err := json.Unmarshal(payload(t, "basic-01.json"), &p); err != nil {
		t.Fatal(err)
	}
	one := p.Alerts[0]
	p.Alerts = nil
	for i := range n {
		a := one
		a.Labels, a.Annotations = maps.Clone(one.Labels), maps.Clone(one.Annotations)
		change(i, &a)
		p.Alerts = append(p.Alerts, a)
	}
	p.Summarize()
	body, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// renderer makes a renderer of the built-in strings, changed by change.
func renderer(t testing.TB, change func(*render.Space), files ...render.File) *render.Renderer {
	t.Helper()
	set, err := render.Load(render.Options{Files: files})
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	space := render.Builtin()
	space.Name = "ops"
	if change != nil {
		change(&space)
	}
	r, err := set.Renderer(space)
	if err != nil {
		t.Fatalf("Renderer: %v", err)
	}
	return r
}

func TestTheBuiltinTemplatesShowThePayloadsThatWereCaptured(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("..", "alert", "testdata", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no payloads: %v", err)
	}
	r := renderer(t, nil)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden(t, name, r.Render([]incident.Telling{telling(t, payload(t, name+".json"))}, noon()))
		})
	}
	t.Run("thousand", func(t *testing.T) {
		t.Parallel()
		golden(t, "thousand", r.Render([]incident.Telling{telling(t, thousand(t, 1000))}, noon()))
	})
}

func TestTheBuiltinTemplatesShowARepeat(t *testing.T) {
	t.Parallel()
	reminder := telling(t, payload(t, "basic-01.json"))
	reminder.Kind, reminder.Repeat = incident.Repeat, 2
	golden(t, "repeat", renderer(t, nil).Render([]incident.Telling{reminder}, noon().Add(24*time.Hour)))
}

// golden compares what was rendered with the golden file, and checks what holds
// for every message.
func golden(t *testing.T, name string, got render.Rendered) {
	t.Helper()
	sound(t, got)
	if len(got.Failures) > 0 {
		t.Errorf("Failures = %v, want none", got.Failures)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	show := map[string]any{"title": got.Title, "messages": got.Messages}
	if got.Reply != nil {
		show["reply"] = got.Reply
	}
	if len(got.Notes) > 0 {
		show["notes"] = got.Notes
	}
	if err := e.Encode(show); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "golden", name+".json")
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("%s differs (-want +got); rewrite it with -update:\n%s", file, diff)
	}
}

// sound checks what holds for every message: it is within the limits, and Chat
// has nothing against it.
func sound(t *testing.T, got render.Rendered) {
	t.Helper()
	if len(got.Messages) == 0 {
		t.Fatal("no message was rendered")
	}
	if strings.TrimSpace(got.Title) == "" || strings.ContainsAny(got.Title, "\r\n") {
		t.Errorf("Title = %q, want one line", got.Title)
	}
	messages := got.Messages
	if got.Reply != nil {
		messages = append(slices.Clip(messages), got.Reply)
	}
	for i, m := range messages {
		body, err := json.Marshal(m)
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if len(body) > 30_000 {
			t.Errorf("message %d has %d bytes, want at most 30000", i, len(body))
		}
		if n := len([]rune(m.Text)); n > 4000 || n == 0 {
			t.Errorf("message %d has a text of %d characters, want 1 to 4000", i, n)
		}
		for _, c := range m.CardsV2 {
			n := 0
			for _, s := range c.Card.Sections {
				n += len(s.Widgets)
			}
			if n > 90 {
				t.Errorf("message %d has %d widgets, want at most 90", i, n)
			}
		}
		for _, v := range chat.Check(body, chat.ByWebhook) {
			t.Errorf("message %d: %s\n%s", i, v, clipped(body))
		}
	}
}

func clipped(b []byte) string { return string(b[:min(len(b), 2000)]) }

// TestAnAlertThatIsNoLongerReportedHasNoEnd: it fired, and Alertmanager does
// not list it any more without having told its end.
func TestAnAlertThatIsNoLongerReportedHasNoEnd(t *testing.T) {
	t.Parallel()
	e := telling(t, payload(t, "basic-01.json"))
	gone := e.Payload.Alerts[0]
	gone.Status, gone.Fingerprint = alert.Resolved, "gone"
	e.Payload.Alerts = append(e.Payload.Alerts, gone)
	body, err := json.Marshal(renderer(t, nil).Render([]incident.Telling{e}, noon()).Messages)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(body), "no longer reported") || strings.Contains(string(body), "00:00") {
		t.Errorf("the message tells a wrong end: %s", body)
	}
}
