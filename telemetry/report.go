package telemetry

import (
	"time"

	"foresail.dev"
)

// Report is what a source that counts requests as they start says of one replica over an interval: an application that
// links telemetry/instrument, or a reader of a server's own counts. Unlike spans it tells of requests that have not ended.
type Report struct {
	Service string
	Replica string // empty: not known
	Start   int64  // nanoseconds since 1970, by the source's clock
	End     int64
	Has     foresail.Signals // which of the fields below were observed

	InFlight foresail.Gauge
	Queue    foresail.Gauge
	// Counters since Since, which is another instant once the source began anew.
	Since                         int64
	Arrivals, Completions, Errors float64
}

// reportSignals are those that a report may have.
const reportSignals = foresail.SignalInFlight | foresail.SignalQueue | foresail.SignalArrivals | foresail.SignalCompletions | foresail.SignalErrors

// How long what was reported stands when nothing follows: a source in which nothing goes on reports once a second, any
// other each beat.
const (
	holdIdle = 2 * time.Second
	holdBusy = 300 * time.Millisecond
)

// reported is what a replica's own reports say.
type reported struct {
	has       foresail.Signals // 0: there was no report
	until     int64            // the first beat after the last that is told at the cut
	in, queue float64          // at its end
	since     int64
	counters  counters
}

type counters struct{ arrivals, completions, errors float64 }

func (c counters) sub(o counters) counters {
	return counters{c.arrivals - o.arrivals, c.completions - o.completions, c.errors - o.errors}
}

func (c counters) sane() bool { return c.arrivals >= 0 && c.completions >= 0 && c.errors >= 0 }

// holds tells whether what was reported last still stands in a beat.
func (r *reported) holds(beat, length int64) bool {
	hold := holdBusy
	if r.in == 0 && r.queue == 0 {
		hold = holdIdle
	}
	return beat < r.until+max(int64(hold)/length, 1)
}

// told is what was reported of one beat.
type told struct {
	n         int // reports that the gauges are of
	in, queue foresail.Gauge
	counters  counters
}

func (t *told) add(r *Report) {
	t.n++
	within := func(g *foresail.Gauge, v foresail.Gauge) {
		g.Last, g.Max = v.Last, max(g.Max, v.Max, v.Mean, v.Last)
		g.Mean += (v.Mean - g.Mean) / float64(t.n)
	}
	within(&t.in, r.InFlight)
	within(&t.queue, r.Queue)
}

func finite(r *Report) bool {
	for _, v := range [...]float64{r.InFlight.Last, r.InFlight.Mean, r.InFlight.Max, r.Queue.Last, r.Queue.Mean, r.Queue.Max,
		r.Arrivals, r.Completions, r.Errors} {
		if !(v >= 0 && v <= maxReported) {
			return false
		}
	}
	return true
}

// maxReported is the largest number that is taken from a report: what is larger is no count of requests.
const maxReported = 1 << 53

// AddReports takes reports that were received at the given time; zero means that their clocks are the receiver's own.
// A report without a service, of a service that is not the application's, or that ends before it starts is not taken.
// Gauges of an interval that has been cut are lost, but for the last: it stands until the next report. Counters go to the
// first beat that is open.
func (a *Assembler) AddReports(received time.Time, reports []Report) Result {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.o.Parts {
		return a.holdReports(received, reports)
	}
	rejected := 0
	for i := range reports {
		if !a.addReport(received, reports[i]) {
			rejected++
		}
	}
	a.stats.Reports += uint64(len(reports))
	a.stats.ReportsDropped += uint64(rejected)
	if rejected == 0 {
		return Result{}
	}
	return Result{Rejected: rejected, Reason: "reports of services that are not the application's, malformed or over a memory limit"}
}

func (a *Assembler) addReport(received time.Time, r Report) bool {
	if r.Has &= reportSignals; r.Has == 0 || r.End <= r.Start || r.Start <= 0 || !finite(&r) {
		return false
	}
	svc, _ := a.service(r.Service, &a.o)
	n := a.unit(svc, r.Replica, &a.o)
	if n == noUnit || svc.id < 0 {
		return false
	}
	if !received.IsZero() { // a clock that is off by more than delay explains
		if late := received.UnixNano() - r.End; late < -clockTolerance || late > clockBehind {
			r.Start, r.End = r.Start+late, r.End+late
		}
	}
	u := &a.units[n]
	first, last := a.beats.index(r.Start), a.beats.index(r.End-1)
	if a.o.Whole {
		first = last
	}
	first = max(first, last-a.beats.limit+1)
	if a.started {
		first, last = max(first, a.next), max(last, a.next)
	}
	if a.beats.cells+int(last-first)+1 > a.beats.max || a.beats.at(last) == nil || a.beats.at(first) == nil {
		return false
	}
	if a.started && a.beats.index(r.End-1) < a.next {
		first = last + 1 // too late for its gauges
	}
	for i := first; i <= last; i++ {
		if cell := a.beats.unit(i, n); cell != nil {
			cell.told.add(&r)
		}
	}
	if first > last {
		u.reported.until, u.reported.in, u.reported.queue = a.next, r.InFlight.Last, r.Queue.Last
	}
	u.reported.has = r.Has
	a.tally(u, n, last, &r)
	u.newest = max(u.newest, last)
	a.reporting = true
	return true
}

// tally adds what a report's counters grew by. The first report of a source says where they stand, unless it began in
// the interval.
func (a *Assembler) tally(u *unit, n int32, beat int64, r *Report) {
	now := counters{r.Arrivals, r.Completions, r.Errors}
	grown := now.sub(u.reported.counters)
	if r.Since != u.reported.since || !grown.sane() {
		if grown = now; u.reported.since == 0 && r.Since < r.Start {
			grown = counters{}
		}
	}
	u.reported.since, u.reported.counters = r.Since, now
	if cell := a.beats.unit(beat, n); cell != nil {
		c := &cell.told.counters
		c.arrivals, c.completions, c.errors = c.arrivals+grown.arrivals, c.completions+grown.completions, c.errors+grown.errors
	}
}

// toldOf is what a replica's reports say of the interval whose beats begin at a.next and end before stop; ok is false
// when they say nothing of it. Where no report is of a beat the last one stands for a while.
func (a *Assembler) toldOf(n int, now []*beat, stop int64) (t told, ok bool) {
	r := &a.units[n].reported
	if r.has == 0 {
		return t, false
	}
	covered := 0.0
	for i := a.next; i < stop; i++ {
		for len(now) > 0 && now[0].i < i {
			now = now[1:]
		}
		var cell *told
		if len(now) > 0 && now[0].i == i && n < len(now[0].units) && now[0].units[n] != nil {
			cell = &now[0].units[n].told
			c, k := &t.counters, &cell.counters
			c.arrivals, c.completions, c.errors = c.arrivals+k.arrivals, c.completions+k.completions, c.errors+k.errors
		}
		in, queue := foresail.Gauge{Last: r.in, Mean: r.in, Max: r.in}, foresail.Gauge{Last: r.queue, Mean: r.queue, Max: r.queue}
		switch {
		case cell != nil && cell.n > 0:
			in, queue = cell.in, cell.queue
			r.until, r.in, r.queue = i+1, in.Last, queue.Last
		case !r.holds(i, a.beats.length):
			continue
		}
		covered++
		pass := func(g *foresail.Gauge, v foresail.Gauge) {
			g.Last, g.Max = v.Last, max(g.Max, v.Max)
			g.Mean += (v.Mean - g.Mean) / covered
		}
		pass(&t.in, in)
		pass(&t.queue, queue)
	}
	return t, covered > 0
}

// tells is what the reports of all replicas say of an interval; nil when there are none.
func (a *Assembler) tells(now []*beat, stop int64) map[int]told {
	if !a.reporting || a.o.Whole {
		return nil
	}
	all := map[int]told{}
	for n := range a.units {
		if t, ok := a.toldOf(n, now, stop); ok {
			all[n] = t
		}
	}
	return all
}

// apply puts what was reported into a replica's usage: gauges in place of what spans tell, counters where spans tell none.
func (t *told) apply(u *foresail.Usage, has foresail.Signals, spans bool) {
	if has.Has(foresail.SignalInFlight) {
		u.InFlight = t.in
	}
	u.Queue = t.queue
	if !spans {
		u.Arrivals, u.Completions, u.Errors = t.counters.arrivals, t.counters.completions, t.counters.errors
	}
	u.Has |= has
}

// current tells whether a replica's number in flight was reported not long ago, so that spans add nothing to it.
func (r *reported) current(beat, limit int64) bool {
	return r.has.Has(foresail.SignalInFlight) && r.until > beat-limit
}
