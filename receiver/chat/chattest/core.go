package chattest

import (
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"

	"alertchat/receiver/chat"
)

// The values of messageReplyOption.
const (
	replyUnspecified = "MESSAGE_REPLY_OPTION_UNSPECIFIED"
	replyOrNew       = "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"
	replyOrFail      = "REPLY_MESSAGE_OR_FAIL"
)

// space is a Google space. The server's mutex guards it.
type space struct {
	place       string
	credentials []*credential
	threads     map[string]*thread // by name
	keys        map[owned]*thread
	written     map[owned]*Message // by request id
	named       map[string]bool    // the names that messages have
	messages    []*Message         // the oldest first
	next        time.Time          // when the next write is allowed
	throttled   int
	faults      []injection
}

// credential is who may write to a space.
type credential struct {
	door    chat.Door
	token   string
	removed bool
}

// owned is a name that belongs to a credential: two webhooks with the same
// thread key have two threads.
type owned struct {
	by   *credential
	name string
}

type thread struct {
	name     string
	id       string
	key      owned // what it is found by; empty without a key
	messages int
}

func newSpace(place string) *space {
	return &space{
		place:   place,
		threads: map[string]*thread{},
		keys:    map[owned]*thread{},
		written: map[owned]*Message{},
		named:   map[string]bool{},
	}
}

// webhook returns the space's webhook with a token, or nil.
func (sp *space) webhook(token string) *credential {
	for _, c := range sp.credentials {
		if c.door == chat.ByWebhook && subtle.ConstantTimeCompare([]byte(c.token), []byte(token)) == 1 {
			return c
		}
	}
	return nil
}

// write is a request for a new message, whichever door it came through.
type write struct {
	by         *credential
	body       []byte
	violations []chat.Violation // of the body
	requestID  string
	messageID  string
	option     string // the messageReplyOption
	threadKey  string // of the query; the body's goes first
}

// create makes a message, or finds the one that the same request made before.
// The caller holds mu.
func (s *Server) create(sp *space, w write) (*Message, *refusal) {
	now := s.options.Now()
	if r := s.throttle(sp, now); r != nil {
		return nil, r
	}
	if old := sp.written[owned{w.by, w.requestID}]; old != nil && !s.options.IgnoreRequestID {
		return old, nil
	}
	if r := invalid(w.violations); r != nil {
		return nil, r
	}
	if w.messageID != "" && sp.named[sp.place+"/messages/"+w.messageID] {
		return nil, &refusal{code: http.StatusConflict, status: "ALREADY_EXISTS", message: "Requested entity already exists"}
	}
	body, err := readMessage(w.body)
	if err != nil {
		return nil, invalidArgument("Invalid JSON payload received. " + err.Error())
	}
	t, reply, r := s.thread(sp, w, body.target)
	if r != nil {
		return nil, r
	}
	m := &Message{
		Space:     sp.place,
		Name:      sp.place + "/messages/" + s.messageID(t, w.messageID),
		Thread:    t.name,
		ThreadKey: t.key.name,
		Reply:     reply,
		Door:      w.by.door,
		Text:      body.text,
		Body:      w.body,
		CreatedAt: now,
		Versions:  []Version{{At: now, Body: w.body}},
		Remarks:   w.violations,
		fields:    body.fields,
		requestID: owned{w.by, w.requestID},
	}
	sp.add(m, t, s.options.Keep)
	s.tell(m)
	return m, nil
}

// throttle refuses what comes faster than the space's rate.
func (s *Server) throttle(sp *space, now time.Time) *refusal {
	if s.options.Rate <= 0 {
		return nil
	}
	if now.Before(sp.next) {
		sp.throttled++
		r := googleError(http.StatusTooManyRequests)
		r.retryAfter = s.options.RetryAfter
		return r
	}
	sp.next = now.Add(time.Duration(float64(time.Second) / s.options.Rate))
	return nil
}

// content is what the server reads of a message.
type content struct {
	fields map[string]json.RawMessage
	text   string
	target target
}

// target is the thread that a message names.
type target struct{ name, key string }

// readMessage reads a message that was checked.
func readMessage(body []byte) (content, error) {
	var c content
	if err := json.Unmarshal(body, &c.fields); err != nil {
		return c, err
	}
	var m struct {
		Text   string `json:"text"`
		Thread struct {
			Name  string `json:"name"`
			Key   string `json:"threadKey"`
			Snake string `json:"thread_key"` // Chat takes a field by both of its names
		} `json:"thread"`
	}
	err := json.Unmarshal(body, &m)
	c.text, c.target = m.Text, target{m.Thread.Name, m.Thread.Key + m.Thread.Snake}
	return c, err
}

// thread finds or makes the thread of a message and reports whether the
// message replies in it. The caller holds mu.
func (s *Server) thread(sp *space, w write, to target) (*thread, bool, *refusal) {
	if to.key == "" {
		to.key = w.threadKey
	}
	if to.name != "" && !strings.HasPrefix(to.name, sp.place+"/threads/") {
		return nil, false, invalidArgument("The request contains an invalid thread resource name")
	}
	switch w.option {
	case "", replyUnspecified:
		return s.newThread(sp, owned{}), false, nil
	case replyOrNew, replyOrFail:
	default:
		return nil, false, invalidArgument(`Invalid value at 'message_reply_option' ` +
			`(type.googleapis.com/google.chat.v1.CreateMessageRequest.MessageReplyOption), "` + w.option + `"`)
	}
	switch {
	case to.name != "":
		if t := sp.threads[to.name]; t != nil {
			return t, true, nil
		}
		if w.option == replyOrFail {
			return nil, false, notFound()
		}
		return s.newThread(sp, owned{}), false, nil
	case to.key != "":
		if t := sp.keys[owned{w.by, to.key}]; t != nil {
			return t, true, nil
		}
		return s.newThread(sp, owned{w.by, to.key}), false, nil
	}
	return nil, false, invalidArgument("messageReplyOption can only be set with a thread.")
}

// newThread makes a thread that is found by its key, if it has one.
func (s *Server) newThread(sp *space, key owned) *thread {
	id := s.id()
	t := &thread{name: sp.place + "/threads/" + id, id: id, key: key}
	sp.threads[t.name] = t
	if key.name != "" {
		sp.keys[key] = t
	}
	return t
}

// messageID returns the last part of a message's name: T.T for the first one of
// a thread, T.X for a reply, or what the request asked for.
func (s *Server) messageID(t *thread, asked string) string {
	switch {
	case asked != "":
		return asked
	case t.messages == 0:
		return t.id + "." + t.id
	default:
		return t.id + "." + s.id()
	}
}

// add puts a message into its space, and forgets the oldest one if there are
// too many.
func (sp *space) add(m *Message, t *thread, keep int) {
	t.messages++
	sp.messages = append(sp.messages, m)
	sp.named[m.Name] = true
	if m.requestID.name != "" {
		sp.written[m.requestID] = m
	}
	if len(sp.messages) <= keep {
		return
	}
	old := sp.messages[0]
	sp.messages = sp.messages[1:]
	delete(sp.named, old.Name)
	if sp.written[old.requestID] == old {
		delete(sp.written, old.requestID)
	}
	if t := sp.threads[old.Thread]; t != nil {
		t.messages--
		if t.messages == 0 {
			delete(sp.threads, t.name)
			delete(sp.keys, t.key)
		}
	}
}

// clientID is the form of a messageId
// (https://developers.google.com/workspace/chat/create-messages#name_a_created_message).
var clientID = regexp.MustCompile(`^client-[a-z0-9-]{1,56}$`)
