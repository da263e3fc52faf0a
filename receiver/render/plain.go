package render

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat"
	"alertchat/receiver/incident"
)

// Plain renders the built-in text message of one telling, which needs no
// template: the last resort where templates fail or Chat refuses what they made.
// why is a short public sentence that it states; empty for none.
func (r *Renderer) Plain(t incident.Telling, now time.Time, why string) Rendered {
	text := plainTelling(&t, now)
	title := cut(plainLine(strings.ReplaceAll(text, zeroWidth, "")), maxTitle, titleBytes)
	if why = escapeLine(cut(plainLine(why), 300, 900)); why != "" {
		why = "\n" + why
	}
	text = cut(text, maxText-utf8.RuneCountInString(why), maxMessage-4_000) + why
	return Rendered{Messages: []*chat.Message{{Text: text}}, Told: 1, Title: title}.markedUp(r.space.Door)
}

// plainTelling is a telling in one line, or two, as a message's text.
func plainTelling(t *incident.Telling, now time.Time) string {
	d := newData("", t)
	text := escapeLine(groupLine(t, d, now))
	a := d.CommonAnnotations
	if s := cmp.Or(a["summary"], a["message"], a["description"]); s != "" {
		text += "\n" + escapeLine(cut(plainLine(s), 300, 900))
	}
	return text
}

// groupLine is a telling in one line of no syntax. d is its data.
func groupLine(t *incident.Telling, d *Data, now time.Time) string {
	l, _ := lookOf(d)
	return l.icon + " " + cut(plainName(d), 200, 600) + " · " + standing(t, d, now)
}

// standing says how a group stands: its state, how many, how bad, where, since
// when.
func standing(t *incident.Telling, d *Data, now time.Time) string {
	firing, resolved := count(d)
	var b strings.Builder
	if firing+resolved > 1 && d.TruncatedAlerts == 0 {
		fmt.Fprintf(&b, "%d ", cmp.Or(firing, resolved))
	}
	since := "since"
	if d.Status == alert.Resolved {
		b.WriteString("RESOLVED")
		since = "began"
	} else {
		b.WriteString("FIRING")
	}
	if firing > 0 && resolved > 0 {
		fmt.Fprintf(&b, ", %d resolved", resolved)
	}
	if d.Severity != "" {
		b.WriteString(" · " + cut(plainLine(d.Severity), 40, 120))
	}
	for _, label := range []string{"cluster", "namespace", "service", "instance"} {
		if where := plainLine(d.CommonLabels[label]); where != "" {
			b.WriteString(" · " + cut(where, 60, 180))
		}
	}
	if at := d.Incident.StartedAt; !at.IsZero() {
		b.WriteString(" · " + since + " " + plainTime(at, now))
	}
	if d.Incident.Repeat > 0 {
		fmt.Fprintf(&b, " · reminder %d", d.Incident.Repeat)
	}
	if d.TruncatedAlerts > 0 {
		fmt.Fprintf(&b, " · Alertmanager left out %d (max_alerts)", d.TruncatedAlerts)
	}
	if t.Unknown != "" {
		b.WriteString(" · posted to an unknown space: " + cut(plainLine(t.Unknown), 80, 300))
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
