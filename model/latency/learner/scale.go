package learner

import "math"

// scale turns a number into what learners see, and back: the logarithm, if it is taken, then mean 0 and variance 1.
type scale struct {
	Log       bool
	Floor     float64 // what is less counts as this much, where logarithms are taken; > 0
	Mean, Dev float64 // Dev > 0
}

// fitScale fits a scale to numbers. Logarithms are only taken of what is never negative, nor always 0.
func fitScale(v []float64, log bool) scale {
	least := math.Inf(1) // above 0
	for _, x := range v {
		if x < 0 {
			log = false
		}
		if x > 0 {
			least = min(least, x)
		}
	}
	s := scale{Log: log && !math.IsInf(least, 1), Floor: 1}
	if s.Log {
		s.Floor = max(least/2, 1e-100)
	}
	for _, x := range v {
		s.Mean += s.bend(x) / float64(len(v))
	}
	sum, most := 0.0, 0.0
	for _, x := range v {
		d := s.bend(x) - s.Mean
		sum += d * d / float64(len(v))
		most = max(most, math.Abs(s.bend(x)))
	}
	s.Dev = math.Sqrt(sum)
	if !(s.Dev > 1e-12*max(most, 1e-100)) {
		s.Dev = max(most, 1) // it is the same everywhere, and stays so
	}
	return s
}

func (s *scale) bend(x float64) float64 {
	if s.Log {
		return math.Log(max(x, s.Floor))
	}
	return x
}

// standard is x as learners see it. What lies far beyond all that was seen counts as less far: no learner knows more there.
func (s *scale) standard(x float64) float64 {
	return min(max((s.bend(x)-s.Mean)/s.Dev, -beyond), beyond)
}

// beyond is how many standard deviations from the mean an input counts at most.
const beyond = 6

// natural turns a mean and a variance, as the learner sees the target, into a prediction. least is the least value that
// makes sense where no logarithm was taken.
func (s *scale) natural(mean, variance, least float64) Prediction {
	at, dev := s.Mean+s.Dev*mean, s.Dev*math.Sqrt(variance)
	if s.Log {
		return Prediction{math.Exp(min(max(at, -200), 200)), min(dev, widest)}
	}
	at = max(at, least)
	return Prediction{at, min(math.Sqrt(math.Log1p(dev*dev/at/at)), widest)}
}

// widest bounds how uncertain a prediction says that it is: beyond it, nothing is known anyway.
const widest = 10

// scales are those of a table's inputs, and of its target.
type scales struct {
	in  []scale
	out scale
	// least is the least that is predicted: a tenth of the least that was seen above 0.
	least float64
}

func fitScales(d *Data, logIn, logOut bool) scales {
	s := scales{in: make([]scale, d.Inputs), out: fitScale(d.Y, logOut), least: math.Inf(1)}
	column := make([]float64, d.Rows())
	for f := range s.in {
		for i := range column {
			column[i] = d.X[i*d.Inputs+f]
		}
		s.in[f] = fitScale(column, logIn)
	}
	for _, y := range d.Y {
		if y > 0 {
			s.least = min(s.least, y/10)
		}
	}
	s.least = max(s.least, 1e-100)
	return s
}

// apply writes a row as learners see it.
func (s *scales) apply(dst, row []float64) {
	for f := range s.in {
		dst[f] = s.in[f].standard(row[f])
	}
}

// table is d as learners see it.
func (s *scales) table(d *Data) Data {
	out := Data{X: make([]float64, len(d.X)), Inputs: d.Inputs, Y: make([]float64, len(d.Y))}
	for i := range d.Y {
		s.apply(out.X[i*d.Inputs:(i+1)*d.Inputs], d.Row(i))
		out.Y[i] = (s.out.bend(d.Y[i]) - s.out.Mean) / s.out.Dev
	}
	return out
}
