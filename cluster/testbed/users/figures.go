package users

import (
	"sync"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed/wire"
)

// figures are what users counted, exactly: no span and no sampling stands between.
type figures struct {
	mu        sync.Mutex
	app       *foresail.App
	endpoints []wire.EndpointFigures
	late      time.Duration // of the newest request, from its intended time
}

func newFigures(app *foresail.App) *figures {
	return &figures{app: app, endpoints: make([]wire.EndpointFigures, len(app.Endpoints))}
}

// behind notes how long after its intended time the newest request is sent.
func (f *figures) behind(d time.Duration) {
	f.mu.Lock()
	f.late = d
	f.mu.Unlock()
}

func (f *figures) sent(e foresail.EndpointID) {
	f.mu.Lock()
	f.endpoints[e].Sent++
	f.mu.Unlock()
}

func (f *figures) ended(e foresail.EndpointID, took time.Duration, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := &f.endpoints[e]
	x.Ended++
	objective := f.app.Endpoints[e].Objective
	switch {
	case err == errOutstanding:
		x.Refused++
		fallthrough
	case err != nil:
		x.Errors++
		x.Late++
	default:
		x.Latency.Add(took.Seconds())
		if objective != nil && took > objective.Latency {
			x.Late++
		}
	}
}

// copy is the figures so far.
func (f *figures) copy(at time.Duration, final bool) *wire.Figures {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := &wire.Figures{At: at, Behind: f.late, Final: final, Endpoints: make([]wire.EndpointFigures, len(f.endpoints))}
	for i := range f.endpoints {
		out.Endpoints[i] = f.endpoints[i]
		out.Endpoints[i].Latency = wire.Sketch{Sketch: *f.endpoints[i].Latency.Clone()}
	}
	return out
}
