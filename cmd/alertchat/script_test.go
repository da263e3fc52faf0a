package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"alertchat/receiver/chat"
	"alertchat/receiver/chat/chattest"
)

// scriptPatience bounds each wait of a script for what takes well under a
// second, or a backoff of one.
const scriptPatience = 30 * time.Second

var updateScripts = flag.Bool("update", false, "rewrite what the scripts compare with")

// TestMain lets the test binary be the program that scripts run.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"alertchat": main})
}

// TestScripts runs the scripts under testdata/script: one for each sentence on
// what a config does. Beside testscript's own commands they have these:
//
//	google NAME[=PLACE]…       A stand-in for Google Chat with a webhook for each name. The URL
//	                           is in the file NAME.url and in $NAME, its path alone in $NAME_path, and
//	                           the stand-in's address in $GOOGLE. The place is spaces/PLACE, by default the name in capitals.
//	app NAME=PLACE…            Makes a Chat app, whose key is in the file app.json, and adds it to each place, which
//	                           may be users/ID for a direct message; ! app takes it out there.
//	expand FILE                Replaces these in a file, as alertchat itself does not.
//	serve [FLAG]…              Runs alertchat with config.yml until the script ends.
//	terminate                  Ends it with SIGTERM.
//	reload                     Has it load the config; ! reload wants that refused.
//	post FILE [PATH]           Posts a payload and wants it accepted; ! post wants it refused.
//	messages NAME              Waits until nothing waits, and prints the messages of a space.
//	fault NAME TIMES FAULT     The next requests for a space come to grief: a status, hang, drop,
//	                           or lost, which does the work and loses the answer. -1 is for ever.
//	heal NAME                  Ends that.
//	span NAME N TIME           Wants N requests for a space, and that much time between first and last.
//	metrics                    Prints alertchat's metrics that are not 0, without those that tell the
//	                           time or of the storage.
//	until PATH|log PATTERN     Waits until a page, or what alertchat logs, matches.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *updateScripts,
		Setup: func(e *testscript.Env) error {
			e.Values[stageKey{}] = &stage{folder: e.WorkDir, hooks: map[string]string{}}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"google":    on((*stage).google),
			"app":       on((*stage).app),
			"expand":    on((*stage).expand),
			"serve":     on((*stage).serve),
			"terminate": on((*stage).terminate),
			"reload":    on((*stage).reload),
			"post":      on((*stage).post),
			"messages":  on((*stage).messages),
			"fault":     on((*stage).fault),
			"heal":      on((*stage).heal),
			"span":      on((*stage).span),
			"metrics":   on((*stage).metrics),
			"until":     on((*stage).until),
		},
	})
}

// on makes a command of a stage's method. Its error is a failure; a command that
// can be negated makes it fail itself.
func on(do func(*stage, *testscript.TestScript, bool, []string) error) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		s, ok := ts.Value(stageKey{}).(*stage)
		if !ok {
			ts.Fatalf("the script has no stage")
		}
		ts.Check(do(s, ts, neg, args))
	}
}

// stageKey is where a script's stage is kept.
type stageKey struct{}

// stage is what a script plays on: a Google Chat and an alertchat of its own.
type stage struct {
	folder  string
	chat    *chattest.Server
	hooks   map[string]string // the places, by name
	bot     *chattest.App     // nil before it is needed
	key     *rsa.PrivateKey   // of the bot
	address string            // of the alertchat that runs
	program *exec.Cmd
	ended   chan error // what became of it
	log     *lockedBuffer
}

func (s *stage) google(ts *testscript.TestScript, _ bool, args []string) error {
	s.chat = chattest.New(chattest.Options{})
	server := httptest.NewServer(s.chat)
	ts.Defer(server.Close)
	ts.Setenv("GOOGLE", server.URL)
	for _, arg := range args {
		name, place, ok := strings.Cut(arg, "=")
		if !ok {
			place = strings.ToUpper(filepath.Base(name))
		}
		s.hooks[name] = "spaces/" + place
		path := s.chat.AddWebhook(s.hooks[name])
		url := server.URL + path
		ts.Setenv(name, url)
		ts.Setenv(name+"_path", path)
		if err := os.WriteFile(ts.MkAbs(name+".url"), []byte(url+"\n"), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) app(ts *testscript.TestScript, neg bool, args []string) error {
	if s.bot == nil {
		var err error
		if s.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return err
		}
		s.bot = s.chat.AddApp("bot@example.iam.gserviceaccount.com", &s.key.PublicKey)
		if err := os.WriteFile(ts.MkAbs("app.json"), s.bot.KeyFile(s.key, ts.Getenv("GOOGLE")), 0o600); err != nil {
			return err
		}
	}
	for _, arg := range args {
		name, place, _ := strings.Cut(arg, "=")
		user, isUser := strings.CutPrefix(place, "users/")
		if isUser {
			place = "spaces/DM" + user
		}
		s.hooks[name] = place
		switch {
		case isUser && neg:
			s.bot.Uninstall("users/" + user)
		case isUser:
			s.bot.Install("users/"+user, place)
		case neg:
			s.bot.Leave(place)
		default:
			s.bot.Join(place)
		}
	}
	return nil
}

func (s *stage) expand(ts *testscript.TestScript, _ bool, args []string) error {
	for _, file := range args {
		text := os.Expand(ts.ReadFile(file), ts.Getenv)
		if err := os.WriteFile(ts.MkAbs(file), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// listening finds the address in a log. The program chooses a port itself, so
// that no other can take it first.
var listening = regexp.MustCompile(`msg="Listening on" address=(\S+)`)

func (s *stage) serve(ts *testscript.TestScript, _ bool, args []string) error {
	path, err := exec.LookPath("alertchat")
	if err != nil {
		return err
	}
	s.log, s.ended = &lockedBuffer{}, make(chan error, 1)
	flags := []string{"serve", "--storage.path=data", "--web.listen-address=127.0.0.1:0"}
	s.program = exec.Command(path, append(flags, args...)...)
	s.program.Dir, s.program.Stderr = s.folder, s.log
	if err := s.program.Start(); err != nil {
		return err
	}
	go func(p *exec.Cmd, ended chan<- error) { ended <- p.Wait() }(s.program, s.ended)
	ts.Defer(func() {
		if err := s.end(); err != nil {
			ts.Logf("%v", err)
		}
		ts.Logf("alertchat logged:\n%s", s.log)
	})
	return s.poll("alertchat is ready", func() error {
		found := listening.FindStringSubmatch(s.log.String())
		if found == nil {
			return fmt.Errorf("it logged:\n%s", s.log)
		}
		s.address = "http://" + found[1]
		_, err := s.get("/-/ready")
		return err
	})
}

func (s *stage) terminate(*testscript.TestScript, bool, []string) error { return s.end() }

// end ends the program, if it runs.
func (s *stage) end() error {
	if s.program == nil {
		return nil
	}
	program := s.program
	s.program = nil
	if err := program.Process.Signal(syscall.SIGTERM); err != nil {
		return errors.Join(err, <-s.ended)
	}
	select {
	case err := <-s.ended:
		return err
	case <-time.After(scriptPatience):
		return errors.Join(errors.New("alertchat did not end"), program.Process.Kill(), <-s.ended)
	}
}

func (s *stage) reload(ts *testscript.TestScript, neg bool, _ []string) error {
	return s.request(ts, neg, "/-/reload", nil)
}

func (s *stage) post(ts *testscript.TestScript, neg bool, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: post FILE [PATH]")
	}
	path := "/alertmanager"
	if len(args) > 1 {
		path = args[1]
	}
	return s.request(ts, neg, path, []byte(ts.ReadFile(args[0])))
}

// request posts, prints the answer, and wants it to be 200, or not.
func (s *stage) request(ts *testscript.TestScript, neg bool, path string, body []byte) error {
	resp, err := http.Post(s.address+path, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := readAnswer(resp)
	fmt.Fprintf(ts.Stdout(), "%s\n%s", resp.Status, answer)
	if err == nil && (resp.StatusCode == http.StatusOK) == neg {
		err = fmt.Errorf("POST %s answers %s: %s", path, resp.Status, answer)
	}
	return err
}

func (s *stage) messages(ts *testscript.TestScript, _ bool, args []string) error {
	if err := s.poll("nothing waits", s.idle); err != nil {
		return err
	}
	for _, name := range args {
		if s.hooks[name] == "" {
			return fmt.Errorf("google made no %s", name)
		}
		var threads []string
		for _, m := range s.chat.Messages(s.hooks[name]) {
			where := "a reply in thread"
			if !slices.Contains(threads, m.Thread) {
				threads = append(threads, m.Thread)
				where = "thread"
			}
			var body chat.Message
			if err := json.Unmarshal(m.Body, &body); err != nil {
				return err
			}
			fmt.Fprintf(ts.Stdout(), "# %s, %s %d\n%s", name, where, slices.Index(threads, m.Thread)+1, messageText(&body))
		}
	}
	if remarks := s.chat.Remarks(); len(remarks) > 0 {
		return fmt.Errorf("google Chat would refuse or mangle: %q", remarks)
	}
	return nil
}

// idle returns an error while something waits for delivery.
func (s *stage) idle() error {
	status, err := s.get("/api/v1/status")
	if err != nil {
		return err
	}
	if waits := regexp.MustCompile(`"(waiting|planned)":[1-9]`).FindString(status); waits != "" {
		return fmt.Errorf("%s in %s", waits, status)
	}
	return nil
}

func (s *stage) fault(_ *testscript.TestScript, _ bool, args []string) error {
	if len(args) != 3 {
		return errors.New("usage: fault NAME TIMES FAULT")
	}
	times, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	var f chattest.Fault
	switch args[2] {
	case "hang":
		f.Hang = true
	case "drop":
		f.Drop = true
	case "lost":
		f.Act, f.Drop = true, true
	default:
		if f.Status, err = strconv.Atoi(args[2]); err != nil {
			return err
		}
	}
	s.chat.Inject(s.hooks[args[0]], times, f)
	return nil
}

func (s *stage) heal(_ *testscript.TestScript, _ bool, args []string) error {
	for _, name := range args {
		s.chat.Heal(s.hooks[name])
	}
	return nil
}

func (s *stage) span(_ *testscript.TestScript, _ bool, args []string) error {
	if len(args) != 3 {
		return errors.New("usage: span NAME N TIME")
	}
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	least, err := time.ParseDuration(args[2])
	if err != nil {
		return err
	}
	var at []time.Time
	for _, r := range s.chat.Requests() {
		if r.Space == s.hooks[args[0]] {
			at = append(at, r.At)
		}
	}
	if len(at) != n {
		return fmt.Errorf("%d requests, want %d", len(at), n)
	}
	if took := at[n-1].Sub(at[0]); took < least {
		return fmt.Errorf("they came within %s, want %s or more", took, least)
	}
	return nil
}

// unsteady are metrics that are not the same each time, and those of the
// storage and its lease, which no config concerns.
var unsteady = regexp.MustCompile(`seconds|build_info|_storage_|_delivering`)

func (s *stage) metrics(ts *testscript.TestScript, _ bool, _ []string) error {
	page, err := s.get("/metrics")
	if err != nil {
		return err
	}
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "alertchat_") && !strings.HasSuffix(line, " 0\n") && !unsteady.MatchString(line) {
			fmt.Fprint(ts.Stdout(), line)
		}
	}
	return nil
}

func (s *stage) until(_ *testscript.TestScript, _ bool, args []string) error {
	if len(args) != 2 {
		return errors.New("usage: until PATH|log PATTERN")
	}
	pattern, err := regexp.Compile(args[1])
	if err != nil {
		return err
	}
	return s.poll(args[0]+" matches "+args[1], func() error {
		text := s.log.String()
		if args[0] != "log" {
			if text, err = s.get(args[0]); err != nil {
				return err
			}
		}
		if !pattern.MatchString(text) {
			return errors.New(text)
		}
		return nil
	})
}

func (s *stage) get(path string) (string, error) {
	resp, err := http.Get(s.address + path)
	if err != nil {
		return "", err
	}
	text, err := readAnswer(resp)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", path, resp.Status)
	}
	return text, err
}

func readAnswer(resp *http.Response) (string, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// poll waits until check returns nil, as long as the program runs.
func (s *stage) poll(what string, check func() error) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(scriptPatience)
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case ending := <-s.ended:
			s.ended <- ending
			return errors.Join(errors.New("alertchat has ended before "+what), ending)
		case <-deadline:
			return fmt.Errorf("not within %s: %s: %w", scriptPatience, what, err)
		}
	}
}
