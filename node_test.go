package foresail_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"foresail.dev"
)

func TestNodeCheck(t *testing.T) {
	for _, tt := range []struct {
		name string
		node foresail.Node
		want string // part of the fault; empty: none
	}{
		{"nothing is limited", foresail.Node{Name: "a"}, ""},
		{"a usual machine", foresail.Node{Name: "a", Cores: 16, Memory: 64 << 30, Cache: 32 << 20, MemoryBandwidth: 50e9, Network: 1.25e9, Disk: 500e6, Disks: 4}, ""},
		{"no name", foresail.Node{Cores: 1}, "no name"},
		{"cores", foresail.Node{Name: "a", Cores: -1}, "node a: -1 cores"},
		{"memory", foresail.Node{Name: "a", Memory: -1}, "memory and cache"},
		{"cache", foresail.Node{Name: "a", Cache: -1}, "memory and cache"},
		{"no number", foresail.Node{Name: "a", MemoryBandwidth: math.NaN()}, "bytes per second"},
		{"network", foresail.Node{Name: "a", Network: math.Inf(1)}, "bytes per second"},
		{"disk", foresail.Node{Name: "a", Disk: -1}, "bytes per second"},
		{"disks", foresail.Node{Name: "a", Disks: -1}, "-1 disks"},
	} {
		got := ""
		if err := tt.node.Check(); err != nil {
			got = err.Error()
		}
		if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestPlacementNames(t *testing.T) {
	for _, p := range []foresail.Placement{foresail.Spread, foresail.BinPack} {
		var q foresail.Placement
		if err := q.UnmarshalText([]byte(p.String())); err != nil || q != p {
			t.Errorf("%s reads as %s, %v", p, q, err)
		}
	}
	if err := new(foresail.Placement).UnmarshalText([]byte("pack")); err == nil {
		t.Error("accepted a placement that there is not")
	}
}

func TestTotalsCountWhatWasObserved(t *testing.T) {
	s := &foresail.Snapshot{Start: time.Unix(0, 0), End: time.Unix(2, 0), Services: []foresail.ServiceStats{
		{Usage: foresail.Usage{Has: foresail.SignalCPU | foresail.SignalAllocation, CPU: 3}, Allocation: foresail.Allocation{Replicas: 2, CPU: 1.5}},
		{Usage: foresail.Usage{Has: foresail.SignalCPU, CPU: 1}, Allocation: foresail.Allocation{Replicas: 9, CPU: 9}},
		{},
	}}
	if got := s.Totals(); got != (foresail.Totals{Held: true, Cores: 3, Replicas: 2, Known: true, Used: 2}) {
		t.Errorf("%+v", got)
	}
	if got := (&foresail.Snapshot{Services: s.Services[2:]}).Totals(); got != (foresail.Totals{}) {
		t.Errorf("%+v of nothing observed", got)
	}
}
