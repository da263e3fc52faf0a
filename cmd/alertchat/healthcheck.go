package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/alecthomas/kingpin/v2"
)

// healthcheck asks a running receiver whether it is ready. Container images
// without a shell need a program for it, and this one is there anyway.
type healthcheck struct {
	url     string
	timeout time.Duration
}

func newHealthcheck(app *kingpin.Application) *healthcheck {
	h := &healthcheck{}
	c := app.Command("healthcheck", "Ask a running receiver whether it is ready, for a container's health check. The exit code is 0 if it is and 1 if not.")
	c.Flag("url", "The address to ask.").Default("http://127.0.0.1:9098/-/ready").StringVar(&h.url)
	c.Flag("timeout", "How long to wait for the answer.").Default("3s").DurationVar(&h.timeout)
	return h
}

func (h *healthcheck) run(ctx context.Context, env environment) error {
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url, nil)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	resp, err := new(http.Client).Do(req)
	if err != nil {
		return fmt.Errorf("healthcheck: %w; is the receiver running, and is this its address? If not, give it with --url=http://127.0.0.1:9098/-/ready", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1024))
	if err != nil {
		return fmt.Errorf("healthcheck: read the answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("healthcheck: not ready: %s: %s", resp.Status, answer)
	}
	fmt.Fprintf(env.stdout, "%s\n", answer)
	return nil
}
