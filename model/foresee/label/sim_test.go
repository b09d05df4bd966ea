package label_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/fault"
	"foresail.dev/load"
	"foresail.dev/model/foresee/label"
)

const second = time.Second

// trouble is one fault each 80 s, of some seconds, on a service that is drawn: windows of 100 requests are some seconds long
// here, and five good ones end an episode.
func trouble(app *foresail.App, d time.Duration, seed uint64) *fault.Schedule {
	rng := rand.New(rand.NewPCG(seed, 1))
	s := &fault.Schedule{}
	for at := 20 * second; at < d-15*second; at += 80 * second {
		f := fault.Fault{At: at + time.Duration(rng.Int64N(int64(5*second))), For: 3*second + time.Duration(rng.Int64N(int64(4*second)))}
		f.Service = app.Services[rng.IntN(len(app.Services))].Name
		switch rng.IntN(6) {
		case 0:
			f.Kind, f.Amount = fault.CPUContention, 0.95+0.04*rng.Float64()
		case 1:
			f.Kind, f.Amount = fault.BadRelease, 8+30*rng.Float64()
		case 2:
			f.Kind, f.Length = fault.Lock, time.Duration(30+rng.IntN(90))*time.Millisecond
		case 3:
			f.Kind, f.Length, f.Period, f.Jitter = fault.GCPause, time.Duration(600+rng.IntN(900))*time.Millisecond, 2*second, 0.2
		case 4:
			f.Kind, f.Amount = fault.PacketLoss, 0.05+0.25*rng.Float64()
		case 5:
			f.Kind, f.Amount = fault.BadRelease, 1
			f.Errors = 0.1 + 0.3*rng.Float64()
		}
		s.Fixed = append(s.Fixed, f)
	}
	return s
}

// blamed is a run's episodes, and the fault that went on when each was broken.
type blamed struct {
	episode label.Episode
	fault   fault.Fault
}

// simulate labels a run, and only then looks at what was injected.
func simulate(t testing.TB, d time.Duration, seed uint64, rate, share float64) (bp *foresail.Blueprint, out []blamed, spurious int) {
	t.Helper()
	bp, err := appfile.ReadApp("social-network")
	if err != nil {
		t.Fatal(err)
	}
	mix := make([]float64, len(bp.App.Endpoints))
	for i := range mix {
		mix[i] = 1
	}
	l := label.New(bp.App, 0)
	faults := trouble(bp.App, d, seed)
	c, err := sim.New(sim.Config{Blueprint: bp, Load: &load.Load{Curve: []load.Segment{{From: rate}}, Mix: []load.MixPoint{{Shares: mix}}},
		Seed: seed, Duration: d, TraceShare: share, Spans: l.Spans, Faults: faults})
	if err != nil {
		t.Fatal(err)
	}
	var start time.Time
	for {
		s, err := c.Next(context.Background())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if start.IsZero() {
			start = s.Start
		}
		l.Add(s)
	}
next:
	for _, e := range l.Episodes() {
		for _, f := range faults.Fixed {
			if at := e.Broken.Sub(start); at > f.At && at < f.At+f.For+3*second {
				out = append(out, blamed{e, f})
				continue next
			}
		}
		spurious++
	}
	return bp, out, spurious
}

// In simulation the culprits are those that faults were injected into, in at least nine of ten episodes with all requests
// traced, and in at least three of four with a third of them: labels from spans are worth learning from.
func TestCulpritsAreWhatWasInjected(t *testing.T) {
	for share, least := range map[float64]float64{1: 0.9, 0.3: 0.75} {
		bp, all, spurious := simulate(t, 20*60*second, 3, 240, share)
		right := 0
		for _, b := range all {
			if c := b.episode.Culprit; c != label.Nobody && bp.App.Services[c].Name == b.fault.Service {
				right++
			} else {
				t.Logf("%s: %+v", &b.fault, b.episode)
			}
		}
		t.Logf("share %v: %d of %d episodes", share, right, len(all))
		if len(all) < 8 || float64(right) < least*float64(len(all)) || spurious > 0 {
			t.Errorf("%d of %d culprits are right with a share of %v, and %d episodes have no fault", right, len(all), share, spurious)
		}
	}
}
