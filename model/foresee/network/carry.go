package network

import "foresail.dev/ml/nn"

// Carry copies weights of a network for one application into one for another of the same kind, beats and channels: from[k]
// is which service of the old one the new one's service k is; -1: it is new. A service that both have should be at the same
// place in both, since the weights of places go with the places.
//
// Of new services, and of places that the old one does not have, nothing is carried over: their weights are zero, and the
// scores of new services are at first the mean of the others' without regard to what is seen. So the network says what the old
// one did until it has learnt more. False where the two can't be matched: their kinds, beats or channels are different, or with
// more than Wide services the steps of the first convolution are.
func Carry[T nn.Float](old Config, have []*nn.Param[T], want Config, into []*nn.Param[T], from []int) bool {
	if old.Kind != want.Kind || old.Beats != want.Beats || old.Channels != want.Channels || old.Kind != LSTM && old.first() != want.first() {
		return false
	}
	places, seen := old.places(), want.places()
	for i, p := range into {
		clear(p.W)
		switch last := len(into) - 1; {
		case i == last:
			copyClasses(have[i].W, p.W, from, true)
		case i == last-1 && old.Kind != CNN:
			n, m := old.Classes(), want.Classes()
			for r := range len(p.W) / m {
				copyClasses(have[i].W[r*n:(r+1)*n], p.W[r*m:(r+1)*m], from, false)
			}
		case i == last-1: // the CNN's last kernel sees every place, in each of the beats that are left
			n, m := old.Classes(), want.Classes()
			beats := len(p.W) / (seen * lastFilters * m)
			for r := range beats * min(places, seen) * lastFilters {
				beat, rest := r/(min(places, seen)*lastFilters), r%(min(places, seen)*lastFilters)
				a, b := beat*places*lastFilters+rest, beat*seen*lastFilters+rest
				copyClasses(have[i].W[a*n:(a+1)*n], p.W[b*m:(b+1)*m], from, false)
			}
		case i == 0 && old.Kind == LSTM: // what is seen of each service
			n := want.Channels * 4 * lstmHidden
			for k, f := range from {
				if f >= 0 {
					copy(p.W[k*n:(k+1)*n], have[i].W[f*n:(f+1)*n])
				}
			}
		default:
			copy(p.W, have[i].W)
		}
	}
	return true
}

// places is how many there are after the last convolution.
func (c *Config) places() int {
	n := (c.Services + c.first() - 1) / c.first()
	for range map[Kind]int{CNN: 3, Hybrid: 2}[c.Kind] {
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
