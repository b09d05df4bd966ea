package load

import (
	"math"
	"math/rand/v2"
	"time"
)

// Place is where in the call graph a service stands.
type Place struct {
	Entry       bool    // users call it
	InDegree    int     // of the others: how many services call it; 0 means 1
	Probability float64 // of the others: of a call by a request of those, times the number of calls
}

// Minutes are a service's calls in each minute of so many days, from the midnight that begins a Monday: synthetic, see
// Uncertain. What differs from service to service (how many calls, when its peak is, how deep its nights and its weekends
// are) is drawn from seed, and so is the rest: the same seed always gives the same counts, which are whole numbers. A
// service's calls are the fewer the less often it is called.
func Minutes(seed uint64, days int, p Place) []float64 {
	rng := rand.New(rand.NewPCG(seed, 0x6d61647531))
	high := 4000 * math.Exp(0.7*rng.NormFloat64()) // calls a minute
	if !p.Entry {
		high = math.Max(high*math.Min(math.Max(p.Probability, 0.01)*float64(max(p.InDegree, 1)), 10), 60)
	}
	u := Uncertain{High: high, Low: high * (0.15 + 0.25*rng.Float64()), Peak: 0.45 + 0.3*rng.Float64(),
		Weekend: 0.55 + 0.35*rng.Float64(), Spread: Spread(p.Entry, p.InDegree, p.Probability), Seed: rng.Uint64() | 1}
	out := make([]float64, max(days, 0)*1440)
	for i := range out {
		out[i] = poisson(u.Level(time.Duration(i)*time.Minute), rng)
	}
	return out
}

// poisson draws a count by its mean; of thirty and more it is the nearest whole number of a normal one, which is closer
// than a series of counts can tell.
func poisson(mean float64, rng *rand.Rand) float64 {
	if mean > 30 {
		return math.Max(math.Round(mean+math.Sqrt(mean)*rng.NormFloat64()), 0)
	}
	n := 0.0
	for left := mean - rng.ExpFloat64(); left > 0; left -= rng.ExpFloat64() {
		n++
	}
	return n
}
