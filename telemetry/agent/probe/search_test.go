package probe

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// suspect answers requests in 2 ms or so, slower by a share of what is loaded.
type suspect struct {
	r     *rand.Rand
	slows map[Resource]float64
	now   time.Time
	spent map[Resource]time.Duration
}

func newSuspect(seed uint64, slows map[Resource]float64) *suspect {
	return &suspect{rand.New(rand.NewPCG(seed, 1)), slows, time.Unix(0, 0), map[Resource]time.Duration{}}
}

func (p *suspect) do(a Action) Observation {
	p.now = p.now.Add(a.For)
	p.spent[a.Resource] += a.For
	o := Observation{At: p.now}
	for range p.r.IntN(8) { // now and then nobody asks
		o.Latencies = append(o.Latencies, 0.002*math.Exp(0.3*p.r.NormFloat64())*(1+a.Intensity*p.slows[a.Resource]))
	}
	return o
}

func (p *suspect) search(t testing.TB, c Config) *Search {
	t.Helper()
	s, err := New(Allow("test"), c)
	if err != nil {
		t.Fatal(err)
	}
	for o := (Observation{At: p.now}); ; {
		a := s.Next(o)
		if a.Done {
			return s
		}
		if a.Intensity < 0 || a.Intensity > 1 || a.For != 10*time.Millisecond {
			t.Fatalf("%+v", a)
		}
		o = p.do(a)
	}
}

// From the core outwards: memory bandwidth is named, and what lies further out is not even tried.
func TestTheFirstResourceThatMattersIsNamed(t *testing.T) {
	p := newSuspect(1, map[Resource]float64{MemoryBandwidth: 0.5, Disk: 3})
	at, trials, stopped := p.search(t, Config{}).Result()
	if at != MemoryBandwidth || stopped || len(trials) != 7 {
		t.Fatalf("%s of %+v", at, trials)
	}
	if got := trials[6]; got.Rise < 0.3 || got.Rise > 0.7 {
		t.Errorf("%+v", got)
	}
	for _, tr := range trials[:6] {
		if spent := p.spent[tr.Resource]; spent != 2*time.Second {
			t.Errorf("%s was tried for %s", tr.Resource, spent)
		}
	}
	if spent := p.spent[MemoryBandwidth]; spent > 700*time.Millisecond {
		t.Errorf("what matters took %s to find", spent)
	}
}

// Among 300 suspects that no load slows, few are said to be; each search takes a thousand looks.
func TestNothingIsFoundByLookingOften(t *testing.T) {
	wrong := 0
	for seed := range uint64(300) {
		if at, _, _ := newSuspect(seed, nil).search(t, Config{Rise: 1e-9}).Result(); at != "" {
			wrong++
		}
	}
	if wrong > 9 { // 3 expected at most
		t.Errorf("%d of 300", wrong)
	}
}

func TestARiseTooSmallToMatterIsNotNamed(t *testing.T) {
	if at, _, _ := newSuspect(1, map[Resource]float64{L2: 0.05}).search(t, Config{}).Result(); at != "" {
		t.Error(at)
	}
}

func TestAnObjectiveAtRiskStopsEverything(t *testing.T) {
	p := newSuspect(1, nil)
	s, err := New(Allow("test"), Config{})
	if err != nil {
		t.Fatal(err)
	}
	a := s.Next(Observation{At: p.now})
	o := p.do(a)
	o.AtRisk = true
	for range 3 {
		if a := s.Next(o); !a.Done {
			t.Fatalf("%+v", a)
		}
		o.AtRisk = false // it does not begin again
	}
	if at, trials, stopped := s.Result(); at != "" || len(trials) != 0 || !stopped {
		t.Errorf("%s %v %t", at, trials, stopped)
	}
}

func TestWhatCannotBeLoadedSaysWhy(t *testing.T) {
	why := errors.New("no hyper-threads: a core probe would only steal time")
	p := newSuspect(1, map[Resource]float64{IntegerCore: 5, L1Data: 1})
	at, trials, _ := p.search(t, Config{Unavailable: func(r Resource) error {
		if r == IntegerCore {
			return why
		}
		return nil
	}}).Result()
	if at != L1Data || trials[0].Unavailable != why.Error() || p.spent[IntegerCore] != 0 {
		t.Errorf("%s of %+v", at, trials)
	}
}

func TestASuspectWithoutRequestsEnds(t *testing.T) {
	s, err := New(Allow("test"), Config{})
	if err != nil {
		t.Fatal(err)
	}
	now, n := time.Unix(0, 0), 0
	for a := s.Next(Observation{At: now}); !a.Done; a = s.Next(Observation{At: now}) {
		now = now.Add(a.For)
		n++
	}
	if at, trials, _ := s.Result(); at != "" || len(trials) != 10 || trials[0].Bursts != 0 || trials[0].P != 1 || n != 2000 {
		t.Errorf("%s %d %+v", at, n, trials)
	}
}

func TestNoProbeWithoutPermission(t *testing.T) {
	for _, p := range []Permission{{}, Allow("")} {
		if _, err := New(p, Config{}); !errors.Is(err, ErrForbidden) {
			t.Error(err)
		}
	}
}

func TestEveryWrongFieldIsTold(t *testing.T) {
	_, err := New(Allow("x"), Config{Burst: time.Second, Limit: time.Second, Rise: -1, Alpha: 2})
	for _, want := range []string{"burst 1s, limit 1s", "rise -1", "alpha 2"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

// By hand: means 2.5 and 1.8, variances over sizes 5/12 and 0.14, so t = 0.93822 with 4.9367 degrees of freedom; the area under
// Student's density is summed in small steps.
func TestWelchByHand(t *testing.T) {
	on, off := []float64{1, 2, 3, 4}, []float64{2, 2, 3, 1, 1}
	const at, df, step = 0.93822, 4.9367, 1e-4
	area := 0.0
	for x := step / 2; x < at; x += step {
		area += step * math.Pow(1+x*x/df, -(df+1)/2)
	}
	want := 0.5 - area*math.Gamma((df+1)/2)/(math.Sqrt(df*math.Pi)*math.Gamma(df/2))
	p := welch(on, off)
	if math.Abs(p-want) > 1e-4 {
		t.Errorf("p = %v, by hand %v", p, want)
	}
	if q := welch(off, on); math.Abs(p+q-1) > 1e-12 {
		t.Errorf("the other way round: %v", q)
	}
	if welch([]float64{2, 2}, []float64{1, 1}) != 0 || welch([]float64{1, 1}, []float64{1, 1}) != 1 || welch([]float64{1}, off) != 1 {
		t.Error("without variance, or without values")
	}
}

func BenchmarkNext(b *testing.B) {
	b.ReportAllocs()
	l := []float64{0.002, 0.003, 0.002}
	for b.Loop() {
		s, _ := New(Allow("x"), Config{})
		now := time.Unix(0, 0)
		for a := s.Next(Observation{At: now}); !a.Done; a = s.Next(Observation{At: now, Latencies: l}) {
			now = now.Add(a.For)
		}
	}
}
