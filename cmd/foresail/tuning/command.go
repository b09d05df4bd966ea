package tuning

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/tuning/bench"
	"foresail.dev/load"
)

// New is the command. Real starts an application's processes on this machine; log is told what a person should know.
func New(real func(log io.Writer) bench.Start) *cobra.Command {
	var file, trials string
	var seed uint64
	var again, apply, asJSON bool
	c := &cobra.Command{
		Use:   "tune -f TUNE.yaml",
		Short: "Searches settings of any knobs for the lowest latency, within a budget of trials",
		Long: `Tries settings of an application's knobs (CPU, memory, replicas, worker pools, and whatever a command or a file sets) on a simulated application or on
real processes. A model of latency, trained on the trials so far, picks each next one. Every trial is recorded as it ends, and
rolled back where an objective is missed, the application breaks or a setting is refused. At the end the best setting and the
default are measured again. Stopping (Ctrl-C) finishes the rollback; --resume goes on.`,
		Example: "  foresail tune -f examples/tune.yaml",
		Args:    cli.Needs("file"),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			j, err := Read(file)
			if err != nil {
				return cli.Usage(err)
			}
			if c.Flags().Changed("seed") {
				j.File.Seeds = []uint64{seed}
			}
			if apply && (len(j.File.Seeds) > 1 || len(j.File.pairs()) > 1) {
				return cli.Usagef("--apply leaves what one search found: %s has %d of them; leave one method, optimiser and seed", file, len(j.File.Seeds)*len(j.File.pairs()))
			}
			if again && trials == "" {
				return cli.Usagef("--resume goes on with a file of trials: name it with --trials")
			}
			log := c.ErrOrStderr()
			jr, trials, err := openTrials(file, trials, again, j.Hash)
			if err != nil {
				return cli.Usage(err)
			}
			defer func() { err = errors.Join(err, jr.close()) }()
			ctx, stop := cli.Stoppable(c.Context())
			defer stop()
			b := bench.New(j.bench(real, log))
			defer func() { err = errors.Join(err, b.Close()) }()
			p := cli.NewProgress(log)
			s := &session{job: j, bench: b, journal: jr, progress: p.At, now: time.Now, began: time.Now()}
			err = s.run(ctx)
			if err == nil {
				err = s.leave(ctx, apply)
			}
			p.End()
			if err != nil {
				return fmt.Errorf("%w (trials: %s)", err, trials)
			}
			rows, detail := s.result(trials)
			if asJSON {
				res := cli.NewResult("tune", nil, rows)
				res.Seeds, res.Detail = j.File.Seeds, detail
				return cli.PrintJSON(c.OutOrStdout(), res)
			}
			return detail.print(c.OutOrStdout())
		},
	}
	fl := c.Flags()
	fl.StringVarP(&file, "file", "f", "", "what is tuned, and how; see docs/formats/tune.md")
	fl.StringVar(&trials, "trials", "", "record trials in this file, one JSON object a line (default: a new file in the current directory, named after the tune file)")
	fl.BoolVar(&again, "resume", false, "go on with the trials of --trials")
	fl.BoolVar(&apply, "apply", false, "leave the best setting in effect, not the default")
	fl.Uint64Var(&seed, "seed", 1, "of the search and of all that is drawn, in place of the file's seeds")
	fl.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

// openTrials opens the file of trials, and says which it is.
func openTrials(file, trials string, again bool, hash string) (*journal, string, error) {
	if again {
		j, err := resume(trials, hash)
		return j, trials, err
	}
	if trials != "" {
		j, err := create(trials, hash)
		if errors.Is(err, os.ErrExist) {
			err = fmt.Errorf("%s is there already: go on with it (--resume), or name another", trials)
		}
		return j, trials, err
	}
	base := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)) + "-trials"
	for n := 1; ; n++ {
		name := base + ".jsonl"
		if n > 1 {
			name = fmt.Sprintf("%s-%d.jsonl", base, n)
		}
		if j, err := create(name, hash); !errors.Is(err, os.ErrExist) {
			return j, name, err
		}
	}
}

// bench is where settings are tried.
func (j *Job) bench(real func(log io.Writer) bench.Start, log io.Writer) bench.Config {
	f := &j.File
	c := bench.Config{Blueprint: j.Blueprint, Load: j.Load, Commands: j.Commands, Files: j.Templates, Endpoint: j.Endpoint,
		Percentile: f.Objective.Percentile, Percentiles: f.Percentiles, Settle: f.Settle, Warmup: f.Warmup, Duration: f.Duration,
		Errors: float64(f.Errors), Silent: f.Silent, Health: f.Health.Command, Timeout: f.Health.Timeout, Every: f.Health.Every}
	if f.Cluster == "testbed" {
		c.Start = real(log)
		return c
	}
	c.Fresh, c.Start = true, simulated
	return c
}

// simulated is a simulation of an application.
func simulated(_ context.Context, bp *foresail.Blueprint, l *load.Load, seed uint64, _ map[foresail.ServiceID]bench.Process) (bench.Cluster, error) {
	c, err := sim.New(sim.Config{Blueprint: bp, Load: l.Seeded(seed), Seed: seed})
	return simulation{c}, err
}

type simulation struct{ *sim.Cluster }

// Stop has nothing to do.
func (simulation) Stop() error { return nil }
