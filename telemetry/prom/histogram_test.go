package prom

import (
	"encoding/json"
	"fmt"
	"math"
	"sort"
	"strconv"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	promhist "github.com/prometheus/prometheus/model/histogram"
	"pgregory.net/rapid"

	"foresail.dev/sketch"
)

// values are latencies from a microsecond to a minute.
func values(t *rapid.T) []float64 {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) float64 {
		// off the bounds of all schemas, where the last bit of a bound decides
		return math.Exp2((math.Floor(rapid.Float64Range(-20, 6).Draw(t, "log2")*256) + 0.37) / 256)
	}), 1, 200).Draw(t, "values")
}

// nativeOf counts values as a client does, with a schema of its own.
func nativeOf(values []float64, factor float64) *model.SampleHistogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "x", NativeHistogramBucketFactor: factor, NativeHistogramZeroThreshold: 1e-9})
	for _, v := range values {
		h.Observe(v)
	}
	var m dto.Metric
	if err := h.Write(&m); err != nil {
		panic(err)
	}
	d := m.Histogram
	out := &promhist.Histogram{Schema: d.GetSchema(), Count: d.GetSampleCount(), Sum: d.GetSampleSum(), ZeroThreshold: d.GetZeroThreshold(), ZeroCount: d.GetZeroCount(), PositiveBuckets: d.GetPositiveDelta()}
	for _, s := range d.GetPositiveSpan() {
		out.PositiveSpans = append(out.PositiveSpans, promhist.Span{Offset: s.GetOffset(), Length: s.GetLength()})
	}
	b, err := json.Marshal(translatedHistogram(out.ToFloat(nil)))
	if err != nil {
		panic(err)
	}
	var over model.SampleHistogram // the wire's decimals
	if err := json.Unmarshal(b, &over); err != nil {
		panic(err)
	}
	return &over
}

// A native histogram that is at least as fine as the sketch enters it without loss: bucket for bucket, what the sketch would
// have counted itself.
func TestNativeIsLossless(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := values(t)
		factor := rapid.SampledFrom([]float64{1.0443, 1.022, 1.011, 1.0055}).Draw(t, "factor")
		h, err := fromNative(nativeOf(v, factor))
		if err != nil {
			t.Fatal(err)
		}
		var got, want sketch.Sketch
		h.addTo(&got, 1)
		for _, x := range v {
			want.Add(x)
		}
		if a, b := fmt.Sprint(buckets(&got)), fmt.Sprint(buckets(&want)); a != b {
			t.Fatalf("factor %v: %s, want %s", factor, a, b)
		}
		if math.Abs(got.Sum()-want.Sum()) > 1e-9*want.Sum() {
			t.Fatalf("sum %v, want %v", got.Sum(), want.Sum())
		}
	})
}

func buckets(s *sketch.Sketch) map[int]float64 {
	out := map[int]float64{}
	for i, n := range s.Buckets() {
		if n != 0 {
			out[i] = math.Round(n*1e9) / 1e9
		}
	}
	return out
}

// A quantile of a classic histogram is that of Prometheus, which interpolates within buckets, but for what the sketch's own
// buckets add.
func TestClassicQuantiles(t *testing.T) {
	bounds := []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}
	rapid.Check(t, func(t *rapid.T) {
		v := values(t)
		sort.Float64s(v)
		le := map[string]float64{"+Inf": float64(len(v))}
		for _, b := range bounds {
			le[strconv.FormatFloat(b, 'g', -1, 64)] = float64(sort.SearchFloat64s(v, math.Nextafter(b, 100)))
		}
		h, err := fromClassic(le, nil)
		if err != nil {
			t.Fatal(err)
		}
		var s sketch.Sketch
		h.addTo(&s, 1)
		q := rapid.Float64Range(0.05, 0.99).Draw(t, "q")
		want, n := prometheusQuantile(q, bounds, le, float64(len(v)))
		if got := s.Quantile(q); n > 0.2 && (got < want/1.1 || got > want*1.1) {
			t.Fatalf("%v of %v: %v, Prometheus says %v", q, v, got, want)
		}
		if c := s.Count(); math.Abs(c-float64(len(v))) > 1e-6 {
			t.Fatalf("%v values became %v", len(v), c)
		}
	})
}

// prometheusQuantile is histogram_quantile, by the book. near is how many values are between the rank and its bucket's ends:
// at the ends a step may lie, on which side is chance.
func prometheusQuantile(q float64, bounds []float64, le map[string]float64, n float64) (v, near float64) {
	rank := q * n
	last, lo := 0.0, 0.0
	for _, b := range bounds {
		c := le[strconv.FormatFloat(b, 'g', -1, 64)]
		if c >= rank {
			if lo == 0 {
				lo = 0
			}
			return lo + (b-lo)*(rank-last)/(c-last), min(rank-last, c-rank)
		}
		last, lo = c, b
	}
	return lo, min(rank-last, n-rank)
}

// What happened between two moments is what was added, whatever the resolution was before.
func TestSince(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, more := values(t), values(t)
		fine := rapid.SampledFrom([]float64{1.0443, 1.011}).Draw(t, "factor before")
		coarse := rapid.SampledFrom([]float64{1.0443, 1.1}).Draw(t, "factor after")
		a, err := fromNative(nativeOf(before, fine))
		if err != nil {
			t.Fatal(err)
		}
		b, err := fromNative(nativeOf(append(append([]float64{}, before...), more...), max(fine, coarse)))
		if err != nil {
			t.Fatal(err)
		}
		want, err := fromNative(nativeOf(more, max(fine, coarse)))
		if err != nil {
			t.Fatal(err)
		}
		got := b.since(a)
		if got.count != float64(len(more)) {
			t.Fatalf("%v came, want %d", got.count, len(more))
		}
		for _, limit := range []float64{1e-3, 0.1, 1} {
			if x, y := got.above(limit), want.above(limit); math.Abs(x-y) > 1e-6 {
				t.Fatalf("%v are over %v, want %v", x, limit, y)
			}
		}
	})
}

// A histogram that counts less than before was reset: all of it is new.
func TestSinceReset(t *testing.T) {
	a, _ := fromClassic(map[string]float64{"1": 10, "+Inf": 12}, nil)
	b, _ := fromClassic(map[string]float64{"1": 3, "+Inf": 4}, nil)
	if d := b.since(a); d.count != 4 || d.above(1) != 1 {
		t.Errorf("%+v", d)
	}
}

// VictoriaMetrics' own buckets have ranges.
func TestRanges(t *testing.T) {
	h, err := fromClassic(nil, map[string]float64{"1.000e-01...1.136e-01": 3, "0...1.000e-09": 1, "1.000e+18...+Inf": 1})
	if err != nil || h.count != 5 || h.above(0.1) != 4 {
		t.Errorf("%+v, %v", h, err)
	}
	for _, bad := range []string{"", "1", "a...b", "2...1", "NaN...1"} {
		if _, err := fromClassic(nil, map[string]float64{bad: 1}); err == nil {
			t.Errorf("the range %q is taken", bad)
		}
	}
}
