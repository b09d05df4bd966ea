package seeing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/fault"
	"foresail.dev/load"
	"foresail.dev/loop"
	"foresail.dev/model/foresee"
)

// Operation is simulated operation: loads and faults that are drawn from a seed.
type Operation struct {
	Blueprint *foresail.Blueprint
	Duration  time.Duration // of a run
	Low, High float64       // requests per second that loads lie between
	Every     time.Duration // from one fault to the next
	Traced    float64       // share of requests whose spans are seen
	Kinds     []fault.Kind  // of faults; none: nothing goes wrong
	// Manager decides meanwhile; nil: nobody, and all services keep what they start with.
	Manager func(app *foresail.App) (foresail.Manager, error)
	// Events are told what the loop does where there is a Manager.
	Events loop.Events
}

// Operated is one run with what was injected, for evaluation: models see Run alone.
type Operated struct {
	Run    *foresee.Run
	Causes []string // of each episode: the kind of fault that went on when it was broken, or "load"
	Hit    []string // the service that it was injected into; empty: none
	Faults []fault.Fault
}

// Recent is how long after its end a fault may still be what breaks an objective: queues take time.
const Recent = 5 * time.Second

// Run simulates one run. The same operation and seed give the same run.
func (o *Operation) Run(ctx context.Context, seed uint64) (*Operated, error) {
	rng := rand.New(rand.NewPCG(seed, stream))
	rec := foresee.NewRecorder(o.Blueprint.App, fmt.Sprintf("seed %d", seed), 0)
	faults := o.faults(rng)
	c, err := sim.New(sim.Config{Blueprint: o.Blueprint, Load: o.load(rng), Seed: seed, Duration: o.Duration, TraceShare: o.Traced, Spans: rec.Labeller.Spans, Faults: faults})
	if err != nil {
		return nil, err
	}
	if err := o.operate(ctx, c, rec); err != nil {
		return nil, err
	}
	out := &Operated{Run: rec.Run(), Faults: faults.Fixed}
	for _, e := range out.Run.Episodes {
		cause, hit := "load", ""
		if f := out.Fault(e.Broken); f != nil {
			cause, hit = f.Kind.String(), f.Service
		}
		out.Causes, out.Hit = append(out.Causes, cause), append(out.Hit, hit)
	}
	return out, nil
}

// Injected are the faults of a run with this seed, for evaluation.
func (o *Operation) Injected(seed uint64) []fault.Fault {
	return o.faults(rand.New(rand.NewPCG(seed, stream))).Fixed
}

// stream is what a run's faults and loads are drawn from, beside its seed.
const stream = 0x5ee7

// Fault is the one that went on at an instant, or had just ended; nil: none.
func (o *Operated) Fault(at time.Time) (found *fault.Fault) {
	for i := range o.Faults {
		f := &o.Faults[i]
		if d := at.Sub(o.Run.Start); d > f.At && d <= f.At+f.For+Recent {
			found = f
		}
	}
	return found
}

// operate lets time pass until the simulation's end.
func (o *Operation) operate(ctx context.Context, c *sim.Cluster, rec *foresee.Recorder) error {
	if o.Manager != nil {
		m, err := o.Manager(o.Blueprint.App)
		if err != nil {
			return err
		}
		events := loop.Join(o.Events, loop.Events{Observed: func(_ *foresail.History, s *foresail.Snapshot) { rec.Add(s) }})
		if err := loop.Run(ctx, c, m, loop.Options{Mode: loop.Auto, Events: events}); err != nil {
			return err
		}
		return ctx.Err()
	}
	for {
		s, err := c.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		rec.Add(s)
	}
}

// load rises and falls within minutes, and so do the shares of endpoints.
func (o *Operation) load(rng *rand.Rand) *load.Load {
	l := &load.Load{Name: "drawn", Drift: true}
	level := func() float64 { return o.Low + (o.High-o.Low)*rng.Float64() }
	for at, now := time.Duration(0), level(); at < o.Duration; {
		d := time.Duration(30+rng.IntN(150)) * time.Second
		next := level()
		l.Curve = append(l.Curve, load.Segment{From: now, To: next, For: d})
		at, now = at+d, next
	}
	for at := time.Duration(0); at < o.Duration; at += 5 * time.Minute {
		p := load.MixPoint{At: at}
		for range o.Blueprint.App.Endpoints {
			p.Shares = append(p.Shares, math.Exp(0.3*rng.NormFloat64()))
		}
		l.Mix = append(l.Mix, p)
	}
	return l
}

// span draws evenly.
func span(rng *rand.Rand, low, high float64) float64 { return low + (high-low)*rng.Float64() }

// faults come one at a time, from hardly felt to severe, with pauses in which episodes end.
func (o *Operation) faults(rng *rand.Rand) *fault.Schedule {
	app, s := o.Blueprint.App, &fault.Schedule{Name: "drawn"}
	if len(o.Kinds) == 0 {
		return s
	}
	for at := o.Every / 2; at+30*time.Second < o.Duration; at += o.Every {
		f := fault.Fault{Kind: o.Kinds[rng.IntN(len(o.Kinds))], At: at + time.Duration(rng.Int64N(int64(o.Every/4)+1)), For: time.Duration(span(rng, 3, 15) * 1e9)}
		var of []string
		for i := range app.Services {
			n, disk := app.Services[i].Name, f.Kind == fault.SlowDisk || f.Kind == fault.DiskContention
			if !app.Services[i].Gone && (!disk || strings.Contains(n, "mongo") || strings.HasSuffix(n, "db") || strings.Contains(n, "cassandra")) {
				of = append(of, n)
			}
		}
		if len(of) == 0 { // no service of it has a disk to speak of
			continue
		}
		if f.Kind != fault.LoadSpike {
			f.Service = of[rng.IntN(len(of))]
		}
		ms := func(low, high float64) time.Duration { return time.Duration(span(rng, low, high) * 1e6) }
		switch f.Kind {
		case fault.CPUContention:
			f.Amount = 1 - math.Exp(span(rng, math.Log(0.01), math.Log(0.3)))
		case fault.CacheContention, fault.MemoryContention, fault.NetworkContention, fault.DiskContention:
			f.Amount = 1 - math.Exp(span(rng, math.Log(0.01), math.Log(0.5)))
		case fault.Lock:
			f.Length = ms(10, 150)
		case fault.GCPause:
			f.Length, f.Period, f.Jitter = ms(150, 1500), 3*time.Second, 0.2
		case fault.PacketLoss:
			f.Amount = span(rng, 0.02, 0.3)
		case fault.SlowDisk:
			f.Amount = span(rng, 10, 300)
		case fault.BadRelease:
			f.Amount = math.Exp(span(rng, math.Log(2), math.Log(40)))
		case fault.Deadlock:
			f.Amount = math.Floor(span(rng, 4, 33))
		case fault.LoadSpike:
			f.Amount = span(rng, 1.5, 5)
		}
		s.Fixed = append(s.Fixed, f)
	}
	return s
}

// Usual are the faults that operations meet where nothing else is said.
var Usual = []fault.Kind{fault.CPUContention, fault.Lock, fault.GCPause, fault.PacketLoss, fault.SlowDisk, fault.BadRelease, fault.Deadlock, fault.LoadSpike}

// Agree is in how many of the episodes with an injected service and a culprit the two are one: how good labels are.
func Agree(app *foresail.App, all []*Operated) (same, of int) {
	for _, r := range all {
		for i, e := range r.Run.Episodes {
			if r.Hit[i] == "" || e.Culprit < 0 {
				continue
			}
			of++
			if app.Services[e.Culprit].Name == r.Hit[i] {
				same++
			}
		}
	}
	return same, of
}

const (
	// Between is the time from one fault to the next: windows of 100 requests of an endpoint with few requests are long, and five good
	// ones end an episode.
	Between = 80 * time.Second
)
