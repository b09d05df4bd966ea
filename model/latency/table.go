package latency

import (
	"fmt"
	"slices"
	"strings"
)

// Table is observations, one a row, in columns that have labels.
type Table struct {
	names []string
	at    map[string]int
	cols  [][]float64
	rows  int
}

// NewTable makes a table of columns, which it keeps. Errors name columns that are there twice or have another length.
func NewTable(names []string, columns [][]float64) (*Table, error) {
	if len(names) != len(columns) {
		return nil, fmt.Errorf("%d names for %d columns", len(names), len(columns))
	}
	t := &Table{names: slices.Clone(names), at: make(map[string]int, len(names)), cols: slices.Clone(columns)}
	for i, name := range names {
		if _, twice := t.at[name]; twice {
			return nil, fmt.Errorf("column %q is there twice", name)
		}
		t.at[name] = i
		if i == 0 {
			t.rows = len(columns[0])
		}
		if len(columns[i]) != t.rows {
			return nil, fmt.Errorf("column %q has %d rows and the first has %d", name, len(columns[i]), t.rows)
		}
	}
	return t, nil
}

// Rows is how many rows there are.
func (t *Table) Rows() int { return t.rows }

// Names are the labels, in order.
func (t *Table) Names() []string { return slices.Clone(t.names) }

// Column is a column, which must not be changed.
func (t *Table) Column(name string) ([]float64, bool) {
	i, ok := t.at[name]
	if !ok {
		return nil, false
	}
	return t.cols[i], true
}

// Has is whether there is such a column.
func (t *Table) Has(name string) bool { _, ok := t.at[name]; return ok }

// With is t with a column added, or in place of the one of that name. T stays as it is.
func (t *Table) With(name string, column []float64) (*Table, error) {
	if i, ok := t.at[name]; ok && len(column) == t.rows {
		cols := slices.Clone(t.cols)
		cols[i] = column
		return &Table{t.names, t.at, cols, t.rows}, nil
	}
	return NewTable(append(slices.Clone(t.names), name), append(slices.Clone(t.cols), column))
}

// Pick is the rows with the given numbers.
func (t *Table) Pick(rows []int) *Table {
	out := &Table{names: t.names, at: t.at, cols: make([][]float64, len(t.cols)), rows: len(rows)}
	for c, col := range t.cols {
		out.cols[c] = make([]float64, len(rows))
		for k, i := range rows {
			out.cols[c][k] = col[i]
		}
	}
	return out
}

// A MissingError names what an assignment needs and is not there.
type MissingError struct {
	Who    string // the assignment's output
	Inputs []string
	Why    string
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("the model of %s needs %s: %s", e.Who, strings.Join(e.Inputs, ", "), e.Why)
}

// flat writes the columns with the given labels row by row.
func (t *Table) flat(who string, names []string) ([]float64, error) {
	missing := &MissingError{Who: who, Why: "the data have no such column: observe it, or leave the input out"}
	cols := make([][]float64, len(names))
	for i, name := range names {
		var ok bool
		if cols[i], ok = t.Column(name); !ok {
			missing.Inputs = append(missing.Inputs, name)
		}
	}
	if len(missing.Inputs) > 0 {
		return nil, missing
	}
	out := make([]float64, 0, t.rows*len(names))
	for i := range t.rows {
		for _, c := range cols {
			out = append(out, c[i])
		}
	}
	return out, nil
}

// Label is the label of a service's metric or knob.
func Label(service, name string) string { return service + ":" + name }
