// Package kube is the Kubernetes cluster: it reads what Deployments and StatefulSets have, and gives them what a plan says,
// in place. Pods keep running: CPU and memory change through the pods' resize subresource, replicas through the workloads'
// scale subresource.
//
// A Cluster watches the workloads of one application, their pods and the HorizontalPodAutoscalers that scale them; what is
// read costs the API server nothing. It writes only what differs, each write with the resourceVersion that it was decided
// on. What can't be done at once (a pod that has just started, a resize that has to wait for another pod) is done when it
// can: Reconcile is called again and again, and is idempotent.
//
// What is observed of load and latency comes from elsewhere (telemetry/prom, telemetry/otlp): Cluster adds to such
// snapshots what Kubernetes alone knows.
package kube
