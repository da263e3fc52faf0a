package chattest

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"unicode/utf8"

	"alertchat/receiver/chat"
)

// maxBody is the size of a request that is read at all.
const maxBody = 1 << 20

// serveWebhook is the front door of incoming webhooks: spaces.messages.create
// with a key and a token instead of a bearer token.
func (s *Server) serveWebhook(w http.ResponseWriter, r *http.Request) {
	query, queryErr := url.ParseQuery(r.URL.RawQuery)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLong := (*http.MaxBytesError)(nil); err != nil && !errors.As(err, &tooLong) {
		panic(http.ErrAbortHandler) // the client went away
	}
	request := s.arrive(Request{
		Space:     "spaces/" + r.PathValue("space"),
		Door:      chat.ByWebhook,
		RequestID: query.Get("requestId"),
		Body:      body,
	})
	s.serve(w, r, request, func() reply {
		if queryErr != nil || err != nil {
			return invalidArgument("Request contains an invalid argument.").reply()
		}
		return s.createByWebhook(r, query, request)
	})
}

// createByWebhook checks what only a webhook's request has, and makes the
// message.
func (s *Server) createByWebhook(r *http.Request, query url.Values, request *Request) reply {
	violations := chat.Check(request.Body, chat.ByWebhook) // takes longest, so not under the lock
	s.mu.Lock()
	defer s.mu.Unlock()
	sp := s.spaces[request.Space]
	by, refused := s.authenticate(sp, query)
	if refused == nil && r.Method != http.MethodPost {
		refused = googleError(http.StatusForbidden)
	}
	if refused == nil {
		refused = checkRequest(r, query)
	}
	if refused != nil {
		return refused.reply()
	}
	request.Violations = violations
	m, refused := s.create(sp, write{
		by:         by,
		body:       request.Body,
		violations: violations,
		requestID:  request.RequestID,
		messageID:  query.Get("messageId"),
		option:     query.Get("messageReplyOption"),
		threadKey:  query.Get("threadKey"),
	})
	if refused != nil {
		return refused.reply()
	}
	request.Message = m.Name
	return echo(m)
}

// authenticate finds the webhook with the query's key and token. The caller
// holds mu.
func (s *Server) authenticate(sp *space, query url.Values) (*credential, *refusal) {
	const (
		noKey = "Method doesn't allow unregistered callers (callers without established identity). " +
			"Please use API Key or other form of API consumer identity to call this API."
		badKey  = "API key not valid. Please pass a valid API key."
		noToken = "The API is called without a valid token. Instructions on how to use incoming webhooks " +
			"can be found at https://developers.google.com/chat/how-tos/webhooks"
	)
	switch key := query.Get("key"); {
	case key == "":
		return nil, &refusal{code: http.StatusForbidden, status: "PERMISSION_DENIED", message: noKey}
	case key != s.key:
		return nil, &refusal{code: http.StatusBadRequest, status: "INVALID_ARGUMENT", message: badKey, reason: "API_KEY_INVALID"}
	case sp == nil:
		return nil, notFound()
	}
	c := sp.webhook(query.Get("token"))
	switch {
	case c == nil:
		return nil, &refusal{code: http.StatusForbidden, status: "PERMISSION_DENIED", message: noToken}
	case c.removed:
		return nil, notFound()
	}
	return c, nil
}

// checkRequest checks everything about a request but its credentials and its
// message.
func checkRequest(r *http.Request, query url.Values) *refusal {
	known := []string{
		"key", "token", "requestId", "messageId", "messageReplyOption", "threadKey",
		"createMessageNotificationOptions.notificationType",
		"$.xgafv", "alt", "fields", "prettyPrint", "quotaUser",
	}
	for name, values := range query {
		if !slices.Contains(known, name) || len(values) > 1 {
			return invalidArgument(fmt.Sprintf("Invalid JSON payload received. Unknown name %q: Cannot bind query parameter. "+
				"Field '%s' could not be found in request message.", name, name))
		}
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return invalidArgument("Invalid JSON payload received. The request is not of type application/json.")
	}
	if id := query.Get("messageId"); id != "" && !clientID.MatchString(id) {
		return invalidArgument("Invalid message ID.")
	}
	if utf8.RuneCountInString(query.Get("threadKey")) > chat.MaxThreadKey {
		return invalidArgument("Invalid thread key.")
	}
	switch kind := query.Get("createMessageNotificationOptions.notificationType"); kind {
	case "", "NOTIFICATION_TYPE_NONE":
		return nil
	default: // the others need a Chat app
		return googleError(http.StatusForbidden)
	}
}
