package derm_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/plan/derm"
	"foresail.dev/plan/plantest"
	"foresail.dev/sketch"
)

// script is an application of two services whose call graphs a test tells: each request visits the first, and some the second
// as well, whose own times grow as its containers fill up.
type script struct {
	*plantest.Cluster
	rate func(at time.Duration) float64 // requests a second
	deep func(at time.Duration) float64 // the share that visits the second service
	mute bool                           // no call graphs
}

const (
	visitCPU = 0.004 // core-seconds of a visit
	beat     = time.Second
)

func newScript() *script {
	app := plantest.App(2)
	app.Endpoints = []foresail.Endpoint{{Name: "e", Operation: "do", Objective: &foresail.Objective{Percentile: 99, Latency: 200 * time.Millisecond}}}
	for i := range app.Services {
		b := &app.Services[i].Bounds
		b.MaxReplicas = 60
		app.Services[i].Initial = foresail.Allocation{Replicas: 10, CPU: 0.2}
		b.MinCPU, b.MaxCPU = 0.2, 0.2
	}
	return &script{Cluster: &plantest.Cluster{Application: app, Beat: beat}, rate: func(time.Duration) float64 { return 200 },
		deep: func(time.Duration) float64 { return 0.5 }}
}

// own is the own times of n visits where each container gets so many a second: exponential, above 2 ms.
func own(n, load float64) *sketch.Sketch {
	busy := min(load*visitCPU/0.2, 0.98)
	mean := 0.01 / (1 - busy)
	s := sketch.New()
	for k := range 200 {
		s.AddN(0.002-mean*math.Log(1-(float64(k)+0.5)/200), n/200)
	}
	return s
}

// step is the next second.
func (c *script) step() *foresail.Snapshot {
	at := c.Now()
	s := c.Step()
	rate, deep := c.rate(at), c.deep(at)
	visits := []float64{rate, rate * deep}
	var times []*sketch.Sketch
	for i := range s.Services {
		st := &s.Services[i]
		n := float64(c.Have(foresail.ServiceID(i)).Replicas)
		st.Arrivals, st.Completions = visits[i], visits[i]
		st.CPU = min(visits[i]*visitCPU, 0.2*n)
		st.Replicas = nil
		times = append(times, own(visits[i], visits[i]/n))
	}
	one, _ := foresail.NewForm(0, []foresail.Visit{{Parent: -1, Operation: "do", Times: 1}})
	two, _ := foresail.NewForm(0, []foresail.Visit{{Parent: -1, Operation: "do", Times: 1}, {Service: 1, Operation: "find", Parent: 0, Times: 1}})
	e := foresail.EndpointStats{Arrivals: rate, Requests: rate, Latency: sketch.New()}
	const pieces = 60
	for i := range pieces {
		a := times[0].Quantile((float64(i) + 0.5) / pieces)
		tell := func(t, n float64) {
			if e.Latency.AddN(t, n); t > 0.2 {
				e.Late += n
			}
		}
		tell(a, rate*(1-deep)/pieces)
		for j := range pieces {
			tell(a+times[1].Quantile((float64(j)+0.5)/pieces), rate*deep/pieces/pieces)
		}
	}
	s.Endpoints[0] = e
	if !c.mute {
		s.Has |= foresail.SignalShapes
		s.Shapes = []foresail.ShapeStats{
			{Form: one, Requests: rate * (1 - deep), Own: []*sketch.Sketch{times[0]}},
			{Form: two, Requests: rate * deep, Own: []*sketch.Sketch{times[0], times[1]}}}
	}
	return s
}

// play runs a manager for d, and returns the newest plan that changed something and the longest text of all.
func play(t *testing.T, m foresail.Manager, c *script, h *foresail.History, d time.Duration) (last *foresail.Plan, notes string) {
	t.Helper()
	for end := c.Now() + d; c.Now() < end; {
		h.Add(c.step())
		if c.Now()%(5*time.Second) != 0 {
			continue
		}
		p, err := m.Decide(h)
		if err != nil {
			t.Fatalf("%v: %v", c.Now(), err)
		}
		if p == nil {
			continue
		}
		notes += p.Note + "\n"
		if len(p.Changes) > 0 {
			last = p
			_ = c.Apply(t.Context(), p)
		}
	}
	return last, notes
}

func manager(t *testing.T, c *script, cfg derm.Config) (*derm.Manager, *foresail.History) {
	t.Helper()
	m, err := derm.New(c.Application, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m, foresail.NewHistory(c.Application, m.Needs())
}

// The first minute is scaled on CPU, since nothing else is known; from the second on by percentiles, with less.
func TestFromCPUToPercentiles(t *testing.T) {
	c := newScript()
	c.Put(0, foresail.Allocation{Replicas: 4, CPU: 0.2})
	m, h := manager(t, c, derm.Config{})
	if _, notes := play(t, m, c, h, 55*time.Second); !strings.Contains(notes, "no call graph was observed yet") {
		t.Errorf("%q", notes)
	}
	p, _ := play(t, m, c, h, 4*time.Minute)
	if p == nil || p.Changes[0].Reason.Rule != "derm/percentile" || !strings.Contains(p.Changes[0].Reason.Text, "of e is expected at") || len(p.Changes[0].Reason.Considered) < 2 {
		t.Fatalf("%+v", p)
	}
	// 200 and 100 visits/s of 4 ms of CPU each are 4 and 2 containers' worth.
	if a, b := c.Have(0).Replicas, c.Have(1).Replicas; a < 5 || b < 3 || a+b > 14 {
		t.Errorf("%d and %d replicas", a, b)
	}
	if s := c.step(); s.Endpoints[0].Late > 0.01*s.Endpoints[0].Requests {
		t.Errorf("%v of %v requests are late", s.Endpoints[0].Late, s.Endpoints[0].Requests)
	}
}

// A mix that was there in the newest minutes is held again, before it comes.
func TestMixesOfTheNewestMinutesAreHeld(t *testing.T) {
	c := newScript()
	c.deep = func(at time.Duration) float64 {
		if at >= 2*time.Minute && at < 3*time.Minute {
			return 0.9
		}
		return 0.1
	}
	m, h := manager(t, c, derm.Config{Memory: 5})
	play(t, m, c, h, 5*time.Minute+30*time.Second)
	if n := c.Have(1).Replicas; n < 4 {
		t.Errorf("%d replicas, when nine in ten may visit it again: 180 visits/s take 3.6 of them", n)
	}
	play(t, m, c, h, 6*time.Minute)
	if n := c.Have(1).Replicas; n > 2 {
		t.Errorf("%d replicas, long after one in ten visits it", n)
	}
}

// More visits than were planned for are answered within seconds, and nothing is lowered for it.
func TestASurgeIsAnsweredInMidMinute(t *testing.T) {
	c := newScript()
	c.rate = func(at time.Duration) float64 {
		if at >= 4*time.Minute+20*time.Second {
			return 600
		}
		return 200
	}
	m, h := manager(t, c, derm.Config{})
	play(t, m, c, h, 4*time.Minute+20*time.Second)
	before := c.Have(0).Replicas
	p, _ := play(t, m, c, h, 15*time.Second)
	if p == nil || c.Have(0).Replicas < 13 || c.Have(0).Replicas < 2*before {
		t.Errorf("from %d to %d replicas within 15 s, and 600 visits/s take 12", before, c.Have(0).Replicas)
	}
}

// An objective that is missed raises what its endpoint visits, although no more comes than was planned for.
func TestAMissedObjectiveRaises(t *testing.T) {
	c := newScript()
	m, h := manager(t, c, derm.Config{})
	play(t, m, c, h, 4*time.Minute)
	for range 15 {
		s := c.step()
		s.Endpoints[0].Late = 0.2 * s.Endpoints[0].Requests
		h.Add(s)
	}
	before, err := m.Save()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Decide(h); err != nil {
		t.Fatal(err)
	}
	after, _ := m.Save()
	if string(before) == string(after) || strings.Contains(string(after), `"Boost":1,`) {
		t.Errorf("what was missed changes nothing: %.600s", after)
	}
}

// What was saved goes on as what was not, with call graphs.
func TestRestoredItGoesOn(t *testing.T) {
	c := newScript()
	m, h := manager(t, c, derm.Config{})
	play(t, m, c, h, 3*time.Minute)
	kept, err := m.Save()
	if err != nil {
		t.Fatal(err)
	}
	twin, _ := manager(t, c, derm.Config{})
	if err := twin.Restore(kept); err != nil {
		t.Fatal(err)
	}
	again, err := twin.Save()
	if err != nil || string(again) != string(kept) {
		t.Errorf("what is kept is not what was restored: %v", err)
	}
	for range 60 {
		h.Add(c.step())
	}
	a, err1 := m.Decide(h)
	b, err2 := twin.Decide(h)
	if err1 != nil || err2 != nil || fmt.Sprintf("%+v", a) != fmt.Sprintf("%+v", b) {
		t.Errorf("%+v, %v; restored %+v, %v", a, err1, b, err2)
	}
	for _, bad := range []string{"", "{}", `{"State":{"Minutes":[{"Rate":-1}]}}`, `{"State":{"Ends":[{"Factor":9}]}}`} {
		if err := twin.Restore([]byte(bad)); err == nil {
			t.Errorf("%q was restored", bad)
		}
	}
	if still, _ := twin.Save(); len(still) < len(kept)/2 {
		t.Error("a failed restore forgets what there was")
	}
}

// Call graphs that stop coming are an error before long: the guard's baseline takes over.
func TestCallGraphsThatStop(t *testing.T) {
	c := newScript()
	m, h := manager(t, c, derm.Config{})
	play(t, m, c, h, 2*time.Minute)
	c.mute = true
	var err error
	for i := 0; i < 8*60 && err == nil; i++ {
		h.Add(c.step())
		if i%5 == 4 {
			_, err = m.Decide(h)
		}
	}
	if !errors.Is(err, foresail.ErrStale) {
		t.Errorf("%v", err)
	}
}

func TestEveryFaultOfAConfigIsTold(t *testing.T) {
	_, err := derm.New(plantest.App(1), derm.Config{Confidence: 1, Utilisation: 2, Memory: -1, Unlikely: 1, Margin: math.NaN(), Every: time.Hour, Traces: 3, Budget: -1})
	for _, s := range []string{"confidence 1", "utilisation 2", "memory of -1", "unlikely 1", "margin NaN", "every 1h0m0s", "traces 3", "budget -1"} {
		if err == nil || !strings.Contains(err.Error(), s) {
			t.Errorf("%q is missing in: %v", s, err)
		}
	}
	if _, err := derm.New(nil, derm.Config{}); err == nil {
		t.Error("no application was accepted")
	}
}
