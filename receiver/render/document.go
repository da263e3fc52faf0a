package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"alertchat/receiver/chat"
)

// document renders a space's message template. What it puts out is decoded
// strictly, and mended where that is possible; else the built-in text message
// goes out.
func (s *rendering) document() Rendered {
	message, err := s.decoded()
	if err == nil {
		err = s.complete(message)
	}
	if err == nil {
		return Rendered{Messages: []*chat.Message{message}}
	}
	s.fail(keyMessage, err)
	place := ""
	if _, line := locate(err); line > 0 {
		place = fmt.Sprintf(" (line %d)", line)
	}
	plain := s.r.Plain(s.tellings, s.now, "⚠️ The template message failed"+place+": this is the built-in text.")
	return Rendered{Messages: plain.Messages}
}

func (s *rendering) decoded() (*chat.Message, error) {
	out, cut, err := s.run(keyMessage, contextDocument, s.data)
	if err != nil {
		return nil, err
	}
	if cut {
		return nil, fmt.Errorf("it puts out more than %d bytes", maxOutput)
	}
	body, err := s.r.decode([]byte(out))
	if err != nil {
		return nil, fmt.Errorf("what it puts out is neither YAML nor JSON: %w", err)
	}
	return decodeMessage(body)
}

// decodeMessage decodes a message strictly. Like Chat it takes card_id for cardId.
func decodeMessage(body []byte) (*chat.Message, error) {
	var document any
	if err := json.Unmarshal(body, &document); err != nil {
		return nil, fmt.Errorf("what it puts out is no message: %w", err)
	}
	if _, ok := document.(map[string]any); !ok {
		return nil, errors.New("what it puts out is no message: it is no object")
	}
	body, err := json.Marshal(camelCase(document))
	if err != nil {
		return nil, err
	}
	var m chat.Message
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		// Check says where it is, and what was meant. What it rejects without an
		// answer of Chat's is mended later.
		for _, v := range chat.Check(body, chat.ByApp) {
			if v.Kind == chat.Rejected && v.Answer != "" {
				return nil, fmt.Errorf("what it puts out is no message: %s", v)
			}
		}
		return nil, fmt.Errorf("what it puts out is no message that can be sent: %w", err)
	}
	return &m, nil
}

// camelCase returns a document with all names in Chat's first form, and without
// what is null: that is as if it were not there.
func camelCase(v any) any {
	switch v := v.(type) {
	case map[string]any:
		renamed := make(map[string]any, len(v))
		for name, value := range v {
			if value == nil {
				continue
			}
			renamed[camelName(name)] = camelCase(value)
		}
		return renamed
	case []any:
		for i := range v {
			v[i] = camelCase(v[i])
		}
	}
	return v
}

func camelName(name string) string {
	var b strings.Builder
	upper := false
	for _, r := range name {
		switch {
		case r == '_' && b.Len() > 0:
			upper = true
			continue
		case upper && r >= 'a' && r <= 'z':
			r -= 'a' - 'A'
		}
		upper = false
		b.WriteRune(r)
	}
	return b.String()
}

// complete mends a message, adds what it lacks, and makes it fit. It fails
// where nothing remains to be sent, or where Chat would refuse it even so.
func (s *rendering) complete(m *chat.Message) error {
	mend := mender{s: s, door: s.r.space.Door}
	mend.message(m)
	if m.Text == "" && len(m.CardsV2) == 0 {
		return errors.New("what it puts out is empty: it needs a text or a card")
	}
	if len(m.CardsV2) > 0 {
		s.companions(m)
	}
	if err := s.fit(m); err != nil {
		return err
	}
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	for _, v := range chat.Check(body, mend.door) {
		if v.Kind == chat.Rejected {
			return fmt.Errorf("chat would refuse what it puts out: %s", v)
		}
	}
	return nil
}

// companions gives a card the texts that phones show in its place.
func (s *rendering) companions(m *chat.Message) {
	if m.Text == "" {
		text := s.named("chat.text", contextText, s.data, s.plainText)
		m.Text = cut(plainText(text), maxText, textBytes)
		s.note("text", "added: a phone shows no card")
	}
	if m.FallbackText == "" {
		text := escapeText(plainName(s.data), true)
		if c := m.CardsV2[0].Card; c != nil && c.Header != nil {
			text = fallback(fixed{title: c.Header.Title, subtitle: c.Header.Subtitle})
		}
		m.FallbackText = cut(text, 500, fallbackMax)
		s.note("fallbackText", "added: some clients show no card")
	}
}

// fit drops widgets from the end until the message is within Chat's limits.
func (s *rendering) fit(m *chat.Message) error {
	size, widgets, err := measure(m)
	if err != nil {
		return err
	}
	if size <= maxMessage && widgets <= maxWidgets {
		return nil
	}
	const hint = "⚠️ The message was too long: its end is left out."
	dropped := 0
	for size > maxMessage-len(hint)-200 || widgets > maxWidgets-1 {
		w, ok := lastWidget(m)
		if !ok {
			break
		}
		body, err := json.Marshal(w)
		if err != nil {
			return err
		}
		size -= len(body)
		widgets -= countWidgets([]chat.Widget{w})
		dropped++
	}
	if dropped > 0 {
		s.note("cardsV2", fmt.Sprintf("%d widgets at the end left out: the message was too long", dropped))
		addWidget(m, paragraph(hint))
	}
	if size, _, err = measure(m); err == nil && size > maxMessage {
		err = fmt.Errorf("what it puts out is too long: %d bytes", size)
	}
	return err
}

func measure(m *chat.Message) (size, widgets int, err error) {
	body, err := json.Marshal(m)
	for _, c := range m.CardsV2 {
		n := 0
		for _, section := range c.Card.Sections {
			n += countWidgets(section.Widgets)
		}
		widgets = max(widgets, n)
	}
	return len(body), widgets, err
}

// countWidgets counts widgets and those inside of them.
func countWidgets(widgets []chat.Widget) int {
	n := len(widgets)
	for _, w := range widgets {
		if w.Columns != nil {
			for _, c := range w.Columns.ColumnItems {
				n += countWidgets(c.Widgets)
			}
		}
		if w.Carousel != nil {
			for _, c := range w.Carousel.CarouselCards {
				n += countWidgets(c.Widgets) + countWidgets(c.FooterWidgets)
			}
		}
	}
	return n
}

// lastWidget takes the last widget out of a message; a card that is left
// without any goes with it.
func lastWidget(m *chat.Message) (chat.Widget, bool) {
	for i, c := range slices.Backward(m.CardsV2) {
		card := c.Card
		for j := len(card.Sections) - 1; j >= 0; j-- {
			section := &card.Sections[j]
			if n := len(section.Widgets); n > 0 {
				w := section.Widgets[n-1]
				section.Widgets = section.Widgets[:n-1]
				if n == 1 {
					card.Sections = card.Sections[:j]
				}
				return w, true
			}
			card.Sections = card.Sections[:j]
		}
		if i > 0 {
			m.CardsV2 = m.CardsV2[:i]
		}
	}
	return chat.Widget{}, false
}

// addWidget puts a widget at the end of a message's last card.
func addWidget(m *chat.Message, w chat.Widget) {
	card := m.CardsV2[len(m.CardsV2)-1].Card
	card.Sections = append(card.Sections, chat.Section{Widgets: []chat.Widget{w}})
}
