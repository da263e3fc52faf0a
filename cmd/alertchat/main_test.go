package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"alertchat/receiver/chat"
	"alertchat/receiver/chat/chattest"
)

// alertchat runs the program and returns what it prints and its exit code.
func alertchat(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, environment{stdout: &out, stderr: &errs, notify: func(chan<- os.Signal) {}})
	return out.String(), errs.String(), code
}

func TestExitCodes(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.yml")
	for _, c := range []struct {
		name     string
		args     []string
		code     int
		out, err string // patterns
	}{
		{"help is no failure", []string{"--help"}, exitOK, `(?s)usage: alertchat.*serve.*preview.*healthcheck`, `^$`},
		{"help of the default command", []string{"serve", "--help"}, exitOK, `(?s)--config.file="config.yml".*--storage.path="data/".*--web.listen-address=:9098.*--web.config.file`, `^$`},
		{"version", []string{"--version"}, exitOK, `alertchat, version`, `^$`},
		{"an unknown flag is misuse", []string{"--no-such-flag"}, exitMisuse, `^$`, `^alertchat: unknown long flag '--no-such-flag'; see alertchat --help\n$`},
		{"an unknown command is misuse", []string{"deliver"}, exitMisuse, `^$`, `see alertchat --help`},
		{"a bad duration is misuse", []string{"--config.auto-reload-interval=soon"}, exitMisuse, `^$`, `soon`},
		{"a bad level is misuse", []string{"--log.level=loud"}, exitMisuse, `^$`, `loud`},
		{"a missing config is a failure", []string{"--config.file=" + missing}, exitFailed, `^$`, `alertchat: load the config: open .*none.yml: no such file or directory; name another file with --config.file\n$`},
		{"a preview for other machines is refused", []string{"preview", "--web.listen-address=:0"}, exitFailed, `^$`, `loopback only`},
		{"a preview with a faulty config", []string{"preview", "--web.listen-address=127.0.0.1:0", "--config.file=" + missing}, exitFailed, ``, `no such file`},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, errs, code := alertchat(t, c.args...)
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if !regexp.MustCompile(c.out).MatchString(out) {
				t.Errorf("stdout %q, want %q", out, c.out)
			}
			if !regexp.MustCompile(c.err).MatchString(errs) {
				t.Errorf("stderr %q, want %q", errs, c.err)
			}
		})
	}
}

// TestPreviewPlaysGoogleForApps needs no credentials file: with the default ones
// the stand-in has its own.
func TestPreviewPlaysGoogleForApps(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "config.yml")
	text := `spaces:
  - {name: ops, app: {space: spaces/AAAA}}
  - {name: sasha, app: {user: users/123}}
route: {space: ops, routes: [{matchers: ['severity="critical"'], space: sasha}]}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, code := alertchat(t, "preview", "--once", "--web.listen-address=127.0.0.1:0", "--config.file="+file)
	if code != exitOK || strings.Contains(errs, "level=ERROR") || strings.Contains(errs, "level=WARN") {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	for _, want := range []string{"space ops: a new thread", "space sasha: a new thread", "space sasha: an edited message", "✅ DiskWillFill · RESOLVED"} {
		if !strings.Contains(out, want) {
			t.Errorf("the preview does not show %q:\n%s", want, out)
		}
	}
}

// TestPreviewShowsTheSamples runs the newcomer's first command.
func TestPreviewShowsTheSamples(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	out, errs, code := alertchat(t, "preview", "--once", "--web.listen-address=127.0.0.1:0")
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	for _, want := range []string{
		"Nothing is sent to Google",
		"space on-call: a new thread",
		"space on-call: a reply in a thread", // the end of the first alert
		"space shop: an edited message",
		"DiskWillFill",
		"[Runbook] https://runbooks.example.org/DiskWillFill",
		"RESOLVED",
		"more behind a click",
		"<script>alert(1)</script>", // as text
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the preview does not show %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "wrongly") || strings.Contains(errs, "level=ERROR") || strings.Contains(errs, "level=WARN") {
		t.Errorf("the preview is not clean:\n%s\n%s", out, errs)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("it left %v behind, %v", left, err)
	}
}

func TestPreviewTellsEditsFromNewMessages(t *testing.T) {
	messages := make(chan chattest.Message, 3)
	first := chattest.Message{Space: "spaces/OPS", Body: []byte(`{"text":"x"}`), Versions: make([]chattest.Version, 1)}
	reply, edited := first, first
	reply.Reply = true
	edited.Reply, edited.Versions = true, make([]chattest.Version, 2)
	for _, m := range []chattest.Message{first, reply, edited} {
		messages <- m
	}
	close(messages)
	var out strings.Builder
	p := printer{out: &out, spaceOf: func(string) string { return "ops" }}
	p.print(messages)
	var got []string
	for _, line := range regexp.MustCompile(`<<< .*`).FindAllString(out.String(), -1) {
		got = append(got, strings.SplitAfter(line, ", ")[1])
	}
	want := []string{"space ops: a new thread, ", "space ops: a reply in a thread, ", "space ops: an edited message, "}
	if !slices.Equal(got, want) {
		t.Errorf("the preview prints %q, want %q", got, want)
	}
}

func TestHealthcheck(t *testing.T) {
	answer := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(answer)
		_, _ = io.WriteString(w, `{"status":"said"}`)
	}))
	defer s.Close()
	if out, errs, code := alertchat(t, "healthcheck", "--url="+s.URL); code != exitOK || !strings.Contains(out, "said") {
		t.Errorf("of a ready receiver: %d, %s, %s", code, out, errs)
	}
	answer = http.StatusServiceUnavailable
	if _, errs, code := alertchat(t, "healthcheck", "--url="+s.URL); code != exitFailed || !strings.Contains(errs, "not ready") {
		t.Errorf("of one that is not ready: %d, %s", code, errs)
	}
	s.Close()
	if _, errs, code := alertchat(t, "healthcheck", "--url="+s.URL); code != exitFailed || !strings.Contains(errs, "refused") {
		t.Errorf("of none: %d, %s", code, errs)
	}
}

// served is a receiver that runs as the command serve does, with signals that
// the test sends.
type served struct {
	address    string
	configFile string
	signals    chan<- os.Signal
	ended      chan int
	log        *lockedBuffer
}

func startServe(t *testing.T, config string, more ...string) *served {
	t.Helper()
	folder := t.TempDir()
	file := filepath.Join(folder, "config.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s := &served{address: address, configFile: file, ended: make(chan int, 1), log: &lockedBuffer{}}
	env := environment{stdout: io.Discard, stderr: s.log, notify: func(c chan<- os.Signal) { s.signals = c }}
	go func() {
		s.ended <- run(t.Context(), append([]string{
			"--config.file=" + file, "--storage.path=" + filepath.Join(folder, "data"),
			"--web.listen-address=" + address, "--config.auto-reload-interval=0",
		}, more...), env)
	}()
	s.until(t, "ready", func() bool {
		resp, err := http.Get("http://" + address + "/-/ready")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return s
}

func (s *served) until(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not in time: %s\n%s", what, s.log)
		}
	}
}

func (s *served) wait(t *testing.T, within time.Duration) {
	t.Helper()
	select {
	case code := <-s.ended:
		if code != exitOK {
			t.Errorf("exit code %d\n%s", code, s.log)
		}
	case <-time.After(within):
		t.Fatalf("it runs on after %s\n%s", within, s.log)
	}
}

// hanging is a Google Chat that answers only when it is let go.
func hanging(t *testing.T) (config string, arrived chan struct{}, letGo chan struct{}) {
	t.Helper()
	arrived, letGo = make(chan struct{}, 16), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- struct{}{}
		select {
		case <-letGo:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, `{"name":"spaces/A/messages/1.1","thread":{"name":"spaces/A/threads/1"}}`)
	}))
	t.Cleanup(s.Close)
	return "spaces: [{name: ops, webhook_url: '" + s.URL + "/v1/spaces/A/messages?key=k1234&token=t1234', rate_limit: 100}]", arrived, letGo
}

const firing = `{"version":"4","groupKey":"g","receiver":"r","alerts":[{"status":"firing","labels":{"alertname":"A"}}]}`

func (s *served) post(t *testing.T) {
	t.Helper()
	resp, err := http.Post("http://"+s.address+"/alertmanager", "application/json", strings.NewReader(firing))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("answer %s", resp.Status)
	}
}

func TestTheFirstSignalEndsWhatIsAttempted(t *testing.T) {
	config, arrived, letGo := hanging(t)
	s := startServe(t, config)
	s.post(t)
	<-arrived
	s.signals <- syscall.SIGTERM
	s.signals <- syscall.SIGHUP // from a config reloader: it abandons nothing
	s.until(t, "it stops to listen", func() bool {
		conn, err := net.Dial("tcp", s.address)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	select {
	case code := <-s.ended:
		t.Fatalf("it ended with %d before the attempt had", code)
	default:
	}
	close(letGo)
	s.wait(t, 10*time.Second)
	if !strings.Contains(s.log.String(), "what waits stays stored") {
		t.Errorf("the log does not say what happens:\n%s", s.log)
	}
}

func TestTheSecondSignalAbandons(t *testing.T) {
	config, arrived, _ := hanging(t)
	s := startServe(t, config)
	s.post(t)
	<-arrived
	s.signals <- syscall.SIGINT
	s.signals <- syscall.SIGINT
	s.wait(t, 5*time.Second) // the attempt would take 10
	if !strings.Contains(s.log.String(), "abandoning") {
		t.Errorf("the log does not say so:\n%s", s.log)
	}
}

func TestSIGHUPReloads(t *testing.T) {
	config, _, letGo := hanging(t)
	close(letGo)
	s := startServe(t, config)
	s.signals <- syscall.SIGHUP
	s.until(t, "the config is loaded again", func() bool { return strings.Contains(s.log.String(), "Loaded the config") })
	s.signals <- syscall.SIGTERM
	s.wait(t, 10*time.Second)
}

func TestAPortThatIsTakenIsAFailure(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	folder := t.TempDir()
	file := filepath.Join(folder, "config.yml")
	if err := os.WriteFile(file, []byte("spaces: [{name: ops, webhook_url: 'https://chat.googleapis.com/v1/spaces/A/messages?key=k1234&token=t1234'}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, errs, code := alertchat(t, "--config.file="+file, "--storage.path="+folder+"/data", "--web.listen-address="+l.Addr().String())
	if code != exitFailed || !strings.Contains(errs, "address already in use") {
		t.Errorf("exit code %d, %s", code, errs)
	}
}

func TestMessageText(t *testing.T) {
	m := &chat.Message{
		Text: "firing",
		CardsV2: []chat.CardWithID{{Card: &chat.Card{
			Header: &chat.Header{Title: "Title", Subtitle: "sub"},
			Sections: []chat.Section{{Header: "<b>Head</b>", Widgets: []chat.Widget{
				{TextParagraph: &chat.TextParagraph{Text: "a &lt;b&gt;<br><b>bold</b> &amp;amp;"}},
				{DecoratedText: &chat.DecoratedText{TopLabel: "top", Text: "text"}},
				{Divider: &chat.Divider{}},
				{ButtonList: &chat.ButtonList{Buttons: []chat.Button{{Text: "Go", OnClick: &chat.OnClick{OpenLink: &chat.OpenLink{URL: "https://x"}}}}}},
				{Grid: &chat.Grid{}},
			}}},
		}}},
	}
	want := `firing
  ┃ Title
  ┃ sub
  ┠────
  ┃ Head
  ┃ a <b>
  ┃ bold &amp;
  ┃ top
  ┃ text
  ┃ ────
  ┃ [Go] https://x
  ┃ (a widget that text cannot show)
`
	if got := messageText(m); got != want {
		t.Errorf("text:\n%s\nwant:\n%s", got, want)
	}
}

// lockedBuffer is written to and read at the same time.
type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
