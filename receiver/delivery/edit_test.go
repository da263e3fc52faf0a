package delivery_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"alertchat/receiver/chat/chattest"
)

// story is what happens to an incident, one notification after the other.
func story() []string {
	return []string{"A", "A B@1", "A B@1 C@2", "-A B@1 C@2", "B@1 C@2 repeat", "-B@1 -C@2"}
}

// ending is how a place looks when story has been told.
func ending() []string { return []string{"g goes on elsewhere", "g end -B -C", "g has ended"} }

// wantEnding fails the test unless the place looks as it must after story:
// its first message says that it goes on in the second, and that is followed in
// its thread by its end.
func (r *rig) wantEnding(place string) {
	r.t.Helper()
	r.want(place, ending()...)
	if got := r.threads(place); !slices.Equal(got, []int{1, 2, 2}) {
		r.t.Errorf("threads %v, want the end in that of the repeat", got)
	}
}

// versions returns the texts that the nth message of a place has had.
func (r *rig) versions(place string, n int) []string {
	r.t.Helper()
	messages := r.chat.Messages(place)
	if n >= len(messages) {
		r.t.Fatalf("%d messages in %s, want more than %d", len(messages), place, n)
	}
	var out []string
	for _, v := range messages[n].Versions {
		out = append(out, textOf(r.t, v.Body))
	}
	return out
}

func TestAnIncidentIsEditedUntilItsEnd(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.app("ops", ops)
		r.run()
		for _, n := range story() {
			r.post("ops", n)
			r.wait(time.Minute)
		}
		r.wantEnding(ops)
		want := []string{"g first A", "g change A B", "g change A B C", "g change -A B C", "g goes on elsewhere"}
		if got := r.versions(ops, 0); !slices.Equal(got, want) {
			t.Errorf("the first message was %q, want %q", got, want)
		}
		if got := r.versions(ops, 1); !slices.Equal(got, []string{"g repeat B C", "g end -B -C"}) {
			t.Errorf("the repeat's message was %q", got)
		}
		for i, end := range []string{"-1", "-2", "-2-end"} {
			if id := r.chat.Messages(ops)[i].ClientID; !strings.HasPrefix(id, "client-") || !strings.HasSuffix(id, end) {
				t.Errorf("message %d has the id %q, want one of the incident that ends in %s", i, id, end)
			}
		}
		if n := r.bot.Tokens(); len(n) != 1 {
			t.Errorf("%d access tokens in six minutes, want 1", len(n))
		}
	})
}

func TestAnIncidentIsEditedOverRestarts(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.app("ops", ops)
		r.run()
		for _, n := range story() {
			r.post("ops", n)
			r.wait(300 * time.Millisecond)
			r.restart() // at times between the reply and the edit that comes after it
			r.wait(time.Minute)
			r.restart()
		}
		r.wantEnding(ops)
	})
}

// TestNoFaultOfOneRequestIsSeen: whatever happens to any single request, the
// place looks the same in the end.
func TestNoFaultOfOneRequestIsSeen(t *testing.T) {
	faults := map[string]struct {
		fault chattest.Fault
		token bool // whether the fault is that of the access token
		o     chattest.Options
	}{
		"a lost answer":                       {fault: chattest.Fault{Act: true, Drop: true}},
		"a lost answer, and no request ids":   {fault: chattest.Fault{Act: true, Drop: true}, o: chattest.Options{IgnoreRequestID: true}},
		"429 with a time":                     {fault: chattest.Fault{Status: 429, RetryAfter: 30 * time.Second}},
		"503, done all the same":              {fault: chattest.Fault{Act: true, Status: 503}, o: chattest.Options{IgnoreRequestID: true}},
		"a connection that is refused":        {fault: chattest.Fault{Refuse: true}},
		"a revoked token":                     {token: true},
		"a process that is killed after it":   {fault: chattest.Fault{Act: true, Hang: true}},
		"a process that is killed before it":  {fault: chattest.Fault{Hang: true}},
		"killed after it, and no request ids": {fault: chattest.Fault{Act: true, Hang: true}, o: chattest.Options{IgnoreRequestID: true}},
	}
	const requests = 9 // two messages, a reply, and six edits: three of the first, one at the repeat, one at the end
	for name, c := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for at := range requests {
				t.Run(fmt.Sprint(at), func(t *testing.T) {
					var r *rig
					n := -1
					struck := make(chan struct{}, 1)
					o := c.o
					o.Rate = 1
					o.Fault = func(chattest.Request) chattest.Fault {
						if n++; n != at {
							return chattest.Fault{}
						}
						struck <- struct{}{}
						if c.token {
							r.bot.RevokeTokens()
						}
						return c.fault
					}
					bubble(t, o, func(in *rig) {
						r = in
						r.app("ops", ops)
						r.run()
						for _, n := range story() {
							r.post("ops", n)
							r.wait(2 * time.Second)
							select {
							case <-struck:
								if strings.Contains(name, "killed") {
									r.crash()
								}
							default:
							}
							r.wait(40 * time.Second)
						}
						r.wantEnding(ops)
					})
				})
			}
		})
	}
}

func TestATokenIsRenewedBeforeItsEnd(t *testing.T) {
	bubble(t, chattest.Options{TokenLife: 10 * time.Minute}, func(r *rig) {
		r.app("ops", ops)
		r.run()
		for i := range 60 {
			r.post("ops", fmt.Sprintf("A@%d", i))
			r.wait(time.Minute)
		}
		if got := r.metric("alertchat_attempts_total", "code", "401"); got != 0 {
			t.Errorf("%v requests with a token that was over", got)
		}
		if n := len(r.bot.Tokens()); n < 6 || n > 8 {
			t.Errorf("%d tokens in an hour, want one for each nine minutes", n)
		}
	})
}

func TestATokenEndpointThatFailsLosesNothing(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.app("ops", ops).Fallback = ""
		r.chat.InjectToken(-1, chattest.Fault{Status: 503})
		r.run()
		r.post("ops", "A")
		r.wait(20 * time.Minute)
		if got := r.manager.Health()["ops"]; got.FailingSince.IsZero() || !strings.Contains(got.LastError, "no access token") {
			t.Errorf("health %+v, want a failing space and why", got)
		}
		if got := r.metric("alertchat_attempts_total", "code", "token"); got < 10 {
			t.Errorf("%v attempts without a token, want more", got)
		}
		r.chat.HealToken()
		r.post("ops", "A B@1")
		r.wait(2 * time.Minute)
		r.want(ops, "g first A B")
	})
}

func TestEditsComeBehindAllThatIsNew(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.app("ops", ops)
		r.run()
		for i := range 5 {
			r.post("ops", fmt.Sprintf("g%d/A", i))
		}
		r.wait(time.Minute)
		r.quiet = true // all of it is there when the loop looks
		for i := range 5 {
			r.post("ops", fmt.Sprintf("g%d/A B@1", i))
			r.post("ops", fmt.Sprintf("g%d/A B@1 C@2", i)) // the last of them holds
		}
		for i := range 3 {
			r.post("ops", fmt.Sprintf("new%d/A", i))
		}
		r.post("ops", "g4/-A -B@1 -C@2")
		before := len(r.chat.Requests())
		r.manager.Ring("ops")
		r.wait(time.Minute)
		var got []string
		for _, q := range r.chat.Requests()[before:] {
			got = append(got, q.Method+" "+textOf(t, q.Body))
		}
		want := []string{
			"POST new0 first A", "POST new1 first A", "POST new2 first A", "POST g4 has ended",
			"PATCH g4 end -A -B -C", "PATCH g0 change A B C", "PATCH g1 change A B C", "PATCH g2 change A B C", "PATCH g3 change A B C",
		}
		for _, part := range [][]string{got[:min(4, len(got))], got[min(4, len(got)):], want[:4], want[4:]} {
			slices.Sort(part)
		}
		if !slices.Equal(got, want) {
			t.Errorf("requests\n  %q, want\n  %q", got, want)
		}
	})
}

func TestAnEditThatWaitsBecomesTheLast(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.app("ops", ops)
		r.run()
		r.post("ops", "A")
		r.wait(time.Minute)
		// Its outcome is unknown, so that it stays as it is until there is more.
		r.chat.Inject(ops, -1, chattest.Fault{Status: 503})
		r.post("ops", "A B@1")
		r.wait(10 * time.Second)
		r.post("ops", "A B@1 C@2")
		r.wait(time.Minute)
		r.chat.Heal(ops)
		r.wait(2 * time.Minute)
		if got := r.versions(ops, 0); !slices.Equal(got, []string{"g first A", "g change A B C"}) {
			t.Errorf("the message was %q, want one edit", got)
		}
	})
}

func TestAnEditThatFailsHoldsUpNothing(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1, Fault: failingEdits("bad", http.StatusInternalServerError)}, func(r *rig) {
		r.app("ops", ops)
		r.run()
		r.post("ops", "bad/A")
		r.post("ops", "good/A")
		r.wait(time.Minute)
		r.post("ops", "bad/A B@1")
		r.wait(5 * time.Minute)
		for i := range 5 {
			r.post("ops", fmt.Sprintf("n%d/A", i))
			r.wait(1500 * time.Millisecond)
			if texts := r.texts(ops); !slices.Contains(texts, fmt.Sprintf("n%d first A", i)) {
				t.Fatalf("n%d is not told after a second and a half: %q", i, texts)
			}
		}
		r.post("ops", "good/A B@1")
		r.wait(10 * time.Minute)
		if got := r.versions(ops, 1); got[len(got)-1] != "good change A B" {
			t.Errorf("the other message is %q, want it edited", got)
		}
		if texts := r.texts(ops); !slices.Contains(texts, "plain bad change A B") {
			t.Errorf("messages %q, want the news as a message of its own", texts)
		}
	})
}

// failingEdits answers so to each edit whose body has a word.
func failingEdits(word string, status int) func(chattest.Request) chattest.Fault {
	return func(q chattest.Request) chattest.Fault {
		if q.Method == http.MethodPatch && strings.Contains(string(q.Body), word) {
			return chattest.Fault{Status: status}
		}
		return chattest.Fault{}
	}
}

func TestAMessageThatSomebodyDeletedIsMadeAnew(t *testing.T) {
	for name, o := range map[string]chattest.Options{
		"under its id":                        {Rate: 1},
		"under another, where it stays taken": {Rate: 1, KeepDeleted: true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, o, func(r *rig) {
				r.app("ops", ops)
				r.run()
				r.post("ops", "A")
				r.wait(time.Minute)
				r.chat.DeleteMessage(r.chat.Messages(ops)[0].Name)
				r.post("ops", "A B@1")
				r.wait(time.Minute)
				r.want(ops, "g change A B")
				r.post("ops", "A B@1 C@2")
				r.wait(time.Minute)
				r.want(ops, "g change A B C")
				r.post("ops", "-A -B@1 -C@2")
				r.wait(time.Minute)
				r.want(ops, "g end -A -B -C", "g has ended")
				if got := r.threads(ops); !slices.Equal(got, []int{1, 1}) {
					t.Errorf("threads %v, want the end in that of the message", got)
				}
			})
		})
	}
}

func TestADeletedMessageDoesNotComeBackToSayThatItIsOver(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.app("ops", ops)
		r.run()
		r.post("ops", "A")
		r.wait(time.Minute)
		r.chat.DeleteMessage(r.chat.Messages(ops)[0].Name)
		r.post("ops", "A repeat")
		r.wait(time.Minute)
		r.want(ops, "g repeat A")
	})
}

func TestPartsAreEditedToo(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.app("ops", ops)
		r.run()
		for _, step := range []struct {
			post string
			want []string
		}{
			{"A B C D", []string{"g first A B C", "g first D"}},
			{"A B C D E@1 F@1 G@1", []string{"g change A B C", "g change D E F", "g change G"}},
			{"-A -B -C -D -E@1 F@1 G@1", []string{"g change -A -B -C", "g change -D -E F", "g change G"}},
			{"F@1 G@1 H@2", []string{"g change F G H", "What stood here is told above.", "What stood here is told above."}},
			{"-F@1 -G@1 -H@2", []string{"g end -F -G -H", "What stood here is told above.", "What stood here is told above.", "g has ended"}},
		} {
			r.post("ops", step.post)
			r.wait(time.Minute)
			r.want(ops, step.want...)
		}
		if got := r.threads(ops); !slices.Equal(got, []int{1, 1, 1, 1}) {
			t.Errorf("threads %v, want one", got)
		}
	})
}

func TestADigestIsFollowedByEditsOfWhatItTells(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.app("ops", ops).Digest = 3
		r.run()
		for _, g := range []string{"a", "b"} {
			r.post("ops", g+"/A")
			r.wait(time.Minute)
		}
		r.quiet = true
		for _, n := range []string{"a/-A", "b/A B@1", "c/A", "d/A", "b/-A -B@1"} {
			r.post("ops", n)
		}
		r.quiet = false
		r.manager.Ring("ops")
		r.wait(3 * time.Second)
		r.post("ops", "c/A B@1") // told in the digest, so that it has no message yet
		r.wait(time.Minute)
		r.want(ops, "a end -A", "b end -A -B", "digest c first A; d first A; a end -A; b end -A -B", "c change A B")
		r.post("ops", "c/-A -B@1")
		r.wait(time.Minute)
		r.want(ops, "a end -A", "b end -A -B", "digest c first A; d first A; a end -A; b end -A -B", "c end -A -B", "c has ended")
	})
}

func TestTwoSpacesOfOnePlaceHaveMessagesOfTheirOwn(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.app("ops", ops)
		r.app("too", ops)
		r.run()
		for _, n := range []string{"A", "A B@1"} {
			r.post("ops", n)
			r.post("too", n)
			r.wait(time.Minute)
		}
		r.want(ops, "g change A B", "g change A B")
	})
}

func TestALostStorageFindsTheMessageThatIsThere(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.app("ops", ops)
		r.run()
		r.post("ops", "A")
		r.wait(time.Minute)
		r.halt()
		r.folder = t.TempDir()
		r.open()
		r.run()
		r.post("ops", "A B@1")
		r.wait(time.Minute)
		r.want(ops, "g first A B")
		r.post("ops", "-A -B@1")
		r.wait(time.Minute)
		r.want(ops, "g end -A -B", "g has ended")
	})
}

func TestARefusedEditIsToldAsAMessage(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1, Fault: refusing("change")}, func(r *rig) {
		r.app("ops", ops)
		r.run()
		for _, n := range []string{"A", "A B@1", "-A -B@1"} {
			r.post("ops", n)
			r.wait(time.Minute)
		}
		r.want(ops, "g end -A -B", "plain g change A B", "g has ended")
		if got := r.threads(ops); !slices.Equal(got, []int{1, 1, 1}) {
			t.Errorf("threads %v, want one", got)
		}
	})
}

// refusing answers 400 to each edit whose body has a word, but for text that is
// built in.
func refusing(word string) func(chattest.Request) chattest.Fault {
	return func(q chattest.Request) chattest.Fault {
		if q.Method == http.MethodPatch && strings.Contains(string(q.Body), word) && !strings.Contains(string(q.Body), "refused") {
			return chattest.Fault{Status: 400}
		}
		return chattest.Fault{}
	}
}

func TestAnEndWhoseCardIsRefusedIsSaidInPlace(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1, Fault: refusing("end -A")}, func(r *rig) {
		r.app("ops", ops)
		r.run()
		for _, n := range []string{"A", "-A"} {
			r.post("ops", n)
			r.wait(time.Minute)
		}
		texts := r.texts(ops)
		if len(texts) != 2 || !strings.Contains(texts[0], "refused") || !strings.Contains(texts[0], "g end -A") || texts[1] != "g has ended" {
			t.Errorf("messages %q, want the end in place of the first, in plain words", texts)
		}
	})
}

func TestAnAppThatIsNoMemberSaysWhatToDo(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.app("ops", ops).MaxAge = 10 * time.Minute
		r.app("db", db)
		r.bot.Leave(ops)
		r.run()
		r.post("ops", "lost/A")
		r.wait(2 * time.Second)
		r.post("db", "A")
		r.wait(1500 * time.Millisecond)
		r.want(db, "g first A")
		if r.log.count("level=ERROR", "Messages do not reach the space", "add the app to spaces/OPS") != 1 {
			t.Errorf("the log does not say what to do:\n%s", r.log)
		}
		r.wait(20 * time.Minute)
		if got := r.metric("alertchat_dead_deliveries_total", "space", "ops", "reason", "expired"); got != 1 {
			t.Errorf("%v dead deliveries, want 1", got)
		}
		r.bot.Join(ops)
		r.post("ops", "A")
		r.wait(2 * time.Minute)
		r.want(ops, "g first A")
	})
}

func TestAUserWithoutTheAppSaysWhatToDo(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.app("sasha", "users/123").MaxAge = 10 * time.Minute
		r.app("db", db)
		r.run()
		r.post("sasha", "lost/A")
		r.wait(2 * time.Second)
		r.post("db", "A")
		r.wait(1500 * time.Millisecond)
		r.want(db, "g first A")
		if r.log.count("level=ERROR", "Messages do not reach the space", "users/123 has no direct message with the app: they must install it") != 1 {
			t.Errorf("the log does not say what to do:\n%s", r.log)
		}
		r.wait(20 * time.Minute)
		if got := r.metric("alertchat_dead_deliveries_total", "space", "sasha", "reason", "expired"); got != 1 {
			t.Errorf("%v dead deliveries, want 1", got)
		}
		r.bot.Install("users/123", "spaces/SASHA")
		for _, n := range []string{"A", "A B@1", "-A -B@1"} {
			r.post("sasha", n)
			r.wait(2 * time.Minute)
		}
		r.want("spaces/SASHA", "g end -A -B", "g has ended")
		found := 0
		for _, q := range r.chat.Requests() {
			if q.Target == "users/123" && q.Status == 200 {
				found++
			}
		}
		if found != 1 {
			t.Errorf("the direct message was looked for %d times once it was there, want 1", found)
		}
	})
}

func TestADirectMessageThatIsInstalledAnewIsFoundAnew(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.app("sasha", "users/123")
		r.run()
		r.bot.Install("users/123", "spaces/OLD")
		r.post("sasha", "A")
		r.wait(time.Minute)
		r.bot.Uninstall("users/123")
		r.bot.Install("users/123", "spaces/NEW")
		r.post("sasha", "A B@1")
		r.wait(5 * time.Minute)
		r.want("spaces/OLD", "g first A")
		r.want("spaces/NEW", "g change A B")
	})
}

func TestAFloodOfAnAppEndsWithEveryMessageInItsLastState(t *testing.T) {
	const groups = 200
	for _, digest := range []int{0, 20} {
		t.Run(fmt.Sprintf("digest_threshold %d", digest), func(t *testing.T) {
			bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
				r.app("ops", ops).Digest = digest
				r.run()
				r.wait(time.Minute)
				begin := time.Now()
				took := func(what string) {
					r.settle(time.Hour)
					t.Logf("%s: %s, %d writes in all", what, time.Since(begin).Round(time.Second), len(r.chat.Requests()))
					begin = time.Now()
				}
				for i := range groups {
					r.post("ops", fmt.Sprintf("g%d/A", i))
				}
				r.quiet = false
				took("firing")
				for i := range groups {
					r.post("ops", fmt.Sprintf("g%d/A B@1", i))
				}
				took("one more alert each")
				for i := range groups {
					r.post("ops", fmt.Sprintf("g%d/-A -B@1", i))
				}
				took("all resolved")
				if n := r.metric("alertchat_attempts_total", "code", "429"); n != 0 {
					t.Errorf("Chat refused %v requests for their rate", n)
				}
				for i, m := range r.chat.Messages(ops) {
					if !strings.HasPrefix(m.Text, "digest ") && !strings.Contains(m.Text, "end -A -B") && !strings.Contains(m.Text, "has ended") {
						t.Errorf("message %d ends as %q, of versions %q", i, m.Text, r.versions(ops, i))
					}
				}
				told := r.told(ops)
				for i := range groups {
					// In its own message, or in a digest, or in both where it had one.
					if end := fmt.Sprintf("g%d end", i); told[end] == 0 || told[end] > 1 && i > 0 {
						t.Errorf("%s is told %d times, want once", end, told[end])
					}
				}
			})
		})
	}
}

// TestARetriedDeliveryChangesNoMessage: what it was about has moved on.
func TestARetriedDeliveryChangesNoMessage(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.app("ops", ops).MaxAge = 10 * time.Minute
		r.run()
		r.chat.Inject(ops, -1, chattest.Fault{Status: 403})
		r.post("ops", "A")
		r.wait(20 * time.Minute)
		r.chat.Heal(ops)
		r.post("ops", "A B@1")
		r.wait(2 * time.Minute)
		r.want(ops, "g first A B")
		r.chat.Inject(ops, -1, chattest.Fault{Status: 403})
		r.post("ops", "-A -B@1")
		r.wait(20 * time.Minute)
		r.chat.Heal(ops)
		for _, id := range r.dead() {
			if _, err := r.store.Retry(context.Background(), id, func(string) bool { return true }); err != nil {
				t.Fatal(err)
			}
			r.manager.Retry("ops")
		}
		r.wait(5 * time.Minute)
		if got := r.versions(ops, 0); len(got) != 1 {
			t.Errorf("a retried delivery made the message %q", got)
		}
		if texts := r.texts(ops); !slices.Contains(texts, "g first A") || !slices.Contains(texts, "g has ended") {
			t.Errorf("messages %q, want what was retried", texts)
		}
	})
}

func TestAnUpdateThatIsDeniedHoldsUpNoOtherEdit(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1, Fault: failingEdits("bad", http.StatusForbidden)}, func(r *rig) {
		r.app("ops", ops)
		r.run()
		r.post("ops", "bad/A")
		r.post("ops", "good/A")
		r.wait(time.Minute)
		r.post("ops", "bad/-A") // its end is told, and the message cannot be edited
		r.wait(time.Minute)
		for i := range 3 {
			r.post("ops", fmt.Sprintf("good/A B@%d", i+1))
			r.wait(2 * time.Minute)
			if got := r.versions(ops, 1); len(got) != i+2 {
				t.Errorf("after %d changes, the other message was %q", i+1, got)
			}
		}
	})
}

// Without it, the news would be told nobody for as long as there is more.
func TestAnEditThatAlwaysFailsIsToldAsAMessageWhileChangesKeepComing(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1, Fault: failingEdits("bad", http.StatusInternalServerError)}, func(r *rig) {
		r.app("ops", ops)
		r.run()
		r.post("ops", "bad/A")
		r.wait(time.Minute)
		for i := range 60 {
			r.post("ops", fmt.Sprintf("bad/A B@%d", i+1))
			if i%5 == 0 {
				r.post("ops", fmt.Sprintf("n%d/A", i)) // the space is well
			}
			r.wait(30 * time.Second)
		}
		told := func(text string) bool { return strings.HasPrefix(text, "plain bad change A B") }
		if texts := r.texts(ops); !slices.ContainsFunc(texts, told) {
			t.Errorf("messages %q, want the news as a message of its own", texts)
		}
	})
}

func TestAnotherIncidentDoesNotWaitForAnEditOfTheOneBefore(t *testing.T) {
	for name, fault := range map[string]func(chattest.Request) chattest.Fault{
		"which comes behind others": nil,
		"which always fails":        failingEdits("g change", http.StatusInternalServerError),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, chattest.Options{Rate: 1, Fault: fault}, func(r *rig) {
				r.app("ops", ops)
				r.run()
				r.post("ops", "A")
				r.wait(time.Minute)
				r.quiet = true
				r.post("ops", "A B@1")
				r.post("ops", "C@5") // shares no alert with it
				for i := range 100 {
					r.post("ops", fmt.Sprintf("n%d/A", i))
				}
				r.manager.Ring("ops")
				r.wait(5 * time.Second)
				if texts := r.texts(ops); !slices.Contains(texts, "g first C") {
					t.Errorf("messages %q after five seconds, want the other incident among them", texts)
				}
				r.wait(10 * time.Minute)
				if first := r.texts(ops)[0]; fault == nil && first != "g change A B" {
					t.Errorf("the message of the incident before is %q, want its last state", first)
				}
			})
		})
	}
}

// With more than are looked at in a turn, edits are made all the same.
func TestManyThousandChangesAreEdited(t *testing.T) {
	bubble(t, chattest.Options{}, func(r *rig) {
		r.app("ops", ops).Rate = 10
		r.run()
		const groups = 3
		for g := range groups {
			r.post("ops", fmt.Sprintf("g%d/A", g))
		}
		r.wait(time.Minute)
		r.quiet = true
		for i := range 10_002 {
			r.post("ops", fmt.Sprintf("g%d/A B@%d", i%groups, i/groups+1))
		}
		r.manager.Ring("ops")
		r.settle(time.Hour)
		for g := range groups {
			if got := r.versions(ops, g); len(got) < 2 || !strings.HasPrefix(got[len(got)-1], fmt.Sprintf("g%d change A B", g)) {
				t.Errorf("message %d was %q, want it edited", g, got)
			}
		}
	})
}

// With the same id its first message would be taken for that of the first
// incident, and edited in silence.
func TestAnIncidentThatBeginsAgainIsTold(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.app("ops", ops)
		r.run()
		for _, n := range []string{"A", "B@1", "-B@1", "A"} {
			r.post("ops", n)
			r.wait(20 * time.Minute)
		}
		r.want(ops, "g first A", "g end -B", "g has ended", "g first A")
	})
}

// Nor when the first message of the one in between has died.
func TestADeadMessageDoesNotFreeTheIDsOfOthers(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		s := r.app("ops", ops)
		s.MaxAge, s.Told.SendResolved = 10*time.Minute, false
		r.run()
		r.post("ops", "A")
		r.wait(time.Minute)
		r.chat.Inject(ops, -1, chattest.Fault{Status: http.StatusServiceUnavailable})
		r.post("ops", "B@1")
		r.wait(20 * time.Minute)
		r.chat.Heal(ops)
		r.post("ops", "-B@1")
		r.wait(2 * time.Minute)
		r.post("ops", "A")
		r.wait(2 * time.Minute)
		r.want(ops, "g first A", "g first A")
	})
}

func TestAPlaceThatIsNotFoundForAWhileChangesNothing(t *testing.T) {
	fails := 0
	fault := func(q chattest.Request) chattest.Fault {
		if q.Target != "users/123" || fails == 0 {
			return chattest.Fault{}
		}
		fails--
		return chattest.Fault{Status: []int{http.StatusServiceUnavailable, http.StatusBadRequest}[fails%2]}
	}
	bubble(t, chattest.Options{Rate: 1, Fault: fault}, func(r *rig) {
		r.app("sasha", "users/123")
		r.bot.Install("users/123", "spaces/DM")
		r.run()
		r.post("sasha", "A")
		r.wait(time.Minute)
		r.halt()
		r.app("sasha", "users/123") // as a new process does, it must look for the place
		r.open()
		fails = 2
		r.run()
		r.post("sasha", "A B@1")
		r.wait(5 * time.Minute)
		r.want("spaces/DM", "g change A B")
	})
}

func TestASpaceThatPointsElsewhereWhileAnEditWaitsIsToldThere(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1}, func(r *rig) {
		r.app("ops", ops)
		r.run()
		r.post("ops", "A")
		r.wait(time.Minute)
		r.chat.Inject(ops, -1, chattest.Fault{Status: 503})
		r.post("ops", "A B@1")
		r.wait(time.Minute)
		r.app("ops", db)
		r.use()
		r.chat.Heal(ops)
		r.wait(5 * time.Minute)
		r.post("ops", "-A -B@1")
		r.wait(time.Minute)
		r.want(ops, "g change A B")
		r.want(db, "g end -A -B")
	})
}

func TestPartsThatWereRefusedAreNotEdited(t *testing.T) {
	refused := func(q chattest.Request) chattest.Fault {
		if q.Method == http.MethodPost && strings.HasPrefix(textOf(t, q.Body), "g first") {
			return chattest.Fault{Status: 400}
		}
		return chattest.Fault{}
	}
	bubble(t, chattest.Options{Rate: 1, Fault: refused}, func(r *rig) {
		r.app("ops", ops)
		r.run()
		r.post("ops", "A B C D E")
		r.wait(time.Minute)
		r.want(ops, "plain g first A B C")
		r.post("ops", "A B C D E F@1")
		r.wait(time.Minute)
		r.want(ops, "g change A B C", "g change D E F")
		if got := r.threads(ops); !slices.Equal(got, []int{1, 1}) {
			t.Errorf("threads %v, want one", got)
		}
	})
}

func TestAPartThatSomebodyDeletedIsNotMadeAgainAndAgain(t *testing.T) {
	bubble(t, chattest.Options{Rate: 1, KeepDeleted: true}, func(r *rig) {
		r.app("ops", ops)
		r.run()
		r.post("ops", "A B C D")
		r.wait(time.Minute)
		r.chat.DeleteMessage(r.chat.Messages(ops)[1].Name)
		for _, n := range []string{"A B C D E@1", "A B C D E@1 F@2", "-A -B -C -D -E@1 -F@2"} {
			r.post("ops", n)
			r.wait(time.Minute)
		}
		r.want(ops, "g end -A -B -C", "g has ended")
	})
}
