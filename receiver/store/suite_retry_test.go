package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"alertchat/receiver/delivery"
	"alertchat/receiver/incident"
	"alertchat/receiver/store"
)

func anySpace(string) bool { return true }

func retry(tb testing.TB, s *store.Store, id int64) *delivery.Delivery {
	tb.Helper()
	space, err := s.Retry(tb.Context(), id, anySpace)
	if err != nil {
		tb.Fatalf("Retry(%d) = %v", id, err)
	}
	all, err := s.Planned(tb.Context(), space)
	if err != nil || len(all) != 1 || all[0].ID != id {
		tb.Fatalf("Planned(%q) = %v, %v, want delivery %d", space, all, err, id)
	}
	return all[0]
}

func testRetry(t *testing.T, s *store.Store) {
	l := acquire(t, s)
	d := planned("ops", add(t, s, note("ops", "g", nil))...)
	d.ReceivedAt, d.LatestAt = start.Add(-30*time.Hour), start.Add(-25*time.Hour)
	d.Attempts, d.Error, d.Plain = 7, "400", true
	d.Steps[0].Done, d.Steps[0].Message, d.Steps[0].Thread = true, "spaces/AAAA/messages/1", "spaces/AAAA/threads/1"
	d.Steps = append(d.Steps, delivery.Step{
		Action: delivery.Reply, Body: json.RawMessage("{ \"text\":\"\u2028 é <>\" }\n"), RequestID: "r2", Threaded: true,
	})
	save(t, s, l, d)
	d.Status, d.Reason, d.EndedAt = delivery.Dead, delivery.Expired, start
	save(t, s, l, d)
	newer := incident.State{ID: "newer", Told: true}
	if err := s.Discard(t.Context(), l, "ops", nil, []delivery.Known{{Group: group("g"), State: newer}}); err != nil {
		t.Fatalf("Discard() = %v", err)
	}

	got := retry(t, s, d.ID)
	d.Status, d.Reason, d.EndedAt, d.Known, d.Covers = delivery.Planned, "", time.Time{}, nil, nil
	d.ReceivedAt, d.LatestAt = start, start
	equal(t, "what is planned again", got, d)

	got.Status, got.Attempts = delivery.Done, 8
	save(t, s, l, got)
	equal(t, "what is known", known(t, s, "ops", group("g")), newer)
	history, err := s.History(t.Context(), "ops", 10)
	if err != nil || len(history) != 1 || history[0].Status != delivery.Done || history[0].Attempts != 8 {
		t.Errorf("History() = %v, %v, want it done after 8 attempts", history, err)
	}
}

func testRetryRefused(t *testing.T, s *store.Store) {
	l := acquire(t, s)
	waits, done := planned("ops"), planned("ops")
	save(t, s, l, waits)
	done.Status = delivery.Done
	save(t, s, l, done)
	died := dead(t, s, "old")
	isOps := func(space string) bool { return space == "ops" }
	for _, r := range []struct {
		id   int64
		want error
	}{
		{died + 1, store.ErrNoDelivery},
		{-1, store.ErrNoDelivery},
		{waits.ID, store.ErrNotDead},
		{done.ID, store.ErrNotDead},
		{died, store.ErrSpaceGone},
	} {
		if space, err := s.Retry(t.Context(), r.id, isOps); !errors.Is(err, r.want) || space != "" {
			t.Errorf("Retry(%d) = %q, %v, want %v", r.id, space, err, r.want)
		}
	}
	if counts, err := s.Counts(t.Context()); err != nil || counts["ops"].Planned != 1 || counts["old"].Dead != 1 {
		t.Errorf("Counts() = %v, %v, want one planned and one dead still", counts, err)
	}
	if err := s.Ready(); err != nil {
		t.Errorf("Ready() = %v, want nil: a refusal is no fault of the storage", err)
	}
}

func testRetryAtOnce(t *testing.T, s *store.Store) {
	const callers = 8
	id := dead(t, s, "ops")
	results := make(chan error, callers)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			_, err := s.Retry(t.Context(), id, anySpace)
			results <- err
		})
	}
	wg.Wait()
	won := 0
	for range callers {
		switch err := <-results; {
		case err == nil:
			won++
		case !errors.Is(err, store.ErrNotDead):
			t.Errorf("Retry() = %v, want %v for all but one", err, store.ErrNotDead)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d callers made it planned again, want one", won, callers)
	}
}

func testRetryOfReports(t *testing.T, s *store.Store) {
	l := acquire(t, s)
	die := func(d *delivery.Delivery) {
		t.Helper()
		d.Status, d.Reason = delivery.Dead, delivery.Expired
		save(t, s, l, d)
	}
	told, untold := dead(t, s, "told"), dead(t, s, "untold")
	own := notice("fallback")
	report(t, s, own, nil, []int64{told})
	die(own)
	for _, id := range []int64{told, untold, own.ID} {
		die(retry(t, s, id))
	}
	equal(t, "what nobody was told of after all have died again", unreported(t, s), []int64{told, untold})
}

func testDeliveries(t *testing.T, s *store.Store) {
	l := acquire(t, s)
	var ids []int64
	for i := range 6 {
		d := planned([]string{"ops", "database"}[i%2])
		save(t, s, l, d)
		if i >= 2 {
			d.Status = []delivery.Status{delivery.Done, delivery.Dead}[i/4] // 2 and 3 are done, 4 and 5 dead
			d.EndedAt = start.Add(-time.Duration(i) * time.Minute)
			save(t, s, l, d)
		}
		ids = append(ids, d.ID)
	}
	for i, f := range []struct {
		filter store.Filter
		want   []int64
	}{
		{store.Filter{Limit: 10}, []int64{ids[5], ids[4], ids[3], ids[2], ids[1], ids[0]}},
		{store.Filter{Limit: 2}, []int64{ids[5], ids[4]}},
		{store.Filter{Limit: 2, Before: ids[4]}, []int64{ids[3], ids[2]}},
		{store.Filter{Limit: 10, Before: ids[0]}, []int64{}},
		{store.Filter{Limit: 10, Status: delivery.Dead}, []int64{ids[5], ids[4]}},
		{store.Filter{Limit: 1, Status: delivery.Dead, Before: ids[5]}, []int64{ids[4]}},
		{store.Filter{Limit: 10, Status: delivery.Planned}, []int64{ids[1], ids[0]}},
		{store.Filter{Limit: 10, Space: "ops"}, []int64{ids[4], ids[2], ids[0]}},
		{store.Filter{Limit: 10, Space: "ops", Status: delivery.Done}, []int64{ids[2]}},
		{store.Filter{Limit: 10, Space: "nowhere"}, []int64{}},
		{store.Filter{}, []int64{}},
	} {
		all, err := s.Deliveries(t.Context(), f.filter)
		if err != nil {
			t.Errorf("Deliveries(%+v) = %v", f.filter, err)
		}
		got := []int64{}
		for _, d := range all {
			got = append(got, d.ID)
			if len(d.Steps) != 1 || d.Steps[0].Body != nil || d.Known != nil {
				t.Errorf("delivery %d has bodies or states", d.ID)
			}
		}
		equal(t, fmt.Sprintf("what filter %d lets through", i), got, f.want)
	}
}

func testRetryOfEdits(t *testing.T, s *store.Store) {
	l := acquire(t, s)
	d := planned("ops", add(t, s, note("ops", "g", nil))...)
	d.Steps = []delivery.Step{
		{Action: delivery.Edit, Body: json.RawMessage(`{"text":"a"}`), Target: "spaces/AAAA/messages/client-1", Remake: true},
		{Action: delivery.Reply, Body: json.RawMessage(`{"text":"b"}`), RequestID: "r2", MessageID: "client-1-2", Threaded: true},
	}
	d.Later = []delivery.Update{{Title: "later", Steps: []delivery.Step{d.Steps[0]}}}
	save(t, s, l, d)
	d.Status, d.Reason, d.EndedAt = delivery.Dead, delivery.Expired, start
	save(t, s, l, d)
	got := retry(t, s, d.ID)
	if len(got.Steps) != 2 || got.Steps[0].RequestID == "" {
		t.Fatalf("the steps are %+v, want two, each with a request id", got.Steps)
	}
	equal(t, "the steps", got.Steps, []delivery.Step{
		{Action: delivery.Create, Body: json.RawMessage(`{"text":"a"}`), RequestID: got.Steps[0].RequestID},
		{Action: delivery.Reply, Body: json.RawMessage(`{"text":"b"}`), RequestID: "r2", Threaded: true},
	})
	if len(got.Later)+len(got.Known)+len(got.Covers) > 0 {
		t.Errorf("it is %+v, want that it stands alone", got)
	}
}
