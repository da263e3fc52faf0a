package delivery_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"alertchat/receiver/chat/chattest"
	"alertchat/receiver/delivery"
)

// flood posts groups g0, g1, … of one firing alert each.
func (r *rig) flood(space string, from, to int) {
	for i := from; i < to; i++ {
		r.post(space, fmt.Sprintf("g%d/A", i))
	}
}

// told returns how often each group is told in a place, in a message of its own
// or in a digest, by "group kind".
func (r *rig) told(place string) map[string]int {
	out := map[string]int{}
	for _, text := range r.texts(place) {
		text = strings.TrimPrefix(strings.TrimPrefix(text, "plain "), "digest ")
		for line := range strings.SplitSeq(text, "; ") {
			w := strings.Fields(line)
			out[w[0]+" "+w[1]]++
		}
	}
	return out
}

// wantEachOnce fails the test unless groups g0 to gn-1 are each told once, as a
// telling of this kind.
func (r *rig) wantEachOnce(place string, n int, kind string) {
	r.t.Helper()
	told := r.told(place)
	for i := range n {
		if name := fmt.Sprintf("g%d %s", i, kind); told[name] != 1 {
			r.t.Errorf("%s is told %d times, want once; messages:\n%s", name, told[name], strings.Join(r.texts(place), "\n"))
		}
	}
}

func TestManyGroupsAreToldInOneMessage(t *testing.T) {
	for _, c := range []struct {
		name      string
		threshold int
		groups    int
		messages  int // with the first, which goes out at once
	}{
		{"below the threshold each is told alone", 5, 5, 5},
		{"from the threshold on they are told in one", 5, 6, 2},
		{"as many as fit", 5, 1 + 25, 1 + 3},
		{"what a digest had no room for goes into another, however few they are", 6, 1 + 13, 1 + 2},
		{"one that is left over is told alone", 6, 1 + 11, 1 + 2},
		{"a threshold of 0 is never reached", 0, 12, 12},
		{"a threshold of 1 does not make a digest of one group", 1, 3, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
				r.space("ops", ops).Digest = c.threshold
				r.run()
				r.wait(time.Minute)
				r.flood("ops", 0, 1)
				r.wait(10 * time.Millisecond)
				r.flood("ops", 1, c.groups)
				r.wait(time.Minute)
				if n := len(r.texts(ops)); n != c.messages {
					t.Errorf("%d messages, want %d:\n%s", n, c.messages, strings.Join(r.texts(ops), "\n"))
				}
				r.wantEachOnce(ops, c.groups, "first")
				if n := r.metric("alertchat_attempts_total", "code", "429"); n != 0 {
					t.Errorf("Chat refused %v requests for their rate", n)
				}
			})
		})
	}
}

func TestADigestBeginsWithTheWorst(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.space("ops", ops).Digest = 2
		r.run()
		r.wait(time.Minute)
		r.post("ops", "z/A")
		r.wait(10 * time.Millisecond)
		for _, n := range []string{"info/A!info", "over/-A!critical", "warning/A!warning", "critical/A!critical"} {
			r.post("ops", n)
		}
		r.wait(time.Minute)
		r.want(ops, "z first A", "digest critical first A; warning first A; info first A; over end -A")
	})
}

func TestNothingWaitsForEverBehindWhatIsWorse(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.space("ops", ops).Digest = 2
		r.run()
		r.post("ops", "lowly/A!info")
		r.post("ops", "second/A!info")
		r.post("ops", "third/A!info")
		// More of what is worse comes each second than a message can tell.
		for i := range 180 {
			for j := range digestSize + 2 {
				r.post("ops", fmt.Sprintf("c%d-%d/A!critical", i, j))
			}
			r.wait(time.Second)
			if r.told(ops)["third first"] > 0 && i > 5 {
				return
			}
		}
		t.Errorf("not told within three minutes")
	})
}

func TestADigestIsNobodysThread(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.space("ops", ops).Digest = 2
		r.run()
		r.post("ops", "old/A")
		r.wait(time.Minute)
		r.post("ops", "x/A")
		r.wait(10 * time.Millisecond)
		r.post("ops", "old/A B@1")
		r.post("ops", "new/A")
		r.wait(time.Minute)
		for _, n := range []string{"old/-A -B@1", "new/A B@1", "new/-A -B@1"} {
			r.post("ops", n)
			r.wait(time.Minute)
		}
		r.want(ops, "old first A", "x first A", "digest old change A B; new first A", "old end -A -B", "new change A B", "new end -A -B")
		if got := r.threads(ops); !slices.Equal(got, []int{1, 2, 3, 1, 4, 4}) {
			t.Errorf("threads %v, want old in its own, and new in one of its own after the digest", got)
		}
	})
}

func TestCopiesDoNotCountForADigest(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.space("ops", ops).Digest = 4
		r.run()
		r.flood("ops", 0, 4)
		r.wait(time.Minute)
		before := len(r.texts(ops))
		r.post("ops", "new/A")
		r.wait(10 * time.Millisecond)
		r.flood("ops", 0, 4) // copies
		r.post("ops", "newer/A")
		r.wait(time.Minute)
		if got := r.texts(ops)[before:]; !slices.Equal(got, []string{"new first A", "newer first A"}) {
			t.Errorf("told %q, want the two new ones alone", got)
		}
		if n := r.metric("alertchat_notifications_folded_total", "reason", "duplicate"); n != 4 {
			t.Errorf("%v duplicates counted, want 4", n)
		}
	})
}

func TestARefusedDigestIsTakenApart(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault chattest.Fault
		most  time.Duration
	}{
		{"Chat refuses it", chattest.Fault{Status: http.StatusBadRequest}, 30 * time.Second},
		{"Chat fails with it", chattest.Fault{Status: http.StatusInternalServerError}, time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			fault := func(q chattest.Request) chattest.Fault {
				if strings.Contains(string(q.Body), "g3 ") && !strings.Contains(string(q.Body), "plain") {
					return c.fault
				}
				return chattest.Fault{}
			}
			bubble(t, chattest.Options{Rate: 1, Fault: fault}, func(r *rig) {
				r.space("ops", ops).Digest = 2
				r.run()
				r.flood("ops", 0, 9)
				// What comes along shows that it is the message and not the space.
				for i := range int(c.most / time.Minute) {
					r.post("ops", fmt.Sprintf("later%d/A", i))
					r.wait(time.Minute)
				}
				r.wait(c.most)
				r.wantEachOnce(ops, 9, "first")
				if !slices.Contains(r.texts(ops), "plain g3 first A") {
					t.Errorf("messages %q, want the one at fault as built-in text", r.texts(ops))
				}
				if n := r.metric("alertchat_dead_deliveries_total"); n != 0 {
					t.Errorf("%v deliveries are dead", n)
				}
			})
		})
	}
}

func TestADigestInDoubtIsSentAgainAsItWas(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.space("ops", ops).Digest = 2
		r.run()
		r.wait(time.Minute)
		r.flood("ops", 0, 1)
		r.wait(10 * time.Millisecond)
		r.flood("ops", 1, 8)
		r.chat.Inject(ops, 1, chattest.Fault{Act: true, Drop: true})
		r.wait(1100 * time.Millisecond)
		r.post("ops", "g3/A B@1")
		r.restart()
		r.wait(time.Minute)
		r.wantEachOnce(ops, 8, "first")
		if n := r.told(ops)["g3 change"]; n != 1 {
			t.Errorf("the news of g3 is told %d times, want once", n)
		}
	})
}

func TestNewsJoinsADigestThatChatThrottles(t *testing.T) {
	bubble(t, chattest.Options{}, func(r *rig) {
		r.space("ops", ops).Digest = 2
		r.chat.Inject(ops, 1, chattest.Fault{Status: http.StatusTooManyRequests, RetryAfter: time.Minute})
		r.run()
		r.flood("ops", 0, 3)
		r.wait(10 * time.Second)
		r.post("ops", "g1/-A")
		r.wait(2 * time.Minute)
		r.want(ops, "digest g0 first A; g2 first A; g1 first -A")
	})
}

func TestADigestThatExpiresTakesItsGroupsWithIt(t *testing.T) {
	bubble(t, chattest.Options{}, func(r *rig) {
		s := r.space("ops", ops)
		s.Digest, s.MaxAge = 2, 10*time.Minute
		r.chat.Inject(ops, -1, chattest.Fault{Act: true, Drop: true})
		r.run()
		r.wait(time.Minute)
		r.flood("ops", 0, 1)
		r.wait(10 * time.Millisecond)
		r.flood("ops", 1, 4)
		r.wait(time.Hour)
		r.chat.Heal(ops)
		if n := r.metric("alertchat_dead_deliveries_total", "reason", string(delivery.Expired)); n != 2 {
			t.Errorf("%v deliveries are dead, want 2", n)
		}
		before := len(r.texts(ops))
		r.post("ops", "g2/A repeat")
		r.wait(time.Minute)
		if got := r.texts(ops)[before:]; !slices.Equal(got, []string{"g2 first A"}) {
			t.Errorf("after that %q is told, want the repeat as what was not told before", got)
		}
	})
}

func TestASpaceThatRefusesEveryDigestIsToldWithoutAny(t *testing.T) {
	fault := func(q chattest.Request) chattest.Fault {
		if strings.Contains(string(q.Body), "digest") {
			return chattest.Fault{Status: http.StatusBadRequest}
		}
		return chattest.Fault{}
	}
	bubble(t, chattest.Options{Rate: 1, Fault: fault}, func(r *rig) {
		r.space("ops", ops).Digest = 2
		r.run()
		r.flood("ops", 0, 100)
		r.wait(3 * time.Minute)
		r.wantEachOnce(ops, 100, "first")
		if n := r.metric("alertchat_attempts_total", "code", "400"); n > 30 {
			t.Errorf("%v digests were refused, want few: each takes a second", n)
		}
		if n := r.log.count("does not take a digest"); n > 3 {
			t.Errorf("%d lines tell of it:\n%s", n, r.log)
		}
	})
}
