package erms_test

import (
	"fmt"
	"math"
	"testing"

	"foresail.dev/plan/erms"
	"pgregory.net/rapid"
)

// line is a model that is one line all over.
func line(a, b float64) erms.Model {
	return erms.Model{Before: erms.Piece{A: a, B: b}, After: erms.Piece{A: a, B: b}}
}

// A frontend asks two services side by side, and then a third. What the two steps may take follows from their slopes, and
// side by side both have the same target.
func ExampleScale() {
	r := erms.Request{SLA: 100, Workload: 50,
		Models: map[int]erms.Model{0: line(1, 5), 1: line(4, 10), 2: line(5, 10), 3: line(4, 20)},
		Calls: []erms.Call{
			{Microservice: 0, Parent: -1},
			{Microservice: 1, Parent: 0, Step: 0},
			{Microservice: 2, Parent: 0, Step: 0},
			{Microservice: 3, Parent: 0, Step: 1},
		}}
	got := erms.Scale([]erms.Request{r}, erms.Priority)
	for i, t := range got.Targets[0] {
		fmt.Printf("%d: %.1f, %v containers\n", i, t.Latency, t.Containers)
	}
	// Output:
	// 0: 15.8, 5 containers
	// 1: 42.5, 7 containers
	// 2: 42.5, 8 containers
	// 3: 41.7, 10 containers
}

// drawn is a request of up to so many microservices, each called once.
func drawn(t *rapid.T, most int) erms.Request {
	n := rapid.IntRange(1, most).Draw(t, "calls")
	r := erms.Request{Workload: rapid.Float64Range(10, 1000).Draw(t, "workload"), Models: map[int]erms.Model{}}
	least := 0.0
	for i := range n {
		c := erms.Call{Microservice: i, Parent: -1}
		if i > 0 {
			c.Parent = rapid.IntRange(0, i-1).Draw(t, "parent")
			c.Step = rapid.IntRange(0, 2).Draw(t, "step")
		}
		r.Calls = append(r.Calls, c)
		b := rapid.Float64Range(0, 20).Draw(t, "b")
		r.Models[i] = line(rapid.Float64Range(0.01, 10).Draw(t, "a"), b)
		least += b
	}
	r.Calls = ordered(r.Calls)
	r.SLA = least + rapid.Float64Range(1, 500).Draw(t, "slack")
	return r
}

// ordered lays calls out by steps, parents first.
func ordered(calls []erms.Call) (out []erms.Call) {
	var lay func(i, parent int)
	lay = func(i, parent int) {
		c := calls[i]
		c.Parent = parent
		at := len(out)
		out = append(out, c)
		for step := range 3 {
			for k := range calls {
				if k > i && calls[k].Parent == i && calls[k].Step == step {
					lay(k, at)
				}
			}
		}
	}
	lay(0, -1)
	return out
}

// along is the latency of a request whose calls take what own says: a recursion that knows nothing of lines.
func along(calls []erms.Call, i int, own func(int) float64) float64 {
	sum := own(i)
	for step := range 3 {
		longest := 0.0
		for k := range calls {
			if calls[k].Parent == i && calls[k].Step == step {
				longest = max(longest, along(calls, k, own))
			}
		}
		sum += longest
	}
	return sum
}

// The targets along every path of calls add up to the SLA at most, and with the containers that the scaler gives, every
// microservice keeps its target.
func TestTargetsAddUpToTheSLA(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawn(t, 12)
		got := erms.Scale([]erms.Request{r}, erms.Priority)
		if !got.Feasible[0] {
			t.Fatal("an SLA above all offsets was not split")
		}
		sum := along(r.Calls, 0, func(i int) float64 { return got.Targets[0][i].Latency })
		if sum > r.SLA*(1+1e-9) {
			t.Fatalf("%v, over %v", sum, r.SLA)
		}
		if n := len(r.Calls); n == 1 && math.Abs(sum-r.SLA) > 1e-9*r.SLA {
			t.Fatalf("%v of %v are used", sum, r.SLA)
		}
		for i, c := range r.Calls {
			m := r.Models[c.Microservice].Before
			if took := m.A*r.Workload/got.Containers[c.Microservice] + m.B; took > got.Targets[0][i].Latency*(1+1e-9) {
				t.Fatalf("%d takes %v of %v", i, took, got.Targets[0][i].Latency)
			}
		}
	})
}

// More requests never need fewer containers, and nor does a stricter SLA. (Of one piece: the published choice of pieces is no
// such function.)
func TestContainersGrowWithWorkloadAndStrictness(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawn(t, 8)
		before := erms.Scale([]erms.Request{r}, erms.Priority)
		more := r
		more.Workload *= rapid.Float64Range(1, 3).Draw(t, "more")
		stricter := r
		stricter.SLA += rapid.Float64Range(0, 100).Draw(t, "looser")
		busier, looser := erms.Scale([]erms.Request{more}, erms.Priority), erms.Scale([]erms.Request{stricter}, erms.Priority)
		for ms, n := range before.Containers {
			if busier.Containers[ms] < n || looser.Containers[ms] > n {
				t.Fatalf("%d: %v containers, with more requests %v, with a looser SLA %v", ms, n, busier.Containers[ms], looser.Containers[ms])
			}
		}
	})
}

// For a chain the split is optimal: no other takes fewer containers, counted before they are rounded. Brute force over a fine
// grid of what the first two of three may take finds nothing better.
func TestNoOtherSplitOfAChainTakesFewerContainers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := erms.Request{Workload: 100, Models: map[int]erms.Model{}}
		least := 0.0
		for i := range 3 {
			r.Calls = append(r.Calls, erms.Call{Microservice: i, Parent: i - 1})
			b := rapid.Float64Range(0, 10).Draw(t, "b")
			least += b
			r.Models[i] = line(rapid.Float64Range(0.1, 10).Draw(t, "a"), b)
		}
		r.SLA = least + rapid.Float64Range(1, 100).Draw(t, "slack")
		cost := func(x float64, i int) float64 {
			p := r.Models[i].Before
			return p.A * r.Workload / (x - p.B)
		}
		got := erms.Scale([]erms.Request{r}, erms.Priority).Targets[0]
		ours := 0.0
		for i := range got {
			ours += cost(got[i].Latency, i)
		}
		const steps = 60
		free := r.SLA - least
		for i := 1; i < steps; i++ {
			for j := 1; i+j < steps; j++ {
				x, y := free*float64(i)/steps, free*float64(j)/steps
				other := cost(x+r.Models[0].Before.B, 0) + cost(y+r.Models[1].Before.B, 1) + cost(free-x-y+r.Models[2].Before.B, 2)
				if other < ours*(1-1e-9) {
					t.Fatalf("%v containers, and a split of %v and %v takes %v", ours, x, y, other)
				}
			}
		}
	})
}

// Where two kinds of requests share a microservice, the one with the smaller target there goes first: it is alone, and the
// other waits for both. Without priorities both get the smaller target, and the sum.
func TestSharedMicroservices(t *testing.T) {
	models := map[int]erms.Model{0: line(1, 0), 1: line(1, 0), 2: line(2, 0)}
	strict := erms.Request{SLA: 20, Workload: 10, Models: models, Calls: []erms.Call{{Microservice: 0, Parent: -1}, {Microservice: 2, Parent: 0}}}
	lax := erms.Request{SLA: 200, Workload: 30, Models: models, Calls: []erms.Call{{Microservice: 1, Parent: -1}, {Microservice: 2, Parent: 0}}}
	prio := erms.Scale([]erms.Request{strict, lax}, erms.Priority)
	if a, b := prio.Targets[0][1].Workload, prio.Targets[1][1].Workload; a != 10 || b != 40 {
		t.Errorf("workloads %v and %v, want 10 and 40", a, b)
	}
	fair := erms.Scale([]erms.Request{strict, lax}, erms.Fair)
	if a, b := fair.Targets[0][1], fair.Targets[1][1]; a.Latency != b.Latency || a.Workload != 40 || b.Workload != 40 {
		t.Errorf("%+v and %+v", a, b)
	}
	if prio.Containers[2] > fair.Containers[2] || prio.Containers[2] != 2 || fair.Containers[2] != 7 {
		t.Errorf("%v containers with priorities, and %v without", prio.Containers[2], fair.Containers[2])
	}
}

// An SLA below what nothing can change is said to be infeasible, and comes to an end.
func TestAnSLAThatCantBeMet(t *testing.T) {
	r := erms.Request{SLA: 10, Workload: 10, Models: map[int]erms.Model{0: line(1, 8), 1: line(1, 8)},
		Calls: []erms.Call{{Microservice: 0, Parent: -1}, {Microservice: 1, Parent: 0}}}
	got := erms.Scale([]erms.Request{r}, erms.Priority)
	if got.Feasible[0] || !math.IsInf(max(got.Containers[0], got.Containers[1]), 1) {
		t.Errorf("%+v", got)
	}
}

// What is repeated within a request, and what no container changes, is taken from what the SLA leaves.
func TestRepeatsAndConstants(t *testing.T) {
	models := map[int]erms.Model{0: line(1, 1), 1: line(1, 1)}
	plain := erms.Request{SLA: 104, Workload: 10, Models: models, Calls: []erms.Call{{Microservice: 0, Parent: -1}, {Microservice: 1, Parent: 0, Times: 3}}}
	got := erms.Scale([]erms.Request{plain}, erms.Priority).Targets[0]
	if a, b := got[0].Latency-1, got[1].Latency-3; math.Abs(a+b-100) > 1e-9 || math.Abs(b/a-math.Sqrt(3)) > 1e-9 {
		t.Errorf("%v and %v of 100", a, b)
	}
	db := erms.Request{SLA: 104, Workload: 10, Models: models, Calls: []erms.Call{{Microservice: 0, Parent: -1, Constant: 52}, {Microservice: 1, Parent: 0}}}
	got = erms.Scale([]erms.Request{db}, erms.Priority).Targets[0]
	if a, b := got[0].Latency, got[1].Latency; math.Abs(a-78) > 1e-9 || math.Abs(b-26) > 1e-9 {
		t.Errorf("%v and %v, want 78 and 26", a, b)
	}
}

// Whatever it is given, the scaler comes to an end and gives no number of containers below one.
func TestScaleComesToAnEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := func(name string) float64 {
			return rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(-10, 10), rapid.Float64Range(-1e6, 1e6)).Draw(t, name)
		}
		var requests []erms.Request
		for range rapid.IntRange(1, 3).Draw(t, "requests") {
			r := drawn(t, 6)
			r.SLA = x("sla")
			for i := range r.Models {
				if rapid.Bool().Draw(t, "known") {
					r.Models[i] = erms.NewModel(erms.Piece{A: x("a1"), B: x("b1")}, erms.Piece{A: x("a2"), B: x("b2")})
				}
			}
			requests = append(requests, r)
		}
		for _, how := range []erms.Sharing{erms.Priority, erms.Fair} {
			got := erms.Scale(requests, how)
			for ms, n := range got.Containers {
				if !(n >= 1) {
					t.Fatalf("%d: %v containers", ms, n)
				}
			}
		}
	})
}

// BenchmarkPlanErms scales 100 kinds of requests that make 20 calls each among 1,000 microservices.
func BenchmarkPlanErms(b *testing.B) {
	var requests []erms.Request
	for k := range 100 {
		r := erms.Request{SLA: 500, Workload: 100, Models: map[int]erms.Model{}}
		for i := range 20 {
			ms := (k*10 + i) % 1000
			r.Calls = append(r.Calls, erms.Call{Microservice: ms, Parent: (i - 1) / 3, Step: i % 3})
			r.Models[ms] = erms.NewModel(erms.Piece{A: 0.1 + float64(ms%7), B: float64(ms % 5)}, erms.Piece{A: 3 + float64(ms%11), B: -20 - float64(ms%13)})
		}
		r.Calls[0].Parent = -1
		requests = append(requests, r)
	}
	b.ReportAllocs()
	for b.Loop() {
		erms.Scale(requests, erms.Priority)
	}
}
