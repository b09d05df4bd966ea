package gp_test

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"foresail.dev/ml/gp"
)

// smooth makes n rows of d features in [0, 10) and what they make of it, with noise of the given deviation.
func smooth(n, d int, noise float64, seed uint64) (x, y []float64) {
	rng := rand.New(rand.NewPCG(seed, 5))
	for range n {
		v := 100.0
		for f := range d {
			x = append(x, 10*rng.Float64())
			v += 5 * math.Sin(x[len(x)-1]/float64(f+1))
		}
		y = append(y, v+noise*rng.NormFloat64())
	}
	return x, y
}

func must(t testing.TB, m *gp.Model, err error) *gp.Model {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// dense is the textbook in numbers of 200 bits: Gauss-Jordan on the whole kernel matrix, no factor, nothing standardised.
// Only exp and sqrt of the kernel have 53 bits.
type dense struct {
	inverse [][]*big.Float
	logDet  float64
	x, y    []float64
	d       int
	cov     func(a, b []float64) float64
	mean    *big.Float
}

func real(v float64) *big.Float { return new(big.Float).SetPrec(200).SetFloat64(v) }

func mul(a, b *big.Float) *big.Float { return new(big.Float).SetPrec(200).Mul(a, b) }

func newDense(k gp.Kernel, x []float64, d int, y []float64, p gp.Params) *dense {
	n := len(y)
	g := &dense{x: x, y: y, d: d}
	g.cov = func(a, b []float64) float64 {
		r2 := 0.0
		for f := range a {
			v := (a[f] - b[f]) / p.Lengths[f]
			r2 += v * v
		}
		r := math.Sqrt(r2)
		if k == gp.Matern32 {
			return p.Variance * (1 + math.Sqrt(3)*r) * math.Exp(-math.Sqrt(3)*r)
		}
		return p.Variance * (1 + math.Sqrt(5)*r + 5*r2/3) * math.Exp(-math.Sqrt(5)*r)
	}
	m := make([][]*big.Float, n)
	for i := range m {
		m[i] = make([]*big.Float, 2*n)
		for j := range n {
			m[i][j], m[i][n+j] = real(g.cov(g.row(i), g.row(j))), real(0)
			if i == j {
				m[i][j].Add(m[i][j], real(p.Noise))
				m[i][n+j] = real(1)
			}
		}
	}
	for c := range n { // positive definite: no pivoting
		pivot, _ := m[c][c].Float64()
		g.logDet += math.Log(pivot)
		inv := new(big.Float).SetPrec(200).Quo(real(1), m[c][c])
		for j := range 2 * n {
			m[c][j] = mul(m[c][j], inv)
		}
		for i := range n {
			if i != c {
				by := new(big.Float).Copy(m[i][c])
				for j := range 2 * n {
					m[i][j].Sub(m[i][j], mul(by, m[c][j]))
				}
			}
		}
	}
	for i := range m {
		g.inverse = append(g.inverse, m[i][n:])
	}
	ones := make([]*big.Float, n)
	for i := range ones {
		ones[i] = real(1)
	}
	g.mean = new(big.Float).SetPrec(200).Quo(g.form(ones, g.targets(real(0))), g.form(ones, ones))
	return g
}

func (g *dense) row(i int) []float64 { return g.x[i*g.d : (i+1)*g.d] }

func (g *dense) targets(less *big.Float) []*big.Float {
	v := make([]*big.Float, len(g.y))
	for i, y := range g.y {
		v[i] = real(y)
		v[i].Sub(v[i], less)
	}
	return v
}

// form is a K⁻¹ b.
func (g *dense) form(a, b []*big.Float) *big.Float {
	sum := real(0)
	for i := range a {
		for j := range b {
			sum.Add(sum, mul(mul(a[i], g.inverse[i][j]), b[j]))
		}
	}
	return sum
}

func (g *dense) likelihood() float64 {
	r := g.targets(g.mean)
	fit, _ := g.form(r, r).Float64()
	return -fit/2 - g.logDet/2 - float64(len(g.y))/2*math.Log(2*math.Pi)
}

func (g *dense) predict(row []float64) (mean, variance float64) {
	k := make([]*big.Float, len(g.y))
	for i := range k {
		k[i] = real(g.cov(row, g.row(i)))
	}
	m := g.form(k, g.targets(g.mean))
	mean, _ = m.Add(m, g.mean).Float64()
	explained, _ := g.form(k, k).Float64()
	return mean, g.cov(row, row) - explained
}

// Likelihood, mean and variance are those of the textbook's formulas, to 1e-8.
func TestAModelSaysWhatTheTextbookSays(t *testing.T) {
	x, y := smooth(18, 2, 0.3, 1)
	rng := rand.New(rand.NewPCG(1, 1))
	cfg := gp.Default()
	for _, cfg.Kernel = range []gp.Kernel{gp.Matern52, gp.Matern32} {
		p := gp.Params{Lengths: []float64{2, 7}, Variance: 30, Noise: 0.1}
		m, err := gp.New(cfg, x, 2, y, p)
		must(t, m, err)
		want := newDense(cfg.Kernel, x, 2, y, p)
		near := func(what string, got, want float64) {
			if math.Abs(got-want) > 1e-8*(1+math.Abs(want)) {
				t.Errorf("%s: %s is %v, want %v", cfg.Kernel, what, got, want)
			}
		}
		near("log likelihood", m.LogLikelihood(), want.likelihood())
		mean, _ := want.mean.Float64()
		near("constant mean", m.Mean(), mean)
		predict := gp.NewPredictor(m)
		rows, means, variances := make([]float64, 2*70), make([]float64, 70), make([]float64, 70)
		for i := range rows {
			rows[i] = 12*rng.Float64() - 1
		}
		predict.PredictAll(means, variances, rows)
		for i := range means {
			row := rows[2*i : 2*i+2]
			wantMean, wantVariance := want.predict(row)
			mean, variance := predict.Predict(row)
			near("mean", mean, wantMean)
			near("variance", variance, wantVariance)
			near("mean alone", predict.Mean(row), wantMean)
			near("mean of many", means[i], wantMean)
			near("variance of many", variances[i], wantVariance)
		}
	}
}

// One row: the mean is its target, and nothing is known of the rest. Two, far apart: each knows itself alone.
func TestPredictionsWorkedByHand(t *testing.T) {
	p := gp.Params{Lengths: []float64{1}, Variance: 4, Noise: 0}
	m, err := gp.New(gp.Default(), []float64{3}, 1, []float64{7}, p)
	must(t, m, err)
	if mean, variance := gp.NewPredictor(m).Predict([]float64{3}); math.Abs(mean-7) > 1e-12 || math.Abs(variance) > 1e-12 {
		t.Errorf("where it was observed: %v ± %v", mean, variance)
	}
	if mean, variance := gp.NewPredictor(m).Predict([]float64{1e6}); math.Abs(mean-7) > 1e-12 || math.Abs(variance-4) > 1e-12 {
		t.Errorf("far away: %v ± %v", mean, variance)
	}
	p.Noise = 4
	m, err = gp.New(gp.Default(), []float64{0, 1e6}, 1, []float64{0, 8}, p)
	must(t, m, err) // the mean is 4; half of what deviates is taken for noise
	if mean, variance := gp.NewPredictor(m).Predict([]float64{0}); math.Abs(mean-2) > 1e-12 || math.Abs(variance-2) > 1e-12 {
		t.Errorf("with noise: %v ± %v, want 2 ± 2", mean, variance)
	}
}

// Targets are drawn from a process of known parameters: fitting finds them again, as far as 300 rows tell, and a
// likelihood no lower than theirs.
func TestFittingFindsTheParametersAgain(t *testing.T) {
	const n = 300
	rng := rand.New(rand.NewPCG(11, 0))
	truth := gp.Params{Lengths: []float64{0.5, 2}, Variance: 9, Noise: 0.04}
	x := make([]float64, 2*n)
	for i := range x {
		x[i] = 5 * rng.Float64()
	}
	y := sample(x, 2, truth, rng)
	cfg := gp.Default()
	m, err := gp.Fit(cfg, x, 2, y)
	must(t, m, err)
	known, err := gp.New(cfg, x, 2, y, truth)
	must(t, known, err)
	if m.LogLikelihood() < known.LogLikelihood() {
		t.Errorf("log likelihood %v, of the true parameters %v", m.LogLikelihood(), known.LogLikelihood())
	}
	p := m.Params()
	for _, c := range []struct {
		name              string
		got, want, factor float64
	}{
		{"length of 0", p.Lengths[0], 0.5, 1.4}, {"length of 1", p.Lengths[1], 2, 1.4},
		{"variance", p.Variance, 9, 2}, {"noise", p.Noise, 0.04, 1.5},
	} {
		if ratio := c.got / c.want; ratio > c.factor || ratio < 1/c.factor {
			t.Errorf("%s is %v, want %v within a factor of %v", c.name, c.got, c.want, c.factor)
		}
	}
}

// sample draws targets from the process (Matern 5/2), row by row from what the rows before it say.
func sample(x []float64, d int, p gp.Params, rng *rand.Rand) []float64 {
	n := len(x) / d
	l := make([][]float64, n)
	y := make([]float64, n)
	z := make([]float64, n)
	for i := range n {
		l[i] = make([]float64, i+1)
		for j := range i + 1 {
			r2 := 0.0
			for f := range d {
				v := (x[i*d+f] - x[j*d+f]) / p.Lengths[f]
				r2 += v * v
			}
			s := math.Sqrt(5 * r2)
			v := p.Variance * (1 + s + s*s/3) * math.Exp(-s)
			if i == j {
				v += p.Noise
			}
			for k := range j {
				v -= l[i][k] * l[j][k]
			}
			if i == j {
				l[i][j] = math.Sqrt(v)
			} else {
				l[i][j] = v / l[j][j]
			}
		}
		z[i] = rng.NormFloat64()
		for j := range i + 1 {
			y[i] += l[i][j] * z[j]
		}
	}
	return y
}

// Of three features one matters: with a length scale each, those of the others are found to be long. Intervals then
// cover what they say.
func TestFeaturesThatDoNotMatterAreFoundOut(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	draw := func(n int) (x, y []float64) {
		for range n {
			a := 6 * rng.Float64()
			x = append(x, 1000*rng.Float64(), a, rng.Float64()/1000)
			y = append(y, math.Sin(a)+0.1*rng.NormFloat64())
		}
		return x, y
	}
	x, y := draw(120)
	m, err := gp.Fit(gp.Default(), x, 3, y)
	must(t, m, err)
	if l := m.Params().Lengths; l[0] < 2000 || l[1] > 6 || l[2] < 0.002 {
		t.Errorf("length scales are %v; of 0 and 2 they should be more than twice the range", l)
	}
	predict, inside := gp.NewPredictor(m), 0
	x, y = draw(1000)
	for i := range y {
		mean, variance := predict.Predict(x[3*i : 3*i+3])
		if math.Abs(y[i]-mean) < 1.645*math.Sqrt(variance+m.Params().Noise) {
			inside++
		}
	}
	if inside < 850 || inside > 950 {
		t.Errorf("%d of 1000 within the interval of 90 %%", inside)
	}
}

// Rows that repeat and no noise: singular, unless jitter is allowed.
func TestASingularKernelIsAnError(t *testing.T) {
	x, y := []float64{1, 1, 2, 2}, []float64{1, 3, 4, 4}
	p := gp.Params{Lengths: []float64{1}, Variance: 1}
	cfg := gp.Default()
	cfg.MaxJitter = 0
	_, err := gp.New(cfg, x, 1, y, p)
	var singular *gp.SingularError
	if !errors.As(err, &singular) || singular.Rows != 4 {
		t.Fatalf("want a SingularError of 4 rows, got %v", err)
	}
	cfg.MaxJitter = 1e-6
	m, err := gp.New(cfg, x, 1, y, p)
	must(t, m, err)
	if m.Jitter() == 0 || m.Jitter() > 1e-6 {
		t.Errorf("jitter is %v", m.Jitter())
	}
	if got := gp.NewPredictor(m).Mean([]float64{1}); math.Abs(got-2) > 1e-3 {
		t.Errorf("where 1 and 3 were observed, the mean is %v", got)
	}
	// Given the freedom, fitting calls it noise.
	m, err = gp.Fit(gp.Default(), x, 1, y)
	must(t, m, err)
	if m.Params().Noise <= 0 {
		t.Errorf("noise is %v", m.Params().Noise)
	}
}

func TestOddDataIsFitted(t *testing.T) {
	for name, c := range map[string]struct{ x, y []float64 }{
		"one row":          {[]float64{1}, []float64{5}},
		"constant target":  {[]float64{1, 2, 3}, []float64{5, 5, 5}},
		"constant feature": {[]float64{1, 1, 1}, []float64{4, 5, 6}},
		"the same thrice":  {[]float64{1, 1, 1}, []float64{5, 5, 5}},
		"large":            {[]float64{1e90, 2e90, 3e90}, []float64{5e90, 5e90, 5e90}},
		"small":            {[]float64{1e-90, 2e-90, 3e-90}, []float64{5e-90, 5e-90, 5e-90}},
	} {
		for _, perFeature := range []bool{true, false} {
			cfg := gp.Default()
			cfg.PerFeature = perFeature
			m, err := gp.Fit(cfg, c.x, 1, c.y)
			must(t, m, err)
			middle := c.y[len(c.y)/2]
			mean, variance := gp.NewPredictor(m).Predict(c.x[:1])
			if !(math.Abs(mean-middle) <= 1.1*math.Abs(c.y[0]-middle)+1e-6*math.Abs(middle)) || !(variance >= 0) || math.IsInf(variance, 0) {
				t.Errorf("%s: predicts %v ± %v", name, mean, variance)
			}
		}
	}
}

func TestTheSameSeedGivesTheSameModel(t *testing.T) {
	x, y := smooth(60, 3, 0.5, 3)
	cfg := gp.Default()
	cfg.Seed = 5
	var files [2][]byte
	for i := range files {
		m, err := gp.Fit(cfg, x, 3, y)
		files[i], _ = must(t, m, err).MarshalBinary()
	}
	if !slices.Equal(files[0], files[1]) {
		t.Error("two models of the same seed differ")
	}
}

func TestAModelIsReadAsItWasWritten(t *testing.T) {
	x, y := smooth(30, 2, 0.5, 3)
	m, err := gp.Fit(gp.Default(), x, 2, y)
	file, _ := must(t, m, err).MarshalBinary()
	var read gp.Model
	if err := read.UnmarshalBinary(file); err != nil {
		t.Fatal(err)
	}
	for i := range y {
		a, av := gp.NewPredictor(m).Predict(x[2*i : 2*i+2])
		b, bv := gp.NewPredictor(&read).Predict(x[2*i : 2*i+2])
		if a != b || av != bv {
			t.Fatalf("%v ± %v as fitted, %v ± %v as read", a, av, b, bv)
		}
	}
	if m.LogLikelihood() != read.LogLikelihood() {
		t.Errorf("log likelihood %v as fitted, %v as read", m.LogLikelihood(), read.LogLikelihood())
	}
	for n := range file {
		if read.UnmarshalBinary(file[:n]) == nil {
			t.Fatalf("the first %d bytes of %d were read without error", n, len(file))
		}
	}
	if read.UnmarshalBinary(append(file, 0)) == nil {
		t.Error("a byte too many was read without error")
	}
	if read.Rows() != 30 {
		t.Error("a failed read changed the model")
	}
}

// What is damaged is refused, or else a model that predicts numbers and is written as it was read.
func FuzzUnmarshalBinary(f *testing.F) {
	x, y := smooth(6, 2, 0.5, 3)
	m, err := gp.Fit(gp.Default(), x, 2, y)
	file, _ := must(f, m, err).MarshalBinary()
	f.Add(file)
	f.Add([]byte(strings.Repeat("fgpr", 20)))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m gp.Model
		if len(data) > 10_000 || m.UnmarshalBinary(data) != nil {
			return
		}
		mean, variance := gp.NewPredictor(&m).Predict(make([]float64, m.Features()))
		if math.IsNaN(mean) || math.IsNaN(variance) || variance < 0 {
			t.Fatalf("predicts %v ± %v", mean, variance)
		}
		if again, _ := m.MarshalBinary(); !slices.Equal(again, data) {
			t.Fatal("written otherwise than read")
		}
	})
}

func TestBadInputIsNamed(t *testing.T) {
	nan := math.NaN()
	fit := func(cfg gp.Config, x []float64, d int, y []float64) error {
		_, err := gp.Fit(cfg, x, d, y)
		return err
	}
	bad := gp.Default()
	bad.Restarts, bad.Iterations, bad.Kernel = -1, 0, 7
	for _, c := range []struct {
		err  error
		want string
	}{
		{fit(bad, []float64{1}, 1, []float64{1}), "restarts is -1"},
		{fit(bad, []float64{1}, 1, []float64{1}), "iterations is 0"},
		{fit(bad, []float64{1}, 1, []float64{1}), "unknown kernel 7"},
		{fit(gp.Default(), nil, 1, nil), "no rows"},
		{fit(gp.Default(), []float64{1, 2, 3}, 2, []float64{1}), "1 rows of 2 features need 2"},
		{fit(gp.Default(), []float64{1, nan}, 1, []float64{1, 2}), "feature 0 of row 1 is NaN"},
		{fit(gp.Default(), []float64{1, 2}, 1, []float64{1, math.Inf(1)}), "Y of row 1 is +Inf"},
		{fit(gp.Default(), make([]float64, 5000), 1, make([]float64, 5000)), "must have at most 4096"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("want an error with %q, got %v", c.want, c.err)
		}
	}
	for want, p := range map[string]gp.Params{
		"2 length scales for 1":          {Lengths: []float64{1, 2}, Variance: 1},
		"length scale of feature 0 is 0": {Lengths: []float64{0}, Variance: 1},
		"variance is 0 and noise 1":      {Lengths: []float64{1}, Noise: 1},
	} {
		if _, err := gp.New(gp.Default(), []float64{1}, 1, []float64{1}, p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

func TestPredictionAllocatesNothing(t *testing.T) {
	x, y := smooth(100, 3, 0.5, 3)
	m, err := gp.New(gp.Default(), x, 3, y, gp.Params{Lengths: []float64{3, 3, 3}, Variance: 9, Noise: 1})
	p := gp.NewPredictor(must(t, m, err))
	mean, variance := make([]float64, 100), make([]float64, 100)
	if n := testing.AllocsPerRun(10, func() { p.PredictAll(mean, variance, x); p.Predict(x[:3]); p.Mean(x[:3]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
