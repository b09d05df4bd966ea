package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/cmd/foresail/adapting"
	"foresail.dev/cmd/foresail/callgraphs"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/demos"
	"foresail.dev/cmd/foresail/history"
	"foresail.dev/cmd/foresail/insights"
	"foresail.dev/cmd/foresail/kubes"
	"foresail.dev/cmd/foresail/outlets"
	"foresail.dev/cmd/foresail/promout"
	"foresail.dev/cmd/foresail/security"
	"foresail.dev/cmd/foresail/summary"
	"foresail.dev/cmd/foresail/tracing"
	"foresail.dev/cmd/foresail/trained"
	"foresail.dev/compare/traced"
	"foresail.dev/loop"
	"foresail.dev/plan/managers"
	"foresail.dev/web"
)

func newRun() *cobra.Command {
	var file, listen, model string
	var manager managerName
	var duration time.Duration
	var seed uint64
	var asJSON bool
	var ports security.Config
	var foresee trained.ForeseeFlags
	var kubernetes kubes.Flags
	c := &cobra.Command{
		Use:   "run {-f foresail.yaml | --kubernetes --prometheus URL}",
		Short: "Manages one application, and serves the page that shows it",
		Long: `Manages one application as a file says: a simulated one, or real processes on this machine (cluster: testbed).
With --kubernetes it needs no file: it looks at the workloads of a namespace and says what each should have, why, and what may
break. It changes nothing unless --mode is auto.
Runs until it is stopped (Ctrl-C) or the duration is over, then prints a summary.`,
		Example: `  foresail run -f examples/testbed.yaml --duration 2m --json
  foresail run --kubernetes --namespace shop --prometheus http://127.0.0.1:9090 --duration 5m`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := kubernetes.Check(c.Flags(), file); err != nil {
				return err
			}
			if kubernetes.On {
				open, err := ports.Open(c.ErrOrStderr())
				if err != nil {
					return cli.Usage(err)
				}
				return kubernetes.Run(c, kubes.Options{Manager: string(manager), Duration: duration, Listen: listen, Ports: open, JSON: asJSON})
			}
			if file == "" {
				return cli.Usagef("run: give -f: which application to manage, or --kubernetes; see foresail run --help")
			}
			cfg, err := readRunConfig(file)
			if err != nil {
				return err
			}
			if err := cfg.decide(manager, model); err != nil {
				return err
			}
			cfg.Foresee = foresee.With(cfg.Foresee)
			if c.Flags().Changed("duration") {
				cfg.Duration = duration
			}
			if c.Flags().Changed("listen") {
				cfg.Listen = listen
			}
			if c.Flags().Changed("seed") {
				cfg.Seed = seed
			}
			if cfg.Duration < 0 {
				return cli.Usagef("--duration %v: give a time longer than zero, or 0 to run until stopped", cfg.Duration)
			}
			cfg.Security = cfg.Security.With(ports)
			return manage(c, cfg, asJSON)
		},
	}
	fl := c.Flags()
	fl.StringVarP(&file, "file", "f", "", "what to run; see docs/formats/run.md")
	fl.TextVar(&manager, "manager", managerName(""), "who decides, instead of what the file says: "+strings.Join(managers.Names(), ", "))
	fl.StringVar(&model, "model", "", "model file that the manager decides with, instead of what the file says")
	fl.DurationVar(&duration, "duration", 0, "stop after this time (of a simulated cluster: simulated time), instead of what the file says; 0: run until stopped")
	fl.StringVar(&listen, "listen", "", "address of the page, instead of what the file says")
	fl.Uint64Var(&seed, "seed", 1, "seed of the load and of everything that is drawn, instead of what the file says")
	fl.BoolVar(&asJSON, "json", false, "print the result as JSON")
	foresee.Register(fl)
	ports.Register(fl)
	kubernetes.Register(fl)
	return c
}

// manage runs what a configuration says until it ends, and prints the summary.
func manage(c *cobra.Command, cfg runConfig, asJSON bool) (err error) {
	return manageBy(c, cfg, asJSON, func(app *foresail.App, _ string) (guest, error) {
		if cfg.Adapt.On() {
			m, o, err := cfg.adapted(c, app)
			return guest{name: "run", manager: m, state: cfg.State, adapt: o}, err
		}
		m, err := cfg.manager(c, app)
		return guest{name: "run", manager: m, state: cfg.State}, err
	})
}

// guest is who manages, and what that needs around it.
type guest struct {
	name    string // of the result
	manager foresail.Manager
	state   string            // where the manager's state is kept; empty: it is not kept
	adapt   *adapting.Options // nil: the manager's model is not adapted
	events  loop.Events
	stopBy  func(stop func())                                         // is given what ends the run; nil: it ends by itself
	after   func(ctx context.Context, cluster foresail.Cluster) error // what to do with the application when it is over; nil: nothing
	done    func() error                                              // prints the result; nil: the summary is printed
}

// manageBy is manage with another manager than the configuration's: that which is made for the application and the load's name.
func manageBy(c *cobra.Command, cfg runConfig, asJSON bool, invite func(app *foresail.App, load string) (guest, error)) (err error) {
	blueprint, l, err := readFiles(cfg.Application, cfg.Load)
	if err != nil {
		return err
	}
	who, err := invite(blueprint.App, l.Name)
	if err != nil {
		return err
	}
	secured, err := cfg.Security.Open(c.ErrOrStderr())
	if err != nil {
		return cli.Usage(err)
	}
	ctx, stop := cli.Stoppable(c.Context())
	defer stop()
	if who.stopBy != nil {
		who.stopBy(stop)
	}
	kept, err := cfg.History.Keep(blueprint.App, cfg.Cluster == "testbed", c.ErrOrStderr())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kept.Close()) }()
	away := cfg.Remote.Keep(ctx, blueprint.App, cfg.Cluster == "testbed", c.ErrOrStderr())
	defer away.Close()
	r := job{app: blueprint.App, manager: who.manager, mode: cfg.Mode, seed: cfg.Seed, duration: cfg.Duration, state: who.state,
		json: asJSON, name: who.name, guest: who, out: c.OutOrStdout(), err: c.ErrOrStderr(),
		page: web.Config{Addr: cfg.Listen}, metrics: cfg.Metrics, writes: cfg.RemoteWrite, ports: secured, kept: kept, away: away, adapt: who.adapt, outlets: cfg.Outlets}
	if kept != nil {
		key, err := tracing.ReadKey(cfg.Traces.KeyFile)
		if err != nil {
			return err
		}
		live := insights.NewLive(kept.Readable(), cfg.Traces.Dir, key)
		defer live.Close()
		r.page.Insights = live.Insights
	}
	start := kept.Start(now())
	origin := start
	if cfg.Cluster == "testbed" {
		origin = time.Time{} // spans are in the wall clock's time
	}
	if r.traces, err = cfg.Traces.Start(blueprint.App.Name, cfg.Seed, origin, c.ErrOrStderr()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.traces.Close(c.ErrOrStderr())) }()
	switch cfg.Cluster {
	case "testbed":
		sources, err := readerSources(blueprint.App, cfg.Readers)
		if err != nil {
			return err
		}
		bed := bedConfig{blueprint: blueprint, readers: sources, load: l, seed: cfg.Seed, duration: cfg.Duration,
			grpc: cfg.OTLP.GRPC, http: cfg.OTLP.HTTP, ports: secured, inFlight: cfg.OTLP.InFlight, shards: cfg.OTLP.Shards, memory: int64(cfg.OTLP.Memory), log: c.ErrOrStderr(), agents: cfg.Agents, ingesters: cfg.Ingesters, spansTo: cfg.Testbed.Spans, metrics: cfg.Testbed.Metrics, spans: r.traces.Spans(), shapes: cfg.Shapes, needs: who.manager.Needs()}
		if cfg.Telemetry.Prometheus != nil {
			if err := r.fromPrometheus(ctx, bed, cfg.Telemetry.Prometheus); err != nil {
				return err
			}
			break
		}
		b, err := startBed(ctx, bed)
		if err != nil {
			return err
		}
		r.bed, r.cluster = b, b
	default:
		simulated := sim.Config{Blueprint: blueprint, Load: l, Seed: cfg.Seed, Start: start, Duration: cfg.Duration}
		if r.traces != nil {
			simulated.TraceShare, simulated.Spans = 1, r.traces.Spans()
		}
		setNodes(&simulated, &cfg.Nodes)
		s, err := traced.Shaped(simulated, cfg.Shapes.Needs(who.manager.Needs()), cfg.Shapes.Traces, cfg.Shapes.Forms)
		if err != nil {
			return cli.Usage(err)
		}
		r.cluster = loop.Paced(s, cfg.Speed)
	}
	return r.run(ctx)
}

// now is the wall clock's last whole second: where a simulation that is shown live starts.
func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

// job is one managed application, shown on a page while it runs.
type job struct {
	app      *foresail.App
	cluster  foresail.Cluster
	bed      *bed // nil unless the cluster is a testbed
	manager  foresail.Manager
	adapt    *adapting.Options // nil: the manager's model is not adapted
	mode     loop.Mode
	seed     uint64
	duration time.Duration
	state    string
	json     bool
	name     string
	page     web.Config
	guest    guest            // what its manager needs around it
	beside   *demos.Alone     // the same without foresight; nil: there is none
	kept     *history.Keeping // nil: no history is kept
	away     *promout.Keeping // nil: none is kept elsewhere
	ports    security.Ports
	files    *recorder          // nil: none
	traces   *tracing.Recording // nil: none are kept
	past     []*foresail.Snapshot
	metrics  promout.Metrics
	writes   []promout.RemoteWrite
	outlets  []outlets.Config
	told     *outlets.Running // nil: nobody is told of alarms
	out, err interface{ Write([]byte) (int, error) }
}

func (r *job) run(ctx context.Context) (err error) {
	if r.bed != nil {
		defer func() {
			if serr := r.bed.stop(); err == nil {
				err = serr
			}
		}()
	}
	r.page.App, r.page.Mode, r.page.Manager = r.app, r.mode.String(), r.manager.Name()
	r.page.Hold = min(r.hold(), time.Second) // a page should not be late, and most spans come within a second
	var adapter *adapting.Adapter
	if r.adapt != nil {
		r.adapt.Hold = r.hold()
		adapter = adapting.Start(*r.adapt)
		defer adapter.Close()
		r.manager = adapter.Wrap(r.manager)
	}
	if r.told, err = outlets.Start(r.outlets, "", func(line string) { fmt.Fprintln(r.err, line) }); err != nil {
		return cli.Usage(err)
	}
	defer r.told.Close()
	metrics, err := r.startMetrics(adapter)
	if err != nil {
		return err
	}
	defer metrics.Stop()
	r.page.Metrics = metrics.Handler()
	r.page.TLS, r.page.Tokens, r.page.Hosts, r.page.Log = r.ports.TLS, r.ports.Tokens, r.ports.Hosts, r.ports.Log
	r.page.AllowRemote = r.ports.Allows("page")
	graphs := callgraphs.NewLive()
	r.page.CallGraphs = graphs.CallGraphs
	server, err := web.New(r.page)
	if err != nil {
		return cli.Usage(err)
	}
	addr, err := server.Listen()
	if err != nil {
		return badAddress(err)
	}
	if r.state != "" {
		if err := loop.File(r.state).Check(); err != nil {
			return cli.Usagef("state: %w", err)
		}
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if serr := server.Shutdown(ctx); err == nil {
			err = serr
		}
		if serr := <-served; err == nil {
			err = serr
		}
	}()
	does := fmt.Sprintf("managed by %s (%s)", r.manager.Name(), r.mode)
	if r.mode == loop.Observe {
		does = "observed"
	}
	fmt.Fprintf(r.err, "%s is %s; see %s\n", r.app.Name, does, server.URL())
	r.ports.Warn("page", addr.String())

	sum := summary.New(r.app, r.hold())
	o := loop.Options{Mode: r.mode, Events: loop.Join(sum.Events(), server.Events(), graphs.Events(), metrics.Events(), r.notices(), r.kept.Events(), r.away.Events(), r.guest.events)}
	if r.files != nil {
		o.Events = loop.Join(o.Events, loop.Events{Observed: func(h *foresail.History, s *foresail.Snapshot) { r.files.snapshot(h.App(), s) }})
	}
	if r.traces != nil {
		o.Events = loop.Join(o.Events, r.traces.Events())
	}
	adapter.Options(&o)
	r.told.Options(&o)
	if r.state != "" {
		o.State = loop.File(r.state)
	}
	switch {
	case r.kept != nil:
		r.kept.Backfill(r.app, r.past)
		o.Recall = r.kept.Recall
	case r.away.Readable():
		o.Recall = recallAway(r.away)
	case len(r.past) > 0:
		o.Past = slices.Values(r.past)
	}
	end, err := r.beside.Start(ctx, server.Beside(), &o)
	if err != nil {
		return err
	}
	runErr := loop.Run(ctx, r.cluster, r.manager, o)
	runErr = errors.Join(runErr, end())
	sum.End()
	if r.guest.after != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loop.DefaultApplyTimeout)
		runErr = errors.Join(runErr, r.guest.after(ctx, r.cluster))
		cancel()
	}
	if r.bed != nil { // so that what the clients counted is final
		if err := r.bed.stop(); err != nil {
			return errors.Join(runErr, err)
		}
	}
	return errors.Join(runErr, r.print(sum)) // what there is of a run that failed is worth having
}

// badAddress marks an address that can't be listened on as one of usage, unless somebody else has it now.
func badAddress(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	return cli.Usage(err)
}

// hold is how late a request may become known: where they are known from spans, the slow ones come late.
func (r *job) hold() time.Duration {
	if r.bed == nil || len(r.bed.receivers) == 0 {
		return 0
	}
	return foresail.RevisionLimit
}

// notices tell, on the error stream, what a person at the terminal should know while it runs: each thing once, when it
// begins and when it is over.
func (r *job) notices() loop.Events {
	fallen, failed := false, ""
	return loop.Events{
		Missing: func(s foresail.Signals) {
			if s != 0 {
				fmt.Fprintf(r.err, "not observed, though %s needs it: %s\n", r.manager.Name(), s)
			}
		},
		Trouble: func(err error) { fmt.Fprintln(r.err, err) },
		Decided: func(d loop.Decision) {
			at := d.At.Format(time.TimeOnly)
			if msg := message(d.Err); msg != failed {
				if failed = msg; msg != "" {
					fmt.Fprintf(r.err, "%s  %s\n", at, msg)
				}
			}
			if d.Plan == nil || fallen == (d.Plan.Fallback != "") {
				return
			}
			if fallen = !fallen; fallen {
				fmt.Fprintf(r.err, "%s  fallback: %s\n", at, d.Plan.Fallback)
			} else {
				fmt.Fprintf(r.err, "%s  %s decides again\n", at, d.Plan.Manager)
			}
		},
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (r *job) print(sum *summary.Summary) error {
	if r.guest.done != nil {
		return r.guest.done()
	}
	if r.bed != nil {
		for _, line := range r.bed.shortfalls(sum.Requests()) {
			fmt.Fprintln(r.err, line)
		}
	}
	if r.json {
		res := cli.NewResult(r.name, &r.seed, sum.Rows())
		if r.bed != nil {
			res.Detail = r.bed.detail()
		}
		if r.beside != nil {
			res.Detail = r.beside.Detail()
		}
		return cli.PrintJSON(r.out, res)
	}
	if err := sum.Print(r.out); err != nil {
		return err
	}
	if r.bed != nil {
		return r.bed.print(r.out)
	}
	return nil
}
