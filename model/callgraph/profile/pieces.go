package profile

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"foresail.dev/ml/gbt"
)

// Run is what was observed of a service at one load, in the units of Erms.
type Run struct {
	Load float64 // visits per minute and container
	P95  float64 // of own time, microseconds
	// CPU and Memory are the interference: how busy the nodes are, as shares or in percent, the same in all runs.
	CPU, Memory float64
	Used        float64 // share of its CPU that a container uses; 0: not known
	RateError   float64 // how far the load was from the one aimed at, as a share of that; 0 where none was aimed at
}

// Piece is the 95th percentile of own time as a linear function of load, by interference: (A·cpu + B·mem + C)·load + D.
type Piece struct {
	A        float64 `json:"a"`
	B        float64 `json:"b"`
	C        float64 `json:"c"`        // microseconds by visits per minute and container
	D        float64 `json:"d"`        // microseconds
	Accuracy float64 `json:"accuracy"` // 1 less the mean of |predicted - observed| / observed
	Runs     int     `json:"runs"`
}

// Slope is the latency that another visit per minute and container adds, in microseconds.
func (p Piece) Slope(cpu, mem float64) float64 { return p.A*cpu + p.B*mem + p.C }

// Latency is the 95th percentile of own time in microseconds.
func (p Piece) Latency(load, cpu, mem float64) float64 { return p.Slope(cpu, mem)*load + p.D }

// Pieces is Erms's model of a service: one piece up to the inflection, a steeper one from there on.
type Pieces struct {
	Before Piece `json:"before"`
	After  Piece `json:"after"`
	// Low: the service's CPU was hardly used, so that nothing can be known of its dependence on load: slopes are 0.001 and
	// 0.002 µs, as published, and D is the median over runs of the 95th percentile.
	Low bool `json:"low,omitempty"`
	// Flat: latency does not rise with load in the range that counts, and the pieces are those of low usage.
	Flat bool `json:"flat,omitempty"`
	// One: two rising pieces could not be told, and both are the same.
	One bool `json:"one,omitempty"`
	// Knee is the inflection in visits per minute and container, the mean over levels of interference; see Inflection.
	Knee float64 `json:"knee"`
	// Levels are the interferences at which an inflection was found.
	Levels []Level `json:"levels,omitempty"`
	tree   *gbt.Model
}

// Level is an interference and the inflection that was found at it.
type Level struct {
	CPU   float64 `json:"cpu"`
	Mem   float64 `json:"mem"`
	Knee  float64 `json:"knee"`
	Score float64 `json:"score"`
}

// Inflection is the load from which on After holds, by a regression tree of depth 3 on interference.
func (p *Pieces) Inflection(cpu, mem float64) float64 {
	if p.tree == nil {
		return p.Knee
	}
	return p.tree.Predict([]float64{cpu, mem})
}

// Latency is the 95th percentile of own time in microseconds, of the piece that holds at the load.
func (p *Pieces) Latency(load, cpu, mem float64) float64 {
	if load <= p.Inflection(cpu, mem) {
		return p.Before.Latency(load, cpu, mem)
	}
	return p.After.Latency(load, cpu, mem)
}

// What runs must be like to count, and when a service counts as hardly used, as published.
const (
	leastUsed, mostUsed = 0.1, 0.9
	lowUsage            = 0.6
	mostRateError       = 0.3
)

// ErrRuns is returned where no two pieces with rising latencies can be found.
var ErrRuns = errors.New("no two pieces with rising latencies")

// fewest is how many runs a piece is fitted to at least.
const fewest = 3

// FitPieces fits Erms's model. Runs whose load missed its aim by 30 % or more are left out, and so are those in which the CPU
// in use is known and not between 10 and 90 %. Where the 90th percentile of CPU in use stays below 60 % the model is that of low usage.
// For each level of interference the inflection is searched among the loads: the one with the highest score, the weighted
// median accuracy of both pieces over the gap between them there as a share of the span of latencies, of those where both
// pieces rise. Then outliers are left out, the search is repeated, and both pieces are fitted to the runs of all levels. Where
// the terms of interference would make a slope fall below zero at a level seen, they are left out.
func FitPieces(runs []Run) (*Pieces, error) {
	ok, low, err := sift(runs)
	if err != nil {
		return nil, err
	}
	if low {
		return lowPieces(ok), nil
	}
	p := &Pieces{}
	var before, after []Run
	for _, level := range levelsOf(ok) {
		k, _ := search(level)
		if k == 0 {
			continue
		}
		level = inliers(level, k)
		k, score := search(level)
		if k == 0 {
			continue
		}
		knee := (level[k-1].Load + level[k].Load) / 2
		p.Levels = append(p.Levels, Level{CPU: level[0].CPU, Mem: level[0].Memory, Knee: knee, Score: score})
		p.Knee += knee
		before, after = append(before, level[:k]...), append(after, level[k:]...)
	}
	if len(p.Levels) == 0 {
		return nil, fmt.Errorf("%d runs, %d of them fit to be used: %w; give runs at more loads, beyond the one from which latency rises steeply", len(runs), len(ok), ErrRuns)
	}
	p.Knee /= float64(len(p.Levels))
	p.Before, p.After = p.piece(before), p.piece(after)
	return p, p.grow()
}

// sift leaves out what must not count, and says whether the service was hardly used.
func sift(runs []Run) (ok []Run, low bool, err error) {
	var used []float64
	for i, r := range runs {
		if !(r.Load >= 0) || !(r.P95 > 0) || math.IsInf(r.Load+r.P95, 0) || math.IsNaN(r.CPU+r.Memory+r.Used+r.RateError) || math.IsInf(r.CPU+r.Memory, 0) {
			return nil, false, fmt.Errorf("run %d: %+v: loads and latencies must be finite numbers above 0", i, r)
		}
		if math.Abs(r.RateError) >= mostRateError {
			continue
		}
		if r.Used > 0 {
			used = append(used, r.Used)
		}
		ok = append(ok, r)
	}
	if len(used) > 0 {
		slices.Sort(used)
		low = used[min(int(0.9*float64(len(used))), len(used)-1)] < lowUsage
	}
	ok = slices.DeleteFunc(ok, func(r Run) bool { return r.Used >= mostUsed || r.Used > 0 && r.Used <= leastUsed && !low })
	if len(ok) == 0 {
		return nil, false, fmt.Errorf("none of %d runs is fit to be used: %w", len(runs), ErrRuns)
	}
	return ok, low, nil
}

// lowPieces are the pieces of low usage. D is the median of the runs, since in some of them what others held up is waited for, too.
func lowPieces(runs []Run) *Pieces {
	all := make([]float64, len(runs))
	p := &Pieces{Low: true}
	for i, r := range runs {
		all[i] = r.P95
		p.Knee = max(p.Knee, r.Load)
	}
	slices.Sort(all)
	d := all[len(all)/2]
	p.Before = Piece{C: 0.001, D: d, Runs: len(runs)}
	p.After = Piece{C: 0.002, D: d}
	p.Before.Accuracy = accuracy(p.Before, runs)
	return p
}

// levelsOf are the runs of each interference, to a hundredth of the largest, ascending by load.
func levelsOf(runs []Run) (out [][]Run) {
	cpu, mem := 1e-9, 1e-9
	for _, r := range runs {
		cpu, mem = max(cpu, math.Abs(r.CPU)), max(mem, math.Abs(r.Memory))
	}
	at := map[[2]int]int{}
	for _, r := range runs {
		key := [2]int{int(math.Round(100 * r.CPU / cpu)), int(math.Round(100 * r.Memory / mem))}
		i, found := at[key]
		if !found {
			i = len(out)
			at[key] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], r)
	}
	for _, level := range out {
		slices.SortStableFunc(level, byLoad)
	}
	return out
}

func byLoad(a, b Run) int { return cmp.Compare(a.Load, b.Load) }

// narrowest is the least gap at the knee, as a share of the span of latencies, that scores are divided by: two pieces that
// happen to meet must not win over those that fit.
const narrowest = 0.02

// search is the place of the first run after the inflection, with its score; 0 where there is none.
func search(level []Run) (best int, score float64) {
	low, high := math.Inf(1), 0.0
	for _, r := range level {
		low, high = min(low, r.P95), max(high, r.P95)
	}
	for k := fewest; k+fewest <= len(level); k++ {
		if level[k].Load == level[k-1].Load {
			continue
		}
		before, ok1 := straight(level[:k])
		after, ok2 := straight(level[k:])
		if !ok1 || !ok2 || before.C <= 0 || after.C <= 0 || after.C <= before.C {
			continue
		}
		knee := (level[k-1].Load + level[k].Load) / 2
		gap := math.Abs(before.Latency(knee, 0, 0)-after.Latency(knee, 0, 0)) / (high - low)
		n := float64(len(level))
		acc := float64(k)/n*medianAccuracy(before, level[:k]) + (n-float64(k))/n*medianAccuracy(after, level[k:])
		if s := acc / max(gap, narrowest); s > score {
			best, score = k, s
		}
	}
	return best, score
}

// straight is the line of least squares.
func straight(runs []Run) (Piece, bool) {
	points := make([]Point, len(runs))
	for i, r := range runs {
		points[i] = Point{Load: r.Load, Rate: r.P95, Weight: 1}
	}
	l, err := leastLine(points)
	return Piece{C: l.A, D: l.B, Runs: len(runs)}, err == nil && l.To > l.From
}

func (p Piece) accuracy(r Run) float64 {
	return 1 - math.Abs(p.Latency(r.Load, r.CPU, r.Memory)-r.P95)/r.P95
}

func accuracy(p Piece, runs []Run) (sum float64) {
	for _, r := range runs {
		sum += p.accuracy(r)
	}
	return sum / float64(len(runs))
}

func medianAccuracy(p Piece, runs []Run) float64 {
	all := make([]float64, len(runs))
	for i, r := range runs {
		q := Piece{C: p.C, D: p.D}
		all[i] = q.accuracy(Run{Load: r.Load, P95: r.P95})
	}
	slices.Sort(all)
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2
}

// inliers leaves out the runs that a first search shows to be outliers: those with an accuracy below 0.3 and an error above
// 1.5 times the latency at the knee, before it, or 2.5 times, after it.
func inliers(level []Run, k int) (out []Run) {
	before, _ := straight(level[:k])
	after, _ := straight(level[k:])
	knee := (level[k-1].Load + level[k].Load) / 2
	for i, r := range level {
		p, times := before, 1.5
		if i >= k {
			p, times = after, 2.5
		}
		off := math.Abs(p.Latency(r.Load, 0, 0) - r.P95)
		if 1-off/r.P95 >= 0.3 || off < times*math.Abs(before.Latency(knee, 0, 0)) {
			out = append(out, r)
		}
	}
	return out
}

// piece fits (A·cpu + B·mem + C)·load + D by least squares; terms of an interference that never changes are left out.
func (p *Pieces) piece(runs []Run) Piece {
	varies := func(of func(Run) float64) bool {
		return slices.ContainsFunc(runs, func(r Run) bool { return of(r) != of(runs[0]) })
	}
	cpu, mem := varies(func(r Run) float64 { return r.CPU }), varies(func(r Run) float64 { return r.Memory })
	if cpu || mem {
		if q, ok := solve(runs, cpu, mem); ok && p.rises(q) {
			q.Accuracy = accuracy(q, runs)
			return q
		}
	}
	q, _ := straight(runs)
	q.Accuracy = accuracy(q, runs)
	return q
}

// rises says whether the slope is above zero at all levels.
func (p *Pieces) rises(q Piece) bool {
	return !slices.ContainsFunc(p.Levels, func(l Level) bool { return q.Slope(l.CPU, l.Mem) <= 0 })
}

func solve(runs []Run, cpu, mem bool) (Piece, bool) {
	scale := 0.0 // of loads, so that columns are alike
	for _, r := range runs {
		scale = max(scale, r.Load)
	}
	columns := 2
	if cpu {
		columns++
	}
	if mem {
		columns++
	}
	if len(runs) < columns+1 || scale == 0 {
		return Piece{}, false
	}
	x, y := mat.NewDense(len(runs), columns, nil), mat.NewVecDense(len(runs), nil)
	for i, r := range runs {
		row := []float64{1, r.Load / scale}
		if cpu {
			row = append(row, r.CPU*r.Load/scale)
		}
		if mem {
			row = append(row, r.Memory*r.Load/scale)
		}
		x.SetRow(i, row)
		y.SetVec(i, r.P95)
	}
	var b mat.VecDense
	if err := b.SolveVec(x, y); err != nil {
		return Piece{}, false // columns that depend on each other
	}
	q := Piece{D: b.AtVec(0), C: b.AtVec(1) / scale, Runs: len(runs)}
	at := 2
	if cpu {
		q.A = b.AtVec(at) / scale
		at++
	}
	if mem {
		q.B = b.AtVec(at) / scale
	}
	return q, true
}

// grow makes the tree of inflections by interference, where there are several.
func (p *Pieces) grow() error {
	if len(p.Levels) < 2 {
		return nil
	}
	data := gbt.Data{Features: 2}
	for _, l := range p.Levels {
		data.X, data.Y = append(data.X, l.CPU, l.Mem), append(data.Y, l.Knee)
	}
	cfg := gbt.Default()
	cfg.Trees, cfg.LearningRate, cfg.Depth, cfg.L2 = 1, 1, 3, 0
	var err error
	p.tree, err = gbt.Train(cfg, data, nil)
	return err
}

// FitOne is for runs in which FitPieces finds no two rising pieces: both pieces are the line of least squares where that rises, and
// those of low usage where it does not.
func FitOne(runs []Run) (*Pieces, error) {
	ok, _, err := sift(runs)
	if err != nil {
		return nil, err
	}
	if one, rises := straight(ok); rises && one.C > 0 {
		one.Accuracy = accuracy(one, ok)
		return &Pieces{Before: one, After: one, One: true, Knee: slices.MaxFunc(ok, byLoad).Load}, nil
	}
	flat := lowPieces(ok)
	flat.Low, flat.Flat = false, true
	return flat, nil
}
