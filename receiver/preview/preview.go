// Package preview runs a whole receiver against a stand-in for Google Chat, with
// a page that shows what arrives there. Nothing of it reaches Google, and what it
// stores goes with it.
package preview

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"alertchat/receiver"
	"alertchat/receiver/chat/chattest"
	"alertchat/receiver/webui"
)

// Path is where the page stands.
const Path = "/preview/"

// reloadEvery is how often the preview looks whether the config or a template on
// disk has changed.
const reloadEvery = 500 * time.Millisecond

// builtinConfig is what the preview runs with where no config is given. Its pace is
// higher than Google Chat's, so that nobody waits for the samples.
const builtinConfig = `spaces:
  - name: ops
    webhook_url: https://chat.googleapis.com/v1/spaces/OPS/messages?key=preview&token=preview
  - name: on-call
    webhook_url: https://chat.googleapis.com/v1/spaces/ONCALL/messages?key=preview&token=preview
  - name: shop
    app: {space: spaces/SHOP}
defaults: {rate_limit: 5}
route:
  space: ops
  routes:
    - {matchers: ['severity="critical"'], space: on-call}
    - {matchers: ['namespace="shop"'], space: shop}
`

// Writes a second that each space of the stand-in takes: with the config above,
// and Google Chat's own.
const (
	quickRate = 5
	rate      = 1
)

// Options are what a preview works with.
type Options struct {
	ConfigFile string // empty for a config that is built in
	Logger     *slog.Logger
}

// Preview is a receiver with its stand-in for Google Chat. Make one with [New].
type Preview struct {
	folder string
	google *standIn
	app    *receiver.Receiver
	page   http.Handler
}

// New starts the stand-in and loads the config. Its error lists all that is wrong
// with the config.
func New(ctx context.Context, o Options) (*Preview, error) {
	p := &Preview{}
	if err := p.start(ctx, o); err != nil {
		return nil, errors.Join(err, p.Close(ctx))
	}
	return p, nil
}

func (p *Preview) start(ctx context.Context, o Options) (err error) {
	if p.folder, err = os.MkdirTemp("", "alertchat-preview-"); err != nil {
		return err
	}
	limit := rate
	if o.ConfigFile == "" {
		limit = quickRate
		o.ConfigFile = filepath.Join(p.folder, "config.yml")
		if err = os.WriteFile(o.ConfigFile, []byte(builtinConfig), 0o600); err != nil {
			return err
		}
	}
	p.google = newStandIn(limit)
	if err = p.google.listen(ctx); err != nil {
		return err
	}
	p.app, err = receiver.New(receiver.Options{ //nolint:contextcheck // the storage lives until Close, not until a context ends
		ConfigFile:  o.ConfigFile,
		StoragePath: filepath.Join(p.folder, "data"),
		ReloadEvery: reloadEvery,
		Logger:      o.Logger,
		Registry:    prometheus.NewRegistry(),
		StandIn:     p.google,
	})
	if err != nil {
		return err
	}
	p.page = webui.NewPreview(webui.PreviewOptions{
		Watch:   p.updates,
		Samples: samples,
		Sources: p.sources,
		Try:     p.try,
		Logger:  o.Logger,
	})
	return nil
}

// Run delivers until ctx ends.
func (p *Preview) Run(ctx context.Context) { p.app.Run(ctx, nil) }

// Close ends the stand-in and deletes what was stored. Call it when Run has
// returned and no request is being answered any more.
func (p *Preview) Close(ctx context.Context) error {
	var err error
	if p.app != nil {
		err = p.app.Close(context.WithoutCancel(ctx))
	}
	if p.google != nil {
		p.google.close()
	}
	if p.folder != "" {
		err = errors.Join(err, os.RemoveAll(p.folder))
	}
	return err
}

// Watch returns a channel of the messages that arrive from now on, new and
// edited. It is closed when ctx ends.
func (p *Preview) Watch(ctx context.Context) <-chan chattest.Message { return p.google.chat.Watch(ctx) }

// SpaceOf returns the names of the spaces of the config that lead to a place,
// "spaces/AAAA".
func (p *Preview) SpaceOf(place string) string {
	for _, s := range p.spaces(p.app.Setup()) {
		if s.Place == place {
			return strings.Join(s.Names, ", ")
		}
	}
	return place // of a config before
}

// Handler answers the receiver's requests, and those of the page at [Path]. It
// takes none that a page of another site could have caused by having its name
// lead to this machine.
func (p *Preview) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !isLoopback(r.Host):
			http.Error(w, fmt.Sprintf("the preview answers to localhost and 127.0.0.1 only, not to %q", r.Host), http.StatusMisdirectedRequest)
		case r.URL.Path == strings.TrimSuffix(Path, "/"):
			http.Redirect(w, r, Path, http.StatusFound)
		case strings.HasPrefix(r.URL.Path, Path):
			p.page.ServeHTTP(w, r)
		default:
			p.app.Handler().ServeHTTP(w, r)
		}
	})
}

// isLoopback reports whether a Host header names this machine's own address.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && address.IsLoopback()
}
