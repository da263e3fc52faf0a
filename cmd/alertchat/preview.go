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
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"alertchat/receiver/chat"
	"alertchat/receiver/chat/chattest"
	"alertchat/receiver/httpapi"
	"alertchat/receiver/preview"
	"alertchat/receiver/sample"
)

const (
	// idlePoll is how often the preview looks whether all is delivered.
	idlePoll = 50 * time.Millisecond
	// deliveryTimeout bounds how long a sample may take.
	deliveryTimeout = 30 * time.Second
	// endTimeout bounds how long requests are still answered at the end.
	endTimeout = 3 * time.Second
)

// previewer runs the whole receiver against a stand-in for Google Chat, with a page
// that shows what arrives there.
type previewer struct {
	configFile string
	address    string
	once       bool
}

func newPreviewer(app *kingpin.Application) *previewer {
	p := &previewer{}
	c := app.Command("preview", "Run the receiver against a built-in stand-in for Google Chat, with a page that shows its spaces and in which templates can be tried out; and post sample alerts to it. It needs no Google account and sends nothing to Google.")
	c.Flag("config.file", "A configuration to try out; its spaces all lead to the stand-in. Without it, a built-in one with three spaces is used.").PlaceHolder("FILE").StringVar(&p.configFile)
	c.Flag("web.listen-address", "Where to listen for browsers and more alerts. It must be a loopback address.").Default("127.0.0.1:9098").StringVar(&p.address)
	c.Flag("once", "Print the messages as text, and end when the samples are delivered.").BoolVar(&p.once)
	return p
}

func (p *previewer) run(ctx context.Context, env environment) error {
	env.stdout = &lineWriter{to: env.stdout}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signals := make(chan os.Signal, 2)
	env.notify(signals)
	// Where nobody reads what is printed any more, it still ends in order.
	signal.Ignore(syscall.SIGPIPE)
	ended := make(chan error, 1)
	go func() { ended <- p.preview(ctx, env) }()
	for range 2 {
		select {
		case err := <-ended:
			return err
		case <-signals:
			cancel()
		}
	}
	return errors.New("preview: a second signal: what it stored stays in the folder for temporary files")
}

// preview runs until ctx ends or, with --once, all is shown.
func (p *previewer) preview(ctx context.Context, env environment) error {
	listener, err := loopback(ctx, p.address)
	if err != nil {
		return err
	}
	defer listener.Close()
	running, err := preview.New(ctx, preview.Options{ConfigFile: p.configFile, Logger: env.log})
	if err != nil {
		return err
	}
	return errors.Join(p.serve(ctx, env, running, listener), running.Close(ctx))
}

// serve runs the receiver and shows what arrives in Google Chat's place.
func (p *previewer) serve(ctx context.Context, env environment, of *preview.Preview, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := httpapi.Server(of.Handler(), env.log)
	// Pages stay connected; they end with the preview.
	server.BaseContext = func(net.Listener) context.Context { return ctx }
	var running sync.WaitGroup
	var ended error // why the server did
	printed := of.Watch(ctx)
	prints := printer{out: env.stdout, spaceOf: of.SpaceOf, whole: p.once}
	running.Go(func() { prints.print(printed) })
	running.Go(func() { of.Run(ctx) })
	running.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			ended = err
			cancel()
		}
	})
	address := "http://" + listener.Addr().String()
	fmt.Fprintf(env.stdout, "alertchat preview: open %s%s in a browser. Nothing is sent to Google.\n\n", address, preview.Path)
	err := p.show(ctx, env, address)
	if errors.Is(err, context.Canceled) {
		err = nil // the user's Ctrl-C
	}
	cancel()
	ending, stop := context.WithTimeoutCause(context.WithoutCancel(ctx), endTimeout, errors.New("requests are still being answered"))
	defer stop()
	if server.Shutdown(ending) != nil {
		err = errors.Join(err, server.Close())
	}
	running.Wait()
	return errors.Join(err, ended)
}

// show posts the samples, and then waits for the user's own.
func (p *previewer) show(ctx context.Context, env environment, address string) error {
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
		if err := untilDelivered(ctx, address); err != nil && (p.once || ctx.Err() != nil) {
			return err
		} else if err != nil {
			fmt.Fprintf(env.stdout, "%v; the status page says why\n\n", err)
		}
	}
	if p.once {
		return nil
	}
	fmt.Fprintf(env.stdout, `All samples are posted. See them, and try out templates, in a browser:

    %s%s

Post your own payload, or point an Alertmanager here:

    curl --data-binary @payload.json %[1]s/alertmanager

The status page is at %[1]s/. Ctrl-C ends the preview.

`, address, preview.Path)
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
	resp, err := (&http.Client{Timeout: deliveryTimeout}).Do(req)
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
	ctx, cancel := context.WithTimeoutCause(ctx, deliveryTimeout, errors.New("preview: a sample is not delivered"))
	defer cancel()
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
			return context.Cause(ctx)
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

// printer prints the messages that arrive.
type printer struct {
	out     io.Writer
	spaceOf func(place string) string // the names of the configured spaces there
	whole   bool                      // whether to print all of a message, for who has no browser
}

// print prints messages until the channel is closed.
func (p *printer) print(messages <-chan chattest.Message) {
	for m := range messages {
		var body chat.Message
		if err := json.Unmarshal(m.Body, &body); err != nil {
			fmt.Fprintf(p.out, "a message that cannot be read: %v\n", err)
			continue
		}
		where := "a new thread"
		switch {
		case len(m.Versions) > 1:
			where = "an edited message"
		case m.Reply:
			where = "a reply in a thread"
		}
		text := messageText(&body)
		if !p.whole {
			text, _, _ = strings.Cut(body.Text, "\n")
			text += "\n"
		}
		fmt.Fprintf(p.out, "<<< Google Chat, space %s: %s, %d bytes\n%s\n", p.spaceOf(m.Space), where, len(m.Body), text)
		for _, remark := range m.Remarks {
			fmt.Fprintf(p.out, "    Chat would show this wrongly: %s\n", remark)
		}
	}
}
