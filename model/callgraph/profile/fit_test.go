package profile_test

import (
	"compress/gzip"
	"encoding/csv"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"foresail.dev/model/callgraph/dist"
	"foresail.dev/model/callgraph/profile"
	"foresail.dev/sketch"
	"pgregory.net/rapid"
)

func draw(rng *rand.Rand, s dist.Stage, n int) (own []float64, k *sketch.Sketch) {
	own, k = make([]float64, n), sketch.New()
	for i := range own {
		own[i] = one(rng, s)
		k.Add(own[i])
	}
	return own, k
}

func one(rng *rand.Rand, s dist.Stage) float64 {
	if len(s.Parts) == 0 {
		return s.Shift + rng.ExpFloat64()/s.Rate
	}
	v, left := s.Shift, rng.Float64()
	for i, p := range s.Parts {
		if left -= p.Weight; left < 0 || i == len(s.Parts)-1 {
			for range p.Order {
				v += rng.ExpFloat64() / p.Rate
			}
			break
		}
	}
	return v
}

func TestExponentialsAreFoundAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := dist.Exponential(rapid.Float64Range(1e-4, 1).Draw(t, "shift"), math.Exp(rapid.Float64Range(-2, 9).Draw(t, "log rate")))
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		own, k := draw(rng, want, 2000)
		for name, fit := range map[string]func(profile.Sample) (dist.Stage, error){"published": profile.Published, "likely": profile.Likely} {
			exact, err := fit(profile.Of(own))
			if err != nil {
				t.Fatal(err)
			}
			if math.Abs(exact.Rate/want.Rate-1) > 0.2 {
				t.Errorf("%s: %+v, want %+v", name, exact, want)
			}
			if exact.Shift < want.Shift || exact.Shift > want.Quantile(0.02) {
				t.Errorf("%s: shift %v, want just above %v", name, exact.Shift, want.Shift)
			}
			// Of a sketch's buckets the same, to a bucket's width of the shift.
			rough, err := fit(profile.OfSketch(k))
			if err != nil {
				t.Fatal(err)
			}
			if math.Abs(rough.Shift-exact.Shift) > 0.045*exact.Shift {
				t.Errorf("%s: shift %v of a sketch, %v of the own times", name, rough.Shift, exact.Shift)
			}
			// What the shift is off by counts beside 1/rate.
			if off := math.Abs(rough.Rate/exact.Rate - 1); off > 0.05+0.05*exact.Shift*exact.Rate {
				t.Errorf("%s: rate %v of a sketch, %v of the own times, shift %v", name, rough.Rate, exact.Rate, exact.Shift)
			}
		}
	})
}

// The rule by a search over rates as simple as can be.
func TestPublishedRuleByBruteForce(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	own, _ := draw(rng, dist.Stage{Shift: 0.001, Parts: []dist.Part{{Weight: 0.9, Order: 2, Rate: 900}, {Weight: 0.1, Order: 1, Rate: 30}}}, 1000)
	least, largest := own[0], own[0]
	for _, v := range own {
		least, largest = min(least, v), max(largest, v)
	}
	var x, f []float64
	for k := range 100 {
		edge := least + float64(k)*(largest-least)/100
		n := 0.0
		for _, v := range own {
			if v < edge {
				n++
			}
		}
		x, f = append(x, edge-least), append(f, n/1000)
	}
	best, at := math.Inf(1), 0.0
	for rate := 50.0; rate < 500; rate *= 1.0002 {
		sum := 0.0
		for i := range x {
			d := f[i] - (1 - math.Exp(-rate*x[i]))
			sum += d * d
		}
		if sum < best {
			best, at = sum, rate
		}
	}
	got, err := profile.Published(profile.Of(own))
	if err != nil {
		t.Fatal(err)
	}
	within(t, "rate", got.Rate, at, 3e-4)
}

func TestWhatCannotBeFitted(t *testing.T) {
	for name, own := range map[string][]float64{"none": nil, "one": {1}, "all alike": {2, 2, 2}, "not above zero": {0, -1, math.NaN(), math.Inf(1)}} {
		if _, err := profile.Published(profile.Of(own)); err == nil {
			t.Errorf("published, %s: no error", name)
		}
		if _, err := profile.Likely(profile.Of(own)); err == nil {
			t.Errorf("likely, %s: no error", name)
		}
		if _, err := profile.Choose(profile.Of(own)); err == nil {
			t.Errorf("choose, %s: no error", name)
		}
	}
}

func TestTheFamilyThatFitsIsChosen(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 3))
	for name, c := range map[string]struct {
		truth dist.Stage
		want  []profile.Family
	}{
		"exponential":      {dist.Exponential(0.01, 50), []profile.Family{profile.FamilyExponential}},
		"erlang":           {dist.Stage{Parts: []dist.Part{{Weight: 1, Order: 4, Rate: 400}}}, []profile.Family{profile.FamilyErlang}},
		"hyperexponential": {dist.Stage{Shift: 0.001, Parts: []dist.Part{{Weight: 0.9, Order: 1, Rate: 1000}, {Weight: 0.1, Order: 1, Rate: 20}}}, []profile.Family{profile.FamilyHyperexponential}},
		"two humps":        {dist.Stage{Shift: 0.001, Parts: []dist.Part{{Weight: 0.8, Order: 9, Rate: 9000}, {Weight: 0.2, Order: 25, Rate: 500}}}, []profile.Family{profile.FamilyPhases, profile.FamilyEmpirical}},
	} {
		_, k := draw(rng, c.truth, 5000)
		got, err := profile.Choose(profile.OfSketch(k))
		if err != nil {
			t.Fatal(err)
		}
		ok := false
		for _, f := range c.want {
			ok = ok || f == got.Best.Family
		}
		if !ok {
			t.Errorf("%s: %s", name, got.Why)
		}
		for _, q := range []float64{0.5, 0.95, 0.99} {
			within(t, name, got.Best.Stage.Quantile(q), c.truth.Quantile(q), 0.1)
		}
		if err := got.Best.Stage.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An empirical stage has nearly the mean of its sample and percentiles as near as parts that are not sharp allow, even of humps that
// begin between the levels that are kept.
func TestEmpiricalStagesKeepMeansAndPercentiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		truth := dist.Stage{Shift: rapid.Float64Range(1e-4, 1e-2).Draw(t, "shift")}
		left := 1.0
		for i := range 3 {
			w := rapid.Float64Range(0.1, 0.6).Draw(t, "weight") * left
			if i == 2 {
				w = left
			}
			left -= w
			truth.Parts = append(truth.Parts, dist.Part{Weight: w, Order: rapid.IntRange(1, 9).Draw(t, "order"), Rate: math.Exp(rapid.Float64Range(2, 8).Draw(t, "log rate"))})
		}
		_, k := draw(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)), truth, 5000)
		s, err := profile.Empirical(profile.OfSketch(k))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		if math.Abs(s.Mean()/k.Mean()-1) > 0.12 {
			t.Errorf("mean %v, of the sample %v", s.Mean(), k.Mean())
		}
		for _, q := range []float64{0.95, 0.99} {
			// Where few own times lie about a percentile it may move far for a small share of them.
			if want := k.Quantile(q); s.CDF(1.2*want) < q-0.01*(1-q)/0.05 || s.CDF(want/1.2) > q+0.01*(1-q)/0.05 {
				t.Errorf("p%v: %v, of the sample %v", 100*q, s.Quantile(q), want)
			}
		}
	})
}

// The lines that Derm's artefact published: the rate at the load that its table was made for is the table's, and the one line
// whose rate grows with load is refused.
func TestPublishedLines(t *testing.T) {
	f, err := os.Open("../../../../shared/data/derm/all_pars.csv")
	if err != nil {
		t.Skip("needs the outside data in ../shared/data: ", err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	number := func(row []string, name string) float64 {
		v, err := strconv.ParseFloat(row[column[name]], 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	calls := map[string]float64{} // of both chains, weighted as the artefact weighs them
	for _, row := range rows[1:] {
		calls[row[column["ms"]]] += 10 * number(row, "n") * number(row, "percentage")
	}
	wrong := 0
	for _, row := range rows[1:] {
		load := calls[row[column["ms"]]] / number(row, "pod_num")
		for _, fit := range []struct{ a, b, rate string }{{"a1", "b1", "lambdaValue_fit"}, {"a2", "b2", "lambdaValue_ml"}} {
			var points []profile.Point
			for w := 2.0; w <= 10; w++ { // as line_fit_exp.py has its loads, relative to a workload of ten
				points = append(points, profile.Point{Load: load * w / 10, Rate: number(row, fit.a)*load*w/10 + number(row, fit.b), Weight: 1})
			}
			l, err := profile.FitLine(points)
			if err != nil {
				t.Fatal(err)
			}
			if number(row, fit.a) > 0 {
				wrong++
				if l.Fault != profile.FaultSign || l.A != 0 {
					t.Errorf("microservice %s: rate grows with load, and the line is %+v", row[column["ms"]], l)
				}
				continue
			}
			if l.Fault != "" {
				t.Errorf("microservice %s: %+v", row[column["ms"]], l)
			}
			within(t, "a", l.A, number(row, fit.a), 1e-9)
			within(t, "rate of microservice "+row[column["ms"]], l.Rate(load, 0), number(row, fit.rate), 1e-9)
		}
	}
	if wrong != 1 {
		t.Errorf("%d lines have the wrong sign, and the table has one", wrong)
	}
}

func TestLinesThatMustNotBeUsed(t *testing.T) {
	for name, c := range map[string]struct {
		points []profile.Point
		want   profile.Fault
	}{
		"two points": {[]profile.Point{{1, 9, 1}, {5, 5, 1}}, profile.FaultFew},
		"one load":   {[]profile.Point{{5, 9, 1}, {5, 8, 1}, {5.5, 7, 1}}, profile.FaultClose},
		"no load":    {[]profile.Point{{0, 9, 1}, {0, 8, 1}, {0, 7, 1}}, profile.FaultClose},
		"wrong sign": {[]profile.Point{{1, 5, 1}, {2, 6, 1}, {3, 7, 1}}, profile.FaultSign},
	} {
		l, err := profile.FitLine(c.points)
		if err != nil || l.Fault != c.want || l.A != 0 {
			t.Errorf("%s: %+v, %v", name, l, err)
		}
		seen := l.Rate(c.points[0].Load, 0)
		if beyond := l.Rate(20, 0); l.To > 0 && beyond >= seen {
			t.Errorf("%s: rate %v at a load beyond those seen, where it was %v", name, beyond, seen)
		}
		if beyond := l.Rate(20, 20); beyond != 0 {
			t.Errorf("%s: rate %v at saturation", name, beyond)
		}
	}
	for _, bad := range [][]profile.Point{nil, {{math.NaN(), 1, 1}}, {{1, 0, 1}}, {{1, 1, 0}}, {{-1, 1, 1}}, {{1, math.Inf(1), 1}}} {
		if l, err := profile.FitLine(bad); err == nil {
			t.Errorf("%v: %+v", bad, l)
		}
	}
}

// boutique are the own times of the services of Online Boutique in a minute, as the artefact has them: of each trace the mean,
// over its spans of that service, of what a span lasts less its children, in seconds.
func boutique(t *testing.T) map[string][]float64 {
	names, _ := filepath.Glob("../../../../shared/data/nezha-ob/*_trace.csv.gz")
	if len(names) == 0 {
		t.Skip("needs the outside data in ../shared/data")
	}
	f, err := os.Open(names[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	lasts := make([]float64, len(rows))
	children := map[string]float64{}
	for i, r := range rows[1:] {
		lasts[i+1], _ = strconv.ParseFloat(r[7], 64)
		children[r[0]+r[2]] += lasts[i+1]
	}
	type key struct{ service, trace string }
	sum, n := map[key]float64{}, map[key]float64{}
	var order []key
	for i, r := range rows[1:] {
		service, _, _ := strings.Cut(r[3], "-")
		k := key{service, r[0]}
		if n[k] == 0 {
			order = append(order, k)
		}
		sum[k] += (lasts[i+1] - children[r[0]+r[1]]) / 1e6
		n[k]++
	}
	own := map[string][]float64{}
	for _, k := range order {
		own[k.service] = append(own[k.service], sum[k]/n[k])
	}
	return own
}

// One minute of real spans. The reference's numbers (productcatalog n=1256, shift .54 ms, rates .725 and .598 per ms) are of
// more minutes than are here; of this minute the shift is the same.
func TestRealSpans(t *testing.T) {
	services := boutique(t)
	s := profile.Of(services["productcatalogservice"])
	fit, err := profile.Published(s)
	if err != nil {
		t.Fatal(err)
	}
	likely, err := profile.Likely(s)
	if err != nil {
		t.Fatal(err)
	}
	within(t, "own times", s.Count(), 461, 0)
	within(t, "shift, ms", 1e3*fit.Shift, 0.54, 0.001)
	within(t, "published rate, 1/ms", fit.Rate/1e3, 1.948, 0.001)
	within(t, "likely rate, 1/ms", likely.Rate/1e3, 1.7276, 0.001)
	for _, name := range []string{"productcatalogservice", "frontend", "recommendationservice"} {
		own := profile.Of(services[name])
		c, err := profile.Choose(own)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %s", name, c.Why)
		if math.Abs(c.Best.Goodness.P95) > 0.1 {
			t.Errorf("%s: %+v", name, c.Best)
		}
	}
}

func BenchmarkPublished(b *testing.B) {
	_, k := draw(rand.New(rand.NewPCG(1, 1)), dist.Exponential(0.001, 100), 10000)
	for b.Loop() {
		if _, err := profile.Published(profile.OfSketch(k)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkChoose(b *testing.B) {
	_, k := draw(rand.New(rand.NewPCG(1, 1)), dist.Exponential(0.001, 100), 10000)
	for b.Loop() {
		if _, err := profile.Choose(profile.OfSketch(k)); err != nil {
			b.Fatal(err)
		}
	}
}
