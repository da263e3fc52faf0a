package chat

import (
	"context"
	"net/http"
)

// WebhookOptions say where a [Webhook] writes to.
type WebhookOptions struct {
	URL *WebhookURL
	// HTTP makes the requests; nil stands for a client of its own. Redirects
	// are never followed, whatever it says of them.
	HTTP *http.Client
}

// Webhook writes messages to Google Chat through an incoming webhook. It makes
// one request for each call; pace and retries are the caller's. Its errors are
// always an [*Error].
type Webhook struct {
	url  *WebhookURL
	http *http.Client
}

// NewWebhook returns a client for an incoming webhook.
func NewWebhook(o WebhookOptions) *Webhook { return &Webhook{url: o.URL, http: straight(o.HTTP)} }

// Find returns the Google space that the webhook writes to, "spaces/AAAA". It
// asks nobody.
func (w *Webhook) Find(context.Context) (string, error) { return w.url.Place(), nil }

// Create posts a new message. A receipt without names is that of a message
// which Chat had taken before, and says no more of it.
func (w *Webhook) Create(ctx context.Context, c Create) (Receipt, error) {
	a := answer{scrub: w.url.scrub, threaded: c.Threaded}
	body, err := a.to(ctx, w.http, outgoing{method: http.MethodPost, url: w.url.with(createQuery(c)), body: c.Body, sent: c.Sent})
	if err == nil {
		return readReceipt(body)
	}
	if AsError(err).Outcome == Exists {
		return Receipt{}, nil // an earlier attempt did it
	}
	return Receipt{}, err
}

// Edit always fails: an incoming webhook cannot edit messages.
func (w *Webhook) Edit(context.Context, Edit) (Receipt, error) {
	return Receipt{}, &Error{Outcome: Refused, Code: codeConfig, Reason: "an incoming webhook cannot edit messages"}
}
