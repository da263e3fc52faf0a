package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"alertchat/receiver/alert"
	"alertchat/receiver/delivery"
	"alertchat/receiver/store"
)

// wantNoLease checks that a store does not get the lease while another has it.
func wantNoLease(t *testing.T, s *store.Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 1200*time.Millisecond)
	defer cancel()
	if l, err := s.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Acquire() = %v, %v, want %v", l, err, context.DeadlineExceeded)
	}
}

func testOneDelivers(t *testing.T, url string) {
	first := openURL(t, url, store.Options{})
	second := openStandby(t, url, store.Options{})
	l := acquire(t, first)
	ids := append(add(t, first, note("ops", "g", nil)), add(t, second, note("ops", "g", nil))...)
	equal(t, "what the first sees", waiting(t, first, "ops"), ids)
	equal(t, "what the second sees", waiting(t, second, "ops"), ids)
	wantNoLease(t, second)
	if !first.Holds(l, 10*time.Second) || first.Holds(l, 13*time.Second) || first.Holds(delivery.Lease{Epoch: l.Epoch - 1}, 0) {
		t.Error("the first does not hold its lease for 10 to 12 seconds")
	}
	if second.Holds(l, 0) || second.Holds(delivery.Lease{}, 0) {
		t.Error("the second holds a lease")
	}
	d := planned("ops", ids...)
	if err := second.Save(t.Context(), delivery.Lease{}, d); !errors.Is(err, delivery.ErrLeaseLost) {
		t.Errorf("Save(no lease) = %v, want %v", err, delivery.ErrLeaseLost)
	}
	save(t, first, l, d)
	closed := time.Now()
	closeStore(t, first)
	next := acquire(t, second)
	if took := time.Since(closed); took > 5*time.Second {
		t.Errorf("the lease was free after %v", took)
	}
	if next.Epoch != l.Epoch+1 {
		t.Errorf("the epoch is %d after %d", next.Epoch, l.Epoch)
	}
	got, err := second.Planned(t.Context(), "ops")
	if err != nil || len(got) != 1 || got[0].ID != d.ID {
		t.Errorf("Planned() = %v, %v, want what the first has frozen", got, err)
	}
	d.Status = delivery.Done
	if err := second.Save(t.Context(), l, d); !errors.Is(err, delivery.ErrLeaseLost) {
		t.Errorf("Save(the first's lease) = %v, want %v", err, delivery.ErrLeaseLost)
	}
	save(t, second, next, d)
}

func testPartition(t *testing.T, url string) {
	network := newLink(t, url)
	book := &logBook{}
	first := openURL(t, network.url, book.options())
	second := openStandby(t, url, store.Options{})
	l := acquire(t, first)
	save(t, first, l, planned("ops", add(t, first, note("ops", "g", nil))...))
	wantNoLease(t, second)

	blocked := time.Now()
	release := network.block()
	defer release()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := first.Add(ctx, []alert.Notification{note("ops", "g", nil)}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Add() = %v, want %v: a server that hangs holds nobody up", err, context.DeadlineExceeded)
	}
	next := acquire(t, second)
	took := time.Since(blocked)
	if took > 15*time.Second || took < 12*time.Second {
		t.Errorf("the lease was taken after %v, want 12 to 15 s", took)
	}
	if first.Holds(l, 0) {
		t.Error("two hold the lease")
	}
	if next.Epoch != l.Epoch+1 {
		t.Errorf("the epoch is %d after %d", next.Epoch, l.Epoch)
	}
	wantUnavailable(t, "Ready()", first.Ready(), "PostgreSQL at 127.0.0.1 does not answer in time")

	release()
	eventually(t, 20*time.Second, "the first works again", func() bool { return first.Ready() == nil })
	if err := first.Save(t.Context(), l, planned("ops")); !errors.Is(err, delivery.ErrLeaseLost) {
		t.Errorf("Save(old lease) = %v, want %v", err, delivery.ErrLeaseLost)
	}
	wantNoLease(t, first)
	save(t, second, next, planned("ops"))
	wantNoSecret(t, url, book.String())
}

func testShortCut(t *testing.T, url string) {
	network := newLink(t, url)
	first := openURL(t, network.url, store.Options{})
	second := openStandby(t, url, store.Options{})
	l := acquire(t, first)
	for range 3 {
		network.cut()
		eventually(t, 10*time.Second, "the cut is noticed and mended", func() bool {
			return first.Add(t.Context(), []alert.Notification{note("ops", "g", nil)}) == nil
		})
		wantNoLease(t, second)
	}
	save(t, first, l, planned("ops"))
	if !first.Holds(l, 9*time.Second) {
		t.Error("the lease is not renewed any more")
	}
}

// testWriteBeforeTakeover: a process that stands still in the midst of a write
// keeps nobody from the lease, so a takeover may come before its end.
func testWriteBeforeTakeover(t *testing.T, url string) {
	first := openURL(t, url, store.Options{})
	second := openStandby(t, url, store.Options{})
	l := acquire(t, first)
	entered, proceed, written := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		written <- first.DoLeased(context.Background(), l, func(exec func(string) error) error {
			close(entered)
			<-proceed
			return exec(`DELETE FROM deliveries`)
		})
	}()
	<-entered
	onURL(t, url, `UPDATE lease SET holder = ''`) // as if the first had given it up
	next := acquire(t, second)
	if next.Epoch != l.Epoch+1 {
		t.Errorf("the epoch is %d after %d", next.Epoch, l.Epoch)
	}
	d := planned("ops")
	save(t, second, next, d)
	close(proceed)
	if err := <-written; !errors.Is(err, delivery.ErrLeaseLost) {
		t.Errorf("the write that was on its way gave %v, want %v", err, delivery.ErrLeaseLost)
	}
	if got, err := second.Planned(t.Context(), "ops"); err != nil || len(got) != 1 {
		t.Errorf("Planned() = %v, %v, want delivery %d", got, err, d.ID)
	}
}

// testWriteAfterTakeover: a write that checks its lease while a takeover is
// about to be committed must not see the lease as it was.
func testWriteAfterTakeover(t *testing.T, url string) {
	s := openURL(t, url, store.Options{})
	l := acquire(t, s)
	other := connectURL(t, url)
	if _, err := other.Exec(t.Context(),
		`BEGIN; SELECT 1 FROM lease FOR UPDATE; UPDATE lease SET epoch = epoch + 1, holder = 'other', beat = beat + 1`); err != nil {
		t.Fatal(err)
	}
	saved := make(chan error, 1)
	d := planned("ops")
	go func() { saved <- s.Save(context.Background(), l, d) }()
	select {
	case err := <-saved:
		t.Fatalf("Save() = %v before the takeover was decided", err)
	case <-time.After(300 * time.Millisecond):
	}
	if _, err := other.Exec(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	if err := <-saved; !errors.Is(err, delivery.ErrLeaseLost) {
		t.Errorf("Save() = %v, want %v", err, delivery.ErrLeaseLost)
	}
	if got, err := s.Planned(t.Context(), "ops"); err != nil || len(got) != 0 || d.ID != 0 {
		t.Errorf("Planned() = %v, %v, want nothing", got, err)
	}
	if s.Holds(l, 0) {
		t.Error("it still holds the lease")
	}
	wantNoLease(t, s)
	wantReady(t, s)
}

func testRenewalWhileWriting(t *testing.T, url string) {
	s := openURL(t, url, store.Options{})
	beats := connectURL(t, url)
	beat := func() int64 { return number(t, beats, `SELECT beat FROM lease`) }
	entered, proceed, written := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		written <- s.DoLeased(context.Background(), acquire(t, s), func(func(string) error) error {
			close(entered)
			<-proceed
			return nil
		})
	}()
	<-entered
	before := beat()
	eventually(t, 5*time.Second, "the lease is renewed", func() bool { return beat() > before+1 })
	close(proceed)
	if err := <-written; err != nil {
		t.Errorf("DoLeased() = %v", err)
	}
}

func testMigrationRace(t *testing.T, url string) {
	const count = 4
	stores := make([]*store.Store, count)
	book := &logBook{}
	o := book.options()
	o.PostgresURL = url
	for i := range stores {
		stores[i] = store.Open(o)
		t.Cleanup(func() { closeStore(t, stores[i]) })
	}
	for i, s := range stores {
		eventually(t, 20*time.Second, "the store works", func() bool { return s.Ready() == nil })
		add(t, s, note("ops", "g", []byte{byte(i)}))
	}
	if n := len(waiting(t, stores[0], "ops")); n != count {
		t.Errorf("%d wait, want %d", n, count)
	}
	if book.count("unavailable") != 0 {
		t.Errorf("one was in another's way:\n%s", book)
	}
	if n := number(t, connectURL(t, url), `SELECT COUNT(*) FROM lease`); n != 1 {
		t.Errorf("there are %d leases", n)
	}
}

func testOnlyHolderSweeps(t *testing.T, url string) {
	first := openURL(t, url, store.Options{})
	l := acquire(t, first)
	for range 3 {
		d := planned("ops")
		d.Status, d.EndedAt = delivery.Done, time.Now()
		save(t, first, l, d)
	}
	second := openStandby(t, url, store.Options{Retention: store.Retention{DoneCount: 1}})
	for range 30 { // it sweeps, if at all, between the first of these
		add(t, second, note("ops", "g", nil))
	}
	if got, err := second.History(t.Context(), "ops", 10); err != nil || len(got) != 3 {
		t.Errorf("History() = %d, %v, want all 3", len(got), err)
	}
}

func testUnreadablePlan(t *testing.T, url string) {
	s := openURL(t, url, store.Options{})
	l := acquire(t, s)
	ids := add(t, s, note("ops", "g", nil))
	save(t, s, l, planned("ops", ids...))
	onURL(t, url, `UPDATE deliveries SET plan = '{"bodies":'`)
	_, err := s.Planned(t.Context(), "ops")
	wantUnavailable(t, "Planned()", err, "damaged")
	eventually(t, 10*time.Second, "the lease is another", func() bool { return acquire(t, s).Epoch > l.Epoch })
	eventually(t, 10*time.Second, "it works again", func() bool { return s.Ready() == nil })
	equal(t, "what waits", waiting(t, s, "ops"), ids)
}
