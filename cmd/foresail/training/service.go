package training

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"foresail.dev/model/forecast"
	"foresail.dev/model/forecast/evaluate"
	"foresail.dev/model/forecast/neural"
	"foresail.dev/telemetry/store/bucket"
)

// one trains a service, or finds that it was trained already. A service that nothing can be learnt from is a row that says why; an
// error is one of the run.
func (r *Run) one(ctx context.Context, service string) (Row, error) {
	set := r.Settings
	row := Row{Application: set.Application, Service: service, Method: set.Method.Name(), N: set.N, M: set.M}
	p, err := r.load(ctx, service)
	row.Gaps = p.repairs.Gaps + p.repairs.Empty
	var unfit errUnfit
	switch {
	case errors.As(err, &unfit):
		row.Skipped = unfit.Error()
		return row, nil
	case err != nil:
		return row, err
	}
	past := p.past()
	warm, err := r.warm(ctx, service, past)
	if err != nil {
		return row, err
	}
	seed, steps := set.seedOf(service), set.steps(warm.model != nil)
	h := set.digest()
	fmt.Fprintln(h, "service", steps, warm.sum)
	add(h, service, past)
	name := bucket.Name{Application: set.Application, Kind: set.Kind(), Service: service, Version: version(past.End(), h)}
	if !r.Force {
		found, ok, err := r.found(ctx, name, row)
		if ok || err != nil {
			return found, err
		}
	}
	row.Version, row.Steps, row.Start, row.TrainRows, row.TrainedTo = name.Version, steps, warm.from, past.Observed(), past.End().UTC()
	began := time.Now()
	data, err := await(ctx, func() ([]byte, error) {
		o := forecast.Options{N: set.N, M: set.M, Seed: seed, Steps: steps}
		if warm.model != nil {
			o.Warm = warm.model
		}
		f, err := set.Method.Train(past, o)
		if err != nil {
			return nil, errUnfit{err}
		}
		return write(r.header([]forecast.Series{past}, "calls of "+service, seed), f.(*neural.Model))
	})
	if errors.As(err, &unfit) {
		row.Skipped = unfit.Error()
		return row, nil
	}
	if err != nil {
		return row, err
	}
	row.TrainS, row.SHA256 = seconds(time.Since(began)), sum(data)
	if err := r.measure(ctx, p, data, &row); err != nil {
		return row, err
	}
	return row, r.keep(ctx, name, data, row)
}

// keep writes the model first: a row without one is never found, a model without a row is.
func (r *Run) keep(ctx context.Context, name bucket.Name, data []byte, row Row) error {
	if err := r.Bucket.Put(ctx, name, data); err != nil {
		return err
	}
	b, err := json.Marshal(row)
	if err != nil {
		return err
	}
	return r.Bucket.PutResult(ctx, name, b)
}

// found is the row of a model that is there as a whole; false where it is to be trained.
func (r *Run) found(ctx context.Context, name bucket.Name, row Row) (Row, bool, error) {
	h, _, data, err := r.Bucket.Get(ctx, name)
	switch {
	case errors.Is(err, bucket.ErrNotFound) || bucket.Broken(err):
		return row, false, nil
	case err != nil:
		return row, false, err
	}
	kept, err := r.Bucket.Result(ctx, name)
	var was Row
	if err == nil && json.Unmarshal(kept, &was) == nil && was.SHA256 == sum(data) {
		was.Again = true
		return was, true, nil
	}
	if err != nil && !errors.Is(err, bucket.ErrNotFound) {
		return row, false, err
	}
	row.Again, row.Version, row.SHA256, row.TrainRows, row.TrainedTo = true, name.Version, sum(data), h.Trained.Rows, h.Trained.To
	return row, true, nil
}

// warm is what training starts from.
type warm struct {
	model *neural.Model // nil: from scratch
	from  string        // for people
	sum   string        // of its bytes
}

func (r *Run) warm(ctx context.Context, service string, past forecast.Series) (warm, error) {
	if r.Settings.Start == Scratch {
		return warm{from: string(Scratch)}, nil
	}
	if r.Settings.Start == Stored {
		w, err := r.stored(ctx, service, past)
		if w.model != nil || err != nil {
			return w, err
		}
	}
	s, err := r.share(ctx)
	switch {
	case err != nil:
		return warm{}, err
	case s.model == nil:
		return warm{from: string(Scratch)}, nil
	}
	return warm{s.model, string(Shared) + " " + s.name.Version, s.sum}, nil
}

// stored is the newest model of a service whose data ended before this data does, so that it is the same one when training is
// done again after it was interrupted.
func (r *Run) stored(ctx context.Context, service string, past forecast.Series) (warm, error) {
	all, err := r.Bucket.Versions(ctx, r.Settings.Application, r.Settings.Kind(), service)
	if err != nil {
		return warm{}, err
	}
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Version >= stamp(past.End()) {
			continue
		}
		_, _, data, err := r.Bucket.Get(ctx, all[i].Name)
		if bucket.Broken(err) {
			continue
		}
		if err != nil {
			return warm{}, err
		}
		m, sum, err := read(r.Settings.Method, data)
		if err != nil {
			return warm{}, fmt.Errorf("%s: %w", all[i].Name, err)
		}
		return warm{m, string(Stored) + " " + all[i].Version, sum}, nil
	}
	return warm{}, nil
}

// trained is a method that has been trained already.
type trained struct {
	forecast.Method
	f forecast.Forecaster
}

func (t trained) Train(forecast.Series, forecast.Options) (forecast.Forecaster, error) {
	return t.f, nil
}

// measure lets the model, as it will be read back, forecast what was held out, and the last value beside it.
func (r *Run) measure(ctx context.Context, p part, data []byte, row *Row) error {
	set := r.Settings
	if p.train+set.M > len(p.whole.Values) {
		return nil
	}
	m, _, err := read(set.Method, data)
	if err != nil {
		return err
	}
	// What lies further back than the window is of no use to either, and slices are counted through.
	from := max(0, p.train-max(set.N, 2000))
	c := evaluate.Case{Series: p.whole.Slice(from, len(p.whole.Values)), Train: p.train - from, N: set.N, M: set.M}
	res, err := evaluate.Run(trained{set.Method, m}, c, ctx.Err)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return nil // nothing of it was observed
	}
	last, err := evaluate.Run(forecast.LastValue{}, c, ctx.Err)
	if err != nil {
		return ctx.Err()
	}
	row.HeldOut = res.Steps
	row.Accuracy, row.Within10, row.Coverage90 = known(res.Accuracy), known(res.Within10), known(res.Coverage90)
	row.LastValue = known(last.Accuracy)
	row.MASE, row.LastMASE = known(res.MASE), known(last.MASE)
	return nil
}

func known(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	v = math.Round(v*1e5) / 1e5
	return &v
}
