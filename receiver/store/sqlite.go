package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
)

// fileName is the database. SQLite keeps two files more beside it.
const fileName = "alertchat.db"

// sidecars returns the suffixes of the files that make up a database.
func sidecars() []string { return []string{"", "-wal", "-shm"} }

// sqliteEngine keeps the data in a folder, which it has for itself while the
// database is open.
type sqliteEngine struct {
	s      *Store
	folder string
	lock   *folderLock // nil while the folder is not ours
	epoch  int64       // the last that this process has had
}

// open implements [engine]. A damaged database is rescued first.
func (e *sqliteEngine) open(ctx context.Context) (*database, error) {
	if err := os.MkdirAll(e.folder, 0o750); err != nil {
		return nil, err
	}
	var err error
	if e.lock, err = lockFolder(e.folder); err != nil {
		return nil, err
	}
	d, err := e.openLocked(ctx)
	if err != nil {
		e.quit() // a newer program, or one with more luck, may have it
		return nil, err
	}
	return d, nil
}

func (e *sqliteEngine) openLocked(ctx context.Context) (*database, error) {
	if err := e.finishRescue(); err != nil {
		return nil, err
	}
	d, err := openFile(ctx, e.folder, fileName)
	if fault := e.s.classify(err); fault != nil && fault.kind == damaged {
		if e.s.isStarting() { // else this is not the first try, and its trouble is known
			e.s.judge(fault)
		}
		if err := e.rescueClosed(ctx); err != nil {
			return nil, err
		}
		d, err = openFile(ctx, e.folder, fileName)
	}
	if err != nil {
		return nil, err
	}
	if err := e.begin(ctx, d); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// begin takes the lease and puts right what a rescue could not take over. Then
// the files are known by which to tell whether they are still in place.
func (e *sqliteEngine) begin(ctx context.Context, d *database) error {
	err := d.transact(ctx, 0, func(ctx context.Context) error {
		if _, err := d.writer.ExecContext(ctx,
			`UPDATE lease SET epoch = 1 + CASE WHEN epoch > $1 THEN epoch ELSE $1 END WHERE id = 1`, e.epoch); err != nil {
			return err
		}
		return d.mend(ctx)
	})
	if err != nil {
		return fmt.Errorf("take the lease: %w", err)
	}
	if d.epoch, err = d.write.number(ctx, selectEpoch); err != nil {
		return fmt.Errorf("take the lease: %w", err)
	}
	e.epoch = d.epoch
	d.files = make(map[string]os.FileInfo)
	path := e.path(fileName)
	for _, path := range []string{path, path + "-wal"} {
		if d.files[path], err = os.Stat(path); err != nil {
			return err
		}
	}
	return syncFolder(e.folder)
}

// leave implements [engine]. What a database held whose content is damaged or
// whose files are gone is carried over into a new one.
func (e *sqliteEngine) leave(ctx context.Context, d *database, fault *unavailableError) {
	if fault.kind == damaged || fault.kind == gone {
		e.rescueOpen(ctx, d)
	}
	d.close()
	e.quit()
}

// quit implements [engine]: another process may have the folder.
func (e *sqliteEngine) quit() {
	if e.lock != nil {
		e.lock.release()
		e.lock = nil
	}
}

// path returns the name of a file in the folder.
func (e *sqliteEngine) path(name string) string { return filepath.Join(e.folder, name) }

// dsn names a file for the driver. In WAL mode with synchronous=FULL a commit
// has reached the disk when it returns. The limit makes a WAL that a slow reader
// let grow small again. The timeout bounds how long another program's lock can
// hold a commit.
//
// What SQLite keeps for a while stays in memory: there may be no other folder
// that can be written to.
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
		"journal_size_limit(33554432)", "temp_store(memory)")
	query := url.Values{"_pragma": pragmas}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String()
}

// openFile opens the file in folder, makes it where it is missing, checks it
// and brings its schema up to date.
func openFile(ctx context.Context, folder, name string) (*database, error) {
	path := filepath.Join(folder, name)
	d := &database{dialect: sqliteDialect(), folder: folder, foreign: path + " is not a database of alertchat: move it away"}
	if err := d.openFile(ctx, path); err != nil {
		d.close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return d, nil
}

func (d *database) openFile(ctx context.Context, path string) error {
	isNew, err := createFile(path)
	if err != nil {
		return err
	}
	for _, limit := range []int{1, readersAtOnce} {
		pool, err := sql.Open("sqlite", dsn(path, isNew && limit == 1))
		if err != nil {
			return err
		}
		d.addPool(pool, limit)
	}
	if err := d.connect(ctx); err != nil {
		return err
	}
	if err := d.migrate(ctx); err != nil {
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
	faults, err := d.write.texts(ctx, `PRAGMA quick_check(1)`)
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

// sparePages of the file stay free for what comes next. What is free above that
// goes back to the file system, 256 pages of 4 KiB at a time.
const sparePages = 1024

// shrink implements [engine].
func (e *sqliteEngine) shrink(ctx context.Context, d *database) (bool, error) {
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

// isMissing tells whether nothing stands at path.
func isMissing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, os.ErrNotExist)
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
