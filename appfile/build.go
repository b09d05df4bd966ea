package appfile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"foresail.dev"
)

// builder turns a file that was read into a blueprint, adding faults about how its parts fit together.
type builder struct {
	file *appFile
	at   Place
	out  *foresail.Blueprint
	ids  map[string]foresail.ServiceID
	ops  []map[string]int // by service: an operation's index by name
}

func build(f *appFile, at Place) *foresail.Blueprint {
	b := &builder{file: f, at: at, ids: map[string]foresail.ServiceID{}, out: &foresail.Blueprint{App: &foresail.App{Name: f.Application}}}
	if f.Application != "" {
		checkName(at.At("application"), "an application's", f.Application)
	}
	// 1. Names first: calls may point forward.
	for i := range f.Services {
		b.declare(i)
	}
	// 2. Then what each service has and does.
	for i := range f.Services {
		b.service(i)
	}
	// 3. Then what users call.
	for i := range f.Endpoints {
		b.endpoint(f.Endpoints[i].Key, &f.Endpoints[i].Value)
	}
	for i := range f.Objectives {
		b.objective(f.Objectives[i].Key, &f.Objectives[i].Value)
	}
	b.overhead(&f.Overheads)
	// 4. Whole graphs are judged only where every call was understood.
	b.cycles()
	return b.out
}

func (b *builder) kind(s *service) *kind {
	if s.Kind == "" {
		return &kind{}
	}
	if k := b.file.Kinds.Get(s.Kind); k != nil {
		return k
	}
	return &kind{}
}

// declare numbers a service and its operations: its kind's first, then those that it adds.
func (b *builder) declare(i int) {
	name, s := b.file.Services[i].Key, &b.file.Services[i].Value
	at := b.at.At("services", name)
	checkServiceName(at.Key(), name)
	if s.Kind != "" && b.file.Kinds.Get(s.Kind) == nil {
		at.At("kind").Faultf("%q is not a kind in this file%s", s.Kind, didYouMean(s.Kind, b.file.Kinds.Keys()))
	}
	b.ids[name] = foresail.ServiceID(i)
	index := map[string]int{}
	for _, op := range slices.Concat(b.kind(s).Operations.Keys(), s.Operations.Keys()) {
		if _, there := index[op]; !there {
			index[op] = len(index)
		}
	}
	b.ops = append(b.ops, index)
	if len(index) == 0 {
		at.Faultf("has no operations, so nothing can call it")
	}
}

// first is the value of the first layer that has one.
func first[T, L any](otherwise T, layers []*L, get func(*L) *T) T {
	for _, l := range layers {
		if v := get(l); v != nil {
			return *v
		}
	}
	return otherwise
}

func (b *builder) service(i int) {
	name, s := b.file.Services[i].Key, &b.file.Services[i].Value
	at, k := b.at.At("services", name), b.kind(s)
	layers := []*traits{&s.traits, &k.traits, &b.file.Defaults}
	bp := foresail.ServiceBlueprint{
		Workers:    first(0, layers, func(t *traits) *int { return t.Workers }),
		Queue:      first(0, layers, func(t *traits) *int { return t.Queue }),
		Pool:       first(0, layers, func(t *traits) *int { return t.Pool }),
		Start:      first(0, layers, func(t *traits) *time.Duration { return t.Startup }),
		Warmup:     first(0, layers, func(t *traits) *time.Duration { return t.Warmup }),
		ColdFactor: first(1, layers, func(t *traits) *float64 { return t.ColdFactor }),
		BaseMemory: int64(first(0, layers, func(t *traits) *Bytes { return t.BaseMemory })),
		Pull:       first(0, layers, func(t *traits) *time.Duration { return t.Pull }),
		Operations: make([]foresail.Operation, len(b.ops[i])),
	}
	usual := foresail.DefaultInterference
	got := foresail.Interference{
		Cache:                int64(first(Bytes(usual.Cache), layers, func(t *traits) *Bytes { return t.Interfere.Cache })),
		Bandwidth:            float64(first(Bytes(usual.Bandwidth), layers, func(t *traits) *Bytes { return t.Interfere.Bandwidth })),
		CacheSensitivity:     first(usual.CacheSensitivity, layers, func(t *traits) *float64 { return t.Interfere.CacheSensitivity }),
		BandwidthSensitivity: first(usual.BandwidthSensitivity, layers, func(t *traits) *float64 { return t.Interfere.BandwidthSensitivity }),
	}
	if got != usual {
		bp.Interference = &got
	}
	calls := foresail.Patience{
		Timeout: first(0, layers, func(t *traits) *time.Duration { return t.Timeout }),
		Retries: first(0, layers, func(t *traits) *int { return t.Retries }),
		Backoff: first(0, layers, func(t *traits) *time.Duration { return t.Backoff }),
	}
	// An operation's message sizes are those of the first layer that gives any: itself, then what its own layer says of
	// all operations, then the layers beneath; but a service has its say before the operations of its kind.
	fill := func(ops OrderedMap[operation], at Place, over, under []*messages) {
		for j := range ops {
			op, opAt := &ops[j], at.At("operations", ops[j].Key)
			checkName(opAt.Key(), "an operation's", op.Key)
			steps := opAt.At("steps")
			var out []foresail.Step
			for n := range op.Value.Steps {
				stepAt := steps.At(n)
				if op.Value.single {
					stepAt = opAt
				}
				out = append(out, b.step(&op.Value.Steps[n], calls, stepAt))
			}
			sizes := slices.Concat(over, []*messages{&op.Value.messages}, under)
			bp.Operations[b.ops[i][op.Key]] = foresail.Operation{Name: op.Key, Steps: out,
				Request:  int64(first(0, sizes, func(m *messages) *Bytes { return m.Request })),
				Response: int64(first(0, sizes, func(m *messages) *Bytes { return m.Response })),
			}
		}
	}
	own, kinds, all := &s.messages, &k.messages, &b.file.Defaults.messages
	fill(k.Operations, b.at.At("kinds", s.Kind), []*messages{own}, []*messages{kinds, all})
	fill(s.Operations, at, nil, []*messages{own, kinds, all})
	initial, limits := b.allocation(layers, at)
	if limits.MinMemory >= 1<<20 && bp.BaseMemory > limits.MinMemory {
		at.At("base_memory").Faultf("a replica needs %d bytes when idle, but may be given as few as %d", bp.BaseMemory, limits.MinMemory)
	}
	b.out.Services = append(b.out.Services, bp)
	b.out.App.Services = append(b.out.App.Services, foresail.Service{Name: name, Initial: initial, Bounds: limits})
}

// allocation merges what a service starts with and may have. A quantity without bounds is fixed at its initial value;
// one without an initial value starts at its least.
func (b *builder) allocation(layers []*traits, at Place) (foresail.Allocation, foresail.Bounds) {
	var a foresail.Allocation
	var lim foresail.Bounds
	a.Replicas, lim.MinReplicas, lim.MaxReplicas = quantity(layers, at, "replicas", true,
		func(t *traits) *int { return t.Initial.Replicas }, func(t *traits) *interval[int] { return t.Bounds.Replicas })
	a.CPU, lim.MinCPU, lim.MaxCPU = quantity(layers, at, "cpu", true,
		func(t *traits) *float64 { return t.Initial.CPU }, func(t *traits) *interval[float64] { return t.Bounds.CPU })
	memory, low, high := quantity(layers, at, "memory", false,
		func(t *traits) *Bytes { return t.Initial.Memory }, func(t *traits) *interval[Bytes] { return t.Bounds.Memory })
	a.Memory, lim.MinMemory, lim.MaxMemory = int64(memory), int64(low), int64(high)

	values, ranges := map[string]float64{}, map[string]foresail.Range{}
	for _, l := range slices.Backward(layers) { // the first layer has the last word
		maps.Copy(values, l.Initial.Settings)
		for k, r := range l.Bounds.Settings {
			ranges[k] = foresail.Range{Min: r.Min, Max: r.Max}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(values)) {
		p := at.At("initial", "settings", k)
		checkName(p.Key(), "a setting's", k)
		if r, ok := ranges[k]; !ok {
			p.Key().Faultf("is not among the service's bounds.settings%s", didYouMean(k, slices.Sorted(maps.Keys(ranges))))
		} else if v := values[k]; v < r.Min || v > r.Max {
			p.Faultf("is %g, outside its bounds %g..%g", v, r.Min, r.Max)
		}
	}
	for k, r := range ranges {
		checkName(at.At("bounds", "settings", k).Key(), "a setting's", k)
		if _, ok := values[k]; !ok {
			values[k] = r.Min
		}
	}
	if len(ranges) > 0 {
		a.Settings, lim.Settings = values, ranges
	}
	return a, lim
}

func quantity[T int | float64 | Bytes](layers []*traits, at Place, name string, needed bool, initial func(*traits) *T, limits func(*traits) *interval[T]) (value, low, high T) {
	var none T
	var v *T
	var r *interval[T]
	for _, l := range layers {
		if v == nil {
			v = initial(l)
		}
		if r == nil {
			r = limits(l)
		}
	}
	switch {
	case v == nil && r == nil:
		if needed {
			at.Faultf("needs initial.%s or bounds.%s, here, in its kind or in defaults", name, name)
		}
		return none, none, none
	case r == nil:
		return *v, *v, *v
	case v == nil:
		return r.Min, r.Min, r.Max
	case r.ok && *v != none && (*v < r.Min || *v > r.Max):
		at.At("initial", name).Faultf("is %s, outside its bounds %s..%s", show(*v), show(r.Min), show(r.Max))
	}
	return *v, r.Min, r.Max
}

func show[T int | float64 | Bytes](v T) string {
	if b, ok := any(v).(Bytes); ok {
		for _, u := range []string{"GiB", "MiB", "KiB"} {
			if n, _ := parseBytes("1" + u); b >= Bytes(n) {
				return fmt.Sprintf("%g%s", float64(b)/float64(n), u)
			}
		}
	}
	return fmt.Sprint(v)
}

func (b *builder) step(s *step, patience foresail.Patience, at Place) foresail.Step {
	out := foresail.Step{Work: foresail.Demand{CPU: s.CPU.value(), IO: s.IO.value(),
		Memory: int64(s.Memory), Read: int64(s.Read), Write: int64(s.Write)}}
	for i := range s.Calls {
		callAt := at.At("calls", i)
		if at.isScalar() { // a step written as the text of its one call
			callAt = at
		}
		out.Calls = append(out.Calls, b.call(&s.Calls[i], patience, callAt))
	}
	return out
}

func (b *builder) call(c *call, patience foresail.Patience, at Place) foresail.Call {
	to := at
	if !at.isScalar() {
		to = at.At("to")
	}
	out := foresail.Call{Probability: float64(c.Probability), Repeat: max(c.Repeat, 1), Async: c.Async,
		Patience: c.patience.over(patience)}
	if c.To != "" {
		out.Target = b.target(c.To, to)
	}
	if c.Hit != nil {
		out.Cached, out.Hit = true, float64(*c.Hit)
	}
	for i := range c.Miss {
		out.Miss = append(out.Miss, b.step(&c.Miss[i], patience, at.At("miss", i)))
	}
	return out
}

// over is p with what it leaves out taken from another.
func (p patience) over(base foresail.Patience) foresail.Patience {
	if p.Timeout != nil {
		base.Timeout = *p.Timeout
	}
	if p.Retries != nil {
		base.Retries = *p.Retries
	}
	if p.Backoff != nil {
		base.Backoff = *p.Backoff
	}
	return base
}

// target finds "service.operation".
func (b *builder) target(text string, at Place) foresail.Target {
	name, op, ok := strings.Cut(text, ".")
	if !ok || name == "" || op == "" {
		at.Faultf("%q names no operation; write service.operation", text)
		return foresail.Target{}
	}
	id, ok := b.ids[name]
	if !ok {
		at.Faultf("%q is not a service in this file%s", name, didYouMean(name, b.file.Services.Keys()))
		return foresail.Target{}
	}
	i, ok := b.ops[id][op]
	if s := &b.file.Services[id].Value; !ok && (s.Kind == "" || b.file.Kinds.Get(s.Kind) != nil) { // else its kind is the fault
		at.Faultf("service %s has no operation %q%s", name, op, didYouMean(op, slices.Collect(maps.Keys(b.ops[id]))))
	}
	return foresail.Target{Service: id, Operation: i}
}

func (b *builder) endpoint(name string, e *endpoint) {
	at := b.at.At("endpoints", name)
	checkName(at.Key(), "an endpoint's", name)
	var t foresail.Target
	if e.Entry != "" {
		t = b.target(e.Entry, at.At("entry"))
	}
	_, op, _ := strings.Cut(e.Entry, ".")
	b.out.App.Endpoints = append(b.out.App.Endpoints, foresail.Endpoint{Name: name, Entry: t.Service, Operation: op})
	b.out.Entries = append(b.out.Entries, t)
	b.out.Timeouts = append(b.out.Timeouts, e.patience.over(foresail.Patience{}))
}

func (b *builder) objective(name string, o *objective) {
	id, ok := b.out.App.EndpointByName(name)
	if !ok {
		b.at.At("objectives", name).Key().Faultf("is an objective on an endpoint that is not there%s", didYouMean(name, b.file.Endpoints.Keys()))
		return
	}
	out := &foresail.Objective{Percentile: o.Percentile, Latency: o.Latency}
	if o.Window != nil {
		out.Window = *o.Window
	}
	if o.MinRequests != nil {
		out.MinRequests = *o.MinRequests
	}
	b.out.App.Endpoints[id].Objective = out
}
