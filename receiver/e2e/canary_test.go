package e2e

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"alertchat/receiver/chat/chattest"
	"alertchat/receiver/webui"
)

// The markers that stand in the config, in the requests, or in both.
const (
	canaryKey     = "AIzaQx8vKeyCanaryW3rT9uLm5sZ"
	canaryToken   = "Tq4Jr/TokenCanary+0bNf7YhVz2c="
	canaryBroken  = "Uh6gFileCanaryPd1xRw8kMs3t"
	canaryBearer  = "Ec2yCredentialsCanaryLj9oBn5v"
	canaryProxy   = "Wm7sProxyCanaryHk4qDz0aXe"
	canaryListen  = "canary-listen-Zq7mTb4Xw2"
	canaryGuess   = "Gf3uGuessCanaryVt8iCo6pYs"
	canaryRequest = "Rb5wRequestCanaryNa1hSl7jKd"

	// listenHash is the bcrypt hash of canaryListen.
	listenHash = "$2a$04$1gkN6d/j5xvbm0AgFPlpBueQiCjIM/tYrmKIa7IbY.4wIObuoG67K"
)

// TestNoSecretIsShown puts a marker in every secret, drives every failure, and
// searches all that the program prints, answers and stores for the markers.
func TestNoSecretIsShown(t *testing.T) {
	path := buildAlertchat(t)
	for _, format := range []string{"logfmt", "json"} {
		t.Run("with logs as "+format, func(t *testing.T) {
			t.Parallel()
			c := startCanary(t, path, format)
			c.wantMarkersInUse(t)
			c.failToDeliver(t)
			c.failToAnswer(t)
			c.failToReload(t)
			c.wantNothingShown(t)
		})
	}
}

// canary is an alertchat with a marker in every secret.
type canary struct {
	*alertchat

	secrets markers
	google  *googleChat   // takes what is sent to the spaces inline, file and app
	faulty  *echo         // takes what is sent to the others
	proxy   *echo         // wants another password
	config  string        // that works
	urls    string        // the file of the space broken
	failing []failure     // the other spaces
	answers []publication // all that was answered
	bot     *chattest.App // who the spaces are that are a Chat app
}

// publication is an answer that anybody may see.
type publication struct{ where, head, body string }

// failure is a space to which nothing can be delivered.
type failure struct {
	name string
	host string // scheme, host and the beginning of the path
	http string // its http_config
	want string // what its last error says
	// tokens, where it is set, makes it a Chat app, and is where its access tokens
	// come from; host is where the API is.
	tokens string
}

func startCanary(t *testing.T, path, format string) *canary {
	t.Helper()
	c := &canary{google: startChat(t), faulty: startEcho(t), proxy: startEcho(t)}
	c.secrets = markers{
		"key": canaryKey, "token": canaryToken, "token in a broken file": canaryBroken,
		"credentials of http_config": canaryBearer, "proxy's password": canaryProxy,
		"listener's password": canaryListen, "listener's hash": listenHash[7:],
		"wrong password of a client": canaryGuess, "header of a request": canaryRequest,
	}
	c.failing = c.failures(t)
	c.alertchat = c.newReceiver(t, path)
	web := filepath.Join(filepath.Dir(c.configFile), "web.yml")
	writeFile(t, web, "basic_auth_users: {alertmanager: '"+listenHash+"'}\n")
	c.launch(t, "--web.config.file="+web, "--log.format="+format)
	c.waitReady(t, "alertmanager:"+canaryListen+"@"+c.address)
	return c
}

// failures returns a space for each way in which a delivery can fail.
func (c *canary) failures(t *testing.T) []failure {
	t.Helper()
	faulty, nobody := c.faulty.URL, freeAddress(t)
	proxied := func(scheme, address string) string {
		return fmt.Sprintf("{proxy_url: '%s://someone:%s@%s'}", scheme, canaryProxy, address)
	}
	other := strings.TrimPrefix(c.proxy.URL, "http://")
	all := []failure{
		{name: "refused", host: "http://" + nobody, want: "connection refused"},
		// Not a domain name, so that nobody is asked for it.
		{name: "nowhere", host: "http://no..such.host", want: "no such host"},
		{name: "plain", host: "https" + strings.TrimPrefix(faulty, "http"), want: "HTTPS"},
		{name: "proxy-refused", host: "http://chat.invalid", http: proxied("http", nobody), want: "connection refused"},
		{name: "proxy-refused-tls", host: "https://chat.invalid", http: proxied("http", nobody), want: "connection refused"},
		{name: "proxy-socks", host: "https://chat.invalid", http: proxied("socks5", other), want: "no answer within"},
		{name: "proxy-407", host: "http://chat.invalid/407", http: proxied("http", other), want: "407"},
		{name: "proxy-407-tls", host: "https://chat.invalid", http: proxied("http", other), want: "Proxy Authentication Required"},
		{name: "hang", host: faulty + "/hang", want: "no answer within"},
		{name: "close", host: faulty + "/close", want: "closed"},
		{name: "truncate", host: faulty + "/truncate", want: "broke off"},
		{name: "garbage", host: faulty + "/garbage", want: "malformed"},
		{name: "other", host: faulty + "/200", want: "no message of Google Chat"},
	}
	for _, code := range []string{"302", "308", "400", "401", "403", "404", "418", "429", "500", "502", "503"} {
		all = append(all, failure{name: "status" + code, host: faulty + "/" + code, want: code})
	}
	for _, code := range []string{"302", "400", "401", "403", "404", "429", "502", "503", "close", "truncate", "garbage"} {
		all = append(all, failure{name: "app-" + code, host: faulty + "/" + code, want: wordOf(code), tokens: c.google.address})
	}
	for _, code := range []string{"302", "400", "401", "429", "502", "503", "close", "truncate", "garbage"} {
		all = append(all, failure{name: "tokens-" + code, host: c.google.address, want: "no access token", tokens: faulty + "/" + code})
	}
	for i := range all {
		if all[i].tokens != "" {
			continue
		}
		if all[i].http == "" {
			all[i].http = "{authorization: {credentials: '" + canaryBearer + "'}}"
		}
	}
	return all
}

// wordOf returns what an error says where the echo answers so.
func wordOf(kind string) string {
	switch kind {
	case "close":
		return "closed"
	case "truncate":
		return "broke off"
	case "garbage":
		return "malformed"
	}
	return kind
}

// addApps writes key files for the spaces that are a Chat app, each of which
// names where its access tokens come from, and returns their config.
func (c *canary) addApps(t *testing.T, folder string) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c.bot = c.google.AddApp("bot@canary.iam.gserviceaccount.com", &key.PublicKey)
	c.bot.Join(place("app"))
	var config strings.Builder
	add := func(name, tokens, api string) {
		file := c.bot.KeyFile(key, tokens)
		writeFile(t, filepath.Join(folder, name+".json"), string(file))
		var fields map[string]string
		if err := json.Unmarshal(file, &fields); err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(fields["private_key"], "\n") {
			if len(line) == 64 {
				c.secrets[fmt.Sprintf("line %d of the app's key", i)] = line
			}
		}
		fmt.Fprintf(&config, "  - {name: %s, app: {space: %s, api_url: '%s', credentials_file: %s.json}}\n", name, place(name), api, name)
	}
	add("app", c.google.address, c.google.address)
	for _, f := range c.failing {
		if f.tokens != "" {
			add(f.name, f.tokens, f.host)
		}
	}
	return config.String()
}

// addTokens adds what only the run itself has made: access tokens, and the
// assertions that an endpoint was sent for one.
func (c *canary) addTokens(t *testing.T) {
	t.Helper()
	for i, token := range c.bot.Tokens() {
		c.secrets[fmt.Sprintf("access token %d", i)] = token
	}
	assertions := regexp.MustCompile(`assertion=([^&\s]+)`).FindAllStringSubmatch(c.faulty.got(), -1)
	for i, found := range assertions {
		// What stands before is the same in all of them, and no secret.
		_, rest, _ := strings.Cut(found[1], ".")
		c.secrets[fmt.Sprintf("assertion %d", i)] = rest
	}
	sent := slices.ContainsFunc(c.bot.Tokens(), func(token string) bool { return strings.Contains(c.faulty.got(), "Bearer "+token) })
	if len(assertions) == 0 || !sent {
		t.Errorf("%d assertions, an access token: %t; want that both were sent to where all is echoed", len(assertions), sent)
	}
}

// newReceiver returns an alertchat that does not run yet.
func (c *canary) newReceiver(t *testing.T, path string) *alertchat {
	t.Helper()
	folder := t.TempDir()
	a := &alertchat{
		path: path, address: freeAddress(t),
		configFile: filepath.Join(folder, "config.yml"), storage: filepath.Join(folder, "data"),
	}
	c.urls = filepath.Join(folder, "broken.url")
	writeFile(t, c.urls, c.hook(c.faulty.URL+"/200", "broken"))
	file := c.google.address + c.google.AddWebhook(place("file"))
	writeFile(t, filepath.Join(folder, "file.url"), file+"\n")
	inline := c.google.address + c.google.AddWebhook(place("inline"))
	c.secrets.addWebhook(t, "space file", file)
	c.secrets.addWebhook(t, "space inline", inline)

	var config strings.Builder
	config.WriteString("defaults: {rate_limit: 100, timeout: 500ms}\nroute: {space: inline}\nspaces:\n")
	fmt.Fprintf(&config, "  - {name: inline, webhook_url: '%s'}\n", inline)
	fmt.Fprintf(&config, "  - {name: file, webhook_url_file: file.url}\n")
	fmt.Fprintf(&config, "  - {name: broken, webhook_url_file: broken.url}\n")
	config.WriteString(c.addApps(t, folder))
	for _, f := range c.failing {
		if f.tokens != "" {
			continue
		}
		fmt.Fprintf(&config, "  - {name: %s, webhook_url: '%s', http_config: %s}\n", f.name, c.hook(f.host, f.name), f.http)
	}
	c.config = config.String()
	writeFile(t, a.configFile, c.config)
	return a
}

// hook returns the URL of a webhook with the markers in it.
func (c *canary) hook(host, space string) string {
	return host + "/v1/spaces/" + space + "/messages?key=" + canaryKey + "&token=" + url.QueryEscape(canaryToken)
}

// echo answers with what the first element of the path says, and puts all that
// it knows of a request into its answers.
type echo struct {
	*httptest.Server

	mu       sync.Mutex // guards received
	received strings.Builder
}

func startEcho(t *testing.T) *echo {
	t.Helper()
	e := &echo{}
	e.Server = httptest.NewServer(e)
	t.Cleanup(e.Close)
	return e
}

func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The server sees that a client has gone only when its body is read.
	body, _ := io.ReadAll(r.Body)
	dump, err := httputil.DumpRequest(r, false)
	if err != nil {
		panic(err) // it needs no body
	}
	if r.Header.Get("Content-Type") == "application/x-www-form-urlencoded" {
		dump = append(dump, body...)
	}
	e.mu.Lock()
	e.received.Write(dump)
	e.mu.Unlock()
	kind := strings.Split(r.URL.Path, "/")
	if r.Method == http.MethodConnect {
		kind = []string{"", "407"}
	}
	code := 0
	switch kind[1] {
	case "hang":
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case "close":
		panic(http.ErrAbortHandler)
	case "garbage":
		e.garbage(w, r)
		return
	case "truncate":
		w.Header().Set("Content-Length", "10000")
		_, _ = w.Write(dump) //nolint:gosec // G705: no browser looks at it
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	default:
		if _, err := fmt.Sscan(kind[1], &code); err != nil {
			code = http.StatusTeapot
		}
	}
	w.Header().Set("Location", "/caught?"+r.URL.RawQuery)
	switch code {
	case http.StatusBadGateway, http.StatusProxyAuthRequired:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(code)
		fmt.Fprintf(w, "<html><pre>%s</pre>", dump) //nolint:gosec // G705: no browser looks at it
	default:
		w.WriteHeader(code)
		sentence := fmt.Sprintf("Cannot serve %s (%s), key %q, token %q, %s.", r.URL, r.URL.Query().Encode(),
			r.URL.Query().Get("key"), r.URL.Query().Get("token"), r.Header.Get("Authorization"))
		answer := map[string]any{"error": map[string]any{"code": code, "message": sentence, "status": r.URL.RawQuery}}
		if form, ok := strings.CutPrefix(string(body), "assertion="); ok {
			answer = map[string]any{"error": "invalid_grant", "error_description": "Cannot take " + form}
		}
		_ = json.NewEncoder(w).Encode(answer)
	}
}

// garbage answers with a status line that is none.
func (e *echo) garbage(w http.ResponseWriter, r *http.Request) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer connection.Close()
	_, _ = fmt.Fprintf(connection, "HTTP/1.1 %s OK\r\n\r\n", r.URL.Query().Get("token"))
}

func (e *echo) got() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.received.String()
}

// ask makes a request with a client's secrets and keeps the answer.
func (c *canary) ask(t *testing.T, method, path, text string, authorize func(*http.Request)) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+c.address+path, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	authorize(r)
	answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	head, err := httputil.DumpResponse(answer, false)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	c.answers = append(c.answers, publication{method + " " + r.URL.Path, string(head), string(body)})
	return answer.StatusCode
}

func allowed(r *http.Request) { r.SetBasicAuth("alertmanager", canaryListen) }

// post posts an alert for a space.
func (c *canary) post(t *testing.T, space string) {
	t.Helper()
	body := notification("Canary-" + space)
	if code := c.ask(t, http.MethodPost, "/alertmanager/"+space, body, allowed); code != http.StatusOK {
		t.Fatalf("posting to the space %s: %d", space, code)
	}
}

// notification returns a payload of one firing alert.
func notification(name string) string {
	return fmt.Sprintf(`{"version": "4", "receiver": "e2e", "groupKey": "{}:{alertname=%[1]s}", "status": "firing",
		"groupLabels": {"alertname": %[1]q}, "alerts": [{"status": "firing", "fingerprint": "%[2]x",
		"labels": {"alertname": %[1]q, "severity": "critical"}, "startsAt": %[3]q}]}`,
		name, name, time.Now().Format(time.RFC3339Nano))
}

// wantMarkersInUse fails the test if a marker does not do its work: one that is
// nowhere cannot leak.
func (c *canary) wantMarkersInUse(t *testing.T) {
	t.Helper()
	for _, space := range []string{"inline", "file", "app"} {
		c.post(t, space)
		wantCard(t, c.google.wait(t, space, 1)[0], "Canary-"+space)
	}
	for _, marker := range []string{canaryKey, url.QueryEscape(canaryToken), canaryBearer, canaryProxy} {
		if !strings.Contains(c.config, marker) {
			t.Errorf("the config does not hold %q", marker)
		}
	}
}

// failToDeliver makes every delivery fail.
func (c *canary) failToDeliver(t *testing.T) {
	t.Helper()
	writeFile(t, c.urls, "http://"+canaryBroken+":bad%zz/v1/spaces/x/messages?key="+canaryKey+"&token="+canaryBroken)
	if code := c.ask(t, http.MethodPost, "/-/reload", "", allowed); code != http.StatusInternalServerError {
		t.Errorf("a reload with a malformed URL answers %d, want 500", code)
	}
	c.ask(t, http.MethodGet, "/api/v1/status", "", allowed)
	if status := c.answers[len(c.answers)-1].body; !strings.Contains(status, "malformed") {
		t.Errorf("the status does not say what is wrong with the URL's file: %s", status)
	}
	for _, f := range c.failing {
		c.post(t, f.name)
	}
	before := c.answers
	eventually(t, "every delivery has failed", func() error {
		c.answers = before
		code := c.ask(t, http.MethodGet, "/api/v1/status", "", allowed)
		body := c.answers[len(c.answers)-1].body
		var status webui.Status
		if err := json.Unmarshal([]byte(body), &status); err != nil {
			return fmt.Errorf("%d %s: %w", code, body, err)
		}
		said := map[string]string{}
		for _, s := range status.Spaces {
			said[s.Name] = s.LastError
		}
		var missing []error
		for _, f := range c.failing {
			if !strings.Contains(said[f.name], f.want) {
				missing = append(missing, fmt.Errorf("the last error of %s is %q, want one with %q", f.name, said[f.name], f.want))
			}
		}
		return errors.Join(missing...)
	})
	for _, marker := range []string{canaryKey, url.QueryEscape(canaryToken), "Bearer " + canaryBearer} {
		if !strings.Contains(c.faulty.got(), marker) {
			t.Errorf("%q never arrived at its destination", marker)
		}
	}
	if !strings.Contains(c.proxy.got(), base64.StdEncoding.EncodeToString([]byte("someone:"+canaryProxy))) {
		t.Errorf("the password never arrived at the proxy:\n%s", c.proxy.got())
	}
	if strings.Contains(c.faulty.got(), "/caught") {
		t.Error("a redirect was followed")
	}
}

// failToAnswer makes every kind of request fail.
func (c *canary) failToAnswer(t *testing.T) {
	t.Helper()
	guess := func(r *http.Request) { r.SetBasicAuth("alertmanager", canaryGuess) }
	stranger := func(r *http.Request) { r.SetBasicAuth(canaryGuess, canaryListen) }
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+canaryRequest) }
	broken := func(r *http.Request) { r.Header.Set("Authorization", "Basic "+canaryRequest) }
	extra := func(r *http.Request) {
		allowed(r)
		r.URL.RawQuery = "token=" + canaryRequest
		r.URL.User = url.UserPassword("someone", canaryRequest)
		r.Header.Set("Proxy-Authorization", "Bearer "+canaryRequest)
		r.Header.Set("Cookie", "session="+canaryRequest)
	}
	tests := []struct {
		method, path, body string
		authorize          func(*http.Request)
		want               int
	}{
		{http.MethodPost, "/alertmanager", notification("Guess"), guess, 401},
		{http.MethodPost, "/alertmanager", notification("Stranger"), stranger, 401},
		{http.MethodPost, "/alertmanager", notification("Bearer"), bearer, 401},
		{http.MethodPost, "/alertmanager", notification("Broken"), broken, 401},
		{http.MethodGet, "/", "", guess, 401},
		{http.MethodPost, "/alertmanager", notification("Extra"), extra, 200},
		{http.MethodPost, "/alertmanager", "token=" + canaryRequest, extra, 400},
		{http.MethodPost, "/alertmanager", `{"version": "4", "alerts": "` + canaryRequest + `"}`, extra, 400},
		{http.MethodPost, "/alertmanager", `{"version": "` + canaryRequest + `"}`, extra, 400},
		{http.MethodGet, "/alertmanager", "", extra, 405},
		{http.MethodGet, "/nothing", "", extra, 404},
	}
	for _, test := range tests {
		if code := c.ask(t, test.method, test.path, test.body, test.authorize); code != test.want {
			t.Errorf("%s %s with %.40q is answered with %d, want %d", test.method, test.path, test.body, code, test.want)
		}
	}
}

// failToReload loads every faulty config, one of them by a signal.
func (c *canary) failToReload(t *testing.T) {
	t.Helper()
	folder := filepath.Dir(c.configFile)
	for _, f := range faultyConfigs() {
		f.write(t, folder)
		if code := c.ask(t, http.MethodPost, "/-/reload", "", allowed); code != http.StatusInternalServerError {
			t.Errorf("a config where %s is loaded with %d", f.name, code)
		}
		c.ask(t, http.MethodGet, "/api/v1/status", "", allowed)
	}
	c.signal(t, syscall.SIGHUP)
	eventually(t, "the signal is heeded", func() error {
		if !strings.Contains(c.output(), "Cannot reload") {
			return fmt.Errorf("no line of the log says so")
		}
		return nil
	})
}

// wantNothingShown looks at every page, ends the program and searches all that
// there is.
func (c *canary) wantNothingShown(t *testing.T) {
	t.Helper()
	for _, path := range []string{"/", "/api/v1/status", "/metrics", "/-/ready", "/-/healthy"} {
		if code := c.ask(t, http.MethodGet, path, "", allowed); code != http.StatusOK {
			t.Errorf("%s is answered with %d", path, code)
		}
	}
	c.addTokens(t)
	c.secrets.wantAbsentFromFiles(t, c.storage)
	c.signal(t, syscall.SIGTERM)
	c.waitEnd(t)
	if code := c.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0", code)
	}
	output := c.output()
	for _, want := range []string{"DEBUG", "Messages do not reach the space", "Cannot reload", "request failed"} {
		if !strings.Contains(strings.ToUpper(output), strings.ToUpper(want)) {
			t.Errorf("the log does not say %q: this run shows nothing", want)
		}
	}
	if strings.Contains(output, "panic") {
		t.Errorf("the program panicked:\n%s", output)
	}
	c.secrets.wantAbsent(t, "the log", output)
	c.secrets.wantAbsentFromFiles(t, c.storage)
	for _, a := range c.answers {
		c.secrets.wantAbsent(t, "the answer to "+a.where, a.head+a.body)
	}
}
