package csvfile

import (
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

// Bounds on a file of many series.
const (
	maxManyBytes = 4 << 30
	maxCells     = 200_000_000
)

// Named is one of a file's series, or what is wrong with it.
type Named struct {
	Name    string
	Series  forecast.Series
	Repairs Repairs
	Err     error // a *Faults where lines are at fault
}

// ReadMany reads a file with many series, in the order of their names. A first line names the columns. Where one of them
// is called service, each row is an instant, a service and a load; otherwise each column but the first is the load of the
// service that it is named after. What is wrong with one series is told with it; an error is one of the file, a *Faults
// where lines are at fault. Options.Column names the loads in rows with a service, and the one column to read in others.
func ReadMany(r io.Reader, o Options) ([]Named, error) {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	limited, err := opened(r, maxManyBytes)
	if err != nil {
		return nil, err
	}
	m, err := readMany(limited, o)
	switch {
	case limited.N <= 0:
		return nil, fmt.Errorf("it is longer than %d bytes: give a folder with a file for each service", int64(maxManyBytes))
	case err != nil:
		return nil, err
	case len(m.names) == 0 || m.cells == 0:
		return nil, errors.New("it holds no rows")
	}
	out := make([]Named, len(m.names))
	for i, name := range m.names {
		out[i] = m.series(i, name, o)
	}
	slices.SortFunc(out, func(a, b Named) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// many is what a file of many series holds.
type many struct {
	names  []string
	rows   [][]row // of each name: all of it, or nil where loads lie beside shared instants
	at     []time.Time
	lines  []int
	loads  [][]float64 // of each name, beside at
	faults []Faults    // of each name
	cells  int
}

// series is one of them.
func (m *many) series(i int, name string, o Options) (out Named) {
	out.Name = name
	if out.Err = m.faults[i].err(); out.Err != nil {
		return out
	}
	rows := m.rows[i]
	if rows == nil {
		rows = make([]row, len(m.at))
		for k := range rows {
			rows[k] = row{m.lines[k], m.at[k], m.loads[i][k]}
		}
		m.loads[i] = nil // it is needed no more
	}
	for _, x := range rows {
		if math.IsNaN(x.load) {
			out.Repairs.Empty++
		}
	}
	out.Series, out.Repairs, out.Err = place(rows, o, out.Repairs)
	return out
}

func readMany(r io.Reader, o Options) (*many, error) {
	c := csv.NewReader(r)
	c.FieldsPerRecord, c.TrimLeadingSpace, c.ReuseRecord = -1, true, true
	m := &many{}
	var faults Faults
	clock := reader{zone: o.Zone}
	var columns []int // of the loads
	service := -1     // column of the services' names; -1: there is none
	index := map[string]int{}
	for first, width := true, 0; ; first = false {
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
			return nil, err
		}
		line, _ := c.FieldPos(0)
		for i := range cells {
			cells[i] = strings.TrimSpace(strings.TrimPrefix(cells[i], "\ufeff"))
		}
		if first {
			if columns, service, err = heading(cells, o.Column); err != nil {
				faults.add(line, "%v", err)
				break
			}
			if width = len(cells); service < 0 {
				for _, k := range columns {
					m.add(cells[k])
				}
			}
			continue
		}
		if len(cells) != width {
			faults.add(line, "has %s, the heading has %d", cellsOf(len(cells)), width)
			continue
		}
		at, err := clock.read(cells[0])
		if err != nil {
			faults.add(line, "%v", err)
			continue
		}
		if m.cells += len(columns); m.cells > maxCells {
			return nil, fmt.Errorf("it has more than %d loads: give a folder with a file for each service", maxCells)
		}
		if service < 0 {
			m.at, m.lines = append(m.at, at), append(m.lines, line)
			for i, k := range columns {
				m.loads[i] = append(m.loads[i], m.load(i, line, cells[k]))
			}
			continue
		}
		i, known := index[cells[service]]
		if !known {
			if cells[service] == "" {
				faults.add(line, "names no service")
				continue
			}
			name := strings.Clone(cells[service])
			i = m.add(name)
			index[name] = i
		}
		m.rows[i] = append(m.rows[i], row{line, at, m.load(i, line, cells[columns[0]])})
	}
	return m, faults.err()
}

func (m *many) add(name string) int {
	m.names, m.rows, m.loads, m.faults = append(m.names, strings.Clone(name)), append(m.rows, nil), append(m.loads, nil), append(m.faults, Faults{})
	return len(m.names) - 1
}

// load is a cell's; what is wrong with it is noted with the series.
func (m *many) load(i, line int, cell string) float64 {
	v, err := loadOf(cell)
	if err != nil {
		m.faults[i].add(line, "%v", err)
		return math.NaN()
	}
	return v
}

// heading finds the columns of loads, and that of the services' names; -1 where there is none.
func heading(cells []string, column string) (loads []int, service int, err error) {
	if len(cells) < 2 {
		return nil, -1, errors.New("has one cell: the first line names the columns, instants first, then a column for each service")
	}
	if _, err := loadOf(cells[1]); err == nil && cells[1] != "" {
		return nil, -1, fmt.Errorf("has %.40q where a service's name should stand: the first line names the columns", cells[1])
	}
	service = slices.IndexFunc(cells, func(s string) bool { return strings.EqualFold(s, "service") })
	seen := map[string]bool{}
	for i, name := range cells {
		switch {
		case i == 0 || i == service || column != "" && name != column:
			continue
		case name == "":
			return nil, -1, fmt.Errorf("names no service in column %d", i+1)
		case seen[name]:
			return nil, -1, fmt.Errorf("has two columns %.40q", name)
		}
		seen[name] = true
		loads = append(loads, i)
	}
	switch {
	case len(loads) == 0 && column != "":
		return nil, -1, fmt.Errorf("has no column %q", column)
	case len(loads) == 0:
		return nil, -1, errors.New("names no column of loads")
	case service > 0 && len(loads) > 1:
		return nil, -1, fmt.Errorf("has a column for services and %d others: say with --column which holds the loads", len(loads))
	case service == 0:
		return nil, -1, errors.New("has services first: the first column holds instants")
	}
	return loads, service, nil
}
