package otlp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"foresail.dev"
	"foresail.dev/telemetry"
)

// The scanner reads an ExportTraceServiceRequest. It checks every byte, also of fields whose content it does not need,
// so that a request is either right as a whole or refused as a whole.

// Errors of malformed bytes.
var (
	errCut      = errors.New("message ends in the middle of a field")
	errVarint   = errors.New("varint longer than 64 bits")
	errLength   = errors.New("negative length")
	errField    = errors.New("illegal field number")
	errWire     = errors.New("illegal wire type")
	errGroup    = errors.New("unexpected end of group")
	errDepth    = errors.New("values nested too deeply")
	errTraceID  = errors.New("trace id is not 16 bytes")
	errSpanID   = errors.New("span id is not 8 bytes")
	errMismatch = errors.New("wrong wire type for a known field")
)

const (
	wireVarint = 0
	wire64     = 1
	wireBytes  = 2
	wireStart  = 3
	wireEnd    = 4
	wire32     = 5
)

// maxDepth is how deeply attribute values may nest, as in pdata.
const maxDepth = 100

// scanner holds what one request is scanned into. It is used again, so that scanning allocates nothing once it has
// grown; what it returned is then overwritten.
type scanner struct {
	records []telemetry.Record
	ranges  []int // of records: where each sender's begin
	batch   telemetry.Batch
}

// scan reads a request. The batch points into b and into the scanner.
func (s *scanner) scan(b []byte) (*telemetry.Batch, error) {
	s.records, s.ranges = s.records[:0], s.ranges[:0]
	s.batch.Senders, s.batch.Malformed = s.batch.Senders[:0], 0
	for pos := 0; pos < len(b); {
		tag, next, err := tag(b, pos)
		if err != nil {
			return nil, err
		}
		if tag>>3 != 1 {
			if pos, err = skip(b, next, tag&7); err != nil {
				return nil, err
			}
			continue
		}
		var msg []byte
		if msg, pos, err = bytesField(b, next, tag); err != nil {
			return nil, err
		}
		if err := s.resourceSpans(msg); err != nil {
			return nil, fmt.Errorf("resource spans ending at byte %d: %w", pos, err)
		}
	}
	// Only now, since records may have moved while they grew.
	for i := range s.batch.Senders {
		end := len(s.records)
		if i+1 < len(s.ranges) {
			end = s.ranges[i+1]
		}
		s.batch.Senders[i].Spans = s.records[s.ranges[i]:end:end]
	}
	return &s.batch, nil
}

func (s *scanner) resourceSpans(b []byte) error {
	var res resource
	first := len(s.records)
	scopes, deprecated := 0, false
	for pos := 0; pos < len(b); {
		t, next, err := tag(b, pos)
		if err != nil {
			return err
		}
		var msg []byte
		switch t >> 3 {
		case 1, 2, 3, 1000:
			if msg, pos, err = bytesField(b, next, t); err != nil {
				return err
			}
		default:
			if pos, err = skip(b, next, t&7); err != nil {
				return err
			}
			continue
		}
		switch t >> 3 {
		case 1:
			err = res.scan(msg)
		case 2:
			scopes++
			err = s.scopeSpans(msg)
		case 1000: // the name of field 2 in OTLP before 0.15; it counts only where field 2 is missing
			deprecated = true
			n, malformed := len(s.records), s.batch.Malformed
			err = s.scopeSpans(msg)
			s.records, s.batch.Malformed = s.records[:n], malformed
		}
		if err != nil {
			return err
		}
	}
	if deprecated && scopes == 0 {
		s.deprecatedScopeSpans(b)
	}
	if len(s.records) > first {
		s.ranges = append(s.ranges, first)
		s.batch.Senders = append(s.batch.Senders, telemetry.Sender{Service: text(res.service), Replica: text(res.replica())})
	}
	return nil
}

// deprecatedScopeSpans takes the spans of field 1000 of a message that has been checked.
func (s *scanner) deprecatedScopeSpans(b []byte) {
	for pos := 0; pos < len(b); {
		t, next, _ := tag(b, pos)
		if t>>3 != 1000 {
			pos, _ = skip(b, next, t&7)
			continue
		}
		var msg []byte
		msg, pos, _ = bytesField(b, next, t)
		_ = s.scopeSpans(msg)
	}
}

func (s *scanner) scopeSpans(b []byte) error {
	for pos := 0; pos < len(b); {
		t, next, err := tag(b, pos)
		if err != nil {
			return err
		}
		var msg []byte
		switch t >> 3 {
		case 1, 2, 3:
			if msg, pos, err = bytesField(b, next, t); err != nil {
				return err
			}
		default:
			if pos, err = skip(b, next, t&7); err != nil {
				return err
			}
			continue
		}
		switch t >> 3 {
		case 1:
			err = check(msg, &scopeShape)
		case 2:
			s.records = append(s.records, telemetry.Record{})
			r := &s.records[len(s.records)-1]
			if err = scanSpan(msg, r); err == nil && !r.Valid() {
				s.records = s.records[:len(s.records)-1]
				s.batch.Malformed++
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// scanSpan reads one span into r, which is zero. Of a field that comes twice the last one counts.
func scanSpan(b []byte, r *telemetry.Record) error {
	for pos := 0; pos < len(b); {
		t, next, err := tag(b, pos)
		if err != nil {
			return err
		}
		switch t {
		case 9<<3 | wireBytes:
			var msg []byte
			if msg, pos, err = bytesField(b, next, t); err == nil && !plainAttribute(msg) {
				err = checkAt(msg, &keyValueShape, 0)
			}
		case 1<<3 | wireBytes:
			var id []byte
			id, pos, err = bytesField(b, next, t)
			switch {
			case err != nil:
			case len(id) == len(r.Trace):
				r.Trace = foresail.TraceID(id)
			case len(id) == 0:
				r.Trace = foresail.TraceID{}
			default:
				err = errTraceID
			}
		case 2<<3 | wireBytes:
			pos, err = scanSpanID(b, next, t, &r.ID)
		case 4<<3 | wireBytes:
			pos, err = scanSpanID(b, next, t, &r.Parent)
		case 3<<3 | wireBytes:
			var state []byte
			state, pos, err = bytesField(b, next, t)
			r.Weight = weight(state)
		case 5<<3 | wireBytes:
			var name []byte
			name, pos, err = bytesField(b, next, t)
			r.Name = text(name)
		case 6<<3 | wireVarint:
			var v uint64
			v, pos, err = varint(b, next)
			r.Kind = kind(v)
		case 7<<3 | wire64, 8<<3 | wire64:
			if next+8 > len(b) {
				return errCut
			}
			// An instant after the year 2262 reads as negative, which is not valid.
			ns := int64(binary.LittleEndian.Uint64(b[next:]))
			pos = next + 8
			if t>>3 == 7 {
				r.Start = ns
			} else {
				r.End = ns
			}
		case 15<<3 | wireBytes:
			var msg []byte
			if msg, pos, err = bytesField(b, next, t); err == nil {
				err = scanStatus(msg, &r.Failed)
			}
		default:
			pos, err = checkField(b, next, t, &spanShape, 0)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func scanSpanID(b []byte, pos int, t uint64, id *foresail.SpanID) (int, error) {
	v, pos, err := bytesField(b, pos, t)
	switch {
	case err != nil:
		return 0, err
	case len(v) == len(id):
		*id = foresail.SpanID(v)
	case len(v) == 0:
		*id = foresail.SpanID{}
	default:
		return 0, errSpanID
	}
	return pos, nil
}

// kind maps numbers that OTLP does not know to unspecified. Enums are 32 bits wide; the rest is cut off.
func kind(v uint64) foresail.SpanKind {
	if k := int32(v); k >= 0 && k <= int32(foresail.KindConsumer) {
		return foresail.SpanKind(k)
	}
	return foresail.KindUnspecified
}

const statusError = 2

func scanStatus(b []byte, failed *bool) error {
	for pos := 0; pos < len(b); {
		t, next, err := tag(b, pos)
		if err != nil {
			return err
		}
		if t == 3<<3|wireVarint {
			var v uint64
			v, pos, err = varint(b, next)
			*failed = int32(v) == statusError
		} else {
			pos, err = checkField(b, next, t, &statusShape, 0)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// text is b as a string without a copy. What is made of it is read only while the request's bytes are held: see
// telemetry.Batch.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// tag reads a field's number and wire type, as number<<3 | type. As in pdata the number is cut to 32 bits.
func tag(b []byte, pos int) (t uint64, next int, err error) {
	if c := b[pos]; c < 0x80 && c >= 8 { // pos < len(b)
		return uint64(c), pos + 1, nil
	}
	v, next, err := varint(b, pos)
	if err != nil {
		return 0, 0, err
	}
	number := int32(v >> 3)
	if number <= 0 {
		return 0, 0, errField
	}
	return uint64(number)<<3 | v&7, next, nil
}

func varint(b []byte, pos int) (v uint64, next int, err error) {
	for shift := uint(0); ; shift += 7 {
		if shift >= 64 {
			return 0, 0, errVarint
		}
		if pos >= len(b) {
			return 0, 0, errCut
		}
		c := b[pos]
		pos++
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v, pos, nil
		}
	}
}

// bytesField reads the content of a length-delimited field whose tag t was read.
func bytesField(b []byte, pos int, t uint64) (content []byte, next int, err error) {
	if t&7 != wireBytes {
		return nil, 0, errMismatch
	}
	var n int
	if pos < len(b) && b[pos] < 0x80 {
		n = int(b[pos])
		pos++
	} else {
		v, next, err := varint(b, pos)
		if err != nil {
			return nil, 0, err
		}
		if n, pos = int(v), next; n < 0 {
			return nil, 0, errLength
		}
	}
	if n > len(b)-pos {
		return nil, 0, errCut
	}
	return b[pos : pos+n : pos+n], pos + n, nil
}

// skip passes over a field of unknown number whose tag was read.
func skip(b []byte, pos int, wire uint64) (int, error) {
	for depth := 0; pos < len(b); {
		var err error
		switch wire {
		case wireVarint:
			_, pos, err = varint(b, pos)
			return pos, err
		case wire64:
			return fixedEnd(b, pos, 8)
		case wireBytes:
			_, pos, err = bytesField(b, pos, wireBytes)
			return pos, err
		case wire32:
			return fixedEnd(b, pos, 4)
		case wireStart:
			depth++
		case wireEnd:
			if depth == 0 {
				return 0, errGroup
			}
			depth--
		default:
			return 0, errWire
		}
		if depth == 0 {
			return pos, nil
		}
		var t uint64
		if t, pos, err = tag(b, pos); err != nil {
			return 0, err
		}
		wire = t & 7
	}
	return 0, errCut
}

func fixedEnd(b []byte, pos, n int) (int, error) {
	if n > len(b)-pos {
		return 0, errCut
	}
	return pos + n, nil
}
