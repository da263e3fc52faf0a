package e2e

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// faultyConfigFile is a config file with a fault in or beside a secret.
type faultyConfigFile struct {
	name string
	text string // with SECRET for the markers
	file string // what secret.url holds
	want string // of the message
}

// write writes config.yml and secret.url.
func (f faultyConfigFile) write(t *testing.T, folder string) {
	t.Helper()
	secret := canaryToken[6:] // of letters and digits in the main, as most are
	writeFile(t, filepath.Join(folder, "config.yml"), strings.ReplaceAll(f.text, "SECRET", secret))
	writeFile(t, filepath.Join(folder, "secret.url"), strings.ReplaceAll(f.file, "SECRET", secret))
}

func faultyConfigs() []faultyConfigFile {
	const good = "https://chat.googleapis.com/v1/spaces/A/messages?key=SECRET&token=SECRET"
	space := func(rest string) string { return "spaces:\n  - name: a\n    " + rest + "\n" }
	http := func(rest string) string { return space("webhook_url: '" + good + "'\n    http_config: " + rest) }
	return []faultyConfigFile{
		{"a URL is a list", space("webhook_url: [SECRET]"), "", "webhook_url"},
		{"a URL is a mapping", space("webhook_url: {SECRET: SECRET}"), "", "webhook_url"},
		{"a URL is an unknown anchor", space("webhook_url: *SECRET"), "", "anchor"},
		{"a URL has a tag", space("webhook_url: !SECRET SECRET"), "", "webhook_url"},
		{"a URL is no URL", space("webhook_url: '://SECRET'"), "", "webhook_url"},
		{"a URL has a wrong escape", space("webhook_url: '" + good + "%zz'"), "", "webhook_url"},
		{"a URL has a wrong port", space("webhook_url: 'https://SECRET:SECRET/v1/spaces/A/messages?key=SECRET&token=SECRET'"), "", "webhook_url"},
		{"a URL has a wrong path", space("webhook_url: 'https://chat.googleapis.com/SECRET?key=SECRET&token=SECRET'"), "", "webhook_url"},
		{"a URL has no quote at its end", space("webhook_url: '" + good), "", "config.yml"},
		{"a URL has a wrong escape of YAML", space(`webhook_url: "` + good + `\q"`), "", "escape"},
		{"a URL follows its key without a space", space("webhook_url:" + good), "", "config.yml"},
		{"a URL is a key", "spaces:\n  - {name: a, webhook_url:" + good + "}\n", "", "unknown"},
		{"a URL is given twice", space("webhook_url: " + good + "\n    webhook_url: " + good), "", "webhook_url"},
		{"a URL stands under an unknown key", space("webhook: " + good), "", "webhook"},
		{"a URL is the name of a file", space("webhook_url_file: " + good), "", "webhook_url_file"},
		{"a URL is the name of a space", space("name: " + good), "", "name"},
		{"a URL is a template's file", "templates: ['" + good + "']\n" + space("webhook_url: "+good), "", "templates"},
		{"a URL is a space", "spaces:\n  - " + good + "\n", "", "spaces[0]"},
		{"a URL is the space of a route", space("webhook_url: "+good) + "route: {space: '" + good + "'}\n", "", "route.space"},
		{"a URL is the whole config", good + "\n", "", "config.yml"},
		{"a URL file is no URL", space("webhook_url_file: secret.url"), "SECRET\n", "secret.url"},
		{"a URL file has two lines", space("webhook_url_file: secret.url"), good + "\n" + good, "secret.url"},
		{"a URL file has a wrong escape", space("webhook_url_file: secret.url"), good + "%zz", "secret.url"},
		{"a URL file has control characters", space("webhook_url_file: secret.url"), good + "\x00\x1b[2J", "secret.url"},
		{"a proxy's URL has a wrong port", http("{proxy_url: 'http://someone:SECRET@proxy:port'}"), "", "proxy_url"},
		{"a proxy's URL has no host", http("{proxy_url: 'SECRET'}"), "", "proxy_url"},
		{"a proxy's URL is a list", http("{proxy_url: ['http://someone:SECRET@proxy']}"), "", "proxy_url"},
		{"a proxy's header is a string", http("{proxy_url: 'http://proxy', proxy_connect_header: SECRET}"), "", "proxy_connect_header"},
		{"a proxy is given twice over", http("{proxy_url: 'http://someone:SECRET@proxy', proxy_from_environment: true}"), "", "http_config"},
		{"credentials are a list", http("{authorization: {credentials: [SECRET]}}"), "", "credentials"},
		{"credentials have an unknown key", http("{authorization: {credential: SECRET}}"), "", "authorization"},
		{"credentials are an unknown key", http("{authorization: {SECRET: SECRET}}"), "", "authorization"},
		{"credentials come with a password", http("{authorization: {credentials: SECRET}, basic_auth: {username: a, password: SECRET}}"), "", "http_config"},
		{"a password is a mapping", http("{basic_auth: {username: a, password: {SECRET: SECRET}}}"), "", "password"},
		{"a password's file is the password", http("{basic_auth: {username: a, password_file: SECRET}}"), "", "password_file"},
		{"a header that is reserved has a secret", http("{http_headers: {Authorization: {secrets: [SECRET]}}}"), "", "http_config"},
		{"a client's secret has a wrong address", http("{oauth2: {client_id: a, client_secret: SECRET, token_url: 'http://SECRET:SECRET'}}"), "", "oauth2"},
		{"a key of TLS is no PEM", http("{tls_config: {cert: SECRET, key: SECRET}}"), "", "tls_config"},
		{"a template fails beside a secret", space("webhook_url: '" + good + "'\n    text: '{{ .Nothing | nothing }}'"), "", "nothing"},
	}
}

// TestFaultyConfigsShowNoSecret starts the program with every faulty config.
func TestFaultyConfigsShowNoSecret(t *testing.T) {
	path := buildAlertchat(t)
	secrets := markers{"secret of the config": canaryToken[6:]}
	for _, f := range faultyConfigs() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			f.write(t, folder)
			p := startProcess(t, path, "--log.level=debug", "--config.file="+filepath.Join(folder, "config.yml"),
				"--storage.path="+filepath.Join(folder, "data"), "--web.listen-address=127.0.0.1:0")
			p.waitEnd(t)
			if code := p.cmd.ProcessState.ExitCode(); code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			if !strings.Contains(p.output(), f.want) {
				t.Errorf("the output does not say %q:\n%s", f.want, p.output())
			}
			secrets.wantAbsent(t, "the output", p.output())
			if _, err := os.Stat(filepath.Join(folder, "data")); err == nil {
				secrets.wantAbsentFromFiles(t, filepath.Join(folder, "data"))
			}
		})
	}
}

// TestFaultyFlagsShowNoSecret starts the program with what it cannot listen
// with, or without any work.
func TestFaultyFlagsShowNoSecret(t *testing.T) {
	path := buildAlertchat(t)
	folder := t.TempDir()
	web := filepath.Join(folder, "web.yml")
	config := filepath.Join(folder, "config.yml")
	writeFile(t, config, "spaces: [{name: a, webhook_url: 'https://chat.googleapis.com/v1/spaces/A/messages?key="+
		canaryKey+"&token="+url.QueryEscape(canaryToken)+"'}]\n")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	secrets := markers{"key": canaryKey, "token": canaryToken, "listener's password": canaryListen, "listener's hash": listenHash[7:]}
	tests := []struct {
		name  string
		web   string
		flags []string
		code  int
	}{
		{"a password that is no hash", "basic_auth_users: {someone: '" + canaryListen + "'}\n", nil, 1},
		{"a password that is a key", "basic_auth_users: {'" + canaryListen + "': ['" + listenHash + "']}\n", nil, 1},
		{"an unknown key beside a hash", "basic_auth_users: {someone: '" + listenHash + "'}\nsurprise: '" + canaryListen + "'\n", nil, 1},
		{"an address that is taken", "basic_auth_users: {someone: '" + listenHash + "'}\n", []string{"--web.listen-address=" + taken.Addr().String()}, 1},
		{"an unknown flag", "", []string{"--surprise"}, 2},
		{"a question for help", "", []string{"--help"}, 0},
		{"a question for the version", "", []string{"--version"}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			writeFile(t, web, test.web)
			flags := append([]string{
				"--config.file=" + config, "--web.config.file=" + web, "--storage.path=" + filepath.Join(folder, "data"),
				"--log.level=debug",
			}, test.flags...)
			p := startProcess(t, path, flags...)
			p.waitEnd(t)
			if code := p.cmd.ProcessState.ExitCode(); code != test.code {
				t.Errorf("exit code %d, want %d:\n%s", code, test.code, p.output())
			}
			if p.output() == "" {
				t.Error("there is no output")
			}
			secrets.wantAbsent(t, "the output", p.output())
		})
	}
}
