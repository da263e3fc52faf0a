package chattest

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"alertchat/receiver/chat"
)

// maxBody is the size of a request that is read at all.
const maxBody = 1 << 20

// call is a request on its way through a door.
type call struct {
	*http.Request

	note       *Request // the request in the history
	query      url.Values
	garbled    bool             // whether its query or its body cannot be read
	bearer     string           // the token of an app; empty for a webhook
	violations []chat.Violation // of its body
}

// method does the work of a request, and returns what is answered as JSON. It
// is called with mu held.
type method func(*call) (map[string]any, *refusal)

// door returns a handler that notes a request and lets a method answer it,
// unless it has a fault.
func (s *Server) door(do method) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := s.receive(w, r)
		serve(w, r, s.fault(c.note), func() reply { return s.act(c, do) }, func(status int) { s.answered(c.note, status) })
	}
}

// receive reads a request and notes it.
func (s *Server) receive(w http.ResponseWriter, r *http.Request) *call {
	query, queryErr := url.ParseQuery(r.URL.RawQuery)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLong := (*http.MaxBytesError)(nil); err != nil && !errors.As(err, &tooLong) {
		panic(http.ErrAbortHandler) // the client went away
	}
	note := Request{
		Client:    r.RemoteAddr,
		Method:    r.Method,
		Door:      chat.ByWebhook,
		RequestID: query.Get("requestId"),
		MessageID: query.Get("messageId"),
		Body:      body,
	}
	scheme, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		note.Door = chat.ByApp
	} else {
		bearer = ""
	}
	space, message := r.PathValue("space"), r.PathValue("message")
	switch {
	case space == "":
		note.Target = query.Get("name")
	case message == "":
		note.Space = "spaces/" + space
	default:
		note.Space = "spaces/" + space
		note.Target = note.Space + "/messages/" + message
	}
	return &call{Request: r, note: s.arrive(note), query: query, garbled: queryErr != nil || err != nil, bearer: bearer}
}

// act does the work of a request.
func (s *Server) act(c *call, do method) reply {
	if c.garbled {
		return googleError(http.StatusBadRequest).reply()
	}
	if c.hasBody() {
		c.violations = chat.Check(c.note.Body, c.note.Door) // takes longest, so not under the lock
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fields, refused := do(c)
	if refused != nil {
		return refused.reply()
	}
	return jsonReply(http.StatusOK, fields)
}

// hasBody reports whether a request holds a message.
func (c *call) hasBody() bool {
	return c.Method == http.MethodPost || c.Method == http.MethodPatch || c.Method == http.MethodPut
}

// write returns the message that a request is to create.
func (c *call) write(by *credential) write {
	return write{
		by:         by,
		body:       c.note.Body,
		violations: c.violations,
		requestID:  c.note.RequestID,
		messageID:  c.note.MessageID,
		option:     c.query.Get("messageReplyOption"),
		threadKey:  c.query.Get("threadKey"),
	}
}

// checkCreate checks everything about a request for a new message but its
// credentials and the message.
func (c *call) checkCreate() *refusal {
	const notify = "createMessageNotificationOptions.notificationType"
	if refused := c.checkQuery("requestId", "messageId", "messageReplyOption", "threadKey", notify); refused != nil {
		return refused
	}
	if refused := c.checkType(); refused != nil {
		return refused
	}
	if id := c.note.MessageID; id != "" && !clientID.MatchString(id) {
		return invalidArgument("Invalid message ID.")
	}
	if utf8.RuneCountInString(c.query.Get("threadKey")) > chat.MaxThreadKey {
		return invalidArgument("Invalid thread key.")
	}
	return mayNotify(c.note.Door, c.query.Get(notify))
}

// checkQuery refuses parameters that a method does not know, and those that are
// there twice. Some are known to all.
func (c *call) checkQuery(known ...string) *refusal {
	known = append(known, "$.xgafv", "alt", "fields", "prettyPrint", "quotaUser")
	if c.note.Door == chat.ByWebhook {
		known = append(known, "key", "token")
	}
	for _, name := range slices.Sorted(maps.Keys(c.query)) {
		if !slices.Contains(known, name) || len(c.query[name]) > 1 {
			return invalidArgument(fmt.Sprintf("Invalid JSON payload received. Unknown name %q: Cannot bind query parameter. "+
				"Field '%s' could not be found in request message.", name, name))
		}
	}
	return nil
}

// checkBool reads a parameter that is true or false, or not there.
func (c *call) checkBool(name string) (bool, *refusal) {
	switch value := c.query.Get(name); value {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, invalidArgument(fmt.Sprintf("Invalid value at '%s' (TYPE_BOOL), %q", name, value))
	}
}

func (c *call) checkType() *refusal {
	if kind, _, err := mime.ParseMediaType(c.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return invalidArgument("Invalid JSON payload received. The request is not of type application/json.")
	}
	return nil
}
