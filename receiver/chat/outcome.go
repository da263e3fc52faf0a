package chat

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
)

// The codes of errors that come without an HTTP status.
const (
	codeTimeout    = "timeout"
	codeConnection = "connection"
	codeResponse   = "response"
	codeConfig     = "config"
	codeToken      = "token" // of an app's access token
)

// Bounds of what is read of an answer, in bytes.
const (
	maxAnswer      = 1 << 20  // of a message that was taken, which echoes the request
	maxErrorAnswer = 1 << 10  // of an error
	maxDrained     = 64 << 10 // of what is left, so that the connection can be used again
)

// maxReason is the length of a reason in runes.
const maxReason = 200

// tracker knows whether a request ever had a connection. Without one it surely
// did nothing, whichever error the dialer, the TLS handshake or a proxy gave.
type tracker struct{ state atomic.Int32 }

const (
	untracked  int32 = iota // the transport tells nothing
	connecting              // it looks for a connection
	connected               // it has one: anything may have been sent
)

// watch returns a context with which a request tells the tracker of its
// connection, and sent that it was written.
func (t *tracker) watch(ctx context.Context, sent func()) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) {
			if sent != nil {
				sent()
			}
		},
		// A transport looks for another connection only when nothing was sent
		// on the one before.
		GetConn: func(string) { t.state.Store(connecting) },
		GotConn: func(httptrace.GotConnInfo) { t.state.Store(connected) },
	})
}

// answer makes a receipt or an error of what came back for one request.
type answer struct {
	scrub    func(string) string   // removes secrets
	threaded bool                  // whether the message named a thread
	advise   func(code int) string // what to do about a status, or ""; may be nil
}

// outgoing is a request to Chat.
type outgoing struct {
	method, url string
	token       string // of an app; empty for a webhook
	body        []byte // JSON; nil for none
	sent        func() // as in [Create]
}

// to makes a request and returns the body of what it is answered.
func (a answer) to(ctx context.Context, client *http.Client, o outgoing) ([]byte, error) {
	t := &tracker{}
	r, err := http.NewRequestWithContext(t.watch(ctx, o.sent), o.method, o.url, bytes.NewReader(o.body))
	if err != nil {
		return nil, &Error{Outcome: NotDone, Code: codeConfig, Reason: a.line(cause(err).Error())}
	}
	if o.token != "" {
		r.Header.Set("Authorization", "Bearer "+o.token)
	}
	if o.body != nil {
		r.Header.Set("Content-Type", "application/json; charset=UTF-8")
	}
	response, err := client.Do(r)
	if err != nil {
		return nil, a.failed(ctx, err, t)
	}
	defer response.Body.Close()
	defer drain(response.Body)
	return a.answered(ctx, response)
}

// failed returns the error of a request that got no answer. The context is the
// caller's, which knows why an attempt ended.
func (a answer) failed(ctx context.Context, err error, t *tracker) *Error {
	e := &Error{Outcome: Unknown, Code: codeConnection}
	if state := t.state.Load(); state == connecting || state == untracked && neverConnected(err) {
		e.Outcome = NotDone
	}
	return a.explain(ctx, e, err)
}

// explain adds code and reason of an error on the wire.
func (a answer) explain(ctx context.Context, e *Error, err error) *Error {
	err = cause(err)
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		e.Code, e.Reason = codeTimeout, "no answer in time"
		if why := context.Cause(ctx); !errors.Is(why, context.DeadlineExceeded) {
			e.Reason = a.line(why.Error())
		}
	case ctx.Err() != nil:
		e.Reason = "the attempt was abandoned"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		e.Code, e.Reason = codeTimeout, a.line(err.Error())
	case errors.Is(err, io.EOF):
		e.Reason = "the connection was closed before an answer came"
	case errors.Is(err, io.ErrUnexpectedEOF):
		e.Code, e.Reason = codeResponse, "the answer broke off"
	default:
		e.Reason = a.line(err.Error())
	}
	return e
}

// cause returns the error below those that print the URL.
func cause(err error) error {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	return err
}

// neverConnected reports whether an error can only come before there is a
// connection.
func neverConnected(err error) bool {
	var (
		dns         *net.DNSError
		op          *net.OpError
		certificate *tls.CertificateVerificationError
		noTLS       tls.RecordHeaderError
	)
	return errors.As(err, &dns) || errors.As(err, &certificate) || errors.As(err, &noTLS) ||
		errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect")
}

// answered returns the body of Chat's answer to a request that it took.
func (a answer) answered(ctx context.Context, r *http.Response) ([]byte, error) {
	if r.StatusCode < 200 || r.StatusCode > 299 {
		return nil, a.refusal(r)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer+1))
	if err != nil {
		return nil, a.explain(ctx, &Error{Outcome: Unknown, Code: codeConnection}, err)
	}
	if len(body) > maxAnswer {
		return nil, &Error{Outcome: Unknown, Code: codeResponse, Reason: "the answer is too long to be Google Chat's"}
	}
	return body, nil
}

// readReceipt reads the message that an answer holds.
func readReceipt(body []byte) (Receipt, error) {
	var message struct {
		Name   string `json:"name"`
		Thread struct {
			Name string `json:"name"`
		} `json:"thread"`
	}
	if err := json.Unmarshal(body, &message); err != nil || message.Name == "" {
		return Receipt{}, &Error{Outcome: Unknown, Code: codeResponse, Reason: "the answer is no message of Google Chat"}
	}
	return Receipt{Message: message.Name, Thread: message.Thread.Name}, nil
}

// refusal makes an error of an answer with any status but 2xx.
func (a answer) refusal(r *http.Response) *Error {
	body := make([]byte, maxErrorAnswer)
	n, _ := io.ReadFull(r.Body, body) // a part of it is as good
	s := readStatus(body[:n])
	e := &Error{
		Outcome:    a.outcome(r.StatusCode, s),
		Code:       strconv.Itoa(r.StatusCode),
		Reason:     a.line(s.message),
		RetryAfter: retryAfter(r.Header.Get("Retry-After")),
	}
	switch {
	case r.StatusCode < 400:
		e.Reason = "a redirect, which is not followed: the URL is not that of Google Chat"
	case e.Reason == "":
		e.Reason = strings.ToLower(http.StatusText(r.StatusCode))
	}
	if e.Reason == "" {
		e.Reason = "an unknown status"
	}
	if a.advise != nil {
		if advice := a.advise(r.StatusCode); advice != "" {
			e.Reason = strings.TrimSuffix(e.Reason, ".") + "; " + advice
		}
	}
	return e
}

// outcome says what an answer means for the message.
func (a answer) outcome(code int, s status) Outcome {
	switch code {
	case http.StatusTooManyRequests:
		return NotDone
	case http.StatusConflict:
		if s.status == "ALREADY_EXISTS" {
			return Exists
		}
		return Unknown
	case http.StatusRequestTimeout:
		return Unknown
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
		http.StatusMethodNotAllowed, http.StatusProxyAuthRequired, http.StatusGone:
		return Denied // all of them speak of the URL or of what stands in between
	}
	switch {
	case code < 400:
		return Denied
	case code >= 500:
		return Unknown
	case strings.HasPrefix(s.reason, "API_KEY_"), strings.Contains(s.message, "API key"):
		return Denied
	case code == http.StatusBadRequest && a.threaded && strings.Contains(strings.ToLower(s.message), "thread"):
		// Google gives nothing but the sentence here. A wrong guess costs one
		// attempt without the thread.
		return BadThread
	default:
		return Refused
	}
}

// status is what matters of a google.rpc.Status.
type status struct {
	message string
	status  string // "INVALID_ARGUMENT"
	reason  string // of an ErrorInfo among the details: "API_KEY_INVALID"
}

// readStatus reads an error of a Google API as far as it goes: it may have been
// cut, or be something else altogether.
func readStatus(body []byte) status {
	var s status
	s.read(json.NewDecoder(bytes.NewReader(body)), "")
	return s
}

// read reads the value at a path and reports whether there may be more.
func (s *status) read(d *json.Decoder, path string) bool {
	token, err := d.Token()
	if err != nil {
		return false
	}
	switch t := token.(type) {
	case json.Delim:
		for d.More() {
			next := path
			if t == '{' {
				key, err := d.Token()
				if err != nil {
					return false
				}
				next = fmt.Sprintf("%s/%v", path, key)
			}
			if !s.read(d, next) {
				return false
			}
		}
		_, err = d.Token()
		return err == nil
	case string:
		switch strings.TrimPrefix(path, "/error") { // seen with and without it
		case "/message":
			s.message = t
		case "/status":
			s.status = t
		case "/details/reason":
			s.reason = t
		}
	}
	return true
}

// retryAfter reads both forms of Retry-After: seconds and a date.
func retryAfter(header string) time.Duration {
	const most = 365 * 24 * time.Hour // far below what a Duration can hold
	if seconds, err := strconv.ParseInt(header, 10, 64); err == nil {
		return min(max(time.Duration(min(seconds, int64(most/time.Second)))*time.Second, 0), most)
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return min(max(time.Until(at), 0), most)
}

// line makes one line without secrets of what Chat or the network said.
func (a answer) line(s string) string { return line(a.scrub(s)) }

// userinfo is a name and a password before a host, those of a proxy for example.
var userinfo = regexp.MustCompile(`[^\s"'/@]+:[^\s"'@]*@`)

// line makes one short line of a text: no control characters, at most 200 runes.
func line(s string) string {
	s = userinfo.ReplaceAllString(strings.ToValidUTF8(s, "\uFFFD"), redacted+"@")
	var b strings.Builder
	runes := 0
	for word := range strings.FieldsFuncSeq(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		if b.Len() > 0 {
			word = " " + word
		}
		for _, r := range word {
			if !unicode.IsPrint(r) {
				continue // it could turn the text around
			}
			if runes == maxReason-1 {
				return b.String() + "…"
			}
			b.WriteRune(r)
			runes++
		}
	}
	return b.String()
}

// drain reads what is left of a body, so that its connection can be used again.
func drain(body io.Reader) { _, _ = io.CopyN(io.Discard, body, maxDrained) }
