package latency

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Labels are the labels of the graph's metrics, in the order in which they were added.
func (g *Graph) Labels() []string {
	out := make([]string, len(g.nodes))
	for i, n := range g.nodes {
		out[i] = n.a.Output()
	}
	return out
}

// Links are the connections: pairs of callee and caller, in order.
func (g *Graph) Links() (out [][2]string) {
	for l := range g.links {
		out = append(out, [2]string{l.callee, l.caller})
	}
	slices.SortFunc(out, func(a, b [2]string) int { return cmp.Or(strings.Compare(a[0], b[0]), strings.Compare(a[1], b[1])) })
	return out
}

// Aggregate is the assignment of a label's service-vertex, as Fit trained it; nil: it is the mean, or there is none.
func (g *Graph) Aggregate(label string) *Assignment {
	if n := g.at[label]; n != nil {
		return n.merge
	}
	return nil
}

// SetAggregate puts an assignment that Fit trained back into the graph, after Scale. Its inputs must be the service's instances.
func (g *Graph) SetAggregate(a *Assignment) error {
	n := g.at[a.Output()]
	if n == nil {
		return fmt.Errorf("aggregating %s: the graph has no such metric", a.Output())
	}
	of := g.instances[a.service]
	ok := of > 1 && len(a.own) == 0 && len(a.external) == of
	for i, in := range a.external {
		ok = ok && in == instanceLabel(a.service, i, of, a.metric)
	}
	if !ok {
		return fmt.Errorf("aggregating %s: the graph has %d instances, and the assignment looks at %s", a.Output(), of, strings.Join(a.Inputs(), ", "))
	}
	n.merge = a
	return nil
}
