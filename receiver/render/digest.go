package render

import (
	"fmt"
	"strings"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat"
)

// How much a digest shows: all it has must fit one message.
const (
	digestLines = 80
	digestBytes = 20_000
	lineBytes   = 600 // of one group
)

// digest renders several tellings as one message, a line for each group, in
// the order given.
func (s *rendering) digest() Rendered {
	asCard := s.r.space.Card != nil || s.r.space.Message != ""
	title := s.digestTitle()
	if !asCard {
		lines, omitted := s.digestLines(contextText, maxText-len(title)-600)
		return Rendered{
			Messages: []*chat.Message{{Text: cut(title+"\n"+strings.Join(s.withMore(lines, omitted, contextText), "\n"), maxText, maxMessage-2_000)}},
			Title:    title,
		}
	}
	lines, omitted := s.digestLines(contextHTML, digestBytes)
	section := chat.Section{}
	for _, line := range s.withMore(lines, omitted, contextHTML) {
		section.Widgets = append(section.Widgets, paragraph(line))
	}
	if len(section.Widgets) > 2*visibleAlerts {
		section.Collapsible, section.UncollapsibleWidgetsCount = true, 2*visibleAlerts
	}
	return Rendered{
		Messages: []*chat.Message{{
			Text:         title,
			FallbackText: title,
			CardsV2: []chat.CardWithID{{
				CardID: "digest",
				Card:   &chat.Card{Header: &chat.Header{Title: title}, Sections: []chat.Section{section}},
			}},
		}},
		Title: title,
	}
}

// digestTitle says how many groups there are, and how they stand.
func (s *rendering) digestTitle() string {
	firing := 0
	for i := range s.tellings {
		if p := s.tellings[i].Payload; p == nil || p.Status != alert.Resolved {
			firing++
		}
	}
	n := len(s.tellings)
	switch firing {
	case n:
		return fmt.Sprintf("🔴 %d groups of alerts, all firing", n)
	case 0:
		return fmt.Sprintf("✅ %d groups of alerts, all resolved", n)
	}
	return fmt.Sprintf("🔴 %d groups of alerts: %d firing, %d resolved", n, firing, n-firing)
}

// digestLines renders one line for each telling, as many as room has bytes for
// once they are JSON, and returns how many are left over.
func (s *rendering) digestLines(c context, room int) (lines []string, omitted int) {
	for i := range s.tellings {
		t := &s.tellings[i]
		d := newData(s.r.space.Name, t)
		line := s.named("chat.digest", c, d, plainName)
		if c == contextHTML {
			line, _ = cleanHTML(line, lineBytes)
		} else {
			line = cut(plainLine(line), lineBytes, lineBytes)
		}
		if line == "" {
			line = string(c.escape(cut(plainName(d), 100, 300), true))
		}
		if t.Unknown != "" {
			line += string(c.escape(" ⚠️ posted to an unknown space: "+cut(plainLine(t.Unknown), 80, 300), false))
		}
		room -= jsonLen(line) + widgetBytes
		if room < 0 || len(lines) == digestLines {
			return lines, len(s.tellings) - i
		}
		lines = append(lines, line)
	}
	return lines, 0
}

// withMore adds what the reader must know of the digest itself.
func (s *rendering) withMore(lines []string, omitted int, c context) []string {
	if omitted > 0 {
		lines = append(lines, fmt.Sprintf("+%d more %s", omitted, plural(omitted, "group")))
	}
	for i, line := range s.broken {
		if i == maxBroken {
			break
		}
		lines = append(lines, string(c.escape(cut(line, 200, 600), true)))
	}
	return lines
}
