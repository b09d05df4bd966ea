package neural

import (
	"bytes"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"foresail.dev/ml"
	"foresail.dev/model/forecast"
)

var all = []Method{Seq2Seq, BNN, DUBNN, Madu}

// quick is a budget that teaches a network next to nothing.
var quick = forecast.Options{N: 12, M: 3, Steps: 30, Seed: 4}

// wave is a load that comes round each 40 minutes, with a little noise that grows with it.
func wave(n int) forecast.Series {
	s := forecast.Series{Start: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC), Step: time.Minute, Values: make([]float64, n)}
	x := uint64(7)
	for i := range s.Values {
		x = x*6364136223846793005 + 1442695040888963407
		u := float64(x>>40)/float64(1<<24) - 0.5
		mean := 500 + 400*math.Sin(2*math.Pi*float64(i)/40)
		s.Values[i] = mean * (1 + 0.1*u)
	}
	return s
}

func train(t testing.TB, m Method, s forecast.Series, o forecast.Options) *Model {
	t.Helper()
	f, err := m.Train(s, o)
	if err != nil {
		t.Fatal(err)
	}
	return f.(*Model)
}

func ahead(t testing.TB, f forecast.Forecaster, s forecast.Series, m int) forecast.Forecast {
	t.Helper()
	got, err := f.Forecast(s, m)
	if err == nil {
		err = got.Check(s, m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// Each method learns a wave: it is nearer to what comes than the last value is, and its intervals hold most of it.
func TestMethodsLearnAWave(t *testing.T) {
	s := wave(1260)
	past := s.Slice(0, 1200)
	last, err := forecast.LastValue{}.Train(past, quick)
	if err != nil {
		t.Fatal(err)
	}
	naive := accuracy(t, last, s, 1200, 3)
	for _, m := range all {
		o := quick
		o.Steps = 300
		f := train(t, m, past, o)
		if a := accuracy(t, f, s, 1200, 3); !(a > naive+0.05) {
			t.Errorf("%s: accuracy %.3f, last value %.3f", m.Name(), a, naive)
		}
		within, n := 0, 0
		for origin := 1200; origin+3 <= len(s.Values); origin += 3 {
			got := ahead(t, f, s.Slice(0, origin), 3)
			for k := range 3 {
				n++
				if x := s.Values[origin+k]; got.Quantile(0.05, k) <= x && x <= got.Quantile(0.95, k) {
					within++
				}
			}
		}
		if share := float64(within) / float64(n); share < 0.6 {
			t.Errorf("%s: the 90 %% interval holds %.2f of the wave", m.Name(), share)
		}
	}
}

// Madu's figure is mean and deviation added (eq. 8); the others name their mean.
func TestOnlyMadusFigureIsMeanAndDeviation(t *testing.T) {
	s := wave(400)
	for _, m := range all {
		got := ahead(t, train(t, m, s, quick), s, 5) // more steps than it was trained for
		for k, p := range got.Predicted() {
			want := got.Mean[k]
			if m == Madu {
				want += got.Scale[k]
			}
			if math.Abs(p-want) > 1e-9 || !(got.Scale[k] > 0) {
				t.Errorf("%s, step %d: %v with mean %v and scale %v", m.Name(), k, p, got.Mean[k], got.Scale[k])
			}
		}
	}
}

// What is learnt hangs on history, options and seed alone, and forecasting changes nothing of it.
func TestMethodsAreDeterministic(t *testing.T) {
	s := wave(400)
	for _, m := range all {
		a, b := train(t, m, s, quick), train(t, m, s, quick)
		other := quick
		other.Seed++
		c := train(t, m, s, other)
		first := ahead(t, a, s, 3)
		ahead(t, a, s.Slice(0, 390), 3)
		if !reflect.DeepEqual(first, ahead(t, b, s, 3)) || !reflect.DeepEqual(first, ahead(t, a, s, 3)) {
			t.Errorf("%s: two forecasts of the same", m.Name())
		}
		if reflect.DeepEqual(first.Mean, ahead(t, c, s, 3).Mean) {
			t.Errorf("%s: the seed is without effect", m.Name())
		}
	}
}

// A model that goes through a file forecasts the same bits, and training goes on from it to the same bits.
func TestModelsAreKept(t *testing.T) {
	s := wave(400)
	for _, m := range all {
		f := train(t, m, s, quick)
		h := ml.Header{Kind: m.Kind(), Features: Schema(), Trained: ml.Training{Source: "wave", Rows: 400}}
		var file bytes.Buffer
		if err := ml.Write(&file, h, f); err != nil {
			t.Fatal(err)
		}
		var back Model
		if _, err := ml.Load(&file, ml.Header{Kind: m.Kind(), Features: Schema()}, &back); err != nil {
			t.Fatal(err)
		}
		next := wave(420)
		part := next.Slice(410, 420) // the rest it saw before
		if x, y := ahead(t, f, next.Slice(0, 410), 3), ahead(t, &back, next.Slice(0, 410), 3); !reflect.DeepEqual(x, y) {
			t.Errorf("%s: other forecasts", m.Name())
		}
		if x, y := ahead(t, f, part, 3), ahead(t, &back, part, 3); !reflect.DeepEqual(x, y) || x.Fallback != "" {
			t.Errorf("%s: other forecasts of the last part of a history: %q", m.Name(), x.Fallback)
		}
		o := quick
		o.Warm = f
		x := train(t, m, s, o)
		o.Warm = &back
		y := train(t, m, s, o)
		if !slices.Equal(x.params[0].W, y.params[0].W) {
			t.Errorf("%s: training goes on to other weights", m.Name())
		}
	}
}

// Two steps of incremental training from stored weights are nearer to what was learnt than two from nothing.
func TestWarmTrainingStartsFromWhatIsKnown(t *testing.T) {
	s := wave(1260)
	past := s.Slice(0, 1200)
	for _, m := range []Method{BNN, Madu} {
		o := quick
		o.Steps = 200
		o.Warm = train(t, m, past, o)
		kept := slices.Clone(o.Warm.(*Model).params[0].W)
		o.Steps = 2
		warm := accuracy(t, train(t, m, past, o), s, 1200, 3)
		if !slices.Equal(kept, o.Warm.(*Model).params[0].W) {
			t.Errorf("%s: training changed what it started from", m.Name())
		}
		o.Warm = nil
		if cold := accuracy(t, train(t, m, past, o), s, 1200, 3); !(warm > cold) {
			t.Errorf("%s: accuracy %.3f warm and %.3f from nothing", m.Name(), warm, cold)
		}
	}
}

func TestAPoolTeachesWhatItsSeriesShare(t *testing.T) {
	s := wave(1260)
	small := wave(1200)
	for i := range small.Values { // the same at another level
		small.Values[i] /= 50
	}
	o := quick
	o.Steps = 300
	shared, err := Madu.Pool([]forecast.Series{small, wave(900), wave(10)}, o)
	if err != nil {
		t.Fatal(err)
	}
	o.Warm, o.Steps = shared, 2
	warm := accuracy(t, train(t, Madu, s.Slice(0, 1200), o), s, 1200, 3)
	o.Warm = nil
	if cold := accuracy(t, train(t, Madu, s.Slice(0, 1200), o), s, 1200, 3); !(warm > cold+0.02) {
		t.Errorf("accuracy %.3f from the pool and %.3f from nothing", warm, cold)
	}
}

func TestBadHistories(t *testing.T) {
	nan := math.NaN()
	constant, zeros, gaps := wave(300), wave(300), wave(300)
	for i := range constant.Values {
		constant.Values[i], zeros.Values[i] = 42, 0
		if i%7 == 0 || i > 150 && i < 170 {
			gaps.Values[i] = nan
		}
	}
	huge := wave(300)
	for i := range huge.Values {
		huge.Values[i] *= 1e30
	}
	empty := forecast.Series{Start: constant.Start, Step: time.Minute, Values: []float64{nan, nan}}
	for _, m := range all {
		for name, s := range map[string]forecast.Series{"constant": constant, "zeros": zeros, "gaps": gaps, "huge": huge} {
			f := train(t, m, s, quick)
			got := ahead(t, f, s, 3)
			if got.Fallback != "" {
				t.Errorf("%s, %s: %s", m.Name(), name, got.Fallback)
			}
			if v := got.Mean[2]; name == "constant" && math.Abs(v-42) > 4 || name == "zeros" && v > 1 {
				t.Errorf("%s: %s goes on with %v", m.Name(), name, v)
			}
		}
		ten := wave(10)
		if got := ahead(t, train(t, m, ten, quick), ten, 3); !strings.Contains(got.Fallback, "10 observed values are too few") || got.Mean[0] != ten.Values[9] {
			t.Errorf("%s, ten points: %q %v", m.Name(), got.Fallback, got.Mean)
		}
		if _, err := m.Train(empty, quick); err != forecast.ErrEmpty {
			t.Errorf("%s, nothing: %v", m.Name(), err)
		}
		f := train(t, m, wave(300), quick)
		if _, err := f.Forecast(empty, 3); err != forecast.ErrEmpty {
			t.Errorf("%s, nothing to forecast from: %v", m.Name(), err)
		}
		late := wave(20).Slice(15, 20) // of another year: what lies before was never seen
		late.Start = late.Start.AddDate(1, 0, 0)
		if got := ahead(t, f, late, 3); got.Fallback == "" {
			t.Errorf("%s: a window that was hardly observed is no reason to fall back", m.Name())
		}
	}
}

func TestWrongWarmStarts(t *testing.T) {
	s := wave(300)
	last, err := forecast.LastValue{}.Train(s, quick)
	if err != nil {
		t.Fatal(err)
	}
	o := quick
	o.N = 13
	for says, warm := range map[string]forecast.Forecaster{
		"give what madu trained":                        last,
		"madu can't start from a *neural.Model":         train(t, DUBNN, s, quick),
		"sees 13 steps to make one that sees 12: train": train(t, Madu, s, o),
	} {
		o := quick
		o.Warm = warm
		if _, err := Madu.Train(s, o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q: %v", says, err)
		}
	}
	if _, err := Madu.Pool(nil, quick); err == nil {
		t.Error("a pool of nothing")
	}
}

func TestBrokenModelsAreRefused(t *testing.T) {
	good, err := train(t, Madu, wave(300), quick).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	for says, data := range map[string][]byte{
		"version 9":                bytes.Replace(good, []byte(`"version":1`), []byte(`"version":9`), 1),
		`the method "x"`:           bytes.Replace(good, []byte(`"madu"`), []byte(`"x"`), 1),
		"of another network":       bytes.Replace(good, []byte(`"n":12`), []byte(`"n":13`), 1),
		"sees 0 steps":             bytes.Replace(good, []byte(`"n":12`), []byte(`"n":0`), 1),
		"unexpected end":           good[:len(good)-1],
		"the stored weights can't": bytes.Replace(good, []byte(`"weights":"A`), []byte(`"weights":"B`), 1),
		"its loads are scaled by":  bytes.Replace(good, []byte(`"floor":`), []byte(`"floor":-`), 1),
	} {
		var m Model
		if err := m.UnmarshalBinary(data); err == nil || !strings.Contains(err.Error(), says) || m.trained() {
			t.Errorf("want %q: %v", says, err)
		}
	}
}

// Whatever the bytes, what is taken in can forecast.
func FuzzModel(f *testing.F) {
	for _, m := range all {
		data, err := train(f, m, wave(120), forecast.Options{N: 2, M: 1, Steps: 1}).MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	short, err := train(f, Madu, wave(10), quick).MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(short)
	f.Fuzz(func(t *testing.T, data []byte) {
		var m Model
		if err := m.UnmarshalBinary(data); err != nil {
			return
		}
		if _, err := m.Forecast(wave(30), 2); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkForecast(b *testing.B) {
	s := wave(400)
	for _, m := range all {
		b.Run(m.Name(), func(b *testing.B) {
			f := train(b, m, s, forecast.Options{Steps: 1})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.Forecast(s, 5); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
