// Package csvfile reads shares of call graphs from CSV.
package csvfile

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"foresail.dev/model/callgraph/shares"
)

// Bounds on a file, and on the errors that are told.
const (
	mostErrors  = 20
	mostColumns = 1000
	mostBytes   = 256 << 20 // after decompression
)

// Read reads a file with a head and a row for each window: the column segment names the series, step its window, counted from 0,
// and requests, which may be left out, how many requests the window counted; every other column is a form's share, and its head the
// form's name. It may be compressed with gzip. Rows of a series lie together and in the order of steps. Shares that nearly sum to one are scaled, and noted; others
// are refused, as all that is wrong, each with its line.
func Read(r io.Reader) (all []shares.Series, notes []string, err error) {
	bytes := &io.LimitedReader{N: mostBytes}
	buffered := bufio.NewReader(r)
	bytes.R = buffered
	if magic, err := buffered.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		if bytes.R, err = gzip.NewReader(buffered); err != nil {
			return nil, nil, err
		}
	}
	in := csv.NewReader(bytes)
	in.FieldsPerRecord = -1
	in.ReuseRecord = true
	head, err := in.Read()
	if err == io.EOF {
		return nil, nil, errors.New("it is empty: the first line names the columns, segment, step and a share for each call graph")
	}
	if err != nil {
		return nil, nil, err
	}
	c, err := columnsOf(head)
	if err != nil {
		return nil, nil, err
	}
	var errs []error
	wrong := func(line int, format string, args ...any) {
		errs = append(errs, fmt.Errorf("line %d: %w", line, fmt.Errorf(format, args...)))
	}
	seen := map[string]bool{}
	scaled, firstScaled := 0, ""
	for len(errs) < mostErrors {
		rec, err := in.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			errs = append(errs, err)
			break
		}
		line, _ := in.FieldPos(0)
		if len(rec) != c.n {
			wrong(line, "has %d cells, the head %d", len(rec), c.n)
			continue
		}
		name := strings.Clone(rec[c.segment])
		if len(all) == 0 || all[len(all)-1].Name != name {
			if seen[name] {
				wrong(line, "segment %q goes on after another began: keep its rows together", name)
				continue
			}
			seen[name] = true
			s := shares.Series{Name: name}
			if c.requests >= 0 {
				s.Requests = []float64{}
			}
			all = append(all, s)
		}
		s := &all[len(all)-1]
		step, perr := strconv.Atoi(rec[c.step])
		if perr != nil || step != len(s.Rows) {
			wrong(line, "step %q of segment %q: step %d comes next", rec[c.step], name, len(s.Rows))
		}
		row, fault := c.row(rec)
		if fault == nil {
			var note string
			if row, note, fault = shares.Normalise(row); note != "" {
				if scaled++; scaled == 1 {
					firstScaled = fmt.Sprintf("line %d: %s", line, note)
				}
			}
		}
		if fault != nil {
			wrong(line, "%w", fault)
			row = make([]float64, len(c.shares)) // keeps the count of steps
		}
		s.Rows = append(s.Rows, row)
		if c.requests >= 0 {
			n, perr := strconv.ParseFloat(rec[c.requests], 64)
			if perr != nil || !(n >= 0) || math.IsInf(n, 0) {
				wrong(line, "requests %q: it must be a number from 0 on", rec[c.requests])
			}
			s.Requests = append(s.Requests, n)
		}
	}
	if bytes.N == 0 {
		errs = append(errs, fmt.Errorf("it has %d MiB or more: divide it", mostBytes>>20))
	}
	if len(errs) == 0 && len(all) == 0 {
		errs = append(errs, errors.New("it has a head and no rows"))
	}
	if len(errs) > 0 {
		return nil, nil, errors.Join(errs...)
	}
	if scaled > 0 {
		notes = append(notes, fmt.Sprintf("%d rows were scaled, the first: %s", scaled, firstScaled))
	}
	return all, notes, nil
}

type columns struct {
	n, segment, step, requests int
	shares                     []int
	names                      []string
}

func columnsOf(head []string) (c columns, err error) {
	c = columns{n: len(head), segment: -1, step: -1, requests: -1}
	if len(head) > mostColumns {
		return c, fmt.Errorf("it has %d columns; at most %d can be", len(head), mostColumns)
	}
	seen := map[string]bool{}
	for i, h := range head {
		if seen[h] {
			return c, fmt.Errorf("line 1: there are two columns %q", h)
		}
		seen[strings.Clone(h)] = true
		switch h {
		case "segment":
			c.segment = i
		case "step":
			c.step = i
		case "requests":
			c.requests = i
		default:
			c.shares, c.names = append(c.shares, i), append(c.names, strings.Clone(h))
		}
	}
	if c.segment < 0 || c.step < 0 || len(c.shares) == 0 {
		return c, errors.New("line 1: needs the columns segment and step, and one for each call graph")
	}
	return c, nil
}

func (c columns) row(rec []string) ([]float64, error) {
	row := make([]float64, len(c.shares))
	for k, i := range c.shares {
		v, err := strconv.ParseFloat(rec[i], 64)
		if err != nil {
			return nil, fmt.Errorf("%s is %q: it must be a number from 0 to 1", c.names[k], rec[i])
		}
		row[k] = v
	}
	return row, nil
}
