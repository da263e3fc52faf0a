package chat

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of a check, so that no input makes it slow.
const (
	maxChecked    = 8 * MaxMessageBytes // a longer body is not looked into
	maxViolations = 100
)

// Door is the way by which a message reaches Chat: what it may hold depends on it.
type Door int

// The doors of Chat.
const (
	ByWebhook Door = iota // an incoming webhook
	ByApp                 // the REST API, as a Chat app
)

// String returns the door as a sentence calls it.
func (d Door) String() string {
	if d == ByApp {
		return "a Chat app"
	}
	return "an incoming webhook"
}

// Markup returns what a message's markupSyntax must be for Chat's own syntax of
// text, which has been the only one for long. An app can be set to take Markdown
// where a message says nothing; of webhooks that is not known, and they say
// nothing.
func (d Door) Markup() string {
	if d == ByApp {
		return "MARKUP_SYNTAX_CHAT"
	}
	return ""
}

// Kind says how bad a violation is.
type Kind int

// The kinds of violations.
const (
	// Rejected: Chat answers 400, or documents that it does not take it.
	Rejected Kind = iota
	// Remark: Chat takes the message but drops a part of it or shows it
	// wrongly, the whole message blank at worst.
	Remark
)

// Breach is how a violation breaks the schema.
type Breach int

// The breaches of the schema.
const (
	NoBreach     Breach = iota // the schema takes it
	NoMessage                  // no JSON, or no object
	UnknownField               // no such field
	SetTwice                   // a field under both of its names, or twice
	WrongType                  // a value of another type
	WrongValue                 // a value that the field does not know
)

// Violation is one fault of a message.
type Violation struct {
	// Path leads to the fault, "cardsV2[0].card.sections[1].widgets[0]". It is
	// empty for the message as a whole.
	Path string
	// Message says what is wrong, and what would be right, in half a sentence
	// that stands behind the path.
	Message string
	Kind    Kind
	// Breach says how it breaks the schema itself. What breaks only the rules
	// beside the schema can be mended.
	Breach Breach
	// Member is the name of an [UnknownField]: the path ends at the object that
	// holds it.
	Member string
	// Answer is the sentence with which Chat itself refuses this, where one is
	// known; for those who play Chat.
	Answer string
}

// String returns the path and the message.
func (v Violation) String() string {
	if v.Path == "" {
		return v.Message
	}
	return v.Path + ": " + v.Message
}

// Field returns the path as Chat's answers have it, "message.cards_v2[0].card".
func (v Violation) Field() string {
	if v.Path == "" {
		return "message"
	}
	return "message." + snakeCase(v.Path)
}

// Check returns what is wrong with a message as JSON, in the order of the
// document: against the published schema, and against what Google documents
// beside it. Like Chat it takes each field by both of its names, cardId and
// card_id; paths have the first. It takes any input, and reports at most 100
// violations.
func Check(body []byte, door Door) []Violation {
	c := &checker{door: door}
	if len(body) > MaxMessageBytes {
		c.reject("", "the message has %d bytes; Chat takes at most %d", len(body), MaxMessageBytes)
	}
	if len(body) > maxChecked {
		return c.found
	}
	message, err := parse(body)
	switch {
	case err != nil:
		c.breach(NoMessage, "Invalid JSON payload received. "+err.Error(), "not a JSON document: %v", err)
	case message.kind != object:
		c.breach(NoMessage, "Invalid JSON payload received. Unknown name \"\": Root element must be a message.",
			"a message is an object, not %v", message.kind)
	default:
		c.object(schema()["Message"], message)
	}
	return c.found
}

// checker walks a message and collects what it finds.
type checker struct {
	door  Door
	path  []step
	found []Violation
}

// step is one part of a path: a name, or an index where the name is empty.
type step struct {
	name  string
	index int
}

func (c *checker) push(name string, index int) { c.path = append(c.path, step{name, index}) }
func (c *checker) pop()                        { c.path = c.path[:len(c.path)-1] }
func (c *checker) full() bool                  { return len(c.found) >= maxViolations }

// where returns the path to here.
func (c *checker) where() string {
	var b strings.Builder
	for _, s := range c.path {
		switch {
		case s.name == "":
			fmt.Fprintf(&b, "[%d]", s.index)
		case b.Len() == 0:
			b.WriteString(s.name)
		default:
			b.WriteString("." + s.name)
		}
	}
	return b.String()
}

// reject and remark report a violation here, or of the member of that name.
func (c *checker) reject(name, format string, args ...any) { c.add(name, Rejected, "", format, args) }
func (c *checker) remark(name, format string, args ...any) { c.add(name, Remark, "", format, args) }

// answer rejects what is here with Chat's own sentence.
func (c *checker) answer(sentence, format string, args ...any) {
	c.add("", Rejected, sentence, format, args)
}

// breach rejects what is here for breaking the schema, with Chat's own sentence.
func (c *checker) breach(b Breach, sentence, format string, args ...any) {
	before := len(c.found)
	c.add("", Rejected, sentence, format, args)
	for i := before; i < len(c.found); i++ {
		c.found[i].Breach = b
	}
}

func (c *checker) add(name string, k Kind, answer, format string, args []any) {
	if c.full() {
		return
	}
	if name != "" {
		c.push(name, 0)
		defer c.pop()
	}
	c.found = append(c.found, Violation{Path: c.where(), Message: fmt.Sprintf(format, args...), Kind: k, Answer: answer})
}

// place returns the path to here as Chat's answers have it.
func (c *checker) place() string { return Violation{Path: c.where()}.Field() }

// object checks an object against its type. What it keeps of the members are
// those that Chat would look at, under their camel-case names.
func (c *checker) object(t *objectType, n *node) {
	kept := n.members[:0:0]
	for _, m := range n.members {
		if c.full() {
			return
		}
		f := t.fields[m.name]
		switch {
		case f == nil:
			c.unknown(t, m.name)
		case m.value.kind == null: // as if it were not there
		case f.ReadOnly:
			c.remark(f.name, "set by Chat: what is sent is ignored")
		case slices.ContainsFunc(kept, func(k member) bool { return k.name == f.name }):
			c.push(f.name, 0)
			c.breach(SetTwice, "", "set twice")
			c.pop()
		default:
			kept = append(kept, member{f.name, m.value})
			c.push(f.name, 0)
			c.value(f, m.value)
			c.pop()
		}
	}
	n.members = kept
	c.rules(t.name, n)
}

func (c *checker) unknown(t *objectType, name string) {
	hint := "it has no fields"
	if s := t.suggest(name); s != "" {
		hint = fmt.Sprintf("did you mean %q?", s)
	} else if len(t.known) > 0 {
		hint = "known here: " + strings.Join(t.known, ", ")
	}
	shown, before := short(name), len(c.found)
	c.breach(UnknownField, fmt.Sprintf("Invalid JSON payload received. Unknown name %q at '%s': Cannot find field.", shown, c.place()),
		"unknown field %q; %s", shown, hint)
	for i := before; i < len(c.found); i++ {
		c.found[i].Member = name
	}
}

// short returns a value as it may stand in a sentence.
func short(s string) string {
	const limit = 60
	runes := []rune(s[:min(len(s), 4*limit)])
	if len(runes) <= limit && len(s) <= 4*limit {
		return s
	}
	return string(runes[:min(len(runes), limit)]) + "…"
}

// value checks a value against its field.
func (c *checker) value(f *field, n *node) {
	if f.Deprecated {
		c.remark("", "deprecated")
	}
	want := text
	switch {
	case f.Items != nil:
		want = list
	case f.object != nil:
		want = object
	case f.Type == "boolean":
		want = boolean
	case f.Type == "integer" || f.Type == "number" || f.Format == "int64":
		c.number(f, n)
		return
	}
	if n.kind != want {
		c.wrongType(want, n)
		return
	}
	switch {
	case want == list:
		for i, item := range n.items {
			if c.full() {
				return
			}
			c.push("", i)
			c.value(f.Items, item)
			c.pop()
		}
	case want == object:
		c.object(f.object, n)
	case len(f.Enum) > 0 && !slices.Contains(f.Enum, n.text):
		c.breach(WrongValue, fmt.Sprintf("Invalid value at '%s' (TYPE_ENUM), %q", c.place(), short(n.text)),
			"unknown value %q; one of %s", short(n.text), strings.Join(f.Enum, ", "))
	case f.Format == "google-datetime":
		if _, err := time.Parse(time.RFC3339, n.text); err != nil {
			c.breach(WrongValue, fmt.Sprintf("Invalid value at '%s' (type.googleapis.com/google.protobuf.Timestamp), %q", c.place(), short(n.text)),
				"%q is no time; it is written 2006-01-02T15:04:05Z", short(n.text))
		}
	}
}

func (c *checker) wrongType(want kind, n *node) {
	sentence := fmt.Sprintf("Invalid value at '%s'.", c.place())
	if n.kind == list {
		sentence = fmt.Sprintf("Invalid JSON payload received. '%s': Proto field is not repeating, cannot start list.", c.place())
	}
	c.breach(WrongType, sentence, "must be %v, not %v", want, n.kind)
}

// number checks a number, which may stand in a string too: 64-bit ones do.
func (c *checker) number(f *field, n *node) {
	if n.kind != number && n.kind != text {
		c.wrongType(number, n)
		return
	}
	v, err := strconv.ParseFloat(n.text, 64)
	low, high, name := -math.MaxFloat64, math.MaxFloat64, "a number"
	switch f.Format {
	case "int32":
		low, high, name = math.MinInt32, math.MaxInt32, "a whole number of 32 bits"
	case "int64":
		low, high, name = math.MinInt64, math.MaxInt64, "a whole number of 64 bits"
	}
	whole := f.Format == "int32" || f.Format == "int64"
	if err != nil || !(low <= v && v <= high) || whole && v != math.Trunc(v) {
		c.breach(WrongValue, fmt.Sprintf("Invalid value at '%s' (TYPE_%s), %q", c.place(), strings.ToUpper(f.Format), short(n.text)),
			"%q is not %s", short(n.text), name)
	}
}
