package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"alertchat/receiver/webui"
)

// Releases of Alertmanager, as .ci/alertmanager builds them. The older one is
// the last that knows no notification_reason.
const (
	newest = "0.34.2"
	older  = "0.31.1"
)

// programs are the paths of what the tests run.
type programs struct {
	alertchat    string
	amtool       string
	alertmanager map[string]string // by release
}

// findPrograms builds alertchat and looks for the others in .tools. Without
// them the test is skipped, or fails in CI. A test that needs no Alertmanager
// calls buildAlertchat alone.
func findPrograms(t testing.TB) programs {
	t.Helper()
	tool := func(name string) string {
		path, err := filepath.Abs(filepath.Join("..", "..", ".tools", name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%v: .ci/alertmanager has to run first", err)
			}
			t.Skipf("%v: run .ci/alertmanager (or make tools) for the end-to-end tests", err)
		}
		return path
	}
	return programs{
		amtool: tool("amtool-" + newest),
		alertmanager: map[string]string{
			newest: tool("alertmanager-" + newest),
			older:  tool("alertmanager-" + older),
		},
		alertchat: buildAlertchat(t),
	}
}

// buildAlertchat builds the program and returns its path.
func buildAlertchat(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "alertchat")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", path, "alertchat/cmd/alertchat")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build alertchat: %v\n%s", err, output)
	}
	return path
}

// alertchat is the receiver under test. It can be killed and started again on
// the same address, config and storage.
type alertchat struct {
	*process

	path       string
	address    string
	configFile string
	storage    string
	flags      []string // more of them
}

// startAlertchat starts the receiver with a config and waits until it is ready.
func startAlertchat(t testing.TB, p programs, config string) *alertchat {
	t.Helper()
	folder := t.TempDir()
	a := &alertchat{
		path:       p.alertchat,
		address:    freeAddress(t),
		configFile: filepath.Join(folder, "config.yml"),
		storage:    filepath.Join(folder, "data"),
	}
	writeFile(t, a.configFile, config)
	a.start(t)
	return a
}

// start runs the receiver, which must not run at the time, until it is ready.
func (a *alertchat) start(t testing.TB) {
	t.Helper()
	a.launch(t)
	a.waitReady(t, a.address)
}

// launch runs the receiver, which must not run at the time.
func (a *alertchat) launch(t testing.TB, flags ...string) {
	t.Helper()
	a.process = startProcess(t, a.path, append([]string{
		"--config.file=" + a.configFile,
		"--config.auto-reload-interval=0",
		"--storage.path=" + a.storage,
		"--web.listen-address=" + a.address,
		"--log.level=debug",
	}, slices.Concat(a.flags, flags)...)...)
}

// reload replaces the config and sends SIGHUP.
func (a *alertchat) reload(t testing.TB, config string) {
	t.Helper()
	writeFile(t, a.configFile, config)
	a.signal(t, syscall.SIGHUP)
}

// waitPage waits until one of the receiver's pages contains a text.
func (a *alertchat) waitPage(t testing.TB, path, text string) {
	t.Helper()
	eventually(t, path+" contains "+text, func() error {
		if err := a.ended(); err != nil {
			t.Fatal(err)
		}
		page, err := get(t.Context(), "http://"+a.address+path)
		if err == nil && !strings.Contains(page, text) {
			err = fmt.Errorf("it says:\n%s", page)
		}
		return err
	})
}

// drained returns nil when nothing waits any more.
func (a *alertchat) drained(t testing.TB) error {
	t.Helper()
	if err := a.ended(); err != nil {
		t.Fatal(err)
	}
	status, err := a.status(t)
	if err != nil {
		return err
	}
	if status.StorageError != "" {
		return errors.New(status.StorageError)
	}
	for _, s := range status.Spaces {
		if s.Dead > 0 {
			t.Fatalf("a delivery to %s is dead: %+v", s.Name, s.Deliveries)
		}
		if s.Waiting+s.Planned > 0 {
			return fmt.Errorf("in %s %d notifications wait and %d deliveries are planned; its last error: %s",
				s.Name, s.Waiting, s.Planned, s.LastError)
		}
	}
	return nil
}

// status returns what the receiver says of itself.
func (a *alertchat) status(t testing.TB) (webui.Status, error) {
	t.Helper()
	var status webui.Status
	page, err := get(t.Context(), "http://"+a.address+"/api/v1/status")
	if err == nil {
		err = json.Unmarshal([]byte(page), &status)
	}
	return status, err
}

// alertmanager is a real Alertmanager that posts to one receiver.
type alertmanager struct {
	*process

	amtool  string
	address string
	home    string // amtool reads its own config from there
	command []string
}

// startAlertmanager starts a release of Alertmanager that posts to alertchat
// and waits until it is ready. It has one group for each alertname.
func startAlertmanager(t testing.TB, p programs, release, receiver string) *alertmanager {
	t.Helper()
	folder := t.TempDir()
	configFile := filepath.Join(folder, "alertmanager.yml")
	writeFile(t, configFile, fmt.Sprintf(`
route:
  receiver: alertchat
  group_by: [alertname]
  group_wait: 200ms
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: alertchat
    webhook_configs:
      - url: http://%s/alertmanager
        send_resolved: true
`, receiver))
	am := &alertmanager{amtool: p.amtool, address: freeAddress(t), home: folder}
	am.process = startProcess(t, p.alertmanager[release],
		"--config.file="+configFile,
		"--storage.path="+filepath.Join(folder, "data"),
		"--web.listen-address="+am.address,
		"--cluster.listen-address=", // no cluster
	)
	am.waitReady(t, am.address)
	return am
}

// fire posts an alert with the given labels, as name=value; the first one is
// the alertname.
func (am *alertmanager) fire(t testing.TB, labels ...string) {
	t.Helper()
	am.add(t, labels)
}

// end posts the end of an alert that was fired with the same labels.
func (am *alertmanager) end(t testing.TB, labels ...string) {
	t.Helper()
	am.add(t, labels, "--end="+time.Now().Format(time.RFC3339Nano))
}

func (am *alertmanager) add(t testing.TB, labels []string, flags ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, errors.New("amtool takes too long"))
	defer cancel()
	args := slices.Concat([]string{
		"alert", "add", "--no-version-check", "--alertmanager.url=http://" + am.address,
		"--annotation=summary=Something is up with " + labels[0],
	}, flags, labels)
	amtool := exec.CommandContext(ctx, am.amtool, args...)
	amtool.Env = append(os.Environ(), "HOME="+am.home)
	if output, err := amtool.CombinedOutput(); err != nil {
		t.Fatalf("amtool %q: %v\n%s", args, err, output)
	}
}

// waitFailedPost waits until Alertmanager has tried to reach its receiver and
// could not.
func (am *alertmanager) waitFailedPost(t testing.TB) {
	t.Helper()
	eventually(t, "a post to the receiver fails", func() error {
		page, err := get(t.Context(), "http://"+am.address+"/metrics")
		if err != nil {
			return err
		}
		for line := range strings.Lines(page) {
			if strings.HasPrefix(line, `alertmanager_notification_requests_failed_total{integration="webhook"`) &&
				!strings.HasSuffix(line, " 0\n") {
				return nil
			}
		}
		return errors.New("none has failed")
	})
}
