package foresail_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"foresail.dev"
	"pgregory.net/rapid"
)

func drawBounds(t *rapid.T) foresail.Bounds {
	b := foresail.Bounds{
		MinReplicas: rapid.IntRange(0, 3).Draw(t, "min replicas"),
		MinCPU:      rapid.Float64Range(0, 2).Draw(t, "min cpu"),
		MinMemory:   rapid.Int64Range(0, 1<<20).Draw(t, "min memory"),
		Settings:    map[string]foresail.Range{"ways": {Min: 1, Max: 8}, "share": {Min: 0, Max: 1}},
	}
	if rapid.Bool().Draw(t, "a range") { // else fixed at the minimum
		b.MaxReplicas = b.MinReplicas + rapid.IntRange(0, 10).Draw(t, "more replicas")
		b.MaxCPU = b.MinCPU + rapid.Float64Range(0, 4).Draw(t, "more cpu")
		b.MaxMemory = b.MinMemory + rapid.Int64Range(0, 1<<30).Draw(t, "more memory")
	}
	return b
}

func drawAllocation(t *rapid.T) foresail.Allocation {
	number := rapid.OneOf(rapid.Float64Range(-1, 10), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1)}))
	return foresail.Allocation{
		Replicas: rapid.OneOf(rapid.IntRange(-2, 20), rapid.Int()).Draw(t, "replicas"),
		CPU:      number.Draw(t, "cpu"),
		Memory:   rapid.OneOf(rapid.Int64Range(-1, 1<<31), rapid.Int64()).Draw(t, "memory"),
		Settings: map[string]float64{"ways": number.Draw(t, "ways"), "unknown": 1},
	}
}

func inside(b foresail.Bounds, a foresail.Allocation) bool {
	for k, v := range a.Settings {
		if r, ok := b.Settings[k]; !ok || !(v >= r.Min && v <= r.Max) {
			return false
		}
	}
	return a.Replicas >= b.MinReplicas && a.Replicas <= max(b.MaxReplicas, b.MinReplicas) &&
		a.CPU >= b.MinCPU && a.CPU <= max(b.MaxCPU, b.MinCPU) &&
		a.Memory >= b.MinMemory && (b.MaxMemory == 0 || a.Memory <= b.MaxMemory)
}

func TestClampLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, a := drawBounds(t), drawAllocation(t)
		c, bound := b.Clamp(a)
		if !inside(b, c) {
			t.Fatalf("%+v is not inside", c)
		}
		if again, bound := b.Clamp(c); !again.Equal(c) || bound != "" {
			t.Fatalf("clamped twice %+v becomes %+v (%s)", c, again, bound)
		}
		delete(a.Settings, "unknown") // dropping what is not known is no bound
		if inside(b, a) != (bound == "") {
			t.Fatalf("%+v: binding %q", a, bound)
		}
		if inside(b, a) && !c.Equal(a) {
			t.Fatalf("%+v was inside and became %+v", a, c)
		}
		if m := b.Max(); !inside(b, m) || c.Cores() > m.Cores() || c.Replicas > m.Replicas {
			t.Fatalf("%+v is larger than the largest, %+v", c, m)
		}
	})
}

func TestClampNamesWhatWasBinding(t *testing.T) {
	b := foresail.Bounds{MinReplicas: 2, MaxReplicas: 4, MinCPU: 0.5, MaxCPU: 1, MinMemory: 10, MaxMemory: 20,
		Settings: map[string]foresail.Range{"ways": {Min: 1, Max: 8}}}
	_, bound := b.Clamp(foresail.Allocation{Replicas: 1, CPU: 2, Memory: 30, Settings: map[string]float64{"ways": 9}})
	if bound != "min replicas, max CPU, max memory, max ways" {
		t.Errorf("named %q", bound)
	}
}

func TestEqualIsToAThousandthOfACore(t *testing.T) {
	a := foresail.Allocation{Replicas: 2, CPU: 0.5, Settings: map[string]float64{"ways": 4}}
	for _, c := range []struct {
		change func(*foresail.Allocation)
		equal  bool
	}{
		{func(*foresail.Allocation) {}, true},
		{func(b *foresail.Allocation) { b.CPU += 0.0004 }, true},
		{func(b *foresail.Allocation) { b.CPU += 0.001 }, false},
		{func(b *foresail.Allocation) { b.Replicas++ }, false},
		{func(b *foresail.Allocation) { b.Memory++ }, false},
		{func(b *foresail.Allocation) { b.Settings = nil }, false},
		{func(b *foresail.Allocation) { b.Settings = map[string]float64{"ways": 5} }, false},
		{func(b *foresail.Allocation) { b.Settings = map[string]float64{"share": 4} }, false},
	} {
		b := a
		c.change(&b)
		if a.Equal(b) != c.equal || b.Equal(a) != c.equal {
			t.Errorf("%+v and %+v: want equal %v", a, b, c.equal)
		}
	}
}

func TestAPlanFindsItsChange(t *testing.T) {
	p := &foresail.Plan{Changes: []foresail.Change{{Service: 1}, {Service: 4, To: foresail.Allocation{Replicas: 7}}}}
	if c, ok := p.Change(4); !ok || c.To.Replicas != 7 {
		t.Errorf("%+v %v", c, ok)
	}
	if _, ok := p.Change(2); ok {
		t.Error("found what is not there")
	}
	if _, ok := (*foresail.Plan)(nil).Change(0); ok {
		t.Error("found something in no plan")
	}
}

func TestUtilisationIsAbsentWhereAnythingIs(t *testing.T) {
	s := foresail.ServiceStats{Usage: foresail.Usage{Has: foresail.SignalCPU | foresail.SignalAllocation, CPU: 3}, Allocation: foresail.Allocation{Replicas: 2, CPU: 1}}
	if u, ok := s.Utilisation(2e9); !ok || u != 0.75 {
		t.Errorf("%v %v", u, ok)
	}
	for name, change := range map[string]func(*foresail.ServiceStats){
		"no CPU":           func(s *foresail.ServiceStats) { s.Has &^= foresail.SignalCPU },
		"no allocation":    func(s *foresail.ServiceStats) { s.Has &^= foresail.SignalAllocation },
		"nothing allotted": func(s *foresail.ServiceStats) { s.Allocation.Replicas = 0 },
	} {
		c := s
		change(&c)
		if _, ok := c.Utilisation(2e9); ok {
			t.Errorf("%s: there is a utilisation", name)
		}
	}
	if _, ok := s.Utilisation(0); ok {
		t.Error("over no time")
	}
}

func TestSignalsReadAsWords(t *testing.T) {
	for s, want := range map[foresail.Signals]string{
		0:                  "none",
		foresail.SignalCPU: "cpu",
		foresail.SignalEdges | foresail.SignalCPU: "cpu, edges",
	} {
		if s.String() != want {
			t.Errorf("%q, want %q", s.String(), want)
		}
	}
	if n := len(strings.Split(foresail.SignalsAll.String(), ", ")); n != 22 {
		t.Errorf("%d signals have names", n)
	}
}

func TestAnApplyErrorNamesTheFirstAndUnwrapsToAll(t *testing.T) {
	full, gone := errors.New("no room"), errors.New("gone")
	err := error(&foresail.ApplyError{Failed: map[foresail.ServiceID]error{4: gone, 2: full}})
	if err.Error() != "apply: service 2: no room (and 1 more)" || !errors.Is(err, full) || !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
}

func TestNamesAreFound(t *testing.T) {
	app := &foresail.App{Services: []foresail.Service{{Name: "front"}, {Name: "cart"}}, Endpoints: []foresail.Endpoint{{Name: "GET /"}}}
	if id, ok := app.ServiceByName("cart"); !ok || id != 1 {
		t.Errorf("%v %v", id, ok)
	}
	if _, ok := app.ServiceByName("till"); ok {
		t.Error("found a service that is not there")
	}
	if id, ok := app.EndpointByName("GET /"); !ok || id != 0 {
		t.Errorf("%v %v", id, ok)
	}
	if _, ok := app.EndpointByName(""); ok {
		t.Error("found an endpoint that is not there")
	}
}

func ExampleBounds_Clamp() {
	b := foresail.Bounds{MinReplicas: 1, MaxReplicas: 4, MinCPU: 0.25, MaxCPU: 2}
	a, bound := b.Clamp(foresail.Allocation{Replicas: 9, CPU: 0.5})
	fmt.Println(a, "because of", bound)
	// Output: 4 × 0.50 cores because of max replicas
}
