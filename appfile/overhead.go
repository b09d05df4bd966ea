package appfile

import (
	"time"

	"foresail.dev"
)

// overheads are what the platform takes beside what operations demand.
type overheads struct {
	Caller      time.Duration `yaml:"caller" rule:"max=1s"`
	Callee      time.Duration `yaml:"callee" rule:"max=1s"`
	Network     time.Duration `yaml:"network" rule:"max=1s"`
	Users       time.Duration `yaml:"users" rule:"max=1s"`
	Stretch     float64       `yaml:"stretch" rule:"min=1,max=100"`
	Late        Share         `yaml:"late"`
	LateBy      time.Duration `yaml:"late_by" rule:"max=1s"`
	Report      time.Duration `yaml:"report" rule:"max=1s"`
	ReportEvery time.Duration `yaml:"report_every" rule:"max=1h"`
	Note        string        `yaml:"note"`
}

func (b *builder) overhead(o *overheads) {
	at := b.at.At("overheads")
	if (o.Report > 0) != (o.ReportEvery > 0) {
		at.Faultf("report and report_every come together, or not at all")
	}
	if (o.Late > 0) != (o.LateBy > 0) {
		at.Faultf("late and late_by come together, or not at all")
	}
	b.out.Overhead = foresail.Overhead{Caller: o.Caller, Callee: o.Callee, Network: o.Network, Users: o.Users,
		Stretch: o.Stretch, Late: float64(o.Late), LateBy: o.LateBy, Report: o.Report, ReportEvery: o.ReportEvery}
}
