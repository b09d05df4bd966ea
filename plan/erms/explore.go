package erms

import (
	"fmt"
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
)

// ladder are the shares of their CPU that containers are made to use, in the busiest of the minutes that are looked back at, while it
// is explored how latency hangs on load. The authors' data are of 10 to 90 %.
var ladder = [...]float64{0.3, 0.5, 0.65, 0.75, 0.85, 0.92}

// A step of exploring begins when containers are asked for. Once all are there, and were for the time that they take to warm up and
// calls to be worked off that queued up before, it is looked at services for a while. Where containers do not come it is ended.
const (
	settling = 10 * time.Second
	looking  = 15 * time.Second
	longest  = 2 * time.Minute
)

// nearly is the share of its CPU from which on a service has used it up, and relief the share that its containers are to use next, so
// that what has queued up is worked off.
const (
	nearly = 0.9
	relief = 0.4
)

// explore gives every service another share of its CPU to use, step by step, each by itself: the authors measure each microservice at
// several loads and numbers of containers before they scale by it.
func (m *Manager) explore(h *foresail.History) *foresail.Plan {
	s := &m.state
	now := h.Now()
	if s.Asked.After(now) {
		s.Asked, s.Settled = time.Time{}, time.Time{}
	}
	settled := m.settled(h)
	switch {
	case !settled:
		s.Settled = time.Time{}
	case s.Settled.IsZero():
		s.Settled = now
	}
	over := settled && now.Sub(s.Settled) >= settling+looking
	if over {
		m.profiles.Observe(h.App(), h.Over(looking))
	}
	if !s.Asked.IsZero() && !over && now.Sub(s.Asked) < longest {
		return nil
	}
	s.Asked, s.Settled = now, time.Time{}
	s.Steps++
	return m.step(h)
}

// settled reports whether all containers are there that were asked for.
func (m *Manager) settled(h *foresail.History) bool {
	beats := h.Beats(10)
	for i := range h.App().Services {
		st := plan.Latest(beats, foresail.ServiceID(i), foresail.SignalAllocation|foresail.SignalReady)
		if st != nil && !h.App().Services[i].Gone && (st.Pending != nil || st.Ready != st.Allocation.Replicas) {
			return false
		}
	}
	return true
}

// step draws what each service is to use next.
func (m *Manager) step(h *foresail.History) *foresail.Plan {
	latest := h.Over(looking)
	minutes := plan.Tail(h.Minutes(m.c.Window), time.Duration(m.c.Window)*time.Minute)
	beats := h.Beats(10)
	d := plan.NewDraft(h, m.Name())
	for i := range h.App().Services {
		svc, id := &h.App().Services[i], foresail.ServiceID(i)
		from, known := plan.Wanted(svc, plan.Latest(beats, id, foresail.SignalAllocation))
		used, over := plan.Cores([]*foresail.Snapshot{latest}, id)
		if svc.Gone || from.Replicas == 0 || !(from.CPU > 0) || over <= 0 || !sane(used) {
			continue
		}
		share := ladder[mix(m.c.Seed, uint64(m.state.Steps), uint64(i))%uint64(len(ladder))]
		why := "to learn how latency hangs on load"
		need := max(used, busiest(minutes, id))
		if used > nearly*from.Cores() {
			share, why = relief, "since it has used up nearly all"
		}
		to := from
		to.Replicas = int(min(max(math.Ceil(need/(share*from.CPU)-1e-9), 1), 1e6))
		d.Set(id, svc, from, to, plan.Admit(foresail.Reason{Rule: "erms/explore",
			Text: fmt.Sprintf("exploring, step %d: %.2f cores at most lately, %.0f %% of %.2f each, %s", m.state.Steps, need, share*100, from.CPU, why)}, known))
	}
	d.Note(fmt.Sprintf("exploring, minute %d of %d", min(m.state.Explored+1, m.c.Explore), m.c.Explore))
	return d.Plan()
}

// busiest is how many cores a service used in the busiest of minutes.
func busiest(minutes []*foresail.Snapshot, id foresail.ServiceID) (most float64) {
	for _, x := range minutes {
		if cores, over := plan.Cores([]*foresail.Snapshot{x}, id); over > 0 && sane(cores) {
			most = max(most, cores)
		}
	}
	return most
}

// mix draws a number by what it is for (SplitMix64).
func mix(of ...uint64) (x uint64) {
	for _, v := range of {
		x += v + 0x9e3779b97f4a7c15
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		x ^= x >> 31
	}
	return x
}
