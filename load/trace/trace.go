// Package trace reads recorded loads: files of levels, counts or arrivals, compressed or not. What each format holds is
// told in docs/formats/load.md.
package trace

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Bounds on a trace: the longest in use has 80,000 rows.
const (
	maxBytes  = 256 << 20 // after decompression
	maxLevels = 5_000_000
)

// Format is how a file tells its levels.
type Format string

// The formats.
const (
	Lines    Format = "lines"    // one level a line, each a second long
	Counts   Format = "counts"   // CSV with a heading: an instant, and the number of requests from it to the next row
	Arrivals Format = "arrivals" // CSV with a heading: the instant of one request each
)

// LineError is a fault in one line of a trace.
type LineError struct {
	Line    int // from 1
	Message string
}

// Error tells line and fault.
func (e *LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Message) }

func badLine(line int, format string, args ...any) error {
	return &LineError{line, fmt.Sprintf(format, args...)}
}

// Read reads the levels of a trace, in requests a second or as they are written, and how long each lasts by itself. Gzip is
// undone where it is found. Arrivals are counted over count, a second where it is 0; the other formats have no use for it.
// An unknown format is Lines. Where one line is at fault, the error is a *LineError.
func Read(r io.Reader, format Format, count time.Duration) (values []float64, step time.Duration, err error) {
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
	limited := &io.LimitedReader{R: r, N: maxBytes + 1}
	rows := bufio.NewScanner(limited)
	switch format {
	case Counts:
		values, step, err = readCounts(rows)
	case Arrivals:
		step = time.Second
		if count > 0 {
			step = count
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
		return nil, 0, fmt.Errorf("it is longer than %d bytes", maxBytes)
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
		if values = append(values, v); len(values) > maxLevels {
			return nil, badLine(line, "a trace has at most %d levels", maxLevels)
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
		case gap%step != 0 || gap/step > maxLevels:
			return nil, 0, badLine(line, "comes %s after the row before it, not a multiple of the first distance, %s", gap, step)
		default:
			n = int(gap / step)
		}
		for range n - 1 {
			values = append(values, values[len(values)-1])
		}
		if values = append(values, count); len(values) > maxLevels {
			return nil, 0, badLine(line, "a trace has at most %d levels", maxLevels)
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
		case i >= maxLevels:
			return nil, badLine(line, "is more than %d steps after the first", maxLevels)
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

var decimal = regexp.MustCompile(`^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$`)

// parseFloat reads a finite decimal number: no hexadecimal, no octal, no infinity.
func parseFloat(text string) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	if err == nil && (!decimal.MatchString(text) || math.IsInf(v, 0)) {
		err = strconv.ErrSyntax
	}
	return v, err
}
