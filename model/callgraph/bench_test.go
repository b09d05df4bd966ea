package callgraph

import (
	"math/rand/v2"
	"syscall"
	"testing"

	"foresail.dev"
	"foresail.dev/model/callgraph/dist"
)

// mix draws a mixture of graphs with visits each, of which every fourth child goes on beside the one before where wide.
func mix(t testing.TB, graphs, visits int, wide bool) *Mixture {
	r := rand.New(rand.NewPCG(5, 5))
	parts := make([]Weighted, graphs)
	for i := range parts {
		v := []foresail.Visit{{Parent: -1, Times: 1}}
		s := []dist.Stage{dist.Exponential(0.0005, 1000)}
		step := make([]int, visits)
		for k := 1; k < visits; k++ {
			parent := max(0, k-1-r.IntN(4))
			if !wide || r.IntN(4) > 0 {
				step[parent]++
			}
			v = append(v, foresail.Visit{Service: foresail.ServiceID(k), Parent: parent, Step: step[parent], Times: 1})
			s = append(s, dist.Exponential(0.0002, 200+2000*r.Float64()))
		}
		parts[i] = Weighted{graphOf(t, v, s), 1 / float64(graphs)}
	}
	return mixtureOf(t, parts...)
}

// cpu reports what a benchmark's loop takes of processors: on a machine that others use too, time on the clock says little.
func cpu(b *testing.B) (done func()) {
	used := func() float64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return float64(u.Utime.Nano() + u.Stime.Nano())
	}
	from := used()
	return func() { b.ReportMetric((used()-from)/1e3/float64(b.N), "cpu-us/op") }
}

// change makes everything computed so far out of date.
func (m *Mixture) change() {
	for _, p := range m.parts {
		p.Graph.SetRate(0, p.Graph.stages[0].Rate)
	}
}

// BenchmarkPredict142 finds percentile 99 of a mixture of four graphs of 142 visits in all, with rates changed each time.
func BenchmarkPredict142(b *testing.B) {
	for _, c := range []struct {
		name         string
		graphs, size int
		wide         bool
	}{{"sequential", 4, 35, false}, {"parallel", 4, 35, true}, {"one-graph", 1, 142, true}, {"one-chain", 1, 142, false}} {
		b.Run(c.name, func(b *testing.B) {
			m := mix(b, c.graphs, c.size, c.wide)
			b.ReportAllocs()
			defer cpu(b)()
			for b.Loop() {
				m.change()
				m.Percentile(0.99)
			}
		})
	}
}

// BenchmarkPredict142Parts is the same where every own time is a mixture of eight Erlang distributions, as an empirical one is.
func BenchmarkPredict142Parts(b *testing.B) {
	for _, wide := range []bool{false, true} {
		b.Run(map[bool]string{false: "sequential", true: "parallel"}[wide], func(b *testing.B) {
			m := mix(b, 4, 35, wide)
			for _, p := range m.parts {
				for v := range p.Graph.stages {
					mean := p.Graph.stages[v].Mean()
					parts := make([]dist.Part, 8)
					for k := range parts {
						order := 1 + 9*k
						if k == 7 {
							order = 2
						}
						parts[k] = dist.Part{Weight: 0.125, Order: order, Rate: float64(order) / (mean * (0.4 + 0.2*float64(k)))}
					}
					if err := p.Graph.SetStage(v, dist.Stage{Shift: mean / 5, Parts: parts}); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportAllocs()
			defer cpu(b)()
			for b.Loop() {
				m.change()
				m.Percentile(0.99)
			}
		})
	}
}

// BenchmarkGradient142 is P(T > t) of the same with its derivatives to all rates and shifts.
func BenchmarkGradient142(b *testing.B) {
	for _, c := range []struct {
		name         string
		graphs, size int
		wide         bool
	}{{"sequential", 4, 35, false}, {"parallel", 4, 35, true}, {"one-graph", 1, 142, true}, {"one-chain", 1, 142, false}} {
		b.Run(c.name, func(b *testing.B) {
			m := mix(b, c.graphs, c.size, c.wide)
			t := m.Percentile(0.99)
			var g Gradient
			m.Gradient(t, &g)
			b.ReportAllocs()
			defer cpu(b)()
			for b.Loop() {
				m.change()
				m.Gradient(t, &g)
			}
		})
	}
}

// BenchmarkGradient1000 is the same of 100 graphs of 10 visits each, as a solver wants it: on few cells.
func BenchmarkGradient1000(b *testing.B) {
	for _, c := range []struct {
		name  string
		wide  bool
		cells int
	}{{"sequential", false, 128}, {"parallel-128", true, 128}, {"parallel-512", true, 512}} {
		b.Run(c.name, func(b *testing.B) {
			m := mix(b, 100, 10, c.wide)
			for _, p := range m.parts {
				p.Graph.Resolve(c.cells)
			}
			t := m.Percentile(0.99)
			var g Gradient
			m.Gradient(t, &g)
			b.ReportAllocs()
			defer cpu(b)()
			for b.Loop() {
				m.change()
				m.Gradient(t, &g)
			}
		})
	}
}
