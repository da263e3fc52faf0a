package render

import (
	"fmt"

	"alertchat/receiver/chat"
)

// Text returns a text of the user's own as a message, as it is but for control
// characters and what is too long. A mention or a link in it stays one. ok is
// false where nothing remains to be sent.
func Text(text string, door chat.Door) (m *chat.Message, notes []Note, ok bool) {
	clean := plainText(text)
	short := cut(clean, maxText, maxMessage-2_000)
	if short != clean {
		notes = append(notes, Note{Where: "text", What: fmt.Sprintf("cut to %d characters: Google Chat takes no more", len([]rune(short)))})
	}
	return &chat.Message{Text: short, MarkupSyntax: door.Markup()}, notes, short != ""
}
