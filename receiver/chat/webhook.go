package chat

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
)

// WebhookOptions say where a [Webhook] writes to.
type WebhookOptions struct {
	// URL returns the webhook's URL, or an error without any secret. It is
	// called anew for each attempt.
	URL func() (*WebhookURL, error)
	// HTTP makes the requests; nil stands for a client of its own. Redirects
	// are never followed, whatever it says of them.
	HTTP *http.Client
}

// Webhook writes messages to Google Chat through an incoming webhook. It makes
// one request for each call; pace and retries are the caller's. Its errors are
// always an [*Error].
type Webhook struct {
	url  func() (*WebhookURL, error)
	http *http.Client
}

// NewWebhook returns a client for an incoming webhook.
func NewWebhook(o WebhookOptions) *Webhook {
	var client http.Client
	if o.HTTP != nil {
		client = *o.HTTP
	}
	// A redirect would lose the body and give the URL to another host.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Webhook{url: o.URL, http: &client}
}

// Place returns the Google space that the webhook writes to now, "spaces/AAAA".
func (w *Webhook) Place() (string, error) {
	u, err := w.current()
	if err != nil {
		return "", err
	}
	return u.Place(), nil
}

// current returns the URL as it is now.
func (w *Webhook) current() (*WebhookURL, error) {
	u, err := w.url()
	if err != nil {
		return nil, &Error{Outcome: NotDone, Code: codeConfig, Reason: line(err.Error())}
	}
	return u, nil
}

// Create posts a new message. A receipt without names is that of a message
// which Chat had taken before, and says no more of it.
func (w *Webhook) Create(ctx context.Context, c Create) (Receipt, error) {
	u, err := w.current()
	if err != nil {
		return Receipt{}, err
	}
	query := url.Values{}
	if c.RequestID != "" {
		query.Set("requestId", c.RequestID)
	}
	if c.Threaded {
		query.Set("messageReplyOption", "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD")
	}
	t := &tracker{}
	r, err := http.NewRequestWithContext(t.watch(ctx, c.Sent), http.MethodPost, u.with(query), bytes.NewReader(c.Body))
	if err != nil {
		return Receipt{}, &Error{Outcome: NotDone, Code: codeConfig, Reason: line(u.scrub(cause(err).Error()))}
	}
	r.Header.Set("Content-Type", "application/json; charset=UTF-8")
	a := answer{scrub: u.scrub, threaded: c.Threaded}
	response, err := w.http.Do(r)
	if err != nil {
		return Receipt{}, a.failed(ctx, err, t)
	}
	defer response.Body.Close()
	defer drain(response.Body)
	return a.receipt(ctx, response)
}

// Edit always fails: an incoming webhook cannot edit messages.
func (w *Webhook) Edit(context.Context, Edit) (Receipt, error) {
	return Receipt{}, &Error{Outcome: Refused, Code: codeConfig, Reason: "an incoming webhook cannot edit messages"}
}
