package latency

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"foresail.dev/model/latency/learner"
)

// SelectConfig says how inputs are selected.
type SelectConfig struct {
	Keep    int      // how many of the candidates
	Among   []string // the candidates; nil: all external inputs. The others are always kept
	Rounds  int      // combinations that are tried at most; 0: 40
	Settled int      // rounds in which the same is drawn, after which it is done; 0: 5
	Seed    uint64
	// Favour has α to begin with for some candidates, in place of 1: what is larger is drawn sooner.
	Favour map[string]float64
	// Learn is what a combination is tried with: its error is that of cross-validation.
	Learn learner.Config
	Stop  func() bool // asked before each round but the first; nil: nobody
}

// SelectInputs looks for the inputs that matter (LA.input_selection, §4.1), by Thompson sampling. Each candidate has a Beta
// distribution of the probability that it belongs there, uniform to begin with (the paper's α = β = 0 is no distribution).
// A round draws from each and tries those that drew highest: where the error of cross-validation (for eq 1) is below that of
// the first round, their α grows by one, otherwise their β. In the end those are kept that drew highest once more, unless a
// combination that was tried had a lower error than they have.
//
// It returns the labels of all inputs that should be looked at, the others included, for Add. The assignment stays as it is.
func (a *Assignment) SelectInputs(t *Table, cfg SelectConfig) ([]string, error) {
	among := cfg.Among
	if among == nil {
		among = a.external
	}
	all := a.Inputs()
	var fixed []string
	for _, in := range all {
		if !slices.Contains(among, in) {
			fixed = append(fixed, in)
		}
	}
	for _, in := range among {
		if !slices.Contains(all, in) {
			return nil, fmt.Errorf("the assignment of %s has no input %s to select", a.Output(), in)
		}
	}
	if cfg.Keep < 0 {
		return nil, fmt.Errorf("selecting %d inputs of %s: it must be at least 0", cfg.Keep, a.Output())
	}
	if cfg.Keep >= len(among) {
		return all, nil
	}
	s := &selection{cfg: cfg, among: among, alpha: make([]float64, len(among)), beta: make([]float64, len(among)), r: rand.New(rand.NewPCG(cfg.Seed, 0x7403)), known: map[string]float64{}}
	for i, in := range among {
		s.alpha[i], s.beta[i] = 1, 1
		if v, ok := cfg.Favour[in]; ok && v > 0 {
			s.alpha[i] = v
		}
	}
	best, err := s.run(func(chosen []int) (float64, error) {
		inputs := slices.Clone(fixed)
		for _, i := range chosen {
			inputs = append(inputs, among[i])
		}
		d, err := a.data(t, inputs)
		if err != nil {
			return 0, err
		}
		_, report, err := learner.Search(cfg.Learn, d)
		return report.Error, err
	})
	if err != nil {
		return nil, fmt.Errorf("selecting inputs of %s: %w", a.Output(), err)
	}
	keep := map[string]bool{}
	for _, i := range best {
		keep[among[i]] = true
	}
	return slices.DeleteFunc(all, func(in string) bool { return slices.Contains(among, in) && !keep[in] }), nil
}

type selection struct {
	cfg         SelectConfig
	among       []string
	alpha, beta []float64
	r           *rand.Rand
	known       map[string]float64 // error by combination, so that none is tried twice
}

func (s *selection) run(miss func([]int) (float64, error)) ([]int, error) {
	rounds, settled := s.cfg.Rounds, s.cfg.Settled
	if rounds == 0 {
		rounds = 40
	}
	if settled == 0 {
		settled = 5
	}
	try := func(chosen []int) (float64, error) {
		key := fmt.Sprint(chosen)
		if v, ok := s.known[key]; ok {
			return v, nil
		}
		v, err := miss(chosen)
		s.known[key] = v
		return v, err
	}
	var best, last []int
	first, least, same := 0.0, math.Inf(1), 0
	for round := range rounds {
		if round > 0 && s.cfg.Stop != nil && s.cfg.Stop() {
			return best, nil
		}
		chosen := s.draw()
		v, err := try(chosen)
		if err != nil {
			return nil, err
		}
		if round == 0 {
			first = v
		}
		if v < least {
			best, least = chosen, v
		}
		for _, i := range chosen {
			if v < first {
				s.alpha[i]++
			} else if round > 0 {
				s.beta[i]++
			}
		}
		if same++; !slices.Equal(chosen, last) {
			same = 1
		}
		if last = chosen; same >= settled {
			break
		}
	}
	chosen := s.draw()
	v, err := try(chosen)
	if err != nil {
		return nil, err
	}
	if v < least {
		best = chosen
	}
	return best, nil
}

// draw is the candidates that draw highest from their distributions, in order.
func (s *selection) draw() []int {
	drawn, order := make([]float64, len(s.among)), make([]int, len(s.among))
	for i := range drawn {
		x, y := gamma(s.r, s.alpha[i]), gamma(s.r, s.beta[i])
		drawn[i], order[i] = x/(x+y), i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(drawn[j], drawn[i]) })
	chosen := order[:s.cfg.Keep]
	slices.Sort(chosen)
	return chosen
}

// gamma draws from a gamma distribution of scale 1 (Marsaglia and Tsang, 2000); two of them make one of Beta.
func gamma(r *rand.Rand, shape float64) float64 {
	if shape < 1 {
		return gamma(r, shape+1) * math.Pow(r.Float64(), 1/shape)
	}
	d := shape - 1./3
	c := 1 / math.Sqrt(9*d)
	for {
		x := r.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(1-r.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}
