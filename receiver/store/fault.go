package store

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// kind says what can be done about a fault.
type kind int

// The kinds of faults.
const (
	starting kind = iota // nothing is wrong: it is being opened, or another process has the folder
	closed               // nothing is wrong: nobody needs it any more
	failing              // the same database works again once the cause is gone
	stale                // the database must be closed and opened again
	damaged              // its content is damaged: what is readable must be taken over
	gone                 // its file is no longer in its place: it must be carried over
	newer                // its schema is none that this program knows
)

// unavailableError is a fault of the storage. Its text is for everybody; what
// the system said is only for the log.
type unavailableError struct {
	kind  kind
	cause string
	err   error
}

func (e *unavailableError) Error() string { return ErrUnavailable.Error() + ": " + e.cause }

func (e *unavailableError) Unwrap() error { return ErrUnavailable }

// classify returns the fault of the storage that err is, or nil where err is
// no such thing: then it concerns only the write that met it.
func classify(folder string, err error) *unavailableError {
	if err == nil {
		return nil
	}
	if fault, ok := errors.AsType[*unavailableError](err); ok {
		return fault
	}
	fault := func(k kind, format string, args ...any) *unavailableError {
		return &unavailableError{kind: k, cause: fmt.Sprintf(format, args...), err: err}
	}
	full := fmt.Sprintf("the disk is full: free some space under %s", folder)
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault(failing, "%s", full)
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EROFS):
		return fault(failing, "%s cannot be written: make it writable for this process", folder)
	}
	var lite *sqlite.Error
	if !errors.As(err, &lite) {
		return nil
	}
	switch lite.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return fault(failing, "%s", full)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL:
		return fault(failing, "another program has the database under %s locked: end it", folder)
	case sqlite3.SQLITE_NOMEM:
		return fault(failing, "the memory is exhausted: raise its limit")
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		return fault(stale, "the database under %s cannot be written: make it writable for this process", folder)
	case sqlite3.SQLITE_CANTOPEN:
		return fault(stale, "the database under %s cannot be opened: make its files readable and writable for this process", folder)
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOLFS:
		return fault(stale, "the disk fails under %s: look at the kernel's log", folder)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fault(damaged, "the database under %s is damaged: what is readable is being taken over", folder)
	}
	return nil
}
