package receiver

import (
	"context"
	"errors"

	"alertchat/receiver/delivery"
	"alertchat/receiver/httpapi"
	"alertchat/receiver/store"
)

// deliveries lists deliveries for the HTTP API.
func (r *Receiver) deliveries(ctx context.Context, q httpapi.Query) ([]httpapi.Delivery, error) {
	found, err := r.store.Deliveries(ctx, store.Filter{Status: delivery.Status(q.State), Space: q.Space, Limit: q.Limit})
	if err != nil {
		return nil, err
	}
	out := make([]httpapi.Delivery, len(found))
	for i, d := range found {
		out[i] = httpapi.Delivery{
			ID: d.ID, Space: d.Space, Title: d.Title, Status: string(d.Status), Reason: string(d.Reason),
			Attempts: d.Attempts, Error: d.Error, ReceivedAt: d.ReceivedAt, CreatedAt: d.CreatedAt, EndedAt: d.EndedAt,
		}
	}
	return out, nil
}

// retry puts a dead delivery back.
func (r *Receiver) retry(ctx context.Context, id int64) error {
	spaces := r.setup.Load().spaces
	space, err := r.store.Retry(ctx, id, func(name string) bool { return spaces[name] != nil })
	switch {
	case errors.Is(err, store.ErrNoDelivery):
		return httpapi.ErrNoDelivery
	case errors.Is(err, store.ErrNotDead):
		return httpapi.ErrNotDead
	case errors.Is(err, store.ErrSpaceGone):
		return httpapi.ErrSpaceGone
	case err != nil:
		return err
	}
	r.log.Info("A dead delivery is sent once more", "space", space, "id", id)
	r.manager.Retry(space)
	return nil
}
