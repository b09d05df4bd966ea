package erms

import (
	"fmt"
	"math"

	"foresail.dev"
)

// ladder are the shares of their CPU that containers are made to use, in the busiest of the minutes that are looked back at, while it
// is explored how latency hangs on load.
var ladder = [...]float64{0.3, 0.45, 0.6, 0.7, 0.8}

// held is for how many minutes: in the first, part of the calls come while containers start.
const held = 2

// relief is the share after a minute in which more than nearly all was used, so that what has queued up is worked off.
const (
	relief = 0.4
	nearly = 0.92
)

// explore gives every service another share of its CPU to use, every two minutes, each by itself: the authors measure each
// microservice at several loads and numbers of containers before they scale by it.
func (m *Manager) explore(w *world) *foresail.Plan {
	turn := m.state.Explored - 1
	for i := range w.services {
		v := &w.services[i]
		if v.svc.Gone || v.from.Replicas == 0 || !(v.from.CPU > 0) || !(v.used >= 0) {
			continue
		}
		share := ladder[mix(m.c.Seed, uint64(turn/held), uint64(i))%uint64(len(ladder))]
		why := "to learn how latency hangs on load"
		need := v.used // cores
		if v.full > 0 && v.peak > 0 {
			need = max(need, v.from.CPU*v.peak/v.full)
		}
		switch {
		case v.used > nearly*v.from.Cores():
			share, why = relief, "after a minute in which nearly all was used"
		case turn%held != 0:
			continue
		}
		w.set(foresail.ServiceID(i), want{math.Ceil(need/(share*v.from.CPU) - 1e-9), foresail.Reason{Rule: "erms/explore",
			Text: fmt.Sprintf("minute %d of %d of exploring: %.2f cores in the busiest minute lately, %.0f %% of %.2f each, %s", m.state.Explored, m.c.Explore, need, share*100, v.from.CPU, why)}})
	}
	w.draft.Note(fmt.Sprintf("exploring, minute %d of %d", m.state.Explored, m.c.Explore))
	return w.draft.Plan()
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
