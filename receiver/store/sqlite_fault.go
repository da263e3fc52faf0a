package store

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// classify implements [engine].
func (e *sqliteEngine) classify(err error) *unavailableError {
	fault := func(k kind, format string, args ...any) *unavailableError {
		return &unavailableError{kind: k, cause: fmt.Sprintf(format, args...), err: err}
	}
	full := fmt.Sprintf("the disk is full: free some space under %s", e.folder)
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault(failing, "%s", full)
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EROFS):
		return fault(failing, "%s cannot be written: make it writable for this process", e.folder)
	}
	lite, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return nil
	}
	switch lite.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return fault(failing, "%s", full)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL:
		return fault(failing, "another program has the database under %s locked: end it", e.folder)
	case sqlite3.SQLITE_NOMEM:
		return fault(failing, "the memory is exhausted: raise its limit")
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		return fault(stale, "the database under %s cannot be written: make it writable for this process", e.folder)
	case sqlite3.SQLITE_CANTOPEN:
		return fault(stale, "the database under %s cannot be opened: make its files readable and writable for this process", e.folder)
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOLFS:
		return fault(stale, "the disk fails under %s: look at the kernel's log", e.folder)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fault(damaged, "the database under %s is damaged: what is readable is being taken over", e.folder)
	}
	return nil
}
