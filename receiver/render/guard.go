package render

import "text/template/parse"

// What guard puts between the nodes of a template: texts that the output takes
// as marks. A call of a function would cost more than most of what it guards.
const (
	markPrefix = "\xff\x00" // no UTF-8, so that no template and no value holds it
	markStep   = 's'        // first in each turn of a loop
	markEnter  = 'e'        // before the call of a template
	markLeave  = 'l'        // after it
)

// guard rewrites a tree, once, so that what it puts out is escaped and so that
// nothing in it can run for ever: see [executor].
func guard(tree *parse.Tree) { guardList(tree, tree.Root) }

func guardList(tree *parse.Tree, list *parse.ListNode) {
	if list == nil {
		return
	}
	nodes := make([]parse.Node, 0, len(list.Nodes))
	for _, n := range list.Nodes {
		switch n := n.(type) {
		case *parse.ActionNode:
			if len(n.Pipe.Decl) == 0 {
				n.Pipe.Cmds = append(n.Pipe.Cmds, command(escapeCall, n.Pos))
			}
		case *parse.IfNode:
			guardList(tree, n.List)
			guardList(tree, n.ElseList)
		case *parse.WithNode:
			guardList(tree, n.List)
			guardList(tree, n.ElseList)
		case *parse.RangeNode:
			guardList(tree, n.List)
			guardList(tree, n.ElseList)
			n.List.Nodes = append([]parse.Node{mark(tree, n, markStep)}, n.List.Nodes...)
		case *parse.TemplateNode:
			nodes = append(nodes, mark(tree, n, markEnter), n, mark(tree, n, markLeave))
			continue
		}
		nodes = append(nodes, n)
	}
	list.Nodes = nodes
}

// mark returns a mark that knows the place of the node that it stands for.
func mark(tree *parse.Tree, n parse.Node, kind byte) *parse.TextNode {
	place, _ := tree.ErrorContext(n)
	return &parse.TextNode{NodeType: parse.NodeText, Pos: n.Position(), Text: []byte(markPrefix + string(kind) + place)}
}

func command(name string, pos parse.Pos) *parse.CommandNode {
	return &parse.CommandNode{
		NodeType: parse.NodeCommand, Pos: pos,
		Args: []parse.Node{parse.NewIdentifier(name).SetPos(pos)},
	}
}
