package resource_test

import (
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/fault"
	"foresail.dev/load"
	"foresail.dev/model/diagnose/resource"
)

const second = time.Second

// machine is one as data centres have them.
var machine = foresail.Node{Cores: 24, Memory: 64 << 30, Cache: 32 << 20, MemoryBandwidth: 40e9, Network: 125e6, Disk: 500e6, Disks: 4, Counters: true}

// play simulates the social network on a few nodes, with one fault from half time on, and returns what was observed of both halves.
func play(t *testing.T, f fault.Fault, seed uint64) (bp *foresail.Blueprint, before, now []*foresail.Snapshot) {
	t.Helper()
	bp, err := appfile.ReadApp("social-network")
	if err != nil {
		t.Fatal(err)
	}
	for i := range bp.Services { // as a service that lives in its caches: the mild default suffers from nothing
		bp.Services[i].Interference = &foresail.Interference{Cache: 4 << 20, Bandwidth: 1e9, CacheSensitivity: 2, BandwidthSensitivity: 1}
	}
	mix := make([]float64, len(bp.App.Endpoints))
	for i := range mix {
		mix[i] = 1
	}
	var nodes []foresail.Node
	for _, name := range []string{"n1", "n2", "n3", "n4"} {
		n := machine
		n.Name = name
		nodes = append(nodes, n)
	}
	const half = 20 * second
	s := &fault.Schedule{}
	if f.Target != (fault.Target{}) || f.Kind == fault.LoadSpike {
		f.At, f.For = half, half
		s.Fixed = append(s.Fixed, f)
	}
	c, err := sim.New(sim.Config{Blueprint: bp, Load: &load.Load{Curve: []load.Segment{{From: 300}}, Mix: []load.MixPoint{{Shares: mix}}},
		Seed: seed, Duration: 2 * half, Nodes: nodes, Within: 20 * time.Microsecond, Between: 200 * time.Microsecond, Faults: s})
	if err != nil {
		t.Fatal(err)
	}
	for c2 := 0; c2 < int(2*half/foresail.Beat); c2++ {
		p, err := c.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		switch at := time.Duration(c2) * foresail.Beat; {
		case at > 5*second && at < half:
			before = append(before, p)
		case at >= half+second && at < half+4*second:
			now = append(now, p)
		}
	}
	return bp, before, now
}

func service(t *testing.T, bp *foresail.Blueprint, name string) foresail.ServiceID {
	t.Helper()
	for i := range bp.App.Services {
		if bp.App.Services[i].Name == name {
			return foresail.ServiceID(i)
		}
	}
	t.Fatalf("no service %s", name)
	return 0
}

// trouble is a fault that is felt, and the resource that it takes.
type trouble struct {
	fault fault.Fault
	want  resource.Resource
	on    []string // services; nil: those that compute most
}

var troubles = []trouble{
	{fault.Fault{Kind: fault.CPUContention, Amount: 0.97}, resource.CPU, nil},
	{fault.Fault{Kind: fault.CacheContention, Amount: 0.95}, resource.Cache, nil},
	{fault.Fault{Kind: fault.MemoryContention, Amount: 0.95}, resource.MemoryBandwidth, nil},
	{fault.Fault{Kind: fault.DiskContention, Amount: 0.95}, resource.Disk, databases},
	{fault.Fault{Kind: fault.SlowDisk, Amount: 30}, resource.Disk, databases},
	{fault.Fault{Kind: fault.PacketLoss, Amount: 0.2}, resource.Network, nil},
	{fault.Fault{Kind: fault.Lock, Length: 40 * time.Millisecond}, resource.Application, nil},
	{fault.Fault{Kind: fault.GCPause, Length: 700 * time.Millisecond, Period: second}, resource.Application, nil},
	{fault.Fault{Kind: fault.BadRelease, Amount: 4}, resource.Application, nil},
}

var (
	busiest   = []string{"nginx-web-server", "home-timeline-service", "user-timeline-service", "post-storage-service", "search-service", "compose-post-service"}
	databases = []string{"post-storage-mongodb", "user-timeline-mongodb"}
)

// Each kind of fault, injected into one service, is named by its resource there: in nine of ten cases and more.
func TestTheResourceIsNamed(t *testing.T) {
	right, all := 0, 0
	for i, c := range troubles {
		on := c.on
		if on == nil {
			on = busiest
		}
		for k, name := range on {
			f := c.fault
			f.Service = name
			bp, before, now := play(t, f, uint64(100*i+k))
			d, err := resource.Diagnose(bp.App, service(t, bp, name), before, now, resource.Config{})
			if err != nil {
				t.Fatal(err)
			}
			if all++; len(d.Findings) > 0 && d.Findings[0].Resource == c.want {
				right++
			} else {
				t.Logf("%v: not %v: %+v", &f, c.want, d)
			}
		}
	}
	t.Logf("%d of %d", right, all)
	if all < 40 || float64(right) < 0.9*float64(all) {
		t.Errorf("%d of %d resources are named", right, all)
	}
}

// Where nothing is wrong nothing is found; where the load is a fifth higher, at most that a quota is used up.
func TestNothingIsWrong(t *testing.T) {
	for _, f := range []fault.Fault{{}, {Kind: fault.LoadSpike, Amount: 1.2}} {
		bp, before, now := play(t, f, 9)
		for id := range bp.App.Services {
			d, err := resource.Diagnose(bp.App, foresail.ServiceID(id), before, now, resource.Config{})
			if err != nil {
				t.Fatal(err)
			}
			if len(d.Findings) > 0 && (f.Kind != fault.LoadSpike || d.Findings[0].Resource != resource.CPU || d.Findings[0].Blame != resource.Limit) {
				t.Errorf("%s: %+v", bp.App.Services[id].Name, d.Findings[0])
			}
		}
	}
}

// Three times the load is too much for what services have: their own limit is to blame, not a neighbour.
func TestTooMuchLoad(t *testing.T) {
	bp, before, now := play(t, fault.Fault{Kind: fault.LoadSpike, Amount: 6}, 9)
	d, err := resource.Diagnose(bp.App, service(t, bp, "nginx-web-server"), before, now, resource.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Findings) == 0 || d.Findings[0].Resource != resource.CPU || d.Findings[0].Blame != resource.Limit {
		t.Errorf("six times the load: %+v", d)
	}
}
