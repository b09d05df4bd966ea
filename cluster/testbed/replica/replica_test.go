package replica

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed/wire"
	"pgregory.net/rapid"
)

// The gate against a stupid oracle: a list of those at work and a count of those that wait.
func TestGate(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		workers, queue := rapid.IntRange(0, 3).Draw(r, "workers"), rapid.IntRange(0, 3).Draw(r, "queue")
		steps := rapid.SliceOfN(rapid.Bool(), 0, 30).Draw(r, "arrivals and departures")
		synctest.Test(t, func(t *testing.T) {
			g := newGate(workers, queue)
			var mu sync.Mutex
			working, waiting, refused := 0, 0, 0 // the oracle's
			entered, turned := 0, 0              // the gate's
			for _, arrival := range steps {
				switch {
				case arrival:
					go func() {
						ok := g.enter()
						mu.Lock()
						defer mu.Unlock()
						if ok {
							entered++
						} else {
							turned++
						}
					}()
					switch {
					case workers == 0 || working < workers:
						working++
					case waiting < queue:
						waiting++
					default:
						refused++
					}
				case working > 0:
					g.leave()
					mu.Lock()
					entered--
					mu.Unlock()
					if working--; waiting > 0 {
						waiting--
						working++
					}
				}
				synctest.Wait()
				if entered != working || turned != refused {
					t.Errorf("%d workers, queue %d: %d at work and %d refused, not %d and %d", workers, queue, entered, turned, working, refused)
				}
			}
			for range working + waiting { // let those that wait end
				g.leave()
				synctest.Wait()
			}
		})
	})
}

// Draws have the mean and the spread that are asked for.
func TestDraw(t *testing.T) {
	for _, d := range []foresail.Dist{
		{}, {Mean: 0.002}, {Shape: foresail.Exponential, Mean: 0.002}, {Shape: foresail.LogNormal, Mean: 0.002}, {Shape: foresail.LogNormal, Mean: 0.002, CV: 0.8},
	} {
		const n = 200_000
		dice := newDice(1, "test")
		sum, squares := 0.0, 0.0
		for range n {
			x := dice.draw(d).Seconds()
			sum += x
			squares += x * x
		}
		mean := sum / n
		sd := math.Sqrt(math.Max(squares/n-mean*mean, 0))
		cv := d.CV
		if d.Shape == foresail.Exponential {
			cv = 1
		}
		if math.Abs(mean-d.Mean) > 0.02*d.Mean || math.Abs(sd-cv*d.Mean) > 0.05*d.Mean {
			t.Errorf("%v: mean %.6f, deviation %.6f", d, mean, sd)
		}
	}
	a, b, again := newDice(1, "a"), newDice(1, "b"), newDice(1, "a")
	if x, y, z := a.uniform(), b.uniform(), again.uniform(); x == y || x != z {
		t.Errorf("replicas draw %v and %v, and again %v", x, y, z)
	}
}

// Burning uses the CPU time asked for, however many burn at once and whoever else wants the CPU.
func TestBurnUsesWhatIsAsked(t *testing.T) {
	b := newBurner()
	burn := func(d time.Duration) time.Duration {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		start := threadCPU()
		b.burn(d)
		return threadCPU() - start
	}
	for _, d := range []time.Duration{0, 50 * time.Microsecond, time.Millisecond, 20 * time.Millisecond} {
		var wait sync.WaitGroup
		for range 3 {
			wait.Go(func() {
				// Going from thread to thread between turns, as this test must to look at one clock, costs beside the spinning,
				// and once in a while much: never is less burnt than asked for, and mostly not more.
				var used []time.Duration
				for range 7 {
					used = append(used, burn(d))
				}
				slices.Sort(used)
				if used[0] < d-near || used[3] > d+max(d/4, time.Millisecond/2) {
					t.Errorf("burnt %v instead of %v", used, d)
				}
			})
		}
		wait.Wait()
	}
}

// The disk serves one after the other, holds each for its time, and really moves bytes.
func TestDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	d, err := newDisk(path, 3<<20, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the data file has a name that may stay behind: %v", err)
	}
	if info, err := d.file.Stat(); err != nil || info.Size() < 3<<20 {
		t.Errorf("the data file: %v, %v", info, err)
	}
	before := ioBytes(t)
	start := time.Now()
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			if err := d.use(20*time.Millisecond, &foresail.Demand{Read: 1 << 20, Write: 2 << 20}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if took := time.Since(start); took < 80*time.Millisecond {
		t.Errorf("four requests of 20 ms took %v", took)
	}
	if moved := ioBytes(t) - before; moved < 12<<20 {
		t.Errorf("%d bytes were read and written, not 12 MiB", moved)
	}
	none, err := newDisk(path, 0, false)
	if err != nil || none.file != nil || none.use(0, &foresail.Demand{}) != nil {
		t.Errorf("a disk that nobody reads or writes: %+v, %v", none, err)
	}
	if _, err := newDisk(filepath.Join(path, "no", "such"), 1, false); err == nil {
		t.Error("a data file in a directory that is not there was made")
	}
}

// What memory and disk take of the CPU is measured: a page costs something, and far less than writing it to a medium would.
func TestCostsAreMeasured(t *testing.T) {
	d, err := newDisk(filepath.Join(t.TempDir(), "data"), 1<<20, false)
	if err != nil {
		t.Fatal(err)
	}
	c, err := measure(d)
	if err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string]time.Duration{
		"memory": c.of(&foresail.Demand{Memory: 1 << 20}), "reading": c.of(&foresail.Demand{Read: 1 << 20}), "writing": c.of(&foresail.Demand{Write: 1 << 20}),
	} {
		if got < time.Microsecond || got > 20*time.Millisecond {
			t.Errorf("%s of a MiB costs %v of CPU", what, got)
		}
	}
	if none, err := measure(&disk{}); err != nil || none.read != 0 || none.write != 0 {
		t.Errorf("without a disk: %+v, %v", none, err)
	}
}

// ioBytes is how many bytes this process has read and written with system calls.
func ioBytes(t *testing.T) (sum int64) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skipf("this kernel doesn't count a process's bytes (Linux with task accounting does, as in CI): %v", err)
	}
	var read, write int64
	if _, err := fmt.Sscanf(string(b), "rchar: %d\nwchar: %d", &read, &write); err != nil {
		t.Fatal(err)
	}
	return read + write
}

// Memory is in use as long as it is held.
func TestMemoryIsTouched(t *testing.T) {
	before := resident()
	var h held
	for range 4 {
		if err := h.add(8 << 20); err != nil {
			t.Fatal(err)
		}
	}
	if grown := resident() - before; grown < 30<<20 {
		t.Errorf("32 MiB held, %d bytes resident", grown)
	}
	h.release()
	if left := resident() - before; left > 16<<20 {
		t.Errorf("%d bytes still resident after the release", left)
	}
	if err := h.add(1 << 60); err == nil {
		t.Error("an exabyte was allocated")
	}
}

// A cold replica's demand falls linearly from its factor to one.
func TestWarmup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &replica{service: &foresail.ServiceBlueprint{Warmup: 8 * time.Second, ColdFactor: 3}, clock: wire.NewClock(wire.NewEpoch())}
		for _, delay := range []time.Duration{-time.Second, 0, 10 * time.Second} { // until the start-up delay is over
			r.boot = &wire.Boot{Cold: true, Admitted: r.clock.Elapsed() + delay}
			r.listens()
			time.Sleep(max(delay, 0))
			for i, want := range []float64{3, 2.5, 2, 1.5, 1, 1} {
				if got := r.coldness(); math.Abs(got-want) > 1e-9 {
					t.Errorf("start-up delay %v, %d s after: %v, not %v", delay, 2*i, got, want)
				}
				time.Sleep(2 * time.Second)
			}
		}
		r.boot.Cold = false
		r.listens()
		if got := r.coldness(); got != 1 {
			t.Errorf("a replica of the first allocation is cold: %v", got)
		}
	})
}

// A drained replica waits until it is idle and nobody has called for a while, but no longer than the limit.
func TestDrainWaits(t *testing.T) {
	for _, test := range []struct{ busy, want time.Duration }{
		{0, quiet}, {12 * time.Second, 12*time.Second + quiet}, {time.Hour, 30 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := &replica{}
			r.inFlight.Add(1)
			answered := time.AfterFunc(test.busy, func() { r.inFlight.Add(-1) })
			defer answered.Stop()
			start := time.Now()
			r.finish()
			if took := time.Since(start); took < test.want || took > test.want+50*time.Millisecond {
				t.Errorf("with a request for %v it waited %v, not %v", test.busy, took, test.want)
			}
		})
	}
}

func TestLargest(t *testing.T) {
	miss := []foresail.Step{{Work: foresail.Demand{Write: 9}}}
	ops := []foresail.Operation{{Steps: []foresail.Step{{Work: foresail.Demand{Read: 5}}, {Calls: []foresail.Call{{Miss: miss}}}}}}
	if n := largest(ops); n != 9 {
		t.Errorf("the largest access is %d", n)
	}
}

func BenchmarkBurn(b *testing.B) {
	burner := newBurner()
	b.ReportAllocs()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := threadCPU()
	for b.Loop() {
		burner.burn(time.Millisecond)
	}
	b.ReportMetric((threadCPU()-start).Seconds()*1e3/float64(b.N), "cpu_ms/burn_of_1ms")
}

// What walks does so much work, and not so much time: it says how many steps, and what is left of a demand to spin.
func TestAWalkIsAPartOfTheWork(t *testing.T) {
	b := &burner{turns: 1}
	if err := b.walks(&foresail.Interference{}); err != nil || b.walk != nil {
		t.Fatalf("a service that fills no cache walks: %v", err)
	}
	if err := b.walks(&foresail.Interference{Cache: 1 << 18, CacheSensitivity: 1}); err != nil {
		t.Fatal(err)
	}
	w := b.walk
	if len(w.lines) != 1<<12 || w.part != 0.5 || !(w.steps > 0) {
		t.Fatalf("%d lines, part %v, %v steps a nanosecond", len(w.lines), w.part, w.steps)
	}
	w.steps = 1e-3
	w.at.Store(0)
	if left := w.some(2 * time.Millisecond); left != time.Millisecond {
		t.Errorf("%v of 2 ms are left", left)
	}
	at := uint32(0)
	for range 1000 {
		at = w.lines[at].next
	}
	if w.at.Load() != at {
		t.Errorf("it is at line %d after 1000 steps, not at %d", w.at.Load(), at)
	}
	seen := map[uint32]bool{}
	for at := uint32(0); !seen[at]; at = w.lines[at].next {
		seen[at] = true
	}
	if len(seen) != len(w.lines) {
		t.Errorf("a round has %d of %d lines", len(seen), len(w.lines))
	}
	var none *walk
	if none.some(time.Second) != time.Second {
		t.Error("who doesn't walk spins for all of it")
	}
}

// A file past the kernel's cache is read and written in whole blocks.
func TestADirectDisk(t *testing.T) {
	d, err := newDisk(filepath.Join(t.TempDir(), "data"), 5000, true)
	if errors.Is(err, syscall.EINVAL) {
		t.Skipf("the file system of temporary files opens none past the cache (a disk's does): %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer d.file.Close()
	if d.size%d.block != 0 || d.size < minFile {
		t.Errorf("%d bytes in blocks of %d", d.size, d.block)
	}
	for range 300 { // around the end
		if err := d.use(0, &foresail.Demand{Read: 1, Write: 5000}); err != nil {
			t.Fatal(err)
		}
	}
}
