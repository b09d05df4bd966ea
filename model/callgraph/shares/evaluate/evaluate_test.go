package evaluate_test

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"testing"

	"foresail.dev/model/callgraph/shares"
	"foresail.dev/model/callgraph/shares/csvfile"
	"foresail.dev/model/callgraph/shares/evaluate"
)

func on() error { return nil }

// On the data of Derm's artefact, of which the 35 series that there are: the last value is as far off as the artefact's own data says, and
// Regimes is clearly better on series that it was not trained on, over all windows and over those that change.
func TestOnTheArtefactsData(t *testing.T) {
	r, err := os.Open("../../../../../shared/data/derm/graph-shares.csv.gz")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("needs the outside data in ../shared/data: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	all, notes, err := csvfile.Read(r)
	if err != nil || len(notes) != 0 || len(all) != 35 {
		t.Fatal(len(all), notes, err)
	}
	c := evaluate.Case{Series: all, Folds: 7}
	base, err := evaluate.Run(shares.LastValue, c, on)
	if err != nil {
		t.Fatal(err)
	}
	if base.Windows != 10185 || base.Changed != 88 || math.Abs(base.MSE-1.547e-4) > 1e-7 {
		t.Errorf("last value: %d windows, %d changed, mean square error %v", base.Windows, base.Changed, base.MSE)
	}
	ours, err := evaluate.Run(shares.Regimes, c, on)
	if err != nil {
		t.Fatal(err)
	}
	skill, low, high, changed := ours.Skill(base, 1)
	t.Logf("skill %.3f (%.3f to %.3f), of the windows that changed %.3f; MAE %.3g against %.3g", skill, low, high, changed, ours.MAE, base.MAE)
	if skill < 0.2 || low < 0.1 || changed < 0.2 || ours.MAE >= base.MAE {
		t.Error("too little")
	}
}

// Figures of three windows, by hand.
func TestFiguresByHand(t *testing.T) {
	s := shares.Series{Name: "a", Rows: [][]float64{{0.5, 0.5}, {0.5, 0.5}, {0.7, 0.3}, {0.7, 0.3}}}
	r, err := evaluate.Run(shares.LastValue, evaluate.Case{Series: []shares.Series{s}, Train: []shares.Series{s}}, on)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string][2]float64{"MSE": {r.MSE, 0.04 / 3}, "of changed": {r.MSEChanged, 0.04}, "MAE": {r.MAE, 0.2 / 3}, "coverage": {r.Coverage90, 2. / 3}} {
		if math.Abs(v[0]-v[1]) > 1e-12 {
			t.Errorf("%s %v, want %v", name, v[0], v[1])
		}
	}
	if r.Windows != 3 || r.Changed != 1 {
		t.Errorf("%d windows, %d changed", r.Windows, r.Changed)
	}
}

// spy notes what it is trained on and what it is shown.
type spy struct {
	t      *testing.T
	pool   map[string]bool
	rounds int
}

func (s *spy) Name() string { return "spy" }

func (s *spy) Train(pool []shares.Series, _ shares.Options) (shares.Model, error) {
	s.pool = map[string]bool{}
	s.rounds++
	for _, p := range pool {
		s.pool[p.Name] = true
	}
	return s, nil
}

func (s *spy) Track(classes int) (shares.Tracker, bool) {
	return &seen{s, make([]float64, classes), 0}, true
}

type seen struct {
	*spy
	row []float64
	n   int
}

func (s *seen) Observe(row []float64, _ float64) {
	// The second share of a row is the number of its series, in hundredths.
	name := string(rune('a' + int(math.Round(100*row[1]))))
	if s.pool[name] {
		s.t.Errorf("series %s is predicted after it was trained on", name)
	}
	copy(s.row, row)
	s.n++
}

func (s *seen) Predict(_ int, dst []float64) { copy(dst, s.row) }

func TestNoSeriesIsPredictedByWhatWasTrainedOnIt(t *testing.T) {
	var all []shares.Series
	for i := range 11 {
		v := float64(i) / 100
		all = append(all, shares.Series{Name: string(rune('a' + i)), Rows: [][]float64{{1 - v, v}, {1 - v, v}}})
	}
	s := &spy{t: t}
	r, err := evaluate.Run(s, evaluate.Case{Series: all, Folds: 4}, on)
	if err != nil || r.Windows != 11 || s.rounds != 4 {
		t.Errorf("%d windows in %d rounds, %v", r.Windows, s.rounds, err)
	}
	if _, err := evaluate.Run(s, evaluate.Case{Series: all[:1], Folds: 4}, on); err == nil {
		t.Error("one series is predicted from none")
	}
	stopped := errors.New("stopped")
	if _, err := evaluate.Run(s, evaluate.Case{Series: all, Folds: 4}, func() error { return stopped }); !errors.Is(err, stopped) {
		t.Errorf("stopped: %v", err)
	}
}

// Drawn series are shares, the same for a seed, and those that are still stay so.
func TestDrawn(t *testing.T) {
	for _, k := range evaluate.Kinds {
		for _, requests := range []float64{0, 30} {
			d := evaluate.Drawn{Kind: k, Series: 3, Windows: 40, Classes: 5, Mixes: 3, Dwell: 4, Requests: requests, Seed: 1}
			a, b := d.Draw(), d.Draw()
			moved := 0
			for i, s := range a {
				if err := s.Check(); err != nil {
					t.Errorf("%s: %v", k, err)
				}
				for w, row := range s.Rows {
					if w > 0 && requests == 0 && shares.Changed(s.Rows[w-1], row, 0, 0) {
						moved++
					}
					for j, v := range row {
						if v != b[i].Rows[w][j] {
							t.Fatalf("%s: another draw of the same seed differs", k)
						}
					}
				}
			}
			if len(a) != 3 || len(a[0].Rows) != 40 || requests == 0 && (moved > 0) != (k != evaluate.Still) {
				t.Errorf("%s: %d series, %d windows moved", k, len(a), moved)
			}
		}
	}
}

// What Regimes is for: it is clearly better than the last value where mixes come again.
func TestRegimesOnDrawnMixes(t *testing.T) {
	for _, c := range []struct {
		d     evaluate.Drawn
		least float64
	}{
		{evaluate.Drawn{Kind: evaluate.Markov, Mixes: 4}, 0.3},
		{evaluate.Drawn{Kind: evaluate.Cycle, Mixes: 3, Dwell: 2}, 0.7},
		{evaluate.Drawn{Kind: evaluate.Still}, 0.3},
	} {
		c.d.Series, c.d.Windows, c.d.Classes, c.d.Requests, c.d.Seed = 4, 120, 4, 400, 77
		at := evaluate.Case{Series: c.d.Draw(), Folds: 4}
		base, err := evaluate.Run(shares.LastValue, at, on)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := evaluate.Run(shares.Regimes, at, on)
		if err != nil {
			t.Fatal(err)
		}
		if skill, _, _, _ := ours.Skill(base, 1); skill < c.least {
			t.Errorf("%s: skill %.3f, want %v", c.d.Kind, skill, c.least)
		}
	}
}
