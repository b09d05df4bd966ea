package write

import (
	"maps"
	"strconv"
	"strings"

	"foresail.dev"
	"go.yaml.in/yaml/v3"
)

// traitNames are the fields of traits that a blueprint decides, in the order of a file. A dot stands for a mapping
// within.
var traitNames = []string{"initial.replicas", "initial.cpu", "initial.memory", "bounds.replicas", "bounds.cpu", "bounds.memory",
	"workers", "queue", "pool", "startup", "warmup", "cold_factor", "base_memory", "pull",
	"interference.cache", "interference.bandwidth", "interference.cache_sensitivity", "interference.bandwidth_sensitivity", "timeout", "retries", "backoff", "request", "response"}

// traitTexts are traits as a file writes them, by name. One that is missing makes no difference to the service where it
// is in free, and else cannot be had where defaults give it.
type traitTexts struct {
	texts    map[string]string
	free     map[string]bool
	patience foresail.Patience // what timeout, retries and backoff say
}

// traits are those of a service. What it bears of its calls, and the sizes of its messages, are the most usual of its
// calls and operations.
func (w appWriter) traits(i int) traitTexts {
	s, bp := &w.bp.App.Services[i], &w.bp.Services[i]
	b := s.Bounds
	t := traitTexts{texts: map[string]string{
		"initial.replicas": strconv.Itoa(s.Initial.Replicas), "initial.cpu": number(s.Initial.CPU),
		"bounds.replicas": span(strconv.Itoa(b.MinReplicas), strconv.Itoa(max(b.MinReplicas, b.MaxReplicas))),
		"bounds.cpu":      span(number(b.MinCPU), number(max(b.MinCPU, b.MaxCPU))),
		"workers":         strconv.Itoa(bp.Workers), "queue": strconv.Itoa(bp.Queue), "pool": strconv.Itoa(bp.Pool),
		"startup": duration(bp.Start), "warmup": duration(bp.Warmup), "cold_factor": number(max(bp.ColdFactor, 1)), "base_memory": size(bp.BaseMemory),
		"pull": duration(bp.Pull),
	}, free: map[string]bool{}}
	if s.Initial.Memory > 0 {
		t.texts["initial.memory"] = size(s.Initial.Memory)
		t.texts["bounds.memory"] = span(size(b.MinMemory), size(max(b.MinMemory, b.MaxMemory)))
	}
	for name, v := range interference(bp.Interference) {
		t.texts[name] = v
	}
	var patience tally[foresail.Patience]
	var request, response tally[int64]
	known := [2]bool{true, true}
	for _, op := range bp.Operations {
		eachPatience(op.Steps, patience.add)
		request.add(op.Request)
		response.add(op.Response)
		known[0], known[1] = known[0] && op.Request > 0, known[1] && op.Response > 0
	}
	if p, ok := patience.most(); ok {
		t.patience = p
		t.texts["timeout"], t.texts["retries"], t.texts["backoff"] = duration(p.Timeout), strconv.Itoa(p.Retries), duration(p.Backoff)
	} else {
		t.free["timeout"], t.free["retries"], t.free["backoff"] = true, true, true
	}
	if n, ok := request.most(); ok && known[0] {
		t.texts["request"] = size(n)
	}
	if n, ok := response.most(); ok && known[1] {
		t.texts["response"] = size(n)
	}
	return t
}

// common is what defaults can say for all services: where each has a trait or is free of it, the most usual one.
func common(layers []traitTexts) traitTexts {
	out := traitTexts{texts: map[string]string{}}
	for _, name := range traitNames {
		var values tally[string]
		all := true
		for _, l := range layers {
			if v, ok := l.texts[name]; ok {
				values.add(v)
			} else {
				all = all && l.free[name]
			}
		}
		if v, ok := values.most(); ok && all && v != unsaid[name] {
			out.texts[name] = v
		}
	}
	return out
}

// without is what is left to say beneath defaults; what a file means when it says nothing is not said either.
func (t traitTexts) without(defaults traitTexts) traitTexts {
	out := traitTexts{texts: map[string]string{}}
	for name, v := range t.texts {
		below, ok := defaults.texts[name]
		if !ok {
			below = unsaid[name]
		}
		if v != below {
			out.texts[name] = v
		}
	}
	return out
}

// interference is a service's, by trait; nil: the default.
func interference(of *foresail.Interference) map[string]string {
	if of == nil {
		of = &foresail.DefaultInterference
	}
	return map[string]string{"interference.cache": size(of.Cache), "interference.bandwidth": size(int64(of.Bandwidth)),
		"interference.cache_sensitivity": number(of.CacheSensitivity), "interference.bandwidth_sensitivity": number(of.BandwidthSensitivity)}
}

// unsaid is what a trait is when neither the service nor defaults give it.
var unsaid = func() map[string]string {
	of := map[string]string{"pull": "0s", "workers": "0", "queue": "0", "pool": "0", "startup": "0s", "warmup": "0s", "cold_factor": "1",
		"base_memory": "0B", "timeout": "0s", "retries": "0", "backoff": "0s"}
	maps.Copy(of, interference(nil))
	return of
}()

func (t traitTexts) node() ynode {
	n := mapping()
	for _, name := range traitNames {
		v, ok := t.texts[name]
		if !ok {
			continue
		}
		if outer, inner, nested := strings.Cut(name, "."); nested {
			n.at(outer).add(inner, plainText(v))
		} else {
			n.add(name, plainText(v))
		}
	}
	return n
}

// tally counts values; the first seen of the most frequent wins.
type tally[T comparable] struct {
	order []T
	count map[T]int
}

func (t *tally[T]) add(v T) {
	if t.count == nil {
		t.count = map[T]int{}
	}
	if t.count[v]++; t.count[v] == 1 {
		t.order = append(t.order, v)
	}
}

func (t *tally[T]) most() (best T, ok bool) {
	for i, v := range t.order {
		if i == 0 || t.count[v] > t.count[best] {
			best = v
		}
	}
	return best, len(t.order) > 0
}

// ynode is a YAML node with ways to build one.
type ynode struct{ *yaml.Node }

func mapping() ynode  { return ynode{&yaml.Node{Kind: yaml.MappingNode}} }
func sequence() ynode { return ynode{&yaml.Node{Kind: yaml.SequenceNode}} }

// text is text whatever it looks like: quoted where it must be.
func text(v string) ynode { return ynode{&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v}} }

// plainText is a number, a duration or another value that needs no quotes.
func plainText(v string) ynode { return ynode{&yaml.Node{Kind: yaml.ScalarNode, Value: v}} }

func texts(values []string) ynode {
	n := sequence()
	for _, v := range values {
		e := text(v)
		n.Content = append(n.Content, e.Node)
	}
	return n
}

func (n ynode) add(key string, value ynode) {
	k := text(key)
	n.Content = append(n.Content, k.Node, value.Node)
}

func (n ynode) addUnlessEmpty(key string, value ynode) {
	if len(value.Content) > 0 {
		n.add(key, value)
	}
}

// at is the mapping under a key, made where it is not there.
func (n ynode) at(key string) ynode {
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return ynode{n.Content[i+1]}
		}
	}
	inner := mapping()
	n.add(key, inner)
	return inner
}

// addPatience adds what differs from the usual.
func (n ynode) addPatience(p, usual foresail.Patience) {
	if p.Timeout != usual.Timeout {
		n.add("timeout", plainText(duration(p.Timeout)))
	}
	if p.Retries != usual.Retries {
		n.add("retries", plainText(strconv.Itoa(p.Retries)))
	}
	if p.Backoff != usual.Backoff {
		n.add("backoff", plainText(duration(p.Backoff)))
	}
}

// lineWidth is how much of a mapping or list is written on one line.
const lineWidth = 100

// compact puts what is short on one line.
func compact(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode {
		return
	}
	if width(n) <= lineWidth {
		n.Style = yaml.FlowStyle
		return
	}
	for _, c := range n.Content {
		compact(c)
	}
}

func width(n *yaml.Node) int {
	w := len(n.Value) + 2
	for _, c := range n.Content {
		w += width(c)
	}
	return w
}

// eachPatience calls f for every call in steps, those after cache misses too.
func eachPatience(steps []foresail.Step, f func(foresail.Patience)) {
	for i := range steps {
		for j := range steps[i].Calls {
			f(steps[i].Calls[j].Patience)
			eachPatience(steps[i].Calls[j].Miss, f)
		}
	}
}
