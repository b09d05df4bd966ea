package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// MinReplicas is the annotation in which the minimum is kept that an autoscaler had before it was steered. No plan goes below
// it.
const MinReplicas = "foresail.dev/min-replicas"

// steer makes what a plan says of replicas the minimum of the autoscaler that scales them, or leaves them to it.
func (c *Cluster) steer(ctx context.Context, w *Workload, h *autoscalingv2.HorizontalPodAutoscaler, n int) error {
	switch w.Autoscaler {
	case Refuse:
		return nil
	case TakeOver:
		return fmt.Errorf("HorizontalPodAutoscaler %s scales it too: replicas are taken over when it is deleted", h.Name)
	}
	if o := metav1.GetControllerOf(h); o != nil && o.Kind == "ScaledObject" {
		return fmt.Errorf("KEDA's ScaledObject %s owns HorizontalPodAutoscaler %s and would take changes back: pause it, or leave replicas to it (policy %s)", o.Name, h.Name, Refuse)
	}
	now := count(h.Spec.MinReplicas)
	least := now
	_, kept := h.Annotations[MinReplicas]
	if kept {
		if v, err := strconv.Atoi(h.Annotations[MinReplicas]); err == nil {
			least = v
		}
	}
	least = max(least, 1) // 0 is the owner's to choose
	goal := min(max(n, least), int(h.Spec.MaxReplicas))
	if goal == now {
		return nil
	}
	meta := map[string]any{"resourceVersion": h.ResourceVersion, "uid": h.UID}
	if !kept {
		meta["annotations"] = map[string]string{MinReplicas: strconv.Itoa(now)}
	}
	patch, err := json.Marshal(map[string]any{"metadata": meta, "spec": map[string]any{"minReplicas": goal}})
	if err != nil {
		return err
	}
	what := fmt.Sprintf("HorizontalPodAutoscaler %s: a minimum of %d", h.Name, goal)
	ctx, done, err := c.lead(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer done()
	if _, err := c.cfg.Client.AutoscalingV2().HorizontalPodAutoscalers(h.Namespace).Patch(ctx, h.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: Manager}); err != nil {
		return c.refused(err, what)
	}
	c.count(func(w *Writes) { w.Scalers++ })
	return nil
}
