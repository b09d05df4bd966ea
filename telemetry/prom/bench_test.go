package prom

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"foresail.dev"
)

// BenchmarkBetween makes a snapshot of what is answered for 100 services of 3 replicas: a native histogram of 40 buckets
// and two counters each.
func BenchmarkBetween(b *testing.B) {
	app := &foresail.App{Name: "many"}
	serves := map[foresail.ServiceID]string{}
	for i := range 100 {
		name := fmt.Sprintf("service-%d", i)
		app.Services = append(app.Services, foresail.Service{Name: name})
		serves[foresail.ServiceID(i)] = name
	}
	r, err := NewReader(Config{Access: Access{URL: "http://prometheus.test"}, App: app})
	if err != nil {
		b.Fatal(err)
	}
	labels := Labels{Service: []string{"service_name"}, Replica: []string{"pod"}}
	p := &plan{}
	for _, k := range []Kind{Requests, CPU, Throttled} {
		f := &found{series: &Series{Gives: k, Labels: labels}, kind: k, spell: spelled{metric: "m", scale: 1}, label: "service_name", serves: serves}
		if k == Requests {
			f.form = native
		}
		q := f.queries(r)
		q[0].text = k.String()
		p.queries = append(p.queries, q...)
	}
	answered := func(n float64, k Kind) (v model.Vector) {
		for i := range 300 {
			s := &model.Sample{Metric: model.Metric{"service_name": model.LabelValue(fmt.Sprintf("service-%d", i/3)), "pod": model.LabelValue(fmt.Sprint(i % 3))}, Value: model.SampleValue(n)}
			if k == Requests {
				values := make([]float64, 0, 200)
				for j := range 200 {
					values = append(values, 0.001*float64(1+j%40))
				}
				s.Histogram = nativeOf(values, factorOfSketch)
				s.Histogram.Count *= model.FloatString(n)
				for _, x := range s.Histogram.Buckets {
					x.Count *= model.FloatString(n)
				}
			}
			v = append(v, s)
		}
		return v
	}
	first, second := map[Kind]model.Vector{}, map[Kind]model.Vector{}
	for _, q := range p.queries {
		first[q.kind], second[q.kind] = answered(1, q.kind), answered(2, q.kind)
	}
	now := time.Unix(60, 0)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		x, y := &moment{answers: map[string]*answer{}}, &moment{answers: map[string]*answer{}}
		for _, q := range p.queries {
			x.answers[q.text], y.answers[q.text] = r.read(q, first[q.kind], nil, nil), r.read(q, second[q.kind], nil, nil)
		}
		if s := r.between(p, x, y, now, now.Add(5*time.Second)); s.Services[99].Latency.Count() < 599 {
			b.Fatal(s.Services[99].Usage)
		}
	}
	b.ReportMetric(100*float64(b.N)/b.Elapsed().Seconds(), "services/s")
}

const factorOfSketch = 1.0443
