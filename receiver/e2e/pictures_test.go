package e2e

import (
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"alertchat/receiver/chat/chattest"
)

var pictures = flag.String("pictures", "", "the folder for TestPictures, which is skipped without one")

// TestPictures makes the pictures of the README from the running program: `make
// pictures`.
func TestPictures(t *testing.T) {
	if *pictures == "" {
		t.Skip("make pictures makes them")
	}
	address := startPreview(t)
	// The window holds all messages: what is scrolled to is not where it was.
	p := openPreview(t, address+"#space=spaces%2FONCALL", view(440, 4000, false))
	p.waitText("#stream", "RESOLVED")
	eval[string](p, `document.querySelector('#stream .thread').style.padding = '12px'`)
	if hidden := eval[float64](p, `(({scrollHeight, clientHeight}) => scrollHeight - clientHeight)(document.querySelector('#stream'))`); hidden > 0 {
		t.Fatalf("%g pixels of the messages are hidden", hidden)
	}
	card, err := inPage(p, chromedp.Screenshot(chromedp.CSS("#stream .thread:first-child")))
	if err != nil {
		t.Fatal(err)
	}
	savePicture(t, "card", card)

	const width, height = 1180, 840
	p = openPreview(t, address+"#space=spaces%2FSHOP", view(width, height, false))
	p.waitText("#stream", "HighErrorRate")
	savePicture(t, "preview", p.screenshot(width, height, false))

	p = openPreview(t, address+"#templates", view(width, height, true))
	p.choose("#source", "spaces[ops].card.summary")
	p.choose("#trial-sample", "mixed")
	p.set("#text", "<b>{{ len .Alerts.Firing }} of {{ len .Alerts }}</b> services of {{ .CommonLabels.cluster }} fail:\n{{ range .Alerts.Firing }}{{ .Labels.service }}\n{{ end }}{{ .CommonLabels.Owner.Name }}")
	p.waitText("#text-faults", "line 3")
	savePicture(t, "templates", p.screenshot(width, height, true))

	savePicture(t, "status", statusPicture(t, width, height))
}

// statusPicture is of a status page with a space that fails, and with a message
// that was given up.
func statusPicture(t *testing.T, width, height int64) []byte {
	chat := startChat(t)
	f := startFlood(t, buildAlertchat(t), chat, chat.config(
		"route: {space: ops, routes: [{matchers: ['alertname=~\"Disk.*\"'], space: storage}]}", "ops", "storage"))
	deliver := func(name string) {
		if err := f.deliver("", notification(name)); err != nil {
			t.Fatal(err)
		}
	}
	deliver("HighErrorRate")
	chat.wait(t, "ops", 1)
	chat.Inject(place("ops"), 2, chattest.Fault{Status: http.StatusBadRequest})
	chat.Inject(place("storage"), -1, chattest.Fault{Status: http.StatusServiceUnavailable})
	deliver("CertificateExpires")
	deliver("DiskWillFill")
	page := startBrowser(t).open(t, "http://"+f.receiver.address+"/", view(width, height, false))
	page.waitText("#summary", "storage")
	page.waitText("main", "dead")
	return page.screenshot(width, height, false)
}

func savePicture(t *testing.T, name string, picture []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(*pictures, name+".png"), picture, 0o644); err != nil {
		t.Fatal(err)
	}
}
