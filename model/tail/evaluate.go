package tail

import (
	"math"

	"foresail.dev/ml"
	"foresail.dev/ml/calibrate"
)

// evaluationBatch is how many samples go through the network at once outside of training.
const evaluationBatch = 256

// Evaluate tells how well a model predicts runs. Runs of another application are left out.
func Evaluate(m *Model, runs []Run) Report {
	var fit []Run
	for _, r := range runs {
		if m.checkRuns([]Run{r}) == nil {
			fit = append(fit, r)
		}
	}
	t := m.tableOf(fit, &m.scale)
	return Report{Scores: m.predict(t, t.samples).scores(m, t, t.samples), Runs: len(fit), Trees: m.trees.Trees(), Margin: m.margin}
}

// predicted is what a model says of samples.
type predicted struct {
	squashed [][5]float64 // ms on the squashed scale
	score    []float64    // log odds of trees
	features []float32    // of the network
}

// forward runs samples through the network.
func (m *Model) forward(t *table, samples []sample) *predicted {
	net, b := m.net(), newBatch(&m.layout, evaluationBatch)
	out := &predicted{squashed: make([][5]float64, 0, len(samples)), features: make([]float32, 0, len(samples)*m.shape.Features())}
	for from := 0; from < len(samples); from += evaluationBatch {
		some := samples[from:min(from+evaluationBatch, len(samples))]
		in := b.first(len(some))
		t.gather(&in, some, &m.scale, nil)
		y := net.Head(net.Trunk(in.history, in.latency, false), in.cores, false)
		for i := range some {
			var ms [5]float64
			for k, v := range y.Row(i) {
				ms[k] = float64(m.out[k].back(v))
			}
			out.squashed = append(out.squashed, ms)
		}
		out.features = append(out.features, net.Features().Data...)
	}
	return out
}

// rowOf writes what the trees see of a sample: features, then the cores that a service has in t+2 to t+5, service by service.
func (t *table) rowOf(dst []float64, features []float32, s sample, sc *scaling) {
	at := widen(dst, features)
	for i := range t.schema.Services {
		for k := 2; k <= Horizon; k++ {
			dst[at] = seen(t.next(int(s.row), k, i), sc.Next[i])
			at++
		}
	}
}

// seen is what trees see of a number: what is missing is the mean.
func seen(v float64, a affine) float64 {
	if v != v {
		return float64(a.Mean)
	}
	return float64(float32(v))
}

// predict runs samples through network and trees.
func (m *Model) predict(t *table, samples []sample) *predicted {
	p := m.forward(t, samples)
	p.score = make([]float64, len(samples))
	row, f := make([]float64, m.trees.Features()), m.shape.Features()
	for i, s := range samples {
		t.rowOf(row, p.features[i*f:(i+1)*f], s, &m.scale)
		p.score[i] = m.trees.Score(row)
	}
	return p
}

// squashedError is the sum of squared errors of p99, and below what Scores.Below counts.
func (p *predicted) rmse99(t *table, samples []sample) float64 {
	sum := 0.0
	for i, s := range samples {
		sum += math.Pow(p.squashed[i][P99]-t.squash.Of(t.seen[s.row+1][P99]), 2)
	}
	return math.Sqrt(sum / float64(max(len(samples), 1)))
}

func (p *predicted) scores(m *Model, t *table, samples []sample) Scores {
	out := Scores{Samples: len(samples)}
	if len(samples) == 0 {
		return out
	}
	n := float64(len(samples))
	below := 0.0
	var counted [5]float64
	prob, y, labels := make([]float64, len(samples)), make([]float64, len(samples)), make([]bool, len(samples))
	for i, s := range samples {
		truth := t.seen[s.row+1]
		for k, v := range truth {
			if math.IsNaN(v) {
				continue
			}
			counted[k]++
			said := p.squashed[i][k]
			square := math.Pow(said-m.squash.Of(v), 2)
			out.RMSE[k] += square
			out.Raw[k] += math.Pow(m.squash.Back(said)-v, 2)
			if k == P99 && (v < m.schema.Reference || said < m.schema.Reference) {
				out.Below += square
				below++
			}
		}
		prob[i] = m.odds.probability(p.score[i])
		if labels[i] = t.bad[s.row]; labels[i] {
			y[i] = 1
			out.Violations += 1 / n
		}
	}
	for k := range out.RMSE {
		out.RMSE[k] = math.Sqrt(out.RMSE[k] / max(counted[k], 1))
		out.Raw[k] = math.Sqrt(out.Raw[k] / max(counted[k], 1))
	}
	if out.Below = math.Sqrt(out.Below / max(below, 1)); below == 0 {
		out.Below = out.RMSE[P99]
	}
	out.classify(labels, prob)
	out.ECE, out.Brier = calibrate.Error(prob, y, tenths), calibrate.Brier(prob, y)
	if auc := ml.AUC(labels, p.score); !math.IsNaN(auc) {
		out.AUC = &auc
	}
	return out
}

// tenths is how many bins calibration is judged in.
const tenths = 10

// classify fills in what hangs on probabilities alone.
func (s *Scores) classify(labels []bool, prob []float64) {
	half := tally(labels, prob, 0.5)
	s.Accuracy, s.Balanced = half.accuracy(), half.balanced()
	prior := tally(labels, prob, s.Violations)
	s.AtPrior = prior.balanced()
	s.Precision, s.Recall = ratio(half.hit, half.hit+half.alarm), ratio(half.hit, half.hit+half.miss)
	bins := make([]Bin, tenths)
	for i, p := range prob {
		b := &bins[min(int(p*tenths), tenths-1)]
		b.Samples++
		b.Said += p
		if labels[i] {
			b.Happened++
		}
	}
	for _, b := range bins {
		if b.Samples > 0 {
			s.Bins = append(s.Bins, Bin{b.Samples, b.Said / float64(b.Samples), b.Happened / float64(b.Samples)})
		}
	}
}

// counts are of samples with and without a violation, by what was said.
type counts struct{ hit, miss, alarm, quiet float64 }

func tally(labels []bool, prob []float64, from float64) (c counts) {
	for i, p := range prob {
		switch {
		case labels[i] && p >= from:
			c.hit++
		case labels[i]:
			c.miss++
		case p >= from:
			c.alarm++
		default:
			c.quiet++
		}
	}
	return c
}

func (c counts) accuracy() float64 {
	return (c.hit + c.quiet) / (c.hit + c.quiet + c.miss + c.alarm)
}

// balanced is the mean of what share of each class was told right; of one class, where there is only that.
func (c counts) balanced() float64 {
	switch bad, good := c.hit+c.miss, c.quiet+c.alarm; {
	case bad == 0:
		return c.quiet / good
	case good == 0:
		return c.hit / bad
	default:
		return (c.hit/bad + c.quiet/good) / 2
	}
}

func ratio(a, b float64) *float64 {
	if b == 0 {
		return nil
	}
	r := a / b
	return &r
}
