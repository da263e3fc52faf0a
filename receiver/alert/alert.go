// Package alert holds what Alertmanager posts to a webhook receiver: the
// payload, its decoding, and its division among spaces.
//
// The shapes are those of Alertmanager's webhook payload version 4, as sent by
// releases 0.25 to 0.34 (https://prometheus.io/docs/alerting/latest/configuration/#webhook_config).
package alert

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"
)

// Statuses of an alert and of a payload, as Alertmanager writes them.
const (
	Firing   = "firing"
	Resolved = "resolved"
)

// ReasonRepeat is the notification_reason of a notification that only repeats
// what was told before. Alertmanager sends reasons from 0.32 on.
const ReasonRepeat = "repeat interval elapsed"

// Errors of [Decode] for bodies that can never become a notification.
var (
	// ErrNotJSON says that a body is no JSON object of the payload's shape.
	ErrNotJSON = errors.New("not a JSON payload of Alertmanager")
	// ErrVersion says that the payload is of another version than 4.
	ErrVersion = errors.New("not version 4 of the payload")
	// ErrNoAlerts says that a payload has no alerts.
	ErrNoAlerts = errors.New("no alerts in the payload")
)

// Group names one alert group of Alertmanager. The group key alone is not
// unique: two receivers of one route tree share it.
type Group struct {
	Receiver string `json:"receiver"` // the receiver's name, without the quoting that the payload has
	Key      string `json:"key"`      // the payload's groupKey
}

// String returns the receiver and the key, for logs.
func (g Group) String() string { return g.Receiver + "/" + g.Key }

// Payload is one webhook request of Alertmanager. The embedded data is what
// Alertmanager's own templates see.
type Payload struct {
	template.Data

	Version string `json:"version"` // always "4"
	// GroupKey identifies the group for one receiver; see [Payload.Group].
	GroupKey string `json:"groupKey"`
	// TruncatedAlerts counts the alerts that Alertmanager left out because of
	// max_alerts. With any left out, Status says nothing about the group.
	TruncatedAlerts uint64 `json:"truncatedAlerts"`
}

// Notification is one payload's share for one space.
type Notification struct {
	ID         int64     // given by the store, never reused; 0 before that
	Space      string    // the configured space's name
	Group      Group     // the group that it tells of
	Unknown    string    // the name that was asked for, where that is no space of the config; usually empty
	ReceivedAt time.Time // when alertchat accepted it
	Body       []byte    // the share as JSON, as [Decode] takes it
}

// Decode reads a webhook body. The status of what it returns is derived from
// the alerts at hand and from TruncatedAlerts; a missing fingerprint is
// computed from the labels. Unknown fields are ignored: newer releases of
// Alertmanager add some.
//
// It fails with [ErrNotJSON], [ErrVersion] or [ErrNoAlerts].
func Decode(body []byte) (*Payload, error) {
	var p Payload
	if err := json.Unmarshal(body, &p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotJSON, err)
	}
	if p.Version != "4" {
		return nil, ErrVersion
	}
	if len(p.Alerts) == 0 {
		return nil, ErrNoAlerts
	}
	for i := range p.Alerts {
		a := &p.Alerts[i]
		if a.Status != Resolved {
			a.Status = Firing
		}
		if a.Fingerprint == "" {
			a.Fingerprint = fingerprint(a.Labels)
		}
	}
	p.Status = p.status()
	template.MarkRouteLabelsRendered(&p.Data)
	return &p, nil
}

// Group returns the group that the payload tells of.
func (p *Payload) Group() Group {
	return Group{Receiver: Unquote(p.Receiver), Key: p.GroupKey}
}

// Part returns the payload reduced to the alerts with the given indices, in
// the given order. Status, common labels and common annotations are computed
// anew; the group stays. The alerts' maps are shared with p.
func (p *Payload) Part(indices []int) *Payload {
	part := *p
	part.Alerts = make(template.Alerts, 0, len(indices))
	for _, i := range indices {
		part.Alerts = append(part.Alerts, p.Alerts[i])
	}
	part.Summarize()
	return &part
}

// Summarize computes the status, the common labels and the common annotations
// from the alerts that the payload has now.
func (p *Payload) Summarize() {
	p.Status = p.status()
	p.CommonLabels = common(p.Alerts, func(a *template.Alert) template.KV { return a.Labels })
	p.CommonAnnotations = common(p.Alerts, func(a *template.Alert) template.KV { return a.Annotations })
}

// status is that of the alerts at hand; a group with alerts left out is never
// resolved, whatever Alertmanager calls it (prometheus/alertmanager#3396).
func (p *Payload) status() string {
	if p.TruncatedAlerts > 0 {
		return Firing
	}
	if slices.ContainsFunc(p.Alerts, func(a template.Alert) bool { return a.Status == Firing }) {
		return Firing
	}
	return Resolved
}

// common returns the pairs that all alerts have.
func common(alerts template.Alerts, of func(*template.Alert) template.KV) template.KV {
	kv := template.KV{}
	if len(alerts) == 0 {
		return kv
	}
	maps.Copy(kv, of(&alerts[0]))
	for i := 1; i < len(alerts) && len(kv) > 0; i++ {
		other := of(&alerts[i])
		for k, v := range kv {
			if got, ok := other[k]; !ok || got != v {
				delete(kv, k)
			}
		}
	}
	return kv
}

// Unquote undoes what Alertmanager does to a receiver's name in a payload: it
// puts a backslash before each character that is special in a regular
// expression.
func Unquote(receiver string) string {
	if !strings.Contains(receiver, `\`) {
		return receiver
	}
	var b strings.Builder
	for i := 0; i < len(receiver); i++ {
		if receiver[i] == '\\' && i+1 < len(receiver) && strings.IndexByte(`\.+*?()|[]{}^$`, receiver[i+1]) >= 0 {
			i++
		}
		b.WriteByte(receiver[i])
	}
	return b.String()
}

// Earliest returns the earliest start among the alerts, or the zero time when
// none has one.
func Earliest(alerts []template.Alert) time.Time {
	var first time.Time
	for i := range alerts {
		if s := alerts[i].StartsAt; !s.IsZero() && (first.IsZero() || s.Before(first)) {
			first = s
		}
	}
	return first
}

func fingerprint(labels template.KV) string {
	set := make(model.LabelSet, len(labels))
	for k, v := range labels {
		set[model.LabelName(k)] = model.LabelValue(v)
	}
	return set.Fingerprint().String()
}
