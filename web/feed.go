package web

import (
	"crypto/rand"
	"slices"
	"sync"
	"time"

	"foresail.dev"
	"foresail.dev/loop"
)

// Limits of what is kept.
const (
	keepPoints    = 600 // ten minutes of seconds
	keepDecisions = 200
	keepChanges   = 64     // of one decision
	maxEdges      = 20_000 // calls between more pairs than that are not drawn
)

type edge struct{ from, to foresail.ServiceID }

// feed is what the page knows. It is written by the loop's goroutine and read by the streams, under mu; what it hands
// out (summaries, points, reasons) is not changed afterwards, but decisions are replaced.
type feed struct {
	instance string
	title    string
	every    time.Duration
	hold     time.Duration

	mu       sync.Mutex
	seq      uint64        // of the newest change
	changed  chan struct{} // closed, and replaced, at each change
	app      *foresail.App
	appView  *appView
	first    uint64 // updates since before this one need a whole state: the application is another
	judges   []*foresail.Judge
	violated []bool    // by EndpointID: since the newest point
	second   time.Time // end of the newest complete second
	heard    time.Time // end of the newest snapshot that was not stale
	stale    bool
	dropped  float64
	recent   []*foresail.Snapshot
	known    map[edge]struct{}
	now      summary
	points   []*point
	mean     means
	other    string // what the run beside is called; empty: there is none
	beside   beside
	decisionLog
}

// means are over the time since the start in which both were observed.
type means struct{ allocated, used, seconds float64 }

func newFeed(cfg *Config) *feed {
	f := &feed{instance: rand.Text(), title: cfg.Title, every: cfg.Every, hold: cfg.Hold, changed: make(chan struct{})}
	f.mode, f.manager, f.other = cfg.Mode, cfg.Manager, cfg.Beside
	f.follow(cfg.App)
	return f
}

// follow shows another application, or another generation of it. Numbers of services are stable within an application,
// so what was kept stays true unless it is another one.
func (f *feed) follow(app *foresail.App) {
	if f.app == nil || f.app.Name != app.Name || len(app.Services) < len(f.app.Services) || len(app.Endpoints) < len(f.app.Endpoints) {
		f.judges, f.recent, f.points, f.mean = nil, nil, nil, means{}
		f.known = map[edge]struct{}{}
		f.decisionLog.reset()
	}
	f.app, f.appView = app, viewApp(app)
	f.now = summary{}
	f.judges = append(f.judges, judgesOf(app, len(f.judges), f.hold)...)
	f.violated = make([]bool, len(app.Endpoints))
	f.bump()
	f.first = f.seq
}

// bump numbers a change and wakes the streams.
func (f *feed) bump() {
	f.seq++
	close(f.changed)
	f.changed = make(chan struct{})
}

// observed takes a snapshot, and summarises when it completes a second.
func (f *feed) observed(h *foresail.History, s *foresail.Snapshot) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if app := h.App(); app != nil && app != f.app {
		f.follow(app)
	}
	f.dropped += s.Dropped
	if !s.Stale {
		f.heard = s.End
	}
	f.judge(s)
	if sec := h.Seconds(1); len(sec) > 0 && sec[0].End.After(f.second) {
		f.complete(sec[0])
	}
}

// judge notes the endpoints for which s completes a window in violation, for the next point.
func (f *feed) judge(s *foresail.Snapshot) {
	for i, j := range f.judges {
		if j == nil {
			continue
		}
		if w, ok := j.Add(s); ok && w.Violated {
			f.violated[i] = true
		}
	}
}

// complete adds a second.
func (f *feed) complete(s *foresail.Snapshot) {
	f.second, f.stale = s.End, s.Stale
	f.recent = append(f.recent, s)
	for len(f.recent) > 1 && s.End.Sub(f.recent[0].Start) > Recent {
		f.recent = slices.Delete(f.recent, 0, 1)
	}
	for _, e := range s.Edges {
		if len(f.known) < maxEdges && f.inRange(e.From) && f.inRange(e.To) {
			f.known[edge{e.From, e.To}] = struct{}{}
		}
	}
	f.now = summarise(f.app, f.recent, f.known)
	f.bump()
	p := f.point(s)
	for i := range p.Endpoints {
		p.Endpoints[i].Violated, f.violated[i] = f.violated[i], false
	}
	if len(f.points) == keepPoints {
		f.points = slices.Delete(f.points, 0, 1)
	}
	f.points = append(f.points, p)
	f.average(p, s.Duration())
	for i := range f.now.endpoints {
		f.now.endpoints[i].judged(f.judges[i])
	}
}

func (f *feed) inRange(id foresail.ServiceID) bool { return id >= 0 && int(id) < len(f.app.Services) }

// point is a second as the charts show it.
func (f *feed) point(s *foresail.Snapshot) *point {
	one := summarise(f.app, []*foresail.Snapshot{s}, nil)
	p := &point{T: unixMS(s.End), Allocated: one.totals.Allocated, Used: one.totals.Used, Ready: one.totals.Ready, seq: f.seq}
	p.Beside = f.beside.take(p.T)
	for _, e := range one.endpoints {
		p.Endpoints = append(p.Endpoints, endpointPoint{Rate: e.Rate, P50: e.P50, P95: e.P95, P99: e.P99})
	}
	return p
}

func (f *feed) average(p *point, d time.Duration) {
	if !p.Allocated.IsZero() && !p.Used.IsZero() {
		f.mean.allocated += float64(p.Allocated) * d.Seconds()
		f.mean.used += float64(p.Used) * d.Seconds()
		f.mean.seconds += d.Seconds()
	}
	if m := f.mean; m.seconds > 0 {
		t := f.now.totals
		t.MeanAllocated, t.MeanUsed, t.MeanOverS = value(m.allocated/m.seconds), value(m.used/m.seconds), value(m.seconds)
	}
}

// judged adds what the judge of the endpoint's objective says; j is nil where there is none.
func (e *endpointNow) judged(j *foresail.Judge) {
	if j == nil || j.Windows == 0 {
		return
	}
	e.Windows, e.Violated, e.Episodes = j.Windows, j.Violated, j.EpisodeCount()
	e.Share, e.Budget = value(j.ViolationShare()), value(j.BudgetLeft())
	e.Status = "met"
	if n := len(j.Episodes); n > 0 && j.Episodes[n-1].End.IsZero() {
		e.Status, e.Since = "violated", unixMS(j.Episodes[n-1].Start)
	}
}

func sortedEdges(known map[edge]struct{}) []edge {
	out := make([]edge, 0, len(known))
	for e := range known {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b edge) int {
		if a.from != b.from {
			return int(a.from - b.from)
		}
		return int(a.to - b.to)
	})
	return out
}

// silent is how long nothing was observed, while that is so.
func (f *feed) silent() value {
	if !f.stale || f.heard.IsZero() {
		return absent
	}
	return value(f.second.Sub(f.heard).Seconds())
}

// since is what changed after update seq, with everything that is true now, and a channel that is closed at the next
// change. whole reports that a client at seq needs a whole state: it has none, or one of another application.
func (f *feed) since(seq uint64) (u *update, next <-chan struct{}, whole bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	whole = seq < f.first || seq > f.seq
	if whole {
		seq = 0
	}
	u = &update{
		Seq: f.seq, Mode: f.mode, Manager: f.manager, Stale: f.stale, SilentS: f.silent(), Dropped: f.dropped,
		Services: f.now.services, Endpoints: f.now.endpoints, Edges: f.now.edges, Totals: f.now.totals,
	}
	if !f.second.IsZero() {
		u.At = unixMS(f.second)
	}
	for i := len(f.points); i > 0 && f.points[i-1].seq > seq; i-- {
		u.Points = f.points[i-1:]
	}
	u.Points = slices.Clone(u.Points)
	f.decisionLog.since(seq, u)
	return u, f.changed, whole
}

// state is everything.
func (f *feed) state() *stateView {
	u, _, _ := f.since(0)
	f.mu.Lock()
	defer f.mu.Unlock()
	title := f.title
	if title == "" {
		title = f.app.Name
	}
	return &stateView{Schema: "foresail.dev/state/v1", Instance: f.instance, Title: title, Every: f.every.Seconds(),
		Recent: Recent.Seconds(), Keep: keepPoints, Beside: f.other, App: f.appView, Now: u}
}

func (f *feed) decided(d loop.Decision) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.decisionLog.add(d, f.app, f.seq+1) {
		f.bump()
	}
}
