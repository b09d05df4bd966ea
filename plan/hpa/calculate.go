package hpa

import (
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
)

// view is a service's replicas, grouped as upstream's groupPods does. CPU is in cores.
type view struct {
	metrics []float64 // of replicas that are ready
	unready int       // starting, or not ready
	missing int       // ready, without a metric
	request float64   // cores of one replica
	total   bool      // replicas are not told apart: metrics are equal shares of the service's total
	seen    bool      // its CPU was observed at all
}

// measure groups the replicas that are there now. A replica without CPU in the window is missing; one that is not ready,
// or within its initialisation was not for the whole window, is unready, and its CPU is left out. st is the newest
// statistics with the allocation, or nil. Replicas beyond those wanted that were ready and are no longer are going, and
// left out, as upstream leaves out pods that are being deleted.
func (m *Manager) measure(svc *foresail.Service, id foresail.ServiceID, st *foresail.ServiceStats, wanted int, parts []*foresail.Snapshot, mem *memory) view {
	v := view{request: svc.Initial.CPU}
	if st != nil {
		v.request = st.Allocation.CPU
	}
	now := newest(parts, id)
	end := parts[len(parts)-1].End
	excess := len(now) - wanted
	ever := make(map[string]bool, len(now))
	for i := range now {
		r := &now[i]
		ready := !r.Has.Has(foresail.SignalReady) || r.Ready > 0
		used, d, was := replicaCPU(parts, id, r.Name, i)
		ever[r.Name] = ready || was || mem.Ready[r.Name]
		v.seen = v.seen || d > 0
		if !ready && ever[r.Name] && excess > 0 {
			excess--
			continue
		}
		switch {
		case d <= 0 && ready:
			v.missing++
		case d <= 0:
			v.unready++ // still starting: upstream's pending pod
		case m.unready(r, ready, ever[r.Name], parts, id):
			v.unready++
		default:
			// The mean over the part of the window in which the replica was there.
			if age := end.Sub(r.Started); !r.Started.IsZero() && age > 0 && age < d {
				d = age
			}
			v.metrics = append(v.metrics, used/d.Seconds())
		}
	}
	mem.Ready = ever
	if !v.seen {
		return v.fromTotal(svc, st, id, parts)
	}
	return v
}

// fromTotal stands in for replicas that are not told apart: the total, shared equally among those ready.
func (v view) fromTotal(svc *foresail.Service, st *foresail.ServiceStats, id foresail.ServiceID, parts []*foresail.Snapshot) view {
	used, d := plan.Cores(parts, id)
	if d <= 0 {
		return v
	}
	n := svc.Initial.Replicas
	if st != nil {
		n = st.Allocation.Replicas
	}
	if r := plan.Latest(parts, id, foresail.SignalReady); r != nil {
		n = r.Ready
	}
	v.seen, v.total, v.missing, v.unready = true, true, 0, 0
	for range n {
		v.metrics = append(v.metrics, used/float64(n))
	}
	return v
}

// replicaCPU is the core-seconds that a replica used, over how long that was observed, and whether it was ever seen ready.
func replicaCPU(parts []*foresail.Snapshot, id foresail.ServiceID, name string, hint int) (used float64, d time.Duration, ready bool) {
	for _, p := range parts {
		st := plan.Stats(p, id)
		if st == nil {
			continue
		}
		k := indexReplica(st.Replicas, name, hint)
		if k < 0 {
			continue
		}
		r := &st.Replicas[k]
		if r.Has.Has(foresail.SignalCPU) {
			used += r.CPU
			d += p.Duration()
		}
		ready = ready || r.Has.Has(foresail.SignalReady) && r.Ready > 0
	}
	return used, d, ready
}

// newest is the replicas in the newest snapshot that tells them apart.
func newest(parts []*foresail.Snapshot, id foresail.ServiceID) []foresail.ReplicaStats {
	for i := len(parts) - 1; i >= 0; i-- {
		if st := plan.Stats(parts[i], id); st != nil && len(st.Replicas) > 0 {
			return st.Replicas
		}
	}
	return nil
}

// unready reports whether a replica's CPU must be left out. Within its initialisation that is until it was ready for a
// whole metric window, so that start-up work does not count as load; later, only while it has never been ready, which
// upstream infers from the time of the condition's last change and which is known here.
func (m *Manager) unready(r *foresail.ReplicaStats, ready, ever bool, parts []*foresail.Snapshot, id foresail.ServiceID) bool {
	end := parts[len(parts)-1].End
	if r.Started.IsZero() || !r.Started.Add(m.c.Initialisation).After(end) {
		return !ready && (r.Started.IsZero() || !ever)
	}
	for _, p := range parts {
		st := plan.Stats(p, id)
		if st == nil || len(st.Replicas) == 0 {
			continue // a silent second says nothing
		}
		k := indexReplica(st.Replicas, r.Name, 0)
		if k < 0 || st.Replicas[k].Has.Has(foresail.SignalReady) && st.Replicas[k].Ready == 0 {
			return true
		}
	}
	return false
}

func indexReplica(rs []foresail.ReplicaStats, name string, hint int) int {
	if hint < len(rs) && rs[hint].Name == name {
		return hint
	}
	for i := range rs {
		if rs[i].Name == name {
			return i
		}
	}
	return -1
}

// outcome is what calculate found, with what a person wants to know of it.
type outcome struct {
	replicas    int
	ok          bool    // false: no metric of a ready replica
	utilisation float64 // in per cent of the request, whole numbers as upstream's
	ratio       float64 // utilisation over target, as finally used
	why         string  // what kept it from changing, or changed the count; empty: nothing special
}

// calculate is upstream's GetResourceReplicas (pkg/controller/podautoscaler/replica_calculator.go):
//
//  1. The ratio is the mean utilisation of ready replicas over the target, utilisation in whole per cent, cut off.
//  2. When the ratio asks for more and replicas are unready, those count as 0 %.
//  3. When it asks for less, replicas without a metric count as 100 % of their request, or as the target where that is
//     higher; when it asks for more, as 0 %.
//  4. When 2 or 3 brought it within the tolerance or turned its direction, nothing changes.
func (m *Manager) calculate(current int, v view) outcome {
	if len(v.metrics) == 0 || v.request <= 0 {
		return outcome{replicas: current}
	}
	sum, n := 0.0, len(v.metrics)
	for _, c := range v.metrics {
		sum += c
	}
	utilisation := percent(sum, v.request, n)
	target := m.c.Target * 100
	ratio := utilisation / target
	o := outcome{replicas: current, ok: true, utilisation: utilisation, ratio: ratio}
	upUnready := v.unready > 0 && ratio > 1
	if !upUnready && v.missing == 0 {
		if m.within(ratio) {
			o.why = "within the tolerance"
			return o
		}
		o.replicas = ceil(ratio * float64(n))
		return o
	}
	if v.missing > 0 && ratio != 1 {
		if ratio < 1 {
			sum += float64(v.missing) * v.request * math.Max(1, m.c.Target)
			o.why = "replicas without a metric counted as fully used"
		} else {
			o.why = "replicas without a metric counted as idle"
		}
		n += v.missing
	}
	if upUnready {
		n += v.unready
		o.why = "replicas that are not ready counted as idle"
	}
	again := percent(sum, v.request, n) / target
	o.ratio = again
	if m.within(again) || ratio < 1 && again > 1 || ratio > 1 && again < 1 {
		o.why += ", which leaves nothing to change"
		return o
	}
	desired := ceil(again * float64(n))
	if again < 1 && desired > current || again > 1 && desired < current {
		o.why += ", which leaves nothing to change"
		return o
	}
	o.replicas = desired
	return o
}

// percent is the utilisation in whole per cent. Upstream counts in whole thousandths of a core, so a rounding error must
// not make 50 % into 49 %.
func percent(sum, request float64, n int) float64 {
	return math.Floor(sum/(request*float64(n))*100 + 1e-9)
}

func (m *Manager) within(ratio float64) bool {
	return 1-m.c.Tolerance <= ratio+1e-9 && ratio-1e-9 <= 1+m.c.Tolerance
}

func ceil(x float64) int { return int(math.Ceil(math.Min(x, 1e6) - 1e-9)) }
