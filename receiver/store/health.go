package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"alertchat/receiver/delivery"
)

// Health implements [delivery.Healths]. One that cannot be decoded is left out.
func (s *Store) Health(ctx context.Context) (map[string]delivery.Health, error) {
	all := make(map[string]delivery.Health)
	err := s.reading(ctx, func(r *statements) error {
		return r.each(ctx, func(rows *sql.Rows) error {
			var space string
			var text []byte
			if err := rows.Scan(&space, &text); err != nil {
				return err
			}
			var h delivery.Health
			if err := json.Unmarshal(text, &h); err != nil {
				s.log.Warn("What is stored of how a space is doing is damaged: it begins anew", "space", space, "err", err)
				return nil
			}
			all[space] = h
			return nil
		}, `SELECT name, health FROM spaces`)
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// SaveHealth implements [delivery.Healths].
func (s *Store) SaveHealth(ctx context.Context, l delivery.Lease, space string, h delivery.Health) error {
	text, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("encode how space %q is doing: %w", space, err)
	}
	now := millis(s.now())
	return s.commitLeased(ctx, l, opBytes+len(text), func(ctx context.Context, w *statements) error {
		_, err := w.exec(ctx, `INSERT INTO spaces (name, updated_at, health) VALUES ($1, $2, $3)
			ON CONFLICT (name) DO UPDATE SET updated_at = excluded.updated_at, health = excluded.health`,
			space, now, string(text))
		return err
	})
}
