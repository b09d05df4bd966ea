package explore_test

import (
	"context"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/load"
	"foresail.dev/loop"
	"foresail.dev/model/tail"
	"foresail.dev/plan/explore"
)

func app(t testing.TB, name string) *foresail.Blueprint {
	t.Helper()
	bp, err := appfile.ReadApp(name)
	if err != nil {
		t.Fatal(err)
	}
	return bp
}

func users(n float64) *load.Load {
	return &load.Load{Mode: load.Closed, Think: 100 * time.Millisecond, Curve: []load.Segment{{From: n}}, Mix: []load.MixPoint{{Shares: []float64{5, 80, 15}}}}
}

func rate(r float64) *load.Load {
	return &load.Load{Curve: []load.Segment{{From: r}}, Mix: []load.MixPoint{{Shares: []float64{600, 390, 5, 5}}}}
}

// explored is the steps of a run.
func explored(t testing.TB, bp *foresail.Blueprint, l *load.Load, c explore.Config, seed uint64, d time.Duration) (*explore.Manager, []tail.Step) {
	t.Helper()
	m, err := explore.New(bp.App, c, seed)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sim.New(sim.Config{Blueprint: bp, Load: l, Seed: seed, Duration: d, Beat: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	var out []tail.Step
	err = loop.Run(context.Background(), s, m, loop.Options{Mode: loop.Auto, Events: loop.Events{
		Observed: func(h *foresail.History, s *foresail.Snapshot) { out = append(out, tail.Observe(h.App(), s)) },
		Decided: func(d loop.Decision) {
			if d.Err != nil {
				t.Error(d.Err)
			}
		}}})
	if err != nil {
		t.Fatal(err)
	}
	return m, out
}

func TestShares(t *testing.T) {
	for _, c := range []struct {
		app   string
		loads []*load.Load
	}{{"social-network-28", []*load.Load{users(4), users(14), users(26), users(38), users(48)}}, {"hotel-reservation-17", []*load.Load{rate(300), rate(1350), rate(2700)}}} {
		bp := app(t, c.app)
		ref := tail.Reference(bp.App)
		for _, l := range c.loads {
			at := time.Now()
			_, steps := explored(t, bp, l, explore.Config{Warmup: 30}, 1, 600*time.Second)
			took := time.Since(at)
			steps = steps[30:]
			var below, near, above, violated, cores, used, rps float64
			var hist [8]int
			for i := range steps {
				s := &steps[i]
				p := s.Latency[tail.P99]
				k := int(p / ref * 4)
				hist[min(k, 7)]++
				switch {
				case p < 0.5*ref:
					below++
				case p < 1.1*ref:
					near++
				default:
					above++
				}
				if s.Violated(bp.App) {
					violated++
				}
				for _, v := range s.Services {
					cores += v.Cores
					used += v.Used * v.Replicas
				}
				rps += s.Rate
			}
			n := float64(len(steps))
			t.Logf("%s %v: %.0f rps: below %.2f near %.2f above %.2f violated %.2f; cores %.1f used %.1f; %v; %v; %.0f s/s", c.app, l.Curve[0].From, rps/n, below/n, near/n, above/n, violated/n, cores/n, used/n, hist, took, 600/took.Seconds())
		}
	}
}
