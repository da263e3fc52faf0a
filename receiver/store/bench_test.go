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
)

func BenchmarkAdd(b *testing.B) {
	for _, adders := range []int{1, 32, 256} {
		b.Run(fmt.Sprintf("adders=%d", adders), func(b *testing.B) {
			s := openAt(b, b.TempDir(), store.Options{})
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
		})
	}
}

// BenchmarkTurn is one turn of a loop: what waits is read, planned and done.
func BenchmarkTurn(b *testing.B) {
	s := openAt(b, b.TempDir(), store.Options{})
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
		state, err := s.Known(ctx, "ops", first.Group)
		if err != nil {
			b.Fatal(err)
		}
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
