package drift

import (
	"fmt"
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/model/tail"
)

// Of the test of residuals, a cumulative sum (CUSUM) over minutes of the mean absolute residual of p99 in units of the
// validation error. The mean absolute residual is at most the root mean square, so 1 or less as long as the model fits.
const (
	slack  = 1.5 // residuals up to so many validation errors are not counted
	alarm  = 5.0 // what the excess over slack adds up to, minute by minute, when it is a finding: residuals of 2.5 for five minutes
	clip   = 4.0 // a single second counts as at most this: one violation is no drift
	ebbing = 3.0 // the sum goes at most so far beyond alarm, so that it is over soon after its cause is
)

// fit tests how far predictions are off.
type fit struct {
	error, ceiling float64

	cell      time.Time
	n         float64
	off, bias float64 // sums of the minute
	sum       float64
	rose      time.Time // when the sum began to rise from zero
	over      bool
	lastOff   float64 // of the last minute, in ms
	lastBias  float64
}

// add takes a second in of which p99 was predicted.
func (f *fit) add(s *tail.Step, predicted float64) {
	seen := s.Latency[tail.P99]
	if math.IsNaN(seen) || math.IsNaN(predicted) || !(f.error > 0) {
		return
	}
	cell := s.End.Add(-tail.Interval).Truncate(time.Minute)
	if !cell.Equal(f.cell) {
		if f.n >= leastSeconds {
			f.minute()
		}
		f.cell, f.n, f.off, f.bias = cell, 0, 0, 0
	}
	r := (min(seen, f.ceiling) - min(predicted, f.ceiling)) / f.error
	f.n++
	f.off += min(math.Abs(r), clip)
	f.bias += max(min(r, clip), -clip)
}

// minute ends a minute.
func (f *fit) minute() {
	excess := f.off/f.n - slack
	if f.sum == 0 && excess > 0 {
		f.rose = f.cell
	}
	f.sum = min(max(f.sum+excess, 0), alarm+ebbing)
	f.lastOff, f.lastBias = f.off/f.n*f.error, f.bias/f.n*f.error
	switch {
	case f.sum >= alarm:
		f.over = true
	case f.sum == 0:
		f.over = false
	}
}

func (f *fit) finding(app *foresail.App) *Finding {
	if !f.over {
		return nil
	}
	way := "too low"
	if f.lastBias < 0 {
		way = "too high"
	}
	return &Finding{Kind: Residual, What: app.Name, Value: f.lastOff, Expected: f.error, Score: max(f.sum/alarm, 1), Since: f.rose,
		Text: fmt.Sprintf("predictions of p99 are off by %.0f ms (%.0f ms %s on average), on validation data %.0f ms", f.lastOff, math.Abs(f.lastBias), way, f.error)}
}
