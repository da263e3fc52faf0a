// Package chattest is a stand-in for Google Chat, for tests and for the preview.
//
// It is strict: it refuses what the published schema refuses, keeps threads as
// Chat does, limits each space to its rate, and collects remarks on what Chat
// would take but show wrongly. It injects faults on demand, "it happened, but
// the answer was lost" among them, and keeps a history.
//
// A [Server] models spaces, credentials, threads and messages. Two front doors
// lead to that model: incoming webhooks, and the REST API as a Chat app with a
// service account, whose bearer tokens the server gives out at /token. Which one
// a request takes is said by its Authorization header. A server is an
// [http.Handler]; [Server.Transport] reaches it without sockets.
package chattest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"alertchat/receiver/chat"
)

// Options make a [Server]. The zero value is useful: no limit of the rate, no
// faults.
type Options struct {
	// Rate is how many writes a second each space takes, over all of its
	// credentials and without bursts; 0 means any number. Google Chat's is 1.
	Rate float64
	// RetryAfter is what a 429 asks for, in whole seconds. With 0 it asks for
	// nothing, like Google Chat's.
	RetryAfter time.Duration
	// IgnoreRequestID lets a repeated request id make another message. Whether
	// Chat honours those of webhooks is not documented.
	IgnoreRequestID bool
	// TokenLife is how long a bearer token is valid, in whole seconds; 0 means an
	// hour. The token endpoint states one second less, as Google's does.
	TokenLife time.Duration
	// KeepDeleted keeps the client-assigned id of a message that was deleted
	// taken: an edit of it is answered with 404 even with allowMissing, and a
	// create with 409. What Chat does is not documented, so that a sender is to
	// be tested with either answer.
	KeepDeleted bool
	// Fault is asked for the fault of each request for which none was injected;
	// nil means none. It is called from many goroutines, and not for requests to
	// the token endpoint.
	Fault func(Request) Fault
	// Keep is how many requests, and how many messages of each space, are
	// remembered; 0 means 10,000.
	Keep int
	// Now is the clock; nil means [time.Now].
	Now func() time.Time
}

// Server plays Google Chat. Its methods can be called from many goroutines.
// A place is the name of a Google space, "spaces/AAAA".
type Server struct {
	options Options
	mux     *http.ServeMux
	key     string // one for all webhooks, as Google's

	mu       sync.Mutex // guards all below, and what they lead to
	spaces   map[string]*space
	requests []*Request // the oldest first
	watchers []*watcher
	ids      uint64
	apps     map[string]*App  // by the email of the service account
	tokens   map[string]token // the bearer tokens that are not revoked
	asked    int              // how many requests the token endpoint got
	withheld injections       // the faults of the token endpoint
}

// New returns a server without any space.
func New(o Options) *Server {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Keep <= 0 {
		o.Keep = 10_000
	}
	if o.TokenLife <= 0 {
		o.TokenLife = time.Hour
	}
	s := &Server{
		options: o,
		mux:     http.NewServeMux(),
		key:     "AIzaSy" + secret(25)[:33],
		spaces:  map[string]*space{},
		apps:    map[string]*App{},
		tokens:  map[string]token{},
	}
	s.mux.HandleFunc("/v1/spaces/{space}/messages", s.door(s.atMessages))
	s.mux.HandleFunc("/v1/spaces/{space}/messages/{message}", s.door(s.atMessage))
	s.mux.HandleFunc("GET /v1/spaces:findDirectMessage", s.door(s.findDirectMessage))
	s.mux.HandleFunc("POST /token", s.serveToken)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { notFound().reply().write(w) })
	return s
}

// ServeHTTP answers as https://chat.googleapis.com does, and at /token as
// https://oauth2.googleapis.com does.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// AddWebhook adds an incoming webhook to a space, which it makes where there is
// none yet. It returns the webhook's path and query, to be put behind the
// address at which the server listens.
func (s *Server) AddWebhook(place string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	sp := s.space(place)
	c := &credential{door: chat.ByWebhook, token: secret(32) + "="}
	sp.credentials = append(sp.credentials, c)
	return "/v1/" + place + "/messages?key=" + s.key + "&token=" + url.QueryEscape(c.token)
}

// RemoveWebhook removes the webhook that AddWebhook named so.
func (s *Server) RemoveWebhook(pathAndQuery string) {
	u, err := url.Parse(pathAndQuery)
	if err != nil {
		return // AddWebhook made no such webhook
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if sp := s.spaces[strings.TrimSuffix(strings.TrimPrefix(u.Path, "/v1/"), "/messages")]; sp != nil {
		if c := sp.webhook(u.Query().Get("token")); c != nil {
			c.removed = true
		}
	}
}

// DeleteMessage deletes a message as a person in its space does, and reports
// whether there was one. Either of a message's names will do: Chat's own,
// "spaces/S/messages/T.X", or "spaces/S/messages/client-…".
func (s *Server) DeleteMessage(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	place, id, _ := strings.Cut(name, "/messages/")
	sp := s.spaces[place]
	if sp == nil || sp.named[id] == nil {
		return false
	}
	sp.remove(sp.named[id], s.options.KeepDeleted)
	return true
}

// RemoveSpace removes a space with all that is in it.
func (s *Server) RemoveSpace(place string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.spaces, place)
}

// Spaces returns the places that there are, sorted.
func (s *Server) Spaces() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	places := make([]string, 0, len(s.spaces))
	for place := range s.spaces {
		places = append(places, place)
	}
	slices.Sort(places)
	return places
}

// space returns a space, which it makes where there is none. The caller holds
// mu.
func (s *Server) space(place string) *space {
	sp := s.spaces[place]
	if sp == nil {
		sp = newSpace(place)
		s.spaces[place] = sp
	}
	return sp
}

// secret returns n random bytes as a URL can hold them.
func secret(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// id returns the next id of a thread or a message, of 11 characters like
// Chat's. Two servers with the same requests give the same ids. The caller
// holds mu.
func (s *Server) id() string {
	s.ids++
	mixed := s.ids * 0x9e3779b97f4a7c15 // by an odd number, so that no two are the same
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, mixed))
}
