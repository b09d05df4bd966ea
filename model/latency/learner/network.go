package learner

import (
	"fmt"
	"math"

	"foresail.dev/ml/nn"
)

// members is how many networks, of different seeds, the mean is of: one alone is chance, on a hundred rows.
const members = 3

// batch is how many rows a step of training sees.
const batch = 32

// network is the mean of a few networks.
type network struct {
	inputs, layers, width int
	weights               [members][]byte // as nn.Save writes them
}

func layers(inputs int, c *Candidate, r *nn.Rand) nn.Sequential[float32] {
	var s nn.Sequential[float32]
	in := inputs
	for range c.Layers {
		s = append(s, nn.NewDense[float32]("dense", in, c.Width, r), &nn.Activation[float32]{Func: nn.Tanh})
		in = c.Width
	}
	return append(s, nn.NewDense[float32]("out", in, 1, r))
}

// fitNetwork trains with Adam, with weight decay and a learning rate that falls as a cosine to 0.
func fitNetwork(d *Data, c *Candidate, seed uint64) (*network, error) {
	out := &network{inputs: d.Inputs, layers: c.Layers, width: c.Width}
	for m := range out.weights {
		r := nn.NewRand(seed, 0x77+uint64(m))
		net := layers(d.Inputs, c, r)
		trainNetwork(net, d, c, r)
		var err error
		if out.weights[m], err = nn.Save(net.Params(), nil, nil); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func trainNetwork(net nn.Sequential[float32], d *Data, c *Candidate, r *nn.Rand) {
	n, params := d.Rows(), net.Params()
	adam := &nn.Adam[float32]{}
	x := nn.Batch[float32]{Cols: d.Inputs, Data: make([]float32, batch*d.Inputs)}
	y, dy := make([]float32, batch), make([]float32, batch)
	steps, step := c.Rounds*((n+batch-1)/batch), 0
	for range c.Rounds {
		order := r.Perm(n)
		for len(order) > 0 {
			rows := order[:min(batch, len(order))]
			order = order[len(rows):]
			b := nn.Batch[float32]{Rows: len(rows), Cols: d.Inputs, Data: x.Data[:len(rows)*d.Inputs]}
			for k, i := range rows {
				y[k] = float32(d.Y[i])
				for f, v := range d.Row(i) {
					b.Data[k*d.Inputs+f] = float32(v)
				}
			}
			got := net.Forward(b, true)
			nn.MSE(got.Data, y[:len(rows)], dy[:len(rows)])
			net.Backward(nn.Batch[float32]{Rows: len(rows), Cols: 1, Data: dy[:len(rows)]})
			adam.Rate = c.Rate * (1 + math.Cos(math.Pi*float64(step)/float64(steps))) / 2
			decay := float32(1 - adam.Rate*c.Penalty) // apart from the gradient (Loshchilov and Hutter, ICLR 2019)
			for _, p := range params {
				for j := range p.W {
					p.W[j] *= decay
				}
			}
			nn.Clip(params, 5)
			adam.Step(params)
			step++
		}
	}
}

func (n *network) predictor() predictor {
	p := &networkPredictor{x: nn.Batch[float32]{Rows: 1, Cols: n.inputs, Data: make([]float32, n.inputs)}}
	for m := range p.nets {
		p.nets[m] = layers(n.inputs, &Candidate{Layers: n.layers, Width: n.width}, nn.NewRand(0, 0))
		if err := nn.Restore(n.weights[m], p.nets[m].Params(), nil, nil); err != nil {
			panic(err) // they were checked when the model was made
		}
	}
	return p
}

func (n *network) encode() ([]byte, error) {
	var b []byte
	for _, w := range n.weights {
		b = append(b, w...)
	}
	return b, nil
}

func decodeNetwork(b []byte, inputs int, c *Candidate) (*network, error) {
	n := &network{inputs: inputs, layers: c.Layers, width: c.Width}
	// The networks are made before their weights are read: not of more than there can be.
	if least := 4 * (inputs*c.Width + (c.Layers-1)*c.Width*c.Width + c.Width); len(b)%members != 0 || len(b)/members < least {
		return nil, fmt.Errorf("%d bytes are not %d networks of %d layers of %d", len(b), members, c.Layers, c.Width)
	}
	for m := range n.weights { // all have the same size
		n.weights[m] = b[m*len(b)/members : (m+1)*len(b)/members]
		net := layers(inputs, c, nn.NewRand(0, 0))
		if err := nn.Restore(n.weights[m], net.Params(), nil, nil); err != nil {
			return nil, err
		}
		for _, p := range net.Params() {
			for _, w := range p.W {
				if w-w != 0 {
					return nil, errWeights
				}
			}
		}
	}
	return n, nil
}

type networkPredictor struct {
	nets [members]nn.Sequential[float32]
	x    nn.Batch[float32]
}

func (p *networkPredictor) mean(row []float64) float64 {
	for f, v := range row {
		p.x.Data[f] = float32(v)
	}
	sum := 0.0
	for _, net := range p.nets {
		sum += float64(net.Forward(p.x, false).Data[0])
	}
	return sum / members
}

func (p *networkPredictor) predict(row []float64) (float64, float64) { return p.mean(row), 1 }
