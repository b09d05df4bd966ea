package label

import (
	"slices"
	"time"

	"foresail.dev"
)

// Nobody is the culprit of an episode of which no late request was traced.
const Nobody foresail.ServiceID = -1

// Cede is the share of a service's excess from which on one that it calls takes the blame: see the package comment, and
// docs/decisions/foresee.md for how it was chosen.
const Cede = 0.3

// Episode is a stretch in which objectives are missed.
type Episode struct {
	Start    time.Time // arrival of the first late or failed request of the first violated window
	Broken   time.Time // end of the beat in which that window had used up what is allowed
	End      time.Time // end of the last violated window
	Over     time.Time // when EpisodeEnd good windows had passed; zero: that was not seen
	Endpoint foresail.EndpointID

	Culprit foresail.ServiceID // Nobody: not known
	Share   float64            // of all excess that was the culprit's, 0..1
	Traced  int                // late requests that the culprit was found from

	first time.Time // end of the first violated window
}

// Labeller takes what was observed, in order, and labels it. It keeps each traced late request, so a run is some hours long.
type Labeller struct {
	app      *foresail.App
	services map[string]foresail.ServiceID
	bounds   map[entry]time.Duration
	judged   []*judged
	normals  map[name]*normal
	sums     map[foresail.ServiceID]excess
	tree     tree
	late     []late
}

// entry is how a root span names its endpoint.
type entry struct{ service, operation string }

// New labels a run of an application. Hold is how long a snapshot waits for late additions, as in foresail.Judge.
func New(app *foresail.App, hold time.Duration) *Labeller {
	l := &Labeller{app: app, services: map[string]foresail.ServiceID{}, bounds: map[entry]time.Duration{}, normals: map[name]*normal{}, sums: map[foresail.ServiceID]excess{}}
	for i := range app.Services {
		l.services[app.Services[i].Name] = foresail.ServiceID(i)
	}
	for i := range app.Endpoints {
		e := &app.Endpoints[i]
		if e.Objective == nil {
			continue
		}
		j := &judged{endpoint: foresail.EndpointID(i), objective: *e.Objective, judge: foresail.NewJudge(foresail.EndpointID(i), *e.Objective)}
		j.judge.Hold = hold
		l.judged = append(l.judged, j)
		l.bounds[entry{app.Services[e.Entry].Name, e.Operation}] = e.Objective.Latency
	}
	return l
}

// Add takes the next snapshot.
func (l *Labeller) Add(s *foresail.Snapshot) {
	for _, j := range l.judged {
		j.add(s)
	}
}

// Episodes are those of all that was taken, in order of Start. Nothing may be added after it.
func (l *Labeller) Episodes() []Episode {
	var all []Episode
	for _, j := range l.judged {
		j.flush()
		all = append(all, j.episodes...)
	}
	slices.SortStableFunc(all, func(a, b Episode) int { return a.Start.Compare(b.Start) })
	out := merge(all)
	slices.SortStableFunc(l.late, func(a, b late) int { return a.arrived.Compare(b.arrived) })
	for i := range out {
		l.find(&out[i])
	}
	return out
}

// merge joins episodes of endpoints that touch. They come in the order of Start.
func merge(all []Episode) (out []Episode) {
	for _, e := range all {
		if n := len(out); n > 0 {
			if o := &out[n-1]; o.Over.IsZero() || !e.Start.After(o.Over) {
				if e.Broken.Before(o.Broken) {
					o.Broken, o.Endpoint = e.Broken, e.Endpoint
				}
				o.End = later(o.End, e.End)
				if o.Over.IsZero() || e.Over.IsZero() {
					o.Over = time.Time{}
				} else {
					o.Over = later(o.Over, e.Over)
				}
				continue
			}
		}
		out = append(out, e)
	}
	return out
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// find sets an episode's culprit.
func (l *Labeller) find(e *Episode) {
	e.Culprit = Nobody
	from, _ := slices.BinarySearchFunc(l.late, e.Start, func(r late, at time.Time) int { return r.arrived.Compare(at) })
	sums := make([]excess, len(l.app.Services))
	calls := map[[2]foresail.ServiceID]bool{}
	for _, r := range l.late[from:] {
		// Where sampling left none until it was broken, those of the window's rest must do.
		if !r.arrived.Before(e.Broken) && (e.Traced > 0 || !r.arrived.Before(e.first)) {
			break
		}
		if len(r.parts) == 0 {
			continue
		}
		e.Traced++
		for _, p := range r.parts {
			sums[p.service].own += p.own
			sums[p.service].link += p.link
		}
		for _, c := range r.calls {
			calls[c] = true
		}
	}
	e.Culprit, e.Share = culprit(sums, calls)
}

// culprit is the service with the most excess, or, as long as there is one, that of those it calls whose own excess is at
// least Cede of all of its: the one with the most.
func culprit(sums []excess, calls map[[2]foresail.ServiceID]bool) (foresail.ServiceID, float64) {
	total, c := 0.0, Nobody
	for s := range sums {
		v := sums[s].sum()
		total += v
		if v > 0 && (c < 0 || v > sums[c].sum()) {
			c = foresail.ServiceID(s)
		}
	}
	if c < 0 {
		return Nobody, 0
	}
	for seen := map[foresail.ServiceID]bool{c: true}; ; seen[c] = true {
		next := Nobody
		for call := range calls {
			to := call[1]
			if call[0] != c || seen[to] || !(sums[to].own > 0 && sums[to].own >= Cede*sums[c].sum()) {
				continue
			}
			if next < 0 || sums[to].own > sums[next].own || sums[to].own == sums[next].own && to < next {
				next = to
			}
		}
		if next < 0 {
			return c, sums[c].sum() / total
		}
		c = next
	}
}
