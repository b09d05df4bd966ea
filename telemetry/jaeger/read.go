// Package jaeger reads traces in the JSON that Jaeger's page and API export:
//
//	{"data": [{"traceID": "…", "spans": [{"traceID", "spanID", "operationName", "references": [{"refType": "CHILD_OF",
//	"traceID", "spanID"}], "startTime": µs, "duration": µs, "tags": […], "processID": "p1"}],
//	"processes": {"p1": {"serviceName": "…", "tags": […]}}}]}
//
// Traces are read one at a time, so a file may be larger than memory; compression by gzip or zstd is detected.
//
// Jaeger spans may lack a kind (tag span.kind). It is then inferred within the trace: a span without a parent, or with
// a parent in another service, is a server span; one with a child in another service is a client span; the others are
// internal. A parent that the trace does not hold leaves a span internal, unless it has a child in another service.
//
// The replica is the process's tag service.instance.id, or else k8s.pod.name, host.name or hostname. A span failed when
// its tag error is true or its otel.status_code is ERROR. Tags of Jaeger's samplers are not used: a file holds a choice
// of traces, and each counts once.
package jaeger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"foresail.dev"
	"foresail.dev/telemetry/source"
)

// Limits of what is read.
const (
	maxTraceBytes = 64 << 20 // of one trace in JSON
	maxTraceSpans = 200_000
)

// Stats tell what was read.
type Stats = source.Stats

// Read reads a Jaeger export and hands each trace's spans to each, which owns them. It stops at the first error; one in
// the input is a *SyntaxError.
func Read(r io.Reader, each func([]foresail.Span) error) (Stats, error) {
	var stats Stats
	in, err := source.Open(r)
	if err != nil {
		return stats, fmt.Errorf("jaeger file: %w", err)
	}
	defer in.Close()
	limited := &limitedReader{r: in, left: maxTraceBytes}
	d := json.NewDecoder(limited)
	p := parser{d: d, limited: limited, stats: &stats, each: each}
	return stats, p.file()
}

// SyntaxError says what is wrong in the input, and where.
type SyntaxError struct {
	Path   string // for example "data[3].spans[7].startTime"; empty outside of the traces
	Offset int64  // bytes of JSON, decompressed, read by then
	Err    error
}

// Error reads like "data[3].spans[7].spanID (near byte 8123): …".
func (e *SyntaxError) Error() string {
	where := e.Path
	if where == "" {
		where = "jaeger JSON"
	}
	return fmt.Sprintf("%s (near byte %d): %v", where, e.Offset, e.Err)
}

// Unwrap gives the cause.
func (e *SyntaxError) Unwrap() error { return e.Err }

var errTooLong = fmt.Errorf("one trace is longer than %d MiB", maxTraceBytes>>20)

// limitedReader fails when more than left bytes are read before it is set again.
type limitedReader struct {
	r    io.Reader
	left int
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errTooLong
	}
	n, err := l.r.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

type parser struct {
	d       *json.Decoder
	limited *limitedReader
	stats   *Stats
	each    func([]foresail.Span) error
}

func (p *parser) fail(path string, err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return &SyntaxError{Path: path, Offset: p.d.InputOffset(), Err: err}
}

// file reads the outermost object, of which only data matters.
func (p *parser) file() error {
	if err := p.expect('{'); err != nil {
		return err
	}
	found := false
	for p.d.More() {
		key, err := p.d.Token()
		if err != nil {
			return p.fail("", err)
		}
		if key != "data" {
			var other json.RawMessage
			if err := p.d.Decode(&other); err != nil {
				return p.fail(fmt.Sprint(key), err)
			}
			continue
		}
		if found {
			return p.fail("data", errors.New("it is there twice"))
		}
		found = true
		if err := p.traces(); err != nil {
			return err
		}
	}
	if err := p.expect('}'); err != nil {
		return err
	}
	if !found {
		return p.fail("", errors.New(`no "data": this is not a Jaeger export`))
	}
	if _, err := p.d.Token(); err != io.EOF {
		if err == nil {
			err = errors.New("something follows the end of the export")
		}
		return p.fail("", err)
	}
	return nil
}

func (p *parser) expect(want json.Delim) error {
	t, err := p.d.Token()
	if err != nil {
		return p.fail("", err)
	}
	if t != want {
		return p.fail("", fmt.Errorf("%v stands where %v should", t, want))
	}
	return nil
}

func (p *parser) traces() error {
	if err := p.expect('['); err != nil {
		return err
	}
	for i := 0; p.d.More(); i++ {
		path := fmt.Sprintf("data[%d]", i)
		p.limited.left = maxTraceBytes
		var t trace
		if err := p.d.Decode(&t); err != nil {
			var wrong *json.UnmarshalTypeError
			if errors.As(err, &wrong) {
				return p.fail(path+"."+wrong.Field, fmt.Errorf("a %s stands where a %s should", wrong.Value, wrong.Type))
			}
			return p.fail(path, err)
		}
		spans, inferred, err := t.spans()
		if err != nil {
			var f *fault
			errors.As(err, &f)
			return p.fail(path+f.path, f.err)
		}
		p.stats.Traces++
		p.stats.Spans += len(spans)
		p.stats.Inferred += inferred
		if err := p.each(spans); err != nil {
			return err
		}
	}
	p.limited.left = maxTraceBytes
	return p.expect(']')
}
