package latency

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"foresail.dev/ml"
	"foresail.dev/model/latency/learner"
)

// quick learns a line alone: of products, in logarithms, exactly.
var quick = learner.Config{Kinds: []learner.Kind{learner.Ridge}, Evaluations: 8, Folds: 4}

// shop is three services, front → cart → store: each takes its own time, 1/cpu, and its callee's, as products so that
// a line of logarithms learns them. slow is how many times as slow the store is as it was.
func shop(n int, seed uint64, slow float64) *Table {
	r := rand.New(rand.NewPCG(seed, 2))
	names := []string{"front:cpu", "cart:cpu", "store:cpu", "front:0.90", "cart:0.90", "store:0.90"}
	cols := make([][]float64, len(names))
	noise := func() float64 { return math.Exp(0.03 * r.NormFloat64()) }
	for range n {
		f, c, s := 1+r.Float64(), 1+r.Float64(), 1+r.Float64()
		store := 0.01 / s * noise() * slow
		cart := math.Pow(store, 0.8) / c * noise()
		front := math.Pow(cart, 0.7) / f * noise()
		for i, v := range []float64{f, c, s, front, cart, store} {
			cols[i] = append(cols[i], v)
		}
	}
	t, err := NewTable(names, cols)
	if err != nil {
		panic(err)
	}
	return t
}

func assign(t testing.TB, from *Table, service string, own, external []string) *Assignment {
	t.Helper()
	a, err := NewAssignment(service, "0.90", own, external)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Add(from, nil, "once", quick, true); err != nil {
		t.Fatal(err)
	}
	return a
}

func shopGraph(t testing.TB, from *Table) *Graph {
	t.Helper()
	g := NewGraph()
	for _, a := range []*Assignment{
		assign(t, from, "front", []string{"front:cpu"}, []string{"cart:0.90"}),
		assign(t, from, "cart", []string{"cart:cpu"}, []string{"store:0.90"}),
		assign(t, from, "store", []string{"store:cpu"}, nil),
	} {
		if err := g.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(g.Connect("cart", "front"), g.Connect("store", "cart")); err != nil {
		t.Fatal(err)
	}
	return g
}

func run(t testing.TB, g *Graph, target string, inputs map[string]float64) (*Inference, []float64) {
	t.Helper()
	f, err := g.Compile(target)
	if err != nil {
		t.Fatal(err)
	}
	row := make([]float64, len(f.Inputs()))
	for i, in := range f.Inputs() {
		v, ok := inputs[in]
		if !ok {
			t.Fatal("no value for input ", in)
		}
		row[i] = v
	}
	return f, row
}

// The end of a chain is predicted from knobs alone, nearly as well as noise lets it.
func TestAGraphPredictsEndToEnd(t *testing.T) {
	g := shopGraph(t, shop(100, 1, 1))
	errs, err := g.Errors("front:0.90", shop(200, 2, 1))
	if err != nil {
		t.Fatal(err)
	}
	if len(errs) != 3 || errs[2].Label != "front:0.90" || errs[2].Log > 0.05 || errs[2].LocalLog > errs[2].Log {
		t.Errorf("%+v", errs)
	}
}

// An Inference says what asking one assignment after another says, whatever the graph looks like.
func TestPredictionsAreThoseOfARecursion(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(rt, "services")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 3))
		var names []string
		var cols [][]float64
		column := func(name string) {
			names, cols = append(names, name), append(cols, nil)
			for range 8 {
				cols[len(cols)-1] = append(cols[len(cols)-1], 1+r.Float64())
			}
		}
		calls := make([][]int, n)
		for i := range n {
			column(fmt.Sprintf("s%d:cpu", i))
			column(fmt.Sprintf("s%d:0.90", i))
			for k := range i {
				if rapid.Bool().Draw(rt, "calls") {
					calls[i] = append(calls[i], k)
				}
			}
		}
		table, err := NewTable(names, cols)
		if err != nil {
			rt.Fatal(err)
		}
		g, as := NewGraph(), make([]*Assignment, n)
		for _, i := range r.Perm(n) {
			var external []string
			for _, k := range calls[i] {
				external = append(external, fmt.Sprintf("s%d:0.90", k))
			}
			as[i] = assign(t, table, fmt.Sprintf("s%d", i), []string{fmt.Sprintf("s%d:cpu", i)}, external)
			if err := g.Add(as[i]); err != nil {
				rt.Fatal(err)
			}
		}
		for i := range n {
			for _, k := range calls[i] {
				if err := g.Connect(fmt.Sprintf("s%d", k), fmt.Sprintf("s%d", i)); err != nil {
					rt.Fatal(err)
				}
			}
		}
		inputs := map[string]float64{}
		for i := range n {
			inputs[fmt.Sprintf("s%d:cpu", i)] = 1 + r.Float64()
		}
		var ask func(i int) float64
		ask = func(i int) float64 {
			row := []float64{inputs[fmt.Sprintf("s%d:cpu", i)]}
			for _, k := range calls[i] {
				row = append(row, ask(k))
			}
			p, err := as[i].NewPredictor()
			if err != nil {
				rt.Fatal(err)
			}
			return p.Value(row)
		}
		f, row := run(t, g, fmt.Sprintf("s%d:0.90", n-1), inputs)
		if got, want := f.Run(row), ask(n-1); math.Abs(got-want) > 1e-12*want {
			rt.Fatalf("%v, asked one by one %v", got, want)
		}
	})
}

func TestCyclesAreRefusedByName(t *testing.T) {
	data := shop(20, 1, 1)
	g := NewGraph()
	for _, a := range []*Assignment{assign(t, data, "front", nil, []string{"cart:0.90"}), assign(t, data, "cart", nil, []string{"front:0.90"})} {
		if err := g.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Connect("cart", "front"); err != nil {
		t.Fatal(err)
	}
	err := g.Connect("front", "cart")
	if err == nil || !strings.Contains(err.Error(), "front:0.90 → cart:0.90 → front:0.90") {
		t.Fatal(err)
	}
	if err := g.Replace(assign(t, data, "cart", []string{"cart:cpu"}, nil)); err != nil {
		t.Error("the refused edge is still there:", err)
	}
	if _, err := g.Compile("front:0.90"); err != nil {
		t.Error(err)
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	data := shop(20, 1, 1)
	a, err := NewAssignment("front", "0.90", []string{"front:cpu"}, []string{"cart:0.99"})
	if err != nil {
		t.Fatal(err)
	}
	var missing *MissingError
	if _, err := a.Add(data, nil, "", quick, false); !errors.As(err, &missing) || missing.Inputs[0] != "cart:0.99" || missing.Who != "front:0.90" {
		t.Error(err)
	}
	g := NewGraph()
	if err := g.Add(assign(t, data, "front", nil, []string{"cart:0.90"})); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Compile("front:0.90"); !errors.As(err, &missing) || missing.Inputs[0] != "cart:0.90" {
		t.Error(err)
	}
	if err := g.Add(assign(t, data, "cart", []string{"cart:cpu"}, nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Compile("front:0.90"); err == nil || !strings.Contains(err.Error(), "not connected") {
		t.Error(err)
	}
	empty, err := NewAssignment("store", "0.90", []string{"store:cpu"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := empty.NewPredictor(); !errors.Is(err, ErrUntrained) {
		t.Error(err)
	}
	for _, bad := range [][2]string{{"a:b", "x"}, {"a#1", "x"}, {"", "x"}, {"a", ""}} {
		if _, err := NewAssignment(bad[0], bad[1], nil, nil); err == nil {
			t.Errorf("%q is a service's name, or %q a metric's", bad[0], bad[1])
		}
	}
	if _, err := NewAssignment("a", "x", []string{"k", "k"}, nil); err == nil {
		t.Error("an input is there twice")
	}
}

// Of three differently slow stores, scaled out to as many instances with one model, the service is as slow as it was once a
// service-vertex was trained, whatever the mean of its instances says. The rest of the graph stays.
func TestScaleAndFit(t *testing.T) {
	g := shopGraph(t, shop(100, 1, 1))
	front := g.Assignment("front:0.90")
	if err := g.Scale("store", 3); err != nil {
		t.Fatal(err)
	}
	inputs := map[string]float64{"front:cpu": 1.5, "cart:cpu": 1.5, "store#1:cpu": 1.2, "store#2:cpu": 1.5, "store#3:cpu": 1.8}
	f, row := run(t, g, "front:0.90", inputs)
	f.Run(row)
	sum := 0.0
	for i := range 3 {
		v, _ := f.At(fmt.Sprintf("store#%d:0.90", i+1))
		sum += v / 3
	}
	if v, _ := f.At("store:0.90"); math.Abs(v-sum) > 1e-12 {
		t.Errorf("the service-vertex is %v, the mean %v", v, sum)
	}
	// What is observed: the service is as slow as twice its second instance.
	r := rand.New(rand.NewPCG(4, 4))
	names := []string{"front:cpu", "cart:cpu", "store#1:cpu", "store#2:cpu", "store#3:cpu", "store:0.90"}
	cols := make([][]float64, 6)
	for range 40 {
		for i := range 5 {
			cols[i] = append(cols[i], 1+r.Float64())
		}
		cols[5] = append(cols[5], 2*0.01/cols[3][len(cols[3])-1])
	}
	data, err := NewTable(names, cols)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Fit("store", "0.90", data, quick); err != nil {
		t.Fatal(err)
	}
	f, row = run(t, g, "front:0.90", inputs)
	f.Run(row)
	if v, _ := f.At("store:0.90"); math.Abs(v-2*0.01/1.5) > 0.0005 {
		t.Errorf("once trained, the service-vertex is %v, should be near %v", v, 2*0.01/1.5)
	}
	if g.Assignment("front:0.90") != front {
		t.Error("another part of the graph has changed")
	}
	if err := g.Scale("store", 1); err != nil {
		t.Fatal(err)
	}
	f, _ = run(t, g, "front:0.90", map[string]float64{"front:cpu": 1, "cart:cpu": 1, "store:cpu": 1})
	if len(f.Vertices()) != 3 {
		t.Error(f.Vertices())
	}
	other, err := NewAssignment("other", "0.90", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{g.Scale("none", 2), g.Scale("store", 0), func() error { _, err := g.Fit("store", "0.90", data, quick); return err }(), g.Replace(other)} {
		if err == nil {
			t.Error("a fault passes")
		}
	}
}

// Knobs that a callee shows are those of one instance, or the mean of several.
func TestShownKnobsAreMeansOfInstances(t *testing.T) {
	data := shop(60, 1, 1)
	g := NewGraph()
	front := assign(t, data, "front", []string{"front:cpu", "cart:cpu"}, nil)
	for _, a := range []*Assignment{front, assign(t, data, "cart", []string{"cart:cpu"}, nil)} {
		if err := g.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Scale("cart", 2); err != nil {
		t.Fatal(err)
	}
	f, row := run(t, g, "front:0.90", map[string]float64{"front:cpu": 1.5, "cart#1:cpu": 1, "cart#2:cpu": 2})
	p, err := front.NewPredictor()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := f.Run(row), p.Value([]float64{1.5, 1.5}); math.Abs(got-want) > 1e-12*want {
		t.Errorf("%v, should be %v", got, want)
	}
}

// Monte Carlo and moment matching agree, also where a service is called from two sides and where instances are averaged.
func TestUncertaintyIsPropagated(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	names := []string{"a:0.90", "b:0.90", "c:0.90", "d:0.90", "b:cpu", "d:cpu"}
	cols := make([][]float64, len(names))
	for range 60 {
		cpu, own := 1+r.Float64(), 1+r.Float64()
		d := 0.01 / own * math.Exp(0.2*r.NormFloat64())
		b := d / cpu * math.Exp(0.1*r.NormFloat64())
		c := d * d * 50 * math.Exp(0.1*r.NormFloat64())
		a := (b + c) * math.Exp(0.1*r.NormFloat64())
		for i, v := range []float64{a, b, c, d, cpu, own} {
			cols[i] = append(cols[i], v)
		}
	}
	data, err := NewTable(names, cols)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []learner.Kind{learner.Ridge, learner.Scaled} {
		g := NewGraph()
		for _, s := range []struct {
			name          string
			own, external []string
		}{{"a", nil, []string{"b:0.90", "c:0.90"}}, {"b", []string{"b:cpu"}, []string{"d:0.90"}}, {"c", nil, []string{"d:0.90"}}, {"d", []string{"d:cpu"}, nil}} {
			a, err := NewAssignment(s.name, "0.90", s.own, s.external)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := a.Add(data, nil, "", learner.Config{Kinds: []learner.Kind{kind}, Evaluations: 1, Folds: 3}, true); err != nil {
				t.Fatal(err)
			}
			if err := g.Add(a); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(g.Connect("b", "a"), g.Connect("c", "a"), g.Connect("d", "b"), g.Connect("d", "c"), g.Scale("b", 2)); err != nil {
			t.Fatal(err)
		}
		f, row := run(t, g, "a:0.90", map[string]float64{"b#1:cpu": 1.3, "b#2:cpu": 1.7, "d:cpu": 1.5})
		exact, matched := f.Sample(row, 4000, rand.New(rand.NewPCG(1, 1))), f.Moments(row)
		if math.Abs(math.Log(exact.Value/matched.Value)) > 0.03 || math.Abs(exact.Spread/matched.Spread-1) > 0.08 {
			t.Errorf("%s: drawn %+v, matched %+v", kind, exact, matched)
		}
		alone, err := g.Assignment("a:0.90").NewPredictor()
		if err != nil {
			t.Fatal(err)
		}
		f.Run(row)
		b, _ := f.At("b:0.90")
		c, _ := f.At("c:0.90")
		if s := alone.Predict([]float64{b, c}).Spread; matched.Spread < 1.3*s {
			t.Errorf("%s: the spread is %v, and without its callees' %v", kind, matched.Spread, s)
		}
	}
}

// A fault that is planted in any of three services is found there, though the errors of those that hang on it are as large.
func TestDebuggingNamesWhoIsAtFault(t *testing.T) {
	g := shopGraph(t, shop(100, 1, 1))
	for _, at := range []string{"front", "cart", "store"} {
		t.Run(at, func(t *testing.T) {
			data := shop(120, 3, 1)
			r := rand.New(rand.NewPCG(5, 5))
			// A new kind of request makes the service slower, in some runs more than in others.
			faster := slices.Clone([]string{"store", "cart", "front"})
			exponent := map[string]float64{"cart": 0.8, "front": 0.7}
			from := slices.Index(faster, at)
			factor := make([]float64, data.Rows())
			for i := range factor {
				factor[i] = math.Exp(r.Float64())
			}
			for k, s := range faster[from:] {
				y, _ := data.Column(s + ":0.90")
				y = slices.Clone(y)
				for i := range y {
					if k > 0 {
						factor[i] = math.Pow(factor[i], exponent[s])
					}
					y[i] *= factor[i]
				}
				var err error
				if data, err = data.With(s+":0.90", y); err != nil {
					t.Fatal(err)
				}
			}
			got, way, err := g.Debug("front:0.90", data)
			if err != nil || got != at+":0.90" {
				t.Errorf("%s is blamed, over %+v: %v", got, way, err)
			}
		})
	}
}

// Of twelve candidates three matter: they are kept.
func TestInputsThatMatterAreSelected(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	names := []string{"front:0.90", "front:cpu"}
	cols := make([][]float64, 14)
	var external []string
	for i := range 12 {
		external = append(external, fmt.Sprintf("s%d:0.90", i))
	}
	names = append(names, external...)
	for range 80 {
		for i := range cols[1:] {
			cols[i+1] = append(cols[i+1], 1+r.Float64())
		}
		n := len(cols[1]) - 1
		cols[0] = append(cols[0], cols[2+3][n]*cols[2+7][n]*cols[2+10][n]/cols[1][n]*math.Exp(0.05*r.NormFloat64()))
	}
	data, err := NewTable(names, cols)
	if err != nil {
		t.Fatal(err)
	}
	a, err := NewAssignment("front", "0.90", []string{"front:cpu"}, external)
	if err != nil {
		t.Fatal(err)
	}
	learn := quick
	learn.Evaluations = 1
	c := SelectConfig{Keep: 3, Rounds: 150, Settled: 10, Learn: learn, Seed: 1}
	got, err := a.SelectInputs(data, c)
	if want := "[front:cpu s3:0.90 s7:0.90 s10:0.90]"; err != nil || fmt.Sprint(got) != want {
		t.Error(got, err)
	}
	if _, err := a.Add(data, got, "", quick, true); err != nil || fmt.Sprint(a.Used()) != fmt.Sprint(got) {
		t.Error(err, a.Used())
	}
	// What is favoured needs fewer rounds.
	c.Rounds, c.Favour = 3, map[string]float64{"s3:0.90": 50, "s7:0.90": 50, "s10:0.90": 50}
	if got, err := a.SelectInputs(data, c); err != nil || !slices.Contains(got, "s7:0.90") || len(got) != 4 {
		t.Error(got, err)
	}
}

// A Beta draw has the mean and the variance that it should have.
func TestBetaDraws(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, c := range [][2]float64{{1, 1}, {0.5, 2}, {7, 3}} {
		const n = 20000
		mean, square := 0.0, 0.0
		for range n {
			x, y := gamma(r, c[0]), gamma(r, c[1])
			v := x / (x + y)
			mean, square = mean+v/n, square+v*v/n
		}
		want := c[0] / (c[0] + c[1])
		variance := want * (1 - want) / (c[0] + c[1] + 1)
		if math.Abs(mean-want) > 0.01 || math.Abs(square-mean*mean-variance) > 0.005 {
			t.Errorf("Beta(%v, %v): mean %v, should be %v; variance %v, should be %v", c[0], c[1], mean, want, square-mean*mean, variance)
		}
	}
}

// Days come back: the model of such days gets the weight, and earlier weights are no worse to begin with.
func TestWeightsFollowWhatComesBack(t *testing.T) {
	quiet, busy := shop(60, 1, 1), shop(60, 2, 5)
	a, err := NewAssignment("store", "0.90", []string{"store:cpu"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for period, data := range map[string]*Table{"quiet": quiet} {
		if _, err := a.Add(data, nil, period, quick, false); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.Add(busy, nil, "busy", quick, false); err != nil {
		t.Fatal(err)
	}
	if w := a.Weights(); !slices.Equal(w, []float64{0.5, 0.5}) || a.Period(1) != "busy" {
		t.Fatal(w)
	}
	for k, data := range []*Table{shop(40, 5, 1), shop(40, 6, 5)} {
		miss, err := a.WeightOutputs(data, WeightConfig{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		w := a.Weights()
		if w[k] < 20*w[1-k] {
			t.Errorf("%s data: weights %v, error %v", a.Period(k), w, miss)
		}
		again, err := a.WeightOutputs(data, WeightConfig{Seed: 2, Rounds: 1, Earlier: [][]float64{w}})
		if err != nil || again > miss {
			t.Errorf("begun with what was found, the error is %v, was %v: %v", again, miss, err)
		}
	}
}

// Evolution finds the least of what it is given, whatever the dimension.
func TestEvolution(t *testing.T) {
	want := []float64{0.2, 0.9, 0.5, 0}
	best, least := evolve(func(w []float64) (sum float64) {
		for i, v := range w {
			sum += (v - want[i]) * (v - want[i])
		}
		return sum
	}, 4, nil, WeightConfig{Rounds: 150})
	if least > 1e-3 {
		t.Error(best, least)
	}
}

// A graph that is read again predicts the same; one for other inputs, or another application, is refused.
func TestFilesOfGraphs(t *testing.T) {
	g := shopGraph(t, shop(50, 1, 1))
	if err := g.Scale("store", 2); err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := WriteGraph(&file, g, "front:0.90", "app1", ml.Training{Source: "test", Rows: 50}); err != nil {
		t.Fatal(err)
	}
	want, err := g.Header("front:0.90")
	if err != nil {
		t.Fatal(err)
	}
	want.Application = "app1"
	read, h, err := ReadGraph(bytes.NewReader(file.Bytes()), want)
	if err != nil || h.Trained.Rows != 50 {
		t.Fatal(err, h)
	}
	inputs := map[string]float64{"front:cpu": 1.5, "cart:cpu": 1.5, "store#1:cpu": 1.2, "store#2:cpu": 1.5}
	f, row := run(t, g, "front:0.90", inputs)
	again, _ := run(t, read, "front:0.90", inputs)
	if x, y := f.Run(row), again.Run(row); x != y {
		t.Errorf("%v was %v", y, x)
	}
	if err := g.Scale("store", 3); err != nil {
		t.Fatal(err)
	}
	if want, err = g.Header("front:0.90"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ReadGraph(bytes.NewReader(file.Bytes()), want); !errors.Is(err, ml.ErrUnfit) {
		t.Error(err)
	}
	if _, _, err := ReadGraph(bytes.NewReader(file.Bytes()), ml.Header{Application: "app2"}); !errors.Is(err, ml.ErrUnfit) {
		t.Error(err)
	}
	a := g.Assignment("cart:0.90")
	b, err := a.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var same Assignment
	if err := same.UnmarshalBinary(b); err != nil || same.Output() != "cart:0.90" || same.Period(0) != "once" {
		t.Error(err)
	}
	if err := same.UnmarshalBinary(b[:len(b)-3]); err == nil {
		t.Error("a part of an assignment is read")
	}
}

func FuzzGraph(f *testing.F) {
	b, err := shopGraph(f, shop(8, 1, 1)).MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		g := NewGraph()
		if g.UnmarshalBinary(b) != nil {
			return
		}
		for _, n := range g.nodes {
			if f, err := g.Compile(n.a.Output()); err == nil {
				f.Run(make([]float64, len(f.Inputs())))
			}
		}
	})
}

// BenchmarkPredict142 predicts a graph of 15 services with 142 instances and 1,034 inputs, of models of 100 runs each.
func BenchmarkPredict142(b *testing.B) {
	g := NewGraph()
	names, cols := []string{}, [][]float64{}
	r := rand.New(rand.NewPCG(1, 1))
	column := func(name string) string {
		c := make([]float64, 100)
		for i := range c {
			c[i] = 1 + r.Float64()
		}
		names, cols = append(names, name), append(cols, c)
		return name
	}
	// 14 services of nine instances and one of sixteen; 1,034 = 14·9·7 + 16·9 + 8 more inputs of one with one instance each.
	var own [15][]string
	for i := range own {
		knobs := 7
		if i == 14 {
			knobs = 9
		}
		for k := range knobs {
			own[i] = append(own[i], column(fmt.Sprintf("s%d:k%d", i, k)))
		}
		column(fmt.Sprintf("s%d:0.90", i))
	}
	for k := range 8 {
		own[14] = append(own[14], column(fmt.Sprintf("outside:k%d", k)))
	}
	table, err := NewTable(names, cols)
	if err != nil {
		b.Fatal(err)
	}
	for i := range 15 {
		var external []string
		for k := range i {
			if (i+k)%4 == 0 || i == 14 {
				external = append(external, fmt.Sprintf("s%d:0.90", k))
			}
		}
		a, err := NewAssignment(fmt.Sprintf("s%d", i), "0.90", own[i], external)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := a.Add(table, nil, "", learner.Config{Kinds: []learner.Kind{learner.Process}, Evaluations: 1, Folds: 2}, true); err != nil {
			b.Fatal(err)
		}
		if err := g.Add(a); err != nil {
			b.Fatal(err)
		}
	}
	for i := range 15 {
		for k := range i {
			if err := g.Connect(fmt.Sprintf("s%d", k), fmt.Sprintf("s%d", i)); err != nil {
				b.Fatal(err)
			}
		}
		n := 9
		if i == 14 {
			n = 16
		}
		if err := g.Scale(fmt.Sprintf("s%d", i), n); err != nil {
			b.Fatal(err)
		}
	}
	f, err := g.Compile("s14:0.90")
	if err != nil {
		b.Fatal(err)
	}
	row := make([]float64, len(f.Inputs()))
	for i := range row {
		row[i] = 1 + r.Float64()
	}
	if len(row) != 1034 || len(f.Vertices()) != 142+15 {
		b.Fatal(len(row), len(f.Vertices()))
	}
	b.ReportAllocs()
	for b.Loop() {
		f.Run(row)
	}
}

// Whichever of three services became slower, in some runs more than in others, it is blamed; not the ones that only feel it.
func TestBlameFindsPlantedFaults(t *testing.T) {
	table := func(n int, seed uint64, at string) *Table {
		r := rand.New(rand.NewPCG(seed, 1))
		names := []string{"store:cpu", "cart:cpu", "front:cpu", "store:0.90", "cart:0.90", "front:0.90"}
		cols := make([][]float64, len(names))
		for range n {
			slow := map[string]float64{"store": 1, "cart": 1, "front": 1}
			slow[at] = 1.3 + r.Float64()
			s, c, f := 1+r.Float64(), 1+r.Float64(), 1+r.Float64()
			store := slow["store"] / s
			cart := slow["cart"] * (store + 1/c)
			front := slow["front"] * (cart + 1/f)
			for i, v := range []float64{s, c, f, store, cart, front} {
				cols[i] = append(cols[i], v)
			}
		}
		out, err := NewTable(names, cols)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	g := NewGraph()
	train := table(60, 1, "")
	callee := map[string][]string{"cart": {"store:0.90"}, "front": {"cart:0.90"}}
	for _, s := range []string{"store", "cart", "front"} {
		a, err := NewAssignment(s, "0.90", []string{s + ":cpu"}, callee[s])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Add(train, nil, "", learner.Config{Kinds: []learner.Kind{learner.Scaled}, Evaluations: 1, Folds: 3}, true); err != nil {
			t.Fatal(err)
		}
		if err := g.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(g.Connect("store", "cart"), g.Connect("cart", "front")); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{"store", "cart", "front"} {
		got, way, err := g.Blame("front:0.90", table(40, 2, at))
		if err != nil || got != at+":0.90" || way[len(way)-1].Next != "" || way[0].Error < way[0].After {
			t.Errorf("%s is blamed and not %s: %+v %v", got, at, way, err)
		}
	}
	if _, _, err := g.Blame("front:0.90", table(4, 2, "cart")); err == nil {
		t.Error("four rows were enough")
	}
	missing := &MissingError{}
	few, _ := NewTable([]string{"store:cpu", "cart:cpu", "front:cpu"}, [][]float64{make([]float64, 9), make([]float64, 9), make([]float64, 9)})
	if _, _, err := g.Blame("front:0.90", few); !errors.As(err, &missing) {
		t.Error(err)
	}
}
