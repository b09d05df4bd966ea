package fidelity

import (
	"slices"
	"testing"

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
	p := platform{PerSend: 300_000, PerSpan: 20_000, Companion: "companion"}
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
