package render_test

import (
	"fmt"
	"strings"
	"testing"

	"alertchat/receiver/incident"
	"alertchat/receiver/render"
)

func TestANoticeIsAHeadingAndALineForEach(t *testing.T) {
	t.Parallel()
	tellings := flood(100)
	firing, resolved := tellings[0], tellings[99]
	const heading = "⚠️ ops gets no messages since 12:03 UTC: Google Chat answered 404 Not Found."
	for _, c := range []struct {
		name     string
		heading  string
		tellings []incident.Telling
		lines    []string
		text     string
		title    string
	}{
		{
			"tellings and lines", heading + " 2 groups wait:",
			[]incident.Telling{firing, resolved},
			[]string{"🔴 DiskFull", "🔴 *A*\n<users/all>"},
			heading + " 2 groups wait:\n" +
				"🔴 KubePodCrashLooping · 3 FIRING · critical · prod-eu-1 · shop-0000 · since 12:43 UTC\n" +
				"✅ KubeDeploymentReplicasMismatch · 3 RESOLVED · warning · prod-eu-1 · shop-0099 · began 12:44 UTC\n" +
				"🔴 DiskFull\n🔴 ∗A∗ <\u200busers/all>",
			heading + " 2 groups wait:",
		},
		{"a heading alone", "Well again.\n", nil, nil, "Well again.", "Well again."},
		{"a URL in the last line is a link", "Down.\n https://am.example/status ", nil, []string{"x"}, "Down.\n<https://am.example/status>\nx", "Down."},
		{"a URL elsewhere is none", "https://evil.example\nsays <https://evil.example|x> [y](https://evil.example).", nil, nil, "https:\u200b//evil.example says <\u200bhttps:\u200b//evil.example|x> [y]\u200b(https:\u200b//evil.example).", "https://evil.example says <https://evil.example|x> [y](https://evil.example)."},
		{"a URL alone is none", "https://evil.example", nil, nil, "https:\u200b//evil.example", "https://evil.example"},
		{"what is no URL is none", "Down.\nhttps://evil.example now", nil, nil, "Down. https:\u200b//evil.example now", "Down. https://evil.example now"},
		{"what is no web page is none", "Down.\njavascript:alert(1)", nil, nil, "Down. javascript:alert(1)", "Down. javascript:alert(1)"},
		{"what is too long is none", "Down.\nhttps://am.example/" + strings.Repeat("x", 2000), nil, nil, "Down. https:\u200b//am.example/" + strings.Repeat("x", 974) + "…", "Down. https://am.example/" + strings.Repeat("x", 134) + "…"},
		{"nobody is mentioned", "<users/all> *a* `b`", nil, []string{"users/all>"}, "<\u200busers/all> ∗a∗ ˋbˋ\n\u200busers/all>", "<users/all> *a* `b`"},
		{"lines that are empty are none", "Down.", nil, []string{"", "\x00", " \n"}, "Down.", "Down."},
		{"nothing", "", nil, nil, "Nothing to tell.", "nothing to tell"},
	} {
		got := renderer(t, nil).Notice(c.heading, c.tellings, c.lines, noon())
		sound(t, got)
		if m := got.Messages[0]; m.Text != c.text || len(got.Messages) != 1 || m.CardsV2 != nil || got.Title != c.title || got.Told != len(c.tellings) {
			t.Errorf("%s: text %q\nwant %q\ntitle %q, want %q, told %d", c.name, m.Text, c.text, got.Title, c.title, got.Told)
		}
	}
}

func TestANoticeCountsWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä<", 5000)
	for _, c := range []struct {
		name            string
		heading         string
		tellings, lines int
		line            string
		least           int // of what fits
	}{
		{"groups", "Down:", 1000, 0, "", 40},
		{"groups and lines", "Down:", 1000, 1000, "x", 40},
		{"lines", "Down:", 0, 5000, "🔴 DiskFull", 250},
		{"long lines", "Down:", 10, 100, long, 20},
		{"a long heading", long, 200, 10, long, 5},
		{"what fits", "Down:", 20, 10, "x", 30},
	} {
		got := renderer(t, nil).Notice(c.heading, flood(c.tellings), repeated(c.line, c.lines), noon())
		sound(t, got)
		text := got.Messages[0].Text
		shown := strings.Split(text, "\n")[1:]
		left := c.tellings + c.lines - len(shown)
		if left > 0 {
			left++ // for the line that says so
			shown = shown[:len(shown)-1]
		}
		if len(shown) < c.least || got.Told != min(len(shown), c.tellings) {
			t.Errorf("%s: %d lines, %d tellings told, want at least %d: %q", c.name, len(shown), got.Told, c.least, text)
		}
		more := strings.ReplaceAll(text[strings.LastIndexByte(text, '\n')+1:], ",", "")
		if want := fmt.Sprintf("+%d more", left); (left > 0) != (more == want) {
			t.Errorf("%s: it ends with %q, want %q where something is left out", c.name, more, want)
		}
	}
}

func repeated(line string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = line
	}
	return out
}

// TestANoticeNeedsNoTemplate has only templates that fail.
func TestANoticeNeedsNoTemplate(t *testing.T) {
	t.Parallel()
	const broken = "{{ index .Alerts 99 }}"
	r := renderer(t, func(s *render.Space) { s.Text, s.Message = broken, broken })
	tellings := flood(1)
	tellings[0].Kind, tellings[0].Repeat, tellings[0].Unknown = incident.Repeat, 2, "nowhere"
	want := "Down:\n🔴 KubePodCrashLooping · 3 FIRING · critical · prod-eu-1 · shop-0000 · since 12:44 UTC · reminder 2 · posted to an unknown space: nowhere"
	got := r.Notice("Down:", tellings, nil, noon())
	if got.Messages[0].Text != want || len(got.Failures) > 0 {
		t.Errorf("text = %q, %v, want %q", got.Messages[0].Text, got.Failures, want)
	}
}
