package learner

import (
	"math"

	"foresail.dev/ml/gp"
)

// process is a Gaussian process.
type process struct{ m *gp.Model }

// maxProcessRows bounds how many rows a process is fitted to: of more, it takes as many, evenly spaced.
const maxProcessRows = 1000

func fitProcess(d *Data, c *Candidate, seed uint64) (*process, error) {
	cfg := gp.Default()
	cfg.PerFeature, cfg.Seed, cfg.Restarts = c.Kind == Scaled, seed, 1
	cfg.Iterations, cfg.Evaluations = 30, 40
	if c.Rough {
		cfg.Kernel = gp.Matern32
	}
	if c.Shrink > 0 {
		// Lengths that grow with the root of the number of inputs leave distances, and so covariances, as they are.
		// With a prior there is little but one place to climb to.
		cfg.Restarts = 0
		cfg.Prior = gp.Prior{Mean: math.Log(2) + math.Log(float64(d.Inputs))/2, Deviation: c.Shrink}
	}
	if n := d.Rows(); n > maxProcessRows {
		rows := make([]int, maxProcessRows)
		for i := range rows {
			rows[i] = i * n / maxProcessRows
		}
		some := d.Pick(rows)
		d = &some
	}
	m, err := gp.Fit(cfg, d.X, d.Inputs, d.Y)
	if err != nil {
		return nil, err
	}
	return &process{m}, nil
}

func (p *process) predictor() predictor {
	return &processPredictor{gp.NewPredictor(p.m), p.m.Params().Noise}
}

func (p *process) encode() ([]byte, error) { return p.m.MarshalBinary() }

type processPredictor struct {
	p     *gp.Predictor
	noise float64
}

func (p *processPredictor) mean(row []float64) float64 { return p.p.Mean(row) }

func (p *processPredictor) predict(row []float64) (float64, float64) {
	mean, variance := p.p.Predict(row)
	return mean, variance + p.noise
}
