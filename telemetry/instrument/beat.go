package instrument

import "time"

const (
	beat     = 100 * time.Millisecond
	readings = 10 // of the number in flight, in a beat that is not idle
	idleTell = 10 // beats between two reports of an idle process
)

// gauge is a number in flight over an interval.
type gauge struct{ last, mean, max float64 }

// observed is what was counted of one endpoint.
type observed struct {
	e        *Endpoint
	inFlight gauge
	arrivals uint64 // since the process began
	done     uint64
	failed   uint64

	area uint64 // at the end of the last interval
	now  uint64 // when that was
}

// read notes the number in flight.
func (o *observed) read() float64 {
	n := float64(o.e.level())
	o.inFlight.max = max(o.inFlight.max, n)
	return n
}

// turn ends an interval; it tells whether anything was going on.
func (o *observed) turn(now uint64) (busy bool) {
	area, level, done, failed := o.e.area(now)
	if lasted := now - o.now; lasted > 0 {
		const unused = countBits
		grown := int64((area-o.area)<<unused) >> unused // signed: a request may begin between the clock's reading and ours
		o.inFlight.mean = max(float64(grown)/float64(lasted), 0)
	}
	o.inFlight.last = float64(level)
	o.inFlight.max = max(o.inFlight.max, o.inFlight.last, o.inFlight.mean)
	arrivals := max(done+level, o.arrivals) // one that ends between two loads is seen as neither
	busy = level > 0 || arrivals != o.arrivals
	o.arrivals, o.done, o.failed, o.area, o.now = arrivals, done, failed, area, now
	return busy
}

// meter turns what a table counts into reports. It is used by one goroutine.
type meter struct {
	table *table
	all   []observed
	began uint64
	peak  float64 // of all endpoints together
}

// grow finds the endpoints that have come.
func (m *meter) grow() {
	for _, e := range m.table.endpoints()[len(m.all):] {
		m.all = append(m.all, observed{e: e, now: m.began})
	}
}

// read notes the numbers in flight.
func (m *meter) read() {
	m.grow()
	n := 0.0
	for i := range m.all {
		n += m.all[i].read()
	}
	m.peak = max(m.peak, n)
}

// turn ends an interval; it tells whether anything was going on.
func (m *meter) turn(now uint64) (busy bool) {
	m.grow()
	last, mean := 0.0, 0.0
	for i := range m.all {
		if m.all[i].turn(now) {
			busy = true
		}
		last, mean = last+m.all[i].inFlight.last, mean+m.all[i].inFlight.mean
	}
	m.peak = max(m.peak, last, mean)
	return busy
}

// begin starts the next interval's maxima.
func (m *meter) begin() {
	m.peak = 0
	for i := range m.all {
		m.all[i].inFlight.max = 0
	}
}
