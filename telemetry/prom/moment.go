package prom

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"golang.org/x/sync/errgroup"

	"foresail.dev"
)

// moment is what was there at an instant, by the text of the query.
type moment struct {
	look
	answers map[string]*answer
}

// answer is what one query was answered with.
type answer struct {
	err     error
	samples map[model.Fingerprint]*sample
	order   []model.Fingerprint // of the samples, so that sums are the same each time
	there   map[process]bool
	lost    map[model.Fingerprint]lost // series that were there not long ago
	bad     int                        // series that could not be read
}

// lost is a series that is not there for now: a part of the servers behind the API did not answer, or it was not scraped.
type lost struct {
	total float64 // that it had
	since time.Time
}

// remember is how long a series that is lost may come back. Only one that never was there, or so long ago, is new.
const remember = 15 * time.Minute

// carry notes what was there before and is not now.
func (m *moment) carry(before *moment) {
	for text, now := range m.answers {
		old := before.answers[text]
		if old == nil || old.err != nil || now.err != nil {
			continue
		}
		now.lost = map[model.Fingerprint]lost{}
		for print, l := range old.lost {
			if now.samples[print] == nil && m.at.Sub(l.since) < remember {
				now.lost[print] = l
			}
		}
		for print, s := range old.samples {
			if now.samples[print] == nil && len(now.lost) < maxMemo {
				now.lost[print] = lost{s.total(), before.at}
			}
		}
	}
}

// total is what a counter or a histogram has counted.
func (s *sample) total() float64 {
	if s.hist != nil {
		return s.hist.count
	}
	return s.value
}

// process is what counts for a service.
type process struct {
	service foresail.ServiceID
	name    string
}

// sample is one series at an instant, its labels read.
type sample struct {
	who
	value float64
	hist  *hist
}

// ask asks every query of the plan that the moment has no answer to yet. It returns when all are answered or ctx is over.
func (r *Reader) ask(ctx context.Context, m *moment, p *plan) {
	if m.answers == nil {
		m.answers = map[string]*answer{}
	}
	var mu sync.Mutex // of the answers
	var g errgroup.Group
	g.SetLimit(parallel)
	type pair struct {
		vectors [2]model.Vector
		errs    [2]error
	}
	open := slices.DeleteFunc(slices.Clone(p.queries), func(q *query) bool { a := m.answers[q.text]; return a != nil && a.err == nil })
	pairs := make([]pair, len(open))
	for i, q := range open {
		for j, text := range []string{q.text, q.sums} {
			if text == "" {
				continue
			}
			g.Go(func() error {
				v, warnings, err := r.client.query(ctx, text, m.look)
				mu.Lock()
				defer mu.Unlock()
				pairs[i].vectors[j], pairs[i].errs[j] = v, err
				for _, w := range warnings {
					r.tell(w)
				}
				if err != nil {
					r.tell(q.name() + ": " + err.Error())
				}
				return nil
			})
		}
	}
	_ = g.Wait()
	for i, q := range open {
		m.answers[q.text] = r.read(q, pairs[i].vectors[0], pairs[i].vectors[1], pairs[i].errs[0])
	}
}

// read is an answer, its labels understood and what can't be true left out.
func (r *Reader) read(q *query, v, sums model.Vector, err error) *answer {
	a := &answer{err: err, samples: map[model.Fingerprint]*sample{}, there: map[process]bool{}}
	if err != nil {
		return a
	}
	add := func(m model.Metric, value float64, h *hist) {
		w, ok := q.read(r.names, m)
		if !ok {
			return
		}
		print := m.Fingerprint()
		if a.samples[print] != nil {
			a.bad++ // the same series twice
			return
		}
		a.samples[print] = &sample{who: w, value: value, hist: h}
		a.order = append(a.order, print)
		a.there[process{w.service, w.process}] = true
	}
	switch {
	case q.form == classic:
		a.bad += assemble(v, sums, add)
	default:
		for _, s := range v {
			switch {
			case s == nil:
				a.bad++
			case q.form == native:
				h, err := fromNative(s.Histogram)
				if err != nil {
					a.bad++
					continue
				}
				add(s.Metric, 0, h)
			case s.Histogram != nil || !likely(float64(s.Value)) || q.kind.counter() && s.Value < 0:
				a.bad++
			default:
				add(s.Metric, float64(s.Value), nil)
			}
		}
	}
	slices.Sort(a.order)
	return a
}

// assemble makes histograms of the series of their buckets, and adds their sums. It returns how many series were bad.
func assemble(v, sums model.Vector, add func(model.Metric, float64, *hist)) (bad int) {
	type parts struct {
		metric     model.Metric
		le, ranges map[string]float64
	}
	all := map[model.Fingerprint]*parts{}
	var order []model.Fingerprint
	for _, s := range v {
		if s == nil || s.Histogram != nil || !(s.Value >= 0) || !likely(float64(s.Value)) {
			bad++
			continue
		}
		m := s.Metric.Clone()
		le, isLe := m[model.BucketLabel]
		r, isRange := m[vmrange]
		if isLe == isRange {
			bad++
			continue
		}
		delete(m, model.BucketLabel)
		delete(m, vmrange)
		print := m.Fingerprint()
		p := all[print]
		if p == nil {
			p = &parts{m, map[string]float64{}, map[string]float64{}}
			all[print] = p
			order = append(order, print)
		}
		if len(p.le)+len(p.ranges) >= maxBuckets {
			bad++
			continue
		}
		if isLe {
			p.le[string(le)] = float64(s.Value)
		} else {
			p.ranges[string(r)] = float64(s.Value)
		}
	}
	total := map[model.Fingerprint]float64{}
	for _, s := range sums {
		if s != nil && s.Histogram == nil && likely(float64(s.Value)) {
			total[s.Metric.Fingerprint()] = float64(s.Value)
		}
	}
	for _, print := range order {
		p := all[print]
		h, err := fromClassic(p.le, p.ranges)
		if err != nil {
			bad++
			continue
		}
		h.sum, h.summed = total[print]
		add(p.metric, 0, h)
	}
	return bad
}
