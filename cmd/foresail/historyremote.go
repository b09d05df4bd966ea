package main

import (
	"fmt"
	"iter"

	"github.com/spf13/cobra"

	"foresail.dev"
	"foresail.dev/cmd/foresail/promout"
	exposed "foresail.dev/telemetry/prom/export"
	"foresail.dev/telemetry/store"
	"foresail.dev/telemetry/store/remote"
)

// startMetrics begins to show and send metrics of a job.
func (r *job) startMetrics() (*promout.Running, error) {
	j := promout.Job{App: r.app, Manager: r.manager.Name(), Mode: r.mode, Hold: r.hold(), Metrics: r.metrics, Writes: r.writes,
		Tell: func(err error) { fmt.Fprintln(r.err, err) }}
	if r.bed != nil {
		j.Sources = []exposed.Source{exposed.Spans(r.bed.assembler.Stats), r.bed.receiverHealth}
	}
	m, err := promout.Start(j)
	return m, usage(err)
}

// receiverHealth is what became of requests to the receiver of spans.
func (b *bed) receiverHealth(emit func(name string, v float64, labels ...string)) {
	r := b.receiver.Stats()
	for outcome, n := range map[string]uint64{"taken": r.Requests, "malformed": r.Malformed, "busy": r.Busy, "slow": r.Slow, "foreign": r.Foreign} {
		emit("foresail_receiver_requests_total", float64(n), outcome)
	}
	emit("foresail_receiver_bytes_total", float64(r.Bytes))
}

// pastAway is what a remote history has of the time before a run.
func pastAway(k *promout.Keeping) func(foresail.Needs) iter.Seq2[*foresail.Snapshot, error] {
	return func(needs foresail.Needs) iter.Seq2[*foresail.Snapshot, error] {
		h, began := k.Past()
		return pastOf(h, began, needs)
	}
}

// readable is a history that commands read, wherever it is.
type readable interface {
	store.History
	App() *foresail.App
}

func (f *historyFlags) registerFile(c *cobra.Command) {
	c.Flags().StringVarP(&f.file, "file", "f", "", "a foresail.yaml, whose remote_history is read instead of a directory")
}

// where checks that one place to read from is given, and the other flags that a command needs.
func (f *historyFlags) where(others ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case !c.Flags().Changed("file"):
			return needs(append([]string{"dir"}, others...)...)(c, args)
		case c.Flags().Changed("dir"):
			return usagef("%s: --dir and --file name two places to read from: give one", c.CommandPath())
		}
		return needs(others...)(c, args)
	}
}

// anywhere opens the store, or the remote history of a configuration.
func (f *historyFlags) anywhere(c *cobra.Command) (readable, error) {
	if f.file == "" {
		return f.open(c)
	}
	cfg, err := readRunConfig(f.file)
	if err != nil {
		return nil, err
	}
	if cfg.Remote.URL == "" {
		return nil, usagef("%s: remote_history: url is missing: nothing says where to read from", f.file)
	}
	blueprint, _, err := readFiles(cfg.Application, cfg.Load)
	if err != nil {
		return nil, err
	}
	rc, err := cfg.Remote.Config(blueprint.App)
	if err != nil {
		return nil, usage(err)
	}
	rc.Write.URL = ""
	return remote.Open(c.Context(), rc)
}
