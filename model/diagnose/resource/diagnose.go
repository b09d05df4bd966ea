package resource

import (
	"cmp"
	"fmt"
	"slices"

	"foresail.dev"
)

// Diagnose compares what was observed while a service was well with what is observed now. Both are stretches of snapshots, oldest
// first; a second or two of now is enough, and the more of before the better. What was observed in one of them alone says nothing.
func Diagnose(app *foresail.App, id foresail.ServiceID, before, now []*foresail.Snapshot, c Config) (Diagnosis, error) {
	c = c.withDefaults()
	was, is := foresail.Merge(before...), foresail.Merge(now...)
	if was == nil || is == nil {
		return Diagnosis{}, fmt.Errorf("diagnose: nothing was observed before or now: give snapshots of both")
	}
	if id < 0 || int(id) >= len(app.Services) || int(id) >= len(was.Services) || int(id) >= len(is.Services) {
		return Diagnosis{}, fmt.Errorf("diagnose: service %d is not among those observed before and now", id)
	}
	d := &diagnosing{c: c, was: view(was, id), is: view(is, id), id: id}
	d.throttled()
	d.pressure()
	d.disk()
	d.memory()
	d.network()
	d.work()
	d.because()
	slices.SortStableFunc(d.out.Findings, func(a, b Finding) int { return cmp.Compare(b.Share, a.Share) })
	d.application()
	return d.out, nil
}

// seen is a service in one of the two stretches.
type seen struct {
	all      *foresail.Snapshot
	u        *foresail.ServiceStats
	seconds  float64
	replicas float64         // that were there
	nodes    map[string]bool // that they ran on
}

func view(s *foresail.Snapshot, id foresail.ServiceID) seen {
	v := seen{all: s, u: &s.Services[id], seconds: s.Duration().Seconds(), nodes: map[string]bool{}}
	for i := range v.u.Replicas {
		if r := &v.u.Replicas[i]; !r.Gone {
			v.replicas++
			v.nodes[r.Node] = true
		}
	}
	if v.replicas == 0 {
		v.replicas = float64(max(v.u.Ready, 1))
	}
	return v
}

// share is the part of the time of all replicas that a duration summed over them makes.
func (v *seen) share(seconds float64) float64 { return min(seconds/(v.seconds*v.replicas), 1) }

// each is a quantity for each request that was answered; 0: none was.
func (v *seen) each(x float64) float64 {
	if v.u.Completions <= 0 {
		return 0
	}
	return x / v.u.Completions
}

// others sums what the service's nodes did beside it, a second, and names the node where it is most.
func (v *seen) others(of func(*foresail.Usage) float64) (sum float64, worst string) {
	most := -1.0
	for i := range v.all.Nodes {
		n := &v.all.Nodes[i]
		if !v.nodes[n.Name] {
			continue
		}
		x := of(&n.Usage)
		for k := range v.u.Replicas {
			if r := &v.u.Replicas[k]; r.Node == n.Name {
				x -= of(&r.Usage)
			}
		}
		x = max(x, 0) / v.seconds
		if sum += x; x > most {
			most, worst = x, n.Name
		}
	}
	return sum, worst
}

// diagnosing gathers findings.
type diagnosing struct {
	c       Config
	was, is seen
	id      foresail.ServiceID
	out     Diagnosis
}

// has reports whether a signal was observed before and now; else what can't be told without it is noted.
func (d *diagnosing) has(s foresail.Signals, what string) bool {
	if d.was.u.Has.Has(s) && d.is.u.Has.Has(s) {
		return true
	}
	d.out.Unavailable = append(d.out.Unavailable, fmt.Sprintf("%s: %v was not observed", what, s))
	return false
}

func (d *diagnosing) found(f Finding) {
	if f.Share >= d.c.Least {
		d.out.Findings = append(d.out.Findings, f)
	}
}

func (d *diagnosing) throttled() {
	if !d.has(foresail.SignalThrottled, "CPU by the quota") {
		return
	}
	was, is := d.was.share(d.was.u.Throttled.Seconds()), d.is.share(d.is.u.Throttled.Seconds())
	text := fmt.Sprintf("its replicas are throttled for %.0f %% of the time, %.0f %% before", is*100, was*100)
	if d.is.u.Has.Has(foresail.SignalCPU | foresail.SignalAllocation) {
		used, _ := d.is.u.Cores(d.is.all.Duration())
		text += fmt.Sprintf("; it uses %.2f of %.2f cores", used, d.is.u.Allocation.Cores())
	}
	d.found(Finding{Resource: CPU, Blame: Limit, Share: is - was, Evidence: text, Action: "raise its CPU"})
}

// pressure is the wait for CPU that no quota explains.
func (d *diagnosing) pressure() {
	if !d.has(foresail.SignalPressure|foresail.SignalThrottled, "CPU by neighbours") {
		return
	}
	wait := func(v *seen) float64 { return max(v.share((v.u.CPUPressure - v.u.Throttled).Seconds()), 0) }
	was, is := wait(&d.was), wait(&d.is)
	_, node := d.is.others(func(u *foresail.Usage) float64 { return u.CPU })
	text := fmt.Sprintf("its threads wait for a core for %.0f %% of the time without being throttled, %.0f %% before", is*100, was*100)
	for i := range d.is.all.Nodes {
		if n := &d.is.all.Nodes[i]; n.Name == node && n.Has.Has(foresail.SignalRunnable) {
			text += fmt.Sprintf("; on %s %.1f threads run or wait", node, n.Runnable.Mean)
		}
	}
	d.found(Finding{Resource: CPU, Blame: Neighbours, Share: is - was, Evidence: text, Node: node, Action: "move it, or what runs beside it, to another node, or add a replica elsewhere"})
}

func (d *diagnosing) disk() {
	if !d.has(foresail.SignalPressure|foresail.SignalDisk, "disk") {
		return
	}
	was, is := d.was.share(d.was.u.IOPressure.Seconds()), d.is.share(d.is.u.IOPressure.Seconds())
	bytes := func(v *seen) float64 { return v.each(float64(v.u.DiskRead + v.u.DiskWritten)) }
	f := Finding{Resource: Disk, Share: is - was, Evidence: fmt.Sprintf("its threads wait for a disk for %.0f %% of the time, %.0f %% before", is*100, was*100)}
	if before, each := bytes(&d.was), bytes(&d.is); each > before*d.c.Growth {
		f.Blame, f.Action = Work, "look at what it reads and writes for a request"
		f.Evidence += fmt.Sprintf("; it moves %.0f bytes for each request, %.0f before", each, before)
	} else {
		f.Blame, f.Action = Neighbours, "give it a larger share of the disk, or move it to another node"
		_, f.Node = d.is.others(func(u *foresail.Usage) float64 { return float64(u.DiskRead + u.DiskWritten) })
	}
	d.found(f)
}

// full is the share of its limit from which on memory is about to be short.
const full = 0.9

func (d *diagnosing) memory() {
	if !d.has(foresail.SignalPressure, "memory") {
		return
	}
	was, is := d.was.share(d.was.u.MemoryPressure.Seconds()), d.is.share(d.is.u.MemoryPressure.Seconds())
	f := Finding{Resource: Memory, Blame: Neighbours, Share: is - was, Action: "move it to a node with more memory",
		Evidence: fmt.Sprintf("its threads wait for memory to be reclaimed for %.0f %% of the time, %.0f %% before", is*100, was*100)}
	if u := d.is.u; u.Has.Has(foresail.SignalMemory|foresail.SignalAllocation) && u.Allocation.Memory > 0 {
		limit := float64(u.Allocation.Memory) * d.is.replicas
		if used := float64(u.Memory); used > full*limit {
			f.Blame, f.Action = Limit, "raise its memory"
			f.Evidence += fmt.Sprintf("; it holds %.0f %% of its limit", used/limit*100)
		}
	}
	d.found(f)
}

// network is the time that requests wait for what is sent again. Of links that are merely slow nothing is counted anywhere; then
// what others move on its nodes is what there is to go by, see application.
func (d *diagnosing) network() {
	if !d.has(foresail.SignalRetransmits, "network") || !d.has(foresail.SignalCompletions|foresail.SignalLatency, "how long requests stay") {
		return
	}
	again := func(v *seen) float64 { return v.each(v.u.Retransmits) }
	was, is := again(&d.was), again(&d.is)
	lost := (is - was) * d.c.Timeout
	stay := mean(d.is.u) // in the service itself, callees included; the way to it is not
	d.found(Finding{Resource: Network, Blame: Neighbours, Share: lost / (lost + stay + 1e-9), Action: "give it a larger share of the network, or move it off this link",
		Evidence: fmt.Sprintf("%.3f segments are sent again for each request, %.3f before", is, was), Node: d.worstLink()})
}

func (d *diagnosing) worstLink() string {
	_, node := d.is.others(traffic)
	return node
}

func traffic(u *foresail.Usage) float64 { return float64(u.NetIn + u.NetOut) }

func mean(u *foresail.ServiceStats) float64 {
	if u.Latency == nil || u.Latency.Count() <= 0 {
		return 0
	}
	return u.Latency.Mean()
}

// work is CPU time that a request did not need before.
func (d *diagnosing) work() {
	if !d.has(foresail.SignalCPU|foresail.SignalCompletions, "caches and memory bandwidth") {
		return
	}
	was, is := d.was.each(d.was.u.CPU), d.is.each(d.is.u.CPU)
	if was <= 0 || is <= was*d.c.Growth {
		return
	}
	f := Finding{Share: 1 - was/is, growth: is / was, Evidence: fmt.Sprintf("a request takes %.2f ms of CPU, %.2f ms before", is*1e3, was*1e3)}
	const counters = foresail.SignalCacheMisses | foresail.SignalMemoryTraffic
	counted := d.was.u.Has.Has(counters) && d.is.u.Has.Has(counters)
	felt, worst := d.felt()
	switch {
	case !counted && felt:
		f.Resource, f.Blame, f.Node, f.Action = worst.Resource, Neighbours, worst.Node, "move it, or what runs beside it, to another node"
		f.Evidence += fmt.Sprintf("; a fixed piece of work that lives on the same (%s) takes %.0f %% longer on %s than before", worst.Resource, 100*worst.Rise, worst.Node)
	case !d.has(counters, "whether the cache, memory bandwidth or its own code takes more CPU for a request"):
		f.Resource, f.Blame, f.Action = Application, Work, "look at its newest release, and at what runs beside it: counters that would tell them apart are not there"
	case d.grew(d.was.each(d.was.u.CacheMisses), d.is.each(d.is.u.CacheMisses)) && d.crowded(func(u *foresail.Usage) float64 { return u.CacheMisses }):
		f.Resource, f.Blame, f.Action = Cache, Neighbours, "give it ways of the cache of its own, or move it to another node"
		f.Evidence += fmt.Sprintf("; it misses the cache %.0f times for each, %.0f before", d.is.each(d.is.u.CacheMisses), d.was.each(d.was.u.CacheMisses))
		_, f.Node = d.is.others(func(u *foresail.Usage) float64 { return u.CacheMisses })
	case !d.grew(d.was.each(d.was.u.MemoryTraffic), d.is.each(d.is.u.MemoryTraffic)) && d.crowded(func(u *foresail.Usage) float64 { return u.MemoryTraffic }):
		f.Resource, f.Blame, f.Action = MemoryBandwidth, Neighbours, "move it, or what runs beside it, to another node"
		before, _ := d.was.others(func(u *foresail.Usage) float64 { return u.MemoryTraffic })
		others, node := d.is.others(func(u *foresail.Usage) float64 { return u.MemoryTraffic })
		f.Evidence += fmt.Sprintf("; others on its nodes move %.1f GB/s from and to memory, %.1f before", others/1e9, before/1e9)
		f.Node = node
	default:
		f.Resource, f.Blame, f.Action = Application, Work, "look at its newest release: it does more for each request"
		f.Evidence += ", and neither caches nor memory explain it"
	}
	d.found(f)
}

// felt is what a fixed piece of work on the service's nodes felt most: memory bandwidth before caches, since who lacks it has its
// caches thrown out as well.
func (d *diagnosing) felt() (found bool, worst Felt) {
	for _, f := range d.c.Felt {
		if f.Resource != Cache && f.Resource != MemoryBandwidth || !d.is.nodes[f.Node] || 1+f.Rise < d.c.Growth {
			continue
		}
		if !found || cmp.Or(cmp.Compare(f.Resource, worst.Resource), cmp.Compare(f.Rise, worst.Rise)) > 0 {
			found, worst = true, f
		}
	}
	return found, worst
}

// because puts a quota that is used up after what made it so: had requests needed no more CPU than before, it would have been enough.
func (d *diagnosing) because() {
	i := slices.IndexFunc(d.out.Findings, func(f Finding) bool { return f.Resource == CPU && f.Blame == Limit })
	k := slices.IndexFunc(d.out.Findings, func(f Finding) bool { return f.Blame != Limit && f.growth > 0 })
	if i < 0 || k < 0 || !d.is.u.Has.Has(foresail.SignalCPU|foresail.SignalAllocation) {
		return
	}
	quota, cause := &d.out.Findings[i], &d.out.Findings[k]
	used, _ := d.is.u.Cores(d.is.all.Duration())
	if used/cause.growth < enough*d.is.u.Allocation.Cores() && quota.Share >= cause.Share {
		cause.Share, quota.Share = quota.Share, cause.Share
		quota.Evidence += "; it would not be, did a request need what it needed before"
	}
}

// enough is the share of its quota that a service can use without being throttled for long.
const enough = 0.75

func (d *diagnosing) grew(was, is float64) bool { return is > was*d.c.Growth }

// crowded reports whether others on the service's nodes do more of something than before.
func (d *diagnosing) crowded(of func(*foresail.Usage) float64) bool {
	was, _ := d.was.others(of)
	is, _ := d.is.others(of)
	return d.grew(was, is)
}

// called is how long the calls of a service take for each of its requests, one after the other; 0: not known.
func (v *seen) called(id foresail.ServiceID) float64 {
	sum := 0.0
	for i := range v.all.Edges {
		if e := &v.all.Edges[i]; e.From == id && e.To != id && e.Latency != nil {
			sum += e.Latency.Sum()
		}
	}
	return v.each(sum)
}

// application is what is left: requests stay longer, or more of them are there, and neither a resource nor the services that are
// called explain it.
func (d *diagnosing) application() {
	if len(d.out.Findings) > 0 || !d.has(foresail.SignalCompletions, "whether requests wait") {
		return
	}
	stay := func(v *seen) (s float64, what string) {
		if v.u.Latency != nil && v.u.Has.Has(foresail.SignalLatency) {
			return mean(v.u) * 1e3, "a request stays for %.1f ms, %.1f before"
		}
		return v.u.InFlight.Mean, "%.1f requests are in flight, %.1f before"
	}
	is, what := stay(&d.is)
	was, same := stay(&d.was)
	if d.is.u.Has.Has(foresail.SignalInFlight) && d.is.u.Completions == 0 && d.is.u.InFlight.Mean > 0 {
		is, what = d.is.u.InFlight.Mean, "%.1f requests are in flight and none is answered, %.1f before"
		was, same = d.was.u.InFlight.Mean, what
	}
	if what != same || is <= was*d.c.Growth {
		return
	}
	if called := d.is.called(d.id) - d.was.called(d.id); d.is.u.Completions > 0 && called*1e3 > (is-was)/2 {
		return // those it calls take longer: look there
	}
	f := Finding{Share: 1 - was/is, Evidence: fmt.Sprintf(what, is, was)}
	before, _ := d.was.others(traffic)
	others, node := d.is.others(traffic)
	if d.is.u.Has.Has(foresail.SignalNetwork) && others > 2*before && others > 0 {
		f.Resource, f.Blame, f.Node, f.Action = Network, Neighbours, node, "give it a larger share of the network, or move it to another node"
		f.Evidence += fmt.Sprintf("; no counter explains it but that others on its nodes move %.0f MB/s over the network, %.0f before", others/1e6, before/1e6)
	} else {
		f.Resource, f.Blame, f.Action = Application, Work, "look for a lock, a pool of connections or a pause in it"
		f.Evidence += ", and no resource explains it"
	}
	d.found(f)
}
