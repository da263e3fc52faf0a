package render_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	amtemplate "github.com/prometheus/alertmanager/template"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat"
	"alertchat/receiver/incident"
	"alertchat/receiver/render"
)

// oneAlert is a telling of one firing alert with the given annotations and labels.
func oneAlert(t testing.TB, labels, annotations map[string]string) incident.Telling {
	t.Helper()
	var p alert.Payload
	if err := json.Unmarshal(payload(t, "basic-01.json"), &p); err != nil {
		t.Fatal(err)
	}
	maps.Copy(p.Alerts[0].Labels, labels)
	maps.Copy(p.Alerts[0].Annotations, annotations)
	p.Summarize()
	body, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return telling(t, body)
}

// textOf renders a text template over one alert, as a space without cards does.
func textOf(t testing.TB, text string, one incident.Telling, files ...render.File) render.Rendered {
	t.Helper()
	r := renderer(t, func(s *render.Space) { s.Text, s.Card = text, nil }, files...)
	return r.Render([]incident.Telling{one}, noon())
}

// summaryOf renders a template as the summary of a card, and returns what is shown.
func summaryOf(t testing.TB, summary string, one incident.Telling) string {
	t.Helper()
	r := renderer(t, func(s *render.Space) {
		s.Card = &render.Card{Title: "t", Summary: summary}
	})
	got := r.Render([]incident.Telling{one}, noon())
	if len(got.Failures) > 0 {
		t.Errorf("%s: %v", summary, got.Failures)
	}
	sections := got.Messages[0].CardsV2[0].Card.Sections
	return sections[0].Widgets[0].TextParagraph.Text
}

func TestAllFaultsAreReportedAtOnceWithTheirPlaces(t *testing.T) {
	t.Parallel()
	set, err := render.Load(render.Options{Files: []render.File{
		{Name: "a.tmpl", Text: "{{ define \"x\" }}\n{{ if }}{{ end }}"},
		{Name: "b.tmpl", Text: "{{ define \"y\" }}\n  {{ template \"nothing\" . }}{{ end }}"},
	}})
	var places []string
	for _, f := range faults(err) {
		places = append(places, fmt.Sprintf("%s:%d:%d", f.Where, f.Line, f.Column))
	}
	if diff := cmp.Diff([]string{"a.tmpl:2:1", "b.tmpl:2:15"}, places); diff != "" {
		t.Errorf("faults of the files (-want +got):\n%s\n%v", diff, err)
	}

	space := render.Builtin()
	space.Name, space.Text, space.Thread = "ops", "{{ .Status", "{{ nofunc }}"
	space.Card.Title = `{{ include "missing" . }}`
	space.Card.Buttons[1].URL = "\n{{ end }}"
	_, err = set.Renderer(space)
	var texts []string
	for _, f := range faults(err) {
		texts = append(texts, f.Error())
	}
	want := []string{
		`spaces[ops].thread:1:4: function "nofunc" not defined; docs/reference.md lists the functions`,
		`spaces[ops].text:1:1: unclosed action: }} is missing`,
		`spaces[ops].card.buttons[1].url:2:1: unexpected {{end}}`,
		`spaces[ops].card.title:1:4: no template is called "missing"; mend the name, or define it in a file under templates`,
	}
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Errorf("faults of the space (-want +got):\n%s", diff)
	}
}

// faults returns the faults in a joined error.
func faults(err error) []*render.Fault {
	var found []*render.Fault
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			found = append(found, faults(e)...)
		}
		return found
	}
	if f, ok := errors.AsType[*render.Fault](err); ok {
		found = append(found, f)
	}
	return found
}

func TestTheGuardsCannotBeWrittenInTemplates(t *testing.T) {
	t.Parallel()
	set, err := render.Load(render.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"{{ _escape }}", "{{ .Status | _escape }}", "\xff\x00l{{ .Status }}", "{{ .Status }}\xff"} {
		if _, err := set.Renderer(render.Space{Name: "x", Text: text, Message: text}); err == nil {
			t.Errorf("a template may be %q, want a fault", text)
		}
	}
}

func TestATemplateOfTheUserReplacesTheBuiltinOne(t *testing.T) {
	t.Parallel()
	one := oneAlert(t, nil, nil)
	for _, c := range []struct{ name, file, want string }{
		{"another text", `{{ define "chat.text" }}mine: {{ .Status }}{{ end }}`, "mine: firing"},
		{"a part that the built-in text calls", `{{ define "chat.status" }}AUA{{ end }}`, "🔴 InstanceDown · AUA · critical\nInstance node-0000 is down\n📍 prod-eu-1 · node-0000.example.org:9100"},
		{"an empty one", `{{ define "chat.where" }}{{ end }}`, "🔴 InstanceDown · FIRING · critical\nInstance node-0000 is down"},
	} {
		got := textOf(t, render.Builtin().Text, one, render.File{Name: "mine.tmpl", Text: c.file})
		if got.Messages[0].Text != c.want {
			t.Errorf("%s: text = %q, want %q", c.name, got.Messages[0].Text, c.want)
		}
	}
	both := []render.File{
		{Name: "dir/a.tmpl", Text: `{{ define "x" }}first{{ end }}top`},
		{Name: "b.tmpl", Text: `{{ define "x" }}second{{ end }}`},
	}
	if got := textOf(t, `{{ template "x" . }} {{ template "a.tmpl" . }}`, one, both...); got.Messages[0].Text != "second top" {
		t.Errorf("text = %q, want the later file's and the file's own", got.Messages[0].Text)
	}
}

func TestAGroupWithoutLabelsIsNamedByItsNumber(t *testing.T) {
	t.Parallel()
	for want, alerts := range map[string]string{
		"🔴 1 alert":  `{"status": "firing"}`,
		"🔴 2 alerts": `{"status": "firing", "fingerprint": "a"}, {"status": "firing", "fingerprint": "b"}`,
	} {
		one := telling(t, []byte(`{"version": "4", "groupKey": "{}:{}", "alerts": [`+alerts+`]}`))
		got := renderer(t, nil).Render([]incident.Telling{one}, noon())
		sound(t, got)
		if !strings.HasPrefix(got.Title, want+" · ") || !strings.HasPrefix(got.Messages[0].Text, want+" · ") {
			t.Errorf("title = %q, text = %q, want %q", got.Title, got.Messages[0].Text, want)
		}
	}
}

func TestAnAlertmanagerTemplateFileWorksAsItIs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("testdata", "templates", "alertmanager.tmpl"))
	if err != nil {
		t.Fatal(err)
	}
	file := render.File{Name: "alertmanager.tmpl", Text: string(text)}
	two := telling(t, payload(t, "routelabels-01.json"))
	got := textOf(t, `{{ template "team.title" . }}{{ template "team.text" . }}`, two, file)
	want := `[FIRING:2] RL (prod-eu-1 node rl critical platform)
*RL* since 12:20
 - alertname = RL
 - cluster = prod-eu-1
 - instance = node-0000.example.org:9100
 - job = node
 - lab = rl
 - severity = critical
 - team = platform

*RL* since 12:20
 - alertname = RL
 - cluster = prod-eu-1
 - instance = node-0001.example.org:9100
 - job = node
 - lab = rl
 - severity = critical
 - team = platform
In Production
{"a":[1,2]} a b x+y a
1h 2m 3s CET ops`
	if diff := cmp.Diff(want, got.Messages[0].Text); diff != "" || len(got.Failures) > 0 {
		t.Errorf("text (-want +got):\n%s\n%v", diff, got.Failures)
	}
	for _, name := range []string{
		"slack.default.title", "opsgenie.default.description", "telegram.default.message",
		"jira.default.priority", "email.default.subject", "msteamsv2.default.text", "__alertmanagerURL",
	} {
		if got := textOf(t, `{{ template "`+name+`" . }}`, two); len(got.Failures) > 0 || got.Messages[0].Text == "" {
			t.Errorf("%s: %q, %v", name, got.Messages[0].Text, got.Failures)
		}
	}
}

func TestRouteLabelsAreNeverRunAsTemplates(t *testing.T) {
	t.Parallel()
	one := oneAlert(t, nil, nil)
	one.Payload.RouteLabels = map[string]string{"x": `{{ .Receiver }}`}
	if got := textOf(t, `{{ routeLabels "x" }}`, one); got.Messages[0].Text != "{{ .Receiver }}" {
		t.Errorf("text = %q, want the value as it is", got.Messages[0].Text)
	}
}

func TestFunctions(t *testing.T) {
	t.Parallel()
	one := oneAlert(t, map[string]string{"severity": "warning", "oncall": "123", "q": `a"b\`}, map[string]string{"long": strings.Repeat("日", 50)})
	for _, c := range []struct{ name, in, want string }{
		{"truncate counts runes", `{{ truncate 4 .CommonAnnotations.long }}`, "日日日…"},
		{"truncate leaves what is short", `{{ truncate 4 "abcd" }}`, "abcd"},
		{"truncate takes any number", `{{ truncate -1 "abcd" }}x`, "x"},
		{"quote makes a JSON string", `{{ quote .CommonLabels.q }}`, `"a\"b\\"`},
		{"raw lets through", `{{ raw "<users/all>" }}`, "<users/all>"},
		{"safeUrl lets through", `{{ safeUrl "https://x.example" }}`, "https://x.example"},
		{"mention takes a user's id", `{{ mention "123" }}`, "<users/123>"},
		{"mention takes a user's name", `{{ mention "users/123" }}`, "<users/123>"},
		{"mention takes a label", `{{ mention .CommonLabels.oncall }}`, "<users/123>"},
		{"mention takes all", `{{ mention "all" }}`, "<users/all>"},
		{"mention of what is no id is nothing", `{{ mention "1> <users/all" }}{{ mention "" }}{{ mention "a@b.c" }}x`, "x"},
		{"severityIcon takes the data", `{{ severityIcon . }}`, "🟠"},
		{"severityIcon takes an alert", `{{ severityIcon (index .Alerts 0) }}`, "🟠"},
		{"severityIcon takes a severity", `{{ severityIcon "critical" }}{{ severityIcon "info" }}{{ severityIcon "" }}{{ severityIcon "resolved" }}`, "🔴🔵🔴✅"},
		{"statusColor is Chat's form", `{{ statusColor . }} {{ statusColor "resolved" }}`, "#e37400 #188038"},
		{"silenceURL holds what all share", `{{ raw (silenceURL .) }}`, "http://alertmanager.example.org/am/#/silences/new?filter=%7Balertname%3D%22InstanceDown%22%2C%20cluster%3D%22prod-eu-1%22%2C%20instance%3D%22node-0000.example.org%3A9100%22%2C%20job%3D%22node%22%2C%20lab%3D%22basic%22%2C%20oncall%3D%22123%22%2C%20q%3D%22a%5C%22b%5C%5C%22%2C%20severity%3D%22warning%22%2C%20team%3D%22platform%22%7D"},
		{"alertsURL leads to the group", `{{ raw (alertsURL .) }}`, "http://alertmanager.example.org/am/#/alerts?receiver=basic&filter=%7Balertname%3D%22InstanceDown%22%2C%20cluster%3D%22prod-eu-1%22%7D"},
		{"link makes a link", `{{ link "https://x.example/?a=b&c" "x" }}{{ link "http://x.example" .CommonLabels.q }}`, `<https://x.example/?a=b&c|x><http://x.example|a"b\>`},
		{"link keeps what would end it", `{{ link "https://x.example/|>" "a|b>c<users/all>*" }}`, "<https://x.example/%7C%3E|a∣b›c‹users/all›∗>"},
		{"link takes an include", `{{ define "x" }}*a* {{ .CommonLabels.q }}{{ end }}{{ include "x" . | link "https://x.example" }}`, `<https://x.example|*a* a"b\>`},
		{"link mentions nobody", `{{ mention "all" | link "https://x.example" }}`, "<https://x.example|‹users/all›>"},
		{"link to no page is the text", `{{ link "" "a*" }} {{ link "/x" "b" }} {{ link "javascript:x" "<users/all>" }} {{ link "https://a>b/" "c" }}`, "a∗ b <\u200busers/all> c"},
		{"link of nothing is nothing", `.{{ link "https://x.example" "" }}{{ link "https://x.example" " " }}.`, ". ."},
		{"now is an input", `{{ now | date "15:04" }} {{ since (index .Alerts 0).StartsAt | humanizeDuration }}`, "12:45 24m 1s"},
		{"include is not escaped again", `{{ define "x" }}*a* {{ .CommonLabels.q }} <{{ end }}{{ include "x" . }}`, "*a* a\"b\\ <"},
		{"what functions make of an include is escaped again", `{{ define "x" }}<users/all>{{ end }}{{ include "x" . | toUpper }}`, "<\u200bUSERS/ALL>"},
		{"include works in conditions", `{{ define "x" }}{{ end }}{{ if include "x" . }}a{{ else }}b{{ end }}{{ eq (include "x" .) "" }}`, "btrue"},
		{"include goes through the functions of strings", `{{ define "x" }} a b {{ end }}{{ include "x" . | trimSpace | reReplaceAll "a" "c" | printf "%q" }}`, `"c b"`},
		{"a missing label is empty", `[{{ .CommonLabels.nothing }}]`, "[]"},
		{"a missing key of a dict is empty", `[{{ (dict "a" 1).b }}]`, "[]"},
		{"numbers and times are printed", `{{ len .Alerts }} {{ 1.5 }} {{ true }} {{ (index .Alerts 0).EndsAt }}`, "1 1.5 true 0001-01-01 00:00:00 +0000 UTC"},
		{"append leaves the list alone", `{{ $a := list 1 }}{{ $b := append $a 2 }}{{ $c := append $a 3 }}{{ $b }}{{ $c }}.`, "[1 2]\u200b[1 3]\u200b."},
		{"the fields of the design are there", `{{ .GroupKey }}|{{ .TruncatedAlerts }}|{{ .Space }}|{{ .Incident.Repeat }}|{{ .Part }}/{{ .Parts }}|{{ .Omitted }}|{{ .Incident.StartedAt.Year }}|{{ .NotificationReason }}`, `{}/{lab="basic"}:{alertname="InstanceDown", cluster="prod-eu-1"}|0|ops|0|1/1|0|2026|first notification`},
		{"printf keeps its verbs", `x {{ printf "%05.1f %s %d%% * %x" 1.25 "a" 3 255 }}`, "x 001.2 a 3% ∗ ff"},
		{"urlquery and js work", `{{ urlquery "a b" }} {{ js "a'b" }}`, `a+b a\'b`},
	} {
		got := textOf(t, c.in, one)
		if got.Messages[0].Text != c.want || len(got.Failures) > 0 {
			t.Errorf("%s: %s = %q, %v, want %q", c.name, c.in, got.Messages[0].Text, got.Failures, c.want)
		}
	}
}

func TestCardTextIsEscaped(t *testing.T) {
	t.Parallel()
	one := oneAlert(t, map[string]string{"x": `<b>&"'`, "nl": "a\nb", "t": "{{ .Status }}", "u": `https://x" onclick="y`}, nil)
	for _, c := range []struct{ name, in, want string }{
		{"values are", `{{ .CommonLabels.x }}`, "&lt;b&gt;&amp;&quot;&#39;"},
		{"literals in actions are", `{{ "<b>" }}`, "&lt;b&gt;"},
		{"markup of the template is not", `<b>{{ .CommonLabels.nl }}</b>`, "<b>a<br>b</b>"},
		{"template syntax is text", `{{ .CommonLabels.t }}`, "{{ .Status }}"},
		{"html does not escape twice", `{{ .CommonLabels.x | html }} {{ html .CommonLabels.x }}`, "&lt;b&gt;&amp;&quot;&#39; &lt;b&gt;&amp;&quot;&#39;"},
		{"safeHtml does not", `{{ safeHtml "<i>a</i>" }}`, "<i>a</i>"},
		{"raw is mended", `{{ raw "<blink>a" }}<b>`, "a<b></b>"},
		{"include does not escape twice", `{{ define "l" }}<b>{{ .CommonLabels.x }}</b>{{ end }}{{ include "l" . }}`, "<b>&lt;b&gt;&amp;&quot;&#39;</b>"},
		{"truncate of an include closes tags", `{{ define "l" }}<b>{{ .CommonLabels.cluster }}-abcdefgh</b>{{ end }}{{ include "l" . | truncate 5 }}`, "<b>prod…</b>"},
		{"an attribute cannot be left", `<a href="{{ .CommonLabels.u }}">x</a>y`, "xy"},
		{"link makes a link", `{{ link "https://x.example/?a=b&c" .CommonLabels.x }}`, `<a href="https://x.example/?a=b&amp;c">&lt;b&gt;&amp;&quot;&#39;</a>`},
		{"link takes an include", `{{ define "l" }}<b>{{ .CommonLabels.x }}</b>{{ end }}{{ include "l" . | link "https://x.example" }}`, `<a href="https://x.example"><b>&lt;b&gt;&amp;&quot;&#39;</b></a>`},
		{"link to no page is the text", `{{ link .CommonLabels.u .CommonLabels.x }}`, "&lt;b&gt;&amp;&quot;&#39;"},
		{"mentions are nothing", `{{ mention "all" }}x`, "x"},
	} {
		if got := summaryOf(t, c.in, one); got != c.want {
			t.Errorf("%s: %s = %q, want %q", c.name, c.in, got, c.want)
		}
	}
}

func TestRepeatsAndDigestsMentionNobody(t *testing.T) {
	t.Parallel()
	r := renderer(t, func(s *render.Space) { s.Text = `{{ mention "all" }} hello` },
		render.File{Name: "d.tmpl", Text: `{{ define "chat.digest" }}{{ mention "all" }}line{{ end }}`})
	first := oneAlert(t, nil, nil)
	repeat := first
	repeat.Kind, repeat.Repeat = incident.Repeat, 1
	for name, tellings := range map[string][]incident.Telling{"repeat": {repeat}, "digest": {first, first}} {
		body, err := json.Marshal(r.Render(tellings, noon()).Messages)
		if err != nil || strings.Contains(string(body), `users/`) {
			t.Errorf("%s mentions somebody: %s", name, body)
		}
	}
	if got := r.Render([]incident.Telling{first}, noon()).Messages[0].Text; got != "<users/all> hello" {
		t.Errorf("text of a first telling = %q, want a mention", got)
	}
}

func TestTheThreadsKey(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 5000)
	for _, c := range []struct{ name, thread, want string }{
		{"incident leaves it to the incident", "incident", ""},
		{"none is none", "none", ""},
		{"a template gives one", " {{ .CommonLabels.cluster }}\n", "prod-eu-1"},
		{"an empty one is none", "{{ .CommonLabels.nothing }}", ""},
		{"a failure costs only the thread", `{{ index .Alerts 7 }}`, ""},
	} {
		r := renderer(t, func(s *render.Space) { s.Thread = c.thread })
		if got := r.Render([]incident.Telling{oneAlert(t, nil, nil)}, noon()).ThreadKey; got != c.want {
			t.Errorf("%s: ThreadKey = %q, want %q", c.name, got, c.want)
		}
	}
	r := renderer(t, func(s *render.Space) { s.Thread = "{{ .CommonAnnotations.long }}" })
	if got := r.Render([]incident.Telling{oneAlert(t, nil, map[string]string{"long": long})}, noon()).ThreadKey; len(got) != 64 {
		t.Errorf("ThreadKey has %d bytes, want a hash of 64", len(got))
	}
}

func TestWhatFiredAndEndedWhileWaitingShowsBothTimes(t *testing.T) {
	t.Parallel()
	two := telling(t, thousand(t, 2))
	ended := &two.Payload.Alerts[1]
	ended.Status = alert.Resolved
	ended.StartsAt = noon().Add(-10 * time.Minute)
	ended.EndsAt = noon().Add(-4 * time.Minute)
	two.Payload.Summarize()
	body, err := json.Marshal(renderer(t, nil).Render([]incident.Telling{two}, noon()).Messages)
	if err != nil || !strings.Contains(string(body), "✅ 12:35 UTC – 12:41 UTC (6m 0s)") {
		t.Errorf("the message does not show when the alert fired and ended: %s", body)
	}
}

func TestTheReaderIsToldOfWhatIsOddAboutAMessage(t *testing.T) {
	t.Parallel()
	odd := telling(t, payload(t, "maxalerts-02.json"))
	odd.Unknown = "op<s>"
	cards := renderer(t, nil).Render([]incident.Telling{odd}, noon())
	text := renderer(t, func(s *render.Space) { s.Card = nil }).Render([]incident.Telling{odd}, noon())
	sound(t, cards)
	sound(t, text)
	for name, got := range map[string]string{
		"card": fmt.Sprint(texts(cards.Messages[0])), "text": text.Messages[0].Text,
	} {
		for _, want := range []string{"Alertmanager left out 32 alerts (max_alerts).", "which is no space in the config."} {
			if !strings.Contains(got, want) {
				t.Errorf("%s does not say %q: %s", name, want, got)
			}
		}
	}
}

// texts returns the text of each paragraph of a message.
func texts(m *chat.Message) []string {
	var all []string
	for _, c := range m.CardsV2 {
		for _, s := range c.Card.Sections {
			for _, w := range s.Widgets {
				if w.TextParagraph != nil {
					all = append(all, w.TextParagraph.Text)
				}
			}
		}
	}
	return all
}

func TestEqualInputHasEqualOutputAlsoConcurrently(t *testing.T) {
	t.Parallel()
	r := renderer(t, nil)
	tellings := []incident.Telling{telling(t, payload(t, "basic-09.json"))}
	want := r.Render(tellings, noon())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				if diff := cmp.Diff(want, r.Render(tellings, noon())); diff != "" {
					t.Errorf("differs (-first +later):\n%s", diff)
				}
			}
		})
	}
	wg.Wait()
}

func TestNothingToTellIsStillAMessage(t *testing.T) {
	t.Parallel()
	r := renderer(t, nil)
	for name, tellings := range map[string][]incident.Telling{
		"no telling": nil, "no payload": {{}}, "no payloads": {{}, {}}, "an empty payload": {{Payload: &alert.Payload{}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sound(t, r.Render(tellings, noon()))
			sound(t, r.Notice("", tellings, nil, noon()))
			for _, one := range tellings {
				sound(t, r.Plain(one, noon(), ""))
			}
		})
	}
}

// One evaluation of a rule begins all of its alerts at the same time.
func TestAlertsThatBeganTogetherStandByTheirLabels(t *testing.T) {
	t.Parallel()
	pods := []string{"worker-2", "worker-0", "worker-3", "worker-1"}
	body := several(t, len(pods), func(i int, a *amtemplate.Alert) {
		a.Labels["pod"], a.Fingerprint = pods[i], fmt.Sprint(i)
	})
	r := renderer(t, func(s *render.Space) { s.Card.Alert = "#{{ .Alert.Labels.pod }}" })
	all := strings.Join(texts(r.Render([]incident.Telling{telling(t, body)}, noon()).Messages[0]), "\n")
	got := regexp.MustCompile(`#worker-[0-9]`).FindAllString(all, -1)
	if want := []string{"#worker-0", "#worker-1", "#worker-2", "#worker-3"}; !slices.Equal(got, want) {
		t.Errorf("the alerts stand as %q, want %q", got, want)
	}
}
