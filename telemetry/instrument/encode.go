package instrument

import (
	"encoding/binary"
	"math"
	"time"
)

// The encoder writes an ExportMetricsServiceRequest of opentelemetry/proto/metrics/v1. It knows no other message, so that
// an application that links this package links no protobuf library. telemetry/otlp reads it back with the official one.

const scope = "foresail.dev/telemetry/instrument"

// span is an interval by the wall clock.
type span struct{ start, end time.Time }

// encoder appends reports to a buffer that it uses again.
type encoder struct {
	b        []byte
	resource []byte // encoded once
	since    time.Time
}

func newEncoder(service, instance string, since time.Time) *encoder {
	e := &encoder{since: since}
	var r []byte
	r = message(r, 1, func(b []byte) []byte { return attribute(b, "service.name", service) })
	if instance != "" {
		r = message(r, 1, func(b []byte) []byte { return attribute(b, "service.instance.id", instance) })
	}
	e.resource = r
	return e
}

// report encodes what servers and clients counted over an interval; the result is overwritten by the next.
func (e *encoder) report(over span, servers, clients *meter) []byte {
	e.b = message(e.b[:0], 1, func(b []byte) []byte { // ResourceMetrics
		b = text(b, 1, e.resource)
		return message(b, 2, func(b []byte) []byte { // ScopeMetrics
			b = message(b, 1, func(b []byte) []byte { return text(b, 1, scope) })
			b = e.metrics(b, over, "foresail.server.", servers)
			return e.metrics(b, over, "foresail.client.", clients)
		})
	})
	return e.b
}

func (e *encoder) metrics(b []byte, over span, prefix string, m *meter) []byte {
	if len(m.all) == 0 && prefix != "foresail.server." {
		return b
	}
	gauge := func(b []byte, name string, value func(*observed) float64) []byte {
		return metric(b, prefix+name, "{request}", 5, func(b []byte) []byte {
			for i := range m.all {
				b = point(b, over, m.all[i].e.name, value(&m.all[i]))
			}
			return b
		})
	}
	sum := func(b []byte, name string, value func(*observed) uint64) []byte {
		return metric(b, prefix+name, "{request}", 7, func(b []byte) []byte {
			for i := range m.all {
				b = count(b, span{e.since, over.end}, m.all[i].e.name, value(&m.all[i]))
			}
			b = append(b, 2<<3, 2)    // cumulative
			return append(b, 3<<3, 1) // monotonic
		})
	}
	b = gauge(b, "in_flight", func(o *observed) float64 { return o.inFlight.last })
	b = gauge(b, "in_flight.mean", func(o *observed) float64 { return o.inFlight.mean })
	b = gauge(b, "in_flight.max", func(o *observed) float64 { return o.inFlight.max })
	b = metric(b, prefix+"in_flight.peak", "{request}", 5, func(b []byte) []byte { return point(b, over, "", m.peak) })
	b = sum(b, "arrivals", func(o *observed) uint64 { return o.arrivals })
	b = sum(b, "completions", func(o *observed) uint64 { return o.done })
	return sum(b, "errors", func(o *observed) uint64 { return o.failed })
}

// metric appends a Metric whose points are in field kind: 5 for a gauge, 7 for a sum.
func metric(b []byte, name, unit string, kind byte, points func([]byte) []byte) []byte {
	return message(b, 2, func(b []byte) []byte {
		b = text(b, 1, name)
		b = text(b, 3, unit)
		return message(b, kind, points)
	})
}

// point appends a data point of a number; one without a name is of the whole process.
func point(b []byte, over span, name string, value float64) []byte {
	return message(b, 1, func(b []byte) []byte {
		b = instants(b, over, name)
		return binary.LittleEndian.AppendUint64(append(b, 4<<3|1), math.Float64bits(value))
	})
}

// count appends a data point of a whole number.
func count(b []byte, over span, name string, value uint64) []byte {
	return message(b, 1, func(b []byte) []byte {
		b = instants(b, over, name)
		return binary.LittleEndian.AppendUint64(append(b, 6<<3|1), value)
	})
}

func instants(b []byte, over span, name string) []byte {
	b = binary.LittleEndian.AppendUint64(append(b, 2<<3|1), uint64(over.start.UnixNano()))
	b = binary.LittleEndian.AppendUint64(append(b, 3<<3|1), uint64(over.end.UnixNano()))
	if name != "" {
		b = message(b, 7, func(b []byte) []byte { return attribute(b, "endpoint", name) })
	}
	return b
}

// attribute appends a KeyValue's fields.
func attribute(b []byte, key, value string) []byte {
	b = text(b, 1, key)
	return message(b, 2, func(b []byte) []byte { return text(b, 1, value) })
}

// text appends a field of text or of bytes.
func text[T string | []byte](b []byte, field byte, s T) []byte {
	b = binary.AppendUvarint(append(b, field<<3|2), uint64(len(s)))
	return append(b, s...)
}

// message appends a field that fill writes: its length is put in front once it is known.
func message(b []byte, field byte, fill func([]byte) []byte) []byte {
	b = append(b, field<<3|2)
	start := len(b)
	b = fill(b)
	var length [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(length[:], uint64(len(b)-start))
	b = append(b, length[:n]...)
	copy(b[start+n:], b[start:len(b)-n])
	copy(b[start:], length[:n])
	return b
}
