package sequence

import (
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/load"
	"foresail.dev/model/latency"
	"foresail.dev/sketch"
)

// Metrics are what is observed of latency, of each instance and of each service as a whole, seconds.
var Metrics = []string{"avg", "0.50", "0.85", "0.90", "0.95", "0.99"}

// metric is a metric of what was observed.
func metric(s *sketch.Sketch, name string) float64 {
	if name == "avg" {
		return s.Mean()
	}
	var q float64
	if _, err := fmt.Sscan(name, &q); err != nil {
		panic(err) // Metrics are ours
	}
	return s.Quantile(q)
}

// state is the inputs that a state's name stands for: one, or of the mix one for each endpoint but the last.
func (d *Deployment) state(name string) (out []string) {
	if name != "mix" {
		return []string{name}
	}
	for _, e := range d.mix[:len(d.mix)-1] {
		out = append(out, "share_"+d.bp.App.Endpoints[e].Name)
	}
	return out
}

// Inputs are the labels of an instance's knobs and of its states.
func (d *Deployment) inputs(s foresail.ServiceID, at int) (own, states []string) {
	kind, label := kinds[d.Kinds[s]], d.label(s, at)
	for _, k := range kind.Knobs {
		own = append(own, latency.Label(label, k.Name))
	}
	for _, st := range kind.States {
		for _, name := range d.state(st) {
			states = append(states, latency.Label(label, name))
		}
	}
	return own, states
}

// Inputs are the labels of what all methods predict from: every instance's knobs and states.
func (d *Deployment) Inputs() (out []string) {
	for s, n := range d.Instances {
		for at := range n {
			own, states := d.inputs(foresail.ServiceID(s), at)
			out = append(append(out, own...), states...)
		}
	}
	return out
}

// columns are all labels of a sample: inputs, instances' metrics and, where there are several, their services'.
func (d *Deployment) columns() []string {
	out := d.Inputs()
	for s, n := range d.Instances {
		for at := range n {
			for _, m := range Metrics {
				out = append(out, latency.Label(d.label(foresail.ServiceID(s), at), m))
			}
		}
		if n > 1 {
			for _, m := range Metrics {
				out = append(out, latency.Label(d.bp.App.Services[s].Name, m))
			}
		}
	}
	return out
}

// Load is what users do in a step's samples.
type Load struct {
	Rate   float64   // requests a second, in the middle
	Shares []float64 // of the endpoints of the mix
}

// How far a sample's load is from the middle: a factor on the rate, and the deviation of the logarithm of each share.
const (
	leastRate, mostRate = 0.75, 1.25
	mixDeviation        = 0.1
)

// source is the random source of a sample.
func source(seed uint64, index int, what ...string) *rand.Rand {
	h := fnv.New64a()
	for _, s := range what {
		fmt.Fprintf(h, "%q", s)
	}
	return rand.New(rand.NewPCG(h.Sum64()^seed*0x9e3779b97f4a7c15, uint64(index)))
}

// draw is the instances of a sample and its load.
func (d *Deployment) draw(l Load, r *rand.Rand) (all []instance, rate float64, shares []float64) {
	for s, n := range d.Instances {
		for at := range n {
			in := instance{service: foresail.ServiceID(s), at: at, name: d.label(foresail.ServiceID(s), at), set: knobs{}}
			kind := kinds[d.Kinds[s]]
			for k := range kind.Knobs {
				in.set[kind.Knobs[k].Name] = kind.Knobs[k].draw(d.nominal[s], r)
			}
			in.effect = plain(kind.does(in.set))
			all = append(all, in)
		}
	}
	rate = l.Rate * (leastRate + (mostRate-leastRate)*r.Float64())
	for _, share := range l.Shares {
		shares = append(shares, share*math.Exp(mixDeviation*r.NormFloat64()))
	}
	return all, rate, shares
}

// settle is how long a sample runs before anything of it counts.
const settle = time.Second

// sample is the values of d.columns in sample index of a step. It simulates so long that about so many requests are counted.
func (d *Deployment) sample(ctx context.Context, l Load, requests int, r *rand.Rand) ([]float64, error) {
	all, rate, shares := d.draw(l, r)
	measured := seconds(requests, l.Rate)
	var mix []float64
	for range d.Instances[d.front] {
		mix = append(mix, shares...)
	}
	bp := d.build(all)
	c, err := sim.New(sim.Config{Blueprint: bp, Seed: r.Uint64(), Beat: 250 * time.Millisecond, Duration: settle + measured,
		Load: &load.Load{Curve: []load.Segment{{From: rate}}, Mix: []load.MixPoint{{Shares: mix}}}})
	if err != nil {
		return nil, err
	}
	o := newObserved(len(bp.Services), len(bp.App.Endpoints))
	for at := time.Duration(0); at < settle+measured; at += 250 * time.Millisecond {
		s, err := c.Next(ctx)
		if err != nil {
			return nil, err
		}
		if at >= settle {
			o.add(s)
		}
	}
	return d.values(all, o, measured.Seconds()), nil
}

// observed is what was counted of a sample, by instance.
type observed struct {
	arrivals, read, written, in, out []float64
	calls                            []float64 // made
	latency                          []*sketch.Sketch
	asked                            []float64 // by endpoint
}

func newObserved(services, endpoints int) *observed {
	o := &observed{asked: make([]float64, endpoints)}
	for _, v := range []*[]float64{&o.arrivals, &o.read, &o.written, &o.in, &o.out, &o.calls} {
		*v = make([]float64, services)
	}
	for range services {
		o.latency = append(o.latency, sketch.New())
	}
	return o
}

func (o *observed) add(s *foresail.Snapshot) {
	for i := range s.Services {
		u := &s.Services[i].Usage
		o.arrivals[i] += u.Arrivals
		o.read[i] += float64(u.DiskRead)
		o.written[i] += float64(u.DiskWritten)
		o.in[i] += float64(u.NetIn)
		if u.Latency != nil {
			o.latency[i].Merge(u.Latency)
		}
	}
	for i := range s.Edges {
		o.calls[s.Edges[i].From] += s.Edges[i].Calls
	}
	for i := range s.Endpoints {
		o.asked[i] += s.Endpoints[i].Arrivals
	}
}

// values are the columns' values. An instance that answered nothing has latencies of 0.
func (d *Deployment) values(all []instance, o *observed, over float64) []float64 {
	var out []float64
	for i := range all {
		in := &all[i]
		kind := kinds[d.Kinds[in.service]]
		for _, k := range kind.Knobs {
			out = append(out, in.set[k.Name])
		}
		each := max(o.arrivals[i], 1)
		for _, st := range kind.States {
			switch st {
			case "rps":
				out = append(out, o.arrivals[i]/over)
			case "calls":
				out = append(out, o.calls[i]/each)
			case "in":
				out = append(out, o.in[i]/each)
			case "read":
				out = append(out, o.read[i]/over)
			case "written":
				out = append(out, o.written[i]/over)
			case "mix":
				n := len(d.mix)
				asked := o.asked[in.at*n : (in.at+1)*n]
				sum := 0.0
				for _, v := range asked {
					sum += v
				}
				for _, v := range asked[:n-1] {
					out = append(out, v/max(sum, 1))
				}
			default:
				panic("sequence: no state is called " + st)
			}
		}
	}
	metrics := func(s *sketch.Sketch) {
		for _, m := range Metrics {
			v := 0.0
			if s.Count() > 0 {
				v = metric(s, m)
			}
			out = append(out, v)
		}
	}
	at := 0
	for _, n := range d.Instances {
		whole := sketch.New()
		for range n {
			metrics(o.latency[at])
			whole.Merge(o.latency[at])
			at++
		}
		if n > 1 {
			metrics(whole)
		}
	}
	return out
}
