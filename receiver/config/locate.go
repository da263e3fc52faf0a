package config

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// LineOf returns the line in which the value at a path stands in a document
// that [DecodeYAML] takes, such as "cardsV2[0].card.header". Where the document
// has no such value, it is the line of the nearest one around it; 0 where the
// document cannot be read. A name is found in both of the forms that Google's
// APIs take, cardId and card_id.
func LineOf(doc []byte, path string) int {
	steps := stepsOf(path)
	if json.Valid(doc) {
		l := jsonLocator{doc: doc, decoder: json.NewDecoder(bytes.NewReader(doc))}
		l.decoder.UseNumber()
		l.find(steps)
		return l.line
	}
	root, err := parseDocument(doc)
	if err != nil {
		return 0
	}
	return lineOfNode(root, steps)
}

// stepsOf takes a path apart: names, and indices as numbers.
func stepsOf(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
}

// sameName reports whether two names of a field are the same in Google's eyes.
func sameName(a, b string) bool {
	plain := func(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }
	return a == b || plain(a) == plain(b)
}

func lineOfNode(root *yaml.Node, steps []string) int {
	line, n := root.Line, follow(root)
	for _, step := range steps {
		var next *yaml.Node
		switch n.Kind {
		case yaml.MappingNode:
			all, _ := pairs(n, strconv.Quote)
			for _, p := range all {
				if sameName(p.key, step) {
					line, next = p.line, p.value
				}
			}
		case yaml.SequenceNode:
			if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(n.Content) {
				next = n.Content[i]
				line = next.Line
			}
		case yaml.DocumentNode, yaml.ScalarNode, yaml.AliasNode:
		}
		if next == nil {
			return line
		}
		n = follow(next)
	}
	return line
}

// jsonLocator walks valid JSON toward a value.
type jsonLocator struct {
	doc     []byte
	decoder *json.Decoder
	line    int // of the deepest value found
}

func (l *jsonLocator) here() {
	l.line = 1 + bytes.Count(l.doc[:l.decoder.InputOffset()], []byte("\n"))
}

// find reads the value that comes next, as far as it leads to the steps.
func (l *jsonLocator) find(steps []string) {
	token, err := l.decoder.Token()
	if err != nil {
		return
	}
	l.here()
	if len(steps) == 0 {
		return
	}
	for i := 0; l.decoder.More(); i++ {
		name := strconv.Itoa(i)
		if token == json.Delim('{') {
			key, err := l.decoder.Token()
			if err != nil {
				return
			}
			name, _ = key.(string)
		}
		if sameName(name, steps[0]) {
			if len(steps) == 1 && token == json.Delim('{') {
				l.here()
				return
			}
			l.find(steps[1:])
			return
		}
		var skipped json.RawMessage
		if err := l.decoder.Decode(&skipped); err != nil {
			return
		}
	}
}
