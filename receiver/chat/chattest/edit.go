package chattest

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"alertchat/receiver/chat"
)

// editByApp is spaces.messages.patch and spaces.messages.update, between which
// there is no difference but the verb.
func (s *Server) editByApp(c *call, a *App, sp *space) (map[string]any, *refusal) {
	mask, remake, refused := c.checkEdit()
	if refused == nil {
		refused = s.throttle(sp, s.options.Now())
	}
	if refused != nil {
		return nil, refused
	}
	m, id := sp.named[c.PathValue("message")], c.PathValue("message")
	if m == nil && remake && strings.HasPrefix(id, clientPrefix) && !sp.gone[id] {
		m, refused = s.remake(sp, c, a, id)
	} else if m, refused = own(sp, a, id); refused == nil {
		refused = s.edit(m, c, mask)
	}
	if refused != nil {
		return nil, refused
	}
	c.note.Message = m.Name
	return full(m, a, sp), nil
}

// checkEdit checks everything about a request for an edit but its credentials
// and the message. It returns the fields to replace, by their camel-case names,
// and whether a message that is missing is to be made.
func (c *call) checkEdit() (mask []string, remake bool, refused *refusal) {
	if refused = c.checkQuery("updateMask", "allowMissing"); refused != nil {
		return nil, false, refused
	}
	if refused = c.checkType(); refused != nil {
		return nil, false, refused
	}
	if mask, refused = readMask(c.query.Get("updateMask")); refused != nil {
		return nil, false, refused
	}
	remake, refused = c.checkBool("allowMissing")
	return mask, remake, refused
}

// readMask reads an updateMask.
func readMask(mask string) ([]string, *refusal) {
	// What can be edited, in the order of Google's reference.
	fields := []string{"text", "attachment", "cards", "cardsV2", "accessoryWidgets", "quotedMessageMetadata"}
	switch mask {
	case "":
		return nil, invalidArgument("update_mask is required.")
	case "*":
		return fields, nil
	}
	var named []string
	for path := range strings.SplitSeq(mask, ",") {
		if !slices.Contains(fields, camelCase(path)) {
			return nil, invalidArgument("Invalid update mask: " + path)
		}
		named = append(named, camelCase(path))
	}
	return named, nil
}

// remake makes a message that an edit did not find. It goes by the id that the
// edit had for it.
func (s *Server) remake(sp *space, c *call, a *App, id string) (*Message, *refusal) {
	if !clientID.MatchString(id) {
		return nil, invalidArgument("Invalid message ID.")
	}
	c.note.Violations = c.violations
	w := c.write(a.credential)
	w.requestID, w.messageID, w.remake = "", id, true
	return s.make(sp, w)
}

// edit replaces the fields of a message that a mask names. The caller holds mu.
func (s *Server) edit(m *Message, c *call, mask []string) *refusal {
	c.note.Violations = c.violations
	sent, refused := readEdit(c)
	if refused != nil {
		return refused
	}
	if slices.Contains(mask, quoted) && sent[quoted] != nil {
		return invalidArgument("quoted_message_metadata can only be removed.")
	}
	body := encode(merge(m.fields, sent, mask))
	violations := chat.Check(body, m.Door) // under the lock, because what it checks is
	c.note.Violations = violations
	if refused := invalid(violations); refused != nil {
		return refused
	}
	merged, err := readMessage(body)
	if err != nil {
		return invalidArgument("Invalid JSON payload received. " + err.Error())
	}
	now := s.options.Now()
	m.Text, m.Body, m.Remarks, m.fields = merged.text, body, violations, merged.fields
	m.Versions = append(slices.Clip(m.Versions), Version{At: now, Body: body}) // others have the old ones
	s.tell(m)
	return nil
}

const quoted = "quotedMessageMetadata"

// readEdit reads the body of an edit. That must keep to the schema, and be no
// longer than a message; what else holds for one, holds for the whole of it.
func readEdit(c *call) (map[string]json.RawMessage, *refusal) {
	breaches := c.violations
	if len(c.note.Body) <= chat.MaxMessageBytes {
		breaches = slices.DeleteFunc(slices.Clone(breaches), func(v chat.Violation) bool { return v.Breach == chat.NoBreach })
	}
	if refused := invalid(breaches); refused != nil {
		return nil, refused
	}
	sent, err := readMessage(c.note.Body)
	if err != nil {
		return nil, invalidArgument("Invalid JSON payload received. " + err.Error())
	}
	return sent.fields, nil
}

// merge returns a message's fields with those of a mask replaced, or cleared
// where nothing was sent for them. The syntax is the text's: it comes and goes
// with it, unmasked.
func merge(old, sent map[string]json.RawMessage, mask []string) map[string]json.RawMessage {
	merged := maps.Clone(old)
	if slices.Contains(mask, "text") {
		mask = append(slices.Clone(mask), "markupSyntax")
	}
	for _, name := range mask {
		delete(merged, name)
		if value := sent[name]; value != nil {
			merged[name] = value
		}
	}
	return merged
}

// encode returns fields as a message, without making it longer by escapes that
// nobody sent.
func encode(fields map[string]json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(fields); err != nil {
		panic(err) // what was JSON before
	}
	return bytes.TrimSpace(b.Bytes())
}

// camelCase returns a field's name in its first form, cardsV2 for cards_v2.
func camelCase(name string) string {
	parts := strings.Split(name, "_")
	for i, part := range parts[1:] {
		if part != "" {
			parts[i+1] = strings.ToUpper(part[:1]) + part[1:]
		}
	}
	return strings.Join(parts, "")
}
