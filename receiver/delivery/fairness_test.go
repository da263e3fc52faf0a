package delivery_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat/chattest"
)

// changes stores n notifications of a group at once: its alert A fires all the
// time, and B anew in each of them.
func (r *rig) changes(space, group string, n int) {
	r.t.Helper()
	all := make([]alert.Notification, n)
	for i := range all {
		body := fmt.Sprintf(`{"version": "4", "groupKey": %q, "receiver": "team", "status": "firing", "alerts": [
			{"status": "firing", "fingerprint": "A", "startsAt": "2000-01-01T00:00:00Z"},
			{"status": "firing", "fingerprint": "B", "startsAt": %q}]}`,
			group, time.Date(2000, 1, 1, 0, 0, i, 0, time.UTC).Format(time.RFC3339))
		all[i] = alert.Notification{
			Space: space, Group: alert.Group{Receiver: "team", Key: group}, ReceivedAt: time.Now(), Body: []byte(body),
		}
	}
	if err := r.store.Add(context.Background(), all); err != nil {
		r.t.Fatal(err)
	}
	r.manager.Ring(space)
}

// toldAs returns the number of the first message in a place that begins with a
// word, counted from 0, or -1.
func (r *rig) toldAs(place, word string) int {
	return slices.IndexFunc(r.texts(place), func(text string) bool { return strings.HasPrefix(text, word) })
}

func TestADigestThatChatFailsWithIsTakenApartInAQuietSpace(t *testing.T) {
	fault := func(q chattest.Request) chattest.Fault {
		if strings.Contains(string(q.Body), "g3 ") && !strings.Contains(string(q.Body), "plain") {
			return chattest.Fault{Status: http.StatusInternalServerError}
		}
		return chattest.Fault{}
	}
	bubble(t, chattest.Options{Rate: 1, Fault: fault}, func(r *rig) {
		r.space("ops", ops).Digest = 2
		r.run()
		r.flood("ops", 0, 9)
		r.wait(time.Hour)
		told := r.told(ops)
		for i := range 9 {
			if name := fmt.Sprintf("g%d first", i); i != 3 && told[name] != 1 {
				t.Errorf("%s is told %d times within an hour, want once; messages: %q", name, told[name], r.texts(ops))
			}
		}
		if n := r.metric("alertchat_dead_deliveries_total"); n != 0 {
			t.Errorf("%v deliveries are dead", n)
		}
	})
}

func TestAfterAnOutageWhatWaitsIsToldInDigestsAgain(t *testing.T) {
	for _, c := range []struct {
		name   string
		groups int
		most   int // messages
	}{
		{"few groups", 9, 4},
		{"many groups", 200, 23},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
				r.space("ops", ops).Digest = 2
				r.chat.Inject(ops, -1, chattest.Fault{Status: http.StatusInternalServerError})
				r.run()
				r.flood("ops", 0, c.groups)
				r.wait(time.Hour)
				r.chat.Heal(ops)
				r.wait(5 * time.Minute)
				r.wantEachOnce(ops, c.groups, "first")
				if n := len(r.texts(ops)); n > c.most {
					t.Errorf("%d messages, want at most %d:\n%s", n, c.most, strings.Join(r.texts(ops), "\n"))
				}
				if n := r.metric("alertchat_dead_deliveries_total"); n != 0 {
					t.Errorf("%v deliveries are dead", n)
				}
			})
		})
	}
}

func TestThatDigestsAreRefusedIsForgottenWithTheirGroups(t *testing.T) {
	bubble(t, chattest.Options{}, func(r *rig) {
		r.space("ops", ops).Digest = 2
		r.chat.Inject(ops, -1, chattest.Fault{Status: http.StatusBadRequest})
		r.run()
		r.quiet = true // so that the first digest has all
		for i := range 3 {
			r.flood("ops", digestSize*i, digestSize*i+digestSize)
			r.manager.Ring("ops")
			r.wait(time.Hour)
			if n := r.metric("alertchat_dead_deliveries_total"); n != float64(digestSize*i+digestSize) {
				t.Errorf("%v deliveries are dead, want all %d", n, digestSize*i+digestSize)
			}
			// It is said where nothing is known of a refused digest.
			if n := r.log.count("does not take a digest"); n != i+1 {
				t.Errorf("after %d floods %d lines tell of a refused digest, want one for each", i+1, n)
			}
		}
	})
}

func TestRetriedDeliveriesHoldUpNoNews(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.space("ops", ops).MaxAge = 10 * time.Minute
		r.chat.Inject(ops, -1, chattest.Fault{Status: http.StatusNotFound})
		r.run()
		r.flood("ops", 0, 120)
		r.wait(time.Hour)
		r.chat.Heal(ops)
		dead, err := r.store.History(context.Background(), "ops", 200)
		if err != nil || len(dead) != 120 {
			t.Fatalf("History() has %d, %v, want 120 that are dead", len(dead), err)
		}
		for _, d := range dead {
			r.retry(d.ID)
		}
		r.wait(2500 * time.Millisecond)
		before := len(r.texts(ops))
		r.post("ops", "fresh/A!critical")
		r.wait(5 * time.Minute)
		if at := r.toldAs(ops, "fresh"); at < 0 || at > before+2 {
			t.Errorf("the fresh alert is message %d, want it among the next after message %d", at, before)
		}
		r.wantEachOnce(ops, 120, "first")
	})
}

func TestAGroupThatChangesAllTheTimeHoldsUpNoOther(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.space("ops", ops).Digest = 20
		r.run()
		r.post("ops", "noisy/A")
		r.wait(time.Minute)
		r.changes("ops", "noisy", 2000)
		r.wait(2500 * time.Millisecond)
		before := len(r.texts(ops))
		r.post("ops", "fresh/A!critical")
		r.wait(15 * time.Minute)
		at := r.toldAs(ops, "fresh")
		if at < before {
			t.Fatalf("the fresh alert is message %d, want one after message %d", at, before)
		}
		// Each telling of the noisy one has many parts, of which the first has A.
		tellings := 0
		for _, text := range r.texts(ops)[before:at] {
			if strings.HasPrefix(text, "noisy change A") {
				tellings++
			}
		}
		if tellings > 1 {
			t.Errorf("%d tellings of the noisy group go before the fresh alert, want at most one", tellings)
		}
		if waiting, err := r.store.Waiting(context.Background(), "ops", 10); err != nil || len(waiting) > 0 {
			t.Errorf("%d notifications wait, %v, want none", len(waiting), err)
		}
	})
}

func TestTwoGroupsThatChangeAllTheTimeHoldUpNoOther(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.space("ops", ops).Digest = 20
		r.run()
		r.post("ops", "noisy/A")
		r.wait(time.Minute)
		r.changes("ops", "noisy", 500)
		r.changes("ops", "another", 500)
		r.wait(2500 * time.Millisecond)
		before := len(r.texts(ops))
		r.post("ops", "fresh/A!critical")
		r.wait(20 * time.Minute)
		at := r.toldAs(ops, "fresh")
		if at < before {
			t.Fatalf("the fresh alert is message %d; messages:\n%s", at, strings.Join(r.texts(ops), "\n"))
		}
		// A telling of such a group has many parts; the first one has A.
		for _, group := range []string{"noisy", "another"} {
			tellings := 0
			for _, text := range r.texts(ops)[before:at] {
				if strings.HasPrefix(text, group) && strings.Contains(text, " A") {
					tellings++
				}
			}
			if tellings > 1 {
				t.Errorf("%d tellings of %s go before the fresh alert, want at most one", tellings, group)
			}
		}
		if waiting, err := r.store.Waiting(context.Background(), "ops", 10); err != nil || len(waiting) > 0 {
			t.Errorf("Waiting() = %v, %v, want none", waiting, err)
		}
	})
}
