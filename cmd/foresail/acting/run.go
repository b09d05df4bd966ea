package acting

import (
	"context"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/cmd/foresail/seeing"
	"foresail.dev/loop"
	"foresail.dev/plan/seer"
)

// managed is one run under a manager.
type managed struct {
	*seeing.Operated
	cores   float64  // core-seconds that all replicas held
	seconds float64  // that this was observed over
	dangers []danger // where the manager was wrapped
}

// danger is one that lasted, as the wrapper saw it.
type danger struct {
	service  foresail.ServiceID
	from, to time.Time
	extra    float64 // core-seconds that the service held beyond what it would have without
}

func (d *danger) touches(from, to time.Time) bool { return !d.from.After(to) && !d.to.Before(from) }

// run simulates one seed under a manager.
func run(ctx context.Context, o seeing.Operation, seed uint64, build func(*foresail.App) (foresail.Manager, error)) (*managed, error) {
	out := &managed{}
	var wrapper *seer.Manager
	o.Manager = func(app *foresail.App) (foresail.Manager, error) {
		m, err := build(app)
		wrapper, _ = m.(*seer.Manager)
		return m, err
	}
	open := map[foresail.ServiceID]int{} // where in dangers it is
	o.Events = loop.Events{
		Observed: func(_ *foresail.History, s *foresail.Snapshot) {
			d := s.Duration().Seconds()
			if t := s.Totals(); t.Held {
				out.cores += t.Cores * d
				out.seconds += d
			}
			if wrapper == nil {
				return
			}
			for _, x := range wrapper.Dangers() { // those that were acted on while this was observed
				i, ok := open[x.Service]
				if ok && int(x.Service) < len(s.Services) && s.Services[x.Service].Has.Has(foresail.SignalAllocation) {
					out.dangers[i].extra += max(s.Services[x.Service].Allocation.Cores()-x.Base.Cores(), 0) * d
				}
			}
		},
		Decided: func(d loop.Decision) {
			if wrapper == nil {
				return
			}
			now := wrapper.Dangers()
			for _, x := range now {
				i, ok := open[x.Service]
				if !ok || !out.dangers[i].from.Equal(x.Since) {
					i = len(out.dangers)
					open[x.Service] = i
					out.dangers = append(out.dangers, danger{service: x.Service, from: x.Since})
				}
				out.dangers[i].to = d.At
			}
			for s := range open {
				if !slices.ContainsFunc(now, func(x seer.Danger) bool { return x.Service == s }) {
					delete(open, s)
				}
			}
		},
	}
	var err error
	out.Operated, err = o.Run(ctx, seed)
	return out, err
}
