package locate_test

import (
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/fault"
	"foresail.dev/load"
	"foresail.dev/model/diagnose/locate"
	"foresail.dev/model/diagnose/resource"
)

// play simulates Hotel Reservation on two nodes, with a fault from half time on.
func play(t testing.TB, f fault.Fault, seed uint64) (app *foresail.App, before, now []*foresail.Snapshot) {
	t.Helper()
	bp, err := appfile.ReadApp("hotel-reservation")
	if err != nil {
		t.Fatal(err)
	}
	mix := make([]float64, len(bp.App.Endpoints))
	for i := range mix {
		mix[i] = 1
	}
	const half = 20 * time.Second
	s := &fault.Schedule{}
	if f.Service != "" {
		f.At, f.For = half, half
		s.Fixed = append(s.Fixed, f)
	}
	node := foresail.Node{Cores: 24, Memory: 64 << 30, Cache: 32 << 20, MemoryBandwidth: 40e9, Network: 125e6, Disk: 500e6, Disks: 4, Counters: true}
	a, b := node, node
	a.Name, b.Name = "n1", "n2"
	c, err := sim.New(sim.Config{Blueprint: bp, Load: &load.Load{Curve: []load.Segment{{From: 200}}, Mix: []load.MixPoint{{Shares: mix}}},
		Seed: seed, Duration: 2 * half, Nodes: []foresail.Node{a, b}, Within: 20 * time.Microsecond, Between: 200 * time.Microsecond, Faults: s})
	if err != nil {
		t.Fatal(err)
	}
	for at := time.Duration(0); at < 2*half; at += foresail.Beat {
		p, err := c.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case at > 5*time.Second && at < half:
			before = append(before, p)
		case at >= half+time.Second && at < half+6*time.Second:
			now = append(now, p)
		}
	}
	return bp.App, before, now
}

// A fault in one service is located there, and named.
func TestWhoAndForWantOfWhat(t *testing.T) {
	for i, c := range []struct {
		fault fault.Fault
		on    string
		want  resource.Resource
	}{
		{fault.Fault{Kind: fault.BadRelease, Amount: 4}, "recommendation", resource.Application},
		{fault.Fault{Kind: fault.Lock, Length: 40 * time.Millisecond}, "geo", resource.Application},
		{fault.Fault{Kind: fault.GCPause, Length: 700 * time.Millisecond, Period: time.Second}, "profile", resource.Application},
		{fault.Fault{Kind: fault.SlowDisk, Amount: 30}, "mongodb-reservation", resource.Disk},
	} {
		c.fault.Service = c.on
		app, before, now := play(t, c.fault, uint64(i+1))
		found, err := locate.Find(app, before, now, locate.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 0 || len(found) > 3 || app.Services[found[0].Service].Name != c.on {
			t.Errorf("%v: suspects are %+v", &c.fault, found)
			continue
		}
		d := found[0].Diagnosis
		if len(d.Findings) == 0 || d.Findings[0].Resource != c.want || len(found[0].Signs) == 0 {
			t.Errorf("%v: not %v: %+v", &c.fault, c.want, d)
		}
	}
}

// Where nothing is wrong nothing holds anybody up, however suspicious chance makes a service.
func TestNothingIsWrong(t *testing.T) {
	app, before, now := play(t, fault.Fault{}, 9)
	found, err := locate.Find(app, before, now, locate.Config{Few: len(app.Services)})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range found {
		if len(s.Diagnosis.Findings) > 0 {
			t.Errorf("%s: %+v", app.Services[s.Service].Name, s.Diagnosis)
		}
	}
}

func TestNothingToCompare(t *testing.T) {
	app, before, _ := play(t, fault.Fault{}, 1)
	for _, now := range [][]*foresail.Snapshot{nil, before[:3], {{Stale: true, Start: before[0].Start, End: before[9].End}}} {
		if found, err := locate.Find(app, before, now, locate.Config{}); err == nil {
			t.Errorf("from %d snapshots: %+v", len(now), found)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	app, before, now := play(b, fault.Fault{}, 1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := locate.Find(app, before, now, locate.Config{}); err != nil {
			b.Fatal(err)
		}
	}
}
