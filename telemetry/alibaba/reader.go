package alibaba

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/group"
	"foresail.dev/telemetry/source"
)

// Limits of what is read and held.
const (
	maxLine    = 1 << 20
	maxWaiting = 500_000 // rows of call graphs gathered by trace at once
	maxTrace   = 100_000 // rows of one trace
	maxNames   = 1 << 20 // names that are held once for all rows
)

// Options say what the data does not. Fields that are zero leave the signals that need them absent.
type Options struct {
	Epoch           time.Time // of timestamp 0; zero means the first of January 2021
	ContainerCores  float64   // that a container's CPU utilisation is a share of
	ContainerMemory float64   // bytes, likewise
	NodeCores       float64   // that a node's is
	NodeMemory      float64   // bytes
	CallRate        float64   // calls per second that a rate of 1 in v2022 stands for
}

// DefaultEpoch is when the data starts unless Options say otherwise: the traces give no date.
var DefaultEpoch = time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)

// Counts say what was found amiss in call graphs, and put right or left out.
type Counts struct {
	Rows      int // of call graphs
	Repeated  int // calls beyond the first under one rpcid
	Negative  int // calls of which both sides' rt were negative
	OneSided  int // calls that only one side told of
	Recovered int // names that were missing and were found elsewhere
	Unknown   int // calls left out: their callee stayed unknown
}

// Reader reads files of the data set, in any order but best hour by hour. Finish it after the last.
type Reader struct {
	c      *source.Collector
	o      Options
	names  map[string]string
	traces *group.Groups[foresail.TraceID, call]
	tables *tables
	counts Counts
	pairs  pairing
}

// NewReader makes one that tells c what it reads.
func NewReader(c *source.Collector, o Options) *Reader {
	if o.Epoch.IsZero() {
		o.Epoch = DefaultEpoch
	}
	return &Reader{c: c, o: o, names: map[string]string{}, tables: newTables(c, o),
		traces: group.New[foresail.TraceID, call](group.Options{Early: true, MaxItems: maxWaiting, MaxEach: maxTrace})}
}

// Counts are what was found so far.
func (r *Reader) Counts() Counts { return r.counts }

// ErrUnknown is File's when a file's header is none of the data set's.
var ErrUnknown = errors.New("not a table of Alibaba's microservice traces: its first line does not name their columns")

// File reads one file. Rows that can't be read are noted in the collector's faults.
func (r *Reader) File(in io.Reader) error {
	return source.ReadTable(in, maxLine, r.c.Faults(), ErrUnknown, r.table)
}

// table says how the rows of a table are read.
func (r *Reader) table(h *source.Header) (func([][]byte) error, error) {
	cpu := h.Column("cpu_utilization", "instance_cpu_usage", "node_cpu_usage")
	switch {
	case h.Column("rpcid", "rpc_id") >= 0:
		return r.callGraph(h)
	case h.Column("msinstanceid") >= 0 && cpu >= 0:
		return r.tables.resources(h)
	case h.Column("metrics", "metric") >= 0:
		return r.tables.long(h)
	case h.Column("providerrpc_mcr") >= 0:
		return r.tables.wide(h)
	case h.Column("nodeid") >= 0 && cpu >= 0:
		return r.tables.nodes(h)
	}
	return nil, ErrUnknown
}

// Finish tells the collector what is left, and what was found amiss.
func (r *Reader) Finish() error {
	for _, g := range r.traces.Rest() {
		if err := r.trace(g); err != nil {
			return errors.Unwrap(err)
		}
	}
	for _, n := range []struct {
		n    int
		text string
	}{
		{r.counts.Repeated, "calls share their rpcid with another"},
		{r.counts.Negative, "calls have a negative rt on both sides: the longer one was taken for the caller's"},
		{r.counts.OneSided, "calls are told by one side: the other's time is taken to be the same"},
		{r.counts.Recovered, "missing names were found in other rows"},
		{r.counts.Unknown, "calls were left out: no row names their callee"},
		{int(r.traces.Stats().Crowded), "rows were left out: their trace had more than may be"},
	} {
		if n.n > 0 {
			r.c.Note("%d %s", n.n, n.text)
		}
	}
	return r.tables.finish()
}

// need finds columns, each by the first of its names that there is.
func need(h *source.Header, names ...[]string) ([]int, error) {
	var missing []string
	out := make([]int, len(names))
	for i, n := range names {
		out[i] = h.Need(&missing, n...)
	}
	if missing != nil {
		return nil, fmt.Errorf("the header lacks %s", strings.Join(missing, ", "))
	}
	return out, nil
}

// name holds each name once; what says that a name is missing gives the empty one.
func (r *Reader) name(b []byte) string {
	if s, ok := r.names[string(b)]; ok {
		return s
	}
	s := string(b)
	switch strings.ToUpper(s) {
	case "", "(?)", "NAN", "NULL", "NONE", "UNKNOWN", "UNAVAILABLE":
		s = ""
	}
	if len(r.names) < maxNames {
		r.names[string(b)] = s
	}
	return s
}

// latest bounds timestamps: ten years, in milliseconds.
const latest = 10 * 365 * 86400 * 1000

// timestamp reads milliseconds since the start.
func timestamp(b []byte) (int64, error) {
	v, ok := whole(b)
	if !ok || v < 0 || v > latest {
		return 0, fmt.Errorf("timestamp %.30q is not in milliseconds since the start", b)
	}
	return v, nil
}

// whole reads a whole number, which may be written with zeros behind a point.
func whole(b []byte) (int64, bool) {
	digits, negative := b, false
	if len(digits) > 0 && digits[0] == '-' {
		digits, negative = digits[1:], true
	}
	n, v := 0, int64(0)
	for n < len(digits) && n < 18 && digits[n] >= '0' && digits[n] <= '9' {
		v = 10*v + int64(digits[n]-'0')
		n++
	}
	if rest := digits[n:]; n == 0 || len(rest) > 0 && (rest[0] != '.' || len(bytes.Trim(rest[1:], "0")) > 0) {
		f, err := strconv.ParseFloat(string(b), 64) // 1e3, 2.6, or nothing of the sort
		if err != nil || !(f > -1e18 && f < 1e18) {
			return 0, false
		}
		return int64(f), true
	}
	if negative {
		v = -v
	}
	return v, true
}
