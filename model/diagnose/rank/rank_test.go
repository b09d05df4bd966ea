package rank_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"foresail.dev/model/diagnose/rank"
)

// shop is front → cart → db with a second branch, front → ads; what is planted happens in the issue's rows alone.
func ExampleMethod_Rank() {
	series := func(normal, issue float64) rank.Series {
		s := rank.Series{}
		for i := range 30 {
			s.Normal = append(s.Normal, normal*(1+0.01*float64(i%5)))
		}
		for range 5 {
			s.Issue = append(s.Issue, issue)
		}
		return s
	}
	in := &rank.Input{Front: -1, Services: []rank.Service{
		{Name: "front", Requests: series(1000, 1000), Latency: series(0.100, 0.180)},
		{Name: "cart", Requests: series(1000, 1000), Latency: series(0.050, 0.130)},
		{Name: "db", Requests: series(2000, 2000), Latency: series(0.010, 0.050)}, // twice for each request of cart
		{Name: "ads", Requests: series(1000, 1000), Latency: series(0.020, 0.020)},
	}, Calls: []rank.Call{{From: 0, To: 1}, {From: 1, To: 2}, {From: 0, To: 3}}}
	foresail, _ := rank.ByName("foresail")
	list, err := foresail.Rank(in)
	fmt.Println(err, list[0].Name)
	for _, e := range list[0].Why {
		fmt.Println(e.Sign)
	}
	// Output:
	// <nil> db
	// own time
	// share of the delay
}

// plant is a fault of a kind in one service.
type plant int

const (
	slow plant = iota
	failing
	burning  // of CPU, and slow by it
	distant  // the network before it
	skipping // calls that it made
	plants
)

// application is a simulated one: a tree of services with requests flowing from the front, service 0, down. With a tree and exact
// sums, the planted one alone explains what is seen.
type application struct {
	parent  []int
	perCall []float64 // calls for each request of the parent
	own     []float64 // seconds
	cores   []float64
}

func drawn(t *rapid.T) application {
	n := rapid.IntRange(3, 25).Draw(t, "services")
	a := application{parent: make([]int, n), perCall: make([]float64, n), own: make([]float64, n), cores: make([]float64, n)}
	for i := range n {
		a.parent[i] = -1
		if i > 0 {
			a.parent[i] = rapid.IntRange(max(0, i-6), i-1).Draw(t, "parent")
		}
		a.perCall[i] = float64(rapid.IntRange(1, 2).Draw(t, "calls"))
		a.own[i] = float64(rapid.IntRange(2, 20).Draw(t, "own")) / 1000
		a.cores[i] = float64(rapid.IntRange(1, 20).Draw(t, "cores")) / 10
	}
	return a
}

// leaf is a service that makes no call.
func (a application) leaf(i int) bool { return !slices.Contains(a.parent, i) }

// input simulates rows: noise is the deviation of each number, as a share.
func (a application) input(seed uint64, culprit int, what plant, noise float64) *rank.Input {
	rng := rand.New(rand.NewPCG(seed, 1))
	const normal, issue = 40, 4
	n := len(a.parent)
	in := &rank.Input{Front: 0, Services: make([]rank.Service, n)}
	calls := make([]rank.Call, n)
	for row := range normal + issue {
		ill := func(i int, p plant) bool { return row >= normal && i == culprit && what == p }
		wobble := func(v float64) float64 { return v * math.Exp(noise*rng.NormFloat64()) }
		put := func(s *rank.Series, v float64) {
			if row < normal {
				s.Normal = append(s.Normal, v)
			} else {
				s.Issue = append(s.Issue, v)
			}
		}
		requests, latency, errors := make([]float64, n), make([]float64, n), make([]float64, n)
		requests[0] = math.Round(wobble(3000))
		for i := 1; i < n; i++ {
			requests[i] = requests[a.parent[i]] * a.perCall[i]
			if ill(a.parent[i], skipping) {
				requests[i] *= 0.3
			}
		}
		for i := n - 1; i >= 0; i-- {
			s := &in.Services[i]
			s.Name = fmt.Sprintf("s%02d", i)
			own, cores, fails := wobble(a.own[i]), wobble(a.cores[i]*requests[i]/3000), 0.0
			if ill(i, slow) || ill(i, burning) {
				own += 0.3
			}
			if ill(i, burning) {
				cores *= 4
			}
			if ill(i, failing) {
				fails = 0.2
			}
			latency[i] += own
			errors[i] += fails
			put(&s.Requests, requests[i])
			put(&s.Latency, latency[i])
			put(&s.CPU, cores)
			put(&s.Errors, errors[i])
			if p := a.parent[i]; p >= 0 {
				calls[i].From, calls[i].To = p, i
				seen := latency[i] + wobble(0.0005)
				if ill(i, distant) {
					seen += 0.3
				}
				put(&calls[i].Server, latency[i])
				put(&calls[i].Client, seen)
				k := requests[i] / requests[p]
				latency[p] += k * seen
				errors[p] += k * errors[i]
			}
		}
		for i := range errors {
			if errors[i] > 1 {
				panic("a share of more than all: the test's own fault")
			}
		}
	}
	in.Calls = calls[1:]
	return in
}

// The planted culprit is first whenever it alone explains what is seen, whatever it does, wherever it is.
func TestThePlantedCulpritIsFirst(t *testing.T) {
	foresail, _ := rank.ByName("foresail")
	rapid.Check(t, func(t *rapid.T) {
		a := drawn(t)
		what := plant(rapid.IntRange(0, int(plants)-1).Draw(t, "what"))
		culprit := rapid.IntRange(0, len(a.parent)-1).Draw(t, "culprit")
		if what == distant && culprit == 0 {
			culprit = 1 // the front has no network before it
		}
		if what == skipping && a.leaf(culprit) {
			culprit = 0
		}
		if what == failing { // so that shares stay shares
			for i := range a.perCall {
				a.perCall[i] = 1
			}
		}
		in := a.input(rapid.Uint64().Draw(t, "seed"), culprit, what, 0.02)
		list, err := foresail.Rank(in)
		if err != nil {
			t.Fatal(err)
		}
		if list[0].Service != culprit {
			t.Fatalf("kind %d in %s: first is %+v, then %+v", what, in.Services[culprit].Name, list[0], list[1])
		}
	})
}

// Nothing planted, nothing but noise: whoever comes first has little against it.
func TestNoiseIsLittleEvidence(t *testing.T) {
	foresail, _ := rank.ByName("foresail")
	rapid.Check(t, func(t *rapid.T) {
		in := drawn(t).input(rapid.Uint64().Draw(t, "seed"), -1, slow, 0.02)
		list, err := foresail.Rank(in)
		if err != nil || list[0].Score > 8 {
			t.Fatalf("%v, %+v", err, list[0])
		}
	})
}

// anything is an input with whatever values, missing ones included.
func anything(t *rapid.T) *rank.Input {
	n := rapid.IntRange(1, 8).Draw(t, "services")
	normal, issue := rapid.IntRange(1, 12).Draw(t, "normal"), rapid.IntRange(1, 4).Draw(t, "issue")
	value := rapid.SampledFrom([]float64{0, 1, 2, 3.5, 1e-9, 1e12, -1, math.NaN(), math.Inf(1)})
	series := func() rank.Series {
		if rapid.Bool().Draw(t, "absent") {
			return rank.Series{}
		}
		return rank.Series{Normal: rapid.SliceOfN(value, normal, normal).Draw(t, "n"), Issue: rapid.SliceOfN(value, issue, issue).Draw(t, "i")}
	}
	in := &rank.Input{Front: rapid.IntRange(-1, n-1).Draw(t, "front")}
	for i := range n {
		in.Services = append(in.Services, rank.Service{Name: fmt.Sprint("s", i), Requests: series(), Latency: series(), Tail: series(), Errors: series(), CPU: series()})
	}
	in.Services[0].Requests = rank.Series{Normal: make([]float64, normal), Issue: make([]float64, issue)} // so that there are rows
	for range rapid.IntRange(0, 12).Draw(t, "calls") {
		in.Calls = append(in.Calls, rank.Call{From: rapid.IntRange(0, n-1).Draw(t, "from"), To: rapid.IntRange(0, n-1).Draw(t, "to"), Client: series(), Server: series()})
	}
	return in
}

// Whatever is observed, cycles and calls to oneself included, a ranking has each service once, from the highest score down; and the
// order in which services and calls are told changes nothing.
func TestARankingIsOfAllAndOfNoOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anything(t)
		seen := map[[2]int]bool{} // of calls told twice the first counts, so that order does matter: leave them out
		in.Calls = slices.DeleteFunc(in.Calls, func(c rank.Call) bool {
			k := [2]int{c.From, c.To}
			twice := seen[k]
			seen[k] = true
			return twice
		})
		at := rapid.Permutation(indices(len(in.Services))).Draw(t, "order")
		other := &rank.Input{Front: -1, Services: make([]rank.Service, len(at))}
		for i, k := range at {
			other.Services[k] = in.Services[i]
		}
		if in.Front >= 0 {
			other.Front = at[in.Front]
		}
		for _, c := range rapid.Permutation(in.Calls).Draw(t, "calls") {
			c.From, c.To = at[c.From], at[c.To]
			other.Calls = append(other.Calls, c)
		}
		for _, m := range rank.Methods() {
			list, err := m.Rank(in)
			list2, err2 := m.Rank(other)
			if err != nil || err2 != nil || len(list) != len(in.Services) {
				t.Fatal(m.Name, err, err2, len(list))
			}
			names := map[string]bool{}
			for i, s := range list {
				if names[s.Name] = true; in.Services[s.Service].Name != s.Name || math.IsNaN(s.Score) || i > 0 && list[i-1].Score < s.Score {
					t.Fatalf("%s: place %d: %+v", m.Name, i+1, s)
				}
				if o := list2[i]; o.Name != s.Name || o.Score != s.Score || other.Services[o.Service].Name != s.Name {
					t.Fatalf("%s: place %d is %+v, and in another order %+v", m.Name, i+1, s, o)
				}
			}
			if len(names) != len(list) {
				t.Fatal(m.Name, names)
			}
		}
	})
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// A service that was not there before is told by who calls it now, and does not take the blame itself.
func TestAServiceThatAppears(t *testing.T) {
	a := application{parent: []int{-1, 0, 1}, perCall: []float64{1, 1, 1}, own: []float64{0.01, 0.01, 0.01}, cores: []float64{1, 1, 1}}
	in := a.input(7, 1, failing, 0.02)
	gone := in.Services[2]
	for _, s := range []*rank.Series{&gone.Requests, &gone.Latency, &gone.Errors, &gone.CPU, &in.Calls[1].Client, &in.Calls[1].Server} {
		for i := range s.Normal {
			s.Normal[i] = math.NaN()
		}
	}
	for i := range gone.Errors.Issue { // all its requests fail
		gone.Errors.Issue[i] = 1
	}
	in.Services[2] = gone
	foresail, _ := rank.ByName("foresail")
	list, err := foresail.Rank(in)
	if err != nil || list[0].Service != 1 {
		t.Fatalf("%v, %+v", err, list)
	}
	found := slices.ContainsFunc(list[0].Why, func(e rank.Evidence) bool { return e.Sign == rank.CallsMade && e.Z > 3 })
	if !found {
		t.Errorf("that it makes new calls is no sign: %+v", list[0].Why)
	}
}

// One that vanishes is told by who stopped calling it.
func TestAServiceThatVanishes(t *testing.T) {
	a := application{parent: []int{-1, 0, 1, 0}, perCall: []float64{1, 1, 1, 1}, own: []float64{0.01, 0.01, 0.01, 0.01}, cores: []float64{1, 1, 1, 1}}
	in := a.input(7, -1, slow, 0.02)
	s := &in.Services[2]
	for _, x := range []*rank.Series{&s.Requests, &s.Latency, &s.Errors, &s.CPU, &in.Calls[1].Client, &in.Calls[1].Server} {
		for i := range x.Issue {
			x.Issue[i] = math.NaN()
		}
	}
	foresail, _ := rank.ByName("foresail")
	list, err := foresail.Rank(in)
	if err != nil || list[0].Service != 1 {
		t.Fatalf("%v, %+v", err, list)
	}
}

func TestAllThatIsWrongIsTold(t *testing.T) {
	in := &rank.Input{Front: 5, Services: []rank.Service{
		{Name: "a", Latency: rank.Series{Normal: []float64{1, 2}, Issue: []float64{1}}},
		{Name: "a", Latency: rank.Series{Normal: []float64{1}, Issue: []float64{1}}},
	}, Calls: []rank.Call{{From: 0, To: 9}}}
	for _, m := range rank.Methods() {
		_, err := m.Rank(in)
		for _, want := range []string{"the front is service 5 of 2", `two services are called "a"`, "1 rows and 1 of the issue, others have 2 and 1", "from service 0 to 9 of 2"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v lacks %q", m.Name, err, want)
			}
		}
	}
	for want, in := range map[string]*rank.Input{
		"there is no service": {},
		"1 rows are normal and 0 of the issue: there must be some of both": {Services: []rank.Service{{Name: "a", CPU: rank.Series{Normal: []float64{1}}}}},
		"0 rows are normal and 0 of the issue":                             {Services: []rank.Service{{Name: "a"}}},
	} {
		if err := in.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestMethodsHaveNames(t *testing.T) {
	for _, m := range rank.Methods() {
		if got, ok := rank.ByName(m.Name); !ok || got.Name != m.Name {
			t.Error(m.Name)
		}
	}
	if _, ok := rank.ByName("guess"); ok {
		t.Error("there is a method guess")
	}
}

// The size of PetShop: 42 services, 589 rows that are normal.
func BenchmarkRank(b *testing.B) {
	a := application{}
	for i := range 42 {
		a.parent, a.perCall = append(a.parent, (i+1)/2-1), append(a.perCall, 1)
		a.own, a.cores = append(a.own, 0.01), append(a.cores, 1)
	}
	in := a.input(1, 20, slow, 0.02)
	grow := func(s *rank.Series) {
		for len(s.Normal) > 0 && len(s.Normal) < 589 {
			s.Normal = append(s.Normal, s.Normal[len(s.Normal)%40]*(1+float64(len(s.Normal)%7)/100))
		}
	}
	for i := range in.Services {
		s := &in.Services[i]
		for _, x := range []*rank.Series{&s.Requests, &s.Latency, &s.Errors, &s.CPU} {
			grow(x)
		}
	}
	for i := range in.Calls {
		grow(&in.Calls[i].Client)
		grow(&in.Calls[i].Server)
	}
	for _, m := range rank.Methods() {
		b.Run(m.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Rank(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
