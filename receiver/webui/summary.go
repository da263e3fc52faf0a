package webui

import (
	"fmt"
	"slices"
	"time"
)

// state is how a space does, in a word for people and one for the stylesheet.
type state struct{ Word, Class string }

// The states of a space.
var (
	failing   = state{"failing", "bad"}
	throttled = state{"throttled", "warn"}
	gaveUp    = state{"gave up on some", "warn"}
)

func stateOf(s Space, now time.Time) state {
	switch {
	case s.Removed:
		return state{"removed", "idle"}
	case !s.FailingSince.IsZero():
		return failing
	case s.ThrottledUntil.After(now):
		return throttled
	case s.Dead > 0:
		return gaveUp
	case s.Waiting+s.Planned > 0:
		return state{"delivering", "good"}
	case s.LastSuccess.IsZero():
		return state{"nothing sent yet", "idle"}
	default:
		return state{"working", "good"}
	}
}

// shown is a space as the page shows it.
type shown struct {
	Space

	Index int // in the config's order; it stays when the state changes
	State state
	Lists []list
}

// inOrder returns the spaces in the order of the page: those in trouble first,
// then the others, each as they stand in the config.
func inOrder(s Status) []shown {
	spaces := make([]shown, len(s.Spaces))
	for i, space := range s.Spaces {
		spaces[i] = shown{Space: space, Index: i, State: stateOf(space, s.Now), Lists: lists(s.Now, i, space)}
	}
	urgent := []state{failing, throttled, gaveUp}
	rank := func(s shown) int {
		if i := slices.Index(urgent, s.State); i >= 0 {
			return i
		}
		return len(urgent)
	}
	slices.SortStableFunc(spaces, func(a, b shown) int { return rank(a) - rank(b) })
	return spaces
}

// summary is how alertchat as a whole does.
type summary struct {
	Title     string   // of the tab
	Class     string   // for the stylesheet, as a state has one
	Failing   []shown  // of which the first sentence is, unless there are none
	Sentences []string // without their full stop
}

// summarize says first what is worst.
func summarize(s Status) summary {
	var sum summary
	spaces, paused, dead := 0, 0, 0
	for _, space := range inOrder(s) {
		dead += space.Dead
		if space.Removed {
			continue
		}
		spaces++
		switch space.State {
		case failing:
			sum.Failing = append(sum.Failing, space)
		case throttled:
			paused++
		}
	}
	say := func(when bool, class, title, sentence string) {
		if !when {
			return
		}
		sum.Sentences = append(sum.Sentences, sentence)
		if sum.Class == "" {
			sum.Class = class
		}
		if sum.Title == "" && title != "" {
			sum.Title = title + " · "
		}
	}
	bad := len(sum.Failing)
	who := fmt.Sprintf("%d of %d spaces %s", bad, spaces, are(bad))
	if spaces == 1 {
		who = "The space is"
	}
	say(bad > 0, "bad", fmt.Sprintf("%d failing", bad), who+" failing")
	say(s.StorageError != "", "bad", "storage failing", "Nothing can be stored")
	say(s.ReadError != "", "bad", "incomplete", "This page is incomplete")
	say(paused > 0, "warn", "", fmt.Sprintf("%s %s throttled", number(paused, "space"), are(paused)))
	say(dead > 0, "warn", fmt.Sprintf("%d given up", dead), number(dead, "message")+" "+were(dead)+" given up")
	say(s.ReloadError != "", "warn", "config not in use", "The config on disk is not in use")
	if untold(s) {
		say(len(sum.Sentences) == 0, "idle", "", "No notification has arrived yet")
	}
	say(len(sum.Sentences) == 0, "good", "", "No space is failing")
	sum.Title += "alertchat"
	return sum
}

// number returns how many of something there are.
func number(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func are(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func were(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

// untold tells whether alertchat has seen no notification yet, as far as is
// known.
func untold(s Status) bool {
	for _, space := range s.Spaces {
		if space.Waiting+space.Planned+space.Dead+len(space.Deliveries) > 0 || !space.LastSuccess.IsZero() {
			return false
		}
	}
	return true
}

// openLength is how many deliveries a list may have that is open from the first.
const openLength = 5

// list is a table of deliveries.
type list struct {
	Now        time.Time
	ID         string // of its element
	Space      Space
	Caption    string // before the space's name
	Deliveries []Delivery
	Of         int // how many there are, shown or not; 0 where that is not known
}

// Open tells whether the list is open from the first.
func (l list) Open() bool { return len(l.Deliveries) <= openLength }

// lists returns a space's tables: first what was given up, since somebody must
// look at it, and then the others. None is empty.
func lists(now time.Time, index int, s Space) []list {
	dead := list{Now: now, ID: fmt.Sprintf("dead-%d", index), Space: s, Caption: "Given up in", Of: s.Dead}
	others := list{Now: now, ID: fmt.Sprintf("latest-%d", index), Space: s, Caption: "Deliveries to"}
	for _, d := range s.Deliveries {
		if d.Status == "dead" {
			dead.Deliveries = append(dead.Deliveries, d)
		} else {
			others.Deliveries = append(others.Deliveries, d)
		}
	}
	return slices.DeleteFunc([]list{dead, others}, func(l list) bool { return len(l.Deliveries) == 0 })
}
