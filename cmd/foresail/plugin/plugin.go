// Package plugin is kubectl foresail: what a person asks of Applications, and does to them, from a terminal.
package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"foresail.dev/cluster/kube"
	"foresail.dev/cluster/kube/v1alpha1"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/kubes"
)

// New is the command: kubectl foresail, where the program is found as kubectl-foresail, and foresail kubectl.
func New() *cobra.Command {
	var p plugin
	c := &cobra.Command{
		Use:   "kubectl",
		Short: "What Applications in Kubernetes are doing, and why; also as a plugin of kubectl",
		Long: `Asks the API server about Applications (foresail.dev/v1alpha1). A link to this program that is called kubectl-foresail makes it
a plugin: kubectl foresail status.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	p.reach.RegisterShort(c.PersistentFlags())
	c.PersistentFlags().BoolVarP(&p.all, "all-namespaces", "A", false, "look at all namespaces")
	c.PersistentFlags().BoolVar(&p.json, "json", false, "print the result as JSON")
	c.AddCommand(
		&cobra.Command{Use: "status [NAME]", Short: "Which Applications there are, whether they are managed and their objectives met, and what that takes",
			Args: cobra.MaximumNArgs(1), RunE: p.run(p.status)},
		&cobra.Command{Use: "explain NAME [SERVICE]", Short: "Why each workload has what it has, what holds back what it should have, and the last decisions",
			Args: cobra.RangeArgs(1, 2), RunE: p.run(p.explain)},
		&cobra.Command{Use: "recommend NAME", Short: "What each workload should have, as patches that kubectl, or whoever owns the manifests, can apply",
			Long: "Prints a patch for each workload that should have something else: replicas, and its container's CPU and memory. Nothing is applied.",
			Args: cobra.ExactArgs(1), RunE: p.run(p.recommend)},
		&cobra.Command{Use: "pause NAME", Short: "Keeps everything of an Application as it is; it goes on to be observed", Args: cobra.ExactArgs(1),
			RunE: p.run(func(ctx context.Context, args []string) error { return p.pause(ctx, args[0], true) })},
		&cobra.Command{Use: "resume NAME", Short: "Ends a pause", Args: cobra.ExactArgs(1),
			RunE: p.run(func(ctx context.Context, args []string) error { return p.pause(ctx, args[0], false) })},
	)
	return c
}

// plugin is one call.
type plugin struct {
	reach     kubes.Reach
	all, json bool

	client    client.Client
	namespace string
	out       io.Writer
}

// run reaches the cluster, then does what is asked.
func (p *plugin) run(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		cfg, namespace, err := p.reach.Config()
		if err != nil {
			return cli.Usage(err)
		}
		scheme := runtime.NewScheme()
		if err := v1alpha1.AddToScheme(scheme); err != nil {
			return err
		}
		if p.client, err = client.New(cfg, client.Options{Scheme: scheme}); err != nil {
			return fmt.Errorf("kubernetes: %w", err)
		}
		p.namespace, p.out = namespace, c.OutOrStdout()
		ctx, cancel := context.WithTimeout(c.Context(), 30*time.Second)
		defer cancel()
		return told(f(ctx, args))
	}
}

// told adds what to do about an error.
func told(err error) error {
	if meta.IsNoMatchError(err) {
		return fmt.Errorf("this cluster knows no Applications: apply deploy/crd first: %w", err)
	}
	return err
}

func (p *plugin) get(ctx context.Context, name string) (*v1alpha1.Application, error) {
	var a v1alpha1.Application
	if err := p.client.Get(ctx, client.ObjectKey{Namespace: p.namespace, Name: name}, &a); err != nil {
		return nil, fmt.Errorf("kubernetes: Application %s/%s: %w", p.namespace, name, err)
	}
	return &a, nil
}

// statusRow is what status tells of one.
type statusRow struct {
	Namespace   string `json:"namespace"`
	Name        string `json:"name"`
	Mode        string `json:"mode"`
	Paused      bool   `json:"paused"`
	Ready       string `json:"ready"` // status and reason
	Objectives  string `json:"objectives_met"`
	Telemetry   string `json:"telemetry"`
	Risk        string `json:"violation_probability,omitempty"`
	Allocated   string `json:"cores_allocated,omitempty"`
	Used        string `json:"cores_used,omitempty"`
	Recommended string `json:"cores_recommended,omitempty"`
	Why         string `json:"why,omitempty"`
}

func (p *plugin) status(ctx context.Context, args []string) error {
	var list v1alpha1.ApplicationList
	switch {
	case len(args) == 1:
		a, err := p.get(ctx, args[0])
		if err != nil {
			return err
		}
		list.Items = append(list.Items, *a)
	default:
		in := []client.ListOption{client.InNamespace(p.namespace)}
		if p.all {
			in = nil
		}
		if err := p.client.List(ctx, &list, in...); err != nil {
			return fmt.Errorf("kubernetes: %w", err)
		}
	}
	rows := make([]statusRow, 0, len(list.Items))
	for i := range list.Items {
		a := &list.Items[i]
		s := &a.Status
		r := statusRow{Namespace: a.Namespace, Name: a.Name, Mode: string(a.Spec.Mode), Paused: a.Spec.Paused, Ready: condition(a, v1alpha1.Ready), Objectives: condition(a, v1alpha1.ObjectivesMet),
			Telemetry: condition(a, v1alpha1.TelemetryFresh), Risk: s.ViolationProbability, Allocated: s.Cores.Allocated, Used: s.Cores.Used, Recommended: s.Cores.Recommended, Why: wrong(a)}
		rows = append(rows, r)
	}
	if p.json {
		return cli.PrintJSON(p.out, cli.NewResult("kubectl-status", nil, rows))
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintf(p.out, "there are no Applications in %s\n", map[bool]string{true: "any namespace", false: "namespace " + p.namespace}[p.all])
		return err
	}
	var table [][]string
	for _, r := range rows {
		mode := r.Mode
		if r.Paused {
			mode += " (paused)"
		}
		table = append(table, []string{r.Namespace + "/" + r.Name, mode, r.Ready, r.Objectives, r.Telemetry, dash(r.Risk), dash(r.Allocated), dash(r.Used), dash(r.Recommended)})
	}
	if err := cli.Table(p.out, []string{"application", "mode", "ready", "objectives", "telemetry", "risk", "cores", "used", "recommended"}, table); err != nil {
		return err
	}
	for _, r := range rows {
		if r.Why != "" {
			fmt.Fprintf(p.out, "\n%s/%s: %s\n", r.Namespace, r.Name, r.Why)
		}
	}
	return nil
}

// condition reads like "no: Missed", and "yes" where nothing is to be said.
func condition(a *v1alpha1.Application, kind string) string {
	c := meta.FindStatusCondition(a.Status.Conditions, kind)
	switch {
	case c == nil:
		return "not looked at yet"
	case c.Status == metav1.ConditionTrue && kind == v1alpha1.Ready:
		return "yes: " + c.Reason
	case c.Status == metav1.ConditionTrue:
		return "yes"
	case c.Status == metav1.ConditionFalse:
		return "no: " + c.Reason
	}
	return "unknown: " + c.Reason
}

// wrong is what the conditions say that a person should act on.
func wrong(a *v1alpha1.Application) string {
	if len(a.Status.Conditions) == 0 {
		return "nobody has looked at it yet: is the operator running? (kubectl -n foresail get pods)"
	}
	var out []string
	for _, c := range a.Status.Conditions {
		bad := c.Status == metav1.ConditionFalse
		if c.Type == v1alpha1.Fallback {
			bad = c.Status == metav1.ConditionTrue
		}
		if bad || c.Type == v1alpha1.Ready && c.Message != "" {
			out = append(out, c.Type+": "+c.Message)
		}
	}
	return strings.Join(out, "; ")
}

func dash(s string) string {
	if s == "" {
		return "—"
	}
	return s
}

func (p *plugin) explain(ctx context.Context, args []string) error {
	a, err := p.get(ctx, args[0])
	if err != nil {
		return err
	}
	recs := a.Status.Recommendations
	if len(args) == 2 {
		recs = slices.DeleteFunc(slices.Clone(recs), func(r v1alpha1.Recommendation) bool { return r.Service != args[1] })
		if len(recs) == 0 {
			return fmt.Errorf("status of Application %s/%s says nothing of a service %q", a.Namespace, a.Name, args[1])
		}
	}
	if p.json {
		r := cli.NewResult("kubectl-explain", nil, recs)
		r.Detail = map[string]any{"conditions": a.Status.Conditions, "endpoints": a.Status.Endpoints, "decisions": a.Status.Decisions}
		return cli.PrintJSON(p.out, r)
	}
	for _, r := range recs {
		fmt.Fprintf(p.out, "%s has %s", r.Service, size(r.Now))
		switch {
		case r.Target == nil:
			fmt.Fprint(p.out, ", and nothing else is recommended")
		case *r.Target == r.Now:
			fmt.Fprint(p.out, ", which is what it should have")
		default:
			fmt.Fprintf(p.out, ", and should have %s", size(*r.Target))
		}
		if r.Reason != "" {
			fmt.Fprintf(p.out, ": %s", r.Reason)
		}
		if r.Held != "" {
			fmt.Fprintf(p.out, " (left as it is: %s)", r.Held)
		}
		fmt.Fprintln(p.out)
	}
	for _, e := range a.Status.Endpoints {
		switch {
		case e.Objective == "":
			fmt.Fprintf(p.out, "%s has no objective\n", e.Name)
		case e.Met == nil:
			fmt.Fprintf(p.out, "%s (%s) had no requests in the last minute\n", e.Name, e.Objective)
		case *e.Met:
			fmt.Fprintf(p.out, "%s met %s in the last minute, at %s\n", e.Name, e.Objective, dash(e.Latency))
		default:
			fmt.Fprintf(p.out, "%s missed %s in the last minute, at %s\n", e.Name, e.Objective, dash(e.Latency))
		}
	}
	if why := wrong(a); why != "" {
		fmt.Fprintln(p.out, why)
	}
	for _, d := range a.Status.Decisions {
		fmt.Fprintf(p.out, "%s %s\n", d.At.Time.UTC().Format(time.RFC3339), d.Manager)
		for _, line := range d.Changes {
			fmt.Fprintf(p.out, "  %s\n", line)
		}
	}
	return nil
}

func size(s v1alpha1.Size) string {
	out := fmt.Sprintf("%d replicas", s.Replicas)
	if s.Replicas == 1 {
		out = "1 replica"
	}
	if s.CPU != "" {
		out += " of " + s.CPU
	}
	if s.Memory != "" {
		out += " and " + s.Memory
	}
	return out
}

// patch is what a workload's manifest should say.
type patch struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   map[string]string `json:"metadata"`
	Spec       map[string]any    `json:"spec"`
}

func (p *plugin) recommend(ctx context.Context, args []string) error {
	a, err := p.get(ctx, args[0])
	if err != nil {
		return err
	}
	var out []patch
	var errs []error
	for _, r := range a.Status.Recommendations {
		if r.Target == nil || *r.Target == r.Now {
			continue
		}
		i := slices.IndexFunc(a.Spec.Workloads, func(w v1alpha1.Workload) bool { return w.Service == r.Service })
		if i < 0 {
			continue
		}
		w := &a.Spec.Workloads[i]
		if w.Target == nil || w.Container == "" && r.Target.CPU != r.Now.CPU {
			errs = append(errs, fmt.Errorf("%s: name its workload in target, and its container, for a patch of its manifest", r.Service))
			continue
		}
		kind := w.Target.Kind
		if kind == "" {
			kind = kube.Deployment
		}
		x := patch{APIVersion: "apps/v1", Kind: kind, Metadata: map[string]string{"name": w.Target.Name, "namespace": a.Namespace}, Spec: map[string]any{}}
		if r.Target.Replicas != r.Now.Replicas {
			x.Spec["replicas"] = r.Target.Replicas
		}
		if r.Target.CPU != r.Now.CPU || r.Target.Memory != r.Now.Memory {
			res := map[string]any{}
			if r.Target.CPU != "" {
				res["cpu"] = r.Target.CPU
			}
			if r.Target.Memory != "" {
				res["memory"] = r.Target.Memory
			}
			where := map[string]any{"limits": res}
			if w.Limits == v1alpha1.LimitsRequests {
				where = map[string]any{"requests": res}
			}
			x.Spec["template"] = map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": w.Container, "resources": where}}}}
		}
		out = append(out, x)
	}
	if p.json {
		return errors.Join(cli.PrintJSON(p.out, cli.NewResult("kubectl-recommend", nil, out)), errors.Join(errs...))
	}
	for _, x := range out {
		b, err := yaml.Marshal(x)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.out, "---\n%s", b)
	}
	if len(out) == 0 && len(errs) == 0 {
		fmt.Fprintln(p.out, "# every workload has what it should have")
	}
	return errors.Join(errs...)
}

func (p *plugin) pause(ctx context.Context, name string, paused bool) error {
	a, err := p.get(ctx, name)
	if err != nil {
		return err
	}
	before := a.DeepCopy()
	a.Spec.Paused = paused
	if err := p.client.Patch(ctx, a, client.MergeFrom(before), client.FieldOwner(kube.Manager)); err != nil {
		return fmt.Errorf("kubernetes: Application %s/%s: %w", p.namespace, name, err)
	}
	what := "resumed: it goes on as its mode says, which is " + string(a.Spec.Mode)
	if paused {
		what = "paused: everything stays as it is"
	}
	_, err = fmt.Fprintf(p.out, "%s/%s is %s\n", a.Namespace, a.Name, what)
	return err
}
