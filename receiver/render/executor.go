package render

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"text/template"
	"time"
	"unicode/utf8"
)

// What one string's template may use up. All of it is counted, not timed: the
// same input has the same output on a slow machine.
const (
	maxOutput = 256 << 10 // bytes of what it puts out; what comes after is cut off
	maxTotal  = 16 << 20  // bytes with what is cut off: more is taken for a loop without an end
	maxValue  = 64 << 10  // bytes of a string that a function takes or makes; the rest is cut off
	maxSteps  = 100_000   // turns of loops, calls of templates and work of functions
	allSteps  = 500_000   // the same for all strings of one rendering together
	maxDepth  = 100       // templates that call each other
	maxWeight = 100_000   // what a list or dict may hold, with all that is inside of it
)

var (
	errSteps  = fmt.Errorf("it does more than %d steps: does a loop or recursion not end?", maxSteps)
	errAll    = fmt.Errorf("the templates of one message do more than %d steps together", allSteps)
	errDepth  = fmt.Errorf("templates call each other more than %d deep: does a recursion not end?", maxDepth)
	errWeight = fmt.Errorf("a list or dict holds more than %d items and bytes", maxWeight)
	errTotal  = fmt.Errorf("it puts out more than %d MiB: does a loop or recursion not end?", maxTotal>>20)
)

// pool holds the executors of one set of templates. Cloning a set is dear;
// running one is not.
type pool struct {
	base *template.Template // never run itself
	free sync.Pool
}

func newPool(set trees) (*pool, error) {
	base := template.New("").Option("missingkey=zero").Funcs(new(executor).functions())
	for name, tree := range set {
		if tree.Root == nil {
			continue
		}
		if _, err := base.AddParseTree(name, tree); err != nil {
			return nil, fmt.Errorf("template %q: %w", name, err)
		}
	}
	return &pool{base: base}, nil
}

// get returns an executor for one rendering.
func (p *pool) get(now time.Time, quiet bool) (*executor, error) {
	x, ok := p.free.Get().(*executor)
	if !ok {
		t, err := p.base.Clone()
		if err != nil {
			return nil, err
		}
		x = &executor{}
		x.templates = t.Funcs(x.functions())
	}
	x.now, x.quiet, x.unlinked, x.left = now, quiet, false, allSteps
	return x, nil
}

// put gives an executor back, without what it was used for.
func (p *pool) put(x *executor) {
	x.data = nil
	p.free.Put(x)
}

// executor runs templates, one at a time. The functions in its clone of the
// templates are bound to it: they see what is rendered, where it lands, and
// what has been used up.
type executor struct {
	templates *template.Template

	data  *Data
	now   time.Time
	quiet bool // whether mentions are left out
	// unlinked says that link makes none in a message's text: there they take
	// more room than what they stand on.
	unlinked bool

	mentionMark string // what mention marks its own with; empty but in a whole message

	context   context
	out       *output // the outermost one, or that of an include
	outermost output
	steps     int // used up by the string at hand
	left      int // for all that are to come
	depth     int
	total     int    // bytes that the string at hand has put out
	at        []byte // the place of the last mark, which is the tree's own
}

// run executes a template for the place that c names. What is too long is cut
// off, and then cut is true.
func (x *executor) run(name string, c context, d *Data) (out string, cut bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("template %s: %v", name, r)
		}
	}()
	x.data, x.context, x.steps, x.depth, x.total, x.at = d, c, 0, 0, 0, nil
	x.outermost.begin(x)
	x.out = &x.outermost
	err = x.templates.ExecuteTemplate(x.out, name, d)
	return x.outermost.String(), x.outermost.full, err
}

// output is what a template puts out: no more than maxOutput bytes. It counts
// the marks that guard has put between them.
type output struct {
	bytes.Buffer

	x    *executor
	full bool
}

func (o *output) begin(x *executor) {
	o.Reset()
	o.x, o.full = x, false
}

// Write keeps what fits. The template runs on even so: only then is one that
// says much about many alerts known from one that does not end.
func (o *output) Write(p []byte) (int, error) {
	if mark, ok := bytes.CutPrefix(p, []byte(markPrefix)); ok && len(mark) > 0 {
		o.x.at = mark[1:]
		if err := o.x.mark(mark[0]); err != nil {
			return 0, &limitError{place: string(o.x.at), err: err}
		}
		return len(p), nil
	}
	if o.x.total += len(p); o.x.total > maxTotal {
		return 0, &limitError{place: string(o.x.at), err: errTotal}
	}
	switch room := maxOutput - o.Len(); {
	case o.full:
	case len(p) > room:
		o.full = true
		o.Buffer.Write(p[:runeBoundary(p, room)])
	default:
		o.Buffer.Write(p)
	}
	return len(p), nil
}

// lineStart says whether what comes next begins a line.
func (o *output) lineStart() bool {
	b := o.Bytes()
	return len(b) == 0 || b[len(b)-1] == '\n'
}

// runeBoundary returns the last place at or before n where p may be cut.
func runeBoundary[T string | []byte](p T, n int) int {
	for n > 0 && n < len(p) && !utf8.RuneStart(p[n]) {
		n--
	}
	return n
}

// limitError is a limit that was reached at a place in a template. It reads like
// an error of package template.
type limitError struct {
	place string // "NAME:LINE:COLUMN"
	err   error
}

// Error returns the place and the limit.
func (e *limitError) Error() string {
	return "template: " + e.place + ": executing a call or loop: " + e.err.Error()
}

// Unwrap returns the limit.
func (e *limitError) Unwrap() error { return e.err }

// mark counts a turn of a loop, or the beginning or end of a template's call.
func (x *executor) mark(kind byte) error {
	switch kind {
	case markStep:
		return x.charge(1)
	case markEnter:
		return x.enter()
	default:
		x.depth--
		return nil
	}
}

// enter counts the beginning of a template's call.
func (x *executor) enter() error {
	x.depth++
	if x.depth > maxDepth {
		return errDepth
	}
	return x.charge(1)
}

// charge counts work, in steps.
func (x *executor) charge(n int) error {
	x.steps += n
	x.left -= n
	switch {
	case x.steps > maxSteps:
		return errSteps
	case x.left < 0:
		return errAll
	}
	return nil
}

// escape is the last function in each pipeline that puts something out.
func (x *executor) escape(v any) markup {
	if m, ok := v.(markup); ok {
		if strings.HasPrefix(string(m), markPrefix) {
			return markup(strings.ToValidUTF8(string(m), "\ufffd"))
		}
		return m
	}
	s := stringOf(v)
	if x.out.full {
		x.total += len(s) // which nobody will see
		return ""
	}
	return x.context.escape(clip(s, maxOutput), x.out.lineStart())
}

// stringOf returns how templates print a value. Nothing prints as nothing.
func stringOf(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case markup:
		return string(v)
	case error, fmt.Stringer:
		return fmt.Sprint(v)
	}
	r := reflect.ValueOf(v)
	for r.Kind() == reflect.Pointer {
		if r.IsNil() {
			return ""
		}
		r = r.Elem()
	}
	return fmt.Sprint(r.Interface())
}

// clip cuts s off after limit bytes, on a rune boundary.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return s[:runeBoundary(s, limit)]
}

// include runs a template and returns what it puts out, which is safe already
// where the caller stands. In the template of a whole message, a mode says what
// it is for: "html" for a card's text, "text" for the message's. Without one
// nothing is escaped there.
func (x *executor) include(name string, data any, mode ...string) (any, error) {
	if err := x.enter(); err != nil {
		return nil, err
	}
	outer, out := x.context, x.out
	inner := outer
	for _, m := range mode {
		switch {
		case outer != contextDocument:
			return nil, errors.New("include takes a mode in the template of a whole message only")
		case m == "html":
			inner = contextHTML
		case m == "text":
			inner = contextText
		default:
			return nil, fmt.Errorf("include knows no mode %q", m)
		}
	}
	buffer := output{x: x}
	x.context, x.out = inner, &buffer
	err := x.templates.ExecuteTemplate(&buffer, name, data)
	x.context, x.out = outer, out
	if limit, ok := errors.AsType[*limitError](err); ok {
		return nil, limit // once, not in a chain as long as it is deep
	}
	if err != nil {
		return nil, innermost(err)
	}
	x.depth--
	switch {
	case inner == outer && outer != contextDocument:
		return markup(buffer.String()), nil
	case inner == contextHTML:
		html, _ := cleanHTML(buffer.String(), maxValue)
		return html, nil
	default:
		return buffer.String(), nil
	}
}
