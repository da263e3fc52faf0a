package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"alertchat/receiver/chat/chattest"
)

// hostile is a name of an alert that would be a script's beginning, were it
// not shown as text.
const hostile = `<img src=x onerror=alert(1)>`

// startRefused starts a receiver with two spaces, of which ops has refused a
// message of the hostile alert for good.
func startRefused(t *testing.T) (*googleChat, *flood) {
	t.Helper()
	chat := startChat(t)
	f := startFlood(t, buildAlertchat(t), chat, chat.config(toOps, "ops", "other"))
	chat.Inject(place("ops"), -1, chattest.Fault{Status: http.StatusBadRequest})
	f.fire(t, hostile)
	f.receiver.waitPage(t, "/metrics", `alertchat_dead_deliveries_total{reason="rejected",space="ops"} 1`)
	return chat, f
}

// fire delivers a notification of one alert.
func (f *flood) fire(t *testing.T, name string) {
	t.Helper()
	if err := f.deliver("", notification(name)); err != nil {
		t.Fatal(err)
	}
}

func TestStatusPageShowsWhatIsDeadAndRetriesItWithoutScripts(t *testing.T) {
	t.Parallel()
	chat, f := startRefused(t)
	page := startBrowser(t).open(t, "http://"+f.receiver.address+"/", withoutScripts())
	page.waitText("main", hostile)

	chat.Heal(place("ops"))
	page.run(chromedp.Click(chromedp.CSS("form button")))
	chat.wait(t, "ops", 1)
	if at := eval[string](page, "location.pathname"); at != "/" {
		t.Errorf("the button leads to %s, want the page", at)
	}
	if text := page.text("main"); !strings.Contains(text, hostile) {
		t.Errorf("the page lacks %q:\n%s", hostile, text)
	}
}
