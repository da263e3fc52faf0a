package e2e

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"alertchat/receiver/incident"
)

// moment of an alert: an episode that fires or has ended.
type standing struct {
	episode  int
	resolved bool
}

// after reports whether one comes after the other.
func (s standing) after(other standing) bool {
	return s.episode > other.episode || s.episode == other.episode && s.resolved && !other.resolved
}

// story is what one message says of a group.
type story struct {
	space, group string
	repeat       int
	alerts       map[int]standing
	at           time.Time
	text         string
}

// stories are all that stand in Chat, by space and group, the oldest first.
type stories struct {
	by                       map[string]map[string][]*story
	messages, told, digested int
	suspects                 map[string]bool // groups of which something is wrong
}

// fault fails the test for a group.
func (all *stories) fault(t *testing.T, group, format string, args ...any) {
	t.Helper()
	all.suspects[group] = true
	t.Errorf(format, args...)
}

var storyLine = regexp.MustCompile(`group=(g[0-9]+) repeat=([0-9]+) is((?: [0-9]+-[0-9]+[fr])+);`)

func readStories(t *testing.T, chat *googleChat) *stories {
	t.Helper()
	all := &stories{by: map[string]map[string][]*story{}, suspects: map[string]bool{}}
	for _, place := range chat.Spaces() {
		space := strings.TrimPrefix(place, "spaces/")
		all.by[space] = map[string][]*story{}
		for _, m := range chat.Messages(place) {
			all.messages++
			found := storyLine.FindAllStringSubmatch(string(m.Body), -1)
			if len(found) == 0 || len(found) != strings.Count(string(m.Body), "group=") {
				t.Errorf("a message in %s cannot be read: %s", space, m.Body)
			}
			all.told += len(found)
			if len(found) > 1 {
				all.digested += len(found)
			}
			for _, line := range found {
				s := &story{space: space, group: line[1], repeat: number(line[2]), alerts: map[int]standing{}, at: m.CreatedAt, text: line[0]}
				for word := range strings.FieldsSeq(line[3]) {
					n, rest, _ := strings.Cut(word, "-")
					is := standing{number(rest[:len(rest)-1]), strings.HasSuffix(rest, "r")}
					// Of an alert that fires again, its end before that may be told too.
					if before, ok := s.alerts[number(n)]; !ok || is.after(before) {
						s.alerts[number(n)] = is
					}
				}
				all.by[space][s.group] = append(all.by[space][s.group], s)
			}
		}
	}
	return all
}

// number reads what a regular expression has found to be a number.
func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return n
}

// promised is what was answered with 200: how far each alert had come, by group.
type promised struct {
	notifications, refused int
	alerts                 map[string]map[int]map[standing]bool
}

func newPromised(taps [2]*tap) *promised {
	all := &promised{alerts: map[string]map[int]map[standing]bool{}}
	for _, p := range taps {
		p.mu.Lock()
		all.refused += p.refused
		for _, a := range p.accepted {
			all.notifications++
			group := a.payload.GroupLabels["group"]
			if all.alerts[group] == nil {
				all.alerts[group] = map[int]map[standing]bool{}
			}
			for _, a := range a.payload.Alerts {
				n := number(a.Labels["n"])
				if all.alerts[group][n] == nil {
					all.alerts[group][n] = map[standing]bool{}
				}
				all.alerts[group][n][standing{number(a.Annotations["episode"]), a.Status == "resolved"}] = true
			}
		}
		p.mu.Unlock()
	}
	return all
}

// check fails the test if something that was accepted is not told in each of its
// spaces, or if something is told twice, out of order or in a wrong space.
func (all *stories) check(t *testing.T, w *world, of *promised) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, g := range w.groups {
		for _, space := range []string{"page", g.team} {
			told := map[int]standing{} // the latest of each alert
			seen := map[int]map[standing]bool{}
			var before *story
			for _, s := range all.by[space][g.name] {
				all.compare(t, s, before, told)
				for n, is := range s.alerts {
					if !slices.Contains(g.spaces(n), space) {
						all.fault(t, g.name, "the alert %d of %s is told in %s", n, g.name, space)
					}
					if seen[n] == nil {
						seen[n] = map[standing]bool{}
					}
					seen[n][is] = true
				}
				maps.Copy(told, s.alerts)
				before = s
			}
			for n, states := range of.alerts[g.name] {
				for is := range states {
					// An alert that ended while it waited is told once, as ended; one
					// that fires again, of which another Alertmanager told so first, is
					// not told as it was.
					ended := standing{is.episode, true}
					if slices.Contains(g.spaces(n), space) && !seen[n][is] && !seen[n][ended] && (n >= again || !told[n].after(ended)) {
						all.fault(t, g.name, "%+v of the alert %d of %s was answered with 200 and is not told in %s", is, n, g.name, space)
					}
				}
			}
			delete(all.by[space], g.name)
		}
	}
	for space, groups := range all.by {
		for group := range groups {
			t.Errorf("the group %s is told in %s", group, space)
		}
	}
}

// compare holds a story against the one before it of its group, and the latest
// that was told of each alert.
func (all *stories) compare(t *testing.T, s, before *story, told map[int]standing) {
	t.Helper()
	if before == nil {
		return
	}
	news := false
	for n, is := range s.alerts {
		if was := told[n]; was.after(is) {
			all.fault(t, s.group, "%s: %+v of the alert %d of %s is told after %+v: %q at %s, %q at %s", s.space, is, n, s.group, was,
				before.text, before.at.Format(time.TimeOnly), s.text, s.at.Format(time.TimeOnly))
		} else if is.after(was) {
			news = true
		}
		// What was not listed for a while and is back is news.
		if _, listed := before.alerts[n]; !is.resolved && !listed {
			news = true
		}
	}
	if reminder := s.repeat > 0 && s.at.Sub(before.at) >= incident.CopyWindow; !news && !reminder {
		all.fault(t, s.group, "%s is told twice in the same state in %s: %q at %s, %q at %s", s.group, s.space,
			before.text, before.at.Format(time.TimeOnly), s.text, s.at.Format(time.TimeOnly))
	}
}

// standsIn returns nil if the last that each space is told of each group is how
// the group stands.
func (w *world) standsIn(chat *googleChat) error {
	last := map[string]string{} // what fires, by space and group
	for _, place := range chat.Spaces() {
		for _, m := range chat.Messages(place) {
			for _, line := range storyLine.FindAllStringSubmatch(string(m.Body), -1) {
				var firing []string
				for word := range strings.FieldsSeq(line[3]) {
					if is, ok := strings.CutSuffix(word, "f"); ok {
						firing = append(firing, is)
					}
				}
				slices.Sort(firing)
				last[place+" "+line[1]] = fmt.Sprint(firing)
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var errs []error
	for _, g := range w.groups {
		firing := map[string][]string{"page": nil, g.team: nil}
		for _, a := range g.alerts {
			if !a.fires() {
				continue
			}
			for _, space := range g.spaces(a.n) {
				firing[space] = append(firing[space], fmt.Sprintf("%d-%d", a.n, a.episode))
			}
		}
		for space, want := range firing {
			slices.Sort(want)
			if got := last[place(space)+" "+g.name]; got != fmt.Sprint(want) {
				errs = append(errs, fmt.Errorf("the last that %s is told of %s is that %s fire, want %s", space, g.name, got, want))
			}
		}
	}
	return errors.Join(errs...)
}

// explain logs all that was accepted and told of the groups of which something
// is wrong.
func (s *soak) explain(suspects map[string]bool) {
	wrong := ""
	if err := s.world.standsIn(s.chat); err != nil {
		wrong = err.Error()
	}
	stories := readStories(s.t, s.chat)
	for _, g := range s.world.groups {
		if !suspects[g.name] && !strings.Contains(wrong, " "+g.name+" ") {
			continue
		}
		for i, p := range s.taps {
			p.mu.Lock()
			for _, a := range p.accepted {
				if a.payload.GroupLabels["group"] == g.name {
					var is []string
					for _, one := range a.payload.Alerts {
						is = append(is, one.Labels["n"]+"-"+one.Annotations["episode"]+one.Status[:1])
					}
					s.t.Logf("%s %s accepted by %d: %v", a.at.Format(time.StampMilli), g.name, i, is)
				}
			}
			p.mu.Unlock()
		}
		for _, space := range []string{g.team, "page"} {
			for _, one := range stories.by[space][g.name] {
				s.t.Logf("%s told in %s: %s", one.at.Format(time.StampMilli), space, one.text)
			}
		}
	}
}
