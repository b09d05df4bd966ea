package autothrottle

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/loop"
	"foresail.dev/plan/plantest"
)

func manager(t testing.TB, app *foresail.App, c Config) *Manager {
	t.Helper()
	m, err := New(app, c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func swinging(id foresail.ServiceID, at time.Duration) float64 {
	return 0.5 + float64(id) + 0.4*float64(int(at/(200*time.Millisecond))%5)/5
}

func TestLimitsSettleALittleAboveUsage(t *testing.T) {
	app := plantest.App(2)
	c := &plantest.Cluster{Application: app, Until: 2 * time.Minute, Demand: swinging}
	c.Put(0, foresail.Allocation{Replicas: 2, CPU: 4})
	m := manager(t, app, Config{})
	notes := 0
	if err := loop.Run(context.Background(), c, m, loop.Options{Mode: loop.Auto, Events: loop.Events{Decided: func(d loop.Decision) {
		if d.Err != nil {
			t.Error(d.Err)
		}
		if d.Plan == nil {
			return
		}
		if strings.HasPrefix(d.Plan.Note, "tower: ") {
			notes++
		}
		for _, ch := range d.Plan.Changes {
			if ch.Reason.Rule != "autothrottle/captain" || ch.Reason.Text == "" || len(ch.Reason.Considered) == 0 {
				t.Errorf("%+v", ch)
			}
		}
	}}}); err != nil {
		t.Fatal(err)
	}
	for id, lo := range []float64{0.82, 1.82} { // what is used at most
		if have := c.Have(foresail.ServiceID(id)); have.Cores() < lo*0.95 || have.Cores() > lo*2 {
			t.Errorf("service %d has %v and uses up to %.2f cores", id, have, lo)
		}
	}
	if notes != 2 {
		t.Errorf("the tower said %d things in two minutes", notes)
	}
}

// A limit that one replica may not have is spread over more.
func TestMoreThanAReplicaMayHaveTakesMoreReplicas(t *testing.T) {
	app := plantest.App(1)
	c := &plantest.Cluster{Application: app, Until: time.Minute, Demand: func(foresail.ServiceID, time.Duration) float64 { return 9 }}
	if err := loop.Run(context.Background(), c, manager(t, app, Config{}), loop.Options{Mode: loop.Auto}); err != nil {
		t.Fatal(err)
	}
	if have := c.Have(0); have.Cores() < 9 || have.Replicas < 3 || have.CPU > 4 {
		t.Errorf("%v for a demand of 9 cores", have)
	}
}

// Where another hand or a guard decides, the captain goes on from what there is.
func TestTheCaptainAdoptsWhatOthersDid(t *testing.T) {
	app := plantest.App(1)
	c := &plantest.Cluster{Application: app, Demand: func(foresail.ServiceID, time.Duration) float64 { return 0.5 }}
	m := manager(t, app, Config{})
	h := c.Filled(m.Needs(), 100*time.Millisecond)
	if _, err := m.Decide(h); err != nil {
		t.Fatal(err)
	}
	c.Put(0, foresail.Allocation{Replicas: 3, CPU: 2})
	h.Add(c.Step())
	if _, err := m.Decide(h); err != nil || m.state.Captains[0].Limit != 6 {
		t.Errorf("the limit is %v, want 6 (%v)", m.state.Captains[0].Limit, err)
	}
}

func TestSilenceIsAnError(t *testing.T) {
	app := plantest.App(1)
	c := &plantest.Cluster{Application: app, Silent: func(at time.Duration) bool { return at >= time.Second }}
	m := manager(t, app, Config{})
	if _, err := m.Decide(c.Filled(m.Needs(), 4*time.Second)); !errors.Is(err, foresail.ErrStale) {
		t.Error(err)
	}
}

func TestWhatWasLearntIsCarriedOver(t *testing.T) {
	app := plantest.App(3)
	step := func(m *Manager, h *foresail.History, c *plantest.Cluster, n int) (out []*foresail.Plan) {
		for range n {
			h.Add(c.Step())
			p, err := m.Decide(h)
			if err != nil {
				t.Fatal(err)
			}
			if p != nil {
				_ = c.Apply(context.Background(), p)
			}
			out = append(out, p)
		}
		return out
	}
	world := func() *plantest.Cluster { return &plantest.Cluster{Application: app, Demand: swinging} }
	c := world()
	m := manager(t, app, Config{Seed: 3, Exploration: 0.5})
	h := foresail.NewHistory(app, m.Needs())
	step(m, h, c, 9*600+7)
	b, err := m.Save()
	if err != nil || len(m.state.Tower.Samples) == 0 {
		t.Fatal(err, len(m.state.Tower.Samples))
	}
	again := manager(t, app, Config{Seed: 3, Exploration: 0.5})
	if err := again.Restore(b); err != nil {
		t.Fatal(err)
	}
	for range 1200 { // both see the same
		h.Add(c.Step())
		p, _ := m.Decide(h)
		q, _ := again.Decide(h)
		if !reflect.DeepEqual(p, q) {
			t.Fatalf("%+v\nand %+v", p, q)
		}
	}
	// In another run of the application time begins anew; what was learnt counts on.
	fresh := manager(t, app, Config{Seed: 4})
	if err := fresh.Restore(b); err != nil {
		t.Fatal(err)
	}
	before := len(fresh.state.Tower.Samples)
	step(fresh, foresail.NewHistory(app, m.Needs()), world(), 6*600)
	if got := len(fresh.state.Tower.Samples); got != before+2 { // 6 minutes, of which the first and three more are dropped
		t.Errorf("%d samples, then %d", before, got)
	}
}

func TestRestoringNonsenseIsAnError(t *testing.T) {
	m := manager(t, plantest.App(1), Config{})
	good, _ := m.Save()
	for _, bad := range []string{"{", `{"Captains":[{"Usage":[1]}]}`, `{"Tower":{"Action":81}}`, `{"Tower":{"Samples":[{"Action":-1}]}}`,
		`{"Tower":{"Group":[0],"Centres":[]}}`, `{"Tower":{"Minutes":-1}}`} {
		if m.Restore([]byte(bad)) == nil {
			t.Errorf("%s was restored", bad)
		}
	}
	if now, _ := m.Save(); string(now) != string(good) {
		t.Error("a failed Restore changed the state")
	}
}

func TestEveryFaultOfAConfigIsTold(t *testing.T) {
	_, err := New(plantest.App(1), Config{Factor: -1, Exploration: 2, Training: -1})
	for _, s := range []string{"factor -1", "exploration 2", "training -1"} {
		if err == nil || !strings.Contains(err.Error(), s) {
			t.Errorf("%q is missing in: %v", s, err)
		}
	}
}

// benchstat: go test -bench DecideAutothrottle -count 6 ./plan/autothrottle | tee new.txt; benchstat old.txt new.txt
func BenchmarkDecideAutothrottle(b *testing.B) {
	for _, n := range []int{36, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			app := plantest.App(n)
			c := &plantest.Cluster{Application: app, Demand: swinging}
			m := manager(b, app, Config{})
			h := c.Filled(m.Needs(), 5*time.Second)
			last := plantest.Epoch.Add(5*time.Second - 100*time.Millisecond)
			b.ReportAllocs()
			for b.Loop() {
				m.state.Last = last // one period is new
				if _, err := m.Decide(h); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "services/s")
		})
	}
}

// The tower's decision, with as many samples as it keeps: once a minute.
func BenchmarkDecideTower(b *testing.B) {
	var tw tower
	for i := range keep {
		tw.Samples = append(tw.Samples, sample{RPS: float64(100 + i*7%300), Action: i * 13 % actions, Latency: float64(i%20) / 15, Cores: float64(5 + i%11)})
	}
	b.ReportAllocs()
	for b.Loop() {
		tw.best(200, 1)
	}
}
