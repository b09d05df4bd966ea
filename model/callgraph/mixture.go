package callgraph

import (
	"errors"
	"fmt"
	"math"

	"foresail.dev/model/callgraph/dist"
)

// Weighted is a graph and the share of requests that take it.
type Weighted struct {
	Graph *Graph
	Share float64
}

// Mixture is the end-to-end latency of an endpoint's requests: of each graph by its share. It is not safe for concurrent
// use. Graphs stay the caller's: SetStage and SetRate on them change the mixture.
type Mixture struct {
	parts   []Weighted
	effects []effect
}

// NewMixture makes a mixture. It refuses shares that don't add to one within 1e-6 (see Normalise) or are below 0, and a mixture
// without graphs. A graph with a share of 0 costs nothing.
func NewMixture(parts ...Weighted) (*Mixture, error) {
	m := &Mixture{parts: append([]Weighted(nil), parts...)}
	shares := make([]float64, len(parts))
	for i, p := range parts {
		if p.Graph == nil {
			return nil, fmt.Errorf("part %d of the mixture has no graph", i)
		}
		shares[i] = p.Share
		m.effects = append(m.effects, newEffect(len(p.Graph.stages)))
	}
	if err := m.SetShares(shares); err != nil {
		return nil, err
	}
	return m, nil
}

// Normalise divides shares by their sum, in place, and gives the sum, for the caller to say how far from one it was. It fails
// where a share is below 0 or not a number, or the sum is 0.
func Normalise(shares []float64) (sum float64, err error) {
	for i, s := range shares {
		if !(s >= 0) || math.IsInf(s, 0) {
			return 0, fmt.Errorf("share %d is %g: a share is a number from 0 on", i, s)
		}
		sum += s
	}
	if sum == 0 {
		return 0, errors.New("all shares are 0: nothing can be said of a mixture of nothing")
	}
	for i := range shares {
		shares[i] /= sum
	}
	return sum, nil
}

// SetShares changes the shares, by the order of NewMixture's parts; it refuses what NewMixture does, and then changes nothing.
func (m *Mixture) SetShares(shares []float64) error {
	if len(shares) != len(m.parts) || len(shares) == 0 {
		return fmt.Errorf("%d shares for %d graphs: one for each, and at least one, is needed", len(shares), len(m.parts))
	}
	sum := 0.0
	for i, s := range shares {
		if !(s >= 0) {
			return fmt.Errorf("share %d of the mixture is %g: a share is from 0 to 1", i, s)
		}
		sum += s
	}
	if math.Abs(sum-1) > 1e-6 {
		return fmt.Errorf("the shares of %d graphs add to %g: they are to add to 1 (Normalise makes them)", len(shares), sum)
	}
	for i, s := range shares {
		m.parts[i].Share = s
	}
	return nil
}

// Mean is the mean latency, in seconds.
func (m *Mixture) Mean() float64 {
	mean := 0.0
	for _, p := range m.parts {
		if p.Share > 0 {
			mean += p.Share * p.Graph.Mean()
		}
	}
	return mean
}

// Above is the probability that a request takes longer than t seconds.
func (m *Mixture) Above(t float64) float64 {
	above := 0.0
	for _, p := range m.parts {
		if p.Share > 0 {
			above += p.Share * p.Graph.Above(t)
		}
	}
	return above
}

// CDF is the probability that a request takes at most t seconds.
func (m *Mixture) CDF(t float64) float64 {
	f := 0.0
	for _, p := range m.parts {
		if p.Share > 0 {
			f += p.Share * p.Graph.CDF(t)
		}
	}
	return f
}

// Percentile is the latency in seconds that a share p of requests does not exceed; NaN unless 0 < p < 1.
func (m *Mixture) Percentile(p float64) float64 { return m.PercentileFrom(p, m.guess()) }

// PercentileFrom is Percentile, found faster where guess is near it.
func (m *Mixture) PercentileFrom(p, guess float64) float64 {
	if !(p > 0 && p < 1) {
		return math.NaN()
	}
	spill := math.Min(leastSpill, (1-p)/1000)
	return dist.Solve(0, math.Inf(1), guess, p, func(t float64) (above, density float64) {
		for _, w := range m.parts {
			if w.Share > 0 {
				a, d := w.Graph.at(t, spill)
				above, density = above+w.Share*a, density+w.Share*d
			}
		}
		return above, density
	})
}

// guess is where the search for a percentile begins.
func (m *Mixture) guess() float64 {
	var mean, square float64
	for _, p := range m.parts {
		if p.Share > 0 {
			a, v := p.Graph.rough()
			mean, square = mean+p.Share*a, square+p.Share*(v+a*a)
		}
	}
	return mean + math.Sqrt(math.Max(square-mean*mean, 0))
}

// Gradient is how Above(t) changes with the stages. Where a visit isn't waited for, numbers are 0.
type Gradient struct {
	Above   float64     // the probability of more than t seconds
	Density float64     // of latency at t, 1/s
	LogRate [][]float64 // [part][visit] d Above / d ln rate: of an exponential's Rate, or of the rates of all Parts together
	Shift   [][]float64 // [part][visit] d Above / d Shift, 1/s
}

// Gradient computes how Above(t) depends on every stage, into out, whose memory is used again. The sensitivity of a percentile
// t is d t / d ln rate = LogRate / Density, and with the rate λ itself d Above / d λ = LogRate / λ.
func (m *Mixture) Gradient(t float64, out *Gradient) {
	out.Above, out.Density = 0, 0
	out.LogRate, out.Shift = resize(out.LogRate, m.parts), resize(out.Shift, m.parts)
	for i, p := range m.parts {
		if p.Share == 0 {
			continue
		}
		e := m.reset(i)
		above, density := p.Graph.evaluate(t, leastSpill, false, e)
		out.Above += p.Share * above
		out.Density += p.Share * density
		for v := range e.logRate {
			out.LogRate[i][v] = p.Share * e.logRate[v]
			out.Shift[i][v] = p.Share * e.shift[v]
		}
	}
}

// reset is the i-th part's effect, all 0.
func (m *Mixture) reset(i int) *effect {
	e := &m.effects[i]
	clear(e.logRate)
	clear(e.shift)
	clear(e.share)
	return e
}

// resize is a with a row for each part and a column for each of its visits, all 0.
func resize(a [][]float64, parts []Weighted) [][]float64 {
	if len(a) != len(parts) {
		a = make([][]float64, len(parts))
	}
	for i, p := range parts {
		if n := len(p.Graph.stages); len(a[i]) != n {
			a[i] = make([]float64, n)
		} else {
			clear(a[i])
		}
	}
	return a
}

// Tail is what requests beyond a latency spend their time on.
type Tail struct {
	At    float64     // s: the latency beyond which the requests are
	Share float64     // of requests beyond it
	Mean  float64     // s: their mean latency; the sum of Own
	Parts []float64   // [part] share of the requests beyond At that take the graph; they add to 1
	Own   [][]float64 // [part][visit] s: mean time that the requests beyond At wait for this visit itself; where callees go on side by side, only the longest is waited for
	All   [][]float64 // [part][visit] s: the same of all requests, so that Own - All is the excess
}

// Tail says who makes up the requests that take longer than percentile p. It fails unless 0 < p < 1, and where no request takes
// longer, since all times are fixed.
func (m *Mixture) Tail(p float64) (*Tail, error) {
	if !(p > 0 && p < 1) {
		return nil, fmt.Errorf("percentile %g: it is between 0 and 1", p)
	}
	t := &Tail{At: m.Percentile(p), Parts: make([]float64, len(m.parts)), Own: resize(nil, m.parts), All: resize(nil, m.parts)}
	for i, w := range m.parts {
		if w.Share == 0 {
			continue
		}
		e := m.reset(i)
		above, _ := w.Graph.evaluate(t.At, math.Min(leastSpill, (1-p)/1000), true, e)
		t.Share += w.Share * above
		t.Parts[i] = w.Share * above
		for v, x := range e.share {
			t.Own[i][v] = w.Share * x
		}
		e = m.reset(i)
		w.Graph.means(e)
		for v, x := range e.share {
			t.All[i][v] = w.Share * x
		}
	}
	if !(t.Share > 1e-13) {
		return nil, fmt.Errorf("no request takes longer than %g s, which is percentile %g: times are fixed", t.At, p)
	}
	for i := range t.Own {
		t.Parts[i] /= t.Share
		for v := range t.Own[i] {
			t.Own[i][v] /= t.Share
			t.Mean += t.Own[i][v]
		}
	}
	return t, nil
}
