package webui_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"alertchat/receiver/chat"
	"alertchat/receiver/webui"
)

// inside returns what is drawn in the first element of a class.
func inside(t *testing.T, drawn, class string) string {
	t.Helper()
	found := regexp.MustCompile(`(?s)<div class="` + class + `"[^>]*>(.*?)</div>`).FindStringSubmatch(drawn)
	if found == nil {
		t.Fatalf("nothing of the class %s is drawn: %s", class, drawn)
	}
	return found[1]
}

// leads is how a link to an address begins.
func leads(address string) string {
	return `<a href="` + address + `" target="_blank" rel="noopener noreferrer">`
}

func TestTextInChatsSyntax(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"plain text", "a & b < c", "a &amp; b &lt; c"},
		{"formats", "*b* _i_ ~s~ `m`", "<b>b</b> <i>i</i> <s>s</s> <code>m</code>"},
		{"formats inside of each other", "*b _i ~s~_*", "<b>b <i>i <s>s</s></i></b>"},
		{"marks inside of words", "a_b_c* 2*3*4 ~/x~y", "a_b_c* 2*3*4 ~/x~y"},
		{"marks beside spaces", "* a* _ b_ *c *", "<ul><li>a* _ b_ *c *</li></ul>"},
		{"marks that were made harmless", "*\u200bno* _\u200bno_", "*\u200bno* _\u200bno_"},
		{"a mark without an end", "*a", "*a"},
		{"code is literal", "`*a* <https://x.example>`", "<code>*a* &lt;https://x.example&gt;</code>"},
		{"code inside of a format", "*a `b* c` d*", "<b>a <code>b* c</code> d</b>"},
		{"a link inside of a format", "*<https://a.example|b* c>*", "<b>" + leads("https://a.example") + "b* c</a></b>"},
		{"a block", "a\n```\n*b* <i>\n```\nc", "a<pre>*b* &lt;i&gt;</pre>c"},
		{"a block without an end", "a ```b", "a ```b"},
		{"lines", "a\nb", "a<br>b"},
		{"a list", "a\n* b\n- *c*\nd", "a<ul><li>b</li><li><b>c</b></li></ul>d"},
		{"a quote", "> a\n>b\nc", "<blockquote>a<br>b</blockquote>c"},
		{"mentions", "<users/123> <users/all> <users/x>", `<span class="chat-mention">@123</span> <span class="chat-mention">@all</span> &lt;users/x&gt;`},
		{"a link", "<https://a.example/?x=1&y=2|la*b*el>", leads("https://a.example/?x=1&amp;y=2") + "la*b*el</a>"},
		{"a link without a label", "<https://a.example/>", leads("https://a.example/") + "https://a.example/</a>"},
		{"a bare link", "see https://a.example/b_c_d.", "see " + leads("https://a.example/b_c_d") + "https://a.example/b_c_d</a>."},
		{"what is no link", "<javascript:x|a> <//a|b> xhttps://a.example https:", "&lt;javascript:x|a&gt; &lt;//a|b&gt; xhttps://a.example https:"},
		{"HTML is text", `<b>x</b><script>`, "&lt;b&gt;x&lt;/b&gt;&lt;script&gt;"},
	} {
		body, _ := json.Marshal(chat.Message{Text: c.text})
		if got := inside(t, draw(t, string(body)), "chat-text"); got != c.want {
			t.Errorf("%s: %q is drawn as\n%s\nwant\n%s", c.name, c.text, got, c.want)
		}
	}
}

// paragraph is a message of one paragraph.
func paragraph(text, syntax string) string {
	body, err := json.Marshal(chat.Message{CardsV2: []chat.CardWithID{{Card: &chat.Card{Sections: []chat.Section{{
		Widgets: []chat.Widget{{TextParagraph: &chat.TextParagraph{Text: text, TextSyntax: syntax}}},
	}}}}}})
	if err != nil {
		panic(err)
	}
	return string(body)
}

func TestTheHTMLOfCards(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"text", `a &amp; b &lt;i&gt; *c*`, "a &amp; b &lt;i&gt; *c*"},
		{"its tags", `<b>b</b><i>i</i><u>u</u><s>s</s><code>c</code><time>t</time>`, `<b>b</b><i>i</i><u>u</u><s>s</s><code>c</code><time>t</time>`},
		{"lists and blocks", "<ul><li>a</li></ul><ol><li>b</li></ol><pre><code>c</code></pre>d<br>e", "<ul><li>a</li></ul><ol><li>b</li></ol><pre><code>c</code></pre>d<br>e"},
		{"tags in capitals", `<B>b</B>`, `<b>b</b>`},
		{"a colour", `<font color="#Ab12fF">x</font><font color="#123">y</font>`, `<span data-ink="#Ab12fF">x</span><span data-ink="#123">y</span>`},
		{"what is no colour", `<font color="red">x</font><font color="#12345">y</font>`, `<span>x</span><span>y</span>`},
		{"a link", `<a href="https://a.example/?b=1&amp;c=2">x</a>`, leads("https://a.example/?b=1&amp;c=2") + "x</a>"},
		{"links that Chat does not open", `<a href="javascript:x">x</a><a href="/y">y</a><a>z</a>`, "<a>x</a><a>y</a><a>z</a>"},
		{"links do not nest", `<a href="https://a.example">x<a href="https://b.example">y</a></a>`, leads("https://a.example") + "x</a>" + leads("https://b.example") + "y</a>"},
		{"unknown tags go, and their text stays", `<marquee>a</marquee><strong>b</strong><img src=x onerror=y>c<script>d</script>`, `abcd`},
		{"attributes go", `<b onclick="x()" style="y" class="z">b</b>`, `<b>b</b>`},
		{"tags that are not closed", `<b><i>x`, `<b><i>x</i></b>`},
		{"tags that were not opened", `x</b></div></i>y`, `xy`},
		{"tags that overlap", `<b>x<i>y</b>z</i>`, `<b>x<i>y</i></b>z`},
		{"comments", `a<!-- b -->c<!DOCTYPE d>`, `ac`},
	} {
		if got := inside(t, draw(t, paragraph(c.text, "")), "chat-paragraph"); got != c.want {
			t.Errorf("%s: %q is drawn as\n%s\nwant\n%s", c.name, c.text, got, c.want)
		}
	}
}

func TestMarkdown(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"formats", "**b** __b__ *i* _i_ ~s~ ~~s~~ `c`", "<b>b</b> <b>b</b> <i>i</i> <i>i</i> <s>s</s> <s>s</s> <code>c</code>"},
		{"formats inside of each other", "**b *i* ~s~**", "<b>b <i>i</i> <s>s</s></b>"},
		{"lists", "- a\n- b\n1. c\n2. d\ne", "<ul><li>a</li><li>b</li></ul><ol><li>c</li><li>d</li></ol>e"},
		{"a block", "```\n**a**\n```", "<pre>**a**</pre>"},
		{"a link", "[x_y_](https://a.example/)", leads("https://a.example/") + "x_y_</a>"},
		{"a bare link", "https://a.example/", leads("https://a.example/") + "https://a.example/</a>"},
		{"what is no link", "[x](javascript:y) [x](/y) [x] (z) [x](", "[x](javascript:y) [x](/y) [x] (z) [x]("},
		{"a backslash", `\*a\* \[x](https://a.example) \<b> \a`, `*a* [x](` + leads("https://a.example") + `https://a.example</a>) &lt;b&gt; \a`},
		{"a mark behind a backslash ends nothing", `*a\* b*`, "<i>a* b</i>"},
		{"HTML is text", "a <b>c</b>", "a &lt;b&gt;c&lt;/b&gt;"},
	} {
		if got := strings.TrimSpace(inside(t, draw(t, paragraph(c.text, "MARKDOWN")), "chat-paragraph")); got != c.want {
			t.Errorf("in a card, %s: %q is drawn as\n%s\nwant\n%s", c.name, c.text, got, c.want)
		}
		body, _ := json.Marshal(chat.Message{Text: c.text, MarkupSyntax: "MARKUP_SYNTAX_MARKDOWN"})
		if got := strings.TrimSpace(inside(t, draw(t, string(body)), "chat-text")); got != c.want {
			t.Errorf("as text, %s: %q is drawn as\n%s\nwant\n%s", c.name, c.text, got, c.want)
		}
	}
}

func TestWhatChatWouldNotShowIsSaid(t *testing.T) {
	widgets := func(n int) string {
		return `{"widgets":[` + strings.TrimSuffix(strings.Repeat(`{"divider":{}},`, n), ",") + `]}`
	}
	card := func(sections ...string) string {
		return `{"text":"x","cardsV2":[{"card":{"header":{"title":"y"},"sections":[` + strings.Join(sections, ",") + `]}}]}`
	}
	for _, c := range []struct {
		name, body string
		door       chat.Door
		want, not  string
	}{
		{"nothing", card(widgets(100)), chat.ByWebhook, "<hr>", "Google Chat"},
		{"sections above 100 widgets", card(widgets(60), widgets(41), widgets(1)), chat.ByWebhook, "Google Chat shows nothing from here on: with the next section the card has more than 100 widgets. 2 sections are missing.", ""},
		{"widgets in columns count", card(widgets(98), `{"widgets":[{"columns":{"columnItems":[{"widgets":[{"divider":{}},{"divider":{}}]}]}}]}`), chat.ByWebhook, "1 section is missing.", ""},
		{"a relative link", card(`{"widgets":[{"buttonList":{"buttons":[{"text":"b","onClick":{"openLink":{"url":"/x"}}}]}}]}`), chat.ByWebhook, "Google Chat shows it otherwise: cardsV2[0].card.sections[0].widgets[0].buttonList.buttons[0].onClick.openLink.url: is not an absolute", `href="/x"`},
		{"an unknown field", `{"text":"x","footer":1}`, chat.ByWebhook, "Google Chat refuses the message: ", ""},
		{"an app's input in a webhook's message", card(`{"widgets":[{"textInput":{"name":"n","label":"l"}}]}`), chat.ByWebhook, "needs a Chat app", ""},
		{"a message that is too long", `{"text":"` + strings.Repeat("x", 32_000) + `"}`, chat.ByWebhook, "Google Chat refuses the message: ", "xxx"},
		{"an icon without a picture", card(`{"widgets":[{"decoratedText":{"text":"x","startIcon":{"materialIcon":{"name":"no_such"}}}}]}`), chat.ByWebhook, "the preview has no picture of the icon no_such", "<svg"},
	} {
		got, err := webui.Draw([]byte(c.body), c.door)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !strings.Contains(string(got), c.want) || c.not != "" && strings.Contains(string(got), c.not) {
			t.Errorf("%s: drawn is\n%s\nwant it to say %q, and not %q", c.name, got, c.want, c.not)
		}
	}
	if got, err := webui.Draw([]byte(`[]`), chat.ByApp); err == nil {
		t.Errorf("what is no message is drawn as %s", got)
	}
}

func TestEachIconOfChatHasAPicture(t *testing.T) {
	for _, name := range []string{
		"AIRPLANE", "BOOKMARK", "BUS", "CAR", "CLOCK", "CONFIRMATION_NUMBER_ICON", "DESCRIPTION", "DOLLAR", "EMAIL",
		"EVENT_SEAT", "FLIGHT_ARRIVAL", "FLIGHT_DEPARTURE", "HOTEL", "HOTEL_ROOM_TYPE", "INVITE", "MAP_PIN",
		"MEMBERSHIP", "MULTIPLE_PEOPLE", "PERSON", "PHONE", "RESTAURANT_ICON", "SHOPPING_CART", "STAR", "STORE",
		"TICKET", "TRAIN", "VIDEO_CAMERA", "VIDEO_PLAY",
	} {
		body := fmt.Sprintf(`{"cardsV2":[{"card":{"sections":[{"widgets":[{"decoratedText":{"text":"x","startIcon":{"knownIcon":%q,"altText":"an icon"}}}]}]}}]}`, name)
		if got := draw(t, body); !strings.Contains(got, `<svg class="chat-icon chat-large" role="img" aria-label="an icon"`) || strings.Contains(got, "chat-remarks") {
			t.Errorf("%s is drawn as %s", name, got)
		}
	}
}
