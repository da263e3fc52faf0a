package chattest

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// Fault is what goes wrong with a request. The zero value is nothing. Its parts
// can be put together: Act and Drop make "it happened, but the answer was lost".
//
// Where a request is answered by a fault, the space does not see it, unless Act
// says so.
type Fault struct {
	// Delay is how long the request waits before anything else.
	Delay time.Duration
	// Act lets the request do its work before its answer is spoilt.
	Act bool
	// Refuse refuses the connection. Behind a socket, where it is too late for
	// that, the connection is closed.
	Refuse bool
	// Hang answers nothing until the client gives up.
	Hang bool
	// Drop closes the connection instead of an answer.
	Drop bool
	// Status is answered, with the body that Google's APIs have for it.
	Status int
	// RetryAfter is answered along with Status, in whole seconds.
	RetryAfter time.Duration
	// Body is answered along with Status instead of Google's: as HTML, like
	// that of a load balancer, if it begins with a "<".
	Body string
	// Truncate breaks off the answer half-way; the work is done.
	Truncate bool
}

// spoils reports whether the space does not see the request.
func (f Fault) spoils() bool { return f.Refuse || f.Hang || f.Drop || f.Status != 0 }

// reply returns the answer that the fault gives.
func (f Fault) reply() reply {
	a := googleError(f.Status).reply()
	a.retryAfter = f.RetryAfter
	if f.Body != "" {
		a.body = []byte(f.Body)
		if strings.HasPrefix(f.Body, "<") {
			a.kind = "text/html; charset=UTF-8"
		}
	}
	return a
}

// injection is a fault for a number of requests.
type injection struct {
	left  int // below 0: for all
	fault Fault
}

// injections are faults in the order in which requests get them.
type injections []injection

func (i *injections) add(n int, f Fault) {
	if n != 0 {
		*i = append(*i, injection{n, f})
	}
}

// next returns the fault for a request, if there is one left.
func (i *injections) next() (Fault, bool) {
	if len(*i) == 0 {
		return Fault{}, false
	}
	first := &(*i)[0]
	f := first.fault
	first.left--
	if first.left == 0 {
		*i = (*i)[1:]
	}
	return f, true
}

// Inject gives a fault to the next n requests for a space, through either door,
// after those that were injected before. With n below 0 it lasts until
// [Server.Heal].
func (s *Server) Inject(place string, n int, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sp := s.spaces[place]; sp != nil {
		sp.faults.add(n, f)
	}
}

// Heal takes back all faults that were injected for a space.
func (s *Server) Heal(place string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sp := s.spaces[place]; sp != nil {
		sp.faults = nil
	}
}

// InjectToken is [Server.Inject] for the token endpoint. With n below 0 the
// fault lasts until [Server.HealToken].
func (s *Server) InjectToken(n int, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.withheld.add(n, f)
}

// HealToken takes back all faults that were injected for the token endpoint.
func (s *Server) HealToken() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.withheld = nil
}

// fault returns the fault for a request.
func (s *Server) fault(r *Request) Fault {
	if f, ok := s.injected(r.Space); ok {
		return f
	}
	if s.options.Fault == nil {
		return Fault{}
	}
	return s.options.Fault(*r)
}

func (s *Server) injected(place string) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sp := s.spaces[place]
	if sp == nil {
		return Fault{}, false
	}
	return sp.faults.next()
}

// serve answers a request by its fault, or by act, which does its work. What it
// answers it tells noted, if it answers at all.
func serve(w http.ResponseWriter, r *http.Request, f Fault, act func() reply, noted func(status int)) {
	if f.Refuse {
		if c, ok := w.(interface{ refuse() }); ok {
			c.refuse()
		}
		panic(http.ErrAbortHandler)
	}
	if !wait(r.Context(), f.Delay) {
		panic(http.ErrAbortHandler)
	}
	var a reply
	if f.Act || !f.spoils() {
		a = act()
	}
	switch {
	case f.Hang:
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case f.Drop:
		panic(http.ErrAbortHandler)
	case f.Status != 0:
		a = f.reply()
	}
	noted(a.code)
	if !f.Truncate {
		a.write(w)
		return
	}
	a.begin(w, len(a.body)/2)
	if flusher, ok := w.(http.Flusher); ok {
		flusher.Flush()
	}
	panic(http.ErrAbortHandler)
}

// wait waits and reports whether it came to its end.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
