package network

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"foresail.dev/ml/nn"
)

// What the artefact's two networks have: the size of what each convolution leaves, and how many numbers in all, scales
// included that are held at 1.
func TestReferenceNetworks(t *testing.T) {
	for _, c := range []struct {
		name                     string
		config                   Config
		images                   string
		system, latency, joint   int
		next, features, last     int
		numbers, scales, weights int
	}{
		{"social network", Social(28, 5, 6, 5),
			"28x5x16 30x7x16 15x7x16 15x7x16 8x7x32 8x7x32", 32, 32, 32, 32, 64, 64, 33_875, 423, 33_452},
		{"hotel reservation", Hotel(17, 5, 6, 5),
			"19x7x16 9x7x16 9x7x16 9x7x32", 32, 16, 16, 16, 32, 32, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := New[float32](c.config, nn.NewRand(1, 1))
			const rows = 3
			in := inputs[float32](c.config, rows, nn.NewRand(2, 2))
			images := walk(t, n.system, in[0])
			if got := strings.Join(images, " "); got != c.images {
				t.Errorf("convolutions leave\n%s, want\n%s", got, c.images)
			}
			width := func(what string, got, want int) {
				if got != want {
					t.Errorf("%s gives %d numbers, want %d", what, got, want)
				}
			}
			width("history", n.system.Forward(in[0], true).Cols, c.system)
			width("latency", n.latency.Forward(in[1], true).Cols, c.latency)
			trunk := n.Trunk(in[0], in[1], true)
			width("trunk", trunk.Cols, c.joint)
			width("next", n.next.Forward(in[2], true).Cols, c.next)
			y := n.Head(trunk, in[2], true)
			width("features", n.Features().Cols, c.features)
			width("last", n.last[:3].Forward(n.Features(), true).Cols, c.last)
			width("percentiles", y.Cols, 5)
			if y.Rows != rows || n.Features().Rows != rows {
				t.Errorf("%d and %d rows of %d", y.Rows, n.Features().Rows, rows)
			}
			if c.numbers == 0 {
				return
			}
			numbers, scales := 0, 0
			for _, p := range n.Params() {
				switch {
				case strings.HasSuffix(p.Name, ".scale"):
					scales += len(p.W)
					numbers += len(p.W)
				case p.G != nil:
					numbers += len(p.W)
				}
			}
			if numbers != c.numbers || scales != c.scales || numbers-scales != c.weights {
				t.Errorf("%d numbers, of which %d are scales, want %d and %d", numbers, scales, c.numbers, c.scales)
			}
		})
	}
}

// walk tells what each convolution leaves, as height × width × channels.
func walk(t *testing.T, s nn.Sequential[float32], x nn.Batch[float32]) (out []string) {
	for _, l := range s {
		x = l.Forward(x, true)
		if c, ok := l.(*nn.Conv2D[float32]); ok {
			h, w := c.Shape().Out()
			if got := h * w * c.Shape().Filters; got != x.Cols {
				t.Errorf("%d numbers leave a convolution to %d × %d", x.Cols, h, w)
			}
			out = append(out, fmt.Sprintf("%dx%dx%d", h, w, c.Shape().Filters))
		}
	}
	return out
}

func inputs[T nn.Float](c Config, rows int, r *nn.Rand) (out [3]nn.Batch[T]) {
	for i, cols := range []int{c.Services * c.Past * c.Channels, c.Past * c.Percentiles, c.inputs()} {
		out[i] = nn.Batch[T]{Rows: rows, Cols: cols, Data: make([]T, rows*cols)}
		for k := range out[i].Data {
			out[i].Data[k] = T(r.NormFloat64())
		}
	}
	return out
}

// Scales stay 1 in training, whatever the optimiser does.
func TestScalesAreHeld(t *testing.T) {
	r := nn.NewRand(1, 1)
	c := Hotel(4, 5, 3, 5)
	n := New[float32](c, r)
	in := inputs[float32](c, 8, r)
	target, dy := make([]float32, 40), nn.Batch[float32]{Rows: 8, Cols: 5, Data: make([]float32, 40)}
	opt := &nn.SGD[float32]{Rate: 0.01, Momentum: 0.9}
	for range 5 {
		y := n.Head(n.Trunk(in[0], in[1], true), in[2], true)
		nn.MSE(y.Data, target, dy.Data)
		n.Backward(dy)
		opt.Step(n.Params())
	}
	for _, p := range n.Params() {
		if strings.HasSuffix(p.Name, ".scale") {
			for _, w := range p.W {
				if w != 1 {
					t.Fatalf("%s is %v", p.Name, w)
				}
			}
		}
	}
}

// The rule builds a network for any number of services, and refuses what has no pixel left.
func TestAnyApplication(t *testing.T) {
	for services := 1; services <= 300; services += 7 {
		c := For(services, 5, 6, 5)
		if err := c.Check(); err != nil {
			t.Errorf("%d services: %v", services, err)
			continue
		}
		n := New[float32](c, nn.NewRand(1, 1))
		in := inputs[float32](c, 2, nn.NewRand(1, 2))
		if y := n.Head(n.Trunk(in[0], in[1], false), in[2], false); y.Cols != 5 {
			t.Errorf("%d services: %d percentiles", services, y.Cols)
		}
	}
	if c := For(22, 5, 6, 5); c.Joint != 16 {
		t.Error("22 services have the larger network")
	}
	if c := For(23, 5, 6, 5); c.Joint != 32 {
		t.Error("23 services have the smaller network")
	}
	bad := Hotel(4, 5, 3, 5)
	bad.Convs[0].Kernel[0] = 60
	if bad.Check() == nil {
		t.Error("a kernel larger than the image is accepted")
	}
	bad = Hotel(0, 5, 3, 5)
	if bad.Check() == nil {
		t.Error("no services are accepted")
	}
}

// One row of the trunk for all candidates says the same as the whole network for each.
func TestATrunkServesAllCandidates(t *testing.T) {
	r := nn.NewRand(3, 3)
	c := Social(28, 5, 6, 5)
	n := New[float64](c, r)
	in := inputs[float64](c, 4, r)
	n.Head(n.Trunk(in[0], in[1], true), in[2], true) // some running means
	one := inputs[float64](c, 1, r)
	many := n.Head(n.Trunk(one[0], one[1], false), in[2], false)
	together := append([]float64(nil), many.Data...)
	for i := range 4 {
		y := n.Head(n.Trunk(one[0], one[1], false), in[2].Rowset(i, i+1), false)
		for k, v := range y.Row(0) {
			if math.Abs(v-together[i*5+k]) > 1e-9 {
				t.Fatalf("candidate %d, percentile %d: %v alone, %v with others", i, k, v, together[i*5+k])
			}
		}
	}
}

// Gradients of every array of weights against central differences.
func TestGradients(t *testing.T) {
	r := nn.NewRand(4, 4)
	c := Hotel(5, 5, 3, 5)
	n := New[float64](c, r)
	in := inputs[float64](c, 6, r)
	target := make([]float64, 30)
	for i := range target {
		target[i] = r.NormFloat64()
	}
	dy := nn.Batch[float64]{Rows: 6, Cols: 5, Data: make([]float64, 30)}
	loss := func() float64 {
		return nn.MSE(n.Head(n.Trunk(in[0], in[1], true), in[2], true).Data, target, dy.Data)
	}
	loss()
	n.Backward(dy)
	const h = 1e-6
	for _, p := range n.Params() {
		if p.G == nil || strings.HasSuffix(p.Name, ".scale") {
			continue
		}
		for _, i := range []int{0, len(p.W) / 2, len(p.W) - 1} {
			g, was := p.G[i], p.W[i]
			p.W[i] = was + h
			up := loss()
			p.W[i] = was - h
			down := loss()
			p.W[i] = was
			if want := (up - down) / (2 * h); math.Abs(g-want) > 1e-5+1e-3*math.Abs(want) {
				t.Errorf("gradient of %s[%d] is %v, differences say %v", p.Name, i, g, want)
			}
		}
	}
}

func BenchmarkTrainStep(b *testing.B) {
	c := Social(28, 5, 6, 5)
	n := New[float32](c, nn.NewRand(1, 1))
	const rows = 256
	in := inputs[float32](c, rows, nn.NewRand(1, 2))
	target, dy := make([]float32, rows*5), nn.Batch[float32]{Rows: rows, Cols: 5, Data: make([]float32, rows*5)}
	opt := &nn.Adam[float32]{Rate: 0.001}
	params := n.Params()
	step := func() {
		nn.MSE(n.Head(n.Trunk(in[0], in[1], true), in[2], true).Data, target, dy.Data)
		n.Backward(dy)
		opt.Step(params)
	}
	step()
	b.ReportAllocs()
	for b.Loop() {
		step()
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/step")
}
