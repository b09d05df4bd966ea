package autothrottle

import (
	"math"
	"time"

	"foresail.dev"
)

// The captain's constants, as the paper's artefact has them (worker-daemon.py, CaptainScaler).
const (
	period        = 100 * time.Millisecond // of CFS, and of one observation
	perDecision   = 10                     // periods
	usagePeriods  = 50
	initialMargin = 3
	alpha         = 3   // a throttle ratio above alpha times the target raises
	leastCut      = 0.9 // a smaller cut than to this share is not worth it
	deepestCut    = 0.5
	leastCores    = 0.01
	// rounding is how far above the threshold a ratio must be to count as above: 3 periods of 10 are not above 3 × 0.1,
	// which is what sums and products of such numbers make of each other in one order or another.
	rounding = 1e-9
)

// captain keeps one service's throttle ratio near its target. Cores are totals over replicas.
type captain struct {
	Target    float64
	Limit     float64 // what the service should have
	Before    float64 // what it should have before the last decision
	Margin    float64
	Lowered   bool      // the last decision lowered it, and it may still be taken back
	Throttled []float64 // of the periods since the last decision: the share of replicas that were throttled
	Usage     []float64 // cores, of the last usagePeriods, oldest first
	Periods   int       // since the last decision

	Ratio float64 // of the last decision, for reasons
	Why   string  // what the last change was
	Asked float64 // cores last asked for, after bounds; 0: never
	Given float64 // the limit that was asked for with that
}

func newCaptain() captain {
	return captain{Margin: initialMargin, Usage: make([]float64, usagePeriods)}
}

// ratio is the share of the last ten periods that were throttled. Those that are not over, or were before a reset, count
// as not throttled.
func (c *captain) ratio() float64 {
	sum := 0.0
	for _, x := range c.Throttled {
		sum += x
	}
	return sum / perDecision
}

// above reports whether a throttle ratio asks for more.
func (c *captain) above(ratio float64) bool { return ratio > alpha*c.Target+rounding }

// observe takes one period: the share of replicas that were throttled in it, and the cores that were used.
func (c *captain) observe(throttled, cores float64) {
	c.Throttled = append(c.Throttled, throttled)
	if len(c.Throttled) > perDecision {
		c.Throttled = c.Throttled[1:]
	}
	copy(c.Usage, c.Usage[1:])
	c.Usage[len(c.Usage)-1] = cores
	if r := c.ratio(); c.above(r) && c.Lowered {
		c.Limit = 2*c.Before - c.Limit // what was taken is given back, and as much again
		c.Margin += r - c.Target
		c.Throttled, c.Lowered = c.Throttled[:0], false
		c.Ratio, c.Why = r, "the last cut was too deep: it is given back, and as much again"
	}
	if c.Periods++; c.Periods >= perDecision {
		c.decide()
	}
}

// decide is what happens every ten periods.
func (c *captain) decide() {
	r := c.ratio()
	c.Periods, c.Throttled = 0, c.Throttled[:0]
	c.Before, c.Lowered = c.Limit, false
	c.Margin = max(c.Margin+r-c.Target, 0)
	if c.above(r) {
		c.Limit *= 1 + r - alpha*c.Target
		c.Ratio, c.Why = r, "raised by what the ratio is above three times the target"
	} else if most, dev := spread(c.Usage); most+dev*c.Margin <= leastCut*c.Limit {
		c.Limit = max(deepestCut*c.Limit, most+dev*c.Margin)
		c.Lowered = true
		c.Ratio, c.Why = r, "lowered to what was used at most in 5 s and a margin of deviations"
	}
	c.Limit = max(c.Limit, leastCores)
}

// spread is the maximum of v, and its standard deviation as of a sample.
func spread(v []float64) (most, deviation float64) {
	mean, sq := 0.0, 0.0
	for _, x := range v {
		most = max(most, x)
		mean += x / float64(len(v))
	}
	for _, x := range v {
		sq += (x - mean) * (x - mean)
	}
	return most, math.Sqrt(sq / float64(len(v)-1))
}

// periods is what one snapshot says of a service: how many periods it covers, the share of replicas that were throttled
// in each, and the cores used; n is 0 where CPU or throttling was not observed.
//
// The kernel counts throttled periods, which snapshots don't tell; a beat is as long as a period, so a replica that was
// throttled at all in a beat counts as throttled for one. A period is not in step with the beat, so one long wait may
// touch two beats: the ratio comes out higher than the kernel's, by at most a factor of two, and the captain is the more
// generous for it. Of a longer snapshot only the share of time is known, which is less than the share of periods.
func periods(st *foresail.ServiceStats, p *foresail.Snapshot) (n int, throttled, cores float64) {
	over := p.Duration()
	if st.CPUOver > 0 {
		over = st.CPUOver
	}
	cores, ok := st.Cores(p.Duration())
	if !ok || !st.Has.Has(foresail.SignalThrottled) {
		return 0, 0, 0
	}
	n = max(int(math.Round(float64(over)/float64(period))), 1)
	replicas, sum := 0, 0.0
	for i := range st.Replicas {
		r := &st.Replicas[i]
		if r.Gone || !r.Has.Has(foresail.SignalThrottled) || r.Has.Has(foresail.SignalReady) && r.Ready == 0 {
			continue
		}
		replicas++
		sum += throttledShare(r.Throttled, over, n)
	}
	if replicas == 0 { // not told apart: as if one after the other had been throttled
		replicas = 1
		if st.Has.Has(foresail.SignalReady) {
			replicas = max(st.Ready, 1)
		}
		sum = math.Min(math.Ceil(float64(st.Throttled)/float64(over)), float64(replicas))
		if n > 1 {
			sum = math.Min(float64(st.Throttled)/float64(over), float64(replicas))
		}
	}
	return n, sum / float64(replicas), cores
}

func throttledShare(t, over time.Duration, n int) float64 {
	switch {
	case t <= 0:
		return 0
	case n == 1:
		return 1
	default:
		return math.Min(float64(t)/float64(over), 1)
	}
}
