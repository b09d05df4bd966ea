package latency

import (
	"math"
	"math/rand/v2"
	"slices"

	"foresail.dev/model/latency/learner"
)

// WeightConfig says how weights are looked for. Zero fields mean what is said.
type WeightConfig struct {
	Population int // 0: 20
	Rounds     int // 0: 60
	Seed       uint64
	// Earlier weights that the population begins with, besides those in use: of days before, say. Those of another length
	// are passed over.
	Earlier [][]float64
	Stop    func() bool // asked before each round; nil: nobody
}

// WeightOutputs gives each model the weight, 0 to 1, with which their weighted mean (eq 2) misses a table least, in absolute
// error, by differential evolution (LA.output_weighting, §4.1). It returns that error, in the metric's unit.
func (a *Assignment) WeightOutputs(t *Table, cfg WeightConfig) (float64, error) {
	p, err := a.NewPredictor()
	if err != nil {
		return 0, err
	}
	inputs := a.Inputs()
	d, err := a.data(t, inputs)
	if err != nil {
		return 0, err
	}
	each := make([][]float64, len(a.models)) // what each model says of each row
	room := make([]float64, len(inputs))
	for k, m := range a.models {
		one := &Predictor{inputs: len(inputs), row: p.row, models: []part{{m.Inputs, 1, learner.NewPredictor(m.learned)}}}
		for i := range d.Y {
			copy(room, d.Row(i))
			each[k] = append(each[k], one.Value(room))
		}
	}
	miss := func(w []float64) float64 {
		all := 0.0
		for _, v := range w {
			all += v
		}
		if all < 1e-9 {
			return math.Inf(1)
		}
		sum := 0.0
		for i, y := range d.Y {
			v := 0.0
			for k := range w {
				v += w[k] * each[k][i]
			}
			sum += math.Abs(v/all-y) / float64(len(d.Y))
		}
		return sum
	}
	begin := [][]float64{a.Weights()}
	for _, w := range cfg.Earlier {
		if len(w) == len(a.models) {
			begin = append(begin, w)
		}
	}
	best, least := evolve(miss, len(a.models), begin, cfg)
	a.models = slices.Clone(a.models)
	for k, w := range best {
		a.models[k].Weight = w
	}
	return least, nil
}

// evolve is differential evolution (Storn and Price, 1997; DE/rand/1/bin) over [0,1]^n: the population begins with what is
// given, and at random.
func evolve(miss func([]float64) float64, n int, begin [][]float64, cfg WeightConfig) ([]float64, float64) {
	size, rounds := cfg.Population, cfg.Rounds
	if size == 0 {
		size = 20
	}
	if rounds == 0 {
		rounds = 60
	}
	size = max(size, 4, len(begin))
	const mutation, crossing = 0.7, 0.8 // within the ranges that the authors advise
	r := rand.New(rand.NewPCG(cfg.Seed, 0xde))
	all, worth := make([][]float64, size), make([]float64, size)
	for i := range all {
		all[i] = make([]float64, n)
		for k := range all[i] {
			all[i][k] = r.Float64()
		}
		if i < len(begin) {
			for k, v := range begin[i] {
				all[i][k] = min(max(v, 0), 1)
			}
		}
		worth[i] = miss(all[i])
	}
	trial := make([]float64, n)
	for range rounds {
		if cfg.Stop != nil && cfg.Stop() {
			break
		}
		for i := range all {
			a, b, c := r.IntN(size), r.IntN(size), r.IntN(size)
			always := r.IntN(n)
			for k := range trial {
				trial[k] = all[i][k]
				if k == always || r.Float64() < crossing {
					trial[k] = min(max(all[a][k]+mutation*(all[b][k]-all[c][k]), 0), 1)
				}
			}
			if w := miss(trial); w <= worth[i] {
				copy(all[i], trial)
				worth[i] = w
			}
		}
	}
	best := 0
	for i, w := range worth {
		if w < worth[best] {
			best = i
		}
	}
	return all[best], worth[best]
}
