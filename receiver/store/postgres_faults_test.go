package store_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"alertchat/receiver/alert"
	"alertchat/receiver/delivery"
	"alertchat/receiver/store"
	"alertchat/receiver/store/pgtest"
)

func TestPostgreSQLThatEnds(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t)
	t.Run("a server that stops and starts is waited for", func(t *testing.T) { testStopAndStart(t, server) })
	t.Run("what is added survives a killed server", func(t *testing.T) { testKilledServer(t, server) })
}

func testStopAndStart(t *testing.T, server *pgtest.Server) {
	u := server.URL(t)
	book := &logBook{}
	o := book.options()
	registry := prometheus.NewRegistry()
	o.Registerer = registry
	s := openURL(t, u, o)
	standby := openStandby(t, u, store.Options{})
	l := acquire(t, s)
	ids := add(t, s, note("ops", "g", nil))
	gauge := func(want string) {
		t.Helper()
		text := "# HELP alertchat_storage_failing Whether nothing can be stored at the moment (1) or all is well (0).\n" +
			"# TYPE alertchat_storage_failing gauge\nalertchat_storage_failing " + want + "\n"
		if err := testutil.GatherAndCompare(registry, strings.NewReader(text)); err != nil {
			t.Error(err)
		}
	}
	gauge("0")
	server.Stop(t)
	closing := time.Now()
	closeStore(t, standby)
	if took := time.Since(closing); took > 5*time.Second {
		t.Errorf("Close() took %v without a server", took)
	}
	eventually(t, 10*time.Second, "it is noticed without traffic", func() bool { return s.Ready() != nil })
	gauge("1")
	<-time.After(2 * time.Second) // several attempts to connect
	const cause = "PostgreSQL at 127.0.0.1 cannot be reached"
	wantUnavailable(t, "Ready()", s.Ready(), cause)
	wantUnavailable(t, "Add()", s.Add(t.Context(), []alert.Notification{note("ops", "g", nil)}), cause)
	_, err := s.Waiting(t.Context(), "ops", 1)
	wantUnavailable(t, "Waiting()", err, cause)
	if n := book.count(cause); n != 1 {
		t.Errorf("it was logged %d times, want once:\n%s", n, book)
	}

	server.Start(t)
	eventually(t, 5*time.Second, "it works again", func() bool { return s.Ready() == nil })
	gauge("0")
	ids = append(ids, add(t, s, note("ops", "g", nil))...)
	equal(t, "what waits", waiting(t, s, "ops"), ids)
	eventually(t, 5*time.Second, "the lease is renewed", func() bool { return s.Holds(l, 11*time.Second) })
	save(t, s, l, planned("ops", ids...))
	wantNoSecret(t, u, book.String(), err.Error())
}

func testKilledServer(t *testing.T, server *pgtest.Server) {
	s := openURL(t, server.URL(t), store.Options{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	acknowledged, stop := make(map[int64]bool), make(chan struct{})
	for range 20 {
		wg.Go(func() {
			for i := 0; ; i++ {
				n := []alert.Notification{note("ops", fmt.Sprint(i), []byte("body"))}
				if err := s.Add(context.Background(), n); err == nil {
					mu.Lock()
					acknowledged[n[0].ID] = true
					mu.Unlock()
				} else if !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("Add() = %v, want %v", err, store.ErrUnavailable)
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	many := func(n int) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(acknowledged) > n
		}
	}
	for round := range 2 {
		eventually(t, 20*time.Second, "many are added", many((2*round+1)*500))
		server.Kill(t)
		server.Start(t)
		eventually(t, 20*time.Second, "more are added", many((2*round+2)*500))
	}
	close(stop)
	wg.Wait()
	there := make(map[int64]bool)
	for _, id := range waiting(t, s, "ops") {
		there[id] = true
	}
	for id := range acknowledged {
		if !there[id] {
			t.Errorf("notification %d was acknowledged, and is lost", id)
		}
	}
}

func testUnusable(t *testing.T, server *pgtest.Server) {
	alter := func(t *testing.T, to string, change func(u *url.URL)) string {
		t.Helper()
		u, err := url.Parse(to)
		if err != nil {
			t.Fatal(err)
		}
		change(u)
		return u.String()
	}
	admin := server.URL(t)
	onURL(t, admin, `CREATE ROLE guest LOGIN PASSWORD 'canary-guest'`)
	type opened struct {
		s         *store.Store
		book      *logBook
		url, want string
	}
	stores := make(map[string]opened)
	asGuest := func(u *url.URL) { u.User = url.UserPassword("guest", "canary-guest") }
	for name, c := range map[string]struct {
		url  func(t *testing.T) string
		want string
	}{
		"no URL":                              {func(*testing.T) string { return "postgres://user:canary@ho st:x/" }, "the URL of PostgreSQL cannot be read"},
		"a password with a special character": {func(*testing.T) string { return "postgres://user:can/ary@127.0.0.1/x" }, "cannot be read"},
		"a certificate that is not there": {func(t *testing.T) string {
			t.Helper()
			return strings.Replace(admin, "sslmode=disable", "sslmode=verify-full&sslrootcert=/missing.crt", 1)
		}, "names a file that cannot be read"},
		"a server without TLS": {func(*testing.T) string {
			return strings.Replace(admin, "sslmode=disable", "sslmode=require", 1)
		}, "does not agree on TLS: check sslmode"},
		"a certificate that nobody knows": {func(t *testing.T) string {
			t.Helper()
			return alter(t, strings.Replace(admin, "sslmode=disable", "sslmode=verify-full", 1), func(u *url.URL) { u.Host = unknownCertificate(t) })
		}, "does not agree on TLS: check sslmode"},
		"nothing listens": {func(t *testing.T) string {
			t.Helper()
			return alter(t, admin, func(u *url.URL) { u.Host = "127.0.0.1:1" })
		}, "PostgreSQL at 127.0.0.1 cannot be reached"},
		"a wrong password": {func(t *testing.T) string {
			t.Helper()
			return alter(t, admin, func(u *url.URL) { u.User = url.UserPassword("alertchat", "canary-wrong") })
		}, "refuses the login: check user and password in the URL, and restart"},
		"no such database": {func(t *testing.T) string {
			t.Helper()
			return alter(t, admin, func(u *url.URL) { u.Path = "/missing" })
		}, "does not have the database of the URL: create it"},
		"a user without rights": {func(t *testing.T) string {
			t.Helper()
			return alter(t, server.URL(t), asGuest)
		}, "make it the owner of the database"},
		"no connection left": {func(t *testing.T) string {
			t.Helper()
			u := server.URL(t)
			onURL(t, u, `DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' CONNECTION LIMIT 0'; END $$`)
			return alter(t, u, asGuest)
		}, "takes no more connections"},
		"a server that can only be read": {func(t *testing.T) string {
			t.Helper()
			return server.URL(t) + "&default_transaction_read_only=on"
		}, "point the URL at the primary"},
		"tables of something else": {func(t *testing.T) string {
			t.Helper()
			u := server.URL(t)
			onURL(t, u, `CREATE TABLE other (x TEXT)`)
			return u
		}, "give alertchat a database of its own"},
		"a schema of a newer program": {func(t *testing.T) string {
			t.Helper()
			u := server.URL(t)
			closeStore(t, openURL(t, u, store.Options{}))
			onURL(t, u, `UPDATE meta SET value = '99'`)
			return u
		}, "made by a newer alertchat"},
	} {
		book := &logBook{}
		o := book.options()
		o.PostgresURL = c.url(t)
		s := store.Open(o)
		t.Cleanup(func() { closeStore(t, s) })
		stores[name] = opened{s, book, o.PostgresURL, c.want}
	}
	<-time.After(1500 * time.Millisecond) // it is tried again and again
	for name, c := range stores {
		t.Run(name, func(t *testing.T) {
			eventually(t, 20*time.Second, "it says so", func() bool { return strings.Contains(c.s.Ready().Error(), c.want) })
			wantUnavailable(t, "Add()", c.s.Add(t.Context(), []alert.Notification{note("ops", "g", nil)}), c.want)
			if n := c.book.count("The storage is unavailable"); n != 1 {
				t.Errorf("it was logged %d times, want once:\n%s", n, c.book)
			}
			err := c.s.Ready()
			for _, text := range []string{c.book.String(), err.Error(), fmt.Sprintf("%v %+v %#v", err, err, err)} {
				for _, secret := range []string{"canary", "ary@", c.url, password(t, admin)} {
					if strings.Contains(text, secret) {
						t.Errorf("%q is in %q", secret, text)
					}
				}
			}
		})
	}
}

// unknownCertificate returns the address of a server that begins as PostgreSQL
// does, with a certificate that nobody has signed.
func unknownCertificate(t *testing.T) string {
	t.Helper()
	web := httptest.NewTLSServer(nil)
	t.Cleanup(web.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				if _, err := io.ReadFull(conn, make([]byte, 8)); err != nil {
					return
				}
				_, _ = conn.Write([]byte("S"))
				_ = tls.Server(conn, web.TLS).Handshake()
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		running.Wait()
	})
	return listener.Addr().String()
}

func testNewerSchema(t *testing.T, u string) {
	old := openURL(t, u, store.Options{})
	ids := add(t, old, note("ops", "g", nil))
	closeStore(t, old)
	onURL(t, u, `UPDATE meta SET value = '99' WHERE key = 'schema_version'`, `ALTER TABLE incidents ADD COLUMN extra TEXT`)
	usable := openURL(t, u, store.Options{})
	equal(t, "what waits", waiting(t, usable, "ops"), ids)
	closeStore(t, usable)
	onURL(t, u, `UPDATE meta SET value = '99' WHERE key = 'schema_least'`)
	conn := connectURL(t, u)
	before := number(t, conn, `SELECT epoch + beat FROM lease`)
	s := store.Open(store.Options{PostgresURL: u})
	defer closeStore(t, s)
	eventually(t, 10*time.Second, "it says so", func() bool { return strings.Contains(s.Ready().Error(), "newer") })
	<-time.After(1200 * time.Millisecond)
	if after := number(t, conn, `SELECT epoch + beat FROM lease`); after != before {
		t.Error("the lease was touched")
	}
}

func testConflict(t *testing.T, u string) {
	s := openURL(t, u, store.Options{})
	for _, code := range []string{"40001", "40P01"} {
		tries := 0
		err := s.Do(t.Context(), func(exec func(string) error) error {
			if tries++; tries < 3 {
				return exec(`DO $$ BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = '` + code + `'; END $$`)
			}
			return nil
		})
		if err != nil || tries != 3 {
			t.Errorf("%s: Do() = %v after %d tries, want success at the third", code, err, tries)
		}
	}
	for code, want := range map[string]string{
		"40001": "conflicting writes", "53100": "no room on its disk", "57014": "takes too long", "42501": "owner of the database",
		"57P03": "is starting or stopping: wait",
	} {
		// After some of them a store is opened anew, and may fail with the same until
		// then: each has one of its own.
		closeStore(t, s)
		s = openURL(t, u, store.Options{})
		err := s.Do(t.Context(), func(exec func(string) error) error {
			return exec(`DO $$ BEGIN RAISE EXCEPTION 'fault' USING ERRCODE = '` + code + `'; END $$`)
		})
		wantUnavailable(t, code, err, want)
		eventually(t, 10*time.Second, "it works again", func() bool { return s.Ready() == nil })
	}
	closeStore(t, s)
	s = openURL(t, u, store.Options{})
	if err := s.Do(t.Context(), func(exec func(string) error) error { return exec(`SELECT 1/0`) }); err == nil || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Do(1/0) = %v, want an error of its own", err)
	}
}

// refusing makes the inserts into a table fail with a SQLSTATE.
func refusing(t *testing.T, u, table, code string) {
	t.Helper()
	onURL(t, u, `CREATE OR REPLACE FUNCTION refuse() RETURNS TRIGGER LANGUAGE plpgsql AS
		$$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '`+code+`'; END $$`,
		`CREATE TRIGGER refusing BEFORE INSERT ON `+table+` FOR EACH ROW EXECUTE FUNCTION refuse()`)
}

func testLastingFault(t *testing.T, u string) {
	for code, want := range map[string]string{
		"53100": "no room on its disk", // the connection is kept
		"57014": "takes too long",      // it is opened anew
	} {
		book := &logBook{}
		s := openURL(t, u, book.options())
		refusing(t, u, "notifications", code)
		wantUnavailable(t, "Add()", s.Add(t.Context(), []alert.Notification{note("ops", "g", nil)}), want)
		eventually(t, 5*time.Second, "it says so", func() bool { return s.Ready() != nil })
		tick := time.NewTicker(time.Millisecond)
		for end := time.Now().Add(2500 * time.Millisecond); time.Now().Before(end); <-tick.C { // several probes
			if s.Ready() == nil {
				t.Errorf("%s: Ready() = nil while nothing can be added", code)
				break
			}
		}
		tick.Stop()
		if told, ready := book.count("The storage is unavailable"), book.count("The storage is ready"); told != 1 || ready != 1 {
			t.Errorf("%s: it was logged %d times, and %d times that it works, want each once:\n%s", code, told, ready, book)
		}
		onURL(t, u, `DROP TRIGGER refusing ON notifications`)
		eventually(t, 5*time.Second, "it works again", func() bool { return s.Ready() == nil })
		add(t, s, note("ops", "g", nil))
		closeStore(t, s)
	}
}

// What a probe does not see comes and goes.
func testFlappingFault(t *testing.T, u string) {
	book := &logBook{}
	s := openURL(t, u, book.options())
	refusing(t, u, "spaces", "53100")
	l := acquire(t, s)
	for range 3 {
		wantUnavailable(t, "SaveHealth()", s.SaveHealth(t.Context(), l, "ops", delivery.Health{}), "no room on its disk")
		eventually(t, 5*time.Second, "it says so", func() bool { return s.Ready() != nil })
		eventually(t, 5*time.Second, "a probe passes", func() bool { return s.Ready() == nil })
	}
	if told, ready := book.count("The storage is unavailable"), book.count("The storage is ready"); told != 1 || ready != 2 {
		t.Errorf("it was logged %d times, want once, and %d times that it works, want that at the start and once more:\n%s", told, ready, book)
	}
}

func testRefusedTexts(t *testing.T, u string) {
	s := openURL(t, u, store.Options{})
	n := note("ops\x00", "g\x00\xff", []byte("\x00\xff"))
	n.Unknown = "\xff"
	ids := add(t, s, n)
	equal(t, "what waits", waiting(t, s, "ops\x00"), ids)
	got, err := s.Read(t.Context(), ids)
	if err != nil || len(got) != 1 {
		t.Fatalf("Read() = %v, %v, want one", got, err)
	}
	if g := got[0]; g.Group.Key != "g\ufffd\ufffd" || g.Unknown != "\ufffd" || string(g.Body) != "\x00\xff" {
		t.Errorf("Read() = %+v, want the body as it was, the texts without what cannot be in them", g)
	}
}

func testSafeCommit(t *testing.T, u string) {
	s := openURL(t, u+"&synchronous_commit=off&default_transaction_isolation=serializable", store.Options{})
	err := s.Do(t.Context(), func(exec func(string) error) error {
		return exec(`DO $$ BEGIN
			IF current_setting('synchronous_commit') <> 'on' OR current_setting('transaction_isolation') <> 'read committed' THEN
				RAISE EXCEPTION 'not safe';
			END IF;
		END $$`)
	})
	if err != nil {
		t.Errorf("Do() = %v", err)
	}
}
