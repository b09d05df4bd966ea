package latency

import (
	"cmp"
	"fmt"
	"strings"
)

// Inference is a graph made ready to predict one metric: its vertices in topological order. It allocates nothing when it
// runs, and must not be used by several goroutines at once. Changes of the graph after Compile don't touch it.
type Inference struct {
	inputs   []string
	means    []mean // of inputs, worked out first
	vertices []vertex
	slot     map[string]int // of each label, in values
	values   []float64      // of inputs, means and vertices
	target   int
	room     []float64
}

// mean is the mean of several values.
type mean struct{ from []int }

// vertex is one to be predicted.
type vertex struct {
	label string
	from  []int      // slots of its inputs
	p     *Predictor // nil: the mean of them, times factor
	// factor is not 0 where there is no predictor.
	factor float64
}

// Compile makes a graph ready to predict the metric of a label, with what it hangs on alone. Errors are a *MissingError that
// names callees' data that no vertex gives, or wrap ErrUntrained.
func (g *Graph) Compile(target string) (*Inference, error) {
	if g.at[target] == nil {
		return nil, fmt.Errorf("predicting %s: the graph has no such metric", target)
	}
	c := &compiler{g: g, f: &Inference{slot: map[string]int{}}, done: map[*node]bool{}, direct: map[string]int{}}
	// Inputs come first in values, so they are all found before the first vertex is placed.
	if err := c.node(g.at[target], false); err != nil {
		return nil, err
	}
	c.f.values = make([]float64, len(c.f.inputs)+len(c.f.means))
	clear(c.done)
	if err := c.node(g.at[target], true); err != nil {
		return nil, err
	}
	c.f.target = c.f.slot[target]
	most := 0
	for _, v := range c.f.vertices {
		most = max(most, len(v.from))
	}
	c.f.room = make([]float64, most)
	return c.f, nil
}

type compiler struct {
	g      *Graph
	f      *Inference
	done   map[*node]bool
	direct map[string]int // slots of inputs, and of means by -1 less their number until all are known
}

// node finds the inputs of a node's vertices and, with place, makes the vertices, after those that they hang on.
func (c *compiler) node(n *node, place bool) error {
	if c.done[n] {
		return nil
	}
	c.done[n] = true
	for _, d := range c.g.depends(n) {
		if err := c.node(d, place); err != nil {
			return err
		}
	}
	if err := c.connected(n); err != nil {
		return err
	}
	service, instances := n.a.service, c.g.instances[n.a.service]
	var all []int
	for i := range instances {
		from := make([]int, 0, len(n.a.own)+len(n.a.external))
		for _, in := range n.a.Inputs() {
			from = append(from, c.source(in, service, i, instances))
		}
		if place {
			p, err := n.a.NewPredictor()
			if err != nil {
				return err
			}
			label := instanceLabel(service, i, instances, n.a.metric)
			all = append(all, c.vertex(vertex{label: label, from: from, p: p}))
		}
	}
	if !place || instances == 1 {
		return nil
	}
	v := vertex{label: n.a.Output(), from: all, factor: cmp.Or(n.factor, 1)}
	if n.merge != nil {
		var err error
		if v.p, err = n.merge.NewPredictor(); err != nil {
			return err
		}
	}
	c.vertex(v)
	return nil
}

func (c *compiler) vertex(v vertex) int {
	slot := len(c.f.values)
	c.f.slot[v.label] = slot
	c.f.vertices, c.f.values = append(c.f.vertices, v), append(c.f.values, 0)
	return slot
}

// connected reports external inputs that no vertex gives.
func (c *compiler) connected(n *node) error {
	e := &MissingError{Who: n.a.Output()}
	for _, in := range n.a.external {
		callee, _, _ := strings.Cut(in, ":")
		switch {
		case c.g.at[in] == nil:
			e.Inputs, e.Why = append(e.Inputs, in), "no vertex of the graph predicts that: Add an assignment for it, or leave the input out"
		case !c.g.links[link{callee, n.a.service}]:
			e.Inputs, e.Why = append(e.Inputs, in), "the services are not connected: Connect the callee to its caller"
		}
	}
	if len(e.Inputs) > 0 {
		return e
	}
	return nil
}

// source is the slot of an input of instance i of n of a service. It may be of no use before all inputs are known.
func (c *compiler) source(in, service string, i, n int) int {
	of, name, _ := strings.Cut(in, ":")
	if c.g.at[in] != nil { // predicted
		if of == service {
			in = instanceLabel(service, i, n, name)
		}
		return c.f.slot[in]
	}
	if of == service {
		return c.input(instanceLabel(service, i, n, name))
	}
	others := c.g.instances[of]
	if others < 2 {
		return c.input(in)
	}
	if at, ok := c.direct[in]; ok {
		return len(c.f.inputs) - 1 - at
	}
	m := mean{}
	for k := range others {
		m.from = append(m.from, c.input(instanceLabel(of, k, others, name)))
	}
	c.f.means = append(c.f.means, m)
	c.direct[in] = -len(c.f.means)
	return len(c.f.inputs) - 1 - c.direct[in]
}

func (c *compiler) input(label string) int {
	if at, ok := c.direct[label]; ok {
		return at
	}
	at := len(c.f.inputs)
	c.f.inputs = append(c.f.inputs, label)
	c.direct[label] = at
	return at
}

// Inputs are the labels of the graph's inputs, in the order in which Run wants them: knobs and states, of each instance where
// a service has several.
func (f *Inference) Inputs() []string { return f.inputs }

// Vertices are the labels of all vertices, in the order in which they are predicted.
func (f *Inference) Vertices() (out []string) {
	for _, v := range f.vertices {
		out = append(out, v.label)
	}
	return out
}

// Run predicts every vertex from the graph's inputs, each from what was predicted of those before it, and returns the
// target's value. It panics unless there are as many numbers as Inputs.
func (f *Inference) Run(inputs []float64) float64 {
	f.begin(inputs)
	first := len(f.inputs) + len(f.means)
	for i := range f.vertices {
		f.values[first+i] = f.vertices[i].value(f.gather(i))
	}
	return f.values[f.target]
}

// At is what Run predicted last of a label.
func (f *Inference) At(label string) (float64, bool) {
	slot, ok := f.slot[label]
	if !ok {
		return 0, false
	}
	return f.values[slot], true
}

func (f *Inference) begin(inputs []float64) {
	if len(inputs) != len(f.inputs) {
		panic(fmt.Sprintf("latency: %d inputs for a graph of %d", len(inputs), len(f.inputs)))
	}
	copy(f.values, inputs)
	for i, m := range f.means {
		sum := 0.0
		for _, at := range m.from {
			sum += f.values[at]
		}
		f.values[len(inputs)+i] = sum / float64(len(m.from))
	}
}

// gather is the inputs of vertex i, as they are now.
func (f *Inference) gather(i int) []float64 {
	from := f.vertices[i].from
	row := f.room[:len(from)]
	for k, at := range from {
		row[k] = f.values[at]
	}
	return row
}

func (v *vertex) value(row []float64) float64 {
	if v.p != nil {
		return v.p.Value(row)
	}
	sum := 0.0
	for _, x := range row {
		sum += x
	}
	return v.factor * sum / float64(len(row))
}
