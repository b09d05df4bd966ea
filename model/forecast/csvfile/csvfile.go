// Package csvfile reads a series from CSV as people and programs leave it, and says what it mended. What is refused, and
// what is mended, is told in docs/formats/forecast.md.
package csvfile

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"foresail.dev/model/forecast"
)

// Bounds on a file.
const (
	maxBytes = 256 << 20 // after decompression
	maxSteps = 5_000_000
	maxTold  = 10 // faults
)

// Options say how a file is to be read. None needs to be set.
type Options struct {
	Column string         // heading of the loads; empty: the second column, or the only one
	Step   time.Duration  // from one row to the next; 0: as most rows are apart. Where rows have no instants it must be set.
	Zone   *time.Location // of instants that name none; nil: UTC
}

// Repairs counts what was mended.
type Repairs struct {
	Gaps       int `json:"gaps"`       // steps without a row
	Empty      int `json:"empty"`      // rows without a load: empty, NaN, null
	Duplicates int `json:"duplicates"` // rows that say again what another said
	Reordered  int `json:"reordered"`  // rows that were later than the next
	Moved      int `json:"moved"`      // rows that lay between two steps, moved to the nearer
}

// Any tells whether anything was.
func (r Repairs) Any() bool { return r != Repairs{} }

// String tells all in one line.
func (r Repairs) String() string {
	var parts []string
	for _, p := range []struct {
		n        int
		one, all string
	}{
		{r.Gaps, "step has no row", "steps have no row"}, {r.Empty, "row has no load", "rows have no load"},
		{r.Duplicates, "row is there twice", "rows are there twice"}, {r.Reordered, "row was out of order", "rows were out of order"},
		{r.Moved, "row lay between two steps", "rows lay between two steps"},
	} {
		switch {
		case p.n == 1:
			parts = append(parts, "1 "+p.one)
		case p.n > 1:
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.all))
		}
	}
	return strings.Join(parts, ", ")
}

// Fault is what is wrong with one line.
type Fault struct {
	Line    int // from 1
	Message string
}

// Faults is everything that is wrong, in the order of lines, the first ten of it.
type Faults struct {
	Faults []Fault
	More   int // that are not listed
}

// Error lists the faults, one a line.
func (f *Faults) Error() string {
	var lines []string
	for _, x := range f.Faults {
		lines = append(lines, fmt.Sprintf("line %d: %s", x.Line, x.Message))
	}
	if f.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", f.More))
	}
	return strings.Join(lines, "\n")
}

func (f *Faults) add(line int, format string, args ...any) {
	if len(f.Faults) == maxTold {
		f.More++
		return
	}
	f.Faults = append(f.Faults, Fault{line, fmt.Sprintf(format, args...)})
}

func (f *Faults) err() error {
	if len(f.Faults) == 0 {
		return nil
	}
	slices.SortStableFunc(f.Faults, func(a, b Fault) int { return a.Line - b.Line })
	return f
}

// row is one line of the file.
type row struct {
	line int
	at   time.Time
	load float64
}

// Read reads a series. Gzip is undone where it is found. The error is a *Faults where lines are at fault.
func Read(r io.Reader, o Options) (forecast.Series, Repairs, error) {
	var none forecast.Series
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	limited, err := opened(r, maxBytes)
	if err != nil {
		return none, Repairs{}, err
	}
	rows, timed, repairs, err := readRows(limited, o)
	switch {
	case limited.N <= 0:
		return none, repairs, fmt.Errorf("it is longer than %d bytes", maxBytes)
	case err != nil:
		return none, repairs, err
	case len(rows) == 0:
		return none, repairs, errors.New("it holds no rows")
	case len(rows) > maxSteps:
		return none, repairs, fmt.Errorf("it has more than %d rows", maxSteps)
	}
	if !timed {
		if o.Step <= 0 {
			return none, repairs, errors.New("its rows have no instants: say how far apart they are with --step")
		}
		s := forecast.Series{Start: time.Unix(0, 0).UTC(), Step: o.Step}
		for _, row := range rows {
			s.Values = append(s.Values, row.load)
		}
		return s, repairs, nil
	}
	return place(rows, o, repairs)
}

// opened undoes gzip where it is found, and ends after most bytes and one.
func opened(r io.Reader, most int64) (*io.LimitedReader, error) {
	buffered := bufio.NewReader(r)
	if magic, _ := buffered.Peek(2); !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return &io.LimitedReader{R: buffered, N: most + 1}, nil
	}
	z, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, err
	}
	return &io.LimitedReader{R: z, N: most + 1}, nil
}

// readRows reads lines; timed tells whether they have instants.
func readRows(r io.Reader, o Options) (rows []row, timed bool, repairs Repairs, err error) {
	c := csv.NewReader(r)
	c.FieldsPerRecord, c.TrimLeadingSpace, c.ReuseRecord = -1, true, true
	var faults Faults
	column, clock := -1, reader{zone: o.Zone}
	first := true
	for {
		cells, err := c.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var bad *csv.ParseError
		if errors.As(err, &bad) {
			faults.add(bad.Line, "is not CSV: %v", bad.Err)
			break
		}
		if err != nil {
			return nil, false, repairs, err
		}
		line, _ := c.FieldPos(0)
		for i := range cells {
			cells[i] = strings.TrimSpace(strings.TrimPrefix(cells[i], "\ufeff"))
		}
		if first {
			first = false
			timed = len(cells) > 1
			heading, err := columnOf(cells, o.Column, timed, &column)
			if err != nil {
				faults.add(line, "%v", err)
				break
			}
			if heading {
				continue
			}
		}
		if len(cells) <= column {
			faults.add(line, "has %s, the loads are in column %d", cellsOf(len(cells)), column+1)
			continue
		}
		x := row{line: line}
		if timed {
			if x.at, err = clock.read(cells[0]); err != nil {
				faults.add(line, "%v", err)
				continue
			}
		}
		if x.load, err = loadOf(cells[column]); err != nil {
			faults.add(line, "%v", err)
			continue
		}
		if math.IsNaN(x.load) {
			repairs.Empty++
		}
		if rows = append(rows, x); len(rows) > maxSteps {
			break
		}
	}
	return rows, timed, repairs, faults.err()
}

func cellsOf(n int) string {
	if n == 1 {
		return "1 cell"
	}
	return fmt.Sprintf("%d cells", n)
}

// columnOf finds the column of the loads, and whether the first line is a heading.
func columnOf(cells []string, name string, timed bool, column *int) (heading bool, err error) {
	*column = 0
	if timed {
		*column = 1
	}
	if name != "" {
		if *column = slices.Index(cells, name); *column < 0 {
			return false, fmt.Errorf("has no column %q, but %s", name, strings.Join(cells, ", "))
		}
		return true, nil
	}
	_, err = loadOf(cells[*column])
	var sign signError
	return err != nil && !errors.As(err, &sign), nil
}

// place puts rows on a grid of equal steps.
func place(rows []row, o Options, repairs Repairs) (forecast.Series, Repairs, error) {
	var none forecast.Series
	for i := 1; i < len(rows); i++ {
		if rows[i].at.Before(rows[i-1].at) {
			repairs.Reordered++
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int { return a.at.Compare(b.at) })
	step := o.Step
	if step <= 0 {
		if step = usualStep(rows); step <= 0 {
			return none, repairs, errors.New("it has no two rows with different instants: say how far apart steps are with --step")
		}
	}
	start := rows[0].at
	if n := rows[len(rows)-1].at.Sub(start) / step; n >= maxSteps {
		return none, repairs, fmt.Errorf("from %s (line %d) to %s (line %d) are %d steps of %v, more than %d: is an instant wrong, or the step?",
			start.UTC().Format(time.RFC3339), rows[0].line, rows[len(rows)-1].at.UTC().Format(time.RFC3339), rows[len(rows)-1].line, n, step, maxSteps)
	}
	var faults Faults
	s := forecast.Series{Start: start.UTC(), Step: step}
	at := []int{} // by step: the row that filled it, or -1
	for i, x := range rows {
		k := int((x.at.Sub(start) + step/2) / step)
		if !start.Add(time.Duration(k) * step).Equal(x.at) {
			repairs.Moved++
		}
		for len(s.Values) <= k {
			s.Values, at = append(s.Values, math.NaN()), append(at, -1)
		}
		if at[k] < 0 {
			s.Values[k], at[k] = x.load, i
			continue
		}
		switch other := rows[at[k]]; {
		case other.load == x.load || math.IsNaN(x.load):
			repairs.Duplicates++
		case math.IsNaN(other.load):
			s.Values[k], at[k] = x.load, i
			repairs.Duplicates++
		case other.at.Equal(x.at):
			faults.add(x.line, "has the instant of line %d with another load, %v and not %v%s", other.line, x.load, other.load, hint(o, rows))
		default:
			faults.add(x.line, "falls into the same step of %v as line %d; give --step where rows are closer than that", step, other.line)
		}
	}
	for _, i := range at {
		if i < 0 {
			repairs.Gaps++
		}
	}
	return s, repairs, faults.err()
}

// hint says what twice the same instant often means.
func hint(o Options, rows []row) string {
	if o.Zone != time.UTC {
		return ""
	}
	return "; where clocks were set back, name their zone with --zone"
}

// usualStep is the most frequent distance of rows, of equals the shortest.
func usualStep(rows []row) (best time.Duration) {
	counts := map[time.Duration]int{}
	for i := 1; i < len(rows); i++ {
		if d := rows[i].at.Sub(rows[i-1].at); d > 0 {
			counts[d]++
		}
	}
	for d, n := range counts {
		if m := counts[best]; n > m || n == m && d < best {
			best = d
		}
	}
	return best
}
