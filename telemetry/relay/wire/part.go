package wire

import (
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
	"foresail.dev/telemetry"
	"foresail.dev/telemetry/frames"

	"google.golang.org/protobuf/encoding/protowire"
)

// read reads a part, whose memory is used again.
func (p *Part) read(b []byte) error {
	c := &p.Content
	*p = Part{Content: telemetry.Part{Units: c.Units[:0], Endpoints: c.Endpoints[:0], Edges: c.Edges[:0], Reports: c.Reports[:0]}}
	x := partReader{p: p}
	err := frames.Fields(b, func(f frames.Field) error {
		switch f.Number {
		case partSeq:
			p.Seq = f.V
		case partMore:
			p.More = f.V != 0
		case partLost:
			p.Lost = x.int(f, "requests given up", MaxCount)
		case partUnsure:
			p.Unsure = x.int(f, "requests not sent again", MaxCount)
		case partOffset:
			p.Offset = x.signed(f, "a clock's offset", maxTime)
		case partWithin:
			p.Within = int64(x.int(f, "a clock's error", maxTime))
		case partBye:
			p.Bye = f.V != 0
		case partUntil:
			p.Content.Until = x.time(f, "until")
		case partDropped:
			p.Content.Dropped = x.int(f, "spans dropped", MaxCount)
		case partName:
			if len(x.names) == MaxNames {
				return frames.Malformed("more than %d names", MaxNames)
			}
			x.names = append(x.names, x.name(f, "a name"))
		case partUnit:
			return x.unit(f.B)
		case partEndpoint:
			return x.endpoint(f.B)
		case partEdge:
			return x.edge(f.B)
		case partReport:
			return x.report(f.B)
		case partStats:
			return p.readStats(f.B)
		}
		return x.err
	})
	if err == nil && (p.Seq == 0 || p.Content.Until == 0 && !p.More) {
		err = frames.Malformed("a part without a number or a time")
	}
	return err
}

func (p *Part) readStats(b []byte) error {
	p.Stats = &telemetry.Stats{}
	for _, to := range statFields(p.Stats) {
		if len(b) == 0 {
			return nil // of an older release
		}
		v, n := protowire.ConsumeVarint(b)
		if n < 0 || v > MaxCount {
			return frames.Malformed("counts that are none")
		}
		*to, b = v, b[n:]
	}
	return nil
}

// partReader reads the items of a part.
type partReader struct {
	reader
	p     *Part
	names []string
	items int
	cells int
}

// known is a name by its number.
func (x *partReader) known(f frames.Field) string {
	if f.B != nil || f.V > uint64(len(x.names)) {
		x.fail("name %d of %d", f.V, len(x.names))
		return ""
	}
	if f.V == 0 {
		return ""
	}
	return x.names[f.V-1]
}

func (x *partReader) item() error {
	if x.items++; x.items > MaxItems {
		return frames.Malformed("more than %d replicas, endpoints, pairs and reports", MaxItems)
	}
	return nil
}

// again is one more element of a list, with the memory that the element in its place had before.
func again[T any](list *[]T) *T {
	if n := len(*list); n < cap(*list) {
		*list = (*list)[:n+1]
	} else {
		*list = append(*list, *new(T))
	}
	return &(*list)[len(*list)-1]
}

// cell is what cells of all kinds may hold.
type cell struct {
	beat                             int64
	arrivals, requests, errors, late float64
	busy                             float64
	steps                            [telemetry.SlotsPerBeat]int64
	open, firstLate                  int64
	slowest                          foresail.Exemplar
}

// cell reads a cell; its sketch into latency, which is emptied first.
func (x *partReader) cell(b []byte, latency *sketch.Sketch) (c cell, err error) {
	if x.cells++; x.cells > MaxCells {
		return c, frames.Malformed("more than %d cells", MaxCells)
	}
	latency.Reset()
	var sum, zero float64
	first := int64(0)
	var whole, counts []byte
	err = frames.Fields(b, func(f frames.Field) error {
		switch f.Number {
		case cellBeat:
			c.beat = int64(x.int(f, "a beat", maxBeats))
		case cellArrivals:
			c.arrivals = x.count(f, "arrivals", MaxCount)
		case cellCompletions:
			c.requests = x.count(f, "completions", MaxCount)
		case cellErrors:
			c.errors = x.count(f, "errors", MaxCount)
		case cellBusy:
			c.busy = x.count(f, "time in flight", 1e9*MaxCount)
		case cellSteps:
			return c.readSteps(f.B)
		case cellOpen:
			if c.open = x.signed(f, "in flight", MaxCount); c.open < 0 {
				x.fail("in flight is below zero")
			}
		case cellLate:
			c.late = x.count(f, "late", MaxCount)
		case cellFirstLate:
			c.firstLate = x.time(f, "the first late request")
		case cellTrace:
			if len(f.B) != len(c.slowest.Trace) {
				return frames.Malformed("a trace id of %d bytes", len(f.B))
			}
			copy(c.slowest.Trace[:], f.B)
		case cellLatency:
			c.slowest.Latency = time.Duration(x.int(f, "a latency", maxTime))
		case cellSum:
			sum = x.count(f, "a sum of latencies", 1e9*MaxCount)
		case cellZero:
			zero = x.count(f, "requests without duration", MaxCount)
		case cellFirst:
			first = x.signed(f, "a bucket", maxBuckets)
		case cellWhole:
			whole = f.B
		case cellCounts:
			counts = f.B
		}
		return x.err
	})
	if err != nil {
		return c, err
	}
	return c, readSketch(latency, sum, zero, first, whole, counts)
}

func (c *cell) readSteps(b []byte) error {
	for i := range c.steps {
		v, n := protowire.ConsumeVarint(b)
		s := protowire.DecodeZigZag(v)
		if n < 0 || s > MaxCount || s < -MaxCount {
			return frames.Malformed("steps that are none")
		}
		c.steps[i], b = s, b[n:]
	}
	if len(b) > 0 {
		return frames.Malformed("more than %d steps", len(c.steps))
	}
	return nil
}

// readSketch fills an empty sketch. The sum goes into its first bucket, since it is one for all of them.
func readSketch(s *sketch.Sketch, sum, zero float64, first int64, whole, counts []byte) error {
	s.AddN(0, zero)
	if whole == nil && counts == nil {
		return nil
	}
	if first < sketch.MinIndex || whole != nil && counts != nil {
		return frames.Malformed("a sketch that begins at bucket %d, or has two kinds of counts", first)
	}
	for i := int(first); len(whole)+len(counts) > 0; i++ {
		if i > sketch.MaxIndex {
			return frames.Malformed("a sketch beyond bucket %d", sketch.MaxIndex)
		}
		var v float64
		var n int
		if counts != nil {
			var bits uint64
			bits, n = protowire.ConsumeFixed64(counts)
			v = math.Float64frombits(bits)
			counts = counts[max(n, 0):]
		} else {
			var u uint64
			u, n = protowire.ConsumeVarint(whole)
			v = float64(u)
			whole = whole[max(n, 0):]
		}
		if n < 0 || !(v >= 0 && v <= MaxCount) {
			return frames.Malformed("a sketch with a count that is none")
		}
		if v > 0 {
			s.AddBucket(i, v, sum)
			sum = 0
		}
	}
	return nil
}

func (x *partReader) unit(b []byte) error {
	if err := x.item(); err != nil {
		return err
	}
	u := again(&x.p.Content.Units)
	*u = telemetry.PartUnit{Cells: u.Cells[:0]}
	return frames.Fields(b, func(f frames.Field) error {
		switch f.Number {
		case unitService:
			u.Service = x.known(f)
		case unitReplica:
			u.Replica = x.known(f)
		case unitNewest:
			u.Newest = int64(x.int(f, "a beat", maxBeats))
		case unitSeen:
			u.Seen = f.V != 0
		case unitSpans:
			u.Spans = f.V != 0
		case unitCell:
			to := again(&u.Cells)
			c, err := x.cell(f.B, &to.Latency)
			to.Beat, to.Arrivals, to.Completions, to.Errors, to.Busy, to.Steps, to.Open = c.beat, c.arrivals, c.requests, c.errors, c.busy, c.steps, c.open
			return err
		}
		return x.err
	})
}

func (x *partReader) endpoint(b []byte) error {
	if err := x.item(); err != nil {
		return err
	}
	e := again(&x.p.Content.Endpoints)
	*e = telemetry.PartEndpoint{Cells: e.Cells[:0]}
	return frames.Fields(b, func(f frames.Field) error {
		switch f.Number {
		case itemFrom:
			e.Name = x.known(f)
		case itemCell:
			to := again(&e.Cells)
			c, err := x.cell(f.B, &to.Latency)
			to.Beat, to.Arrivals, to.Requests, to.Errors, to.Late, to.FirstLate, to.Slowest = c.beat, c.arrivals, c.requests, c.errors, c.late, c.firstLate, c.slowest
			return err
		}
		return x.err
	})
}

func (x *partReader) edge(b []byte) error {
	if err := x.item(); err != nil {
		return err
	}
	e := again(&x.p.Content.Edges)
	*e = telemetry.PartEdge{Cells: e.Cells[:0]}
	return frames.Fields(b, func(f frames.Field) error {
		switch f.Number {
		case itemFrom:
			e.From = x.known(f)
		case itemTo:
			e.To = x.known(f)
		case itemCell:
			to := again(&e.Cells)
			c, err := x.cell(f.B, &to.Latency)
			to.Beat, to.Calls, to.Errors = c.beat, c.requests, c.errors
			return err
		}
		return x.err
	})
}

func (x *partReader) report(b []byte) error {
	if err := x.item(); err != nil {
		return err
	}
	r := again(&x.p.Content.Reports)
	*r = telemetry.PartReport{}
	return frames.Fields(b, func(f frames.Field) error {
		switch f.Number {
		case reportReceived:
			r.Received = x.time(f, "a report's receipt")
		case reportService:
			r.Service = x.known(f)
		case reportReplica:
			r.Replica = x.known(f)
		case reportStart:
			r.Start = x.time(f, "a report's start")
		case reportEnd:
			r.End = x.time(f, "a report's end")
		case reportHas:
			r.Has = foresail.Signals(f.V)
		case reportSince:
			r.Since = x.time(f, "a report's beginning")
		case reportValues:
			values := reportFields(&r.Report)
			if len(f.B) != 8*len(values) {
				return frames.Malformed("a report of %d bytes", len(f.B))
			}
			for i, to := range values {
				bits, _ := protowire.ConsumeFixed64(f.B[8*i:])
				*to = math.Float64frombits(bits) // what is no number is refused where reports are
			}
		}
		return x.err
	})
}
