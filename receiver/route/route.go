// Package route decides which spaces an alert concerns: a tree of routes in
// Alertmanager's shape, walked for each alert of a payload.
package route

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/prometheus/alertmanager/pkg/labels"

	"alertchat/receiver/alert"
)

// Node is one route of the tree. It takes an alert when one of its receivers
// and all of its matchers match; then its routes are tried, and only where none
// of them takes the alert does it go to the node's own space. The tags are the
// keys of the config file.
type Node struct {
	// Space is the name of the space; empty for the parent's.
	Space string `yaml:"space"`
	// Receivers are matched against the payload's receiver, without the quoting
	// that Alertmanager adds. They must be anchored. With none given, every
	// receiver matches.
	Receivers []*regexp.Regexp `yaml:"receivers"`
	// Matchers must all match the alert's labels. A label that is missing has
	// the empty value.
	Matchers []*labels.Matcher `yaml:"matchers"`
	// Continue lets the siblings that follow have the alert too.
	Continue bool   `yaml:"continue"`
	Routes   []Node `yaml:"routes"`
}

// Share is what one space gets of a payload.
type Share struct {
	Space string
	// Indices are those of the payload's alerts, ascending. They are nil where
	// All is set.
	Indices []int
	// All says that the share is the whole payload.
	All bool
}

// Tree is a routing tree, ready to be walked. It is safe for concurrent use.
type Tree struct {
	nodes  []node   // in the order of the config: each node before its routes
	spaces []string // by the order in which the config names them first
}

// node is a [Node] in the flat tree: its routes stand between it and end.
type node struct {
	path      string // in the config: "route.routes[0]"
	parent    int    // the index of what it stands in; of the root, its own
	receivers []*regexp.Regexp
	matchers  []*labels.Matcher
	space     int // an index of Tree.spaces
	end       int // the index behind its last descendant
	goesOn    bool
}

// New returns the tree below root. The root matches everything, whatever
// receivers and matchers it has, so that no alert is ever left out.
func New(root Node) *Tree {
	t := &Tree{}
	root.Receivers, root.Matchers = nil, nil
	t.add(root, root.Space, "route", 0)
	return t
}

func (t *Tree) add(n Node, inherited, path string, parent int) {
	if n.Space == "" {
		n.Space = inherited
	}
	i := len(t.nodes)
	t.nodes = append(t.nodes, node{
		path:      path,
		parent:    parent,
		receivers: n.Receivers,
		matchers:  n.Matchers,
		space:     t.index(n.Space),
		goesOn:    n.Continue,
	})
	for c, r := range n.Routes {
		t.add(r, n.Space, fmt.Sprintf("%s.routes[%d]", path, c), i)
	}
	t.nodes[i].end = len(t.nodes)
}

func (t *Tree) index(space string) int {
	if i := slices.Index(t.spaces, space); i >= 0 {
		return i
	}
	t.spaces = append(t.spaces, space)
	return len(t.spaces) - 1
}

// Route returns the shares of a payload: each space at most once, in the order
// in which the tree names them first, and each alert in at least one.
func (t *Tree) Route(p *alert.Payload) []Share {
	all := make([]taken, len(t.spaces))
	t.walk(p, func(alert, n int) { all[t.nodes[n].space].add(alert) })
	var shares []Share
	for i := range all {
		if s := &all[i]; s.count > 0 {
			shares = append(shares, s.share(t.spaces[i], len(p.Alerts)))
		}
	}
	return shares
}

// walk sends each alert through the tree. take is called, alert by alert, with
// the index of the alert and of the node whose space gets it.
func (t *Tree) walk(p *alert.Payload, take func(alert, node int)) {
	w := walk{tree: t, open: t.open(alert.Unquote(p.Receiver)), take: take}
	for i := range p.Alerts {
		w.alert, w.labels = i, p.Alerts[i].Labels
		w.visit(0)
	}
}

// open says for each node whether its receivers match: once for a payload, not
// once for each of its alerts.
func (t *Tree) open(receiver string) []bool {
	open := make([]bool, len(t.nodes))
	for i := range t.nodes {
		receivers := t.nodes[i].receivers
		open[i] = len(receivers) == 0 || slices.ContainsFunc(receivers, func(r *regexp.Regexp) bool {
			return r.MatchString(receiver)
		})
	}
	return open
}

// walk is the way of one payload through the tree, alert by alert.
type walk struct {
	tree   *Tree
	open   []bool // by node
	take   func(alert, node int)
	alert  int // the index of the alert that is on its way
	labels map[string]string
}

// visit walks the alert through a node and reports whether the node took it.
func (w *walk) visit(i int) bool {
	n := &w.tree.nodes[i]
	if !w.open[i] || !w.matches(n) {
		return false
	}
	below := false
	for c := i + 1; c < n.end; c = w.tree.nodes[c].end {
		if w.visit(c) {
			below = true
			if !w.tree.nodes[c].goesOn {
				break
			}
		}
	}
	if !below {
		w.take(w.alert, i)
	}
	return true
}

func (w *walk) matches(n *node) bool {
	for _, m := range n.matchers {
		if !m.Matches(w.labels[m.Name]) {
			return false
		}
	}
	return true
}

// taken is what a space has got so far. As long as that is every alert from the
// first on, a count is all it needs.
type taken struct {
	count   int
	indices []int // nil as long as they are 0 to count-1
}

// add takes the alert with the index i. Indices come in ascending order, the
// same one again where several routes lead to the space.
func (s *taken) add(i int) {
	switch {
	case s.indices == nil && s.count == i:
		s.count++
	case s.indices == nil && s.count == i+1:
		// The same alert again.
	case s.indices == nil:
		s.indices = append(upTo(s.count), i)
		s.count++
	case s.indices[len(s.indices)-1] != i:
		s.indices = append(s.indices, i)
		s.count++
	}
}

func (s *taken) share(space string, alerts int) Share {
	switch {
	case s.count == alerts:
		return Share{Space: space, All: true}
	case s.indices == nil:
		return Share{Space: space, Indices: upTo(s.count)}
	default:
		return Share{Space: space, Indices: s.indices}
	}
}

// upTo returns 0, 1, … n-1.
func upTo(n int) []int {
	indices := make([]int, n)
	for i := range indices {
		indices[i] = i
	}
	return indices
}
