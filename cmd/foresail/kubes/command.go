// Package kubes is foresail run --kubernetes: the workloads of a namespace, observed through a Prometheus API, with what should
// be changed of each, and why. Nothing is installed in the cluster.
package kubes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/client-go/kubernetes"

	"foresail.dev"
	"foresail.dev/cluster/kube"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/promfile"
	"foresail.dev/cmd/foresail/security"
	"foresail.dev/loop"
	"foresail.dev/plan/managers"
	"foresail.dev/telemetry/prom"
	"foresail.dev/web"
)

// Flags are those of foresail run that are for Kubernetes.
type Flags struct {
	On        bool
	Workloads string
	Reach
	Backfill   time.Duration
	Prometheus promfile.Flags

	mode string
	does loop.Mode
}

// Register adds the flags.
func (f *Flags) Register(fl *pflag.FlagSet) {
	fl.BoolVar(&f.On, "kubernetes", false, "manage the workloads of a namespace, as a Prometheus API tells of them (--prometheus): no file, nothing to install")
	f.Reach.Register(fl, "with --kubernetes: ")
	fl.StringVar(&f.Workloads, "workloads", "", "with --kubernetes: labels of the workloads, as app.kubernetes.io/part-of=shop; empty: all")
	fl.StringVar(&f.mode, "mode", "recommend", "with --kubernetes: observe and recommend change nothing, auto does")
	fl.DurationVar(&f.Backfill, "backfill", 24*time.Hour, "with --kubernetes: how much history is read from Prometheus first, at most")
	f.Prometheus.Register(fl)
}

// given are the flags that mean nothing without --kubernetes.
func given(fl *pflag.FlagSet) []string {
	var own pflag.FlagSet
	var f Flags
	f.Register(&own)
	var out []string
	own.VisitAll(func(o *pflag.Flag) {
		if o.Name != "kubernetes" && fl.Changed(o.Name) {
			out = append(out, "--"+o.Name)
		}
	})
	slices.Sort(out)
	return out
}

// other are the flags that mean nothing with --kubernetes.
func other(fl *pflag.FlagSet) []string {
	var out []string
	for _, name := range []string{"model", "seed", "foresee", "foresee-model"} {
		if fl.Changed(name) {
			out = append(out, "--"+name)
		}
	}
	return out
}

// Check finds flags that don't go together.
func (f *Flags) Check(fl *pflag.FlagSet, file string) error {
	switch {
	case !f.On:
		if names := given(fl); len(names) > 0 {
			return cli.Usagef("%s: only with --kubernetes; of another cluster the file says it", names[0])
		}
		return nil
	case len(other(fl)) > 0:
		return cli.Usagef("%s: not with --kubernetes", other(fl)[0])
	case file != "":
		return cli.Usagef("--kubernetes finds the workloads by itself: leave out -f %s", file)
	case f.Prometheus.URL() == "":
		return cli.Usagef("--kubernetes: give the address of a Prometheus API that knows the workloads' CPU: --prometheus http://prometheus.monitoring:9090")
	}
	var err error
	f.does, err = loop.ParseMode(f.mode)
	return cli.Usage(err)
}

// Options are what foresail run's other flags say.
type Options struct {
	Manager  string        // empty: vpa, which only needs to know of CPU
	Duration time.Duration // 0: until stopped
	Listen   string        // of the page; empty: where it usually is
	Ports    security.Ports
	JSON     bool

	out, err io.Writer
}

// Run observes until it is stopped or the duration is over, and prints what it has found of each workload.
func (f *Flags) Run(c *cobra.Command, o Options) (err error) {
	o.out, o.err = c.OutOrStdout(), c.ErrOrStderr()
	cfg, namespace, err := f.Reach.Config()
	if err != nil {
		return cli.Usage(err)
	}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return cli.Usagef("kubernetes: %w", err)
	}
	ctx, stop := cli.Stoppable(c.Context())
	defer stop()
	spec, notes, err := kube.Discover(ctx, client, kube.Discovery{Namespace: namespace, Selector: f.Workloads})
	for _, n := range notes {
		fmt.Fprintln(o.err, n)
	}
	if err != nil {
		return err
	}
	reading, err := f.Prometheus.Reading(spec.App)
	if err != nil {
		return cli.Usage(err)
	}
	if reading.Selector == "" {
		reading.Selector = fmt.Sprintf("namespace=%q", namespace)
	}
	reading.Log = func(what string) { fmt.Fprintln(o.err, what) }
	source, err := prom.Open(ctx, reading)
	if err != nil {
		return err
	}
	manager, err := f.manager(&o, spec.App)
	if err != nil {
		return cli.Usage(err)
	}
	cluster, err := kube.Open(ctx, kube.Config{Client: client, Spec: spec, Source: source, Log: func(what string) { fmt.Fprintln(o.err, what) }})
	if err != nil {
		return err
	}
	defer cluster.Close()
	advice := newAdviser(spec)
	past := f.past(ctx, source, manager, o.err)
	for _, s := range past {
		advice.observe(s)
	}
	return f.loop(ctx, namespace, &lasting{Cluster: cluster, For: o.Duration}, manager, past, advice, o)
}

// manager decides. Where nothing is applied it is asked without the guard, whose steps would hide where it wants to go.
func (f *Flags) manager(o *Options, app *foresail.App) (foresail.Manager, error) {
	if o.Manager == "" {
		o.Manager = "vpa"
	}
	if f.does == loop.Auto {
		return managers.Guarded(o.Manager, "hpa", app)
	}
	return managers.New(o.Manager, app)
}

// past is what Prometheus still knows.
func (f *Flags) past(ctx context.Context, source *prom.Source, m foresail.Manager, w io.Writer) []*foresail.Snapshot {
	if f.Backfill <= 0 {
		return nil
	}
	needs := m.Needs()
	needs.Minutes = max(needs.Minutes, int(math.Ceil(min(f.Backfill, 14*24*time.Hour).Minutes()))) // for what is advised, if not for the manager
	bar := cli.NewProgress(w)
	past, err := source.Past(ctx, prom.Past{Needs: needs, Limit: f.Backfill, Progress: func(done float64, back time.Time) {
		bar.At(done, "reading history, back to "+back.Format(time.DateTime))
	}})
	bar.End()
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(w, err) // it is worth having, but not worth failing for
	}
	if len(past) > 0 {
		fmt.Fprintf(w, "history: %d snapshots since %s from Prometheus\n", len(past), past[0].Start.Format(time.DateTime))
	}
	return past
}

// loop serves the page and turns the loop until the end, then prints.
func (f *Flags) loop(ctx context.Context, namespace string, cluster *lasting, m foresail.Manager, past []*foresail.Snapshot, advice *adviser, o Options) (err error) {
	server, err := web.New(web.Config{Addr: o.Listen, App: cluster.App(), Mode: f.does.String(), Manager: m.Name(),
		TLS: o.Ports.TLS, Tokens: o.Ports.Tokens, Hosts: o.Ports.Hosts, Log: o.Ports.Log, AllowRemote: o.Ports.Allows("page")})
	if err != nil {
		return cli.Usage(err)
	}
	addr, err := server.Listen()
	if err != nil {
		return err
	}
	o.Ports.Warn("page", addr.String())
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		err = errors.Join(err, server.Shutdown(ctx), <-served)
	}()
	does := "observed, and nothing is changed"
	if f.does == loop.Auto {
		does = "managed by " + m.Name()
	}
	fmt.Fprintf(o.err, "%d workloads of namespace %s are %s; see %s\n", len(cluster.App().Services), namespace, does, server.URL())
	mode := f.does
	if mode == loop.Observe {
		mode = loop.Recommend // what is recommended is what there is to see
	}
	runErr := loop.Run(ctx, cluster, m, loop.Options{Mode: mode, Past: slices.Values(past), Events: loop.Join(server.Events(), advice.events())})
	return errors.Join(runErr, print(o, advice.rows(cluster.State())))
}

// lasting is a cluster that ends after some time.
type lasting struct {
	*kube.Cluster
	For   time.Duration // 0: it does not end
	began time.Time
}

// Next is the cluster's, until the duration is over.
func (l *lasting) Next(ctx context.Context) (*foresail.Snapshot, error) {
	s, err := l.Cluster.Next(ctx)
	if err != nil {
		return nil, err
	}
	if l.began.IsZero() {
		l.began = s.Start
	}
	if l.For > 0 && s.End.Sub(l.began) > l.For {
		return nil, io.EOF
	}
	return s, nil
}
