package zipkin

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"foresail.dev"
	"foresail.dev/telemetry/group"
	"foresail.dev/telemetry/source"
)

// Limits of what is read.
const (
	maxSpanBytes  = 16 << 20 // of one span in JSON
	maxTraceSpans = 200_000
	maxWaiting    = 500_000 // spans gathered by trace at once
)

// Read reads a Zipkin file and hands the spans of each trace to each, which owns them. What can't be read is noted in
// faults: a span that lacks what it needs costs that span. Broken JSON costs a line where there is one span or list on
// each; else it ends reading with an error.
func Read(r io.Reader, faults *source.Faults, each func([]foresail.Span) error) (source.Stats, error) {
	in, err := source.Open(r)
	if err != nil {
		return source.Stats{}, err
	}
	defer in.Close()
	p := &parser{faults: faults, each: each,
		traces: group.New[foresail.TraceID, read](group.Options{Early: true, MaxItems: maxWaiting, MaxEach: maxTraceSpans})}
	b := bufio.NewReaderSize(in, 64<<10)
	first, err := firstByte(b)
	switch {
	case err == io.EOF:
		return p.stats, nil
	case err != nil:
		return p.stats, err
	case first == '{':
		err = p.lines(b)
	case first == '[':
		err = p.lists(b)
	default:
		return p.stats, errors.New("no Zipkin JSON: it starts with neither [ nor {")
	}
	if err == nil {
		err = p.end()
	}
	return p.stats, err
}

func firstByte(b *bufio.Reader) (byte, error) {
	for {
		c, err := b.ReadByte()
		if err != nil {
			return 0, err
		}
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c, b.UnreadByte()
		}
	}
}

type parser struct {
	faults *source.Faults
	each   func([]foresail.Span) error
	traces *group.Groups[foresail.TraceID, read]
	stats  source.Stats
}

// lines reads one span or list on each line.
func (p *parser) lines(r io.Reader) error {
	lines := source.NewLines(r, 0, p.faults)
	for lines.Next() {
		line := bytes.TrimSpace(lines.Line())
		if len(line) == 0 {
			continue
		}
		if line[0] != '[' {
			if err := p.span(line, lines.Number()); err != nil {
				return err
			}
			continue
		}
		var list []json.RawMessage
		if err := json.Unmarshal(line, &list); err != nil {
			p.faults.Add(lines.Number(), err)
			continue
		}
		for _, one := range list {
			if err := p.span(one, lines.Number()); err != nil {
				return err
			}
		}
	}
	return lines.Err()
}

// lists reads lists of spans or of lists of spans, one after the other. Its faults are numbered by spans.
func (p *parser) lists(r io.Reader) error {
	limited := &limit{r: r, left: maxSpanBytes}
	d := json.NewDecoder(limited)
	number := 0
	fail := func(err error) error {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("after span %d (near byte %d): %w", number, d.InputOffset(), err)
	}
	depth := 0
	for {
		limited.left = maxSpanBytes
		if depth > 0 && d.More() {
			var one json.RawMessage
			if err := d.Decode(&one); err != nil {
				return fail(err)
			}
			if one[0] == '[' { // a trace within a list of traces
				var list []json.RawMessage
				if err := json.Unmarshal(one, &list); err != nil {
					return fail(err)
				}
				for _, s := range list {
					number++
					if err := p.span(s, number); err != nil {
						return err
					}
				}
				continue
			}
			number++
			if err := p.span(one, number); err != nil {
				return err
			}
			continue
		}
		t, err := d.Token()
		switch {
		case err == io.EOF && depth == 0:
			return nil
		case err != nil:
			return fail(err)
		case t == json.Delim('['):
			depth++
		case t == json.Delim(']'):
			depth--
		default:
			return fail(fmt.Errorf("%v stands where [ should", t))
		}
	}
}

// span takes one element.
func (p *parser) span(b []byte, number int) error {
	s, err := decode(b)
	if err != nil {
		p.faults.Add(number, err)
		return nil
	}
	if g := p.traces.Add(0, s.Trace, s); g != nil {
		return p.trace(g)
	}
	return nil
}

func (p *parser) end() error {
	for _, g := range p.traces.Rest() {
		if err := p.trace(g); err != nil {
			return err
		}
	}
	if n := p.traces.Stats().Crowded; n > 0 {
		p.faults.Add(0, fmt.Errorf("%d spans were beyond the %d that one trace may have", n, maxTraceSpans))
	}
	return nil
}

func (p *parser) trace(g *group.Group[foresail.TraceID, read]) error {
	spans := split(g.Items)
	p.stats.Traces++
	p.stats.Spans += len(spans)
	p.stats.Inferred += source.InferKinds(spans)
	return p.each(spans)
}

var errTooLong = fmt.Errorf("one element is longer than %d MiB", maxSpanBytes>>20)

// limit fails when more than left bytes are read before it is set again.
type limit struct {
	r    io.Reader
	left int
}

func (l *limit) Read(b []byte) (int, error) {
	if l.left <= 0 {
		return 0, errTooLong
	}
	n, err := l.r.Read(b[:min(len(b), l.left)])
	l.left -= n
	return n, err
}
