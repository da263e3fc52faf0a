package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat/chattest"
)

// told is what a message of a chaos run tells.
type told struct {
	group    string
	incident string            // its first start
	number   int               // of the group's latest notification in it
	alerts   map[string]string // statuses by id
	message  chattest.Message
}

var alertLine = regexp.MustCompile(`id=([a-z0-9-]+) (firing|resolved) seq=([0-9]+);`)

// readTold reads a message that the templates of a chaos run made.
func readTold(m chattest.Message) (told, error) {
	var body struct {
		Cards []struct {
			Card struct {
				Header struct{ Title, Subtitle string }
			}
		} `json:"cardsV2"`
	}
	if err := json.Unmarshal(m.Body, &body); err != nil {
		return told{}, err
	}
	if len(body.Cards) != 1 {
		return told{}, errors.New("the message has no card: the built-in text took its place")
	}
	header := body.Cards[0].Card.Header
	of := told{group: header.Title, incident: header.Subtitle, alerts: map[string]string{}, message: m}
	for _, line := range alertLine.FindAllStringSubmatch(string(m.Body), -1) {
		number, err := strconv.Atoi(line[3])
		if err != nil {
			return told{}, err
		}
		of.alerts[line[1]] = line[2]
		of.number = max(of.number, number)
	}
	if len(of.alerts) == 0 {
		return told{}, errors.New("the message tells no alert")
	}
	return of, nil
}

// wantAllTold fails the test if not all that was accepted is told well.
func (c *chaos) wantAllTold(t *testing.T) {
	t.Helper()
	accepted, again, messages := c.chat.wantTold(t, c.senders)
	t.Logf("%d kills, %d notifications accepted, %d posts repeated, %d faults of Chat in %d requests, %d messages",
		len(c.kills), accepted, again, c.spoilt.Load(), len(c.chat.Requests()), messages)
	if c.spoilt.Load() == 0 || accepted < chaosSenders*groupsPerSender {
		t.Error("this run proves nothing: nothing went wrong, or hardly anything was posted")
	}
}

// wantTold fails the test if anything of the senders that was accepted is
// missing in Chat, stands there out of order, twice or in the wrong thread, or
// if a group's last message says something else than its sender. It returns how
// many notifications were accepted, posts repeated, and messages read.
func (c *googleChat) wantTold(t *testing.T, senders []*sender) (accepted, again, messages int) {
	t.Helper()
	byGroup := map[string][]told{}
	for i := range senderSpaces {
		for _, m := range c.Messages(place(spaceName(i))) {
			of, err := readTold(m)
			if err != nil {
				t.Errorf("%v: %s", err, m.Body)
				continue
			}
			messages++
			byGroup[of.group] = append(byGroup[of.group], of)
		}
	}
	for _, s := range senders {
		if s.refused != "" {
			t.Errorf("a notification was refused: %s", s.refused)
		}
		accepted, again = accepted+s.accepted, again+s.again
		for _, g := range s.groups {
			g.check(t, byGroup[g.name])
			delete(byGroup, g.name)
		}
	}
	for name := range byGroup {
		t.Errorf("messages tell of the group %q, of which nobody posted", name)
	}
	return accepted, again, messages
}

// check holds the messages that tell of a group to what was accepted of it.
func (g *group) check(t *testing.T, messages []told) {
	t.Helper()
	if len(messages) == 0 {
		t.Errorf("no message tells of %s", g.name)
		return
	}
	seen := map[string]bool{}
	threads := map[string]string{} // by incident
	for i, m := range messages {
		if m.message.Space != place(g.space) {
			t.Errorf("%s is told in %s, want %s", g.name, m.message.Space, place(g.space))
		}
		for id, status := range m.alerts {
			if !strings.HasPrefix(id, g.name+"-") {
				t.Errorf("a message of %s tells of %s", g.name, id)
			}
			// An alert that ended while it waited is told once, as ended.
			seen[id+" "+alert.Firing], seen[id+" "+status] = true, true
		}
		if thread, ok := threads[m.incident]; ok && thread != m.message.Thread {
			t.Errorf("%s: the incident of %s is told in the threads %s and %s", g.name, m.incident, thread, m.message.Thread)
		}
		threads[m.incident] = m.message.Thread
		if i == 0 {
			continue
		}
		before := messages[i-1]
		// wantReplaysOnlyOfLostAnswers judges copies of one body.
		if m.number <= before.number && !bytes.Equal(m.message.Body, before.message.Body) {
			t.Errorf("%s: notification %d is told after %d:\n%s\n%s", g.name, m.number, before.number, before.message.Body, m.message.Body)
		}
	}
	for _, what := range slices.Sorted(maps.Keys(g.accepted)) {
		if !seen[what] {
			t.Errorf("%s was answered with 200 and stands in no message", what)
		}
	}
	last := messages[len(messages)-1]
	if got, want := last.firing(), g.firingIDs(); !slices.Equal(got, want) || last.number != g.number {
		t.Errorf("the last message of %s says that %v fire, as of notification %d; want %v of %d", g.name, got, last.number, want, g.number)
	}
}

func (m told) firing() []string {
	var ids []string
	for id, status := range m.alerts {
		if status == alert.Firing {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (g *group) firingIDs() []string {
	var ids []string
	for _, a := range g.firing {
		ids = append(ids, a.Fingerprint)
	}
	slices.Sort(ids)
	return ids
}

// wantReplaysOnlyOfLostAnswers fails the test if a message stands in Chat twice
// although its sender lived to see that Chat had taken it. Where Chat knows a
// request again, no message may stand there twice at all.
func (c *chaos) wantReplaysOnlyOfLostAnswers(t *testing.T) {
	t.Helper()
	bodies := map[string]string{} // names of messages, by what they say
	ids := map[string][]int{}     // which requests made a message, by their request id
	requests := c.chat.Requests()
	next := followers(requests, func(r chattest.Request) string { return r.Space })
	read := followers(requests, func(r chattest.Request) string { return r.Client })
	for i, r := range requests {
		if r.RequestID == "" {
			t.Errorf("a request without an id: %s", r.Body)
		}
		if r.Message == "" {
			continue
		}
		ids[r.RequestID] = append(ids[r.RequestID], i)
		if before, ok := bodies[string(r.Body)]; ok && before != r.RequestID {
			t.Errorf("the requests %s and %s say the same:\n%s", before, r.RequestID, r.Body)
		}
		bodies[string(r.Body)] = r.RequestID
	}
	replays := 0
	for id, made := range ids {
		for i, index := range made[:len(made)-1] {
			r, repeated := requests[index], requests[made[i+1]]
			if !bytes.Equal(r.Body, repeated.Body) {
				t.Errorf("the request id %s stands for two messages:\n%s\n%s", id, r.Body, repeated.Body)
			}
			// A connection is used again only after its last answer was read.
			if _, known := read[index]; known && r.Status == http.StatusOK && !c.killed(r.At, next[index]) {
				t.Errorf("the request %s is repeated after %s although its answer was read:\n%s", id, next[index].Sub(r.At), r.Body)
			}
			if repeated.Message != r.Message {
				replays++
			}
		}
	}
	t.Logf("%d messages stand in Chat more than once", replays)
}

// followers returns when the request after each came that has the same key.
func followers(requests []chattest.Request, key func(chattest.Request) string) map[int]time.Time {
	next, latest := map[int]time.Time{}, map[string]int{}
	for i, r := range requests {
		if before, ok := latest[key(r)]; ok {
			next[before] = r.At
		}
		latest[key(r)] = i
	}
	return next
}

// killed tells whether alertchat was killed between two times.
func (c *chaos) killed(after, before time.Time) bool {
	return slices.ContainsFunc(c.kills, func(kill time.Time) bool { return kill.After(after) && kill.Before(before) })
}

// wantQuietLogs fails the test if a process panicked, called for an operator or
// printed a secret.
func (c *chaos) wantQuietLogs(t *testing.T) {
	t.Helper()
	secrets := markers{}
	for space, hook := range c.chat.hooks {
		secrets.addWebhook(t, space, hook)
	}
	for i, output := range c.outputs {
		if strings.Contains(output, "panic") || strings.Contains(output, "goroutine ") {
			t.Errorf("process %d panicked:\n%s", i, output)
		}
		if strings.Contains(output, "level=ERROR") {
			t.Errorf("process %d asks for help, although everything here passes by itself:\n%s", i, output)
		}
		secrets.wantAbsent(t, fmt.Sprintf("the output of process %d", i), output)
	}
}
