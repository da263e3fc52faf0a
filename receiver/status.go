package receiver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/version"

	"alertchat/receiver/delivery"
	"alertchat/receiver/store"
	"alertchat/receiver/webui"
)

const (
	// shownDeliveries is how many of a space's deliveries the status page shows,
	// of those that are done and of those that are dead.
	shownDeliveries = 50
	// statusTimeout bounds how long it takes to gather what the page shows.
	statusTimeout = 10 * time.Second
)

// status gathers what the status page shows.
func (r *Receiver) status(ctx context.Context) (webui.Status, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, statusTimeout, errors.New("the storage did not answer in time"))
	defer cancel()
	setup := r.setup.Load()
	s := webui.Status{
		Version:        version.Version,
		Now:            time.Now(),
		StartedAt:      r.started,
		ConfigLoadedAt: setup.loadedAt,
		Storage:        r.engine,
		Delivering:     r.manager.Delivering(),
	}
	if err := r.ReloadError(); err != nil {
		s.ReloadError = err.Error()
	}
	if err := r.store.Ready(); err != nil {
		s.StorageError = err.Error()
	}
	noteError := func(err error) {
		if err != nil && s.StorageError == "" {
			s.ReadError = err.Error()
		}
	}
	counts, err := r.store.Counts(ctx)
	noteError(err)
	health := r.manager.Health()
	if !s.Delivering {
		// Another process knows, and has stored it.
		health, err = r.store.Health(ctx)
		noteError(err)
	}
	s.Spaces = setup.Spaces()
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if setup.spaces[name] == nil {
			s.Spaces = append(s.Spaces, webui.Space{Name: name, Removed: true})
		}
	}
	for i := range s.Spaces {
		planned, err := r.store.Deliveries(ctx, store.Filter{Status: delivery.Planned, Space: s.Spaces[i].Name, Limit: shownDeliveries})
		noteError(err)
		history, err := r.store.History(ctx, s.Spaces[i].Name, shownDeliveries)
		noteError(err)
		history = append(planned, history...)
		show(&s.Spaces[i], counts[s.Spaces[i].Name], health[s.Spaces[i].Name], history)
	}
	return s, nil
}

// Spaces returns the spaces of the config in its order, without how they do.
func (s *Setup) Spaces() []webui.Space {
	spaces := make([]webui.Space, len(s.config.Spaces))
	for i := range s.config.Spaces {
		c := &s.config.Spaces[i]
		kind := "webhook"
		if c.App != nil {
			kind = "app"
		}
		spaces[i] = webui.Space{Name: c.Name, Kind: kind, Place: s.place(c), Fallback: c.FallbackSpace}
	}
	return spaces
}

// show fills in how a space is doing.
func show(s *webui.Space, c store.Count, h delivery.Health, history []*delivery.Delivery) {
	s.Waiting, s.Oldest, s.Planned, s.Dead = c.Waiting, c.Oldest, c.Planned, c.Dead
	s.LastSuccess, s.FailingSince, s.ThrottledUntil = h.LastSuccess, h.FailingSince, h.ThrottledUntil
	s.LastError, s.LastErrorAt = h.LastError, h.LastErrorAt
	s.FallbackToldAt = h.ReportedAt
	for _, d := range history {
		s.Deliveries = append(s.Deliveries, webui.Delivery{
			ID: d.ID, Title: d.Title, Status: string(d.Status), Reason: string(d.Reason),
			Attempts: d.Attempts, Error: d.Error, ReceivedAt: d.ReceivedAt, EndedAt: d.EndedAt,
		})
		// That of another process, or of the one before this, is only stored here.
		if d.Status == delivery.Done && d.EndedAt.After(s.LastSuccess) {
			s.LastSuccess = d.EndedAt
		}
	}
}

// queueCollector shows what waits, as it is at the scrape.
type queueCollector struct{ r *Receiver }

var (
	queueDesc  = prometheus.NewDesc("alertchat_queue_notifications", "Notifications that wait for delivery.", []string{"space"}, nil)
	oldestDesc = prometheus.NewDesc("alertchat_queue_oldest_seconds", "Age of the oldest notification that waits for delivery; 0 when none does.", []string{"space"}, nil)
)

// Describe implements [prometheus.Collector].
func (c *queueCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- queueDesc
	ch <- oldestDesc
}

// Collect implements [prometheus.Collector].
func (c *queueCollector) Collect(ch chan<- prometheus.Metric) {
	setup := c.r.setup.Load()
	if setup == nil {
		return
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), 5*time.Second, fmt.Errorf("the scrape took too long"))
	defer cancel()
	counts, err := c.r.store.Counts(ctx)
	if err != nil {
		return // alertchat_storage_failing says so
	}
	for name := range setup.spaces {
		age := 0.0
		if oldest := counts[name].Oldest; !oldest.IsZero() {
			age = time.Since(oldest).Seconds()
		}
		ch <- prometheus.MustNewConstMetric(queueDesc, prometheus.GaugeValue, float64(counts[name].Waiting), name)
		ch <- prometheus.MustNewConstMetric(oldestDesc, prometheus.GaugeValue, age, name)
	}
}
