package store_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"go.uber.org/goleak"

	"alertchat/receiver/alert"
	"alertchat/receiver/delivery"
	"alertchat/receiver/incident"
	"alertchat/receiver/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 11, 23, 14, 50, 0, 0, time.UTC)

// openAt opens a store over a folder and waits until it works. It is closed
// with the test.
func openAt(tb testing.TB, folder string, o store.Options) *store.Store {
	tb.Helper()
	o.Path = folder
	s := store.Open(o)
	tb.Cleanup(func() { closeStore(tb, s) })
	acquire(tb, s)
	return s
}

func closeStore(tb testing.TB, s *store.Store) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		tb.Errorf("Close() = %v", err)
	}
}

// acquire waits until the store is open.
func acquire(tb testing.TB, s *store.Store) delivery.Lease {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	l, err := s.Acquire(ctx)
	if err != nil {
		tb.Fatalf("Acquire() = %v; Ready() = %v", err, s.Ready())
	}
	return l
}

func group(key string) alert.Group { return alert.Group{Receiver: "team", Key: key} }

func note(space, key string, body []byte) alert.Notification {
	return alert.Notification{Space: space, Group: group(key), ReceivedAt: start, Body: body}
}

func add(tb testing.TB, s *store.Store, n ...alert.Notification) []int64 {
	tb.Helper()
	if err := s.Add(context.Background(), n); err != nil {
		tb.Fatalf("Add() = %v", err)
	}
	ids := make([]int64, len(n))
	for i := range n {
		ids[i] = n[i].ID
	}
	return ids
}

func planned(space string, covers ...int64) *delivery.Delivery {
	return &delivery.Delivery{
		Space: space, Place: "spaces/AAAA", Status: delivery.Planned, Title: "HighLoad",
		Steps:  []delivery.Step{{Action: delivery.Create, Body: json.RawMessage(`{"text": "<b> & é"}`), RequestID: "r1"}},
		Known:  []delivery.Known{{Group: group("g"), State: incident.State{ID: "i1", Open: true, Told: true}}},
		Covers: covers, ReceivedAt: start, LatestAt: start.Add(time.Second), CreatedAt: start.Add(2 * time.Second),
	}
}
