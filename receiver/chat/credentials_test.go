package chat_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"alertchat/receiver/chat"
	"alertchat/receiver/chat/chattest"
)

// keyFile returns a key file in which some members are others.
func keyFile(t testing.TB, change map[string]any) []byte {
	t.Helper()
	g := newGoogle(chattest.Options{})
	var file map[string]any
	if err := json.Unmarshal(g.bot.KeyFile(botKey(), "https://oauth2.googleapis.com"), &file); err != nil {
		t.Fatal(err)
	}
	maps.Copy(file, change)
	content, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func pemBlock(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func TestCheckCredentialsSaysWhatIsWrong(t *testing.T) {
	elliptical, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := x509.MarshalPKCS8PrivateKey(elliptical)
	if err != nil {
		t.Fatal(err)
	}
	federation := map[string]any{
		"type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
		"subject_token_type":                "urn:ietf:params:oauth:token-type:jwt",
		"token_url":                         "https://sts.googleapis.com/v1/token",
		"service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/b@example.iam.gserviceaccount.com:generateAccessToken",
		"credential_source":                 map[string]any{"file": "/var/run/secrets/token"},
	}
	with := func(name string, value any) map[string]any {
		out := maps.Clone(federation)
		out[name] = value
		return out
	}
	for _, c := range []struct {
		name   string
		change map[string]any
		want   string // of the error; empty where there is none
	}{
		{"a key file", nil, ""},
		{"one whose key is of the older form", map[string]any{"private_key": pemBlock("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(botKey()))}, ""},
		{"federation that acts as a service account", federation, ""},
		{"another address of the token endpoint", map[string]any{"token_uri": "http://127.0.0.1:8080/token"}, ""},
		{"no type", map[string]any{"type": ""}, "no type that a Chat app can use"},
		{"another type", map[string]any{"type": "gdch_service_account"}, "no type that a Chat app can use"},
		{"a login", map[string]any{"type": "authorized_user"}, "a person's login"},
		{"a number for the type", map[string]any{"type": 1}, "no JSON object"},
		{"no email", map[string]any{"client_email": ""}, "no client_email"},
		{"no token endpoint", map[string]any{"token_uri": ""}, "token_uri is no https URL"},
		{"a token endpoint that is none", map[string]any{"token_uri": "file:///etc/passwd"}, "token_uri is no https URL"},
		{"no key", map[string]any{"private_key": ""}, "private_key is no PEM block"},
		{"a key that was cut", map[string]any{"private_key": pemBlock("PRIVATE KEY", other[:40])}, "private_key is no RSA key"},
		{"a key of another kind", map[string]any{"private_key": pemBlock("PRIVATE KEY", other)}, "private_key is no RSA key"},
		{"federation that is nobody", with("service_account_impersonation_url", ""), "no service_account_impersonation_url"},
		{"federation without an audience", with("audience", ""), "audience, subject_token_type or credential_source is missing"},
		{"federation without a source", with("credential_source", map[string]any{}), "audience, subject_token_type or credential_source is missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			content := keyFile(t, c.change)
			err := chat.CheckCredentials(content)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("CheckCredentials = %v, want %q", err, c.want)
			}
			if _, made := chat.NewCredentials(chat.CredentialsOptions{JSON: content}); (made == nil) != (err == nil) {
				t.Errorf("NewCredentials = %v where CheckCredentials = %v", made, err)
			}
		})
	}
	for _, content := range []string{"", "[]", "null", `"x"`, "{", "-----BEGIN PRIVATE KEY-----", "\xff"} {
		if err := chat.CheckCredentials([]byte(content)); err == nil {
			t.Errorf("CheckCredentials(%q) = nil, want an error", content)
		}
	}
}

// FuzzCheckCredentials: no content makes it panic, and none is in its error.
func FuzzCheckCredentials(f *testing.F) {
	f.Add(keyFile(f, nil))
	f.Add([]byte(`{"type":"external_account","credential_source":{"executable":{}}}`))
	f.Add([]byte(`{"type":"service_account","client_email":"a","token_uri":"https://a","private_key":"-----BEGIN A-----\n-----END A-----"}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		err := chat.CheckCredentials(content)
		if err == nil || len(content) < 30 {
			return
		}
		if strings.Contains(err.Error(), string(content)) {
			t.Errorf("the error repeats the content: %v", err)
		}
	})
}

// Application Default Credentials are looked for whenever a token is needed, so
// that a file which comes later, or is replaced, is found.
func TestApplicationDefaultCredentialsAreFoundWhenTheyAreThere(t *testing.T) {
	g := newGoogle(chattest.Options{})
	g.bot.Join(onCall)
	file := filepath.Join(t.TempDir(), "key.json")
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
	client := &http.Client{Transport: g.Transport()}
	c, err := chat.NewCredentials(chat.CredentialsOptions{HTTP: client})
	if err != nil {
		t.Fatal(err)
	}
	a := chat.NewApp(chat.AppOptions{Space: onCall, Credentials: c, HTTP: client})
	create := chat.Create{Body: json.RawMessage(`{"text":"x"}`)}
	_, err = a.Create(t.Context(), create)
	if e := chat.AsError(err); e.Outcome != chat.Denied || e.Code != "token" || !strings.Contains(e.Reason, "GOOGLE_APPLICATION_CREDENTIALS") {
		t.Errorf("the error is %+v, want it to say what to set", e)
	}
	if err := os.WriteFile(file, g.bot.KeyFile(botKey(), chat.GoogleAPI), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Create(t.Context(), create); err != nil || len(g.Messages(onCall)) != 1 {
		t.Errorf("Create = %v, want a message with the credentials that are there now", err)
	}
}
