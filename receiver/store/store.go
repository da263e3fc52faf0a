// Package store keeps notifications, incidents and deliveries in SQL.
//
// What it is handed is safe once a call returns without error: it is on disk,
// and a crash of the process or of the machine does not lose it. One goroutine,
// the keeper, owns the database: it opens it, commits for all who wait, and puts
// things right when the disk is full or the database is lost. Until it has,
// every call fails with [ErrUnavailable].
//
// There are two engines. SQLite keeps all in a folder that one process has for
// itself: the keeper takes the folder's lock, which stands for the lease too,
// and carries over what it can when the file is gone or its content damaged.
// PostgreSQL serves several processes, which all accept and read; of these, one
// has the lease and delivers. There a second goroutine, the lessee, gets the
// lease, keeps it, and gives it up at the end.
//
// What the engines do differently stands in an [engine] and a [dialect];
// everything else is the same code and the same SQL.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"alertchat/receiver/delivery"
)

// ErrUnavailable says that nothing can be stored or read at the moment. The
// text of an error that wraps it says why and what to do, and may be shown to
// anybody. It passes by itself once the cause is gone.
var ErrUnavailable = errors.New("the storage is unavailable")

// Options says where a store keeps its data and what it works with. Only Path
// or PostgresURL is needed.
type Options struct {
	Path string // the folder of SQLite; it is created where it is missing
	// PostgresURL is a connection URL as psql takes it. Where it is set,
	// PostgreSQL keeps the data, over up to six connections. It is a secret, and
	// never shown. Behind a proxy that gives each transaction another connection
	// and keeps no prepared statements it needs default_query_exec_mode=exec,
	// which costs about half of the throughput.
	PostgresURL string

	Logger     *slog.Logger          // nil: nothing is logged
	Registerer prometheus.Registerer // nil: no metrics
	Now        func() time.Time      // nil: time.Now
	Retention  Retention
}

// Retention says how long what is over is kept. A zero field means its
// default. What waits or is planned is never removed.
type Retention struct {
	DoneAge   time.Duration // of deliveries that are done: 7 days
	DoneCount int           // how many of them for each space: 1,000
	DeadAge   time.Duration // of dead deliveries: 30 days
	DeadCount int           // how many of them for each space: 1,000
	StateAge  time.Duration // of what is known of a group or a space, since it last changed: 31 days
}

func (r Retention) orDefaults() Retention {
	const day = 24 * time.Hour
	if r.DoneAge == 0 {
		r.DoneAge = 7 * day
	}
	if r.DoneCount == 0 {
		r.DoneCount = 1000
	}
	if r.DeadAge == 0 {
		r.DeadAge = 30 * day
	}
	if r.DeadCount == 0 {
		r.DeadCount = 1000
	}
	if r.StateAge == 0 {
		r.StateAge = 31 * day
	}
	return r
}

// Store keeps notifications, incidents and deliveries in one database. Its
// methods may be called from any goroutine. Make one with [Open].
type Store struct {
	engine    engine
	dialect   dialect
	name      string // what its faults call the database
	log       *slog.Logger
	now       func() time.Time
	retention Retention
	failing   prometheus.Gauge

	bell      chan struct{} // one slot: the keeper has something to look at
	closing   chan struct{} // closed by the first Close
	done      chan struct{} // closed by the keeper when it has let go of everything
	closeOnce sync.Once

	batch []*op // the keeper's own: what it commits at the moment

	mu       sync.Mutex           // guards what follows
	db       *database            // nil while no database is open
	cause    *unavailableError    // why nothing can be written; nil when it can
	told     string               // the cause that the log has last; empty where it says that all is well
	toldAt   map[string]time.Time // when it had which cause
	queue    []*op                // what waits to be committed; empty while db is nil
	reported *unavailableError    // what a reader found wrong with the database
	lease    tenure               // what this process has of the lease
	held     chan struct{}        // closed while it has it
}

// A store is all that the loops need.
var (
	_ delivery.Inbox   = (*Store)(nil)
	_ delivery.Outbox  = (*Store)(nil)
	_ delivery.Ledger  = (*Store)(nil)
	_ delivery.Reports = (*Store)(nil)
	_ delivery.Healths = (*Store)(nil)
	_ delivery.Estate  = (*Store)(nil)
)

// tellInterval is how long the log does not repeat a cause.
const tellInterval = time.Minute

// Open returns a store at once. The database is opened in the background;
// [Store.Ready] tells when. The caller must call [Store.Close].
func Open(o Options) *Store {
	s := &Store{
		log:       o.Logger,
		now:       o.Now,
		retention: o.Retention.orDefaults(),
		failing: promauto.With(o.Registerer).NewGauge(prometheus.GaugeOpts{
			Name: "alertchat_storage_failing",
			Help: "Whether nothing can be stored at the moment (1) or all is well (0).",
		}),
		bell:    make(chan struct{}, 1),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
		held:    make(chan struct{}),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if o.PostgresURL != "" {
		s.usePostgres(o.PostgresURL)
	} else {
		s.useSQLite(o.Path)
	}
	s.cause = &unavailableError{kind: starting, cause: "it is being opened"}
	s.told, s.toldAt = s.cause.cause, make(map[string]time.Time)
	s.failing.Set(1)
	go s.keep(context.Background())
	return s
}

// useSQLite makes SQLite the engine.
func (s *Store) useSQLite(folder string) {
	// SQLite resolves relative paths when it opens a file, a rescue much later.
	if abs, err := filepath.Abs(folder); err == nil {
		folder = abs
	}
	s.engine = &sqliteEngine{s: s, folder: folder}
	s.dialect = sqliteDialect()
	s.name = "the database under " + folder
	s.log = s.log.With("folder", folder)
}

// usePostgres makes PostgreSQL the engine.
func (s *Store) usePostgres(url string) {
	host := postgresHost(url)
	s.engine = &postgresEngine{s: s, url: url}
	s.dialect = postgresDialect()
	s.name = strings.TrimSpace("PostgreSQL at " + host)
	s.log = s.log.With("postgres", host)
}

// Close commits what waits, closes the database and gives up the lease. It
// returns once that is done, or with ctx's error when ctx ends before.
// Afterwards everything fails with [ErrUnavailable].
func (s *Store) Close(ctx context.Context) error {
	s.closeOnce.Do(func() { close(s.closing) })
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close the storage: %w", context.Cause(ctx))
	}
}

// Ready returns nil when writes succeed, else an error that wraps
// [ErrUnavailable] and says why they do not.
func (s *Store) Ready() error {
	if fault := s.fault(); fault != nil {
		return fault
	}
	return nil
}

// fault returns why writes do not succeed, nil when they do.
func (s *Store) fault() *unavailableError {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

// opened makes d the database of all calls from now on. After a fault that is
// not yet the end of it: a probe tells.
func (s *Store) opened(d *database) {
	s.mu.Lock()
	s.db, s.reported = d, nil
	if s.cause.kind == starting {
		s.setCause(nil)
	}
	s.mu.Unlock()
	if d.epoch != 0 {
		s.hold(tenure{epoch: d.epoch})
	}
}

// shut lets no call reach the database any more, fails those that wait for a
// commit, and returns when no reader is left.
func (s *Store) shut(cause *unavailableError) {
	s.mu.Lock()
	d, queue := s.db, s.queue
	s.db, s.queue = nil, nil
	s.setCause(cause)
	s.mu.Unlock()
	for _, o := range queue {
		o.result <- cause
	}
	if d != nil {
		s.lose(d.epoch)
		d.readers.Wait()
	}
}

// judge notes whether writes succeed, cause being nil when they do.
func (s *Store) judge(cause *unavailableError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setCause(cause)
}

// setCause notes whether writes succeed. The log has one line for each change,
// not one for each write that fails, and where the storage changes all the time,
// one a minute for each cause. The caller holds s.mu.
func (s *Store) setCause(cause *unavailableError) {
	s.cause = cause
	if cause == nil {
		s.failing.Set(0)
		if s.told != "" {
			s.told = ""
			s.log.Info("The storage is ready")
		}
		return
	}
	s.failing.Set(1)
	at, before := s.toldAt[cause.cause]
	if s.told == cause.cause || before && time.Since(at) < tellInterval {
		return
	}
	s.told, s.toldAt[cause.cause] = cause.cause, time.Now()
	log := s.log.Error // somebody must act
	switch cause.kind {
	case starting:
		log = s.log.Info
	case closed:
		log = s.log.Debug
	case stale:
		log = s.log.Warn
	case failing, damaged, gone, newer:
	}
	attrs := []any{"cause", cause.cause}
	if cause.err != nil {
		attrs = append(attrs, "err", cause.err)
	}
	log("The storage is unavailable", attrs...)
}
