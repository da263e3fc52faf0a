package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"

	"alertchat/receiver"
	"alertchat/receiver/httpapi"
)

// How long a first signal leaves: for what is being answered or attempted, where
// an attempt takes at most 10 s, and for all. The storage may take what is left
// of that, but always leastCloseTime, and no more after a second signal.
const (
	drainTime      = 14 * time.Second
	stopTime       = 15 * time.Second
	leastCloseTime = time.Second
)

// serve runs the receiver.
type serve struct {
	configFile  string
	storagePath string
	postgresURL string // the file that holds it
	externalURL string
	reloadEvery time.Duration
	web         *web.FlagConfig
}

func newServe(app *kingpin.Application) *serve {
	s := &serve{}
	c := app.Command("serve", "Run the receiver. This is what happens where no command is given.")
	c.Flag("config.file", "The configuration file.").Default("config.yml").StringVar(&s.configFile)
	c.Flag("config.auto-reload-interval", "How often to look whether the configuration, a template, a URL file or a credentials file has changed, and to load them anew if so. 0 turns it off.").Default("30s").DurationVar(&s.reloadEvery)
	c.Flag("storage.path", "The folder for what waits and what is known of incidents. It must be writable and outlive restarts.").Default("data/").StringVar(&s.storagePath)
	c.Flag("storage.postgres-url-file", "A file with the URL of a PostgreSQL database, postgres://USER:PASSWORD@HOST/DATABASE, to keep all that in instead of --storage.path. Several replicas with the same database take turns: any accepts, one delivers.").PlaceHolder("FILE").StringVar(&s.postgresURL)
	c.Flag("web.external-url", "The URL under which people reach the status page. It stands in what a fallback space is told.").PlaceHolder("URL").StringVar(&s.externalURL)
	s.web = kingpinflag.AddFlags(c, ":9098")
	return s
}

func (s *serve) run(ctx context.Context, env environment) error {
	signals := make(chan os.Signal, 4)
	env.notify(signals)

	log := env.log
	log.Info("Starting alertchat", "version", version.Info(), "build_context", version.BuildContext())
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		versioncollector.NewCollector("alertchat"),
	)
	if err := web.Validate(*s.web.WebConfigFile); err != nil {
		return fmt.Errorf("--web.config.file: %w", err)
	}
	if err := checkExternalURL(s.externalURL); err != nil {
		return err
	}
	o := receiver.Options{
		ConfigFile:      s.configFile,
		StoragePath:     s.storagePath,
		PostgresURLFile: s.postgresURL,
		StatusURL:       s.externalURL,
		ReloadEvery:     s.reloadEvery,
		Logger:          log,
		Registry:        registry,
	}
	app, err := receiver.New(o) //nolint:contextcheck // the storage lives until Close, not until a context ends
	if err != nil {
		return err
	}
	server := httpapi.Server(app.Handler(), log)
	return serveUntilSignal(ctx, app, log, signals, server, func() error {
		err := web.ListenAndServe(server, s.web, log)
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("%w; end what listens there, or give another address with --web.listen-address", err)
		}
		return err
	})
}

// checkExternalURL refuses what cannot stand in a message for all to see. Its
// error does not show the URL.
func checkExternalURL(given string) error {
	if given == "" {
		return nil
	}
	u, err := url.Parse(given)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return errors.New("--web.external-url: want a URL such as https://alertchat.example.org/")
	}
	if u.User != nil {
		return errors.New("--web.external-url: leave the user and the password out: the URL stands in messages")
	}
	return nil
}

// serveUntilSignal runs the receiver and its server. The first signal lets what
// is being answered or attempted end, the second abandons it.
func serveUntilSignal(ctx context.Context, app *receiver.Receiver, log *slog.Logger, signals <-chan os.Signal, server *http.Server, listen func() error) error {
	ctx, abandon := context.WithCancel(ctx)
	defer abandon()
	stop := make(chan struct{})
	running := make(chan struct{})
	go func() {
		defer close(running)
		app.Run(ctx, stop)
	}()
	failed := make(chan error, 1)
	go func() { failed <- listen() }()

	var failure error
	select {
	case failure = <-failed:
		if errors.Is(failure, http.ErrServerClosed) || errors.Is(failure, net.ErrClosed) {
			failure = nil
		}
	case <-untilEnd(ctx, app, log, signals):
	}
	log.Info("Stopping: ending what is being answered or attempted; what waits stays stored")
	begun := time.Now()
	close(stop)
	drain, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	context.AfterFunc(drain, abandon)
	whole, ended := context.WithCancel(context.WithoutCancel(ctx))
	defer ended()
	second := make(chan struct{})
	go func() {
		if secondSignal(whole, signals) {
			log.Warn("Second signal: abandoning what is being attempted; it is attempted again at the next start")
			abandon()
			close(second)
		}
	}()
	err := server.Shutdown(drain)
	<-running
	if err := closeStorage(whole, app, stopTime-time.Since(begun), second); err != nil {
		return err
	}
	if err != nil && failure == nil {
		log.Warn("Some requests were still open at the end", "err", err)
		return server.Close()
	}
	return failure
}

// closeStorage closes the storage within the time that is left. A database that
// does not answer must not keep the process from its end.
func closeStorage(ctx context.Context, app *receiver.Receiver, left time.Duration, hurry <-chan struct{}) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	giveUp := func() { cancel(errors.New("the database does not answer in time; what was accepted is stored")) }
	limit := time.AfterFunc(max(left, leastCloseTime), giveUp)
	defer limit.Stop()
	go func() {
		select {
		case <-hurry:
			limit.Reset(leastCloseTime)
		case <-ctx.Done():
		}
	}()
	return app.Close(ctx)
}

// secondSignal waits for a signal to end, and reports false when ctx ends
// before. A SIGHUP is none: whoever sends it does not know of the end.
func secondSignal(ctx context.Context, signals <-chan os.Signal) bool {
	for {
		select {
		case sig := <-signals:
			if sig != syscall.SIGHUP {
				return true
			}
		case <-ctx.Done():
			return false
		}
	}
}

// untilEnd reloads at each SIGHUP and closes what it returns at the first
// other signal, or when ctx ends.
func untilEnd(ctx context.Context, app *receiver.Receiver, log *slog.Logger, signals <-chan os.Signal) <-chan struct{} {
	end := make(chan struct{})
	go func() {
		defer close(end)
		for {
			select {
			case sig := <-signals:
				if sig != syscall.SIGHUP {
					log.Info("Received a signal", "signal", sig.String())
					return
				}
				if err := app.Reload(ctx); err != nil {
					log.Error("Cannot reload; the config before it stays in use", "err", err)
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return end
}
