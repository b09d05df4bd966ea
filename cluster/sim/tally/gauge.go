package tally

import "foresail.dev"

// Gauge is a count that goes up and down. Instants are ns.
type Gauge struct {
	area   int64 // of n over time up to at, since the beat began
	at     int64
	n, max int32
}

// NewGauge is one that is 0 from an instant on.
func NewGauge(now int64) Gauge { return Gauge{at: now} }

// Add changes the count by d from now on.
func (g *Gauge) Add(now int64, d int32) {
	g.area += int64(g.n) * (now - g.at)
	g.at = now
	g.n += d
	g.max = max(g.max, g.n)
}

// Take tells the gauge over a beat of so many ns, which ends now, and begins the next.
func (g *Gauge) Take(now, beat int64) foresail.Gauge {
	g.Add(now, 0)
	out := foresail.Gauge{Last: float64(g.n), Mean: float64(g.area) / float64(beat), Max: float64(g.max)}
	g.area, g.max = 0, g.n
	return out
}

// Waits is how long at least one, and how long all together, were waiting for something. Instants are ns.
type Waits struct {
	n         int64
	at        int64
	some, all int64 // since the beat began
}

// Add changes how many wait by d from now on.
func (w *Waits) Add(now, d int64) {
	if w.n > 0 {
		w.some += now - w.at
		w.all += w.n * (now - w.at)
	}
	w.at = now
	w.n += d
}

// Take tells both, ns, over the beat that ends now, and begins the next.
func (w *Waits) Take(now int64) (some, all int64) {
	w.Add(now, 0)
	some, all = w.some, w.all
	w.some, w.all = 0, 0
	return some, all
}
