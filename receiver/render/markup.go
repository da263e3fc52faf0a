package render

import (
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

const (
	maxOpen    = 16 // tags that may be open at once in a card's text
	maxDropped = 5  // kinds of markup of which it is told that they were dropped
)

// cleanHTML returns text in Chat's subset of HTML, with at most limit bytes once
// it is encoded as JSON: other tags are dropped and their text is kept, open
// tags are closed, links that are not absolute http(s) URLs become text, and a
// newline is a line break. What is too long ends in an ellipsis, never inside
// of a rune, an entity or a tag. cut says whether it did. Text of nothing but
// spaces comes out empty.
func cleanHTML(s string, limit int) (out string, cut bool) {
	out, cut, _ = mendHTML(s, limit)
	return out, cut
}

// mendHTML is [cleanHTML] for who wants to know what was dropped: that is a phrase
// for people, or empty.
func mendHTML(s string, limit int) (out string, cut bool, dropped string) {
	c := cleaner{left: limit, runes: len(s)}
	out = c.clean(s)
	return out, c.cut, strings.Join(c.dropped, ", ")
}

// cutHTML returns text in Chat's subset of HTML with at most runes characters to
// be seen, and at most limit bytes once it is encoded as JSON.
func cutHTML(s string, runes, limit int) string {
	c := cleaner{left: limit, runes: runes}
	return c.clean(s)
}

// truncateHTML returns markup with at most n characters to be seen.
func truncateHTML(s string, n int) string {
	all := cleaner{left: maxOutput, runes: len(s)}
	out := all.clean(s)
	if seen := len(s) - all.runes; seen <= n {
		return out
	}
	if n < 1 {
		return ""
	}
	c := cleaner{left: maxOutput, runes: n - 1}
	return c.clean(s)
}

// clean writes all of s that fits, and returns what was written.
func (c *cleaner) clean(s string) string {
	c.b.Grow(min(len(s)+len(s)/8, max(c.left, 0)))
	z := html.NewTokenizer(strings.NewReader(s))
	for !c.cut {
		switch z.Next() {
		case html.ErrorToken:
			return c.finish()
		case html.TextToken:
			c.text(string(z.Text()))
		case html.StartTagToken, html.SelfClosingTagToken:
			z.NextIsNotRawText() // the text of <script> is text, too
			c.start(z.Token())
		case html.EndTagToken:
			c.end(z.Token())
		case html.CommentToken, html.DoctypeToken:
		}
	}
	return c.finish()
}

// cleaner writes Chat's subset of HTML within a budget.
type cleaner struct {
	b       strings.Builder
	left    int         // bytes as JSON that may still be written, the end tags of open not counted in
	runes   int         // characters of text that may still be written
	open    []atom.Atom // what is open, outermost first
	breaks  int         // line breaks to write before what comes next
	swallow bool        // a newline right after <br> is only the template's layout
	visible bool        // whether anything can be seen yet
	cut     bool
	dropped []string // what of the markup is not Chat's, each kind once
}

func (c *cleaner) finish() string {
	if !c.visible {
		return ""
	}
	for _, tag := range slices.Backward(c.open) {
		c.b.WriteString("</" + tag.String() + ">")
	}
	c.open = nil
	return strings.TrimRight(c.b.String(), " ")
}

// write adds s if it fits, and otherwise an ellipsis, for which text leaves room.
func (c *cleaner) write(s string) bool {
	cost := jsonLen(s)
	if cost > c.left-len(ellipsis) {
		c.stop()
		return false
	}
	c.left -= cost
	c.b.WriteString(s)
	return true
}

func (c *cleaner) stop() {
	c.cut = true
	if c.left >= len(ellipsis) {
		c.b.WriteString(ellipsis)
	}
}

func (c *cleaner) text(s string) {
	if slices.Contains(c.open, atom.Pre) {
		c.swallow = false
	}
	if isClean(s, `&<>"'`) && (c.visible || strings.TrimSpace(s) != "") && len(s) <= min(c.left-2*len(ellipsis), c.runes) {
		c.plain(s)
		return
	}
	var runes []rune
	for _, r := range s {
		r, ok := clean(r)
		switch {
		case !ok:
		case r == '\n' && c.swallow:
			c.swallow = false
		case r == '\n':
			if !c.flush(runes) {
				return
			}
			runes = runes[:0]
			c.breaks++
		case r == ' ' && len(runes) == 0 && c.breaks > 0:
			// indentation
		default:
			c.swallow = false
			runes = append(runes, r)
		}
	}
	c.flush(runes)
}

// plain writes what needs no care: printable ASCII that fits in any case.
func (c *cleaner) plain(s string) {
	if c.breaks > 0 {
		s = strings.TrimLeft(s, " ")
	}
	if s == "" || !c.lineBreaks() {
		return
	}
	if len(s) > c.left-len(ellipsis) {
		c.stop()
		return
	}
	c.swallow, c.visible = false, true
	c.left -= len(s)
	c.runes -= len(s)
	c.b.WriteString(s)
}

// flush writes a line's text, behind the line breaks that came before it.
func (c *cleaner) flush(runes []rune) bool {
	if len(runes) == 0 || !c.visible && strings.TrimSpace(string(runes)) == "" {
		return true
	}
	if !c.lineBreaks() {
		return false
	}
	c.visible = true
	for i, r := range runes {
		cost := htmlCost(r)
		if cost > c.left-len(ellipsis) || c.runes == 0 {
			c.unjoin(runes[:i], r)
			c.stop()
			return false
		}
		c.left -= cost
		c.runes--
		writeHTML(&c.b, r)
	}
	return true
}

// htmlCost is how many bytes encoding/json writes for r escaped for HTML; it
// writes six for an ampersand.
func htmlCost(r rune) int {
	switch r {
	case '"':
		return 6 + len("quot;")
	case '&', '\'':
		return 6 + len("amp;")
	case '<', '>':
		return 6 + len("lt;")
	default:
		return jsonCost(r)
	}
}

// unjoin takes back what was written of a sequence of joined runes that next
// would continue.
func (c *cleaner) unjoin(written []rune, next rune) {
	head := string(written)
	rest := trimJoined(head, string(next))
	cutOff := escapeHTML(head[len(rest):])
	s := c.b.String()
	if !strings.HasSuffix(s, cutOff) {
		return
	}
	c.b.Reset()
	c.b.WriteString(s[:len(s)-len(cutOff)])
}

// lineBreaks writes the line breaks that wait: none at the beginning, and at
// most one empty line.
func (c *cleaner) lineBreaks() bool {
	n := min(c.breaks, 2)
	c.breaks = 0
	if !c.visible || n == 0 {
		return true
	}
	return c.write(strings.Repeat("<br>", n))
}

func (c *cleaner) start(t html.Token) {
	tag := canonical(t.DataAtom)
	if tag == atom.Br {
		c.breaks++
		c.swallow = true
		return
	}
	attr, ok := c.allowed(tag, t.Attr)
	if !ok {
		c.drop(tag, t.Data)
		return
	}
	if len(c.open) >= maxOpen {
		return
	}
	if !c.lineBreaks() {
		return
	}
	begin, end := "<"+tag.String()+attr+">", "</"+tag.String()+">"
	if jsonLen(begin)+jsonLen(end) > c.left-len(ellipsis) {
		c.stop()
		return
	}
	c.left -= jsonLen(begin) + jsonLen(end)
	c.b.WriteString(begin)
	c.open = append(c.open, tag)
}

// drop notes a tag that is not written.
func (c *cleaner) drop(tag atom.Atom, name string) {
	what := "<" + cut(name, 20, 40) + ">"
	switch {
	case tag == atom.A && slices.Contains(c.open, atom.A):
		what = "a link inside of a link"
	case tag == atom.A:
		what = "a link that is no absolute http(s) URL"
	case tag == atom.Font:
		what = "a color that is not written #RRGGBB"
	}
	if len(c.dropped) < maxDropped && !slices.Contains(c.dropped, what) {
		c.dropped = append(c.dropped, what)
	}
}

// canonical returns the tag of Chat's subset that means the same.
func canonical(tag atom.Atom) atom.Atom {
	switch tag {
	case atom.Strong:
		return atom.B
	case atom.Em:
		return atom.I
	case atom.Strike, atom.Del:
		return atom.S
	default:
		return tag
	}
}

// allowed says whether a tag is one of Chat's
// (https://developers.google.com/workspace/chat/format-messages#card-formatting),
// and returns the attribute that it keeps.
func (c *cleaner) allowed(tag atom.Atom, attrs []html.Attribute) (attr string, ok bool) {
	switch tag {
	case atom.B, atom.I, atom.U, atom.S, atom.Time, atom.Code, atom.Pre, atom.Ul, atom.Ol:
		return "", true
	case atom.Li:
		return "", slices.Contains(c.open, atom.Ul) || slices.Contains(c.open, atom.Ol)
	case atom.Font:
		color := attribute(attrs, "color")
		return ` color="` + color + `"`, isColor(color)
	case atom.A:
		href, ok := webURL(attribute(attrs, "href"))
		return ` href="` + escapeHTML(href) + `"`, ok && !slices.Contains(c.open, atom.A)
	default:
		return "", false
	}
}

// isColor says whether s is a colour in the only form that Chat documents.
func isColor(s string) bool {
	return len(s) == len("#RRGGBB") && s[0] == '#' && strings.Trim(s[1:], "0123456789abcdefABCDEF") == ""
}

func attribute(attrs []html.Attribute, name string) string {
	for _, a := range attrs {
		if a.Key == name && a.Namespace == "" {
			return a.Val
		}
	}
	return ""
}

// end closes a tag, and with it what was opened inside of it.
func (c *cleaner) end(t html.Token) {
	tag := canonical(t.DataAtom)
	if tag == 0 || !slices.Contains(c.open, tag) {
		return
	}
	for {
		last := c.open[len(c.open)-1]
		c.open = c.open[:len(c.open)-1]
		c.b.WriteString("</" + last.String() + ">")
		if last == tag {
			return
		}
	}
}

// maxURL is the longest link that is sent, in bytes.
const maxURL = 4096

// webURL returns a link as it may be sent: one bad link blanks a whole message
// in Chat. Only absolute http and https URLs may.
func webURL(s string) (string, bool) {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > maxURL {
		return "", false
	}
	for _, r := range s {
		if r <= ' ' || r == 0x7f || r == '\ufffd' || r == '\\' {
			return "", false
		}
		if _, ok := clean(r); !ok {
			return "", false
		}
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.Opaque != "" || strings.ContainsAny(u.Host, "<>\"'") {
		return "", false
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return "", false
	}
	host := strings.Index(s, u.Host) + len(u.Host)
	return s[:host] + percentEncode(s[host:]), true
}

// percentEncode replaces what may not stand in a URL and is known to.
func percentEncode(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c < 0x80 && strings.IndexByte("<>\"'`|^{}", c) < 0 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', hex[c>>4], hex[c&15]})
	}
	return b.String()
}
