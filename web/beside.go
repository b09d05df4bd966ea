package web

import (
	"time"

	"foresail.dev"
	"foresail.dev/loop"
)

// beside is another run of the same application, of which the page draws latency and cores beside those of the run that it shows.
type beside struct {
	judges   []*foresail.Judge
	violated []bool // by EndpointID: since the newest second
	second   time.Time
	kept     map[int64]*besidePoint // of seconds that the run which is shown has not come to
}

// besidePoint is one second of it. It is not changed once it is handed out.
type besidePoint struct {
	Allocated value           `json:"cores_allocated,omitzero"`
	Endpoints []endpointPoint `json:"endpoints,omitempty"`
}

// mostKept is how many seconds the other run may be ahead.
const mostKept = 10

// Beside are the events of the run that Config.Beside names. A second of it is drawn when it was told before the same second of the
// run that is shown.
func (s *Server) Beside() loop.Events { return loop.Events{Observed: s.feed.besides} }

func (f *feed) besides(h *foresail.History, s *foresail.Snapshot) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := &f.beside
	if b.kept == nil {
		b.kept = map[int64]*besidePoint{}
		b.judges = judgesOf(h.App(), 0, f.hold)
		b.violated = make([]bool, len(b.judges))
	}
	for i, j := range b.judges {
		if j == nil {
			continue
		}
		if w, ok := j.Add(s); ok && w.Violated {
			b.violated[i] = true
		}
	}
	sec := h.Seconds(1)
	if len(sec) == 0 || !sec[0].End.After(b.second) {
		return
	}
	b.second = sec[0].End
	one := summarise(h.App(), sec[:1], nil)
	p := &besidePoint{Allocated: one.totals.Allocated}
	for i, e := range one.endpoints {
		p.Endpoints = append(p.Endpoints, endpointPoint{P99: e.P99, Violated: i < len(b.violated) && b.violated[i]})
	}
	clear(b.violated)
	if len(b.kept) >= mostKept {
		clear(b.kept)
	}
	b.kept[unixMS(b.second)] = p
}

// take is what there is of a second; nil: nothing.
func (b *beside) take(at int64) *besidePoint {
	p := b.kept[at]
	delete(b.kept, at)
	return p
}

// judgesOf judges the endpoints from a number on; nil where there is no objective.
func judgesOf(app *foresail.App, from int, hold time.Duration) (out []*foresail.Judge) {
	for i := from; i < len(app.Endpoints); i++ {
		var j *foresail.Judge
		if o := app.Endpoints[i].Objective; o != nil {
			j = foresail.NewJudge(foresail.EndpointID(i), *o)
			j.Hold = hold
		}
		out = append(out, j)
	}
	return out
}
