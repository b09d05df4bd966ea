package twin

import (
	"foresail.dev"
)

// second is how long the intervals of the equations are: long enough for a visit to lie within one mostly.
const second = int64(1e9)

// trust is how far from its share by time an operation's CPU may lie, as a standard deviation.
const trust = 0.5

// bins are what was counted in each second of the run.
type bins struct {
	start  int64
	n      int
	visits []map[int]float64 // by second: visits that ended, by operation
	calls  []map[[2]int]float64
}

func (f *forest) bin(snapshots []*foresail.Snapshot) *bins {
	first, last := snapshots[0].Start.UnixNano(), snapshots[len(snapshots)-1].End.UnixNano()
	b := &bins{start: first, n: int((last-first)/second) + 1}
	b.visits, b.calls = make([]map[int]float64, b.n), make([]map[[2]int]float64, b.n)
	for i := range b.visits {
		b.visits[i], b.calls[i] = map[int]float64{}, map[[2]int]float64{}
	}
	for _, o := range f.ops {
		for _, v := range o.visits {
			if at := b.at(v.end - 1); at >= 0 {
				b.visits[at][v.op] += v.weight
				for i := range v.calls {
					b.calls[at][[2]int{v.op, v.calls[i].op}] += v.weight
				}
			}
		}
	}
	return b
}

// at is the second that an instant lies in; -1: none.
func (b *bins) at(t int64) int {
	if t < b.start || t >= b.start+int64(b.n)*second {
		return -1
	}
	return int((t - b.start) / second)
}

// each calls f with what a quantity of a service was in each second of which all snapshots have it.
func (b *bins) each(snapshots []*foresail.Snapshot, id foresail.ServiceID, signal foresail.Signals, value func(*foresail.Usage) float64, f func(at int, sum float64)) {
	sum, covered := make([]float64, b.n), make([]int64, b.n)
	for _, s := range snapshots {
		at := b.at(s.Start.UnixNano())
		if at >= 0 && int(id) < len(s.Services) && s.Services[id].Has.Has(signal) {
			sum[at] += value(&s.Services[id].Usage)
			covered[at] += int64(s.Duration())
		}
	}
	for at := range sum {
		if covered[at] >= second*9/10 {
			f(at, sum[at])
		}
	}
}

// solveCPU finds the CPU of each visit of a service's operations.
func (f *forest) solveCPU(b *bins, snapshots []*foresail.Snapshot, id foresail.ServiceID, ops []int) {
	column := map[int]int{}
	for i, o := range ops {
		column[o] = i
	}
	used, explained, seconds := 0.0, 0.0, 0.0
	eq := newEquations(len(ops))
	residual := func(kappa float64, each func(at int, cpu float64, cols []int, counts []float64, miss float64)) {
		b.each(snapshots, id, foresail.SignalCPU, func(u *foresail.Usage) float64 { return u.CPU }, func(at int, cpu float64) {
			var cols []int
			var counts []float64
			by := 0.0
			for i, o := range ops {
				if n := b.visits[at][o]; n > 0 {
					cols, counts = append(cols, i), append(counts, n)
					by += n * f.ops[o].own
				}
			}
			each(at, cpu, cols, counts, cpu-kappa*by)
		})
	}
	residual(0, func(_ int, cpu float64, cols []int, counts []float64, _ float64) {
		used += cpu
		for i, c := range cols {
			explained += counts[i] * f.ops[ops[c]].own
		}
	})
	if explained <= 0 {
		return
	}
	kappa, noise := used/explained, 0.0
	residual(kappa, func(_ int, _ float64, _ []int, _ []float64, miss float64) {
		noise += miss * miss
		seconds++
	})
	noise = noise/seconds + 1e-12
	residual(kappa, func(_ int, cpu float64, cols []int, counts []float64, _ float64) { eq.add(cols, counts, cpu, 1/noise) })
	for i, o := range ops {
		if near := kappa * f.ops[o].own; near > 0 {
			eq.near(i, near, 1/(trust*trust*near*near))
		}
	}
	for i, c := range eq.solve() {
		f.ops[ops[i]].cpu = c
	}
}
