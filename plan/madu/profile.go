package madu

import (
	"cmp"
	"math"
	"slices"

	"foresail.dev"
)

// sample is what one minute tells of a service's replicas: those that were ready all the minute, so that neither start-up
// nor draining counts as work. It is of a mean replica.
type sample struct {
	Calls  float64 // in the minute
	CPU    float64 // cores used
	Memory float64 // bytes; 0: not observed
	// Spoilt: the CPU allocated was all used, or calls failed, so that what they would have taken was not seen.
	Spoilt bool
}

// line is a utilisation profile (equations 9 and 10): cores, or bytes, of a replica that gets x calls a minute are
// Slope·x + Base. Neither is negative.
type line struct{ Slope, Base float64 }

// What a profile is fitted to.
const (
	keptSamples = 32   // the newest
	fewSamples  = 16   // up to here each new one is fitted at once, and every fourth from there on
	fullCPU     = 0.9  // of the allocation, from where on a minute's CPU is cut off by it
	failedCalls = 0.02 // of the calls, from where on a minute tells what failing costs
	fewestCalls = 0.1  // a minute, below which a replica tells nothing of what calls cost
	wide        = 0.3  // spread of calls over their median, from where on a slope can be told from a base
)

// profile is what is known of how a service's replicas get on with calls.
type profile struct {
	Samples []sample // oldest first
	Seen    int      // in all
	CPU     line
	Memory  line
	HasCPU  bool
	HasMem  bool
}

// observe takes what a minute tells of a service, and reports whether it told anything. minutes is the snapshot's length.
func (p *profile) observe(st *foresail.ServiceStats, s *foresail.Snapshot, fit *fitter, id int) bool {
	got, ok := sampleOf(st, s)
	if !ok {
		return false
	}
	if len(p.Samples) == keptSamples {
		oldest := max(slices.IndexFunc(p.Samples, func(s sample) bool { return s.Spoilt }), 0) // spoilt ones go first
		p.Samples = slices.Delete(p.Samples, oldest, oldest+1)
	}
	p.Samples = append(p.Samples, got)
	p.Seen++
	if p.Seen <= fewSamples || (p.Seen+id)%4 == 0 {
		p.fit(fit)
	}
	return true
}

// sampleOf reads a minute. Replicas that are not told apart count as alike, if all were ready.
func sampleOf(st *foresail.ServiceStats, s *foresail.Snapshot) (sample, bool) {
	minutes := s.Duration().Minutes()
	cpu := st.Allocation.CPU
	if minutes <= 0 || !st.Has.Has(foresail.SignalCPU|foresail.SignalArrivals|foresail.SignalAllocation) || !(cpu > 0) {
		return sample{}, false
	}
	var sum sample
	n, memories, failed := 0.0, 0.0, 0.0
	for i := range st.Replicas {
		r := &st.Replicas[i]
		if r.Gone || r.Has.Has(foresail.SignalReady) && r.Ready == 0 || r.Started.After(s.Start) || !r.Has.Has(foresail.SignalCPU|foresail.SignalArrivals) {
			continue
		}
		cores, ok := r.Cores(s.Duration())
		if !ok {
			continue
		}
		n++
		sum.Calls += r.Arrivals / minutes
		sum.CPU += cores
		if r.Has.Has(foresail.SignalErrors) {
			failed += r.Errors / minutes
		}
		if r.Has.Has(foresail.SignalMemory) && r.Memory > 0 {
			memories++
			sum.Memory += float64(r.Memory)
		}
	}
	if len(st.Replicas) == 0 {
		if n = float64(st.Allocation.Replicas); st.Pending != nil || st.Has.Has(foresail.SignalReady) && st.Ready != st.Allocation.Replicas {
			return sample{}, false
		}
		cores, ok := st.Cores(s.Duration())
		if !ok {
			return sample{}, false
		}
		sum.Calls, sum.CPU = st.Arrivals/minutes, cores
		if st.Has.Has(foresail.SignalErrors) {
			failed = st.Errors / minutes
		}
		if st.Has.Has(foresail.SignalMemory) && st.Memory > 0 {
			memories, sum.Memory = n, float64(st.Memory)
		}
	}
	if n == 0 || !finite(sum.Calls) || !finite(sum.CPU) {
		return sample{}, false
	}
	sum.Spoilt = failed > failedCalls*sum.Calls || sum.CPU/n >= fullCPU*cpu
	sum.Calls, sum.CPU = sum.Calls/n, sum.CPU/n
	if memories > 0 {
		sum.Memory /= memories
	}
	return sum, true
}

func finite(v float64) bool { return v >= 0 && !math.IsInf(v, 1) }

// fit draws both lines anew. A spoilt minute counts only where there is no other.
func (p *profile) fit(f *fitter) {
	spoilt := slices.IndexFunc(p.Samples, func(s sample) bool { return !s.Spoilt }) < 0
	f.points = f.points[:0]
	for _, s := range p.Samples {
		if s.Calls >= fewestCalls && (spoilt || !s.Spoilt) {
			f.points = append(f.points, xy{s.Calls, s.CPU})
		}
	}
	p.CPU, p.HasCPU = f.line(false)
	f.points = f.points[:0]
	for _, s := range p.Samples {
		if s.Calls >= fewestCalls && s.Memory > 0 {
			f.points = append(f.points, xy{s.Calls, s.Memory})
		}
	}
	p.Memory, p.HasMem = f.line(true)
}

type xy struct{ x, y float64 }

// fitter draws lines after Theil and Sen: the slope is the median of those of all pairs of points, weighted by how far
// apart they are, and the base the median of what is left. Up to 29 % of the points may be anything.
type fitter struct {
	points []xy
	slopes []weighted
	rest   []float64
}

type weighted struct{ v, w float64 }

// line is that of the points; false where there are none. Where they lie too close together to tell a slope from a base, or
// say that calls cost less than nothing, the line is what is sure near them: proportional, or where what is idle is most of
// it (memory), level.
func (f *fitter) line(level bool) (line, bool) {
	n := len(f.points)
	if n == 0 {
		return line{}, false
	}
	f.rest = f.rest[:0]
	for _, p := range f.points {
		f.rest = append(f.rest, p.x)
	}
	slices.Sort(f.rest)
	spread := (f.rest[n-1-n/10] - f.rest[n/10]) / f.rest[n/2]
	if n >= 4 && spread >= wide {
		if slope := f.slope(); slope > 0 {
			if base := f.median(func(p xy) float64 { return p.y - slope*p.x }); base >= 0 {
				return line{slope, base}, true
			}
			level = false
		}
	}
	if level {
		return line{0, f.median(func(p xy) float64 { return p.y })}, true
	}
	return line{f.median(func(p xy) float64 { return p.y / p.x }), 0}, true
}

func (f *fitter) slope() float64 {
	f.slopes = f.slopes[:0]
	total := 0.0
	for i, a := range f.points {
		for _, b := range f.points[i+1:] {
			if d := b.x - a.x; math.Abs(d) > 1e-6 {
				f.slopes = append(f.slopes, weighted{(b.y - a.y) / d, math.Abs(d)})
				total += math.Abs(d)
			}
		}
	}
	slices.SortFunc(f.slopes, func(a, b weighted) int { return cmp.Compare(a.v, b.v) })
	sum := 0.0
	for _, s := range f.slopes {
		if sum += s.w; 2*sum >= total {
			return s.v
		}
	}
	return 0
}

func (f *fitter) median(of func(xy) float64) float64 {
	f.rest = f.rest[:0]
	for _, p := range f.points {
		f.rest = append(f.rest, of(p))
	}
	slices.Sort(f.rest)
	n := len(f.rest)
	return (f.rest[(n-1)/2] + f.rest[n/2]) / 2
}

// containers is equation 12 for one metric: how many replicas keep each at or under what it may use, for so many calls a
// minute. ok is false where no number does, since an idle one uses that much.
func (l line) containers(calls, allowed float64) (n float64, ok bool) {
	if l.Base >= allowed {
		return 0, false
	}
	return math.Ceil(math.Min(l.Slope*calls/(allowed-l.Base), 1e6) - 1e-9), true
}
