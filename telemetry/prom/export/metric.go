package export

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/prometheus/model/histogram"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"foresail.dev/sketch"
	"foresail.dev/telemetry/series"
)

// metric is one series as a scrape finds it.
type metric struct {
	desc   *prometheus.Desc
	labels []*dto.LabelPair // sorted
	kind   series.Kind
	v      float64
	h      *histogram.FloatHistogram // of a histogram; not changed afterwards
	start  time.Time                 // since when a counter counts

	exemplar exemplar // of a histogram; zero: none
}

// exemplar is a request that a histogram counted, and where its trace is found.
type exemplar struct {
	trace string
	value float64 // seconds
	at    time.Time
}

// mark puts an exemplar at the bucket that counted it. A failed request is in none, so a bucket without any has no exemplar.
func (x *exemplar) mark(h *dto.Histogram) {
	if x.trace == "" {
		return
	}
	e := &dto.Exemplar{Label: pairs([]string{"trace_id"}, []string{x.trace}), Value: &x.value, Timestamp: timestamppb.New(x.at)}
	below := uint64(0)
	for _, b := range h.Bucket {
		if b.GetUpperBound() >= x.value {
			if b.GetCumulativeCount() > below {
				b.Exemplar = e
				h.Exemplars = []*dto.Exemplar{e}
			}
			return
		}
		below = b.GetCumulativeCount()
	}
}

// Desc is the family's.
func (m *metric) Desc() *prometheus.Desc { return m.desc }

// Write fills in what a scraper gets.
func (m *metric) Write(out *dto.Metric) error {
	out.Label = m.labels
	switch m.kind {
	case series.Counter:
		out.Counter = &dto.Counter{Value: &m.v, CreatedTimestamp: timestamppb.New(m.start)}
	case series.NativeHistogram:
		out.Histogram = both(m.h)
		out.Histogram.CreatedTimestamp = timestamppb.New(m.start)
		m.exemplar.mark(out.Histogram)
	default:
		out.Gauge = &dto.Gauge{Value: &m.v}
	}
	return nil
}

// Classic buckets go from half a millisecond to half a minute, two to each power of two. They are bounds of a sketch's
// buckets, so the counts below them are exact.
const (
	classicFirst = -22 // 2^(-22/2) s
	classicLast  = 10
	classicStep  = (1 << sketch.Schema) / 2 // buckets of a sketch in one classic bucket
)

// both is a histogram for scrapers that know native ones and for those that don't.
func both(h *histogram.FloatHistogram) *dto.Histogram {
	out := &dto.Histogram{SampleSum: proto.Float64(h.Sum), Schema: proto.Int32(h.Schema), ZeroThreshold: proto.Float64(h.ZeroThreshold)}
	whole := isWhole(h.Count) && isWhole(h.ZeroCount)
	for _, n := range h.PositiveBuckets {
		whole = whole && isWhole(n)
	}
	out.SampleCount = proto.Uint64(uint64(math.Round(h.Count)))
	out.ZeroCount = proto.Uint64(uint64(h.ZeroCount))
	if !whole { // spans that were sampled count for more than one
		out.SampleCountFloat, out.ZeroCountFloat = proto.Float64(h.Count), proto.Float64(h.ZeroCount)
		out.PositiveCount = h.PositiveBuckets
	}
	for _, s := range h.PositiveSpans {
		out.PositiveSpan = append(out.PositiveSpan, &dto.BucketSpan{Offset: proto.Int32(s.Offset), Length: proto.Uint32(s.Length)})
	}
	if len(out.PositiveSpan) == 0 { // says that it is a native histogram though it is empty
		out.PositiveSpan = []*dto.BucketSpan{{Offset: proto.Int32(0), Length: proto.Uint32(0)}}
	}
	last := int64(0)
	for _, n := range h.PositiveBuckets {
		if whole {
			out.PositiveDelta = append(out.PositiveDelta, int64(n)-last)
			last = int64(n)
		}
	}
	addClassic(out, h, whole)
	return out
}

func addClassic(out *dto.Histogram, h *histogram.FloatHistogram, whole bool) {
	below, it := h.ZeroCount, h.PositiveBucketIterator()
	more := it.Next()
	for k := classicFirst; k <= classicLast; k++ {
		for more && int(it.At().Index) <= k*classicStep {
			below += it.At().Count
			more = it.Next()
		}
		b := &dto.Bucket{UpperBound: proto.Float64(math.Exp2(float64(k) / 2)), CumulativeCount: proto.Uint64(uint64(math.Round(below)))}
		if !whole {
			b.CumulativeCountFloat = proto.Float64(below)
		}
		out.Bucket = append(out.Bucket, b)
	}
}

func isWhole(v float64) bool { return v == math.Trunc(v) && v < 1<<53 }

// pairs are labels as a scraper gets them: names sorted, values as they are.
func pairs(names, values []string) []*dto.LabelPair {
	out := make([]*dto.LabelPair, 0, len(names))
	for i, n := range names {
		out = append(out, &dto.LabelPair{Name: proto.String(n), Value: proto.String(values[i])})
	}
	return out
}
