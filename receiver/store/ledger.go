package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"alertchat/receiver/alert"
	"alertchat/receiver/delivery"
	"alertchat/receiver/incident"
)

// Known implements [delivery.Ledger]. A state that cannot be decoded counts as
// nothing known: the group begins anew, which costs a thread and no alert.
func (s *Store) Known(ctx context.Context, space string, groups []alert.Group) ([]incident.State, error) {
	keys := make([]string, len(groups))
	places := make(map[string]int, len(groups))
	for i, g := range groups {
		keys[i] = incidentKey(space, g)
		places[keys[i]] = i
	}
	states := make([]incident.State, len(groups))
	err := s.reading(ctx, func(r *statements) error {
		for query, args := range lists(`SELECT key, state FROM incidents WHERE key IN ({list})`, keys) {
			err := r.each(ctx, func(rows *sql.Rows) error {
				var key string
				var text []byte
				if err := rows.Scan(&key, &text); err != nil {
					return err
				}
				i := places[key]
				if err := json.Unmarshal(text, &states[i]); err != nil {
					states[i] = incident.State{}
					s.log.Warn("The stored state of an incident is damaged: its group begins anew",
						"space", space, "group", groups[i].String(), "err", err)
				}
				return nil
			}, query, args...)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range states {
		states[i] = states[places[keys[i]]] // the same group may stand there twice
	}
	return states, nil
}

// incidentKey returns the primary key of what is known of a group in a space.
func incidentKey(space string, g alert.Group) string {
	h := sha256.New()
	for _, part := range []string{space, g.Receiver, g.Key} {
		fmt.Fprintf(h, "%d:%s", len(part), part) // the lengths keep the parts apart
	}
	return hex.EncodeToString(h.Sum(nil))
}

// stateRow is what is known of a group, as it is stored.
type stateRow struct {
	space     string
	group     alert.Group
	state     string
	updatedAt int64
}

// encodeStates returns the rows for what is known, and what they weigh.
func encodeStates(space string, known []delivery.Known, now time.Time) ([]stateRow, int, error) {
	rows := make([]stateRow, 0, len(known))
	bytes := opBytes
	for i := range known {
		text, err := json.Marshal(known[i].State)
		if err != nil {
			return nil, 0, fmt.Errorf("encode what is known of %s: %w", known[i].Group, err)
		}
		bytes += opBytes + len(text)
		rows = append(rows, stateRow{space: space, group: known[i].Group, state: string(text), updatedAt: millis(now)})
	}
	return rows, bytes, nil
}

func putStates(ctx context.Context, w *statements, rows []stateRow) error {
	for i := range rows {
		r := &rows[i]
		err := w.later(ctx, `INSERT INTO incidents (key, updated_at, space, receiver, group_key, state)
			VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (key) DO UPDATE SET updated_at = excluded.updated_at, state = excluded.state`,
			incidentKey(r.space, r.group), r.updatedAt, r.space, r.group.Receiver, r.group.Key, r.state)
		if err != nil {
			return err
		}
	}
	return nil
}
