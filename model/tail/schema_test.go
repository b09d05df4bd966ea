package tail_test

import (
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/model/tail"
)

func shop() *foresail.App {
	bounds := foresail.Bounds{MinReplicas: 2, MaxReplicas: 4, MinCPU: 0.5, MaxCPU: 2}
	return &foresail.App{Name: "shop",
		Services: []foresail.Service{{Name: "front", Bounds: bounds}, {Name: "cart", Bounds: bounds}},
		Endpoints: []foresail.Endpoint{{Name: "buy", Objective: &foresail.Objective{Percentile: 99, Latency: 200 * time.Millisecond}},
			{Name: "look", Objective: &foresail.Objective{Percentile: 99, Latency: 400 * time.Millisecond}}}}
}

func TestSchemaOf(t *testing.T) {
	app := shop()
	app.Services[1] = foresail.Service{Name: "cart", Gone: true}
	s := tail.SchemaOf(app)
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	if s.Min[0] != 1 || s.Max[0] != 8 || s.Max[1] != 0 || s.Reference != 200 {
		t.Errorf("got %+v: front has 1 to 8 cores, cart none, and the least objective is 200 ms", s)
	}
}

// What differs is told.
func TestSchemaDiffers(t *testing.T) {
	for _, c := range []struct {
		change func(a *foresail.App)
		want   string
	}{
		{func(*foresail.App) {}, ""},
		{func(a *foresail.App) { a.Services[0].Bounds.MaxCPU = 9 }, ""},
		{func(a *foresail.App) { a.Name = "bank" }, `application "bank"`},
		{func(a *foresail.App) { a.Services[1].Name = "basket" }, `service "basket" is not in this one`},
		{func(a *foresail.App) { a.Services = a.Services[:1] }, `service "cart" is new in this one`},
		{func(a *foresail.App) { a.Services[0], a.Services[1] = a.Services[1], a.Services[0] }, "another order"},
		{func(a *foresail.App) { a.Services[1] = foresail.Service{Name: "cart", Gone: true} }, "gone"},
		{func(a *foresail.App) { a.Endpoints[0].Objective.Latency++ }, "objectives"},
		{func(a *foresail.App) { a.Endpoints[0].Name = "sell" }, `endpoint "sell"`},
	} {
		app := shop()
		c.change(app)
		have, want := tail.SchemaOf(app), tail.SchemaOf(shop())
		err := have.Differs(&want)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}
