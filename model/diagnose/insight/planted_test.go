package insight_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/load"
	"foresail.dev/model/diagnose/insight"
)

// observed is what was seen of a simulated application: snapshots of a second, and the traces of some requests.
type observed struct {
	app       *foresail.App
	snapshots []*foresail.Snapshot
	traces    [][]foresail.Span
}

func simulate(t testing.TB, bp *foresail.Blueprint, l *load.Load, d time.Duration, faults string) observed {
	t.Helper()
	return simulateBeats(t, bp, l, d, faults, time.Second)
}

func simulateBeats(t testing.TB, bp *foresail.Blueprint, l *load.Load, d time.Duration, faults string, beat time.Duration) observed {
	t.Helper()
	o := observed{app: bp.App}
	cfg := sim.Config{Blueprint: bp, Load: l, Seed: 1, Duration: d, Beat: beat, TraceShare: 0.02,
		Spans: func(s []foresail.Span) { o.traces = append(o.traces, s) }}
	if faults != "" {
		var err error
		if cfg.Faults, err = appfile.ParseFaults("faults.yaml", []byte(faults), cfg.World()); err != nil {
			t.Fatal(err)
		}
	}
	c, err := sim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for {
		s, err := c.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return o
		}
		if err != nil {
			t.Fatal(err)
		}
		o.snapshots = append(o.snapshots, s)
	}
}

func (o *observed) find(c insight.Config) *insight.Report {
	f := insight.New(o.app, c)
	for _, spans := range o.traces {
		f.AddTrace(spans, true)
	}
	for _, s := range o.snapshots {
		f.Add(s)
	}
	return f.Report()
}

// parse reads an application of which most is the same in all tests.
func parse(t testing.TB, services, objective string) *foresail.Blueprint {
	t.Helper()
	bp, err := appfile.ParseApp("app.yaml", []byte(`application: planted
defaults:
  workers: 64
  queue: 256
  initial: {replicas: 1, cpu: 2, memory: 128MiB}
  bounds: {replicas: 1..8, cpu: 0.1..8, memory: 64MiB..1GiB}
services:
`+services+`
endpoints:
  buy: {entry: web.buy}
objectives:
  buy: `+objective+`
`))
	if err != nil {
		t.Fatal(err)
	}
	return bp
}

// calmThenBusy is a rate for half a minute, then another.
func calmThenBusy(calm, busy float64) *load.Load {
	return &load.Load{Curve: []load.Segment{{From: calm, For: 30 * time.Second}, {From: busy}}}
}

// leaves are services that are called for a millisecond each.
func leaves(n int) (services, calls string) {
	for i := range n {
		services += fmt.Sprintf("  leaf-%d: {operations: {get: {cpu: {mean: 1ms, shape: exponential}}}}\n", i)
		calls += fmt.Sprintf("leaf-%d.get, ", i)
	}
	return services, strings.TrimSuffix(calls, ", ")
}

// Each fault of design, planted in an application, is found where it is.
func TestPlanted(t *testing.T) {
	services, wide := leaves(12)
	for _, tt := range []struct {
		name      string
		services  string
		objective string
		load      *load.Load
		faults    string
		want      insight.Insight // its kind and services
	}{
		{"a chatty pair", `  web: {operations: {buy: {cpu: 1ms, calls: [{to: stock.find, repeat: 30}]}}}
  stock: {initial: {cpu: 1}, operations: {find: 500us}}
`, "p99 < 60ms", calmThenBusy(30, 80), "", insight.Insight{Kind: insight.Chatty, Service: "web", Callee: "stock"}},
		{"excessive fan-out", `  web: {operations: {buy: {cpu: 1ms, calls: [` + wide + `]}}}
` + services, "p99 < 6ms", calmThenBusy(100, 100), "", insight.Insight{Kind: insight.FanOut, Service: "web"}},
		{"a ring of services", `  web: {operations: {buy: {cpu: 1ms, calls: [cart.show]}}}
  cart: {workers: 8, initial: {cpu: 1}, operations: {show: {cpu: 2ms, calls: [price.of]}, items: 2ms}}
  price: {workers: 8, initial: {cpu: 1}, operations: {of: {cpu: 1ms, calls: [cart.items]}}}
cycles: [[cart, price]]
`, "p99 < 50ms", calmThenBusy(50, 300), "", insight.Insight{Kind: insight.Cycle, Service: "cart", Ring: []string{"cart", "price"}}},
		{"a small pool of connections", `  web: {pool: 2, operations: {buy: {cpu: 500us, calls: [stock.find]}}}
  stock: {operations: {find: {cpu: 100us, calls: [disk.read]}}}
  disk: {workers: 1000, operations: {read: {calls: [far.wait]}}}
  far: {initial: {cpu: 8}, operations: {wait: {cpu: {mean: 20ms, cv: 0.1}}}}
`, "p99 < 60ms", calmThenBusy(20, 130), "", insight.Insight{Kind: insight.Blocked, Service: "web", Callee: "stock"}},
		{"few workers that wait", `  web: {operations: {buy: {cpu: 500us, calls: [stock.find]}}}
  stock: {workers: 3, operations: {find: {cpu: 100us, calls: [far.wait]}}}
  far: {initial: {cpu: 8}, operations: {wait: {cpu: {mean: 20ms, cv: 0.1}}}}
`, "p99 < 60ms", calmThenBusy(20, 170), "", insight.Insight{Kind: insight.Blocked, Service: "stock", Callee: "far"}},
		{"a missing timeout", `  web: {operations: {buy: {cpu: 500us, calls: [stock.find]}}}
  stock: {initial: {cpu: 0.5}, operations: {find: 5ms}}
`, "p99 < 50ms", calmThenBusy(30, 99), "", insight.Insight{Kind: insight.Timeout, Service: "web", Callee: "stock", Endpoint: "buy"}},
		{"retries that amplify", `  web: {operations: {buy: {cpu: 500us, calls: [{to: stock.find, timeout: 30ms, retries: 3, backoff: 2ms}]}}}
  stock: {initial: {cpu: 0.5}, operations: {find: 5ms}}
`, "p99 < 100ms", calmThenBusy(30, 110), "", insight.Insight{Kind: insight.Retries, Service: "web", Callee: "stock"}},
		{"a lock", `  web: {operations: {buy: {cpu: 500us, calls: [stock.find]}}}
  stock: {operations: {find: 1ms}}
`, "p99 < 50ms", calmThenBusy(50, 50), "faults: f\nfixed: [{kind: lock, service: stock, at: 30s, for: 20s, length: 30ms}]\n", insight.Insight{Kind: insight.Blocked, Service: "stock"}},
		{"a deadlock", `  web: {operations: {buy: {cpu: 500us, calls: [stock.find]}}}
  stock: {workers: 8, operations: {find: 1ms}}
`, "p99 < 50ms", calmThenBusy(200, 200), "faults: f\nfixed: [{kind: deadlock, service: stock, at: 30s, for: 20s, amount: 8}]\n", insight.Insight{Kind: insight.Blocked, Service: "stock"}},
		{"a blocking cycle", `  web: {workers: 4, timeout: 100ms, operations: {buy: {cpu: 2ms, calls: [stock.find]}}}
  stock: {operations: {find: 2ms}}
`, "p99 < 50ms", calmThenBusy(150, 300), "faults: f\nfixed: [{kind: blocking-cycle, edge: web -> stock, at: 30s, for: 20s}]\n", insight.Insight{Kind: insight.Cycle, Service: "stock", Ring: []string{"stock", "web"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := simulate(t, parse(t, tt.services, tt.objective), tt.load, time.Minute, tt.faults)
			r := o.find(insight.Config{})
			i := slices.IndexFunc(r.Insights, func(in insight.Insight) bool {
				return in.Kind == tt.want.Kind && in.Service == tt.want.Service && in.Callee == tt.want.Callee && in.Endpoint == tt.want.Endpoint && slices.Equal(in.Ring, tt.want.Ring)
			})
			if i < 0 {
				t.Fatalf("not found:\n%s", show(r))
			}
			in := &r.Insights[i]
			if in.Trace == (foresail.TraceID{}) || in.Change == "" || in.Requests <= 0 || len(in.Numbers) == 0 || !in.First.Before(in.Last) {
				t.Errorf("evidence is missing: %+v", in)
			}
			if testing.Verbose() {
				t.Logf("\n%s", show(r))
			}
			for _, other := range r.Insights { // nothing that was not planted: what one fault brings about is listed
				if other.Kind != insight.Hotspot && other.Kind != tt.want.Kind && !slices.Contains(follows[tt.want.Kind], other.Kind) {
					t.Errorf("found besides: %+v", other)
				}
			}
		})
	}
}

// follows is what else a fault of design brings about: calls that wait in a ring, in a queue or for a pool take longer than the objective.
var follows = map[insight.Kind][]insight.Kind{
	insight.Chatty:  {insight.Timeout},
	insight.Cycle:   {insight.Timeout, insight.Blocked},
	insight.Blocked: {insight.Timeout},
}

func show(r *insight.Report) string {
	var b strings.Builder
	for _, e := range r.Endpoints {
		fmt.Fprintf(&b, "%s: %d of %d windows violated, %d episodes; calm %v of %v\n", e.Name, e.Violated, e.Windows, e.Episodes, r.Calm, r.Observed)
	}
	for _, in := range r.Insights {
		fmt.Fprintf(&b, "%s %q %q from %q to %q ring %q resource %q: %d windows, %d episodes, %.0f requests, %v, %x; %v\n", in.Kind, in.Endpoint, in.Service, in.From, in.Callee, in.Ring, in.Resource, in.Windows, in.Episodes, in.Requests, in.Numbers, in.Trace, in.Notes)
	}
	return b.String()
}
