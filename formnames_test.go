package foresail_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"foresail.dev"
)

func ExampleForm_Path() {
	app := &foresail.App{Name: "shop", Endpoints: []foresail.Endpoint{{Name: "buy"}},
		Services: []foresail.Service{{Name: "front"}, {Name: "stock"}, {Name: "cart"}, {Name: "mail"}}}
	f, _ := foresail.NewForm(0, []foresail.Visit{
		{Service: 0, Parent: -1, Times: 1},
		{Service: 1, Parent: 0, Times: 3},
		{Service: 2, Parent: 0, Times: 1},
		{Service: 3, Parent: 0, Step: 1, Times: 1, Async: true},
	})
	fmt.Println(f.Path(app, false))
	// Output: front(3×stock | cart; ~mail)
}

// A form comes back from its names in an application that numbers its services otherwise, with the same short name, and what
// was known of each visit finds it again.
func TestFormsComeBackFromTheirNames(t *testing.T) {
	names := []foresail.Service{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}}
	rapid.Check(t, func(t *rapid.T) {
		one := &foresail.App{Name: "one", Services: names, Endpoints: []foresail.Endpoint{{Name: "e"}}}
		two := &foresail.App{Name: "two", Services: rapid.Permutation(names).Draw(t, "services"), Endpoints: []foresail.Endpoint{{Name: "other"}, {Name: "e"}}}
		f, err := foresail.NewForm(0, drawVisits(t))
		if err != nil {
			t.Fatal(err)
		}
		g, from, err := foresail.FormOf(two, "e", f.Named(one))
		if err != nil {
			t.Fatal(err)
		}
		if f.Path(one, true) != g.Path(two, true) || f.ID(one) != g.ID(two) || g.Endpoint != 1 {
			t.Fatalf("%s\n%s", f.Path(one, true), g.Path(two, true))
		}
		for k, i := range from {
			v, w := f.Visits[i], g.Visits[k]
			if one.Services[v.Service].Name != two.Services[w.Service].Name || v.Operation != w.Operation || v.Times != w.Times || v.Async != w.Async {
				t.Fatalf("visit %d is %+v and came from %d, %+v", k, w, i, v)
			}
			if w.Parent >= 0 && from[w.Parent] != v.Parent {
				t.Fatalf("visit %d is below another", k)
			}
		}
	})
}

func TestNamesThatAreNoForm(t *testing.T) {
	app := &foresail.App{Name: "shop", Services: []foresail.Service{{Name: "a"}}, Endpoints: []foresail.Endpoint{{Name: "e"}}}
	a := foresail.NamedVisit{Service: "a", Parent: -1}
	for _, c := range []struct {
		endpoint string
		visits   []foresail.NamedVisit
		want     string
	}{
		{"f", []foresail.NamedVisit{a}, `endpoint "f" is not one of application shop`},
		{"e", []foresail.NamedVisit{{Service: "b", Parent: -1}}, `visit 0: service "b" is not one`},
		{"e", nil, "needs a visit"},
		{"e", make([]foresail.NamedVisit, 5000), "5000 visits: 4096 at most"},
		{"e", []foresail.NamedVisit{{Service: "a", Parent: -1, Times: -1}}, "times -1"},
	} {
		if _, _, err := foresail.FormOf(app, c.endpoint, c.visits); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v", c.visits, err)
		}
	}
}
