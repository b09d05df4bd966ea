package load

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"foresail.dev/telemetry/agent/probe"
)

// Plan says how loads are measured against victims. Zero fields have the value in brackets.
type Plan struct {
	Load, Victim Config
	// After: both are on one CPU, and the victim works right after the load, with what that has left of its caches, for a tenth of
	// Length. Else they work at the same time, on different CPUs.
	After  bool
	Rounds int                            // of each pair: in each, once without and once with the load [30]
	Length time.Duration                  // that a victim works for, each time [10 ms]
	Pairs  func(p, v probe.Resource) bool // which are measured; nil: all
}

// Cell is what one load does to one victim.
type Cell struct {
	Probe, Victim probe.Resource
	Unavailable   string  // why it could not be measured; the rest is then absent
	Price         float64 // seconds for a piece, without the load: median
	Rise          float64 // of the price with the load, as a share: median of rounds. CPU time, or, of disks and networks, the wall's
	Wall          float64 // the same, of time on the wall
	P             float64 // of Welch's t test, that the price rises
	Rounds        int     // that count: in which victim and load had their CPUs for most of the time
}

// Felt is the least rise that counts, and the chance that one which is only chance does.
const (
	Felt  = 0.1
	Alpha = 0.001
)

// Told tells whether the victim feels the load.
func (c *Cell) Told() bool { return c.Unavailable == "" && c.Rise >= Felt && c.P < Alpha }

// Measure measures loads against victims, pair by pair, from the core outwards. progress is told how much is done.
func Measure(ctx context.Context, p Plan, progress func(done float64)) ([]Cell, error) {
	if p.Rounds <= 0 {
		p.Rounds = 30
	}
	if p.Length <= 0 {
		p.Length = 10 * time.Millisecond
	}
	var out []Cell
	all := probe.Outwards()
	for i, r := range all {
		victims := slices.DeleteFunc(probe.Outwards(), func(v probe.Resource) bool { return p.Pairs != nil && !p.Pairs(r, v) })
		if len(victims) == 0 {
			continue
		}
		l, lacks := Open(r, p.Load)
		for k, v := range victims {
			progress(float64(i*len(all)+k) / float64(len(all)*len(all)))
			c := Cell{Probe: r, Victim: v}
			victim, err := (*Victim)(nil), lacks
			if err == nil {
				victim, err = OpenVictim(v, p.Victim)
			}
			if err == nil {
				err = errors.Join(c.measure(ctx, p, l, victim), victim.Close())
			}
			var u *Unavailable
			if errors.As(err, &u) {
				c.Unavailable = u.Reason
			} else if err != nil {
				return out, errors.Join(fmt.Errorf("%s against %s: %w", r, v, err), l.Close())
			}
			out = append(out, c)
		}
		if err := l.Close(); err != nil {
			return out, err
		}
	}
	return out, nil
}

// What counts where a machine has more to do: rounds in which both sides had a CPU for most of the time, of so many times as
// many tries; fewer than least tell nothing.
const (
	undisturbed = 0.6
	tries       = 10
	least       = 5
)

// measure plays one pair.
func (c *Cell) measure(ctx context.Context, p Plan, l *Load, v *Victim) error {
	arithmetic, err := Open(probe.IntegerCore, p.Load)
	if err != nil {
		return err
	}
	var off, on, ratios []Price
	for n := 0; n < tries*p.Rounds && len(on) < p.Rounds; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		var a, b Price
		var worked float64
		for first := range 2 { // which comes first changes, since what ran just before makes a difference
			if loaded := (n+first)%2 == 1; loaded {
				b, worked, err = p.play(l, v)
			} else if p.After {
				a, err = p.after(v, arithmetic)
			} else {
				a, err = v.Suffer(p.Length, false)
			}
			if err != nil {
				return err
			}
		}
		if worked < undisturbed || v.Computes() && (a.CPU/a.Wall < undisturbed || b.CPU/b.Wall < undisturbed) {
			continue
		}
		off, on = append(off, a), append(on, b)
		ratios = append(ratios, Price{Wall: b.Wall / a.Wall, CPU: b.CPU / a.CPU})
	}
	if c.Rounds = len(on); c.Rounds < least {
		return &Unavailable{c.Probe, fmt.Sprintf("the machine had too much else to do: of %d tries %d counted", tries*p.Rounds, c.Rounds)}
	}
	price, ratio := func(p Price) float64 { return p.CPU }, func(p Price) float64 { return p.CPU - 1 }
	if !v.Computes() {
		price, ratio = func(p Price) float64 { return p.Wall }, func(p Price) float64 { return p.Wall - 1 }
	}
	c.Price = median(off, price)
	c.Rise = median(ratios, ratio)
	c.Wall = median(ratios, func(p Price) float64 { return p.Wall - 1 })
	c.P = probe.Higher(logs(on, price), logs(off, price))
	return nil
}

// play lets a victim pay with a load.
func (p *Plan) play(l *Load, v *Victim) (paid Price, worked float64, err error) {
	if p.After {
		if _, err = v.Suffer(p.Length, false); err == nil {
			worked, err = l.Burst(1, p.Length)
		}
		if err == nil {
			paid, err = v.Suffer(p.Length/10, true)
		}
		return paid, worked, err
	}
	over := make(chan error, 1)
	go func() {
		var err error
		worked, err = l.Burst(1, p.Length+2*slice)
		over <- err
	}()
	time.Sleep(slice) // until the load is under way
	paid, err = v.Suffer(p.Length, false)
	return paid, worked, errors.Join(err, <-over)
}

// after lets a victim pay after as long a time of arithmetic, which leaves its caches alone; in a mere pause others would use them.
func (p *Plan) after(v *Victim, idle *Load) (Price, error) {
	if _, err := v.Suffer(p.Length, false); err != nil {
		return Price{}, err
	}
	if _, err := idle.Burst(1, p.Length); err != nil {
		return Price{}, err
	}
	return v.Suffer(p.Length/10, true)
}

func median(of []Price, f func(Price) float64) float64 {
	v := make([]float64, len(of))
	for i, p := range of {
		v[i] = f(p)
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

func logs(of []Price, f func(Price) float64) []float64 {
	v := make([]float64, len(of))
	for i, p := range of {
		v[i] = math.Log(max(f(p), 1e-12))
	}
	return v
}

// notFelt says why a load is of no use.
func notFelt(c *Cell) string {
	return fmt.Sprintf("a victim on another CPU does not feel it (its work takes %+.0f %%): on this machine the load takes CPU time and nothing else", 100*c.Rise)
}
