package operator

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"foresail.dev/cluster/kube"
	"foresail.dev/cluster/kube/v1alpha1"
)

// again is how soon an Application that could not be managed is looked at again, besides when it changes.
const again = 15 * time.Second

// operator is the state of one Run.
type operator struct {
	cfg    Config
	client client.Client
	watch  *kube.Watch
	kube   kubernetes.Interface
	leader *leader
	owners owners
	kicks  chan event.GenericEvent

	mu      sync.Mutex
	running map[types.NamespacedName]*runner
	group   sync.WaitGroup
}

// Run manages until ctx is done. It gives the lease back before it returns.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.check(); err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return fmt.Errorf("operator: %w", err)
	}
	k, err := kubernetes.NewForConfig(cfg.Rest)
	if err != nil {
		return fmt.Errorf("operator: %w", err)
	}
	o := ctrl.Options{Scheme: scheme, Metrics: server.Options{BindAddress: "0"}, HealthProbeBindAddress: "0", Logger: logr.FromSlogHandler(cfg.Log.Handler())}
	if cfg.Namespace != "" {
		o.Cache = cache.Options{DefaultNamespaces: map[string]cache.Config{cfg.Namespace: {}}}
	}
	m, err := ctrl.NewManager(cfg.Rest, o)
	if err != nil {
		return fmt.Errorf("operator: %w", err)
	}
	op := &operator{cfg: cfg, client: m.GetClient(), kube: k, watch: kube.NewWatch(k), running: map[types.NamespacedName]*runner{}, kicks: make(chan event.GenericEvent, 1024),
		leader: &leader{duration: cfg.Lease.Duration, now: time.Now, changed: make(chan struct{})}}
	unnamed := true // several operators may run in one process, as in tests
	if err := ctrl.NewControllerManagedBy(m).Named("application").For(&v1alpha1.Application{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(source.Channel(op.kicks, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{SkipNameValidation: &unnamed, MaxConcurrentReconciles: 8}).Complete(op); err != nil {
		return fmt.Errorf("operator: %w", err)
	}
	electing := make(chan struct{})
	go func() {
		defer close(electing)
		op.leader.elect(ctx, k, cfg.Lease, func(identity string) { cfg.Log.Info("who acts", "identity", identity) })
	}()
	err = m.Start(ctx)
	op.stopAll()
	op.watch.Close()
	if ctx.Err() != nil {
		<-electing // the lease is given back
	}
	if err != nil {
		return fmt.Errorf("operator: %w", err)
	}
	return nil
}

// Reconcile makes one Application be managed as its resource says.
func (o *operator) Reconcile(ctx context.Context, r ctrl.Request) (ctrl.Result, error) {
	var a v1alpha1.Application
	err := o.client.Get(ctx, r.NamespacedName, &a)
	if apierrors.IsNotFound(err) || err == nil && a.DeletionTimestamp != nil {
		o.stop(r.NamespacedName)
		o.kick(o.owners.forget(r.NamespacedName))
		return ctrl.Result{}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	if o.runs(r.NamespacedName, a.UID, a.Generation) {
		return ctrl.Result{}, nil
	}
	if err := o.begin(ctx, &a); err != nil {
		// What can't be managed as it says now is not managed as it said before.
		o.stop(r.NamespacedName)
		o.cfg.Log.Warn("an Application can't be managed", "application", r.String(), "why", err)
		if err := o.tell(ctx, &a, err); err != nil && !apierrors.IsConflict(err) {
			o.cfg.Log.Warn("its status was not written", "application", r.String(), "why", err)
		}
		return ctrl.Result{RequeueAfter: again}, nil
	}
	return ctrl.Result{}, nil
}

// runs reports whether an Application is managed as it is.
func (o *operator) runs(name types.NamespacedName, uid types.UID, generation int64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := o.running[name]
	return r != nil && r.app.UID == uid && r.app.Generation == generation && r.ctx.Err() == nil
}

// begin starts to manage an Application, in the place of what ran for it before.
func (o *operator) begin(ctx context.Context, a *v1alpha1.Application) error {
	name := types.NamespacedName{Namespace: a.Namespace, Name: a.Name}
	if err := o.watch.Add(ctx, a.Namespace); err != nil {
		return because("NotAllowed", err)
	}
	spec, err := kube.FromApplication(a, o.watch)
	if err != nil {
		return because("Invalid", err)
	}
	displaced, err := o.owners.claim(name, a.CreationTimestamp.Time, spec)
	if err != nil {
		return because("OwnedByAnother", err)
	}
	o.kick(displaced)
	for _, d := range displaced {
		o.stop(d)
	}
	r, err := o.open(ctx, a, spec)
	if err != nil {
		return err
	}
	o.stop(name)
	o.mu.Lock()
	o.running[name] = r
	o.mu.Unlock()
	o.group.Go(r.run)
	return nil
}

// kick looks at Applications again.
func (o *operator) kick(names []types.NamespacedName) {
	for _, n := range names {
		a := &v1alpha1.Application{}
		a.Namespace, a.Name = n.Namespace, n.Name
		select {
		case o.kicks <- event.GenericEvent{Object: a}:
		default: // it is looked at again soon anyway
		}
	}
}

// stop ends what runs for an Application, and waits until it has.
func (o *operator) stop(name types.NamespacedName) {
	o.mu.Lock()
	r := o.running[name]
	delete(o.running, name)
	o.mu.Unlock()
	if r != nil {
		r.stop()
	}
}

func (o *operator) stopAll() {
	o.mu.Lock()
	for _, r := range o.running {
		r.cancel()
	}
	o.mu.Unlock()
	o.group.Wait()
}
