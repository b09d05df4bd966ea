package sim_test

import (
	"fmt"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
)

// benchmarkApplication has the shape of a social network: 3 endpoints, 36 services, caches before stores, fan-out when a
// post is composed.
func benchmarkApplication() *foresail.Blueprint {
	const services = 36
	cpu := func(mean float64) foresail.Step {
		return foresail.Step{Work: foresail.Demand{CPU: foresail.Dist{Shape: foresail.LogNormal, Mean: mean, CV: 0.5}, Memory: 1 << 14}}
	}
	list := make([]foresail.ServiceBlueprint, services)
	for i := range list {
		list[i] = foresail.ServiceBlueprint{Workers: 64, Queue: 512, Pool: 128, Start: time.Second, Warmup: 2 * time.Second, ColdFactor: 2, BaseMemory: 1 << 26}
		list[i].Operations = op(cpu(0.4 * ms))
	}
	to := func(ids ...foresail.ServiceID) (out foresail.Step) {
		for _, id := range ids {
			c := call(id)
			c.Timeout, c.Retries, c.Backoff = 2*time.Second, 1, 10*time.Millisecond
			out.Calls = append(out.Calls, c)
		}
		return out
	}
	cached := func(cache, store foresail.ServiceID) foresail.Step {
		s := to(cache)
		s.Calls[0].Cached, s.Calls[0].Hit, s.Calls[0].Miss = true, 0.8, []foresail.Step{to(store)}
		return s
	}
	// 0 frontend; 1 compose, 2 home timeline, 3 user timeline; 4..11 logic; 12..23 caches; 24..35 stores.
	list[0].Operations = []foresail.Operation{
		{Name: "compose", Steps: []foresail.Step{cpu(0.5 * ms), to(1)}},
		{Name: "home", Steps: []foresail.Step{cpu(0.5 * ms), to(2)}},
		{Name: "user", Steps: []foresail.Step{cpu(0.5 * ms), to(3)}},
	}
	write := to(10, 11)
	write.Calls[1].Async = true
	list[1].Operations = op(cpu(0.5*ms), to(4, 5, 6, 7), to(8, 9), write)
	list[2].Operations = op(cpu(0.5*ms), cached(12, 24), to(8))
	list[3].Operations = op(cpu(0.5*ms), cached(13, 25), to(8))
	for i := 4; i <= 11; i++ {
		list[i].Operations = op(cpu(0.3*ms), cached(foresail.ServiceID(10+i), foresail.ServiceID(22+i)))
	}
	for i := 24; i < 36; i++ {
		s := cpu(0.3 * ms)
		s.Work.IO = foresail.Dist{Shape: foresail.Exponential, Mean: 0.2 * ms}
		list[i].Operations = op(s)
	}
	bp := blueprint(list...)
	bp.App.Endpoints = nil
	bp.Entries, bp.Timeouts = nil, nil
	for i, name := range []string{"compose", "home", "user"} {
		bp.App.Endpoints = append(bp.App.Endpoints, foresail.Endpoint{Name: name, Operation: name,
			Objective: &foresail.Objective{Percentile: 99, Latency: 50 * time.Millisecond}})
		bp.Entries = append(bp.Entries, foresail.Target{Operation: i})
		bp.Timeouts = append(bp.Timeouts, foresail.Patience{Timeout: 5 * time.Second})
	}
	for i := range bp.App.Services {
		bp.App.Services[i].Name = fmt.Sprintf("service-%d", i)
		bp.App.Services[i].Initial = alloc(2, 1)
	}
	return bp
}

// simulateBeats simulates one beat per operation, after a warm-up in which everything grows as large as it gets.
func simulateBeats(b *testing.B, cfg sim.Config, warm int) {
	c := newSim(b, cfg)
	for range warm {
		if _, err := c.Next(background); err != nil {
			b.Fatal(err)
		}
	}
	before, from := c.Events(), c.Offset()
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		if _, err := c.Next(background); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(c.Events()-before)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric((c.Offset()-from).Seconds()/b.Elapsed().Seconds(), "sim-s/s")
}

// BenchmarkSimSocialNetwork simulates apps/social-network.yaml at 500 requests/s. One operation is one beat of 100 ms,
// its snapshot included, which is all that is allocated. "as-filed" has the allocation of the file, which that load
// swamps; "ample" four times its cores; "nodes" runs both on 8 nodes of which everything is limited;
// "contended" gives these two cores each, which all threads compete for.
//
// To compare two trees: go test -run '^$' -bench SimSocialNetwork -count 6 ./cluster/sim > old.txt, the same > new.txt,
// then benchstat old.txt new.txt.
func BenchmarkSimSocialNetwork(b *testing.B) {
	few := usual
	few.Cores = 2
	for _, v := range []struct {
		name  string
		times float64
		nodes []foresail.Node
	}{{"ample", 4, nil}, {"as-filed", 1, nil}, {"ample/nodes", 4, fleet(8, usual)}, {"as-filed/nodes", 1, fleet(8, usual)}, {"ample/contended", 4, fleet(8, few)}} {
		b.Run(v.name, func(b *testing.B) {
			bp, err := appfile.ReadApp("../../apps/social-network.yaml")
			if err != nil {
				b.Fatal(err)
			}
			for i := range bp.App.Services {
				bp.App.Services[i].Initial.CPU *= v.times
			}
			simulateBeats(b, sim.Config{Blueprint: bp, Load: constant(500), Seed: 1, Nodes: v.nodes, Overcommit: true,
				Within: 20 * time.Microsecond, Between: 100 * time.Microsecond}, 200)
		})
	}
}

// BenchmarkSimLarge simulates 10,000 services with ten replicas each, in chains of ten, at 2,000 requests/s. Its beat is
// a second, as a snapshot of 100,000 replicas costs more than the events of 100 ms. "nodes" puts them on 1,000 nodes.
func BenchmarkSimLarge(b *testing.B) {
	const chains, length = 1000, 10
	list := make([]foresail.ServiceBlueprint, chains*length)
	for i := range list {
		list[i] = foresail.ServiceBlueprint{Workers: 16, Queue: 100, Pool: 16}
		steps := []foresail.Step{work(foresail.Exponential, 1*ms)}
		if i%length != length-1 {
			steps = append(steps, calls(call(foresail.ServiceID(i+1))))
		}
		list[i].Operations = op(steps...)
	}
	bp := blueprint(list...)
	bp.App.Endpoints, bp.Entries, bp.Timeouts = nil, nil, nil
	for i := range chains {
		bp.App.Endpoints = append(bp.App.Endpoints, foresail.Endpoint{Name: fmt.Sprint(i)})
		bp.Entries = append(bp.Entries, foresail.Target{Service: foresail.ServiceID(i * length)})
	}
	for i := range bp.App.Services {
		bp.App.Services[i].Name = fmt.Sprintf("service-%d", i)
		bp.App.Services[i].Initial = alloc(10, 1)
	}
	big := usual
	big.Cores, big.Memory = 104, 512<<30
	for name, nodes := range map[string][]foresail.Node{"apart": nil, "nodes": fleet(1000, big)} {
		b.Run(name, func(b *testing.B) {
			simulateBeats(b, sim.Config{Blueprint: bp, Load: constant(2000), Seed: 1, Beat: time.Second, Nodes: nodes}, 3)
		})
	}
}
