package tail

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Names of drivers that are no channel.
const (
	DriverLatency  = "latency"  // the percentiles that users saw in the last seconds
	DriverProposed = "proposed" // the cores of the candidate
)

// Explanation says what drove a prediction. Base is what the model says when all inputs are at their mean in training; the
// contributions of all drivers sum to the difference between Value and Base.
type Explanation struct {
	P99     Explained // ms
	LogOdds Explained // of a violation in t+2 to t+5, as trees say it, before calibration
	Drivers []Driver  // of each service each channel and what is proposed, and of the application its rate and latencies
}

// Explained is one quantity.
type Explained struct {
	Base, Value float64
	Error       float64 // standard error of a contribution, on average: they are estimated by sampling
}

// Driver is an input in all seconds that are looked at.
type Driver struct {
	Service      string  // empty: of the whole application
	Channel      string  // a Channel, DriverLatency or DriverProposed
	Now, Usual   float64 // the last value, and the mean in training; of latencies p99 in ms. NaN: not observed
	P99, LogOdds float64 // contributions
}

// explainEvaluations bounds how often Explain asks the model, so that it answers within about a second.
const explainEvaluations = 6000

// Explain tells what drove the prediction for steps (the last Steps seconds) and a candidate (total cores by ServiceID).
// Contributions are Shapley values (Lundberg and Lee, NeurIPS 2017): what an input adds when it goes from its mean in training
// to what it is, averaged over orders in which inputs do so. As many orders are drawn, each with its reverse, as a fixed number of
// questions to the model allows; the sum over drivers is exact with any number of them. It fails as Look does.
func (m *Model) Explain(steps []Step, cores []float64) (Explanation, error) {
	p := m.Predictor()
	if err := p.Look(steps); err != nil {
		return Explanation{}, err
	}
	if len(cores) != len(m.schema.Services) {
		return Explanation{}, fmt.Errorf("%w: the candidate has cores for %d services, the application has %d", ErrHistory, len(cores), len(m.schema.Services))
	}
	q := &question{m: m, p: p, cores: cores}
	drivers := q.players(&steps[len(steps)-1])
	orders := max(2, explainEvaluations/(2*len(drivers))*2)
	sums := make([][2]moments, len(drivers))
	r := rand.New(rand.NewPCG(1, 1))
	order := make([]int, len(drivers))
	var base, value [2]float64
	for o := range orders {
		if o%2 == 0 {
			copy(order, r.Perm(len(drivers)))
		} else {
			slices.Reverse(order)
		}
		said := q.ask(order)
		base, value = said[0], said[len(said)-1]
		for i, d := range order {
			for k := range 2 {
				sums[d][k].add(said[i+1][k] - said[i][k])
			}
		}
	}
	out := Explanation{P99: Explained{Base: base[0], Value: value[0]}, LogOdds: Explained{Base: base[1], Value: value[1]}}
	for i := range drivers {
		drivers[i].P99, drivers[i].LogOdds = sums[i][0].mean, sums[i][1].mean
		out.P99.Error += sums[i][0].sd() / math.Sqrt(float64(orders)) / float64(len(drivers))
		out.LogOdds.Error += sums[i][1].sd() / math.Sqrt(float64(orders)) / float64(len(drivers))
	}
	out.Drivers = drivers
	return out, nil
}

// question asks a model of inputs of which some are as they are and the others at their mean.
type question struct {
	m     *Model
	p     *Predictor
	cores []float64
	at    []player
	batch *batch
	row   []float64
}

// player says which inputs a driver is.
type player struct {
	channel int // of history; -1: none
	service int // -1: all
	latency bool
}

// players lists the drivers.
func (q *question) players(last *Step) (out []Driver) {
	m := q.m
	values := make([]float64, m.width())
	m.layout.values(last, values)
	first := m.firstService()
	for c, ch := range m.channels {
		if ch == Rate && first >= 0 {
			q.at = append(q.at, player{channel: c, service: -1})
			out = append(out, Driver{Channel: string(ch), Now: last.Rate, Usual: float64(m.scale.History[first*len(m.channels)+c].Mean)})
		}
	}
	q.at = append(q.at, player{channel: -1, service: -1, latency: true})
	out = append(out, Driver{Channel: DriverLatency, Now: last.Latency[P99], Usual: m.usualP99()})
	for i, name := range m.schema.Services {
		if m.schema.Gone(i) {
			continue
		}
		for c, ch := range m.channels {
			if ch == Rate {
				continue
			}
			at := i*len(m.channels) + c
			q.at = append(q.at, player{channel: c, service: i})
			out = append(out, Driver{Service: name, Channel: string(ch), Now: unlog(ch, values[at]), Usual: unlog(ch, float64(m.scale.History[at].Mean))})
		}
		q.at = append(q.at, player{channel: -1, service: i})
		out = append(out, Driver{Service: name, Channel: DriverProposed, Now: q.cores[i], Usual: float64(m.scale.Cores[i].Mean)})
	}
	return out
}

// unlog undoes what layout.values does to a channel.
func unlog(c Channel, v float64) float64 {
	if c == InFlight {
		return math.Expm1(v)
	}
	return v
}

// usualP99 undoes compress.
func (m *Model) usualP99() float64 {
	y := float64(m.scale.Latency[P99].Mean)
	if y <= m.schema.Reference {
		return y
	}
	return m.schema.Reference * math.Exp(y/m.schema.Reference-1)
}

// ask tells p99 and log odds when none of the drivers is as it is, the first in order, the first two, …, all.
func (q *question) ask(order []int) [][2]float64 {
	m, n := q.m, len(order)+1
	services, channels := len(m.schema.Services), len(m.channels)
	if q.batch == nil {
		q.batch, q.row = newBatch(&m.layout, evaluationBatch), make([]float64, m.trees.Features())
	}
	history, latency, cores := make([]float32, m.width()*Past), make([]float32, Past*5), make([]float32, services) // 0: the mean
	raw := make([]float64, services)
	for i := range raw {
		raw[i] = float64(m.scale.Next[i].Mean)
	}
	set := func(pl player) {
		switch {
		case pl.latency:
			copy(latency, q.p.batch.latency.Data)
		case pl.channel < 0:
			i := pl.service
			v := m.proposed.proposed(q.cores[i], q.p.used[i])
			cores[i], raw[i] = m.scale.Next[i].of(v), seen(v, m.scale.Next[i])
		default:
			from, to := pl.service, pl.service+1
			if pl.service < 0 {
				from, to = 0, services
			}
			for i := from; i < to; i++ {
				for k := range Past {
					at := (i*Past+k)*channels + pl.channel
					history[at] = q.p.batch.history.Data[at]
				}
			}
		}
	}
	out := make([][2]float64, 0, n)
	for from := 0; from < n; from += evaluationBatch {
		rows := min(evaluationBatch, n-from)
		in := q.batch.first(rows)
		proposed := make([][]float64, rows)
		for i := range rows {
			if from+i > 0 {
				set(q.at[order[from+i-1]])
			}
			copy(in.history.Row(i), history)
			copy(in.latency.Row(i), latency)
			copy(in.cores.Row(i), cores)
			proposed[i] = slices.Clone(raw)
		}
		y := q.p.net.Head(q.p.net.Trunk(in.history, in.latency, false), in.cores, false)
		features := q.p.net.Features()
		for i := range rows {
			at := widen(q.row, features.Row(i))
			for _, v := range proposed[i] {
				for range Horizon - 1 {
					q.row[at] = v
					at++
				}
			}
			out = append(out, [2]float64{m.squash.Back(float64(m.out[P99].back(y.Row(i)[P99]))), m.trees.Score(q.row)})
		}
	}
	return out
}
