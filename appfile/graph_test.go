package appfile

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var advice = regexp.MustCompile(`declare it: cycles: \[(\[[^]]*\])\]`)

// On random call graphs, the reader finds a cycle exactly when following calls from some service comes back to it, and
// a file that takes the advice of all its faults is accepted.
func TestCyclesAgainstAnOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "services")
		waits := make([][]bool, n)
		var services strings.Builder
		for i := range n {
			waits[i] = make([]bool, n)
			var calls []string
			for j := range n {
				switch rapid.IntRange(0, 5).Draw(t, "call") {
				case 0:
					calls, waits[i][j] = append(calls, fmt.Sprintf("{to: s%d.o, probability: 0.01}", j)), true
				case 1:
					calls = append(calls, fmt.Sprintf("{to: s%d.o, probability: 0.01, async: true}", j))
				}
			}
			fmt.Fprintf(&services, "  s%d: {operations: {o: {cpu: 1ms, calls: [%s]}}}\n", i, strings.Join(calls, ", "))
		}
		text := "application: x\ndefaults: {initial: {replicas: 1, cpu: 1}}\nendpoints: {e: {entry: s0.o}}\nservices:\n" + services.String()

		// The oracle: who reaches whom, by Warshall.
		reach := make([][]bool, n)
		for i := range n {
			reach[i] = append([]bool(nil), waits[i]...)
		}
		for k := range n {
			for i := range n {
				for j := range n {
					reach[i][j] = reach[i][j] || reach[i][k] && reach[k][j]
				}
			}
		}
		cyclic := false
		for i := range n {
			cyclic = cyclic || reach[i][i]
		}

		_, err := ParseApp("x.yaml", []byte(text))
		if cyclic != (err != nil) {
			t.Fatalf("cyclic is %v, but: %v\n%s", cyclic, err, text)
		}
		if err == nil {
			return
		}
		var rings []string
		for _, m := range advice.FindAllStringSubmatch(err.Error(), -1) {
			rings = append(rings, m[1])
		}
		if _, again := ParseApp("x.yaml", []byte(text+"cycles: ["+strings.Join(rings, ", ")+"]\n")); again != nil {
			t.Fatalf("advice:\n%v\ntaken:\n%v\n%s", err, again, text)
		}
	})
}

// Probabilities, repeats and misses of caches multiply along a path, and recursion sums up.
func TestVisits(t *testing.T) {
	bp, err := ParseApp("x.yaml", []byte(`application: x
defaults: {initial: {replicas: 1, cpu: 1}}
services:
  a: {operations: {o: {calls: [{to: b.o, probability: 0.5, repeat: 4}, {to: c.o, hit: 0.75, miss: [d.o]}]}}}
  b: {operations: {o: {calls: [{to: c.o, repeat: 3}]}}}
  c: {operations: {o: 1ms}}
  d: {operations: {o: {calls: [{to: d.o, probability: 0.5}]}}}
endpoints: {e: {entry: a.o}}
cycles: [[d]]
`))
	if err != nil {
		t.Fatal(err)
	}
	// b: 0.5 × 4; c: 1 + 2 × 3; d: a quarter, each followed by one more on average: 1 + 1/2 + 1/4 + ...
	if got, want := fmt.Sprintf("%.6f", newFlow(bp).visits(0)), "[1.000000 2.000000 7.000000 0.500000]"; got != want {
		t.Errorf("visits %s, want %s", got, want)
	}
}

// How many operations a request runs is the same counted forwards, from one operation, and backwards, for all at once.
func TestRunsAreTheVisits(t *testing.T) {
	for _, name := range BuiltIn() {
		bp, err := ReadApp(name)
		if err != nil {
			t.Fatal(err)
		}
		f := newFlow(bp)
		for i, n := range f.runs() {
			if want := sum(f.visits(i)); math.Abs(n-want) > 1e-9*want {
				t.Errorf("%s: operation %d leads to %g runs, want %g", name, i, n, want)
			}
		}
	}
}

// visits is how often a request to an operation runs each operation on average, itself included.
func (f flow) visits(entry int) []float64 {
	total, x := make([]float64, len(f.out)), make([]float64, len(f.out))
	x[entry] = 1
	for range rounds {
		sum := 0.0
		for i, v := range x {
			total[i] += v
			sum += v
		}
		if sum < 1e-12 || sum > 1e12 { // died out, or beyond all measure
			break
		}
		x = f.step(x)
	}
	return total
}
