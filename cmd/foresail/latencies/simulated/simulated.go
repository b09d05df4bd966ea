// Package simulated makes rows to learn latency from: short runs of a simulated application, each at a load and with CPU of its own, of
// which what a cluster would show is kept, and nothing of what the simulator knows besides.
package simulated

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/load"
	"foresail.dev/model/latency/compose"
	"foresail.dev/model/latency/observed"
	"foresail.dev/model/latency/stream"
)

// Maker makes rows of one application.
type Maker struct {
	Blueprint *foresail.Blueprint
	Interval  time.Duration // of what a row covers; as long is passed over before
	CPU       [2]float64    // least and most that a service gets, times what its application file has, drawn evenly in logarithms
	Observed  observed.Config
}

// Run is one run: a row.
type Run struct {
	Rate      float64   // requests a second
	Mix       []float64 // shares, by endpoint
	Seed      uint64
	Blueprint *foresail.Blueprint // nil: the Maker's
}

// snapshot simulates a run.
func (m *Maker) snapshot(ctx context.Context, r Run) (*foresail.Snapshot, error) {
	bp := *m.Blueprint
	if r.Blueprint != nil {
		bp = *r.Blueprint
	}
	app := *bp.App
	app.Services = slices.Clone(app.Services)
	bp.App = &app
	rng := rand.New(rand.NewPCG(r.Seed, 0xc4))
	for i := range app.Services {
		s := &app.Services[i]
		s.Initial.CPU *= m.CPU[0] * math.Exp(rng.Float64()*math.Log(m.CPU[1]/m.CPU[0]))
		s.Initial, _ = s.Bounds.Clamp(s.Initial)
	}
	c, err := sim.New(sim.Config{Blueprint: &bp, Load: &load.Load{Curve: []load.Segment{{From: r.Rate}}, Mix: []load.MixPoint{{Shares: r.Mix}}}, Seed: r.Seed, Beat: m.Interval, Duration: 2 * m.Interval})
	if err != nil {
		return nil, err
	}
	if _, err := c.Next(ctx); err != nil {
		return nil, err
	}
	return c.Next(ctx)
}

// Sample is rows as they were observed.
type Sample struct {
	values [][]stream.Value
	calls  observed.Calls
	knobs  map[string][]string
}

// Make simulates runs, each a row; progress is told how many are done.
func (m *Maker) Make(ctx context.Context, runs []Run, progress func(int)) (*Sample, error) {
	s := &Sample{knobs: map[string][]string{}}
	for i, r := range runs {
		sn, err := m.snapshot(ctx, r)
		if err != nil {
			return nil, fmt.Errorf("run %d: %w", i+1, err)
		}
		s.add(m, sn)
		progress(i + 1)
	}
	return s, nil
}

func (s *Sample) add(m *Maker, sn *foresail.Snapshot) {
	s.calls.Add(sn)
	for i := range sn.Services {
		s.knobs[m.Blueprint.App.Services[i].Name] = observed.Knobs(&sn.Services[i])
	}
	s.values = append(s.values, observed.Values(m.Blueprint.App, sn, m.Observed))
}

// Rows is how many there are.
func (s *Sample) Rows() int { return len(s.values) }

// most is the share of rows that a service may lack without being left out.
const most = 0.02

// Services describes the application as it was observed in all samples together, for a target: without services that too few requests
// reached in more than a few rows of any sample, and without knobs that never change.
func (m *Maker) Services(target string, samples ...*Sample) ([]compose.Service, []string, error) {
	all := &Sample{knobs: map[string][]string{}}
	lacking := map[string]bool{}
	for _, s := range samples {
		all.values = append(all.values, s.values...)
		all.calls.Join(&s.calls)
		seen := map[string]int{}
		for _, row := range s.values {
			for _, v := range row {
				seen[v.Label]++
			}
		}
		for service, knobs := range s.knobs {
			if float64(seen[service+":"+compose.Rate]) < (1-most)*float64(len(s.values)) {
				lacking[service] = true
			}
			all.knobs[service] = knobs
		}
	}
	moves := map[string]bool{}
	first := map[string]float64{}
	for _, row := range all.values {
		for _, v := range row {
			if f, ok := first[v.Label]; ok && f != v.Number {
				moves[v.Label] = true
			} else if !ok {
				first[v.Label] = v.Number
			}
		}
	}
	for service := range all.knobs {
		all.knobs[service] = slices.DeleteFunc(slices.Clone(all.knobs[service]), func(k string) bool { return !moves[service+":"+k] })
		if lacking[service] {
			delete(all.knobs, service)
		}
	}
	return all.calls.Services(m.Blueprint.App, all.knobs, m.Observed, target)
}

// Join puts samples together, one after the other, as one stream of rows.
func Join(samples ...*Sample) (*stream.Joiner, error) {
	j := stream.New(stream.Config{})
	seq := int64(0)
	for _, s := range samples {
		for _, row := range s.values {
			for _, v := range row {
				v.Seq = seq
				if err := j.Add(v); err != nil {
					return nil, err
				}
			}
			seq++
		}
	}
	j.Flush()
	return j, nil
}
