package snapshotfile

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foresail.dev"
)

var shopApp = &foresail.App{Name: "shop", Services: []foresail.Service{{Name: "web"}, {Name: "stock"}}, Endpoints: []foresail.Endpoint{{Name: "buy"}}}

// What Of writes of counters comes back, and what was not observed stays absent.
func TestSnapshotsComeBack(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	u := foresail.Usage{Has: foresail.SignalReady | foresail.SignalCPU | foresail.SignalThrottled | foresail.SignalMemory | foresail.SignalNetwork | foresail.SignalArrivals,
		Ready: 2, CPU: 0.25, Throttled: 30 * time.Millisecond, Memory: 1 << 20, NetIn: 100, NetOut: 200, Arrivals: 7}
	s := &foresail.Snapshot{Start: at, End: at.Add(foresail.Beat), Services: []foresail.ServiceStats{
		{Usage: u, Allocation: foresail.Allocation{Replicas: 2, CPU: 0.5}, Replicas: []foresail.ReplicaStats{{Name: "web-0", Usage: u}}}, {}}}
	s.Services[0].Has |= foresail.SignalAllocation
	line, err := json.Marshal(Of(shopApp, s))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "snaps.jsonl")
	if err := os.WriteFile(path, append(append(line, '\n'), line...), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path, shopApp)
	if err != nil || len(got) != 2 {
		t.Fatalf("%d snapshots, %v", len(got), err)
	}
	web := got[1].Services[0]
	if !got[1].End.Equal(s.End) || web.Usage != s.Services[0].Usage || web.Replicas[0].Usage != u || web.Allocation.CPU != 0.5 || got[1].Services[1].Has != 0 {
		t.Errorf("got %+v\nwant %+v", got[1].Services, s.Services)
	}
	for _, tt := range []struct{ old, new, want string }{
		{`"web"`, `"wbe"`, `service "wbe" is not one of application shop`},
		{`:0.25`, `:-1`, "cpu_core_seconds is -1"},
		{`:100,`, `:-5,`, "network_in_bytes is -5"},
		{`{`, `[`, "snapshot 1"},
	} {
		if err := os.WriteFile(path, []byte(strings.Replace(string(line), tt.old, tt.new, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path, shopApp); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.new, err, tt.want)
		}
	}
}

// Whatever a line says, what comes of it is finite and not negative.
func FuzzSnapshotLine(f *testing.F) {
	f.Add([]byte(`{"start":"2026-01-01T00:00:00Z","end":"2026-01-01T00:00:01Z","services":{"web":{"cpu_core_seconds":1,"throttled_seconds":0.5,"network_in_bytes":3,"replicas":{"a":{"arrivals":1e308}}}}}`))
	f.Add([]byte(`{"shapes":[{"endpoint":"buy","requests":2,"latency":{"count":1,"sum_seconds":1,"zero":1,"buckets":[[3,1]]},"visits":[{"service":"web","parent":-1,"own":{"buckets":[[1e99,2]]}}]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var l Line
		if json.Unmarshal(b, &l) != nil {
			return
		}
		s, err := snapshotOf(shopApp, &l)
		if err != nil {
			return
		}
		for _, sv := range s.Services {
			if sv.CPU < 0 || math.IsInf(sv.CPU, 0) || sv.Throttled < 0 || sv.NetIn < 0 || sv.Arrivals < 0 {
				t.Errorf("%+v", sv.Usage)
			}
		}
	})
}
