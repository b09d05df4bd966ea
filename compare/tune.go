package compare

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"foresail.dev/plan/managers"
)

// Tuned says which settings were found for a manager in an application, and what they and the defaults did on the tuning
// seeds.
type Tuned struct {
	Application string             `json:"application"`
	Manager     string             `json:"manager"`
	Guarded     bool               `json:"guarded"`
	Trials      int                `json:"trials"`
	Runs        int                `json:"runs"` // trials × loads × tuning seeds
	Settings    map[string]float64 `json:"settings"`
	Score
	Default Score `json:"default"`
}

// Score is how settings did over the loads and tuning seeds: what they held on average, and the violation share of the
// worst endpoint on the worst load. Nil where runs failed.
type Score struct {
	Cores      *float64 `json:"cores_mean,omitempty"`
	Violations *float64 `json:"violation_share,omitempty"`
}

// trials are the settings to try: the manager's defaults, then points that fill the space of what is left open evenly
// (a Halton sequence), the same for each application.
func trials(c *Choice, n int) []map[string]float64 {
	params := free(c)
	out := []map[string]float64{maps.Clone(c.Settings)}
	for i := 1; i < n; i++ {
		s := maps.Clone(c.Settings)
		if s == nil {
			s = map[string]float64{}
		}
		for d, p := range params {
			s[p.Name] = within(p, halton(i, primes[d%len(primes)]))
		}
		out = append(out, s)
	}
	return out
}

// primes are the bases of the dimensions; a manager has few settings.
var primes = []int{2, 3, 5, 7, 11, 13, 17, 19, 23, 29}

// halton is the i-th element of the van der Corput sequence in a base: i's digits mirrored at the point (Halton 1960).
func halton(i, base int) float64 {
	v, digit := 0.0, 1.0
	for ; i > 0; i /= base {
		digit /= float64(base)
		v += digit * float64(i%base)
	}
	return v
}

// within is the point at u, 0..1, of a setting's range; four digits are enough to state.
func within(p managers.Param, u float64) float64 {
	v := p.Min + u*(p.Max-p.Min)
	if p.Log {
		v = p.Min * math.Pow(p.Max/p.Min, u)
	}
	if p.Integer {
		v = math.Round(v)
	} else if v != 0 {
		scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
		v = math.Round(v*scale) / scale
	}
	return min(max(v, p.Min), p.Max)
}

// search is the tuning of one manager in one application.
type search struct {
	application string
	contender   contender
	settings    []map[string]float64
	jobs        [][]*job // by trial
}

// searches lists what is to be tuned.
func (g *Grid) searches() (out []search) {
	for _, c := range g.exp.contenders() {
		if !g.exp.tuned(c.Choice) {
			continue
		}
		for i, at := range g.conditions {
			if i > 0 && g.conditions[i-1].application == at.application {
				continue
			}
			s := search{application: at.application, contender: c, settings: trials(c.Choice, g.exp.Tuning.Trials)}
			for _, settings := range s.settings {
				s.jobs = append(s.jobs, g.trial(at.application, c, settings))
			}
			out = append(out, s)
		}
	}
	return out
}

// trial is the runs that settings are judged by.
func (g *Grid) trial(application string, c contender, settings map[string]float64) (out []*job) {
	for _, at := range g.conditions {
		if at.application != application {
			continue
		}
		for _, seed := range g.exp.Tuning.Seeds {
			in := g.exp.inputs(c, application, settings)
			in.Kind, in.Seed, in.Duration = tune, seed, g.exp.Tuning.Duration.Seconds()
			out = append(out, newJob(at, c.Label(), in))
		}
	}
	return out
}

// choose takes the settings that hold the fewest cores among those whose violation share is at most limit; where there
// are none, those with the least violations. The first of equals counts, so the default stays where nothing is better.
func (s *search) choose(outcomes map[string]*Outcome, limit float64) Tuned {
	scores := make([]Score, len(s.jobs))
	best := 0
	runs := 0
	for i, jobs := range s.jobs {
		scores[i] = score(jobs, outcomes)
		runs += len(jobs)
		if i > 0 && better(scores[i], scores[best], limit) {
			best = i
		}
	}
	settings := s.settings[best]
	if settings == nil {
		settings = map[string]float64{}
	}
	return Tuned{Application: s.application, Manager: s.contender.Label(), Guarded: s.contender.guarded, Trials: len(s.jobs), Runs: runs,
		Settings: settings, Score: scores[best], Default: scores[0]}
}

// better orders scores: those that keep the objectives by cores, before those that don't, by violations and then cores,
// before those that failed.
func better(a, b Score, limit float64) bool {
	rank := func(s Score) (class int, violations, cores float64) {
		switch {
		case s.Cores == nil || s.Violations == nil:
			return 2, 0, 0
		case *s.Violations <= limit:
			return 0, 0, *s.Cores
		}
		return 1, *s.Violations, *s.Cores
	}
	ac, av, ak := rank(a)
	bc, bv, bk := rank(b)
	return cmp.Or(cmp.Compare(ac, bc), cmp.Compare(av, bv), cmp.Compare(ak, bk)) < 0
}

// score is what settings did in their runs.
func score(jobs []*job, outcomes map[string]*Outcome) Score {
	byLoad := map[string][]*Outcome{}
	cores := 0.0
	for _, j := range jobs {
		o := outcomes[j.Inputs.key()]
		if o == nil || o.Failed != "" || o.Cores == nil {
			return Score{}
		}
		cores += *o.Cores
		byLoad[j.Load] = append(byLoad[j.Load], o)
	}
	s := Score{Cores: ptr(round(cores / float64(len(jobs))))}
	for _, l := range slices.Sorted(maps.Keys(byLoad)) {
		name, ok := worst(byLoad[l])
		if !ok {
			continue
		}
		sum, n := 0.0, 0
		for _, o := range byLoad[l] {
			if e := o.endpoint(name); e != nil {
				if v, ok := e.share(); ok {
					sum, n = sum+v, n+1
				}
			}
		}
		if v := sum / float64(n); s.Violations == nil || v > *s.Violations {
			s.Violations = ptr(v)
		}
	}
	return s
}
