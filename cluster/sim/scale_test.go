package sim_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
)

// copies is n copies of an application in one, each by itself, with so many replicas per service. Its endpoints' shares
// follow the copies: a load without a mix gives each the same.
func copies(bp *foresail.Blueprint, n, replicas int) *foresail.Blueprint {
	app := *bp.App
	app.Services, app.Endpoints = nil, nil
	out := &foresail.Blueprint{App: &app}
	for i := range n {
		first := foresail.ServiceID(len(app.Services))
		for k, s := range bp.App.Services {
			s.Name = fmt.Sprintf("%s-%d", s.Name, i)
			s.Initial.Replicas = replicas
			app.Services = append(app.Services, s)
			sb := bp.Services[k]
			sb.Operations = slices.Clone(sb.Operations)
			for o := range sb.Operations {
				sb.Operations[o].Steps = shifted(sb.Operations[o].Steps, first)
			}
			out.Services = append(out.Services, sb)
		}
		for k, e := range bp.App.Endpoints {
			e.Name = fmt.Sprintf("%s-%d", e.Name, i)
			app.Endpoints = append(app.Endpoints, e)
			target := bp.Entries[k]
			target.Service += first
			out.Entries = append(out.Entries, target)
			out.Timeouts = append(out.Timeouts, bp.Timeouts[k])
		}
	}
	return out
}

// shifted is the steps with every callee moved up.
func shifted(steps []foresail.Step, by foresail.ServiceID) []foresail.Step {
	steps = slices.Clone(steps)
	for i := range steps {
		steps[i].Calls = slices.Clone(steps[i].Calls)
		for k := range steps[i].Calls {
			c := &steps[i].Calls[k]
			c.Target.Service += by
			c.Miss = shifted(c.Miss, by)
		}
	}
	return steps
}

// BenchmarkSimScale says what an event costs in a large application over what it costs in a small one. Small is
// apps/social-network.yaml with ten replicas of each of its 36 services at 500 requests/s; large is 278 copies of it in one
// simulation: 10,008 services, 100,080 replicas, 139,000 requests/s. So a request does the same work in both, a replica is
// as busy, and a snapshot has as many replicas for each event; what differs is how much has to be kept in mind at once.
// "sparse" gives both a hundredth of the load, so that a replica is hardly ever in the cache when a request comes to it.
//
// One operation is one beat of the large one and as many of the small one as there are copies, in turns, so that a busy
// machine slows down both; x-small is the median over the turns, and x-small-best compares the fastest turns of both, for a
// machine that has other things to do.
//
// go test -run '^$' -bench SimScale -benchtime 20x ./cluster/sim
func BenchmarkSimScale(b *testing.B) {
	const n, replicas = 278, 10
	for _, v := range []struct {
		name string
		rate float64
		beat time.Duration
	}{{"dense", 500, 100 * time.Millisecond}, {"sparse", 5, time.Second}} {
		b.Run(v.name, func(b *testing.B) {
			bp, err := appfile.ReadApp("../../apps/social-network.yaml")
			if err != nil {
				b.Fatal(err)
			}
			simulate := func(n int) *sim.Cluster {
				return newSim(b, sim.Config{Blueprint: copies(bp, n, replicas), Load: constant(v.rate * float64(n)), Seed: 1, Beat: v.beat})
			}
			small, large := simulate(1), simulate(n)
			spent := func(c *sim.Cluster, beats int) (took time.Duration, events float64) {
				from, before := time.Now(), c.Events()
				for range beats {
					if _, err := c.Next(background); err != nil {
						b.Fatal(err)
					}
				}
				return time.Since(from), float64(c.Events() - before)
			}
			spent(small, 10*n)
			spent(large, 10)
			var smallTook, largeTook time.Duration
			var smallEvents, largeEvents float64
			var ratios []float64
			bestSmall, bestLarge := math.Inf(1), math.Inf(1) // s per event
			for b.Loop() {
				ts, es := spent(small, n)
				tl, el := spent(large, 1)
				smallTook, smallEvents = smallTook+ts, smallEvents+es
				largeTook, largeEvents = largeTook+tl, largeEvents+el
				ratios = append(ratios, tl.Seconds()/el/(ts.Seconds()/es))
				bestSmall, bestLarge = min(bestSmall, ts.Seconds()/es), min(bestLarge, tl.Seconds()/el)
			}
			slices.Sort(ratios)
			b.ReportMetric(ratios[len(ratios)/2], "x-small")
			b.ReportMetric(bestLarge/bestSmall, "x-small-best")
			b.ReportMetric(smallEvents/smallTook.Seconds(), "small-events/s")
			b.ReportMetric(largeEvents/largeTook.Seconds(), "large-events/s")
		})
	}
}
