package otlp

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"foresail.dev"
)

// maxLine bounds one line of a file of spans: larger than what exporters write at once.
const maxLine = 64 << 20

// ReadJSONLines hands the spans of each line of an OTLP JSON file to each, in order; the slice is the callee's. Empty
// lines don't count. The error names the line that is malformed, or is each's. Spans without an id or a time are left out,
// and malformed counts them.
func ReadJSONLines(r io.Reader, each func([]foresail.Span) error) (malformed int, err error) {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, 1<<16), maxLine)
	var s scanner
	line := 0
	for in.Scan() {
		line++
		b := bytes.TrimSpace(in.Bytes())
		if len(b) == 0 {
			continue
		}
		if b, err = protoOf(b); err != nil {
			return malformed, fmt.Errorf("line %d is no OTLP JSON: %w", line, err)
		}
		batch, err := s.scan(b)
		if err != nil {
			return malformed, fmt.Errorf("line %d is no OTLP JSON: %w", line, err)
		}
		malformed += batch.Malformed
		if err := each(batch.Spans()); err != nil {
			return malformed, err
		}
	}
	if err := in.Err(); err != nil {
		return malformed, fmt.Errorf("after line %d: %w", line, err)
	}
	return malformed, nil
}
