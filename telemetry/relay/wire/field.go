package wire

import (
	"math"
	"unicode/utf8"

	"foresail.dev/telemetry/frames"

	"google.golang.org/protobuf/encoding/protowire"
)

// reader reads the fields of a message into variables. The first fault ends it.
type reader struct{ err error }

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = frames.Malformed(format, args...)
	}
}

func (r *reader) int(f frames.Field, what string, limit uint64) uint64 {
	if f.B != nil || f.V > limit {
		r.fail("%s is %d: at most %d", what, f.V, limit)
		return 0
	}
	return f.V
}

func (r *reader) time(f frames.Field, what string) int64 { return int64(r.int(f, what, maxTime)) }

func (r *reader) signed(f frames.Field, what string, limit int64) int64 {
	v := protowire.DecodeZigZag(f.V)
	if f.B != nil || v > limit || v < -limit {
		r.fail("%s is %d: at most %d", what, v, limit)
		return 0
	}
	return v
}

// count is a finite number that is not below zero.
func (r *reader) count(f frames.Field, what string, limit float64) float64 {
	v := math.Float64frombits(f.V)
	if f.B != nil || !(v >= 0 && v <= limit) {
		r.fail("%s is %g: from 0 to %g", what, v, limit)
		return 0
	}
	return v
}

func (r *reader) name(f frames.Field, what string) string {
	if len(f.B) > frames.MaxName || !utf8.Valid(f.B) {
		r.fail("%s has %d bytes or is no text: at most %d bytes of UTF-8", what, len(f.B), frames.MaxName)
		return ""
	}
	return string(f.B)
}
