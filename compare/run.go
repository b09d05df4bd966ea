package compare

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/fault"
	"foresail.dev/load"
	"foresail.dev/plan/managers"
	"foresail.dev/plan/seer"
)

// Run names one run of an experiment.
type Run struct {
	Application string `json:"application"`
	Load        string `json:"load"`
	Manager     string `json:"manager"` // as the experiment calls it
	Inputs      Inputs `json:"inputs"`
}

// String reads like "hotel-reservation/diurnal/hpa/seed 1", with the manager within "guard(...)" where it is.
func (r *Run) String() string {
	s := r.Application + "/" + r.Load + "/" + label(r.Manager, r.Inputs.Guarded)
	switch r.Inputs.Kind {
	case train:
		return s + "/training"
	case tune:
		s += "/tuning"
	}
	return fmt.Sprintf("%s/seed %d", s, r.Inputs.Seed)
}

// label is how a manager is called where the guard is not said beside it.
func label(manager string, guarded bool) string {
	if guarded {
		return "guard(" + manager + ")"
	}
	return manager
}

// Inputs are all that a run depends on, apart from the program.
type Inputs struct {
	Format      int                `json:"format"` // of Outcome
	Kind        string             `json:"kind"`   // report, tune or train
	Application string             `json:"application_hash"`
	Load        string             `json:"load_hash"`
	Cluster     string             `json:"cluster,omitempty"`    // absent where runs are simulated
	Nodes       string             `json:"nodes_hash,omitempty"` // absent where every replica has a machine for itself
	Faults      string             `json:"faults_hash,omitempty"`
	Manager     string             `json:"manager"` // as package managers calls it
	Settings    map[string]float64 `json:"settings,omitempty"`
	Model       string             `json:"model_hash,omitempty"`     // of the file that it decides with
	Foresight   string             `json:"foresight_hash,omitempty"` // of the model file with which package seer wraps it
	Acts        *seer.Config       `json:"acts,omitempty"`           // and what that does
	Guarded     bool               `json:"guarded"`
	Baseline    string             `json:"baseline,omitempty"`    // of the guard
	Seed        uint64             `json:"seed"`                  // of a run that is reported or tuned on
	Warmup      float64            `json:"warmup_s"`              //
	Duration    float64            `json:"duration_s"`            // judged
	Train       float64            `json:"train_s,omitempty"`     // simulated before, on each of
	TrainSeeds  []uint64           `json:"train_seeds,omitempty"` //

	model     *managers.Model     // what Model is the hash of; nil: none, or these are inputs of a run that is made already
	foresight *managers.Foresight // what Foresight is the hash of
}

// The kinds of runs.
const (
	report = "report"
	tune   = "tune"
	train  = "train"
)

// format is counted up when what a run holds, or how it is measured, changes its meaning.
const format = 1

// key is the name that the run's outcome is kept under.
func (i Inputs) key() string { return hashOf(i)[:32] }

// training is what the run learns from before it begins; ok is false where it learns nothing.
func (i Inputs) training() (t Inputs, ok bool) {
	if i.Train == 0 || i.Kind == train {
		return i, false
	}
	i.Kind, i.Seed, i.Warmup, i.Duration, i.Faults = train, 0, 0, 0, ""
	return i, true
}

// simulated is how many seconds the run simulates.
func (i Inputs) simulated() float64 {
	if i.Kind == train {
		return i.Train * float64(len(i.TrainSeeds))
	}
	return i.Warmup + i.Duration
}

// hashOf is a hash of a value's JSON, which holds all that it is made of. It panics for a value that JSON can't hold.
func hashOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("compare: %T can't be hashed: %v", v, err))
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// condition is what managers are put under: an application and a load, as they were read.
type condition struct {
	application, load string // names
	blueprint         *foresail.Blueprint
	curve             *load.Load
	nodes             *appfile.Nodes
	faults            *fault.Schedule // nil: nothing goes wrong

	appHash, loadHash, nodesHash, faultsHash string
}

// job is a run to be made, with what it is made of.
type job struct {
	Run
	at        *condition
	state     []byte // what the manager learnt before; nil: nothing
	untrained string // why it could not learn it; empty: it could

	simulated atomic.Int64 // seconds so far
}

// newJob completes the inputs of a run under a condition.
func newJob(at *condition, manager string, in Inputs) *job {
	in.Format, in.Application, in.Load, in.Nodes = format, at.appHash, at.loadHash, at.nodesHash
	if in.Kind == report {
		in.Faults = at.faultsHash
	}
	return &job{Run: Run{Application: at.application, Load: at.load, Manager: manager, Inputs: in}, at: at}
}

// origin is when reported runs begin in simulated time; training lies before it, so that time goes on for a manager that
// has learnt.
var origin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
