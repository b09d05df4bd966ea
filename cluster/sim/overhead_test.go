package sim_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
)

// A service calls another; all that both do is constant, and requests are too few to meet.
func overheads(o foresail.Overhead) *foresail.Blueprint {
	bp := blueprint(
		foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 4*ms), calls(call(1)), work(foresail.Constant, 2*ms))},
		foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 3*ms))},
	)
	bp.Overhead = o
	return bp
}

func TestOverheadsTakeTimeAndCPUWhereTheyBelong(t *testing.T) {
	const us = time.Microsecond
	for _, test := range []struct {
		name                   string
		overhead               foresail.Overhead
		latency, inner, callee float64 // ms, on top of 9 ms, 3 ms; CPU of the callee for each request
		caller                 float64
	}{
		{"none", foresail.Overhead{}, 0, 0, 0, 0},
		{"caller", foresail.Overhead{Caller: 400 * us}, 0.4, 0, 0, 0.4},
		{"callee", foresail.Overhead{Callee: 600 * us}, 1.2, 0.6, 0.6, 0.6},
		{"network", foresail.Overhead{Network: 100 * us}, 0.4, 0, 0, 0},
		{"users", foresail.Overhead{Users: 300 * us}, 0.3, 0, 0, 0},
		{"stretch", foresail.Overhead{Stretch: 1.5}, 4.5, 1.5, 1.5, 3},
		{"report", foresail.Overhead{Report: 5 * time.Millisecond, ReportEvery: 50 * time.Millisecond}, 0, 0, 5, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newSim(t, sim.Config{Blueprint: overheads(test.overhead), Load: constant(1), Seed: 1})
			s := run(t, c, 500*time.Second, nil)
			n := s.Endpoints[0].Requests
			within(t, "median latency in ms", s.Endpoints[0].Latency.Quantile(0.5)/ms, 9+test.latency, 0.03)
			within(t, "the callee's median in ms", s.Services[1].Latency.Quantile(0.5)/ms, 3+test.inner, 0.03)
			within(t, "the edge's median in ms", s.Edges[0].Latency.Quantile(0.5)/ms, 3+test.inner, 0.03)
			within(t, "CPU of the callee for a request, ms", s.Services[1].CPU/n/ms, 3+test.callee, 0.05)
			within(t, "CPU of the caller for a request, ms", s.Services[0].CPU/n/ms, 6+test.caller, 0.05)
		})
	}
}

// A share of the messages is late by an exponential time: of a request's four, users' messages among them.
func TestSomeMessagesAreLate(t *testing.T) {
	bp := overheads(foresail.Overhead{Late: 0.05, LateBy: 40 * time.Millisecond})
	s := run(t, newSim(t, sim.Config{Blueprint: bp, Load: constant(2), Seed: 1}), 5000*time.Second, nil)
	l := s.Endpoints[0].Latency
	within(t, "mean latency in ms", l.Mean()/ms, 9+4*0.05*40, 0.05)
	within(t, "median in ms", l.Quantile(0.5)/ms, 9, 0.03)
	within(t, "the edge's mean: its visit alone, ms", s.Services[1].Latency.Mean()/ms, 3, 0.01)
	late := 1 - 0.95*0.95*0.95*0.95
	over := 0.0 // by 40 ms: of one late message in e
	for _, q := range []float64{0.9, 0.92, 0.94, 0.96} {
		if l.Quantile(q) > 49*ms {
			over = 1 - q
			break
		}
	}
	if over < 0.8*late/math.E-0.02 || over > 1.3*late/math.E+0.02 {
		t.Errorf("%v of the requests are late by 40 ms or more, want about %v", over, late/math.E)
	}
}

// Many replies are one report: its cost falls on the interval, not on the request.
func TestReportsAreForAnInterval(t *testing.T) {
	bp := overheads(foresail.Overhead{Report: 5 * time.Millisecond, ReportEvery: 100 * time.Millisecond})
	s := run(t, newSim(t, sim.Config{Blueprint: bp, Load: constant(100), Seed: 1}), 60*time.Second, nil)
	within(t, "CPU of the callee", s.Services[1].CPU, s.Services[1].Completions*3*ms+60*9.1*5*ms, 0.02) // each 100 ms and a mean wait of 10
}

// A refusal comes back over the network as well.
func TestRefusalTakesItsWay(t *testing.T) {
	bp := overheads(foresail.Overhead{Network: 30 * time.Millisecond})
	bp.Services[0].Workers, bp.Timeouts[0] = 1, foresail.Patience{Retries: 1}
	var slow float64
	s := run(t, newSim(t, sim.Config{Blueprint: bp, Load: constant(20), Seed: 1}), 60*time.Second, nil)
	slow = s.Endpoints[0].Latency.Quantile(0.99) / ms
	if s.Services[0].Errors == 0 || s.Endpoints[0].Errors >= s.Services[0].Errors {
		t.Fatalf("%v refusals, %v of them not mended by a retry", s.Services[0].Errors, s.Endpoints[0].Errors)
	}
	within(t, "a refused and repeated request", slow, 9+4*30+2*30, 0.05)
}

func TestOverheadThatIsNone(t *testing.T) {
	for _, test := range []struct {
		overhead foresail.Overhead
		want     string
	}{
		{foresail.Overhead{Caller: -1}, "negative"},
		{foresail.Overhead{Network: 2 * time.Hour}, "longer than an hour"},
		{foresail.Overhead{Stretch: 0.5}, "stretch 0.5 is outside 1..100"},
		{foresail.Overhead{Late: 0.1}, "0.1 of messages late by 0s"},
		{foresail.Overhead{Late: 1.5, LateBy: time.Second}, "1.5 of messages late by 1s"},
		{foresail.Overhead{Report: time.Millisecond}, "report and its interval come together"},
	} {
		_, err := sim.New(sim.Config{Blueprint: overheads(test.overhead), Load: constant(1)})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %q", test.overhead, err, test.want)
		}
	}
}
