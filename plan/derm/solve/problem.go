// Package solve finds the cheapest numbers of containers under which every endpoint's latency percentile stays within its
// limit: the optimisation of Derm (Chen et al., ISCA 2024, §4.3), for any latency model that can say how a percentile moves
// with the containers.
//
// A service m has k_m containers, each of which costs c_m. An endpoint e is late by so much as its percentile t_e(k) is over
// its limit L_e; t_e falls as any k_m grows. Wanted is
//
//	min Σ c_m k_m   subject to   t_e(k) ≤ L_e for every e,   low_m ≤ k_m ≤ high_m,   k_m whole.
//
// Relax solves it for numbers that need not be whole, by the method of moving asymptotes: near an allocation each percentile
// is replaced by a sum of terms q/(k-κ), with κ where a service saturates, which is exact for the mean of an exponential
// whose rate is linear in the load of a container; the separable problem that this leaves is solved in its dual; and so on
// until nothing moves. What comes out is held against the optimality conditions (Karush, Kuhn and Tucker), whatever way it
// came about. Solve rounds that to whole numbers and mends it.
package solve

import (
	"errors"
	"fmt"
	"math"
)

// Problem is what is to be solved.
type Problem struct {
	Services  []Service
	Endpoints []Endpoint
	// Budget is how often an endpoint's percentile may be asked for in all while whole numbers are sought; 0: as often as
	// seems worth it. It is exceeded where nothing that holds the limits is known yet.
	Budget int
	// Slack is how much more than the least latency there is a limit that can't be held is taken for, as a share: the last
	// thousandths cost the most. 0: a ten-thousandth.
	Slack float64
	// Start is where the search begins, by service: an answer to a problem like this one makes it shorter. nil: at the maximum.
	Start []float64
}

// Service is one whose containers are to be found.
type Service struct {
	Name string
	Cost float64 // of one container, for example its cores; above 0
	Low  int     // at least so many containers, 1 or more
	High int     // at most so many
	// Saturates is the number of containers at which it can just about do its work, if it did nothing but that: its latency
	// grows without bound towards it. 0 where that is not known. Low may be less: no fewer than 2 % above it are planned.
	Saturates float64
}

// Endpoint is a limit that holds for what the containers of some services do.
type Endpoint struct {
	Name     string
	Limit    float64 // seconds, above 0
	Services []int   // whose containers matter, by index into Problem.Services, each once
	// Latency is the percentile, in seconds, with containers[i] containers of Services[i], whole or not. Where slope is not
	// nil, the derivative by each is put there: seconds a container, not above 0.
	Latency func(containers, slope []float64) float64
}

// Solution is an answer.
type Solution struct {
	Containers []int     // by service
	Relaxed    []float64 // by service: the best that need not be whole
	Cost       float64   // of Containers
	Bound      float64   // cost of Relaxed: no whole numbers that hold the limits cost less, but for Residual
	// Residual is how far Relaxed is from the optimality conditions: the largest of what is wrong with a service's balance of
	// cost and gain, as a share of its cost, and with a limit, as a share of it.
	Residual  float64
	Endpoints []Answer
	Asked     int // how often a percentile was asked for
}

// Answer is what a solution means to an endpoint.
type Answer struct {
	Latency float64 // seconds, under Solution.Containers
	Limit   float64 // what it was held to: the endpoint's limit, or the least that can be reached where that is more
	Price   float64 // what one second of limit less would cost, at Relaxed: its multiplier
	// Reachable: the limit can be held. Where it can't, Limit is the least latency there is, with every service that matters at
	// its maximum, and Problem.Slack more, so that it has a price, and Bounds are those which hold it back, the one that
	// would gain most by one container more first.
	Reachable bool
	Bounds    []int
}

// Check tells every fault of the problem.
func (p *Problem) Check() error {
	var errs []error
	if p.Start != nil && len(p.Start) != len(p.Services) {
		errs = append(errs, fmt.Errorf("a start of %d numbers of containers for %d services", len(p.Start), len(p.Services)))
	}
	for i := range p.Services {
		s := &p.Services[i]
		switch {
		case !(s.Cost > 0) || math.IsInf(s.Cost, 0):
			errs = append(errs, fmt.Errorf("service %s: a container costs %v: that must be above 0", s.Name, s.Cost))
		case s.Low < 1 || s.High < s.Low:
			errs = append(errs, fmt.Errorf("service %s: %d to %d containers: use at least 1, and a maximum that is no less", s.Name, s.Low, s.High))
		case !(s.Saturates >= 0) || math.IsInf(s.Saturates, 0):
			errs = append(errs, fmt.Errorf("service %s: saturates at %v containers: that can't be", s.Name, s.Saturates))
		}
	}
	for i := range p.Endpoints {
		e := &p.Endpoints[i]
		if !(e.Limit > 0) || math.IsInf(e.Limit, 0) {
			errs = append(errs, fmt.Errorf("endpoint %s: a limit of %v s: that must be above 0", e.Name, e.Limit))
		}
		if e.Latency == nil || len(e.Services) == 0 {
			errs = append(errs, fmt.Errorf("endpoint %s: its latency hangs on no service", e.Name))
		}
		seen := map[int]bool{}
		for _, m := range e.Services {
			if m < 0 || m >= len(p.Services) || seen[m] {
				errs = append(errs, fmt.Errorf("endpoint %s: service %d: must be one of %d, once", e.Name, m, len(p.Services)))
			}
			seen[m] = true
		}
	}
	return errors.Join(errs...)
}
