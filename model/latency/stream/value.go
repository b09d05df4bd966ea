package stream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// Kind is what a stream's values are.
type Kind uint8

const (
	Continuous Kind = iota // a number
	Discrete               // a whole number
	Choices                // one of some names: a column of ones and zeros for each
	kinds
)

func (k Kind) String() string {
	return [...]string{"continuous", "discrete", "choices", "unknown"}[min(k, kinds)]
}

// Value is one value of one stream.
type Value struct {
	Label  string // service:name
	Kind   Kind
	Seq    int64   // what is joined by
	Number float64 // of continuous and discrete streams
	Choice string  // of choices
}

// Limits on one value.
const (
	maxLabel  = 512
	maxChoice = 128
	largest   = 1e100
)

// ErrMalformed is wrapped by what Parse reports, and by Add of a value that no line could hold.
var ErrMalformed = errors.New("malformed")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrMalformed, fmt.Errorf(format, args...))
}

// Parse reads a line: {"stream_uri": "frontend:0.90", "type": "continuous", "seq_num": 1700000000, "val": 0.12}. Other fields are
// passed over.
func Parse(line []byte) (Value, error) {
	var in struct {
		URI  *string          `json:"stream_uri"`
		Type *string          `json:"type"`
		Seq  *json.Number     `json:"seq_num"`
		Val  *json.RawMessage `json:"val"`
	}
	d := json.NewDecoder(bytes.NewReader(line))
	if err := d.Decode(&in); err != nil {
		return Value{}, malformed("it is no JSON object of a value: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Value{}, malformed("something follows the value: one a line can be")
	}
	var missing []string
	for _, f := range []struct {
		name string
		not  bool
	}{{"stream_uri", in.URI == nil}, {"type", in.Type == nil}, {"seq_num", in.Seq == nil}, {"val", in.Val == nil}} {
		if f.not {
			missing = append(missing, f.name)
		}
	}
	if missing != nil {
		return Value{}, malformed("it lacks %s", strings.Join(missing, ", "))
	}
	v := Value{Label: *in.URI, Kind: kinds}
	for k := range kinds {
		if k.String() == *in.Type {
			v.Kind = k
		}
	}
	var err error
	if v.Seq, err = strconv.ParseInt(in.Seq.String(), 10, 64); err != nil {
		return Value{}, malformed("seq_num is %.40q: it must be a whole number", in.Seq.String())
	}
	if v.Kind == Choices {
		err = json.Unmarshal(*in.Val, &v.Choice)
	} else {
		err = json.Unmarshal(*in.Val, &v.Number)
	}
	if err == nil && string(bytes.TrimSpace(*in.Val)) == "null" {
		err = errors.New("it is null")
	}
	if err != nil && v.Kind < kinds {
		return Value{}, malformed("val is %.40q, and the type is %s", *in.Val, v.Kind)
	}
	return v, v.check()
}

func (v *Value) check() error {
	service, name, ok := strings.Cut(v.Label, ":")
	switch {
	case !ok || service == "" || name == "" || len(v.Label) > maxLabel:
		return malformed("stream_uri is %.60q: it must be a service, a colon and a name, of %d bytes at most", v.Label, maxLabel)
	case v.Kind >= kinds:
		return malformed("the type must be continuous, discrete or choices")
	case v.Kind == Choices && (v.Choice == "" || len(v.Choice) > maxChoice):
		return malformed("val is %.40q: a choice has from 1 to %d bytes", v.Choice, maxChoice)
	case v.Kind != Choices && !(math.Abs(v.Number) <= largest):
		return malformed("val is %v, which is no number to learn from", v.Number)
	case v.Kind == Discrete && v.Number != math.Trunc(v.Number):
		return malformed("val is %v, and the type is discrete: it must be a whole number", v.Number)
	}
	return nil
}
