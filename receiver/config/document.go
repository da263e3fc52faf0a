package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// What a document may be at most.
const (
	// maxCost bounds a document with its aliases expanded: see [measure]. A
	// text of n bytes without aliases costs less than 2n.
	maxCost = 32 << 20
	// maxDepth bounds the nesting, which recursion follows.
	maxDepth = 200
)

// A problem is a place in a document where it cannot be read.
type problem struct {
	line    int // 0 where it is not known
	message string
}

// errEmpty is the problem of a text without a document.
var errEmpty = &problem{line: 1, message: "is empty"}

// Error returns the message behind its line.
func (p *problem) Error() string {
	if p.line == 0 {
		return p.message
	}
	return fmt.Sprintf("line %d: %s", p.line, p.message)
}

// Line returns the line, 0 where it is not known.
func (p *problem) Line() int { return p.line }

// parseDocument reads the only document of a text. What it returns can be walked
// without care: it is of bounded depth and size, aliases included. The error
// is always a [problem].
func parseDocument(text []byte) (*yaml.Node, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if !utf8.Valid(text) {
		return nil, &problem{line: firstInvalid(text), message: "is not valid UTF-8"}
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	document, err := next(d, text)
	if errors.Is(err, io.EOF) {
		return nil, errEmpty
	}
	if err != nil {
		return nil, err
	}
	second, err := next(d, text)
	if err == nil {
		return nil, &problem{line: second.Line, message: "a second document begins here; want one"}
	}
	if !errors.Is(err, io.EOF) {
		return nil, err
	}
	root := document.Content[0]
	if err := measure(root); err != nil {
		return nil, err
	}
	return root, nil
}

// next returns the next document, io.EOF after the last one.
func next(d *yaml.Decoder, text []byte) (document *yaml.Node, err error) {
	// The library panics where its own bookkeeping fails it, which strange
	// comments have been known to bring about.
	defer func() {
		if recover() != nil {
			document, err = nil, &problem{message: "cannot be read as YAML"}
		}
	}()
	var n yaml.Node
	if err := d.Decode(&n); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		return nil, explain(err, text)
	}
	if n.Kind != yaml.DocumentNode || len(n.Content) != 1 {
		return nil, &problem{message: "cannot be read as YAML"}
	}
	return &n, nil
}

// explain puts the library's words into ours: with the line apart, without the
// value that some of them quote, and with advice for the usual mistakes.
func explain(err error, text []byte) *problem {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	p := problem{line: 1} // the library leaves it out where it is the first
	if rest, ok := strings.CutPrefix(message, "line "); ok {
		if number, rest, ok := strings.Cut(rest, ": "); ok {
			if line, err := strconv.Atoi(number); err == nil {
				p.line, message = line, rest
			}
		}
	}
	switch {
	case strings.HasPrefix(message, "unknown anchor"):
		p.line = lineOfAnchor(text, message)
		message = "unknown anchor; put a value that begins with * in quotes"
	case strings.Contains(message, "cannot start any token"):
		message += "; do not indent with tabs, and put a value that begins with @, ` or % in quotes"
	default:
		// Where it gives up is often far behind what led it astray.
		if line := bareTemplate(text); line > 0 {
			message += fmt.Sprintf("; the template in line %d needs quotes", line)
		}
	}
	p.message = message
	return &p
}

// lineOfAnchor finds what the library names only in quotes.
func lineOfAnchor(text []byte, message string) int {
	_, rest, _ := strings.Cut(message, "'")
	name, _, _ := strings.Cut(rest, "'")
	before, _, ok := bytes.Cut(text, []byte("*"+name))
	if !ok {
		return 0
	}
	return 1 + bytes.Count(before, []byte("\n"))
}

// bareTemplate returns the first line with a value that begins as a template
// without quotes, which YAML takes for a mapping; 0 where there is none.
func bareTemplate(text []byte) int {
	number := 0
	for line := range bytes.Lines(text) {
		number++
		_, value, ok := bytes.Cut(line, []byte(": "))
		if ok && bytes.HasPrefix(bytes.TrimSpace(value), []byte("{{")) {
			return number
		}
	}
	return 0
}

func firstInvalid(text []byte) int {
	line := 1
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 {
			return line
		}
		if r == '\n' {
			line++
		}
		text = text[size:]
	}
	return line
}

// measure refuses what would take too long to walk: documents nested too deeply
// and those whose aliases expand to far more than the text, or to themselves.
func measure(root *yaml.Node) error {
	m := measurer{known: map[*yaml.Node]size{}}
	s, err := m.size(root)
	if err != nil {
		return err
	}
	if s.cost > maxCost {
		return &problem{line: root.Line, message: "its aliases expand to too much"}
	}
	if s.depth > maxDepth {
		return &problem{line: root.Line, message: fmt.Sprintf("is nested more than %d deep", maxDepth)}
	}
	return nil
}

// size is what a node comes to with its aliases expanded: its values and
// strings counted together, and its levels.
type size struct{ cost, depth int }

type measurer struct {
	known map[*yaml.Node]size // a depth of 0 marks what is being measured
}

func (m *measurer) size(n *yaml.Node) (size, error) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	s, ok := m.known[n]
	if ok && s.depth == 0 {
		return size{}, &problem{line: n.Line, message: "an anchor contains itself"}
	}
	if ok {
		return s, nil
	}
	m.known[n] = size{}
	s = size{cost: 1 + len(n.Value)}
	for _, child := range n.Content {
		of, err := m.size(child)
		if err != nil {
			return size{}, err
		}
		s.cost = min(s.cost+of.cost, maxCost+1)
		s.depth = max(s.depth, of.depth)
	}
	s.depth++
	m.known[n] = s
	return s, nil
}

// follow returns the node that an alias stands for, and any other as it is.
func follow(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// The tags of YAML's own schema, in their short form.
const (
	tagString    = "!!str"
	tagInt       = "!!int"
	tagFloat     = "!!float"
	tagBool      = "!!bool"
	tagNull      = "!!null"
	tagTimestamp = "!!timestamp"
	tagMerge     = "!!merge"
	tagMap       = "!!map"
	tagSequence  = "!!seq"
)

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == tagNull
}

// A pair is one key of a mapping with its value.
type pair struct {
	key   string
	line  int
	value *yaml.Node
}

// pairs returns a mapping's keys in their order, merged ones (<<) after its own,
// and what is wrong with them. name says how a fault may call a key.
func pairs(n *yaml.Node, name func(key string) string) (all []pair, problems []problem) {
	seen := map[string]int{}
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		written, value := n.Content[i], n.Content[i+1]
		key := follow(written)
		switch first, ok := seen[key.Value]; {
		case key.Kind == yaml.ScalarNode && key.ShortTag() == tagMerge:
			merges = append(merges, value)
		case key.Kind != yaml.ScalarNode || key.ShortTag() != tagString:
			message := "want a word for a key"
			if n.Style&yaml.FlowStyle != 0 && key.Kind == yaml.MappingNode {
				message = "want a word for a key; put a template in quotes"
			}
			problems = append(problems, problem{written.Line, message})
		case ok:
			problems = append(problems, problem{written.Line, fmt.Sprintf("%s is there already, in line %d", name(key.Value), first)})
		default:
			seen[key.Value] = written.Line
			all = append(all, pair{key.Value, written.Line, value})
		}
	}
	for _, merge := range merges {
		from, bad := merged(merge, name)
		problems = append(problems, bad...)
		for _, p := range from {
			if _, ok := seen[p.key]; !ok {
				seen[p.key] = p.line
				all = append(all, p)
			}
		}
	}
	return all, problems
}

// merged returns what a merge key brings: the keys of a mapping, or of several
// in a list, of which an earlier one goes before a later one.
func merged(n *yaml.Node, name func(string) string) (all []pair, problems []problem) {
	mappings := []*yaml.Node{n}
	if list := follow(n); list.Kind == yaml.SequenceNode {
		mappings = list.Content
	}
	for _, m := range mappings {
		mapping := follow(m)
		if mapping.Kind != yaml.MappingNode {
			return nil, []problem{{m.Line, "want a mapping to merge, or a list of them"}}
		}
		from, bad := pairs(mapping, name)
		all, problems = append(all, from...), append(problems, bad...)
	}
	return all, problems
}
