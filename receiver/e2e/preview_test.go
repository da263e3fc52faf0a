package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// startPreview runs `alertchat preview` and returns the address of its page.
func startPreview(t testing.TB, args ...string) string {
	t.Helper()
	p := startProcess(t, buildAlertchat(t), append([]string{"preview", "--web.listen-address=127.0.0.1:0"}, args...)...)
	var address string
	eventually(t, "the samples are delivered", func() error {
		output := p.output()
		found := regexp.MustCompile(`(http://127\.0\.0\.1:[0-9]+)/preview/`).FindString(output)
		if found == "" || !strings.Contains(output, "All samples are posted.") {
			return fmt.Errorf("it prints %q", output)
		}
		address = found
		return nil
	})
	return address
}

// openPreview opens the page and waits until it shows what there is.
func openPreview(t testing.TB, address string, prepare ...chromedp.Action[chromedp.Void]) *page {
	t.Helper()
	p := startBrowser(t).open(t, address, prepare...)
	eventually(t, "the page is ready", func() error {
		if !eval[bool](p, `document.body.dataset.ready === 'true'`) {
			return errors.New("it is not")
		}
		return nil
	})
	return p
}

// postTo posts a payload to the preview as Alertmanager does.
func postTo(t testing.TB, page string, body []byte) {
	t.Helper()
	url := strings.TrimSuffix(page, "/preview/") + "/alertmanager"
	resp, err := http.Post(url, "application/json", bytes.NewReader(body)) //nolint:gosec // G107: it is that of the test's own server
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s answers %s", url, resp.Status)
	}
}

// oneAlert is a payload of one alert.
func oneAlert(t testing.TB, name, status string, labels, annotations map[string]string) []byte {
	t.Helper()
	all := map[string]string{"alertname": name}
	maps.Copy(all, labels)
	ends := "0001-01-01T00:00:00Z"
	if status == "resolved" {
		ends = time.Now().UTC().Format(time.RFC3339)
	}
	body, err := json.Marshal(map[string]any{
		"version": "4", "groupKey": "{}:{alertname=" + strconv.Quote(name) + "}", "receiver": "test", "status": status,
		"groupLabels": map[string]string{"alertname": name}, "commonLabels": all, "commonAnnotations": annotations,
		"externalURL": "https://alertmanager.example.org",
		"alerts": []map[string]any{{
			"status": status, "labels": all, "annotations": annotations, "fingerprint": "0123456789abcdef",
			"startsAt": time.Now().Add(-time.Minute).UTC().Truncate(time.Minute).Format(time.RFC3339), "endsAt": ends,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// set writes into a text area as somebody who pastes.
func (p *page) set(selector, text string) {
	p.t.Helper()
	eval[bool](p, `(() => { const e = document.querySelector(%q); e.value = %q; return e.dispatchEvent(new Event('input', {bubbles: true})); })()`, selector, text)
}

// choose chooses an entry of a list, once it is there.
func (p *page) choose(selector, value string) {
	p.t.Helper()
	eventually(p.t, selector+" has the entry "+value, func() error {
		if !eval[bool](p, `[...document.querySelector(%q).options].some((o) => o.value === %q)`, selector, value) {
			return errors.New("it has not")
		}
		return nil
	})
	eval[bool](p, `(() => { const e = document.querySelector(%q); e.value = %q; return e.dispatchEvent(new Event('change', {bubbles: true})); })()`, selector, value)
}

func TestPreviewShowsAnAlertFromItsBeginningToItsEnd(t *testing.T) {
	t.Parallel()
	address := startPreview(t)
	p := openPreview(t, address)
	if spaces := p.text("#space-list"); !strings.Contains(spaces, "ops") || !strings.Contains(spaces, "on-call") || !strings.Contains(spaces, "shop") {
		t.Errorf("the spaces are %q", spaces)
	}
	p.waitText("#stream", "Watchdog") // a sample, there from the beginning

	postTo(t, address, oneAlert(t, "QueueGrows", "firing", map[string]string{"severity": "warning"}, map[string]string{"summary": "The queue grows"}))
	p.waitText("#stream .thread:last-child article", "QueueGrows")
	p.waitText("#stream .thread:last-child article .chat-message", "The queue grows")
	postTo(t, address, oneAlert(t, "QueueGrows", "resolved", map[string]string{"severity": "warning"}, map[string]string{"summary": "The queue grows"}))
	p.waitText("#stream .thread:last-child article + article", "RESOLVED")
	p.waitText("#arrival", "QueueGrows")

	// What fires after its end begins anew, whenever a button is pressed.
	p.choose("#sample", "bare")
	before := eval[int](p, `document.querySelectorAll('#stream article').length`)
	for i, button := range []string{"firing", "resolved", "firing", "resolved", "firing"} {
		p.run(chromedp.Click(chromedp.CSS("#post button[value=" + button + "]")))
		eventually(t, button+" is told", func() error {
			if now := eval[int](p, `document.querySelectorAll('#stream article').length`); now <= before+i {
				return fmt.Errorf("there are %d messages, after %d", now, before+i)
			}
			return nil
		})
	}

	// One that is out of sight is told, and a button leads there.
	eval[int](p, `document.querySelector('#stream').scrollTop = 0`)
	p.run(chromedp.Click(chromedp.CSS("#post button[value=resolved]")))
	p.waitText("#newer:not([hidden])", "New message")
	p.run(chromedp.Click(chromedp.CSS("#newer")))
	if eval[int](p, `document.querySelector('#stream').scrollTop`) == 0 {
		t.Error("the button does not lead to the message")
	}

	// Another space tells what is new in it, and an edit takes the message's place.
	p.choose("#sample", "group")
	p.run(chromedp.Click(chromedp.CSS("#post button[value=firing]")))
	p.waitText("#posted", "Posted.")
	p.waitText("#space-list li:last-child .unread", "1")
	p.run(chromedp.Click(chromedp.CSS("#space-list li:last-child a")))
	p.waitText("#space-name", "shop")
	p.waitText("#stream .thread:last-child", "HighErrorRate")
	messages := eval[int](p, `document.querySelectorAll('#stream article').length`)
	p.run(chromedp.Click(chromedp.CSS("#post button[value=resolved]")))
	p.waitText("#stream", "RESOLVED")
	if after := eval[int](p, `document.querySelectorAll('#stream .edited').length`); after == 0 || messages == 0 {
		t.Errorf("no message of %d was edited", messages)
	}

	// An edit does not take the focus away.
	labels, annotations := map[string]string{"namespace": "shop"}, map[string]string{"runbook_url": "https://runbooks.example.org/Cart"}
	postTo(t, address, oneAlert(t, "CartSlow", "firing", labels, annotations))
	p.waitText("#stream .thread:last-child", "CartSlow")
	p.run(chromedp.Focus(chromedp.CSS("#stream .thread:last-child a")))
	postTo(t, address, oneAlert(t, "CartSlow", "resolved", labels, annotations))
	p.waitText("#stream .thread:last-child .edited", "Edited")
	if at := eval[string](p, `document.activeElement.href ?? document.activeElement.tagName`); at != annotations["runbook_url"] {
		t.Errorf("after an edit the focus is at %s", at)
	}

	// Whoever comes back sees what was there.
	p.run(chromedp.Reload())
	p.waitText("#space-name", "shop")
	p.waitText("#stream", "HighErrorRate")
}

func TestPreviewTriesTemplatesWhileTheyAreWritten(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	config, file := filepath.Join(folder, "config.yml"), filepath.Join(folder, "ours.tmpl")
	writeFile(t, file, `{{ define "chat.title" }}from a file{{ end }}`)
	writeFile(t, config, `
templates: [ours.tmpl]
spaces: [{name: ops, webhook_url: 'https://chat.googleapis.com/v1/spaces/A/messages?key=k&token=t', rate_limit: 20}]
route: {space: ops}
`)
	p := openPreview(t, startPreview(t, "--config.file="+config)+"#templates")
	p.waitText("#result", "from a file")
	p.waitText("#size", "of 32,000 bytes")

	// A change is shown while it is written.
	p.set("#text", `{{ define "chat.title" }}mine: {{ .Status }}{{ end }}`)
	p.waitText("#result", "mine: firing")
	// A fault is told with its line, which is marked, and a click leads there.
	p.set("#text", "{{ define \"chat.title\" }}\n\n  {{ .Oops }}{{ end }}")
	p.waitText("#text-faults", "line 3, column 6")
	p.waitText("#text-faults", "Oops")
	if marked := p.text(".gutter mark"); marked != "3" {
		t.Errorf("line %q is marked, want 3", marked)
	}
	p.run(chromedp.Click(chromedp.CSS("#text-faults button")))
	if at := eval[int](p, `document.querySelector('#text').selectionStart`); at != 32 || !eval[bool](p, `document.activeElement.id === 'text'`) {
		t.Errorf("the click leads to character %d, want 32", at)
	}
	p.set("#text", "{{ define \"chat.title\" }}\n{{ if }}{{ end }}")
	p.waitText("#text-faults", "line 2, column 1")
	p.waitText("#size", "last result")
	// One that goes on for ever is told, too.
	p.set("#text", `{{ define "chat.title" }}{{ template "chat.title" . }}{{ end }}`)
	p.waitText("#text-faults", "recursion")
	// So is what is wrong with the payload.
	p.set("#payload", "{\n  \"version\": \"4\",\n oops\n}")
	p.waitText("#payload-faults", "line 3")
	p.choose("#trial-sample", "group")
	p.set("#text", `{{ define "chat.title" }}{{ len .Alerts }} alerts{{ end }}`)
	p.waitText("#result", "3 alerts")
	// A link that Chat would not take is mended, which is told.
	p.choose("#source", "spaces[ops].card.buttons[0].url")
	p.set("#text", "/relative")
	p.waitText("#mended", "no absolute http(s) URL")
	p.waitText("#result", "3 alerts") // what is being written of the file counts, too
	p.waitText("#source", "ours.tmpl (changed)")

	// The file on disk is watched, and does not take what is being written.
	p.choose("#source", file)
	if text := eval[string](p, `document.querySelector('#text').value`); !strings.Contains(text, "len .Alerts") {
		t.Errorf("what was being written is %q after another source was", text)
	}
	p.run(chromedp.Click(chromedp.CSS("#discard")))
	p.waitText("#result", "from a file")
	writeFile(t, file, `{{ define "chat.title" }}newer{{ end }}`)
	p.waitText("#result", "newer")
	p.set("#text", `{{ define "chat.title" }}being written{{ end }}`)
	p.waitText("#result", "being written")
	writeFile(t, file, `{{ define "chat.title" }}newest{{ end }}`)
	p.waitText("#source-changed", "changed on disk")
	if text := p.text("#result"); !strings.Contains(text, "being written") {
		t.Errorf("the change on disk took the place of what is being written:\n%s", text)
	}
	p.run(chromedp.Click(chromedp.CSS("#discard")))
	p.waitText("#result", "newest")
	writeFile(t, file, `{{ define "chat.title" }}`)
	p.waitText("#notices", "What is on disk cannot be used")
	p.waitText("#notices", "ours.tmpl:1")
	p.waitText("#text-faults", "line 1, column 1")
}

// hostileTexts would be markup, links or scripts, were they not shown as text.
var hostileTexts = []string{
	`<img src=x onerror=alert(1)>`, `<script>document.title='taken'</script>`, `"><svg onload=alert(2)>`, `</template><b>bold</b>`,
	`<a href="javascript:alert(3)">x</a>`, `&lt;i&gt;`, `<users/all>`, "{{ .ExternalURL }}",
}

func TestPreviewShowsHostileTextAsText(t *testing.T) {
	t.Parallel()
	address := startPreview(t)
	p := openPreview(t, address)
	for i, text := range hostileTexts {
		labels := map[string]string{"number": strconv.Itoa(i), "label": text}
		postTo(t, address, oneAlert(t, text, "firing", labels, map[string]string{"summary": text, "runbook_url": "javascript:alert(4)"}))
		p.waitText("#stream .thread:last-child .chat-message", text)
	}
	made := eval[string](p, `[...document.querySelectorAll('#stream img, #stream script, #stream iframe, #stream [onerror], #stream [onload], #stream a[href^="javascript"]')].map((e) => e.outerHTML).join('\n')`)
	if made != "" || eval[string](p, `document.title`) != "alertchat preview" {
		t.Errorf("hostile text became %s", made)
	}
	// In the editor, too: the payload, and a template's own markup.
	p.run(chromedp.Navigate(address + "#templates"))
	p.set("#payload", string(oneAlert(t, hostileTexts[0], "firing", nil, nil)))
	p.waitText("#result", hostileTexts[0])
	p.choose("#source", "spaces[ops].card.summary")
	p.set("#text", `{{ raw "<img src=x onerror=alert(5)><b>bold</b>" }}<script>alert(6)</script>`)
	p.waitText("#result", "bold")
	if made := eval[int](p, `document.querySelectorAll('#result img, #result script').length`); made != 0 {
		t.Errorf("a template's own markup became %d elements of HTML", made)
	}
}

func TestPreviewWorksFromTheKeyboard(t *testing.T) {
	t.Parallel()
	p := openPreview(t, startPreview(t))
	focused := func() string {
		return eval[string](p, `(document.activeElement.textContent || document.activeElement.id).trim().slice(0, 20)`)
	}
	// All that can be operated is reached by Tab, in the order in which it stands.
	var way []string
	for range 12 {
		p.run(chromedp.KeyEvent(kb.Tab))
		if eval[bool](p, `document.activeElement.tagName === 'SELECT'`) {
			way = append(way, eval[string](p, `document.activeElement.id`))
		} else {
			way = append(way, focused())
		}
	}
	want := []string{"Spaces", "Templates", "Status page", "theme", "width", "opswebhook", "on-callwebhook", "shopapp", "sample", "Fire", "Resolve"}
	if !slices.Equal(way[:len(want)], want) {
		t.Errorf("Tab leads along %q, want %q", way, want)
	}
	p.run(chromedp.Focus(chromedp.CSS("#space-list li:nth-child(2) a")), chromedp.KeyEvent(kb.Enter))
	p.waitText("#space-name", "on-call")
	if at := focused(); !strings.HasPrefix(at, "on-call") {
		t.Errorf("after Enter the focus is at %q", at)
	}
	p.run(chromedp.Focus(chromedp.CSS("#post button[value=resolved]")), chromedp.KeyEvent(kb.Enter))
	p.waitText("#posted", "Posted.")
	// Every control has a name, and each of the page's texts that change are told.
	unnamed := eval[string](p, `[...document.querySelectorAll('button, a, select, textarea, input')].filter((e) =>
		!(e.ariaLabel || e.getAttribute('aria-labelledby') || e.textContent.trim() || e.labels?.length)).map((e) => e.outerHTML).join('\n')`)
	if unnamed != "" {
		t.Errorf("without a name: %s", unnamed)
	}
	for _, id := range []string{"arrival", "posted", "own-posted", "told", "notices"} {
		if role := eval[string](p, `document.getElementById(%q).getAttribute('role')`, id); role != "status" {
			t.Errorf("changes of %s are not told: its role is %q", id, role)
		}
	}
}

func TestPreviewDrawsInTheThemeAndWidthThatIsChosen(t *testing.T) {
	t.Parallel()
	p := openPreview(t, startPreview(t), view(1280, 900, false))
	colour := func() string {
		return eval[string](p, `getComputedStyle(document.querySelector('#stream')).backgroundColor`)
	}
	light := colour()
	p.choose("#theme", "dark")
	if dark := colour(); dark == light {
		t.Errorf("light and dark are both %s", dark)
	}
	p.choose("#width", "phone")
	if width := eval[int](p, `document.querySelector('#stream').getBoundingClientRect().width`); width > 362 {
		t.Errorf("a phone is %d pixels wide", width)
	}
	p.run(chromedp.Reload())
	p.waitText("#stream", "Watchdog")
	if theme := eval[string](p, `document.querySelector('#stream').dataset.theme + document.body.dataset.width`); theme != "darkphone" {
		t.Errorf("after a reload it is %q", theme)
	}
	// Nothing is wider than the page, on a phone either.
	for _, width := range []int64{360, 900} {
		for _, hash := range []string{"#spaces", "#templates"} {
			p.run(view(width, 900, false))
			eval[string](p, `location.hash = %q`, hash)
			if wide := eval[int](p, `document.documentElement.scrollWidth`); int64(wide) > width {
				t.Errorf("at %d pixels %s is %d wide", width, hash, wide)
			}
		}
	}
}

// TestPreviewTakesNoConnectionInTheBackground opens more tabs than a browser has
// connections for one origin.
func TestPreviewTakesNoConnectionInTheBackground(t *testing.T) {
	t.Parallel()
	address, b := startPreview(t), startBrowser(t)
	var first *page
	for range 8 {
		p := b.open(t, address)
		p.waitText("#stream", "Watchdog")
		p.hide(true)
		if first == nil {
			first = p
		}
	}
	// What came meanwhile is there when the tab is seen again.
	postTo(t, address, oneAlert(t, "QueueGrows", "firing", nil, nil))
	first.hide(false)
	first.waitText("#stream", "QueueGrows")
}

func TestPreviewDrawsASpaceWhereItIsSeen(t *testing.T) {
	t.Parallel()
	configFile := filepath.Join(t.TempDir(), "config.yml")
	writeFile(t, configFile, "spaces:\n"+previewSpace("full")+previewSpace("empty")+"route: {space: full}\n")
	address := startPreview(t, "--config.file="+configFile)
	atEnd := func(p *page) error {
		if !eval[bool](p, `((s) => s.scrollTop > 0 && s.scrollHeight - s.scrollTop - s.clientHeight < 80)(document.querySelector('#stream'))`) {
			return errors.New("it stands elsewhere")
		}
		return nil
	}

	p := openPreview(t, address+"#templates", view(900, 600, false))
	postTo(t, address, oneAlert(t, "WhileInTemplates", "firing", nil, nil))
	p.waitText("#arrival", "WhileInTemplates")
	p.run(chromedp.Click(chromedp.CSS("#to-spaces")))
	p.waitText("#stream .thread:last-child", "WhileInTemplates")
	eventually(t, "the newest message is seen", func() error { return atEnd(p) })

	// A burst leaves the focus in the list.
	p.run(chromedp.Focus(chromedp.CSS("#space-list li:last-child a")))
	for i := range 3 {
		postTo(t, address, oneAlert(t, fmt.Sprintf("Burst%d", i), "firing", nil, nil))
	}
	p.waitText("#stream", "Burst2")
	if at := p.text(":focus"); !strings.Contains(at, "empty") {
		t.Errorf("the focus is at %q", at)
	}

	// A space without a message says so, also to whoever opens its address, and
	// one that leaves the config gives way to another.
	p = openPreview(t, address+"#space=spaces%2Fempty")
	p.waitText("#stream", "No message yet.")
	writeFile(t, configFile, "spaces:\n"+previewSpace("full")+"route: {space: full}\n")
	p.waitText("#space-name", "full")
	p.waitText("#stream", "WhileInTemplates")
}

// previewSpace is a space of a config for the preview.
func previewSpace(name string) string {
	return "  - {name: " + name + ", webhook_url: 'https://chat.googleapis.com/v1/spaces/" + name + "/messages?key=k&token=t'}\n"
}
