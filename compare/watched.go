package compare

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"foresail.dev"
)

// watched is a manager whose decisions are timed from outside while they last, and whose panic ends the run.
type watched struct {
	foresail.Manager
	needs  foresail.Needs
	cancel context.CancelFunc
	failed string        // the panic that ended the run
	at     time.Duration // of the run, simulated

	stop   atomic.Pointer[func()] // ends the processes of a real run
	since  atomic.Int64           // when the decision at hand began, in nanoseconds from epoch, by the monotonic clock; 0: none
	offset atomic.Int64           // at, then
}

// epoch is what the monotonic clock is read from.
var epoch = time.Now()

// reset watches another manager.
func (w *watched) reset(m foresail.Manager) { w.Manager, w.needs = m, m.Needs() }

// stopReal ends the processes of a run that is abandoned.
func (w *watched) stopReal() {
	if stop := w.stop.Load(); stop != nil {
		(*stop)()
	}
}

// Needs is asked once for each manager: it is constant, and not watched.
func (w *watched) Needs() foresail.Needs { return w.needs }

// Decide asks the manager. After a panic the run is over.
func (w *watched) Decide(h *foresail.History) (p *foresail.Plan, err error) {
	w.offset.Store(int64(w.at))
	w.since.Store(int64(max(time.Since(epoch), 1)))
	defer func() {
		w.since.Store(0)
		if v := recover(); v != nil {
			w.failed = fmt.Sprintf("panic at %s: %v", w.at, v)
			p, err = nil, fmt.Errorf("panic: %v", v)
			w.cancel()
		}
	}()
	return w.Manager.Decide(h)
}

// busy is how long the decision at hand has lasted, and when in the run it began; it may be asked from any goroutine.
func (w *watched) busy() (lasted, at time.Duration) {
	since := w.since.Load()
	if since == 0 {
		return 0, 0
	}
	return time.Since(epoch) - time.Duration(since), time.Duration(w.offset.Load())
}
