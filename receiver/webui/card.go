package webui

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"strings"
	"sync"

	"alertchat/receiver/chat"
)

//go:embed card.html
var cardPage string

//go:embed card.css
var cardCSS []byte

//go:embed card.js
var cardJS []byte

// Draw returns a message as HTML, close to how Google Chat shows it, with what
// Chat would refuse, drop or show otherwise said below. body is its JSON as it is
// sent, and door is by which way. What Chat's fonts, widths and colours are is not
// published.
//
// The HTML needs card.css, and card.js for what takes a value: a strict content
// security policy allows no style attributes. It loads nothing: in the place of a
// picture is a square, or a link to it. Nothing of the message is HTML in it but
// what Chat takes as such.
func Draw(body []byte, door chat.Door) (template.HTML, error) {
	html, _, err := read(body, door)
	return html, err
}

// read draws a message, and returns what it holds too; nothing of one that is too
// long to be drawn.
func read(body []byte, door chat.Door) (template.HTML, *drawnMessage, error) {
	m := drawnMessage{Remarks: remarks(body, door)}
	if len(body) > chat.MaxMessageBytes {
		m.Text = "This message is not drawn."
	} else if err := json.Unmarshal(body, &m); err != nil {
		return "", nil, fmt.Errorf("draw a message: %w", err)
	}
	var b strings.Builder
	if err := cardTemplate().Execute(&b, &m); err != nil {
		return "", nil, fmt.Errorf("draw a message: %w", err)
	}
	return template.HTML(b.String()), &m, nil //nolint:gosec // G203: package html/template escapes what is no HTML of ours
}

// remarks says what Chat would do otherwise, a line each.
func remarks(body []byte, door chat.Door) []string {
	var all []string
	for _, v := range chat.Check(body, door) {
		if v.Kind == chat.Rejected {
			all = append(all, "Google Chat refuses the message: "+v.String())
		} else {
			all = append(all, "Google Chat shows it otherwise: "+v.String())
		}
	}
	return all
}

// drawnMessage and those below are what a message can hold: what alertchat sends,
// and the inputs of Chat apps that answer requests.
type drawnMessage struct {
	chat.Message

	CardsV2 []struct {
		Card drawnCard `json:"card"`
	} `json:"cardsV2"`
	Remarks []string `json:"-"`
}

type drawnCard struct {
	chat.Card

	Sections []drawnSection `json:"sections"`
}

// Widgets counts those of all sections; the method of the embedded card knows no
// inputs.
func (c *drawnCard) Widgets() int {
	total := 0
	for i := range c.Sections {
		total += c.Sections[i].widgets()
	}
	return total
}

// Shown returns the sections that Chat shows.
func (c *drawnCard) Shown() []drawnSection {
	total := 0
	for i := range c.Sections {
		if total += c.Sections[i].widgets(); total > chat.MaxWidgets {
			return c.Sections[:i]
		}
	}
	return c.Sections
}

// Dropped returns how many sections it does not: those from the widget too many on.
func (c *drawnCard) Dropped() int { return len(c.Sections) - len(c.Shown()) }

type drawnSection struct {
	chat.Section

	Widgets []widget `json:"widgets"`
}

// Always returns the widgets that are shown without a click.
func (s *drawnSection) Always() []widget { return s.Widgets[:s.split()] }

// Behind returns those that are shown after one.
func (s *drawnSection) Behind() []widget { return s.Widgets[s.split():] }

func (s *drawnSection) split() int {
	if !s.Collapsible {
		return len(s.Widgets)
	}
	return min(max(s.UncollapsibleWidgetsCount, 0), len(s.Widgets))
}

// widgets counts them, with those inside of others.
func (s *drawnSection) widgets() int {
	total := len(s.Widgets)
	for i := range s.Widgets {
		if columns := s.Widgets[i].Columns; columns != nil {
			for j := range columns.ColumnItems {
				total += len(columns.ColumnItems[j].Widgets)
			}
		}
		total += chat.CountWidgets([]chat.Widget{{Carousel: s.Widgets[i].Carousel}}) - 1
	}
	return total
}

type widget struct {
	chat.Widget

	DecoratedText  *decoratedText  `json:"decoratedText"`
	Columns        *columns        `json:"columns"`
	TextInput      *textInput      `json:"textInput"`
	SelectionInput *selectionInput `json:"selectionInput"`
	DateTimePicker *dateTimePicker `json:"dateTimePicker"`
}

type decoratedText struct {
	chat.DecoratedText

	SwitchControl *struct {
		Selected    bool   `json:"selected"`
		ControlType string `json:"controlType"`
	} `json:"switchControl"`
}

type columns struct {
	ColumnItems []struct {
		chat.Column

		Widgets []widget `json:"widgets"`
	} `json:"columnItems"`
}

type textInput struct {
	Label           string `json:"label"`
	HintText        string `json:"hintText"`
	PlaceholderText string `json:"placeholderText"`
	Value           string `json:"value"`
	Type            string `json:"type"`
}

type selectionInput struct {
	Label    string `json:"label"`
	HintText string `json:"hintText"`
	Type     string `json:"type"`
	Items    []struct {
		Text       string `json:"text"`
		BottomText string `json:"bottomText"`
		Selected   bool   `json:"selected"`
	} `json:"items"`
}

type dateTimePicker struct {
	Label        string `json:"label"`
	Type         string `json:"type"`
	ValueMsEpoch string `json:"valueMsEpoch"`
}

// cardTemplate returns what draws messages; it is parsed once.
var cardTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("message").Funcs(template.FuncMap{
		"text":   messageText,
		"rich":   cardHTML,
		"prose":  prose,
		"icon":   drawIcon,
		"look":   buttonLook,
		"opens":  opens,
		"fill":   fillOf,
		"link":   link,
		"host":   host,
		"when":   when,
		"toggle": toggleOf,
		"words":  func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "-")) },
		"simple": func(w chat.Widget) *widget { return &widget{Widget: w} },
	}).Parse(cardPage))
})
