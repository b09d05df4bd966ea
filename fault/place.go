package fault

import (
	"fmt"
	"slices"
	"strings"
)

// CheckIn reports all that Check does, and what does not fit the application and the run: targets that are not there at
// some time of a fault, and faults past the end.
func (s *Schedule) CheckIn(w *World) Problems {
	out := s.Check()
	for i := range s.Fixed {
		c, f := checker{&out, false, i}, &s.Fixed[i]
		if f.Kind >= kindEnd {
			continue
		}
		if w.Duration > 0 {
			end, ends := f.End()
			c.fault(f.At >= w.Duration, "at", "is %v, past the end of the run, %v", f.At, w.Duration)
			c.fault(f.At < w.Duration && ends && end > w.Duration, "for", "is %v, so that it ends at %v, past the end of the run, %v: leave it out for one that lasts to the end",
				f.For, end, w.Duration)
		}
		c.place(w, f, "")
	}
	for i := range s.Random {
		c, r := checker{&out, true, i}, &s.Random[i]
		if r.Kind >= kindEnd {
			continue
		}
		c.fault(w.Duration <= 0, "", "is drawn for a run with an end, and this one has none: say how long it is")
		c.fault(w.Duration > 0 && r.From >= w.Duration, "from", "is %v, past the end of the run, %v", r.From, w.Duration)
		c.fault(w.Duration > 0 && r.Until > w.Duration, "until", "is %v, past the end of the run, %v", r.Until, w.Duration)
		c.fault(r.Every >= LeastMean && float64(w.Duration)/float64(r.Every) > MaxDrawn, "every", "is %v, which brings more than %d faults", r.Every, MaxDrawn)
		for k, t := range r.Targets {
			whenever := Fault{Kind: r.Kind, Target: t, Leak: r.Leak.Max}
			c.anywhere(w, &whenever, fmt.Sprintf("targets[%d].", k))
		}
		c.fault(len(r.Targets) == 0 && specs[r.Kind].targets == atNode && len(w.Nodes) == 0, "kind", "hits a node, and the run has none")
	}
	return out
}

// place checks that a target is there as long as a fault goes on.
func (c checker) place(w *World, f *Fault, prefix string) {
	for _, v := range w.during(f) {
		if field, message := v.lacks(w, f); message != "" {
			if v.At > 0 {
				message += fmt.Sprintf(" (the application from %v on)", v.At)
			}
			c.fault(true, prefix+field, "%s", message)
			return
		}
	}
}

// anywhere checks that a target is there at some time.
func (c checker) anywhere(w *World, f *Fault, prefix string) {
	var field, message string
	for _, v := range w.Versions {
		if field, message = v.lacks(w, f); message == "" {
			return
		}
	}
	c.fault(message != "", prefix+field, "%s", message)
}

// lacks says what a version has not that a fault needs: empty where it has all.
func (v *Version) lacks(w *World, f *Fault) (field, message string) {
	t := f.Target
	switch {
	case t.Node != "" && len(w.Nodes) == 0:
		return "node", fmt.Sprintf("is %q, and the run has no nodes that could be told apart", t.Node)
	case t.Node != "" && !slices.Contains(w.Nodes, t.Node):
		return "node", fmt.Sprintf("%q is not a node; known: %s", t.Node, list(w.Nodes))
	case t.Node != "":
		return "", ""
	case t.edge():
		return v.lacksEdge(t)
	case t.ServiceName() == "":
		return "", ""
	}
	field = "service"
	if t.Replica != "" {
		field = "replica"
	}
	id, ok := v.service(t.ServiceName())
	if !ok {
		return field, fmt.Sprintf("%q is not a service of %s; known: %s", t.ServiceName(), v.Blueprint.App.Name, list(v.names()))
	}
	if t.Operation != "" {
		var known []string
		for _, op := range v.Blueprint.Services[id].Operations {
			known = append(known, op.Name)
		}
		if !slices.Contains(known, t.Operation) {
			return "operation", fmt.Sprintf("%q is not an operation of %s; known: %s", t.Operation, t.ServiceName(), list(known))
		}
	}
	s := &v.Blueprint.App.Services[id]
	switch {
	case f.Kind == SlowDisk && !v.usesDisk(id):
		return field, fmt.Sprintf("%q has no disk I/O, so a slow disk would change nothing", s.Name)
	case f.Leak > 0 && s.Initial.Memory <= 0:
		return "leak", fmt.Sprintf("never ends in a restart: %s has no memory limit", s.Name)
	}
	return "", ""
}

func (v *Version) lacksEdge(t Target) (field, message string) {
	from, ok := v.service(t.From)
	if !ok {
		return "edge", fmt.Sprintf("%q is not a service of %s; known: %s", t.From, v.Blueprint.App.Name, list(v.names()))
	}
	to, ok := v.service(t.To)
	if !ok {
		return "edge", fmt.Sprintf("%q is not a service of %s; known: %s", t.To, v.Blueprint.App.Name, list(v.names()))
	}
	callees := v.callees(from)
	if slices.Contains(callees, to) {
		return "", ""
	}
	var known []string
	for _, c := range callees {
		known = append(known, v.Blueprint.App.Services[c].Name)
	}
	return "edge", fmt.Sprintf("%s never calls %s; it calls: %s", t.From, t.To, list(known))
}

// list is names for a message, not too many.
func list(names []string) string {
	const most = 40
	switch {
	case len(names) == 0:
		return "none"
	case len(names) > most:
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}
