package profile_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/compare/traced"
	"foresail.dev/model/callgraph/dist"
	"foresail.dev/model/callgraph/profile"
	"foresail.dev/sketch"
)

// trial is an application whose replicas change each other minute, by chance, under a mix of requests that shifts: containers of
// cpu cores each, loaded to between a fifth and three quarters.
type trial struct {
	app  string
	cpu  float64
	seed uint64
}

// guess is a prediction of own time for a minute that the profiler had not seen yet, at the load that it turned out to have,
// and what was observed.
type guess struct {
	valid    profile.Validity
	moved    bool    // replicas came or went in the minute or the one before
	p95, p99 float64 // predicted over observed
	last     float64 // the 95th percentile of the minute before over the observed one
}

// run plays a number of minutes and gives the guesses, those of fewer than 2,000 own times left out.
// lines are those of whole services by Derm's line of rates, as published.
func (tr trial) run(t testing.TB, minutes int) (out, lines []guess) {
	bp, err := appfile.ReadApp(tr.app)
	if err != nil {
		t.Fatal(err)
	}
	for i := range bp.App.Services {
		s := &bp.App.Services[i]
		bp.Services[i].Start = 5 * time.Second
		cores := s.Initial.Cores()
		s.Initial.CPU, s.Initial.Replicas = tr.cpu, max(int(math.Ceil(cores/tr.cpu)), 1)
		s.Bounds.MinCPU, s.Bounds.MaxCPU, s.Bounds.MinReplicas, s.Bounds.MaxReplicas = tr.cpu, tr.cpu, 1, 60
	}
	l, err := appfile.ReadLoad("../../../examples/loads/"+tr.app+"/shifting.yaml", bp.App)
	if err != nil {
		t.Fatal(err)
	}
	c, err := traced.New(sim.Config{Blueprint: bp, Load: l, Seed: tr.seed, Beat: time.Second, Duration: time.Duration(minutes) * time.Minute},
		foresail.Needs{Required: foresail.SignalShapes})
	if err != nil {
		t.Fatal(err)
	}
	p := profile.New(profile.Config{})
	rng := rand.New(rand.NewPCG(tr.seed, 7))
	last := map[string]float64{}
	was := make([]int, len(bp.App.Services))
	for m := range minutes {
		var parts []*foresail.Snapshot
		for range 60 {
			s, err := c.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, s)
		}
		s := foresail.Merge(parts...)
		seen := map[string]float64{}
		totals := make([]*sketch.Sketch, len(s.Services))
		for i := range s.Shapes {
			sh := &s.Shapes[i]
			for k, v := range sh.Form.Visits {
				own := sh.Own[k]
				name := fmt.Sprint(sh.Form.Key(), k)
				if own.Count() < 2000 {
					continue
				}
				st := &s.Services[v.Service]
				if st.Ready == 0 {
					continue
				}
				load := st.Arrivals / 60 / float64(st.Ready)
				if totals[v.Service] == nil {
					totals[v.Service] = sketch.New()
				}
				totals[v.Service].Merge(own)
				stage, valid := p.VisitStage(sh.Form, k, load)
				seen[name] = own.Quantile(0.95)
				if valid.Basis != profile.BasisUnknown && last[name] > 0 && m >= 5 {
					out = append(out, guess{valid: valid, moved: was[v.Service] != st.Ready, p95: stage.Quantile(0.95) / seen[name],
						p99: stage.Quantile(0.99) / own.Quantile(0.99), last: last[name] / seen[name]})
				}
			}
		}
		for i, own := range totals {
			id := foresail.ServiceID(i)
			l, ok := p.Line(id)
			if own == nil || !ok || m < 5 {
				continue
			}
			st := &s.Services[i]
			sat, _ := p.Saturation(id)
			rate := l.Published.Rate(st.Arrivals/60/float64(st.Ready), sat.Load)
			e := dist.Exponential(l.Shift, rate)
			lines = append(lines, guess{moved: was[i] != st.Ready, p95: e.Quantile(0.95) / own.Quantile(0.95), p99: e.Quantile(0.99) / own.Quantile(0.99)})
		}
		last = seen
		p.Observe(bp.App, s)
		plan := &foresail.Plan{At: s.End}
		for i := range s.Services {
			st := &s.Services[i]
			was[i] = st.Ready
			aim := 0.2 + 0.55*rng.Float64()
			n := min(max(int(math.Ceil(st.CPU/60/tr.cpu/aim)), 1), 60)
			if m%2 == 1 {
				plan.Changes = append(plan.Changes, foresail.Change{Service: foresail.ServiceID(i), To: foresail.Allocation{Replicas: n, CPU: tr.cpu, Memory: st.Allocation.Memory}})
			}
		}
		if err := c.Apply(t.Context(), plan); err != nil {
			t.Fatal(err)
		}
	}
	return out, lines
}

// summary is what guesses were worth.
type summary struct {
	n                                   int
	p95, p99, last                      float64 // medians of |predicted over observed - 1|
	within10, within10p99, lastWithin10 float64 // shares of guesses within a tenth
	optimistic                          float64 // share of guesses whose p95 was more than a tenth too low
}

func sum(all []guess, of func(guess) bool) (s summary) {
	var p95, p99, last []float64
	for _, g := range all {
		if !of(g) {
			continue
		}
		s.n++
		p95, p99, last = append(p95, math.Abs(g.p95-1)), append(p99, math.Abs(g.p99-1)), append(last, math.Abs(g.last-1))
		if g.p95 < 0.9 {
			s.optimistic++
		}
	}
	if s.n == 0 {
		return s
	}
	worth := func(v []float64) (median, near float64) {
		slices.Sort(v)
		i, _ := slices.BinarySearch(v, 0.1)
		return v[len(v)/2], float64(i) / float64(len(v))
	}
	s.p95, s.within10 = worth(p95)
	s.p99, s.within10p99 = worth(p99)
	s.last, s.lastWithin10 = worth(last)
	s.optimistic /= float64(s.n)
	return s
}

func (s summary) String() string {
	return fmt.Sprintf("n %d: p95 %.1f %% (within 10 %%: %.2f, optimistic: %.2f), p99 %.1f %% (%.2f), last value %.1f %% (%.2f)",
		s.n, 100*s.p95, s.within10, s.optimistic, 100*s.p99, s.within10p99, 100*s.last, s.lastWithin10)
}

// The three applications of examples/derm.yaml.
var trials = []trial{{"hotel-reservation", 0.2, 1}, {"social-network", 0.2, 1}, {"media", 0.5, 1}}

// Own times of visits in minutes, and at loads, that were not seen before are predicted about as well as minutes repeat each other.
func TestOwnTimesOfMinutesToCome(t *testing.T) {
	all, lines := trial{"hotel-reservation", 0.2, 3}.run(t, 10)
	s := sum(all, func(g guess) bool { return g.valid.Basis == profile.BasisSeen && !g.moved })
	t.Log(s)
	if s.n < 20 || s.p95 > 0.08 || s.within10 < 0.7 || s.optimistic > 0.15 {
		t.Errorf("between loads that were seen: %v", s)
	}
	s = sum(all, func(g guess) bool { return g.valid.Basis == profile.BasisBeyond })
	t.Log("beyond: ", s)
	if s.optimistic > 0.25 {
		t.Errorf("beyond loads that were seen: %v", s)
	}
	if len(lines) == 0 {
		t.Error("no line")
	}
}

// BenchmarkHeldOut makes the table of docs/results/derm.md, "Profiles": with -benchtime 1x, for it has 40 minutes of each application.
func BenchmarkHeldOut(b *testing.B) {
	for _, tr := range trials {
		b.Run(tr.app, func(b *testing.B) {
			for range b.N {
				all, lines := tr.run(b, 40)
				for _, basis := range []profile.Basis{profile.BasisSeen, profile.BasisBelow, profile.BasisBeyond} {
					for _, moved := range []bool{false, true} {
						s := sum(all, func(g guess) bool { return g.valid.Basis == basis && g.moved == moved })
						b.Logf("%s, replicas changed %v: %v", basis, moved, s)
					}
				}
				b.Logf("saturated: %v", sum(all, func(g guess) bool { return g.valid.Basis == profile.BasisSaturated }))
				exponential := 0.0
				for _, g := range all {
					if g.valid.Exponential {
						exponential++
					}
				}
				s := sum(all, func(g guess) bool { return !g.moved })
				b.ReportMetric(100*s.p95, "p95-%off")
				b.ReportMetric(100*s.p99, "p99-%off")
				b.ReportMetric(s.within10, "p95-within10")
				b.ReportMetric(s.optimistic, "optimistic")
				b.ReportMetric(100*exponential/float64(len(all)), "%exponential")
				l := sum(lines, func(g guess) bool { return !g.moved })
				b.Logf("by lines of rates, services: %v", l)
				b.ReportMetric(100*l.p95, "line-p95-%off")
			}
		})
	}
}
