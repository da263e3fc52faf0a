package receiver

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"alertchat/receiver/chat"
	"alertchat/receiver/chat/chattest"
	"alertchat/receiver/config"
)

// keyFile is the key file of a Chat app that is nowhere.
var keyFile = sync.OnceValue(func() string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	app := chattest.New(chattest.Options{}).AddApp("bot@example.iam.gserviceaccount.com", &key.PublicKey)
	return string(app.KeyFile(key, "https://oauth2.googleapis.com"))
})

func TestSpacesWithTheSameCredentialsShareTheirTokens(t *testing.T) {
	s := setup(t, `
defaults: {http_config: {proxy_url: 'http://proxy.example.org:3128'}}
spaces:
  - {name: a, app: {space: spaces/A, credentials_file: app.json}}
  - {name: b, app: {space: spaces/B, credentials_file: app.json}}
  - {name: c, app: {user: users/1, credentials_file: ./app.json}}
  - {name: other, app: {space: spaces/C, credentials_file: other.json}}
  - {name: straight, http_config: {}, app: {space: spaces/D, credentials_file: app.json}}
  - {name: default, app: {space: spaces/E}}
route: {space: a}`, "app.json", keyFile(), "other.json", keyFile())
	if n := len(s.accounts); n != 4 {
		t.Errorf("%d accounts for six spaces, want 4: app.json over the proxy and straight, other.json, and the default", n)
	}
	for name, place := range map[string]string{"a": "spaces/A", "c": "users/1", "default": "spaces/E"} {
		i, space, err := s.space(name)
		if err != nil || s.place(&s.config.Spaces[i]) != place || !space.Edits {
			t.Errorf("the space %s leads to %q and edits: %t, want %s and that it does", name, s.place(&s.config.Spaces[i]), space.Edits, place)
		}
	}
	if s.spaces["c"].Place != "" {
		t.Errorf("the place of a direct message is %q before it is found", s.spaces["c"].Place)
	}
}

func TestACredentialsFileIsPartOfTheConfig(t *testing.T) {
	s := setup(t, "spaces: [{name: ops, app: {space: spaces/A, credentials_file: app.json}}]", "app.json", keyFile())
	if err := os.WriteFile("app.json", []byte(strings.Replace(keyFile(), "bot@", "robot@", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if digestOf(s.config.Files()...) == s.files {
		t.Error("a credentials file that is replaced is not noticed")
	}
	if err := os.WriteFile("app.json", []byte(`{"type":"service_account","private_key":"secret-canary"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(LoadOptions{ConfigFile: "config.yml", Logger: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "spaces[0].app.credentials_file: app.json: the credentials file has no client_email") || strings.Contains(err.Error(), "canary") {
		t.Errorf("Load = %v, want what is wrong with the file, and nothing of it", err)
	}
}

func TestAnAppHasNoOtherCredentials(t *testing.T) {
	setup(t, "spaces: [{name: ops, webhook_url: 'WEBHOOK'}]", "app.json", keyFile())
	for _, web := range []string{"{basic_auth: {username: a, password: b}}", "{authorization: {credentials: a}}", "{bearer_token: a}"} {
		text := "spaces:\n  - name: ops\n    app: {space: spaces/A, credentials_file: app.json}\n    http_config: " + web + "\n"
		if err := os.WriteFile("config.yml", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(LoadOptions{ConfigFile: "config.yml", Logger: slog.New(slog.DiscardHandler)})
		known, ok := errors.AsType[*config.Error](err)
		if !ok || len(known.Faults) != 1 || known.Faults[0].Line != 4 || !strings.Contains(known.Faults[0].Message, "have no place beside app") {
			t.Errorf("with http_config: %s, Load = %v, want a fault in line 4", web, err)
		}
	}
}

func TestCheckWarnsOfAnAPIThatIsElsewhere(t *testing.T) {
	s := setup(t, `
spaces:
  - {name: a, app: {space: spaces/A, credentials_file: app.json, api_url: 'http://gateway.example.org'}}
  - {name: b, app: {space: spaces/A, credentials_file: app.json}, rate_limit: 0.5}
  - {name: c, app: {space: spaces/A, credentials_file: app.json}, rate_limit: 1, fallback_space: b}
route: {space: a, routes: [{space: b, continue: true}, {space: c, continue: true}]}`, "app.json", keyFile())
	var all []string
	for _, w := range s.Warnings() {
		all = append(all, w.String())
	}
	text := strings.Join(all, "\n")
	for _, want := range []string{
		"spaces[0].app.api_url: the URL is not https",
		"spaces[0].app.api_url: the URL is not one of https://chat.googleapis.com",
		"spaces[2].rate_limit: has no effect: spaces[1] leads to the same Google space",
		"spaces[2].fallback_space: b leads to the same Google space",
	} {
		if strings.Count(text, want) != 1 {
			t.Errorf("no warning %q, or more than one, in:\n%s", want, text)
		}
	}
	if strings.Contains(text, "spaces[1].app") {
		t.Errorf("Google's own API is warned of:\n%s", text)
	}
}

// What an app is sent differs from a webhook's in what Chat wants to know, and
// in what could not be edited.
func TestWhatAnAppIsSent(t *testing.T) {
	s := setup(t, "spaces: [{name: ops, app: {space: spaces/A, credentials_file: app.json}}]", "app.json", keyFile())
	d, err := s.Render("ops", []byte(twoAlerts), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	text, err := s.Text("ops", "*done*")
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range append(d.Bodies(), text.Bodies()...) {
		if !strings.Contains(string(body), `"markupSyntax":"MARKUP_SYNTAX_CHAT"`) || strings.Contains(string(body), "fallbackText") {
			t.Errorf("the body is %s, want its syntax and no fallbackText", body)
		}
		if v := chat.Check(body, chat.ByApp); len(v) > 0 {
			t.Errorf("Chat would not take or show it: %v", v)
		}
	}
}
