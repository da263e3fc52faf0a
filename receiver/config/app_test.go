package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"alertchat/receiver/config"
)

func TestAnAppIsReadAndItsDefaultsFilledIn(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "keys", "chat-app.json")
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, file, goodKey)
	tests := []struct {
		name, app string
		want      config.App
	}{
		{"a space", "{space: spaces/AAAA_b-9}", config.App{Space: "spaces/AAAA_b-9", APIURL: "https://chat.googleapis.com"}},
		{"a user", "{user: users/123456789012345678901}", config.App{User: "users/123456789012345678901", APIURL: "https://chat.googleapis.com"}},
		{"a key", "{space: spaces/A, credentials_file: keys/chat-app.json}", config.App{
			Space: "spaces/A", CredentialsFile: file, APIURL: "https://chat.googleapis.com",
		}},
		{"a key by its whole path", "{space: spaces/A, credentials_file: " + file + "}", config.App{
			Space: "spaces/A", CredentialsFile: file, APIURL: "https://chat.googleapis.com",
		}},
		{"another address", "{space: spaces/A, api_url: 'http://127.0.0.1:9099'}", config.App{Space: "spaces/A", APIURL: "http://127.0.0.1:9099"}},
		{"slashes at the end", "{space: spaces/A, api_url: 'https://gateway.example.org/chat//'}", config.App{
			Space: "spaces/A", APIURL: "https://gateway.example.org/chat",
		}},
		{"an address of IPv6", "{space: spaces/A, api_url: 'http://[::1]:80/'}", config.App{Space: "spaces/A", APIURL: "http://[::1]:80"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := parse(t, "spaces: [{name: ops, app: "+tt.app+"}]\n", dir).Spaces[0]
			if diff := cmp.Diff(&tt.want, s.App); diff != "" {
				t.Errorf("app differs (-want +got):\n%s", diff)
			}
			if u, err := s.URL(); u != "" || err != nil {
				t.Errorf("URL() = %q, %v, want none", u, err)
			}
		})
	}
}

// TestAppsShareWhatAMergeKeyBrings: one key file is enough for many spaces, and
// none of them changes what another has.
func TestAppsShareWhatAMergeKeyBrings(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "chat-app.json"), goodKey)
	c := parse(t, `
spaces:
- name: a
  app: &app {space: spaces/A, credentials_file: chat-app.json, api_url: https://chat.example.org/}
- {name: b, app: {<<: *app, space: spaces/B}}
- {name: c, app: *app, timeout: 1s}
route: {space: a}
`, dir)
	for i, want := range []string{"spaces/A", "spaces/B", "spaces/A"} {
		app := c.Spaces[i].App
		if app.Space != want || app.CredentialsFile != filepath.Join(dir, "chat-app.json") || app.APIURL != "https://chat.example.org" {
			t.Errorf("the app of space %d is %+v, want one with %s", i, app, want)
		}
	}
	if c.Spaces[0].App == c.Spaces[2].App {
		t.Error("two spaces have the same App")
	}
}

// TestAnAppSpaceHasAllThatASpaceHas: names, routes, fallbacks and the rest know
// nothing of the destination.
func TestAnAppSpaceHasAllThatASpaceHas(t *testing.T) {
	c := parse(t, `
defaults: {fallback_space: person, thread: none}
spaces:
- {name: ops, app: {space: spaces/A}, max_parts: 7, http_config: {proxy_from_environment: true}}
- {name: person, app: {user: users/1}, updates: reply, send_resolved: false}
- {name: hook, webhook_url: u}
route: {space: ops, routes: [{matchers: [a=b], space: person}]}
`, t.TempDir())
	ops, person := c.Spaces[0], c.Spaces[1]
	if ops.FallbackSpace != "person" || ops.Thread != config.ThreadNone || ops.MaxParts != 7 || !ops.HTTP.Reveal().ProxyFromEnvironment {
		t.Errorf("space ops is %+v", ops)
	}
	if person.FallbackSpace != "" || person.Updates != config.Reply || person.SendResolved {
		t.Errorf("space person is %+v", person)
	}
	if c.Route.Routes[0].Space != "person" {
		t.Errorf("the route leads to %s, want person", c.Route.Routes[0].Space)
	}
}

func TestUpdatesDependOnTheDestination(t *testing.T) {
	tests := []struct {
		name           string
		defaults       string // a whole mapping
		webhook, app   string // more keys of each, in flow style
		forHook, forIt config.Updates
	}{
		{"nothing given", "{}", "", "", config.Reply, config.Edit},
		{"a key that is commented out", "\n  # updates: edit", "", "", config.Reply, config.Edit},
		{"reply in the defaults", "{updates: reply}", "", "", config.Reply, config.Reply},
		{"reply in the defaults but edit for the app", "{updates: reply}", "", ", updates: edit", config.Reply, config.Edit},
		{"edit in the defaults but reply for the webhook", "{updates: edit}", ", updates: reply", "", config.Reply, config.Edit},
		{"reply for the app", "{}", "", ", updates: reply", config.Reply, config.Reply},
		{"what either would have anyway", "{}", ", updates: reply", ", updates: edit", config.Reply, config.Edit},
		{"an app that is a person", "{}", "", ", app: {user: users/1}", config.Reply, config.Edit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			app := ", app: {space: spaces/A}"
			if strings.Contains(tt.app, "app:") {
				app = ""
			}
			c := parse(t, "defaults: "+tt.defaults+"\nspaces:\n- {name: hook, webhook_url: u"+tt.webhook+"}\n- {name: it"+app+tt.app+
				"}\nroute: {space: it}\n", t.TempDir())
			if got := c.Spaces[0].Updates; got != tt.forHook {
				t.Errorf("updates of the webhook are %q, want %q", got, tt.forHook)
			}
			if got := c.Spaces[1].Updates; got != tt.forIt {
				t.Errorf("updates of the app are %q, want %q", got, tt.forIt)
			}
		})
	}
}

// What is filled in stands nowhere in the file.
func TestUpdatesThatAreFilledInAreNotGiven(t *testing.T) {
	c := parse(t, "spaces: [{name: it, app: {space: spaces/A}}]\n", t.TempDir())
	if c.Given("spaces[0].updates") || c.Given("spaces[0].app.api_url") || len(c.Defaults()) > 0 {
		t.Errorf("updates given: %t, api_url given: %t, defaults given: %q", c.Given("spaces[0].updates"), c.Given("spaces[0].app.api_url"), c.Defaults())
	}
}

func TestCredentialsAreReadAnew(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "chat-app.json")
	writeFile(t, file, "\ufeff"+goodKey+"\r\n")
	app := parse(t, "spaces: [{name: ops, app: {space: spaces/A, credentials_file: chat-app.json}}]\n", dir).Spaces[0].App
	if got, err := app.Credentials(); err != nil || string(got) != strings.TrimSpace(goodKey) {
		t.Errorf("Credentials() = %q, %v, want the file's content", got, err)
	}
	writeFile(t, file, "{}")
	if got, err := app.Credentials(); string(got) != "{}" || err != nil {
		t.Errorf("Credentials() after a change = %q, %v", got, err)
	}
	writeFile(t, file, strings.Repeat("x", 64<<10))
	if got, err := app.Credentials(); len(got) != 64<<10 || err != nil {
		t.Errorf("Credentials() of 64 KiB has %d bytes, %v", len(got), err)
	}
	for what, tt := range map[string]struct{ content, want string }{
		"an empty file":  {"\n", file + " is empty; put the service account's key file there"},
		"one too large":  {canary + strings.Repeat("x", 64<<10), file + " is larger than 64 KiB"},
		"a missing file": {"", "open " + file + ": no such file or directory; put the service account's key file there, or mend its name"},
	} {
		if writeFile(t, file, tt.content); tt.content == "" {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := app.Credentials(); got != nil || err == nil || err.Error() != tt.want {
			t.Errorf("Credentials() of %s = %d bytes, %v; want %s", what, len(got), err, tt.want)
		}
	}
}

func TestWithoutAFileThereAreNoCredentials(t *testing.T) {
	app := parse(t, "spaces: [{name: ops, app: {space: spaces/A}}]\n", t.TempDir()).Spaces[0].App
	if got, err := app.Credentials(); got != nil || err != nil {
		t.Errorf("Credentials() = %q, %v, want neither", got, err)
	}
}

// checked returns the fault that comes of what a check of credentials says.
func checked(t *testing.T, content string, says error) string {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "app.json"), content)
	_, err := config.Parse("c.yml", []byte("spaces: [{name: ops, app: {space: spaces/A, credentials_file: app.json}}]\n"), dir, config.Options{
		CheckCredentials: func(got []byte) error {
			if want := strings.TrimSpace(content); string(got) != want {
				t.Errorf("CheckCredentials() gets %q, want %q", got, want)
			}
			return says
		},
	})
	if err == nil {
		return ""
	}
	fault, ok := strings.CutPrefix(err.Error(), "c.yml:1: spaces[0].app.credentials_file: app.json")
	if !ok {
		t.Fatalf("error is %q, want one of the credentials file", err)
	}
	return fault
}

func TestWhatIsWrongWithCredentialsIsTold(t *testing.T) {
	for _, says := range []string{
		"want the key file of a service account",
		"it is no JSON: unexpected end of JSON input",
		"type is authorized_user: a Chat app needs a service_account, or an external_account with a service_account_impersonation_url",
		"client_email is missing",
		"audience, subject_token_type or credential_source is missing or cannot be used",
		"private_key is no PKCS #8 key in PEM, and private_key_id is empty",
		"invalid character '}' looking for beginning of object key string",
	} {
		for _, content := range []string{
			goodKey, "{}", "{\n}\n", `{"type": "authorized_user", "client_email": "", "private_key_id": ""}`,
			`{"type": "external_account", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "credential_source": {}}`,
		} {
			if got := checked(t, content, errors.New(says)); got != ": "+says {
				t.Errorf("of %s the fault says %q, want %q", content, got, says)
			}
		}
	}
	if got := checked(t, goodKey, nil); got != "" {
		t.Errorf("the fault of good credentials is %q", got)
	}
}

// A check that breaks its promise shows nothing even so.
func TestNoFaultShowsWhatACredentialsFileHolds(t *testing.T) {
	const long = canary + "/" + canary
	tests := []struct{ name, content, says string }{
		{"all of it", goodKey, "cannot parse " + goodKey},
		{"all of it in quotes", goodKey, fmt.Sprintf("cannot parse %q", goodKey)},
		{"a line", goodKey, `at "private_key_id": "` + canary + `", there is something wrong`},
		{"the key as JSON reads it", goodKey, "no key: -----BEGIN PRIVATE KEY-----\n" + canary + canary + "\n-----END PRIVATE KEY-----\n"},
		{"a line of the key", goodKey, "no key: " + canary + canary},
		{"a part of a line of the key", goodKey, "no key: …" + (canary + canary)[3:18] + "…"},
		{"the address of the account", goodKey, "there is no alerts@" + canary + ".iam.gserviceaccount.com"},
		{"a value beside public words", goodKey, "the service_account with private_key_id has the private_key " + canary + canary},
		{"a password alone in the file", canary, "no JSON: " + canary},
		{"a short password alone in the file", "hunter2\n", "invalid word hunter2"},
		{"a password among empty lines", "\n\n" + canary + "\n\n", "no JSON: (" + canary + ")"},
		{"a value in a file of one line", badKey, "no JSON behind " + canary + canary},
		{"a path in a file of one line", `{"file":"` + long + `"}`, "open " + long + ": no such file or directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, want := checked(t, tt.content, errors.New(tt.says)), " is not a usable credentials file"; got != want {
				t.Errorf("the fault says %q, want %q", got, want)
			}
		})
	}
}

func FuzzCredentials(f *testing.F) {
	f.Add(goodKey, 130, 160, "no key: ", "")
	f.Add(canary, 0, 11, "", "\n")
	f.Add("a\n\x00\nb", 2, 3, "service_account", "service_account")
	f.Fuzz(func(t *testing.T, content string, from, to int, before, after string) {
		// Every public word has a _ in it.
		content = strings.ReplaceAll(strings.TrimFunc(content, func(r rune) bool { return r == '\ufeff' || unicode.IsSpace(r) }), "_", "-")
		if content == "" || len(content) > 64<<10 || from < 0 || to > len(content) || to-from < 50 {
			return
		}
		says := before + content[from:to] + after
		if got, want := checked(t, content, errors.New(says)), " is not a usable credentials file"; got != want {
			t.Errorf("of %q the fault says %q, want %q", content, got, want)
		}
	})
}
