// Command kuberesize measures, on a real node, how long it takes from a decision until a container's CPU quota has changed, and whether
// anything restarts. It also is the server that runs in the pods, and writes the image of itself. hack/kuberesize/run does it all.
package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"foresail.dev"
	"foresail.dev/cluster/kube"
)

const image = "docker.io/local/kuberesize:1"

func main() {
	n := flag.Int("n", 40, "how many resizes")
	pods := flag.Int("pods", 4, "of how many pods")
	seed := flag.Uint64("seed", 1, "of the sizes")
	write := flag.String("image", "", "write the image of this program to a file, and end")
	serve := flag.Bool("serve", false, "be the server that runs in the pods")
	flag.Parse()
	var err error
	switch {
	case *serve:
		err = (&http.Server{Addr: ":8080", ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })}).ListenAndServe()
	case *write != "":
		err = writeImage(*write)
	default:
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		err = measure(ctx, *n, *pods, *seed)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kuberesize:", err)
		os.Exit(1)
	}
}

// measure resizes and waits, again and again.
func measure(ctx context.Context, n, pods int, seed uint64) error {
	cfg, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	cfg.QPS, cfg.Burst = 200, 400
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	if err := deploy(ctx, client, int32(pods)); err != nil {
		return err
	}
	app := &foresail.App{Name: "resize", Services: []foresail.Service{{Name: "server", Bounds: foresail.Bounds{MinReplicas: pods, MaxReplicas: pods, MinCPU: 0.01, MaxCPU: 2}}}}
	c, err := kube.Open(ctx, kube.Config{Client: client, Spec: kube.Spec{App: app, Workloads: []kube.Workload{{Ref: kube.Ref{Namespace: "default", Kind: kube.Deployment, Name: "server"}}}}})
	if err != nil {
		return err
	}
	defer c.Close()
	for c.State()[0].Ready < pods {
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return fmt.Errorf("%d of %d pods are ready: %w", c.State()[0].Ready, pods, err)
		}
	}
	files, err := quotas(ctx, client)
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	var took []float64 // milliseconds, of each pod
	last := 0
	for range n {
		milli := last
		for milli == last {
			milli = 50 + 10*rng.IntN(20)
		}
		last = milli
		began := time.Now()
		if err := c.Apply(ctx, &foresail.Plan{Changes: []foresail.Change{{To: foresail.Allocation{Replicas: pods, CPU: float64(milli) / 1000}}}}); err != nil {
			return err
		}
		want := milli * 100 // of 100 ms
		left := slices.Clone(files)
		for len(left) > 0 {
			left = slices.DeleteFunc(left, func(f string) bool {
				b, err := os.ReadFile(f)
				v, _ := strconv.Atoi(strings.TrimSpace(string(b)))
				if err != nil || v != want {
					return false
				}
				took = append(took, time.Since(began).Seconds()*1000)
				return true
			})
			if err := pause(ctx, time.Millisecond); err != nil {
				return fmt.Errorf("quotas of %d m: %w", milli, err)
			}
			if time.Since(began) > 2*time.Second { // what could not shrink yet, since its status was not seen
				if err := c.Reconcile(ctx); err != nil {
					return err
				}
			}
		}
		for st := c.State()[0]; st.Allocation.CPU*1000 != float64(milli) || len(st.Waiting) > 0; st = c.State()[0] {
			if err := pause(ctx, 5*time.Millisecond); err != nil {
				return fmt.Errorf("%+v: %w", st, err)
			}
		}
	}
	slices.Sort(took)
	at := func(q float64) float64 { return took[min(int(q*float64(len(took))), len(took)-1)] }
	st := c.State()[0]
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"resizes": n, "pods": pods, "seed": seed, "median_ms": at(0.5), "p90_ms": at(0.9), "max_ms": took[len(took)-1],
		"restarts": st.Restarts, "writes": c.Writes()})
}

func deploy(ctx context.Context, client kubernetes.Interface, pods int32) error {
	labels := map[string]string{"app": "server"}
	has := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("64Mi")}
	for { // the node is Ready before its namespace has a service account
		_, err := client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		if err == nil {
			break
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	_, err := client.AppsV1().Deployments("default").Create(ctx, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "server"},
		Spec: appsv1.DeploymentSpec{Replicas: &pods, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "server", Image: image, ImagePullPolicy: corev1.PullNever, Args: []string{"-serve"},
				ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: intstr.FromInt32(8080)}}},
				Resources:      corev1.ResourceRequirements{Requests: has, Limits: has}}}}}}}, metav1.CreateOptions{})
	return err
}

// quotas are the files that hold the CPU quota of each pod's container.
func quotas(ctx context.Context, client kubernetes.Interface) ([]string, error) {
	pods, err := client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{LabelSelector: "app=server"})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, p := range pods.Items {
		_, id, _ := strings.Cut(p.Status.ContainerStatuses[0].ContainerID, "://")
		var found string
		err := filepath.WalkDir("/sys/fs/cgroup/cpu", func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() && d.Name() == id {
				found = filepath.Join(path, "cpu.cfs_quota_us")
				return filepath.SkipAll
			}
			return nil
		})
		if err != nil || found == "" {
			return nil, errors.Join(fmt.Errorf("no cgroup of container %s", id), err)
		}
		out = append(out, found)
	}
	return out, nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// writeImage makes a docker-archive with this program as its only file, the same bytes for the same program.
func writeImage(out string) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	program, err := os.ReadFile(exe)
	if err != nil {
		return err
	}
	var layer bytes.Buffer
	t := tar.NewWriter(&layer)
	for _, d := range []string{"tmp/", "etc/", "proc/", "sys/", "dev/"} {
		if err := t.WriteHeader(&tar.Header{Name: d, Typeflag: tar.TypeDir, Mode: 0o755}); err != nil {
			return err
		}
	}
	if err := t.WriteHeader(&tar.Header{Name: "app", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(program))}); err != nil {
		return err
	}
	if _, err := t.Write(program); err != nil {
		return err
	}
	if err := t.Close(); err != nil {
		return err
	}
	sum := func(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }
	id := sum(layer.Bytes())
	config, err := json.Marshal(map[string]any{"architecture": "amd64", "os": "linux", "created": time.Unix(0, 0).UTC(),
		"config": map[string]any{"Entrypoint": []string{"/app"}, "Env": []string{"PATH=/"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + id}}})
	if err != nil {
		return err
	}
	name := sum(config) + ".json"
	manifest, err := json.Marshal([]map[string]any{{"Config": name, "RepoTags": []string{image}, "Layers": []string{id + "/layer.tar"}}})
	if err != nil {
		return err
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	w := tar.NewWriter(f)
	for _, e := range []struct {
		name string
		body []byte
	}{{name, config}, {id + "/layer.tar", layer.Bytes()}, {"manifest.json", manifest}} {
		if err := w.WriteHeader(&tar.Header{Name: e.name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(e.body))}); err != nil {
			return err
		}
		if _, err := w.Write(e.body); err != nil {
			return err
		}
	}
	return errors.Join(w.Close(), f.Close())
}
