package network

import "foresail.dev/ml/nn"

// Carry copies weights of a network for one application into one for another of the same kind, beats and channels: from[k]
// is which service of the old one the new one's service k is; -1: it is new. A service that both have should be at the same
// place in both, since weights of places go with the places.
//
// What all services share is copied as it is, and so holds for new ones too. Weights that are a service's own, or of a place that the
// old network does not have, are zero where there was none, and a new service's bias is the mean of the others': the network says what
// the old one did until it has learnt more. False where the two can't be matched: their kinds, beats or channels are different, or
// with more than Wide services the steps of the first convolution, or with a few (17 for the CNN, 3 for the hybrid) its kernels are.
func Carry[T nn.Float](old Config, have []*nn.Param[T], want Config, into []*nn.Param[T], from []int) bool {
	if old.Kind != want.Kind || old.Beats != want.Beats || old.Channels != want.Channels || old.Kind != LSTM && old.first() != want.first() {
		return false
	}
	last := len(into) - 1 // the classes' biases, and before them their weights
	for i, p := range into[:last-1] {
		own := p.Name == "whole1.w" || old.Kind == LSTM && i == 0
		if !own && len(p.W) != len(have[i].W) { // of a few services, which kernels reach beyond
			return false
		}
	}
	for i, p := range into {
		was := have[i].W
		switch {
		case i == last:
			clear(p.W)
			copyClasses(was, p.W, from, true)
		case i == last-1:
			clear(p.W)
			n, m := old.Classes(), want.Classes()
			rows, seen := len(was)/n, len(p.W)/m
			beats := 1
			if old.Kind == CNN { // its last kernel sees every place, in each of the beats that are left
				beats = seen / (want.places() * lastFilters)
			}
			for r := range min(rows, seen) {
				in := min(rows, seen) / beats
				a, b := r/in*(rows/beats)+r%in, r/in*(seen/beats)+r%in
				copyClasses(was[a*n:(a+1)*n], p.W[b*m:(b+1)*m], from, false)
			}
		case p.Name != "whole1.w" && (old.Kind != LSTM || i > 0):
			copy(p.W, was)
		case old.Kind == Hybrid && want.first() > 1: // lanes of several services go with their places
			clear(p.W)
			copy(p.W, was)
		default: // rows for each service: what is seen of it, or known of its lane
			clear(p.W)
			n := len(p.W) / want.Services
			for k, f := range from {
				if f >= 0 {
					copy(p.W[k*n:(k+1)*n], was[f*n:(f+1)*n])
				}
			}
		}
	}
	return true
}

// places is how many there are after the CNN's last convolution but one.
func (c *Config) places() int {
	n := (c.Services + c.first() - 1) / c.first()
	for range 3 {
		n = (n + 1) / 2
	}
	return n
}

// copyClasses copies a number for each class; the last is none. New classes have the mean of the old ones', where it is asked for.
func copyClasses[T nn.Float](was, is []T, from []int, mean bool) {
	n, m := len(was), len(is)
	fresh := T(0)
	if mean {
		for _, w := range was[:n-1] {
			fresh += w / T(n-1)
		}
	}
	for k, f := range from {
		if is[k] = fresh; f >= 0 {
			is[k] = was[f]
		}
	}
	is[m-1] = was[n-1]
}
