package demos

import (
	"context"
	"math"
	"sync"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/load"
	"foresail.dev/telemetry/shapes"
	"foresail.dev/web"
)

// Spikes that the demo's page can send.
const (
	spikeFactor = 3
	spikeLength = 20 * time.Second
	maxLevel    = 4
)

// Cluster is a simulated cluster whose load a person can shift while it runs. Once a second the load in effect is
// set anew from the chosen shape, level, mix and spike, by simulated time.
type Cluster struct {
	*sim.Cluster
	twin   *twin             // in step with it; nil: there is none
	graphs *shapes.Collector // finds the call graphs of its requests; nil: nobody does

	mu     sync.Mutex
	shapes []*load.Load // by name; the first is the demo's own
	shape  int
	level  float64
	mix    []float64     // by EndpointID
	since  time.Duration // when the shape was chosen
	spike  time.Duration // until when a spike lasts
	at     time.Duration // simulated time so far
	rate   float64       // in effect, requests a second
}

// Controlled lets a person shift the load of a demo; day is the load that it begins with.
func Controlled(c *sim.Cluster, day *load.Load, app *foresail.App, of *Demo) *Cluster {
	d := &Cluster{Cluster: c, level: 1, mix: make([]float64, len(app.Endpoints)), shapes: []*load.Load{
		day,
		{Name: "steady", Curve: []load.Segment{{Shape: load.Constant, From: of.steady}}},
		{Name: "ramp", Curve: []load.Segment{{Shape: load.Ramp, From: of.low, To: of.high, For: 3 * time.Minute}}},
	}}
	day.Shares(0, d.mix)
	d.rate = day.Level(0)
	return d
}

// Next sets the load for the second that begins, and simulates the next interval.
func (d *Cluster) Next(ctx context.Context) (*foresail.Snapshot, error) {
	d.mu.Lock()
	if d.at%time.Second == 0 {
		d.rate = d.now()
		d.set(d.Cluster)
		if d.twin != nil {
			d.set(d.twin.Cluster)
		}
	}
	d.at += foresail.Beat
	d.mu.Unlock()
	if d.twin != nil {
		d.twin.step(ctx)
	}
	s, err := d.Cluster.Next(ctx)
	if err == nil && d.graphs != nil {
		d.graphs.Observe(s)
	}
	return s, err
}

// tracedShare is that of a demo's requests which are traced, for their call graphs.
const tracedShare = 0.2

// Simulate begins the simulation that a demo shows, with some requests traced.
func Simulate(cfg sim.Config, day *load.Load, of *Demo) (*Cluster, error) {
	graphs := shapes.New(cfg.Blueprint.App, shapes.Options{})
	cfg.TraceShare, cfg.Spans = tracedShare, graphs.Trace
	s, err := sim.New(cfg)
	if err != nil {
		return nil, err
	}
	d := Controlled(s, day, cfg.Blueprint.App, of)
	d.graphs = graphs
	return d, nil
}

// set puts the load in effect on a simulation; the lock is held.
func (d *Cluster) set(c *sim.Cluster) {
	c.SetLoad(&load.Load{
		Curve: []load.Segment{{Shape: load.Constant, From: d.rate}},
		Mix:   []load.MixPoint{{Shares: append([]float64(nil), d.mix...)}},
	})
}

// now is the rate that should be; the lock is held.
func (d *Cluster) now() float64 {
	rate := d.shapes[d.shape].Level(d.at-d.since) * d.level
	if d.at < d.spike {
		rate *= spikeFactor
	}
	return rate
}

// Load is the load as it is now.
func (d *Cluster) Load() web.LoadState {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := web.LoadState{Level: d.level, MaxLevel: maxLevel, Rate: math.Round(d.rate*10) / 10, Shape: d.shapes[d.shape].Name,
		Mix: append([]float64(nil), d.mix...), Spike: spikeFactor, SpikeS: spikeLength.Seconds()}
	for _, l := range d.shapes {
		s.Shapes = append(s.Shapes, l.Name)
	}
	if left := d.spike - d.at; left > 0 {
		s.SpikeNow = left.Seconds()
	}
	return s
}

// Change shifts the load from the next second on.
func (d *Cluster) Change(c web.LoadChange) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.Level != nil {
		d.level = *c.Level
	}
	if c.Shape != nil {
		for i, l := range d.shapes {
			if l.Name == *c.Shape && i != d.shape {
				d.shape, d.since = i, d.at
			}
		}
	}
	if c.Mix != nil {
		sum := 0.0
		for _, v := range c.Mix {
			sum += v
		}
		for i, v := range c.Mix {
			d.mix[i] = v / sum
		}
	}
	if c.Spike {
		d.spike = d.at + spikeLength
	}
	return nil
}
