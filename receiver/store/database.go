package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"modernc.org/sqlite"
)

// fileName is the database. SQLite keeps two files more beside it.
const fileName = "alertchat.db"

// sidecars returns the suffixes of the files that make up a database.
func sidecars() []string { return []string{"", "-wal", "-shm"} }

// How many connections read at once, and how many of them stay open.
const (
	readersAtOnce = 4
	readersKept   = 2
)

// database is one opened database file.
type database struct {
	dialect dialect
	folder  string
	path    string
	epoch   int64
	files   map[string]os.FileInfo // what makes it up: those that must stay in place

	pools  []*sql.DB
	writer *sql.Conn   // the keeper's own
	write  *statements // prepared on writer
	read   *statements // prepared on the readers

	// readers counts the calls that read. Store.mu is held for an Add, and no
	// Add comes after Store.db has changed, so that Wait has an end.
	readers sync.WaitGroup
}

// dsn names a file for the driver. In WAL mode with synchronous=FULL a commit
// has reached the disk when it returns. The limit makes a WAL that a slow reader
// let grow small again. The timeout bounds how long another program's lock can
// hold a commit.
//
// Retention gives pages back to the file system little by little, where a full
// VACUUM would stop all writes and need the space twice. That takes
// auto_vacuum, which must be set before the first table is made. In a database
// that is there already, setting it would be a write at each opening.
func dsn(path string, isNew bool) string {
	pragmas := []string{"busy_timeout(2000)"}
	if isNew {
		pragmas = append(pragmas, "auto_vacuum(incremental)")
	}
	pragmas = append(pragmas, "journal_mode(wal)", "synchronous(full)", "wal_autocheckpoint(4000)",
		"journal_size_limit(33554432)")
	query := url.Values{"_pragma": pragmas}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String()
}

// openDatabase opens the file in folder, makes it where it is missing, checks
// it and brings its schema up to date.
func openDatabase(ctx context.Context, folder, name string) (*database, error) {
	d := &database{dialect: sqliteDialect(), folder: folder, path: filepath.Join(folder, name)}
	if err := d.connect(ctx); err != nil {
		d.close()
		return nil, fmt.Errorf("open %s: %w", d.path, err)
	}
	return d, nil
}

func (d *database) connect(ctx context.Context) error {
	isNew, err := createFile(d.path)
	if err != nil {
		return err
	}
	for _, limit := range []int{1, readersAtOnce} {
		pool, err := sql.Open("sqlite", dsn(d.path, isNew && limit == 1))
		if err != nil {
			return err
		}
		pool.SetMaxOpenConns(limit)
		pool.SetMaxIdleConns(min(limit, readersKept))
		pool.SetConnMaxIdleTime(time.Minute)
		d.pools = append(d.pools, pool)
	}
	if d.writer, err = d.pools[0].Conn(ctx); err != nil {
		return err
	}
	d.write = &statements{on: d.writer}
	d.read = &statements{on: d.pools[1]}
	tables, err := column(ctx, d.writer, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`)
	if err != nil {
		return err
	}
	if len(tables) > 0 && !slices.Contains(tables, "meta") {
		return &unavailableError{kind: newer, cause: d.path + " is not a database of alertchat: move it away"}
	}
	if err := d.migrate(ctx, tables); err != nil {
		return err
	}
	return d.check(ctx)
}

// createFile makes the file, for nobody else to read, where it is missing: SQLite
// would let all read it. It tells whether the file is empty.
func createFile(path string) (bool, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return false, err
	}
	info, err := f.Stat()
	if err := errors.Join(err, f.Close()); err != nil {
		return false, err
	}
	return info.Size() == 0, nil
}

// check reads the whole database, and fails with a fault of kind damaged where
// that does not fit together.
func (d *database) check(ctx context.Context) error {
	faults, err := column(ctx, d.writer, `PRAGMA quick_check(1)`)
	if err != nil {
		return err
	}
	if len(faults) == 1 && faults[0] == "ok" {
		return nil
	}
	return &unavailableError{
		kind:  damaged,
		cause: fmt.Sprintf("the database under %s is damaged: what is readable is being taken over", d.folder),
		err:   fmt.Errorf("quick_check: %q", faults),
	}
}

// begin takes the lease and puts right what a rescue could not take over. Then
// the files are known by which to tell whether they are still in place.
func (d *database) begin(ctx context.Context, epoch int64) error {
	err := d.transact(ctx, func() error {
		if _, err := d.writer.ExecContext(ctx,
			`UPDATE lease SET epoch = 1 + CASE WHEN epoch > $1 THEN epoch ELSE $1 END WHERE id = 1`, epoch); err != nil {
			return err
		}
		return d.mend(ctx)
	})
	if err != nil {
		return fmt.Errorf("take the lease: %w", err)
	}
	if err := d.writer.QueryRowContext(ctx, selectEpoch).Scan(&d.epoch); err != nil {
		return fmt.Errorf("take the lease: %w", err)
	}
	d.files = make(map[string]os.FileInfo)
	for _, path := range []string{d.path, d.path + "-wal"} {
		if d.files[path], err = os.Stat(path); err != nil {
			return err
		}
	}
	return syncFolder(d.folder)
}

// transact runs change in one transaction. Only the keeper calls it.
func (d *database) transact(ctx context.Context, change func() error) error {
	if _, err := d.write.exec(ctx, d.dialect.begin); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	err := change()
	if err == nil {
		if _, err = d.write.exec(ctx, "COMMIT"); err == nil {
			return nil
		}
		err = fmt.Errorf("commit: %w", err)
	}
	// After some errors SQLite has rolled back by itself, and this one fails.
	_, _ = d.writer.ExecContext(ctx, "ROLLBACK")
	return err
}

// mend thaws planned deliveries whose plan cannot be read, and lets
// notifications wait again whose delivery is lost.
func (d *database) mend(ctx context.Context) error {
	rows, err := d.writer.QueryContext(ctx, `SELECT `+deliveryColumns+`, plan FROM deliveries WHERE status = 'planned' AND ended_at = 0`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var broken []int64
	for rows.Next() {
		planned, err := scanDelivery(rows, true)
		if errors.Is(err, errPlan) {
			broken = append(broken, planned.ID)
		} else if err != nil {
			return err
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, id := range broken {
		if _, err := d.writer.ExecContext(ctx, `DELETE FROM deliveries WHERE id = $1`, id); err != nil {
			return err
		}
	}
	_, err = d.writer.ExecContext(ctx, `UPDATE notifications SET delivery = 0 WHERE delivery > 0 AND NOT EXISTS (
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

// sparePages of the file stay free for what comes next. What is free above that
// goes back to the file system, 256 pages of 4 KiB at a time.
const sparePages = 1024

// shrink makes the file a little smaller where much of it is free. It tells
// whether there may be more to do.
func (d *database) shrink(ctx context.Context) (bool, error) {
	free, err := d.write.number(ctx, `PRAGMA freelist_count`)
	if err != nil || free <= sparePages {
		return false, err
	}
	_, err = d.writer.ExecContext(ctx, `PRAGMA incremental_vacuum(256)`)
	return err == nil, err
}

// keepWAL lets close leave the WAL alone. Without it SQLite removes, by name,
// what may be another database's by then.
func (d *database) keepWAL() error {
	return d.writer.Raw(func(driver any) error {
		control, ok := driver.(sqlite.FileControl)
		if !ok {
			return fmt.Errorf("the driver is a %T", driver)
		}
		_, err := control.FileControlPersistWAL("main", 1)
		return err
	})
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

// statements prepares each query once.
type statements struct {
	on interface {
		PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
	}
	mu      sync.Mutex // guards byQuery
	byQuery map[string]*sql.Stmt
}

// prepare returns the statement of a query. It is closed with all others.
func (s *statements) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	s.mu.Lock()
	stmt := s.byQuery[query]
	s.mu.Unlock()
	if stmt != nil {
		return stmt, nil
	}
	stmt, err := s.on.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if first := s.byQuery[query]; first != nil {
		_ = stmt.Close() //nolint:sqlclosecheck // two prepared it at once
		return first, nil
	}
	if s.byQuery == nil {
		s.byQuery = make(map[string]*sql.Stmt)
	}
	s.byQuery[query] = stmt
	return stmt, nil
}

func (s *statements) run(ctx context.Context, query string, args []any) (sql.Result, error) {
	stmt, err := s.prepare(ctx, query) //nolint:sqlclosecheck // kept, and closed with all
	if err != nil {
		return nil, err
	}
	return stmt.ExecContext(ctx, args...)
}

// exec runs a statement and returns how many rows it changed.
func (s *statements) exec(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := s.run(ctx, query, args)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// insert runs an INSERT and returns the id of the new row. RETURNING would give
// it too, as PostgreSQL needs it, but with SQLite at twice the cost of the whole.
func (s *statements) insert(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := s.run(ctx, query, args)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// number returns the one number that a query gives.
func (s *statements) number(ctx context.Context, query string, args ...any) (n int64, err error) {
	stmt, err := s.prepare(ctx, query) //nolint:sqlclosecheck // kept, and closed with all
	if err != nil {
		return 0, err
	}
	err = stmt.QueryRowContext(ctx, args...).Scan(&n)
	return n, err
}

// each hands every row of a query to scan.
func (s *statements) each(ctx context.Context, scan func(*sql.Rows) error, query string, args ...any) error {
	stmt, err := s.prepare(ctx, query) //nolint:sqlclosecheck // kept, and closed with all
	if err != nil {
		return err
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (s *statements) close() {
	for _, stmt := range s.byQuery {
		_ = stmt.Close()
	}
}

// column returns the one text column of a query.
func column(ctx context.Context, conn *sql.Conn, query string) ([]string, error) {
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var one string
		if err := rows.Scan(&one); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// syncFolder makes the names in a folder as safe as the files' contents.
func syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
