package render

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"alertchat/receiver/chat"
	"alertchat/receiver/incident"
)

// How a digest is laid out.
const (
	visibleGroups = 10    // of a section; the others are behind "show more"
	sharedBy      = 5     // of those, in one paragraph: widgets cost bytes, and a card has but so many
	lineRunes     = 400   // that can be seen of one group
	lineBytes     = 3_000 // of one group, with its link
	tailRunes     = 160   // of what follows the groups
	tailWidgets   = 2
	digits        = 12 // by which a text may grow once its numbers are known
	breakBytes    = len(`\u003cbr\u003e`)
)

// digest renders several tellings as one message of as many groups as fit it, a
// line for each, in the order given. It renders hardly more lines than those.
func (s *rendering) digest() Rendered {
	o := s.overview()
	if s.r.space.Card == nil && s.r.space.Message == "" {
		return s.digestText(o)
	}
	return s.digestCard(o)
}

// digestCard tells groups in a card: those that fire, and those that do not.
func (s *rendering) digestCard(o *overview) Rendered {
	room := maxMessage - frameRoom - 2*jsonLen(o.text(0)) - jsonLen(o.title(0))
	var firing, resolved groupList
	told := 0
	for ; told < len(s.tellings); told++ {
		t := &s.tellings[told]
		list := &firing
		if !fires(t) {
			list = &resolved
		}
		line := s.group(t, contextHTML, lineRunes)
		bytes, widgets := list.cost(line)
		bytes += firing.bytes + resolved.bytes
		widgets += len(firing.widgets) + len(resolved.widgets) + tailWidgets
		if told > 0 && (bytes > room || widgets > maxWidgets) {
			break
		}
		list.add(line)
	}
	var tail chat.Section
	for _, line := range s.tail(o, told, contextHTML) {
		tail.Widgets = append(tail.Widgets, paragraph(line))
	}
	card := &chat.Card{Header: &chat.Header{Title: o.standing(), Subtitle: o.share(told)}}
	for _, section := range []chat.Section{
		firing.section("🔥 Firing", o.firing, o.more == 0, o.resolved > 0),
		resolved.section("✅ Resolved", o.resolved, o.more == 0, o.firing > 0),
		tail,
	} {
		if len(section.Widgets) > 0 {
			card.Sections = append(card.Sections, section)
		}
	}
	return Rendered{
		Messages: []*chat.Message{{
			Text: o.text(told), FallbackText: o.text(told),
			CardsV2: []chat.CardWithID{{CardID: "digest", Card: card}},
		}},
		Told:  told,
		Title: o.outline(told),
	}
}

// digestText tells groups in a text. A link takes the room of two lines there:
// where not all groups fit with theirs, they stand without.
func (s *rendering) digestText(o *overview) Rendered {
	lines := s.textLines(o, lineRunes+maxLinkBytes)
	if len(lines) < o.groups() {
		s.own.unlinked, s.builtin.unlinked = true, true
		lines = s.textLines(o, lineRunes)
	}
	told := len(lines)
	all := append([]string{o.title(told)}, lines...)
	all = append(all, s.tail(o, told, contextText)...)
	return Rendered{
		Messages: []*chat.Message{{Text: strings.Join(all, "\n")}},
		Told:     told,
		Title:    o.outline(told),
	}
}

// textLines renders the lines of as many groups as fit a text. Their bytes do
// not matter: none of its characters takes more than six.
func (s *rendering) textLines(o *overview, limit int) []string {
	room := maxText - utf8.RuneCountInString(o.title(0)) - digits - tailRunes
	var lines []string
	for i := range s.tellings {
		line := s.group(&s.tellings[i], contextText, limit)
		if room -= utf8.RuneCountInString(line) + 1; room < 0 && i > 0 {
			break
		}
		lines = append(lines, line)
	}
	return lines
}

// group renders the line of one group. No more than limit characters are seen.
func (s *rendering) group(t *incident.Telling, c context, limit int) string {
	d := newData(s.r.space.Name, t)
	last := func(d *Data) string {
		known := *t
		known.Unknown = "" // it stands behind every line
		return groupLine(&known, d, s.now)
	}
	line := s.named("chat.digest", c, d, last)
	if c == contextHTML {
		line = cutHTML(line, limit, lineBytes)
	} else {
		line = cutLinked(plainLine(line), limit, lineBytes)
	}
	if line == "" {
		line = string(c.escape(last(d), true))
	}
	if t.Unknown != "" {
		line += string(c.escape(" ⚠️ posted to an unknown space: "+cut(plainLine(t.Unknown), 80, 300), false))
	}
	return line
}

// cutLinked cuts a message's text like cut, but never inside of a link's markup.
func cutLinked(s string, maxRunes, maxBytes int) string {
	short := cut(s, maxRunes, maxBytes)
	if short == s {
		return s
	}
	// What is no link has a zero-width space behind the bracket.
	i := strings.LastIndexByte(short, '<')
	if i < 0 || strings.Contains(short[i:], ">") || strings.HasPrefix(short[i+1:], zeroWidth) {
		return short
	}
	return strings.TrimSpace(short[:i]) + ellipsis
}

// tail is what follows the groups: how many are told by later messages, and that
// the template failed. It has at most tailRunes characters.
func (s *rendering) tail(o *overview, told int, c context) []string {
	var lines []string
	switch rest := o.groups() - told; {
	case rest == 1:
		lines = append(lines, "+1 more group follows")
	case rest > 1:
		lines = append(lines, fmt.Sprintf("+%s more groups follow", thousands(rest)))
	}
	if len(s.broken) > 0 {
		lines = append(lines, string(c.escape(cut(s.broken[0], 120, 360), true)))
	}
	return lines
}

// groupList is the lines of groups in one section of a card.
type groupList struct {
	widgets []chat.Widget
	lines   int
	bytes   int // of the widgets
}

// joins reports whether one more line goes into the last paragraph.
func (l *groupList) joins() bool {
	return l.lines > visibleGroups && (l.lines-visibleGroups)%sharedBy > 0
}

// cost is how many bytes and widgets one more line takes.
func (l *groupList) cost(line string) (bytes, widgets int) {
	if l.joins() {
		return jsonLen(line) + breakBytes, 0
	}
	return jsonLen(line) + widgetBytes, 1
}

func (l *groupList) add(line string) {
	bytes, _ := l.cost(line)
	if l.joins() {
		l.widgets[len(l.widgets)-1].TextParagraph.Text += "<br>" + line
	} else {
		l.widgets = append(l.widgets, paragraph(line))
	}
	l.lines++
	l.bytes += bytes
}

// section returns the lines as a section, which needs a header where there is
// another besides it. all is how many groups there are of the kind, if that is
// known.
func (l *groupList) section(name string, all int, known, headed bool) chat.Section {
	section := chat.Section{Widgets: l.widgets}
	switch {
	case headed && !known:
		section.Header = fmt.Sprintf("<b>%s (%s here)</b>", name, thousands(l.lines))
	case headed && l.lines < all:
		section.Header = fmt.Sprintf("<b>%s (%s of %s)</b>", name, thousands(l.lines), thousands(all))
	case headed:
		section.Header = fmt.Sprintf("<b>%s (%s)</b>", name, thousands(all))
	}
	if l.lines > visibleGroups+1 {
		section.Collapsible, section.UncollapsibleWidgetsCount = true, visibleGroups
	}
	return section
}
