package insight

import (
	"slices"
	"time"

	"foresail.dev"
)

// Finder gathers what insights are found in. It is used by one goroutine at a time; what it finds hangs on what it is given alone.
type Finder struct {
	app    *foresail.App
	cfg    Config
	traces structure

	number     map[edge]int // of each edge that was seen
	edges      []edge
	objectives []time.Duration // distinct ones
	judged     []*judged

	begun, end time.Time
	now        tally // the snapshot
	cell       cell
	whole      tally
	calm       tally
	ceiling    []float64 // by service: the most that was ever in flight
	failing    []retried // by edge
	has        foresail.Signals

	pending []violation
	found   found
}

// judged is an endpoint that has an objective.
type judged struct {
	id        foresail.EndpointID
	objective foresail.Objective
	k         int // the objective's latency among the distinct ones
	judge     *foresail.Judge
	open      tally // since its last window ended
}

// violation is a violated window.
type violation struct {
	endpoint *judged
	window   foresail.Window
	began    bool // an episode
	tally
}

// cell is the running second.
type cell struct {
	tally
	endpoints []struct{ requests, late float64 } // by endpoint that is judged
	observed  bool
}

// New is a finder for app, numbered as the snapshots will be.
func New(app *foresail.App, c Config) *Finder {
	f := &Finder{app: app, cfg: c.withDefaults(), number: map[edge]int{}, ceiling: make([]float64, len(app.Services)), found: newFound()}
	f.traces.init()
	for i := range app.Endpoints {
		o := app.Endpoints[i].Objective
		if o == nil {
			continue
		}
		k := slices.Index(f.objectives, o.Latency)
		if k < 0 {
			k = len(f.objectives)
			f.objectives = append(f.objectives, o.Latency)
		}
		id := foresail.EndpointID(i)
		f.judged = append(f.judged, &judged{id: id, objective: *o, k: k, judge: foresail.NewJudge(id, *o)})
	}
	f.cell.endpoints = make([]struct{ requests, late float64 }, len(f.judged))
	return f
}

// AddTrace takes the spans of one request. Of a sampled one, which stands for all requests, it learns which calls an operation makes and
// which nobody waits for; any may become an example. Traces are given before the snapshots.
func (f *Finder) AddTrace(spans []foresail.Span, sampled bool) { f.traces.add(spans, sampled) }

// Add takes the next snapshot. It must be final (late additions applied) and is not kept.
func (f *Finder) Add(s *foresail.Snapshot) {
	if s.Duration() <= 0 {
		return
	}
	if f.begun.IsZero() {
		f.begun = s.Start
	}
	f.end = s.End
	if s.Stale {
		return
	}
	f.take(s)
	f.whole.plus(&f.now, len(f.objectives))
	f.addCell(s)
	for _, j := range f.judged {
		f.judge(j, s)
	}
	if len(f.pending) >= batch {
		f.look()
	}
}

// take reads a snapshot into f.now.
func (f *Finder) take(s *foresail.Snapshot) {
	f.now.reset()
	f.now.start, f.now.end, f.now.observed = s.Start, s.End, s.Duration()
	n := min(len(s.Services), len(f.app.Services))
	f.now.grow(n, 0, 0)
	f.has |= s.Has
	for i := range n {
		v := &s.Services[i]
		f.has |= v.Has
		f.now.services[i].take(v, s.Duration())
		if v.Has.Has(foresail.SignalInFlight) {
			f.ceiling[i] = max(f.ceiling[i], v.InFlight.Max)
		}
	}
	for i := range s.Edges {
		f.takeEdge(&s.Edges[i])
	}
}

func (f *Finder) takeEdge(e *foresail.EdgeStats) {
	if e.Calls <= 0 || int(e.From) >= len(f.app.Services) || int(e.To) >= len(f.app.Services) || e.From < 0 || e.To < 0 {
		return
	}
	key := edge{e.From, e.To}
	k, ok := f.number[key]
	if !ok {
		k = len(f.edges)
		f.number[key] = k
		f.edges = append(f.edges, key)
		f.failing = append(f.failing, retried{})
	}
	f.now.grow(0, k+1, len(f.objectives))
	t := &f.now.edges[k]
	t.calls, t.errors = e.Calls, e.Errors
	if e.Latency == nil || e.Latency.Count() <= 0 {
		return
	}
	t.latency, t.answered, t.longest = e.Latency.Sum(), e.Latency.Count(), e.Latency.Quantile(1)
	for i, o := range f.objectives {
		if t.longest > o.Seconds() {
			f.now.over[k][i] = e.Latency.CountAbove(o.Seconds())
		}
	}
}

// addCell adds f.now to the running cell, and closes cells that are over.
func (f *Finder) addCell(s *foresail.Snapshot) {
	c := &f.cell
	if c.tally.observed > 0 && !c.start.Truncate(cellLength).Equal(s.Start.Truncate(cellLength)) {
		f.closeCell()
	}
	c.plus(&f.now, len(f.objectives))
	if s.Has.Has(foresail.SignalEndpoints) {
		c.observed = true
		for i, j := range f.judged {
			if int(j.id) < len(s.Endpoints) {
				e := &s.Endpoints[j.id]
				c.endpoints[i].requests += e.Requests
				c.endpoints[i].late += e.Late
			}
		}
	}
	if !s.End.Before(c.start.Truncate(cellLength).Add(cellLength)) {
		f.closeCell()
	}
}

func (f *Finder) closeCell() {
	c := &f.cell
	calm := c.observed
	for i, j := range f.judged {
		e := &c.endpoints[i]
		if e.late > e.requests*j.objective.Allowed()*(1+1e-9) {
			calm = false
		}
		*e = struct{ requests, late float64 }{}
	}
	if calm {
		f.calm.plus(&c.tally, len(f.objectives))
	}
	for i := range c.edges {
		f.failing[i].add(&c.edges[i], c.services[f.edges[i].from].ended)
	}
	c.reset()
	c.observed = false
}

// judge gives a snapshot to an endpoint's judge, and keeps the windows that this completes where they are violated.
func (f *Finder) judge(j *judged, s *foresail.Snapshot) {
	windows, violated, episodes := j.judge.Windows, j.judge.Violated, j.judge.EpisodeCount()
	win, _ := j.judge.Add(s)
	windows, violated, episodes = j.judge.Windows-windows, j.judge.Violated-violated, j.judge.EpisodeCount()-episodes
	if windows == 2 || windows == 1 && !win.End.After(s.Start) { // a gap: the window ended before this snapshot, which may have closed its own
		first := foresail.Window{Start: j.open.start, End: j.open.end, Violated: violated == 2 || violated == 1 && (windows == 1 || !win.Violated)}
		if windows == 1 {
			first = win
		}
		began := episodes > 0 && first.Violated
		f.close(j, first, began)
		if began {
			episodes = 0
		}
		windows--
	}
	j.open.plus(&f.now, len(f.objectives))
	if e := int(j.id); s.Has.Has(foresail.SignalEndpoints) && e < len(s.Endpoints) {
		j.open.slowest.Take(s.Endpoints[e].Slowest)
	}
	if windows > 0 {
		f.close(j, win, episodes > 0)
	}
}

func (f *Finder) close(j *judged, w foresail.Window, began bool) {
	if !w.Violated {
		j.open.reset()
		return
	}
	f.pending = append(f.pending, violation{endpoint: j, window: w, began: began, tally: j.open})
	j.open = tally{}
}

// look looks into the violated windows that wait for it.
func (f *Finder) look() {
	for i := range f.pending {
		f.lookInto(&f.pending[i])
	}
	f.pending = f.pending[:0]
}

// Report is what was found so far. The running cell and windows that are not over are left out.
func (f *Finder) Report() *Report {
	f.look()
	r := &Report{From: f.begun, To: f.end, Observed: f.whole.observed, Calm: f.calm.observed, Traces: f.traces.sampled}
	for _, j := range f.judged {
		r.Endpoints = append(r.Endpoints, Endpoint{Name: f.app.Endpoints[j.id].Name, Objective: j.objective, Windows: j.judge.Windows,
			Violated: j.judge.Violated, Episodes: j.judge.EpisodeCount(), Requests: j.judge.Requests, Late: j.judge.Bad})
	}
	r.Missing = f.missing()
	for _, find := range []func() []Insight{f.hotspots, f.chatty, f.cycles, f.blocking, f.fanOut, f.timeouts, f.retries} {
		for _, in := range find() {
			if in.Windows >= f.cfg.MinWindows {
				r.Insights = append(r.Insights, in)
			}
		}
	}
	rank(r.Insights)
	return r
}

// missing says what was not observed.
func (f *Finder) missing() (out []string) {
	tell := func(bad bool, what string) {
		if bad {
			out = append(out, what)
		}
	}
	tell(len(f.judged) == 0, "no endpoint has an objective: nothing is a violation, and nothing can be said of what one costs")
	if f.whole.observed == 0 {
		return append(out, "nothing was observed")
	}
	tell(!f.has.Has(foresail.SignalEndpoints), "endpoints were not observed: violations are not known")
	tell(!f.has.Has(foresail.SignalEdges), "calls between services were not observed: pairs, rings, fan-out, timeouts and retries are not known")
	tell(!f.has.Has(foresail.SignalInFlight) && !f.has.Has(foresail.SignalLatency), "neither requests in flight nor latencies of services were observed: no culprit is known")
	tell(!f.has.Has(foresail.SignalCPU|foresail.SignalAllocation), "CPU and allocations were not observed: whether requests are blocked is not known")
	tell(f.traces.sampled == 0, "no sampled traces: operations are not told apart, nor calls that nobody waits for")
	return out
}
