package delivery

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// storeRetry is the wait after the store failed.
	storeRetry = time.Second
	// goneFor is how long a space must be missing from the config before what
	// waits for it goes to the root's space, and goneCheck how often it is
	// looked at.
	goneFor   = 10 * time.Minute
	goneCheck = time.Minute
)

// Store is all that the loops need of the storage.
type Store interface { //nolint:interfacebloat // four small ones, put together for one constructor
	Inbox
	Outbox
	Ledger
	Estate
}

// Options are what a [Manager] is made of. All are needed.
type Options struct {
	Store      Store
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Manager runs one loop for each space. A space that hangs or is gone holds up
// no other: the loops share nothing but the pace of a common place.
type Manager struct {
	store   Store
	log     *slog.Logger
	metrics *metrics
	paces   *paces

	mu     sync.Mutex // guards what follows; never held while waiting
	spaces map[string]*Space
	root   string
	loops  map[string]*loop           // running; only while a lease is held
	ending map[string]<-chan struct{} // of the spaces' last loops that were told to end
	report map[string]*report
	gone   map[string]time.Time // since when a space with something waiting is missing
	start  func(*loop)          // starts a loop of the present session; nil between sessions
}

// New returns a manager without spaces; see [Manager.Use] and [Manager.Run].
func New(o Options) *Manager {
	return &Manager{
		store:   o.Store,
		log:     o.Logger,
		metrics: newMetrics(o.Registerer),
		paces:   newPaces(),
		spaces:  make(map[string]*Space),
		loops:   make(map[string]*loop),
		ending:  make(map[string]<-chan struct{}),
		report:  make(map[string]*report),
		gone:    make(map[string]time.Time),
	}
}

// Use replaces the spaces, at once and as a whole; root is the name of the one
// at the root of the routing tree. Loops of spaces that stay go on with the new
// settings at their next turn, and try at once what they wait with.
func (m *Manager) Use(spaces []*Space, root string) {
	places := make([]string, len(spaces))
	for i, s := range spaces {
		if place, err := s.Chat.Place(); err == nil {
			places[i] = place
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	next := make(map[string]*Space, len(spaces))
	for _, s := range spaces {
		next[s.Name] = s
		delete(m.gone, s.Name)
		if m.report[s.Name] == nil {
			m.report[s.Name] = &report{}
			m.metrics.introduce(s.Name)
		}
	}
	for name := range m.spaces {
		if next[name] == nil {
			m.paces.forget(name)
			m.metrics.forget(name)
			delete(m.report, name)
		}
	}
	for i, s := range spaces {
		if places[i] != "" {
			// Its rate holds for all spaces of the place, also while it is silent.
			m.paces.of(places[i], s.Name, s.Rate)
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

// Run delivers until stop is closed; then it ends what is being attempted and
// returns. When ctx ends, it abandons that too: what was attempted is attempted
// again by the next process.
func (m *Manager) Run(ctx context.Context, stop <-chan struct{}) {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-stop:
			cancel()
		case <-waiting.Done():
		}
	}()
	for {
		lease, err := m.store.Acquire(waiting)
		if waiting.Err() != nil {
			return
		}
		if err != nil {
			m.log.Error("Cannot get the right to deliver; trying again", "err", err)
			if !sleep(ctx, stop, storeRetry) {
				return
			}
			continue
		}
		m.session(ctx, stop, lease)
	}
}

// session runs the loops under one lease, until it is lost or stop is closed.
func (m *Manager) session(ctx context.Context, stop <-chan struct{}, lease Lease) {
	m.paces.begin(time.Now())
	lost := make(chan struct{})
	var once sync.Once
	lose := func() { once.Do(func() { close(lost) }) }
	var running sync.WaitGroup

	m.mu.Lock()
	m.start = func(l *loop) {
		running.Go(func() {
			if errors.Is(l.run(ctx, lease), ErrLeaseLost) {
				lose()
			}
		})
	}
	m.reconcile()
	m.mu.Unlock()

	tick := time.NewTicker(goneCheck)
	defer tick.Stop()
	for done := false; !done; {
		select {
		case <-tick.C:
			if errors.Is(m.adopt(ctx, lease), ErrLeaseLost) {
				lose()
			}
		case <-lost:
			done = true
		case <-stop:
			done = true
		case <-ctx.Done():
			done = true
		}
	}
	m.mu.Lock()
	m.start = nil
	for _, l := range m.loops {
		l.quit()
	}
	clear(m.loops)
	m.mu.Unlock()
	running.Wait()
	m.mu.Lock()
	clear(m.ending)
	m.mu.Unlock()
}

// adopt looks for spaces that are gone from the config while something waits
// for them. After ten minutes, the root's space is told in their place.
func (m *Manager) adopt(ctx context.Context, lease Lease) error {
	names, err := m.store.Spaces(ctx)
	if err != nil {
		return err
	}
	var due []string
	m.mu.Lock()
	root := m.root
	missing := make(map[string]time.Time)
	for _, name := range names {
		if m.spaces[name] != nil || root == "" {
			continue
		}
		since, ok := m.gone[name]
		if !ok {
			since = time.Now()
		}
		missing[name] = since
		if time.Since(since) >= goneFor {
			due = append(due, name)
		}
	}
	m.gone = missing
	m.mu.Unlock()
	for _, name := range due {
		moved, died, err := m.store.Adopt(ctx, lease, name, root)
		if err != nil {
			return err
		}
		m.log.Warn("A space is gone from the config; what waited for it goes to the root's space",
			"space", name, "root", root, "notifications", moved, "dead_deliveries", died)
		m.metrics.dead.WithLabelValues(root, string(SpaceRemoved)).Add(float64(died))
		m.Ring(root)
	}
	return nil
}

// space returns the present settings of a space, or nil when it is gone.
func (m *Manager) space(name string) *Space {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.spaces[name]
}

func (m *Manager) reportOf(name string) *report {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.report[name]
}

// Reports returns how each space is doing, by name.
func (m *Manager) Reports() map[string]Report {
	m.mu.Lock()
	reports := maps.Clone(m.report)
	m.mu.Unlock()
	out := make(map[string]Report, len(reports))
	for name, r := range reports {
		out[name] = r.get()
	}
	return out
}
