package resource_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/fault"
	"foresail.dev/model/diagnose/resource"
	"foresail.dev/plan/plantest"
	"pgregory.net/rapid"
)

func TestNamesComeBack(t *testing.T) {
	for r := resource.CPU; r <= resource.Application; r++ {
		b, _ := r.MarshalText()
		var back resource.Resource
		if err := back.UnmarshalText(b); err != nil || back != r {
			t.Errorf("%v becomes %s becomes %v: %v", r, b, back, err)
		}
	}
	var r resource.Resource
	if err := r.UnmarshalText([]byte("gpu")); err == nil || !strings.Contains(err.Error(), "memory-bandwidth") {
		t.Errorf("gpu: %v", err)
	}
}

func TestNothingToCompare(t *testing.T) {
	c := plantest.Cluster{Application: plantest.App(2)}
	one := []*foresail.Snapshot{c.Step()}
	for _, f := range []func() (resource.Diagnosis, error){
		func() (resource.Diagnosis, error) {
			return resource.Diagnose(c.Application, 0, nil, one, resource.Config{})
		},
		func() (resource.Diagnosis, error) {
			return resource.Diagnose(c.Application, 0, one, nil, resource.Config{})
		},
		func() (resource.Diagnosis, error) {
			return resource.Diagnose(c.Application, 7, one, one, resource.Config{})
		},
		func() (resource.Diagnosis, error) {
			return resource.Diagnose(c.Application, -1, one, one, resource.Config{})
		},
	} {
		if d, err := f(); err == nil {
			t.Errorf("taken: %+v", d)
		}
	}
}

// What was not observed is no evidence: without its signal a resource is never found, and it is said that it can't be.
func TestWithoutASignal(t *testing.T) {
	bp, before, now := play(t, fault.Fault{Kind: fault.CacheContention, Amount: 0.95, Target: fault.Target{Service: "nginx-web-server"}}, 3)
	id := service(t, bp, "nginx-web-server")
	hide := func(parts []*foresail.Snapshot, hidden foresail.Signals) (out []*foresail.Snapshot) {
		for _, p := range parts {
			q := *p
			q.Services = slices.Clone(p.Services)
			for i := range q.Services {
				q.Services[i].Has &^= hidden
			}
			out = append(out, &q)
		}
		return out
	}
	d, err := resource.Diagnose(bp.App, id, before, hide(now, foresail.SignalCacheMisses), resource.Config{})
	if err != nil || len(d.Findings) == 0 || d.Findings[0].Resource != resource.Application || !strings.Contains(strings.Join(d.Unavailable, " "), "cache-misses") {
		t.Errorf("without counters: %+v, %v", d, err)
	}
	if d, err = resource.Diagnose(bp.App, id, hide(before, foresail.SignalsAll), now, resource.Config{}); err != nil || len(d.Findings) > 0 || len(d.Unavailable) < 5 {
		t.Errorf("nothing was observed before: %+v, %v", d, err)
	}
}

// Nothing hangs on how time is cut, on names, or on chance: merged snapshots say the same, and whatever plantest's services do, shares
// lie within 0 and 1 and the worst comes first.
func TestFindingsAreInOrder(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		demand := rapid.SliceOfN(rapid.Float64Range(0, 4), 4, 4).Draw(r, "demand")
		hidden := foresail.Signals(rapid.Uint32().Draw(r, "hidden"))
		c := &plantest.Cluster{Application: plantest.App(2), Hidden: func(time.Duration) foresail.Signals { return hidden },
			Demand: func(id foresail.ServiceID, at time.Duration) float64 { return demand[2*int(id)+int(at/time.Second)%2] }}
		var parts []*foresail.Snapshot
		for range 20 {
			parts = append(parts, c.Step())
		}
		for id := range foresail.ServiceID(2) {
			d, err := resource.Diagnose(c.Application, id, parts[:10], parts[10:], resource.Config{})
			if err != nil {
				r.Fatal(err)
			}
			merged, err := resource.Diagnose(c.Application, id, []*foresail.Snapshot{foresail.Merge(parts[:10]...)}, []*foresail.Snapshot{foresail.Merge(parts[10:]...)}, resource.Config{})
			if a, b := text(d), text(merged); err != nil || a != b {
				r.Fatalf("%s\nmerged:\n%s\n%v", a, b, err)
			}
			for i, f := range d.Findings {
				if !(f.Share > 0 && f.Share <= 1) || i > 0 && f.Share > d.Findings[i-1].Share || f.Evidence == "" || f.Action == "" {
					r.Fatalf("%+v", d.Findings)
				}
			}
			if short := demand[2*id+1] > 2 && demand[2*id] <= 1; short && hidden&(foresail.SignalThrottled|foresail.SignalReady) == 0 && (len(d.Findings) == 0 || d.Findings[0].Resource != resource.CPU) {
				r.Fatalf("it uses %v of the one core it has, and %v before: %+v", demand[2*id+1], demand[2*id], d)
			}
		}
	})
}

func text(d resource.Diagnosis) string {
	b, _ := json.Marshal(d)
	return string(b)
}

// Where a machine has no counters, what gauges of the service's nodes felt takes their place; where it has some, or the gauges are
// elsewhere or felt next to nothing, it does not.
func TestGaugesStandInForCounters(t *testing.T) {
	bp, before, now := play(t, fault.Fault{Kind: fault.CacheContention, Amount: 0.95, Target: fault.Target{Service: "nginx-web-server"}}, 3)
	id := service(t, bp, "nginx-web-server")
	node := now[0].Services[id].Replicas[0].Node
	blind := func(parts []*foresail.Snapshot) (out []*foresail.Snapshot) {
		for _, p := range parts {
			q := *p
			q.Services = slices.Clone(p.Services)
			for i := range q.Services {
				q.Services[i].Has &^= foresail.SignalCacheMisses
			}
			out = append(out, &q)
		}
		return out
	}
	for _, c := range []struct {
		felt []resource.Felt
		want resource.Resource
	}{
		{nil, resource.Application},
		{[]resource.Felt{{Resource: resource.Cache, Node: node, Rise: 0.6}}, resource.Cache},
		{[]resource.Felt{{Resource: resource.Cache, Node: node, Rise: 0.6}, {Resource: resource.MemoryBandwidth, Node: node, Rise: 0.5}}, resource.MemoryBandwidth},
		{[]resource.Felt{{Resource: resource.Cache, Node: "elsewhere", Rise: 0.6}}, resource.Application},
		{[]resource.Felt{{Resource: resource.Cache, Node: node, Rise: 0.1}}, resource.Application},
		{[]resource.Felt{{Resource: resource.Disk, Node: node, Rise: 5}}, resource.Application},
	} {
		d, err := resource.Diagnose(bp.App, id, blind(before), blind(now), resource.Config{Felt: c.felt})
		if err != nil || len(d.Findings) == 0 || d.Findings[0].Resource != c.want {
			t.Errorf("%+v felt: %+v, %v", c.felt, d, err)
		}
	}
	d, err := resource.Diagnose(bp.App, id, before, now, resource.Config{Felt: []resource.Felt{{Resource: resource.MemoryBandwidth, Node: node, Rise: 9}}})
	if err != nil || len(d.Findings) == 0 || d.Findings[0].Resource != resource.Cache || strings.Contains(d.Findings[0].Evidence, "fixed piece") {
		t.Errorf("with counters: %+v, %v", d, err)
	}
}
