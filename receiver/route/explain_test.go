package route_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/alertmanager/template"

	"alertchat/receiver/route"
)

func TestExplainTellsTheWayOfEachAlert(t *testing.T) {
	t.Parallel()
	tree := route.New(route.Node{Space: "ops", Routes: []route.Node{
		{Space: "audit", Continue: true},
		{Receivers: receivers("team-db", "x|y"), Routes: []route.Node{
			{Space: "db", Matchers: matchers(t, `{team="db",severity=~"critical|page"}`)},
		}},
	}})
	for _, c := range []struct {
		name, receiver string
		labels         template.KV
		want           []string
	}{
		{"by a route that continues and by one below another", "team-db", template.KV{"team": "db", "severity": "page"}, []string{
			"audit: route > route.routes[0]",
			`db: route > route.routes[1] (receivers: team-db, x|y) > route.routes[1].routes[0] (matchers: team="db", severity=~"critical|page")`,
		}},
		{"by a route whose own routes do not match", "y", template.KV{"team": "web"}, []string{
			"audit: route > route.routes[0]",
			"ops: route > route.routes[1] (receivers: team-db, x|y)",
		}},
		{"by a route that continues alone", "other", template.KV{}, []string{"audit: route > route.routes[0]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := payload(c.receiver, c.labels)
			ways := tree.Explain(p)
			if len(ways) != 1 {
				t.Fatalf("%d alerts are explained, want 1", len(ways))
			}
			var got []string
			for _, m := range ways[0] {
				var steps []string
				for _, s := range m.Nodes {
					step := s.Path
					if s.Rule != "" {
						step += " (" + s.Rule + ")"
					}
					steps = append(steps, step)
				}
				got = append(got, m.Space+": "+strings.Join(steps, " > "))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("Explain() =\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// TestExplainSaysWhatRouteDoes on random trees: an alert is explained to go to
// a space if and only if the space's share has it.
func TestExplainSaysWhatRouteDoes(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6))
	for range 500 {
		root := randomNode(t, random, 0)
		root.Space, root.Receivers, root.Matchers = "s0", nil, nil
		tree, p := route.New(root), randomPayload(random)
		want, got := map[string]bool{}, map[string]bool{}
		for _, s := range tree.Route(p) {
			for i := range p.Alerts {
				if s.All || slices.Contains(s.Indices, i) {
					want[fmt.Sprint(s.Space, " ", i)] = true
				}
			}
		}
		for i, matches := range tree.Explain(p) {
			for _, m := range matches {
				got[fmt.Sprint(m.Space, " ", i)] = true
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("Explain() goes %v, Route() %v, in %+v", got, want, root)
		}
		for _, d := range tree.Dead() {
			for _, matches := range tree.Explain(p) {
				for _, m := range matches {
					for _, s := range m.Nodes {
						if s.Path == d.Path {
							t.Errorf("an alert goes by %s, which %s: %+v", d.Path, d.Why, root)
						}
					}
				}
			}
		}
		reached := tree.Reached()
		for _, s := range tree.Route(p) {
			if !slices.Contains(reached, s.Space) {
				t.Errorf("%s gets alerts, and is not among those reached: %v", s.Space, reached)
			}
		}
	}
}

func TestDeadRoutesAreThoseThatNeverMatch(t *testing.T) {
	t.Parallel()
	node := func(receiver string, matcher ...string) route.Node {
		n := route.Node{Space: "x"}
		for _, m := range matcher {
			n.Matchers = append(n.Matchers, matchers(t, m)...)
		}
		if receiver != "" {
			n.Receivers = receivers(strings.Fields(receiver)...)
		}
		return n
	}
	goesOn := func(n route.Node) route.Node { n.Continue = true; return n }
	with := func(n route.Node, below ...route.Node) route.Node { n.Routes = below; return n }
	for _, c := range []struct {
		name   string
		routes []route.Node
		want   string // the paths, without "route."
	}{
		{"behind a route for everything", []route.Node{node(""), node("a"), node("", "x=1")}, "routes[1] routes[2]"},
		{"behind one for everything that goes on, and at the end", []route.Node{goesOn(node("")), node("a")}, ""},
		{"behind the same", []route.Node{node("a b", "x=1", "y=2"), node("a b", "x=1", "y=2")}, "routes[1]"},
		{"behind one that asks for less", []route.Node{node("", "x=1"), node("a", "y=2", "x=1")}, "routes[1]"},
		{"behind one that asks for more", []route.Node{node("", "x=1", "y=2"), node("", "x=1")}, ""},
		{"behind one that asks for something else", []route.Node{node("", "x=1"), node("", "x=2")}, ""},
		{"behind a regular expression that takes its value", []route.Node{node("", "x=~a|b"), node("", "x=b")}, "routes[1]"},
		{"behind one that does not", []route.Node{node("", "x=~a|b"), node("", "x=c")}, ""},
		{"behind a negation that takes its value", []route.Node{node("", "x!=a"), node("", "x=b")}, "routes[1]"},
		{"behind one for a label that may be missing", []route.Node{node("", "x!=a"), node("", "y=b")}, ""},
		{"one of the receivers is taken", []route.Node{node("a"), node("a b")}, ""},
		{"all of the receivers are taken", []route.Node{node("a b c"), node("b a")}, "routes[1]"},
		{"a receiver for a route without", []route.Node{node("a"), node("")}, ""},
		{"what the route above asks for implies it", []route.Node{with(node("", "x=1"), node("", "x=~1|2"), node("a"))}, "routes[0].routes[1]"},
		{"a contradiction with the route above", []route.Node{with(node("", "x=1"), node("", "x=2"), node("", "x!=1"), node("", "x=1"))}, "routes[0].routes[0] routes[0].routes[1]"},
		{"a contradiction in itself", []route.Node{node("", "x=1", "x=2")}, "routes[0]"},
		{"the routes of a dead one are not told", []route.Node{node(""), with(node("a"), node(""), node(""))}, "routes[1]"},
		{"a dead route hides nothing", []route.Node{node("", "x=1"), node("", "x=1", "y=2"), node("", "y=2")}, "routes[1]"},
		{"a last route that goes on", []route.Node{node("a"), goesOn(node("b"))}, "routes[1].continue"},
		{"a last route below another", []route.Node{with(node("a"), goesOn(node("b"))), node("c")}, "routes[0].routes[0].continue"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, d := range route.New(route.Node{Space: "ops", Routes: c.routes}).Dead() {
				got = append(got, strings.TrimPrefix(d.Path, "route."))
				if d.Why == "" {
					t.Errorf("%s has no reason", d.Path)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("Dead() = %v, want %s", got, c.want)
			}
		})
	}
}

func TestSpacesOfDeadRoutesAreNotReached(t *testing.T) {
	t.Parallel()
	tree := route.New(route.Node{Space: "ops", Routes: []route.Node{
		{Space: "db", Matchers: matchers(t, "team=db")},
		{Space: "late", Matchers: matchers(t, "{team=db,x=1}"), Routes: []route.Node{{Space: "later"}}},
	}})
	if got := tree.Reached(); !slices.Equal(got, []string{"ops", "db"}) {
		t.Errorf("Reached() = %v", got)
	}
}
