package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// maxFailedReads bounds how long a rescue looks for rows between pages that
// cannot be read.
const maxFailedReads = 4000

// copying takes over what a damaged database still gives into a new one.
type copying struct {
	source *sql.Conn
	target *sql.Conn // in a transaction
	now    func() time.Time

	rows  map[string]int // how many were taken over, for each table
	lost  []string       // what was not, in words
	reads int            // how many reads of the source have failed
}

// all copies the tables, then the counters that must never go back. It fails
// only where the target cannot be written.
func (c *copying) all(ctx context.Context) error {
	c.rows = make(map[string]int)
	for _, table := range []string{"notifications", "deliveries", "incidents", "spaces"} {
		if err := c.table(ctx, table); err != nil {
			return err
		}
	}
	if err := c.epoch(ctx); err != nil {
		return err
	}
	for _, table := range []string{"notifications", "deliveries"} {
		if err := c.sequence(ctx, table); err != nil {
			return err
		}
	}
	return nil
}

// span is a range of row ids, both ends included.
type span struct{ from, to int64 }

// table copies the rows of a table. Where a row cannot be read, it goes on from
// the other end, then halves what is left between, until nothing or only
// unreadable rows are left.
func (c *copying) table(ctx context.Context, table string) error {
	columns, err := c.columns(ctx, table)
	if err != nil {
		return err
	}
	if len(columns) == 0 {
		c.lost = append(c.lost, table+": all")
		return nil
	}
	c.reads = 0
	var lost []span
	spans := []span{{1, math.MaxInt64}}
	for len(spans) > 0 && c.reads < maxFailedReads {
		rest := spans[0]
		spans = spans[1:]
		for _, order := range []string{"ASC", "DESC"} {
			last, complete, err := c.rowsOf(ctx, table, columns, rest, order)
			if err != nil {
				return err
			}
			switch {
			case complete:
				rest.from, rest.to = 1, 0
			case last == 0:
			case order == "ASC":
				rest.from = last + 1
			default:
				rest.to = last - 1
			}
			if rest.from > rest.to {
				break
			}
		}
		if rest.to == math.MaxInt64 {
			rest.to = max(rest.from-1, c.highest(ctx, table)) // to halve up to infinity would lead nowhere
		}
		switch middle := rest.from + (rest.to-rest.from)/2; {
		case rest.from > rest.to:
		case rest.from == rest.to:
			lost = append(lost, rest)
		default:
			spans = append(spans, span{rest.from, middle}, span{middle + 1, rest.to})
		}
	}
	c.report(table, append(lost, spans...))
	return nil
}

// highest returns an id that no row of the table is above.
func (c *copying) highest(ctx context.Context, table string) int64 {
	switch table {
	case "incidents":
		table = "notifications" // each incident came with one
	case "spaces":
		table = "deliveries" // a space is doing well or not at one
	}
	var last int64
	if err := c.source.QueryRowContext(ctx, selectSequence, table).Scan(&last); err != nil {
		return math.MaxInt64
	}
	return last
}

// columns returns those that both databases have: the source may be of an
// older schema.
func (c *copying) columns(ctx context.Context, table string) ([]string, error) {
	const query = `SELECT name FROM pragma_table_info('%s')`
	ours, err := column(ctx, c.target, fmt.Sprintf(query, table))
	if err != nil {
		return nil, err
	}
	theirs, err := column(ctx, c.source, fmt.Sprintf(query, table))
	if err != nil {
		return nil, nil //nolint:nilerr // an unreadable table has no columns
	}
	return slices.DeleteFunc(ours, func(name string) bool { return !slices.Contains(theirs, name) }), nil
}

// rowsOf copies the rows of a span in an order, until one cannot be read. It
// returns the id of the last one copied, 0 for none, and whether it got through.
func (c *copying) rowsOf(ctx context.Context, table string, columns []string, s span, order string) (int64, bool, error) {
	names := strings.Join(columns, ", ")
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(columns)), ", ")
	insert := fmt.Sprintf(`INSERT OR IGNORE INTO %s (%s) VALUES (%s)`, table, names, marks) //nolint:gosec // names of our own schema
	rows, err := c.source.QueryContext(ctx, fmt.Sprintf(
		`SELECT rowid, %s FROM %s WHERE rowid BETWEEN ? AND ? ORDER BY rowid %s`, names, table, order), s.from, s.to)
	if err != nil {
		c.reads++
		return 0, false, nil
	}
	defer rows.Close()
	var last int64
	values := make([]any, len(columns))
	into := []any{&last}
	for i := range values {
		into = append(into, &values[i])
	}
	var copied int64
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			break
		}
		result, err := c.target.ExecContext(ctx, insert, values...)
		if err != nil {
			return 0, false, err
		}
		if n, err := result.RowsAffected(); err == nil {
			c.rows[table] += int(n)
		}
		copied = last
	}
	if rows.Err() != nil || copied != last {
		c.reads++
		return copied, false, nil
	}
	return copied, true, nil
}

// report says in words what of a table could not be read.
func (c *copying) report(table string, lost []span) {
	slices.SortFunc(lost, func(a, b span) int { return int(min(max(a.from-b.from, -1), 1)) })
	var merged []span
	for _, s := range lost {
		if n := len(merged); n > 0 && merged[n-1].to+1 == s.from {
			merged[n-1].to = s.to
			continue
		}
		merged = append(merged, s)
	}
	for _, s := range merged {
		switch {
		case s.from == 1 && c.rows[table] == 0:
			c.lost = append(c.lost, table+": all")
		case s.to == math.MaxInt64:
			c.lost = append(c.lost, fmt.Sprintf("%s: from %d on", table, s.from))
		default:
			c.lost = append(c.lost, fmt.Sprintf("%s: %d to %d", table, s.from, s.to))
		}
	}
}

// epoch carries the lease's epoch over.
func (c *copying) epoch(ctx context.Context) error {
	epoch, err := c.counter(ctx, selectEpoch)
	if err != nil {
		return err
	}
	_, err = c.target.ExecContext(ctx, `UPDATE lease SET epoch = ? WHERE id = 1`, epoch)
	return err
}

const selectSequence = `SELECT seq FROM sqlite_sequence WHERE name = $1`

// sequence sees to it that the ids of a table go on after the last one that
// was ever given.
func (c *copying) sequence(ctx context.Context, table string) error {
	last, err := c.counter(ctx, selectSequence, table)
	if err != nil {
		return err
	}
	var highest int64
	row := c.target.QueryRowContext(ctx, `SELECT COALESCE(MAX(id), 0) FROM `+table) //nolint:gosec // a name of our own schema
	if err := row.Scan(&highest); err != nil {
		return err
	}
	if _, err := c.target.ExecContext(ctx, `DELETE FROM sqlite_sequence WHERE name = ?`, table); err != nil {
		return err
	}
	_, err = c.target.ExecContext(ctx, `INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)`, table, max(last, highest))
	return err
}

// counter reads a counter of the source. One that cannot be read goes on from
// the present time in milliseconds, which no counter reaches by counting.
func (c *copying) counter(ctx context.Context, query string, args ...any) (int64, error) {
	var n int64
	err := c.source.QueryRowContext(ctx, query, args...).Scan(&n)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, sql.ErrNoRows) && len(c.lost) == 0:
		return 0, nil // nothing was ever counted
	case ctx.Err() != nil:
		return 0, ctx.Err()
	}
	return c.now().UnixMilli(), nil
}

// column returns the one text column of a query.
func column(ctx context.Context, conn *sql.Conn, query string) ([]string, error) {
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var one string
		if err := rows.Scan(&one); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}
