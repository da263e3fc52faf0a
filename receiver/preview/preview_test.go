package preview_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"alertchat/receiver/preview"
	"alertchat/receiver/sample"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a preview, with a config if text is one, in which replacements are
// made, and returns where it listens.
func start(t *testing.T, text string, replacements ...string) (address string) {
	t.Helper()
	text = strings.NewReplacer(replacements...).Replace(text)
	o := preview.Options{Logger: slog.New(slog.DiscardHandler)}
	if text != "" {
		o.ConfigFile = "config.yml"
		write(t, o.ConfigFile, text)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p, err := preview.New(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(p.Handler())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		server.CloseClientConnections()
		server.Close()
		<-done
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	deadline := time.Now().Add(30 * time.Second)
	for {
		code, answer := get(t, server.URL+"/-/ready", "")
		if code == http.StatusOK {
			return server.URL
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not become ready: %s", answer)
		}
	}
}

// write replaces a file as a whole: the preview may read it at any time.
func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, url, host string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

func post(t *testing.T, url string, body []byte) (int, string) {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(string(body))) //nolint:gosec // G107: it is that of the test's own server
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(answer)
}

// event is a server-sent event.
type event struct {
	name string
	data map[string]any
}

// watch returns a function that waits for the next event of a name.
func watch(t *testing.T, address string) func(name string) event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/preview/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	return func(name string) event {
		t.Helper()
		var e event
		for lines.Scan() {
			if found, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				e.name = found
			}
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok || e.name != name {
				continue
			}
			if err := json.Unmarshal([]byte(data), &e.data); err != nil {
				t.Fatal(err)
			}
			return e
		}
		t.Fatalf("no event %q came: %v", name, lines.Err())
		return e
	}
}

// began is when all samples are of: those of another second are other incidents.
var began = time.Now()

// firing is the payload of a built-in sample.
func firing(t *testing.T, name string) []byte {
	t.Helper()
	s, ok := sample.ByName(name, began)
	if !ok {
		t.Fatalf("no sample %s", name)
	}
	body, err := s.Body()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestOnlyThisMachinesOwnNamesAreAnswered(t *testing.T) {
	address := start(t, "")
	for _, path := range []string{"/", "/preview/", "/preview/events?x", "/alertmanager", "/metrics", "/preview/sources?space=ops"} {
		for host, want := range map[string]bool{
			"localhost": true, "LOCALHOST:9098": true, "127.0.0.1:80": true, "127.7.7.7": true, "[::1]:9098": true, "[::1]": true,
			"evil.example": false, "evil.example:9098": false, "127.0.0.1.evil.example": false, "localhost.evil.example": false,
			"192.0.2.1": false, "[2001:db8::1]:9098": false, "0.0.0.0:9098": false,
		} {
			if want && strings.Contains(path, "events") {
				continue // it does not end
			}
			code, body := get(t, address+path, host)
			if refused := code == http.StatusMisdirectedRequest; refused == want {
				t.Errorf("GET %s of %s: %d %s", path, host, code, body)
			}
		}
	}
}

func TestAPayloadBecomesAMessageAndItsEndAReply(t *testing.T) {
	address := start(t, "")
	next := watch(t, address)
	setup := next("setup")
	spaces, _ := json.Marshal(setup.data["spaces"])
	want := `[{"kind":"webhook","names":["ops"],"place":"spaces/OPS"},{"kind":"webhook","names":["on-call"],"place":"spaces/ONCALL"},{"kind":"app","names":["shop"],"place":"spaces/SHOP"}]`
	if string(spaces) != want {
		t.Errorf("the spaces are %s, want %s", spaces, want)
	}
	next("whole")
	send := func(name string) event {
		t.Helper()
		if code, answer := post(t, address+"/alertmanager", firing(t, name)); code != http.StatusOK {
			t.Fatalf("%s: %d %s", name, code, answer)
		}
		return next("message")
	}
	first, end := send("firing"), send("resolved")
	if first.data["thread"] != end.data["thread"] || first.data["name"] == end.data["name"] || first.data["version"] != 1.0 {
		t.Errorf("the end does not stand in the thread of its alert: %v, then %v", first.data, end.data)
	}
	for e, want := range map[*event]string{&first: "DiskWillFill", &end: "RESOLVED"} {
		if html, _ := e.data["html"].(string); !strings.Contains(html, want) {
			t.Errorf("the message is drawn as %q, without %s", html, want)
		}
	}
	// The app edits its message.
	first, end = send("group"), send("mixed")
	if first.data["name"] != end.data["name"] || end.data["version"] != 2.0 || end.data["edited"] == nil {
		t.Errorf("the change is no edit: %v, then %v", first.data, end.data)
	}
	// Whoever comes later sees the same.
	later := watch(t, address)
	var names []any
	for range 3 {
		names = append(names, later("message").data["name"])
	}
	if later("whole"); !slices.Contains(names, first.data["name"]) {
		t.Errorf("a page that comes later sees %v", names)
	}
}

func TestTemplatesOnDiskAreWatched(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "ours.tmpl", `{{ define "ours" }}before{{ end }}`)
	address := start(t, `
templates: [ours.tmpl]
spaces:
  - {name: ops, webhook_url: 'https://chat.googleapis.com/v1/spaces/A/messages?key=k&token=t', card: {title: '{{ template "ours" . }}'}}
  - {name: team, app: {space: spaces/B}}
  - {name: same, app: {space: spaces/B}}
  - {name: anna, app: {user: users/1}}
route: {space: ops}
`)
	next := watch(t, address)
	first := next("setup")
	spaces, _ := json.Marshal(first.data["spaces"])
	if !strings.Contains(string(spaces), `"names":["team","same"]`) || !strings.Contains(string(spaces), `{"kind":"direct message","names":["anna"],"place":"spaces/dm-anna"}`) {
		t.Errorf("the spaces are %s", spaces)
	}
	next("whole")
	write(t, "ours.tmpl", `{{ define "ours" }}after{{ end }}`)
	second := next("setup")
	if second.data["loaded"] == first.data["loaded"] || second.data["fault"] != nil {
		t.Errorf("after the change: %v", second.data)
	}
	if _, body := get(t, address+"/preview/sources?space=ops", ""); !strings.Contains(body, "after") {
		t.Errorf("the sources are %s", body)
	}
	write(t, "ours.tmpl", `{{ define "ours" }}`)
	if fault, _ := next("setup").data["fault"].(string); !strings.Contains(fault, "ours.tmpl:1") {
		t.Errorf("the fault is %q", fault)
	}
	if _, body := get(t, address+"/preview/sources?space=ops", ""); !strings.HasPrefix(body, `[{"name":"ours.tmpl","text":"{{ define \"ours\" }}"}`) {
		t.Errorf("of a template at fault on disk, the sources are %s", body)
	}
	write(t, "ours.tmpl", `{{ define "ours" }}mended{{ end }}`)
	if mended := next("setup"); mended.data["fault"] != nil {
		t.Errorf("after it was mended: %v", mended.data)
	}
}

func TestATemplateIsTriedOutThroughThePage(t *testing.T) {
	address := start(t, "")
	try := func(text, payload string) (out struct {
		Messages []struct {
			HTML    string
			JSON    map[string]any
			Bytes   int
			Widgets int
		}
		Notes   []string
		Faults  []struct{ Source, Message string }
		Payload *struct{ Line int }
	},
	) {
		t.Helper()
		edits := []map[string]string{{"name": "spaces[ops].card.title", "text": text}}
		body, _ := json.Marshal(map[string]any{"space": "ops", "edits": edits, "payload": payload})
		code, answer := post(t, address+"/preview/render", body)
		if code != http.StatusOK {
			t.Fatalf("%d %s", code, answer)
		}
		if err := json.Unmarshal([]byte(answer), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	payload := string(firing(t, "firing"))
	good := try("MINE {{ .Status }}", payload)
	if len(good.Messages) != 1 || !strings.Contains(good.Messages[0].HTML, "MINE firing") || good.Messages[0].Widgets < 2 || good.Messages[0].Bytes < 500 {
		t.Errorf("the result is %+v", good)
	}
	if bad := try("{{ .Status", payload); len(bad.Messages) != 0 || len(bad.Faults) != 1 || bad.Faults[0].Source != "spaces[ops].card.title" {
		t.Errorf("of a template without an end: %+v", bad)
	}
	if bad := try("x", "{\n\noops"); bad.Payload == nil || bad.Payload.Line != 3 {
		t.Errorf("of a payload that is none: %+v", bad)
	}
	if mended := try(`{{ template "chat.title" . }}`, string(firing(t, "thousand"))); len(mended.Notes) != 1 || !strings.HasPrefix(mended.Notes[0], "spaces[ops].max_parts: ") {
		t.Errorf("of a thousand alerts, it is noted: %q", mended.Notes)
	}
	// A template that goes on for ever does not.
	if bad := try(`{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}`, payload); len(bad.Faults) != 1 || len(bad.Messages) != 1 {
		t.Errorf("of a loop: %+v", bad)
	}
}

func TestEachSampleIsShownWithoutARemark(t *testing.T) {
	address := start(t, "")
	code, body := get(t, address+"/preview/samples", "")
	var samples []struct {
		Name, About string
		Payloads    []json.RawMessage
	}
	if err := json.Unmarshal([]byte(body), &samples); err != nil || code != http.StatusOK {
		t.Fatal(err, code)
	}
	var names []string
	for _, s := range samples {
		names = append(names, s.Name)
		for _, payload := range s.Payloads[:1] {
			for _, space := range []string{"ops", "on-call", "shop"} {
				trial, _ := json.Marshal(map[string]string{"space": space, "payload": string(payload)})
				if _, answer := post(t, address+"/preview/render", trial); strings.Contains(answer, "chat-remarks") || !strings.Contains(answer, "chat-message") {
					t.Errorf("the sample %s in %s: %s", s.Name, space, answer)
				}
			}
		}
	}
	if want := append(sample.Names(), "storm"); !slices.Equal(names, want) {
		t.Errorf("the samples are %q, want %q", names, want)
	}
}

func TestNobodyElseSeesWhatIsPreviewed(t *testing.T) {
	t.Chdir(t.TempDir())
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s goes to the proxy, or to where tokens come from", r.Method, r.URL)
	}))
	t.Cleanup(elsewhere.Close)
	address := start(t, `
spaces:
  - name: ops
    webhook_url: 'https://chat.googleapis.com/v1/spaces/A/messages?key=k&token=t'
    http_config: {proxy_url: 'ELSEWHERE', oauth2: {client_id: a, client_secret: b, token_url: 'ELSEWHERE/token'}}
route: {space: ops}
`, "ELSEWHERE", elsewhere.URL)
	next := watch(t, address)
	next("whole")
	if code, answer := post(t, address+"/alertmanager", firing(t, "firing")); code != http.StatusOK {
		t.Fatal(answer)
	}
	if m := next("message"); m.data["place"] != "spaces/A" {
		t.Errorf("the message is %v", m.data)
	}
}

// TestNoSecretIsOnThePage looks for the parts of a webhook's URL, of the config and
// of the stand-in.
func TestNoSecretIsOnThePage(t *testing.T) {
	t.Chdir(t.TempDir())
	address := start(t, `
spaces:
  - {name: ops, webhook_url: 'https://chat.googleapis.com/v1/spaces/A/messages?key=markedkey&token=markedtoken', http_config: {proxy_url: 'http://marked:marked@127.0.0.1:9'}}
  - {name: team, app: {space: spaces/B}}
route: {space: team}
`)
	next := watch(t, address)
	pages := map[string]any{"the setup": next("setup").data}
	if code, answer := post(t, address+"/alertmanager", firing(t, "firing")); code != http.StatusOK {
		t.Fatal(answer)
	}
	pages["the message"] = next("message").data
	for _, path := range []string{"/", "/preview/", "/preview/samples", "/preview/sources?space=ops", "/preview/sources?space=team", "/api/v1/status", "/metrics"} {
		_, pages[path] = get(t, address+path, "")
	}
	trial, _ := json.Marshal(map[string]string{"space": "ops", "payload": string(firing(t, "firing"))})
	_, pages["a trial"] = post(t, address+"/preview/render", trial)
	for name, page := range pages {
		text := fmt.Sprint(page)
		for _, secret := range []string{"marked", "token=", "key=", "AIzaSy", "PRIVATE KEY", "gserviceaccount"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds %q: %s", name, secret, text)
			}
		}
	}
}

func TestFilesWithSecretsMayBeMissing(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "ours.tmpl", `{{ define "chat.titel" }}x{{ end }}`)
	address := start(t, `
templates: [ours.tmpl]
spaces:
  - {name: ops, webhook_url_file: none.url}
  - {name: anna, app: {user: users/1, credentials_file: none.json}}
  - {name: again, app: {user: users/1, credentials_file: none.json}}
route: {space: ops}
`)
	next := watch(t, address)
	setup := next("setup").data
	spaces, _ := json.Marshal(setup["spaces"])
	const want = `[{"kind":"webhook","names":["ops"],"place":"spaces/ops"},{"kind":"direct message","names":["anna","again"],"place":"spaces/dm-anna"}]`
	if string(spaces) != want {
		t.Errorf("the spaces are %s, want %s", spaces, want)
	}
	if warnings := fmt.Sprint(setup["warnings"]); !strings.Contains(warnings, "chat.titel") {
		t.Errorf("of a template that nothing uses, the page is told: %s", warnings)
	}
	next("whole")
	for space, place := range map[string]string{"ops": "spaces/ops", "again": "spaces/dm-anna"} {
		if code, answer := post(t, address+"/alertmanager/"+space, firing(t, "firing")); code != http.StatusOK {
			t.Fatal(answer)
		}
		if at := next("message").data["place"]; at != place {
			t.Errorf("what is posted to %s comes to %v, want %s", space, at, place)
		}
	}
}

func TestAConfigAtFaultIsTold(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	file := filepath.Join(t.TempDir(), "config.yml")
	write(t, file, "spaces: 3")
	if _, err := preview.New(t.Context(), preview.Options{ConfigFile: file, Logger: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "spaces") {
		t.Errorf("New: %v", err)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("it left %v behind, %v", left, err)
	}
}
