package store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"alertchat/receiver/alert"
	"alertchat/receiver/delivery"
	"alertchat/receiver/store"
	"alertchat/receiver/store/pgtest"
)

func TestPostgreSQLThatIsSlow(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t)
	for _, part := range []struct {
		name string
		test func(t *testing.T, url string)
	}{
		{"a holder that stands still in the midst of a write is followed", testHalfSent},
		{"a large write over a slow network passes", testSlowNetwork},
		{"a database that does not answer while it is opened says so", testOpeningHangs},
		{"nobody else gets the lease while it is taken anew", testTakenAnew},
		{"a process that cannot use its storage gives up the lease", testUnusedLease},
		{"a process that is too old for its storage gives up the lease", testOutdatedHolder},
		{"a lease stays locked until its write is committed", testLockedUntilCommit},
		{"a lease that was lost does not come back with an older database", testOlderDatabase},
		{"a transaction that began half way is undone", testHalfBegun},
	} {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			part.test(t, server.URL(t))
		})
	}
}

// filter passes on what is sent to a server: it returns how much of it may go
// now, and how long the rest waits; it waits for ever with a negative time.
type filter func(sent []byte) (now int, wait time.Duration)

// newFilter puts filters, one for each connection, before the server of a URL.
func newFilter(tb testing.TB, to string, filters func() filter) string {
	tb.Helper()
	u, err := url.Parse(to)
	if err != nil {
		tb.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	target, over := u.Host, make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { carryFiltered(from, target, filters(), over) })
		}
	})
	tb.Cleanup(func() {
		close(over)
		_ = listener.Close()
		running.Wait()
	})
	u.Host = listener.Addr().String()
	return u.String()
}

func carryFiltered(from net.Conn, target string, pass filter, over <-chan struct{}) {
	defer from.Close()
	to, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer to.Close()
	ended := make(chan struct{})
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(from, to)
		_ = from.Close()
	})
	back.Go(func() {
		select {
		case <-over:
		case <-ended:
		}
		_, _ = from.Close(), to.Close()
	})
	defer back.Wait()
	defer close(ended)
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		now, wait := pass(buffer[:n])
		_, _ = to.Write(buffer[:now])
		if wait < 0 {
			<-over // the server sees a client that stands still
			return
		}
		select {
		case <-time.After(wait):
		case <-over:
			return
		}
		if _, err := to.Write(buffer[now:n]); err != nil {
			return
		}
	}
}

func testHalfSent(t *testing.T, u string) {
	through := newFilter(t, u, func() filter {
		return func(sent []byte) (int, time.Duration) {
			if i := bytes.Index(sent, []byte("the last of many")); i >= 0 {
				return i, -1
			}
			return len(sent), 0
		}
	})
	first := openURL(t, through, store.Options{})
	second := openStandby(t, u, store.Options{})
	l := acquire(t, first)
	var notes []alert.Notification
	for range 100 {
		notes = append(notes, note("ops", "g", make([]byte, 1000)))
	}
	notes = append(notes, note("ops", "g", []byte("the last of many")))
	d := planned("ops")
	entered, proceed := make(chan struct{}), make(chan struct{})
	var writes sync.WaitGroup
	defer writes.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	writes.Go(func() {
		_ = first.Do(ctx, func(func(string) error) error {
			close(entered)
			<-proceed
			return nil
		})
	})
	<-entered // what comes now is committed at once
	writes.Go(func() { _ = first.Save(ctx, l, d) })
	<-time.After(50 * time.Millisecond)
	writes.Go(func() { _ = first.Add(ctx, notes) })
	<-time.After(50 * time.Millisecond)
	close(proceed)
	conn := connectURL(t, u)
	eventually(t, 5*time.Second, "the server has a part of it", func() bool {
		return number(t, conn, `SELECT COUNT(*) FROM pg_stat_activity
			WHERE datname = current_database() AND backend_xid IS NOT NULL AND state = 'active' AND wait_event = 'ClientRead'`) == 1
	})
	onURL(t, u, `UPDATE lease SET holder = ''`) // as if it had lapsed
	begun := time.Now()
	next := acquire(t, second)
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the lease was had after %v", took)
	}
	save(t, second, next, planned("ops"))
}

func testSlowNetwork(t *testing.T, u string) {
	book := &logBook{}
	slow := newFilter(t, u, func() filter {
		return func(sent []byte) (int, time.Duration) {
			return 0, time.Duration(len(sent)) * time.Second / (5 << 18) // 1.25 MiB/s
		}
	})
	s := openURL(t, slow, book.options())
	begun := time.Now()
	add(t, s, note("ops", "g", make([]byte, 14<<20)))
	if took := time.Since(begun); took < 10*time.Second {
		t.Errorf("it took %v, which says nothing", took)
	}
	if n := book.count("unavailable"); n != 0 {
		t.Errorf("the storage was unavailable:\n%s", book)
	}
}

func testOpeningHangs(t *testing.T, u string) {
	var once sync.Once
	through := newFilter(t, u, func() filter {
		return func(sent []byte) (now int, wait time.Duration) {
			now = len(sent)
			if bytes.Contains(sent, []byte("pg_tables")) {
				once.Do(func() { now, wait = 0, -1 })
			}
			return now, wait
		}
	})
	s := store.Open(store.Options{PostgresURL: through})
	t.Cleanup(func() { closeStore(t, s) })
	eventually(t, 15*time.Second, "it is noticed", func() bool {
		err := s.Ready()
		return err != nil && strings.Contains(err.Error(), "does not answer in time")
	})
	eventually(t, 5*time.Second, "it is opened once it answers", func() bool { return s.Ready() == nil })
}

func testTakenAnew(t *testing.T, u string) {
	first := openURL(t, u, store.Options{})
	second := openStandby(t, u, store.Options{})
	l := acquire(t, first)
	save(t, first, l, planned("ops", add(t, first, note("ops", "g", nil))...))
	conn := connectURL(t, u)
	onURL(t, u, `CREATE TABLE given_up (x BIGINT)`,
		`CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN IF NEW.holder = '' THEN INSERT INTO given_up VALUES (1); END IF; RETURN NEW; END $$`,
		`CREATE TRIGGER note_it BEFORE UPDATE ON lease FOR EACH ROW EXECUTE FUNCTION note_it()`,
		`UPDATE deliveries SET plan = '{'`)
	_, err := first.Planned(t.Context(), "ops")
	wantUnavailable(t, "Planned()", err, "damaged")
	eventually(t, 12*time.Second, "the first has it anew", func() bool {
		now, held := first.Holding()
		return held && now.Epoch > l.Epoch
	})
	if empty := number(t, conn, `SELECT COUNT(*) FROM given_up`); empty != 0 {
		t.Errorf("it was given up %d times meanwhile", empty)
	}
	if now, held := second.Holding(); held {
		t.Errorf("another process has the lease %v", now)
	}
}

// asPartial returns the URL of a user who owns nothing, but may do all.
func asPartial(t *testing.T, u string) string {
	t.Helper()
	closeStore(t, openURL(t, u, store.Options{}))
	parsed, err := url.Parse(u)
	if err != nil {
		t.Fatal(err)
	}
	onURL(t, u, `CREATE ROLE partial LOGIN PASSWORD 'canary-partial'`, `GRANT ALL ON ALL TABLES IN SCHEMA public TO partial`)
	parsed.User = url.UserPassword("partial", "canary-partial")
	return parsed.String()
}

func testUnusedLease(t *testing.T, u string) {
	network := newLink(t, asPartial(t, u))
	first := openURL(t, network.url, store.Options{})
	second := openStandby(t, u, store.Options{})
	l := acquire(t, first)
	onURL(t, u, `REVOKE ALL ON meta FROM partial`)
	network.cut()
	next := acquire(t, second)
	if next.Epoch != l.Epoch+1 {
		t.Errorf("the epoch is %d after %d", next.Epoch, l.Epoch)
	}
	wantUnavailable(t, "Ready()", first.Ready(), "make it the owner of the database")
	wantNoLease(t, first)
	onURL(t, u, `GRANT ALL ON meta TO partial`)
	eventually(t, 5*time.Second, "the first works again", func() bool { return first.Ready() == nil })
	closeStore(t, second)
	acquire(t, first)
}

func testOutdatedHolder(t *testing.T, u string) {
	network := newLink(t, u)
	first := openURL(t, network.url, store.Options{})
	second := openStandby(t, u, store.Options{})
	acquire(t, first)
	onURL(t, u, `UPDATE meta SET value = '99' WHERE key = 'schema_least'`)
	network.cut()
	begun := time.Now()
	acquire(t, second)
	if took := time.Since(begun); took > 6*time.Second {
		t.Errorf("the lease was had after %v", took)
	}
	wantUnavailable(t, "Ready()", first.Ready(), "newer alertchat")
}

func testLockedUntilCommit(t *testing.T, u string) {
	s := openURL(t, u, store.Options{})
	l := acquire(t, s)
	onURL(t, u, `CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$`,
		`CREATE CONSTRAINT TRIGGER linger AFTER INSERT ON deliveries DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION linger()`)
	saved := make(chan error, 1)
	d := planned("ops")
	go func() { saved <- s.Save(context.Background(), l, d) }()
	conn := connectURL(t, u)
	eventually(t, 5*time.Second, "it is about to be committed", func() bool {
		return number(t, conn, `SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'`) == 1
	})
	if _, err := conn.Exec(t.Context(), `SELECT 1 FROM lease FOR UPDATE NOWAIT`); err == nil {
		t.Error("the lease could be taken between the check of a write and its commit")
	}
	if err := <-saved; err != nil {
		t.Errorf("Save() = %v", err)
	}
}

func testOlderDatabase(t *testing.T, u string) {
	s := openURL(t, u, store.Options{})
	l := acquire(t, s)
	conn := connectURL(t, u)
	var holder string
	if err := conn.QueryRow(t.Context(), `SELECT holder FROM lease`).Scan(&holder); err != nil {
		t.Fatal(err)
	}
	onURL(t, u, `UPDATE lease SET epoch = epoch + 1, holder = 'other', beat = beat + 1`)
	eventually(t, 5*time.Second, "it is noticed", func() bool { return !s.Holds(l, 0) })
	if _, err := conn.Exec(t.Context(), `UPDATE lease SET epoch = $1, holder = $2`, l.Epoch, holder); err != nil {
		t.Fatal(err)
	}
	<-time.After(1500 * time.Millisecond)
	if now, held := s.Holding(); held {
		t.Errorf("it has the lease %v at once", now)
	}
}

func testHalfBegun(t *testing.T, u string) {
	s := openURL(t, u, store.Options{})
	onURL(t, u, `CREATE TABLE divisor (x BIGINT)`, `INSERT INTO divisor VALUES (0)`)
	s.BeginWith(t.Context(), `; SELECT 1 / x FROM divisor`)
	if err := s.Add(t.Context(), []alert.Notification{note("ops", "g", nil)}); err == nil || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Add() = %v, want an error of its own", err)
	}
	onURL(t, u, `UPDATE divisor SET x = 1`)
	add(t, s, note("ops", "g", nil))
	if err := s.Save(t.Context(), delivery.Lease{}, planned("ops")); !errors.Is(err, delivery.ErrLeaseLost) {
		t.Errorf("Save(no lease) = %v, want %v", err, delivery.ErrLeaseLost)
	}
}
