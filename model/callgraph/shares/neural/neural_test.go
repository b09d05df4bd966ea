package neural

import (
	"math"
	"slices"
	"testing"

	"foresail.dev/ml/nn"
	"foresail.dev/model/callgraph/shares"
)

// Gradients are held against finite differences.
func TestGradients(t *testing.T) {
	const steps, classes, batch = 3, 3, 2
	r := nn.NewRand(1, 1)
	n := newNetwork[float64](steps, classes, r)
	x := nn.Batch[float64]{Rows: steps * batch, Cols: inputs(classes), Data: make([]float64, steps*batch*inputs(classes))}
	for i := range x.Data {
		x.Data[i] = r.NormFloat64()
	}
	target := []float64{0.2, 0.3, 0.5, 0.9, 0.1, 0}
	loss := func() float64 {
		return nn.MSE(n.forward(x, batch).Data, target, make([]float64, len(target)))
	}
	n.forward(x, batch)
	n.backward(target)
	for _, p := range n.params {
		for k := 0; k < len(p.W); k += 1 + len(p.W)/20 {
			const h = 1e-5
			w := p.W[k]
			p.W[k] = w + h
			up := loss()
			p.W[k] = w - h
			down := loss()
			p.W[k] = w
			if want := (up - down) / (2 * h); math.Abs(p.G[k]-want) > 1e-8+1e-5*math.Abs(want) {
				t.Errorf("%s[%d]: gradient %v, by differences %v", p.Name, k, p.G[k], want)
			}
		}
	}
}

func turns(name string, windows int) shares.Series {
	s := shares.Series{Name: name}
	for k := range windows {
		s.Rows = append(s.Rows, [][]float64{{0.7, 0.2, 0.1}, {0.1, 0.3, 0.6}, {0.2, 0.7, 0.1}}[k%3])
	}
	return s
}

// It learns mixes that take turns, the same each time, and predicts the same when it is read again.
func TestItLearnsTurns(t *testing.T) {
	pool := []shares.Series{turns("a", 90), turns("b", 60)}
	train := func() shares.Model {
		m, err := LSTM.Train(pool, shares.Options{Seed: 3})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := train()
	data, err := m.(*Model).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	read, err := LSTM.Load(data)
	if err != nil {
		t.Fatal(err)
	}
	var got [3][]float64
	for i, m := range []shares.Model{m, train(), read} {
		tr, ok := m.Track(3)
		if !ok {
			t.Fatal("can't follow")
		}
		s := turns("c", 30)
		for _, row := range s.Rows[:20] {
			tr.Observe(row, 0)
		}
		for ahead := 1; ahead <= 3; ahead++ {
			p := make([]float64, 3)
			tr.Predict(ahead, p)
			got[i] = append(got[i], p...)
			for k, v := range p {
				if math.Abs(v-s.Rows[19+ahead][k]) > 0.1 {
					t.Errorf("%d ahead: %.3f, want %.3f", ahead, p, s.Rows[19+ahead])
					break
				}
			}
		}
	}
	if !slices.Equal(got[0], got[1]) || !slices.Equal(got[0], got[2]) {
		t.Errorf("%v, trained again %v, read %v", got[0], got[1], got[2])
	}
}

func TestWithTooLittleItFollowsNothing(t *testing.T) {
	m, err := LSTM.Train([]shares.Series{turns("a", 30)}, shares.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := m.Track(3); ok {
		t.Error("it follows")
	}
	if _, err := LSTM.Train([]shares.Series{turns("a", 30), {Name: "b", Rows: [][]float64{{1}}}}, shares.Options{}); err == nil {
		t.Error("series of three call graphs and of one are taken")
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{"classes":2}`))
	f.Add([]byte(`{"classes":2,"weights":"AA=="}`))
	f.Add([]byte(`{"classes":-1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := LSTM.Load(data)
		if err != nil {
			return
		}
		if tr, ok := m.Track(2); ok {
			tr.Observe([]float64{0.5, 0.5}, 0)
			tr.Predict(1, make([]float64, 2))
		}
	})
}

// A step of training on a batch of 100.
func BenchmarkTrainStep(b *testing.B) {
	r := nn.NewRand(1, 1)
	n := newNetwork[float32](window, 4, r)
	x := nn.Batch[float32]{Rows: window * batchSize, Cols: 9, Data: make([]float32, window*batchSize*9)}
	for i := range x.Data {
		x.Data[i] = float32(r.NormFloat64())
	}
	target := make([]float32, batchSize*4)
	opt := &nn.Adam[float32]{Rate: rate}
	b.ReportAllocs()
	for b.Loop() {
		n.forward(x, batchSize)
		n.backward(target)
		opt.Step(n.params)
	}
}

func BenchmarkInfer(b *testing.B) {
	n := newNetwork[float32](window, 4, nn.NewRand(1, 1))
	x := nn.Batch[float32]{Rows: window, Cols: 9, Data: make([]float32, window*9)}
	b.ReportAllocs()
	for b.Loop() {
		n.forward(x, 1)
	}
}
