package latency

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// VertexError is how far predictions of a vertex were off.
type VertexError struct {
	Label string
	MAE   float64 // mean absolute error with the inputs that the graph predicts, in the metric's unit
	Log   float64 // the same of natural logarithms
	// LocalLog is Log of the vertex by itself: with the true metrics of its callees, where the table has them all; else NaN.
	LocalLog float64
	off      []float64 // absolute error of the logarithm, by row
}

// Errors tests a graph against a table (TE.compute_err): of each vertex that the target hangs on, and whose label is a column,
// how far off it is. The table must have all of the graph's inputs.
func (g *Graph) Errors(target string, t *Table) ([]VertexError, error) {
	f, err := g.Compile(target)
	if err != nil {
		return nil, err
	}
	x, err := t.flat(target, f.inputs)
	if err != nil {
		return nil, err
	}
	if t.Rows() == 0 {
		return nil, fmt.Errorf("testing %s: the table has no rows", target)
	}
	var out []VertexError
	var of []int // vertices
	for i, v := range f.vertices {
		if t.Has(v.label) {
			out, of = append(out, VertexError{Label: v.label}), append(of, i)
		}
	}
	first, n := len(f.inputs)+len(f.means), float64(t.Rows())
	truth := f.truth(t)
	for i := range t.Rows() {
		f.Run(x[i*len(f.inputs) : (i+1)*len(f.inputs)])
		for k, v := range of {
			y, got := truth[v][i], f.values[first+v]
			off := math.Abs(logRatio(got, y))
			out[k].MAE += math.Abs(got-y) / n
			out[k].Log += off / n
			out[k].off = append(out[k].off, off)
		}
		for v, column := range truth { // after all were predicted: what is true takes the place of what was
			if column != nil {
				f.values[first+v] = column[i]
			}
		}
		for k, v := range of {
			out[k].LocalLog += math.Abs(logRatio(f.vertices[v].value(f.gather(v)), truth[v][i])) / n
		}
	}
	for k, v := range of {
		for _, at := range f.vertices[v].from {
			if at >= first && truth[at-first] == nil {
				out[k].LocalLog = math.NaN()
			}
		}
	}
	return out, nil
}

// truth is the table's column of each vertex; nil where it has none.
func (f *Inference) truth(t *Table) [][]float64 {
	out := make([][]float64, len(f.vertices))
	for i, v := range f.vertices {
		out[i], _ = t.Column(v.label)
	}
	return out
}

// logRatio is the logarithm of got over truth; a truth of 0 counts as a tenth of what was expected, at which no fault shows.
func logRatio(got, truth float64) float64 { return math.Log(got / max(truth, got/10)) }

// Step is one of pair-wise debugging: where it stood, and which vertex of those that it hangs on errs most alike.
type Step struct {
	Label       string
	Next        string  // empty: it hangs on none
	Correlation float64 // Pearson's, of their absolute errors
}

// Debug looks for the assignment at fault (TE.debug, §3.2.3), in a table of recent observations: it begins at the target and
// goes on to the vertex, of those that the current one hangs on, whose errors correlate most with its own, as long as that
// correlation is above chance; where it stops, there is the fault. It returns the label and the way there.
//
// The paper goes on at any correlation above 0, which uncorrelated errors have every other time. Here it must be above
// 2/√rows, which they have one time in forty. Errors are of logarithms, so that a few slow rows don't decide. Vertices
// without a column in the table are not looked at.
func (g *Graph) Debug(target string, t *Table) (string, []Step, error) {
	errs, err := g.Errors(target, t)
	if err != nil {
		return "", nil, err
	}
	if t.Rows() < 5 {
		return "", nil, fmt.Errorf("debugging %s: %d rows tell of no correlation, at least 5 do", target, t.Rows())
	}
	off := map[string][]float64{}
	for _, e := range errs {
		off[e.Label] = e.off
	}
	if off[target] == nil {
		return "", nil, &MissingError{target, []string{target}, "it was not observed, so that its errors are not known"}
	}
	f, err := g.Compile(target)
	if err != nil {
		return "", nil, err
	}
	var way []Step
	for at := target; ; {
		var pairs []Step
		for _, parent := range f.parents(at) {
			if off[parent] != nil {
				r := stat.Correlation(off[at], off[parent], nil)
				if math.IsNaN(r) {
					r = 0 // one of them errs by the same everywhere
				}
				pairs = append(pairs, Step{at, parent, r})
			}
		}
		slices.SortStableFunc(pairs, func(a, b Step) int { return cmp.Compare(b.Correlation, a.Correlation) })
		if len(pairs) == 0 {
			return at, append(way, Step{Label: at}), nil
		}
		way = append(way, pairs[0])
		if pairs[0].Correlation <= 2/math.Sqrt(float64(t.Rows())) {
			return at, way, nil
		}
		at = pairs[0].Next
	}
}

// parents are the labels of the vertices that one hangs on.
func (f *Inference) parents(label string) (out []string) {
	first := len(f.inputs) + len(f.means)
	for i, v := range f.vertices {
		if v.label == label {
			for _, u := range f.uncertain(i, first) {
				out = append(out, f.vertices[u].label)
			}
		}
	}
	return out
}
