package loop

import (
	"errors"
	"fmt"
	"time"

	"foresail.dev"
)

// Mode says what becomes of a plan.
type Mode uint8

// The modes.
const (
	Observe   Mode = iota // nothing is decided
	Recommend             // plans are decided and told, and nothing is changed
	Auto                  // plans are applied
)

var modeNames = [...]string{"observe", "recommend", "auto"}

// String is the mode's name in flags and files.
func (m Mode) String() string { return modeNames[m] }

// ParseMode reads a mode's name.
func ParseMode(s string) (Mode, error) {
	for i, n := range modeNames {
		if s == n {
			return Mode(i), nil
		}
	}
	return 0, fmt.Errorf("unknown mode %q: use observe, recommend or auto", s)
}

// Decision is one turn of the loop in which the manager was asked.
type Decision struct {
	At      time.Time             // the end of the snapshot it was decided on
	Mode    Mode                  //
	Plan    *foresail.Plan        // nil: keep what is
	Before  []foresail.Allocation // by ServiceID, in effect when it was decided; zero where not observed
	Applied bool                  // Apply was called
	Err     error                 // of Decide or Apply
	Took    time.Duration         // wall-clock time that Decide took
}

// Changed are the changes of the plan that were applied, were not refused, and ask for something else than what was in
// effect. Of a service whose allocation was not observed every change counts.
func (d *Decision) Changed() []foresail.Change {
	if d.Plan == nil || !d.Applied {
		return nil
	}
	var refused *foresail.ApplyError
	errors.As(d.Err, &refused)
	var out []foresail.Change
	for _, c := range d.Plan.Changes {
		if refused != nil && refused.Failed[c.Service] != nil {
			continue
		}
		if int(c.Service) >= len(d.Before) || !c.To.Equal(d.Before[c.Service]) {
			out = append(out, c)
		}
	}
	return out
}

// Events are told what the loop does, in order, from the loop's goroutine; each may be nil. They must return soon.
type Events struct {
	// Observed is called for each snapshot once it is in the history. Neither may be changed or, for the history, kept.
	Observed func(h *foresail.History, s *foresail.Snapshot)
	// Decided is called after each decision, applied or not.
	Decided func(d Decision)
	// Missing names signals that the manager requires and the cluster does not give, before the first decision and
	// whenever they change; once each.
	Missing func(foresail.Signals)
	// Trouble is told what went wrong beside the loop's own work and did not end it: a state that could not be kept.
	Trouble func(error)
}

// UnmarshalText reads a mode's name, for files.
func (m *Mode) UnmarshalText(b []byte) (err error) {
	*m, err = ParseMode(string(b))
	return err
}

// Join tells each of several in turn.
func Join(all ...Events) Events {
	return Events{
		Observed: func(h *foresail.History, s *foresail.Snapshot) {
			for _, e := range all {
				if e.Observed != nil {
					e.Observed(h, s)
				}
			}
		},
		Decided: func(d Decision) {
			for _, e := range all {
				if e.Decided != nil {
					e.Decided(d)
				}
			}
		},
		Missing: func(s foresail.Signals) {
			for _, e := range all {
				if e.Missing != nil {
					e.Missing(s)
				}
			}
		},
		Trouble: func(err error) {
			for _, e := range all {
				if e.Trouble != nil {
					e.Trouble(err)
				}
			}
		},
	}
}
