package adapting

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"foresail.dev"
	"foresail.dev/model/tail"
	"foresail.dev/model/tail/steps"
	"foresail.dev/telemetry/store/bucket"
)

// kind is what models are found under in a bucket.
const kind = "tail"

// Keeper keeps models that took over in the bucket that a configuration names; nil where it names none. An error is one of the
// address.
func Keeper(ctx context.Context, c *Config, app *foresail.App) (func(context.Context, *tail.Model, time.Time) (string, error), error) {
	if c.Models == "" {
		return nil, nil
	}
	b, err := bucket.Create(ctx, c.Models)
	if err != nil {
		return nil, fmt.Errorf("adapt.models: %w", err)
	}
	if err := b.Close(); err != nil {
		return nil, fmt.Errorf("adapt.models: %w", err)
	}
	return func(ctx context.Context, m *tail.Model, at time.Time) (string, error) {
		b, err := bucket.Create(ctx, c.Models)
		if err != nil {
			return "", err
		}
		var file bytes.Buffer
		if err := tail.Write(&file, m); err != nil {
			return "", errors.Join(err, b.Close())
		}
		n := bucket.Name{Application: app.Name, Kind: kind, Version: at.UTC().Format("20060102T150405Z")}
		return n.String(), errors.Join(b.Put(ctx, n, file.Bytes()), b.Close())
	}, nil
}

// Newest is the model of an application that was kept last, by the time of the run, and what to tell of it; nil where there is
// none that fits.
func Newest(ctx context.Context, c *Config, app *foresail.App) (*tail.Model, string) {
	if c.Models == "" {
		return nil, ""
	}
	m, name, err := newest(ctx, c.Models, app)
	switch {
	case err != nil:
		return nil, fmt.Sprintf("adapt.models: %v: the run begins with the model that it names", err)
	case m == nil:
		return nil, ""
	}
	return m, fmt.Sprintf("model: the run begins with the one that took over in an earlier run, %s", name)
}

func newest(ctx context.Context, address string, app *foresail.App) (m *tail.Model, name string, err error) {
	b, err := bucket.Open(ctx, address)
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	all, err := b.Versions(ctx, app.Name, kind, "")
	if err != nil || len(all) == 0 {
		return nil, "", err
	}
	last := all[len(all)-1].Name
	_, _, file, err := b.Get(ctx, last)
	if err != nil {
		return nil, "", err
	}
	if m, err = tail.Read(bytes.NewReader(file)); err == nil {
		err = m.Fits(app)
	}
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", last, err)
	}
	return m, last.String(), nil
}

// Known are the steps that the model was trained on, where a configuration says where they are. An error is one of the folder.
func Known(c *Config, app *foresail.App) ([]tail.Run, error) {
	if c.Data == "" {
		return nil, nil
	}
	want := tail.SchemaOf(app)
	files, err := steps.ReadDir(c.Data, &want)
	if err != nil {
		return nil, fmt.Errorf("adapt.data: %w", err)
	}
	return steps.Runs(files), nil
}
