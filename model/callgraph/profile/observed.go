package profile

import (
	"errors"
	"fmt"
	"slices"

	"foresail.dev"
)

// place of the 95th percentile in levels.
const p95 = 14

// Pieces fits Erms's model to what was observed of a service, all its operations together, without interference. Where two
// rising pieces can't be told, both are the one line that rises, and One is set, or Flat where none does; where there are too
// few observations to tell, an error says so.
func (p *Profiler) Pieces(s foresail.ServiceID) (*Pieces, error) {
	if int(s) < 0 || int(s) >= len(p.services) || len(p.services[s].all.seen) == 0 {
		return nil, fmt.Errorf("service %d: nothing was observed of it: %w", s, ErrRuns)
	}
	v := &p.services[s]
	var runs []Run
	for i := range v.all.seen {
		e := &v.all.seen[i]
		if e.Unsteady || e.Spent || weigh(e, e.End, v.now.cpu, p.cfg) == 0 {
			continue
		}
		r := Run{Load: 60 * e.Load, P95: 1e6 * e.Quantiles[p95]}
		for _, u := range v.usage {
			if u.End == e.End {
				r.Used = u.Used / u.CPU
			}
		}
		runs = append(runs, r)
	}
	fit, err := FitPieces(runs)
	if errors.Is(err, ErrRuns) {
		if fit, _, err := sift(runs); err == nil {
			switch one, ok := straight(fit); {
			case len(fit) < 2*fewest: // too few to tell
			case ok && one.C > 0:
				one.Accuracy = accuracy(one, fit)
				return &Pieces{Before: one, After: one, One: true, Knee: slices.MaxFunc(fit, byLoad).Load}, nil
			default:
				flat := lowPieces(fit)
				flat.Low, flat.Flat = false, true
				return flat, nil
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("service %d (%s): %w", s, v.name, err)
	}
	return fit, nil
}
