package network

import (
	"fmt"

	"foresail.dev/ml/nn"
)

// The small numbers added to variances, as the artefact has them: on inputs and convolutions, and elsewhere.
const (
	epsImage = 2e-5
	epsDense = 1e-3
)

// Net is a network with its buffers, for one goroutine.
type Net[T nn.Float] struct {
	Config  Config
	system  nn.Sequential[T] // history → System
	latency nn.Sequential[T] // percentiles → Latency
	joint   nn.Sequential[T] // both → Joint
	next    nn.Sequential[T] // cores → Next
	last    nn.Sequential[T] // features → percentiles

	both, features, dSystem, dLatency, dNext, dJoint []T
}

// New makes a network with weights drawn after Glorot. It panics on a shape that Check refuses.
func New[T nn.Float](c Config, r *nn.Rand) *Net[T] {
	if err := c.Check(); err != nil {
		panic("network: " + err.Error())
	}
	norm := func(name string, channels int, eps float64) *nn.BatchNorm[T] {
		b := nn.NewBatchNorm[T](name, channels)
		b.Eps, b.FixScale = eps, true
		return b
	}
	relu := func() nn.Layer[T] { return &nn.Activation[T]{Func: nn.ReLU} }
	dense := func(name string, in, out int) nn.Sequential[T] {
		return nn.Sequential[T]{nn.NewDense[T](name, in, out, r), norm(name+".bn", out, epsDense), relu()}
	}
	unbiased := func(name string, in, out int) nn.Sequential[T] {
		return nn.Sequential[T]{nn.NewDenseUnbiased[T](name, in, out, r), norm(name+".bn", out, epsDense), relu()}
	}
	n := &Net[T]{Config: c}
	n.system = nn.Sequential[T]{norm("history.bn", c.Channels, epsImage)}
	shapes, _ := c.shapes()
	pixels := 0
	for i, s := range shapes {
		name := fmt.Sprintf("conv%d", i+1)
		n.system = append(n.system, nn.NewConv2D[T](name, s, false, r), norm(name+".bn", s.Filters, epsImage), relu())
		h, w := s.Out()
		pixels = h * w
	}
	filters := shapes[len(shapes)-1].Filters
	n.system = append(n.system, &nn.MeanPool[T]{Pixels: pixels, Channels: filters})
	n.system = append(n.system, dense("system", filters, c.System)...)
	n.latency = append(nn.Sequential[T]{norm("latency.bn", c.Percentiles, epsImage)}, dense("latency", c.Past*c.Percentiles, c.Latency)...)
	n.joint = append(dense("joint1", c.System+c.Latency, c.Joint), dense("joint2", c.Joint, c.Joint)...)
	n.next = nn.Sequential[T]{norm("cores.bn", c.Services, epsImage)}
	n.next = append(append(n.next, unbiased("next1", c.Services, c.Next)...), unbiased("next2", c.Next, c.Next)...)
	n.last = append(dense("last", c.Features(), c.Last), nn.NewDense[T]("percentiles", c.Last, c.Percentiles, r))
	return n
}

// Freeze makes normalisations keep their running means and variances in training: for data that shows less of what there is
// than they were measured on.
func (n *Net[T]) Freeze() {
	for _, s := range n.parts() {
		for _, l := range s {
			if b, ok := l.(*nn.BatchNorm[T]); ok {
				b.Frozen = true
			}
		}
	}
}

func (n *Net[T]) parts() []nn.Sequential[T] {
	return []nn.Sequential[T]{n.system, n.latency, n.joint, n.next, n.last}
}

// Params are the weights, with running means and variances.
func (n *Net[T]) Params() []*nn.Param[T] {
	var out []*nn.Param[T]
	for _, s := range n.parts() {
		out = append(out, s.Params()...)
	}
	return out
}

// Trunk is what the history says, of Joint numbers. A row of history is services × seconds × channels, one of latency
// seconds × percentiles.
func (n *Net[T]) Trunk(history, latency nn.Batch[T], train bool) nn.Batch[T] {
	system := n.system.Forward(history, train)
	seen := n.latency.Forward(latency, train)
	return n.joint.Forward(beside(&n.both, system, seen), train)
}

// Head is the percentiles for proposed cores, on what Trunk returned, which has a row for each, or one for all.
func (n *Net[T]) Head(trunk, cores nn.Batch[T], train bool) nn.Batch[T] {
	return n.last.Forward(beside(&n.features, n.next.Forward(cores, train), trunk), train)
}

// Features are those that the last Head went by: first what the proposed cores say, then what the history says.
func (n *Net[T]) Features() nn.Batch[T] {
	cols := n.Config.Features()
	return nn.Batch[T]{Rows: len(n.features) / cols, Cols: cols, Data: n.features}
}

// Backward is given the gradient of what Head returned in training, which had a row of the trunk for each, and adds those
// of the weights.
func (n *Net[T]) Backward(dy nn.Batch[T]) {
	d := n.last.Backward(dy)
	dNext, dTrunk := apart(&n.dNext, &n.dJoint, d, n.Config.Next)
	n.next.Backward(dNext)
	dSystem, dLatency := apart(&n.dSystem, &n.dLatency, n.joint.Backward(dTrunk), n.Config.System)
	n.system.Backward(dSystem)
	n.latency.Backward(dLatency)
}

// beside puts the columns of b after those of a; a single row of b goes with each of a.
func beside[T nn.Float](buffer *[]T, a, b nn.Batch[T]) nn.Batch[T] {
	out := made(buffer, a.Rows, a.Cols+b.Cols)
	for i := range a.Rows {
		copy(out.Row(i), a.Row(i))
		copy(out.Row(i)[a.Cols:], b.Row(min(i, b.Rows-1)))
	}
	return out
}

// apart is beside's way back: the first cols columns, and the others.
func apart[T nn.Float](one, other *[]T, d nn.Batch[T], cols int) (nn.Batch[T], nn.Batch[T]) {
	a, b := made(one, d.Rows, cols), made(other, d.Rows, d.Cols-cols)
	for i := range d.Rows {
		copy(a.Row(i), d.Row(i))
		copy(b.Row(i), d.Row(i)[cols:])
	}
	return a, b
}

func made[T nn.Float](buffer *[]T, rows, cols int) nn.Batch[T] {
	if n := rows * cols; cap(*buffer) < n {
		*buffer = make([]T, n)
	} else {
		*buffer = (*buffer)[:n]
	}
	return nn.Batch[T]{Rows: rows, Cols: cols, Data: *buffer}
}
