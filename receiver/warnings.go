package receiver

import (
	"fmt"
	"net/url"
	"slices"

	"alertchat/receiver/chat"
	"alertchat/receiver/config"
)

// Warnings returns what works and is perhaps not what was meant: URLs that
// others can read, routes that never match, keys and templates without effect
// and spaces that no route leads to. It tells only what is certain, and no
// secret.
func (s *Setup) Warnings() []config.Fault {
	var w []config.Fault
	add := func(path, format string, args ...any) {
		w = append(w, s.config.Fault(path, fmt.Sprintf(format, args...)))
	}
	for _, dead := range s.tree.Dead() {
		add(dead.Path, "%s", dead.Why)
	}
	reached := s.tree.Reached()
	for i := range s.config.Spaces {
		reached = append(reached, s.config.Spaces[i].FallbackSpace)
	}
	for i := range s.config.Spaces {
		c, path := &s.config.Spaces[i], fmt.Sprintf("spaces[%d]", i)
		if !slices.Contains(reached, c.Name) {
			add(path, "no route leads to this space: it only gets what is posted to /alertmanager/%s", c.Name)
		}
		s.warnOfURLs(c, path, add)
		s.warnOfParts(i, add)
		s.warnOfRate(i, add)
		s.warnOfFallback(i, add)
	}
	for _, key := range s.config.Defaults() {
		given := func(i int) bool { return s.config.Given(fmt.Sprintf("spaces[%d].%s", i, key)) }
		if all(len(s.config.Spaces), given) {
			add("defaults."+key, "has no effect: every space has its own")
		}
	}
	s.warnOfGlobs(add)
	return config.Sorted(append(w, s.unreached()...))
}

func all(n int, is func(int) bool) bool {
	for i := range n {
		if !is(i) {
			return false
		}
	}
	return true
}

// warnOfURLs looks at where a space's messages go, and on which way.
func (s *Setup) warnOfURLs(c *config.Space, path string, add func(path, format string, args ...any)) {
	const elsewhere = "the URL is not one of https://chat.googleapis.com: alerts go elsewhere, which is right for a gateway or a test only"
	webhook := path + ".webhook_url"
	if c.WebhookURLFile != "" {
		webhook += "_file"
	}
	if u := s.webhooks[c.Name]; u != nil {
		if !u.HTTPS() {
			add(webhook, "the URL is not https: who reads along on the way can post to the space with it")
		}
		if !u.Google() {
			add(webhook, elsewhere)
		}
	}
	if c.App != nil && c.App.APIURL != chat.GoogleAPI {
		if u, err := url.Parse(c.App.APIURL); err == nil && open(u) {
			add(path+".app.api_url", "the URL is not https: who reads along on the way can write as the app with its token")
		}
		add(path+".app.api_url", elsewhere)
	}
	web := c.HTTP.Reveal()
	if open(web.ProxyURL.URL) && web.ProxyURL.User != nil {
		add(path+".http_config.proxy_url", "the password of the proxy goes over http: who reads along on the way has it")
	}
	if web.OAuth2 != nil {
		if u, err := url.Parse(web.OAuth2.TokenURL); err == nil && open(u) {
			add(path+".http_config.oauth2.token_url", "the URL is not https: who reads along on the way has the client's secret")
		}
	}
	if web.TLSConfig.InsecureSkipVerify {
		add(path+".http_config.tls_config.insecure_skip_verify", "whoever stands on the way can pass for Google Chat and read the webhook's URL")
	}
}

func open(u *url.URL) bool { return u != nil && u.Scheme == "http" }

// warnOfParts tells of a max_parts beside what never takes more than one message.
func (s *Setup) warnOfParts(i int, add func(path, format string, args ...any)) {
	c, path := &s.config.Spaces[i], fmt.Sprintf("spaces[%d].max_parts", i)
	if !s.config.Given(path) {
		return
	}
	switch {
	case c.Message != "":
		add(path, "has no effect beside message, which is one message")
	case c.Card.None:
		add(path, "has no effect beside card: none, which is one message")
	case c.Card.Alert != nil && *c.Card.Alert == "":
		add(path, "has no effect beside an empty card.alert: the card lists no alerts")
	}
}

// warnOfRate tells of a rate_limit that a lower one takes the place of.
func (s *Setup) warnOfRate(i int, add func(path, format string, args ...any)) {
	c, path := &s.config.Spaces[i], fmt.Sprintf("spaces[%d].rate_limit", i)
	if !s.config.Given(path) {
		return
	}
	for j := range s.config.Spaces {
		other := &s.config.Spaces[j]
		if s.place(other) == s.place(c) && other.RateLimit < c.RateLimit {
			add(path, "has no effect: spaces[%d] leads to the same Google space, and the lowest rate holds, which is its %g", j, other.RateLimit)
			return
		}
	}
}

// warnOfFallback tells of a fallback that helps nobody.
func (s *Setup) warnOfFallback(i int, add func(path, format string, args ...any)) {
	c, path := &s.config.Spaces[i], fmt.Sprintf("spaces[%d]", i)
	if c.FallbackSpace == "" {
		if after := path + ".fallback_after"; s.config.Given(after) {
			add(after, "has no effect without a fallback_space")
		}
		return
	}
	if c.FallbackAfter >= c.MaxAge {
		add(path+".fallback_after", "is not less than max_age: what does not arrive is given up before the fallback is told")
	}
	if i, _, err := s.space(c.FallbackSpace); err == nil && s.place(&s.config.Spaces[i]) == s.place(c) {
		add(path+".fallback_space", "%s leads to the same Google space: what keeps one from it may keep the other", c.FallbackSpace)
	}
}
