package learner

import "foresail.dev/ml/gbt"

// trees are boosted trees. They are their own predictor.
type trees struct{ m *gbt.Model }

func fitTrees(d *Data, c *Candidate, seed uint64) (*trees, error) {
	cfg := gbt.Default()
	cfg.Trees, cfg.Depth, cfg.LearningRate, cfg.L2 = c.Rounds, c.Depth, c.Rate, c.Penalty
	cfg.RowSample, cfg.ColumnSample, cfg.Seed = c.Share, c.Share, seed
	m, err := gbt.Train(cfg, gbt.Data{X: d.X, Features: d.Inputs, Y: d.Y}, nil)
	if err != nil {
		return nil, err
	}
	return &trees{m}, nil
}

func (t *trees) predictor() predictor                           { return t }
func (t *trees) mean(row []float64) float64                     { return t.m.Predict(row) }
func (t *trees) predict(row []float64) (mean, variance float64) { return t.m.Predict(row), 1 }
func (t *trees) encode() ([]byte, error)                        { return t.m.MarshalBinary() }
