package main

import (
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cmd/foresail/snapshotfile"
	"foresail.dev/cmd/foresail/summary"
)

// A summary and the lines of snapshot files follow an application that grows in mid-run.
func TestASummaryFollowsAGrowingApplication(t *testing.T) {
	objective := &foresail.Objective{Percentile: 99, Latency: time.Second, MinRequests: 1}
	small := &foresail.App{Name: "shop", Services: []foresail.Service{{Name: "front"}}, Endpoints: []foresail.Endpoint{{Name: "home", Objective: objective}}}
	large := &foresail.App{Name: "shop", Generation: 1, Services: []foresail.Service{{Name: "front"}, {Name: "till"}},
		Endpoints: []foresail.Endpoint{{Name: "home", Gone: true}, {Name: "pay", Objective: objective}}}
	sum := summary.New(small, 0)
	for i, app := range []*foresail.App{small, large, large} {
		s := &foresail.Snapshot{Start: epoch.Add(time.Duration(i) * time.Second), End: epoch.Add(time.Duration(i+1) * time.Second), Has: foresail.SignalEndpoints,
			Services: make([]foresail.ServiceStats, len(app.Services)), Endpoints: make([]foresail.EndpointStats, len(app.Endpoints)),
			Edges: []foresail.EdgeStats{{To: foresail.ServiceID(len(app.Services) - 1), Calls: 1}}}
		s.Endpoints[len(s.Endpoints)-1].Requests = 5
		h := foresail.NewHistory(app, foresail.Needs{})
		h.Add(s)
		sum.Events().Observed(h, s)
		if l := snapshotfile.Of(h.App(), s); len(l.Services) != len(app.Services) || l.Edges[0].To != app.Services[len(app.Services)-1].Name {
			t.Errorf("%+v", l)
		}
	}
	rows := sum.Rows()
	if len(rows) != 2 || rows[0].Requests != 5 || rows[1].Endpoint != "pay" || rows[1].Requests != 10 {
		t.Errorf("%+v", rows)
	}
}
