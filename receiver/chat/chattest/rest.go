package chattest

import (
	"net/http"
	"regexp"
	"strings"

	"alertchat/receiver/chat"
)

// The REST API of a Chat app
// (https://developers.google.com/workspace/chat/api/reference/rest), as far as
// the scope chat.bot goes.

// atMessages answers at v1/spaces/S/messages, behind both doors.
func (s *Server) atMessages(c *call) (map[string]any, *refusal) {
	if c.note.Door == chat.ByWebhook {
		return s.createByWebhook(c)
	}
	a, sp, refused := s.member(c)
	if refused != nil {
		return nil, refused
	}
	switch c.Method {
	case http.MethodPost:
		return s.createByApp(c, a, sp)
	case http.MethodGet: // to list them takes scopes that need an administrator
		r := forbidden("Request had insufficient authentication scopes.")
		r.reason = "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
		return nil, r
	default:
		return nil, notFound()
	}
}

// createByApp is spaces.messages.create.
func (s *Server) createByApp(c *call, a *App, sp *space) (map[string]any, *refusal) {
	if refused := c.checkCreate(); refused != nil {
		return nil, refused
	}
	c.note.Violations = c.violations
	m, refused := s.create(sp, c.write(a.credential))
	if refused != nil {
		return nil, refused
	}
	c.note.Message = m.Name
	return full(m, a, sp), nil
}

// atMessage answers at v1/spaces/S/messages/M.
func (s *Server) atMessage(c *call) (map[string]any, *refusal) {
	if c.note.Door == chat.ByWebhook {
		return nil, s.refuseWebhook(c)
	}
	a, sp, refused := s.member(c)
	if refused != nil {
		return nil, refused
	}
	switch c.Method {
	case http.MethodPatch, http.MethodPut:
		return s.editByApp(c, a, sp)
	case http.MethodDelete:
		return s.deleteByApp(c, a, sp)
	case http.MethodGet:
		return s.getByApp(c, a, sp)
	default:
		return nil, notFound()
	}
}

// deleteByApp is spaces.messages.delete.
func (s *Server) deleteByApp(c *call, a *App, sp *space) (map[string]any, *refusal) {
	if refused := c.checkQuery("force"); refused != nil {
		return nil, refused
	}
	if _, refused := c.checkBool("force"); refused != nil { // it says nothing to an app
		return nil, refused
	}
	if refused := s.throttle(sp, s.options.Now()); refused != nil {
		return nil, refused
	}
	m, refused := own(sp, a, c.PathValue("message"))
	if refused != nil {
		return nil, refused
	}
	sp.remove(m, s.options.KeepDeleted)
	return map[string]any{}, nil
}

// getByApp is spaces.messages.get, for an app's own messages.
func (s *Server) getByApp(c *call, a *App, sp *space) (map[string]any, *refusal) {
	const syntax = "markupSyntax"
	if refused := c.checkQuery(syntax); refused != nil {
		return nil, refused
	}
	switch value := c.query.Get(syntax); value {
	case "", "MARKUP_SYNTAX_UNSPECIFIED", "MARKUP_SYNTAX_CHAT", "MARKUP_SYNTAX_MARKDOWN":
	default:
		return nil, invalidArgument(`Invalid value at 'markup_syntax' (type.googleapis.com/google.chat.v1.MarkupSyntax), "` + value + `"`)
	}
	m, refused := own(sp, a, c.PathValue("message"))
	if refused != nil {
		return nil, refused
	}
	return full(m, a, sp), nil
}

// own finds a message of an app by either of its names.
func own(sp *space, a *App, id string) (*Message, *refusal) {
	m := sp.named[id]
	switch {
	case m == nil:
		return nil, notFound()
	case m.requestID.by != a.credential:
		return nil, googleError(http.StatusForbidden)
	}
	return m, nil
}

// userName is the name of a user as an app may write it.
var userName = regexp.MustCompile(`^users/[0-9]+$`)

// findDirectMessage is spaces.findDirectMessage.
func (s *Server) findDirectMessage(c *call) (map[string]any, *refusal) {
	if c.note.Door == chat.ByWebhook {
		return nil, s.refuseWebhook(c)
	}
	a, refused := s.app(c)
	if refused != nil {
		return nil, refused
	}
	if refused := c.checkQuery("name"); refused != nil {
		return nil, refused
	}
	switch user := c.note.Target; {
	case userName.MatchString(user):
		sp := s.spaces[a.direct[user]]
		if sp == nil || !sp.members[a] {
			return nil, notFound()
		}
		return sp.describe(), nil
	case strings.HasPrefix(user, "users/") && strings.Contains(user, "@"):
		return nil, forbidden("This method doesn't support app authentication using email aliases.")
	default:
		return nil, invalidArgument("Invalid user resource name.")
	}
}
