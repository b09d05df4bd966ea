package tail_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"

	"foresail.dev"
	"foresail.dev/ml"
	"foresail.dev/model/tail"
)

// trained is a model of queues that all tests share; it takes seconds to make.
var trained = sync.OnceValues(func() (*tail.Model, *tail.Report) {
	q := newQueues(6)
	m, r, err := tail.Train(context.Background(), tail.SchemaOf(q.app), q.runs(6, 400), quick(), nil)
	if err != nil {
		panic(err)
	}
	return m, r
})

func TestAModelLearnsQueues(t *testing.T) {
	m, r := trained()
	if r.Held == nil || r.Held.Samples == 0 || r.Runs != 6 {
		t.Fatalf("nothing was held out: %+v", r)
	}
	// What a model without knowledge would do: the last p99 again, and the majority.
	q := newQueues(6)
	runs := []tail.Run{q.run("other", 500, 99)}
	squash := tail.SquashOf(200)
	naive, n := 0.0, 0.0
	for i := tail.Past; i+tail.Horizon < len(runs[0].Steps); i++ {
		d := squash.Of(runs[0].Steps[i].Latency[tail.P99]) - squash.Of(runs[0].Steps[i-1].Latency[tail.P99])
		naive, n = naive+d*d, n+1
	}
	got := tail.Evaluate(m, runs)
	if last := math.Sqrt(naive / n); got.RMSE[tail.P99] > 0.95*last {
		t.Errorf("p99 is wrong by %.1f ms, and the last value by %.1f", got.RMSE[tail.P99], last)
	}
	if got.AUC == nil || *got.AUC < 0.75 {
		t.Errorf("violations: %+v", got.Scores)
	}
	if got.Accuracy < max(got.Violations, 1-got.Violations) {
		t.Errorf("accuracy %v, where the majority has %v", got.Accuracy, got.Violations)
	}
	if !(m.Margin() > 0) || m.Margin() != r.Held.Below {
		t.Errorf("margin %v, held out %v", m.Margin(), r.Held.Below)
	}
}

// The same data, Config and processor give the same model, to the byte.
func TestTrainingIsDeterministic(t *testing.T) {
	q := newQueues(3)
	cfg := quick()
	cfg.Epochs, cfg.Trees = 2, 10
	var first []byte
	for range 2 {
		m, _, err := tail.Train(t.Context(), tail.SchemaOf(q.app), q.runs(3, 120), cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		data, err := m.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if first != nil && !bytes.Equal(first, data) {
			t.Fatal("two trainings give two models")
		}
		first = data
	}
}

// candidates are n allocations about what was in effect.
func candidates(last *tail.Step, n int) (cores [][]float64) {
	for i := range n {
		var c []float64
		for s := range last.Services {
			c = append(c, max(0.2, last.Services[s].Cores*(0.5+float64((i*7+s*3)%13)/8)))
		}
		cores = append(cores, c)
	}
	return cores
}

// Each candidate gets what it would get alone, whatever is tried beside it, and what Evaluate says of the same second.
func TestTryingTogetherIsTryingAlone(t *testing.T) {
	m, _ := trained()
	run := newQueues(6).run("other", 60, 5)
	p := m.Predictor()
	if err := p.Look(run.Steps); err != nil {
		t.Fatal(err)
	}
	all := candidates(&run.Steps[59], 20)
	together, alone := make([]tail.Prediction, 20), make([]tail.Prediction, 1)
	p.Try(all, together)
	for i := range all {
		p.Try(all[i:i+1], alone)
		for k := range alone[0].Latency {
			if d := math.Abs(alone[0].Latency[k] - together[i].Latency[k]); d > 1e-3*(1+alone[0].Latency[k]) {
				t.Fatalf("candidate %d: %v alone, %v together", i, alone[0], together[i])
			}
		}
		if v := alone[0].Violation; !(v >= 0 && v <= 1) {
			t.Fatalf("a probability of %v", v)
		}
	}
}

func TestBadHistories(t *testing.T) {
	m, _ := trained()
	run := newQueues(6).run("other", 20, 5)
	p := m.Predictor()
	if err := p.Look(run.Steps[:4]); !errors.Is(err, tail.ErrHistory) || !strings.Contains(err.Error(), "4 seconds and 5 are needed") {
		t.Error(err)
	}
	if err := p.Look(newQueues(5).run("fewer", 20, 5).Steps); !errors.Is(err, tail.ErrHistory) {
		t.Error(err)
	}
	if _, err := m.Explain(run.Steps[:3], make([]float64, 6)); !errors.Is(err, tail.ErrHistory) {
		t.Error(err)
	}
	if _, err := m.Explain(run.Steps, make([]float64, 2)); !errors.Is(err, tail.ErrHistory) {
		t.Error(err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("Try after a Look that failed")
			}
		}()
		p.Try([][]float64{make([]float64, 6)}, make([]tail.Prediction, 1))
	}()
}

// Whatever is missing, there is a prediction, and nothing missing changes nothing.
func TestMissingInputsAreTheirMean(t *testing.T) {
	m, _ := trained()
	run := newQueues(6).run("other", 30, 5)
	cores := candidates(&run.Steps[29], 1)
	out := make([]tail.Prediction, 1)
	p := m.Predictor()
	for _, blind := range []func(s *tail.Step){
		func(s *tail.Step) { s.Rate = math.NaN() },
		func(s *tail.Step) { s.Latency = [5]float64{math.NaN(), math.NaN(), math.NaN(), math.NaN(), math.NaN()} },
		func(s *tail.Step) { n := math.NaN(); s.Services[2] = tail.ServiceStep{n, n, n, n, n, n, n} },
	} {
		for i := range run.Steps {
			blind(&run.Steps[i])
		}
		if err := p.Look(run.Steps); err != nil {
			t.Fatal(err)
		}
		p.Try(cores, out)
		if v := out[0]; math.IsNaN(v.Violation) || math.IsNaN(v.Latency[tail.P99]) || v.Latency[tail.P99] < 0 {
			t.Errorf("%+v", v)
		}
	}
	cores[0][1] = math.NaN()
	p.Try(cores, out)
	if math.IsNaN(out[0].Violation) || math.IsNaN(out[0].Latency[0]) {
		t.Errorf("%+v", out[0])
	}
}

func TestModelsFitTheirApplicationAlone(t *testing.T) {
	m, _ := trained()
	q := newQueues(6)
	if err := m.Fits(q.app); err != nil {
		t.Fatal(err)
	}
	q.app.Services[1].Bounds.MaxCPU = 8
	if err := m.Fits(q.app); err != nil {
		t.Error("other bounds:", err)
	}
	for want, change := range map[string]func(a *foresail.App){
		`of application "queues" and this one is "other"`: func(a *foresail.App) { a.Name = "other" },
		`service "extra" is new`:                          func(a *foresail.App) { a.Services = append(a.Services, foresail.Service{Name: "extra"}) },
		`service "service-5" is not in this one`:          func(a *foresail.App) { a.Services = a.Services[:5] },
		"other services gone":                             func(a *foresail.App) { a.Services[3].Gone = true },
		"other objectives":                                func(a *foresail.App) { o := *a.Endpoints[0].Objective; o.Latency *= 2; a.Endpoints[0].Objective = &o },
	} {
		q := newQueues(6)
		change(q.app)
		if err := m.Fits(q.app); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestModelsAreKept(t *testing.T) {
	m, _ := trained()
	var file bytes.Buffer
	if err := tail.Write(&file, m); err != nil {
		t.Fatal(err)
	}
	if file.Len() > 1<<20 {
		t.Errorf("a model has %d bytes", file.Len())
	}
	again, err := tail.Read(bytes.NewReader(file.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	run := newQueues(6).run("other", 60, 5)
	a, b := tail.Evaluate(m, []tail.Run{run}), tail.Evaluate(again, []tail.Run{run})
	if a.RMSE != b.RMSE || a.Brier != b.Brier || again.Margin() != m.Margin() {
		t.Errorf("%+v\n%+v", a, b)
	}
	if x, y := m.Outside(run.Steps, candidates(&run.Steps[59], 1)[0]), again.Outside(run.Steps, candidates(&run.Steps[59], 1)[0]); strings.Join(x, "\n") != strings.Join(y, "\n") {
		t.Errorf("%q\n%q", x, y)
	}
	h, _, err := ml.Read(bytes.NewReader(file.Bytes()))
	if err != nil || h.Kind != tail.Kind || h.Application != m.Schema().Application || h.Trained.Rows == 0 || h.Trained.To.Sub(h.Trained.From) <= 0 {
		t.Error(h, err)
	}
}

// Payloads that are cut off or changed are refused, or give a model that predicts something.
func FuzzModel(f *testing.F) {
	m, _ := trained()
	data, err := m.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Add([]byte{1})
	f.Add([]byte{})
	run := newQueues(6).run("other", 10, 5)
	f.Fuzz(func(t *testing.T, data []byte) {
		var m tail.Model
		if m.UnmarshalBinary(data) != nil {
			return
		}
		p := m.Predictor()
		if p.Look(run.Steps) == nil {
			p.Try([][]float64{make([]float64, 6)}, make([]tail.Prediction, 1))
		}
	})
}

// What Explain says adds up: exactly, whatever the orders it drew.
func TestContributionsSumToThePrediction(t *testing.T) {
	m, _ := trained()
	run := newQueues(6).run("other", 200, 5)
	for _, at := range []int{20, 90, 190} {
		steps := run.Steps[:at]
		cores := candidates(&steps[at-1], 1)[0]
		e, err := m.Explain(steps, cores)
		if err != nil {
			t.Fatal(err)
		}
		p99, odds := e.P99.Base, e.LogOdds.Base
		for _, d := range e.Drivers {
			p99, odds = p99+d.P99, odds+d.LogOdds
		}
		if math.Abs(p99-e.P99.Value) > 0.01*(1+math.Abs(e.P99.Value)) || math.Abs(odds-e.LogOdds.Value) > 1e-6*(1+math.Abs(e.LogOdds.Value)) {
			t.Errorf("p99 %v of %v, log odds %v of %v", p99, e.P99, odds, e.LogOdds)
		}
		p, out := m.Predictor(), make([]tail.Prediction, 1)
		if err := p.Look(steps); err != nil {
			t.Fatal(err)
		}
		p.Try([][]float64{cores}, out)
		if d := math.Abs(out[0].Latency[tail.P99] - max(e.P99.Value, 0)); d > 0.01*(1+e.P99.Value) {
			t.Errorf("explained is %v, predicted %v", e.P99.Value, out[0].Latency[tail.P99])
		}
	}
}

// The service that is given next to nothing is what drives a prediction of a violation.
func TestTheShortServiceIsNamed(t *testing.T) {
	m, _ := trained()
	run := newQueues(6).run("other", 400, 7)
	named := 0
	tries := 0
	for at := 50; at < 400; at += 50 {
		steps := run.Steps[:at]
		cores := make([]float64, 6)
		for i := range cores {
			cores[i] = min(2*steps[at-1].Services[i].Arrivals*0.002*float64(1+i%4), 4)
		}
		cores[3] /= 4
		e, err := m.Explain(steps, cores)
		if err != nil {
			t.Fatal(err)
		}
		most := tail.Driver{LogOdds: -1}
		for _, d := range e.Drivers {
			if d.Channel == tail.DriverProposed && d.LogOdds > most.LogOdds {
				most = d
			}
		}
		tries++
		if most.Service == "service-3" {
			named++
		}
	}
	if named*4 < tries*3 {
		t.Errorf("the short service is named %d of %d times", named, tries)
	}
}

func TestOutside(t *testing.T) {
	m, _ := trained()
	run := newQueues(6).run("other", 60, 0) // the load that it was trained on
	steps := run.Steps
	cores := make([]float64, 6)
	for i := range cores {
		cores[i] = steps[59].Services[i].Cores
	}
	if s := m.Outside(steps, cores); len(s) > 0 {
		t.Errorf("what it was trained on is outside: %q", s)
	}
	cores[2] = 40
	if s := m.Outside(steps, cores); len(s) == 0 || !strings.HasPrefix(s[0], "service-2: 40 cores, trained on ") {
		t.Errorf("%q", s)
	}
	cores[2] = steps[59].Services[2].Cores
	steps[59].Rate = 9000
	if s := m.Outside(steps, cores); len(s) == 0 || !strings.HasPrefix(s[0], "9000 requests/s, trained on ") {
		t.Errorf("%q", s)
	}
	if s := m.Outside(steps[:2], cores); len(s) != 1 {
		t.Errorf("%q", s)
	}
}
