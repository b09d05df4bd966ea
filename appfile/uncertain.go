package appfile

import (
	"time"

	"foresail.dev/load"
)

// uncertain is a synthetic load whose variance depends on its level; see load.Uncertain.
type uncertain struct {
	Low     float64       `yaml:"low" rule:"required,min=0,max=1e7"`
	High    float64       `yaml:"high" rule:"required,above=0,max=1e7"`
	Day     time.Duration `yaml:"day" rule:"min=1m,max=8760h"`
	Peak    float64       `yaml:"peak" rule:"above=0,max=1"`
	Sharp   float64       `yaml:"sharp" rule:"above=0,max=20"`
	Weekend float64       `yaml:"weekend" rule:"above=0,max=1"`
	For     time.Duration `yaml:"for" rule:"above=0s"`
	Seed    uint64        `yaml:"seed"`

	// Uncertainty is the variance over the squared mean at the peak; without it, that of the place in the call graph.
	Uncertainty *float64 `yaml:"uncertainty" rule:"min=0,max=1"`
	InDegree    int      `yaml:"in_degree" rule:"min=1,max=10000"`
	Probability *float64 `yaml:"call_probability" rule:"min=0,max=1e6"`
}

// Check holds low under high, and asks for one way to say how uncertain it is.
func (s *uncertain) Check(at Place) {
	if s.High < s.Low && hasKey(at.node, "high") {
		at.At("high").Faultf("is %g, under the low of %g", s.High, s.Low)
	}
	place := hasKey(at.node, "in_degree") || hasKey(at.node, "call_probability")
	if place && s.Uncertainty != nil {
		at.At("uncertainty").Faultf("says what in_degree and call_probability say as well: take out either")
	}
	if s.InDegree > 0 && s.Probability == nil {
		at.At("in_degree").Faultf("needs call_probability: users, who have none, call the other services")
	}
}

func (s *uncertain) segment() load.Segment {
	u := &load.Uncertain{Low: s.Low, High: s.High, Day: s.Day, Peak: s.Peak, Sharp: s.Sharp, Weekend: s.Weekend, Seed: s.Seed,
		Spread: load.Spread(true, 0, 0)}
	switch {
	case s.Uncertainty != nil:
		u.Spread = *s.Uncertainty
	case s.Probability != nil:
		u.Spread = load.Spread(false, s.InDegree, *s.Probability)
	}
	return load.Segment{Shape: load.Wavering, Uncertain: u, For: s.For}
}

// wander is how shares of endpoints waver; see load.Wander.
type wander struct {
	Uncertainty float64       `yaml:"uncertainty" rule:"required,above=0,max=1"`
	Day         time.Duration `yaml:"day" rule:"min=1m,max=8760h"`
	Seed        uint64        `yaml:"seed"`
}
