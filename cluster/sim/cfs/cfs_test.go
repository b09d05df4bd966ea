package cfs

import (
	"math"
	"sort"
	"testing"

	"pgregory.net/rapid"
)

// until runs a cpu on its own events and returns when each frame was done.
func until(c *Group, end int64, done map[int32]int64) {
	for {
		at := c.Next()
		if at > end {
			c.Advance(end)
			return
		}
		c.Advance(at)
		for {
			frame, ok := c.Pop()
			if !ok {
				break
			}
			done[frame] = c.at
		}
	}
}

const milli = int64(1e6)

// Four threads on half a core: 50 ms of CPU last for 12.5 ms of each 100 ms. Threads of 30 ms run 12.5 ms in the first
// period, 12.5 ms in the second and 5 ms in the third.
func TestThrottlingPattern(t *testing.T) {
	c := &Group{Cores: 64 * Core, quota: quota(0.5)}
	for i := range int32(4) {
		c.Add(30*milli, i)
	}
	done := map[int32]int64{}
	until(c, 300*milli, done)
	for i := range int32(4) {
		if done[i] != 205*milli {
			t.Errorf("thread %d was done at %d ns, want 205 ms", i, done[i])
		}
	}
	if want := int64(2 * 87.5 * 1e6); c.Throttled != want {
		t.Errorf("throttled %d ns, want %d", c.Throttled, want)
	}
	if want := 120 * milli; c.Total != want {
		t.Errorf("used %d ns, want %d", c.Total, want)
	}
}

func TestAsManyThreadsAsCoresAreNeverThrottled(t *testing.T) {
	c := &Group{Cores: 64 * Core, quota: quota(3), start: -37 * milli}
	for i := range int32(3) {
		c.Add(1000*milli, i)
	}
	done := map[int32]int64{}
	until(c, 2000*milli, done)
	if done[0] != 1000*milli || done[2] != 1000*milli || c.Throttled != 0 {
		t.Errorf("done at %v, throttled %d ns; want 1000 ms and 0", done, c.Throttled)
	}
}

// A change of the limit begins the running period's quota anew, as Linux does when it is written: who was throttled runs
// on at once, and nothing that the old quota allowed is paid back.
func TestLimitChangesWithinThePeriod(t *testing.T) {
	c := &Group{Cores: 64 * Core, quota: quota(0.2)}
	c.Add(50*milli, 1)
	c.Advance(60 * milli) // 20 ms of work, 40 ms of waiting
	c.Limit(0.25)
	done := map[int32]int64{}
	until(c, 90*milli, done) // 25 ms more, then 5 ms of waiting
	if c.Total != 45*milli || c.Throttled != 45*milli {
		t.Fatalf("used %d and throttled %d ns, want 45 and 45 ms", c.Total, c.Throttled)
	}
	c.Limit(0.01) // 1 ms at once, then 1 ms in each period
	until(c, 2000*milli, done)
	if want := 401 * milli; done[1] != want {
		t.Fatalf("done at %d ns, want %d", done[1], want)
	}
	if want := 50 * milli; c.Total != want {
		t.Fatalf("used %d ns, want %d", c.Total, want)
	}
}

type threadArrival struct{ at, need int64 }

type limitChange struct {
	at    int64
	cores float64
}

// runThreads runs a cpu until end with the given threads and limits, both in the order of time; the first limit is there
// from the start.
func runThreads(cores int64, limits []limitChange, start int64, in []threadArrival, end int64) (c *Group, done map[int32]int64) {
	c = &Group{Cores: cores * Core, quota: quota(limits[0].cores), start: start}
	done = map[int32]int64{}
	limits = limits[1:]
	change := func(upTo int64) {
		for ; len(limits) > 0 && limits[0].at <= upTo; limits = limits[1:] {
			until(c, limits[0].at, done)
			c.Limit(limits[0].cores)
		}
	}
	for i, a := range in {
		if a.at > end {
			break
		}
		change(a.at)
		until(c, a.at, done)
		c.Add(a.need, int32(i))
	}
	change(end)
	until(c, end, done)
	return c, done
}

// The oracle walks in steps of 10 µs. Its rounding may leave a thread a little short of its end when the quota is used
// up, and then it waits for the next period, or the other way round; what it was short of must be next to nothing.
func TestCPUAgainstSmallSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const step, end = int64(10_000), int64(1e9)
		cores := rapid.Int64Range(1, 6).Draw(t, "cores")
		var limits []limitChange
		for i := range rapid.IntRange(1, 4).Draw(t, "limits") {
			limits = append(limits, limitChange{
				rapid.Int64Range(1, 90_000).Draw(t, "changed at") * step * int64(min(i, 1)),
				rapid.SampledFrom([]float64{0.1, 0.3, 0.5, 1, 1.5, 2, 4}).Draw(t, "limit"),
			})
		}
		sort.SliceStable(limits, func(i, j int) bool { return limits[i].at < limits[j].at })
		start := -rapid.Int64Range(0, 9999).Draw(t, "phase") * step
		var in []threadArrival
		for range rapid.IntRange(1, 12).Draw(t, "threads") {
			in = append(in, threadArrival{rapid.Int64Range(0, 20_000).Draw(t, "at") * step, rapid.Int64Range(1, 10_000).Draw(t, "need") * step})
		}
		sort.Slice(in, func(i, j int) bool { return in[i].at < in[j].at })
		c, done := runThreads(cores, limits, start, in, end)

		left := make([]float64, len(in))
		short := map[int32]float64{} // of the oracle's threads when the cpu's were done
		for i, a := range in {
			left[i] = float64(a.need)
		}
		want := map[int32]int64{}
		var used, allowed, total, throttled float64
		next := 0 // limit
		for now := int64(0); now < end; now += step {
			if (now-start)%Period == 0 && now > 0 {
				used = math.Max(used-allowed, 0)
			}
			for ; next < len(limits) && limits[next].at <= now; next++ {
				used, allowed = 0, limits[next].cores*float64(Period)
			}
			busy := 0
			for i, a := range in {
				if a.at <= now && left[i] > 0 {
					busy++
				}
				if at, ok := done[int32(i)]; ok && at <= now && short[int32(i)] == 0 {
					short[int32(i)] = left[i]
				}
			}
			if busy == 0 {
				continue
			}
			if used >= allowed {
				throttled += float64(step)
				continue
			}
			rate := math.Min(1, float64(cores)/float64(busy))
			for i, a := range in {
				if a.at <= now && left[i] > 0 {
					left[i] -= rate * float64(step)
					if left[i] <= 0.5 {
						left[i] = 0
						want[int32(i)] = now + step
					}
				}
			}
			used += rate * float64(busy) * float64(step)
			total += rate * float64(busy) * float64(step)
		}

		const little = 1e6 // ns
		apart := 0
		for i := range int32(len(in)) {
			at, ok := done[i]
			expected, expectedOK := want[i]
			if ok && (!expectedOK || at < expected-2*milli) {
				apart++
				if short[i] > little {
					t.Fatalf("thread %d was done at %d when it should still have needed %.0f ns", i, at, short[i])
				}
			}
			if expectedOK && (!ok || at > expected+2*milli) {
				apart++
				then, _ := runThreads(cores, limits, start, in, expected)
				for _, j := range then.jobs {
					if j.frame == i && j.finish-then.virtual > little {
						t.Fatalf("thread %d still needs %.0f ns at %d, when it should be done", i, j.finish-then.virtual, expected)
					}
				}
			}
		}
		if math.Abs(float64(c.Total)-total) > 2e6 {
			t.Fatalf("used %d ns, want about %.0f", c.Total, total)
		}
		if math.Abs(float64(c.Throttled)-throttled) > 5e6+float64(apart)*float64(Period) {
			t.Fatalf("throttled %d ns, want about %.0f", c.Throttled, throttled)
		}
	})
}

// A thread that is done at this very instant, to the nanosecond, is looked at now, however slow the rest becomes at the same
// instant.
func TestNextIsNeverInThePast(t *testing.T) {
	c := &Group{Cores: 3 * Core / 2, quota: quota(100)}
	c.Add(100, 0)
	c.Add(100, 1)
	at := c.Next() // 100 ns at 3/4 each: 133.3
	c.Advance(at)
	c.Cores = 1
	c.Add(100, 2)
	if next := c.Next(); at != 134 || next != at {
		t.Errorf("done at %d, then to be looked at %d", at, next)
	}
}

// While it is stopped no thread goes on and nothing is throttled; what stopped it uses a core, or the limit where that is
// less. Then threads go on with a quota that begins anew.
func TestStopAndGo(t *testing.T) {
	for _, v := range []struct {
		limit float64
		used  int64
	}{{2, 200 * milli}, {0.5, 100 * milli}} {
		c := &Group{}
		c.Reset(0, 0, v.limit, 64*Core)
		c.Add(30*milli, 1)
		c.Advance(10 * milli)
		c.Stop()
		if c.Next() != Never || !c.Stopped() {
			t.Errorf("limit %v: looked at again at %d", v.limit, c.Next())
		}
		c.Limit(v.limit)
		c.Advance(210 * milli)
		if _, done := c.Pop(); done || c.Total != 10*milli+v.used || c.Throttled != 0 {
			t.Errorf("limit %v: done %v, used %d, throttled %d", v.limit, done, c.Total, c.Throttled)
		}
		c.Go()
		if c.Next() != 230*milli {
			t.Errorf("limit %v: done at %d, want 230 ms", v.limit, c.Next())
		}
	}
}
