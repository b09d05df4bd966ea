package nn

import "math"

// BatchNorm normalises each channel over the batch and all pixels (Ioffe and Szegedy, ICML 2015, algorithm 1), then scales
// and shifts it. Outside of training it uses running means of what it saw in training.
type BatchNorm[T Float] struct {
	Channels  int
	Eps       float64 // added to variances
	Momentum  float64 // of running statistics: what is kept of the old at each step
	FixScale  bool    // the scale stays 1
	Frozen    bool    // training, too, uses the running statistics, and leaves them as they are
	scale     *Param[T]
	shift     *Param[T]
	mean      *Param[T]
	variance  *Param[T]
	inverse   []T // 1/√(variance+eps) of the last batch
	xhat, y   []T
	mu, m1    []float64
	trained   bool // the last Forward was in training
	gain, off []T
	slope     []T
}

// NewBatchNorm makes a normalisation of the given number of channels with eps 1e-5 and momentum 0.9. Its running mean is 0
// and its running variance 1.
func NewBatchNorm[T Float](name string, channels int) *BatchNorm[T] {
	b := &BatchNorm[T]{Channels: channels, Eps: 1e-5, Momentum: 0.9,
		scale: newParam[T](name+".scale", channels), shift: newParam[T](name+".shift", channels),
		mean: newParam[T](name+".mean", channels), variance: newParam[T](name+".variance", channels),
		inverse: make([]T, channels), mu: make([]float64, channels), m1: make([]float64, channels),
		gain: make([]T, channels), off: make([]T, channels), slope: make([]T, channels)}
	b.mean.G, b.variance.G = nil, nil
	for i := range channels {
		b.scale.W[i], b.variance.W[i] = 1, 1
	}
	return b
}

// Forward implements Layer.
func (b *BatchNorm[T]) Forward(x Batch[T], train bool) Batch[T] {
	if x.Cols%b.Channels != 0 {
		panic("nn: BatchNorm is given a batch of another shape")
	}
	y := growBatch(&b.y, x.Rows, x.Cols)
	b.trained = train
	c := b.Channels
	if b.Frozen {
		for j := range c {
			b.inverse[j] = T(1 / math.Sqrt(float64(b.variance.W[j])+b.Eps))
			b.mu[j] = float64(b.mean.W[j])
		}
	}
	if !train {
		for j := range c {
			b.gain[j] = b.scaleOf(j) / T(math.Sqrt(float64(b.variance.W[j])+b.Eps))
			b.off[j] = b.shift.W[j] - b.mean.W[j]*b.gain[j]
		}
		normalise(y.Data, x.Data, b.gain, b.off)
		return y
	}
	if !b.Frozen {
		b.estimate(x)
	}
	xhat := grow(&b.xhat, len(x.Data))
	for j := range c {
		b.gain[j], b.off[j] = b.inverse[j], -T(b.mu[j])*b.inverse[j]
	}
	normalise(xhat, x.Data, b.gain, b.off)
	for j := range c {
		b.gain[j] = b.scaleOf(j)
	}
	normalise(y.Data, xhat, b.gain, b.shift.W)
	return y
}

// normalise is dst = src·gain + off, by channel.
func normalise[T Float](dst, src, gain, off []T) {
	c := len(gain)
	for i := 0; i < len(src); i += c {
		in, out := src[i:i+c], dst[i:i+c]
		g, o := gain[:len(in)], off[:len(in)]
		out = out[:len(in)]
		for j, v := range in {
			out[j] = v*g[j] + o[j]
		}
	}
}

// estimate takes mean and variance of each channel, in two passes, and moves the running ones.
func (b *BatchNorm[T]) estimate(x Batch[T]) {
	c := b.Channels
	n := float64(len(x.Data) / c)
	clear(b.mu)
	clear(b.m1)
	for i := 0; i < len(x.Data); i += c {
		for j, v := range x.Data[i : i+c] {
			b.mu[j] += float64(v)
		}
	}
	for j := range c {
		b.mu[j] /= n
	}
	for i := 0; i < len(x.Data); i += c {
		for j, v := range x.Data[i : i+c] {
			d := float64(v) - b.mu[j]
			b.m1[j] += d * d
		}
	}
	for j := range c {
		v := b.m1[j] / n
		b.inverse[j] = T(1 / math.Sqrt(v+b.Eps))
		b.mean.W[j] = T(b.Momentum)*b.mean.W[j] + T((1-b.Momentum)*b.mu[j])
		b.variance.W[j] = T(b.Momentum)*b.variance.W[j] + T((1-b.Momentum)*v)
	}
}

func (b *BatchNorm[T]) scaleOf(j int) T {
	if b.FixScale {
		return 1
	}
	return b.scale.W[j]
}

// Backward implements Layer: dx = scale/σ · (dy - mean(dy) - x̂·mean(dy·x̂)).
func (b *BatchNorm[T]) Backward(dy Batch[T]) Batch[T] {
	if !b.trained {
		panic("nn: BatchNorm goes back through a batch that was not for training")
	}
	c := b.Channels
	n := float64(len(dy.Data) / c)
	sum, dot := b.mu, b.m1
	clear(sum)
	clear(dot)
	for i := 0; i < len(dy.Data); i += c {
		hat := b.xhat[i : i+c]
		for j, d := range dy.Data[i : i+c] {
			sum[j] += float64(d)
			dot[j] += float64(d * hat[j])
		}
	}
	for j := range c {
		b.shift.G[j] += T(sum[j])
		if !b.FixScale {
			b.scale.G[j] += T(dot[j])
		}
	}
	for j := range c {
		b.gain[j] = b.scaleOf(j) * b.inverse[j]
		b.off[j], b.slope[j] = -b.gain[j]*T(sum[j]/n), -b.gain[j]*T(dot[j]/n)
		if b.Frozen { // mean and variance do not hang on the inputs
			b.off[j], b.slope[j] = 0, 0
		}
	}
	for i := 0; i < len(dy.Data); i += c {
		d, hat := dy.Data[i:i+c], b.xhat[i:i+c]
		g, o, s := b.gain[:len(d)], b.off[:len(d)], b.slope[:len(d)]
		hat = hat[:len(d)]
		for j, v := range d {
			d[j] = v*g[j] + o[j] + hat[j]*s[j]
		}
	}
	return dy
}

// Params implements Layer.
func (b *BatchNorm[T]) Params() []*Param[T] {
	return []*Param[T]{b.scale, b.shift, b.mean, b.variance}
}
