package delivery_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"alertchat/receiver/chat/chattest"
	"alertchat/receiver/delivery"
)

// relieved makes the space ops with the fallback db.
func (r *rig) relieved() *delivery.Space {
	s := r.space("ops", ops)
	s.Fallback, s.FallbackAfter = "db", 5*time.Minute
	r.space("db", db)
	return s
}

// wantLike fails the test unless the place has so many messages, each with the
// words given for it.
func (r *rig) wantLike(place string, messages ...[]string) {
	r.t.Helper()
	texts := r.texts(place)
	if len(texts) != len(messages) {
		r.t.Fatalf("%d messages in %s, want %d:\n%s\nlog:\n%s", len(texts), place, len(messages), strings.Join(texts, "\n"), r.log)
	}
	for i, words := range messages {
		for _, w := range words {
			if !strings.Contains(texts[i], w) {
				r.t.Errorf("message %d in %s is %q, want %q in it", i, place, texts[i], w)
			}
		}
	}
}

func TestTheFallbackIsToldWhatFiresWhereASpaceFails(t *testing.T) {
	gone := chattest.Fault{Status: http.StatusNotFound}
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.relieved()
		r.chat.Inject(ops, -1, gone)
		r.run()
		for _, n := range []string{"a/A!info", "b/A", "b/-A", "c/A!critical"} {
			r.post("ops", n)
		}
		r.wait(4 * time.Minute)
		r.wantLike(db)
		r.wait(2 * time.Minute)
		// What has ended before anybody heard of it is not worth a night.
		r.wantLike(db, []string{"⚠️ Messages have not reached the space ops since", "404", "Groups that fire there: 2.", "; c first A; a first A"})
		if strings.Contains(r.texts(db)[0], "b first") {
			t.Errorf("the fallback is told %q, with what fires no more", r.texts(db)[0])
		}

		r.wait(10 * time.Minute)
		r.wantLike(db, nil)
		r.post("ops", "d/A")
		r.post("ops", "c/A!critical") // a copy
		r.wait(3 * time.Minute)
		r.wantLike(db, nil, []string{"New since the last message here: 1 firing, 0 resolved.", "d first A"})
		r.post("ops", "c/-A!critical")
		r.wait(3 * time.Minute)
		r.wantLike(db, nil, nil, []string{"New since the last message here: 0 firing, 1 resolved.", "c end -A"})

		r.chat.Heal(ops)
		r.wait(5 * time.Minute)
		r.wantLike(db, nil, nil, nil, []string{"✅ Messages reach the space ops again"})
		if got := r.told(ops); got["a first"] != 1 || got["b first"] != 1 || got["c first"] != 1 || got["d first"] != 1 {
			t.Errorf("the space itself is told %v, want all once", got)
		}
		r.wait(time.Hour)
		r.wantLike(db, nil, nil, nil, nil)
	})
}

func TestTheFallbackIsToldInOneMessage(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.relieved()
		r.chat.Inject(ops, -1, chattest.Fault{Hang: true})
		r.run()
		r.flood("ops", 0, 200)
		r.wait(7 * time.Minute)
		r.wantLike(db, []string{"Groups that fire there: 200.", "g0 first A", "g199 first A"})
	})
}

func TestAFallbackOutlivesARestart(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.relieved()
		r.chat.Inject(ops, -1, chattest.Fault{Status: http.StatusForbidden})
		r.run()
		r.post("ops", "a/A")
		r.wait(4 * time.Minute)
		r.restart()
		r.wait(2 * time.Minute)
		r.wantLike(db, []string{"a first A"})
		r.restart()
		r.wait(5 * time.Minute)
		r.wantLike(db, nil)
		r.chat.Heal(ops)
		r.restart()
		r.wait(5 * time.Minute)
		r.wantLike(db, nil, []string{"again"})
	})
}

func TestWhatGoesToAFallbackNeverFallsBack(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.relieved()
		s := r.spaces["db"]
		s.Fallback, s.FallbackAfter, s.MaxAge = "ops", 5*time.Minute, 30*time.Minute
		for _, place := range []string{ops, db} {
			r.chat.Inject(place, -1, chattest.Fault{Status: http.StatusNotFound})
		}
		r.run()
		r.post("ops", "a/A")
		r.wait(2 * time.Hour)
		r.chat.Heal(ops)
		r.chat.Heal(db)
		r.wait(2 * time.Hour)
		if n := r.metric("alertchat_dead_deliveries_total", "space", "db"); n != 1 {
			t.Errorf("%v notices are dead, want 1", n)
		}
		for _, text := range r.texts(ops) {
			if strings.Contains(text, "notice") || strings.Contains(text, "given up") {
				t.Errorf("ops is told %q of what was for its own fallback", text)
			}
		}
		if got := r.told(ops); got["a first"] != 1 {
			t.Errorf("ops is told %q, want the alert itself", r.texts(ops))
		}
	})
}

func TestTheFallbackIsToldWhatIsDead(t *testing.T) {
	fault := func(q chattest.Request) chattest.Fault {
		if q.Space == ops && strings.Contains(string(q.Body), "bad") {
			return chattest.Fault{Status: http.StatusBadRequest}
		}
		return chattest.Fault{}
	}
	bubble(t, chattest.Options{Rate: 1, Fault: fault}, func(r *rig) {
		r.relieved()
		r.run()
		for _, n := range []string{"bad1/A", "good/A", "bad2/A", "bad3/A"} {
			r.post("ops", n)
		}
		r.wait(3 * time.Minute)
		r.want(ops, "good first A")
		told := strings.Join(r.texts(db), "\n")
		for _, w := range []string{"Messages for the space ops were given up", "refused by Google Chat", "bad1 first A", "bad2 first A", "bad3 first A"} {
			if !strings.Contains(told, w) {
				t.Errorf("the fallback is told %q, want %q in it", told, w)
			}
		}
		if n := len(r.texts(db)); n > 2 {
			t.Errorf("%d messages on three dead deliveries within three minutes, want at most one a minute", n)
		}
		before := len(r.texts(db))
		r.restart()
		r.wait(time.Hour)
		if n := len(r.texts(db)); n != before {
			t.Errorf("the fallback is told %d times more of what it knows", n-before)
		}
	})
}

func TestTheRootIsToldWhatDiedWithItsSpace(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.space("db", db)
		r.space("ops", ops)
		r.chat.Inject(ops, -1, chattest.Fault{Act: true, Drop: true})
		r.run()
		r.post("ops", "a/A")
		r.wait(time.Minute)
		delete(r.spaces, "ops")
		r.use()
		r.wait(15 * time.Minute)
		r.wantLike(db, []string{"Messages for the space ops were given up", "gone from the config", "a first A"})
	})
}

func TestARetriedDeliveryGoesOutAsItWas(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		s := r.space("ops", ops)
		s.MaxAge = 10 * time.Minute
		r.chat.Inject(ops, -1, chattest.Fault{Status: http.StatusNotFound})
		r.run()
		r.post("ops", "a/A B@1")
		r.wait(time.Hour)
		dead, err := r.store.History(context.Background(), "ops", 10)
		if err != nil || len(dead) != 1 || dead[0].Reason != delivery.Expired {
			t.Fatalf("History() = %v, %v, want one that has expired", dead, err)
		}
		if !strings.Contains(dead[0].Error, "404") {
			t.Errorf("it says %q of why, want what Chat answered", dead[0].Error)
		}
		r.retry(dead[0].ID)
		// While it is refused for now, it is not forgotten.
		r.wait(5 * time.Minute)
		r.want(ops)
		r.chat.Heal(ops)
		r.wait(5 * time.Minute)
		r.want(ops, "a first A B")
		// The incident went on meanwhile: the retried message does not turn it back.
		r.post("ops", "a/-A -B@1")
		r.wait(time.Minute)
		r.want(ops, "a first A B", "a end -A -B")
		if got, err := r.store.History(context.Background(), "ops", 10); err != nil || slices.ContainsFunc(got, func(d *delivery.Delivery) bool { return d.Status != delivery.Done }) {
			t.Errorf("History() = %v, %v, want all done", got, err)
		}
	})
}

func TestARetriedDeliveryThatChatRefusesDiesAgain(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.space("ops", ops)
		r.chat.Inject(ops, -1, chattest.Fault{Status: http.StatusBadRequest})
		r.run()
		r.post("ops", "a/A")
		r.wait(time.Minute)
		dead, err := r.store.History(context.Background(), "ops", 10)
		if err != nil || len(dead) != 1 {
			t.Fatalf("History() = %v, %v, want one that is dead", dead, err)
		}
		r.retry(dead[0].ID)
		r.wait(time.Minute)
		if n := r.metric("alertchat_dead_deliveries_total", "reason", string(delivery.Rejected)); n != 2 {
			t.Errorf("%v deaths are counted, want 2", n)
		}
		r.chat.Heal(ops)
		r.retry(dead[0].ID)
		r.wait(time.Minute)
		r.want(ops, "plain a first A")
	})
}

// retry puts a dead delivery back, as the HTTP API does.
func (r *rig) retry(id int64) {
	r.t.Helper()
	space, err := r.store.Retry(context.Background(), id, func(space string) bool { return r.spaces[space] != nil })
	if err != nil {
		r.t.Fatal(err)
	}
	r.manager.Retry(space)
}

func TestWithoutASureLeaseNothingIsAttempted(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.space("ops", ops)
		lease := &unsure{Store: r.store}
		r.through = lease
		r.run()
		r.post("ops", "a/A")
		r.wait(time.Minute)
		if n := len(r.chat.Requests()); n != 0 {
			t.Errorf("%d attempts were made, want none: another process may deliver", n)
		}
		if n := r.log.count("level=WARN", "space=ops"); n != 1 {
			t.Errorf("%d lines say so, want one:\n%s", n, r.log)
		}
		lease.sure.Store(true)
		r.wait(time.Minute)
		r.want(ops, "a first A")
	})
}

// unsure is a store whose lease may be somebody else's soon.
type unsure struct {
	delivery.Store

	sure atomic.Bool
}

func (u *unsure) Holds(delivery.Lease, time.Duration) bool { return u.sure.Load() }

func TestWhatOtherProcessesStoreIsLookedFor(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.space("ops", ops)
		r.registry = prometheus.NewRegistry()
		r.manager = delivery.New(delivery.Options{Store: (*swapped)(r), Logger: r.logger, Registerer: r.registry, Poll: time.Second})
		r.run()
		r.wait(time.Minute)
		r.quiet = true // nobody rings here
		r.post("ops", "a/A")
		r.wait(1100 * time.Millisecond)
		r.want(ops, "a first A")
	})
}
