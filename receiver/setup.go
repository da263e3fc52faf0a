package receiver

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	promconfig "github.com/prometheus/common/config"

	"alertchat/receiver/chat"
	"alertchat/receiver/config"
	"alertchat/receiver/delivery"
	"alertchat/receiver/incident"
	"alertchat/receiver/render"
	"alertchat/receiver/route"
)

// LoadOptions say what a [Setup] is made of.
type LoadOptions struct {
	ConfigFile string // the path of the config file
	Logger     *slog.Logger
	// Webhook, where it is set, gives the URL of a space's webhook in place of
	// the config: the preview sends everything to its stand-in.
	Webhook func(space string) (*chat.WebhookURL, error)
	// Failures counts templates that failed, by space. It may be nil.
	Failures *prometheus.CounterVec
}

// Setup is all that a config means: the tree, and for each space what renders
// and delivers. It is built as a whole and never changed; a reload makes
// another.
type Setup struct {
	config    *config.Config
	tree      *route.Tree
	root      string // the space at the root of the tree
	spaces    map[string]*delivery.Space
	renderers map[string]*renderer
	clients   []*http.Client
	files     digest // of the files that it was made of
	loadedAt  time.Time
}

// digest is a fingerprint of files' names and contents.
type digest [sha256.Size]byte

// Load makes a setup of the files as they are on disk. Files that are replaced
// while they are read are read again, so that one setup is not made of old and
// new ones. Its error lists all that is wrong.
func Load(o LoadOptions) (*Setup, error) {
	for range 3 {
		before := digestOf(o.ConfigFile)
		c, err := loadConfig(o.ConfigFile)
		if before != digestOf(o.ConfigFile) {
			continue
		}
		if err != nil {
			return nil, err
		}
		files := digestOf(c.Files()...)
		s, err := build(c, o)
		if files != digestOf(c.Files()...) {
			continue
		}
		if err != nil {
			return nil, err
		}
		s.files = files
		return s, nil
	}
	return nil, errors.New("load the config: its files changed while they were read; try again")
}

func loadConfig(file string) (*config.Config, error) {
	c, err := config.Load(file, config.Options{CheckURL: func(raw string) error {
		_, err := chat.ParseWebhookURL(raw)
		return err
	}})
	if err != nil {
		return nil, fmt.Errorf("load the config: %w", err)
	}
	return c, nil
}

// build makes a setup of a config, and of the templates as they are on disk.
func build(c *config.Config, o LoadOptions) (*Setup, error) {
	s := &Setup{
		config:    c,
		tree:      route.New(c.Route),
		root:      c.Route.Space,
		spaces:    make(map[string]*delivery.Space, len(c.Spaces)),
		renderers: make(map[string]*renderer, len(c.Spaces)),
		loadedAt:  time.Now(),
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
		if err := s.add(i, set, o); err != nil {
			faults = append(faults, err)
		}
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("load the config: %w", errors.Join(faults...))
	}
	return s, nil
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

// add builds what renders for and delivers to the space with the given index.
func (s *Setup) add(i int, set *render.Set, o LoadOptions) error {
	c := &s.config.Spaces[i]
	renderer, err := newRenderer(s.config, i, set, o)
	if err != nil {
		return err
	}
	client, err := promconfig.NewClientFromConfig(c.HTTP.Reveal(), "chat")
	if err != nil {
		// It was built once when the config was checked.
		return config.NewError([]config.Fault{s.config.Fault(fmt.Sprintf("spaces[%d].http_config", i), "cannot be used")})
	}
	url := func() (*chat.WebhookURL, error) {
		raw, err := c.URL()
		if err != nil {
			return nil, err
		}
		return chat.ParseWebhookURL(raw)
	}
	if o.Webhook != nil {
		url = func() (*chat.WebhookURL, error) { return o.Webhook(c.Name) }
	}
	threads := delivery.ByKey
	switch c.Thread {
	case config.ThreadIncident:
		threads = delivery.ByIncident
	case config.ThreadNone:
		threads = delivery.Unthreaded
	}
	s.clients = append(s.clients, client)
	s.renderers[c.Name] = renderer
	s.spaces[c.Name] = &delivery.Space{
		Name:     c.Name,
		Chat:     chat.NewWebhook(chat.WebhookOptions{URL: url, HTTP: client}),
		Renderer: renderer,
		Told:     incident.Options{SendResolved: c.SendResolved, DropRepeats: c.Repeats == config.Drop},
		Threads:  threads,
		Rate:     c.RateLimit,
		Timeout:  c.Timeout,
		MaxAge:   c.MaxAge,
	}
	return nil
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
