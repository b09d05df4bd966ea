package trained

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"foresail.dev"
	"foresail.dev/cmd/foresail/training"
	"foresail.dev/model/forecast"
	"foresail.dev/plan/madu"
	"foresail.dev/plan/managers"
	"foresail.dev/telemetry/store/bucket"
)

// Flags say which trained model forecasts a series.
type Flags struct{ URL, KeyFile, Application, Service string }

func (f *Flags) Register(fl *pflag.FlagSet) {
	fl.StringVar(&f.URL, "models", "", "forecast with the newest model that foresail train put into this folder or bucket, and train nothing")
	fl.StringVar(&f.KeyFile, "models-key-file", "", "with --models: file with their key, or env:NAME, where they are encrypted")
	fl.StringVar(&f.Application, "application", "", "with --models: the application that the model was trained for")
	fl.StringVar(&f.Service, "service", "", "with --models: the service; empty: --column, or the name of the file")
}

// Check tells what is wrong with them, for a method by its name: an error of usage.
func (f *Flags) Check(method string) error {
	if f.URL == "" {
		if f.Application != "" || f.Service != "" {
			return fmt.Errorf("--application and --service name a trained model: say with --models where it is")
		}
		return nil
	}
	if err := bucket.Check(f.URL); err != nil {
		return fmt.Errorf("--models: %w", err)
	}
	if f.Application == "" {
		return fmt.Errorf("--models needs --application: the one that the model was trained for")
	}
	_, err := training.MethodByName(method)
	return err
}

// Find finds the newest model for a series of a file, in steps of so much time, with Newest's errors. Where no service is named, it is the one of
// the column, or the one that the file is named after.
func (f *Flags) Find(ctx context.Context, file, column, method string, n, ahead int, step time.Duration) (forecast.Forecaster, error) {
	service := cmp.Or(f.Service, column, strings.TrimSuffix(strings.TrimSuffix(filepath.Base(file), ".gz"), ".csv"))
	m, err := training.MethodByName(method)
	if err != nil {
		return nil, err
	}
	b, err := bucket.Open(ctx, f.URL)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	if err := training.Encrypt(b, f.KeyFile); err != nil {
		return nil, err
	}
	return Newest(ctx, b, f.Application, service, m, n, ahead, step)
}

// Place reads the field models of a run's file, which lies in dir: address becomes absolute. An error is one of the file.
func Place(address *string, manager, dir string) error {
	if *address == "" {
		return nil
	}
	if manager != "madu" {
		return fmt.Errorf("manager %s uses no trained models: name manager madu, or leave this out", manager)
	}
	if err := bucket.Check(*address); err != nil {
		return err
	}
	if !strings.Contains(*address, "://") && !filepath.IsAbs(*address) {
		*address = filepath.Join(dir, *address)
	}
	return nil
}

// Manager builds madu with the models that were trained for an application's services, in the guard where baseline is not empty. Where they can't be
// had it is built all the same, and what stands in is told: a store that is down is no reason not to manage. An error is one
// of the address or of the application.
func Manager(ctx context.Context, tell io.Writer, address, key, baseline string, app *foresail.App) (foresail.Manager, error) {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	b, err := bucket.Open(ctx, address)
	if errors.Is(err, bucket.ErrURL) || errors.Is(err, bucket.ErrNoBucket) {
		return nil, fmt.Errorf("models: %w", err)
	}
	if err == nil {
		if err := training.Encrypt(b, key); err != nil {
			return nil, errors.Join(fmt.Errorf("models: %w", err), b.Close())
		}
	}
	var models map[string][]byte
	if err == nil {
		var notes []string
		models, notes, err = Payloads(ctx, b, app)
		err = errors.Join(err, b.Close())
		for _, n := range notes {
			fmt.Fprintf(tell, "models: %s\n", n)
		}
	}
	if err != nil {
		fmt.Fprintf(tell, "models: %v: foresail's forecast stands in\n", err)
	}
	build := func() (foresail.Manager, error) { return madu.New(app, madu.Config{Models: models}) }
	if baseline == "" {
		return build()
	}
	return managers.GuardedBy(build, baseline, app)
}
