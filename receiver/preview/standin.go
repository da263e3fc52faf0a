package preview

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"net"
	"net/http"
	"slices"
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

	mu     sync.Mutex // guards what follows
	paths  map[webhook]string
	places map[string]string // by the name of the configured space
	dms    map[string]bool   // the places that are direct messages
	app    *chattest.App     // nil while nobody wants one
	key    *rsa.PrivateKey   // of the app
}

// webhook is that of a configured space, which leads to a place.
type webhook struct{ space, place string }

// newStandIn returns one of which each space takes that many writes a second.
func newStandIn(rate int) *standIn {
	return &standIn{
		chat:   chattest.New(chattest.Options{Rate: float64(rate), Keep: keep}),
		paths:  make(map[webhook]string),
		places: make(map[string]string),
		dms:    make(map[string]bool),
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
	g.places[space] = place
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
		place = "spaces/dm-" + space
		g.app.Install(user, place)
		g.dms[place] = true
	} else {
		g.app.Join(place)
	}
	g.places[space] = place
	return g.base, g.app.KeyFile(g.key, g.base), nil
}

// place returns where a configured space leads.
func (g *standIn) place(space string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.places[space]
}

// names returns the configured spaces that lead to a place, sorted.
func (g *standIn) names(place string) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var names []string
	for name, at := range g.places {
		if at == place {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// direct reports whether a place is a direct message.
func (g *standIn) direct(place string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.dms[place]
}
