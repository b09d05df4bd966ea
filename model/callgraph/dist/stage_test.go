package dist

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestStageRefuses(t *testing.T) {
	for want, s := range map[string]Stage{
		"rate 0 per second":           {},
		"rate -1":                     {Rate: -1},
		"rate NaN":                    {Rate: math.NaN()},
		"shift -1 s":                  {Shift: -1, Rate: 1},
		"shift +Inf":                  {Shift: math.Inf(1), Rate: 1},
		"part 0: rate 0":              {Parts: []Part{{1, 1, 0}}},
		"part 1: order 0":             {Parts: []Part{{0.5, 1, 1}, {0.5, 0, 1}}},
		"part 0: weight -1":           {Parts: []Part{{-1, 1, 1}, {2, 1, 1}}},
		"weights of 2 parts add to 2": {Parts: []Part{{1, 1, 1}, {1, 1, 1}}},
	} {
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", s, err, want)
		}
	}
}

// Mean, variance and third moment against the survival function, of which they are integrals.
func TestStageMoments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anyStage(t)
		mean, variance, third := s.Cumulants()
		var m1, m2, m3 float64
		wide := 1e-5
		end := max(300*(mean+math.Sqrt(variance)), 40/s.Pole()) // a rare part may be far slower than the rest
		for x, h := 0.0, 0.0; x < end; x += h {
			wide *= 1.05
			h = wide
			if x < s.Shift && s.Shift < x+h { // the survival function has a corner there
				h = s.Shift - x
			}
			for _, q := range [][2]float64{{0.0694318442, 0.1739274226}, {0.3300094782, 0.3260725774}, {0.6699905218, 0.3260725774}, {0.9305681558, 0.1739274226}} {
				y := x + q[0]*h
				f := s.Above(y) * q[1] * h
				m1 += f
				m2 += 2 * y * f
				m3 += 3 * y * y * f
			}
		}
		v := m2 - m1*m1
		c := m3 - 3*m1*m2 + 2*m1*m1*m1
		if math.Abs(m1-mean) > 1e-3*mean || math.Abs(v-variance) > 1e-2*variance+1e-3*mean*mean || math.Abs(c-third) > 2e-2*math.Abs(third)+1e-3*mean*m2 {
			t.Errorf("%+v: %g, %g, %g by its moments, %g, %g, %g by its tail", s, mean, variance, third, m1, v, c)
		}
		for _, p := range []float64{0.001, 0.5, 0.99} {
			if q := s.Quantile(p); !s.IsFixed() && math.Abs(s.CDF(q)-p) > 1e-9 {
				t.Errorf("%+v: CDF(%g) = %g, want %g", s, q, s.CDF(q), p)
			}
		}
		twice := s.Scaled(2)
		if m, v, c := twice.Cumulants(); math.Abs(m-2*mean) > 1e-9*m || math.Abs(v-4*variance) > 1e-9*v || math.Abs(c-8*third) > 1e-9*math.Abs(c)+1e-12 {
			t.Errorf("%+v twice as long: %g, %g, %g", s, m, v, c)
		}
	})
}

// A stage made of moments has them.
func TestMoments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shift := rapid.SampledFrom([]float64{0, 0.5}).Draw(t, "shift")
		mean := shift + rapid.Float64Range(0.01, 10).Draw(t, "mean")
		m := mean - shift
		variance := m * m * math.Exp(rapid.Float64Range(-6, 3).Draw(t, "ln scv"))
		third := math.NaN()
		exact := false
		if variance > 1.01*m*m { // of a mixture of two exponentials, so that it can be had
			s2 := 1.5 * (variance + m*m) * (variance + m*m) / m * rapid.Float64Range(1.01, 3).Draw(t, "third")
			third, exact = s2-3*m*(variance+m*m)+2*m*m*m, true
		}
		s, err := Moments(shift, mean, variance, third)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Check(); err != nil {
			t.Fatalf("%+v: %v", s, err)
		}
		gm, gv, gt := s.Cumulants()
		if math.Abs(gm-mean) > 1e-9*mean || math.Abs(gv-variance) > 1e-6*variance || exact && math.Abs(gt-third) > 1e-6*math.Abs(third) {
			t.Errorf("%+v: %g %g %g, want %g %g %g", s, gm, gv, gt, mean, variance, third)
		}
	})
	if s, err := Moments(1, 1, 0, math.NaN()); err != nil || !s.IsFixed() || s.Mean() != 1 {
		t.Errorf("always 1 s: %+v, %v", s, err)
	}
	for _, bad := range [][3]float64{{-1, 1, 1}, {2, 1, 1}, {0, 1, -1}, {0, math.NaN(), 1}, {0, math.Inf(1), 1}} {
		if s, err := Moments(bad[0], bad[1], bad[2], math.NaN()); err == nil {
			t.Errorf("shift %g, mean %g, variance %g gives %+v", bad[0], bad[1], bad[2], s)
		}
	}
}

func TestStageJSON(t *testing.T) {
	for want, s := range map[string]Stage{
		`{"shift":0.5,"rate":3}`: Exponential(0.5, 3),
		`{"shift":2}`:            Fixed(2),
		`{"shift":0,"parts":[{"weight":1,"order":2,"rate":3}]}`: {Parts: []Part{{1, 2, 3}}},
	} {
		b, err := json.Marshal(s)
		if err != nil || string(b) != want {
			t.Errorf("%+v is %s, %v, want %s", s, b, err, want)
		}
		var back Stage
		if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(back, s) {
			t.Errorf("%s is read as %+v, %v", b, back, err)
		}
	}
}

// Whatever is read is a stage that can be used, and is written as it was read.
func FuzzStageJSON(f *testing.F) {
	f.Add(`{"shift":0.5,"rate":3}`)
	f.Add(`{"shift":0,"parts":[{"weight":0.5,"order":2,"rate":3},{"weight":0.5,"order":1,"rate":1e-3}]}`)
	f.Add(`{"shift":-1,"rate":0}`)
	f.Add(`{"shift":1,"rate":1e308}`)
	f.Fuzz(func(t *testing.T, in string) {
		var s, back Stage
		if json.Unmarshal([]byte(in), &s) != nil {
			return
		}
		if err := s.Check(); err != nil {
			t.Fatalf("%q is read as %+v: %v", in, s, err)
		}
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(s, back) {
			t.Fatalf("%+v is written as %s and read as %+v, %v", s, b, back, err)
		}
		if p := s.CDF(s.Shift + 1); math.IsNaN(p) || p < 0 || p > 1 {
			t.Fatalf("%+v: CDF %g", s, p)
		}
	})
}
