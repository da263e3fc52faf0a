package chat

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
)

// GoogleAPI is where Google's Chat API is.
const GoogleAPI = "https://chat.googleapis.com"

// AppOptions say where an [App] writes to, and who it is.
type AppOptions struct {
	// Space is the Google space that the app is a member of, "spaces/AAAA".
	Space string
	// User is who has a direct message with the app, "users/123", where Space is
	// empty.
	User        string
	Credentials *Credentials
	URL         string // of the API; empty for [GoogleAPI]
	// HTTP makes the requests; nil stands for a client of its own. Redirects are
	// never followed, whatever it says of them.
	HTTP *http.Client
}

// App writes messages to Google Chat over the REST API, as a Chat app with a
// service account. For each call it makes one request, and another one where
// Google does not take a token that it had given; pace and retries are the
// caller's. Its errors are always an [*Error].
type App struct {
	user        string
	base        string // of resources: "https://chat.googleapis.com/v1/"
	credentials *Credentials
	http        *http.Client

	mu    sync.Mutex // guards place
	place string     // empty while the user's direct message is not known
}

// NewApp returns a client for one space.
func NewApp(o AppOptions) *App {
	return &App{
		user:        o.User,
		base:        strings.TrimSuffix(cmp.Or(o.URL, GoogleAPI), "/") + "/v1/",
		credentials: o.Credentials,
		http:        straight(o.HTTP),
		place:       o.Space,
	}
}

// Place returns the Google space that the app writes to, "spaces/AAAA". It is
// empty while the space of the user's direct message is not known.
func (a *App) Place() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.place
}

// Find returns the Google space that the app writes to. Where it is a user's
// direct message, it asks Chat the first time.
func (a *App) Find(ctx context.Context) (string, error) {
	if place := a.Place(); place != "" {
		return place, nil
	}
	query := url.Values{"name": {a.user}}
	body, err := a.do(ctx, request{method: http.MethodGet, resource: "spaces:findDirectMessage", query: query, advise: a.adviseUser})
	if err != nil {
		e := AsError(err)
		switch e.Outcome {
		case Unknown:
			e.Outcome = NotDone // it was only a question
		case Refused:
			e.Outcome = Denied // it is not about any message
		case NotDone, Denied, BadThread, Exists, Gone:
		}
		return "", e
	}
	var space struct {
		Name string `json:"name"`
	}
	if err := json.Unmarshal(body, &space); err != nil || !strings.HasPrefix(space.Name, "spaces/") {
		return "", &Error{Outcome: NotDone, Code: codeResponse, Reason: "the answer is no space of Google Chat"}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.place = space.Name
	return space.Name, nil
}

// forget lets the user's direct message be found anew where the app is denied
// access: it may have been removed and installed again.
func (a *App) forget(e *Error) {
	if a.user == "" || e.Outcome != Denied || e.Code == codeToken {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.place = ""
}

// clientID is the form of a messageId
// (https://developers.google.com/workspace/chat/create-messages#name_a_created_message).
var clientID = regexp.MustCompile(`^client-[a-z0-9-]{1,56}$`)

// Create posts a new message. Without a MessageID, a receipt without names is
// that of a message which Chat had taken before; with one that exists, it fails
// with the outcome [Exists].
func (a *App) Create(ctx context.Context, c Create) (Receipt, error) {
	place, err := a.Find(ctx)
	if err != nil {
		return Receipt{}, err
	}
	query := createQuery(c)
	if id := cmp.Or(c.MessageID, "client-"+strings.ToLower(c.RequestID)); clientID.MatchString(id) {
		// Also where nobody will edit it: the same request makes no second message.
		query.Set("messageId", id)
	}
	body, err := a.do(ctx, request{
		method: http.MethodPost, resource: place + "/messages", query: query, body: c.Body,
		sent: c.Sent, threaded: c.Threaded, advise: a.adviseCreate,
	})
	if err == nil {
		return readReceipt(body)
	}
	e := AsError(err)
	if e.Outcome == Exists && c.MessageID == "" {
		return Receipt{}, nil
	}
	a.forget(e)
	return Receipt{}, e
}

// Edit replaces the text and the cards of one of the app's own messages, and
// its accessory widgets where the new body has some. A message that is gone is
// made anew, or it fails with the outcome [Gone], as one does that is not the
// app's.
func (a *App) Edit(ctx context.Context, e Edit) (Receipt, error) {
	mask := "text,cards_v2"
	var body struct {
		Accessory json.RawMessage `json:"accessoryWidgets"`
	}
	if json.Unmarshal(e.Body, &body) == nil && body.Accessory != nil {
		mask += ",accessory_widgets"
	}
	query := url.Values{"updateMask": {mask}}
	if e.Remake {
		query.Set("allowMissing", "true")
	}
	answer, err := a.do(ctx, request{
		method: http.MethodPatch, resource: e.Name, query: query, body: e.Body, sent: e.Sent, advise: a.adviseEdit,
	})
	if err == nil {
		return readReceipt(answer)
	}
	failure := AsError(err)
	// Google gives nothing but the sentence to tell who is no member of the space.
	if failure.Code == "404" || failure.Code == "403" && !strings.Contains(failure.Reason, notMember) {
		failure.Outcome = Gone
	}
	a.forget(failure)
	return Receipt{}, failure
}

// notMember is a part of what Google says to an app that is not in a space.
const notMember = "permitted to use this app"

// request is one request to the API.
type request struct {
	method   string
	resource string // "spaces/AAAA/messages"
	query    url.Values
	body     []byte
	sent     func()
	threaded bool
	advise   func(code int) string // what to do about a status; may be empty
}

// do makes a request and returns the body of the answer.
func (a *App) do(ctx context.Context, r request) ([]byte, error) {
	for first := true; ; first = false {
		token, fresh, err := a.credentials.get(ctx)
		if err != nil {
			return nil, err
		}
		said := answer{
			scrub:    func(s string) string { return strings.ReplaceAll(s, token, redacted) },
			threaded: r.threaded, advise: r.advise,
		}
		body, err := said.to(ctx, a.http, outgoing{
			method: r.method, url: a.base + r.resource + "?" + r.query.Encode(), token: token, body: r.body, sent: r.sent,
		})
		if err == nil || AsError(err).Code != "401" {
			return body, err
		}
		// It did nothing, and a token may be revoked before its end.
		a.credentials.drop(token)
		if fresh || !first {
			return nil, err
		}
	}
}

// The advice for what an app is refused. What Chat itself says is in front of
// it, and often says nothing.

func (a *App) adviseUser(code int) string {
	switch code {
	case http.StatusNotFound:
		return fmt.Sprintf("the user %s has no direct message with the app: they must install it in Google Chat, or an administrator for them", a.user)
	case http.StatusForbidden, http.StatusBadRequest:
		return "want the user's number, users/123: an e-mail address does not do, and the Chat API must be configured in the service account's project"
	}
	return adviseCaller(code)
}

func (a *App) adviseCreate(code int) string {
	switch code {
	case http.StatusForbidden:
		return fmt.Sprintf("add the app to %s (the space's menu, Apps & integrations), or mend app.space", a.Place())
	case http.StatusNotFound:
		return fmt.Sprintf("see whether there is a space %s, and whether the Chat API is configured in the service account's project", a.Place())
	}
	return adviseCaller(code)
}

func (a *App) adviseEdit(code int) string {
	if code == http.StatusForbidden {
		return "the app can edit its own messages only, in spaces that it is a member of"
	}
	return adviseCaller(code)
}

func adviseCaller(code int) string {
	if code == http.StatusUnauthorized {
		return "see whether the service account is still there, and the Chat API is enabled in its project"
	}
	return ""
}

// straight returns a copy of a client that follows no redirects: one would lose
// the body and give the credentials to another host.
func straight(from *http.Client) *http.Client {
	var client http.Client
	if from != nil {
		client = *from
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

// createQuery returns what both doors take of a new message.
func createQuery(c Create) url.Values {
	query := url.Values{}
	if c.RequestID != "" {
		query.Set("requestId", c.RequestID)
	}
	if c.Threaded {
		query.Set("messageReplyOption", "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD")
	}
	return query
}
