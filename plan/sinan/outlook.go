package sinan

import (
	"math"

	"foresail.dev"
	"foresail.dev/model/tail"
)

// foresee says in the plan what is expected of the candidate that was taken, and how far the model is trusted; p is nil where
// it was not asked.
func (d *decision) foresee(p *tail.Prediction) {
	t := &d.m.state.Trust
	out := foresail.Outlook{Trusted: !t.lost(), Scored: len(t.Ring), Missed: t.missed()}
	if p != nil {
		l := &d.limits
		if ms := p.Latency[l.percentile]; !math.IsNaN(ms) && !math.IsInf(ms, 0) && !math.IsNaN(p.Violation) {
			out.Known, out.Percentile = true, tail.Percentiles[l.percentile]*100
			out.Latency, out.Limit, out.Violation = ms/1000, l.latency/1000, p.Violation
		}
	}
	d.draft.Foresee(out)
}
