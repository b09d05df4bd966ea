package prom

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"golang.org/x/sync/errgroup"

	"foresail.dev"
)

// Past says how much of the past to read.
type Past struct {
	Needs  foresail.Needs // what the manager looks back on
	Limit  time.Duration  // no further back than this
	Budget time.Duration  // how long reading may take; 0: a minute
	// Progress is told, after each step, which share is done and how far back it reaches.
	Progress func(done float64, back time.Time)
}

// Limits of what is read at once.
const (
	maxPoints = 200_000 // samples of one query
	maxSteps  = 120     // instants
	minSteps  = 4
)

// stretch is a part of the past that is read at one resolution.
type stretch struct {
	from, to time.Time
	step     time.Duration
}

// Past reads what happened before now, oldest first, as far as the manager looks back: in intervals of the source's own
// where it reads seconds or beats, of a minute before that. It starts with the newest, so that what there was no time for is
// the oldest. The error says why there is less than asked for; what there is, is returned with it.
func (s *Source) Past(ctx context.Context, p Past) ([]*foresail.Snapshot, error) {
	if p.Budget <= 0 {
		p.Budget = time.Minute
	}
	end := s.cfg.Now().Add(-s.cfg.Lag).Truncate(s.every)
	parts := stretches(end, s.every, p)
	if len(parts) == 0 {
		return nil, nil
	}
	oldest := parts[len(parts)-1].from
	began := s.cfg.Now()
	reading, cancel := context.WithTimeout(ctx, p.Budget)
	defer cancel()
	var chunks [][]*foresail.Snapshot // newest first
	var failed error
read:
	for _, part := range parts {
		steps := s.steps()
		for to := part.to; to.After(part.from); {
			from := to.Add(-time.Duration(steps) * part.step)
			if from.Before(part.from) {
				from = part.from
			}
			chunk, err := s.stretch(reading, stretch{from, to, part.step})
			if err != nil {
				if steps > minSteps && reading.Err() == nil {
					steps = max(steps/4, minSteps) // a server has limits of its own
					continue
				}
				failed = err
				break read
			}
			chunks = append(chunks, chunk)
			to = from
			if p.Progress != nil {
				p.Progress(float64(end.Sub(from))/float64(end.Sub(oldest)), from)
			}
		}
	}
	slices.Reverse(chunks)
	out := slices.Concat(chunks...)
	for len(out) > 0 && out[0].Stale { // before anything was there
		out = out[1:]
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case failed != nil && reading.Err() != nil:
		failed = fmt.Errorf("reading the past took longer than %v: history reaches back %v", p.Budget, s.reach(out, began))
	case failed != nil:
		failed = fmt.Errorf("reading the past: %w: history reaches back %v", failed, s.reach(out, began))
	}
	return out, failed
}

func (s *Source) reach(out []*foresail.Snapshot, now time.Time) time.Duration {
	if len(out) == 0 {
		return 0
	}
	return now.Sub(out[0].Start).Round(time.Second)
}

// steps is how many instants are read at once: few of many series.
func (s *Source) steps() int {
	series := 1
	for _, f := range s.plan.found {
		series = max(series, f.seen)
	}
	return min(max(maxPoints/series, minSteps), maxSteps)
}

// stretches are what to read, the newest first.
func stretches(end time.Time, every time.Duration, p Past) (out []stretch) {
	fine := max(time.Duration(min(p.Needs.Beats, foresail.MaxBeats))*every, time.Duration(min(p.Needs.Seconds, foresail.MaxSeconds))*time.Second)
	all := max(fine, time.Duration(min(p.Needs.Minutes, foresail.MaxMinutes))*time.Minute)
	fine, all = min(fine, p.Limit), min(all, p.Limit)
	at := end
	if fine >= every {
		from := end.Add(-fine).Truncate(every)
		if all > fine {
			from = from.Truncate(max(time.Minute, every))
		}
		out = append(out, stretch{from, end, every})
		at = from
	}
	step := max(time.Minute, every)
	to := at.Truncate(step)
	if from := end.Add(-all).Truncate(step); from.Before(to) && all > fine {
		if to.Before(at) {
			out = append(out, stretch{to, at, every})
		}
		out = append(out, stretch{from, to, step})
	}
	return out
}

var errShort = errors.New("the answer has instants that were not asked for")

// stretch reads the intervals of one.
func (s *Source) stretch(ctx context.Context, part stretch) ([]*foresail.Snapshot, error) {
	n := int(part.to.Sub(part.from)/part.step) + 1
	first := s.setup.look(part.from)
	moments := make([]*moment, n)
	for i := range moments {
		moments[i] = &moment{look: s.setup.look(part.from.Add(time.Duration(i) * part.step)), answers: map[string]*answer{}}
	}
	rng := v1.Range{Start: first.at, End: first.at.Add(time.Duration(n-1) * part.step), Step: part.step}
	type pair struct{ values, sums model.Matrix }
	pairs := make([]pair, len(s.plan.queries))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, q := range s.plan.queries {
		g.Go(func() (err error) {
			if pairs[i].values, err = s.client.queryRange(gctx, q.text, rng, first.back); err != nil || q.sums == "" {
				return err
			}
			pairs[i].sums, err = s.client.queryRange(gctx, q.sums, rng, first.back)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i, q := range s.plan.queries {
		values, err := instants(pairs[i].values, rng, n)
		if err != nil {
			return nil, err
		}
		sums, err := instants(pairs[i].sums, rng, n)
		if err != nil {
			return nil, err
		}
		for k := range moments {
			moments[k].answers[q.text] = s.read(q, values[k], sums[k], nil)
		}
	}
	out := make([]*foresail.Snapshot, 0, n-1)
	for k := 1; k < n; k++ {
		from := part.from.Add(time.Duration(k-1) * part.step)
		moments[k].carry(moments[k-1])
		out = append(out, s.between(s.plan, moments[k-1], moments[k], from.UTC(), from.Add(part.step).UTC()))
	}
	return out, nil
}

// instants cuts a matrix into the vectors of its instants.
func instants(m model.Matrix, r v1.Range, n int) ([]model.Vector, error) {
	out := make([]model.Vector, n)
	at := func(t model.Time) (int, error) {
		i := int((t.Sub(model.TimeFromUnixNano(r.Start.UnixNano())) + r.Step/2) / r.Step)
		if t.Before(model.TimeFromUnixNano(r.Start.UnixNano())) || i >= n {
			return 0, errShort
		}
		return i, nil
	}
	for _, s := range m {
		if s == nil {
			continue
		}
		for _, x := range s.Values {
			i, err := at(x.Timestamp)
			if err != nil {
				return nil, err
			}
			out[i] = append(out[i], &model.Sample{Metric: s.Metric, Value: x.Value, Timestamp: x.Timestamp})
		}
		for _, x := range s.Histograms {
			i, err := at(x.Timestamp)
			if err != nil {
				return nil, err
			}
			out[i] = append(out[i], &model.Sample{Metric: s.Metric, Histogram: x.Histogram, Timestamp: x.Timestamp})
		}
	}
	return out, nil
}
