// Package petshop reads the data set of root causes in PetShop (amazon-science/petshop-root-cause-analysis, data under
// CC-BY-4.0): metrics of a web shop's components each five minutes, and who calls whom.
//
// A file of metrics has a header of four lines, which name for each column the component, the metric, the statistic and
// nothing, and then rows by time:
//
//	microservice,PetSite,PetSite,…
//	metric,latency,requests,…
//	statistic,p50,Sum,…
//	unix_timestamp,,,
//	1692608400.0,0.0535,488.0,…
//
// Read are latency (seconds: Average, p50, p90, p95, p99), requests (Sum) and availability (Average, in percent, of which
// errors follow). A quantile between those given reads as the next one given. An empty field was not observed.
//
// graph.csv is a matrix: a row's component calls the columns' in which it has a number other than 0. How often is not told.
// The targets beside the metrics (target.json) are not read: they are the truth that who diagnoses must find out.
package petshop

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/source"
)

// Interval is what a row covers.
const Interval = 5 * time.Minute

// Limits of what is read.
const (
	maxLine = 1 << 20
	maxRows = 100_000 // held at once, to be told in their order
)

// Reader reads files of the data set, in any order. Finish it after the last.
type Reader struct {
	c    *source.Collector
	app  *foresail.App
	ids  map[string]foresail.ServiceID
	rows map[int64]*foresail.Snapshot // by start, in seconds since 1970
}

// NewReader makes one that tells c what it reads.
func NewReader(c *source.Collector) *Reader {
	return &Reader{c: c, app: &foresail.App{}, ids: map[string]foresail.ServiceID{}, rows: map[int64]*foresail.Snapshot{}}
}

// ErrUnknown is File's when a file is none of the data set's.
var ErrUnknown = errors.New("not a file of PetShop's: its first line is neither a list of microservices nor a graph's")

// File reads one file, which is of metrics or a graph. Rows that can't be read are noted in the collector's faults.
func (r *Reader) File(in io.Reader) error {
	text, err := source.Open(in)
	if err != nil {
		return err
	}
	defer text.Close()
	lines := source.NewLines(text, maxLine, r.c.Faults())
	if !lines.Next() {
		return errors.Join(lines.Err(), ErrUnknown)
	}
	first := bytes.Clone(lines.Line())
	switch {
	case bytes.HasPrefix(first, []byte("microservice,")):
		return r.metrics(lines, first)
	case bytes.HasPrefix(first, []byte(",")):
		return graph(r.c.Faults(), lines, first, r.c.AddEdge)
	}
	return ErrUnknown
}

// each hands the fields of each further line to row, and notes in faults what can't be read.
func each(faults *source.Faults, lines *source.Lines, want int, row func([][]byte) error) error {
	var fields [][]byte
	var err error
	for lines.Next() {
		if len(lines.Line()) == 0 {
			continue
		}
		if fields, err = source.Fields(fields, lines.Line()); err == nil && len(fields) != want {
			err = fmt.Errorf("%d fields, where the header has %d", len(fields), want)
		}
		if err == nil {
			err = row(fields)
		}
		if err != nil {
			faults.Add(lines.Number(), err)
		}
	}
	return lines.Err()
}

// graph tells add each call of a matrix.
func graph(faults *source.Faults, lines *source.Lines, first []byte, add func(from, to string)) error {
	head, err := source.Fields(nil, first)
	if err != nil {
		return ErrUnknown
	}
	return each(faults, lines, len(head), func(f [][]byte) error {
		for i, b := range f[1:] {
			v, ok, err := source.Float(b)
			if err != nil {
				return err
			}
			if ok && v != 0 {
				add(string(f[0]), string(head[i+1]))
			}
		}
		return nil
	})
}

// statistic is what a column holds.
type statistic int

const (
	ignored statistic = iota
	average
	p50
	p90
	p95
	p99
	requests
	available
	statistics
)

var names = map[string]statistic{"latency Average": average, "latency p50": p50, "latency p90": p90, "latency p95": p95, "latency p99": p99,
	"requests Sum": requests, "availability Average": available}

// column is one of a file of metrics.
type column struct {
	service foresail.ServiceID
	what    statistic
}

func (r *Reader) metrics(lines *source.Lines, first []byte) error {
	columns, err := r.columns(lines, first)
	if err != nil {
		return err
	}
	values := map[foresail.ServiceID]*[statistics]*float64{}
	return each(r.c.Faults(), lines, len(columns), func(f [][]byte) error {
		at, ok, err := source.Float(f[0])
		if err != nil || !ok || at <= 0 || at > 7e9 {
			return fmt.Errorf("unix_timestamp %.30q is not a time in seconds", f[0])
		}
		clear(values)
		for i, c := range columns {
			if c.what == ignored {
				continue
			}
			v, ok, err := source.Float(f[i])
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			if v < 0 {
				return fmt.Errorf("%g is below zero", v)
			}
			if values[c.service] == nil {
				values[c.service] = &[statistics]*float64{}
			}
			values[c.service][c.what] = &v
		}
		return r.row(int64(at), values)
	})
}

// header reads the lines that say what the columns hold: microservice, metric and statistic.
func header(lines *source.Lines, first []byte) (rows [3][][]byte, err error) {
	head := [][]byte{first}
	for _, name := range []string{"metric", "statistic", "unix_timestamp"} {
		if !lines.Next() || !bytes.HasPrefix(lines.Line(), []byte(name+",")) {
			return rows, errors.Join(lines.Err(), fmt.Errorf("line %d does not start with %s: %w", len(head)+1, name, ErrUnknown))
		}
		head = append(head, bytes.Clone(lines.Line()))
	}
	for i := range rows {
		if rows[i], err = source.Fields(nil, head[i]); err != nil {
			return rows, err
		}
		if len(rows[i]) != len(rows[0]) {
			return rows, fmt.Errorf("line %d has %d fields, and the first %d", i+1, len(rows[i]), len(rows[0]))
		}
	}
	return rows, nil
}

// columns reads the header.
func (r *Reader) columns(lines *source.Lines, first []byte) ([]column, error) {
	rows, err := header(lines, first)
	if err != nil {
		return nil, err
	}
	out := make([]column, len(rows[0]))
	for i := 1; i < len(out); i++ {
		name := string(rows[0][i])
		if name == "" {
			return nil, fmt.Errorf("column %d names no microservice", i+1)
		}
		id, ok := r.ids[name]
		if !ok {
			id = foresail.ServiceID(len(r.app.Services))
			r.ids[name] = id
			r.app.Services = append(r.app.Services, foresail.Service{Name: name})
		}
		out[i] = column{id, names[strings.Join([]string{string(rows[1][i]), string(rows[2][i])}, " ")]}
	}
	return out, nil
}

// row makes the snapshot of one row.
func (r *Reader) row(at int64, values map[foresail.ServiceID]*[statistics]*float64) error {
	if r.rows[at] != nil {
		return fmt.Errorf("the time %d was told before", at)
	}
	if len(r.rows) >= maxRows {
		return errors.New("no room for more rows at once; import fewer files at a time")
	}
	start := time.Unix(at, 0).UTC()
	s := &foresail.Snapshot{Start: start, End: start.Add(Interval), Services: make([]foresail.ServiceStats, len(r.app.Services))}
	for id, v := range values {
		s.Services[id].Usage = usage(v)
	}
	r.rows[at] = s
	return nil
}

func usage(v *[statistics]*float64) (u foresail.Usage) {
	if v[requests] == nil {
		return u // without a number of requests, the others are of nothing
	}
	u.Has |= foresail.SignalArrivals | foresail.SignalCompletions
	u.Arrivals, u.Completions = *v[requests], *v[requests]
	if v[available] != nil {
		u.Has |= foresail.SignalErrors
		u.Errors = u.Completions * min(max(1-*v[available]/100, 0), 1)
	}
	var shares, seconds []float64
	for i, q := range []float64{0.5, 0.9, 0.95, 0.99} {
		if p := v[p50+statistic(i)]; p != nil {
			shares, seconds = append(shares, q), append(seconds, *p)
		}
	}
	mean := 0.0
	if v[average] != nil {
		mean = *v[average]
	}
	if u.Latency = source.Quantiles(u.Completions-u.Errors, mean, shares, seconds); u.Latency != nil {
		u.Has |= foresail.SignalLatency
	}
	return u
}

// Finish tells the collector the rows in order of time.
func (r *Reader) Finish() error {
	times := make([]int64, 0, len(r.rows))
	for at := range r.rows {
		times = append(times, at)
	}
	slices.Sort(times)
	for _, at := range times {
		s := r.rows[at]
		for len(s.Services) < len(r.app.Services) {
			s.Services = append(s.Services, foresail.ServiceStats{})
		}
		if err := r.c.AddSnapshot(r.app, s); err != nil {
			return err
		}
	}
	return nil
}
