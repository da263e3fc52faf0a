package webui

import (
	"bytes"
	"html/template"
	"maps"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"golang.org/x/net/html"
)

const (
	maxNested     = 8    // formats inside of each other
	longestMark   = 40   // bytes of "users/" with an id
	longestFormat = 2000 // bytes between the marks of one format
)

// chatText draws a message's text in Chat's own syntax
// (https://developers.google.com/workspace/chat/format-messages). How formats
// nest is not documented.
func chatText(s string) template.HTML {
	var b strings.Builder
	pieces := strings.Split(s, "```")
	for i, piece := range pieces {
		switch {
		case i%2 == 0:
			lines(&b, strings.Trim(piece, "\n"))
		case i == len(pieces)-1:
			lines(&b, "```"+piece) // it is not closed
		default:
			b.WriteString("<pre>" + html.EscapeString(strings.Trim(piece, "\n")) + "</pre>")
		}
	}
	return template.HTML(b.String()) //nolint:gosec // G203: all but tags of ours is escaped
}

// lines draws what is not a block of code: lists, quotes and other lines.
func lines(b *strings.Builder, s string) {
	if s == "" {
		return
	}
	open := ""
	for i, line := range strings.Split(s, "\n") {
		tag, rest := "", line
		if item, ok := cutBullet(line); ok {
			tag, rest = "ul", item
		} else if quote, ok := strings.CutPrefix(line, ">"); ok {
			tag, rest = "blockquote", strings.TrimPrefix(quote, " ")
		}
		switch {
		case tag != open:
			if open != "" {
				b.WriteString("</" + open + ">")
			}
			if tag != "" {
				b.WriteString("<" + tag + ">")
			}
		case i > 0 && tag != "ul":
			b.WriteString("<br>")
		}
		open = tag
		if tag == "ul" {
			b.WriteString("<li>")
		}
		inline(b, rest, 0)
		if tag == "ul" {
			b.WriteString("</li>")
		}
	}
	if open != "" {
		b.WriteString("</" + open + ">")
	}
}

func cutBullet(line string) (item string, ok bool) {
	if item, ok = strings.CutPrefix(line, "* "); !ok {
		item, ok = strings.CutPrefix(line, "- ")
	}
	return item, ok
}

// inline draws one line, or what stands inside of a format.
func inline(b *strings.Builder, s string, depth int) {
	done := 0 // what is written already
	before := rune(' ')
	for i := 0; i < len(s); {
		drawn, end := format(s, i, before, depth)
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
func format(s string, i int, before rune, depth int) (drawn string, end int) {
	switch c := s[i]; c {
	case '`':
		if n := strings.IndexByte(s[i+1:], '`'); n > 0 {
			return "<code>" + html.EscapeString(s[i+1:i+1+n]) + "</code>", i + n + 2
		}
	case '<':
		return angled(s, i)
	case 'h':
		return bareLink(s, i, before)
	case '*', '_', '~':
		if n := closing(s[i+1:], c); n > 0 && !isWord(before) && depth < maxNested {
			var b strings.Builder
			inline(&b, s[i+1:i+1+n], depth+1)
			tag := map[byte]string{'*': "b", '_': "i", '~': "s"}[c]
			return "<" + tag + ">" + b.String() + "</" + tag + ">", i + n + 2
		}
	}
	return "", 0
}

// closing returns where a format ends that began before s; 0 where it does not.
func closing(s string, c byte) int {
	if first, _ := utf8.DecodeRuneInString(s); s == "" || isBlank(first) {
		return 0
	}
	for n := 0; n < min(len(s), longestFormat); n++ {
		if s[n] != c {
			n += literal(s[n:])
			continue
		}
		if n == 0 {
			continue
		}
		last, _ := utf8.DecodeLastRuneInString(s[:n])
		next, _ := utf8.DecodeRuneInString(s[n+1:])
		if !isBlank(last) && (n+1 == len(s) || !isWord(next)) {
			return n
		}
	}
	return 0
}

// literal returns how many bytes behind the first belong to it: all of a code
// span, a link or a mention, in which nothing is a mark.
func literal(s string) int {
	ends := map[byte]byte{'`': '`', '<': '>'}
	end, ok := ends[s[0]]
	if !ok {
		return 0
	}
	return strings.IndexByte(s[1:], end) + 1 // 0 where there is no end
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

var blockBreak = regexp.MustCompile(`(</?(?:p|ul|ol|li|blockquote|pre|h[1-6])>)\n`)

// markdown draws Markdown. HTML in it is left out.
func markdown(s string) template.HTML {
	var out bytes.Buffer
	if err := goldmark.New(goldmark.WithExtensions(extension.Strikethrough, extension.Linkify)).Convert([]byte(s), &out); err != nil {
		return template.HTML(html.EscapeString(s)) //nolint:gosec // G203: it is escaped
	}
	tags := cardTags()
	maps.Copy(tags, map[string]string{"strong": "b", "em": "i", "del": "s", "p": "p", "blockquote": "blockquote"})
	// Between blocks a new line is none that is shown.
	return clean(blockBreak.ReplaceAllString(out.String(), "$1"), tags)
}
