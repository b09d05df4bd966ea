package neighbours

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"foresail.dev/model/diagnose/resource"
	"foresail.dev/telemetry/agent/probe"
	"foresail.dev/telemetry/agent/probe/load"
)

// gauges are victims on the suspect's CPU: every quarter of a second each works for half a millisecond, with what others have left of
// its caches. They stand in for the counters that the machine hasn't.
type gauges struct {
	stop  context.CancelFunc
	ended chan struct{}

	mu     sync.Mutex
	prices map[probe.Resource][]price
	err    error
}

// price is what a gauge paid.
type price struct {
	at time.Time
	of float64
}

const (
	gaugeEvery = 250 * time.Millisecond
	gaugeFor   = 500 * time.Microsecond
)

// gauged are the victims, and what each stands for.
var gauged = map[probe.Resource]resource.Resource{probe.L2: resource.Cache, probe.LastLevelCache: resource.Cache, probe.MemoryBandwidth: resource.MemoryBandwidth}

func startGauges(cpu int) (*gauges, error) {
	var all []*load.Victim
	closed := func() (err error) {
		for _, v := range all {
			err = errors.Join(err, v.Close())
		}
		return err
	}
	for _, r := range probe.Outwards() {
		if _, ok := gauged[r]; !ok {
			continue
		}
		v, err := load.OpenVictim(r, load.Config{CPUs: []int{cpu}})
		if err != nil {
			return nil, errors.Join(err, closed())
		}
		all = append(all, v)
	}
	ctx, stop := context.WithCancel(context.Background())
	g := &gauges{stop: stop, ended: make(chan struct{}), prices: map[probe.Resource][]price{}}
	go func() {
		defer close(g.ended)
		t := time.NewTicker(gaugeEvery)
		defer t.Stop()
		var err error
		for err == nil {
			select {
			case <-ctx.Done():
				g.ends(closed())
				return
			case <-t.C:
			}
			for _, v := range all {
				var p load.Price
				if p, err = v.Suffer(gaugeFor, true); err != nil {
					break
				}
				g.mu.Lock()
				g.prices[v.Resource] = append(g.prices[v.Resource], price{time.Now(), p.CPU})
				g.mu.Unlock()
			}
		}
		g.ends(errors.Join(err, closed()))
	}()
	return g, nil
}

func (g *gauges) ends(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err = err
}

func (g *gauges) close() error {
	g.stop()
	<-g.ended
	return g.err
}

// felt compares two stretches: what rose, and not by chance.
func (g *gauges) felt(node string, well, ill [2]time.Time) (out []resource.Felt) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return rises(node, g.prices, well, ill)
}

func rises(node string, prices map[probe.Resource][]price, well, ill [2]time.Time) (out []resource.Felt) {
	for _, r := range probe.Outwards() {
		in := func(s [2]time.Time) (logs []float64) {
			for _, p := range prices[r] {
				if !p.at.Before(s[0]) && p.at.Before(s[1]) && p.of > 0 {
					logs = append(logs, math.Log(p.of))
				}
			}
			return logs
		}
		off, on := in(well), in(ill)
		if len(off) == 0 || len(on) == 0 || probe.Higher(on, off) >= load.Alpha {
			continue
		}
		if rise := math.Exp(middle(on)-middle(off)) - 1; rise >= load.Felt {
			out = append(out, resource.Felt{Resource: gauged[r], Node: node, Rise: rise})
		}
	}
	return out
}

// middle is the median of values that there are.
func middle(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
