// Package operating is foresail operator: the custom resources of a Kubernetes cluster, managed.
package operating

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/common/config"
	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"foresail.dev"
	"foresail.dev/cluster/kube"
	"foresail.dev/cluster/kube/operator"
	"foresail.dev/cluster/kube/v1alpha1"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/kubes"
	"foresail.dev/cmd/foresail/promfile"
	"foresail.dev/cmd/foresail/trained"
	"foresail.dev/plan/managers"
	"foresail.dev/telemetry/prom"
)

// podNamespace is where a pod finds the namespace it runs in.
const podNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// New is the command.
func New() *cobra.Command {
	var reach kubes.Reach
	var cfg operator.Config
	var verbose bool
	c := &cobra.Command{
		Use:   "operator",
		Short: "Manages every Application of a Kubernetes cluster, until it is stopped",
		Long: `Watches the custom resources Application (foresail.dev/v1alpha1) and manages each as it says: mode Observe and Recommend change
nothing, Auto does. What it sees, what it would do and why is in each resource's status.

Several may run: whoever holds the Lease acts, the others are ready to.`,
		Example: "  foresail operator --kubeconfig ~/.kube/config --namespace shop",
		Args:    cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r, namespace, err := reach.Config()
			if err != nil {
				return cli.Usage(err)
			}
			level := slog.LevelInfo
			if verbose {
				level = slog.LevelDebug
			}
			cfg.Rest, cfg.Namespace = r, reach.Namespace
			cfg.Log = slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
			libraries(cfg.Log, verbose)
			if cfg.Lease.Namespace == "" {
				cfg.Lease.Namespace = home(namespace)
			}
			if cfg.Lease.Identity == "" {
				cfg.Lease.Identity = identity()
			}
			k, err := kubernetes.NewForConfig(r)
			if err != nil {
				return cli.Usage(err)
			}
			o := origin{kube: k, log: cfg.Log}
			cfg.Source, cfg.Manager = o.source, manager
			ctx, stop := cli.Stoppable(c.Context())
			defer stop()
			cfg.Log.Info("managing Applications", "of", scope(cfg.Namespace), "lease", cfg.Lease.Namespace+"/"+cfg.Lease.Name, "identity", cfg.Lease.Identity)
			return operator.Run(ctx, cfg)
		},
	}
	fl := c.Flags()
	reach.Register(fl, "")
	fl.StringVar(&cfg.Lease.Name, "lease-name", "foresail", "the Lease that decides who acts")
	fl.StringVar(&cfg.Lease.Namespace, "lease-namespace", "", "where it is; empty: the pod's namespace, or the kubeconfig's")
	fl.DurationVar(&cfg.Lease.Duration, "lease", 15*time.Second, "how long it holds without being renewed, at least 5s: another acts within two seconds of its end")
	fl.StringVar(&cfg.Lease.Identity, "identity", "", "of this process: unique; empty: made of the host's name")
	fl.DurationVar(&cfg.StatusEvery, "status-every", 10*time.Second, "how often status is written at most")
	fl.BoolVar(&verbose, "verbose", false, "also log what the libraries say")
	return c
}

// libraries of Kubernetes log through ours, and only what is asked for.
func libraries(l *slog.Logger, verbose bool) {
	to := logr.Discard()
	if verbose {
		to = logr.FromSlogHandler(l.Handler())
	}
	log.SetLogger(to)
	klog.SetLogger(to)
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
}

func scope(namespace string) string {
	if namespace == "" {
		return "all namespaces"
	}
	return "namespace " + namespace
}

// home is the namespace that this process runs in, or another where it runs outside.
func home(other string) string {
	if b, err := os.ReadFile(podNamespace); err == nil {
		return strings.TrimSpace(string(b))
	}
	return other
}

func identity() string {
	host, err := os.Hostname()
	if err != nil {
		host = "foresail"
	}
	return host + "_" + strings.ToLower(rand.Text()[:8])
}

// manager is who a resource names, within the guard.
func manager(a *v1alpha1.Application, app *foresail.App) (foresail.Manager, error) {
	m := a.Spec.Manager
	if m.Name == "" {
		m.Name = "hpa"
	}
	if m.Baseline == "" {
		m.Baseline = "hpa"
	}
	model, err := trained.File(m.Model, m.Name, app)
	if err != nil {
		return nil, err
	}
	o := managers.Options{Model: model, Settings: map[string]float64{}}
	for name, v := range m.Settings {
		o.Settings[name] = v.AsApproximateFloat64()
	}
	return managers.GuardedBuild(m.Name, m.Baseline, app, o)
}

// origin opens where load is observed.
type origin struct {
	kube kubernetes.Interface
	log  *slog.Logger
}

// source is the Prometheus API that a resource names; nil: it names none.
func (o origin) source(ctx context.Context, a *v1alpha1.Application, spec kube.Spec) (kube.Source, error) {
	p := a.Spec.Telemetry.Prometheus
	if p == nil {
		return nil, nil
	}
	cfg := promfile.Config{URL: p.URL, Recipes: p.Recipes, Selector: p.Selector, Dir: "."}
	if cfg.Selector == "" {
		cfg.Selector = fmt.Sprintf("namespace=%q", a.Namespace)
	}
	if p.Every != nil {
		cfg.Interval = p.Every.Duration
	}
	reading, err := cfg.Reading(spec.App)
	if err != nil {
		return nil, err
	}
	if p.TokenSecret != "" {
		s, err := o.kube.CoreV1().Secrets(a.Namespace).Get(ctx, p.TokenSecret, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("telemetry.prometheus.tokenSecret: %w", err)
		}
		token, ok := s.Data["token"]
		if !ok {
			return nil, fmt.Errorf("telemetry.prometheus.tokenSecret: Secret %s has no key token", p.TokenSecret)
		}
		reading.HTTP.Authorization = &config.Authorization{Type: "Bearer", Credentials: config.Secret(strings.TrimSpace(string(token)))}
	}
	reading.Log = func(what string) { o.log.Info(what, "application", spec.App.Name) }
	s, err := prom.Open(ctx, reading)
	if err != nil {
		return nil, err
	}
	return s, nil
}
