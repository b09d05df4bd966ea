package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev/cmd/foresail/training"
	"foresail.dev/model/forecast/csvfile"
	"foresail.dev/model/forecast/neural"
	"foresail.dev/telemetry/store/bucket"
)

type trainFlags struct {
	file, zone, models, application, method, start, shard string
	csv                                                   csvfile.Options
	shards, workers, n, m, steps, poolSteps, poolSize     int
	holdout                                               time.Duration
	seed                                                  uint64
	force, sharedOnly, strict, json                       bool
}

func newTrain() *cobra.Command {
	var f trainFlags
	c := &cobra.Command{
		Use:   "train -f SERIES --application NAME --models URL",
		Short: "Trains forecasters for all services of an application, into a folder or a bucket",
		Long: `Trains a forecaster for each service of an application, on all cores, and keeps it in a folder or a bucket (s3://, gs://).
The series are a folder with a CSV file for each service (cart.csv, cart.csv.gz), or one file with a column for each, or
with a column called service.

It may be stopped at any time: the same command goes on where it was, with what is finished kept. With --shard i/n, i from 0
to n-1, many processes share the services among them, into one bucket; they make the same models, byte for byte, as one
process alone. In a Kubernetes Indexed Job, --shards n is enough: i is taken from JOB_COMPLETION_INDEX.

By default one model is trained on a sample of the services, and each service's goes on from it; with --from stored it
goes on from the newest one that the bucket has of the service and that was trained on less.

A service that nothing can be learnt from is named with its reason, and the others are trained. The exit status is 1 when nothing
at all could be trained, or with --strict when any service could not.`,
		Example: `  foresail train -f calls/ --application shop --models models/
  foresail train -f calls.csv.gz --application shop --models s3://models --from stored --shard 0/8`,
		Args: needs("file", "application", "models"),
		RunE: func(c *cobra.Command, _ []string) error { return train(c, f) },
	}
	fl := c.Flags()
	fl.StringVarP(&f.file, "file", "f", "", "series: a folder of CSV files, or a CSV file of many services; see docs/formats/train.md")
	fl.StringVar(&f.application, "application", "", "name of the application that the services are of")
	fl.StringVar(&f.models, "models", "", "where models are kept: a folder (a path or file://), s3://BUCKET/PATH or gs://BUCKET/PATH")
	fl.StringVar(&f.method, "method", "madu", "one of seq2seq, bnn, dubnn, madu")
	fl.StringVar(&f.start, "from", "shared", "what training starts from: shared, stored or scratch")
	fl.StringVar(&f.shard, "shard", "", "which of how many shards this is, counted from 0: 0/8 to 7/8; empty: the only one")
	fl.IntVar(&f.shards, "shards", 0, "how many shards there are, where JOB_COMPLETION_INDEX says which this is")
	fl.IntVar(&f.workers, "workers", 0, "services trained at once; 0: as many as there are processors")
	fl.IntVar(&f.n, "window", 60, "steps of history that a model looks at")
	fl.IntVar(&f.m, "ahead", 5, "steps that it is trained to forecast")
	fl.IntVar(&f.steps, "steps", 0, fmt.Sprintf("training steps of each service; 0: %d, or %d from scratch", neural.WarmSteps, neural.FullSteps))
	fl.IntVar(&f.poolSteps, "shared-steps", neural.PoolSteps, "training steps of the shared model")
	fl.IntVar(&f.poolSize, "shared-services", 40, "services that the shared model is trained on, at most")
	fl.DurationVar(&f.holdout, "holdout", 24*time.Hour, "the end of each series that is kept from training and measures accuracy, at most a fifth of it; 0: none")
	fl.StringVar(&f.csv.Column, "column", "", "heading of the loads; empty: the second column, or all columns of a file of many services")
	fl.DurationVar(&f.csv.Step, "step", 0, "time from one row to the next; 0: as most rows are apart")
	fl.StringVar(&f.zone, "zone", "UTC", "time zone of instants that name none, like Europe/Zurich")
	fl.Uint64Var(&f.seed, "seed", 1, "seed of everything that is drawn")
	fl.BoolVar(&f.force, "force", false, "train what was trained already, too")
	fl.BoolVar(&f.sharedOnly, "shared-only", false, "train the shared model and stop")
	fl.BoolVar(&f.strict, "strict", false, "exit with 1 when any service could not be trained")
	fl.BoolVar(&f.json, "json", false, "print the result as JSON")
	return c
}

// settings checks the flags.
func (f *trainFlags) settings() (s training.Settings, err error) {
	method, err := training.MethodByName(f.method)
	if err != nil {
		return s, usagef("--method: %w", err)
	}
	if f.csv.Zone, err = time.LoadLocation(f.zone); err != nil {
		return s, usagef("--zone %q is no time zone known here: name one like Europe/Zurich", f.zone)
	}
	if err := bucket.Check(f.models); err != nil {
		return s, usagef("--models: %w", err)
	}
	switch {
	case f.application == "":
		return s, usagef("--application is empty: give the application's name, as its file has it")
	case !slices.Contains(training.Starts, training.Start(f.start)):
		return s, usagef("--from %q: give shared, stored or scratch", f.start)
	case f.n < 1 || f.n > 10000:
		return s, usagef("--window %d: give 1 to 10000 steps", f.n)
	case f.m < 1 || f.m > 1000:
		return s, usagef("--ahead %d: give 1 to 1000 steps", f.m)
	case f.steps < 0 || f.poolSteps < 1:
		return s, usagef("--steps %d and --shared-steps %d: give numbers from 0 and from 1 on", f.steps, f.poolSteps)
	case f.poolSize < 1:
		return s, usagef("--shared-services %d: give a number from 1 on", f.poolSize)
	case f.holdout < 0 || f.csv.Step < 0:
		return s, usagef("--holdout %v and --step %v: give times from zero on", f.holdout, f.csv.Step)
	case f.workers < 0:
		return s, usagef("--workers %d: give a number from 1 on, or 0 for as many as there are processors", f.workers)
	}
	return training.Settings{Application: f.application, Method: method, N: f.n, M: f.m, Start: training.Start(f.start), Steps: f.steps,
		PoolSteps: f.poolSteps, PoolSize: f.poolSize, Holdout: f.holdout, Seed: f.seed}, nil
}

// which shard this is: as flags say, or Kubernetes.
func (f *trainFlags) which() (training.Shard, error) {
	index, indexed := os.LookupEnv("JOB_COMPLETION_INDEX")
	switch {
	case f.shards < 0:
		return training.Shard{}, usagef("--shards %d: give a number from 1 on", f.shards)
	case f.shard != "":
		s, err := training.ParseShard(f.shard)
		if err == nil && f.shards != 0 && f.shards != s.Count {
			err = fmt.Errorf("%q is not one of --shards %d", f.shard, f.shards)
		}
		if err != nil {
			return s, usagef("--shard: %w", err)
		}
		return s, nil
	case indexed && f.shards > 0:
		s, err := training.ParseShard(index + "/" + strconv.Itoa(f.shards))
		if err != nil {
			return s, usagef("JOB_COMPLETION_INDEX is %q, and --shards %d: the Job's completions are to be as many as there are shards", index, f.shards)
		}
		return s, nil
	case indexed:
		return training.Shard{}, usagef("JOB_COMPLETION_INDEX is set, as in a Kubernetes Indexed Job: say how many shards there are with --shards, or --shard 0/1 for one")
	case f.shards > 1:
		return training.Shard{}, usagef("--shards %d says not which of them this is: give --shard, like 0/%d", f.shards, f.shards)
	}
	return training.Shard{Index: 0, Count: 1}, nil
}

func train(c *cobra.Command, f trainFlags) error {
	set, err := f.settings()
	if err != nil {
		return err
	}
	shard, err := f.which()
	if err != nil {
		return err
	}
	source, err := training.Files(f.file, f.csv)
	if err != nil {
		return usage(err)
	}
	ctx, stop := stoppable(c.Context())
	defer stop()
	b, err := bucket.Create(ctx, f.models)
	if err != nil {
		return usageOf(err)
	}
	defer b.Close()
	p := newProgress(c.ErrOrStderr())
	r := &training.Run{Settings: set, Source: source, Bucket: b, Shard: shard, Workers: f.workers, Force: f.force, SharedOnly: f.sharedOnly,
		Commit: commit(), Progress: p.at}
	began := time.Now()
	err = r.Do(ctx)
	p.end()
	took := time.Since(began)
	if !f.json {
		err = errors.Join(err, printTraining(c, r, took))
	} else if len(r.Rows) > 0 || err == nil {
		res := newResult("train", &f.seed, r.Rows)
		res.Detail = r.Detail(took)
		err = errors.Join(err, printJSON(c.OutOrStdout(), res))
	}
	if err != nil {
		return err
	}
	return r.Verdict(f.strict)
}

// usageOf marks errors of an address that names no bucket; others, like a missing permission, are failures of the job.
func usageOf(err error) error {
	if errors.Is(err, bucket.ErrURL) || errors.Is(err, bucket.ErrNoBucket) {
		return usage(err)
	}
	return err
}

func printTraining(c *cobra.Command, r *training.Run, took time.Duration) error {
	out := c.OutOrStdout()
	if cells := r.Cells(); len(cells) > 0 {
		if err := table(out, training.Head, cells); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	for _, line := range r.Summary(took) {
		if _, err := fmt.Fprintln(out, strings.Map(printable, strings.ReplaceAll(line, "\n", "; "))); err != nil {
			return err
		}
	}
	return nil
}
