package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
)

// The rows of meta, the one table that each version has.
const (
	metaTable   = `CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL)`
	putMeta     = `INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value`
	metaVersion = "schema_version"
	metaLeast   = "schema_least"
	metaProbe   = "probe"
)

// migrate brings the schema up to the program's. A database that a newer
// program has made incompatible, or that is none of ours, is left as it is,
// with a fault of kind newer.
func (d *database) migrate(ctx context.Context) error {
	for steps := migrations(); ; {
		version, err := d.version(ctx)
		if err != nil {
			return err
		}
		if version >= len(steps) {
			return nil
		}
		if err := d.migrateFrom(ctx, version, steps[version]); err != nil {
			return fmt.Errorf("migrate to schema version %d: %w", version+1, err)
		}
	}
}

// migrateFrom makes one step in one transaction, so that a crash leaves the
// version and the tables in agreement. It does nothing where another process
// has made it meanwhile. A large table may take its time.
func (d *database) migrateFrom(ctx context.Context, version int, m migration) error {
	return d.transactUnbounded(ctx, 0, func(ctx context.Context) error {
		if d.dialect.migrating != "" {
			if _, err := d.write.exec(ctx, d.dialect.migrating); err != nil {
				return err
			}
		}
		if now, err := d.version(ctx); err != nil || now != version {
			return err
		}
		for _, statement := range append([]string{metaTable}, m.statements...) {
			if _, err := d.writer.ExecContext(ctx, d.dialect.ddl(statement)); err != nil {
				return err
			}
		}
		if _, err := d.write.exec(ctx, putMeta, metaLeast, strconv.Itoa(m.least)); err != nil {
			return err
		}
		_, err := d.write.exec(ctx, putMeta, metaVersion, strconv.Itoa(version+1))
		return err
	})
}

// version returns that of the schema, 0 where there is none yet.
func (d *database) version(ctx context.Context) (int, error) {
	tables, err := d.write.texts(ctx, d.dialect.tables)
	if err != nil || len(tables) == 0 {
		return 0, err
	}
	if !slices.Contains(tables, "meta") {
		return 0, &unavailableError{kind: newer, cause: d.foreign}
	}
	version, err := d.readMeta(ctx, metaVersion)
	if err != nil {
		return 0, err
	}
	least, err := d.readMeta(ctx, metaLeast)
	if err != nil {
		return 0, err
	}
	if ours := len(migrations()); least > ours {
		return 0, &unavailableError{kind: newer, cause: fmt.Sprintf(
			"its schema is of version %d, made by a newer alertchat; this one knows version %d: run the newer one", version, ours)}
	}
	return version, nil
}

// readMeta returns a number of meta, 0 where it is not there.
func (d *database) readMeta(ctx context.Context, key string) (int, error) {
	values, err := d.write.texts(ctx, `SELECT value FROM meta WHERE key = $1`, key)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", key, err)
	}
	if len(values) == 0 {
		return 0, nil
	}
	n, err := strconv.Atoi(values[0])
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", key, err)
	}
	return n, nil
}
