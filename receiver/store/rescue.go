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
func (s *Store) rescueOpen(ctx context.Context, d *database, lock **folderLock) {
	err := d.keepWAL()
	for {
		if err == nil {
			err = s.relock(lock)
		}
		if err == nil {
			err = s.rescue(ctx, d.writer)
		}
		if err == nil {
			return
		}
		s.judge(s.faultOf(err))
		if s.pause(openInterval) {
			s.log.Error("Closed before the database could be carried over: what it held is lost", "folder", s.folder, "err", err)
			return
		}
		err = nil
	}
}

// relock makes sure of the folder, which may be another one under the same
// name by now.
func (s *Store) relock(lock **folderLock) error {
	if err := os.MkdirAll(s.folder, 0o750); err != nil {
		return err
	}
	if (*lock).inPlace() {
		return nil
	}
	l, err := lockFolder(s.folder)
	if err != nil {
		return err
	}
	(*lock).release()
	*lock = l
	return nil
}

// rescueClosed takes over what the damaged file in the folder still gives.
func (s *Store) rescueClosed(ctx context.Context) error {
	pragmas := url.Values{"_pragma": {"busy_timeout(2000)"}}
	name := url.URL{Scheme: "file", Path: s.path(fileName), RawQuery: pragmas.Encode()}
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
	if err := s.rescue(ctx, source); err != nil {
		return err
	}
	// Before the file is moved: SQLite closes its files by their names.
	_ = source.Close()
	_ = pool.Close()
	return s.finishRescue()
}

// rescue copies what source gives to a new database.
func (s *Store) rescue(ctx context.Context, source *sql.Conn) error {
	// Without this SQLite gives nothing from a file that is shorter than it
	// should be, or one of whose tables has lost its definition.
	if _, err := source.ExecContext(ctx, `PRAGMA writable_schema = ON`); err != nil {
		return err
	}
	for _, suffix := range sidecars() {
		if err := os.Remove(s.path(newName) + suffix); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	target, err := openDatabase(ctx, s.folder, newName)
	if err != nil {
		return err
	}
	defer target.close()
	c := copying{source: source, target: target.writer, now: s.now}
	if err := target.transact(ctx, func() error { return c.all(ctx) }); err != nil {
		return fmt.Errorf("take over the database: %w", err)
	}
	// Closing the last connection moves all from the WAL to the file itself.
	target.close()
	if !isMissing(s.path(newName) + "-wal") {
		return fmt.Errorf("take over the database: %s-wal is still there", s.path(newName))
	}
	if err := os.Rename(s.path(newName), s.path(rescuedName)); err != nil {
		return err
	}
	if err := syncFolder(s.folder); err != nil {
		return err
	}
	s.log.Warn("The database was taken over into a new file", "folder", s.folder, "notifications", c.rows["notifications"],
		"deliveries", c.rows["deliveries"], "incidents", c.rows["incidents"], "unreadable", c.lost)
	return nil
}

// finishRescue puts a rescued database in the place of what stands there.
func (s *Store) finishRescue() error {
	if isMissing(s.path(rescuedName)) {
		return nil
	}
	aside := s.asideName()
	for _, suffix := range sidecars() {
		from := s.path(fileName) + suffix
		if isMissing(from) {
			continue
		}
		if err := os.Rename(from, aside+suffix); err != nil {
			return err
		}
		s.log.Warn("The old database file was moved aside: remove it when nobody needs it", "from", from, "to", aside+suffix)
	}
	if err := os.Rename(s.path(rescuedName), s.path(fileName)); err != nil {
		return err
	}
	return syncFolder(s.folder)
}

// asideName returns a name with the time that nothing has yet.
func (s *Store) asideName() string {
	for at := s.now().UTC(); ; at = at.Add(time.Second) {
		name := s.path(fileName) + ".damaged-" + at.Format("20060102T150405Z")
		if isMissing(name) && isMissing(name+"-wal") {
			return name
		}
	}
}
