package receiver_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"alertchat/receiver/chat/chattest"
)

// measured is a config with a space that works, one that refuses all, and one
// whose template fails.
const measured = `
defaults: {rate_limit: 100}
spaces:
  - {name: ops, webhook_url: "WEBHOOK(OPS)"}
  - {name: broken, webhook_url: "WEBHOOK(BROKEN)"}
  - {name: faulty, webhook_url: "WEBHOOK(FAULTY)", text: '{{ index .Alerts 7 }}'}
route: {space: ops}
`

// scraped drives a receiver through what its metrics count, and returns what
// /metrics shows at the end.
func scraped(t *testing.T) (text string) {
	t.Helper()
	r := newRig(t, measured, chattest.Options{})
	r.chat.Inject("spaces/BROKEN", -1, chattest.Fault{Status: http.StatusForbidden})
	r.chat.Inject("spaces/OPS", 1, chattest.Fault{Drop: true})
	for _, path := range []string{
		"/alertmanager", "/alertmanager/ops", "/alertmanager/broken", "/alertmanager/faulty",
		"/alertmanager/no-such-space", "/alertmanager/evil%22%0Aspace%7B",
	} {
		r.post(path, payload("team", "alertname=A instance=i1"))
	}
	for _, body := range []string{"not JSON", `{"version":"9"}`, ""} {
		resp, err := http.Post(r.server.URL+"/alertmanager", "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.read(resp)
	}
	r.until("all has happened", func() bool {
		_, text = r.get("/metrics")
		return strings.Contains(text, `alertchat_attempts_total{code="403",space="broken"}`) &&
			strings.Contains(text, `alertchat_template_failures_total{space="faulty"} 1`) &&
			strings.Contains(text, `alertchat_last_success_timestamp_seconds{space="ops"}`)
	})
	return text
}

func TestMetricsAreNamedAsPrometheusWants(t *testing.T) {
	text := scraped(t)
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	all, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 15 {
		t.Errorf("only %d metrics: %v", len(all), slices.Sorted(maps.Keys(all)))
	}
	for name, f := range all {
		if !strings.HasPrefix(name, "alertchat_") {
			t.Errorf("%s does not begin with alertchat_", name)
		}
		if help := f.GetHelp(); !strings.HasSuffix(help, ".") || help[:1] != strings.ToUpper(help[:1]) {
			t.Errorf("%s: the help is no sentence: %q", name, help)
		}
	}
}

// What anybody can post must not make series: neither names of spaces that do
// not exist nor anything of a payload.
func TestLabelsOfMetricsComeFromClosedSets(t *testing.T) {
	closed := map[string][]string{
		"space":  {"ops", "broken", "faulty"},
		"reason": {"duplicate", "late", "superseded", "unwanted", "rejected", "expired", "space_removed"},
		"code":   {"200", "400", "403", "413", "503", "timeout", "connection", "response", "config"},
	}
	seen := map[string]bool{}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	all, err := parser.TextToMetricFamilies(strings.NewReader(scraped(t)))
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range all {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				seen[l.GetName()] = true
				if !slices.Contains(closed[l.GetName()], l.GetValue()) {
					t.Errorf("%s has the label %s=%q, which is in no closed set", name, l.GetName(), l.GetValue())
				}
			}
		}
	}
	for label := range closed {
		if !seen[label] {
			t.Errorf("no metric has the label %s", label)
		}
	}
}
