package receiver

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
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
	webhooks  map[string]*chat.WebhookURL // by space; empty where LoadOptions.Webhook gives them
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
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("load the config: %w; name another file with --config.file", err)
		}
		if c == nil {
			return nil, fmt.Errorf("load the config: %w", err)
		}
		files := digestOf(c.Files()...)
		s, err := build(c, err, o)
		// The config once more: all may have been replaced before files was taken.
		if files != digestOf(c.Files()...) || before != digestOf(o.ConfigFile) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("load the config: %w", err)
		}
		s.files = files
		return s, nil
	}
	return nil, errors.New("load the config: its files changed while they were read; try again")
}

func loadConfig(file string) (*config.Config, error) {
	return config.Load(file, config.Options{CheckURL: func(raw string) error {
		_, err := chat.ParseWebhookURL(raw)
		return err
	}})
}

// build makes a setup of a config, and of the templates as they are on disk.
// wrong is what is known to be wrong with the config: then build only finds
// what is wrong besides.
func build(c *config.Config, wrong error, o LoadOptions) (*Setup, error) {
	var faults []config.Fault
	if known, ok := errors.AsType[*config.Error](wrong); ok {
		faults = known.Faults
	}
	renderers, more := newRenderers(c, o)
	if err := config.NewError(append(faults, more...)); err != nil {
		return nil, err
	}
	s := &Setup{
		config:    c,
		tree:      route.New(c.Route),
		root:      c.Route.Space,
		spaces:    make(map[string]*delivery.Space, len(c.Spaces)),
		renderers: renderers,
		webhooks:  make(map[string]*chat.WebhookURL, len(c.Spaces)),
		loadedAt:  time.Now(),
	}
	for i := range c.Spaces {
		if fault := s.add(i, o); fault != nil {
			faults = append(faults, *fault)
		}
	}
	if err := config.NewError(faults); err != nil {
		return nil, err
	}
	return s, nil
}

// newRenderers parses the templates and makes what renders for each space, by
// its name.
func newRenderers(c *config.Config, o LoadOptions) (map[string]*renderer, []config.Fault) {
	set, err := loadTemplates(c)
	faults := templateFaults(c, -1, err)
	if set == nil {
		return nil, faults
	}
	renderers := make(map[string]*renderer, len(c.Spaces))
	for i := range c.Spaces {
		r, err := newRenderer(&c.Spaces[i], set, o)
		faults = append(faults, templateFaults(c, i, err)...)
		renderers[c.Spaces[i].Name] = r
	}
	return renderers, faults
}

func loadTemplates(c *config.Config) (*render.Set, error) {
	o := render.Options{DecodeYAML: config.DecodeYAML, LineOf: config.LineOf}
	for _, name := range c.Templates {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		o.Files = append(o.Files, render.File{Name: name, Text: string(text)})
	}
	return render.Load(o)
}

// add builds what delivers to the space with the given index.
func (s *Setup) add(i int, o LoadOptions) *config.Fault {
	c := &s.config.Spaces[i]
	fault := func(key, message string) *config.Fault {
		f := s.config.Fault(fmt.Sprintf("spaces[%d]%s", i, key), message)
		return &f
	}
	client, err := promconfig.NewClientFromConfig(c.HTTP.Reveal(), "chat")
	if err != nil {
		// It was built once when the config was checked.
		return fault(".http_config", "cannot be used")
	}
	url, err := webhook(c, o)
	if err != nil {
		return fault("", err.Error())
	}
	if o.Webhook == nil {
		s.webhooks[c.Name] = url
	}
	threads := delivery.ByKey
	switch c.Thread {
	case config.ThreadIncident:
		threads = delivery.ByIncident
	case config.ThreadNone:
		threads = delivery.Unthreaded
	}
	s.clients = append(s.clients, client)
	s.spaces[c.Name] = &delivery.Space{
		Name:     c.Name,
		Chat:     chat.NewWebhook(chat.WebhookOptions{URL: func() (*chat.WebhookURL, error) { return url, nil }, HTTP: client}),
		Renderer: watched{s.renderers[c.Name].of, s.renderers[c.Name].see},
		Told:     incident.Options{SendResolved: c.SendResolved, DropRepeats: c.Repeats == config.Drop},
		Threads:  threads,
		Rate:     c.RateLimit,
		Timeout:  c.Timeout,
		MaxAge:   c.MaxAge,
		Digest:   c.DigestThreshold,

		Fallback:      c.FallbackSpace,
		FallbackAfter: c.FallbackAfter,
	}
	return nil
}

// webhook returns the URL of a space's webhook. It is part of the setup: a file
// with a newer URL is for messages that the newer templates render.
func webhook(c *config.Space, o LoadOptions) (*chat.WebhookURL, error) {
	if o.Webhook != nil {
		return o.Webhook(c.Name)
	}
	raw, err := c.URL()
	if err != nil {
		return nil, err
	}
	return chat.ParseWebhookURL(raw)
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
