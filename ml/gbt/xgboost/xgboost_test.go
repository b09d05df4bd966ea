//go:build xgboost

package xgboost_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"foresail.dev/ml"
	"foresail.dev/ml/gbt"
	"foresail.dev/ml/gbt/xgboost"
)

var (
	into   = flag.String("into", "", "write the comparison as a table into this Markdown file, between its marks")
	rounds = flag.Int("rounds", 1, "how often each is trained, in turn; the shortest time counts")
	seed   = flag.Uint64("seed", 101, "of the data")
)

// table is data that both read: gbt as float64, XGBoost as float32, of the same numbers.
type table struct {
	gbt.Data
	x, y []float32
}

// draw makes rows of which the class hangs on twenty features, alone and in pairs, with noise.
func draw(rows, features int, missing float64, rng *rand.Rand) *table {
	t := &table{Data: gbt.Data{Features: features}}
	for range rows {
		row := make([]float64, features)
		for f := range row {
			row[f] = float64(float32(rng.NormFloat64()))
		}
		score := 0.0
		for f := 0; f < min(features, 20); f += 2 {
			score += 0.6*row[f] + 0.5*row[f]*row[f+1] + 0.4*math.Sin(2*row[f+1])
		}
		y := 0.0
		if rng.Float64() < 1/(1+math.Exp(-score)) {
			y = 1
		}
		for f := range row {
			if rng.Float64() < missing {
				row[f] = math.NaN()
			}
			t.x = append(t.x, float32(row[f]))
		}
		t.X, t.Y, t.y = append(t.X, row...), append(t.Y, y), append(t.y, float32(y))
	}
	return t
}

// spent is the least time that f took: by the clock, and of all processors.
type spent struct{ wall, cpu time.Duration }

func (s *spent) measure(f func()) {
	cpu := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			panic(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	c, w := cpu(), time.Now()
	f()
	now := spent{time.Since(w), cpu() - c}
	if s.wall == 0 {
		*s = now
	}
	s.wall, s.cpu = min(s.wall, now.wall), min(s.cpu, now.cpu)
}

// The same trees, or as good ones: AUC within 0.004 and log loss within 2 % of XGBoost's on data that neither saw. Times are
// from data in memory to predictions for 20,000 rows, one thread each; they are shown and not judged.
func TestAsGoodAsXGBoost(t *testing.T) {
	var rows []string
	for _, c := range []struct {
		name           string
		rows, features int
		missing        float64
		depth          int
	}{
		{"50,000 × 100, depth 6", 50_000, 100, 0, 6},
		{"50,000 × 100, a tenth missing, depth 6", 50_000, 100, 0.1, 6},
		{"10,000 × 512, depth 6", 10_000, 512, 0, 6},
		{"2,000 × 20, depth 4", 2_000, 20, 0, 4},
	} {
		rng := rand.New(rand.NewPCG(*seed, 0))
		train, test := draw(c.rows, c.features, c.missing, rng), draw(20_000, c.features, c.missing, rng)
		cfg := gbt.Default()
		cfg.Loss, cfg.Depth = gbt.Logistic, c.depth
		params := map[string]string{
			"objective": "binary:logistic", "tree_method": "hist", "max_bin": "256", "nthread": "1", "verbosity": "0",
			"max_depth": fmt.Sprint(c.depth), "eta": fmt.Sprint(cfg.LearningRate), "lambda": fmt.Sprint(cfg.L2),
			"min_child_weight": fmt.Sprint(cfg.MinChildWeight), "base_score": fmt.Sprint(mean(train.Y)),
		}
		var ours, theirs spent
		own, other := make([]float64, len(test.Y)), []float64(nil)
		for range *rounds {
			ours.measure(func() {
				m, err := gbt.Train(cfg, train.Data, nil)
				if err != nil {
					t.Fatal(err)
				}
				m.PredictAll(own, test.X)
			})
			theirs.measure(func() {
				m, err := xgboost.Train(train.x, train.y, cfg.Trees, params)
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				if other, err = m.Predict(test.x, len(test.Y)); err != nil {
					t.Fatal(err)
				}
			})
		}
		a, b := ml.AUC(labels(test.Y), own), ml.AUC(labels(test.Y), other)
		la, lb := ml.LogLoss(labels(test.Y), own), ml.LogLoss(labels(test.Y), other)
		row := fmt.Sprintf("| %s | %.4f / %.4f | %.4f / %.4f | %.2f / %.2f | %.2f | %.2f / %.2f |", c.name, a, b, la, lb,
			ours.cpu.Seconds(), theirs.cpu.Seconds(), ours.cpu.Seconds()/theirs.cpu.Seconds(), ours.wall.Seconds(), theirs.wall.Seconds())
		t.Log(row)
		rows = append(rows, row)
		if math.Abs(a-b) > 0.004 || math.Abs(la/lb-1) > 0.02 {
			t.Errorf("%s: AUC %.4f and log loss %.4f, XGBoost %s: %.4f and %.4f", c.name, a, la, xgboost.Version(), b, lb)
		}
	}
	if *into != "" && !t.Failed() {
		if err := write(*into, rows); err != nil {
			t.Fatal(err)
		}
	}
}

// write puts the table where the file has the last one.
func write(path string, rows []string) error {
	const begin, end = "<!-- xgboost: begin -->\n", "<!-- xgboost: end -->"
	file, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(file), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("%s: no line %q before a line %q: add them where the table belongs", path, strings.TrimSpace(begin), end)
	}
	head := fmt.Sprintf("Seed %d, %d rounds, XGBoost %s; ours / XGBoost's.\n\n", *seed, *rounds, xgboost.Version()) +
		"| data | AUC | log loss | CPU s | ratio of CPU | elapsed s |\n|---|---|---|---|---|---|\n"
	return os.WriteFile(path, []byte(before+begin+head+strings.Join(rows, "\n")+"\n"+end+after), 0o644)
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// labels are classes of 0 and 1 as package ml takes them.
func labels(y []float64) []bool {
	out := make([]bool, len(y))
	for i, v := range y {
		out[i] = v == 1
	}
	return out
}
