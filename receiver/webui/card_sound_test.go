package webui_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"alertchat/receiver/chat"
	"alertchat/receiver/webui"
)

// allowed has the elements that may be drawn, and the attributes of each beside
// class, dir, title, role, hidden, tabindex and those of ARIA.
var allowed = map[string]string{
	"a": "href rel target data-fill data-ink", "b": "", "blockquote": "", "br": "", "button": "type data-more data-less data-fill data-ink", "code": "",
	"div": "data-lines data-columns", "hr": "", "i": "", "li": "", "ol": "", "p": "", "path": "d", "pre": "", "s": "", "small": "",
	"span": "data-ink data-chosen", "svg": "viewBox", "time": "", "u": "", "ul": "",
}

var (
	everywhere = strings.Fields("class dir title role hidden tabindex aria-label aria-hidden aria-expanded aria-haspopup aria-disabled")
	// values has what an attribute that is set by a message may be.
	values = map[string]*regexp.Regexp{
		"href":         regexp.MustCompile(`^(?i:https?)://[^\s\\]+$`),
		"rel":          regexp.MustCompile(`^noopener noreferrer$`),
		"target":       regexp.MustCompile(`^_blank$`),
		"class":        regexp.MustCompile(`^chat-[a-z-]+( chat-[a-z-]+)*$`),
		"data-fill":    regexp.MustCompile(`^#[0-9a-f]{6}$`),
		"data-ink":     regexp.MustCompile(`^#([0-9A-Fa-f]{3}){1,2}$`),
		"data-lines":   regexp.MustCompile(`^[1-9][0-9]*$`),
		"data-columns": regexp.MustCompile(`^-?[0-9]+$`),
		"data-chosen":  regexp.MustCompile(`^(true|false)$`),
	}
)

// sound checks that what was drawn is one element, complete, in which there is
// nothing but what may be.
func sound(t *testing.T, drawn string) *html.Node {
	t.Helper()
	const after = "<i>after</i>"
	body := &html.Node{Type: html.ElementNode, Data: "body", DataAtom: atom.Body}
	nodes, err := html.ParseFragment(strings.NewReader(drawn+after), body)
	if err != nil {
		t.Fatal(err)
	}
	if len(nodes) != 3 || attribute(nodes[0], "class") != "chat-message" || nodes[1].Data != "\n" || nodes[2].Data != "i" || len(nodes[2].Attr) > 0 {
		t.Fatalf("what was drawn is not one element: it has %d nodes: %q", len(nodes), drawn)
	}
	walk(nodes[0], func(n *html.Node) {
		switch n.Type {
		case html.TextNode:
		case html.ElementNode:
			own, ok := allowed[n.Data]
			if !ok {
				t.Errorf("an element %q was drawn: %q", n.Data, drawn)
			}
			for _, a := range n.Attr {
				if !slices.Contains(everywhere, a.Key) && !slices.Contains(strings.Fields(own), a.Key) {
					t.Errorf("<%s> was drawn with the attribute %q", n.Data, a.Key)
				}
				if want := values[a.Key]; want != nil && !want.MatchString(a.Val) {
					t.Errorf("<%s> was drawn with %s=%q", n.Data, a.Key, a.Val)
				}
			}
		default:
			t.Errorf("a node of type %d was drawn: %q", n.Type, n.Data)
		}
		if n.Data == "a" || n.Data == "button" {
			for up := n.Parent; up != nil; up = up.Parent {
				if up.Data == "a" || up.Data == "button" {
					t.Errorf("<%s> was drawn inside of <%s>", n.Data, up.Data)
				}
			}
		}
	})
	return nodes[0]
}

// hostile has texts that may break out of where they stand.
func hostile() []string {
	return []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `</div></div></ul></body><h1>x</h1>`,
		`<a href="javascript:alert(1)">x</a>`, `<a href="java&#10;script:alert(1)">x</a>`, `<a href=" https://example.com/ onclick=x">x</a>`,
		`[x](javascript:alert(1))`, `![x](javascript:alert(1))`, `<javascript:alert(1)|x>`, `javascript:alert(1)`, `//example.com/x`, `/rel`,
		`<style>*{display:none}</style>`, `<b style="position:fixed" onclick="x()" class="chat-card">x</b>`, `<font color="red;background:url(x)">x</font>`,
		`<iframe srcdoc="<script>x</script>">`, `<svg><script>x</script></svg>`, `<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=x&gt;">`,
		`<!-- --!> <img src=x onerror=x> -->`, `<plaintext>`, `<textarea>`, `</textarea><script>x</script>`, `</option></select><script>x</script>`, `<template>`, `<noscript><p title="</noscript><img src=x onerror=x>">`,
		"\x00<\x00script>", "\u202egnirts", "\u2028", "&lt;script&gt;", "&#0;&#x1F;&#xFDD0;", strings.Repeat("<b>", 500), strings.Repeat("<ul><li>", 500), strings.Repeat("</div>", 50),
		strings.Repeat(">", 2000) + "x", strings.Repeat("* ", 2000), strings.Repeat("[", 2000), strings.Repeat("*a _b ~c ", 2000), strings.Repeat("`", 3001), strings.Repeat("<", 3000),
		"{{ .Version }}", "https://example.com/\"onmouseover=alert(1)//", "<https://example.com/\"><script>|x>", "<users/all><users/<b>>", "<users/\"x>",
	}
}

func TestHostileTextCannotLeaveItsPlace(t *testing.T) {
	sample := message(t, "widgets.json")
	for _, h := range hostile() {
		for _, markup := range []string{"MARKUP_SYNTAX_CHAT", "MARKUP_SYNTAX_MARKDOWN"} {
			body := everyText(t, sample, h)
			body["markupSyntax"] = markup
			got, err := webui.Draw(encode(t, body), chat.ByApp)
			if err != nil {
				continue // it became too long
			}
			sound(t, string(got))
		}
	}
}

func FuzzDraw(f *testing.F) {
	for _, name := range []string{"widgets.json", "alert-card.json", "alert-card-app.json"} {
		f.Add([]byte(message(f, name)), true)
	}
	f.Add([]byte(`{"text":"<a href='javascript:x'>","markup_syntax":"MARKUP_SYNTAX_MARKDOWN","cards_v2":[{"card":{"header":{},"sections":[{"widgets":[{"text_paragraph":{"text":"<b"}},{}]}]}}]}`), false)
	f.Add([]byte(`{"cardsV2":[{"card":{"sections":[{"collapsible":1,"uncollapsibleWidgetsCount":"-5","widgets":[{"grid":{"columnCount":1e300,"items":[{}]}},{"image":{}}]}]}}]}`), false)
	f.Fuzz(func(t *testing.T, body []byte, app bool) {
		door := chat.ByWebhook
		if app {
			door = chat.ByApp
		}
		got, err := webui.Draw(body, door)
		if err == nil {
			sound(t, string(got))
		}
	})
}

func FuzzMarkup(f *testing.F) {
	for _, h := range hostile() {
		f.Add(h)
	}
	f.Add("*a* _b_ ~c~ `d` ```e``` <https://example.com|f> https://example.com/g)\n> q\n* l\n\n# h\n1. n")
	f.Fuzz(func(t *testing.T, s string) {
		paragraph := func(syntax string) map[string]any {
			return map[string]any{"textParagraph": map[string]any{"text": s, "textSyntax": syntax}}
		}
		for _, syntax := range []string{"MARKUP_SYNTAX_CHAT", "MARKUP_SYNTAX_MARKDOWN"} {
			got, err := webui.Draw(encode(t, map[string]any{
				"text": s, "markupSyntax": syntax,
				"cardsV2": []any{map[string]any{"card": map[string]any{"sections": []any{map[string]any{
					"widgets": []any{paragraph("HTML"), paragraph("MARKDOWN")},
				}}}}},
			}), chat.ByApp)
			if err == nil {
				sound(t, string(got))
			}
		}
	})
}
