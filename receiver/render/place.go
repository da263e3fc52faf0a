package render

import (
	"errors"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"text/template"
)

// Fault is a template that cannot be used. Its text begins with where it is.
type Fault struct {
	Where  string // the string's place in the config, "spaces[ops].card.title", or the file's name
	Line   int    // counted from 1 inside of the string or file; 0 where it is not known
	Column int    // in bytes, from 1; 0 where it is not known
	Err    error
}

// Error returns the place and the cause.
func (f *Fault) Error() string {
	return position(f.Where, f.Line, f.Column) + ": " + f.Err.Error()
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

func position(where string, line, column int) string {
	if line > 0 {
		where += ":" + strconv.Itoa(line)
	}
	if column > 0 {
		where += ":" + strconv.Itoa(column)
	}
	return where
}

func lineColumn(text string, offset int) (line, column int) {
	before := text[:min(offset, len(text))]
	line = 1 + strings.Count(before, "\n")
	return line, len(before) - strings.LastIndexByte(before, '\n')
}

// fault makes a fault of an error of package parse, which gives its line as text
// only, "template: NAME:LINE: cause", and no column.
func (s source) fault(err error) *Fault {
	number, cause, _ := strings.Cut(strings.TrimPrefix(err.Error(), "template: "+s.where+":"), ": ")
	line, notNumber := strconv.Atoi(number)
	if notNumber != nil {
		return &Fault{Where: s.where, Err: err}
	}
	var at int
	switch {
	case cause == endMissing:
		cause = "{{end}} is missing"
		if at = s.unended(); at >= 0 {
			cause += ", of this block or of one in it"
		}
	case strings.HasPrefix(cause, "unclosed "), strings.HasPrefix(cause, "unterminated "):
		if strings.HasPrefix(cause, "unclosed action") {
			cause = "unclosed action: }} is missing"
		}
		at = s.unclosed()
	default:
		at = s.offset(err, firstQuoted(cause))
	}
	if strings.HasPrefix(cause, "function ") && strings.HasSuffix(cause, " not defined") {
		cause += "; docs/reference.md lists the functions"
	}
	column := 0
	if at >= 0 {
		line, column = lineColumn(s.text, at)
	}
	return &Fault{Where: s.where, Line: line, Column: column, Err: errors.New(cause)}
}

// firstQuoted returns the first Go string in a text, or "" without one.
func firstQuoted(text string) string {
	_, rest, _ := strings.Cut(text, `"`)
	quoted, _ := strconv.QuotedPrefix(`"` + rest)
	word, _ := strconv.Unquote(quoted)
	return word
}

// endMissing is what package parse says of a text that ends within a block.
const endMissing = "unexpected EOF"

// maxTries bounds how many actions are looked at for one that does not end: a
// text that it has swallowed can hold any number.
const maxTries = 20

// begins finds actions, also in what only looks like one.
var begins = regexp.MustCompile(`\{\{`)

// offset returns where a word stands of which an error of package parse speaks;
// without one, where the action begins that is at fault. It is -1 where that is
// not known. A text is parsed from its beginning to its first error, so that
// its beginnings tell where that is.
func (s source) offset(err error, word string) int {
	fails := func(end int) bool {
		_, same := s.parse(s.text[:min(end, len(s.text))])
		return same != nil && same.Error() == err.Error()
	}
	actions := begins.FindAllStringIndex(s.text, -1)
	next := sort.Search(len(actions), func(i int) bool { return fails(actions[i][0]) })
	if next == 0 {
		return -1
	}
	begin, end := actions[next-1][0], len(s.text)
	if next < len(actions) {
		end = actions[next][0]
	}
	var found []int
	for at := begin; word != ""; at++ {
		i := strings.Index(s.text[at:end], word)
		if i < 0 {
			break
		}
		at += i
		found = append(found, at)
	}
	// With the next byte it is seen whether the word ends there, or is a long one
	// of which the error has the beginning.
	first := sort.Search(len(found), func(i int) bool { return fails(found[i] + len(word) + 1) })
	if first == len(found) {
		return begin
	}
	return found[first]
}

// unclosed returns where the last action begins, which does not end, or -1 where
// that is not known.
func (s source) unclosed() int {
	actions := begins.FindAllStringIndex(s.text, -1)
	for _, at := range slices.Backward(actions[max(0, len(actions)-maxTries):]) {
		if _, err := s.parse(s.text[:at[0]]); err == nil || strings.HasSuffix(err.Error(), ": "+endMissing) {
			return at[0]
		}
	}
	return -1
}

// keyword is one that begins or ends a block.
var keyword = regexp.MustCompile(`\{\{(?:- )?\s*(if|range|with|block|define|end)\b`)

// unended returns where the outermost block begins that does not end, or -1
// where it is not sure.
func (s source) unended() int {
	var open []int
	for _, m := range keyword.FindAllStringSubmatchIndex(s.text, -1) {
		if s.text[m[2]:m[3]] != "end" {
			open = append(open, m[0])
		} else if len(open) > 0 {
			open = open[:len(open)-1]
		}
	}
	if len(open) == 0 {
		return -1
	}
	if _, err := s.parse(s.text[:open[0]]); err != nil {
		return -1 // what looks like a keyword stands in a comment or a string
	}
	return open[0]
}

// locate takes an error of package template apart, which gives its place as text
// only: "template: NAME:LINE:COLUMN: executing CAUSE". Of any other error the line
// is 0.
func locate(err error) (name string, line, column int, cause string) {
	rest, ok := strings.CutPrefix(err.Error(), "template: ")
	place, cause, executing := strings.Cut(rest, ": executing ")
	parts := strings.Split(place, ":")
	n := len(parts)
	if !ok || !executing || n < 3 {
		return "", 0, 0, ""
	}
	line, lineErr := strconv.Atoi(parts[n-2])
	column, columnErr := strconv.Atoi(parts[n-1])
	if lineErr != nil || columnErr != nil {
		return "", 0, 0, ""
	}
	return strings.Join(parts[:n-2], ":"), line, column + 1, cause // it counts columns from 0
}

// explain returns where a template failed and why: as far inside of calls of
// include as the error tells. source is empty where it does not say.
func explain(err error) (source string, line, column int, cause string) {
	err = innermost(err)
	if limit, ok := errors.AsType[*limitError](err); ok {
		err = limit
	}
	if source, line, column, cause = locate(err); line == 0 {
		cause = err.Error()
	}
	// What is left begins with what is executed: a name and a piece of the text.
	if _, rest, ok := strings.Cut(cause, `" at <`); ok {
		cause = "<" + rest
	}
	cause = strings.TrimPrefix(cause, "a call or loop: ")
	if before, rest, ok := strings.Cut(cause, "can't evaluate field "); ok {
		name, _, _ := strings.Cut(rest, " in type ")
		cause = before + "there is no field " + name + " here; docs/reference.md lists those there are"
	}
	return source, line, column, brief{errors.New(cause)}.Error()
}

// innermost returns the error of the template that failed itself, without those
// of the templates that include it.
func innermost(err error) error {
	outer, ok := errors.AsType[template.ExecError](err)
	if !ok {
		return err
	}
	for {
		inner, ok := errors.AsType[template.ExecError](outer.Err)
		if !ok {
			return outer
		}
		outer = inner
	}
}

// brief is an error whose text is bounded: package template prints whole values
// into its errors.
type brief struct{ err error }

// Error returns the beginning of the text.
func (b brief) Error() string { return cut(plainLine(clip(b.err.Error(), maxValue)), 500, maxValue) }

// Unwrap returns the error.
func (b brief) Unwrap() error { return b.err }
