package receiver_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"alertchat/receiver"
)

func TestAPostgresURLThatCannotBeEndsTheStart(t *testing.T) {
	folder := t.TempDir()
	config := filepath.Join(folder, "config.yml")
	text := "spaces: [{name: ops, webhook_url: 'https://chat.googleapis.com/v1/spaces/A/messages?key=k1234&token=t1234'}]"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	start := func(t *testing.T, file, want string) {
		t.Helper()
		app, err := receiver.New(receiver.Options{
			ConfigFile: config, PostgresURLFile: file, Logger: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
		})
		if err == nil {
			t.Errorf("New() = nil, want an error with %q", want)
			if err := app.Close(t.Context()); err != nil {
				t.Error(err)
			}
			return
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("New() = %v, want an error with %q that does not show the URL", err, want)
		}
	}
	for _, c := range []struct{ name, holds, want string }{
		{"nothing", "", "does not hold one such as postgres://"},
		{"only space", " \n", "does not hold one such as postgres://"},
		{"too much", "postgres://canary@127.0.0.1/" + strings.Repeat("x", 8<<10), "does not hold one such as postgres://"},
		{"no URL", "canary", "it must be one that psql takes"},
		{"a password with a special character", "postgres://user:can/ary@127.0.0.1:1/canary", "it must be one that psql takes"},
		{"the URL of another database", "mysql://user:canary@127.0.0.1/canary?tls=true", "it must be one that psql takes"},
		{"a certificate that is not there", "postgres://user:canary@127.0.0.1/x?sslmode=verify-full&sslrootcert=/canary.crt", "names a file that cannot be read"},
	} {
		t.Run("the file holds "+c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "postgres.url")
			if err := os.WriteFile(file, []byte(c.holds), 0o600); err != nil {
				t.Fatal(err)
			}
			start(t, file, c.want)
			start(t, file, file)
		})
	}
	t.Run("there is no file", func(t *testing.T) { start(t, filepath.Join(folder, "missing.url"), "no such file") })
	t.Run("the URL is given, not a file", func(t *testing.T) {
		start(t, "postgres://user:canary@127.0.0.1/x", "want the path of a file that holds it, not the URL")
		start(t, "host=127.0.0.1 password=canary", "want the path of a file that holds it, not the URL")
	})
}
