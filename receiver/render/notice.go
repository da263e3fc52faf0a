package render

import (
	"cmp"
	"strings"
	"time"
	"unicode/utf8"

	"alertchat/receiver/chat"
	"alertchat/receiver/incident"
)

// What a notice holds.
const (
	headingRunes = 1_000
	titleRunes   = 200 // of a line that is no telling
	moreRunes    = 30  // of what says how many lines are left out
)

// Notice renders a text message of alertchat's own, which needs no template: a
// heading, then a line for each telling and each of lines, as many as fit, and
// how many are left out. Told is how many of the tellings have a line.
//
// Nothing in it mentions anybody, and nothing is a link but the last line of the
// heading, where that is an absolute http(s) URL and nothing else.
func (r *Renderer) Notice(heading string, tellings []incident.Telling, lines []string, now time.Time) Rendered {
	heading, link := splitLink(heading)
	text := escapeLine(cut(heading, headingRunes, 3*headingRunes))
	if link != "" {
		text = strings.TrimSpace(text + "\n<" + link + ">")
	}
	all, shown := len(tellings)+len(lines), 0
	for ; shown < all; shown++ {
		var line string
		if shown < len(tellings) {
			t := &tellings[shown]
			line = groupLine(t, newData("", t), now)
		} else {
			line = cut(plainLine(clip(lines[shown-len(tellings)], maxValue)), titleRunes, 3*titleRunes)
		}
		longer := strings.TrimSpace(text + "\n" + escapeLine(line))
		if utf8.RuneCountInString(longer) > maxText-moreRunes {
			break
		}
		text = longer
	}
	if shown < all {
		text += "\n+" + thousands(all-shown) + " more"
	}
	notice := Rendered{
		Messages: []*chat.Message{{Text: cmp.Or(text, "Nothing to tell.")}},
		Told:     min(shown, len(tellings)),
		Title:    cmp.Or(cut(heading, maxTitle, titleBytes), "nothing to tell"),
	}
	return notice.markedUp(r.space.Door)
}

// splitLink takes the URL out of a heading that ends in one, and returns the
// rest as one line.
func splitLink(heading string) (text, link string) {
	heading = strings.TrimSpace(clip(heading, maxValue))
	if i := strings.LastIndexByte(heading, '\n'); i >= 0 {
		if u, ok := webURL(heading[i+1:]); ok && len(u) <= maxLinkBytes {
			return plainLine(heading[:i]), u
		}
	}
	return plainLine(heading), ""
}
