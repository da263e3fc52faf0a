package chattest

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"alertchat/receiver/chat"
)

// Request is one request as it arrived, and what became of it. Those to the
// token endpoint are none of them: they hold secrets.
type Request struct {
	At        time.Time
	Client    string // its address and port, by which connections are told apart
	Method    string
	Space     string // the place; empty for spaces:findDirectMessage
	Door      chat.Door
	RequestID string
	MessageID string // of the query, "client-…"
	// Target is the message that a request for one names, "spaces/S/messages/M"
	// in the form it was sent, or the user whose direct message is looked for,
	// "users/123". Else it is empty.
	Target  string
	Body    []byte
	Status  int    // what was answered; 0 where nothing was
	Message string // Chat's own name of the message that it made or edited, or had made before; else empty
	// Violations are those of its body, if the space saw it; for an edit, those
	// of the message that came of it.
	Violations []chat.Violation
}

// Message is a message in a space.
type Message struct {
	Space     string // the place
	Name      string // Chat's own, "spaces/S/messages/T.X"
	ClientID  string // the one that its sender gave, "client-…", by which it is found too; else empty
	Thread    string // "spaces/S/threads/T"
	ThreadKey string // what the thread is found by; empty without a key
	Reply     bool   // whether it is not the first of its thread
	Door      chat.Door
	Text      string
	Body      json.RawMessage // as it was sent, or as an edit left it
	CreatedAt time.Time
	Versions  []Version        // the first as it was created, then each edit
	Remarks   []chat.Violation // what Chat would take but show wrongly

	fields    map[string]json.RawMessage // of Body, by their camel-case names
	requestID owned                      // by whom it was written, with which id
}

// Version is what a message held from a time on.
type Version struct {
	At   time.Time
	Body json.RawMessage
}

// Thread is a thread of a space.
type Thread struct {
	Name     string // "spaces/S/threads/T"
	Key      string // empty without a key
	Messages int
}

// arrive notes a request.
func (s *Server) arrive(r Request) *Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.At = s.options.Now()
	s.requests = append(s.requests, &r)
	if len(s.requests) > s.options.Keep {
		s.requests = s.requests[1:]
	}
	return &r
}

// answered notes what a request was answered.
func (s *Server) answered(r *Request, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.Status = status
}

// Requests returns all requests, the oldest first.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests := make([]Request, 0, len(s.requests))
	for _, r := range s.requests {
		requests = append(requests, *r)
	}
	return requests
}

// Messages returns a space's messages, the oldest first, without those that
// were deleted.
func (s *Server) Messages(place string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	sp := s.spaces[place]
	if sp == nil {
		return nil
	}
	messages := make([]Message, 0, len(sp.messages))
	for _, m := range sp.messages {
		messages = append(messages, *m)
	}
	return messages
}

// Threads returns a space's threads, sorted by name.
func (s *Server) Threads(place string) []Thread {
	s.mu.Lock()
	defer s.mu.Unlock()
	sp := s.spaces[place]
	if sp == nil {
		return nil
	}
	threads := make([]Thread, 0, len(sp.threads))
	for _, t := range sp.threads {
		threads = append(threads, Thread{Name: t.name, Key: t.key.name, Messages: t.messages})
	}
	slices.SortFunc(threads, func(a, b Thread) int { return strings.Compare(a.Name, b.Name) })
	return threads
}

// Throttled returns how many requests a space answered with 429 because of its
// rate.
func (s *Server) Throttled(place string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sp := s.spaces[place]; sp != nil {
		return sp.throttled
	}
	return 0
}

// Remarks returns all that [chat.Check] found in the messages that arrived,
// those that were refused too, as lines for people. A sender that knows Chat
// gives no reason for any.
func (s *Server) Remarks() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var remarks []string
	for _, r := range s.requests {
		for _, v := range r.Violations {
			remarks = append(remarks, r.Space+": "+v.String())
		}
	}
	return remarks
}

// Watch returns a channel of all messages that are made or edited from now on,
// each as it is then: an edited one has more than one of its Versions. None is
// lost, however slowly it is read. It is closed when the context ends.
func (s *Server) Watch(ctx context.Context) <-chan Message {
	w := &watcher{bell: make(chan struct{}, 1)}
	s.mu.Lock()
	s.watchers = append(s.watchers, w)
	s.mu.Unlock()
	out := make(chan Message)
	go func() { // ends with ctx
		defer close(out)
		defer s.forget(w)
		for {
			select {
			case <-ctx.Done():
				return
			case <-w.bell:
			}
			for _, m := range s.take(w) {
				select {
				case <-ctx.Done():
					return
				case out <- m:
				}
			}
		}
	}()
	return out
}

// watcher is what one channel of Watch has not sent yet.
type watcher struct {
	waiting []Message     // guarded by the server's mutex
	bell    chan struct{} // rung when something waits
}

// tell gives a message to all watchers. The caller holds mu.
func (s *Server) tell(m *Message) {
	for _, w := range s.watchers {
		w.waiting = append(w.waiting, *m)
		select {
		case w.bell <- struct{}{}:
		default: // it rings already
		}
	}
}

func (s *Server) take(w *watcher) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting := w.waiting
	w.waiting = nil
	return waiting
}

func (s *Server) forget(w *watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers = slices.DeleteFunc(s.watchers, func(other *watcher) bool { return other == w })
}
