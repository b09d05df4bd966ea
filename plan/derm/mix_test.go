package derm

import (
	"math"
	"math/rand/v2"
	"testing"

	"foresail.dev"
)

// Mixes under which services get about as many visits are one kind, whose most visits are held; others are held by themselves.
func TestKindsOfMixes(t *testing.T) {
	o := &outlook{expected: mix{visits: []float64{100, 50}}, others: []mix{{visits: []float64{104, 48}}, {visits: []float64{40, 90}}, {visits: []float64{98, 52}}}}
	kinds := o.alike()
	if len(kinds) != 2 || kinds[0].visits[0] != 104 || kinds[0].visits[1] != 52 || kinds[1].visits[1] != 90 {
		t.Errorf("%d kinds: %+v", len(kinds), kinds)
	}
	o.others = nil
	for i := range 40 {
		o.others = append(o.others, mix{visits: []float64{float64(200 * (i + 1)), 1}})
	}
	if kinds = o.alike(); len(kinds) != mostKinds || kinds[mostKinds-1].visits[0] != 8000 {
		t.Errorf("%d kinds, the last with %v", len(kinds), kinds[len(kinds)-1].visits)
	}
}

// Requests of ten seconds are pooled with those of minutes that may have the same mix, and not with others.
func TestRequestsOfTheSameMix(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	draw := func(n int, p []float64) []float64 {
		out := make([]float64, len(p))
		for range n {
			u := rng.Float64()
			for e, q := range p {
				if u -= q; u < 0 || e == len(p)-1 {
					out[e]++
					break
				}
			}
		}
		return out
	}
	one, other := []float64{0.6, 0.3, 0.1}, []float64{0.5, 0.3, 0.2}
	wrong := 0
	for range 200 {
		a := draw(2000, one)
		if !same(a, 2000, draw(12000, one), 12000) {
			wrong++
		}
		if same(a, 2000, draw(12000, other), 12000) {
			wrong++
		}
	}
	if wrong > 25 {
		t.Errorf("%d of 400 were told wrongly", wrong)
	}
}

// Where the mix of the last seconds has been there before, its rest is expected as it was then, and so is the rate.
func TestComing(t *testing.T) {
	a, _ := foresail.NewForm(0, []foresail.Visit{{Parent: -1, Operation: "a", Times: 1}})
	b, _ := foresail.NewForm(1, []foresail.Visit{{Parent: -1, Operation: "b", Times: 1}})
	m := &Manager{c: Config{Memory: 30}}
	for range 3 {
		m.state.Minutes = append(m.state.Minutes, minute{Rate: 100, Forms: []counted{{a, 80}, {b, 20}}}, minute{Rate: 100, Forms: []counted{{a, 30}, {b, 70}}})
	}
	got := m.coming([]float64{820, 215}, 10)
	if math.Abs(got[0]-80) > 0.5 || math.Abs(got[1]-20) > 0.5 {
		t.Errorf("%v, and 80 and 20 came before", got)
	}
	got = m.coming([]float64{1000, 1000}, 10) // neither the mix nor the rate was there before
	if got[0] != 100 || got[1] != 100 {
		t.Errorf("%v of 1000 and 1000 in ten seconds", got)
	}
	if got = m.coming([]float64{0, 0}, 10); got[0] != 0 {
		t.Errorf("%v of none", got)
	}
}
