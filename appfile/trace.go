package appfile

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"foresail.dev/load"
)

// Bounds on a trace: the longest in use has 80,000 rows.
const (
	maxTraceBytes  = 256 << 20 // after decompression
	maxTraceValues = 5_000_000
)

// trace is a curve from a file; gzip is undone where it is found.
type trace struct {
	File   string        `yaml:"file" rule:"required"`
	Format string        `yaml:"format" rule:"oneof=lines|counts|arrivals"`
	Step   time.Duration `yaml:"step" rule:"min=1ms,max=24h"`
	Scale  *float64      `yaml:"scale" rule:"above=0,max=1e6"`
	Skip   time.Duration `yaml:"skip"`
	For    time.Duration `yaml:"for" rule:"above=0s"`
}

// traceFault is a fault in a line of a trace file.
type traceFault struct {
	line    int
	message string
}

func (e *traceFault) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.message) }

func badLine(line int, format string, args ...any) error {
	return &traceFault{line, fmt.Sprintf(format, args...)}
}

func (t *trace) segment(at Place, open func(string) (io.ReadCloser, error)) load.Segment {
	if open == nil {
		at.At("file").Faultf("cannot be read: no files are read here")
		return load.Segment{}
	}
	file, err := open(t.File)
	if err != nil {
		at.At("file").Faultf("%v", err)
		return load.Segment{}
	}
	defer file.Close() // only read
	values, natural, err := t.values(file)
	var bad *traceFault
	switch {
	case errors.As(err, &bad):
		at.c.add(Fault{File: t.File, Line: bad.line, Message: bad.message})
		return load.Segment{}
	case err != nil:
		at.At("file").Faultf("%s cannot be read: %v", t.File, err)
		return load.Segment{}
	}
	step := natural
	if t.Step > 0 {
		step = t.Step
	}
	if float64(len(values))*step.Hours() > maxYears*365*24 {
		at.At("step").Faultf("makes %d levels last more than %d years", len(values), maxYears)
		return load.Segment{}
	}
	if skip := int(t.Skip / step); skip >= len(values) {
		at.At("skip").Faultf("is %s, but the trace lasts only %s", t.Skip, time.Duration(len(values))*step)
	} else {
		values = values[skip:]
	}
	if t.Scale != nil {
		for i := range values {
			values[i] *= *t.Scale
		}
	}
	s := load.Segment{Shape: load.Trace, Values: values, Step: step, For: t.For}
	if s.For == 0 {
		s.For = time.Duration(len(values)) * step
	}
	return s
}

// values reads the levels of a trace and how long each lasts by itself.
func (t *trace) values(r io.Reader) (values []float64, step time.Duration, err error) {
	buffered := bufio.NewReader(r)
	if magic, _ := buffered.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, 0, err
		}
		r = z
	} else {
		r = buffered
	}
	limited := &io.LimitedReader{R: r, N: maxTraceBytes + 1}
	rows := bufio.NewScanner(limited)
	switch t.Format {
	case "counts":
		values, step, err = readCounts(rows)
	case "arrivals":
		step = time.Second
		if t.Step > 0 {
			step = t.Step
		}
		values, err = readArrivals(rows, step)
	default:
		step = time.Second
		values, err = readLines(rows)
	}
	switch {
	case err != nil:
		return nil, 0, err
	case rows.Err() != nil:
		return nil, 0, rows.Err()
	case limited.N <= 0:
		return nil, 0, fmt.Errorf("it is longer than %d bytes", maxTraceBytes)
	case len(values) == 0:
		return nil, 0, errors.New("it holds no values")
	}
	return values, step, nil
}

// readLines reads one level a line.
func readLines(rows *bufio.Scanner) (values []float64, err error) {
	for line := 1; rows.Scan(); line++ {
		text := strings.TrimSpace(rows.Text())
		if text == "" {
			continue
		}
		v, err := parseFloat(text)
		if err != nil || v < 0 || v > 1e9 {
			return nil, badLine(line, "%.40q is not a level: a number within 0..1e9", text)
		}
		if values = append(values, v); len(values) > maxTraceValues {
			return nil, badLine(line, "a trace has at most %d levels", maxTraceValues)
		}
	}
	return values, nil
}

// readCounts reads rows of an instant and the number of requests from it to the next, after a heading. The distance of
// the first two rows holds for all; where rows are missing, the one before them lasts longer.
func readCounts(rows *bufio.Scanner) (values []float64, step time.Duration, err error) {
	var last time.Time
	line := 0
	for rows.Scan() {
		line++
		if line == 1 {
			continue // the heading
		}
		at, count, err := countRow(rows.Text(), line)
		if err != nil {
			return nil, 0, err
		}
		n := 1
		switch gap := at.Sub(last); {
		case len(values) == 0:
		case gap <= 0:
			return nil, 0, badLine(line, "is not after the row before it")
		case step == 0:
			step = gap
		case gap%step != 0 || gap/step > maxTraceValues:
			return nil, 0, badLine(line, "comes %s after the row before it, not a multiple of the first distance, %s", gap, step)
		default:
			n = int(gap / step)
		}
		for range n - 1 {
			values = append(values, values[len(values)-1])
		}
		if values = append(values, count); len(values) > maxTraceValues {
			return nil, 0, badLine(line, "a trace has at most %d levels", maxTraceValues)
		}
		last = at
	}
	if step == 0 && rows.Err() == nil {
		return nil, 0, badLine(max(line, 1), "needs a heading and at least two rows of an instant and a count")
	}
	for i := range values {
		values[i] /= step.Seconds()
	}
	return values, step, nil
}

func countRow(text string, line int) (at time.Time, count float64, err error) {
	instant, rest, ok := strings.Cut(text, ",")
	if !ok {
		return at, 0, badLine(line, "%.40q is not an instant, a comma and a count", text)
	}
	if at, err = parseInstant(instant); err != nil {
		return at, 0, badLine(line, "%.40q is not an instant like 2023-11-16 18:15:46", instant)
	}
	rest, _, _ = strings.Cut(rest, ",")
	if count, err = parseFloat(strings.TrimSpace(rest)); err != nil || count < 0 || count > 1e12 {
		return at, 0, badLine(line, "%.40q is not a count", rest)
	}
	return at, count, nil
}

// readArrivals counts rows that each start with the instant of one request, after a heading, over steps from the first.
func readArrivals(rows *bufio.Scanner, step time.Duration) (values []float64, err error) {
	var first time.Time
	for line := 1; rows.Scan(); line++ {
		if line == 1 {
			continue // the heading
		}
		instant, _, _ := strings.Cut(rows.Text(), ",")
		at, err := parseInstant(instant)
		if err != nil {
			return nil, badLine(line, "%.40q is not an instant like 2023-11-16 18:15:46.68", instant)
		}
		if first.IsZero() {
			first = at
		}
		i := at.Sub(first) / step
		switch {
		case at.Before(first) || int(i) < len(values)-1:
			return nil, badLine(line, "is before the row before it")
		case i >= maxTraceValues:
			return nil, badLine(line, "is more than %d steps after the first", maxTraceValues)
		}
		for len(values) <= int(i) {
			values = append(values, 0)
		}
		values[i]++
	}
	for i := range values {
		values[i] /= step.Seconds()
	}
	return values, nil
}

// parseInstant reads the forms in use, fractions of a second with any of them; without a zone it is UTC.
func parseInstant(text string) (at time.Time, err error) {
	text = strings.TrimSpace(text)
	for _, layout := range []string{time.DateTime, time.RFC3339, "2006-01-02T15:04:05"} {
		if at, err = time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return at, err
}
