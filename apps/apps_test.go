package apps_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/load"
	"foresail.dev/sketch"
)

// known says of each application how large it is, and at which rates of its natural mix, in requests/s, what it starts
// with and all that its bounds allow still meet its objectives, and all that they allow does not.
var known = map[string]struct {
	services, endpoints      int
	initial, most, overloads float64
}{
	"banking":              {28, 10, 300, 1500, 3000},
	"e-commerce":           {41, 10, 300, 1500, 3000},
	"hotel-reservation":    {15, 4, 1500, 2700, 30000},
	"hotel-reservation-17": {17, 4, 1500, 5000, 30000},
	"media":                {38, 6, 300, 2000, 3500},
	"online-boutique":      {11, 6, 425, 800, 6000},
	"social-network":       {36, 13, 250, 500, 3500},
	"social-network-28":    {28, 3, 250, 600, 1500},
	"train-ticket":         {41, 27, 200, 700, 2000},
}

func read(t *testing.T, name string) *foresail.Blueprint {
	t.Helper()
	bp, err := appfile.ReadApp(name)
	if err != nil {
		t.Fatal(err)
	}
	return bp
}

// Each application has the services and endpoints that its sources count, all of its services can be reached from an
// endpoint, every endpoint has an objective, and no services wait for each other in a ring but those of Train Ticket.
func TestStructure(t *testing.T) {
	if names := appfile.BuiltIn(); len(names) != len(known) {
		t.Errorf("%d applications, %d are known here: %v", len(names), len(known), names)
	}
	for name, want := range known {
		bp := read(t, name)
		if bp.App.Name != name {
			t.Errorf("%s is called %s in its file", name, bp.App.Name)
		}
		if len(bp.Services) != want.services || len(bp.App.Endpoints) != want.endpoints {
			t.Errorf("%s has %d services and %d endpoints, want %d and %d", name, len(bp.Services), len(bp.App.Endpoints), want.services, want.endpoints)
		}
		if rings := len(bp.Cycles); rings != 0 && name != "train-ticket" || rings != 2 && name == "train-ticket" {
			t.Errorf("%s declares %d rings", name, rings)
		}
		reached := map[foresail.Target]bool{}
		var visit func(foresail.Target)
		var follow func([]foresail.Step)
		follow = func(steps []foresail.Step) {
			for _, s := range steps {
				for _, c := range s.Calls {
					if c.Probability > 0 {
						visit(c.Target)
					}
					follow(c.Miss)
				}
			}
		}
		visit = func(to foresail.Target) {
			if !reached[to] {
				reached[to] = true
				follow(bp.Services[to.Service].Operations[to.Operation].Steps)
			}
		}
		for i, to := range bp.Entries {
			visit(to)
			if bp.App.Endpoints[i].Objective == nil {
				t.Errorf("%s: endpoint %s has no objective", name, bp.App.Endpoints[i].Name)
			}
		}
		services := map[foresail.ServiceID]bool{}
		for to := range reached {
			services[to.Service] = true
		}
		for i, s := range bp.App.Services {
			if !services[foresail.ServiceID(i)] {
				t.Errorf("%s: nothing leads to %s", name, s.Name)
			}
		}
	}
}

// The services of Sinan's two applications stand in the order of its models, with its replicas and its most cores.
func TestSinansServices(t *testing.T) {
	for name, tt := range map[string]struct {
		services string
		most     map[string]float64 // cores over replicas, where not usual
		replicas map[string]int     // where not one
		usual    float64
	}{
		"social-network-28": {`compose-post-redis compose-post-service home-timeline-redis home-timeline-service nginx-thrift
post-storage-memcached post-storage-mongodb post-storage-service social-graph-mongodb social-graph-redis social-graph-service
text-service text-filter-service unique-id-service url-shorten-service media-service media-filter-service user-mention-service
user-memcached user-mongodb user-service user-timeline-mongodb user-timeline-redis user-timeline-service
write-home-timeline-service write-home-timeline-rabbitmq write-user-timeline-service write-user-timeline-rabbitmq`,
			map[string]float64{"nginx-thrift": 16, "home-timeline-service": 16, "post-storage-service": 16, "media-service": 2, "media-filter-service": 128},
			map[string]int{"nginx-thrift": 4, "home-timeline-service": 4, "media-service": 4, "media-filter-service": 16}, 4},
		"hotel-reservation-17": {`frontend profile search geo rate recommendation user reservation memcached-rate memcached-profile
memcached-reserve mongodb-geo mongodb-profile mongodb-rate mongodb-recommendation mongodb-reservation mongodb-user`,
			map[string]float64{"frontend": 48, "search": 32, "memcached-rate": 8, "memcached-profile": 8, "memcached-reserve": 8, "mongodb-geo": 32,
				"mongodb-profile": 32, "mongodb-rate": 32, "mongodb-recommendation": 32, "mongodb-reservation": 32, "mongodb-user": 32}, nil, 16},
	} {
		bp := read(t, name)
		var got []string
		for _, s := range bp.App.Services {
			got = append(got, s.Name)
			most, replicas := tt.most[s.Name], max(tt.replicas[s.Name], 1)
			if most == 0 {
				most = tt.usual
			}
			if b := s.Bounds; b.MinReplicas != replicas || b.MaxReplicas != replicas || float64(replicas)*b.MaxCPU != most {
				t.Errorf("%s: %s may have %d to %d replicas and %g cores, Sinan's has %d and %g", name, s.Name, b.MinReplicas, b.MaxReplicas, float64(replicas)*b.MaxCPU, replicas, most)
			}
		}
		if want := strings.Fields(tt.services); !slices.Equal(got, want) {
			t.Errorf("%s has\n%v, Sinan's has\n%v", name, got, want)
		}
	}
}

// Each application has a steady, a diurnal, a ramp and a trace load, all of the same mix; loads from outside data are
// read where the data is.
func TestLoads(t *testing.T) {
	for name := range known {
		bp := read(t, name)
		for _, kind := range []string{"constant", "diurnal", "ramp", "trace"} {
			l := mustLoad(t, filepath.Join("../examples/loads", name, kind+".yaml"), bp)
			if peak := highest(l); l.Name != kind || peak > known[name].most {
				t.Errorf("%s: load %s rises to %g requests/s, at %g all that its bounds allow is known to suffice", name, l.Name, peak, known[name].most)
			}
		}
	}
	users := map[string]string{"hotel-reservation-17/users": "hotel-reservation-17", "sinan-w0": "social-network-28", "sinan-w1": "social-network-28",
		"sinan-w2": "social-network-28", "sinan-w3": "social-network-28"}
	for file, app := range users {
		if l := mustLoad(t, filepath.Join("../examples/loads", file+".yaml"), read(t, app)); l.Mode != load.Closed || l.Level(0) > 4 {
			t.Errorf("%s: %+v", file, l)
		}
	}
	outside, err := filepath.Glob("../examples/loads/outside/*.yaml")
	if err != nil || len(outside) < 6 {
		t.Fatalf("%v: %v", outside, err)
	}
	if _, err := os.Stat("../../shared/data/load"); err != nil {
		t.Skip("no data from outside at ../shared/data/load")
	}
	for _, file := range outside {
		for name := range known {
			rest, ok := strings.CutPrefix(filepath.Base(file), name+"-")
			if !ok || strings.HasPrefix(rest, "17-") || strings.HasPrefix(rest, "28-") {
				continue
			}
			if l := mustLoad(t, file, read(t, name)); l.Name+".yaml" != filepath.Base(file) {
				t.Errorf("%s is called %s", file, l.Name)
			}
		}
	}
}

func mustLoad(t *testing.T, file string, bp *foresail.Blueprint) *load.Load {
	t.Helper()
	l, err := appfile.ReadLoad(file, bp.App)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// highest is a curve's highest level within its first four hours.
func highest(l *load.Load) (peak float64) {
	for at := time.Duration(0); at < 4*time.Hour; at += 15 * time.Second {
		peak = max(peak, l.Level(at))
	}
	return peak
}

// outcome is what users of one endpoint saw.
type outcome struct {
	requests, late float64
	latency        *sketch.Sketch
}

// simulate runs an application for a while after one second that doesn't count.
func simulate(t *testing.T, bp *foresail.Blueprint, mix []load.MixPoint, rate float64, d time.Duration) []outcome {
	t.Helper()
	l := &load.Load{Name: "test", Curve: []load.Segment{{From: rate}}, Mix: mix}
	c, err := sim.New(sim.Config{Blueprint: bp, Load: l, Seed: 1, Duration: d + time.Second})
	if err != nil {
		t.Fatal(err)
	}
	out := make([]outcome, len(bp.App.Endpoints))
	for i := range out {
		out[i].latency = sketch.New()
	}
	for n := 0; ; n++ {
		s, err := c.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if n < 10 {
			continue
		}
		for i := range out {
			out[i].requests += s.Endpoints[i].Requests
			out[i].late += s.Endpoints[i].Late
			out[i].latency.Merge(s.Endpoints[i].Latency)
		}
	}
}

// missed names an endpoint whose objective is missed; empty when all are met.
func missed(bp *foresail.Blueprint, out []outcome) string {
	for i, e := range bp.App.Endpoints {
		if o := e.Objective; out[i].late > out[i].requests*o.Allowed() {
			return e.Name
		}
	}
	return ""
}

// All applications are quick when idle: the p99 of each endpoint is below two fifths of its objective. What they start with meets the
// objectives under a moderate load, all that their bounds allow meets them under the highest load that the examples
// bring, and does not under a far higher one: there is always something to manage.
func TestWhatApplicationsCarry(t *testing.T) {
	for name, rates := range known {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bp := read(t, name)
			mix := mustLoad(t, filepath.Join("../examples/loads", name, "constant.yaml"), bp).Mix
			for i, o := range simulate(t, bp, nil, 4*float64(len(bp.App.Endpoints)), 30*time.Second) {
				e := bp.App.Endpoints[i]
				if p99 := o.latency.Quantile(0.99); !(p99 < 0.4*e.Objective.Latency.Seconds()) {
					t.Errorf("idle, %s has a p99 of %.0f ms: its objective is %s", e.Name, p99*1000, e.Objective)
				}
			}
			if e := missed(bp, simulate(t, bp, mix, rates.initial, 10*time.Second)); e != "" {
				t.Errorf("what it starts with does not carry %g requests/s: %s", rates.initial, e)
			}
			for i := range bp.App.Services {
				bp.App.Services[i].Initial = bp.App.Services[i].Bounds.Max()
			}
			if e := missed(bp, simulate(t, bp, mix, rates.most, 4*time.Second)); e != "" {
				t.Errorf("all that its bounds allow does not carry %g requests/s: %s", rates.most, e)
			}
			if missed(bp, simulate(t, bp, mix, rates.overloads, min(5*time.Second, time.Duration(30_000/rates.overloads+0.5)*time.Second))) == "" {
				t.Errorf("all that its bounds allow still carries %g requests/s: nothing overloads it", rates.overloads)
			}
		})
	}
}
