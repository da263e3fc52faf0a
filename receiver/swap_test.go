package receiver_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"alertchat/receiver/chat/chattest"
)

// volume is a folder as Kubernetes mounts a ConfigMap: each file is a symbolic
// link into the folder ..data, which is itself a link to the folder of one
// version. A new version is written beside the old one, and then the link is
// replaced: whoever reads a file sees one version or the other, but two files
// that are read one after the other may be of two.
type volume struct {
	t      testing.TB
	folder string
}

// put makes a version the present one, and then removes the one before it.
func (v *volume) put(version string, files map[string]string) {
	v.t.Helper()
	old, _ := os.Readlink(filepath.Join(v.folder, "..data")) // none at first
	v.must(os.Mkdir(filepath.Join(v.folder, ".."+version), 0o700))
	for name, text := range files {
		v.must(os.WriteFile(filepath.Join(v.folder, ".."+version, name), []byte(text), 0o600))
		if old == "" {
			v.must(os.Symlink(filepath.Join("..data", name), filepath.Join(v.folder, name)))
		}
	}
	v.must(os.Symlink(".."+version, filepath.Join(v.folder, "..data_tmp")))
	v.must(os.Rename(filepath.Join(v.folder, "..data_tmp"), filepath.Join(v.folder, "..data")))
	if old != "" {
		v.must(os.RemoveAll(filepath.Join(v.folder, old)))
	}
}

func (v *volume) must(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}

// generation returns the files of one version. Each of the three says which one
// it is of: the config's text, the template, and the space that the URL is of.
func (r *rig) generation(n int) map[string]string {
	return map[string]string{
		"config.yml": fmt.Sprintf(`
templates: ['*.tmpl']
spaces:
  - name: ops
    webhook_url_file: ops.url
    card: none
    text: 'config=%d {{ template "mine" . }}'
    rate_limit: 100
    digest_threshold: 0
`, n),
		"mine.tmpl": fmt.Sprintf(`{{ define "mine" }}template=%d {{ .CommonLabels.alertname }};{{ end }}`, n),
		"ops.url":   r.webhooks(fmt.Sprintf("WEBHOOK(%d)", n)),
	}
}

// TestASwapUnderLoadLosesAndMixesNothing swaps config, template and URL file
// again and again while alerts are posted and delivered. Each message is of one
// version in all three, and each alert is told once.
func TestASwapUnderLoadLosesAndMixesNothing(t *testing.T) {
	r := &rig{t: t, folder: t.TempDir(), first: map[string]string{}, chat: chattest.New(chattest.Options{}), log: &buffer{}}
	r.google = httptest.NewServer(r.chat)
	t.Cleanup(r.google.Close)
	v := &volume{t, r.folder}
	v.put("0", r.generation(0))
	r.start()
	t.Cleanup(r.halt)

	const senders, posts = 3, 40
	var sending sync.WaitGroup
	for i := range senders {
		sending.Go(func() {
			for j := range posts {
				name := fmt.Sprintf("A%d-%d", i, j)
				body := strings.Replace(string(payload("team", "alertname="+name)), "{}:{}", name, 1)
				resp, err := r.google.Client().Post(r.server.URL+"/alertmanager", "application/json", strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				if code, answer := r.read(resp); code != http.StatusOK {
					t.Errorf("POST answers %d: %s", code, answer)
				}
			}
		})
	}
	delivered := func() int {
		n := 0
		for _, place := range r.chat.Spaces() {
			n += len(r.chat.Messages(place))
		}
		return n
	}
	last := 0
	for last < 1000 && delivered() < senders*posts {
		last++
		v.put(fmt.Sprint(last), r.generation(last))
		r.until("the next version is loaded", func() bool { return strings.Count(r.log.String(), "Loaded the config") >= last })
	}
	sending.Wait()
	r.idle()
	checkGenerations(t, r.chat, senders*posts)
	if strings.Contains(r.log.String(), "level=ERROR") {
		t.Errorf("something went wrong:\n%s", r.log)
	}
}

// TestAFaultThatIsMendedInAnotherFileIsNoticed mends what only the config that
// cannot be loaded names: the one in use does not know of that file.
func TestAFaultThatIsMendedInAnotherFileIsNoticed(t *testing.T) {
	const config = "spaces: [{name: ops, webhook_url_file: ops.url, rate_limit: 100}]"
	r := newRig(t, config, chattest.Options{}, "ops.url", "WEBHOOK(OPS)")
	r.write("config.yml", strings.Replace(config, "ops.url", "new.url", 1))
	r.until("the missing file is told", func() bool { return strings.Contains(r.log.String(), "open new.url") })
	r.write("new.url", "WEBHOOK(NEW)")
	r.until("the config is loaded", func() bool { return strings.Contains(r.log.String(), "Loaded the config") })
	r.post("/alertmanager", payload("team", "alertname=A"))
	r.idle()
	if len(r.bodies("NEW")) != 1 {
		t.Errorf("messages %q, want one", r.bodies("NEW"))
	}
	if n := strings.Count(r.log.String(), "open new.url"); n != 1 {
		t.Errorf("the fault is logged %d times, want once", n)
	}
}

var generations = regexp.MustCompile(`^config=(\d+) template=(\d+) (A\d-\d+);$`)

// checkGenerations reads what stands in each space.
func checkGenerations(t *testing.T, chat *chattest.Server, want int) {
	t.Helper()
	told, versions := map[string]int{}, 0
	for _, place := range chat.Spaces() {
		messages := chat.Messages(place)
		if len(messages) > 0 {
			versions++
		}
		for _, m := range messages {
			parts := generations.FindStringSubmatch(m.Text)
			if parts == nil {
				t.Errorf("message %q in %s", m.Text, place)
				continue
			}
			if parts[1] != parts[2] || "spaces/"+parts[1] != place {
				t.Errorf("message %q stands in %s: it is of more than one version", m.Text, place)
			}
			told[parts[3]]++
		}
	}
	if len(told) != want {
		t.Errorf("%d alerts are told, want %d", len(told), want)
	}
	for name, n := range told {
		if n != 1 {
			t.Errorf("%s is told %d times, want once", name, n)
		}
	}
	if versions < 5 {
		t.Errorf("the alerts were told by %d versions, want several", versions)
	}
}
