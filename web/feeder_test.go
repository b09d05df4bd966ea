package web_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"foresail.dev"
	"foresail.dev/loop"
	"foresail.dev/sketch"
)

// feeder plays a loop over an application with the structure of Social Network: what the page is fed in its tests. Its
// queueing is one formula; the simulator is tested elsewhere.
type feeder struct {
	app    *foresail.App
	h      *foresail.History
	events []loop.Events
	calls  [][]call // by ServiceID
	cost   []float64
	alloc  []foresail.Allocation
	now    time.Time
	level  float64
	rng    *rand.Rand
	silent bool // the next beats are stale
}

type call struct {
	to   int
	rate float64
}

var network = []struct {
	name  string
	cost  float64 // core-seconds per call
	calls string
}{
	{"nginx-thrift", 0.0004, "compose-post:.1 home-timeline:.6 user-timeline:.3"},
	{"compose-post", 0.002, "text:1 media:.4 unique-id:1 user:1 post-storage:1 user-timeline:1 write-home-timeline:1"},
	{"home-timeline", 0.0009, "home-timeline-redis:1 post-storage:1 social-graph:.1"},
	{"user-timeline", 0.0009, "user-timeline-redis:1 user-timeline-mongodb:.4 post-storage:1"},
	{"text", 0.0022, "url-shorten:.5 user-mention:.6"},
	{"media", 0.0012, "media-memcached:1 media-mongodb:.2"},
	{"unique-id", 0.0002, ""},
	{"user", 0.0008, "user-memcached:1 user-mongodb:.2"},
	{"post-storage", 0.0011, "post-storage-memcached:1 post-storage-mongodb:.3"},
	{"write-home-timeline", 0.0014, "social-graph:1 home-timeline-redis:4 write-home-rabbitmq:1"},
	{"social-graph", 0.0009, "social-graph-redis:1 social-graph-mongodb:.25 user:.2"},
	{"url-shorten", 0.0010, "url-shorten-memcached:1 url-shorten-mongodb:.5"},
	{"user-mention", 0.0009, "user-memcached:1 user-mongodb:.3"},
	{"home-timeline-redis", 0.0002, ""}, {"user-timeline-redis", 0.0002, ""}, {"user-timeline-mongodb", 0.0007, ""},
	{"media-memcached", 0.0001, ""}, {"media-mongodb", 0.0008, ""}, {"user-memcached", 0.0001, ""},
	{"user-mongodb", 0.0007, ""}, {"post-storage-memcached", 0.0001, ""}, {"post-storage-mongodb", 0.0009, ""},
	{"write-home-rabbitmq", 0.0002, ""}, {"social-graph-redis", 0.0002, ""}, {"social-graph-mongodb", 0.0008, ""},
	{"url-shorten-memcached", 0.0001, ""}, {"url-shorten-mongodb", 0.0007, ""},
	{"media-frontend", 0.0003, "media:1 media-filter:1"}, {"media-filter", 0.004, "video-filter:.3 photo-filter:.7"},
	{"video-filter", 0.003, ""}, {"photo-filter", 0.002, ""},
	{"search", 0.0011, "index-0:1 index-1:1 index-2:1"}, {"index-0", 0.0015, ""}, {"index-1", 0.0015, ""},
	{"index-2", 0.0015, ""}, {"ads", 0.001, "user:.3"},
}

var entries = []struct {
	name  string
	entry int
	rate  float64
	slo   time.Duration
}{
	{"read-home-timeline", 0, 420, 100 * time.Millisecond},
	{"upload-media", 27, 25, 200 * time.Millisecond},
	{"search", 31, 90, 60 * time.Millisecond},
	{"show-ads", 35, 60, 0},
}

func newFeeder() *feeder {
	f := &feeder{app: &foresail.App{Name: "social-network"}, now: time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC), level: 1, rng: rand.New(rand.NewPCG(1, 2))}
	ids := map[string]int{}
	for i, s := range network {
		ids[s.name] = i
	}
	for _, s := range network {
		var cs []call
		for rest := s.calls; rest != ""; {
			var word string
			word, rest = cutWord(rest)
			var name string
			var rate float64
			for k := range word {
				if word[k] == ':' {
					name = word[:k]
					fmt.Sscan(word[k+1:], &rate)
				}
			}
			cs = append(cs, call{ids[name], rate})
		}
		f.calls = append(f.calls, cs)
		f.cost = append(f.cost, 4*s.cost)
	}
	for i, r := range f.rates(1) {
		n := max(int(math.Ceil(r*f.cost[i]/0.5/0.55)), 1)
		f.alloc = append(f.alloc, foresail.Allocation{Replicas: n, CPU: 0.5})
		f.app.Services = append(f.app.Services, foresail.Service{Name: network[i].name, Initial: foresail.Allocation{Replicas: n + 1, CPU: 0.5},
			Bounds: foresail.Bounds{MinReplicas: 1, MaxReplicas: 24, MinCPU: 0.1, MaxCPU: 2}})
	}
	for _, e := range entries {
		ep := foresail.Endpoint{Name: e.name, Entry: foresail.ServiceID(e.entry), Operation: "/" + e.name}
		if e.slo > 0 {
			ep.Objective = &foresail.Objective{Percentile: 99, Latency: e.slo, MinRequests: 20}
		}
		f.app.Endpoints = append(f.app.Endpoints, ep)
	}
	f.h = foresail.NewHistory(f.app, foresail.Needs{})
	return f
}

func cutWord(s string) (word, rest string) {
	for i := range s {
		if s[i] == ' ' {
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// beat makes the next snapshot and tells it.
func (f *feeder) beat() {
	d := foresail.Beat
	s := &foresail.Snapshot{Start: f.now, End: f.now.Add(d)}
	f.now = s.End
	if f.silent {
		s.Stale = true
	} else {
		f.fill(s, d.Seconds())
	}
	f.h.Add(s)
	for _, e := range f.events {
		if e.Observed != nil {
			e.Observed(f.h, s)
		}
	}
}

// rates are the calls per second of each service at a level of load.
func (f *feeder) rates(level float64) []float64 {
	rates := make([]float64, len(f.calls))
	var visit func(i int, rate float64)
	visit = func(i int, rate float64) {
		rates[i] += rate
		for _, c := range f.calls[i] {
			visit(c.to, rate*c.rate)
		}
	}
	for _, e := range entries {
		visit(e.entry, e.rate*level)
	}
	return rates
}

func (f *feeder) fill(s *foresail.Snapshot, sec float64) {
	s.Has = foresail.SignalEdges | foresail.SignalEndpoints
	s.Services = make([]foresail.ServiceStats, len(f.app.Services))
	wave := 1 + 0.15*math.Sin(float64(f.now.Unix())/40) + 0.06*f.rng.NormFloat64()
	rates := f.rates(f.level * wave)
	own := make([]float64, len(rates)) // seconds
	for i, r := range rates {
		a := f.alloc[i]
		rho := min(r*f.cost[i]/a.Cores(), 0.985)
		own[i] = network[i].cost * 2 / (1 - rho)
		n := r * sec
		lat := sketch.New()
		for range 12 {
			lat.AddN(own[i]*(0.3+f.rng.ExpFloat64()), n/12)
		}
		s.Services[i] = foresail.ServiceStats{Allocation: a, Usage: foresail.Usage{
			Has: foresail.SignalsAll &^ (foresail.SignalEdges | foresail.SignalEndpoints), Ready: a.Replicas, CPU: rho * a.Cores() * sec,
			Throttled: time.Duration(max(rho-0.7, 0) * 0.5 * sec * float64(time.Second)), Memory: 90 << 20, Arrivals: n, Completions: n,
			InFlight: foresail.Gauge{Last: r * own[i], Mean: r * own[i], Max: 2 * r * own[i]}, Latency: lat}}
		for _, c := range f.calls[i] {
			s.Edges = append(s.Edges, foresail.EdgeStats{From: foresail.ServiceID(i), To: foresail.ServiceID(c.to), Calls: n * c.rate, Latency: lat})
		}
	}
	s.Edges = foresail.Merge(&foresail.Snapshot{}, &foresail.Snapshot{Edges: s.Edges}).Edges // ordered
	var total func(i int) float64
	total = func(i int) float64 {
		worst := 0.0
		for _, c := range f.calls[i] {
			worst = max(worst, total(c.to))
		}
		return own[i] + worst
	}
	for _, e := range entries {
		st := foresail.EndpointStats{Latency: sketch.New()}
		n := e.rate * f.level * wave * sec
		st.Arrivals, st.Requests = n, n
		for range 40 {
			l := total(e.entry) * (0.4 + f.rng.ExpFloat64()*0.8)
			st.Latency.AddN(l, n/40)
			if e.slo > 0 && l > e.slo.Seconds() {
				st.Late += n / 40
			}
		}
		s.Endpoints = append(s.Endpoints, st)
	}
}

// seconds plays n seconds and decides every fifteenth by utilisation.
func (f *feeder) seconds(n int) {
	for range n * 10 {
		f.beat()
		if f.now.Truncate(15 * time.Second).Equal(f.now) {
			f.decide(&foresail.Plan{Manager: "guard(hpa)"}, true)
		}
	}
}

// decide fills the plan with what a utilisation rule wants, and applies it where apply is set.
func (f *feeder) decide(p *foresail.Plan, apply bool) {
	p.At = f.now
	before := append([]foresail.Allocation(nil), f.alloc...)
	last := f.h.Seconds(1)
	for i := range f.alloc {
		if len(last) == 0 || last[0].Stale {
			break
		}
		util, _ := last[0].Services[i].Utilisation(time.Second)
		want := min(max(int(math.Ceil(float64(f.alloc[i].Replicas)*util/0.5)), 1), 24)
		if math.Abs(util/0.5-1) < 0.1 || want == f.alloc[i].Replicas {
			continue
		}
		to := f.alloc[i]
		to.Replicas = want
		c := foresail.Change{Service: foresail.ServiceID(i), To: to, Reason: foresail.Reason{Rule: "hpa/utilisation",
			Text:       fmt.Sprintf("CPU utilisation was %.0f %% against a target of 50 %%, so %d replicas become %d.", util*100, f.alloc[i].Replicas, want),
			Considered: []string{fmt.Sprintf("keep %d replicas: outside the 10 %% tolerance", f.alloc[i].Replicas)}}}
		if want == 24 {
			c.Reason.Bound = "max replicas"
		}
		p.Changes = append(p.Changes, c)
		if apply {
			f.alloc[i] = to
		}
	}
	mode := loop.Recommend
	if apply {
		mode = loop.Auto
	}
	f.tell(loop.Decision{At: f.now, Mode: mode, Plan: p, Before: before, Applied: apply, Took: 350 * time.Microsecond})
}

func (f *feeder) tell(d loop.Decision) {
	for _, e := range f.events {
		if e.Decided != nil {
			e.Decided(d)
		}
	}
}
