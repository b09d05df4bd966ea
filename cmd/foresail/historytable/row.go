package historytable

import (
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/series"
)

// Type is what a column holds.
type Type uint8

// The types.
const (
	Number Type = iota
	Text
	Time
)

// Column is one column of a level's rows.
type Column struct {
	Name string
	Type Type
	Help string

	def string // the series' name; empty: another column
}

var quantiles = []struct {
	name string
	q    float64
}{{"latency_p50_ms", 0.5}, {"latency_p95_ms", 0.95}, {"latency_p99_ms", 0.99}}

// Levels are the names of the levels that there are rows of.
func Levels() []string { return []string{"service", "replica", "node", "endpoint", "edge"} }

// ParseLevel reads a level's name.
func ParseLevel(name string) (series.Level, error) {
	if i := slices.Index(Levels(), name); i >= 0 {
		return series.Service + series.Level(i), nil
	}
	return 0, fmt.Errorf("unknown level %q: use %s", name, strings.Join(Levels(), ", "))
}

// Columns are those of a level's rows.
func Columns(l series.Level) []Column {
	out := []Column{{Name: "start", Type: Time, Help: "Start of the interval."}, {Name: "seconds", Help: "Its length."}}
	histogram := false
	for _, d := range series.Table() {
		if d.Level != l || d.Bookkeeping || d.Setting {
			continue
		}
		if len(out) == 2 {
			for _, n := range d.Labels() {
				if n != "application" {
					out = append(out, Column{Name: n, Type: Text})
				}
			}
		}
		if d.Kind == series.NativeHistogram {
			histogram = true
			continue
		}
		out = append(out, Column{Name: strings.TrimSuffix(strings.TrimPrefix(d.Name, "foresail_"+l.String()+"_"), "_total"), Help: d.Help, def: d.Name})
	}
	if l == series.Endpoint {
		out = append(out, Column{Name: "slowest_trace", Type: Text, Help: "Trace id of the slowest request."})
	}
	if histogram {
		out = append(out, Column{Name: "latency_count", Help: "Requests in the latency."}, Column{Name: "latency_sum_seconds", Help: "Their latencies' sum."})
		for _, q := range quantiles {
			out = append(out, Column{Name: q.name, Help: "Quantile of the latency."})
		}
	}
	return out
}

// Row is one row: a value by column, a float64, string or time.Time. What was not observed is not there.
type Row map[string]any

// Only keeps rows of some services or endpoints; empty keeps all.
type Only struct{ Services, Endpoints []string }

func (o Only) keeps(labels map[string]string) bool {
	if e, ok := labels["endpoint"]; ok {
		return len(o.Endpoints) == 0 && len(o.Services) == 0 || slices.Contains(o.Endpoints, e)
	}
	if len(o.Services) == 0 {
		return len(o.Endpoints) == 0
	}
	return slices.Contains(o.Services, labels["service"]) || slices.Contains(o.Services, labels["from"]) || slices.Contains(o.Services, labels["to"])
}

// Rows are those of a snapshot at a level.
func Rows(app *foresail.App, s *foresail.Snapshot, l series.Level, only Only) (out []Row) {
	columns := Columns(l)
	for _, o := range series.Observations(app, s, l) {
		if !only.keeps(o.Labels) {
			continue
		}
		r := Row{"start": s.Start, "seconds": s.Duration().Seconds()}
		for _, c := range columns {
			if v, ok := o.Values[c.def]; ok {
				r[c.Name] = v
			} else if v, ok := o.Labels[c.Name]; ok && c.Type == Text && v != "" {
				r[c.Name] = v
			}
		}
		if o.Slowest.Trace != (foresail.TraceID{}) {
			r["slowest_trace"] = hex.EncodeToString(o.Slowest.Trace[:])
		}
		if o.Latency != nil && o.Latency.Count() > 0 {
			r["latency_count"], r["latency_sum_seconds"] = o.Latency.Count(), o.Latency.Sum()
			for _, q := range quantiles {
				r[q.name] = o.Latency.Quantile(q.q) * 1000
			}
		}
		out = append(out, r)
	}
	return out
}

// rate is a column's value for each second.
func (r Row) rate(column string) string {
	v, ok := r[column].(float64)
	if !ok {
		return "-"
	}
	return digits(v / r["seconds"].(float64))
}

func (r Row) text(column string) string {
	switch v := r[column].(type) {
	case float64:
		return digits(v)
	case string:
		return v
	case time.Time:
		return v.Format("2006-01-02 15:04:05")
	}
	return "-"
}

// digits is a number with three digits that count, or whole.
func digits(v float64) string {
	switch a := math.Abs(v); {
	case v == math.Trunc(v) || a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 0.01:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.2g", v)
}
