package mixture

import (
	"math"
	"slices"
	"time"

	"foresail.dev/model/forecast"
)

// averages are the rates of the experts that expect an exponential average: from nearly the last value to the mean of all.
var averages = []float64{0.5, 0.2, 0.05, 0.01, 0.002}

// state is a forecaster: everything learnt from one series, and the forecasts that wait for what comes.
type state struct {
	o        forecast.Options
	m        int
	step     time.Duration
	next     time.Time // when the next value's step starts
	t        int       // values taken in
	observed int       // of them not guessed
	guesses  []bool    // a ring: which of the last m values were
	guessed  int       // how many of them
	periods  []int
	reach    int
	loads    []float64
	averages []float64
	highest  float64
	smallest float64 // above 0
	groups   []*group
	blend    *blend
	hedge    *blend    // of the mixture and the plainest experts
	spreads  []*spread // by step ahead
	waiting  []made    // a ring, by origin
}

// made is what was forecast at one origin.
type made struct {
	experts     [][]float64 // [expert][step]
	hedged      [][]float64 // the same: the mixture, the last value, the season if there is one
	terms       [][]float64 // [step][term]
	quantiles   [][]float64 // [step][level]
	mean, scale []float64
	scales      [][2]float64 // by step: see spread
	unit        float64
}

func newState(history forecast.Series, o forecast.Options) *state {
	s := &state{o: o, m: o.M, step: history.Step, next: history.Start, guesses: make([]bool, o.M), smallest: math.Inf(1)}
	s.periods = forecast.Periods(history, 3)
	l := newLayout(o.M, s.periods, history.Step, len(history.Values))
	lean := leanLayout(o.M)
	s.reach = l.reach + o.M
	s.groups = []*group{
		newGroup(lean, identity, identity, newRegression(lean, 1, 2), newRegression(lean, 0.99, 2)),
		newGroup(l, identity, identity, newRegression(l, 1, 5), newRegression(l, 0.9993, 10)),
		newGroup(l, logOf, expOf, newRegression(l, 1, 5), newRegression(l, 0.9993, 10)),
	}
	s.averages = make([]float64, len(averages))
	experts := 1 + len(averages) + 2*len(s.periods) + s.regressions()
	s.blend = newBlend(o.M, experts, s.regressions())
	hedged := 2 + min(len(s.periods), 1)
	s.hedge = newHedge(o.M, hedged)
	for range o.M {
		s.spreads = append(s.spreads, newSpread(o.Levels))
	}
	s.waiting = make([]made, o.M)
	for i := range s.waiting {
		s.waiting[i] = made{grid(experts, o.M), grid(hedged, o.M), grid(o.M, scaleTerms), grid(o.M, len(o.Levels)), make([]float64, o.M), make([]float64, o.M), make([][2]float64, o.M), 0}
	}
	return s
}

func (s *state) regressions() (n int) {
	for _, g := range s.groups {
		n += len(g.all)
	}
	return n
}

// take takes in the next step's load; NaN: it was not observed, and what was expected stands in for it.
func (s *state) take(load float64) {
	at := s.next
	s.next = at.Add(s.step)
	known := !math.IsNaN(load)
	if !known {
		if s.t == 0 {
			return
		}
		load = s.waiting[(s.t-1)%s.m].mean[0]
	}
	t := s.t
	s.t++
	if known {
		s.judge(t, load)
	}
	slot := &s.guesses[t%s.m]
	if *slot {
		s.guessed--
	}
	if *slot = !known; !known {
		s.guessed++
	}
	for i, a := range averages {
		s.averages[i] += max(a, 1/float64(t+1)) * (load - s.averages[i])
	}
	s.loads = keepLast(append(s.loads, load), s.reach)
	for _, g := range s.groups {
		g.push(t, load, at, 2*s.guessed <= s.m)
	}
	s.forecast(t)
}

// judge learns from load number t how good the forecasts of it were.
func (s *state) judge(t int, load float64) {
	s.observed++
	s.highest = max(s.highest, load)
	if load > 0 {
		s.smallest = min(s.smallest, load)
	}
	for k := 0; k < s.m && k < t; k++ {
		f := &s.waiting[(t-1-k)%s.m]
		s.spreads[k].learn(load, f.terms[k], f.mean[k], f.scales[k], f.unit, f.quantiles[k])
		s.blend.judge(k, f.experts, load)
		s.hedge.judge(k, f.hedged, load)
	}
}

// forecast makes the forecasts from load number t on.
func (s *state) forecast(t int) {
	f := &s.waiting[t%s.m]
	s.ask(t, f.experts)
	f.unit = 1e-6*(s.averages[len(averages)-1]) + 1e-9
	learnt := f.experts[len(f.experts)-s.regressions():]
	for k := range s.m {
		low, high := math.Inf(1), 0.0
		for _, e := range learnt {
			low, high = min(low, e[k]), max(high, e[k])
		}
		sp := s.spreads[k]
		f.hedged[0][k], f.hedged[1][k] = s.blend.of(k, f.experts), f.experts[0][k]
		if len(f.hedged) > 2 {
			f.hedged[2][k] = f.experts[1+len(averages)][k]
		}
		f.mean[k] = s.hedge.of(k, f.hedged)
		sp.terms(f.mean[k], high-low, f.unit, f.terms[k])
		f.scales[k] = sp.scales(f.terms[k], f.unit)
		f.scale[k] = sp.quantiles(f.mean[k], f.scales[k], f.quantiles[k])
	}
}

// ask has every expert say what it expects: the last value, averages, seasons, regressions.
func (s *state) ask(t int, out [][]float64) {
	n := len(s.loads)
	last := s.loads[n-1]
	for k := range s.m {
		out[0][k] = last
		for i, a := range s.averages {
			out[1+i][k] = a
		}
	}
	e := 1 + len(averages)
	for _, p := range s.periods {
		for k := range s.m {
			then := n + k - p*(1+k/p) // the same place in the last season that is over
			v, moved := last, last
			if then >= 0 {
				v, moved = s.loads[then], s.loads[then]
				if now := n - 1 - p; now >= 0 {
					moved = max(last+v-s.loads[now], 0)
				}
			}
			out[e][k], out[e+1][k] = v, moved
		}
		e += 2
	}
	for _, g := range s.groups {
		g.predict(t, 2*s.highest, out[e:e+len(g.all)])
		e += len(g.all)
	}
}

// forecastOf copies what was last made.
func (s *state) forecastOf(history forecast.Series, m int) forecast.Forecast {
	f := &s.waiting[(s.t-1)%s.m]
	out := forecast.New(history, m, slices.Clone(s.o.Levels))
	copy(out.Mean, f.mean)
	copy(out.Scale, f.scale)
	out.Point = make([]float64, m)
	for k := range min(m, s.m) {
		for l := range s.o.Levels {
			out.Quantiles[l][k] = f.quantiles[k][l]
		}
		out.Point[k] = s.spreads[k].relative(f.mean[k], f.scales[k], s.smallest)
	}
	s.beyond(&out, m)
	return out
}

// beyond goes on after the last step that has regressions: a season back where one fits, else level, and less and less sure.
func (s *state) beyond(out *forecast.Forecast, m int) {
	back := 1
	for _, p := range s.periods {
		if p <= s.m {
			back = max(back, p)
		}
	}
	for k := s.m; k < m; k++ {
		wider := math.Sqrt(float64(k+1) / float64(k+1-back))
		from := k - back
		out.Mean[k], out.Point[k], out.Scale[k] = out.Mean[from], out.Point[from], out.Scale[from]*wider
		for l := range out.Quantiles {
			out.Quantiles[l][k] = max(out.Mean[k]+wider*(out.Quantiles[l][from]-out.Mean[k]), 0)
		}
	}
}
