package agents

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"foresail.dev"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/telemetry/agent/probe"
	"foresail.dev/telemetry/agent/probe/load"
)

// cpus are those that this process may run on.
func cpus() (all []int) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return []int{0}
	}
	for i := range 8 * len(set) * 8 {
		if set.IsSet(i) {
			all = append(all, i)
		}
	}
	return all
}

// probing is what 'foresail agent probe' is told.
type probing struct {
	file, url      string
	objective      foresail.Objective
	matrix         bool
	markdown, json bool
	rounds         int
}

func newProbe(node CLI) *cobra.Command {
	var p probing
	c := &cobra.Command{
		Use:   "probe -f AGENT.yaml (--url URL --latency 200ms | --matrix)",
		Short: "Finds the resource that a service on this node hangs on, by loading one after the other",
		Long: `Asks the suspect for its URL again and again while it loads one resource of this node after the other, from the core outwards: on
for 10 ms and off for 10 ms in turn, until the suspect's latency differs or two seconds have passed. The first that matters is named.
Loads that can't be told apart on this machine are measured first, and left out. Nothing is loaded that the agent's file does not allow;
all loads stop once the objective is at risk.

With --matrix it measures each load against a victim of each resource instead: on another CPU at the same time, and on the same CPU
right after it.`,
		Example: `  foresail agent probe -f agent.yaml --url http://10.0.0.7:8080/search --percentile 99 --latency 200ms
  foresail agent probe -f agent.yaml --matrix --markdown`,
		Args: cli.Needs("file"),
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := readFile(p.file)
			if err != nil {
				return err
			}
			if err := p.check(); err != nil {
				return err
			}
			if !f.Probes.Allow {
				return fmt.Errorf("%w: set probes.allow in %s", probe.ErrForbidden, p.file)
			}
			ctx, stop := node.Stoppable(c.Context())
			defer stop()
			shown := cli.NewProgress(c.ErrOrStderr())
			if p.matrix {
				return p.measure(ctx, &f, shown, c.OutOrStdout())
			}
			return p.search(ctx, &f, shown, c.OutOrStdout())
		},
	}
	fl := c.Flags()
	fl.StringVarP(&p.file, "file", "f", "", "the agent's file, which says what is allowed (docs/formats/agent.md)")
	fl.StringVar(&p.url, "url", "", "what the suspect is asked for (GET)")
	fl.Float64Var(&p.objective.Percentile, "percentile", 99, "of the objective that must not be missed")
	fl.DurationVar(&p.objective.Latency, "latency", 0, "of the objective")
	fl.BoolVar(&p.matrix, "matrix", false, "measure each load against each victim instead")
	fl.IntVar(&p.rounds, "rounds", 30, "of each pair of the matrix")
	fl.BoolVar(&p.markdown, "markdown", false, "print the matrix as Markdown")
	fl.BoolVar(&p.json, "json", false, "print the result as JSON")
	return c
}

func (p *probing) check() error {
	var errs []error
	if p.matrix == (p.url != "") {
		errs = append(errs, errors.New("give --url or --matrix"))
	}
	if p.url != "" && p.objective.Latency <= 0 {
		errs = append(errs, fmt.Errorf("--latency %v: give the objective's, above 0, so that probes stop where it is at risk", p.objective.Latency))
	}
	if !(p.objective.Percentile > 0 && p.objective.Percentile < 100) {
		errs = append(errs, fmt.Errorf("--percentile %v: above 0 and below 100", p.objective.Percentile))
	}
	if p.rounds < 1 || p.rounds > 10000 {
		errs = append(errs, fmt.Errorf("--rounds %d: 1 to 10000", p.rounds))
	}
	if err := errors.Join(errs...); err != nil {
		return cli.Usage(err)
	}
	return nil
}

// trial is a row of a search.
type trial struct {
	Resource    probe.Resource `json:"resource"`
	Unavailable string         `json:"unavailable,omitempty"`
	Bursts      int            `json:"bursts,omitempty"`
	Rise        *float64       `json:"rise,omitempty"` // of latency, as a share
	P           *float64       `json:"p,omitempty"`
	Matters     bool           `json:"matters"`
}

// found is what does not fit in rows.
type found struct {
	Resource probe.Resource `json:"resource,omitempty"`
	Stopped  bool           `json:"stopped"` // an objective was at risk
}

func (p *probing) search(ctx context.Context, f *File, shown *cli.Progress, w io.Writer) error {
	c := f.loads()
	lacks, err := load.Lacks(ctx, c, cpus(), func(done float64) { shown.At(done, "measuring probes") })
	if err != nil {
		shown.End()
		return err
	}
	s, err := probe.New(f.mayProbe(), probe.Config{Burst: f.Probes.Burst, Limit: f.Probes.Limit, Rise: f.Probes.Rise, Unavailable: lacks})
	if err != nil {
		shown.End()
		return cli.Usage(err)
	}
	suspect, err := load.Ask(ctx, &http.Client{Timeout: 10*p.objective.Latency + time.Second}, p.url, p.objective)
	if err != nil {
		shown.End()
		return cli.Usagef("--url: %w", err)
	}
	err = load.Run(ctx, s, func(r probe.Resource) (load.Loader, error) {
		shown.At(-1, "probing "+string(r))
		return load.Open(r, c)
	}, suspect)
	shown.End()
	failed := suspect.Close()
	if err != nil {
		return err
	}
	at, trials, stopped := s.Result()
	if stopped && failed != nil {
		return fmt.Errorf("%s can't be asked: %w", p.url, failed)
	}
	var rows []trial
	for _, t := range trials {
		r := trial{Resource: t.Resource, Unavailable: t.Unavailable, Bursts: t.Bursts, Matters: t.Matters}
		if rise, p := round(t.Rise), t.P; t.Unavailable == "" && t.Bursts > 0 {
			r.Rise, r.P = &rise, &p
		}
		rows = append(rows, r)
	}
	if p.json {
		res := cli.NewResult("agent-probe", nil, rows)
		res.Detail = found{at, stopped}
		return cli.PrintJSON(w, res)
	}
	return printTrials(w, at, rows, stopped)
}

func printTrials(w io.Writer, at probe.Resource, rows []trial, stopped bool) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "resource\tlatency\tp\tbursts\tunavailable")
	for _, r := range rows {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%s\n", r.Resource, opt("%+.2f", r.Rise), opt("%.2g", r.P), r.Bursts, r.Unavailable)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	said := "no resource that could be loaded matters"
	if at != "" {
		said = "it hangs on " + string(at)
	}
	if stopped {
		said = "stopped, since the objective was at risk: what was not tried is not known"
	}
	_, err := fmt.Fprintf(w, "\n%s\n", said)
	return err
}

// cell is a row of a matrix.
type cell struct {
	Probe       probe.Resource `json:"probe"`
	Victim      probe.Resource `json:"victim"`
	Where       string         `json:"where"` // beside: on another CPU at the same time; after: on the same CPU right after
	Unavailable string         `json:"unavailable,omitempty"`
	Price       *float64       `json:"price_us,omitempty"` // of a piece of the victim's work without the load
	Rise        *float64       `json:"rise,omitempty"`     // with it, as a share
	Wall        *float64       `json:"rise_wall,omitempty"`
	P           *float64       `json:"p,omitempty"`
	Rounds      int            `json:"rounds,omitempty"`
	Told        bool           `json:"told"`
}

func (p *probing) measure(ctx context.Context, f *File, shown *cli.Progress, w io.Writer) (err error) {
	defer shown.End()
	c := f.loads()
	if c.Peer == "" {
		sink, err := load.Listen("127.0.0.1:0")
		if err != nil {
			return err
		}
		defer sink.Close()
		c.Peer = sink.Addr()
	}
	all := cpus()
	if len(all) < 2 {
		return errors.New("there is one CPU: loads and victims need one each")
	}
	victim, other := c, c
	victim.CPUs, victim.Threads = all[:1], 1
	other.CPUs = all[1:]
	other.Threads = min(max(len(all)/2, 1), len(all)-1)
	var rows []cell
	for i, where := range []string{"beside", "after"} {
		plan := load.Plan{Load: other, Victim: victim, Rounds: p.rounds}
		if where == "after" {
			plan.Load, plan.After = victim, true
		}
		cells, err := load.Measure(ctx, plan, func(done float64) { shown.At((float64(i)+done)/2, where) })
		if err != nil {
			return err
		}
		for k := range cells {
			x := &cells[k]
			r := cell{Probe: x.Probe, Victim: x.Victim, Where: where, Unavailable: x.Unavailable, Rounds: x.Rounds, Told: x.Told()}
			if x.Unavailable == "" {
				price, rise, wall := round(1e6*x.Price), round(x.Rise), round(x.Wall)
				r.Price, r.Rise, r.Wall, r.P = &price, &rise, &wall, &x.P
			}
			rows = append(rows, r)
		}
	}
	shown.End()
	if p.json {
		return cli.PrintJSON(w, cli.NewResult("agent-matrix", nil, rows))
	}
	return p.printMatrix(w, rows)
}

// printMatrix shows by how much the price of each victim's work rises, in percent, with a star where it is told from chance.
func (p *probing) printMatrix(w io.Writer, rows []cell) error {
	for _, where := range []string{"beside", "after"} {
		head := []string{"probe"}
		for _, v := range probe.Outwards() {
			head = append(head, string(v))
		}
		var cells [][]string
		for _, r := range probe.Outwards() {
			line := []string{string(r)}
			for _, x := range rows {
				if x.Probe != r || x.Where != where {
					continue
				}
				s := "—"
				if x.Rise != nil {
					s = fmt.Sprintf("%+.0f", 100**x.Rise)
				}
				if x.Told {
					s = "**" + s + "**"
				}
				line = append(line, s)
			}
			cells = append(cells, line)
		}
		if err := p.printTable(w, where, head, cells); err != nil {
			return err
		}
	}
	return nil
}

func (p *probing) printTable(w io.Writer, where string, head []string, cells [][]string) error {
	title := map[string]string{"beside": "On another CPU, at the same time", "after": "On the same CPU, right after"}[where]
	if !p.markdown {
		if _, err := fmt.Fprintf(w, "%s: rise of the price, %%\n\n", title); err != nil {
			return err
		}
		if err := cli.Table(w, head, cells); err != nil {
			return err
		}
		_, err := fmt.Fprintln(w)
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n| %s |\n|%s\n", title, strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for _, line := range cells {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(line, " | "))
	}
	_, err := fmt.Fprintln(w, b.String())
	return err
}

func newSink(node CLI) *cobra.Command {
	var listen string
	c := &cobra.Command{
		Use:   "sink --listen HOST:PORT",
		Short: "Takes what network probes of other nodes send, until it is stopped",
		Long: `Takes what network probes of other nodes send and answers each message with a byte. Whoever reaches the port may send: open it
to the nodes that probe, and to nobody else.`,
		Args: cli.Needs("listen"),
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := load.Listen(listen)
			if err != nil {
				return cli.Usage(err)
			}
			ctx, stop := node.Stoppable(c.Context())
			defer stop()
			fmt.Fprintf(c.ErrOrStderr(), "probes send to %s\n", s.Addr())
			<-ctx.Done()
			return s.Close()
		},
	}
	c.Flags().StringVar(&listen, "listen", "", "address, for example 10.0.0.7:7422")
	return c
}
