// Package histogram holds the decaying histogram that usage-based recommenders share: weighted samples in fixed buckets,
// whose weight halves with each half-life that passes. It is that of Kubernetes' Vertical Pod Autoscaler
// (vertical-pod-autoscaler/pkg/recommender/util), and with a sample's value as its weight the load-adjusted one of
// Autopilot (Rzadca et al., EuroSys 2020, §3.2.1).
package histogram

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
)

// Buckets are ranges of values that begin at 0: bucket i is Ratio times as wide as the one before, the first First wide.
// A Ratio of 1 makes them all alike. What lies at Max and beyond is in the last one.
type Buckets struct{ First, Max, Ratio float64 }

// Count is how many buckets there are.
func (b Buckets) Count() int {
	if b.Ratio == 1 {
		return int(math.Ceil(b.Max/b.First)) + 1
	}
	return int(math.Ceil(math.Log(b.Max*(b.Ratio-1)/b.First+1)/math.Log(b.Ratio))) + 1
}

// Find is the bucket that v is in; below 0 and what is no number is in the first.
func (b Buckets) Find(v float64) int {
	if !(v >= b.First) {
		return 0
	}
	i := v / b.First
	if b.Ratio != 1 {
		i = math.Log(v*(b.Ratio-1)/b.First+1) / math.Log(b.Ratio)
	}
	return int(min(math.Floor(i), float64(b.Count()-1)))
}

// Start is where bucket i begins.
func (b Buckets) Start(i int) float64 {
	if b.Ratio == 1 {
		return float64(i) * b.First
	}
	return b.First * (math.Pow(b.Ratio, float64(i)) - 1) / (b.Ratio - 1)
}

// Histogram is weighted samples whose weight halves with each HalfLife.
type Histogram struct {
	buckets  Buckets
	halfLife time.Duration
	epsilon  float64 // a lighter bucket counts as empty

	weights   []float64 // as they were worth at reference
	total     float64
	reference time.Time
	low, high int // the buckets between which all weight is
}

// maxExponent is how many half-lives lie between the reference and the newest sample at most; then the reference moves.
const maxExponent = 100

// New makes an empty one. A bucket lighter than epsilon counts as empty.
func New(b Buckets, halfLife time.Duration, epsilon float64) *Histogram {
	n := b.Count()
	return &Histogram{buckets: b, halfLife: halfLife, epsilon: epsilon, weights: make([]float64, n), low: n - 1}
}

// Add counts a sample of a value that was observed at an instant. A weight that is negative or no number is left out.
func (h *Histogram) Add(v, weight float64, at time.Time) {
	if !(weight >= 0) || math.IsInf(weight, 0) {
		return
	}
	i, w := h.buckets.Find(v), weight*h.worth(at)
	h.weights[i] += w
	h.total += w
	if h.weights[i] >= h.epsilon {
		h.low, h.high = min(h.low, i), max(h.high, i)
	}
}

// Subtract takes back a sample that was added, at the instant it was added with.
func (h *Histogram) Subtract(v, weight float64, at time.Time) {
	if !(weight >= 0) || math.IsInf(weight, 0) {
		return
	}
	i, w := h.buckets.Find(v), weight*h.worth(at)
	if w > h.weights[i]-h.epsilon {
		w = h.weights[i]
	}
	h.weights[i] -= w
	h.total = max(h.total-w, 0)
	h.shrink()
}

// worth is what a sample of an instant counts for, against one of the reference.
func (h *Histogram) worth(at time.Time) float64 {
	if h.reference.IsZero() {
		h.reference = at
	}
	if at.Sub(h.reference) > maxExponent*h.halfLife {
		steps := math.Round(float64(at.Sub(h.reference)) / float64(h.halfLife))
		h.scale(math.Exp2(-steps))
		h.reference = h.reference.Add(time.Duration(steps) * h.halfLife)
	}
	return math.Exp2(float64(at.Sub(h.reference)) / float64(h.halfLife))
}

func (h *Histogram) scale(by float64) {
	h.total = 0
	for i := range h.weights {
		h.weights[i] *= by
		h.total += h.weights[i]
	}
	h.shrink()
}

func (h *Histogram) shrink() {
	for h.low < len(h.weights)-1 && h.weights[h.low] < h.epsilon {
		h.low++
	}
	for h.high > 0 && h.weights[h.high] < h.epsilon {
		h.high--
	}
}

// Empty reports whether no bucket has weight.
func (h *Histogram) Empty() bool { return h.weights[h.low] < h.epsilon }

// Percentile is the end of the bucket below which a share p of the weight lies: the value is never underestimated. Of an
// empty one it is 0; below p = 0 that of the lowest sample, above 1 that of the highest.
func (h *Histogram) Percentile(p float64) float64 {
	if h.Empty() {
		return 0
	}
	sum, i := 0.0, h.low
	for ; i < h.high; i++ {
		if sum += h.weights[i]; sum >= p*h.total {
			break
		}
	}
	if i < len(h.weights)-1 {
		return h.buckets.Start(i + 1)
	}
	return h.buckets.Start(i)
}

// state is how one is kept. Its buckets and half-life are its maker's.
type state struct {
	Reference time.Time
	Total     float64   // their sum, as it was added up
	From      int       // index of the first weight
	Weights   []float64 // from there on
}

// MarshalJSON keeps the weights; the buckets and the half-life are what it was made with.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	s := state{Reference: h.reference, Total: h.total}
	for i, w := range h.weights { // those too light to count may grow
		if w > 0 {
			if s.Weights == nil {
				s.From = i
			}
			s.Weights = h.weights[s.From : i+1]
		}
	}
	return json.Marshal(s)
}

// UnmarshalJSON takes back what MarshalJSON kept, into one that was made by New with the same buckets.
func (h *Histogram) UnmarshalJSON(b []byte) error {
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	if len(h.weights) == 0 {
		return errors.New("histogram: restored into one that New did not make")
	}
	if s.From < 0 || s.From+len(s.Weights) > len(h.weights) {
		return fmt.Errorf("histogram: buckets %d to %d: there are %d", s.From, s.From+len(s.Weights)-1, len(h.weights))
	}
	fresh := New(h.buckets, h.halfLife, h.epsilon)
	fresh.reference = s.Reference
	for i, w := range s.Weights {
		if w < 0 {
			return fmt.Errorf("histogram: bucket %d has weight %v", s.From+i, w)
		}
		fresh.weights[s.From+i] = w
	}
	if s.Total < 0 {
		return fmt.Errorf("histogram: a total weight of %v", s.Total)
	}
	fresh.total = s.Total
	if len(s.Weights) > 0 {
		fresh.low, fresh.high = s.From, s.From+len(s.Weights)-1
		fresh.shrink()
	}
	*h = *fresh
	return nil
}
