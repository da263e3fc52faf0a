package render

import (
	"fmt"
	"strconv"
	"strings"

	"alertchat/receiver/alert"
	"alertchat/receiver/incident"
)

// What the text beside a digest's card names.
const (
	namedGroups = 5
	nameRunes   = 60 // of one of them
)

// overview is what a digest says of all its groups, those that it has no room
// for among them.
type overview struct {
	firing, resolved int
	more             int      // groups that nobody has looked at
	icon             string   // of the worst
	severity         string   // of the worst that fires, where it is a plain word
	names            []string // of the first groups, each name once
	counts           map[string]int
}

// overview looks at all groups without rendering any.
func (s *rendering) overview() *overview {
	o := &overview{more: s.behind, counts: map[string]int{}}
	worst := &Data{Status: alert.Resolved}
	for i := range s.tellings {
		t := &s.tellings[i]
		d := &Data{Status: alert.Resolved}
		if t.Payload != nil {
			d.Severity = t.Severity()
		}
		if fires(t) {
			o.firing++
			d.Status = alert.Firing
			if worst.Status != alert.Firing || incident.Rank(d.Severity) < incident.Rank(worst.Severity) {
				worst = d
			}
		} else {
			o.resolved++
		}
		l, _ := lookOf(d)
		name := l.icon + " " + escapeText(cut(s.name(t), nameRunes, 3*nameRunes), false)
		if o.counts[name]++; o.counts[name] == 1 {
			o.names = append(o.names, name)
		}
	}
	l, _ := lookOf(worst)
	o.icon = l.icon
	if isPlainWord(worst.Severity) {
		o.severity = worst.Severity
	}
	return o
}

// fires reports whether a group fires, as far as it is known.
func fires(t *incident.Telling) bool { return t.Payload == nil || t.Payload.Status != alert.Resolved }

// name names a group like plainName, mostly without sorting its alerts.
func (s *rendering) name(t *incident.Telling) string {
	if t.Payload != nil {
		if name := plainLine(clip(t.Payload.CommonLabels["alertname"], titleBytes)); name != "" {
			return name
		}
	}
	return plainName(newData(s.r.space.Name, t))
}

// groups is how many there are in all.
func (o *overview) groups() int { return o.firing + o.resolved + o.more }

// standing says how many groups there are and, where all were looked at, how they
// stand.
func (o *overview) standing() string {
	text := fmt.Sprintf("%s %s groups of alerts", o.icon, thousands(o.groups()))
	switch {
	case o.more > 0:
		return text
	case o.resolved == 0:
		text += ", all firing"
	case o.firing == 0:
		return text + ", all resolved"
	default:
		text = fmt.Sprintf("%s: %s firing, %s resolved", text, thousands(o.firing), thousands(o.resolved))
	}
	if o.severity != "" {
		text += " · worst: " + o.severity
	}
	return text
}

// isPlainWord reports whether a label's value can stand anywhere as it is.
func isPlainWord(s string) bool {
	return len(s) <= 20 && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// share says how many of the groups a message tells of; nothing where that is
// all.
func (o *overview) share(told int) string {
	if told == o.groups() {
		return ""
	}
	return fmt.Sprintf("%s of them here, %s to follow", thousands(told), thousands(o.groups()-told))
}

// title is one line with both.
func (o *overview) title(told int) string {
	if share := o.share(told); share != "" {
		return o.standing() + " (" + share + ")"
	}
	return o.standing()
}

// text is what a phone shows in place of the card: the title, and what the worst
// groups are.
func (o *overview) text(told int) string { return o.title(told) + "\n" + o.worst() }

// outline is the same in one line for people, of no syntax.
func (o *overview) outline(told int) string {
	return cut(o.title(told)+": "+strings.ReplaceAll(o.worst(), zeroWidth, ""), outlineRunes, 3*outlineRunes)
}

// worst names the first groups.
func (o *overview) worst() string {
	names := make([]string, 0, namedGroups+1)
	for i, name := range o.names {
		if i == namedGroups {
			names = append(names, ellipsis)
			break
		}
		if n := o.counts[name]; n > 1 {
			name += " ×" + thousands(n)
		}
		names = append(names, name)
	}
	return strings.Join(names, " · ")
}

// thousands returns a number with a comma before each three digits.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
