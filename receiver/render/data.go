package render

import (
	"maps"
	"slices"
	"time"

	amtemplate "github.com/prometheus/alertmanager/template"

	"alertchat/receiver/alert"
	"alertchat/receiver/incident"
)

// Data is what templates see: the fields of Alertmanager's data, so that its
// template files work as they are, and more. The alerts stand worst first. The
// fields are not embedded, because text/template finds those five times as fast.
type Data struct {
	Receiver           string            `json:"receiver"`            // as Alertmanager sends it: quoted for a regular expression
	Status             string            `json:"status"`              // "firing" as long as one alert fires, else "resolved"
	Alerts             amtemplate.Alerts `json:"alerts"`              // worst first
	NotificationReason string            `json:"notification_reason"` // "first notification", "repeat interval elapsed" and so on, from Alertmanager 0.32 on; else empty
	GroupLabels        amtemplate.KV     `json:"groupLabels"`         // those that Alertmanager groups by
	CommonLabels       amtemplate.KV     `json:"commonLabels"`        // those that all the alerts share
	CommonAnnotations  amtemplate.KV     `json:"commonAnnotations"`   // those that all the alerts share
	RouteLabels        amtemplate.KV     `json:"routeLabels"`         // those of Alertmanager's route, from its 0.34 on
	ExternalURL        string            `json:"externalURL"`         // Alertmanager's own address

	GroupKey        string   `json:"groupKey"`        // what tells the group from others of its receiver
	TruncatedAlerts uint64   `json:"truncatedAlerts"` // what Alertmanager left out because of max_alerts
	Space           string   `json:"space"`           // the configured space's name
	Incident        Incident `json:"incident"`
	Part            int      `json:"part"`     // which of Parts this message is, from 1
	Parts           int      `json:"parts"`    // in how many messages the alerts are told
	Omitted         int      `json:"omitted"`  // alerts that no part shows
	Severity        string   `json:"severity"` // the worst one of what fires
	// Changed are the alerts that fired or ended since the group was last told.
	Changed amtemplate.Alerts `json:"-"`
	// Alert is the alert at hand in card.alert, and empty elsewhere.
	Alert amtemplate.Alert `json:"-"`
}

// Incident is what templates see of an incident.
type Incident struct {
	StartedAt time.Time `json:"startedAt"` // when its first alert began
	Repeat    int       `json:"repeat"`    // 0, or which repeat this is
}

// How much of an alert's labels and annotations is shown. No more than 30,000
// bytes fit into a message.
const (
	maxAlertBytes  = 16_000
	tightBytes     = 2_000 // where that was still too long
	maxAlertLabels = 400
)

// newData makes the data of one telling. What is shared by all alerts is kept
// within bounds here; the alerts, when they are shown.
func newData(space string, t *incident.Telling) *Data {
	d := &Data{
		Space:    space,
		Incident: Incident{StartedAt: t.StartedAt, Repeat: t.Repeat},
		Part:     1, Parts: 1,
	}
	if t.Payload == nil {
		d.Status = alert.Firing
		return d
	}
	p := t.Payload
	d.Receiver, d.Status, d.NotificationReason = p.Receiver, p.Status, p.NotificationReason
	d.GroupLabels = bounded(p.GroupLabels, maxAlertBytes)
	d.CommonLabels = bounded(p.CommonLabels, maxAlertBytes)
	d.CommonAnnotations = bounded(p.CommonAnnotations, maxAlertBytes)
	d.RouteLabels, d.ExternalURL = p.RouteLabels, p.ExternalURL
	d.GroupKey, d.TruncatedAlerts = p.GroupKey, p.TruncatedAlerts
	d.Severity = cut(t.Severity(), 100, 300)
	d.Alerts = worstFirst(p.Alerts)
	for i := range p.Alerts {
		if i < len(t.Changed) && t.Changed[i] {
			d.Changed = append(d.Changed, p.Alerts[i])
		}
	}
	if d.Incident.StartedAt.IsZero() {
		d.Incident.StartedAt = alert.Earliest(p.Alerts)
	}
	return d
}

// with returns a copy of the data for one alert, its texts and the common ones
// kept to a number of bytes.
func (d *Data) with(a amtemplate.Alert, bytes int) *Data {
	one := *d
	a.Labels = bounded(a.Labels, bytes)
	a.Annotations = bounded(a.Annotations, bytes)
	one.Alert = a
	return &one
}

// tight returns a copy of the data whose common texts are short.
func (d *Data) tight() *Data {
	short := *d
	short.CommonLabels = bounded(d.CommonLabels, tightBytes)
	short.CommonAnnotations = bounded(d.CommonAnnotations, tightBytes)
	return &short
}

// bounded returns pairs that take no more than a number of bytes: the longest
// values are cut to one length, which is as long as that allows. Of too many
// pairs, the first by name are kept.
func bounded(kv amtemplate.KV, bytes int) amtemplate.KV {
	total := 0
	for k, v := range kv {
		total += len(k) + len(v)
	}
	if total <= bytes && len(kv) <= maxAlertLabels {
		return kv
	}
	names := slices.Sorted(maps.Keys(kv))
	names = names[:min(len(names), maxAlertLabels)]
	lengths := make([]int, 0, len(names))
	left := bytes
	for _, k := range names {
		left -= min(len(k), bytes/len(names))
		lengths = append(lengths, len(kv[k]))
	}
	limit := evenLength(lengths, left)
	short := make(amtemplate.KV, len(names))
	for _, k := range names {
		v := kv[k]
		if len(v) > limit {
			head := clip(v, max(limit-len(ellipsis), 0))
			v = trimJoined(head, v[len(head):]) + ellipsis
		}
		short[cut(k, maxAlertBytes/len(names), maxAlertBytes/len(names)+len(ellipsis))] = v
	}
	return short
}

// evenLength returns the length to which the longest of the given lengths must
// be cut so that their sum is at most total.
func evenLength(lengths []int, total int) int {
	slices.Sort(lengths)
	for i, n := range lengths {
		rest := len(lengths) - i
		if n*rest > total {
			return max(total, 0) / rest
		}
		total -= n
	}
	return maxValue
}
