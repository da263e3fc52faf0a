package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"alertchat/receiver/chat/chattest"
	"alertchat/receiver/store/pgtest"
)

// replica is one of the receivers. It reaches Google Chat through a door of its
// own, which tells when it sent something.
type replica struct {
	*alertchat

	name string
	mu   sync.Mutex // guards sent
	sent []sent
}

// sent is one request to Chat.
type sent struct {
	at   time.Time
	path string
}

// sentSince returns where the requests went that the replica has made since
// then.
func (r *replica) sentSince(then time.Time) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var paths []string
	for _, s := range r.sent {
		if s.at.After(then) {
			paths = append(paths, s.path)
		}
	}
	return paths
}

// replicas are two receivers on one database.
type replicas struct {
	t        *testing.T
	chat     *googleChat
	postgres *pgtest.Server
	secrets  markers
	all      [2]*replica
	senders  []*sender
	outputs  []string // of the processes that have ended
}

// startReplicas starts two receivers with a config that leads to the stand-in
// at an address.
func startReplicas(t *testing.T, path string, chat *googleChat, config func(address string) string) *replicas {
	t.Helper()
	r := &replicas{t: t, chat: chat, postgres: pgtest.New(t), secrets: markers{}}
	database := r.postgres.URL(t)
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	r.secrets["password of PostgreSQL"], _ = u.User.Password()
	for space, hook := range chat.hooks {
		r.secrets.addWebhook(t, "webhook of "+space, hook)
	}
	for i, name := range []string{"A", "B"} {
		re := &replica{name: name}
		door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
			re.mu.Lock()
			re.sent = append(re.sent, sent{time.Now(), request.URL.Path})
			re.mu.Unlock()
			chat.ServeHTTP(w, request)
		}))
		t.Cleanup(door.Close)
		re.alertchat = newReplica(t, path, database, config(door.URL))
		r.all[i] = re
		re.start(t)
	}
	return r
}

// newReplica returns a receiver on a database, which does not run yet.
func newReplica(t testing.TB, path, database, config string) *alertchat {
	t.Helper()
	folder := t.TempDir()
	a := &alertchat{
		path: path, address: ownAddress(t), configFile: filepath.Join(folder, "config.yml"),
		storage: filepath.Join(folder, "not-used"), flags: []string{"--storage.postgres-url-file=" + filepath.Join(folder, "postgres.url")},
	}
	writeFile(t, a.configFile, config)
	writeFile(t, filepath.Join(folder, "postgres.url"), database+"\n")
	return a
}

// startSending starts two receivers, and senders that post to both.
func startSending(t *testing.T, path string, copies bool) (r *replicas, finish func()) {
	t.Helper()
	chat := startChatWith(t, chattest.Options{Rate: 1})
	chat.addSenderSpaces()
	chat.hooks[bigSpace] = chat.AddWebhook(place(bigSpace))
	r = startReplicas(t, path, chat, func(address string) string {
		return chat.senderConfig(address, 1, replicaTimeout, bigSpace)
	})
	for i := range replicaSenders {
		s := newSender(1, i, r.all[0].alertchat, r.all[1].alertchat)
		s.pace, s.copies = 200*time.Millisecond, copies
		r.senders = append(r.senders, s)
	}
	finish = startSenders(t, r.senders)
	r.waitMessages(2 * senderSpaces)
	return r, finish
}

// waitMessages waits until Chat has so many more messages.
func (r *replicas) waitMessages(more int) {
	r.t.Helper()
	count := func() (n int) {
		for i := range senderSpaces {
			n += len(r.chat.Messages(place(spaceName(i))))
		}
		return n
	}
	before := count()
	eventually(r.t, fmt.Sprintf("%d more messages", more), func() error {
		if n := count() - before; n < more {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
}

// roles returns the replica that delivers and the other.
func (r *replicas) roles() (holder, standby *replica) {
	r.t.Helper()
	eventually(r.t, "one of the replicas delivers", func() error {
		for i, re := range r.all {
			if err := re.delivers(r.t); err == nil {
				holder, standby = re, r.all[1-i]
				return nil
			}
		}
		return errors.New("none does")
	})
	return holder, standby
}

// delivers returns nil if the replica says that it delivers.
func (r *replica) delivers(t testing.TB) error {
	t.Helper()
	if err := r.ended(); err != nil {
		t.Fatal(err)
	}
	status, err := r.status(t)
	if err == nil && !status.Delivering {
		err = errors.New("it stands by")
	}
	return err
}

// waitTakeover waits until a replica delivers, and returns how long it took to
// do so since the other one ended.
func (r *replicas) waitTakeover(heir *replica, since time.Time, limit time.Duration) {
	r.t.Helper()
	within(r.t, patience+limit, "the replica "+heir.name+" delivers", func() error { return heir.delivers(r.t) })
	took := time.Since(since)
	within(r.t, patience, "the replica "+heir.name+" sends something", func() error {
		if len(heir.sentSince(since)) == 0 {
			return errors.New("nothing yet")
		}
		return nil
	})
	r.t.Logf("the replica %s delivers %.2fs after the other ended, and its first message came after %.2fs", heir.name, took.Seconds(), time.Since(since).Seconds())
	if took > limit {
		r.t.Errorf("the replica %s took over after %s, want at most %s", heir.name, took, limit)
	}
}

// waitUnderWay lets Chat not answer the next request for a space, and returns
// it once it has come.
func (r *replicas) waitUnderWay(space string, act bool) chattest.Request {
	r.t.Helper()
	known := len(r.chat.Requests())
	r.chat.Inject(place(space), 1, chattest.Fault{Act: act, Hang: true})
	var found chattest.Request
	eventually(r.t, "a request to "+space+" hangs", func() error {
		for _, request := range r.chat.Requests()[known:] {
			if request.Space == place(space) && request.Status == 0 && (request.Message != "") == act {
				found = request
				return nil
			}
		}
		return errors.New("none does")
	})
	return found
}

// wantRepeated fails the test unless a request was made again as it was.
func (r *replicas) wantRepeated(first chattest.Request) {
	r.t.Helper()
	for _, again := range r.chat.Requests() {
		if again.RequestID != first.RequestID || !again.At.After(first.At) || again.Status != http.StatusOK {
			continue
		}
		if !bytes.Equal(again.Body, first.Body) {
			r.t.Errorf("the request id %s stands for two messages:\n%s\n%s", first.RequestID, first.Body, again.Body)
		}
		if first.Message != "" && again.Message != first.Message {
			r.t.Errorf("the request %s made the messages %s and %s", first.RequestID, first.Message, again.Message)
		}
		return
	}
	r.t.Errorf("the request %s, which was under way, was not made again", first.RequestID)
}

// end ends a replica by force and keeps what it has printed.
func (r *replicas) end(re *replica) {
	re.kill()
	r.outputs = append(r.outputs, re.output())
}

// check waits until all is told, and judges it.
func (r *replicas) check() {
	r.t.Helper()
	holder, _ := r.roles()
	within(r.t, 2*patience, "all that was accepted is told", func() error { return holder.drained(r.t) })
	accepted, again, messages := r.chat.wantTold(r.t, r.senders)
	r.t.Logf("%d notifications accepted, %d posts repeated, %d messages", accepted, again, messages)
	said := map[string]string{}
	for i := range senderSpaces {
		for _, m := range r.chat.Messages(place(spaceName(i))) {
			if before, ok := said[string(m.Body)]; ok {
				r.t.Errorf("the messages %s and %s say the same:\n%s", before, m.Name, m.Body)
			}
			said[string(m.Body)] = m.Name
		}
	}
	r.checkManners()
}

// checkManners judges how the replicas behaved beside what they told.
func (r *replicas) checkManners() {
	r.t.Helper()
	r.chat.wantPaced(r.t, 1)
	r.chat.wantNoRemarks(r.t)
	for _, re := range r.all {
		for _, path := range []string{"/", "/api/v1/status", "/metrics"} {
			page, err := get(r.t.Context(), "http://"+re.address+path)
			if err != nil {
				r.t.Error(err)
			}
			r.secrets.wantAbsent(r.t, path+" of the replica "+re.name, page)
		}
		re.signal(r.t, syscall.SIGTERM)
		re.waitEnd(r.t)
		if code := re.cmd.ProcessState.ExitCode(); code != 0 {
			r.t.Errorf("the replica %s ended with code %d, want 0", re.name, code)
		}
		r.outputs = append(r.outputs, re.output())
	}
	for _, output := range r.outputs {
		r.secrets.wantAbsent(r.t, "an output", output)
		for line := range strings.Lines(output) {
			if strings.Contains(line, "level=ERROR") || strings.Contains(line, "panic") {
				r.t.Errorf("although everything here passes by itself, it says: %s", line)
			}
		}
	}
}
