package theory_test

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/load"
	"foresail.dev/sketch"
)

const ms = 1e-3 // seconds

const (
	nBatches = 32
	student  = 3.633 // the 99.95 % quantile of Student's t with 31 degrees of freedom
)

// study is a system at one load.
type study struct {
	system   string
	load     string
	cfg      sim.Config
	rate     float64 // requests/s, to cut batches
	requests int     // in all batches; with the race detector there are fewer
	samples  int     // how many snapshots a batch has at least; 0 means 1
}

// batch is what was observed in one batch: the sum of its snapshots, and the requests in flight in the first service at
// the end of each.
type batch struct {
	*foresail.Snapshot
	seconds  float64
	inFlight []float64
}

// quantity is something that theory knows; one without a name is passed over.
type quantity struct {
	name  string
	want  float64
	of    func(*batch) float64
	loose float64 // how wide the interval may be, as a share of want; 0 means 0.1
}

// row is a line of the table.
type row struct {
	system, load, quantity string
	want                   string
	got, half, off         float64 // off: share of want; NaN where theory has no one value
}

var (
	into = flag.String("into", "", "write what was compared as a table into this Markdown file, between its marks")
	rows []row
)

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if *into != "" && code == 0 {
		if err := writeTable(*into); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// writeTable puts the table where the file has the last one.
func writeTable(path string) error {
	const begin, end = "<!-- theory: begin -->\n", "<!-- theory: end -->"
	file, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(file), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("%s: no line %q before a line %q: add them where the table belongs", path, strings.TrimSpace(begin), end)
	}
	var b strings.Builder
	b.WriteString(before + begin + "| system | load | quantity | theory | simulated | ± (99.9 %) | off by |\n|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		half, off := "exact", "inside"
		if r.half > 0 {
			half = fmt.Sprintf("%.2g", r.half)
		}
		if !math.IsNaN(r.off) {
			off = fmt.Sprintf("%+.2f %%", 100*r.off)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %.5g | %s | %s |\n", r.system, r.load, r.quantity, r.want, r.got, half, off)
	}
	b.WriteString(end + after)
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// run simulates a study and returns its batches.
func (s *study) run(t *testing.T) []*batch {
	t.Helper()
	samples := max(s.samples, 1)
	requests := float64(s.requests)
	if raced {
		requests /= 20
	}
	beat := time.Duration(requests / nBatches / s.rate / float64(samples) * 1e9).Round(time.Millisecond)
	s.cfg.Beat, s.cfg.Start = beat, time.Unix(0, 0) // which is on a whole beat of any length
	c, err := sim.New(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	var out []*batch
	for i := range nBatches + 1 {
		b := &batch{seconds: beat.Seconds() * float64(samples)}
		parts := make([]*foresail.Snapshot, samples)
		for k := range parts {
			if parts[k], err = c.Next(context.Background()); err != nil {
				t.Fatal(err)
			}
			b.inFlight = append(b.inFlight, parts[k].Services[0].InFlight.Last)
		}
		b.Snapshot = parts[0]
		if samples > 1 {
			b.Snapshot = foresail.Merge(parts...)
		}
		if i > 0 {
			out = append(out, b)
		}
	}
	return out
}

// interval is the mean over the batches and half the width of its confidence interval.
func interval(batches []*batch, of func(*batch) float64) (mean, half float64) {
	var values []float64
	for _, b := range batches {
		values = append(values, of(b))
		mean += of(b) / nBatches
	}
	squares := 0.0
	for _, v := range values {
		squares += (v - mean) * (v - mean)
	}
	return mean, student * math.Sqrt(squares/(nBatches-1)/nBatches)
}

// check compares what was simulated with what theory says.
func (s *study) check(t *testing.T, quantities ...quantity) {
	t.Helper()
	batches := s.run(t)
	for _, q := range quantities {
		if q.name == "" {
			continue
		}
		got, half := interval(batches, q.of)
		s.tell(t, row{quantity: q.name, want: fmt.Sprintf("%.5g", q.want), got: got, half: half, off: got/q.want - 1})
		loose := q.loose
		if loose == 0 {
			loose = 0.1
		}
		if raced {
			loose *= 4
		}
		if !(math.Abs(got-q.want) <= half) {
			t.Errorf("%s, load %s: %s is %.6g ± %.2g, theory says %.6g", s.system, s.load, q.name, got, half, q.want)
		}
		if !(half <= loose*q.want) {
			t.Errorf("%s, load %s: %s is known within ± %.2g only: simulate more", s.system, s.load, q.name, half)
		}
	}
}

// between compares what was simulated with bounds: the interval must not lie outside.
func (s *study) between(t *testing.T, batches []*batch, name string, low, high float64, of func(*batch) float64) {
	t.Helper()
	got, half := interval(batches, of)
	s.tell(t, row{quantity: name, want: fmt.Sprintf("%.5g to %.5g", low, high), got: got, half: half, off: math.NaN()})
	if !(got+half >= low && got-half <= high) {
		t.Errorf("%s, load %s: %s is %.6g ± %.2g, theory says %.6g to %.6g", s.system, s.load, name, got, half, low, high)
	}
	if !raced && !(half <= 0.1*high) {
		t.Errorf("%s, load %s: %s is known within ± %.2g only: simulate more", s.system, s.load, name, half)
	}
}

func (s *study) tell(t *testing.T, r row) {
	t.Helper()
	r.system, r.load = s.system, s.load
	rows = append(rows, r)
	t.Logf("%s, load %s: %s: theory %s, simulated %.6g ± %.2g", r.system, r.load, r.quantity, r.want, r.got, r.half)
}

// What is looked at.

func meanTime(b *batch) float64 { return 1e3 * b.Endpoints[0].Latency.Mean() } // ms

func meanTimeAt(endpoint int) func(*batch) float64 {
	return func(b *batch) float64 { return 1e3 * b.Endpoints[endpoint].Latency.Mean() }
}

// meanWait is what requests were in the first service and had no CPU.
func meanWait(b *batch) float64 {
	s := &b.Services[0]
	return 1e3 * (s.Latency.Sum() - s.CPU) / s.Completions
}

func meanNumber(b *batch) float64 { return b.Services[0].InFlight.Mean }

func utilisation(b *batch) float64 { return b.Services[0].CPU / b.seconds }

// spread compares the variance of the time, given its mean in seconds and itself in ms², unless the system is busy.
func spread(rho, mean, want, loose float64) quantity {
	if rho > busy {
		return quantity{}
	}
	return quantity{"variance, ms²", want, variance(mean), loose}
}

// variance is that of the time, in ms², about the mean that theory gives in seconds: about its own a batch would have less.
// Values are taken as spread evenly on a logarithmic scale within their bucket, which is off by less than a thousandth.
func variance(mean float64) func(*batch) float64 {
	return func(b *batch) float64 {
		l := b.Endpoints[0].Latency
		m2 := 0.0
		for i, n := range l.Buckets() {
			hi, lo := sketch.UpperBound(i), sketch.UpperBound(i-1)
			m2 += n * (hi*hi - lo*lo) / 2 / math.Log(hi/lo)
		}
		return 1e6 * (m2/l.Count() - 2*mean*l.Mean() + mean*mean)
	}
}

// above is the share of requests slower than a bucket's bound.
func above(bound float64) func(*batch) float64 {
	return func(b *batch) float64 {
		l := b.Endpoints[0].Latency
		return l.CountAbove(bound) / l.Count()
	}
}

// busy is the load from which on the slowest requests come in a few bursts, too few in a run of this length to tell their
// share or the variance: batches are far from normal then.
const busy = 0.8

// percentiles compares the tail with theory's, given as the share of requests slower than t seconds.
func percentiles(rho float64, tail func(t float64) float64) (out []quantity) {
	loose := []float64{0.1, 0.2, 0.6}
	for i, p := range []float64{0.5, 0.1, 0.01} {
		if p < 0.1 && rho > busy {
			break
		}
		lo, hi := 0.0, 1e6
		for range 200 {
			if mid := (lo + hi) / 2; tail(mid) > p {
				lo = mid
			} else {
				hi = mid
			}
		}
		bound := sketch.UpperBound(sketch.Index(lo))
		out = append(out, quantity{fmt.Sprintf("share over %.4g ms (about p%g)", 1e3*bound, 100*(1-p)), tail(bound), above(bound), loose[i]})
	}
	return out
}

// Systems.

// application is services of which the first's operations are the endpoints.
func application(services ...foresail.ServiceBlueprint) *foresail.Blueprint {
	bp := &foresail.Blueprint{App: &foresail.App{Name: "theory"}, Services: services}
	for i := range services {
		bp.App.Services = append(bp.App.Services, foresail.Service{
			Name: string(rune('a' + i)), Initial: foresail.Allocation{Replicas: 1, CPU: 1},
			Bounds: foresail.Bounds{MinReplicas: 1, MaxReplicas: 1000, MinCPU: 0.01, MaxCPU: 1000},
		})
	}
	for i := range services[0].Operations {
		name := fmt.Sprint("e", i)
		bp.App.Endpoints = append(bp.App.Endpoints, foresail.Endpoint{Name: name, Operation: name})
		bp.Entries = append(bp.Entries, foresail.Target{Operation: i})
	}
	bp.Timeouts = make([]foresail.Patience, len(bp.Entries))
	return bp
}

// fcfs is a service that works on so many requests at once, first come first served. No thread of its one replica is ever
// throttled where the replica has as many cores.
func fcfs(workers int, steps ...foresail.Step) foresail.ServiceBlueprint {
	s := sharing(steps...)
	s.Workers, s.Queue = workers, 1e8
	return s
}

// sharing is a service that works on all requests at once: processor sharing where its node has one core.
func sharing(steps ...foresail.Step) foresail.ServiceBlueprint {
	return foresail.ServiceBlueprint{Operations: []foresail.Operation{{Name: "e0", Steps: steps}}}
}

func exponential(mean float64) foresail.Dist {
	return foresail.Dist{Shape: foresail.Exponential, Mean: mean}
}

func cpu(d foresail.Dist) foresail.Step { return foresail.Step{Work: foresail.Demand{CPU: d}} }

func disk(d foresail.Dist) foresail.Step { return foresail.Step{Work: foresail.Demand{IO: d}} }

// calls is a step that calls services at once.
func calls(to ...foresail.ServiceID) (s foresail.Step) {
	for _, id := range to {
		s.Calls = append(s.Calls, foresail.Call{Target: foresail.Target{Service: id}, Probability: 1, Repeat: 1})
	}
	return s
}

func open(rate float64) *load.Load {
	return &load.Load{Name: "open", Curve: []load.Segment{{From: rate}}}
}

func closed(users int, think time.Duration) *load.Load {
	return &load.Load{Name: "closed", Mode: load.Closed, Think: think, Curve: []load.Segment{{From: float64(users)}}}
}

func percent(rho float64) string { return strings.TrimSuffix(fmt.Sprintf("%.0f", rho*100), ".") + " %" }
