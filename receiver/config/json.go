package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"strconv"

	"gopkg.in/yaml.v3"
)

// maxDocument is the size of a document for DecodeYAML. A Chat message is a
// thirtieth of it.
const maxDocument = 1 << 20

// DecodeYAML turns a document in YAML or JSON into JSON, for templates that
// render a whole message. It is strict: one document, keys that are strings and
// stand only once, no tags of its own. Numbers keep their digits, timestamps
// are strings, and keys stay in their order. Its errors name the line, and have
// a method Line() int that returns it, 0 where it is not known.
func DecodeYAML(doc []byte) ([]byte, error) {
	if len(doc) > maxDocument {
		return nil, &problem{message: fmt.Sprintf("is larger than %d KiB", maxDocument>>10)}
	}
	// JSON is read as such: YAML knows no surrogate pairs, and fewer long keys.
	if json.Valid(doc) {
		return compact(doc)
	}
	root, err := parseDocument(doc)
	if err != nil {
		return nil, err
	}
	w := writer{limit: 2 * maxDocument}
	if err := w.value(root); err != nil {
		return nil, err
	}
	return w.out.Bytes(), nil
}

// compact returns JSON without needless space, after a look for keys that stand
// twice.
func compact(doc []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber() // one that no float64 holds is a number all the same
	if err := uniqueKeys(d, doc, 0); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Compact(&out, doc); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// uniqueKeys reads one value of valid JSON, which is somewhere in doc.
func uniqueKeys(d *json.Decoder, doc []byte, depth int) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	if depth >= maxDepth {
		return &problem{message: fmt.Sprintf("is nested more than %d deep", maxDepth)}
	}
	seen := map[string]bool{}
	for d.More() && (token == json.Delim('{') || token == json.Delim('[')) {
		if token == json.Delim('{') {
			key, err := d.Token()
			if err != nil {
				return err
			}
			name, _ := key.(string)
			if seen[name] {
				line := 1 + bytes.Count(doc[:d.InputOffset()], []byte("\n"))
				return &problem{line: line, message: fmt.Sprintf("the key %q is there twice", name)}
			}
			seen[name] = true
		}
		if err := uniqueKeys(d, doc, depth+1); err != nil {
			return err
		}
	}
	if token == json.Delim('{') || token == json.Delim('[') {
		_, err = d.Token()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// writer writes nodes as JSON.
type writer struct {
	out   bytes.Buffer
	limit int // of the bytes to write: aliases multiply
}

func (w *writer) value(n *yaml.Node) error {
	n = follow(n)
	if w.out.Len() > w.limit {
		return &problem{line: n.Line, message: "its aliases expand to too much"}
	}
	switch n.Kind {
	case yaml.MappingNode:
		return w.mapping(n)
	case yaml.SequenceNode:
		return w.list(n)
	default:
		return w.scalar(n)
	}
}

func (w *writer) mapping(n *yaml.Node) error {
	if n.ShortTag() != tagMap {
		return &problem{line: n.Line, message: "has a tag that is not known here"}
	}
	all, problems := pairs(n, func(key string) string { return "the key " + strconv.Quote(key) })
	if len(problems) > 0 {
		return &problems[0]
	}
	w.out.WriteByte('{')
	for i, p := range all {
		if i > 0 {
			w.out.WriteByte(',')
		}
		if err := w.text(p.key); err != nil {
			return err
		}
		w.out.WriteByte(':')
		if err := w.value(p.value); err != nil {
			return err
		}
	}
	w.out.WriteByte('}')
	return nil
}

func (w *writer) list(n *yaml.Node) error {
	if n.ShortTag() != tagSequence {
		return &problem{line: n.Line, message: "has a tag that is not known here"}
	}
	w.out.WriteByte('[')
	for i, item := range n.Content {
		if i > 0 {
			w.out.WriteByte(',')
		}
		if err := w.value(item); err != nil {
			return err
		}
	}
	w.out.WriteByte(']')
	return nil
}

func (w *writer) scalar(n *yaml.Node) error {
	switch n.ShortTag() {
	case tagNull:
		w.out.WriteString("null")
	case tagBool:
		var b bool
		if err := n.Decode(&b); err != nil {
			return &problem{line: n.Line, message: "want true or false"}
		}
		w.out.WriteString(strconv.FormatBool(b))
	case tagInt, tagFloat:
		return w.number(n)
	case tagString, tagTimestamp, tagMerge:
		return w.text(n.Value)
	default:
		return &problem{line: n.Line, message: "has a tag that is not known here"}
	}
	return nil
}

// number keeps the digits where JSON can have them, and else the value.
func (w *writer) number(n *yaml.Node) error {
	if json.Valid([]byte(n.Value)) && (n.Value[0] == '-' || n.Value[0] >= '0' && n.Value[0] <= '9') {
		w.out.WriteString(n.Value)
		return nil
	}
	if i, ok := new(big.Int).SetString(n.Value, 0); ok {
		w.out.WriteString(i.String())
		return nil
	}
	var f float64
	if err := n.Decode(&f); err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return &problem{line: n.Line, message: "want a number that JSON has"}
	}
	w.out.WriteString(strconv.FormatFloat(f, 'g', -1, 64))
	return nil
}

func (w *writer) text(s string) error {
	e := json.NewEncoder(&w.out)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return err
	}
	w.out.Truncate(w.out.Len() - 1) // the encoder's line feed
	return nil
}
