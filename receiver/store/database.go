package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// How many connections read at once, and how many of them stay open.
const (
	readersAtOnce = 4
	readersKept   = 2
)

// database is an open database.
type database struct {
	dialect dialect
	foreign string // what to say where it holds tables, but not ours

	// What SQLite has: the folder, the files that must stay in place, and the
	// epoch of the lease, which each opening raises. Else empty.
	folder string
	files  map[string]os.FileInfo
	epoch  int64

	pools  []*sql.DB
	writer *sql.Conn   // the keeper's own
	write  *statements // on writer
	read   *statements // on the readers

	// readers counts the calls that read. Store.mu is held for an Add, and no
	// Add comes after Store.db has changed, so that Wait has an end.
	readers sync.WaitGroup
}

// addPool adds connections that close closes: up to limit at once.
func (d *database) addPool(pool *sql.DB, limit int) {
	pool.SetMaxOpenConns(limit)
	pool.SetMaxIdleConns(min(limit, readersKept))
	pool.SetConnMaxIdleTime(time.Minute)
	d.pools = append(d.pools, pool)
}

// connect takes the keeper's connection from the first pool. The second is for
// the readers.
func (d *database) connect(ctx context.Context) error {
	var err error
	if d.writer, err = d.pools[0].Conn(ctx); err != nil {
		return err
	}
	d.write = &statements{dialect: d.dialect, on: d.writer}
	d.read = &statements{dialect: d.dialect, on: d.pools[1]}
	return nil
}

// transact runs change, which sends that many bytes, in one transaction, within
// the time that is allowed for it. Only the goroutine that owns the writer
// calls it.
func (d *database) transact(ctx context.Context, bytes int, change func(context.Context) error) error {
	ctx, cancel := d.dialect.boundedFor(ctx, bytes)
	defer cancel()
	return d.transactUnbounded(ctx, bytes, change)
}

func (d *database) transactUnbounded(ctx context.Context, bytes int, change func(context.Context) error) error {
	_, err := d.write.exec(ctx, d.dialect.beginFor(bytes))
	if err != nil {
		err = fmt.Errorf("begin: %w", err)
	} else {
		err = change(ctx)
	}
	if err == nil {
		if _, err = d.write.exec(ctx, "COMMIT"); err == nil {
			return nil
		}
		err = fmt.Errorf("commit: %w", err)
	}
	d.write.forget()
	// Where nothing was begun, and after some errors of SQLite, this one fails.
	// But what begins a transaction may have failed half way.
	_, _ = d.writer.ExecContext(ctx, "ROLLBACK")
	return err
}

// mend thaws planned deliveries whose plan cannot be read, and lets
// notifications wait again whose delivery is lost. It runs before anybody works
// with a new epoch of the lease.
func (d *database) mend(ctx context.Context) error {
	var broken []int64
	err := d.write.each(ctx, func(rows *sql.Rows) error {
		planned, err := scanDelivery(rows, true)
		if errors.Is(err, errPlan) {
			broken = append(broken, planned.ID)
			return nil
		}
		return err
	}, `SELECT `+deliveryColumns+`, plan FROM deliveries WHERE status = 'planned' AND ended_at = 0`)
	if err != nil {
		return err
	}
	for _, id := range broken {
		if _, err := d.write.exec(ctx, `DELETE FROM deliveries WHERE id = $1`, id); err != nil {
			return err
		}
	}
	_, err = d.write.exec(ctx, `UPDATE notifications SET delivery = 0 WHERE delivery > 0 AND NOT EXISTS (
		SELECT 1 FROM deliveries WHERE deliveries.id = notifications.delivery AND deliveries.status = 'planned')`)
	return err
}

// intact tells whether the files that are written to are still those that the
// next process would find. A commit into others is not safe.
func (d *database) intact() bool {
	for path, then := range d.files {
		if !sameFile(path, func() (os.FileInfo, error) { return then, nil }) {
			return false
		}
	}
	return true
}

// goneFault is the fault of a database that is not intact.
func (d *database) goneFault() *unavailableError {
	return &unavailableError{kind: gone, cause: fmt.Sprintf(
		"the database under %s was removed or replaced: what it held is being carried over", d.folder)}
}

func (d *database) close() {
	if d.write != nil {
		d.write.close()
		d.read.close()
	}
	if d.writer != nil {
		_ = d.writer.Close()
	}
	for _, pool := range d.pools {
		_ = pool.Close()
	}
}
