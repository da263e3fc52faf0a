package route

import (
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/alertmanager/pkg/labels"

	"alertchat/receiver/alert"
)

// Match is one way of an alert through the tree.
type Match struct {
	Space string
	Nodes []Step // from the root to the route whose space gets the alert
}

// Step is a route on the way of an alert.
type Step struct {
	Path string // where it stands in the config: "route.routes[0]"
	// Rule is what it matches: `receivers: team-db; matchers: team="db"`. It is
	// empty where that is everything.
	Rule string
}

// Explain returns for each alert of a payload, in their order, how it goes: at
// least one match, and more than one where routes continue. It walks as
// [Tree.Route] does.
func (t *Tree) Explain(p *alert.Payload) [][]Match {
	ways := make([][]Match, len(p.Alerts))
	t.walk(p, func(alert, n int) {
		ways[alert] = append(ways[alert], Match{Space: t.spaces[t.nodes[n].space], Nodes: t.steps(n)})
	})
	return ways
}

// steps returns the way from the root to a node.
func (t *Tree) steps(i int) []Step {
	var steps []Step
	for {
		n := &t.nodes[i]
		steps = append(steps, Step{Path: n.path, Rule: n.rule()})
		if n.parent == i {
			slices.Reverse(steps)
			return steps
		}
		i = n.parent
	}
}

// rule returns what a node matches, as the config has it.
func (n *node) rule() string {
	var parts []string
	if len(n.receivers) > 0 {
		var names []string
		for _, r := range n.receivers {
			names = append(names, strings.TrimSuffix(strings.TrimPrefix(r.String(), "^(?:"), ")$"))
		}
		parts = append(parts, "receivers: "+strings.Join(names, ", "))
	}
	if len(n.matchers) > 0 {
		var matchers []string
		for _, m := range n.matchers {
			matchers = append(matchers, m.String())
		}
		parts = append(parts, "matchers: "+strings.Join(matchers, ", "))
	}
	return strings.Join(parts, "; ")
}

// Dead is a route, or a key of one, that never does anything.
type Dead struct {
	Path string // in the config: "route.routes[1]", or "route.routes[1].continue"
	Why  string // half a sentence that stands behind the path
}

// Dead returns the routes that no alert reaches, whatever its labels, and what
// else in the tree has no effect, in the order of the config. It tells only
// what is certain: it does not look into regular expressions. Of a dead route's
// own routes it says nothing.
func (t *Tree) Dead() []Dead {
	var dead []Dead
	for i := 0; i < len(t.nodes); {
		n := &t.nodes[i]
		if why := t.unreachable(i); why != "" {
			dead = append(dead, Dead{n.path, why})
			i = n.end
			continue
		}
		if last := n.end == t.nodes[n.parent].end; n.goesOn && last && i > 0 {
			dead = append(dead, Dead{n.path + ".continue", "has no effect: no route follows in this list"})
		}
		i++
	}
	return dead
}

// Reached returns the spaces that some route leads to, without those that only
// dead routes name, in the order of the config.
func (t *Tree) Reached() []string {
	reached := make([]bool, len(t.spaces))
	for i := 0; i < len(t.nodes); {
		if t.unreachable(i) != "" {
			i = t.nodes[i].end
			continue
		}
		reached[t.nodes[i].space] = true
		i++
	}
	var names []string
	for i, name := range t.spaces {
		if reached[i] {
			names = append(names, name)
		}
	}
	return names
}

// unreachable says why no alert reaches a node, or nothing.
func (t *Tree) unreachable(i int) string {
	n := &t.nodes[i]
	if i == n.parent {
		return ""
	}
	known := t.known(i)
	for _, m := range n.matchers {
		if contradicts(m, known) {
			return "never matches: " + m.String() + " contradicts what else it, or a route above it, asks for"
		}
	}
	for c := n.parent + 1; c < i; c = t.nodes[c].end {
		before := &t.nodes[c]
		if !before.goesOn && before.covers(n, known) {
			return "never matches: " + before.path + " stands before it and takes all that it would; put it first, or continue: true there"
		}
	}
	return ""
}

// known returns what an alert meets that gets as far as a node: its matchers
// and those of the nodes above it.
func (t *Tree) known(i int) []*labels.Matcher {
	var known []*labels.Matcher
	for {
		n := &t.nodes[i]
		known = append(known, n.matchers...)
		if n.parent == i {
			return known
		}
		i = n.parent
	}
}

// covers reports whether n takes each alert that the other would, of which the
// matchers are known.
func (n *node) covers(other *node, known []*labels.Matcher) bool {
	if len(n.receivers) > 0 {
		if len(other.receivers) == 0 {
			return false
		}
		for _, r := range other.receivers {
			if !slices.ContainsFunc(n.receivers, func(own *regexp.Regexp) bool { return own.String() == r.String() }) {
				return false
			}
		}
	}
	for _, m := range n.matchers {
		if !implied(m, known) {
			return false
		}
	}
	return true
}

// implied reports whether an alert that meets the known matchers meets m too.
func implied(m *labels.Matcher, known []*labels.Matcher) bool {
	return slices.ContainsFunc(known, func(k *labels.Matcher) bool {
		same := k.Name == m.Name && k.Type == m.Type && k.Value == m.Value
		return same || k.Name == m.Name && k.Type == labels.MatchEqual && m.Matches(k.Value)
	})
}

// contradicts reports whether no alert that meets the known matchers meets m.
func contradicts(m *labels.Matcher, known []*labels.Matcher) bool {
	return slices.ContainsFunc(known, func(k *labels.Matcher) bool {
		return k.Name == m.Name && k.Type == labels.MatchEqual && !m.Matches(k.Value)
	})
}
