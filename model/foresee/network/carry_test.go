package network_test

import (
	"math"
	"testing"

	"foresail.dev/ml/nn"
	"foresail.dev/model/foresee/network"
)

// What a network for one application says, one for more services that carries its weights says too, as long as nothing is seen of the new
// ones: their scores are the mean bias. The edge of what is seen is the exception, where convolutions now see a place instead of nothing.
func TestCarriedWeightsSayTheSame(t *testing.T) {
	for _, kind := range network.Kinds {
		old := network.Config{Kind: kind, Services: 36, Beats: 10, Channels: 2}
		want := old
		want.Services = 39
		r := nn.NewRand(1, 1)
		a, b := network.New[float64](old, r), network.New[float64](want, r)
		bias := a.Params()[len(a.Params())-1].W
		for i := range bias {
			bias[i] = r.NormFloat64()
		}
		from := make([]int, 39)
		for k := range from {
			if from[k] = k; k >= 36 {
				from[k] = -1
			}
		}
		if !network.Carry(old, a.Params(), want, b.Params(), from) {
			t.Fatalf("%s: nothing is carried", kind)
		}
		x, y := image(old.Inputs(), r), make([]float64, want.Inputs())
		for beat := range 10 {
			for k := range 2 * 36 {
				if k/2 >= 24 && kind != network.LSTM { // nothing near the edge
					x.Data[beat*2*36+k] = 0
				}
				y[beat*2*39+k] = x.Data[beat*2*36+k]
			}
		}
		was := a.Forward(x, false).Row(0)
		is := b.Forward(nn.Batch[float64]{Rows: 1, Cols: len(y), Data: y}, false).Row(0)
		for k := range 36 {
			if kind == network.LSTM && math.Abs(was[k]-is[k]) > 1e-9 {
				t.Errorf("%s: service %d has %v, had %v", kind, k, is[k], was[k])
			}
		}
		mean := 0.0
		for _, v := range bias[:36] {
			mean += v / 36
		}
		if kind != network.Hybrid && (math.Abs(is[38]-mean) > 1e-9 || math.Abs(is[37]-mean) > 1e-9) { // the hybrid has what all share to say, too
			t.Errorf("%s: a new service has %v, the mean bias is %v", kind, is[38], mean)
		}
		if kind == network.LSTM && math.Abs(is[39]-was[36]) > 1e-9 {
			t.Errorf("%s: none has %v, had %v", kind, is[39], was[36])
		}
	}
}

// Carried over to the same services in another order of classes, each network says exactly what it did; and back again, nothing is lost.
func TestCarryingToTheSameIsACopy(t *testing.T) {
	for _, kind := range network.Kinds {
		c := network.Config{Kind: kind, Services: 37, Beats: 6, Channels: 3}
		r := nn.NewRand(2, 1)
		a, b := network.New[float32](c, r), network.New[float32](c, r)
		from := make([]int, c.Services)
		for k := range from {
			from[k] = k
		}
		if !network.Carry(c, a.Params(), c, b.Params(), from) {
			t.Fatal(kind)
		}
		for i, p := range b.Params() {
			for j, w := range p.W {
				if w != a.Params()[i].W[j] {
					t.Fatalf("%s: %s[%d] is %v, was %v", kind, p.Name, j, w, a.Params()[i].W[j])
				}
			}
		}
	}
}

func TestWhatCannotBeCarried(t *testing.T) {
	c := network.Config{Kind: network.CNN, Services: 8, Beats: 6, Channels: 2}
	for name, change := range map[string]func(*network.Config){
		"another kind":     func(d *network.Config) { d.Kind = network.LSTM },
		"other beats":      func(d *network.Config) { d.Beats = 7 },
		"other channels":   func(d *network.Config) { d.Channels = 1 },
		"other kernels":    func(d *network.Config) { d.Services = 30 },
		"another stride":   func(d *network.Config) { d.Services = network.Wide + 1 },
		"many more stride": func(d *network.Config) { d.Services = 4 * network.Wide },
	} {
		d := c
		change(&d)
		r := nn.NewRand(1, 1)
		if network.Carry(c, network.New[float32](c, r).Params(), d, network.New[float32](d, r).Params(), make([]int, d.Services)) {
			t.Errorf("%s is carried over", name)
		}
	}
}

func image(n int, r *nn.Rand) nn.Batch[float64] {
	x := nn.Batch[float64]{Rows: 1, Cols: n, Data: make([]float64, n)}
	for i := range x.Data {
		x.Data[i] = r.NormFloat64()
	}
	return x
}
