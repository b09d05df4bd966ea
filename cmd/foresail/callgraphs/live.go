package callgraphs

import (
	"slices"
	"sync"
	"time"

	"foresail.dev"
	"foresail.dev/loop"
	"foresail.dev/web"
)

// View is what the page shows.
type View struct {
	Detail
	Times []int64 `json:"times"` // starts of intervals, in ms since 1970
	Over  []Over  `json:"over"`  // by Detail.Endpoints
}

// Over are an endpoint's requests in each interval, by its shapes and then as Times.
type Over struct {
	Requests [][]float64 `json:"requests"`
}

// What the page shows of a run: the last two hours, minute by minute.
const (
	cell      = time.Minute
	mostCells = 120
	// fresh is how long an answer is worth, so that many who look cost no more than one.
	fresh = 2 * time.Second
)

// Live keeps the call graphs of a run for its page. Its events come from the loop's goroutine, questions from any.
type Live struct {
	now func() time.Time

	mu     sync.Mutex
	app    *foresail.App
	began  time.Time            // of what was told
	cells  []*foresail.Snapshot // in order of time; none is changed once it is here
	last   web.CallGraphs
	answer time.Time // when last was found; zero: never
}

// NewLive keeps nothing yet.
func NewLive() *Live { return &Live{now: time.Now} }

// Events tell it what is observed.
func (l *Live) Events() loop.Events {
	return loop.Events{Observed: func(h *foresail.History, s *foresail.Snapshot) { l.observe(h.App(), s) }}
}

func (l *Live) observe(app *foresail.App, s *foresail.Snapshot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.app = app
	if l.began.IsZero() {
		l.began = s.Start
	}
	parts := []*foresail.Snapshot{bare(s)}
	for _, late := range s.Late {
		p := bare(late)
		p.Start, p.End = s.Start, s.End // it counts where it was told
		parts = append(parts, p)
	}
	if !slices.ContainsFunc(parts, func(p *foresail.Snapshot) bool { return p.Has != 0 || len(p.Shapes) > 0 }) {
		return
	}
	n := len(l.cells)
	if n > 0 && l.cells[n-1].Start.Truncate(cell).Equal(s.Start.Truncate(cell)) {
		parts = append([]*foresail.Snapshot{l.cells[n-1]}, parts...)
		n--
	}
	l.cells = append(l.cells[:n:n], foresail.Merge(parts...)) // a copy: who reads has the one before
	if len(l.cells) > mostCells {
		l.cells = l.cells[1:]
	}
}

// CallGraphs is the page's question (web.Config.CallGraphs).
func (l *Live) CallGraphs() web.CallGraphs {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.answer.IsZero() && l.now().Sub(l.answer) < fresh {
		return l.last
	}
	l.last = l.look()
	l.answer = l.now()
	return l.last
}

func (l *Live) look() web.CallGraphs {
	switch {
	case l.began.IsZero():
		return web.CallGraphs{State: "needs", Text: "Nothing was observed yet."}
	case len(l.cells) == 0:
		return web.CallGraphs{State: "needs", Text: noTraces}
	}
	set := NewSet(l.app, nil)
	for _, c := range l.cells {
		set.Add(c, true)
	}
	v := View{Detail: set.Details(0)}
	if len(v.Endpoints) == 0 {
		return web.CallGraphs{State: "needs", Text: "Traces are gathered, and none was found complete yet."}
	}
	all := set.endpoints()
	v.Over = make([]Over, len(all))
	for i := range all {
		v.Over[i].Requests = make([][]float64, len(all[i].shapes))
	}
	for _, p := range set.intervals {
		v.Times = append(v.Times, p.start.UnixMilli())
		for i := range all {
			of, _ := set.of(&all[i], &p)
			for k := range of {
				v.Over[i].Requests[k] = append(v.Over[i].Requests[k], of[k])
			}
		}
	}
	return web.CallGraphs{State: "ready", At: v.To, Result: v}
}

// noTraces says why a run has no call graphs.
const noTraces = "No call graphs are gathered: no traces reach this run, or nothing in it needs call graphs. Where traces reach it, `shapes: {always: true}` in foresail.yaml gathers them."
