package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"syscall"
	"time"
	"unicode"

	"alertchat/receiver/alert"
)

const (
	// maxBody is the size of the largest body: 20,000 alerts are 12 MB.
	maxBody = 32 << 20
	// firstStep is the buffer that a body begins with; most of them fit.
	firstStep = 4 << 10
	// acceptTimeout bounds one call of Accept. Alertmanager gives up a request
	// after 10 s at its shortest group_interval, and 5 s later a peer sends the
	// same again.
	acceptTimeout = 10 * time.Second
)

var (
	errAcceptTimeout = errors.New("the notification was not stored in time")
	errGone          = errors.New("the client has gone")
)

// receive takes a notification.
func (a *api) receive(w http.ResponseWriter, r *http.Request) error {
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return &failure{status: http.StatusBadRequest, sentence: "the body is compressed; only plain JSON is taken"}
	}
	c := a.budget.claim()
	// Not before the end: what Accept makes of the body takes memory as well.
	defer c.release()
	body, err := readBody(r, c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(r.Context(), acceptTimeout, errAcceptTimeout)
	defer cancel()
	if err := a.Accept(ctx, printable(r.PathValue("space")), body); err != nil {
		return refusal(err)
	}
	return writeOK(w)
}

// readBody reads the whole body into one buffer, which grows as bytes arrive:
// a sender holds no more of the budget than about twice what it has sent,
// whatever length it announces.
func readBody(r *http.Request, c *claim) ([]byte, error) {
	if r.ContentLength > maxBody {
		return nil, tooLarge()
	}
	// A buffer has room for one byte too many, so that it is never full when
	// the body ends.
	limit := int64(maxBody) + 1
	if r.ContentLength >= 0 {
		limit = r.ContentLength + 1
	}
	var body []byte
	for step := min(limit, firstStep); ; step = min(limit-int64(cap(body)), int64(cap(body))) {
		if step == 0 {
			return nil, tooLarge()
		}
		if err := c.grow(r.Context(), step); err != nil {
			return nil, unavailable("too many notifications at once", err)
		}
		body = append(make([]byte, 0, int64(cap(body))+step), body...)
		var done bool
		var err error
		body, done, err = fill(body, r.Body)
		if err != nil {
			return nil, unavailable("the body did not arrive whole", err)
		}
		if done {
			return body, nil
		}
	}
}

// fill reads until the buffer is full or the body ends, and tells whether that
// was the end.
func fill(buffer []byte, body io.Reader) ([]byte, bool, error) {
	for len(buffer) < cap(buffer) {
		n, err := body.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		switch {
		case errors.Is(err, io.EOF):
			return buffer, true, nil
		case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
			return nil, false, errGone
		case err != nil:
			return nil, false, fmt.Errorf("read the body: %w", err)
		}
	}
	return buffer, false, nil
}

func tooLarge() error {
	return &failure{status: http.StatusRequestEntityTooLarge, sentence: "the body is larger than 32 MiB"}
}

// refusal tells what Accept refuses for good from what may pass.
func refusal(err error) error {
	bad := func(sentence string) error {
		return &failure{status: http.StatusBadRequest, sentence: sentence, cause: decodeCause(err)}
	}
	switch {
	case errors.Is(err, alert.ErrNotJSON):
		return bad("the body is not a JSON payload of Alertmanager")
	case errors.Is(err, alert.ErrVersion):
		return bad("the payload is not of version 4")
	case errors.Is(err, alert.ErrNoAlerts):
		return bad("the payload has no alerts")
	default:
		return unavailable("the notification could not be stored", err)
	}
}

// decodeCause says where a body is wrong without repeating what it holds.
func decodeCause(err error) error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("a syntax error before byte %d", syntax.Offset)
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("a value of the wrong type for %q before byte %d", wrong.Field, wrong.Offset)
	}
	return nil
}

// printable replaces what could confuse a log or a database in a name that
// anyone can make up.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, name)
}

func healthy(w http.ResponseWriter, _ *http.Request) error { return writeOK(w) }

func (a *api) ready(w http.ResponseWriter, _ *http.Request) error {
	if err := a.Ready(); err != nil {
		return unavailable(err.Error(), nil)
	}
	return writeOK(w)
}

func (a *api) reload(w http.ResponseWriter, r *http.Request) error {
	if err := a.Reload(r.Context()); err != nil {
		return &failure{
			status:   http.StatusInternalServerError,
			sentence: "the config could not be loaded; what was loaded before stays, and the log says why",
			cause:    err,
		}
	}
	return writeOK(w)
}

// serve makes a handler of one that answers all by itself.
func serve(h http.Handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		h.ServeHTTP(w, r)
		return nil
	}
}

func notFound(http.ResponseWriter, *http.Request) error {
	return &failure{status: http.StatusNotFound, sentence: "there is nothing at this path"}
}

// otherMethod answers for a path that takes one method.
func otherMethod(method string) handler {
	allow := method
	if method == http.MethodGet {
		allow += ", " + http.MethodHead
	}
	return func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Allow", allow)
		return &failure{status: http.StatusMethodNotAllowed, sentence: "this path takes another method"}
	}
}

// withoutRedirects cleans the path as [http.ServeMux] would, and takes off a
// slash at its end, but goes on instead of redirecting: Alertmanager follows a
// redirect without the body, and takes the answer for success.
func withoutRedirects(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given := r.URL.EscapedPath()
		cleaned := path.Clean("/" + given)
		if cleaned == given {
			next.ServeHTTP(w, r)
			return
		}
		copied := *r
		copied.URL = new(*r.URL)
		// Nothing but whole segments went, so what is left decodes as before.
		copied.URL.Path, _ = url.PathUnescape(cleaned)
		copied.URL.RawPath = cleaned
		// ServeMux looks at the request line too: it answers "*" itself.
		copied.RequestURI = cleaned
		next.ServeHTTP(w, &copied)
	})
}
