package repository_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"foresail.dev/cmd/foresail/latencies/repository"
	"foresail.dev/ml"
	"foresail.dev/model/latency"
	"foresail.dev/model/latency/learner"
)

var quick = learner.Config{Kinds: []learner.Kind{learner.Ridge}, Evaluations: 1, Folds: 3}

// table is runs of a front that calls a cart, with two instances of it.
func table(t *testing.T) *latency.Table {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 1))
	names := []string{"front:cpu", "front:0.90", "cart:cpu", "cart#1:cpu", "cart#2:cpu", "cart#1:0.90", "cart#2:0.90", "cart:0.90"}
	cols := make([][]float64, len(names))
	for range 20 {
		f, c := 1+r.Float64(), 1+r.Float64()
		for i, v := range []float64{f, 1/f + 1/c, c, c, c, 1 / c, 1 / c, 1.1 / c} {
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
	cart, err1 := latency.NewAssignment("cart", "0.90", []string{"cart:cpu"}, nil)
	front, err2 := latency.NewAssignment("front", "0.90", []string{"front:cpu"}, []string{"cart:0.90"})
	g := latency.NewGraph()
	err := errors.Join(err1, err2)
	for _, a := range []*latency.Assignment{cart, front} {
		_, e := a.Add(rows, nil, "monday", quick, true)
		a.Describe("runs.csv", "v1", time.Unix(100, 0), time.Unix(200, 0))
		err = errors.Join(err, e, g.Add(a))
	}
	if err := errors.Join(err, g.Connect("cart", "front"), g.Scale("cart", 2)); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Fit("cart", "0.90", rows, quick); err != nil {
		t.Fatal(err)
	}
	return g
}

var about = repository.About{Application: "shop", Target: "front:0.90", Source: "runs.csv", Error: 0.01, Releases: map[string]string{"cart": "v1"}}

func open(t *testing.T) (*repository.Repository, string) {
	t.Helper()
	dir := t.TempDir()
	r, err := repository.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return r, dir
}

// A graph that is kept predicts the same when it is loaded; what it shares with another is kept once.
func TestGraphsShareAssignments(t *testing.T) {
	r, dir := open(t)
	rows := table(t)
	g := graph(t, rows)
	id, fresh, err := r.Put(g, about)
	if err != nil || !slices.Equal(fresh, []string{"cart:0.90", "front:0.90"}) {
		t.Fatal(fresh, err)
	}
	back, got, err := r.Graph(id[:6], repository.Want{Application: "shop", Target: "front:0.90", Services: []string{"front", "cart"}})
	if err != nil || got.Error != 0.01 || got.Releases["cart"] != "v1" {
		t.Fatal(err, got)
	}
	a, _ := g.MarshalBinary()
	b, _ := back.MarshalBinary()
	if !bytes.Equal(a, b) {
		t.Error("what was loaded is not what was kept")
	}
	if same, fresh, err := r.Put(back, about); err != nil || same != id || fresh != nil {
		t.Error(same, fresh, err)
	}
	other, err := latency.NewAssignment("cart", "0.90", []string{"cart:cpu"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Add(rows.Pick([]int{1, 2, 3, 4, 5, 6, 7}), nil, "tuesday", quick, true); err != nil {
		t.Fatal(err)
	}
	if err := back.Replace(other); err != nil {
		t.Fatal(err)
	}
	second, fresh, err := r.Put(back, about)
	if err != nil || second == id || !slices.Equal(fresh, []string{"cart:0.90"}) {
		t.Error(second, fresh, err)
	}
	all, notes, err := r.List()
	if err != nil || len(notes) > 0 || len(all) != 6 || all[0].Kind != "graph" || all[0].Models != 2 || all[0].Inputs != 3 {
		t.Errorf("%+v %v %v", all, notes, err)
	}
	i := slices.IndexFunc(all, func(e repository.Entry) bool { return e.Label == "front:0.90" && e.Kind == "assignment" })
	if e := all[i]; e.Rows != 20 || e.Release != "v1" || !e.From.Equal(time.Unix(100, 0)) || e.Learner != "ridge" || !(e.Error > 0) {
		t.Errorf("%+v", e)
	}
	if files, _ := os.ReadDir(dir); len(files) != 6 {
		t.Error(files)
	}
}

// What is of another graph is refused, and the error names both.
func TestModelsOfOtherGraphs(t *testing.T) {
	r, dir := open(t)
	id, _, err := r.Put(graph(t, table(t)), about)
	if err != nil {
		t.Fatal(err)
	}
	all, _, err := r.List()
	if err != nil {
		t.Fatal(err)
	}
	part := all[0].Parts[0]
	for name, c := range map[string]struct {
		id   string
		want repository.Want
		says []string
	}{
		"application": {id, repository.Want{Application: "bank"}, []string{`"shop"`, `"bank"`}},
		"target":      {id, repository.Want{Target: "cart:0.99"}, []string{"front:0.90", "cart:0.99"}},
		"services":    {id, repository.Want{Services: []string{"front", "stock"}}, []string{"lacks stock", "besides cart"}},
		"assignment":  {part, repository.Want{}, []string{"latency/assignment", "a graph is needed"}},
	} {
		_, _, err := r.Graph(c.id, c.want)
		if !errors.Is(err, repository.ErrOther) {
			t.Errorf("%s: %v", name, err)
		}
		for _, s := range c.says {
			if err == nil || !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %v, should say %s", name, err, s)
			}
		}
	}
	if _, _, err := r.Assignment(part, "front:0.90"); !errors.Is(err, repository.ErrOther) || !strings.Contains(err.Error(), "cart:0.90") {
		t.Error(err)
	}
	for _, begin := range []string{"", "xyz"} {
		if _, _, err := r.Graph(begin, repository.Want{}); !errors.Is(err, repository.ErrNone) {
			t.Error(err)
		}
	}
	// A part's file in the place of another's.
	b, err := os.ReadFile(filepath.Join(dir, all[0].Parts[1]+".model"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, part+".model"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Graph(id, repository.Want{}); !errors.Is(err, repository.ErrOther) {
		t.Error(err)
	}
}

// Whatever happens to files, they are told by name, and others are read all the same; what is put again is whole again.
func TestBrokenFiles(t *testing.T) {
	for name, c := range map[string]struct {
		harm func(b []byte) []byte
		want error
	}{
		"truncated": {func(b []byte) []byte { return b[:len(b)/2] }, ml.ErrTruncated},
		"empty":     {func([]byte) []byte { return nil }, ml.ErrNotModel},
		"flipped":   {func(b []byte) []byte { b[len(b)-40] ^= 1; return b }, ml.ErrCorrupt},
		"text":      {func([]byte) []byte { return []byte("this is a text, and no model of anything") }, ml.ErrNotModel},
		"later":     {func(b []byte) []byte { b[8] = 9; return b }, ml.ErrFuture},
	} {
		t.Run(name, func(t *testing.T) {
			r, dir := open(t)
			g := graph(t, table(t))
			id, _, err := r.Put(g, about)
			if err != nil {
				t.Fatal(err)
			}
			all, _, err := r.List()
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, all[0].Parts[0]+".model")
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, c.harm(b), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, _, err := r.Graph(id, repository.Want{}); !errors.Is(err, c.want) || !strings.Contains(err.Error(), path) {
				t.Error(err)
			}
			left, notes, err := r.List()
			if err != nil || len(left) != len(all)-1 || len(notes) != 1 || !strings.Contains(notes[0], path) {
				t.Error(left, notes, err)
			}
			if _, _, err := r.Put(g, about); err != nil {
				t.Fatal(err)
			}
			if _, _, err := r.Graph(id, repository.Want{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// A process that ends while it writes leaves nothing under a model's name; what it leaves is swept away a day later.
func TestUnfinishedFiles(t *testing.T) {
	r, dir := open(t)
	left := filepath.Join(dir, ".new-123")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if all, notes, err := r.List(); err != nil || len(all)+len(notes) > 0 {
		t.Error(all, notes, err)
	}
	if err := os.Chtimes(left, time.Time{}, time.Now().Add(-25*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := repository.Open(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	// Where nothing can be written, it is an error.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Put(graph(t, table(t)), about); err == nil {
		t.Error("kept in a directory that is not there")
	}
}
