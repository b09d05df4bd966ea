package profile

import (
	"errors"
	"fmt"
	"math"
)

// Point is the rate of a service's own time, 1/seconds, as fitted at one load, visits per second and ready container.
type Point struct {
	Load, Rate float64
	Weight     float64 // above 0; how much it counts beside the others
}

// Line is Derm's dependence of the rate of own time on load: λ = A ω + B. A service slows down as its load grows, so A is
// below zero. Where no such line could be fitted A is 0 and B the rate that was seen on average; Fault says why.
type Line struct {
	A float64 `json:"a"` // of the rate, 1/seconds, by visits per second and container
	B float64 `json:"b"` // 1/seconds
	// From and To are the loads that it was fitted between: nothing is known beyond.
	From float64 `json:"from"`
	To   float64 `json:"to"`
	// Points is how many loads it was fitted to, and R2 the share of the variance of rates that it explains.
	Points int     `json:"points"`
	R2     float64 `json:"r2"`
	Fault  Fault   `json:"fault,omitempty"`
	// Error is the standard error of A; 0 where it isn't known.
	Error float64 `json:"error,omitempty"`
}

// Fault names why a dependence on load could not be fitted.
type Fault string

// The faults.
const (
	FaultFew   Fault = "few-points" // fewer than three loads
	FaultClose Fault = "loads-too-close"
	FaultSign  Fault = "wrong-sign" // the rate would grow with load
)

// apart is how many times the least load the largest must be, for a line to be fitted between them.
const apart = 1.2

// ErrPoints is returned where there is nothing to fit.
var ErrPoints = errors.New("rates and loads must be finite numbers, loads not negative, rates and weights above 0, and there must be one at least")

// FitLine fits λ = aω + b by weighted least squares. A fit that must not be used, of fewer than three loads, of loads within a
// fifth of each other, or of a rate that grows with load, is replaced by the mean rate, and Fault says so.
func FitLine(points []Point) (Line, error) {
	l, err := leastLine(points)
	if err != nil {
		return l, err
	}
	switch {
	case l.Points < 3:
		l.Fault = FaultFew
	case !(l.To >= apart*l.From) || l.To == 0:
		l.Fault = FaultClose
	case l.A > 0:
		l.Fault = FaultSign
	}
	if l.Fault != "" {
		n, sum := 0.0, 0.0
		for _, p := range points {
			n, sum = n+p.Weight, sum+p.Weight*p.Rate
		}
		l.A, l.B, l.R2, l.Error = 0, sum/n, 0, 0
	}
	return l, nil
}

// leastLine is the line of least squares, whatever its sign.
func leastLine(points []Point) (Line, error) {
	l := Line{From: math.Inf(1), To: math.Inf(-1)}
	var n, mx, my float64
	for i, p := range points {
		if !(p.Load >= 0) || !(p.Rate > 0) || !(p.Weight > 0) || math.IsInf(p.Load+p.Rate+p.Weight, 0) {
			return l, fmt.Errorf("point %d, load %v, rate %v, weight %v: %w", i, p.Load, p.Rate, p.Weight, ErrPoints)
		}
		n, mx, my = n+p.Weight, mx+p.Weight*p.Load, my+p.Weight*p.Rate
		l.From, l.To = min(l.From, p.Load), max(l.To, p.Load)
		l.Points++
	}
	if l.Points == 0 {
		return l, fmt.Errorf("no points: %w", ErrPoints)
	}
	mx, my = mx/n, my/n
	var xx, xy, yy float64
	for _, p := range points {
		dx, dy := p.Load-mx, p.Rate-my
		xx, xy, yy = xx+p.Weight*dx*dx, xy+p.Weight*dx*dy, yy+p.Weight*dy*dy
	}
	l.B = my
	if xx > 0 {
		l.A = xy / xx
		l.B = my - l.A*mx
		if yy > 0 {
			l.R2 = xy * xy / (xx * yy)
		}
		if l.Points > 2 {
			l.Error = math.Sqrt(max(yy-xy*xy/xx, 0) / xx / float64(l.Points-2))
		}
	}
	return l, nil
}

// Rate is the rate at a load, 1/seconds. Between From and To it is the line's. Below From it is that at From: that a service
// gets faster than it was ever seen to be is not assumed. Beyond To it is the lower of the line's and of what processor
// sharing makes of the rate at To as the load goes towards saturation, a load (0: not known), and 0 there:
// λ(To)·(1-ω/sat)/(1-To/sat). Where there is neither a line nor a saturation, own time is taken to grow as load does.
func (l Line) Rate(load, saturation float64) float64 {
	at := func(w float64) float64 { return max(l.A*w+l.B, 0) }
	switch {
	case !(load > l.From):
		return at(l.From)
	case load <= l.To:
		return at(load)
	}
	rate := at(load)
	if saturation > 0 {
		if l.To >= saturation || load >= saturation {
			return 0
		}
		rate = min(rate, at(l.To)*(1-load/saturation)/(1-l.To/saturation))
	} else if l.Fault != "" {
		rate *= l.To / load
	}
	return rate
}

// Saturates is the load at which the rate is 0; infinite where it never is.
func (l Line) Saturates() float64 {
	if !(l.A < 0) {
		return math.Inf(1)
	}
	return -l.B / l.A
}
