package store_test

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"alertchat/receiver/alert"
	"alertchat/receiver/delivery"
	"alertchat/receiver/incident"
	"alertchat/receiver/store"
	"alertchat/receiver/store/pgtest"
)

func BenchmarkAdd(b *testing.B) {
	for _, adders := range []int{1, 32, 256} {
		b.Run(fmt.Sprintf("adders=%d", adders), func(b *testing.B) {
			benchmarkAdd(b, openAt(b, b.TempDir(), store.Options{}), adders)
		})
	}
}

func BenchmarkAddOnPostgreSQL(b *testing.B) {
	server := pgtest.New(b)
	for _, adders := range []int{1, 32, 256} {
		b.Run(fmt.Sprintf("adders=%d", adders), func(b *testing.B) {
			benchmarkAdd(b, openURL(b, server.URL(b), store.Options{}), adders)
		})
	}
}

func benchmarkAdd(b *testing.B, s *store.Store, adders int) {
	b.Helper()
	body := bytes.Repeat([]byte("x"), 1350)
	b.ReportAllocs()
	var left atomic.Int64
	left.Store(int64(b.N))
	done := make(chan error, adders)
	b.ResetTimer()
	for range adders {
		go func() {
			for left.Add(-1) >= 0 {
				if err := s.Add(context.Background(), []alert.Notification{note("ops", "g", body)}); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range adders {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "adds/s")
}

// BenchmarkTurn is one turn of a loop: what waits is read, planned and done.
func BenchmarkTurn(b *testing.B) {
	benchmarkTurn(b, openAt(b, b.TempDir(), store.Options{}))
}

func BenchmarkTurnOnPostgreSQL(b *testing.B) {
	benchmarkTurn(b, openURL(b, pgtest.New(b).URL(b), store.Options{}))
}

func benchmarkTurn(b *testing.B, s *store.Store) {
	b.Helper()
	ctx := b.Context()
	lease := acquire(b, s)
	body := bytes.Repeat([]byte("x"), 1350)
	for i := range 1000 { // a queue behind the one that is told
		add(b, s, note("ops", fmt.Sprintf("g%d", i), body))
	}
	b.ReportAllocs()
	for b.Loop() {
		waiting, err := s.Waiting(ctx, "ops", 1000)
		if err != nil {
			b.Fatal(err)
		}
		first := waiting[0]
		if _, err := s.Read(ctx, []int64{first.ID}); err != nil {
			b.Fatal(err)
		}
		states, err := s.Known(ctx, "ops", []alert.Group{first.Group})
		if err != nil {
			b.Fatal(err)
		}
		state := states[0]
		state.Told = true
		state.Alerts = map[string]incident.Alert{"f": {StartsAt: time.UnixMilli(1)}}
		d := planned("ops", first.ID)
		d.Known = []delivery.Known{{Group: first.Group, State: state}}
		if err := s.Save(ctx, lease, d); err != nil {
			b.Fatal(err)
		}
		d.Status = delivery.Done
		if err := s.Save(ctx, lease, d); err != nil {
			b.Fatal(err)
		}
		add(b, s, note("ops", "again", body))
	}
}

// filled returns a store with notifications that wait, of a number of groups
// of which something is known.
func filled(b *testing.B, notifications, groups int) (*store.Store, []int64, []alert.Group) {
	b.Helper()
	s := openAt(b, b.TempDir(), store.Options{})
	known := make([]delivery.Known, groups)
	all := make([]alert.Group, groups)
	for i := range all {
		all[i] = group(fmt.Sprintf(`{}/{severity=~"critical|page"}:{alertname="HighLoad", instance="host%d:9100"}`, i))
		known[i] = delivery.Known{Group: all[i], State: incident.State{ID: fmt.Sprint(i), Open: true, Alerts: map[string]incident.Alert{
			"0123456789abcdef": {StartsAt: start}, "1123456789abcdef": {StartsAt: start}, "2123456789abcdef": {StartsAt: start},
		}}}
	}
	batch := make([]alert.Notification, notifications)
	for i := range batch {
		batch[i] = alert.Notification{Space: "ops", Group: all[i%groups], ReceivedAt: start, Body: bytes.Repeat([]byte("x"), 1350)}
	}
	ids := add(b, s, batch...)
	if err := s.Discard(b.Context(), acquire(b, s), "ops", nil, known); err != nil {
		b.Fatal(err)
	}
	return s, ids, all
}

func BenchmarkLongQueue(b *testing.B) {
	const count = 10_000
	s, _, _ := filled(b, count, 1000)
	for name, read := range map[string]func() error{
		"Waiting": func() error {
			_, err := s.Waiting(b.Context(), "ops", count)
			return err
		},
		"Undelivered": func() error {
			_, err := s.Undelivered(b.Context(), "ops", count)
			return err
		},
		"Counts": func() error {
			_, err := s.Counts(b.Context())
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := read(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	s, ids, groups := filled(b, 10_000, 1000)
	for _, n := range []int{1, 10, 1000} {
		some := make([]int64, n) // from all over the table
		for i := range some {
			some[i] = ids[i*len(ids)/n]
		}
		b.Run(fmt.Sprintf("notifications=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if got, err := s.Read(b.Context(), some); err != nil || len(got) != n {
					b.Fatal(len(got), err)
				}
			}
		})
		b.Run(fmt.Sprintf("states=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Known(b.Context(), "ops", groups[:n]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFreeze freezes and thaws a delivery that covers many notifications.
func BenchmarkFreeze(b *testing.B) {
	s, ids, _ := filled(b, 10_000, 1000)
	l := acquire(b, s)
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprintf("covers=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				d := planned("ops", ids[:n]...)
				save(b, s, l, d)
				if err := s.Thaw(b.Context(), l, d); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReports looks for news of the dead among many that were reported.
func BenchmarkReports(b *testing.B) {
	s, _, _ := filled(b, 1, 1)
	ids := make([]int64, 1000)
	for i := range ids {
		ids[i] = dead(b, s, "ops")
	}
	report(b, s, nil, nil, ids[:999])
	b.Run("Unreported", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if got, err := s.Unreported(b.Context(), 100); err != nil || len(got) != 1 {
				b.Fatal(len(got), err)
			}
		}
	})
	b.Run("Deliveries", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if got, err := s.Deliveries(b.Context(), store.Filter{Status: delivery.Dead, Limit: 50}); err != nil || len(got) != 50 {
				b.Fatal(len(got), err)
			}
		}
	})
}
