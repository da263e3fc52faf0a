package chattest

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"alertchat/receiver/chat"
)

// App is a Chat app: who is behind the second front door. Its methods can be
// called from many goroutines.
type App struct {
	server *Server
	email  string
	key    *rsa.PublicKey
	id     string // of the app as a user and as a client, 21 digits

	// Guarded by the server's mutex.
	credential *credential
	direct     map[string]string // the places of direct messages, by user
	tokens     []string          // all that were issued
}

// token is a bearer token that was not revoked.
type token struct {
	app     *App
	expires time.Time
}

// AddApp adds a Chat app with its service account, which is known by its
// client_email and the public half of its key. It is in no space yet. An app
// with the same email makes way: its key no longer counts.
func (s *Server) AddApp(email string, key *rsa.PublicKey) *App {
	sum := sha256.Sum256([]byte(email))
	a := &App{
		server:     s,
		email:      email,
		key:        key,
		id:         fmt.Sprintf("1%020d", binary.BigEndian.Uint64(sum[:])),
		credential: &credential{door: chat.ByApp},
		direct:     map[string]string{},
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apps[email] = a
	return a
}

// KeyFile returns the key file of the service account as JSON, as the Google
// Cloud console gives it out. It holds the private key that it is given: of
// another than AddApp knows, no token will come. base is the address at which
// the server listens, "http://127.0.0.1:8080", and the file names the token
// endpoint there.
func (a *App) KeyFile(key *rsa.PrivateKey, base string) []byte {
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err) // an RSA key always can be
	}
	id := sha256.Sum256(x509.MarshalPKCS1PublicKey(&key.PublicKey))
	project := "chattest"
	if _, domain, ok := strings.Cut(a.email, "@"); ok {
		project = strings.TrimSuffix(domain, ".iam.gserviceaccount.com")
	}
	file, err := json.MarshalIndent(map[string]string{
		"type":           "service_account",
		"project_id":     project,
		"private_key_id": hex.EncodeToString(id[:20]),
		"private_key":    string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
		"client_email":   a.email,
		"client_id":      a.id,
		"token_uri":      strings.TrimSuffix(base, "/") + "/token",
	}, "", "  ")
	if err != nil {
		panic(err) // strings
	}
	return append(file, '\n')
}

// Join makes the app a member of a space, which it makes where there is none.
func (a *App) Join(place string) {
	a.server.mu.Lock()
	defer a.server.mu.Unlock()
	a.server.space(place).members[a] = true
}

// Leave ends the app's membership of a space. Its messages there stay, and it
// can no longer edit them.
func (a *App) Leave(place string) {
	a.server.mu.Lock()
	defer a.server.mu.Unlock()
	a.leave(place)
}

func (a *App) leave(place string) {
	if sp := a.server.spaces[place]; sp != nil {
		delete(sp.members, a)
	}
}

// Install lets a user, "users/123", install the app: from then on the two have
// a direct message, the space place. It is made where there is none, and the
// app is a member of it.
func (a *App) Install(user, place string) {
	a.server.mu.Lock()
	defer a.server.mu.Unlock()
	sp := a.server.space(place)
	sp.direct, sp.members[a] = true, true
	a.direct[user] = place
}

// Uninstall lets a user remove the app: their direct message is not found any
// more, and the app is no member of it.
func (a *App) Uninstall(user string) {
	a.server.mu.Lock()
	defer a.server.mu.Unlock()
	a.leave(a.direct[user])
	delete(a.direct, user)
}

// RevokeTokens lets every bearer token that was issued until now be refused
// with 401. New ones can be had.
func (a *App) RevokeTokens() {
	a.server.mu.Lock()
	defer a.server.mu.Unlock()
	a.revoke()
}

func (a *App) revoke() {
	for _, value := range a.tokens {
		delete(a.server.tokens, value)
	}
}

// Remove deletes the service account: its tokens are refused with 401, and the
// token endpoint answers 400 invalid_grant.
func (a *App) Remove() {
	a.server.mu.Lock()
	defer a.server.mu.Unlock()
	a.credential.removed = true
	a.revoke()
}

// Tokens returns all bearer tokens that were issued to the app, those of no use
// any more too, for tests that search for leaks.
func (a *App) Tokens() []string {
	a.server.mu.Lock()
	defer a.server.mu.Unlock()
	return slices.Clone(a.tokens)
}

// displayName returns what the app's messages are signed with.
func (a *App) displayName() string {
	name, _, _ := strings.Cut(a.email, "@")
	return name
}

// app finds the app whose token a request bears. The caller holds mu.
func (s *Server) app(c *call) (*App, *refusal) {
	t, ok := s.tokens[c.bearer]
	if !ok || !s.options.Now().Before(t.expires) {
		return nil, googleError(http.StatusUnauthorized)
	}
	if c.query.Has("key") || c.query.Has("token") {
		return nil, invalidArgument("A bearer token and the key or token of a webhook exclude each other.")
	}
	return t.app, nil
}

// member finds the app whose token a request bears, and the space that it
// names, of which the app must be a member. The caller holds mu.
func (s *Server) member(c *call) (*App, *space, *refusal) {
	a, refused := s.app(c)
	if refused != nil {
		return nil, nil, refused
	}
	sp := s.spaces[c.note.Space]
	switch {
	case sp == nil:
		return nil, nil, notFound()
	case !sp.members[a]:
		return nil, nil, forbidden("You are not permitted to use this app")
	}
	return a, sp, nil
}
