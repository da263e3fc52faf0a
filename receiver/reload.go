package receiver

import (
	"context"
	"errors"
	"time"

	"alertchat/receiver/delivery"
)

var errStopping = errors.New("stopping")

// Reload loads the config anew and puts it in use. If anything is wrong with
// it, nothing changes, and the error lists all that is.
func (r *Receiver) Reload(context.Context) error {
	r.reloading.Lock()
	defer r.reloading.Unlock()
	s, err := Load(r.loading)
	r.mu.Lock()
	r.reloadError = err
	r.mu.Unlock()
	if err != nil {
		r.metrics.reloadOK.Set(0)
		return err
	}
	r.use(s)
	r.log.Info("Loaded the config", "file", r.loading.ConfigFile, "spaces", len(s.spaces))
	return nil
}

// use puts a setup in use.
func (r *Receiver) use(s *Setup) {
	before := r.setup.Swap(s)
	spaces := make([]*delivery.Space, 0, len(s.spaces))
	for _, space := range s.spaces {
		spaces = append(spaces, space)
	}
	r.manager.Use(spaces, s.root)
	r.metrics.reloadOK.Set(1)
	r.metrics.reloadTime.Set(float64(s.loadedAt.Unix()))
	if before == nil {
		return
	}
	for name := range before.spaces {
		if s.spaces[name] == nil {
			r.metrics.templates.DeleteLabelValues(name)
		}
	}
	for _, c := range before.clients {
		c.CloseIdleConnections()
	}
}

func (r *Receiver) lastReloadError() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reloadError
}

// watch reloads when a file that the config depends on has changed its content,
// or when one came or went. A failed reload is tried again at the next change.
func (r *Receiver) watch(ctx context.Context, stop <-chan struct{}) {
	tick := time.NewTicker(r.reloadEvery)
	defer tick.Stop()
	failed := digest{} // of the files that could not be loaded last
	for {
		select {
		case <-tick.C:
		case <-stop:
			return
		case <-ctx.Done():
			return
		}
		s := r.setup.Load()
		now := digestOf(s.config.Files()...)
		mended := now == s.files && r.lastReloadError() != nil // by going back
		if !mended && (now == s.files || now == failed) {
			continue
		}
		if err := r.Reload(ctx); err != nil {
			failed = now
			r.log.Error("The config has changed but cannot be used; the one before it stays in use", "err", err)
		}
	}
}
