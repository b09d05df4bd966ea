package twin

import (
	"math"

	"foresail.dev"
)

// sizes are the mean bytes of an operation's request and answer.
type sizes struct{ request, response int64 }

// solveSizes finds the sizes of all messages; nil where some service's network was not observed.
func (f *forest) solveSizes(b *bins, snapshots []*foresail.Snapshot) []sizes {
	n := len(f.ops)
	eq := newEquations(2 * n) // requests, then answers
	for id := range f.app.Services {
		rows := 0
		for _, in := range []bool{true, false} {
			bytes := func(u *foresail.Usage) float64 {
				if in {
					return float64(u.NetIn)
				}
				return float64(u.NetOut)
			}
			b.each(snapshots, foresail.ServiceID(id), foresail.SignalNetwork, bytes, func(at int, sum float64) {
				rows++
				var cols []int
				var counts []float64
				add := func(op int, asked bool, n float64) { // a message of op, that is its request or its answer
					col := op
					if !asked {
						col += len(f.ops)
					}
					cols, counts = append(cols, col), append(counts, n)
				}
				for o := range f.ops {
					if k := b.visits[at][o]; k > 0 && f.ops[o].service == foresail.ServiceID(id) {
						add(o, in, k)
					}
					for callee := range f.ops {
						if k := b.calls[at][[2]int{o, callee}]; k > 0 && f.ops[o].service == foresail.ServiceID(id) {
							add(callee, !in, k)
						}
					}
				}
				eq.add(cols, counts, sum, 1/math.Max(sum, 1))
			})
		}
		if rows == 0 {
			return nil
		}
	}
	out := make([]sizes, n)
	for i, v := range eq.solve() {
		size := max(int64(v+0.5), 1)
		if i < n {
			out[i].request = size
		} else {
			out[i-n].response = size
		}
	}
	return out
}
