package render

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/template/parse"
)

// Definition is a template that a user's file defines.
type Definition struct {
	Name string
	File string
	Line int // of the first of its text, from 1 on
}

// Unreached returns the templates of the user's files that no message of the
// space can use, in the order of their names: neither the space's strings nor
// what messages call besides them lead there. There are none where a template
// computes the name of one that it includes, since that may be any.
func (r *Renderer) Unreached() []Definition {
	set, strs := trees{}, r.where("")
	reached := []string{"chat.digest", "chat.reply", "chat.text", "chat.title"}
	for _, t := range r.pool.base.Templates() {
		set[t.Name()] = t.Tree
		if strings.HasPrefix(t.Name(), strs) {
			reached = append(reached, t.Name())
		}
	}
	for i := 0; i < len(reached); i++ {
		tree, computed := set[reached[i]], false
		if tree == nil {
			continue
		}
		walk(tree.Root, func(n parse.Node) {
			name, ok := called(n)
			if ok && !slices.Contains(reached, name) {
				reached = append(reached, name)
			}
			computed = computed || !ok && includes(n)
		})
		if computed {
			return nil
		}
	}
	var found []Definition
	for _, name := range slices.Sorted(maps.Keys(set)) {
		tree := set[name]
		if own := r.builtin.base.Lookup(name); own != nil && own.Tree == tree {
			continue
		}
		// What stands outside of all definitions is mostly nothing.
		if slices.Contains(reached, name) || name == lastElement(tree.ParseName) {
			continue
		}
		place, _ := tree.ErrorContext(tree.Root)
		d := Definition{Name: name, File: tree.ParseName}
		if parts := strings.Split(place, ":"); len(parts) >= 3 {
			d.Line, _ = strconv.Atoi(parts[len(parts)-2])
		}
		found = append(found, d)
	}
	return found
}

// includes reports whether a node calls include or hands it on.
func includes(n parse.Node) bool {
	c, ok := n.(*parse.CommandNode)
	return ok && slices.ContainsFunc(c.Args, func(arg parse.Node) bool {
		f, ok := arg.(*parse.IdentifierNode)
		return ok && f.Ident == "include"
	})
}

// labelMaps are the fields that hold labels or annotations.
var labelMaps = []string{"Labels", "Annotations", "GroupLabels", "CommonLabels", "CommonAnnotations", "RouteLabels"}
