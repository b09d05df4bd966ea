package profile

import (
	"math"
	"slices"

	"foresail.dev/sketch"
)

// observation is what own times were at a load.
type observation struct {
	End       int64     `json:"end"`  // Unix seconds
	Load      float64   `json:"load"` // visits per second and ready container
	CPU       float64   `json:"cpu,omitempty"`
	Used      float64   `json:"used,omitempty"` // cores that a container used; 0: not known
	Visits    float64   `json:"visits"`         // own times that were observed, at least
	Unsteady  bool      `json:"unsteady,omitempty"`
	Spent     bool      `json:"spent,omitempty"` // containers used up their CPU
	Quantiles quantiles `json:"quantiles"`       // seconds, by levels
	// Published and Likely are the rates of the shifted exponential, 1/seconds; 0: not fitted.
	Published float64 `json:"published,omitempty"`
	Likely    float64 `json:"likely,omitempty"`
}

// operation is what is known of an operation of a service, or of all of them together.
type operation struct {
	name   string
	seen   []observation // ascending by time
	part   pending
	streak int // how many of the newest observations contradict those before; below zero: by being faster
	model  *model
}

// pending is an observation that has too few own times yet.
type pending struct {
	times        *sketch.Sketch
	visits, time float64 // of all visits, and container-seconds
	used         float64 // core-seconds
	ready        int
	cpu          float64
	unsteady     bool
	spent        bool
}

// add takes the own times of an interval; fits says whether exponentials are fitted, too.
func (o *operation) add(times *sketch.Sketch, c circumstances, v *service, cfg Config, fits bool) {
	k := &o.part
	if k.times != nil && (k.ready != c.ready || k.cpu != c.cpu) {
		if told(k.times) >= cfg.Visits/4 {
			o.close(c.end, v, cfg, fits)
		}
		*k = pending{}
	}
	if k.times == nil {
		*k = pending{times: sketch.New(), ready: c.ready, cpu: c.cpu}
	}
	k.times.Merge(times)
	k.visits += c.load * c.time
	k.time += c.time
	k.used += c.used * c.time
	k.unsteady = k.unsteady || c.changed
	k.spent = k.spent || c.spent
	if told(k.times) >= cfg.Visits {
		o.close(c.end, v, cfg, fits)
		*k = pending{}
	}
}

// close makes an observation of what is pending.
func (o *operation) close(end int64, v *service, cfg Config, fits bool) {
	s := OfSketch(o.part.times)
	if s.n == 0 {
		return
	}
	e := observation{End: end, Load: o.part.visits / o.part.time, CPU: o.part.cpu, Used: o.part.used / o.part.time, Visits: s.told, Unsteady: o.part.unsteady, Spent: o.part.spent, Quantiles: s.quantiles()}
	if fits {
		if f, err := Published(s); err == nil {
			e.Published = f.Rate
		}
		if f, err := Likely(s); err == nil {
			e.Likely = f.Rate
		}
	}
	o.contradict(&e, v, cfg)
	o.seen = append(o.seen, e)
	o.forget(cfg)
	o.model = nil
}

// A service has changed when three observations in a row, at loads like ones seen before, have medians that are off by two
// fifths, all to the same side.
const (
	contradictions = 3
	contradicting  = 0.336 // ln 1.4
)

// contradict counts e against what was seen before the streak, and drops that when the streak is long enough.
func (o *operation) contradict(e *observation, v *service, cfg Config) {
	before := v.weighed(o.seen[:len(o.seen)-min(abs(o.streak), len(o.seen))], cfg)
	ks := knots(before, func(b *observation) float64 { return weigh(b, e.End, e.CPU, cfg) })
	load := v.weighed([]observation{*e}, cfg)[0].Load
	if len(ks) == 0 || load < ks[0].load*(1-near) || load > ks[len(ks)-1].load*(1+near) || e.Unsteady || e.Spent {
		return // nothing to compare with: neither for nor against
	}
	q := at(ks, load)
	off := math.Log(e.Quantiles[median]) - q[median]
	switch {
	case off > contradicting && o.streak >= 0:
		o.streak++
	case off < -contradicting && o.streak <= 0:
		o.streak--
	default:
		o.streak = 0
	}
	if abs(o.streak) >= contradictions {
		o.seen = slices.Clone(o.seen[len(o.seen)-min(abs(o.streak)-1, len(o.seen)):])
		o.streak = 0
	}
}

func abs(n int) int { return max(n, -n) }

// forget keeps what is young enough, and where that is too much gives up the oldest of the loads that were seen most often.
func (o *operation) forget(cfg Config) {
	newest := o.seen[len(o.seen)-1].End
	o.seen = slices.DeleteFunc(o.seen, func(e observation) bool { return e.End < newest-int64(cfg.Keep.Seconds()) })
	if len(o.seen) > maxSeen {
		loads := make([]float64, len(o.seen))
		for i := range o.seen {
			loads[i] = o.seen[i].Load
		}
		at := crowded(loads)
		o.seen = slices.Delete(o.seen, at, at+1)
	}
}

// crowded is the first of the loads, oldest first, that has the most others near it.
func crowded(loads []float64) (at int) {
	most := -1
	for i, a := range loads {
		n := 0
		for _, b := range loads {
			if math.Abs(a-b) <= near*max(a, b) {
				n++
			}
		}
		if n > most {
			at, most = i, n
		}
	}
	return at
}

// unsteady is how much an interval counts in which replicas came or went: part of it had another load.
const unsteady = 0.2

// weigh is how much an observation counts at a time and with a CPU: nothing with a CPU more than a tenth different.
func weigh(e *observation, now int64, cpu float64, cfg Config) float64 {
	if e.CPU > 0 && cpu > 0 && math.Abs(e.CPU-cpu) > 0.1*cpu {
		return 0
	}
	w := min(e.Visits, 2000) / 2000 * math.Exp2(-float64(now-e.End)/cfg.HalfLife.Seconds())
	if e.Unsteady {
		w *= unsteady
	}
	return max(w, 1e-9)
}

func (o *operation) weight(e *observation, v *service, cfg Config) float64 {
	return weigh(e, o.seen[len(o.seen)-1].End, v.now.cpu, cfg)
}
