package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"time"
)

// A rescue writes what can be read to newName, and gives that file rescuedName
// once it is complete and on disk. From then on it is the database, wherever a
// crash interrupts what follows: the old file is moved aside, then the new one
// takes its place.
const (
	newName     = fileName + ".new"
	rescuedName = fileName + ".rescued"
)

// rescueOpen takes over what an open database still gives, from the files that
// it has open, wherever they are by now. It tries until that is done or the
// store is closed: the connection may be all that is left of the data.
func (e *sqliteEngine) rescueOpen(ctx context.Context, d *database) {
	err := d.keepWAL()
	for {
		if err == nil {
			err = e.relock()
		}
		if err == nil {
			err = e.rescue(ctx, d.writer)
		}
		if err == nil {
			return
		}
		e.s.judge(e.s.faultOf(err))
		if e.s.pause(openInterval) {
			e.s.log.Error("Closed before the database could be carried over: what it held is lost", "err", err)
			return
		}
		err = nil
	}
}

// relock makes sure of the folder, which may be another one under the same
// name by now.
func (e *sqliteEngine) relock() error {
	if err := os.MkdirAll(e.folder, 0o750); err != nil {
		return err
	}
	if e.lock.inPlace() {
		return nil
	}
	l, err := lockFolder(e.folder)
	if err != nil {
		return err
	}
	e.lock.release()
	e.lock = l
	return nil
}

// rescueClosed takes over what the damaged file in the folder still gives.
func (e *sqliteEngine) rescueClosed(ctx context.Context) error {
	pragmas := url.Values{"_pragma": {"busy_timeout(2000)"}}
	name := url.URL{Scheme: "file", Path: e.path(fileName), RawQuery: pragmas.Encode()}
	pool, err := sql.Open("sqlite", name.String())
	if err != nil {
		return err
	}
	defer pool.Close()
	source, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer source.Close()
	if err := e.rescue(ctx, source); err != nil {
		return err
	}
	// Before the file is moved: SQLite closes its files by their names.
	_ = source.Close()
	_ = pool.Close()
	return e.finishRescue()
}

// rescue copies what source gives to a new database.
func (e *sqliteEngine) rescue(ctx context.Context, source *sql.Conn) error {
	// Without this SQLite gives nothing from a file that is shorter than it
	// should be, or one of whose tables has lost its definition.
	if _, err := source.ExecContext(ctx, `PRAGMA writable_schema = ON`); err != nil {
		return err
	}
	for _, suffix := range sidecars() {
		if err := os.Remove(e.path(newName) + suffix); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	target, err := openFile(ctx, e.folder, newName)
	if err != nil {
		return err
	}
	defer target.close()
	c := copying{source: source, target: target.writer, now: e.s.now}
	if err := target.transact(ctx, 0, c.all); err != nil {
		return fmt.Errorf("take over the database: %w", err)
	}
	// Closing the last connection moves all from the WAL to the file itself.
	target.close()
	if !isMissing(e.path(newName) + "-wal") {
		return fmt.Errorf("take over the database: %s-wal is still there", e.path(newName))
	}
	if err := os.Rename(e.path(newName), e.path(rescuedName)); err != nil {
		return err
	}
	if err := syncFolder(e.folder); err != nil {
		return err
	}
	e.s.log.Warn("The database was taken over into a new file", "notifications", c.rows["notifications"],
		"deliveries", c.rows["deliveries"], "incidents", c.rows["incidents"], "unreadable", c.lost)
	return nil
}

// finishRescue puts a rescued database in the place of what stands there.
func (e *sqliteEngine) finishRescue() error {
	if isMissing(e.path(rescuedName)) {
		return nil
	}
	aside := e.asideName()
	for _, suffix := range sidecars() {
		from := e.path(fileName) + suffix
		if isMissing(from) {
			continue
		}
		if err := os.Rename(from, aside+suffix); err != nil {
			return err
		}
		e.s.log.Warn("The old database file was moved aside: remove it when nobody needs it", "from", from, "to", aside+suffix)
	}
	if err := os.Rename(e.path(rescuedName), e.path(fileName)); err != nil {
		return err
	}
	return syncFolder(e.folder)
}

// asideName returns a name with the time that nothing has yet.
func (e *sqliteEngine) asideName() string {
	for at := e.s.now().UTC(); ; at = at.Add(time.Second) {
		name := e.path(fileName) + ".damaged-" + at.Format("20060102T150405Z")
		if isMissing(name) && isMissing(name+"-wal") {
			return name
		}
	}
}
