package render

import (
	"crypto/rand"
	"strings"
)

// mention returns what notifies a user, or all people in the space. It is
// nothing where people were notified before, where Chat would not take it, and
// for what is no user's id: a label's value may be anything.
func (x *executor) mention(v any) (markup, error) {
	id, err := x.text(v)
	if err != nil {
		return "", err
	}
	id = strings.TrimPrefix(strings.TrimSpace(id), "users/")
	if x.quiet || x.context != contextText && x.context != contextDocument {
		return "", nil
	}
	if id != "all" && (id == "" || len(id) > 64 || strings.Trim(id, "0123456789") != "") {
		return "", nil
	}
	return markup("<users/" + x.mentionMark + id + ">"), nil
}

// newMentionMark returns what tells the mentions of the function mention from
// all others in the template of a whole message. Values are not escaped there,
// so that only what no alert can know tells them apart. It is taken out of the
// message again. It begins with a character for private use, so that no text of
// an alert's is taken for a piece of it, and holds none that JSON, YAML or HTML
// escapes.
func newMentionMark() string { return "\ue000" + rand.Text() }

// settleMentions lets only the marked mentions stand in the texts of a message,
// the places where Chat would notify somebody.
func settleMentions(message any, mark string) {
	fields, _ := message.(map[string]any)
	for _, name := range []string{"text", "fallbackText"} {
		if text, ok := fields[name].(string); ok {
			// What is taken out of a text later must not make a mention of the rest.
			fields[name] = onlyMarkedMentions(plainText(text), mark)
		}
	}
}

// onlyMarkedMentions returns a text in which nobody is mentioned but by what
// holds the mark, which is taken out. So is a piece of it that a cut left.
func onlyMarkedMentions(text, mark string) string {
	const users = "users/"
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(text, "<")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		b.WriteByte('<')
		text = after
		if len(text) < len(users) || !strings.EqualFold(text[:len(users)], users) {
			continue
		}
		rest := text[len(users):]
		n := commonPrefix(rest, mark)
		if n < len(mark) {
			b.WriteString(zeroWidth)
		}
		b.WriteString(text[:len(users)])
		text = rest[n:]
	}
}

// commonPrefix returns how many bytes a and b have in common at their beginning,
// in whole runes.
func commonPrefix(a, b string) int {
	for i, r := range b {
		if !strings.HasPrefix(a[i:], string(r)) {
			return i
		}
	}
	return len(b)
}
