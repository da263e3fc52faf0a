package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	promconfig "github.com/prometheus/common/config"
	"gopkg.in/yaml.v3"
)

// decoder fills the model from a document, finds every fault on the way, and
// remembers in which line each value was given.
type decoder struct {
	name     string // of the file, for faults
	dir      string // what relative paths are relative to
	defaults *Settings
	faults   []Fault
	faulty   map[string]bool // the paths of the faults
	lines    map[string]int  // by path, without values that are null
	texts    map[string]int  // where the first line of a literal text (|) stands, by path
	files    []string        // those that an http_config names
}

// place is where a value stands.
type place struct {
	path string
	line int
	// secret says that neither the value nor what is in it may be shown. Keys
	// in it are shown only where the model has them.
	secret bool
}

func (p place) key(name string, line int) place {
	if p.path != "" {
		name = p.path + "." + name
	}
	return place{path: name, line: line, secret: p.secret}
}

func (p place) item(i, line int) place {
	return place{path: p.path + "[" + strconv.Itoa(i) + "]", line: line, secret: p.secret}
}

func (d *decoder) fault(at place, format string, args ...any) {
	d.faulty[at.path] = true
	d.faults = append(d.faults, Fault{File: d.name, Line: at.line, Path: at.path, Message: fmt.Sprintf(format, args...)})
}

// decode reads n into v. A value that is wrong leaves v as it was. It never
// writes through a pointer or into a slice that v has: spaces share them with
// the defaults.
func (d *decoder) decode(n *yaml.Node, v reflect.Value, at place) {
	n = follow(n)
	if isNull(n) {
		// A section whose keys are all commented out is as good as none.
		if !isSection(v.Type()) {
			d.fault(at, "has no value")
		}
		return
	}
	d.lines[at.path] = at.line
	if d.decodeKnown(n, v, at) {
		return
	}
	switch v.Kind() {
	case reflect.String:
		if text, ok := d.text(n, at, aString); ok {
			v.SetString(text)
			d.checkFile(text, at)
			if n.Style&yaml.LiteralStyle != 0 {
				d.texts[at.path] = n.Line + 1
			}
		}
	case reflect.Bool:
		d.boolean(n, v, at)
	case reflect.Int:
		d.integer(n, v, at)
	case reflect.Float64:
		d.number(n, v, at)
	case reflect.Pointer:
		to := reflect.New(v.Type().Elem())
		d.decode(n, to.Elem(), at)
		v.Set(to)
	case reflect.Slice:
		d.list(n, v, at)
	case reflect.Map:
		d.table(n, v, at)
	case reflect.Struct:
		d.structure(n, v, at)
	case reflect.Interface:
		// The library's error quotes the value.
		if err := n.Decode(v.Addr().Interface()); err != nil {
			d.fault(at, "cannot be read")
		}
	default:
		panic("config: the model has a " + v.Type().String())
	}
}

// isSection tells what holds further values from single values.
func isSection(t reflect.Type) bool {
	switch t {
	case reflect.TypeFor[Card](), reflect.TypeFor[HTTPConfig]():
		return true
	case reflect.TypeFor[Secret](), reflect.TypeFor[regexp.Regexp](), reflect.TypeFor[promconfig.URL]():
		return false
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Slice, reflect.Map:
		return true
	case reflect.Pointer:
		return isSection(t.Elem())
	default:
		return false
	}
}

// aString is what most values are to be, templates among them.
const aString = "a string"

// text returns a scalar as it was written. Numbers and the like are as good as
// strings where a string is wanted: what was meant is beyond doubt.
func (d *decoder) text(n *yaml.Node, at place, want string) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		advice := ""
		if want == aString && n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle != 0 {
			advice = "; put a template in quotes"
		}
		d.fault(at, "want %s, not %s%s", want, kind(n), advice)
		return "", false
	}
	switch n.ShortTag() {
	case tagString, tagInt, tagFloat, tagBool, tagTimestamp, tagMerge:
		return n.Value, true
	case tagNull:
		d.fault(at, "has no value")
		return "", false
	default:
		d.fault(at, "want %s without a tag; put a value that begins with ! in quotes", want)
		return "", false
	}
}

func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
		return "a single value"
	}
}

func (d *decoder) boolean(n *yaml.Node, v reflect.Value, at place) {
	text, ok := d.text(n, at, "true or false")
	if !ok {
		return
	}
	if n.ShortTag() == tagBool {
		v.SetBool(strings.EqualFold(text, "true"))
		return
	}
	switch strings.ToLower(text) {
	case "yes", "no", "on", "off", "y", "n":
		d.fault(at, "want true or false; yes, no, on and off are strings")
	case "true", "false":
		d.fault(at, "want true or false, without quotes")
	default:
		d.fault(at, "want true or false")
	}
}

func (d *decoder) integer(n *yaml.Node, v reflect.Value, at place) {
	text, ok := d.text(n, at, "a whole number")
	if !ok {
		return
	}
	i, err := strconv.Atoi(text)
	if err != nil || n.ShortTag() != tagInt {
		d.fault(at, "want a whole number such as 3%s", unquote(n))
		return
	}
	v.SetInt(int64(i))
}

func (d *decoder) number(n *yaml.Node, v reflect.Value, at place) {
	text, ok := d.text(n, at, "a number")
	if !ok {
		return
	}
	tag := n.ShortTag()
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || tag != tagInt && tag != tagFloat {
		d.fault(at, "want a number such as 0.5%s", unquote(n))
		return
	}
	v.SetFloat(f)
}

// unquote is advice for a number that is a string only because of its quotes.
func unquote(n *yaml.Node) string {
	if _, err := strconv.ParseFloat(n.Value, 64); err == nil && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		return ", without quotes"
	}
	return ""
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, at place) {
	if n.Kind != yaml.SequenceNode {
		d.fault(at, "want a list, not %s", kind(n))
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		d.decode(item, list.Index(i), at.item(i, item.Line))
	}
	v.Set(list)
}

// table reads a mapping with keys that are not the model's.
func (d *decoder) table(n *yaml.Node, v reflect.Value, at place) {
	table := reflect.MakeMap(v.Type())
	for _, p := range d.pairs(n, at) {
		d.entry(p, table, at)
	}
	v.Set(table)
}

func (d *decoder) entry(p pair, table reflect.Value, at place) {
	value := reflect.New(table.Type().Elem()).Elem()
	below := at.key(p.key, p.line)
	if at.secret {
		below.path = at.path
	}
	d.decode(p.value, value, below)
	table.SetMapIndex(reflect.ValueOf(p.key), value)
}

// structure reads a mapping into the fields that have its keys for tags, in the
// order of the fields.
func (d *decoder) structure(n *yaml.Node, v reflect.Value, at place) {
	given := map[string]pair{}
	all := d.pairs(n, at)
	for _, p := range all {
		given[p.key] = p
	}
	known, rest := fields(v)
	for _, f := range known {
		if p, ok := given[f.name]; ok {
			d.decode(p.value, f.value, at.key(f.name, p.line))
			delete(given, f.name)
		}
	}
	if rest.IsValid() {
		rest.Set(reflect.MakeMap(rest.Type()))
	}
	for _, p := range all {
		if _, ok := given[p.key]; !ok {
			continue
		}
		if rest.IsValid() {
			d.entry(p, rest, at)
			continue
		}
		d.unknown(p, known, at)
	}
}

func (d *decoder) unknown(p pair, known []field, at place) {
	at.line = p.line
	called := showKey(p.key, at.secret)
	for _, f := range known {
		if near(p.key, f.name) {
			d.fault(at, "%s is unknown; did you mean %s?", called, f.name)
			return
		}
	}
	d.fault(at, "%s is unknown", called)
}

func (d *decoder) pairs(n *yaml.Node, at place) []pair {
	if n.Kind != yaml.MappingNode {
		d.fault(at, "want a mapping of keys to values, not %s", kind(n))
		return nil
	}
	all, problems := pairs(n, func(key string) string { return showKey(key, at.secret) })
	for _, p := range problems {
		d.fault(place{path: at.path, line: p.line}, "%s", p.message)
	}
	return all
}

// field is a value of the model with its key.
type field struct {
	name  string
	value reflect.Value
}

// fields returns what a struct's tags name, inlined structs included, and the
// inlined map that takes all other keys, if there is one.
func fields(v reflect.Value) (known []field, rest reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, options, tagged := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case !f.IsExported():
		case tagged && options == "inline" && f.Type.Kind() == reflect.Map:
			rest = v.Field(i)
		case tagged && options == "inline":
			inlined, _ := fields(v.Field(i))
			known = append(known, inlined...)
		case name != "" && name != "-":
			known = append(known, field{name, v.Field(i)})
		}
	}
	return known, rest
}

// showKey returns a key as a fault may call it. What does not look like a key
// may be a value that slipped: a URL with its colon, or half a password.
func showKey(key string, secret bool) string {
	word := strings.Trim(key, letters+digits+"_-") == ""
	if secret || !word || len(key) > 40 || key == "" {
		return "this key"
	}
	return "the key " + key
}

// near says whether a was meant to be b: they differ by two letters, or a third
// of b's, and by less than half of them.
func near(a, b string) bool {
	if len(a) > 40 {
		return false
	}
	distance := Distance(a, b)
	return distance <= max(2, len(b)/3) && 2*distance < len(b)
}

// Distance counts the letters to put in, take out or change for a to become b.
func Distance(a, b string) int {
	// row holds the distances of a's beginnings to the beginning of b so far.
	row := make([]int, len(a)+1)
	for i := range row {
		row[i] = i
	}
	for j := range len(b) {
		diagonal := row[0]
		row[0]++
		for i := range len(a) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[i+1]
			row[i+1] = min(change, row[i]+1, diagonal+1)
		}
	}
	return row[len(a)]
}

// join makes a path that the config names relative to the config's folder.
func (d *decoder) join(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(d.dir, path)
}
