package render

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat"
	"alertchat/receiver/incident"
)

// plainBytes ends a list of groups; one more, and the reason, fit in any case.
const plainBytes = 2_000

// Plain renders the built-in text message, which needs no template: the last
// resort where templates fail or Chat refuses what they made. why is a short
// public sentence that it states; empty for none.
func (r *Renderer) Plain(tellings []incident.Telling, now time.Time, why string) Rendered {
	var b strings.Builder
	title := ""
	for i := range tellings {
		line := plainTelling(&tellings[i], now)
		title = cmp.Or(title, line)
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(line)
		if b.Len() > plainBytes && i+1 < len(tellings) {
			fmt.Fprintf(&b, "\n+%d more", len(tellings)-i-1)
			break
		}
	}
	if len(tellings) > 1 {
		title = fmt.Sprintf("%d groups of alerts", len(tellings))
	}
	why = escapeText(cut(plainLine(why), 300, 900), true)
	text := b.String()
	switch {
	case text == "" && why == "":
		text = "Nothing to tell."
	case why != "":
		text = cut(text, maxText-len(why)-1, maxMessage-4_000)
		text = strings.TrimSpace(text + "\n" + why)
	default:
		text = cut(text, maxText, maxMessage-4_000)
	}
	title = cut(plainLine(strings.ReplaceAll(title, zeroWidth, "")), maxTitle, titleBytes)
	return Rendered{Messages: []*chat.Message{{Text: text}}, Title: cmp.Or(title, "nothing to tell")}
}

// plainTelling is a telling in one line, or two.
func plainTelling(t *incident.Telling, now time.Time) string {
	d := newData("", t)
	firing, resolved := count(d)
	var b strings.Builder
	l, _ := lookOf(d)
	b.WriteString(l.icon + " " + escapeText(cut(plainName(d), 200, 600), false) + " · ")
	if firing+resolved > 1 && d.TruncatedAlerts == 0 {
		fmt.Fprintf(&b, "%d ", cmp.Or(firing, resolved))
	}
	if d.Status == alert.Resolved {
		b.WriteString("RESOLVED")
	} else {
		b.WriteString("FIRING")
	}
	if firing > 0 && resolved > 0 {
		fmt.Fprintf(&b, ", %d resolved", resolved)
	}
	if d.Severity != "" {
		b.WriteString(" · " + escapeText(cut(plainLine(d.Severity), 40, 120), false))
	}
	if at := d.Incident.StartedAt; !at.IsZero() {
		b.WriteString(" · since " + plainTime(at, now))
	}
	if d.Incident.Repeat > 0 {
		fmt.Fprintf(&b, " · reminder %d", d.Incident.Repeat)
	}
	if d.TruncatedAlerts > 0 {
		fmt.Fprintf(&b, " · Alertmanager left out %d (max_alerts)", d.TruncatedAlerts)
	}
	if t.Unknown != "" {
		b.WriteString(" · posted to an unknown space: " + escapeText(cut(plainLine(t.Unknown), 80, 300), false))
	}
	a := d.CommonAnnotations
	if s := cmp.Or(a["summary"], a["message"], a["description"]); s != "" {
		b.WriteString("\n" + escapeText(cut(plainLine(s), 300, 900), true))
	}
	return b.String()
}

func plainTime(t, now time.Time) string {
	t, now = t.UTC(), now.UTC()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04 MST")
	}
	return t.Format("2 Jan 15:04 MST")
}

// plainName names a group without any template. It is never empty.
func plainName(d *Data) string {
	if name := plainLine(d.CommonLabels["alertname"]); name != "" {
		return name
	}
	if len(d.Alerts) > 0 {
		if name := plainLine(d.Alerts[0].Labels["alertname"]); name != "" {
			return name + " and others"
		}
	}
	return cmp.Or(
		plainLine(d.GroupLabels.String()),
		plainLine(d.CommonLabels.String()),
		fmt.Sprintf("%d %s", len(d.Alerts), plural(len(d.Alerts), "alert")),
	)
}

// plainText is a message's text without any template.
func (s *rendering) plainText(*Data) string {
	return strings.ReplaceAll(plainTelling(&s.tellings[0], s.now), zeroWidth, "")
}

// count returns how many alerts fire and how many are resolved.
func count(d *Data) (firing, resolved int) {
	for i := range d.Alerts {
		if d.Alerts[i].Status == alert.Firing {
			firing++
		}
	}
	return firing, len(d.Alerts) - firing
}
