package cgroup

import (
	"math"
	"os/exec"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Against a stupid oracle: threads that spin on a CPU each, period by period. What the kernel adds up for each CPU becomes
// the time on the clock during which none of them ran.
func TestWaited(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		threads := rapid.IntRange(1, 64).Draw(t, "threads")
		cores := rapid.Float64Range(MinCores, float64(threads)).Draw(t, "cores")
		var before, now Stats
		before.Throttled, before.Limited = time.Hour, 1000
		now = before
		clock := 0.0
		for range rapid.IntRange(0, 20).Draw(t, "periods") {
			ran := cores * Period.Seconds() / float64(threads) // all of them at once, until the quota is gone
			if waits := Period.Seconds() - ran; waits > 1e-6 {
				clock += waits
				now.Throttled += time.Duration(waits * float64(threads) * 1e9)
				now.Limited++
			}
		}
		if got := now.Waited(before, cores).Seconds(); math.Abs(got-clock) > 1e-3*clock+1e-6 {
			t.Fatalf("%v s, not %v", got, clock)
		}
	})
	early := Stats{Throttled: 40 * time.Millisecond} // a quota that was written let them go on: no period was counted
	if got := early.Waited(Stats{}, 0.5); got != 40*time.Millisecond {
		t.Errorf("%v of a period that ended early", got)
	}
	for _, same := range []Stats{{}, {Throttled: time.Second, Limited: 10}} {
		if got := same.Waited(same, 0.5); got != 0 {
			t.Errorf("%v when nothing happened", got)
		}
	}
}

// This machine's kernel counts a wait once for each CPU that had threads of the group.
func TestWaitedReal(t *testing.T) {
	h, parent := real(t)
	const cores = 0.2
	for spinning := 1; spinning <= 3; spinning++ {
		g, err := h.Make(parent + "/spin")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.SetCPU(cores); err != nil {
			t.Fatal(err)
		}
		var all []*exec.Cmd
		for range spinning {
			cmd := exec.Command("sh", "-c", "read go; while :; do :; done")
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			all = append(all, cmd)
			if err := g.Add(cmd.Process.Pid); err != nil {
				t.Fatal(err)
			}
			in.Close()
		}
		before, err := g.Read()
		if err != nil {
			t.Fatal(err)
		}
		start, now := time.Now(), before
		for now.Limited-before.Limited < 8 && time.Since(start) < 20*time.Second {
			time.Sleep(5 * time.Millisecond)
			if now, err = g.Read(); err != nil {
				t.Fatal(err)
			}
		}
		wall := time.Since(start) + Period // the first wait may have begun before
		if share := now.Waited(before, cores).Seconds() / wall.Seconds(); share > 1 || share < 0.4 {
			t.Errorf("%d spinning: waited for %.2f of the time; the kernel tells %v of %v", spinning, share, now.Throttled-before.Throttled, wall)
		}
		t.Logf("%d spinning for %v: the kernel tells %v, which is %v on the clock", spinning, wall, now.Throttled-before.Throttled, now.Waited(before, cores))
		if err := g.Remove(); err != nil {
			t.Fatal(err)
		}
		for _, cmd := range all {
			_ = cmd.Wait()
		}
	}
}
