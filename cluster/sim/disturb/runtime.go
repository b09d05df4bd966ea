package disturb

import (
	"math"

	"foresail.dev/cluster/sim/chance"
	"foresail.dev/cluster/sim/des"
)

// What goes wrong in a replica's own runtime: pauses to collect garbage, and memory that leaks.

// pace draws how long a pause, or the time to the next, is, in times of its mean; the first is a part of one.
func (f *trouble) pace(r *Replica) float64 {
	if r.Harm.pause == des.None && !r.Stopped {
		own := chance.Stream(chance.Mix(uint64(f.rnd) ^ uint64(r.Asked) ^ uint64(len(f.hits))*chance.Golden))
		return own.Float()
	}
	return 1 + f.Jitter*(2*f.rnd.Float()-1)
}

// pause begins or ends a pause of a replica's threads.
func (t *Troubles) pause(id, i int32) {
	r, f := t.cfg.Simulation.Replica(id), &t.list[i]
	wait := f.Length
	if r.Stopped {
		wait = f.Period - f.Length
	}
	r.Stopped = !r.Stopped
	t.cfg.Simulation.Stop(id, r.Stopped)
	r.Harm.pause = t.at(t.now()+max(int64(float64(wait)*f.pace(&r)), 1), onPause, id, i)
}

// Leaked is what a replica has lost by now, in bytes.
func (h *Harm) Leaked(now int64) int64 {
	if h.leaks == 0 {
		return 0
	}
	return int64(h.leaks * float64(now-h.since) * 1e-9)
}

// fillUp looks again when a replica's memory may be used up.
func (t *Troubles) fillUp(id int32) {
	r := t.cfg.Simulation.Replica(id)
	left := float64(r.Most-r.Memory-r.Harm.Leaked(t.now())) / r.Harm.leaks // seconds
	r.Harm.full = t.at(t.now()+max(int64(math.Min(left, 1e6)*1e9), int64(1e6)), onFull, id, 0)
}

// filled restarts a replica whose memory is used up.
func (t *Troubles) filled(id int32) {
	r := t.cfg.Simulation.Replica(id)
	r.Harm.full = des.None
	if r.Memory+r.Harm.Leaked(t.now()) < r.Most || !t.cfg.Simulation.Restart(id) {
		t.fillUp(id)
	}
}
