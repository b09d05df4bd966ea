package operator

import (
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"foresail.dev/cluster/kube"
)

// owners knows which Application owns each workload: the oldest that names it, and of two that are as old the first by name.
type owners struct {
	mu sync.Mutex
	of map[kube.Ref]owner
}

type owner struct {
	name    types.NamespacedName
	created time.Time
}

func (a owner) before(b owner) bool {
	if !a.created.Equal(b.created) {
		return a.created.Before(b.created)
	}
	return a.name.String() < b.name.String()
}

// claim takes the workloads of an Application, or says who owns one. It names the younger ones that lose a workload by it.
func (o *owners) claim(name types.NamespacedName, created time.Time, spec kube.Spec) (displaced []types.NamespacedName, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.of == nil {
		o.of = map[kube.Ref]owner{}
	}
	me := owner{name, created}
	for _, w := range spec.Workloads {
		if other, ok := o.of[w.Ref]; ok && other.name != name && other.before(me) {
			return nil, fmt.Errorf("%v is managed by the Application %v, which is older: a workload has one owner", w.Ref, other.name)
		}
	}
	lost := map[types.NamespacedName]bool{}
	for r, other := range o.of {
		if other.name == name {
			delete(o.of, r) // it may name others now
		}
	}
	for _, w := range spec.Workloads {
		if other, ok := o.of[w.Ref]; ok && !lost[other.name] {
			lost[other.name] = true
			displaced = append(displaced, other.name)
		}
		o.of[w.Ref] = me
	}
	for r, other := range o.of {
		if lost[other.name] {
			delete(o.of, r)
		}
	}
	return displaced, nil
}

// forget gives up what an Application owned, and names nobody: who waits for it looks again by itself.
func (o *owners) forget(name types.NamespacedName) []types.NamespacedName {
	o.mu.Lock()
	defer o.mu.Unlock()
	for r, other := range o.of {
		if other.name == name {
			delete(o.of, r)
		}
	}
	return nil
}
