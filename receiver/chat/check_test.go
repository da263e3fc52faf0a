package chat_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"alertchat/receiver/chat"
)

func example(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// widget puts a widget into an otherwise faultless message.
func widget(w string) string {
	return `{"text":"x","cardsV2":[{"card":{"sections":[{"widgets":[` + w + `]}]}}]}`
}

// button puts a button into an otherwise faultless message.
func button(b string) string { return widget(`{"buttonList":{"buttons":[` + b + `]}}`) }

func lines(violations []chat.Violation) []string {
	var all []string
	for _, v := range violations {
		kind := "rejected: "
		if v.Kind == chat.Remark {
			kind = "remark: "
		}
		all = append(all, kind+v.String())
	}
	return all
}

func TestCheckTakesWhatChatTakes(t *testing.T) {
	link := `{"openLink":{"url":"https://example.com/a?b=c"}}`
	tests := []struct {
		name string
		body string
		door chat.Door
	}{
		{"a real alert card", string(example(t, "alert-card.json")), chat.ByWebhook},
		{"a Chat app's alert card with actions and accessory widgets", string(example(t, "alert-card-app.json")), chat.ByApp},
		{"text alone", `{"text":"x"}`, chat.ByWebhook},
		{"text of exactly the greatest length", `{"text":"` + strings.Repeat("ü", chat.MaxTextRunes) + `"}`, chat.ByWebhook},
		{"a thread key of exactly the greatest length", `{"text":"x","thread":{"threadKey":"` + strings.Repeat("k", chat.MaxThreadKey) + `"}}`, chat.ByWebhook},
		{"a thread's name", `{"text":"x","thread":{"name":"spaces/A/threads/T"}}`, chat.ByWebhook},
		{"names in snake case", `{"text":"x","cards_v2":[{"card_id":"a","card":{"sections":[{"widgets":[{"text_paragraph":{"text":"x","max_lines":2}}]}]}}]}`, chat.ByWebhook},
		{"null as if it were not there", `{"text":"x","cardsV2":null,"thread":null}`, chat.ByWebhook},
		{"a whole number written otherwise", widget(`{"textParagraph":{"text":"x","maxLines":2e0}}`), chat.ByWebhook},
		{"a number in a string", widget(`{"textParagraph":{"text":"x","maxLines":"2"}}`), chat.ByWebhook},
		{"64 bits as a string", widget(`{"dateTimePicker":{"name":"d","valueMsEpoch":"1763600000000"}}`), chat.ByApp},
		{"64 bits as a number", widget(`{"dateTimePicker":{"name":"d","valueMsEpoch":1763600000000}}`), chat.ByApp},
		{"contentText instead of text", widget(`{"decoratedText":{"contentText":{"text":"x"}}}`), chat.ByWebhook},
		{"a button with an icon alone", button(`{"icon":{"knownIcon":"CLOCK"},"onClick":` + link + `}`), chat.ByWebhook},
		{"an http link", button(`{"text":"x","onClick":{"openLink":{"url":"http://example.com"}}}`), chat.ByWebhook},
		{"a menu of links", button(`{"text":"x","onClick":{"overflowMenu":{"items":[{"text":"y","onClick":` + link + `}]}}}`), chat.ByWebhook},
		{"a carousel", widget(`{"carousel":{"carouselCards":[{"widgets":[{"textParagraph":{"text":"x"}}]}]}}`), chat.ByWebhook},
		{"exactly 100 widgets", widget(strings.Repeat(`{"divider":{}},`, 99) + `{"divider":{}}`), chat.ByWebhook},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := chat.Check([]byte(tt.body), tt.door); len(got) > 0 {
				t.Errorf("Check(%s) = %q, want nothing", tt.body, lines(got))
			}
		})
	}
}

func TestCheckFinds(t *testing.T) {
	const (
		w   = "cardsV2[0].card.sections[0].widgets[0]"
		btn = w + ".buttonList.buttons[0]"
	)
	link := `{"openLink":{"url":"https://example.com"}}`
	tests := []struct {
		name string
		body string
		want []string
	}{
		{"no document", ``, []string{"rejected: not a JSON document: the document ends too early"}},
		{"half a document", `{"text":`, []string{"rejected: not a JSON document: the document ends too early"}},
		{"bad syntax", `{"text" "x"}`, []string{`rejected: not a JSON document: at byte 8: invalid character '"' after object key`}},
		{"two documents", `{"text":"x"}{}`, []string{"rejected: not a JSON document: at byte 13: something follows the message"}},
		{"bytes that are not UTF-8", "{\"text\":\"\xff\"}", []string{"rejected: not a JSON document: not UTF-8"}},
		{"a list", `[]`, []string{"rejected: a message is an object, not a list"}},
		{"null", `null`, []string{"rejected: a message is an object, not null"}},
		{"nothing in the message", `{}`, []string{"rejected: the message is empty: it needs a text or a card"}},
		{"blank text and no cards", `{"text":" \n","cardsV2":[]}`, []string{"rejected: the message is empty: it needs a text or a card"}},

		{"an unknown field at the top", `{"text":"x","previewText":"y"}`, []string{
			`rejected: unknown field "previewText"; known here: accessoryWidgets, actionResponse, attachment, cardsV2, clientAssignedMessageId, ` +
				`createTime, elements, fallbackText, markupSyntax, name, privateMessageViewer, quotedMessageMetadata, text, thread`,
		}},
		{"an unknown field of a card", `{"text":"x","cardsV2":[{"card":{"footer":{},"header":{"title":"x"}}}]}`, []string{
			`rejected: cardsV2[0].card: unknown field "footer"; known here: cardActions, displayStyle, expressionData, fixedFooter, header, name, ` +
				"peekCardHeader, sectionDividerStyle, sections",
		}},
		{"a field with a slip", `{"text":"x","cardsV2":[{"card":{"headr":{},"header":{"title":"x"}}}]}`, []string{
			`rejected: cardsV2[0].card: unknown field "headr"; did you mean "header"?`,
		}},
		{"a field in the wrong case", button(`{"text":"x","onclick":{}}`), []string{
			"rejected: " + btn + `: unknown field "onclick"; did you mean "onClick"?`,
			"remark: " + btn + ".onClick: is missing: Chat hides the whole card for a button that does nothing",
		}},
		{"a field set twice", `{"text":"x","text":"y"}`, []string{"rejected: text: set twice"}},
		{"a field set by both of its names", `{"text":"x","fallbackText":"a","fallback_text":"b"}`, []string{"rejected: fallbackText: set twice"}},
		{"a field that only Chat sets", `{"text":"x","sender":{"name":"users/1"}}`, []string{"remark: sender: set by Chat: what is sent is ignored"}},
		{"cards of version 1", `{"text":"x","cards":[{"sections":[{"widgets":[{"textParagraph":{"text":""}}]}]}]}`, []string{"remark: cards: deprecated"}},

		{"a number for a string", `{"text":5}`, []string{
			"rejected: text: must be a string, not a number", "rejected: the message is empty: it needs a text or a card",
		}},
		{"a string for a boolean", widget(`{"decoratedText":{"text":"x","wrapText":"yes"}}`), []string{
			"rejected: " + w + ".decoratedText.wrapText: must be true or false, not a string",
		}},
		{"an object for a list", `{"text":"x","cardsV2":{}}`, []string{"rejected: cardsV2: must be a list, not an object"}},
		{"a list for an object", `{"text":"x","thread":[]}`, []string{"rejected: thread: must be an object, not a list"}},
		{"null in a list", `{"text":"x","cardsV2":[null]}`, []string{"rejected: cardsV2[0]: must be an object, not null"}},
		{"a fraction for a whole number", widget(`{"textParagraph":{"text":"x","maxLines":1.5}}`), []string{
			"rejected: " + w + `.textParagraph.maxLines: "1.5" is not a whole number of 32 bits`,
		}},
		{"a whole number out of range", widget(`{"textParagraph":{"text":"x","maxLines":3000000000}}`), []string{
			"rejected: " + w + `.textParagraph.maxLines: "3000000000" is not a whole number of 32 bits`,
		}},
		{"words for a number", widget(`{"textParagraph":{"text":"x","maxLines":"many"}}`), []string{
			"rejected: " + w + `.textParagraph.maxLines: "many" is not a whole number of 32 bits`,
		}},
		{"no number for a number", widget(`{"textParagraph":{"text":"x","maxLines":true}}`), []string{
			"rejected: " + w + ".textParagraph.maxLines: must be a number, not true or false",
		}},
		{"a value out of an enum", `{"text":"x","markupSyntax":"HTML"}`, []string{
			`rejected: markupSyntax: unknown value "HTML"; one of MARKUP_SYNTAX_UNSPECIFIED, MARKUP_SYNTAX_CHAT, MARKUP_SYNTAX_MARKDOWN`,
		}},
		{"a time that is none", `{"text":"x","createTime":"yesterday"}`, []string{
			`rejected: createTime: "yesterday" is no time; it is written 2006-01-02T15:04:05Z`,
		}},

		{"too much text", `{"text":"` + strings.Repeat("x", chat.MaxTextRunes+1) + `"}`, []string{
			"rejected: text: has 4097 characters; Chat has always taken 4096",
		}},
		{"too many bytes", `{"text":"x","fallbackText":"` + strings.Repeat("x", chat.MaxMessageBytes) + `"}`, []string{
			"rejected: the message has 32030 bytes; Chat takes at most 32000",
		}},
		{"far too many bytes, which are not looked into", strings.Repeat("{", 1_000_000), []string{
			"rejected: the message has 1000000 bytes; Chat takes at most 32000",
		}},
		{"a thread key that is too long", `{"text":"x","thread":{"threadKey":"` + strings.Repeat("k", chat.MaxThreadKey+1) + `"}}`, []string{
			"rejected: thread.threadKey: has 4001 characters; Chat takes at most 4000",
		}},
		{"no name of a thread", `{"text":"x","thread":{"name":"threads/T"}}`, []string{
			`rejected: thread.name: "threads/T" is no name of a thread; it is written spaces/SPACE/threads/THREAD`,
		}},

		{"two cards, one without an id", `{"cardsV2":[{"cardId":"a","card":{"header":{"title":"x"}}},{"card":{"header":{"title":"x"}}}]}`, []string{
			"rejected: cardsV2[1].cardId: is missing: with more than one card each needs its own",
		}},
		{"an empty card", `{"text":"x","cardsV2":[{"card":{}}]}`, []string{"remark: cardsV2[0].card: an empty card is not shown"}},
		{"a header without a title", `{"text":"x","cardsV2":[{"card":{"header":{"subtitle":"y"}}}]}`, []string{
			"remark: cardsV2[0].card.header.title: is missing: without it the header stays blank",
		}},
		{"a header image without https", `{"text":"x","cardsV2":[{"card":{"header":{"title":"y","imageUrl":"/logo.png"}}}]}`, []string{
			"remark: cardsV2[0].card.header.imageUrl: is not an https URL: Chat shows no image",
		}},
		{"a fixed footer", `{"text":"x","cardsV2":[{"card":{"header":{"title":"y"},"fixedFooter":{}}}]}`, []string{
			"remark: cardsV2[0].card.fixedFooter: belongs to add-ons and dialogs: Chat does not show it in a message",
		}},
		{"an empty section", `{"text":"x","cardsV2":[{"card":{"sections":[{"collapsible":true}]}}]}`, []string{
			"remark: cardsV2[0].card.sections[0].widgets: is empty: an empty section is not shown",
		}},
		{"half a collapse control", `{"text":"x","cardsV2":[{"card":{"sections":[{"collapseControl":{"expandButton":{"text":"m","onClick":` + link + `}},"widgets":[{"divider":{}}]}]}}]}`, []string{
			"remark: cardsV2[0].card.sections[0].collapseControl.collapseButton: is missing: a collapse control needs both buttons",
		}},

		{"an empty widget", widget(`{}`), []string{
			"remark: " + w + ": an empty widget is not shown",
		}},
		{"a widget that is two", widget(`{"divider":{},"image":{"imageUrl":"https://example.com/x.png"}}`), []string{
			"rejected: " + w + ": only one of divider, image can stand here",
		}},
		{"an empty text paragraph", widget(`{"textParagraph":{"text":"  "}}`), []string{
			"rejected: " + w + ".textParagraph.text: is empty: Chat refuses a text paragraph without text",
		}},
		{"a decorated text without text", widget(`{"decoratedText":{"topLabel":"x"}}`), []string{
			"remark: " + w + ".decoratedText.text: is missing: without it, and without contentText, Chat drops the widget",
		}},
		{"a decorated text with two controls", widget(`{"decoratedText":{"text":"x","endIcon":{"knownIcon":"STAR"},"button":{"text":"b","onClick":` + link + `}}}`), []string{
			"rejected: " + w + ".decoratedText: only one of endIcon, button can stand here",
		}},
		{"a deprecated icon", widget(`{"decoratedText":{"text":"x","icon":{"knownIcon":"STAR"}}}`), []string{
			"remark: " + w + ".decoratedText.icon: deprecated",
		}},
		{"a list without buttons", widget(`{"buttonList":{}}`), []string{
			"remark: " + w + ".buttonList.buttons: is empty: Chat hides the whole card for a list without buttons",
		}},
		{"a divider in a column", widget(`{"columns":{"columnItems":[{"widgets":[{"divider":{}}]}]}}`), []string{
			"rejected: " + w + `.columns.columnItems[0].widgets[0]: unknown field "divider"; known here: buttonList, chipList, dateTimePicker, ` +
				"decoratedText, image, selectionInput, textInput, textParagraph",
			"remark: " + w + ".columns.columnItems[0].widgets[0]: an empty widget is not shown",
		}},
		{"three columns", widget(`{"columns":{"columnItems":[{},{},{}]}}`), []string{
			"rejected: " + w + ".columns.columnItems: has 3 columns; Chat takes at most 2",
		}},

		{"a button without anything", button(`{}`), []string{
			"remark: " + btn + ": a button needs a text or an icon",
			"remark: " + btn + ".onClick: is missing: Chat hides the whole card for a button that does nothing",
		}},
		{"a click that does nothing", button(`{"text":"x","onClick":{}}`), []string{
			"remark: " + btn + ".onClick: does nothing: Chat hides the whole card for it; one of openLink, overflowMenu, action",
		}},
		{"a relative link", button(`{"text":"x","onClick":{"openLink":{"url":"/graph?g0"}}}`), []string{
			"remark: " + btn + ".onClick.openLink.url: is not an absolute http or https URL: Chat shows the whole message blank",
		}},
		{"a link that runs a script", button(`{"text":"x","onClick":{"openLink":{"url":"javascript:alert(1)"}}}`), []string{
			"remark: " + btn + ".onClick.openLink.url: is not an absolute http or https URL: Chat shows the whole message blank",
		}},
		{"a link without a URL", button(`{"text":"x","onClick":{"openLink":{}}}`), []string{
			"remark: " + btn + ".onClick.openLink.url: is missing: Chat shows the whole message blank",
		}},
		{"an empty menu", button(`{"text":"x","onClick":{"overflowMenu":{}}}`), []string{
			"remark: " + btn + ".onClick.overflowMenu.items: is empty: Chat hides the whole card for an empty menu",
		}},
		{"a menu in a menu", button(`{"text":"x","onClick":{"overflowMenu":{"items":[{"text":"y","onClick":{"overflowMenu":{"items":[{"text":"z","onClick":` + link + `}]}}}]}}}`), []string{
			"remark: " + btn + ".onClick.overflowMenu.items[0].onClick.overflowMenu: menus cannot be nested",
		}},
		{"colors from 0 to 255", button(`{"text":"x","color":{"red":255,"alpha":1},"onClick":` + link + `}`), []string{
			"remark: " + btn + ".color.red: is 255; the parts of a color go from 0 to 1",
		}},
		{"an icon of no kind", button(`{"icon":{"altText":"x"},"onClick":` + link + `}`), []string{
			"remark: " + btn + ".icon: an icon without any of knownIcon, materialIcon, iconUrl shows nothing",
		}},
		{"an icon that is two", button(`{"icon":{"knownIcon":"STAR","materialIcon":{"name":"star"}},"onClick":` + link + `}`), []string{
			"rejected: " + btn + ".icon: only one of knownIcon, materialIcon can stand here",
		}},

		{"accessory widgets", `{"text":"x","accessoryWidgets":[{"buttonList":{"buttons":[{"text":"x","onClick":` + link + `}]}}]}`, []string{
			"rejected: accessoryWidgets: is not for an incoming webhook: it needs a Chat app",
		}},
		{"a private message", `{"text":"x","privateMessageViewer":{"name":"users/1"}}`, []string{
			"rejected: privateMessageViewer: is not for an incoming webhook: it needs a Chat app",
		}},
		{"an action", button(`{"text":"x","onClick":{"action":{"function":"ack"}}}`), []string{
			"remark: " + btn + ".onClick.action: needs a Chat app: a click on it only shows an error",
		}},
		{"a text input", widget(`{"textInput":{"name":"n"}}`), []string{
			"remark: " + w + ".textInput: needs a Chat app: nothing receives what people enter",
		}},
		{"custom emoji", `{"text":"<customEmojis/1>"}`, []string{
			"remark: text: custom emoji are not shown in messages of an incoming webhook",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := lines(chat.Check([]byte(tt.body), chat.ByWebhook))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Check(%.200s) (-want +got):\n%s", tt.body, diff)
			}
		})
	}
}

func TestCheckNamesTheIconsThereAre(t *testing.T) {
	got := lines(chat.Check([]byte(widget(`{"decoratedText":{"text":"x","startIcon":{"knownIcon":"BELL"}}}`)), chat.ByWebhook))
	const prefix = `remark: cardsV2[0].card.sections[0].widgets[0].decoratedText.startIcon.knownIcon: Chat has no icon "BELL"; one of AIRPLANE, `
	if len(got) != 1 || !strings.HasPrefix(got[0], prefix) || !strings.HasSuffix(got[0], "VIDEO_PLAY, or a materialIcon") {
		t.Errorf("Check = %q, want one remark that begins with %q", got, prefix)
	}
}

func TestCheckCountsWidgetsInsideOfWidgets(t *testing.T) {
	column := `{"widgets":[` + strings.Repeat(`{"textParagraph":{"text":"x"}},`, 29) + `{"textParagraph":{"text":"x"}}]}`
	section := `{"widgets":[{"columns":{"columnItems":[` + column + `,` + column + `]}}]}`
	body := `{"cardsV2":[{"card":{"sections":[` + section + `,` + section + `,` + section + `]}}]}`
	want := []string{"remark: cardsV2[0].card.sections[1]: brings the card to 122 widgets: above 100, Chat drops this section and all that follow"}
	if diff := cmp.Diff(want, lines(chat.Check([]byte(body), chat.ByWebhook))); diff != "" {
		t.Errorf("Check (-want +got):\n%s", diff)
	}
}

func TestCheckIsBounded(t *testing.T) {
	var many strings.Builder
	for i := range 2_000 {
		fmt.Fprintf(&many, `"unknown%d":1,`, i)
	}
	deep := strings.Repeat("[", 101)
	tests := []struct {
		name, body string
		count      int
		first      string
	}{
		{"violations", "{" + many.String() + `"text":"x"}`, 100, `unknown field "unknown0"; known here: `},
		{"depth", deep, 1, "not a JSON document: at byte 101: nested more than 100 levels deep"},
		{"quoted names", `{"text":"x","` + strings.Repeat("ü", 10_000) + `":1}`, 1, `unknown field "` + strings.Repeat("ü", 60) + `…"; known here: `},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := chat.Check([]byte(tt.body), chat.ByWebhook)
			if len(got) != tt.count || !strings.HasPrefix(got[0].String(), tt.first) {
				t.Errorf("Check = %d violations, the first %q; want %d, the first beginning with %q", len(got), got[:1], tt.count, tt.first)
			}
		})
	}
}

// Chat's own sentences, as they were seen in its answers.
func TestViolationsHoldTheAnswersOfChat(t *testing.T) {
	tests := []struct{ name, body, field, answer string }{
		{
			"an unknown field", `{"text":"x","cardsV2":[{"card":{"header":{"title":"x"},"footer":{}}}]}`, "message.cards_v2[0].card",
			`Invalid JSON payload received. Unknown name "footer" at 'message.cards_v2[0].card': Cannot find field.`,
		},
		{"nothing", `{}`, "message", "Message cannot be empty."},
		{"too much text", `{"text":"` + strings.Repeat("x", 5000) + `"}`, "message.text", "Message is longer than 4096 characters"},
		{"a foreign thread", `{"text":"x","thread":{"name":"T"}}`, "message.thread.name", "The request contains an invalid thread resource name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := chat.Check([]byte(tt.body), chat.ByWebhook)
			if len(got) != 1 || got[0].Field() != tt.field || got[0].Answer != tt.answer {
				t.Errorf("Check = %+v, want one violation of %s with the answer %q", got, tt.field, tt.answer)
			}
		})
	}
}

// What the types of this package can hold is what Chat knows.
func TestTheTypesAreThoseOfTheSchema(t *testing.T) {
	var m chat.Message
	fill(reflect.ValueOf(&m).Elem(), 14)
	body, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	for part := range bytes.SplitSeq([]byte("text fallbackText markupSyntax thread cardsV2 accessoryWidgets overflowMenu cropStyle footerWidgets"), []byte(" ")) {
		if !bytes.Contains(body, []byte(`"`+string(part)+`":`)) {
			t.Errorf("the message has no %s", part)
		}
	}
	// Each alone, for there is a bound to violations: the unions are all set.
	for _, only := range split(t, body) {
		for _, v := range chat.Check(only, chat.ByApp) {
			if strings.Contains(v.Message, "unknown field") || strings.Contains(v.Message, "must be") {
				t.Errorf("%v", v)
			}
		}
	}
}

// split returns a message for each widget of a message with one section.
func split(t *testing.T, body []byte) [][]byte {
	t.Helper()
	var m chat.Message
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	all := m.CardsV2[0].Card.Sections[0].Widgets[0]
	var bodies [][]byte
	for i := range reflect.TypeFor[chat.Widget]().NumField() {
		var w chat.Widget
		reflect.ValueOf(&w).Elem().Field(i).Set(reflect.ValueOf(all).Field(i))
		// Inside of columns and carousels, fewer widgets are allowed.
		text := chat.Widget{TextParagraph: &chat.TextParagraph{Text: "x"}}
		if w.Columns != nil {
			w.Columns.ColumnItems[0].Widgets = []chat.Widget{text}
		}
		if w.Carousel != nil {
			w.Carousel.CarouselCards[0].Widgets, w.Carousel.CarouselCards[0].FooterWidgets = []chat.Widget{text}, []chat.Widget{text}
		}
		m.CardsV2[0].Card.Sections[0].Widgets = []chat.Widget{w}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, b)
	}
	return bodies
}

// fill sets whatever can be set, so many levels deep.
func fill(v reflect.Value, depth int) {
	if depth == 0 {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(1)
	case reflect.Float64:
		v.SetFloat(1)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth-1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), depth-1)
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(field, depth)
		}
	default:
		panic("no value for " + v.Type().String())
	}
}

func TestDoorsHaveNames(t *testing.T) {
	if got := fmt.Sprint(chat.ByWebhook, ", ", chat.ByApp); got != "an incoming webhook, a Chat app" {
		t.Errorf("the doors are %q", got)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(example(f, "alert-card.json"))
	f.Add(example(f, "alert-card-app.json"))
	f.Add([]byte(`{"text":5,"text":null,"cards":[[]],"cardsV2":[{"card":{"sections":[{"widgets":[{"columns":{}}]}]}}]}`))
	f.Add([]byte("{\"\xff\":\"\x00\"}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, door := range []chat.Door{chat.ByWebhook, chat.ByApp} {
			first := chat.Check(body, door)
			if diff := cmp.Diff(first, chat.Check(body, door)); diff != "" {
				t.Errorf("Check differs from one call to the next:\n%s", diff)
			}
			for _, v := range first {
				if v.Message == "" || len(first) > 100 {
					t.Errorf("Check = %d violations, one of them %+v", len(first), v)
				}
			}
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	body := example(b, "alert-card.json")
	b.ReportAllocs()
	for b.Loop() {
		if got := chat.Check(body, chat.ByWebhook); len(got) > 0 {
			b.Fatal(got)
		}
	}
}

// TestCheckTellsBreachesOfTheSchemaFromOtherRules: the one cannot be mended.
func TestCheckTellsBreachesOfTheSchemaFromOtherRules(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       chat.Breach
		member     string
	}{
		{"no JSON", `{"text":`, chat.NoMessage, ""},
		{"a list", `[]`, chat.NoMessage, ""},
		{"an unknown field", `{"text":"x","foo_bar":1}`, chat.UnknownField, "foo_bar"},
		{"an unknown field with a long name", `{"text":"x","` + strings.Repeat("y", 100) + `":1}`, chat.UnknownField, strings.Repeat("y", 100)},
		{"a field under both of its names", `{"text":"x","fallbackText":"a","fallback_text":"b"}`, chat.SetTwice, ""},
		{"a number for a string", `{"text":1}`, chat.WrongType, ""},
		{"a list for a string", `{"text":["x"]}`, chat.WrongType, ""},
		{"an unknown value", widget(`{"divider":{},"horizontalAlignment":"MIDDLE"}`), chat.WrongValue, ""},
		{"half of a whole number", widget(`{"grid":{"columnCount":1.5,"items":[{"title":"x"}]}}`), chat.WrongValue, ""},
		{"a message that is empty", `{}`, chat.NoBreach, ""},
		{"a text that is too long", `{"text":"` + strings.Repeat("x", 5000) + `"}`, chat.NoBreach, ""},
		{"a widget that is two", widget(`{"divider":{},"textParagraph":{"text":"x"}}`), chat.NoBreach, ""},
		{"a paragraph without text", widget(`{"textParagraph":{"text":""}}`), chat.NoBreach, ""},
	} {
		found := chat.Check([]byte(c.body), chat.ByWebhook)
		if len(found) == 0 || found[0].Kind != chat.Rejected || found[0].Breach != c.want || found[0].Member != c.member {
			t.Errorf("%s: Check finds %+v, want the breach %d of %q", c.name, found, c.want, c.member)
		}
	}
}

func TestCheckSuggestsWhatWasMeant(t *testing.T) {
	for wrong, want := range map[string]string{"titel": "title", "imageURL": "imageUrl", "image_ulr": "imageUrl", "subtitles": "subtitle"} {
		body := `{"text":"x","cardsV2":[{"card":{"header":{"title":"x","` + wrong + `":"y"}}}]}`
		if found := lines(chat.Check([]byte(body), chat.ByWebhook)); len(found) != 1 || !strings.HasSuffix(found[0], `did you mean "`+want+`"?`) {
			t.Errorf("of %q: %q, want %q to be suggested", wrong, found, want)
		}
	}
}
