// Package e2e tests the alertchat binary between a real Alertmanager and the
// stand-in for Google Chat: alerts are posted with amtool, and what counts is
// what stands in the spaces afterwards.
package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"alertchat/receiver/chat/chattest"
)

const (
	toOps = `route: {space: ops}`

	criticalToOncall = `
route:
  space: ops
  routes:
    - matchers: ['severity="critical"']
      space: oncall
`
)

func TestAlertsReachGoogleChat(t *testing.T) {
	p := findPrograms(t)
	tests := []struct {
		name string
		run  func(*testing.T, programs)
	}{
		{"an alert becomes a card and its end a reply", alertAndItsEnd},
		{"an Alertmanager that knows no notification reason is served alike", olderAlertmanager},
		{"an end that comes while the receiver is dead finds its thread", endWhileDead},
		{"what was accepted before a kill is told after it", killBeforeDelivery},
		{"a message whose answer was lost with the receiver stands there once", killAfterDelivery},
		{"a group of alerts is divided between two spaces", twoSpaces},
		{"reloads during traffic lose and repeat nothing", reloadDuringTraffic},
		{"a config with a fault changes nothing", faultyConfig},
		{"a terminated receiver ends well and goes on where it was", terminate},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, p)
		})
	}
}

func alertAndItsEnd(t *testing.T, p programs)    { alertAndItsEndFrom(t, p, newest) }
func olderAlertmanager(t *testing.T, p programs) { alertAndItsEndFrom(t, p, older) }

func alertAndItsEndFrom(t *testing.T, p programs, release string) {
	chat := startChat(t)
	receiver := startAlertchat(t, p, chat.config(toOps, "ops", "other"))
	am := startAlertmanager(t, p, release, receiver.address)

	am.fire(t, "DiskFull", "severity=critical", "instance=db-1")
	first := chat.wait(t, "ops", 1)[0]
	wantCard(t, first, "DiskFull", "db-1", "Something is up with DiskFull")

	am.end(t, "DiskFull", "severity=critical", "instance=db-1")
	end := chat.wait(t, "ops", 2)[1]
	wantCard(t, end, "DiskFull")
	wantReply(t, end, first)
	chat.wait(t, "other", 0)
	chat.wantNoRemarks(t)
	chat.wantNoSecret(t, receiver)
}

func endWhileDead(t *testing.T, p programs) {
	chat := startChat(t)
	receiver := startAlertchat(t, p, chat.config(toOps, "ops"))
	am := startAlertmanager(t, p, newest, receiver.address)

	am.fire(t, "DiskFull", "severity=critical")
	first := chat.wait(t, "ops", 1)[0]
	receiver.kill()
	am.end(t, "DiskFull", "severity=critical")
	am.waitFailedPost(t)
	receiver.start(t)
	wantReply(t, chat.wait(t, "ops", 2)[1], first)

	// The oldest goes first: with this one told, nothing else is on its way.
	am.fire(t, "Marker")
	if marker := chat.wait(t, "ops", 3)[2]; marker.Thread == first.Thread {
		t.Errorf("another group's alert stands in the thread %s too", first.Thread)
	}
	chat.wantNoRemarks(t)
}

func killBeforeDelivery(t *testing.T, p programs) {
	chat := startChat(t)
	receiver := startAlertchat(t, p, chat.config(toOps, "ops"))
	am := startAlertmanager(t, p, newest, receiver.address)

	chat.Inject(place("ops"), -1, chattest.Fault{Status: 503})
	am.fire(t, "DiskFull", "severity=critical")
	receiver.waitPage(t, "/metrics", `alertchat_notifications_received_total{code="200"} 1`)
	receiver.kill()
	am.end(t, "DiskFull", "severity=critical")
	am.waitFailedPost(t)
	chat.Heal(place("ops"))
	receiver.start(t)

	told := chat.wait(t, "ops", 2)
	wantCard(t, told[0], "DiskFull")
	wantReply(t, told[1], told[0])
	chat.wantNoRemarks(t)
	chat.wantNoSecret(t, receiver)
}

func killAfterDelivery(t *testing.T, p programs) {
	chat := startChat(t)
	receiver := startAlertchat(t, p, chat.config(toOps, "ops"))
	am := startAlertmanager(t, p, newest, receiver.address)

	chat.Inject(place("ops"), -1, chattest.Fault{Act: true, Drop: true})
	am.fire(t, "DiskFull", "severity=critical")
	chat.wait(t, "ops", 1)
	receiver.kill()
	chat.Heal(place("ops"))
	receiver.start(t)

	am.fire(t, "Marker")
	told := chat.waitFor(t, "ops", "Marker")
	if n := count(told, "DiskFull"); n != 1 {
		t.Errorf("%d messages tell the alert, want 1:\n%s", n, bodies(told))
	}
	chat.wantNoRemarks(t)
}

func twoSpaces(t *testing.T, p programs) {
	chat := startChat(t)
	receiver := startAlertchat(t, p, chat.config(criticalToOncall, "ops", "oncall"))
	am := startAlertmanager(t, p, newest, receiver.address)

	am.fire(t, "DiskFull", "severity=critical", "instance=db-1")
	am.fire(t, "DiskFull", "severity=warning", "instance=db-2")
	oncall, ops := chat.wait(t, "oncall", 1)[0], chat.wait(t, "ops", 1)[0]
	wantCard(t, oncall, "DiskFull", "db-1")
	wantCard(t, ops, "DiskFull", "db-2")
	if strings.Contains(string(oncall.Body), "db-2") || strings.Contains(string(ops.Body), "db-1") {
		t.Errorf("an alert stands in a space whose matchers it does not meet:\n%s\n%s", oncall.Body, ops.Body)
	}

	// The end of the one is nothing to the other.
	am.end(t, "DiskFull", "severity=critical", "instance=db-1")
	wantReply(t, chat.wait(t, "oncall", 2)[1], oncall)
	am.fire(t, "Marker")
	chat.waitFor(t, "ops", "Marker")
	chat.wait(t, "ops", 2)
	chat.wantNoRemarks(t)
}

func reloadDuringTraffic(t *testing.T, p programs) {
	chat := startChat(t)
	before := chat.config(toOps, "ops")
	after := chat.config(criticalToOncall, "ops", "oncall")
	receiver := startAlertchat(t, p, before)
	am := startAlertmanager(t, p, newest, receiver.address)

	const alerts = 6
	for i := range alerts {
		am.fire(t, fmt.Sprintf("Traffic%d", i), "severity=warning")
		receiver.reload(t, []string{after, before}[i%2])
	}
	receiver.reload(t, after)
	receiver.waitPage(t, "/api/v1/status", `"oncall"`)
	am.fire(t, "AfterAll", "severity=critical")
	wantCard(t, chat.wait(t, "oncall", 1)[0], "AfterAll")

	told := chat.wait(t, "ops", alerts)
	for i := range alerts {
		if n := count(told, fmt.Sprintf("Traffic%d", i)); n != 1 {
			t.Errorf("%d messages tell the alert %d, want 1:\n%s", n, i, bodies(told))
		}
	}
	chat.wantNoRemarks(t)
	chat.wantNoSecret(t, receiver)
}

func faultyConfig(t *testing.T, p programs) {
	chat := startChat(t)
	good := chat.config(toOps, "ops")
	receiver := startAlertchat(t, p, good)
	am := startAlertmanager(t, p, newest, receiver.address)

	receiver.reload(t, good+"surprise: true\n")
	receiver.waitPage(t, "/metrics", "alertchat_config_last_reload_successful 0")
	am.fire(t, "DiskFull")
	wantCard(t, chat.wait(t, "ops", 1)[0], "DiskFull")
	receiver.reload(t, good)
	receiver.waitPage(t, "/metrics", "alertchat_config_last_reload_successful 1")
	if !strings.Contains(receiver.output(), "surprise") {
		t.Errorf("nothing in the output names the fault:\n%s", receiver.output())
	}
	chat.wantNoSecret(t, receiver)
}

func terminate(t *testing.T, p programs) {
	chat := startChat(t)
	receiver := startAlertchat(t, p, chat.config(toOps, "ops"))
	am := startAlertmanager(t, p, newest, receiver.address)

	am.fire(t, "DiskFull")
	first := chat.wait(t, "ops", 1)[0]
	receiver.signal(t, syscall.SIGTERM)
	receiver.waitEnd(t)
	if code := receiver.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0\n%s", code, receiver.output())
	}
	receiver.start(t)
	am.end(t, "DiskFull")
	wantReply(t, chat.wait(t, "ops", 2)[1], first)
	chat.wantNoRemarks(t)
}
