package compare

import (
	"cmp"
	"math"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
)

// Bounds on what is kept of a run over time.
const (
	maxPoints     = 600     // of a series
	maxCells      = 400_000 // points over all services, while a run goes on
	keptServices  = 8       // whose cores are kept one by one, at least,
	servicePoints = 18_000  // and as many as this is enough for
	maxStretches  = 400     // of violation, for each endpoint
)

// recorder makes a Series, in steps so long that it stays small however long the run and however large the application.
type recorder struct {
	app      *foresail.App
	start    time.Time
	step     time.Duration
	warmup   time.Duration
	n        int
	rate     []float64 // requests
	covered  []float64 // seconds observed
	cores    []float64 // core-seconds, as below
	used     []float64
	replicas []float64
	services [][]float64
	busy     [][]float64 // core-seconds that each used; NaN where that was not observed
	latency  []latencySeries
}

// latencySeries is of an endpoint with an objective. The sketch is of the step at hand alone.
type latencySeries struct {
	id       foresail.EndpointID
	at       int // the step at hand
	sketch   *sketch.Sketch
	points   Points
	violated [][2]float64
}

func newRecorder(app *foresail.App, start time.Time, warmup, length time.Duration) *recorder {
	points := max(min(maxPoints, maxCells/max(len(app.Services), 1)), 60)
	step := time.Second
	for int(length/step) > points {
		step += time.Second
	}
	n := int((length + step - 1) / step)
	r := &recorder{app: app, start: start, step: step, warmup: warmup, n: n}
	for _, p := range []*[]float64{&r.rate, &r.covered, &r.cores, &r.used, &r.replicas} {
		*p = make([]float64, n)
	}
	r.follow(len(app.Services))
	for i, e := range app.Endpoints {
		if e.Objective != nil {
			points := slices.Repeat(Points{math.NaN()}, n)
			r.latency = append(r.latency, latencySeries{id: foresail.EndpointID(i), sketch: sketch.New(), points: points})
		}
	}
	return r
}

// follow makes room for so many services: some come in mid-run.
func (r *recorder) follow(services int) {
	for len(r.services) < services {
		r.services = append(r.services, make([]float64, r.n))
		r.busy = append(r.busy, slices.Repeat([]float64{math.NaN()}, r.n))
	}
}

func (r *recorder) observe(app *foresail.App, s *foresail.Snapshot) {
	r.app = app
	r.follow(len(s.Services))
	at := int(s.Start.Sub(r.start) / r.step)
	if at < 0 || at >= r.n {
		return
	}
	d := s.Duration().Seconds()
	t := s.Totals()
	r.covered[at] += d
	r.cores[at] += t.Cores * d
	r.used[at] += t.Used * d
	r.replicas[at] += t.Replicas * d
	for i := range s.Services {
		if c, ok := s.Services[i].Held(); ok {
			r.services[i][at] += c * d
		}
		if c, ok := s.Services[i].Cores(s.Duration()); ok {
			if b := &r.busy[i][at]; math.IsNaN(*b) {
				*b = c * d
			} else {
				*b += c * d
			}
		}
	}
	for i := range s.Endpoints {
		r.rate[at] += s.Endpoints[i].Requests
	}
	for i := range r.latency {
		l := &r.latency[i]
		if l.at != at {
			l.close(r.app)
			l.at = at
		}
		if int(l.id) < len(s.Endpoints) {
			l.sketch.Merge(s.Endpoints[l.id].Latency)
		}
	}
}

// close writes the step at hand down.
func (l *latencySeries) close(app *foresail.App) {
	if v := quantile(l.sketch, app.Endpoints[l.id].Objective.Percentile/100); v != nil {
		l.points[l.at] = *v
	}
	l.sketch.Reset()
}

// violated notes a window in violation, joined with the one before where they touch.
func (r *recorder) violated(id foresail.EndpointID, w foresail.Window) {
	i := slices.IndexFunc(r.latency, func(l latencySeries) bool { return l.id == id })
	if i < 0 {
		return
	}
	l := &r.latency[i]
	from, to := w.Start.Sub(r.start).Seconds(), w.End.Sub(r.start).Seconds()
	if n := len(l.violated); n > 0 && (from-l.violated[n-1][1] < r.step.Seconds() || n == maxStretches) {
		l.violated[n-1][1] = to
		return
	}
	l.violated = append(l.violated, [2]float64{from, to})
}

func (r *recorder) finish() *Series {
	over := func(sums []float64) Points {
		out := make(Points, len(sums))
		for i, v := range sums {
			out[i] = v / r.covered[i] // NaN where nothing was observed
		}
		return out
	}
	s := &Series{Step: r.step.Seconds(), Warmup: r.warmup.Seconds(),
		Rate: over(r.rate), Cores: over(r.cores), Used: over(r.used), Replicas: over(r.replicas)}
	for _, i := range largest(r.services, max(keptServices, servicePoints/r.n)) {
		s.Services = append(s.Services, ServiceSeries{r.app.Services[i].Name, over(r.services[i]), over(r.busy[i])})
	}
	for i := range r.latency {
		l := &r.latency[i]
		l.close(r.app)
		s.Endpoints = append(s.Endpoints, EndpointSeries{r.app.Endpoints[l.id].Name, l.points, l.violated})
	}
	return s
}

// largest are the indices of the k rows with the largest sums, largest first.
func largest(rows [][]float64, k int) []int {
	sums, order := make([]float64, len(rows)), make([]int, len(rows))
	for i, row := range rows {
		order[i] = i
		for _, v := range row {
			sums[i] += v
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(sums[b], sums[a]) })
	return order[:min(k, len(order))]
}
