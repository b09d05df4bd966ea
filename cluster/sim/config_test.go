package sim_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
)

// Everything that is wrong is told at once.
func TestFaultsOfConfigAndBlueprint(t *testing.T) {
	good := func() *foresail.Blueprint {
		return blueprint(foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 1*ms), calls(call(1)))},
			foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 1*ms))})
	}
	for _, tt := range []struct {
		name   string
		change func(*sim.Config)
		want   []string
	}{
		{"nothing", func(c *sim.Config) { *c = sim.Config{} }, []string{"no blueprint", "no load"}},
		{"times", func(c *sim.Config) {
			c.Start, c.Duration = time.Unix(0, 1), 150*time.Millisecond
		}, []string{"not a whole number of beats", "not on a whole beat"}},
		{"negative", func(c *sim.Config) {
			c.Beat, c.Duration, c.NodeCores, c.DrainLimit = -1, -1, -1, -1
		}, []string{"beat", "duration", "cores", "drain limit"}},
		{"trace share", func(c *sim.Config) { c.TraceShare = math.NaN() }, []string{"trace share NaN"}},
		{"target", func(c *sim.Config) { c.Blueprint.Services[0].Operations[0].Steps[1].Calls[0].Target.Service = 9 },
			[]string{"service a, operation op: calls operation 0 of service 9"}},
		{"entry", func(c *sim.Config) { c.Blueprint.Entries[0].Operation = 3 }, []string{"endpoint GET /: calls operation 3"}},
		{"lengths", func(c *sim.Config) { c.Blueprint.Entries = nil }, []string{"0 entries for 1 endpoints"}},
		{"services", func(c *sim.Config) { c.Blueprint.Services = c.Blueprint.Services[:1] }, []string{"1 services and its application 2"}},
		{"numbers", func(c *sim.Config) {
			c.Blueprint.Services[0].Workers = -1
			c.Blueprint.Services[1].ColdFactor = 0.5
			c.Blueprint.App.Services[1].Initial.CPU = 0
			c.Blueprint.Services[0].Operations[0].Steps[0].Work.CPU.Mean = math.NaN()
			c.Blueprint.Services[0].Operations[0].Steps[1].Calls[0].Probability = 1.5
		}, []string{"service a: workers", "service b: cold factor", "service b: initial allocation: 0 cores", "mean CPU demand NaN", "probability 1.5"}},
	} {
		cfg := sim.Config{Blueprint: good(), Load: constant(1)}
		tt.change(&cfg)
		_, err := sim.New(cfg)
		if err == nil {
			t.Errorf("%s: no error", tt.name)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %q lacks %q", tt.name, err, want)
			}
		}
	}
	if _, err := sim.New(sim.Config{Blueprint: good(), Load: constant(1)}); err != nil {
		t.Errorf("a good configuration: %v", err)
	}
}
