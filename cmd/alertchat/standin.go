package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"alertchat/receiver/chat"
	"alertchat/receiver/chat/chattest"
)

// standIn is a Google Chat on loopback, with a space for each one of the
// config, and one Chat app for all that want one.
type standIn struct {
	chat   *chattest.Server
	server *http.Server
	base   string

	mu    sync.Mutex // guards what follows
	paths map[string]string
	names map[string]string // of the configured spaces, by place
	app   *chattest.App     // nil while nobody wants one
	key   *rsa.PrivateKey   // of the app
}

func newStandIn() *standIn {
	return &standIn{
		chat:  chattest.New(chattest.Options{Rate: 1}),
		paths: make(map[string]string),
		names: make(map[string]string),
	}
}

func (g *standIn) listen(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	g.base = "http://" + l.Addr().String()
	g.server = &http.Server{Handler: g.chat, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = g.server.Serve(l) }() // ends with close
	return nil
}

func (g *standIn) close() { _ = g.server.Close() }

// Webhook implements [receiver.StandIn].
func (g *standIn) Webhook(space string) (*chat.WebhookURL, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	path, ok := g.paths[space]
	if !ok {
		place := "spaces/" + strings.ToUpper(space)
		path = g.chat.AddWebhook(place)
		g.paths[space], g.names[place] = path, space
	}
	return chat.ParseWebhookURL(g.base + path)
}

// App implements [receiver.StandIn].
func (g *standIn) App(space, place, user string) (url string, credentials []byte, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.app == nil {
		if g.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return "", nil, err
		}
		g.app = g.chat.AddApp("alertchat@preview.iam.gserviceaccount.com", &g.key.PublicKey)
	}
	if user != "" {
		place = "spaces/" + strings.ToUpper(space)
		g.app.Install(user, place)
	} else {
		g.app.Join(place)
	}
	g.names[place] = space
	return g.base, g.app.KeyFile(g.key, g.base), nil
}

func (g *standIn) name(place string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.names[place]
}
