package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds each wait. What is waited for takes a second or two; the
// rest is for a machine that is busy with other tests.
const patience = 30 * time.Second

// eventually polls until check returns nil, and fails the test with its last
// error when that takes too long.
func eventually(t testing.TB, what string, check func() error) {
	t.Helper()
	within(t, patience, what, check)
}

// within is [eventually] with another bound.
func within(t testing.TB, limit time.Duration, what string, check func() error) {
	t.Helper()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	deadline := time.After(limit)
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-poll.C:
		case <-deadline:
			t.Fatalf("%s: not within %s: %v", what, limit, err)
		}
	}
}

// elapse lets others work for a while.
func elapse(t testing.TB, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

// process is a running program. It leads a process group of its own, all of
// which is killed when the test ends.
type process struct {
	cmd     *exec.Cmd
	logFile string
	done    chan struct{} // closed when it has ended
}

// startProcess runs a program until the test ends. What it prints goes to a
// file, which is shown when the test fails.
func startProcess(t testing.TB, path string, args ...string) *process {
	t.Helper()
	output, err := os.CreateTemp(t.TempDir(), filepath.Base(path)+"-*.log")
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	p := &process{
		cmd:     exec.CommandContext(t.Context(), path, args...), //nolint:gosec // the tests say what to run
		logFile: output.Name(),
		done:    make(chan struct{}),
	}
	p.cmd.Stdout, p.cmd.Stderr = output, output
	// A program that is killed leaves its temporary files behind.
	p.cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Cancel = func() error { return syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // ProcessState has the result
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("output of %s:\n%s", filepath.Base(path), p.output())
		}
	})
	return p
}

// kill is `kill -9` of the whole group. It returns when the program is gone.
func (p *process) kill() {
	// An error means that it has ended before.
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// signal sends a signal to the program.
func (p *process) signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// ended returns an error once the program has ended.
func (p *process) ended() error {
	select {
	case <-p.done:
		return fmt.Errorf("it has ended: %s\n%s", p.cmd.ProcessState, p.output())
	default:
		return nil
	}
}

// waitEnd waits until the program has ended by itself.
func (p *process) waitEnd(t testing.TB) {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Fatalf("%s has not ended within %s", p.cmd.Path, patience)
	}
}

// output returns what the program has printed until now.
func (p *process) output() string {
	text, err := os.ReadFile(p.logFile)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// waitReady waits until the program says that it is ready.
func (p *process) waitReady(t testing.TB, address string) {
	t.Helper()
	eventually(t, p.cmd.Path+" is ready", func() error {
		if err := p.ended(); err != nil {
			t.Fatal(err)
		}
		_, err := get(t.Context(), "http://"+address+"/-/ready")
		return err
	})
}

// get returns the body of a page.
func get(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 5*time.Second, errors.New("no answer within 5s"))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	// The server may be killed and come back: no connection outlives its use.
	request.Close = true
	response, err := new(http.Client).Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s: %s", url, response.Status, strings.TrimSpace(string(body)))
	}
	return string(body), nil
}

// freeAddress returns a loopback address on which nobody listens. Programs
// that are to be found there again after a restart need to know it beforehand.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// ownAddress returns a free address that no connection from 127.0.0.1 takes
// while its program is dead, where the system has more than one loopback
// address.
func ownAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		return freeAddress(t)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// writeFile writes a file as an editor would who replaces it: whoever reads it
// sees the old text or the new one.
func writeFile(t testing.TB, path, text string) {
	t.Helper()
	draft := path + ".new"
	if err := os.WriteFile(draft, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(draft, path); err != nil {
		t.Fatal(err)
	}
}
