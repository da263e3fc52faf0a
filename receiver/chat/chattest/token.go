package chattest

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// What the token endpoint asks of an assertion
// (https://developers.google.com/identity/protocols/oauth2/service-account#httprest).
const (
	jwtBearer   = "urn:ietf:params:oauth:grant-type:jwt-bearer" //nolint:gosec // the name of a protocol, not a secret
	botScope    = "https://www.googleapis.com/auth/chat.bot"
	longestLife = time.Hour       // between iat and exp
	clockSkew   = 5 * time.Minute // that iat may be ahead
)

// TokenRequests returns how many requests the token endpoint got, those that a
// fault answered too.
func (s *Server) TokenRequests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// serveToken is the token endpoint: it gives a bearer token for a signed
// assertion.
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	err := r.ParseForm() // of another type than a form it takes nothing
	s.mu.Lock()
	s.asked++
	f, _ := s.withheld.next()
	s.mu.Unlock()
	serve(w, r, f, func() reply {
		if err != nil {
			return badToken("invalid_request", "The request body cannot be read.").reply()
		}
		return s.token(r)
	}, func(int) {})
}

// token answers a request for a bearer token.
func (s *Server) token(r *http.Request) reply {
	switch grant := r.PostForm.Get("grant_type"); grant {
	case jwtBearer:
	case "":
		return badToken("invalid_request", "Missing required parameter: grant_type").reply()
	default:
		return badToken("unsupported_grant_type", "Invalid grant_type: "+grant).reply()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.options.Now()
	a, refused := s.verify(r.PostForm.Get("assertion"), r.Host+r.URL.Path, now)
	if refused != nil {
		return refused.reply()
	}
	value := "ya29.c." + secret(96)
	s.tokens[value] = token{a, now.Add(s.options.TokenLife)}
	a.tokens = append(a.tokens, value)
	answer := jsonReply(http.StatusOK, map[string]any{
		"access_token": value,
		"expires_in":   max(int64(s.options.TokenLife/time.Second)-1, 1),
		"token_type":   "Bearer",
	})
	answer.private = true
	return answer
}

// assertion is what a service account signs.
type assertion struct {
	header struct {
		Algorithm string `json:"alg"`
		Type      string `json:"typ"`
	}
	claims struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Audience string `json:"aud"`
		Scope    string `json:"scope"`
		Issued   int64  `json:"iat"` // in seconds since 1970
		Expires  int64  `json:"exp"` // likewise
	}
	signed    string
	signature []byte
}

// verify returns the app that signed an assertion for the endpoint with this
// host and path. The caller holds mu.
func (s *Server) verify(jwt, endpoint string, now time.Time) (*App, *tokenError) {
	j, ok := readAssertion(jwt)
	if !ok {
		return nil, badToken("invalid_grant", "Invalid JWT: it must be three parts in base64url, of which two are JSON.")
	}
	a := s.apps[j.claims.Issuer]
	if a == nil || a.credential.removed {
		return nil, badToken("invalid_grant", "Invalid grant: account not found")
	}
	if !j.signedBy(a.key) {
		return nil, badToken("invalid_grant", "Invalid JWT Signature.")
	}
	if j.claims.Audience != "https://"+endpoint && j.claims.Audience != "http://"+endpoint {
		return nil, badToken("invalid_grant", "Invalid JWT: Failed audience check. The right audience is https://"+endpoint)
	}
	if !j.timely(now) {
		return nil, badToken("invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "+
			"Check your iat and exp values in the JWT claim.")
	}
	scopes := strings.Fields(j.claims.Scope)
	switch {
	case len(scopes) == 0:
		return nil, badToken("invalid_scope", "Empty or missing scope not allowed.")
	case !slices.Contains(scopes, botScope):
		return nil, badToken("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
	case j.claims.Subject != "" && j.claims.Subject != j.claims.Issuer: // the scope is not to be delegated
		refused := badToken("unauthorized_client", "Client is unauthorized to retrieve access tokens using this method, "+
			"or client not authorized for any of the scopes requested.")
		refused.code = http.StatusUnauthorized
		return nil, refused
	}
	return a, nil
}

// readAssertion reads a JWT, of which it believes nothing yet.
func readAssertion(jwt string) (*assertion, bool) {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return nil, false
	}
	var j assertion
	for i, into := range []any{&j.header, &j.claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(raw, into) != nil {
			return nil, false
		}
	}
	var err error
	j.signed = parts[0] + "." + parts[1]
	j.signature, err = base64.RawURLEncoding.DecodeString(parts[2])
	return &j, err == nil
}

// signedBy reports whether the private half of a key made the signature. There
// is but one algorithm, whatever the assertion says.
func (j *assertion) signedBy(key *rsa.PublicKey) bool {
	if j.header.Algorithm != "RS256" || j.header.Type != "JWT" {
		return false
	}
	sum := sha256.Sum256([]byte(j.signed))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], j.signature) == nil
}

// timely reports whether an assertion is valid now, and not for too long.
func (j *assertion) timely(now time.Time) bool {
	issued, expires, at := j.claims.Issued, j.claims.Expires, now.Unix()
	if issued <= 0 || expires <= at {
		return false
	}
	return issued <= at+int64(clockSkew/time.Second) && expires-issued <= int64(longestLife/time.Second)
}

// tokenError is an error of the token endpoint: that of OAuth, and not of
// Google's other APIs.
type tokenError struct {
	code        int
	Kind        string `json:"error"`
	Description string `json:"error_description"`
}

func badToken(kind, description string) *tokenError {
	return &tokenError{http.StatusBadRequest, kind, description}
}

func (e *tokenError) reply() reply {
	a := jsonReply(e.code, e)
	a.private = true
	return a
}
