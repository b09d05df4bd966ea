package dist

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/cmplx"

	"gonum.org/v1/gonum/mathext"
)

// Stage is the distribution of one visit's own time, in seconds: Shift plus an exponential of Rate; or, where there are
// Parts, Shift plus a draw of their mixture. A Stage is a value: whoever changes Parts makes a copy before.
type Stage struct {
	Shift float64 // s, what every visit takes; at least 0
	Rate  float64 // 1/s, above 0; +Inf: Shift is all there is. Not used where there are Parts
	Parts []Part  // a mixture of Erlang distributions, their weights adding to 1
}

// Part is one Erlang distribution of a mixture: the sum of Order exponentials of Rate.
type Part struct {
	Weight float64 `json:"weight"`
	Order  int     `json:"order"`
	Rate   float64 `json:"rate"` // 1/s
}

// MaxOrder bounds the order of a part: one of 1,000 has a coefficient of variation of 3 %, and what varies less is as good
// as fixed.
const MaxOrder = 1000

// Exponential is shift seconds plus an exponential of the given rate in 1/s.
func Exponential(shift, rate float64) Stage { return Stage{Shift: shift, Rate: rate} }

// Fixed is always the same time, in seconds.
func Fixed(seconds float64) Stage { return Stage{Shift: seconds, Rate: math.Inf(1)} }

// Check says what is wrong with s: a shift below 0, a rate that is not above 0, weights that don't add to one.
func (s Stage) Check() error {
	if !(s.Shift >= 0) || math.IsInf(s.Shift, 0) {
		return fmt.Errorf("shift %g s: it is the least time of a visit, at least 0 and finite", s.Shift)
	}
	if len(s.Parts) == 0 {
		if !(s.Rate > 0) {
			return fmt.Errorf("rate %g per second: a rate is above 0 (+Inf for a fixed time)", s.Rate)
		}
		return nil
	}
	total := 0.0
	for i, p := range s.Parts {
		switch {
		case !(p.Rate > 0) || math.IsInf(p.Rate, 0):
			return fmt.Errorf("part %d: rate %g per second: a rate is above 0 and finite", i, p.Rate)
		case p.Order < 1 || p.Order > MaxOrder:
			return fmt.Errorf("part %d: order %d: it is from 1 to %d", i, p.Order, MaxOrder)
		case !(p.Weight >= 0) || p.Weight > 1+1e-9:
			return fmt.Errorf("part %d: weight %g: weights are from 0 to 1", i, p.Weight)
		}
		total += p.Weight
	}
	if math.Abs(total-1) > 1e-9 {
		return fmt.Errorf("the weights of %d parts add to %g: they are shares of 1", len(s.Parts), total)
	}
	return nil
}

// Mean is in seconds.
func (s Stage) Mean() float64 {
	m, _, _ := s.Cumulants()
	return m
}

// Variance is in s².
func (s Stage) Variance() float64 {
	_, v, _ := s.Cumulants()
	return v
}

// Cumulants are the mean (s), the variance (s²) and the third central moment (s³). Those of independent stages add.
func (s Stage) Cumulants() (mean, variance, third float64) {
	if len(s.Parts) == 0 {
		m := 1 / s.Rate
		return s.Shift + m, m * m, 2 * m * m * m
	}
	var m1, m2, m3 float64
	for _, p := range s.Parts {
		k, r := float64(p.Order), 1/p.Rate
		m1 += p.Weight * k * r
		m2 += p.Weight * k * (k + 1) * r * r
		m3 += p.Weight * k * (k + 1) * (k + 2) * r * r * r
	}
	return s.Shift + m1, m2 - m1*m1, m3 - 3*m1*m2 + 2*m1*m1*m1
}

// CDF is the probability that a visit takes at most t seconds.
func (s Stage) CDF(t float64) float64 {
	t -= s.Shift
	switch {
	case t < 0:
		return 0
	case len(s.Parts) == 0:
		return -math.Expm1(-s.Rate * t)
	}
	f := 0.0
	for _, p := range s.Parts {
		f += p.Weight * mathext.GammaIncReg(float64(p.Order), p.Rate*t)
	}
	return math.Min(f, 1)
}

// Above is the probability that a visit takes longer than t seconds; it keeps its precision where it is small.
func (s Stage) Above(t float64) float64 {
	t -= s.Shift
	switch {
	case t < 0:
		return 1
	case len(s.Parts) == 0:
		return math.Exp(-s.Rate * t)
	}
	f := 0.0
	for _, p := range s.Parts {
		f += p.Weight * mathext.GammaIncRegComp(float64(p.Order), p.Rate*t)
	}
	return math.Min(f, 1)
}

// Quantile is the time in seconds that a share p of all visits does not exceed; NaN unless 0 <= p < 1.
func (s Stage) Quantile(p float64) float64 {
	switch {
	case !(p >= 0 && p < 1):
		return math.NaN()
	case len(s.Parts) == 0:
		return s.Shift - math.Log1p(-p)/s.Rate
	}
	lo, hi := s.Shift, s.Mean()
	for s.Above(hi) > 1-p {
		lo, hi = hi, s.Shift+2*(hi-s.Shift)
	}
	for range 200 {
		mid := lo + (hi-lo)/2
		if mid == lo || mid == hi {
			break
		}
		if s.Above(mid) > 1-p {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}

// Scaled is the distribution of by times as long a time: shift and rates change, shape does not.
func (s Stage) Scaled(by float64) Stage {
	out := Stage{Shift: s.Shift * by, Rate: s.Rate / by}
	if len(s.Parts) > 0 {
		out.Parts = make([]Part, len(s.Parts))
		for i, p := range s.Parts {
			p.Rate /= by
			out.Parts[i] = p
		}
	}
	return out
}

// IsFixed says that s is always the same time.
func (s Stage) IsFixed() bool { return len(s.Parts) == 0 && math.IsInf(s.Rate, 1) }

// Pole is the rate at which the tail of s falls in the end, in 1/s: its moment generating function is finite below it.
func (s Stage) Pole() float64 {
	if len(s.Parts) == 0 {
		return s.Rate
	}
	least := math.Inf(1)
	for _, p := range s.Parts {
		if p.Weight > 0 {
			least = math.Min(least, p.Rate)
		}
	}
	return least
}

// transform is E[exp(z X)] of what is above the shift, X, and E[X exp(z X)].
func (s *Stage) transform(z complex128) (m, d complex128) {
	if len(s.Parts) == 0 {
		if math.IsInf(s.Rate, 1) {
			return 1, 0
		}
		u := 1 / (complex(s.Rate, 0) - z)
		m = complex(s.Rate, 0) * u
		return m, m * u
	}
	for _, p := range s.Parts {
		if p.Weight == 0 {
			continue
		}
		u := inverse(p.Rate-real(z), -imag(z))
		e := power(scale(p.Rate, u), p.Order)
		m += scale(p.Weight, e)
		d += scale(p.Weight*float64(p.Order), e*u)
	}
	return m, d
}

// inverse is 1/(x+iy), for numbers whose squares are numbers; the language's own division sees to all others.
func inverse(x, y float64) complex128 {
	q := 1 / (x*x + y*y)
	return complex(x*q, -y*q)
}

func scale(by float64, z complex128) complex128 { return complex(by*real(z), by*imag(z)) }

// Transform is E[exp(z T)] of the stage's time T, shift included, and its derivative E[T exp(z T)]; Re z below Pole.
func (s Stage) Transform(z complex128) (m, d complex128) {
	m, d = s.transform(z)
	if s.Shift != 0 {
		e := cmplx.Exp(z * complex(s.Shift, 0))
		m, d = m*e, (d+m*complex(s.Shift, 0))*e
	}
	return m, d
}

// power is z to the n, n at least 1.
func power(z complex128, n int) complex128 {
	for n&1 == 0 {
		z *= z
		n >>= 1
	}
	out := z
	for n >>= 1; n > 0; n >>= 1 {
		z *= z
		if n&1 == 1 {
			out *= z
		}
	}
	return out
}

// stageJSON is a stage in files: without rate and parts it is a fixed time.
type stageJSON struct {
	Shift float64  `json:"shift"`
	Rate  *float64 `json:"rate,omitempty"`
	Parts []Part   `json:"parts,omitempty"`
}

// MarshalJSON leaves the rate out where it is infinite or not used.
func (s Stage) MarshalJSON() ([]byte, error) {
	out := stageJSON{Shift: s.Shift, Parts: s.Parts}
	if len(s.Parts) == 0 && !math.IsInf(s.Rate, 1) {
		out.Rate = &s.Rate
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote, and refuses what Check does.
func (s *Stage) UnmarshalJSON(b []byte) error {
	var in stageJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	if in.Rate != nil && len(in.Parts) > 0 {
		return errors.New("a stage has a rate or parts, not both")
	}
	out := Stage{Shift: in.Shift, Rate: math.Inf(1), Parts: in.Parts}
	if in.Rate != nil {
		out.Rate = *in.Rate
	} else if len(in.Parts) > 0 {
		out.Rate = 0
	}
	if err := out.Check(); err != nil {
		return fmt.Errorf("stage: %w", err)
	}
	*s = out
	return nil
}

// LogTransform is ln E[exp(z X)] of what is above the shift, X, for a real z below Pole; +Inf where that overflows.
func (s Stage) LogTransform(z float64) float64 {
	switch {
	case s.IsFixed():
		return 0
	case len(s.Parts) == 0:
		return -math.Log1p(-z / s.Rate)
	}
	sum := 0.0
	for _, p := range s.Parts {
		if p.Weight == 0 {
			continue
		}
		x, e := p.Rate/(p.Rate-z), p.Weight
		for k := p.Order; k > 0; k >>= 1 {
			if k&1 == 1 {
				e *= x
			}
			x *= x
		}
		sum += e
	}
	return math.Log(sum)
}
