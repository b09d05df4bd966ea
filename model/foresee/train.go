package foresee

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"foresail.dev"
	"foresail.dev/ml"
	"foresail.dev/ml/calibrate"
	"foresail.dev/ml/nn"
	"foresail.dev/model/foresee/network"
)

// Report says how training went.
type Report struct {
	Violations, Quiet int // samples that were learnt from, and that there were
	Epoch             int // that was kept, from 1
	Loss              float64
	Held              Result // of the runs that were held out, at the model's threshold: it was chosen on them
	Recall, Precision float64
	Top1              float64
}

// Train fits a network. Runs must have the beats of one length and be of the schema's application; two at least, with
// episodes in both. Tell, if not nil, hears of each epoch. The same runs and Config give the same model.
func Train(ctx context.Context, schema Schema, runs []*Run, cfg Config, tell func(epoch int, loss float64)) (*Model, *Report, error) {
	if err := errors.Join(cfg.Check(), fit(schema, runs)); err != nil {
		return nil, nil, err
	}
	r := nn.NewRand(cfg.Seed, 1)
	learn, held := Split(runs, &cfg)
	for _, run := range held {
		if run.Kept != nil {
			return nil, nil, fmt.Errorf("run %s is thinned and held out: thin those alone that Split gives to learn from", run.Name)
		}
	}
	m := &Model{schema: schema, beat: runs[0].Beat, horizon: cfg.Horizon, signal: cfg.Signal, order: Order(len(schema.Services), calls(runs))}
	m.shape = network.Config{Kind: cfg.Network, Services: len(m.order), Beats: cfg.Window, Channels: len(cfg.Signal.columns())}
	if err := m.shape.Check(); err != nil {
		return nil, nil, err
	}
	m.scale = scaling(learn, m.order, cfg.Signal.columns(), calm(learn, cfg.Horizon, cfg.Window))
	t := newTrainer(m, learn, held, cfg, r)
	if len(t.ahead) == 0 || len(t.none) == 0 {
		return nil, nil, fmt.Errorf("there are %d moments before a violation and %d before none to learn from: give runs with both", len(t.ahead), len(t.none))
	}
	report := &Report{Violations: len(t.ahead), Quiet: len(t.none), Loss: math.Inf(1)}
	var best []byte
	most := 0.0
	for epoch := range cfg.Epochs {
		if err := t.epoch(ctx, epoch); err != nil {
			return nil, nil, err
		}
		t.swap()
		loss, merit := t.heldOut()
		if tell != nil {
			tell(epoch+1, loss)
		}
		if !math.IsNaN(loss) && !math.IsInf(loss, 0) && (best == nil || merit > most) {
			most = merit
			var err error
			if best, err = nn.Save(t.params, nil, nil); err != nil {
				return nil, nil, err
			}
			report.Loss, report.Epoch = loss, epoch+1
		}
		t.swap()
	}
	if best == nil {
		return nil, nil, errors.New("training diverged: no epoch has a finite loss; give a lower rate")
	}
	if err := nn.Restore(best, t.params, nil, nil); err != nil {
		return nil, nil, err
	}
	m.weights = t.params
	if err := m.settle(held, cfg, report); err != nil {
		return nil, nil, err
	}
	m.trained = ml.Training{Source: cfg.Source, Rows: len(t.ahead) + len(t.none), From: runs[0].Start, To: runs[0].End(runs[0].Beats() - 1), Seed: cfg.Seed, Commit: cfg.Commit}
	for _, run := range runs {
		if run.Start.Before(m.trained.From) {
			m.trained.From = run.Start
		}
		if end := run.End(run.Beats() - 1); end.After(m.trained.To) {
			m.trained.To = end
		}
	}
	if m.trained.Source == "" {
		m.trained.Source = "runs"
	}
	return m, report, nil
}

// fit tells what is wrong with runs.
func fit(schema Schema, runs []*Run) error {
	if len(runs) < 2 {
		return fmt.Errorf("%d runs: two are needed at least, one to learn from and one to be held out", len(runs))
	}
	for _, r := range runs {
		if r.Services != len(schema.Services) {
			return fmt.Errorf("run %s has %d services and application %s %d", r.Name, r.Services, schema.Name, len(schema.Services))
		}
		if r.Beat != runs[0].Beat || r.Beat <= 0 || r.Beats() == 0 {
			return fmt.Errorf("run %s has %d beats of %s, and %s has %s ones: all must have beats of one length", r.Name, r.Beats(), r.Beat, runs[0].Name, runs[0].Beat)
		}
	}
	return nil
}

// Split says which runs a configuration learns from, and which it holds out: it hangs on how many there are and the seed.
func Split(runs []*Run, cfg *Config) (learn, held []*Run) {
	for i, out := range HeldOut(len(runs), cfg) {
		if out {
			held = append(held, runs[i])
		} else {
			learn = append(learn, runs[i])
		}
	}
	return learn, held
}

// HeldOut tells of each of so many runs whether it is held out.
func HeldOut(runs int, cfg *Config) []bool {
	out := make([]bool, runs)
	n := min(max(int(math.Round(cfg.Validation*float64(runs))), 1), runs-1)
	for _, at := range nn.NewRand(cfg.Seed, 2).Perm(runs)[:n] {
		out[at] = true
	}
	return out
}

func calls(runs []*Run) (all [][2]foresail.ServiceID) {
	for _, r := range runs {
		all = append(all, r.Calls...)
	}
	return all
}

// trainer is what an epoch needs.
type trainer struct {
	cfg         Config
	m           *Model
	learn, held []*Run
	ahead, none []sample
	busy        []sample // of none, those in which some queue is long: what is easily taken for a violation
	heldSet     []sample
	net         nn.Sequential[float32]
	params      []*nn.Param[float32]
	mean        [][]float32 // of the weights over some steps
	steps       int
	opt         *nn.Adam[float32]
	r           *nn.Rand
	x, target   nn.Batch[float32]
	dy          nn.Batch[float32]
}

// long is how far above normal, in deviations, a queue is that makes a quiet beat a busy one.
const long = 4

// meanOver weighs the mean of weights so far at each step.
const meanOver = 0.99

// heldAtMost bounds how many quiet samples choose the epoch.
const heldAtMost = 2000

func newTrainer(m *Model, learn, held []*Run, cfg Config, r *nn.Rand) *trainer {
	t := &trainer{cfg: cfg, m: m, learn: learn, held: held, net: network.New[float32](m.shape, r), opt: &nn.Adam[float32]{Rate: cfg.Rate}, r: r}
	t.params = t.net.Params()
	for _, p := range t.params {
		t.mean = append(t.mean, slices.Clone(p.W))
	}
	t.ahead, t.none = samples(learn, cfg.Window, cfg.Horizon, m.order)
	row := make([]float32, m.width())
	for _, s := range t.none {
		look(learn[s.run].At(int(s.beat)), m.order, m.signal.columns(), m.scale, row)
		for _, v := range row {
			if v > long {
				t.busy = append(t.busy, s)
				break
			}
		}
	}
	ahead, none := samples(held, cfg.Window, cfg.Horizon, m.order)
	r.Shuffle(len(none), func(i, k int) { none[i], none[k] = none[k], none[i] })
	t.heldSet = append(ahead, none[:min(len(none), heldAtMost)]...)
	return t
}

// epoch shows each sample before a violation once, and quiet ones that are drawn: half of all, half of the busy.
func (t *trainer) epoch(ctx context.Context, epoch int) error {
	set := append([]sample(nil), t.ahead...)
	for i := range int(math.Ceil(t.cfg.Quiet * float64(len(t.ahead)))) {
		from := t.none
		if i%2 == 0 && len(t.busy) > 0 {
			from = t.busy
		}
		set = append(set, from[t.r.IntN(len(from))])
	}
	t.r.Shuffle(len(set), func(i, k int) { set[i], set[k] = set[k], set[i] })
	steps := (len(set) + t.cfg.Batch - 1) / t.cfg.Batch
	for i := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		done := (float64(epoch) + float64(i)/float64(steps)) / float64(t.cfg.Epochs)
		t.opt.Rate = t.cfg.Rate * (1 + math.Cos(math.Pi*done)) / 2
		y := t.forward(t.learn, set[i*t.cfg.Batch:min((i+1)*t.cfg.Batch, len(set))], true)
		nn.CrossEntropy(y, t.target, t.dy)
		t.net.Backward(t.dy)
		nn.Clip(t.params, 5)
		t.opt.Step(t.params)
		t.average()
	}
	return nil
}

// average lets weights decay, and follows them with their mean over the last steps, which is what is kept: it does not depend on
// which samples came last.
func (t *trainer) average() {
	keep := float32(1 - t.opt.Rate*t.cfg.Decay)
	t.steps++
	follow := float32(max(1-meanOver, 1/float64(t.steps)))
	for i, p := range t.params {
		mean := t.mean[i]
		for k, w := range p.W {
			w *= keep
			p.W[k] = w
			mean[k] += (w - mean[k]) * follow
		}
	}
}

// swap exchanges the weights with their mean.
func (t *trainer) swap() {
	for i, p := range t.params {
		for k, w := range p.W {
			p.W[k], t.mean[i][k] = t.mean[i][k], w
		}
	}
}

// forward is the scores of samples; their classes are in target.
func (t *trainer) forward(runs []*Run, set []sample, train bool) nn.Batch[float32] {
	classes := t.m.shape.Classes()
	t.x = resized(t.x, len(set), t.m.shape.Inputs())
	t.target, t.dy = resized(t.target, len(set), classes), resized(t.dy, len(set), classes)
	clear(t.target.Data)
	for i, s := range set {
		t.m.window(runs[s.run], int(s.beat), t.x.Row(i))
		t.target.Row(i)[s.class] = 1
	}
	return t.net.Forward(t.x, train)
}

func resized(b nn.Batch[float32], rows, cols int) nn.Batch[float32] {
	if cap(b.Data) < rows*cols {
		b.Data = make([]float32, rows*cols)
	}
	return nn.Batch[float32]{Rows: rows, Cols: cols, Data: b.Data[:rows*cols]}
}

// heldOut is the cross entropy on the held-out samples, in which those before a violation weigh as much as the others do, and
// what chooses the epoch: the average precision of telling a violation and its culprit. A network that is too sure of itself
// has a large loss and may still put samples into the right order, which is what calibration and threshold need.
func (t *trainer) heldOut() (loss, merit float64) {
	var sum, n [2]float64
	type told struct {
		odds        float64 // of a violation
		ahead, hits bool    // one comes; and its culprit is the likeliest
	}
	var all []told
	for from := 0; from < len(t.heldSet); from += 256 {
		set := t.heldSet[from:min(from+256, len(t.heldSet))]
		y := t.forward(t.held, set, false)
		for i, s := range set {
			row := y.Row(i)
			services := row[:t.m.shape.Services]
			x := told{odds: logSum(services) - float64(row[len(services)])}
			k := 0
			if int(s.class) < len(services) {
				k = 1
				x.ahead, x.hits = true, services[s.class] == slices.Max(services)
			}
			all = append(all, x)
			sum[k] += -logSoftmax(row, int(s.class))
			n[k]++
		}
	}
	for k := range sum {
		if n[k] > 0 {
			loss += sum[k] / n[k] / 2
		}
	}
	slices.SortStableFunc(all, func(a, b told) int { return cmp.Compare(b.odds, a.odds) })
	ahead := 0.0
	for rank, x := range all {
		if x.ahead {
			ahead++
			if x.hits {
				merit += ahead / float64(rank+1) / max(n[1], 1)
			}
		}
	}
	return loss, merit
}

func logSoftmax(y []float32, class int) float64 {
	return float64(y[class]) - logSum(y)
}

// logSum is the logarithm of the sum of exp(y).
func logSum(y []float32) float64 {
	top := float32(math.Inf(-1))
	for _, v := range y {
		top = max(top, v)
	}
	sum := 0.0
	for _, v := range y {
		sum += math.Exp(float64(v - top))
	}
	return float64(top) + math.Log(sum)
}

// settle calibrates the model, and sets its threshold, on runs that it did not learn from.
func (m *Model) settle(held []*Run, cfg Config, report *Report) error {
	all := JudgeAll(m, held, cfg.Horizon, cfg.Window)
	var score, y []float64
	for i := range all {
		for t, what := range all[i].moments {
			if s := all[i].says[t].Score; s == s && (what.what == quiet || what.what == nearing) {
				score = append(score, s)
				v := 0.0
				if what.what == nearing {
					v = 1
				}
				y = append(y, v)
			}
		}
	}
	steps, err := calibrate.FitSteps(score, y, nil)
	if err != nil {
		return fmt.Errorf("the runs that were held out: %w", err)
	}
	m.odds = steps
	m.threshold = Tune(all, cfg.Precision)
	if math.IsInf(m.threshold, 0) {
		return errors.New("the runs that were held out have no episode: give more runs, or longer ones")
	}
	report.Held = Evaluate(all, m.threshold)
	report.Recall, report.Precision, report.Top1 = report.Held.Recall(), report.Held.Precision(), report.Held.Top1(held)
	return nil
}
