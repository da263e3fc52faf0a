package webui

import (
	"html/template"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
)

const (
	maxNested     = 8    // formats inside of each other
	longestMark   = 40   // bytes of "users/" with an id
	longestFormat = 2000 // bytes between the marks of one format
)

// syntax is one of the two in which text is written. Both are drawn as far as
// Google documents them; how formats nest is not documented.
type syntax struct {
	marks    []mark // in the order in which they are tried
	numbered bool   // whether lists can be numbered
	escapes  bool   // whether a backslash takes a mark its meaning
	brackets bool   // whether links are written [label](address)
}

// mark is what stands before and behind a format, and its tag.
type mark struct{ text, tag string }

// chatSyntax is Chat's own
// (https://developers.google.com/workspace/chat/format-messages#format-texts).
func chatSyntax() syntax {
	return syntax{marks: []mark{{"*", "b"}, {"_", "i"}, {"~", "s"}}}
}

// markdown is what Chat takes of Markdown
// (https://developers.google.com/workspace/chat/format-messages#card-formatting).
// A library for all of CommonMark would be dear: its tables are in the memory of
// every receiver, which draws nothing.
func markdown() syntax {
	return syntax{
		marks:    []mark{{"**", "b"}, {"__", "b"}, {"~~", "s"}, {"*", "i"}, {"_", "i"}, {"~", "s"}},
		numbered: true, escapes: true, brackets: true,
	}
}

// draw draws a text.
func (x syntax) draw(s string) template.HTML {
	var b strings.Builder
	pieces := strings.Split(s, "```")
	for i, piece := range pieces {
		switch {
		case i%2 == 0:
			x.lines(&b, strings.Trim(piece, "\n"))
		case i == len(pieces)-1:
			x.lines(&b, "```"+piece) // it is not closed
		default:
			b.WriteString("<pre>" + html.EscapeString(strings.Trim(piece, "\n")) + "</pre>")
		}
	}
	return template.HTML(b.String()) //nolint:gosec // G203: all but tags of ours is escaped
}

// lines draws what is not a block of code: lists, quotes and other lines.
func (x syntax) lines(b *strings.Builder, s string) {
	if s == "" {
		return
	}
	open := ""
	for i, line := range strings.Split(s, "\n") {
		tag, rest := x.begin(line)
		item := tag == "ul" || tag == "ol"
		switch {
		case tag != open:
			if open != "" {
				b.WriteString("</" + open + ">")
			}
			if tag != "" {
				b.WriteString("<" + tag + ">")
			}
		case i > 0 && !item:
			b.WriteString("<br>")
		}
		open = tag
		if item {
			b.WriteString("<li>")
		}
		x.inline(b, rest, 0)
		if item {
			b.WriteString("</li>")
		}
	}
	if open != "" {
		b.WriteString("</" + open + ">")
	}
}

var numeral = regexp.MustCompile(`^[0-9]{1,9}\. `)

// begin returns the element of which a line is a part, and the rest of it.
func (x syntax) begin(line string) (tag, rest string) {
	for _, bullet := range []string{"* ", "- "} {
		if item, ok := strings.CutPrefix(line, bullet); ok {
			return "ul", item
		}
	}
	if x.numbered {
		if found := numeral.FindString(line); found != "" {
			return "ol", line[len(found):]
		}
	}
	if quote, ok := strings.CutPrefix(line, ">"); ok {
		return "blockquote", strings.TrimPrefix(quote, " ")
	}
	return "", line
}

// inline draws one line, or what stands inside of a format.
func (x syntax) inline(b *strings.Builder, s string, depth int) {
	done := 0 // what is written already
	before := rune(' ')
	for i := 0; i < len(s); {
		drawn, end := x.format(s, i, before, depth)
		if end > i {
			b.WriteString(html.EscapeString(s[done:i]) + drawn)
			i, done, before = end, end, 'x'
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		i, before = i+size, r
	}
	b.WriteString(html.EscapeString(s[done:]))
}

// format draws what begins at i, if it is a format, and returns where that ends.
func (x syntax) format(s string, i int, before rune, depth int) (drawn string, end int) {
	switch c := s[i]; {
	case c == '`':
		if n := strings.IndexByte(s[i+1:], '`'); n > 0 {
			return "<code>" + html.EscapeString(s[i+1:i+1+n]) + "</code>", i + n + 2
		}
	case c == '<':
		return angled(s, i)
	case c == 'h':
		return bareLink(s, i, before)
	case c == '\\' && x.escapes && i+1 < len(s) && strings.IndexByte(escaped, s[i+1]) >= 0:
		return html.EscapeString(s[i+1 : i+2]), i + 2
	case c == '[' && x.brackets:
		return bracketed(s, i)
	case isWord(before) || depth == maxNested:
		return "", 0
	}
	for _, m := range x.marks {
		if !strings.HasPrefix(s[i:], m.text) {
			continue
		}
		begin := i + len(m.text)
		if n := x.closing(s[begin:], m.text); n > 0 {
			var b strings.Builder
			x.inline(&b, s[begin:begin+n], depth+1)
			return "<" + m.tag + ">" + b.String() + "</" + m.tag + ">", begin + n + len(m.text)
		}
	}
	return "", 0
}

// escaped is the punctuation that a backslash makes plain.
const escaped = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"

// closing returns where a format ends that began before s; 0 where it does not.
func (x syntax) closing(s, mark string) int {
	if first, _ := utf8.DecodeRuneInString(s); s == "" || isBlank(first) {
		return 0
	}
	for n := 0; n < min(len(s), longestFormat); n++ {
		if !strings.HasPrefix(s[n:], mark) {
			n += x.literal(s[n:])
			continue
		}
		if n == 0 {
			continue
		}
		last, _ := utf8.DecodeLastRuneInString(s[:n])
		next, _ := utf8.DecodeRuneInString(s[n+len(mark):])
		if !isBlank(last) && (n+len(mark) == len(s) || !isWord(next)) {
			return n
		}
	}
	return 0
}

// literal returns how many bytes behind the first belong to it: all of a code
// span, a link or a mention, and what a backslash is before. In them nothing is a
// mark.
func (x syntax) literal(s string) int {
	switch {
	case s[0] == '`':
		return strings.IndexByte(s[1:], '`') + 1 // 0 where there is no end
	case s[0] == '<':
		return strings.IndexByte(s[1:], '>') + 1
	case s[0] == '\\' && x.escapes && len(s) > 1:
		return 1
	}
	return 0
}

// isBlank reports whether a format cannot touch it: a space, or what a sender
// puts there to keep it from being one.
func isBlank(r rune) bool { return unicode.IsSpace(r) || r == '\u200b' || r == '\u2060' }

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }

var mention = regexp.MustCompile(`^users/([0-9]+|all|app)$`)

// angled draws a mention or a link between angle brackets.
func angled(s string, i int) (drawn string, end int) {
	n := strings.IndexByte(s[i:], '>')
	if n < 0 {
		return "", 0
	}
	inside := s[i+1 : i+n]
	if len(inside) < longestMark && mention.MatchString(inside) {
		return `<span class="chat-mention">@` + html.EscapeString(strings.TrimPrefix(inside, "users/")) + `</span>`, i + n + 1
	}
	address, label, ok := strings.Cut(inside, "|")
	if !ok {
		label = address
	}
	if link(address) == "" {
		return "", 0
	}
	return anchor(address, label), i + n + 1
}

// bareLink draws a URL that stands in the text as it is.
func bareLink(s string, i int, before rune) (drawn string, end int) {
	rest := s[i:]
	if isWord(before) || !strings.HasPrefix(rest, "http://") && !strings.HasPrefix(rest, "https://") {
		return "", 0
	}
	n := strings.IndexFunc(rest, func(r rune) bool { return isBlank(r) || strings.ContainsRune("<>\"`|", r) })
	if n < 0 {
		n = len(rest)
	}
	address := strings.TrimRight(rest[:n], ".,;:!?)*_~")
	if link(address) == "" {
		return "", 0
	}
	return anchor(address, address), i + len(address)
}

func anchor(address, label string) string {
	return "<a" + linkTo(address) + ">" + html.EscapeString(label) + "</a>"
}

// bracketed draws a link of Markdown.
func bracketed(s string, i int) (drawn string, end int) {
	label, rest, ok := strings.Cut(s[i+1:], "](")
	address, _, closed := strings.Cut(rest, ")")
	if !ok || !closed || label == "" || link(address) == "" {
		return "", 0
	}
	return anchor(address, label), i + 1 + len(label) + len("](") + len(address) + 1
}
