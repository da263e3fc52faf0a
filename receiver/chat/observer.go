package chat

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// observer is a transport that remembers of one fetch of a token how it was
// answered, and what must not be seen of it: the library's errors quote what
// endpoints answer, and those may quote the request.
type observer struct {
	next http.RoundTripper

	mu      sync.Mutex // guards what follows
	status  int        // of the last answer; 0 where none came to the last request
	err     error      // why none came, which the library does not hand on as it is
	secrets []string
}

// RoundTrip implements [http.RoundTripper].
func (o *observer) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := o.next.RoundTrip(r)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.secrets = append(o.secrets, secretsOf(r)...)
	o.status, o.err = 0, err
	if err == nil {
		o.status = response.StatusCode
	}
	return response, err
}

// secretsOf returns what a request for a token holds that must not be seen.
func secretsOf(r *http.Request) []string {
	var secrets []string
	if _, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok {
		secrets = append(secrets, token)
	}
	if r.GetBody == nil {
		return secrets
	}
	body, err := r.GetBody()
	if err != nil {
		return secrets
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, 1<<20))
	if err != nil {
		return secrets
	}
	form, err := url.ParseQuery(string(text))
	if err != nil {
		return secrets
	}
	for _, name := range []string{"assertion", "subject_token", "actor_token", "client_secret", "refresh_token"} {
		secrets = append(secrets, form[name]...)
	}
	return secrets
}

// failed returns the error of a fetch. The message that a token was for was not
// sent.
func (o *observer) failed(ctx context.Context, err error) *Error {
	o.mu.Lock()
	defer o.mu.Unlock()
	e := &Error{Outcome: NotDone, Code: codeToken}
	a := answer{scrub: o.scrub}
	switch {
	case errors.Is(err, errNoDefault):
		e.Outcome, e.Reason = Denied, err.Error()
		return e
	case o.err != nil:
		e = a.explain(ctx, e, o.err)
		e.Code = codeToken
	default:
		e.Reason = a.line(tokenReason(err))
	}
	e.Reason = "no access token: " + e.Reason
	if o.status >= 300 && o.status < 500 && o.status != http.StatusTooManyRequests && o.status != http.StatusRequestTimeout {
		// That passes when somebody mends the credentials.
		e.Outcome = Denied
		e.Reason += "; see whether the credentials are right, their key is not deleted, and this machine's clock is"
	}
	return e
}

// scrub replaces what the requests held that must not be seen, the longest
// first, and whatever looks like it. The caller holds mu.
func (o *observer) scrub(s string) string {
	slices.SortFunc(o.secrets, func(a, b string) int { return len(b) - len(a) })
	for _, secret := range o.secrets {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, redacted)
		}
	}
	return scrubLong(s)
}

// long is what keys, assertions and tokens look like, and no word does.
var long = regexp.MustCompile(`[A-Za-z0-9+/=_-]{32,}(\.[A-Za-z0-9+/=_-]+)*`)

// scrubLong replaces what looks like a token.
func scrubLong(s string) string { return long.ReplaceAllString(s, redacted) }
