package insight

import (
	"time"

	"foresail.dev"
)

// stay is sums of what was observed of a service. All fields add up.
type stay struct {
	residence float64 // seconds that requests spent in it, summed over requests
	queued    float64 // of that, waiting for a worker
	arrivals  float64
	ended     float64 // requests answered
	seconds   float64 // over which residence was observed
	waiting   float64 // seconds over which queued was observed

	cpu, held                         float64 // core-seconds used, and allocated meanwhile
	throttled, replicas               float64 // seconds throttled, and replica-seconds meanwhile
	ioWait                            float64 // seconds that threads waited for a disk
	ioSeconds                         float64 // over which that was observed
	cpuPressure, memPressure, pressed float64 // seconds under pressure, and replica-seconds meanwhile
	retransmits, netSeconds           float64
	memory, memoryLimit               float64 // byte-seconds used, and allowed meanwhile
}

// plus adds t.
func (s *stay) plus(t *stay) {
	s.residence += t.residence
	s.queued += t.queued
	s.arrivals += t.arrivals
	s.ended += t.ended
	s.seconds += t.seconds
	s.waiting += t.waiting
	s.cpu += t.cpu
	s.held += t.held
	s.throttled += t.throttled
	s.replicas += t.replicas
	s.ioWait += t.ioWait
	s.ioSeconds += t.ioSeconds
	s.cpuPressure += t.cpuPressure
	s.memPressure += t.memPressure
	s.pressed += t.pressed
	s.retransmits += t.retransmits
	s.netSeconds += t.netSeconds
	s.memory += t.memory
	s.memoryLimit += t.memoryLimit
}

// working is the stays without the wait for a worker, as far as that was observed.
func (s *stay) working() float64 { return max(s.residence-s.queued, 0) }

// each is the stay of one request in seconds; ok is false where too few are behind it.
func (s *stay) each(least float64) (seconds float64, ok bool) {
	if s.arrivals < least || s.seconds <= 0 {
		return 0, false
	}
	return s.residence / s.arrivals, true
}

func share(part, whole float64) (float64, bool) {
	if whole <= 0 {
		return 0, false
	}
	return part / whole, true
}

// take reads what was observed of a service in an interval of length d.
func (s *stay) take(v *foresail.ServiceStats, d time.Duration) {
	*s = stay{}
	seconds := d.Seconds()
	has := v.Has
	switch {
	case has.Has(foresail.SignalInFlight):
		s.residence, s.seconds = v.InFlight.Mean*seconds, seconds
	case has.Has(foresail.SignalLatency):
		s.seconds = seconds
		if v.Latency != nil {
			s.residence = v.Latency.Sum()
		}
	}
	if has.Has(foresail.SignalQueue | foresail.SignalInFlight) {
		s.queued, s.waiting = v.Queue.Mean*seconds, seconds
	}
	if has.Has(foresail.SignalCompletions) {
		s.arrivals, s.ended = v.Completions, v.Completions
	}
	if has.Has(foresail.SignalArrivals) {
		s.arrivals = v.Arrivals
		if !has.Has(foresail.SignalCompletions) {
			s.ended = v.Arrivals
		}
	}
	over := seconds
	if v.CPUOver > 0 {
		over = v.CPUOver.Seconds()
	}
	n := replicas(v)
	if held, ok := v.Held(); ok && has.Has(foresail.SignalCPU) {
		s.cpu, s.held = v.CPU, held*over
	}
	if has.Has(foresail.SignalThrottled) {
		s.throttled, s.replicas = v.Throttled.Seconds(), n*over
	}
	if has.Has(foresail.SignalDisk) {
		s.ioWait, s.ioSeconds = v.IOWait.Seconds(), seconds
	}
	if has.Has(foresail.SignalPressure) {
		s.cpuPressure, s.memPressure, s.pressed = v.CPUPressure.Seconds(), v.MemoryPressure.Seconds(), n*seconds
	}
	if has.Has(foresail.SignalRetransmits) {
		s.retransmits, s.netSeconds = v.Retransmits, seconds
	}
	if has.Has(foresail.SignalMemory|foresail.SignalAllocation) && v.Allocation.Memory > 0 {
		s.memory, s.memoryLimit = float64(v.Memory)*seconds, n*float64(v.Allocation.Memory)*seconds
	}
}

// replicas is over how many what a service counts is summed; at least one.
func replicas(v *foresail.ServiceStats) float64 {
	n := 0
	for i := range v.Replicas {
		if !v.Replicas[i].Gone {
			n++
		}
	}
	if n == 0 && v.Has.Has(foresail.SignalReady) {
		n = v.Ready
	}
	if n == 0 && v.Has.Has(foresail.SignalAllocation) {
		n = v.Allocation.Replicas
	}
	return float64(max(n, 1))
}

// traffic is sums of what was observed of an edge. All fields but longest add up.
type traffic struct {
	calls, errors float64
	latency       float64 // seconds, summed over calls that did not fail
	answered      float64 // those
	longest       float64 // seconds
}

func (t *traffic) plus(u *traffic) {
	t.calls += u.calls
	t.errors += u.errors
	t.latency += u.latency
	t.answered += u.answered
	t.longest = max(t.longest, u.longest)
}

// edge is a pair of services.
type edge struct{ from, to foresail.ServiceID }

// tally is sums over some time: by service, and by the number that the finder has given each edge.
type tally struct {
	start, end time.Time
	observed   time.Duration
	services   []stay
	edges      []traffic
	over       [][]float64 // by edge and distinct objective: calls that took longer and did not fail
	slowest    foresail.Exemplar
}

func (t *tally) grow(services, edges, objectives int) {
	for len(t.services) < services {
		t.services = append(t.services, stay{})
	}
	for len(t.edges) < edges {
		t.edges = append(t.edges, traffic{})
		t.over = append(t.over, make([]float64, objectives))
	}
}

func (t *tally) plus(u *tally, objectives int) {
	t.grow(len(u.services), len(u.edges), objectives)
	if t.start.IsZero() {
		t.start = u.start
	}
	t.end = u.end
	t.observed += u.observed
	for i := range u.services {
		t.services[i].plus(&u.services[i])
	}
	for i := range u.edges {
		if u.edges[i].calls > 0 {
			t.edges[i].plus(&u.edges[i])
			for k := range u.over[i] {
				t.over[i][k] += u.over[i][k]
			}
		}
	}
}

// reset empties it, keeping its memory.
func (t *tally) reset() {
	clear(t.services)
	clear(t.edges)
	for i := range t.over {
		clear(t.over[i])
	}
	*t = tally{services: t.services, edges: t.edges, over: t.over}
}
