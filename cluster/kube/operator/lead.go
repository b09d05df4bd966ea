package operator

import (
	"context"
	"errors"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// Lease says who acts: whoever holds it. Durations are as client-go's leader election has them.
type Lease struct {
	Name      string        // "foresail", unless several operators share a namespace
	Namespace string        //
	Identity  string        // of this process: unique
	Duration  time.Duration // how long it holds without being renewed; default 15 s, at least 5 s
}

// margin is what is left of a lease when writing ends: a request may take that long to reach the API server.
const margin = 500 * time.Millisecond

// errNotLeading is what is said where another acts.
var errNotLeading = errors.New("another operator acts")

// leader knows whether this process may act.
type leader struct {
	duration time.Duration
	now      func() time.Time // monotonic: it goes on while the process is stopped

	mu      sync.Mutex
	until   time.Time // may act until then
	epoch   int       // how often this process began to act
	changed chan struct{}
}

// elect runs for leadership until ctx is done, and then gives the lease back.
func (l *leader) elect(ctx context.Context, client kubernetes.Interface, lease Lease, acts func(identity string)) {
	lock := func() *noted {
		return &noted{leader: l, Interface: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Name: lease.Name, Namespace: lease.Namespace},
			Client:     client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: lease.Identity},
		}}
	}
	for ctx.Err() == nil {
		// It does not release by itself: where it failed to renew, it would read the lease, which may be another's by then,
		// and empty it.
		leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
			Lock: lock(), LeaseDuration: lease.Duration, RenewDeadline: lease.Duration * 2 / 3, RetryPeriod: lease.Duration / 10, Name: lease.Name,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) {},
				OnStoppedLeading: l.lost,
				OnNewLeader:      acts,
			},
		})
	}
	l.lost()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	mine := lock()
	r, _, err := mine.Get(ctx)
	if err != nil || r.HolderIdentity != lease.Identity {
		return
	}
	r.HolderIdentity, r.LeaseDurationSeconds = "", 1
	_ = mine.Update(ctx, *r) // only if it is as it was read; else it runs out by itself
}

// renewed notes that the lease holds from a time on.
func (l *leader) renewed(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.now().Before(l.until) {
		l.epoch++
		close(l.changed)
		l.changed = make(chan struct{})
	}
	l.until = at.Add(l.duration - margin)
}

// lost ends the right to act.
func (l *leader) lost() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Time{}
}

// leads reports whether this process may act, for the how manieth time, and what is closed when it begins anew.
func (l *leader) leads() (yes bool, epoch int, begins <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now().Before(l.until), l.epoch, l.changed
}

// lead gives a context that ends when the right to act does.
func (l *leader) lead(ctx context.Context) (context.Context, context.CancelFunc, error) {
	l.mu.Lock()
	left := l.until.Sub(l.now())
	l.mu.Unlock()
	if left <= 0 {
		return nil, nil, errNotLeading
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	return ctx, cancel, nil
}

// noted is a lock that notes when it was taken or renewed: at the time before it was asked, since others count from there.
type noted struct {
	resourcelock.Interface
	leader *leader
}

// Create takes the lease.
func (n *noted) Create(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	return n.note(r, func() error { return n.Interface.Create(ctx, r) })
}

// Update renews it, or gives it back.
func (n *noted) Update(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	return n.note(r, func() error { return n.Interface.Update(ctx, r) })
}

func (n *noted) note(r resourcelock.LeaderElectionRecord, write func() error) error {
	at := n.leader.now()
	err := write()
	switch {
	case err == nil && r.HolderIdentity == n.Identity():
		n.leader.renewed(at)
	case err == nil:
		n.leader.lost() // it was given back
	}
	return err
}
