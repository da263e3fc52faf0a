// Package receiver is alertchat: it wires the parts together and holds no
// logic of its own. [New] loads the config and opens the storage, [Receiver.Run]
// delivers, [Receiver.Reload] swaps the config for a newer one.
//
// A notification goes one way: the HTTP API hands over a body, package alert
// decodes it, the routing tree divides it among spaces, the store makes it
// safe, and the space's loop folds, renders and sends it.
package receiver

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"alertchat/receiver/alert"
	"alertchat/receiver/delivery"
	"alertchat/receiver/httpapi"
	"alertchat/receiver/store"
	"alertchat/receiver/webui"
)

// maxUnknownName bounds, in runes, what is kept of the name of a space that is
// not in the config: anybody can post one.
const maxUnknownName = 63

// Options say what a receiver works with.
type Options struct {
	ConfigFile  string        // the path of the config file
	StoragePath string        // the folder of the storage; not needed with PostgresURLFile
	ReloadEvery time.Duration // how often to look for changed files; 0: never
	// PostgresURLFile is a file with the URL of the PostgreSQL database that is
	// the storage; empty for SQLite under StoragePath.
	PostgresURLFile string
	// StatusURL is where people find the status page; empty if that is not
	// known.
	StatusURL string
	Logger    *slog.Logger
	Registry  *prometheus.Registry
	// StandIn takes Google Chat's place, for the preview; nil for Google Chat.
	StandIn StandIn
}

// Receiver is a running alertchat. Make one with [New].
type Receiver struct {
	loading     LoadOptions
	reloadEvery time.Duration
	log         *slog.Logger
	started     time.Time
	store       *store.Store
	engine      string // what the storage is, for people
	manager     *delivery.Manager
	metrics     metrics
	handler     http.Handler
	setup       atomic.Pointer[Setup]
	stopping    atomic.Bool

	reloading sync.Mutex // held while a config is loaded: one reload at a time
	mu        sync.Mutex // guards reloadError
	// reloadError is why the files as they are now cannot be loaded; nil when
	// they are what runs.
	reloadError error
}

type metrics struct {
	reloadOK   prometheus.Gauge
	reloadTime prometheus.Gauge
	unknown    prometheus.Counter
	templates  *prometheus.CounterVec
}

// New loads the config and opens the storage. Its error lists all that is
// wrong with the config. The storage may become ready later; until then
// nothing is accepted.
func New(o Options) (*Receiver, error) {
	f := promauto.With(o.Registry)
	r := &Receiver{
		reloadEvery: o.ReloadEvery,
		log:         o.Logger,
		started:     time.Now(),
		metrics: metrics{
			reloadOK: f.NewGauge(prometheus.GaugeOpts{
				Name: "alertchat_config_last_reload_successful",
				Help: "Whether the config and templates on disk are those that are used.",
			}),
			reloadTime: f.NewGauge(prometheus.GaugeOpts{
				Name: "alertchat_config_last_reload_success_timestamp_seconds",
				Help: "When the config in use was loaded.",
			}),
			unknown: f.NewCounter(prometheus.CounterOpts{
				Name: "alertchat_notifications_unknown_space_total",
				Help: "Notifications posted to a space that is not in the config, which went to the root's space.",
			}),
			templates: f.NewCounterVec(prometheus.CounterOpts{
				Name: "alertchat_template_failures_total",
				Help: "Templates that failed while a message was rendered; the built-in one took their place.",
			}, []string{"space"}),
		},
	}
	r.loading = LoadOptions{ConfigFile: o.ConfigFile, Logger: o.Logger, StandIn: o.StandIn, Failures: r.metrics.templates}
	s, err := Load(r.loading)
	if err != nil {
		return nil, err
	}
	storage := store.Options{Path: o.StoragePath, Logger: o.Logger, Registerer: o.Registry}
	loops := delivery.Options{Logger: o.Logger, Registerer: o.Registry, StatusURL: o.StatusURL}
	r.engine = "SQLite"
	if o.PostgresURLFile != "" {
		r.engine = "PostgreSQL"
		if storage.PostgresURL, err = readPostgresURL(o.PostgresURLFile); err != nil {
			return nil, err
		}
		loops.Poll = replicaPoll
	}
	r.store = store.Open(storage)
	o.Registry.MustRegister(&queueCollector{r})
	loops.Store = r.store
	r.manager = delivery.New(loops)
	r.use(s)
	page := webui.New(r.status, o.Logger)
	r.handler = httpapi.New(httpapi.Options{
		Accept:     r.accept,
		Ready:      r.ready,
		Reload:     r.Reload,
		Page:       http.HandlerFunc(page.Page),
		Status:     http.HandlerFunc(page.JSON),
		Deliveries: r.deliveries,
		Retry:      r.retry,
		Gatherer:   o.Registry,
		Registerer: o.Registry,
		Logger:     o.Logger,
	})
	return r, nil
}

// Setup returns what is in use.
func (r *Receiver) Setup() *Setup { return r.setup.Load() }

// ReloadError returns why the files as they are now cannot be loaded; nil where
// they are what is in use.
func (r *Receiver) ReloadError() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reloadError
}

// Handler answers HTTP requests.
func (r *Receiver) Handler() http.Handler { return r.handler }

// Run delivers until stop is closed and what is being attempted has ended, or
// until ctx ends.
func (r *Receiver) Run(ctx context.Context, stop <-chan struct{}) {
	var watching sync.WaitGroup
	if r.reloadEvery > 0 {
		watching.Go(func() { r.watch(ctx, stop) })
	}
	watching.Go(func() {
		select {
		case <-stop:
		case <-ctx.Done():
		}
		r.stopping.Store(true)
	})
	r.manager.Run(ctx, stop)
	watching.Wait()
}

// Close closes the storage. Call it when Run has returned and no request is
// being answered any more.
func (r *Receiver) Close(ctx context.Context) error { return r.store.Close(ctx) }

func (r *Receiver) ready() error {
	if r.stopping.Load() {
		return errStopping
	}
	return r.store.Ready()
}

// accept makes a payload safe: when it returns nil, each of its shares is on
// disk.
func (r *Receiver) accept(ctx context.Context, space string, body []byte) error {
	p, err := alert.Decode(body)
	if err != nil {
		return err
	}
	s := r.setup.Load()
	now := time.Now()
	var notes []alert.Notification
	if space == "" {
		if notes, err = s.divide(p, body, now); err != nil {
			return err
		}
	} else {
		n := alert.Notification{Space: space, Group: p.Group(), ReceivedAt: now, Body: body}
		if s.spaces[space] == nil {
			r.metrics.unknown.Inc()
			n.Space, n.Unknown = s.root, shorten(space)
		}
		notes = []alert.Notification{n}
	}
	if err := r.store.Add(ctx, notes); err != nil {
		return err
	}
	names := make([]string, len(notes))
	for i := range notes {
		names[i] = notes[i].Space
	}
	r.manager.Ring(names...)
	return nil
}

// divide makes a notification for each space that the routing tree names.
func (s *Setup) divide(p *alert.Payload, body []byte, now time.Time) ([]alert.Notification, error) {
	shares := s.tree.Route(p)
	notes := make([]alert.Notification, len(shares))
	for i, share := range shares {
		notes[i] = alert.Notification{Space: share.Space, Group: p.Group(), ReceivedAt: now, Body: body}
		if share.All {
			continue
		}
		part, err := json.Marshal(p.Part(share.Indices))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", alert.ErrNotJSON, err)
		}
		notes[i].Body = part
	}
	return notes, nil
}

func shorten(name string) string {
	runes := []rune(name)
	return string(runes[:min(len(runes), maxUnknownName)])
}
