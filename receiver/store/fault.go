package store

import "errors"

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
func (s *Store) classify(err error) *unavailableError {
	if err == nil {
		return nil
	}
	if fault, ok := errors.AsType[*unavailableError](err); ok {
		return fault
	}
	return s.engine.classify(err)
}

// faultOf makes a fault of whatever keeps the database from being used.
func (s *Store) faultOf(err error) *unavailableError {
	if fault := s.classify(err); fault != nil {
		return fault
	}
	return &unavailableError{kind: stale, cause: s.name + " cannot be opened: see the log", err: err}
}
