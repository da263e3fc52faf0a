package chattest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"syscall"
)

// Transport returns a way to the server without sockets, whatever the host of a
// request. It answers in the caller's goroutine, so that it can be used where
// time is not real, and it tells an [httptrace.ClientTrace] of connections as
// the transport of net/http does.
func (s *Server) Transport() http.RoundTripper { return transport{s} }

type transport struct{ server *Server }

// RoundTrip implements [http.RoundTripper].
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	if r.Body != nil {
		defer r.Body.Close()
	}
	trace := httptrace.ContextClientTrace(ctx)
	if trace != nil && trace.GetConn != nil {
		trace.GetConn(r.URL.Host)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	rec := &recorder{header: http.Header{}, code: http.StatusOK}
	rec.serve(t.server, incoming(r))
	if !rec.refused && trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{})
	}
	switch {
	case rec.refused:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case rec.aborted && !rec.flushed:
		return nil, io.EOF
	}
	return rec.response(r), nil
}

// incoming returns a request as a server sees it.
func incoming(r *http.Request) *http.Request {
	in := r.Clone(r.Context())
	in.RequestURI = r.URL.RequestURI()
	in.RemoteAddr = "192.0.2.1:1234" // of a network for examples, as in net/http/httptest
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	return in
}

// recorder is what a handler writes to.
type recorder struct {
	header  http.Header
	code    int
	body    bytes.Buffer
	flushed bool
	aborted bool // the connection was closed
	refused bool // there never was one
}

// serve runs a handler, and takes what net/http takes for a closed connection.
func (w *recorder) serve(h http.Handler, r *http.Request) {
	defer func() {
		if v := recover(); v != nil {
			if err, ok := v.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				panic(v)
			}
			w.aborted = true
		}
	}()
	h.ServeHTTP(w, r)
}

// Header implements [http.ResponseWriter].
func (w *recorder) Header() http.Header { return w.header }

// WriteHeader implements [http.ResponseWriter].
func (w *recorder) WriteHeader(code int) { w.code = code }

// Write implements [http.ResponseWriter].
func (w *recorder) Write(p []byte) (int, error) { return w.body.Write(p) }

// Flush implements [http.Flusher].
func (w *recorder) Flush() { w.flushed = true }

func (w *recorder) refuse() { w.refused = true }

// response returns what was written.
func (w *recorder) response(r *http.Request) *http.Response {
	var body io.Reader = &w.body
	if w.aborted {
		body = io.MultiReader(body, broken{})
	}
	return &http.Response{
		Status:        fmt.Sprintf("%d %s", w.code, http.StatusText(w.code)),
		StatusCode:    w.code,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        w.header,
		Body:          io.NopCloser(body),
		ContentLength: -1,
		Request:       r,
	}
}

// broken is the end of an answer that breaks off.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
