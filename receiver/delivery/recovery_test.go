package delivery_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"alertchat/receiver/chat/chattest"
	"alertchat/receiver/delivery"
)

func TestAFrozenDeliveryThatIsGoneFromTheStoreStopsNothing(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.space("ops", ops)
		r.chat.Inject(ops, 1, chattest.Fault{Delay: 5 * time.Second})
		r.run()
		r.wait(time.Minute)
		r.post("ops", "a/A")
		r.wait(time.Second)
		// The database that took over is a commit behind.
		planned, err := r.store.Planned(context.Background(), "ops")
		if err != nil || len(planned) != 1 {
			t.Fatalf("Planned() has %d, %v, want the one that is attempted", len(planned), err)
		}
		lease, err := r.store.Acquire(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if err := r.store.Thaw(context.Background(), lease, planned[0]); err != nil {
			t.Fatal(err)
		}
		r.post("ops", "b/A!critical")
		r.wait(15 * time.Second)
		told := r.told(ops)
		if told["b first"] != 1 {
			t.Errorf("messages %q, want the other group's told once", r.texts(ops))
		}
		// Nothing stored says that it was told.
		if n := told["a first"]; n < 1 || n > 2 {
			t.Errorf("what was gone is told %d times, want once or twice", n)
		}
		waiting, err := r.store.Waiting(context.Background(), "ops", 10)
		if err != nil || len(waiting) > 0 {
			t.Errorf("Waiting() = %v, %v, want none", waiting, err)
		}
	})
}

// once is a store that is sure of the lease only for the first attempt, until
// it is sure for good.
type once struct {
	unsure

	asked atomic.Int64
}

func (o *once) Holds(l delivery.Lease, d time.Duration) bool {
	return o.asked.Add(1) == 1 || o.unsure.Holds(l, d)
}

func TestEachPartOfADeliveryNeedsASureLease(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.space("ops", ops)
		lease := &once{unsure: unsure{Store: r.store}}
		r.through = lease
		r.run()
		r.post("ops", "a/A B C D E F G H")
		r.wait(time.Minute)
		r.want(ops, "a first A B C")
		if n := len(r.chat.Requests()); n != 1 {
			t.Errorf("%d attempts were made, want one: then another process may deliver", n)
		}
		lease.sure.Store(true)
		r.wait(time.Minute)
		r.want(ops, "a first A B C", "a first D E F", "a first G H")
	})
}

// forgetful is a store that at times cannot store how spaces are doing.
type forgetful struct {
	delivery.Store

	full atomic.Bool
}

func (f *forgetful) SaveHealth(ctx context.Context, l delivery.Lease, space string, h delivery.Health) error {
	if f.full.Load() {
		return errors.New("disk full")
	}
	return f.Store.SaveHealth(ctx, l, space, h)
}

func TestThatASpaceIsWellAgainIsStoredLaterWhereItCouldNotBe(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.space("ops", ops)
		disk := &forgetful{Store: r.store}
		r.through = disk
		r.chat.Inject(ops, 1, chattest.Fault{Status: http.StatusServiceUnavailable})
		r.run()
		r.post("ops", "a/A")
		r.wait(1050 * time.Millisecond) // the first attempt comes after one pace
		disk.full.Store(true)
		r.wait(30 * time.Second)
		r.want(ops, "a first A")
		stored, err := r.store.Health(context.Background())
		if err != nil || stored["ops"].FailingSince.IsZero() {
			t.Fatalf("Health() = %v, %v, want what was stored before the success", stored, err)
		}
		disk.full.Store(false)
		r.wait(10 * time.Second)
		r.restart()
		r.wait(time.Minute)
		if h := r.manager.Health()["ops"]; !h.FailingSince.IsZero() {
			t.Errorf("after a restart it fails since %s, want it to be well", h.FailingSince)
		}
		if n := r.metric("alertchat_space_failing", "space", "ops"); n != 0 {
			t.Errorf("space_failing = %v after a restart, want 0", n)
		}
	})
}
