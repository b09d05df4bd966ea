package sim_test

import (
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
)

// collect simulates d with spans, and then until everything has ended.
func collect(t *testing.T, cfg sim.Config, d time.Duration) (traces [][]foresail.Span, total *foresail.Snapshot) {
	t.Helper()
	cfg.Spans = func(s []foresail.Span) { traces = append(traces, s) }
	cfg.Load = during(d, cfg.Load.Level(0))
	c := newSim(t, cfg)
	total = run(t, c, d, nil)
	for c.Live() > 0 {
		total = foresail.Merge(total, run(t, c, time.Second, nil))
	}
	return traces, total
}

// The spans of all requests, counted, are what the snapshots say.
func TestSpansAgreeWithSnapshots(t *testing.T) {
	bp := benchmarkApplication()
	traces, s := collect(t, sim.Config{Blueprint: bp, Load: constant(100), Seed: 1, TraceShare: 1}, 5*time.Second)
	type key struct{ from, to foresail.ServiceID }
	served, latency := make([]float64, len(bp.Services)), make([]float64, len(bp.Services))
	calls := map[key]float64{}
	roots := map[string]float64{}
	ids := map[foresail.SpanID]bool{}
	for _, spans := range traces {
		byID := map[foresail.SpanID]*foresail.Span{}
		for i := range spans {
			byID[spans[i].ID] = &spans[i]
			if ids[spans[i].ID] || spans[i].ID == (foresail.SpanID{}) {
				t.Fatalf("span id %x is used twice, or zero", spans[i].ID)
			}
			ids[spans[i].ID] = true
		}
		root := 0
		for i := range spans {
			sp := &spans[i]
			id, ok := bp.App.ServiceByName(sp.Service)
			if !ok || sp.Trace != spans[0].Trace || sp.Trace == (foresail.TraceID{}) || sp.Weight != 1 || sp.End.Before(sp.Start) {
				t.Fatalf("bad span %+v", sp)
			}
			listed := false
			for _, r := range s.Services[id].Replicas {
				listed = listed || r.Name == sp.Replica
			}
			if !listed {
				t.Fatalf("span of replica %q, which no snapshot lists", sp.Replica)
			}
			parent := byID[sp.Parent]
			switch {
			case sp.Kind == foresail.KindServer && sp.Parent == (foresail.SpanID{}):
				root++
				roots[sp.Operation]++
			case parent == nil:
				t.Fatalf("span without its parent: %+v", sp)
			case sp.Kind == foresail.KindServer:
				if parent.Kind != foresail.KindClient || parent.Operation != sp.Operation || sp.Start.Before(parent.Start) {
					t.Fatalf("server span %+v below %+v", sp, parent)
				}
				from, _ := bp.App.ServiceByName(parent.Service)
				calls[key{from, id}]++
			case sp.Kind == foresail.KindClient:
				if parent.Kind != foresail.KindServer || parent.Service != sp.Service || parent.Replica != sp.Replica {
					t.Fatalf("client span %+v below %+v", sp, parent)
				}
			default:
				t.Fatalf("span of kind %d", sp.Kind)
			}
			if sp.Kind == foresail.KindServer {
				served[id]++
				latency[id] += sp.End.Sub(sp.Start).Seconds()
			}
		}
		equal(t, "roots of a trace", root, 1)
	}
	for i := range served {
		equal(t, "requests served by "+bp.App.Services[i].Name, served[i], s.Services[i].Completions)
		within(t, "time in "+bp.App.Services[i].Name, latency[i], s.Services[i].Latency.Sum(), 1e-6)
	}
	for _, e := range s.Edges {
		equal(t, "calls", calls[key{e.From, e.To}], e.Calls)
		delete(calls, key{e.From, e.To})
	}
	equal(t, "calls on other edges", len(calls), 0)
	for i, e := range bp.App.Endpoints {
		equal(t, "requests of "+e.Name, roots[e.Operation], s.Endpoints[i].Requests)
	}
}

// Tracing changes nothing, and takes the share that was asked for.
func TestTraceShare(t *testing.T) {
	cfg := sim.Config{Blueprint: benchmarkApplication(), Load: constant(100), Seed: 1}
	none, without := collect(t, cfg, 5*time.Second)
	cfg.TraceShare = 0.2
	some, with := collect(t, cfg, 5*time.Second)
	equal(t, "traces when nothing is asked for", len(none), 0)
	within(t, "traces", float64(len(some)), 0.2*5*100, 0.25)
	equal(t, "weight", some[0][0].Weight, 5)
	equal(t, "what was observed", digest(t, with), digest(t, without))
}

// Each attempt is a span; a refusal is one of no length; a caller that gave up ends before its callee does.
func TestSpansOfFailures(t *testing.T) {
	slow := call(1)
	slow.Patience = foresail.Patience{Timeout: 10 * time.Millisecond, Retries: 1}
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(calls(slow))},
		foresail.ServiceBlueprint{Operations: op(disk(50 * ms)), Workers: 1})
	traces, _ := collect(t, sim.Config{Blueprint: bp, Load: constant(0.5), Seed: 1, TraceShare: 1}, 20*time.Second)
	for _, spans := range traces {
		var client, server int
		var refused, worked bool
		for _, s := range spans {
			switch {
			case s.Kind == foresail.KindClient:
				client++
				equal(t, "a failed attempt", s.Failed, true)
			case s.Service == "b":
				server++
				refused = refused || s.Failed && s.End.Equal(s.Start)
				worked = worked || !s.Failed && s.End.Sub(s.Start) == 50*time.Millisecond
			default:
				equal(t, "the operation failed", s.Failed, true)
			}
		}
		if client != 2 || server != 2 || !refused || !worked {
			t.Fatalf("%d client and %d server spans, refused %v, worked %v: %+v", client, server, refused, worked, spans)
		}
	}
}
