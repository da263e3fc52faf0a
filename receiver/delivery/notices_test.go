package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat/chattest"
	"alertchat/receiver/delivery"
)

// notices returns how many messages in a place have all of the words.
func (r *rig) notices(place string, words ...string) int {
	n := 0
	for _, text := range r.texts(place) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
			n++
		}
	}
	return n
}

// untilTold waits until a place has a message, at most for so long, and returns
// how long that took.
func (r *rig) untilTold(place string, most time.Duration) time.Duration {
	r.t.Helper()
	for start := time.Now(); ; r.wait(time.Second) {
		took := time.Since(start)
		if len(r.texts(place)) > 0 {
			return took
		}
		if took > most {
			r.t.Fatalf("%s is told nothing within %s; log:\n%s", place, most, r.log)
		}
	}
}

func TestNoticesDoNotPileUpWhileTheFallbackFailsToo(t *testing.T) {
	for _, c := range []struct {
		name            string
		spaces, minutes int
	}{
		{"one space fails for long", 1, 120},
		{"several spaces fail", 5, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
				down := chattest.Fault{Status: http.StatusServiceUnavailable}
				r.space("db", db)
				r.chat.Inject(db, -1, down)
				for i := range c.spaces {
					s := r.space(fmt.Sprintf("s%d", i), fmt.Sprintf("spaces/S%d", i))
					s.Fallback, s.FallbackAfter, s.Digest = "db", 5*time.Minute, 20
					r.chat.Inject(fmt.Sprintf("spaces/S%d", i), -1, down)
				}
				r.run()
				for minute := range c.minutes {
					for i := range c.spaces {
						r.post(fmt.Sprintf("s%d", i), fmt.Sprintf("g%d/A", minute))
					}
					r.wait(time.Minute)
				}
				r.post("db", "own/A!critical")
				r.wait(time.Minute)
				r.chat.Heal(db)
				for i := range c.spaces {
					r.chat.Heal(fmt.Sprintf("spaces/S%d", i))
				}
				r.wait(10 * time.Minute)
				if at := r.toldAs(db, "own"); at < 0 || at > 2 {
					t.Errorf("the fallback's own alert is message %d, want it among the first three", at)
				}
				for i := range c.spaces {
					if n := r.notices(db, fmt.Sprintf("the space s%d ", i)); n < 1 || n > 4 {
						t.Errorf("%d notices of s%d, want a handful:\n%s", n, i, strings.Join(r.texts(db), "\n"))
					}
					r.wantEachOnce(fmt.Sprintf("spaces/S%d", i), c.minutes, "first")
				}
			})
		})
	}
}

func TestTheFallbackHearsOfNewsBehindThousands(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.relieved()
		r.chat.Inject(ops, -1, chattest.Fault{Status: http.StatusNotFound})
		r.run()
		for i := range 12 {
			r.changes("ops", fmt.Sprintf("g%d", i), 900)
		}
		r.wait(7 * time.Minute)
		r.post("ops", "new/A!critical")
		r.wait(3 * time.Minute)
		if n := r.notices(db, "new first A"); n != 1 {
			t.Errorf("the new alert is told %d times, want once:\n%s", n, strings.Join(r.texts(db), "\n"))
		}
		for i := range 12 {
			if r.notices(db, fmt.Sprintf("; g%d first", i)) == 0 {
				t.Errorf("g%d is not told:\n%s", i, strings.Join(r.texts(db), "\n"))
			}
		}
	})
}

func TestASpaceIsWellAgainOnlyOnceAllIsTold(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.relieved()
		r.chat.Inject(ops, -1, chattest.Fault{Status: http.StatusNotFound})
		r.run()
		r.flood("ops", 0, 100)
		r.wait(10 * time.Minute)
		r.chat.Heal(ops)
		for range 300 {
			if r.notices(db, "✅") > 0 {
				break
			}
			r.wait(time.Second)
		}
		r.wantEachOnce(ops, 100, "first")
		r.wantLike(db, []string{"Groups that fire there: 100."}, []string{"✅ Messages reach the space ops again."})
		if n := r.metric("alertchat_space_failing", "space", "ops"); n != 0 {
			t.Errorf("space_failing = %v, want 0", n)
		}
	})
}

func TestWhatWasGivenUpMakesNoSpaceWellAgain(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.relieved().MaxAge = 30 * time.Minute
		r.chat.Inject(ops, -1, chattest.Fault{Status: http.StatusNotFound})
		r.run()
		r.post("ops", "a/A")
		r.wait(20 * time.Minute)
		if n := r.metric("alertchat_space_failing", "space", "ops"); n != 1 {
			t.Errorf("while it waits, space_failing = %v, want 1", n)
		}
		r.wait(20 * time.Minute)
		given := [][]string{{"have not reached the space ops"}, {"for the space ops were given up"}}
		r.wantLike(db, given...)
		if n := r.metric("alertchat_space_failing", "space", "ops"); n != 0 {
			t.Errorf("with nothing left that could fail, space_failing = %v, want 0", n)
		}
		r.chat.Heal(ops)
		r.post("ops", "b/A")
		r.wait(time.Hour)
		r.want(ops, "b first A")
		r.wantLike(db, given...)
	})
}

func TestAHiccupLongAfterADeathAlarmsNobody(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.relieved().MaxAge = 3 * time.Minute // it dies before the fallback is told that the space fails
		r.chat.Inject(ops, -1, chattest.Fault{Status: http.StatusNotFound})
		r.run()
		r.post("ops", "a/A")
		r.wait(10 * time.Minute)
		r.chat.Heal(ops)
		r.wait(2 * time.Hour)
		r.chat.Inject(ops, 3, chattest.Fault{Status: http.StatusServiceUnavailable})
		r.post("ops", "b/A")
		r.wait(10 * time.Minute)
		r.want(ops, "b first A")
		r.wantLike(db, []string{"for the space ops were given up"})
	})
}

func TestAnotherFallbackIsToldFromTheBeginning(t *testing.T) {
	const other = "spaces/OTHER"
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		was := r.relieved()
		r.space("other", other)
		r.chat.Inject(ops, -1, chattest.Fault{Status: http.StatusNotFound})
		r.run()
		r.post("ops", "a/A")
		r.wait(10 * time.Minute)
		r.post("ops", "b/A")
		r.wait(10 * time.Minute)
		r.wantLike(db, []string{"a first A"}, []string{"b first A"})
		changed := *was
		changed.Fallback = "other"
		r.spaces["ops"] = &changed
		r.use()
		r.wait(2 * time.Minute)
		r.wantLike(other, []string{"Groups that fire there: 2.", "a first A", "b first A"})
		r.wait(time.Hour)
		r.chat.Heal(ops)
		r.wait(5 * time.Minute)
		r.wantLike(other, nil, []string{"✅ Messages reach the space ops again"})
		r.wantLike(db, nil, nil)
	})
}

func TestASpaceThatChatThrottlesForLongFails(t *testing.T) {
	bubble(t, chattest.Options{}, func(r *rig) {
		r.relieved()
		r.chat.Inject(ops, 6, chattest.Fault{Status: http.StatusTooManyRequests, RetryAfter: 5 * time.Minute})
		r.run()
		r.wait(time.Minute)
		since := time.Now()
		r.post("ops", "a/A")
		if took := r.untilTold(db, 8*time.Minute); took < 5*time.Minute {
			t.Errorf("the fallback is told after %s, want five minutes", took)
		}
		r.wantLike(db, []string{"since " + since.UTC().Format("2 Jan 15:04 MST"), "a first A"})
		if n := r.metric("alertchat_space_failing", "space", "ops"); n != 1 {
			t.Errorf("space_failing = %v, want 1", n)
		}
		r.wait(time.Hour)
		r.want(ops, "a first A")
		r.wantLike(db, nil, []string{"✅"})
	})
}

func TestAClockThatWasSetBackKeepsNothingFromTheFallback(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.relieved()
		r.chat.Inject(ops, -1, chattest.Fault{Status: http.StatusNotFound})
		r.run()
		all := []alert.Notification{{
			Space: "ops", Group: alert.Group{Receiver: "team", Key: "a"}, ReceivedAt: time.Now().Add(time.Hour),
			Body: []byte(`{"version": "4", "groupKey": "a", "receiver": "team", "status": "firing", "alerts": [
				{"status": "firing", "fingerprint": "A", "startsAt": "2000-01-01T00:00:00Z"}]}`),
		}}
		if err := r.store.Add(context.Background(), all); err != nil {
			t.Fatal(err)
		}
		r.manager.Ring("ops")
		r.untilTold(db, 7*time.Minute)
		r.wantLike(db, []string{"Groups that fire there: 1.", "a first A"})
	})
}

// dumb is a store that knows nothing of some spaces for their fallback, or
// cannot store a notice of them, until it is mended.
type dumb struct {
	delivery.Store

	unread, unstored []string
	mended           atomic.Bool
}

func (s *dumb) Undelivered(ctx context.Context, space string, limit int) ([]delivery.Undelivered, error) {
	if slices.Contains(s.unread, space) && !s.mended.Load() {
		return nil, errors.New("a query for " + space + " fails")
	}
	return s.Store.Undelivered(ctx, space, limit)
}

func (s *dumb) Report(ctx context.Context, l delivery.Lease, d *delivery.Delivery, notifications, dead []int64) error {
	if d != nil && slices.Contains(s.unstored, d.Notice) && !s.mended.Load() {
		return errors.New("a statement for " + d.Notice + " fails")
	}
	return s.Store.Report(ctx, l, d, notifications, dead)
}

func TestANoticeThatCannotBeMadeHoldsUpNoOther(t *testing.T) {
	for _, c := range []struct {
		name   string
		store  *dumb
		silent []string
	}{
		{"what is told cannot be read", &dumb{unread: []string{"s1"}}, []string{"s1"}},
		{"the notice cannot be stored", &dumb{unstored: []string{"s1"}}, []string{"s1"}},
		{"both", &dumb{unread: []string{"s0", "s2"}, unstored: []string{"s1"}}, []string{"s0", "s1", "s2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
				r.space("db", db)
				for i := range 4 {
					s := r.space(fmt.Sprintf("s%d", i), fmt.Sprintf("spaces/S%d", i))
					s.Fallback, s.FallbackAfter = "db", 5*time.Minute
					r.chat.Inject(fmt.Sprintf("spaces/S%d", i), -1, chattest.Fault{Status: http.StatusNotFound})
				}
				c.store.Store = r.store
				r.through = c.store
				r.run()
				for i := range 4 {
					r.post(fmt.Sprintf("s%d", i), "a/A")
				}
				r.wait(30 * time.Minute)
				for i := range 4 {
					name, want := fmt.Sprintf("s%d", i), 1
					if slices.Contains(c.silent, name) {
						want = 0
					}
					if n := r.notices(db, "the space "+name+" ", "a first A"); n != want {
						t.Errorf("%d notices of %s, want %d", n, name, want)
					}
				}
				c.store.mended.Store(true)
				r.wait(5 * time.Minute)
				for i := range 4 {
					if n := r.notices(db, fmt.Sprintf("the space s%d ", i), "a first A"); n != 1 {
						t.Errorf("%d notices of s%d once they can be made, want 1", n, i)
					}
				}
			})
		})
	}
}

func TestThatANoticeCannotBeMadeIsLoggedOnce(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.relieved()
		r.through = &dumb{Store: r.store, unread: []string{"ops"}}
		r.chat.Inject(ops, -1, chattest.Fault{Status: http.StatusNotFound})
		r.run()
		r.post("ops", "a/A")
		r.wait(time.Hour)
		if n := r.log.count("a query for ops fails"); n != 1 {
			t.Errorf("%d lines say so, want one:\n%s", n, r.log)
		}
	})
}

func TestWhatDiesAgainIsToldAgain(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.relieved().MaxAge = 10 * time.Minute
		r.chat.Inject(ops, -1, chattest.Fault{Status: http.StatusNotFound})
		r.run()
		r.post("ops", "a/A")
		r.wait(time.Hour)
		dead, err := r.store.History(context.Background(), "ops", 10)
		if err != nil || len(dead) != 1 {
			t.Fatalf("History() = %v, %v, want one that is dead", dead, err)
		}
		for range 2 {
			r.retry(dead[0].ID)
			r.wait(time.Hour)
		}
		if n := r.metric("alertchat_dead_deliveries_total", "space", "ops"); n != 3 {
			t.Errorf("it died %v times, want 3", n)
		}
		if n := r.notices(db, "for the space ops were given up", "a first A"); n != 3 {
			t.Errorf("the fallback is told of %d deaths, want 3:\n%s", n, strings.Join(r.texts(db), "\n"))
		}
	})
}

func TestANoticeThatDiesAgainIsToldNobody(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.relieved()
		s := r.spaces["db"]
		s.Fallback, s.FallbackAfter, s.MaxAge = "ops", 5*time.Minute, 10*time.Minute
		for _, place := range []string{ops, db} {
			r.chat.Inject(place, -1, chattest.Fault{Status: http.StatusNotFound})
		}
		r.run()
		r.post("ops", "a/A")
		r.wait(30 * time.Minute)
		dead, err := r.store.History(context.Background(), "db", 10)
		if err != nil || len(dead) == 0 || dead[0].Notice != "ops" {
			t.Fatalf("History() = %v, %v, want a notice of ops", dead, err)
		}
		before := r.metric("alertchat_dead_deliveries_total", "space", "db")
		r.retry(dead[0].ID)
		r.wait(30 * time.Minute)
		if n := r.metric("alertchat_dead_deliveries_total", "space", "db"); n <= before {
			t.Errorf("%v notices are dead, want more than %v: the retried one dies again", n, before)
		}
		r.chat.Heal(ops)
		r.wait(30 * time.Minute)
		r.want(ops, "a first A")
	})
}

func TestANoticeThatCannotBeStoredIsLoggedOnceAndToldAsTheFirst(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.relieved()
		broken := &dumb{Store: r.store, unstored: []string{"ops"}}
		r.through = broken
		r.chat.Inject(ops, -1, chattest.Fault{Status: http.StatusNotFound})
		r.run()
		r.post("ops", "a/A")
		r.wait(30 * time.Minute)
		if n := r.log.count("What is done beside delivery fails"); n != 1 {
			t.Errorf("%d lines say so, want one", n)
		}
		broken.mended.Store(true)
		r.wait(5 * time.Minute)
		r.wantLike(db, []string{"Groups that fire there: 1.", "a first A"})
	})
}

func TestWhatSeveralNoticesFailOfIsLoggedOnce(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.space("db", db)
		for i := range 3 {
			s := r.space(fmt.Sprintf("s%d", i), fmt.Sprintf("spaces/S%d", i))
			s.Fallback, s.FallbackAfter = "db", 5*time.Minute
			r.chat.Inject(fmt.Sprintf("spaces/S%d", i), -1, chattest.Fault{Status: http.StatusNotFound})
		}
		r.through = &dumb{Store: r.store, unread: []string{"s0", "s1", "s2"}}
		r.run()
		for i := range 3 {
			r.post(fmt.Sprintf("s%d", i), "a/A")
		}
		r.wait(30 * time.Minute)
		// While each of them begins to fail the text changes, at most three times.
		if n := r.log.count("What is done beside delivery fails"); n > 3 {
			t.Errorf("%d lines say so, want one", n)
		}
	})
}
