package render

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCleanHTMLKeepsWhatChatKnows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"text stays", "a &amp; b", "a &amp; b"},
		{"Chat's tags stay", "<b>b</b><i>i</i><u>u</u><s>s</s><code>c</code>", "<b>b</b><i>i</i><u>u</u><s>s</s><code>c</code>"},
		{"tags that mean the same are Chat's", "<strong>a</strong><em>b</em><del>c</del>", "<b>a</b><i>b</i><s>c</s>"},
		{"unknown tags go, their text stays", "<div class=x><h1>a</h1></div>", "a"},
		{"a script is text", "<script>alert(1)</script>", "alert(1)"},
		{"comments go", "a<!-- b -->c", "ac"},
		{"attributes go", `<b onclick="x()">a</b>`, "<b>a</b>"},
		{"open tags are closed", "<b>a<i>b", "<b>a<i>b</i></b>"},
		{"what is closed in the wrong order is closed", "<b>a<i>b</b>c</i>", "<b>a<i>b</i></b>c"},
		{"an end without a start goes", "a</b>", "a"},
		{"links stay", `<a href="https://x.example/?a=1&amp;b=2">x</a>`, `<a href="https://x.example/?a=1&amp;b=2">x</a>`},
		{"a relative link is text", `<a href="/x">x</a>`, "x"},
		{"a link to a script is text", `<a href="javascript:alert(1)">x</a>`, "x"},
		{"a link without a host is text", `<a href="https:///x">x</a>`, "x"},
		{"a link in a link is text", `<a href="https://a"><a href="https://b">x</a></a>`, `<a href="https://a">x</a>`},
		{"colours stay", `<font color="#d93025">x</font>`, `<font color="#d93025">x</font>`},
		{"colours in other forms go", `<font color="red">x</font><font>y</font>`, "xy"},
		{"lists stay", "<ul><li>a</li></ul>", "<ul><li>a</li></ul>"},
		{"items without a list are text", "<li>a</li>", "a"},
		{"newlines are line breaks", "a\nb", "a<br>b"},
		{"a newline after a line break is only layout", "a<br>\n  b", "a<br>b"},
		{"line breaks at both ends go", "<br>\n a <br><br>", " a"},
		{"more than one empty line is one", "a\n\n\n\nb", "a<br><br>b"},
		{"half an entity is text", "a &am", "a &amp;am"},
		{"half a tag goes", "a <b", "a"},
		{"only tags are nothing", "<b> <br></b>", ""},
		{"invalid UTF-8 is replaced", "a\xff", "a\ufffd"},
		{"control characters go", "a\x00\u202eb", "ab"},
	} {
		got, cut := cleanHTML(c.in, 10_000)
		if strings.TrimSpace(got) != strings.TrimSpace(c.want) || cut {
			t.Errorf("%s: cleanHTML(%q) = %q, %v, want %q", c.name, c.in, got, cut, c.want)
		}
	}
}

func TestCleanHTMLCutsBetweenCharacters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		in    string
		limit int
		want  string
	}{
		{"text ends in an ellipsis", strings.Repeat("a", 100), 20, strings.Repeat("a", 17) + "…"},
		{"open tags are closed behind it", "<b>" + strings.Repeat("a", 100) + "</b>", 40, "<b>" + strings.Repeat("a", 10) + "…</b>"},
		{"an entity is whole or absent", "aa&lt;&lt;&lt;", 20, "aa&lt;…"},
		{"a link without room is left out", `aa<a href="https://example.org/` + strings.Repeat("x", 50) + `">b</a>`, 30, "aa…"},
		{"joined emoji are whole or absent", "a👩‍👩‍👧‍👦", 12, "a…"},
		{"nothing fits", "abc", 0, ""},
	} {
		got, cut := cleanHTML(c.in, c.limit)
		if got != c.want || !cut {
			t.Errorf("%s: cleanHTML(%q, %d) = %q, %v, want %q, cut", c.name, c.in, c.limit, got, cut, c.want)
		}
	}
}

// chatTag is each tag that may come out.
var chatTag = regexp.MustCompile(`^(?:[^<>"]|<(b|i|u|s|time|code|pre|ul|ol|li)>|</(b|i|u|s|a|font|time|code|pre|ul|ol|li)>|<br>|<font color="#[0-9A-Fa-f]{6}">|<a href="https?://[^"<>]+">)*$`)

func FuzzCleanHTML(f *testing.F) {
	for _, s := range []string{
		"<b>a", "<a href='https://x'>y", "&lt;&#x3c;", "<script>", "<textarea><b>", "<plaintext>x", "a\n\nb", "<br>\n<br>",
		"<ul><li>a", "<font color='#123456'>", "<!--", "</b></b>", "👩‍👩‍👧‍👦", "<pre>\n\n</pre>", "<a href=\"https://x/\u202e\">",
	} {
		f.Add(s, 50)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		got, cut := cleanHTML(s, limit)
		if !chatTag.MatchString(got) {
			t.Errorf("cleanHTML(%q, %d) = %q, which is not Chat's", s, limit, got)
		}
		if n := jsonLen(got); got != "" && n > limit {
			t.Errorf("cleanHTML(%q, %d) = %q, which has %d bytes", s, limit, got, n)
		}
		if !utf8.ValidString(got) {
			t.Errorf("cleanHTML(%q, %d) = %q, which is no UTF-8", s, limit, got)
		}
		for _, tag := range []string{"b", "i", "u", "s", "a", "font", "time", "code", "pre", "ul", "ol", "li"} {
			opened := strings.Count(got, "<"+tag+">") + strings.Count(got, "<"+tag+" ")
			if closed := strings.Count(got, "</"+tag+">"); opened != closed {
				t.Errorf("cleanHTML(%q, %d) = %q: %d of <%s> are opened, %d closed", s, limit, got, opened, tag, closed)
			}
		}
		if again, cutAgain := cleanHTML(got, 1<<30); !cut && strings.TrimSpace(again) != strings.TrimSpace(got) && !cutAgain {
			t.Errorf("cleanHTML(%q) = %q, and cleaned again %q", s, got, again)
		}
	})
}

func TestWebURLTakesAbsoluteLinksOnly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, want string
		ok       bool
	}{
		{"https://example.org/a?b=c#d", "https://example.org/a?b=c#d", true},
		{" http://example.org ", "http://example.org", true},
		{"HTTPS://example.org", "HTTPS://example.org", true},
		{"https://ex.org/graph?g0.expr=up{job=\"x\"}", "https://ex.org/graph?g0.expr=up%7Bjob=%22x%22%7D", true},
		{"https://ex.org/größe", "https://ex.org/gr%C3%B6%C3%9Fe", true},
		{"https://user:pw@ex.org/", "https://user:pw@ex.org/", true},
		{"https://[::1]:9093/x", "https://[::1]:9093/x", true},
		{"", "", false},
		{"/graph", "", false},
		{"//ex.org/x", "", false},
		{"ex.org", "", false},
		{"https:ex.org", "", false},
		{"https://", "", false},
		{"https://:80/", "", false},
		{"https://a<b>.example/", "", false},
		{"https://a\"b.example/", "", false},
		{"javascript:alert(1)", "", false},
		{"data:text/html,x", "", false},
		{"ftp://ex.org", "", false},
		{"https://ex.org/a b", "", false},
		{"https://ex.org/\x00", "", false},
		{"https://ex.org/\u202e", "", false},
		{"https://ex.org/\xff", "", false},
		{"https://ex.org\\@evil.example", "", false},
		{"https://ex.org/" + strings.Repeat("x", 8000), "", false},
		{"https://ex.org/%zz", "", false},
	} {
		if got, ok := webURL(c.in); ok != c.ok || got != c.want {
			t.Errorf("webURL(%.60q) = %q, %v, want %q, %v", c.in, got, ok, c.want, c.ok)
		}
	}
}
