// Package httpapi answers alertchat's HTTP requests: Alertmanager's
// notifications, and what people and machines ask about the program.
//
// What Alertmanager does with an answer decides which one it gets. 2xx means
// that the notification is safe, 503 that it is to come again, and any other
// status that it is given up. So no answer is a redirect (a 302 loses the body
// and counts as success) nor 429 (which is not retried). Only the status page's
// own form leads back to the page.
//
// Programs are answered with JSON: what they asked for, {"status":"ok"}, or
// {"error":"…"} with a short constant sentence, since it lands in Alertmanager's
// log. Causes go to alertchat's own log, without anything of the body.
package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Options are what the handlers need. All of them must be set, but for the
// logger.
type Options struct {
	// Accept takes a notification for a space, or for those that the routing
	// tree names where space is empty. Any name may come, that of no space too;
	// what is not printable in it is U+FFFD. The body is Accept's to keep.
	//
	// It returns nil only when the notification is safe on disk. The errors of
	// package alert say that it never can be; with any other it may be sent
	// again. The context ends when the client has gone, and after 10 seconds.
	Accept func(ctx context.Context, space string, body []byte) error
	// Ready returns nil when notifications can be accepted, else an error whose
	// text may be shown to anyone.
	Ready func() error
	// Reload loads the config anew. Its error is logged here.
	Reload func(ctx context.Context) error
	// Page is the status page, and Status the same as JSON.
	Page, Status http.Handler
	// Deliveries returns the deliveries that are asked for, the newest first.
	Deliveries func(ctx context.Context, q Query) ([]Delivery, error)
	// Retry puts a dead delivery back, so that what it says is tried again, or
	// fails with [ErrNoDelivery], [ErrNotDead] or [ErrSpaceGone]; any other
	// error may pass.
	Retry func(ctx context.Context, id int64) error
	// Gatherer gives what /metrics shows; Registerer takes the metrics of the
	// handlers themselves.
	Gatherer   prometheus.Gatherer
	Registerer prometheus.Registerer
	// Logger is silent when nil.
	Logger *slog.Logger
}

// api holds what the handlers share.
type api struct {
	Options

	budget   *budget
	received *prometheus.CounterVec
	journal  *journal
}

// New returns the handler of all requests. It panics when its metrics are
// registered already.
func New(o Options) http.Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	a := &api{
		Options: o,
		budget:  newBudget(),
		journal: newJournal(o.Logger),
		received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "alertchat_notifications_received_total",
			Help: "POST requests to /alertmanager and below that were answered, by the status code of the answer.",
		}, []string{"code"}),
	}
	for _, code := range []string{"200", "400", "413", "503"} {
		a.received.WithLabelValues(code)
	}
	o.Registerer.MustRegister(a.received)
	return withoutRedirects(a.sameOrigin(a.mux()))
}

// mux has one more pattern for each path, without a method, and one for all
// other paths, so that the answers 404 and 405 are ours too.
func (a *api) mux() *http.ServeMux {
	metrics := promhttp.HandlerFor(a.Gatherer, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(a.Logger.Handler(), slog.LevelError),
	})
	mux := http.NewServeMux()
	for _, route := range []struct {
		method, path string
		handle       handler
	}{
		{http.MethodPost, "/alertmanager", a.counted(a.receive)},
		{http.MethodPost, "/alertmanager/{space}", a.counted(a.receive)},
		{http.MethodGet, "/{$}", serve(a.Page)},
		{http.MethodGet, "/api/v1/status", serve(a.Status)},
		{http.MethodGet, "/api/v1/deliveries", a.list},
		{http.MethodPost, "/api/v1/deliveries/{id}/retry", a.retry},
		{http.MethodGet, "/-/healthy", healthy},
		{http.MethodGet, "/-/ready", a.ready},
		{http.MethodPost, "/-/reload", a.reload},
		{http.MethodGet, "/metrics", serve(metrics)},
	} {
		mux.Handle(route.method+" "+route.path, a.answer(route.handle))
		mux.Handle(route.path, a.answer(otherMethod(route.method)))
	}
	mux.Handle("/", a.answer(notFound))
	return mux
}

// sameOrigin keeps pages of other sites from posting through the browser of
// somebody who can reach alertchat: the content type of a POST is not checked,
// so that a script can send one, and a form could too.
func (a *api) sameOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(a.answer(func(http.ResponseWriter, *http.Request) error {
		return &failure{status: http.StatusForbidden, sentence: "requests from pages of other sites are not taken"}
	}))
	return protection.Handler(next)
}

// Server returns a server for the handler with all limits set. What clients do
// wrong (an aborted handshake, a port scan) is logged at debug.
func Server(h http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		// It counts from the end of the header, so it holds what a slow body,
		// the wait for the budget and the disk may take.
		WriteTimeout: 90 * time.Second,
		// Alertmanager keeps a connection for 5 minutes. If we closed first, it
		// would now and then post into a connection that is just going away.
		IdleTimeout:    10 * time.Minute,
		MaxHeaderBytes: 64 << 10,
		ErrorLog:       slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		// "OPTIONS *" is answered by the handler as everything else is.
		DisableGeneralOptionsHandler: true,
	}
}
