package outlet

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"foresail.dev/access"
)

// AlertName is the label alertname of what is sent to Alertmanager.
const AlertName = "ForesailViolationForeseen"

// Alertmanager posts alerts with version 2 of its API: one that fires while the danger lasts and is resolved when it is over. Where no
// more is heard of a danger, Alertmanager resolves it by itself after Lasts.
type Alertmanager struct {
	url, name string
	client    *http.Client
	headers   map[string]string
	labels    map[string]string
	page      string
	now       func() time.Time
}

// Lasts is how long an alert fires without being told of again.
const Lasts = 5 * time.Minute

// NewAlertmanager checks an address, to which /api/v2/alerts is added. Labels are added to those of each alert, and page is where
// people see more; empty: nowhere.
func NewAlertmanager(url string, client *http.Client, headers map[string]access.Secret, labels map[string]string, page string) (*Alertmanager, error) {
	u, shown, err := address(url)
	if err != nil {
		return nil, err
	}
	return &Alertmanager{url: u.JoinPath("api/v2/alerts").String(), name: "alertmanager " + shown, client: client, headers: access.Revealed(headers), labels: labels, page: page, now: time.Now}, nil
}

// Name implements Sender.
func (a *Alertmanager) Name() string { return a.name }

// alert is a postableAlert of the API.
type alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
	Generator   string            `json:"generatorURL,omitempty"`
}

// Send implements Sender.
func (a *Alertmanager) Send(ctx context.Context, m *Message) error {
	body, err := json.Marshal([]alert{a.alert(m)})
	if err != nil {
		return &Refused{err.Error()}
	}
	return post(ctx, a.client, a.url, a.headers, body)
}

// alert says a message in labels, which tell alerts apart and so are the same when it is over, and annotations.
func (a *Alertmanager) alert(m *Message) alert {
	// Alertmanager goes by its own clock, and a simulation's may be ahead of it or behind.
	now := a.now()
	out := alert{Labels: map[string]string{"alertname": AlertName, "severity": "warning"}, StartsAt: m.At, EndsAt: now.Add(Lasts), Generator: a.page}
	if out.StartsAt.After(now) {
		out.StartsAt = now
	}
	for name, v := range a.labels {
		out.Labels[name] = v
	}
	out.Labels["application"], out.Labels["service"] = m.Application, m.Service
	if m.Resource != "" {
		out.Labels["resource"] = m.Resource
	}
	if m.Status == Over {
		out.EndsAt = now
	}
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }
	out.Annotations = map[string]string{"summary": m.Summary(), "description": m.Text, "action": m.Action, "probability": number(m.Probability), "share": number(m.Share), "within": seconds(m.Within).String()}
	if m.Evidence != "" {
		out.Annotations["evidence"] = m.Evidence
	}
	return out
}
