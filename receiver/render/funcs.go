package render

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	amtemplate "github.com/prometheus/alertmanager/template"
)

// functions returns Alertmanager's template functions and ours, bound to x.
//
// Those that take a string take the output of include too. None can fail
// because of the data's size, and none can panic: what is too long is cut off.
func (x *executor) functions() template.FuncMap {
	funcs := template.FuncMap{}
	maps.Copy(funcs, template.FuncMap(amtemplate.DefaultFuncs))
	maps.Copy(funcs, template.FuncMap{
		escapeCall: x.escape,

		// Alertmanager's own.
		"toUpper":          x.onText(strings.ToUpper),
		"toLower":          x.onText(strings.ToLower),
		"title":            x.onText(titleCase),
		"trimSpace":        x.trimSpace,
		"join":             x.join,
		"match":            x.match,
		"safeHtml":         x.raw,
		"safeUrl":          x.raw,
		"urlUnescape":      x.onTextErr(url.QueryUnescape),
		"reReplaceAll":     x.reReplaceAll,
		"stringSlice":      x.stringSlice,
		"routeLabels":      x.routeLabels,
		"date":             x.date,
		"tz":               x.tz,
		"now":              func() time.Time { return x.now },
		"since":            func(t time.Time) time.Duration { return x.now.Sub(t) },
		"humanizeDuration": humanizeDuration,
		"toDate":           func(layout, s any) time.Time { t, _ := toDate(layout, s); return t },
		"mustToDate":       toDate,
		"toJson":           x.toJSON,
		"base64encode":     x.onText(func(s string) string { return base64.URLEncoding.EncodeToString([]byte(s)) }),
		"base64decode":     x.onTextErr(decodeBase64),
		"list":             x.list,
		"append":           x.append,
		"dict":             x.dict,

		// The language's own, bounded.
		"print":    func(v ...any) (string, error) { return x.made(fmt.Sprint(v...)) },
		"println":  func(v ...any) (string, error) { return x.made(fmt.Sprintln(v...)) },
		"printf":   x.printf,
		"html":     x.html,
		"js":       func(v ...any) (string, error) { return x.made(template.JSEscapeString(x.all(v))) },
		"urlquery": func(v ...any) (string, error) { return x.made(template.URLQueryEscaper(x.all(v))) },

		// Ours.
		"include":      x.include,
		"quote":        x.quote,
		"raw":          x.raw,
		"truncate":     x.truncate,
		"mention":      x.mention,
		"link":         x.link,
		"alertsURL":    x.alertsURL,
		"silenceURL":   x.silenceURL,
		"severityIcon": severityIcon,
		"statusColor":  statusColor,
	})
	return funcs
}

// text takes a function's argument that is to be a string.
func (x *executor) text(v any) (string, error) {
	var s string
	switch v := v.(type) {
	case string:
		s = v
	case markup:
		s = string(v)
	case nil:
	default:
		r := reflect.ValueOf(v)
		if r.Kind() != reflect.String {
			return "", fmt.Errorf("a string is expected, not a %T", v)
		}
		s = r.String()
	}
	s = clip(s, maxValue)
	return s, x.charge(1 + len(s)/1024)
}

// made returns a string that a function made, cut off where it is too long.
func (x *executor) made(s string) (string, error) {
	return clip(s, maxValue), x.charge(1 + len(s)/1024)
}

// all returns the values as print does.
func (*executor) all(v []any) string {
	if len(v) == 1 {
		return clip(stringOf(v[0]), maxValue)
	}
	return clip(fmt.Sprint(v...), maxValue)
}

// onText makes a template function of one that changes a string.
func (x *executor) onText(f func(string) string) func(any) (string, error) {
	return x.onTextErr(func(s string) (string, error) { return f(s), nil })
}

// onTextErr is onText for functions that can fail.
func (x *executor) onTextErr(f func(string) (string, error)) func(any) (string, error) {
	return func(v any) (string, error) {
		s, err := x.text(v)
		if err != nil {
			return "", err
		}
		if s, err = f(s); err != nil {
			return "", err
		}
		return x.made(s)
	}
}

func titleCase(s string) string {
	title, ok := amtemplate.DefaultFuncs["title"].(func(string) string)
	if !ok {
		return s
	}
	return title(s)
}

func decodeBase64(s string) (string, error) {
	b, err := base64.URLEncoding.DecodeString(s)
	return string(b), err
}

// trimSpace leaves markup what it is.
func (x *executor) trimSpace(v any) (any, error) {
	if m, ok := v.(markup); ok {
		return markup(strings.TrimSpace(string(m))), nil
	}
	return x.onText(strings.TrimSpace)(v)
}

func (x *executor) join(sep any, list []string) (string, error) {
	s, err := x.text(sep)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for i, item := range list {
		if b.Len() > maxValue {
			break
		}
		if i > 0 {
			b.WriteString(s)
		}
		b.WriteString(clip(item, maxValue))
	}
	return x.made(b.String())
}

// pattern compiles a regular expression; they are RE2, linear in the text.
func (x *executor) pattern(pattern, text any) (*regexp.Regexp, string, error) {
	p, err := x.text(pattern)
	if err != nil {
		return nil, "", err
	}
	s, err := x.text(text)
	if err != nil {
		return nil, "", err
	}
	if err := x.charge(10 + len(p) + len(s)/8); err != nil {
		return nil, "", err
	}
	re, err := regexp.Compile(p)
	return re, s, err
}

func (x *executor) match(pattern, text any) (bool, error) {
	re, s, err := x.pattern(pattern, text)
	if err != nil {
		return false, err
	}
	return re.MatchString(s), nil
}

func (x *executor) reReplaceAll(pattern, replacement, text any) (string, error) {
	with, err := x.text(replacement)
	if err != nil {
		return "", err
	}
	re, s, err := x.pattern(pattern, text)
	if err != nil {
		return "", err
	}
	var b []byte
	end := 0
	for _, m := range re.FindAllStringSubmatchIndex(s, -1) {
		b = append(b, s[end:m[0]]...)
		b = re.ExpandString(b, with, s, m)
		end = m[1]
		if len(b) > maxValue {
			return x.made(string(b))
		}
	}
	return x.made(string(append(b, s[end:]...)))
}

func (x *executor) stringSlice(v ...any) ([]string, error) {
	list := make([]string, len(v))
	for i, item := range v {
		s, err := x.text(item)
		if err != nil {
			return nil, err
		}
		list[i] = s
	}
	return list, nil
}

// routeLabels returns a route label's value as it is: what Alertmanager would
// run as a template has been run there already, or was never meant to be.
func (x *executor) routeLabels(name any) (string, error) {
	s, err := x.text(name)
	if err != nil || x.data == nil {
		return "", err
	}
	return x.data.RouteLabels[s], nil
}

func (x *executor) date(layout any, t time.Time) (string, error) {
	s, err := x.text(layout)
	if err != nil {
		return "", err
	}
	return x.made(t.Format(s))
}

// tz reads the zone's file each time, which is dear.
func (x *executor) tz(name any, t time.Time) (time.Time, error) {
	s, err := x.text(name)
	if err != nil {
		return time.Time{}, err
	}
	if s == "UTC" {
		return t.UTC(), nil
	}
	if err := x.charge(100); err != nil {
		return time.Time{}, err
	}
	zone, err := time.LoadLocation(s)
	if err != nil {
		return time.Time{}, err
	}
	return t.In(zone), nil
}

func humanizeDuration(v any) (string, error) {
	humanize, ok := amtemplate.DefaultFuncs["humanizeDuration"].(func(any) (string, error))
	if !ok {
		return stringOf(v), nil
	}
	if m, ok := v.(markup); ok {
		v = string(m)
	}
	return humanize(v)
}

func toDate(layout, v any) (time.Time, error) {
	return time.ParseInLocation(stringOf(layout), stringOf(v), time.UTC)
}

func (x *executor) toJSON(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	if len(b) > maxOutput {
		return "", fmt.Errorf("as JSON it is longer than %d bytes", maxOutput)
	}
	return string(b), x.charge(1 + len(b)/1024)
}

// quote returns a JSON string, which is one in YAML too.
func (x *executor) quote(v any) (markup, error) {
	s := clip(stringOf(v), maxValue)
	b, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	return markup(escapeYAML(string(b))), x.charge(1 + len(s)/1024)
}

// escapeYAML escapes what may stand in a string of JSON, but not in one of YAML.
func escapeYAML(s string) string {
	forbidden := func(r rune) bool { return r >= 0x7f && r < 0xa0 || r == '\ufeff' || r == '\ufffe' || r == '\uffff' }
	if !strings.ContainsFunc(s, forbidden) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if forbidden(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func (x *executor) list(v ...any) ([]any, error) {
	if v == nil {
		v = []any{}
	}
	return v, x.weigh(v)
}

// append never writes into the memory of the list that it is given.
func (x *executor) append(list []any, v ...any) ([]any, error) {
	longer := append(slices.Clip(list), v...)
	return longer, x.weigh(longer)
}

func (x *executor) dict(v ...any) (map[string]any, error) {
	if len(v)%2 != 0 {
		return nil, errors.New("dict takes pairs of key and value")
	}
	m := make(map[string]any, len(v)/2)
	for i := 0; i < len(v); i += 2 {
		key, err := x.text(v[i])
		if err != nil {
			return nil, fmt.Errorf("key of dict: %w", err)
		}
		m[key] = v[i+1]
	}
	return m, x.weigh(m)
}

// weigh fails where a value holds too much: a list that holds itself twice, and
// that again, and again, would take for ever to print.
func (x *executor) weigh(v any) error {
	left := maxWeight
	if !weigh(v, &left) {
		return errWeight
	}
	return x.charge(1 + (maxWeight-left)/100)
}

func weigh(v any, left *int) bool {
	*left--
	switch v := v.(type) {
	case string:
		*left -= len(v)
	case markup:
		*left -= len(v)
	case []any:
		for _, item := range v {
			if *left < 0 || !weigh(item, left) {
				return false
			}
		}
	case map[string]any:
		for _, item := range v {
			if *left < 0 || !weigh(item, left) {
				return false
			}
		}
	}
	return *left >= 0
}

// printf refuses what would make more of a format than there is in it.
func (x *executor) printf(format any, v ...any) (string, error) {
	f, err := x.text(format)
	if err != nil {
		return "", err
	}
	total := 0
	for verbs := f; ; {
		_, after, ok := strings.Cut(verbs, "%")
		if !ok {
			break
		}
		verbs = strings.TrimLeft(after, "+-# 0123456789.[]*")
		flags := after[:len(after)-len(verbs)]
		verbs = strings.TrimPrefix(verbs, "%")
		if strings.Contains(flags, "*") {
			return "", errors.New("printf takes no * for a width")
		}
		for number := range strings.FieldsFuncSeq(flags, func(r rune) bool { return r < '0' || r > '9' }) {
			n, err := strconv.Atoi(number)
			if total += n; err != nil || n > maxValue || total > maxValue {
				return "", fmt.Errorf("printf makes no more than %d bytes", maxValue)
			}
		}
	}
	return x.made(fmt.Sprintf(f, v...))
}

// html escapes for a card's text; what comes out is not escaped again there.
func (x *executor) html(v ...any) (any, error) {
	if len(v) == 1 && x.context == contextHTML {
		if m, ok := v[0].(markup); ok {
			return m, nil
		}
	}
	s, err := x.made(escapeHTML(x.all(v)))
	if x.context == contextHTML {
		return markup(s), err
	}
	return s, err
}
