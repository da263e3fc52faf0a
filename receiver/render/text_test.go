package render_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"alertchat/receiver/chat"
	"alertchat/receiver/render"
)

func TestATextOfTheUsersOwn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"stays as it is, mentions and links too", "*done* <users/123> <https://example.org|log>", "*done* <users/123> <https://example.org|log>"},
		{"keeps its lines", "\na\r\nb\n\nc\n\n\n\nd\n", "a\nb\n\nc\n\nd"},
		{"loses control characters", "a\x00\x1b[31mb\u202ec\ufeff\t.", "a[31mbc ."},
		{"is made valid UTF-8", "a\xffb", "a\ufffdb"},
		{"keeps joined emoji", "👩‍👩‍👧", "👩‍👩‍👧"},
	} {
		m, notes, ok := render.Text(c.text, chat.ByWebhook)
		if m.Text != c.want || !ok || len(notes) > 0 {
			t.Errorf("%s: Text(%q) = %q, %v, %v, want %q", c.name, c.text, m.Text, notes, ok, c.want)
		}
	}
	for _, empty := range []string{"", " \n\t", "\x00\u2066"} {
		if m, _, ok := render.Text(empty, chat.ByWebhook); ok {
			t.Errorf("Text(%q) = %q, want nothing", empty, m.Text)
		}
	}
	for _, long := range []string{strings.Repeat("ü", 5_000), strings.Repeat("<", 5_000), strings.Repeat("a\n", 4_000)} {
		m, notes, ok := render.Text(long, chat.ByWebhook)
		if n := utf8.RuneCountInString(m.Text); !ok || n > 4_000 || n < 3_900 || !strings.HasSuffix(m.Text, "…") || len(notes) != 1 || !strings.HasPrefix(notes[0].What, "cut to ") {
			t.Errorf("of %.6q… %d characters remain, notes %v, want up to 4,000 and a note", long, n, notes)
		}
	}
}
