package delivery

import (
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// storeRetry is the wait after the store failed.
const storeRetry = time.Second

// Store is all that the loops need of the storage.
type Store interface { //nolint:interfacebloat // six small ones, put together for one constructor
	Inbox
	Outbox
	Ledger
	Estate
	Reports
	Healths
}

// Options are what a [Manager] is made of. Store, Logger and Registerer are
// needed.
type Options struct {
	Store      Store
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// Poll is how often to look for what other processes have stored; 0 where
	// there are none.
	Poll time.Duration
	// StatusURL is where people find the status page; empty if that is not
	// known.
	StatusURL string
}

// Manager runs one loop for each space. A space that hangs or is gone holds up
// no other: the loops share nothing but the pace of a common place.
type Manager struct {
	store     Store
	log       *slog.Logger
	metrics   *metrics
	paces     *paces
	poll      time.Duration
	statusURL string

	mu     sync.Mutex // guards what follows; never held while waiting
	spaces map[string]*Space
	root   string
	loops  map[string]*loop           // running; only while a lease is held
	ending map[string]<-chan struct{} // of the spaces' last loops that were told to end
	health map[string]*health
	gone   map[string]time.Time // since when a space with something waiting is missing
	// mourned is when the dead deliveries of a space were last told of.
	mourned map[string]time.Time
	start   func(*loop) // starts a loop of the present session; nil between sessions
}

// New returns a manager without spaces; see [Manager.Use] and [Manager.Run].
func New(o Options) *Manager {
	return &Manager{
		store:     o.Store,
		log:       o.Logger,
		metrics:   newMetrics(o.Registerer),
		paces:     newPaces(),
		poll:      o.Poll,
		statusURL: o.StatusURL,
		spaces:    make(map[string]*Space),
		loops:     make(map[string]*loop),
		ending:    make(map[string]<-chan struct{}),
		health:    make(map[string]*health),
		gone:      make(map[string]time.Time),
		mourned:   make(map[string]time.Time),
	}
}

// Use replaces the spaces, at once and as a whole; root is the name of the one
// at the root of the routing tree. Loops of spaces that stay go on with the new
// settings at their next turn, and try at once what they wait with.
func (m *Manager) Use(spaces []*Space, root string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := make(map[string]*Space, len(spaces))
	for _, s := range spaces {
		next[s.Name] = s
		delete(m.gone, s.Name)
		if m.health[s.Name] == nil {
			m.health[s.Name] = &health{}
			m.metrics.introduce(s.Name)
		}
	}
	for name := range m.spaces {
		if next[name] == nil {
			m.paces.forget(name)
			m.metrics.forget(name)
			delete(m.health, name)
		}
	}
	for _, s := range spaces {
		if s.Place != "" {
			// Its rate holds for all spaces of the place, also while it is silent.
			m.paces.of(s.Place, s.Name, s.Rate)
		}
	}
	m.spaces, m.root = next, root
	m.reconcile()
}

// reconcile starts and stops loops so that each space has one. It is called
// with mu held.
func (m *Manager) reconcile() {
	for name, l := range m.loops {
		if m.spaces[name] == nil {
			l.quit()
			m.ending[name] = l.ended // a space that comes back at once must wait for it
			delete(m.loops, name)
			continue
		}
		l.wake()
	}
	if m.start == nil {
		return
	}
	for name := range m.spaces {
		if m.loops[name] == nil {
			l := &loop{
				m: m, name: name, after: m.ending[name],
				bell: make(chan struct{}, 1), retry: make(chan struct{}, 1),
				stop: make(chan struct{}), ended: make(chan struct{}),
			}
			m.loops[name] = l
			m.start(l)
		}
	}
}

// Ring tells the loops of these spaces that something waits.
func (m *Manager) Ring(spaces ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range spaces {
		if l := m.loops[name]; l != nil {
			l.ring()
		}
	}
}

// Look tells the loops of these spaces that others may have planned something
// for them, or stored what waits.
func (m *Manager) Look(spaces ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range spaces {
		if l := m.loops[name]; l != nil {
			l.look()
		}
	}
}

// Retry tells the loop of a space that one of its deliveries is planned again,
// and not to wait any longer after failures.
func (m *Manager) Retry(space string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.loops[space]; l != nil {
		l.look()
		l.wake()
	}
}

// space returns the present settings of a space, or nil when it is gone.
func (m *Manager) space(name string) *Space {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.spaces[name]
}

func (m *Manager) healthOf(name string) *health {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.health[name]
}

// Health returns how each space is doing, by name, as far as this process
// delivers; see [Manager.Delivering].
func (m *Manager) Health() map[string]Health {
	m.mu.Lock()
	all := maps.Clone(m.health)
	m.mu.Unlock()
	out := make(map[string]Health, len(all))
	for name, h := range all {
		out[name] = h.get()
	}
	return out
}

// Delivering reports whether this process holds the lease and delivers.
func (m *Manager) Delivering() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.start != nil
}
