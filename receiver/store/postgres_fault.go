package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// classify implements [engine]. Nothing that it returns holds the URL: what pgx
// says about one that it cannot read may, so that is dropped.
func (e *postgresEngine) classify(err error) *unavailableError {
	fault := func(k kind, what string) *unavailableError {
		return &unavailableError{kind: k, cause: e.s.name + " " + what, err: err}
	}
	if _, ok := errors.AsType[*pgconn.ParseConfigError](err); ok {
		return urlFault(err)
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		if k, what := judgeState(pg.Code); what != "" {
			return fault(k, what)
		}
		return nil
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errPatience):
		return fault(stale, "does not answer in time: look at its load, its locks and the network")
	case isTLS(err):
		return fault(stale, "does not agree on TLS: check sslmode and sslrootcert in the URL, and restart, or the server's certificate")
	case isCut(err):
		return fault(stale, cannotBeReached)
	}
	return nil
}

// urlFault is the fault of a URL that pgx does not take.
func urlFault(err error) *unavailableError {
	if file, ok := errors.AsType[*fs.PathError](err); ok {
		return &unavailableError{kind: stale, cause: "the URL of PostgreSQL names a file that cannot be read", err: file}
	}
	return &unavailableError{kind: stale, cause: "the URL of PostgreSQL cannot be read: it must be one that psql takes"}
}

// CheckPostgresURL tells whether a text can be [Options.PostgresURL]. It does
// not connect, and its error does not show any of the text.
func CheckPostgresURL(url string) error {
	_, err := pgx.ParseConfig(url)
	// What is no URL is read as KEY=VALUE, and that of another scheme may look so.
	scheme, _, isURL := strings.Cut(url, "://")
	if isURL && scheme != "postgres" && scheme != "postgresql" && !strings.Contains(scheme, "=") {
		err = errors.ErrUnsupported
	}
	if err == nil {
		return nil
	}
	return errors.New(urlFault(err).cause)
}

const cannotBeReached = "cannot be reached: see that it runs, and that the network lets this process reach it"

// isTLS tells whether the server is there, but no encrypted connection to it can
// be made. That it has no TLS at all is an error of pgx that has no type.
func isTLS(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	return strings.Contains(err.Error(), "server refused TLS connection")
}

// isCut tells whether err means that a connection broke or did not come about.
func isCut(err error) bool {
	for _, cut := range []error{driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed} {
		if errors.Is(err, cut) {
			return true
		}
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[syscall.Errno](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return pgconn.SafeToRetry(err)
}

// judgeState says what a SQLSTATE means for the storage: nothing, where it
// concerns only the statement that met it.
func judgeState(code string) (kind, string) {
	switch code {
	case "28000", "28P01":
		return stale, "refuses the login: check user and password in the URL, and restart, or pg_hba.conf"
	case "3D000":
		return stale, "does not have the database of the URL: create it"
	case "3F000", "42501":
		return failing, "does not let the user of the URL do all that is needed: make it the owner of the database"
	case "42P01", "42703":
		return failing, "has lost a table or a column of alertchat: restore it"
	case "25006":
		return stale, "can only be read: point the URL at the primary server, or at all of them with target_session_attrs=read-write, and restart"
	case "53100":
		return failing, "has no room on its disk: free some space there"
	case "53300":
		return stale, "takes no more connections: end some, or raise max_connections"
	case "57P03":
		return stale, "is starting or stopping: wait"
	case "57014", "55P03":
		return stale, "takes too long: look at its load, its locks and its timeouts"
	case "26000", "42P05":
		return stale, "is behind a proxy that keeps no prepared statements: add default_query_exec_mode=exec to the URL, and restart"
	}
	switch code[:min(len(code), 2)] {
	case "08", "57":
		return stale, cannotBeReached
	case "25": // 25P03 among them: it gave up a transaction that it heard nothing of
		return stale, "has ended a transaction: its log says why"
	case "40":
		return failing, "has more conflicting writes than it can order: see what else writes to the tables"
	case "53", "58", "XX":
		return failing, "has trouble with its memory, its disk or its data: its log says which"
	}
	return 0, ""
}

// isConflict tells whether a transaction would pass if it were made again.
func isConflict(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pg.Code == "40001" || pg.Code == "40P01")
}
