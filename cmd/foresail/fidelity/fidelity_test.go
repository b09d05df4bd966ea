package fidelity

import (
	"math"
	"slices"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
)

// The example is what docs/results/fidelity.md is made from: it can be read, and asks for the cases that it should.
func TestFidelityExample(t *testing.T) {
	f, cases, calibration, err := Read("../../../examples/fidelity.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) != 12 || calibration.App.Name != "calibration" || f.Repeat < 3 || f.Tolerance != 0.25 {
		t.Errorf("%d cases, %d runs, calibrated on %s, tolerance %v", len(cases), f.Repeat, calibration.App.Name, f.Tolerance)
	}
	for _, c := range cases {
		for _, s := range c.blueprint.App.Services {
			if s.Initial.CPU != c.limit {
				t.Errorf("%s: %s has %v cores, want the limit %v", c.blueprint.App.Name, s.Name, s.Initial.CPU, c.limit)
			}
		}
	}
}

// In the simulation the companion uses the machine's CPU as the load generator and the collector do, and the application's
// requests are as many as asked for.
func TestCompanionUsesTheMachine(t *testing.T) {
	_, cases, _, err := Read("../../../examples/fidelity.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := &cases[0]
	p := platform{PerSend: 300_000, PerSpan: 20_000}
	bp, l := p.accompanied(c, 50*c.rate)
	last := len(bp.Services) - 1
	if got := bp.Services[last].Operations[0].Steps[0].Work.CPU.Mean; got < 1.299e-3 || got > 1.301e-3 {
		t.Errorf("the companion takes %v s for a request, want 1.3 ms", got)
	}
	shares := make([]float64, len(bp.App.Endpoints))
	l.Shares(0, shares)
	if rate := l.Level(0) * (1 - shares[len(shares)-1]); rate < c.rate*0.999 || rate > c.rate*1.001 {
		t.Errorf("the application gets %v requests/s, want %v", rate, c.rate)
	}
	if len(c.blueprint.Services) != last || len(c.blueprint.App.Endpoints) != len(shares)-1 {
		t.Error("the case's own application was changed")
	}
}

// What the platform takes lies between what two loads show, and beyond them is as at the nearest.
func TestWhatThePlatformTakesDependsOnWhatIsInUse(t *testing.T) {
	at := func(rate float64, us int) platform {
		d := time.Duration(us) * time.Microsecond
		return platform{Busy: rate / 1000, Machine: 5*rate/1000 + rate*11*d.Seconds(), Rate: rate, Spans: 9 * rate, PerSend: 2 * d, PerSpan: d, Overhead: foresail.Overhead{
			Caller: d, Callee: d, Network: d, Users: d, Report: d, LateBy: d, Late: float64(us) / 1000, ReportEvery: 100 * time.Millisecond, Stretch: 1 + float64(us)/1000}}
	}
	c := calibrationRound{Points: []platform{at(10, 200), at(50, 160), at(90, 100)}}
	for _, want := range []platform{at(10, 200), at(30, 180), at(50, 160), at(80, 115), at(90, 100)} {
		if got := c.at(want.Busy, 5, want.Rate, want.Spans); math.Abs(got.Overhead.Stretch-want.Overhead.Stretch) > 1e-9 || !near(got, want) {
			t.Errorf("at %v requests/s: %+v, want %+v", want.Rate, got, want)
		}
	}
	if low, high := c.at(0, 5, 0, 0), c.at(3, 5, 1e3, 1e5); !near(low, c.Points[0]) || !near(high, c.Points[2]) {
		t.Errorf("beyond what was tried: %+v and %+v", low, high)
	}
}

func near(a, b platform) bool {
	of := func(p platform) []time.Duration {
		o := &p.Overhead
		return []time.Duration{o.Caller, o.Callee, o.Network, o.Users, o.Report, p.PerSend, p.PerSpan}
	}
	return slices.EqualFunc(of(a), of(b), func(x, y time.Duration) bool { return (x - y).Abs() <= 2 })
}

// The fitted applications are whole: each has the services and endpoints of the one that it was fitted to.
func TestFittedExamples(t *testing.T) {
	for _, name := range []string{"hotel-reservation", "online-boutique"} {
		real, err := appfile.ReadApp(name)
		if err != nil {
			t.Fatal(err)
		}
		fitted, err := appfile.ReadApp("../../../examples/fitted/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if len(fitted.Services) != len(real.Services) || len(fitted.Entries) != len(real.Entries) || fitted.App.Name != name+"-fitted" {
			t.Errorf("%s: %d services and %d endpoints, the real one has %d and %d", fitted.App.Name, len(fitted.Services), len(fitted.Entries), len(real.Services), len(real.Entries))
		}
		for i := range real.Services { // operations that the load reaches are all there
			for _, op := range fitted.Services[i].Operations {
				if !slices.ContainsFunc(real.Services[i].Operations, func(o foresail.Operation) bool { return o.Name == op.Name }) {
					t.Errorf("%s.%s is none of the real application's operations", real.App.Services[i].Name, op.Name)
				}
			}
		}
	}
}
