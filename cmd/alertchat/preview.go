package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/client_golang/prometheus"

	"alertchat/receiver"
	"alertchat/receiver/chat"
	"alertchat/receiver/chat/chattest"
	"alertchat/receiver/httpapi"
	"alertchat/receiver/sample"
)

// previewConfig is what the preview runs with where no config is given.
const previewConfig = `spaces:
  - name: ops
    webhook_url: https://chat.googleapis.com/v1/spaces/OPS/messages?key=preview&token=preview
  - name: on-call
    webhook_url: https://chat.googleapis.com/v1/spaces/ONCALL/messages?key=preview&token=preview
route:
  space: ops
  routes:
    - matchers: ['severity="critical"']
      space: on-call
`

// idlePoll is how often the preview looks whether all is delivered.
const idlePoll = 50 * time.Millisecond

// preview runs the whole receiver against a stand-in for Google Chat and
// prints what arrives there.
type preview struct {
	configFile string
	address    string
	once       bool
}

func newPreview(app *kingpin.Application) *preview {
	p := &preview{}
	c := app.Command("preview", "Run the receiver against a built-in stand-in for Google Chat, post sample alerts to it, and print the messages. It needs no Google account and sends nothing to Google.")
	c.Flag("config.file", "A configuration to try out; its spaces all lead to the stand-in. Without it, a built-in one with two spaces is used.").PlaceHolder("FILE").StringVar(&p.configFile)
	c.Flag("web.listen-address", "Where to listen for more alerts. It must be a loopback address.").Default("127.0.0.1:9098").StringVar(&p.address)
	c.Flag("once", "End when the samples are delivered.").BoolVar(&p.once)
	return p
}

func (p *preview) run(ctx context.Context, env environment) (err error) {
	env.stdout = &lineWriter{to: env.stdout}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signals := make(chan os.Signal, 1)
	env.notify(signals)
	go func() {
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	folder, err := os.MkdirTemp("", "alertchat-preview-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	configFile := p.configFile
	if configFile == "" {
		configFile = filepath.Join(folder, "config.yml")
		if err := os.WriteFile(configFile, []byte(previewConfig), 0o600); err != nil {
			return err
		}
	}
	listener, err := loopback(ctx, p.address)
	if err != nil {
		return err
	}
	defer listener.Close()
	google := newStandIn()
	if err := google.listen(ctx); err != nil {
		return err
	}
	defer google.close()

	app, err := receiver.New(receiver.Options{ //nolint:contextcheck // the storage lives until Close, not until a context ends
		ConfigFile:  configFile,
		StoragePath: filepath.Join(folder, "data"),
		Logger:      env.log,
		Registry:    prometheus.NewRegistry(),
		StandIn:     google,
	})
	if err != nil {
		return err
	}
	return p.serve(ctx, env, app, google, listener)
}

// serve runs the receiver and shows what arrives in Google Chat's place, until
// ctx ends or, with --once, all is shown.
func (p *preview) serve(ctx context.Context, env environment, app *receiver.Receiver, google *standIn, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := httpapi.Server(app.Handler(), env.log)
	var running sync.WaitGroup
	printed := google.chat.Watch(ctx)
	running.Go(func() { printMessages(env.stdout, google, printed) })
	running.Go(func() { app.Run(ctx, nil) })
	running.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			env.log.Error("The server ended", "err", err)
			cancel()
		}
	})
	address := "http://" + listener.Addr().String()
	fmt.Fprintf(env.stdout, "alertchat preview: listening on %s; nothing is sent to Google.\n\n", address)
	err := p.show(ctx, env, address)
	if errors.Is(err, context.Canceled) {
		err = nil // the user's Ctrl-C
	}
	cancel()
	err = errors.Join(err, server.Close())
	running.Wait()
	return errors.Join(err, app.Close(context.WithoutCancel(ctx)))
}

// show posts the samples, and then waits for the user's own.
func (p *preview) show(ctx context.Context, env environment, address string) error {
	if err := untilReady(ctx, address); err != nil {
		return err
	}
	for _, s := range sample.Tour(time.Now()) {
		body, err := s.Body()
		if err != nil {
			return err
		}
		fmt.Fprintf(env.stdout, ">>> Alertmanager posts %q: %s\n", s.Name, s.About)
		if err := post(ctx, address+"/alertmanager", body); err != nil {
			return err
		}
		if err := untilDelivered(ctx, address); err != nil {
			return err
		}
	}
	if p.once {
		return nil
	}
	fmt.Fprintf(env.stdout, "All samples are delivered. Post your own payload, or point an Alertmanager here:\n\n    curl --data-binary @payload.json %s/alertmanager\n\nThe status page is at %s/. Ctrl-C ends the preview.\n\n", address, address)
	<-ctx.Done()
	return nil
}

// loopback listens, on addresses only that no other machine reaches.
func loopback(ctx context.Context, address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("--web.listen-address: %w; want one such as 127.0.0.1:9098", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("--web.listen-address: the preview listens on loopback only, such as 127.0.0.1:9098, not on %q", address)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%w; give another address with --web.listen-address", err)
	}
	return l, nil
}

func post(ctx context.Context, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	_, err = do(req)
	return err
}

// do makes a request to the preview itself.
func do(req *http.Request) ([]byte, error) {
	resp, err := new(http.Client).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s: %s", req.URL.Path, resp.Status, strings.TrimSpace(string(answer)))
	}
	return answer, nil
}

func untilReady(ctx context.Context, address string) error {
	return poll(ctx, func() (bool, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/-/ready", nil)
		if err != nil {
			return false, err
		}
		_, err = do(req)
		return err == nil, nil
	})
}

// untilDelivered waits until nothing waits any more.
func untilDelivered(ctx context.Context, address string) error {
	return poll(ctx, func() (bool, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/api/v1/status", nil)
		if err != nil {
			return false, err
		}
		answer, err := do(req)
		if err != nil {
			return false, err
		}
		var status struct {
			Spaces []struct {
				Waiting int `json:"waiting"`
				Planned int `json:"planned"`
			} `json:"spaces"`
		}
		if err := json.Unmarshal(answer, &status); err != nil {
			return false, fmt.Errorf("read the status: %w", err)
		}
		for _, s := range status.Spaces {
			if s.Waiting+s.Planned > 0 {
				return false, nil
			}
		}
		return true, nil
	})
}

func poll(ctx context.Context, done func() (bool, error)) error {
	tick := time.NewTicker(idlePoll)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lineWriter lets several goroutines write one after the other.
type lineWriter struct {
	mu sync.Mutex // guards to
	to io.Writer
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}

// printMessages prints messages as they arrive, until the channel is closed.
func printMessages(out io.Writer, g *standIn, messages <-chan chattest.Message) {
	for m := range messages {
		var body chat.Message
		if err := json.Unmarshal(m.Body, &body); err != nil {
			fmt.Fprintf(out, "a message that cannot be read: %v\n", err)
			continue
		}
		where := "a new thread"
		switch {
		case len(m.Versions) > 1:
			where = "an edited message"
		case m.Reply:
			where = "a reply in a thread"
		}
		fmt.Fprintf(out, "<<< Google Chat, space %s: %s, %d bytes\n%s\n", g.name(m.Space), where, len(m.Body), messageText(&body))
		for _, remark := range m.Remarks {
			fmt.Fprintf(out, "    Chat would show this wrongly: %s\n", remark)
		}
	}
}
