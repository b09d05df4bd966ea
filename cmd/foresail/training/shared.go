package training

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"foresail.dev/ml"
	"foresail.dev/model/forecast"
	"foresail.dev/model/forecast/neural"
	"foresail.dev/telemetry/store/bucket"
)

// fewestShared is how many services there must be for a shared model to be worth its training.
const fewestShared = 3

// shared is the model that others start from.
type shared struct {
	model *neural.Model // nil: there are too few services for one
	name  bucket.Name
	sum   string
}

// share gives the shared model, trained by this process or another.
func (r *Run) share(ctx context.Context) (shared, error) {
	r.sharing.Lock()
	defer r.sharing.Unlock()
	if r.sharedDone {
		return r.sharedModel, nil
	}
	out, err := r.makeShared(ctx)
	if err == nil {
		r.sharedModel, r.sharedDone = out, true
	}
	return out, err
}

func (r *Run) makeShared(ctx context.Context) (shared, error) {
	names, series, err := r.sample(ctx)
	if err != nil || len(series) < fewestShared {
		return shared{}, err
	}
	set := r.Settings
	h := set.digest()
	fmt.Fprintln(h, "shared", set.poolSteps(), len(series))
	var end time.Time
	for i, s := range series {
		add(h, names[i], s)
		if s.End().After(end) {
			end = s.End()
		}
	}
	out := shared{name: bucket.Name{Application: set.Application, Kind: set.Kind(), Version: version(end, h)}}
	build := func(ctx context.Context) ([]byte, error) {
		r.tell(0, fmt.Sprintf("the shared model, on %d services", len(series)))
		began := time.Now()
		defer func() { r.SharedS = seconds(time.Since(began)) }()
		return await(ctx, func() ([]byte, error) {
			seed := set.seedOf("")
			f, err := set.Method.Pool(series, forecast.Options{N: set.N, M: set.M, Seed: seed, Steps: set.poolSteps()})
			if err != nil {
				return nil, err
			}
			return write(r.header(series, fmt.Sprintf("calls of %d services", len(series)), seed), f.(*neural.Model))
		})
	}
	if r.Force && r.Shard.Count <= 1 || r.SharedOnly && r.Force {
		if err := r.Bucket.Remove(ctx, out.name); err != nil {
			return shared{}, err
		}
	}
	turns := r.Turns
	turns.Wait = func() { r.tell(0, "waiting for another shard to train the shared model") }
	data, built, err := r.Bucket.Once(ctx, out.name, turns, build)
	if err != nil {
		return shared{}, fmt.Errorf("the shared model: %w", err)
	}
	r.telling.Lock()
	r.SharedBuilt = built
	r.telling.Unlock()
	out.model, out.sum, err = read(r.Settings.Method, data)
	return out, err
}

// sample is the series that the shared model is trained on: of a part of all services that hangs on their names alone, those
// that something can be learnt from.
func (r *Run) sample(ctx context.Context) (names []string, series []forecast.Series, err error) {
	all := slices.Clone(r.Source.Services())
	slices.SortFunc(all, func(a, b string) int {
		return cmp.Or(cmp.Compare(spread("pool/"+a), spread("pool/"+b)), cmp.Compare(a, b))
	})
	for _, name := range all {
		if len(series) >= r.Settings.PoolSize {
			break
		}
		p, err := r.load(ctx, name)
		var unfit errUnfit
		switch {
		case errors.As(err, &unfit):
			continue
		case err != nil:
			return nil, nil, err
		}
		names, series = append(names, name), append(series, p.past())
	}
	return names, series, nil
}

// read takes a model out of a model file, with the sum of its bytes.
func read(method neural.Method, data []byte) (*neural.Model, string, error) {
	var m neural.Model
	if _, err := ml.Load(bytes.NewReader(data), ml.Header{Kind: method.Kind(), Features: neural.Schema()}, &m); err != nil {
		return nil, "", err
	}
	return &m, sum(data), nil
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

func write(h ml.Header, m *neural.Model) ([]byte, error) {
	var b bytes.Buffer
	err := ml.Write(&b, h, m)
	return b.Bytes(), err
}

// await ends when ctx does, even where work can't be stopped: it is then left to the end of the process.
func await[T any](ctx context.Context, work func() (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		v, err := work()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

func seconds(d time.Duration) float64 {
	return float64(d.Round(time.Millisecond)) / float64(time.Second)
}
