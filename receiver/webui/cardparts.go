package webui

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/html"

	"alertchat/receiver/chat"
)

//go:embed icons.txt
var iconFile string

// icons returns the paths of the icons there are, by name.
var icons = sync.OnceValue(func() map[string]string {
	paths := map[string]string{}
	for line := range strings.Lines(iconFile) {
		if name, path, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name != "#" {
			paths[name] = path
		}
	}
	return paths
})

// knownIcons are the Material icons that Chat's own icons look like
// (https://developers.google.com/workspace/chat/format-messages#builtinicons).
var knownIcons = map[string]string{
	"AIRPLANE": "flight", "BOOKMARK": "bookmark", "BUS": "directions_bus", "CAR": "directions_car", "CLOCK": "schedule",
	"CONFIRMATION_NUMBER_ICON": "confirmation_number", "DESCRIPTION": "description", "DOLLAR": "attach_money", "EMAIL": "mail",
	"EVENT_SEAT": "event_seat", "FLIGHT_ARRIVAL": "flight_land", "FLIGHT_DEPARTURE": "flight_takeoff", "HOTEL": "hotel",
	"HOTEL_ROOM_TYPE": "king_bed", "INVITE": "event", "MAP_PIN": "location_on", "MEMBERSHIP": "card_membership",
	"MULTIPLE_PEOPLE": "group", "PERSON": "person", "PHONE": "call", "RESTAURANT_ICON": "restaurant",
	"SHOPPING_CART": "shopping_cart", "STAR": "star", "STORE": "store", "TICKET": "local_activity", "TRAIN": "train",
	"VIDEO_CAMERA": "videocam", "VIDEO_PLAY": "play_circle",
}

// drawIcon draws a [chat.Icon], or a Material icon by its name. One of which there
// is no picture here is an empty square: where Google has none either, Chat shows
// nothing.
func drawIcon(of any, class string) template.HTML {
	var icon chat.Icon
	switch of := of.(type) {
	case string:
		icon.MaterialIcon = &chat.MaterialIcon{Name: of}
	case *chat.Icon:
		icon = *of
	}
	name := knownIcons[icon.KnownIcon]
	if icon.MaterialIcon != nil {
		name = icon.MaterialIcon.Name
	}
	label := `aria-hidden="true"`
	if icon.AltText != "" {
		label = `role="img" aria-label="` + html.EscapeString(icon.AltText) + `"`
	}
	class = strings.TrimSpace("chat-icon " + class)
	if icon.ImageType == "CIRCLE" {
		class += " chat-circle"
	}
	switch path := icons()[name]; {
	case icon.IconURL != "":
		return template.HTML(fmt.Sprintf(`<span class="%s chat-picture-icon" %s title="%s"></span>`, class, label, html.EscapeString(icon.IconURL))) //nolint:gosec // G203: it is escaped
	case path != "":
		return template.HTML(fmt.Sprintf(`<svg class="%s" %s viewBox="0 -960 960 960"><path d="%s"/></svg>`, class, label, path)) //nolint:gosec // G203: the path is ours
	default:
		title := "the preview has no picture of the icon " + name + "; where Google has none either, Chat shows nothing"
		return template.HTML(fmt.Sprintf(`<span class="%s chat-no-icon" %s title="%s"></span>`, class, label, html.EscapeString(title))) //nolint:gosec // G203: it is escaped
	}
}

// messageText draws a message's text in the syntax that it says.
func messageText(m *drawnMessage) template.HTML {
	if m.MarkupSyntax == "MARKUP_SYNTAX_MARKDOWN" {
		return markdown().draw(m.Text)
	}
	return chatSyntax().draw(m.Text)
}

// prose draws the text of a paragraph.
func prose(p *chat.TextParagraph) template.HTML {
	if p.TextSyntax == "MARKDOWN" {
		return markdown().draw(p.Text)
	}
	return cardHTML(p.Text)
}

// opens returns the link that a click opens, or nothing.
func opens(c *chat.OnClick) string {
	if c == nil || c.OpenLink == nil {
		return ""
	}
	return link(c.OpenLink.URL)
}

func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// buttonLook returns the classes of a button: a colour fills it.
func buttonLook(b chat.Button) string {
	look := "outlined"
	switch {
	case b.Color != nil:
		look = "filled"
	case b.Type == "FILLED" || b.Type == "FILLED_TONAL" || b.Type == "BORDERLESS":
		look = strings.ToLower(strings.ReplaceAll(b.Type, "_", "-"))
	}
	if b.Text == "" {
		look += " chat-bare"
	}
	return "chat-button chat-" + look
}

// filling is a colour with one that can be read on it.
type filling struct{ Fill, Ink string }

// fillOf returns the colours of a button, or nil for those of the theme.
func fillOf(c *chat.Color) *filling {
	if c == nil {
		return nil
	}
	part := func(v float64) int { return int(math.Round(255 * min(max(v, 0), 1))) }
	f := &filling{Fill: fmt.Sprintf("#%02x%02x%02x", part(c.Red), part(c.Green), part(c.Blue)), Ink: "#ffffff"}
	if luminance(c) > 0.18 { // where black and white are read as well
		f.Ink = "#000000"
	}
	return f
}

// luminance is that of WCAG (https://www.w3.org/TR/WCAG22/#dfn-relative-luminance).
func luminance(c *chat.Color) float64 {
	linear := func(v float64) float64 {
		if v = min(max(v, 0), 1); v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.Red) + 0.7152*linear(c.Green) + 0.0722*linear(c.Blue)
}

// when returns the moment that a picker holds, in UTC.
func when(p *dateTimePicker) string {
	ms, err := strconv.ParseInt(p.ValueMsEpoch, 10, 64)
	if err != nil {
		return ""
	}
	layout := "2006-01-02 15:04"
	switch p.Type {
	case "DATE_ONLY":
		layout = "2006-01-02"
	case "TIME_ONLY":
		layout = "15:04"
	}
	return time.UnixMilli(ms).UTC().Format(layout)
}

// toggle is what the button says that shows and hides a section's other widgets.
type toggle struct{ More, Less string }

// toggleOf takes a section's own words where it has both buttons.
func toggleOf(s *drawnSection) toggle {
	t := toggle{"Show more", "Show less"}
	if c := s.CollapseControl; c != nil && c.ExpandButton != nil && c.CollapseButton != nil {
		t = toggle{cmp.Or(c.ExpandButton.Text, t.More), cmp.Or(c.CollapseButton.Text, t.Less)}
	}
	return t
}
