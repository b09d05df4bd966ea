package load

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"foresail.dev"
	"foresail.dev/telemetry/agent/probe"
)

// tiny are caches so small that loads and victims are made in no time.
var tiny = Sizes{L1: 16 << 10, L2: 64 << 10, LastLevel: 256 << 10}

func config(t *testing.T) Config {
	t.Helper()
	s, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return Config{Dir: t.TempDir(), Peer: s.Addr(), Sizes: tiny, Threads: 1}
}

// Each resource can be loaded, and each has a victim; what they took is given back.
func TestEveryLoadAndVictim(t *testing.T) {
	c := config(t)
	for _, r := range probe.Outwards() {
		before := descriptors(t)
		l, err := Open(r, c)
		var u *Unavailable
		if errors.As(err, &u) && u.Resource == r && u.Reason != "" {
			t.Logf("%v", err)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, intensity := range []float64{0.1, 1} {
			if worked, err := l.Burst(intensity, 2*time.Millisecond); err != nil || worked < 0 || worked > 1 {
				t.Errorf("%s: %v, %v", r, worked, err)
			}
		}
		v, err := OpenVictim(r, c)
		if err != nil {
			t.Fatal(err)
		}
		for _, cold := range []bool{false, true} {
			if p, err := v.Suffer(time.Millisecond, cold); err != nil || !(p.Wall > 0) || v.Computes() && !(p.CPU > 0) {
				t.Errorf("%s: %+v, %v", r, p, err)
			}
		}
		if err := errors.Join(v.Close(), l.Close(), l.Close()); err != nil {
			t.Errorf("%s: %v", r, err)
		}
		if left, _ := os.ReadDir(c.Dir); len(left) > 0 {
			t.Errorf("%s leaves %v", r, left)
		}
		if after := descriptors(t); r != probe.Network && after != before { // the sink's own go a little later
			t.Errorf("%s: %d descriptors are open, %d before", r, after, before)
		}
	}
}

func descriptors(t *testing.T) int {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestIntensityIsAShare(t *testing.T) {
	l, err := Open(probe.IntegerCore, Config{Sizes: tiny, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []float64{0, -1, 1.1} {
		if _, err := l.Burst(wrong, time.Millisecond); err == nil || !strings.Contains(err.Error(), "integer-core probe: intensity") {
			t.Errorf("%v: %v", wrong, err)
		}
	}
	worked, err := l.Burst(0.2, 40*time.Millisecond)
	if err != nil || worked*0.2 > 0.5 {
		t.Errorf("at a fifth it works for %.0f %% of the time: %v", worked*20, err)
	}
	if _, err := Open("gpu", Config{Sizes: tiny}); err == nil {
		t.Error("there is no such resource")
	}
}

// A network needs somebody at its other end.
func TestWhatCannotBeLoadedSaysWhy(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	for _, peer := range []string{"", gone.Addr().String()} {
		_, err := Open(probe.Network, Config{Peer: peer, Sizes: tiny})
		var u *Unavailable
		if !errors.As(err, &u) || !strings.Contains(u.Error(), "network-bandwidth probe: unavailable: ") {
			t.Errorf("%q: %v", peer, err)
		}
	}
	if _, err := Open(probe.Disk, Config{Dir: filepath.Join(t.TempDir(), "no"), Sizes: tiny}); err == nil || !strings.Contains(err.Error(), "folder") {
		t.Errorf("%v", err)
	}
}

// A sink takes what probes send, and nothing else.
func TestSink(t *testing.T) {
	s, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, n := range []uint32{0, 5, largest, largest + 1} {
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		head := binary.BigEndian.AppendUint32(nil, n)
		if _, err := conn.Write(append(head, make([]byte, min(n, largest))...)); err != nil && n <= largest {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(io.LimitReader(conn, 1))
		if taken := len(answer) == 1 && err == nil; taken != (n <= largest) {
			t.Errorf("a message of %d bytes: %v, %v", n, answer, err)
		}
		_ = conn.Close()
	}
	if _, err := Listen(s.Addr()); err == nil {
		t.Error("two sinks at one address")
	}
}

func TestSizes(t *testing.T) {
	root := t.TempDir()
	write := func(path, text string) {
		path = filepath.Join(root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if got := ReadSizes(root+"/sys", root+"/proc"); got != usual {
		t.Errorf("nothing is told: %+v", got)
	}
	write("proc/cpuinfo", "processor\t: 0\ncache size\t: 1024 KB\n")
	if got := ReadSizes(root+"/sys", root+"/proc"); got.L2 != 1<<20 || !got.Assumed {
		t.Errorf("of cpuinfo: %+v", got)
	}
	for i, x := range [][3]string{{"1", "Data", "48K"}, {"1", "Instruction", "64K"}, {"2", "Unified", "2048K"}, {"3", "Unified", "36M"}} {
		dir := "sys/devices/system/cpu/cpu0/cache/index" + string(rune('0'+i))
		write(dir+"/level", x[0]+"\n")
		write(dir+"/type", x[1]+"\n")
		write(dir+"/size", x[2]+"\n")
	}
	if got := ReadSizes(root+"/sys", root+"/proc"); got != (Sizes{48 << 10, 2 << 20, 36 << 20, false}) {
		t.Errorf("of sysfs: %+v", got)
	}
}

func FuzzBytes(f *testing.F) {
	for _, s := range []string{"32K", "1024 K", "16M", "7", "", "-1K", "9999999999999999999M"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n := bytes(s); n < 0 || n > 1<<60 {
			t.Errorf("%q is %d bytes", s, n)
		}
	})
}

// world is a suspect and all loads, in a time of its own: nothing is really loaded.
type world struct {
	slows    map[probe.Resource]float64
	risky    func(now, began time.Time) bool
	began    time.Time
	now      probe.Resource
	open     int
	loaded   []probe.Resource
	fails    probe.Resource
	loads    float64
	lastLoad time.Time
}

func (w *world) Observe() ([]float64, bool) {
	slow := 1 + w.loads*w.slows[w.now]
	w.loads = 0
	return []float64{0.002 * slow, 0.0021 * slow}, w.risky != nil && w.risky(time.Now(), w.began)
}

type fake struct {
	*world
	of     probe.Resource
	closed bool
}

func (l *fake) Burst(intensity float64, d time.Duration) (float64, error) {
	time.Sleep(d)
	l.loads, l.lastLoad = intensity, time.Now()
	if l.of == l.fails {
		return 0, errors.New("it broke")
	}
	return 1, nil
}

func (l *fake) Close() error {
	if l.closed {
		return errors.New("closed twice")
	}
	l.closed = true
	l.world.open--
	return nil
}

func (w *world) opened(r probe.Resource) (Loader, error) {
	w.open++
	w.now = r
	w.loaded = append(w.loaded, r)
	return &fake{world: w, of: r}, nil
}

func (w *world) run(t *testing.T, ctx context.Context, lacks ...probe.Resource) (*probe.Search, error) {
	t.Helper()
	w.began = time.Now()
	s, err := probe.New(probe.Allow("test"), probe.Config{Unavailable: func(r probe.Resource) error {
		if slices.Contains(lacks, r) {
			return &Unavailable{r, "not here"}
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	err = Run(ctx, s, w.opened, w)
	if w.open != 0 {
		t.Errorf("%d loads are left open", w.open)
	}
	return s, err
}

// Bursts of 10 ms until latency differs, or for two seconds; from the core outwards; then no more.
func TestASearchIsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{slows: map[probe.Resource]float64{probe.L2: 0.5, probe.Disk: 1}}
		s, err := w.run(t, t.Context(), probe.FloatCore)
		if err != nil {
			t.Fatal(err)
		}
		at, trials, _ := s.Result()
		if at != probe.L2 || len(trials) != 5 || trials[1].Unavailable == "" {
			t.Errorf("%s: %+v", at, trials)
		}
		if want := []probe.Resource{probe.IntegerCore, probe.L1Instructions, probe.L1Data, probe.L2}; !slices.Equal(w.loaded, want) {
			t.Errorf("loaded: %v", w.loaded)
		}
		if took := time.Since(w.began); took > 8*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// An objective at risk ends all loads at once: no burst begins later than one burst after.
func TestAnObjectiveAtRiskStopsLoads(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		after := time.Duration(rapid.IntRange(0, 5000).Draw(r, "ms")) * time.Millisecond
		synctest.Test(t, func(t *testing.T) {
			w := &world{risky: func(now, began time.Time) bool { return now.Sub(began) >= after }}
			s, err := w.run(t, t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, _, stopped := s.Result(); !stopped {
				t.Error("it was not stopped")
			}
			if late := w.lastLoad.Sub(w.began) - after; !w.lastLoad.IsZero() && late > 10*time.Millisecond {
				t.Errorf("something was loaded %v after", late)
			}
		})
	})
}

func TestALoadThatFailsEndsASearch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{fails: probe.FloatCore}
		if _, err := w.run(t, t.Context()); err == nil || err.Error() != "it broke" {
			t.Error(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		w = &world{}
		if _, err := w.run(t, ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(w.began) > 1010*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(w.began))
		}
	})
}

// A suspect is asked for as long as it is suspected; answers that say it has failed count as such.
func TestAsked(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/broken" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	o := foresail.Objective{Percentile: 99, Latency: time.Minute}
	a, err := Ask(t.Context(), server.Client(), server.URL, o)
	if err != nil {
		t.Fatal(err)
	}
	for {
		if l, risk := a.Observe(); risk {
			t.Error("nothing is late")
		} else if len(l) > 0 && l[0] > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if a, err = Ask(t.Context(), server.Client(), server.URL+"/broken", o); err != nil {
		t.Fatal(err)
	}
	for risk := false; !risk; _, risk = a.Observe() {
		time.Sleep(time.Millisecond)
	}
	if err := a.Close(); err == nil || !strings.Contains(err.Error(), "500") {
		t.Error(err)
	}
	if _, err := Ask(t.Context(), server.Client(), "::", o); err == nil {
		t.Error("no URL")
	}
}

// Of p99 over 200 requests two may be late: the second is more than half of them, and what was at risk stays so.
func TestAtRisk(t *testing.T) {
	a := &Asked{objective: foresail.Objective{Percentile: 99, Latency: 10 * time.Millisecond}}
	risk := func(took time.Duration, want bool) {
		t.Helper()
		a.take(took, nil)
		if _, got := a.Observe(); got != want {
			t.Errorf("at risk is %t", got)
		}
	}
	risk(time.Millisecond, false)
	risk(time.Second, false)
	for range remembered {
		risk(time.Millisecond, false)
	}
	risk(time.Second, false)
	risk(time.Second, true)
	risk(time.Millisecond, true)
}

// On a machine that does nothing else some cells are measured; on any, each says what it is or why not.
func TestMeasure(t *testing.T) {
	c := config(t)
	p := Plan{Load: c, Victim: c, Rounds: 5, Length: time.Millisecond, Pairs: func(p, v probe.Resource) bool { return p == v }}
	for _, p.After = range []bool{false, true} {
		cells, err := Measure(t.Context(), p, func(float64) {})
		if err != nil || len(cells) != 10 {
			t.Fatalf("%d cells, %v", len(cells), err)
		}
		for _, x := range cells {
			if (x.Unavailable == "") != (x.Price > 0) || x.Told() && (x.Rise < Felt || x.Unavailable != "") {
				t.Errorf("%+v", x)
			}
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := Measure(ctx, p, func(float64) {}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestLacks(t *testing.T) {
	c := config(t)
	c.Peer = ""
	lacks, err := Lacks(t.Context(), c, []int{0}, func(float64) {})
	if err != nil {
		t.Fatal(err)
	}
	if lacks(probe.Disk) != nil || lacks(probe.Network) == nil || lacks(probe.L2) == nil || !strings.Contains(lacks(probe.L2).Error(), "one CPU") {
		t.Error(lacks(probe.Disk), lacks(probe.Network), lacks(probe.L2))
	}
}

func BenchmarkChunk(b *testing.B) {
	for _, r := range probe.Outwards()[:8] {
		b.Run(string(r), func(b *testing.B) {
			w, free, err := newWorker(r, Config{}.complete(), true)
			if err != nil {
				b.Skip(err)
			}
			if free != nil {
				defer func() { _ = free() }()
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := w.chunk(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
