package chat

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// rules checks what the schema does not say of an object: what is required,
// what excludes what, how many and how long, and what each door allows. The
// facts are those of the reference pages of Message and Card and of the guides
// "Send a Google Chat message" and "Troubleshoot cards". Types that no rule
// concerns are not named.
func (c *checker) rules(t string, n *node) {
	card, ok := strings.CutPrefix(t, "GoogleAppsCardV1")
	switch {
	case ok:
		c.cardRules(card, n)
		c.widgetRules(card, n)
		c.partRules(card, n)
	case t == "Message":
		c.message(n)
	case t == "Thread":
		c.thread(n)
	case t == "Color":
		c.color(n)
	}
}

// cardRules checks what holds widgets.
func (c *checker) cardRules(t string, n *node) {
	switch t {
	case "Card":
		c.card(n)
	case "CardHeader":
		c.require(n, "title", "without it the header stays blank")
		c.https(n, "imageUrl")
	case "Section":
		c.some(n, "widgets", "an empty section is not shown")
		c.ignored(n, "belongs to Workspace Studio: Chat ignores it", "id")
	case "CollapseControl":
		c.require(n, "expandButton", "a collapse control needs both buttons")
		c.require(n, "collapseButton", "a collapse control needs both buttons")
	case "Widget", "Widgets", "NestedWidget":
		c.widget(n)
	case "Columns":
		c.columns(n)
	}
}

// widgetRules checks the contents of widgets.
func (c *checker) widgetRules(t string, n *node) {
	switch t {
	case "TextParagraph":
		if strings.TrimSpace(n.string("text")) == "" {
			c.reject("text", "is empty: Chat refuses a text paragraph without text")
		}
	case "DecoratedText":
		if n.get("contentText") == nil {
			c.require(n, "text", "without it, and without contentText, Chat drops the widget")
		}
		c.oneOf(n, "control", "button", "switchControl", "endIcon")
		c.appOnly(n, "switchControl", "nothing receives what people switch")
	case "ButtonList":
		c.some(n, "buttons", "Chat hides the whole card for a list without buttons")
	case "ChipList":
		c.some(n, "chips", "nothing is shown")
	case "Grid":
		c.some(n, "items", "nothing is shown")
	case "Carousel":
		c.some(n, "carouselCards", "nothing is shown")
	case "Image":
		c.require(n, "imageUrl", "without it nothing is shown")
		c.https(n, "imageUrl")
	case "TextInput", "SelectionInput", "DateTimePicker":
		c.require(n, "name", "without it what people enter cannot be read")
	}
}

// partRules checks the parts of widgets.
func (c *checker) partRules(t string, n *node) {
	switch t {
	case "Button":
		if n.string("text") == "" && n.get("icon") == nil {
			c.remark("", "a button needs a text or an icon")
		}
		c.require(n, "onClick", "Chat hides the whole card for a button that does nothing")
	case "Chip":
		if n.string("label") == "" && n.get("icon") == nil {
			c.remark("", "a chip needs a label or an icon")
		}
	case "OpenLink":
		c.openLink(n)
	case "OverflowMenu":
		c.some(n, "items", "Chat hides the whole card for an empty menu")
	case "OverflowMenuItem":
		c.require(n, "text", "without it the item stays blank")
		c.require(n, "onClick", "without it the item does nothing")
		if n.get("onClick").get("overflowMenu") != nil {
			c.remark("onClick.overflowMenu", "menus cannot be nested")
		}
	case "OnClick":
		c.onClick(n)
	case "Icon":
		c.icon(n)
	case "MaterialIcon":
		c.require(n, "name", "without it nothing is shown")
	case "ImageComponent":
		c.require(n, "imageUri", "without it nothing is shown")
		c.https(n, "imageUri")
	case "SelectionItem":
		c.https(n, "startIconUri")
	}
}

func (c *checker) message(n *node) {
	cards := n.list("cardsV2")
	if strings.TrimSpace(n.string("text")) == "" && len(cards) == 0 && len(n.list("cards")) == 0 {
		c.answer("Message cannot be empty.", "the message is empty: it needs a text or a card")
	}
	if runes := utf8.RuneCountInString(n.string("text")); runes > MaxTextRunes {
		c.push("text", 0)
		c.answer("Message is longer than 4096 characters",
			"has %d characters; Chat has always taken %d", runes, MaxTextRunes)
		c.pop()
	}
	if len(cards) > 1 {
		for i, card := range cards {
			if card.string("cardId") == "" {
				c.push("cardsV2", 0)
				c.push("", i)
				c.reject("cardId", "is missing: with more than one card each needs its own")
				c.pop()
				c.pop()
			}
		}
	}
	if n.get("actionResponse") != nil {
		c.remark("actionResponse", "is only for answers to a click or a command: Chat ignores it here")
	}
	if c.door == ByApp {
		return
	}
	for _, name := range []string{"accessoryWidgets", "privateMessageViewer", "attachment"} {
		if n.get(name) != nil {
			c.reject(name, "is not for an incoming webhook: it needs a Chat app")
		}
	}
	if strings.Contains(n.string("text"), "<customEmojis/") {
		c.remark("text", "custom emoji are not shown in messages of an incoming webhook")
	}
}

func (c *checker) thread(n *node) {
	if runes := utf8.RuneCountInString(n.string("threadKey")); runes > MaxThreadKey {
		c.reject("threadKey", "has %d characters; Chat takes at most %d", runes, MaxThreadKey)
	}
	name := n.get("name")
	if name == nil || name.text == "" {
		return
	}
	parts := strings.Split(name.text, "/")
	if len(parts) != 4 || parts[0] != "spaces" || parts[1] == "" || parts[2] != "threads" || parts[3] == "" {
		c.push("name", 0)
		c.answer("The request contains an invalid thread resource name",
			"%q is no name of a thread; it is written spaces/SPACE/threads/THREAD", short(name.text))
		c.pop()
	}
}

func (c *checker) card(n *node) {
	c.ignored(n, "belongs to add-ons and dialogs: Chat does not show it in a message",
		"fixedFooter", "cardActions", "displayStyle", "peekCardHeader", "expressionData")
	if n.get("header") == nil && len(n.list("sections")) == 0 {
		c.remark("", "an empty card is not shown")
	}
	total := 0
	for i, section := range n.list("sections") {
		total += countWidgets(section.list("widgets"))
		if total > MaxWidgets {
			c.push("sections", 0)
			c.push("", i)
			c.remark("", "brings the card to %d widgets: above %d, Chat drops this section and all that follow", total, MaxWidgets)
			c.pop()
			c.pop()
			return
		}
	}
}

// countWidgets counts widgets and those inside of them.
func countWidgets(widgets []*node) int {
	total := len(widgets)
	for _, w := range widgets {
		for _, column := range w.get("columns").list("columnItems") {
			total += len(column.list("widgets"))
		}
		for _, card := range w.get("carousel").list("carouselCards") {
			total += len(card.list("widgets")) + len(card.list("footerWidgets"))
		}
	}
	return total
}

func (c *checker) widget(n *node) {
	kinds := []string{
		"textParagraph", "decoratedText", "buttonList", "divider", "image", "columns", "grid",
		"chipList", "carousel", "textInput", "selectionInput", "dateTimePicker",
	}
	if c.oneOf(n, "data", kinds...) == 0 {
		c.remark("", "an empty widget is not shown")
	}
	for _, name := range []string{"textInput", "selectionInput", "dateTimePicker"} {
		c.appOnly(n, name, "nothing receives what people enter")
	}
	c.ignored(n, "belongs to Workspace Studio: Chat ignores it", "id", "visibility", "eventActions")
}

func (c *checker) columns(n *node) {
	c.some(n, "columnItems", "nothing is shown")
	if count := len(n.list("columnItems")); count > 2 {
		c.reject("columnItems", "has %d columns; Chat takes at most 2", count)
	}
}

func (c *checker) onClick(n *node) {
	if c.oneOf(n, "data", "openLink", "overflowMenu", "action", "card", "openDynamicLinkAction") == 0 {
		c.remark("", "does nothing: Chat hides the whole card for it; one of openLink, overflowMenu, action")
	}
	c.appOnly(n, "action", "a click on it only shows an error")
	c.ignored(n, "belongs to add-ons: Chat ignores it", "card", "openDynamicLinkAction")
}

func (c *checker) openLink(n *node) {
	c.ignored(n, "belongs to add-ons: Chat ignores it", "openAs", "onClose")
	link := n.string("url")
	if link == "" {
		c.remark("url", "is missing: Chat shows the whole message blank")
	} else if u, err := url.Parse(link); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		c.remark("url", "is not an absolute http or https URL: Chat shows the whole message blank")
	}
}

func (c *checker) icon(n *node) {
	kinds := []string{"knownIcon", "materialIcon", "iconUrl"}
	if c.oneOf(n, "icons", kinds...) == 0 {
		c.remark("", "an icon without any of %s shows nothing", strings.Join(kinds, ", "))
	}
	c.https(n, "iconUrl")
	if name := n.string("knownIcon"); name != "" && !slices.Contains(knownIcons(), name) {
		c.remark("knownIcon", "Chat has no icon %q; one of %s, or a materialIcon", short(name), strings.Join(knownIcons(), ", "))
	}
}

// knownIcons returns the icons that Chat brings along
// (https://developers.google.com/workspace/chat/format-messages#builtinicons).
func knownIcons() []string {
	return []string{
		"AIRPLANE", "BOOKMARK", "BUS", "CAR", "CLOCK", "CONFIRMATION_NUMBER_ICON", "DESCRIPTION", "DOLLAR", "EMAIL",
		"EVENT_SEAT", "FLIGHT_ARRIVAL", "FLIGHT_DEPARTURE", "HOTEL", "HOTEL_ROOM_TYPE", "INVITE", "MAP_PIN",
		"MEMBERSHIP", "MULTIPLE_PEOPLE", "PERSON", "PHONE", "RESTAURANT_ICON", "SHOPPING_CART", "STAR", "STORE",
		"TICKET", "TRAIN", "VIDEO_CAMERA", "VIDEO_PLAY",
	}
}

func (c *checker) color(n *node) {
	for _, m := range n.members {
		if v, ok := m.value.float(); ok && (v < 0 || v > 1) {
			c.remark(m.name, "is %v; the parts of a color go from 0 to 1", v)
		}
	}
}

// require remarks on a member that is missing or an empty string.
func (c *checker) require(n *node, name, otherwise string) {
	if v := n.get(name); v == nil || v.kind == text && strings.TrimSpace(v.text) == "" {
		c.remark(name, "is missing: %s", otherwise)
	}
}

// some remarks on a list that has no items.
func (c *checker) some(n *node, name, otherwise string) {
	if len(n.list(name)) == 0 {
		c.remark(name, "is empty: %s", otherwise)
	}
}

// oneOf rejects an object in which more than one of some members stand, and
// returns how many do.
func (c *checker) oneOf(n *node, union string, names ...string) int {
	var set []string
	for _, m := range n.members {
		if slices.Contains(names, m.name) {
			set = append(set, m.name)
		}
	}
	if len(set) > 1 {
		c.answer("Invalid value at '"+c.place()+"' (oneof), oneof field '"+union+"' is already set. Cannot set '"+set[1]+"'",
			"only one of %s can stand here", strings.Join(set, ", "))
	}
	return len(set)
}

// ignored remarks on members that Chat takes and does not look at.
func (c *checker) ignored(n *node, why string, names ...string) {
	for _, name := range names {
		if n.get(name) != nil {
			c.remark(name, "%s", why)
		}
	}
}

// appOnly remarks on a member that works only in a Chat app's message.
func (c *checker) appOnly(n *node, name, otherwise string) {
	if c.door == ByWebhook && n.get(name) != nil {
		c.remark(name, "needs a Chat app: %s", otherwise)
	}
}

// https remarks on the address of an image that Chat does not load.
func (c *checker) https(n *node, name string) {
	address := n.string(name)
	if address == "" {
		return
	}
	if u, err := url.Parse(address); err != nil || u.Scheme != "https" || u.Host == "" {
		c.remark(name, "is not an https URL: Chat shows no image")
	}
}
