package neural

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"foresail.dev/model/forecast"
)

var (
	fleetServices = flag.Int("fleet.services", 6, "services that BenchmarkFleet trains")
	fleetWarm     = flag.Int("fleet.warm", WarmSteps, "steps that BenchmarkFleet takes from the shared model")
	fleetPool     = flag.Int("fleet.pool", PoolSteps, "steps that BenchmarkFleet takes for the shared model")
	fleetSeed     = flag.Uint64("fleet.seed", 1, "seed of the services and of their training")
)

// service draws a service's load of some days, in calls a minute: a day's shape of two harmonics, quieter weekends, and
// around it what Madu's §2.2 measured, a deviation between days that grows with the mean, up to a share that is drawn for
// each service, and lasts for an hour or so; then calls arrive as they like.
func service(days int, seed uint64) forecast.Series {
	r := rand.New(rand.NewPCG(seed, 77))
	level := 30 * math.Exp(r.Float64()*4)
	a, b, phase, phase2 := 0.3+0.4*r.Float64(), 0.25*r.Float64(), 2*math.Pi*r.Float64(), 2*math.Pi*r.Float64()
	weekend, share := 0.6+0.4*r.Float64(), 0.05+0.25*r.Float64()
	s := forecast.Series{Start: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC), Step: time.Minute, Values: make([]float64, days*1440)}
	drift := 0.0
	for i := range s.Values {
		day := 2 * math.Pi * float64(i%1440) / 1440
		shape := max(1+a*math.Sin(day+phase)+b*math.Sin(2*day+phase2), 0.05)
		if i/1440%7 >= 5 {
			shape *= weekend
		}
		drift += -drift/60 + math.Sqrt(2.0/60)*r.NormFloat64()
		mean := level * shape * math.Exp(share*shape/(1+a+b)*drift)
		s.Values[i] = max(math.Round(mean+math.Sqrt(mean)*r.NormFloat64()), 0)
	}
	return s
}

// accuracy is Madu's eq. 15 over all of a series that lies behind the training, steps without calls left out.
func accuracy(t testing.TB, f forecast.Forecaster, s forecast.Series, from, m int) float64 {
	sum, n := 0.0, 0
	for origin := from; origin+m <= len(s.Values); origin += m {
		ahead, err := f.Forecast(s.Slice(origin-200, origin), m)
		if err != nil {
			t.Fatal(err)
		}
		for k, y := range ahead.Predicted() {
			if x := s.Values[origin+k]; x > 0 {
				sum += 1 - math.Abs(x-y)/x
				n++
			}
		}
	}
	return sum / float64(n)
}

// BenchmarkFleet trains Madu's network for a sample of services, 30 days of minutes each, once from scratch and once warm
// from a model that was trained on other services; it tells the accuracy of both on the 10 days after, and what 1,000
// services would take on two cores that do nothing else. Run it with -benchtime 1x.
func BenchmarkFleet(b *testing.B) {
	for b.Loop() {
		const train, days = 30, 40
		o := forecast.Options{Seed: *fleetSeed}
		var pool []forecast.Series
		for i := range 40 {
			pool = append(pool, service(train, *fleetSeed*1_000_000+uint64(i)))
		}
		o.Steps = *fleetPool
		began := cpuTime()
		shared, err := Madu.Pool(pool, o)
		if err != nil {
			b.Fatal(err)
		}
		poolTime := cpuTime() - began
		var scratch, warm, untouched, worst, warmTime, scratchTime float64
		for i := range *fleetServices {
			s := service(days, *fleetSeed*1_000_000+1000+uint64(i))
			past := s.Slice(0, train*1440)
			fit := func(o forecast.Options) (float64, float64) {
				began := cpuTime()
				f, err := Madu.Train(past, o)
				if err != nil {
					b.Fatal(err)
				}
				took := cpuTime() - began
				return accuracy(b, f, s, train*1440, 5), took
			}
			a, tookA := fit(forecast.Options{Seed: *fleetSeed})
			w, tookW := fit(forecast.Options{Seed: *fleetSeed, Warm: shared, Steps: *fleetWarm})
			u, _ := fit(forecast.Options{Seed: *fleetSeed, Warm: shared, Steps: 1})
			n := float64(*fleetServices)
			scratch, warm, untouched, scratchTime, warmTime = scratch+a/n, warm+w/n, untouched+u/n, scratchTime+tookA/n, warmTime+tookW/n
			worst = max(worst, a-w)
			b.Logf("service %d: %.2f %% from scratch, %.2f %% warm, %.2f %% with the shared model", i, 100*a, 100*w, 100*u)
		}
		b.ReportMetric(100*scratch, "%scratch")
		b.ReportMetric(100*warm, "%warm")
		b.ReportMetric(100*untouched, "%shared")
		b.ReportMetric(100*worst, "%worst-loss")
		b.ReportMetric(scratchTime, "s-scratch")
		b.ReportMetric(warmTime, "s-warm")
		b.ReportMetric((poolTime+1000*warmTime/2)/60, "min/1000")
	}
}

func TestServicesAreDrawnAsSaid(t *testing.T) {
	s := service(14, 3)
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(s.Values) != fmt.Sprint(service(14, 3).Values) {
		t.Error("a seed does not say what comes of it")
	}
}
