package foresee

import (
	"errors"
	"fmt"
	"time"

	"foresail.dev/model/foresee/network"
)

// Config says how to train. Start from Default.
type Config struct {
	Seed    uint64
	Network network.Kind
	Signal  Signal
	Window  int           // beats that are seen
	Horizon time.Duration // how far ahead a violation is foreseen

	Rate   float64 // of learning, at first; it falls as a cosine
	Decay  float64 // of weights, each step by so much of the rate (Loshchilov and Hutter, ICLR 2019)
	Batch  int
	Epochs int
	Quiet  float64 // samples without a violation for each with one, in an epoch
	// Validation is the share of runs, in (0, 1), that choose the epoch, calibrate and set the threshold; whole runs.
	Validation float64
	Precision  float64 // that alarms are to have, in [0, 1]

	Source, Commit string // of the data and of the program, for the model file
}

// Default is the paper's hybrid on all signals, a window of a second, and violations of the next 100 ms.
func Default() Config {
	return Config{Seed: 1, Network: network.Hybrid, Signal: Full, Window: 10, Horizon: 100 * time.Millisecond, Rate: 0.002, Decay: 0.01, Batch: 32, Epochs: 6, Quiet: 5,
		Validation: 0.3, Precision: 0.9}
}

// Check tells all that is wrong with it.
func (c *Config) Check() error {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	n := network.Config{Kind: c.Network, Services: 1, Beats: c.Window, Channels: 1}
	if err := n.Check(); err != nil {
		errs = append(errs, err)
	}
	wrong(c.Signal.needs() == 0, "signal %q: give %s, %s or %s", c.Signal, Full, Application, Network)
	wrong(c.Horizon <= 0 || c.Horizon > time.Minute, "horizon %s: give one up to a minute", c.Horizon)
	wrong(!(c.Rate > 0 && c.Rate <= 1), "rate %v: give one in (0, 1]", c.Rate)
	wrong(!(c.Decay >= 0 && c.Decay < 1), "decay %v: give one in [0, 1)", c.Decay)
	wrong(c.Batch < 1 || c.Batch > 1<<16, "batch %d: give 1 to %d", c.Batch, 1<<16)
	wrong(c.Epochs < 1, "epochs %d: give 1 or more", c.Epochs)
	wrong(!(c.Quiet > 0 && c.Quiet <= 1000), "quiet %v: give samples without a violation for each with one, above 0 and at most 1000", c.Quiet)
	wrong(!(c.Validation > 0 && c.Validation < 1), "validation %v: give a share in (0, 1)", c.Validation)
	wrong(!(c.Precision >= 0 && c.Precision <= 1), "precision %v: give a share in [0, 1]", c.Precision)
	return errors.Join(errs...)
}
