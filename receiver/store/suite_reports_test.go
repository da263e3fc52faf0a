package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"alertchat/receiver/delivery"
	"alertchat/receiver/store"
)

func undelivered(tb testing.TB, s *store.Store, space string) []delivery.Undelivered {
	tb.Helper()
	all, err := s.Undelivered(context.Background(), space, 100)
	if err != nil {
		tb.Fatalf("Undelivered(%q) = %v", space, err)
	}
	return all
}

func unreported(tb testing.TB, s *store.Store) []int64 {
	tb.Helper()
	all, err := s.Unreported(context.Background(), 100)
	if err != nil {
		tb.Fatalf("Unreported() = %v", err)
	}
	ids := []int64{}
	for _, d := range all {
		ids = append(ids, d.ID)
	}
	return ids
}

func report(tb testing.TB, s *store.Store, d *delivery.Delivery, notifications, dead []int64) {
	tb.Helper()
	if err := s.Report(context.Background(), acquire(tb, s), d, notifications, dead); err != nil {
		tb.Fatalf("Report() = %v", err)
	}
}

// notice returns a planned delivery that tells of no group.
func notice(space string) *delivery.Delivery {
	d := planned(space)
	d.Known, d.Notice = nil, "another"
	return d
}

// dead stores a delivery that has died in a space, and returns its ID.
func dead(tb testing.TB, s *store.Store, space string) int64 {
	tb.Helper()
	d := planned(space)
	save(tb, s, acquire(tb, s), d)
	d.Status, d.Reason = delivery.Dead, delivery.Rejected
	save(tb, s, acquire(tb, s), d)
	return d.ID
}

func testUndelivered(t *testing.T, s *store.Store) {
	l := acquire(t, s)
	late := note("ops", "h", []byte("four"))
	late.ReceivedAt = start.Add(time.Hour)
	ids := add(t, s, note("ops", "g", nil), late, note("database", "g", nil), note("ops", "g", []byte("x")))
	d, other := planned("ops", ids[0]), planned("database", ids[2])
	save(t, s, l, d)
	save(t, s, l, other)
	want := []delivery.Undelivered{
		{Waiting: delivery.Waiting{ID: ids[0], Group: group("g")}, ReceivedAt: start},
		{Waiting: delivery.Waiting{ID: ids[1], Group: group("h"), Bytes: 4}, ReceivedAt: late.ReceivedAt},
		{Waiting: delivery.Waiting{ID: ids[3], Group: group("g"), Bytes: 1}, ReceivedAt: start},
	}
	equal(t, "what is not in Chat", undelivered(t, s, "ops"), want)
	if got, err := s.Undelivered(t.Context(), "ops", 2); err != nil || len(got) != 2 || got[1].ID != ids[1] {
		t.Errorf("Undelivered(limit 2) = %v, %v, want the oldest two", got, err)
	}
	report(t, s, nil, []int64{ids[0], ids[3], 999}, nil)
	want[0].Reported, want[2].Reported = true, true
	want[0], want[1] = want[1], want[0] // what is reported comes last
	equal(t, "what is not in Chat and reported", undelivered(t, s, "ops"), want)
	if err := s.Thaw(t.Context(), l, d); err != nil {
		t.Fatalf("Thaw() = %v", err)
	}
	equal(t, "what is not in Chat after a thaw", undelivered(t, s, "ops"), want)
	d = planned("ops", ids[0], ids[1])
	save(t, s, l, d)
	d.Status = delivery.Done
	save(t, s, l, d)
	equal(t, "what is not in Chat once a delivery is done", undelivered(t, s, "ops"), want[2:])
	equal(t, "what is not in Chat of the other space", len(undelivered(t, s, "database")), 1)
}

func testReport(t *testing.T, s *store.Store) {
	l := acquire(t, s)
	ids := add(t, s, note("database", "g", nil), note("database", "h", nil))
	first, second, third := dead(t, s, "database"), dead(t, s, "ops"), dead(t, s, "quiet")
	save(t, s, l, planned("database", ids[0]))
	equal(t, "what nobody was told of", unreported(t, s), []int64{first, second, third})
	some, err := s.Unreported(t.Context(), 1)
	if err != nil || len(some) != 1 {
		t.Fatalf("Unreported(limit 1) = %v, %v, want one", some, err)
	}
	if d := some[0]; d.Space != "database" || d.Reason != delivery.Rejected || d.Steps[0].Body != nil || d.Known != nil {
		t.Errorf("Unreported() = %+v, want the space and the reason, no bodies and no states", d)
	}

	d := notice("fallback")
	report(t, s, d, ids, []int64{first, third})
	if d.ID <= third {
		t.Errorf("the report has the id %d, want one above %d", d.ID, third)
	}
	equal(t, "what nobody was told of after the report", unreported(t, s), []int64{second})
	for _, u := range undelivered(t, s, "database") {
		if !u.Reported {
			t.Errorf("notification %d is not reported", u.ID)
		}
	}
	got, err := s.Planned(t.Context(), "fallback")
	if err != nil {
		t.Fatalf("Planned() = %v", err)
	}
	equal(t, "what is planned for the fallback", got, []*delivery.Delivery{d})

	d.Status, d.Reason = delivery.Dead, delivery.Expired
	save(t, s, l, d)
	equal(t, "what nobody was told of once the report is dead", unreported(t, s), []int64{second})
	report(t, s, nil, nil, []int64{second})
	equal(t, "what nobody was told of in the end", unreported(t, s), []int64{})
	if got, err := s.Planned(t.Context(), "fallback"); err != nil || len(got) != 0 {
		t.Errorf("Planned() = %v, %v, want none: without a delivery it only marks", got, err)
	}
}

func testReportFails(t *testing.T, s *store.Store) {
	ids := add(t, s, note("database", "g", nil))
	died := dead(t, s, "database")
	rename := func(from, to string) {
		t.Helper()
		err := s.Do(t.Context(), func(exec func(string) error) error {
			return exec(fmt.Sprintf(`ALTER TABLE deliveries RENAME COLUMN %s TO %s`, from, to))
		})
		if err != nil {
			t.Fatalf("Do() = %v", err)
		}
	}
	rename("reported", "lost") // its last statement fails
	d := notice("fallback")
	if err := s.Report(t.Context(), acquire(t, s), d, ids, []int64{died}); err == nil {
		t.Error("Report() = nil, want an error")
	}
	rename("lost", "reported")
	if d.ID != 0 {
		t.Errorf("the report has the id %d, want none", d.ID)
	}
	if got, err := s.Planned(t.Context(), "fallback"); err != nil || len(got) != 0 {
		t.Errorf("Planned() = %v, %v, want none", got, err)
	}
	if got := undelivered(t, s, "database"); len(got) != 1 || got[0].Reported {
		t.Errorf("Undelivered() = %+v, want one that is not reported", got)
	}
	equal(t, "what nobody was told of", unreported(t, s), []int64{died})
	report(t, s, d, ids, []int64{died})
	equal(t, "what nobody was told of the second time", unreported(t, s), []int64{})
}

func testHealth(t *testing.T, s *store.Store) {
	l := acquire(t, s)
	if got, err := s.Health(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("Health() = %v, %v, want nothing", got, err)
	}
	failing := delivery.Health{FailingSince: start, LastError: "404 <not> found", LastErrorAt: start.Add(time.Second), ReportedAt: start}
	well := delivery.Health{LastSuccess: start.Add(time.Minute)}
	for _, save := range []struct {
		space  string
		health delivery.Health
	}{{"ops", failing}, {"database", failing}, {"ops", well}} {
		if err := s.SaveHealth(t.Context(), l, save.space, save.health); err != nil {
			t.Fatalf("SaveHealth(%q) = %v", save.space, err)
		}
	}
	got, err := s.Health(t.Context())
	if err != nil {
		t.Fatalf("Health() = %v", err)
	}
	equal(t, "how the spaces are doing", got, map[string]delivery.Health{"ops": well, "database": failing})
}
