package instrument

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// Other is the endpoint that those beyond Config.MaxEndpoints count as.
const Other = "other"

const maxName = 256 // bytes of an endpoint's name; longer ones are cut off

// table finds endpoints by name. Finding one takes no lock; adding one copies the map, which happens max times at most.
type table struct {
	max   int
	named atomic.Pointer[map[string]*Endpoint]
	full  atomic.Pointer[Endpoint] // other, once there is no room
	mu    sync.Mutex
	list  []*Endpoint // in the order they came; guarded by mu
}

func newTable(most int) *table {
	t := &table{max: most}
	t.named.Store(&map[string]*Endpoint{})
	return t
}

// endpoint finds an endpoint, or makes it while there is room.
func (t *table) endpoint(name string) *Endpoint {
	if e := (*t.named.Load())[name]; e != nil {
		return e
	}
	if other := t.full.Load(); other != nil {
		return other
	}
	return t.add(name)
}

func (t *table) add(name string) *Endpoint {
	t.mu.Lock()
	defer t.mu.Unlock()
	name = clip(name)
	if e := (*t.named.Load())[name]; e != nil {
		return e
	}
	if len(t.list) < t.max-1 {
		return t.put(name)
	}
	other := (*t.named.Load())[Other]
	if other == nil {
		other = t.put(Other)
	}
	t.full.Store(other)
	return other
}

// put adds a name that is not there. mu is held.
func (t *table) put(name string) *Endpoint {
	next := maps.Clone(*t.named.Load())
	e := newEndpoint(name)
	next[name] = e
	t.named.Store(&next)
	t.list = append(t.list, e)
	return e
}

// endpoints are all there are.
func (t *table) endpoints() []*Endpoint {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.list[:len(t.list):len(t.list)]
}

// clip bounds a name from outside and makes it valid text. The result shares nothing with name.
func clip(name string) string {
	if len(name) > maxName {
		name = name[:maxName]
		for i := 0; i < utf8.UTFMax && !utf8.ValidString(name); i++ {
			name = name[:len(name)-1]
		}
	}
	return strings.ToValidUTF8(strings.Clone(name), "\uFFFD")
}
