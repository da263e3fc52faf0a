package chattest

import (
	"net/http"
	"net/url"

	"alertchat/receiver/chat"
)

// createByWebhook makes the message of a webhook's request:
// spaces.messages.create with a key and a token instead of a bearer token.
func (s *Server) createByWebhook(c *call) (map[string]any, *refusal) {
	sp := s.spaces[c.note.Space]
	by, refused := s.authenticate(sp, c.query)
	switch {
	case refused != nil:
	case c.Method != http.MethodPost:
		refused = googleError(http.StatusForbidden)
	default:
		refused = c.checkCreate()
	}
	if refused != nil {
		return nil, refused
	}
	c.note.Violations = c.violations
	m, refused := s.create(sp, c.write(by))
	if refused != nil {
		return nil, refused
	}
	c.note.Message = m.Name
	return echo(m), nil
}

// refuseWebhook refuses what a webhook cannot do, if need be for its key or
// token. The caller holds mu.
func (s *Server) refuseWebhook(c *call) *refusal {
	refused := s.checkKey(c.query)
	if refused == nil && c.note.Space != "" {
		_, refused = s.authenticate(s.spaces[c.note.Space], c.query)
	}
	if refused == nil {
		refused = googleError(http.StatusForbidden)
	}
	return refused
}

// authenticate finds the webhook with the query's key and token. The caller
// holds mu.
func (s *Server) authenticate(sp *space, query url.Values) (*credential, *refusal) {
	const noToken = "The API is called without a valid token. Instructions on how to use incoming webhooks " +
		"can be found at https://developers.google.com/chat/how-tos/webhooks"
	if refused := s.checkKey(query); refused != nil {
		return nil, refused
	}
	if sp == nil {
		return nil, notFound()
	}
	c := sp.webhook(query.Get("token"))
	switch {
	case c == nil:
		return nil, forbidden(noToken)
	case c.removed:
		return nil, notFound()
	}
	return c, nil
}

func (s *Server) checkKey(query url.Values) *refusal {
	const (
		noKey = "Method doesn't allow unregistered callers (callers without established identity). " +
			"Please use API Key or other form of API consumer identity to call this API."
		badKey = "API key not valid. Please pass a valid API key."
	)
	switch key := query.Get("key"); key {
	case "":
		return forbidden(noKey)
	case s.key:
		return nil
	default:
		return &refusal{code: http.StatusBadRequest, status: "INVALID_ARGUMENT", message: badKey, reason: "API_KEY_INVALID"}
	}
}

// mayNotify checks a notificationType: all but one need a Chat app.
func mayNotify(door chat.Door, kind string) *refusal {
	switch kind {
	case "", "NOTIFICATION_TYPE_NONE":
		return nil
	case "NOTIFICATION_TYPE_FORCE_NOTIFY", "NOTIFICATION_TYPE_SILENT":
		if door == chat.ByApp {
			return nil
		}
		return googleError(http.StatusForbidden)
	default:
		return invalidArgument(`Invalid value at 'create_message_notification_options.notification_type' ` +
			`(type.googleapis.com/google.chat.v1.CreateMessageNotificationOptions.NotificationType), "` + kind + `"`)
	}
}
