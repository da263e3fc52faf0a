package render

import (
	"fmt"
	"strings"

	"alertchat/receiver/chat"
)

// mender takes out of a message what would blank it or be refused in Chat: what
// is empty, and links that are not absolute http(s) URLs.
type mender struct {
	s    *rendering
	door chat.Door
}

func (m *mender) note(where, what string) { m.s.note(where, what) }

func (m *mender) message(msg *chat.Message) {
	if msg.Thread != nil {
		msg.Thread = nil
		m.note("thread", "left out: the space's thread says where a message goes")
	}
	m.cut("text", &msg.Text, plainText(msg.Text), maxText, maxMessage-4_000)
	m.cut("fallbackText", &msg.FallbackText, plainText(msg.FallbackText), maxText, 4_000)
	msg.CardsV2 = keep(msg.CardsV2, "cardsV2", func(c *chat.CardWithID, where string) bool {
		if c.Card == nil || !m.card(c.Card, where+".card") {
			m.note(where, "left out: it is empty")
			return false
		}
		return true
	})
	if len(msg.CardsV2) > 1 {
		for i := range msg.CardsV2 {
			if msg.CardsV2[i].CardID == "" {
				msg.CardsV2[i].CardID = fmt.Sprintf("card-%d", i+1)
			}
		}
	}
	if m.door == chat.ByWebhook && len(msg.AccessoryWidgets) > 0 {
		msg.AccessoryWidgets = nil
		m.note("accessoryWidgets", "left out: they need a Chat app")
	}
	msg.AccessoryWidgets = keep(msg.AccessoryWidgets, "accessoryWidgets", func(w *chat.AccessoryWidget, where string) bool {
		return w.ButtonList != nil && m.buttons(&w.ButtonList.Buttons, where+".buttonList.buttons")
	})
}

// keep mends the items of a list and returns those that are not empty then.
func keep[T any](items []T, where string, mend func(item *T, where string) bool) []T {
	kept := items[:0]
	for i := range items {
		if mend(&items[i], fmt.Sprintf("%s[%d]", where, i)) {
			kept = append(kept, items[i])
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return kept
}

// cut sets a text to its clean form, within its limits.
func (m *mender) cut(where string, text *string, clean string, maxRunes, maxBytes int) {
	short := cut(clean, maxRunes, maxBytes)
	if short != clean {
		m.note(where, "cut: it was too long")
	}
	*text = short
}

func (m *mender) card(c *chat.Card, where string) bool {
	if h := c.Header; h != nil {
		h.Title, h.Subtitle = plainLine(h.Title), plainLine(h.Subtitle)
		m.image(&h.ImageURL, where+".header.imageUrl")
		if h.Title == "" {
			h.Title, h.Subtitle = h.Subtitle, ""
		}
		if h.Title == "" {
			c.Header = nil
			m.note(where+".header", "left out: it has no title")
		}
	}
	c.Sections = keep(c.Sections, where+".sections", m.section)
	return c.Header != nil || len(c.Sections) > 0
}

func (m *mender) section(s *chat.Section, where string) bool {
	s.Header = m.html(s.Header, where+".header")
	s.Widgets = keep(s.Widgets, where+".widgets", m.widget)
	if len(s.Widgets) == 0 {
		m.note(where, "left out: it has no widgets")
		return false
	}
	if c := s.CollapseControl; c != nil {
		both := c.ExpandButton != nil && c.CollapseButton != nil
		if !both {
			s.CollapseControl = nil
			m.note(where+".collapseControl", "left out: it needs both buttons")
		}
	}
	return true
}

// widget keeps the first of what a widget holds: Chat takes one only.
func (m *mender) widget(w *chat.Widget, where string) bool {
	first := chat.Widget{HorizontalAlignment: w.HorizontalAlignment}
	ok := false
	switch {
	case w.TextParagraph != nil:
		first.TextParagraph, ok = w.TextParagraph, m.paragraph(w.TextParagraph, where+".textParagraph")
	case w.DecoratedText != nil:
		first.DecoratedText, ok = w.DecoratedText, m.decorated(w.DecoratedText, where+".decoratedText")
	case w.ButtonList != nil:
		first.ButtonList, ok = w.ButtonList, m.buttons(&w.ButtonList.Buttons, where+".buttonList.buttons")
	case w.Divider != nil:
		first.Divider, ok = w.Divider, true
	case w.Image != nil:
		first.Image, ok = w.Image, m.image(&w.Image.ImageURL, where+".image.imageUrl")
		m.click(&w.Image.OnClick, where+".image.onClick")
	case w.Columns != nil:
		first.Columns, ok = w.Columns, m.columns(w.Columns, where+".columns")
	case w.Grid != nil:
		first.Grid, ok = w.Grid, m.grid(w.Grid, where+".grid")
	case w.ChipList != nil:
		first.ChipList, ok = w.ChipList, m.chips(w.ChipList, where+".chipList")
	case w.Carousel != nil:
		first.Carousel, ok = w.Carousel, m.carousel(w.Carousel, where+".carousel")
	}
	switch {
	case !ok:
		m.note(where, "left out: it is empty")
	case *w != first:
		m.note(where, "a widget is one thing: the others it held are left out")
	}
	*w = first
	return ok
}

func (m *mender) paragraph(p *chat.TextParagraph, where string) bool {
	if p.TextSyntax == "MARKDOWN" {
		m.cut(where+".text", &p.Text, plainText(p.Text), maxMessage, maxMessage/2)
		return p.Text != ""
	}
	p.Text = m.html(p.Text, where+".text")
	return p.Text != ""
}

func (m *mender) html(s, where string) string {
	out, long, dropped := mendHTML(s, maxMessage/2)
	if dropped != "" {
		m.note(where, "left out: "+dropped)
	}
	if long {
		m.note(where, "cut: it was too long")
	}
	return out
}

func (m *mender) decorated(d *chat.DecoratedText, where string) bool {
	d.Text = m.html(d.Text, where+".text")
	d.TopLabel, d.BottomLabel = plainLine(d.TopLabel), plainText(d.BottomLabel)
	for _, label := range []struct {
		text **chat.TextParagraph
		name string
	}{{&d.TopLabelText, "topLabelText"}, {&d.ContentText, "contentText"}, {&d.BottomLabelText, "bottomLabelText"}} {
		if *label.text != nil && !m.paragraph(*label.text, where+"."+label.name) {
			*label.text = nil
		}
	}
	m.icon(&d.StartIcon, where+".startIcon")
	m.icon(&d.EndIcon, where+".endIcon")
	m.click(&d.OnClick, where+".onClick")
	if d.Button != nil && !m.button(d.Button, where+".button") {
		d.Button = nil
	}
	if d.Text == "" && d.ContentText == nil {
		// Chat drops it without a text; what it has is worth a line.
		d.Text = escapeHTML(d.BottomLabel)
		d.BottomLabel = ""
	}
	return d.Text != "" || d.ContentText != nil
}

func (m *mender) buttons(buttons *[]chat.Button, where string) bool {
	*buttons = keep(*buttons, where, m.button)
	return len(*buttons) > 0
}

// button returns whether a button does something: Chat hides a whole card for
// one that does not.
func (m *mender) button(b *chat.Button, where string) bool {
	b.Text = plainLine(b.Text)
	m.icon(&b.Icon, where+".icon")
	m.click(&b.OnClick, where+".onClick")
	if b.OnClick == nil || b.Text == "" && b.Icon == nil {
		m.note(where, "left out: a button needs a text or an icon, and something to do")
		return false
	}
	return true
}

// click takes away a click that does nothing, or opens what is no link.
func (m *mender) click(c **chat.OnClick, where string) {
	if *c == nil {
		return
	}
	on := *c
	first := chat.OnClick{}
	switch {
	case on.OpenLink != nil:
		if link, ok := webURL(on.OpenLink.URL); ok {
			first.OpenLink = &chat.OpenLink{URL: link}
		} else {
			m.note(where+".openLink.url", "left out: it is no absolute http(s) URL, or too long")
		}
	case on.OverflowMenu != nil:
		items := keep(on.OverflowMenu.Items, where+".overflowMenu.items", func(i *chat.OverflowMenuItem, where string) bool {
			i.Text = plainLine(i.Text)
			m.icon(&i.StartIcon, where+".startIcon")
			m.click(&i.OnClick, where+".onClick")
			return i.Text != "" && i.OnClick != nil && i.OnClick.OverflowMenu == nil
		})
		if len(items) > 0 {
			first.OverflowMenu = &chat.OverflowMenu{Items: items}
		}
	case on.Action != nil && m.door == chat.ByApp:
		first.Action = on.Action
	case on.Action != nil:
		m.note(where+".action", "left out: it needs a Chat app")
	}
	if first == (chat.OnClick{}) {
		*c = nil
		return
	}
	*c = &first
}

func (m *mender) icon(i **chat.Icon, where string) {
	if *i == nil {
		return
	}
	if (*i).IconURL != "" {
		m.image(&(*i).IconURL, where+".iconUrl")
	}
	if (*i).KnownIcon == "" && (*i).IconURL == "" && ((*i).MaterialIcon == nil || (*i).MaterialIcon.Name == "") {
		*i = nil
		m.note(where, "left out: it shows nothing")
	}
}

// image empties what is no https URL: Chat loads no other image.
func (m *mender) image(link *string, where string) bool {
	if *link == "" {
		return false
	}
	u, ok := webURL(*link)
	if !ok || !strings.HasPrefix(u, "https:") {
		*link = ""
		m.note(where, "left out: it is no https URL")
		return false
	}
	*link = u
	return true
}

func (m *mender) columns(c *chat.Columns, where string) bool {
	c.ColumnItems = keep(c.ColumnItems, where+".columnItems", func(c *chat.Column, where string) bool {
		c.Widgets = keep(c.Widgets, where+".widgets", m.widget)
		return len(c.Widgets) > 0
	})
	if len(c.ColumnItems) > 2 {
		c.ColumnItems = c.ColumnItems[:2]
		m.note(where, "cut to two columns: Chat takes no more")
	}
	return len(c.ColumnItems) > 0
}

func (m *mender) grid(g *chat.Grid, where string) bool {
	g.Title = plainLine(g.Title)
	m.click(&g.OnClick, where+".onClick")
	g.Items = keep(g.Items, where+".items", func(i *chat.GridItem, where string) bool {
		i.Title, i.Subtitle = plainLine(i.Title), plainLine(i.Subtitle)
		if i.Image != nil && !m.image(&i.Image.ImageURI, where+".image.imageUri") {
			i.Image = nil
		}
		return i.Title != "" || i.Subtitle != "" || i.Image != nil
	})
	return len(g.Items) > 0
}

func (m *mender) chips(l *chat.ChipList, where string) bool {
	l.Chips = keep(l.Chips, where+".chips", func(c *chat.Chip, where string) bool {
		c.Label = plainLine(c.Label)
		m.icon(&c.Icon, where+".icon")
		m.click(&c.OnClick, where+".onClick")
		return c.Label != "" || c.Icon != nil
	})
	return len(l.Chips) > 0
}

func (m *mender) carousel(c *chat.Carousel, where string) bool {
	c.CarouselCards = keep(c.CarouselCards, where+".carouselCards", func(c *chat.CarouselCard, where string) bool {
		c.Widgets = keep(c.Widgets, where+".widgets", m.widget)
		c.FooterWidgets = keep(c.FooterWidgets, where+".footerWidgets", m.widget)
		return len(c.Widgets) > 0
	})
	return len(c.CarouselCards) > 0
}
