package kubes_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"foresail.dev/cmd/foresail/kubes"
	"foresail.dev/internal/kubetest"
	"foresail.dev/internal/peers"
)

// A person who has a kubeconfig and the address of a Prometheus is told of each workload what it should have and what may break,
// and nothing in the cluster has changed afterwards.
func TestWhatAPersonIsTold(t *testing.T) {
	cfg := kubetest.Server(t)
	client := kubernetes.NewForConfigOrDie(cfg)
	deploy(t, client, "cart", 2, "400m")
	deploy(t, client, "user", 1, "200m")
	deploy(t, client, "mail", 1, "100m") // Prometheus knows nothing of it
	began := time.Now()
	exporter := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s := time.Since(began).Seconds()
		for pod, c := range map[string]struct{ used, throttled float64 }{"cart-5d8f-0": {0.02, 0}, "cart-5d8f-1": {0.02, 0}, "user-5d8f-0": {0.195, 0.3}} {
			name, _, _ := strings.Cut(pod, "-")
			l := fmt.Sprintf("{namespace=%q,pod=%q,container=%q}", "default", pod, name)
			fmt.Fprintf(w, "container_cpu_usage_seconds_total%s %g\ncontainer_cpu_cfs_throttled_seconds_total%s %g\n", l, c.used*s, l, c.throttled*s)
		}
	}))
	defer exporter.Close()
	server := peers.Prometheus(t, fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: cadvisor\n  honor_labels: true\n  static_configs: [{targets: [%q]}]\n", strings.TrimPrefix(exporter.URL, "http://")))
	scraped(t, server.URL)
	before := versions(t, client)

	out, log := run(t, cfg, "--prometheus", server.URL, "--interval", "1s", "--json")
	var res struct {
		Rows []kubes.Row `json:"rows"`
	}
	if err := json.Unmarshal(out, &res); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, log)
	}
	rows := map[string]kubes.Row{}
	for _, r := range res.Rows {
		rows[r.Service] = r
	}
	if len(rows) != 3 {
		t.Fatalf("%+v", rows)
	}
	cart, user, mail := rows["cart"], rows["user"], rows["mail"]
	if cart.ToCores == nil || cart.Saved <= 0.05 || *cart.UsedMean < 0.03 || *cart.UsedMean > 0.05 || cart.Reason == "" {
		t.Errorf("cart: %+v", cart)
	}
	if user.ToCores == nil || user.Saved >= 0 || len(user.Dangers) != 3 || !strings.Contains(user.Dangers[0], "throttled 30 %") || !strings.Contains(user.Dangers[1], "at its limit") {
		t.Errorf("user: %+v", user)
	}
	if mail.ToCores != nil || mail.UsedMean != nil || !strings.Contains(mail.Reason, "not observed") { // what is missing is not zero
		t.Errorf("mail: %+v", mail)
	}
	if after := versions(t, client); after != before {
		t.Errorf("something was changed:\n%s\nwas\n%s", after, before)
	}
	if !strings.Contains(log, "observed, and nothing is changed") {
		t.Errorf("%s", log)
	}

	text, _ := run(t, cfg, "--prometheus", server.URL, "--interval", "1s")
	t.Logf("%s", text)
	for _, want := range []string{"cores are given", "the CPU of 2 of 3 workloads is observed", "what may break", "user: throttled"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no word of %q in\n%s", want, text)
		}
	}
}

// run is the command for some seconds.
func run(t *testing.T, cfg *rest.Config, args ...string) (out []byte, log string) {
	t.Helper()
	file := kubetest.Kubeconfig(t, cfg, "default")
	var stdout, stderr bytes.Buffer
	var f kubes.Flags
	c := &cobra.Command{}
	c.SetContext(t.Context())
	c.SetOut(&stdout)
	c.SetErr(&stderr)
	f.Register(c.Flags())
	asJSON := c.Flags().Bool("json", false, "")
	if err := c.ParseFlags(append([]string{"--kubernetes", "--kubeconfig", file}, args...)); err != nil {
		t.Fatal(err)
	}
	if err := f.Check(c.Flags(), ""); err != nil {
		t.Fatal(err)
	}
	if err := f.Run(c, kubes.Options{Manager: "autoscale-cons", Duration: 4 * time.Second, Listen: "127.0.0.1:0", JSON: *asJSON}); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	return stdout.Bytes(), stderr.String()
}

func deploy(t *testing.T, client kubernetes.Interface, name string, replicas int32, cpu string) {
	t.Helper()
	res := corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}}
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: name, Image: name, Resources: res}}}}
	_, err := client.AppsV1().Deployments("default").Create(t.Context(), &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{Replicas: &replicas, Template: template, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	yes := true
	pods := client.CoreV1().Pods("default")
	for i := range replicas {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-5d8f-%d", name, i), Labels: map[string]string{"app": name, "pod-template-hash": "5d8f"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: name + "-5d8f", UID: "1", Controller: &yes}}}, Spec: template.Spec}
		p, err := pods.Create(t.Context(), p, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		p.Status.Phase = corev1.PodRunning
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		if _, err := pods.UpdateStatus(t.Context(), p, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// scraped waits until a Prometheus has two samples of a container's CPU.
func scraped(t *testing.T, address string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		r, err := http.Get(address + "/api/v1/query?query=" + url.QueryEscape("count_over_time(container_cpu_usage_seconds_total[20s]) >= 2"))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err == nil && strings.Contains(string(b), "user-5d8f-0") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not scraped within 30 s: %s %v", b, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// versions of everything that could have been changed.
func versions(t *testing.T, client kubernetes.Interface) string {
	t.Helper()
	var b strings.Builder
	d, err := client.AppsV1().Deployments("default").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range d.Items {
		fmt.Fprintln(&b, x.Name, x.ResourceVersion)
	}
	p, err := client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range p.Items {
		fmt.Fprintln(&b, x.Name, x.ResourceVersion)
	}
	return b.String()
}
