package tail

import (
	"fmt"
	"math"

	"foresail.dev/ml/nn"
	"foresail.dev/model/tail/network"
)

// layout is how seconds become rows of numbers.
type layout struct {
	schema   *Schema
	channels []Channel
	squash   Squash
	label    Label
	proposed Proposed
}

// width is how many numbers of services a second has.
func (l *layout) width() int { return len(l.schema.Services) * len(l.channels) }

// network is the shape of the network for it.
func (l *layout) network() network.Config {
	return network.For(len(l.schema.Services), Past, len(l.channels), len(Percentiles))
}

// fits tells in what a step is not of the application.
func (l *layout) fits(s *Step) error {
	if len(s.Services) != len(l.schema.Services) || len(s.Endpoints) != len(l.schema.Endpoints) {
		return fmt.Errorf("a step has %d services and %d endpoints, the application %d and %d", len(s.Services), len(s.Endpoints), len(l.schema.Services), len(l.schema.Endpoints))
	}
	return nil
}

// values writes what a step says of services: a service's channels one after another.
func (l *layout) values(s *Step, out []float64) {
	at := 0
	for i := range s.Services {
		gone := l.schema.Gone(i)
		for _, c := range l.channels {
			switch v := pick[c](s, &s.Services[i]); {
			case gone:
				out[at] = 0
			case c == InFlight:
				out[at] = math.Log1p(max(v, 0)) // in an overload thousands wait
			default:
				out[at] = v
			}
			at++
		}
	}
}

// table is seconds of runs as numbers, and which of them samples can be made of.
type table struct {
	layout
	history []float32    // rows × services × channels, scaled
	latency []float32    // rows × percentiles, scaled
	cores   []float64    // rows × services: total, in effect
	used    []float64    // rows × services: total, mean over the seconds that are looked at
	seen    [][5]float64 // latencies in ms; NaN where nothing was
	bad     []bool       // by row t: there is a violation in t+2 to t+5
	samples []sample
}

// sample is the second t that a prediction is made at the end of.
type sample struct{ row, run int32 }

// checkRuns tells the first thing that is wrong with runs.
func (l *layout) checkRuns(runs []Run) error {
	for _, r := range runs {
		for i := range r.Steps {
			if err := l.fits(&r.Steps[i]); err != nil {
				return fmt.Errorf("run %s: second %d: %w", r.Name, i, err)
			}
		}
	}
	return nil
}

// measure finds the scaling of runs, and the envelope of what was seen.
func (l *layout) measure(runs []Run) (scaling, *envelope) {
	history, latency, cores, next := make([]moments, l.width()), make([]moments, len(Percentiles)), make([]moments, len(l.schema.Services)), make([]moments, len(l.schema.Services))
	values := make([]float64, l.width())
	for _, r := range runs {
		for i := range r.Steps {
			s := &r.Steps[i]
			l.values(s, values)
			for k, v := range values {
				history[k].add(v)
			}
			for k, v := range s.Latency {
				latency[k].add(compress(v, l.schema.Reference))
			}
			for k := range s.Services {
				cores[k].add(s.Services[k].Cores)
				if i >= Past {
					next[k].add(l.proposed.proposed(s.Services[k].Cores, usedOf(r.Steps[i-Past:i], k)))
				}
			}
		}
	}
	return scaling{affines(history), affines(latency), affines(cores), affines(next)}, &envelope{History: spans(history), Cores: spans(cores)}
}

func affines(m []moments) []affine {
	out := make([]affine, len(m))
	for i := range m {
		out[i] = m[i].affine()
	}
	return out
}

// tableOf makes the numbers of runs that checkRuns found nothing wrong with.
func (l *layout) tableOf(runs []Run, sc *scaling) *table {
	rows := 0
	for _, r := range runs {
		rows += len(r.Steps)
	}
	n := len(l.schema.Services)
	t := &table{layout: *l, history: make([]float32, rows*l.width()), latency: make([]float32, rows*len(Percentiles)),
		cores: make([]float64, rows*n), used: make([]float64, rows*n), seen: make([][5]float64, rows), bad: make([]bool, rows)}
	values := make([]float64, l.width())
	row := 0
	for k, r := range runs {
		for i := range r.Steps {
			s := &r.Steps[i]
			l.scale(sc, s, values, t.history[row*l.width():(row+1)*l.width()], t.latency[row*5:row*5+5])
			for j := range s.Services {
				t.cores[row*n+j] = s.Services[j].Cores
				if i >= Past-1 {
					t.used[row*n+j] = usedOf(r.Steps[i-Past+1:i+1], j)
				}
			}
			t.seen[row] = s.Latency
			if i >= Past-1 && i+Horizon < len(r.Steps) {
				t.bad[row] = l.violation(r.Steps[i+2 : i+Horizon+1])
				if next := r.Steps[i+1].Latency; next[P99] == next[P99] {
					t.samples = append(t.samples, sample{int32(row), int32(k)})
				}
			}
			row++
		}
	}
	return t
}

// usedOf is the mean of what a service used in some seconds, over all replicas; NaN where none told it.
func usedOf(steps []Step, service int) float64 {
	sum, n := 0.0, 0.0
	for i := range steps {
		s := &steps[i].Services[service]
		if v := s.Used * s.Replicas; v == v {
			sum, n = sum+v, n+1
		}
	}
	return sum / n
}

// next is what the network and the trees see of the cores of a service that many seconds after a row.
func (t *table) next(row, after, service int) float64 {
	n := len(t.schema.Services)
	return t.proposed.proposed(t.cores[(row+after)*n+service], t.used[row*n+service])
}

// scale writes what a step says of services and of latencies, scaled. Where no request told a latency, it is the mean.
func (l *layout) scale(sc *scaling, s *Step, values []float64, history, latency []float32) {
	l.values(s, values)
	for k, v := range values {
		history[k] = sc.History[k].of(v)
	}
	for k, v := range s.Latency {
		latency[k] = sc.Latency[k].of(compress(v, l.schema.Reference))
	}
}

// violation is what the label says of seconds.
func (l *layout) violation(steps []Step) bool {
	switch l.label {
	case LabelPooled:
		for i := range steps {
			if steps[i].Latency[P99] >= l.schema.Reference {
				return true
			}
		}
	case LabelWindows:
		return l.missed(steps)
	default:
		for i := range steps {
			for e, o := range l.schema.Objectives {
				if s := &steps[i].Endpoints[e]; o.Latency > 0 && s.Late > (1-o.Percentile/100)*s.Requests {
					return true
				}
			}
		}
	}
	return false
}

// missed is whether there are seconds in a row in which more of an endpoint's requests were late than its objective allows of
// them, or of the fewest that a window is judged on. Windows of a judge, wherever they begin, that lie in these seconds are
// among them.
func (l *layout) missed(steps []Step) bool {
	for e, o := range l.schema.Objectives {
		if o.Latency <= 0 {
			continue
		}
		for i := range steps {
			var late, requests float64
			for k := i; k < len(steps); k++ {
				late, requests = late+steps[k].Endpoints[e].Late, requests+steps[k].Endpoints[e].Requests
				if late > (1-o.Percentile/100)*max(requests, float64(o.MinRequests)) {
					return true
				}
			}
		}
	}
	return false
}

// batch gathers samples for the network.
type batch struct {
	history, latency, cores nn.Batch[float32]
	target                  []float32
}

func newBatch(l *layout, rows int) *batch {
	n := len(l.schema.Services)
	make2 := func(cols int) nn.Batch[float32] {
		return nn.Batch[float32]{Rows: rows, Cols: cols, Data: make([]float32, rows*cols)}
	}
	return &batch{make2(l.width() * Past), make2(Past * len(Percentiles)), make2(n), make([]float32, rows*len(Percentiles))}
}

// first is the batch of the first rows.
func (b *batch) first(rows int) batch {
	return batch{b.history.Rowset(0, rows), b.latency.Rowset(0, rows), b.cores.Rowset(0, rows), b.target[:rows*len(Percentiles)]}
}

// gather fills a batch with samples and, where out is given, squashed targets in its unit.
func (t *table) gather(b *batch, samples []sample, sc *scaling, out []affine) {
	n, c := len(t.schema.Services), len(t.channels)
	w := n * c
	for i, s := range samples {
		row := int(s.row)
		window(b.history.Row(i), t.history[(row-Past+1)*w:(row+1)*w], n, c)
		copy(b.latency.Row(i), t.latency[(row-Past+1)*5:(row+1)*5])
		cores := b.cores.Row(i)
		for k := range cores {
			cores[k] = sc.Next[k].of(t.next(row, 1, k))
		}
		for k := range out {
			y := t.seen[row+1][k]
			if math.IsNaN(y) {
				y = t.seen[row+1][P99]
			}
			b.target[i*5+k] = (float32(t.squash.Of(y)) - out[k].Mean) * out[k].Per
		}
	}
}

// window turns seconds × services × channels into services × seconds × channels.
func window(dst, src []float32, services, channels int) {
	w := services * channels
	for s := range services {
		for k := range Past {
			copy(dst[(s*Past+k)*channels:(s*Past+k+1)*channels], src[k*w+s*channels:k*w+(s+1)*channels])
		}
	}
}
