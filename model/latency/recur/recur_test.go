package recur_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"foresail.dev/model/latency"
	"foresail.dev/model/latency/learner"
	"foresail.dev/model/latency/recur"
)

var quick = learner.Config{Kinds: []learner.Kind{learner.Ridge}, Evaluations: 1, Folds: 4}

// day is a day's rows of a front that calls a cart: in a sale the cart takes longer, of a release the front does.
func day(t *testing.T, seed uint64, sale, release bool) *latency.Table {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 7))
	names := []string{"cart:cpu", "front:cpu", "cart:0.90", "front:0.90"}
	cols := make([][]float64, len(names))
	for range 30 {
		c, f := 1+r.Float64(), 1+r.Float64()
		cart := math.Exp(0.02*r.NormFloat64()) / c
		if sale {
			cart *= 1.6
		}
		front := math.Exp(0.02*r.NormFloat64()) * math.Sqrt(cart/f)
		if release {
			front *= 2
		}
		for i, v := range []float64{c, f, cart, front} {
			cols[i] = append(cols[i], v)
		}
	}
	out, err := latency.NewTable(names, cols)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func graph(t *testing.T, rows *latency.Table) *latency.Graph {
	t.Helper()
	g := latency.NewGraph()
	cart, err1 := latency.NewAssignment("cart", "0.90", []string{"cart:cpu"}, nil)
	front, err2 := latency.NewAssignment("front", "0.90", []string{"front:cpu"}, []string{"cart:0.90"})
	err := errors.Join(err1, err2)
	for _, a := range []*latency.Assignment{cart, front} {
		_, e := a.Add(rows, nil, "day 1", quick, true)
		err = errors.Join(err, e, g.Add(a))
	}
	if err := errors.Join(err, g.Connect("cart", "front")); err != nil {
		t.Fatal(err)
	}
	return g
}

func config() recur.Config {
	cfg := recur.Default()
	cfg.Learn = quick
	return cfg
}

func off(t *testing.T, g *latency.Graph, rows *latency.Table) float64 {
	t.Helper()
	errs, err := g.Errors("front:0.90", rows)
	if err != nil {
		t.Fatal(err)
	}
	return errs[len(errs)-1].Log
}

// A sale costs one model, of the cart, which the next sale uses again; a release costs one of the front. Ordinary days cost none, and
// are predicted after a sale as well as before.
func TestModelsAreUsedAgain(t *testing.T) {
	g := graph(t, day(t, 1, false, false))
	k, err := recur.New(config(), g, nil)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	live := func(n uint64, sale, release bool) float64 {
		t.Helper()
		rows := day(t, n, sale, release)
		if err := k.Weigh(rows.Pick([]int{0, 1, 2, 3, 4, 5})); err != nil {
			t.Fatal(err)
		}
		miss := off(t, k.Graph(), rows)
		_, added, err := k.End(rows, "a day")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.Join(added, "+"))
		return miss
	}
	ordinary := live(2, false, false)
	live(3, false, false)
	first := live(4, true, false)
	after := live(5, false, false)
	second := live(6, true, false)
	live(7, false, true)
	released := live(8, false, true)
	if want := []string{"", "", "cart:0.90", "", "", "front:0.90", ""}; !slices.Equal(all, want) {
		t.Errorf("%q", all)
	}
	if k.Models() != 4 || k.Graph().Assignment("cart:0.90").Models() != 2 {
		t.Error(k.Models())
	}
	both := live(9, true, true) // a release in a sale: what was learnt apart is of use together
	if !(first > 3*ordinary && after < 1.5*ordinary && second < first/3 && released < 2*ordinary && both < first/2) {
		t.Error(ordinary, first, after, second, released, both)
	}
	if g.Assignment("cart:0.90").Models() != 1 {
		t.Error("a graph that was given has changed")
	}
}

// What nothing can be learnt of is tried once, and not each day again.
func TestNoiseIsNotLearntEachDay(t *testing.T) {
	g := graph(t, day(t, 1, false, false))
	k, err := recur.New(config(), g, map[string]float64{"cart:0.90": 0.02, "front:0.90": 0.02})
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for n := range uint64(6) {
		rows := day(t, n+2, false, false)
		r := rand.New(rand.NewPCG(n, 3))
		y := make([]float64, rows.Rows())
		for i := range y {
			y[i] = math.Exp(r.NormFloat64())
		}
		if rows, err = rows.With("cart:0.90", y); err != nil {
			t.Fatal(err)
		}
		trained, _, err := k.End(rows, "noise")
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(trained, "cart:0.90") {
			tried++
		}
	}
	if tried == 0 || tried > 4 {
		t.Errorf("the cart was trained on %d of 6 days of noise", tried)
	}
}

// There are never more models than are allowed; the one that is of use least goes.
func TestModelsAreBounded(t *testing.T) {
	cfg := config()
	cfg.Models = 2
	k, err := recur.New(cfg, graph(t, day(t, 1, false, false)), nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(5) {
		rows := day(t, n+2, false, false)
		y, _ := rows.Column("cart:0.90")
		scaled := make([]float64, len(y))
		for i := range y {
			scaled[i] = y[i] * math.Pow(4, float64(n))
		}
		if rows, err = rows.With("cart:0.90", scaled); err != nil {
			t.Fatal(err)
		}
		if err := k.Weigh(rows); err != nil {
			t.Fatal(err)
		}
		if _, _, err := k.End(rows, "a day"); err != nil {
			t.Fatal(err)
		}
		if m := k.Graph().Assignment("cart:0.90").Models(); m > 2 {
			t.Fatal(m)
		}
	}
	cfg.Models, cfg.Tolerance, cfg.Gain = 1, 0, 1
	if _, err := recur.New(cfg, latency.NewGraph(), nil); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Error(err)
	}
}
