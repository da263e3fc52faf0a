package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
)

// A migration brings the schema from one version to the next. It only adds:
// the release before must run on the new schema. Where that cannot be, least
// is the oldest version whose programs can.
type migration struct {
	least      int
	statements []string
}

// migrations returns the steps from an empty database to the schema of this
// program; version n is what the first n steps make.
//
// Times are milliseconds since 1970 in UTC, 0 for none. The body and the plan
// stand last in their rows, so that the columns before them are read without
// the pages that a long one overflows to.
//
// notifications.delivery is the planned delivery that covers the row; with 0 it
// waits. Rows of settled deliveries are deleted. Both partial indexes hold only
// what is not over. incidents.key is a digest of space, receiver and group key:
// a group key has no limit, but an index entry has (2,704 bytes in PostgreSQL).
// deliveries.steps are the steps without their bodies; those stand in plan,
// which is empty once a delivery is done.
func migrations() []migration {
	return []migration{{least: 1, statements: []string{
		`CREATE TABLE notifications (
			id {id},
			delivery BIGINT NOT NULL DEFAULT 0,
			received_at BIGINT NOT NULL,
			space TEXT NOT NULL,
			receiver TEXT NOT NULL,
			group_key TEXT NOT NULL,
			unknown TEXT NOT NULL,
			body {blob} NOT NULL)`,
		`CREATE INDEX notifications_waiting ON notifications (space, id) WHERE delivery = 0`,
		`CREATE INDEX notifications_covered ON notifications (delivery) WHERE delivery > 0`,
		`CREATE TABLE incidents (
			key TEXT PRIMARY KEY NOT NULL,
			updated_at BIGINT NOT NULL,
			space TEXT NOT NULL,
			receiver TEXT NOT NULL,
			group_key TEXT NOT NULL,
			state TEXT NOT NULL)`,
		`CREATE INDEX incidents_updated ON incidents (updated_at)`,
		`CREATE TABLE deliveries (
			id {id},
			status TEXT NOT NULL,
			space TEXT NOT NULL,
			ended_at BIGINT NOT NULL,
			created_at BIGINT NOT NULL,
			received_at BIGINT NOT NULL,
			latest_at BIGINT NOT NULL,
			attempts BIGINT NOT NULL,
			plain BIGINT NOT NULL,
			place TEXT NOT NULL,
			reason TEXT NOT NULL,
			title TEXT NOT NULL,
			error TEXT NOT NULL,
			steps TEXT NOT NULL,
			plan TEXT NOT NULL)`,
		`CREATE INDEX deliveries_by_end ON deliveries (status, space, ended_at, id)`,
		`CREATE TABLE lease (id BIGINT PRIMARY KEY NOT NULL, epoch BIGINT NOT NULL)`,
		`INSERT INTO lease (id, epoch) VALUES (1, 0)`,
	}}}
}

// The rows of meta, the one table that each version has.
const (
	metaTable   = `CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL)`
	putMeta     = `INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value`
	metaVersion = "schema_version"
	metaLeast   = "schema_least"
	metaProbe   = "probe"
)

// migrate brings the schema up to the program's. tables are those that are there. A database that a newer
// program has made incompatible is left as it is, with a fault of kind newer.
func (d *database) migrate(ctx context.Context, tables []string) error {
	version, least := 0, 0
	if len(tables) > 0 {
		var err error
		if version, err = readMeta(ctx, d.writer, metaVersion); err != nil {
			return err
		}
		if least, err = readMeta(ctx, d.writer, metaLeast); err != nil {
			return err
		}
	}
	steps := migrations()
	if least > len(steps) {
		return &unavailableError{kind: newer, cause: fmt.Sprintf(
			"its schema is of version %d, made by a newer alertchat; this one knows version %d: run the newer one",
			version, len(steps))}
	}
	for ; version < len(steps); version++ {
		if err := d.migrateOne(ctx, version+1, steps[version]); err != nil {
			return fmt.Errorf("migrate to schema version %d: %w", version+1, err)
		}
	}
	return nil
}

// migrateOne makes one step in one transaction, so that a crash leaves the
// version and the tables in agreement.
func (d *database) migrateOne(ctx context.Context, version int, m migration) error {
	return d.transact(ctx, func() error {
		for _, statement := range append([]string{metaTable}, m.statements...) {
			if _, err := d.writer.ExecContext(ctx, d.dialect.ddl(statement)); err != nil {
				return err
			}
		}
		for key, value := range map[string]int{metaVersion: version, metaLeast: m.least} {
			if _, err := d.write.exec(ctx, putMeta, key, strconv.Itoa(value)); err != nil {
				return err
			}
		}
		return nil
	})
}

// readMeta returns a number of meta, 0 where it is not there.
func readMeta(ctx context.Context, conn *sql.Conn, key string) (int, error) {
	var text string
	err := conn.QueryRowContext(ctx, `SELECT value FROM meta WHERE key = $1`, key).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", key, err)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", key, err)
	}
	return n, nil
}
