package sketch_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"foresail.dev/sketch"
	"pgregory.net/rapid"
)

// width is how much larger a bucket's end is than its start.
var width = math.Exp2(1.0 / 16)

// slowIndex finds a bucket by trying them all.
func slowIndex(v float64) int {
	for i := sketch.MinIndex; i < sketch.MaxIndex; i++ {
		if v <= sketch.UpperBound(i) {
			return i
		}
	}
	return sketch.MaxIndex
}

func TestEveryBoundBelongsToTheBucketBelow(t *testing.T) {
	for i := sketch.MinIndex; i < sketch.MaxIndex; i++ {
		b := sketch.UpperBound(i)
		if got := sketch.Index(b); got != i {
			t.Errorf("bound %v of bucket %d is in bucket %d", b, i, got)
		}
		if got := sketch.Index(math.Nextafter(b, math.Inf(1))); got != i+1 {
			t.Errorf("just above bound %v of bucket %d is in bucket %d", b, i, got)
		}
		if got := sketch.Index(math.Nextafter(b, 0)); got != i {
			t.Errorf("just below bound %v of bucket %d is in bucket %d", b, i, got)
		}
	}
}

func TestBoundsAgreeWithMath(t *testing.T) {
	for i := sketch.MinIndex; i <= sketch.MaxIndex; i++ {
		want := math.Pow(2, float64(i)/16)
		if got := sketch.UpperBound(i); math.Abs(got/want-1) > 1e-14 {
			t.Errorf("bound %d is %v, want %v", i, got, want)
		}
	}
	for e := -30; e <= 20; e++ { // powers of two exactly, as native histograms have them
		if got := sketch.UpperBound(16 * e); got != math.Ldexp(1, e) {
			t.Errorf("bound %d is %v, want 2^%d", 16*e, got, e)
		}
	}
}

func TestValuesOutsideTheRangeAreInTheOutermostBuckets(t *testing.T) {
	for _, v := range []float64{math.SmallestNonzeroFloat64, 0x1p-1023, 0x1p-1022, 1e-300, 0x1p-31} {
		if got := sketch.Index(v); got != sketch.MinIndex {
			t.Errorf("%v is in bucket %d, want %d", v, got, sketch.MinIndex)
		}
	}
	for _, v := range []float64{0x1p20 * 1.01, 1e300, math.MaxFloat64, math.Inf(1)} {
		if got := sketch.Index(v); got != sketch.MaxIndex {
			t.Errorf("%v is in bucket %d, want %d", v, got, sketch.MaxIndex)
		}
	}
}

func TestIndexAgreesWithASearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := math.Exp2(rapid.Float64Range(-35, 25).Draw(t, "log2"))
		if got, want := sketch.Index(v), slowIndex(v); got != want {
			t.Fatalf("%v is in bucket %d, want %d", v, got, want)
		}
	})
}

// values draws what a sketch may be given.
func values(t *rapid.T, label string) []float64 {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) float64 {
		if rapid.IntRange(0, 9).Draw(t, "kind") == 0 {
			return rapid.SampledFrom([]float64{0, -1, 1, 0.5, 1e-12, 1e9}).Draw(t, "special")
		}
		return math.Exp2(rapid.Float64Range(-25, 15).Draw(t, "log2"))
	}), 0, 200).Draw(t, label)
}

func of(vs []float64) *sketch.Sketch {
	s := sketch.New()
	for _, v := range vs {
		s.Add(v)
	}
	return s
}

// exact is the smallest value with at least a share q of all at or below it.
func exact(sorted []float64, q float64) float64 {
	k := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[min(max(k, 0), len(sorted)-1)]
}

// A quantile lies in the bucket that the exact one lies in, so it is never further off than a bucket is wide.
func TestQuantileIsWithinABucketOfTheExactOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		vs := rapid.SliceOfN(rapid.Float64Range(1e-6, 1e4), 1, 300).Draw(t, "values")
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		s := of(vs)
		slices.Sort(vs)
		// On the edge between two ranks rounding may pick either.
		lo, hi := exact(vs, q*(1-1e-12)), exact(vs, math.Min(q*(1+1e-12), 1))
		got := s.Quantile(q)
		if got < lo/width*(1-1e-12) || got > hi*width*(1+1e-12) {
			t.Fatalf("quantile %v is %v, exactly %v", q, got, lo)
		}
	})
}

// Where values are spread as latencies are, interpolation brings that below half a bucket: 2.2 %.
func TestQuantilesOfLatenciesAreWithin2Point2PerCent(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	shapes := map[string]func() float64{
		"lognormal":   func() float64 { return math.Exp(rng.NormFloat64()*0.7 - 4) },
		"exponential": func() float64 { return rng.ExpFloat64() * 0.02 },
		"bimodal": func() float64 {
			if rng.Float64() < 0.1 {
				return 0.2 * math.Exp(rng.NormFloat64()*0.3)
			}
			return 0.01 * math.Exp(rng.NormFloat64()*0.3)
		},
	}
	for name, draw := range shapes {
		vs := make([]float64, 50_000)
		for i := range vs {
			vs[i] = draw()
		}
		s := of(vs)
		slices.Sort(vs)
		for _, q := range []float64{0.1, 0.5, 0.9, 0.95, 0.99, 0.999} {
			if got, want := s.Quantile(q), exact(vs, q); math.Abs(got/want-1) > 0.022 {
				t.Errorf("%s: quantile %v is %v, exactly %v", name, q, got, want)
			}
		}
	}
}

func TestQuantileOfNothing(t *testing.T) {
	var none *sketch.Sketch
	for _, got := range []float64{none.Quantile(0.5), sketch.New().Quantile(0.5), of([]float64{1}).Quantile(-0.1), of([]float64{1}).Quantile(1.1),
		of([]float64{1}).Quantile(math.NaN()), sketch.New().Mean()} {
		if !math.IsNaN(got) {
			t.Errorf("got %v, want NaN", got)
		}
	}
	if none.Count() != 0 || none.Sum() != 0 {
		t.Error("nothing counts")
	}
	if got := of([]float64{0, -3, 0}).Quantile(0.99); got != 0 {
		t.Errorf("of zeros: %v", got)
	}
}

func TestQuantileGrowsWithItsShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := of(append(values(t, "values"), 1))
		a, b := rapid.Float64Range(0, 1).Draw(t, "a"), rapid.Float64Range(0, 1).Draw(t, "b")
		if x, y := s.Quantile(min(a, b)), s.Quantile(max(a, b)); x > y*(1+1e-12) {
			t.Fatalf("quantile %v is %v and quantile %v is %v", min(a, b), x, max(a, b), y)
		}
	})
}

// same compares two sketches; sums may differ by rounding.
func same(a, b *sketch.Sketch) error {
	if a.Count() != b.Count() || a.Zero() != b.Zero() {
		return fmt.Errorf("counts %v and %v, zeros %v and %v", a.Count(), b.Count(), a.Zero(), b.Zero())
	}
	if math.Abs(a.Sum()-b.Sum()) > 1e-9*(math.Abs(a.Sum())+1) {
		return fmt.Errorf("sums %v and %v", a.Sum(), b.Sum())
	}
	x, y := map[int]float64{}, map[int]float64{}
	for i, n := range a.Buckets() {
		x[i] = n
	}
	for i, n := range b.Buckets() {
		y[i] = n
	}
	if fmt.Sprint(x) != fmt.Sprint(y) {
		return fmt.Errorf("buckets %v and %v", x, y)
	}
	return nil
}

func TestMergingLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		va, vb, vc := values(t, "a"), values(t, "b"), values(t, "c")
		a, b, c := of(va), of(vb), of(vc)
		check := func(what string, x, y *sketch.Sketch) {
			if err := same(x, y); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
		join := func(parts ...*sketch.Sketch) *sketch.Sketch {
			s := sketch.New()
			for _, p := range parts {
				s.Merge(p)
			}
			return s
		}
		check("merging is adding all values", join(a, b), of(append(slices.Clone(va), vb...)))
		check("order does not matter", join(a, b, c), join(c, a, b))
		check("grouping does not matter", join(join(a, b), c), join(a, join(b, c)))
		check("nothing changes nothing", join(a, nil, sketch.New()), a)
		check("what is merged stays as it is", b, of(vb))
		d := a.Clone()
		d.Merge(b)
		check("a clone is independent", a, of(va))
		d.Reset()
		d.Merge(b)
		check("a reset sketch is empty", d, b)
	})
}

func TestWeightedValuesCountAsOften(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := math.Exp2(rapid.Float64Range(-20, 10).Draw(t, "log2"))
		n := rapid.IntRange(1, 50).Draw(t, "n")
		s := sketch.New()
		s.AddN(v, float64(n))
		if err := same(s, of(slices.Repeat([]float64{v}, n))); err != nil {
			t.Fatal(err)
		}
	})
	s := sketch.New()
	for _, n := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		s.AddN(1, n)
		s.AddBucket(3, n, 1)
	}
	s.AddN(math.NaN(), 1)
	s.Add(math.Inf(1))
	s.Add(math.Inf(-1))
	s.AddBucket(3, 1, math.NaN())
	if s.Count() != 0 {
		t.Errorf("counted %v of what can't be counted", s.Count())
	}
}

func TestGrowLeavesASketchAsItWas(t *testing.T) {
	s := sketch.New()
	s.Grow(-5, 40)
	if s.Count() != 0 || s.Room() != 0 {
		t.Errorf("%+v", s)
	}
	if n := testing.AllocsPerRun(10, func() {
		for i := -5; i <= 40; i++ {
			s.AddBucket(i, 1, 1)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	s.Grow(-1000, 1000)
	s.Grow(7, 3)
	if s.Count() != 11*46 {
		t.Errorf("%v values", s.Count())
	}
}

// What leaves as buckets comes back the same.
func TestBucketsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := of(values(t, "values"))
		back := sketch.New()
		back.AddN(0, s.Zero())
		last := math.MinInt
		left := s.Sum()
		for i, n := range s.Buckets() {
			if i <= last || n <= 0 {
				t.Fatalf("bucket %d with %v after bucket %d", i, n, last)
			}
			last = i
			back.AddBucket(i, n, left)
			left = 0
		}
		if err := same(s, back); err != nil {
			t.Fatal(err)
		}
	})
}

func TestCountAboveIsWithinABucketOfTheExactOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		vs := values(t, "values")
		v := math.Exp2(rapid.Float64Range(-25, 15).Draw(t, "v"))
		s := of(vs)
		lo, hi := 0.0, 0.0
		for _, x := range vs {
			if x > v*width {
				lo++
			}
			if x > v/width {
				hi++
			}
		}
		if got := s.CountAbove(v); got < lo-1e-9 || got > hi+1e-9 {
			t.Fatalf("%v above %v, exactly between %v and %v", got, v, lo, hi)
		}
	})
}

// FuzzSketch feeds any floats: nothing may panic, grow beyond the fixed buckets, or lose a count.
func FuzzSketch(f *testing.F) {
	f.Add(binary.LittleEndian.AppendUint64(nil, math.Float64bits(0.5)))
	f.Add(binary.LittleEndian.AppendUint64(nil, math.Float64bits(math.NaN())))
	f.Add(binary.LittleEndian.AppendUint64(nil, 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, want := sketch.New(), 0.0
		for ; len(data) >= 8; data = data[8:] {
			v := math.Float64frombits(binary.LittleEndian.Uint64(data))
			s.Add(v)
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				want++
			}
		}
		total := s.Zero()
		for i, n := range s.Buckets() {
			if i < sketch.MinIndex || i > sketch.MaxIndex {
				t.Fatalf("bucket %d", i)
			}
			total += n
		}
		if s.Count() != want || total != want {
			t.Fatalf("counted %v, in buckets %v, want %v", s.Count(), total, want)
		}
		if q := s.Quantile(0.99); want > 0 && (math.IsNaN(q) || q < 0) {
			t.Fatalf("quantile %v", q)
		}
	})
}

func ExampleSketch() {
	s := sketch.New()
	for ms := 1; ms <= 1000; ms++ {
		s.Add(float64(ms) / 1000)
	}
	fmt.Printf("%.0f values, mean %.3f s, p50 %.2f s, p99 %.2f s, %.0f above 0.9 s\n",
		s.Count(), s.Mean(), s.Quantile(0.5), s.Quantile(0.99), s.CountAbove(0.9))
	// Output: 1000 values, mean 0.500 s, p50 0.50 s, p99 0.99 s, 100 above 0.9 s
}

// benchstat: go test -bench . -count 6 ./sketch | tee new.txt; benchstat old.txt new.txt
func BenchmarkAdd(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	vs := make([]float64, 4096)
	for i := range vs {
		vs[i] = math.Exp(rng.NormFloat64()*0.7 - 4)
	}
	s := sketch.New()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		s.Add(vs[i&4095])
		i++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Mvalues/s")
}

func latencies(n int) *sketch.Sketch {
	rng := rand.New(rand.NewPCG(3, 4))
	s := sketch.New()
	for range n {
		s.Add(math.Exp(rng.NormFloat64()*0.7 - 4))
	}
	return s
}

func BenchmarkMerge(b *testing.B) {
	s, t := latencies(1000), latencies(1000)
	b.ReportAllocs()
	for b.Loop() {
		s.Merge(t)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Mmerges/s")
}

func BenchmarkQuantile(b *testing.B) {
	s := latencies(1000)
	b.ReportAllocs()
	for b.Loop() {
		_ = s.Quantile(0.99)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Mquantiles/s")
}

// Copies into one piece of memory are as good as clones: neither the original nor the neighbour changes them.
func TestCopyTo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		originals := make([]*sketch.Sketch, rapid.IntRange(1, 5).Draw(t, "sketches"))
		need := 0
		for i := range originals {
			originals[i] = sketch.New()
			for _, v := range rapid.SliceOfN(rapid.Float64Range(0, 100), 0, 20).Draw(t, "values") {
				originals[i].Add(v)
			}
			need += originals[i].Room()
		}
		copies, want := make([]sketch.Sketch, len(originals)), make([]*sketch.Sketch, len(originals))
		room := make([]float64, need)
		for i, s := range originals {
			room = s.CopyTo(&copies[i], room)
			want[i] = s.Clone()
			s.Add(1e-3)
		}
		if len(room) != 0 {
			t.Fatalf("%d counts of room are left", len(room))
		}
		for i := range copies {
			copies[i].Add(1e4)
			want[i].Add(1e4)
		}
		for i := range copies {
			got := &copies[i]
			if got.Count() != want[i].Count() || got.Sum() != want[i].Sum() || !maps.Equal(maps.Collect(got.Buckets()), maps.Collect(want[i].Buckets())) {
				t.Fatalf("copy %d is %+v, want %+v", i, got, want[i])
			}
		}
	})
}
