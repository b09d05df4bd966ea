package testbed

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"foresail.dev/cluster/testbed/cgroup"
)

// exporter tells Prometheus what a kubelet's cAdvisor and kube-state-metrics would of this testbed: of containers and of
// deployments, under their names. Replicas tell of their requests themselves, and a file tells Prometheus where.
type exporter struct {
	c       *Cluster
	address string
	server  http.Server
	waited  map[string]waited // by replica; guarded by Cluster.mu
}

// waited adds up how long a replica was throttled, on the clock.
type waited struct {
	seen  cgroup.Stats
	total time.Duration
}

var (
	containerLabels  = []string{"namespace", "pod", "container"}
	deploymentLabels = []string{"namespace", "deployment"}
	limitLabels      = []string{"namespace", "pod", "container", "resource", "unit"}
	networkLabels    = []string{"namespace", "pod", "interface"}

	cpuDesc       = prometheus.NewDesc("container_cpu_usage_seconds_total", "CPU time used.", containerLabels, nil)
	throttledDesc = prometheus.NewDesc("container_cpu_cfs_throttled_seconds_total", "Time spent throttled by the CPU quota.", containerLabels, nil)
	memoryDesc    = prometheus.NewDesc("container_memory_working_set_bytes", "Memory in use.", containerLabels, nil)
	receivedDesc  = prometheus.NewDesc("container_network_receive_bytes_total", "Bytes received.", networkLabels, nil)
	sentDesc      = prometheus.NewDesc("container_network_transmit_bytes_total", "Bytes sent.", networkLabels, nil)
	readyDesc     = prometheus.NewDesc("kube_deployment_status_replicas_ready", "Replicas that are ready.", deploymentLabels, nil)
	heldDesc      = prometheus.NewDesc("kube_deployment_status_replicas", "Replicas that there are.", deploymentLabels, nil)
	wantedDesc    = prometheus.NewDesc("kube_deployment_spec_replicas", "Replicas that there should be.", deploymentLabels, nil)
	limitDesc     = prometheus.NewDesc("kube_pod_container_resource_limits", "What a container may use.", limitLabels, nil)
)

// startExporter serves the metrics at an address; port 0 takes a free one.
func (c *Cluster) startExporter(address string) error {
	l, err := net.Listen("tcp4", address)
	if err != nil {
		return fmt.Errorf("testbed: metrics: %w", err)
	}
	x := &exporter{c: c, address: l.Addr().String(), waited: map[string]waited{}}
	registry := prometheus.NewRegistry()
	registry.MustRegister(x)
	mux := http.NewServeMux()
	handler := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	if c.cfg.MetricsGuard != nil {
		handler = c.cfg.MetricsGuard(handler)
	}
	if c.cfg.MetricsTLS != nil {
		l = tls.NewListener(l, c.cfg.MetricsTLS)
	}
	mux.Handle("/metrics", handler)
	x.server.Handler, x.server.ReadHeaderTimeout = mux, 5*time.Second
	c.exporter = x
	c.wait.Go(func() {
		if err := x.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			c.logf("metrics are not served any more: %v", err)
		}
	})
	return nil
}

// Metrics is where the testbed's own metrics are served; empty where they are not.
func (c *Cluster) Metrics() string {
	if c.exporter == nil {
		return ""
	}
	return c.exporter.address
}

// Describe is part of prometheus.Collector.
func (x *exporter) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{cpuDesc, throttledDesc, memoryDesc, receivedDesc, sentDesc, readyDesc, heldDesc, wantedDesc, limitDesc} {
		ch <- d
	}
}

// Collect is part of prometheus.Collector. Like Collect of any, it may be called several times at once.
func (x *exporter) Collect(ch chan<- prometheus.Metric) {
	var out []prometheus.Metric // sent without the lock
	add := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		out = append(out, prometheus.MustNewConstMetric(d, kind, v, labels...))
	}
	x.c.mu.Lock()
	namespace := x.c.App().Name
	there := map[string]bool{}
	for _, s := range x.c.services {
		name := x.c.nameOf(s)
		add(readyDesc, prometheus.GaugeValue, float64(s.count(ready)), namespace, name)
		add(heldDesc, prometheus.GaugeValue, float64(s.held), namespace, name)
		add(wantedDesc, prometheus.GaugeValue, float64(s.target.Replicas), namespace, name)
		for _, r := range s.replicas {
			if r.group == nil {
				continue
			}
			now, err := r.group.Read()
			if err != nil {
				continue // its end is being heard of
			}
			there[r.name] = true
			w := x.waited[r.name]
			w.total += now.Waited(w.seen, r.cpu)
			w.seen = now
			x.waited[r.name] = w
			add(cpuDesc, prometheus.CounterValue, now.CPU.Seconds(), namespace, r.name, name)
			add(throttledDesc, prometheus.CounterValue, w.total.Seconds(), namespace, r.name, name)
			if now.Memory >= 0 {
				add(memoryDesc, prometheus.GaugeValue, float64(now.Memory), namespace, r.name, name)
			}
			bytes := r.traffic.Bytes()
			add(receivedDesc, prometheus.CounterValue, float64(bytes.In), namespace, r.name, "eth0")
			add(sentDesc, prometheus.CounterValue, float64(bytes.Out), namespace, r.name, "eth0")
			if r.cpu > 0 {
				add(limitDesc, prometheus.GaugeValue, r.cpu, namespace, r.name, name, "cpu", "core")
			}
			if r.memory > 0 {
				add(limitDesc, prometheus.GaugeValue, float64(r.memory), namespace, r.name, name, "memory", "byte")
			}
		}
	}
	for name := range x.waited {
		if !there[name] {
			delete(x.waited, name)
		}
	}
	x.c.mu.Unlock()
	for _, m := range out {
		ch <- m
	}
}

// target is one entry of a file that Prometheus discovers targets by.
type target struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// discover writes where metrics are: of the testbed, and of each replica that has said so and not ended. mu is held.
func (c *Cluster) discover() {
	if c.exporter == nil || c.cfg.Targets == "" || c.closing {
		return
	}
	own := target{Targets: []string{c.exporter.address}, Labels: map[string]string{"namespace": c.App().Name}}
	if c.cfg.MetricsTLS != nil {
		own.Labels["__scheme__"] = "https"
	}
	list := []target{own}
	for _, s := range c.services {
		for _, r := range s.replicas {
			if r.metrics != "" && r.proc != nil && r.proc.alive() {
				list = append(list, target{Targets: []string{r.metrics},
					Labels: map[string]string{"namespace": c.App().Name, "service_name": c.nameOf(s), "pod": r.name}})
			}
		}
	}
	if err := writeTargets(c.cfg.Targets, list); err != nil {
		c.logf("metrics: %v", err)
	}
}

// writeTargets replaces the file at once, so that Prometheus never reads half of it.
func writeTargets(path string, list []target) error {
	b, err := json.MarshalIndent(list, "", " ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".targets-*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Chmod(f.Name(), 0o644) // Prometheus may be another user
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// close serves metrics no more, and takes the file of targets away.
func (x *exporter) close() {
	if x == nil {
		return
	}
	_ = x.server.Close()
	if x.c.cfg.Targets != "" {
		_ = os.Remove(x.c.cfg.Targets)
	}
}
