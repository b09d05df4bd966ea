package profile

import (
	"math"
	"slices"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/model/callgraph/dist"
	"foresail.dev/sketch"
)

// Config bounds what a Profiler keeps and how fast it forgets. Zero fields mean the defaults.
type Config struct {
	Visits   float64       // own times that an observation is made of at least: shorter ones are joined; 0: 200
	HalfLife time.Duration // after which an observation counts half beside a new one of the same load; 0: 30 minutes
	Keep     time.Duration // after which it is forgotten; 0: a day
}

// maxSeen bounds the observations that are kept of an operation.
const maxSeen = 48

func (c *Config) defaults() {
	if !(c.Visits > 0) {
		c.Visits = 200
	}
	if c.HalfLife <= 0 {
		c.HalfLife = 30 * time.Minute
	}
	if c.Keep <= 0 {
		c.Keep = 24 * time.Hour
	}
}

// Profiler learns from snapshots how own times of each service's operations depend on load, and predicts them. It is
// deterministic, and used by one goroutine at a time. Its memory is bounded: 48 observations for each operation
// and what sets 16,384 visits of forms apart.
type Profiler struct {
	cfg      Config
	services []service
	visits   map[place]*peculiarity
}

// service is what is known of one service.
type service struct {
	name  string
	ops   []*operation // by name, ascending
	all   operation    // all operations together
	usage []usage      // ascending by time
	ready int          // in the interval before; 0: not known
	now   moment
	costs *weights    // nil: not worked out yet
	sat   *Saturation // the same
}

// moment is what a service was like in the newest interval.
type moment struct{ load, cpu float64 }

// usage is how much CPU a service's containers used at a load.
type usage struct {
	End  int64   `json:"end"`  // Unix seconds
	Load float64 `json:"load"` // visits per second and ready container
	CPU  float64 `json:"cpu"`  // cores that a container has
	Used float64 `json:"used"` // cores that a container used

	Rates []rate `json:"rates,omitempty"` // by operation; absent where no call graphs were observed
}

// New is a profiler that has seen nothing.
func New(cfg Config) *Profiler {
	cfg.defaults()
	return &Profiler{cfg: cfg, visits: map[place]*peculiarity{}}
}

// Observe takes what was observed over an interval, a minute or less, later than those before. What it doesn't say is left
// as it is: without SignalShapes own times, without CPU or allocation saturation, without arrivals the loads are counted by
// shapes. Services without ready replicas tell nothing.
func (p *Profiler) Observe(app *foresail.App, s *foresail.Snapshot) {
	if s == nil || s.Stale || s.Duration() <= 0 {
		return
	}
	for len(p.services) < min(len(app.Services), len(s.Services)) {
		p.services = append(p.services, service{})
	}
	own := p.gather(s)
	p.compare(s, own)
	for i := range min(len(app.Services), len(s.Services)) {
		v := &p.services[i]
		v.name = app.Services[i].Name
		c, ok := v.look(&s.Services[i], s, foresail.ServiceID(i))
		if ok {
			c.used, c.spent = v.spend(&s.Services[i], s, c, own[foresail.ServiceID(i)], p.cfg)
			p.learn(v, own[foresail.ServiceID(i)], c)
			v.all.model = nil // the CPU that containers have, and use, is in models, too
			for _, o := range v.ops {
				o.model = nil
			}
		}
	}
}

// circumstances are those of a service in an interval.
type circumstances struct {
	end     int64   // Unix seconds
	load    float64 // visits per second and ready container
	time    float64 // container-seconds
	cpu     float64 // cores that a container has; 0: not known
	used    float64 // cores that a container used; 0: not known
	ready   int
	changed bool // the number of replicas did, from the interval before, by more than few; or nothing is known of that
	spent   bool // containers used up their CPU, so that own times tell of what queued up, too
}

// few is the share of replicas that may come or go without the load of the others being another.
const few = 0.1

// came is how many of a service's replicas were begun or ended in an interval.
func came(st *foresail.ServiceStats, s *foresail.Snapshot) (n float64) {
	for i := range st.Replicas {
		if r := &st.Replicas[i]; r.Gone || r.Started.After(s.Start) {
			n++
		}
	}
	return n
}

// look reads the circumstances; ok is false where the load is not known.
func (v *service) look(st *foresail.ServiceStats, s *foresail.Snapshot, id foresail.ServiceID) (c circumstances, ok bool) {
	seconds := s.Duration().Seconds()
	c.end = s.End.Unix()
	switch {
	case st.Has.Has(foresail.SignalReady):
		c.ready = st.Ready
	case st.Has.Has(foresail.SignalAllocation):
		c.ready = st.Allocation.Replicas
	}
	if c.ready <= 0 {
		v.ready = 0
		return c, false
	}
	visits := 0.0
	if st.Has.Has(foresail.SignalArrivals) {
		visits = st.Arrivals
	} else {
		for i := range s.Shapes {
			visits += s.Shapes[i].Requests * s.Shapes[i].Form.Calls(id)
		}
	}
	c.time = float64(c.ready) * seconds
	c.load = visits / c.time
	if st.Has.Has(foresail.SignalAllocation) && st.Allocation.CPU > 0 && !math.IsInf(st.Allocation.CPU, 0) {
		c.cpu = st.Allocation.CPU
	}
	c.changed = came(st, s) > few*float64(c.ready)
	if len(st.Replicas) == 0 {
		c.changed = v.ready == 0 || math.Abs(float64(v.ready-c.ready)) > few*float64(max(v.ready, c.ready))
	}
	v.ready = c.ready
	ok = visits > 0 && !math.IsInf(c.load, 0)
	if ok {
		v.now = moment{load: c.load, cpu: c.cpu}
	}
	return c, ok
}

// spend notes how much CPU was used, and says whether that was all there was.
func (v *service) spend(st *foresail.ServiceStats, s *foresail.Snapshot, c circumstances, own []ownTimes, cfg Config) (used float64, spent bool) {
	cores, ok := st.Cores(s.Duration())
	if !ok || c.cpu == 0 || !(cores >= 0) || math.IsInf(cores, 0) {
		return 0, false
	}
	used = cores / float64(c.ready)
	if spent = used >= full*c.cpu; c.changed {
		return used, spent
	}
	v.costs, v.sat = nil, nil
	v.usage = append(v.usage, usage{End: c.end, Load: c.load, CPU: c.cpu, Used: used, Rates: ratesOf(own, c.load)})
	old := func(u usage) bool { return u.End < c.end-int64(cfg.Keep.Seconds()) }
	v.usage = slices.DeleteFunc(v.usage, old)
	if len(v.usage) > maxSeen {
		loads := make([]float64, len(v.usage))
		for i, u := range v.usage {
			loads[i] = u.Load
		}
		at := crowded(loads)
		v.usage = slices.Delete(v.usage, at, at+1)
	}
	return used, spent
}

// gather merges the own times of each operation over shapes, ascending by name.
func (p *Profiler) gather(s *foresail.Snapshot) map[foresail.ServiceID][]ownTimes {
	if !s.Has.Has(foresail.SignalShapes) {
		return nil
	}
	out := map[foresail.ServiceID][]ownTimes{}
	for i := range s.Shapes {
		sh := &s.Shapes[i]
		for k := range min(len(sh.Own), len(sh.Form.Visits)) {
			if sh.Own[k].Count() == 0 {
				continue
			}
			v := &sh.Form.Visits[k]
			list := out[v.Service]
			at, found := slices.BinarySearchFunc(list, v.Operation, func(o ownTimes, name string) int { return strings.Compare(o.operation, name) })
			if !found {
				list = slices.Insert(list, at, ownTimes{operation: v.Operation, times: sketch.New()})
				out[v.Service] = list
			}
			list[at].times.Merge(sh.Own[k])
		}
	}
	for _, list := range out {
		for i := range list {
			if s := OfSketch(list[i].times); s.n > 0 {
				list[i].quantiles = s.quantiles()
			}
		}
	}
	return out
}

type ownTimes struct {
	operation string
	times     *sketch.Sketch
	quantiles quantiles
}

func (p *Profiler) learn(v *service, own []ownTimes, c circumstances) {
	if len(own) == 0 {
		return
	}
	total := sketch.New()
	for _, o := range own {
		total.Merge(o.times)
		at, found := v.find(o.operation)
		if !found {
			if len(v.ops) >= maxOperations {
				continue
			}
			v.ops = slices.Insert(v.ops, at, &operation{name: o.operation})
		}
		v.ops[at].add(o.times, c, v, p.cfg, false)
	}
	v.all.add(total, c, v, p.cfg, true)
}

// maxOperations bounds the operations of a service: names may be hostile.
const maxOperations = 256

func (v *service) find(name string) (int, bool) {
	return slices.BinarySearchFunc(v.ops, name, func(o *operation, name string) int { return strings.Compare(o.name, name) })
}

// Basis is what a prediction rests on.
type Basis string

// The bases, from the surest on.
const (
	BasisSeen      Basis = "seen"      // loads like it were observed
	BasisBelow     Basis = "below"     // less load than was ever observed: own times shrink as they did with load, a standard error less than that, or as the root of what processor sharing makes of them
	BasisBeyond    Basis = "beyond"    // more load than was ever observed: they grow as they did with load, a standard error more than that, or as processor sharing has it
	BasisSaturated Basis = "saturated" // more load than a container's CPU can serve: a thousand times what was seen
	BasisUnknown   Basis = "unknown"   // nothing was observed of the service
)

// Validity says how far a prediction can be trusted.
type Validity struct {
	Basis Basis `json:"basis"`
	// From and To are the least and the largest load observed, visits per second and ready container, at the CPU that
	// containers have now; Anchor that of the newest observation, where a prediction equals what was observed.
	From   float64 `json:"from"`
	To     float64 `json:"to"`
	Anchor float64 `json:"anchor"`
	// Saturation is the load at which containers have no CPU left; 0: not known.
	Saturation   float64 `json:"saturation,omitempty"`
	Observations int     `json:"observations"`
	// Exponential: the stage is a shifted exponential, which comes within a tenth of the percentiles at Anchor.
	Exponential bool `json:"exponential,omitempty"`
	// Steady: there are observations of times in which no replicas came or went and CPU was left. Without, own times are those of
	// whatever befell the service, and say little of load.
	Steady bool `json:"steady,omitempty"`
	// Whole: the operation is not known, and the stage is that of all of the service's operations together.
	Whole bool `json:"whole,omitempty"`
}

// Stage predicts the own time of one visit at a load, visits per second and ready container of the service, all its
// operations together, with as much CPU in each container as in the newest interval. The longer own times are, the larger
// the load, at every quantile. At the load of the newest observation it is what was observed, but for noise. Of an operation
// that was never seen the service's stage is given; of a service that was never seen, the zero Stage.
func (p *Profiler) Stage(s foresail.ServiceID, operation string, load float64) (dist.Stage, Validity) {
	if int(s) < 0 || int(s) >= len(p.services) || !(load >= 0) {
		return dist.Stage{}, Validity{Basis: BasisUnknown}
	}
	v := &p.services[s]
	if at, found := v.find(operation); found && len(v.ops[at].seen) > 0 {
		return v.ops[at].stage(v, load, p.cfg, nil)
	}
	if len(v.all.seen) == 0 {
		return dist.Stage{}, Validity{Basis: BasisUnknown}
	}
	stage, valid := v.all.stage(v, load, p.cfg, nil)
	valid.Whole = true
	return stage, valid
}

// Load is the load of a service in the newest interval in which it was observed, visits per second and ready container, and
// the cores that each container had, 0 where they are not known; ok is false where it never was.
func (p *Profiler) Load(s foresail.ServiceID) (load, cpu float64, ok bool) {
	if int(s) < 0 || int(s) >= len(p.services) || p.services[s].now.load == 0 {
		return 0, 0, false
	}
	now := p.services[s].now
	return now.load, now.cpu, true
}

// Lines is Derm's dependence of a service's rate on load, of both fits of the exponential.
type Lines struct {
	Published Line    `json:"published"` // by the artefact's rule: (a1, b1)
	Likely    Line    `json:"likely"`    // by maximum likelihood: (a2, b2)
	Shift     float64 `json:"shift"`     // seconds, the mean over loads
}

// Line fits the dependence of the rate of a service's own time, all operations together, on load; ok is false where nothing
// was observed.
func (p *Profiler) Line(s foresail.ServiceID) (l Lines, ok bool) {
	if int(s) < 0 || int(s) >= len(p.services) {
		return l, false
	}
	v := &p.services[s]
	var published, likely []Point
	n := 0.0
	for i := range v.all.seen {
		o := &v.all.seen[i]
		w := v.all.weight(o, v, p.cfg)
		if !(w > 0) {
			continue
		}
		n += w
		l.Shift += w * o.Quantiles[0]
		if o.Published > 0 {
			published = append(published, Point{Load: o.Load, Rate: o.Published, Weight: w})
		}
		if o.Likely > 0 {
			likely = append(likely, Point{Load: o.Load, Rate: o.Likely, Weight: w})
		}
	}
	var err [2]error
	l.Published, err[0] = FitLine(published)
	l.Likely, err[1] = FitLine(likely)
	l.Shift /= n
	return l, err[0] == nil && err[1] == nil
}
