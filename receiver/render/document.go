package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"alertchat/receiver/chat"
)

// document renders a space's message template. What it puts out is decoded
// strictly, and mended where that is possible; else the built-in text message
// goes out.
func (s *rendering) document() []*chat.Message {
	message, err := s.decoded()
	if err == nil {
		err = s.complete(message)
	}
	if err == nil {
		return []*chat.Message{message}
	}
	s.fail(keyMessage, err)
	place := ""
	if _, line, _, _ := locate(err); line > 0 {
		place = fmt.Sprintf(" (line %d)", line)
	} else if d, ok := errors.AsType[*documentError](err); ok && d.line > 0 {
		place = fmt.Sprintf(" (line %d of what it puts out)", d.line)
	}
	return s.r.Plain(s.tellings[0], s.now, "⚠️ The template message failed"+place+": this is the built-in text.").Messages
}

func (s *rendering) decoded() (*chat.Message, error) {
	mark := newMentionMark()
	s.own.mentionMark = mark
	out, cut, err := s.run(keyMessage, contextDocument, s.data)
	s.own.mentionMark = ""
	if err != nil {
		return nil, err
	}
	if cut {
		return nil, fmt.Errorf("it puts out more than %d bytes", maxOutput)
	}
	doc := []byte(strings.ReplaceAll(out, mark, "")) // what may be shown
	body, err := s.r.decode([]byte(out))
	if err != nil {
		line := 0
		if at, ok := errors.AsType[interface {
			error
			Line() int
		}](err); ok {
			line = at.Line()
		}
		return nil, newDocumentError(doc, line, fmt.Errorf("%w; what may hold a colon, a # or a quote belongs into {{ quote … }}", err))
	}
	m, at, err := decodeMessage(body, mark)
	if err != nil {
		line := s.r.lineOf(doc, at)
		if line > 0 {
			err = fmt.Errorf("line %d: %w", line, err)
		}
		return nil, newDocumentError(doc, line, err)
	}
	return m, nil
}

// maxNear is how many characters of a line are shown.
const maxNear = 120

// documentError is what is wrong with the document that a template put out.
type documentError struct {
	line int    // of the document; 0 where it is not known
	near string // that line, shortened
	err  error
}

func newDocumentError(doc []byte, line int, err error) *documentError {
	e := &documentError{line: line, err: err}
	number := 0
	for text := range bytes.Lines(doc) {
		if number++; number == line {
			e.near = cut(plainLine(clip(string(text), maxValue)), maxNear, maxValue)
		}
	}
	return e
}

// Error returns the cause, which tells the line.
func (e *documentError) Error() string { return "what it puts out is no message: " + e.err.Error() }

// Unwrap returns the cause.
func (e *documentError) Unwrap() error { return e.err }

// decodeMessage decodes a message strictly. Like Chat it takes card_id for
// cardId. Its texts mention only whom the function mention did, which is told
// by the mark. Where it fails, at is the path of what is wrong.
func decodeMessage(body []byte, mark string) (m *chat.Message, at string, err error) {
	var document any
	if err := json.Unmarshal(body, &document); err != nil {
		return nil, "", err
	}
	if _, ok := document.(map[string]any); !ok {
		return nil, "", errors.New("it is no object with fields such as text and cardsV2")
	}
	for _, v := range chat.Check(bytes.ReplaceAll(body, []byte(mark), nil), chat.ByApp) {
		at := strings.Trim(v.Path+"."+v.Member, ".")
		switch v.Breach {
		case chat.NoBreach: // it is mended, or found at the end
		case chat.WrongType: // YAML reads some words in another way than people do
			return nil, at, fmt.Errorf("%s; a value that is to be a string belongs into {{ quote … }}, true, false and numbers stand without quotes", v)
		case chat.NoMessage, chat.UnknownField, chat.SetTwice, chat.WrongValue:
			return nil, at, errors.New(v.String())
		}
	}
	document = camelCase(document)
	if at, why := unsendable(document, reflect.TypeFor[chat.Message](), ""); why != "" {
		return nil, at, fmt.Errorf("%s: %s", at, why)
	}
	settleMentions(document, mark)
	if body, err = json.Marshal(document); err != nil {
		return nil, "", err
	}
	body = bytes.ReplaceAll(body, []byte(mark), nil)
	m = new(chat.Message)
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil {
		return nil, "", err
	}
	return m, "", nil
}

// unsendable returns the path of the first value, by name, that Chat knows and
// package chat does not: what only a dialog or a sheet has, for example.
func unsendable(v any, t reflect.Type, path string) (at, why string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			inner := strings.TrimPrefix(path+"."+name, ".")
			field, ok := fieldOf(t, name)
			if !ok {
				return inner, "is not for messages of alerts"
			}
			if at, why := unsendable(v[name], field, inner); why != "" {
				return at, why
			}
		}
	case []any:
		for i := range v {
			if at, why := unsendable(v[i], t.Elem(), fmt.Sprintf("%s[%d]", path, i)); why != "" {
				return at, why
			}
		}
	case string:
		if t.Kind() != reflect.String {
			return path, "must be a number without quotes"
		}
	}
	return "", ""
}

// fieldOf returns the type of a struct's field with that name in JSON.
func fieldOf(t reflect.Type, name string) (reflect.Type, bool) {
	if t.Kind() != reflect.Struct {
		return nil, false
	}
	for f := range t.Fields() {
		if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag == name {
			return f.Type, true
		}
	}
	return nil, false
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
		widgets -= chat.CountWidgets([]chat.Widget{w})
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
		widgets = max(widgets, c.Card.Widgets())
	}
	return len(body), widgets, err
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
