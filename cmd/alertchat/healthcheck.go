package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/alecthomas/kingpin/v2"
)

// healthcheck asks a running receiver whether it is ready. Container images
// without a shell need a program for it, and this one is there anyway.
type healthcheck struct {
	url        string
	timeout    time.Duration
	skipVerify bool
}

func newHealthcheck(app *kingpin.Application) *healthcheck {
	h := &healthcheck{}
	c := app.Command("healthcheck", "Ask a running receiver whether it is ready, for a container's health check. The exit code is 0 if it is and 1 if not. A receiver that asks for a password (401, 403) counts as ready: it answers, and more cannot be known.")
	c.Flag("url", "The address to ask.").Default("http://127.0.0.1:9098/-/ready").StringVar(&h.url)
	c.Flag("timeout", "How long to wait for the answer.").Default("3s").DurationVar(&h.timeout)
	c.Flag("tls.insecure-skip-verify", "Take any certificate, since that of a receiver is seldom one for a loopback address. Only for an https URL with such an address.").BoolVar(&h.skipVerify)
	return h
}

func (h *healthcheck) run(ctx context.Context, env environment) error {
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url, nil)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	client, err := h.client(req.URL)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("healthcheck: %w; is the receiver running, and is this its address? If not, give it with --url=http://127.0.0.1:9098/-/ready", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1024))
	if err != nil {
		return fmt.Errorf("healthcheck: read the answer: %w", err)
	}
	switch resp.StatusCode {
	case http.StatusOK:
		fmt.Fprintf(env.stdout, "%s\n", answer)
	case http.StatusUnauthorized, http.StatusForbidden:
		fmt.Fprintf(env.stdout, "alive: %s; whether it is ready cannot be asked without a password\n", resp.Status)
	default:
		return fmt.Errorf("healthcheck: not ready: %s: %s", resp.Status, answer)
	}
	return nil
}

// client returns what asks the URL. It follows no redirect: the receiver has
// none, and another host must not be taken for it.
func (h *healthcheck) client(u *url.URL) (*http.Client, error) {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment}
	if h.skipVerify {
		if u.Scheme != "https" || !onLoopback(u.Hostname()) {
			return nil, errors.New("--tls.insecure-skip-verify is for an https URL on loopback, such as --url=https://127.0.0.1:9098/-/ready")
		}
		//nolint:gosec // Whoever can answer on loopback is on this machine, and the question holds no secret.
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

func onLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
