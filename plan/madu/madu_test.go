package madu

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/model/forecast"
	"foresail.dev/plan/plantest"
)

// told is a method whose forecasts are given: the same mean and scale for each step, by how many minutes were seen.
type told func(history forecast.Series, k int) (mean, scale float64)

func (told) Name() string { return "told" }
func (f told) Train(forecast.Series, forecast.Options) (forecast.Forecaster, error) {
	return f, nil
}
func (f told) Forecast(h forecast.Series, m int) (forecast.Forecast, error) {
	out := forecast.New(h, m, nil)
	for k := range m {
		out.Mean[k], out.Scale[k] = f(h, k)
	}
	return out, nil
}

func flat(mean, scale float64) told {
	return func(forecast.Series, int) (float64, float64) { return mean, scale }
}

func manager(t testing.TB, app *foresail.App, c Config) *Manager {
	t.Helper()
	m, err := New(app, c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// play lets a manager rule for d, deciding as often as it wants to, and returns the last plan that changed anything.
func play(t testing.TB, m *Manager, c *plantest.Cluster, h *foresail.History, d time.Duration) (last *foresail.Plan) {
	t.Helper()
	for end := c.Now() + d; c.Now() < end; {
		h.SetApp(c.Application)
		h.Add(c.Step())
		if c.Now()%m.Needs().Every != 0 {
			continue
		}
		p, err := m.Decide(h)
		if err != nil {
			t.Fatal(err)
		}
		if p != nil && len(p.Changes) > 0 {
			last = p
			_ = c.Apply(t.Context(), p)
		}
	}
	return last
}

// In plantest a call takes 10 ms of CPU. 12,000 calls a minute are 2 cores; at 50 % of replicas of one core that takes 4.
func TestContainersForTheCallsForecast(t *testing.T) {
	for _, tt := range []struct {
		mean, scale float64
		want        int
	}{{12000, 0, 4}, {12000, 3000, 5}, {12001, 0, 5}, {100, 10, 1}, {0, 0, 1}, {1e9, 0, 20}} {
		app := plantest.App(1)
		m := manager(t, app, Config{Method: flat(tt.mean, tt.scale), Rho: -1})
		c := &plantest.Cluster{Application: app, Beat: time.Second, Demand: func(foresail.ServiceID, time.Duration) float64 { return 0.6 }}
		p := play(t, m, c, foresail.NewHistory(app, m.Needs()), 3*time.Minute)
		if got := c.Have(0).Replicas; got != tt.want {
			t.Errorf("%v ± %v calls a minute: %d replicas, want %d", tt.mean, tt.scale, got, tt.want)
		}
		if tt.want == 5 && tt.scale > 0 {
			r := p.Changes[0].Reason
			if want := "15000 calls in minute 1 ahead, mean + 1 sigma by told: at most 50 % of 1.000 cores each, that takes 5 replicas (CPU)"; r.Text != want || r.Rule != "madu/forecast" {
				t.Errorf("%q, want %q", r.Text, want)
			}
		}
	}
}

// A minute that needs more than the one before is provided for before it begins, and not sooner; one that needs less, when
// it begins.
func TestWhatStartsIsAskedForInAdvance(t *testing.T) {
	app := plantest.App(1)
	at := func(h forecast.Series, k int) (float64, float64) { // every third minute a surge
		if h.At(len(h.Values)+k).Minute()%3 == 0 {
			return 30000, 0
		}
		return 6000, 0
	}
	m := manager(t, app, Config{Method: told(at), Rho: -1})
	c := &plantest.Cluster{Application: app, Beat: time.Second, Demand: func(foresail.ServiceID, time.Duration) float64 { return 0.4 }}
	h := foresail.NewHistory(app, m.Needs())
	play(t, m, c, h, 5*time.Minute+45*time.Second)
	if n := c.Have(0).Replicas; n != 2 {
		t.Errorf("%d replicas 15 s before the surge, want 2", n)
	}
	play(t, m, c, h, 10*time.Second)
	if n := c.Have(0).Replicas; n != 10 {
		t.Errorf("%d replicas 5 s before the surge, want 10", n)
	}
	play(t, m, c, h, 60*time.Second)
	if n := c.Have(0).Replicas; n != 10 {
		t.Errorf("%d replicas in the surge, want 10", n)
	}
	play(t, m, c, h, 10*time.Second)
	if n := c.Have(0).Replicas; n != 2 {
		t.Errorf("%d replicas after the surge, want 2", n)
	}
}

// Smoothing rises evenly towards a peak within what eq 14 leaves, and holds its numbers through a dip.
func TestSmoothing(t *testing.T) {
	app := plantest.App(1)
	needs := []float64{10, 9, 10, 9, 10}
	m := manager(t, app, Config{Method: told(func(_ forecast.Series, k int) (float64, float64) { return needs[k] * 3000, 0 })})
	c := &plantest.Cluster{Application: app, Beat: time.Second, Demand: func(foresail.ServiceID, time.Duration) float64 { return 0.4 }}
	play(t, m, c, foresail.NewHistory(app, m.Needs()), time.Minute)
	if got := m.state.Services[0].Plan; !reflect.DeepEqual(got, []int{10, 10, 10, 10, 10}) {
		t.Errorf("%v: the dips lie within 20 %%", got)
	}
}

func TestAServiceNobodyCallsKeepsOneReplica(t *testing.T) {
	app := plantest.App(2)
	m := manager(t, app, Config{Forecaster: "last-value"})
	c := &plantest.Cluster{Application: app, Beat: time.Second, Demand: func(id foresail.ServiceID, _ time.Duration) float64 { return float64(id) }}
	c.Put(0, foresail.Allocation{Replicas: 3, CPU: 1})
	play(t, m, c, foresail.NewHistory(app, m.Needs()), 5*time.Minute)
	if a, b := c.Have(0).Replicas, c.Have(1).Replicas; a != 1 || b < 2 {
		t.Errorf("%d replicas without a call, %d with 6000 a minute", a, b)
	}
}

// What is not observed is not zero: a service whose calls or whose CPU are hidden keeps what it has, and its series gaps.
func TestWhatIsMissingIsNotZero(t *testing.T) {
	for _, hidden := range []foresail.Signals{foresail.SignalArrivals, foresail.SignalCPU} {
		app := plantest.App(1)
		m := manager(t, app, Config{Forecaster: "last-value"})
		c := &plantest.Cluster{Application: app, Beat: time.Second, Demand: func(foresail.ServiceID, time.Duration) float64 { return 3 },
			Hidden: func(at time.Duration) foresail.Signals { return hidden }}
		c.Put(0, foresail.Allocation{Replicas: 7, CPU: 1})
		h := foresail.NewHistory(app, m.Needs())
		play(t, m, c, h, 3*time.Minute)
		p, err := m.Decide(c.Filled(m.Needs(), 2*time.Minute))
		if c.Have(0).Replicas != 7 || err != nil || p == nil || !strings.HasPrefix(p.Note, "s0: kept, ") {
			t.Errorf("%v hidden: %v, %+v, %v", hidden, c.Have(0), p, err)
		}
	}
	app := plantest.App(1)
	m := manager(t, app, Config{Forecaster: "last-value"})
	c := &plantest.Cluster{Application: app, Beat: time.Second, Demand: func(foresail.ServiceID, time.Duration) float64 { return 1 },
		Silent: func(at time.Duration) bool { return at >= 3*time.Minute && at < 5*time.Minute }}
	play(t, m, c, foresail.NewHistory(app, m.Needs()), 7*time.Minute)
	var gaps []bool
	for _, v := range m.state.Services[0].Calls {
		gaps = append(gaps, math.IsNaN(v))
	}
	if want := []bool{false, false, false, true, true, false, false}; !reflect.DeepEqual(gaps, want) {
		t.Errorf("gaps %v, want %v", gaps, want)
	}
	if n := c.Have(0).Replicas; n < 2 {
		t.Errorf("%d replicas after two silent minutes", n)
	}
}

// In silence the plan goes on as far as it reaches, and then the manager says that it is too old.
func TestSilenceBeyondThePlanIsAnError(t *testing.T) {
	app := plantest.App(1)
	m := manager(t, app, Config{Forecaster: "last-value", M: 3})
	c := &plantest.Cluster{Application: app, Beat: time.Second, Demand: func(foresail.ServiceID, time.Duration) float64 { return 1 }}
	h := foresail.NewHistory(app, m.Needs())
	play(t, m, c, h, 4*time.Minute)
	late := &foresail.Snapshot{Start: h.Now().Add(150 * time.Second), End: h.Now().Add(151 * time.Second), Stale: true}
	h.Add(late)
	if _, err := m.Decide(h); err != nil {
		t.Errorf("within the plan: %v", err)
	}
	h.Add(&foresail.Snapshot{Start: late.End.Add(40 * time.Second), End: late.End.Add(41 * time.Second), Stale: true})
	if _, err := m.Decide(h); err != nil && !errors.Is(err, foresail.ErrStale) {
		t.Error(err)
	}
}

func TestAForecastThatIsNoNumberIsTheLastMinute(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), -5} {
		app := plantest.App(1)
		m := manager(t, app, Config{Method: flat(bad, 0), Rho: -1})
		c := &plantest.Cluster{Application: app, Beat: time.Second, Demand: func(foresail.ServiceID, time.Duration) float64 { return 1 }}
		play(t, m, c, foresail.NewHistory(app, m.Needs()), 5*time.Minute)
		p, err := m.Decide(c.Filled(m.Needs(), time.Minute))
		if n := c.Have(0).Replicas; n != 2 || err != nil || p == nil || !strings.Contains(p.Note, "told forecast what is no number of calls: the last minute counts") {
			t.Errorf("%v: %d replicas, %+v, %v", bad, n, p, err)
		}
	}
}

// Services come and go in mid-run: what has gone is forgotten, what has come is planned for when its calls were seen.
func TestServicesComeAndGo(t *testing.T) {
	app := plantest.App(2)
	m := manager(t, app, Config{Forecaster: "last-value"})
	c := &plantest.Cluster{Application: app, Beat: time.Second, Demand: func(foresail.ServiceID, time.Duration) float64 { return 1.2 }}
	h := foresail.NewHistory(app, m.Needs())
	play(t, m, c, h, 3*time.Minute)
	next := plantest.App(3)
	next.Generation = 1
	next.Services[0] = foresail.Service{Name: "s0", Gone: true}
	c.Application = next
	p := play(t, m, c, h, 4*time.Minute)
	if n := c.Have(2).Replicas; n != 3 {
		t.Errorf("%d replicas of the new service, want 3", n)
	}
	if _, ok := p.Change(0); ok || len(m.state.Services[0].Calls) > 0 {
		t.Error("what has gone is still planned for")
	}
}

// Where idle replicas alone are over the threshold, no number holds it.
func TestAThresholdThatCannotBeHeld(t *testing.T) {
	app := plantest.App(1)
	m := manager(t, app, Config{Method: flat(3000, 0)})
	of, from := m.state.Services[0], foresail.Allocation{Replicas: 4, CPU: 1, Memory: 100 << 20}
	of.Profile = profile{HasCPU: true, CPU: line{1e-5, 0.6}}
	if n, _, idle := m.need(of, from, 3000); n != 4 || !strings.Contains(idle, "CPU") {
		t.Errorf("%v replicas, %q", n, idle)
	}
	of.Profile = profile{HasCPU: true, CPU: line{5e-4, 0}, HasMem: true, Memory: line{0, 80 << 20}}
	if n, _, idle := m.need(of, from, 3000); n != 3 || !strings.Contains(idle, "memory") {
		t.Errorf("%v replicas, %q", n, idle)
	}
	of.Profile.Memory = line{20 << 10, 20 << 20} // 3000 calls take 60 MB beside the base; 40 MiB are left of each
	if n, metric, idle := m.need(of, from, 6000); n != 6 || metric != "CPU" && metric != "memory" || idle != "" {
		t.Errorf("%v replicas for %s, %q", n, metric, idle)
	}
}

func TestEveryFaultOfAConfigIsTold(t *testing.T) {
	_, err := New(plantest.App(1), Config{Forecaster: "tarot", N: -1, CPU: 2, Memory: -1, Rho: math.NaN(), Sigma: math.Inf(1), Lead: time.Hour, Traces: 3, Steps: -1})
	for _, s := range []string{`forecaster "tarot": use last-value`, "n -1", "CPU threshold 2", "memory threshold -1", "rho NaN", "sigma +Inf", "lead 1h0m0s", "traces 3", "-1 training steps"} {
		if err == nil || !strings.Contains(err.Error(), s) {
			t.Errorf("%q is missing in: %v", s, err)
		}
	}
	if _, err := New(nil, Config{}); err == nil {
		t.Error("no application was accepted")
	}
}

// benchstat: go test -bench DecideMadu -count 6 ./plan/madu | tee new.txt; benchstat old.txt new.txt
func BenchmarkDecideMadu(b *testing.B) {
	for _, n := range []int{36, 1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			app := plantest.App(n)
			c := &plantest.Cluster{Application: app, Beat: time.Minute, Demand: func(id foresail.ServiceID, at time.Duration) float64 {
				return 1 + float64(int(id)%5)/5 + math.Sin(at.Minutes()/3)/2
			}}
			given := forecast.Forecast{Mean: make([]float64, 5), Scale: make([]float64, 5)}
			for k := range given.Mean {
				given.Mean[k], given.Scale[k] = float64(5000+3000*k), 500
			}
			m := manager(b, app, Config{Method: always(given)})
			h := c.Filled(m.Needs(), 10*time.Minute)
			if _, err := m.Decide(h); err != nil {
				b.Fatal(err)
			}
			last := m.state.Last
			b.ReportAllocs()
			for b.Loop() {
				m.state.Last = last.Add(-time.Minute) // one minute is new
				if _, err := m.Decide(h); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "services/s")
		})
	}
}

// always is a method with one forecast for all.
type always forecast.Forecast

func (always) Name() string { return "given" }
func (g always) Train(forecast.Series, forecast.Options) (forecast.Forecaster, error) {
	return g, nil
}
func (g always) Forecast(forecast.Series, int) (forecast.Forecast, error) {
	return forecast.Forecast(g), nil
}
