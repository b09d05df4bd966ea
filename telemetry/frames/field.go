package frames

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrMalformed is wrapped by every error of reading a message.
var ErrMalformed = errors.New("malformed message")

// Malformed is an error that says what is wrong with a message.
func Malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
}

// Field is one field of a message. B is nil for one that is a number.
type Field struct {
	Number protowire.Number
	V      uint64
	B      []byte
}

// Fields reads a message's fields one after the other; each is called with those of known types. What it is given shares
// memory with b.
func Fields(b []byte, each func(f Field) error) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return Malformed("%v", protowire.ParseError(n))
		}
		b = b[n:]
		f := Field{Number: number}
		switch kind {
		case protowire.VarintType:
			f.V, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			f.V, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			f.B, n = protowire.ConsumeBytes(b)
			if n >= 0 && f.B == nil {
				f.B = []byte{}
			}
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
			f.Number = 0
		}
		if n < 0 {
			return Malformed("%v", protowire.ParseError(n))
		}
		b = b[n:]
		if f.Number == 0 {
			continue
		}
		if err := each(f); err != nil {
			return err
		}
	}
	return nil
}
