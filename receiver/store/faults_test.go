package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	_ "modernc.org/sqlite"

	"alertchat/receiver/alert"
	"alertchat/receiver/delivery"
	"alertchat/receiver/store"
)

// logBook collects what a store logs.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), part)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBook) options() store.Options {
	return store.Options{Logger: slog.New(slog.NewTextHandler(l, nil)), Now: func() time.Time { return start }}
}

// pass lets a bubble's time go on, and what it wakes come to rest.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func wantUnavailable(tb testing.TB, what string, err error, part string) {
	tb.Helper()
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), part) {
		tb.Errorf("%s = %v, want %v with %q", what, err, store.ErrUnavailable, part)
	}
}

func wantReady(tb testing.TB, s *store.Store) {
	tb.Helper()
	if err := s.Ready(); err != nil {
		tb.Fatalf("Ready() = %v, want nil", err)
	}
}

// onFile runs statements on a database file over a connection of its own, which
// waits for the store's writes.
func onFile(tb testing.TB, folder string, statements ...string) {
	tb.Helper()
	name := url.URL{Scheme: "file", Path: filepath.Join(folder, "alertchat.db"), RawQuery: "_pragma=busy_timeout(5000)"}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, statement := range statements {
		if _, err := db.ExecContext(context.Background(), statement); err != nil {
			tb.Fatalf("%s: %v", statement, err)
		}
	}
}

// fill adds count notifications of 3 KiB, each on a page of its own, in spaces
// by turns, and a delivery that covers the first.
func fill(tb testing.TB, s *store.Store, count int) []int64 {
	tb.Helper()
	batch := make([]alert.Notification, count)
	for i := range batch {
		batch[i] = note("ops", fmt.Sprint(i), bytes.Repeat([]byte{'a' + byte(i%26)}, 3000))
	}
	ids := add(tb, s, batch...)
	l := acquire(tb, s)
	save(tb, s, l, planned("ops", ids[0]))
	done := planned("ops")
	done.Status = delivery.Done
	save(tb, s, l, done)
	return ids
}

func scribble(tb testing.TB, path string, offset, length int64) {
	tb.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xff}, int(length)), offset); err != nil {
		tb.Fatal(err)
	}
}

func files(tb testing.TB, folder, pattern string) []string {
	tb.Helper()
	found, err := filepath.Glob(filepath.Join(folder, pattern))
	if err != nil {
		tb.Fatal(err)
	}
	return found
}

func TestWhatIsAddedSurvivesACrash(t *testing.T) {
	folder, crashed := t.TempDir(), t.TempDir()
	s := openAt(t, folder, store.Options{})
	ids := fill(t, s, 50)
	for _, name := range []string{"alertchat.db", "alertchat.db-wal"} {
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(crashed, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	after := openAt(t, crashed, store.Options{})
	equal(t, "what waits", waiting(t, after, "ops"), ids[1:])
	if got, err := after.Planned(t.Context(), "ops"); err != nil || len(got) != 1 {
		t.Errorf("Planned() = %v, %v, want one", got, err)
	}
}

func TestAChangeThatFailsConcernsNoOtherOfItsBatch(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := openAt(t, folder, store.Options{})
		release := make(chan struct{})
		held, results, bads := make(chan error, 1), make(chan error, 30), make(chan error, 2)
		go func() {
			held <- s.Do(context.Background(), func(func(string) error) error {
				<-release
				return nil
			})
		}()
		synctest.Wait() // the keeper is busy: what comes now is one batch
		bad := errors.New("bad")
		for i := range 30 {
			go func() {
				results <- s.Add(context.Background(), []alert.Notification{note("ops", fmt.Sprint(i), nil)})
			}()
		}
		for range 2 {
			go func() {
				bads <- s.Do(context.Background(), func(exec func(string) error) error {
					if err := exec(`DELETE FROM notifications`); err != nil {
						return err
					}
					return bad
				})
			}()
		}
		synctest.Wait()
		close(release)
		for range 30 {
			if err := <-results; err != nil {
				t.Errorf("Add() = %v, want nil", err)
			}
		}
		for range 2 {
			if err := <-bads; !errors.Is(err, bad) {
				t.Errorf("Do() = %v, want %v", err, bad)
			}
		}
		if err := <-held; err != nil {
			t.Errorf("Do() = %v", err)
		}
		if n := len(waiting(t, s, "ops")); n != 30 {
			t.Errorf("%d wait, want 30", n)
		}
		wantReady(t, s)
	})
}

func TestWhatIsNotWaitedForIsNotKeptInMemory(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := openAt(t, folder, store.Options{})
		adding := func(ctx context.Context) (weak.Pointer[byte], <-chan error) {
			body, result := make([]byte, 1<<20), make(chan error, 1)
			go func() { result <- s.Add(ctx, []alert.Notification{note("ops", "g", body)}) }()
			return weak.Make(&body[0]), result
		}
		wantFreed := func(what string, bodies ...weak.Pointer[byte]) {
			t.Helper()
			runtime.GC()
			kept := 0
			for _, body := range bodies {
				if body.Value() != nil {
					kept++
				}
			}
			if kept > 0 {
				t.Errorf("%d of %d bodies are kept %s", kept, len(bodies), what)
			}
		}
		release := make(chan struct{})
		held := make(chan error, 1)
		go func() {
			held <- s.Do(context.Background(), func(func(string) error) error {
				<-release
				return nil
			})
		}()
		synctest.Wait() // the keeper is busy: what comes now stays in the queue
		ctx, cancel := context.WithCancel(t.Context())
		var abandoned []weak.Pointer[byte]
		for range 20 {
			body, result := adding(ctx)
			abandoned = append(abandoned, body)
			defer func() {
				if err := <-result; !errors.Is(err, context.Canceled) {
					t.Errorf("Add() = %v, want %v", err, context.Canceled)
				}
			}()
		}
		last, result := adding(t.Context())
		synctest.Wait()
		cancel()
		synctest.Wait()
		wantFreed("after their senders have gone", abandoned...)
		close(release)
		if err := errors.Join(<-held, <-result); err != nil {
			t.Errorf("Do() or Add() = %v", err)
		}
		synctest.Wait()
		wantFreed("after they were committed", last)
		if n := len(waiting(t, s, "ops")); n != 1 {
			t.Errorf("%d wait, want 1", n)
		}
	})
}

func TestALeaseEndsWithItsOpening(t *testing.T) {
	folder := t.TempDir()
	first := openAt(t, folder, store.Options{})
	old := acquire(t, first)
	closeStore(t, first)
	second := openAt(t, folder, store.Options{})
	if l := acquire(t, second); l.Epoch <= old.Epoch {
		t.Errorf("the epoch is %d after %d, want a higher one", l.Epoch, old.Epoch)
	}
	if err := second.Save(t.Context(), old, planned("ops")); !errors.Is(err, delivery.ErrLeaseLost) {
		t.Errorf("Save(old lease) = %v, want %v", err, delivery.ErrLeaseLost)
	}
}

func TestAClosedStoreIsUnavailable(t *testing.T) {
	s := openAt(t, t.TempDir(), store.Options{})
	closeStore(t, s)
	closeStore(t, s)
	wantUnavailable(t, "Ready()", s.Ready(), "closed")
	wantUnavailable(t, "Add()", s.Add(t.Context(), []alert.Notification{note("ops", "g", nil)}), "closed")
	_, err := s.Waiting(t.Context(), "ops", 1)
	wantUnavailable(t, "Waiting()", err, "closed")
	_, err = s.Acquire(t.Context())
	wantUnavailable(t, "Acquire()", err, "closed")
}

func TestASecondProcessWaitsForTheFolder(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		first := openAt(t, folder, store.Options{})
		ids := add(t, first, note("ops", "g", nil))
		book := &logBook{}
		o := book.options()
		o.Path = folder
		second := store.Open(o)
		t.Cleanup(func() { closeStore(t, second) })
		pass(5 * time.Second)
		wantUnavailable(t, "Ready()", second.Ready(), "another process")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := second.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Acquire() = %v, want %v", err, context.DeadlineExceeded)
		}
		if n := book.count("The storage is unavailable"); n != 1 {
			t.Errorf("it was logged %d times, want once:\n%s", n, book)
		}
		closeStore(t, first)
		pass(time.Second)
		wantReady(t, second)
		equal(t, "what waits", waiting(t, second, "ops"), ids)
	})
}

func TestAFullDiskPasses(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		book := &logBook{}
		o := book.options()
		registry := prometheus.NewRegistry()
		o.Registerer = registry
		s := openAt(t, folder, o)
		ids := add(t, s, note("ops", "g", nil))
		only := errors.New("only the limit")
		limit := func(pages int) {
			err := s.Do(t.Context(), func(exec func(string) error) error {
				if err := exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
					return err
				}
				return only
			})
			if !errors.Is(err, only) {
				t.Fatalf("Do() = %v", err)
			}
		}
		gauge := func(want string) {
			t.Helper()
			text := "# HELP alertchat_storage_failing Whether nothing can be stored at the moment (1) or all is well (0).\n" +
				"# TYPE alertchat_storage_failing gauge\nalertchat_storage_failing " + want + "\n"
			if err := testutil.GatherAndCompare(registry, strings.NewReader(text)); err != nil {
				t.Error(err)
			}
		}
		gauge("0")
		limit(1) // SQLite takes the present size instead
		big := []alert.Notification{note("ops", "g", nil), note("ops", "g", make([]byte, 1<<20))}
		for range 3 {
			wantUnavailable(t, "Add()", s.Add(t.Context(), big), "the disk is full: free some space under "+folder)
		}
		wantUnavailable(t, "Ready()", s.Ready(), "the disk is full")
		gauge("1")
		equal(t, "what waits on a full disk", waiting(t, s, "ops"), ids)
		if err := s.Do(t.Context(), func(exec func(string) error) error { return exec(`UPDATE lease SET beat = beat`) }); err != nil {
			t.Errorf("Do(what needs no room) = %v", err)
		}
		synctest.Wait()
		wantUnavailable(t, "Ready() after a write that needs no room", s.Ready(), "the disk is full")
		pass(5 * time.Second)
		wantUnavailable(t, "Ready()", s.Ready(), "the disk is full")
		if n := book.count("The storage is unavailable"); n != 1 {
			t.Errorf("it was logged %d times, want once:\n%s", n, book)
		}
		limit(1 << 30)
		pass(2 * time.Second)
		wantReady(t, s)
		gauge("0")
		if err := s.Add(t.Context(), big); err != nil {
			t.Errorf("Add() = %v, want nil once there is room", err)
		}
		if n := len(waiting(t, s, "ops")); n != 3 {
			t.Errorf("%d wait, want 3", n)
		}
	})
}

func TestAFileThatGoesIsCarriedOver(t *testing.T) {
	remove := func(t *testing.T, paths ...string) {
		t.Helper()
		for _, path := range paths {
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, harm := range map[string]func(t *testing.T, folder string){
		"the database is deleted": func(t *testing.T, folder string) {
			t.Helper()
			remove(t, files(t, folder, "alertchat.db*")...)
		},
		"only the file is deleted, not the WAL": func(t *testing.T, folder string) {
			t.Helper()
			remove(t, filepath.Join(folder, "alertchat.db"))
		},
		"only the WAL is deleted": func(t *testing.T, folder string) {
			t.Helper()
			remove(t, filepath.Join(folder, "alertchat.db-wal"))
		},
		"the folder is deleted": func(t *testing.T, folder string) {
			t.Helper()
			remove(t, folder)
		},
		"the folder is replaced": func(t *testing.T, folder string) {
			t.Helper()
			remove(t, folder)
			if err := os.Mkdir(folder, 0o750); err != nil {
				t.Fatal(err)
			}
		},
		"the file is replaced by another": func(t *testing.T, folder string) {
			t.Helper()
			remove(t, files(t, folder, "alertchat.db*")...)
			onFile(t, folder, "CREATE TABLE other (x)")
		},
	} {
		for _, traffic := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, traffic %t", name, traffic), func(t *testing.T) {
				folder := filepath.Join(t.TempDir(), "data?#% ")
				synctest.Test(t, func(t *testing.T) {
					book := &logBook{}
					s := openAt(t, folder, book.options())
					ids := fill(t, s, 20)
					l := acquire(t, s)
					harm(t, folder)
					if traffic {
						err := s.Add(t.Context(), []alert.Notification{note("late", "g", nil)})
						wantUnavailable(t, "Add()", err, "removed or replaced")
					}
					pass(2 * time.Second)
					wantReady(t, s)
					equal(t, "what waits", waiting(t, s, "ops"), ids[1:])
					if err := s.Save(t.Context(), l, planned("ops")); !errors.Is(err, delivery.ErrLeaseLost) {
						t.Errorf("Save(old lease) = %v, want %v", err, delivery.ErrLeaseLost)
					}
					if got, err := s.Planned(t.Context(), "ops"); err != nil || len(got) != 1 {
						t.Errorf("Planned() = %v, %v, want one", got, err)
					}
					more := add(t, s, note("ops", "g", nil))
					if more[0] <= ids[len(ids)-1] {
						t.Errorf("id %d was given again", more[0])
					}
					if book.count("taken over") == 0 {
						t.Errorf("the log does not tell:\n%s", book)
					}
					closeStore(t, s)
					again := openAt(t, folder, store.Options{})
					equal(t, "what waits in the new file", waiting(t, again, "ops"), append(ids[1:], more...))
				})
			})
		}
	}
}

func TestAFileThatGoesJustBeforeTheEndIsCarriedOver(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	s := openAt(t, folder, store.Options{})
	ids := fill(t, s, 5)
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	wantUnavailable(t, "Ready()", s.Ready(), "closed")
	equal(t, "what waits", waiting(t, openAt(t, folder, store.Options{}), "ops"), ids[1:])
}

func TestADamagedFileIsReplacedByWhatIsReadable(t *testing.T) {
	const count = 300
	for _, test := range []struct {
		name            string
		harm            func(t *testing.T, path string, size int64)
		atLeast, atMost int
		log             string
	}{
		{"pages in the middle are overwritten", func(t *testing.T, path string, size int64) {
			t.Helper()
			scribble(t, path, size/2/4096*4096, 20*4096)
		}, count - 30, count - 10, "notifications: "},
		{"the file ends in the middle", func(t *testing.T, path string, size int64) {
			t.Helper()
			if err := os.Truncate(path, size/2/4096*4096); err != nil {
				t.Fatal(err)
			}
		}, count / 3, count * 2 / 3, "notifications: "},
		{"the header is garbage", func(t *testing.T, path string, _ int64) {
			t.Helper()
			scribble(t, path, 0, 4096)
		}, 0, 0, "notifications: all"},
	} {
		t.Run(test.name, func(t *testing.T) {
			folder := t.TempDir()
			s := openAt(t, folder, store.Options{})
			ids := fill(t, s, count)
			epoch := acquire(t, s).Epoch
			closeStore(t, s)
			path := filepath.Join(folder, "alertchat.db")
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			test.harm(t, path, info.Size())
			book := &logBook{}
			s = openAt(t, folder, book.options())
			got := waiting(t, s, "ops")
			if len(got) < test.atLeast || len(got) > test.atMost {
				t.Errorf("%d still wait, want %d to %d", len(got), test.atLeast, test.atMost)
			}
			if !slices.IsSorted(got) || len(got) > 0 && got[0] < ids[0] {
				t.Errorf("they are %v", got)
			}
			if aside := files(t, folder, "alertchat.db.damaged-20261123T145000Z"); len(aside) != 1 {
				t.Errorf("the damaged file is not there under its name: %v", files(t, folder, "*"))
			}
			if book.count(test.log) == 0 || book.count("moved aside") == 0 {
				t.Errorf("the log does not tell %q:\n%s", test.log, book)
			}
			if more := add(t, s, note("ops", "g", nil)); more[0] <= ids[count-1] {
				t.Errorf("id %d was given again", more[0])
			}
			if l := acquire(t, s); l.Epoch <= epoch {
				t.Errorf("the epoch is %d after %d", l.Epoch, epoch)
			}
			onFile(t, folder, "PRAGMA integrity_check")
		})
	}
}

func TestDamageAtRunTimeIsReplacedByWhatIsReadable(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		const count = 3000
		book := &logBook{}
		s := openAt(t, folder, book.options())
		ids := fill(t, s, count)
		onFile(t, folder, "PRAGMA wal_checkpoint(TRUNCATE)")
		path := filepath.Join(folder, "alertchat.db")
		scribble(t, path, 400*4096, 40*4096)
		if _, err := s.Read(t.Context(), ids); err == nil {
			t.Error("Read(damaged) = nil, want an error")
		}
		pass(5 * time.Second)
		wantReady(t, s)
		got := waiting(t, s, "ops")
		if len(got) < count-60 || len(got) >= count {
			t.Errorf("%d still wait, want nearly %d", len(got), count)
		}
		if _, err := s.Read(t.Context(), got); err != nil {
			t.Errorf("Read(what waits) = %v", err)
		}
		if book.count("moved aside") == 0 {
			t.Errorf("the log does not tell:\n%s", book)
		}
	})
}

func TestARescueThatWasInterruptedIsFinished(t *testing.T) {
	folder, other := t.TempDir(), t.TempDir()
	s := openAt(t, other, store.Options{})
	ids := add(t, s, note("ops", "g", nil))
	closeStore(t, s)
	if err := os.Rename(filepath.Join(other, "alertchat.db"), filepath.Join(folder, "alertchat.db.rescued")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"alertchat.db", "alertchat.db-wal", "alertchat.db.new"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s = openAt(t, folder, store.Options{Now: func() time.Time { return start }})
	equal(t, "what waits", waiting(t, s, "ops"), ids)
	if aside := files(t, folder, "alertchat.db.damaged-*"); len(aside) != 2 {
		t.Errorf("moved aside: %v, want the file and its WAL", aside)
	}
}

func TestADeliveryThatCannotBeReadIsPlannedAnew(t *testing.T) {
	folder := t.TempDir()
	s := openAt(t, folder, store.Options{})
	ids := fill(t, s, 3)
	closeStore(t, s)
	onFile(t, folder, `UPDATE deliveries SET plan = '{"bodies":' WHERE status = 'planned'`,
		`UPDATE notifications SET delivery = 77 WHERE id = 2`)
	synctest.Test(t, func(t *testing.T) {
		s := openAt(t, folder, store.Options{})
		equal(t, "what waits", waiting(t, s, "ops"), ids)
		for name, use := range map[string]func(l delivery.Lease) error{
			"Planned": func(delivery.Lease) error {
				_, err := s.Planned(t.Context(), "ops")
				return err
			},
			"Adopt": func(l delivery.Lease) error {
				_, _, err := s.Adopt(t.Context(), l, "ops", "database")
				return err
			},
		} {
			save(t, s, acquire(t, s), planned("ops", ids...))
			onFile(t, folder, `UPDATE deliveries SET steps = '['`)
			wantUnavailable(t, name, use(acquire(t, s)), "damaged")
			pass(2 * time.Second)
			wantReady(t, s)
			equal(t, "what waits after "+name, waiting(t, s, "ops"), ids)
		}
		if got, err := s.History(t.Context(), "ops", 10); err != nil || len(got) != 1 || got[0].Steps != nil {
			t.Errorf("History() = %v, %v, want one without the steps that cannot be read", got, err)
		}
	})
}

// A holder of the lease asks every second, however much waits.
func TestTheNamesOfSpacesAreFoundWithoutAllThatWaits(t *testing.T) {
	folder := t.TempDir()
	s := openAt(t, folder, store.Options{})
	fill(t, s, 10)
	closeStore(t, s)
	db, err := sql.Open("sqlite", "file:"+filepath.Join(folder, "alertchat.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+store.SelectSpaces)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, step)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(plan, "\n")
	if strings.Contains(text, "SCAN notifications") || !strings.Contains(text, "SEARCH notifications USING COVERING INDEX notifications_waiting (space>?)") {
		t.Errorf("all that waits is read:\n%s", text)
	}
}

func TestNobodyElseCanReadTheFiles(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	s := openAt(t, folder, store.Options{})
	add(t, s, note("ops", "g", nil))
	for _, path := range files(t, folder, "*") {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v", path, info.Mode())
		}
	}
}

func TestADamagedStateCountsAsNothingKnown(t *testing.T) {
	folder := t.TempDir()
	book := &logBook{}
	s := openAt(t, folder, book.options())
	if err := s.Discard(t.Context(), acquire(t, s), "ops", nil, planned("ops").Known); err != nil {
		t.Fatal(err)
	}
	onFile(t, folder, `UPDATE incidents SET state = '{"id":"x",'`)
	if state := known(t, s, "ops", group("g")); state.ID != "" {
		t.Errorf("Known() = %v, want nothing", state)
	}
	if book.count("begins anew") != 1 {
		t.Errorf("the log does not tell:\n%s", book)
	}
}

func TestASchemaOfANewerProgramIsLeftAlone(t *testing.T) {
	for _, s := range []struct {
		name, least string
		ready       bool
	}{
		{"one that this program can use", "1", true},
		{"one that it cannot", "99", false},
	} {
		t.Run(s.name, func(t *testing.T) {
			folder := t.TempDir()
			old := openAt(t, folder, store.Options{})
			ids := fill(t, old, 5)
			closeStore(t, old)
			onFile(t, folder, `UPDATE meta SET value = '99' WHERE key = 'schema_version'`,
				`UPDATE meta SET value = '`+s.least+`' WHERE key = 'schema_least'`, `ALTER TABLE incidents ADD COLUMN extra TEXT`)
			path := filepath.Join(folder, "alertchat.db")
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				st := store.Open(store.Options{Path: folder})
				pass(3 * time.Second)
				if s.ready {
					wantReady(t, st)
					equal(t, "what waits", waiting(t, st, "ops"), ids[1:])
				} else {
					wantUnavailable(t, "Ready()", st.Ready(), "newer alertchat")
				}
				closeStore(t, st)
			})
			after, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !s.ready && !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestAFolderThatCannotBeUsedSaysSo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	foreign := t.TempDir()
	onFile(t, foreign, "CREATE TABLE other (x)")
	for folder, part := range map[string]string{
		filepath.Join(file, "data"): "cannot be opened",
		foreign:                     "is not a database of alertchat",
	} {
		synctest.Test(t, func(t *testing.T) {
			book := &logBook{}
			o := book.options()
			o.Path = folder
			s := store.Open(o)
			pass(3 * time.Second)
			wantUnavailable(t, "Ready()", s.Ready(), part)
			if n := book.count("The storage is unavailable"); n != 1 {
				t.Errorf("it was logged %d times, want once:\n%s", n, book)
			}
			closeStore(t, s)
		})
	}
}

func TestNoOtherFolderIsWrittenTo(t *testing.T) {
	const open = "/proc/self/fd"
	if _, err := os.Stat(open); err != nil {
		t.Skipf("the open files cannot be listed: %v", err)
	}
	nameless := func() []string {
		fds, err := os.ReadDir(open)
		if err != nil {
			t.Errorf("list the open files: %v", err)
		}
		var found []string
		for _, fd := range fds {
			// One that has no name any more is shown with the one it had.
			if to, err := os.Readlink(filepath.Join(open, fd.Name())); err == nil && strings.Contains(to, "(deleted)") {
				found = append(found, to)
			}
		}
		return found
	}
	s := openAt(t, t.TempDir(), store.Options{})
	fill(t, s, 500)
	err := s.Do(t.Context(), func(exec func(string) error) error {
		before := nameless()
		err := exec(`UPDATE notifications SET space = 'elsewhere'`)
		equal(t, "what is open without a name while many rows change", nameless(), before)
		return err
	})
	if err != nil {
		t.Errorf("Do() = %v", err)
	}
}
