package callgraph

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"foresail.dev"
	"foresail.dev/model/callgraph/dist"
)

// graphOf makes a graph of visits and their stages.
func graphOf(t testing.TB, visits []foresail.Visit, stages []dist.Stage) *Graph {
	t.Helper()
	f, err := foresail.NewForm(0, visits)
	if err != nil {
		t.Fatal(err)
	}
	// NewForm sorts siblings: services number the visits, so that stages follow them.
	sorted := make([]dist.Stage, len(stages))
	for i, v := range f.Visits {
		sorted[i] = stages[v.Service]
	}
	g, err := NewGraph(f, sorted)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func mixtureOf(t testing.TB, parts ...Weighted) *Mixture {
	t.Helper()
	m, err := NewMixture(parts...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// fan is an entry that calls n services side by side.
func fan(t testing.TB, entry dist.Stage, callees ...dist.Stage) *Graph {
	visits := []foresail.Visit{{Parent: -1, Times: 1}}
	stages := []dist.Stage{entry}
	for i, s := range callees {
		visits = append(visits, foresail.Visit{Service: foresail.ServiceID(i + 1), Parent: 0, Times: 1})
		stages = append(stages, s)
	}
	return graphOf(t, visits, stages)
}

// chain is stages that call one another.
func chain(t testing.TB, stages ...dist.Stage) *Graph {
	visits := make([]foresail.Visit, len(stages))
	for i := range visits {
		visits[i] = foresail.Visit{Service: foresail.ServiceID(i), Parent: i - 1, Times: 1}
	}
	return graphOf(t, visits, stages)
}

// The longest of n exponentials of rate λ takes H(n)/λ, the n-th harmonic number.
func TestParallelOfAlike(t *testing.T) {
	for _, n := range []int{2, 5, 20} {
		callees := make([]dist.Stage, n)
		harmonic := 0.0
		for i := range callees {
			callees[i] = dist.Exponential(0.003, 100)
			harmonic += 1 / float64(i+1)
		}
		g := fan(t, dist.Fixed(0.001), callees...)
		if want := 0.004 + harmonic/100; math.Abs(g.Mean()/want-1) > 2e-4 {
			t.Errorf("%d side by side: mean %g, want %g", n, g.Mean(), want)
		}
		m := mixtureOf(t, Weighted{g, 1})
		for _, p := range []float64{0.2, 0.5, 0.95, 0.99, 0.999, 0.99999} {
			want := 0.004 - math.Log(-math.Expm1(math.Log(p)/float64(n)))/100
			if got := m.Percentile(p); math.Abs(got/want-1) > 1e-5 {
				t.Errorf("%d side by side: percentile %g is %g, want %g", n, p, got, want)
			}
		}
	}
}

// exactFan is P(T > t) of a sum and, after it, the longest of exponentials: the longest is what remains by inclusion and
// exclusion of shortest ones, which are exponentials again.
func exactFan(before []dist.Term, rates []float64, t float64) float64 {
	above := 0.0
	for set := 1; set < 1<<len(rates); set++ {
		rate := 0.0
		for i, r := range rates {
			if set>>i&1 == 1 {
				rate += r
			}
		}
		v := dist.NewSum(append(slices.Clip(before), dist.Term{Of: &dist.Stage{Rate: rate}, Times: 1})...).Above(t)
		if bits.OnesCount(uint(set))%2 == 1 {
			above += v
		} else {
			above -= v
		}
	}
	return above
}

func TestFanAgainstInclusionAndExclusion(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	type error struct{ above, t float64 } // relative, of P(T > t) at a percentile, and of the percentile
	worst := map[int]map[float64]error{128: {}, 256: {}, 384: {}, 512: {}, 2048: {}}
	for range 40 {
		entry := dist.Exponential(0.01*r.Float64(), math.Exp(6*r.Float64()+2))
		rates := make([]float64, 2+r.IntN(4))
		callees := make([]dist.Stage, len(rates))
		for i := range rates {
			rates[i] = math.Exp(5*r.Float64() + 2)
			callees[i] = dist.Exponential(0, rates[i])
		}
		g := fan(t, entry, callees...)
		m := mixtureOf(t, Weighted{g, 1})
		for cells, w := range worst {
			g.Resolve(cells)
			for _, p := range []float64{0.5, 0.95, 0.99} {
				at := m.Percentile(p)
				want := exactFan([]dist.Term{{Of: &entry, Times: 1}}, rates, at)
				_, density := g.at(at, leastSpill)
				e := math.Abs(want/(1-p) - 1)
				w[p] = error{math.Max(w[p].above, e), math.Max(w[p].t, e*(1-p)/density/at)}
			}
		}
	}
	for cells, w := range worst {
		for p, e := range w {
			t.Logf("%d cells, percentile %g: at most %.2g of itself off, P(T > t) %.2g", cells, p, e.t, e.above)
			if most := map[int]float64{128: 0.02, 256: 0.01, 384: 0.002, 512: 0.002, 2048: 0.0001}[cells]; p > 0.9 && e.t > most {
				t.Errorf("%d cells: percentile %g is off by %g of itself, more than %g", cells, p, e.t, most)
			}
		}
	}
}

// draw is one time of a stage.
func draw(r *rand.Rand, s dist.Stage) float64 {
	if len(s.Parts) == 0 {
		return s.Shift + r.ExpFloat64()/s.Rate
	}
	u := r.Float64()
	for _, p := range s.Parts {
		if u < p.Weight {
			t := s.Shift
			for range p.Order {
				t += r.ExpFloat64() / p.Rate
			}
			return t
		}
		u -= p.Weight
	}
	return s.Shift
}

// play is one request: its latency, and in own, by visit, what it waits for each visit itself.
func play(r *rand.Rand, g *Graph, i int, own []float64) float64 {
	v := g.form.Visits
	total := 0.0
	for range v[i].Times {
		x := draw(r, g.stages[i])
		own[i] += x
		total += x
		for step := 0; ; step++ {
			longest, found := 0.0, false
			var its []float64
			for c := i + 1; c < len(v); c++ {
				if v[c].Parent != i || v[c].Step != step {
					continue
				}
				found = true
				if v[c].Async {
					continue
				}
				mine := make([]float64, len(own))
				if l := play(r, g, c, mine); l > longest {
					longest, its = l, mine
				}
			}
			if !found {
				break
			}
			total += longest
			for k := range its {
				own[k] += its[k]
			}
		}
	}
	return total
}

// anyGraph draws a graph of up to 12 visits with everything in it.
func anyGraph(t testing.TB, r *rand.Rand) *Graph {
	n := 3 + r.IntN(10)
	visits := []foresail.Visit{{Parent: -1, Times: 1}}
	stages := []dist.Stage{anyStage(r)}
	for i := 1; i < n; i++ {
		v := foresail.Visit{Service: foresail.ServiceID(i), Parent: r.IntN(i), Step: r.IntN(2), Times: 1}
		if r.IntN(4) == 0 {
			v.Times = 1 + r.IntN(3)
		}
		v.Async = r.IntN(8) == 0
		visits = append(visits, v)
		stages = append(stages, anyStage(r))
	}
	return graphOf(t, visits, stages)
}

func anyStage(r *rand.Rand) dist.Stage {
	scale := math.Exp(2*r.Float64() - 5)
	switch r.IntN(5) {
	case 0:
		return dist.Fixed(scale / 3)
	case 1:
		w := r.Float64()
		return dist.Stage{Shift: scale / 5, Parts: []dist.Part{{Weight: w, Order: 1, Rate: 0.5 / scale}, {Weight: 1 - w, Order: 4, Rate: 4 / scale}}}
	case 2:
		return dist.Exponential(0, 1/scale)
	}
	return dist.Exponential(scale/2, 1/scale)
}

// Percentiles, and who makes the tail, against requests that are played.
func TestGraphAgainstMonteCarlo(t *testing.T) {
	const requests = 20_000
	r := rand.New(rand.NewPCG(2, 2))
	for trial := range 12 {
		g := anyGraph(t, r)
		n := len(g.stages)
		own := make([]float64, n)
		type request struct {
			t   float64
			own []float64
		}
		all := make([]request, requests)
		for i := range all {
			clear(own)
			all[i].t = play(r, g, 0, own)
			all[i].own = slices.Clone(own)
		}
		slices.SortFunc(all, func(a, b request) int {
			if a.t < b.t {
				return -1
			}
			return 1
		})
		m := mixtureOf(t, Weighted{g, 1})
		for _, p := range []float64{0.5, 0.95} {
			got := m.Percentile(p)
			below := 0
			for _, q := range all {
				if q.t <= got {
					below++
				}
			}
			if e := math.Sqrt(p * (1 - p) / requests); math.Abs(float64(below)/requests-p) > 4.5*e {
				t.Errorf("trial %d: a share %g of requests is below percentile %g, %s", trial, float64(below)/requests, p, g.form.Key())
			}
		}
		tail, err := m.Tail(0.9)
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for v := range n {
			var mean, square, total float64
			count := 0.0
			for _, q := range all {
				total += q.own[v]
				if q.t > tail.At {
					count++
					mean += q.own[v]
					square += q.own[v] * q.own[v]
				}
			}
			mean /= count
			e := math.Sqrt((square/count-mean*mean)/count) + 1e-4*tail.Mean
			sum += tail.Own[0][v]
			if math.Abs(tail.Own[0][v]-mean) > 4.5*e {
				t.Errorf("trial %d visit %d: %g s in the tail, want %g ± %g", trial, v, tail.Own[0][v], mean, e)
			}
			if all := total / requests; math.Abs(tail.All[0][v]-all) > 0.06*all+1e-4*tail.Mean {
				t.Errorf("trial %d visit %d: %g s of all, want %g", trial, v, tail.All[0][v], all)
			}
		}
		if math.Abs(sum/tail.Mean-1) > 1e-12 {
			t.Errorf("visits add to %g of %g s", sum, tail.Mean)
		}
	}
}

// Derivatives against differences.
func TestGradient(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	var d, other Gradient
	for range 40 {
		g, h := anyGraph(t, r), anyGraph(t, r)
		m := mixtureOf(t, Weighted{g, 0.3}, Weighted{h, 0.7})
		at := m.Percentile(0.9)
		m.Gradient(at, &d)
		if math.Abs(d.Above-0.1) > 1e-9 {
			t.Fatalf("above percentile 90 is %g", d.Above)
		}
		const e = 1e-5
		m.Gradient(at+e*at, &other)
		if slope := (other.Above - d.Above) / (e * at); math.Abs(slope+d.Density) > 1e-3*d.Density+1e-3 {
			t.Errorf("density %g, want %g", d.Density, -slope)
		}
		for v := range g.stages {
			was := g.Stage(v)
			up := was
			if !was.IsFixed() {
				up.Rate = was.Rate * (1 + e)
				up.Parts = slices.Clone(was.Parts)
				for i := range up.Parts {
					up.Parts[i].Rate *= 1 + e
				}
				g.SetStage(v, up)
				if slope := (m.Above(at) - d.Above) / e; math.Abs(slope-d.LogRate[0][v]) > 1e-3*math.Abs(slope)+1e-4 {
					t.Errorf("visit %d of %s: to ln rate %g, want %g", v, g.form.Key(), d.LogRate[0][v], slope)
				}
			}
			up = was
			up.Shift += e * at
			g.SetStage(v, up)
			if slope := (m.Above(at) - d.Above) / (e * at); math.Abs(slope-d.Shift[0][v]) > 1e-3*math.Abs(slope)+1e-3 {
				t.Errorf("visit %d of %s: to shift %g, want %g", v, g.form.Key(), d.Shift[0][v], slope)
			}
			g.SetStage(v, was)
		}
	}
}

// A rare part of an own time that is a thousand times slower leaves percentiles below it as they are.
func TestRareSlowPart(t *testing.T) {
	plain := []dist.Stage{dist.Exponential(0.001, 500), dist.Exponential(0.001, 200), dist.Exponential(0, 300)}
	rare := slices.Clone(plain)
	rare[1] = dist.Stage{Shift: 0.001, Parts: []dist.Part{{Weight: 1 - 1e-5, Order: 1, Rate: 200}, {Weight: 1e-5, Order: 1, Rate: 0.2}}}
	want := mixtureOf(t, Weighted{fan(t, plain[0], plain[1:]...), 1})
	got := mixtureOf(t, Weighted{fan(t, rare[0], rare[1:]...), 1})
	for _, p := range []float64{0.5, 0.95, 0.99} {
		if w, g := want.Percentile(p), got.Percentile(p); math.Abs(g/w-1) > 0.01 {
			t.Errorf("percentile %g is %g, without the rare part %g", p, g, w)
		}
	}
	if g := got.Percentile(1 - 1e-6); math.Abs(g/(math.Log(10)/0.2)-1) > 0.05 {
		t.Errorf("percentile 99.9999 is %g, want the rare part's tenth: %g", g, math.Log(10)/0.2)
	}
}
