package chattest

import (
	"slices"
	"strings"
)

// The values of messageReplyOption.
const (
	replyUnspecified = "MESSAGE_REPLY_OPTION_UNSPECIFIED"
	replyOrNew       = "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"
	replyOrFail      = "REPLY_MESSAGE_OR_FAIL"
)

// thread is a thread of a space.
type thread struct {
	name     string
	id       string
	key      owned // what it is found by; empty without a key
	messages int
}

// target is the thread that a message names.
type target struct{ name, key string }

// thread finds or makes the thread of a message and reports whether the
// message replies in it. The caller holds mu.
func (s *Server) thread(sp *space, w write, to target) (*thread, bool, *refusal) {
	if to.key == "" {
		to.key = w.threadKey
	}
	option := w.option
	if w.remake { // an edit has no option: it goes where it can
		option = ""
		if to.name != "" {
			option = replyOrNew
		}
	}
	if !slices.Contains([]string{"", replyUnspecified, replyOrNew, replyOrFail}, option) {
		return nil, false, invalidArgument(`Invalid value at 'message_reply_option' ` +
			`(type.googleapis.com/google.chat.v1.CreateMessageRequest.MessageReplyOption), "` + option + `"`)
	}
	if sp.direct { // each message is a thread of its own, whatever it names
		return s.newThread(sp, owned{}), false, nil
	}
	if to.name != "" && !strings.HasPrefix(to.name, sp.place+"/threads/") {
		return nil, false, invalidArgument("The request contains an invalid thread resource name")
	}
	if option == "" || option == replyUnspecified {
		return s.newThread(sp, owned{}), false, nil
	}
	switch {
	case to.name != "":
		if t := sp.threads[to.name]; t != nil {
			return t, true, nil
		}
		if option == replyOrFail {
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

// messageID returns the last part of a message's own name: T.T for the first
// one of a thread, T.X for a reply.
func (s *Server) messageID(t *thread) string {
	if t.messages == 0 {
		return t.id + "." + t.id
	}
	return t.id + "." + s.id()
}
