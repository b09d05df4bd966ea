package wire

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrMalformed is wrapped by every error of reading.
var ErrMalformed = errors.New("malformed ingest message")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
}

// field is one field of a message: v of a number, b of bytes.
type field struct {
	number protowire.Number
	v      uint64
	b      []byte
}

// fields reads a message's fields one after the other; each is called with those of known types.
func fields(b []byte, each func(f field) error) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return malformed("%v", protowire.ParseError(n))
		}
		b = b[n:]
		f := field{number: number}
		switch kind {
		case protowire.VarintType:
			f.v, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			f.v, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			f.b, n = protowire.ConsumeBytes(b)
			if n >= 0 && f.b == nil {
				f.b = []byte{}
			}
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
			f.number = 0
		}
		if n < 0 {
			return malformed("%v", protowire.ParseError(n))
		}
		b = b[n:]
		if f.number == 0 {
			continue
		}
		if err := each(f); err != nil {
			return err
		}
	}
	return nil
}

// reader reads the fields of a message into variables. The first fault ends it.
type reader struct{ err error }

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = malformed(format, args...)
	}
}

func (r *reader) int(f field, what string, limit uint64) uint64 {
	if f.b != nil || f.v > limit {
		r.fail("%s is %d: at most %d", what, f.v, limit)
		return 0
	}
	return f.v
}

func (r *reader) time(f field, what string) int64 { return int64(r.int(f, what, maxTime)) }

func (r *reader) signed(f field, what string, limit int64) int64 {
	v := protowire.DecodeZigZag(f.v)
	if f.b != nil || v > limit || v < -limit {
		r.fail("%s is %d: at most %d", what, v, limit)
		return 0
	}
	return v
}

// count is a finite number that is not below zero.
func (r *reader) count(f field, what string, limit float64) float64 {
	v := math.Float64frombits(f.v)
	if f.b != nil || !(v >= 0 && v <= limit) {
		r.fail("%s is %g: from 0 to %g", what, v, limit)
		return 0
	}
	return v
}

func (r *reader) name(f field, what string) string {
	if len(f.b) > MaxName || !utf8.Valid(f.b) {
		r.fail("%s has %d bytes or is no text: at most %d bytes of UTF-8", what, len(f.b), MaxName)
		return ""
	}
	return string(f.b)
}
