package receiver

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	promconfig "github.com/prometheus/common/config"

	"alertchat/receiver/chat"
	"alertchat/receiver/config"
	"alertchat/receiver/delivery"
	"alertchat/receiver/incident"
	"alertchat/receiver/render"
	"alertchat/receiver/route"
)

var errStopping = errors.New("stopping")

// world is all that a config means. It is built as a whole, never changed, and
// put in use by swapping one pointer.
type world struct {
	config   *config.Config
	tree     *route.Tree
	root     string // the space at the root of the tree
	spaces   map[string]*delivery.Space
	clients  []*http.Client
	files    digest // of the files that it was made of
	loadedAt time.Time
}

// digest is a fingerprint of files' names and contents.
type digest [sha256.Size]byte

// Reload loads the config anew and puts it in use. If anything is wrong with
// it, nothing changes, and the error lists all that is.
func (r *Receiver) Reload(context.Context) error {
	r.reloading.Lock()
	defer r.reloading.Unlock()
	w, err := r.load()
	r.mu.Lock()
	r.reloadError = err
	r.mu.Unlock()
	if err != nil {
		r.metrics.reloadOK.Set(0)
		return err
	}
	r.use(w)
	r.log.Info("Loaded the config", "file", r.options.ConfigFile, "spaces", len(w.spaces))
	return nil
}

// use puts a world in use.
func (r *Receiver) use(w *world) {
	before := r.world.Swap(w)
	spaces := make([]*delivery.Space, 0, len(w.spaces))
	for _, s := range w.spaces {
		spaces = append(spaces, s)
	}
	for name := range w.spaces {
		r.metrics.templates.WithLabelValues(name)
	}
	r.manager.Use(spaces, w.root)
	r.metrics.reloadOK.Set(1)
	r.metrics.reloadTime.Set(float64(w.loadedAt.Unix()))
	if before == nil {
		return
	}
	for name := range before.spaces {
		if w.spaces[name] == nil {
			r.metrics.templates.DeleteLabelValues(name)
		}
	}
	for _, c := range before.clients {
		c.CloseIdleConnections()
	}
}

// load does all that can fail. Files that are replaced while they are read are
// read again, so that one world is not made of old and new ones.
func (r *Receiver) load() (*world, error) {
	for range 3 {
		before := digestOf(r.options.ConfigFile)
		c, err := r.config()
		if before != digestOf(r.options.ConfigFile) {
			continue
		}
		if err != nil {
			return nil, err
		}
		files := digestOf(c.Files()...)
		w, err := r.build(c)
		if files != digestOf(c.Files()...) {
			continue
		}
		if err != nil {
			return nil, err
		}
		w.files = files
		return w, nil
	}
	return nil, errors.New("load the config: its files changed while they were read; try again")
}

func (r *Receiver) config() (*config.Config, error) {
	c, err := config.Load(r.options.ConfigFile, config.Options{CheckURL: func(raw string) error {
		_, err := chat.ParseWebhookURL(raw)
		return err
	}})
	if err != nil {
		return nil, fmt.Errorf("load the config: %w", err)
	}
	return c, nil
}

// build makes a world of a config, and of the templates as they are on disk.
func (r *Receiver) build(c *config.Config) (*world, error) {
	w := &world{
		config:   c,
		tree:     route.New(c.Route),
		root:     c.Route.Space,
		spaces:   make(map[string]*delivery.Space, len(c.Spaces)),
		loadedAt: time.Now(),
	}
	var faults []error
	set, err := loadTemplates(c)
	if err != nil {
		faults = append(faults, err)
	}
	if set == nil {
		return nil, fmt.Errorf("load the templates: %w", err)
	}
	for i := range c.Spaces {
		s, err := r.space(w, set, i)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		w.spaces[s.Name] = s
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("load the config: %w", errors.Join(faults...))
	}
	return w, nil
}

func loadTemplates(c *config.Config) (*render.Set, error) {
	o := render.Options{DecodeYAML: config.DecodeYAML}
	for _, name := range c.Templates {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		o.Files = append(o.Files, render.File{Name: name, Text: string(text)})
	}
	return render.Load(o)
}

// space builds what delivers to the space with the given index.
func (r *Receiver) space(w *world, set *render.Set, i int) (*delivery.Space, error) {
	s := &w.config.Spaces[i]
	renderer, err := r.renderer(w.config, set, i)
	if err != nil {
		return nil, err
	}
	client, err := promconfig.NewClientFromConfig(s.HTTP.Reveal(), "chat")
	if err != nil {
		// It was built once when the config was checked.
		return nil, config.NewError([]config.Fault{w.config.Fault(fmt.Sprintf("spaces[%d].http_config", i), "cannot be used")})
	}
	w.clients = append(w.clients, client)
	url := func() (*chat.WebhookURL, error) {
		raw, err := s.URL()
		if err != nil {
			return nil, err
		}
		return chat.ParseWebhookURL(raw)
	}
	if r.options.Webhook != nil {
		url = func() (*chat.WebhookURL, error) { return r.options.Webhook(s.Name) }
	}
	threads := delivery.ByKey
	switch s.Thread {
	case config.ThreadIncident:
		threads = delivery.ByIncident
	case config.ThreadNone:
		threads = delivery.Unthreaded
	}
	return &delivery.Space{
		Name:     s.Name,
		Chat:     chat.NewWebhook(chat.WebhookOptions{URL: url, HTTP: client}),
		Renderer: renderer,
		Told:     incident.Options{SendResolved: s.SendResolved, DropRepeats: s.Repeats == config.Drop},
		Threads:  threads,
		Rate:     s.RateLimit,
		Timeout:  s.Timeout,
		MaxAge:   s.MaxAge,
	}, nil
}

// watch reloads when a file that the config depends on has changed its content,
// or when one came or went. A failed reload is tried again at the next change.
func (r *Receiver) watch(ctx context.Context, stop <-chan struct{}) {
	tick := time.NewTicker(r.options.ReloadEvery)
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
		w := r.world.Load()
		now := digestOf(w.config.Files()...)
		if now == w.files || now == failed {
			continue
		}
		if err := r.Reload(ctx); err != nil {
			failed = now
			r.log.Error("The config has changed but cannot be used; the one before it stays in use", "err", err)
		}
	}
}

// digestOf reads the files. It follows symbolic links, as Kubernetes swaps them.
func digestOf(files ...string) digest {
	h := sha256.New()
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			content = []byte("unreadable")
		}
		fmt.Fprintf(h, "%q %x\n", name, sha256.Sum256(content))
	}
	return digest(h.Sum(nil))
}
