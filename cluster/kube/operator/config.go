package operator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"k8s.io/client-go/rest"

	"foresail.dev"
	"foresail.dev/cluster/kube"
	"foresail.dev/cluster/kube/v1alpha1"
)

// Config of an operator.
type Config struct {
	Rest      *rest.Config
	Namespace string // whose Applications; empty: all namespaces'
	Lease     Lease
	// Source opens what observes an application's load and latency. It may use the resource's namespace's secrets through its own
	// means. A nil source observes what Kubernetes knows alone.
	Source func(ctx context.Context, a *v1alpha1.Application, spec kube.Spec) (kube.Source, error)
	// Manager makes who decides.
	Manager func(a *v1alpha1.Application, app *foresail.App) (foresail.Manager, error)
	// StatusEvery is how often status is written at most; default 10 s.
	StatusEvery time.Duration
	// Every is how long a snapshot without a source is; default 5 s.
	Every time.Duration
	Log   *slog.Logger // nil: nobody is told
	Now   func() time.Time
}

// check fills in defaults and names what is wrong.
func (c *Config) check() error {
	var faults []error
	if c.Rest == nil {
		faults = append(faults, errors.New("no API server is given"))
	}
	if c.Manager == nil {
		faults = append(faults, errors.New("nobody decides"))
	}
	if c.Lease.Name == "" {
		c.Lease.Name = "foresail"
	}
	if c.Lease.Duration == 0 {
		c.Lease.Duration = 15 * time.Second
	}
	if c.Lease.Duration < 5*time.Second {
		faults = append(faults, fmt.Errorf("a lease of %v: use 5s or more", c.Lease.Duration))
	}
	if c.Lease.Identity == "" || c.Lease.Namespace == "" {
		faults = append(faults, errors.New("a lease needs a namespace and an identity of this process"))
	}
	if c.StatusEvery == 0 {
		c.StatusEvery = 10 * time.Second
	}
	if c.Every == 0 {
		c.Every = 5 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("operator: %w", err)
	}
	return nil
}
