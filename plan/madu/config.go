package madu

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"foresail.dev/model/forecast"
	"foresail.dev/model/forecast/methods"
)

// Config of a Manager. Zero fields mean the paper's values.
type Config struct {
	Forecaster string          // a forecast method's name; empty: "madu" where there is one, else the best there is
	Method     forecast.Method // instead of Forecaster: one that methods does not list, taken to learn fast
	N, M       int             // minutes that a forecast looks at, and looks ahead; 0 means 60 and 5
	CPU        float64         // T of CPU, a share of what a replica has; 0 means 0.5
	Memory     float64         // T of memory; 0 means 0.6
	Rho        float64         // how much more than needed there may be for smoothness, a share; 0 means 0.2, negative: none
	Sigma      float64         // sigmas added to the mean; 0 means 1, negative: none
	Lead       time.Duration   // how long before a minute what it needs more is asked for; 0 means 10 s, negative: not before it
	Traces     float64         // the share of requests whose traces count calls; 0 means 0.1
	Steps      int             // training steps of a network at most; 0: the method's own
	Seed       uint64          // of all that is drawn in training
	// Models are the payloads of model files of the forecaster, by the names of services. A service that has one is forecast by
	// it from its first minutes on; the model is neither changed nor trained in decisions. nil: there are none.
	Models map[string][]byte
}

func (c Config) withDefaults() (Config, error) {
	share := func(v *float64, to float64) {
		switch {
		case *v == 0:
			*v = to
		case *v < 0:
			*v = 0
		}
	}
	for _, n := range []struct {
		v  *int
		to int
	}{{&c.N, 60}, {&c.M, 5}} {
		if *n.v == 0 {
			*n.v = n.to
		}
	}
	if c.CPU == 0 {
		c.CPU = 0.5
	}
	if c.Memory == 0 {
		c.Memory = 0.6
	}
	share(&c.Rho, 0.2)
	share(&c.Sigma, 1)
	if c.Traces == 0 {
		c.Traces = 0.1
	}
	if c.Lead == 0 {
		c.Lead = 10 * time.Second
	}
	c.Lead = max(c.Lead, 0)
	var errs []error
	fault := func(bad bool, format string, a ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("madu: "+format, a...))
		}
	}
	if c.Method == nil && c.Forecaster == "" {
		c.Forecaster = DefaultForecaster()
	}
	if c.Method == nil {
		m, ok := methods.ByName(c.Forecaster)
		fault(!ok, "forecaster %q: use %s", c.Forecaster, strings.Join(methods.Names(), ", "))
		c.Method = m
	}
	fault(c.N < 1 || c.M < 1 || c.M > 1440, "n %d and m %d minutes: must be at least 1, and m at most 1440", c.N, c.M)
	fault(!(c.CPU > 0 && c.CPU <= 1), "CPU threshold %v: must be above 0 and at most 1, for example 0.5", c.CPU)
	fault(!(c.Memory > 0 && c.Memory <= 1), "memory threshold %v: must be above 0 and at most 1, for example 0.6", c.Memory)
	fault(!(c.Rho <= 10), "rho %v: must be a number up to 10", c.Rho)
	fault(!(c.Sigma <= 100), "sigma %v: must be a number up to 100", c.Sigma)
	fault(c.Lead >= time.Minute, "lead %v: must be less than a minute", c.Lead)
	fault(!(c.Traces > 0 && c.Traces <= 1), "traces %v: must be a share above 0 and at most 1", c.Traces)
	fault(c.Steps < 0, "%d training steps: must not be negative", c.Steps)
	return c, errors.Join(errs...)
}

// DefaultForecaster is the method that is used where none is named.
func DefaultForecaster() string { return best("madu") }

// fast are the methods that are trained in a decision, best first: milliseconds for a service, or less.
var fast = []string{"foresail", "ridge", "holt-winters", "arima", "seasonal-naive", "last-value"}

// best is the first there is of a name and, failing that, of fast.
func best(name string) string {
	for _, n := range append([]string{name}, fast...) {
		if _, ok := methods.ByName(n); ok {
			return n
		}
	}
	return "last-value"
}
