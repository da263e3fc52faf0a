package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	crowd     = 3000
	dawdlers  = 200
	maxMemory = 256 << 10 // KiB
)

// TestBadInput posts what can never work, and what nearly could not, and wants
// the program in good health afterwards.
func TestBadInput(t *testing.T) {
	path := buildAlertchat(t)
	chat := startChat(t)
	receiver := startAlertchat(t, programs{alertchat: path}, chat.config(toOps, "ops"))
	baseline := receiver.metric(t, "go_goroutines")
	good := notification("Good")
	deep := strings.Repeat(`{"a":[`, 100_000)
	wide := `{"version":"4","alerts":[` + strings.Repeat(`{},`, 200_000) + `{}]}`
	tests := []struct {
		name, method, path string
		body               io.Reader
		want               int
	}{
		{"nothing", http.MethodPost, "/alertmanager", http.NoBody, 400},
		{"no JSON", http.MethodPost, "/alertmanager", strings.NewReader("alert!"), 400},
		{"half of the JSON", http.MethodPost, "/alertmanager", strings.NewReader(good[:len(good)/2]), 400},
		{"more than the JSON", http.MethodPost, "/alertmanager", strings.NewReader(good + good), 400},
		{"null", http.MethodPost, "/alertmanager", strings.NewReader("null"), 400},
		{"a list", http.MethodPost, "/alertmanager", strings.NewReader("[" + good + "]"), 400},
		{"another version", http.MethodPost, "/alertmanager", strings.NewReader(strings.Replace(good, `"4"`, `"3"`, 1)), 400},
		{"a version that is a number", http.MethodPost, "/alertmanager", strings.NewReader(strings.Replace(good, `"4"`, `4`, 1)), 400},
		{"no alerts", http.MethodPost, "/alertmanager", strings.NewReader(`{"version":"4","alerts":[]}`), 400},
		{"alerts of another type", http.MethodPost, "/alertmanager", strings.NewReader(`{"version":"4","alerts":{"a":1}}`), 400},
		{"a time that is none", http.MethodPost, "/alertmanager", strings.NewReader(`{"version":"4","alerts":[{"startsAt":"now"}]}`), 400},
		{"nesting without end", http.MethodPost, "/alertmanager", strings.NewReader(deep), 400},
		{"nesting in a label", http.MethodPost, "/alertmanager", strings.NewReader(`{"version":"4","alerts":[{"labels":` + deep), 400},
		{"40 MB", http.MethodPost, "/alertmanager", bytes.NewReader(make([]byte, 40<<20)), 413},
		{"two bytes too many, of an unknown length", http.MethodPost, "/alertmanager", io.LimitReader(zeros{}, 32<<20+2), 413},
		{"another method", http.MethodPut, "/alertmanager", strings.NewReader(good), 405},
		{"a question", http.MethodGet, "/alertmanager", http.NoBody, 405},
		{"a question of a space", http.MethodGet, "/alertmanager/ops", http.NoBody, 405},
		{"a notification for the status page", http.MethodPost, "/", strings.NewReader(good), 405},
		{"another path", http.MethodPost, "/alertmanagers", strings.NewReader(good), 404},
		{"a path below a space", http.MethodPost, "/alertmanager/ops/more", strings.NewReader(good), 404},
		{"200,001 alerts of nothing", http.MethodPost, "/alertmanager", strings.NewReader(wide), 200},
		{"a space that is unknown", http.MethodPost, "/alertmanager/nobody", strings.NewReader(good), 200},
		{"a space with an odd name", http.MethodPost, "/alertmanager/%00%0a%ff..", strings.NewReader(good), 200},
		{"slashes that are too many", http.MethodPost, "//alertmanager//", strings.NewReader(good), 200},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			code, body := receiver.request(t, test.method, test.path, test.body)
			if code != test.want {
				t.Errorf("answered with %d %s, want %d", code, body, test.want)
			}
			if len(body) > 200 || !strings.HasPrefix(body, "{") {
				t.Errorf("the answer is no short JSON object: %.300q", body)
			}
		})
	}
	receiver.wantWell(t, baseline)
}

// zeros is a reader of any length.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestCrowd posts 3,000 notifications at once, one of 12 MB among them, beside
// senders that never come to an end.
func TestCrowd(t *testing.T) {
	path := buildAlertchat(t)
	chat := startChat(t)
	receiver := startAlertchat(t, programs{alertchat: path}, chat.config(toOps, "ops"))
	baseline := receiver.metric(t, "go_goroutines")

	slow := receiver.connect(t, dawdlers)
	for i, c := range slow {
		head := "POST /alertmanager HTTP/1.1\r\nHost: alertchat\r\nContent-Length: 30000000\r\n"
		if i%2 == 0 {
			head += "\r\n" + strings.Repeat(" ", 1000) // half of them are in the middle of the body
		}
		if _, err := io.WriteString(c, head); err != nil {
			t.Fatal(err)
		}
	}
	all := receiver.connect(t, crowd)
	begin := make(chan struct{})
	var posting sync.WaitGroup
	answers := make([]string, crowd)
	for i, c := range all {
		text := notification(fmt.Sprintf("Crowd%d", i))
		if i == crowd/2 {
			text = largeNotification(12 << 20)
		}
		posting.Go(func() {
			<-begin
			answers[i] = post(c, text)
		})
	}
	close(begin)
	posting.Wait()
	counts := map[string]int{}
	for _, a := range answers {
		counts[a]++
	}
	t.Logf("answers: %v", counts)
	if counts["200 OK"] != crowd {
		t.Errorf("the answers are %v, want %d times 200", counts, crowd)
	}
	hangUp(all)
	hangUp(slow)
	receiver.wantWell(t, baseline)
}

// largeNotification returns a payload of many alerts.
func largeNotification(size int) string {
	var b strings.Builder
	b.WriteString(`{"version": "4", "receiver": "e2e", "groupKey": "{}:{alertname=Large}", "status": "firing", "alerts": [`)
	for i := 0; b.Len() < size; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"status": "firing", "fingerprint": "large%d", "startsAt": "2026-11-23T12:00:00Z", "labels":
			{"alertname": "Large", "instance": "node-%[1]d.example.org", "severity": "critical"},
			"annotations": {"description": "Instance node-%[1]d.example.org has been down for more than 5 minutes."}}`, i)
	}
	return b.String() + "]}"
}

// connect returns n open connections.
func (a *alertchat) connect(t *testing.T, n int) []net.Conn {
	t.Helper()
	var dialer net.Dialer
	connections := make([]net.Conn, n)
	for i := range connections {
		c, err := dialer.DialContext(t.Context(), "tcp", a.address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() }) // hangUp may have been first
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		connections[i] = c
	}
	return connections
}

func hangUp(connections []net.Conn) {
	for _, c := range connections {
		_ = c.Close() // what it says does not matter any more
	}
}

// post posts a notification and returns the answer's status, or an error.
func post(c net.Conn, text string) string {
	_, err := fmt.Fprintf(c, "POST /alertmanager HTTP/1.1\r\nHost: alertchat\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
	if err != nil {
		return err.Error()
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	return answer.Status
}

// request makes one request and returns the status and the body of its answer.
func (a *alertchat) request(t *testing.T, method, path string, body io.Reader) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+a.address+path, body)
	if err != nil {
		t.Fatal(err)
	}
	// An answer may come while the body is still sent.
	transport := &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: patience}
	r.Header.Set("Expect", "100-continue")
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// wantWell fails the test if the program is not what it was before, or was
// ever larger than it may be.
func (a *alertchat) wantWell(t *testing.T, goroutines float64) {
	t.Helper()
	a.waitReady(t, a.address)
	eventually(t, "the goroutines have ended", func() error {
		if now := a.metric(t, "go_goroutines"); now > goroutines+10 {
			return fmt.Errorf("there are %g, and there were %g", now, goroutines)
		}
		return nil
	})
	if output := a.output(); strings.Contains(output, "panic") {
		t.Errorf("the program panicked:\n%s", output)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	if err != nil {
		t.Logf("its memory is not known here: %v", err)
		return
	}
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		if fields[0] != "VmHWM:" {
			continue
		}
		used, err := strconv.Atoi(fields[1])
		t.Logf("at most %d MiB of memory were in use", used>>10)
		if err != nil || used > maxMemory {
			t.Errorf("%s were in use, want at most %d kB: %v", strings.TrimSpace(line), maxMemory, err)
		}
	}
}

// metric returns the value of a metric without labels.
func (a *alertchat) metric(t *testing.T, name string) float64 {
	t.Helper()
	page, err := get(t.Context(), "http://"+a.address+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(page) {
		if text, ok := strings.CutPrefix(line, name+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				t.Fatal(err)
			}
			return value
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}
