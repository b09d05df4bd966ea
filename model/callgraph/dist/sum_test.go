package dist

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"
)

// reference is what the Derm artefact's closed form gives for two graphs, and what 80 digits give.
type reference struct {
	DF struct {
		Chain       []int
		LambdaValue []float64 `json:"lambdaValue"`
	}
	CDF []struct {
		T, Artifact, Exact float64
	}
	P95 float64
}

func readReference(t testing.TB) (r reference) {
	t.Helper()
	b, err := os.ReadFile("../../../../shared/data/derm/end-to-end-reference.json")
	if err != nil {
		t.Skip("no data from outside: ", err)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReference(t *testing.T) {
	r := readReference(t)
	var sums [2]*Sum
	for chain := range sums {
		var terms []Term
		for i, c := range r.DF.Chain {
			if c == chain+1 {
				terms = append(terms, Term{&Stage{Rate: r.DF.LambdaValue[i]}, 1})
			}
		}
		sums[chain] = NewSum(terms...)
	}
	for _, want := range r.CDF {
		got := (sums[0].CDF(want.T) + sums[1].CDF(want.T)) / 2
		fmt.Println(want.T, got-want.Exact, len(sums[0].node), len(sums[1].node))
		if math.Abs(got-want.Exact) > 1e-9 {
			t.Errorf("F(%g) = %.15f, want %.15f", want.T, got, want.Exact)
		}
	}
}
func TestErl(t *testing.T) {
	for _, n := range []int{1, 2, 3, 5, 10, 30, 100, 1000} {
		st := Stage{Rate: 3}
		terms := make([]Term, n)
		for i := range terms {
			terms[i] = Term{&st, 1}
		}
		s := NewSum(terms...)
		e := Stage{Parts: []Part{{1, n, 3}}}
		m := float64(n) / 3
		sd := math.Sqrt(float64(n)) / 3
		for _, x := range []float64{-.999 * math.Sqrt(float64(n)), -.5 * math.Sqrt(float64(n)), -1, -.1, -.01, .0, .01, .1, 1, 2, 5, 10, 20} {
			at := m + x*sd
			if at < 0 {
				continue
			}
			var rel float64
			if x < 0 {
				rel = s.CDF(at)/e.CDF(at) - 1
			} else {
				rel = s.Above(at)/e.Above(at) - 1
			}
			fmt.Printf("n=%d x=%g F=%.3g rel=%.2g nodes=%d\n", n, x, e.CDF(at), rel, len(s.node))
		}
	}
}
