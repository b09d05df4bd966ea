package mixture

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"foresail.dev/model/forecast"
	"foresail.dev/model/forecast/evaluate"
)

var start = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

func series(n int, step time.Duration, at func(i int) float64) forecast.Series {
	s := forecast.Series{Start: start, Step: step}
	for i := range n {
		s.Values = append(s.Values, math.Max(0, at(i)))
	}
	return s
}

func measured(t *testing.T, s forecast.Series, train, m int) evaluate.Result {
	t.Helper()
	r, err := evaluate.Run(Method{}, evaluate.Case{Series: s, Train: train, M: m}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A 90 % interval covers 90 % ± 2 points of loads that were never seen: of one that keeps its law, and of ones whose level
// jumps, whose noise grows, that come in bursts.
func TestIntervalsCoverWhatTheySay(t *testing.T) {
	for name, at := range map[string]func(r *rand.Rand) func(i int) float64{
		"normal": func(r *rand.Rand) func(int) float64 {
			return func(int) float64 { return 500 + 30*r.NormFloat64() }
		},
		"skewed": func(r *rand.Rand) func(int) float64 {
			return func(int) float64 { return 100 * math.Exp(0.5*r.NormFloat64()) }
		},
		"level shifts": func(r *rand.Rand) func(int) float64 {
			level := 100.0
			return func(int) float64 {
				if r.Float64() < 1.0/200 {
					level = 20 + 400*r.Float64()
				}
				return level + math.Sqrt(level)*r.NormFloat64()
			}
		},
		"one shift to where it never was": func(r *rand.Rand) func(int) float64 {
			return func(i int) float64 {
				if i < 2500 {
					return 50 + 5*r.NormFloat64()
				}
				return 900 + 40*r.NormFloat64()
			}
		},
		"noise that grows tenfold": func(r *rand.Rand) func(int) float64 {
			return func(i int) float64 {
				return 500 + (5+45*float64(i)/4000)*r.NormFloat64()
			}
		},
		"small counts": func(r *rand.Rand) func(int) float64 {
			return func(int) float64 {
				n := 0
				for range 40 {
					if r.Float64() < 0.08 {
						n++
					}
				}
				return float64(n)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := measured(t, series(4000, time.Second, at(rand.New(rand.NewPCG(11, 12)))), 1500, 5)
			if math.Abs(r.Coverage90-0.9) > 0.02 {
				t.Errorf("%.3f of %d steps lay within", r.Coverage90, r.Steps)
			}
		})
	}
}

// It finds a season by itself and uses it: the error is that of the noise, and far from that of the last value.
func TestASeasonIsFound(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := series(1500, time.Minute, func(i int) float64 { return 200 + 150*math.Sin(2*math.Pi*float64(i)/45) + 5*r.NormFloat64() })
	got := measured(t, s, 700, 10)
	noise := 5 * math.Sqrt(2/math.Pi) // the mean absolute error of who knows the law
	naive := 0.0
	for i := 1; i < 700; i++ {
		naive += math.Abs(s.Values[i]-s.Values[i-1]) / 699
	}
	if off := got.MASE * naive; off > 1.25*noise {
		t.Errorf("a mean absolute error of %.2f, the noise's is %.2f", off, noise)
	}
}

// What is more uncertain at its peaks is told so.
func TestTheScaleFollowsTheLevel(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	level := func(i int) float64 { return 300 + 250*math.Sin(2*math.Pi*float64(i)/200) }
	s := series(3000, time.Second, func(i int) float64 { return level(i) * (1 + 0.15*r.NormFloat64()) })
	f, err := Method{}.Train(s, forecast.Options{})
	if err != nil {
		t.Fatal(err)
	}
	scale := map[bool][]float64{}
	for i := 3000; i < 3400; i++ {
		s.Values = append(s.Values, level(i)*(1+0.15*r.NormFloat64()))
		ahead, err := f.Forecast(s, 1)
		if err != nil {
			t.Fatal(err)
		}
		if l := level(i + 1); l > 500 || l < 100 {
			scale[l > 500] = append(scale[l > 500], ahead.Quantiles[6][0]-ahead.Quantiles[0][0])
		}
	}
	mean := func(v []float64) (m float64) {
		for _, x := range v {
			m += x / float64(len(v))
		}
		return m
	}
	if high, low := mean(scale[true]), mean(scale[false]); high < 3*low {
		t.Errorf("intervals are %.0f wide at the peaks, %.0f at the bottom", high, low)
	}
}

// The same values in one history or in many calls give the same forecast.
func TestHowHistoryArrivesDoesNotMatter(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	s := series(400, time.Second, func(i int) float64 { return 100 + 20*r.NormFloat64() })
	s.Values[200] = math.NaN()
	train := func() forecast.Forecaster {
		f, err := Method{}.Train(s.Slice(0, 250), forecast.Options{M: 3})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	one, many := train(), train()
	for i := 251; i < 400; i += 7 {
		if _, err := many.Forecast(s.Slice(i-20, i), 3); err != nil { // its last part alone
			t.Fatal(err)
		}
	}
	a, err := one.Forecast(s, 3)
	if err != nil {
		t.Fatal(err)
	}
	b, err := many.Forecast(s.Slice(380, 400), 3)
	if err != nil {
		t.Fatal(err)
	}
	for k := range 3 {
		if a.Mean[k] != b.Mean[k] || a.Quantiles[0][k] != b.Quantiles[0][k] {
			t.Errorf("step %d: %v in one go, %v in many", k, a.Mean[k], b.Mean[k])
		}
	}
}

func TestMoreStepsThanItWasTrainedFor(t *testing.T) {
	s := series(300, time.Second, func(i int) float64 { return 100 + float64(i%9) })
	f, err := Method{}.Train(s, forecast.Options{M: 2})
	if err != nil {
		t.Fatal(err)
	}
	ahead, err := f.Forecast(s, 40)
	if err != nil || ahead.Fallback != "" {
		t.Fatal(err, ahead.Fallback)
	}
	if err := ahead.Check(s, 40); err != nil {
		t.Error(err)
	}
	for k, v := range ahead.Mean { // a saw without noise
		if want := 100 + float64((300+k)%9); math.Abs(v-want) > 0.5 {
			t.Errorf("step %d: %.2f, want %v", k, v, want)
		}
	}
}

// Far ahead it goes on, less and less sure.
func TestStepsBeyondTheRegressions(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	s := series(600, time.Second, func(i int) float64 { return 100 + 50*math.Sin(2*math.Pi*float64(i)/50) + r.NormFloat64() })
	f, err := Method{}.Train(s, forecast.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ahead, err := f.Forecast(s, 300)
	if err != nil {
		t.Fatal(err)
	}
	if err := ahead.Check(s, 300); err != nil {
		t.Error(err)
	}
	if v, want := ahead.Mean[290], 100+50*math.Sin(2*math.Pi*890/50); math.Abs(v-want) > 5 || ahead.Scale[290] <= ahead.Scale[240] {
		t.Errorf("step 290: %.1f, want %.1f; scale %.2f, %.2f at step 240", v, want, ahead.Scale[290], ahead.Scale[240])
	}
}

// Trained on next to nothing, it says so; as the history grows it learns, and finds the season that was not there before.
func TestItLearnsAsHistoryGrows(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 8))
	s := series(400, time.Second, func(i int) float64 { return 100 + 50*math.Sin(2*math.Pi*float64(i)/40) + r.NormFloat64() })
	f, err := Method{}.Train(s.Slice(0, 10), forecast.Options{})
	if err != nil {
		t.Fatal(err)
	}
	off := 0.0
	for n := 10; n < 400; n++ {
		ahead, err := f.Forecast(s.Slice(0, n), 1)
		if err != nil {
			t.Fatal(err)
		}
		if told := ahead.Fallback != ""; told != (n < forecast.FewestToLearn) {
			t.Errorf("after %d values: %q", n, ahead.Fallback)
		}
		if n >= 300 {
			off += math.Abs(ahead.Mean[0]-s.Values[n]) / 100
		}
	}
	if off > 1.5 {
		t.Errorf("a mean absolute error of %.2f at the end, the noise's is 0.80", off)
	}
}

// A minute of a service: one load comes, five steps are forecast.
func BenchmarkForecast(b *testing.B) {
	for name, step := range map[string]time.Duration{"hour-of-seconds": time.Second, "month-of-minutes": time.Minute} {
		b.Run(name, func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 1))
			n := 3600
			if step == time.Minute {
				n = 20160
			}
			s := series(n, step, func(i int) float64 {
				return 1000 + 800*math.Sin(2*math.Pi*float64(i)/1440) + 50*r.NormFloat64()
			})
			f, err := Method{}.Train(s, forecast.Options{})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				s.Start, s.Values = s.At(1), append(s.Values[1:], 1000+50*r.NormFloat64())
				if _, err := f.Forecast(s, 5); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
