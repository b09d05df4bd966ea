package nn

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// After the first step Adam has moved each weight by its rate against the sign of the gradient, whatever its size; and the
// second, with the same gradient, does so again.
func TestAdamsFirstSteps(t *testing.T) {
	p := &Param[float64]{Name: "w", W: []float64{1, 1}, G: make([]float64, 2)}
	a := &Adam[float64]{Rate: 0.1}
	for step := 1; step <= 2; step++ {
		copy(p.G, []float64{1e-3, -1e3})
		a.Step([]*Param[float64]{p})
		for i, sign := range []float64{-1, 1} {
			if want := 1 + sign*0.1*float64(step); math.Abs(p.W[i]-want) > 1e-5 {
				t.Errorf("step %d: %v, want %v", step, p.W[i], want)
			}
		}
	}
	if p.G[0] != 0 {
		t.Error("the gradient is still there")
	}
}

// By hand: v1 = 1, w = 1 - 0.1·1; v2 = 0.9·1 + 1, w = 0.9 - 0.1·1.9. With decay 0.5: g = 1 + 0.5·1.
func TestSGDsFirstSteps(t *testing.T) {
	for _, c := range []struct {
		decay, first, second float64
	}{{0, 0.9, 0.71}, {0.5, 0.85, 0.85 - 0.1*(0.9*1.5+1+0.5*0.85)}} {
		p := &Param[float64]{Name: "w", W: []float64{1}, G: make([]float64, 1)}
		s := &SGD[float64]{Rate: 0.1, Momentum: 0.9, Decay: c.decay}
		for _, want := range []float64{c.first, c.second} {
			p.G[0] = 1
			s.Step([]*Param[float64]{p})
			if math.Abs(p.W[0]-want) > 1e-12 {
				t.Errorf("decay %v: %v, want %v", c.decay, p.W[0], want)
			}
		}
	}
}

func TestClip(t *testing.T) {
	p := []*Param[float64]{{G: []float64{3}}, {G: []float64{0, 4}}, {W: []float64{9}}}
	if n := Clip(p, 10); n != 5 || p[0].G[0] != 3 {
		t.Errorf("norm %v, gradient %v", n, p[0].G)
	}
	if n := Clip(p, 1); n != 5 || math.Abs(p[0].G[0]-0.6) > 1e-15 || math.Abs(p[1].G[1]-0.8) > 1e-15 {
		t.Errorf("norm %v, gradients %v %v", n, p[0].G, p[1].G)
	}
}

// trainee is a network of everything, with all that it draws from.
type trainee struct {
	net    Sequential[float32]
	opt    Optimizer[float32]
	r      *Rand
	x      Batch[float32]
	target []float32
	dy     []float32
}

func newTrainee(opt Optimizer[float32], seed uint64) *trainee {
	r := NewRand(seed, 0)
	shape := ConvShape{H: 4, W: 4, C: 2, Filters: 8, KernelH: 3, KernelW: 3}.Same()
	conv := NewConv2D[float32]("conv", shape, false, r)
	conv.First = true
	return &trainee{opt: opt, r: r, net: Sequential[float32]{
		conv, NewBatchNorm[float32]("bn", 8), &Activation[float32]{Func: ReLU}, &Dropout[float32]{P: 0.2, Rand: r},
		&Sequence[float32]{LSTM: NewLSTM[float32]("lstm", 32, 8, r), Steps: 4}, NewDense[float32]("out", 8, 2, r)},
		x: Batch[float32]{8, 32, make([]float32, 8*32)}, target: make([]float32, 16), dy: make([]float32, 16)}
}

func (n *trainee) step() float64 {
	for i := range n.x.Data {
		n.x.Data[i] = float32(n.r.NormFloat64())
	}
	for i := range n.target {
		n.target[i] = n.x.Row(i / 2)[i%2]
	}
	y := n.net.Forward(n.x, true)
	loss := MSE(y.Data, n.target, n.dy)
	n.net.Backward(Batch[float32]{8, 2, n.dy})
	Clip(n.net.Params(), 1)
	n.opt.Step(n.net.Params())
	return loss
}

func optimizers() map[string]func() Optimizer[float32] {
	return map[string]func() Optimizer[float32]{
		"adam": func() Optimizer[float32] { return &Adam[float32]{Rate: 0.01} },
		"sgd":  func() Optimizer[float32] { return &SGD[float32]{Rate: 0.05, Momentum: 0.9, Decay: 1e-4} },
	}
}

func TestTrainingLearns(t *testing.T) {
	for name, opt := range optimizers() {
		n := newTrainee(opt(), 1)
		var first, last float64
		for i := range 1200 {
			loss := n.step()
			if i < 50 {
				first += loss / 50
			}
			if i >= 1150 {
				last += loss / 50
			}
		}
		if !(last < 0.6*first) {
			t.Errorf("%s: loss %v at first, %v at last", name, first, last)
		}
	}
}

// Training that is stopped, kept and taken up by another process ends at the same bits.
func TestTrainingGoesOnWhereItStopped(t *testing.T) {
	for name, opt := range optimizers() {
		a, b := newTrainee(opt(), 1), newTrainee(opt(), 2)
		for range 30 {
			a.step()
		}
		kept, err := Save(a.net.Params(), a.opt, a.r)
		if err != nil {
			t.Fatal(err)
		}
		if err := Restore(kept, b.net.Params(), b.opt, b.r); err != nil {
			t.Fatal(err)
		}
		for i := range 30 {
			if x, y := a.step(), b.step(); x != y {
				t.Fatalf("%s: loss %v and %v, %d steps on", name, x, y, i)
			}
		}
		x, _ := Save(a.net.Params(), a.opt, a.r)
		y, _ := Save(b.net.Params(), b.opt, b.r)
		if !bytes.Equal(x, y) {
			t.Errorf("%s: other weights", name)
		}
	}
}

// Two runs from one seed are the same to the bit; another seed is another run.
func TestTrainingIsDeterministic(t *testing.T) {
	run := func(seed uint64) []byte {
		n := newTrainee(&Adam[float32]{Rate: 0.01}, seed)
		for range 20 {
			n.step()
		}
		b, _ := Save(n.net.Params(), n.opt, n.r)
		return b
	}
	if !bytes.Equal(run(1), run(1)) || bytes.Equal(run(1), run(2)) {
		t.Error("a seed does not say what comes of it")
	}
}

func TestAStepOfTrainingAllocatesNothing(t *testing.T) {
	for name, opt := range optimizers() {
		n := newTrainee(opt(), 1)
		params := n.net.Params()
		step := func() {
			y := n.net.Forward(n.x, true)
			MSE(y.Data, n.target, n.dy)
			n.net.Backward(Batch[float32]{8, 2, n.dy})
			Clip(params, 1)
			n.opt.Step(params)
		}
		step()
		if got := testing.AllocsPerRun(10, step); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}

func TestWeightsOfAnotherNetworkAreRefused(t *testing.T) {
	r := NewRand(1, 0)
	d := NewDense[float32]("d", 2, 3, r)
	good, _ := Save(d.Params(), Optimizer[float32](&Adam[float32]{}), r)
	bare, _ := Save[float32](d.Params(), nil, nil)
	wide, _ := Save[float64](NewDense[float64]("d", 2, 3, r).Params(), nil, nil)
	none := Optimizer[float32](nil)
	cases := []struct {
		name   string
		data   []byte
		params []*Param[float32]
		opt    Optimizer[float32]
		r      *Rand
		says   string
	}{
		{"nothing", nil, d.Params(), none, nil, "end within their first bytes"},
		{"of the future", append([]byte{9}, good[1:]...), d.Params(), none, nil, "version 9"},
		{"cut short", good[:len(good)-1], d.Params(), none, nil, "end within array"},
		{"longer", append(slices.Clone(good), 0), d.Params(), none, nil, "1 bytes follow"},
		{"another name", good, NewDense[float32]("e", 2, 3, r).Params(), none, nil, "should be e.w of 6: they are of another network"},
		{"another shape", good, NewDense[float32]("d", 3, 3, r).Params(), none, nil, "of 6 numbers and should be d.w of 9"},
		{"double precision", wide, d.Params(), none, nil, "8 bytes and 4 are needed"},
		{"without moments", bare, d.Params(), &Adam[float32]{}, nil, "2 arrays and 6 are needed"},
		{"without a source", bare, d.Params(), none, NewRand(1, 0), "no state of a random source"},
	}
	before := slices.Clone(d.w.W)
	for _, c := range cases {
		err := Restore(c.data, c.params, c.opt, c.r)
		if !errors.Is(err, ErrState) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if !slices.Equal(before, d.w.W) {
		t.Error("weights changed though they were refused")
	}
	if err := Restore[float32](good, d.Params(), nil, nil); err != nil {
		t.Errorf("weights alone: %v", err)
	}
}

func FuzzRestore(f *testing.F) {
	r := NewRand(1, 0)
	d := NewDense[float32]("d", 2, 3, r)
	good, _ := Save(d.Params(), Optimizer[float32](&Adam[float32]{}), r)
	bare, _ := Save[float32](d.Params(), nil, nil)
	f.Add(good)
	f.Add(bare)
	f.Fuzz(func(t *testing.T, data []byte) {
		d := NewDense[float32]("d", 2, 3, r)
		opt, source := Optimizer[float32](&Adam[float32]{}), NewRand(1, 0)
		if err := Restore(data, d.Params(), opt, source); err != nil {
			return
		}
		again, err := Save(d.Params(), opt, source)
		if err != nil || len(again) > len(data) {
			t.Fatalf("%d bytes became %d: %v", len(data), len(again), err)
		}
	})
}
