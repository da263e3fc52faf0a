package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// maxDepth is how deep a document may be nested: protocol buffers, into which
// Chat decodes a message, stop at 100.
const maxDepth = 100

// kind is the type of a JSON value.
type kind int

const (
	null kind = iota
	boolean
	number
	text
	list
	object
)

// String returns the kind as it is called in a violation.
func (k kind) String() string {
	switch k {
	case null:
		return "null"
	case boolean:
		return "true or false"
	case number:
		return "a number"
	case text:
		return "a string"
	case list:
		return "a list"
	case object:
		return "an object"
	default:
		return "an unknown kind"
	}
}

// node is a JSON value that remembers the order of its members.
type node struct {
	kind    kind
	text    string // of a string; the literal of a number; "true" or "false"
	items   []*node
	members []member
}

// member is one member of an object.
type member struct {
	name  string
	value *node
}

// get returns the member of that name, or nil.
func (n *node) get(name string) *node {
	if n == nil {
		return nil
	}
	for i := range n.members {
		if n.members[i].name == name {
			return n.members[i].value
		}
	}
	return nil
}

// list returns the items of the member of that name, if it is a list.
func (n *node) list(name string) []*node {
	if v := n.get(name); v != nil {
		return v.items
	}
	return nil
}

// string returns the member of that name, or "" where it is no string.
func (n *node) string(name string) string {
	if v := n.get(name); v != nil && v.kind == text {
		return v.text
	}
	return ""
}

// errUTF8 says that a document is not UTF-8: encoding/json would replace the
// wrong bytes in silence.
var errUTF8 = errors.New("not UTF-8")

// parse reads one JSON document and nothing behind it.
func parse(body []byte) (*node, error) {
	if !utf8.Valid(body) {
		return nil, errUTF8
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	n, err := parseValue(d, maxDepth)
	if err != nil {
		return nil, syntaxError(d, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("at byte %d: something follows the message", d.InputOffset())
	}
	return n, nil
}

func syntaxError(d *json.Decoder, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the document ends too early")
	}
	return fmt.Errorf("at byte %d: %w", d.InputOffset(), err)
}

// parseValue reads one value, at most depth levels deep.
func parseValue(d *json.Decoder, depth int) (*node, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if depth == 0 {
			return nil, fmt.Errorf("nested more than %d levels deep", maxDepth)
		}
		if t == '[' {
			return parseList(d, depth-1)
		}
		return parseObject(d, depth-1)
	case string:
		return &node{kind: text, text: t}, nil
	case json.Number:
		return &node{kind: number, text: t.String()}, nil
	case bool:
		return &node{kind: boolean, text: fmt.Sprint(t)}, nil
	default:
		return &node{kind: null}, nil
	}
}

func parseList(d *json.Decoder, depth int) (*node, error) {
	n := &node{kind: list}
	for d.More() {
		item, err := parseValue(d, depth)
		if err != nil {
			return nil, err
		}
		n.items = append(n.items, item)
	}
	_, err := d.Token()
	return n, err
}

func parseObject(d *json.Decoder, depth int) (*node, error) {
	n := &node{kind: object}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if !ok {
			return nil, errors.New("a member without a name")
		}
		value, err := parseValue(d, depth)
		if err != nil {
			return nil, err
		}
		n.members = append(n.members, member{name, value})
	}
	_, err := d.Token()
	return n, err
}

// float returns a number, which may stand in a string.
func (n *node) float() (float64, bool) {
	if n.kind != number && n.kind != text {
		return 0, false
	}
	v, err := strconv.ParseFloat(n.text, 64)
	return v, err == nil
}
