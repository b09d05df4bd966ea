package latency

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"

	"foresail.dev/model/latency/learner"
)

// maxInstances bounds how many instances of a service a graph has vertices for.
const maxInstances = 1 << 12

// Graph is an inference graph: learning assignments, connected against the direction of calls. Of each metric of a service
// it has an instance-vertex for each instance and, where there are several, a service-vertex that aggregates them.
type Graph struct {
	nodes     []*node          // in the order in which they were added
	at        map[string]*node // by label
	instances map[string]int   // by service
	links     map[link]bool
}

// node is a metric of a service: its vertices.
type node struct {
	a     *Assignment // of each instance
	merge *Assignment // of the service-vertex; nil: it is the mean, times factor
	// factor is of the mean; 0 means 1.
	factor float64
}

// link says that callers' metrics hang on those of a callee.
type link struct{ callee, caller string }

// NewGraph is an empty graph.
func NewGraph() *Graph {
	return &Graph{at: map[string]*node{}, instances: map[string]int{}, links: map[link]bool{}}
}

// Clone can be changed while g stays as it is. Assignments are shared: to change one, Replace it.
func (g *Graph) Clone() *Graph {
	out := NewGraph()
	for _, n := range g.nodes {
		c := *n
		out.nodes = append(out.nodes, &c)
		out.at[n.a.Output()] = &c
	}
	for s, n := range g.instances {
		out.instances[s] = n
	}
	for l := range g.links {
		out.links[l] = true
	}
	return out
}

// Add adds the vertex of a service's metric (GE.add): the assignment says which. It must not be changed from then on.
func (g *Graph) Add(a *Assignment) error {
	if g.at[a.Output()] != nil {
		return fmt.Errorf("%s is in the graph already: Replace it, or Scale the service", a.Output())
	}
	n := &node{a: a}
	g.nodes, g.at[a.Output()] = append(g.nodes, n), n
	if g.instances[a.service] == 0 {
		g.instances[a.service] = 1
	}
	if cycle := g.cycle(); cycle != nil {
		g.nodes = g.nodes[:len(g.nodes)-1]
		delete(g.at, a.Output())
		return cycleError(cycle)
	}
	return nil
}

// Assignment is that of a label; nil where there is none.
func (g *Graph) Assignment(label string) *Assignment {
	if n := g.at[label]; n != nil {
		return n.a
	}
	return nil
}

// Instances is how many instances a service has in the graph; 0: it is not there.
func (g *Graph) Instances(service string) int { return g.instances[service] }

// Connect says that callers hang on a callee (GE.connect): of all pairs of their metrics, those are connected of which the
// caller's assignment has the callee's label as an external input. An edge that closes a cycle is refused, with the cycle's
// labels, and the graph is left as it was.
func (g *Graph) Connect(callee, caller string) error {
	for _, s := range []string{callee, caller} {
		if g.instances[s] == 0 {
			return fmt.Errorf("connecting %s to %s: the graph has no service %s: Add its metrics first", callee, caller, s)
		}
	}
	l := link{callee, caller}
	if g.links[l] {
		return nil
	}
	g.links[l] = true
	if cycle := g.cycle(); cycle != nil {
		delete(g.links, l)
		return cycleError(cycle)
	}
	return nil
}

func cycleError(cycle []string) error {
	return fmt.Errorf("the graph would have a cycle, %s: a metric can't be predicted from itself; leave out an input", strings.Join(cycle, " → "))
}

// Scale sets how many instances a service has (GE.scale): each gets a vertex with the service's assignment. What aggregated
// them is the mean again, until Fit.
func (g *Graph) Scale(service string, instances int) error {
	if g.instances[service] == 0 {
		return fmt.Errorf("scaling %s: the graph has no such service", service)
	}
	if instances < 1 || instances > maxInstances {
		return fmt.Errorf("scaling %s to %d instances: from 1 to %d can be", service, instances, maxInstances)
	}
	g.instances[service] = instances
	for _, n := range g.nodes {
		if n.a.service == service {
			n.merge, n.factor = nil, 0
		}
	}
	return nil
}

// Replace puts another assignment in the place of one of the same service and metric (GE.replace). The rest of the graph stays
// as it is; what aggregated the instances is the mean again, until Fit.
func (g *Graph) Replace(a *Assignment) error {
	n := g.at[a.Output()]
	if n == nil {
		return fmt.Errorf("replacing %s: the graph has no such metric: Add it", a.Output())
	}
	was := *n
	n.a, n.merge, n.factor = a, nil, 0
	if cycle := g.cycle(); cycle != nil {
		*n = was
		return cycleError(cycle)
	}
	return nil
}

// Fit trains the service-vertex of a service's metric on a table (GE.fit): how the service's metric, a column of its label,
// follows from those of its instances, which are columns too or else predicted from the graph's inputs.
func (g *Graph) Fit(service, metric string, t *Table, cfg learner.Config) (learner.Report, error) {
	label := Label(service, metric)
	n := g.at[label]
	if n == nil {
		return learner.Report{}, fmt.Errorf("fitting %s: the graph has no such metric", label)
	}
	if g.instances[service] < 2 {
		return learner.Report{}, fmt.Errorf("fitting %s: it has one instance, and so no service-vertex", label)
	}
	var inputs []string
	for i := range g.instances[service] {
		inputs = append(inputs, instanceLabel(service, i, g.instances[service], metric))
	}
	t, err := g.complete(t, label, inputs)
	if err != nil {
		return learner.Report{}, err
	}
	merge, err := NewAssignment(service, metric, nil, inputs)
	if err != nil {
		return learner.Report{}, err
	}
	report, err := merge.Add(t, nil, "", cfg, true)
	if err == nil {
		n.merge, n.factor = merge, 0
	}
	return report, err
}

// Calibrate trains the service-vertex of a service's metric to no more than a factor on the mean of the instances, as they are
// predicted from the graph's inputs: what a few rows can tell, where Fit would take more. The table needs those inputs and
// a column of the service's label. The factor, which is returned, is drawn to 1 by as much as chance alone may have moved it (James and Stein).
func (g *Graph) Calibrate(service, metric string, t *Table) (float64, error) {
	label := Label(service, metric)
	n := g.at[label]
	if n == nil {
		return 0, fmt.Errorf("calibrating %s: the graph has no such metric", label)
	}
	if g.instances[service] < 2 {
		return 0, fmt.Errorf("calibrating %s: it has one instance, and so no service-vertex", label)
	}
	y, ok := t.Column(label)
	if !ok {
		return 0, &MissingError{label, []string{label}, "it was not observed, so that nothing can be learned of it"}
	}
	plain := g.Clone()
	plain.at[label].merge, plain.at[label].factor = nil, 0
	f, err := plain.Compile(label)
	if err != nil {
		return 0, err
	}
	x, err := t.flat(label, f.inputs)
	if err != nil {
		return 0, err
	}
	logs := make([]float64, 0, len(y))
	for i := range y {
		if mean := f.Run(x[i*len(f.inputs) : (i+1)*len(f.inputs)]); y[i] > 0 && mean > 0 {
			logs = append(logs, math.Log(y[i]/mean))
		}
	}
	factor := 1.0
	if k := float64(len(logs)); k > 1 {
		mean, variance := stat.MeanVariance(logs, nil)
		if chance := variance / k; mean*mean > chance {
			factor = math.Exp(mean * (1 - chance/mean/mean))
		}
	}
	n.merge, n.factor = nil, factor
	return factor, nil
}

// complete adds what instances are predicted to be where a table has no column of it.
func (g *Graph) complete(t *Table, label string, instances []string) (*Table, error) {
	var missing []string
	for _, in := range instances {
		if !t.Has(in) {
			missing = append(missing, in)
		}
	}
	if len(missing) == 0 {
		return t, nil
	}
	f, err := g.Compile(label)
	if err != nil {
		return nil, err
	}
	x, err := t.flat(label, f.inputs)
	if err != nil {
		return nil, err
	}
	cols := make([][]float64, len(missing))
	for i := range t.Rows() {
		f.Run(x[i*len(f.inputs) : (i+1)*len(f.inputs)])
		for k, in := range missing {
			cols[k] = append(cols[k], f.values[f.slot[in]])
		}
	}
	for k, in := range missing {
		if t, err = t.With(in, cols[k]); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// instanceLabel is the label of something of instance i, from 0, of n.
func instanceLabel(service string, i, n int, name string) string {
	if n > 1 {
		service = fmt.Sprintf("%s#%d", service, i+1)
	}
	return Label(service, name)
}

// depends are the nodes that a node's vertices hang on.
func (g *Graph) depends(n *node) (out []*node) {
	for _, in := range n.a.external {
		if d := g.at[in]; d != nil && g.links[link{d.a.service, n.a.service}] {
			out = append(out, d)
		}
	}
	for _, in := range n.a.own {
		if d := g.at[in]; d != nil {
			out = append(out, d)
		}
	}
	return out
}

// cycle is the labels of a cycle, its first once more at its end; nil where there is none.
func (g *Graph) cycle() []string {
	done := map[*node]bool{}
	var path []*node
	var walk func(n *node) []string
	walk = func(n *node) []string {
		if i := slices.Index(path, n); i >= 0 {
			var labels []string
			for _, p := range path[i:] {
				labels = append(labels, p.a.Output())
			}
			return append(labels, n.a.Output())
		}
		if done[n] {
			return nil
		}
		path = append(path, n)
		for _, d := range g.depends(n) {
			if c := walk(d); c != nil {
				return c
			}
		}
		path = path[:len(path)-1]
		done[n] = true
		return nil
	}
	for _, n := range g.nodes {
		if c := walk(n); c != nil {
			return c
		}
	}
	return nil
}
