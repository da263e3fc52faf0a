package chattest

import (
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"alertchat/receiver/chat"
)

// space is a Google space. The server's mutex guards it.
type space struct {
	place       string
	credentials []*credential
	threads     map[string]*thread // by name
	keys        map[owned]*thread
	written     map[owned]*Message  // by request id
	named       map[string]*Message // by Chat's own id and by the sender's
	gone        map[string]bool     // the ids of senders that stay taken
	messages    []*Message          // the oldest first
	members     map[*App]bool
	direct      bool      // whether it is a direct message, which has no threads
	next        time.Time // when the next write is allowed
	throttled   int
	faults      injections
}

// credential is who may write: a webhook to its space, an app to those of which
// it is a member.
type credential struct {
	door    chat.Door
	token   string // of a webhook
	removed bool
}

// owned is a name that belongs to a credential: two webhooks, or apps, with
// the same thread key have two threads.
type owned struct {
	by   *credential
	name string
}

func newSpace(place string) *space {
	return &space{
		place:   place,
		threads: map[string]*thread{},
		keys:    map[owned]*thread{},
		written: map[owned]*Message{},
		named:   map[string]*Message{},
		gone:    map[string]bool{},
		members: map[*App]bool{},
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
	remake     bool   // whether it is an edit of a message that is missing
}

// create makes a message, or finds the one that the same request made before.
// The caller holds mu.
func (s *Server) create(sp *space, w write) (*Message, *refusal) {
	if r := s.throttle(sp, s.options.Now()); r != nil {
		return nil, r
	}
	if old := sp.written[owned{w.by, w.requestID}]; old != nil && !s.options.IgnoreRequestID {
		return old, nil
	}
	return s.make(sp, w)
}

// make makes a message. The caller holds mu.
func (s *Server) make(sp *space, w write) (*Message, *refusal) {
	if r := invalid(w.violations); r != nil {
		return nil, r
	}
	if w.messageID != "" && (sp.named[w.messageID] != nil || sp.gone[w.messageID]) {
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
	now := s.options.Now()
	m := &Message{
		Space:     sp.place,
		Name:      sp.place + "/messages/" + s.messageID(t),
		ClientID:  w.messageID,
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
	fields map[string]json.RawMessage // by their camel-case names
	text   string
	target target
}

// readMessage reads a message that was checked.
func readMessage(body []byte) (content, error) {
	var c content
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return c, err
	}
	c.fields = make(map[string]json.RawMessage, len(fields))
	for name, value := range fields {
		if string(value) != "null" { // as if it were not there
			c.fields[camelCase(name)] = value
		}
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

// add puts a message into its space, and forgets the oldest one if there are
// too many.
func (sp *space) add(m *Message, t *thread, keep int) {
	t.messages++
	sp.messages = append(sp.messages, m)
	sp.named[m.id()] = m
	if m.ClientID != "" {
		sp.named[m.ClientID] = m
	}
	if m.requestID.name != "" {
		sp.written[m.requestID] = m
	}
	if len(sp.messages) > keep {
		sp.forget(sp.messages[0])
		sp.messages = sp.messages[1:]
	}
}

// remove deletes a message. Its sender's id stays taken if keep says so.
func (sp *space) remove(m *Message, keep bool) {
	sp.forget(m)
	sp.messages = slices.DeleteFunc(sp.messages, func(other *Message) bool { return other == m })
	if keep && m.ClientID != "" {
		sp.gone[m.ClientID] = true
	}
}

// forget takes back what led to a message, and its thread with the last one.
func (sp *space) forget(m *Message) {
	delete(sp.named, m.id())
	delete(sp.named, m.ClientID)
	if sp.written[m.requestID] == m {
		delete(sp.written, m.requestID)
	}
	if t := sp.threads[m.Thread]; t != nil {
		t.messages--
		if t.messages == 0 {
			delete(sp.threads, t.name)
			delete(sp.keys, t.key)
		}
	}
}

// id returns the last part of the message's own name.
func (m *Message) id() string { return m.Name[strings.LastIndexByte(m.Name, '/')+1:] }

// clientPrefix begins the id that a sender gives to a message.
const clientPrefix = "client-"

// clientID is the form of a messageId
// (https://developers.google.com/workspace/chat/create-messages#name_a_created_message).
var clientID = regexp.MustCompile(`^client-[a-z0-9-]{1,56}$`)
