package render_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/alertmanager/template"
	"golang.org/x/net/html"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat"
	"alertchat/receiver/config"
	"alertchat/receiver/incident"
	"alertchat/receiver/render"
)

// family is one character to its reader: four emoji, joined.
const family = "👩‍👩‍👧‍👦"

// hostile are values that have broken cards, or could.
func hostile() map[string]string {
	return map[string]string{
		"nothing":                         "",
		"a space":                         " ",
		"quotes":                          `"a" 'b' “c” \"d\"`,
		"backslashes":                     `C:\temp\new \u0041 \`,
		"newlines":                        "a\nb\r\nc\rd\n\n\n\ne\n",
		"other line breaks":               "a\u2028b\u2029c\u0085d\ve\ff",
		"nothing but line breaks":         "\n\n\r\n",
		"control characters":              "a\x00b\x01\x1b[31mred\x7f\u0080\u009f",
		"nothing but control characters":  "\x00\x01\x02",
		"overrides of direction":          "user\u202egpj.exe\u202c \u2066a\u2069 \u200fb",
		"zero-width characters":           "a\u200bb\u200cc\u200dd\u2060e\ufefff",
		"nothing but zero width":          "\u200b\u200d\ufeff",
		"a mention of all":                "<users/all>",
		"a mention of one":                "hey <users/123456789>, and <USERS/all>",
		"a mention whose end comes later": "<users/all",
		"a mention without its bracket":   "users/all>",
		"a mention in zero width":         "<\u200busers/all> <\u2060users/all>",
		"a custom emoji":                  "<customEmojis/abc> :smile:",
		"a link of Chat":                  "<https://evil.example|click here>",
		"a link of Chat in parts":         "https://evil.example|click>",
		"a link of Markdown":              "[click](https://evil.example) ![i](https://evil.example/i.png) [r]: https://evil.example",
		"a link in brackets of Markdown":  "<https://evil.example> [x][y] [z]",
		"a bare link":                     "HTTPS://evil.example//x www.evil.example mailto:a@evil.example ftp://evil.example",
		"a link of nothing":               "://",
		"markup of Chat":                  "*a* _b_ ~c~ `d` ```e``` > f",
		"lists and headings":              "# a\n- b\n1. c\n> d\n* e\n---\n| f |",
		"HTML":                            `<b>a</b><script>alert(1)</script><img src=x onerror=y><a href="javascript:z">w</a><br>`,
		"HTML that does not end":          `<a href="https://evil.example/`,
		"HTML that was not begun":         `</b></a></font>--></script>"> x`,
		"entities":                        "&lt;users/all&gt; &amp;lt; &#60;b&#62; &nbsp; &notanentity; &",
		"a comment":                       "<!-- a --> <![CDATA[ b ]]> <?c?>",
		"an attribute's end":              `x" onclick="y' z=`,
		"syntax of templates":             `{{ .ExternalURL }} {{ template "chat.text" . }} {{ "{{" }} }} {{/* */}}`,
		"templates without an end":        `{{ range 1000000 }} {{ define "chat.text" }}`,
		"JSON":                            `"},{"text":"x"}],"cardsV2":[{`,
		"YAML":                            "a: b\n- c\n? d\n!!binary x\n&e *e\n%f\n--- ...\n'g': \"h\" #",
		"a printf verb":                   "%s %d %!s(MISSING) %% %n",
		"invalid UTF-8":                   "a\xffb\xc3\x28\xed\xa0\x80\xf8",
		"half of a surrogate":             "a\ufffdb",
		"CJK":                             "磁盘已满：服务器「数据库」の容量が不足 디스크",
		"right to left":                   "القرص ممتلئ على الخادم db-0 (90%)",
		"stacked marks":                   "Z" + strings.Repeat("\u0301\u0322\u035c", 40),
		"emoji":                           "🔥 " + family + " 👍🏽 🇩🇪 1️⃣",
		"a joiner at both ends":           "\u200d👩\u200d",
		"a number":                        "1e400",
		"null":                            "null",
		"a relative URL":                  "/d/disks?x=1",
		"a URL without a scheme":          "//evil.example/x",
		"a URL of a script":               "javascript:alert(1)",
		"a URL with data":                 "data:text/html,<script>alert(1)</script>",
		"a URL with spaces":               "https://a.example/x y\tz",
		"a URL with a line break":         "https://a.example/x\ny",
		"a URL with quotes":               `https://a.example/"><b>'|x`,
		"a URL with a user":               "https://user:password@a.example/",
		"a URL without a host":            "https:///x https://",
		"a URL with a bad port":           "https://a.example:port/",
		"a URL with bad escapes":          "https://a.example/%zz%",
		"a URL with other letters":        "https://例え.example/ü?ß#ö",
		"a URL with brackets":             "http://[::1]:9090/graph?g0.expr=up{job=\"a\"}",
		"a URL of 8,000 characters":       "https://a.example/" + strings.Repeat("y", 8000),
		"a long word":                     strings.Repeat("x", 5000),
		"many short words":                strings.Repeat("w. ", 500),
		"many mentions":                   strings.Repeat("<users/all>", 100),
		"many families":                   strings.Repeat(family, 400),
	}
}

// group is a telling of alerts in which a value stands wherever one can.
func group(value string, alerts int) incident.Telling {
	starts := noon().Add(-time.Hour)
	p := &alert.Payload{Version: "4", GroupKey: value}
	p.Receiver, p.ExternalURL, p.NotificationReason = value, value, value
	p.GroupLabels = map[string]string{"alertname": value, value: value}
	p.RouteLabels = map[string]string{value: value}
	for i := range alerts {
		labels := map[string]string{value: value, "job": value}
		for _, name := range []string{"alertname", "severity", "cluster", "namespace", "service", "instance"} {
			labels[name] = value
		}
		annotations := map[string]string{value: value}
		for _, name := range []string{"summary", "message", "description", "runbook_url", "dashboard_url"} {
			annotations[name] = value
		}
		if i > 0 { // so that nothing is common to all
			for name := range labels {
				labels[name] = fmt.Sprint(value, i)
			}
			clear(annotations)
			annotations["summary"], annotations["description"] = fmt.Sprint(i, value), fmt.Sprint(value, i)
		}
		p.Alerts = append(p.Alerts, template.Alert{
			Status: alert.Firing, Labels: labels, Annotations: annotations, StartsAt: starts,
			GeneratorURL: value + strings.Repeat("x", i%2), Fingerprint: fmt.Sprint(i),
		})
	}
	p.Summarize()
	return incident.Telling{
		Group: p.Group(), Kind: incident.First, Payload: p, Changed: make([]bool, alerts), ID: "5f0c1d2e3a4b5c6d",
		StartedAt: starts, ReceivedAt: noon(), LatestAt: noon(),
	}
}

// told returns what can be told of a group: each kind of telling, and a digest.
func told(first incident.Telling) map[string][]incident.Telling {
	change, end, repeat, unknown := first, first, first, first
	change.Kind = incident.Change
	change.Changed = slices.Repeat([]bool{true}, len(first.Payload.Alerts))
	end.Kind = incident.End
	resolved := *first.Payload
	resolved.Alerts = slices.Clone(resolved.Alerts)
	for i := range resolved.Alerts {
		resolved.Alerts[i].Status, resolved.Alerts[i].EndsAt = alert.Resolved, noon()
	}
	resolved.Summarize()
	end.Payload = &resolved
	repeat.Kind, repeat.Repeat = incident.Repeat, 3
	unknown.Unknown = first.Payload.Receiver
	return map[string][]incident.Telling{
		"first": {first}, "change": {change}, "end": {end}, "repeat": {repeat}, "unknown": {unknown}, "digest": {first, end, unknown},
	}
}

// wholeMessages are templates for message, as JSON and as YAML.
func wholeMessages() map[string]string {
	return map[string]string{
		"message as JSON": `{
			"text": {{ include "chat.text" . "text" | quote }},
			"cardsV2": [{"card": {
				"header": {"title": {{ quote .CommonLabels.alertname }}, "subtitle": {{ include "chat.subtitle" . | quote }}, "imageUrl": {{ quote .ExternalURL }}},
				"sections": [{"header": {{ .Receiver | html | quote }}, "widgets": [
					{"textParagraph": {"text": {{ include "chat.summary" . "html" | quote }}}},
					{"decoratedText": {"topLabel": {{ quote .GroupKey }}, "text": {{ .CommonLabels.instance | html | quote }}}}
					{{ range .Alerts }}, {"buttonList": {"buttons": [{"text": {{ quote .Labels.job }}, "onClick": {"openLink": {"url": {{ quote .GeneratorURL }}}}}]}}{{ end }}
				]}]
			}}]
		}`,
		"message as YAML": `
fallbackText: {{ include "chat.title" . "text" | quote }}
cardsV2:
  - card:
      header: {title: {{ quote .CommonLabels.alertname }}}
      sections:
        - widgets:
            - textParagraph: {text: {{ include "chat.summary" . "html" | quote }}}
{{- range .Alerts }}
            - decoratedText:
                topLabel: {{ quote .Labels.job }}
                text: {{ .Annotations.summary | html | quote }}
                onClick: {openLink: {url: {{ quote .GeneratorURL }}}}
{{- end }}
`,
	}
}

// everywhere returns a renderer for each way in which a template can be used:
// the built-in strings as a card and as text, each named template in each place,
// and whole messages.
func everywhere(t testing.TB) map[string]*render.Renderer {
	t.Helper()
	set, err := render.Load(render.Options{DecodeYAML: config.DecodeYAML})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*render.Renderer{}
	add := func(name string, change func(*render.Space)) {
		space := render.Builtin()
		space.Name = "ops"
		change(&space)
		r, err := set.Renderer(space)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[name] = r
	}
	add("card", func(*render.Space) {})
	add("text", func(s *render.Space) { s.Card = nil })
	for name, message := range wholeMessages() {
		add(name, func(s *render.Space) { s.Message, s.Thread = message, "{{ .GroupKey }}" })
	}
	for name, argument := range map[string]string{
		"chat.title": ".", "chat.name": ".", "chat.subtitle": ".", "chat.status": ".", "chat.where": ".", "chat.time": ".Incident.StartedAt",
		"chat.summary": ".", "chat.labels": ".CommonLabels", "chat.alert": ".", "chat.times": ".Alert", "chat.text": ".", "chat.digest": ".", "chat.reply": ".",
	} {
		add(name+" everywhere", func(s *render.Space) {
			use := `{{ template "` + name + `" ` + argument + ` }}`
			s.Text, s.Thread = use, use
			s.Card = &render.Card{Title: use, Subtitle: use, Summary: use, Alert: use, Buttons: []render.Button{
				{Text: use, URL: `{{ .CommonAnnotations.runbook_url }}`},
				{Text: "x", URL: use},
				{Text: use, URL: `https://a.example/` + use},
			}}
		})
	}
	return all
}

func TestNothingInAnAlertBreaksAMessage(t *testing.T) {
	t.Parallel()
	renderers := everywhere(t)
	for name, value := range hostile() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, alerts := range []int{1, 3} {
				for kind, tellings := range told(group(value, alerts)) {
					for way, r := range renderers {
						if alerts == 1 && kind != "first" || strings.HasSuffix(way, "everywhere") && kind != "change" {
							continue // so much alike that the time is better spent elsewhere
						}
						got := r.Render(tellings, noon())
						if len(value) > 5000 && strings.HasPrefix(way, "message") {
							got.Failures = nil // it puts out too much: the built-in text takes its place
						}
						harmless(t, fmt.Sprintf("%d alerts, %s, %s", alerts, kind, way), got)
					}
					harmless(t, "plain, "+kind, renderers["text"].Plain(tellings[0], noon(), value))
					harmless(t, "notice, "+kind, renderers["text"].Notice(value, tellings, []string{value, value}, noon()))
				}
			}
		})
	}
}

// TestAQuotedValueMentionsNobody puts values into the texts of a whole message
// as they are, where nothing but quote sees them.
func TestAQuotedValueMentionsNobody(t *testing.T) {
	t.Parallel()
	set, err := render.Load(render.Options{DecodeYAML: config.DecodeYAML})
	if err != nil {
		t.Fatal(err)
	}
	for way, message := range map[string]string{
		"JSON": `{"text": {{ print .CommonLabels.alertname "." | quote }}, "fallback_text": {{ quote .CommonAnnotations.summary }}}`,
		"YAML": "text: {{ print .CommonLabels.alertname \".\" | quote }}\nfallbackText: {{ raw .CommonAnnotations.summary | quote }}\n",
		"behind a bracket": `text: {{ print "a <" .CommonLabels.alertname .CommonAnnotations.summary | quote }}
fallbackText: {{ printf "a <users/%s>" .Receiver | quote }}`,
		"beside a mention": `text: {{ print .CommonLabels.alertname (mention "1") .CommonLabels.alertname | quote }}
fallbackText: {{ print .GroupKey (mention "1") .GroupKey | quote }}`,
	} {
		r, err := set.Renderer(render.Space{Name: "ops", Message: message})
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range hostile() {
			got := r.Render([]incident.Telling{group(value, 1)}, noon())
			if len(got.Failures) > 0 {
				t.Errorf("%s, %s: %v", way, name, got.Failures)
			}
			for path, s := range texted(t, got) {
				if way == "beside a mention" {
					s = strings.ReplaceAll(s, "<users/1>", "")
				}
				if m := mentioned.FindString(s); m != "" && inText.MatchString(path) {
					t.Errorf("%s, %s: %s holds %q: %.200q", way, name, path, m, s)
				}
			}
		}
	}
}

func TestNoSizeOfAnAlertBreaksAMessage(t *testing.T) {
	t.Parallel()
	renderers := everywhere(t)
	pairs := func(n int, value string) incident.Telling {
		one := group("x", 1)
		for i := range n {
			one.Payload.Alerts[0].Labels[fmt.Sprintf("label_%04d", i)] = value
			one.Payload.Alerts[0].Annotations[fmt.Sprintf("annotation_%04d", i)] = value
		}
		one.Payload.Summarize()
		return one
	}
	for name, first := range map[string]incident.Telling{
		"1 MB of mentions":       group(strings.Repeat("<users/all>", 1<<20/11), 1),
		"1 MB of families":       group(strings.Repeat(family, 1<<20/len(family)), 2),
		"1 MB of line breaks":    group(strings.Repeat("\n", 1<<20), 1),
		"1 MB of invalid UTF-8":  group(strings.Repeat("\xff", 1<<20), 1),
		"5,000 labels":           pairs(5000, "<users/all>"),
		"5,000 labels of 200 kB": pairs(5000, strings.Repeat("&", 40)),
		"1,000 alerts":           group("<users/all> https://evil.example", 1000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := told(first)
			for _, kind := range []string{"first", "end", "digest"} {
				tellings := all[kind]
				for _, way := range []string{"card", "text", "message as JSON", "message as YAML"} {
					got := renderers[way].Render(tellings, noon())
					if strings.HasPrefix(way, "message") {
						got.Failures = nil // as above
					}
					harmless(t, kind+", "+way, got)
				}
				harmless(t, "plain, "+kind, renderers["text"].Plain(tellings[0], noon(), "Why."))
				harmless(t, "notice, "+kind, renderers["text"].Notice("Why.", tellings, []string{tellings[0].Payload.Receiver}, noon()))
			}
		})
	}
}

// TestNoCutPartsACharacter lets each cut fall on each place of a sequence of
// joined emoji.
func TestNoCutPartsACharacter(t *testing.T) {
	t.Parallel()
	renderers := everywhere(t)
	for shift := range len(family) + 1 {
		value := strings.Repeat("a", shift) + strings.Repeat(family, 800)
		for _, way := range []string{"card", "text", "chat.summary everywhere", "chat.alert everywhere"} {
			for _, s := range texted(t, renderers[way].Render([]incident.Telling{group(value, 2)}, noon())) {
				for before := range strings.SplitSeq(s, "…") {
					if last, _ := utf8.DecodeLastRuneInString(before); before != s && last == '\u200d' {
						t.Fatalf("%s, shift %d: a cut follows a joiner: …%q", way, shift, before[max(0, len(before)-40):])
					}
					if n := strings.Count(before, "👩"); before != s && n != 2*strings.Count(before, family) {
						t.Fatalf("%s, shift %d: a cut parts a family: …%q", way, shift, before[max(0, len(before)-40):])
					}
				}
			}
		}
	}
}

// harmless checks that Chat takes what was rendered without a remark, and that
// nothing of the alert became more than text in it.
func harmless(t *testing.T, where string, got render.Rendered) {
	t.Helper()
	for _, f := range got.Failures {
		t.Errorf("%s: %s failed: %v", where, f.Where, f.Err)
	}
	sound(t, got)
	threadable(t, got)
	for path, s := range texted(t, got) {
		if i := strings.IndexFunc(s, unseemly); i >= 0 && !strings.HasSuffix(path, ".name") {
			t.Errorf("%s: %s holds the character %q: %.200q", where, path, s[i:i+1], s)
		}
		// A group's name leads to Alertmanager where a template makes a link of it.
		if m := active.FindString(linked.ReplaceAllString(s, "$1")); m != "" && inText.MatchString(path) {
			t.Errorf("%s: %s holds %q: %.200q", where, path, m, s)
		}
		if tag := foreign(s); tag != "" && inCard.MatchString(path) {
			t.Errorf("%s: %s holds the tag %q: %.200q", where, path, tag, s)
		}
	}
	if t.Failed() {
		t.FailNow() // one of thousands says enough
	}
}

// threadable checks that a message can be sent with its thread.
func threadable(t *testing.T, got render.Rendered) {
	t.Helper()
	for _, m := range got.Messages {
		m.Thread = &chat.Thread{ThreadKey: got.ThreadKey}
		body, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range chat.Check(body, chat.ByWebhook) {
			t.Errorf("with its thread: %s", v)
		}
	}
}

var (
	// active is what Chat or Markdown makes a mention or a link of.
	active = regexp.MustCompile(`(?i)<(users|customEmojis|https?:)|://|\]\(|www\.|@[\pL\pN]`)
	// linked is what the function link makes of a group's page.
	linked = regexp.MustCompile(`<https?://[^<>|\s]+/#/alerts\?receiver=[^<>|\s]*\|([^<>|]+)>`)
	// mentioned is what Chat makes a mention of.
	mentioned = regexp.MustCompile(`(?i)<users/`)
	inText    = regexp.MustCompile(`^\[\d+\]\.(text|fallbackText)$`)
	inCard    = regexp.MustCompile(`(Paragraph|decoratedText)\.text$|sections\[\d+\]\.header$`)
)

// unseemly says whether a character may stand nowhere.
func unseemly(r rune) bool {
	return r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// foreign returns a tag of a card's text that Chat does not know, or whose link
// leads to no web page.
func foreign(s string) string {
	z := html.NewTokenizer(strings.NewReader(s))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return ""
		case html.StartTagToken, html.SelfClosingTagToken, html.EndTagToken:
			token := z.Token()
			if !slices.Contains([]string{"b", "i", "u", "s", "a", "br", "font", "time", "code", "pre", "ul", "ol", "li"}, token.Data) {
				return token.String()
			}
			for _, a := range token.Attr {
				if a.Key == "href" && !strings.HasPrefix(a.Val, "http://") && !strings.HasPrefix(a.Val, "https://") || a.Key != "href" && a.Key != "color" {
					return token.String()
				}
			}
		case html.TextToken, html.CommentToken, html.DoctypeToken:
		}
	}
}

// texted returns every string of what was rendered, by its path.
func texted(t *testing.T, got render.Rendered) map[string]string {
	t.Helper()
	messages := slices.Clone(got.Messages)
	if got.Reply != nil {
		messages = append(messages, got.Reply)
	}
	body, err := json.Marshal(messages)
	if err != nil {
		t.Fatal(err)
	}
	var document any
	if err := json.Unmarshal(body, &document); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{"title": got.Title}
	collect(found, "", document)
	return found
}

func collect(found map[string]string, path string, v any) {
	switch v := v.(type) {
	case string:
		found[path] = v
	case []any:
		for i, item := range v {
			collect(found, fmt.Sprintf("%s[%d]", path, i), item)
		}
	case map[string]any:
		for name, item := range v {
			collect(found, path+"."+name, item)
		}
	}
}

func FuzzRender(f *testing.F) {
	for _, value := range hostile() {
		f.Add(value, value)
	}
	renderers := everywhere(f)
	f.Fuzz(func(t *testing.T, a, b string) {
		first := group(a, 2)
		first.Payload.Alerts[1].Labels[a], first.Payload.Alerts[1].Annotations[b] = b, b
		first.Payload.Alerts[0].Annotations["summary"], first.Payload.ExternalURL = b, "https://a.example/"+b
		first.Payload.Summarize()
		tellings := []incident.Telling{first}
		for _, way := range []string{"card", "text", "message as JSON", "message as YAML", "chat.reply everywhere"} {
			harmless(t, way, renderers[way].Render(tellings, noon()))
		}
		harmless(t, "digest", renderers["card"].Render([]incident.Telling{first, first}, noon()))
		harmless(t, "plain", renderers["text"].Plain(first, noon(), b))
		harmless(t, "notice", renderers["text"].Notice(strings.ReplaceAll(b, "\n", " "), tellings, []string{a, b}, noon()))
	})
}
