package preview

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"net"
	"net/http"
	"sync"
	"time"

	"alertchat/receiver/chat"
	"alertchat/receiver/chat/chattest"
)

// keep is how many messages of each space the stand-in remembers, and the page
// gets.
const keep = 500

// standIn is a Google Chat on loopback, with a space for each one of the
// config, and one Chat app for all that want one.
type standIn struct {
	chat   *chattest.Server
	server *http.Server
	base   string

	mu    sync.Mutex // guards what follows
	paths map[webhook]string
	dms   map[string]string // the places of direct messages, by user
	app   *chattest.App     // nil while nobody wants one
	key   *rsa.PrivateKey   // of the app
}

// webhook is that of a configured space, which leads to a place.
type webhook struct{ space, place string }

// newStandIn returns one of which each space takes that many writes a second.
func newStandIn(rate int) *standIn {
	return &standIn{
		chat:  chattest.New(chattest.Options{Rate: float64(rate), Keep: keep}),
		paths: make(map[webhook]string),
		dms:   make(map[string]string),
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

func (g *standIn) close() {
	if g.server != nil {
		_ = g.server.Close()
	}
}

// Webhook implements [receiver.StandIn].
func (g *standIn) Webhook(space, place string) (*chat.WebhookURL, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	of := webhook{space, place}
	path, ok := g.paths[of]
	if !ok {
		path = g.chat.AddWebhook(place)
		g.paths[of] = path
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
	switch {
	case user == "":
		g.app.Join(place)
	case g.dms[user] == "": // a user has one, however many spaces lead there
		g.dms[user] = "spaces/dm-" + space
		g.app.Install(user, g.dms[user])
	}
	return g.base, g.app.KeyFile(g.key, g.base), nil
}

// place returns the place that a configured one stands for, which may be that of
// a user, and whether it is a direct message.
func (g *standIn) place(configured string) (place string, direct bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for user, at := range g.dms {
		if configured == user || configured == at {
			return at, true
		}
	}
	return configured, false
}
