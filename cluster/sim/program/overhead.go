package program

import (
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim/chance"
)

// Overhead is foresail.Overhead in nanoseconds, CPU halved between before and after.
type Overhead struct {
	Caller, Callee, Users, Network, Report, Every int64
	Stretch, Late, LateBy                         float64
}

func (c *compiler) overhead(o *foresail.Overhead) {
	for _, d := range []time.Duration{o.Caller, o.Callee, o.Network, o.Users, o.Report, o.ReportEvery} {
		c.fault(d < 0 || d > time.Hour, "overhead", "%v is negative or longer than an hour", d)
	}
	c.fault(o.Stretch != 0 && !(o.Stretch >= 1 && o.Stretch <= 100), "overhead", "stretch %v is outside 1..100", o.Stretch)
	c.fault((o.Report > 0) != (o.ReportEvery > 0), "overhead", "report and its interval come together, or not at all")
	c.fault(!(o.Late >= 0 && o.Late <= 1) || o.LateBy < 0 || o.LateBy > time.Hour || (o.Late > 0) != (o.LateBy > 0), "overhead",
		"%v of messages late by %v: give a share up to 1 and a time, or neither", o.Late, o.LateBy)
	c.p.Overhead = Overhead{
		Caller: int64(o.Caller) / 2, Callee: int64(o.Callee) / 2, Users: int64(o.Users) / 2, Network: int64(o.Network),
		Report: int64(o.Report), Every: int64(o.ReportEvery), Stretch: max(o.Stretch, 1), Late: o.Late, LateBy: float64(o.LateBy),
	}
}

// stretched is a demand with what the runtime takes while it computes.
func (c *compiler) stretched(d foresail.Dist) chance.Demand {
	d.Mean *= c.p.Overhead.Stretch
	return chance.NewDemand(d)
}
