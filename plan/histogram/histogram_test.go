package histogram_test

import (
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"

	"foresail.dev/plan/histogram"
	"pgregory.net/rapid"
)

const tiny = 1e-15

var (
	start  = time.Unix(1234567890, 0).UTC()
	linear = histogram.Buckets{First: 1, Max: 10, Ratio: 1}
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-12*math.Abs(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// Figures of upstream's TestPercentiles, TestDecayingHistogramPercentiles, TestSimpleDecay and TestLongtermDecay.
func TestPercentilesAreUpstreams(t *testing.T) {
	h := histogram.New(linear, time.Hour, tiny)
	if h.Percentile(0.5) != 0 || !h.Empty() {
		t.Error("an empty histogram has a median")
	}
	for i := 1; i <= 4; i++ {
		h.Add(float64(i), float64(i), start)
	}
	for p, want := range map[float64]float64{-0.1: 2, 0: 2, 0.1: 2, 0.2: 3, 0.3: 3, 0.4: 4, 0.5: 4, 0.6: 4, 0.7: 5, 0.9: 5, 1: 5, 1.1: 5} {
		near(t, "without decay", h.Percentile(p), want)
	}
	// Each sample a half-life after the one before: weights 1/8, 2/4, 3/2, 4.
	h = histogram.New(linear, time.Hour, tiny)
	for i := 1; i <= 4; i++ {
		h.Add(float64(i), float64(i), start.Add(time.Duration(i)*time.Hour))
	}
	for p, want := range map[float64]float64{0: 2, 0.02: 2, 0.03: 3, 0.10: 3, 0.11: 4, 0.34: 4, 0.35: 5, 1: 5} {
		near(t, "with decay", h.Percentile(p), want)
	}
	h = histogram.New(linear, time.Hour, tiny)
	h.Add(2, 1000, start)
	h.Add(1, 1, start.Add(20*time.Hour)) // worth a thousand times the first
	near(t, "p99.9 after 20 half-lives", h.Percentile(0.999), 2)
	near(t, "p100 after 20 half-lives", h.Percentile(1), 3)
	h = histogram.New(linear, time.Hour, tiny)
	h.Add(2, 1, start)
	h.Add(1, 1, start.Add(101*time.Hour))
	near(t, "p100 after 101 half-lives", h.Percentile(1), 2)
}

func TestBucketsGrow(t *testing.T) {
	b := histogram.Buckets{First: 0.01, Max: 1000, Ratio: 1.05}
	near(t, "bucket 1", b.Start(1), 0.01)
	near(t, "bucket 2", b.Start(2), 0.0205)
	if b.Find(0.005) != 0 || b.Find(-1) != 0 || b.Find(math.NaN()) != 0 || b.Find(0.0100001) != 1 || b.Find(1e9) != b.Count()-1 {
		t.Error("a value is in the wrong bucket")
	}
	if s := b.Start(b.Count() - 1); s < 1000 || b.Start(b.Count()-2) > 1000 {
		t.Errorf("the last bucket starts at %v", s)
	}
}

func TestWhatIsSubtractedWasNeverThere(t *testing.T) {
	h := histogram.New(linear, time.Hour, tiny)
	h.Add(2, 1, start)
	h.Add(7, 3, start)
	h.Subtract(7, 3, start)
	near(t, "the highest left", h.Percentile(1), 3)
	h.Subtract(2, 1, start)
	if !h.Empty() {
		t.Error("something is left")
	}
}

// A stupid oracle: keep all samples, weigh them when asked.
func TestItIsAWeightedSortedList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := histogram.Buckets{First: 0.01, Max: 100, Ratio: 1.05}
		h := histogram.New(b, time.Hour, 1e-12)
		type sample struct {
			v, w float64
			at   time.Time
		}
		var all []sample
		at := start
		for range rapid.IntRange(1, 40).Draw(t, "n") {
			at = at.Add(time.Duration(rapid.IntRange(0, 200).Draw(t, "minutes")) * time.Minute)
			s := sample{rapid.Float64Range(0, 50).Draw(t, "v"), rapid.Float64Range(0.1, 5).Draw(t, "w"), at}
			all = append(all, s)
			h.Add(s.v, s.w, s.at)
		}
		// Saved and restored it is the same.
		if rapid.Bool().Draw(t, "restart") {
			kept, err := json.Marshal(h)
			h = histogram.New(b, time.Hour, 1e-12)
			if err != nil || json.Unmarshal(kept, h) != nil {
				t.Fatal("not restored")
			}
		}
		slices.SortStableFunc(all, func(x, y sample) int { return b.Find(x.v) - b.Find(y.v) })
		weight := func(s sample) float64 { return s.w * math.Exp2(-float64(at.Sub(s.at))/float64(time.Hour)) }
		total := 0.0
		for _, s := range all {
			total += weight(s)
		}
		p := rapid.Float64Range(0.01, 0.99).Draw(t, "p")
		sum, lo, hi := 0.0, -1.0, b.Start(b.Find(all[len(all)-1].v)+1)
		for _, s := range all {
			sum += weight(s)
			if sum >= p*total*(1-1e-9) && lo < 0 {
				lo = b.Start(b.Find(s.v) + 1)
			}
			if sum >= p*total*(1+1e-9) {
				hi = b.Start(b.Find(s.v) + 1)
				break
			}
		}
		if got := h.Percentile(p); got < lo || got > hi {
			t.Fatalf("p%v is %v, want %v to %v", p*100, got, lo, hi)
		}
	})
}

func TestRestoringNonsenseIsAnError(t *testing.T) {
	for _, s := range []string{`{`, `{"From":-1,"Weights":[1]}`, `{"From":5,"Weights":[1,1,1,1,1,1,1,1,1,1]}`, `{"Weights":[-1]}`, `{"Total":-1}`} {
		h := histogram.New(linear, time.Hour, tiny)
		h.Add(3, 1, start)
		if err := json.Unmarshal([]byte(s), h); err == nil || h.Percentile(1) != 4 {
			t.Errorf("%s: %v, and p100 is %v", s, err, h.Percentile(1))
		}
	}
}
