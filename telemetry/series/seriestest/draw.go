// Package seriestest draws applications and snapshots of every form, and compares what comes back: for tests of whatever stores or
// sends them.
package seriestest

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"pgregory.net/rapid"

	"foresail.dev"
	"foresail.dev/sketch"
)

// Start is when drawn histories begin.
var Start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// App draws an application of a few services and endpoints, some of them gone.
func App(t *rapid.T) *foresail.App {
	app := &foresail.App{Name: rapid.SampledFrom([]string{"shop", "Soziales Netz", "a\"b\n"}).Draw(t, "application")}
	for i := range rapid.IntRange(1, 4).Draw(t, "services") {
		app.Services = append(app.Services, foresail.Service{Name: fmt.Sprintf("service-%d", i)})
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "endpoints") {
		app.Endpoints = append(app.Endpoints, foresail.Endpoint{Name: fmt.Sprintf("GET /%d{a=\"b\"}", i), Gone: rapid.Bool().Draw(t, "gone")})
	}
	return app
}

// Snapshots draws up to most snapshots of app that follow each other, with a gap now and then.
func Snapshots(t *rapid.T, app *foresail.App, most int) []*foresail.Snapshot {
	var out []*foresail.Snapshot
	at := Start
	for range rapid.IntRange(1, most).Draw(t, "snapshots") {
		if rapid.IntRange(0, 5).Draw(t, "gap") == 0 {
			at = at.Add(time.Duration(rapid.IntRange(1, 5000).Draw(t, "gap ms")) * time.Millisecond)
		}
		s := snapshot(t, app, at, time.Duration(rapid.SampledFrom([]int{2, 100, 1000, 1100}).Draw(t, "ms"))*time.Millisecond)
		at = s.End
		out = append(out, s)
	}
	return out
}

var whole = foresail.SignalEdges | foresail.SignalEndpoints | foresail.SignalNodes | foresail.SignalShapes

func snapshot(t *rapid.T, app *foresail.App, start time.Time, d time.Duration) *foresail.Snapshot {
	s := &foresail.Snapshot{Start: start, End: start.Add(d), Generation: rapid.IntRange(0, 3).Draw(t, "generation"),
		Stale: rapid.IntRange(0, 9).Draw(t, "stale") == 0, Has: foresail.Signals(rapid.Uint32().Draw(t, "has")) & whole, Dropped: number(t),
		Services: make([]foresail.ServiceStats, len(app.Services)), Endpoints: make([]foresail.EndpointStats, len(app.Endpoints))}
	for i := range s.Services {
		s.Services[i] = service(t, s.End, d)
	}
	if s.Has.Has(foresail.SignalEndpoints) {
		for i := range s.Endpoints {
			e := foresail.EndpointStats{Arrivals: number(t), Requests: number(t), Errors: number(t), Late: number(t), Latency: latencies(t)}
			if rapid.Bool().Draw(t, "traced") {
				e.Slowest.Latency = duration(t)
				copy(e.Slowest.Trace[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "trace"))
				e.Slowest.Trace[15] |= 1
			}
			if rapid.Bool().Draw(t, "late") {
				e.FirstLate = s.End.Add(-time.Duration(rapid.Int64Range(1, int64(d)).Draw(t, "late ns")))
			}
			s.Endpoints[i] = e
		}
	}
	if s.Has.Has(foresail.SignalEdges) {
		for from := range app.Services {
			for to := range app.Services {
				if rapid.IntRange(0, 3).Draw(t, "called") == 0 {
					s.Edges = append(s.Edges, foresail.EdgeStats{From: foresail.ServiceID(from), To: foresail.ServiceID(to), Calls: number(t), Errors: number(t), Latency: latencies(t)})
				}
			}
		}
	}
	if s.Has.Has(foresail.SignalNodes) {
		for i := range 3 {
			if rapid.Bool().Draw(t, "heard") {
				n := foresail.NodeStats{Name: fmt.Sprintf("node-%d", i), Usage: usage(t, d)}
				if n.Has.Has(foresail.SignalRunnable) {
					n.Runnable = gauge(t)
				}
				if n.Has.Has(foresail.SignalDisk) {
					n.DiskBusy = duration(t)
				}
				s.Nodes = append(s.Nodes, n)
			}
		}
	}
	if s.Has.Has(foresail.SignalShapes) && len(app.Endpoints) > 0 {
		s.Shapes = shapes(t, app)
	}
	return s
}

// shapes draws what was observed of up to three forms of a few.
func shapes(t *rapid.T, app *foresail.App) (out []foresail.ShapeStats) {
	last := foresail.ServiceID(len(app.Services) - 1)
	for range rapid.IntRange(0, 3).Draw(t, "shapes") {
		visits := []foresail.Visit{{Parent: -1, Times: 1, Operation: rapid.SampledFrom([]string{"", "GET \"/\""}).Draw(t, "operation")}}
		for i := range rapid.IntRange(0, 2).Draw(t, "visits") {
			visits = append(visits, foresail.Visit{Service: last, Operation: "get", Parent: rapid.IntRange(0, i).Draw(t, "parent"), Step: i, Times: 1 + i, Async: i == 1})
		}
		f, err := foresail.NewForm(foresail.EndpointID(rapid.IntRange(0, len(app.Endpoints)-1).Draw(t, "endpoint")), visits)
		if err != nil {
			t.Fatal(err)
		}
		st := foresail.ShapeStats{Form: f, Requests: number(t), Latency: latencies(t), Own: make([]*sketch.Sketch, len(f.Visits))}
		if rapid.Bool().Draw(t, "pooled") {
			st.Pooled = st.Requests / 2
		}
		for i := range st.Own {
			st.Own[i] = latencies(t)
		}
		out = append(out, st)
	}
	slices.SortFunc(out, func(a, b foresail.ShapeStats) int { return cmp.Compare(a.Form.Key(), b.Form.Key()) })
	return slices.CompactFunc(out, func(a, b foresail.ShapeStats) bool { return a.Form.Key() == b.Form.Key() })
}

func service(t *rapid.T, end time.Time, d time.Duration) foresail.ServiceStats {
	s := foresail.ServiceStats{Usage: usage(t, d)}
	if s.Has.Has(foresail.SignalAllocation) {
		s.Allocation = allocation(t)
		if rapid.IntRange(0, 3).Draw(t, "pending") == 0 {
			a := allocation(t)
			s.Pending = &a
		}
	}
	for i := range 3 {
		if rapid.Bool().Draw(t, "runs") {
			r := foresail.ReplicaStats{Name: fmt.Sprintf("pod-%d", i), Node: rapid.SampledFrom([]string{"", "node-0", "node-1"}).Draw(t, "node"),
				Gone: rapid.IntRange(0, 5).Draw(t, "gone") == 0, Usage: usage(t, d)}
			if rapid.Bool().Draw(t, "started") {
				r.Started = end.Add(-time.Duration(rapid.Int64Range(1, 1e12).Draw(t, "age")) * time.Microsecond)
			}
			s.Replicas = append(s.Replicas, r)
		}
	}
	return s
}

func allocation(t *rapid.T) foresail.Allocation {
	a := foresail.Allocation{Replicas: rapid.IntRange(0, 50).Draw(t, "replicas"), CPU: rapid.Float64Range(0, 64).Draw(t, "cores"), Memory: rapid.Int64Range(0, 1<<40).Draw(t, "memory")}
	if rapid.Bool().Draw(t, "settings") {
		a.Settings = map[string]float64{"ways": rapid.Float64Range(-5, 5).Draw(t, "ways"), "x y": 0}
	}
	return a
}

// usage draws what was observed; what was not is zero.
func usage(t *rapid.T, d time.Duration) foresail.Usage {
	u := foresail.Usage{Has: foresail.Signals(rapid.Uint32().Draw(t, "signals")) & foresail.SignalsAll}
	if rapid.IntRange(0, 2).Draw(t, "nothing") == 0 {
		u.Has = 0
	}
	on := func(s foresail.Signals, set func()) {
		if u.Has.Has(s) {
			set()
		}
	}
	on(foresail.SignalReady, func() { u.Ready = rapid.IntRange(0, 9).Draw(t, "ready") })
	on(foresail.SignalCPU, func() {
		if u.CPU = number(t); rapid.Bool().Draw(t, "partly") {
			u.CPUOver = d / 2
		}
	})
	on(foresail.SignalThrottled, func() { u.Throttled = duration(t) })
	on(foresail.SignalMemory, func() { u.Memory = bytes(t) })
	on(foresail.SignalNetwork, func() { u.NetIn, u.NetOut = bytes(t), bytes(t) })
	on(foresail.SignalInFlight, func() { u.InFlight = gauge(t) })
	on(foresail.SignalArrivals, func() { u.Arrivals = number(t) })
	on(foresail.SignalCompletions, func() { u.Completions = number(t) })
	on(foresail.SignalErrors, func() { u.Errors = number(t) })
	on(foresail.SignalLatency, func() { u.Latency = latencies(t) })
	on(foresail.SignalQueue, func() { u.Queue = gauge(t) })
	on(foresail.SignalDisk, func() { u.DiskRead, u.DiskWritten, u.IOWait = bytes(t), bytes(t), duration(t) })
	on(foresail.SignalPressure, func() { u.CPUPressure, u.MemoryPressure, u.IOPressure = duration(t), duration(t), duration(t) })
	on(foresail.SignalRetransmits, func() { u.Retransmits = number(t) })
	on(foresail.SignalCacheMisses, func() { u.CacheMisses = number(t) })
	on(foresail.SignalMemoryTraffic, func() { u.MemoryTraffic = number(t) })
	return u
}

func number(t *rapid.T) float64 { return rapid.Float64Range(0, 1e5).Draw(t, "number") }
func bytes(t *rapid.T) int64    { return rapid.Int64Range(0, 1<<45).Draw(t, "bytes") }
func duration(t *rapid.T) time.Duration {
	return time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "duration"))
}
func gauge(t *rapid.T) foresail.Gauge {
	return foresail.Gauge{Last: number(t), Mean: number(t), Max: number(t)}
}

func latencies(t *rapid.T) *sketch.Sketch {
	n := rapid.IntRange(0, 6).Draw(t, "latencies")
	if n == 0 {
		return nil
	}
	s := sketch.New()
	for range n {
		s.AddN(rapid.SampledFrom([]float64{0, 1e-4, 0.01, 0.0101, 0.2, 3, 4e4}).Draw(t, "latency")*rapid.Float64Range(1, 2).Draw(t, "factor"), rapid.SampledFrom([]float64{1, 1, 2.5, 0.1}).Draw(t, "weight"))
	}
	return s
}

// near reports whether two numbers differ by rounding alone.
func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*(1+math.Abs(a)) }

// order brings replicas and nodes into the order in which they are read back.
func order(s *foresail.Snapshot) {
	for i := range s.Services {
		slices.SortStableFunc(s.Services[i].Replicas, func(a, b foresail.ReplicaStats) int { return cmp.Compare(a.Name, b.Name) })
	}
	slices.SortStableFunc(s.Nodes, func(a, b foresail.NodeStats) int { return cmp.Compare(a.Name, b.Name) })
}
