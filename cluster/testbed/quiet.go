package testbed

import (
	"time"

	"foresail.dev"
	"foresail.dev/load"
)

// enough is how many requests must have been due, without a span of any, for silence to mean that telemetry is broken: by
// chance, that many arrivals of a Poisson process fail to come once in 20,000 times.
const enough = 10

// quiet tells silence from the want of anything to report. Guarded by Cluster.mu, but for silent, which is Next's own.
type quiet struct {
	load   *load.Load
	since  time.Duration // since the epoch: the load's offset 0
	silent float64       // requests that were due since the last observation
}

// due is about how many requests are due in an interval.
func (q *quiet) due(start, end time.Duration) float64 {
	level := q.load.Level((start+end)/2 - q.since)
	if q.load.Mode == load.Closed { // each user sends one, then waits and thinks; a second stands for the wait
		level /= (q.load.Think + time.Second).Seconds()
	}
	return level * (end - start).Seconds()
}

// judge takes the mark of being stale off a snapshot in which nothing was observed because nothing was to be: as long as
// few requests were due. What spans tell is then known to be zero. The snapshot's times are set.
func (q *quiet) judge(s *foresail.Snapshot, due float64) {
	if !s.Stale {
		q.silent = 0
		return
	}
	if q.silent += due; q.silent >= enough {
		return
	}
	s.Stale = false
	s.Has |= foresail.SignalEdges | foresail.SignalEndpoints
	for i := range s.Services {
		s.Services[i].Has |= foresail.SignalInFlight | foresail.SignalArrivals | foresail.SignalCompletions |
			foresail.SignalErrors | foresail.SignalLatency
	}
}
