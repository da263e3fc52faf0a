package store

import (
	"context"
	"database/sql"
	"sync"
)

// statements runs queries on a connection or on a pool of them.
type statements struct {
	dialect dialect
	on      interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
		PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	}
	// pipeline runs statements in one exchange with the server; nil where there
	// is none to wait for.
	pipeline func(context.Context, []queued) error
	queue    []queued // what waits for the next exchange

	mu      sync.Mutex           // guards byQuery
	byQuery map[string]*sql.Stmt // those that are prepared
}

// queued is a statement that waits for others to go with it.
type queued struct {
	query string
	args  []any
	id    *int64 // where the id of a new row goes; nil for none
}

// maxQueued bounds what waits.
const maxQueued = 1000

// later runs a statement of which only a failure matters: now, or at the latest
// before the next one that does not wait, which then fails in its place. A
// transaction with hundreds of them would else wait hundreds of times for the
// network.
func (s *statements) later(ctx context.Context, query string, args ...any) error {
	if s.pipeline == nil {
		_, err := s.exec(ctx, query, args...)
		return err
	}
	return s.enqueue(ctx, queued{query: query, args: args})
}

// insertLater does the same for an INSERT. The id of the new row is there once
// the transaction is committed.
func (s *statements) insertLater(ctx context.Context, id *int64, query string, args ...any) (err error) {
	if s.pipeline == nil {
		*id, err = s.insert(ctx, query, args...)
		return err
	}
	return s.enqueue(ctx, queued{query: query + returningID, args: args, id: id})
}

func (s *statements) enqueue(ctx context.Context, q queued) error {
	q.args = s.dialect.storable(q.args)
	s.queue = append(s.queue, q)
	if len(s.queue) < maxQueued {
		return nil
	}
	return s.flush(ctx)
}

// flush runs what waits.
func (s *statements) flush(ctx context.Context) error {
	if len(s.queue) == 0 {
		return nil
	}
	defer s.forget()
	return s.pipeline(ctx, s.queue)
}

// forget drops what waits.
func (s *statements) forget() {
	clear(s.queue)
	s.queue = s.queue[:0]
}

// prepare returns the statement of a query. It is closed with all others.
func (s *statements) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	s.mu.Lock()
	stmt := s.byQuery[query]
	s.mu.Unlock()
	if stmt != nil {
		return stmt, nil
	}
	stmt, err := s.on.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if first := s.byQuery[query]; first != nil {
		_ = stmt.Close() //nolint:sqlclosecheck // two prepared it at once
		return first, nil
	}
	if s.byQuery == nil {
		s.byQuery = make(map[string]*sql.Stmt)
	}
	s.byQuery[query] = stmt
	return stmt, nil
}

func (s *statements) run(ctx context.Context, query string, args []any) (sql.Result, error) {
	if err := s.flush(ctx); err != nil {
		return nil, err
	}
	args = s.dialect.storable(args)
	if !s.dialect.prepared {
		return s.on.ExecContext(ctx, query, args...)
	}
	stmt, err := s.prepare(ctx, query) //nolint:sqlclosecheck // kept, and closed with all
	if err != nil {
		return nil, err
	}
	return stmt.ExecContext(ctx, args...)
}

func (s *statements) query(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	args = s.dialect.storable(args)
	if !s.dialect.prepared {
		return s.on.QueryContext(ctx, query, args...)
	}
	stmt, err := s.prepare(ctx, query) //nolint:sqlclosecheck // kept, and closed with all
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(ctx, args...)
}

// exec runs a statement and returns how many rows it changed.
func (s *statements) exec(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := s.run(ctx, query, args)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

const returningID = ` RETURNING id`

// insert runs an INSERT and returns the id of the new row.
func (s *statements) insert(ctx context.Context, query string, args ...any) (int64, error) {
	if s.dialect.returning {
		return s.number(ctx, query+returningID, args...)
	}
	result, err := s.run(ctx, query, args)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// number returns the one number that a query gives.
func (s *statements) number(ctx context.Context, query string, args ...any) (n int64, err error) {
	found := false
	err = s.each(ctx, func(rows *sql.Rows) error {
		found = true
		return rows.Scan(&n)
	}, query, args...)
	if err == nil && !found {
		err = sql.ErrNoRows
	}
	return n, err
}

// each hands every row of a query to scan.
func (s *statements) each(ctx context.Context, scan func(*sql.Rows) error, query string, args ...any) error {
	if err := s.flush(ctx); err != nil { // within the time for all that is sent
		return err
	}
	ctx, cancel := s.dialect.bounded(ctx)
	defer cancel()
	rows, err := s.query(ctx, query, args)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// texts returns the one text column of a query.
func (s *statements) texts(ctx context.Context, query string, args ...any) (all []string, err error) {
	err = s.each(ctx, func(rows *sql.Rows) error {
		var one string
		err := rows.Scan(&one)
		all = append(all, one)
		return err
	}, query, args...)
	return all, err
}

func (s *statements) close() {
	for _, stmt := range s.byQuery {
		_ = stmt.Close()
	}
}
