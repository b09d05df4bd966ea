package operating_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"foresail.dev/cluster/kube/v1alpha1"
	"foresail.dev/cmd/foresail/operating"
	"foresail.dev/internal/kubetest"
)

// TestMain is also the program that tests start.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "foresail-operator" {
		c := operating.New()
		c.SetArgs(os.Args[1:])
		if err := c.Execute(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// process is an operator of its own.
type process struct {
	*exec.Cmd
	name string
	log  text
}

// text is what a process writes while a test reads it.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (x *text) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.Write(p)
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.String()
}

func operate(t *testing.T, kubeconfig, name string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.Command(exe, "--kubeconfig", kubeconfig, "--namespace", "default", "--lease", "5s", "--identity", name, "--status-every", "200ms"), name: name}
	p.Args[0] = "foresail-operator"
	p.Stderr = &p.log
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	t.Cleanup(func() {
		once.Do(func() {
			if p.ProcessState == nil {
				p.Process.Kill()
				p.Wait()
			}
		})
	})
	return p
}

// A leader that is killed is followed within two seconds of its lease's end. One that is stopped and wakes up changes nothing. No
// change of hands scales anything down. For 50 of each:
//
//	FORESAIL_KILLS=50 go test -run Leaders -v -timeout 90m ./cmd/foresail/operating
func TestLeadersAreFollowed(t *testing.T) {
	n := 1
	if s := os.Getenv("FORESAIL_KILLS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil || n < 1 {
			t.Fatalf("FORESAIL_KILLS=%q: want a number of kills", s)
		}
	}
	cfg := kubetest.Server(t)
	kubeconfig := kubetest.Kubeconfig(t, cfg, "default")
	k := kubernetes.NewForConfigOrDie(cfg)
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(cfg, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	one, labels := int32(1), map[string]string{"app": "cart"}
	_, err = k.AppsV1().Deployments("default").Create(t.Context(), &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "cart"},
		Spec: appsv1.DeploymentSpec{Replicas: &one, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}}}, metav1.CreateOptions{})
	must(err)
	var app v1alpha1.Application
	must(yaml.UnmarshalStrict([]byte(`
metadata: {name: shop, namespace: default}
spec:
  mode: Auto
  manager: {name: static-max}
  workloads: [{service: cart, target: {name: cart}, bounds: {replicas: {min: 1, max: 2}}}]
`), &app))
	must(c.Create(t.Context(), &app))

	// Every number of replicas that there ever was.
	var mu sync.Mutex
	var history []int
	watching, stop := context.WithCancel(t.Context())
	defer stop()
	w, err := k.AppsV1().Deployments("default").Watch(watching, metav1.ListOptions{})
	must(err)
	go func() {
		for e := range w.ResultChan() {
			if d, ok := e.Object.(*appsv1.Deployment); ok {
				mu.Lock()
				if v := int(*d.Spec.Replicas); len(history) == 0 || history[len(history)-1] != v {
					history = append(history, v)
				}
				mu.Unlock()
			}
		}
	}()
	replicas := func() int {
		d, err := k.AppsV1().Deployments("default").Get(t.Context(), "cart", metav1.GetOptions{})
		must(err)
		return int(*d.Spec.Replicas)
	}
	holder := func() string {
		l, err := k.CoordinationV1().Leases("default").Get(t.Context(), "foresail", metav1.GetOptions{})
		if err != nil || l.Spec.HolderIdentity == nil {
			return ""
		}
		return *l.Spec.HolderIdentity
	}
	renewed := func() time.Time {
		l, err := k.CoordinationV1().Leases("default").Get(t.Context(), "foresail", metav1.GetOptions{})
		must(err)
		return l.Spec.RenewTime.Time
	}
	until := func(limit time.Duration, what string, holds func() bool) {
		t.Helper()
		for deadline := time.Now().Add(limit); !holds(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("not within %v: %s", limit, what)
			}
		}
	}
	most := 2
	more := func() { // what its owner wants now
		most++
		must(retry.RetryOnConflict(retry.DefaultBackoff, func() error {
			var a v1alpha1.Application
			if err := c.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "shop"}, &a); err != nil {
				return err
			}
			a.Spec.Workloads[0].Bounds.Replicas.Max = int32(most)
			return c.Update(t.Context(), &a)
		}))
	}

	names := 0
	name := func() string { names++; return fmt.Sprintf("operator-%d", names) }
	leader := operate(t, kubeconfig, name())
	until(30*time.Second, "two replicas", func() bool { return replicas() == 2 })
	var took []time.Duration
	for i := range 2 * n {
		next := operate(t, kubeconfig, name())
		until(30*time.Second, "the stand-by knows who acts", func() bool { return strings.Contains(next.log.String(), "identity="+leader.name) })
		stopped := i%2 == 1
		if stopped {
			must(leader.Process.Signal(syscall.SIGSTOP))
		} else {
			must(leader.Process.Kill())
			leader.Wait()
		}
		ends := renewed().Add(5 * time.Second)
		more()
		until(15*time.Second, "the stand-by acts", func() bool { return replicas() == most })
		took = append(took, time.Since(ends))
		if h := holder(); h != next.name {
			t.Errorf("%s leads, not %s", h, next.name)
		}
		if late := time.Since(ends); late > 2*time.Second {
			t.Errorf("%s acted %v after the lease's end\n%s", next.name, late, next.log.String())
		}
		if stopped {
			must(leader.Process.Signal(syscall.SIGCONT))
			for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
				if v, h := replicas(), holder(); v != most || h != next.name {
					t.Fatalf("%s woke up: %d replicas of %d, %s leads", leader.name, v, most, h)
				}
			}
			must(leader.Process.Kill())
			leader.Wait()
		}
		leader = next
	}
	mu.Lock()
	defer mu.Unlock()
	for i := 1; i < len(history); i++ {
		if history[i] != history[i-1]+1 {
			t.Errorf("replicas went %v: one more at each change of hands was asked for", history)
			break
		}
	}
	t.Logf("%d kills and %d stops; the next acted %v after the lease's end", n, n, took)
}
