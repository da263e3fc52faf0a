package render

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"alertchat/receiver/chat"
	"alertchat/receiver/incident"
)

// How long the strings of a message may be, as JSON. Together with the
// smallest room for alerts they stay below maxMessage.
const (
	maxMessage   = 30_000
	maxWidgets   = 90
	maxText      = 4_000 // runes
	textBytes    = 8_000 // of a text beside a card
	maxTitle     = 160   // runes; a phone shows a third of them
	titleBytes   = 1_000
	outlineRunes = 300 // of the line for people that is in no message
	summaryMax   = 5_000
	buttonRoom   = 5_000
	maxButton    = 40    // runes of its text
	maxKey       = 1_000 // bytes of a thread's key, which comes on top of maxMessage
	fallbackMax  = 800
	maxBroken    = 3 // failed templates that a message names
	maxRetries   = 2 // how often a string may fail in one rendering before it is given up
)

// rendering is one call of Render.
type rendering struct {
	r        *Renderer
	tellings []incident.Telling
	behind   int // groups that a digest has not been handed
	now      time.Time
	data     *Data     // of the first telling
	own      *executor // with the user's templates
	builtin  *executor // without them

	notes    []Note
	failures []Failure
	failed   map[string]int // how often a string failed
	broken   []string       // public sentences on what failed
	shown    string         // the title of the card, once there is one
	links    []string       // of the card's buttons, once there are some
}

func (r *Renderer) begin(tellings []incident.Telling, now time.Time) (*rendering, error) {
	s := &rendering{r: r, tellings: tellings, now: now, data: newData(r.space.Name, &tellings[0])}
	quiet := len(tellings) > 1 || tellings[0].Kind == incident.Repeat || tellings[0].Repeat > 0
	var err error
	if s.own, err = r.pool.get(now, quiet); err != nil {
		return nil, err
	}
	if s.builtin, err = r.builtin.get(now, quiet); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *rendering) end() {
	s.r.pool.put(s.own)
	s.r.builtin.put(s.builtin)
}

// single renders one telling.
func (s *rendering) single() Rendered {
	out := Rendered{Told: 1}
	switch {
	case s.r.space.Message != "":
		out.Messages = s.document()
	case s.r.space.Card == nil:
		out.Messages = []*chat.Message{{Text: s.textOnly()}}
	default:
		out.Messages = s.cards()
	}
	out.ThreadKey = s.threadKey()
	switch s.tellings[0].Kind {
	case incident.End:
		text := plainText(s.named("chat.reply", contextText, s.data, s.plainText))
		out.Reply = &chat.Message{Text: cut(cmp.Or(text, escapeText(s.plainText(s.data), true)), maxText, textBytes)}
	case incident.Repeat:
		out.Moved = &chat.Message{Text: s.moved()}
	case incident.First, incident.Change:
	}
	return out
}

// moved says that the incident goes on in another message. It says nothing that
// could become wrong.
func (s *rendering) moved() string {
	name := cut(plainLine(s.named("chat.name", contextText, s.data, plainName)), maxTitle, titleBytes)
	at := s.now.UTC().Format("2 Jan 15:04 MST")
	return fmt.Sprintf("➡️ %s · told again on %s (reminder %d): it goes on in the newer message", name, at, s.data.Incident.Repeat)
}

// title is one plain line for the status page and the logs.
func (s *rendering) title() string {
	if s.shown != "" {
		return s.shown
	}
	title := s.named("chat.title", contextPlain, s.data, plainName)
	return cut(plainLine(title), maxTitle, titleBytes)
}

// builtinOf names the built-in template that stands in for a string.
func builtinOf(key string) string {
	switch key {
	case keyText:
		return "chat.text"
	case keyTitle:
		return "chat.title"
	case keySubtitle:
		return "chat.subtitle"
	case keySummary:
		return "chat.summary"
	case keyAlert:
		return "chat.alert"
	}
	return ""
}

// slot renders one of the space's strings. Where its template fails, the
// built-in one takes its place, and where that fails too, what Go says.
func (s *rendering) slot(key string, c context, d *Data, last func(*Data) string) string {
	if s.failed[key] < maxRetries {
		out, cut, err := s.run(key, c, d)
		if cut {
			s.note(s.r.where(key), fmt.Sprintf("cut off: it put out more than %d bytes", maxOutput))
		}
		if err == nil {
			return out
		}
		s.fail(key, err)
	}
	if name := builtinOf(key); name != "" {
		if out, _, err := s.builtin.run(name, c, d); err == nil {
			return out
		}
	}
	if last == nil {
		return ""
	}
	return string(c.escape(last(d), true))
}

// run executes one of the space's strings.
func (s *rendering) run(key string, c context, d *Data) (out string, cut bool, err error) {
	if text, ok := s.r.literal[key]; ok {
		return text, false, nil
	}
	return s.own.run(s.r.where(key), c, d)
}

// named renders a template that no string of the space names: the user's, or
// the built-in one, or what Go says.
func (s *rendering) named(name string, c context, d *Data, last func(*Data) string) string {
	if s.failed[name] < maxRetries {
		out, _, err := s.own.run(name, c, d)
		if err == nil {
			return out
		}
		s.fail(name, err)
	}
	if out, _, err := s.builtin.run(name, c, d); err == nil {
		return out
	}
	return string(c.escape(last(d), true))
}

// fail records that a string's template failed. key is that of the string, or
// the name of a template.
func (s *rendering) fail(key string, err error) {
	if s.failed == nil {
		s.failed = map[string]int{}
	}
	s.failed[key]++
	if s.failed[key] > 1 {
		return
	}
	where := key
	if !strings.Contains(key, "chat.") {
		where = s.r.where(key)
	}
	f := Failure{Where: where, Err: brief{err}}
	f.Source, f.Line, f.Column, f.Cause = explain(err)
	if document, ok := errors.AsType[*documentError](err); ok {
		f.Near = document.near
	}
	s.failures = append(s.failures, f)
	name, line, _, _ := locate(err)
	place := key
	if line > 0 && name == where {
		place += ", line " + strconv.Itoa(line)
	} else if line > 0 {
		place += " (" + lastElement(name) + ", line " + strconv.Itoa(line) + ")"
	}
	s.broken = append(s.broken, "⚠️ The template "+place+" failed, the built-in one is shown.")
}

func (s *rendering) note(where, what string) {
	n := Note{Where: where, What: what}
	if !slices.Contains(s.notes, n) {
		s.notes = append(s.notes, n)
	}
}

// line renders a string to one plain line.
func (s *rendering) line(key string, d *Data) string {
	out := plainLine(s.slot(key, contextPlain, d, plainName))
	short := cut(out, maxTitle, titleBytes)
	if short != out {
		s.note(s.r.where(key), fmt.Sprintf("cut to %d characters", maxTitle))
	}
	return short
}

// text renders the message's text. It is never empty.
func (s *rendering) text(d *Data, maxBytes int) string {
	out := plainText(s.slot(keyText, contextText, d, s.plainText))
	if out == "" {
		out, _, _ = s.builtin.run(builtinOf(keyText), contextText, d)
		out = plainText(out)
	}
	if out == "" {
		out = escapeText(plainName(d), true)
	}
	short := cut(out, maxText, maxBytes)
	if short != out {
		s.note(s.r.where(keyText), fmt.Sprintf("cut to %d characters", utf8.RuneCountInString(short)))
	}
	return short
}

// textOnly renders the message of a space without cards.
func (s *rendering) textOnly() string {
	text := s.text(s.data, maxMessage-2_000)
	lines := s.remarks(contextText)
	if len(lines) == 0 {
		return text
	}
	more := "\n" + strings.Join(lines, "\n")
	room := maxText - utf8.RuneCountInString(more)
	return cut(text, room, maxMessage-2_000-jsonLen(more)) + more
}

// html renders a string to a card's text of at most limit bytes as JSON. Where
// that is too long, it is rendered anew from shorter texts, so that what is
// cut is the longest and not the last.
func (s *rendering) html(key string, d, tight *Data, limit int) string {
	out, long, dropped := mendHTML(s.slot(key, contextHTML, d, nil), limit)
	if dropped != "" {
		s.note(s.r.where(key), "left out: "+dropped)
	}
	if !long {
		return out
	}
	s.note(s.r.where(key), "long texts were cut: they do not fit the message")
	if s.failed[key] == 0 {
		out, _ = cleanHTML(s.slot(key, contextHTML, tight, nil), limit)
	}
	return out
}

// remarks are what the reader must know of the message itself, one line each.
func (s *rendering) remarks(c context) []string {
	var lines []string
	if name := s.tellings[0].Unknown; name != "" {
		lines = append(lines, "⚠️ It was posted to /alertmanager/"+cut(plainLine(name), 80, 300)+", which is no space in the config.")
	}
	if n := s.data.TruncatedAlerts; n > 0 {
		lines = append(lines, fmt.Sprintf("⚠️ Alertmanager left out %d %s (max_alerts).", n, plural(int(min(n, 2)), "alert")))
	}
	for i, line := range s.broken {
		if i == maxBroken {
			lines = append(lines, fmt.Sprintf("⚠️ %d more templates failed.", len(s.broken)-i))
			break
		}
		lines = append(lines, cut(line, 200, 600))
	}
	for i, line := range lines {
		lines[i] = string(c.escape(line, true))
	}
	return lines
}

// threadKey renders the template of the thread's key; a failure only costs the
// thread of one's choice.
func (s *rendering) threadKey() string {
	if t := s.r.space.Thread; t == ThreadIncident || t == ThreadNone {
		return ""
	}
	key := plainLine(s.slot(keyThread, contextDocument, s.data, nil))
	if jsonLen(key) <= maxKey {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	s.note(s.r.where(keyThread), "replaced by its hash: it is too long for a thread key")
	return hex.EncodeToString(sum[:])
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

func lastElement(path string) string {
	return path[strings.LastIndexAny(path, `/\`)+1:]
}
