package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// connectTimeout is how long one attempt to connect to one address may take,
// unless the URL asks for less.
const connectTimeout = 5 * time.Second

// postgresEngine keeps the data in PostgreSQL, which other processes use too.
type postgresEngine struct {
	s      *Store
	url    string  // a secret
	lessee *lessee // nil before the first opening
}

// postgresHost returns what of a connection URL may be shown: the hosts.
func postgresHost(url string) string {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return ""
	}
	hosts := []string{config.Host}
	for _, other := range config.Fallbacks {
		if !slices.Contains(hosts, other.Host) {
			hosts = append(hosts, other.Host)
		}
	}
	return strings.Join(hosts, ",")
}

// open implements [engine]. It ends with the store.
func (e *postgresEngine) open(ctx context.Context) (*database, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-e.s.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	d, err := e.connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := d.migrate(ctx); err != nil {
		d.close()
		return nil, err
	}
	if e.lessee == nil {
		e.lessee = newLessee(ctx, e.s, e.connect)
	}
	return d, nil
}

// connect opens a connection that writes, and the readers' pool.
func (e *postgresEngine) connect(ctx context.Context) (*database, error) {
	config, err := pgx.ParseConfig(e.url)
	if err != nil {
		return nil, err
	}
	if config.ConnectTimeout == 0 || config.ConnectTimeout > connectTimeout {
		config.ConnectTimeout = connectTimeout
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "alertchat"
	}
	connector := stdlib.GetConnector(*config)
	d := &database{
		dialect: e.s.dialect,
		foreign: e.s.name + " has tables of something else: give alertchat a database of its own",
	}
	d.addPool(sql.OpenDB(connector), 1)
	d.addPool(sql.OpenDB(connector), readersAtOnce)
	if err = d.connect(ctx); err == nil {
		err = e.check(ctx, d)
	}
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// check looks whether the server takes writes, and whether it answers a commit
// only once that is safe. It is made to, and to notice within a transaction when
// the machine or the network is gone: else the rows that were changed would stay
// locked for hours.
func (e *postgresEngine) check(ctx context.Context, d *database) error {
	ctx, cancel := d.dialect.bounded(ctx)
	defer cancel()
	var readOnly, synchronous string
	var keepsAlive bool
	err := d.writer.QueryRowContext(ctx, `SELECT current_setting('transaction_read_only'),
		current_setting('synchronous_commit'), EXISTS (SELECT 1 FROM pg_settings WHERE name = 'tcp_keepalives_idle')`).
		Scan(&readOnly, &synchronous, &keepsAlive)
	if err != nil {
		return err
	}
	if readOnly == "on" {
		_, what := judgeState("25006")
		return &unavailableError{kind: stale, cause: e.s.name + " " + what}
	}
	d.write.pipeline = func(ctx context.Context, queue []queued) error { return pipeline(ctx, d.writer, queue) }
	if synchronous == "off" {
		d.dialect.begin += "; SET LOCAL synchronous_commit = on"
	}
	if keepsAlive { // not every server that speaks the protocol can do that
		d.dialect.begin += "; SET LOCAL tcp_keepalives_idle = 5; SET LOCAL tcp_keepalives_interval = 2; SET LOCAL tcp_keepalives_count = 3"
	}
	d.write.dialect = d.dialect
	return nil
}

// leave implements [engine]. Where a delivery cannot be read, the lease is taken
// anew, which mends that.
func (e *postgresEngine) leave(_ context.Context, d *database, fault *unavailableError) {
	d.close()
	if errors.Is(fault.err, errPlan) {
		e.lessee.startAnew()
	}
}

// quit implements [engine].
func (e *postgresEngine) quit() {
	if e.lessee != nil {
		e.lessee.end()
	}
}

// shrink implements [engine]: the server reuses free space by itself.
func (e *postgresEngine) shrink(context.Context, *database) (bool, error) { return false, nil }

// pipeline sends statements all at once and then waits for what becomes of them.
func pipeline(ctx context.Context, conn *sql.Conn, queue []queued) error {
	batch := &pgx.Batch{}
	for i := range queue {
		q := &queue[i]
		wait := batch.Queue(q.query, q.args...)
		if q.id != nil {
			wait.QueryRow(func(row pgx.Row) error { return row.Scan(q.id) })
		}
	}
	return conn.Raw(func(driver any) error {
		c, ok := driver.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("the driver is a %T", driver)
		}
		return c.Conn().SendBatch(ctx, batch).Close()
	})
}
