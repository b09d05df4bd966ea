package twin

import (
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
	const least = time.Microsecond
	if out.Network < least {
		out.Network = 0
	}
	if out.Users < least {
		out.Users = 0
	}
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
