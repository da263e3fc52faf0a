package delivery_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/client_golang/prometheus"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat"
	"alertchat/receiver/chat/chattest"
	"alertchat/receiver/delivery"
	"alertchat/receiver/incident"
	"alertchat/receiver/store"
)

// rig is a manager with a real store and a stand-in for Google Chat, in a
// bubble where time passes at once.
type rig struct {
	t        *testing.T
	chat     *chattest.Server
	bot      *chattest.App
	folder   string
	store    *store.Store
	through  delivery.Store // the store, or a wrapper around it
	manager  *delivery.Manager
	registry *prometheus.Registry
	log      *lines
	logger   *slog.Logger
	quiet    bool // whether the manager is not told of what is posted
	spaces   map[string]*delivery.Space
	root     string
	stop     chan struct{}
	abandon  context.CancelFunc
	ended    chan struct{}
}

// bubble runs a test with a rig in a bubble.
func bubble(t *testing.T, o chattest.Options, test func(*rig)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, chat: chattest.New(o), folder: t.TempDir(), spaces: map[string]*delivery.Space{}, log: &lines{}}
		r.open()
		defer r.halt()
		test(r)
		if remarks := r.chat.Remarks(); len(remarks) > 0 {
			t.Errorf("Chat would show something wrongly: %q", remarks)
		}
	})
}

// open starts the store, and a manager without spaces.
func (r *rig) open() {
	r.logger = slog.New(slog.NewTextHandler(r.log, nil))
	r.registry = prometheus.NewRegistry()
	r.store = store.Open(store.Options{Path: r.folder, Logger: r.logger})
	r.through = r.store
	r.manager = delivery.New(delivery.Options{Store: (*swapped)(r), Logger: r.logger, Registerer: r.registry})
	if _, err := r.store.Acquire(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// swapped is the rig as a store: what through is at the time of a call.
type swapped rig

func (s *swapped) Waiting(ctx context.Context, space string, limit int) ([]delivery.Waiting, error) {
	return s.through.Waiting(ctx, space, limit)
}

func (s *swapped) Read(ctx context.Context, ids []int64) ([]alert.Notification, error) {
	return s.through.Read(ctx, ids)
}

func (s *swapped) Discard(ctx context.Context, l delivery.Lease, space string, ids []int64, known []delivery.Known) error {
	return s.through.Discard(ctx, l, space, ids, known)
}

func (s *swapped) Planned(ctx context.Context, space string) ([]*delivery.Delivery, error) {
	return s.through.Planned(ctx, space)
}

func (s *swapped) Save(ctx context.Context, l delivery.Lease, ds ...*delivery.Delivery) error {
	return s.through.Save(ctx, l, ds...)
}

func (s *swapped) Thaw(ctx context.Context, l delivery.Lease, d *delivery.Delivery) error {
	return s.through.Thaw(ctx, l, d)
}

func (s *swapped) Known(ctx context.Context, space string, groups []alert.Group) ([]incident.State, error) {
	return s.through.Known(ctx, space, groups)
}

func (s *swapped) Holds(l delivery.Lease, d time.Duration) bool { return s.through.Holds(l, d) }

func (s *swapped) Undelivered(ctx context.Context, space string, limit int) ([]delivery.Undelivered, error) {
	return s.through.Undelivered(ctx, space, limit)
}

func (s *swapped) Unreported(ctx context.Context, limit int) ([]*delivery.Delivery, error) {
	return s.through.Unreported(ctx, limit)
}

func (s *swapped) Report(ctx context.Context, l delivery.Lease, d *delivery.Delivery, notifications, dead []int64) error {
	return s.through.Report(ctx, l, d, notifications, dead)
}

func (s *swapped) Health(ctx context.Context) (map[string]delivery.Health, error) {
	return s.through.Health(ctx)
}

func (s *swapped) SaveHealth(ctx context.Context, l delivery.Lease, space string, h delivery.Health) error {
	return s.through.SaveHealth(ctx, l, space, h)
}

func (s *swapped) Acquire(ctx context.Context) (delivery.Lease, error) { return s.through.Acquire(ctx) }

func (s *swapped) Spaces(ctx context.Context) ([]string, error) { return s.through.Spaces(ctx) }

func (s *swapped) Adopt(ctx context.Context, l delivery.Lease, from, to string) (int, int, error) {
	return s.through.Adopt(ctx, l, from, to)
}

// space adds a space with a webhook for the place, at 1 message a second.
func (r *rig) space(name, place string) *delivery.Space {
	url, err := chat.ParseWebhookURL("https://chat.googleapis.com" + r.chat.AddWebhook(place))
	if err != nil {
		r.t.Fatal(err)
	}
	s := &delivery.Space{
		Name:     name,
		Place:    place,
		Chat:     chat.NewWebhook(chat.WebhookOptions{URL: url, HTTP: &http.Client{Transport: r.chat.Transport()}}),
		Renderer: words{},
		Told:     incident.Options{SendResolved: true},
		Threads:  delivery.ByIncident,
		Rate:     1,
		Timeout:  10 * time.Second,
		MaxAge:   24 * time.Hour,
	}
	r.spaces[name] = s
	if r.root == "" {
		r.root = name
	}
	return s
}

// key is the one of all Chat apps here.
var key = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// app adds a space that is edited, to which a Chat app writes: one that is a
// member of the place, or has the direct message with a user.
func (r *rig) app(name, place string) *delivery.Space {
	user := ""
	if strings.HasPrefix(place, "users/") {
		user, place = place, "spaces/DM"
	}
	s := r.space(name, place)
	if r.bot == nil {
		r.bot = r.chat.AddApp("bot@example.iam.gserviceaccount.com", &key().PublicKey)
	}
	o := chat.AppOptions{Space: place, HTTP: &http.Client{Transport: r.chat.Transport()}}
	if user != "" {
		o.Space, o.User, s.Place = "", user, ""
	} else {
		r.bot.Join(place)
	}
	var err error
	o.Credentials, err = chat.NewCredentials(chat.CredentialsOptions{
		JSON: r.bot.KeyFile(key(), chat.GoogleAPI), HTTP: o.HTTP,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	s.Chat, s.Edits = chat.NewApp(o), true
	return s
}

// use hands the spaces to the manager.
func (r *rig) use() {
	var all []*delivery.Space
	for _, s := range r.spaces {
		all = append(all, s)
	}
	r.manager.Use(all, r.root)
}

// run starts the manager with the spaces.
func (r *rig) run() {
	r.use()
	ctx, cancel := context.WithCancel(context.Background())
	r.abandon, r.stop, r.ended = cancel, make(chan struct{}), make(chan struct{})
	stop, ended := r.stop, r.ended
	go func() {
		defer close(ended)
		r.manager.Run(ctx, stop)
	}()
}

// halt ends what runs, gently, and closes the store.
func (r *rig) halt() {
	if r.ended != nil {
		close(r.stop)
		<-r.ended
		r.abandon()
		r.ended = nil
	}
	if err := r.store.Close(context.Background()); err != nil {
		r.t.Error(err)
	}
}

// restart ends what runs, and begins anew on the same folder, as a new process
// would.
func (r *rig) restart() {
	r.halt()
	r.open()
	r.run()
}

// crash abandons what runs in the middle of it, and begins anew on the same
// folder.
func (r *rig) crash() {
	r.abandon()
	r.halt()
	r.open()
	r.run()
}

// settle waits until all is told and every edit is made, to the second.
func (r *rig) settle(most time.Duration) {
	r.t.Helper()
	for range int(most.Seconds()) {
		counts, err := r.store.Counts(context.Background())
		if err != nil {
			r.t.Fatal(err)
		}
		left := 0
		for _, c := range counts {
			left += c.Waiting + c.Planned
		}
		if left == 0 {
			return
		}
		r.wait(time.Second)
	}
	r.t.Fatalf("not all is told after %s", most)
}

// dead returns the ids of the dead deliveries of all spaces.
func (r *rig) dead() []int64 {
	r.t.Helper()
	found, err := r.store.Deliveries(context.Background(), store.Filter{Status: delivery.Dead, Limit: 100})
	if err != nil {
		r.t.Fatal(err)
	}
	var ids []int64
	for _, d := range found {
		ids = append(ids, d.ID)
	}
	return ids
}

// textOf returns the text of a message as JSON, and what else there is of a
// request that is none.
func textOf(t *testing.T, body []byte) string {
	t.Helper()
	if len(body) == 0 {
		return ""
	}
	var m chat.Message
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return m.Text
}

// post stores a notification for a space, as incident tests write them: "A"
// fires, "-A" is resolved, "A@5" started at minute 5, "A!critical" is of that
// severity. The group is named before a slash: "db/A -B"; without one it is "g".
func (r *rig) post(space, text string) {
	r.t.Helper()
	group, alerts, ok := strings.Cut(text, "/")
	if !ok {
		group, alerts = "g", text
	}
	p := &alert.Payload{Version: "4", GroupKey: group}
	p.Receiver = "team"
	for w := range strings.FieldsSeq(alerts) {
		if w == "repeat" {
			p.NotificationReason = alert.ReasonRepeat
			continue
		}
		a := template.Alert{Status: alert.Firing}
		if name, ok := strings.CutPrefix(w, "-"); ok {
			w, a.Status, a.EndsAt = name, alert.Resolved, time.Now()
		}
		w, severity, _ := strings.Cut(w, "!")
		name, since, _ := strings.Cut(w, "@")
		var minute int
		if since != "" {
			if _, err := fmt.Sscan(since, &minute); err != nil {
				panic(err)
			}
		}
		if severity != "" {
			a.Labels = template.KV{"severity": severity}
		}
		a.StartsAt, a.Fingerprint = time.Date(2000, 1, 1, 0, minute, 0, 0, time.UTC), name
		p.Alerts = append(p.Alerts, a)
	}
	p.Summarize()
	body, err := json.Marshal(p)
	if err != nil {
		r.t.Fatal(err)
	}
	n := []alert.Notification{{Space: space, Group: p.Group(), ReceivedAt: time.Now(), Body: body}}
	if err := r.store.Add(context.Background(), n); err != nil {
		r.t.Fatal(err)
	}
	if !r.quiet {
		r.manager.Ring(space)
	}
}

// wait lets the given time pass, and all come to rest.
func (r *rig) wait(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // in the bubble, where it costs no time
	synctest.Wait()
}

// texts returns the texts of the messages in a place, in order.
func (r *rig) texts(place string) []string {
	var out []string
	for _, m := range r.chat.Messages(place) {
		out = append(out, m.Text)
	}
	return out
}

// want fails the test unless the place has these messages.
func (r *rig) want(place string, texts ...string) {
	r.t.Helper()
	if got := r.texts(place); !slices.Equal(got, texts) {
		r.t.Fatalf("messages in %s:\n  %q, want\n  %q\nlog:\n%s", place, got, texts, r.log)
	}
}

// threads returns the number of each message's thread, counted from 1 by its
// first message.
func (r *rig) threads(place string) []int {
	numbers := map[string]int{}
	var out []int
	for _, m := range r.chat.Messages(place) {
		if numbers[m.Thread] == 0 {
			numbers[m.Thread] = len(numbers) + 1
		}
		out = append(out, numbers[m.Thread])
	}
	return out
}

// metric returns the value of a counter or gauge of a space.
func (r *rig) metric(name string, labels ...string) float64 {
	r.t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	total := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	series:
		for _, m := range f.GetMetric() {
			for i := 0; i < len(labels); i += 2 {
				found := false
				for _, l := range m.GetLabel() {
					found = found || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
				}
				if !found {
					continue series
				}
			}
			total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return total
}

// digestSize is how many groups fit a digest of words.
const digestSize = 10

// words renders a telling as its group, kind and alerts. More than three alerts
// make several messages. Several tellings make a digest of up to ten.
type words struct{}

func (words) Render(tellings []incident.Telling, more int, _ time.Time) delivery.Rendered {
	if len(tellings) > 1 {
		told := tellings[:min(len(tellings), digestSize)]
		return delivery.Rendered{
			Messages: []*chat.Message{{Text: "digest " + strings.Join(inWords(told), "; ")}}, Told: len(told),
			Title: fmt.Sprintf("%d groups of %d", len(told), len(tellings)+more),
		}
	}
	t, out := tellings[0], delivery.Rendered{Told: 1}
	for part := range slices.Chunk(alertsInWords(t), 3) {
		text := fmt.Sprintf("%s %s %s", t.Group.Key, t.Kind, strings.Join(part, " "))
		if t.Unknown != "" {
			text += " for " + t.Unknown
		}
		out.Messages = append(out.Messages, &chat.Message{Text: text})
	}
	out.Title = out.Messages[0].Text
	out.ThreadKey = "key of " + t.Group.Key
	switch t.Kind {
	case incident.End:
		out.Reply = &chat.Message{Text: t.Group.Key + " has ended"}
	case incident.Repeat:
		out.Moved = &chat.Message{Text: t.Group.Key + " goes on elsewhere"}
	case incident.First, incident.Change:
	}
	return out
}

func inWords(tellings []incident.Telling) []string {
	var out []string
	for _, t := range tellings {
		out = append(out, fmt.Sprintf("%s %s %s", t.Group.Key, t.Kind, strings.Join(alertsInWords(t), " ")))
	}
	return out
}

func alertsInWords(t incident.Telling) []string {
	var out []string
	for _, a := range t.Payload.Alerts {
		w := a.Fingerprint
		if a.Status == alert.Resolved {
			w = "-" + w
		}
		out = append(out, w)
	}
	return out
}

func (words) Plain(t incident.Telling, now time.Time, _ string) delivery.Rendered {
	r := words{}.Render([]incident.Telling{t}, 0, now)
	r.Messages = r.Messages[:1]
	r.Messages[0].Text = "plain " + r.Messages[0].Text
	return r
}

func (words) Notice(heading string, tellings []incident.Telling, lines []string, _ time.Time) delivery.Rendered {
	all := append([]string{heading}, inWords(tellings)...)
	return delivery.Rendered{
		Messages: []*chat.Message{{Text: strings.Join(append(all, lines...), "; ")}}, Told: len(tellings), Title: "notice",
	}
}

// lines is a log.
type lines struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// count returns how many lines have all of the words.
func (l *lines) count(words ...string) int {
	n := 0
	for line := range strings.Lines(l.String()) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			n++
		}
	}
	return n
}
