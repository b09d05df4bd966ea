package shares

import (
	"errors"
	"fmt"
	"math"
)

// Series is the shares of one endpoint's call graphs, window after window.
type Series struct {
	Name string
	Rows [][]float64 // windows × forms; each row sums to one
	// Requests is how many requests each row was counted on; nil: not known, and the shares are taken as exact.
	Requests []float64
}

// Classes is how many forms there are; 0 without rows.
func (s Series) Classes() int {
	if len(s.Rows) == 0 {
		return 0
	}
	return len(s.Rows[0])
}

// Counted is how many requests row t was counted on; 0: not known.
func (s Series) Counted(t int) float64 {
	if s.Requests == nil {
		return 0
	}
	return s.Requests[t]
}

// ErrShares is wrapped by what is reported of numbers that are no shares.
var ErrShares = errors.New("they are no shares")

// Sums of shares: up to exactSum off one they are rounded figures, up to nearSum they are made to sum to one and that is told, and
// beyond that something is missing or counted twice.
const (
	exactSum = 1e-6
	nearSum  = 0.02
)

// Normalise returns shares that sum to one exactly, and a note where row did so only nearly. It fails, with ErrShares, where a number
// is negative or none, and where the sum is more than two hundredths off: then a form is missing, or counted twice.
func Normalise(row []float64) (out []float64, note string, err error) {
	if len(row) == 0 {
		return nil, "", fmt.Errorf("%w: there are none", ErrShares)
	}
	sum := 0.0
	for i, v := range row {
		if !(v >= 0) || math.IsInf(v, 0) {
			return nil, "", fmt.Errorf("%w: share %d is %v, and must be a number from 0 to 1", ErrShares, i, v)
		}
		sum += v
	}
	switch off := math.Abs(sum - 1); {
	case !(off <= nearSum): // a sum that overflows is none
		return nil, "", fmt.Errorf("%w: they sum to %.6g, not to 1: is a call graph missing, or counted twice?", ErrShares, sum)
	case off > exactSum:
		note = fmt.Sprintf("shares sum to %.6g and were scaled to 1", sum)
	}
	out = make([]float64, len(row))
	for i, v := range row {
		out[i] = v / sum
	}
	return out, note, nil
}

// Check says what of a series is not as its type promises.
func (s Series) Check() error {
	if s.Requests != nil && len(s.Requests) != len(s.Rows) {
		return fmt.Errorf("series %q has %d windows and requests of %d", s.Name, len(s.Rows), len(s.Requests))
	}
	for t, row := range s.Rows {
		if len(row) != s.Classes() {
			return fmt.Errorf("series %q, window %d: %d shares, not %d as in the first", s.Name, t, len(row), s.Classes())
		}
		_, note, err := Normalise(row)
		if err == nil && note != "" {
			err = fmt.Errorf("%w: %s; Normalise them", ErrShares, note)
		}
		if err != nil {
			return fmt.Errorf("series %q, window %d: %w", s.Name, t, err)
		}
		if n := s.Counted(t); !(n >= 0) || math.IsInf(n, 0) {
			return fmt.Errorf("series %q, window %d: counted on %v requests", s.Name, t, n)
		}
	}
	return nil
}

// Changed reports whether shares differ from those of the window before by more than figures are rounded, or, where they were
// counted on some requests, by more than counting may differ by itself (four standard deviations, for any form).
func Changed(before, now []float64, requestsBefore, requests float64) bool {
	for i, v := range now {
		d := math.Abs(v - before[i])
		if requests == 0 || requestsBefore == 0 {
			if d > exactSum {
				return true
			}
			continue
		}
		p := (v*requests + before[i]*requestsBefore) / (requests + requestsBefore)
		if d > 4*math.Sqrt(p*(1-p)*(1/requests+1/requestsBefore))+exactSum {
			return true
		}
	}
	return false
}
