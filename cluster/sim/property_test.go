package sim_test

import (
	"math"
	"strconv"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/load"
	"pgregory.net/rapid"
)

// anyBlueprint draws an application whose services call only those after them.
func anyBlueprint(t *rapid.T) *foresail.Blueprint {
	n := rapid.IntRange(1, 6).Draw(t, "services")
	services := make([]foresail.ServiceBlueprint, n)
	for i := range services {
		s := foresail.ServiceBlueprint{
			Workers: rapid.IntRange(0, 4).Draw(t, "workers"),
			Queue:   rapid.IntRange(0, 20).Draw(t, "queue"),
			Pool:    rapid.IntRange(0, 3).Draw(t, "pool"),
			Start:   time.Duration(rapid.IntRange(0, 400).Draw(t, "start ms")) * time.Millisecond,
			Warmup:  time.Duration(rapid.IntRange(0, 400).Draw(t, "warmup ms")) * time.Millisecond, ColdFactor: 2,
			BaseMemory: 1000,
		}
		for k := range rapid.IntRange(1, 2).Draw(t, "operations") {
			s.Operations = append(s.Operations, foresail.Operation{Name: strconv.Itoa(k), Steps: anySteps(t, i, n, 0),
				Request: rapid.Int64Range(1, 1000).Draw(t, "request"), Response: rapid.Int64Range(1, 100_000).Draw(t, "response")})
		}
		services[i] = s
	}
	bp := blueprint(services...)
	bp.App.Endpoints[0].Operation = "0"
	for i := range services { // targets name operations that are there
		for k := range services[i].Operations {
			fixTargets(services, services[i].Operations[k].Steps)
		}
		bp.App.Services[i].Initial = foresail.Allocation{
			Replicas: rapid.IntRange(1, 3).Draw(t, "replicas"), CPU: rapid.Float64Range(0.1, 3).Draw(t, "cpu"),
		}
	}
	bp.Timeouts[0] = anyPatience(t)
	if rapid.Bool().Draw(t, "overheads") {
		us := func(most int, name string) time.Duration {
			return time.Duration(rapid.IntRange(0, most).Draw(t, name)) * time.Microsecond
		}
		bp.Overhead = foresail.Overhead{Caller: us(900, "caller us"), Callee: us(900, "callee us"), Network: us(900, "network us"),
			Users: us(900, "users us"), Stretch: rapid.Float64Range(1, 2).Draw(t, "stretch")}
		if bp.Overhead.Report = us(2000, "report us"); bp.Overhead.Report > 0 {
			bp.Overhead.ReportEvery = 30 * time.Millisecond
		}
	}
	return bp
}

func fixTargets(services []foresail.ServiceBlueprint, steps []foresail.Step) {
	for i := range steps {
		for k := range steps[i].Calls {
			c := &steps[i].Calls[k]
			c.Target.Operation %= len(services[c.Target.Service].Operations)
			fixTargets(services, c.Miss)
		}
	}
}

func anySteps(t *rapid.T, service, services, depth int) []foresail.Step {
	var steps []foresail.Step
	for range rapid.IntRange(0, 3-depth).Draw(t, "steps") {
		s := foresail.Step{Work: foresail.Demand{
			CPU:    foresail.Dist{Shape: foresail.Exponential, Mean: rapid.SampledFrom([]float64{0, 1, 20}).Draw(t, "cpu ms") * ms},
			IO:     foresail.Dist{Shape: foresail.LogNormal, CV: 1, Mean: rapid.SampledFrom([]float64{0, 0, 2}).Draw(t, "io ms") * ms},
			Memory: rapid.Int64Range(0, 100).Draw(t, "memory"),
		}}
		for range rapid.IntRange(0, 2).Draw(t, "calls") {
			if service+1 >= services {
				break
			}
			c := foresail.Call{
				Target: foresail.Target{
					Service: foresail.ServiceID(rapid.IntRange(service+1, services-1).Draw(t, "callee")), Operation: rapid.IntRange(0, 1).Draw(t, "operation"),
				},
				Probability: rapid.SampledFrom([]float64{0.5, 1}).Draw(t, "probability"),
				Repeat:      rapid.IntRange(1, 2).Draw(t, "repeat"),
				Async:       rapid.IntRange(0, 3).Draw(t, "async") == 0,
				Patience:    anyPatience(t),
			}
			if depth < 2 && rapid.IntRange(0, 3).Draw(t, "cached") == 0 {
				c.Cached, c.Hit = true, 0.5
				c.Miss = anySteps(t, service, services, depth+1)
			}
			s.Calls = append(s.Calls, c)
		}
		steps = append(steps, s)
	}
	return steps
}

func anyPatience(t *rapid.T) foresail.Patience {
	return foresail.Patience{
		Timeout: time.Duration(rapid.SampledFrom([]int{0, 5, 50}).Draw(t, "timeout ms")) * time.Millisecond,
		Retries: rapid.IntRange(0, 2).Draw(t, "retries"),
		Backoff: time.Duration(rapid.SampledFrom([]int{0, 3}).Draw(t, "backoff ms")) * time.Millisecond,
	}
}

func anyLoad(t *rapid.T) *load.Load {
	l := during(2*time.Second, rapid.SampledFrom([]float64{5, 50, 200}).Draw(t, "level"))
	if rapid.Bool().Draw(t, "closed") {
		l.Mode = load.Closed
		l.Think = time.Duration(rapid.IntRange(0, 100).Draw(t, "think ms")) * time.Millisecond
		l.Curve[0].From /= 5
	}
	return l
}

// checkSums holds for every snapshot: a service is the sum of its replicas, and nothing is negative.
func checkSums(t *rapid.T, s *foresail.Snapshot) {
	for i := range s.Services {
		u := &s.Services[i]
		var cpu, arrivals, completions, errors, inFlight float64
		ready := 0
		var in, out int64
		for _, r := range u.Replicas {
			cpu += r.CPU
			arrivals += r.Arrivals
			completions += r.Completions
			errors += r.Errors
			inFlight += r.InFlight.Last
			ready += r.Ready
			in += r.NetIn
			out += r.NetOut
			if r.InFlight.Last < 0 || r.InFlight.Mean < 0 || r.InFlight.Mean > r.InFlight.Max || r.Memory < 0 || r.CPU < 0 || r.Throttled < 0 {
				t.Fatalf("impossible replica: %+v", r)
			}
			if r.Gone && (r.Ready != 0 || r.Memory != 0 || r.InFlight.Last != 0) || !r.Gone && r.Memory == 0 {
				t.Fatalf("a replica that is gone holds something, or one that is there holds nothing: %+v", r)
			}
			if r.Throttled > s.Duration() {
				t.Fatalf("throttled for %s of %s", r.Throttled, s.Duration())
			}
		}
		homeless := u.Arrivals - arrivals
		if math.Abs(cpu-u.CPU) > 1e-9 || homeless < 0 || u.Completions-completions != homeless || u.Errors-errors != homeless ||
			inFlight != u.InFlight.Last || ready != u.Ready || u.InFlight.Max < u.InFlight.Mean-1e-9 {
			t.Fatalf("service is not the sum of its replicas: %+v", u)
		}
		if in != u.NetIn || out != u.NetOut || !u.Has.Has(foresail.SignalNetwork) {
			t.Fatalf("the network is not the sum of the replicas': %+v", u)
		}
		if u.Ready < 1 || u.Allocation.Replicas != u.Ready {
			t.Fatalf("%d ready, allocation %s", u.Ready, u.Allocation)
		}
		if u.Latency.Count() != u.Completions-u.Errors {
			t.Fatalf("%v latencies of %v requests of which %v failed", u.Latency.Count(), u.Completions, u.Errors)
		}
		for _, r := range u.Replicas {
			if r.Latency.Count() != r.Completions-r.Errors {
				t.Fatalf("%s has %v latencies of %v requests of which %v failed", r.Name, r.Latency.Count(), r.Completions, r.Errors)
			}
		}
	}
	for _, e := range s.Edges {
		if e.Latency.Count() != e.Calls-e.Errors {
			t.Fatalf("%v latencies of %v calls of which %v failed", e.Latency.Count(), e.Calls, e.Errors)
		}
	}
	for _, e := range s.Endpoints {
		if e.Latency.Count() != e.Requests-e.Errors {
			t.Fatalf("%v latencies of %v requests of which %v failed", e.Latency.Count(), e.Requests, e.Errors)
		}
	}
}

// Requests are conserved: at every instant, what arrived is what was answered and what is in flight; and when nothing
// arrives any more everything is answered and nothing is left behind, whatever was scaled, timed out or taken away.
func TestConservation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bp := anyBlueprint(t)
		spans := 0
		c, err := sim.New(sim.Config{Blueprint: bp, Load: anyLoad(t), Seed: rapid.Uint64().Draw(t, "seed"), NodeCores: rapid.IntRange(1, 8).Draw(t, "cores"),
			DrainLimit: time.Duration(rapid.IntRange(1, 300).Draw(t, "drain ms")) * time.Millisecond,
			TraceShare: 0.5, Spans: func(s []foresail.Span) { spans += len(s) }})
		if err != nil {
			t.Fatal(err)
		}
		arrived, answered := make([]float64, len(bp.Services)), make([]float64, len(bp.Services))
		var sent, ended float64
		beats := 0
		step := func() *foresail.Snapshot {
			s, err := c.Next(background)
			if err != nil {
				t.Fatal(err)
			}
			checkSums(t, s)
			for i := range s.Services {
				u := &s.Services[i]
				arrived[i] += u.Arrivals
				answered[i] += u.Completions
				if arrived[i]-answered[i] != u.InFlight.Last {
					t.Fatalf("beat %d, service %d: %v arrived, %v answered, %v in flight", beats, i, arrived[i], answered[i], u.InFlight.Last)
				}
			}
			checkBytes(t, bp, s)
			sent += s.Endpoints[0].Arrivals
			ended += s.Endpoints[0].Requests
			beats++
			return s
		}
		for range 25 {
			s := step()
			for range rapid.IntRange(0, 2).Draw(t, "changes") {
				id := rapid.IntRange(0, len(bp.Services)-1).Draw(t, "service")
				to := foresail.Allocation{Replicas: rapid.IntRange(1, 4).Draw(t, "to replicas"), CPU: rapid.Float64Range(0.05, 3).Draw(t, "to cpu")}
				if err := c.Apply(background, &foresail.Plan{At: s.End, Changes: []foresail.Change{{Service: foresail.ServiceID(id), To: to}}}); err != nil {
					t.Fatal(err)
				}
			}
		}
		relieve(t, c, len(bp.Services))
		for c.Live() > 0 {
			step()
			if beats > 60_000 {
				t.Fatalf("%d records are still in use", c.Live())
			}
		}
		for range 10 { // starts and ends of draining
			step()
		}
		last := step()
		if sent != ended {
			t.Fatalf("%v requests were sent and %v ended", sent, ended)
		}
		want := 0
		for i := range last.Services {
			want += len(last.Services[i].Replicas)
			if last.Services[i].Pending != nil {
				t.Fatalf("service %d still waits for %s", i, last.Services[i].Pending)
			}
			if m := last.Services[i].Memory; m != int64(1000*last.Services[i].Ready) {
				t.Fatalf("service %d holds %d bytes when idle", i, m)
			}
		}
		if c.Replicas() != want {
			t.Fatalf("%d replicas have a number, %d are told of", c.Replicas(), want)
		}
	})
}

// Little's law, exactly: the time integral of what is in flight is the sum of all times in the system, of requests that
// failed and of those that did not; only these have a latency.
func TestLittlesLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bp := anyBlueprint(t)
		service := map[string]int{}
		for i := range bp.App.Services {
			service[bp.App.Services[i].Name] = i
		}
		area, latency := make([]float64, len(service)), make([]float64, len(service))
		all, succeeded := make([]float64, len(service)), make([]float64, len(service))
		c, err := sim.New(sim.Config{Blueprint: bp, Load: anyLoad(t), Seed: rapid.Uint64().Draw(t, "seed"),
			TraceShare: 1, Spans: func(spans []foresail.Span) {
				for _, s := range spans {
					if s.Kind != foresail.KindServer {
						continue
					}
					i, took := service[s.Service], s.End.Sub(s.Start).Seconds()
					all[i] += took
					if !s.Failed {
						succeeded[i] += took
					}
				}
			}})
		if err != nil {
			t.Fatal(err)
		}
		for beat := 0; beat < 20 || c.Live() > 0; beat++ {
			s, err := c.Next(background)
			if err != nil {
				t.Fatal(err)
			}
			for i := range s.Services {
				area[i] += s.Services[i].InFlight.Mean * s.Duration().Seconds()
				latency[i] += s.Services[i].Latency.Sum()
			}
		}
		for i := range area {
			if math.Abs(area[i]-all[i]) > 1e-6*(1+all[i]) {
				t.Fatalf("service %d: %v request-seconds in flight, %v in the system", i, area[i], all[i])
			}
			if math.Abs(latency[i]-succeeded[i]) > 1e-6*(1+succeeded[i]) {
				t.Fatalf("service %d: %v s of latency, %v of requests that did not fail", i, latency[i], succeeded[i])
			}
		}
	})
}
