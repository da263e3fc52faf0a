package store_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"alertchat/receiver/store"
	"alertchat/receiver/store/pgtest"
)

// openURL opens a store over a PostgreSQL database and waits until it has the
// lease. It is closed with the test.
func openURL(tb testing.TB, url string, o store.Options) *store.Store {
	tb.Helper()
	s := openStandby(tb, url, o)
	acquire(tb, s)
	return s
}

// openStandby does the same, but only waits until the store works.
func openStandby(tb testing.TB, url string, o store.Options) *store.Store {
	tb.Helper()
	o.PostgresURL = url
	s := store.Open(o)
	tb.Cleanup(func() { closeStore(tb, s) })
	eventually(tb, 20*time.Second, "the store works", func() bool { return s.Ready() == nil })
	return s
}

// eventually waits until something is so.
func eventually(tb testing.TB, within time.Duration, what string, is func() bool) {
	tb.Helper()
	end := time.After(within)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-end:
			tb.Fatalf("after %v it is not so that %s", within, what)
		}
	}
}

// connectURL opens a connection of the test's own.
func connectURL(tb testing.TB, url string) *pgx.Conn {
	tb.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// onURL runs statements over a connection of its own.
func onURL(tb testing.TB, url string, statements ...string) {
	tb.Helper()
	conn := connectURL(tb, url)
	for _, statement := range statements {
		if _, err := conn.Exec(context.Background(), statement); err != nil {
			tb.Fatalf("%s: %v", statement, err)
		}
	}
}

// number returns the number that a query gives.
func number(tb testing.TB, conn *pgx.Conn, query string) (n int64) {
	tb.Helper()
	if err := conn.QueryRow(context.Background(), query).Scan(&n); err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
	return n
}

// link is a network that can be cut.
type link struct {
	url     string // leads over it
	target  string
	running sync.WaitGroup
	gate    sync.RWMutex // held for writing while nothing passes

	mu    sync.Mutex // guards conns
	conns []net.Conn
}

// newLink puts a link before the server of a URL.
func newLink(tb testing.TB, to string) *link {
	tb.Helper()
	u, err := url.Parse(to)
	if err != nil {
		tb.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	l := &link{target: u.Host}
	u.Host = listener.Addr().String()
	l.url = u.String()
	l.running.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			l.running.Go(func() { l.carry(from) })
		}
	})
	tb.Cleanup(func() {
		_ = listener.Close()
		l.cut()
		l.running.Wait()
	})
	return l
}

func (l *link) carry(from net.Conn) {
	defer from.Close()
	to, err := net.Dial("tcp", l.target)
	if err != nil {
		return
	}
	defer to.Close()
	l.mu.Lock()
	l.conns = append(l.conns, from, to)
	l.mu.Unlock()
	back := make(chan struct{})
	go func() {
		defer close(back)
		l.pump(to, from)
	}()
	l.pump(from, to)
	<-back
}

func (l *link) pump(from, to net.Conn) {
	defer to.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil && !errors.Is(err, io.EOF) || n == 0 {
			return
		}
		l.gate.RLock()
		_, err = to.Write(buffer[:n])
		l.gate.RUnlock()
		if err != nil {
			return
		}
	}
}

// cut ends all connections. New ones are made as before.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range l.conns {
		_ = conn.Close()
	}
	l.conns = nil
}

// block lets nothing pass until release is called. Nobody is told.
func (l *link) block() (release func()) {
	l.gate.Lock()
	return sync.OnceFunc(l.gate.Unlock)
}

// password returns the secret of a URL.
func password(tb testing.TB, secretURL string) string {
	tb.Helper()
	u, err := url.Parse(secretURL)
	if err != nil {
		tb.Fatal(err)
	}
	secret, ok := u.User.Password()
	if !ok {
		tb.Fatal("the URL has no password")
	}
	return secret
}

// wantNoSecret looks for the password of a URL in what was logged or said.
func wantNoSecret(tb testing.TB, secretURL string, said ...string) {
	tb.Helper()
	for _, text := range said {
		if secret := password(tb, secretURL); strings.Contains(text, secret) {
			tb.Errorf("the password is in %q", text)
		}
	}
}

func TestStoreOnPostgreSQL(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t)
	testStore(t, func(t *testing.T) *store.Store {
		t.Helper()
		return openURL(t, server.URL(t), store.Options{Now: func() time.Time { return start }})
	})
}

func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t)
	for _, part := range []struct {
		name string
		test func(t *testing.T, url string)
	}{
		// The longest first: they run side by side.
		{"a holder that is cut off is followed within 15 seconds", testPartition},
		{"a cut that is over soon costs no lease", testShortCut},
		{"all accept and read, one delivers, and the next at its end", testOneDelivers},
		{"a write whose lease is taken before its end changes nothing", testWriteBeforeTakeover},
		{"a write that comes too late changes nothing", testWriteAfterTakeover},
		{"a renewal waits for no write", testRenewalWhileWriting},
		{"several that start at once on an empty database all work", testMigrationRace},
		{"only the holder of the lease sweeps", testOnlyHolderSweeps},
		{"a delivery that cannot be read is planned anew", testUnreadablePlan},
		{"a fault that lasts is told once", testLastingFault},
		{"a fault that comes and goes is told once a minute", testFlappingFault},
		{"a schema of a newer program is left alone", testNewerSchema},
		{"a conflict is resolved by another try", testConflict},
		{"texts that PostgreSQL refuses are stored", testRefusedTexts},
		{"a commit is safe whatever the database is set to", testSafeCommit},
		{"a proxy that keeps no prepared statements will do", testWithoutPreparing},
	} {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			part.test(t, server.URL(t))
		})
	}
	t.Run("a database that cannot be used says so", func(t *testing.T) {
		t.Parallel()
		testUnusable(t, server)
	})
}

func testWithoutPreparing(t *testing.T, url string) {
	s := openURL(t, url+"&default_query_exec_mode=exec", store.Options{Now: func() time.Time { return start }})
	testConcurrent(t, s)
	err := s.Do(t.Context(), func(exec func(string) error) error {
		return exec(`DO $$ BEGIN
			IF EXISTS (SELECT 1 FROM pg_prepared_statements) THEN RAISE EXCEPTION 'there are some'; END IF;
		END $$`)
	})
	if err != nil {
		t.Errorf("prepared statements are kept: %v", err)
	}
}
