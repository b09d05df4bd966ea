package tune_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"foresail.dev/model/tune"
)

// shop is an application whose latency is known: a front that calls a cart, which calls a store. Each is slow as it comes near its
// capacity, and breaks beyond.
func shop(v tune.Setting, noise float64, r *rand.Rand) tune.Trial {
	t := tune.Trial{Setting: v, Verdict: tune.Fine, Metrics: map[string]float64{}, Calls: [][2]string{{"front", "cart"}, {"cart", "store"}}}
	sum := 0.0
	for i, name := range []string{"store", "cart", "front"} {
		cpu, need := v[2-i], []float64{0.5, 0.2, 0.3}[i]
		if cpu <= need {
			return tune.Trial{Setting: v, Verdict: tune.Broken}
		}
		sum += 0.002 / (cpu - need)
		t.Metrics[name+":p90"] = sum * math.Exp(noise*r.NormFloat64())
	}
	t.Latency = t.Metrics["front:p90"]
	t.Slack = t.Latency / 0.1
	if t.Slack > 1 {
		t.Verdict = tune.Violated
	}
	return t
}

func config() tune.Config {
	c := tune.Config{Entry: "front", Model: tune.Composed, Optimiser: tune.Bayesian, Initial: 10, Candidates: 1500, Evaluations: 1, Seed: 1}
	for _, name := range []string{"front", "cart", "store"} {
		c.Space.Knobs = append(c.Space.Knobs, tune.Knob{Label: name + ":cpu", Min: 0.1, Max: 2, Log: true, Default: 0.6, Costs: true})
	}
	c.Space.Cost = func(v tune.Setting) float64 { return v[0] + v[1] + v[2] }
	c.Space.Most = 1.8
	return c
}

func search(t *testing.T, c tune.Config, n int) []tune.Trial {
	t.Helper()
	r := rand.New(rand.NewPCG(c.Seed, 9))
	var all []tune.Trial
	for len(all) < n {
		p, err := c.Next(all)
		if err != nil {
			t.Fatal(err)
		}
		if cost := c.Space.Cost(p.Setting); len(all) > 0 && c.Space.Most > 0 && cost > c.Space.Most+1e-9 {
			t.Fatalf("trial %d costs %v", len(all), cost)
		}
		all = append(all, shop(p.Setting, 0.02, r))
	}
	return all
}

// The best division of the same cores is about a third faster than equal parts. Every model with every optimiser finds most of
// that, though it is told nothing of the application but trials.
func TestSearchesFindWhatIsBetter(t *testing.T) {
	for _, m := range []tune.Model{tune.Composed, tune.MonolithGP, tune.MonolithNN} {
		for _, o := range tune.Optimisers {
			if m == tune.MonolithNN && o != tune.Random {
				continue // its training takes long, and optimisers don't know models
			}
			t.Run(string(m)+" "+string(o), func(t *testing.T) {
				c := config()
				c.Model, c.Optimiser = m, o
				all := search(t, c, 22)
				best := c.Best(all)
				if best < 0 {
					t.Fatal("nothing valid was found")
				}
				truth := shop(all[best].Setting, 0, rand.New(rand.NewPCG(1, 1))).Latency
				if was := shop(c.Space.Default(), 0, rand.New(rand.NewPCG(1, 1))).Latency; truth > 0.85*was {
					t.Errorf("%v s with %v, and %v as it was", truth, all[best].Setting, was)
				}
			})
		}
	}
}

// What is proposed hangs on the trials alone: a search that was cut off anywhere goes on as if it had not been.
func TestASearchCanBeCutOff(t *testing.T) {
	c := config()
	all := search(t, c, 13)
	for _, at := range []int{0, 1, 9, 12} {
		again := config()
		p, err := again.Next(all[:at])
		if err != nil || !slices.Equal(p.Setting, all[at].Setting) {
			t.Errorf("trial %d is %v, was %v: %v", at, p.Setting, all[at].Setting, err)
		}
	}
}

// Trials that break don't stop a search, whatever share of them does; designs come nearer to the default setting as they do.
func TestBrokenTrials(t *testing.T) {
	c := config()
	c.Space.Most = 0
	var all []tune.Trial
	for len(all) < 16 {
		p, err := c.Next(all)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) > 0 {
			all = append(all, tune.Trial{Setting: p.Setting, Verdict: []tune.Verdict{tune.Broken, tune.Refused}[len(all)%2]})
		} else {
			all = append(all, shop(p.Setting, 0, rand.New(rand.NewPCG(1, 1))))
		}
	}
	far := func(v tune.Setting) float64 {
		sum := 0.0
		for i := range v {
			sum += math.Abs(math.Log(v[i] / 0.6))
		}
		return sum
	}
	if first, last := far(all[1].Setting), far(all[15].Setting); last > first/3 {
		t.Errorf("the first is %v from the default, the last %v", first, last)
	}
	if best := c.Best(all); best != 0 {
		t.Errorf("the best is %d", best)
	}
}

// Of a setting that was tried twice the mean counts, and not at all once it violated an objective.
func TestTheBestIsWhatHeldEachTime(t *testing.T) {
	c := config()
	a, b := tune.Setting{0.6, 0.6, 0.6}, tune.Setting{0.7, 0.5, 0.6}
	trial := func(v tune.Setting, latency float64, verdict tune.Verdict) tune.Trial {
		return tune.Trial{Setting: v, Latency: latency, Verdict: verdict}
	}
	if got := c.Best([]tune.Trial{trial(a, 0.010, tune.Fine), trial(b, 0.005, tune.Fine), trial(b, 0.030, tune.Fine)}); got != 0 {
		t.Error("a lucky measurement wins:", got)
	}
	if got := c.Best([]tune.Trial{trial(a, 0.010, tune.Fine), trial(b, 0.005, tune.Fine), trial(b, 0.005, tune.Violated)}); got != 0 {
		t.Error("what violated an objective wins:", got)
	}
	c.Weight = 1 // a second for each unit of cost
	if got := c.Best([]tune.Trial{trial(a, 0.010, tune.Fine), trial(tune.Setting{0.1, 0.1, 0.1}, 0.1, tune.Fine)}); got != 1 {
		t.Error("cost does not weigh:", got)
	}
}

// smooth keeps an application far from where it breaks, and is all design.
func smooth(c *tune.Config) {
	c.Initial, c.Space.Most = 16, 0
	for i := range c.Space.Knobs {
		c.Space.Knobs[i].Min, c.Space.Knobs[i].Default = 0.8, 1
	}
}

// A measurement that nothing explains is made again, once.
func TestMetisSamplesAgain(t *testing.T) {
	c := config()
	smooth(&c)
	c.Optimiser, c.Model = tune.Metis, tune.MonolithGP
	all := search(t, c, 16)
	at := 0
	for i := range all {
		if all[i].Latency > all[at].Latency {
			at = i
		}
	}
	all[at].Latency /= 20 // the slowest looks like the fastest
	p, err := c.Next(all)
	if err != nil || p.Why != "sample again" || !reflect.DeepEqual(p.Setting, all[at].Setting) {
		t.Errorf("%+v: %v", p, err)
	}
	all = append(all, all[at])
	if p, err = c.Next(all); err != nil || p.Why == "sample again" {
		t.Errorf("and again: %+v: %v", p, err)
	}
}

// A knob that does nothing matters least.
func TestKnobsThatMatter(t *testing.T) {
	c := config()
	smooth(&c)
	c.Space.Knobs = append(c.Space.Knobs, tune.Knob{Label: "cart:idle", Min: 1, Max: 2, Default: 1})
	all := search(t, c, 16)
	effects, err := c.Effects(all, c.Space.Default())
	if err != nil || len(effects) != 4 {
		t.Fatal(effects, err)
	}
	if k := c.Space.Knobs[effects[3].Knob].Label; k != "cart:idle" {
		t.Errorf("%s matters least: %v", k, effects)
	}
}

// Whatever the knobs are: what is drawn lies within their ranges and below the bound, and comes back as it was from text.
func TestSettingsKeepTheirBounds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := tune.Space{Cost: func(v tune.Setting) float64 { return v[0] }}
		for i := range rapid.IntRange(1, 6).Draw(rt, "knobs") {
			k := tune.Knob{Label: fmt.Sprintf("a:k%d", i), Kind: tune.Kind(rapid.IntRange(0, 2).Draw(rt, "kind")), Costs: i == 0}
			low := rapid.Float64Range(1e-3, 1e4).Draw(rt, "min")
			k.Min, k.Max, k.Log = low, low+rapid.Float64Range(0, 1e6).Draw(rt, "width"), rapid.Bool().Draw(rt, "log")
			if k.Kind == tune.Integer {
				k.Min, k.Max = math.Ceil(k.Min), math.Ceil(k.Max)
			}
			if k.Kind == tune.Choice {
				k.Choices = []string{"1", "2", "x"}[:rapid.IntRange(1, 3).Draw(rt, "choices")]
			}
			s.Knobs = append(s.Knobs, k)
		}
		if s.Knobs[0].Kind != tune.Choice {
			s.Most = s.Knobs[0].Min + rapid.Float64Range(0, 1).Draw(rt, "bound")*(s.Knobs[0].Max-s.Knobs[0].Min)
		}
		if err := s.Check(); err != nil {
			rt.Fatal(err)
		}
		v := s.Draw(rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1)))
		if s.Most > 0 && v[0] > s.Most {
			rt.Fatalf("%v costs more than %v", v[0], s.Most)
		}
		for i := range v {
			k := &s.Knobs[i]
			if k.Kind == tune.Choice {
				if v[i] < 0 || int(v[i]) >= len(k.Choices) {
					rt.Fatalf("%v of %v", v[i], k.Choices)
				}
			} else if v[i] < k.Min || v[i] > k.Max || k.Kind == tune.Integer && v[i] != math.Trunc(v[i]) {
				rt.Fatalf("%v is outside of %v..%v", v[i], k.Min, k.Max)
			}
			if back, err := k.Parse(k.Text(v[i])); err != nil || back != v[i] {
				rt.Fatalf("%v came back as %v: %v", v[i], back, err)
			}
		}
	})
}

func TestFaultsAreNamed(t *testing.T) {
	for want, spoil := range map[string]func(c *tune.Config){
		"there is no knob":             func(c *tune.Config) { c.Space.Knobs = nil },
		"front:cpu: it is there twice": func(c *tune.Config) { c.Space.Knobs[1].Label = "front:cpu" },
		"must begin above 0":           func(c *tune.Config) { c.Space.Knobs[0].Min = 0 },
		"none of its choices": func(c *tune.Config) {
			c.Space.Knobs[0] = tune.Knob{Label: "a:b", Kind: tune.Choice, Choices: []string{"x"}, Default: 1}
		},
		"the cheapest costs":  func(c *tune.Config) { c.Space.Most = 0.1 },
		`no model "oracle"`:   func(c *tune.Config) { c.Model = "oracle" },
		`no optimiser "luck"`: func(c *tune.Config) { c.Optimiser = "luck" },
		"0 candidates":        func(c *tune.Config) { c.Candidates = 0 },
	} {
		c := config()
		spoil(&c)
		if _, err := c.Next(nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, should say %s", err, want)
		}
	}
}

// Services that call each other in a ring, as health checks do, are composed all the same.
func TestCyclesOfCallsAreCut(t *testing.T) {
	c := config()
	all := search(t, c, 10)
	for i := range all {
		if all[i].Calls != nil {
			all[i].Calls = append(all[i].Calls, [2]string{"store", "front"}, [2]string{"cart", "cart"})
		}
	}
	if _, err := c.Next(all); err != nil {
		t.Error(err)
	}
}

// BenchmarkNext is one step of a search: training and picking among 10,000 settings.
func BenchmarkNext(b *testing.B) {
	c := config()
	c.Candidates = 10_000
	r := rand.New(rand.NewPCG(1, 9))
	var all []tune.Trial
	for len(all) < 15 {
		p, err := c.Next(all)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, shop(p.Setting, 0.02, r))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Next(all); err != nil {
			b.Fatal(err)
		}
	}
}
