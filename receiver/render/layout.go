package render

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	amtemplate "github.com/prometheus/alertmanager/template"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat"
)

// How alerts are laid out.
const (
	visibleAlerts = 5     // of a section; the others are behind "show more"
	maxShown      = 76    // alerts in one message, so that its widgets stay below maxWidgets
	frameRoom     = 1_200 // bytes for all that stands around the texts
	remarkRoom    = 1_600 // bytes for what the reader must know of the message itself
	growthRoom    = 300   // by which each string may grow once Part and Omitted are known
	widgetBytes   = len(`{"textParagraph":{"text":""}},`)
	maxLinkBytes  = 500 // of the link to Alertmanager: in a digest each group has one
)

// fixed is what a message has besides its alerts.
type fixed struct {
	title, subtitle, summary, text string
	buttons                        []chat.Button
}

// part is one message's share of the alerts: their texts.
type part struct {
	firing, resolved []string
	bytes            int
}

func (p *part) add(status, text string) {
	p.bytes += jsonLen(text) + widgetBytes
	if status == alert.Firing {
		p.firing = append(p.firing, text)
	} else {
		p.resolved = append(p.resolved, text)
	}
}

func (p *part) len() int { return len(p.firing) + len(p.resolved) }

// cards renders one telling as messages with a card each.
func (s *rendering) cards() []*chat.Message {
	first := fixed{
		title:    s.line(keyTitle, s.data),
		subtitle: s.optionalLine(keySubtitle, s.data),
		summary:  s.html(keySummary, s.data, s.data.tight(), summaryMax),
		text:     s.text(s.data, textBytes),
		buttons:  s.buttons(),
	}
	first.title = cmp.Or(first.title, plainName(s.data))
	s.shown = first.title
	parts, omitted := s.divide(first)
	if len(parts) == 1 && omitted == 0 {
		return []*chat.Message{s.message(first, parts[0], 0, s.remarks(contextHTML))}
	}
	messages := make([]*chat.Message, len(parts))
	d := *s.data
	d.Parts, d.Omitted = len(parts), omitted
	for i, p := range parts {
		d.Part = i + 1
		f := s.again(first, &d)
		var remarks []string
		if i == 0 {
			remarks = s.remarks(contextHTML)
		} else {
			f.summary, f.buttons = "", nil
		}
		left := 0
		if i == len(parts)-1 {
			left = omitted
		}
		messages[i] = s.message(f, p, left, remarks)
	}
	if omitted > 0 {
		s.note(s.r.where("max_parts"), fmt.Sprintf("%d alerts are not shown", omitted))
	}
	return messages
}

// optionalLine renders a line that a space may leave out.
func (s *rendering) optionalLine(key string, d *Data) string {
	if s.r.space.Card.Subtitle == "" {
		return ""
	}
	return s.line(key, d)
}

// again renders the strings of a part anew, now that it is known which of how
// many it is. None may be much longer than before: the room is given away.
func (s *rendering) again(first fixed, d *Data) fixed {
	f := first
	f.title = cut(cmp.Or(s.line(keyTitle, d), first.title), maxTitle, jsonLen(first.title)+growthRoom)
	f.subtitle = cut(s.optionalLine(keySubtitle, d), maxTitle, jsonLen(first.subtitle)+growthRoom)
	f.text = cut(s.text(d, textBytes), maxText-20, jsonLen(first.text)+growthRoom)
	if d.Parts > 1 {
		mark := strconv.Itoa(d.Part) + "/" + strconv.Itoa(d.Parts)
		f.title, f.text = marked(f.title, mark), marked(f.text, mark)
	}
	return f
}

// marked puts the part behind the first line, unless the template did.
func marked(s, mark string) string {
	line, rest, more := strings.Cut(s, "\n")
	if strings.Contains(line, mark) {
		return s
	}
	line += " (" + mark + ")"
	if more {
		line += "\n" + rest
	}
	return line
}

// divide renders the alerts, worst first, and puts them into parts. It renders
// no more of them than fit, and returns how many are left over.
func (s *rendering) divide(first fixed) (parts []*part, omitted int) {
	alerts := s.data.Alerts
	rest := fixed{title: first.title, subtitle: first.subtitle, text: first.text}
	room := s.room(first)
	p := &part{}
	parts = []*part{p}
	if s.r.space.Card.Alert == "" {
		return parts, 0
	}
	for i := range alerts {
		limit := room / 2
		if len(alerts) == 1 {
			limit = room
		}
		text := s.alert(alerts[i], limit)
		if text == "" {
			continue
		}
		if p.bytes+jsonLen(text)+widgetBytes > room || p.len() >= maxShown {
			if len(parts) >= max(s.r.space.MaxParts, 1) {
				return parts, len(alerts) - i
			}
			if len(parts) == 1 {
				room = s.room(rest)
			}
			p = &part{}
			parts = append(parts, p)
		}
		p.add(alerts[i].Status, text)
	}
	return parts, 0
}

// room is how many bytes a message has for alerts.
func (s *rendering) room(f fixed) int {
	used := frameRoom + remarkRoom + maxLinkBytes + fallbackMax
	for _, text := range []string{f.title, f.subtitle, f.text} {
		used += jsonLen(text) + growthRoom
	}
	used += jsonLen(f.summary) + len(s.tellings[0].ID)
	for _, b := range f.buttons {
		used += buttonCost(b.Text, b.OnClick.OpenLink.URL)
	}
	return maxMessage - used
}

// buttonCost is how many bytes a button takes in a message.
func buttonCost(text, link string) int {
	return jsonLen(text) + jsonLen(link) + len(`{"text":"","onClick":{"openLink":{"url":""}}},`)
}

// alert renders one alert.
func (s *rendering) alert(a amtemplate.Alert, limit int) string {
	d := s.data.with(a, maxAlertBytes)
	tight := s.data.tight().with(a, tightBytes)
	return s.html(keyAlert, d, tight, limit)
}

// message lays out one message.
func (s *rendering) message(f fixed, p *part, omitted int, remarks []string) *chat.Message {
	card := &chat.Card{Header: &chat.Header{Title: f.title, Subtitle: f.subtitle}}
	add := func(section chat.Section) {
		if len(section.Widgets) > 0 {
			card.Sections = append(card.Sections, section)
		}
	}
	var top chat.Section
	own := []string{f.summary}
	if len(s.data.Alerts) == 1 {
		// What is of the group and what is of its alert is the same to the reader.
		own, p = slices.Concat(own, p.firing, p.resolved), &part{}
	}
	for _, text := range append(own, remarks...) {
		if text != "" {
			top.Widgets = append(top.Widgets, paragraph(text))
		}
	}
	add(top)
	firing, resolved := count(s.data)
	add(alerts("🔥 Firing", firing, p.firing))
	add(alerts("✅ Resolved", resolved, p.resolved))
	if omitted > 0 {
		add(chat.Section{Widgets: []chat.Widget{paragraph(s.more(omitted))}})
	}
	if len(f.buttons) > 0 {
		add(chat.Section{Widgets: []chat.Widget{{ButtonList: &chat.ButtonList{Buttons: f.buttons}}}})
	}
	if len(card.Sections) == 0 {
		add(chat.Section{Widgets: []chat.Widget{paragraph(escapeHTML(f.title))}})
	}
	return &chat.Message{
		Text:         f.text,
		FallbackText: fallback(f),
		CardsV2:      []chat.CardWithID{{CardID: cmp.Or(s.tellings[0].ID, "alerts"), Card: card}},
	}
}

func paragraph(text string) chat.Widget {
	return chat.Widget{TextParagraph: &chat.TextParagraph{Text: text}}
}

// alerts lays out a section of alerts.
func alerts(name string, count int, texts []string) chat.Section {
	section := chat.Section{Header: fmt.Sprintf("<b>%s (%d)</b>", name, count)}
	for _, text := range texts {
		section.Widgets = append(section.Widgets, paragraph(text))
	}
	if len(texts) > visibleAlerts+1 {
		section.Collapsible, section.UncollapsibleWidgetsCount = true, visibleAlerts
	}
	return section
}

// more says how many alerts are not shown, and where they are.
func (s *rendering) more(omitted int) string {
	text := fmt.Sprintf("+%d more %s", omitted, plural(omitted, "alert"))
	if link := alertsURL(s.data); link != "" {
		text += ` · <a href="` + escapeHTML(link) + `">all in Alertmanager</a>`
	}
	return text
}

// buttons renders the card's buttons. What has no URL is no button.
func (s *rendering) buttons() []chat.Button {
	var buttons []chat.Button
	room := buttonRoom
	s.links = make([]string, len(s.r.space.Card.Buttons))
	for i, b := range s.r.space.Card.Buttons {
		if b.URL == "" {
			continue
		}
		where := s.r.where(keyButton(i, "url"))
		raw := strings.TrimSpace(s.slot(keyButton(i, "url"), contextURL, s.data, nil))
		if raw == "" {
			continue
		}
		link, ok := webURL(raw)
		if !ok {
			s.note(where, "left out: it is no absolute http(s) URL, or too long")
			continue
		}
		text := plainLine(s.slot(keyButton(i, "text"), contextPlain, s.data, nil))
		text = cut(cmp.Or(text, "Open"), maxButton, 200)
		cost := buttonCost(text, link)
		if cost > room {
			s.note(where, "left out: the links are too long together")
			continue
		}
		room -= cost
		s.links[i] = link
		buttons = append(buttons, chat.Button{Text: text, OnClick: &chat.OnClick{OpenLink: &chat.OpenLink{URL: link}}})
	}
	return buttons
}

// fallback is the card in plain words, for clients that show none.
func fallback(f fixed) string {
	text := f.title
	if f.subtitle != "" {
		text += " · " + f.subtitle
	}
	return cut(escapeText(text, true), maxText, fallbackMax)
}
