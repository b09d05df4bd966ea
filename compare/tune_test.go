package compare

import (
	"math"
	"strings"
	"testing"
	"time"

	"foresail.dev/plan/managers"
)

// In bases 2 and 3 the sequence is 1/2 1/4 3/4 1/8 …, 1/3 2/3 1/9 4/9 …
func TestHalton(t *testing.T) {
	for base, want := range map[int][]float64{2: {0, 0.5, 0.25, 0.75, 0.125, 0.625}, 3: {0, 1. / 3, 2. / 3, 1. / 9, 4. / 9, 7. / 9}} {
		for i, w := range want {
			if got := halton(i, base); math.Abs(got-w) > 1e-15 {
				t.Errorf("base %d, element %d: %v, want %v", base, i, got, w)
			}
		}
	}
}

func TestTrialsLieInTheirRanges(t *testing.T) {
	for _, name := range managers.Names() {
		c := &Choice{Manager: name}
		all := trials(c, 40)
		if len(all) != 40 || len(all[0]) != 0 {
			t.Fatalf("%s: %d trials, the first is %v, want the defaults", name, len(all), all[0])
		}
		for _, p := range managers.Params(name) {
			if p.Fixed {
				if _, moved := all[1][p.Name]; moved {
					t.Errorf("%s: %s was moved", name, p)
				}
				continue
			}
			low, high := math.Inf(1), math.Inf(-1)
			for _, s := range all[1:] {
				v := s[p.Name]
				if v < p.Min || v > p.Max || p.Integer && v != math.Trunc(v) {
					t.Errorf("%s: %s is %v", name, p, v)
				}
				u := (v - p.Min) / (p.Max - p.Min)
				if p.Log {
					u = math.Log(v/p.Min) / math.Log(p.Max/p.Min)
				}
				low, high = min(low, u), max(high, u)
			}
			if low > 0.15 || high < 0.85 {
				t.Errorf("%s: %s is tried from %v to %v of its range", name, p.Name, low, high)
			}
		}
	}
	fixed := trials(&Choice{Manager: "hpa", Settings: map[string]float64{"target": 0.7}}, 3)
	for _, s := range fixed {
		if s["target"] != 0.7 {
			t.Errorf("a setting that the experiment gives was moved: %v", s)
		}
	}
}

func TestBetter(t *testing.T) {
	s := func(cores, violations float64) Score { return Score{&cores, &violations} }
	order := []Score{s(5, 0.01), s(7, 0), s(3, 0.02), s(4, 0.02), s(1, 0.5), {}}
	for i := range order {
		for j := range order {
			if got := better(order[i], order[j], 0.01); got != (i < j) {
				t.Errorf("better(%d, %d) is %v", i, j, got)
			}
		}
	}
}

// Every manager with settings gets the same number of runs, on the tuning seeds alone; what is found is what is reported.
func TestTuning(t *testing.T) {
	dir := t.TempDir()
	kinds := map[string]int{}
	g := timeless(tiny(t, func(e *Experiment) {
		e.Managers = []Choice{{Manager: "static"}, {Manager: "hpa"}, {Manager: "autoscale-cons"}}
		e.Duration, e.Warmup = 20*time.Second, 0
		e.Tuning = &Tuning{Trials: 3, Seeds: []uint64{8, 9}}
		e.Reference = "static"
	}))
	r, err := g.Run(t.Context(), Options{Dir: dir, Progress: func(p Progress) {
		if o := p.Finished; o != nil {
			kinds[o.Inputs.Kind+" "+o.Inputs.Manager]++
			if (o.Inputs.Kind == tune) != (o.Inputs.Seed > 2) || o.Inputs.Kind == tune && o.Series != nil {
				t.Errorf("%s with seed %d", o.Inputs.Kind, o.Inputs.Seed)
			}
		}
		if p.Total != 2*3*4+12 {
			t.Errorf("%d runs in total", p.Total)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if kinds["tune static"] != 0 || kinds["tune hpa"] != 12 || kinds["tune autoscale-cons"] != 12 || kinds["report hpa"] != 4 {
		t.Errorf("runs made: %v", kinds)
	}
	if len(r.Tuned) != 2 {
		t.Fatalf("tuned: %+v", r.Tuned)
	}
	for _, f := range r.Tuned {
		if f.Trials != 3 || f.Runs != 12 || f.Cores == nil || f.Default.Cores == nil || better(f.Default, f.Score, 0.01) {
			t.Errorf("%+v", f)
		}
		for _, o := range r.Runs {
			if o.Manager == f.Manager && text(t, o.Inputs.Settings) != text(t, f.Settings) && len(f.Settings) > 0 {
				t.Errorf("%s runs with %v, found was %v", f.Manager, o.Inputs.Settings, f.Settings)
			}
		}
	}
}

// What a manager learns on the training seeds is there when the reported runs begin, and training is made once for all
// seeds.
func TestTraining(t *testing.T) {
	trained := 0
	run := func(train time.Duration) *Results {
		g := timeless(tiny(t, func(e *Experiment) {
			e.Applications[0].Loads = e.Loads[:1]
			e.Managers = []Choice{{Manager: "hpa", Train: train}}
			e.Reference = "hpa"
			e.Duration, e.Warmup = 30*time.Second, 0
			if train > 0 {
				e.Training = &Training{Seeds: []uint64{7, 8}}
			}
		}))
		r, err := g.Run(t.Context(), Options{Progress: func(p Progress) {
			if o := p.Finished; o != nil && o.Inputs.Kind == "train" {
				trained++
				if len(o.State) == 0 || !strings.Contains(string(o.State), "Recommended") {
					t.Errorf("what was learnt: %s", o.State)
				}
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	with, without := run(2*time.Minute), run(0)
	if trained != 1 {
		t.Errorf("%d training runs, want one", trained)
	}
	// hpa keeps its scale-down stabilisation window, so a trained one still waits for less.
	if w, o := with.Runs[0], without.Runs[0]; w.Failed != "" || o.Failed != "" || w.Inputs.Train != 120 || o.Inputs.Train != 0 {
		t.Errorf("%+v, %+v", w, o)
	}
}
