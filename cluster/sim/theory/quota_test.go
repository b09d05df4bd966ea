package theory_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"foresail.dev/cluster/sim"

	"foresail.dev"
)

// A CFS quota, everything constant, worked out by hand. k users send again at once, so that k threads are always
// runnable in step; half a core is 50 ms of each 100, which they use up together in 50/k ms. So of each second they run for
// 500/k ms, wait for the rest, and use half a core-second: to the nanosecond, but for the one in which the quota ends.
func TestTheoryQuota(t *testing.T) {
	for _, k := range []int{1, 2, 4, 8} {
		const demand = 20 * ms
		c, err := sim.New(sim.Config{Blueprint: halfACore(k, demand), Load: closed(k, 0), Seed: 1, Beat: 1600 * time.Millisecond, Start: time.Unix(0, 0)})
		if err != nil {
			t.Fatal(err)
		}
		for beat := range 6 {
			s, err := c.Next(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if beat == 0 { // the period that runs when the first come has its whole quota left
				continue
			}
			u := &s.Services[0].Usage
			const periods = 16 // a whole number of rounds
			exact := func(what string, got, want, off float64) {
				t.Helper()
				if math.Abs(got-want) > off {
					t.Errorf("%d threads, beat %d: %s %.9f, by hand %.9f", k, beat, what, got, want)
				}
				if beat == 5 {
					rows = append(rows, row{"quota of half a core, constant demands", fmt.Sprintf("%d threads", k), what, fmt.Sprintf("%.5g", want), got, 0, got/want - 1})
				}
			}
			exact("CPU per period, ms", 1e3*u.CPU/periods, 50, 1e-4)
			exact("waiting per period, ms", 1e3*u.Throttled.Seconds()/periods, 100-50/float64(k), 1e-4)
			exact("requests per second", u.Completions/1.6, 0.5/demand, 1e-9)
			exact("mean time, ms", 1e3*u.Latency.Mean(), 1e3*float64(k)*demand/0.5, 1e-4)
		}
	}
}

// Four threads that need 20 ms each get 12.5 ms of each period. Counting a thread's own time, rounds end at 20, 40, 60, 80
// and 100 ms, which is in eight periods at 107.5, 302.5, 410, 605 and 712.5 ms: from one to the next it takes 195 or 107.5 ms,
// the former three times of five.
func TestTheoryQuotaRounds(t *testing.T) {
	c, err := sim.New(sim.Config{Blueprint: halfACore(4, 20*ms), Load: closed(4, 0), Seed: 1, Beat: 800 * time.Millisecond, Start: time.Unix(0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	for beat := range 5 {
		s, err := c.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if beat == 0 {
			continue
		}
		l := s.Services[0].Latency
		if l.Count() != 20 || math.Abs(l.Sum()-20*160*ms) > 1e-6 {
			t.Errorf("beat %d: %v requests of %v s in all, by hand 20 of 3.2 s", beat, l.Count(), l.Sum())
		}
		if slow := l.CountAbove(150 * ms); slow != 12 {
			t.Errorf("beat %d: %v requests took 195 ms, by hand 12", beat, slow)
		}
	}
}

func halfACore(workers int, demand float64) *foresail.Blueprint {
	bp := application(fcfs(workers, cpu(foresail.Dist{Mean: demand})))
	bp.App.Services[0].Initial.CPU = 0.5
	return bp
}
