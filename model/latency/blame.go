package latency

import (
	"fmt"
	"math"
)

// Blamed is a step of Blame: where it stood, how far the vertex is off, and what becomes of that.
type Blamed struct {
	Label string
	Error float64 // mean absolute, of logarithms, with what it hangs on as it is predicted
	Local float64 // with what that truly was
	Next  string  // the vertex that is to blame for most of the difference; empty: it is at fault itself
	After float64 // the error with the truth of Next alone
}

// Blame looks for the assignment at fault as Debug does, from the target on, by intervention in place of correlation: where a vertex is
// off by itself, with the true metrics of all that it hangs on, by at least half of what it is off by as it predicts, it is at
// fault. Otherwise it goes on to the one of these whose truth, in place of its prediction, lowers the error most.
//
// Errors that are alike by chance, or since both come of the same load, don't lead it astray; and what is wrong with the target's own
// assignment is found, from which Debug goes on as long as any error is like its own. A vertex without a column in the table is not
// looked at, and where one that a vertex hangs on has none, its prediction stands for the truth.
func (g *Graph) Blame(target string, t *Table) (string, []Blamed, error) {
	f, err := g.Compile(target)
	if err != nil {
		return "", nil, err
	}
	x, err := t.flat(target, f.inputs)
	if err != nil {
		return "", nil, err
	}
	if t.Rows() < 5 {
		return "", nil, fmt.Errorf("debugging %s: %d rows tell of no fault, at least 5 do", target, t.Rows())
	}
	if !t.Has(target) {
		return "", nil, &MissingError{target, []string{target}, "it was not observed, so that its errors are not known"}
	}
	truth := f.truth(t)
	first := len(f.inputs) + len(f.means)
	at := f.target - first
	var way []Blamed
	for {
		from := f.uncertain(at, first)
		step := Blamed{Label: f.vertices[at].label}
		each := make([]float64, len(from))
		for i := range t.Rows() {
			f.Run(x[i*len(f.inputs) : (i+1)*len(f.inputs)])
			off := func() float64 {
				return math.Abs(logRatio(f.vertices[at].value(f.gather(at)), truth[at][i])) / float64(t.Rows())
			}
			step.Error += off()
			for k, u := range from {
				if truth[u] == nil {
					each[k] = math.Inf(1)
					continue
				}
				was := f.values[first+u]
				f.values[first+u] = truth[u][i]
				each[k] += off()
				f.values[first+u] = was
			}
			for _, u := range from {
				if truth[u] != nil {
					f.values[first+u] = truth[u][i]
				}
			}
			step.Local += off()
		}
		next := -1
		for k := range from {
			if each[k] < step.Error && (next < 0 || each[k] < each[next]) {
				next = k
			}
		}
		if step.Local >= step.Error/2 || next < 0 {
			return step.Label, append(way, step), nil
		}
		step.Next, step.After = f.vertices[from[next]].label, each[next]
		way = append(way, step)
		at = from[next]
	}
}
