package gbt

import "math"

// split is where a leaf may be parted: rows whose bin of feature is at most bin go left.
type split struct {
	feature     int // -1: none
	bin         uint8
	missingLeft bool
	gain        float64
	left        sums
}

// bounds are what a leaf may weigh, before shrinkage, for monotone constraints to hold.
type bounds struct{ lo, hi float64 }

var unbounded = bounds{math.Inf(-1), math.Inf(1)}

func (b bounds) clamp(w float64) float64 { return min(max(w, b.lo), b.hi) }

// splitter looks for the best split of a leaf.
type splitter struct {
	cfg          *Config
	table        *table
	columns      []int // that this tree may split, ascending
	gUnit, hUnit float64
	minChild     int64 // MinChildWeight in units of h
	monotone     bool
}

// begin is to be called once for each tree.
func (s *splitter) begin(columns []int, gUnit, hUnit float64) {
	s.columns, s.gUnit, s.hUnit = columns, gUnit, hUnit
	s.minChild = int64(min(math.Ceil(s.cfg.MinChildWeight/hUnit), 1<<62))
	s.monotone = false
	for _, m := range s.cfg.Monotone {
		s.monotone = s.monotone || m != 0
	}
}

// weigh is what a leaf with these sums weighs, before shrinkage: eq. 5.
func (s *splitter) weigh(t sums) float64 {
	d := float64(t.h)*s.hUnit + s.cfg.L2
	if d <= 0 {
		return 0
	}
	return -float64(t.g) * s.gUnit / d
}

// score is what a leaf that weighs w gains over one that weighs nothing; G²/(H+λ) where w is not bounded.
func (s *splitter) score(t sums, w float64) float64 {
	return -(2*float64(t.g)*s.gUnit + (float64(t.h)*s.hUnit+s.cfg.L2)*w) * w
}

// best is the split with the highest gain: of several the first feature's, the lowest bin, missing to the right.
func (s *splitter) best(h []sums, total sums, in bounds) split {
	found := split{feature: -1}
	parent := s.score(total, in.clamp(s.weigh(total)))
	// What rounding of floating-point numbers can feign is no gain.
	found.gain = max(s.cfg.Gamma, 1e-10*parent)
	for _, f := range s.columns {
		bins := h[s.table.offset[f]:s.table.offset[f+1]]
		switch {
		case s.monotone:
			s.scanBounded(&found, f, bins, total, parent, in)
		default:
			s.scan(&found, f, bins, total, parent, false)
			if bins[missingBin] != (sums{}) {
				s.scan(&found, f, bins, total, parent, true)
			}
		}
	}
	if found.feature >= 0 {
		f := found.feature
		if h[s.table.offset[f]] == (sums{}) {
			found.missingLeft = found.left.h > total.h-found.left.h
		}
	}
	return found
}

// scan tries each bin of a feature with neither bounds nor constraints. It compares fractions without dividing: with
// GL²/(HL+λ) + GR²/(HR+λ) = n/d, a gain is more than the best when n > (best+parent)·d.
func (s *splitter) scan(found *split, f int, bins []sums, total sums, parent float64, missingLeft bool) {
	// In units of g² over units of h, so that nothing need be scaled in the loop.
	toUnits := s.hUnit / (s.gUnit * s.gUnit)
	l2 := s.cfg.L2 / s.hUnit
	beat := (found.gain + parent) * toUnits
	won := -1
	var left, best sums
	if missingLeft {
		left = bins[missingBin]
	}
	for b := 1; b < len(bins); b++ {
		v := bins[b]
		if v == (sums{}) {
			continue
		}
		left.g += v.g
		left.h += v.h
		if left.h < s.minChild {
			continue
		}
		right := total.h - left.h
		if right < s.minChild {
			break
		}
		gl, gr := float64(left.g), float64(total.g-left.g)
		dl, dr := float64(left.h)+l2, float64(right)+l2
		if n, d := gl*gl*dr+gr*gr*dl, dl*dr; n > beat*d {
			beat, won, best = n/d, b, left
		}
	}
	// All present values on one side with all missing ones is no split.
	if won < 0 || best == total || best == (sums{}) {
		return
	}
	*found = split{feature: f, bin: uint8(won), missingLeft: missingLeft, gain: beat/toUnits - parent, left: best}
}

// scanBounded is scan where what the children weigh is bounded, and ordered for a constrained feature.
func (s *splitter) scanBounded(found *split, f int, bins []sums, total sums, parent float64, in bounds) {
	sign := s.cfg.Monotone[f]
	for pass := range 2 {
		missingLeft := pass == 1
		var left sums
		if missingLeft {
			if left = bins[missingBin]; left == (sums{}) {
				break
			}
		}
		for b := 1; b < len(bins); b++ {
			if bins[b] == (sums{}) {
				continue
			}
			left = left.plus(bins[b])
			right := total.minus(left)
			if left.h < s.minChild || right.h < s.minChild || right == (sums{}) {
				continue
			}
			wl, wr := in.clamp(s.weigh(left)), in.clamp(s.weigh(right))
			if sign > 0 && wl > wr || sign < 0 && wl < wr {
				continue
			}
			if gain := s.score(left, wl) + s.score(right, wr) - parent; gain > found.gain {
				*found = split{feature: f, bin: uint8(b), missingLeft: missingLeft, gain: gain, left: left}
			}
		}
	}
}

// children are the bounds of both children of a split on feature f that weigh wl and wr.
func (s *splitter) children(f int, wl, wr float64, in bounds) (left, right bounds) {
	left, right = in, in
	if !s.monotone || s.cfg.Monotone[f] == 0 {
		return left, right
	}
	mid := in.clamp(wl/2 + wr/2)
	if s.cfg.Monotone[f] > 0 {
		left.hi, right.lo = mid, mid
	} else {
		left.lo, right.hi = mid, mid
	}
	return left, right
}
