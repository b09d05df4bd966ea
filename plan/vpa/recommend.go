package vpa

import (
	"errors"
	"fmt"
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
	"foresail.dev/plan/histogram"
)

// Upstream's buckets (pkg/recommender/model/aggregations_config.go), and the least weight of a sample.
var (
	cpuBuckets    = histogram.Buckets{First: 0.01, Max: 1000, Ratio: 1.05}
	memoryBuckets = histogram.Buckets{First: 1e7, Max: 1e12, Ratio: 1.05}
)

const (
	minWeight = 0.1
	epsilon   = 0.001 * minWeight
	// peakWindow is how long one peak of memory counts for.
	peakWindow = 24 * time.Hour
	day        = 24 * time.Hour
)

// history is what is remembered of a service's usage.
type history struct {
	CPU, Memory   *histogram.Histogram
	Samples       float64 // of CPU, ever
	First, Newest time.Time
	Updated       time.Time       // when it was last asked to change
	Peaks         map[string]peak // of memory, by replica
}

// peak is the most memory that a replica used in the window that ends at End.
type peak struct {
	Bytes float64
	End   time.Time
}

func newHistory(halfLife time.Duration) *history {
	return &history{CPU: histogram.New(cpuBuckets, halfLife, epsilon), Memory: histogram.New(memoryBuckets, halfLife, epsilon),
		Peaks: map[string]peak{}}
}

// grow makes room for n services.
func (s *state) grow(n int, halfLife time.Duration) {
	s.Services = plan.Grow(s.Services, n, func() *history { return newHistory(halfLife) })
}

func restore(b []byte, halfLife time.Duration) (state, error) {
	var s state
	var err error
	s.Last, s.Services, err = plan.Restore(b, func() *history { return newHistory(halfLife) }, func(past *history) error {
		if past.CPU == nil || past.Memory == nil || past.Samples < 0 {
			return errors.New("no histogram")
		}
		if past.Peaks == nil {
			past.Peaks = map[string]peak{}
		}
		return nil
	})
	return s, err
}

// sample takes one minute of a service.
func (p *history) sample(svc *foresail.Service, st *foresail.ServiceStats, minute *foresail.Snapshot) {
	request, n := svc.Initial.CPU, svc.Initial.Replicas
	if st.Has.Has(foresail.SignalAllocation) {
		request, n = st.Allocation.CPU, st.Allocation.Replicas
	}
	told := false
	for i := range st.Replicas {
		r := &st.Replicas[i]
		if cores, ok := r.Cores(minute.Duration()); ok && !r.Gone {
			told = true
			p.add(cores, request, 1, minute.Start)
		}
		if r.Gone {
			delete(p.Peaks, r.Name)
		} else if r.Has.Has(foresail.SignalMemory) {
			p.peak(r.Name, float64(r.Memory), minute.End)
		}
	}
	// Replicas that are not told apart are taken to be alike.
	if cores, ok := st.Cores(minute.Duration()); ok && !told && n > 0 {
		p.add(cores/float64(n), request, float64(n), minute.Start)
	}
}

// add takes n samples of CPU. A sample weighs as much as its replica asks for: a throttled replica's then count for as
// much as what it would use with more.
func (p *history) add(cores, request, n float64, at time.Time) {
	if p.Samples == 0 || at.Before(p.First) {
		p.First = at
	}
	p.Newest = at
	p.Samples += n
	p.CPU.Add(cores, n*max(request, minWeight), at)
}

// peak takes one observation of a replica's memory. The first of a window begins it; a higher one within it takes the
// place of the peak so far, so that each replica has one sample a window.
func (p *history) peak(replica string, bytes float64, at time.Time) {
	k, ok := p.Peaks[replica]
	switch {
	case ok && at.Before(k.End) && bytes <= k.Bytes:
		return
	case ok && at.Before(k.End):
		p.Memory.Subtract(k.Bytes, 1, k.End)
	default:
		if !ok {
			k.End = at
		}
		k.End = k.End.Add(at.Sub(k.End).Truncate(peakWindow) + peakWindow)
	}
	k.Bytes = bytes
	p.Peaks[replica] = k
	p.Memory.Add(bytes, 1, k.End)
}

// confidence is the length of the history in days, or what a sample a minute would make of their number, whichever is
// less (getConfidence of pkg/recommender/logic/estimator.go).
func (p *history) confidence() float64 {
	return min(float64(p.Newest.Sub(p.First))/float64(day), p.Samples/(60*24))
}

// multiplier is (1 + m/confidence)^exponent: without history infinite for a positive exponent, 0 for a negative.
func multiplier(m, exponent, confidence float64) float64 { return math.Pow(1+m/confidence, exponent) }

// estimate is a recommendation for one resource.
type estimate struct{ lower, target, upper float64 }

type recommendation struct {
	cpu    estimate  // cores
	memory *estimate // bytes; nil where memory is not managed or was not observed
}

// recommend is upstream's three estimators, brought into the bounds.
func (m *Manager) recommend(p *history, b foresail.Bounds) recommendation {
	confidence := p.confidence()
	of := func(h *histogram.Histogram, percentile, least, lo, hi float64) estimate {
		at := func(percentile, by float64) float64 {
			v := max(h.Percentile(percentile)*(1+m.c.Margin)*by, least)
			return min(max(v, lo), max(lo, hi))
		}
		return estimate{
			lower:  at(min(lowerPercentile, percentile), multiplier(0.001, -2, confidence)),
			target: at(percentile, 1),
			upper:  at(max(upperPercentile, percentile), multiplier(1, 1, confidence)),
		}
	}
	r := recommendation{cpu: of(p.CPU, m.c.Percentile, m.c.MinCPU, b.MinCPU, b.MaxCPU)}
	if (b.MinMemory > 0 || b.MaxMemory > 0) && !p.Memory.Empty() {
		// Upstream's percentile of memory has a flag of its own with the same default; it is not tuned here.
		e := of(p.Memory, 0.9, float64(m.c.MinMemory), float64(b.MinMemory), float64(b.MaxMemory))
		r.memory = &e
	}
	return r
}

// due is the updater's rule: outside the bounds at once, else when the replicas are old enough and the difference to the
// target, summed over resources, is large enough (AddPod of pkg/updater/priority). An allocation without memory, where it
// is managed, lies outside.
func (r recommendation) due(a foresail.Allocation, old bool, change float64) (why string, ok bool) {
	const rounding = 0.0005 // cores are given in thousandths
	diff := math.Abs(a.CPU-r.cpu.target) / max(a.CPU, 0.001)
	switch {
	case a.CPU < r.cpu.lower-rounding:
		return fmt.Sprintf("%.3f cores are below the lower bound of %.3f", a.CPU, r.cpu.lower), true
	case a.CPU > r.cpu.upper+rounding:
		return fmt.Sprintf("%.3f cores are above the upper bound of %.3f", a.CPU, r.cpu.upper), true
	}
	if e := r.memory; e != nil {
		const mib = 1 << 20
		have := float64(a.Memory)
		diff += math.Abs(have-e.target) / max(have, 1)
		switch {
		case have < e.lower-1:
			return fmt.Sprintf("%.0f MiB are below the lower bound of %.0f", have/mib, e.lower/mib), true
		case have > e.upper+1:
			return fmt.Sprintf("%.0f MiB are above the upper bound of %.0f", have/mib, e.upper/mib), true
		}
	}
	if !old || diff < change {
		return "", false
	}
	return fmt.Sprintf("%.3f cores differ from the target (%.0f %% over resources)", a.CPU, diff*100), true
}
