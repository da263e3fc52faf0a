package chattest_test

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"
	googleoauth "golang.org/x/oauth2/google"

	"alertchat/receiver/chat/chattest"
)

const jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// tokenAnswer is what the token endpoint answers.
type tokenAnswer struct {
	code        int
	header      http.Header
	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in"`
	TokenType   string `json:"token_type"`
	Error       string
	Description string `json:"error_description"`
}

// ask sends a form to the token endpoint.
func ask(t testing.TB, s *chattest.Server, form url.Values) tokenAnswer {
	t.Helper()
	return askAs(t, s, "application/x-www-form-urlencoded", form.Encode())
}

func askAs(t testing.TB, s *chattest.Server, kind, body string) tokenAnswer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, google+"/token", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	response, err := s.Transport().RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := tokenAnswer{code: response.StatusCode, header: response.Header}
	if err := json.Unmarshal(raw, &a); err != nil {
		t.Fatalf("the answer %d %s is no JSON: %v", a.code, raw, err)
	}
	return a
}

// signer makes the signature of an assertion.
type signer func(signed string) []byte

func rs256(key *rsa.PrivateKey) signer {
	return func(signed string) []byte {
		sum := sha256.Sum256([]byte(signed))
		signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
		if err != nil {
			panic(err)
		}
		return signature
	}
}

// hs256 signs with the public key as a shared secret, as a well-known attack
// does.
func hs256(key *rsa.PublicKey) signer {
	return func(signed string) []byte {
		mac := hmac.New(sha256.New, x509.MarshalPKCS1PublicKey(key))
		mac.Write([]byte(signed))
		return mac.Sum(nil)
	}
}

func unsigned(string) []byte { return nil }

type object map[string]any

// with returns the object with one member more, or another.
func (o object) with(name string, value any) object {
	changed := maps.Clone(o)
	changed[name] = value
	return changed
}

// assert returns a form with an assertion.
func assert(header, claims object, sign signer) url.Values {
	var parts []string
	for _, part := range []object{header, claims} {
		raw, err := json.Marshal(part)
		if err != nil {
			panic(err)
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(raw))
	}
	signed := strings.Join(parts, ".")
	return url.Values{"grant_type": {jwtBearer}, "assertion": {signed + "." + base64.RawURLEncoding.EncodeToString(sign(signed))}}
}

// good returns the header and the claims of an assertion that is taken.
func good(now time.Time) (header, claims object) {
	return object{"alg": "RS256", "typ": "JWT"},
		object{"iss": email, "scope": botOnly, "aud": google + "/token", "iat": now.Unix(), "exp": now.Unix() + 3600}
}

func TestAssertions(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	header, claims := good(now)
	ours := rs256(ourKey())
	const timely = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim."
	const grant, scope = "invalid_grant", "invalid_scope"
	tests := []struct {
		name                 string
		header, claims       object
		sign                 signer
		failure, description string // empty where the assertion is taken
	}{
		{"as it should be", header, claims, ours, "", ""},
		{"the id of a key", header.with("kid", "k"), claims, ours, "", ""},
		{"the address without TLS", header, claims.with("aud", "http://chat.googleapis.com/token"), ours, "", ""},
		{"another scope beside it", header, claims.with("scope", "https://www.googleapis.com/auth/cloud-platform "+botOnly), ours, "", ""},
		{"the app itself as the subject", header, claims.with("sub", email), ours, "", ""},
		{"a clock that is behind", header, claims.with("iat", at(-time.Hour+time.Second)).with("exp", at(time.Second)), ours, "", ""},
		{"a clock that is a little ahead", header, claims.with("iat", at(5*time.Minute)).with("exp", at(time.Hour)), ours, "", ""},

		{"the key of somebody else", header, claims, rs256(theirKey()), grant, "Invalid JWT Signature."},
		{"no signature", header, claims, unsigned, grant, "Invalid JWT Signature."},
		{"no algorithm", header.with("alg", "none"), claims, unsigned, grant, "Invalid JWT Signature."},
		{"a good signature said to be none", header.with("alg", "none"), claims, ours, grant, "Invalid JWT Signature."},
		{"the public key as a secret", header.with("alg", "HS256"), claims, hs256(&ourKey().PublicKey), grant, "Invalid JWT Signature."},
		{"that, said to be an RSA signature", header, claims, hs256(&ourKey().PublicKey), grant, "Invalid JWT Signature."},
		{"another type", header.with("typ", "JWE"), claims, ours, grant, "Invalid JWT Signature."},
		{"no type", object{"alg": "RS256"}, claims, ours, grant, "Invalid JWT Signature."},
		{"an unknown account", header, claims.with("iss", "x@example.com"), ours, grant, "Invalid grant: account not found"},
		{"no account", header, claims.with("iss", ""), ours, grant, "Invalid grant: account not found"},
		{"an address elsewhere", header, claims.with("aud", "https://oauth2.googleapis.com/token"), ours, grant, "Invalid JWT: Failed audience check. The right audience is https://chat.googleapis.com/token"},
		{"the address without a scheme", header, claims.with("aud", "chat.googleapis.com/token"), ours, grant, "Invalid JWT: Failed audience check. The right audience is https://chat.googleapis.com/token"},
		{"over", header, claims.with("iat", at(-time.Hour)).with("exp", at(0)), ours, grant, timely},
		{"from the future", header, claims.with("iat", at(5*time.Minute+time.Second)), ours, grant, timely},
		{"valid for too long", header, claims.with("exp", at(time.Hour+time.Second)), ours, grant, timely},
		{"valid for ever", header, claims.with("exp", int64(1<<63-1)), ours, grant, timely},
		{"valid for ever, from the beginning", header, claims.with("iat", int64(-1<<63)).with("exp", int64(1<<63-1)), ours, grant, timely},
		{"without a beginning", header, claims.with("iat", 0), ours, grant, timely},
		{"without an end", header, claims.with("exp", 0), ours, grant, timely},
		{"a time in words", header, claims.with("iat", "now"), ours, grant, "Invalid JWT: it must be three parts in base64url, of which two are JSON."},
		{"another scope", header, claims.with("scope", "https://www.googleapis.com/auth/chat.messages"), ours, scope, "Invalid OAuth scope or ID token audience provided."},
		{"a longer scope", header, claims.with("scope", botOnly+".more"), ours, scope, "Invalid OAuth scope or ID token audience provided."},
		{"no scope", header, claims.with("scope", " "), ours, scope, "Empty or missing scope not allowed."},
		{"in the name of a user", header, claims.with("sub", "a@example.com"), ours, "unauthorized_client", "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes requested."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := chattest.New(chattest.Options{Now: func() time.Time { return now }})
			app := s.AddApp(email, &ourKey().PublicKey)
			a := ask(t, s, assert(tt.header, tt.claims, tt.sign))
			code := map[string]int{"": 200, "unauthorized_client": 401, grant: 400, scope: 400}[tt.failure]
			if a.code != code || a.Error != tt.failure || a.Description != tt.description || (a.AccessToken == "") != (tt.failure != "") {
				t.Errorf("the answer is %+v, want %d %s: %s", a, code, tt.failure, tt.description)
			}
			if !strings.Contains(a.header.Get("Cache-Control"), "no-store") || a.header.Get("Content-Type") != typeJSON {
				t.Errorf("the header is %v, want JSON that nobody stores", a.header)
			}
			if tt.failure == "" && (!slices.Equal(app.Tokens(), []string{a.AccessToken}) || !strings.HasPrefix(a.AccessToken, "ya29.") || a.ExpiresIn != 3599 || a.TokenType != "Bearer") {
				t.Errorf("the answer is %+v with the tokens %q, want the one of them, for 3599 seconds", a, app.Tokens())
			}
		})
	}
}

func TestRequestsForATokenThatAreRefused(t *testing.T) {
	header, claims := good(time.Now())
	form := assert(header, claims, rs256(ourKey()))
	padded := url.Values{"grant_type": {jwtBearer}, "assertion": {form.Get("assertion") + "=="}}
	const form3 = "Invalid JWT: it must be three parts in base64url, of which two are JSON."
	const typeForm = "application/x-www-form-urlencoded"
	tests := []struct{ name, kind, body, failure, description string }{
		{"nothing", typeForm, "", "invalid_request", "Missing required parameter: grant_type"},
		{"another grant", typeForm, "grant_type=password", "unsupported_grant_type", "Invalid grant_type: password"},
		{"no assertion", typeForm, "grant_type=" + jwtBearer, "invalid_grant", form3},
		{"two parts", typeForm, "assertion=e30.e30&grant_type=" + jwtBearer, "invalid_grant", form3},
		{"no base64", typeForm, "assertion=*.*.*&grant_type=" + jwtBearer, "invalid_grant", form3},
		{"no JSON", typeForm, "assertion=AAAA.AAAA.AAAA&grant_type=" + jwtBearer, "invalid_grant", form3},
		{"base64 with padding", typeForm, padded.Encode(), "invalid_grant", form3},
		{"not a form", "application/json", form.Encode(), "invalid_request", "Missing required parameter: grant_type"},
		{"a form that is none", typeForm, "grant_type=%zz", "invalid_request", "The request body cannot be read."},
		{"what nobody reads to its end", typeForm, "x=" + strings.Repeat("x", 2<<20), "invalid_request", "The request body cannot be read."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := chattest.New(chattest.Options{})
			s.AddApp(email, &ourKey().PublicKey)
			if a := askAs(t, s, tt.kind, tt.body); a.code != 400 || a.Error != tt.failure || a.Description != tt.description {
				t.Errorf("the answer is %+v, want 400 %s: %s", a, tt.failure, tt.description)
			}
			if s.TokenRequests() != 1 || len(s.Requests()) != 0 {
				t.Errorf("there were %d requests for a token and %d others, want 1 and none", s.TokenRequests(), len(s.Requests()))
			}
		})
	}
	s := chattest.New(chattest.Options{})
	if a := send(t, s, http.MethodGet, "/token", ""); a.code != 404 || s.TokenRequests() != 0 {
		t.Errorf("a GET is answered with %d and counts as %d requests, want 404 and none", a.code, s.TokenRequests())
	}
}

// description returns what the token endpoint said of a failure.
func description(t *testing.T, err error) string {
	t.Helper()
	e, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok {
		t.Fatalf("the error is %v, want one of the token endpoint", err)
	}
	return string(e.Body)
}

func TestTokensOfTheLibrary(t *testing.T) {
	s := chattest.New(chattest.Options{})
	app := s.AddApp(email, &ourKey().PublicKey)
	token, err := source(t, s, app.KeyFile(ourKey(), google), botOnly).Token()
	if err != nil || token.TokenType != "Bearer" || time.Until(token.Expiry) > time.Hour || time.Until(token.Expiry) < 50*time.Minute {
		t.Errorf("the token expires at %v, %v; want it in an hour", token, err)
	}
	if _, err := source(t, s, app.KeyFile(theirKey(), google), botOnly).Token(); !strings.Contains(description(t, err), "Invalid JWT Signature.") {
		t.Errorf("with another key: %v", err)
	}
	if _, err := source(t, s, app.KeyFile(ourKey(), google), "https://www.googleapis.com/auth/chat.spaces").Token(); !strings.Contains(description(t, err), "invalid_scope") {
		t.Errorf("with another scope: %v", err)
	}
	s.AddApp(email, &theirKey().PublicKey)
	if _, err := source(t, s, app.KeyFile(theirKey(), google), botOnly).Token(); err != nil {
		t.Errorf("of an app that took the other's place: %v", err)
	}
}

func TestTokensByASocket(t *testing.T) {
	s := chattest.New(chattest.Options{})
	listening := httptest.NewServer(s)
	defer listening.Close()
	app := s.AddApp(email, &ourKey().PublicKey)
	app.Join(place)
	config, err := googleoauth.JWTConfigFromJSON(app.KeyFile(ourKey(), listening.URL), botOnly)
	if err != nil {
		t.Fatal(err)
	}
	client := config.Client(context.WithValue(t.Context(), oauth2.HTTPClient, listening.Client()))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, listening.URL+"/v1/"+place+"/messages", strings.NewReader(hello))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", typeJSON)
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK || len(s.Messages(place)) != 1 || s.TokenRequests() != 1 {
		t.Errorf("the answer is %s, with %d messages and %d requests for a token", response.Status, len(s.Messages(place)), s.TokenRequests())
	}
}

func TestTokensExpire(t *testing.T) {
	for life, want := range map[time.Duration]int{0: 3599, time.Minute: 59, time.Second: 1} {
		now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
		r := &rig{t: t, Server: chattest.New(chattest.Options{TokenLife: life, Now: func() time.Time { return now }})}
		r.app = r.AddApp(email, &ourKey().PublicKey)
		r.app.Join(place)
		header, claims := good(now)
		a := ask(t, r.Server, assert(header, claims, rs256(ourKey())))
		if a.ExpiresIn != want {
			t.Errorf("a token for %v says %d seconds, want %d", life, a.ExpiresIn, want)
		}
		r.token = a.AccessToken
		if life == 0 {
			life = time.Hour
		}
		now = now.Add(life - 1)
		r.taken("just in time", r.create(place, "", hello))
		now = now.Add(1)
		r.refused("too late", r.create(place, "", hello), 401, "UNAUTHENTICATED", "")
	}
}

// A program that holds on to a source gets a new token where it must.
func TestASourceOutlivesItsTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := chattest.New(chattest.Options{TokenLife: time.Minute})
		app := s.AddApp(email, &ourKey().PublicKey)
		app.Join(place)
		tokens := source(t, s, app.KeyFile(ourKey(), google), botOnly)
		for minute := range 5 {
			token, err := tokens.Token()
			if err != nil {
				t.Fatal(err)
			}
			r := &rig{t: t, Server: s, token: token.AccessToken}
			r.taken("in time", r.create(place, "", hello))
			if got := len(app.Tokens()); got != minute+1 || s.TokenRequests() != got {
				t.Errorf("in minute %d there are %d tokens for %d requests, want one more each minute", minute, got, s.TokenRequests())
			}
			<-time.After(time.Minute)
		}
	})
}

func TestTokensThatAreRevoked(t *testing.T) {
	r := newRig(t, chattest.Options{})
	other := r.AddApp("other@my-project.iam.gserviceaccount.com", &ourKey().PublicKey)
	other.Join(place)
	theirs, old := r.newToken(other), r.token
	r.app.RevokeTokens()
	r.refused("revoked", r.create(place, "", hello), 401, "UNAUTHENTICATED", "")
	r.taken("of another app", r.as(theirs, "POST", "/v1/"+place+"/messages", hello))
	r.token = r.newToken(r.app)
	r.taken("a new one", r.create(place, "", hello))
	if got := r.app.Tokens(); !slices.Equal(got, []string{old, r.token}) {
		t.Errorf("Tokens = %q, want %q and %q", got, old, r.token)
	}
	r.app.Remove()
	r.refused("of an account that is gone", r.create(place, "", hello), 401, "UNAUTHENTICATED", "")
	if _, err := source(t, r.Server, r.app.KeyFile(ourKey(), google), botOnly).Token(); !strings.Contains(description(t, err), "invalid_grant") {
		t.Errorf("a new token for an account that is gone: %v", err)
	}
	r.taken("of another app, in the end", r.as(theirs, "POST", "/v1/"+place+"/messages", hello))
}

func TestFaultsOfTheTokenEndpoint(t *testing.T) {
	s := chattest.New(chattest.Options{Fault: func(chattest.Request) chattest.Fault { return chattest.Fault{Status: 500} }})
	app := s.AddApp(email, &ourKey().PublicKey)
	tokens := source(t, s, app.KeyFile(ourKey(), google), botOnly)
	s.InjectToken(0, chattest.Fault{Drop: true})
	s.InjectToken(1, chattest.Fault{Status: 503})
	s.InjectToken(1, chattest.Fault{Act: true, Drop: true})
	s.InjectToken(1, chattest.Fault{Status: 400, Body: `{"error":"invalid_grant"}`})
	s.InjectToken(-1, chattest.Fault{Refuse: true})
	wants := []string{"503", "EOF", "invalid_grant", "connection refused", "connection refused"}
	for i, want := range wants {
		if _, err := tokens.Token(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("request %d: %v, want %s", i, err, want)
		}
	}
	if got := len(app.Tokens()); got != 1 {
		t.Errorf("there are %d tokens, want the one that was lost", got)
	}
	s.HealToken()
	if _, err := tokens.Token(); err != nil || s.TokenRequests() != 6 {
		t.Errorf("healed: %v after %d requests, want a token after 6", err, s.TokenRequests())
	}
}

func FuzzAssertions(f *testing.F) {
	header, claims := good(time.Now())
	f.Add(assert(header, claims, rs256(theirKey())).Get("assertion"))
	f.Add("e30.e30.")
	s := chattest.New(chattest.Options{})
	app := s.AddApp(email, &ourKey().PublicKey)
	f.Fuzz(func(t *testing.T, assertion string) {
		a := ask(t, s, url.Values{"grant_type": {jwtBearer}, "assertion": {assertion}})
		if a.code != 400 || a.Error != "invalid_grant" || len(app.Tokens()) > 0 {
			t.Errorf("%q is answered with %+v", assertion, a)
		}
	})
}
