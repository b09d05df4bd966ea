package derm

import (
	"errors"
	"fmt"
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/model/callgraph/shares"
)

// Config of a Manager. Zero fields mean the defaults.
type Config struct {
	// Confidence is in how many of the windows that an objective is judged by it is to hold, 0..1: a window has so few requests
	// that by chance alone more of them are late than may be, unless fewer are on the long run. 0 means 0.99; negative: the
	// objective's percentile itself is held, on the long run.
	Confidence float64
	// Utilisation is the share of its CPU that a container may use in the mean of a minute at most; 0 means 0.7.
	Utilisation float64
	// Factor is the share of each objective's latency that percentiles are to stay within, above 0 and at most 1: they are known
	// only so well. 0 means 0.8.
	Factor float64
	// Memory is of how many minutes, the newest, the mixes are held again, whatever is predicted; 0 means 30.
	Memory int
	// Unlikely is the probability below which a predicted mix does not count; 0 means 0.03.
	Unlikely float64
	// Margin is how many standard deviations of the requests of five seconds, within minutes, are added to what is expected;
	// 0 means 1, negative: none.
	Margin float64
	Every  time.Duration // how often it looks whether more is needed than was planned; 0 means 2 s
	Traces float64       // see foresail.Needs; 0: as many as there are
	Budget int           // see solve.Problem; 0 means 150
	Forms  int           // the most call graphs that are told apart of an endpoint, the commonest; 0 means 12
	Seed   uint64        // of what methods that predict mixes draw in training
	// Methods predict the mix of call graphs; nil: those of shares.NewPredictor.
	Methods []shares.Method
}

func (c Config) withDefaults() (Config, error) {
	set := func(v *float64, to float64) {
		switch {
		case *v == 0:
			*v = to
		case *v < 0:
			*v = 0
		}
	}
	set(&c.Confidence, 0.99)
	set(&c.Margin, 1)
	set(&c.Unlikely, 0.03)
	if c.Utilisation == 0 {
		c.Utilisation = 0.7
	}
	if c.Factor == 0 {
		c.Factor = 0.8
	}
	for v, to := range map[*int]int{&c.Memory: 30, &c.Budget: 150, &c.Forms: 12} {
		if *v == 0 {
			*v = to
		}
	}
	if c.Every == 0 {
		c.Every = 2 * time.Second
	}
	var errs []error
	fault := func(bad bool, format string, a ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("derm: "+format, a...))
		}
	}
	fault(!(c.Confidence < 1), "confidence %v: must be below 1, for example 0.99", c.Confidence)
	fault(!(c.Utilisation > 0 && c.Utilisation < 1), "utilisation %v: must be a share above 0 and below 1", c.Utilisation)
	fault(!(c.Factor > 0 && c.Factor <= 1), "factor %v: must be a share above 0, at most 1", c.Factor)
	fault(c.Memory < 1 || c.Memory > maxMemory, "memory of %d minutes: must be 1 to %d", c.Memory, maxMemory)
	fault(!(c.Unlikely < 1), "unlikely %v: must be a probability below 1", c.Unlikely)
	fault(!(c.Margin <= 10), "margin %v: must be at most 10 standard deviations", c.Margin)
	fault(c.Every < time.Second || c.Every > time.Minute, "every %v: must be a second to a minute", c.Every)
	fault(!(c.Traces >= 0 && c.Traces <= 1), "traces %v: must be a share, 0 to 1", c.Traces)
	fault(c.Budget < 0 || c.Forms < 0, "budget %d and %d forms: must not be negative", c.Budget, c.Forms)
	return c, errors.Join(errs...)
}

const maxMemory = 60

// allowed is the share of requests that may be over an objective's limit on the long run, so that it holds in a window of so
// many requests a second with the confidence that is asked for.
func (c *Config) allowed(o *foresail.Objective, rate float64) float64 {
	may := o.Allowed()
	if c.Confidence <= 0 {
		return may
	}
	n := math.Floor(max(rate*o.WindowOrDefault().Seconds(), float64(o.MinRequestsOrDefault())))
	late := math.Floor(n * may * (1 + 1e-9))
	lo, hi := 0.0, may
	for range 40 {
		mid := (lo + hi) / 2
		if atMost(n, late, mid) >= c.Confidence {
			lo = mid
		} else {
			hi = mid
		}
	}
	return max(lo, may/100)
}

// atMost is the probability that of n requests at most k are late, where each is with probability p.
func atMost(n, k, p float64) float64 {
	if p <= 0 || k >= n {
		return 1
	}
	term := math.Exp(n * math.Log1p(-p))
	sum := term
	for i := 1.0; i <= k; i++ {
		term *= (n - i + 1) / i * p / (1 - p)
		sum += term
	}
	return sum
}
