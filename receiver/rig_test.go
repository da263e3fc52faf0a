package receiver_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"alertchat/receiver"
	"alertchat/receiver/chat/chattest"
	"alertchat/receiver/httpapi"
)

// patience bounds each wait for something that takes well under a second.
const patience = 30 * time.Second

// rig is a whole receiver behind a real server, with a stand-in for Google Chat
// on loopback.
type rig struct {
	t       testing.TB
	folder  string
	first   map[string]string // the files as they were written first
	chat    *chattest.Server
	google  *httptest.Server
	app     *receiver.Receiver
	server  *httptest.Server
	log     *buffer
	stop    chan struct{}
	stopped chan struct{}
}

// newRig starts a receiver. files are names and texts in turn, to stand beside
// the config. In all of them WEBHOOK(NAME) stands for a URL of the Google space
// spaces/NAME.
func newRig(t testing.TB, config string, o chattest.Options, files ...string) *rig {
	t.Helper()
	r := &rig{t: t, folder: t.TempDir(), first: map[string]string{}, chat: chattest.New(o), log: &buffer{}}
	r.google = httptest.NewServer(r.chat)
	t.Cleanup(r.google.Close)
	r.write("config.yml", config)
	for i := 0; i < len(files); i += 2 {
		r.write(files[i], files[i+1])
	}
	r.start()
	t.Cleanup(r.halt)
	return r
}

// webhooks replaces each WEBHOOK(NAME).
func (r *rig) webhooks(text string) string {
	for {
		before, rest, ok := strings.Cut(text, "WEBHOOK(")
		if !ok {
			return text
		}
		name, after, _ := strings.Cut(rest, ")")
		text = before + r.google.URL + r.chat.AddWebhook("spaces/"+name) + after
	}
}

func (r *rig) write(name, text string) {
	r.t.Helper()
	text = r.webhooks(text)
	if _, ok := r.first[name]; !ok {
		r.first[name] = text
	}
	if err := os.WriteFile(filepath.Join(r.folder, name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// putBack writes a file as it was written first.
func (r *rig) putBack(name string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.folder, name), []byte(r.first[name]), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) start() {
	r.t.Helper()
	app, err := receiver.New(receiver.Options{
		ConfigFile:  filepath.Join(r.folder, "config.yml"),
		StoragePath: filepath.Join(r.folder, "data"),
		ReloadEvery: 20 * time.Millisecond,
		Logger:      slog.New(slog.NewTextHandler(r.log, nil)),
		Registry:    prometheus.NewRegistry(),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.app, r.stop, r.stopped = app, make(chan struct{}), make(chan struct{})
	r.server = httptest.NewUnstartedServer(nil)
	r.server.Config = httpapi.Server(app.Handler(), slog.New(slog.DiscardHandler))
	r.server.Start()
	go func() {
		defer close(r.stopped)
		app.Run(context.Background(), r.stop)
	}()
	r.until("ready", func() bool { code, _ := r.get("/-/ready"); return code == http.StatusOK })
}

// halt ends the receiver as a signal would.
func (r *rig) halt() {
	if r.app == nil {
		return
	}
	r.server.Close()
	close(r.stop)
	<-r.stopped
	if err := r.app.Close(context.Background()); err != nil {
		r.t.Error(err)
	}
	r.app = nil
}

// until waits for something to become true.
func (r *rig) until(what string, is func() bool) {
	r.t.Helper()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	deadline := time.After(patience)
	for !is() {
		select {
		case <-poll.C:
		case <-deadline:
			r.t.Fatalf("not within %s: %s\nlog:\n%s", patience, what, r.log)
		}
	}
}

// idle waits until nothing waits for delivery.
func (r *rig) idle() {
	r.t.Helper()
	r.until("nothing waits", r.isIdle)
}

// isIdle reports whether nothing waits for delivery.
func (r *rig) isIdle() bool {
	_, status := r.get("/api/v1/status")
	return strings.Count(status, `"waiting":`) == strings.Count(status, `"waiting":0`) &&
		strings.Count(status, `"planned":`) == strings.Count(status, `"planned":0`)
}

func (r *rig) get(path string) (int, string) {
	r.t.Helper()
	resp, err := http.Get(r.server.URL + path)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.read(resp)
}

func (r *rig) read(resp *http.Response) (int, string) {
	r.t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// post posts a payload and wants it accepted.
func (r *rig) post(path string, body []byte) {
	r.t.Helper()
	resp, err := http.Post(r.server.URL+path, "application/json", strings.NewReader(string(body)))
	if err != nil {
		r.t.Fatal(err)
	}
	if code, answer := r.read(resp); code != http.StatusOK {
		r.t.Fatalf("POST %s answers %d: %s", path, code, answer)
	}
}

// bodies returns the bodies of the messages in a space.
func (r *rig) bodies(name string) []string {
	var out []string
	for _, m := range r.chat.Messages("spaces/" + name) {
		out = append(out, string(m.Body))
	}
	return out
}

// threads returns how many threads the messages in a space are in.
func (r *rig) threads(name string) int {
	seen := map[string]bool{}
	for _, m := range r.chat.Messages("spaces/" + name) {
		seen[m.Thread] = true
	}
	return len(seen)
}

// payload is a firing group of one alert with these labels, "name=value".
func payload(receiver string, alerts ...string) []byte {
	var list []string
	for _, a := range alerts {
		var labels []string
		for pair := range strings.FieldsSeq(a) {
			k, v, _ := strings.Cut(pair, "=")
			labels = append(labels, fmt.Sprintf("%q:%q", k, v))
		}
		list = append(list, fmt.Sprintf(`{"status":"firing","labels":{%s},"annotations":{},"startsAt":"2026-11-23T12:00:00Z"}`, strings.Join(labels, ",")))
	}
	return fmt.Appendf(nil, `{"version":"4","groupKey":"{}:{}","receiver":%q,"externalURL":"http://am.example.org","alerts":[%s]}`, receiver, strings.Join(list, ","))
}

// buffer is a log that several goroutines write to.
type buffer struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
