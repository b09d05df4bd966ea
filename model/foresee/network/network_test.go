package network_test

import (
	"testing"

	"foresail.dev/ml/nn"
	"foresail.dev/model/foresee/network"
)

// With 36 services, ten beats and the two numbers of one queue, weights come to those of table 2.
func TestWeightsAreThePapers(t *testing.T) {
	for kind, want := range map[network.Kind]int{network.CNN: 30_000, network.LSTM: 52_000, network.Hybrid: 80_000} {
		c := network.Config{Kind: kind, Services: 36, Beats: 10, Channels: 2}
		got := nn.Weights(network.New[float32](c, nn.NewRand(1, 1)).Params())
		t.Logf("%s: %d weights, the paper's has %d", kind, got, want)
		if float64(got) < 0.85*float64(want) || float64(got) > 1.15*float64(want) {
			t.Errorf("%s has %d weights, the paper's %d", kind, got, want)
		}
	}
}

// Any number of services, beats and channels gives one score for each service and one for none, in training and outside of
// it, and a gradient goes back to every weight.
func TestAnyShape(t *testing.T) {
	for _, kind := range network.Kinds {
		for _, c := range []network.Config{{Services: 1, Beats: 1, Channels: 1}, {Services: 2, Beats: 3, Channels: 2}, {Services: 41, Beats: 10, Channels: 4}, {Services: 300, Beats: 4, Channels: 1}} {
			c.Kind = kind
			r := nn.NewRand(1, 1)
			n := network.New[float32](c, r)
			x := nn.Batch[float32]{Rows: 3, Cols: c.Inputs(), Data: make([]float32, 3*c.Inputs())}
			for i := range x.Data {
				x.Data[i] = float32(r.NormFloat64())
			}
			y := n.Forward(x, true)
			if y.Rows != 3 || y.Cols != c.Classes() {
				t.Fatalf("%+v gives %d × %d", c, y.Rows, y.Cols)
			}
			target, dy := nn.Batch[float32]{Rows: 3, Cols: y.Cols, Data: make([]float32, len(y.Data))}, nn.Batch[float32]{Rows: 3, Cols: y.Cols, Data: make([]float32, len(y.Data))}
			for i := range 3 {
				target.Row(i)[i%c.Classes()] = 1
			}
			nn.CrossEntropy(y, target, dy)
			n.Backward(dy)
			reached := 0
			for _, p := range n.Params() {
				for _, g := range p.G {
					if g != 0 {
						reached++
						break
					}
				}
			}
			if c.Beats > 1 && reached < len(n.Params())-2 { // weights of states see none where there is one beat
				t.Errorf("%+v: the gradient reaches %d of %d arrays", c, reached, len(n.Params()))
			}
		}
	}
}

func TestBadShapesAreRefused(t *testing.T) {
	for _, c := range []network.Config{{}, {Kind: "rnn", Services: 1, Beats: 1, Channels: 1}, {Kind: network.CNN, Beats: 1, Channels: 1},
		{Kind: network.CNN, Services: 1, Channels: 1}, {Kind: network.CNN, Services: 1, Beats: 1}, {Kind: network.CNN, Services: 1 << 20, Beats: 1, Channels: 1}} {
		if c.Check() == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}
