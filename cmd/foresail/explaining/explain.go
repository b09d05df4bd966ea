package explaining

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"foresail.dev/model/tail"
)

// Row is an input of the model, and what it contributed to the prediction.
type Row struct {
	Service string   `json:"service,omitempty"` // absent: of the whole application
	Channel string   `json:"channel"`           // the resource, or "latency" or "proposed"
	Now     *float64 `json:"now,omitempty"`
	Usual   *float64 `json:"usual,omitempty"` // its mean in training
	Unit    string   `json:"unit,omitempty"`
	P99     float64  `json:"p99_ms"`
	LogOdds float64  `json:"log_odds"`
}

// units of what the model looks at.
var units = map[string]string{string(tail.Rate): "requests/s", string(tail.Replicas): "", string(tail.Cores): "cores", string(tail.Used): "cores",
	string(tail.Memory): "MB", string(tail.InFlight): "requests", string(tail.Arrivals): "requests/s", string(tail.Wait): "share",
	"latency": "ms", "proposed": "cores"}

// Detail is what an explanation has besides its rows.
type Detail struct {
	Application string     `json:"application"`
	At          time.Time  `json:"at"`
	Model       About      `json:"model"`
	Predicted   Predicted  `json:"predicted"`
	Base        Base       `json:"base"`
	Objective   float64    `json:"objective_ms"` // the smallest, which latencies are scaled to
	Observed    *Observed  `json:"observed,omitempty"`
	Decided     []Change   `json:"decided"` // what was changed at this moment
	Held        *Predicted `json:"held,omitempty"`
	Outside     []string   `json:"outside"` // in what way this lies outside of what the model was trained on
}

// Predicted is a prediction as a result has it.
type Predicted struct {
	P90       float64 `json:"p90_ms"`
	P95       float64 `json:"p95_ms"`
	P98       float64 `json:"p98_ms"`
	P99       float64 `json:"p99_ms"`
	P999      float64 `json:"p99_9_ms"`
	Violation float64 `json:"violation_probability"`
	Cores     float64 `json:"cores"` // of all services
}

func predicted(p *tail.Prediction, cores []float64) Predicted {
	r := func(v float64) float64 { return math.Round(v*10) / 10 }
	out := Predicted{P90: r(p.Latency[0]), P95: r(p.Latency[1]), P98: r(p.Latency[2]), P99: r(p.Latency[3]), P999: r(p.Latency[4]), Violation: math.Round(p.Violation*1e4) / 1e4}
	for _, c := range cores {
		out.Cores += c
	}
	out.Cores = math.Round(out.Cores*1000) / 1000
	return out
}

// Base is what is predicted where every input is as usual, from which contributions count.
type Base struct {
	P99     float64 `json:"p99_ms"`
	LogOdds float64 `json:"log_odds"`
}

// Observed is what then happened.
type Observed struct {
	P99      *float64 `json:"p99_ms,omitempty"`   // of the next second
	Violated *bool    `json:"violated,omitempty"` // in one of the four seconds after it; absent where they were not all recorded
}

// Change is a service whose cores were changed at a moment, and what that was predicted to do: against leaving this service as it
// was, with all other changes made.
type Change struct {
	Service   string  `json:"service"`
	From      float64 `json:"cores_before"`
	To        float64 `json:"cores_after"`
	P99       float64 `json:"p99_ms"`
	Violation float64 `json:"violation_probability"`
}

// explain answers for a moment.
func explain(m *moment, model *tail.Model, about About) ([]Row, *Detail, error) {
	chosen, recorded := m.decided()
	held := m.held()
	if !recorded {
		chosen = held
	}
	e, err := model.Explain(m.past, chosen)
	if err != nil {
		return nil, nil, fmt.Errorf("at %s: %w", stamp(m.at), err)
	}
	p := model.Predictor()
	if err := p.Look(m.past); err != nil {
		return nil, nil, fmt.Errorf("at %s: %w", stamp(m.at), err)
	}
	candidates := [][]float64{chosen, held}
	var changed []int
	for i := range chosen {
		if math.Abs(chosen[i]-held[i]) >= 0.0005 {
			changed = append(changed, i)
			c := slices.Clone(chosen)
			c[i] = held[i]
			candidates = append(candidates, c)
		}
	}
	out := make([]tail.Prediction, len(candidates))
	p.Try(candidates, out)
	d := &Detail{Application: m.app.Name, At: m.at, Model: about, Predicted: predicted(&out[0], chosen), Objective: tail.Reference(m.app),
		Base: Base{round(e.P99.Base), round(e.LogOdds.Base)}, Decided: []Change{}, Outside: model.Outside(m.past, chosen)}
	if d.Outside == nil {
		d.Outside = []string{}
	}
	if len(changed) > 0 {
		h := predicted(&out[1], held)
		d.Held = &h
	}
	for k, i := range changed {
		q := &out[2+k]
		d.Decided = append(d.Decided, Change{Service: m.app.Services[i].Name, From: round(held[i]), To: round(chosen[i]),
			P99: round(out[0].Latency[tail.P99] - q.Latency[tail.P99]), Violation: math.Round((out[0].Violation-q.Violation)*1e4) / 1e4})
	}
	slices.SortStableFunc(d.Decided, func(a, b Change) int { return cmp.Compare(math.Abs(b.P99), math.Abs(a.P99)) })
	if len(m.next) > 0 {
		d.Observed = &Observed{P99: figure(m.next[0].Latency[tail.P99])}
		if yes, ok := m.violated(model); ok {
			d.Observed.Violated = &yes
		}
	}
	var rows []Row
	for _, v := range e.Drivers {
		rows = append(rows, Row{Service: v.Service, Channel: v.Channel, Now: figure(v.Now), Usual: figure(v.Usual), Unit: units[v.Channel], P99: round(v.P99), LogOdds: round(v.LogOdds)})
	}
	weight := func(r Row) float64 { return math.Abs(r.P99) }
	slices.SortStableFunc(rows, func(a, b Row) int { return cmp.Compare(weight(b), weight(a)) })
	return rows, d, nil
}

func round(v float64) float64 { return math.Round(v*1000) / 1000 }
