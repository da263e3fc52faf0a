package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"alertchat/receiver/store/pgtest"
)

// stalling leads to a database. Once it is stalled, nothing gets there any more,
// and begun is told of each transaction that would begin.
type stalling struct {
	url     string
	stalled atomic.Bool
	begun   chan struct{}
	over    chan struct{}
	end     func() // closes over: no connection is left
}

func newStalling(t *testing.T, database string) *stalling {
	t.Helper()
	u, err := url.Parse(database + "&default_query_exec_mode=exec") // statements travel as texts
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &stalling{begun: make(chan struct{}, 1), over: make(chan struct{})}
	s.end = sync.OnceFunc(func() { close(s.over) })
	target := u.Host
	u.Host = l.Addr().String()
	s.url = u.String()
	var running sync.WaitGroup
	running.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { s.carry(from, target) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.end()
		running.Wait()
	})
	return s
}

func (s *stalling) carry(from net.Conn, target string) {
	defer from.Close()
	to, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(from, to)
		_ = from.Close()
	})
	back.Go(func() {
		<-s.over
		_, _ = from.Close(), to.Close()
	})
	buffer := make([]byte, 64<<10)
	for n := 0; err == nil; n, err = from.Read(buffer) {
		if !s.stalled.Load() {
			_, _ = to.Write(buffer[:n])
		} else if bytes.Contains(buffer[:n], []byte("BEGIN ")) {
			select {
			case s.begun <- struct{}{}:
			default:
			}
		}
	}
	back.Wait()
}

func TestADatabaseThatDoesNotAnswerDoesNotHoldUpTheEnd(t *testing.T) {
	link := newStalling(t, pgtest.New(t).URL(t))
	file := filepath.Join(t.TempDir(), "postgres.url")
	if err := os.WriteFile(file, []byte(link.url), 0o600); err != nil {
		t.Fatal(err)
	}
	config, _, _ := hanging(t)
	s := startServe(t, config, "--storage.postgres-url-file="+file)
	s.until(t, "it delivers", func() bool { return strings.Contains(s.log.String(), "has the right to deliver") })
	link.stalled.Store(true)
	posted := make(chan struct{})
	go func() {
		defer close(posted)
		if resp, err := http.Post("http://"+s.address+"/alertmanager", "application/json", strings.NewReader(firing)); err == nil {
			_ = resp.Body.Close()
		}
	}()
	s.until(t, "it wants to store", func() bool { return len(link.begun) > 0 })
	s.signals <- syscall.SIGTERM
	s.until(t, "it stops", func() bool { return strings.Contains(s.log.String(), "Stopping") })
	s.signals <- syscall.SIGTERM
	select {
	case code := <-s.ended:
		if code != exitFailed || !strings.Contains(s.log.String(), "close the storage: the database does not answer in time") {
			t.Errorf("exit code %d\n%s", code, s.log)
		}
	case <-time.After(5 * time.Second): // the answer would be waited for twice as long
		t.Errorf("it runs on\n%s", s.log)
	}
	link.end()
	<-posted
}
