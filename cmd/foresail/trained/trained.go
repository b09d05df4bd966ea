// Package trained finds what foresail train has put into a bucket, for those who forecast with it.
package trained

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"foresail.dev"
	"foresail.dev/cmd/foresail/training"
	"foresail.dev/ml"
	"foresail.dev/model/forecast/neural"
	"foresail.dev/telemetry/store/bucket"
)

// ErrNone is a service without a model.
var ErrNone = errors.New("there is no such model")

// Newest is the newest model of a service that sees n steps of so much time each: one for so many steps ahead, else for the usual
// five. It fails with ErrNone, or with the bucket's errors.
func Newest(ctx context.Context, b *bucket.Bucket, application, service string, method neural.Method, n, ahead int, step time.Duration) (*neural.Model, error) {
	for _, m := range []int{ahead, 5} {
		found, err := b.Versions(ctx, application, training.Kind(method, n, m), service)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			continue
		}
		model, err := read(ctx, b, found[len(found)-1].Name, method)
		if err == nil && model.Step() != step {
			err = fmt.Errorf("%w: that of %s was trained on loads that are %v apart, and the series' are %v: give --step, or train on such a series", ErrNone, service, model.Step(), step)
		}
		return model, err
	}
	return nil, fmt.Errorf("%w: %s has none of %q of application %q that sees %d steps: train it with `foresail train --application %s --models %s`, or name it with --service and --history",
		ErrNone, b, service, application, n, application, b)
}

func read(ctx context.Context, b *bucket.Bucket, name bucket.Name, method neural.Method) (*neural.Model, error) {
	_, _, data, err := b.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	var m neural.Model
	if _, err := ml.Load(bytes.NewReader(data), ml.Header{Kind: method.Kind(), Features: neural.Schema()}, &m); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &m, nil
}

// Payloads are those of the newest models of madu that an application's services have, by their names, as plan/madu takes them; and
// notes for a person: what there is, and what not. Those that can't be used are left out.
func Payloads(ctx context.Context, b *bucket.Bucket, app *foresail.App) (map[string][]byte, []string, error) {
	kind := training.Kind(neural.Madu, 60, 5) // what madu.Config's zero values ask for
	all, err := b.Models(ctx, app.Name, kind)
	if err != nil {
		return nil, nil, err
	}
	newest := map[string]bucket.Name{}
	for _, e := range bucket.Newest(all) {
		newest[e.Service] = e.Name
	}
	var mu sync.Mutex
	models := map[string][]byte{}
	var bad, lacking []string
	var last string
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	services := 0
	for _, svc := range app.Services {
		if svc.Gone {
			continue
		}
		services++
		name, ok := newest[svc.Name]
		if !ok {
			lacking = append(lacking, svc.Name)
			continue
		}
		g.Go(func() error {
			m, err := read(ctx, b, name, neural.Madu)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil && m.Step() != time.Minute {
				err = fmt.Errorf("it was trained on loads that are %v apart, and calls a minute are planned for", m.Step())
			}
			if err == nil {
				models[name.Service], err = m.MarshalBinary()
			}
			if err != nil {
				bad = append(bad, fmt.Sprintf("that of %s is not used: %v", name.Service, err))
			} else {
				last = max(last, name.Version)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	if len(models) == 0 && len(bad) == 0 {
		return nil, []string{fmt.Sprintf("%s has none of %s (%s): train them with `foresail train --application %s --models %s`; foresail's forecast stands in", b, app.Name, kind, app.Name, b)}, nil
	}
	notes := []string{fmt.Sprintf("%d of %d services have one", len(models), services)}
	if at, err := time.Parse("20060102T150405Z", strings.SplitN(last, "-", 2)[0]); err == nil {
		notes[0] += ", the newest trained on loads up to " + at.Format(time.DateTime)
	}
	if n := len(lacking); n > 0 {
		text := strings.Join(lacking[:min(n, 5)], ", ")
		if n > 5 {
			text += fmt.Sprintf(" and %d more", n-5)
		}
		notes = append(notes, "there is none of "+text+": foresail's forecast stands in")
	}
	return models, append(notes, bad...), nil
}
