package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	traffic "github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is a Chromium of a test's own, without a window and with a fresh
// profile.
type browser struct {
	ctx context.Context // of its first tab, which stays empty
}

// startBrowser starts Chromium. Without it the test is skipped, or fails in CI.
func startBrowser(t testing.TB) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%v: .ci/chromium has to run first", err)
		}
		t.Skipf("%v: run .ci/chromium (or make tools) for the browser tests", err)
	}
	var command *exec.Cmd
	// It ends when it is told to, below, and not with the test's context: that
	// would leave its children behind.
	ctx, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()),
		chromedp.ExecPath(path),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.Headless,
		chromedp.NoSandbox, // which root cannot have
		chromedp.DisableGPU,
		chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-breakpad", true),
		chromedp.Flag("disable-dev-shm-usage", true), // which is small in containers
		chromedp.Flag("force-color-profile", "srgb"),
		chromedp.ModifyCmdFunc(func(c *exec.Cmd) {
			command = c
			c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		}),
	)
	// What chromedp has to say is of events that it does not know.
	ctx, _ = chromedp.NewContext(ctx, chromedp.WithErrorf(func(string, ...any) {}))
	t.Cleanup(func() {
		ending, cancel := context.WithTimeoutCause(ctx, patience, errors.New("chromium does not end"))
		defer cancel()
		if err := chromedp.Cancel(ending); err != nil {
			t.Errorf("end chromium: %v", err)
		}
		stop()
		if command != nil && command.Process != nil {
			// An error means that the whole group has ended by itself.
			_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		}
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	return &browser{ctx: ctx}
}

// page is a tab with a page of alertchat. The test fails if the page writes to
// the console, or asks anything of another origin than its own.
type page struct {
	t      testing.TB
	ctx    context.Context
	origin string

	mu      sync.Mutex // guards those below: the browser tells of events on a goroutine of its own
	allowed []string
	faults  []string
}

// open opens a page in a new tab. What is done before it loads, such as the
// choice of a width, comes in prepare.
func (b *browser) open(t testing.TB, address string, prepare ...chromedp.Action[chromedp.Void]) *page {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	p := &page{t: t, origin: u.Scheme + "://" + u.Host + "/"}
	var cancel context.CancelFunc
	p.ctx, cancel = chromedp.NewContext(b.ctx)
	t.Cleanup(func() {
		cancel()
		for _, fault := range p.found() {
			t.Errorf("%s: %s", address, fault)
		}
	})
	if err := chromedp.Listen(p.ctx, p.watch); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	p.run(append(prepare, chromedp.Navigate(address))...)
	return p
}

// allow lets the page write what contains a text to the console, such as that
// a server which the test has stopped does not answer.
func (p *page) allow(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.allowed = append(p.allowed, text)
}

// found returns what the page has done until now that it must not do.
func (p *page) found() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.faults)
}

// forgive forgets it.
func (p *page) forgive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = nil
}

// watch notes what a page must not do.
func (p *page) watch(event any) {
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		var said []string
		for _, arg := range e.Args {
			said = append(said, string(arg.Value)+arg.Description)
		}
		p.note("console.%s: %s", e.Type, strings.Join(said, " "))
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if thrown := e.ExceptionDetails.Exception; thrown != nil {
			text += " " + thrown.Description
		}
		p.note("exception: %s", text)
	case *log.EventEntryAdded:
		p.note("%s in the console: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL)
	case *traffic.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, p.origin) && !strings.HasPrefix(e.Request.URL, "data:") {
			p.note("a request for %s", e.Request.URL)
		}
	}
}

// note notes a fault, unless the test has ended and alertchat with it.
func (p *page) note(format string, args ...any) {
	if p.t.Context().Err() != nil {
		return
	}
	fault := fmt.Sprintf(format, args...)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, text := range p.allowed {
		if strings.Contains(fault, text) {
			return
		}
	}
	p.faults = append(p.faults, fault)
}

// run runs actions, one after the other.
func (p *page) run(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if _, err := inPage(p, chromedp.Steps(actions...)); err != nil {
		p.t.Fatal(err)
	}
}

// inPage runs one action within patience and returns its value.
func inPage[T any](p *page, action chromedp.Action[T]) (T, error) {
	ctx, cancel := context.WithTimeoutCause(p.ctx, patience, errors.New("the browser takes too long"))
	defer cancel()
	return chromedp.Run(ctx, action)
}

// eval returns the value of an expression, also where the page itself may run
// no script.
func eval[T any](p *page, format string, args ...any) T {
	p.t.Helper()
	value, err := inPage(p, chromedp.Evaluate[T](fmt.Sprintf(format, args...)))
	if err != nil {
		p.t.Fatalf("%s: %v", fmt.Sprintf(format, args...), err)
	}
	return value
}

// text returns the text of the first element that a selector finds, as it is
// shown, and fails the test if there is none.
func (p *page) text(selector string) string {
	p.t.Helper()
	return eval[string](p, `document.querySelector(%q).innerText`, selector)
}

// waitText waits until the text of the first element that a selector finds
// contains another one.
func (p *page) waitText(selector, text string) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("%s contains %q", selector, text), func() error {
		// While the tab goes from one page to the next there is no document.
		shown, err := inPage(p, chromedp.Evaluate[*string](fmt.Sprintf(`document.querySelector(%q)?.innerText`, selector)))
		switch {
		case err != nil:
			return err
		case shown == nil:
			return errors.New("there is no such element")
		case !strings.Contains(*shown, text):
			return fmt.Errorf("it says:\n%s", *shown)
		}
		return nil
	})
}

// hide makes a page believe that its tab is hidden, or seen again.
func (p *page) hide(hidden bool) {
	p.t.Helper()
	eval[bool](p, `(() => {
		Object.defineProperty(document, 'hidden', {value: %t, configurable: true});
		return document.dispatchEvent(new Event('visibilitychange'));
	})()`, hidden)
}

// withoutScripts keeps a page from running any script, as some people do.
func withoutScripts() chromedp.Action[chromedp.Void] {
	return command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

// command makes an action of a command of which only the success matters.
func command[P any](c cdp.Command[P, cdp.Empty], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// view makes the window as large as given and light or dark.
func view(width, height int64, dark bool) chromedp.Action[chromedp.Void] {
	theme := map[bool]string{false: "light", true: "dark"}[dark]
	return chromedp.Steps(
		chromedp.EmulateViewport(width, height),
		command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}},
		}),
	)
}

// screenshot returns a picture of the whole page, as a PNG, in a window as
// large as given, light or dark.
func (p *page) screenshot(width, height int64, dark bool) []byte {
	p.t.Helper()
	p.run(view(width, height, dark))
	picture, err := inPage(p, chromedp.FullScreenshot(100))
	if err != nil {
		p.t.Fatal(err)
	}
	return picture
}

// TestBrowserTellsWhatPagesMustNotDo opens a page that does all of it, so that
// the silence of other pages says something.
func TestBrowserTellsWhatPagesMustNotDo(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(elsewhere.Close)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `<!DOCTYPE html><title>Misbehaved</title><link rel="icon" href="data:,"><p>text</p><script>
			console.log("a message", 42);
			document.querySelector("p").textContent = "script";
			new Image().src = "%s/picture";
			eval("throw new Error('an exception')");
		</script>`, elsewhere.URL)
	}))
	t.Cleanup(server.Close)
	b := startBrowser(t)

	p := b.open(t, server.URL)
	p.allow("404")
	p.waitText("p", "script")
	for _, want := range []string{`console.log: "a message" 42`, "exception: Uncaught Error: an exception", "a request for " + elsewhere.URL + "/picture"} {
		eventually(t, "the browser tells of "+want, func() error {
			if faults := p.found(); !slices.ContainsFunc(faults, func(f string) bool { return strings.HasPrefix(f, want) }) {
				return fmt.Errorf("it tells of %q", faults)
			}
			return nil
		})
	}
	p.forgive()

	p = b.open(t, server.URL, withoutScripts())
	p.waitText("p", "text")
	if faults := p.found(); len(faults) > 0 {
		t.Errorf("without scripts the browser tells of %q", faults)
	}
	if light, dark := p.screenshot(360, 640, false), p.screenshot(360, 640, true); !isPNG(light) || !isPNG(dark) {
		t.Errorf("pictures begin with %.8q and %.8q, want PNGs", light, dark)
	}
}

func isPNG(picture []byte) bool { return strings.HasPrefix(string(picture), "\x89PNG\r\n\x1a\n") }
