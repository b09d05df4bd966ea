package explore

import (
	"fmt"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
)

// stage is an application of which a test says, second by second, what was seen; what is planned comes into effect at once,
// unless it is refused.
type stage struct {
	t       testing.TB
	app     *foresail.App
	m       *Manager
	h       *foresail.History
	have    []foresail.Allocation
	at      time.Time
	refused bool
	hidden  foresail.Signals
	plan    *foresail.Plan
	err     error
}

// seen is one second.
type seen struct {
	p99  float64   // ms
	rate float64   // requests/s; 0: 100
	used []float64 // utilisation by service; what is missing is a tenth
}

// shop has services with up to 4, 16 and 128 cores; the last has 16 replicas.
func shop(objective time.Duration) *foresail.App {
	b := foresail.Bounds{MinReplicas: 1, MaxReplicas: 1, MinCPU: 0.05, MaxCPU: 4}
	big, wide := b, b
	big.MaxCPU = 16
	wide.MinReplicas, wide.MaxReplicas, wide.MaxCPU = 16, 16, 8
	return &foresail.App{Name: "shop",
		Services: []foresail.Service{{Name: "cart", Bounds: b, Initial: foresail.Allocation{Replicas: 1, CPU: 2}},
			{Name: "front", Bounds: big, Initial: foresail.Allocation{Replicas: 1, CPU: 4}},
			{Name: "filter", Bounds: wide, Initial: foresail.Allocation{Replicas: 16, CPU: 1}}},
		Endpoints: []foresail.Endpoint{{Name: "buy", Objective: &foresail.Objective{Percentile: 99, Latency: objective}}}}
}

func newStage(t testing.TB, c Config, seed uint64) *stage {
	app := shop(500 * time.Millisecond)
	m, err := New(app, c, seed)
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, app: app, m: m, at: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	s.h = foresail.NewHistory(app, m.Needs())
	for i := range app.Services {
		s.have = append(s.have, app.Services[i].Initial)
	}
	return s
}

// second lets one pass, and gives what was decided after it, by service; "" where nothing was asked for.
func (s *stage) second(v seen) []string {
	s.t.Helper()
	snap := &foresail.Snapshot{Start: s.at, End: s.at.Add(time.Second), Has: foresail.SignalEndpoints &^ s.hidden, Services: make([]foresail.ServiceStats, len(s.app.Services))}
	s.at = snap.End
	for i := range snap.Services {
		st := &snap.Services[i]
		st.Has = (foresail.SignalAllocation | foresail.SignalCPU) &^ s.hidden
		st.Allocation = s.have[i]
		st.CPU = 0.1 * s.have[i].Cores()
		if i < len(v.used) {
			st.CPU = v.used[i] * s.have[i].Cores()
		}
	}
	if v.rate == 0 {
		v.rate = 100
	}
	l := sketch.New()
	l.AddN(v.p99/1000, v.rate)
	e := foresail.EndpointStats{Arrivals: v.rate, Requests: v.rate, Latency: l}
	if v.p99 > s.app.Endpoints[0].Objective.Latency.Seconds()*1000 {
		e.Late = v.rate
	}
	snap.Endpoints = []foresail.EndpointStats{e}
	s.h.Add(snap)
	return s.decide()
}

func (s *stage) decide() []string {
	s.plan, s.err = s.m.Decide(s.h)
	out := make([]string, len(s.app.Services))
	if s.plan == nil {
		return out
	}
	for _, c := range s.plan.Changes {
		out[c.Service] = c.Reason.Rule
		if !s.refused {
			s.have[c.Service] = c.To
		}
	}
	return out
}

// cores are what the services have.
func (s *stage) cores() (out []float64) {
	for _, a := range s.have {
		out = append(out, a.Cores())
	}
	return out
}

// warm lets the seconds at the maximum pass.
func (s *stage) warm() {
	for range s.m.c.Warmup {
		s.second(seen{p99: 50})
	}
}

// still never draws anything at random and never holds.
var still = Config{Random: -1, Hold: -1}

func same(a, b []float64) bool {
	return fmt.Sprintf("%.3f", a) == fmt.Sprintf("%.3f", b)
}
