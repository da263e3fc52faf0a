package route_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/alertmanager/template"

	"alertchat/receiver/alert"
	"alertchat/receiver/route"
)

func TestRouteFollowsTheTree(t *testing.T) {
	critical := template.KV{"severity": "critical", "team": "db"}
	warning := template.KV{"severity": "warning", "team": "db"}
	bare := template.KV{}
	tests := []struct {
		name     string
		root     route.Node
		receiver string // as Alertmanager writes it, quoted
		alerts   []template.KV
		want     []route.Share
	}{
		{
			name:   "a root alone takes everything",
			root:   route.Node{Space: "ops"},
			alerts: []template.KV{critical, bare},
			want:   []route.Share{{Space: "ops", All: true}},
		},
		{
			name:   "a root takes everything even if it has matchers",
			root:   route.Node{Space: "ops", Matchers: matchers(t, `severity="never"`), Receivers: receivers("never")},
			alerts: []template.KV{critical},
			want:   []route.Share{{Space: "ops", All: true}},
		},
		{
			name:   "a payload without alerts has no shares",
			root:   route.Node{Space: "ops"},
			alerts: nil,
			want:   nil,
		},
		{
			name: "the first match wins",
			root: route.Node{Space: "ops", Routes: []route.Node{
				{Space: "a", Matchers: matchers(t, `team="db"`)},
				{Space: "b", Matchers: matchers(t, `severity="critical"`)},
			}},
			alerts: []template.KV{critical},
			want:   []route.Share{{Space: "a", All: true}},
		},
		{
			name: "continue goes on to the siblings that follow",
			root: route.Node{Space: "ops", Routes: []route.Node{
				{Space: "a", Matchers: matchers(t, `team="db"`), Continue: true},
				{Space: "b", Matchers: matchers(t, `severity="critical"`)},
				{Space: "c", Matchers: matchers(t, `severity="critical"`)},
			}},
			alerts: []template.KV{critical, warning},
			want:   []route.Share{{Space: "a", All: true}, {Space: "b", Indices: []int{0}}},
		},
		{
			name: "a node is asked only after its routes",
			root: route.Node{Space: "ops", Routes: []route.Node{{
				Space: "db", Matchers: matchers(t, `team="db"`),
				Routes: []route.Node{{Space: "dba", Matchers: matchers(t, `severity="critical"`)}},
			}}},
			alerts: []template.KV{critical, warning, bare},
			want: []route.Share{
				{Space: "ops", Indices: []int{2}},
				{Space: "db", Indices: []int{1}},
				{Space: "dba", Indices: []int{0}},
			},
		},
		{
			name: "a continue of an inner route does not leave its parent",
			root: route.Node{Space: "ops", Routes: []route.Node{
				{Space: "db", Routes: []route.Node{{Space: "dba", Continue: true}}},
				{Space: "never"},
			}},
			alerts: []template.KV{critical},
			want:   []route.Share{{Space: "dba", All: true}},
		},
		{
			name: "a route without a space has its parent's",
			root: route.Node{Space: "ops", Routes: []route.Node{{
				Space: "db", Matchers: matchers(t, `team="db"`),
				Routes: []route.Node{{Matchers: matchers(t, `severity="critical"`)}},
			}}},
			alerts: []template.KV{critical},
			want:   []route.Share{{Space: "db", All: true}},
		},
		{
			name: "an alert that reaches a space twice is in its share once",
			root: route.Node{Space: "ops", Routes: []route.Node{
				{Space: "db", Matchers: matchers(t, `severity="warning"`), Continue: true},
				{Space: "db", Matchers: matchers(t, `team="db"`)},
			}},
			alerts: []template.KV{bare, warning, critical},
			want:   []route.Share{{Space: "ops", Indices: []int{0}}, {Space: "db", Indices: []int{1, 2}}},
		},
		{
			name: "a missing label has the empty value",
			root: route.Node{Space: "ops", Routes: []route.Node{
				{Space: "equal", Matchers: matchers(t, `team=""`), Continue: true},
				{Space: "unequal", Matchers: matchers(t, `team!="db"`), Continue: true},
				{Space: "pattern", Matchers: matchers(t, `team=~".+"`)},
			}},
			alerts: []template.KV{bare, critical},
			want: []route.Share{
				{Space: "equal", Indices: []int{0}},
				{Space: "unequal", Indices: []int{0}},
				{Space: "pattern", Indices: []int{1}},
			},
		},
		{
			name: "all matchers must match",
			root: route.Node{Space: "ops", Routes: []route.Node{
				{Space: "db", Matchers: matchers(t, `{team="db",severity="critical"}`)},
			}},
			alerts: []template.KV{critical, warning},
			want:   []route.Share{{Space: "ops", Indices: []int{1}}, {Space: "db", Indices: []int{0}}},
		},
		{
			name: "label names may be any UTF-8",
			root: route.Node{Space: "ops", Routes: []route.Node{
				{Space: "heat", Matchers: matchers(t, `"température °C"=~"4\\d"`)},
			}},
			alerts: []template.KV{{"température °C": "42"}},
			want:   []route.Share{{Space: "heat", All: true}},
		},
		{
			name: "receivers match without the quoting of the payload",
			root: route.Node{Space: "ops", Routes: []route.Node{
				{Space: "db", Receivers: receivers(`other`, `team \(x\.y\)`)},
			}},
			receiver: `team \(x\.y\)`,
			alerts:   []template.KV{bare},
			want:     []route.Share{{Space: "db", All: true}},
		},
		{
			name: "receivers match as a whole",
			root: route.Node{Space: "ops", Routes: []route.Node{
				{Space: "db", Receivers: receivers(`team|db`)},
			}},
			receiver: "team-db",
			alerts:   []template.KV{bare},
			want:     []route.Share{{Space: "ops", All: true}},
		},
		{
			name: "what is below a route whose receivers do not match is not tried",
			root: route.Node{Space: "ops", Routes: []route.Node{
				{Space: "db", Receivers: receivers(`team-db`), Routes: []route.Node{{Space: "dba"}}},
			}},
			receiver: "team-web",
			alerts:   []template.KV{bare},
			want:     []route.Share{{Space: "ops", All: true}},
		},
		{
			name: "spaces come in the order in which the tree names them first",
			root: route.Node{Space: "z", Routes: []route.Node{
				{Space: "y", Matchers: matchers(t, `severity="warning"`)},
				{Space: "x", Matchers: matchers(t, `severity="critical"`)},
			}},
			alerts: []template.KV{critical, warning, bare},
			want: []route.Share{
				{Space: "z", Indices: []int{2}},
				{Space: "y", Indices: []int{1}},
				{Space: "x", Indices: []int{0}},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := route.New(tt.root).Route(payload(tt.receiver, tt.alerts...))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Route() differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewDoesNotChangeTheNodesItIsGiven(t *testing.T) {
	root := route.Node{Space: "ops", Receivers: receivers("x"), Routes: []route.Node{{Matchers: matchers(t, `a="b"`)}}}
	route.New(root)
	if len(root.Receivers) != 1 || root.Routes[0].Space != "" {
		t.Errorf("New changed its argument: %+v", root)
	}
}

// The reference below follows Alertmanager's documentation word by word, on the
// nodes themselves and with no thought for speed.
func TestRouteEqualsTheReferenceOnRandomTrees(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		root := randomNode(t, random, 0)
		root.Space, root.Receivers, root.Matchers = "s0", nil, nil
		p := randomPayload(random)

		got := route.New(root).Route(p)

		want := map[string][]int{}
		for i := range p.Alerts {
			for _, space := range reference(root, "", alert.Unquote(p.Receiver), p.Alerts[i].Labels) {
				if !slices.Contains(want[space], i) {
					want[space] = append(want[space], i)
				}
			}
		}
		if diff := cmp.Diff(want, indices(t, got, len(p.Alerts))); diff != "" {
			t.Fatalf("Route() differs from the reference (-want +got):\n%s\ntree: %+v\nalerts: %+v", diff, root, p.Alerts)
		}
	}
}

func TestEveryAlertLandsAndOnlyWhereItsLabelsMatch(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		root := randomNode(t, random, 0)
		root.Space, root.Receivers, root.Matchers = "root", nil, nil
		// Give each node a space of its own, so that a space stands for the path
		// to its node.
		paths := map[string][]route.Node{}
		nameByPath(&root, nil, paths)
		p := randomPayload(random)

		landed := make([]bool, len(p.Alerts))
		for space, taken := range indices(t, route.New(root).Route(p), len(p.Alerts)) {
			for _, i := range taken {
				landed[i] = true
				for _, n := range paths[space] {
					if !takes(n, alert.Unquote(p.Receiver), p.Alerts[i].Labels) {
						t.Fatalf("alert %v landed in %s, whose route %+v it does not meet", p.Alerts[i].Labels, space, n)
					}
				}
			}
		}
		if i := slices.Index(landed, false); i >= 0 {
			t.Fatalf("alert %d of %v landed nowhere in %+v", i, p.Alerts, root)
		}
	}
}

func TestRouteToOneSpaceAllocatesNothingForEachAlert(t *testing.T) {
	tree := route.New(route.Node{Space: "ops", Routes: []route.Node{
		{Space: "db", Matchers: matchers(t, `team="db"`), Continue: true},
		{Space: "db", Matchers: matchers(t, `severity="page"`)},
	}})
	measure := func(n int) float64 {
		alerts := make([]template.KV, n)
		for i := range alerts {
			alerts[i] = template.KV{"team": "db", "severity": "page"}
		}
		p := payload("team", alerts...)
		return testing.AllocsPerRun(10, func() { tree.Route(p) })
	}
	if one, many := measure(1), measure(1_000); many > one {
		t.Errorf("1 alert takes %v allocations, 1,000 take %v, want as many", one, many)
	}
}

func BenchmarkRoute(b *testing.B) {
	root := route.Node{Space: "ops"}
	for i := range 49 {
		root.Routes = append(root.Routes, route.Node{
			Space:     fmt.Sprintf("team-%d", i),
			Receivers: receivers(fmt.Sprintf("team-%d", i), "all/.*"),
			Matchers:  matchers(b, fmt.Sprintf(`{team="team-%d",severity=~"critical|page"}`, i)),
		})
	}
	tree := route.New(root)
	for _, n := range []int{1, 10, 1_000} {
		b.Run(fmt.Sprintf("alerts=%d", n), func(b *testing.B) {
			alerts := make([]template.KV, n)
			for i := range alerts {
				alerts[i] = template.KV{"alertname": "Slow", "team": "team-40", "severity": "page"}
			}
			p := payload("all/teams", alerts...)
			b.ReportAllocs()
			for b.Loop() {
				tree.Route(p)
			}
		})
	}
}

func reference(n route.Node, parent, receiver string, labels template.KV) []string {
	if !takes(n, receiver, labels) {
		return nil
	}
	if n.Space != "" {
		parent = n.Space
	}
	var spaces []string
	for _, r := range n.Routes {
		below := reference(r, parent, receiver, labels)
		spaces = append(spaces, below...)
		if len(below) > 0 && !r.Continue {
			break
		}
	}
	if len(spaces) == 0 {
		return []string{parent}
	}
	return spaces
}

func takes(n route.Node, receiver string, labels template.KV) bool {
	met := len(n.Receivers) == 0
	for _, r := range n.Receivers {
		met = met || r.MatchString(receiver)
	}
	for _, m := range n.Matchers {
		met = met && m.Matches(labels[m.Name])
	}
	return met
}

func nameByPath(n *route.Node, above []route.Node, paths map[string][]route.Node) {
	n.Space = fmt.Sprintf("node-%d", len(paths))
	path := append(slices.Clone(above), *n)
	paths[n.Space] = path
	for i := range n.Routes {
		nameByPath(&n.Routes[i], path, paths)
	}
}

// indices gives the shares as a map and holds them to what Share promises.
func indices(t *testing.T, shares []route.Share, alerts int) map[string][]int {
	t.Helper()
	of := map[string][]int{}
	for _, s := range shares {
		if _, ok := of[s.Space]; ok {
			t.Fatalf("two shares for %s: %+v", s.Space, shares)
		}
		if s.All == (s.Indices != nil) {
			t.Fatalf("share %+v has neither or both of All and Indices", s)
		}
		if s.All {
			for i := range alerts {
				of[s.Space] = append(of[s.Space], i)
			}
			continue
		}
		if !slices.IsSorted(s.Indices) || len(s.Indices) == 0 || len(s.Indices) == alerts {
			t.Fatalf("share %+v of %d alerts: want some but not all, ascending", s, alerts)
		}
		of[s.Space] = s.Indices
	}
	return of
}

func randomNode(t *testing.T, random *rand.Rand, depth int) route.Node {
	t.Helper()
	n := route.Node{Continue: random.IntN(3) == 0}
	if random.IntN(4) > 0 {
		n.Space = fmt.Sprintf("s%d", random.IntN(4))
	}
	if random.IntN(3) == 0 {
		n.Receivers = receivers([]string{"a", "b.", "a|c"}[random.IntN(3)])
	}
	operators := []string{"=", "!=", "=~", "!~"}
	for range random.IntN(3) {
		n.Matchers = append(n.Matchers, matchers(t, fmt.Sprintf("l%d%s%q",
			random.IntN(2), operators[random.IntN(4)], []string{"", "x", "x|y", ".+"}[random.IntN(4)]))...)
	}
	if depth < 3 {
		for range random.IntN(4) {
			n.Routes = append(n.Routes, randomNode(t, random, depth+1))
		}
	}
	return n
}

func randomPayload(random *rand.Rand) *alert.Payload {
	alerts := make([]template.KV, 1+random.IntN(5))
	for i := range alerts {
		alerts[i] = template.KV{}
		for range random.IntN(3) {
			alerts[i][fmt.Sprintf("l%d", random.IntN(2))] = []string{"x", "y", "z"}[random.IntN(3)]
		}
	}
	return payload([]string{"a", `b\.`, "c", "d"}[random.IntN(4)], alerts...)
}

func payload(receiver string, alerts ...template.KV) *alert.Payload {
	p := &alert.Payload{Data: template.Data{Receiver: receiver}}
	for _, kv := range alerts {
		p.Alerts = append(p.Alerts, template.Alert{Labels: kv})
	}
	return p
}

func receivers(patterns ...string) []*regexp.Regexp {
	var rs []*regexp.Regexp
	for _, p := range patterns {
		rs = append(rs, regexp.MustCompile("^(?:"+p+")$"))
	}
	return rs
}

func matchers(tb testing.TB, text string) []*labels.Matcher {
	tb.Helper()
	ms, err := parse.Matchers(text)
	if err != nil {
		tb.Fatalf("parse %s: %v", text, err)
	}
	return ms
}
