package label

import "foresail.dev"

// Paths is where the time of requests goes: for each endpoint, how much of it each service has on their critical paths. Requests
// that are late or fail are left out, so that it says what the application is like and not what befell it.
type Paths struct {
	app       *foresail.App
	endpoints map[entry]foresail.EndpointID
	of        []spent
	tree      tree
}

// spent is the time of one endpoint's requests.
type spent struct {
	requests int
	total    float64            // seconds
	by       map[string]float64 // of service
}

// NewPaths begins to look at an application's requests.
func NewPaths(app *foresail.App) *Paths {
	p := &Paths{app: app, endpoints: map[entry]foresail.EndpointID{}, of: make([]spent, len(app.Endpoints))}
	for i := range app.Endpoints {
		e := &app.Endpoints[i]
		if !e.Gone {
			p.endpoints[entry{app.Services[e.Entry].Name, e.Operation}] = foresail.EndpointID(i)
		}
		p.of[i].by = map[string]float64{}
	}
	return p
}

// Spans takes the spans of one trace, as Labeller does.
func (p *Paths) Spans(spans []foresail.Span) {
	root := p.tree.grow(spans)
	if root < 0 {
		return
	}
	r := &spans[root]
	id, ok := p.endpoints[entry{r.Service, r.Operation}]
	if !ok || r.Failed {
		return
	}
	if o := p.app.Endpoints[id].Objective; o != nil && r.End.Sub(r.Start) > o.Latency {
		return
	}
	s := &p.of[id]
	s.requests++
	p.tree.parts = p.tree.parts[:0]
	p.tree.walk(root, r.Start, r.End)
	for _, part := range p.tree.parts {
		s.by[spans[part.span].Service] += part.time.Seconds()
		s.total += part.time.Seconds()
	}
}

// Fewest is how many requests of an endpoint must have been seen before it is compared.
const Fewest = 100

// Moved is the share, 0..1, of the time on critical paths that other services have now than before: of each endpoint half the
// sum of the differences of the services' shares, weighted with the endpoint's time now. An endpoint that there was not
// before has moved as a whole. Ok is false where too little was seen of either.
func (p *Paths) Moved(now *Paths) (moved float64, ok bool) {
	before := map[string]*spent{}
	for i := range p.of {
		if p.of[i].requests >= Fewest && p.of[i].total > 0 {
			before[p.app.Endpoints[i].Name] = &p.of[i]
		}
	}
	total := 0.0
	for i := range now.of {
		n := &now.of[i]
		if n.requests < Fewest || n.total == 0 {
			continue
		}
		total += n.total
		b := before[now.app.Endpoints[i].Name]
		if b == nil {
			moved += n.total
			continue
		}
		for name, v := range n.by { // what some have more is what others have less
			moved += n.total * max(v/n.total-b.by[name]/b.total, 0)
		}
	}
	if len(before) == 0 || total == 0 {
		return 0, false
	}
	return moved / total, true
}
