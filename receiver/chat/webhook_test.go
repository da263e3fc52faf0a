package chat_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"alertchat/receiver/chat"
	"alertchat/receiver/chat/chattest"
)

// roundTrip is a transport made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answering returns a transport that gives the same answer each time.
func answering(code int, header http.Header, body string) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		if header == nil {
			header = http.Header{}
		}
		return &http.Response{StatusCode: code, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
}

// webhook returns a client for the canary URL over a transport.
func webhook(t testing.TB, over http.RoundTripper) *chat.Webhook {
	t.Helper()
	return webhookAt(t, canaryURL, over)
}

func webhookAt(t testing.TB, raw string, over http.RoundTripper) *chat.Webhook {
	t.Helper()
	u := mustURL(t, raw)
	return chat.NewWebhook(chat.WebhookOptions{
		URL:  u,
		HTTP: &http.Client{Transport: over},
	})
}

func hello() chat.Create {
	return chat.Create{Body: json.RawMessage(`{"text":"hello","thread":{"threadKey":"k"}}`), RequestID: "id-1", Threaded: true}
}

// failure returns the error of an attempt, and holds it to what every error
// must be: one short line without secrets.
func failure(t *testing.T, err error) *chat.Error {
	t.Helper()
	var e *chat.Error
	if !errors.As(err, &e) {
		t.Fatalf("the error is %T: %v, want a *chat.Error", err, err)
	}
	var logs strings.Builder
	slog.New(slog.NewJSONHandler(&logs, nil)).Info("x", "err", err)
	asJSON, marshalErr := json.Marshal(e)
	if marshalErr != nil {
		t.Fatal(marshalErr)
	}
	for _, s := range []string{fmt.Sprintf("%v %+v %#v %s %q", err, err, err, err, err), logs.String(), string(asJSON)} {
		if leaks(s) {
			t.Errorf("the error shows a secret: %s", s)
		}
	}
	if e.Reason == "" || e.Code == "" || utf8.RuneCountInString(e.Reason) > 200 || strings.ContainsAny(e.Reason, "\r\n\t\x00\x1b") {
		t.Errorf("the error %#v is not one short line", e)
	}
	if e.RetryAfter < 0 {
		t.Errorf("RetryAfter is %v", e.RetryAfter)
	}
	return e
}

func TestCreateSendsWhatChatExpects(t *testing.T) {
	tests := []struct {
		name   string
		create chat.Create
		query  string // behind the URL's own
	}{
		{"a reply", hello(), "&messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD&requestId=id-1"},
		{"a message without a thread", chat.Create{Body: []byte(`{"text":"x"}`), RequestID: "a&b=c"}, "&requestId=a%26b%3Dc"},
		{"a message without anything else", chat.Create{Body: []byte(`{"text":"x"}`)}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			type request struct{ Method, URL, Type, Body string }
			var got request
			w := webhook(t, roundTrip(func(r *http.Request) (*http.Response, error) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					return nil, err
				}
				got = request{r.Method, r.URL.String(), r.Header.Get("Content-Type"), string(body)}
				return answering(200, nil, `{"name":"spaces/AAAA/messages/T.T","thread":{"name":"spaces/AAAA/threads/T"}}`)(r)
			}))
			receipt, err := w.Create(t.Context(), tt.create)
			if want := (chat.Receipt{Message: "spaces/AAAA/messages/T.T", Thread: "spaces/AAAA/threads/T"}); err != nil || receipt != want {
				t.Errorf("Create = %+v, %v; want %+v", receipt, err, want)
			}
			want := request{http.MethodPost, canaryURL + tt.query, "application/json; charset=UTF-8", string(tt.create.Body)}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the request (-want +got):\n%s", diff)
			}
		})
	}
}

// google returns an error in the envelope of Google's APIs.
func google(message, status, details string) string {
	quoted, err := json.Marshal(message)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf(`{"error":{"code":400,"message":%s,"status":%q,"details":[%s]}}`, quoted, status, details)
}

func TestCreateClassifiesAnswers(t *testing.T) {
	const echo = "key=" + canaryKey + " and " + canaryToken + " and CANARYtoken-0123="
	tests := []struct {
		name   string
		code   int
		header http.Header
		body   string
		want   chat.Error
	}{
		{"200 without a name", 200, nil, `{"text":"x"}`, chat.Error{Outcome: chat.Unknown, Code: "response", Reason: "the answer is no message of Google Chat"}},
		{"200 with a page", 200, nil, `<html>Sign in</html>`, chat.Error{Outcome: chat.Unknown, Code: "response", Reason: "the answer is no message of Google Chat"}},
		{"200 with a list", 200, nil, `[{"name":"x"}]`, chat.Error{Outcome: chat.Unknown, Code: "response", Reason: "the answer is no message of Google Chat"}},
		{"204", 204, nil, ``, chat.Error{Outcome: chat.Unknown, Code: "response", Reason: "the answer is no message of Google Chat"}},
		{"200 without an end", 200, nil, `{"name":"x","text":"` + strings.Repeat("x", 1<<20) + `"}`, chat.Error{Outcome: chat.Unknown, Code: "response", Reason: "the answer is too long to be Google Chat's"}},
		{"301", 301, http.Header{"Location": {"https://elsewhere/?" + canaryToken}}, ``, chat.Error{Outcome: chat.Denied, Code: "301", Reason: "a redirect, which is not followed: the URL is not that of Google Chat"}},
		{"307", 307, http.Header{"Location": {"https://elsewhere/?" + canaryToken}}, ``, chat.Error{Outcome: chat.Denied, Code: "307", Reason: "a redirect, which is not followed: the URL is not that of Google Chat"}},
		{"304 without a location", 304, nil, ``, chat.Error{Outcome: chat.Denied, Code: "304", Reason: "a redirect, which is not followed: the URL is not that of Google Chat"}},

		{"400 about a field", 400, nil, google("Unknown name \"footer\": Cannot find field.\nsecond line", "INVALID_ARGUMENT", ""), chat.Error{Outcome: chat.Refused, Code: "400", Reason: `Unknown name "footer": Cannot find field. second line`}},
		{"400 about the thread", 400, nil, google("The request contains an invalid thread resource name", "INVALID_ARGUMENT", ""), chat.Error{Outcome: chat.BadThread, Code: "400", Reason: "The request contains an invalid thread resource name"}},
		{"400 about the API key, by its reason", 400, nil, google("No.", "INVALID_ARGUMENT", `{"@type":"x","reason":"API_KEY_INVALID"}`), chat.Error{Outcome: chat.Denied, Code: "400", Reason: "No."}},
		{"400 about the API key, by its sentence", 400, nil, google("API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT", ""), chat.Error{Outcome: chat.Denied, Code: "400", Reason: "API key not valid. Please pass a valid API key."}},
		{"400 without the outer object", 400, nil, `{"code":400,"message":"inner","status":"INVALID_ARGUMENT"}`, chat.Error{Outcome: chat.Refused, Code: "400", Reason: "inner"}},
		{"400 with a page", 400, nil, `<html>` + echo, chat.Error{Outcome: chat.Refused, Code: "400", Reason: "bad request"}},
		{"400 with something else as JSON", 400, nil, `{"error":"no","details":[[[`, chat.Error{Outcome: chat.Refused, Code: "400", Reason: "bad request"}},
		{"400 that echoes the secrets", 400, nil, google("bad "+echo, "INVALID_ARGUMENT", ""), chat.Error{Outcome: chat.Refused, Code: "400", Reason: "bad key=<secret> and <secret> and <secret>"}},
		{"400 that echoes the URL", 400, nil, google(canaryURL, "INVALID_ARGUMENT", ""), chat.Error{Outcome: chat.Refused, Code: "400", Reason: "<secret>"}},
		{"400 with a long body", 400, nil, google("long", "INVALID_ARGUMENT", strings.Repeat(`{"a":"b"},`, 1000)+`{}`), chat.Error{Outcome: chat.Refused, Code: "400", Reason: "long"}},
		{"400 with hostile text", 400, nil, google("a\u0000\x1b[31m\u202eb\t"+strings.Repeat("ü", 400), "INVALID_ARGUMENT", ""), chat.Error{Outcome: chat.Refused, Code: "400", Reason: "a [31mb " + strings.Repeat("ü", 191) + "…"}},
		{"401", 401, nil, ``, chat.Error{Outcome: chat.Denied, Code: "401", Reason: "unauthorized"}},
		{"403", 403, nil, google("The API is called without a valid token.", "PERMISSION_DENIED", ""), chat.Error{Outcome: chat.Denied, Code: "403", Reason: "The API is called without a valid token."}},
		{"404", 404, nil, ``, chat.Error{Outcome: chat.Denied, Code: "404", Reason: "not found"}},
		{"405, which speaks of the URL", 405, nil, ``, chat.Error{Outcome: chat.Denied, Code: "405", Reason: "method not allowed"}},
		{"407, which speaks of a proxy", 407, nil, ``, chat.Error{Outcome: chat.Denied, Code: "407", Reason: "proxy authentication required"}},
		{"408", 408, nil, ``, chat.Error{Outcome: chat.Unknown, Code: "408", Reason: "request timeout"}},
		{"409 ABORTED", 409, nil, google("The operation was aborted.", "ABORTED", ""), chat.Error{Outcome: chat.Unknown, Code: "409", Reason: "The operation was aborted."}},
		{"409 without a word", 409, nil, ``, chat.Error{Outcome: chat.Unknown, Code: "409", Reason: "conflict"}},
		{"413", 413, nil, ``, chat.Error{Outcome: chat.Refused, Code: "413", Reason: "request entity too large"}},
		{"429", 429, http.Header{"Retry-After": {"7"}}, ``, chat.Error{Outcome: chat.NotDone, Code: "429", Reason: "too many requests", RetryAfter: 7 * time.Second}},
		{"500", 500, nil, google("Internal error encountered.", "INTERNAL", ""), chat.Error{Outcome: chat.Unknown, Code: "500", Reason: "Internal error encountered."}},
		{"502 with a page", 502, nil, `<html>` + echo, chat.Error{Outcome: chat.Unknown, Code: "502", Reason: "bad gateway"}},
		{"503", 503, http.Header{"Retry-After": {"-5"}}, ``, chat.Error{Outcome: chat.Unknown, Code: "503", Reason: "service unavailable"}},
		{"599, which nobody knows", 599, nil, ``, chat.Error{Outcome: chat.Unknown, Code: "599", Reason: "an unknown status"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			receipt, err := webhook(t, answering(tt.code, tt.header, tt.body)).Create(t.Context(), hello())
			if receipt != (chat.Receipt{}) {
				t.Errorf("Create = %+v along with an error", receipt)
			}
			if diff := cmp.Diff(tt.want, *failure(t, err)); diff != "" {
				t.Errorf("the error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCreateTakesAlreadyExistsForSuccess(t *testing.T) {
	receipt, err := webhook(t, answering(409, nil, google("exists", "ALREADY_EXISTS", ""))).Create(t.Context(), hello())
	if err != nil || receipt != (chat.Receipt{}) {
		t.Errorf("Create = %+v, %v; want an empty receipt", receipt, err)
	}
}

// Else the message would be sent without its thread again and again.
func TestCreateFindsNoBadThreadWhereThereIsNone(t *testing.T) {
	_, err := webhook(t, answering(400, nil, google("invalid thread", "INVALID_ARGUMENT", ""))).
		Create(t.Context(), chat.Create{Body: []byte(`{"text":"x"}`)})
	if e := failure(t, err); e.Outcome != chat.Refused {
		t.Errorf("the error is %+v, want it Refused", e)
	}
}

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().UTC()
		tests := []struct {
			header string
			want   time.Duration
		}{
			{"", 0},
			{"0", 0},
			{"120", 2 * time.Minute},
			{"-1", 0},
			{"-9223372036854775808", 0},
			{"9223372036854775807", 365 * 24 * time.Hour},
			{"99999999999999999999", 0},
			{"soon", 0},
			{now.Add(90 * time.Second).Format(http.TimeFormat), 90 * time.Second},
			{now.Add(-time.Hour).Format(http.TimeFormat), 0},
			{"Fri, 31 Dec 9999 23:59:59 GMT", 365 * 24 * time.Hour},
		}
		for _, tt := range tests {
			_, err := webhook(t, answering(503, http.Header{"Retry-After": {tt.header}}, "")).Create(t.Context(), hello())
			if got := failure(t, err).RetryAfter; got != tt.want {
				t.Errorf("Retry-After: %q gives %v, want %v", tt.header, got, tt.want)
			}
		}
	})
}

func TestCreateClassifiesErrorsOfATransportThatTellsNothing(t *testing.T) {
	secret := "Post \"" + canaryURL + "\""
	tests := []struct {
		name string
		err  error
		want chat.Error
	}{
		{"a refused connection", &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}, chat.Error{Outcome: chat.NotDone, Code: "connection", Reason: "dial tcp: connection refused"}},
		{"a proxy that refuses", &net.OpError{Op: "proxyconnect", Net: "tcp", Err: syscall.ECONNREFUSED}, chat.Error{Outcome: chat.NotDone, Code: "connection", Reason: "proxyconnect tcp: connection refused"}},
		{"an unknown host", &net.DNSError{Err: "no such host", Name: "chat.googleapis.com", IsNotFound: true}, chat.Error{Outcome: chat.NotDone, Code: "connection", Reason: "lookup chat.googleapis.com: no such host"}},
		{"an untrusted certificate", &tls.CertificateVerificationError{Err: errors.New("unknown authority")}, chat.Error{Outcome: chat.NotDone, Code: "connection", Reason: "tls: failed to verify certificate: unknown authority"}},
		{"a server without TLS", tls.RecordHeaderError{Msg: "no TLS"}, chat.Error{Outcome: chat.NotDone, Code: "connection", Reason: "tls: no TLS"}},
		{"a reset", &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}, chat.Error{Outcome: chat.Unknown, Code: "connection", Reason: "read tcp: connection reset by peer"}},
		{"a closed connection", io.EOF, chat.Error{Outcome: chat.Unknown, Code: "connection", Reason: "the connection was closed before an answer came"}},
		{"a timeout of the client", context.DeadlineExceeded, chat.Error{Outcome: chat.Unknown, Code: "timeout", Reason: "context deadline exceeded"}},
		{"an error that prints the URL", &url.Error{Op: "Post", URL: canaryURL, Err: errors.New("broken")}, chat.Error{Outcome: chat.Unknown, Code: "connection", Reason: "broken"}},
		{"an error that holds the URL", errors.New(secret + ": broken"), chat.Error{Outcome: chat.Unknown, Code: "connection", Reason: `Post "<secret>": broken`}},
		{"an error that holds a proxy's password", errors.New("proxy http://me:CANARY/0@proxy:3128: no"), chat.Error{Outcome: chat.Unknown, Code: "connection", Reason: "proxy <secret>@proxy:3128: no"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := webhook(t, roundTrip(func(*http.Request) (*http.Response, error) { return nil, tt.err }))
			_, err := w.Create(t.Context(), hello())
			if diff := cmp.Diff(tt.want, *failure(t, err)); diff != "" {
				t.Errorf("the error (-want +got):\n%s", diff)
			}
		})
	}
}

// The faults of a real network, over real sockets: in each of the first ones
// nothing can have happened.
func TestCreateOverSockets(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	defer untrusted.Close()
	drops := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer drops.Close()
	forbids := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusProxyAuthRequired) }))
	defer forbids.Close()
	const suffix = "/v1/spaces/AAAA/messages?key=" + canaryKey + "&token=" + canaryToken
	proxy := func(u string) func(*http.Request) (*url.URL, error) {
		parsed, err := url.Parse(strings.Replace(u, "://", "://me:CANARYproxy@", 1))
		return func(*http.Request) (*url.URL, error) { return parsed, err }
	}
	tests := []struct {
		name, base string
		proxy      func(*http.Request) (*url.URL, error)
		outcome    chat.Outcome
		code       string
	}{
		{"nobody listens", closed.URL, nil, chat.NotDone, "connection"},
		{"the server speaks no TLS", strings.Replace(plain.URL, "http:", "https:", 1), nil, chat.NotDone, "connection"},
		{"the certificate is not trusted", untrusted.URL, nil, chat.NotDone, "connection"},
		{"nobody listens at the proxy", "https://chat.invalid", proxy(closed.URL), chat.NotDone, "connection"},
		{"the proxy wants a password", "https://chat.invalid", proxy(forbids.URL), chat.NotDone, "connection"},
		{"the connection is closed after the request", drops.URL, nil, chat.Unknown, "connection"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			transport := &http.Transport{Proxy: tt.proxy}
			defer transport.CloseIdleConnections()
			_, err := webhookAt(t, tt.base+suffix, transport).Create(t.Context(), hello())
			if e := failure(t, err); e.Outcome != tt.outcome || e.Code != tt.code {
				t.Errorf("the error is %+v, want outcome %d and code %s", e, tt.outcome, tt.code)
			}
		})
	}
}

func TestCreateNeverFollowsRedirects(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("followed to %s", r.URL.Path) }))
	defer elsewhere.Close()
	here := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer here.Close()
	client := here.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return nil }
	u := mustURL(t, here.URL+"/v1/spaces/AAAA/messages?key="+canaryKey+"&token="+canaryToken)
	w := chat.NewWebhook(chat.WebhookOptions{URL: u, HTTP: client})
	_, err := w.Create(t.Context(), hello())
	if e := failure(t, err); e.Outcome != chat.Denied || e.Code != "307" {
		t.Errorf("the error is %+v, want it Denied with 307", e)
	}
	if client.CheckRedirect(nil, nil) != nil {
		t.Error("the caller's client was changed")
	}
}

func TestAWebhookCannotEdit(t *testing.T) {
	_, err := webhook(t, nil).Edit(t.Context(), chat.Edit{Name: "spaces/AAAA/messages/M"})
	if e := failure(t, err); e.Outcome != chat.Refused || e.Error() != "config: an incoming webhook cannot edit messages" {
		t.Errorf("Edit: %+v, want it Refused", e)
	}
}

// The faults of Google Chat, and what is known of them and what happened.
func TestCreateAgainstFaults(t *testing.T) {
	const timeout = 10 * time.Second
	tests := []struct {
		name     string
		fault    chattest.Fault
		outcome  chat.Outcome
		code     string
		messages int
	}{
		{"no connection", chattest.Fault{Refuse: true}, chat.NotDone, "connection", 0},
		{"no answer", chattest.Fault{Hang: true}, chat.Unknown, "timeout", 0},
		{"too slow", chattest.Fault{Delay: 11 * time.Second}, chat.Unknown, "timeout", 0},
		{"it happened, but no answer", chattest.Fault{Act: true, Hang: true}, chat.Unknown, "timeout", 1},
		{"a closed connection", chattest.Fault{Drop: true}, chat.Unknown, "connection", 0},
		{"it happened, but the answer was lost", chattest.Fault{Act: true, Drop: true}, chat.Unknown, "connection", 1},
		{"it happened, but 500", chattest.Fault{Act: true, Status: 500}, chat.Unknown, "500", 1},
		{"half an answer", chattest.Fault{Truncate: true}, chat.Unknown, "response", 1},
		{"a page of the load balancer", chattest.Fault{Status: 502, Body: "<html>"}, chat.Unknown, "502", 0},
		{"overload", chattest.Fault{Status: 503}, chat.Unknown, "503", 0},
		{"too many requests", chattest.Fault{Status: 429}, chat.NotDone, "429", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := chattest.New(chattest.Options{})
				path := server.AddWebhook("spaces/AAAA")
				server.Inject("spaces/AAAA", 1, tt.fault)
				w := webhookAt(t, "https://chat.googleapis.com"+path, server.Transport())
				ctx, cancel := context.WithTimeout(t.Context(), timeout)
				defer cancel()
				_, err := w.Create(ctx, hello())
				if e := failure(t, err); e.Outcome != tt.outcome || e.Code != tt.code {
					t.Errorf("the error is %+v, want outcome %d and code %s", e, tt.outcome, tt.code)
				}
				if got := len(server.Messages("spaces/AAAA")); got != tt.messages {
					t.Errorf("the space has %d messages, want %d", got, tt.messages)
				}
				if _, err := w.Create(t.Context(), hello()); err != nil {
					t.Errorf("the same again: %v", err)
				}
				if got := len(server.Messages("spaces/AAAA")); got != 1 {
					t.Errorf("after the same again the space has %d messages, want 1", got)
				}
			})
		})
	}
}

func TestAnAbandonedAttemptSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := chattest.New(chattest.Options{})
		w := webhookAt(t, "https://chat.googleapis.com"+server.AddWebhook("spaces/AAAA"), server.Transport())
		server.Inject("spaces/AAAA", -1, chattest.Fault{Hang: true})

		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("attempt: took more than 1s"))
		defer cancel()
		_, err := w.Create(ctx, hello())
		if diff := cmp.Diff(chat.Error{Outcome: chat.Unknown, Code: "timeout", Reason: "attempt: took more than 1s"}, *failure(t, err)); diff != "" {
			t.Errorf("after a timeout (-want +got):\n%s", diff)
		}

		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, stop)
		_, err = w.Create(ctx, hello())
		if diff := cmp.Diff(chat.Error{Outcome: chat.Unknown, Code: "connection", Reason: "the attempt was abandoned"}, *failure(t, err)); diff != "" {
			t.Errorf("after the end of the program (-want +got):\n%s", diff)
		}
	})
}

// A network that swallows packets is no reason to hold on to a message.
func TestNothingHappensBeforeThereIsAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		defer close(end)
		w := webhook(t, &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			<-end
			return nil, errors.New("the end of the test")
		}})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := w.Create(ctx, hello())
		if diff := cmp.Diff(chat.Error{Outcome: chat.NotDone, Code: "timeout", Reason: "no answer in time"}, *failure(t, err)); diff != "" {
			t.Errorf("the error (-want +got):\n%s", diff)
		}
	})
}

// body is the body of an answer that fails while it is read.
type body struct{ err func() error }

func (b body) Read([]byte) (int, error) { return 0, b.err() }
func (b body) Close() error             { return nil }

func TestAnswersThatBreakOff(t *testing.T) {
	tests := []struct {
		name string
		code int
		err  func(ctx context.Context) error
		want chat.Error
	}{
		{"cut", 200, func(context.Context) error { return io.ErrUnexpectedEOF }, chat.Error{Outcome: chat.Unknown, Code: "response", Reason: "the answer broke off"}},
		{"reset", 200, func(context.Context) error { return &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET} }, chat.Error{Outcome: chat.Unknown, Code: "connection", Reason: "read tcp: connection reset by peer"}},
		{"too slow", 200, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, chat.Error{Outcome: chat.Unknown, Code: "timeout", Reason: "no answer in time"}},
		{"an error, cut", 403, func(context.Context) error { return io.ErrUnexpectedEOF }, chat.Error{Outcome: chat.Denied, Code: "403", Reason: "forbidden"}},
		{"an error, too slow", 403, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, chat.Error{Outcome: chat.Denied, Code: "403", Reason: "forbidden"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				_, err := webhook(t, roundTrip(func(r *http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: tt.code, Header: http.Header{}, Body: body{func() error { return tt.err(ctx) }}, Request: r}, nil
				})).Create(ctx, hello())
				if diff := cmp.Diff(tt.want, *failure(t, err)); diff != "" {
					t.Errorf("the error (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func BenchmarkCreate(b *testing.B) {
	body := example(b, "alert-card.json")
	w := webhook(b, answering(200, nil, `{"name":"spaces/AAAA/messages/T.T","thread":{"name":"spaces/AAAA/threads/T"}}`))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Create(b.Context(), chat.Create{Body: body, RequestID: "r", Threaded: true}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestSentSaysWhenTheRequestIsOnItsWay(t *testing.T) {
	var got bool
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"name":"spaces/A/messages/1.1"}`)
	}))
	u, err := chat.ParseWebhookURL(s.URL + "/v1/spaces/A/messages?key=k1234&token=t1234")
	if err != nil {
		t.Fatal(err)
	}
	hook := chat.NewWebhook(chat.WebhookOptions{URL: u})
	create := chat.Create{Body: []byte(`{"text":"x"}`), Sent: func() { got = true }}
	if _, err := hook.Create(t.Context(), create); err != nil || !got {
		t.Errorf("Create = %v, said to be sent: %t", err, got)
	}
	s.Close()
	got = false
	if _, err := hook.Create(t.Context(), create); err == nil || got {
		t.Errorf("Create = %v where nobody listens, said to be sent: %t", err, got)
	}
}

func TestAsErrorKeepsAnError(t *testing.T) {
	refused := &chat.Error{Outcome: chat.Refused, Code: "400", Reason: "no"}
	if got := chat.AsError(fmt.Errorf("attempt: %w", refused)); got != refused {
		t.Errorf("AsError = %v, want the error within", got)
	}
	want := chat.Error{Outcome: chat.Unknown, Code: "connection", Reason: "broken"}
	if got := chat.AsError(errors.New("broken")); *got != want {
		t.Errorf("AsError = %v, want %v", *got, want)
	}
}
