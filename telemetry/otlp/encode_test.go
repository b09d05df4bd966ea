package otlp_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"foresail.dev"
	. "foresail.dev/telemetry/otlp"
)

// Each line is a request of its own, so that a file can be cut at any line and be sent line by line.
func TestWriteJSONLines(t *testing.T) {
	spans := someSpans(30)
	var file bytes.Buffer
	for i := range 3 {
		if err := WriteJSONLines(&file, spans[10*i:10*i+10]); err != nil {
			t.Fatal(err)
		}
	}
	if err := WriteJSONLines(&file, nil); err != nil {
		t.Fatal(err)
	}
	sink := &collect{}
	r := listen(t, Config{}, sink)
	lines := 0
	for in := bufio.NewScanner(&file); in.Scan(); lines++ {
		ok(t, r, asJSON, in.Bytes())
	}
	if lines != 3 {
		t.Errorf("%d lines", lines)
	}
	same(t, sink.got(), spans)
}

func TestWriteJSONLinesTellsErrors(t *testing.T) {
	full := errors.New("no space left on device")
	if err := WriteJSONLines(failing{full}, someSpans(1)); !errors.Is(err, full) {
		t.Error(err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

var _ io.Writer = failing{}

// A span without times is encoded as such, and the receiver counts it as malformed.
func TestEncodeUnfinished(t *testing.T) {
	s := someSpans(1)
	s[0].End = time.Time{}
	sink := &collect{}
	r := listen(t, Config{}, sink)
	ok(t, r, protobuf, Encode(append(s, foresail.Span{})))
	if n := len(sink.got()); n != 0 {
		t.Errorf("%d spans", n)
	}
}
