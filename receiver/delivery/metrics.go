package delivery

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"alertchat/receiver/incident"
)

// metrics are those of the loops. Label values come from closed sets: the
// config's space names, reasons, and HTTP codes or their replacements.
type metrics struct {
	folded      *prometheus.CounterVec
	messages    *prometheus.CounterVec
	attempts    *prometheus.CounterVec
	seconds     *prometheus.HistogramVec
	failing     *prometheus.GaugeVec
	lastSuccess *prometheus.GaugeVec
	throttled   *prometheus.CounterVec
	dead        *prometheus.CounterVec
	delivering  prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	return &metrics{
		folded: f.NewCounterVec(prometheus.CounterOpts{
			Name: "alertchat_notifications_folded_total",
			Help: "Notifications that got no message of their own, by reason: duplicate and late copies, superseded (told in a later one's message), unwanted (send_resolved: false, repeats: drop).",
		}, []string{"space", "reason"}),
		messages: f.NewCounterVec(prometheus.CounterOpts{
			Name: "alertchat_messages_sent_total",
			Help: "Messages that Google Chat took.",
		}, []string{"space"}),
		attempts: f.NewCounterVec(prometheus.CounterOpts{
			Name: "alertchat_attempts_total",
			Help: "HTTP requests to Google Chat by status code, or by timeout, connection, response (a 2xx that is no answer of Chat's), token (no access token for an app) or config where there was none.",
		}, []string{"space", "code"}),
		seconds: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "alertchat_delivery_seconds",
			Help:    "Time from a notification's arrival until it was in Google Chat, for each delivery's oldest notification.",
			Buckets: []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 21600, 86400},
		}, []string{"space"}),
		failing: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "alertchat_space_failing",
			Help: "Whether messages cannot be delivered to the space now.",
		}, []string{"space"}),
		lastSuccess: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "alertchat_last_success_timestamp_seconds",
			Help: "When Google Chat last took a message for the space, since the process started.",
		}, []string{"space"}),
		throttled: f.NewCounterVec(prometheus.CounterOpts{
			Name: "alertchat_throttled_seconds_total",
			Help: "Time that deliveries waited for the pace of their space or because Google Chat answered 429.",
		}, []string{"space"}),
		dead: f.NewCounterVec(prometheus.CounterOpts{
			Name: "alertchat_dead_deliveries_total",
			Help: "Deliveries given up, by reason: rejected, expired, space_removed.",
		}, []string{"space", "reason"}),
		delivering: f.NewGauge(prometheus.GaugeOpts{
			Name: "alertchat_delivering",
			Help: "Whether this process delivers (1), or stands by for another one that does (0).",
		}),
	}
}

// introduce makes a space's series exist before anything happens, so that
// alerts on their increase work from the first time on.
func (m *metrics) introduce(space string) {
	for _, r := range []incident.Folded{incident.FoldedDuplicate, incident.FoldedLate, incident.FoldedSuperseded, incident.FoldedUnwanted} {
		m.folded.WithLabelValues(space, string(r))
	}
	for _, r := range []Reason{Rejected, Expired, SpaceRemoved} {
		m.dead.WithLabelValues(space, string(r))
	}
	m.messages.WithLabelValues(space)
	m.seconds.WithLabelValues(space)
	m.failing.WithLabelValues(space)
	m.throttled.WithLabelValues(space)
}

// forget removes the series of a space that is gone from the config.
func (m *metrics) forget(space string) {
	l := prometheus.Labels{"space": space}
	m.folded.DeletePartialMatch(l)
	m.messages.DeletePartialMatch(l)
	m.attempts.DeletePartialMatch(l)
	m.seconds.DeletePartialMatch(l)
	m.failing.DeletePartialMatch(l)
	m.lastSuccess.DeletePartialMatch(l)
	m.throttled.DeletePartialMatch(l)
	m.dead.DeletePartialMatch(l)
}

// standBy says that somebody else delivers, and knows which of the spaces fail.
func (m *metrics) standBy(spaces []string) {
	m.delivering.Set(0)
	for _, name := range spaces {
		m.failing.WithLabelValues(name).Set(0)
	}
}

func (m *metrics) folds(space string, folded map[incident.Folded]int) {
	for reason, n := range folded {
		m.folded.WithLabelValues(space, string(reason)).Add(float64(n))
	}
}

func (m *metrics) throttle(space string, d time.Duration) {
	m.throttled.WithLabelValues(space).Add(d.Seconds())
}
