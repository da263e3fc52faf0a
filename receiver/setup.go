package receiver

import (
	"cmp"
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
	// StandIn takes Google Chat's place, for the preview; nil for Google Chat. With
	// it, files with webhooks' URLs and with credentials may be missing.
	StandIn StandIn
	// Failures counts templates that failed, by space. It may be nil.
	Failures *prometheus.CounterVec
}

// StandIn is somewhere else to send what is meant for Google Chat.
type StandIn interface {
	// Webhook returns the URL in the place of that of a space's webhook, which leads
	// to the Google space "spaces/AAAA".
	Webhook(space, place string) (*chat.WebhookURL, error)
	// App makes the Chat app a member of the Google space, "spaces/AAAA", or gives
	// it a direct message with the user, "users/123"; the other one is empty. It
	// returns the address in the place of the API's, and the content of a
	// credentials file.
	App(space, place, user string) (url string, credentials []byte, err error)
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
	webhooks  map[string]*chat.WebhookURL // by space, of those that have one; empty with a stand-in
	apps      map[string]*chat.App        // by space, of the others
	accounts  map[account]*chat.Credentials
	clients   []*http.Client
	files     digest // of the files that it was made of
	loadedAt  time.Time
}

// LoadedAt returns when the setup was made.
func (s *Setup) LoadedAt() time.Time { return s.loadedAt }

// account is whose access tokens can be shared: those of the same credentials,
// fetched on the same way.
type account struct {
	file string // empty for Application Default Credentials
	http config.HTTPConfig
}

// digest is a fingerprint of files' names and contents.
type digest [sha256.Size]byte

// Load makes a setup of the files as they are on disk. Files that are replaced
// while they are read are read again, so that one setup is not made of old and
// new ones. Its error lists all that is wrong.
func Load(o LoadOptions) (*Setup, error) {
	for range 3 {
		before := digestOf(o.ConfigFile)
		c, err := loadConfig(o)
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

func loadConfig(o LoadOptions) (*config.Config, error) {
	return config.Load(o.ConfigFile, config.Options{
		CheckURL: func(raw string) error {
			_, err := chat.ParseWebhookURL(raw)
			return err
		},
		CheckCredentials: chat.CheckCredentials,
		WithoutSecrets:   o.StandIn != nil,
	})
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
		apps:      make(map[string]*chat.App),
		accounts:  make(map[account]*chat.Credentials),
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
	files, err := templateFiles(c)
	if err != nil {
		return nil, err
	}
	return loadFiles(files)
}

// add builds what delivers to the space with the given index.
func (s *Setup) add(i int, o LoadOptions) *config.Fault {
	c := &s.config.Spaces[i]
	fault := func(key, message string) *config.Fault {
		f := s.config.Fault(fmt.Sprintf("spaces[%d]%s", i, key), message)
		return &f
	}
	web := c.HTTP.Reveal()
	if o.StandIn != nil {
		// It is on loopback: no proxy, and nobody else, is to see anything.
		web = promconfig.HTTPClientConfig{}
	}
	client, err := promconfig.NewClientFromConfig(web, "chat")
	if err != nil {
		// It was built once when the config was checked.
		return fault(".http_config", "cannot be used")
	}
	s.clients = append(s.clients, client)
	threads := delivery.ByKey
	switch c.Thread {
	case config.ThreadIncident:
		threads = delivery.ByIncident
	case config.ThreadNone:
		threads = delivery.Unthreaded
	}
	space := &delivery.Space{
		Name:     c.Name,
		Renderer: watched{s.renderers[c.Name].of, s.renderers[c.Name].see},
		Told:     incident.Options{SendResolved: c.SendResolved, DropRepeats: c.Repeats == config.Drop},
		Threads:  threads,
		Edits:    c.Updates == config.Edit,
		Rate:     c.RateLimit,
		Timeout:  c.Timeout,
		MaxAge:   c.MaxAge,
		Digest:   c.DigestThreshold,

		Fallback:      c.FallbackSpace,
		FallbackAfter: c.FallbackAfter,
	}
	if c.App != nil {
		if authorizes(c.HTTP) {
			return fault(".http_config", "basic_auth, authorization, oauth2 and bearer_token have no place beside app: it has an access token of its own")
		}
		err = s.addApp(c, space, client, o)
	} else {
		err = s.addWebhook(c, space, client, o)
	}
	if err != nil {
		return fault("", err.Error())
	}
	s.spaces[c.Name] = space
	return nil
}

// addWebhook has a space deliver through its webhook. The URL is part of the
// setup: a file with a newer one is for messages that the newer templates render.
func (s *Setup) addWebhook(c *config.Space, space *delivery.Space, client *http.Client, o LoadOptions) error {
	url, err := webhook(c, o)
	if err != nil {
		return err
	}
	if o.StandIn == nil {
		s.webhooks[c.Name] = url
	}
	space.Place = url.Place()
	space.Chat = chat.NewWebhook(chat.WebhookOptions{URL: url, HTTP: client})
	return nil
}

func webhook(c *config.Space, o LoadOptions) (*chat.WebhookURL, error) {
	raw, err := c.URL()
	if o.StandIn != nil && errors.Is(err, fs.ErrNotExist) {
		return o.StandIn.Webhook(c.Name, "spaces/"+c.Name)
	}
	if err != nil {
		return nil, err
	}
	url, err := chat.ParseWebhookURL(raw)
	if err == nil && o.StandIn != nil {
		return o.StandIn.Webhook(c.Name, url.Place())
	}
	return url, err
}

// addApp has a space deliver as a Chat app.
func (s *Setup) addApp(c *config.Space, space *delivery.Space, client *http.Client, o LoadOptions) error {
	of := account{c.App.CredentialsFile, c.HTTP}
	address, content, err := application(c, o)
	if err != nil {
		return err
	}
	if s.accounts[of] == nil {
		if s.accounts[of], err = chat.NewCredentials(chat.CredentialsOptions{JSON: content, HTTP: client}); err != nil {
			return err
		}
	}
	app := chat.NewApp(chat.AppOptions{
		Space: c.App.Space, User: c.App.User, Credentials: s.accounts[of], URL: address, HTTP: client,
	})
	s.apps[c.Name] = app
	space.Place, space.Chat = c.App.Space, app
	return nil
}

// authorizes reports whether an http_config puts credentials into requests.
func authorizes(c config.HTTPConfig) bool {
	web := c.Reveal()
	return web.BasicAuth != nil || web.Authorization != nil || web.OAuth2 != nil || web.BearerToken != "" || web.BearerTokenFile != ""
}

// application returns where the API is that a space's app uses, and the content
// of its credentials file, nil where there is none.
func application(c *config.Space, o LoadOptions) (address string, credentials []byte, err error) {
	if o.StandIn != nil {
		return o.StandIn.App(c.Name, c.App.Space, c.App.User)
	}
	credentials, err = c.App.Credentials()
	return c.App.APIURL, credentials, err
}

// place returns what a space leads to, as far as that is known: "spaces/AAAA",
// or "users/123" while the space of a direct message is not.
func (s *Setup) place(c *config.Space) string {
	if app := s.apps[c.Name]; app != nil {
		return cmp.Or(app.Place(), c.App.User)
	}
	return s.spaces[c.Name].Place
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
