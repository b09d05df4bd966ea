package acting

import (
	"time"

	"foresail.dev"
	"foresail.dev/fault"
	"foresail.dev/plan/seer"
)

// oracle knows what is injected: it is in alarm at the service that a fault is on, from the fault's first beat to its end. No model can foresee more, so
// what is not avoided with it is not to be avoided by giving that service more. It is for measuring that, and nothing else.
type oracle struct {
	faults []fault.Fault
	app    *foresail.App
	start  time.Time
}

func (o *oracle) Fits(app *foresail.App) error { o.app = app; return nil }
func (*oracle) Beats() int                     { return 1 }
func (*oracle) Within() time.Duration          { return 500 * time.Millisecond }
func (*oracle) Needs() foresail.Signals        { return 0 }

func (o *oracle) Foresee(beats []*foresail.Snapshot, culprit []float64) (v seer.Verdict, err error) {
	b := beats[0]
	if o.start.IsZero() {
		o.start = b.Start
	}
	for i := range o.faults {
		f := &o.faults[i]
		if id, ok := o.app.ServiceByName(f.ServiceName()); ok && f.Active(b.End.Sub(o.start)) {
			culprit[id] = 1
			v = seer.Verdict{Violation: 1, Alarm: true}
		}
	}
	return v, nil
}
