package random

import (
	"math"
	"math/rand/v2"
)

// place is a node of an endpoint's call graph, yet without a service.
type place struct {
	depth    int
	children []int // indices into the graph
}

// burr draws from Burr XII with shape 1: F(x) = 1 - 1/(1+(x/scale)^c), which is log-logistic.
func burr(rng *rand.Rand) float64 {
	const scale, c = 10, 1.47 // a median of 10 places, which are 9 services; a tenth beyond 40
	u := rng.Float64()
	return scale * math.Pow(u/(1-u), 1/c)
}

// poisson draws by multiplying uniforms (Knuth); means here are small.
func poisson(rng *rand.Rand, mean float64) (n int) {
	for p := rng.Float64(); p > math.Exp(-mean); n++ {
		p *= rng.Float64()
	}
	return n
}

// graph draws the places of an endpoint's call graph, at most `most` of them; the first is the entry. A place comes
// before those that it calls.
func graph(rng *rand.Rand, depth, fanOut float64, most int) []place {
	deep := min(1+poisson(rng, depth-1), most-1)
	n := min(max(int(math.Round(burr(rng))), deep+1), most)
	// Callers first: a chain as deep as the graph, less its last place, and others that hang from any of it but its end.
	callers := max(deep, int(math.Ceil(float64(n-1)/fanOut)))
	callers = max(deep, min(callers, (n+deep-1)/2)) // each needs someone to call
	if deep == 1 {
		callers = 1
	}
	g := make([]place, 0, n)
	add := func(parent int) {
		g = append(g, place{depth: g[parent].depth + 1})
		g[parent].children = append(g[parent].children, len(g)-1)
	}
	g = append(g, place{})
	for len(g) < deep {
		add(len(g) - 1)
	}
	for len(g) < callers {
		if p := rng.IntN(len(g)); g[p].depth <= deep-2 {
			add(p)
		}
	}
	// Then leaves: one for each caller that has nobody to call, the others anywhere.
	for p := range callers {
		if len(g[p].children) == 0 {
			add(p)
		}
	}
	for len(g) < n {
		add(rng.IntN(callers))
	}
	return g
}
