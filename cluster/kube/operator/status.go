package operator

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"foresail.dev"
	"foresail.dev/cluster/kube"
	"foresail.dev/cluster/kube/v1alpha1"
)

// write writes what is found into the resource's status, where it differs.
func (r *runner) write(ctx context.Context) error {
	states := r.cluster.State()
	r.mu.Lock()
	fill := r.found.status(r.app, states, r.o, r.hold)
	r.mu.Unlock()
	return r.o.status(ctx, r.app, fill)
}

// status makes a function that fills in a status.
func (f *findings) status(a *v1alpha1.Application, states []kube.State, o *operator, hold func(foresail.ServiceID) string) func(*v1alpha1.ApplicationStatus) {
	points, missed, known := f.endpoints()
	var waiting []string
	var out []v1alpha1.Recommendation
	var allocated, used, recommended float64
	observed := true
	for i, st := range states {
		service := f.spec.App.Services[i].Name
		rec := v1alpha1.Recommendation{Service: service, Now: sizeOf(st.Allocation), Held: hold(foresail.ServiceID(i))}
		if !st.Found {
			rec.Held = "the workload is gone"
		}
		for _, w := range st.Waiting {
			waiting = append(waiting, service+": "+w)
		}
		cores := st.Allocation.Cores()
		allocated += cores
		if ch, ok := f.plan.Change(foresail.ServiceID(i)); ok {
			to := sizeOf(ch.To)
			rec.Target, rec.Reason = &to, ch.Reason.Text
			cores = ch.To.Cores()
		}
		recommended += cores
		if f.used[i] < 0 {
			observed = false
		}
		used += math.Max(f.used[i], 0)
		out = append(out, rec)
	}
	cores := v1alpha1.Cores{Allocated: number(allocated), Recommended: number(recommended)}
	if observed {
		cores.Used = strconv.FormatFloat(used, 'f', 1, 64) // coarse, so that it is not written for nothing
	}
	risk := ""
	if f.plan != nil && f.plan.Outlook != nil && f.plan.Outlook.Known {
		risk = strconv.FormatFloat(f.plan.Outlook.Violation, 'f', 2, 64)
	}
	conditions := f.conditions(a, o.cfg.Now(), missed, known, waiting)
	changes := append([]v1alpha1.Decision(nil), f.changes...)
	return func(s *v1alpha1.ApplicationStatus) {
		s.ObservedGeneration, s.Cores, s.ViolationProbability = a.Generation, cores, risk
		s.Recommendations, s.Endpoints, s.Decisions = out, points, changes
		for _, c := range conditions {
			meta.SetStatusCondition(&s.Conditions, c)
		}
	}
}

// tell writes why an Application is not managed.
func (o *operator) tell(ctx context.Context, a *v1alpha1.Application, why error) error {
	if leads, _, _ := o.leader.leads(); !leads {
		return nil
	}
	word := "Failed"
	var r reason
	if errors.As(why, &r) {
		word = r.word
	}
	return o.status(ctx, a, func(s *v1alpha1.ApplicationStatus) {
		s.ObservedGeneration = a.Generation
		meta.SetStatusCondition(&s.Conditions, metav1.Condition{Type: v1alpha1.Ready, Status: metav1.ConditionFalse, Reason: word, Message: short(why.Error()), ObservedGeneration: a.Generation})
		if word == "ModelMissing" {
			meta.SetStatusCondition(&s.Conditions, metav1.Condition{Type: v1alpha1.ModelReady, Status: metav1.ConditionFalse, Reason: word, Message: short(why.Error()), ObservedGeneration: a.Generation})
		}
	})
}

// maxMessage is what the API server takes of a condition's message.
const maxMessage = 32 << 10

func short(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	return s[:maxMessage]
}

// status changes a resource's status as a function says, and writes it only where that changes something.
func (o *operator) status(ctx context.Context, a *v1alpha1.Application, fill func(*v1alpha1.ApplicationStatus)) error {
	ctx, done, err := o.leader.lead(ctx)
	if err != nil {
		return nil // whoever leads writes it
	}
	defer done()
	var now v1alpha1.Application
	if err := o.client.Get(ctx, client.ObjectKeyFromObject(a), &now); err != nil {
		return client.IgnoreNotFound(err)
	}
	if now.UID != a.UID {
		return nil
	}
	before := now.Status.DeepCopy()
	fill(&now.Status)
	for i := range now.Status.Conditions {
		now.Status.Conditions[i].Message = short(now.Status.Conditions[i].Message)
	}
	if equality.Semantic.DeepEqual(before, &now.Status) {
		return nil
	}
	err = o.client.Status().Update(ctx, &now)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil // it is written again soon
	}
	return err
}

// number of cores.
func number(v float64) string { return strconv.FormatFloat(math.Round(v*1000)/1000, 'f', -1, 64) }

func sizeOf(a foresail.Allocation) v1alpha1.Size {
	s := v1alpha1.Size{Replicas: int32(min(a.Replicas, math.MaxInt32))}
	if a.CPU > 0 {
		s.CPU = resource.NewMilliQuantity(int64(math.Round(a.CPU*1000)), resource.DecimalSI).String()
	}
	if a.Memory > 0 {
		s.Memory = fmt.Sprintf("%dMi", a.Memory>>20)
	}
	return s
}
