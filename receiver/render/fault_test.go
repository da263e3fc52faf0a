package render_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	amtemplate "github.com/prometheus/alertmanager/template"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat"
	"alertchat/receiver/incident"
	"alertchat/receiver/render"
)

func TestARunawayTemplateEndsWithItsPlace(t *testing.T) {
	t.Parallel()
	one := oneAlert(t, nil, map[string]string{"big": strings.Repeat("ab ", 100_000)})
	for _, c := range []struct{ name, text, want string }{
		{"a loop over a number", "x\n{{ range 1000000000 }}{{ end }}", "spaces[ops].text:2:"},
		{"a loop that puts out a gigabyte", "x\n{{ range 1000000000 }}\n{{ $.Status }}{{ end }}", "spaces[ops].text:2:"},
		{"a gigabyte in a few turns", `{{ $s := "x" }}{{ range 20 }}{{ $s = print $s $s }}{{ end }}` + "\n{{ range 20000 }}{{ $s }}{{ end }}", "spaces[ops].text:2:"},
		{"a gigabyte of literal text", "{{ range 90000 }}" + strings.Repeat("0123456789", 1200) + "{{ end }}", "16 MiB"},
		{"a loop in a template that is included", "{{ define \"a\" }}\n\n{{ range 1000000000 }}x{{ end }}{{ end }}{{ include \"a\" . }}", "spaces[ops].text:3:"},
		{"loops in loops", "{{ range 10000 }}{{ range 10000 }}{{ end }}{{ end }}", "steps"},
		{"a template that calls itself", `{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}`, "deep"},
		{"templates that call each other", `{{ define "a" }}{{ template "b" . }}{{ end }}{{ define "b" }}{{ template "a" . }}{{ end }}{{ template "a" . }}`, "deep"},
		{"an include of itself", `{{ define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}`, "deep"},
		{"a recursion in two arms", `{{ define "a" }}{{ if lt (len .) 30 }}{{ template "a" (append . 1) }}{{ template "a" (append . 1) }}{{ end }}{{ end }}{{ template "a" (list) }}`, "steps"},
		{"a list that doubles", `{{ $l := list 1 }}{{ range 100 }}{{ $l = list $l $l }}{{ end }}{{ $l }}`, "holds more"},
		{"a dict that doubles", `{{ $l := list 1 }}{{ range 100 }}{{ $l = list (dict "a" $l "b" $l) }}{{ end }}{{ toJson $l }}`, "holds more"},
		{"a width that is too large", `{{ printf "%1000000d" 1 }}`, "printf"},
		{"widths that are too large together", `{{ printf "%60000d%60000d" 1 2 }}`, "printf"},
		{"a width from outside", `{{ printf "%*d" 1000000 1 }}`, "printf"},
		{"a regular expression that does not compile", `{{ reReplaceAll "(" "" "x" }}`, "missing closing"},
		{"regular expressions over and over", `{{ range 100000 }}{{ if match "(a|b)*c$" $.CommonAnnotations.big }}{{ end }}{{ end }}`, "steps"},
		{"an index out of range", `{{ index .Alerts 5 }}`, "index out of range"},
		{"a field that is none", `{{ .Nothing }}`, "Nothing"},
		{"a zone that is none", `{{ tz "Mars/Olympus" now }}`, "Mars"},
		{"a call of nothing", `{{ call .Nothing }}`, "Nothing"},
		{"a negative index of a slice", `{{ slice "abc" 5 }}`, "out of range"},
		{"silenceURL of a number", `{{ silenceURL 1 }}`, "silenceURL takes"},
		{"alertsURL of an alert", `{{ alertsURL (index .Alerts 0) }}`, "alertsURL takes"},
		{"a link on a number", `{{ link "https://x.example" 1 }}`, "a string is expected"},
		{"an include of what is none", `{{ define "a" }}a{{ end }}{{ include (print "no" "ne") . }}`, "none"},
	} {
		got := textOf(t, c.text, one)
		if len(got.Failures) != 1 || got.Failures[0].Where != "spaces[ops].text" || !strings.Contains(got.Failures[0].Err.Error(), c.want) {
			t.Errorf("%s: Failures = %v, want one that says %q", c.name, got.Failures, c.want)
			continue
		}
		if text := got.Messages[0].Text; !strings.Contains(text, "🔴 InstanceDown · FIRING") || !strings.Contains(text, "The template text") {
			t.Errorf("%s: text = %q, want the built-in one and a word on the template", c.name, text)
		}
		sound(t, got)
	}
}

func TestAllTemplatesOfAMessageTogetherAreBounded(t *testing.T) {
	t.Parallel()
	r := renderer(t, func(s *render.Space) { s.Card.Alert = "{{ range 90000 }}{{ end }}x" })
	got := r.Render([]incident.Telling{telling(t, thousand(t, 30))}, noon())
	sound(t, got)
	if len(got.Failures) != 1 || !strings.Contains(got.Failures[0].Err.Error(), "together") {
		t.Errorf("Failures = %v, want one of all templates together", got.Failures)
	}
	if n := len(texts(got.Messages[0])); n < 30 {
		t.Errorf("%d paragraphs, want all 30 alerts", n)
	}
}

func TestTooMuchOutputIsCutOff(t *testing.T) {
	t.Parallel()
	one := oneAlert(t, nil, nil)
	for _, c := range []struct{ name, text string }{
		{"of a loop", "{{ range 20000 }}xxxxxxxxxxxxxxxxxxxx{{ end }}"},
		{"of a string that doubles", `{{ $s := "x" }}{{ range 100 }}{{ $s = print $s $s }}{{ end }}{{ range 100 }}{{ $s }}{{ end }}`},
		{"of replacements", `{{ $s := printf "%9999d" 1 }}{{ range 20 }}{{ reReplaceAll "" $s $s }}{{ end }}`},
		{"of joins", `{{ $s := printf "%9999d" 1 }}{{ range 99 }}{{ join $s (stringSlice $s $s $s $s $s $s $s $s $s $s $s $s $s) }}x{{ end }}`},
		{"of an include", `{{ define "a" }}{{ range 9000 }}abcdefghabcdefghabcdefghabcdefgh{{ end }}{{ end }}{{ range 10 }}{{ include "a" . }}{{ end }}`},
	} {
		got := textOf(t, c.text, one)
		sound(t, got)
		if len(got.Failures) > 0 || len(got.Notes) == 0 || !strings.HasSuffix(got.Messages[0].Text, "…") {
			t.Errorf("%s: %v, %v, text of %d bytes; want notes and a text that ends in an ellipsis", c.name, got.Failures, got.Notes, len(got.Messages[0].Text))
		}
	}
}

func TestOneBrokenStringCostsOneString(t *testing.T) {
	t.Parallel()
	const broken = "{{ index .Alerts 99 }}"
	one := oneAlert(t, nil, nil)
	want := renderer(t, nil).Render([]incident.Telling{one}, noon()).Messages[0]
	for _, c := range []struct {
		key    string
		change func(*render.Space)
	}{
		{"text", func(s *render.Space) { s.Text = broken }},
		{"card.title", func(s *render.Space) { s.Card.Title = broken }},
		{"card.subtitle", func(s *render.Space) { s.Card.Subtitle = broken }},
		{"card.summary", func(s *render.Space) { s.Card.Summary = broken }},
		{"card.alert", func(s *render.Space) { s.Card.Alert = broken }},
	} {
		r := renderer(t, c.change)
		got := r.Render([]incident.Telling{one}, noon())
		sound(t, got)
		if len(got.Failures) != 1 || got.Failures[0].Where != "spaces[ops]."+c.key {
			t.Errorf("%s: Failures = %v, want one of it", c.key, got.Failures)
		}
		m := got.Messages[0]
		if m.Text != want.Text || m.CardsV2[0].Card.Header.Title != want.CardsV2[0].Card.Header.Title {
			t.Errorf("%s: the built-in string did not take its place: %q", c.key, m.Text)
		}
		note := "⚠️ The template " + c.key + ", line 1 failed, the built-in one is shown."
		if all := strings.Join(texts(m), "\n"); !strings.Contains(all, note) {
			t.Errorf("%s: the card does not say %q: %s", c.key, note, all)
		}
	}
}

func TestABrokenReplacementOfABuiltinTemplateIsReplacedToo(t *testing.T) {
	t.Parallel()
	file := render.File{Name: "mine.tmpl", Text: "{{ define \"chat.name\" }}\n{{ index .Alerts 99 }}{{ end }}"}
	r := renderer(t, nil, file)
	one := oneAlert(t, nil, nil)
	got := r.Render([]incident.Telling{one}, noon())
	sound(t, got)
	if got.Messages[0].CardsV2[0].Card.Header.Title != "🔴 InstanceDown" || len(got.Failures) != 2 {
		t.Errorf("title = %q, failures %v; want the built-in title, and failures of title and text", got.Messages[0].CardsV2[0].Card.Header.Title, got.Failures)
	}
	if all := strings.Join(texts(got.Messages[0]), "\n"); !strings.Contains(all, "(mine.tmpl, line 2)") {
		t.Errorf("the card does not say where it failed: %s", all)
	}
	digest := r.Render([]incident.Telling{one, one}, noon())
	sound(t, digest)
	if len(digest.Failures) != 1 || !strings.Contains(texts(digest.Messages[0])[0], "InstanceDown") {
		t.Errorf("digest = %v, %v; want the built-in lines and one failure", texts(digest.Messages[0]), digest.Failures)
	}
}

func TestButtonsWithoutAnAbsoluteLinkAreLeftOut(t *testing.T) {
	t.Parallel()
	r := renderer(t, func(s *render.Space) {
		s.Card.Buttons = []render.Button{
			{Text: "a", URL: "/relative"},
			{Text: "b", URL: "javascript:alert(1)"},
			{Text: "c", URL: "{{ .CommonAnnotations.nothing }}"},
			{Text: "d", URL: "https://example.org/{{ .CommonAnnotations.long }}"},
			{Text: "e", URL: "{{ index .Alerts 9 }}"},
			{Text: "{{ .Status }}\n", URL: " https://example.org/{{ .Status }} "},
			{Text: "", URL: "https://example.org/2"},
		}
	})
	got := r.Render([]incident.Telling{oneAlert(t, nil, map[string]string{"long": strings.Repeat("x", 8000)})}, noon())
	sound(t, got)
	var buttons []string
	for _, s := range got.Messages[0].CardsV2[0].Card.Sections {
		for _, w := range s.Widgets {
			if w.ButtonList != nil {
				for _, b := range w.ButtonList.Buttons {
					buttons = append(buttons, b.Text+" "+b.OnClick.OpenLink.URL)
				}
			}
		}
	}
	if want := "[firing https://example.org/firing Open https://example.org/2]"; fmt.Sprint(buttons) != want {
		t.Errorf("buttons = %v, want %v", buttons, want)
	}
	if len(got.Notes) != 3 || len(got.Failures) != 1 {
		t.Errorf("Notes = %v, Failures = %v, want 3 and 1", got.Notes, got.Failures)
	}
}

func TestAWholeMessage(t *testing.T) {
	t.Parallel()
	one := oneAlert(t, map[string]string{"x": `"</b>{`}, nil)
	for _, c := range []struct {
		name, template, want string
		fails                bool
	}{
		{"of text only", `{"text": {{ quote .CommonLabels.x }}}`, `{"text":"\"\u003c/b\u003e{"}`, false},
		{
			"with a card gets texts for the phone", `{"cardsV2":[{"card":{"header":{"title":{{ include "chat.title" . | quote }}}}}]}`,
			`{"text":"🔴 InstanceDown · FIRING · critical\nInstance node-0000 is down\n📍 prod-eu-1 · node-0000.example.org:9100","fallbackText":"🔴 InstanceDown","cardsV2":[{"card":{"header":{"title":"🔴 InstanceDown"}}}]}`, false,
		},
		{
			"may use Chat's other names", `{"text":"a","fallback_text":"b","cards_v2":[{"card_id":"c","card":{"sections":[{"widgets":[{"text_paragraph":{"text":"d"}}]}]}}]}`,
			`{"text":"a","fallbackText":"b","cardsV2":[{"cardId":"c","card":{"sections":[{"widgets":[{"textParagraph":{"text":"d"}}]}]}}]}`, false,
		},
		{"is escaped where it asks for it", `{"text":{{ include "chat.name" . "text" | quote }},"fallbackText":{{ "a" | quote }}}`, `{"text":"InstanceDown","fallbackText":"a"}`, false},
		{
			"loses what is empty or bad", `{"text":"a","fallbackText":"b","thread":{"threadKey":"k"},"accessoryWidgets":[{"buttonList":{"buttons":[]}}],"cardsV2":[{},{"card":{"header":{"subtitle":"s","imageUrl":"http://x/y.png"},"sections":[
			{"widgets":[]},
			{"collapseControl":{},"widgets":[{},{"textParagraph":{"text":"<blink> </blink>"}},{"buttonList":{"buttons":[{"text":"x"},{"text":"y","onClick":{"openLink":{"url":"/rel"}}}]}},
			 {"decoratedText":{"text":"<a href=\"/rel\">t</a>","icon":null,"startIcon":{"iconUrl":"nope"},"button":{"text":"z"},"onClick":{"action":{"function":"f"}}}},
			 {"columns":{"columnItems":[{"widgets":[]}]}},{"grid":{"items":[]}},{"chipList":{"chips":[{}]}},{"carousel":{"carouselCards":[]}},{"image":{"imageUrl":"data:x"}},{"divider":{}}]}]}}]}`,
			`{"text":"a","fallbackText":"b","cardsV2":[{"card":{"header":{"title":"s"},"sections":[{"widgets":[{"decoratedText":{"text":"t"}},{"divider":{}}]}]}}]}`, false,
		},
		{"with an unknown field fails", `{"text":"a","footer":"b"}`, `unknown field "footer"`, true},
		{"with a field of a wrong type fails", `{"text":["a"]}`, "must be", true},
		{"that is no JSON fails", `{"text":`, "no message", true},
		{"that is a list fails", `[]`, "no object", true},
		{"that is empty fails", `{"cardsV2":[{"card":{"sections":[]}}]}`, "empty", true},
		{"whose template fails fails", "{{ if true }}\n{{ index .Alerts 9 }}{{ end }}", "out of range", true},
		{"without an end fails", "{{ range 100000 }}aaaaaaaaaa{{ end }}", "more than", true},
	} {
		r := renderer(t, func(s *render.Space) { s.Message = c.template })
		got := r.Render([]incident.Telling{one}, noon())
		sound(t, got)
		body, err := json.Marshal(got.Messages[0])
		if err != nil {
			t.Fatal(err)
		}
		if !c.fails && (string(body) != c.want || len(got.Failures) > 0) {
			t.Errorf("%s: %s, %v\nwant %s", c.name, body, got.Failures, c.want)
		}
		if c.fails && (len(got.Failures) != 1 || !strings.Contains(got.Failures[0].Err.Error(), c.want) || !strings.Contains(string(body), "The template message failed")) {
			t.Errorf("%s: %s, %v\nwant the built-in text, and a failure that says %q", c.name, body, got.Failures, c.want)
		}
	}
}

func TestAWholeMessageIsDecodedAsYAML(t *testing.T) {
	t.Parallel()
	bad := errors.New("line 3: did not find expected key")
	set, err := render.Load(render.Options{DecodeYAML: func(b []byte) ([]byte, error) {
		if string(b) == "text: firing" {
			return []byte(`{"text":"firing"}`), nil
		}
		return nil, bad
	}})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]error{"text: {{ .Status }}": nil, "text: [": bad} {
		r, err := set.Renderer(render.Space{Name: "ops", Message: text})
		if err != nil {
			t.Fatal(err)
		}
		got := r.Render([]incident.Telling{oneAlert(t, nil, nil)}, noon())
		if want == nil && (len(got.Failures) > 0 || got.Messages[0].Text != "firing") {
			t.Errorf("%s: %q, %v", text, got.Messages[0].Text, got.Failures)
		}
		if want != nil && (len(got.Failures) != 1 || !errors.Is(got.Failures[0].Err, want)) {
			t.Errorf("%s: Failures = %v, want %v", text, got.Failures, want)
		}
	}
}

func TestAWholeMessageThatIsTooLongLosesItsEnd(t *testing.T) {
	t.Parallel()
	for name, template := range map[string]string{
		"many widgets": `{"text":"a","cardsV2":[{"card":{"sections":[{"widgets":[{{ range $i, $x := list %s }}{{ if $i }},{{ end }}{"textParagraph":{"text":"w"}}{{ end }}]}]}}]}`,
		"long widgets": `{"text":"a","cardsV2":[{"cardId":"a","card":{"sections":[{{ range $i, $x := list %s }}{{ if $i }},{{ end }}{"widgets":[{"textParagraph":{"text":{{ printf "x%%900d" 1 | quote }}}}]}{{ end }}]}},{"card":{"header":{"title":"x"}}}]}`,
	} {
		r := renderer(t, func(s *render.Space) {
			s.Message = fmt.Sprintf(template, strings.Repeat("1 ", 150))
		})
		got := r.Render([]incident.Telling{oneAlert(t, nil, nil)}, noon())
		sound(t, got)
		all := texts(got.Messages[0])
		if len(got.Failures) > 0 || len(all) < 20 || !strings.Contains(all[len(all)-1], "its end is left out") {
			t.Errorf("%s: %d paragraphs, %v; want most of it, and a word on the rest", name, len(all), got.Failures)
		}
	}
}

func TestEveryAlertIsShownOrCounted(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"a", "<b>", "\"", "日本", "👩‍👩‍👧‍👦", "\n", "*x*", "https://x.example/", "\x00", "&", "word ", "{{ .Status }}"}
	text := func(n int) string {
		var b strings.Builder
		for b.Len() < n {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		return b.String()
	}
	for i := range 60 {
		n := 1 + random.IntN([]int{2, 20, 200, 400}[i%4])
		longest := []int{10, 300, 3000, 100_000}[random.IntN(4)]
		body := several(t, n, func(j int, a *amtemplate.Alert) {
			a.Labels = map[string]string{"alertname": "A", "id": fmt.Sprintf("id-%d-", j), text(5): text(random.IntN(50))}
			a.Annotations = map[string]string{"summary": text(random.IntN(min(longest, 200_000/n+1) + 1)), "description": text(20)}
			a.Fingerprint = fmt.Sprint(j)
			if random.IntN(3) == 0 {
				a.Status = alert.Resolved
			}
		})
		parts := 1 + random.IntN(4)
		r := renderer(t, func(s *render.Space) {
			s.MaxParts = parts
			s.Card.Alert = `#{{ .Alert.Labels.id }} {{ template "chat.alert" . }}`
			s.Text = `{{ .Part }} of {{ .Parts }}, {{ .Omitted }} omitted, {{ .CommonAnnotations.summary }}`
		})
		got := r.Render([]incident.Telling{telling(t, body)}, noon())
		sound(t, got)
		checkParts(t, got, n, parts)
	}
}

// checkParts checks that the parts show n alerts, each once or as omitted.
func checkParts(t *testing.T, got render.Rendered, n, most int) {
	t.Helper()
	if len(got.Failures) > 0 || len(got.Messages) > most {
		t.Errorf("%d parts of %d alerts, %v; want at most %d", len(got.Messages), n, got.Failures, most)
	}
	shown, omitted := map[string]bool{}, 0
	for i, m := range got.Messages {
		var part, parts int
		if _, err := fmt.Sscanf(m.Text, "%d of %d, %d omitted", &part, &parts, &omitted); err != nil || part != i+1 || parts != len(got.Messages) {
			t.Errorf("text of part %d of %d = %.60q", i+1, len(got.Messages), m.Text)
		}
		if mark := fmt.Sprintf("(%d/%d)", part, parts); parts > 1 && !strings.Contains(m.CardsV2[0].Card.Header.Title, mark) {
			t.Errorf("title = %q, want %s in it", m.CardsV2[0].Card.Header.Title, mark)
		}
		for _, text := range texts(m) {
			if id, _, ok := strings.Cut(text+" ", "- "); ok && strings.HasPrefix(id, "#id-") {
				if shown[id] {
					t.Errorf("%s is shown twice", id)
				}
				shown[id] = true
			}
		}
	}
	if len(shown)+omitted != n {
		t.Errorf("%d alerts are shown and %d omitted, want %d together", len(shown), omitted, n)
	}
}

func TestHostileAlertsAreShownWithinTheLimits(t *testing.T) {
	t.Parallel()
	many := map[string]string{}
	for i := range 5000 {
		many[fmt.Sprintf("label_%04d", i)] = strings.Repeat("<", i%9)
	}
	for _, c := range []struct {
		name                string
		labels, annotations map[string]string
	}{
		{"an annotation of 1 MB", nil, map[string]string{"summary": strings.Repeat("é", 1<<19), "description": strings.Repeat("\"", 1<<20)}},
		{"5,000 labels", many, nil},
		{"5,000 annotations", nil, many},
		{"a label of 1 MB", map[string]string{"instance": strings.Repeat("👍🏽", 1<<17)}, nil},
		{"a name of 1 MB", map[string]string{"alertname": strings.Repeat("<users/all>", 1<<16), strings.Repeat("n", 1<<20): "v"}, nil},
		{"line breaks only", nil, map[string]string{"summary": strings.Repeat("\n", 1<<16)}},
		{"a severity of 1 MB", map[string]string{"severity": strings.Repeat("x", 1<<20)}, nil},
		{"links of 8,000 characters", nil, map[string]string{"runbook_url": "https://x.example/" + strings.Repeat("y", 8000)}},
		{"nothing but controls", map[string]string{"alertname": "\u202e\u2066", "severity": "\x01"}, map[string]string{"summary": "\x02\x03"}},
	} {
		one := oneAlert(t, c.labels, c.annotations)
		for door, change := range map[string]func(*render.Space){
			"card": nil,
			"text": func(s *render.Space) { s.Card = nil },
		} {
			r := renderer(t, change)
			got := r.Render([]incident.Telling{one}, noon())
			sound(t, got)
			if len(got.Failures) > 0 {
				t.Errorf("%s as %s: %v", c.name, door, got.Failures)
			}
			for _, rendered := range []render.Rendered{r.Plain(one, noon(), "Why."), r.Render([]incident.Telling{one, one}, noon())} {
				sound(t, rendered)
			}
			for _, m := range got.Messages {
				if strings.Contains(m.Text, "<users/all>") || strings.Contains(m.FallbackText, "<users/all>") {
					t.Errorf("%s as %s mentions everybody", c.name, door)
				}
			}
		}
	}
}

func TestPlainSaysWhatMatters(t *testing.T) {
	t.Parallel()
	r := renderer(t, nil)
	got := r.Plain(telling(t, payload(t, "basic-09.json")), noon(), "The template <users/all> failed.")
	sound(t, got)
	want := "🔴 Fifty · 30 FIRING, 20 resolved · critical · prod-eu-1 · since 12:20 UTC\nThe template <\u200busers/all> failed."
	if got.Messages[0].Text != want || len(got.Messages[0].CardsV2) > 0 {
		t.Errorf("text = %q, want %q", got.Messages[0].Text, want)
	}
}

func TestAnEditedMessageHasALineForItsEndAlone(t *testing.T) {
	t.Parallel()
	end := telling(t, payload(t, "basic-11.json"))
	change := telling(t, payload(t, "basic-09.json"))
	change.Kind, change.Changed = incident.Change, make([]bool, len(change.Payload.Alerts))
	change.Changed[0] = true
	r := renderer(t, nil)
	if got := r.Render([]incident.Telling{end}, noon()).Reply; got == nil || got.Text != "✅ Fifty · 30 RESOLVED · prod-eu-1" {
		t.Errorf("Reply = %+v, want that all are resolved", got)
	}
	empty := renderer(t, nil, render.File{Name: "x.tmpl", Text: `{{ define "chat.reply" }} {{ end }}`})
	if got := empty.Render([]incident.Telling{end}, noon()).Reply; got == nil || !strings.Contains(got.Text, "Fifty") {
		t.Errorf("Reply of an empty template = %+v, want the end all the same", got)
	}
	for name, one := range map[string]incident.Telling{"a change": change, "a first telling": oneAlert(t, nil, nil)} {
		if got := r.Render([]incident.Telling{one}, noon()); got.Reply != nil || got.Moved != nil {
			t.Errorf("%s has the reply %+v and %+v for the message before it, want neither", name, got.Reply, got.Moved)
		}
	}
}

func TestTheMessageBeforeARepeatSaysThatItGoesOnElsewhere(t *testing.T) {
	t.Parallel()
	repeat := oneAlert(t, map[string]string{"alertname": "Disk <users/all> *full*"}, nil)
	repeat.Kind, repeat.Repeat = incident.Repeat, 2
	got := renderer(t, nil).Render([]incident.Telling{repeat}, noon())
	if got.Moved == nil || got.Reply != nil {
		t.Fatalf("Moved = %+v and Reply = %+v, want only the first", got.Moved, got.Reply)
	}
	text := got.Moved.Text
	if !strings.HasPrefix(text, "➡️ Disk ") || !strings.HasSuffix(text, " · told again on 23 Nov 12:45 UTC (reminder 2): it goes on in the newer message") {
		t.Errorf("Moved = %q", text)
	}
	if strings.Contains(text, "<users/") || strings.Contains(text, " *full*") || len(got.Moved.CardsV2) > 0 {
		t.Errorf("Moved = %+v, want no mention, no markup and no card", got.Moved)
	}
	long := oneAlert(t, map[string]string{"alertname": strings.Repeat("long ", 2_000)}, nil)
	long.Kind, long.Repeat = incident.Repeat, 1
	if moved := renderer(t, nil).Render([]incident.Telling{long}, noon()).Moved; utf8.RuneCountInString(moved.Text) > 400 {
		t.Errorf("Moved has %d characters, want one line", utf8.RuneCountInString(moved.Text))
	}
}

// What an app's text means where nothing says it is a setting of Google's
// console; of a webhook nobody knows whether the field is taken.
func TestAnAppsMessagesSayInWhichSyntaxTheirTextIs(t *testing.T) {
	t.Parallel()
	end, repeat := telling(t, payload(t, "basic-11.json")), oneAlert(t, nil, nil)
	repeat.Kind, repeat.Repeat = incident.Repeat, 1
	for door, want := range map[chat.Door]string{chat.ByApp: "MARKUP_SYNTAX_CHAT", chat.ByWebhook: ""} {
		r := renderer(t, func(s *render.Space) { s.Door = door })
		var all []*chat.Message
		for _, one := range []render.Rendered{
			r.Render([]incident.Telling{end}, noon()),
			r.Render([]incident.Telling{repeat}, noon()),
			r.Render([]incident.Telling{end, repeat}, noon()),
			r.Plain(end, noon(), "why"),
			r.Notice("heading", nil, []string{"line"}, noon()),
		} {
			all = append(append(append(all, one.Messages...), one.Reply), one.Moved)
		}
		texts := 0
		for _, m := range all {
			if m == nil {
				continue
			}
			texts++
			if m.MarkupSyntax != want {
				t.Errorf("by %s, the syntax of %q is %q, want %q", door, m.Text, m.MarkupSyntax, want)
			}
		}
		if texts < 7 {
			t.Errorf("%d messages, want those of all kinds", texts)
		}
		if m, _, _ := render.Text("*done*", door); m.MarkupSyntax != want {
			t.Errorf("by %s, the syntax of the user's own text is %q, want %q", door, m.MarkupSyntax, want)
		}
	}
	own := renderer(t, func(s *render.Space) {
		s.Door, s.Message = chat.ByApp, `{"text": "**bold**", "markupSyntax": "MARKUP_SYNTAX_MARKDOWN"}`
	})
	if got := own.Render([]incident.Telling{end}, noon()).Messages[0].MarkupSyntax; got != "MARKUP_SYNTAX_MARKDOWN" {
		t.Errorf("a message's own syntax becomes %q", got)
	}
}

func TestAChatAppMayHaveWidgetsBelowItsMessage(t *testing.T) {
	t.Parallel()
	const message = `{"text":"a","accessoryWidgets":[{"buttonList":{"buttons":[{"text":"x","onClick":{"action":{"function":"f"}}}]}}]}`
	for door, want := range map[chat.Door]int{chat.ByWebhook: 0, chat.ByApp: 1} {
		r := renderer(t, func(s *render.Space) { s.Message, s.Door = message, door })
		got := r.Render([]incident.Telling{oneAlert(t, nil, nil)}, noon())
		if n := len(got.Messages[0].AccessoryWidgets); n != want || len(got.Failures) > 0 {
			t.Errorf("%v: %d accessory widgets, %v; want %d", door, n, got.Failures, want)
		}
	}
}

// TestMarkupThatChatDoesNotShowIsTold is about the author of a template: what is
// left out of it is worth a word.
func TestMarkupThatChatDoesNotShowIsTold(t *testing.T) {
	one := oneAlert(t, nil, nil)
	for _, c := range []struct{ name, summary, want string }{
		{"nothing", `<b>x</b> <a href="https://example.org">y</a> {{ .Status }}`, ""},
		{"tags", `<table><tr><td>x</td></tr></table><h2>y</h2>`, "left out: <table>, <tr>, <td>, <h2>"},
		{"many tags", `<a1>x<a2><a3><a4><a5><a6><a7>`, "left out: <a1>, <a2>, <a3>, <a4>, <a5>"},
		{"links", `<a href="javascript:x">x</a> <a href="rel/x">y</a> <a href="https://example.org">z <a href="https://example.org">z</a></a>`, "left out: a link that is no absolute http(s) URL, a link inside of a link"},
		{"a colour", `<font color="red">x</font>`, "left out: a color that is not written #RRGGBB"},
		{"a label", `{{ "<table>" }}`, ""},
	} {
		r := renderer(t, func(s *render.Space) { s.Card.Summary = c.summary })
		got := r.Render([]incident.Telling{one}, noon())
		sound(t, got)
		var said []string
		for _, n := range got.Notes {
			said = append(said, n.String())
		}
		want := []string{"spaces[ops].card.summary: " + c.want}
		if c.want == "" {
			want = nil
		}
		if !slices.Equal(said, want) {
			t.Errorf("%s: noted is %q, want %q", c.name, said, want)
		}
	}
}
