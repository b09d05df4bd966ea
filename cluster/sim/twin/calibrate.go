package twin

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"foresail.dev"
)

// ReportEvery is how long after the first request since its last report a replica of the testbed reports.
const ReportEvery = 100 * time.Millisecond

// Calibrate finds what a platform takes beside what operations demand, from a run of an application whose demands are
// known: CPU(t) of each service is, for each of its visits and calls,
//
//	CPU(t) = visits·callee + calls·caller + demand·stretch + reports·report
//
// with demand ≥ what its blueprint says, solved by least squares over all services and seconds. So the application needs
// operations of much and of little work, with calls and without, and a load that changes. Each service has one replica;
// its demand should hardly vary. How long messages are on their way is what calls last longer than the visits below
// them, less the CPU that goes on meanwhile.
func Calibrate(in Input, bp *foresail.Blueprint) (foresail.Overhead, error) {
	if err := in.validate(); err != nil {
		return foresail.Overhead{}, err
	}
	f := grow(&in)
	if err := f.complete(); err != nil {
		return foresail.Overhead{}, err
	}
	demands := make([]float64, len(f.ops))
	for i, o := range f.ops {
		ops := bp.Services[o.service].Operations
		k := slices.IndexFunc(ops, func(op foresail.Operation) bool { return op.Name == o.name })
		if k < 0 {
			return foresail.Overhead{}, fmt.Errorf("twin: service %s has no operation %q, of which there are spans", in.App.Services[o.service].Name, o.name)
		}
		demands[i] = cpuOf(ops[k].Steps)
	}
	b := f.bin(in.Snapshots)
	eq := newEquations(4)
	rows := 0
	for id := range in.App.Services {
		reports := f.reports(b, foresail.ServiceID(id))
		b.each(in.Snapshots, foresail.ServiceID(id), foresail.SignalCPU, func(u *foresail.Usage) float64 { return u.CPU }, func(at int, cpu float64) {
			visits, calls, demand := 0.0, 0.0, 0.0
			for _, o := range f.of(foresail.ServiceID(id)) {
				visits += b.visits[at][o]
				demand += b.visits[at][o] * demands[o]
				for callee := range f.ops {
					calls += b.calls[at][[2]int{o, callee}]
				}
			}
			rows++
			eq.add([]int{0, 1, 2, 3}, []float64{visits, calls, demand, reports[at]}, cpu-demand, 1)
		})
	}
	if rows < 10 {
		return foresail.Overhead{}, errors.New("twin: fewer than ten seconds of snapshots: run longer")
	}
	x := eq.solve()
	out := foresail.Overhead{Callee: nanoseconds(x[0]), Caller: nanoseconds(x[1]), Stretch: 1 + x[2]}
	if out.Report = nanoseconds(x[3]); out.Report > 0 {
		out.ReportEvery = ReportEvery
	}
	f.ways(&out)
	return out, nil
}

// reports counts, by second, the reports of a service that makes one so long after the first visit since the last.
func (f *forest) reports(b *bins, id foresail.ServiceID) []float64 {
	var ends []int64
	for _, o := range f.of(id) {
		for _, v := range f.ops[o].visits {
			ends = append(ends, v.end)
		}
	}
	slices.Sort(ends)
	out := make([]float64, b.n)
	due := int64(0)
	for _, e := range ends {
		if e < due {
			continue
		}
		due = e + int64(ReportEvery)
		if at := b.at(due); at >= 0 {
			out[at]++
		}
	}
	return out
}

// cpuOf is the mean CPU of the steps of an operation.
func cpuOf(steps []foresail.Step) (sum float64) {
	for i := range steps {
		sum += steps[i].Work.CPU.Mean
		for k := range steps[i].Calls {
			if c := &steps[i].Calls[k]; c.Cached {
				sum += c.Probability * float64(max(c.Repeat, 1)) * (1 - c.Hit) * cpuOf(c.Miss)
			}
		}
	}
	return sum
}
