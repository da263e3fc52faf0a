package render

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
	"unicode/utf8"

	htmltemplate "html/template"

	amtemplate "github.com/prometheus/alertmanager/template"

	"alertchat/templates"
)

// trees are parsed templates by name. Once they are guarded they never change.
type trees map[string]*parse.Tree

// source is a text that defines templates.
type source struct {
	where string // for faults
	name  string // under which what stands outside of all definitions is known
	text  string
}

// parse parses a text as one of the source.
func (s source) parse(text string) (trees, error) {
	found := trees{}
	_, err := parse.New(s.where).Parse(text, "", "", found, functionNames())
	return found, err
}

// parseSource parses one text. Templates that it defines replace those of set,
// empty ones too; that is why this does not leave it to text/template, which
// keeps the old one then.
func (set trees) parseSource(s source) error {
	if !utf8.ValidString(s.text) {
		return &Fault{Where: s.where, Err: errors.New("not UTF-8")}
	}
	found, err := s.parse(s.text)
	if err != nil {
		return s.fault(err)
	}
	for name, tree := range found {
		if name == s.where {
			tree.Name = s.name
		}
		set[tree.Name] = tree
	}
	return nil
}

// Functions returns the names of all functions that a template can call, the
// language's own too, in order.
func Functions() []string { return slices.Sorted(maps.Keys(functionNames())) }

// functionNames returns the names of all functions, the language's own too.
func functionNames() map[string]any {
	names := map[string]any{}
	for _, name := range []string{
		"and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or",
		"print", "printf", "println", "slice", "urlquery",
	} {
		names[name] = true
	}
	for name := range new(executor).functions() {
		names[name] = true
	}
	delete(names, escapeCall)
	return names
}

// builtins parses Alertmanager's own templates and ours.
func builtins() (trees, error) {
	set := trees{}
	var am *template.Template
	if _, err := amtemplate.FromGlobs(nil, func(t *template.Template, _ *htmltemplate.Template) { am = t }); err != nil {
		return nil, fmt.Errorf("alertmanager's templates: %w", err)
	}
	for _, t := range am.Templates() {
		if t.Tree != nil {
			tree := t.Copy()
			tree.ParseName = "alertmanager.tmpl"
			set[t.Name()] = tree
		}
	}
	names, err := fs.Glob(templates.FS, "*.tmpl")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := fs.ReadFile(templates.FS, name)
		if err != nil {
			return nil, err
		}
		if err := set.parseSource(source{where: name, name: name, text: string(text)}); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// unknown returns the faults of calls, in the templates with the given texts,
// to templates that do not exist. What one of the broken texts seems to define is
// no fault of its own.
func (set trees) unknown(sources, broken []source) []error {
	var faults []*Fault
	for _, s := range sources {
		for _, tree := range set {
			if tree.ParseName != s.where {
				continue
			}
			walk(tree.Root, func(n parse.Node) {
				name, ok := called(n)
				if ok && set[name] == nil && !names(broken, name) {
					line, column := lineColumn(s.text, int(n.Position()))
					faults = append(faults, &Fault{Where: s.where, Line: line, Column: column, Err: fmt.Errorf("no template is called %q; mend the name, or define it in a file under templates", name)})
				}
			})
		}
	}
	slices.SortStableFunc(faults, func(a, b *Fault) int {
		return cmp.Or(cmp.Compare(a.Where, b.Where), a.Line-b.Line, a.Column-b.Column)
	})
	errs := make([]error, len(faults))
	for i, f := range faults {
		errs[i] = f
	}
	return errs
}

// names reports whether a text has a name in quotes.
func names(texts []source, name string) bool {
	return slices.ContainsFunc(texts, func(s source) bool { return strings.Contains(s.text, strconv.Quote(name)) })
}

// called returns the name of the template that a node calls: as an action, or
// by include with a literal.
func called(n parse.Node) (name string, ok bool) {
	switch n := n.(type) {
	case *parse.TemplateNode:
		return n.Name, true
	case *parse.CommandNode:
		if len(n.Args) < 2 {
			return "", false
		}
		f, isFunc := n.Args[0].(*parse.IdentifierNode)
		literal, isString := n.Args[1].(*parse.StringNode)
		if isFunc && isString && f.Ident == "include" {
			return literal.Text, true
		}
	}
	return "", false
}

// words returns the names of labels and annotations that a tree asks for, as
// far as it can be seen, and other words.
func words(tree *parse.Tree) []string {
	var found []string
	fields := func(names []string) {
		for i := 1; i < len(names); i++ {
			if slices.Contains(labelMaps, names[i-1]) {
				found = append(found, names[i])
			}
		}
	}
	walk(tree.Root, func(n parse.Node) {
		c, ok := n.(*parse.CommandNode)
		if !ok {
			return
		}
		for _, arg := range c.Args {
			switch arg := arg.(type) {
			case *parse.FieldNode:
				fields(arg.Ident)
			case *parse.VariableNode:
				fields(arg.Ident)
			case *parse.ChainNode:
				fields(arg.Field)
			case *parse.StringNode: // index .Labels "name"
				if name := arg.Text; name != "" && len(name) <= maxWord && strings.Trim(name, wordLetters) == "" {
					found = append(found, name)
				}
			}
		}
	})
	return found
}

// What a string in a template may be made of that is perhaps a label's name.
const (
	maxWord     = 64
	wordLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
)

// walk calls visit for each node of a tree that can hold a call.
func walk(n parse.Node, visit func(parse.Node)) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return
		}
		for _, child := range n.Nodes {
			walk(child, visit)
		}
	case *parse.ActionNode:
		walk(n.Pipe, visit)
	case *parse.IfNode:
		walkBranch(&n.BranchNode, visit)
	case *parse.WithNode:
		walkBranch(&n.BranchNode, visit)
	case *parse.RangeNode:
		walkBranch(&n.BranchNode, visit)
	case *parse.TemplateNode:
		visit(n)
		walk(n.Pipe, visit)
	case *parse.PipeNode:
		if n == nil {
			return
		}
		for _, c := range n.Cmds {
			walk(c, visit)
		}
	case *parse.CommandNode:
		visit(n)
		for _, a := range n.Args {
			walk(a, visit)
		}
	case *parse.ChainNode:
		walk(n.Node, visit)
	}
}

func walkBranch(n *parse.BranchNode, visit func(parse.Node)) {
	walk(n.Pipe, visit)
	walk(n.List, visit)
	walk(n.ElseList, visit)
}

// escapeCall is what guard puts last into each pipeline that puts something
// out. No template can write it itself: parsing does not know it.
const escapeCall = "_escape"
