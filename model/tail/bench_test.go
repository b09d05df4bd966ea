package tail_test

import (
	"testing"

	"foresail.dev/model/tail"
)

// benchmarkPredict is one decision: the history looked at, and so many candidates tried, by a model with as many trees as
// the default makes.
func benchmarkPredict(b *testing.B, services, tried int) {
	q := newQueues(services)
	cfg := tail.Default()
	cfg.Epochs, cfg.Batch, cfg.HoldOut, cfg.Patience = 1, 64, 0, cfg.Trees
	m, r, err := tail.Train(b.Context(), tail.SchemaOf(q.app), q.runs(1, 1000), cfg, nil)
	if err != nil {
		b.Fatal(err)
	}
	steps := q.run("now", 10, 3).Steps
	cores, out := candidates(&steps[9], tried), make([]tail.Prediction, tried)
	p := m.Predictor()
	decide := func() {
		if err := p.Look(steps); err != nil {
			b.Fatal(err)
		}
		p.Try(cores, out)
	}
	decide()
	b.ReportAllocs()
	for b.Loop() {
		decide()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms")
	b.ReportMetric(float64(r.Trees), "trees")
}

func BenchmarkPredict28(b *testing.B)  { benchmarkPredict(b, 28, 150) }
func BenchmarkPredict142(b *testing.B) { benchmarkPredict(b, 142, 600) }

func TestADecisionAllocatesNothing(t *testing.T) {
	m, _ := trained()
	steps := newQueues(6).run("now", 10, 3).Steps
	cores, out := candidates(&steps[9], 30), make([]tail.Prediction, 30)
	p := m.Predictor()
	if n := testing.AllocsPerRun(10, func() {
		if err := p.Look(steps); err != nil {
			t.Fatal(err)
		}
		p.Try(cores, out)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
