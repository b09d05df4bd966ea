// Package series keeps a run over time in bounded space, and says how long it took to recover from a surge of the load.
package series

import (
	"encoding/json"
	"math"
)

// Series is a run over time, warm-up included, in steps of equal length.
type Series struct {
	Step      float64    `json:"step_s"`
	Warmup    float64    `json:"warmup_s"`
	Rate      Points     `json:"rate"` // requests/s that ended
	Cores     Points     `json:"cores"`
	Used      Points     `json:"cores_used"`
	Replicas  Points     `json:"replicas"`
	Services  []Service  `json:"services"`  // those that hold most, most first
	Endpoints []Endpoint `json:"endpoints"` // those with an objective
}

// Service is the cores that a service holds, and those that it uses.
type Service struct {
	Name  string `json:"service"`
	Cores Points `json:"cores"`
	Used  Points `json:"cores_used,omitempty"`
}

// Endpoint is an endpoint's latency at its objective's percentile, in milliseconds, and when it was in violation.
type Endpoint struct {
	Name     string       `json:"endpoint"`
	Latency  Points       `json:"latency_ms"`
	Violated [][2]float64 `json:"violated,omitempty"` // stretches in violation, seconds from the start
}

// Points are values in steps of a Series; NaN where there is none, which JSON writes as null. Three or four digits are
// kept: they are drawn, not computed with.
type Points []float64

// MarshalJSON writes null for NaN.
func (p Points) MarshalJSON() ([]byte, error) {
	out := make([]*float64, len(p))
	for i, v := range p {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			v = brief(v)
			out[i] = &v
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads null as NaN.
func (p *Points) UnmarshalJSON(b []byte) error {
	var in []*float64
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*p = make(Points, len(in))
	for i, v := range in {
		(*p)[i] = math.NaN()
		if v != nil {
			(*p)[i] = *v
		}
	}
	return nil
}

// brief keeps three decimals of small numbers and four digits of others.
func brief(v float64) float64 {
	scale := 1000.0
	if a := math.Abs(v); a >= 10 {
		scale = math.Pow(10, math.Max(3-math.Floor(math.Log10(a)), 0))
	}
	return math.Round(v*scale) / scale
}
