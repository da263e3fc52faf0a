package main

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"alertchat/receiver/chat/chattest"
)

// bench is a config whose spaces lead to a stand-in for Google Chat on loopback.
type bench struct {
	google *chattest.Server
	server *httptest.Server
	config string
	url    string // of the webhook, with its secrets
}

func newBench(t *testing.T, settings string) *bench {
	t.Helper()
	b := &bench{google: chattest.New(chattest.Options{}), config: filepath.Join(t.TempDir(), "config.yml")}
	b.server = httptest.NewServer(b.google)
	t.Cleanup(b.server.Close)
	b.url = b.server.URL + b.google.AddWebhook("spaces/OPS")
	b.write(t, "spaces: [{name: ops, rate_limit: 100, webhook_url: '"+b.url+"'"+settings+"}]")
	return b
}

func (b *bench) write(t *testing.T, config string) {
	t.Helper()
	if err := os.WriteFile(b.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a command with the config and looks for secrets in what it prints.
func (b *bench) run(t *testing.T, stdin, command string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	args = append([]string{command, "--config.file=" + b.config}, args...)
	code = run(t.Context(), args, environment{stdin: strings.NewReader(stdin), stdout: &out, stderr: &errs, notify: func(chan<- os.Signal) {}})
	_, query, _ := strings.Cut(b.url, "?")
	for pair := range strings.SplitSeq(query, "&") {
		if _, secret, _ := strings.Cut(pair, "="); strings.Contains(out.String()+errs.String(), secret) {
			t.Errorf("%s prints the secret %q:\n%s\n%s", command, secret, &out, &errs)
		}
	}
	return out.String(), errs.String(), code
}

const newlineName = `^spaces/OPS/messages/[\w.-]+\n$`

func TestSend(t *testing.T) {
	file := filepath.Join(t.TempDir(), "payload.json")
	if err := os.WriteFile(file, []byte(firing), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, stdin string
		args        []string
		fault       chattest.Fault
		code        int
		out, err    string // patterns
		text        string // how the message begins; empty for none
	}{
		{"a text", "", []string{"--space=ops", "--text=The long job has finished, <users/all>."}, chattest.Fault{}, exitOK, newlineName, `^$`, "The long job has finished, <users/all>."},
		{"a text that is too long", "", []string{"--space=ops", "--text=" + strings.Repeat("x", 9000)}, chattest.Fault{}, exitOK, newlineName, `^text: cut to 4000 characters: Google Chat takes no more\n$`, "xxx"},
		{"a file", "", []string{"--space=ops", file}, chattest.Fault{}, exitOK, newlineName, `^$`, "🔴 A · FIRING"},
		{"standard input", firing, []string{"--space=ops", "-"}, chattest.Fault{}, exitOK, newlineName, `^$`, "🔴 A · FIRING"},
		{"a sample", "", []string{"--space=ops", "--sample=resolved"}, chattest.Fault{}, exitOK, newlineName, `^$`, "✅ DiskWillFill · RESOLVED"},
		{"a blank text", "", []string{"--space=ops", "--text= "}, chattest.Fault{}, exitFailed, `^$`, `^alertchat: the text is empty\n$`, ""},
		{"an unknown space", "", []string{"--space=opz", "--text=a"}, chattest.Fault{}, exitFailed, `^$`, `^alertchat: no space of the config is called "opz"; there are: ops\n$`, ""},
		{"a payload that is none", "{\n x", []string{"--space=ops", "-"}, chattest.Fault{}, exitFailed, `^$`, `^alertchat: read standard input: line 2: not a JSON payload of Alertmanager: .*; it must be what Alertmanager posts to a webhook, such as --sample=firing\n$`, ""},
		{"a file that is missing", "", []string{"--space=ops", file + ".no"}, chattest.Fault{}, exitFailed, `^$`, `^alertchat: open .*: no such file or directory\n$`, ""},
		{"a folder", "", []string{"--space=ops", filepath.Dir(file)}, chattest.Fault{}, exitFailed, `^$`, `^alertchat: the payload: read .*: is a directory\n$`, ""},
		{"a refusal", "", []string{"--space=ops", "--text=a"}, chattest.Fault{Status: 400}, exitFailed, `^$`, `^alertchat: send to ops: 400: .*; Google Chat takes no such message: see with alertchat render what it was given\n$`, ""},
		{"a webhook that is gone", "", []string{"--space=ops", "--text=a"}, chattest.Fault{Status: 404}, exitFailed, `^$`, `^alertchat: send to ops: 404: .*; the webhook is gone or its URL is wrong: make a new one .*: \S+config.yml:1: spaces\[0\].webhook_url\n$`, ""},
		{"too many requests", "", []string{"--space=ops", "--text=a", "--timeout=300ms"}, chattest.Fault{Status: 429}, exitFailed, `^$`, `^alertchat: send to ops: 429: .*; Google Chat is busy or ill: try later, or longer with --timeout\n$`, ""},
		{"a lost answer", "", []string{"--space=ops", "--text=a", "--timeout=300ms"}, chattest.Fault{Act: true, Drop: true}, exitFailed, `^$`, `^alertchat: send to ops: connection: .*; see whether this machine reaches .*; the message may have arrived all the same: look before you send it again\n$`, "a"},
		{"silence", "", []string{"--space=ops", "--text=a", "--timeout=100ms"}, chattest.Fault{Hang: true}, exitFailed, `^$`, `^alertchat: send to ops: timeout: no answer within the 100ms of --timeout; see whether .*; the message may have`, ""},
		{"nothing to send is misuse", "", []string{"--space=ops"}, chattest.Fault{}, exitMisuse, `^$`, `^alertchat: send takes one thing to send: a file, - for standard input, --sample=firing, or --text; see alertchat --help\n$`, ""},
		{"two things to send are misuse", "", []string{"--space=ops", "--text=a", "-"}, chattest.Fault{}, exitMisuse, `^$`, `one thing to send`, ""},
		{"no space is misuse", "", []string{"--text=a"}, chattest.Fault{}, exitMisuse, `^$`, `required flag.* '--space' not provided`, ""},
		{"an unknown sample is misuse", "", []string{"--space=ops", "--sample=nope"}, chattest.Fault{}, exitMisuse, `^$`, `must be one of firing,`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, "")
			if c.fault != (chattest.Fault{}) {
				b.google.Inject("spaces/OPS", -1, c.fault)
			}
			out, errs, code := b.run(t, c.stdin, "send", c.args...)
			if code != c.code || !regexp.MustCompile(c.out).MatchString(out) || !regexp.MustCompile(c.err).MatchString(errs) {
				t.Errorf("exit code %d, %q, %q; want %d, %q, %q", code, out, errs, c.code, c.out, c.err)
			}
			messages := b.google.Messages("spaces/OPS")
			if (len(messages) > 0) != (c.text != "") || len(messages) > 1 {
				t.Fatalf("%d messages, want one: %v", len(messages), c.text != "")
			}
			if len(messages) == 1 && !strings.HasPrefix(messages[0].Text, c.text) {
				t.Errorf("the message is %q, want %q", messages[0].Text, c.text)
			}
			if code == exitOK && strings.TrimSpace(out) != messages[0].Name {
				t.Errorf("it prints %q, the message is %s", out, messages[0].Name)
			}
		})
	}
}

func TestSendTriesAgain(t *testing.T) {
	b := newBench(t, "")
	b.google.Inject("spaces/OPS", 1, chattest.Fault{Status: 429})
	out, errs, code := b.run(t, "", "send", "--space=ops", "--text=a")
	if n := len(b.google.Requests()); code != exitOK || !regexp.MustCompile(newlineName).MatchString(out) || n != 2 {
		t.Errorf("exit code %d after %d requests, %q, %q", code, n, out, errs)
	}
}

func TestSendToNobody(t *testing.T) {
	b := newBench(t, "")
	b.server.Close()
	out, errs, code := b.run(t, "", "send", "--space=ops", "--text=a", "--timeout=200ms")
	if want := regexp.MustCompile(`^alertchat: send to ops: connection: .*refused; see whether this machine reaches the URL's host, and whether the space's http_config needs a proxy_url\n$`); code != exitFailed || out != "" || !want.MatchString(errs) {
		t.Errorf("exit code %d, %q, %q, want %s", code, out, errs, want)
	}
}

func TestSendOfWhatTheSpaceIsNotTold(t *testing.T) {
	b := newBench(t, ", send_resolved: false")
	out, errs, code := b.run(t, "", "send", "--space=ops", "--sample=resolved")
	if code != exitFailed || out != "" || !strings.Contains(errs, "spaces[0].send_resolved: all alerts are resolved, and this space is not told of ends") || !strings.HasSuffix(errs, "alertchat: send: nothing was sent\n") {
		t.Errorf("exit code %d, %q, %q", code, out, errs)
	}
	if n := len(b.google.Requests()); n != 0 {
		t.Errorf("%d requests, want none", n)
	}
}

// TestSendWithABrokenTemplate: the alert goes out, as the built-in text.
func TestSendWithABrokenTemplate(t *testing.T) {
	b := newBench(t, ", card: none, text: '{{ index .Alerts 9 }}'")
	out, errs, code := b.run(t, "", "send", "--space=ops", "--sample=firing")
	if code != exitOK || !regexp.MustCompile(newlineName).MatchString(out) || !strings.Contains(errs, "spaces[0].text: <index .Alerts 9>: ") {
		t.Errorf("exit code %d, %q, %q", code, out, errs)
	}
	if m := b.google.Messages("spaces/OPS"); len(m) != 1 || !strings.Contains(m[0].Text, "DiskWillFill") || !strings.Contains(m[0].Text, "The template text, line 1 failed") {
		t.Errorf("messages %+v, want the built-in text with a word on the template", m)
	}
}

func TestRender(t *testing.T) {
	file := filepath.Join(t.TempDir(), "payload.json")
	if err := os.WriteFile(file, []byte(firing), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, settings, stdin string
		args                  []string
		code                  int
		out, err              string // patterns
	}{
		{"a file", ", card: none", "", []string{"--space=ops", file}, exitOK, `^\{"text":"🔴 A · FIRING","thread":\{"threadKey":"[0-9a-z-]+"\}\}\n$`, `^$`},
		{"standard input", ", card: none, thread: none", firing, []string{"--space=ops", "-"}, exitOK, `^\{"text":"🔴 A · FIRING"\}\n$`, `^$`},
		{"indented", ", card: none, thread: none", firing, []string{"--space=ops", "--pretty", "-"}, exitOK, "^\\{\n  \"text\": \"🔴 A · FIRING\"\n\\}\n$", `^$`},
		{"a sample of many parts, each in a line", ", max_parts: 2, card: {alert: '{{ range 200 }}long text {{ end }}'}", "", []string{"--space=ops", "--sample=many"}, exitOK, `^\{.*\}\n\{.*\}\n$`, `config.yml:1: spaces\[0\].max_parts: \d+ alerts are not shown\n$`},
		{"what was mended", ", card: {buttons: [{text: a, url: 'relative'}]}", firing, []string{"--space=ops", "-"}, exitOK, `^\{.*\}\n$`, `^\S+config.yml:1: spaces\[0\].card.buttons\[0\].url: left out: it is no absolute http\(s\) URL, or too long\n$`},
		{"a template that fails", ", card: none, text: '{{ index .Alerts 9 }}'", firing, []string{"--space=ops", "-"}, exitFailed, `^\{"text":"🔴 A · FIRING\\n⚠️ The template text, line 1 failed.*\}\n$`, `(?s)^\S+config.yml:1: spaces\[0\].text: <index .Alerts 9>.*out of range: 9\nalertchat: render: 1 template failed: what is built in would be sent in its place\n$`},
		{"a whole message that is none", ", message: \"text: a\\ntxet: {{ .Status }}\"", firing, []string{"--space=ops", "-"}, exitFailed, `The template message failed \(line 2 of what it puts out\)`, `spaces\[0\].message: what it puts out is no message: line 2: unknown field "txet"; did you mean "text"\?\n    txet: firing\nalertchat: render: 1 template`},
		{"what the space is not told", ", send_resolved: false", "", []string{"--space=ops", "--sample=resolved"}, exitOK, `^$`, `send_resolved: all alerts are resolved`},
		{"an unknown space", "", firing, []string{"--space=opz", "-"}, exitFailed, `^$`, `there are: ops\n$`},
		{"another version of the payload", "", `{"version":"3"}`, []string{"--space=ops", "-"}, exitFailed, `^$`, `^alertchat: read standard input: not version 4 of the payload; it must be`},
		{"a payload that is too large", "", strings.Repeat(" ", 32<<20+1), []string{"--space=ops", "-"}, exitFailed, `^$`, `^alertchat: read standard input: it is larger than 32 MiB\n$`},
		{"no payload is misuse", "", "", []string{"--space=ops"}, exitMisuse, `^$`, `^alertchat: render takes a payload: either a file, - for standard input, or --sample=firing; see alertchat --help\n$`},
		{"two payloads are misuse", "", "", []string{"--space=ops", "--sample=firing", file}, exitMisuse, `^$`, `render takes a payload`},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, c.settings)
			out, errs, code := b.run(t, c.stdin, "render", c.args...)
			if code != c.code || !regexp.MustCompile(c.out).MatchString(out) || !regexp.MustCompile(c.err).MatchString(errs) {
				t.Errorf("exit code %d, %.2000q, %q; want %d, %q, %q", code, out, errs, c.code, c.out, c.err)
			}
			if n := len(b.google.Requests()); n > 0 {
				t.Errorf("%d requests were made, want none", n)
			}
		})
	}
}

// TestSendSendsWhatRenderPrints holds the two to each other.
func TestSendSendsWhatRenderPrints(t *testing.T) {
	b := newBench(t, "")
	printed, _, _ := b.run(t, firing, "render", "--space=ops", "-")
	if _, errs, code := b.run(t, firing, "send", "--space=ops", "-"); code != exitOK {
		t.Fatal(errs)
	}
	var want, got any
	if err := json.Unmarshal([]byte(printed), &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b.google.Messages("spaces/OPS")[0].Body, &got); err != nil {
		t.Fatal(err)
	}
	g, _ := json.Marshal(got)
	w, _ := json.Marshal(want)
	if string(g) != string(w) {
		t.Errorf("send sends %s, render prints %s", g, w)
	}
}

// TestSendOfWhatChatHasAlready: an attempt before it did what this one asks for.
func TestSendOfWhatChatHasAlready(t *testing.T) {
	b := newBench(t, "")
	b.google.Inject("spaces/OPS", 1, chattest.Fault{Status: 409, Body: `{"error":{"code":409,"status":"ALREADY_EXISTS","message":"Requested entity already exists"}}`})
	out, errs, code := b.run(t, "", "send", "--space=ops", "--text=a")
	if code != exitOK || out != "" || errs != "Google Chat has the message from an attempt before, and does not say its name.\n" {
		t.Errorf("exit code %d, %q, %q", code, out, errs)
	}
}
