package chattest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"alertchat/receiver/chat"
)

// echo answers like Chat does to a webhook: with what was in the request, the
// message's name and that of its thread.
func echo(m *Message) map[string]any {
	thread := map[string]string{"name": m.Thread}
	if m.ThreadKey != "" {
		thread["threadKey"] = m.ThreadKey
	}
	fields := map[string]any{}
	for name, value := range m.fields {
		fields[name] = value
	}
	fields["name"], fields["thread"] = m.Name, thread
	return fields
}

// full answers like Chat does to an app: with the whole message.
func full(m *Message, a *App, sp *space) map[string]any {
	fields := echo(m)
	fields["sender"] = map[string]string{"name": "users/" + a.id, "displayName": a.displayName(), "type": "BOT"}
	fields["createTime"] = m.CreatedAt.UTC().Format(time.RFC3339Nano)
	fields["space"] = sp.describe()
	for _, name := range []string{"clientAssignedMessageId", "lastUpdateTime", "threadReply"} {
		delete(fields, name) // Chat's to say, not the request's
	}
	if m.ClientID != "" {
		fields["clientAssignedMessageId"] = m.ClientID
	}
	if n := len(m.Versions); n > 1 {
		fields["lastUpdateTime"] = m.Versions[n-1].At.UTC().Format(time.RFC3339Nano)
	}
	if m.Reply {
		fields["threadReply"] = true
	}
	return fields
}

// describe returns a space as Chat's answers have it.
func (sp *space) describe() map[string]any {
	if sp.direct {
		return map[string]any{
			"name": sp.place, "type": "DM", "spaceType": "DIRECT_MESSAGE",
			"singleUserBotDm": true, "spaceThreadingState": "UNTHREADED_MESSAGES",
		}
	}
	return map[string]any{
		"name": sp.place, "type": "ROOM", "spaceType": "SPACE",
		"displayName": strings.TrimPrefix(sp.place, "spaces/"), "spaceThreadingState": "THREADED_MESSAGES",
	}
}

// jsonReply answers with a value as JSON.
func jsonReply(code int, v any) reply {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err) // strings, numbers and what was JSON before
	}
	return reply{code: code, kind: "application/json; charset=UTF-8", body: append(body, '\n')}
}

// reply is an answer that is ready to be written.
type reply struct {
	code       int
	kind       string // the content type
	private    bool   // whether nobody may keep it
	body       []byte
	retryAfter time.Duration
}

// write writes the answer.
func (a reply) write(w http.ResponseWriter) { a.begin(w, len(a.body)) }

// begin writes the answer up to the first size bytes of its body.
func (a reply) begin(w http.ResponseWriter, size int) {
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("Content-Length", fmt.Sprint(len(a.body)))
	if a.private {
		w.Header().Set("Cache-Control", "no-cache, no-store, max-age=0, must-revalidate")
		w.Header().Set("Pragma", "no-cache")
	}
	if a.retryAfter > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(int64((a.retryAfter+time.Second-1)/time.Second)))
	}
	w.WriteHeader(a.code)
	_, _ = w.Write(a.body[:size]) // a client that is gone does not matter
}

// refusal is an error of a Google API.
type refusal struct {
	code       int
	status     string
	message    string
	violations []chat.Violation
	reason     string // of an ErrorInfo
	retryAfter time.Duration
}

func invalidArgument(message string) *refusal {
	return &refusal{code: http.StatusBadRequest, status: "INVALID_ARGUMENT", message: message}
}

func forbidden(message string) *refusal {
	return &refusal{code: http.StatusForbidden, status: "PERMISSION_DENIED", message: message}
}

func notFound() *refusal { return googleError(http.StatusNotFound) }

// invalid refuses a message for what was found in it, and returns nil where
// that is nothing but remarks.
func invalid(violations []chat.Violation) *refusal {
	r := invalidArgument("")
	var sentences []string
	for _, v := range violations {
		if v.Kind == chat.Remark {
			continue
		}
		r.violations = append(r.violations, v)
		sentences = append(sentences, sentence(v))
	}
	if len(sentences) == 0 {
		return nil
	}
	r.message = strings.Join(sentences, "\n")
	return r
}

// sentence returns what Chat says of a violation, or else what we do.
func sentence(v chat.Violation) string {
	if v.Answer != "" {
		return v.Answer
	}
	return v.String()
}

// reply returns the refusal in the envelope that Google's APIs share.
func (r *refusal) reply() reply {
	type violation struct {
		Field       string `json:"field"`
		Description string `json:"description"`
	}
	type detail struct {
		Type       string            `json:"@type"`
		Violations []violation       `json:"fieldViolations,omitempty"`
		Reason     string            `json:"reason,omitempty"`
		Domain     string            `json:"domain,omitempty"`
		Metadata   map[string]string `json:"metadata,omitempty"`
	}
	var envelope struct {
		Error struct {
			Code    int      `json:"code"`
			Message string   `json:"message"`
			Status  string   `json:"status"`
			Details []detail `json:"details,omitempty"`
		} `json:"error"`
	}
	e := &envelope.Error
	e.Code, e.Message, e.Status = r.code, r.message, r.status
	if r.reason != "" {
		e.Details = append(e.Details, detail{
			Type: "type.googleapis.com/google.rpc.ErrorInfo", Reason: r.reason, Domain: "googleapis.com",
			Metadata: map[string]string{"service": "chat.googleapis.com"},
		})
	}
	bad := detail{Type: "type.googleapis.com/google.rpc.BadRequest"}
	for _, v := range r.violations {
		bad.Violations = append(bad.Violations, violation{v.Field(), sentence(v)})
	}
	if len(bad.Violations) > 0 {
		e.Details = append(e.Details, bad)
	}
	a := jsonReply(r.code, envelope)
	a.retryAfter = r.retryAfter
	return a
}

// googleError returns what Google's APIs answer with a status when there is
// nothing more to say.
func googleError(code int) *refusal {
	r := &refusal{code: code, status: "UNKNOWN", message: "Unknown error."}
	switch code {
	case http.StatusBadRequest:
		r.status, r.message = "INVALID_ARGUMENT", "Request contains an invalid argument."
	case http.StatusUnauthorized:
		r.status, r.message = "UNAUTHENTICATED", "Request had invalid authentication credentials. "+
			"Expected OAuth 2 access token, login cookie or other valid authentication credential. "+
			"See https://developers.google.com/identity/sign-in/web/devconsole-project."
	case http.StatusForbidden:
		r.status, r.message = "PERMISSION_DENIED", "The caller does not have permission"
	case http.StatusNotFound:
		r.status, r.message = "NOT_FOUND", "Requested entity was not found."
	case http.StatusConflict:
		r.status, r.message = "ABORTED", "The operation was aborted."
	case http.StatusTooManyRequests:
		r.status, r.message = "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."
	case http.StatusInternalServerError:
		r.status, r.message = "INTERNAL", "Internal error encountered."
	case http.StatusServiceUnavailable:
		r.status, r.message = "UNAVAILABLE", "The service is currently unavailable."
	case http.StatusGatewayTimeout:
		r.status, r.message = "DEADLINE_EXCEEDED", "Deadline expired before operation could complete."
	}
	return r
}
