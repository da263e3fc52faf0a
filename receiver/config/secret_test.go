package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"alertchat/receiver/config"
)

// everySecret has the canary in every key that can hold a secret. The values are
// right, so that the config loads.
func everySecret(t *testing.T) *config.Config {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "ops.url"), goodURL)
	writeFile(t, filepath.Join(dir, "file"), canary)
	writeFile(t, filepath.Join(dir, "app.json"), goodKey)
	c := parse(t, `
defaults:
  http_config:
    basic_auth: {username: `+canary+`, password: `+canary+`}
spaces:
- {name: a, webhook_url: "`+goodURL+`"}
- {name: b, webhook_url_file: ops.url, http_config: {authorization: {credentials: `+canary+`}}}
- {name: c, webhook_url_file: ops.url, http_config: {bearer_token: `+canary+`}}
- {name: d, webhook_url_file: ops.url, http_config: {bearer_token_file: file}}
- name: e
  webhook_url_file: ops.url
  http_config:
    oauth2:
      client_id: `+canary+`
      client_secret: `+canary+`
      token_url: https://user:`+canary+`@auth.example.com/
      scopes: [`+canary+`]
      endpoint_params: {`+canary+`: `+canary+`}
      claims: {`+canary+`: [`+canary+`, {a: `+canary+`}]}
- name: f
  webhook_url_file: ops.url
  http_config:
    proxy_url: http://user:`+canary+`@proxy/
    proxy_connect_header: {X-A: [`+canary+`]}
    http_headers: {X-`+canary+`: {values: [`+canary+`], secrets: [`+canary+`]}}
- {name: g, app: {space: spaces/A, credentials_file: app.json}}
route: {space: a}
`, dir)
	if key, err := c.Spaces[6].App.Credentials(); err != nil || !strings.Contains(string(key), canary) {
		t.Fatalf("the canary never was in the credentials: %v", err)
	}
	return c
}

func TestNothingThatPrintsAConfigShowsASecret(t *testing.T) {
	c := everySecret(t)
	if c.Spaces[0].WebhookURL.Reveal() != goodURL || string(c.Spaces[0].HTTP.Reveal().BasicAuth.Password) != canary ||
		string(c.Spaces[4].HTTP.Reveal().OAuth2.ClientSecret) != canary {
		t.Fatal("the canary never was in the config")
	}
	// What stands in an unexported field is printed without its methods.
	wrapped := struct {
		config *config.Config
		space  config.Space
		secret config.Secret
		http   config.HTTPConfig
	}{c, c.Spaces[0], c.Spaces[0].WebhookURL, c.Spaces[4].HTTP}

	for name, value := range map[string]any{
		"config": c, "config value": *c, "space": c.Spaces[0], "settings": &c.Spaces[5].Settings,
		"secret": c.Spaces[0].WebhookURL, "pointer to secret": &c.Spaces[0].WebhookURL,
		"http": c.Spaces[4].HTTP, "pointer to http": &c.Spaces[4].HTTP, "unexported": wrapped, "pointer to unexported": &wrapped,
		"app": c.Spaces[6].App, "space of an app": c.Spaces[6],
		"map": map[string]config.Secret{"a": c.Spaces[0].WebhookURL}, "slice": []any{c.Spaces[0].HTTP},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			wantNoCanary(t, name+" with "+verb, fmt.Sprintf(verb, value))
		}
		asJSON, err := json.Marshal(value)
		wantNoCanary(t, name+" as JSON", string(asJSON)+fmt.Sprint(err))
		asYAML, err := yaml.Marshal(value)
		wantNoCanary(t, name+" as YAML", string(asYAML)+fmt.Sprint(err))
		var log bytes.Buffer
		for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
			slog.New(h).Info("config", "value", value)
		}
		wantNoCanary(t, name+" in a log", log.String())
	}
}

func wantNoCanary(t *testing.T, what, text string) {
	t.Helper()
	// %x and %X write it in hexadecimal.
	inHex := fmt.Sprintf("%x", canary)
	if strings.Contains(text, canary) || strings.Contains(strings.ToLower(text), inHex) {
		t.Errorf("%s shows a secret: %s", what, text)
	}
}

func TestSecretSaysThatItIsOne(t *testing.T) {
	s := config.NewSecret(canary)
	asJSON, err := s.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	asText, err := s.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string]string{
		"String": s.String(), "GoString": s.GoString(), "%#v": fmt.Sprintf("%#v", s), "%d": fmt.Sprintf("%d", s),
		"LogValue": s.LogValue().String(), "JSON": strings.Trim(string(asJSON), `"`), "text": string(asText),
		"YAML": strings.TrimSpace(string(asYAML)), "the zero secret": config.Secret{}.String(),
	} {
		if got != "<secret>" {
			t.Errorf("%s gives %q, want <secret>", what, got)
		}
	}
	if s.Reveal() != canary || (config.Secret{}).Reveal() != "" {
		t.Errorf("Reveal() gives %q and %q, want the values", s.Reveal(), config.Secret{}.Reveal())
	}
}

// Each key that can hold a secret gets values of every wrong shape.
func TestNoErrorShowsASecret(t *testing.T) {
	shapes := []string{
		"%s", "[%s]", "{%s: %s}", "!%s x", "!!int %s", "!!binary %s", "*%s", "&%s", "'%s", "\"%s", "%s: %s", "- %s", "@%s", "{{ %s }}", "|\n%s", "\n  - %s\n - %s", "\x00%s", "https://bad.example.com/%s", "\"%%zz%s\"", "%s: [", "<<: *%s", "? %s",
	}
	keys := []string{
		"webhook_url: ",
		"http_config: ",
	}
	for _, key := range []string{
		"bearer_token", "bearer_token_file", "proxy_url", "no_proxy", "follow_redirects", "enable_http2", "proxy_connect_header",
		"basic_auth: {password", "basic_auth: {username", "basic_auth: {password_file", "basic_auth: {password_ref",
		"authorization: {credentials", "authorization: {type", "authorization: {credentials_file",
		"oauth2: {client_secret", "oauth2: {token_url", "oauth2: {claims", "oauth2: {scopes", "oauth2: {endpoint_params",
		"oauth2: {client_certificate_key", "oauth2: {proxy_url", "oauth2: {tls_config",
		"tls_config: {key", "tls_config: {ca", "tls_config: {cert", "tls_config: {key_file", "tls_config: {min_version",
		"http_headers", "http_headers: {X-A: {secrets", "http_headers: {X-A: {values", "http_headers: {X-A: {files",
	} {
		keys = append(keys, "http_config: {"+key+": ")
	}
	dir := t.TempDir()
	for _, key := range keys {
		closing := strings.Repeat("}", strings.Count(key, "{"))
		for _, shape := range shapes {
			text := "spaces:\n- name: ops\n  " + key + strings.ReplaceAll(shape, "%s", canary) + closing + "\n"
			_, err := config.Parse("config.yml", []byte(text), dir, options)
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("the error of\n%s\nshows the secret:\n%s", text, err)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("spaces:\n- name: ops\n  webhook_url: x\n", "x")
	f.Add("defaults: &a {timeout: 1s}\nspaces: [{<<: *a, name: b}]\nroute: {space: b, routes: [{matchers: [a=b]}]}\n", "[")
	f.Add("templates: ['*']\nspaces:\n- {name: a, card: none}\n- {name: b, message: '{{ . }}'}\n", "{a: ")
	f.Add("a: [b: {c}]\n---\n", "'\n  name: x\n  text: '")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text, after string) {
		c, err := config.Parse("config.yml", []byte(text), dir, options)
		if c == nil && err == nil {
			t.Fatalf("Parse() = %v, %v, want one of them", c, err)
		}
		// A secret in its place, whatever follows it in its line.
		after, _, _ = strings.Cut(after, "\n")
		text = "spaces:\n- name: ops\n  webhook_url: " + canary + after + "\n  http_config: {basic_auth: {password: " + canary + after + "}}\n"
		c, err = config.Parse("config.yml", []byte(text), dir, options)
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Fatalf("the error shows the secret: %s", err)
		}
		if c != nil && strings.Contains(fmt.Sprintf("%+v %#v", c, c), canary) {
			t.Fatalf("the config shows the secret: %+v", c)
		}
	})
}
