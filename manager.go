package foresail

import (
	"context"
	"errors"
	"math"
	"strconv"
	"time"
)

// A Cluster is an application that runs somewhere: it can be observed, and acted on. It is used by one goroutine at a
// time, but Apply may run while Next waits.
type Cluster interface {
	// App is the application as it is now. The result is not changed afterwards; a new generation is a new value.
	App() *App

	// Next waits for the end of the next interval and returns what was observed in it: on time, even when nothing was
	// (then Snapshot.Stale is set). It returns io.EOF when there is no more. The snapshot belongs to the caller.
	Next(ctx context.Context) (*Snapshot, error)

	// Apply states what should be. It is idempotent, reports errors per service (see ApplyError), and never shrinks a
	// service before what replaces it is ready.
	Apply(ctx context.Context, p *Plan) error
}

// A Manager decides. It is deterministic: seeded when built, without clock, goroutine, I/O or logger; its state changes
// in Decide alone.
type Manager interface {
	// Name is the manager's name as flags and tables write it.
	Name() string

	// Needs says how often the manager decides, which signals it reads and how much history.
	Needs() Needs

	// Decide reads the history and returns a plan; nil means: keep what is. It does not keep or change h.
	Decide(h *History) (*Plan, error)
}

// Stateful is a manager whose state survives a restart.
type Stateful interface {
	Save() ([]byte, error)
	// Restore replaces the state; on an error the state is as it was.
	Restore([]byte) error
}

// Learner is a manager with models that take long to train. Learn trains them on what its decisions have seen so far; it is
// called between decisions by whoever trains managers, before Save. An error tells what could not be trained; the rest was.
type Learner interface{ Learn() error }

// Needs is what a manager reads.
type Needs struct {
	Every    time.Duration // time from one decision to the next
	Required Signals       // without these it cannot decide
	Optional Signals       // it decides better with these
	Beats    int           // how many snapshots of the source's own interval it looks back
	Seconds  int           // how many snapshots of one second
	Minutes  int           // how many snapshots of one minute
	// Traces is the share of requests whose traces it counts calls by, 0..1; 0: as many as there are. It is for a cluster
	// that can choose; what a snapshot counts is scaled up either way.
	Traces float64
}

// Join is what serves both: the more frequent decision, the longer history, the union of signals.
func (n Needs) Join(m Needs) Needs {
	if m.Every > 0 && (n.Every == 0 || m.Every < n.Every) {
		n.Every = m.Every
	}
	n.Required |= m.Required
	n.Optional |= m.Optional
	if m.Traces > 0 && (n.Traces == 0 || m.Traces > n.Traces) {
		n.Traces = m.Traces
	}
	n.Beats, n.Seconds, n.Minutes = max(n.Beats, m.Beats), max(n.Seconds, m.Seconds), max(n.Minutes, m.Minutes)
	return n
}

// Errors that a manager returns for a state that a person can mend. The guard falls back on these as on any other.
var (
	// ErrNoModel is returned by Decide when the manager was built without the model that it decides with.
	ErrNoModel = errors.New("no model")
	// ErrStale is returned by Decide when the newest observation is too old to decide on.
	ErrStale = errors.New("telemetry is stale")
)

// ApplyError tells which services could not be changed as a plan asked, and why. The others were.
type ApplyError struct {
	Failed map[ServiceID]error
}

// Error names the first failed service by number, and how many there are.
func (e *ApplyError) Error() string {
	if len(e.Failed) == 0 {
		return "apply: no service failed"
	}
	first := ServiceID(math.MaxInt)
	for id := range e.Failed {
		first = min(first, id)
	}
	s := "apply: service " + strconv.Itoa(int(first)) + ": " + e.Failed[first].Error()
	if n := len(e.Failed) - 1; n > 0 {
		s += " (and " + strconv.Itoa(n) + " more)"
	}
	return s
}

// Unwrap gives the errors of all failed services.
func (e *ApplyError) Unwrap() []error {
	out := make([]error, 0, len(e.Failed))
	for _, err := range e.Failed {
		out = append(out, err)
	}
	return out
}
