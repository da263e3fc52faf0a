package chat

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// redacted stands for a secret wherever one would be printed.
const redacted = "<secret>"

// Errors of [ParseWebhookURL]. They say nothing of the URL, which is a secret.
var (
	errURLEmpty     = errors.New("the webhook URL is empty")
	errURLQuoted    = errors.New("the webhook URL stands in quotes or brackets: leave them out")
	errURLEscaped   = errors.New("the webhook URL is HTML-escaped: write & instead of &amp; or &#38;")
	errURLBackslash = errors.New(`the webhook URL has backslashes, as a shell needs them: leave them out`)
	errURLSpace     = errors.New("the webhook URL has white space in it: it must be a single line")
	errURLMalformed = errors.New("the webhook URL is malformed")
	errURLRelative  = errors.New("the webhook URL must begin with https:// and a host")
	errURLFragment  = errors.New("the webhook URL has a # in it")
	errURLPath      = errors.New("the webhook URL's path must end in /spaces/SPACE/messages")
	errURLKey       = errors.New("the webhook URL has no key: it must end in ?key=…&token=…")
	errURLToken     = errors.New("the webhook URL has no token: it must end in ?key=…&token=…")
	errURLReserved  = errors.New("the webhook URL sets requestId, messageId, messageReplyOption or threadKey: " +
		"leave out what stands behind the token")
)

// WebhookURL is the URL of an incoming webhook. Who knows it can write to the
// space, so that it prints itself as "<secret>", whatever prints it. The query
// is opaque: it is only ever appended to. Only [ParseWebhookURL] makes one.
type WebhookURL struct {
	// parts is a function because fmt cannot look into one. It can call no
	// methods of what stands in an unexported field, and prints what it finds.
	parts func() *webhookParts
}

type webhookParts struct {
	url     string // without white space around it; ends in the query
	place   string
	https   bool
	google  bool
	secrets []string // whatever must not be seen, the longest first
}

// ParseWebhookURL reads the URL of an incoming webhook, as Google Chat shows it
// for copying. White space around it is left out. The host is free, so that a
// gateway or a stand-in can take Google's place.
//
// Its errors name the usual mistakes in copying and hold nothing of the URL.
func ParseWebhookURL(raw string) (*WebhookURL, error) {
	raw = strings.TrimSpace(raw)
	if err := copied(raw); err != nil {
		return nil, err
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errURLMalformed // err quotes the URL
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
		return nil, errURLRelative
	}
	path := strings.Split(u.EscapedPath(), "/")
	last := len(path) - 1
	if last < 3 || path[last] != "messages" || path[last-1] == "" || path[last-2] != "spaces" {
		return nil, errURLPath
	}
	query, err := url.ParseQuery(u.RawQuery)
	switch {
	case err != nil:
		return nil, errURLMalformed // err quotes the query
	case query.Get("key") == "":
		return nil, errURLKey
	case query.Get("token") == "":
		return nil, errURLToken
	case reserved(query):
		return nil, errURLReserved
	}
	parts := &webhookParts{
		url:     raw,
		place:   "spaces/" + path[last-1],
		https:   u.Scheme == "https",
		google:  u.Scheme == "https" && strings.EqualFold(u.Host, "chat.googleapis.com"),
		secrets: secrets(raw, u, query),
	}
	return &WebhookURL{func() *webhookParts { return parts }}, nil
}

// copied returns what went wrong in copying the URL, if that can be seen.
func copied(raw string) error {
	lower := strings.ToLower(raw)
	switch {
	case raw == "":
		return errURLEmpty
	case strings.ContainsAny(raw[:1]+raw[len(raw)-1:], "\"'`<>()[]"):
		return errURLQuoted
	case strings.Contains(lower, "&amp;") || strings.Contains(lower, "&#38;") || strings.Contains(lower, "&#x26;"):
		return errURLEscaped
	case strings.Contains(raw, `\`):
		return errURLBackslash
	case strings.ContainsFunc(raw, unicode.IsSpace):
		return errURLSpace
	case strings.Contains(raw, "#"):
		return errURLFragment
	}
	return nil
}

// reserved reports whether the query sets what alertchat sets for each message:
// with a request id of its own, Chat would take each message for the first one.
func reserved(query url.Values) bool {
	for name := range query {
		switch plainName(name) {
		case "requestid", "messageid", "messagereplyoption", "threadkey":
			return true
		}
	}
	return false
}

// secrets lists what must be seen nowhere, escaped and not, the longest first.
func secrets(raw string, u *url.URL, query url.Values) []string {
	const least = 4 // shorter ones are no secrets, and parts of many words
	list := []string{raw, u.RawQuery}
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		if _, value, ok := strings.Cut(pair, "="); ok {
			list = append(list, value)
		}
	}
	for _, values := range query {
		list = append(list, values...)
		for _, v := range values {
			list = append(list, url.QueryEscape(v), url.PathEscape(v))
		}
	}
	if password, ok := u.User.Password(); ok {
		list = append(list, password, u.User.String())
	}
	list = slices.DeleteFunc(list, func(s string) bool { return len(s) < least })
	slices.SortFunc(list, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(list)
}

// Place returns the Google space that the webhook belongs to, "spaces/AAAA".
func (u WebhookURL) Place() string { return u.parts().place }

// HTTPS reports whether nobody on the way can read the URL.
func (u WebhookURL) HTTPS() bool { return u.parts().https }

// Google reports whether the webhook is one of Google Chat itself.
func (u WebhookURL) Google() bool { return u.parts().google }

// with returns the URL with more in its query.
func (u WebhookURL) with(query url.Values) string {
	if len(query) == 0 {
		return u.parts().url
	}
	return u.parts().url + "&" + query.Encode()
}

// scrub replaces whatever of the URL must not be seen.
func (u WebhookURL) scrub(s string) string {
	for _, secret := range u.parts().secrets {
		s = strings.ReplaceAll(s, secret, redacted)
	}
	return s
}

// String returns "<secret>".
func (u WebhookURL) String() string { return redacted }

// GoString returns "<secret>".
func (u WebhookURL) GoString() string { return redacted }

// Format writes "<secret>" for each verb.
func (u WebhookURL) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// LogValue returns "<secret>".
func (u WebhookURL) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "<secret>".
func (u WebhookURL) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns "<secret>" as JSON, its brackets as they are.
func (u WebhookURL) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalYAML returns "<secret>".
func (u WebhookURL) MarshalYAML() (any, error) { return redacted, nil }
