package write

import (
	"math"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
)

// FromFamilies are the samples of what a registry gathers, at time t, with labels besides its own (which stay where both
// name one). A histogram that has native buckets is sent as a native one.
func FromFamilies(families []*dto.MetricFamily, t time.Time, extra map[string]string) []Sample {
	g := gathered{at: t.UnixMilli(), extra: extra}
	for _, f := range families {
		for _, m := range f.Metric {
			g.name, g.labels = f.GetName(), m.Label
			g.take(m)
		}
	}
	return g.out
}

// MetaOf tells type and help of gathered families.
func MetaOf(families []*dto.MetricFamily) func(name string) metadata.Metadata {
	known := make(map[string]metadata.Metadata, len(families))
	for _, f := range families {
		kind := model.MetricTypeUnknown
		switch f.GetType() {
		case dto.MetricType_COUNTER:
			kind = model.MetricTypeCounter
		case dto.MetricType_GAUGE:
			kind = model.MetricTypeGauge
		case dto.MetricType_HISTOGRAM:
			kind = model.MetricTypeHistogram
		case dto.MetricType_GAUGE_HISTOGRAM:
			kind = model.MetricTypeGaugeHistogram
		case dto.MetricType_SUMMARY:
			kind = model.MetricTypeSummary
		}
		known[f.GetName()] = metadata.Metadata{Type: kind, Help: f.GetHelp(), Unit: f.GetUnit()}
	}
	return classicMeta(func(name string) metadata.Metadata { return known[name] })
}

type gathered struct {
	at     int64
	extra  map[string]string
	name   string
	labels []*dto.LabelPair
	out    []Sample
}

func (g *gathered) take(m *dto.Metric) {
	switch {
	case m.Counter != nil:
		g.put("", "", "", m.Counter.GetValue(), start(m.Counter.CreatedTimestamp))
	case m.Gauge != nil:
		g.put("", "", "", m.Gauge.GetValue(), 0)
	case m.Untyped != nil:
		g.put("", "", "", m.Untyped.GetValue(), 0)
	case m.Summary != nil:
		since := start(m.Summary.CreatedTimestamp)
		for _, q := range m.Summary.Quantile {
			g.put("", "quantile", labels.FormatOpenMetricsFloat(q.GetQuantile()), q.GetValue(), 0)
		}
		g.put("_count", "", "", float64(m.Summary.GetSampleCount()), since)
		g.put("_sum", "", "", m.Summary.GetSampleSum(), since)
	case m.Histogram != nil:
		g.histogram(m.Histogram)
	}
}

func (g *gathered) histogram(h *dto.Histogram) {
	since := start(h.CreatedTimestamp)
	if h.Schema != nil && len(h.PositiveSpan)+len(h.NegativeSpan) > 0 {
		g.out = append(g.out, Sample{Labels: g.series("", "", ""), T: g.at, Start: since, H: native(h)})
		return
	}
	for _, b := range h.Bucket {
		if !math.IsInf(b.GetUpperBound(), 1) {
			g.put("_bucket", labels.BucketLabel, labels.FormatOpenMetricsFloat(b.GetUpperBound()), either(b.CumulativeCountFloat, b.GetCumulativeCount()), since)
		}
	}
	n := either(h.SampleCountFloat, h.GetSampleCount())
	g.put("_bucket", labels.BucketLabel, "+Inf", n, since)
	g.put("_count", "", "", n, since)
	g.put("_sum", "", "", h.GetSampleSum(), since)
}

// native is a native histogram with float counts, whichever it had.
func native(h *dto.Histogram) *histogram.FloatHistogram {
	return (&histogram.FloatHistogram{Schema: h.GetSchema(), ZeroThreshold: h.GetZeroThreshold(), Sum: h.GetSampleSum(),
		Count: either(h.SampleCountFloat, h.GetSampleCount()), ZeroCount: either(h.ZeroCountFloat, h.GetZeroCount()),
		PositiveSpans: spans(h.PositiveSpan), PositiveBuckets: counts(h.PositiveCount, h.PositiveDelta),
		NegativeSpans: spans(h.NegativeSpan), NegativeBuckets: counts(h.NegativeCount, h.NegativeDelta)}).Compact(0)
}

func spans(in []*dto.BucketSpan) []histogram.Span {
	out := make([]histogram.Span, 0, len(in))
	for _, s := range in {
		out = append(out, histogram.Span{Offset: s.GetOffset(), Length: s.GetLength()})
	}
	return out
}

func counts(floats []float64, deltas []int64) []float64 {
	if len(floats) > 0 {
		return slices.Clone(floats)
	}
	out, n := make([]float64, 0, len(deltas)), int64(0)
	for _, d := range deltas {
		n += d
		out = append(out, float64(n))
	}
	return out
}

func either(f *float64, n uint64) float64 {
	if f != nil {
		return *f
	}
	return float64(n)
}

// put adds a sample of the series with a suffix and, unless it is empty, one more label.
func (g *gathered) put(suffix, label, value string, v float64, since int64) {
	g.out = append(g.out, Sample{Labels: g.series(suffix, label, value), T: g.at, Start: since, V: v})
}

func (g *gathered) series(suffix, label, value string) labels.Labels {
	all := make([]labels.Label, 0, len(g.labels)+len(g.extra)+2)
	all = append(all, labels.Label{Name: model.MetricNameLabel, Value: g.name + suffix})
	if label != "" {
		all = append(all, labels.Label{Name: label, Value: value})
	}
	for _, l := range g.labels {
		all = append(all, labels.Label{Name: l.GetName(), Value: l.GetValue()})
	}
	for name, v := range g.extra {
		if !slices.ContainsFunc(all, func(l labels.Label) bool { return l.Name == name }) {
			all = append(all, labels.Label{Name: name, Value: v})
		}
	}
	return labels.New(all...)
}

type timestamp interface {
	GetSeconds() int64
	GetNanos() int32
}

func start(t timestamp) int64 {
	if t == nil || t.GetSeconds() == 0 {
		return 0
	}
	return t.GetSeconds()*1000 + int64(t.GetNanos())/1e6
}
