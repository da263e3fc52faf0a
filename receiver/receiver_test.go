package receiver_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat"
	"alertchat/receiver/chat/chattest"
	"alertchat/receiver/sample"
)

// told is a config whose cards hold each alert's fingerprint and nothing that
// could hide it.
const told = `
defaults: {rate_limit: 100, max_parts: 20}
spaces:
  - name: ops
    webhook_url: WEBHOOK(OPS)
    card: {alert: 'id={{ .Alert.Fingerprint }};'}
`

// omitted is how a message says that it does not show all alerts.
var omitted = regexp.MustCompile(`\+(\d+) more alerts?`)

// TestWhatDoesNotFitIsCounted: with the default card and three parts, a group
// of a thousand is shown as far as it goes, and the rest is counted.
func TestWhatDoesNotFitIsCounted(t *testing.T) {
	r := newRig(t, "spaces:\n  - {name: ops, rate_limit: 100, webhook_url: 'WEBHOOK(OPS)'}\n", chattest.Options{})
	flood := sample.Flood(1000, time.Now())
	body, err := flood.Body()
	if err != nil {
		t.Fatal(err)
	}
	r.post("/alertmanager", body)
	r.idle()
	messages := r.bodies("OPS")
	everything := strings.Join(messages, "\n")
	shown := 0
	for _, a := range flood.Payload.Alerts {
		if strings.Contains(everything, "<b>"+a.Labels["pod"]+"</b>") || strings.Contains(everything, `\u003cb\u003e`+a.Labels["pod"]+`\u003c/b\u003e`) {
			shown++
		}
	}
	more := omitted.FindStringSubmatch(everything)
	if len(messages) != 3 || len(more) != 2 {
		t.Fatalf("%d messages, which say %q, want 3 and how many are left out", len(messages), more)
	}
	if left, err := strconv.Atoi(more[1]); err != nil || shown+left != 1000 || shown < 100 {
		t.Errorf("%d alerts shown and %d left out, want 1000 in all, %v", shown, left, err)
	}
	if got := r.threads("OPS"); got != 1 {
		t.Errorf("the parts are in %d threads, want one", got)
	}
}

// TestEveryPayloadInAnyOrderAndTwice posts each payload that a real
// Alertmanager sent, in random order and twice. Chat takes every message
// without a remark, and no alert is missing that is not counted.
func TestEveryPayloadInAnyOrderAndTwice(t *testing.T) {
	files, err := filepath.Glob("alert/testdata/*.json")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d payloads, %v", len(files), err)
	}
	var bodies [][]byte
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, body)
	}
	for _, s := range append(sample.All(time.Now()), sample.Flood(1000, time.Now())) {
		body, err := s.Body()
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, body)
	}
	for seed := range uint64(3) {
		r := newRig(t, told, chattest.Options{})
		random := rand.New(rand.NewPCG(seed, 0))
		order := slices.Concat(bodies, bodies)
		random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, body := range order {
			r.post("/alertmanager", body)
		}
		r.idle()
		everything := strings.Join(r.bodies("OPS"), "\n")
		if more := omitted.FindString(everything); more != "" {
			t.Errorf("seed %d: %q, though all fit into the parts", seed, more)
		}
		for _, body := range bodies {
			p, err := alert.Decode(body)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range p.Alerts {
				if !strings.Contains(everything, "id="+a.Fingerprint+";") {
					t.Errorf("seed %d: alert %s of group %s is in no message", seed, a.Fingerprint, p.Group())
				}
			}
		}
		for _, m := range r.chat.Messages("spaces/OPS") {
			if len(m.Body) > chat.MaxMessageBytes {
				t.Errorf("seed %d: a message of %d bytes", seed, len(m.Body))
			}
		}
		if remarks := r.chat.Remarks(); len(remarks) > 0 {
			t.Errorf("seed %d: Chat would show wrongly: %q", seed, remarks)
		}
		for _, req := range r.chat.Requests() {
			if req.Status != http.StatusOK {
				t.Errorf("seed %d: Chat answers %d to %s", seed, req.Status, req.Body)
			}
		}
		if strings.Contains(r.log.String(), "level=ERROR") {
			t.Errorf("seed %d: errors in the log:\n%s", seed, r.log)
		}
		r.halt()
	}
}

const routed = `
defaults: {rate_limit: 100}
spaces:
  - {name: ops, webhook_url: "WEBHOOK(OPS)"}
  - {name: db, webhook_url: "WEBHOOK(DB)"}
route:
  space: ops
  routes:
    - {matchers: ['team="db"'], space: db}
`

func TestAlertsGoWhereTheTreeSays(t *testing.T) {
	r := newRig(t, routed, chattest.Options{})
	r.post("/alertmanager", payload("team", "alertname=A team=db", "alertname=B team=web", "alertname=C team=db"))
	r.idle()
	for _, c := range []struct {
		space     string
		want, not []string
	}{
		{"OPS", []string{"web"}, []string{`: db`}},
		{"DB", []string{"db"}, []string{"web"}},
	} {
		bodies := r.bodies(c.space)
		if len(bodies) != 1 {
			t.Fatalf("%d messages in %s, want 1", len(bodies), c.space)
		}
		for _, w := range c.want {
			if !strings.Contains(bodies[0], w) {
				t.Errorf("the message in %s lacks %q: %s", c.space, w, bodies[0])
			}
		}
		for _, w := range c.not {
			if strings.Contains(bodies[0], w) {
				t.Errorf("the message in %s has %q: %s", c.space, w, bodies[0])
			}
		}
	}
}

func TestAPathNamesTheSpace(t *testing.T) {
	r := newRig(t, routed, chattest.Options{})
	r.post("/alertmanager/db", payload("team", "alertname=A team=web"))
	r.idle()
	if len(r.bodies("OPS")) != 0 || len(r.bodies("DB")) != 1 {
		t.Errorf("messages %q and %q, want one in DB only", r.bodies("OPS"), r.bodies("DB"))
	}
}

func TestAnUnknownSpaceLosesNothing(t *testing.T) {
	r := newRig(t, routed, chattest.Options{})
	r.post("/alertmanager/no-such-space", payload("team", "alertname=A team=db"))
	r.idle()
	bodies := r.bodies("OPS")
	if len(bodies) != 1 || !strings.Contains(bodies[0], "no-such-space") {
		t.Errorf("messages in the root's space %q, want one that names the unknown space", bodies)
	}
	if _, metrics := r.get("/metrics"); !strings.Contains(metrics, "alertchat_notifications_unknown_space_total 1") {
		t.Error("the notification is not counted")
	}
}

func TestAFailedReloadChangesNothing(t *testing.T) {
	r := newRig(t, routed, chattest.Options{})
	r.write("config.yml", "spaces:\n  - {name: ops, webhook_url: 'WEBHOOK(OTHER)', thread: '{{ .Nope'}\n  - {name: bad name}\n")
	resp, err := http.Post(r.server.URL+"/-/reload", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if code, _ := r.read(resp); code != http.StatusInternalServerError {
		t.Errorf("reload answers %d, want 500", code)
	}
	_, status := r.get("/api/v1/status")
	if !strings.Contains(status, "config.yml:3") {
		t.Errorf("the status does not say what is wrong: %s", status)
	}
	r.post("/alertmanager", payload("team", "alertname=A team=db"))
	r.idle()
	if len(r.bodies("DB")) != 1 || len(r.bodies("OTHER")) != 0 {
		t.Error("the config before it is not in use")
	}
	if _, metrics := r.get("/metrics"); !strings.Contains(metrics, "alertchat_config_last_reload_successful 0") {
		t.Error("alertchat_config_last_reload_successful is not 0")
	}
	r.write("config.yml", "nonsense")
	r.until("the next fault is shown", func() bool {
		_, status := r.get("/api/v1/status")
		return strings.Contains(status, "config.yml:1")
	})
	r.putBack("config.yml")
	r.until("the reload error is gone by itself", func() bool {
		_, status := r.get("/api/v1/status")
		return !strings.Contains(status, "config.yml:")
	})
}

func TestChangedFilesAreNoticed(t *testing.T) {
	const config = `
templates: [a.tmpl]
defaults: {rate_limit: 100, card: none, text: '{{ template "mine" . }}'}
spaces:
  - {name: ops, webhook_url_file: ops.url}
`
	r := newRig(t, config, chattest.Options{},
		"ops.url", "WEBHOOK(OPS)\n", "a.tmpl", `{{ define "mine" }}first{{ end }}`)
	say := func(n string) {
		r.post("/alertmanager", payload("team", "alertname=A n="+n))
		r.idle()
	}
	reloaded := func(what string) {
		before := strings.Count(r.log.String(), "Loaded the config")
		r.until("the config is loaded again after "+what, func() bool {
			return strings.Count(r.log.String(), "Loaded the config") > before
		})
	}
	say("1")
	r.write("a.tmpl", `{{ define "mine" }}second{{ end }}`)
	reloaded("a template changed")
	say("2")
	r.write("ops.url", "WEBHOOK(ELSEWHERE)\n")
	reloaded("a URL file changed")
	say("3")
	r.write("config.yml", strings.Replace(config, "text: '", "text: 'third ", 1))
	reloaded("the config changed")
	say("4")
	var texts []string
	for _, space := range []string{"spaces/OPS", "spaces/ELSEWHERE"} {
		for _, m := range r.chat.Messages(space) {
			texts = append(texts, m.Text)
		}
	}
	if want := []string{"first", "second", "second", "third second"}; !slices.Equal(texts, want) {
		t.Errorf("messages %q, want %q", texts, want)
	}
}

// TestTheStatusPageShowsWhatHappened reads the page and the same as JSON.
func TestTheStatusPageShowsWhatHappened(t *testing.T) {
	r := newRig(t, routed, chattest.Options{})
	r.chat.Inject("spaces/DB", 2, chattest.Fault{Status: 400})
	r.post("/alertmanager", payload("team", "alertname=Lost team=db"))
	r.post("/alertmanager", payload("team", "alertname=Fine"))
	r.idle()
	_, text := r.get("/api/v1/status")
	var status struct {
		Spaces []struct {
			Name       string
			Place      string
			Dead       int
			Deliveries []struct{ Title, Status, Reason string }
		}
	}
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		t.Fatal(err)
	}
	if len(status.Spaces) != 2 || status.Spaces[0].Name != "ops" || status.Spaces[1].Dead != 1 || status.Spaces[1].Place != "spaces/DB" {
		t.Fatalf("status %s", text)
	}
	if d := status.Spaces[1].Deliveries; len(d) != 1 || d[0].Status != "dead" || d[0].Reason != "rejected" || !strings.Contains(d[0].Title, "Lost") {
		t.Errorf("deliveries %+v, want the dead one", d)
	}
	if _, page := r.get("/"); !strings.Contains(page, "Lost") || !strings.Contains(page, "Fine") {
		t.Error("the page does not show the deliveries")
	}
}
