package foresee

import (
	"math"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/ml/nn"
	"foresail.dev/model/foresee/label"
)

// Signal is what is seen of queues.
type Signal string

// The signals. Each queue is told as its mean over the beat and as what it was at the beat's end.
const (
	Full        Signal = "full"        // both that follow
	Application Signal = "application" // in flight, as an application counts it
	Network     Signal = "network"     // waiting to be accepted, as an agent reads it from sockets
)

// Signals lists them.
var Signals = []Signal{Full, Application, Network}

// needs are what must be observed for a signal.
func (s Signal) needs() foresail.Signals {
	switch s {
	case Full:
		return foresail.SignalInFlight | foresail.SignalQueue
	case Application:
		return foresail.SignalInFlight
	case Network:
		return foresail.SignalQueue
	}
	return 0
}

// columns are where in a service's numbers the signal's are.
func (s Signal) columns() []int {
	switch s {
	case Application:
		return []int{0, 1}
	case Network:
		return []int{2, 3}
	}
	return []int{0, 1, 2, 3}
}

// Numbers is how many a Run has of each service and beat.
const Numbers = 5

// The numbers of a service in a beat: what was not observed is NaN.
const (
	inFlightMean = iota
	inFlightLast
	queueMean
	queueLast
	utilisation // CPU used over CPU allocated
)

// read fills out, Numbers long, with what was observed of a service.
func read(s *foresail.ServiceStats, d time.Duration, out []float32) {
	nan := float32(math.NaN())
	for i := range out {
		out[i] = nan
	}
	if s.Has.Has(foresail.SignalInFlight) {
		out[inFlightMean], out[inFlightLast] = float32(s.InFlight.Mean), float32(s.InFlight.Last)
	}
	if s.Has.Has(foresail.SignalQueue) {
		out[queueMean], out[queueLast] = float32(s.Queue.Mean), float32(s.Queue.Last)
	}
	if u, ok := s.Utilisation(d); ok {
		out[utilisation] = float32(u)
	}
}

// Run is what was observed of an application over some time without a gap, and what became of it.
type Run struct {
	Name     string
	Start    time.Time     // of the first beat
	Beat     time.Duration // of each
	Services int
	Values   []float32 // beats × services × Numbers, of the beats that are kept
	Kept     []int32   // which of those a beat is; -1: it was forgotten (see Thin); nil: all are kept
	Calls    [][2]foresail.ServiceID
	Episodes []label.Episode // in order
}

// Beats is how many there are.
func (r *Run) Beats() int {
	if r.Kept != nil {
		return len(r.Kept)
	}
	return len(r.Values) / (r.Services * Numbers)
}

// End is when beat t ends.
func (r *Run) End(t int) time.Time { return r.Start.Add(time.Duration(t+1) * r.Beat) }

// At is what was observed in beat t: nothing of one that was forgotten.
func (r *Run) At(t int) []float32 {
	n := r.Services * Numbers
	if r.Kept != nil {
		if t = int(r.Kept[t]); t < 0 {
			return nothing(n)
		}
	}
	return r.Values[t*n : (t+1)*n]
}

func (r *Run) kept(t int) bool { return r.Kept == nil || r.Kept[t] >= 0 }

// block is how many beats in a row Thin keeps or forgets.
const block = 100

// Thin forgets most of what is quiet, so that weeks of runs that are learnt from fit in memory: it keeps the windows of the run-ups of
// episodes for horizons up to the given one, and of each other hundred beats with a probability of share. Of a thinned run only samples can be
// taken; it can't be judged.
func (r *Run) Thin(window int, horizon time.Duration, share float64, draw *nn.Rand) {
	keep := make([]bool, r.Beats())
	for t := 0; t < len(keep); t += block {
		if draw.Float64() < share {
			for i := t; i < min(t+block, len(keep)); i++ {
				keep[i] = true
			}
		}
	}
	for t, m := range moments(r, horizon, window) {
		if m.what == nearing {
			for i := max(t-window+1, 0); i <= t; i++ {
				keep[i] = true
			}
		}
	}
	var values []float32
	kept := make([]int32, len(keep))
	for t, k := range keep {
		kept[t] = -1
		if k && r.kept(t) {
			kept[t] = int32(len(values) / (r.Services * Numbers))
			values = append(values, r.At(t)...)
		}
	}
	r.Values, r.Kept = slices.Clip(values), kept
}

// Recorder makes a Run of snapshots and labels it.
type Recorder struct {
	Labeller *label.Labeller
	run      Run
	calls    map[[2]foresail.ServiceID]bool
}

// NewRecorder records an application. Spans go to its Labeller.
func NewRecorder(app *foresail.App, name string, hold time.Duration) *Recorder {
	return &Recorder{Labeller: label.New(app, hold), run: Run{Name: name, Services: len(app.Services)}, calls: map[[2]foresail.ServiceID]bool{}}
}

// Add takes the next snapshot. Where beats are missing, or a snapshot is stale, nothing was observed in the beats between.
func (c *Recorder) Add(s *foresail.Snapshot) {
	r := &c.run
	if len(r.Values) == 0 {
		r.Start, r.Beat = s.Start, s.Duration()
	}
	for t := r.Beats(); r.Beat > 0 && t < 1<<24 && r.End(t).Before(s.End); t++ {
		r.Values = append(r.Values, nothing(r.Services*Numbers)...)
	}
	row := nothing(r.Services * Numbers)
	if !s.Stale {
		for i := range min(len(s.Services), r.Services) {
			read(&s.Services[i], s.Duration(), row[i*Numbers:(i+1)*Numbers])
		}
	}
	r.Values = append(r.Values, row...)
	for _, e := range s.Edges {
		if e.Calls > 0 && int(e.From) < r.Services && int(e.To) < r.Services {
			c.calls[[2]foresail.ServiceID{e.From, e.To}] = true
		}
	}
	c.Labeller.Add(s)
}

func nothing(n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(math.NaN())
	}
	return out
}

// Run is what was recorded. Nothing may be added after it.
func (c *Recorder) Run() *Run {
	r := &c.run
	for e := range c.calls {
		r.Calls = append(r.Calls, e)
	}
	slices.SortFunc(r.Calls, func(a, b [2]foresail.ServiceID) int { return int(a[0]-b[0])*r.Services + int(a[1]-b[1]) })
	r.Episodes = c.Labeller.Episodes()
	return r
}
