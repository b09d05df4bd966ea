package gbt

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
)

// Train trains a model on a table, as cfg says. Valid is data that trees are not grown from, to see when to stop; it may
// be nil unless cfg.Patience is set. Errors name what is wrong with cfg or the data.
func Train(cfg Config, train Data, valid *Data) (*Model, error) {
	if train.Features < 1 || len(train.X) != len(train.Y)*train.Features {
		return nil, train.validate(cfg.Loss)
	}
	t, err := NewTrainer(train.X, train.Features, MaxBins)
	if err != nil {
		return nil, err
	}
	return t.Train(cfg, train.Y, train.Weight, valid)
}

// Continue adds trees to those of a model, on other data with the same features: what cfg says is of the new trees, and its
// loss must be the model's. From is left as it is. With validation data that no new tree helps on, it is returned unchanged.
func Continue(cfg Config, from *Model, train Data, valid *Data) (*Model, error) {
	switch {
	case cfg.Loss != from.loss:
		return nil, fmt.Errorf("gbt: trees of the %s loss can't go on from a model of the %s loss", cfg.Loss, from.loss)
	case train.Features != from.features:
		return nil, fmt.Errorf("gbt: the data has %d features, the model to go on from %d", train.Features, from.features)
	}
	if err := train.validate(cfg.Loss); err != nil {
		return nil, err
	}
	t, err := NewTrainer(train.X, train.Features, MaxBins)
	if err != nil {
		return nil, err
	}
	return t.train(cfg, from, train.X, train.Y, train.Weight, valid)
}

// Trainer holds a quantised table, from which several models are trained for the price of quantising it once: quantiles,
// or targets further and further ahead. It may be used by several goroutines.
type Trainer struct{ table *table }

// NewTrainer quantises x, which is row by row with so many features each, NaN where missing, into at most bins bins a
// feature, 2 to MaxBins. A feature with no more different values than that loses nothing. X is not kept.
func NewTrainer(x []float64, features, bins int) (*Trainer, error) {
	switch {
	case bins < 2 || bins > MaxBins:
		return nil, fmt.Errorf("gbt: %d bins, must be from 2 to %d", bins, MaxBins)
	case features < 1 || len(x)%features != 0:
		return nil, fmt.Errorf("gbt: %d numbers don't make rows of %d features", len(x), features)
	case len(x) == 0:
		return nil, errors.New("gbt: data has no rows")
	}
	t, err := quantise(x, features, bins)
	if err != nil {
		return nil, err
	}
	return &Trainer{table: t}, nil
}

// Rows is how many rows the table has.
func (t *Trainer) Rows() int { return t.table.rows }

// Train trains a model that predicts y, one for each row; weight may be nil. See the function Train.
func (t *Trainer) Train(cfg Config, y, weight []float64, valid *Data) (*Model, error) {
	return t.train(cfg, nil, nil, y, weight, valid)
}

// train goes on from a model, whose scores of rows need x; nil: from none.
func (t *Trainer) train(cfg Config, from *Model, x, y, weight []float64, valid *Data) (*Model, error) {
	if err := cfg.validate(t.table.features); err != nil {
		return nil, err
	}
	if len(y) != t.table.rows {
		return nil, fmt.Errorf("gbt: Y has %d numbers for %d rows", len(y), t.table.rows)
	}
	if err := validTargets(cfg.Loss, y, weight); err != nil {
		return nil, err
	}
	if valid != nil {
		if valid.Features != t.table.features {
			return nil, fmt.Errorf("gbt: validation data has %d features, training data %d", valid.Features, t.table.features)
		}
		if err := valid.validate(cfg.Loss); err != nil {
			return nil, fmt.Errorf("validation data: %w", err)
		}
	}
	if cfg.Patience > 0 && valid == nil {
		return nil, errors.New("gbt: patience needs validation data: give some, or set it to 0")
	}
	b := booster{cfg: &cfg, y: y, weight: weight, valid: valid, grower: newGrower(&cfg, t.table), from: from, x: x}
	return b.boost(), nil
}

// booster adds one tree after another.
type booster struct {
	*grower
	cfg         *Config
	y, weight   []float64
	score       []float64 // of each row, so far
	grad, hess  []float64
	room, roomW []float64
	rand        *rand.Rand
	valid       *Data
	validScore  []float64
	inSample    []bool
	allColumns  []int
	model       *Model
	best        float64
	bestTrees   int
	from        *Model // nil: none
	x           []float64
}

func (b *booster) boost() *Model {
	rows := b.table.rows
	if b.from != nil {
		b.model = b.from.clone()
		b.bestTrees = len(b.model.roots)
	} else {
		b.model = &Model{loss: b.cfg.Loss, features: b.table.features, base: b.cfg.base(b.y, b.weight)}
	}
	b.rand = rand.New(rand.NewPCG(b.cfg.Seed, 0x9e3779b97f4a7c15))
	b.grad, b.hess, b.score = make([]float64, rows), make([]float64, rows), make([]float64, rows)
	b.room = make([]float64, rows)
	if b.weight != nil {
		b.roomW = make([]float64, rows)
	}
	b.inSample = make([]bool, rows)
	b.begin(b.score, b.x)
	b.allColumns = make([]int, b.table.features)
	for f := range b.allColumns {
		b.allColumns[f] = f
	}
	if b.valid != nil {
		b.validScore = make([]float64, len(b.valid.Y))
		b.begin(b.validScore, b.valid.X)
		b.best = b.cfg.loss(b.validScore, b.valid.Y, b.valid.Weight)
	}
	sampled := b.cfg.RowSample < 1 || b.cfg.ColumnSample < 1
	for range b.cfg.Trees {
		b.cfg.derivatives(b.grad, b.hess, b.score, b.y, b.weight)
		b.sample()
		b.grow(b.grad, b.hess)
		b.weighLeaves()
		// A tree without a split still moves every score, so that the next one may split; one that moves nothing would be
		// the same for ever.
		if !sampled && len(b.tree) == 1 && math.Abs(b.tree[0].value) <= 1e-12*(1+math.Abs(b.model.base)) {
			break
		}
		b.model.add(b.tree, b.table)
		b.advance()
		if b.worse() {
			break
		}
	}
	if b.cfg.Patience > 0 {
		b.model.truncate(b.bestTrees)
	}
	return b.model
}

// begin sets scores to those before the first new tree.
func (b *booster) begin(score, x []float64) {
	for i := range score {
		if score[i] = b.model.base; b.from != nil {
			score[i] = b.from.Score(x[i*b.table.features : (i+1)*b.table.features])
		}
	}
}

// sample draws the rows and columns that the next tree sees. Each keeps its order.
func (b *booster) sample() {
	rows := b.table.rows
	b.rows = b.rows[:0]
	need := max(int(b.cfg.RowSample*float64(rows)+0.5), 1)
	for r := range rows {
		left := rows - r
		take := need == left || need > 0 && b.rand.IntN(left) < need
		b.inSample[r] = take
		if take {
			b.rows = append(b.rows, int32(r))
			need--
		}
	}
	need = max(int(b.cfg.ColumnSample*float64(len(b.allColumns))+0.5), 1)
	b.columns = b.columns[:0]
	for i, f := range b.allColumns {
		if left := len(b.allColumns) - i; need == left || need > 0 && b.rand.IntN(left) < need {
			b.columns = append(b.columns, f)
			need--
		}
	}
}

// weighLeaves gives each leaf its value, from exact sums over its rows or, for the quantile loss, from what is left of y.
func (b *booster) weighLeaves() {
	if b.cfg.Loss == Quantile && b.splits.monotone {
		b.boundQuantiles(0, unbounded)
	}
	for i := range b.tree {
		n := &b.tree[i]
		if n.child != 0 {
			continue
		}
		n.value = b.cfg.LearningRate * n.in.clamp(b.weighRows(b.rows[n.begin:n.end]))
	}
}

// weighRows is what a leaf with these rows weighs, before shrinkage and bounds.
func (b *booster) weighRows(rows []int32) float64 {
	if b.cfg.Loss == Quantile {
		return b.residual(rows)
	}
	g, h := 0.0, 0.0
	for _, r := range rows {
		g += b.grad[r]
		h += b.hess[r]
	}
	if h+b.cfg.L2 <= 0 {
		return 0
	}
	return -g / (h + b.cfg.L2)
}

// residual is the quantile of y less the score, over rows.
func (b *booster) residual(rows []int32) float64 {
	v, w := b.room[:len(rows)], b.roomW
	if w != nil {
		w = w[:len(rows)]
	}
	for i, r := range rows {
		v[i] = b.y[r] - b.score[r]
		if w != nil {
			w[i] = b.weight[r]
		}
	}
	return quantileOf(v, w, b.cfg.Quantile)
}

// boundQuantiles sets the bounds of each leaf below node n, for leaves that weigh quantiles: those were not known when
// the tree was grown. Where both sides of a constrained split are in the wrong order, they meet in the middle.
func (b *booster) boundQuantiles(n int32, in bounds) {
	t := &b.tree[n]
	t.in = in
	if t.child == 0 {
		return
	}
	left, right := &b.tree[t.child], &b.tree[t.child+1]
	l, r := in, in
	if b.cfg.Monotone[t.feature] != 0 {
		wl, wr := in.clamp(b.residual(b.rows[left.begin:left.end])), in.clamp(b.residual(b.rows[right.begin:right.end]))
		l, r = b.splits.children(t.feature, wl, wr, in)
	}
	b.boundQuantiles(t.child, l)
	b.boundQuantiles(t.child+1, r)
}

// advance adds the new tree to the score of every row.
func (b *booster) advance() {
	for i := range b.tree {
		if n := &b.tree[i]; n.child == 0 {
			for _, r := range b.rows[n.begin:n.end] {
				b.score[r] += n.value
			}
		}
	}
	if len(b.rows) < b.table.rows {
		for r, in := range b.inSample {
			if !in {
				b.score[r] += b.tree[b.find(int32(r))].value
			}
		}
	}
	if b.valid == nil {
		return
	}
	t := len(b.model.roots) - 1
	for r := range b.validScore {
		b.validScore[r] += b.model.value[b.model.leaf(t, b.valid.X[r*b.table.features:(r+1)*b.table.features])]
	}
}

// worse is whether the validation data has seen no lower loss for as many trees as Patience says.
func (b *booster) worse() bool {
	if b.cfg.Patience == 0 {
		return false
	}
	trees := len(b.model.roots)
	if loss := b.cfg.loss(b.validScore, b.valid.Y, b.valid.Weight); loss < b.best {
		b.best, b.bestTrees = loss, trees
	}
	return trees-b.bestTrees >= b.cfg.Patience
}
