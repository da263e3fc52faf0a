package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"alertchat/receiver/config"
)

// canary stands in every secret of these tests, and must show nowhere.
const canary = "canary-7f3a"

const goodURL = "https://chat.googleapis.com/v1/spaces/AAAA/messages?key=" + canary + "&token=" + canary

// A key file as Google makes one, but for what it holds, and one that was cut off.
const (
	goodKey = `{
  "type": "service_account",
  "private_key_id": "` + canary + `",
  "private_key": "-----BEGIN PRIVATE KEY-----\n` + canary + canary + `\n-----END PRIVATE KEY-----\n",
  "client_email": "alerts@` + canary + `.iam.gserviceaccount.com",
  "token_uri": "https://oauth2.googleapis.com/token"
}
`
	badKey = `{"type": "service_account", "private_key": "` + canary + canary + `"`
)

// options check URLs and credentials as other packages do.
var options = config.Options{CheckURL: checkURL, CheckCredentials: checkCredentials}

// checkCredentials breaks the promise not to repeat the content where it is no
// JSON.
func checkCredentials(content []byte) error {
	if !json.Valid(content) {
		return fmt.Errorf("cannot parse %q", content)
	}
	if !bytes.Contains(content, []byte(`"service_account"`)) {
		return errors.New("want the key file of a service account")
	}
	return nil
}

// checkURL breaks the promise not to repeat the URL, as net/url does.
func checkURL(raw string) error {
	if strings.HasPrefix(raw, "https://bad.example.com/") {
		return &url.Error{Op: "parse", URL: raw, Err: url.EscapeError(raw[1:])}
	}
	return nil
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// parse reads a config that must be right.
func parse(t *testing.T, text, dir string) *config.Config {
	t.Helper()
	c, err := config.Parse("config.yml", []byte(text), dir, options)
	if err != nil {
		t.Fatalf("Parse() fails:\n%s\n%s", err, text)
	}
	return c
}
