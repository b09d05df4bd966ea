package remote

import (
	"fmt"
	"math"
	"strconv"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"pgregory.net/rapid"

	"foresail.dev"
	"foresail.dev/sketch"
	"foresail.dev/telemetry/series"
)

const latencySeries = "foresail_endpoint_latency_seconds"

// stream is one series of a bucketed histogram, with a value at 1000 ms.
func stream(suffix, label, value string, v float64) *model.SampleStream {
	m := model.Metric{"__name__": model.LabelValue(latencySeries + suffix), "application": "shop", "endpoint": "buy"}
	if label != "" {
		m[model.LabelName(label)] = model.LabelValue(value)
	}
	return &model.SampleStream{Metric: m, Values: []model.SamplePair{{Timestamp: 0, Value: 0}, {Timestamp: 1000, Value: model.SampleValue(v)}}}
}

// read is the sketch that the streams say.
func read(streams []*model.SampleStream) *sketch.Sketch {
	app := &foresail.App{Name: "shop", Endpoints: []foresail.Endpoint{{Name: "buy"}}}
	w := series.NewWindow(app, []series.Interval{{Start: 0, End: 1000}})
	var b buckets
	for _, s := range streams {
		b.takes(fromModel(s.Metric), s)
	}
	b.put(w)
	got, _ := w.Snapshots()
	if len(got) == 0 {
		return nil
	}
	return got[0].Endpoints[0].Latency
}

// A sketch comes back from each form that servers keep: bounds that are rounded to four digits lead to the bucket that they are of.
func TestBucketsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := sketch.New()
		for range rapid.IntRange(1, 30).Draw(t, "values") {
			want.AddN(rapid.Float64Range(0, 1e6).Draw(t, "value")*math.Exp2(-float64(rapid.IntRange(0, 45).Draw(t, "octave"))), float64(rapid.IntRange(1, 9).Draw(t, "n")))
		}
		forms := map[string][]*model.SampleStream{}
		below := want.Zero()
		forms["le"] = append(forms["le"], stream("_bucket", "le", "0.0", below), stream("_bucket", "le", "+Inf", want.Count()))
		forms["vmrange"] = append(forms["vmrange"], stream("_bucket", "vmrange", "-0.000e+00...0.000e+00", want.Zero()))
		for i, n := range want.Buckets() {
			below += n
			lo, hi := sketch.UpperBound(i-1), sketch.UpperBound(i)
			forms["le"] = append(forms["le"], stream("_bucket", "le", strconv.FormatFloat(hi, 'g', -1, 64), below))
			forms["vmrange"] = append(forms["vmrange"], stream("_bucket", "vmrange", fmt.Sprintf("%.3e...%.3e", lo, hi), n))
		}
		for form, streams := range forms {
			got := read(append(streams, stream("_count", "", "", want.Count()), stream("_sum", "", "", want.Sum())))
			if got.Count() != want.Count() || got.Zero() != want.Zero() || math.Abs(got.Sum()-want.Sum()) > 1e-9*want.Sum() {
				t.Fatalf("%s: %+v, not %+v", form, got, want)
			}
			for i, n := range want.Buckets() {
				if m := got.CountAbove(sketch.UpperBound(i-1)*1.0001) - got.CountAbove(sketch.UpperBound(i)*1.0001); math.Abs(m-n) > n {
					t.Fatalf("%s: bucket %d holds %g, not %g", form, i, m, n)
				}
			}
			all := map[int]float64{}
			for i, n := range got.Buckets() {
				all[i] = n
			}
			for i, n := range want.Buckets() {
				if all[i] != n {
					t.Fatalf("%s: bucket %d holds %g, not %g", form, i, all[i], n)
				}
			}
		}
	})
}

// A server that rounds differently from one moment to the next has not begun to count anew.
func TestRoundingIsNoReset(t *testing.T) {
	var streams []*model.SampleStream
	for _, x := range []struct {
		suffix, label, value string
		v                    [3]model.SampleValue
	}{
		{"_bucket", "vmrange", "9.576e-01...1.000e+00", [3]model.SampleValue{0, 2.4762620044257346, 2.476262004425}},
		{"_bucket", "vmrange", "1.915e+00...2.000e+00", [3]model.SampleValue{0, 1, 3}},
		{"_count", "", "", [3]model.SampleValue{0, 3.4762620044257346, 5.476262004425}},
		{"_sum", "", "", [3]model.SampleValue{0, 4.4, 8.4}},
	} {
		s := stream(x.suffix, x.label, x.value, 0)
		s.Values = nil
		for i, v := range x.v {
			s.Values = append(s.Values, model.SamplePair{Timestamp: model.Time(1000 * i), Value: v})
		}
		streams = append(streams, s)
	}
	app := &foresail.App{Name: "shop", Endpoints: []foresail.Endpoint{{Name: "buy"}}}
	w := series.NewWindow(app, []series.Interval{{Start: 0, End: 1000}, {Start: 1000, End: 2000}})
	var b buckets
	for _, s := range streams {
		b.takes(fromModel(s.Metric), s)
	}
	b.put(w)
	got, _ := w.Snapshots()
	if l := got[1].Endpoints[0].Latency; math.Abs(l.Count()-2) > 1e-9 || math.Abs(l.Sum()-4) > 1e-9 || l.CountAbove(1.5) != 2 {
		t.Errorf("%+v, not two of 2 s", l)
	}
}

// Whatever a server says of buckets, reading it neither panics nor grows without bound.
func FuzzBuckets(f *testing.F) {
	f.Add("vmrange", "1.000e-03...1.044e-03", 3.0, 0.1)
	f.Add("le", "0.5", 2.0, 1.0)
	f.Add("le", "+Inf", math.Inf(1), math.NaN())
	f.Add("vmrange", "...", -1.0, 0.0)
	f.Add("le", "1e308", 1e300, 1e308)
	f.Fuzz(func(t *testing.T, label, bound string, n, sum float64) {
		if !model.LegacyValidation.IsValidLabelName(label) {
			return
		}
		s := read([]*model.SampleStream{stream("_bucket", label, bound, n), stream("_count", "", "", n), stream("_sum", "", "", sum)})
		if s != nil && s.Room() > sketch.MaxIndex-sketch.MinIndex+1 {
			t.Errorf("%d buckets", s.Room())
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	l := labels.FromStrings("__name__", latencySeries, "application", "shop", "endpoint", "buy")
	h := &model.SampleHistogram{Count: 80, Sum: 8}
	for i := -80; i < 0; i++ {
		h.Buckets = append(h.Buckets, &model.HistogramBucket{Lower: model.FloatString(sketch.UpperBound(i - 1)), Upper: model.FloatString(sketch.UpperBound(i)), Count: 1})
	}
	app := &foresail.App{Name: "shop", Endpoints: []foresail.Endpoint{{Name: "buy"}}}
	b.ReportAllocs()
	for b.Loop() {
		w := series.NewWindow(app, []series.Interval{{Start: 0, End: 1000}})
		w.Column(l).FloatHistogram(1000, native(h))
	}
}
