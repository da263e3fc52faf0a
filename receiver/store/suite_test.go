package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"alertchat/receiver/alert"
	"alertchat/receiver/delivery"
	"alertchat/receiver/incident"
	"alertchat/receiver/store"
)

func TestStoreOnSQLite(t *testing.T) {
	testStore(t, func(t *testing.T) *store.Store {
		t.Helper()
		return openAt(t, t.TempDir(), store.Options{Now: func() time.Time { return start }})
	})
}

// testStore is the contract of a store, whatever its engine. open returns one
// that is empty and whose clock stands at start.
func testStore(t *testing.T, open func(t *testing.T) *store.Store) {
	t.Helper()
	for _, part := range []struct {
		name string
		test func(*testing.T, *store.Store)
	}{
		{"what is added waits with rising ids and can be read", testAdd},
		{"an add whose context has ended reports no success", testAddAbandoned},
		{"what is discarded waits no more and is known", testDiscard},
		{"a planned delivery covers and comes back as it was", testPlanned},
		{"what is edited later comes back as it was", testLater},
		{"several deliveries are saved at once or not at all", testSaveSeveral},
		{"a change of a planned delivery is kept", testReplan},
		{"a done delivery settles what it covers", testDone},
		{"a dead delivery settles what it covers", testDead},
		{"saving what is settled again changes nothing", testSettledTwice},
		{"a thawed delivery leaves its notifications waiting", testThaw},
		{"states belong to a space, a receiver and a group key", testKnown},
		{"what is known of many groups comes in their order", testManyKnown},
		{"another lease than the one in force writes nothing", testLease},
		{"a space that is gone leaves all to another", testAdopt},
		{"what waits or is planned is undelivered and reported once", testUndelivered},
		{"a report marks what it tells of and is no news itself", testReport},
		{"a report that cannot be stored marks nothing", testReportFails},
		{"how a space is doing is kept", testHealth},
		{"a dead delivery is planned again and stands alone", testRetry},
		{"a retried delivery edits nothing", testRetryOfEdits},
		{"what is not dead or has no space is not retried", testRetryRefused},
		{"of many who retry a delivery one wins", testRetryAtOnce},
		{"a retried delivery that dies again is reported again, but no notice is", testRetryOfReports},
		{"deliveries are found by status and space, newest first", testDeliveries},
		{"counts tell what waits, is planned and is dead", testCounts},
		{"history shows the newest first and keeps failures", testHistory},
		{"thousands of waiting notifications come in order", testManyWaiting},
		{"many adders and a loop at once lose nothing", testConcurrent},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, open(t)) })
	}
}

func waiting(tb testing.TB, s *store.Store, space string) []int64 {
	tb.Helper()
	all, err := s.Waiting(context.Background(), space, 100_000)
	if err != nil {
		tb.Fatalf("Waiting(%q) = %v", space, err)
	}
	ids := []int64{}
	for _, w := range all {
		ids = append(ids, w.ID)
	}
	return ids
}

// known returns what is known of a group.
func known(tb testing.TB, s *store.Store, space string, g alert.Group) incident.State {
	tb.Helper()
	states, err := s.Known(context.Background(), space, []alert.Group{g})
	if err != nil || len(states) != 1 {
		tb.Fatalf("Known(%q, %q) = %v, %v, want one", space, g, states, err)
	}
	return states[0]
}

func save(tb testing.TB, s *store.Store, l delivery.Lease, d *delivery.Delivery) {
	tb.Helper()
	if err := s.Save(context.Background(), l, d); err != nil {
		tb.Fatalf("Save() = %v", err)
	}
}

func equal(tb testing.TB, what string, got, want any) {
	tb.Helper()
	options := []cmp.Option{cmp.FilterPath(func(p cmp.Path) bool {
		f, ok := p.Last().(cmp.StructField)
		return ok && f.Name() != "" && f.Name()[0] >= 'a' && f.Name()[0] <= 'z'
	}, cmp.Ignore())}
	if diff := cmp.Diff(want, got, options...); diff != "" {
		tb.Errorf("%s is not as expected (-want +got):\n%s", what, diff)
	}
}

func testLater(t *testing.T, s *store.Store) {
	l := acquire(t, s)
	d := planned("ops", add(t, s, note("ops", "g", nil))...)
	d.Steps[0].MessageID = "client-i1-0-1"
	for i := range 2 {
		edit := delivery.Step{
			Action: delivery.Edit, Body: json.RawMessage(fmt.Sprintf("{ \"text\": \"%d \u2028\" }\n", i)),
			Target: fmt.Sprintf("spaces/AAAA/messages/client-i1-0-%d", i), Remake: i == 0,
		}
		d.Later = append(d.Later, delivery.Update{Title: fmt.Sprint("update ", i), Steps: []delivery.Step{edit, edit}})
	}
	save(t, s, l, d)
	all, err := s.Planned(t.Context(), "ops")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "what is planned", all, []*delivery.Delivery{d})
}

func testSaveSeveral(t *testing.T, s *store.Store) {
	l := acquire(t, s)
	d := planned("ops", add(t, s, note("ops", "g", nil))...)
	save(t, s, l, d)
	d.Status, d.EndedAt = delivery.Done, start
	edits := []*delivery.Delivery{planned("ops"), planned("ops")}
	for _, e := range edits {
		e.Known = nil
	}
	gone := &delivery.Delivery{ID: 999, Space: "ops", Status: delivery.Planned}
	if err := s.Save(t.Context(), l, append([]*delivery.Delivery{d, gone}, edits...)...); !errors.Is(err, delivery.ErrGone) {
		t.Errorf("Save() with one that is not there = %v, want %v", err, delivery.ErrGone)
	}
	if edits[0].ID != 0 || len(known(t, s, "ops", group("g")).ID) > 0 {
		t.Errorf("a save that failed gave the id %d and stored what is known", edits[0].ID)
	}
	if err := s.Save(t.Context(), l, append([]*delivery.Delivery{d}, edits...)...); err != nil {
		t.Fatalf("Save() = %v", err)
	}
	all, err := s.Planned(t.Context(), "ops")
	if err != nil || len(all) != 2 || edits[0].ID <= d.ID || edits[1].ID <= edits[0].ID {
		t.Fatalf("Planned() = %v, %v, want the two new ones, with rising ids", all, err)
	}
	equal(t, "what is planned", all, edits)
	equal(t, "what is known", known(t, s, "ops", group("g")), d.Known[0].State)
}

func testAdd(t *testing.T, s *store.Store) {
	ctx := t.Context()
	in := []alert.Notification{
		{Space: "ops", Group: group("g1"), ReceivedAt: start.Add(1500 * time.Microsecond), Body: []byte("one\x00")},
		{Space: "database", Group: group("g1"), Unknown: "databse", ReceivedAt: start, Body: []byte("two")},
		{Space: "ops", Group: alert.Group{}, ReceivedAt: start, Body: []byte("three")},
	}
	if err := s.Add(ctx, in); err != nil {
		t.Fatalf("Add() = %v", err)
	}
	if in[0].ID <= 0 || in[1].ID <= in[0].ID || in[2].ID <= in[1].ID {
		t.Errorf("the ids are %d, %d, %d, want rising ones", in[0].ID, in[1].ID, in[2].ID)
	}
	got, err := s.Waiting(ctx, "ops", 10)
	if err != nil {
		t.Fatalf("Waiting() = %v", err)
	}
	equal(t, "what waits", got, []delivery.Waiting{
		{ID: in[0].ID, Group: group("g1"), Bytes: 4},
		{ID: in[2].ID, Bytes: 5},
	})
	if got, err := s.Waiting(ctx, "ops", 1); err != nil || len(got) != 1 {
		t.Errorf("Waiting(limit 1) = %d, %v, want 1", len(got), err)
	}
	read, err := s.Read(ctx, []int64{in[2].ID, 999, in[1].ID, in[0].ID, in[0].ID})
	if err != nil {
		t.Fatalf("Read() = %v", err)
	}
	want := slices.Clone(in)
	want[0].ReceivedAt = start.Add(time.Millisecond)
	equal(t, "what is read", read, want)
	if err := s.Add(ctx, nil); err != nil {
		t.Errorf("Add(nothing) = %v", err)
	}
}

func testAddAbandoned(t *testing.T, s *store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	entered := make(chan struct{})
	held := make(chan error, 1)
	go func() {
		held <- s.Do(context.Background(), func(func(string) error) error {
			close(entered)
			<-release
			return nil
		})
	}()
	<-entered
	result := make(chan error, 1)
	n := []alert.Notification{note("ops", "g", []byte("x"))}
	go func() { result <- s.Add(ctx, n) }()
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("Add(cancelled) = %v, want %v", err, context.Canceled)
	}
	if n[0].ID != 0 {
		t.Errorf("the notification has the id %d, want none", n[0].ID)
	}
	close(release)
	if err := <-held; err != nil {
		t.Errorf("Do() = %v", err)
	}
}

func testDiscard(t *testing.T, s *store.Store) {
	l := acquire(t, s)
	ids := add(t, s, note("ops", "g", nil), note("ops", "g", nil), note("database", "g", nil))
	state := incident.State{ID: "i", Told: true, HeardAt: start}
	if err := s.Discard(t.Context(), l, "ops", []int64{ids[0], ids[2]}, []delivery.Known{{Group: group("g"), State: state}}); err != nil {
		t.Fatalf("Discard() = %v", err)
	}
	equal(t, "what waits for ops", waiting(t, s, "ops"), ids[1:2])
	equal(t, "what waits for the other space", waiting(t, s, "database"), ids[2:])
	equal(t, "what is known", known(t, s, "ops", group("g")), state)
}

func testPlanned(t *testing.T, s *store.Store) {
	l := acquire(t, s)
	ids := add(t, s, note("ops", "g", nil), note("ops", "h", nil), note("ops", "g", nil))
	d := planned("ops", ids[0], ids[2])
	d.Plain, d.Attempts, d.Error = true, 2, "429"
	d.Steps = append(d.Steps, delivery.Step{Action: delivery.Edit, Body: json.RawMessage("{ \"text\":\"\u2028 é <>\" }\n"), Target: "m"})
	d.Known[0].ThreadBefore = incident.Thread{Key: "before"}
	save(t, s, l, d)
	if d.ID <= 0 {
		t.Errorf("the delivery has the id %d", d.ID)
	}
	equal(t, "what waits", waiting(t, s, "ops"), ids[1:2])
	got, err := s.Planned(t.Context(), "ops")
	if err != nil {
		t.Fatalf("Planned() = %v", err)
	}
	equal(t, "what is planned", got, []*delivery.Delivery{d})
	second := planned("ops", ids[1])
	save(t, s, l, second)
	if got, err := s.Planned(t.Context(), "ops"); err != nil || len(got) != 2 || got[0].ID != d.ID || got[1].ID != second.ID {
		t.Errorf("Planned() = %v, %v, want the two in their order", got, err)
	}
	if read, err := s.Read(t.Context(), ids); err != nil || len(read) != 3 {
		t.Errorf("Read(covered) = %d, %v, want all 3", len(read), err)
	}
	if state := known(t, s, "ops", group("g")); state.ID != "" {
		t.Errorf("Known() = %v, want nothing before the delivery is done", state)
	}
}

func testReplan(t *testing.T, s *store.Store) {
	l := acquire(t, s)
	d := planned("ops", add(t, s, note("ops", "g", nil))...)
	save(t, s, l, d)
	d.Attempts, d.Error, d.Plain = 6, "400", true
	d.Steps[0].Done, d.Steps[0].Message, d.Steps[0].Thread = true, "spaces/AAAA/messages/1", "spaces/AAAA/threads/1"
	d.Steps = append(d.Steps, delivery.Step{Action: delivery.Reply, Body: json.RawMessage(`{}`), RequestID: "r2"})
	save(t, s, l, d)
	got, err := s.Planned(t.Context(), "ops")
	if err != nil {
		t.Fatalf("Planned() = %v", err)
	}
	equal(t, "what is planned", got, []*delivery.Delivery{d})
	if err := s.Save(t.Context(), l, &delivery.Delivery{ID: 999, Space: "ops", Status: delivery.Planned}); err == nil {
		t.Error("Save(unknown id) = nil, want an error")
	}
}

func testDone(t *testing.T, s *store.Store) {
	l := acquire(t, s)
	ids := add(t, s, note("ops", "g", nil), note("ops", "g", nil))
	d := planned("ops", ids[0])
	save(t, s, l, d)
	d.Status, d.EndedAt = delivery.Done, start.Add(time.Minute)
	d.Known[0].State.Thread = incident.Thread{Place: "spaces/AAAA", Name: "spaces/AAAA/threads/1"}
	save(t, s, l, d)
	equal(t, "what waits", waiting(t, s, "ops"), ids[1:])
	if read, err := s.Read(t.Context(), ids); err != nil || len(read) != 1 {
		t.Errorf("Read(covered) = %d, %v, want the settled one to be gone", len(read), err)
	}
	if got, err := s.Planned(t.Context(), "ops"); err != nil || len(got) != 0 {
		t.Errorf("Planned() = %v, %v, want none", got, err)
	}
	equal(t, "what is known", known(t, s, "ops", group("g")), d.Known[0].State)
	atOnce := planned("ops", ids[1])
	atOnce.Status = delivery.Done
	save(t, s, l, atOnce)
	equal(t, "what waits after a delivery that was never planned", waiting(t, s, "ops"), []int64{})
}

func testDead(t *testing.T, s *store.Store) {
	l := acquire(t, s)
	d := planned("ops", add(t, s, note("ops", "g", nil))...)
	save(t, s, l, d)
	d.Status, d.Reason, d.Error = delivery.Dead, delivery.Expired, "503"
	d.Known[0].State.Told = false
	save(t, s, l, d)
	equal(t, "what waits", waiting(t, s, "ops"), []int64{})
	if state := known(t, s, "ops", group("g")); state.Told || state.ID != "i1" {
		t.Errorf("Known() = %+v, want what the delivery says", state)
	}
	got, err := s.History(t.Context(), "ops", 10)
	if err != nil || len(got) != 1 {
		t.Fatalf("History() = %v, %v, want one", got, err)
	}
	if h := got[0]; h.Reason != delivery.Expired || h.Error != "503" || !h.EndedAt.Equal(start) {
		t.Errorf("History() = %+v, want the reason, the error, and the clock's time as its end", h)
	}
}

func testSettledTwice(t *testing.T, s *store.Store) {
	l := acquire(t, s)
	d := planned("ops", add(t, s, note("ops", "g", nil))...)
	save(t, s, l, d)
	d.Status, d.EndedAt = delivery.Done, start
	save(t, s, l, d)
	save(t, s, l, d)
	if err := s.Thaw(t.Context(), l, d); err != nil {
		t.Errorf("Thaw(done) = %v", err)
	}
	if got, err := s.History(t.Context(), "ops", 10); err != nil || len(got) != 1 {
		t.Errorf("History() = %v, %v, want one", got, err)
	}
}

func testThaw(t *testing.T, s *store.Store) {
	l := acquire(t, s)
	ids := add(t, s, note("ops", "g", nil), note("ops", "g", nil))
	d := planned("ops", ids...)
	save(t, s, l, d)
	for range 2 { // the second time, the first answer was lost
		if err := s.Thaw(t.Context(), l, d); err != nil {
			t.Fatalf("Thaw() = %v", err)
		}
	}
	equal(t, "what waits", waiting(t, s, "ops"), ids)
	again := planned("ops", ids...)
	save(t, s, l, again)
	if again.ID <= d.ID {
		t.Errorf("the next delivery has the id %d after %d: it was given again", again.ID, d.ID)
	}
}

func testKnown(t *testing.T, s *store.Store) {
	l := acquire(t, s)
	for i, k := range []struct {
		space string
		group alert.Group
	}{
		{"ops", alert.Group{Receiver: "a", Key: "bc"}},
		{"ops", alert.Group{Receiver: "ab", Key: "c"}},
		{"opsa", alert.Group{Key: "bc"}},
		{"ops", alert.Group{Receiver: "a", Key: string(make([]byte, 10_000))}},
	} {
		if got := known(t, s, k.space, k.group); got.ID != "" {
			t.Errorf("Known(%d) = %v, want nothing", i, got)
		}
		for _, id := range []string{"old", fmt.Sprint("new", i)} {
			known := []delivery.Known{{Group: k.group, State: incident.State{ID: id}}}
			if err := s.Discard(t.Context(), l, k.space, nil, known); err != nil {
				t.Fatalf("Discard(%d) = %v", i, err)
			}
		}
		if got := known(t, s, k.space, k.group); got.ID != fmt.Sprint("new", i) {
			t.Errorf("Known(%d) = %v, want the last", i, got)
		}
	}
}

func testManyKnown(t *testing.T, s *store.Store) {
	groups := make([]alert.Group, 700)
	want := make(map[alert.Group]string)
	var stored []delivery.Known
	for i := range groups {
		groups[i] = group(fmt.Sprint("g", i))
		if i%3 > 0 {
			want[groups[i]] = fmt.Sprint("incident ", i)
			stored = append(stored, delivery.Known{Group: groups[i], State: incident.State{ID: want[groups[i]]}})
		}
	}
	if err := s.Discard(t.Context(), acquire(t, s), "ops", nil, stored); err != nil {
		t.Fatalf("Discard() = %v", err)
	}
	slices.Reverse(groups)
	groups = slices.Concat(groups, groups[:2])
	states, err := s.Known(t.Context(), "ops", groups)
	if err != nil || len(states) != len(groups) {
		t.Fatalf("Known() = %d, %v, want %d", len(states), err, len(groups))
	}
	for i, state := range states {
		if state.ID != want[groups[i]] {
			t.Fatalf("Known()[%d] = %q, want %q", i, state.ID, want[groups[i]])
		}
	}
	if states, err := s.Known(t.Context(), "ops", nil); err != nil || len(states) != 0 {
		t.Errorf("Known(no groups) = %v, %v, want none", states, err)
	}
}

func testLease(t *testing.T, s *store.Store) {
	l := acquire(t, s)
	ids := add(t, s, note("ops", "g", nil))
	d := planned("ops", ids...)
	save(t, s, l, d)
	old := delivery.Lease{Epoch: l.Epoch - 1}
	for name, write := range map[string]func() error{
		"Save":       func() error { return s.Save(t.Context(), old, planned("ops")) },
		"Thaw":       func() error { return s.Thaw(t.Context(), old, d) },
		"Discard":    func() error { return s.Discard(t.Context(), old, "ops", ids, nil) },
		"Report":     func() error { return s.Report(t.Context(), old, planned("ops"), ids, nil) },
		"SaveHealth": func() error { return s.SaveHealth(t.Context(), old, "ops", delivery.Health{LastSuccess: start}) },
		"Adopt": func() error {
			_, _, err := s.Adopt(t.Context(), old, "ops", "database")
			return err
		},
	} {
		if err := write(); !errors.Is(err, delivery.ErrLeaseLost) {
			t.Errorf("%s(old lease) = %v, want %v", name, err, delivery.ErrLeaseLost)
		}
	}
	if got, err := s.Planned(t.Context(), "ops"); err != nil || len(got) != 1 {
		t.Errorf("Planned() = %v, %v, want it untouched", got, err)
	}
	if got, err := s.Health(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("Health() = %v, %v, want nothing", got, err)
	}
	if s.Holds(old, time.Millisecond) || !s.Holds(l, time.Millisecond) {
		t.Error("Holds() does not tell the lease in force from an old one")
	}
	if err := s.Ready(); err != nil {
		t.Errorf("Ready() = %v, want nil: a lost lease is no fault of the storage", err)
	}
}

func testAdopt(t *testing.T, s *store.Store) {
	l := acquire(t, s)
	marked := note("old", "g", nil)
	marked.Unknown = "older"
	ids := add(t, s, note("old", "g", nil), marked, note("old", "h", nil), note("ops", "g", nil))
	d := planned("old", ids[2])
	d.Known[0].ThreadBefore = incident.Thread{Key: "before"}
	save(t, s, l, d)
	own := notice("old")
	report(t, s, own, ids[:1], nil)
	spaces, err := s.Spaces(t.Context())
	equal(t, "the spaces", spaces, []string{"old", "ops"})
	if err != nil {
		t.Errorf("Spaces() = %v", err)
	}
	moved, died, err := s.Adopt(t.Context(), l, "old", "ops")
	if moved != 2 || died != 2 || err != nil {
		t.Errorf("Adopt() = %d, %d, %v, want 2 moved and 2 dead", moved, died, err)
	}
	read, err := s.Read(t.Context(), ids)
	if err != nil || len(read) != 3 {
		t.Fatalf("Read() = %d, %v, want 3", len(read), err)
	}
	for i, want := range []string{"old", "older", ""} {
		if n := read[i]; n.Space != "ops" || n.Unknown != want {
			t.Errorf("notification %d: space %q, unknown %q, want ops, %q", i, n.Space, n.Unknown, want)
		}
	}
	for _, u := range undelivered(t, s, "ops") {
		if u.Reported {
			t.Errorf("notification %d is reported, but not to the fallback of the space that has it now", u.ID)
		}
	}
	dead, err := s.History(t.Context(), "old", 10)
	if err != nil || len(dead) != 2 || dead[1].Status != delivery.Dead || dead[1].Reason != delivery.SpaceRemoved {
		t.Errorf("History() = %v, %v, want two dead with %q", dead, err, delivery.SpaceRemoved)
	}
	equal(t, "what nobody was told of", unreported(t, s), []int64{d.ID})
	if state := known(t, s, "old", group("g")); state.Told || state.Thread.Key != "before" {
		t.Errorf("Known() = %+v, want what held before the delivery", state)
	}
	if spaces, err := s.Spaces(t.Context()); err != nil || !slices.Equal(spaces, []string{"ops"}) {
		t.Errorf("Spaces() = %v, %v, want ops", spaces, err)
	}
	if _, _, err := s.Adopt(t.Context(), l, "ops", "ops"); err == nil {
		t.Error("Adopt(ops, ops) = nil, want an error")
	}
}

func testCounts(t *testing.T, s *store.Store) {
	l := acquire(t, s)
	late := note("ops", "g", nil)
	late.ReceivedAt = start.Add(time.Hour)
	ids := add(t, s, late, late, note("database", "g", nil), late)
	save(t, s, l, planned("ops", ids[3]))
	d := planned("ops")
	d.Status, d.Reason = delivery.Dead, delivery.Rejected
	save(t, s, l, d)
	d = planned("quiet")
	d.Status = delivery.Done
	save(t, s, l, d)
	got, err := s.Counts(t.Context())
	if err != nil {
		t.Fatalf("Counts() = %v", err)
	}
	equal(t, "the counts", got, map[string]store.Count{
		"ops":      {Waiting: 2, Planned: 1, Dead: 1, Oldest: start},
		"database": {Waiting: 1, Oldest: start},
	})
}

func testHistory(t *testing.T, s *store.Store) {
	l := acquire(t, s)
	var want []int64
	for i := range 6 {
		d := planned("ops")
		d.Status, d.EndedAt = delivery.Done, start.Add(time.Duration(i)*time.Minute)
		if i == 0 {
			d.Status = delivery.Dead
		}
		save(t, s, l, d)
		if i == 0 || i >= 3 {
			want = append(want, d.ID)
		}
	}
	save(t, s, l, planned("ops"))
	got, err := s.History(t.Context(), "ops", 3)
	if err != nil {
		t.Fatalf("History() = %v", err)
	}
	slices.Reverse(want)
	ids := []int64{}
	for _, d := range got {
		ids = append(ids, d.ID)
		if len(d.Steps) != 1 || d.Steps[0].Body != nil || d.Known != nil || d.Covers != nil {
			t.Errorf("delivery %d has bodies, states or covers", d.ID)
		}
	}
	equal(t, "the history", ids, want)
}

func testManyWaiting(t *testing.T, s *store.Store) {
	batch := make([]alert.Notification, 2_000)
	for i := range batch {
		batch[i] = note("ops", fmt.Sprint("g", i), []byte("{}"))
	}
	want := add(t, s, batch...)
	equal(t, "what waits", waiting(t, s, "ops"), want)

	backwards := slices.Clone(want)
	slices.Reverse(backwards)
	read, err := s.Read(t.Context(), append(backwards, want[len(want)-1]+1))
	if err != nil || len(read) != len(want) {
		t.Fatalf("Read() = %d, %v, want %d", len(read), err, len(want))
	}
	for i, n := range read {
		if n.ID != want[i] || n.Group != batch[i].Group {
			t.Fatalf("Read()[%d] = %d of %q, want %d of %q", i, n.ID, n.Group, want[i], batch[i].Group)
		}
	}
	l := acquire(t, s)
	d := planned("ops", want[:1_500]...)
	save(t, s, l, d)
	equal(t, "what waits beside a delivery of many", waiting(t, s, "ops"), want[1_500:])
	if err := s.Discard(t.Context(), l, "ops", want[:1_990], nil); err != nil {
		t.Fatalf("Discard() = %v", err)
	}
	equal(t, "what waits after most were discarded", waiting(t, s, "ops"), want[1_990:])
	if err := s.Thaw(t.Context(), l, d); err != nil {
		t.Fatalf("Thaw() = %v", err)
	}
	equal(t, "what waits after the thaw", waiting(t, s, "ops"), append(slices.Clone(want[:1_500]), want[1_990:]...))
}

func testConcurrent(t *testing.T, s *store.Store) {
	const adders, each = 8, 40
	ctx := t.Context()
	l := acquire(t, s)
	var wg sync.WaitGroup
	for a := range adders {
		wg.Go(func() {
			for i := range each {
				n := []alert.Notification{note("ops", fmt.Sprint(a), []byte(fmt.Sprint(a, "/", i)))}
				if err := s.Add(ctx, n); err != nil {
					t.Errorf("Add() = %v", err)
				}
			}
		})
	}
	told := make(map[string]bool)
	for len(told) < adders*each {
		ids := waiting(t, s, "ops")
		read, err := s.Read(ctx, ids)
		if err != nil {
			t.Fatalf("Read() = %v", err)
		}
		for _, n := range read {
			if told[string(n.Body)] {
				t.Errorf("%s came twice", n.Body)
			}
			told[string(n.Body)] = true
		}
		d := planned("ops", ids...)
		save(t, s, l, d)
		d.Status = delivery.Done
		save(t, s, l, d)
		if _, err := s.Counts(ctx); err != nil {
			t.Fatalf("Counts() = %v", err)
		}
	}
	wg.Wait()
	equal(t, "what still waits", waiting(t, s, "ops"), []int64{})
}
