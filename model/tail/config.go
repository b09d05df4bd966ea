package tail

import (
	"errors"
	"fmt"
)

// Steps and horizon, as published.
const (
	Past    = 5 // steps that are looked at
	Horizon = 5 // the network says what the first of these steps ahead brings, the trees what the others do
)

// Channel is something that is known of each service in each second.
type Channel string

// The channels. Six of them are looked at by default; see Default.
const (
	Rate     Channel = "rate" // requests/s of the application, the same for all services
	Replicas Channel = "replicas"
	Cores    Channel = "cores"     // total over replicas
	Used     Channel = "used"      // cores, mean over replicas
	Memory   Channel = "memory"    // MB, mean over replicas
	InFlight Channel = "in_flight" // of all replicas
	Arrivals Channel = "arrivals"  // requests/s
	Wait     Channel = "wait"      // share of the second in which it was throttled
)

// Label is what counts as a violation in a second.
type Label string

// The labels.
const (
	LabelEndpoints Label = "endpoints" // an endpoint misses its own objective in a second by itself: Step.Violated
	LabelWindows   Label = "windows"   // an endpoint misses its own objective in seconds that are joined until it has enough requests, as results are judged
	LabelPooled    Label = "pooled"    // the p99 of all requests is at the objective or above, as published
)

// Proposed is how the network and the trees see the cores that are proposed.
type Proposed string

// The ways to see them.
const (
	ProposedCores       Proposed = "cores"       // as published
	ProposedUtilisation Proposed = "utilisation" // what the service used in the last seconds, as a share of them
)

// Optimiser is how the network's weights are found.
type Optimiser string

// The optimisers.
const (
	Adam Optimiser = "adam" // with a rate that falls as a cosine, on standardised latencies
	SGD  Optimiser = "sgd"  // as published: momentum 0.9 on milliseconds, a rate that falls to a tenth after 60 % and 75 % of the epochs
)

// Calibration is how scores of trees become probabilities.
type Calibration string

// The calibrations.
const (
	CalibrationAuto    Calibration = ""        // whichever has the lower Brier score on rows that it was not fitted to
	CalibrationSigmoid Calibration = "sigmoid" // Platt's
	CalibrationSteps   Calibration = "steps"   // isotonic
)

// Config says how to train. Start from Default.
type Config struct {
	Seed     uint64
	Channels []Channel
	Label    Label
	Proposed Proposed

	Optimiser   Optimiser
	Rate        float64 // of learning, at first
	Decay       float64 // of weights (wd)
	Batch       int
	Epochs      int
	Balance     float64 // the share, in [0, 1), that samples with a violation next are brought to by drawing them more often; 0: as they come
	Validation  float64 // share of each run that is kept from training, in (0, 1)
	Block       int     // seconds in a row that are kept together; 1 is the published rule: each by itself
	HoldOut     float64 // share of whole runs that are kept from everything but the report, in [0, 1); at least one run where it is above 0 and there are three
	Trees       int     // at most
	TreeRate    float64
	Depth       int
	Leaves      int
	Patience    int  // trees without a lower loss on the validation rows
	Monotone    bool // trees may not say that more cores make a violation more probable
	Calibration Calibration

	Knee, Room float64 // ms: where latencies begin to be squashed, and by how much they may rise above; 0: see Squash

	Source, Commit string // of the data and of the program, for the model file
}

// Default is what trains a model within minutes on one core; docs/decisions/tail.md says why these.
func Default() Config {
	return Config{Seed: 1, Channels: []Channel{Rate, Replicas, Cores, Used, Memory, InFlight}, Label: LabelWindows, Proposed: ProposedUtilisation,
		Optimiser: Adam, Rate: 0.003, Decay: 0.05, Batch: 128, Epochs: 12, Validation: 0.1, Block: 1, HoldOut: 0.1,
		Trees: 400, TreeRate: 0.05, Depth: 6, Leaves: 24, Patience: 50}
}

// Check tells all that is wrong with it.
func (c *Config) Check() error {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	seen := map[Channel]bool{}
	for _, ch := range c.Channels {
		_, known := pick[ch]
		wrong(!known, "channel %q is not known", ch)
		wrong(seen[ch], "channel %s is there twice", ch)
		seen[ch] = true
	}
	wrong(len(c.Channels) == 0, "no channels: name some")
	wrong(c.Label != LabelEndpoints && c.Label != LabelPooled && c.Label != LabelWindows, "label %q: give %s, %s or %s", c.Label, LabelEndpoints, LabelWindows, LabelPooled)
	wrong(c.Proposed != ProposedCores && c.Proposed != ProposedUtilisation, "proposed %q: give %s or %s", c.Proposed, ProposedCores, ProposedUtilisation)
	wrong(c.Optimiser != Adam && c.Optimiser != SGD, "optimiser %q: give %s or %s", c.Optimiser, Adam, SGD)
	wrong(!(c.Rate > 0 && c.Rate <= 1), "rate %v: give one in (0, 1]", c.Rate)
	wrong(!(c.Decay >= 0 && c.Decay < 1), "decay %v: give one in [0, 1)", c.Decay)
	wrong(c.Batch < 2, "batch %d: give 2 or more", c.Batch)
	wrong(c.Epochs < 1, "epochs %d: give 1 or more", c.Epochs)
	wrong(!(c.Balance >= 0 && c.Balance < 1), "balance %v: give a share in [0, 1)", c.Balance)
	wrong(!(c.Validation > 0 && c.Validation < 1), "validation %v: give a share in (0, 1)", c.Validation)
	wrong(c.Block < 1, "block %d: give 1 or more seconds", c.Block)
	wrong(!(c.HoldOut >= 0 && c.HoldOut < 1), "hold-out %v: give a share in [0, 1)", c.HoldOut)
	wrong(c.Trees < 1, "trees %d: give 1 or more", c.Trees)
	wrong(!(c.TreeRate > 0 && c.TreeRate <= 1), "rate of trees %v: give one in (0, 1]", c.TreeRate)
	wrong(c.Depth < 1 || c.Depth > 16, "depth %d: give 1 to 16", c.Depth)
	wrong(c.Leaves < 0 || c.Leaves == 1, "leaves %d: give 2 or more, or 0 for as many as the depth allows", c.Leaves)
	wrong(c.Patience < 1, "patience %d: give 1 or more", c.Patience)
	wrong(c.Calibration != CalibrationAuto && c.Calibration != CalibrationSigmoid && c.Calibration != CalibrationSteps, "calibration %q: give %s or %s", c.Calibration, CalibrationSigmoid, CalibrationSteps)
	wrong(!(c.Knee >= 0) || !(c.Room >= 0), "knee %v and room %v: give milliseconds, or 0", c.Knee, c.Room)
	return errors.Join(errs...)
}

// pick tells a channel of a service in a second.
var pick = map[Channel]func(step *Step, s *ServiceStep) float64{
	Rate:     func(step *Step, _ *ServiceStep) float64 { return step.Rate },
	Replicas: func(_ *Step, s *ServiceStep) float64 { return s.Replicas },
	Cores:    func(_ *Step, s *ServiceStep) float64 { return s.Cores },
	Used:     func(_ *Step, s *ServiceStep) float64 { return s.Used },
	Memory:   func(_ *Step, s *ServiceStep) float64 { return s.Memory },
	InFlight: func(_ *Step, s *ServiceStep) float64 { return s.InFlight },
	Arrivals: func(_ *Step, s *ServiceStep) float64 { return s.Arrivals },
	Wait:     func(_ *Step, s *ServiceStep) float64 { return s.Wait },
}
