package series

import (
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
)

// Observed is what a snapshot says of one service, replica, node, endpoint or edge.
type Observed struct {
	Labels map[string]string  // by name, without the application
	Values map[string]float64 // by Def.Name; of a counter what it gained; what was not observed is not there
	// Slowest is an endpoint's slowest request; zero: none is known.
	Slowest foresail.Exemplar
	// Latency is the sketch of the level's histogram; nil where there is none.
	Latency *sketch.Sketch
}

// Observations lists what a snapshot says at a level, in the snapshot's order; settings are left out.
func Observations(app *foresail.App, s *foresail.Snapshot, l Level) (out []Observed) {
	switch l {
	case Application:
		out = append(out, observe(snapshotFields, s, s.End))
	case Service:
		for i := range s.Services {
			if o := observe(serviceFields, &s.Services[i], s.End, "service", app.Services[i].Name); len(o.Values) > 0 {
				out = append(out, o)
			}
		}
	case Replica:
		for i := range s.Services {
			for j := range s.Services[i].Replicas {
				r := &s.Services[i].Replicas[j]
				out = append(out, observe(replicaFields, r, s.End, "service", app.Services[i].Name, "replica", r.Name, "node", r.Node))
			}
		}
	case Node:
		for i := range s.Nodes {
			out = append(out, observe(nodeFields, &s.Nodes[i], s.End, "node", s.Nodes[i].Name))
		}
	case Endpoint:
		for i := range s.Endpoints {
			if s.Has.Has(foresail.SignalEndpoints) {
				o := observe(endpointFields, &s.Endpoints[i], s.End, "endpoint", app.Endpoints[i].Name)
				o.Slowest = s.Endpoints[i].Slowest
				out = append(out, o)
			}
		}
	case Edge:
		for i := range s.Edges {
			out = append(out, observe(edgeFields, &s.Edges[i], s.End, "from", app.Services[s.Edges[i].From].Name, "to", app.Services[s.Edges[i].To].Name))
		}
	}
	return out
}

func observe[T any](fields []field[T], v *T, end time.Time, pairs ...string) Observed {
	o := Observed{Labels: map[string]string{}, Values: map[string]float64{}}
	for i := 0; i < len(pairs); i += 2 {
		o.Labels[pairs[i]] = pairs[i+1]
	}
	for i := range fields {
		f := &fields[i]
		switch {
		case f.has == nil || !f.has(v):
		case f.hist != nil:
			o.Latency = *f.hist(v)
		default:
			o.Values[f.Name] = f.get(v, end)
		}
	}
	return o
}
