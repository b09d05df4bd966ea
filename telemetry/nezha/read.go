package nezha

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/group"
	"foresail.dev/telemetry/source"
)

// Limits of what is read.
const (
	maxLine    = 1 << 20
	maxWaiting = 500_000 // spans gathered by trace at once
	maxTrace   = 200_000
)

// Reader reads files of the data set, in any order. Finish it after the last.
type Reader struct {
	c      *source.Collector
	tables tables
	traces *group.Groups[foresail.TraceID, foresail.Span]
	// Inferred is how many spans had no kind: all.
	inferred int
}

// NewReader makes one that tells c what it reads.
func NewReader(c *source.Collector) *Reader {
	return &Reader{c: c, tables: newTables(c),
		traces: group.New[foresail.TraceID, foresail.Span](group.Options{Early: true, MaxItems: maxWaiting, MaxEach: maxTrace})}
}

// ErrUnknown is File's when a file's header is none of the data set's.
var ErrUnknown = errors.New("not a file of Nezha's: its first line names columns of neither spans nor metrics")

// File reads one file. Rows that can't be read are noted in the collector's faults.
func (r *Reader) File(in io.Reader) error {
	return source.ReadTable(in, maxLine, r.c.Faults(), ErrUnknown, r.table)
}

// table says how the rows of a table are read.
func (r *Reader) table(h *source.Header) (func([][]byte) error, error) {
	switch {
	case h.Column("spanid") >= 0:
		return r.spans(h)
	case h.Column("podname") >= 0:
		return r.tables.pods(h)
	case h.Column("servicename") >= 0 && h.Column("latencyp99(s)") >= 0:
		return r.tables.users(h)
	case h.Column("source") >= 0 && h.Column("target") >= 0:
		return calls(h, r.c.AddEdge)
	case h.Column("timestamp") >= 0 && h.Len() > 2 && strings.Contains(h.Names()[2], "_"):
		for _, n := range h.Names()[2:] {
			if from, to, ok := strings.Cut(n, "_"); ok {
				r.c.AddEdge(from, to)
			}
		}
		return func([][]byte) error { return nil }, nil
	}
	return nil, ErrUnknown
}

// columns are those that there must be.
func columns(h *source.Header, names ...string) ([]int, error) {
	var missing []string
	out := make([]int, len(names))
	for i, n := range names {
		out[i] = h.Need(&missing, n)
	}
	if missing != nil {
		return nil, fmt.Errorf("the header lacks %s", strings.Join(missing, ", "))
	}
	return out, nil
}

// spans reads a table of spans.
func (r *Reader) spans(h *source.Header) (func([][]byte) error, error) {
	col, err := columns(h, "traceid", "spanid", "parentid", "podname", "operationname", "starttimeunixnano", "endtimeunixnano")
	if err != nil {
		return nil, err
	}
	return func(f [][]byte) error {
		s, err := spanOf(f, col)
		if err != nil {
			return err
		}
		if g := r.traces.Add(0, s.Trace, s); g != nil {
			return r.trace(g)
		}
		return nil
	}, nil
}

func spanOf(f [][]byte, col []int) (s foresail.Span, err error) {
	if err := source.Hex(s.Trace[:], string(f[col[0]])); err != nil {
		return s, fmt.Errorf("TraceID: %w", err)
	}
	if err := source.Hex(s.ID[:], string(f[col[1]])); err != nil {
		return s, fmt.Errorf("SpanID: %w", err)
	}
	if parent := string(f[col[2]]); parent != "root" && parent != "" {
		if err := source.Hex(s.Parent[:], parent); err != nil {
			return s, fmt.Errorf("ParentID: %w", err)
		}
	}
	if s.Replica = string(f[col[3]]); s.Replica == "" {
		return s, errors.New("PodName: it is missing")
	}
	s.Service, s.Operation = serviceOf(s.Replica), string(f[col[4]])
	start, err1 := strconv.ParseInt(string(f[col[5]]), 10, 64)
	end, err2 := strconv.ParseInt(string(f[col[6]]), 10, 64)
	switch {
	case err1 != nil || err2 != nil || start <= 0:
		return s, fmt.Errorf("%.30q to %.30q are not nanoseconds since 1970", f[col[5]], f[col[6]])
	case end < start:
		return s, errors.New("it ends before it starts")
	}
	s.Start, s.End = time.Unix(0, start).UTC(), time.Unix(0, end).UTC()
	return s, nil
}

func (r *Reader) trace(g *group.Group[foresail.TraceID, foresail.Span]) error {
	r.inferred += source.InferKinds(g.Items)
	if err := r.c.AddSpans(g.Items); err != nil {
		return source.Stop(err)
	}
	return nil
}

// Finish tells the collector what is left.
func (r *Reader) Finish() error {
	for _, g := range r.traces.Rest() {
		if err := r.trace(g); err != nil {
			return errors.Unwrap(err)
		}
	}
	r.c.Inferred(r.inferred)
	return r.tables.finish()
}

// Unwrap gives the collector's own error.

var pod = regexp.MustCompile(`^(.+?)(-[0-9a-f]{8,10})?-[0-9a-z]{5}$`)

// serviceOf is the service of a pod of a deployment.
func serviceOf(name string) string {
	if m := pod.FindStringSubmatch(name); m != nil {
		return m[1]
	}
	return name
}
