package render

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestEscapeHTMLLeavesNoMarkup(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"plain text stays", "node-0 is down (90%)", "node-0 is down (90%)"},
		{"special characters are entities", `<b a="1" b='2'>&amp;`, "&lt;b a=&quot;1&quot; b=&#39;2&#39;&gt;&amp;amp;"},
		{"a newline is a line break", "a\nb", "a<br>b"},
		{"CR LF is one line break", "a\r\nb", "a<br>b"},
		{"a line separator is a line break", "a\u2028b", "a<br>b"},
		{"a tab is a space", "a\tb", "a b"},
		{"control characters go", "a\x00b\x1b[31mc\x7f\u0081", "ab[31mc"},
		{"overrides of the direction go", "user\u202egpj.exe\u202c\u2066x\u2069", "usergpj.exex"},
		{"backslashes stay", `C:\tmp`, `C:\tmp`},
		{"template syntax is text", "{{ .Status }}", "{{ .Status }}"},
		{"invalid UTF-8 is replaced", "a\xffb", "a\ufffdb"},
		{"emoji sequences stay whole", "👩‍👩‍👧‍👦", "👩‍👩‍👧‍👦"},
		{"zero-width spaces stay", "a\u200bb", "a\u200bb"},
	} {
		if got := escapeHTML(c.in); got != c.want {
			t.Errorf("%s: escapeHTML(%q) = %q, want %q", c.name, c.in, got, c.want)
		}
	}
}

func TestEscapeTextLeavesNoSyntax(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in, want string
		lineStart      bool
	}{
		{"plain text stays", "node-0 is down (90%), really", "node-0 is down (90%), really", false},
		{"a mention is broken", "<users/all>", "<\u200busers/all>", false},
		{"a mention whose bracket is the template's is broken", "users/all", "\u200busers/all", false},
		{"a link with a label is broken", "<https://x|y>", "<\u200bhttps:\u200b//x|y>", false},
		{"a Markdown link is broken", "[x](https://y)", "[x]\u200b(https:\u200b//y)", false},
		{"a bare link is broken", "see HTTP://x.y", "see HTTP:\u200b//x.y", false},
		{"a link over two values is broken at the first's end", "https:", "https:\u200b", false},
		{"a link over two values is broken at the second's start", "//evil.example", "\u200b//evil.example", false},
		{"www. is broken", "www.example.org WWW.x", "www\u200b.example.org WWW\u200b.x", false},
		{"an address is broken", "me@example.org", "me@\u200bexample.org", false},
		{"bold is broken", "*bold*", "∗bold∗", false},
		{"strike is broken", "~strike~ ~~x~~", "∼strike∼ ∼∼x∼∼", false},
		{"code is broken", "`code` ```x```", "ˋcodeˋ ˋˋˋxˋˋˋ", false},
		{"italics are broken", "_italic_", "_\u200bitalic_\u200b", false},
		{"underscores inside of names stay", "node_cpu_seconds_total", "node_cpu_seconds_total", false},
		{"newlines are spaces", "a\nb\r\nc", "a b c", false},
		{"a list at the start of a line is broken", "- x", "\u200b- x", true},
		{"a heading at the start of a line is broken", "# x", "\u200b# x", true},
		{"a quote at the start of a line is broken", "> x", "\u200b> x", true},
		{"a number at the start of a line is no list", "1. x", "\u200b1. x", true},
		{"a dash inside of a line stays", "- x", "- x", false},
		{"a port stays", "host:9100", "host:9100", false},
		{"control characters go", "a\x00\u202eb", "ab", false},
	} {
		if got := escapeText(c.in, c.lineStart); got != c.want {
			t.Errorf("%s: escapeText(%q, %v) = %q, want %q", c.name, c.in, c.lineStart, got, c.want)
		}
	}
}

func TestPlainLineIsOneLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a":                     "a",
		"  a \t\n\n b\r\n":      "a b",
		"a\x00\x1bb":            "ab",
		"\u202eabc":             "abc",
		"a\u00a0\u3000b":        "a b",
		"<b>&amp;</b>":          "<b>&amp;</b>",
		"":                      "",
		"\n\n":                  "",
		"a  b":                  "a b",
		"日本\u2029語":             "日本 語",
		strings.Repeat(" ", 99): "",
	} {
		if got := plainLine(in); got != want {
			t.Errorf("plainLine(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestPlainTextKeepsLines(t *testing.T) {
	t.Parallel()
	in, want := "\n a\x00\r\n\n\n\nb\n", "a\n\nb"
	if got := plainText(in); got != want {
		t.Errorf("plainText(%q) = %q, want %q", in, got, want)
	}
}

func TestCutEndsWhereACharacterEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		in           string
		runes, limit int
		want         string
	}{
		{"what fits stays", "abc", 3, 3, "abc"},
		{"what is too long ends in an ellipsis", "abcdef", 5, 100, "abcd…"},
		{"bytes count, too", "abcdef", 100, 5, "ab…"},
		{"bytes are those of JSON", "<<<<", 100, 15, "<<…"},
		{"wide characters are not parted", "日本語日本語", 4, 100, "日本語…"},
		{"joined emoji are not parted", "ab👩‍👩‍👧‍👦cd", 5, 100, "ab…"},
		{"a skin tone stays with its hand", "ab👍🏽cd", 4, 100, "ab…"},
		{"a mark stays with its letter", "abe\u0301d", 4, 100, "ab…"},
		{"spaces before the ellipsis go", "ab cdef", 4, 100, "ab…"},
		{"no room leaves nothing", "abc", 0, 100, ""},
		{"no room for an ellipsis leaves nothing", "abcd", 100, 2, ""},
		{"empty stays empty", "", 0, 0, ""},
	} {
		if got := cut(c.in, c.runes, c.limit); got != c.want {
			t.Errorf("%s: cut(%q, %d, %d) = %q, want %q", c.name, c.in, c.runes, c.limit, got, c.want)
		}
	}
}

func TestJSONLenIsWhatEncodingJSONWrites(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "abc", "<>&\"'\\", "\x00\x01\n\r\t\b\f\x1f\x7f", "日本\u2028\u2029", "\xff\xfe", "👩‍👩‍👧‍👦", "\ufffd"} {
		body, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		// encoding/json writes U+FFFD as it is, and invalid bytes as \ufffd: counting six is the safe side.
		if got, want := jsonLen(s), len(body)-2; got < want || got > want+3*strings.Count(s, "\ufffd") {
			t.Errorf("jsonLen(%q) = %d, want %d", s, got, want)
		}
	}
}

// active finds what Chat or Markdown makes a mention, a link or an address of.
var active = regexp.MustCompile(`<(users|customEmojis|https?:)|://|\]\(|(?i:www\.)|@[\pL\pN]|[*~` + "`" + `\n\r\x00]`)

// TestWhatIsNotShownPartsNothing: a control character was looked at as a
// neighbour and then left out, so that what stood around it met.
func TestWhatIsNotShownPartsNothing(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"ww\x11w.", "www\x11.", ":\x00//", "]\u202e(", "<\x01users/all>"} {
		if got := escapeText(s, true); active.MatchString(got) {
			t.Errorf("escapeText(%q) = %q, which is active", s, got)
		}
	}
	for _, s := range []string{"\x01users/all>", "\ufeff#", "1\x01."} {
		if got := escapeText(s, true); !strings.HasPrefix(got, zeroWidth) {
			t.Errorf("escapeText(%q) = %q, which completes or begins syntax", s, got)
		}
	}
}

func FuzzEscapeText(f *testing.F) {
	for _, s := range []string{"ww\x11w.", "<users/all>", "www.a", "wwww.", "a@b", "https://", "*a*", "_a_", "\u202e", "\xff", "]("} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, lineStart bool) {
		got := escapeText(s, lineStart)
		if m := active.FindString(got); m != "" {
			t.Errorf("escapeText(%q) = %q, which holds %q", s, got, m)
		}
		if !utf8.ValidString(got) {
			t.Errorf("escapeText(%q) = %q, which is no UTF-8", s, got)
		}
	})
}

func FuzzEscapeHTML(f *testing.F) {
	f.Add("<b>&\"'\n\x00")
	f.Fuzz(func(t *testing.T, s string) {
		got := escapeHTML(s)
		if strings.ContainsAny(strings.ReplaceAll(got, "<br>", ""), "<>\"'\x00\n") || !utf8.ValidString(got) && utf8.ValidString(s) {
			t.Errorf("escapeHTML(%q) = %q", s, got)
		}
		if again, _ := cleanHTML(got, 1<<30); strings.TrimSpace(again) != "" && strings.Contains(again, "<a") {
			t.Errorf("escapeHTML(%q) holds a link: %q", s, again)
		}
	})
}

func FuzzCut(f *testing.F) {
	f.Add("ab👩‍👩‍👧‍👦cd", 4, 9)
	f.Fuzz(func(t *testing.T, s string, runes, limit int) {
		s = strings.ToValidUTF8(s, "")
		got := cut(s, runes, limit)
		if n := utf8.RuneCountInString(got); got != "" && n > runes {
			t.Errorf("cut(%q, %d, %d) has %d runes", s, runes, limit, n)
		}
		if n := jsonLen(got); got != "" && n > limit {
			t.Errorf("cut(%q, %d, %d) has %d bytes", s, runes, limit, n)
		}
		if !utf8.ValidString(got) {
			t.Errorf("cut(%q, %d, %d) = %q, which is no UTF-8", s, runes, limit, got)
		}
		if head, ok := strings.CutSuffix(got, ellipsis); ok && got != s && !strings.HasPrefix(s, strings.TrimRightFunc(head, unicode.IsSpace)) {
			t.Errorf("cut(%q, %d, %d) = %q, which is no beginning of it", s, runes, limit, got)
		}
	})
}
