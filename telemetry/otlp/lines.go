package otlp

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"foresail.dev"
	"foresail.dev/telemetry/source"
)

var errNoIDs = errors.New("spans without an id or a time")

// ReadLines reads a file of traces as the OpenTelemetry Collector's file exporter writes it: OTLP JSON, one message a line,
// plain or compressed. Unlike ReadJSONLines it goes on after a bad line: bad ones, and spans without an id or a time, are
// noted in faults. Lines of metrics and logs hold no spans and are passed over. The callee owns each slice; the spans of a
// trace may be apart.
func ReadLines(r io.Reader, faults *source.Faults, each func([]foresail.Span) error) (source.Stats, error) {
	var stats source.Stats
	in, err := source.Open(r)
	if err != nil {
		return stats, err
	}
	defer in.Close()
	lines := source.NewLines(in, maxLine, faults)
	var s scanner
	for lines.Next() {
		b := bytes.TrimSpace(lines.Line())
		if len(b) == 0 {
			continue
		}
		spans, malformed, err := spansOfLine(&s, b)
		if err != nil {
			faults.Add(lines.Number(), fmt.Errorf("no OTLP JSON: %w", err))
			continue
		}
		if malformed > 0 {
			faults.Add(lines.Number(), fmt.Errorf("%d %w", malformed, errNoIDs))
		}
		if len(spans) == 0 {
			continue
		}
		stats.Spans += len(spans)
		for i := range spans {
			if spans[i].Kind == foresail.KindUnspecified {
				stats.Inferred++
			}
		}
		if err := each(spans); err != nil {
			return stats, err
		}
	}
	return stats, lines.Err()
}

func spansOfLine(s *scanner, line []byte) ([]foresail.Span, int, error) {
	b, err := protoOf(line)
	if err != nil {
		return nil, 0, err
	}
	batch, err := s.scan(b)
	if err != nil {
		return nil, 0, err
	}
	return batch.Spans(), batch.Malformed, nil
}
