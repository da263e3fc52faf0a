package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"alertchat/receiver/delivery"
)

// deliveryColumns are the columns of a delivery but for its plan and whether
// it is reported.
const deliveryColumns = `id, status, space, ended_at, created_at, received_at, latest_at, attempts, plain, notice, place, reason, title, error, steps`

// plan is what a delivery is frozen as, apart from its steps. The bodies are
// kept as bytes: JSON within JSON would not come out byte for byte as it was.
type plan struct {
	Bodies [][]byte         `json:"bodies"`
	Later  []update         `json:"later,omitempty"`
	Known  []delivery.Known `json:"known,omitempty"`
	Covers []int64          `json:"covers,omitempty"`
}

// update is a delivery.Update.
type update struct {
	Title  string          `json:"title"`
	Steps  []delivery.Step `json:"steps"` // without their bodies
	Bodies [][]byte        `json:"bodies"`
}

// errPlan says that a stored delivery cannot be decoded.
var errPlan = errors.New("the stored plan of a delivery is damaged")

// Planned implements [delivery.Outbox].
func (s *Store) Planned(ctx context.Context, space string) ([]*delivery.Delivery, error) {
	var all []*delivery.Delivery
	err := s.reading(ctx, func(r *statements) error {
		return r.each(ctx, func(rows *sql.Rows) error {
			d, err := scanPlanned(rows)
			all = append(all, d)
			return err
		}, selectPlanned, space)
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// All planned deliveries have the end 0, so that the index gives their order.
const selectPlanned = `SELECT ` + deliveryColumns + `, plan FROM deliveries
	WHERE status = 'planned' AND space = $1 AND ended_at = 0 ORDER BY id`

// Save implements [delivery.Outbox]. When ctx ends before the outcome is known,
// a new delivery has no ID yet, but may stand among the planned ones.
func (s *Store) Save(ctx context.Context, l delivery.Lease, ds ...*delivery.Delivery) error {
	rows := make([]*deliveryRow, len(ds))
	bytes := 0
	for i, d := range ds {
		var err error
		if rows[i], err = s.encodeDelivery(d); err != nil {
			return err
		}
		bytes += rows[i].bytes
	}
	err := s.commitLeased(ctx, l, bytes, func(ctx context.Context, w *statements) error {
		for _, row := range rows {
			if err := row.put(ctx, w); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, d := range ds {
		d.ID = rows[i].id
	}
	return nil
}

// Thaw implements [delivery.Outbox]. A delivery that is not planned any more
// stays as it is.
func (s *Store) Thaw(ctx context.Context, l delivery.Lease, d *delivery.Delivery) error {
	id := d.ID
	return s.commitLeased(ctx, l, opBytes, func(ctx context.Context, w *statements) error {
		n, err := w.exec(ctx, `DELETE FROM deliveries WHERE id = $1 AND status = 'planned'`, id)
		if err != nil || n == 0 {
			return err
		}
		_, err = w.exec(ctx, `UPDATE notifications SET delivery = 0 WHERE delivery = $1 AND delivery > 0`, id)
		return err
	})
}

// deliveryRow is a delivery as it is stored.
type deliveryRow struct {
	id      int64
	isNew   bool // a commit may be tried twice, so that id does not tell
	settled bool
	columns []any // the values of deliveryColumns but the id, and of plan
	states  []stateRow
	covers  []int64
	bytes   int
}

func (s *Store) encodeDelivery(d *delivery.Delivery) (*deliveryRow, error) {
	r := &deliveryRow{id: d.ID, isNew: d.ID == 0, settled: d.Status != delivery.Planned, covers: slices.Clone(d.Covers), bytes: opBytes}
	stepsText, err := encodeSteps(d)
	if err != nil {
		return nil, err
	}
	var planText []byte
	if d.Status != delivery.Done {
		if planText, err = encodePlan(d); err != nil {
			return nil, err
		}
	}
	if r.settled {
		if r.states, r.bytes, err = encodeStates(d.Space, d.Known, s.now()); err != nil {
			return nil, err
		}
	}
	ended := d.EndedAt
	if r.settled && ended.IsZero() {
		ended = s.now()
	} else if !r.settled {
		ended = moment(0)
	}
	plain := 0
	if d.Plain {
		plain = 1
	}
	r.bytes += len(stepsText) + len(planText)
	r.columns = []any{
		string(d.Status), d.Space, millis(ended), millis(d.CreatedAt), millis(d.ReceivedAt), millis(d.LatestAt), d.Attempts,
		plain, d.Notice, d.Place, string(d.Reason), d.Title, d.Error, string(stepsText), string(planText),
	}
	return r, nil
}

// encodeSteps returns the column steps.
func encodeSteps(d *delivery.Delivery) ([]byte, error) {
	steps, _ := bodiless(d.Steps)
	text, err := json.Marshal(steps)
	if err != nil {
		return nil, fmt.Errorf("encode the steps of a delivery: %w", err)
	}
	return text, nil
}

// encodePlan returns the column plan.
func encodePlan(d *delivery.Delivery) ([]byte, error) {
	frozen := plan{Known: d.Known, Covers: d.Covers}
	_, frozen.Bodies = bodiless(d.Steps)
	for _, u := range d.Later {
		steps, bodies := bodiless(u.Steps)
		frozen.Later = append(frozen.Later, update{Title: u.Title, Steps: steps, Bodies: bodies})
	}
	text, err := json.Marshal(frozen)
	if err != nil {
		return nil, fmt.Errorf("encode the plan of a delivery: %w", err)
	}
	return text, nil
}

// bodiless takes the bodies out of steps.
func bodiless(steps []delivery.Step) (without []delivery.Step, bodies [][]byte) {
	without, bodies = slices.Clone(steps), make([][]byte, len(steps))
	for i := range without {
		bodies[i], without[i].Body = without[i].Body, nil
	}
	return without, bodies
}

// fill puts the bodies back.
func fill(steps []delivery.Step, bodies [][]byte) error {
	if len(bodies) != len(steps) {
		return fmt.Errorf("%w: %d bodies for %d steps", errPlan, len(bodies), len(steps))
	}
	for i := range steps {
		steps[i].Body = bodies[i]
	}
	return nil
}

// put stores the row, which may be new: then it gets its id.
func (r *deliveryRow) put(ctx context.Context, w *statements) error {
	if r.isNew {
		return r.insert(ctx, w)
	}
	return r.update(ctx, w)
}

func (r *deliveryRow) insert(ctx context.Context, w *statements) (err error) {
	r.id, err = w.insert(ctx, `INSERT INTO deliveries (
		status, space, ended_at, created_at, received_at, latest_at, attempts, plain, notice, place, reason, title, error, steps, plan)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`, r.columns...)
	if err != nil {
		return err
	}
	if err := execLists(ctx, w, `UPDATE notifications SET delivery = $1 WHERE id IN ({list})`, r.covers, r.id); err != nil {
		return err
	}
	return r.settle(ctx, w)
}

func (r *deliveryRow) update(ctx context.Context, w *statements) error {
	n, err := w.exec(ctx, `UPDATE deliveries SET status = $1, space = $2, ended_at = $3, created_at = $4, received_at = $5,
		latest_at = $6, attempts = $7, plain = $8, notice = $9, place = $10, reason = $11, title = $12, error = $13, steps = $14, plan = $15
		WHERE id = $16`, append(slices.Clone(r.columns), r.id)...)
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("delivery %d: %w", r.id, delivery.ErrGone)
	}
	return r.settle(ctx, w)
}

// settle stores what a delivery that is over leaves behind.
func (r *deliveryRow) settle(ctx context.Context, w *statements) error {
	if !r.settled {
		return nil
	}
	if _, err := w.exec(ctx, deleteCovered, r.id); err != nil {
		return err
	}
	return putStates(ctx, w, r.states)
}

// The second term lets the partial index serve.
const deleteCovered = `DELETE FROM notifications WHERE delivery = $1 AND delivery > 0`

// scanPlanned reads a row of selectPlanned. A delivery that cannot be decoded
// has the database opened anew, which lets its notifications wait again.
func scanPlanned(rows *sql.Rows) (*delivery.Delivery, error) {
	d, err := scanDelivery(rows, true)
	if errors.Is(err, errPlan) {
		return nil, &unavailableError{kind: stale, cause: "a delivery is damaged: its notifications are planned anew", err: err}
	}
	return d, err
}

// scanDelivery reads a row of deliveryColumns, and of the plan where withPlan
// says that it follows. With errPlan the delivery has its ID, but no plan.
func scanDelivery(rows *sql.Rows, withPlan bool) (*delivery.Delivery, error) {
	var (
		d                                delivery.Delivery
		ended, created, received, latest int64
		steps, planText                  []byte
	)
	into := []any{
		&d.ID, &d.Status, &d.Space, &ended, &created, &received, &latest, &d.Attempts, &d.Plain, &d.Notice, &d.Place, &d.Reason,
		&d.Title, &d.Error, &steps,
	}
	if withPlan {
		into = append(into, &planText)
	}
	if err := rows.Scan(into...); err != nil {
		return nil, err
	}
	d.EndedAt, d.CreatedAt, d.ReceivedAt, d.LatestAt = moment(ended), moment(created), moment(received), moment(latest)
	err := json.Unmarshal(steps, &d.Steps)
	if !withPlan {
		if err != nil {
			d.Steps = nil // history is shown as far as it goes
		}
		d.Steps, _ = bodiless(d.Steps)
		return &d, nil
	}
	if err != nil {
		return &d, fmt.Errorf("%w: steps: %w", errPlan, err)
	}
	var frozen plan
	if err := json.Unmarshal(planText, &frozen); err != nil {
		return &d, fmt.Errorf("%w: %w", errPlan, err)
	}
	if err := fill(d.Steps, frozen.Bodies); err != nil {
		return &d, err
	}
	for _, u := range frozen.Later {
		if err := fill(u.Steps, u.Bodies); err != nil {
			return &d, err
		}
		d.Later = append(d.Later, delivery.Update{Title: u.Title, Steps: u.Steps})
	}
	d.Known, d.Covers = frozen.Known, frozen.Covers
	return &d, nil
}
