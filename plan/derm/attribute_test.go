package derm

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/compare/expected"
	"foresail.dev/compare/traced"
	"foresail.dev/loop"
	"foresail.dev/model/callgraph"
	"foresail.dev/model/callgraph/dist"
	"foresail.dev/model/callgraph/profile"
	"foresail.dev/plan"
)

// accused are the causes that an expectation may be off for. Each adds what was observed to those before: so many visits came, in
// that mix, to so many containers, which took so long by themselves.
var accused = []string{"as told", "visits", "mix", "containers", "curves", "own times", "own times uncorrected"}

// suspect runs a Derm, and says what it would have told had it known what then came.
type suspect struct {
	*Manager
	app  *foresail.App
	open []foresail.Expectation
	out  map[string][]float64 // by cause: told over observed
	log  func(string)
	from time.Time
}

func (s *suspect) Decide(h *foresail.History) (*foresail.Plan, error) {
	for _, e := range s.open {
		if !e.To.After(h.Now()) && !h.Now().Before(s.from) {
			s.try(h, e)
		}
	}
	s.open = slices.DeleteFunc(s.open, func(e foresail.Expectation) bool { return !e.To.After(h.Now()) })
	p, err := s.Manager.Decide(h)
	if p != nil {
		s.open = append(s.open, p.Expected...)
	}
	return p, err
}

// try substitutes what was observed, one thing after the other.
func (s *suspect) try(h *foresail.History, e foresail.Expectation) {
	var parts []*foresail.Snapshot
	for _, p := range h.Seconds(60) {
		if !p.Start.Before(e.From) && !p.End.After(e.To) {
			parts = append(parts, p)
		}
	}
	if len(parts) == 0 {
		return
	}
	seen := foresail.Merge(parts...)
	l := seen.Endpoints[e.Endpoint].Latency
	if l.Count()*(1-e.Percentile/100) < fewBeyond {
		return
	}
	truth := l.Quantile(e.Percentile / 100)
	m := s.Manager
	named := func(cause string) string { return fmt.Sprintf("p%v %s", e.Percentile, cause) }
	tell := func(cause string, v float64) { s.out[named(cause)] = append(s.out[named(cause)], v/truth) }
	tell(accused[0], e.Latency)
	o, ok := m.ahead(s.app)
	if !ok {
		return
	}
	stats := known(s.app, seen.Shapes)
	mt := minuteOf(s.app, seen, stats)
	told := containersOf(s.app, h)
	of := m.state.Ends[e.Endpoint]
	factor := of.Factor
	if e.Percentile == usual {
		factor = of.Usual
	}
	forms := m.told(o.ofEndpoint(e.Endpoint, m.c.Forms))
	one := Endpoint{Name: s.app.Endpoints[e.Endpoint].Name, Percentile: e.Percentile, Limit: 1, Factor: factor, Forms: forms, Visits: m.weighed(&mt)}
	loads := one.Visits
	v, _ := m.percentile(s.app, &one, told, true)
	tell(accused[1], v)
	came := outlook{expected: mix{share: make([]float64, len(mt.Forms))}}
	for i, f := range mt.Forms {
		came.forms = append(came.forms, f.form)
		came.expected.share[i] = f.requests / mt.Rate
	}
	one.Forms = m.told(came.ofEndpoint(e.Endpoint, 1000))
	v, _ = m.percentile(s.app, &one, told, true)
	tell(accused[2], v)
	ready := make([]int, len(s.app.Services))
	for i := range ready {
		n := 0.0
		for _, p := range parts {
			n += float64(p.Services[i].Ready) / float64(len(parts))
		}
		ready[i] = int(math.Round(n))
	}
	v, _ = m.percentile(s.app, &one, ready, true)
	tell(accused[3], v)

	// With curves through what was observed in the interval itself, if that minute were taken in.
	b, err := m.profiler.Save()
	if err != nil {
		panic(err)
	}
	twin := &Manager{c: m.c, profiler: profile.New(profile.Config{})}
	if err := twin.profiler.Restore(b); err != nil {
		panic(err)
	}
	twin.profiler.Observe(s.app, seen)
	v, _ = twin.percentile(s.app, &one, ready, true)
	tell(accused[4], v)

	own := func() float64 {
		var graphs []callgraph.Weighted
		total := 0.0
		for i := range stats {
			sh := &stats[i]
			if sh.Form.Endpoint != e.Endpoint {
				continue
			}
			stages := make([]dist.Stage, len(sh.Form.Visits))
			for k := range stages {
				if k < len(sh.Own) && sh.Own[k].Count() > 0 {
					if st, err := profile.Empirical(profile.OfSketch(sh.Own[k])); err == nil {
						stages[k] = st
						continue
					}
				}
				stages[k] = dist.Fixed(0)
			}
			g, err := callgraph.NewGraph(sh.Form, stages)
			if err != nil {
				return math.NaN()
			}
			graphs = append(graphs, callgraph.Weighted{Graph: g, Share: sh.Requests})
			total += sh.Requests
		}
		for i := range graphs {
			graphs[i].Share /= total
		}
		x, err := callgraph.NewMixture(graphs...)
		if err != nil {
			return math.NaN()
		}
		return x.Percentile(e.Percentile / 100)
	}
	v = own()
	tell(accused[5], v*factor)
	tell(accused[6], v)
	s.log(fmt.Sprintf("%s p%v %s observed %.2f ms of %.0f factor %.2f", e.To.Format("15:04"), e.Percentile, one.Name, truth*1000, l.Count(), factor))
	line := ""
	for _, c := range accused {
		if a := s.out[named(c)]; len(a) > 0 {
			line += fmt.Sprintf(" %s %+.0f%%;", c, 100*(a[len(a)-1]-1))
		}
	}
	s.log("   " + line)
	if a := s.out[named(accused[3])]; math.Abs(a[len(a)-1]-1) > 0.1 {
		for i := range s.app.Services {
			if mt.Visits[i] > 0 {
				line := fmt.Sprintf("      %s load %.1f cpu %.2f ready %d told %d:", s.app.Services[i].Name, loads[i]/float64(max(ready[i], 1)), mt.Used[i]/float64(max(ready[i], 1)), ready[i], told[i])
				for _, sh := range stats {
					for k, vis := range sh.Form.Visits {
						if int(vis.Service) == i && sh.Form.Endpoint == e.Endpoint && sh.Own[k].Count() > 300 {
							st, val := m.profiler.Stage(vis.Service, vis.Operation, loads[i]/float64(max(ready[i], 1)))
							sv, _ := m.profiler.VisitStage(sh.Form, k, loads[i]/float64(max(ready[i], 1)))
							q := e.Percentile / 100
							line += fmt.Sprintf(" [%s n=%.0f %.2f ms: %+.0f%% visit %+.0f%% (%s %.0f..%.0f anchor %.0f)]", vis.Operation, sh.Own[k].Count(), sh.Own[k].Quantile(q)*1000, 100*(st.Quantile(q)/sh.Own[k].Quantile(q)-1), 100*(sv.Quantile(q)/sh.Own[k].Quantile(q)-1), val.Basis, val.From, val.To, val.Anchor)
						}
					}
				}
				s.log(line)
			}
		}
	}
}

func containersOf(app *foresail.App, h *foresail.History) []int {
	out := make([]int, len(app.Services))
	beats := h.Beats(10)
	for i := range app.Services {
		from, _ := plan.Wanted(&app.Services[i], plan.Latest(beats, foresail.ServiceID(i), foresail.SignalAllocation))
		out[i] = from.Replicas
	}
	return out
}

// TestAttribute says what expectations are off for; it runs only when asked:
//
//	FORESAIL_ATTRIBUTE=media:31:23:20 go test -run TestAttribute -v ./plan/derm
func TestAttribute(t *testing.T) {
	which := strings.Split(os.Getenv("FORESAIL_ATTRIBUTE"), ":")
	if len(which) < 4 {
		t.Skip("set FORESAIL_ATTRIBUTE to an application, a seed, minutes of warm-up and after, and, where it is not the default, a Config, as in media:31:23:20:{}")
	}
	cfg := Config{}
	if len(which) > 4 {
		if err := json.Unmarshal([]byte(strings.Join(which[4:], ":")), &cfg); err != nil {
			t.Fatal(err)
		}
	}
	var seed uint64
	var warm, lasts int
	_, _ = fmt.Sscan(strings.Join(which[1:4], " "), &seed, &warm, &lasts)
	bp, err := appfile.ReadApp(which[0])
	if err != nil {
		t.Fatal(err)
	}
	cpu := 0.2
	if which[0] == "media" {
		cpu = 0.5
	}
	for i := range bp.Services {
		s := &bp.App.Services[i]
		bp.Services[i].Start = 5 * time.Second
		s.Initial.Replicas = max(int(math.Ceil(s.Initial.Cores()/cpu)), 1)
		s.Initial.CPU, s.Bounds.MinCPU, s.Bounds.MaxCPU = cpu, cpu, cpu
		s.Bounds.MinReplicas, s.Bounds.MaxReplicas = 1, 60
	}
	l, err := appfile.ReadLoad("../../examples/loads/"+which[0]+"/shifting.yaml", bp.App)
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(bp.App, cfg)
	if err != nil {
		t.Fatal(err)
	}
	c, err := traced.New(sim.Config{Blueprint: bp, Load: l, Seed: seed, Duration: time.Duration(warm+lasts) * time.Minute}, m.Needs())
	if err != nil {
		t.Fatal(err)
	}
	var scores expected.Scores
	s := &suspect{Manager: m, app: bp.App, out: map[string][]float64{}, log: func(s string) { t.Log(s) }}
	err = loop.Run(context.Background(), c, s, loop.Options{Mode: loop.Auto, Events: loop.Events{
		Observed: func(_ *foresail.History, sn *foresail.Snapshot) {
			if s.from.IsZero() {
				s.from = sn.Start.Add(time.Duration(warm) * time.Minute)
			}
			scores.Observed(sn)
		},
		Decided: func(d loop.Decision) {
			if d.Plan != nil && d.Plan.At.After(s.from) {
				scores.Planned(d.Plan)
			}
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []float64{99, 95} {
		t.Logf("p%v: %+v", p, scores.Score(time.Unix(1<<40, 0), func(e foresail.Expectation) bool { return e.Percentile == p }))
	}
	for _, p := range []float64{99, 95} {
		for _, c := range accused {
			var off []float64
			within := 0.0
			for _, x := range s.out[fmt.Sprintf("p%v %s", p, c)] {
				off = append(off, math.Abs(x-1))
				if math.Abs(x-1) <= expected.Tolerated {
					within++
				}
			}
			slices.Sort(off)
			if len(off) > 0 {
				t.Logf("p%v %-24s %5.1f %% off, %3.0f %% within 10 %%", p, c, 100*off[len(off)/2], 100*within/float64(len(off)))
			}
		}
	}
}
