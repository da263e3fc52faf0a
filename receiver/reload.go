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
	for _, w := range s.Warnings() {
		r.log.Warn("The config may not do what was meant", "warning", w.String())
	}
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

// watch reloads when a file that the config depends on has changed its content,
// or when one came or went. After a failure it tries again each time: a config
// that cannot be loaded may name files that the one in use does not, and only
// loading shows whether they are mended. Each fault is logged once.
func (r *Receiver) watch(ctx context.Context, stop <-chan struct{}) {
	tick := time.NewTicker(r.reloadEvery)
	defer tick.Stop()
	said := ""
	for {
		select {
		case <-tick.C:
		case <-stop:
			return
		case <-ctx.Done():
			return
		}
		s := r.setup.Load()
		if r.ReloadError() == nil && digestOf(s.config.Files()...) == s.files {
			continue
		}
		err := r.Reload(ctx)
		switch {
		case err == nil:
			said = ""
		case err.Error() != said:
			said = err.Error()
			r.log.Error("The config has changed but cannot be used; the one before it stays in use", "err", err)
		}
	}
}
