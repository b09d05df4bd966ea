package follow

import (
	"fmt"
	"slices"
	"strings"

	"foresail.dev"
	"foresail.dev/model/latency"
	"foresail.dev/model/latency/observed"
)

// look finds what is different about services, and puts off what must be learnt for it.
func (f *Follower) look(app *foresail.App, s *foresail.Snapshot) (events []Event) {
	for i := range min(len(s.Services), len(app.Services)) {
		st, name := &s.Services[i], app.Services[i].Name
		n := observed.Instances(st)
		if n == 0 || app.Services[i].Gone {
			continue // it is changing: what it becomes, will be seen
		}
		now := &state{instances: n, knobs: observed.Knobs(st), names: replicas(st)}
		was := f.states[name]
		f.states[name] = now
		if was == nil || f.graph == nil || f.graph.Instances(name) == 0 {
			continue
		}
		if !slices.Equal(was.knobs, now.knobs) {
			events = append(events, Event{At: s.End, Service: name, What: Changed, Text: fmt.Sprintf("the knobs of %s are %s, and were %s", name, strings.Join(now.knobs, ", "), strings.Join(was.knobs, ", "))})
			f.put(&job{service: name, what: Replaced, since: s.End.Unix() + 1})
		}
		switch {
		case len(now.names) == 0 || len(was.names) == 0: // replicas are not listed
		case !overlap(was.names, now.names):
			events = append(events, Event{At: s.End, Service: name, What: Released, Text: fmt.Sprintf("all replicas of %s are others than before", name)})
			f.put(&job{service: name, what: Replaced, since: s.End.Unix() + 1})
		case was.instances == n:
			now.names = was.names // of a rolling update, there are some of both
		}
		if was.instances != n {
			events = append(events, f.scale(s, name, n)...)
		}
	}
	return events
}

// scale gives a service so many instances, and puts off the learning of what aggregates them.
func (f *Follower) scale(s *foresail.Snapshot, service string, n int) []Event {
	was := f.graph.Instances(service)
	if was == 0 || was == n {
		return nil
	}
	g := f.graph.Clone()
	if err := g.Scale(service, n); err != nil { // more than a graph has vertices for
		return []Event{{At: s.End, Service: service, What: Unseen, Text: err.Error()}}
	}
	f.graph = g
	f.drop(service, Aggregated)
	if n > 1 {
		f.put(&job{service: service, what: Aggregated, since: s.End.Unix() + 1})
	}
	return []Event{{At: s.End, Service: service, What: Scaled, Text: fmt.Sprintf("%s has %d instances in the graph, and had %d", service, n, was)}}
}

func replicas(s *foresail.ServiceStats) (out []string) {
	for i := range s.Replicas {
		if r := &s.Replicas[i]; !r.Gone && r.Ready > 0 {
			out = append(out, r.Name)
		}
	}
	return out
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// knobsOf are the labels of a service's knobs, as it was seen last.
func (f *Follower) knobsOf(service string) (out []string) {
	for _, k := range f.states[service].knobs {
		out = append(out, latency.Label(service, k))
	}
	return out
}
