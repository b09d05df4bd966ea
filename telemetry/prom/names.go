package prom

import (
	"regexp"
	"strings"

	"foresail.dev"
)

// names finds the service that a label's value means.
type names struct {
	app     *foresail.App
	aliases map[string]string // the application's name, by the one outside
	open    bool              // whatever is unknown is a service of its own
	known   map[string]foresail.ServiceID
	memo    map[[2]string]foresail.ServiceID // -1: none
}

func newNames(app *foresail.App, aliases map[string]string, open bool) *names {
	n := &names{app: app, aliases: aliases, open: open, known: map[string]foresail.ServiceID{}, memo: map[[2]string]foresail.ServiceID{}}
	for i := range app.Services {
		if !app.Services[i].Gone {
			n.known[app.Services[i].Name] = foresail.ServiceID(i)
		}
	}
	return n
}

// maxMemo bounds what is remembered of names that come and go.
const maxMemo = 100_000

// find is the service that the value of a label means: the one of that name, or of the name that is left without a
// namespace before it, a port or a domain behind it or, where the label holds a pod, what a workload appends to its own.
func (n *names) find(label, value string) (foresail.ServiceID, bool) {
	if value == "" {
		return 0, false
	}
	key := [2]string{label, value}
	id, ok := n.memo[key]
	if !ok {
		id = n.search(label, value)
		if len(n.memo) >= maxMemo {
			clear(n.memo)
		}
		n.memo[key] = id
	}
	return id, id >= 0
}

func (n *names) search(label, value string) foresail.ServiceID {
	if alias, ok := n.aliases[value]; ok {
		value = alias
	}
	name := value
	for _, shorten := range []func(string) string{unchanged, withoutNamespace, withoutPort, withoutDomain} {
		name = shorten(name)
		if id, ok := n.known[name]; ok {
			return id
		}
		if alias, ok := n.aliases[name]; ok {
			if id, ok := n.known[alias]; ok {
				return id
			}
		}
	}
	if pods(label) {
		for _, pattern := range podNames {
			if m := pattern.FindStringSubmatch(value); m != nil {
				if id, ok := n.known[m[1]]; ok {
					return id
				}
			}
		}
	}
	if !n.open || len(n.app.Services) >= maxOpen {
		return -1
	}
	id := foresail.ServiceID(len(n.app.Services))
	n.app.Services = append(n.app.Services, foresail.Service{Name: withoutNamespace(value)})
	n.known[withoutNamespace(value)] = id
	return id
}

// pods reports whether a label holds the names of pods.
func pods(label string) bool {
	return strings.HasSuffix(label, "pod") || strings.HasSuffix(label, "pod_name") || strings.HasSuffix(label, "pod.name")
}

// called is what a service is called: its name, and those that mean it outside.
func (n *names) called(id foresail.ServiceID) []string {
	out := []string{n.app.Services[id].Name}
	for alias, name := range n.aliases {
		if name == out[0] {
			out = append(out, alias)
		}
	}
	return out
}

// maxOpen bounds the services of an application that is found rather than given.
const maxOpen = 2000

// podNames are what stateful sets, daemon sets and deployments make of their own name.
var podNames = []*regexp.Regexp{regexp.MustCompile(`^(.+)-[0-9]+$`), regexp.MustCompile(`^(.+)-[a-z0-9]{5}$`), regexp.MustCompile(`^(.+)-[a-z0-9]{6,10}-[a-z0-9]{5}$`)}

func unchanged(s string) string { return s }

func withoutNamespace(s string) string { return s[strings.LastIndexByte(s, '/')+1:] }

func withoutPort(s string) string {
	if i := strings.LastIndexByte(s, ':'); i > 0 {
		return s[:i]
	}
	return s
}

func withoutDomain(s string) string {
	first, _, _ := strings.Cut(s, ".")
	return first
}
