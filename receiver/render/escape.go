package render

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// markup is text that is safe already where it lands: the literal parts of a
// template, what raw let through, what an included template put out.
type markup string

// context says where a string lands, and so how values are escaped in it.
type context int

const (
	contextHTML     context = iota // a card's text: Chat's subset of HTML
	contextText                    // a message's text
	contextPlain                   // a title, a button's text: one line without syntax
	contextURL                     // a link; checked once it is whole
	contextDocument                // a message as YAML or JSON: quote does it there
)

// zeroWidth parts what Chat or Markdown would otherwise take as syntax. Neither
// has an escape character that the other does not show.
const zeroWidth = "\u200b"

// escape returns a value so that it is inert in c.
func (c context) escape(s string, lineStart bool) markup {
	switch c {
	case contextHTML:
		return markup(escapeHTML(s))
	case contextText:
		return markup(escapeText(s, lineStart))
	case contextPlain, contextURL, contextDocument:
		return markup(s) // plainLine and webURL see to the whole
	}
	return ""
}

// clean returns r as it may be shown, and whether it may be shown at all.
// Control characters and the overrides of writing direction may not; every
// kind of line break is a newline.
func clean(r rune) (rune, bool) {
	switch {
	case r == '\n', r == '\u2028', r == '\u2029', r == '\u0085':
		return '\n', true
	case r == '\t':
		return ' ', true
	case r < 0x20, r >= 0x7f && r < 0xa0:
		return 0, false
	case r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069', r == '\ufeff':
		return 0, false
	}
	return r, true
}

// isClean says whether clean changes nothing in s, and nothing in s is syntax
// anywhere: printable ASCII without the characters in special.
func isClean(s, special string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || strings.IndexByte(special, c) >= 0 {
			return false
		}
	}
	return true
}

// escapeHTML escapes s for Chat's subset of HTML; a newline is a line break.
func escapeHTML(s string) string {
	if isClean(s, `&<>"'`) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + len(s)/8)
	for _, r := range s {
		if r, ok := clean(r); ok {
			writeHTML(&b, r)
		}
	}
	return b.String()
}

func writeHTML(b *strings.Builder, r rune) {
	switch r {
	case '&':
		b.WriteString("&amp;")
	case '<':
		b.WriteString("&lt;")
	case '>':
		b.WriteString("&gt;")
	case '"':
		b.WriteString("&quot;")
	case '\'':
		b.WriteString("&#39;")
	case '\n':
		b.WriteString("<br>")
	default:
		b.WriteRune(r)
	}
}

// escapeText makes s inert in a message's text, in Chat's syntax and in
// Markdown alike: it can neither mention anybody, nor make a link, nor format.
// Asterisks, tildes and backticks become look-alikes that no syntax knows,
// because nothing invisible keeps Markdown from pairing them; the rest is
// parted by zero-width spaces. Newlines are spaces. lineStart says that s
// begins a line, where some characters begin a list, a heading or a quote.
//
// Bare host names stay as they are: nothing documented makes links of them.
func escapeText(s string, lineStart bool) string {
	if isClean(s, "*~`_<]:@wW") && !startsSyntax(s, lineStart) {
		return s
	}
	// What is not shown goes first: it must not stand between what then meets.
	runes := make([]rune, 0, len(s))
	for _, r := range s {
		if r, ok := clean(r); ok {
			runes = append(runes, r)
		}
	}
	var b strings.Builder
	b.Grow(len(s) + len(s)/8)
	if startsSyntax(string(runes), lineStart) {
		b.WriteString(zeroWidth)
	}
	for i, r := range runes {
		next := runeAt(runes, i+1)
		switch {
		case r == '\n':
			b.WriteByte(' ')
		case r == '*':
			b.WriteRune('∗')
		case r == '~':
			b.WriteRune('∼')
		case r == '`':
			b.WriteRune('ˋ')
		case r == '_' && isWord(runeAt(runes, i-1)) && isWord(next):
			b.WriteRune(r) // node_cpu is neither opened nor closed by it
		case r == '_', r == '<',
			r == ']' && (next == '(' || next == '[' || next == ':' || next == 0),
			r == ':' && (next == '/' || next == 0),
			(r == 'w' || r == 'W') && (next == '.' || next == 0) && isWord(runeAt(runes, i-1)),
			r == '@':
			b.WriteRune(r)
			b.WriteString(zeroWidth)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// escapeLine is escapeText for a line that nothing else stands on.
func escapeLine(s string) string { return strings.TrimRight(escapeText(s, true), zeroWidth) }

// startsSyntax says whether the beginning of a value would complete syntax that
// the text before it began, or would begin a list, a heading or a quote.
func startsSyntax(s string, lineStart bool) bool {
	for _, prefix := range []string{"users/", "customEmojis/", "/", "("} {
		if len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
			return true
		}
	}
	if !lineStart || s == "" {
		return false
	}
	number := strings.TrimLeft(s, "0123456789")
	return strings.IndexByte("#>+-=|", s[0]) >= 0 || len(number) < len(s) && number != "" && (number[0] == '.' || number[0] == ')')
}

func runeAt(runes []rune, i int) rune {
	if i < 0 || i >= len(runes) {
		return 0
	}
	return runes[i]
}

func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// plainLine returns s as one line without control characters, and with single
// spaces only.
func plainLine(s string) string {
	if isClean(s, "") && !strings.Contains(s, "  ") {
		return strings.TrimSpace(s)
	}
	var b strings.Builder
	b.Grow(len(s))
	space := false
	for _, r := range s {
		r, ok := clean(r)
		switch {
		case !ok:
		case unicode.IsSpace(r):
			space = b.Len() > 0
		default:
			if space {
				b.WriteByte(' ')
				space = false
			}
			b.WriteRune(r)
		}
	}
	return b.String()
}

// plainText returns a message's text as it may be sent: without control
// characters, with at most one empty line between others.
func plainText(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	breaks := 0
	for _, r := range strings.TrimSpace(s) {
		r, ok := clean(r)
		switch {
		case !ok:
		case r == '\n':
			breaks++
		default:
			if breaks > 0 {
				b.WriteString(strings.Repeat("\n", min(breaks, 2)))
				breaks = 0
			}
			b.WriteRune(r)
		}
	}
	return b.String()
}

// jsonCost is how many bytes encoding/json writes for r inside a string.
func jsonCost(r rune) int {
	switch {
	case r == '"', r == '\\', r == '\n', r == '\r', r == '\t', r == '\b', r == '\f':
		return 2
	case r == '<', r == '>', r == '&', r < 0x20, r == '\u2028', r == '\u2029', r == utf8.RuneError:
		return 6
	}
	return utf8.RuneLen(r)
}

// jsonLen is how many bytes encoding/json writes for s without the quotes.
func jsonLen(s string) int {
	n := 0
	for _, r := range s {
		n += jsonCost(r)
	}
	return n
}

const ellipsis = "…"

// cut returns s with at most maxRunes runes, and at most maxBytes bytes once it
// is encoded as JSON. What is cut ends in an ellipsis; neither a rune nor a
// sequence of joined ones is parted.
func cut(s string, maxRunes, maxBytes int) string {
	runes, bytes, keep := 0, 0, 0
	for i, r := range s {
		if runes < maxRunes && bytes+len(ellipsis) <= maxBytes {
			keep = i // here an ellipsis still fits
		}
		runes++
		bytes += jsonCost(r)
		if runes > maxRunes || bytes > maxBytes {
			if maxRunes < 1 || maxBytes < len(ellipsis) {
				return ""
			}
			return trimJoined(s[:keep], s[keep:]) + ellipsis
		}
	}
	return s
}

// trimJoined returns head without what tail continues: a base character whose
// marks or joined characters would be left behind, and spaces at the end.
func trimJoined(head, tail string) string {
	for range 16 { // no real sequence is longer; hostile ones may be parted
		next, _ := utf8.DecodeRuneInString(tail)
		last, size := utf8.DecodeLastRuneInString(head)
		if head == "" || last != joiner && !extends(next) {
			break
		}
		head, tail = head[:len(head)-size], head[len(head)-size:]
	}
	return strings.TrimRightFunc(head, unicode.IsSpace)
}

// joiner is the zero-width joiner of emoji sequences.
const joiner = '\u200d'

// extends says whether r only continues the character before it.
func extends(r rune) bool {
	return r == joiner || unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r) ||
		r >= 0x1f3fb && r <= 0x1f3ff // skin tones
}
