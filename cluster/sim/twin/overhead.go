package twin

import (
	"math"
	"slices"
	"time"

	"foresail.dev"
)

// solveOverhead finds what each message takes beside the operations' own work: CPU that no gap shows, and the time that
// calls last longer than what they call.
func (f *forest) solveOverhead() foresail.Overhead {
	// 1. The mean: c − own = callee + caller·calls, but for operations that wait for a disk, whose own time is no CPU.
	eq := newEquations(2)
	for _, o := range f.ops {
		if o.waits() > 0 {
			continue
		}
		weight := 0.0
		for _, v := range o.visits {
			weight += v.weight
		}
		eq.add([]int{0, 1}, []float64{1, o.calls}, o.cpu-o.own, weight)
	}
	x := eq.solve()
	callee, caller := x[0], x[1]
	if least := 1e-6; callee < least { // less than a clock can tell
		callee = 0
	}
	if caller < 1e-6 {
		caller = 0
	}
	out := foresail.Overhead{Caller: nanoseconds(caller), Callee: nanoseconds(callee)}
	f.ways(&out)
	return out
}

// ways sets how long messages are on their way: the median call lasts so much longer than the visit below it.
func (f *forest) ways(out *foresail.Overhead) {
	var longer []int64
	for _, o := range f.ops {
		for _, v := range o.clean {
			for i := range v.calls {
				longer = append(longer, v.calls[i].end-v.calls[i].start-v.calls[i].served)
			}
		}
	}
	if len(longer) > 0 {
		out.Network = max(time.Duration(median(longer))-out.Caller-out.Callee, 0) / 2
	}
	if len(f.users) > 0 {
		out.Users = max(time.Duration(median(f.users))-2*out.Network-out.Callee, 0)
	}
	f.late(out)
	const least = time.Microsecond
	if out.Network < least {
		out.Network = 0
	}
	if out.Users < least {
		out.Users = 0
	}
}

// lateFrom is by how much a call must last longer than most to show that one of its two messages was late.
const lateFrom = 500 * time.Microsecond

// late sets how many messages are late and by how much. What a call lasts longer than the visit below it, beyond what most
// do, is taken for exponential where it is long, so that its mean beyond lateFrom is its mean, and those that are shorter can be
// reckoned from those that are longer. Of very few late calls nothing is said.
func (f *forest) late(out *foresail.Overhead) {
	calls, late, sum := 0, 0, 0.0
	for _, o := range f.ops {
		longer := map[int][]int64{} // by callee
		for _, v := range o.visits {
			if v.broken {
				continue
			}
			for i := range v.calls {
				c := &v.calls[i]
				longer[c.op] = append(longer[c.op], c.end-c.start-c.served)
			}
		}
		for _, all := range longer {
			most := median(all) + int64(lateFrom)
			calls += len(all)
			for _, l := range all {
				if l > most {
					late++
					sum += float64(l - most)
				}
			}
		}
	}
	const few = 20
	if late < few {
		return
	}
	by := sum / float64(late)
	share := float64(late) / float64(calls) / 2 * math.Exp(float64(lateFrom)/by)
	out.Late, out.LateBy = min(share, 0.5), time.Duration(by)
}

func nanoseconds(s float64) time.Duration { return time.Duration(s*1e9 + 0.5) }

func median(v []int64) int64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// Own time beyond CPU is taken for waiting for a disk when that of the median visit is beyond it by more than both: some
// visits wait for a CPU, most don't.
const (
	ioShare = 0.25   // of CPU
	ioLeast = 0.3e-3 // seconds
)

// waits is the mean time that a visit waits for a disk.
func (o *operation) waits() float64 {
	if w := o.middle - o.cpu; w > ioLeast && w > ioShare*o.cpu {
		return max(o.own-o.cpu, 0)
	}
	return 0
}
