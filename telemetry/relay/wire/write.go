package wire

import (
	"math"

	"foresail.dev"
	"foresail.dev/sketch"
	"foresail.dev/telemetry"
	"foresail.dev/telemetry/frames"

	"google.golang.org/protobuf/encoding/protowire"
)

func appendInt(b []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func appendSigned(b []byte, field protowire.Number, v int64) []byte {
	return appendInt(b, field, protowire.EncodeZigZag(v))
}

func appendBool(b []byte, field protowire.Number, v bool) []byte {
	if !v {
		return b
	}
	return appendInt(b, field, 1)
}

func appendFixed(b []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendFixed64(protowire.AppendTag(b, field, protowire.Fixed64Type), v)
}

func appendFloat(b []byte, field protowire.Number, v float64) []byte {
	return appendFixed(b, field, math.Float64bits(v))
}

func appendString(b []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), frames.Clip(s))
}

// begin opens a message within b; end closes it. Its length takes four bytes, whatever it is, so that nothing has to be
// moved or written twice; a padded varint is a varint.
func begin(b []byte, field protowire.Number) ([]byte, int) {
	b = append(protowire.AppendTag(b, field, protowire.BytesType), 0, 0, 0, 0)
	return b, len(b)
}

func end(b []byte, from int) []byte {
	n := len(b) - from
	b[from-4], b[from-3], b[from-2], b[from-1] = byte(n)|0x80, byte(n>>7)|0x80, byte(n>>14)|0x80, byte(n>>21)&0x7f
	return b
}

// AppendHello writes a frame with a hello.
func AppendHello(b []byte, sent int64, h *Hello) []byte {
	b = appendFixed(b, frameSent, uint64(sent))
	b, from := begin(b, frameHello)
	b = appendInt(b, helloVersion, uint64(h.Version))
	b = appendString(b, helloName, h.Name)
	b = appendFixed(b, helloInstance, h.Instance)
	return end(b, from)
}

// AppendPart writes a frame with a part that Split has written.
func AppendPart(b []byte, sent int64, part []byte) []byte {
	b = appendFixed(b, frameSent, uint64(sent))
	return protowire.AppendBytes(protowire.AppendTag(b, framePart, protowire.BytesType), part)
}

// Append writes an answer.
func (a *Answer) Append(b []byte) []byte {
	if w := a.Welcome; w != nil {
		var from int
		b, from = begin(b, answerWelcome)
		b = appendFixed(b, welcomeInstance, w.Instance)
		b = appendInt(b, welcomeSeq, w.Seq)
		b = appendInt(b, welcomeBeat, uint64(w.Beat))
		b = w.App.append(b)
		b = end(b, from)
	}
	b = appendInt(b, answerSeq, a.Seq)
	b = appendInt(b, answerGeneration, a.Generation)
	b = appendFixed(b, answerAt, uint64(a.Clock.At))
	return appendFixed(b, answerSent, uint64(a.Clock.Sent))
}

func (a *App) append(b []byte) []byte {
	b, from := begin(b, welcomeApp)
	b = appendInt(b, appGeneration, a.Generation)
	b = appendString(b, appEndpointService, a.EndpointService)
	b = appendString(b, appName, a.Name)
	for _, s := range a.Services {
		b = protowire.AppendString(protowire.AppendTag(b, appService, protowire.BytesType), frames.Clip(s))
	}
	for i := range a.Endpoints {
		e := &a.Endpoints[i]
		var from int
		b, from = begin(b, appEndpoint)
		b = appendString(b, endpointName, e.Name)
		b = appendInt(b, endpointEntry, uint64(e.Entry))
		b = appendString(b, endpointOperation, e.Operation)
		b = appendBool(b, endpointObjective, e.Objective)
		b = appendInt(b, endpointLatency, uint64(max(e.Latency, 0)))
		b = end(b, from)
	}
	return end(b, from)
}

// AppOf is what an ingester has to know of an application.
func AppOf(app *foresail.App, endpointService string) App {
	out := App{Generation: uint64(app.Generation), EndpointService: endpointService, Name: app.Name}
	for i := range app.Services {
		out.Services = append(out.Services, app.Services[i].Name)
	}
	for i := range app.Endpoints {
		e := &app.Endpoints[i]
		x := Endpoint{Name: e.Name, Entry: uint32(e.Entry), Operation: e.Operation}
		if e.Objective != nil {
			x.Objective, x.Latency = true, int64(e.Objective.Latency)
		}
		out.Endpoints = append(out.Endpoints, x)
	}
	return out
}

// Piece is one frame's worth of a part, as bytes for AppendPart.
type Piece struct {
	Seq      uint64
	Bytes    []byte
	Requests float64 // completions in it
}

// Split writes a part as pieces of a bounded size, of which each means something by itself: numbers go on from seq. head is
// what every piece tells, its Content aside; what the part lost and until when it is told is in the last.
func Split(seq uint64, head *Part, p *telemetry.Part) []Piece { return split(seq, head, p, frameSize) }

func split(seq uint64, head *Part, p *telemetry.Part, size int) []Piece {
	w := writer{size: size}
	w.open()
	for i := range p.Units {
		w.unit(&p.Units[i])
	}
	for i := range p.Endpoints {
		w.endpoint(&p.Endpoints[i])
	}
	for i := range p.Edges {
		w.edge(&p.Edges[i])
	}
	for i := range p.Reports {
		w.report(&p.Reports[i])
	}
	w.b = appendFixed(w.b, partUntil, uint64(p.Until))
	w.b = appendInt(w.b, partDropped, p.Dropped)
	w.b = appendStats(w.b, head.Stats)
	w.pieces = append(w.pieces, Piece{Bytes: w.b, Requests: w.requests})
	for i := range w.pieces {
		x := &w.pieces[i]
		x.Seq = seq + uint64(i)
		x.Bytes = appendInt(x.Bytes, partSeq, x.Seq)
		x.Bytes = appendBool(x.Bytes, partMore, i < len(w.pieces)-1)
		x.Bytes = appendInt(x.Bytes, partLost, head.Lost)
		x.Bytes = appendInt(x.Bytes, partUnsure, head.Unsure)
		x.Bytes = appendSigned(x.Bytes, partOffset, head.Offset)
		x.Bytes = appendInt(x.Bytes, partWithin, uint64(max(head.Within, 0)))
		x.Bytes = appendBool(x.Bytes, partBye, head.Bye)
	}
	return w.pieces
}

// writer writes the pieces of a part.
type writer struct {
	size     int // of a piece, about
	b        []byte
	names    map[string]uint64
	requests float64
	pieces   []Piece
}

func (w *writer) open() {
	w.b, w.names, w.requests = make([]byte, 0, 4<<10), map[string]uint64{}, 0
}

// room begins another piece where this one is long enough.
func (w *writer) room() {
	if len(w.b) >= w.size {
		w.pieces = append(w.pieces, Piece{Bytes: w.b, Requests: w.requests})
		w.open()
	}
}

// name is the number of a name in the piece, from 1; 0 is the empty one.
func (w *writer) name(s string) uint64 {
	if s == "" {
		return 0
	}
	n, ok := w.names[s]
	if !ok {
		n = uint64(len(w.names) + 1)
		w.names[s] = n
		w.b = protowire.AppendString(protowire.AppendTag(w.b, partName, protowire.BytesType), frames.Clip(s))
	}
	return n
}

func (w *writer) unit(u *telemetry.PartUnit) {
	w.room()
	service, replica := w.name(u.Service), w.name(u.Replica)
	b, from := begin(w.b, partUnit)
	b = appendInt(b, unitService, service)
	b = appendInt(b, unitReplica, replica)
	b = appendInt(b, unitNewest, uint64(max(u.Newest, 0)))
	b = appendBool(b, unitSeen, u.Seen)
	b = appendBool(b, unitSpans, u.Spans)
	for i := range u.Cells {
		c := &u.Cells[i]
		w.requests += c.Completions
		var from int
		b, from = beginCell(b, unitCell, c.Beat, c.Arrivals, c.Completions, c.Errors)
		b = appendFloat(b, cellBusy, c.Busy)
		if c.Steps != ([telemetry.SlotsPerBeat]int64{}) {
			var packed int
			b, packed = begin(b, cellSteps)
			for _, s := range c.Steps {
				b = protowire.AppendVarint(b, protowire.EncodeZigZag(s))
			}
			b = end(b, packed)
		}
		b = appendSigned(b, cellOpen, c.Open)
		b = end(appendSketch(b, &c.Latency), from)
	}
	w.b = end(b, from)
}

func beginCell(b []byte, field protowire.Number, beat int64, arrivals, completions, errors float64) ([]byte, int) {
	b, from := begin(b, field)
	b = appendInt(b, cellBeat, uint64(max(beat, 0)))
	b = appendFloat(b, cellArrivals, arrivals)
	b = appendFloat(b, cellCompletions, completions)
	return appendFloat(b, cellErrors, errors), from
}

func (w *writer) endpoint(e *telemetry.PartEndpoint) {
	w.room()
	name := w.name(e.Name)
	b, from := begin(w.b, partEndpoint)
	b = appendInt(b, itemFrom, name)
	for i := range e.Cells {
		c := &e.Cells[i]
		var from int
		b, from = beginCell(b, itemCell, c.Beat, c.Arrivals, c.Requests, c.Errors)
		b = appendFloat(b, cellLate, c.Late)
		b = appendFixed(b, cellFirstLate, uint64(max(c.FirstLate, 0)))
		if c.Slowest.Trace != (foresail.TraceID{}) {
			b = protowire.AppendBytes(protowire.AppendTag(b, cellTrace, protowire.BytesType), c.Slowest.Trace[:])
			b = appendInt(b, cellLatency, uint64(max(c.Slowest.Latency, 0)))
		}
		b = end(appendSketch(b, &c.Latency), from)
	}
	w.b = end(b, from)
}

func (w *writer) edge(e *telemetry.PartEdge) {
	w.room()
	caller, called := w.name(e.From), w.name(e.To)
	b, from := begin(w.b, partEdge)
	b = appendInt(b, itemFrom, caller)
	b = appendInt(b, itemTo, called)
	for i := range e.Cells {
		c := &e.Cells[i]
		var from int
		b, from = beginCell(b, itemCell, c.Beat, 0, c.Calls, c.Errors)
		b = end(appendSketch(b, &c.Latency), from)
	}
	w.b = end(b, from)
}

func (w *writer) report(r *telemetry.PartReport) {
	w.room()
	service, replica := w.name(r.Service), w.name(r.Replica)
	b, from := begin(w.b, partReport)
	b = appendFixed(b, reportReceived, uint64(max(r.Received, 0)))
	b = appendInt(b, reportService, service)
	b = appendInt(b, reportReplica, replica)
	b = appendFixed(b, reportStart, uint64(max(r.Start, 0)))
	b = appendFixed(b, reportEnd, uint64(max(r.End, 0)))
	b = appendInt(b, reportHas, uint64(r.Has))
	b = appendFixed(b, reportSince, uint64(max(r.Since, 0)))
	b, packed := begin(b, reportValues)
	for _, v := range reportFields(&r.Report) {
		b = protowire.AppendFixed64(b, math.Float64bits(*v))
	}
	w.b = end(end(b, packed), from)
}

// reportFields are a report's numbers in the order of the schema.
func reportFields(r *telemetry.Report) [9]*float64 {
	return [9]*float64{&r.InFlight.Last, &r.InFlight.Mean, &r.InFlight.Max, &r.Queue.Last, &r.Queue.Mean, &r.Queue.Max,
		&r.Arrivals, &r.Completions, &r.Errors}
}

// appendSketch writes a sketch within a cell: counts as varints where all are whole.
func appendSketch(b []byte, s *sketch.Sketch) []byte {
	if s.Count() == 0 {
		return b
	}
	b = appendFloat(b, cellSum, s.Sum())
	b = appendFloat(b, cellZero, s.Zero())
	whole, any, first := true, false, 0
	for i, n := range s.Buckets() {
		if !any {
			any, first = true, i
		}
		whole = whole && n == math.Trunc(n) && n <= MaxCount
	}
	if !any {
		return b // zeros alone
	}
	b = appendSigned(b, cellFirst, int64(first))
	field := protowire.Number(cellWhole)
	if !whole {
		field = cellCounts
	}
	b, from := begin(b, field)
	next := first
	for i, n := range s.Buckets() {
		for ; next <= i; next++ {
			v := 0.0
			if next == i {
				v = n
			}
			if whole {
				b = protowire.AppendVarint(b, uint64(v))
			} else {
				b = protowire.AppendFixed64(b, math.Float64bits(v))
			}
		}
	}
	return end(b, from)
}

// statFields are counts in the order of the schema.
func statFields(s *telemetry.Stats) []*uint64 {
	return []*uint64{&s.Received, &s.Assembled, &s.Outside, &s.Duplicate, &s.Waiting, &s.Late, &s.Skewed, &s.Inverted, &s.Weighed,
		&s.Folded, &s.Forgotten, &s.CallsLost, &s.CallsFolded, &s.Reports, &s.ReportsDropped, &s.Dropped.Malformed,
		&s.Dropped.TooLate, &s.Dropped.Ahead, &s.Dropped.Limit, &s.Dropped.Orphan}
}

func appendStats(b []byte, s *telemetry.Stats) []byte {
	if s == nil {
		return b
	}
	b, from := begin(b, partStats)
	for _, v := range statFields(s) {
		b = protowire.AppendVarint(b, *v)
	}
	return end(b, from)
}
