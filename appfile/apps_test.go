package appfile

import (
	"slices"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/apps"
)

// mixes are the shares of endpoints that the load generators of the sources use.
var mixes = map[string]map[string]float64{
	"hotel-reservation": {"search": 600, "recommend": 390, "user": 5, "reserve": 5},
	"online-boutique":   {"index": 61, "product": 232, "view-cart": 100, "add-to-cart": 50, "set-currency": 36, "checkout": 18},
	"social-network":    {"compose-post": 5, "read-home-timeline": 80, "read-user-timeline": 15},
}

// need is the mean cores (or disks) that each service uses, by the file's demands, at a rate of requests over a mix.
func need(bp *foresail.Blueprint, mix map[string]float64, rate float64, of func(foresail.Demand) foresail.Dist) []float64 {
	f, cores, all := newFlow(bp), make([]float64, len(bp.Services)), 0.0
	for _, v := range mix {
		all += v
	}
	for e, t := range bp.Entries {
		visits := f.visits(f.base[t.Service] + t.Operation)
		for s := range bp.Services {
			for o, op := range bp.Services[s].Operations {
				cores[s] += rate * mix[bp.App.Endpoints[e].Name] / all * visits[f.base[s]+o] * work(op.Steps, of)
			}
		}
	}
	return cores
}

// work is the mean seconds of one run of steps.
func work(steps []foresail.Step, of func(foresail.Demand) foresail.Dist) float64 {
	sum := 0.0
	for _, s := range steps {
		sum += of(s.Work).Mean
		for _, c := range s.Calls {
			sum += c.Probability * float64(c.Repeat) * (1 - c.Hit) * work(c.Miss, of)
		}
	}
	return sum
}

func cpuOf(d foresail.Demand) foresail.Dist  { return d.CPU }
func diskOf(d foresail.Demand) foresail.Dist { return d.IO }

// sum adds up.
func sum(v []float64) (s float64) {
	for _, x := range v {
		s += x
	}
	return s
}

// The built-in applications need a few cores at their lowest load and some tens at most at their highest; what they
// start with carries the middle, and not the peak, so that there is something to manage; their bounds carry the peak.
func TestBuiltInApplicationsFitTheirLoads(t *testing.T) {
	for _, tt := range []struct {
		name      string
		services  int
		low, high float64 // requests/s
	}{
		{"hotel-reservation", 15, 300, 2700},
		{"online-boutique", 11, 50, 800},
		{"social-network", 36, 50, 450},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bp, err := ReadApp(tt.name)
			if err != nil {
				t.Fatal(err)
			}
			if got := len(bp.App.Services); got != tt.services {
				t.Errorf("%d services, want %d", got, tt.services)
			}
			for name := range mixes[tt.name] {
				if _, ok := bp.App.EndpointByName(name); !ok {
					t.Errorf("no endpoint %s", name)
				}
			}
			mix := mixes[tt.name]
			low, middle, high := need(bp, mix, tt.low, cpuOf), need(bp, mix, (tt.low+tt.high)/2, cpuOf), need(bp, mix, tt.high, cpuOf)
			disks := need(bp, mix, tt.high, diskOf)
			if l, h := sum(low), sum(high); l < 0.5 || l > 8 || h < 8 || h > 60 {
				t.Errorf("needs %.1f cores at %g requests/s and %.1f at %g", l, tt.low, h, tt.high)
			}
			overloaded, initial := 0, 0.0
			for i, s := range bp.App.Services {
				has := s.Initial.Cores()
				initial += has
				t.Logf("%-22s needs %5.2f %5.2f %5.2f cores, starts with %s", s.Name, low[i], middle[i], high[i], s.Initial)
				if middle[i] > 0.85*has {
					t.Errorf("%s starts with %.2f cores, but needs %.2f in the middle", s.Name, has, middle[i])
				}
				if high[i] > has {
					overloaded++
				}
				if most := s.Bounds.Max().Cores(); high[i] > 0.7*most {
					t.Errorf("%s may have %.2f cores, but needs %.2f at the peak", s.Name, most, high[i])
				}
				if disks[i] > 0.7*float64(s.Initial.Replicas) {
					t.Errorf("%s keeps %.2f disks busy at the peak, and has %d", s.Name, disks[i], s.Initial.Replicas)
				}
				if m := bp.Services[i].BaseMemory; m < 16<<20 || m > 64<<20 {
					t.Errorf("%s holds %d bytes when idle: too many for a small machine, or too few to be real", s.Name, m)
				}
			}
			t.Logf("in all: needs %.1f %.1f %.1f cores, starts with %.1f", sum(low), sum(middle), sum(high), initial)
			if overloaded == 0 {
				t.Error("what it starts with carries the peak: nothing to manage")
			}
			for _, e := range bp.App.Endpoints {
				if e.Objective != nil && e.Objective.Latency < 50*time.Millisecond {
					t.Errorf("endpoint %s: objective %s is tighter than any source", e.Name, e.Objective)
				}
			}
		})
	}
}

// Of Hotel Reservation no source gives any demand, and of Social Network only those of the compose endpoint's traces:
// every other operation says that it is assumed, by itself, its service or its kind.
func TestInventedDemandsAreMarked(t *testing.T) {
	traced := map[string]bool{}
	for _, name := range []string{"nginx-web-server.compose-post", "compose-post-service.ComposePost", "text-service.ComposeText",
		"user-mention-service.ComposeUserMentions", "url-shorten-service.ComposeUrls", "media-service.ComposeMedia",
		"unique-id-service.ComposeUniqueId", "user-service.ComposeCreator", "home-timeline-service.WriteHomeTimeline",
		"user-timeline-service.WriteUserTimeline", "post-storage-service.StorePost", "social-graph-service.GetFollowers"} {
		traced[name] = true
	}
	for _, name := range []string{"hotel-reservation", "social-network"} {
		data, err := apps.Files.ReadFile(name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		var f appFile
		if err := Decode(name, data, &f); err != nil {
			t.Fatal(err)
		}
		if len(f.Sources) < 3 {
			t.Errorf("%s names %d sources", name, len(f.Sources))
		}
		for _, s := range f.Services {
			for _, op := range s.Value.Operations {
				of := slices.DeleteFunc(slices.Clone(op.Value.Assumed.Fields), func(f string) bool { return f == "request" || f == "response" })
				marked := s.Value.Assumed.All || op.Value.Assumed.All || len(of) > 0
				if full := s.Key + "." + op.Key; marked == traced[full] && name == "social-network" || name == "hotel-reservation" && !marked {
					t.Errorf("%s: %s is marked assumed: %v", name, full, marked)
				}
			}
		}
	}
}

// The sizes of all messages of the built-in applications are known, so that their network is observed; and as no source
// gives any, each is marked as assumed.
func TestMessageSizesAreKnownAndMarked(t *testing.T) {
	for _, name := range BuiltIn() {
		bp, err := ReadApp(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range bp.Services {
			for _, op := range s.Operations {
				if op.Request == 0 || op.Response == 0 {
					t.Errorf("%s: %s.%s: messages of %d and %d bytes", name, bp.App.Services[i].Name, op.Name, op.Request, op.Response)
				}
			}
		}
		data, err := apps.Files.ReadFile(name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		var f appFile
		if err := Decode(name, data, &f); err != nil {
			t.Fatal(err)
		}
		marked := func(where string, m messages, marks ...assumed) {
			for field, size := range map[string]*Bytes{"request": m.Request, "response": m.Response} {
				if size != nil && !slices.Contains(f.Assumed.Fields, "services") && !slices.ContainsFunc(marks, func(a assumed) bool { return a.All || slices.Contains(a.Fields, field) }) {
					t.Errorf("%s: %s.%s is not marked as assumed", name, where, field)
				}
			}
		}
		for _, part := range []string{"defaults", "kinds"} { // as a whole
			if !slices.Contains(f.Assumed.Fields, part) {
				t.Errorf("%s: %s are not marked as assumed", name, part)
			}
		}
		for _, s := range f.Services {
			marked(s.Key, s.Value.messages, s.Value.Assumed)
			for _, op := range s.Value.Operations {
				marked(s.Key+"."+op.Key, op.Value.messages, s.Value.Assumed, op.Value.Assumed)
			}
		}
	}
}
