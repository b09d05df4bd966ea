// Package culprits measures how well methods name the culprit of issues whose culprit is known: it alone looks at that.
package culprits

import (
	"fmt"
	"time"

	"foresail.dev/model/diagnose/rank"
)

// Case is one issue, and who was to blame.
type Case struct {
	Name    string
	Input   rank.Input
	Culprit string // a service's name; one that the input does not know is found by nobody
}

// Score is how well one method did.
type Score struct {
	Method string
	Places []int // of each case: the culprit's place, from 1 on; 0 where the ranking does not hold it
	Lists  [][]rank.Suspect
	Took   time.Duration // over all cases
}

// Top is the share of cases whose culprit is among the first k.
func (s Score) Top(k int) float64 {
	hits := 0
	for _, p := range s.Places {
		if p > 0 && p <= k {
			hits++
		}
	}
	return float64(hits) / float64(len(s.Places))
}

// Average is the mean of Top(1) to Top(k), as literature on root causes reports it ("Avg@k").
func (s Score) Average(k int) float64 {
	sum := 0.0
	for i := 1; i <= k; i++ {
		sum += s.Top(i)
	}
	return sum / float64(k)
}

// Evaluate ranks each case with a method; clock tells what time has passed.
func Evaluate(m rank.Method, cases []Case, clock func() time.Duration) (Score, error) {
	s := Score{Method: m.Name}
	for _, c := range cases {
		start := clock()
		list, err := m.Rank(&c.Input)
		s.Took += clock() - start
		if err != nil {
			return s, fmt.Errorf("case %s: %w", c.Name, err)
		}
		place := 0
		for i, suspect := range list {
			if suspect.Name == c.Culprit {
				place = i + 1
			}
		}
		s.Places, s.Lists = append(s.Places, place), append(s.Lists, list)
	}
	return s, nil
}
