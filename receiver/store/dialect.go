package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// dialect is what differs between the engines in the statements and in how they
// are run.
type dialect struct {
	begin string // starts a transaction that is going to write
	// idle has the server end a transaction of which it hears nothing for so many
	// milliseconds. Empty where there is no server.
	idle string
	id   string // the type of a primary key whose values the engine gives and never gives again
	blob string // the type of bytes

	// tables is a query for the names of the tables where ours are.
	tables string
	// migrating is run at the start of a migration's transaction: it waits for
	// the other processes that migrate. Empty where there can be none.
	migrating string
	// unchanging follows a SELECT of the lease: nobody takes it until the
	// transaction ends. Empty where nobody can.
	unchanging string
	// prepared says whether to prepare statements and keep them. If not, the
	// driver does it, as far as what it talks to can.
	prepared bool
	// returning says whether an INSERT gives the new id by RETURNING.
	returning bool
	// strict says whether texts must be UTF-8 without a zero byte.
	strict bool
	// patience is how long a transaction of the keeper, or a query, may take,
	// apart from what it sends. Without an end where it is zero: nothing on the
	// way can hang.
	patience time.Duration
}

// sqliteDialect waits for the write lock at the start of a transaction: a transaction
// that only comes to need it later cannot wait for it. RETURNING would give a
// new id at twice the cost of the whole insert.
func sqliteDialect() dialect {
	return dialect{
		begin:    "BEGIN IMMEDIATE",
		id:       "INTEGER PRIMARY KEY AUTOINCREMENT",
		blob:     "BLOB",
		tables:   `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`,
		prepared: true,
	}
}

// postgresDialect lets the server end a transaction whose process is no longer
// heard of, before another process may take the lease: its lock on the lease
// would be in the way. That goes for the time between two exchanges, and for a
// single large statement, but not for many that are sent at once; so the lock is
// taken in the last exchange before the COMMIT. The setting stands in the
// transaction because a proxy may give each one another connection.
//
// Writes of the loops lock the key of the lease's row. A renewal, which changes
// no key, does not wait for them; taking the lease does.
func postgresDialect() dialect {
	return dialect{
		begin:      "BEGIN ISOLATION LEVEL READ COMMITTED",
		idle:       "SET LOCAL idle_in_transaction_session_timeout = %d",
		id:         "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
		blob:       "BYTEA",
		tables:     `SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = current_schema()`,
		migrating:  `SELECT pg_advisory_xact_lock(3707812146)`,
		unchanging: ` FOR KEY SHARE`,
		returning:  true,
		strict:     true,
		patience:   10 * time.Second,
	}
}

// ddl returns a statement of the schema with the engine's types in it.
func (d dialect) ddl(statement string) string {
	return strings.NewReplacer("{id}", d.id, "{blob}", d.blob).Replace(statement)
}

// errPatience says that a database has taken longer than it may.
var errPatience = errors.New("the database does not answer in time")

// slowest is how many bytes a second the network carries at least: one that is
// slower counts as one that carries nothing.
const slowest = 1 << 20

// bounded returns a context that ends once the database has taken too long.
func (d dialect) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return d.boundedFor(ctx, 0)
}

// boundedFor does the same for what sends that many bytes.
func (d dialect) boundedFor(ctx context.Context, bytes int) (context.Context, context.CancelFunc) {
	if d.patience == 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, d.patienceFor(bytes), errPatience)
}

func (d dialect) patienceFor(bytes int) time.Duration {
	return d.patience + time.Duration(bytes)*time.Second/slowest
}

// beginFor starts a transaction that sends that many bytes.
func (d dialect) beginFor(bytes int) string {
	if d.idle == "" {
		return d.begin
	}
	return d.begin + "; " + d.idleFor(bytes)
}

func (d dialect) idleFor(bytes int) string {
	return fmt.Sprintf(d.idle, d.patienceFor(bytes).Milliseconds())
}

// storable changes args so that the engine takes them: a text with a byte that
// it refuses would be refused for ever.
func (d dialect) storable(args []any) []any {
	if !d.strict {
		return args
	}
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = strings.ReplaceAll(strings.ToValidUTF8(text, "\ufffd"), "\x00", "\ufffd")
		}
	}
	return args
}
