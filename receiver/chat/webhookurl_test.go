package chat_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"alertchat/receiver/chat"
)

// What must be seen nowhere.
const (
	canaryKey   = "AIzaCANARYkey0123456789"
	canaryToken = "CANARYtoken-0123%3D"
	canaryURL   = "https://chat.googleapis.com/v1/spaces/AAAA/messages?key=" + canaryKey + "&token=" + canaryToken
)

func mustURL(t testing.TB, raw string) *chat.WebhookURL {
	t.Helper()
	u, err := chat.ParseWebhookURL(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// leaks reports whether a part of the canary URL stands in a text.
func leaks(s string) bool {
	return strings.Contains(s, "CANARY") || strings.Contains(s, "0123456789") || strings.Contains(s, "token-0123")
}

func TestParseWebhookURL(t *testing.T) {
	tests := []struct {
		name, raw, place string
		google           bool
	}{
		{"as Google shows it", canaryURL, "spaces/AAAA", true},
		{"with white space around it", "\n\t " + canaryURL + " \r\n", "spaces/AAAA", true},
		{"of a stand-in", "http://127.0.0.1:8080/v1/spaces/B-_9/messages?key=k&token=t", "spaces/B-_9", false},
		{"behind a gateway's path and name", "https://me:word@gateway/chat/v1/spaces/C/messages?token=t&key=k", "spaces/C", false},
		{"in plain text it is not Google's", strings.Replace(canaryURL, "https", "http", 1), "spaces/AAAA", false},
		{"another host that begins like Google's", strings.Replace(canaryURL, ".com", ".com.example.net", 1), "spaces/AAAA", false},
		{"with more in the query", canaryURL + "&alt=json", "spaces/AAAA", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u, err := chat.ParseWebhookURL(tt.raw)
			if err != nil {
				t.Fatalf("ParseWebhookURL(%q): %v", tt.raw, err)
			}
			if u.Place() != tt.place || u.Google() != tt.google {
				t.Errorf("ParseWebhookURL(%q) = %s, Google %t; want %s, Google %t", tt.raw, u.Place(), u.Google(), tt.place, tt.google)
			}
			if want := strings.Contains(tt.raw, "https://"); u.HTTPS() != want {
				t.Errorf("ParseWebhookURL(%q).HTTPS() = %t, want %t", tt.raw, u.HTTPS(), want)
			}
		})
	}
}

func TestParseWebhookURLNamesTheMistake(t *testing.T) {
	const path = "the webhook URL's path must end in /spaces/SPACE/messages"
	replace := func(old, replacement string) string { return strings.ReplaceAll(canaryURL, old, replacement) }
	tests := []struct{ name, raw, want string }{
		{"nothing", "", "the webhook URL is empty"},
		{"white space", " \n ", "the webhook URL is empty"},
		{"double quotes", `"` + canaryURL + `"`, "the webhook URL stands in quotes or brackets: leave them out"},
		{"a lost quote", canaryURL + `'`, "the webhook URL stands in quotes or brackets: leave them out"},
		{"angle brackets", "<" + canaryURL + ">", "the webhook URL stands in quotes or brackets: leave them out"},
		{"&amp;", replace("&", "&amp;"), "the webhook URL is HTML-escaped: write & instead of &amp; or &#38;"},
		{"&#38;", replace("&", "&#38;"), "the webhook URL is HTML-escaped: write & instead of &amp; or &#38;"},
		{"backslashes", replace("&", `\&`), "the webhook URL has backslashes, as a shell needs them: leave them out"},
		{"two lines", canaryURL + "\n" + canaryURL, "the webhook URL has white space in it: it must be a single line"},
		{"a fragment", canaryURL + "#" + canaryKey, "the webhook URL has a # in it"},
		{"control characters", canaryURL + "\x01x", "the webhook URL is malformed"},
		{"a bad port", replace(".com", ".com:CANARY"), "the webhook URL is malformed"},
		{"a bad escape in the query", canaryURL + "%zz", "the webhook URL is malformed"},
		{"the token alone", canaryToken, "the webhook URL must begin with https:// and a host"},
		{"another scheme", replace("https", "ftp"), "the webhook URL must begin with https:// and a host"},
		{"no host", replace("chat.googleapis.com", ""), "the webhook URL must begin with https:// and a host"},
		{"another path", replace("/messages", ""), path},
		{"no space", replace("/AAAA", ""), path},
		{"an empty space", replace("AAAA", ""), path},
		{"no query", "https://chat.googleapis.com/v1/spaces/AAAA/messages", "the webhook URL has no key: it must end in ?key=…&token=…"},
		{"no key", replace("key="+canaryKey+"&", ""), "the webhook URL has no key: it must end in ?key=…&token=…"},
		{"an empty token", replace(canaryToken, ""), "the webhook URL has no token: it must end in ?key=…&token=…"},
		{"a request id of its own", canaryURL + "&requestId=CANARY", "the webhook URL sets requestId, messageId, messageReplyOption or threadKey: leave out what stands behind the token"},
		{"a thread key in snake case", canaryURL + "&thread_key=CANARY", "the webhook URL sets requestId, messageId, messageReplyOption or threadKey: leave out what stands behind the token"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u, err := chat.ParseWebhookURL(tt.raw)
			if err == nil || err.Error() != tt.want || u != nil {
				t.Fatalf("ParseWebhookURL(%q) = %v, %v; want the error %q", tt.raw, u, err, tt.want)
			}
		})
	}
}

func TestWebhookURLPrintsAsASecret(t *testing.T) {
	u := mustURL(t, canaryURL)
	type exported struct{ URL *chat.WebhookURL }
	type unexported struct {
		pointer *chat.WebhookURL
		value   chat.WebhookURL
	}
	var logs bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&logs, nil), slog.NewJSONHandler(&logs, nil)} {
		slog.New(h).Info("x", "pointer", u, "value", *u, "in", exported{u}, "hidden", unexported{u, *u})
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
		for _, v := range []any{u, *u, exported{u}, unexported{u, *u}, []any{u}, map[string]any{"a": *u}} {
			if s := fmt.Sprintf(verb, v); leaks(s) {
				t.Errorf("fmt.Sprintf(%q, %T) = %s", verb, v, s)
			}
		}
	}
	asJSON, err := json.Marshal(map[string]any{"pointer": u, "value": *u, "in": exported{u}})
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := u.MarshalYAML()
	if err != nil {
		t.Fatal(err)
	}
	asText, err := u.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{logs.String(), string(asJSON), fmt.Sprint(asYAML), string(asText), u.String(), u.GoString(), fmt.Sprint(u.LogValue())} {
		if leaks(s) {
			t.Errorf("the URL is seen in %s", s)
		}
		if !strings.Contains(s, "<secret>") && !strings.Contains(s, `\u003csecret\u003e`) {
			t.Errorf("no <secret> in %s", s)
		}
	}
}

func FuzzParseWebhookURL(f *testing.F) {
	f.Add(canaryURL)
	f.Add(" https://u:p@h/v1/spaces/A/messages?key=k&token=t ")
	f.Add("http://h/spaces/%2e%2e/messages?key=%00&token=%zz")
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := chat.ParseWebhookURL(raw)
		if err != nil {
			if query := strings.SplitN(raw, "?", 2); len(query) == 2 && len(query[1]) > 20 && strings.Contains(err.Error(), query[1]) {
				t.Errorf("ParseWebhookURL(%q): %v", raw, err)
			}
			return
		}
		parsed, err := url.Parse(strings.TrimSpace(raw))
		if err != nil || !strings.HasSuffix(parsed.EscapedPath(), "/"+u.Place()+"/messages") {
			t.Errorf("ParseWebhookURL(%q): its place is %q", raw, u.Place())
		}
		if s := fmt.Sprintf("%v %+v %#v", u, u, *u); s != "<secret> <secret> <secret>" {
			t.Errorf("it prints as %s", s)
		}
	})
}
