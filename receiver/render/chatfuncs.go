package render

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"

	amtemplate "github.com/prometheus/alertmanager/template"

	"alertchat/receiver/alert"
	"alertchat/receiver/incident"
)

// raw lets a value through as it is.
func (x *executor) raw(v any) (markup, error) {
	s := stringOf(v)
	return markup(clip(s, maxValue)), x.charge(1 + len(s)/1024)
}

// truncate cuts a string to a number of characters. In a card's text it takes
// what include puts out, too: tags are closed, and do not count.
func (x *executor) truncate(n int, v any) (any, error) {
	s, err := x.text(v)
	if err != nil {
		return nil, err
	}
	n = max(n, 0)
	if _, ok := v.(markup); !ok {
		return cut(s, n, maxOutput), nil
	}
	if x.context == contextHTML {
		return markup(truncateHTML(s, n)), nil
	}
	return markup(cut(s, n, maxOutput)), nil
}

// silenceURL returns a link to Alertmanager's form for a silence of an alert,
// or of what all alerts of a group share. It is empty where Alertmanager has no
// URL that a browser could open.
func (x *executor) silenceURL(v any) (string, error) {
	if x.data == nil {
		return "", nil
	}
	base, ok := alertmanagerURL(x.data.ExternalURL)
	if !ok {
		return "", nil
	}
	var labels amtemplate.KV
	switch v := v.(type) {
	case amtemplate.Alert:
		labels = v.Labels
	case *amtemplate.Alert:
		labels = v.Labels
	case *Data:
		labels = v.CommonLabels
		if len(labels) == 0 {
			labels = v.GroupLabels
		}
	default:
		return "", fmt.Errorf("silenceURL takes an alert or the whole data, not a %T", v)
	}
	if len(labels) == 0 {
		return "", nil
	}
	for _, v := range labels {
		if strings.HasSuffix(v, ellipsis) {
			return "", nil // a value that was cut matches nothing
		}
	}
	return base + "/#/silences/new?filter=" + matchers(labels), x.charge(1 + len(labels))
}

// alertsURL returns a link to the group's alerts in Alertmanager, like the
// function of that name here.
func (x *executor) alertsURL(v any) (string, error) {
	d, ok := v.(*Data)
	if !ok {
		return "", fmt.Errorf("alertsURL takes the whole data, not a %T", v)
	}
	return alertsURL(d), x.charge(1 + len(d.GroupLabels))
}

// alertsURL returns a link to the alerts of the receiver that have the group's
// labels: of many labels only the first, so that the link stays short. It is
// empty where Alertmanager has no URL that a browser could open.
func alertsURL(d *Data) string {
	base, ok := alertmanagerURL(d.ExternalURL)
	if !ok {
		return ""
	}
	link := base + "/#/alerts?receiver=" + url.QueryEscape(d.Receiver)
	if len(link) > maxLinkBytes {
		return ""
	}
	const begin, separator, end = "&filter=%7B", "%2C%20", "%7D"
	filter := ""
	for _, pair := range d.GroupLabels.SortedPairs() {
		one := encodeMatchers(matcher(pair))
		if filter != "" {
			one = separator + one
		}
		whole := !strings.HasSuffix(pair.Value, ellipsis) // a value that was cut matches nothing
		if whole && len(link)+len(begin+filter+one+end) <= maxLinkBytes {
			filter += one
		}
	}
	if filter == "" {
		return link
	}
	return link + begin + filter + end
}

// link returns a text that leads to a URL, in the markup of the place where it
// lands. Where that has no links, or the URL is none that Chat takes, it is the
// text alone.
func (x *executor) link(to, v any) (any, error) {
	target, err := x.text(to)
	if err != nil {
		return nil, err
	}
	text, err := x.text(v)
	if err != nil {
		return nil, err
	}
	target, ok := webURL(target)
	if _, safe := v.(markup); !safe {
		text = string(x.context.escape(text, false))
	}
	switch {
	case !ok || strings.TrimSpace(text) == "":
	case x.context == contextHTML:
		return markup(`<a href="` + escapeHTML(target) + `">` + text + "</a>"), nil
	case x.context == contextText && !x.unlinked:
		return markup("<" + target + "|" + linkText.Replace(text) + ">"), nil
	}
	return v, nil
}

// linkText replaces what would end a link in a message's text.
var linkText = strings.NewReplacer("<"+zeroWidth, "‹", "<", "‹", ">", "›", "|", "∣", "\n", " ")

// alertmanagerURL returns Alertmanager's external URL without a slash at its end.
func alertmanagerURL(external string) (string, bool) {
	u, ok := webURL(external)
	return strings.TrimRight(u, "/"), ok
}

// matchers returns labels as matchers, encoded for a URL.
func matchers(labels amtemplate.KV) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, pair := range labels.SortedPairs() {
		if i > 0 {
			b.WriteString(", ")
		}
		if b.Len() > maxURL {
			break // the link is left out as a whole
		}
		b.WriteString(matcher(pair))
	}
	b.WriteByte('}')
	return encodeMatchers(b.String())
}

func matcher(pair amtemplate.Pair) string {
	return matcherName(pair.Name) + "=" + quoteMatcher(pair.Value)
}

// encodeMatchers encodes for a URL. Alertmanager's page does not read a plus as
// a space.
func encodeMatchers(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}

// matcherName quotes the names that Alertmanager's classic syntax does not take.
func matcherName(name string) string {
	classic := func(r rune) bool {
		return r == '_' || r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r))
	}
	if name != "" && !unicode.IsDigit(rune(name[0])) && !strings.ContainsFunc(name, func(r rune) bool { return !classic(r) }) {
		return name
	}
	return quoteMatcher(name)
}

func quoteMatcher(s string) string {
	if !strings.ContainsAny(s, "\\\"\n") {
		return `"` + s + `"`
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

// look is how a status and a severity are shown.
type look struct{ icon, color string }

// lookOf takes a status, a severity, an alert, or the whole data.
func lookOf(v any) (look, error) {
	severity, resolved := "", false
	switch v := v.(type) {
	case amtemplate.Alert:
		severity, resolved = v.Labels["severity"], v.Status == alert.Resolved
	case *amtemplate.Alert:
		severity, resolved = v.Labels["severity"], v.Status == alert.Resolved
	case *Data:
		severity, resolved = v.Severity, v.Status == alert.Resolved
	case nil:
	case string:
		severity, resolved = v, v == alert.Resolved
	case markup:
		severity, resolved = string(v), string(v) == alert.Resolved
	default:
		return look{}, fmt.Errorf("an alert, the whole data, a status or a severity is expected, not a %T", v)
	}
	switch rank := incident.Rank(severity); {
	case resolved:
		return look{icon: "✅", color: "#188038"}, nil
	case rank == incident.Rank("info"):
		return look{icon: "🔵", color: "#1a73e8"}, nil
	case rank == incident.Rank("warning"):
		return look{icon: "🟠", color: "#e37400"}, nil
	default:
		return look{icon: "🔴", color: "#d93025"}, nil
	}
}

// severityIcon returns an emoji that tells how bad something is.
func severityIcon(v any) (markup, error) {
	l, err := lookOf(v)
	return markup(l.icon), err
}

// statusColor returns a colour that does, for <font color="…">.
func statusColor(v any) (markup, error) {
	l, err := lookOf(v)
	return markup(l.color), err
}

// worstFirst returns the alerts in the order in which they are shown. Equal
// ones, such as those that one evaluation of a rule began, stand by the values
// of their labels, where people look for theirs: the order must not depend on how
// they arrived.
func worstFirst(alerts amtemplate.Alerts) amtemplate.Alerts {
	keys := make([]string, len(alerts))
	key := func(i int) string {
		if keys[i] == "" {
			keys[i] = strings.Join(alerts[i].Labels.Values(), "\x00")
		}
		return keys[i]
	}
	order := make([]int, len(alerts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		if d := incident.Worse(alerts[i], alerts[j]); d != 0 {
			return d
		}
		return cmp.Or(strings.Compare(key(i), key(j)), strings.Compare(alerts[i].Fingerprint, alerts[j].Fingerprint))
	})
	sorted := make(amtemplate.Alerts, len(alerts))
	for i, j := range order {
		sorted[i] = alerts[j]
	}
	return sorted
}
