package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev/cmd/foresail/adapting"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/history"
	"foresail.dev/cmd/foresail/learning"
	"foresail.dev/cmd/foresail/seeing"
	"foresail.dev/cmd/foresail/trained"
	"foresail.dev/cmd/foresail/training"
	"foresail.dev/telemetry/store/bucket"
)

func newTrain() *cobra.Command {
	var f training.Flags
	c := &cobra.Command{
		Use:   "train -f SERIES --application NAME --models URL",
		Short: "Trains forecasters for all services of an application, into a folder or a bucket",
		Long: `Trains a forecaster for each service of an application, on all cores, and keeps it in a folder or a bucket (s3://, gs://).
The series are a folder with a CSV file for each service (cart.csv, cart.csv.gz), or one file with a column for each, or
with a column called service; or with --history the calls a minute of what foresail run has recorded.

It may be stopped at any time: the same command goes on where it was, with what is finished kept. With --shard i/n, i from 0
to n-1, many processes share the services among them, into one bucket; they make the same models, byte for byte, as one
process alone. In a Kubernetes Indexed Job, --shards n is enough: i is taken from JOB_COMPLETION_INDEX.

By default one model is trained on a sample of the services, and each service's goes on from it; with --from stored it
goes on from the newest one that the bucket has of the service and that was trained on less.

A service that nothing can be learnt from is named with its reason, and the others are trained. The exit status is 1 when nothing
at all could be trained, or with --strict when any service could not.`,
		Example: `  foresail train -f calls/ --application shop --models models/
  foresail train -f calls.csv.gz --application shop --models s3://models --from stored --shard 0/8`,
		Args: cli.Needs("models"),
		RunE: func(c *cobra.Command, _ []string) error { return train(c, f) },
	}
	f.Register(c.Flags())
	c.AddCommand(learning.New(), adapting.NewShift(), seeing.NewTrain())
	return c
}

func train(c *cobra.Command, f training.Flags) error {
	set, err := f.Settings()
	if err != nil {
		return cli.Usage(err)
	}
	shard, err := f.Which()
	if err != nil {
		return cli.Usage(err)
	}
	ctx, stop := cli.Stoppable(c.Context())
	defer stop()
	source, err := sourceOf(ctx, c.ErrOrStderr(), &f, &set)
	if err != nil {
		return err
	}
	b, err := bucket.Create(ctx, f.Models)
	if err != nil {
		return usageOf(err)
	}
	defer b.Close()
	if err := training.Encrypt(b, f.ModelsKey); err != nil {
		return cli.Usagef("--models-key-file: %w", err)
	}
	p := cli.NewProgress(c.ErrOrStderr())
	r := &training.Run{Settings: set, Source: source, Bucket: b, Shard: shard, Only: f.Only, Workers: f.Workers, Force: f.Force, SharedOnly: f.SharedOnly,
		Commit: cli.Commit(), Progress: p.At}
	began := time.Now()
	err = r.Do(ctx)
	p.End()
	took := time.Since(began)
	if len(r.Rows) == 0 && err != nil {
		return usageOf(err)
	}
	if !f.JSON {
		err = errors.Join(err, printTraining(c, r, took))
	} else {
		res := cli.NewResult("train", &f.Seed, r.Rows)
		res.Detail = r.Detail(took)
		err = errors.Join(err, cli.PrintJSON(c.OutOrStdout(), res))
	}
	if err != nil {
		return usageOf(err)
	}
	return r.Verdict(f.Strict)
}

// sourceOf opens series or a history, which names the application.
func sourceOf(ctx context.Context, tell io.Writer, f *training.Flags, set *training.Settings) (training.Source, error) {
	if f.History == "" {
		s, err := training.Files(f.File, f.CSV)
		return s, cli.Usage(err)
	}
	h, err := history.Open(f.History, f.Key, tell)
	if cli.IsUsage(err) {
		return nil, cli.Usagef("--history: %w", err)
	}
	if err != nil {
		return nil, err
	}
	defer h.Close()
	s, err := training.History(ctx, h, filepath.Base(filepath.Clean(f.History)), set.Span)
	if err == nil && set.Application == "" {
		set.Application = h.App().Name
	}
	return s, err
}

// usageOf marks errors of an address that names no bucket, or no model in it; others, like a missing permission, are failures of the job.
func usageOf(err error) error {
	if errors.Is(err, bucket.ErrURL) || errors.Is(err, bucket.ErrNoBucket) || errors.Is(err, trained.ErrNone) || errors.Is(err, training.ErrUnknown) {
		return cli.Usage(err)
	}
	return err
}

func printTraining(c *cobra.Command, r *training.Run, took time.Duration) error {
	out := c.OutOrStdout()
	if cells := r.Cells(); len(cells) > 0 {
		if err := cli.Table(out, training.Head, cells); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	for _, line := range r.Summary(took) {
		if _, err := fmt.Fprintln(out, strings.Map(cli.Printable, strings.ReplaceAll(line, "\n", "; "))); err != nil {
			return err
		}
	}
	return nil
}
