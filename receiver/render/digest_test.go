package render_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/template"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat"
	"alertchat/receiver/incident"
	"alertchat/receiver/render"
)

// flood returns tellings of n groups of three alerts each, like those of a
// Kubernetes cluster that fails: the worst first, the last in fifty resolved.
func flood(n int) []incident.Telling {
	kinds := []struct{ name, severity string }{
		{"KubePodCrashLooping", "critical"}, {"TargetDown", "critical"}, {"HighErrorRate", "warning"}, {"KubeDeploymentReplicasMismatch", "warning"},
	}
	resolved := n / 50
	out := make([]incident.Telling, n)
	for i := range out {
		kind := kinds[min(i*len(kinds)/max(n-resolved, 1), len(kinds)-1)]
		status, starts := alert.Firing, noon().Add(-time.Duration(n-i)*time.Second)
		p := &alert.Payload{Version: "4"}
		p.Receiver, p.ExternalURL = "google-chat", "http://alertmanager.example.org:9093"
		p.GroupLabels = template.KV{"alertname": kind.name, "cluster": "prod-eu-1", "namespace": fmt.Sprintf("shop-%04d", i)}
		p.GroupKey = fmt.Sprintf("{}:{namespace=%q}", p.GroupLabels["namespace"])
		for j := range 3 {
			a := template.Alert{
				Status: status, StartsAt: starts, Fingerprint: fmt.Sprintf("%08x%08x", i, j),
				Labels:       template.KV{"severity": kind.severity, "pod": fmt.Sprintf("web-%d", j), "job": "kube-state-metrics"},
				Annotations:  template.KV{"summary": "Pods of the shop do not start"},
				GeneratorURL: "http://prometheus.example.org/graph",
			}
			maps.Copy(a.Labels, p.GroupLabels)
			if i >= n-resolved {
				a.Status, a.EndsAt = alert.Resolved, noon()
			}
			p.Alerts = append(p.Alerts, a)
		}
		p.Summarize()
		out[i] = incident.Telling{
			Group: p.Group(), Kind: incident.First, Payload: p, ID: fmt.Sprintf("%016x", i),
			StartedAt: starts, ReceivedAt: noon(), LatestAt: noon(),
		}
	}
	return out
}

// textOnly is a change of a space to one without cards.
func textOnly(s *render.Space) { s.Card = nil }

// lines returns what a digest says of its groups, a line for each.
func lines(m *chat.Message) []string {
	if len(m.CardsV2) == 0 {
		return strings.Split(m.Text, "\n")[1:]
	}
	return strings.Split(strings.Join(texts(m), "<br>"), "<br>")
}

func TestTheBuiltinTemplatesShowADigest(t *testing.T) {
	t.Parallel()
	var tellings []incident.Telling
	for _, name := range []string{"basic-01", "basic-09", "basic-04", "utf8-01", "maxalerts-02", "basic-11"} {
		tellings = append(tellings, telling(t, payload(t, name+".json")))
	}
	tellings[2].Kind, tellings[2].Repeat = incident.Repeat, 3
	tellings[3].Unknown = "op<s>"
	golden(t, "digest", renderer(t, nil).Render(tellings, noon()))
	golden(t, "digest-text", renderer(t, textOnly).Render(tellings, noon()))
	golden(t, "digest-3", renderer(t, nil).Render(flood(3), noon()))
	golden(t, "digest-40", renderer(t, nil).Render(flood(40), noon()))
}

func TestADigestTellsOfAsManyGroupsAsFit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*render.Space)
		groups int
		least  int // that fit
	}{
		{"a card of few", nil, 2, 2},
		{"a card of many", nil, 80, 80},
		{"a card of too many", nil, 1000, 80},
		{"a text of few", textOnly, 2, 2},
		{"a text of many", textOnly, 40, 40},
		{"a text of too many", textOnly, 1000, 40},
		{"the space of a whole message", func(s *render.Space) { s.Message = "text: x" }, 80, 80},
	} {
		tellings := flood(c.groups)
		got := renderer(t, c.change).Render(tellings, noon())
		sound(t, got)
		if got.Told < c.least || got.Told > c.groups || len(got.Messages) != 1 || len(got.Failures) > 0 {
			t.Errorf("%s: %d of %d groups are told in %d messages, %v; want at least %d in one", c.name, got.Told, c.groups, len(got.Messages), got.Failures, c.least)
		}
		all := lines(got.Messages[0])
		for i, line := range all[:got.Told] {
			if want := fmt.Sprintf(" · shop-%04d · ", i); !strings.Contains(line, want) {
				t.Errorf("%s: line %d = %q, want the group with %q", c.name, i, line, want)
			}
		}
		rest := all[got.Told:]
		switch follow := fmt.Sprintf("+%d more groups follow", c.groups-got.Told); {
		case got.Told == c.groups && len(rest) > 0:
			t.Errorf("%s: more than the groups is said: %q", c.name, rest)
		case got.Told < c.groups && (len(rest) != 1 || rest[0] != follow):
			t.Errorf("%s: it ends with %q, want %q", c.name, rest, follow)
		}
	}
}

// TestADigestIsReadFromTheTop reads a digest as somebody does who was woken up
// by it: first on the phone, then the card, then what is collapsed.
func TestADigestIsReadFromTheTop(t *testing.T) {
	t.Parallel()
	tellings := flood(1000)
	got := renderer(t, nil).Render(tellings, noon())
	m := got.Messages[0]
	share := fmt.Sprintf("%d of them here, %d to follow", got.Told, 1000-got.Told)
	const standing = "🔴 1,000 groups of alerts: 980 firing, 20 resolved · worst: critical"
	const names = "🔴 KubePodCrashLooping ×245 · 🔴 TargetDown ×245 · 🟠 HighErrorRate ×245 · 🟠 KubeDeploymentReplicasMismatch ×245 · ✅ KubeDeploymentReplicasMismatch ×20"
	if want := standing + " (" + share + ")\n" + names; m.Text != want || m.FallbackText != want || got.Title != standing+" ("+share+"): "+names {
		t.Errorf("text = %q, fallbackText = %q, title = %q, want %q, and the title the same in one line", m.Text, m.FallbackText, got.Title, want)
	}
	card := m.CardsV2[0].Card
	if card.Header.Title != standing || card.Header.Subtitle != share {
		t.Errorf("header = %+v, want %q and %q", card.Header, standing, share)
	}
	firing := card.Sections[0]
	if want := fmt.Sprintf("<b>🔥 Firing (%d of 980)</b>", got.Told); firing.Header != want || len(card.Sections) != 2 {
		t.Errorf("%d sections, the first with the header %q, want two and %q", len(card.Sections), firing.Header, want)
	}
	if !firing.Collapsible || firing.UncollapsibleWidgetsCount != 10 {
		t.Errorf("collapsible = %v from widget %d on, want all but ten groups", firing.Collapsible, firing.UncollapsibleWidgetsCount)
	}
	for i, w := range firing.Widgets {
		if n := 1 + strings.Count(w.TextParagraph.Text, "<br>"); i < 10 && n != 1 || i >= 10 && n > 5 {
			t.Errorf("widget %d tells of %d groups", i, n)
		}
	}
	const first = `🔴 <a href="http://alertmanager.example.org:9093/#/alerts?receiver=google-chat&amp;filter=%7Balertname%3D%22KubePodCrashLooping%22%2C%20cluster%3D%22prod-eu-1%22%2C%20namespace%3D%22shop-0000%22%7D">KubePodCrashLooping</a> · 3 FIRING · critical · prod-eu-1 · shop-0000 · since 12:28 UTC`
	if line := firing.Widgets[0].TextParagraph.Text; line != first {
		t.Errorf("the first group is %q, want %q", line, first)
	}
}

func TestADigestTellsWhatFiresApartFromWhatDoesNot(t *testing.T) {
	t.Parallel()
	tellings := flood(60) // the last one is resolved
	end := tellings[59]
	for _, c := range []struct {
		name     string
		tellings []incident.Telling
		title    string
		headers  []string
	}{
		{"all fire", tellings[:2], "🔴 2 groups of alerts, all firing · worst: critical", []string{""}},
		{"all warnings fire", tellings[40:42], "🟠 2 groups of alerts, all firing · worst: warning", []string{""}},
		{"the worst is not the first", []incident.Telling{tellings[40], tellings[0]}, "🔴 2 groups of alerts, all firing · worst: critical", []string{""}},
		{"all are resolved", []incident.Telling{end, end}, "✅ 2 groups of alerts, all resolved", []string{""}},
		{"some of both", []incident.Telling{end, tellings[50], end}, "🟠 3 groups of alerts: 1 firing, 2 resolved · worst: warning", []string{"<b>🔥 Firing (1)</b>", "<b>✅ Resolved (2)</b>"}},
	} {
		got := renderer(t, nil).Render(c.tellings, noon())
		sound(t, got)
		var headers []string
		for _, s := range got.Messages[0].CardsV2[0].Card.Sections {
			headers = append(headers, s.Header)
			for _, w := range s.Widgets {
				if resolved := strings.Contains(w.TextParagraph.Text, " · 3 RESOLVED · "); strings.Contains(s.Header, "Firing") && resolved || strings.Contains(s.Header, "Resolved") && !resolved {
					t.Errorf("%s: in %s there is %q", c.name, s.Header, w.TextParagraph.Text)
				}
			}
		}
		if !strings.HasPrefix(got.Title, c.title+": ") || !slices.Equal(headers, c.headers) {
			t.Errorf("%s: title %q, sections %q, want %q, %q", c.name, got.Title, headers, c.title, c.headers)
		}
	}
}

func TestADigestMarksWhatIsOddAboutAGroup(t *testing.T) {
	t.Parallel()
	tellings := flood(2)
	tellings[0].Kind, tellings[0].Repeat = incident.Repeat, 3
	tellings[1].Unknown = "op<s>\nx"
	for name, c := range map[string]struct {
		change  func(*render.Space)
		unknown string
	}{
		"card": {nil, "⚠️ posted to an unknown space: op&lt;s&gt; x"},
		"text": {textOnly, "⚠️ posted to an unknown space: op<\u200bs> x"},
	} {
		got := renderer(t, c.change).Render(tellings, noon())
		sound(t, got)
		all := lines(got.Messages[0])
		if !strings.Contains(all[0], " · reminder 3 · since ") || strings.Contains(all[1], "reminder") {
			t.Errorf("%s: want only the first group as a reminder: %q", name, all)
		}
		if !strings.HasSuffix(all[1], c.unknown) || strings.Contains(all[0], "unknown") {
			t.Errorf("%s: want only the second group as of an unknown space, %q: %q", name, c.unknown, all)
		}
	}
}

func TestANameInADigestLeadsToAlertmanager(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, external, alertname, card, text string }{
		{
			"a name", "https://am.example/x/", "Disk",
			`🔴 <a href="https://am.example/x/#/alerts?receiver=google-chat&amp;filter=%7Balertname%3D%22Disk%22%7D">Disk</a> · 3 FIRING`,
			`🔴 <https://am.example/x/#/alerts?receiver=google-chat&filter=%7Balertname%3D%22Disk%22%7D|Disk> · 3 FIRING`,
		},
		{
			"a name that is syntax", "https://am.example", "<a|b> <users/all>",
			`🔴 <a href="https://am.example/#/alerts?receiver=google-chat&amp;filter=%7Balertname%3D%22%3Ca%7Cb%3E%20%3Cusers%2Fall%3E%22%7D">&lt;a|b&gt; &lt;users/all&gt;</a> · 3 FIRING`,
			`🔴 <https://am.example/#/alerts?receiver=google-chat&filter=%7Balertname%3D%22%3Ca%7Cb%3E%20%3Cusers%2Fall%3E%22%7D|‹a∣b› ‹users/all›> · 3 FIRING`,
		},
		{"a relative address", "/alertmanager", "Disk", `🔴 Disk · 3 FIRING`, `🔴 Disk · 3 FIRING`},
		{"an address without a scheme", "am.example:9093", "Disk", `🔴 Disk · 3 FIRING`, `🔴 Disk · 3 FIRING`},
		{"an address of a script", "javascript:alert(1)//", "Disk", `🔴 Disk · 3 FIRING`, `🔴 Disk · 3 FIRING`},
		{"an address that would end the link", "https://am>.example", "Disk", `🔴 Disk · 3 FIRING`, `🔴 Disk · 3 FIRING`},
		{"an address that is too long", "https://am.example/" + strings.Repeat("x", 500), "Disk", `🔴 Disk · 3 FIRING`, `🔴 Disk · 3 FIRING`},
		{
			"a name that is too long", "https://am.example", strings.Repeat("x", 1500),
			`🔴 <a href="https://am.example/#/alerts?receiver=google-chat">` + strings.Repeat("x", 99) + `…</a> · 3 FIRING`,
			`🔴 <https://am.example/#/alerts?receiver=google-chat|` + strings.Repeat("x", 99) + `…> · 3 FIRING`,
		},
	} {
		tellings := flood(2)
		p := tellings[0].Payload
		p.ExternalURL, p.GroupLabels = c.external, template.KV{"alertname": c.alertname}
		for i := range p.Alerts {
			p.Alerts[i].Labels["alertname"] = c.alertname
		}
		p.Summarize()
		for want, change := range map[string]func(*render.Space){c.card: nil, c.text: textOnly} {
			got := renderer(t, change).Render(tellings, noon())
			sound(t, got)
			if line := lines(got.Messages[0])[0]; !strings.HasPrefix(line, want) {
				t.Errorf("%s: the line is %q, want it to begin with %q", c.name, line, want)
			}
		}
	}
}

// TestALinkIsShortWhereAGroupHasManyLabels: a group_by of all labels makes many
// groups of many labels, and each has a link in a digest.
func TestALinkIsShortWhereAGroupHasManyLabels(t *testing.T) {
	t.Parallel()
	tellings := flood(1000)
	for i := range tellings {
		labels := tellings[i].Payload.GroupLabels
		for j := range 20 {
			labels[fmt.Sprintf("label_%02d", j)] = fmt.Sprintf("some-value-%d", j)
		}
		labels["alongvalue"] = strings.Repeat("x", 400)
	}
	got := renderer(t, nil).Render(tellings, noon())
	sound(t, got)
	const want = `&amp;filter=%7Balertname%3D%22KubePodCrashLooping%22%2C%20cluster%3D%22prod-eu-1%22%2C%20label_00%3D%22some-value-0%22%2C%20label_01%3D`
	if line := lines(got.Messages[0])[0]; !strings.Contains(line, want) || strings.Contains(line, "xxx") {
		t.Errorf("the link is not of the first labels that fit: %q", line)
	}
	if got.Told < 40 {
		t.Errorf("%d groups are told, want 40 at least: else a flood takes too long", got.Told)
	}
}

// TestATextHasLinksWhereAllGroupsFitWithThem: a link takes the room of two lines
// in a text, and a flood must be on the screen soon.
func TestATextHasLinksWhereAllGroupsFitWithThem(t *testing.T) {
	t.Parallel()
	r := renderer(t, textOnly)
	failing := renderer(t, textOnly, render.File{Name: "mine.tmpl", Text: `{{ define "chat.digest" }}{{ index .Alerts 99 }}{{ end }}`})
	for range 3 { // a renderer is used again
		few := r.Render(flood(12), noon()).Messages[0].Text
		if n := strings.Count(few, "|KubePodCrashLooping>"); n != 3 {
			t.Errorf("%d links to three groups: %s", n, few)
		}
		for _, r := range []*render.Renderer{r, failing} {
			many := r.Render(flood(30), noon()).Messages[0].Text
			if strings.Contains(many, "http") || !strings.Contains(many, "🔴 KubePodCrashLooping · 3 FIRING") {
				t.Errorf("there are links, or no names: %s", many)
			}
		}
	}
}

func TestADigestsTemplateCanBeReplaced(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, template, card, text string
		remark                     bool
	}{
		{"by another", `{{ .GroupLabels.namespace }} <b>{{ .Status }}</b>{{ mention "all" }}`, "shop-0000 <b>firing</b>", "shop-0000 <b>firing</b>", false},
		{"by one with a link of its own", `{{ link "https://x.example/?a=1&b=2" .GroupLabels.namespace }}`, `<a href="https://x.example/?a=1&amp;b=2">shop-0000</a>`, "<https://x.example/?a=1&b=2|shop-0000>", false},
		{"by nothing", "", "🔴 KubePodCrashLooping · 3 FIRING · critical · prod-eu-1 · shop-0000 · since 12:44 UTC", "🔴 KubePodCrashLooping · 3 FIRING · critical · prod-eu-1 · shop-0000 · since 12:44 UTC", false},
		{"by one that fails", "x{{ index .Alerts 99 }}", "🔴 <a href=", "🔴 <http://alertmanager", true},
		{"by one that is long", strings.Repeat("wörd ", 900), strings.TrimSpace(strings.Repeat("wörd ", 80)) + "…", "", false},
	} {
		file := render.File{Name: "mine.tmpl", Text: `{{ define "chat.digest" }}` + c.template + `{{ end }}`}
		for want, change := range map[string]func(*render.Space){c.card: nil, c.text: textOnly} {
			r := renderer(t, change, file)
			if got := r.Render(flood(3), noon()); !strings.HasPrefix(lines(got.Messages[0])[0], want) {
				t.Errorf("%s: the first line is %.300q, want %q", c.name, lines(got.Messages[0])[0], want)
			}
			for _, n := range []int{3, 1000} {
				got := r.Render(flood(n), noon())
				sound(t, got)
				all := lines(got.Messages[0])
				remark := strings.Contains(all[len(all)-1], "⚠️ The template chat.digest (mine.tmpl, line 1) failed")
				if remark != c.remark || len(got.Failures) > 0 != c.remark {
					t.Errorf("%s: it ends with %q, failures %v", c.name, all[len(all)-1], got.Failures)
				}
			}
		}
	}
}

// TestADigestCutsNoLinkInTwo has a link at the end of a long line of text.
func TestADigestCutsNoLinkInTwo(t *testing.T) {
	t.Parallel()
	file := render.File{Name: "mine.tmpl", Text: `{{ define "chat.digest" }}{{ range 35 }}aa <b> ccc {{ end }}{{ link "https://x.example/" .GroupLabels.namespace }}{{ end }}`}
	for n, want := range map[int]string{2: "ccc <https://x.example/|shop-0000>", 40: "ccc shop-0000"} {
		got := renderer(t, textOnly, file).Render(flood(n), noon()).Messages[0]
		if line := lines(got)[0]; !strings.HasSuffix(line, want) {
			t.Errorf("the line of %d groups is %q, want it to end with %q", n, line, want)
		}
	}
	file.Text = strings.Replace(file.Text, `link "https://x.example/" .GroupLabels.namespace`, `raw "<https://x.example/|x>"`, 1)
	got := renderer(t, textOnly, file).Render(flood(40), noon()).Messages[0]
	if line := lines(got)[0]; !strings.HasSuffix(line, "aa <b> ccc…") {
		t.Errorf("the line is %q, want it without the half of a link", line)
	}
	file.Text = `{{ define "chat.digest" }}a {{ "<b" }}{{ printf "%0500d" 1 }}{{ end }}`
	got = renderer(t, textOnly, file).Render(flood(40), noon()).Messages[0]
	if line := lines(got)[0]; !strings.HasPrefix(line, "a <\u200bb000") || !strings.HasSuffix(line, "000…") {
		t.Errorf("the line is %q, want no more cut off than is too long", line)
	}
}

// TestADigestOfShortLinesKeepsToTheWidgets: a card may have 100 of them, and
// Chat drops what is beyond.
func TestADigestOfShortLinesKeepsToTheWidgets(t *testing.T) {
	t.Parallel()
	file := render.File{Name: "mine.tmpl", Text: `{{ define "chat.digest" }}{{ .GroupLabels.namespace }}{{ end }}`}
	got := renderer(t, nil, file).Render(flood(1000), noon())
	sound(t, got)
	if got.Told < 300 || got.Told == 1000 {
		t.Errorf("%d of 1,000 groups are told, want hundreds", got.Told)
	}
}

// TestOnlyTheGroupsThatAreToldAreRendered has a template that fails for the
// others.
func TestOnlyTheGroupsThatAreToldAreRendered(t *testing.T) {
	t.Parallel()
	file := render.File{Name: "mine.tmpl", Text: `{{ define "chat.digest" }}{{ if .GroupLabels.late }}{{ index .Alerts 99 }}{{ end }}{{ template "chat.title" . }} · {{ printf "%0200d" 1 }}{{ end }}`}
	for name, change := range map[string]func(*render.Space){"card": nil, "text": textOnly} {
		r := renderer(t, change, file)
		tellings := flood(300)
		told := r.Render(tellings, noon()).Told
		for i := told + 1; i < len(tellings); i++ {
			tellings[i].Payload.GroupLabels["late"] = "yes"
		}
		if got := r.Render(tellings, noon()); len(got.Failures) > 0 || got.Told != told {
			t.Errorf("%s: of 300 groups %d are told and more are rendered: %v", name, got.Told, got.Failures)
		}
	}
}

// hostileFlood returns tellings of n groups whose names begin with their
// number, and go on with a value up to so many bytes.
func hostileFlood(n, size int, value string) []incident.Telling {
	out := make([]incident.Telling, n)
	for i := range out {
		name := fmt.Sprintf("g%04d", i)
		if rest := size - len(name); rest > 0 && value != "" {
			name += strings.Repeat(value, 1+rest/len(value))[:rest]
		}
		p := &alert.Payload{Version: "4", GroupKey: name}
		p.Receiver, p.ExternalURL, p.GroupLabels = value, "https://am.example/"+value, template.KV{"alertname": name}
		a := template.Alert{
			Status: alert.Firing, StartsAt: noon(), Fingerprint: name, GeneratorURL: value,
			Labels: template.KV{"alertname": name, "severity": value, "cluster": value, "instance": name, value: value}, Annotations: template.KV{value: value},
		}
		if i%7 == 3 {
			a.Status = alert.Resolved
		}
		p.Alerts = template.Alerts{a}
		p.Summarize()
		out[i] = incident.Telling{Group: p.Group(), Kind: incident.First, Payload: p, ID: name, StartedAt: noon()}
		if i%5 == 1 {
			out[i].Unknown = value
		}
	}
	return out
}

// checkDigests renders digests until all tellings are told, and checks that each
// is told once, in its order, by name.
func checkDigests(t *testing.T, where string, r *render.Renderer, tellings []incident.Telling) {
	t.Helper()
	numbers := regexp.MustCompile(`(?m)^\P{L}*(?:<a[^>]*>|<http[^|]*\|)?g(\d{4})`)
	next, digests := 0, 0
	for ; next < len(tellings); digests++ {
		got := r.Render(tellings[next:], noon())
		harmless(t, where, got)
		if got.Told < 1 || got.Told > len(tellings)-next || len(got.Messages) != 1 || len(got.Failures) > 0 {
			t.Fatalf("%s: %d of %d are told in %d messages, %v", where, got.Told, len(tellings)-next, len(got.Messages), got.Failures)
		}
		if next == len(tellings)-1 {
			return // one telling is no digest
		}
		told := map[string]bool{}
		for _, line := range lines(got.Messages[0]) {
			if m := numbers.FindStringSubmatch(line); m != nil {
				told[m[1]] = true
			}
		}
		for i := next; i < next+got.Told; i++ {
			if !told[fmt.Sprintf("%04d", i)] {
				t.Fatalf("%s: group %d is told, but is not in the message: %q", where, i, lines(got.Messages[0]))
			}
		}
		if len(told) != got.Told {
			t.Fatalf("%s: %d groups are in the message and %d told", where, len(told), got.Told)
		}
		next += got.Told
	}
}

func TestEveryGroupIsToldByOneDigest(t *testing.T) {
	t.Parallel()
	values := hostile()
	names := slices.Sorted(maps.Keys(values))
	random := rand.New(rand.NewPCG(1, 2))
	card, text := renderer(t, nil), renderer(t, textOnly)
	for i, name := range names {
		n, size := []int{2, 3, 9, 30}[i%4], []int{5, 100, 1000, 10_000}[random.IntN(4)]
		tellings := hostileFlood(n, size, values[name])
		checkDigests(t, fmt.Sprintf("%d groups of %d bytes of %s in cards", n, size, name), card, tellings)
		checkDigests(t, fmt.Sprintf("%d groups of %d bytes of %s in texts", n, size, name), text, tellings)
	}
	checkDigests(t, "2,000 groups in cards", card, hostileFlood(2000, 30, "<a&b>"))
	checkDigests(t, "500 groups in texts", text, hostileFlood(500, 30, "<a&b>"))
}

func FuzzDigest(f *testing.F) {
	for _, value := range hostile() {
		f.Add(value, uint8(9), uint16(200))
	}
	card, text := renderer(f, nil), renderer(f, textOnly)
	f.Fuzz(func(t *testing.T, value string, n uint8, size uint16) {
		tellings := hostileFlood(2+int(n)%100, int(size)%10_000, value)
		checkDigests(t, "cards", card, tellings)
		checkDigests(t, "texts", text, tellings)
	})
}
