// Package nn trains small neural networks: tens of thousands of weights, batches of some dozens of examples, on one core.
//
// A network is made of layers (Layer), or of parts that are stepped through time (LSTM, Attention); a loss gives the
// gradient of its outputs, the way back through the layers that of every weight, and an Optimizer takes the step. Examples
// are rows of a Batch. Images lie as height × width × channels in a row; sequences lie one time step after another, each
// of all examples.
//
// Everything is generic over float32, for work, and float64, in which the tests hold every gradient against finite
// differences. Arithmetic is that of package kernel. Buffers are made when a layer sees its largest batch and kept, so a
// step of training allocates nothing once it has been taken. Results of a layer are its own: they are valid until its next
// call. No layer may be used by two goroutines at once; networks that share no layer may.
//
// All that is drawn comes from one Rand. With it, the weights and the optimiser's moments (Save, Restore) training goes on,
// bit for bit, where it stopped.
package nn

import "foresail.dev/ml/nn/kernel"

// Float is what networks compute in.
type Float = kernel.Float

// Batch is a matrix with one example a row; the rows lie one after another in Data.
type Batch[T Float] struct {
	Rows, Cols int
	Data       []T
}

// Row is the example i.
func (b Batch[T]) Row(i int) []T { return b.Data[i*b.Cols : (i+1)*b.Cols] }

// Rowset is the part with the rows from ≤ i < to.
func (b Batch[T]) Rowset(from, to int) Batch[T] {
	return Batch[T]{to - from, b.Cols, b.Data[from*b.Cols : to*b.Cols]}
}

func (b Batch[T]) matrix() kernel.Matrix[T] { return kernel.Of(b.Data, b.Rows, b.Cols) }

// need panics unless a batch has cols columns.
func (b Batch[T]) need(cols int, who string) {
	if b.Cols != cols || len(b.Data) != b.Rows*b.Cols {
		panic("nn: " + who + " is given a batch of another shape")
	}
}

// A Layer turns a batch of inputs into one of outputs, and a gradient of outputs into one of inputs. Another way to compute
// the same, with the same weights, is another Layer.
type Layer[T Float] interface {
	// Forward returns the outputs. With train, the layer keeps what Backward needs, and draws and estimates what it only
	// does in training. x must stay as it is until Backward.
	Forward(x Batch[T], train bool) Batch[T]
	// Backward is given the gradient of the last outputs, adds those of the weights to Params, and returns that of the
	// inputs. It may use up dy.
	Backward(dy Batch[T]) Batch[T]
	// Params returns the weights, always the same in the same order.
	Params() []*Param[T]
}

// Param is an array of weights and their gradient.
type Param[T Float] struct {
	Name string
	W    []T
	G    []T // nil: it is kept with the weights and not trained
}

// NewParam makes n weights that are zero, for networks that are not made of layers alone.
func NewParam[T Float](name string, n int) *Param[T] { return newParam[T](name, n) }

func newParam[T Float](name string, n int) *Param[T] {
	return &Param[T]{Name: name, W: make([]T, n), G: make([]T, n)}
}

// grow returns the first n numbers of a buffer, which is made larger when it has to be. What is in it is arbitrary.
func grow[T Float](buffer *[]T, n int) []T {
	if cap(*buffer) < n {
		*buffer = make([]T, n)
	}
	*buffer = (*buffer)[:n]
	return *buffer
}

func growBatch[T Float](buffer *[]T, rows, cols int) Batch[T] {
	return Batch[T]{rows, cols, grow(buffer, rows*cols)}
}

// zeroed is grow with zeros.
func zeroed[T Float](buffer *[]T, n int) []T {
	b := grow(buffer, n)
	clear(b)
	return b
}

// addColumns adds to each of sum the numbers in its column.
func addColumns[T Float](sum []T, b Batch[T]) {
	for i := range b.Rows {
		kernel.Axpy(1, b.Row(i), sum)
	}
}
