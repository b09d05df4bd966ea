package drift

import (
	"fmt"
	"math"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/model/tail"
)

// Quantity is what is measured of an application or of a service, over a minute.
type Quantity string

const (
	Rate   Quantity = "rate"   // requests/s that users sent, of the application
	Calls  Quantity = "calls"  // of a service, for each request that users sent: the mix shows in it, whatever the load
	Cost   Quantity = "cost"   // ms of CPU for each call of a service
	Memory Quantity = "memory" // MB of each replica of a service
)

// unit of a quantity, as a person reads it.
func (q Quantity) unit() string {
	switch q {
	case Rate:
		return " requests/s"
	case Calls:
		return " calls per request"
	case Cost:
		return " ms of CPU per call"
	default:
		return " MB per replica"
	}
}

// Application is the ServiceID of what is measured of the application as a whole.
const Application foresail.ServiceID = -1

// Channel is how the minutes of one quantity were in training.
type Channel struct {
	Quantity  Quantity           `json:"quantity"`
	Service   foresail.ServiceID `json:"service"` // or Application
	Mean      float64            `json:"mean"`
	Deviation float64            `json:"deviation"` // standard deviation of minutes
	Low       float64            `json:"low"`       // the least minute
	High      float64            `json:"high"`
	Minutes   int                `json:"minutes"`
}

// Reference is what a model was trained on, and how well it did.
type Reference struct {
	Error    float64   `json:"error_ms"`   // root mean square error of p99 on validation data
	Ceiling  float64   `json:"ceiling_ms"` // latencies count as at most this: how far beyond the objective one lies is no matter of fit
	Channels []Channel `json:"channels"`   // those that were observed in at least fewMinutes
}

// fewMinutes are too few to say what is usual.
const fewMinutes = 10

// Learn makes a reference of the seconds that a model was trained on; error is its validation error of p99 in ms. app is the
// application that they are of. Seconds of a run follow each other; what is left of a minute at its end does not count.
func Learn(app *foresail.App, runs []tail.Run, error float64) Reference {
	r := Reference{Error: error, Ceiling: Ceiling(app)}
	sums := map[place][]float64{}
	var order []place
	for i := range runs {
		m := newMinutes(app)
		for k := range runs[i].Steps {
			for _, v := range m.add(&runs[i].Steps[k]) {
				if sums[v.place] == nil {
					order = append(order, v.place)
				}
				sums[v.place] = append(sums[v.place], v.value)
			}
		}
	}
	for _, p := range order {
		if c := channel(p, sums[p]); c.Minutes >= fewMinutes {
			r.Channels = append(r.Channels, c)
		}
	}
	slices.SortFunc(r.Channels, func(a, b Channel) int { return comparePlaces(a.place(), b.place()) })
	return r
}

// Ceiling is the latency, in ms, that all latencies above count as: a fifth over the smallest objective; infinite without one.
func Ceiling(app *foresail.App) float64 {
	c := 1.2 * tail.Reference(app)
	if math.IsNaN(c) {
		return math.Inf(1)
	}
	return c
}

func channel(p place, values []float64) Channel {
	c := Channel{Quantity: p.quantity, Service: p.service, Minutes: len(values), Low: slices.Min(values), High: slices.Max(values)}
	for _, v := range values {
		c.Mean += v / float64(len(values))
	}
	for _, v := range values {
		c.Deviation += (v - c.Mean) * (v - c.Mean) / float64(len(values))
	}
	c.Deviation = math.Sqrt(c.Deviation)
	return c
}

// place is what a value is of.
type place struct {
	quantity Quantity
	service  foresail.ServiceID
}

func (c *Channel) place() place { return place{c.Quantity, c.Service} }

func comparePlaces(a, b place) int {
	if a.service != b.service {
		return int(a.service - b.service)
	}
	if a.quantity < b.quantity {
		return -1
	}
	if a.quantity > b.quantity {
		return 1
	}
	return 0
}

// value is a quantity over one minute.
type value struct {
	place
	value float64
}

// minutes makes values of seconds.
type minutes struct {
	app   *foresail.App
	cell  time.Time // the minute that is being gathered
	n     int       // seconds of it
	rate  sum
	of    []service
	quiet int // of the n, those without a violation
}

// service is what one minute of a service adds up to, over the seconds that were observed.
type service struct {
	requests, calls float64 // where both were observed
	cpu, called     float64 // core-seconds, and calls in the same seconds
	memory          sum
}

type sum struct{ total, n float64 }

func (s *sum) add(v float64) {
	if !math.IsNaN(v) {
		s.total, s.n = s.total+v, s.n+1
	}
}

func newMinutes(app *foresail.App) *minutes {
	return &minutes{app: app, of: make([]service, len(app.Services))}
}

// Of a minute: the least seconds that it is made of, and the least calls that a ratio is taken of.
const (
	leastSeconds = 30
	leastCalls   = 60
)

// add takes a second in, and returns the values of the minute before when a new one begins with it.
func (m *minutes) add(s *tail.Step) (done []value) {
	cell := s.End.Add(-tail.Interval).Truncate(time.Minute)
	if !cell.Equal(m.cell) {
		if m.n >= leastSeconds {
			done = m.values()
		}
		of := m.of
		clear(of)
		*m = minutes{app: m.app, cell: cell, of: of}
	}
	m.n++
	m.rate.add(s.Rate)
	// Refused calls cost next to nothing and repeated ones count twice, so what an overload does says nothing of what calls cost.
	violated := s.Violated(m.app)
	if !violated {
		m.quiet++
	}
	for i := range min(len(m.of), len(s.Services)) {
		st, o := &s.Services[i], &m.of[i]
		if m.app.Services[i].Gone {
			continue
		}
		o.memory.add(st.Memory)
		if violated || math.IsNaN(st.Arrivals) {
			continue
		}
		if !math.IsNaN(s.Rate) {
			o.requests, o.calls = o.requests+s.Rate, o.calls+st.Arrivals
		}
		if used := st.Used * st.Replicas; !math.IsNaN(used) {
			o.cpu, o.called = o.cpu+used, o.called+st.Arrivals
		}
	}
	return done
}

// values of the minute so far.
func (m *minutes) values() (out []value) {
	put := func(q Quantity, id foresail.ServiceID, v float64) {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			out = append(out, value{place{q, id}, v})
		}
	}
	if m.rate.n >= leastSeconds {
		put(Rate, Application, m.rate.total/m.rate.n)
	}
	for i := range m.of {
		o, id := &m.of[i], foresail.ServiceID(i)
		if o.memory.n >= leastSeconds {
			put(Memory, id, o.memory.total/o.memory.n)
		}
		if m.quiet < leastSeconds {
			continue
		}
		if o.requests >= leastCalls {
			put(Calls, id, o.calls/o.requests)
		}
		if o.called >= leastCalls {
			put(Cost, id, 1000*o.cpu/o.called)
		}
	}
	return out
}

// name of a place, as findings have it.
func (p place) name(app *foresail.App) string {
	if p.service == Application {
		return app.Name
	}
	if int(p.service) < len(app.Services) {
		return app.Services[p.service].Name
	}
	return fmt.Sprintf("service %d", p.service)
}
