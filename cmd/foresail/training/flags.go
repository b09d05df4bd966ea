package training

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"foresail.dev/model/forecast/csvfile"
	"foresail.dev/model/forecast/neural"
	"foresail.dev/telemetry/store/bucket"
	"foresail.dev/telemetry/store/seal"
)

// Flags are those of foresail train.
type Flags struct {
	File, History, Key, Models, ModelsKey          string
	Only                                           []string
	CSV                                            csvfile.Options
	Workers                                        int
	Seed                                           uint64
	Force, SharedOnly, Strict, JSON                bool
	zone, application, method, start, shard, until string
	shards, n, m, steps, poolSteps, poolSize       int
	holdout, last                                  time.Duration
}

// Register declares them.
func (f *Flags) Register(fl *pflag.FlagSet) {
	fl.StringVarP(&f.File, "file", "f", "", "series: a folder of CSV files, or a CSV file of many services; see docs/formats/train.md")
	fl.StringVar(&f.History, "history", "", "instead of series: a history that foresail run has recorded, read while it goes on")
	fl.StringVar(&f.Key, "key-file", "", "file with the history's key, where it is encrypted")
	fl.StringVar(&f.application, "application", "", "name of the application that the services are of; with --history the recorded one")
	fl.StringSliceVar(&f.Only, "services", nil, "train these alone, named with commas between them; empty: all")
	fl.StringVar(&f.until, "until", "", "leave out what is later than this instant, like 2026-02-06T00:00:00Z; shards of a history that goes on need it to agree")
	fl.DurationVar(&f.last, "last", 0, "of what is left, only the last so much, like 720h; 0: all")
	fl.StringVar(&f.Models, "models", "", "where models are kept: a folder (a path or file://), s3://BUCKET/PATH or gs://BUCKET/PATH")
	fl.StringVar(&f.ModelsKey, "models-key-file", "", "encrypt models with the key in this file, or env:NAME; 'foresail key new' makes one")
	fl.StringVar(&f.method, "method", "madu", "one of seq2seq, bnn, dubnn, madu")
	fl.StringVar(&f.start, "from", "shared", "what training starts from: shared, stored or scratch")
	fl.StringVar(&f.shard, "shard", "", "which of how many shards this is, counted from 0: 0/8 to 7/8; empty: the only one")
	fl.IntVar(&f.shards, "shards", 0, "how many shards there are, where JOB_COMPLETION_INDEX says which this is")
	fl.IntVar(&f.Workers, "workers", 0, "services trained at once; 0: as many as there are processors")
	fl.IntVar(&f.n, "window", 60, "steps of history that a model looks at")
	fl.IntVar(&f.m, "ahead", 5, "steps that it is trained to forecast")
	fl.IntVar(&f.steps, "steps", 0, fmt.Sprintf("training steps of each service; 0: %d, or %d from scratch", neural.WarmSteps, neural.FullSteps))
	fl.IntVar(&f.poolSteps, "shared-steps", neural.PoolSteps, "training steps of the shared model")
	fl.IntVar(&f.poolSize, "shared-services", 40, "services that the shared model is trained on, at most")
	fl.DurationVar(&f.holdout, "holdout", 24*time.Hour, "the end of each series that is kept from training and measures accuracy, at most a fifth of it; 0: none")
	fl.StringVar(&f.CSV.Column, "column", "", "heading of the loads; empty: the second column, or all columns of a file of many services")
	fl.DurationVar(&f.CSV.Step, "step", 0, "time from one row to the next; 0: as most rows are apart")
	fl.StringVar(&f.zone, "zone", "UTC", "time zone of instants that name none, like Europe/Zurich")
	fl.Uint64Var(&f.Seed, "seed", 1, "seed of everything that is drawn")
	fl.BoolVar(&f.Force, "force", false, "train what was trained already, too")
	fl.BoolVar(&f.SharedOnly, "shared-only", false, "train the shared model and stop")
	fl.BoolVar(&f.Strict, "strict", false, "exit with 1 when any service could not be trained")
	fl.BoolVar(&f.JSON, "json", false, "print the result as JSON")
}

// Encrypt gives a bucket its key, from a file or the environment variable of "env:NAME"; no name: none.
func Encrypt(b *bucket.Bucket, name string) error {
	if name == "" {
		return nil
	}
	k, err := seal.FindKey(name)
	if err == nil {
		b.Encrypt(k)
	}
	return err
}

// Settings checks the flags; an error is one of usage.
func (f *Flags) Settings() (s Settings, err error) {
	method, err := MethodByName(f.method)
	if err != nil {
		return s, fmt.Errorf("--method: %w", err)
	}
	if f.CSV.Zone, err = time.LoadLocation(f.zone); err != nil {
		return s, fmt.Errorf("--zone %q is no time zone known here: name one like Europe/Zurich", f.zone)
	}
	if err := bucket.Check(f.Models); err != nil {
		return s, fmt.Errorf("--models: %w", err)
	}
	span := Span{Last: f.last}
	if f.until != "" {
		if span.Until, err = time.Parse(time.RFC3339, f.until); err != nil {
			return s, fmt.Errorf("--until %q: give an instant like 2026-02-06T00:00:00Z", f.until)
		}
	}
	switch {
	case (f.File == "") == (f.History == ""):
		return s, fmt.Errorf("give either --file with series, or --history with a recorded history")
	case f.application == "" && f.History == "":
		return s, fmt.Errorf("--application is missing: give the application's name, as its file has it")
	case !slices.Contains(Starts, Start(f.start)):
		return s, fmt.Errorf("--from %q: give shared, stored or scratch", f.start)
	case f.n < 1 || f.n > 10000:
		return s, fmt.Errorf("--window %d: give 1 to 10000 steps", f.n)
	case f.m < 1 || f.m > 1000:
		return s, fmt.Errorf("--ahead %d: give 1 to 1000 steps", f.m)
	case f.steps < 0 || f.poolSteps < 1:
		return s, fmt.Errorf("--steps %d and --shared-steps %d: give numbers from 0 and from 1 on", f.steps, f.poolSteps)
	case f.poolSize < 1:
		return s, fmt.Errorf("--shared-services %d: give a number from 1 on", f.poolSize)
	case f.holdout < 0 || f.CSV.Step < 0 || f.last < 0:
		return s, fmt.Errorf("--holdout %v, --step %v and --last %v: give times from zero on", f.holdout, f.CSV.Step, f.last)
	case f.Workers < 0:
		return s, fmt.Errorf("--workers %d: give a number from 1 on, or 0 for as many as there are processors", f.Workers)
	}
	return Settings{Application: f.application, Method: method, N: f.n, M: f.m, Start: Start(f.start), Steps: f.steps,
		PoolSteps: f.poolSteps, PoolSize: f.poolSize, Holdout: f.holdout, Span: span, Seed: f.Seed}, nil
}

// Which tells which shard this is: as flags say, or Kubernetes. An error is one of usage.
func (f *Flags) Which() (Shard, error) {
	index, indexed := os.LookupEnv("JOB_COMPLETION_INDEX")
	switch {
	case f.shards < 0:
		return Shard{}, fmt.Errorf("--shards %d: give a number from 1 on", f.shards)
	case f.shard != "":
		s, err := ParseShard(f.shard)
		switch {
		case err != nil:
			return s, fmt.Errorf("--shard: %w", err)
		case f.shards != 0 && f.shards != s.Count:
			return s, fmt.Errorf("--shard %s is not one of --shards %d", f.shard, f.shards)
		}
		return s, nil
	case indexed && f.shards > 0:
		s, err := ParseShard(index + "/" + strconv.Itoa(f.shards))
		if err != nil {
			return s, fmt.Errorf("JOB_COMPLETION_INDEX is %q, and --shards %d: the Job's completions are to be as many as there are shards", index, f.shards)
		}
		return s, nil
	case indexed:
		return Shard{}, fmt.Errorf("JOB_COMPLETION_INDEX is set, as in a Kubernetes Indexed Job: say how many shards there are with --shards, or --shard 0/1 for one")
	case f.shards > 1:
		return Shard{}, fmt.Errorf("--shards %d says not which of them this is: give --shard, like 0/%d", f.shards, f.shards)
	}
	return Shard{Index: 0, Count: 1}, nil
}
