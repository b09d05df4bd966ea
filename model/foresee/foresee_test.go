package foresee

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/ml/calibrate"
	"foresail.dev/ml/nn"
	"foresail.dev/model/foresee/label"
	"foresail.dev/model/foresee/network"
)

var begin = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

func chain(n int) *foresail.App {
	app := &foresail.App{Name: "chain", Endpoints: []foresail.Endpoint{{Name: "all", Operation: "all", Objective: &foresail.Objective{Percentile: 99, Latency: 100 * time.Millisecond}}}}
	for i := range n {
		app.Services = append(app.Services, foresail.Service{Name: fmt.Sprint("s", i)})
	}
	return app
}

// beatOf is a snapshot with so many in flight in each service.
func beatOf(t int, inFlight []float64) *foresail.Snapshot {
	s := &foresail.Snapshot{Start: begin.Add(time.Duration(t) * foresail.Beat), Services: make([]foresail.ServiceStats, len(inFlight))}
	s.End = s.Start.Add(foresail.Beat)
	for i, v := range inFlight {
		u := &s.Services[i].Usage
		u.Has = foresail.SignalInFlight | foresail.SignalQueue
		u.InFlight = foresail.Gauge{Last: v, Mean: v, Max: v}
		u.Queue = foresail.Gauge{Last: v / 2, Mean: v / 2, Max: v / 2}
	}
	return s
}

// made is a run in which each 200 beats the queue of one service, and a little less those of all that lead to it, grow for
// five beats, and then an objective is broken for a while.
func made(services, episodes int, seed uint64) *Run {
	rng := rand.New(rand.NewPCG(seed, 0))
	rec := NewRecorder(chain(services), fmt.Sprint("run ", seed), 0)
	var all []label.Episode
	culprit := 0
	for t := range 200 * (episodes + 1) {
		k := t % 200
		if k == 0 {
			culprit = rng.IntN(services)
		}
		v := make([]float64, services)
		for s := range v {
			v[s] = 4 + rng.Float64()
			if grown := k - 100; t > 200 && grown >= 0 && grown < 30 && s <= culprit {
				v[s] += float64(10*min(grown, 10)+10) * math.Pow(0.5, float64(culprit-s))
			}
		}
		snap := beatOf(t, v)
		for s := range services - 1 {
			snap.Edges = append(snap.Edges, foresail.EdgeStats{From: foresail.ServiceID(s), To: foresail.ServiceID(s + 1), Calls: 1})
		}
		rec.Add(snap)
		if t > 200 && k == 105 {
			all = append(all, label.Episode{Start: snap.Start.Add(-2 * foresail.Beat), Broken: snap.End, End: snap.End.Add(3 * time.Second), Over: snap.End.Add(5 * time.Second), Culprit: foresail.ServiceID(culprit)})
		}
	}
	r := rec.Run()
	r.Episodes = all
	return r
}

func small(kind network.Kind) Config {
	c := Default()
	c.Network, c.Signal, c.Window, c.Horizon, c.Epochs, c.Rate, c.Source = kind, Application, 5, 300*time.Millisecond, 10, 0.005, "a test"
	return c
}

func trained(t testing.TB, kind network.Kind) *Model {
	t.Helper()
	m, _, err := Train(context.Background(), SchemaOf(chain(4)), []*Run{made(4, 40, 1), made(4, 40, 2)}, small(kind), nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Each network learns what grows and whose it is, and says so of a run that it has not seen.
func TestQueuesThatGrowAreForeseen(t *testing.T) {
	for _, kind := range network.Kinds {
		m := trained(t, kind)
		unseen := []*Run{made(4, 40, 3)}
		r := Evaluate(JudgeAll(m, unseen, m.Horizon(), m.Beats()), m.Threshold())
		if len(r.Outcomes) != 40 || r.Recall() < 0.9 || r.Precision() < 0.9 || r.Top1(unseen) < 0.9 || r.Lead() < foresail.Beat {
			t.Errorf("%s: recall %.2f of %d, precision %.2f, culprits %.2f, lead %s", kind, r.Recall(), len(r.Outcomes), r.Precision(), r.Top1(unseen), r.Lead())
		}
	}
}

// The same seed gives the same model, byte for byte; a file gives back what was written; as beats come it says what it says of a whole run, and
// allocates nothing.
func TestModelsAreFiles(t *testing.T) {
	m := trained(t, network.CNN)
	var file, again bytes.Buffer
	if err := Write(&file, m); err != nil {
		t.Fatal(err)
	}
	if err := Write(&again, trained(t, network.CNN)); err != nil || !bytes.Equal(file.Bytes(), again.Bytes()) {
		t.Errorf("the same training gave another model: %v", err)
	}
	got, err := Read(bytes.NewReader(file.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Fits(chain(4)); err != nil {
		t.Error(err)
	}
	if err := got.Fits(chain(5)); err == nil || !strings.Contains(err.Error(), "4 services") {
		t.Errorf("of another application: %v", err)
	}
	r := made(4, 3, 9)
	whole := make([]Judgement, r.Beats())
	m.Judge(r, whole)
	w := got.Watcher()
	v := make([]float64, 4)
	alarms := 0
	for b := range r.Beats() {
		for s := range v {
			v[s] = float64(r.At(b)[s*Numbers])
		}
		f, ok := w.Add(beatOf(b, v))
		if ok != (b >= m.Beats()-1) {
			t.Fatalf("beat %d: %v", b, ok)
		}
		if ok && (f.Service != whole[b].Service || f.Alarm != (whole[b].Score >= m.Threshold()) || !(f.Probability >= 0 && f.Probability <= 1) || f.Share > 1+1e-9) {
			t.Fatalf("beat %d: %+v and %+v", b, f, whole[b])
		}
		if f.Alarm {
			alarms++
		}
	}
	if alarms == 0 {
		t.Error("no alarm")
	}
	next := r.Beats()
	s := beatOf(next, v)
	if n := testing.AllocsPerRun(50, func() {
		w.Add(s)
		s.Start, s.End = s.End, s.End.Add(foresail.Beat)
	}); n != 0 {
		t.Errorf("%v allocations a beat", n)
	}
}

// What is missing, late, stale or of other services makes a watcher wait for a whole window again, and says nothing wrong.
func TestGapsAreWaitedOut(t *testing.T) {
	m := untrained(network.Hybrid, 4, Application, 5)
	v := []float64{1, 2, 3, 4}
	for name, odd := range map[string]func(*foresail.Snapshot){
		"stale":    func(s *foresail.Snapshot) { s.Stale = true },
		"long":     func(s *foresail.Snapshot) { s.End = s.Start.Add(time.Second) },
		"services": func(s *foresail.Snapshot) { s.Services = s.Services[:3] },
		"missing":  func(s *foresail.Snapshot) { s.Start, s.End = s.Start.Add(foresail.Beat), s.End.Add(foresail.Beat) },
	} {
		w := m.Watcher()
		for b := range 5 {
			if _, ok := w.Add(beatOf(b, v)); ok != (b == 4) {
				t.Fatalf("%s: beat %d: %v", name, b, ok)
			}
		}
		s := beatOf(5, v)
		odd(s)
		if _, ok := w.Add(s); ok {
			t.Errorf("%s: something is said", name)
		}
	}
	w := m.Watcher() // what was not observed counts as ever
	for b := range 5 {
		s := beatOf(b, v)
		s.Services[2].Has = 0
		if f, ok := w.Add(s); ok && math.IsNaN(f.Probability) {
			t.Errorf("%+v", f)
		}
	}
}

// says is what a detector said, beat by beat.
type says []float64

func (s says) Judge(_ *Run, out []Judgement) {
	for t := range out {
		out[t] = Judgement{Score: s[t], Service: 1}
	}
}

// One episode, started at beat 60, broken at the end of beat 64: with a horizon of 200 ms beats 62 and 63 are before it, and
// 59 to 61 its first.
func TestWhatCounts(t *testing.T) {
	r := &Run{Start: begin, Beat: foresail.Beat, Services: 2, Values: make([]float32, 200*2*Numbers),
		Episodes: []label.Episode{{Start: begin.Add(6 * time.Second), Broken: begin.Add(6500 * time.Millisecond), Over: begin.Add(15 * time.Second), Culprit: 1}}}
	for name, c := range map[string]struct {
		alarms       []int
		caught       bool
		right, false int
		lead         time.Duration
	}{
		"in time":            {[]int{63}, true, 1, 0, 100 * time.Millisecond},
		"early":              {[]int{60, 63}, true, 1, 0, 400 * time.Millisecond},
		"too late":           {[]int{64, 65, 100}, false, 0, 0, 0},
		"before it started":  {[]int{40}, false, 0, 1, 0},
		"one warning":        {[]int{52, 60}, true, 1, 0, 400 * time.Millisecond},
		"two warnings":       {[]int{45, 60}, true, 1, 1, 400 * time.Millisecond},
		"first window":       {[]int{1, 2, 3}, false, 0, 0, 0},
		"after it was over":  {[]int{170}, false, 0, 1, 0},
		"without end before": {ints(10, 64), true, 1, 2, 500 * time.Millisecond},
	} {
		s := make(says, 200)
		for _, a := range c.alarms {
			s[a] = 1
		}
		got := Evaluate(JudgeAll(s, []*Run{r}, 200*time.Millisecond, 5), 1)
		if len(got.Outcomes) != 1 || got.Outcomes[0].Caught != c.caught || got.Right != c.right || got.False != c.false || got.Outcomes[0].Lead != c.lead {
			t.Errorf("%s: %+v", name, got)
		}
	}
	s := make(says, 200)
	s[30], s[63] = 0.5, 0.7
	all := JudgeAll(s, []*Run{r}, 200*time.Millisecond, 5)
	if got := Tune(all, 0.9); got != 0.7 {
		t.Errorf("threshold %v, want that of the episode's own alarm", got)
	}
}

func ints(from, to int) (out []int) {
	for i := from; i < to; i++ {
		out = append(out, i)
	}
	return out
}

func TestOrderIsBackEndFirst(t *testing.T) {
	id := func(n ...foresail.ServiceID) []foresail.ServiceID { return n }
	for _, c := range []struct {
		n     int
		calls [][2]foresail.ServiceID
		want  []foresail.ServiceID
	}{
		{3, [][2]foresail.ServiceID{{0, 1}, {1, 2}}, id(2, 1, 0)},
		{4, [][2]foresail.ServiceID{{3, 0}, {0, 1}, {3, 2}, {2, 1}}, id(1, 0, 2, 3)},
		{3, [][2]foresail.ServiceID{{0, 1}, {1, 0}, {2, 2}}, id(2, 1, 0)},
		{2, nil, id(0, 1)},
	} {
		if got := Order(c.n, c.calls); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.calls, got, c.want)
		}
	}
}

func TestBadTrainingIsNamed(t *testing.T) {
	two := []*Run{made(4, 2, 1), made(4, 2, 2)}
	quiet := []*Run{made(4, 0, 1), made(4, 0, 2)}
	for want, do := range map[string]func() error{
		"two are needed":               func() error { return train(two[:1], small(network.CNN)) },
		"0 moments before a violation": func() error { return train(quiet, small(network.CNN)) },
		"has 3 services":               func() error { return train([]*Run{two[0], made(3, 2, 1)}, small(network.CNN)) },
		"network \"\"":                 func() error { return train(two, Config{}) },
		"epochs 0":                     func() error { return train(two, Config{}) },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}

func train(runs []*Run, c Config) error {
	_, _, err := Train(context.Background(), SchemaOf(chain(4)), runs, c, nil)
	return err
}

// untrained is a model with weights as they are drawn.
func untrained(kind network.Kind, services int, signal Signal, window int) *Model {
	m := &Model{schema: SchemaOf(chain(services)), beat: foresail.Beat, horizon: 100 * time.Millisecond, signal: signal}
	m.shape = network.Config{Kind: kind, Services: services, Beats: window, Channels: len(signal.columns())}
	for s := range services {
		m.order = append(m.order, foresail.ServiceID(s))
	}
	m.scale = make([]affine, m.width())
	for i := range m.scale {
		m.scale[i] = affine{1, 1}
	}
	m.weights = network.New[float32](m.shape, nn.NewRand(1, 1)).Params()
	m.odds, _ = calibrate.FitSteps([]float64{-1, 0, 1}, []float64{0, 0, 1}, nil)
	m.trained.Source = "a test"
	return m
}

func FuzzUnmarshalBinary(f *testing.F) {
	for _, kind := range network.Kinds {
		file, err := untrained(kind, 3, Application, 3).MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file)
		f.Add(file[:len(file)/2])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m := &Model{}
		if m.UnmarshalBinary(data) != nil {
			return
		}
		again, err := m.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if err := (&Model{}).UnmarshalBinary(again); err != nil {
			t.Fatalf("what was read and written can't be read: %v", err)
		}
	})
}

func BenchmarkForesee36(b *testing.B)   { benchmark(b, 36) }
func BenchmarkForesee386(b *testing.B)  { benchmark(b, 386) }
func BenchmarkForesee5000(b *testing.B) { benchmark(b, 5000) }

// benchmark is one beat: a snapshot becomes a forecast.
func benchmark(b *testing.B, services int) {
	for _, kind := range network.Kinds {
		b.Run(string(kind), func(b *testing.B) {
			d := Default()
			w := untrained(kind, services, d.Signal, d.Window).Watcher()
			s := beatOf(0, make([]float64, services))
			next := func() {
				w.Add(s)
				s.Start, s.End = s.End, s.End.Add(foresail.Beat)
			}
			for range d.Window {
				next()
			}
			b.ReportAllocs()
			for b.Loop() {
				next()
			}
		})
	}
}

// A thinned run keeps each moment before a violation with all that is seen of it, and of the others those of some blocks; what is kept is
// what was observed.
func TestThinnedRunsKeepWhatIsLearntFrom(t *testing.T) {
	const window, horizon = 5, 300 * time.Millisecond
	order := Order(4, nil)
	for share, none := range map[float64]func(whole, thin int) bool{
		0:   func(_, thin int) bool { return thin == 0 },
		0.3: func(whole, thin int) bool { return thin > whole/10 && thin < whole/2 },
		1:   func(whole, thin int) bool { return thin == whole },
	} {
		whole, thin := made(4, 40, 1), made(4, 40, 1)
		thin.Thin(window, horizon, share, nn.NewRand(7, 7))
		ahead, quiet := samples([]*Run{whole}, window, horizon, order)
		ahead2, quiet2 := samples([]*Run{thin}, window, horizon, order)
		if len(ahead) == 0 || !slices.Equal(ahead, ahead2) || !none(len(quiet), len(quiet2)) {
			t.Errorf("of a share of %v: %d of %d moments before violations, %d of %d quiet ones", share, len(ahead2), len(ahead), len(quiet2), len(quiet))
		}
		for _, s := range append(ahead2, quiet2...) {
			for b := s.beat - window + 1; b <= s.beat; b++ {
				if !slices.Equal(whole.At(int(b))[:2], thin.At(int(b))[:2]) {
					t.Fatalf("beat %d is %v and was %v", b, thin.At(int(b)), whole.At(int(b)))
				}
			}
		}
		if share < 1 && 2*len(thin.Values) > len(whole.Values) || thin.Beats() != whole.Beats() {
			t.Errorf("of a share of %v: %d of %d numbers are kept, of %d and %d beats", share, len(thin.Values), len(whole.Values), thin.Beats(), whole.Beats())
		}
	}
}

// Runs that are held out are judged as a whole, so a thinned one among them is refused; those that are learnt from may be thinned.
func TestThinnedRunsAreLearntFromAlone(t *testing.T) {
	cfg := small(network.CNN)
	cfg.Epochs = 1
	runs := []*Run{made(4, 10, 1), made(4, 10, 2), made(4, 10, 3)}
	learn, held := Split(runs, &cfg)
	if len(learn) != 2 || len(held) != 1 || slices.Contains(learn, held[0]) {
		t.Fatalf("%d and %d of 3 runs", len(learn), len(held))
	}
	for _, r := range learn {
		r.Thin(cfg.Window, cfg.Horizon, 0.3, nn.NewRand(1, 1))
	}
	if _, _, err := Train(context.Background(), SchemaOf(chain(4)), runs, cfg, nil); err != nil {
		t.Error(err)
	}
	held[0].Thin(cfg.Window, cfg.Horizon, 0.3, nn.NewRand(1, 1))
	if _, _, err := Train(context.Background(), SchemaOf(chain(4)), runs, cfg, nil); err == nil || !strings.Contains(err.Error(), held[0].Name) {
		t.Errorf("a thinned run is held out: %v", err)
	}
}
