package petshop

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"

	"foresail.dev/telemetry/source"
)

// Column says what a column of a file of metrics holds, as its header has it: latency in seconds, requests, availability in
// percent.
type Column struct{ Component, Metric, Statistic string }

// Values are a file of metrics as it stands: without the buckets of a sketch, for comparisons that need the very numbers.
type Values struct {
	Times  []int64              // starts of rows, in seconds since 1970, as the file has them
	Series map[Column][]float64 // of each as many as Times; NaN where the field is empty
}

// ReadValues reads a file of metrics. Rows that can't be read are noted in faults and left out.
func ReadValues(in io.Reader, faults *source.Faults) (*Values, error) {
	text, err := source.Open(in)
	if err != nil {
		return nil, err
	}
	defer text.Close()
	lines := source.NewLines(text, maxLine, faults)
	if !lines.Next() || !bytes.HasPrefix(lines.Line(), []byte("microservice,")) {
		return nil, fmt.Errorf("not a file of metrics: %w", ErrUnknown)
	}
	head, err := header(lines, bytes.Clone(lines.Line()))
	if err != nil {
		return nil, err
	}
	columns := make([]Column, len(head[0]))
	v := &Values{Series: map[Column][]float64{}}
	for i := 1; i < len(columns); i++ {
		if len(head[0][i]) == 0 {
			return nil, fmt.Errorf("column %d names no microservice", i+1)
		}
		c := Column{string(head[0][i]), string(head[1][i]), string(head[2][i])}
		if slices.Contains(columns[1:i], c) {
			return nil, fmt.Errorf("column %d is %s's %s %s, as another is", i+1, c.Component, c.Metric, c.Statistic)
		}
		columns[i] = c
	}
	told := map[int64]bool{}
	err = each(faults, lines, len(columns), func(f [][]byte) error {
		at, ok, err := source.Float(f[0])
		if err != nil || !ok || at <= 0 || at > 7e9 {
			return fmt.Errorf("unix_timestamp %.30q is not a time in seconds", f[0])
		}
		if told[int64(at)] {
			return fmt.Errorf("the time %d was told before", int64(at))
		}
		if len(v.Times) >= maxRows {
			return fmt.Errorf("more than %d rows", maxRows)
		}
		row := make([]float64, len(columns))
		for i := 1; i < len(columns); i++ {
			x, ok, err := source.Float(f[i])
			if err != nil {
				return err
			}
			if row[i] = x; !ok {
				row[i] = math.NaN()
			}
		}
		told[int64(at)] = true
		v.Times = append(v.Times, int64(at))
		for i, c := range columns[1:] {
			v.Series[c] = append(v.Series[c], row[i+1])
		}
		return nil
	})
	return v, err
}

// ReadGraph reads who calls whom, in the order of the file.
func ReadGraph(in io.Reader, faults *source.Faults) (edges [][2]string, err error) {
	text, err := source.Open(in)
	if err != nil {
		return nil, err
	}
	defer text.Close()
	lines := source.NewLines(text, maxLine, faults)
	if !lines.Next() || !bytes.HasPrefix(lines.Line(), []byte(",")) {
		return nil, fmt.Errorf("not a graph: %w", ErrUnknown)
	}
	err = graph(faults, lines, bytes.Clone(lines.Line()), func(from, to string) { edges = append(edges, [2]string{from, to}) })
	return edges, err
}
