package autopilot

import (
	"errors"
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
	"foresail.dev/plan/histogram"
)

// Borg's histograms have about 400 buckets of growing width; these have a width of 5 % each.
var (
	cpuBuckets    = histogram.Buckets{First: 0.005, Max: 1000, Ratio: 1.05}
	memoryBuckets = histogram.Buckets{First: 1e6, Max: 1e13, Ratio: 1.05}
)

// epsilon is the least weight of a bucket: a sample weighs what it used, which may be next to nothing.
const epsilon = 1e-9

// state is what is remembered, as it is kept over a restart.
type state struct {
	Last     time.Time // end of the newest interval that was sampled
	Services []*usage  // by ServiceID
}

// usage is what is remembered of a service: of its total, or of its replicas where these are sized.
type usage struct {
	CPU, Memory   *histogram.Histogram
	Mean          mean // of CPU
	Samples       int
	First, Newest time.Time
	CPUAsked      recent // recommendations, replicas or cores
	MemoryAsked   recent
	Gone          []value // replicas taken away, within decayOver
}

type value struct {
	At time.Time
	V  float64
}

// mean is weighted by age.
type mean struct {
	Sum, Weight float64 // as worth at At
	At          time.Time
	HalfLife    time.Duration `json:"-"`
}

func (m *mean) add(v float64, at time.Time) {
	f := 1.0
	if m.Weight > 0 && at.After(m.At) {
		f = math.Exp2(-float64(at.Sub(m.At)) / float64(m.HalfLife))
	}
	m.Sum, m.Weight, m.At = m.Sum*f+v, m.Weight*f+1, at
}

func newUsage(halfLife time.Duration) *usage {
	return &usage{CPU: histogram.New(cpuBuckets, halfLife, epsilon), Memory: histogram.New(memoryBuckets, memoryHalfLife, epsilon),
		Mean: mean{HalfLife: halfLife}}
}

// grow makes room for n services.
func (s *state) grow(n int, halfLife time.Duration) {
	s.Services = plan.Grow(s.Services, n, func() *usage { return newUsage(halfLife) })
}

// restart forgets what lies ahead after time has jumped back. The usage seen stays.
func (s *state) restart() {
	s.Last = time.Time{}
	for _, u := range s.Services {
		u.CPUAsked, u.MemoryAsked, u.Gone = nil, nil, nil
	}
}

func restore(b []byte, halfLife time.Duration) (state, error) {
	var s state
	var err error
	s.Last, s.Services, err = plan.Restore(b, func() *usage { return newUsage(halfLife) }, func(u *usage) error {
		if u.CPU == nil || u.Memory == nil || u.Samples < 0 || u.Mean.Weight < 0 {
			return errors.New("no usage")
		}
		return nil
	})
	return s, err
}

// sample takes one interval: of the total, or of each replica. Replicas that are not told apart are taken to be alike.
func (u *usage) sample(replicas bool, st *foresail.ServiceStats, p *foresail.Snapshot) {
	total, ok := st.Cores(p.Duration())
	if !replicas {
		if ok {
			u.add(total, p.End)
		}
		return
	}
	told := false
	for i := range st.Replicas {
		r := &st.Replicas[i]
		if r.Gone || r.Has.Has(foresail.SignalReady) && r.Ready == 0 {
			continue // it starts, or drains: what it does is not its work
		}
		if cores, ok := r.Cores(p.Duration()); ok {
			told = true
			u.add(cores, p.End)
		}
		if r.Has.Has(foresail.SignalMemory) && r.Memory > 0 {
			u.Memory.Add(float64(r.Memory), float64(r.Memory)/(1<<30), p.End)
		}
	}
	if ok && !told && st.Has.Has(foresail.SignalAllocation) && st.Allocation.Replicas > 0 {
		u.add(total/float64(st.Allocation.Replicas), p.End)
	}
}

// add takes a sample of CPU, weighted by what it used: half an hour at a tenth of a core is as much work as three
// minutes at one.
func (u *usage) add(cores float64, at time.Time) {
	if u.Samples == 0 {
		u.First = at
	}
	u.Samples++
	u.Newest = at
	u.CPU.Add(cores, cores, at)
	u.Mean.add(cores, at)
}

func (u *usage) mean() float64 {
	if u.Mean.Weight <= 0 {
		return 0
	}
	return u.Mean.Sum / u.Mean.Weight
}

func (u *usage) over() time.Duration { return u.Newest.Sub(u.First).Round(time.Minute) }

// recent is recommendations, oldest first.
type recent []value

// largest adds the newest recommendation and is the largest of the last while.
func (r *recent) largest(now time.Time, v float64, over time.Duration) float64 {
	kept := (*r)[:0]
	for _, x := range *r {
		if x.At.After(now.Add(-over)) && x.At.Before(now) && x.V > v { // one that is not larger is covered by the newest
			kept = append(kept, x)
		}
	}
	kept = append(kept, value{now, v})
	*r = kept
	return kept[0].V
}

// mayGo is how many of n replicas may still go by slow decay.
func (u *usage) mayGo(now time.Time, n int, share float64) int {
	kept, gone := u.Gone[:0], 0.0
	for _, g := range u.Gone {
		if g.At.After(now.Add(-decayOver)) {
			kept = append(kept, g)
			gone += g.V
		}
	}
	u.Gone = kept
	return max(int(max(math.Floor((float64(n)+gone)*share), 1)-gone), 0)
}

// went notes that replicas were taken away.
func (u *usage) went(now time.Time, n int) {
	if n > 0 {
		u.Gone = append(u.Gone, value{now, float64(n)})
	}
}
