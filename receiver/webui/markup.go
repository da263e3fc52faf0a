package webui

import (
	"html/template"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// maxOpen is how deep elements may be nested; of those below, the text is shown.
const maxOpen = 30

// cardHTML turns the subset of HTML that cards take into HTML of ours
// (https://developers.google.com/workspace/chat/format-messages#card-formatting).
// Tags that are not of it go and their text stays, as Chat does. The result is
// balanced, whatever comes in.
func cardHTML(s string) template.HTML {
	c := &cleaner{}
	z := html.NewTokenizer(strings.NewReader(s))
	for {
		switch z.Next() {
		case html.ErrorToken:
			c.closeTo(0)
			return template.HTML(c.out.String()) //nolint:gosec // G203: it is made of allowed tags and escaped text
		case html.TextToken:
			c.out.WriteString(html.EscapeString(z.Token().Data))
		case html.StartTagToken, html.SelfClosingTagToken:
			c.start(z.Token())
		case html.EndTagToken:
			c.end(z.Token().Data)
		case html.CommentToken, html.DoctypeToken:
		}
	}
}

// cardTags are the tags of a card's text, with those that take their place.
var cardTags = map[string]string{
	"b": "b", "i": "i", "u": "u", "s": "s", "font": "span", "a": "a", "time": "time", "br": "br",
	"code": "code", "pre": "pre", "ul": "ul", "ol": "ol", "li": "li",
}

// cleaner builds HTML out of tags that are allowed.
type cleaner struct {
	out  strings.Builder
	open []string // the names as they came; those of links and fonts without an attribute too
}

func (c *cleaner) start(t html.Token) {
	name, ok := cardTags[t.Data]
	switch {
	case !ok:
	case name == "br":
		c.out.WriteString("<br>")
	case len(c.open) < maxOpen:
		if name == "a" {
			c.end("a") // links do not nest
		}
		c.open = append(c.open, t.Data)
		c.out.WriteString("<" + name + attributes(t) + ">")
	}
}

// end closes an element with all that are open inside of it. One that is not
// open is passed over.
func (c *cleaner) end(name string) {
	for i, open := range slices.Backward(c.open) {
		if open == name {
			c.closeTo(i)
			return
		}
	}
}

func (c *cleaner) closeTo(n int) {
	for _, name := range slices.Backward(c.open[n:]) {
		c.out.WriteString("</" + cardTags[name] + ">")
	}
	c.open = c.open[:n]
}

// attributes returns the attributes of a tag that are kept.
func attributes(t html.Token) string {
	for _, a := range t.Attr {
		switch {
		case t.Data == "font" && a.Key == "color" && colour.MatchString(a.Val):
			return ` data-ink="` + a.Val + `"`
		case t.Data == "a" && a.Key == "href":
			return linkTo(a.Val)
		}
	}
	return ""
}

// linkTo returns the attributes of a link; none where it leads to no absolute
// http(s) URL.
func linkTo(address string) string {
	u := link(address)
	if u == "" {
		return ""
	}
	return ` href="` + html.EscapeString(u) + `" target="_blank" rel="noopener noreferrer"`
}

// link returns an address that Chat opens, or nothing.
func link(address string) string {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return u.String()
}

var colour = regexp.MustCompile(`^#([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})$`)
