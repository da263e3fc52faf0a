package delivery

import (
	"cmp"
	"context"
	"errors"
	"time"

	"alertchat/receiver/chat"
)

// errLeaseShort says that somebody else might deliver before an attempt ends.
var errLeaseShort = errors.New("it is not sure that no other process delivers")

// deliver attempts what is left of a delivery, once. unfound is why an attempt
// has failed already: it is not known where the space leads to.
func (l *loop) deliver(ctx context.Context, s *Space, p *pace, d *Delivery, unfound *chat.Error) error {
	l.alone = d.standsAlone()
	if d.isUpdate() && d.Attempts == 0 {
		d.LatestAt = time.Now() // until now it only waited for its turn
	}
	if time.Since(d.LatestAt) > s.MaxAge {
		return l.die(ctx, s, d, Expired)
	}
	if unfound != nil {
		d.Attempts++
		l.m.metrics.attempts.WithLabelValues(s.Name, unfound.Code).Inc()
		return l.fail(ctx, s, d, &d.Steps[0], unfound)
	}
	if d.blamed >= enoughBlame && !d.isFinal() {
		return l.replace(ctx, s, d, "Google Chat did not take the message made by the templates.")
	}
	for i := range d.Steps {
		step := &d.Steps[i]
		if step.Done {
			continue
		}
		if !l.take(ctx, p) {
			return nil
		}
		if !l.m.store.Holds(l.lease, s.Timeout) {
			// A write tells whether that passes.
			err := l.m.store.Discard(ctx, l.lease, s.Name, nil, nil)
			return cmp.Or(err, errLeaseShort)
		}
		receipt, err := l.attempt(ctx, s, p, d, step)
		if ctx.Err() != nil {
			return ctx.Err() // abandoned: the next process attempts it again
		}
		if err != nil {
			return l.fail(ctx, s, d, step, err)
		}
		step.Message, step.Thread, step.Done = receipt.Message, receipt.Thread, true
		if i < len(d.Steps)-1 {
			if err := l.keep(ctx, d); err != nil {
				return err
			}
		}
	}
	return l.succeed(ctx, s, d)
}

// attempt makes one request to Chat.
func (l *loop) attempt(ctx context.Context, s *Space, p *pace, d *Delivery, step *Step) (chat.Receipt, error) {
	ctx, cancel := s.WithTimeout(ctx)
	defer cancel()
	d.Attempts++
	sent := func() { p.wrote(time.Now()) }
	var receipt chat.Receipt
	var err error
	switch step.Action {
	case Create, Reply:
		receipt, err = s.Chat.Create(ctx, chat.Create{
			Body: step.Body, RequestID: step.RequestID, MessageID: step.MessageID, Threaded: step.Threaded, Sent: sent,
		})
	case Edit:
		receipt, err = s.Chat.Edit(ctx, chat.Edit{Name: step.Target, Body: step.Body, Remake: step.Remake, Sent: sent})
	}
	code := "200"
	if err != nil {
		code = chat.AsError(err).Code
	}
	// The way there takes longer at one time than at another: Google may have
	// counted it as late as this.
	sent()
	l.m.metrics.attempts.WithLabelValues(s.Name, code).Inc()
	return receipt, err
}

// succeed settles a delivery that is in Chat.
func (l *loop) succeed(ctx context.Context, s *Space, d *Delivery) error {
	now := time.Now()
	d.Status, d.EndedAt, d.Error = Done, now, ""
	if len(d.Known) == 1 {
		d.settleThread()
	}
	l.backoff.reset()
	if d.isDigest() {
		l.inRow = 0
	}
	if d.isEdit() {
		l.edit = time.Time{}
	}
	for g, b := range l.blame {
		if b.refusals >= stepAside {
			b.blamed++
			l.blame[g] = b
		}
	}
	for _, other := range l.planned {
		if other != d && other.refusals >= stepAside {
			other.blamed++
			if !other.isEdit() && (other.blamed < enoughBlame || !other.isFinal()) {
				other.refusals = 0 // an edit is behind all others as it is
			}
		}
	}
	for i := range d.Steps {
		if d.Steps[i].Action != Edit {
			l.m.metrics.messages.WithLabelValues(s.Name).Inc()
		}
	}
	if !d.isUpdate() {
		l.m.metrics.seconds.WithLabelValues(s.Name).Observe(now.Sub(d.ReceivedAt).Seconds())
	}
	l.well(ctx, s.Name, now)
	return l.settle(ctx, d)
}

// settleThread notes in the state of the delivery's one group what became of its
// messages.
func (d *Delivery) settleThread() {
	t := &d.Known[0].State.Thread
	first := &d.Steps[0]
	// It may have been planned for the place to which the space led before, where
	// a message that was edited stays.
	if !d.isEdit() {
		t.Place = d.Place
	}
	if first.MessageID != "" && first.MessageID == idOf(t.Message) {
		t.Message = d.Place + "/messages/" + first.MessageID
	}
	// A message that was made anew has a thread of its own.
	if first.Thread != "" && (t.Key != "" || t.Name != "") {
		t.Name = first.Thread
	}
}

// fail decides what becomes of a delivery after a failed attempt.
func (l *loop) fail(ctx context.Context, s *Space, d *Delivery, step *Step, err error) error {
	failure := chat.AsError(err)
	d.Error = failure.Error()
	switch failure.Outcome {
	case chat.BadThread:
		if step.Threaded {
			return l.unthread(ctx, d)
		}
		l.note(ctx, s.Name, failure)
		return l.refused(ctx, s, d)
	case chat.Refused:
		l.note(ctx, s.Name, failure)
		return l.refused(ctx, s, d)
	case chat.Exists:
		// An attempt before made it, or it is from before the storage was lost.
		edit, err := step.inPlace(d.Place)
		if err != nil {
			return err
		}
		*step = edit
		return l.keep(ctx, d)
	case chat.Gone:
		if d.isUpdate() && step.Remake && d.Attempts < stepAside {
			// It could be made anew, so that this is hardly about the message.
			l.note(ctx, s.Name, failure)
			l.edit = time.Now().Add(maxBackoff)
			return nil
		}
		return l.remake(ctx, s, d, step)
	case chat.Unknown:
		if answered(failure) {
			d.refusals++
		}
		if d.isDigest() && d.refusals >= stepAside {
			// Its parts tell whether it is one of the groups or the space.
			l.unwell(ctx, s, d.Title, failure, l.backoff.next(failure.RetryAfter))
			return l.takeApart(ctx, d)
		}
	case chat.NotDone, chat.Denied:
	}
	wait := l.backoff.next(failure.RetryAfter)
	if failure.Outcome == chat.Denied {
		wait = maxBackoff
	}
	if l.passed(s.Name, d) {
		l.note(ctx, s.Name, failure)
	} else {
		l.unwell(ctx, s, d.Title, failure, wait)
	}
	if err := l.release(ctx, d, failure.Outcome); err != nil {
		return err
	}
	if failure.Code == throttled {
		l.m.metrics.throttle(s.Name, wait)
	}
	if d.isEdit() && failure.Code != throttled {
		l.edit = time.Now().Add(wait) // it keeps nobody else from an attempt
	} else {
		l.pause(ctx, wait)
	}
	l.unblame(d)
	return nil
}

// passed reports whether the space has taken another message since the delivery
// was planned: then what is wrong is hardly the space.
func (l *loop) passed(name string, d *Delivery) bool {
	h := l.m.healthOf(name)
	return h != nil && h.get().LastSuccess.After(d.CreatedAt) && (!d.standsAlone() || d.isUpdate())
}

// answered reports whether Chat itself answered, rather than the network.
func answered(e *chat.Error) bool { return e.Code != "" && e.Code[0] >= '0' && e.Code[0] <= '9' }

// unblame lets a delivery that had stepped aside go first again when the other
// group's is refused too: then the fault is the space's.
func (l *loop) unblame(d *Delivery) {
	clear(l.blame) // of edits, too
	for _, other := range l.planned {
		if other != d {
			other.refusals = 0
		}
	}
}

// release forgets a delivery of which nothing can have happened, so that it is
// planned anew, with the news that came meanwhile.
func (l *loop) release(ctx context.Context, d *Delivery, o chat.Outcome) error {
	if o == chat.Unknown {
		d.tried = true
	}
	if d.tried || d.Plain || d.standsAlone() {
		return nil
	}
	for i := range d.Steps {
		if d.Steps[i].Done {
			return nil
		}
	}
	if err := l.m.store.Thaw(ctx, l.lease, d); err != nil {
		return err
	}
	l.remove(d)
	return nil
}

// unthread takes the thread out of what is left of a delivery.
func (l *loop) unthread(ctx context.Context, d *Delivery) error {
	for i := range d.Steps {
		if d.Steps[i].Done {
			continue
		}
		step, err := d.Steps[i].Unthreaded()
		if err != nil {
			return err
		}
		d.Steps[i] = step
	}
	for i := range d.Known {
		t := &d.Known[i].State.Thread
		t.Name, t.Key = "", ""
	}
	return l.keep(ctx, d)
}

// refused deals with a delivery that Chat will never take as it is.
func (l *loop) refused(ctx context.Context, s *Space, d *Delivery) error {
	if d.isFinal() {
		return l.die(ctx, s, d, Rejected)
	}
	return l.replace(ctx, s, d, "Google Chat refused the message made by the templates.")
}

// replace puts the built-in text message in place of what is left of a
// delivery: of an edit as a new message, so that its news is told. If that is
// refused too, the delivery is dead; if it only fails, it stays behind all others
// until max_age. A digest is taken apart.
func (l *loop) replace(ctx context.Context, s *Space, d *Delivery, why string) error {
	if d.isDigest() {
		return l.takeApart(ctx, d)
	}
	l.m.log.Error("Google Chat does not take a message; the built-in text goes out in its place",
		"space", s.Name, "title", d.Title, "err", d.Error)
	done, left := make([]Step, 0, len(d.Steps)+1), make([]Step, 0, len(d.Steps))
	for _, step := range d.Steps {
		if step.Done {
			done = append(done, step)
		} else {
			left = append(left, step)
		}
	}
	if d.isUpdate() {
		return l.simplify(ctx, s, d, done, left, why)
	}
	telling, err := l.retell(ctx, d)
	if err != nil {
		return err
	}
	if telling == nil {
		return l.die(ctx, s, d, Rejected) // a damaged disk has lost it
	}
	r := s.Renderer.Plain(*telling, time.Now(), why)
	action, to := Create, d.Known[0].State.Thread
	if to.Name != "" || to.Key != "" {
		action = Reply
	}
	more, err := steps(r.Messages, action, to, left[0].MessageID)
	if err != nil {
		return err
	}
	if left[0].MessageID != "" {
		d.Known[0].State.Thread.Parts = len(done) + len(more)
	}
	d.Steps, d.Plain, d.blamed, d.refusals = append(done, more...), true, 0, 0
	return l.keep(ctx, d)
}

// die settles a delivery that is given up.
func (l *loop) die(ctx context.Context, s *Space, d *Delivery, why Reason) error {
	d.Status, d.Reason, d.EndedAt = Dead, why, time.Now()
	if h := l.m.healthOf(s.Name); d.Error == "" && h != nil {
		d.Error = h.get().LastError // of the attempts before it was planned anew
	}
	for i := range d.Known {
		d.Known[i] = d.Known[i].Died()
	}
	if err := l.settle(ctx, d); err != nil {
		return err
	}
	l.m.log.Error("A delivery is given up and kept as dead", "space", s.Name, "title", d.Title, "reason", why, "attempts", d.Attempts, "err", d.Error)
	l.m.metrics.dead.WithLabelValues(s.Name, string(why)).Inc()
	if len(l.planned) == 0 {
		waiting, err := l.m.store.Waiting(ctx, s.Name, 1)
		if err != nil || len(waiting) > 0 {
			return err
		}
		l.idle(ctx, s.Name)
	}
	return nil
}

// settle stores a delivery that has ended.
func (l *loop) settle(ctx context.Context, d *Delivery) error {
	var updates []*Delivery
	for _, u := range d.updates(d.EndedAt) {
		// Where it died, no newer message has taken the place of the one before.
		if d.Status == Done || u.Steps[0].Remake {
			updates = append(updates, u)
		}
	}
	if err := l.keep(ctx, append([]*Delivery{d}, updates...)...); err != nil {
		return err
	}
	l.remove(d)
	l.joined(d)
	l.m.metrics.folds(d.Space, d.folded)
	l.planned = append(l.planned, updates...)
	return l.supersede(ctx)
}

// keep stores what became of a delivery in Chat, and what follows it. It does
// not give up: the store's failure passes, and until then nothing else may be
// told.
func (l *loop) keep(ctx context.Context, ds ...*Delivery) error {
	d := ds[0]
	for first := true; ; first = false {
		err := l.m.store.Save(ctx, l.lease, ds...)
		if err == nil || errors.Is(err, ErrLeaseLost) || errors.Is(err, ErrGone) || ctx.Err() != nil {
			return err
		}
		l.stale = true // it may have been stored, and what follows would be there twice
		if first {
			l.m.log.Warn("What became of a message cannot be stored; it is tried again each second", "space", d.Space, "title", d.Title, "err", err)
		}
		if !sleep(ctx, l.stop, storeRetry) {
			return err
		}
	}
}
