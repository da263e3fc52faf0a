package e2e

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"alertchat/receiver/chat/chattest"
)

// hostileName is an alert's name that would be an element and run a script,
// were it not shown as text.
const hostileName = `<img src=x onerror=alert(1)>`

// statusPage is the status page of a receiver with the spaces other and ops, in
// a browser. Alerts go to ops, whose elements have ids that end with 1.
type statusPage struct {
	*page

	t        *testing.T
	chat     *googleChat
	receiver *flood
}

// openStatusPage opens the page after Google Chat has refused messages of the
// alerts for good.
func openStatusPage(t *testing.T, refused []string, prepare ...chromedp.Action[chromedp.Void]) *statusPage {
	t.Helper()
	chat := startChat(t)
	s := &statusPage{t: t, chat: chat, receiver: startFlood(t, buildAlertchat(t), chat, chat.config(toOps, "other", "ops"))}
	chat.Inject(place("ops"), -1, chattest.Fault{Status: http.StatusBadRequest})
	for i, name := range refused {
		s.fire(name)
		s.waitDead(i + 1)
	}
	chat.Heal(place("ops"))
	s.page = startBrowser(t).open(t, "http://"+s.receiver.receiver.address+"/", prepare...)
	return s
}

// count has the page count its requests in window.asked, and those without an
// answer in window.asking.
func (s *statusPage) count() {
	s.t.Helper()
	eval[bool](s.page, `(() => {
		const ask = window.fetch;
		window.asked = window.asking = 0;
		window.fetch = async (...args) => {
			window.asked++;
			window.asking++;
			try {
				const answer = await ask(...args);
				await answer.clone().text();
				return answer;
			} finally {
				setTimeout(() => window.asking--, 100); // the page reads it first
			}
		};
		return true;
	})()`)
}

// rest hides a page that counts its requests, and waits until it expects no answer.
func (s *statusPage) rest() {
	s.t.Helper()
	s.hide(true)
	eventually(s.t, "the page expects no answer", func() error {
		if n := eval[int](s.page, "window.asking"); n > 0 {
			return fmt.Errorf("it expects %d", n)
		}
		return nil
	})
}

// fire delivers a notification of an alert.
func (s *statusPage) fire(name string) {
	s.t.Helper()
	if err := s.receiver.deliver("", notification(name)); err != nil {
		s.t.Fatal(err)
	}
}

// waitDead waits until so many messages have been given up in all.
func (s *statusPage) waitDead(n int) {
	s.t.Helper()
	s.receiver.receiver.waitPage(s.t, "/metrics", fmt.Sprintf(`alertchat_dead_deliveries_total{reason="rejected",space="ops"} %d`, n))
}

// mark marks the document, and wantSame fails the test if another one has been
// loaded since.
func (s *statusPage) mark() { eval[bool](s.page, "window.marked = true") }

func (s *statusPage) wantSame() {
	s.t.Helper()
	if !eval[bool](s.page, "window.marked === true") {
		s.t.Error("the page was loaded anew")
	}
}

// hurry has the page look for news at once, as when its tab is shown again.
func (s *statusPage) hurry() {
	eval[bool](s.page, `document.dispatchEvent(new Event("visibilitychange"))`)
}

// waitUpdate waits until the page is of a later second than now.
func (s *statusPage) waitUpdate() {
	s.t.Helper()
	before := s.text("#now")
	eventually(s.t, "the page is a later one", func() error {
		s.hurry()
		if now := s.text("#now"); now == before {
			return fmt.Errorf("it is of %s", now)
		}
		return nil
	})
}

// wantTitle fails the test if the tab has another title.
func (s *statusPage) wantTitle(want string) {
	s.t.Helper()
	if title := eval[string](s.page, "document.title"); title != want {
		s.t.Errorf("the title is %q, want %q", title, want)
	}
}

// wantText fails the test if the hostile name is not shown as it is, or if it
// has made an element.
func (s *statusPage) wantText() {
	s.t.Helper()
	if text := s.text("main"); !strings.Contains(text, hostileName) {
		s.t.Errorf("the page lacks %q:\n%s", hostileName, text)
	}
	if n := eval[int](s.page, `document.querySelectorAll("img").length`); n > 0 {
		s.t.Errorf("the page has %d pictures, want none", n)
	}
}

func TestStatusPageKeepsItselfUpToDate(t *testing.T) {
	t.Parallel()
	s := openStatusPage(t, nil)
	s.waitText("header", "keeps itself up to date")
	s.waitText("#summary", "No notification has arrived yet.")
	s.mark()
	s.run(chromedp.Focus(chromedp.CSS("#row-1 a")))
	s.wantFirst("other")

	s.chat.Inject(place("ops"), -1, chattest.Fault{Status: http.StatusServiceUnavailable})
	s.fire(hostileName)
	s.waitText("#summary", "1 of 2 spaces is failing: ops.")
	s.wantFirst("ops")
	if focused := eval[string](s.page, `document.activeElement.closest("tr")?.id ?? "nothing"`); focused != "row-1" {
		t.Errorf("after its row has moved the focus is in %s, want row-1", focused)
	}
	s.wantTitle("1 failing · alertchat")
	s.waitText("#space-1", "Failing since")
	s.wantText()

	s.chat.Heal(place("ops"))
	s.chat.wait(t, "ops", 1)
	s.hurry()
	s.waitText("#summary", "No space is failing.")
	s.waitText("#latest-1", "done")
	s.wantTitle("alertchat")
	s.wantText()
	s.wantSame()
}

// wantFirst fails the test if another space stands first.
func (s *statusPage) wantFirst(space string) {
	s.t.Helper()
	for _, selector := range []string{"tbody th", "section[id^=space-] h2 bdi"} {
		if text := s.text(selector); text != space {
			s.t.Errorf("%s says %q, want %q", selector, text, space)
		}
	}
}

func TestStatusPageRestsWhileNobodySeesIt(t *testing.T) {
	t.Parallel()
	s := openStatusPage(t, nil)
	s.count()
	s.rest()
	before := eval[int](s.page, "window.asked")
	s.hurry()
	elapse(t, 7*time.Second) // more than the page's pause
	if n := eval[int](s.page, "window.asked") - before; n > 0 {
		t.Errorf("the page has asked %d times while it was hidden, want 0", n)
	}
	s.hide(false)
	s.waitUpdate()
}

func TestStatusPageLeavesReadersAlone(t *testing.T) {
	t.Parallel()
	s := openStatusPage(t, []string{"First", "Second"}, view(360, 400, false))
	s.mark()
	const reader = `[document.activeElement.id, getSelection().toString(), document.getElementById("dead-1").open].join(" ")`
	const top = `document.activeElement.getBoundingClientRect().top`
	eval[bool](s.page, `(() => {
		const button = document.querySelector("#dead-1 form button");
		button.focus({preventScroll: true});
		button.scrollIntoView({block: "center"});
		getSelection().selectAllChildren(document.querySelector("#dead-1 tbody bdi"));
		return true;
	})()`)
	before, height := eval[string](s.page, reader), eval[float64](s.page, top)
	if !strings.Contains(before, "retry-") || !strings.Contains(before, "FIRING") || eval[float64](s.page, "scrollY") == 0 {
		t.Fatalf("before anything is new the reader is at %q", before)
	}

	// What is new stands above.
	s.chat.Inject(place("ops"), -1, chattest.Fault{Status: http.StatusServiceUnavailable})
	s.fire("Third")
	s.waitText("#summary", "1 of 2 spaces is failing: ops.")
	if after := eval[string](s.page, reader); after != before {
		t.Errorf("the reader was at %q, and is at %q when something is new", before, after)
	}
	if now := eval[float64](s.page, top); math.Abs(now-height) > 2 {
		t.Errorf("what is read was %g px below the top, and is %g", height, now)
	}

	s.run(chromedp.Click(chromedp.CSS("#dead-1 summary")))
	s.waitUpdate()
	if eval[bool](s.page, `document.getElementById("dead-1").open`) {
		t.Error("what the reader has folded is open again")
	}
	s.wantSame()
}

func TestStatusPageRetriesInPlace(t *testing.T) {
	t.Parallel()
	s := openStatusPage(t, []string{hostileName, "Another"})
	s.mark()
	s.count()
	s.waitText("#dead-1", hostileName)
	s.wantTitle("2 given up · alertchat")
	s.run(chromedp.Click(chromedp.CSS("#dead-1 tbody tr:last-child button")))
	s.waitText("#dead-1 tbody tr:last-child", "Put back: it is tried again.")
	s.chat.wait(t, "ops", 1)
	s.hurry()
	s.waitText("#latest-1", hostileName)
	s.wantTitle("1 given up · alertchat")

	// Its row stays for a while, so that one can read what has become of it.
	eventually(t, "the row goes", func() error {
		s.hurry()
		if n := eval[int](s.page, `document.querySelectorAll("#dead-1 tbody tr").length`); n != 1 {
			return fmt.Errorf("there are %d rows", n)
		}
		return nil
	})

	// Somebody else has been quicker, of which the console tells too. The page
	// must not hear of it before the click.
	s.allow("409")
	s.rest()
	id := strings.TrimPrefix(eval[string](s.page, `document.querySelector("#dead-1 button").id`), "retry-")
	s.receiver.want(http.StatusOK, "/api/v1/deliveries/"+id+"/retry", "")
	s.run(chromedp.Click(chromedp.CSS("#dead-1 button")))
	s.waitText("#dead-1 tbody", "It was not put back: the delivery is not dead")
	s.hide(false)
	s.chat.wait(t, "ops", 2)
	s.wantText()
	s.wantSame()
}

func TestStatusPageIsCompleteWithoutScripts(t *testing.T) {
	t.Parallel()
	s := openStatusPage(t, []string{hostileName}, withoutScripts())
	s.waitText("header", "load it again")
	s.waitText("#summary", "1 message was given up.")
	s.wantText()
	s.run(chromedp.Click(chromedp.CSS("#dead-1 button")))
	s.chat.wait(t, "ops", 1)
	eventually(t, "the page shows what was sent", func() error {
		if at := eval[string](s.page, "location.pathname"); at != "/" {
			t.Fatalf("the button leads to %s, want the page", at)
		}
		s.run(chromedp.Click(chromedp.CSS("header a")), chromedp.WaitReady(chromedp.CSS("footer")))
		if text := s.text("main"); !strings.Contains(text, "Deliveries to ops, the latest first: 1") || !strings.Contains(text, "done") {
			return errors.New(text)
		}
		return nil
	})
	s.wantText()
}

func TestStatusPageSaysThatItIsNotConnected(t *testing.T) {
	t.Parallel()
	s := openStatusPage(t, []string{"Refused"})
	s.mark()
	s.allow("ERR_CONNECTION_REFUSED")
	s.receiver.receiver.kill()
	s.hurry()
	s.waitText("#offline", "Not connected since 20")
	s.run(chromedp.Click(chromedp.CSS("#dead-1 button")))
	s.waitText("#dead-1 tbody", "It was not put back: there is no connection.")
	s.receiver.receiver.start(t)
	s.hurry()
	eventually(t, "the page is connected again", func() error {
		if !eval[bool](s.page, `document.getElementById("offline").hidden`) {
			return errors.New("it says that it is not")
		}
		return nil
	})
	s.wantSame()
}
