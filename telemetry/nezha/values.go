package nezha

import (
	"fmt"
	"io"
	"math"
	"strings"

	"foresail.dev/telemetry/source"
)

// Column names one series: a metric of a service, as the header of a pod's or of the users' table calls it in small letters, or a
// call's, which has a callee as well.
type Column struct{ Service, Callee, Metric string }

// Metrics of calls: their median latency, in seconds, as the caller and as the callee saw it.
const (
	CallClient = "source_50"
	CallServer = "destination_50"
)

// Values are the tables of metrics as they stand, for comparisons that need the very numbers. The pods of a service are one:
// rates are added up, and of latencies and percentages the highest counts.
type Values struct {
	Minutes map[int64]bool // in minutes since 1970: ends of those that a row tells of
	Series  map[Column]map[int64]float64
	Calls   map[[2]string]bool // who calls whom
}

// NewValues are none.
func NewValues() *Values {
	return &Values{Minutes: map[int64]bool{}, Series: map[Column]map[int64]float64{}, Calls: map[[2]string]bool{}}
}

// File adds the table of a file; that of calls' latencies is the caller's or the callee's as its name says. Tables of spans are
// refused. Rows that can't be read are noted in faults and left out.
func (v *Values) File(name string, in io.Reader, faults *source.Faults) error {
	return source.ReadTable(in, maxLine, faults, ErrUnknown, func(h *source.Header) (func([][]byte) error, error) {
		switch {
		case h.Column("spanid") >= 0:
			return nil, fmt.Errorf("spans, with ParentID and PodName, are no metrics: %w", ErrUnknown)
		case h.Column("podname") >= 0:
			return v.rows(h, "podname", serviceOf)
		case h.Column("servicename") >= 0:
			return v.rows(h, "servicename", strings.ToLower)
		case h.Column("source") >= 0 && h.Column("target") >= 0:
			return calls(h, func(from, to string) { v.Calls[[2]string{from, to}] = true })
		case h.Column("timestamp") >= 0 && h.Len() > 2 && strings.Contains(h.Names()[2], "_"):
			metric := ""
			for _, m := range []string{CallClient, CallServer} {
				if strings.Contains(strings.ToLower(name), m) {
					metric = m
				}
			}
			if metric == "" {
				return nil, fmt.Errorf("whether callers or callees saw these latencies, its name does not say: it should hold %s or %s", CallClient, CallServer)
			}
			return v.latencies(h, metric)
		}
		return nil, ErrUnknown
	})
}

// rows reads a table whose rows tell of a pod or a service each.
func (v *Values) rows(h *source.Header, who string, service func(string) string) (func([][]byte) error, error) {
	col, err := columns(h, "time", who)
	if err != nil {
		return nil, err
	}
	names := h.Names()
	return func(f [][]byte) error {
		when, err := instant(f[col[0]])
		if err != nil {
			return err
		}
		at := when.Unix() / 60
		of := service(string(f[col[1]]))
		if of == "" {
			return fmt.Errorf("%s: it is missing", who)
		}
		for i, name := range names {
			if i == col[0] || i == col[1] || name == "timestamp" {
				continue
			}
			x, ok, err := source.Float(f[i])
			if err != nil {
				return err
			}
			if ok {
				v.add(Column{of, "", name}, at, x)
			}
		}
		return nil
	}, nil
}

func (v *Values) latencies(h *source.Header, metric string) (func([][]byte) error, error) {
	col, err := columns(h, "time")
	if err != nil {
		return nil, err
	}
	names := h.Names()
	return func(f [][]byte) error {
		when, err := instant(f[col[0]])
		if err != nil {
			return err
		}
		at := when.Unix() / 60
		for i, name := range names {
			from, to, ok := strings.Cut(name, "_")
			if !ok {
				continue
			}
			v.Calls[[2]string{from, to}] = true
			x, ok, err := source.Float(f[i])
			if err != nil {
				return err
			}
			if ok {
				v.add(Column{from, to, metric}, at, x)
			}
		}
		return nil
	}, nil
}

func (v *Values) add(c Column, at int64, x float64) {
	v.Minutes[at] = true
	s := v.Series[c]
	if s == nil {
		s = map[int64]float64{}
		v.Series[c] = s
	}
	before, twice := s[at]
	switch {
	case !twice:
		s[at] = x
	case strings.Contains(c.Metric, "latency") || strings.Contains(c.Metric, "%") || c.Callee != "":
		s[at] = math.Max(before, x)
	default:
		s[at] = before + x
	}
}

// Service is the service of a pod, by its name.
func Service(pod string) string { return serviceOf(pod) }
