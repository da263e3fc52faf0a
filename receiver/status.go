package receiver

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/version"

	"alertchat/receiver/webui"
)

// shownDeliveries is how many of a space's deliveries the status page shows.
const shownDeliveries = 50

// status gathers what the status page shows.
func (r *Receiver) status(ctx context.Context) (webui.Status, error) {
	setup := r.setup.Load()
	s := webui.Status{
		Version:        cmp.Or(version.Version, "of a build without a number"),
		Now:            time.Now(),
		StartedAt:      r.started,
		ConfigLoadedAt: setup.loadedAt,
	}
	if err := r.lastReloadError(); err != nil {
		s.ReloadError = err.Error()
	}
	if err := r.store.Ready(); err != nil {
		s.StorageError = err.Error()
	}
	counts, err := r.store.Counts(ctx)
	if err != nil && s.StorageError == "" {
		s.StorageError = err.Error()
	}
	reports := r.manager.Reports()
	for i := range setup.config.Spaces {
		name := setup.config.Spaces[i].Name
		space := webui.Space{
			Name: name, Kind: "webhook",
			Waiting: counts[name].Waiting, Oldest: counts[name].Oldest, Planned: counts[name].Planned, Dead: counts[name].Dead,
			LastSuccess: reports[name].LastSuccess, FailingSince: reports[name].FailingSince, LastError: reports[name].LastError,
		}
		if space.Place, err = setup.spaces[name].Chat.Place(); err != nil {
			space.LastError = err.Error()
		}
		history, err := r.store.History(ctx, name, shownDeliveries)
		if err != nil && s.StorageError == "" {
			s.StorageError = fmt.Sprintf("read the history: %v", err)
		}
		for _, d := range history {
			space.Deliveries = append(space.Deliveries, webui.Delivery{
				ID: d.ID, Title: d.Title, Status: string(d.Status), Reason: string(d.Reason),
				Attempts: d.Attempts, Error: d.Error, ReceivedAt: d.ReceivedAt, EndedAt: d.EndedAt,
			})
		}
		s.Spaces = append(s.Spaces, space)
	}
	return s, nil
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
