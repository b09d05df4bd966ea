package random

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/load"
	"foresail.dev/sketch"
)

// run simulates an application with its initial allocation, all endpoints alike, and returns how many requests there were and
// were late, and the latencies, by endpoint.
func run(t *testing.T, bp *foresail.Blueprint, rate float64, d time.Duration) (requests, late []float64, latency []*sketch.Sketch) {
	t.Helper()
	c, err := sim.New(sim.Config{Blueprint: bp, Load: &load.Load{Curve: []load.Segment{{From: rate}}}, Seed: 1, Duration: d})
	if err != nil {
		t.Fatal(err)
	}
	n := len(bp.Entries)
	requests, late, latency = make([]float64, n), make([]float64, n), make([]*sketch.Sketch, n)
	for i := range latency {
		latency[i] = sketch.New()
	}
	for {
		s, err := c.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return requests, late, latency
		}
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range s.Endpoints {
			requests[i] += e.Requests
			late[i] += e.Late
			latency[i].Merge(e.Latency)
		}
	}
}

func sum(v []float64) float64 { return mean(v) * float64(len(v)) }

// What is drawn can be managed: idle, each endpoint's p99 is between a twentieth and two fifths of its objective; the
// initial allocation carries the rate that it is for; and it does not carry four times as much.
func TestWhatApplicationsCarry(t *testing.T) {
	for _, c := range []Config{{Services: 20, Seed: 1}, {Services: 80, Seed: 2}, {Services: 40, Seed: 3, Rate: 500}} {
		bp := draw(t, c)
		n := float64(len(bp.Entries))
		rate := c.Rate
		if rate == 0 {
			rate = RatePerEndpoint * n
		}
		_, _, idle := run(t, bp, 2*n, 30*time.Second)
		for i, e := range bp.App.Endpoints {
			if p99, o := idle[i].Quantile(0.99), e.Objective.Latency.Seconds(); !(p99 > o/20 && p99 < 0.4*o) && o > 0.011 {
				t.Errorf("%s: idle, %s has a p99 of %.1f ms: its objective is %s", bp.App.Name, e.Name, p99*1000, e.Objective)
			}
		}
		if requests, late, _ := run(t, bp, rate, 10*time.Second); sum(late) > 0.01*sum(requests) {
			t.Errorf("%s: at %g requests/s %.0f of %.0f are late", bp.App.Name, rate, sum(late), sum(requests))
		}
		if requests, late, _ := run(t, bp, 4*rate, 5*time.Second); c.Rate > 0 && sum(late) < 0.1*sum(requests) {
			t.Errorf("%s: at %g requests/s only %.0f of %.0f are late", bp.App.Name, 4*rate, sum(late), sum(requests))
		}
	}
}
