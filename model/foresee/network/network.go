package network

import (
	"fmt"

	"foresail.dev/ml/nn"
)

// Kind is which of the three.
type Kind string

// The networks.
const (
	CNN    Kind = "cnn"
	LSTM   Kind = "lstm"
	Hybrid Kind = "hybrid"
)

// Kinds lists them.
var Kinds = []Kind{CNN, LSTM, Hybrid}

// Wide is how many services the convolutions see one by one.
const Wide = 128

// Sizes with which the weights come to the paper's.
const (
	filters     = 16
	lastFilters = 20 // of the CNN's second half
	lstmHidden  = 44
	// Of the hybrid: its LSTM layers, and its dense ones, those that all services share and those that see all.
	hidden       = 20
	sharedHidden = 32
	wholeHidden  = 80
	dropped      = 0.3 // of what the latter see, in training
)

// Config is the shape of a network.
type Config struct {
	Kind                      Kind
	Services, Beats, Channels int
}

// Limits of a Config.
const (
	MaxServices = 1 << 14
	MaxBeats    = 256
	MaxChannels = 16
)

// Check tells what is wrong with a shape.
func (c *Config) Check() error {
	switch {
	case c.Kind != CNN && c.Kind != LSTM && c.Kind != Hybrid:
		return fmt.Errorf("network %q: give %s, %s or %s", c.Kind, CNN, LSTM, Hybrid)
	case c.Services < 1 || c.Services > MaxServices:
		return fmt.Errorf("a network for %d services: it can be for 1 to %d", c.Services, MaxServices)
	case c.Beats < 1 || c.Beats > MaxBeats:
		return fmt.Errorf("a network that sees %d beats: it can see 1 to %d", c.Beats, MaxBeats)
	case c.Channels < 1 || c.Channels > MaxChannels:
		return fmt.Errorf("a network that sees %d numbers of each service: it can see 1 to %d", c.Channels, MaxChannels)
	}
	return nil
}

// Inputs is the length of an input row.
func (c *Config) Inputs() int { return c.Beats * c.Services * c.Channels }

// Classes is how many there are: the services, and none, which is the last.
func (c *Config) Classes() int { return c.Services + 1 }

// New makes a network with weights drawn after Glorot. It panics on a shape that Check refuses.
func New[T nn.Float](c Config, r *nn.Rand) nn.Sequential[T] {
	if err := c.Check(); err != nil {
		panic("network: " + err.Error())
	}
	switch c.Kind {
	case CNN:
		return cnn[T](c, r)
	case LSTM:
		return lstm[T](c, r)
	}
	return hybrid[T](c, r)
}

// image is what convolutions have made so far.
type image[T nn.Float] struct {
	layers  nn.Sequential[T]
	h, w, c int
	r       *nn.Rand
}

// conv adds a convolution, rectified, that leaves one pixel for each strideH × strideW.
func (m *image[T]) conv(strideH, strideW, filters int) {
	s := nn.ConvShape{H: m.h, W: m.w, C: m.c, Filters: filters, KernelH: min(3, m.h), KernelW: min(3, m.w), StrideH: strideH, StrideW: strideW}
	if strideW > 2 {
		s.KernelW = min(strideW, m.w)
	}
	s = s.Same()
	// What a place sees must not hang on how many services follow it: weights are carried over to where there are more (Carry).
	left := min(s.Left, max(s.KernelW-strideW, 0)/2)
	s.Left, s.Right = left, s.Right+s.Left-left
	m.add(s)
	m.layers = append(m.layers, &nn.Activation[T]{Func: nn.ReLU})
}

func (m *image[T]) add(s nn.ConvShape) {
	l := nn.NewConv2D[T](fmt.Sprintf("conv%d", 1+len(m.layers)/2), s, true, m.r)
	l.First = len(m.layers) == 0
	m.layers = append(m.layers, l)
	m.h, m.w = s.Out()
	m.c = s.Filters
}

// residual adds a convolution over neighbours alone, or over time alone, to what it sees.
func (m *image[T]) residual(neighbours bool) {
	s := nn.ConvShape{H: m.h, W: m.w, C: m.c, Filters: m.c, KernelH: 1, KernelW: min(3, m.w), StrideH: 1, StrideW: 1}
	if !neighbours {
		s.KernelH, s.KernelW = min(3, m.h), 1
	}
	l := nn.NewConv2D[T](fmt.Sprintf("conv%d", 1+len(m.layers)), s.Same(), true, m.r)
	m.layers = append(m.layers, &residual[T]{layers: nn.Sequential[T]{l, &nn.Activation[T]{Func: nn.ReLU}}})
}

// first is how many services the first convolution takes at a step.
func (c *Config) first() int { return (c.Services + Wide - 1) / Wide }

func cnn[T nn.Float](c Config, r *nn.Rand) nn.Sequential[T] {
	m := image[T]{h: c.Beats, w: c.Services, c: c.Channels, r: r}
	m.conv(1, c.first(), filters)
	m.conv(1, 2, filters)
	m.conv(1, 1, filters)
	m.conv(2, 2, filters)
	m.conv(1, 1, lastFilters)
	m.conv(2, 2, lastFilters)
	m.conv(1, 1, lastFilters)
	m.add(nn.ConvShape{H: m.h, W: m.w, C: m.c, Filters: c.Classes(), KernelH: m.h, KernelW: m.w})
	return m.layers
}

func lstm[T nn.Float](c Config, r *nn.Rand) nn.Sequential[T] {
	in := c.Services * c.Channels
	return nn.Sequential[T]{
		&nn.Sequence[T]{LSTM: nn.NewLSTM[T]("lstm1", in, lstmHidden, r), Steps: c.Beats, Every: true, First: true},
		&nn.Sequence[T]{LSTM: nn.NewLSTM[T]("lstm2", lstmHidden, lstmHidden, r), Steps: c.Beats, Every: true},
		&nn.Sequence[T]{LSTM: nn.NewLSTM[T]("lstm3", lstmHidden, lstmHidden, r), Steps: c.Beats},
		nn.NewDense[T]("classes", lstmHidden, c.Classes(), r),
	}
}

// hybrid sees each service with its neighbours in convolutions that keep all services apart, remembers each with LSTM layers that
// all share, and decides with dense ones (see head).
func hybrid[T nn.Float](c Config, r *nn.Rand) nn.Sequential[T] {
	m := image[T]{h: c.Beats, w: c.Services, c: c.Channels, r: r}
	m.conv(1, c.first(), filters)
	m.conv(2, 1, filters)
	for k := range 5 {
		m.residual(k%2 == 0)
	}
	return append(m.layers,
		&lanes[T]{h: m.h, w: m.w, c: m.c},
		&nn.Sequence[T]{LSTM: nn.NewLSTM[T]("lstm1", m.c, hidden, r), Steps: m.h, Every: true},
		&nn.Sequence[T]{LSTM: nn.NewLSTM[T]("lstm2", hidden, hidden, r), Steps: m.h},
		newHead[T](m.w, hidden, c.first(), c.Classes(), dropped, r))
}
