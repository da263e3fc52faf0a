package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"alertchat/receiver/chat/chattest"
	"alertchat/receiver/delivery"
)

const (
	ops = "spaces/OPS"
	db  = "spaces/DB"
)

func TestAnIncidentIsOneThread(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.space("ops", ops)
		r.run()
		r.post("ops", "A")
		r.wait(time.Minute)
		r.post("ops", "A B@1")
		r.wait(time.Minute)
		r.restart()
		r.post("ops", "-A -B@1")
		r.wait(time.Minute)
		r.want(ops, "g first A", "g change A B", "g end -A -B")
		if got := r.threads(ops); !slices.Equal(got, []int{1, 1, 1}) {
			t.Errorf("threads %v, want one", got)
		}
		r.post("ops", "A@3")
		r.wait(time.Minute)
		if got := r.threads(ops); !slices.Equal(got, []int{1, 1, 1, 2}) {
			t.Errorf("threads %v, want the next incident in another", got)
		}
	})
}

func TestARepeatIsSeenAndFollowed(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.space("ops", ops)
		r.run()
		for _, n := range []string{"A", "A repeat", "A B@1", "A B@1 repeat", "-A -B@1"} {
			r.post("ops", n)
			r.wait(5 * time.Minute)
		}
		r.want(ops, "g first A", "g repeat A", "g change A B", "g repeat A B", "g end -A -B")
		if got := r.threads(ops); !slices.Equal(got, []int{1, 2, 2, 3, 3}) {
			t.Errorf("threads %v, want each repeat to start the one that is followed", got)
		}
	})
}

func TestWaysOfThreading(t *testing.T) {
	for _, c := range []struct {
		how  delivery.Threads
		want []int
	}{
		{delivery.Unthreaded, []int{1, 2, 3, 4}},
		{delivery.ByKey, []int{1, 2, 1, 2}}, // the test renderer's key is of the group
	} {
		t.Run(string(c.how), func(t *testing.T) {
			bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
				r.space("ops", ops).Threads = c.how
				r.run()
				for _, n := range []string{"a/A", "b/A", "a/-A", "b/-A"} {
					r.post("ops", n)
					r.wait(time.Minute)
				}
				if got := r.threads(ops); !slices.Equal(got, c.want) {
					t.Errorf("threads %v, want %v", got, c.want)
				}
			})
		})
	}
}

func TestAnEndWithoutAStateFindsItsThread(t *testing.T) {
	bubble(t, chattest.Options{}, func(r *rig) {
		r.space("ops", ops)
		r.run()
		r.post("ops", "A")
		r.wait(time.Minute)
		r.halt()
		r.folder = t.TempDir() // the storage is lost
		r.open()
		r.run()
		r.post("ops", "-A")
		r.wait(time.Minute)
		r.want(ops, "g first A", "g end -A")
		if got := r.threads(ops); !slices.Equal(got, []int{1, 1}) {
			t.Errorf("threads %v, want one", got)
		}
	})
}

func TestASpaceThatPointsElsewhereBeginsItsThreadsAnew(t *testing.T) {
	bubble(t, chattest.Options{}, func(r *rig) {
		r.space("ops", ops)
		r.run()
		r.post("ops", "A")
		r.wait(time.Minute)
		r.space("ops", db) // replaces it
		r.use()
		r.post("ops", "A B@1")
		r.wait(time.Minute)
		r.post("ops", "-A -B@1")
		r.wait(time.Minute)
		r.want(ops, "g first A")
		r.want(db, "g change A B", "g end -A -B")
		if got := r.threads(db); !slices.Equal(got, []int{1, 1}) {
			t.Errorf("threads %v, want one", got)
		}
	})
}

func TestPaceIsKept(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.space("ops", ops)
		r.space("ops-too", ops).Rate = 5 // the same place: the lowest rate holds
		r.run()
		for _, g := range []string{"a", "b", "c", "d", "e"} {
			r.post("ops", g+"/A")
			r.post("ops-too", g+"/A")
		}
		r.wait(9500 * time.Millisecond)
		if got := len(r.texts(ops)); got < 9 || got > 10 {
			t.Errorf("%d messages in 9.5 s, want one a second", got)
		}
		r.wait(time.Minute)
		if got := len(r.texts(ops)); got != 10 {
			t.Errorf("%d messages in all, want 10", got)
		}
		if got := r.chat.Throttled(ops); got != 0 {
			t.Errorf("Chat refused %d for their rate, want none", got)
		}
		if r.metric("alertchat_throttled_seconds_total") == 0 {
			t.Error("alertchat_throttled_seconds_total says that nothing waited")
		}
	})
}

func TestPaceIsKeptOverARestart(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.space("ops", ops)
		r.run()
		for range 5 {
			r.post("ops", "a/A")
			r.post("ops", "b/A")
			r.wait(1100 * time.Millisecond)
			r.restart()
		}
		r.wait(time.Minute)
		if got := r.chat.Throttled(ops); got != 0 {
			t.Errorf("Chat refused %d for their rate, want none", got)
		}
	})
}

func TestNewsIsCollapsedWhileChatThrottles(t *testing.T) {
	bubble(t, chattest.Options{}, func(r *rig) {
		r.space("ops", ops)
		r.chat.Inject(ops, -1, chattest.Fault{Status: 429})
		r.run()
		r.post("ops", "A")
		r.wait(time.Minute)
		r.post("ops", "A B@1")
		r.wait(time.Minute)
		r.post("ops", "-A -B@1")
		r.wait(time.Minute)
		r.chat.Heal(ops)
		r.wait(2 * time.Minute)
		r.want(ops, "g first -A -B")
		if got := r.metric("alertchat_notifications_folded_total", "reason", "superseded"); got != 2 {
			t.Errorf("%g notifications superseded, want 2", got)
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	bubble(t, chattest.Options{}, func(r *rig) {
		r.space("ops", ops)
		r.chat.Inject(ops, 1, chattest.Fault{Status: 429, RetryAfter: 90 * time.Second})
		r.run()
		r.post("ops", "A")
		r.wait(89 * time.Second)
		r.want(ops)
		r.wait(3 * time.Second)
		r.want(ops, "g first A")
	})
}

// TestUnknownOutcomes: whatever may have happened is attempted again with the
// same bytes and request id, so that it stands in Chat once.
func TestUnknownOutcomes(t *testing.T) {
	for name, f := range map[string]chattest.Fault{
		"the answer is lost":              {Act: true, Drop: true},
		"it acts and answers 500":         {Act: true, Status: 500},
		"it acts and hangs":               {Act: true, Hang: true},
		"it acts and breaks off":          {Truncate: true},
		"it closes the connection":        {Drop: true},
		"it answers 503":                  {Status: 503},
		"it answers HTML":                 {Status: 502, Body: "<html>Bad Gateway</html>"},
		"it hangs":                        {Hang: true},
		"a proxy answers 200 with a page": {Status: 200, Body: "<html>Sign in</html>"},
		"the connection is refused":       {Refuse: true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, chattest.Options{}, func(r *rig) {
				r.space("ops", ops)
				r.chat.Inject(ops, 2, f)
				r.run()
				r.post("ops", "A")
				r.wait(time.Second)
				r.restart()
				r.post("ops", "-A")
				r.wait(5 * time.Minute)
				if got := r.texts(ops); !slices.Equal(got, []string{"g first A", "g end -A"}) && !slices.Equal(got, []string{"g first -A"}) {
					t.Errorf("messages %q, want the firing and its end once each, or both in one\n%s", got, r.log)
				}
			})
		})
	}
}

func TestARefusedMessageGoesOutAsBuiltInText(t *testing.T) {
	bubble(t, chattest.Options{}, func(r *rig) {
		r.space("ops", ops)
		r.chat.Inject(ops, 1, chattest.Fault{Status: 400})
		r.run()
		r.post("ops", "A")
		r.wait(time.Minute)
		r.post("ops", "-A")
		r.wait(time.Minute)
		r.want(ops, "plain g first A", "g end -A")
		if got := r.threads(ops); !slices.Equal(got, []int{1, 1}) {
			t.Errorf("threads %v, want one", got)
		}
		ids := map[string]bool{}
		for _, req := range r.chat.Requests() {
			if ids[req.RequestID] {
				t.Errorf("request id %s was used for two different messages", req.RequestID)
			}
			ids[req.RequestID] = true
		}
	})
}

func TestWhatIsRefusedForGoodIsDead(t *testing.T) {
	bubble(t, chattest.Options{}, func(r *rig) {
		r.space("ops", ops)
		r.chat.Inject(ops, 2, chattest.Fault{Status: 400})
		r.run()
		r.post("ops", "a/A")
		r.post("ops", "b/B")
		r.wait(time.Minute)
		r.want(ops, "b first B")
		if got := r.metric("alertchat_dead_deliveries_total", "reason", "rejected"); got != 1 {
			t.Errorf("%g dead deliveries, want 1", got)
		}
		history, err := r.store.History(context.Background(), "ops", 10)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(history, func(d *delivery.Delivery) bool { return d.Status == delivery.Dead })
		if i < 0 || history[i].Reason != delivery.Rejected || history[i].Attempts != 2 || history[i].Error == "" {
			t.Errorf("history %+v, want a dead delivery with its error", history)
		}
		// Nobody was told of it: what comes next is the first message.
		r.post("ops", "a/A C@1")
		r.wait(time.Minute)
		r.want(ops, "b first B", "a first A C")
	})
}

func TestAGoneWebhookIsTriedSlowlyUntilMaxAge(t *testing.T) {
	bubble(t, chattest.Options{}, func(r *rig) {
		r.space("ops", ops).MaxAge = 3 * time.Hour
		r.space("db", db)
		r.chat.Inject(ops, -1, chattest.Fault{Status: 404})
		r.run()
		r.post("ops", "A")
		r.post("db", "A")
		r.wait(time.Hour)
		r.want(db, "g first A")
		if got := len(r.chat.Requests()); got < 50 || got > 60 {
			t.Errorf("%d requests in an hour, want about one each 64 s", got)
		}
		if got := r.metric("alertchat_space_failing", "space", "ops"); got != 1 {
			t.Errorf("alertchat_space_failing is %g, want 1", got)
		}
		if got := r.log.count("do not reach the space"); got != 1 {
			t.Errorf("%d lines say that the space fails, want one:\n%s", got, r.log)
		}
		r.wait(3 * time.Hour)
		if got := r.metric("alertchat_dead_deliveries_total", "reason", "expired"); got != 1 {
			t.Errorf("%g expired deliveries after max_age, want 1", got)
		}
		r.chat.Heal(ops)
		r.post("ops", "A B@1")
		r.wait(2 * time.Minute)
		r.want(ops, "g first A B")
		if got := r.log.count("nothing waits for it any more"); got != 1 {
			t.Errorf("%d lines say that nothing is left to fail, want one", got)
		}
		if got := r.metric("alertchat_space_failing", "space", "ops"); got != 0 {
			t.Errorf("alertchat_space_failing is %g, want 0", got)
		}
	})
}

func TestAReloadTriesAtOnce(t *testing.T) {
	bubble(t, chattest.Options{}, func(r *rig) {
		r.space("ops", ops)
		r.chat.Inject(ops, 1, chattest.Fault{Status: 404})
		r.run()
		r.post("ops", "A")
		r.wait(5 * time.Second)
		r.want(ops)
		r.use()
		r.wait(2 * time.Second)
		r.want(ops, "g first A")
	})
}

// TestAPoisonedMessageStepsAside: Chat answers 500 to one message whatever is
// tried. Others go first, the built-in text is tried, and in the end it expires.
func TestAPoisonedMessageStepsAside(t *testing.T) {
	poison := func(req chattest.Request) chattest.Fault {
		if strings.Contains(string(req.Body), "poison") {
			return chattest.Fault{Status: 500}
		}
		return chattest.Fault{}
	}
	bubble(t, chattest.Options{Fault: poison}, func(r *rig) {
		r.space("ops", ops).MaxAge = 2 * time.Hour
		r.run()
		r.post("ops", "poison/A")
		want := []string{}
		for i := range 10 {
			group := string(rune('b' + i))
			r.post("ops", group+"/B")
			want = append(want, group+" first B")
			r.wait(5 * time.Minute)
		}
		r.want(ops, want...)
		plain := false
		for _, req := range r.chat.Requests() {
			plain = plain || strings.Contains(string(req.Body), "plain poison")
		}
		if !plain {
			t.Errorf("the built-in text was not tried\n%s", r.log)
		}
		r.wait(2 * time.Hour)
		if got := r.metric("alertchat_dead_deliveries_total", "reason", "expired"); got != 1 {
			t.Errorf("%g expired deliveries, want the poisoned one\n%s", got, r.log)
		}
	})
}

func TestASpaceThatIsDownGivesNoMessageTheBlame(t *testing.T) {
	bubble(t, chattest.Options{}, func(r *rig) {
		r.space("ops", ops)
		r.chat.Inject(ops, -1, chattest.Fault{Status: 500})
		r.run()
		r.post("ops", "a/A")
		r.post("ops", "b/B")
		r.wait(2 * time.Hour)
		r.chat.Heal(ops)
		r.wait(5 * time.Minute)
		// Which one goes first depends on whose turn it was.
		if got := slices.Sorted(slices.Values(r.texts(ops))); !slices.Equal(got, []string{"a first A", "b first B"}) {
			t.Errorf("messages %q, want both as they were\n%s", got, r.log)
		}
	})
}

func TestARefusedThreadIsLeftOut(t *testing.T) {
	thread := `{"error":{"code":400,"message":"The request contains an invalid thread resource name","status":"INVALID_ARGUMENT"}}`
	bubble(t, chattest.Options{}, func(r *rig) {
		r.space("ops", ops)
		r.run()
		r.post("ops", "A")
		r.wait(time.Minute)
		r.chat.Inject(ops, 1, chattest.Fault{Status: 400, Body: thread})
		r.post("ops", "A B@1")
		r.wait(time.Minute)
		r.post("ops", "-A -B@1")
		r.wait(time.Minute)
		r.want(ops, "g first A", "g change A B", "g end -A -B")
	})
}

func TestPartsStayTogether(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.space("ops", ops)
		r.run()
		r.wait(time.Minute)
		// The second part is throttled; the first is not sent again.
		r.post("ops", "a/A B C D E F G")
		r.post("ops", "b/A")
		r.wait(500 * time.Millisecond)
		r.want(ops, "a first A B C")
		r.chat.Inject(ops, 1, chattest.Fault{Status: 429})
		r.wait(time.Second)
		r.post("ops", "a/-A -B -C -D -E -F -G")
		r.restart()
		r.wait(time.Minute)
		r.want(ops, "a first A B C", "a first D E F", "a first G", "b first A", "a end -A -B -C", "a end -D -E -F", "a end -G")
		if got := r.threads(ops); !slices.Equal(got, []int{1, 1, 1, 2, 1, 1, 1}) {
			t.Errorf("threads %v, want a's parts in one", got)
		}
	})
}

func TestAStopEndsWhatIsAttemptedAndBeginsNothing(t *testing.T) {
	bubble(t, chattest.Options{}, func(r *rig) {
		r.space("ops", ops)
		r.chat.Inject(ops, 1, chattest.Fault{Delay: 8 * time.Second})
		r.run()
		r.wait(time.Minute)
		r.post("ops", "a/A")
		r.post("ops", "b/B")
		r.wait(time.Second)
		began := time.Now()
		r.halt()
		if took := time.Since(began); took > 9*time.Second {
			t.Errorf("the stop took %s", took)
		}
		r.want(ops, "a first A")
		r.open()
		r.run()
		r.wait(time.Minute)
		r.want(ops, "a first A", "b first B")
		if got := len(r.chat.Requests()); got != 2 {
			t.Errorf("%d requests, want one for each message", got)
		}
	})
}

func TestWhatIsAbandonedIsAttemptedAgain(t *testing.T) {
	bubble(t, chattest.Options{}, func(r *rig) {
		r.space("ops", ops)
		r.chat.Inject(ops, 1, chattest.Fault{Act: true, Hang: true})
		r.run()
		r.post("ops", "A")
		r.wait(2 * time.Second)
		began := time.Now()
		r.abandon()
		<-r.ended
		if took := time.Since(began); took > 0 {
			t.Errorf("abandoning took %s", took)
		}
		r.restart()
		r.wait(time.Minute)
		r.want(ops, "g first A")
		requests := r.chat.Requests()
		if len(requests) != 2 || requests[0].RequestID != requests[1].RequestID || string(requests[0].Body) != string(requests[1].Body) {
			t.Errorf("requests %+v, want the same one twice", requests)
		}
	})
}

// failing is a store whose writes of ended deliveries fail for a while.
type failing struct {
	delivery.Store
	left atomic.Int32
	err  error
}

func (f *failing) Save(ctx context.Context, l delivery.Lease, ds ...*delivery.Delivery) error {
	if ds[0].Status != delivery.Planned && f.left.Add(-1) >= 0 {
		return f.err
	}
	return f.Store.Save(ctx, l, ds...)
}

func TestWhatIsInChatIsNotSentAgainWhenTheStoreFails(t *testing.T) {
	bubble(t, chattest.Options{}, func(r *rig) {
		r.space("ops", ops)
		f := &failing{Store: r.store, err: errors.New("the disk is full")}
		f.left.Store(30)
		r.through = f
		r.run()
		r.post("ops", "A")
		r.wait(time.Minute)
		if got := len(r.chat.Requests()); got != 1 {
			t.Errorf("%d requests, want 1", got)
		}
		r.post("ops", "-A")
		r.wait(time.Minute)
		r.want(ops, "g first A", "g end -A")
	})
}

func TestALostLeaseBeginsAnew(t *testing.T) {
	bubble(t, chattest.Options{}, func(r *rig) {
		r.space("ops", ops)
		f := &failing{Store: r.store, err: delivery.ErrLeaseLost}
		f.left.Store(1)
		r.through = f
		r.run()
		r.post("ops", "A")
		r.wait(time.Minute)
		// It is in Chat, but who held the lease could not say so.
		r.post("ops", "-A")
		r.wait(time.Minute)
		r.want(ops, "g first A", "g end -A")
	})
}

func TestWhatWaitsForARemovedSpaceIsToldInTheRoots(t *testing.T) {
	bubble(t, chattest.Options{}, func(r *rig) {
		r.space("ops", ops)
		r.space("db", db)
		r.chat.Inject(db, -1, chattest.Fault{Status: 500}) // one delivery is planned for good
		r.run()
		r.post("db", "a/A")
		r.wait(time.Minute)
		delete(r.spaces, "db")
		r.use()
		r.post("db", "b/B") // from a request that came with the config before
		r.wait(9 * time.Minute)
		r.want(ops)
		r.wait(3 * time.Minute)
		r.wantLike(ops, []string{"b first B for db"}, []string{"given up"})
		history, err := r.store.History(context.Background(), "db", 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(history) != 1 || history[0].Status != delivery.Dead || history[0].Reason != delivery.SpaceRemoved {
			t.Errorf("history of the removed space %+v, want its delivery dead", history)
		}
	})
}

func TestASpaceThatComesBackIsServedByOneLoop(t *testing.T) {
	bubble(t, chattest.Options{IgnoreRequestID: true}, func(r *rig) {
		s := r.space("ops", ops)
		r.chat.Inject(ops, 1, chattest.Fault{Delay: 5 * time.Second})
		r.run()
		r.post("ops", "A")
		r.wait(2 * time.Second)
		r.spaces = map[string]*delivery.Space{}
		r.use()
		r.spaces["ops"] = s
		r.use()
		r.wait(time.Minute)
		r.want(ops, "g first A")
	})
}

func TestCopiesCostNoPace(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.space("ops", ops)
		r.run()
		r.post("ops", "a/A")
		r.wait(time.Minute)
		for range 200 {
			r.post("ops", "a/A")
		}
		r.post("ops", "b/B")
		r.wait(100 * time.Millisecond)
		r.want(ops, "a first A", "b first B")
		r.wait(time.Second) // the last one may come after b's turn
		if got := r.metric("alertchat_notifications_folded_total", "reason", "duplicate"); got != 200 {
			t.Errorf("%g duplicates folded, want 200", got)
		}
	})
}

// TestAFlakyChatKillsNothing: Chat answers 503 to three requests of four, in no
// order. Every message arrives in the end.
func TestAFlakyChatKillsNothing(t *testing.T) {
	var mu sync.Mutex // guards random
	random := rand.New(rand.NewPCG(1, 2))
	flaky := func(chattest.Request) chattest.Fault {
		mu.Lock()
		defer mu.Unlock()
		if random.IntN(4) > 0 {
			return chattest.Fault{Status: 503}
		}
		return chattest.Fault{}
	}
	bubble(t, chattest.Options{Fault: flaky}, func(r *rig) {
		r.space("ops", ops)
		r.run()
		for i := range 100 {
			r.post("ops", fmt.Sprintf("g%d/A", i))
		}
		r.wait(12 * time.Hour)
		if got := len(r.texts(ops)); got != 100 {
			t.Errorf("%d messages of 100", got)
		}
		if got := r.metric("alertchat_dead_deliveries_total"); got != 0 {
			t.Errorf("%g dead deliveries, want none", got)
		}
	})
}

func TestAGroupThatStandsAsideHidesNoOther(t *testing.T) {
	poison := func(req chattest.Request) chattest.Fault {
		if strings.Contains(string(req.Body), "poison") {
			return chattest.Fault{Status: 500}
		}
		return chattest.Fault{}
	}
	bubble(t, chattest.Options{Fault: poison}, func(r *rig) {
		r.space("ops", ops)
		r.run()
		r.post("ops", "poison/A")
		r.wait(time.Second)
		for i := range 1200 { // more than are looked at in a turn
			r.post("ops", fmt.Sprintf("poison/A B%d@1", i))
		}
		r.post("ops", "b/B")
		r.wait(30 * time.Minute)
		r.want(ops, "b first B")
	})
}

func TestWhatDiedIsToldByTheNextRepeat(t *testing.T) {
	bubble(t, chattest.Options{}, func(r *rig) {
		r.space("ops", ops).Told.DropRepeats = true
		r.run()
		r.post("ops", "A")
		r.wait(time.Minute)
		r.chat.Inject(ops, 2, chattest.Fault{Status: 400})
		r.post("ops", "A B@1")
		r.wait(time.Minute)
		r.post("ops", "A B@1 repeat")
		r.wait(time.Minute)
		r.want(ops, "g first A", "g first A B")
		r.post("ops", "A B@1 repeat")
		r.wait(time.Minute)
		r.want(ops, "g first A", "g first A B")
	})
}

func TestWhatWasPlannedForAnotherPlaceIsFollowedWhereItWent(t *testing.T) {
	bubble(t, chattest.Options{}, func(r *rig) {
		r.space("ops", ops)
		r.chat.Inject(ops, -1, chattest.Fault{Status: 500}) // so that its bytes stay
		r.run()
		r.post("ops", "A")
		r.wait(time.Minute)
		r.space("ops", db) // the webhook moves
		r.use()
		r.wait(2 * time.Minute)
		r.post("ops", "A repeat")
		r.wait(time.Minute)
		r.post("ops", "-A")
		r.wait(time.Minute)
		r.want(db, "g first A", "g repeat A", "g end -A")
		if got := r.threads(db); !slices.Equal(got, []int{1, 2, 2}) {
			t.Errorf("threads %v, want the end to follow the repeat", got)
		}
	})
}
