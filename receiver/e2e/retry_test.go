package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"alertchat/receiver/alert"
	"alertchat/receiver/chat/chattest"
	"alertchat/receiver/httpapi"
)

// TestDeadDeliveryIsSentOnceMore has Chat refuse a message for good, and people
// send it again once that is mended.
func TestDeadDeliveryIsSentOnceMore(t *testing.T) {
	t.Parallel()
	chat := startChat(t)
	f := startFlood(t, buildAlertchat(t), chat, chat.config(toOps, "ops"))
	chat.Inject(place("ops"), -1, chattest.Fault{Status: http.StatusBadRequest})
	body, err := json.Marshal(wave(7, alert.Firing, 0))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.deliver("", string(body)); err != nil {
		t.Fatal(err)
	}
	f.receiver.waitPage(t, "/metrics", `alertchat_dead_deliveries_total{reason="rejected",space="ops"} 1`)
	chat.wait(t, "ops", 0)
	dead := f.deliveries("dead")
	if len(dead) != 1 || dead[0].Space != "ops" || dead[0].Reason != "rejected" || !strings.Contains(dead[0].Title, "HighErrorRate") {
		t.Fatalf("listed as dead: %+v, want one of HighErrorRate in ops", dead)
	}
	retry := fmt.Sprintf("/api/v1/deliveries/%d/retry", dead[0].ID)
	f.receiver.waitPage(t, "/", strings.TrimPrefix(retry, "/"))

	// While nothing is mended it dies again, and stands there once.
	f.want(http.StatusOK, retry, "")
	f.receiver.waitPage(t, "/metrics", `alertchat_dead_deliveries_total{reason="rejected",space="ops"} 2`)
	if dead = f.deliveries("dead"); len(dead) != 1 {
		t.Fatalf("listed as dead after a retry that failed: %+v, want one", dead)
	}
	retry = fmt.Sprintf("/api/v1/deliveries/%d/retry", dead[0].ID)

	chat.Heal(place("ops"))
	f.want(http.StatusForbidden, retry, "https://evil.example.com")
	f.receiver.waitPage(t, "/api/v1/deliveries?state=dead", `"status":"dead"`)
	f.want(http.StatusOK, retry, "http://"+f.receiver.address)
	told := chat.wait(t, "ops", 1)
	if text := string(told[0].Body); !strings.Contains(text, service(7)) {
		t.Errorf("the message does not name the group:\n%s", text)
	}
	f.receiver.waitPage(t, "/api/v1/deliveries?state=done", `"status":"done"`)
	if dead := f.deliveries("dead"); len(dead) != 0 {
		t.Errorf("listed as dead after it was sent: %+v", dead)
	}
	f.want(http.StatusConflict, retry, "")

	// The group goes on as ever: nothing is told twice.
	body, err = json.Marshal(wave(7, alert.Resolved, 0))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.deliver("", string(body)); err != nil {
		t.Fatal(err)
	}
	chat.waitFor(t, "ops", "RESOLVED")
	chat.wait(t, "ops", 2)
	chat.wantNoRemarks(t)
	chat.wantNoSecret(t, f.receiver)
}

// deliveries returns those that are in a state.
func (f *flood) deliveries(state string) []httpapi.Delivery {
	f.t.Helper()
	page, err := get(f.t.Context(), "http://"+f.receiver.address+"/api/v1/deliveries?state="+state)
	if err != nil {
		f.t.Fatal(err)
	}
	var list struct{ Deliveries []httpapi.Delivery }
	if err := json.Unmarshal([]byte(page), &list); err != nil {
		f.t.Fatal(err)
	}
	return list.Deliveries
}

// want posts to a path, as from a page of an origin if one is given, and fails
// the test if the answer has another status.
func (f *flood) want(status int, path, origin string) {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodPost, "http://"+f.receiver.address+path, http.NoBody)
	if err != nil {
		f.t.Fatal(err)
	}
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	answer, err := f.client.Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if answer.StatusCode != status || err != nil {
		f.t.Fatalf("POST %s from %q answers %s %s %v, want %d", path, origin, answer.Status, said, err, status)
	}
}
