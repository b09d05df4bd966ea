package operator_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"foresail.dev"
	"foresail.dev/cluster/kube"
	"foresail.dev/cluster/kube/v1alpha1"
	"foresail.dev/internal/kubetest"
)

// What goes wrong around an operator is told, changes nothing for the worse, and is over when it is over.
func TestChaos(t *testing.T) {
	cfg := kubetest.Server(t)

	t.Run("an autoscaler comes while it manages", func(t *testing.T) {
		s := newSite(t, cfg, "scaler", "cart")
		n := want(3)
		s.create("shop", v1alpha1.Auto, "cart")
		s.operate(s.cfg, "a", n)
		s.until(20*time.Second, "three replicas", func() bool { return s.replicas("cart") == 3 })
		one := int32(1)
		scalers := s.kube.AutoscalingV2().HorizontalPodAutoscalers(s.namespace)
		_, err := scalers.Create(t.Context(), &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "cart"},
			Spec: autoscalingv2.HorizontalPodAutoscalerSpec{MinReplicas: &one, MaxReplicas: 8, ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "cart"}}}, metav1.CreateOptions{})
		s.must(err)
		least := func() int32 {
			h, err := scalers.Get(t.Context(), "cart", metav1.GetOptions{})
			s.must(err)
			return *h.Spec.MinReplicas
		}
		s.until(20*time.Second, "its minimum is what is wanted", func() bool { return least() == 3 })
		s.must(s.scale("cart", 6)) // as the autoscaler would
		n.Store(5)
		s.until(20*time.Second, "the minimum follows", func() bool { return least() == 5 })
		if v := s.replicas("cart"); v != 6 {
			t.Errorf("the autoscaler's 6 replicas were made %d", v)
		}
		s.must(scalers.Delete(t.Context(), "cart", metav1.DeleteOptions{}))
		s.until(20*time.Second, "replicas are managed again", func() bool { return s.replicas("cart") == 5 })
	})

	t.Run("telemetry is cut", func(t *testing.T) {
		s := newSite(t, cfg, "silent", "cart")
		var cut atomic.Bool
		s.source = func(spec kube.Spec) kube.Source {
			return cuttable{beats{len(spec.App.Services), len(spec.App.Endpoints)}, &cut}
		}
		s.create("shop", v1alpha1.Auto, "cart")
		s.operate(s.cfg, "a", want(3))
		s.until(20*time.Second, "fresh", func() bool { return s.condition("shop", v1alpha1.TelemetryFresh) == "True Fresh" })
		cut.Store(true)
		s.until(20*time.Second, "silence is told", func() bool { return s.condition("shop", v1alpha1.TelemetryFresh) == "False Silent" })
		cut.Store(false)
		s.until(20*time.Second, "fresh again", func() bool { return s.condition("shop", v1alpha1.TelemetryFresh) == "True Fresh" })
	})

	t.Run("the API server is away", func(t *testing.T) {
		s := newSite(t, cfg, "away", "cart")
		n := want(3)
		s.create("shop", v1alpha1.Auto, "cart")
		var l line
		s.operate(l.through(cfg), "a", n)
		s.until(20*time.Second, "three replicas", func() bool { return s.replicas("cart") == 3 })
		l.cut()
		n.Store(5)
		lease := func() string {
			l, err := s.kube.CoordinationV1().Leases(s.namespace).Get(t.Context(), "foresail", metav1.GetOptions{})
			s.must(err)
			return l.ResourceVersion
		}
		held := lease()
		time.Sleep(6 * time.Second) // longer than the lease
		if v, now := s.replicas("cart"), lease(); v != 3 || now != held {
			t.Errorf("over a line that is cut: %d replicas", v)
		}
		l.mend()
		s.until(30*time.Second, "it acts again", func() bool { return s.replicas("cart") == 5 })
		s.until(20*time.Second, "and tells", func() bool { return s.condition("shop", v1alpha1.Ready) == "True Managed" })
	})
}

// cuttable tells of nothing while it is cut.
type cuttable struct {
	beats
	cut *atomic.Bool
}

func (c cuttable) Next(ctx context.Context) (*foresail.Snapshot, error) {
	s, err := c.beats.Next(ctx)
	if err == nil && c.cut.Load() {
		s = &foresail.Snapshot{Start: s.Start, End: s.End, Stale: true, Services: make([]foresail.ServiceStats, len(s.Services)), Endpoints: make([]foresail.EndpointStats, len(s.Endpoints))}
	}
	return s, err
}

// line is the network between an operator and the API server.
type line struct {
	mu    sync.Mutex
	off   bool
	conns []net.Conn
}

// through is a server as it is reached over the line.
func (l *line) through(cfg *rest.Config) *rest.Config {
	out := rest.CopyConfig(cfg)
	out.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.off {
			return nil, errors.New("the line is cut")
		}
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			l.conns = append(l.conns, c)
		}
		return c, err
	}
	return out
}

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.off = true
	for _, c := range l.conns {
		c.Close()
	}
	l.conns = nil
}

func (l *line) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.off = false
}
