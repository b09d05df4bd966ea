package nn_test

import (
	"fmt"

	"foresail.dev/ml/nn"
)

// A network learns the exclusive or, is kept half way, and another goes on from there to the same weights.
func Example() {
	x := nn.Batch[float32]{Rows: 4, Cols: 2, Data: []float32{0, 0, 0, 1, 1, 0, 1, 1}}
	target := []float32{0, 1, 1, 0}
	build := func(seed uint64) (nn.Sequential[float32], *nn.Adam[float32]) {
		r := nn.NewRand(seed, 0)
		return nn.Sequential[float32]{
			nn.NewDense[float32]("hidden", 2, 8, r),
			&nn.Activation[float32]{Func: nn.Tanh},
			nn.NewDense[float32]("out", 8, 1, r),
		}, &nn.Adam[float32]{Rate: 0.02}
	}
	train := func(net nn.Sequential[float32], opt *nn.Adam[float32], steps int) (loss float64) {
		dy := make([]float32, 4)
		for range steps {
			y := net.Forward(x, true)
			loss = nn.Logistic(y.Data, target, dy, 1)
			net.Backward(nn.Batch[float32]{Rows: 4, Cols: 1, Data: dy})
			opt.Step(net.Params())
		}
		return loss
	}
	net, opt := build(1)
	train(net, opt, 200)
	kept, _ := nn.Save(net.Params(), opt, nil)
	loss := train(net, opt, 200)

	other, otherOpt := build(2)
	if err := nn.Restore(kept, other.Params(), otherOpt, nil); err != nil {
		fmt.Println(err)
	}
	again := train(other, otherOpt, 200)
	fmt.Println("learnt:", loss < 0.1, "the same:", again == loss)
	// Output: learnt: true the same: true
}
