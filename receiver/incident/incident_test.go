package incident

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/alertmanager/template"

	"alertchat/receiver/alert"
)

var epoch = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// at is a time so many minutes after the tests' beginning.
func at(minutes float64) time.Time {
	return epoch.Add(time.Duration(minutes * float64(time.Minute)))
}

// note builds a notification that arrives so many minutes after the beginning.
// Alerts are written "A" (firing since minute 0), "B@5" (firing since minute
// 5), "-A" (resolved) or "-B@5"; "repeat" is the reason of a repeat, "+3"
// counts left out alerts.
func note(minute float64, words string) Notification {
	p := &alert.Payload{GroupKey: `{}:{alertname="X"}`, Version: "4"}
	p.Receiver = "team"
	for w := range strings.FieldsSeq(words) {
		if w == "repeat" {
			p.NotificationReason = alert.ReasonRepeat
			continue
		}
		if n, ok := strings.CutPrefix(w, "+"); ok {
			if _, err := fmt.Sscan(n, &p.TruncatedAlerts); err != nil {
				panic(err)
			}
			continue
		}
		a := template.Alert{Status: alert.Firing}
		if name, ok := strings.CutPrefix(w, "-"); ok {
			w, a.Status, a.EndsAt = name, alert.Resolved, at(minute)
		}
		name, since, _ := strings.Cut(w, "@")
		var start float64
		if since != "" {
			if _, err := fmt.Sscan(since, &start); err != nil {
				panic(err)
			}
		}
		a.StartsAt, a.Fingerprint = at(start), name
		a.Labels = template.KV{"alertname": "X", "instance": name}
		p.Alerts = append(p.Alerts, a)
	}
	p.Summarize()
	return Notification{Payload: p, ReceivedAt: at(minute)}
}

// words renders a telling's alerts as note takes them, what changed marked by
// a star.
func words(t *Telling) string {
	if t == nil {
		return "nothing"
	}
	var out []string
	for i, a := range t.Payload.Alerts {
		w := a.Fingerprint
		if a.Status == alert.Resolved {
			w = "-" + w
		}
		if since := a.StartsAt.Sub(epoch).Minutes(); since != 0 {
			w += fmt.Sprintf("@%g", since)
		}
		if t.Changed[i] {
			w += "*"
		}
		out = append(out, w)
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s", t.Kind, strings.Join(out, " ")))
}

func TestSequences(t *testing.T) {
	type step struct {
		minute float64
		words  string
		want   string // of the telling, as words has it, or the reason for none
	}
	all := Options{SendResolved: true}
	for _, c := range []struct {
		name  string
		o     Options
		steps []step
	}{
		{"an alert fires and ends", all, []step{
			{0, "A", "first A*"}, {5, "-A", "end -A*"},
		}},
		{"an alert joins, one ends, then all", all, []step{
			{0, "A", "first A*"},
			{5, "A B@4", "change A B@4*"},
			{10, "-A B@4", "change -A* B@4"},
			{15, "-B@4", "end -B@4*"},
		}},
		{"a copy within ten minutes is a duplicate", all, []step{
			{0, "A", "first A*"}, {9.9, "A", "duplicate"},
		}},
		{"without a reason, the same after ten minutes is a repeat", all, []step{
			{0, "A", "first A*"}, {10, "A", "repeat A"}, {12, "A", "duplicate"}, {20, "A", "repeat A"},
		}},
		{"by its reason it is a repeat at once", all, []step{
			{0, "A", "first A*"}, {5, "A repeat", "repeat A"},
		}},
		{"the copy of a repeat within a minute is a duplicate", all, []step{
			{0, "A", "first A*"}, {60, "A repeat", "repeat A"}, {60.5, "A repeat", "duplicate"}, {62, "A repeat", "repeat A"},
		}},
		{"late news does not take back that an alert fires anew", all, []step{
			{0, "A B", "first A* B*"}, {25, "A@25 B", "change A@25* B"}, {26, "-A -B", "change A@25 -B*"}, {30, "-A@25", "end -A@25*"},
		}},
		{"nor that it has ended since", all, []step{
			{0, "A B", "first A* B*"}, {25, "A@25 B", "change A@25* B"}, {26, "-A@25 B", "change -A@25* B"}, {27, "-A -B", "end -A@25 -B*"},
		}},
		{"the clock is set back an hour: what is told is told, and a repeat is one", all, []step{
			{600, "A", "first A*"}, {540, "A", "repeat A"}, {541, "A", "duplicate"}, {545, "A B@544", "change A B@544*"}, {546, "-A -B@544", "end -A* -B@544*"},
		}},
		{"a repeat of what nobody told is a first message", all, []step{
			{0, "A repeat", "first A*"},
		}},
		{"a late copy of a firing does not fire again", all, []step{
			{0, "A", "first A*"}, {5, "-A", "end -A*"}, {6, "A", "late"}, {14, "A", "late"},
		}},
		{"at the same start, ten minutes after its end, it fires again", all, []step{
			{0, "A", "first A*"}, {5, "-A", "end -A*"}, {15, "A", "first A*"},
		}},
		{"it fires anew from a later start", all, []step{
			{0, "A", "first A*"}, {5, "-A", "end -A*"}, {6, "A@6", "first A@6*"},
		}},
		{"an older start changes nothing", all, []step{
			{6, "A@6", "first A@6*"}, {7, "A", "duplicate"}, {8, "-A", "late"}, {9, "-A@6", "end -A@6*"},
		}},
		{"a copy that was overtaken is late", all, []step{
			{0, "A", "first A*"}, {1, "A B@1", "change A B@1*"}, {2, "A", "late"},
		}},
		{"an alert that was told as ended may come again with others", all, []step{
			{0, "A B", "first A* B*"}, {5, "-A B", "change -A* B"}, {6, "-A B", "duplicate"}, {7, "-A -B", "end -A -B*"},
		}},
		{"a firing notification that shares no alert begins another incident", all, []step{
			{0, "A", "first A*"}, {60, "B@60", "first B@60*"}, {61, "-B@60", "end -B@60*"},
		}},
		{"an alert that fires from a later start alone begins another incident", all, []step{
			{0, "A", "first A*"}, {600, "A@600", "first A@600*"},
		}},
		{"it goes on where others of the incident still fire", all, []step{
			{0, "A B", "first A* B*"}, {600, "A@600 B", "change A@600* B"},
		}},
		{"nothing heard for thirty days ends it", all, []step{
			{0, "A", "first A*"}, {31 * 24 * 60, "A", "first A*"},
		}},
		{"an end of which nothing is known is told", all, []step{
			{5, "-A", "end -A*"}, {6, "-A", "duplicate"}, {16, "-A", "late"},
		}},
		{"a silenced alert does not keep the incident open", all, []step{
			{0, "A B", "first A* B*"}, {30, "-B", "end -B*"}, {60, "A", "first A*"},
		}},
		{"a repeat without a silenced alert still reminds", all, []step{
			{0, "A B", "first A* B*"}, {30, "B", "repeat B"}, {40, "-B", "end -B*"},
		}},
		{"an alert whose silence ends fires again at once", all, []step{
			{0, "A B", "first A* B*"},
			{5, "B C@4", "change B C@4*"},
			{8, "A B C@4", "change A* B C@4"},
			{12, "A -B -C@4", "change A -B* -C@4*"},
			{13, "-A", "end -A*"},
		}},
		{"also when the others end with it", all, []step{
			{0, "A B", "first A* B*"}, {5, "B C@4", "change B C@4*"}, {9, "A -B -C@4", "change A* -B* -C@4*"}, {20, "-A", "end -A*"},
		}},
		{"a copy from before a silence is late", all, []step{
			{0, "A B", "first A* B*"}, {5, "B C@4", "change B C@4*"}, {6, "A B", "late"},
		}},
		{"a silence that ends when others are silenced is news after ten minutes", all, []step{
			{0, "A B", "first A* B*"}, {5, "B C@4", "change B C@4*"}, {35, "A B", "change A* B"},
		}},
		{"at the same start, soon after its end, it fires again if other news comes along", all, []step{
			{0, "A B", "first A* B*"},
			{5, "-A B", "change -A* B"},
			{8, "A -B", "change A* -B*"},
			{9, "-A", "end -A*"},
			{20, "A C", "first A* C*"},
			{21, "-A C", "change -A* C"},
			{22, "A B@21 C", "change A* B@21* C"},
		}},
		{"with alerts left out, others at hand are no other incident", all, []step{
			{0, "A B +1", "first A* B*"}, {5, "C@4 D@4 +3", "change C@4* D@4*"}, {9, "-A -B", "end -A* -B*"},
		}},
		{"alerts left out keep it firing", all, []step{
			{0, "A B +2", "first A* B*"}, {5, "-A -B +1", "change -A* -B*"}, {10, "C", "first C*"},
		}},
		{"resolved alerts at hand with others left out are a firing group", all, []step{
			{0, "-A -B +32", "first -A* -B*"}, {1, "-A -B +32", "duplicate"}, {30, "-A -B +32", "repeat -A -B"},
		}},
		{"without send_resolved an end is silent, and the next firing new", Options{}, []step{
			{0, "A", "first A*"}, {5, "-A", "unwanted"}, {6, "A@6", "first A@6*"},
		}},
		{"without send_resolved a change tells what fires", Options{}, []step{
			{0, "A", "first A*"}, {5, "-A B@5", "change B@5*"}, {6, "-B@5", "unwanted"},
		}},
		{"repeats can be dropped", Options{SendResolved: true, DropRepeats: true}, []step{
			{0, "A", "first A*"}, {60, "A repeat", "unwanted"}, {65, "-A", "end -A*"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s State
			for _, st := range c.steps {
				out := Fold(s, []Notification{note(st.minute, st.words)}, c.o)
				got := words(out.Telling)
				if out.Telling == nil {
					got = string(slices.Sorted(maps.Keys(out.Folded))[0])
				}
				if got != st.want {
					t.Fatalf("at minute %g, %q: told %q, want %q", st.minute, st.words, got, st.want)
				}
				s = out.State
			}
		})
	}
}

func TestFoldOfWhatWaited(t *testing.T) {
	told := func(n ...Notification) State {
		var s State
		for len(n) > 0 {
			out := Fold(s, n, Options{SendResolved: true})
			s, n = out.State, n[out.Taken:]
		}
		return s
	}
	for _, c := range []struct {
		name   string
		state  State
		notes  []Notification
		ends   bool // send_resolved
		want   string
		taken  int
		folded map[Folded]int
	}{
		{
			"what fired and ended is told once, with both times",
			State{},
			[]Notification{note(1, "A"), note(9, "-A")},
			true,
			"first -A*", 2,
			map[Folded]int{FoldedSuperseded: 1},
		},
		{
			"what ended in between is added to what fires",
			State{},
			[]Notification{note(1, "A"), note(5, "-A B@4"), note(9, "B@4 C@8")},
			true,
			"first B@4* C@8* -A*", 3,
			map[Folded]int{FoldedSuperseded: 2},
		},
		{
			"copies fall out",
			State{},
			[]Notification{note(1, "A"), note(1.1, "A"), note(2, "A B"), note(2.1, "A"), note(3, "A B")},
			true,
			"first A* B*", 5,
			map[Folded]int{FoldedSuperseded: 1, FoldedDuplicate: 2, FoldedLate: 1},
		},
		{
			"the end of what was told comes before the next incident",
			told(note(0, "A")),
			[]Notification{note(5, "-A"), note(6, "A@6"), note(7, "A@6 B@7")},
			true,
			"end -A*", 1,
			map[Folded]int{},
		},
		{
			"a duplicate of the end goes with it",
			told(note(0, "A")),
			[]Notification{note(5, "-A"), note(5.1, "-A"), note(6, "A@6")},
			true,
			"end -A*", 2,
			map[Folded]int{FoldedDuplicate: 1},
		},
		{
			"incidents that nobody was told of become one telling",
			State{},
			[]Notification{note(1, "A"), note(2, "-A"), note(3, "A@3"), note(4, "-A@3"), note(5, "A@5")},
			true,
			"first A@5* -A* -A@3*", 5,
			map[Folded]int{FoldedSuperseded: 4},
		},
		{
			"several repeats are one",
			told(note(0, "A")),
			[]Notification{note(60, "A repeat"), note(120, "A repeat")},
			true,
			"repeat A", 2,
			map[Folded]int{FoldedSuperseded: 1},
		},
		{
			"news beats a repeat",
			told(note(0, "A")),
			[]Notification{note(60, "A B@59"), note(120, "A B@59 repeat")},
			true,
			"change A B@59*", 2,
			map[Folded]int{FoldedSuperseded: 1},
		},
		{
			"a repeat and then the end is the end",
			told(note(0, "A")),
			[]Notification{note(60, "A repeat"), note(61, "-A")},
			true,
			"end -A*", 2,
			map[Folded]int{FoldedSuperseded: 1},
		},
		{
			"only copies tell nothing",
			told(note(0, "A")),
			[]Notification{note(1, "A"), note(2, "A")},
			true,
			"nothing", 2,
			map[Folded]int{FoldedDuplicate: 2},
		},
		{
			"what fired and is no longer listed is over",
			State{},
			[]Notification{note(1, "A B"), note(20, "B C@19")},
			true,
			"first B* C@19* -A*", 2,
			map[Folded]int{FoldedSuperseded: 1},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := Fold(c.state, c.notes, Options{SendResolved: c.ends})
			if got := words(out.Telling); got != c.want {
				t.Errorf("told %q, want %q", got, c.want)
			}
			if out.Taken != c.taken {
				t.Errorf("took %d notifications, want %d", out.Taken, c.taken)
			}
			if diff := cmp.Diff(c.folded, out.Folded); diff != "" {
				t.Errorf("folded (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTellingKeepsTimesAndCommonLabels(t *testing.T) {
	out := Fold(State{}, []Notification{note(1, "A"), note(9, "-A")}, Options{SendResolved: true})
	got := out.Telling
	if !got.ReceivedAt.Equal(at(1)) || !got.LatestAt.Equal(at(9)) {
		t.Errorf("received %v to %v, want %v to %v", got.ReceivedAt, got.LatestAt, at(1), at(9))
	}
	a := got.Payload.Alerts[0]
	if !a.StartsAt.Equal(at(0)) || !a.EndsAt.Equal(at(9)) {
		t.Errorf("alert from %v to %v, want both times", a.StartsAt, a.EndsAt)
	}
	out = Fold(State{}, []Notification{note(1, "A"), note(5, "-A B@4"), note(9, "B@4")}, Options{SendResolved: true})
	if diff := cmp.Diff(template.KV{"alertname": "X"}, out.Telling.Payload.CommonLabels); diff != "" {
		t.Errorf("common labels over all alerts (-want +got):\n%s", diff)
	}
	if out.Telling.Payload.Status != alert.Firing {
		t.Errorf("status %q, want firing", out.Telling.Payload.Status)
	}
}

func TestIDs(t *testing.T) {
	ids := map[string]string{}
	record := func(what string, s State) {
		for other, id := range ids {
			if id == s.ID {
				t.Errorf("%s has the id of %s: %s", what, other, id)
			}
		}
		ids[what] = s.ID
	}
	fold := func(s State, n Notification) State {
		return Fold(s, []Notification{n}, Options{SendResolved: true}).State
	}
	s := fold(State{}, note(0, "A"))
	record("the first incident", s)
	if again := fold(State{}, note(3, "-A")); again.ID != s.ID {
		t.Errorf("an end without a state has id %s, want that of its firing, %s", again.ID, s.ID)
	}
	s = fold(fold(s, note(1, "-A")), note(20, "A"))
	record("the same alert firing again at the same start", s)
	s = fold(fold(s, note(21, "-A")), note(40, "A"))
	record("and once more", s)
	other := note(0, "A")
	other.Payload.Receiver = `route labels \(x\)`
	record("the same group of another receiver", fold(State{}, other))
}

// TestApplyTwiceIsACopy is the first property: whatever came before, a
// notification applied twice changes nothing the second time.
func TestApplyTwiceIsACopy(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		var s State
		for _, n := range history(r, 12) {
			once, _ := Apply(s, n)
			twice, m := Apply(once, n)
			if m.Effect != Duplicate && m.Effect != Late {
				t.Fatalf("seed %d: second application is %s", seed, m.Effect)
			}
			if diff := cmp.Diff(once, twice); diff != "" {
				t.Fatalf("seed %d: second application changed the state:\n%s", seed, diff)
			}
			s = once
		}
	}
}

// TestLateCopiesEndInTheSameState is the second property: copies of what was
// heard within the window, at any later place, change nothing.
func TestLateCopiesEndInTheSameState(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 2))
		notes := history(r, 8)
		var want, got State
		for _, n := range notes {
			want, _ = Apply(want, n)
		}
		for i, n := range notes {
			got, _ = Apply(got, n)
			for range r.IntN(3) {
				c := notes[r.IntN(i+1)]
				window := CopyWindow
				if c.Payload.NotificationReason == alert.ReasonRepeat {
					window = RepeatCopyWindow
				}
				if n.ReceivedAt.Sub(c.ReceivedAt) >= window {
					continue
				}
				c.ReceivedAt = n.ReceivedAt
				got, _ = Apply(got, c)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d: late copies changed the state (-without +with):\n%s", seed, diff)
		}
	}
}

// TestNothingDropsOutOfAFold is the third property: each alert that a
// notification says fired or ended is in a telling, however they are folded,
// and a telling shows each alert as it is known afterwards. Without
// send_resolved that holds for what fired.
func TestNothingDropsOutOfAFold(t *testing.T) {
	for seed := range uint64(4000) {
		r := rand.New(rand.NewPCG(seed, 3))
		notes := history(r, 10)
		if seed%2 == 1 {
			silence(r, notes)
		}
		ends := seed%4 < 2
		fired, ended := map[episode]bool{}, map[episode]bool{}
		var s State
		for _, n := range notes {
			var m Meaning
			s, m = Apply(s, n)
			for _, i := range m.Fired {
				fired[episodeOf(&n.Payload.Alerts[i])] = true
			}
			for _, i := range m.Ended {
				ended[episodeOf(&n.Payload.Alerts[i])] = true
			}
		}
		s = State{}
		for len(notes) > 0 {
			out := Fold(s, notes[:1+r.IntN(len(notes))], Options{SendResolved: ends})
			if out.Taken == 0 {
				t.Fatalf("seed %d: fold took nothing", seed)
			}
			if out.Telling != nil {
				for i, a := range out.Telling.Payload.Alerts {
					if k, ok := out.State.Alerts[a.Fingerprint]; ok && k.StartsAt.Equal(a.StartsAt) && k.Resolved != (a.Status == alert.Resolved) {
						t.Fatalf("seed %d: alert %s is told as %s, but known as %+v", seed, a.Fingerprint, a.Status, k)
					}
					if out.Telling.Changed[i] {
						delete(fired, episodeOf(&a))
						if a.Status == alert.Resolved {
							delete(ended, episodeOf(&a))
						}
					}
				}
			}
			s, notes = out.State, notes[out.Taken:]
		}
		if len(fired) > 0 || ends && len(ended) > 0 {
			t.Fatalf("seed %d: never told that it fired: %v, that it ended: %v", seed, fired, ended)
		}
	}
}

// silence takes firing alerts out of notifications, as silences do, for some of
// the time. What would be left empty stays as it is.
func silence(r *rand.Rand, notes []Notification) {
	for i := range notes {
		p := notes[i].Payload
		quiet := []string{"A", "B", "C", "D"}[r.IntN(4)]
		kept := slices.DeleteFunc(slices.Clone(p.Alerts), func(a template.Alert) bool {
			return a.Fingerprint == quiet && a.Status == alert.Firing
		})
		if r.IntN(2) == 0 && len(kept) > 0 {
			p.Alerts = kept
			p.Summarize()
		}
	}
}

// history makes the notifications that one group of a real Alertmanager could
// send: alerts fire, end and fire again, and all that is not yet told is sent.
func history(r *rand.Rand, length int) []Notification {
	type alertState struct {
		since  float64
		firing bool
		news   bool
	}
	names := []string{"A", "B", "C", "D"}
	alerts := map[string]*alertState{}
	var notes []Notification
	minute := 0.0
	for len(notes) < length {
		minute += 0.2 + 8*r.Float64()
		changed := false
		for _, name := range names {
			a := alerts[name]
			switch {
			case r.IntN(3) > 0:
			case a == nil || !a.firing && !a.news:
				alerts[name] = &alertState{since: minute, firing: true}
				changed = true
			case a.firing:
				a.firing, a.news, changed = false, true, true
			}
		}
		var words []string
		for _, name := range names {
			a := alerts[name]
			switch {
			case a == nil:
			case a.firing:
				words = append(words, fmt.Sprintf("%s@%g", name, a.since))
			case a.news:
				words = append(words, fmt.Sprintf("-%s@%g", name, a.since))
				a.news = false
			}
		}
		if len(words) == 0 {
			continue
		}
		if !changed {
			words = append(words, "repeat")
		}
		notes = append(notes, note(minute, strings.Join(words, " ")))
	}
	return notes
}

func TestStateSurvivesJSON(t *testing.T) {
	s := Fold(State{}, []Notification{note(0, "A B"), note(1, "-A B")}, Options{SendResolved: true}).State
	s.Thread = Thread{Place: "spaces/AAAA", Key: "k", Name: "spaces/AAAA/threads/T"}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back State
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, back, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("state after JSON (-before +after):\n%s", diff)
	}
}

func TestApplyLeavesItsInputAlone(t *testing.T) {
	s := Fold(State{}, []Notification{note(0, "A B")}, Options{SendResolved: true}).State
	before, _ := json.Marshal(s)
	n := note(5, "-A B C@4")
	payload, _ := json.Marshal(n.Payload)
	Apply(s, n)
	Fold(s, []Notification{n, note(6, "-B C@4")}, Options{})
	if after, _ := json.Marshal(s); string(after) != string(before) {
		t.Errorf("the state changed from %s to %s", before, after)
	}
	if after, _ := json.Marshal(n.Payload); string(after) != string(payload) {
		t.Errorf("the payload changed from %s to %s", payload, after)
	}
}

func BenchmarkApply(b *testing.B) {
	for _, name := range []string{"basic-01.json", "basic-02.json"} {
		b.Run(strings.TrimSuffix(name, ".json"), func(b *testing.B) {
			body, err := os.ReadFile(filepath.Join("..", "alert", "testdata", name))
			if err != nil {
				b.Fatal(err)
			}
			p, err := alert.Decode(body)
			if err != nil {
				b.Fatal(err)
			}
			n := Notification{Payload: p, ReceivedAt: at(0)}
			b.ReportAllocs()
			for b.Loop() {
				Apply(State{}, n)
			}
		})
	}
}
