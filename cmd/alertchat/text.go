package main

import (
	"fmt"
	"strings"

	"golang.org/x/net/html"

	"alertchat/receiver/chat"
)

// messageText draws a message for a terminal: what a reader of the card would
// see, without colours.
func messageText(m *chat.Message) string {
	var b strings.Builder
	write := func(indent, text string) {
		for line := range strings.Lines(strings.TrimRight(text, "\n")) {
			b.WriteString(strings.TrimRight(indent+line, "\n") + "\n")
		}
	}
	write("", m.Text)
	for _, c := range m.CardsV2 {
		if c.Card == nil {
			continue
		}
		if h := c.Card.Header; h != nil {
			write("  ┃ ", h.Title)
			if h.Subtitle != "" {
				write("  ┃ ", h.Subtitle)
			}
		}
		for _, s := range c.Card.Sections {
			b.WriteString("  ┠────\n")
			if s.Header != "" {
				write("  ┃ ", plainText(s.Header))
			}
			for i, w := range s.Widgets {
				if s.Collapsible && i == s.UncollapsibleWidgetsCount {
					write("  ┃ ", fmt.Sprintf("▾ %d more behind a click", len(s.Widgets)-i))
					break
				}
				write("  ┃ ", widgetText(&w))
			}
		}
	}
	return b.String()
}

func widgetText(w *chat.Widget) string {
	switch {
	case w.TextParagraph != nil:
		return plainText(w.TextParagraph.Text)
	case w.DecoratedText != nil:
		d := w.DecoratedText
		var parts []string
		for _, p := range []string{d.TopLabel, plainText(d.Text), d.BottomLabel} {
			if p != "" {
				parts = append(parts, p)
			}
		}
		return strings.Join(parts, "\n")
	case w.ButtonList != nil:
		var parts []string
		for _, btn := range w.ButtonList.Buttons {
			p := "[" + btn.Text + "]"
			if btn.OnClick != nil && btn.OnClick.OpenLink != nil {
				p += " " + btn.OnClick.OpenLink.URL
			}
			parts = append(parts, p)
		}
		return strings.Join(parts, "\n")
	case w.Divider != nil:
		return "────"
	case w.Columns != nil:
		var parts []string
		for _, c := range w.Columns.ColumnItems {
			for i := range c.Widgets {
				parts = append(parts, widgetText(&c.Widgets[i]))
			}
		}
		return strings.Join(parts, "\n")
	default:
		return "(a widget that text cannot show)"
	}
}

// plainText takes the tags out of Chat's subset of HTML.
func plainText(s string) string {
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(s))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return b.String()
		case html.TextToken:
			b.Write(z.Text())
		case html.StartTagToken, html.SelfClosingTagToken:
			switch name, _ := z.TagName(); string(name) {
			case "br", "li":
				b.WriteString("\n")
			}
		case html.EndTagToken, html.CommentToken, html.DoctypeToken:
		}
	}
}
