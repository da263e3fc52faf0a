package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"alertchat/receiver/alert"
	"alertchat/receiver/delivery"
	"alertchat/receiver/incident"
	"alertchat/receiver/store"
)

const day = 24 * time.Hour

// clock is a clock that a test sets.
type clock struct{ ms atomic.Int64 }

func (c *clock) set(t time.Time) { c.ms.Store(t.UnixMilli()) }
func (c *clock) now() time.Time  { return time.UnixMilli(c.ms.Load()) }

func TestWhatIsOverIsKeptForItsTime(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := &clock{}
		c.set(start)
		s := openAt(t, folder, store.Options{Now: c.now, Retention: store.Retention{DoneCount: 4, DeadCount: 2}})
		l := acquire(t, s)
		ended := func(space string, status delivery.Status, at time.Time) int64 {
			d := planned(space)
			d.Status, d.EndedAt = status, at
			save(t, s, l, d)
			return d.ID
		}
		history := func(space string) []int64 {
			all, err := s.History(t.Context(), space, 100)
			if err != nil {
				t.Fatalf("History() = %v", err)
			}
			ids := []int64{}
			for _, d := range all {
				ids = append(ids, d.ID)
			}
			slices.Sort(ids)
			return ids
		}
		var many, dead []int64
		for i := range 6 {
			many = append(many, ended("many", delivery.Done, start.Add(time.Duration(i)*time.Minute)))
			dead = append(dead, ended("dead", delivery.Dead, start.Add(time.Duration(i)*time.Minute)))
		}
		old := ended("old", delivery.Done, start.Add(-8*day))
		oldDead := ended("old", delivery.Dead, start.Add(-8*day))
		tooOld := ended("old", delivery.Dead, start.Add(-31*day))
		again := retry(t, s, ended("again", delivery.Dead, start.Add(-29*day)))
		again.Status, again.EndedAt = delivery.Done, start
		save(t, s, l, again)
		add(t, s, note("ops", "g", nil))
		save(t, s, l, planned("ops"))
		saveHealth := func(space string) {
			if err := s.SaveHealth(t.Context(), l, space, delivery.Health{LastSuccess: start}); err != nil {
				t.Fatalf("SaveHealth() = %v", err)
			}
		}
		saveHealth("quiet")
		saveHealth("ops")
		equal(t, "what is kept before the sweep", history("old"), []int64{old, oldDead, tooOld})

		pass(2 * time.Minute)
		equal(t, "what is kept of many", history("many"), many[2:])
		equal(t, "what is kept of the dead", history("dead"), dead[4:])
		equal(t, "what is kept of the old", history("old"), []int64{oldDead})

		c.set(start.Add(6 * day))
		pass(2 * time.Minute)
		equal(t, "what is kept of the retried one for 7 days", history("again"), []int64{again.ID})

		c.set(start.Add(10 * day))
		saveHealth("ops")
		state := []delivery.Known{{Group: group("fresh"), State: incident.State{ID: "fresh"}}}
		if err := s.Discard(t.Context(), l, "ops", nil, state); err != nil {
			t.Fatal(err)
		}
		c.set(start.Add(32 * day))
		pass(2 * time.Minute)
		equal(t, "what is kept of many", history("many"), []int64{})
		equal(t, "what is kept of the retried one", history("again"), []int64{})
		health, err := s.Health(t.Context())
		if err != nil {
			t.Errorf("Health() = %v", err)
		}
		equal(t, "how spaces are doing", health, map[string]delivery.Health{"ops": {LastSuccess: start}})
		if got := known(t, s, "many", group("g")); got.ID != "" {
			t.Errorf("Known() = %q, want what was not touched for 32 days to be forgotten", got.ID)
		}
		if got := known(t, s, "ops", group("fresh")); got.ID != "fresh" {
			t.Errorf("Known() = %q, want what was touched 22 days ago", got.ID)
		}
		counts, err := s.Counts(t.Context())
		if err != nil || counts["ops"].Waiting != 1 || counts["ops"].Planned != 1 {
			t.Errorf("Counts() = %v, %v, want what waits and is planned to be kept", counts, err)
		}
	})
}

func TestAFileThatHasGrownGetsSmallAgain(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := openAt(t, folder, store.Options{})
		size := func() int64 {
			onFile(t, folder, "PRAGMA wal_checkpoint(TRUNCATE)")
			info, err := os.Stat(filepath.Join(folder, "alertchat.db"))
			if err != nil {
				t.Fatal(err)
			}
			return info.Size()
		}
		ids := add(t, s, note("ops", "g", make([]byte, 12<<20)))
		large := size()
		if err := s.Discard(t.Context(), acquire(t, s), "ops", ids, nil); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Minute)
		if small := size(); small > 5<<20 {
			t.Errorf("the file has %d bytes after %d, want 5 MiB at most", small, large)
		}
	})
}

func TestALongHistoryIsSweptInPortions(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := openAt(t, folder, store.Options{Retention: store.Retention{DoneCount: 10}})
		save(t, s, acquire(t, s), func() *delivery.Delivery { d := planned("ops"); d.Status = delivery.Done; return d }())
		onFile(t, folder, `INSERT INTO deliveries (status, space, ended_at, created_at, received_at, latest_at, attempts, plain,
			place, reason, title, error, steps, plan)
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
			SELECT 'done', 'ops', d.ended_at - i, 0, 0, 0, 1, 0, '', '', i, '', '[]', '' FROM n, deliveries d`)
		for i := range 3 {
			if err := s.Add(t.Context(), []alert.Notification{note("ops", fmt.Sprint(i), nil)}); err != nil {
				t.Errorf("Add() = %v", err)
			}
		}
		pass(2 * time.Minute)
		if got, err := s.History(t.Context(), "ops", 100); err != nil || len(got) != 10 {
			t.Errorf("History() = %d, %v, want 10", len(got), err)
		}
	})
}
