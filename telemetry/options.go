package telemetry

import (
	"time"

	"foresail.dev"
)

// Options configure an Assembler. The zero value serves an application whose services report their own spans.
type Options struct {
	// Beat is the shortest interval; 0 means foresail.Beat.
	Beat time.Duration
	// Start is where the first interval begins, truncated to the beat; zero: one beat before the first Cut's end.
	Start time.Time
	// Whole puts everything into one interval, from the earliest span on: for files, which are cut once.
	Whole bool
	// EndpointService names an outside service, a load generator, whose spans tell the endpoints' requests: a span whose
	// operation is the endpoint's name. Empty: requests are counted at the entry service.
	EndpointService string
	// Discover adds services that the application does not know, and endpoints: the operations of requests without a
	// parent. The application's generation then grows. Otherwise spans of other services are counted as outside.
	Discover bool
	// Parts makes Shards that are never cut: Take hands over what they counted, for another process to make snapshots of.
	Parts bool

	MaxSpans     int // remembered to tell duplicates and parents; when there are more the oldest are forgotten early; 0 means 4 Mi
	MaxWaiting   int // waiting for their parent; 0 means MaxSpans/4
	MaxServices  int // in the application, with discovered ones; more are folded into the service "other"; 0 means 2,048
	MaxEndpoints int // likewise, into the endpoint "other"; 0 means 1,024
	MaxReplicas  int // over all services; more are folded into the replica "other" of each service; 0 means 4,096
	MaxEdges     int // pairs of services; more are lost, or with Discover folded into the pair of "other" with itself; 0 means 8,192
	// MaxMemory is how many bytes the assembler may make a process's heap hold, what waits to be collected included: the
	// bounds that are left at 0 are then as large as that allows, and no larger than without it. 0: the bounds here.
	MaxMemory int64
	MaxCells  int // pairs of a beat and a replica, endpoint or edge with observations, between two cuts; 0 means 40,960
}

// What things weigh at most, in bytes, with the room that tables and lists grow into.
const (
	spanWeight    = 48
	waitingWeight = 200
	cellWeight    = 1600
	nameWeight    = 1200
)

// within sets bounds so that the live heap stays under half of MaxMemory: the collector lets it double.
func (o *Options) within() {
	live := o.MaxMemory / 2
	set := func(v *int, share, weight int64, most int) {
		if *v <= 0 {
			*v = int(min(max(live*share/100/weight, 16), int64(most)))
		}
	}
	set(&o.MaxSpans, 40, spanWeight, 4<<20)
	set(&o.MaxWaiting, 10, waitingWeight, 1<<20)
	set(&o.MaxCells, 35, cellWeight, 40_960)
	set(&o.MaxReplicas, 5, nameWeight, 4096)
	set(&o.MaxServices, 4, nameWeight, 2048)
	set(&o.MaxEndpoints, 3, nameWeight, 1024)
	set(&o.MaxEdges, 3, nameWeight/4, 8192)
}

// Limits that are not options.
const (
	maxName      = 256              // bytes of a service's, replica's or operation's name; longer ones are cut off
	maxWeight    = 1 << 20          // operations that one sampled span may stand for
	ahead        = 10 * time.Second // how far past its receipt, or the last cut where that is not known, a span may end
	pause        = time.Minute      // how long nobody may cut before spans find no room
	replicaIdle  = time.Minute      // after this without requests a replica is forgotten
	remember     = 6 * time.Second  // how long at least a span is remembered: more than foresail.RevisionLimit
	slotsPerBeat = 10               // steps within a beat at which in flight is read for its maximum
)

func (o Options) withDefaults() Options {
	or := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	if o.Beat <= 0 {
		o.Beat = foresail.Beat
	}
	if o.MaxMemory > 0 {
		o.within()
	}
	or(&o.MaxSpans, 4<<20)
	or(&o.MaxWaiting, max(o.MaxSpans/4, 1))
	or(&o.MaxServices, 2048)
	or(&o.MaxEndpoints, 1024)
	or(&o.MaxReplicas, 4096)
	or(&o.MaxEdges, 8192)
	or(&o.MaxCells, 40_960)
	return o
}

// Batch is what one message from outside holds: spans by sender. Its strings are only read while it is added, so they
// may point into a buffer that is used again.
type Batch struct {
	Senders   []Sender
	Malformed int // spans left out because they lacked an id or a time
}

// Sender is one reporting process with its spans.
type Sender struct {
	Service string
	Replica string // empty: not known
	Spans   []Record
}

// Record is a span in a batch; see foresail.Span for the fields.
type Record struct {
	Trace  foresail.TraceID
	ID     foresail.SpanID
	Parent foresail.SpanID
	Name   string // of the operation
	Start  int64  // nanoseconds since 1970
	End    int64
	Weight float64 // 0 means 1; negative: it counts for nothing (it was kept for another reason than its sampling)
	Kind   foresail.SpanKind
	Failed bool
}

// Valid tells whether the span can be placed: it has a trace, an id, a start and an end.
func (r *Record) Valid() bool {
	return r.Trace != (foresail.TraceID{}) && r.ID != (foresail.SpanID{}) && r.Start > 0 && r.End > 0
}

// Result tells a sender what became of its batch.
type Result struct {
	Rejected int    // spans that will not count: malformed, too late, too far ahead, or over a limit
	Reason   string // for a person; empty when nothing was rejected
}

// Stats count what an Assembler did since it was made. Each span that was received is in exactly one of Assembled,
// Outside, Duplicate and the fields of Dropped, but for spans in Waiting. A
// request that was assembled, and was too old by the time of a cut that came late, is also in Dropped.TooLate.
type Stats struct {
	Received  uint64  `json:"received"`   // spans
	Assembled uint64  `json:"assembled"`  // taken: counted as a request, or remembered as part of one
	Outside   uint64  `json:"outside"`    // of services that are not the application's
	Duplicate uint64  `json:"duplicate"`  // seen before
	Waiting   uint64  `json:"waiting"`    // now waiting for their parent to know what they are
	Late      uint64  `json:"late"`       // requests that ended in a beat that had been cut
	Skewed    uint64  `json:"skewed"`     // of those assembled, shifted because the sender's clock was off
	Inverted  uint64  `json:"inverted"`   // of those assembled, ended before they started: taken as having no duration
	Weighed   uint64  `json:"weighed"`    // of those assembled, stood for more than the largest weight allowed
	Folded    uint64  `json:"folded"`     // of those assembled, counted under a service, an endpoint or a replica "other"
	Forgotten uint64  `json:"forgotten"`  // remembered spans that had to go before their time; a duplicate of one counts again
	CallsLost uint64  `json:"calls_lost"` // calls whose caller stayed unknown, came too late or was one pair too many
	Dropped   Dropped `json:"dropped"`

	CallsFolded uint64 `json:"calls_folded"` // calls counted as of "other" with itself, since they were one pair too many

	Reports        uint64 `json:"reports"`         // received, see Report; they count as no spans
	ReportsDropped uint64 `json:"reports_dropped"` // of those, not taken
}

// Dropped counts spans that don't count, by reason.
type Dropped struct {
	Malformed uint64 `json:"malformed"` // without trace, id or times
	TooLate   uint64 `json:"too_late"`  // for a beat that is final
	Ahead     uint64 `json:"ahead"`     // ends too far in the future
	Limit     uint64 `json:"limit"`     // a bound of Options was reached
	Orphan    uint64 `json:"orphan"`    // of unknown kind, and the parent never came
}

// Total is the sum over all reasons.
func (d Dropped) Total() uint64 { return d.Malformed + d.TooLate + d.Ahead + d.Limit + d.Orphan }
