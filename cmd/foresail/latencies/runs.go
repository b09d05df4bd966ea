package latencies

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"foresail.dev/model/latency"
)

// Limits on what a file of runs may hold.
const (
	maxRuns     = 100_000
	maxRunCols  = 20_000
	maxRunCells = 20_000_000
)

// ReadRuns reads a CSV file of runs: a head of labels, "service:name", and one run a row. Numbers may have a unit of time, and
// are in seconds then. Columns whose label has no colon are left out. Rows in which a number is missing are left out and told.
func ReadRuns(path string) (*latency.Table, []string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	t, notes, err := parseRuns(f)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, notes, nil
}

func parseRuns(in io.Reader) (*latency.Table, []string, error) {
	r := csv.NewReader(in)
	r.ReuseRecord = true
	head, err := r.Read()
	if err == io.EOF {
		return nil, nil, errors.New("the file is empty: it needs a head of labels and a run a row")
	}
	if err != nil {
		return nil, nil, err
	}
	var names []string
	var at []int
	for i, name := range head {
		if name = strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")); strings.Contains(name, ":") {
			names, at = append(names, name), append(at, i)
		}
	}
	if len(names) == 0 || len(names) > maxRunCols {
		return nil, nil, fmt.Errorf("%d columns have a label like frontend:0.90: from 1 to %d can be", len(names), maxRunCols)
	}
	cols := make([][]float64, len(names))
	var faults []error
	missing := 0
	row := make([]float64, len(names))
	for {
		record, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		line, _ := r.FieldPos(0)
		whole := true
		for k, i := range at {
			cell := strings.TrimSpace(record[i])
			if cell == "" {
				whole = false
				continue
			}
			if row[k], err = number(cell); err != nil && len(faults) < 10 {
				faults = append(faults, fmt.Errorf("line %d, column %s: %w", line, names[k], err))
			}
		}
		if !whole {
			missing++
			continue
		}
		if len(cols[0]) >= maxRuns || len(cols[0])*len(names) > maxRunCells {
			return nil, nil, fmt.Errorf("line %d: more runs than can be read: %d, or %d numbers", line, maxRuns, maxRunCells)
		}
		for k, v := range row {
			cols[k] = append(cols[k], v)
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, nil, err
	}
	var notes []string
	if missing > 0 {
		notes = append(notes, fmt.Sprintf("%d runs lack a number and are left out", missing))
	}
	t, err := latency.NewTable(names, cols)
	return t, notes, err
}

// number reads a plain number, or a duration as seconds.
func number(cell string) (float64, error) {
	v, err := strconv.ParseFloat(cell, 64)
	if err != nil {
		d, derr := time.ParseDuration(cell)
		if derr != nil {
			return 0, fmt.Errorf("%q is neither a number nor a duration", cell)
		}
		v = d.Seconds()
	}
	if math.IsNaN(v) || math.Abs(v) > 1e100 {
		return 0, fmt.Errorf("%q is no number that can be used", cell)
	}
	return v, nil
}
