package main

import (
	"errors"
	"fmt"
	"iter"

	"github.com/spf13/cobra"

	"foresail.dev"
	"foresail.dev/cmd/foresail/adapting"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/history"
	"foresail.dev/cmd/foresail/promout"
	"foresail.dev/telemetry/otlp"
	exposed "foresail.dev/telemetry/prom/export"
	"foresail.dev/telemetry/store"
	"foresail.dev/telemetry/store/remote"
)

// startMetrics begins to show and send metrics of a job.
func (r *job) startMetrics(adapter *adapting.Adapter) (*promout.Running, error) {
	j := promout.Job{App: r.app, Manager: r.manager.Name(), Mode: r.mode, Hold: r.hold(), Metrics: r.metrics, Writes: r.writes,
		Tell: func(err error) { fmt.Fprintln(r.err, err) }}
	if r.bed != nil && r.bed.assembler != nil {
		j.Sources = []exposed.Source{exposed.Spans(r.bed.spans), r.bed.receiverHealth}
		if r.bed.ingesters != nil {
			j.Sources = append(j.Sources, r.bed.ingesters.Health)
		}
	}
	if adapter != nil {
		j.Sources = append(j.Sources, adapter.Metrics)
	}
	if r.told != nil {
		j.Sources = append(j.Sources, r.told.Metrics)
	}
	if lost, ok := r.kept.Lost(); ok {
		j.Sources = append(j.Sources, promout.Lost("disk", lost))
	}
	if lost, ok := r.away.Lost(); ok {
		j.Sources = append(j.Sources, promout.Lost("remote", lost))
	}
	m, err := promout.Start(j)
	return m, cli.Usage(err)
}

// receiverHealth is what became of requests to the receiver of spans.
func (b *bed) receiverHealth(emit func(name string, v float64, labels ...string)) {
	var r otlp.Stats
	for _, receiver := range b.receivers {
		r = r.Plus(receiver.Stats())
	}
	for outcome, n := range map[string]uint64{"taken": r.Requests, "malformed": r.Malformed, "busy": r.Busy, "slow": r.Slow, "foreign": r.Foreign, "denied": r.Denied} {
		emit("foresail_receiver_requests_total", float64(n), outcome)
	}
	emit("foresail_receiver_bytes_total", float64(r.Bytes))
}

// recallAway is what a remote history has of the time before a run.
func recallAway(k *promout.Keeping) func(foresail.Needs) iter.Seq2[*foresail.Snapshot, error] {
	return func(needs foresail.Needs) iter.Seq2[*foresail.Snapshot, error] {
		h, began := k.Past()
		return history.Recall(h, began, needs)
	}
}

func (f *historyFlags) registerFile(c *cobra.Command) {
	c.Flags().StringVarP(&f.file, "file", "f", "", "a foresail.yaml, whose remote_history is read instead of a directory")
}

// where checks that one place to read from is given, and the other flags that a command needs.
func (f *historyFlags) where(others ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case !c.Flags().Changed("file"):
			return cli.Needs(append([]string{"dir"}, others...)...)(c, args)
		case c.Flags().Changed("dir"):
			return cli.Usagef("%s: --dir and --file name two places to read from: give one", c.CommandPath())
		}
		return cli.Needs(others...)(c, args)
	}
}

// anywhere opens the store, or the remote history of a configuration, for reading while do uses it.
func (f *historyFlags) anywhere(c *cobra.Command, do func(history.Readable) error) error {
	if f.file == "" {
		return f.with(c, func(s *store.Store) error { return do(s) })
	}
	cfg, err := readRunConfig(f.file)
	if err != nil {
		return err
	}
	if cfg.Remote.URL == "" {
		return cli.Usagef("%s: remote_history: url is missing: nothing says where to read from", f.file)
	}
	blueprint, _, err := readFiles(cfg.Application, cfg.Load)
	if err != nil {
		return err
	}
	rc, err := cfg.Remote.Config(blueprint.App)
	if err != nil {
		return cli.Usage(err)
	}
	rc.Write.URL = ""
	h, err := remote.Open(c.Context(), rc)
	if err != nil {
		return err
	}
	return errors.Join(do(h), h.Close())
}
