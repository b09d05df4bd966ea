package write

import (
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

// encodeV1 is a request of remote write 1.0, which knows neither type nor start of a series.
func encodeV1(samples []Sample) *prompb.WriteRequest {
	out := &prompb.WriteRequest{Timeseries: make([]prompb.TimeSeries, len(samples))}
	for i := range samples {
		s, ts := &samples[i], &out.Timeseries[i]
		ts.Labels = prompb.FromLabels(s.Labels, nil)
		if s.H != nil {
			ts.Histograms = []prompb.Histogram{prompb.FromFloatHistogram(s.T, s.H)}
		} else {
			ts.Samples = []prompb.Sample{{Value: s.V, Timestamp: s.T}}
		}
	}
	return out
}

// encodeV2 is a request of remote write 2.0: every text once, metadata with every series, and since when counters count.
func encodeV2(samples []Sample, meta func(string) metadata.Metadata) *writev2.Request {
	symbols := writev2.NewSymbolTable()
	out := &writev2.Request{Timeseries: make([]writev2.TimeSeries, len(samples))}
	for i := range samples {
		s, ts := &samples[i], &out.Timeseries[i]
		ts.LabelsRefs = symbols.SymbolizeLabels(s.Labels, nil)
		m := meta(s.Labels.Get(model.MetricNameLabel))
		ts.Metadata = writev2.Metadata{Type: writev2.FromMetadataType(m.Type), HelpRef: symbols.Symbolize(m.Help), UnitRef: symbols.Symbolize(m.Unit)}
		if s.H != nil {
			ts.Histograms = []writev2.Histogram{writev2.FromFloatHistogram(s.Start, s.T, s.H)}
		} else {
			ts.Samples = []writev2.Sample{{Value: s.V, Timestamp: s.T, StartTimestamp: s.Start}}
		}
	}
	out.Symbols = symbols.Symbols()
	return out
}

// classic is samples with each histogram replaced by the series of its count, sum and buckets.
func classic(samples []Sample) []Sample {
	if !slices.ContainsFunc(samples, func(s Sample) bool { return s.H != nil }) {
		return samples
	}
	out := make([]Sample, 0, 2*len(samples))
	for i := range samples {
		if s := &samples[i]; s.H == nil {
			out = append(out, *s)
		} else {
			out = appendClassic(out, s)
		}
	}
	return out
}

// appendClassic appends the series of one histogram. Only bounds of buckets in use are sent: the count below a bound that
// is missing is that below the next lower one, so nothing is lost.
func appendClassic(out []Sample, s *Sample) []Sample {
	b := labels.NewBuilder(s.Labels)
	name := s.Labels.Get(model.MetricNameLabel)
	one := func(suffix, le string, v float64) {
		b.Reset(s.Labels)
		b.Set(model.MetricNameLabel, name+suffix)
		if le != "" {
			b.Set(labels.BucketLabel, le)
		}
		out = append(out, Sample{Labels: b.Labels(), T: s.T, Start: s.Start, V: v})
	}
	below := 0.0
	for it := s.H.AllBucketIterator(); it.Next(); {
		if bucket := it.At(); bucket.Count > 0 {
			below += bucket.Count
			one("_bucket", labels.FormatOpenMetricsFloat(bucket.Upper), below)
		}
	}
	one("_bucket", "+Inf", s.H.Count)
	one("_count", "", s.H.Count)
	one("_sum", "", s.H.Sum)
	return out
}

// classicMeta knows the series of a classic histogram by the histogram's name.
func classicMeta(meta func(string) metadata.Metadata) func(string) metadata.Metadata {
	return func(name string) metadata.Metadata {
		if m := meta(name); m.Type != "" {
			return m
		}
		for _, suffix := range []string{"_bucket", "_count", "_sum"} {
			if base, ok := strings.CutSuffix(name, suffix); ok {
				if m := meta(base); m.Type == model.MetricTypeHistogram {
					return m
				}
			}
		}
		return metadata.Metadata{}
	}
}

// weigh estimates the bytes that a sample takes in memory.
func weigh(s *Sample) int {
	n := 64 + s.Labels.Len()*8
	if s.H != nil {
		n += histogramBytes(s.H)
	}
	return n
}

func histogramBytes(h *histogram.FloatHistogram) int {
	return 160 + 8*(len(h.PositiveBuckets)+len(h.NegativeBuckets)+len(h.PositiveSpans)+len(h.NegativeSpans))
}
