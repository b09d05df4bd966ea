package tail_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"foresail.dev"
	"foresail.dev/model/tail"
)

// When the machine gets slower, a little data brings the model most of the way back.
func TestFineTuningFollowsAChange(t *testing.T) {
	m, _ := trained()
	q := newQueues(6)
	q.slow = 1.7
	changed := []tail.Run{q.run("a", 250, 50), q.run("b", 250, 51), q.run("c", 250, 52)}
	test := []tail.Run{q.run("test", 400, 60)}
	cfg := tail.Tuning()
	cfg.Batch, cfg.Epochs, cfg.Trees, cfg.Rate = 32, 12, 40, 0.001
	tuned, r, err := tail.FineTune(t.Context(), m, changed, cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Before == nil || r.Before.Samples != r.Samples {
		t.Fatalf("nothing to compare with: %+v", r)
	}
	before, after := tail.Evaluate(m, test), tail.Evaluate(tuned, test)
	if after.RMSE[tail.P99] > 0.9*before.RMSE[tail.P99] {
		t.Errorf("p99 is wrong by %.1f ms, and was by %.1f", after.RMSE[tail.P99], before.RMSE[tail.P99])
	}
	if after.Brier > before.Brier+0.05 { // of so few rows trees learn little; they must not lose much
		t.Errorf("Brier score %v, and was %v", after.Brier, before.Brier)
	}
	if again := tail.Evaluate(m, test); again.RMSE != before.RMSE || again.Brier != before.Brier {
		t.Error("the old model has changed")
	}
	if err := tuned.Fits(q.app); err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBeTrained(t *testing.T) {
	q := newQueues(3)
	schema := tail.SchemaOf(q.app)
	for want, c := range map[string]func(s *tail.Schema, runs *[]tail.Run, cfg *tail.Config){
		"the fewest. A run needs 10 seconds": func(_ *tail.Schema, runs *[]tail.Run, _ *tail.Config) { *runs = (*runs)[:0] },
		`channel "smell" is not known`:       func(_ *tail.Schema, _ *[]tail.Run, cfg *tail.Config) { cfg.Channels = []tail.Channel{"smell"} },
		"channel rate is there twice": func(_ *tail.Schema, _ *[]tail.Run, cfg *tail.Config) {
			cfg.Channels = []tail.Channel{tail.Rate, tail.Rate}
		},
		`label "bad"`: func(_ *tail.Schema, _ *[]tail.Run, cfg *tail.Config) { cfg.Label = "bad" },
		"epochs 0":    func(_ *tail.Schema, _ *[]tail.Run, cfg *tail.Config) { cfg.Epochs = 0 },
		"no objective": func(s *tail.Schema, _ *[]tail.Run, _ *tail.Config) {
			app := *q.app
			app.Endpoints = []foresail.Endpoint{{Name: "all"}}
			*s = tail.SchemaOf(&app)
		},
		"2 services and 1 endpoints": func(_ *tail.Schema, runs *[]tail.Run, _ *tail.Config) { *runs = newQueues(2).runs(2, 200) },
	} {
		s, runs, cfg := schema, q.runs(2, 200), quick()
		c(&s, &runs, &cfg)
		m, _, err := tail.Train(t.Context(), s, runs, cfg, nil)
		if err == nil || !strings.Contains(err.Error(), want) || m != nil {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := tail.Train(ctx, schema, q.runs(2, 200), quick(), nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	m, _ := trained()
	if _, _, err := tail.FineTune(t.Context(), m, q.runs(2, 200), tail.Tuning(), nil); err == nil || !strings.Contains(err.Error(), "does not fit the model") {
		t.Error(err)
	}
}

// Runs in which nothing is ever violated, or an input never varies, or is never seen, make a model.
func TestDullData(t *testing.T) {
	q := newQueues(3)
	runs := q.runs(2, 150)
	for _, r := range runs {
		for i := range r.Steps {
			s := &r.Steps[i]
			s.Endpoints[0].Late = 0
			for k := range s.Services {
				s.Services[k].InFlight, s.Services[k].Memory = math.NaN(), 1
			}
		}
	}
	cfg := quick()
	cfg.Epochs, cfg.Trees = 2, 5
	m, r, err := tail.Train(t.Context(), tail.SchemaOf(q.app), runs, cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Violations != 0 || r.AUC != nil || r.Recall != nil {
		t.Errorf("%+v", r.Scores)
	}
	p, out := m.Predictor(), make([]tail.Prediction, 1)
	if err := p.Look(runs[0].Steps); err != nil {
		t.Fatal(err)
	}
	p.Try(candidates(&runs[0].Steps[149], 1), out)
	if !(out[0].Violation >= 0 && out[0].Violation < 0.1) {
		t.Errorf("%+v", out[0])
	}
	for _, s := range m.Outside(runs[0].Steps, candidates(&runs[0].Steps[149], 1)[0]) {
		if strings.Contains(s, "in flight") {
			t.Error(s)
		}
	}
}

// The published optimiser on milliseconds learns, too.
func TestPublishedOptimiser(t *testing.T) {
	q := newQueues(4)
	cfg := quick()
	cfg.Optimiser, cfg.Rate, cfg.Decay, cfg.Epochs, cfg.Trees = tail.SGD, 0.001, 0.001, 8, 5
	cfg.Proposed, cfg.Label = tail.ProposedCores, tail.LabelPooled
	m, r, err := tail.Train(t.Context(), tail.SchemaOf(q.app), q.runs(3, 300), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.RMSE[tail.P99] > 100 || m.Label() != tail.LabelPooled {
		t.Errorf("%+v", r.Scores)
	}
}

// Squashing as published, and its way back.
func TestSquash(t *testing.T) {
	if s := tail.SquashOf(500); s != (tail.Squash{Knee: 505, Room: 100}) {
		t.Error(s)
	}
	if s := tail.SquashOf(200); s != (tail.Squash{Knee: 205, Room: 100}) {
		t.Error(s)
	}
	if got := tail.SquashOf(500).Of(605); got != 505+100/(1+0.01*100) {
		t.Error(got)
	}
	rapid.Check(t, func(t *rapid.T) {
		s := tail.SquashOf(rapid.Float64Range(1, 5000).Draw(t, "reference"))
		y := rapid.Float64Range(0, s.Knee+50*s.Room).Draw(t, "y")
		z := y + rapid.Float64Range(0.01, 100).Draw(t, "more")
		if !(s.Of(z) > s.Of(y)) || s.Of(y) > y || s.Of(y) >= s.Knee+s.Room {
			t.Fatalf("%v to %v, %v to %v", y, s.Of(y), z, s.Of(z))
		}
		if d := math.Abs(s.Back(s.Of(y)) - y); d > 1e-6*(1+y) {
			t.Fatalf("%v comes back as %v", y, s.Back(s.Of(y)))
		}
	})
	if s := tail.SquashOf(500); math.IsInf(s.Back(1e9), 0) || s.Back(1e9) < 5000 {
		t.Error(s.Back(1e9))
	}
}
