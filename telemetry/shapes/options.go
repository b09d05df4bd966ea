package shapes

import (
	"time"

	"foresail.dev"
)

// Options configure a Collector. Fields that are zero mean what their comment says.
type Options struct {
	// Users names an outside service, a load generator, whose client spans tell the endpoints' requests: a span whose operation is the
	// endpoint's name, as telemetry.Options.EndpointService. Empty, or where such a span is missing: an endpoint's requests are those
	// of its entry service with its operation's name.
	Users string
	// Share is that of the traces that are looked at, 0..1, chosen by their id; what is told is scaled up. 0 means all.
	Share float64
	// Traces is how many traces are looked at in a second at most, of those that Add and AddBatch bring; of more, a share is chosen by
	// the number of the second before, and what is told is scaled up. 0: all.
	Traces float64
	// Wait is how long after its last span a trace is taken to be complete; 0 means foresail.RevisionLimit.
	Wait time.Duration
	// Forms is how many forms of each endpoint are told by themselves; 0 means DefaultForms.
	Forms int
	// Memory is the time over which a form's share is counted: older requests count half as much for each Memory that has passed.
	// 0 means ten minutes.
	Memory time.Duration

	MaxSpans  int // that wait for their trace to be complete; more are refused; 0 means 500,000
	MaxTrace  int // spans of one trace; one with more is incomplete; 0 means 2,000
	MaxVisits int // of one form; a trace with more is refused; 0 means 256
}

// DefaultForms is how many forms of each endpoint are told by themselves.
const DefaultForms = 16

// others is how many forms that are not told are counted, to see which of them becomes frequent, for each that is.
const others = 7

func (o Options) withDefaults() Options {
	or := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	if o.Share <= 0 || o.Share > 1 {
		o.Share = 1
	}
	if o.Wait <= 0 {
		o.Wait = foresail.RevisionLimit
	}
	if o.Memory <= 0 {
		o.Memory = 10 * time.Minute
	}
	or(&o.Forms, DefaultForms)
	or(&o.MaxSpans, 500_000)
	or(&o.MaxTrace, 2_000)
	or(&o.MaxVisits, 256)
	return o
}

// Stats count what a Collector did since it was made. Each trace is in exactly one of Complete, Unlooked, Incomplete, Cut, Malformed, TooLarge and
// Foreign.
type Stats struct {
	Complete   uint64 `json:"complete"`
	Unlooked   uint64 `json:"unlooked"`   // beyond Options.Traces: others stand for them
	Incomplete uint64 `json:"incomplete"` // a span is missing: a parent, the first of all, or what a call led to
	Cut        uint64 `json:"cut"`        // of those with more spans than one trace may have, or for which there was no room
	Late       uint64 `json:"late"`       // spans of a trace that had been looked at
	Malformed  uint64 `json:"malformed"`  // with spans that are each other's parents
	TooLarge   uint64 `json:"too_large"`  // with a form of more than Options.MaxVisits
	Foreign    uint64 `json:"foreign"`    // of nothing that an endpoint's users ask

	Spans      uint64 `json:"spans"`      // received, of the traces that are looked at
	Refused    uint64 `json:"refused"`    // of those, found no room
	Duplicates uint64 `json:"duplicates"` // of those, seen before

	Adopted  uint64 `json:"adopted"`  // traces whose first span is missing, but for which it was clear where they began
	Repaired uint64 `json:"repaired"` // spans whose parent is missing, but for which it was clear who made the call
	Clamped  uint64 `json:"clamped"`  // visits outside of their caller's time, moved or cut; spans that ended before they began
	Overruns uint64 `json:"overruns"` // visits that took less time than what they waited for, by the form that is told
	Retries  uint64 `json:"retries"`  // attempts that others followed: all of them are one visit

	Requests float64 `json:"requests"` // told
	Failed   float64 `json:"failed"`   // of those, failed
	Pooled   Pooling `json:"pooled"`
}

// Pooling says how well the forms that are told stand for those that are too rare to be.
type Pooling struct {
	Requests float64 `json:"requests"` // of rare forms
	// Latency is the mean of these requests, of those that did not fail, and Instead that of the forms they count to at the time;
	// seconds.
	Latency float64 `json:"latency_s"`
	Instead float64 `json:"instead_s"`
	// Calls are, by service, what was observed of all requests, and Told what their forms say; also of requests that are not
	// pooled, since counts beyond eight are rounded.
	Calls []float64 `json:"calls"`
	Told  []float64 `json:"told"`
}
