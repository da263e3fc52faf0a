package config_test

import (
	"net/url"
	"os"
	"strings"
	"testing"

	"alertchat/receiver/config"
)

// canary stands in every secret of these tests, and must show nowhere.
const canary = "canary-7f3a"

const goodURL = "https://chat.googleapis.com/v1/spaces/AAAA/messages?key=" + canary + "&token=" + canary

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
	c, err := config.Parse("config.yml", []byte(text), dir, config.Options{CheckURL: checkURL})
	if err != nil {
		t.Fatalf("Parse() fails:\n%s\n%s", err, text)
	}
	return c
}
